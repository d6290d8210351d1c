/* parkready.pml: nobody sleeps while there is work and an idle P. Models rt_wakep, go_idle,
 * take_idle_p, schedule (proc.c), rt_startm, rt_stopm (m.c), exitsyscall (syscall.c).
 *
 * Ms run goroutines with Ps. The first goroutine publishes others and then keeps its P until they
 * have run (a busy loop, say), so that only somebody who is woken can run them: a lost wake-up is
 * an end state with processes that wait, which Spin reports. Scenarios:
 *
 *   -DCASCADE   3 Ps, 3 Ms, all goroutines must be running at the same time. The first publishes
 *               two, through runnext and the ring.
 *   -DIDLING    2 Ps. The first goroutine publishes two (ring, then runnext) while M1, with the other P, finds
 *               nothing and goes idle.
 *   -DCONTEND   2 Ps. At the same time the first goroutine publishes one, a thread without a P
 *               publishes one on the global queue, and a third comes back from a system call.
 *
 * A local queue is runnext and a ring of one slot: what the ring itself does is runq.pml's matter.
 * The empty test is one read of each. Whether an M that found nothing spins is left open: the C's condition
 * is one way to choose. A pass over the other Ps is made once.
 *
 * Mutants: NO_FENCE_SUBMIT, NO_FENCE_IDLE, NO_RECHECK, NO_SPIN_RECHECK (only Ms that spun re-check, as
 * in Go, whose submitters look at nmspinning first), RECHECK_FIRST (the re-check before the P is on the list),
 * EARLY_RECHECK (before nmspinning falls: what a missing fence after that RMW allows), NO_LOOP, NO_CASCADE.
 */
#ifdef CASCADE
#define NP 3
#define NM 5
#define NG 3
#define NPROC 5
#elif defined IDLING
#define NP 2
#define NM 4
#define NG 3
#define NPROC 4
#else
#define NP 2
#define NM 5
#define NG 4
#define NPROC 6
#endif
#define NEXT(q) (1 + 2 * (q))
#define RING(q) (2 + 2 * (q))
#define RUNQSIZE (1 + 2 * NP)
#define NPIDLE (2 + 2 * NP)
#define NMSPINNING (3 + 2 * NP)
#define NLOC (4 + 2 * NP)
#include "sched.pml"

#define GMAIN 1

byte globq;        /* a set of goroutines as bits; guarded by the lock */
byte ran;          /* a set of goroutines */
#define ALL ((1 << (NG + 1)) - 2)

/* Under the lock the size is the number of elements; readers without the lock see the location. */
inline globq_get_locked(me, to)
{
	if
	:: globq != 0 -> to = LOWEST(globq); globq = globq & ~BIT(to); put(me, RUNQSIZE, LD(me, RUNQSIZE) - 1)
	:: else -> to = 0
	fi
}

/* Takes what is in a runnext (by an acquiring CAS) or in a ring slot (by a releasing one, which
 * drains), if it is still there. */
#define take_next(me, q, to) take(me, NEXT(q), to, OWN_GONE(me, NEXT(q)))
#define take_ring(me, q, to) take(me, RING(q), to, DRAINED(me))
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

/* rt_runq_put: next */
inline put_next(me, gp)
{
	atomic { DRAINED(me) -> q = mem[NEXT(p)]; mem[NEXT(p)] = gp }
	if
	:: q != 0 -> assert(LD(me, RING(p)) == 0); store(me, RING(p), q, 1); q = 0
	:: else
	fi
}

inline put_global(me, gp)
{
	atomic { LOCKED(me) -> globq = globq | BIT(gp); put(me, RUNQSIZE, LD(me, RUNQSIZE) + 1); unlock(me) }
}

inline anywork(me, to)
{
	to = 0;
	if
	:: LD(me, RUNQSIZE) != 0 -> to = 1
	:: else ->
		r = 0;
		do
		:: r < NP && LD(me, RING(r)) == 0 && LD(me, NEXT(r)) == 0 -> r++
		:: r < NP && (LD(me, RING(r)) != 0 || LD(me, NEXT(r)) != 0) -> to = 1; break
		:: r == NP -> break
		od;
		r = 0
	fi
}

inline main(me)
{
#ifdef CASCADE
	put_next(me, 2);
	wakep(me);
	put_next(me, 3); /* 2 goes to the ring */
	wakep(me)
#elif defined IDLING
	store(me, RING(p), 2, 1); /* rt_runq_put without next */
	wakep(me);
	put_next(me, 3);
	wakep(me)
#else
	if
	:: store(me, RING(p), 2, 1)
	:: put_next(me, 2)
	fi;
	wakep(me)
#endif
}

