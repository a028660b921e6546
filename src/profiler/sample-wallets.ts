/** Who trades in the sample: roles, activity, and the bundles that buy together. */
import { type SeededRandom, WeightedChoice, zipfWeights } from './sample-random.ts';

export type Role = 'sniper' | 'bundle' | 'whale' | 'paper' | 'retail';

interface RoleHabits {
  /** Share of all wallets. */
  share: number;
  /** Size of a buy in SOL: median, and deviation of its logarithm. */
  medianSol: number;
  sigma: number;
  /** How eager to sell; the most eager of a few holders sells next. */
  haste: number;
  /** Part of a position that a sell lets go. */
  sellsAll: number;
}

/** Sizes after pump.fun trades of 2026: median buy 0.2 SOL, one in ten over 2, one in a hundred over 5. */
export const ROLES: Readonly<Record<Role, RoleHabits>> = {
  sniper: { share: 0.04, medianSol: 0.8, sigma: 0.8, haste: 4, sellsAll: 0.8 },
  bundle: { share: 0.06, medianSol: 0.5, sigma: 0.5, haste: 2, sellsAll: 0.7 },
  whale: { share: 0.02, medianSol: 8, sigma: 0.9, haste: 0.6, sellsAll: 0.3 },
  paper: { share: 0.28, medianSol: 0.12, sigma: 1.2, haste: 3, sellsAll: 0.9 },
  retail: { share: 0.6, medianSol: 0.2, sigma: 1.4, haste: 1, sellsAll: 0.6 },
};
/** Exponent of how unevenly wallets of one role are active. */
const ACTIVITY_ZIPF = 0.9;
const BUNDLE_MIN = 3;
const BUNDLE_MAX = 8;

export class SampleWallets {
  readonly names: string[];
  readonly roles: Role[];
  /** Groups of wallets that buy a token in the same second or two. */
  readonly bundles: number[][];
  readonly #ofRole: Map<Role, number[]> = new Map();
  readonly #choice: Map<Role, WeightedChoice> = new Map();
  readonly #unseen: number[];
  readonly #isSeen: boolean[];

  constructor(count: number, random: SeededRandom) {
    this.names = Array.from({ length: count }, () => random.base58(44));
    this.roles = rolesFor(count);
    this.roles.forEach((role, wallet) => {
      const members = this.#ofRole.get(role);
      if (members) members.push(wallet);
      else this.#ofRole.set(role, [wallet]);
    });
    for (const [role, members] of this.#ofRole) this.#choice.set(role, new WeightedChoice(zipfWeights(members.length, ACTIVITY_ZIPF)));
    this.bundles = groups(this.#ofRole.get('bundle') ?? [], random);
    this.#unseen = random.shuffle(Array.from({ length: count }, (_, wallet) => wallet));
    this.#isSeen = Array.from({ length: count }, () => false);
  }

  get unseenCount(): number {
    return this.#unseen.length;
  }

  /** A wallet of the role, the active ones more often; of any role where nobody has this one. */
  draw(role: Role, random: SeededRandom): number {
    const members = this.#ofRole.get(role);
    if (members === undefined) return random.below(this.names.length);
    return members[this.#choice.get(role)!.draw(random)];
  }

  /** A wallet that has not traded yet. Only while `unseenCount` > 0. */
  drawUnseen(): number {
    return this.#unseen[this.#unseen.length - 1];
  }

  markSeen(wallet: number): void {
    this.#isSeen[wallet] = true;
    while (this.#unseen.length > 0 && this.#isSeen[this.#unseen[this.#unseen.length - 1]]) this.#unseen.pop();
  }
}

function rolesFor(count: number): Role[] {
  const roles: Role[] = [];
  for (const role of Object.keys(ROLES) as Role[]) {
    const wanted = role === 'retail' ? count - roles.length : Math.round(ROLES[role].share * count);
    for (let i = 0; i < wanted && roles.length < count; i++) roles.push(role);
  }
  return roles;
}

function groups(members: number[], random: SeededRandom): number[][] {
  const out: number[][] = [];
  for (let at = 0; at + BUNDLE_MIN <= members.length; ) {
    const size = BUNDLE_MIN + random.below(BUNDLE_MAX - BUNDLE_MIN + 1);
    out.push(members.slice(at, at + size));
    at += size;
  }
  return out;
}
