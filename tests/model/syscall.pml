/* syscall.pml: a P whose goroutine is in a system call: its M takes it back, sysmon takes it away, or the stop of
 * the world does. Models gort_entersyscall, exitsyscall, take_old, take_idle (syscall.c), look_syscall (sysmon.c),
 * rt_handoffp, rt_startm (m.c), rt_stop_world, rt_start_world, rt_syscall_gcstop, rt_gcstopm (stw.c),
 * rt_preempt_point (park.c), acquirep, releasep (p.c).
 *
 * One P, two Ms, two goroutines; each makes two system calls and ends. A call lasts until nobody needs the P, or ends
 * at any time; in between a goroutine may compute and look only at the flag. Sysmon tries to take the P whenever it
 * sees SYSCALL. STOP: a thread without a P stops and starts the world. FLAG: sysmon asks for the end of a turn, too;
 * one call each.
 *
 * Claims: between taking the P and giving it up each M finds its own mark in it (pp->m, the status, and all that was
 * written to it before by plain stores: `data`); while the world is stopped nobody uses it; the stopper gets it
 * although it asks only once, and does not wait for sysmon; all come to an end although calls may last: no P is lost
 * and none stays in a call while somebody waits (an end state).
 *
 * How sleeping Ms are found is one step under the lock here: parkready.pml has that. Sysmon's patience, dropped and wired
 * goroutines are left out.
 *
 * Mutants: NO_FENCE (entersyscall), RELAXED_STATUS (SYSCALL stored relaxed; WEAK), EARLY_STATUS (before pp->m is
 * NULL), NO_CAS (exitsyscall reads the status and stores), BLIND_RETAKE (sysmon does), NO_LOOK_HANDOFF (rt_handoffp
 * does not look at gcwaiting), NO_LOOK (entersyscall does not look at it again), NO_CAS_STOP (rt_syscall_gcstop
 * does not see that the stopper has it already), STALE_STOP (nor that the world has started again), NO_FENCE_POINT,
 * NO_FENCE_CLEAR (after an old request to look is cleared, in rt_preempt_point and in findrunnable).
 */
#define NM 2
#define NPROC 4
#define SYSMON 2
#define STOPPER 3
#define STATUS 1
#define PM 2             /* 1 + the P's M */
#define GCWAITING 3
#define PREEMPT 4
#define DATA 5
#define NLOC 6
#include "memory.pml"

#define BIT(i) (1 << (i))
#define LOWEST(s) (((s) & 1) -> 0 : 1)
#define IDLE 0
#define RUNNING 1
#define SYSCALL 2
#define GCSTOP 3
#define NONE 255
#define ALL 2
#ifdef FLAG
#define CALLS 1
#define ASKS 1
#define STOP
#else
#define CALLS 2
#define ASKS 0
#endif
#ifdef STOP
#define STOPS 1
#else
#define STOPS 0
#endif

/* guarded by the lock */
bit pidle;               /* the P is on the idle list */
byte midle;              /* a set of Ms */
byte globq;              /* how many goroutines wait; which of them does not matter but for the calls they have left */
byte calls[2];           /* of those: a stack */
byte stopwait;

bit note[NM];            /* woken with the P: nextp */
byte finished, data;
byte owner = 0;          /* for the claims only: whose P it is; NONE: of nobody that runs */
bit stopped;
byte stops = STOPS;      /* still to come or not over */
/* Nobody waits for the P of a goroutine in a call. */
#define NOT_NEEDED (globq == 0 && !(mem[GCWAITING] && !stopped))

#ifdef WEAK
#define LOCKED3(p) (mem[LOCK] == 0 && ROOM(p, 3))
#else
#define LOCKED3(p) LOCKED(p)
#endif

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

inline cas_status(me, from, to, won)
{
	atomic {
		DRAINED(me) ->
		if
		:: mem[STATUS] == from -> mem[STATUS] = to; won = 1
		:: else -> won = 0
		fi
	}
}

/* rt_acquirep: the P is IDLE and the caller's. */
inline acquirep(me)
{
	atomic {
		assert(LD(me, STATUS) == IDLE && LD(me, PM) == 0);
		assert(owner == NONE && !stopped);
		owner = me
	}
	store(me, PM, 1 + me, 1);
	store(me, STATUS, RUNNING, 1)
}

/* What the runtime does with the P that it holds. */
inline use(me)
{
	atomic {
		assert(owner == me && !stopped);
		assert(LD(me, PM) == 1 + me && LD(me, STATUS) == RUNNING);
		assert(LD(me, DATA) == data)
	}
	atomic { ROOM(me, 1) -> data++; push(me, DATA, data, 0) }
}

