/**
 * Ctrl-C, SIGTERM, and a reader of our output that has gone: all ask the running command to take no more work and finish what is in
 * flight. A second signal ends the process at once.
 */
import { EXIT } from './exit-codes.ts';

export type StopReason = 'SIGINT' | 'SIGTERM' | 'EPIPE';

export class Stop {
  reason: StopReason | undefined;
  readonly #controller = new AbortController();

  /** `onSignal` tells the person what happens now; it is called once. */
  listen(onSignal: (reason: StopReason) => void): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        if (this.bySignal) process.exit(EXIT.stopped);
        this.request(name);
        onSignal(name);
      });
    }
  }

  /** A signal weighs more than a closed pipe: it decides the exit code. */
  request(reason: StopReason): void {
    if (this.reason === undefined || this.reason === 'EPIPE') this.reason = reason;
    this.#controller.abort(reason);
  }

  get requested(): boolean {
    return this.reason !== undefined;
  }

  get bySignal(): boolean {
    return this.reason !== undefined && this.reason !== 'EPIPE';
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
}
