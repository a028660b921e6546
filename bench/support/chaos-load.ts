/**
 * The load of a chaos row: two caches with an L1, workers and connections of their own, as two processes have them. One writes and reads, the
 * other reads; each operation has a begin, an end and a judge. L1 holds a quarter of the wallets (chaos-cache.ts), so that L2 is asked all the time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProfileCacheOptions } from 'profilecache';
import { openChaosCache, type ChaosCache } from './chaos-cache.ts';
import { makeChaosProfile, Oracle, STALE_AFTER_MS, type Reader } from './chaos-oracle.ts';
import { seededRandom } from './profiles.ts';

const SEED_DEADLINE_MS = 30_000;
const WALLETS = 240;
const WRITERS = 6;
const READERS = 6;
const PAUSE_MS = 6;
const INVALIDATE_ONE_IN = 40;
const BULK_ONE_IN = 50;
const BULK_WALLETS = 40;
/** An operation that takes longer hangs. */
const HUNG_MS = 5_000;
const REPAIR_DEADLINE_MS = 10_000;
const SAMPLE_MS = 10;
const MAX_NOTED = 4;

interface UnderWay {
  what: string;
  sinceMs: number;
}

export class ChaosLoad {
  readonly writer: ChaosCache;
  readonly other: ChaosCache;
  readonly oracle: Oracle;
  readonly wallets: readonly string[];
  /** Newest version of each wallet; 0 when its last change was an invalidation. */
  readonly last = new Map<string, number>();
  operations = 0;
  failed = 0;
  hung = 0;
  longestMs = 0;
  longestWhat = '';
  /** Longest that this thread's event loop stood still: time that no operation could have used. */
  loopLagMs = 0;
  firstFailureMs = 0;
  lastFailureMs = 0;
  readonly notes: string[] = [];
  readonly events: { what: string; atMs: number }[] = [];
  /** What L2's failures said, numbers left out, and how often. */
  readonly reasons = new Map<string, number>();
  readonly #underWay = new Set<UnderWay>();
  readonly #random: () => number;
  readonly #l2: ProfileCacheOptions;
  readonly #loops: Promise<void>[] = [];
  readonly #versions = new Map<string, number>();
  #sampler: NodeJS.Timeout | undefined;
  #stopped = false;

  private constructor(writer: ChaosCache, other: ChaosCache, options: ProfileCacheOptions, seed: number, oracle: Oracle) {
    this.writer = writer;
    this.other = other;
    this.#l2 = options;
    this.oracle = oracle;
    this.#random = seededRandom(seed);
    this.wallets = Array.from({ length: WALLETS }, (_, i) => `chaos${i.toString(36).padStart(3, '0')}`);
    for (const cache of [writer, other]) {
      const name = cache === writer ? 'writer' : 'other';
      for (const event of ['l2Down', 'l2Up', 'channelGap', 'alert', 'error'] as const) cache.on(event, () => this.events.push({ what: `${name} ${event}`, atMs: performance.now() }));
      cache.on('error', ({ message }) => {
        const reason = message.replace(/\d+/g, '#').slice(0, 90);
        this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
      });
    }
  }

  static async start(options: ProfileCacheOptions, seed: number, oracle = new Oracle()): Promise<ChaosLoad> {
    const writer = await openChaosCache(options);
    const other = await openChaosCache(options);
    const load = new ChaosLoad(writer, other, options, seed, oracle);
    try {
      await load.#seed();
    } catch (error) {
      await load.close();
      throw error;
    }
    for (const wallet of load.wallets) load.#noteUpdate(wallet, 1, true);
    load.#run();
    return load;
  }

  /** A cluster that has just been mended, or a busy machine, may need more than one try. */
  async #seed(): Promise<void> {
    const giveUpMs = performance.now() + SEED_DEADLINE_MS;
    let missing: readonly string[] = this.wallets;
    while (missing.length > 0) {
      if (performance.now() > giveUpMs) throw new Error(`the cluster does not take the first profiles: ${missing.length} are missing`);
      for (let from = 0; from < missing.length; from += BULK_WALLETS) {
        await this.writer.updateProfiles(missing.slice(from, from + BULK_WALLETS).map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
      }
      while ((await this.queuedNow()) > 0 && performance.now() < giveUpMs) await sleep(100);
      const found = await this.other.bulkPrefetch(this.wallets);
      missing = this.wallets.filter((wallet) => !found.has(wallet));
    }
  }

