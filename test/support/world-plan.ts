/** Plans of what the callers of a simulated world do, how they are made up, and how one is carried out. */
import fc, { type Scheduler } from 'fast-check';
import type { ProfileCacheOptions } from '../../src/options.ts';
import type { ProfileCache } from '../../src/profile-cache.ts';
import { History, judge, judgeRest, type Verdict } from './world-history.ts';
import type { Fate, MessageFate } from './world-l2.ts';
import { scheduled } from './world-order.ts';
import { World, type Numbered, type WorldNode } from './world.ts';

export type Step =
  | { do: 'get' | 'update' | 'invalidate' | 'evict' | 'foreign' | 'load-absent'; wallet: string }
  | { do: 'load'; wallet: string; fails: boolean }
  | { do: 'bulk' | 'clear' | 'gap' | 'lag' | 'catch-up' | 'save' | 'failover' | 'age' }
  | { do: 'load-many'; fails: boolean };

export interface Caller {
  node: number;
  attached: boolean;
  steps: { step: Step; wait: boolean }[];
}

export interface Plan {
  callers: Caller[];
  skewsMs: number[];
  calendarStepMs: number;
  fates: Fate[];
  zombies: boolean;
  maxProfiles: number;
  remembersClear: boolean;
  hurry: number;
  messageHops: number;
  replyHops: number;
  lossy: boolean;
  messageFates: MessageFate[];
  ttlSeconds: number | undefined;
  load: ProfileCacheOptions['load'];
}

export interface Weather {
  /** Weights of what callers do. */
  acts: Partial<Record<Step['do'], number>>;
  skews: readonly number[];
  /** In the place of `skews`: that of each process. */
  skewsByNode?: readonly number[];
  onlyA?: boolean;
  calendarSteps: readonly number[];
  fates: readonly Fate[];
  maxFates: number;
  attached: boolean;
  nodes: number;
  hurries: readonly number[];
  fewestCallers?: number;
  /** They are always overtaken by others. */
  slowMessages?: boolean;
  slowReplies?: boolean;
  /** Single messages get lost, or come twice: this many at the most are decided on. */
  maxMessageFates?: number;
  /** Of the runs of `npm test`: heartbeats take many steps. */
  share?: number;
  /** Profiles expire when time passes (`age`). */
  ttlSeconds?: number;
  load?: ProfileCacheOptions['load'];
}

/** A lost message is noticed, and what L1 holds has been checked, after so long. */
const NOTICED_MS = 2_500;

const WALLETS = ['A', 'B'];
/** Longer than the life of a profile in the weathers that have one, shorter than any deadline. */
const AGE_MS = 4.5;

export function plans(weather: Weather): fc.Arbitrary<Plan> {
  const wallet = fc.oneof({ weight: 4, arbitrary: fc.constant('A') }, { weight: weather.onlyA === true ? 0 : 1, arbitrary: fc.constant('B') });
  const stepOf = (act: Step['do']): fc.Arbitrary<Step> => {
    if (act === 'load') return fc.record({ do: fc.constant(act), wallet, fails: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }) });
    if (act === 'load-many') return fc.record({ do: fc.constant(act), fails: fc.boolean() });
    if (act === 'get' || act === 'update' || act === 'invalidate' || act === 'evict' || act === 'foreign' || act === 'load-absent') return fc.record({ do: fc.constant(act), wallet });
    return fc.constant({ do: act });
  };
  const step = fc.oneof(...Object.entries(weather.acts).map(([act, weight]) => ({ weight, arbitrary: stepOf(act as Step['do']) })));
  const caller = fc.record({
    node: fc.nat(weather.nodes - 1),
    attached: weather.attached ? fc.boolean() : fc.constant(false),
    steps: fc.array(fc.record({ step, wait: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }) }), { minLength: 1, maxLength: 4 }),
  });
  return fc.record({
    callers: fc.array(caller, { minLength: weather.fewestCallers ?? 1, maxLength: 3 }),
    skewsMs: weather.skewsByNode !== undefined ? fc.constant([...weather.skewsByNode]) : fc.tuple(...Array.from({ length: weather.nodes }, () => fc.constantFrom(...weather.skews))),
    calendarStepMs: fc.constantFrom(...weather.calendarSteps),
    fates: fc.array(fc.constantFrom(...weather.fates), { maxLength: weather.maxFates }),
    zombies: fc.boolean(),
    maxProfiles: fc.constantFrom(1, 8),
    remembersClear: fc.boolean(),
    hurry: fc.constantFrom(...weather.hurries),
    messageHops: fc.constantFrom(...(weather.slowMessages ? [8] : [1, 1, 8])),
    replyHops: fc.constantFrom(...(weather.slowReplies ? [6] : [1, 1, 6])),
    lossy: fc.constant(weather.maxMessageFates !== undefined),
    messageFates: fc.array(fc.constantFrom<MessageFate>('ok', 'ok', 'lost', 'twice'), { maxLength: weather.maxMessageFates ?? 0 }),
    ttlSeconds: fc.constant(weather.ttlSeconds),
    load: fc.constant(weather.load),
  });
}

