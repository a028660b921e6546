/**
 * Messages between attached threads and the owner. A handle must survive structured clone without a transfer list, so it
 * cannot carry a MessagePort; BroadcastChannel needs only a name.
 *
 *   <name>          attached thread: "hello, I am <id>"; owner: events for every thread
 *   <name>/<id>     requests of one thread and the owner's answers: nobody else is woken by them
 *
 * The hello is repeated until the owner says "ready" on the private channel; requests made meanwhile wait.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { randomUUID } from 'node:crypto';
import { ProfileCacheError, type WireError } from '../errors.ts';
import { deferred, type Deferred } from './deferred.ts';

type Hello = { hello: string };
type EventNote = { event: string; detail: unknown };
type Request = { id: number; verb: string; args: unknown };
type Answer = { ready: true } | { id: number; value?: unknown; error?: WireError } | { closed: true };

const HELLO_INTERVAL_MS = 20;

/** BroadcastChannel as Node has it: ref and unref, and messages by `onmessage`. */
type Channel = BroadcastChannel & { ref(): void; unref(): void };

function openChannel(name: string, onMessage: (data: unknown) => void): Channel {
  const channel = new BroadcastChannel(name) as Channel;
  channel.onmessage = (message: unknown) => onMessage((message as { data: unknown }).data);
  channel.unref();
  return channel;
}

export type Serve = (verb: string, args: unknown) => Promise<unknown>;

export class OwnerLink {
  private readonly name: string;
  private readonly serve: Serve;
  private readonly common: Channel;
  private readonly threads = new Map<string, Channel>();

  constructor(name: string, serve: Serve) {
    this.name = name;
    this.serve = serve;
    this.common = openChannel(name, (data) => this.onHello(data as Hello | EventNote));
  }

  /** Tells every attached thread. */
  announce(event: string, detail: unknown): void {
    if (this.threads.size > 0) this.common.postMessage({ event, detail } satisfies EventNote);
  }

  close(): void {
    for (const channel of this.threads.values()) {
      channel.postMessage({ closed: true } satisfies Answer);
      channel.close();
    }
    this.threads.clear();
    this.common.close();
  }

  private onHello(data: Hello | EventNote): void {
    if (!('hello' in data)) return;
    let channel = this.threads.get(data.hello);
    if (channel === undefined) {
      channel = openChannel(`${this.name}/${data.hello}`, (request) => void this.onRequest(data.hello, request as Request | { bye: true }));
      this.threads.set(data.hello, channel);
    }
    channel.postMessage({ ready: true } satisfies Answer);
  }

  private async onRequest(thread: string, request: Request | { bye: true }): Promise<void> {
    if ('bye' in request) {
      this.threads.get(thread)?.close();
      this.threads.delete(thread);
      return;
    }
    let answer: Answer;
    try {
      answer = { id: request.id, value: await this.serve(request.verb, request.args) };
    } catch (error) {
      answer = { id: request.id, error: ProfileCacheError.from(error, 'ERR_OWNER_GONE').toWire() };
    }
    this.threads.get(thread)?.postMessage(answer);
  }
}

export class ThreadLink {
  private readonly id = randomUUID();
  private readonly common: Channel;
  private readonly own: Channel;
  private readonly waiting = new Map<number, Deferred<unknown>>();
  private unsent: Request[] = [];
  private ready = false;
  private closed = false;
  private lastId = 0;
  private readonly hello: NodeJS.Timeout;

  constructor(name: string, onEvent: (event: string, detail: unknown) => void) {
    this.common = openChannel(name, (data) => {
      const note = data as Hello | EventNote;
      if ('event' in note) onEvent(note.event, note.detail);
    });
    this.own = openChannel(`${name}/${this.id}`, (data) => this.onAnswer(data as Answer));
    this.hello = setInterval(() => this.sayHello(), HELLO_INTERVAL_MS);
    this.hello.unref();
    this.sayHello();
  }

  /** Rejects with what the owner threw, or ERR_OWNER_GONE after `deadlineMs` or when the owner closes. */
  async call(verb: string, args: unknown, deadlineMs: number): Promise<unknown> {
    if (this.closed) throw ownerGone('it has closed');
    const request: Request = { id: ++this.lastId, verb, args };
    const answer = deferred<unknown>();
    this.waiting.set(request.id, answer);
    // While someone waits, the thread must not end under him.
    if (this.waiting.size === 1) this.own.ref();
    const timer = setTimeout(() => answer.reject(ownerGone(`it did not answer within ${deadlineMs} ms`)), deadlineMs);
    if (this.ready) this.own.postMessage(request);
    else this.unsent.push(request);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.waiting.delete(request.id);
      if (this.waiting.size === 0 && !this.closed) this.own.unref();
    }
  }

  close(): void {
    if (this.closed) return;
    if (this.ready) this.own.postMessage({ bye: true });
    this.shut('this thread has closed its cache');
  }

  private onAnswer(answer: Answer): void {
    if ('ready' in answer) {
      if (this.ready) return;
      this.ready = true;
      clearInterval(this.hello);
      for (const request of this.unsent) this.own.postMessage(request);
      this.unsent = [];
    } else if ('closed' in answer) {
      this.shut('it has closed');
    } else if (answer.error !== undefined) {
      this.waiting.get(answer.id)?.reject(ProfileCacheError.fromWire(answer.error));
    } else {
      this.waiting.get(answer.id)?.resolve(answer.value);
    }
  }

  private shut(why: string): void {
    this.closed = true;
    clearInterval(this.hello);
    for (const answer of this.waiting.values()) answer.reject(ownerGone(why));
    this.common.close();
    this.own.close();
  }

  private sayHello(): void {
    this.common.postMessage({ hello: this.id } satisfies Hello);
  }
}

function ownerGone(why: string): ProfileCacheError {
  return new ProfileCacheError('ERR_OWNER_GONE', `the thread that owns this cache is not there: ${why}; L1 can still be read`);
}
