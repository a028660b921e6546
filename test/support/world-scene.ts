/** A simulated world whose steps a test names one by one. */
import { expect } from 'vitest';
import { History, judge, type Deed } from './world-history.ts';
import type { Fate } from './world-l2.ts';
import { ByName } from './world-order.ts';
import { World, type WorldOptions } from './world.ts';

/** Of one calendar, against the other. */
export const AHEAD_MS = 5_000;

export class Scene {
  readonly order = new ByName();
  readonly world: World;
  readonly history: History;

  constructor(options: Partial<WorldOptions> = {}) {
    this.world = new World(this.order, { skewsMs: [0, 0], hurry: 1, ...options });
    this.history = new History(this.world);
  }

  cache(node: number) {
    return this.world.nodes[node].cache;
  }

  last(): Deed {
    return this.history.deeds.at(-1) as Deed;
  }

  /** Steps whose label matches stay where they are; all others go, oldest first. */
  async runBut(held: RegExp, done: () => boolean = () => false): Promise<void> {
    await this.world.run(() => done() || (this.order.onlyWaits(held) && !this.world.time.due));
  }

  /** Gives the step its turn as soon as it waits. */
  async take(label: RegExp): Promise<void> {
    await this.world.run(() => this.order.waiting(label));
    this.order.choose(label);
    await this.world.step();
  }

  async rest(): Promise<void> {
    this.order.hold(undefined);
    expect(await this.world.run(() => !this.history.open && this.world.quiet), `at rest; ${this.order.labels()}`).toBe(true);
    expect(judge(this.history, this.world, { clocksAgree: false, calm: false, turnsLast: true, l2Keeps: true })).toEqual([]);
  }

  /** What each process answers when all is quiet; 0 for nothing. */
  async answers(wallet = 'A'): Promise<number[]> {
    await this.rest();
    const seen: number[] = [];
    this.world.nodes.forEach((node, i) => void node.cache.getProfile(wallet).then((profile) => (seen[i] = profile?.i ?? 0)));
    await this.world.run(() => seen.filter(() => true).length === this.world.nodes.length);
    return seen;
  }

  hold(label: RegExp): void {
    this.order.hold(label);
  }

  async finish(done: Promise<void>): Promise<void> {
    let over = false;
    void done.then(() => (over = true));
    expect(await this.world.run(() => over), `waiting: ${this.order.labels()}`).toBe(true);
  }
}

/** The process whose calendar is ahead has written; of that the other hears nothing until `rest`. */
export async function writtenAhead(set: (options: Partial<WorldOptions>) => Scene, fates: readonly Fate[]): Promise<Scene> {
  const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['ok', ...fates] });
  s.hold(/n1 hears/);
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  return s;
}
