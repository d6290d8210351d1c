/* timerheap.pml: one timer set, put off, put forward and stopped by goroutines on two Ps, while others run
 * both heaps. Models rt_alarm_set, rt_alarm_cancel, leave, removed and rt_timers_run (sched/timer.c)
 * with an owner as sync/timer.c; and rt_timer_disarm.
 *
 *   -DRING   U (on P0) and V (on P1) each do what they want twice: start for 1 or 2, or stop. Time goes
 *            from 0 to 2 at any moments. R0 and R1 run the heaps 0 and 1; both act for P1, a thief in
 *            the case of R0. When nothing moves any more: everything started has fired, was stopped or
 *            was replaced, once and not too early; the heaps are empty, no zombie is counted.
 *   -DCROWD  the same with something in each heap that never becomes due, so that zombies stay.
 *   -DSTILL  time stands. The alarm and the timer of a frame are in heap 0; V cancels the one while U
 *            disarms the other: a heap of zombies does not remain, for it would be waited for.
 *   -DFRAME  the timer of a frame is due. R0 runs it while U disarms it and leaves the frame.
 *
 * Mutants: LATE_OUT (the alarm is OUT only after its function has run), NO_LOOK (the function trusts
 * the reminder), DEAD_IS_SET (a cancelled alarm counts as set), NO_LOCK (a cancelled alarm is revived
 * without its heap's lock), HOME_FREE (it changes heaps without the lock of the one it leaves),
 * ANY_HOME (its slot counts in any heap), NO_FENCE_REMOVED, COUNT_LATE (cancel reads n, then counts),
 * FN_UNLOCKED (the function of a frame's timer runs after the lock is released).
 */
#define NPROC 4
#define GUARD 1
#define HEAP(q) (2 + (q))
#define STATE 4
#define HOME 5
#define N(q) (6 + (q))
#define Z(q) (8 + (q))
#define NLOC 10
#include "memory.pml"

#ifdef CROWD
#define RING
#define REST 1
#else
#define REST 0
#endif

#define OUT 0
#define SET 1
#define DEAD 2
#define NOWHERE 255
#define ZERO 8 /* of the zombies, which may be below for a moment */

byte now;
byte when;             /* the owner's, guarded by GUARD; 0 = not armed */
byte starts, fires, stops, replaced;
byte one[2], two[2];   /* slots for 1 and for 2; guarded by the heap's lock */
byte awhen;            /* rt_alarm.when */
bit frame, inheap;     /* the frame is there; its timer is in heap 0 */

inline lockl(me, l)
{
#ifdef WEAK
	atomic { mem[l] == 0 && OWN_GONE(me, l) -> mem[l] = 1 }
#else
	atomic { DRAINED(me) && mem[l] == 0 -> mem[l] = 1 }
#endif
}

inline unlockl(me, l)
{
#ifdef WEAK
	store(me, l, 0, 1)
#else
	atomic { DRAINED(me) -> mem[l] = 0 }
#endif
}

inline add(me, x, d)
{
	atomic { DRAINED(me) -> mem[x] = mem[x] + d }
}

/* n changes under the heap's lock only. */
inline count(me, q, d)
{
	nn = LD(me, N(q)) + d;
	store(me, N(q), nn, 0);
	nn = 0
}

inline slots(q, w, d)
{
	if
	:: w == 1 -> one[q] = one[q] + d
	:: w == 2 -> two[q] = two[q] + d
	fi
}

/* A slot of heap q for w has been taken out or will be: was it the one that counts, and SET? */
inline leave(me, q, w)
{
	live = 0;
#ifdef ANY_HOME
	if
	:: LD(me, STATE) != OUT && awhen == w ->
#else
	if
	:: LD(me, HOME) == q && LD(me, STATE) != OUT && awhen == w ->
#endif
#ifdef LATE_OUT
		live = (LD(me, STATE) == SET -> 1 : 0)
#else
		atomic { DRAINED(me) -> live = (mem[STATE] == SET -> 1 : 0); mem[STATE] = OUT }
#endif
	:: else
	fi;
	if
	:: !live -> add(me, Z(q), -1)
	:: else
	fi
}

