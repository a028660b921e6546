/** Bugs that the model must find: each takes away one thing that a promise rests on, from outside, in every process of the world. */
import type { NearCache } from '../../src/l1/near-cache.ts';
import type { Floors } from '../../src/load/floors.ts';
import type { L1Owner } from '../../src/load/l1-owner.ts';
import type { PendingWrite, WriteQueue } from '../../src/load/write-queue.ts';
import type { WorldNode } from '../support/world.ts';
import type { WEATHERS } from './weathers.ts';

export interface Mutant {
  name: string;
  weather: keyof typeof WEATHERS;
  sabotage(node: WorldNode): void;
}

/** The insides of src that are private to TypeScript alone. */
interface Insides {
  onRemote(event: { wallet: string; version?: number }): void;
  onGap(reason: string): void;
  writes: {
    queue: WriteQueue;
    update(updates: readonly { wallet: string; version?: number }[]): Promise<{ overtaken?: boolean }[]>;
    replay(): Promise<void>;
    l2: {
      fate: { mayRenew(write: PendingWrite, stampsDecide: boolean): boolean; becomesInvalidation(write: PendingWrite): boolean };
      replays: { stillMeant(write: PendingWrite): boolean };
    };
  };
  parts: { channel: { speak(): void; publishers: { check(): object[] } } };
  turns: { end(wallet: string, end: object, version?: number): void; nextVersion(): number };
}
const inside = (node: WorldNode): Insides => node.owner as unknown as Insides;

/** While `work` runs, no wallet has a floor. */
function withoutFloors<T>(floors: Floors, work: () => T): T {
  const { of } = floors;
  floors.of = () => 0;
  try {
    return work();
  } finally {
    floors.of = of;
  }
}

