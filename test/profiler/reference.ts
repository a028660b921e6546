/**
 * The profiler's formulas once more, plain and slow, sharing no code with src: one wallet after the other, every pair of
 * buys, the Beta quantile by numeric integration. What the fast one says is compared with this.
 */
export interface PlainTrade {
  ts: number;
  mint: string;
  wallet: string;
  side: string;
  sol: number;
  created: number | null;
}

/** Fields of a profile that the reference knows, under the names of the profile. */
export type PlainProfile = Record<string, number | boolean | string | null | string[]>;

/** Simple CSV (no quotes); exact duplicate lines once. */
export function plainTrades(csv: string): PlainTrade[] {
  const [header, ...lines] = csv.trimEnd().split(/\r?\n/);
  const names = header.split(',');
  return [...new Set(lines)].map((line) => {
    const f = Object.fromEntries(line.split(',').map((text, i) => [names[i], text]));
    return { ts: +f.ts, mint: f.mint, wallet: f.wallet, side: f.side, sol: +f.sol, created: f.token_created_ts === '' ? null : +f.token_created_ts };
  });
}

export function plainProfiles(trades: PlainTrade[]): Map<string, PlainProfile> {
  const rows = trades.map((t, i) => ({ t, i })).sort((a, b) => a.t.ts - b.t.ts || a.i - b.i).map(({ t }) => t);
  const now = rows[rows.length - 1].ts;
  const launch = new Map<string, number>();
  for (const t of rows) if (!launch.has(t.mint)) launch.set(t.mint, t.created ?? t.ts);
  const friends = plainGraph(rows.filter((t) => t.ts > now - 30 * 86_400));
  const out = new Map<string, PlainProfile>();
  const byWallet = new Map<string, PlainTrade[]>(trades.map((t) => [t.wallet, []]));
  for (const t of rows) byWallet.get(t.wallet)!.push(t);
  for (const [wallet, mine] of byWallet) out.set(wallet, plainProfile(mine, now, launch, plainHops(wallet, friends)));
  return out;
}

function plainGraph(rows: PlainTrade[]): Map<string, Set<string>> {
  const tokensOfPair = new Map<string, Set<string>>();
  for (const mint of new Set(rows.map((t) => t.mint))) {
    const buys = rows.filter((t) => t.mint === mint && t.side === 'buy');
    for (const a of buys) {
      for (const b of buys) {
        if (a.wallet >= b.wallet || Math.abs(a.ts - b.ts) > 2) continue;
        const pair = `${a.wallet} ${b.wallet}`;
        tokensOfPair.set(pair, (tokensOfPair.get(pair) ?? new Set()).add(mint));
      }
    }
  }
  const friends = new Map<string, Set<string>>();
  for (const [pair, tokens] of tokensOfPair) {
    if (tokens.size < 2) continue;
    const [a, b] = pair.split(' ');
    friends.set(a, (friends.get(a) ?? new Set()).add(b));
    friends.set(b, (friends.get(b) ?? new Set()).add(a));
  }
  return friends;
}

function plainHops(wallet: string, friends: Map<string, Set<string>>): number[] {
  const seen = new Set([wallet]);
  let level = [wallet];
  return [1, 2, 3].map(() => {
    const next = new Set<string>();
    for (const w of level) for (const f of friends.get(w) ?? []) if (!seen.has(f)) next.add(f);
    for (const f of next) seen.add(f);
    level = [...next];
    return level.length;
  });
}

