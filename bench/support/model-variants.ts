/** What `npm run model` checks: the protocol as it is, changes that do no harm, and mutants that must fail, each with its reason. */

/** What an assertion of the models says when it fails. */
export type Fault = 'torn' | 'foreign' | 'stale' | 'missed' | 'shared' | 'robbed' | 'disturbs' | 'leaked';

export interface Variant {
  readonly model: 'slot' | 'index' | 'row';
  readonly name: string;
  /** Preprocessor definitions: NAME or NAME=value. */
  readonly defines: readonly string[];
  /** The fault that must be found; absent: there must be none. */
  readonly fault?: Fault;
  readonly why: string;
}

export const CORRECT: readonly Variant[] = [
  { model: 'slot', name: 'one reader, 4 changes', defines: ['OPS=4'], why: 'put, update, removal, move, reuse by another wallet and elsewhere; near cache' },
  { model: 'slot', name: 'two readers of two wallets', defines: ['NR=2', 'OPS=2', 'TRIES=1'], why: 'readers do not disturb each other' },
  { model: 'slot', name: 'two readers, 3 changes, one read', defines: ['NR=2', 'OPS=3', 'READS=1', 'TRIES=1'], why: 'as above, more reuse' },
  { model: 'slot', name: 'payload in place', defines: ['INPLACE'], why: 'the simplest seqlock, for comparison' },
  { model: 'slot', name: 'owner dies at any step', defines: ['CRASH'], why: 'readers end; what they accept is right' },
  { model: 'slot', name: 'dies, repaired by the next owner', defines: ['CRASH', 'REPAIR', 'OPS=2'], why: 'extension: empty, raise version, even. The cache has no takeover' },
  { model: 'slot', name: 'ARM64-like, one read', defines: ['WEAK', 'OPS=3', 'READS=1', 'TRIES=1'], why: 'stores and loads drift; fence at reuse, closing read-modify-write' },
  { model: 'slot', name: 'ARM64-like, near cache', defines: ['WEAK', 'OPS=2', 'TRIES=1'], why: 'the same, with a second read' },
  { model: 'slot', name: 'ARM64-like, in place with a fence', defines: ['WEAK', 'INPLACE', 'ODD_FENCE', 'OPS=2', 'TRIES=1'], why: 'seq odd as a read-modify-write holds the payload back' },
  { model: 'slot', name: 'x64-like (store buffer in order)', defines: ['WEAK', 'TSO'], why: 'plain load closes' },
  { model: 'index', name: '4 cells, 3 changes, all placements', defines: [], why: 'insertion, removal with shift, clear, second walk' },
  { model: 'index', name: '8 cells, 2 changes', defines: ['CELLS=8', 'OPS=2'], why: 'longer runs, across the end of the table' },
  { model: 'index', name: 'ARM64-like', defines: ['WEAK', 'OPS=2', 'TRIES=1'], why: 'cells loaded in any order before the closing read-modify-write' },
  { model: 'index', name: 'owner dies at any step', defines: ['CRASH'], why: 'who is resident is found all the same' },
  { model: 'row', name: 'two threads, 2 waiters each, 2 looks', defines: ['PASSES=2'], why: 'each may block, close or die at any step, and take the row again' },
  { model: 'row', name: '3 looks, one try each', defines: ['ROUNDS=1'], why: 'more looks than signs: nothing can be learned, nobody loses his row' },
  { model: 'row', name: '3 waiters each', defines: ['SIGNS=3', 'PASSES=2'], why: 'as the code, which has 16' },
  { model: 'row', name: 'one waiter, no sign to spare', defines: ['SIGNS=1'], why: 'one look, and none after it until the thread has waited again' },
];

/** Changed, and still right: known, so that nobody takes the difference for a guard. */
export const HARMLESS: readonly Variant[] = [
  { model: 'slot', name: 'x64-like without the reuse fence', defines: ['WEAK', 'TSO', 'NO_FENCE', 'OPS=2'], why: 'stores stay in order there: the fence is for ARM64' },
  { model: 'slot', name: 'repair makes seq even only', defines: ['CRASH', 'REPAIR', 'REPAIR_EVEN_ONLY', 'OPS=1'], why: 'offset changes as one word and points to a whole record; fails in place' },
  { model: 'index', name: 'clear the cell, then copy it', defines: ['CLEAR_FIRST', 'OPS=2'], why: 'an odd counter is no definite miss; fails when the owner dies there' },
  { model: 'index', name: 'cell before slot', defines: ['CELL_FIRST', 'OPS=2'], why: 'an empty slot is passed by, and the put has not returned' },
];

