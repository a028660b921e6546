/** Milliseconds. `slowestWaitedMs`: of the slowest, ready to run without a core; `longestOwnMs`: the longest when each is taken without that. */
export interface TimesReport { count: number; p999Ms: number; slowestMs: number; slowestWaitedMs: number; longestOwnMs: number }
export interface StallReport { reads: TimesReport; idle: TimesReport }

export declare class Stalls {
  note(startMs: number, readMs: number, idleMs: number): void;
  restart(): void;
  report(): StallReport;
}
