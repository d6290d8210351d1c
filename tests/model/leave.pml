/* leave.pml: locks that are given back by a plain store. Models rt_give_back (sched_inline.h), rt_leavers_settle,
 * rt_plock_slow and rt_punlock_slow (plock.c), and of mutex.c what makes a mutex SHARED, without its modes: one that is
 * woken competes. Each goroutine has a P of its own, and takes and gives back the lock a few times.
 *
 *   -DPLOCK  three threads, twice each, that sleep when the lock is taken
 *   -DMUTEX  one goroutine three times, two once each
 *
 * Claimed: the lock has one owner; it sees what the last one wrote; nobody sleeps for ever (an end state in which one
 * sleeps is an error); at the end nobody is counted as a waiter.
 *
 * The fence for all waits until each buffer in turn is drained. A park compares and queues in one step; a wake takes any
 * of those that sleep. The spins before are left out. Other holders of the bucket's lock are, too.
 *
 * Mutants: NO_FENCE_ALL; NO_WAIT (for those that are leaving); NAME_LATE (`leaving` is written after the look at the
 * word); LEAVE_RELAXED (and is gone before the 0; WEAK); NO_BUCKET (two ask at once); ASKED_STAYS (who unlocks by
 * compare-and-swap leaves ASKED); ONE_TAKEN (in a lock of rt_plock, who has waited takes it as one for which nobody
 * sleeps).
 */
#define NPROC 3
#define WORD 1
#define DATA 2
#define LEAVING(p) (3 + (p))
#define NLOC 6
#include "memory.pml"

#define BIT(i) (1 << (i))
#define HELD 1
#define ASKED 2
#define SHARED 4
#define WAITER 8

#ifdef WEAK
#define ACQUIRES(p) (OWN_GONE(p, WORD))
#else
#define ACQUIRES(p) DRAINED(p)
#endif

byte sleeping;           /* in the system, or for a token: a set */
byte tokens;
byte owners, data, ended; /* seen by the claims only */

inline name(me)
{
	store(me, LEAVING(me), 1, 0)
}

inline unname(me)
{
#ifdef LEAVE_RELAXED
	store(me, LEAVING(me), 0, 0)
#else
	store(me, LEAVING(me), 0, 1)
#endif
}

/* gave: whether it did. */
inline give_back(me)
{
#ifdef NAME_LATE
	t = LD(me, WORD);
	name(me);
#else
	name(me);
	t = LD(me, WORD);
#endif
	gave = (t == HELD);
	if
	:: gave -> store(me, WORD, 0, 1)
	:: else
	fi;
	unname(me)
}

inline settle(me)
{
#ifndef NO_FENCE_ALL
	FENCE(me);
	DRAINED(0);
	DRAINED(1);
	DRAINED(2);
#endif
#ifndef NO_WAIT
	LD(me, LEAVING(0)) == 0;
	LD(me, LEAVING(1)) == 0;
	LD(me, LEAVING(2)) == 0;
#endif
	skip
}

inline use(me)
{
	atomic {
		assert(owners == 0);
		owners++;
		assert(LD(me, DATA) == data)
	}
	atomic { ROOM(me, 1) -> data++; push(me, DATA, data, 0); owners-- }
}

