/** A wallet as bytes and hash. One instance a thread, filled anew for each operation: no allocation on a read. */
import { ProfileCacheError } from '../errors.ts';
import { hashWords } from './hash.ts';
import { MAX_KEY_BYTES, RECORD } from './layout.ts';
import { imageHash, imageKeyBytes, type RecordImage } from './record-image.ts';

const utf8Write = Buffer.prototype.utf8Write;
const BASE58_ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;

export type WalletPattern = 'base58' | RegExp | undefined;

export class WalletKey {
  readonly bytes: Uint8Array;
  /** The same bytes, four at a time. */
  readonly words: Int32Array;
  length = 0;
  hash = 0;
  private readonly buffer: Buffer;
  private readonly key0: number;
  private readonly key1: number;

  constructor(hashKey0: number, hashKey1: number) {
    this.key0 = hashKey0;
    this.key1 = hashKey1;
    this.words = new Int32Array(MAX_KEY_BYTES / 4 + 1);
    this.bytes = new Uint8Array(this.words.buffer);
    this.buffer = Buffer.from(this.words.buffer);
  }

  /** The key of a record that an I/O worker has laid out, hashed there. */
  take(image: RecordImage): this {
    const { words } = image;
    const from = image.at + RECORD.words;
    this.length = imageKeyBytes(image);
    this.hash = imageHash(image);
    for (let i = 0, count = (this.length + 3) >>> 2; i < count; i++) this.words[i] = words[from + i];
    return this;
  }

  /** `wallet` has been checked by `checkWallet`. */
  set(wallet: string): this {
    // What Buffer.write does after a look at its arguments that takes as long as the rest.
    this.length = utf8Write.call(this.buffer, wallet, 0, MAX_KEY_BYTES);
    this.hash = hashWords(this.words, this.length, this.key0, this.key1);
    return this;
  }
}

/** Throws ERR_WALLET unless `wallet` is a well-formed string of 1 to 1,024 UTF-8 bytes that matches `pattern`. */
export function checkWallet(wallet: unknown, pattern?: WalletPattern): asserts wallet is string {
  if (typeof wallet !== 'string') throw refuse(wallet, `a wallet is a string, not ${wallet === null ? 'null' : typeof wallet}`);
  if (wallet === '') throw refuse(wallet, 'a wallet is not empty');
  // UTF-16 units are never more than UTF-8 bytes, and a third of them at the least.
  if (wallet.length > MAX_KEY_BYTES || (wallet.length > MAX_KEY_BYTES / 3 && Buffer.byteLength(wallet) > MAX_KEY_BYTES)) {
    throw refuse(wallet, `a wallet has at most ${MAX_KEY_BYTES} bytes in UTF-8, this one has ${Buffer.byteLength(wallet)}`);
  }
  // A lone surrogate has no UTF-8: two such wallets would become one key.
  if (!wallet.isWellFormed()) throw refuse(wallet, 'a wallet is well-formed Unicode, this one has a lone surrogate');
  if (pattern !== undefined) {
    const regExp = pattern === 'base58' ? BASE58_ADDRESS : pattern;
    regExp.lastIndex = 0;
    if (!regExp.test(wallet)) {
      throw refuse(wallet, pattern === 'base58' ? 'is no base58 address of 32 to 44 characters' : `does not match ${regExp}`, 'walletPattern');
    }
  }
}

function refuse(wallet: unknown, why: string, option?: string): ProfileCacheError {
  const shown = typeof wallet === 'string' ? wallet.slice(0, 64) : undefined;
  return new ProfileCacheError('ERR_WALLET', shown ? `wallet ${JSON.stringify(shown)}: ${why}` : why, { wallet: shown, option });
}
