/**
 * What the callers of a simulated world did and saw, and what that may have been. The promises are those of DESIGN.md, section 4, and
 * native-notes/coherence.md; a breach is told in one sentence that begins with the number of its promise.
 */
import { ProfileCacheError } from '../../src/errors.ts';
import type { Numbered, World, WorldNode } from './world.ts';
import { idOf } from './world.ts';
import type { ProfileCache } from '../../src/profile-cache.ts';

export type Act = 'get' | 'bulk' | 'update' | 'invalidate' | 'load' | 'load-many' | 'clear' | 'foreign';

export interface Deed {
  act: Act;
  node: number;
  /** By a thread that is not the owner: between its call and the owner's taking it up, others may come first. */
  attached: boolean;
  wallet: string;
  begin: number;
  /** Undefined while it lasts. */
  end?: number;
  /** Of an update; of a load, once its loader has begun. */
  id?: number;
  /** What a read or a load gave; 0 for nothing. */
  seen?: number;
  l2?: string;
  error?: unknown;
  /** `seen` is a load that found that there is no profile. */
  absent?: boolean;
  beginMs: number;
}

export type LoaderActs = 'brings' | 'fails' | 'absent';

export interface LoaderCall {
  id: number;
  node: number;
  /** Its end is known to the owner when the message has arrived, later than to its caller. */
  attached: boolean;
  wallet: string;
  begin: number;
  end?: number;
  failed?: boolean;
}

export class History {
  readonly deeds: Deed[] = [];
  readonly loaders: LoaderCall[] = [];
  private readonly world: World;
  private readonly attachedCaches = new WeakSet<ProfileCache<Numbered>>();
  private moment = 0;
  private lastId = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** This cache is an attached thread's. */
  isAttached(cache: ProfileCache<Numbered>): void {
    this.attachedCaches.add(cache);
  }

  get open(): boolean {
    return this.deeds.some(({ end }) => end === undefined);
  }

  get(node: number, cache: ProfileCache<Numbered>, wallet: string): Promise<void> {
    return this.watch(this.begin('get', node, cache, wallet), async (deed) => {
      deed.seen = (await cache.getProfile(wallet))?.i ?? 0;
    });
  }

  async bulk(node: number, cache: ProfileCache<Numbered>, wallets: string[]): Promise<void> {
    const found = cache.bulkPrefetch(wallets);
    await Promise.all(wallets.map((wallet) => this.watch(this.begin('bulk', node, cache, wallet), async (deed) => {
      deed.seen = (await found).get(wallet)?.i ?? 0;
    })));
  }

  update(node: number, cache: ProfileCache<Numbered>, wallet: string): Promise<void> {
    return this.watch(this.begin('update', node, cache, wallet, ++this.lastId), async (deed) => {
      deed.l2 = (await cache.updateProfile(wallet, { i: deed.id as number })).l2;
    });
  }

  invalidate(node: number, cache: ProfileCache<Numbered>, wallet: string): Promise<void> {
    return this.watch(this.begin('invalidate', node, cache, wallet), async () => cache.invalidate(wallet));
  }

  /** Takes effect at once. */
  foreign(wallet: string): void {
    const id = ++this.lastId;
    const deed = this.begin('foreign', -1, undefined, wallet, id);
    deed.end = ++this.moment;
    deed.l2 = 'stored';
    this.world.stamps.set(id, [this.world.l2.writeForeign(wallet, this.world.foreignStamps.next(), new Uint8Array([0x81, 0xa1, 0x69, id]))]);
  }

  clear(node: number, cache: ProfileCache<Numbered>): Promise<void> {
    return this.watch(this.begin('clear', node, cache, ''), async () => cache.clear());
  }

  load(node: number, cache: ProfileCache<Numbered>, wallet: string, acts: LoaderActs): Promise<void> {
    return this.watch(this.begin('load', node, cache, wallet), async (deed) => {
      deed.seen = (await cache.getOrLoad(wallet, () => this.loader(deed, wallet, acts))).i;
    });
  }

