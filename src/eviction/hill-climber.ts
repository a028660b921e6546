/**
 * Moves the window's share of a cache to where the hit ratio is best.
 *
 * Up to DENSITY_ABOVE entries: a step is kept up as long as hits do not fall, and turned round when they do. Steps shrink, until hits change by much: then the workload
 * is another, and they are long again. Above: within one sample, room goes to the part that has more hits for each entry that it holds.
 * G. Einziger, O. Eytan, R. Friedman, B. Manes, "Adaptive Software Cache Management", Middleware 2018; constants as in Caffeine's `WindowClimber`, whose probes, audits
 * and anchors are left out. Its first step is down; here it is up, for the share begins at its low end.
 */
const STEP = 0.0625;
const STEP_DECAY = 0.98;
/** A few entries are a step of a small cache, and a sample says little: it settles slower. */
const SMALL_ENTRIES = 512;
const SMALL_STEP_DECAY = 0.995;
/** A change of the hit ratio that begins anew. */
const RESTART_CHANGE = 0.05;
const MAX_SHARE = 0.8;
/** Requests of a sample for each entry. */
const SAMPLE_AN_ENTRY = 10;
const DENSITY_ABOVE = 4_096;
const DENSITY_SAMPLE_AN_ENTRY = 4;
/** Share moved for each unit of the logarithm of how much denser one part is. */
const DENSITY_GAIN = 0.03;

export class HillClimber {
  share: number;
  private readonly minShare: number;
  private step = STEP;
  private previousRatio = 0;
  private windowHits = 0;
  private mainHits = 0;
  private misses = 0;

  constructor(share: number) {
    this.share = share;
    this.minShare = share;
  }

  hit(inWindow: boolean): void {
    if (inWindow) this.windowHits++;
    else this.mainHits++;
  }

  /** A miss of a cache that holds so many entries and is full: a sample ends with one of them. */
  missed(entries: number): void {
    this.misses++;
    const byDensity = entries > DENSITY_ABOVE;
    const hits = this.windowHits + this.mainHits;
    const requests = hits + this.misses;
    if (requests < (byDensity ? DENSITY_SAMPLE_AN_ENTRY : SAMPLE_AN_ENTRY) * entries) return;
    const move = byDensity ? this.moveByDensity() : this.moveByRatio(hits / requests, entries);
    this.share = Math.max(this.minShare, Math.min(MAX_SHARE, this.share + move));
    this.windowHits = this.mainHits = this.misses = 0;
  }

  reset(): void {
    this.share = this.minShare;
    this.step = STEP;
    this.previousRatio = 0;
    this.windowHits = this.mainHits = this.misses = 0;
  }

  private moveByRatio(ratio: number, entries: number): number {
    const change = ratio - this.previousRatio;
    const move = change >= 0 ? this.step : -this.step;
    const decay = entries <= SMALL_ENTRIES ? SMALL_STEP_DECAY : STEP_DECAY;
    this.step = Math.abs(change) >= RESTART_CHANGE ? Math.sign(move) * STEP : decay * move;
    this.previousRatio = ratio;
    return move;
  }

  private moveByDensity(): number {
    const denser = Math.log(((this.windowHits + 1) / this.share) / ((this.mainHits + 1) / (1 - this.share)));
    return Math.max(-STEP, Math.min(STEP, DENSITY_GAIN * denser));
  }
}
