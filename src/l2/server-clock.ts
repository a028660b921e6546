/** The clock of a Redis node against ours: deadlines inside scripts are told in its time. */
import { systemClock } from '../clock.ts';

export class ServerClock {
  /** When a sample was last begun, on our monotonic clock. */
  sampledAtMs = -Infinity;
  readonly #askTime: () => Promise<unknown>;
  /** Its clock minus our monotonic one. */
  #offsetMs = 0;
  #uncertaintyMs = Infinity;

  /** @param askTime the reply of TIME, seconds and microseconds as text */
  constructor(askTime: () => Promise<unknown>) {
    this.#askTime = askTime;
  }

  /** Epoch milliseconds; NaN before the first sample. */
  nowMs(): number {
    return systemClock.monotonicMs() + (this.offsetMs ?? Number.NaN);
  }

  get offsetMs(): number | undefined {
    return this.#uncertaintyMs === Infinity ? undefined : this.#offsetMs;
  }

  /** How far off it may be: half a round trip. Infinity before the first sample. */
  get uncertaintyMs(): number {
    return this.#uncertaintyMs;
  }

  /** Rejects as the question does. */
  async sample(): Promise<void> {
    const sentMs = systemClock.monotonicMs();
    this.sampledAtMs = sentMs;
    const [seconds, micros] = (await this.#askTime()) as [string, string];
    const receivedMs = systemClock.monotonicMs();
    this.#uncertaintyMs = (receivedMs - sentMs) / 2;
    this.#offsetMs = Number(seconds) * 1e3 + Number(micros) / 1e3 - (sentMs + receivedMs) / 2;
  }
}
