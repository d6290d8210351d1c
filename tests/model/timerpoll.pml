/* timerpoll.pml: while a P is idle, somebody waits for the earliest timer. Models rt_timer_arm,
 * tell (timer.c), poll_wait and go_idle (proc.c), rt_wakep, and the break of be_netpoll.
 *
 * 2 Ps, each with a heap; 4 Ms. M0 and M1 hold the Ps and arm and disarm timers of their own; then each
 * either computes for ever or goes idle. Deadlines are 1 < 2 < 3; time does not pass, so nothing
 * becomes due, but a wait may return early once, as an expired one would. When nothing moves any
 * more (Spin's timeout) a P that is idle obliges: some M waits in the poller, not later than for
 * the earliest timer of all heaps.
 *
 *   -DNEAR  M0 has the timer 1, M1 the timer 3. M0 disarms 1 and arms 2 at any moments.
 *   -DFAR   no timers at first; each M arms up to one.
 *   -DBOTH  M0 arms 3 then 1, M1 arms 2.
 *   -DKEPT  M0 has the timer 1, arms 2, which is not the first and tells nobody, and disarms 1.
 *   -DDEAD  M0 has the timer 1 and disarms it, M1 has none. When all others sleep, nobody waits in
 *           the poller for what is no more (rt_checkdead_locked, rt_poll_look).
 *   -DANEW  M0 has the timer 1, disarms it and arms 2; M1 has none.
 *
 * Mutants: NO_FENCE_ARM, NO_FENCE_POLL, NO_FENCE_IDLE, NO_REREAD (the heaps are not looked at again
 * after polluntil is published), RAISE (the second look may put off the wait beyond what was published),
 * NO_BREAK, NO_WAKEP (of the armer), NO_LOOK (the last to fall asleep does not look at the poller),
 * NO_GIVE_UP (who begins to wait does not heed that no timer is left).
 */
#define NP 2
#define NM 4
#define NPROC 4
#define NMSPINNING 1
#define NPIDLE 2
#define POLLING 3
#define POLLUNTIL 4
#define NEXT(q) (5 + (q))
#define NLOC 7
#include "sched.pml"

#define FOREVER 9
#define LEAST(a, b) ((a) < (b) -> (a) : (b))
#define TIMERS(set) (((set) & 2) -> 1 : (((set) & 4) -> 2 : (((set) & 8) -> 3 : FOREVER)))

#define ALL_BUT(i) (15 & ~BIT(i))
#define ONE_AWAKE (midle == ALL_BUT(0) || midle == ALL_BUT(1) || midle == ALL_BUT(2) || midle == ALL_BUT(3))

byte heap[NP];     /* a set of deadlines as bits; the owner changes it */
byte waits;        /* until when the poller waits; 0 = nobody is in be_netpoll_wait */
bit broken;        /* a break is pending */
bit early;         /* a wait has returned early */

inline publish_next(me, q)
{
#ifdef WEAK
	store(me, NEXT(q), TIMERS(heap[q]), 0)
#else
	atomic { DRAINED(me) -> mem[NEXT(q)] = TIMERS(heap[q]) } /* unlocking drains */
#endif
}

inline netpoll_break(me)
{
#ifndef NO_BREAK
	atomic { DRAINED(me) -> broken = 1 }
#else
	skip
#endif
}

inline tell(me, when)
{
#ifndef NO_FENCE_ARM
	FENCE(me);
#endif
	/* Both loads are relaxed: in either order. */
	if
	:: until = LD(me, POLLUNTIL); poll = LD(me, POLLING)
	:: poll = LD(me, POLLING); until = LD(me, POLLUNTIL)
	fi;
	if
	:: poll && when < until -> netpoll_break(me)
	:: poll && when >= until
	:: else ->
#ifndef NO_WAKEP
		wakep(me)
#else
		skip
#endif
	fi;
	until = 0; poll = 0
}

inline arm(me, when)
{
	first = when < TIMERS(heap[p]);
	heap[p] = heap[p] | BIT(when);
	publish_next(me, p);
	if
	:: first -> tell(me, when)
	:: else
	fi;
	first = 0
}

inline disarm(me, when)
{
	heap[p] = heap[p] & ~BIT(when);
	publish_next(me, p)
}

inline timers_next(me, to)
{
	to = LD(me, NEXT(0));
	to = LEAST(to, LD(me, NEXT(1)))
}

