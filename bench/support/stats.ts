/** Order statistics and how they are printed. Everything that is reported is a quantile: means of a noisy machine say nothing. */

/** `share` 0..1; the nearest rank, no interpolation. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('no values');
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const median = (values: readonly number[]) => quantile(values, 0.5);
export const min = (values: readonly number[]) => quantile(values, 0);
export const max = (values: readonly number[]) => quantile(values, 1);

/** Of each round `over / under`: slices that ran side by side are compared with each other, never with those of another moment. */
export function pairRatios(over: readonly number[], under: readonly number[]): number[] {
  if (over.length !== under.length) throw new Error(`${over.length} slices beside ${under.length}`);
  return over.map((value, round) => value / under[round]);
}

/** `2.31 (1.98-2.60)`: median and the middle half of the rounds. */
export function ratioText(ratios: readonly number[]): string {
  return `${three(median(ratios))} (${three(quantile(ratios, 0.25))}-${three(quantile(ratios, 0.75))})`;
}

/** Two or three digits that count. */
export function three(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  if (size >= 1) return value.toFixed(size >= 10 ? 1 : 2);
  return size === 0 ? '0' : value.toPrecision(2);
}

export const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
