/** Who decides what happens next in a simulated world: fast-check's scheduler, or a test that names each step. */
import type { Scheduler } from 'fast-check';

export interface Order {
  /** Resolves when this step has its turn. */
  wait(label: string): Promise<void>;
  pending(): number;
  /** Gives one waiting step its turn. */
  next(): Promise<unknown>;
}

const DONE = Promise.resolve();

export function scheduled(scheduler: Scheduler): Order {
  return {
    wait: (label) => scheduler.schedule(DONE, label) as Promise<void>,
    pending: () => scheduler.count(),
    next: () => scheduler.waitOne(),
  };
}

/** The fixed schedules of regression tests. `choose` names the step to take; otherwise the oldest goes, the clock last. */
export class ByName implements Order {
  private readonly steps: { label: string; go: () => void }[] = [];
  private chosen: RegExp | undefined;
  private held: RegExp | undefined;
  readonly log: string[] = [];

  wait(label: string): Promise<void> {
    return new Promise((go) => void this.steps.push({ label, go }));
  }

  pending(): number {
    return this.steps.length;
  }

  /** Steps that match wait until they are chosen by name. */
  hold(label: RegExp | undefined): void {
    this.held = label;
  }

  onlyWaits(label: RegExp): boolean {
    const others = this.steps.filter((step) => step.label !== 'clock');
    return others.length > 0 && others.every((step) => label.test(step.label) || this.held?.test(step.label) === true);
  }

  /** The next step is the oldest whose label matches. */
  choose(label: RegExp): void {
    this.chosen = label;
  }

  next(): Promise<void> {
    const { chosen } = this;
    this.chosen = undefined;
    let at = this.steps.findIndex(({ label }) => (chosen === undefined ? label !== 'clock' && this.held?.test(label) !== true : chosen.test(label)));
    if (at < 0 && chosen !== undefined) throw new Error(`no step ${String(chosen)} is waiting; there are: ${this.labels()}`);
    if (at < 0) at = this.steps.findIndex(({ label }) => label === 'clock');
    if (at < 0) throw new Error(`every step is held: ${this.labels()}`);
    const [step] = this.steps.splice(at, 1);
    this.log.push(step.label);
    step.go();
    return Promise.resolve();
  }

  waiting(label: RegExp): boolean {
    return this.steps.some((step) => label.test(step.label));
  }

  labels(): string {
    return this.steps.map(({ label }) => label).join(', ');
  }
}
