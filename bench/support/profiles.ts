/**
 * Wallet profiles for measuring: the fields that WalletProfiler makes, with Dates in place of ISO strings, and the two nested lists that
 * scanners keep with them (top tokens, connected wallets). 1.8 to 2.0 KB as JSON, no two alike, the same for the same seed.
 */
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const SEVERITIES = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
const INDICATORS = ['EARLY_BUYER', 'CLUSTER_CONNECTED', 'WHALE_BEHAVIOR', 'ABNORMAL_WIN_RATE', 'sniper_bot_suspected', 'sybil_network_suspected'];
const PATTERNS = ['high_aggressiveness', 'heavy_accumulation', 'flash_trading_pattern'];
const LEVELS = ['inactive', 'low', 'moderate', 'high', 'very_high'];
const NOW_MS = Date.UTC(2026, 6, 1);
const WEEK_MS = 7 * 86_400_000;

export type BenchProfile = ReturnType<typeof makeProfile>;

/** mulberry32 (T. Ettinger, 2017). @returns 0 <= x < 1 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function makeProfile(seed: number) {
  const random = seededRandom(seed);
  const below = (bound: number) => Math.floor(random() * bound);
  const sol = (bound: number) => Math.round(random() * bound * 1e9) / 1e9;
  const address = (length: number) => {
    // Flat, as strings that were parsed are: one put together by + is slower to read, character by character.
    const text = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) text[i] = BASE58.charCodeAt(below(58));
    return text.toString('latin1');
  };
  const some = (names: readonly string[]) => names.filter(() => random() < 0.5);
  const risk = random();
  const buySol = sol(500);
  const sellSol = sol(500);
  const trades = 1 + below(500);
  const closed = below(60);
  const profitable = below(closed + 1);
  return {
    wallet_address: address(44),
    risk_score: risk,
    adjusted_score: risk * 0.9,
    severity: SEVERITIES[Math.floor(risk * 4)],
    confidence: below(101) / 100,
    confidence_interval: [risk * 0.8, risk * 0.8 + 0.2],
    risk_factors: { behavior: random(), timing: random(), network: random(), volume: random() },
    explanation: `${SEVERITIES[Math.floor(risk * 4)]}: risk ${risk.toFixed(2)}, most of it from network (${random().toFixed(2)}) and timing (${random().toFixed(2)})`,
    timing_score: random(),
    network_score: random(),
    volume_score: random(),
    closed_positions: closed,
    profitable,
    losing: closed - profitable,
    win_rate: closed === 0 ? 0 : profitable / closed,
    avg_hold_time_seconds: below(40_000) / 8,
    avg_profit_percent: closed === 0 ? null : random() * 90 - 20,
    max_profit_percent: closed === 0 ? null : random() * 900,
    max_loss_percent: closed === 0 ? null : random() * -100,
    volumes: { buy_sol: buySol, sell_sol: sellSol, total_sol: buySol + sellSol, mean_trade_sol: (buySol + sellSol) / trades, largest_trade_sol: sol(100) },
    total_trades: trades,
    unique_tokens: 1 + below(80),
    indicators: some(INDICATORS),
    trades_1h: below(10),
    trades_24h: below(60),
    trades_7d: trades,
    activity_level: LEVELS[below(5)],
    burst_activity: random() < 0.2,
    burst_z: random() < 0.5 ? null : random() * 9,
    aggressiveness: random(),
    avg_curve_position: random() * 100,
    buy_sell_ratio: random() * 4,
    patterns: some(PATTERNS),
    top_tokens: [0, 1].map(() => ({ mint: `${address(40)}pump`, bought_sol: sol(9), sold_sol: sol(9), trades: 1 + below(20) })),
    connected_wallets: [address(44), address(44)],
    first_seen: new Date(NOW_MS - below(WEEK_MS)),
    last_active: new Date(NOW_MS - below(WEEK_MS)),
    profiled_at: new Date(NOW_MS),
    source: 'trades',
  };
}

export interface Fleet {
  readonly wallets: readonly string[];
  readonly profiles: readonly BenchProfile[];
  readonly json: readonly string[];
  readonly entries: readonly (readonly [string, BenchProfile])[];
}

/** `count` profiles from `firstSeed` on: other seeds, other wallets. */
export function makeFleet(count: number, firstSeed = 1): Fleet {
  const profiles = Array.from({ length: count }, (_, i) => makeProfile(firstSeed + i));
  const wallets = profiles.map((profile) => profile.wallet_address);
  if (new Set(wallets).size !== count) throw new Error('two profiles have one wallet');
  return { wallets, profiles, json: profiles.map((profile) => JSON.stringify(profile)), entries: profiles.map((profile) => [profile.wallet_address, profile] as const) };
}

/** Draws ranks from 0, the first the most frequent: of Zipf's law, by the table of its sums. */
export function zipfRanks(items: number, exponent: number, random: () => number): () => number {
  const upTo = new Float64Array(items);
  let sum = 0;
  for (let rank = 0; rank < items; rank++) upTo[rank] = sum += (rank + 1) ** -exponent;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    for (let high = items - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (upTo[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/**
 * Draws from 0..items-1 with P(rank k) proportional to 1 / (k + 1)^exponent, ranks shuffled over the items: a trace to be read in a circle.
 * Inverse of the cumulated weights, by bisection.
 */
export function zipfTrace(items: number, draws: number, exponent: number, seed: number): Uint32Array {
  const random = seededRandom(seed);
  const rank = zipfRanks(items, exponent, random);
  const itemOfRank = Uint32Array.from({ length: items }, (_, i) => i);
  for (let i = items - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [itemOfRank[i], itemOfRank[j]] = [itemOfRank[j], itemOfRank[i]];
  }
  return Uint32Array.from({ length: draws }, () => itemOfRank[rank()]);
}
