/* kept.pml: a P keeps its runnext, and what it keeps is run all the same. Models rt_goready, goyield0 (park.c),
 * rt_runq_kept, rt_runq_calls, rt_runq_end_slice, steal_next and what rt_runq_steal does to `keeps` (runq.c), go_idle,
 * schedule, rt_wakep (proc.c), look_kept (sysmon.c).
 *
 * The owner has P 0. It readies goroutines into its runnext, now and then switches to what is there, and then computes
 * for ever, so that only somebody who comes can run the rest. Thieves come, nap, and note that the P keeps its runnext
 * or take it; they go idle, and somebody wakes them, or nobody. Whether the P is known to keep it in the beginning is
 * left open. A lost wake-up is an end state with processes that wait, which Spin reports. Scenarios:
 *
 *   -DIDLING  2 Ps. The owner readies three; what is stolen ends soon. The thief goes idle meanwhile.
 *   -DTAKEN   3 Ps. The owner readies two; what is stolen computes for ever, too: the thief that found the first
 *             has somebody come for the second, which the owner left to its runnext.
 *   -DYIELD   2 Ps. The owner readies one. It yields to that behind its ring, as who hands over a mutex does, and
 *             that one computes. Or the end of the slice puts it into the P's part, and the owner goes on, as who
 *             is about to park and need not.
 *
 * Sysmon looks LOOKS times at any moment, and again whenever nothing else moves; not for ever, so that looks that come
 * to nothing are an end state, too.
 *
 * The ring is one slot, the part is the same one, and only the owner's P has them: others take one at a time. The
 * owner's switch that finds nothing goes on as if it had not parked. Left out: the owner's P changes hands (who gets it
 * looks through it), the global queue, timers.
 *
 * Mutants: NO_SYSMON (nobody looks after what is kept), NO_CASCADE (who found work wakes nobody), IGNORES_RING
 * (the owner does not announce what came to its ring), CLEAR_LATE (the note is taken away after nmspinning fell),
 * NO_FENCE_SUBMIT (what was kicked to the ring is still in the owner's buffer when it looks at npidle), KEPT_EARLY (the
 * note is read before runnext is filled: what a missing fence after that RMW allows), YIELD_UNTOLD (nobody is told of
 * who yields to the ring; who was readied before was not announced, either), SLICE_UNTOLD (nobody is told of what goes
 * from runnext to the part).
 */
#ifdef TAKEN
#define NP 3
#define NM 4
#define NG 2
#else
#define NP 2
#define NM 3
#ifdef YIELD
#define NG 1
#else
#define NG 3
#endif
#endif
/* of the owner, and of sysmon */
#ifndef SWITCHES_MAX
#define SWITCHES_MAX 2
#endif
#ifndef LOOKS
#define LOOKS 1
#endif
#define NPROC (NM + 1)
#define NEXT 1
#define RING 2
#define KEEPS 3
#define SWITCHES 4
#define NPIDLE 5
#define NMSPINNING 6
#define NLOC 7
#define ENOUGH (midle != 0)
#include "sched.pml"

#define GMAIN (NG + 1)

byte readied, ran; /* sets of goroutines */
bit computes;      /* the owner, for ever */
#define OVER (computes && ran == readied)

/* Takes what is there, if it is still there: by an acquiring CAS from runnext, by one that drains from the ring. */
#define take_next(me, to) take(me, NEXT, to, OWN_GONE(me, NEXT))
#define take_ring(me, to) take(me, RING, to, DRAINED(me))
inline take(me, x, to, ready)
{
	to = LD(me, x);
	if
	:: to != 0 ->
		atomic {
			ready ->
			if
			:: mem[x] == to -> mem[x] = 0
			:: else -> to = 0
			fi
		}
	:: else
	fi
}

inline runs(gp)
{
	atomic { assert(!(ran & BIT(gp))); ran = ran | BIT(gp) }
}

/* rt_goready. The fence in wakep counts for what was kicked: the exchange has drained the rest. */
inline goready(me, gp)
{
#ifdef KEPT_EARLY
	do
	:: atomic { DRAINED(me) -> q = mem[NEXT]; kept = mem[KEEPS] }
		if
		:: atomic { mem[NEXT] == q -> mem[NEXT] = gp; readied = readied | BIT(gp) }; break
		:: mem[NEXT] != q
		fi
	od;
#else
	atomic { DRAINED(me) -> q = mem[NEXT]; mem[NEXT] = gp; readied = readied | BIT(gp) }
#endif
	if
	:: q != 0 -> assert(LD(me, RING) == 0); store(me, RING, q, 1); q = 0
	:: else
	fi;
#ifndef KEPT_EARLY
	kept = LD(me, KEEPS);
#endif
#ifndef IGNORES_RING
	if
	:: kept -> kept = (LD(me, RING) == 0)
	:: else
	fi;
#endif
	if
	:: !kept -> wakep(me)
	:: else -> kept = 0
	fi
}

inline switches(me)
{
	take_next(me, g);
	if
	:: g == 0 -> take_ring(me, g)
	:: else
	fi;
	if
	:: g != 0 -> q = LD(me, SWITCHES) + 1; store(me, SWITCHES, q, 0); q = 0; runs(g); g = 0
	:: else
	fi
}

