/** Four factors -> one risk score, its severity, and how sure one may be of it. */
import type JStat from 'jstat';
import { ProfileCacheError } from '../errors.ts';
import { onDemand } from '../on-demand.ts';
import { clamp01 } from './historical-analyzer.ts';

const jStat = onDemand<typeof JStat>('jstat');

export const RISK_WEIGHTS = { behavior: 0.35, timing: 0.25, network: 0.25, volume: 0.15 } as const;
/** Beta(2, 5): before anything is seen, low risk is likelier. */
export const PRIOR = { alpha: 2, beta: 5 } as const;
const DEFAULT_OBSERVATIONS = 10;
const CONFIDENT_OBSERVATIONS = 50;
const CREDIBLE = { low: 0.025, high: 0.975 } as const;

export type RiskFactor = keyof typeof RISK_WEIGHTS;
export type RiskFactors = Record<RiskFactor, number>;
export type Severity = 'CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW';

export interface RiskResult {
  /** Weighted sum of the factors, 0..1. */
  risk_score: number;
  /** risk_score held down where confidence is low: risk_score * (0.5 + 0.5 * confidence). Severity follows it. */
  adjusted_score: number;
  severity: Severity;
  /** 0..1 */
  confidence: number;
  /** 95 % credible interval of the Beta posterior, 0..1. */
  confidence_interval: [low: number, high: number];
  /** Clamped to 0..1. */
  risk_factors: RiskFactors;
  /** Names the two largest contributions. */
  explanation: string;
}

const FACTORS = Object.keys(RISK_WEIGHTS) as RiskFactor[];

export class RiskAggregator {
  /**
   * @param factors any finite numbers; clamped to 0..1
   * @param observations how many observations stand behind each factor, >= 0; 10 where not given
   * Throws ERR_PROFILE when a number is not finite or a count is negative.
   */
  aggregate(factors: Readonly<RiskFactors>, observations: Readonly<Partial<RiskFactors>> = {}): RiskResult {
    const clamped = { behavior: 0, timing: 0, network: 0, volume: 0 };
    let composite = 0;
    let total = 0;
    let alpha: number = PRIOR.alpha;
    let beta: number = PRIOR.beta;
    for (const factor of FACTORS) {
      const n = observations[factor] ?? DEFAULT_OBSERVATIONS;
      if (!Number.isFinite(factors[factor])) throw new ProfileCacheError('ERR_PROFILE', `risk factor ${factor} is no finite number`, { path: factor });
      if (!(n >= 0 && n < Infinity)) throw new ProfileCacheError('ERR_PROFILE', `observations of ${factor} are no finite number >= 0`, { path: factor });
      const value = clamp01(factors[factor]);
      clamped[factor] = value;
      composite += RISK_WEIGHTS[factor] * value;
      alpha += value * n;
      beta += (1 - value) * n;
      total += n;
    }
    const confidence = Math.min(1, total / CONFIDENT_OBSERVATIONS);
    const adjusted = composite * (0.5 + 0.5 * confidence);
    const severity = severityOf(adjusted);
    return {
      risk_score: composite,
      adjusted_score: adjusted,
      severity,
      confidence,
      confidence_interval: credibleInterval(alpha, beta),
      risk_factors: clamped,
      explanation: explain(severity, composite, clamped),
    };
  }
}

export function severityOf(adjustedScore: number): Severity {
  if (adjustedScore >= 0.85) return 'CRITICAL';
  if (adjustedScore >= 0.7) return 'HIGH';
  return adjustedScore >= 0.5 ? 'MEDIUM' : 'LOW';
}

export function credibleInterval(alpha: number, beta: number): [low: number, high: number] {
  const { beta: distribution } = jStat();
  return [distribution.inv(CREDIBLE.low, alpha, beta), distribution.inv(CREDIBLE.high, alpha, beta)];
}

function explain(severity: Severity, composite: number, factors: RiskFactors): string {
  // The sort is stable: equal contributions keep the order of the weights.
  const [first, second] = FACTORS.map((factor) => ({ factor, share: RISK_WEIGHTS[factor] * factors[factor] })).sort((a, b) => b.share - a.share);
  return `${severity}: risk ${composite.toFixed(2)}, most of it from ${first.factor} (${first.share.toFixed(2)}) and ${second.factor} (${second.share.toFixed(2)})`;
}
