/**
 * Fields that become an object's own whatever Object.prototype holds. An assignment looks there first, and calls a setter or obeys a
 * read-only field that somebody has put there; defining a field does not look, and takes ten times as long.
 */
const { defineProperty } = Object;
const { ownKeys } = Reflect;

let inherited: readonly (string | symbol)[] = [];
/** How often others have been seen to change Object.prototype. */
let changes = 0;
const isInherited = new Set<string | symbol>();
/** By length and first byte: a name of other ones is not inherited, and its hash need not be made to know that. */
const marks = new Uint8Array(4_096);
const markOf = (length: number, firstByte: number) => (firstByte | (length << 8)) & (marks.length - 1);
inheritedHasChanged();

/**
 * Once for each decode that sets fields by name: nothing in a decode calls out, so the names stand until its end.
 * @returns whether the answers of `mustDefine` may be others than last time
 */
export function inheritedHasChanged(): boolean {
  const names = ownKeys(Object.prototype);
  let i = 0;
  if (names.length === inherited.length) while (i < names.length && names[i] === inherited[i]) i++;
  if (i === names.length) return false;
  inherited = names;
  changes++;
  isInherited.clear();
  marks.fill(0);
  for (const name of names) {
    isInherited.add(name);
    const bytes = Buffer.from(String(name));
    marks[markOf(bytes.length, bytes[0] ?? 0)] = 1;
  }
  return true;
}

/** Another number once the answers of `mustDefine` may be others. */
export const inheritedChanges = (): number => changes;
/** Whether a field of this name has to be defined. */
export const mustDefine = (name: string): boolean => isInherited.has(name);
/** False only where `mustDefine` is, for a name of so many bytes in UTF-8. */
export const mayBeInherited = (bytes: number, firstByte: number): boolean => marks[markOf(bytes, firstByte)] === 1;

export function setOwnField(object: object, name: string, value: unknown): void {
  defineProperty(object, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true } as PropertyDescriptor);
}