proctype Owner(byte me)
{
	byte next = 1, left = SWITCHES_MAX, g = 0, q = 0, w = 0;
	bit kept = 0;

	do
	:: next <= NG && (LD(me, RING) == 0 || LD(me, NEXT) == 0) -> goready(me, next); next++
#ifdef YIELD
	:: next > NG && left > 0 && LD(me, RING) == 0 ->
		/* rt_runq_end_slice */
		left = 0;
		take_next(me, g);
		if
		:: g != 0 ->
			atomic { DRAINED(me) -> mem[RING] = g; g = 0 }
#ifndef SLICE_UNTOLD
			wakep(me)
#endif
		:: else
		fi
	:: next > NG && left > 0 && LD(me, RING) == 0 ->
		left = 0;
		/* goyield0 */
		atomic { ROOM(me, 1) -> push(me, RING, GMAIN, 1); readied = readied | BIT(GMAIN) }
#ifndef YIELD_UNTOLD
		wakep(me);
#endif
		switches(me)
#else
	:: left > 0 && LD(me, NEXT) != 0 -> left--; switches(me)
#endif
	:: next > NG -> break
	od;
	left = 0; next = 0;
	computes = 1;
	OVER
}

/* rt_runq_calls */
inline calls(me)
{
	g = LD(me, RING);
	if
	:: LD(me, KEEPS) == 0 ->
		if
		:: g != 0 || LD(me, RING) != 0 -> found = 1
		:: else ->
			if
			:: LD(me, NEXT) != 0 -> found = 1
			:: else -> found = (LD(me, RING) != 0) /* nothing hid between */
			fi
		fi
	:: else -> found = (g != 0 && LD(me, RING) == g)
	fi;
	g = 0
}

#define UNKEEP(me) \
	if \
	:: LD(me, KEEPS) != 0 -> store(me, KEEPS, 0, 0) \
	:: else \
	fi

/* p: the P it holds. g: what it runs. */
proctype Thief(byte me; byte p)
{
	byte g = 0, q = 0, w = 0, seen = 0;
	bit spinning = 0, found = 0;

	if
	:: p == NONE -> goto asleep
	:: else
	fi;
search:
	if
	:: !spinning -> goto go_idle /* others spin already */
	:: !spinning -> spinning_begin(me)
	:: spinning
	fi;
	/* rt_runq_steal: it tries again until it has one, or there is none */
	atomic {
		DRAINED(me) ->
		if
		:: mem[RING] != 0 -> g = mem[RING]; mem[RING] = 0; goto got
		:: else
		fi;
		/* steal_next */
		seen = mem[SWITCHES]
	}
	atomic {
		g = LD(me, NEXT);
		if
		:: g == 0 -> seen = 0; goto go_idle
		:: else
		fi
	}
	atomic {
		if
		:: LD(me, SWITCHES) != seen -> seen = 0; g = 0
		:: else -> seen = 0
		fi
	}
	if
	:: g == 0 ->
		if
		:: LD(me, KEEPS) == 0 -> store(me, KEEPS, 1, 0)
		:: else
		fi;
		goto go_idle
	:: atomic { g != 0 && mem[NEXT] == g -> mem[NEXT] = 0 }; goto got
	:: atomic { g != 0 && mem[NEXT] != g -> g = 0 }
	fi;
go_idle:
	atomic { LOCKED(me) -> pidle_put_locked(me, p); p = NONE; unlock(me) }
	if
	:: spinning -> spinning_end(me)
	:: else
	fi;
	FENCE(me);
	calls(me);
	if
	:: found ->
		found = 0;
		atomic { LOCKED(me) -> pidle_get_locked(me, p); unlock(me) }
		if
		:: p != NONE -> spinning_begin(me); goto search
		:: else
		fi
	:: else
	fi;
	atomic { LOCKED(me) -> midle = midle | BIT(me); unlock(me) }
asleep:
	if
	:: atomic { note[me] != 0 -> p = note[me] - 1; spinning = notespin[me]; note[me] = 0; notespin[me] = 0 }
		goto search
	:: OVER -> goto done
	fi;
got:
#if !defined CLEAR_LATE && !defined NO_CLEAR
	UNKEEP(me);
#endif
	atomic {
		DRAINED(me) ->
		assert(mem[NMSPINNING] > 0);
		mem[NMSPINNING]--;
		spinning = 0;
		q = (mem[NMSPINNING] == 0)
	}
#ifdef CLEAR_LATE
	UNKEEP(me);
#endif
#ifndef NO_CASCADE
	if
	:: q -> q = 0; wakep(me)
	:: else
	fi;
#endif
	q = 0;
	runs(g);
	g = 0;
#ifdef TAKEN
	OVER;
	goto done;
#endif
	goto search;
done:
	skip
}

/* look_kept, look */
#define KEPT(me) (LD(me, KEEPS) != 0 && LD(me, NPIDLE) != 0 && LD(me, NEXT) != 0)
proctype Sysmon(byte me)
{
	byte looks = LOOKS, more = NG + 1, q = 0, w = 0;

#ifndef NO_SYSMON
	do
	:: OVER -> break
	:: looks > 0 && KEPT(me) -> looks--; wakep(me)
	:: timeout && more > 0 && KEPT(me) -> looks = 0; more--; wakep(me)
	od;
#endif
	skip
}

init
{
	atomic {
		if
		:: mem[KEEPS] = 0
		:: mem[KEEPS] = 1
		fi;
		run Owner(0);
		run Thief(1, 1);
#ifdef TAKEN
		run Thief(2, 2);
		run Thief(3, NONE);
		midle = 8;
#else
		run Thief(2, NONE);
		midle = 4;
#endif
		run Sysmon(NM)
	}
}
