import { ProfileCacheError } from '../errors.ts';

/**
 * The one error for bytes that are damaged, foreign or hostile. `path` names the part that is wrong: a field of the envelope
 * (`crc`, `wallet`, …), `lz4`, `schema` (the structure table is not known here) or `value`.
 */
export function corrupt(reason: string, path: string, cause?: unknown): ProfileCacheError {
  return new ProfileCacheError('ERR_L2_CORRUPT', `the record is corrupt: ${reason}; it counts as a miss and the next update replaces it`, {
    path,
    cause,
  });
}
