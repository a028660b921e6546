/*
 * One slot of L1: one owner, NR readers. Labels such as [put.1] are the step list of README.md, which names the code of each.
 *
 * The slot is (seq, version, offset). A record (key, two payload words) stands in a block; a block is a segment of the arena that
 * holds one record, so that each reuse of memory is the quickest possible. Two wallets take turns in the slot (slot reuse).
 * A payload word is wallet * 8 + stamp: whose it is, and which change wrote it. Each change takes a stamp; when it is acknowledged
 * its stamp becomes the wallet's floor: a read that begins later must not bring content below it. That is "stale".
 *
 *   -DNR= readers   -DOPS= changes by the owner   -DREADS= reads by each reader   -DTRIES= of one read
 *   -DWEAK         ARM64-like: the owner's plain stores become visible in any order, also before an atomic one that precedes them;
 *                  an atomic store waits for everything before it. A reader's plain loads happen in any order between opening
 *                  and closing; the closing read-modify-write waits for them.
 *   -DTSO          with -DWEAK, x64-like: stores become visible in order, an atomic one waits until it is; loads stay in order.
 *   -DCRASH        the owner ends at any step.   -DREPAIR  the next owner empties an odd slot, makes it even and goes on.
 *   -DINPLACE      the simplest seqlock: the payload is overwritten where it stands, while seq is odd.
 * The other -D are mutants: README.md has the list.
 */
#ifndef NR
#define NR 1
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef READS
#define READS 2
#endif
#ifndef TRIES
#define TRIES 2
#endif
#ifndef SEQMOD
#define SEQMOD 64
#endif

#if defined(WEAK) && !defined(TSO)
#define ANY_ORDER
#endif

/* Shared memory. */
#define SEQ      0
#define VERSION  1
#define OFFSET   2              /* block + 1; 0: empty */
#define FLOOR(w) (2 + (w))      /* acknowledged stamp of wallet 1 or 2 */
#define GONE(w)  (4 + (w))      /* removals of a wallet begun; ghost, for "resident throughout" */
#define HERE(w)  (6 + (w))      /* the wallet is in L1, acknowledged; ghost */
#define KEY(b)   (9 + 3 * (b))
#define WORD0(b) (10 + 3 * (b))
#define WORD1(b) (11 + 3 * (b))
byte mem[15];

/* What only the owner knows. */
byte seq, version, stamp, block, key, word;     /* key 0: the slot is empty; word: what its record holds */
bool crashed, repaired;

/* ---- the owner's stores ---- */
#ifdef WEAK
#define QUEUE 8
byte qAt[QUEUE]; byte qValue[QUEUE]; bool qAtomic[QUEUE]; byte queued;

inline store(at, value, isAtomic) {
  d_step { queued < QUEUE -> qAt[queued] = at; qValue[queued] = value; qAtomic[queued] = isAtomic; queued++ }
}
#define PLAIN(at, value)  store(at, value, false)
#ifdef TSO
#define ATOMIC(at, value) store(at, value, true); queued == 0
#else
#define ATOMIC(at, value) store(at, value, true)
#endif
#define GHOST(at, value)  store(at, value, true)
/* A read-modify-write: all before it is visible before it, all after it after. */
#define FENCE queued == 0

active proctype Machine() {
  byte i, j; bool may;
end:
  do
  :: atomic { queued > 0 ->
       i = 0;
#ifndef TSO
       do :: i + 1 < queued -> i++ :: break od;
#endif
       d_step {
         may = !qAtomic[i] || i == 0;
         j = 0;
         do :: j < i -> if :: qAt[j] == qAt[i] -> may = false :: else fi; j++ :: else -> break od;
         if
         :: may ->
            mem[qAt[i]] = qValue[i];
            queued--;
            do :: i < queued -> qAt[i] = qAt[i + 1]; qValue[i] = qValue[i + 1]; qAtomic[i] = qAtomic[i + 1]; i++ :: else -> break od;
            qAt[queued] = 0; qValue[queued] = 0; qAtomic[queued] = false
         :: else
         fi;
         i = 0; j = 0; may = false
       }
     }
  od
}
#else
#define PLAIN(at, value)  mem[at] = value
#define ATOMIC(at, value) mem[at] = value
#define GHOST(at, value)  mem[at] = value
#define FENCE skip
#endif

