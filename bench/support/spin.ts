/** Runs one variant of a model through spin: generates the checker, compiles it in a temporary folder, reads what it says. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Fault, Variant } from './model-variants.ts';

const models = new URL('../../native-notes/model/', import.meta.url);
const MAX_MEMORY_MB = 1_800;
/**
 * The checker ends by itself, with what it has; should it not, it is stopped. By the clock on the wall: a variant takes two minutes at the most
 * on a core of its own, and ten times that where other work has both cores (seen: the search for an error was stopped at a load of 30).
 */
const MAX_MINUTES = 20;

export interface Checked {
  readonly states: number;
  readonly depth: number;
  /** What was found first; undefined: nothing. */
  readonly fault: Fault | undefined;
  /** The assertion that failed, as spin prints it. */
  readonly assertion: string;
  /** Every reachable state was seen; false: memory, time or a fault ended the search. */
  readonly exhaustive: boolean;
  readonly seconds: number;
}

/** What is missing on this machine, or undefined. */
export function missingTool(): string | undefined {
  return [['spin', '-V'], ['cc', '--version']].find(([command, flag]) => spawnSync(command, [flag]).status !== 0)?.[0];
}

/** @param optimise Without it compiling is quicker and searching slower: for small variants. */
export function checkModel(variant: Variant, optimise = true): Checked {
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-model-'));
  const run = (command: string, args: string[]) => execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    run('spin', [...variant.defines.map((define) => `-D${define}`), '-a', fileURLToPath(new URL(`${variant.model}.pml`, models))]);
    run('cc', [optimise ? '-O2' : '-O0', '-w', '-DSAFETY', `-DMEMLIM=${MAX_MEMORY_MB}`, '-DCOLLAPSE', '-o', 'pan', 'pan.c']);
    const started = performance.now();
    const args = ['-m1000000', `-Q${MAX_MINUTES}`];
    const { stdout, signal, status } = spawnSync(join(folder, 'pan'), args, { cwd: folder, encoding: 'utf8', timeout: (MAX_MINUTES + 1) * 60_000, maxBuffer: 2 ** 26 });
    const seconds = (performance.now() - started) / 1_000;
    const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? NaN);
    const errors = number(/errors: (\d+)/);
    if (Number.isNaN(errors)) throw new Error(`pan gave no result (status ${status}, signal ${signal}): ${stdout.slice(-400)}`);
    const complaint = /^pan:1: (.*?) \(at depth/m.exec(stdout)?.[1] ?? '';
    return {
      states: number(/([\d.e+]+) states, stored/), depth: number(/depth reached (\d+)/),
      fault: errors === 0 ? undefined : faultOf(complaint), assertion: complaint,
      exhaustive: errors === 0 && seconds < MAX_MINUTES * 60 && !/Search not completed|max search depth too small/.test(stdout), seconds,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function faultOf(complaint: string): Fault {
  if (/a==c/.test(complaint)) return 'torn';
  if (/a\/8|slotKey/.test(complaint)) return 'foreign';
  if (/floor/.test(complaint)) return 'stale';
  if (/here/.test(complaint)) return 'missed';
  const named = /^assertion violated {1,2}!\((shared|robbed|disturbs|leaked)\)$/.exec(complaint)?.[1];
  if (named !== undefined) return named as Fault;
  throw new Error(`an error of no known kind: ${complaint}`);
}

/** Undefined when the result is what the variant expects, else what is wrong with it. */
export function surprise(variant: Variant, checked: Checked): string | undefined {
  if (checked.fault !== variant.fault) return `expected ${variant.fault ?? 'no fault'}, found ${checked.fault ?? 'none'} ${checked.assertion}`;
  if (variant.fault === undefined && !checked.exhaustive) return 'the search was not completed';
  return undefined;
}
