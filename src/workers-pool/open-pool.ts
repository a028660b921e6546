/** Starts the threads and waits until each has opened its store; what goes wrong is one typed error, with nothing left running. */
import { systemClock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import { rememberedMs } from '../l2/remembered.ts';
import { describeL2 } from '../options.ts';
import type { ResolvedOptions } from '../options.ts';
import type { InboxShape } from './inbox.ts';
import type { L2ClientInternals, Limits } from './limits.ts';
import { WorkerPool } from './pool.ts';
import type { WorkerData } from './protocol.ts';
import { workerUrl } from './worker-url.ts';

/** A thread and its modules take this long on a busy machine, before it begins to connect. */
const START_THREAD_MS = 10_000;

/** What every store of this cache is made with. */
export const storeTimes = (options: ResolvedOptions) => ({
  channelName: options.channel.name,
  connectTimeoutMs: options.connectTimeoutMs,
  // The store gives up first, so that its own error (which node, what happened) is the one that is told.
  commandTimeoutMs: Math.max(1, Math.floor(options.l2TimeoutMs * 0.9)),
  maxProfileBytes: options.maxProfileBytes,
  rememberedMs: rememberedMs(options),
});

export async function openPool(options: ResolvedOptions, inbox: InboxShape, limits: Limits, internals: L2ClientInternals): Promise<WorkerPool> {
  const { l2, workers, connectTimeoutMs } = options;
  if (l2.kind === 'none') throw new ProfileCacheError('ERR_OPTION', 'l2: is none; there is nothing to connect to', { option: 'l2' });
  const workerData: WorkerData = {
    l2,
    ...storeTimes(options),
    compression: options.codec.compression,
    graceMs: options.load.graceSeconds * 1000,
    maxSpillBytes: limits.maxSpillBytes,
    inbox,
    storeModule: internals.storeModule,
    storeData: internals.storeData,
  };
  const pool = new WorkerPool({
    entry: internals.entry ?? workerUrl('l2-io'),
    threads: workers,
    threadsAtWork: limits.threadsAtWork,
    tasksPerThread: limits.tasksPerThread,
    workerData,
    resourceLimits: internals.resourceLimits,
    // No loaders of the process: compiling TypeScript on the way, as tsx does, makes these threads start late and run slower.
    execArgv: internals.execArgv ?? [],
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const deadlineMs = systemClock.monotonicMs() + START_THREAD_MS + connectTimeoutMs;
    const opened = pool.threadIds.map(async (pinnedTo) => {
      const reply = await pool.run({ op: 'open', seq: 1, deadlineMs }, { pinnedTo });
      if (reply.is === 'failed') throw ProfileCacheError.fromWire(reply.error);
      if (reply.is === 'late') throw connectTimeout();
    });
    const connectTimeout = () =>
      new ProfileCacheError('ERR_L2_CONNECT', `${describeL2(l2)} was not open within ${START_THREAD_MS + connectTimeoutMs} ms; is it running? else raise connectTimeoutMs`, { option: 'connectTimeoutMs' });
    const tooLate = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(connectTimeout()), START_THREAD_MS + connectTimeoutMs)));
    await Promise.race([Promise.all(opened), tooLate]);
    return pool;
  } catch (error) {
    await pool.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
