/** A file of wallets: one a line, blank lines and # comments ignored, duplicates once. */
import { createReadStream } from 'node:fs';
import { ProfileCacheError } from '../errors.ts';
import { LineSplitter } from '../profiler/trades-lines.ts';
import type { checkWallet as CheckWallet } from '../profiler/wallet-profiler.ts';

const MAX_WALLETS = 10_000_000;

/** `-` is stdin. @throws ERR_WALLETS_FILE naming the line */
export async function readWallets(path: string, signal?: AbortSignal): Promise<string[]> {
  // Annotated: an assertion function has to be.
  const checkWallet: typeof CheckWallet = (await import('../profiler/wallet-profiler.ts')).checkWallet;
  const wallets = new Set<string>();
  const bad = (line: number, why: string): never => {
    throw new ProfileCacheError('ERR_WALLETS_FILE', `${path}: line ${line}: ${why}; it takes one wallet a line`, { line });
  };
  const lines = new LineSplitter({
    line(text, number) {
      const wallet = text.trim();
      if (wallet === '' || wallet.startsWith('#')) return;
      try {
        checkWallet(wallet);
      } catch (error) {
        bad(number, (error as Error).message);
      }
      if (wallet.includes('\0') || wallet.includes('\ufffd')) bad(number, 'is no UTF-8 text');
      if (wallets.add(wallet).size > MAX_WALLETS) bad(number, `more than ${MAX_WALLETS} wallets`);
    },
    overlong: (number) => bad(number, 'is far too long for a wallet'),
  });
  const decoder = new TextDecoder('utf-8');
  try {
    for await (const bytes of path === '-' ? process.stdin : createReadStream(path, { signal })) lines.push(decoder.decode(bytes as Uint8Array, { stream: true }));
  } catch (error) {
    if (signal?.aborted) throw new ProfileCacheError('ERR_ABORTED', 'stopped while reading the wallets', { cause: error });
    if (error instanceof ProfileCacheError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code === 'EACCES' ? 'no permission to read it' : message;
    throw new ProfileCacheError('ERR_WALLETS_FILE', `${path}: ${why}; --wallets takes a file with one wallet a line`, { cause: error });
  }
  lines.push(decoder.decode());
  lines.end();
  if (wallets.size === 0) throw new ProfileCacheError('ERR_WALLETS_FILE', `${path}: holds no wallets; it takes one wallet a line`);
  return [...wallets];
}
