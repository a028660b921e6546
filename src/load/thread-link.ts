/**
 * Messages between attached threads and the owner. A handle must survive structured clone without a transfer list, so it
 * cannot carry a MessagePort; BroadcastChannel needs only a name.
 *
 *   <name>            attached thread: "hello, I hold <row> as <epoch>"; owner: events for every thread
 *   <name>/<epoch>    requests of one thread and the owner's answers: nobody else is woken by them
 *
 * The hello is repeated until the owner says "ready" on the private channel; requests made meanwhile wait.
 *
 * A BroadcastChannel does not say that its other end has died. The rows do (l1/row-claim.ts): the owner closes the channel of a thread
 * that holds its row no more, and a thread whose call is not answered looks whether the owner lives.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { ProfileCacheError, type WireError } from '../errors.ts';
import type { Region } from '../l1/region.ts';
import { RowReaper, declareOwnerGone, holdsRow, ownerLife, type RowClaim } from '../l1/row-claim.ts';
import { deferred, type Deferred } from './deferred.ts';

type Hello = { hello: number; row: number };
type EventNote = { event: string; detail: unknown };
type Request = { id: number; verb: string; args: unknown };
type Answer = { ready: true } | { id: number; value?: unknown; error?: WireError } | { closed: true };

const HELLO_INTERVAL_MS = 20;
const HELLOS_BETWEEN_CHECKS = 50;
const REAP_INTERVAL_MS = 250;
/** How long a call waits before it is asked whether the owner lives, and between two such questions; less where calls have less time. */
const OWNER_CHECK_MS = 100;

/** BroadcastChannel as Node has it: ref and unref, and messages by `onmessage`. */
type Channel = BroadcastChannel & { ref(): void; unref(): void };

function openChannel(name: string, onMessage: (data: unknown) => void): Channel {
  const channel = new BroadcastChannel(name) as Channel;
  channel.onmessage = (message: unknown) => onMessage((message as { data: unknown }).data);
  channel.unref();
  return channel;
}

/** `thread` is a number that no other thread of this cache has or had. */
export type Serve = (verb: string, args: unknown, thread: number) => Promise<unknown>;

export class OwnerLink {
  private readonly name: string;
  private readonly region: Region;
  private readonly serve: Serve;
  private readonly onGone: (thread: number) => void;
  private readonly common: Channel;
  private readonly threads = new Map<number, { channel: Channel; row: number }>();
  private readonly reaper: RowReaper;
  private readonly reaping: NodeJS.Timeout;

  /** @param onGone called for every thread that has closed or died; again when it was being served just then. */
  constructor(name: string, region: Region, serve: Serve, onGone: (thread: number) => void) {
    this.name = name;
    this.region = region;
    this.serve = serve;
    this.onGone = onGone;
    this.common = openChannel(name, (data) => this.onHello(data as Hello | EventNote));
    this.reaper = new RowReaper(region);
    this.reaping = setInterval(() => this.reap(), REAP_INTERVAL_MS);
    this.reaping.unref();
  }

  /** Threads with a channel of their own. */
  get size(): number {
    return this.threads.size;
  }

  /** Tells every attached thread. */
  announce(event: string, detail: unknown): void {
    if (this.threads.size > 0) this.common.postMessage({ event, detail } satisfies EventNote);
  }

  close(): void {
    clearInterval(this.reaping);
    for (const { channel } of this.threads.values()) {
      channel.postMessage({ closed: true } satisfies Answer);
      channel.close();
    }
    this.threads.clear();
    this.common.close();
  }

  private onHello(data: Hello | EventNote): void {
    if (!('hello' in data)) return;
    const { hello: thread, row } = data;
    // A hello that comes after the thread's end would open a channel that nobody closes.
    if (!holdsRow(this.region, row, thread)) return;
    let link = this.threads.get(thread);
    if (link === undefined) {
      link = { row, channel: openChannel(`${this.name}/${thread}`, (request) => void this.onRequest(thread, request as Request | { bye: true })) };
      this.threads.set(thread, link);
    }
    link.channel.postMessage({ ready: true } satisfies Answer);
  }

  private async onRequest(thread: number, request: Request | { bye: true }): Promise<void> {
    if ('bye' in request) return this.forget(thread);
    let answer: Answer;
    try {
      answer = { id: request.id, value: await this.serve(request.verb, request.args, thread) };
    } catch (error) {
      answer = { id: request.id, error: ProfileCacheError.from(error, 'ERR_OWNER_GONE').toWire() };
    }
    const link = this.threads.get(thread);
    if (link !== undefined) link.channel.postMessage(answer);
    // It went while it was being served: what that gave it is given up too.
    else this.onGone(thread);
  }

