/** A wallet as the log has it: UTF-8, in one buffer that is used again and again. */
import { ProfileCacheError } from '../../errors.ts';
import { MAX_KEY_BYTES } from './layout.ts';

export class WalletBytes {
  /** The wallet encoded last, from its start. */
  readonly key: Buffer = Buffer.alloc(MAX_KEY_BYTES + 4);

  /** Its length in bytes. Throws ERR_WALLET for one that is too long. */
  encode(wallet: string): number {
    if (wallet.length > MAX_KEY_BYTES || Buffer.byteLength(wallet) > MAX_KEY_BYTES) {
      throw new ProfileCacheError('ERR_WALLET', `a wallet takes at most ${MAX_KEY_BYTES} bytes in UTF-8`, { wallet });
    }
    return this.key.write(wallet, 'utf8');
  }
}
