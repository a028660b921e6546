import { expect, test } from 'vitest';
import { Slices } from '../../src/workers-pool/slices.ts';

const burn = (ms: number) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

/** Work of `units`, each of 0.5 ms. */
function work(units: number, log: string[], name: string) {
  return {
    step(untilMs: number): boolean {
      do {
        burn(0.5);
        units--;
        log.push(name);
      } while (units > 0 && performance.now() < untilMs);
      return units === 0;
    },
  };
}

test('the first answer of a turn is worked on at once', () => {
  const log: string[] = [];
  new Slices(2).push(work(1, log, 'a'));
  expect(log).toEqual(['a']);
});

test('what arrives together runs in order, with turns of the event loop between', async () => {
  const slices = new Slices(2);
  const log: string[] = [];
  let turns = 0;
  const turn = () => {
    turns++;
    log.push('turn');
    if (slices.queued > 0) setImmediate(turn);
  };
  setImmediate(turn);
  for (const name of ['a', 'b', 'c']) slices.push(work(20, log, name));
  // All of the first 2 ms were spent by the first push; nothing more ran in this turn.
  expect(log.length).toBeLessThanOrEqual(5);
  while (slices.queued > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(log.filter((name) => name !== 'turn').join('')).toBe('a'.repeat(20) + 'b'.repeat(20) + 'c'.repeat(20));
  expect(turns).toBeGreaterThan(5);
  // Between two turns there is never more than one slice of units of 0.5 ms.
  for (const stretch of log.join(' ').split('turn')) expect(stretch.trim().split(' ').length).toBeLessThanOrEqual(5);
});

test('work that is pushed by work waits for it', () => {
  const slices = new Slices(50);
  const log: string[] = [];
  slices.push({
    step() {
      slices.push(work(1, log, 'inner'));
      log.push('outer');
      return true;
    },
  });
  expect(log).toEqual(['outer', 'inner']);
});