  private reap(): void {
    this.reaper.pass();
    for (const [thread, { row }] of this.threads) if (!holdsRow(this.region, row, thread)) this.forget(thread);
  }

  private forget(thread: number): void {
    const link = this.threads.get(thread);
    if (link === undefined) return;
    this.threads.delete(thread);
    link.channel.close();
    this.onGone(thread);
  }
}

export class ThreadLink {
  private readonly region: Region;
  private readonly claimed: RowClaim;
  private readonly checkMs: number;
  private readonly common: Channel;
  private readonly own: Channel;
  private readonly waiting = new Map<number, Deferred<unknown>>();
  private unsent: Request[] = [];
  private ready = false;
  private closed = false;
  private lastId = 0;
  /** Answers, and what stood there when the owner's life was last looked at: who answers lives. */
  private answers = 0;
  private answersLooked = 0;
  private ownerCheck: NodeJS.Timeout | undefined;
  private hellos = 0;
  private readonly hello: NodeJS.Timeout;

  /** @param quickestMs the shortest that a caller is ready to wait. */
  constructor(name: string, region: Region, claimed: RowClaim, quickestMs: number, onEvent: (event: string, detail: unknown) => void) {
    this.region = region;
    this.claimed = claimed;
    this.checkMs = Math.max(1, Math.min(OWNER_CHECK_MS, quickestMs / 2));
    this.common = openChannel(name, (data) => {
      const note = data as Hello | EventNote;
      if ('event' in note) onEvent(note.event, note.detail);
    });
    this.own = openChannel(`${name}/${claimed.epoch}`, (data) => this.onAnswer(data as Answer));
    this.hello = setInterval(() => this.sayHello(), HELLO_INTERVAL_MS);
    this.hello.unref();
    this.sayHello();
  }

  /** Rejects with what the owner threw, or ERR_OWNER_GONE: after `deadlineMs`, or soon after the owner has closed or died. */
  async call(verb: string, args: unknown, deadlineMs: number): Promise<unknown> {
    if (this.closed) throw ownerGone('it has closed');
    const request: Request = { id: ++this.lastId, verb, args };
    const answer = deferred<unknown>();
    this.waiting.set(request.id, answer);
    // While someone waits, the thread must not end under him.
    if (this.waiting.size === 1) this.watchOwner();
    const timer = setTimeout(() => answer.reject(ownerGone(`it did not answer within ${deadlineMs} ms`)), deadlineMs);
    if (this.ready) this.own.postMessage(request);
    else this.unsent.push(request);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.waiting.delete(request.id);
      if (this.waiting.size === 0) this.restFromOwner();
    }
  }

  close(): void {
    if (this.closed) return;
    if (this.ready) this.own.postMessage({ bye: true });
    this.shut('this thread has closed its cache');
  }

  private watchOwner(): void {
    this.own.ref();
    this.answersLooked = this.answers;
    this.ownerCheck ??= setInterval(() => this.checkOwner(), this.checkMs);
  }

  private restFromOwner(): void {
    clearInterval(this.ownerCheck);
    this.ownerCheck = undefined;
    if (!this.closed) this.own.unref();
  }

  private checkOwner(): void {
    const silent = this.answers === this.answersLooked;
    this.answersLooked = this.answers;
    if (!silent || ownerLife(this.region) !== 'dead') return;
    declareOwnerGone(this.region);
    this.shut('it has died, or closed');
  }

  private onAnswer(answer: Answer): void {
    this.answers++;
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
    this.restFromOwner();
    for (const answer of this.waiting.values()) answer.reject(ownerGone(why));
    this.common.close();
    this.own.close();
  }

  private sayHello(): void {
    // Unanswered for a while: an owner that is dead is not called for ever.
    if (++this.hellos % HELLOS_BETWEEN_CHECKS === 0) this.checkOwner();
    if (!this.closed) this.common.postMessage({ hello: this.claimed.epoch, row: this.claimed.row } satisfies Hello);
  }
}

function ownerGone(why: string): ProfileCacheError {
  return new ProfileCacheError('ERR_OWNER_GONE', `the thread that owns this cache is not there: ${why}; L1 can still be read`);
}
