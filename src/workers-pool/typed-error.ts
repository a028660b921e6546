import { ERROR_CODES, ProfileCacheError } from '../errors.ts';
import type { ErrorCode, WireError } from '../errors.ts';

/**
 * Our error, whatever was thrown. An error of another copy of this package (a store module loaded by URL) is no instance of
 * our class: its code says what it is.
 */
export function asTyped(error: unknown, fallback: ErrorCode): ProfileCacheError {
  if (error instanceof ProfileCacheError) return error;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && Object.hasOwn(ERROR_CODES, error.code)) {
    return new ProfileCacheError(error.code as ErrorCode, error.message, { ...(error as Partial<WireError>), cause: error });
  }
  return ProfileCacheError.from(error, fallback);
}

/** Errors of one reply: the same failure of 500 wallets (one dead node) travels once. */
export class ErrorTable {
  readonly #indexes = new Map<string, number>();
  readonly list: WireError[] = [];

  add(error: unknown, fallback: ErrorCode): number {
    const wire = asTyped(error, fallback).toWire();
    // Per wallet the owner knows which one it was.
    delete wire.wallet;
    const key = `${wire.code} ${wire.node ?? ''} ${wire.message}`;
    let index = this.#indexes.get(key);
    if (index === undefined) {
      index = this.list.push(wire) - 1;
      this.#indexes.set(key, index);
    }
    return index;
  }
}
