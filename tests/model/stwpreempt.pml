/* stwpreempt.pml: the world stops while goroutines are stopped in place, go on, lose their P to sysmon and come back.
 * Models rt_stop_world, rt_start_world, rt_gcstopm, count_taken_locked (stw.c), decide, stop and what it calls,
 * rt_stand_start, rt_stand_assign_locked, rt_stand_resume, rt_stand_take_locked, take_back, rt_kick_all (preempt.c),
 * end_turn, look_taken, start_standing (sysmon.c), rt_preempt_point (park.c), and the request of
 * backends/preempt/signal.c.
 *
 * Each goroutine calls the runtime CALLS times and ends; in between it computes, if it likes until the world has stopped.
 * Who has lost its P to sysmon goes on computing without. A thread without a P stops and starts the world.
 *
 *   -DTURN  one P, two goroutines; sysmon ends a turn
 *   -DTAKE  one P, two goroutines; sysmon takes the P from who is in user code
 *   -DTWO   two Ps, two goroutines, a third M; sysmon does nothing
 *   -DDROP  TAKE, and the run ends for a goroutine without a P, as for the host's
 *   -DBACK  with one of these: the stopper may back out once, at any moment, and tries again
 *   -DONCE  one goroutine; sysmon asks for the end of its turn; the stopper asks once only, and that is enough
 *
 * Claims: the stop comes to an end though goroutines compute (an end state), each part is counted once; in the stopped
 * world no P is anybody's to use and no goroutine runs, not even one without a P; the stopper sees what
 * goroutines wrote by plain stores (`data`), and they see what it wrote; a goroutine runs on one M; a turn that
 * is ended is the one that was meant; nobody who stands is forgotten: all end (an end state).
 *
 * taken and locks against sysmon is takep.pml's matter, system calls syscall.pml's, how sleeping Ms are found
 * parkready.pml's: one step here. The lock orders what it guards. Not modelled: decide on the thread of who
 * asks (suspend.c), the rest of the end of a run, spare threads that are to be made.
 *
 * Mutants: NO_COUNT (who has no P is not waited for), TAKE_LATE (sysmon takes a P while the world stops), NO_KICK_TAKEN (the
 * stopper asks only those with a P), NO_UNCOUNT (who comes to stand does not tell the stopper), NO_UNCOUNT_DROPPED
 * (nor does who is dropped), NO_NAME (a request ends any turn), LOCKS_LATE (locks falls after the thread was let go),
 * KICK_ONCE (of several), NO_FORGET (who backs out leaves marks), BLIND_START (or takes all for stopped), LEAVE_EARLY (rt_leave looks at the flag before locks is 0), PENDING_LATE (the
 * handler takes the request when it has decided).
 */
#ifdef DROP
#define TAKE
#define DROPS 1
#else
#define DROPS 0
#endif
#ifdef ONCE
#define TURN
#define KICK_ONCE
#define NG 1
#define NM 1
#else
#define NG 2
#ifdef TWO
#define NM 3
#else
#define NM 2
#endif
#endif
#ifdef TWO
#define NP 2
#else
#define NP 1
#endif
#ifdef TURN
#define TURNS 1
#else
#define TURNS 0
#endif
#ifdef BACK
#define BACKS 1
#else
#define BACKS 0
#endif
#ifdef TAKE
#define TAKES 1
#else
#define TAKES 0
#endif

#ifndef CALLS
#define CALLS 1
#endif

#define NPROC (NM + 2)
#define SYSMON NM
#define STOPPER (NM + 1)
#define GCWAITING 1
#define PREEMPT(p) (2 + (p))
#define DATA(g) (2 + NP + (g))
#define NLOC (2 + NP + NG)
#include "memory.pml"

#define BIT(i) (1 << (i))
#define LOWEST(s) (((s) & 1) -> 0 : (((s) & 2) -> 1 : 2))
#define NONE 255
#define IDLE 0
#define RUNNING 1
#define GCSTOP 2
#define STOPPED 1
#define ENTERING 2
#define SPARE 1
#define STOOD 2
#define WAKEP 3
#define LAND 4

/* guarded by the lock, or the owner's */
byte pstatus[NP], pm[NP];  /* pm: 1 + its M */
byte tick[NP], want[NP];   /* schedtick, wanttick */
byte pidle, midle;         /* sets */
byte globq;                /* a set of goroutines that are on no M */
byte stands;               /* a set of Ms */
byte how[NM];              /* standing */
bit counted[NM];
byte stopwait;

