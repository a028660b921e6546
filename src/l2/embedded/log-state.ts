/** What one thread knows of the log: its segments, and which record of each key is the newest. */
import { randomBytes } from 'node:crypto';
import { KeyIndex } from './key-index.ts';
import { KIND_CLEAR, KIND_FLOOR, KIND_RECORD } from './layout.ts';
import type { Segment } from './segment.ts';
import { MIN_REMEMBERED_MS } from '../remembered.ts';

const MAX_CLEARS = 16;

/** A frame and where it lies. */
export interface Placed {
  kind: number;
  version: number;
  expiresMs: number;
  writtenMs: number;
  offset: number;
  bytes: number;
}

export interface Clear {
  version: number;
  writtenMs: number;
}

export class LogState {
  index: KeyIndex;
  readonly segments = new Map<number, Segment>();
  readonly byBase = new Map<string, Segment>();
  clears: Clear[] = [];
  /** Blobs and files set aside. */
  otherBytes = 0;
  #nextId = 1;
  readonly #rememberedMs: number;

  /** @param rememberedMs how long after a clear() older writes are refused, as a tombstone of every key would do. */
  constructor(rememberedMs: number = MIN_REMEMBERED_MS) {
    this.#rememberedMs = rememberedMs;
    const seed = randomBytes(8);
    this.index = new KeyIndex(seed.readInt32LE(0), seed.readInt32LE(4));
  }

  takeId(): number {
    return this.#nextId++;
  }

  add(segment: Segment): void {
    this.segments.set(segment.id, segment);
    this.byBase.set(segment.base, segment);
  }

  /** What the index still has of it counts as absent from now on. */
  drop(segment: Segment): void {
    segment.close();
    this.segments.delete(segment.id);
    this.byBase.delete(segment.base);
  }

  totalBytes(): number {
    let bytes = this.otherBytes;
    for (const segment of this.segments.values()) bytes += segment.fileBytes;
    return bytes;
  }

  /** Slot of the key if its newest record still exists; expired ones included. */
  find(from: Uint8Array, start: number, end: number): number {
    const slot = this.index.find(from, start, end);
    return slot >= 0 && this.segments.has(this.index.segment[slot]) ? slot : -1;
  }

  /**
   * Takes one frame into account, in whatever order frames come: every process ends with the same winner.
   * 1. The higher version wins, unless the lower one was written after the higher one had expired.
   * 2. At the same version: the one written later. A copy made by cleaning is the same in both, and wins over the file that is
   *    being cleaned.
   * The loser is marked in its file by whoever first sees both, so that it cannot come back when the winner's file is gone.
   */
  apply(frame: Placed, segment: Segment, from: Uint8Array, start: number, end: number): boolean {
    if (frame.kind === KIND_CLEAR) {
      segment.hasClear = true;
      this.applyClear(frame);
      return true;
    }
    if (this.isCleared(frame.version, frame.writtenMs)) return false;
    const { index } = this;
    const known = index.find(from, start, end);
    if (known >= 0) {
      const holder = this.segments.get(index.segment[known]);
      if (holder !== undefined) {
        if (!this.#wins(frame, segment, known)) {
          if (frame.version !== index.version[known]) segment.markDead(frame.offset);
          return false;
        }
        this.#unplace(known, holder);
        if (frame.version !== index.version[known] && holder.mine && index.kind[known] !== KIND_FLOOR) holder.markDead(index.offset[known]);
      }
    }
    this.place(known >= 0 ? known : index.claim(from, start, end), frame, segment);
    return true;
  }

  /** Puts the slot's record there, whatever was in it before. */
  place(slot: number, frame: Placed, segment: Segment): void {
    const { index } = this;
    index.segment[slot] = segment.id;
    index.offset[slot] = frame.offset;
    index.bytes[slot] = frame.bytes;
    index.kind[slot] = frame.kind;
    index.version[slot] = frame.version;
    index.expiresMs[slot] = frame.expiresMs;
    index.writtenMs[slot] = frame.writtenMs;
    segment.liveBytes += frame.bytes;
  }

  /** The slot's record was overtaken by one appended elsewhere. */
  supersede(slot: number): void {
    const holder = this.segments.get(this.index.segment[slot]);
    if (holder === undefined) return;
    this.#unplace(slot, holder);
    if (this.index.kind[slot] !== KIND_FLOOR) holder.markDead(this.index.offset[slot]);
  }

  remove(slot: number): void {
    const holder = this.segments.get(this.index.segment[slot]);
    if (holder !== undefined) this.#unplace(slot, holder);
    this.index.remove(slot);
  }

  #unplace(slot: number, holder: Segment): void {
    holder.liveBytes -= this.index.bytes[slot];
  }

  #wins(frame: Placed, segment: Segment, known: number): boolean {
    const { index } = this;
    const version = index.version[known];
    if (frame.version > version) return index.writtenMs[known] < frame.expiresMs;
    if (frame.version < version) return frame.writtenMs >= index.expiresMs[known];
    if (frame.writtenMs !== index.writtenMs[known]) return frame.writtenMs > index.writtenMs[known];
    return segment.file.endsWith('.seg');
  }

  isCleared(version: number, writtenMs: number): boolean {
    for (const clear of this.clears) if (version <= clear.version && writtenMs <= clear.writtenMs) return true;
    return false;
  }

  /** Version that a recent clear() refuses, 0 without one. */
  clearFloor(nowMs: number): number {
    let floor = 0;
    for (const clear of this.clears) if (clear.writtenMs + this.#rememberedMs > nowMs && clear.version > floor) floor = clear.version;
    return floor;
  }

  /** Of the profiles that are there: the highest version, and the latest time of writing; zeros without any. */
  newest(nowMs: number): Clear {
    const { index } = this;
    let version = 0;
    let writtenMs = 0;
    for (let slot = 0; slot < index.slots; slot++) {
      if (!index.isLive(slot) || index.kind[slot] !== KIND_RECORD || index.expiresMs[slot] <= nowMs) continue;
      version = Math.max(version, index.version[slot]);
      writtenMs = Math.max(writtenMs, index.writtenMs[slot]);
    }
    return { version, writtenMs };
  }

  applyClear(clear: Clear): void {
    if (this.clears.some((old) => old.version >= clear.version && old.writtenMs >= clear.writtenMs)) return;
    const { version, writtenMs } = clear;
    this.clears = [...this.clears.filter((old) => old.version > version || old.writtenMs > writtenMs), { version, writtenMs }];
    // Past the bound the two oldest become one that covers both: more is cleared than was asked, never less.
    while (this.clears.length > MAX_CLEARS) {
      const [a, b] = this.clears.splice(0, 2);
      this.clears.unshift({ version: Math.max(a.version, b.version), writtenMs: Math.max(a.writtenMs, b.writtenMs) });
    }
    const { index } = this;
    for (let slot = 0; slot < index.slots; slot++) {
      if (index.isLive(slot) && index.version[slot] <= version && index.writtenMs[slot] <= writtenMs) this.remove(slot);
    }
  }
}