/* The P is IDLE, on no list, and the caller's: rt_handoffp, rt_startm. */
inline handoff(me)
{
	if
	:: atomic { LOCKED3(me) && midle != 0 && DRAINED(me) -> /* for work, or to look for it */
		w = LOWEST(midle); midle = midle & ~BIT(w); note[w] = 1; w = 0 }
	:: atomic { LOCKED3(me) && (globq == 0 || midle == 0) ->
		if
#ifndef NO_LOOK_HANDOFF
		:: LD(me, GCWAITING) -> put(me, STATUS, GCSTOP); stopwait--
		:: else -> put(me, STATUS, IDLE); pidle = 1
#else
		:: put(me, STATUS, IDLE); pidle = 1
#endif
		fi;
		unlock(me)
	}
	fi
}

/* rt_wakep, when work is on the queue. */
inline wakep(me)
{
	atomic {
		LOCKED(me) && DRAINED(me) ->
		if
		:: globq > 0 && pidle && midle != 0 ->
			w = LOWEST(midle); midle = midle & ~BIT(w); pidle = 0; note[w] = 1; w = 0
		:: else
		fi
	}
}

proctype M(byte me; byte g)
{
	byte w = 0;
	bit won = 0, seen = 0;

	if
	:: g == 0 -> goto asleep
	:: else
	fi;
user:
	/* g: 1 + the calls that it has still to make. */
	use(me);
computing:
	if
	:: skip -> LD(me, PREEMPT) || !(mem[GCWAITING] && !stopped); goto leave /* it goes on */
	:: g == 1 -> atomic { finished++; g = 0 } goto schedule
	:: g > 1 -> g--
	fi;
	/* gort_entersyscall: anybody_waits. */
	if
	:: LD(me, GCWAITING) || LD(me, PREEMPT) || globq > 0 ->
		owner = NONE;
		store(me, PM, 0, 0);
		store(me, STATUS, IDLE, 0);
		handoff(me);
		won = 0;
		if
		:: skip
		:: skip -> NOT_NEEDED
		fi;
		goto returned
	:: !LD(me, GCWAITING) /* and the rest is empty, or was read too early to see it */
	fi;
	owner = NONE;
#if defined EARLY_STATUS
	store(me, STATUS, SYSCALL, 1);
	store(me, PM, 0, 0);
#elif defined RELAXED_STATUS
	store(me, PM, 0, 0);
	store(me, STATUS, SYSCALL, 0);
#else
	store(me, PM, 0, 0);
	store(me, STATUS, SYSCALL, 1);
#endif
#ifndef NO_FENCE
	FENCE(me);
#endif
#ifndef NO_LOOK
	if
	:: LD(me, GCWAITING) ->
		/* rt_syscall_gcstop */
		lock(me);
		if
#ifdef STALE_STOP
		:: 1 ->
#else
		:: LD(me, GCWAITING) ->
#endif
#ifdef NO_CAS_STOP
			won = 1;
			store(me, STATUS, GCSTOP, 0);
#else
			cas_status(me, SYSCALL, GCSTOP, won);
#endif
			if
			:: won -> assert(stopwait > 0); stopwait--
			:: else
			fi;
			won = 0
		:: else
		fi;
		unlock_after(me)
	:: else
	fi;
#endif
	/* The call. */
	if
	:: skip
	:: skip -> NOT_NEEDED
	fi;
	/* take_old */
#ifdef NO_CAS
	if
	:: LD(me, STATUS) == SYSCALL -> won = 1; store(me, STATUS, IDLE, 0)
	:: else -> won = 0
	fi;
#else
	cas_status(me, SYSCALL, IDLE, won);
#endif
	if
	:: won -> won = 0; acquirep(me); goto back
	:: else
	fi;
returned:
	/* take_idle */
	atomic {
		LOCKED3(me) ->
		if
		:: !LD(me, GCWAITING) && pidle ->
			pidle = 0;
			assert(LD(me, STATUS) == IDLE && LD(me, PM) == 0 && owner == NONE && !stopped);
			owner = me;
			put(me, PM, 1 + me);
			put(me, STATUS, RUNNING);
			won = 1
		:: else -> won = 0
		fi;
		unlock(me)
	}
	if
	:: won -> won = 0; goto back
	:: else
	fi;
	/* exitsyscall0 */
	atomic { LOCKED(me) -> calls[globq] = g; globq++; g = 0; unlock(me) }
	wakep(me);
	goto stopm;
back:
	use(me);
leave:
	/* rt_leave, rt_preempt_point */
	if
	:: LD(me, PREEMPT) ->
		store(me, PREEMPT, 0, 0);
#ifndef NO_FENCE_POINT
		FENCE(me);
#endif
		if
		:: LD(me, GCWAITING) ->
			atomic { LOCKED(me) -> calls[globq] = g; globq++; g = 0; unlock(me) }
			goto schedule
		:: else
		fi
	:: else
	fi;
	goto computing;
schedule:
	/* On g0, with the P. */
	if
	:: LD(me, PREEMPT) ->
		store(me, PREEMPT, 0, 0);
#ifndef NO_FENCE_CLEAR
		FENCE(me);
#endif
	:: else
	fi;
	if
	:: LD(me, GCWAITING) ->
		/* rt_gcstopm */
		atomic {
			LOCKED3(me) ->
			if
			:: LD(me, GCWAITING) ->
				owner = NONE;
				put(me, PM, 0);
				put(me, STATUS, GCSTOP);
				stopwait--;
				seen = 1
			:: else
			fi;
			unlock(me)
		}
		if
		:: seen -> seen = 0; goto stopm
		:: else -> goto schedule
		fi
	:: else
	fi;
	atomic {
		LOCKED3(me) ->
		if
		:: globq > 0 -> globq--; g = calls[globq]; calls[globq] = 0
		:: globq == 0 && LD(me, GCWAITING) -> seen = 1
		:: globq == 0 && !LD(me, GCWAITING) -> owner = NONE; put(me, PM, 0); put(me, STATUS, IDLE); pidle = 1
		fi;
		unlock(me)
	}
	if
	:: seen -> seen = 0; goto schedule
	:: !seen && g != 0 -> goto user
	:: !seen && g == 0
	fi;
stopm:
	atomic {
		LOCKED(me) && DRAINED(me) ->
		if
		:: globq > 0 && pidle && !LD(me, GCWAITING) -> pidle = 0; note[me] = 1
		:: else -> midle = midle | BIT(me)
		fi
	}
asleep:
	if
	:: atomic { note[me] -> note[me] = 0 }
		acquirep(me);
		goto schedule
	:: finished == ALL && stops == 0 -> goto done
	fi;
done:
	skip
}