  async loadMany(node: number, cache: ProfileCache<Numbered>, wallets: string[], acts: LoaderActs): Promise<void> {
    const deeds = new Map<string, Deed>();
    const loaded = Promise.resolve().then(() => cache.getOrLoadMany(wallets, async (missing) => {
      const all = missing.map(async (wallet) => [wallet, await this.loader(deeds.get(wallet) as Deed, wallet, acts)] as const);
      // As one request for many would be: it ends when all is over.
      await Promise.allSettled(all);
      for (const call of this.loaders) if (missing.some((wallet) => deeds.get(wallet)?.id === call.id)) call.end = ++this.moment;
      return new Map(await Promise.all(all));
    }));
    await Promise.all(wallets.map((wallet) => this.watch(this.begin('load-many', node, cache, wallet), async (deed) => {
      deeds.set(wallet, deed);
      deed.seen = (await loaded).get(wallet)?.i ?? 0;
    })));
  }

  private begin(act: Act, node: number, cache: ProfileCache<Numbered> | undefined, wallet: string, id?: number): Deed {
    const attached = cache !== undefined && this.attachedCaches.has(cache);
    // All deeds have all properties: `judge` looks at each pair of them, a hundred thousand times.
    const deed: Deed = {
      act, node, attached, wallet, begin: ++this.moment, end: undefined, id, seen: undefined, l2: undefined, error: undefined, absent: undefined, beginMs: this.world.time.nowMs,
    };
    this.deeds.push(deed);
    return deed;
  }

  private async loader(deed: Deed, wallet: string, acts: LoaderActs): Promise<Numbered> {
    const call: LoaderCall = { id: ++this.lastId, node: deed.node, attached: deed.attached, wallet, begin: ++this.moment, end: undefined, failed: undefined };
    deed.id = call.id;
    this.loaders.push(call);
    await this.world.order.wait(`n${deed.node} loader ${wallet} returns #${call.id}`);
    call.end = ++this.moment;
    if (acts === 'brings') return { i: call.id };
    call.failed = true;
    if (acts === 'absent') throw new ProfileCacheError('ERR_NOT_FOUND', `absent ${call.id}`);
    throw new Error(`loader ${call.id}`);
  }

  private async watch(deed: Deed, work: (deed: Deed) => Promise<void>): Promise<void> {
    try {
      await work(deed);
    } catch (error) {
      const absence = error instanceof ProfileCacheError && error.code === 'ERR_NOT_FOUND' ? /^absent (\d+)$/.exec(error.message) : null;
      if (absence === null) deed.error = error;
      else {
        deed.seen = Number(absence[1]);
        deed.absent = true;
      }
    }
    deed.end = ++this.moment;
  }
}

export interface Verdict {
  /** Calendars agree to less than a step: stamps are ordered as things happened. */
  clocksAgree: boolean;
  /** No request was lost, late or refused. */
  calm: boolean;
  /** No turn of a thread ran out before its loader returned. */
  turnsLast: boolean;
  /** L2 never went back in time, and reads see what is stored. */
  l2Keeps: boolean;
}

/** A run of quick hits may share a reading of the clock (src/load/hit-clock.ts). */
const QUICK_RUN_MS = 0.6;
/** L1 keeps deadlines in whole milliseconds, rounded down. */
const L1_ROUNDING_MS = 1;
const READS: readonly Act[] = ['get', 'bulk', 'load', 'load-many'];

/** The promises about what callers saw. */
export function judge(history: History, world: World, given: Verdict): string[] {
  const { deeds, loaders } = history;
  const breaches: string[] = [];
  const made = makers(history);
  for (const deed of deeds) {
    if (deed.end === undefined) breaches.push(`10: ${show(deed)} never ended`);
    else if (deed.error !== undefined) judgeError(deed, loaders, breaches);
  }
  const finished = deeds.filter((deed): deed is Deed & { end: number } => deed.end !== undefined && deed.error === undefined);
  const reads = finished.filter(({ act, seen }) => READS.includes(act) && seen !== undefined && seen !== 0);
  for (const read of reads) {
    // What a loader brings goes to its caller in any case.
    if (read.id === read.seen) continue;
    const value = made.get(read.seen as number);
    if (value === undefined || value.wallet !== read.wallet) {
      breaches.push(`1: ${show(read)} saw what nobody wrote there`);
      continue;
    }
    const expiredMs = read.beginMs - (world.expiries.get(value.id) ?? Infinity);
    if (expiredMs > QUICK_RUN_MS && (read.act === 'get' || read.act === 'bulk')) breaches.push(`1: ${show(read)} saw what had expired ${expiredMs} ms before`);
    for (const newer of finished) {
      if (newer.node !== read.node || newer.end >= read.begin || !changes(newer, read.wallet) || newer.id === read.seen) continue;
      if (isOlder(value, newer, given)) breaches.push(`2: ${show(read)} began after ${show(newer)}, and saw the older #${value.id} (${value.kind})`);
    }
  }
  judgeMonotonic(reads, world, breaches);
  judgeLoads(history, world, given, breaches);
  for (const deed of finished) {
    if (deed.act !== 'update' || deed.l2 !== 'stored') continue;
    if (!world.l2.landed.some(({ raw }) => raw !== undefined && idOf(raw) === deed.id)) breaches.push(`8: ${show(deed)} was said to be stored, and never was`);
  }
  for (const error of world.uncaught) breaches.push(`10: a rejection that nobody caught: ${String(error)}`);
  return breaches;
}