#ifdef PLAIN_VERSION
#define STORE_VERSION(value) PLAIN(VERSION, value)
#else
#define STORE_VERSION(value) ATOMIC(VERSION, value)
#endif
#ifdef PLAIN_OFFSET
#define STORE_OFFSET(value) PLAIN(OFFSET, value)
#else
#define STORE_OFFSET(value) ATOMIC(OFFSET, value)
#endif

#define NEXT_SEQ seq = (seq + 1) % SEQMOD; ATOMIC(SEQ, seq)

inline takeBlock() {
#ifdef FREE_EARLY
  skip;                                   /* the published record's own memory is taken for free */
#else
  block = 1 - block;
#endif
#ifndef NO_FENCE
  FENCE                                   /* [reuse.1] a freed segment is taken: read-modify-write */
#endif
}

inline beginSlot() {
  NEXT_SEQ                                /* [slot.1] seq odd */
#ifdef ODD_FENCE
  ; FENCE
#endif
}

/* ---- the owner's changes ---- */
inline put(k) {
  d_step { stamp++; word = k * 8 + stamp };
#ifdef INPLACE
  beginSlot();
  version++; STORE_VERSION(version);
  PLAIN(KEY(block), k); PLAIN(WORD0(block), word); PLAIN(WORD1(block), word);
  STORE_OFFSET(block + 1);
  NEXT_SEQ;
#else
  takeBlock();
  PLAIN(KEY(block), k);                   /* [put.1] the record's bytes, where no slot points */
  PLAIN(WORD0(block), word);
  PLAIN(WORD1(block), word);
#ifdef VERSION_FIRST
  version++; STORE_VERSION(version);
#endif
  beginSlot();
#ifndef VERSION_FIRST
  version++; STORE_VERSION(version);      /* [slot.2] near caches drop the old content */
#endif
  STORE_OFFSET(block + 1);                /* [slot.3] the new record */
  NEXT_SEQ;                               /* [slot.4] seq even */
#endif
  key = k;
  GHOST(HERE(k), 1);
  ATOMIC(FLOOR(k), stamp)                 /* [put.2] the call returns: acknowledged */
}

inline remove(k) {
  if
  :: key == k ->
     d_step { stamp++; key = 0 };
     GHOST(HERE(k), 0);
     GHOST(GONE(k), mem[GONE(k)] + 1);
     beginSlot();
#ifndef REMOVAL_KEEPS_VERSION
     version++; STORE_VERSION(version);
#endif
     STORE_OFFSET(0);                     /* [remove.2] the slot is empty */
     NEXT_SEQ
  :: else -> stamp++                      /* nothing there: returns at once */
  fi;
  ATOMIC(FLOOR(k), stamp)                 /* [remove.3] acknowledged; the bytes may be compacted away */
}

inline move() {
  takeBlock();
  PLAIN(KEY(block), key);                 /* [move.1] the same bytes elsewhere */
  PLAIN(WORD0(block), word);
  PLAIN(WORD1(block), word);
  beginSlot();
  STORE_OFFSET(block + 1);                /* [move.2] content and version stay */
  NEXT_SEQ
}

/* A record of a wallet in another slot takes the freed segment: this slot's seq does not change again. */
inline reuseElsewhere() {
#ifndef NO_FENCE
  FENCE;
#endif
  PLAIN(KEY(1 - block), 3);
  PLAIN(WORD0(1 - block), 24);
  PLAIN(WORD1(1 - block), 24)
}