  /** Reads that L2 should have answered and did not, and writes that had to be queued. */
  get unanswered(): number {
    return this.writer.getStats().l2Failures + this.other.getStats().l2Failures;
  }

  get queued(): number {
    return this.writer.getStats().l2Queued;
  }

  /** Writes that wait for L2; Infinity when health() did not answer within l2TimeoutMs, which on a busy machine it may not. */
  async queuedNow(): Promise<number> {
    const health = await this.writer.health().catch(() => undefined);
    return health === undefined ? Infinity : (health.l2?.queuedWrites ?? 0);
  }

  /** When the event came first after `sinceMs`; undefined when it did not. */
  firstEvent(what: string, sinceMs: number): number | undefined {
    return this.events.find((event) => event.what === what && event.atMs >= sinceMs)?.atMs;
  }

  /** Counts from here on. */
  resetFigures(): void {
    this.operations = 0;
    this.longestMs = 0;
    this.loopLagMs = 0;
    this.firstFailureMs = 0;
    this.lastFailureMs = 0;
  }

  async operation<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const entry = { what, sinceMs: performance.now() };
    this.#underWay.add(entry);
    try {
      return await work();
    } catch (error) {
      this.failed++;
      if (this.notes.length < MAX_NOTED) this.notes.push(`${what} failed: ${(error as Error).message}`);
      return undefined;
    } finally {
      this.#underWay.delete(entry);
      this.operations++;
      const tookMs = performance.now() - entry.sinceMs;
      if (tookMs > HUNG_MS) this.#hang(entry);
      if (tookMs > this.longestMs) {
        this.longestMs = tookMs;
        this.longestWhat = what;
      }
    }
  }

  /** Ends the loops; what has not come back by then hangs. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const giveUpMs = performance.now() + HUNG_MS;
    while (this.#underWay.size > 0 && performance.now() < giveUpMs) await sleep(20);
    for (const entry of this.#underWay) this.#hang(entry);
    if (this.#underWay.size === 0) await Promise.all(this.#loops);
    clearInterval(this.#sampler);
  }

  /**
   * After the fault: the queue empties, then every process that was open, and one that opens now, has the last profile of each wallet or none.
   * @returns wallets whose newest acknowledged profile L2 has lost: `old` where it gives an older one in its place, `gone` where it gives none;
   * `unrepaired`: of these, how many an open process holds newer.
   */
  async settle(withinMs = 15_000): Promise<{ drained: boolean; old: number; gone: number; unrepaired: number }> {
    await this.stop();
    const giveUpMs = performance.now() + withinMs;
    while ((await this.queuedNow()) > 0 && performance.now() < giveUpMs) await sleep(50);
    const drained = (await this.queuedNow()) === 0;
    await sleep(STALE_AFTER_MS);
    await this.#readAll(this.other, 'other');
    await this.#readAll(this.writer, 'writer');
    // What an open process holds newer than L2 is written back once L2 has settled, some seconds after the last failure.
    const repairedByMs = performance.now() + REPAIR_DEADLINE_MS;
    let found = await this.#asFound();
    while (found.unrepaired > 0 && performance.now() < repairedByMs) {
      await sleep(500);
      found = await this.#asFound();
    }
    return { drained, ...found };
  }

  /** By a cache that opens now. */
  async #asFound(): Promise<{ old: number; gone: number; unrepaired: number }> {
    const fresh = await openChaosCache(this.#l2);
    try {
      const found = await fresh.bulkPrefetch(this.wallets);
      let old = 0;
      let gone = 0;
      let unrepaired = 0;
      for (const wallet of this.wallets) {
        const profile = found.get(wallet);
        const due = this.last.get(wallet)!;
        if (profile === undefined) gone += due > 0 ? 1 : 0;
        else if (profile.version < this.#versions.get(wallet)! || due === 0) old++;
        this.oracle.judge(profile, wallet, 'writer', 0, performance.now());
        const held = Math.max(...[this.writer, this.other].map((cache) => cache.getProfileSync(wallet)?.version ?? 0));
        if (held > (profile?.version ?? 0)) unrepaired++;
      }
      return { old, gone, unrepaired };
    } finally {
      await fresh.close();
    }
  }

  async close(): Promise<void> {
    await this.stop();
    await Promise.all([this.writer.close(), this.other.close()]);
  }

  async #readAll(cache: ChaosCache, reader: Reader): Promise<void> {
    const bounds = this.wallets.map((wallet) => this.oracle.bound(wallet, reader, performance.now()));
    const found = await cache.bulkPrefetch(this.wallets);
    this.wallets.forEach((wallet, i) => this.oracle.judge(found.get(wallet), wallet, reader, bounds[i], performance.now()));
  }

  #run(): void {
    let failures = this.unanswered + this.queued;
    let sampledMs = performance.now();
    this.#sampler = setInterval(() => {
      const nowMs = performance.now();
      this.loopLagMs = Math.max(this.loopLagMs, nowMs - sampledMs - SAMPLE_MS);
      sampledMs = nowMs;
      const now = this.unanswered + this.queued;
      if (now === failures) return;
      failures = now;
      this.firstFailureMs ||= nowMs;
      this.lastFailureMs = nowMs;
    }, SAMPLE_MS);
    for (let i = 0; i < WRITERS; i++) this.#loops.push(this.#writeLoop(this.wallets.filter((_, at) => at % WRITERS === i)));
    for (let i = 0; i < READERS; i++) {
      this.#loops.push(this.#readLoop(this.writer, 'writer'));
      this.#loops.push(this.#readLoop(this.other, 'other'));
    }
  }

  /** One write of a wallet at a time: which of two was first would be nobody's to judge. */
  async #writeLoop(own: readonly string[]): Promise<void> {
    while (!this.#stopped) {
      const wallet = own[Math.floor(this.#random() * own.length)];
      const version = this.#versions.get(wallet)!;
      if (this.#random() * INVALIDATE_ONE_IN < 1) {
        const done = await this.operation('invalidate', async () => (await this.writer.invalidate(wallet), true));
        if (done) {
          this.oracle.invalidated(wallet, version);
          this.last.set(wallet, 0);
        }
      } else {
        const result = await this.operation('update', () => this.writer.updateProfile(wallet, makeChaosProfile(wallet, version + 1)));
        if (result !== undefined) this.#noteUpdate(wallet, version + 1, result.l2 === 'stored');
      }
      await sleep(PAUSE_MS);
    }
  }

  async #readLoop(cache: ChaosCache, reader: Reader): Promise<void> {
    const pick = () => this.wallets[Math.floor(this.#random() ** 2 * this.wallets.length)];
    while (!this.#stopped) {
      const wallets = this.#random() * BULK_ONE_IN < 1 ? Array.from({ length: BULK_WALLETS }, pick) : [pick()];
      const bounds = new Map(wallets.map((wallet) => [wallet, this.oracle.bound(wallet, reader, performance.now())]));
      const found = await this.operation('read', async () => (wallets.length > 1 ? await cache.bulkPrefetch(wallets) : new Map([[wallets[0], await cache.getProfile(wallets[0])]])));
      const nowMs = performance.now();
      for (const [wallet, bound] of bounds) this.oracle.judge(found?.get(wallet), wallet, reader, bound, nowMs);
      await sleep(PAUSE_MS);
    }
  }

  #noteUpdate(wallet: string, version: number, inL2: boolean): void {
    this.#versions.set(wallet, version);
    this.last.set(wallet, version);
    this.oracle.updated(wallet, version, inL2, performance.now());
  }

  #hang(entry: UnderWay): void {
    this.hung++;
    if (this.notes.length < MAX_NOTED) this.notes.push(`${entry.what} hung`);
  }
}
