/* The cutover protocol of replicator/cutover/README.md, in both directions, with a crash possible before and after each step.
 *
 * What is checked:
 *   two_writable   no state in which both sides take writes
 *   acked_lost     a side that acknowledges a write, or is opened, holds all that was acknowledged before, wherever
 *   way_out        when the crashes end, the protocol comes to rest with one side that takes writes (LTL clean, and no deadlock)
 *
 * Each M_… is a mistake in the order of steps or in the rule of restart; test_model.py sees that every one is found. */

#define LEGACY 0
#define TARGET 1
#define OTHER(s) (1 - s)

#ifndef WRITES
#define WRITES 3          /* of the application, each one bit */
#endif
#ifndef RUNS
#define RUNS 2            /* a cutover, and the rollback of it (or of an aborted one, the cutover again) */
#endif
#ifndef CRASHES
#define CRASHES 2         /* of tidegate, its holder or the whole machine, in all */
#endif

mtype = { none, guard, prepare, hold, drain, prove, reverse, intent, open, switching, done, aborted };
mtype = { gone, holding, committing };

/* Durable, in each database. */
bool fenced[2];           /* refuses the application's writes */
byte data[2];             /* the writes it holds */
byte fence_run[2];        /* the run that fenced it last */
bool unseen[2];           /* a commit of the fence stands behind the published end of the WAL: the next recovery will show it */
/* The stream that starts at each side: durable in its slot or its journal. */
bool recording[2];
byte queue[2];            /* read there, not yet on the other side */
/* Durable in control.db. */
mtype journal = none;
byte from = LEGACY;
byte number = 0;         /* of the run */
/* Gone with a process. */
bool locked[2];           /* the write lock of a side: writers wait */
mtype holder = gone;      /* the process that holds it during a run */
bool orphan;              /* the daemon of that holder is dead */
bool told_committed;      /* the holder's answer */

byte acked;               /* every write that anybody was told is there */
byte crashes;
bool resting = false;             /* tidegate waits for an order */

#define HAS_ALL(s) ((acked & (255 - data[s])) == 0)
#define clean (resting && !locked[LEGACY] && !locked[TARGET] && (fenced[LEGACY] != fenced[TARGET]) && !unseen[LEGACY] && !unseen[TARGET])

/* A client of the application, old or new: it writes where it believes, and waits for a lock. */
proctype Writer() {
  byte mine = 1, n = 0;
  byte s;
  do
  :: n < WRITES ->
     if :: s = LEGACY :: s = TARGET fi;
     atomic {
       !locked[s];
       if
       :: fenced[s]
       :: else ->
          assert(HAS_ALL(s));                                    /* acked_lost */
          data[s] = data[s] | mine;
          acked = acked | mine;
          unseen[s] = false;                                     /* its frames go over what stood there */
          if :: recording[s] -> queue[s] = queue[s] | mine :: else fi
       fi
     };
     mine = mine << 1; n++
  :: else -> break
  od
}

/* Brings what was read at one side to the other, past its fence; goes on after every crash. */
proctype Stream(byte s) {
end:
  do
  :: atomic { queue[s] != 0 -> data[OTHER(s)] = data[OTHER(s)] | queue[s]; queue[s] = 0 }
  od
}

/* The process that holds the lock. Its COMMIT may be carried out long after the daemon that asked for it has died; killed in
   the middle of it, it may leave frames that nobody sees yet. */
proctype Holder() {
end:
  do
  :: atomic { holder == committing -> fenced[from] = true; fence_run[from] = number; unseen[from] = false;
              locked[from] = false; told_committed = true; holder = gone }
  :: atomic { holder == holding && orphan -> locked[from] = false; holder = gone }
  :: atomic { holder == committing && orphan -> unseen[from] = true; locked[from] = false; holder = gone }
  :: atomic { holder != gone && crashes < CRASHES ->             /* the watchdog, at max-hold */
              crashes++; locked[from] = false;
              if :: holder == committing -> unseen[from] = true :: holder == committing || holder == holding fi;
              holder = gone }
  od
}

/* The machine starts anew: every lock goes, and recovery shows what stood in the WAL. */
#define RECOVERED(s) if :: unseen[s] -> unseen[s] = false; fenced[s] = true; fence_run[s] = number :: else fi

#define MAY_CRASH \
  if \
  :: skip \
  :: atomic { crashes < CRASHES -> crashes++; orphan = true; if :: own_lock -> locked[from] = false; own_lock = false :: else fi }; goto restart \
  :: atomic { crashes < CRASHES -> crashes++; locked[LEGACY] = false; locked[TARGET] = false; own_lock = false; holder = gone; \
              RECOVERED(LEGACY); RECOVERED(TARGET) }; goto restart \
  fi

#define JOURNAL(step) journal = step; MAY_CRASH