inline changes(count) {
  byte done = 0;
  do
  :: done < count ->
     done++;
     if
     :: key != 2 -> put(1)
     :: key != 1 -> put(2)
     :: key == 1 -> remove(1)
     :: key == 2 -> remove(2)
#ifndef INPLACE
     :: key != 0 -> move()
     :: reuseElsewhere()
#endif
     fi
  :: else -> break
  od
}

proctype Owner() {
#ifdef CRASH
  { changes(OPS) } unless { crashed };
#ifdef REPAIR
  if
  :: crashed ->
     if
     :: mem[SEQ] % 2 == 1 ->
        d_step { seq = mem[SEQ]; version = mem[VERSION]; block = (mem[OFFSET] == 2 -> 1 : 0) };
#ifdef REPAIR_EVEN_ONLY
        d_step { key = (mem[OFFSET] == 0 -> 0 : mem[KEY(block)]); word = mem[WORD0(block)] };
        NEXT_SEQ
#else
#ifdef REPAIR_BACK
        d_step { key = (mem[OFFSET] == 0 -> 0 : mem[KEY(block)]); word = mem[WORD0(block)]; seq = (seq + SEQMOD - 1) % SEQMOD };
        mem[SEQ] = seq
#else
        d_step { key = 0; mem[HERE(1)] = 0; mem[HERE(2)] = 0; mem[GONE(1)]++; mem[GONE(2)]++ };
        mem[OFFSET] = 0;                  /* [repair.1] empty it while it is odd */
#ifndef REPAIR_KEEPS_VERSION
        version++; mem[VERSION] = version;/* [repair.2] near caches drop what they had of it */
#endif
        NEXT_SEQ                          /* [repair.3] even */
#endif
#endif
     :: else -> d_step {
          seq = mem[SEQ]; version = mem[VERSION]; block = (mem[OFFSET] == 2 -> 1 : 0);
          key = (mem[OFFSET] == 0 -> 0 : mem[KEY(block)]); word = mem[WORD0(block)]
        }
     fi;
     repaired = true;
     remove(1);
     put(1);
     put(1)
  :: else
  fi;
  assert(mem[SEQ] % 2 == 0)               /* no slot stays odd */
#endif
#else
  changes(OPS)
#endif
}

#ifdef CRASH
active proctype Killer() { crashed = true }
#endif

/* ---- a reader ---- */
#define GOT_OFFSET  1
#define GOT_VERSION 2
#define GOT_KEY     4
#define GOT_WORD0   8
#define GOT_WORD1   16
#define GOT_ALL     31

/* Every plain load happens once, in any order that addresses allow; an empty slot has nothing to load. */
inline loadInAnyOrder() {
  d_step { got = 0; closed = false };
  do
  :: !(got & GOT_OFFSET) -> atomic { b = mem[OFFSET]; got = got | GOT_OFFSET; if :: b == 0 -> got = got | GOT_KEY | GOT_WORD0 | GOT_WORD1 :: else -> b-- fi; k = 0 }
  :: !(got & GOT_VERSION) -> atomic { v = mem[VERSION]; got = got | GOT_VERSION }
  :: (got & GOT_OFFSET) && !(got & GOT_KEY) -> atomic { k = mem[KEY(b)]; got = got | GOT_KEY }
  :: (got & GOT_OFFSET) && !(got & GOT_WORD0) -> atomic { a = mem[WORD0(b)]; got = got | GOT_WORD0 }
  :: (got & GOT_OFFSET) && !(got & GOT_WORD1) -> atomic { c = mem[WORD1(b)]; got = got | GOT_WORD1 }
#ifdef CLOSE_LOAD
  :: !closed -> atomic { s2 = mem[SEQ]; closed = true }                       /* an atomic load does not hold earlier loads back */
#else
  :: !closed && got == GOT_ALL -> atomic { s2 = mem[SEQ]; closed = true }
#endif
  :: closed && got == GOT_ALL -> break
  od
}

