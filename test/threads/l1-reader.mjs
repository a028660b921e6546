/**
 * A reader thread over the built L1: reads random wallets and judges every answer by what the owner had acknowledged before.
 * Plain JavaScript, so that the same code runs under any loader; `broken` makes the reader wrong on purpose, for the canary.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, buffer, shared, wallets, seed, broken, nearShare } = workerData;
const [{ openRegion }, { L1Reader, versionWord }, { WalletKey }, layout, { probe }, { ThreadRow }, record, { systemClock }, { ThreadCache }] = await Promise.all(
  ['l1/region', 'l1/reader', 'l1/wallet-key', 'l1/layout', 'l1/index-cells', 'l1/thread-row', 'l1/record', 'clock', 'load/thread-cache'].map((name) => import(`${dist}/${name}.js`)),
);
const { RECORD, SLOT } = layout;
const region = openRegion(buffer);
const key = new WalletKey(region.hashKey0, region.hashKey1);
/** Per wallet: newest acknowledged version, and the removals acknowledged. Then the control words. */
const acked = new Float64Array(shared, 0, wallets);
const removedUpTo = new Float64Array(shared, wallets * 8, wallets);
const control = new Int32Array(shared, wallets * 16, 4);

/** The reader without its closing check, or without its key compare; copies a little slower than the real one. */
class BrokenReader extends L1Reader {
  read(wanted, nowMs) {
    let result = 'miss';
    probe(region, wanted.hash, (slot) => {
      const words = region.slotsStart / 4 + slot * SLOT.words;
      const seq = Atomics.load(region.i32, words);
      const offset = region.u32[words + SLOT.offset];
      const slotVersion = region.u32[words + SLOT.version];
      if (seq & 1 || offset === 0) return false;
      const at = record.recordAtOffset(region, offset);
      const keyBytes = record.recordKeyBytes(region, at);
      const payloadBytes = record.recordPayloadBytes(region, at);
      const payloadAt = at + RECORD.headerBytes + keyBytes;
      if (payloadBytes > region.segmentBytes || payloadAt + payloadBytes > region.regionBytes) return false;
      if (broken !== 'no-key') {
        if (keyBytes !== wanted.length) return false;
        for (let i = 0; i < keyBytes; i++) if (region.u8[at + RECORD.headerBytes + i] !== wanted.bytes[i]) return false;
      }
      const expiresAtMs = record.recordExpiresAtMs(region, at);
      if (expiresAtMs <= nowMs) return false;
      this.scratch.set(region.u8.subarray(payloadAt, payloadAt + payloadBytes));
      if (broken === 'no-key' && Atomics.load(region.i32, words) !== seq) return false;
      Object.assign(this, { payloadStart: 0, payloadEnd: payloadBytes, slot, slotVersion, expiresAtMs, version: record.recordVersion(region, at) });
      result = 'hit';
      return true;
    });
    return result;
  }
}
const reader = broken === 'no-close' || broken === 'no-key' ? new BrokenReader(region) : new L1Reader(region);
const row = ThreadRow.claim(region);

const nowMs = () => systemClock.monotonicMs();
let state = seed;
const random = (below) => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
};
const counts = { reads: 0, cacheHits: 0, lateHits: 0, maxLateMs: 0, hits: 0, misses: 0, expired: 0, contended: 0, nearHits: 0, maxReadMs: 0, versions: 0 };
const faults = [];
const kinds = { foreign: 0, torn: 0, stale: 0, expired: 0 };
const fault = (kind, what, wallet) => {
  kinds[kind]++;
  if (faults.length < 5) faults.push(`${what}: wallet ${wallet}`);
  Atomics.store(control, 1, 1);
};
const near = new Map();

/** Every word of the payload is (wallet, version low): whose it is and whether it is of one piece. */
function judge(wallet, floor, removed) {
  const payload = new Uint32Array(reader.scratch.slice(reader.payloadStart, reader.payloadEnd).buffer, 0, (reader.payloadEnd - reader.payloadStart) >>> 2);
  const version = reader.version;
  for (let i = 0; i < payload.length; i += i === 0 ? 4 : 2) {
    if (payload[i] !== wallet) return fault('foreign', `foreign payload (${payload[i]} at word ${i})`, wallet);
    if (payload[i + 1] !== version) return fault('torn', `torn payload (${payload[i + 1]} of version ${version})`, wallet);
  }
  if (version < floor) return fault('stale', `version ${version} after ${floor} was acknowledged`, wallet);
  if (version <= removed) return fault('stale', `version ${version} after its removal was acknowledged`, wallet);
  if (reader.expiresAtMs <= judge.nowMs) return fault('expired', 'expired', wallet);
}

