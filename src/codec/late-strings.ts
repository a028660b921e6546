/**
 * Strings of a value that is being written, put into their places when all of it has been: a call of the engine to write one costs as much as 30
 * characters in a loop, and a loop looks at how the string is kept for each of them. So they are joined, written in one call, and copied.
 */

/** More go the long way. */
const MAX_STRINGS = 1_024;
/** What Buffer.write does after a look at its arguments. */
const { utf8Write } = Buffer.prototype;

export class LateStrings {
  private readonly places = new Int32Array(MAX_STRINGS);
  private readonly ends = new Int32Array(MAX_STRINGS);
  private readonly scratch: Buffer;
  private readonly words: DataView;
  private text = '';
  private count = 0;

  /** @param maxUnits of all strings together. */
  constructor(maxUnits: number) {
    this.scratch = Buffer.allocUnsafeSlow(maxUnits);
    this.words = new DataView(this.scratch.buffer);
  }

  begin(): void {
    this.text = '';
    this.count = 0;
  }

  /** `text` belongs at `from`, where its units have a byte each; false when there are too many. */
  add(text: string, from: number): boolean {
    const { count } = this;
    if (count === MAX_STRINGS) return false;
    this.places[count] = from;
    this.ends[count] = from + text.length;
    this.count = count + 1;
    this.text += text;
    return true;
  }

  /** Puts all in their places; false when one of them is not ASCII. */
  settle(bytes: Uint8Array, view: DataView): boolean {
    const { places, ends, scratch, words, text, count } = this;
    if (count === 0) return true;
    this.begin();
    // What does not fit is cut off at a character's end, three bytes from the end of the room at the most: no ASCII text is as long.
    if (utf8Write.call(scratch, text, 0) !== text.length) return false;
    let at = 0;
    for (let k = 0; k < count; k++) {
      const end = ends[k];
      let to = places[k];
      for (; to + 4 <= end; to += 4, at += 4) view.setInt32(to, words.getInt32(at));
      for (; to < end; to++) bytes[to] = scratch[at++];
    }
    return true;
  }
}