inline removed(me, q)
{
	if
	:: LD(me, N(q)) > 0 ->
#ifndef NO_FENCE_REMOVED
		FENCE(me);
#endif
		if
		:: LD(me, Z(q)) - ZERO >= LD(me, N(q)) ->
			do
			:: one[q] > 0 -> one[q]--; leave(me, q, 1); assert(!live)
			:: two[q] > 0 -> two[q]--; leave(me, q, 2); assert(!live)
			:: one[q] == 0 && two[q] == 0 -> break
			od;
			store(me, N(q), 0, 0)
		:: else
		fi
	:: else
	fi
}

/* GUARD is held. */
inline set(me, own, w)
{
	if
#ifdef DEAD_IS_SET
	:: LD(me, STATE) != OUT && w >= awhen
#else
	:: LD(me, STATE) == SET && w >= awhen
#endif
#ifdef NO_LOCK
	:: LD(me, STATE) == DEAD && w >= awhen ->
		store(me, STATE, SET, 0);
		q = LD(me, HOME);
		add(me, Z(q), -1)
	:: else ->
#else
	:: else ->
#endif
		q = LD(me, HOME);
		if
		:: q == NOWHERE -> q = own; store(me, HOME, q, 1); lockl(me, HEAP(q))
		:: else ->
#ifdef HOME_FREE
			if
			:: q != own && LD(me, STATE) == OUT -> q = own; store(me, HOME, q, 1)
			:: else
			fi;
			lockl(me, HEAP(q))
#else
			lockl(me, HEAP(q));
			if
			:: q != own && LD(me, STATE) == OUT ->
				store(me, HOME, own, 1);
				unlockl(me, HEAP(q));
				q = own;
				lockl(me, HEAP(q))
			:: else
			fi
#endif
		fi;
		if
		:: LD(me, STATE) == DEAD -> store(me, STATE, SET, 0); add(me, Z(q), -1)
		:: else
		fi;
		if
		:: LD(me, STATE) == OUT || w < awhen ->
			if
			:: LD(me, STATE) == SET ->
				if /* by the hint, or not found */
				:: slots(q, awhen, -1); count(me, q, -1)
				:: add(me, Z(q), 1)
				fi
			:: else
			fi;
			awhen = w;
			store(me, STATE, SET, 0);
			slots(q, w, 1);
			count(me, q, 1)
		:: else
		fi;
		unlockl(me, HEAP(q))
	fi;
	q = 0
}

/* GUARD is held. */
inline cancel(me, own)
{
	q = LD(me, HOME);
	if
	:: LD(me, STATE) != SET
	:: LD(me, STATE) == SET && q == own ->
		lockl(me, HEAP(q));
		if
		:: LD(me, STATE) == SET ->
			if
			:: slots(q, awhen, -1);
			   store(me, STATE, OUT, 0);
			   count(me, q, -1)
			:: store(me, STATE, DEAD, 0);
			   add(me, Z(q), 1)
			fi;
			removed(me, q)
		:: else
		fi;
		unlockl(me, HEAP(q))
	:: LD(me, STATE) == SET && q != own ->
		atomic {
			DRAINED(me) ->
			if
			:: mem[STATE] == SET -> mem[STATE] = DEAD; live = 1
			:: else -> live = 0
			fi
		}
		if
		:: live ->
#ifdef COUNT_LATE
			nn = LD(me, N(q));
			atomic { DRAINED(me) -> mem[Z(q)]++; zz = mem[Z(q)] - ZERO }
#else
			atomic { DRAINED(me) -> mem[Z(q)]++; zz = mem[Z(q)] - ZERO }
			nn = LD(me, N(q));
#endif
			if
			:: zz >= nn -> lockl(me, HEAP(q)); removed(me, q); unlockl(me, HEAP(q))
			:: else
			fi;
			zz = 0; nn = 0
		:: else
		fi
	fi;
	q = 0; live = 0
}