export const MUTANTS: readonly Variant[] = [
  { model: 'slot', name: 're-check before the copy', defines: ['CHECK_EARLY'], fault: 'torn', why: 'the owner reuses the memory during the copy' },
  { model: 'slot', name: 'no key compare', defines: ['NO_KEY_COMPARE'], fault: 'foreign', why: 'the slot went to another wallet' },
  { model: 'slot', name: 'version raised before seq odd', defines: ['VERSION_FIRST'], fault: 'stale', why: 'old content paired with the new version: the near cache keeps it. A bug this project had' },
  { model: 'slot', name: 'memory freed before the slot has left it', defines: ['FREE_EARLY'], fault: 'torn', why: 'bytes change under an unchanged seq' },
  { model: 'slot', name: 'seq modulo 4', defines: ['SEQMOD=4'], fault: 'torn', why: 'two changes bring the old value back' },
  { model: 'slot', name: 'seq modulo 8', defines: ['SEQMOD=8', 'OPS=5'], fault: 'torn', why: 'four changes do' },
  { model: 'slot', name: 'a miss without closing check', defines: ['MISS_UNCHECKED'], fault: 'missed', why: 'the record was moved and its bytes went to another wallet' },
  { model: 'slot', name: 'near cache without version check', defines: ['NEAR_BLIND'], fault: 'stale', why: 'serves what was updated or removed' },
  { model: 'slot', name: 'near cache keeps a version read after closing', defines: ['VERSION_LATE'], fault: 'stale', why: 'old content, new version' },
  { model: 'slot', name: 'removal leaves the version', defines: ['REMOVAL_KEEPS_VERSION'], fault: 'stale', why: 'near caches go on serving the removed profile' },
  { model: 'slot', name: 'repair makes seq even only, in place', defines: ['CRASH', 'REPAIR', 'REPAIR_EVEN_ONLY', 'INPLACE'], fault: 'torn', why: 'half a payload is published' },
  { model: 'slot', name: 'repair steps seq back', defines: ['CRASH', 'REPAIR', 'REPAIR_BACK'], fault: 'torn', why: 'a reader that opened before the crash closes on the old value' },
  { model: 'slot', name: 'repair leaves the version', defines: ['CRASH', 'REPAIR', 'REPAIR_KEEPS_VERSION', 'OPS=1'], fault: 'stale', why: 'the next owner finds nothing to remove, near caches still have it' },
  { model: 'slot', name: 'ARM64-like: closed by a plain atomic load', defines: ['WEAK', 'CLOSE_LOAD', 'OPS=2'], fault: 'torn', why: 'payload loads drift below it' },
  { model: 'slot', name: 'ARM64-like: no fence at reuse', defines: ['WEAK', 'NO_FENCE'], fault: 'torn', why: 'new bytes are visible before the changed seq' },
  { model: 'slot', name: 'ARM64-like: in place without a fence', defines: ['WEAK', 'INPLACE'], fault: 'torn', why: 'payload stores drift above seq odd' },
  { model: 'slot', name: 'ARM64-like: offset stored plainly', defines: ['WEAK', 'PLAIN_OFFSET'], fault: 'torn', why: 'visible before the record it points to' },
  { model: 'slot', name: 'ARM64-like: version stored plainly', defines: ['WEAK', 'PLAIN_VERSION', 'OPS=1'], fault: 'stale', why: 'visible before seq odd' },
  { model: 'index', name: 'the cell is trusted', defines: ['TRUST_CELL'], fault: 'foreign', why: 'its slot went to another wallet' },
  { model: 'index', name: 'one walk', defines: ['ONE_WALK'], fault: 'missed', why: 'the entry moved behind the walk' },
  { model: 'index', name: 'shift without the counter', defines: ['NO_COUNTER'], fault: 'missed', why: 'both walks are overtaken' },
  { model: 'index', name: 'counter changed only after the shift', defines: ['COUNT_END_ONLY', 'ODD_IS_FINE'], fault: 'missed', why: 'a walk within the shift sees no change' },
  { model: 'index', name: 'counter changed only before the shift', defines: ['COUNT_START_ONLY', 'ODD_IS_FINE'], fault: 'missed', why: 'as above' },
  { model: 'index', name: 'an odd counter is taken', defines: ['ODD_IS_FINE'], fault: 'missed', why: 'opened and closed within one shift' },
  { model: 'index', name: 'shift moves an entry past its home', defines: ['SHIFT_ALL'], fault: 'missed', why: 'no walk from its home comes there' },
  { model: 'index', name: 'acknowledged before the cell', defines: ['ACK_BEFORE_CELL'], fault: 'missed', why: 'the put has returned and a read finds nothing' },
  { model: 'index', name: 'dies between clearing and copying', defines: ['CRASH', 'CLEAR_FIRST', 'OPS=1'], fault: 'missed', why: 'a resident entry is in no cell for good' },
  { model: 'index', name: 'ARM64-like: closed by a plain atomic load', defines: ['WEAK', 'CLOSE_LOAD', 'OPS=2', 'TRIES=1'], fault: 'missed', why: 'loads of cells drift below it' },
  { model: 'row', name: 'used before there is a waiter', defines: ['USE_FIRST'], fault: 'robbed', why: 'the owner finds nobody waiting and frees the row' },
  { model: 'row', name: 'waits without comparing', defines: ['NO_COMPARE'], fault: 'robbed', why: 'joins after the owner has counted, and takes the row for its own' },
  { model: 'row', name: 'a sign before its waiter', defines: ['SIGN_FIRST'], fault: 'robbed', why: 'the owner uses a sign that nobody waits for' },
  { model: 'row', name: 'a look costs no sign', defines: ['SIGNS_KEPT'], fault: 'robbed', why: 'a blocked thread has answered with its last waiter, and is taken for dead' },
  { model: 'row', name: 'signs without their epoch', defines: ['SIGNS_BARE'], fault: 'robbed', why: 'set back too late by who closes: the next holder has signs that he has no waiters for. A bug this project had' },
  { model: 'row', name: 'an older epoch signs', defines: ['SIGN_LATE'], fault: 'robbed', why: 'who closes late writes over the signs of the next holder. A bug this project had' },
  { model: 'row', name: 'the owner does not mark that it looks', defines: ['NO_SUSPECT'], fault: 'robbed', why: 'a thread puts up its waiter between the count and the freeing, and takes the row for its own' },
  { model: 'row', name: 'freed before its waiters are woken', defines: ['FREE_FIRST'], fault: 'robbed', why: 'wakes those of the next holder, whose signs know nothing of it' },
  { model: 'row', name: 'closed under a look, without a last sign', defines: ['FREE_UNSIGNED'], fault: 'leaked', why: 'the looks have used all signs, and nobody may look again' },
];
