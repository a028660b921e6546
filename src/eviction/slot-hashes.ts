/** Where the owner of the slots keeps the hash of each resident key: `words[first + slot * step]`, from before `inserted` until `removed` has returned. */
export interface KeptHashes {
  words: Uint32Array;
  first: number;
  step: number;
}

/** The hash of each slot's key: read where the engine has it anyway, or kept here, 4 bytes a slot. */
export class SlotHashes {
  /** Bytes of its own. */
  readonly bytes: number;
  private readonly words: Uint32Array;
  private readonly first: number;
  private readonly step: number;

  constructor(slotCount: number, kept?: KeptHashes) {
    this.bytes = kept === undefined ? slotCount * 4 : 0;
    this.words = kept?.words ?? new Uint32Array(slotCount);
    this.first = kept?.first ?? 0;
    this.step = kept?.step ?? 1;
  }

  of(slot: number): number {
    return this.words[this.first + slot * this.step];
  }

  inserted(slot: number, hash: number): void {
    if (this.bytes > 0) this.words[slot] = hash;
  }
}
