/** How many wallets a task asks for, so that its answer fits into its chunk: learned from the records that came. */
import { ENTRY_BYTES, HEADER_BYTES } from './inbox.ts';

/** The mean follows about this many records. */
const MEMORY_RECORDS = 256;
/** Room for records larger than the mean. */
const HEADROOM = 1.25;
/** Fewer would make a task dearer than the trip beside the inbox that large records take. */
export const MIN_WALLETS_PER_TASK = 16;

export class TaskSizer {
  readonly #chunkBytes: number;
  readonly #maxWallets: number;
  /** Before anything is known. */
  #meanRawBytes = 1_024;

  constructor(chunkBytes: number, maxWallets: number) {
    this.#chunkBytes = chunkBytes;
    this.#maxWallets = maxWallets;
  }

  get walletsPerTask(): number {
    const perWallet = ENTRY_BYTES + 8 + this.#meanRawBytes * HEADROOM;
    return Math.min(this.#maxWallets, Math.max(MIN_WALLETS_PER_TASK, Math.floor((this.#chunkBytes - HEADER_BYTES) / perWallet)));
  }

  learn(records: number, rawBytes: number): void {
    if (records > 0) this.#meanRawBytes += (rawBytes / records - this.#meanRawBytes) * (records / (records + MEMORY_RECORDS));
  }
}