/** The promises about what is there when all is quiet: `answers` are the reads of each node after that. */
export function judgeRest(world: World, answers: { node: WorldNode; wallet: string; seen: number }[], history: History, given: Verdict): string[] {
  const breaches: string[] = [];
  for (const { node, wallet, seen } of answers) {
    const row = world.l2.row(wallet);
    const held = row?.raw === undefined ? 0 : idOf(row.raw);
    const expired = row !== undefined && row.expiresAtMs <= world.time.nowMs + L1_ROUNDING_MS;
    if (expired && (seen === 0 || seen === held)) continue;
    const stored = expired ? 0 : held;
    // It has expired since it was read.
    if (stored === 0 && (world.expiries.get(seen) ?? Infinity) <= world.time.nowMs + L1_ROUNDING_MS) continue;
    const refused = row !== undefined && row.version < node.floors.of(wallet);
    if (seen === stored || (seen === 0 && refused && clearFailed(history))) continue;
    if (!given.l2Keeps && (seen === 0 || stampOf(world, seen) > (row?.version ?? 0))) continue;
    breaches.push(`4: at rest ${node.name} answers #${seen} for ${wallet}, L2 holds #${stored}@${row?.version}; floor ${node.floors.of(wallet)}`);
  }
  const made = makers(history);
  if (given.l2Keeps) for (const wallet of new Set(answers.map((answer) => answer.wallet))) {
    const row = world.l2.row(wallet);
    const value = row?.raw === undefined ? undefined : made.get(idOf(row.raw));
    if (value === undefined || row === undefined) continue;
    for (const newer of history.deeds) {
      if (!changes(newer, wallet) || newer.id === value.id || newer.error !== undefined || !isOlder(value, newer, given)) continue;
      // Another process's word that waited in the queue may come after all.
      if (newer.l2 === 'queued' && newer.node !== value.node && !given.clocksAgree) continue;
      breaches.push(`3: at rest ${wallet} holds #${value.id} (${value.kind}), older than ${show(newer)}`);
    }
  }
  if (given.l2Keeps) for (const node of world.nodes) for (const wallet of new Set(answers.map((answer) => answer.wallet))) judgeStale(node, wallet, made, history, given, breaches);
  for (const node of world.nodes) for (const [what, size] of node.leftovers()) if (size !== 0) breaches.push(`5: ${node.name} is at rest with ${size} ${what}`);
  return breaches;
}

/** What getOrLoad could still serve when all is quiet is older than nothing that its process was told. */
function judgeStale(node: WorldNode, wallet: string, made: Map<number, Maker>, history: History, given: Verdict, breaches: string[]): void {
  const stale = node.thread.stale(wallet, Infinity);
  const value = stale && made.get((stale.profile as Numbered).i);
  if (value === undefined) return;
  for (const newer of history.deeds) {
    if (!changes(newer, wallet) || newer.id === value.id || newer.error !== undefined || !isOlder(value, newer, given)) continue;
    if (newer.l2 === 'queued' && newer.node !== value.node && !given.clocksAgree) continue;
    breaches.push(`2: at rest ${node.name} would serve the expired #${value.id} for ${wallet}, older than ${show(newer)}`);
  }
}

interface Maker {
  id: number;
  kind: 'update' | 'load';
  node: number;
  attached: boolean;
  wallet: string;
  begin: number;
  end: number | undefined;
  l2: string | undefined;
}

