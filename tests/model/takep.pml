/* takep.pml: sysmon takes the P of a thread that sleeps in foreign code while that thread comes back. Models
 * rt_stand_take_locked, take_back, decide, rt_stand_assign_locked, rt_stand_resume (preempt.c) and rt_enter,
 * rt_leave (sched_inline.h).
 *
 * One P, two Ms. Goroutine 0 runs on M0 in user code; goroutine 1 waits. Each calls into the runtime twice and then
 * ends. Meanwhile sysmon tries three times to take the P from whoever has it, and a signal comes once (SIGNAL): it makes
 * one stand that lost its P, or ends a turn. Then the P goes to a sleeping M or to one that stands.
 *
 * Claims: in the runtime, between rt_enter and rt_leave, there is one M, it holds the P, it keeps it, and it sees
 * all that was written to the P before (`data`, plain stores); everybody gets the P and ends (no lost P: an end state).
 *
 * The fence for both sides (membarrier) waits until the M's buffer is drained. How sleeping Ms are found is one step
 * under the lock here: parkready.pml has that. The P's m and status are one location.
 *
 * Mutants: NO_FENCE, NO_FENCE_AFTER (the one between locks is 0 and the use of the P; WEAK), NO_REREAD (take_back acts
 * on what it read before it had the lock), READ_EARLY (taken read before locks++), NO_PROBE (sysmon reads locks without
 * having written taken), LEAVE_EARLY (locks-- before the last write to the P: what a compiler may do without its fence).
 */
#define NM 2
#define NPROC 3
#define SYSMON 2
#define LOCKS(m) (1 + (m))
#define TAKEN(m) (3 + (m))
#define MP(m) (5 + (m))  /* mp->p */
#define PM 7             /* 1 + the P's M; 0: IDLE */
#define DATA 8
#define NLOC 9
#include "memory.pml"

#define BIT(i) (1 << (i))
#define LOWEST(s) (((s) & 1) -> 0 : 1)
#define NOT 0
#define PROBE 1
#define GONE 2           /* RT_TAKEN */
#define STOPPED 1
#define ENTERING 2
#define ALL 2
#define SLICES 2
#ifdef SIGNAL
#define SIGNALS 1
#else
#define SIGNALS 0
#endif

/* guarded by the lock */
bit pidle;
byte midle;              /* a set of Ms */
bit globq;               /* goroutine 1, before it begins */
byte stands;             /* a set of Ms */
byte how[NM];            /* of those */

bit note[NM];            /* woken with the P */
bit resumed[NM];
byte finished, signals = SIGNALS;
byte inside, data;       /* seen by the claims only */

#ifdef WEAK
#define LOCKED3(p) (mem[LOCK] == 0 && ROOM(p, 3))
#else
#define LOCKED3(p) LOCKED(p)
#endif

/* A critical section of several steps. */
inline lock(me)
{
	atomic { LOCKED(me) -> mem[LOCK] = 1 }
}

inline unlock_after(me)
{
#ifdef WEAK
	store(me, LOCK, 0, 1)
#else
	atomic { DRAINED(me) -> mem[LOCK] = 0 }
#endif
}

/* Under the lock, the P is the caller's and IDLE. w: who stood, and is to be resumed. */
inline assign(me)
{
	w = LOWEST(stands);
	stands = stands & ~BIT(w);
	put(me, MP(w), 1);
	put(me, PM, 1 + w)
}

/* rt_stand_resume */
inline resume(me)
{
	if
	:: how[w] == STOPPED -> store(me, LOCKS(w), 0, 0)
	:: else
	fi;
	atomic { DRAINED(me) -> how[w] = 0; resumed[w] = 1; w = 0 }
}

/* The P is nobody's: rt_handoffp. */
inline handoff(me)
{
	if
	:: atomic { LOCKED3(me) && midle != 0 && DRAINED(me) ->
		w = LOWEST(midle); midle = midle & ~BIT(w); note[w] = 1; w = 0 }
	:: atomic { LOCKED3(me) && stands != 0 -> assign(me); unlock(me) }
		resume(me)
	:: atomic { LOCKED3(me) && midle == 0 && stands == 0 -> pidle = 1; unlock(me) }
	fi
}

/* After somebody has come to stand. Without an M that sleeps sysmon does it. */
inline wakep(me)
{
	atomic {
		LOCKED(me) ->
		if
		:: pidle && midle != 0 ->
			w = LOWEST(midle); midle = midle & ~BIT(w); pidle = 0; note[w] = 1; w = 0
		:: else
		fi;
		unlock(me)
	}
}