/**
 * The read path of the product: near cache, shared clock reading, pauses. `profile` is what was in the payload: wallet, version, deadline.
 * A deadline may be noticed late by one run of hits that share a reading of the clock, 65 reads at the most.
 */
const RUN_READS = 65;
/** By how much two threads may disagree about the machine's clock. */
const CLOCK_SLACK_MS = 0.1;
const codec = {
  lastDecodeHadBinary: false,
  canDecode: () => true,
  decode(bytes, start, end) {
    const words = new Uint32Array(Uint8Array.prototype.slice.call(bytes, start, end).buffer);
    let whole = true;
    for (let i = 4; i < words.length; i += 2) whole &&= words[i] === words[0] && words[i + 1] === words[1];
    return { wallet: words[0], version: words[1], expiresAtMs: new Float64Array(words.buffer, 8, 1)[0], whole };
  },
};
const cache = new ThreadCache({
  region, row, codec, tables: { add() {} }, clock: broken === 'late-clock' ? { monotonicMs: () => nowMs() - 5 } : systemClock, sink: { hits: { touched: (slot) => row.pushHit(slot) }, expired() {} }, nearProfiles: wallets >> 1, isOwner: false,
});
const names = Array.from({ length: wallets }, (_, i) => `wallet-${i}`);
const startsMs = new Float64Array(128).fill(nowMs());
let gets = 0;
function readCache(wallet, floor, removed) {
  const profile = cache.get(names[wallet]);
  const runBeganMs = startsMs[(gets - RUN_READS) & 127];
  const startedMs = startsMs[gets++ & 127];
  const tookMs = nowMs() - startedMs;
  if (tookMs > counts.maxReadMs) counts.maxReadMs = tookMs;
  if (profile === undefined) return;
  counts.cacheHits++;
  if (profile.wallet !== wallet) return fault('foreign', `profile of ${profile.wallet}`, wallet);
  if (!profile.whole) return fault('torn', 'torn profile', wallet);
  if (profile.version < floor || profile.version <= removed) return fault('stale', `version ${profile.version} after ${Math.max(floor, removed)} was acknowledged`, wallet);
  const lateMs = startedMs - profile.expiresAtMs;
  if (lateMs <= 0) return;
  counts.lateHits++;
  if (lateMs > counts.maxLateMs) counts.maxLateMs = lateMs;
  if (profile.expiresAtMs <= runBeganMs - CLOCK_SLACK_MS) fault('expired', `served ${lateMs.toFixed(3)} ms after its deadline, ${(startedMs - runBeganMs).toFixed(3)} ms after the run of hits could have begun`, wallet);
}

Atomics.add(control, 2, 1);
while (Atomics.load(control, 0) === 0 && Atomics.load(control, 1) === 0) {
  for (let i = 0; i < 256; i++) {
    // Hot and cold wallets.
    const wallet = random(4) === 0 ? random(wallets) : random(Math.min(32, wallets));
    // An atomic load of the owner's tick orders the table's plain loads behind it.
    Atomics.load(control, 3);
    const floor = acked[wallet];
    const removed = removedUpTo[wallet];
    const started = nowMs();
    judge.nowMs = started;
    if (!broken || broken === 'late-clock') {
      startsMs[gets & 127] = started;
      if (random(2) === 0) {
        readCache(wallet, floor, removed);
        continue;
      }
    }
    const entry = near.get(wallet);
    if (entry && entry.expiresAtMs > started && (broken === 'near-blind' || Atomics.load(region.u32, versionWord(region, entry.slot)) === entry.slotVersion)) {
      counts.nearHits++;
      if (entry.version < floor || entry.version <= removed) fault('stale', `near cache: version ${entry.version} after ${Math.max(floor, removed)} was acknowledged`, wallet);
      if (random(100) < nearShare) continue;
    }
    const result = reader.read(key.set(`wallet-${wallet}`), started);
    counts.reads++;
    const tookMs = nowMs() - started;
    if (tookMs > counts.maxReadMs) counts.maxReadMs = tookMs;
    if (result === 'hit') {
      counts.hits++;
      row.pushHit(reader.slot);
      judge(wallet, floor, removed);
      near.set(wallet, { slot: reader.slot, slotVersion: reader.slotVersion, version: reader.version, expiresAtMs: reader.expiresAtMs });
    } else if (result === 'miss') counts.misses++;
    else counts[result]++;
  }
}
row.free();
parentPort.postMessage({ counts, kinds, faults });