#ifdef PLOCK
proctype thread(byte me; byte left)
{
	byte t;
	bit gave;

again:
	if
	:: atomic { ACQUIRES(me) && mem[WORD] == 0 -> mem[WORD] = HELD } goto held
	:: atomic { ACQUIRES(me) && mem[WORD] != 0 }
	fi;
slow:
#ifdef ONE_TAKEN
	atomic { ACQUIRES(me) -> t = mem[WORD]; mem[WORD] = (t == 0 -> HELD : 2) }
#else
	atomic { ACQUIRES(me) -> t = mem[WORD]; mem[WORD] = 2 }
#endif
	if
	:: t == 0 -> goto held
	:: else -> t = 0
	fi;
	settle(me);
	if
	:: atomic { mem[WORD] == 2 -> sleeping = sleeping | BIT(me) }
		!(sleeping & BIT(me))
	:: mem[WORD] != 2
	fi;
	goto slow;
held:
	t = 0;
	use(me);
	give_back(me);
	if
	:: gave
	:: else ->
		atomic { DRAINED(me) -> t = mem[WORD]; mem[WORD] = 0 }
		if
		:: t == 2 ->
			if
			:: atomic { sleeping & BIT(0) -> sleeping = sleeping & ~BIT(0) }
			:: atomic { sleeping & BIT(1) -> sleeping = sleeping & ~BIT(1) }
			:: atomic { sleeping & BIT(2) -> sleeping = sleeping & ~BIT(2) }
			:: sleeping == 0
			fi
		:: else
		fi
	fi;
	atomic {
		t = 0;
		gave = 0;
		left--
	}
	if
	:: left > 0 -> goto again
	:: else -> ended++
	fi
}
#endif

#ifdef MUTEX
/* A compare-and-swap loop is one step: only the pass that succeeds changes anything. */
proctype thread(byte me; byte left)
{
	byte t;
	bit gave;

again:
	if
	:: atomic { ACQUIRES(me) && !(mem[WORD] & HELD) -> mem[WORD] = mem[WORD] | HELD } goto held
	:: t = LD(me, WORD)
	fi;
	if
	:: !(t & HELD) -> goto again
	:: (t & HELD) && !(t & SHARED) ->
#ifndef NO_BUCKET
		atomic { DRAINED(me) && mem[LOCK] == 0 -> mem[LOCK] = 1 }
#endif
		atomic {
			DRAINED(me) ->
			gave = (mem[WORD] == HELD);
#ifdef NO_BUCKET
			gave = gave || mem[WORD] == (HELD | ASKED);
#endif
			if
			:: gave -> mem[WORD] = HELD | ASKED
			:: else
			fi
		}
		if
		:: gave ->
			settle(me);
			atomic {
				DRAINED(me) ->
				gave = 0;
				if
				:: mem[WORD] == (HELD | ASKED) -> mem[WORD] = HELD | SHARED
				:: else
				fi
			}
		:: else
		fi;
#ifndef NO_BUCKET
		store(me, LOCK, 0, 1);
#endif
		goto again
	:: (t & HELD) && (t & SHARED) ->
		atomic {
			DRAINED(me) ->
			gave = (mem[WORD] == t);
			if
			:: gave -> mem[WORD] = t + WAITER
			:: else
			fi
		}
		if
		:: gave -> gave = 0; atomic { tokens > 0 -> tokens-- }
		:: else
		fi;
		goto again
	fi;
held:
	t = 0;
	use(me);
	give_back(me);
	if
	:: gave
	:: else ->
		atomic {
			DRAINED(me) ->
			t = mem[WORD];
#ifdef ASKED_STAYS
			mem[WORD] = t & ~HELD;
#else
			mem[WORD] = (t & ~(HELD | ASKED)) | ((t & ASKED) -> SHARED : 0);
#endif
			if
			:: t >= WAITER -> mem[WORD] = mem[WORD] - WAITER; tokens++
			:: else
			fi
		}
	fi;
	atomic {
		t = 0;
		gave = 0;
		left--
	}
	if
	:: left > 0 -> goto again
	:: else -> ended++
	fi
}
#endif

init
{
	atomic {
#ifdef PLOCK
		run thread(0, 2);
		run thread(1, 2);
		run thread(2, 2)
#else
		run thread(0, 3);
		run thread(1, 1);
		run thread(2, 1)
#endif
	}
	ended == 3 && DRAINED(0) && DRAINED(1) && DRAINED(2);
	assert(sleeping == 0 && tokens == 0 && (mem[WORD] & ~SHARED) == 0)
}
