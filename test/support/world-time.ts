/**
 * Time of a simulated world: the timers, the clock and the dice that src uses are taken over while a run lasts. Nothing fires by
 * itself; `fireNext` goes to the next timer that is due.
 */
interface Timer {
  atMs: number;
  everyMs: number | undefined;
  run: () => void;
}

/** A step of the world takes this long, so that what happens later is stamped later. */
const STEP_MS = 0.01;

const real = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate, now: performance.now, random: Math.random };

/** All promise callbacks have run, and rejections that nobody has caught were told of. */
export const afterMicrotasks = (run: () => void): void => void real.setImmediate(run);
export const settled = (): Promise<void> => new Promise((resolve) => void real.setImmediate(resolve));

export class VirtualTime {
  nowMs = 1_000;
  private readonly timers: Timer[] = [];

  install(): void {
    const add = (run: () => void, delayMs: number, everyMs?: number): unknown => {
      const timer = { atMs: this.nowMs + Math.max(0, delayMs), everyMs, run };
      this.insert(timer);
      const handle = { timer, ref: () => handle, unref: () => handle };
      return handle;
    };
    const drop = (handle: { timer: Timer } | undefined) => {
      const at = handle === undefined ? -1 : this.timers.indexOf(handle.timer);
      if (at >= 0) this.timers.splice(at, 1);
      else if (handle !== undefined) handle.timer.everyMs = undefined;
    };
    const fakes = {
      setTimeout: (run: () => void, ms = 0) => add(run, ms),
      setInterval: (run: () => void, ms: number) => add(run, ms, ms),
      setImmediate: (run: () => void) => add(run, 0),
      clearTimeout: drop, clearInterval: drop, clearImmediate: drop,
    };
    Object.assign(globalThis, fakes);
    performance.now = () => this.nowMs;
    Math.random = () => 0.5;
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