function plainProfile(mine: PlainTrade[], now: number, launch: Map<string, number>, [h1, h2, h3]: number[]): PlainProfile {
  const recent = mine.filter((t) => t.ts > now - 30 * 86_400);
  const tokens = [...new Set(recent.map((t) => t.mint))].map((mint) => recent.filter((t) => t.mint === mint));
  const sum = (ns: number[]) => ns.reduce((a, b) => a + b, 0);
  const mean = (ns: number[]) => (ns.length === 0 ? 0 : sum(ns) / ns.length);
  const isBuy = (t: PlainTrade) => t.side === 'buy';
  const age = (t: PlainTrade) => t.ts - launch.get(t.mint)!;

  const firstBuys = tokens.map((ts) => ts.find(isBuy)).filter((t) => t !== undefined);
  const timing = firstBuys.length < 3 ? 0.5 : mean(firstBuys.map((t) => Math.max(0, Math.min(1, 1 - age(t) / 3600))));
  const network = Math.min(1, h1 / 5) * 0.6 + Math.min(1, h2 / 10) * 0.3 + Math.min(1, h3 / 15) * 0.1;
  const total = sum(recent.map((t) => t.sol));
  const volume = Math.min(1, total / 500) * 0.5 + Math.min(1, mean(recent.map((t) => t.sol)) / 50) * 0.3 + Math.min(1, Math.max(0, ...recent.map((t) => t.sol)) / 100) * 0.2;

  const closed = tokens.filter((ts) => ts.some(isBuy) && ts.some((t) => !isBuy(t))).map((ts) => {
    const spent = sum(ts.filter(isBuy).map((t) => t.sol));
    const received = sum(ts.filter((t) => !isBuy(t)).map((t) => t.sol));
    return { won: received > spent, hold: ts[ts.length - 1].ts - ts[0].ts, percent: spent === 0 ? null : ((received - spent) / spent) * 100 };
  });
  const percents = closed.map((c) => c.percent).filter((p) => p !== null);
  const win = mean(closed.map((c) => (c.won ? 1 : 0)));
  const hold = mean(closed.map((c) => c.hold));

  const inLast = (seconds: number) => mine.filter((t) => t.ts > now - seconds).length;
  const buys = mine.filter(isBuy);
  const sells = mine.length - buys.length;
  const sniper = mean(buys.map((t) => (age(t) <= 5 ? 1 : age(t) <= 30 ? 0.8 : age(t) <= 60 ? 0.6 : age(t) <= 300 ? 0.3 : 0)));
  const aggressiveness = Math.max(0, Math.min(1, (0.4 * buys.length) / mine.length + 0.4 * sniper + 0.2 * Math.min(inLast(3600) / 20, 1)));
  const curve = buys.map(age).map((s) =>
    s < 0 ? 0 : s <= 60 ? (s / 60) * 10 : s <= 300 ? 10 + ((s - 60) / 240) * 20 : s <= 1800 ? 30 + ((s - 300) / 1500) * 40 : Math.min(100, 70 + ((s - 1800) / 1800) * 30),
  );
  const burst = plainBurst(mine, now);
  const day = inLast(86_400);

  const risk = 0.35 * aggressiveness + 0.25 * timing + 0.25 * network + 0.15 * volume;
  const factors = aggressiveness + timing + network + volume;
  const adjusted = risk * (0.5 + 0.5 * 0.8);
  const says = (holds: boolean, name: string) => (holds ? [name] : []);
  return {
    total_trades: recent.length, unique_tokens: tokens.length,
    timing_score: timing, network_score: network, volume_score: volume,
    closed_positions: closed.length, profitable: closed.filter((c) => c.won).length, losing: closed.filter((c) => !c.won).length,
    win_rate: win, avg_hold_time_seconds: hold,
    avg_profit_percent: percents.length === 0 ? null : mean(percents),
    max_profit_percent: percents.length === 0 ? null : Math.max(...percents),
    max_loss_percent: percents.length === 0 ? null : Math.min(...percents),
    trades_1h: inLast(3_600), trades_24h: day, trades_7d: inLast(7 * 86_400),
    activity_level: day > 50 ? 'very_high' : day > 20 ? 'high' : day > 5 ? 'moderate' : day > 0 ? 'low' : 'inactive',
    aggressiveness, avg_curve_position: buys.length === 0 ? 50 : mean(curve), burst_activity: burst,
    risk_score: risk, adjusted_score: adjusted, confidence: 0.8,
    severity: adjusted >= 0.85 ? 'CRITICAL' : adjusted >= 0.7 ? 'HIGH' : adjusted >= 0.5 ? 'MEDIUM' : 'LOW',
    low: betaQuantile(0.025, 2 + 10 * factors, 5 + 10 * (4 - factors)),
    high: betaQuantile(0.975, 2 + 10 * factors, 5 + 10 * (4 - factors)),
    indicators: [
      ...says(timing > 0.8, 'EARLY_BUYER'), ...says(network > 0.7, 'CLUSTER_CONNECTED'), ...says(volume > 0.8, 'WHALE_BEHAVIOR'),
      ...says(win > 0.85 && closed.length >= 5, 'ABNORMAL_WIN_RATE'), ...says(timing >= 0.9, 'sniper_bot_suspected'),
      ...says(network >= 0.8, 'sybil_network_suspected'), ...says(volume >= 0.9, 'institutional_trader'),
      ...says(closed.length > 0 && hold < 300, 'flash_trading_pattern'), ...says(closed.length > 0 && hold < 60, 'bot_trading_suspected'),
      ...says(timing >= 0.7 && network >= 0.6, 'coordinated_insider_group'), ...says(timing >= 0.8 && volume >= 0.7, 'whale_sniper'),
      ...says(network >= 0.7 && win >= 0.75, 'organized_trading_ring'),
    ],
    patterns: [...says(aggressiveness > 0.7, 'high_aggressiveness'), ...says(burst, 'burst_activity'), ...says(buys.length > 5 * Math.max(1, sells), 'heavy_accumulation')],
    first_seen: new Date(mine[0].ts * 1_000).toISOString(),
    last_active: new Date(mine[mine.length - 1].ts * 1_000).toISOString(),
  };
}

