/** How ioredis is told to connect: it may reconnect, and must never send by itself what was reported as failed. */
import type { RedisOptions } from 'ioredis';
import type { RedisL2Options } from '../options.ts';

/** Options that every connection of ours shares, the subscriber's included. */
export function connectionOptions(host: string, port: number, redis: RedisL2Options): RedisOptions {
  return {
    host,
    port,
    username: redis.username,
    password: redis.password,
    tls: redis.tls === false ? undefined : redis.tls === true ? {} : { ...redis.tls },
    // RESP2: nothing here needs RESP3, and its integers near 2^53 are off by one in ioredis 6.0.0.
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    // Its INFO would be one more permission; LOADING is an answer that we understand.
    enableReadyCheck: false,
    disableClientInfo: true,
    keepAlive: 10_000,
    disconnectTimeout: 200,
  };
}
