/** How many wallets a task asks for, so that its answer fits into its chunk: learned from the records that came. */
import { ENTRY_BYTES, HEADER_BYTES } from './inbox.ts';

/** Share of the new observation in the running mean. */
const WEIGHT = 1 / 8;
/** Room for records larger than the mean. */
const HEADROOM = 1.25;

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
    return Math.max(1, Math.min(this.#maxWallets, Math.floor((this.#chunkBytes - HEADER_BYTES) / perWallet)));
  }

  learn(records: number, rawBytes: number): void {
    if (records > 0) this.#meanRawBytes += (rawBytes / records - this.#meanRawBytes) * WEIGHT;
  }
}
