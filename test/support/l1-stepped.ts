/**
 * A region whose every access to shared memory calls a hook first: the real reader and the real writer, stopped at each of
 * their steps. A plain load or store is a step, an Atomics call is a step, and a long copy is several.
 *
 * Both run in this one thread, one inside the other: the writer is stopped at step n and whole reads run there, or the reader
 * is stopped and whole writes run there. That is every schedule with one switch, in sequentially consistent order.
 */
import type { Region } from '../../src/l1/region.ts';

/** A long copy is cut at each of this many bytes. */
const COPY_STEP_BYTES = 16;

type View = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array;
type AtomicsCall = (view: object, ...rest: number[]) => number;

const targets = new WeakMap<object, { target: View; stepper: Stepper }>();

export class Stepper {
  /** Steps taken since `start`. */
  steps = 0;
  private onStep: (() => void) | undefined;
  private inside = false;

  step = (): void => {
    this.steps++;
    if (this.inside || !this.onStep) return;
    this.inside = true;
    try {
      this.onStep();
    } finally {
      this.inside = false;
    }
  };

  /** Runs `body` with `onStep` called before each of its steps; what the hook itself does is not stepped into. */
  run<T>(body: () => T, onStep: (step: number) => void): T {
    this.steps = 0;
    this.onStep = () => onStep(this.steps);
    try {
      return body();
    } finally {
      this.onStep = undefined;
    }
  }

  region(region: Region): Region {
    return {
      ...region,
      u8: this.view(region.u8), u16: this.view(region.u16), i32: this.view(region.i32), u32: this.view(region.u32), f64: this.view(region.f64),
      bytesAt: (at, bytes) => this.view(region.bytesAt(at, bytes)),
    };
  }

  private view<V extends View>(target: V): V {
    const { step } = this;
    const whole: Record<string, (...rest: never[]) => unknown> = {
      set: (source: Uint8Array, at: number) => {
        for (let from = 0; from < source.length; from += COPY_STEP_BYTES) {
          step();
          target.set(source.subarray(from, from + COPY_STEP_BYTES), at + from);
        }
      },
      copyWithin: (to: number, from: number, end: number) => {
        for (let at = from; at < end; at += COPY_STEP_BYTES) {
          step();
          target.copyWithin(to + at - from, at, Math.min(at + COPY_STEP_BYTES, end));
        }
      },
      fill: (value: number, from: number, end: number) => {
        step();
        target.fill(value, from, end);
      },
      // What copies from it goes element by element, as from any array-like.
      subarray: (from: number, end: number) => this.view(target.subarray(from, end)),
      slice: (from: number, end: number) => {
        step();
        return target.slice(from, end);
      },
    };
    const proxy = new Proxy(target, {
      get: (_, name) => {
        if (typeof name === 'symbol') return Reflect.get(target, name, target);
        if (name in whole) return whole[name];
        const index = Number(name);
        if (Number.isInteger(index) && (!(target instanceof Uint8Array) || index % COPY_STEP_BYTES === 0)) step();
        return Reflect.get(target, name, target);
      },
      set: (_, name, value) => {
        const index = Number(name);
        if (!(target instanceof Uint8Array) || index % COPY_STEP_BYTES === 0) step();
        return Reflect.set(target, name, value, target);
      },
    });
    targets.set(proxy, { target, stepper: this });
    return proxy;
  }
}

/** From now on Atomics calls on a stepped view are steps. @returns what puts the real ones back. */
export function patchAtomics(): () => void {
  const names = ['load', 'store', 'add', 'compareExchange'] as const;
  const table = Atomics as unknown as Record<string, AtomicsCall>;
  const real = names.map((name) => table[name]);
  names.forEach((name, i) => {
    table[name] = (view, ...rest) => {
      const stepped = targets.get(view);
      if (stepped === undefined) return real[i](view, ...rest);
      stepped.stepper.step();
      return real[i](stepped.target, ...rest);
    };
  });
  return () => names.forEach((name, i) => {
    table[name] = real[i];
  });
}