byte mp[NM];               /* 1 + the P of M */
byte curg[NM];             /* 1 + its goroutine */
bit locks[NM], taken[NM];
bit dropped[NM];           /* its goroutine */
byte note[NM];             /* woken with this P: 1 + nextp */
bit resumed[NM];
bit pending[NM], sent[NM]; /* a request; the signal */

/* the claims' */
byte left[NG];             /* calls */
byte runs[NG];             /* 1 + the M that it is on */
byte data[NG], finished;
byte meant[NP];            /* whose turn sysmon wanted to end */
bit inuser[NM];
bit stopped;
byte stops = 1;

#define NOT_NEEDED !(mem[GCWAITING] && !stopped)
#define OVER (finished == NG && stops == 0)

#ifdef WEAK
#define HELD(me, k) (mem[LOCK] == 0 && ROOM(me, k))
#else
#define HELD(me, k) LOCKED(me)
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

inline one_stopped()
{
	assert(stopwait > 0);
	stopwait--
}

inline kick(m)
{
	atomic {
		if
		:: !pending[m] -> pending[m] = 1; sent[m] = 1
		:: else
		fi
	}
}

/* Under the lock: P p, which is IDLE and the caller's, to the first M that stands: w. */
inline assign(me, p)
{
	w = LOWEST(stands);
	stands = stands & ~BIT(w);
	assert(pstatus[p] == IDLE && pm[p] == 0 && mp[w] == 0 && !stopped);
	mp[w] = 1 + p;
	pm[p] = 1 + w;
	pstatus[p] = RUNNING;
	tick[p]++;
	/* 0, a fence, and 1 if the world stops */
	put(me, PREEMPT(p), LD(me, GCWAITING))
}

/* rt_stand_resume */
inline resume(me)
{
#ifndef LOCKS_LATE
	if
	:: how[w] == STOPPED -> locks[w] = 0
	:: else
	fi;
#endif
	atomic {
		DRAINED(me) ->
		resumed[w] = 1;
#ifndef LOCKS_LATE
		how[w] = 0; w = 0
#endif
	}
#ifdef LOCKS_LATE
	atomic {
		if
		:: how[w] == STOPPED -> locks[w] = 0
		:: else
		fi;
		how[w] = 0; w = 0
	}
#endif
}

inline stand_locked(me, why)
{
	assert(!(stands & BIT(me)) && mp[me] == 0);
	how[me] = why;
	taken[me] = 0;
	stands = stands | BIT(me);
#ifndef NO_UNCOUNT
	if
	:: counted[me] -> counted[me] = 0; one_stopped()
	:: else
	fi
#endif
}

/* rt_wakep */
inline wakep(me)
{
	atomic {
		DRAINED(me) && mem[LOCK] == 0 ->
		if
		:: pidle != 0 && midle != 0 && (globq != 0 || stands != 0) ->
			w = LOWEST(midle); midle = midle & ~BIT(w);
			note[w] = 1 + LOWEST(pidle); pidle = pidle & ~BIT(LOWEST(pidle)); w = 0
		:: else
		fi
	}
}

/* rt_handoffp: P p is IDLE and the caller's. */
inline handoff(me, p)
{
	if
	:: atomic { DRAINED(me) && mem[LOCK] == 0 && midle != 0 ->
		w = LOWEST(midle); midle = midle & ~BIT(w); note[w] = 1 + p; w = 0 }
	:: atomic { HELD(me, 2) && stands != 0 && midle == 0 -> assign(me, p); unlock(me) }
		resume(me)
	:: atomic { HELD(me, 2) && stands == 0 && midle == 0 ->
		if
		:: LD(me, GCWAITING) -> pstatus[p] = GCSTOP; one_stopped()
		:: else -> pidle = pidle | BIT(p)
		fi;
		unlock(me) }
	fi
}

