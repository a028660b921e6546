/**
 * Time of a simulated world: the timers, the clock and the dice that src uses are taken over while a run lasts. Nothing fires by
 * itself; `fireNext` goes to the next timer that is due.
 */
class Timer {
  atMs: number;
  everyMs: number | undefined;
  readonly run: () => void;

  constructor(run: () => void, atMs: number, everyMs: number | undefined) {
    this.run = run;
    this.atMs = atMs;
    this.everyMs = everyMs;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** A step of the world takes this long, so that what happens later is stamped later. */
const STEP_MS = 0.01;

const real = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate, now: performance.now, random: Math.random };

/** All promise callbacks have run, and rejections that nobody has caught were told of. */
export const afterMicrotasks = (run: () => void): void => void real.setImmediate(run);
export const settled = (): Promise<void> => new Promise((resolve) => void real.setImmediate(resolve));

let current: VirtualTime;

/** Made once: what each of a hundred thousand runs made anew would be compiled anew, too. */
const fakes = {
  setTimeout: (run: () => void, ms = 0) => current.add(run, ms),
  setInterval: (run: () => void, ms: number) => current.add(run, ms, ms),
  setImmediate: (run: () => void) => current.add(run, 0),
  clearTimeout: (timer: Timer | undefined) => current.drop(timer),
  clearInterval: (timer: Timer | undefined) => current.drop(timer),
  clearImmediate: (timer: Timer | undefined) => current.drop(timer),
};
const fakeNow = (): number => current.nowMs;
const fakeRandom = (): number => 0.5;

function takeOver(time: VirtualTime): void {
  current = time;
  Object.assign(globalThis, fakes);
  performance.now = fakeNow;
  Math.random = fakeRandom;
}

export class VirtualTime {
  nowMs = 1_000;
  private readonly timers: Timer[] = [];

  install(): void {
    takeOver(this);
  }

  add(run: () => void, delayMs: number, everyMs?: number): Timer {
    const timer = new Timer(run, this.nowMs + Math.max(0, delayMs), everyMs);
    this.insert(timer);
    return timer;
  }

  drop(timer: Timer | undefined): void {
    if (timer === undefined) return;
    const at = this.timers.indexOf(timer);
    if (at >= 0) this.timers.splice(at, 1);
    // It is being fired: not again.
    else timer.everyMs = undefined;
  }

  static restore(): void {
    const { now, random, ...timers } = real;
    Object.assign(globalThis, timers);
    performance.now = now;
    Math.random = random;
  }

  step(): void {
    this.nowMs += STEP_MS;
  }

  /** Time passes while nothing happens but what is due. */
  pass(ms: number): void {
    while (this.due) this.fireNext();
    this.nowMs += ms;
    while (this.due) this.fireNext();
  }

  /** A timer's time has come. */
  get due(): boolean {
    return this.timers.length > 0 && this.timers[0].atMs <= this.nowMs;
  }

  /** The next timer, whenever it is due. */
  fireNext(): void {
    const timer = this.timers.shift();
    if (timer === undefined) return;
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    timer.run();
    if (timer.everyMs !== undefined) {
      timer.atMs = this.nowMs + timer.everyMs;
      this.insert(timer);
    }
  }

  private insert(timer: Timer): void {
    let at = this.timers.length;
    while (at > 0 && this.timers[at - 1].atMs > timer.atMs) at--;
    this.timers.splice(at, 0, timer);
  }
}