function makers({ deeds, loaders }: History): Map<number, Maker> {
  const made = new Map<number, Maker>();
  for (const { act, id, node, attached, wallet, begin, end, l2 } of deeds) if (act === 'update' || act === 'foreign') made.set(id as number, { id: id as number, kind: 'update', node, attached, wallet, begin, end, l2 });
  for (const { id, node, wallet, begin, end } of loaders) made.set(id, { id, kind: 'load', node, attached: false, wallet, begin, end, l2: undefined });
  return made;
}

const changes = ({ act, wallet }: Deed, of: string): boolean => act === 'clear' || ((act === 'update' || act === 'invalidate') && wallet === of);

/** `value` was over and done with, or a load of it had begun, before `newer` began. */
function isOlder(value: Maker, newer: Deed, given: Verdict): boolean {
  if (value.begin >= newer.begin) return false;
  if (newer.act === 'clear') return isCleared(value, newer);
  // A load is as old as its beginning; across processes the calendars must agree for that.
  if (value.kind === 'load') return value.node === newer.node || given.clocksAgree;
  // One thread's calls are stamped in their order.
  if (value.node === newer.node && !value.attached && !newer.attached) return true;
  if (value.end === undefined || value.end >= newer.begin) return false;
  // Of another process's write that is still queued nobody knows; it arrives when it arrives.
  return value.node === newer.node || value.l2 === 'stored';
}

/** Whatever the calendars say, and where it waited. */
function isCleared(value: Maker, clear: Deed): boolean {
  if (value.kind === 'load' || (value.node === clear.node && !value.attached && !clear.attached)) return true;
  return value.end !== undefined && value.end < clear.begin;
}

function judgeError(deed: Deed, loaders: LoaderCall[], breaches: string[]): void {
  const text = String((deed.error as Error).message);
  if (deed.act === 'clear') return;
  const loader = /^loader (\d+)$/.exec(text);
  if (loader !== null && (deed.act === 'load' || deed.act === 'load-many')) {
    const call = loaders.find(({ id }) => id === Number(loader[1]));
    // Between threads the news of its end travels: who asks meanwhile still joins.
    if (call !== undefined && (call.attached || deed.attached || (call.end as number) >= deed.begin)) return;
    breaches.push(`10: ${show(deed)} failed with "${text}", which had failed before it began`);
    return;
  }
  breaches.push(`10: ${show(deed)} failed: ${text}`);
}

function judgeMonotonic(reads: (Deed & { end: number })[], world: World, breaches: string[]): void {
  for (const first of reads) for (const second of reads) {
    if (first.node !== second.node || first.wallet !== second.wallet || first.end >= second.begin || first.seen === second.seen) continue;
    if (first.id === first.seen || second.id === second.seen || first.absent || second.absent) continue;
    const lowest = world.stamps.get(first.seen as number)?.[0] ?? 0;
    const highest = world.stamps.get(second.seen as number)?.at(-1) ?? 0;
    if (highest < lowest) breaches.push(`2: ${show(second)} went back behind ${show(first)}`);
  }
}

function judgeLoads({ loaders }: History, world: World, given: Verdict, breaches: string[]): void {
  for (const a of loaders) {
    if ((world.stamps.get(a.id)?.length ?? 0) > 1) breaches.push(`3: load #${a.id} was stamped anew: ${world.stamps.get(a.id)?.join()}`);
    for (const b of loaders) {
      if (a.id >= b.id || a.wallet !== b.wallet || b.begin >= (a.end ?? Infinity)) continue;
      if (a.node === b.node && given.turnsLast) breaches.push(`load once: #${a.id} and #${b.id} of ${a.wallet} ran together in n${a.node}`);
      else if (a.node !== b.node && given.calm) breaches.push(`load once: #${a.id} in n${a.node} and #${b.id} in n${b.node} of ${a.wallet} ran together`);
    }
  }
}

const clearFailed = (history: History): boolean => history.deeds.some(({ act, error }) => act === 'clear' && error !== undefined);
const stampOf = (world: World, id: number): number => world.stamps.get(id)?.at(-1) ?? 0;
const show = ({ act, node, wallet, id, seen, l2, begin, end }: Deed): string => `n${node} ${act} ${wallet}${id === undefined ? '' : ` #${id}`}${seen === undefined ? '' : ` -> #${seen}`}${l2 === undefined ? '' : ` (${l2})`} [${begin}-${end ?? ''}]`;