proctype M(byte me)
{
	bit forstop = 0;
	byte w = 0, p = 0, g = 0, after = 0;
	bit hold = 0, look = 0, flag = 0, stays = 0, seen = 0;

	if
	:: curg[me] == 0 -> goto asleep
	:: else
	fi;
user:
	/* From the start, and after each call. */
	atomic {
		ROOM(me, 1) ->
		assert((!stopped || dropped[me]) && !inuser[me] && runs[curg[me] - 1] == 1 + me);
		inuser[me] = 1;
		g = curg[me] - 1;
		assert(LD(me, DATA(g)) == data[g]);
		data[g]++;
		push(me, DATA(g), data[g], 0);
		g = 0
	}
computes:
	if
	:: skip
	:: hold = 1
	fi;
goes_on:
	if
	:: sent[me] -> inuser[me] = 0; goto handler
	:: look -> inuser[me] = 0; goto looks
	:: !look && (!hold || NOT_NEEDED) -> hold = 0; inuser[me] = 0
	fi;
	/* rt_enter */
	locks[me] = 1;
	if
	:: taken[me] ->
		atomic {
			HELD(me, 1) ->
			if
#ifdef DROP
			:: taken[me] && dropped[me] -> taken[me] = 0
#endif
			:: taken[me] && !dropped[me] -> stand_locked(me, ENTERING); seen = 1
			:: else
			fi;
			unlock(me)
		}
		if
#ifdef DROP
		:: dropped[me] -> goto landed
#endif
		:: seen -> seen = 0; wakep(me); atomic { resumed[me] -> resumed[me] = 0 }
		:: else
		fi
	:: else
	fi;
	atomic {
		p = mp[me] - 1;
		assert(mp[me] != 0 && pm[p] == 1 + me && pstatus[p] == RUNNING && !stopped);
		p = 0
	}
	if
	:: left[curg[me] - 1] == 0 ->
		atomic { finished++; runs[curg[me] - 1] = 0; curg[me] = 0 }
		goto schedule
	:: else -> left[curg[me] - 1]--
	fi;
	/* rt_leave */
#ifdef LEAVE_EARLY
	flag = LD(me, PREEMPT(mp[me] - 1));
#endif
	if
	:: sent[me] -> sent[me] = 0; pending[me] = 0 /* declined */
	:: skip
	fi;
	locks[me] = 0;
	look = 1;
	goto user;
looks:
	/* It may have no P: then the one that it had. Left out: it is looked at when it has one. */
#ifndef LEAVE_EARLY
	atomic {
		if
		:: mp[me] != 0 -> flag = LD(me, PREEMPT(mp[me] - 1))
		:: else -> flag = 0
		fi
	}
#endif
	look = 0;
	if
	:: !flag || taken[me] -> flag = 0; assert(!stopped || dropped[me]); inuser[me] = 1; goto computes
	:: else -> flag = 0
	fi;
	/* rt_preempt_point; RT_ENTER first */
	locks[me] = 1;
	if
	:: taken[me] -> locks[me] = 0; inuser[me] = 1; goto computes /* as a call: above */
	:: else
	fi;
	store(me, PREEMPT(mp[me] - 1), 0, 0);
	FENCE(me);
	p = mp[me] - 1;
	if
	:: atomic { LD(me, GCWAITING) || want[p] == tick[p] -> forstop = LD(me, GCWAITING) }
		atomic {
			HELD(me, 1) ->
			/* The stopper may have backed out since. */
			assert(forstop || LD(me, GCWAITING) || meant[p] == curg[me]);
			forstop = 0;
			g = curg[me] - 1; globq = globq | BIT(g); runs[g] = 0; curg[me] = 0; g = 0; p = 0;
			unlock(me)
		}
		goto schedule
	:: else -> p = 0; locks[me] = 0; inuser[me] = 1; goto computes
	fi;
handler:
	/* locks is 0. */
	sent[me] = 0;
#ifndef PENDING_LATE
	pending[me] = 0;
#endif
	locks[me] = 1;
	atomic {
		HELD(me, 2) ->
		seen = LD(me, GCWAITING);
		p = (mp[me] != 0 -> mp[me] - 1 : 0);
		if
#ifdef DROP
		:: taken[me] && dropped[me] -> taken[me] = 0; after = LAND
		:: taken[me] && dropped[me] /* in foreign code */
#endif
		:: taken[me] && !dropped[me] -> stand_locked(me, STOPPED); stays = 1; after = WAKEP
		:: !taken[me] && seen -> /* stop_for_world_locked */
			assert(pstatus[p] == RUNNING && pm[p] == 1 + me);
			pstatus[p] = GCSTOP; how[me] = STOPPED; one_stopped(); stays = 1
#ifdef NO_NAME
		:: !taken[me] && !seen && LD(me, PREEMPT(p)) && (midle != 0 || stands != 0) ->
#else
		:: !taken[me] && !seen && LD(me, PREEMPT(p)) && want[p] == tick[p] && (midle != 0 || stands != 0) ->
#endif
			/* give_up_locked */
			assert(meant[p] == curg[me]);
			assert(pstatus[p] == RUNNING && pm[p] == 1 + me);
			mp[me] = 0; pm[p] = 0; pstatus[p] = IDLE;
			stays = 1;
			if
			:: midle != 0 -> w = LOWEST(midle); midle = midle & ~BIT(w); after = SPARE
			:: midle == 0 -> assign(me, p); after = STOOD
			fi;
			stand_locked(me, STOPPED)
		:: else
		fi;
		seen = 0;
		if
		:: after == SPARE
		:: else -> p = 0
		fi;
		unlock(me)
	}
	if
	:: after == SPARE -> atomic { DRAINED(me) -> note[w] = 1 + p; w = 0; p = 0 }
	:: after == STOOD -> resume(me)
	:: after == WAKEP -> wakep(me)
#ifdef DROP
	:: after == LAND -> after = 0; goto landed
#endif
	:: after == 0 && !stays -> locks[me] = 0
	:: after == 0 && stays
	fi;
	after = 0;
	if
	:: stays -> stays = 0; atomic { resumed[me] -> resumed[me] = 0; assert(LD(me, DATA(curg[me] - 1)) == data[curg[me] - 1]) }
	:: else
	fi;
#ifdef PENDING_LATE
	pending[me] = 0;
#endif
	assert(!stopped || dropped[me]);
	inuser[me] = 1;
	goto goes_on;
#ifdef DROP
landed:
	/* rt_landed0 */
	atomic { finished++; runs[curg[me] - 1] = 0; curg[me] = 0 }
	goto stopm;
#endif
schedule:
	/* On g0, with a P. */
	p = mp[me] - 1;
	if
	:: sent[me] -> sent[me] = 0; pending[me] = 0 /* declined */
	:: skip
	fi;
	if
	:: LD(me, PREEMPT(p)) -> store(me, PREEMPT(p), 0, 0); FENCE(me)
	:: else
	fi;
	if
	:: LD(me, GCWAITING) ->
		/* rt_gcstopm */
		atomic {
			HELD(me, 1) ->
			if
			:: LD(me, GCWAITING) -> mp[me] = 0; pm[p] = 0; pstatus[p] = GCSTOP; one_stopped(); seen = 1
			:: else
			fi;
			unlock(me)
		}
		if
		:: seen -> seen = 0; p = 0; goto stopm
		:: else -> goto schedule
		fi
	:: else
	fi;
	atomic {
		HELD(me, 1) ->
		if
		:: stands != 0 -> seen = 1
		:: globq != 0 -> g = LOWEST(globq); globq = globq & ~BIT(g); curg[me] = 1 + g; g = 0
		:: stands == 0 && globq == 0 && !LD(me, GCWAITING) ->
			mp[me] = 0; pm[p] = 0; pstatus[p] = IDLE; pidle = pidle | BIT(p)
		:: stands == 0 && globq == 0 && LD(me, GCWAITING)
		fi;
		unlock(me)
	}
	if
	:: seen ->
		/* rt_stand_start. In C it is off the queue by now; here somebody else may have been quicker. */
		seen = 0;
		atomic { mp[me] = 0; pm[p] = 0; pstatus[p] = IDLE }
		if
		:: atomic { HELD(me, 2) && stands != 0 -> assign(me, p); unlock(me) }
			p = 0;
			resume(me);
			goto stopm
		:: stands == 0 -> atomic { mp[me] = 1 + p; pm[p] = 1 + me; pstatus[p] = RUNNING }
			goto schedule
		fi
	:: !seen && curg[me] != 0 ->
		atomic {
			assert(runs[curg[me] - 1] == 0);
			runs[curg[me] - 1] = 1 + me;
			tick[p]++;
			p = 0
		}
		locks[me] = 0;
		look = 1; /* rt_goroutine_entry, or the end of the call that it was in */
		goto user
	:: !seen && curg[me] == 0 && mp[me] != 0 -> goto schedule
	:: !seen && curg[me] == 0 && mp[me] == 0 -> p = 0
	fi;
stopm:
	atomic {
		DRAINED(me) && mem[LOCK] == 0 ->
		if
		:: pidle != 0 && (globq != 0 || stands != 0) && !LD(me, GCWAITING) ->
			note[me] = 1 + LOWEST(pidle); pidle = pidle & ~BIT(LOWEST(pidle))
		:: else -> midle = midle | BIT(me)
		fi
	}
asleep:
	if
	:: sent[me] -> sent[me] = 0; pending[me] = 0; goto asleep
	:: note[me] != 0 ->
		atomic {
			p = note[me] - 1;
			note[me] = 0;
			assert(pstatus[p] == IDLE && pm[p] == 0 && !stopped);
			mp[me] = 1 + p; pm[p] = 1 + me; pstatus[p] = RUNNING;
			p = 0
		}
		goto schedule
	:: OVER
	fi
}

