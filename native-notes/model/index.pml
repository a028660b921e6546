/*
 * The index: linear probing over CELLS cells, removal by backward shift, the counter `indexShift`, and a reader that walks it.
 * Labels such as [shift.2] are the step list of README.md. Every placement of the wallets' homes is tried.
 *
 * A slot is one step here: what happens inside it is slot.pml's business. Tags are left out, as if all were equal: the worst case.
 * Slots are reused, so a cell that a reader has loaded may lead to another wallet by the time it looks.
 *
 *   -DOPS= changes by the owner   -DCELLS= (a power of two)   -DTRIES= walks of the second kind
 *   -DWEAK   the loads of a walk happen in any order, before the closing read-modify-write
 *   -DCRASH  the owner ends at any step; the reader begins only then
 * The other -D are mutants: README.md has the list.
 */
#ifndef CELLS
#define CELLS 4
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef TRIES
#define TRIES 2
#endif
#define WALLETS 3
#define NEXT(at) ((at + 1) % CELLS)
#define BEHIND(at, from) ((at + CELLS - from) % CELLS)

/* An entry whose home lies between the hole and where it is would not be found in the hole. */
#ifdef SHIFT_ALL
#define STAYS(itsHome) false
#else
#define STAYS(itsHome) BEHIND(at, itsHome) < BEHIND(at, hole)
#endif
#ifdef ODD_IS_FINE
#define EVEN(count) true
#else
#define EVEN(count) (count % 2 == 0)
#endif

byte cell[CELLS];               /* slot + 1; 0: empty */
byte slotKey[WALLETS];          /* wallet + 1; 0: empty */
byte indexShift;
byte home[WALLETS];
/* Ghosts: removals of wallet 0 begun, and whether it is in L1, acknowledged. */
byte gone; bool here;   
bool crashed, ended;

/* What only the owner knows. */
byte slotOf[WALLETS];           /* slot + 1; 0: absent */

inline insert(w) {
  d_step { s = 0; do :: slotKey[s] != 0 -> s++ :: else -> break od; slotOf[w] = s + 1; at = home[w]; do :: cell[at] != 0 -> at = NEXT(at) :: else -> break od };
#ifdef ACK_BEFORE_CELL
  if :: w == 0 -> here = true :: else fi;
#endif
#ifdef CELL_FIRST
  cell[at] = s + 1;
  slotKey[s] = w + 1;
#else
  slotKey[s] = w + 1;                     /* [insert.1] the slot can be read */
  cell[at] = s + 1;                       /* [insert.2] then its cell can */
#endif
  if :: w == 0 -> here = true :: else fi  /* acknowledged */
}

inline removeCell(w) {
  d_step { hole = home[w]; do :: cell[hole] != slotOf[w] -> hole = NEXT(hole) :: else -> break od };
#ifndef NO_COUNTER
#ifndef COUNT_END_ONLY
  indexShift++;                           /* [shift.1] odd */
#endif
#endif
  at = hole;
  do
  :: atomic {
       at = NEXT(at);
       do
       :: cell[at] != 0 && STAYS(home[slotKey[cell[at] - 1] - 1]) -> at = NEXT(at)
       :: else -> break
       od
     };
     if
     :: cell[at] == 0 -> break
     :: else ->
#ifdef CLEAR_FIRST
        d_step { moving = cell[at]; cell[at] = 0 };
        d_step { cell[hole] = moving; moving = 0; hole = at }
#else
        d_step { cell[hole] = cell[at]; hole = at }    /* [shift.2] copy forward: never in no cell */
#endif
     fi
  od;
  atomic { cell[hole] = 0; hole = 0; at = 0 };         /* [shift.3] clear the last hole */
#ifndef NO_COUNTER
#ifndef COUNT_START_ONLY
  indexShift++                            /* [shift.4] even */
#endif
#endif
}

inline remove(w) {
  d_step { if :: w == 0 -> gone++; here = false :: else fi };
  removeCell(w);                          /* [remove.1] the cell goes first */
  d_step { s = slotOf[w] - 1; slotKey[s] = 0; slotOf[w] = 0 }   /* then the slot: slot.pml */
}

inline clear() {
  d_step { gone++; here = false; s = 0 };
  do :: s < WALLETS -> slotKey[s] = 0; s++ :: else -> break od;      /* [clear.1] every slot is emptied */
  indexShift++;                           /* [clear.2] odd */
  at = 0;
  do :: at < CELLS -> cell[at] = 0; at++ :: else -> break od;        /* [clear.3] every cell is emptied */
  indexShift++;                           /* [clear.4] even */
  d_step { s = 0; do :: s < WALLETS -> slotOf[s] = 0; s++ :: else -> break od }
}

inline change(w) {
  if
  :: slotOf[w] == 0 -> insert(w)
  :: slotOf[w] != 0 -> remove(w)
  fi
}

