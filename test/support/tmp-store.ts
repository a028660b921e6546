/** Options of an embedded store for tests: no free-space floor, so that a small tmpfs will do. */
import { parseOptions, type EmbeddedL2Options } from '../../src/options.ts';

export function embeddedOptions(path: string, more: Partial<EmbeddedL2Options> = {}): EmbeddedL2Options {
  const { l2 } = parseOptions({ l2: { kind: 'embedded', path, minFreeBytes: 0, ...more } });
  if (l2.kind !== 'embedded') throw new Error('not an embedded store');
  return l2;
}