proctype sysmon()
{
	byte w = 0, p = 0, m = 0, seen = 0, turns = TURNS, takes = TAKES, drops = DROPS;

	do
#ifdef TURN
	:: turns > 0 && pstatus[0] == RUNNING && pm[0] != 0 ->
		turns--;
		/* look_running; that the P changes hands while it looks is left out */
		atomic { seen = tick[0]; meant[0] = (pm[0] != 0 -> curg[pm[0] - 1] : 0) }
		/* end_turn */
		atomic {
			if
			:: meant[0] != 0 -> want[0] = seen
			:: else
			fi;
			seen = 0
		}
		store(SYSMON, PREEMPT(0), 1, 1);
		m = pm[0];
		if
		:: m != 0 -> kick(m - 1)
		:: else
		fi;
		m = 0
#endif
#ifdef TAKE
	:: atomic {
		HELD(SYSMON, 1) && takes > 0 && pstatus[0] == RUNNING && pm[0] != 0 && !locks[pm[0] - 1] &&
#ifndef TAKE_LATE
		!LD(SYSMON, GCWAITING) &&
#endif
		DRAINED(pm[0] - 1) ->
		takes--;
		m = pm[0] - 1;
		taken[m] = 1;
		mp[m] = 0; pm[0] = 0; pstatus[0] = IDLE;
		m = 0;
		unlock(SYSMON) }
		handoff(SYSMON, 0)
#endif
	/* look_taken */
	:: taken[0] && !pending[0] -> kick(0)
#if NM > 1
	:: taken[1] && !pending[1] -> kick(1)
#endif
#ifdef DROP
	/* rt_host_free_locked, by whoever ends the run */
	:: atomic { HELD(SYSMON, 1) && drops > 0 && taken[0] && curg[0] == 1 ->
		drops--;
		dropped[0] = 1;
#ifndef NO_UNCOUNT_DROPPED
		if
		:: counted[0] -> counted[0] = 0; one_stopped()
		:: else
		fi;
#endif
		unlock(SYSMON) }
#endif
	:: mem[GCWAITING] && !stopped -> /* it sleeps */
		!mem[GCWAITING] || stopped
	/* start_standing */
	:: atomic { HELD(SYSMON, 2) && pidle != 0 && stands != 0 && !LD(SYSMON, GCWAITING) ->
		p = LOWEST(pidle); pidle = pidle & ~BIT(p); assign(SYSMON, p); p = 0; unlock(SYSMON) }
		resume(SYSMON)
	:: OVER -> break
	od
}

