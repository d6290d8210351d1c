/* cancel.pml: who wakes a timed wait. Models rt_waiter_begin, rt_waiter_open, rt_waiter_claim,
 * rt_waiter_end, rt_g_cancel of core/sched (wait.c). Partners are left out: they hold the lock under which
 * the waiter is enqueued, and open runs under it; here is the case without such a lock, a sleep.
 *
 * A record of a goroutine waits twice. Each wait is opened by a g0 of its own, which may still be at it when
 * the goroutine runs again elsewhere. A timer fires at any moment after it is armed; a canceller
 * cancels once, at any moment. Claimed: a wait is ended once, by somebody who has a reason; a cancelled
 * wait ends (an end state in which it waits is an error); nobody touches a waiter whose frame is gone.
 *
 *   -DFOREVER   no deadlines: only the cancellation ends the waits
 *   -DDEADLINE  both waits have a timer, too
 *   -DREUSE     after its first wait the goroutine ends, and its record is another one's, which
 *               is no member
 *
 * Mutants: EARLY_LOOK (open looks at `canceled` before its write is visible), NO_FENCE_CANCEL (the
 * canceller's write may be late), NO_COUNT (claim is the state alone), ARM_LATE (the timer is
 * armed after the wait is open), TWO_TAKERS (the claim is a load and a store).
 */
#define NPROC 5
#define CLAIM 1
#define CANCELED 2
#define NLOC 3
#include "memory.pml"

#define NONE_ 0
#define ARMING 1
#define FIRED 2
#define OPEN_ 3
#ifdef NO_COUNT
#define OF(k, state) (state)
#define WAIT_OF(v) now_waits
#else
#define OF(k, state) (8 * (k) + (state))
#define WAIT_OF(v) ((v) / 8)
#endif
#define STATE_OF(v) ((v) & 7)
#ifdef FOREVER
#define TIMED 0
#else
#define TIMED 1
#endif

bit member = 1, glock;       /* of the group; glock: its lock */
byte now_waits;              /* the wait that the record is in */
bit asked[3], ready[3], armed[3], fired[3], busy[3], alive[3];
bit canceled_it;

/* rt_goready */
inline wake(k)
{
	atomic {
		assert(asked[k] && !ready[k]);
		assert(fired[k] || (member && canceled_it));
		ready[k] = 1
	}
}

inline arm(k)
{
	if
	:: TIMED -> atomic { assert(alive[k]); armed[k] = 1 }
	:: else
	fi
}

/* The goroutine. */
proctype G(byte me)
{
	byte k = 1;

	do
	:: k <= 2 && !LD(me, CANCELED) ->
		d_step { alive[k] = 1; now_waits = k };
		store(me, CLAIM, OF(k, ARMING), 0);
		atomic { DRAINED(me) -> asked[k] = 1 };
		ready[k];
		/* rt_waiter_end: rt_timer_disarm waits for a timer's function that runs */
		atomic { !busy[k] -> armed[k] = 0; alive[k] = 0 };
#ifdef REUSE
		if
		:: k == 1 -> atomic { !glock && DRAINED(me) -> member = 0; mem[CANCELED] = 0 }
		:: else
		fi;
#endif
		k++
	:: else -> break
	od
}

/* The g0 that opens wait k. */
proctype S(byte me; byte k)
{
	bit in, ok, look;

end_s:
	asked[k];
	in = member;
#ifndef ARM_LATE
	arm(k);
#endif
#ifdef EARLY_LOOK
	look = LD(me, CANCELED);
#endif
	atomic {
		DRAINED(me) ->
		if
		:: mem[CLAIM] == OF(k, ARMING) -> mem[CLAIM] = OF(k, OPEN_); ok = 1
		:: else -> assert(mem[CLAIM] == OF(k, FIRED))
		fi
	}
	if
	:: !ok -> store(me, CLAIM, OF(k, NONE_), 0); atomic { DRAINED(me) -> wake(k) }; goto done
	:: else
	fi;
#ifdef ARM_LATE
	arm(k);
#endif
	if
	:: !in -> goto done
	:: else
	fi;
#ifndef EARLY_LOOK
	look = LD(me, CANCELED);
#endif
	if
	:: look ->
		atomic {
			DRAINED(me) ->
			if
			:: mem[CLAIM] == OF(k, OPEN_) -> mem[CLAIM] = OF(k, NONE_); ok = 1
			:: else -> ok = 0
			fi
		}
		if
		:: ok -> wake(WAIT_OF(OF(k, 0)))
		:: else
		fi
	:: else
	fi;
done:
	skip
}

/* A P that runs due timers. */
proctype T(byte me)
{
	byte k, v;
	bit won;

end_t:
	do
	:: atomic { armed[1] && !fired[1] -> fired[1] = 1; busy[1] = 1; k = 1 } -> goto fire
	:: atomic { armed[2] && !fired[2] -> fired[2] = 1; busy[2] = 1; k = 2 } -> goto fire
	od;
fire:
	assert(alive[k]);
again:
	v = LD(me, CLAIM);
	if
	:: STATE_OF(v) == OPEN_ ->
#ifdef TWO_TAKERS
		won = 1;
		store(me, CLAIM, v - OPEN_, 0)
#else
		atomic {
			DRAINED(me) ->
			if
			:: mem[CLAIM] == v -> mem[CLAIM] = v - OPEN_; won = 1
			:: else -> goto again
			fi
		}
#endif
	:: STATE_OF(v) == ARMING ->
		atomic {
			DRAINED(me) ->
			if
			:: mem[CLAIM] == v -> mem[CLAIM] = v - ARMING + FIRED
			:: else -> goto again
			fi
		}
	:: else
	fi;
	if
	:: won -> wake(k)
	:: else
	fi;
	won = 0; v = 0;
	busy[k] = 0; k = 0;
	goto end_t
}

/* rt_g_cancel under the group's lock. */
proctype C(byte me)
{
	byte v;
	bit won;

	if
	:: atomic { member -> glock = 1; canceled_it = 1 }
	:: atomic { !member -> goto done }
	fi;
#ifdef NO_FENCE_CANCEL
	store(me, CANCELED, 1, 0);
#else
	atomic { DRAINED(me) -> mem[CANCELED] = 1 };
#endif
	v = LD(me, CLAIM);
	if
	:: STATE_OF(v) == OPEN_ ->
		atomic {
			DRAINED(me) ->
			if
			:: mem[CLAIM] == v -> mem[CLAIM] = v - OPEN_; won = 1
			:: else
			fi
		}
		if
		:: won -> wake(WAIT_OF(v))
		:: else
		fi
	:: else
	fi;
	atomic { DRAINED(me) -> glock = 0 };
done:
	skip
}

init
{
	atomic {
		run G(0);
		run S(1, 1);
		run S(2, 2);
		run C(3);
		run T(4)
	}
}
