/*
 * One thread row: two threads that want it, each of which may block, close or die at any step, and the owner, who frees the row of a dead one.
 * The steps are those of src/l1/row-claim.ts; README.md in this folder lists them.
 *
 * Claimed: two threads never use the row at once (shared); the owner never frees the row of a thread that uses it (robbed); nobody's closing
 * wakes the waiters of another (disturbs); when all is quiet, a row that is still taken is one whose thread died with its
 * signs used up (leaked).
 *
 * A thread with a blocked event loop is a Holder that takes no step for a while. A dead one takes its waiters along a little later.
 */
#ifndef SIGNS
#define SIGNS 2     /* Waiters of a thread. */
#endif
#ifndef PASSES
#define PASSES 3    /* How often the owner looks while they live. */
#endif
#ifndef ROUNDS
#define ROUNDS 2    /* Tries of a thread to get the row. */
#endif

short claim = 0;
/* One word in the code: of which epoch the signs are, and how many. */
short signer = 0;
short signs = 0;
byte epochs = 0;
/* Waiters on the claim word, and those that were woken and have not waited again yet: per thread. */
byte waiters[2];
byte woken[2];
bool using[2];
bool kill[2];
byte ended = 0;
/* Epoch of a thread that closed while the owner looked, and left its row to him. */
short handed = 0;

/* Atomics.waitAsync: compares and joins in one step. */
inline join(me) {
#ifdef NO_COMPARE
  d_step { waiters[me]++; ok = true }
#else
  d_step { if :: claim == epoch -> waiters[me]++; ok = true :: else -> ok = false fi }   /* [claim.2] */
#endif
}

inline use(me) {
  d_step { using[me] = true; bool shared = using[0] && using[1]; assert(!shared) }
}

inline sign() {
#ifdef SIGNS_BARE
  signs++
#else
#ifdef SIGN_LATE
  d_step { if :: signer == epoch -> signs++ :: else -> signer = epoch; signs = 1 fi }
#else
  d_step { if :: signer == epoch -> signs++ :: signer < epoch -> signer = epoch; signs = 1 :: else fi }   /* [sign.1] */
#endif
#endif
}

proctype Holder(byte me) {
  short epoch = 0;
  bool ok = false;
  byte rounds;
  {
    rounds = 0;
take:
    rounds++;
    if
    :: d_step { claim == 0 -> epochs++; epoch = epochs; claim = epoch }   /* [claim.1] */
    :: goto quit
    fi;
#ifdef USE_FIRST
    use(me);
#endif
    join(me);
    if
    :: !ok && rounds < ROUNDS -> goto take
    :: !ok && rounds >= ROUNDS -> goto quit
    :: ok
    fi;
    use(me);
    /* The other waiters are those of a thread that was woken so often. */
    woken[me] = woken[me] + SIGNS - 1;
    do
    :: woken[me] > 0 ->
#ifdef SIGN_FIRST
      sign();
      join(me);
      if :: ok -> woken[me]-- :: else -> d_step { signs-- } fi
#else
      join(me);   /* [wait.1] */
      if :: ok -> woken[me]--; sign() :: else fi   /* [wait.2] */
#endif
    :: break
    od;
    using[me] = false;
#ifdef FREE_FIRST
    d_step { if :: claim == epoch -> claim = 0; ok = true :: else -> ok = false fi };
    if :: !ok -> sign() :: else fi;
    d_step { woken[1 - me] = woken[1 - me] + waiters[1 - me]; waiters[0] = 0; waiters[1] = 0 }
#else
    d_step { bool disturbs = using[1 - me] && waiters[1 - me] > 0; assert(!disturbs); waiters[me] = 0 };   /* [free.1] */
    d_step { if :: claim == epoch -> claim = 0; ok = true :: else -> ok = false fi };   /* [free.2] */
#ifdef SIGNS_BARE
    if :: !ok -> sign() :: else -> signs = 0 fi
#else
#ifndef FREE_UNSIGNED
    if :: !ok -> sign() :: else fi;   /* [free.3] */
#endif
    if :: !ok -> handed = epoch :: else fi
#endif
#endif
quit:
    skip
  } unless { kill[me] }
  /* Its code has stopped; its waiters go a little later, with the isolate. */
  using[me] = false;
  d_step { waiters[me] = 0; woken[me] = 0; ended++ }
}

proctype Death(byte me) {
  if :: kill[me] = true :: skip fi
}

inline reap() {
  e = claim;
  dead = false;
  if
  :: e <= 0
  :: else ->
#ifdef NO_SUSPECT
    ok = true;
#else
    d_step { if :: claim == e -> claim = -e; ok = true :: else -> ok = false fi };   /* [reap.1] */
#endif
    if
    :: !ok
    :: else ->
#ifdef SIGNS_BARE
      d_step { w = signer; n = signs; s = signs };
#else
      d_step { w = signer; n = signs; if :: signer == e -> s = signs :: else -> s = 0 fi };
#endif
      if
      :: s < 0
      :: else ->
#ifdef SIGNS_KEPT
        ok = true;
#else
        d_step { if :: signer == w && signs == n -> signer = e; signs = s - 1; ok = true :: else -> ok = false fi };   /* [reap.2] */
#endif
        if
        :: !ok
        :: else ->
          if   /* [reap.3] */
          :: atomic { waiters[0] > 0 -> waiters[0]--; woken[0]++ }
          :: atomic { waiters[1] > 0 -> waiters[1]--; woken[1]++ }
          :: waiters[0] + waiters[1] == 0 -> dead = true
          fi
        fi
      fi;
      if
      :: dead ->
#ifdef SIGNS_BARE
        signs = 0;
#endif
        d_step { bool robbed = using[0] || using[1]; assert(!robbed); claim = 0; handed = 0 }   /* [reap.4] */
#ifdef NO_SUSPECT
      :: else
#else
      :: else -> claim = e
#endif
      fi
    fi
  fi
}

proctype Owner() {
  short e, s, w, n;
  bool ok, dead;
  byte passes = 0;
  do
  :: passes < PASSES -> passes++; reap()
  :: break
  od;
  ended == 2;
  reap();
  /* A sign may have changed hands during that pass. */
  reap();
#ifdef SIGNS_BARE
  d_step { bool leaked = claim != 0 && signs >= 0; assert(!leaked) }
#else
  d_step { bool leaked = claim != 0 && (signer != claim || signs >= 0 || handed == claim); assert(!leaked) }
#endif
}

init {
  atomic { run Holder(0); run Holder(1); run Death(0); run Death(1); run Owner() }
}
