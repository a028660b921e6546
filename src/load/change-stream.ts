/** The changes of a cache as an asynchronous iteration, which ends with the cache, the signal or the loop. */
import { EventEmitter, on } from 'node:events';

/** The longest interval that a timer takes: it only has to be there. */
const FOR_EVER_MS = 2 ** 30;

/**
 * @param cache emits profileUpdated and profileInvalidated.
 * @param life emits closed.
 */
export async function* changesOf<Change extends object>(cache: EventEmitter, life: EventEmitter, stop: AbortSignal | undefined): AsyncGenerator<Change & { type: 'updated' | 'invalidated' }, void, void> {
  const merged = new EventEmitter();
  const updated = (change: Change) => merged.emit('change', { ...change, type: 'updated' });
  const invalidated = (change: Change) => merged.emit('change', { ...change, type: 'invalidated' });
  cache.on('profileUpdated', updated);
  cache.on('profileInvalidated', invalidated);
  const closed = new AbortController();
  const close = () => closed.abort();
  life.once('closed', close);
  const hold = setInterval(() => {}, FOR_EVER_MS);
  const signal = stop === undefined ? closed.signal : AbortSignal.any([closed.signal, stop]);
  try {
    for await (const [change] of on(merged, 'change', { signal })) yield change as Change & { type: 'updated' | 'invalidated' };
  } catch (error) {
    // The end of the loop, not an error of it.
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(hold);
    cache.off('profileUpdated', updated);
    cache.off('profileInvalidated', invalidated);
    life.off('closed', close);
  }
}