proctype M(byte me; bit has)
{
	byte t = 0, w = 0, left = SLICES;

	if
	:: !has -> goto asleep
	:: else
	fi;
user:
	if
	:: goto enter
	:: atomic { signals > 0 -> signals-- } goto handler
	fi;
enter:
#ifdef READ_EARLY
	t = LD(me, TAKEN(me));
	store(me, LOCKS(me), 1, 0);
#else
	store(me, LOCKS(me), 1, 0);
	t = LD(me, TAKEN(me));
#endif
	if
	:: t == NOT -> assert(LD(me, MP(me))); goto runtime /* else rt_outside */
	:: else
	fi;
	t = LD(me, TAKEN(me)); /* rt_enter_slow reads it again */
	if
	:: t == NOT -> assert(LD(me, MP(me))); goto runtime
	:: else
	fi;
	atomic {
		LOCKED(me) ->
#ifndef NO_REREAD
		t = LD(me, TAKEN(me));
#endif
		if
		:: t == GONE -> how[me] = ENTERING; stands = stands | BIT(me); put(me, TAKEN(me), NOT)
		:: else
		fi;
		unlock(me)
	}
	if
	:: t != GONE -> t = 0; goto runtime
	:: else -> t = 0
	fi;
	wakep(me);
	atomic { resumed[me] -> resumed[me] = 0 }
runtime:
	/* Between rt_enter and rt_leave. */
	atomic {
		assert(inside == 0);
		inside = 1;
		assert(LD(me, MP(me)) == 1 && LD(me, PM) == 1 + me);
		assert(LD(me, DATA) == data)
	}
#ifndef LEAVE_EARLY
	atomic { ROOM(me, 1) -> data++; push(me, DATA, data, 0) }
#endif
	atomic {
		assert(LD(me, MP(me)) == 1 && LD(me, PM) == 1 + me);
		inside = 0;
		left--
	}
	if
	:: left > 0 -> store(me, LOCKS(me), 0, 0);
#ifdef LEAVE_EARLY
		atomic { ROOM(me, 1) -> data++; push(me, DATA, data, 0) }
#endif
		goto user
	:: else -> finished++
	fi;
	/* On g0, with the P. */
schedule:
	if
	:: atomic { stands != 0 && LOCKED3(me) -> put(me, MP(me), 0); put(me, PM, 0); unlock(me) }
		atomic { LOCKED3(me) -> assign(me); unlock(me) }
		resume(me)
	:: atomic { globq && LOCKED(me) -> globq = 0; unlock(me) }
		left = SLICES;
		store(me, LOCKS(me), 0, 0);
		goto user
	:: atomic { LOCKED3(me) && stands == 0 && !globq ->
		put(me, MP(me), 0); put(me, PM, 0); pidle = 1; unlock(me) }
	fi;
	/* rt_stopm */
	atomic {
		LOCKED(me) ->
		if
		:: pidle && (stands != 0 || globq) -> pidle = 0; note[me] = 1
		:: else -> midle = midle | BIT(me)
		fi;
		unlock(me)
	}
asleep:
	if
	:: atomic { note[me] -> note[me] = 0 }
		store(me, MP(me), 1, 0);
		store(me, PM, 1 + me, 1);
		goto schedule
	:: finished == ALL -> goto done
	fi;
handler:
	/* decide, stop: locks is 0. */
	store(me, LOCKS(me), 1, 0);
	atomic {
		LOCKED3(me) ->
		t = LD(me, TAKEN(me));
		if
		:: t == GONE -> how[me] = STOPPED; stands = stands | BIT(me); put(me, TAKEN(me), NOT)
		:: t != GONE && midle != 0 -> /* give_up_locked */
			how[me] = STOPPED; stands = stands | BIT(me);
			put(me, MP(me), 0);
			put(me, PM, 0);
			w = LOWEST(midle); midle = midle & ~BIT(w)
		:: t != GONE -> t = 5 /* BE_PREEMPT_GO */
		fi;
		unlock(me)
	}
	if
	:: t == 5 -> t = 0; store(me, LOCKS(me), 0, 0); goto user
	:: t == GONE -> t = 0; wakep(me)
	:: else -> atomic { DRAINED(me) -> note[w] = 1; w = 0; t = 0 }
	fi;
	atomic { resumed[me] -> resumed[me] = 0 }
	goto user;
done:
	skip
}

proctype sysmon()
{
	byte m = 0, w = 0, left = 3;

	do
	:: left > 0 ->
		left--;
		lock(SYSMON);
		m = LD(SYSMON, PM);
		if
		:: m == 0 -> unlock_after(SYSMON)
		:: else ->
			m--;
#ifdef NO_PROBE
			if
			:: LD(SYSMON, LOCKS(m)) == 0 && LD(SYSMON, MP(m))
			:: else -> unlock_after(SYSMON); goto next
			fi;
#else
			store(SYSMON, TAKEN(m), PROBE, 0);
#ifndef NO_FENCE
			FENCE(SYSMON);
			DRAINED(m);
#endif
			if
			:: LD(SYSMON, LOCKS(m)) == 0 && LD(SYSMON, MP(m))
			:: else -> store(SYSMON, TAKEN(m), NOT, 0); unlock_after(SYSMON); goto next
			fi;
#endif
#ifndef NO_FENCE_AFTER
			FENCE(SYSMON);
			DRAINED(m);
#endif
			store(SYSMON, TAKEN(m), GONE, 0);
			store(SYSMON, MP(m), 0, 0);
			store(SYSMON, PM, 0, 0);
			unlock_after(SYSMON);
			handoff(SYSMON)
		fi;
next:
		m = 0
	:: atomic { pidle && stands != 0 && LOCKED3(SYSMON) -> pidle = 0; assign(SYSMON); unlock(SYSMON) }
		resume(SYSMON)
	:: finished == ALL -> break
	od
}

init
{
	atomic {
		mem[MP(0)] = 1;
		mem[PM] = 1;
		mem[LOCKS(1)] = 1;
		globq = 1;
		midle = BIT(1);
		run M(0, 1);
		run M(1, 0);
		run sysmon()
	}
}
