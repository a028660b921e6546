/** Exit codes: a promise to scripts, printed by --help. */
import type { ErrorCode } from '../errors.ts';

export const EXIT = { ok: 0, failure: 1, usage: 2, l2: 3, trades: 4, stopped: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP = `Exit codes:
  0    done
  1    failed, or the wallet is not there (get), or nothing runs (cluster status)
  2    the command line is wrong
  3    L2 cannot be reached, refused us, or cannot write
  4    bad input: the trades, the list of wallets or the trace
  130  stopped by Ctrl-C or SIGTERM, after what was in flight had been finished`;

export function exitCodeOf(code: ErrorCode): ExitCode {
  switch (code) {
    case 'ERR_USAGE':
    case 'ERR_OPTION':
    case 'ERR_WALLET':
      return EXIT.usage;
    case 'ERR_L2_CONNECT':
    case 'ERR_L2_AUTH':
    case 'ERR_L2_TIMEOUT':
    case 'ERR_L2_UNAVAILABLE':
    case 'ERR_L2_STORAGE':
      return EXIT.l2;
    case 'ERR_TRADES_FILE':
    case 'ERR_TRADES_FORMAT':
    case 'ERR_WALLETS_FILE':
    case 'ERR_TRACE':
      return EXIT.trades;
    case 'ERR_ABORTED':
      return EXIT.stopped;
    default:
      return EXIT.failure;
  }
}