inline stop_p(p)
{
	if
	:: pidle & BIT(p) -> pidle = pidle & ~BIT(p); pstatus[p] = GCSTOP; one_stopped()
	:: else
	fi
}

inline count_taken(m)
{
#ifndef NO_COUNT
	if
	:: taken[m] && !dropped[m] -> counted[m] = 1; stopwait++
	:: else
	fi
#else
	skip
#endif
}

/* Is there something to be kicked at m? */
#define RUNS(m) (mp[m] != 0 && pm[mp[m] - 1] == 1 + (m) && pstatus[mp[m] - 1] == RUNNING)
#ifdef NO_KICK_TAKEN
#define KICKED(m) RUNS(m)
#else
#define KICKED(m) (RUNS(m) || taken[m])
#endif
#ifdef KICK_ONCE
#define AGAIN(m) (!(asked & BIT(m)))
#else
#define AGAIN(m) 1
#endif

#ifdef BLIND_START
#define MAY_START(p) 1
#else
#define MAY_START(p) (pstatus[p] == GCSTOP)
#endif

inline start_p(p)
{
	if
#ifndef BLIND_START
	:: pstatus[p] != GCSTOP -> skip
#endif
	:: MAY_START(p) && pm[p] != 0 -> pstatus[p] = RUNNING; on = on | BIT(pm[p] - 1)
	:: else -> pstatus[p] = IDLE; pidle = pidle | BIT(p)
	fi
}

