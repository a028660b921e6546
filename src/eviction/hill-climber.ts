/**
 * Moves one share of a cache to where the hit ratio is best: a step is kept up as long as hits do not fall, and turned round when they do.
 * Steps shrink, until hits change by much: then the workload is another, and they are long again.
 * G. Einziger, O. Eytan, R. Friedman, B. Manes, "Adaptive Software Cache Management", Middleware 2018; constants as in Caffeine's
 * BoundedLocalCache (`determineAdjustment`). Its first step is down; here it is up, for the share begins at its low end.
 */
const STEP = 0.0625;
const STEP_DECAY = 0.98;
/** A change of the hit ratio that begins anew. */
const RESTART_CHANGE = 0.05;
const MAX_SHARE = 0.8;
/** Requests of a sample for each entry. */
const SAMPLE_AN_ENTRY = 10;

export class HillClimber {
  share: number;
  private readonly minShare: number;
  private step = STEP;
  private previousRatio = 0;
  private hits = 0;
  private misses = 0;

  constructor(share: number) {
    this.share = share;
    this.minShare = share;
  }

  hit(): void {
    this.hits++;
  }

  /** A miss of a cache that holds so many entries and is full: a sample ends with one of them. */
  missed(entries: number): void {
    this.misses++;
    const requests = this.hits + this.misses;
    if (requests < SAMPLE_AN_ENTRY * entries) return;
    const ratio = this.hits / requests;
    const change = ratio - this.previousRatio;
    const move = change >= 0 ? this.step : -this.step;
    this.share = Math.max(this.minShare, Math.min(MAX_SHARE, this.share + move));
    this.step = Math.abs(change) >= RESTART_CHANGE ? Math.sign(move) * STEP : STEP_DECAY * move;
    this.previousRatio = ratio;
    this.hits = 0;
    this.misses = 0;
  }

  reset(): void {
    this.share = this.minShare;
    this.step = STEP;
    this.previousRatio = 0;
    this.hits = 0;
    this.misses = 0;
  }
}