proctype sysmon()
{
	byte w = 0;
	byte asks = ASKS;
	bit won = 0;

	do
	:: asks > 0 -> asks--; store(SYSMON, PREEMPT, 1, 1) /* end_turn; that the turn ends is left out */
	:: LD(SYSMON, STATUS) == SYSCALL ->
#ifdef BLIND_RETAKE
		store(SYSMON, STATUS, IDLE, 0);
		won = 1;
#else
		cas_status(SYSMON, SYSCALL, IDLE, won);
#endif
		if
		:: won -> won = 0; handoff(SYSMON)
		:: else
		fi
	:: mem[GCWAITING] && !stopped -> /* it sleeps */
		!mem[GCWAITING] || stopped
	:: finished == ALL && stops == 0 -> break
	od
}

#ifdef STOP
proctype stopper()
{
	byte w = 0;
	bit won = 0;

	do
	:: stops > 0 ->
		lock(STOPPER);
		stopwait = 1;
		atomic { DRAINED(STOPPER) -> mem[GCWAITING] = 1 }
		FENCE(STOPPER);
		store(STOPPER, PREEMPT, 1, 0);
		if
		:: pidle -> pidle = 0; store(STOPPER, STATUS, GCSTOP, 0); stopwait--
		:: else
		fi;
		cas_status(STOPPER, SYSCALL, GCSTOP, won);
		if
		:: won -> stopwait--; won = 0
		:: else
		fi;
		unlock_after(STOPPER);
		/* The note is set by the last one, under the lock: who sees it sees what that one wrote. */
		atomic { stopwait == 0 && mem[LOCK] == 0 && DRAINED(STOPPER) -> stopped = 1 }
		/* The world is stopped. */
		atomic {
			assert(LD(STOPPER, STATUS) == GCSTOP && LD(STOPPER, PM) == 0);
			assert(LD(STOPPER, DATA) == data);
			assert(owner == NONE)
		}
		/* rt_start_world */
		lock(STOPPER);
		stopped = 0;
		atomic { DRAINED(STOPPER) -> mem[GCWAITING] = 0 }
		assert(LD(STOPPER, STATUS) == GCSTOP && LD(STOPPER, PM) == 0);
		store(STOPPER, PREEMPT, 0, 0);
		store(STOPPER, STATUS, IDLE, 0);
		pidle = 1;
		unlock_after(STOPPER);
		wakep(STOPPER);
		stops--
	:: stops == 0 -> break
	od
}
#endif

init
{
	atomic {
		mem[STATUS] = RUNNING;
		mem[PM] = 1;
		globq = 1;
		calls[0] = 1 + CALLS;
		midle = BIT(1);
		run M(0, 1 + CALLS);
		run M(1, 0);
		run sysmon();
#ifdef STOP
		run stopper()
#endif
	}
}
