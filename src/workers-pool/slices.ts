/**
 * Work on the owner thread in slices: whatever arrives at once, no more than `sliceMs` of it runs before the event loop turns.
 * The first slice of a turn runs at once, so that a lone answer is not delayed.
 */
export interface SlicedWork {
  /** Works until done (true) or until the clock has passed `untilMs`; makes some progress in any case. */
  step(untilMs: number): boolean;
}

export class Slices {
  readonly #sliceMs: number;
  readonly #queue: SlicedWork[] = [];
  #scheduled = false;
  #running = false;
  #spentMs = 0;
  #slices = 0;
  #longestMs = 0;

  constructor(sliceMs: number) {
    this.#sliceMs = sliceMs;
  }

  get queued(): number {
    return this.#queue.length;
  }
  get slices(): number {
    return this.#slices;
  }
  get longestMs(): number {
    return this.#longestMs;
  }

  push(work: SlicedWork): void {
    this.#queue.push(work);
    // A visitor may start new reads; their answers wait for the slice that is running.
    if (this.#running) return;
    if (this.#spentMs < this.#sliceMs) this.#run();
    this.#schedule();
  }

  #run(): void {
    const startMs = performance.now();
    const untilMs = startMs + this.#sliceMs - this.#spentMs;
    this.#running = true;
    this.#slices++;
    try {
      while (this.#queue.length > 0 && this.#queue[0].step(untilMs)) {
        this.#queue.shift();
        if (performance.now() >= untilMs) break;
      }
    } finally {
      this.#running = false;
    }
    const tookMs = performance.now() - startMs;
    this.#spentMs += tookMs;
    if (tookMs > this.#longestMs) this.#longestMs = tookMs;
  }

  /** Also with an empty queue: the turn of the event loop is what resets the budget. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    this.#spentMs = 0;
    if (this.#queue.length === 0) return;
    this.#run();
    this.#schedule();
  };
}
