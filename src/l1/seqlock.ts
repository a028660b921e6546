/**
 * The sequence lock of one slot: one writer (the owner), any number of readers that hold nothing.
 *
 *   writer                               reader
 *   1. seq odd                           1. s = seq; odd: try again
 *   2. version += 1 (content changes)    2. read version, offset, record header, key; copy the payload to private memory
 *   3. offset = new record               3. seq still s? then all of step 2 belongs together
 *   4. seq even
 *
 * Version changes while seq is odd, not before: or a reader could pair the old content with the new version and its near cache
 * would keep that pair. Both words are stored atomically: a plain store may become visible before the odd seq (ARM64).
 *
 * The writer never overwrites bytes that a slot with an unchanged seq points to: it changes seq first (an update, a removal and a
 * move all do), and reuses the memory later. So a reader that finds seq unchanged has copied bytes that nobody touched.
 *
 * Step 3 must not be passed by the loads of step 2. On x64 loads are not reordered with loads, so an atomic load closes the
 * read. Elsewhere (ARM64: LDAR does not hold back earlier plain loads) a read-don't-modify-write closes it (Boehm, "Can
 * seqlocks get along with programming language memory models?", MSPC 2012). native-notes/memory-ordering.md has the argument.
 */

/** Tries before a read is given up as contended; the owner holds a slot odd for well under a microsecond. */
export const MAX_READ_TRIES = 64;

export function beginChange(words: Int32Array, seqAt: number): void {
  Atomics.store(words, seqAt, (words[seqAt] + 1) | 0);
}

export function endChange(words: Int32Array, seqAt: number): void {
  Atomics.store(words, seqAt, (words[seqAt] + 1) | 0);
}

export function openRead(words: Int32Array, seqAt: number): number {
  return Atomics.load(words, seqAt);
}

const loadsStayInOrder = process.arch === 'x64' || process.arch === 'ia32';

export const closeRead: (words: Int32Array, seqAt: number, opened: number) => boolean = loadsStayInOrder
  ? (words, seqAt, opened) => Atomics.load(words, seqAt) === opened
  : (words, seqAt, opened) => Atomics.add(words, seqAt, 0) === opened;