inline loadInOrder() {
  b = mem[OFFSET];                        /* [read.2] offset */
#ifndef VERSION_LATE
  v = mem[VERSION];                       /* [read.3] version, inside the window */
#endif
#ifdef CHECK_EARLY
  s2 = mem[SEQ];
#endif
  if
  :: b == 0 -> k = 0
  :: else ->
     b--;
     k = mem[KEY(b)];                     /* [read.4] header and key, in place */
#ifndef NO_KEY_COMPARE
     if :: k != want :: else ->
#endif
       a = mem[WORD0(b)];                 /* [read.5] payload, to private memory */
       c = mem[WORD1(b)]
#ifndef NO_KEY_COMPARE
     fi
#endif
  fi;
#ifndef CHECK_EARLY
#ifdef MISS_UNCHECKED
  if :: k != want -> s2 = s1 :: else -> s2 = mem[SEQ] fi
#else
  s2 = mem[SEQ]                           /* [read.6] closing check */
#endif
#endif
#ifdef VERSION_LATE
  ; v = mem[VERSION]
#endif
}

proctype Reader(byte want) {
  byte s1, s2, b, k, v, a, c, tries, reads, floor, gone, nearVersion, nearWord;
#ifdef ANY_ORDER
  byte got; bool closed;
#endif
  bool here;
  do
  :: reads == READS -> break
  :: else ->
     atomic { reads++; tries = 0; floor = mem[FLOOR(want)]; gone = mem[GONE(want)]; here = mem[HERE(want)] };
     if
     :: nearWord != 0 ->
#ifdef NEAR_BLIND
        v = nearVersion;
#else
        v = mem[VERSION];                 /* [near.1] the version of the slot, now */
#endif
        if
        :: v == nearVersion ->            /* [near.2] equal: serve */
           assert(nearWord % 8 >= floor); /* not stale */
           goto next
        :: else -> d_step { nearWord = 0; nearVersion = 0 }
        fi
     :: nearWord != 0 -> d_step { nearWord = 0; nearVersion = 0 }    /* pushed out of the near cache */
     :: nearWord == 0
     fi;
     do
     :: tries == TRIES -> break           /* [read.7] contended: a counted miss, never a wait */
     :: else ->
        tries++;
        s1 = mem[SEQ];                    /* [read.1] opening load */
        if
        :: s1 % 2 == 1
        :: else ->
#ifdef ANY_ORDER
           loadInAnyOrder();
#else
           loadInOrder();
#endif
           if
           :: s1 != s2
#ifdef NO_KEY_COMPARE
           :: s1 == s2 && k == 0 -> break
           :: s1 == s2 && k != 0 ->
#else
           :: s1 == s2 && k != want ->
              assert(!(here && gone == mem[GONE(want)]));   /* resident throughout: no definite miss */
              break
           :: s1 == s2 && k == want ->
#endif
              assert(a == c);             /* not torn */
              assert(a / 8 == want);      /* not another wallet's */
              assert(a % 8 >= floor);     /* not stale */
              d_step { nearWord = a; nearVersion = v };      /* [near.3] the pair of one closed window */
              break
           fi
        fi
     od;
next: skip; d_step { s1 = 0; s2 = 0; b = 0; k = 0; v = 0; a = 0; c = 0; floor = 0; gone = 0; here = false; tries = 0 }
  od
}

init {
  atomic {
    /* Wallet 1 is there. */
    stamp = 1; key = 1; word = 9; version = 1; seq = 2 % SEQMOD;
    mem[SEQ] = seq; mem[VERSION] = 1; mem[OFFSET] = 1; mem[FLOOR(1)] = 1; mem[HERE(1)] = 1;
    mem[KEY(0)] = 1; mem[WORD0(0)] = 9; mem[WORD1(0)] = 9;
    run Owner();
    run Reader(1);
#if NR > 1
    run Reader(2)
#endif
  }
}