proctype Owner() {
  byte done, s, at, hole, moving, w;
  {
    do
    :: done < OPS ->
       done++;
       if
       :: w = 0 :: w = 1 :: w = 2 :: w = WALLETS
       fi;
       if
       :: w == WALLETS -> clear()
       :: else -> change(w)
       fi;
       d_step { s = 0; at = 0; hole = 0; w = 0 }
    :: else -> break
    od
  } unless { crashed };
  ended = true
}

#ifdef CRASH
active proctype Killer() { crashed = true }
#endif

/* One walk from the home of wallet 0. A slot that vouches for it ends the read, whatever moves meanwhile. */
#ifdef TRUST_CELL
#define OTHER_WALLET assert(slotKey[c - 1] < 2)       /* another wallet's profile is served */
#else
#define OTHER_WALLET skip
#endif

#define WALK(table) \
  atomic { at = home[0]; steps = 0 }; \
  do \
  :: atomic { steps == CELLS || table[at] == 0 -> at = 0; steps = 0; break } \
  :: atomic { steps < CELLS && table[at] != 0 -> c = table[at]; at = NEXT(at); steps++ }; \
     atomic { if :: slotKey[c - 1] == 1 -> goto done :: else -> OTHER_WALLET fi; c = 0 } \
  od
/* In turn: [probe.1] a cell is loaded, [probe.2] an empty one ends the run, [probe.3] the slot of another decides. */

#ifdef WEAK
/* The cells in any order, to be walked afterwards: what a machine that loads ahead may do. */
inline loadAhead() {
  do
  :: atomic { !(loaded & 1) -> ahead[0] = cell[0]; loaded = loaded | 1 }
  :: atomic { !(loaded & 2) -> ahead[1] = cell[1]; loaded = loaded | 2 }
  :: atomic { !(loaded & 4) -> ahead[2] = cell[2]; loaded = loaded | 4 }
  :: atomic { !(loaded & 8) -> ahead[3] = cell[3]; loaded = loaded | 8 }
#ifdef CLOSE_LOAD
  :: atomic { !closed -> shift2 = indexShift; closed = true }
#else
  :: atomic { !closed && loaded == 15 -> shift2 = indexShift; closed = true }
#endif
  :: atomic { closed && loaded == 15 -> loaded = 0; closed = false; break }
  od
}
#endif

#define RESIDENT_THROUGHOUT (hereBefore && goneBefore == gone)

proctype Reader(bool afterwards) {
  byte c, at, steps, shift, shift2, tries, goneBefore;
#ifdef WEAK
  byte ahead[CELLS]; byte loaded; bool closed;
#endif
  bool hereBefore;
  if :: afterwards -> ended :: !afterwards fi;
  atomic { goneBefore = gone; hereBefore = here };
  WALK(cell);
#ifdef ONE_WALK
  assert(!RESIDENT_THROUGHOUT);
#else
  do
  :: atomic { tries == TRIES ->           /* [again.4] contended: a counted miss */
       /* With the owner dead or idle nothing moves: who is there is found. */
       assert(!(afterwards && RESIDENT_THROUGHOUT));
       break
     }
  :: atomic { tries < TRIES -> tries++; shift = indexShift };     /* [again.1] the counter */
#ifdef WEAK
     loadAhead();
     WALK(ahead);                         /* [again.2] the same walk */
#else
     WALK(cell);
     shift2 = indexShift;                 /* [again.3] closing check of the counter */
#endif
     if
     :: atomic { shift == shift2 && EVEN(shift) ->
          assert(!RESIDENT_THROUGHOUT);   /* no definite miss */
          break
        }
     :: else -> atomic { shift = 0; shift2 = 0 }
     fi
  od;
#endif
done: atomic { c = 0; at = 0; steps = 0; shift = 0; shift2 = 0; tries = 0; goneBefore = 0; hereBefore = false }
}

init {
  byte s, at, w;
  atomic {
    /* Homes: wallet 0 at any cell would only turn the table. Wallet 0 at the last one makes runs cross the end. */
    home[0] = CELLS - 1;
    if :: home[1] = 0 :: home[1] = 1 :: home[1] = 2 :: home[1] = CELLS - 1 fi;
    if :: home[2] = 0 :: home[2] = 1 :: home[2] = 2 :: home[2] = CELLS - 1 fi;
    /* Who is there already, and who came first. */
    if
    :: skip
    :: insert(0) :: insert(1)
    :: insert(1); insert(0) :: insert(0); insert(1)
    :: insert(1); insert(2); insert(0)
    :: insert(2); insert(1); insert(0)
    :: insert(1); insert(0); insert(2)
    :: insert(0); insert(1); insert(2)
    fi;
    run Owner();
#ifdef CRASH
    run Reader(true)
#else
    run Reader(false)
#endif
  }
}
