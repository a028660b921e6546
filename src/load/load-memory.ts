/**
 * What this process remembers of loads that brought nothing: the wallet has no profile (`absent`), or its loader failed (`failed`).
 * Bounded: past the bound the oldest is forgotten, at the price of one load.
 *
 * A memory begins as a note when its load does, and whatever happens to the wallet from then on (an update, an invalidation, a word of
 * another process, a clear, a gap) erases it. So a load can leave only what nothing has contradicted while it ran, and nothing that
 * came later has to compare versions with it.
 */
import type { ProfileCacheError } from '../errors.ts';

export interface Memory {
  kind: 'absent' | 'failed';
  untilMs: number;
  error: ProfileCacheError;
}

interface Note {
  /** Of the load. */
  version: number;
  memory?: Memory;
}

export class LoadMemory {
  private readonly notes = new Map<string, Note>();
  private readonly maxNotes: number;

  constructor(maxNotes: number) {
    this.maxNotes = maxNotes;
  }

  get size(): number {
    return this.notes.size;
  }

  /** A load begins. */
  begin(wallet: string, version: number): void {
    this.notes.delete(wallet);
    if (this.notes.size >= this.maxNotes) this.notes.delete(this.notes.keys().next().value as string);
    this.notes.set(wallet, { version });
  }

  /** Nothing has happened to the wallet since the load of this version began. */
  stands(wallet: string, version: number): boolean {
    return this.notes.get(wallet)?.version === version;
  }

  /** The load is over; kept only if the wallet has been left alone since it began. */
  end(wallet: string, version: number, memory: Memory | undefined): void {
    const note = this.notes.get(wallet);
    if (note?.version !== version) return;
    if (memory === undefined) this.notes.delete(wallet);
    else note.memory = memory;
  }

  of(wallet: string, nowMs: number): Memory | undefined {
    const memory = this.notes.get(wallet)?.memory;
    if (memory === undefined || memory.untilMs > nowMs) return memory;
    this.notes.delete(wallet);
    return undefined;
  }

  forget(wallet: string): void {
    if (this.notes.size > 0) this.notes.delete(wallet);
  }

  clear(): void {
    this.notes.clear();
  }
}
