/**
 * Trades that look like pump.fun's, from a seed: tokens launch on a bonding curve, snipers and bundles buy in the first
 * seconds, retail follows ever more slowly, paper hands leave first, whales stay; few tokens and few wallets do most of it.
 */
import * as v from 'valibot';
import { checked, named, positive, whole } from '../checked.ts';
import { SeededRandom, zipfWeights } from './sample-random.ts';
import { type Role, ROLES, SampleWallets } from './sample-wallets.ts';
import type { TradeInput } from './trade.ts';

/** Before a token's first buy, as on pump.fun: price = sol / tokens, sol * tokens stays constant but for the fee. */
const CURVE_SOL = 30;
const CURVE_TOKENS = 1_073_000_000;
/** SOL in the curve at which a token moves to the open market. */
const GRADUATES_AT_SOL = 115;
const FEE = 0.01;
const TOKEN_ZIPF = 0.8;
const SELL_SHARE = 0.43;
const DUST_SHARE = 0.05;
const EARLY_SHARE = 0.15;
const SNIPERS_MAX = 8;
const BUNDLED_TOKENS = 0.5;
const LAMPORTS = 1e9;
const MICRO = 1e6;

const sampleSchema = named({
  /** Same seed, same trades, byte for byte. */
  seed: v.optional(whole(0, Number.MAX_SAFE_INTEGER), 1),
  /** Every one of them trades when there are at least as many trades. */
  wallets: v.optional(whole(1, 5_000_000), 1_000),
  tokens: v.optional(whole(1, 1_000_000), 50),
  /** Exactly so many trades. At least one a token. */
  trades: v.optional(whole(1, 50_000_000), 20_000),
  /** Unix seconds of the first possible launch. */
  startTs: v.optional(whole(0, 4_000_000_000), 1_782_604_800),
  /** Launches are spread over so many days. */
  days: v.optional(positive(3_650), 3),
});

export type SampleTradesOptions = v.InferInput<typeof sampleSchema>;
type ResolvedSample = v.InferOutput<typeof sampleSchema>;

/** Trades in order of time. All are made before the first is given out: about 60 bytes of memory a trade. Throws ERR_OPTION. */
export function generateSampleTrades(options: SampleTradesOptions = {}): Iterable<TradeInput> {
  const resolved = checked(sampleSchema, options);
  return { [Symbol.iterator]: () => tradesOf(resolved) };
}

interface Made {
  ts: number;
  token: number;
  wallet: number;
  buy: boolean;
  sol: number;
  tokens: number;
  graduated: boolean;
}

function* tradesOf(options: ResolvedSample): Generator<TradeInput, void, undefined> {
  const random = new SeededRandom(options.seed);
  const wallets = new SampleWallets(options.wallets, random);
  const mints = Array.from({ length: options.tokens }, () => `${random.base58(40)}pump`);
  const launches = mints.map(() => options.startTs + Math.floor(random.unit() * options.days * 86_400));
  const counts = tradesPerToken(options.tokens, options.trades, random);
  const made: Made[] = [];
  for (let token = 0; token < counts.length; token++) {
    tradeToken(token, launches[token], counts[token], options.trades, wallets, random, made);
  }
  // Stable: trades of one second keep the order in which the curve saw them.
  made.sort((a, b) => a.ts - b.ts);
  for (const { ts, token, wallet, buy, sol, tokens, graduated } of made) {
    yield {
      ts,
      mint: mints[token],
      wallet: wallets.names[wallet],
      side: buy ? 'buy' : 'sell',
      sol,
      tokens,
      price: tokens === 0 ? null : Number((sol / tokens).toPrecision(8)),
      venue: graduated ? 'PUMP_AMM' : 'PUMP_FUN',
      signature: null,
      token_created_ts: launches[token],
    };
  }
}

/** One token's life. Adds exactly `count` trades to `made`. */
function tradeToken(token: number, launchTs: number, count: number, totalTrades: number, wallets: SampleWallets, random: SeededRandom, made: Made[]): void {
  const curve = { sol: CURVE_SOL, tokens: CURVE_TOKENS };
  const holdings = new Map<number, number>();
  const holders: number[] = [];
  const early = earlyBuyers(count, wallets, random);
  const times = tradeTimes(count, early.length, random);
  for (let i = 0; i < count; i++) {
    const left = totalTrades - made.length;
    const mustMeet = wallets.unseenCount >= left;
    let wallet: number | undefined;
    let buy = true;
    if (mustMeet) wallet = wallets.drawUnseen();
    else if (i < early.length) wallet = early[i];
    else if (holders.length > 0 && random.chance(SELL_SHARE)) {
      wallet = mostHasty(holders, wallets, random);
      buy = false;
    } else wallet = laterBuyer(left, wallets, random);

    const trade = buy ? buyOnCurve(curve, buySize(wallets.roles[wallet], random)) : sellOnCurve(curve, holdings.get(wallet)!, wallets.roles[wallet], random);
    made.push({ ts: launchTs + times[i], token, wallet, buy, ...trade, graduated: curve.sol >= GRADUATES_AT_SOL });
    wallets.markSeen(wallet);
    const held = holdings.get(wallet) ?? 0;
    const holds = buy ? held + trade.tokens : held - trade.tokens;
    if (buy && held === 0 && holds > 0) holders.push(wallet);
    if (holds > 1) holdings.set(wallet, holds);
    else {
      holdings.delete(wallet);
      const at = holders.indexOf(wallet);
      if (at >= 0) holders.splice(at, 1);
    }
  }
}