export interface RunOptions {
  sabotage?: (node: WorldNode) => void;
}

/** Carries the plan out under this schedule; the breaches it saw. */
export async function carryOut(plan: Plan, scheduler: Scheduler, options: RunOptions = {}): Promise<string[]> {
  const { stackTraceLimit } = Error;
  // Requests that fail are part of the plan: nobody looks at where.
  Error.stackTraceLimit = 0;
  const world = new World(scheduled(scheduler), { ...plan, sabotage: options.sabotage });
  try {
    const history = new History(world);
    let calling = plan.callers.length;
    for (const caller of plan.callers) void call(world, history, caller).finally(() => calling--);
    const all = plan.callers.flatMap(({ steps }) => steps.map(({ step }) => step.do));
    const given: Verdict = {
      clocksAgree: plan.calendarStepMs === 0 && plan.skewsMs.every((skew) => skew === plan.skewsMs[0]),
      calm: plan.hurry === Infinity && plan.fates.every((fate) => fate === 'ok') && !all.includes('clear'),
      turnsLast: plan.hurry === Infinity || plan.callers.every(({ attached }) => !attached),
      l2Keeps: !all.includes('failover') && !all.includes('lag'),
    };
    const served = await world.run(() => calling === 0 && !history.open);
    world.calmDown();
    if (!served || !(await world.run(() => world.quiet))) {
      return [...judge(history, world, given), `10: not at rest after ${world.steps} steps: ${world.nodes.flatMap((node) => node.leftovers()).filter(([, size]) => size > 0).join('; ')}`];
    }
    if (plan.lossy) {
      const noticedMs = world.time.nowMs + NOTICED_MS;
      await world.run(() => world.time.nowMs >= noticedMs && world.quiet);
    }
    const answers: { node: WorldNode; wallet: string; seen: number }[] = [];
    for (const node of world.nodes) for (const wallet of WALLETS) void node.cache.getProfile(wallet).then((profile) => answers.push({ node, wallet, seen: profile?.i ?? 0 }));
    await world.run(() => answers.length === world.nodes.length * WALLETS.length && world.quiet);
    const stillOpen = answers.length < world.nodes.length * WALLETS.length ? ['10: a read at rest never ended'] : [];
    return [...judge(history, world, given), ...judgeRest(world, answers, history, given), ...stillOpen];
  } finally {
    world.close();
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function call(world: World, history: History, { node, attached, steps }: Caller): Promise<void> {
  const home = world.nodes[node];
  const cache = attached ? home.attach() : home.cache;
  if (attached) history.isAttached(cache);
  for (const { step, wait } of steps) {
    await world.order.wait(`n${node}${attached ? ' thread' : ''} ${step.do}${'wallet' in step ? ` ${step.wallet}` : ''}`);
    const done = begin(world, history, node, home, cache, step);
    if (wait) await done;
  }
}

function begin(world: World, history: History, node: number, home: WorldNode, cache: ProfileCache<Numbered>, step: Step): Promise<void> | undefined {
  switch (step.do) {
    case 'get':
      return history.get(node, cache, step.wallet);
    case 'update':
      return history.update(node, cache, step.wallet);
    case 'invalidate':
      return history.invalidate(node, cache, step.wallet);
    case 'foreign':
      return void history.foreign(step.wallet);
    case 'load':
      return history.load(node, cache, step.wallet, step.fails ? 'fails' : 'brings');
    case 'load-absent':
      return history.load(node, cache, step.wallet, 'absent');
    case 'age':
      return void world.time.pass(AGE_MS);
    case 'load-many':
      return history.loadMany(node, cache, WALLETS, step.fails ? 'fails' : 'brings');
    case 'bulk':
      return history.bulk(node, cache, WALLETS);
    case 'clear':
      return history.clear(node, cache);
    case 'evict':
      return void home.l1.writer.remove(home.thread.key.set(step.wallet));
    case 'gap':
      return void home.source.break();
    case 'lag':
      return void world.l2.lag();
    case 'catch-up':
      return void world.l2.catchUp();
    case 'save':
      return void world.l2.save();
    case 'failover':
      return void world.l2.failover();
  }
}

/** A plan and the order of its steps, as a counterexample prints them. */
export const brief = (plan: Plan): string =>
  JSON.stringify({ ...plan, callers: plan.callers.map(({ node, attached, steps }) => `n${node}${attached ? 't' : ''}: ${steps.map(({ step, wait }) => `${step.do}${'wallet' in step ? step.wallet : ''}${'fails' in step && step.fails ? '!' : ''}${wait ? '' : '&'}`).join(' ')}`) });
