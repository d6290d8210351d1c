/* mutex.pml: the mutex's two modes, the hand-over, and waiters that give up. Models core/sync/mutex.c and
 * the tokens of core/sync/sema.c, step by step: state, tokens and nwait are memory, the queue is
 * what the bucket's lock guards. A compare-and-swap loop is one step, for only the pass that succeeds
 * changes anything. The short paths look and swap: a swap that fails, because the look was old, leads to the long
 * path whatever the state is then. A try_lock is lock's short path, and goes away without a trace if it fails.
 * The mutex is SHARED from the beginning: how it becomes so, and unlocking by a plain store before, is in leave.pml.
 *
 * Each goroutine locks and unlocks a few times. One that is timed may give up at any moment while it
 * waits. Whether a waiter has waited for 1 ms is free. Claimed: the lock has one owner; it sees what the last one
 * wrote (SHORT); nobody waits for ever (an end state in which somebody waits is an error); at the end state,
 * tokens and nwait are 0.
 *
 *   -DMIXED  two goroutines, one of them twice, and a timed one
 *   -DTIMED  two timed ones and one that is not
 *   -DHOG    one keeps the lock for ever: timed ones come to an end all the same
 *   -DSHORT  two goroutines, twice each, and what they write under the lock
 *
 * Mutants: NO_FENCE_BEGIN, NO_READ_AGAIN (the giver does not look at nwait again), READ_EARLY (its look
 * comes before the token is visible), BLIND (the giver does not take the token back before it hands one
 * over), NO_OWED (who gives up goes without the token that is owed to it), OWED_BY_COUNT (only if the number
 * is 0), NO_RELOOK (it does not look again before it waits for that token), KEEP_STARVING (the last waiter
 * leaves the mode behind), NO_PASS_ON (a wake-up ends with who gave up), BARGE (a newcomer takes the
 * lock while it is handed over), SHORT_BARGE (the short path does), SHORT_UNLOCK (the short path of unlock looks at
 * LOCKED only), UNLOCK_RELAXED (its swap releases nothing; WEAK).
 */
#define NPROC 3
#define STATE 1
#define SEMA 2
#define NWAIT 3
#define DATA 4
#define NLOC 5
#include "memory.pml"

#define LOCKED_ 1
#define WOKEN 2
#define STARVING 4
#define WAITER 8
#define FREE(s) (((s) & (LOCKED_ | STARVING)) == 0)
#define HANDED(s) (((s) & (LOCKED_ | STARVING)) == STARVING)
#ifdef NO_OWED
#define OWED(s) 0
#elif defined OWED_BY_COUNT
#define OWED(s) ((s) < WAITER)
#else
#define OWED(s) ((s) < WAITER || ((s) < 2 * WAITER && HANDED(s)))
#endif

/* The bucket's lock over several steps. */
#ifdef WEAK
#define TAKE(p) atomic { mem[LOCK] == 0 -> mem[LOCK] = 1 }
#define LEAVE(p) store(p, LOCK, 0, 1)
#define ACQUIRES(p) (OWN_GONE(p, STATE))
#else
#define TAKE(p) atomic { DRAINED(p) && mem[LOCK] == 0 -> mem[LOCK] = 1 }
#define LEAVE(p) atomic { DRAINED(p) -> mem[LOCK] = 0 }
#define ACQUIRES(p) DRAINED(p)
#endif

/* guarded by the bucket's lock */
byte queue[NPROC];
byte nq;

bit open[NPROC];    /* gp->claim: may be woken */
bit granted[NPROC]; /* made runnable */
byte owners, finished, data;

inline enqueue(me, front)
{
	d_step {
		if
		:: front && nq > 1 -> queue[2] = queue[1]; queue[1] = queue[0]; queue[0] = me
		:: front && nq == 1 -> queue[1] = queue[0]; queue[0] = me
		:: else -> queue[nq] = me
		fi;
		nq++;
		open[me] = 1
	}
}

/* Takes out entry i. */
inline remove(i)
{
	d_step {
		if
		:: i == 0 -> queue[0] = queue[1]; queue[1] = queue[2]
		:: i == 1 -> queue[1] = queue[2]
		:: else
		fi;
		queue[2] = 0;
		nq--;
		if
		:: nq < 2 -> queue[1] = 0
		:: else
		fi;
		if
		:: nq < 1 -> queue[0] = 0
		:: else
		fi
	}
}

inline token(me)
{
	if
	:: LD(me, SEMA) == 0
	:: atomic { DRAINED(me) && mem[SEMA] > 0 -> mem[SEMA]--; got = 1 }
	fi
}

/* rt_sema_begin and the first look. */
inline begin(me)
{
	TAKE(me);
	n = LD(me, NWAIT); store(me, NWAIT, n + 1, 0); n = 0;
#ifndef NO_FENCE_BEGIN
	FENCE(me);
#endif
	if
	:: nq == 0 -> token(me)
	:: else
	fi
}

