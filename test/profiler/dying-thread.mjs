/** The profiling thread, made mortal: the name of a wallet decides. Counts across threads lie in the shared trades' own memory. */
import { workerData } from 'piscina';
import { ProfileCacheError } from '../../dist/src/errors.js';
import { openProfileThread } from '../../dist/src/profiler/profile-thread.js';

const run = openProfileThread(workerData);
// No test reads the amount of tokens of the first trade: a mark there outlives this thread.
const mark = workerData.trades.tokens;

export default (task) => {
  for (const wallet of task.wallets ?? []) {
    if (wallet === 'dies-always') process.exit(1);
    if (wallet.startsWith('dies-once') && mark[0] !== -1) {
      mark[0] = -1;
      process.exit(1);
    }
    if (wallet === 'throws-typed') {
      return { kind: 'error', error: new ProfileCacheError('ERR_TRADES_FORMAT', 'thrown in the thread', { line: 7 }).toWire() };
    }
  }
  return run(task);
};
