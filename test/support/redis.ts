/** What the tests on a real Redis share. */
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { FLAG_TOMBSTONE, sealEnvelope } from '../../src/codec/envelope.ts';
import { parseOptions } from '../../src/options.ts';
import type { L2OptionsInput, RedisL2Options } from '../../src/options.ts';
import type { DeleteRequest, SetRequest } from '../../src/l2/store.ts';
import type { RedisStoreContext } from '../../src/l2/redis-store.ts';
import { RedisStore } from '../../src/l2/redis-store.ts';

export interface Address {
  host: string;
  port: number;
}

let spaces = 0;

/** A key prefix of its own for each test: files share one cluster. */
export const freshPrefix = (): string => `t${process.pid}-${Date.now().toString(36)}-${++spaces}:`;

export function redisOptions(nodes: readonly Address[], more: Partial<Omit<Extract<L2OptionsInput, { kind: 'redis' }>, 'kind'>> = {}): RedisL2Options {
  return parseOptions({ l2: { kind: 'redis', nodes: nodes.map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix(), ...more } }).l2 as RedisL2Options;
}

export const testContext: RedisStoreContext = { connectTimeoutMs: 5_000, commandTimeoutMs: 4_000, channelName: 'godmode:test' };

export async function openStore(options: RedisL2Options, context: Partial<RedisStoreContext> = {}): Promise<RedisStore> {
  const store = new RedisStore(options, { ...testContext, ...context });
  await store.open();
  return store;
}

/** A real envelope whose payload is `text`. */
export function envelope(wallet: string, version: number, text = 'payload'): Uint8Array {
  const stored = Buffer.from(text);
  return sealEnvelope({ flags: 0, schemaId: 0, rawBytes: stored.length, version, createdAtMs: 1, expiresAtMs: 0, wallet }, stored);
}

export function tombstone(wallet: string, version: number): Uint8Array {
  return sealEnvelope({ flags: FLAG_TOMBSTONE, schemaId: 0, rawBytes: 0, version, createdAtMs: 1, expiresAtMs: 0, wallet }, new Uint8Array(0));
}

export const set = (wallet: string, version: number, text?: string): SetRequest => ({ wallet, version, envelope: envelope(wallet, version, text), ttlMs: 60_000 });

export const del = (wallet: string, version: number): DeleteRequest => ({ wallet, version, tombstone: tombstone(wallet, version), tombstoneTtlMs: 60_000 });

/** A bare connection for what a person would type into redis-cli; close it with `disconnect()`. */
export async function bare(address: Address, more: { username?: string; password?: string } = {}): Promise<Redis> {
  const redis = new Redis({ ...address, ...more, protocol: 2, lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false, disableClientInfo: true });
  redis.on('error', () => undefined); // The rejected command says the same.
  await redis.connect();
  return redis;
}

export async function until(what: string, done: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${withinMs} ms for ${what}`);
    await sleep(10);
  }
}
