/**
 * W-TinyLFU (G. Einziger, R. Friedman, B. Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017; the policy of
 * Caffeine, with its hill climber: see hill-climber.ts). New entries pass through a small LRU window; what falls out of it is let into the main
 * space only if the sketch has seen it more often than the main space's own victim. The main space is a segmented LRU: probation,
 * and a protected segment that a hit leads to.
 *
 * 9 bytes a slot (links 8, segment 1) and 8 to 16 of the sketch.
 */
import { FrequencySketch } from './frequency-sketch.ts';
import { HillClimber } from './hill-climber.ts';
import type { EvictionPolicy } from './policy.ts';
import { SlotHashes, type KeptHashes } from './slot-hashes.ts';
import { SlotQueues } from './slot-queues.ts';

export interface WTinyLfuOptions {
  /** Of the resident entries, how many are in the window. Absent: 1 % at first, and then what the hill climber finds. */
  windowShare?: number;
  /** Of the main space, how many are protected at most. */
  protectedShare?: number;
}

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;
const FIRST_WINDOW = 0.01;
/** A window that has become smaller hands over so many entries at each insertion. */
const MAX_MOVES = 4;
/** A candidate seen so often gets in by luck, whoever it stands against: as in Caffeine. */
const WARM = 6;
const LUCK = 128;

export class WTinyLfuPolicy implements EvictionPolicy {
  readonly name = 'w-tinylfu';
  private readonly queues: SlotQueues;
  private readonly hashes: SlotHashes;
  private readonly segments: Uint8Array;
  private readonly sketch: FrequencySketch;
  private readonly climber: HillClimber | undefined;
  private readonly fixedShare: number;
  private readonly protectedShare: number;
  private residents = 0;
  private random = 1;

  constructor(slotCount: number, { windowShare, protectedShare = 0.8 }: WTinyLfuOptions = {}, hashes?: KeptHashes) {
    this.queues = new SlotQueues(slotCount, 3);
    this.hashes = new SlotHashes(slotCount, hashes);
    this.segments = new Uint8Array(slotCount);
    this.sketch = new FrequencySketch(slotCount);
    this.climber = windowShare === undefined ? new HillClimber(FIRST_WINDOW) : undefined;
    this.fixedShare = windowShare ?? FIRST_WINDOW;
    this.protectedShare = protectedShare;
  }

  get bytes(): number {
    return this.queues.bytes + this.hashes.bytes + this.segments.byteLength + this.sketch.bytes;
  }

  inserted(slot: number, hash: number): void {
    this.hashes.inserted(slot, hash);
    this.sketch.add(hash);
    this.residents++;
    this.enter(WINDOW, slot);
    for (let moves = 0; moves < MAX_MOVES && this.queues.sizes[WINDOW] > this.windowGoal; moves++) this.move(this.queues.last(WINDOW), PROBATION);
  }

  touched(slot: number): void {
    this.climber?.hit(this.segments[slot] === WINDOW);
    this.sketch.add(this.hashes.of(slot));
    if (this.segments[slot] !== PROBATION) {
      this.queues.moveFirst(this.segments[slot], slot);
      return;
    }
    this.move(slot, PROTECTED);
    this.demote(1);
  }

  removed(slot: number): void {
    this.queues.unlink(this.segments[slot], slot);
    this.residents--;
  }

  victim(): number {
    this.climber?.missed(this.residents);
    const { queues, sketch, hashes } = this;
    // A window that has become larger leaves less to protect.
    this.demote(MAX_MOVES);
    let main = queues.last(PROBATION);
    if (main < 0) main = queues.last(PROTECTED);
    // The entry that comes will push this one out of the window: it competes now.
    const candidate = queues.sizes[WINDOW] >= this.windowGoal || main < 0 ? queues.last(WINDOW) : -1;
    if (main < 0 || candidate < 0) return Math.max(main, candidate);
    const wanted = sketch.estimate(hashes.of(candidate));
    if (wanted <= sketch.estimate(hashes.of(main)) && !(wanted >= WARM && this.luck())) return candidate;
    this.move(candidate, PROBATION);
    return main;
  }

  reset(): void {
    this.queues.clear();
    this.sketch.clear();
    this.climber?.reset();
    this.residents = 0;
  }

  verify(resident: ReadonlySet<number>): void {
    this.queues.verify(this.name, resident);
    if (this.residents !== resident.size) throw new Error(`${this.name}: counts ${this.residents} entries, ${resident.size} are resident`);
    for (const segment of [WINDOW, PROBATION, PROTECTED]) {
      for (const slot of this.queues.slotsOf(segment)) if (this.segments[slot] !== segment) throw new Error(`${this.name}: slot ${slot} is in segment ${segment} but marked ${this.segments[slot]}`);
    }
  }

  /** Once in LUCK times: who knows the hashes could otherwise raise those of the main space so that nobody gets in. */
  private luck(): boolean {
    this.random = (Math.imul(this.random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.random < 2 ** 32 / LUCK;
  }

  private demote(most: number): void {
    const goal = this.protectedShare * (this.residents - this.windowGoal);
    for (let moves = 0; moves < most && this.queues.sizes[PROTECTED] > goal; moves++) this.move(this.queues.last(PROTECTED), PROBATION);
  }

  private get windowGoal(): number {
    return Math.max(1, Math.floor((this.climber?.share ?? this.fixedShare) * this.residents));
  }

  private enter(segment: number, slot: number): void {
    this.segments[slot] = segment;
    this.queues.pushFirst(segment, slot);
  }

  private move(slot: number, segment: number): void {
    this.queues.unlink(this.segments[slot], slot);
    this.enter(segment, slot);
  }
}
