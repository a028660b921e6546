/** Messages through the folder: whole, in order, once; and a gap told of whenever one may have been missed. */
import { ftruncateSync, openSync, closeSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedSource } from '../../src/channel/embedded-source.ts';
import { EmbeddedStore } from '../../src/l2/embedded-store.ts';
import type { EmbeddedL2Options } from '../../src/options.ts';
import { recordEnvelope } from '../contract/envelopes.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { embeddedOptions } from '../support/tmp-store.ts';

const channelName = 'godmode:profile_updates';
let folder: ReturnType<typeof makeTmpFolder>;
const closers: Array<() => Promise<void>> = [];

beforeEach(() => {
  folder = makeTmpFolder('source');
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  folder.remove();
});

async function open(more: Partial<EmbeddedL2Options> = {}, channel = channelName): Promise<EmbeddedStore> {
  const store = new EmbeddedStore(embeddedOptions(folder.path, more), { channelName: channel });
  await store.open();
  closers.push(() => store.close());
  return store;
}

/** Polled by hand (the timer is out of the way), so that a test says what happens between two looks. */
async function listen(pollIntervalMs = 60_000): Promise<{ source: EmbeddedSource; messages: string[]; gaps: string[] }> {
  const source = new EmbeddedSource(embeddedOptions(folder.path, { pollIntervalMs }), { channelName });
  const messages: string[] = [];
  const gaps: string[] = [];
  await source.start({ onMessage: (text) => messages.push(text), onGap: (reason) => gaps.push(reason) });
  closers.push(() => source.close());
  return { source, messages, gaps };
}

const set = (wallet: string, version: number, event: string, bodyBytes = 100) => ({ wallet, version, envelope: recordEnvelope(wallet, version, 'b'.repeat(bodyBytes)), ttlMs: 600_000, event });