inline start(me, own, w)
{
	lockl(me, GUARD);
	if
	:: when != 0 -> replaced++
	:: else
	fi;
	when = w;
	starts++;
	set(me, own, w);
	unlockl(me, GUARD)
}

inline stop(me, own)
{
	lockl(me, GUARD);
	if
	:: when != 0 -> stops++
	:: else
	fi;
	when = 0;
	cancel(me, own);
	unlockl(me, GUARD)
}

inline ring(me, own)
{
	lockl(me, GUARD);
	if
#ifdef NO_LOOK
	:: 1 -> assert(when != 0 && when <= now); when = 0; fires++
#else
	:: when != 0 && when <= now -> when = 0; fires++
	:: when > now -> set(me, own, when)
	:: when == 0
#endif
	fi;
	unlockl(me, GUARD)
}

inline disarm(me)
{
	lockl(me, HEAP(0));
	if
	:: inheap -> inheap = 0; count(me, 0, -1); removed(me, 0)
	:: else
	fi;
	unlockl(me, HEAP(0))
}

proctype user(byte me; byte own)
{
	byte q = 0, k = 0, nn = 0;
	short zz = 0;
	bit live = 0;

#ifdef RING
	do
	:: k < 2 -> k++;
		if
		:: start(me, own, 1)
		:: start(me, own, 2)
		:: stop(me, own)
		fi
	:: break
	od
#elif defined STILL
	if
	:: me == 0 -> disarm(me)
	:: else -> stop(me, own)
	fi
#else
	if
	:: me == 0 -> disarm(me); frame = 0
	:: else
	fi
#endif
}

proctype runner(byte me; byte h)
{
	byte q = 0, w = 0, nn = 0;
	bit live = 0, rings = 0;

end:
	do
	:: (one[h] > 0 && now >= 1) || (two[h] > 0 && now >= 2) || (h == 0 && inheap && now >= 1) ->
		lockl(me, HEAP(h));
		if
		:: h == 0 && inheap && now >= 1 ->
			inheap = 0;
			count(me, h, -1);
#ifdef FN_UNLOCKED
			unlockl(me, HEAP(h));
			assert(frame);
			lockl(me, HEAP(h));
#else
			assert(frame);
#endif
		:: else ->
			w = ((one[h] > 0 && now >= 1) -> 1 : ((two[h] > 0 && now >= 2) -> 2 : 0));
			if
			:: w != 0 ->
				slots(h, w, -1);
				count(me, h, -1);
				leave(me, h, w);
				rings = live
			:: else
			fi
		fi;
		removed(me, h);
		unlockl(me, HEAP(h));
		if
		:: rings ->
			rings = 0;
			ring(me, 1);
#ifdef LATE_OUT
			store(me, STATE, OUT, 0)
#endif
		:: else
		fi;
		w = 0; live = 0
	od
}

#ifndef STILL
active proctype clock()
{
	now = 1;
	now = 2
}
#endif

init
{
	atomic {
		mem[HOME] = NOWHERE;
		mem[Z(0)] = ZERO;
		mem[Z(1)] = ZERO;
		mem[N(0)] = REST;
		mem[N(1)] = REST;
#ifdef STILL
		mem[HOME] = 0; mem[STATE] = SET; mem[N(0)] = 2; awhen = 2; two[0] = 1; when = 2; starts = 1;
		inheap = 1; frame = 1;
#endif
#ifdef FRAME
		mem[N(0)] = 1; inheap = 1; frame = 1;
#endif
		run user(0, 0);
		run user(1, 1);
		run runner(2, 0);
		run runner(3, 1)
	}
	atomic {
		timeout ->
		assert(mem[GUARD] == 0 && mem[HEAP(0)] == 0 && mem[HEAP(1)] == 0);
		assert(mem[Z(0)] == ZERO && mem[Z(1)] == ZERO);
		assert(mem[N(0)] == REST && mem[N(1)] == REST && mem[STATE] == OUT);
		assert(one[0] + one[1] + two[0] + two[1] == 0);
		assert(when == 0 && starts == fires + stops + replaced)
	}
}