/** The creator, then snipers and perhaps a bundle, mixed: all within the first three seconds. */
function earlyBuyers(count: number, wallets: SampleWallets, random: SeededRandom): number[] {
  const snipers = Array.from({ length: 1 + random.below(SNIPERS_MAX) }, () => wallets.draw('sniper', random));
  const bundle = wallets.bundles.length > 0 && random.chance(BUNDLED_TOKENS) ? wallets.bundles[random.below(wallets.bundles.length)] : [];
  const buyers = [...new Set([wallets.draw('paper', random), ...snipers, ...bundle])];
  return buyers.slice(0, Math.max(1, Math.ceil(count * EARLY_SHARE) + bundle.length));
}

function tradeTimes(count: number, early: number, random: SeededRandom): number[] {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    if (i < early) times.push(i === 0 ? 0 : random.below(4));
    else times.push(3 + Math.floor(random.chance(0.7) ? random.exponential(150) : random.exponential(3_000)));
  }
  return times.sort((a, b) => a - b);
}

/** Of three holders the hastiest; ties go to the first drawn. */
function mostHasty(holders: readonly number[], wallets: SampleWallets, random: SeededRandom): number {
  let best = holders[random.below(holders.length)];
  for (let i = 0; i < 2; i++) {
    const other = holders[random.below(holders.length)];
    if (ROLES[wallets.roles[other]].haste > ROLES[wallets.roles[best]].haste) best = other;
  }
  return best;
}

function laterBuyer(left: number, wallets: SampleWallets, random: SeededRandom): number {
  // Newcomers come at a pace that lets everybody in before the trades run out.
  if (wallets.unseenCount > 0 && random.chance((2.5 * wallets.unseenCount) / left)) return wallets.drawUnseen();
  const die = random.unit();
  return wallets.draw(die < 0.04 ? 'whale' : die < 0.4 ? 'paper' : die < 0.45 ? 'sniper' : 'retail', random);
}

function buySize(role: Role, random: SeededRandom): number {
  const sol = random.chance(DUST_SHARE) ? 0.001 : random.logNormal(ROLES[role].medianSol, ROLES[role].sigma);
  return Math.max(1, Math.round(Math.min(sol, 200) * LAMPORTS)) / LAMPORTS;
}

interface Curve {
  sol: number;
  tokens: number;
}

function buyOnCurve(curve: Curve, sol: number): { sol: number; tokens: number } {
  const product = curve.sol * curve.tokens;
  curve.sol += sol * (1 - FEE);
  const tokens = Math.floor((curve.tokens - product / curve.sol) * MICRO) / MICRO;
  curve.tokens -= tokens;
  return { sol, tokens };
}

function sellOnCurve(curve: Curve, held: number, role: Role, random: SeededRandom): { sol: number; tokens: number } {
  const part = random.chance(ROLES[role].sellsAll) ? 1 : 0.25 + random.unit() / 2;
  const tokens = Math.floor(held * part * MICRO) / MICRO;
  const product = curve.sol * curve.tokens;
  const out = curve.sol - product / (curve.tokens + tokens);
  curve.sol -= out;
  curve.tokens += tokens;
  return { sol: Math.floor(out * (1 - FEE) * LAMPORTS) / LAMPORTS, tokens };
}

/** Zipf over tokens in no particular order of launch; at least one trade each, `trades` in all. */
function tradesPerToken(tokens: number, trades: number, random: SeededRandom): number[] {
  const used = Math.min(tokens, trades);
  const weights = random.shuffle(zipfWeights(used, TOKEN_ZIPF));
  const sum = weights.reduce((a, b) => a + b, 0);
  const counts = weights.map((weight) => 1 + Math.floor((weight / sum) * (trades - used)));
  let left = trades - counts.reduce((a, b) => a + b, 0);
  for (let i = 0; left > 0; i = (i + 1) % used, left--) counts[i]++;
  return counts;
}
