/** A wallet profile of the size and shape that the profiler makes (about 1.9 KB as JSON), different for each seed. */
export function sampleProfile(seed: number): Record<string, unknown> {
  let state = (seed + 1) * 2_654_435_761;
  const random = () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 0x1_0000_0000;
  };
  const count = (max: number) => Math.floor(random() * max);
  const base58 = (length: number) => Array.from({ length }, () => '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[count(58)]).join('');
  const score = () => ({ value: random(), observations: count(200), weight: 0.25, contribution: random() });
  const time = () => new Date(1_700_000_000_000 + count(1e9));
  const indicators = ['EARLY_BUYER', 'CLUSTER_CONNECTED', 'WHALE_BEHAVIOR', 'ABNORMAL_WIN_RATE', 'sniper_bot_suspected', 'flash_trading_pattern'];
  return {
    wallet_address: base58(44),
    risk_score: random(),
    severity: ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'][count(4)],
    confidence: random(),
    confidence_interval: [random() / 2, 0.5 + random() / 2],
    risk_factors: { behavior: score(), timing: score(), network: score(), volume: score() },
    explanation: `Main contributions: timing (${random().toFixed(3)}) and network (${random().toFixed(3)}); first buys came within seconds of the launch.`,
    win_rate: random(),
    avg_hold_time_seconds: random() * 5_000,
    total_trades: count(5_000),
    unique_tokens: count(400),
    volumes: { buy_sol: random() * 500, sell_sol: random() * 500, mean_trade_sol: random() * 20, largest_trade_sol: random() * 100, total_sol: random() * 1_000 },
    timing_score: random(),
    network_score: random(),
    volume_score: random(),
    performance: { closed_positions: count(300), profitable: count(200), losing: count(100), avg_profit_percent: random() * 90, max_profit_percent: random() * 900, max_loss_percent: -random() * 100 },
    indicators: indicators.slice(0, 2 + count(4)),
    network: { hops_1: count(9), hops_2: count(30), hops_3: count(90), insiders: count(5), reached: [base58(44), base58(44), base58(44)] },
    activity: { trades_1h: count(40), trades_24h: count(300), trades_7d: count(2_000), level: 'very_high', burst: random() > 0.5, burst_z: random() * 9 },
    aggressiveness: random(),
    avg_curve_position: random() * 100,
    patterns: ['high_aggressiveness', 'heavy_accumulation'],
    top_tokens: Array.from({ length: 4 }, () => ({ mint: base58(44), bought_sol: random() * 9, sold_sol: random() * 9, trades: count(50) })),
    first_seen: time(),
    last_active: time(),
    profiled_at: time(),
    source: 'pumpfun-swaps',
    note: null,
  };
}