/* p: the P it holds. g: what it runs. */
proctype M(byte me; byte p; byte g)
{
	byte q = 0, r = 0, w = 0;
	bit spinning = 0, found = 0;

	if
	:: p == NONE && g != 0 -> goto exitsyscall
	:: p == NONE && g == 0 -> goto asleep
	:: p != NONE && g != 0 -> goto execute
	:: else
	fi;
search:
	take_next(me, p, g);
	if
	:: g != 0 -> goto got
	:: else
	fi;
	take_ring(me, p, g);
	if
	:: g != 0 -> goto got
	:: else
	fi;
	if
	:: LD(me, RUNQSIZE) != 0 ->
		atomic { LOCKED(me) -> globq_get_locked(me, g); unlock(me) }
		if
		:: g != 0 -> goto got
		:: else
		fi
	:: else
	fi;
	if
	:: !spinning -> /* others spin already */
		goto go_idle
	:: !spinning -> spinning_begin(me)
	:: spinning
	fi;
	r = 0;
	do
	:: r == NP -> r = 0; break
	:: r == p -> r++
	:: r != p && r < NP ->
		take_ring(me, r, g);
		if
		:: g != 0 -> r = 0; goto got
		:: else
		fi;
		take_next(me, r, g);
		if
		:: g != 0 -> r = 0; goto got
		:: else -> r++
		fi
	od;
go_idle:
#ifdef RECHECK_FIRST
	FENCE(me);
	anywork(me, found);
#endif
	atomic {
		LOCKED(me) ->
		globq_get_locked(me, g);
		if
		:: g == 0 ->
			pidle_put_locked(me, p);
			p = NONE
		:: else
		fi;
		unlock(me)
	}
	if
	:: g != 0 -> goto got
	:: else
	fi;
#ifdef EARLY_RECHECK
	FENCE(me);
	anywork(me, found);
#endif
#ifdef NO_SPIN_RECHECK
	if
	:: !spinning -> goto stopm
	:: else
	fi;
#endif
	if
	:: spinning -> spinning_end(me)
	:: else
	fi;
#ifndef NO_FENCE_IDLE
	FENCE(me);
#endif
#if !defined RECHECK_FIRST && !defined EARLY_RECHECK && !defined NO_RECHECK
	anywork(me, found);
#endif
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
stopm:
	atomic { LOCKED(me) -> midle = midle | BIT(me); unlock(me) }
asleep:
	if
	:: atomic { note[me] != 0 -> p = note[me] - 1; spinning = notespin[me]; note[me] = 0; notespin[me] = 0 }
		goto search
	:: ran == ALL -> goto done
	fi;
got:
	if
	:: spinning ->
		atomic {
			DRAINED(me) ->
			assert(mem[NMSPINNING] > 0);
			mem[NMSPINNING]--;
			spinning = 0;
			q = (mem[NMSPINNING] == 0)
		}
#ifndef NO_CASCADE
		if
		:: q -> q = 0; wakep(me)
		:: else
		fi;
#endif
		q = 0
	:: else
	fi;
execute:
	atomic { assert(!(ran & BIT(g))); ran = ran | BIT(g) }
	if
	:: g == GMAIN -> main(me); ran == ALL; goto done
	:: else
	fi;
#ifdef CASCADE
	ran == ALL;
#endif
	g = 0;
	goto search;
exitsyscall:
	atomic { LOCKED(me) -> pidle_get_locked(me, p); unlock(me) }
	if
	:: p != NONE -> goto execute
	:: else
	fi;
	put_global(me, g);
	g = 0;
	wakep(me);
	goto stopm;
done:
	skip
}

#ifdef CONTEND
proctype submitter(byte me)
{
	byte q = 0, w = 0;

	put_global(me, 3);
	wakep(me)
}
#endif

init
{
	atomic {
#ifdef CASCADE
		pidle = 6; mem[NPIDLE] = 2;
		midle = 30;
		run M(0, 0, GMAIN);
		run M(1, NONE, 0);
		run M(2, NONE, 0);
		run M(3, NONE, 0);
		run M(4, NONE, 0)
#elif defined IDLING
		midle = 12;
		run M(0, 0, GMAIN);
		run M(1, 1, 0);
		run M(2, NONE, 0);
		run M(3, NONE, 0)
#else
		pidle = 2; mem[NPIDLE] = 1;
		midle = 28;
		run M(0, 0, GMAIN);
		run M(1, NONE, 4); /* in a system call */
		run M(2, NONE, 0);
		run M(3, NONE, 0);
		run M(4, NONE, 0);
		run submitter(5)
#endif
	}
}
