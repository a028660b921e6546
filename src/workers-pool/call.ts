/** One call that is no batch: clear, publish, blobs, leases, health. */
import { ProfileCacheError } from '../errors.ts';
import type { Job } from './dispatcher.ts';
import { Operation, timeoutError } from './operation.ts';
import type { CallTask, CallValue, Reply, Task } from './protocol.ts';
import type { WriteParts } from './store-writes.ts';

type WithoutHead<T> = T extends unknown ? Omit<T, 'seq' | 'deadlineMs'> : never;
export type CallRequest = WithoutHead<CallTask>;

export class Call implements Job {
  readonly needsChunk = false;
  readonly #operation: Operation<CallValue>;
  readonly #request: CallRequest;
  readonly #timedOut: () => ProfileCacheError;

  constructor(parts: WriteParts, request: CallRequest) {
    this.#request = request;
    this.#timedOut = () => timeoutError(`${request.op} of L2`, parts.timeoutMs);
    this.#operation = new Operation(parts.dispatcher, parts.clock, parts.timeoutMs, () => {
      parts.counts.timeouts++;
      this.#operation.reject(this.#timedOut());
    });
  }

  get deadlineMs(): number {
    return this.#operation.deadlineMs;
  }
  get settled(): boolean {
    return this.#operation.settled;
  }

  start(): Promise<CallValue> {
    this.#operation.start(this);
    return this.#operation.promise;
  }

  build(seq: number): { task: Task } {
    return { task: { ...this.#request, seq, deadlineMs: this.deadlineMs } as CallTask };
  }

  answered(reply: Reply, { release }: { release: () => void }): void {
    release();
    if (reply.is === 'value') this.#operation.resolve(reply.value);
    else if (reply.is === 'late') this.failed(this.#timedOut());
    else if (reply.is === 'failed') this.failed(ProfileCacheError.fromWire(reply.error));
    else this.failed(new ProfileCacheError('ERR_WORKER', 'an I/O worker answered a task that it was not given'));
  }

  failed(error: ProfileCacheError): void {
    this.#operation.reject(error);
  }
}
