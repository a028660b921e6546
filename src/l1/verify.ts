/**
 * Walks the whole region and throws at the first thing that is not as layout.ts says. Owner's thread only, between operations;
 * tests call it after every case.
 */
import { probe } from './index-cells.ts';
import { HEADER, SLOT, recordBytes } from './layout.ts';
import { recordHasKey, recordKeyBytes, recordOfSlot, recordPayloadBytes, recordSize, recordSlot, recordWallet } from './record.ts';
import type { Region } from './region.ts';
import type { L1Writer } from './writer.ts';
import { WalletKey } from './wallet-key.ts';

/** All that can be seen from the region alone, so that any thread may ask while the owner rests. */
export function verifyShared(region: Region): { resident: Set<number>; liveBytes: number; liveBySegment: Map<number, number> } {
  const { u32 } = region;
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const resident = new Set<number>();
  const wallets = new Map<string, number>();
  const liveBySegment = new Map<number, number>();
  let liveBytes = 0;
  for (let slot = 0; slot < region.slotCount; slot++) {
    const words = region.slotsStart / 4 + slot * SLOT.words;
    if (u32[words + SLOT.seq] % 2 !== 0) throw broken(`slot ${slot} is odd: a change was begun and not ended`);
    if (u32[words + SLOT.offset] === 0) continue;
    const at = recordOfSlot(region, slot);
    const bytes = recordBytes(recordKeyBytes(region, at), recordPayloadBytes(region, at));
    if (at + bytes > region.regionBytes) throw broken(`slot ${slot}'s record ends outside the region`);
    if (recordSlot(region, at) !== slot) throw broken(`slot ${slot} points to a record of slot ${recordSlot(region, at)}`);
    const wallet = recordWallet(region, at);
    const twin = wallets.get(wallet);
    if (twin !== undefined) throw broken(`wallet ${JSON.stringify(wallet)} is in slots ${twin} and ${slot}`);
    wallets.set(wallet, slot);
    key.set(wallet);
    if (key.hash >>> 0 !== u32[words + SLOT.hash]) throw broken(`slot ${slot} has the hash of another wallet`);
    const found = probe(region, key.hash, (candidate) => candidate < region.slotCount && candidate === slot && recordHasKey(region, recordOfSlot(region, candidate), key));
    if (found !== slot) throw broken(`wallet ${JSON.stringify(wallet)} in slot ${slot} is not found by its key`);
    const segment = Math.floor((at - region.arenaStart) / region.segmentBytes);
    liveBySegment.set(segment, (liveBySegment.get(segment) ?? 0) + bytes);
    liveBytes += bytes;
    resident.add(slot);
  }
  verifyIndex(region, resident);
  if (u32[HEADER.residentProfiles] !== resident.size) throw broken('the resident count of the header is wrong');
  return { resident, liveBytes, liveBySegment };
}

/** The region, and what the owner's private tables say of it. */
export function verifyRegion(region: Region, writer: L1Writer): void {
  const { resident, liveBytes, liveBySegment } = verifyShared(region);
  if (writer.size !== resident.size) throw broken(`${resident.size} slots in use, ${writer.size} by the writer's count`);
  verifyEmptySlots(region, writer, resident);
  if (writer.arena.liveBytes !== liveBytes) throw broken(`${liveBytes} live bytes, the arena believes ${writer.arena.liveBytes}`);
  verifySegments(region, writer, liveBySegment);
  writer.policy.verify(resident);
}

function verifyEmptySlots(region: Region, writer: L1Writer, resident: ReadonlySet<number>): void {
  const { chain, neverUsed } = writer.emptySlots();
  const empty = new Set(chain);
  for (let slot = region.slotCount - neverUsed; slot < region.slotCount; slot++) empty.add(slot);
  if (empty.size !== chain.length + neverUsed) throw broken('a slot is empty twice');
  if (empty.size !== region.slotCount - resident.size) throw broken(`${empty.size} slots are empty, ${resident.size} of ${region.slotCount} in use`);
  for (const slot of empty) if (resident.has(slot)) throw broken(`slot ${slot} is in use and empty`);
}

function verifyIndex(region: Region, resident: ReadonlySet<number>): void {
  const seen = new Set<number>();
  for (let i = 0; i < region.indexCells; i++) {
    const cell = region.u32[region.indexStart / 4 + i];
    if (cell === 0) continue;
    const slot = (cell & 0xff_ffff) - 1;
    if (!resident.has(slot)) throw broken(`an index cell names slot ${slot}, which is empty`);
    if (seen.has(slot)) throw broken(`slot ${slot} has two index cells`);
    seen.add(slot);
  }
  if (seen.size !== resident.size) throw broken(`${seen.size} index cells for ${resident.size} entries`);
  if (region.u32[HEADER.indexShift] % 2 !== 0) throw broken('an index shift was begun and not ended');
}

function verifySegments(region: Region, writer: L1Writer, live: ReadonlyMap<number, number>): void {
  for (const { segment, start, filledBytes, liveBytes, free } of writer.arena.segments()) {
    if (liveBytes !== (live.get(segment) ?? 0)) throw broken(`segment ${segment} holds ${live.get(segment) ?? 0} live bytes, the arena believes ${liveBytes}`);
    if (free) {
      if (liveBytes !== 0) throw broken(`segment ${segment} is free and holds live bytes`);
      continue;
    }
    // Records stand end to end: walking them must come out exactly at the fill mark.
    let at = start;
    while (at < start + filledBytes) at += recordSize(region, at);
    if (at !== start + filledBytes) throw broken(`segment ${segment}: its records do not end at its fill mark`);
  }
}

const broken = (what: string) => new Error(`L1 is broken: ${what}`);
