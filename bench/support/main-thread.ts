/**
 * What a call costs the thread that makes it: CPU time of that thread alone, and the longest time its event loop stood still.
 *
 * CPU time: `process.threadCpuUsage()` where Node has it (23.9); else, on Linux, the scheduler's own count of the thread in
 * /proc/self/task/<tid>/schedstat; else the event loop's active time, which counts waiting for a core as work.
 * The scheduler adds up when the thread leaves its core, so the thread sleeps before each reading.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const SETTLE_MS = 3;
const PROBE_MS = 1;

type CpuUsage = { user: number; system: number };
const threadCpuUsage = (process as { threadCpuUsage?: () => CpuUsage }).threadCpuUsage;
// The main thread has the id of its process.
const schedstat = `/proc/self/task/${process.pid}/schedstat`;

export const cpuSource: string = (() => {
  if (threadCpuUsage !== undefined) return 'process.threadCpuUsage';
  try {
    readFileSync(schedstat);
    return 'schedstat of the thread';
  } catch {
    return 'event loop active time';
  }
})();

function cpuMs(): number {
  if (cpuSource === 'process.threadCpuUsage') {
    const { user, system } = threadCpuUsage!.call(process);
    return (user + system) / 1e3;
  }
  if (cpuSource === 'schedstat of the thread') return Number(readFileSync(schedstat, 'latin1').split(' ')[0]) / 1e6;
  return performance.eventLoopUtilization().active;
}

export interface Cost {
  wallMs: number;
  cpuMs: number;
  /** Longest gap between two turns of the event loop. */
  stallMs: number;
}

export async function costOf<T>(work: () => Promise<T>): Promise<Cost & { result: T }> {
  const probe = monitorEventLoopDelay({ resolution: PROBE_MS });
  probe.enable();
  // The probe has ticked before: a stall at the very start counts.
  await sleep(SETTLE_MS);
  probe.reset();
  const cpuBefore = cpuMs();
  const started = performance.now();
  const result = await work();
  const wallMs = performance.now() - started;
  await sleep(SETTLE_MS);
  const cpuAfter = cpuMs();
  probe.disable();
  // A tick records the time since the last one, its own period included.
  return { result, wallMs, cpuMs: cpuAfter - cpuBefore, stallMs: Math.max(0, probe.max / 1e6 - PROBE_MS) };
}