inline end_(me)
{
	n = LD(me, NWAIT); store(me, NWAIT, n - 1, 0); n = 0;
	LEAVE(me)
}

inline semrelease(me)
{
	ours = 1;
	if
	:: LD(me, NWAIT) == 0 ->
#ifdef READ_EARLY
		if
		:: LD(me, NWAIT) == 0 -> again = 0
		:: LD(me, NWAIT) != 0 -> again = 1
		fi;
		atomic { DRAINED(me) -> mem[SEMA]++ };
#else
		atomic { DRAINED(me) -> mem[SEMA]++ };
#ifdef NO_READ_AGAIN
		again = 0;
#else
		again = (LD(me, NWAIT) != 0);
#endif
#endif
		if
		:: again -> TAKE(me);
#ifndef BLIND
			got = 0;
			if
			:: nq > 0 -> token(me)
			:: else
			fi;
			ours = got; got = 0
#endif
		:: else -> ours = 2
		fi;
		again = 0
	:: LD(me, NWAIT) != 0 -> TAKE(me)
	fi;
	who = NPROC;
	do
	:: ours == 1 && nq > 0 && who == NPROC ->
		who = queue[0];
		remove(0);
		n = LD(me, NWAIT); store(me, NWAIT, n - 1, 0); n = 0;
		atomic {
			if
			:: open[who] -> open[who] = 0
			:: else -> who = NPROC
			fi
		}
	:: else -> break
	od;
	if
	:: ours == 1 && who == NPROC -> atomic { DRAINED(me) -> mem[SEMA]++ }
	:: else
	fi;
	if
	:: ours != 2 -> LEAVE(me)
	:: else
	fi;
	if
	:: who != NPROC -> atomic { DRAINED(me) -> granted[who] = 1 }
	:: else
	fi;
	who = 0;
	ours = 0
}

inline take_over(me)
{
	atomic {
		DRAINED(me) ->
		assert(HANDED(mem[STATE]) && mem[STATE] >= WAITER);
		mem[STATE] = mem[STATE] + LOCKED_ - WAITER;
		if
		:: mem[STATE] < WAITER || !starving -> mem[STATE] = mem[STATE] & ~STARVING
		:: else
		fi
	}
}

