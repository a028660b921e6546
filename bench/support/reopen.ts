/** How long the embedded store takes until its first answer, when a process opens a folder that holds many records. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { built } from './built.ts';
import { must } from './check.ts';
import type { Table } from './report.ts';
import { max, median, min, three } from './stats.ts';

const ROWS = 100_000;
/** Written after the snapshot, as a killed process leaves it. */
const TAIL_ROWS = 6_000;
const BODY_BYTES = 1_000;
const BATCH = 500;
const ROUNDS = 9;
const LIFE_MS = 3_600_000;

export async function reopenTable(): Promise<Table> {
  const { EmbeddedStore } = await built<typeof import('../../src/l2/embedded-store.ts')>('l2/embedded-store');
  const { packRecord } = await built<typeof import('../../src/codec/transcode.ts')>('codec/transcode');
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-reopen-'));
  const options = { kind: 'embedded' as const, path: folder, maxBytes: 512 << 20, minFreeBytes: 0, sweepIntervalMs: 3_600_000, pollIntervalMs: 1_000 };
  const open = async (snapshotAfterBytes: number) => {
    const store = new EmbeddedStore(options, { channelName: 'bench', snapshotAfterBytes });
    await store.open();
    return store;
  };
  const raw = Buffer.alloc(BODY_BYTES, 'profile');
  const fill = async (snapshotAfterBytes: number, from: number, to: number) => {
    const store = await open(snapshotAfterBytes);
    for (let at = from; at < to; at += BATCH) {
      await store.setMany(Array.from({ length: BATCH }, (_, i) => ({ wallet: walletOf(at + i), version: 1, ttlMs: LIFE_MS, envelope: packRecord({ wallet: walletOf(at + i), raw, schemaId: 0, version: 1, createdAtMs: 1, expiresAtMs: 0 }, 'none') })));
    }
    await store.close();
  };
  const file = join(folder, 'index.snapshot');
  try {
    await fill(1, 0, ROWS - TAIL_ROWS);
    copyFileSync(file, `${file}.old`);
    await fill(1, ROWS - TAIL_ROWS, ROWS);
    copyFileSync(file, `${file}.whole`);
    const cases = [
      { what: 'a snapshot of all', kept: `${file}.whole`, ms: [] as number[] },
      { what: `a snapshot, and ${TAIL_ROWS.toLocaleString('en-US')} rows after it`, kept: `${file}.old`, ms: [] as number[] },
      { what: 'the log alone', kept: undefined, ms: [] as number[] },
    ];
    for (let round = -1; round < ROUNDS; round++) {
      for (const { kept, ms } of cases) {
        if (kept === undefined) rmSync(file, { force: true });
        else copyFileSync(kept, file);
        const startMs = performance.now();
        const store = await open(Infinity);
        const [first, last] = await store.getMany([walletOf(0), walletOf(ROWS - 1)]);
        const tookMs = performance.now() - startMs;
        must(first.status === 'hit' && last.status === 'hit', 'the first and the last row are there');
        must((await store.health()).indexSnapshot?.damaged === 0, 'no snapshot was refused');
        await store.close();
        if (round >= 0) ms.push(tookMs);
      }
    }
    return {
      title: `Opening a folder of ${ROWS.toLocaleString('en-US')} rows of ${BODY_BYTES} bytes until the first answer, one thread, files in the page cache`,
      columns: ['', 'min ms', 'median ms', 'max ms'],
      rows: cases.map(({ what, ms }) => [what, three(min(ms)), three(median(ms)), three(max(ms))]),
      notes: [],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const walletOf = (n: number): string => `wallet-${n.toString(36).padStart(37, 'x')}`;