export const MUTANTS: Mutant[] = [
  {
    name: 'an invalidation or a foreign event voids no load under way (no fence)',
    weather: 'foreign publishers',
    sabotage: ({ floors }) => void (floors.fence = () => {}),
  },
  {
    name: 'promotion looks at no fence: a read joins a fetch from before the change',
    weather: 'foreign publishers',
    sabotage: ({ floors }) => void (floors.voided = () => false),
  },
  {
    name: 'promotion looks at no floor',
    weather: 'L2 goes back in time',
    sabotage: ({ l1, floors }) => {
      const promote: L1Owner['promote'] = l1.promote.bind(l1);
      l1.promote = (record, token) => withoutFloors(floors, () => promote(record, token));
    },
  },
  {
    name: 'promotion replaces what L1 holds, whatever its version, and looks at no floor or fence',
    weather: 'calm',
    sabotage: ({ l1, thread, floors }) => {
      const promote: L1Owner['promote'] = l1.promote.bind(l1);
      floors.voided = () => false;
      l1.promote = (record, token) => {
        l1.writer.remove(thread.key.set(record.wallet));
        return withoutFloors(floors, () => promote(record, token));
      };
    },
  },
  {
    name: 'a write on its way does not hold its wallet',
    weather: 'clocks that disagree, and requests that get lost',
    sabotage: ({ floors }) => void (floors.isHeld = () => false),
  },
  {
    name: 'a write is renewed although a later call has overtaken it',
    weather: 'clocks that disagree',
    sabotage: (node) => void (inside(node).writes.l2.fate.mayRenew = ({ loaded }) => loaded !== true),
  },
  {
    name: 'a refused write is never renewed',
    weather: 'clocks that disagree',
    sabotage: (node) => void (inside(node).writes.l2.fate.mayRenew = () => false),
  },
  {
    name: 'a write that is given up takes the invalidation before it along',
    weather: 'clocks that disagree, and many requests that get lost',
    // With what lets such a write lose less often left out as well: else 10,000 runs of its seed do not show it.
    sabotage: (node) => {
      const { fate, replays } = inside(node).writes.l2;
      const stillMeant = replays.stillMeant.bind(replays);
      fate.becomesInvalidation = () => false;
      replays.stillMeant = (write) => {
        write.beyond = 0;
        return stillMeant(write);
      };
    },
  },
  {
    name: 'what a loader brought is renewed',
    weather: 'loads above all',
    sabotage: (node) => void (inside(node).writes.l2.fate.mayRenew = () => true),
  },
  {
    name: 'what a loader brought is stored although its wallet has changed meanwhile',
    weather: 'loads and invalidations',
    sabotage: (node) => {
      const { writes } = inside(node);
      const update = writes.update.bind(writes);
      writes.update = (all) => (all.every(({ version }) => version === undefined) ? update(all) : withoutFloors(node.floors, () => update(all)));
    },
  },
  {
    name: 'a load is stamped when it ends, not when it begins',
    weather: 'loads and invalidations',
    sabotage: (node) => {
      const { writes } = inside(node);
      const update = writes.update.bind(writes);
      writes.update = (all) => update(all.map((one) => (one.version === undefined ? one : { ...one, version: node.versions.next() })));
    },
  },
  {
    name: 'equal stamps of two processes pass for a repeated command',
    weather: 'clocks that disagree',
    sabotage: ({ client }) => {
      const setMany = client.setMany.bind(client);
      client.setMany = async (writes) => (await setMany(writes)).map((outcome, i) => (outcome.status === 'older' && outcome.storedVersion === writes[i].version ? { status: 'stored' } : outcome));
    },
  },
  {
    name: 'an event for a wallet that L1 does not hold is left aside',
    weather: 'calm',
    sabotage: (node) => {
      const owner = inside(node);
      const onRemote = owner.onRemote.bind(owner);
      owner.onRemote = (event) => void (node.l1.versionOf(event.wallet) !== 0 && onRemote(event));
    },
  },
  {
    name: 'an event is left aside when its stamp is behind the clock of this process',
    weather: 'calm',
    sabotage: (node) => {
      const owner = inside(node);
      const onRemote = owner.onRemote.bind(owner);
      owner.onRemote = (event) => void (event.version !== undefined && event.version > (node.versions as unknown as { last: number }).last && onRemote(event));
    },
  },
  {
    name: 'an event raises the floor and leaves the entry',
    weather: 'calm',
    sabotage: (node) => void (node.l1.drop = (wallet, version) => {
      node.floors.raise(wallet, version);
      node.floors.fence(wallet);
    }),
  },
  {
    name: 'a write sends no event',
    weather: 'calm',
    sabotage: ({ client }) => {
      const setMany = client.setMany.bind(client);
      client.setMany = (writes) => setMany(writes.map((write) => ({ ...write, event: undefined })));
    },
  },
  {
    name: 'a gap is left aside',
    weather: 'a gap while reading',
    sabotage: (node) => void (inside(node).onGap = () => {}),
  },
  {
    name: 'a gap voids no load under way',
    weather: 'a gap while reading',
    sabotage: ({ l1, floors }) => {
      const distrustAll = l1.distrustAll.bind(l1);
      l1.distrustAll = () => {
        const { fenceAll } = floors;
        floors.fenceAll = () => {};
        distrustAll();
        floors.fenceAll = fenceAll;
      };
    },
  },
  {
    name: 'after a gap entries are confirmed without asking L2',
    weather: 'the subscription breaks',
    sabotage: ({ l1 }) => {
      const distrustAll = l1.distrustAll.bind(l1);
      l1.distrustAll = () => {
        distrustAll();
        for (let slot = 0; slot < l1.writer.slotCount; slot++) l1.writer.suspects.confirm(slot);
      };
    },
  },
  {
    name: 'an own write that was unanswered at a gap is not checked when its answer has come',
    weather: 'the subscription breaks',
    sabotage: ({ l1 }) => void (l1.unchecked.add = () => l1.unchecked),
  },
  {
    name: 'after a gap what L2 no longer holds is kept',
    weather: 'the subscription breaks',
    sabotage: ({ l1 }) => void (l1.absent = (wallet) => void l1.release(wallet)),
  },
  {
    name: 'missing events are not counted',
    weather: 'messages get lost',
    sabotage: (node) => void (inside(node).parts.channel.publishers.check = () => []),
  },
  {
    name: 'no heartbeats',
    weather: 'messages get lost',
    sabotage: (node) => void (inside(node).parts.channel.speak = () => {}),
  },
  {
    name: 'L2 takes writes in any order (no compare-and-set)',
    weather: 'requests and replies get lost',
    sabotage: ({ client }) => {
      const { l2 } = client as unknown as { l2: { rows: Map<string, object>; write(wallet: string, row: object, event: string | undefined): object } };
      const { write } = l2;
      l2.write = function put(wallet, row, event) {
        this.rows.delete(wallet);
        return write.call(this, wallet, row, event);
      };
    },
  },
  {
    name: 'the queue keeps the first write of a wallet',
    weather: 'requests and replies get lost',
    sabotage: (node) => {
      const { queue } = inside(node).writes;
      const add = queue.add.bind(queue);
      queue.add = (write) => (queue.waiting(write.wallet) === undefined ? add(write) : 'superseded');
    },
  },
  {
    name: 'the queue forgets a write when an older one has reached L2',
    weather: 'requests and replies get lost',
    sabotage: (node) => {
      const { queue } = inside(node).writes;
      const settle = queue.settle.bind(queue);
      queue.settle = (wallet) => settle(wallet, Infinity);
    },
  },
  {
    name: 'the queue is never replayed',
    weather: 'requests and replies get lost',
    sabotage: (node) => void (inside(node).writes.replay = () => Promise.resolve()),
  },
  {
    name: 'leases are granted to everybody',
    weather: 'calm',
    sabotage: ({ client }) => void (client.acquireLease = () => Promise.resolve(true)),
  },
  {
    name: 'who joins a load gets it, overtaken or not',
    weather: 'loads and invalidations',
    sabotage: (node) => {
      const { writes } = inside(node);
      const update = writes.update.bind(writes);
      writes.update = async (all) => (await update(all)).map((result) => ({ ...result, overtaken: undefined }));
    },
  },
  {
    name: 'the near cache of the owner is not told what L1 has changed',
    weather: 'calm',
    sabotage: ({ thread }) => {
      const { near } = thread as unknown as { near: NearCache };
      near.slotChanged = () => {};
    },
  },
  {
    name: 'what has expired is left where it is when its wallet changes',
    weather: 'profiles that expire',
    sabotage: ({ l1, thread }) => {
      const drop = l1.drop.bind(l1);
      l1.drop = (wallet, version) => {
        if (!thread.hasStale(wallet, Infinity)) return drop(wallet, version);
        l1.floors.raise(wallet, version);
        l1.floors.fence(wallet);
        l1.memory.forget(wallet);
      };
    },
  },
  {
    name: 'every reader is given what has expired',
    weather: 'profiles that expire',
    sabotage: ({ thread }) => {
      const inner = thread as unknown as { read(wallet: string, nowMs: number): string };
      const read = inner.read.bind(thread);
      inner.read = (wallet) => read(wallet, 0);
    },
  },
  {
    name: 'a refresh is stamped when it ends, not when it begins',
    weather: 'profiles that expire',
    sabotage: (node) => {
      const { writes } = inside(node);
      const update = writes.update.bind(writes);
      writes.update = (all) => update(all.map((one) => (one.version === undefined ? one : { ...one, version: node.versions.next() })));
    },
  },
  {
    name: 'that a wallet has no profile is remembered although it changed while that was found out',
    weather: 'loads that find nothing',
    sabotage: ({ l1: { memory } }) => {
      const end = memory.end.bind(memory);
      memory.end = (wallet, version, found) => {
        if (found !== undefined) memory.begin(wallet, version);
        end(wallet, version, found);
      };
    },
  },
  {
    name: 'that a wallet has no profile is remembered whatever happens to it',
    weather: 'loads that find nothing',
    sabotage: ({ l1: { memory } }) => void (memory.forget = () => {}),
  },
  {
    name: 'clear raises no floor',
    weather: 'everything is cleared',
    sabotage: ({ l1 }) => void (l1.clear = () => l1.writer.clear()),
  },
  {
    name: 'clear leaves what a calendar ahead has stamped',
    weather: 'everything is cleared, by calendars that disagree',
    sabotage: ({ client }) => {
      const clear = client.clear.bind(client);
      client.clear = (version, event) => clear(version, event).then(() => 0);
    },
  },
  {
    name: 'L2 takes writes of who does not know that it has been cleared',
    weather: 'everything is cleared, by calendars that disagree',
    sabotage: ({ client }) => {
      const { setMany, deleteMany } = client;
      client.setMany = (writes) => setMany.call(client, writes);
      client.deleteMany = (deletes) => deleteMany.call(client, deletes);
    },
  },
  {
    name: 'a load that began before a clear was heard of is kept if its stamp is greater',
    weather: 'everything is cleared, by calendars that disagree',
    sabotage: ({ floors }) => void (floors.overtake = (wallet, version) => version < floors.of(wallet)),
  },
  {
    name: 'a write that is given up for a clear leaves its floor',
    weather: 'everything is cleared, by calendars that disagree',
    sabotage: ({ floors }) => {
      floors.retract = () => {};
      (floors as unknown as { floors: { clear(): void } }).floors.clear = () => {};
    },
  },
  {
    name: 'an update that yields to a later one does not tell it what it was refused for',
    weather: 'updates that yield to later ones',
    sabotage: (node) => {
      const { replays } = inside(node).writes.l2;
      const stillMeant = replays.stillMeant.bind(replays);
      replays.stillMeant = (write) => {
        write.beyond = 0;
        return stillMeant(write);
      };
    },
  },
];