proctype G(byte me; bit timed; byte rounds; bit hog)
{
	byte old = 0, who = 0, ours = 0, n = 0;
	bit awoken = 0, waited = 0, starving = 0, got = 0, again = 0, spun = 0, late = 0;

lock_:
	if
	:: rounds == 0 -> goto done
	:: else -> rounds--
	fi;
	awoken = 0; waited = 0; starving = 0; late = 0; spun = 0;
	/* The short path; also past waiters. */
	if
#ifdef SHORT_BARGE
	:: atomic { ACQUIRES(me) && !(mem[STATE] & LOCKED_) -> mem[STATE] = mem[STATE] | LOCKED_; goto locked }
#else
	:: atomic { ACQUIRES(me) && FREE(mem[STATE]) -> mem[STATE] = mem[STATE] | LOCKED_; goto locked }
#endif
	:: skip
	fi;
loop:
	if
	:: atomic { /* a spinner keeps others from being woken */
		DRAINED(me) && !spun && !awoken && (mem[STATE] & 7) == LOCKED_ && mem[STATE] >= WAITER ->
		mem[STATE] = mem[STATE] | WOKEN; awoken = 1; spun = 1; goto loop }
	:: atomic {
		DRAINED(me) ->
		old = mem[STATE];
		if
		:: !(old & STARVING) -> mem[STATE] = mem[STATE] | LOCKED_
		:: else
		fi;
#ifdef BARGE
		mem[STATE] = mem[STATE] | LOCKED_;
		if
		:: HANDED(old) -> old = 0
		:: else
		fi;
#endif
		if
		:: !FREE(old) -> mem[STATE] = mem[STATE] + WAITER
		:: else
		fi;
		if
		:: starving && (old & LOCKED_) -> mem[STATE] = mem[STATE] | STARVING
		:: else
		fi;
		if
		:: awoken -> assert(mem[STATE] & WOKEN); mem[STATE] = mem[STATE] & ~WOKEN
		:: else
		fi;
		awoken = 0;
		if
		:: FREE(old) -> old = 0; goto locked
		:: else -> old = 0
		fi }
	fi;
	/* rt_semacquire */
	if
	:: LD(me, NWAIT) == 0 -> token(me)
	:: LD(me, NWAIT) != 0
	fi;
	if
	:: got -> goto woken
	:: else
	fi;
	begin(me);
	if
	:: got -> end_(me); goto woken
	:: !got && timed -> end_(me); goto give_up /* refused */
	:: !got -> enqueue(me, waited); LEAVE(me)
	fi;
parked:
	if
	:: atomic { granted[me] -> granted[me] = 0 }
	:: atomic { timed && open[me] -> open[me] = 0 };
		TAKE(me);
		do
		:: old < nq && queue[old] == me ->
			remove(old);
			n = LD(me, NWAIT); store(me, NWAIT, n - 1, 0); n = 0;
			break
		:: old < nq && queue[old] != me -> old++
		:: old >= nq -> break
		od;
		old = 0;
		LEAVE(me);
		goto give_up
	fi;
woken:
	got = 0;
	if
	:: starving = 1
	:: skip
	fi;
	if
	:: LD(me, STATE) & STARVING -> take_over(me); goto locked
	:: else -> awoken = 1; waited = 1; goto loop
	fi;
give_up:
	if
	:: atomic {
		DRAINED(me) && !OWED(mem[STATE]) ->
		assert(mem[STATE] >= WAITER);
		mem[STATE] = mem[STATE] - WAITER;
#ifndef KEEP_STARVING
		if
		:: mem[STATE] < WAITER -> mem[STATE] = mem[STATE] & ~STARVING
		:: else
		fi;
#endif
		goto lock_ }
	:: OWED(LD(me, STATE))
	fi;
	/* collect */
	begin(me);
	if
	:: got -> end_(me)
#ifndef NO_RELOOK
	:: !got && !OWED(LD(me, STATE)) -> end_(me); goto give_up
	:: !got && OWED(LD(me, STATE)) ->
#else
	:: !got ->
#endif
		enqueue(me, 1);
		LEAVE(me);
		atomic { granted[me] -> granted[me] = 0 }
	fi;
	got = 0;
	starving = 0;
	if
	:: LD(me, STATE) & STARVING -> take_over(me); goto locked
	:: else
	fi;
	/* pass_on */
	atomic {
		DRAINED(me) ->
		assert((mem[STATE] & (WOKEN | STARVING)) == WOKEN);
		if
#ifdef NO_PASS_ON
		:: mem[STATE] = mem[STATE] & ~WOKEN; goto lock_
#else
		:: mem[STATE] >= WAITER && !(mem[STATE] & LOCKED_) -> mem[STATE] = mem[STATE] - WAITER
		:: else -> mem[STATE] = mem[STATE] & ~WOKEN; goto lock_
#endif
		fi
	}
	semrelease(me);
	goto lock_;
locked:
	owners++;
	assert(owners == 1);
	if
	:: hog -> goto end_hog
	:: else
	fi;
#ifdef SHORT
	atomic { ROOM(me, 1) -> assert(LD(me, DATA) == data); data++; push(me, DATA, data, 0) }
#endif
	owners--;
	/* The short path: nobody to be woken. */
	if
	:: atomic {
#ifdef UNLOCK_RELAXED
		OWN_GONE(me, STATE) &&
#else
		DRAINED(me) &&
#endif
#ifdef SHORT_UNLOCK
		(mem[STATE] & (LOCKED_ | STARVING)) == LOCKED_ ->
#else
		(mem[STATE] & (LOCKED_ | STARVING)) == LOCKED_ && (mem[STATE] < WAITER || (mem[STATE] & WOKEN)) ->
#endif
		mem[STATE] = mem[STATE] & ~LOCKED_;
		goto lock_ }
	:: skip
	fi;
	/* unlock_slow */
	atomic {
		DRAINED(me) ->
		assert(mem[STATE] & LOCKED_);
		old = mem[STATE];
		mem[STATE] = mem[STATE] & ~LOCKED_;
		if
		:: old >= WAITER && !(old & STARVING) && !(old & WOKEN) ->
			mem[STATE] = (mem[STATE] - WAITER) | WOKEN
		:: old >= WAITER && (old & STARVING)
		:: else -> old = 0; goto lock_
		fi;
		old = 0
	}
	semrelease(me);
	goto lock_;
end_hog:
	false;
done:
	finished++
}

init
{
	atomic {
#ifdef MIXED
		run G(0, 0, 2, 0);
		run G(1, 0, 1, 0);
		run G(2, 1, 1, 0)
#elif defined TIMED
		run G(0, 0, 1, 0);
		run G(1, 1, 1, 0);
		run G(2, 1, 1, 0)
#elif defined SHORT
		run G(0, 0, 2, 0);
		run G(1, 0, 2, 0);
		run G(2, 0, 0, 0)
#else
		run G(0, 0, 1, 1);
		run G(1, 1, 2, 0);
		run G(2, 1, 1, 0)
#endif
	}
#ifndef HOG
	atomic {
		finished == 3 && DRAINED(0) && DRAINED(1) && DRAINED(2) ->
		assert(mem[STATE] == 0 && mem[SEMA] == 0 && mem[NWAIT] == 0 && nq == 0)
	}
#endif
}
