import { describe, expect, test } from 'vitest';
import jStat from 'jstat';
import { RiskAggregator } from '../../src/profiler/index.ts';
import { severityOf } from '../../src/profiler/risk-aggregator.ts';

const risk = new RiskAggregator();

test('weights, posterior, confidence and explanation, hand-worked', () => {
  const r = risk.aggregate({ behavior: 0.5, timing: 1, network: 0.2, volume: 0.3 });
  expect(r.risk_score).toBeCloseTo(0.175 + 0.25 + 0.05 + 0.045, 12);
  expect(r.confidence).toBe(0.8);
  expect(r.adjusted_score).toBeCloseTo(0.52 * 0.9, 12);
  expect(r.severity).toBe('LOW');
  // alpha = 2 + 10 * 2.0 = 22, beta = 5 + 10 * 2.0 = 25; scipy 1.17 beta.ppf
  expect(r.confidence_interval[0]).toBeCloseTo(0.3288786869273401, 8);
  expect(r.confidence_interval[1]).toBeCloseTo(0.6098662880709282, 8);
  expect(r.explanation).toBe('LOW: risk 0.52, most of it from timing (0.25) and behavior (0.17)');
});

test('factors are clamped; observations count', () => {
  const r = risk.aggregate({ behavior: 7, timing: -1, network: 0, volume: 0 }, { behavior: 40, timing: 0, network: 0, volume: 0 });
  expect(r.risk_factors).toEqual({ behavior: 1, timing: 0, network: 0, volume: 0 });
  expect(r.confidence).toBe(0.8);
  // Beta(42, 5), scipy 1.17
  expect(r.confidence_interval[0]).toBeCloseTo(0.7920826751160522, 8);
  expect(r.confidence_interval[1]).toBeCloseTo(0.9637516281089775, 8);
  expect(risk.aggregate({ behavior: 1, timing: 1, network: 1, volume: 1 }, { behavior: 100 }).confidence).toBe(1);
});

test('nothing observed: the prior, no confidence', () => {
  const r = risk.aggregate({ behavior: 0, timing: 0.5, network: 0, volume: 0 }, { behavior: 0, timing: 0, network: 0, volume: 0 });
  expect(r.confidence).toBe(0);
  expect(r.adjusted_score).toBe(r.risk_score / 2);
  expect(r.confidence_interval[0]).toBeCloseTo(0.0432718682927417, 8);
  expect(r.confidence_interval[1]).toBeCloseTo(0.6412345789976748, 8);
});

test('severity at its thresholds', () => {
  expect([0.85, 0.849, 0.7, 0.699, 0.5, 0.499, 0].map(severityOf)).toEqual(['CRITICAL', 'HIGH', 'HIGH', 'MEDIUM', 'MEDIUM', 'LOW', 'LOW']);
});

test('what is no number is refused', () => {
  expect(() => risk.aggregate({ behavior: NaN, timing: 0, network: 0, volume: 0 })).toThrow(expect.objectContaining({ code: 'ERR_PROFILE', path: 'behavior' }));
  expect(() => risk.aggregate({ behavior: 0, timing: 0, network: 0, volume: 0 }, { volume: -1 })).toThrow(expect.objectContaining({ code: 'ERR_PROFILE', path: 'volume' }));
});

describe('jstat as the Beta quantile', () => {
  // scipy.stats.beta.ppf (scipy 1.17); the first two rows are also exact: Beta(1,1) is uniform, Beta(1,b) is 1-(1-p)^(1/b).
  test.each([
    [1, 1, 0.025, 0.975],
    [1, 4, 1 - 0.975 ** 0.25, 1 - 0.025 ** 0.25],
    [2, 5, 0.043271868292741676, 0.6412345789976748],
    [5, 5, 0.21200850677886798, 0.787991493221132],
    [12, 35, 0.1426685368882307, 0.3876689101140717],
    [2, 45, 0.005309482849429967, 0.11527182559799],
    [2.5, 44.5, 0.009143696516831576, 0.13223864186686235],
    [19.6, 27.4, 0.2815634033615983, 0.5591724646546024],
  ])('Beta(%d, %d)', (alpha, beta, low, high) => {
    expect(Math.abs(jStat.beta.inv(0.025, alpha, beta) - low)).toBeLessThan(1e-8);
    expect(Math.abs(jStat.beta.inv(0.975, alpha, beta) - high)).toBeLessThan(1e-8);
  });

  // Its worst over alpha 0.5..1e6 and beta 0.5..1e6: alpha < 1, where the profiler never is (alpha >= 2, beta >= 5).
  test('the poor case is still good to eight digits', () => {
    expect(Math.abs(jStat.beta.inv(0.975, 0.5, 9) - 0.24931351174446037)).toBeLessThan(1e-8);
  });
});