describe('embedded source', () => {
  it('hears all writers in the order of each, and nothing from before its start', async () => {
    const [one, two] = [await open(), await open()];
    await one.publish('before');
    const { source, messages, gaps } = await listen();
    source.poll();
    expect(messages).toEqual([]);
    for (let i = 0; i < 50; i++) {
      await one.setMany([set(`a${i}`, 1, `one ${2 * i}`), set(`b${i}`, 1, `one ${2 * i + 1}`)]);
      await two.publish(`two ${i}`);
      if (i % 7 === 0) source.poll();
    }
    source.poll();
    expect(messages.filter((text) => text.startsWith('one'))).toEqual(Array.from({ length: 100 }, (_, i) => `one ${i}`));
    expect(messages.filter((text) => text.startsWith('two'))).toEqual(Array.from({ length: 50 }, (_, i) => `two ${i}`));
    expect(gaps).toEqual([]);
  });

  it('polls by itself', async () => {
    const store = await open();
    const { messages } = await listen(5);
    await store.publish('hello');
    for (let i = 0; i < 400 && messages.length === 0; i++) await sleep(5);
    expect(messages).toEqual(['hello']);
  });

  it('hears a writer that comes, writes and closes between two looks, and follows it over many files', async () => {
    const { source, messages, gaps } = await listen();
    const store = await open({ maxBytes: 16 * 1024 * 1024 });
    // Segments of 256 KB: the writer goes through several of them.
    for (let i = 0; i < 20; i++) await store.setMany(Array.from({ length: 50 }, (_, k) => set(`w${i}-${k}`, 1, `m ${i * 50 + k}`, 1_000)));
    await store.close();
    expect(readdirSync(join(folder.path, 'segments')).length).toBeGreaterThan(3);
    source.poll();
    expect(messages).toEqual(Array.from({ length: 1_000 }, (_, i) => `m ${i}`));
    expect(gaps).toEqual([]);
  });

  it('does not hear another channel of the same folder', async () => {
    const other = await open({}, 'another:channel');
    const { source, messages, gaps } = await listen();
    await other.publish('not for us');
    source.poll();
    expect([messages, gaps]).toEqual([[], []]);
  });

  it('tells of a gap when a file came and went unread', async () => {
    const store = await open();
    await store.publish('known');
    const { source, messages, gaps } = await listen();
    const brief = await open({ maxBytes: 1024 * 1024 });
    // 64 KB segments: the first ones are gone before the next look.
    for (let i = 0; i < 6; i++) await brief.setMany(Array.from({ length: 40 }, (_, k) => set(`w${i}-${k}`, 1, `m${i}`, 1_000)));
    const own = readdirSync(join(folder.path, 'segments')).sort();
    rmSync(join(folder.path, 'segments', own[1]));
    source.poll();
    expect(gaps).toHaveLength(1);
    expect(gaps[0]).toMatch(/are gone/);
    // And it goes on from there, without another one.
    await brief.publish('after');
    await store.publish('after too');
    source.poll();
    expect(messages.filter((text) => text.startsWith('after')).sort()).toEqual(['after', 'after too']);
    expect(gaps).toHaveLength(1);
  });

  it('tells of a gap when an eviction took what was written since the last look', async () => {
    const { source, gaps } = await listen();
    const store = await open({ maxBytes: 1024 * 1024 });
    for (let i = 0; i < 60; i++) await store.setMany(Array.from({ length: 40 }, (_, k) => set(`w${i}-${k}`, 1, `m${i}`, 1_000)));
    source.poll();
    expect(gaps.length).toBeGreaterThan(0);
  });

  it('tells of a gap when a writer came, went, and was evicted by another between two looks', async () => {
    const brief = await open({ maxBytes: 1024 * 1024 });
    const store = await open({ maxBytes: 1024 * 1024 });
    await store.publish('known');
    const { source, messages, gaps } = await listen();
    await brief.publish('lost');
    await brief.close();
    for (let i = 0; i < 30; i++) await store.setMany(Array.from({ length: 40 }, (_, k) => ({ ...set(`w${i}-${k}`, 1, '', 1_000), event: undefined })));
    source.poll();
    expect(messages).toEqual([]);
    expect(gaps).toContain('a file of the log was removed that may not have been read');
  });

  it('reads a file to its end when it is removed after it was opened', async () => {
    const store = await open();
    await store.publish('first');
    const { source, messages, gaps } = await listen();
    await store.publish('second');
    rmSync(join(folder.path, 'segments', readdirSync(join(folder.path, 'segments'))[0]));
    source.poll();
    expect([messages, gaps]).toEqual([['second'], []]);
  });

  it('takes no part of a batch that is not there whole', async () => {
    const store = await open();
    await store.publish('first');
    const { source, messages, gaps } = await listen();
    await store.setMany([set('w', 1, 'second', 5_000)]);
    const [file] = readdirSync(join(folder.path, 'segments'));
    const fd = openSync(join(folder.path, 'segments', file), 'r+');
    ftruncateSync(fd, 16 + 56 + 4 + 5 + 56 + 4 + 6 + 100);
    closeSync(fd);
    source.poll();
    expect([messages, gaps]).toEqual([[], []]);
  });

  it('tells of a gap when a file shrinks or is damaged, and lives', async () => {
    const store = await open();
    await store.publish('first');
    const { source, messages, gaps } = await listen();
    await store.publish('second');
    source.poll();
    const [file] = readdirSync(join(folder.path, 'segments'));
    const fd = openSync(join(folder.path, 'segments', file), 'r+');
    ftruncateSync(fd, 20);
    source.poll();
    expect(gaps).toEqual(['a file of the log shrank']);
    closeSync(fd);
    const other = await open();
    await other.publish('third');
    source.poll();
    expect(messages).toEqual(['second', 'third']);
    const mine = readdirSync(join(folder.path, 'segments')).sort().at(-1)!;
    await other.publish('fourth');
    const hurt = openSync(join(folder.path, 'segments', mine), 'r+');
    writeSync(hurt, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), 0, 8, 16 + 56 + 4 + 5);
    closeSync(hurt);
    source.poll();
    await sleep(1_100);
    source.poll();
    expect(gaps[1]).toBe('a file of the log is damaged');
  });

  it('a file that was made and not yet begun is no gap', async () => {
    await open();
    const { source, gaps } = await listen();
    writeFileSync(join(folder.path, 'segments', 's-0mwrx1wv6-b9b4d9e43a83ec8e-000001.seg'), '');
    source.poll();
    expect(gaps).toEqual([]);
  });

  it('refuses a folder that is a file', async () => {
    const source = new EmbeddedSource(embeddedOptions('/dev/null'), { channelName });
    await expect(source.start({ onMessage: () => {}, onGap: () => {} })).rejects.toMatchObject({ code: 'ERR_L2_STORAGE' });
  });
});