function plainBurst(mine: PlainTrade[], now: number): boolean {
  const between = (from: number, to: number) => mine.filter((t) => t.ts > from && t.ts <= to).length;
  const samples: number[] = [];
  for (let m = 1; m <= 60 && now - 60 * m >= mine[0].ts; m++) samples.push(between(now - 60 * (m + 1), now - 60 * m));
  if (samples.length < 10) return false;
  const mean = samples.reduce((a, b) => a + b, 0) / samples.length;
  const deviation = Math.sqrt(samples.reduce((a, b) => a + (b - mean) * (b - mean), 0) / samples.length);
  const last = between(now - 60, now);
  return deviation === 0 ? last > 2 * mean : (last - mean) / deviation > 5;
}

const STEPS = 1_000;

/** Of the shape asked for last: both ends of an interval have the same. */
let known: { shape: string; upTo: number[] } | undefined;

/** Area under the density up to each step, by Simpson's rule. */
function areas(density: (x: number) => number, shape: string): number[] {
  if (known?.shape === shape) return known.upTo;
  const upTo = [0];
  let left = density(0);
  for (let i = 0; i < STEPS; i++) {
    const right = density((i + 1) / STEPS);
    upTo.push(upTo[i] + (left + 4 * density((i + 0.5) / STEPS) + right) / 6);
    left = right;
  }
  known = { shape, upTo };
  return upTo;
}

/** x^(a-1) (1-x)^(b-1) integrated by Simpson's rule; good to about 1e-6 for a >= 2, b >= 5. */
export function betaQuantile(p: number, a: number, b: number): number {
  const peak = (a - 1) / (a + b - 2);
  const top = (a - 1) * Math.log(peak) + (b - 1) * Math.log(1 - peak);
  const density = (x: number) => (x <= 0 || x >= 1 ? 0 : Math.exp((a - 1) * Math.log(x) + (b - 1) * Math.log(1 - x) - top));
  const upTo = areas(density, `${a} ${b}`);
  const target = p * upTo[STEPS];
  let i = 0;
  while (upTo[i + 1] < target) i++;
  // Newton inside the step, from its left end.
  let x = i / STEPS;
  let area = upTo[i];
  for (let k = 0; k < 50; k++) {
    const dx = (target - area) / STEPS / Math.max(density(x), 1e-12);
    if (Math.abs(dx) < 1e-10) break;
    const step = Math.sign(dx) * Math.min(Math.abs(dx), 0.25 / STEPS);
    area += ((density(x) + 4 * density(x + step / 2) + density(x + step)) / 6) * step * STEPS;
    x += step;
  }
  return x;
}