inline program(me)
{
#ifdef NEAR
	if
	:: me == 0 -> disarm(me, 1); arm(me, 2)
	:: else
	fi
#elif defined DEAD
	if
	:: me == 0 -> disarm(me, 1)
	:: else
	fi
#elif defined ANEW
	if
	:: me == 0 -> disarm(me, 1); arm(me, 2)
	:: else
	fi
#elif defined KEPT
	if
	:: me == 0 -> arm(me, 2); disarm(me, 1)
	:: else
	fi
#elif defined FAR
	if
	:: me == 0 -> arm(me, 2)
	:: me == 1 -> arm(me, 1)
	:: skip
	fi
#else
	if
	:: me == 0 -> arm(me, 3); arm(me, 1)
	:: me == 1 -> arm(me, 2)
	fi
#endif
}

proctype M(byte me; byte p; bit runs)
{
	byte q = 0, w = 0, until = 0, when = 0, again = 0;
	bit spinning = 0, poll = 0, first = 0;

	if
	:: runs -> goto execute
	:: else -> goto asleep
	fi;
search: /* finds nothing */
	if
	:: !spinning
	:: !spinning -> spinning_begin(me)
	:: spinning
	fi;
	atomic { LOCKED(me) -> pidle_put_locked(me, p); p = NONE; unlock(me) }
	if
	:: spinning -> spinning_end(me)
	:: else
	fi;
#ifndef NO_FENCE_IDLE
	FENCE(me);
#endif
	/* poll_wait */
	timers_next(me, when);
	if
	:: when == FOREVER -> goto stopm
	:: else
	fi;
	if
	:: atomic { DRAINED(me) && mem[POLLING] == 0 -> mem[POLLING] = 1 }
	:: atomic { DRAINED(me) && mem[POLLING] != 0 -> skip }
		if
		:: LD(me, POLLUNTIL) > when -> netpoll_break(me)
		:: else
		fi;
		goto stopm
	fi;
	store(me, POLLUNTIL, when, 0);
#ifndef NO_FENCE_POLL
	FENCE(me);
#endif
#ifndef NO_REREAD
	timers_next(me, again);
#ifdef RAISE
	when = again;
	store(me, POLLUNTIL, when, 0);
#else
	if
	:: again < when -> when = again; store(me, POLLUNTIL, when, 0)
	:: else
	fi;
#endif
#endif
	if
#ifndef NO_GIVE_UP
	:: when != FOREVER && again != FOREVER ->
#else
	:: when != FOREVER ->
#endif
		waits = when;
end_waits:
		if
		:: broken -> broken = 0
		:: atomic { !early -> early = 1 }
		fi;
		waits = 0
	:: else
	fi;
	when = 0;
	store(me, POLLUNTIL, 0, 0);
	atomic { DRAINED(me) -> mem[POLLING] = 0 }
	again = 0;
	/* take_idle_p */
	atomic { LOCKED(me) -> pidle_get_locked(me, p); unlock(me) }
	if
	:: p != NONE -> spinning_begin(me); goto search
	:: else
	fi;
stopm:
	when = 0;
#ifdef NO_LOOK
	atomic { LOCKED(me) -> midle = midle | BIT(me); unlock(me) }
#else
	atomic { LOCKED(me) -> mem[LOCK] = 1; midle = midle | BIT(me) }
	if
	:: ONE_AWAKE -> /* rt_poll_look */
		FENCE(me);
		poll = LD(me, POLLING);
		timers_next(me, when);
		if
		:: poll && when == FOREVER -> netpoll_break(me)
		:: else
		fi;
		poll = 0; when = 0
	:: else
	fi;
	store(me, LOCK, 0, 1);
#endif
asleep:
end_asleep:
	atomic { note[me] != 0 -> p = note[me] - 1; spinning = notespin[me]; note[me] = 0; notespin[me] = 0 }
	goto search;
execute:
	program(me);
	if
#ifdef DEAD
	:: atomic { LOCKED(me) -> pidle_put_locked(me, p); p = NONE; unlock(me) }; goto stopm /* rt_stophost */
#endif
	:: goto search
	:: skip
	fi;
end_computes:
	false
}

init
{
	byte least;

	atomic {
#ifdef NEAR
		heap[0] = BIT(1);
		heap[1] = BIT(3);
#endif
#if defined KEPT || defined DEAD || defined ANEW
		heap[0] = BIT(1);
#endif
		mem[NEXT(0)] = TIMERS(heap[0]);
		mem[NEXT(1)] = TIMERS(heap[1]);
		midle = 12;
		run M(0, 0, 1);
		run M(1, 1, 1);
		run M(2, NONE, 0);
		run M(3, NONE, 0)
	}
	atomic {
		timeout ->
		least = LEAST(TIMERS(heap[0]), TIMERS(heap[1]));
		assert(pidle == 0 || least == FOREVER || (waits != 0 && waits <= least && !broken));
		assert(waits == 0 || least != FOREVER || broken || !ONE_AWAKE)
	}
}