#define RECORD_START  recording[OTHER(from)] = true
#define DRAINED       queue[from] == 0

/* OPEN: one transaction of the side that takes over. */
#define OPEN_IT \
  atomic { assert(HAS_ALL(OTHER(from)));                         /* acked_lost */ \
           fenced[OTHER(from)] = false; recording[from] = false; \
           assert(fenced[LEGACY] || fenced[TARGET]) }            /* two_writable */

proctype Tidegate() {
  byte runs = 0;
  bool own_lock = false;

  goto at_rest;

restart:
  resting = false;
  /* What the journal says; for an intent, what the fenced side says under its lock. */
  if
  :: journal == intent -> goto settle
  :: journal == open -> goto opening
  :: journal == switching -> goto switched
  :: journal == none || journal == done || journal == aborted -> goto at_rest
  :: else -> goto give_up
  fi;

settle:
#ifdef M_ASSUME_ABORTED
  goto give_up;
#endif
#ifdef M_ASSUME_FENCED
  goto opening;
#endif
#ifdef M_NO_LOCK
  if :: fenced[from] && fence_run[from] == number -> goto opening :: else -> goto give_up fi;
#endif
  atomic { !locked[from] -> locked[from] = true; own_lock = true };   /* so the old holder is gone */
  MAY_CRASH;
  if
  :: fenced[from] && fence_run[from] == number ->
     atomic { locked[from] = false; own_lock = false };
     goto opening
  :: else ->
#ifndef M_NO_SETTLE
     unseen[from] = false;                                       /* a commit that changes nothing */
#endif
     MAY_CRASH;
     journal = aborted;
     MAY_CRASH;
     atomic { locked[from] = false; own_lock = false };
     goto at_rest
  fi;

give_up:
  journal = aborted;
  MAY_CRASH;
  goto at_rest;

at_rest:
  resting = true;
  if
  :: runs < RUNS -> runs++
  :: runs == RUNS -> goto finished
  fi;
  resting = false;
  /* A run that nobody has ended is ended first. The direction is the databases', not a memory's. */
  atomic {
    if
    :: fenced[LEGACY] && !fenced[TARGET] -> from = TARGET
    :: !fenced[LEGACY] && fenced[TARGET] -> from = LEGACY
    :: else -> assert(false)                                     /* way_out: at rest, and no side or both take writes */
    fi;
    number++
  };

  JOURNAL(guard);
  JOURNAL(prepare);
#ifdef M_DRAIN_EARLY
  DRAINED;
#endif
  JOURNAL(hold);
  atomic { holder == gone && !locked[from] -> locked[from] = true; holder = holding; orphan = false; told_committed = false };
  MAY_CRASH;
  JOURNAL(drain);
#ifndef M_DRAIN_EARLY
  do
  :: DRAINED -> break
  :: holder == gone -> goto give_up
  od;
#endif
  JOURNAL(prove);
  JOURNAL(reverse);
#ifndef M_REVERSE_LATE
  RECORD_START;
#endif
  MAY_CRASH;
  if                                                             /* the operator, or a rehearsal */
  :: atomic { holder == holding -> holder = gone; locked[from] = false }; goto give_up
  :: holder == gone -> goto give_up
  :: skip
  fi;
#ifdef M_OPEN_EARLY
  OPEN_IT;
  MAY_CRASH;
#endif
#ifdef M_RELEASE_EARLY
  atomic { if :: holder == holding -> locked[from] = false :: else -> goto give_up fi };
#endif
#ifndef M_INTENT_LATE
  JOURNAL(intent);
#endif
  if
  :: atomic { holder == holding -> holder = committing }
  :: holder == gone -> goto settle
  fi;
  MAY_CRASH;
  holder == gone;
#ifdef M_INTENT_LATE
  JOURNAL(intent);
#endif
  if :: told_committed :: else -> goto settle fi;
  MAY_CRASH;

opening:
  JOURNAL(open);
  OPEN_IT;
  MAY_CRASH;
#ifdef M_REVERSE_LATE
  RECORD_START;
  MAY_CRASH;
#endif
switched:
  JOURNAL(switching);
  JOURNAL(done);
  goto at_rest;

finished:
#ifdef W_THERE_AND_BACK
  assert(!(from == TARGET && journal == done));                  /* not a rule: shows that the model gets there */
#endif
  /* The way back goes on: in the end both hold all. */
  do
  :: HAS_ALL(LEGACY) && HAS_ALL(TARGET) && queue[LEGACY] == 0 && queue[TARGET] == 0 -> break
  od;
  clean                                                          /* way_out */
}

init {
  atomic {
#ifndef M_TARGET_UNFENCED
    fenced[TARGET] = true;
#endif
    recording[LEGACY] = true;
    run Writer(); run Stream(LEGACY); run Stream(TARGET); run Holder(); run Tidegate()
  }
}

ltl comes_to_rest { <>[] clean }
