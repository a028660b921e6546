/**
 * Date, Map and Set that cannot be changed. Object.freeze does not reach their inner state, so the mutators are replaced; what
 * they are stays: `constructor` is Date / Map / Set (comparisons such as toStrictEqual look there), `instanceof` holds and
 * structuredClone gives an ordinary, mutable copy. `Date.prototype.setTime.call(frozen, 0)` is beyond reach: it names the trick.
 */
function refuse(): never {
  throw new TypeError('a profile from the cache is frozen; make a copy of the Date, Map or Set to change it');
}

class FrozenDate extends Date {}
class FrozenMap extends Map<unknown, unknown> {}
class FrozenSet extends Set<unknown> {}

function seal(type: { prototype: object }, base: { prototype: object }, mutators: readonly string[]): void {
  for (const name of mutators) Object.defineProperty(type.prototype, name, { value: refuse, writable: false });
  Object.defineProperty(type.prototype, 'constructor', { value: base, writable: false });
  Object.freeze(type.prototype);
}

seal(FrozenDate, Date, Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')));
seal(FrozenMap, Map, ['set', 'delete', 'clear']);
seal(FrozenSet, Set, ['add', 'delete', 'clear']);

export const frozenDate = (epochMs: number): Date => Object.freeze(new FrozenDate(epochMs));

/** An empty one to be filled by `putInto` / `addTo` and then frozen with Object.freeze. */
export const openMap = (): Map<unknown, unknown> => new FrozenMap();
export const openSet = (): Set<unknown> => new FrozenSet();

const mapSet = Map.prototype.set;
const setAdd = Set.prototype.add;
export const putInto = (map: Map<unknown, unknown>, key: unknown, value: unknown): void => void mapSet.call(map, key, value);
export const addTo = (set: Set<unknown>, value: unknown): void => void setAdd.call(set, value);