inline look_at(g)
{
	atomic {
		ROOM(STOPPER, 1) ->
		assert(LD(STOPPER, DATA(g)) == data[g]);
		data[g]++;
		push(STOPPER, DATA(g), data[g], 0)
	}
}

proctype stopper()
{
	byte w = 0, on = 0, asked = 0;
	bit backs = BACKS, again = 0;

anew:
	lock(STOPPER);
	atomic { DRAINED(STOPPER) -> mem[GCWAITING] = 1; stopwait = NP }
	store(STOPPER, PREEMPT(0), 1, 0);
#if NP > 1
	store(STOPPER, PREEMPT(1), 1, 0);
#endif
	atomic {
		stop_p(0);
#if NP > 1
		stop_p(1);
#endif
		count_taken(0);
#if NM > 1
		count_taken(1);
#endif
#if NM > 2
		count_taken(2)
#endif
	}
	unlock_after(STOPPER);
	do
	/* The note is set by the last one, under the lock: who sees it sees what that one wrote. */
	:: atomic { stopwait == 0 && mem[LOCK] == 0 && DRAINED(STOPPER) -> stopped = 1 }
		break
#ifdef BACK
	:: atomic { stopwait > 0 && backs > 0 && DRAINED(STOPPER) -> backs = 0; again = 1; asked = 0 }
		goto go_on
#endif
	:: stopwait > 0 && DRAINED(STOPPER) && AGAIN(0) && KICKED(0) && !pending[0] -> asked = asked | BIT(0); kick(0)
#ifdef ONCE
	/* A request is on its way: that is enough. */
	:: stopwait > 0 && DRAINED(STOPPER) && AGAIN(0) && KICKED(0) && pending[0] -> asked = asked | BIT(0)
#endif
#if NM > 1
	:: stopwait > 0 && DRAINED(STOPPER) && AGAIN(1) && KICKED(1) && !pending[1] -> asked = asked | BIT(1); kick(1)
#endif
#if NM > 2
	:: stopwait > 0 && DRAINED(STOPPER) && AGAIN(2) && KICKED(2) && !pending[2] -> asked = asked | BIT(2); kick(2)
#endif
	od;
	atomic {
		asked = 0;
		assert((!inuser[0] || dropped[0]) && pstatus[0] == GCSTOP);
#if NM > 1
		assert(!inuser[1]);
#endif
#if NM > 2
		assert(!inuser[2]);
#endif
#if NP > 1
		assert(pstatus[1] == GCSTOP)
#endif
	}
#ifndef DROP
	look_at(0);
#endif
#if NG > 1
	look_at(1);
#endif
	/* rt_start_world */
go_on:
	lock(STOPPER);
	atomic {
		DRAINED(STOPPER) -> stopped = 0; mem[GCWAITING] = 0; stopwait = 0;
#ifndef NO_FORGET
		counted[0] = 0;
#if NM > 1
		counted[1] = 0;
#endif
#if NM > 2
		counted[2] = 0
#endif
#endif
	}
	store(STOPPER, PREEMPT(0), 0, 0);
#if NP > 1
	store(STOPPER, PREEMPT(1), 0, 0);
#endif
	atomic {
		start_p(0);
#if NP > 1
		start_p(1)
#endif
	}
	unlock_after(STOPPER);
	do
	:: on != 0 -> w = LOWEST(on); on = on & ~BIT(w); resume(STOPPER)
	:: else -> break
	od;
	wakep(STOPPER);
#ifdef BACK
	if
	:: again -> again = 0; goto anew
	:: else
	fi;
#endif
	stops = 0
}

init
{
	atomic {
		want[0] = NONE;
		mp[0] = 1; pm[0] = 1; pstatus[0] = RUNNING;
		curg[0] = 1; runs[0] = 1; left[0] = CALLS;
#if NG > 1
		left[1] = CALLS;
#ifdef TWO
		want[1] = NONE;
		mp[1] = 2; pm[1] = 2; pstatus[1] = RUNNING;
		curg[1] = 2; runs[1] = 2;
		locks[2] = 1;
		midle = BIT(2);
#else
		globq = BIT(1);
		locks[1] = 1;
		midle = BIT(1);
#endif
#endif
		run M(0);
#if NM > 1
		run M(1);
#endif
#if NM > 2
		run M(2);
#endif
		run sysmon();
		run stopper()
	}
}
