/* waitgroup.pml: a wait group and who waits for it. Models core/sync/waitgroup.c: add_long, release_sole, release_circle,
 * commit_sole, wait_in_circle and count_waiter, with commit_circle and the end of a timed wait of core/sched/wait.c.
 *
 * The group counts DONES and lies in the frames of WAITERS goroutines together: it is gone when all have returned.
 * Those from TIMED on may give up at any moment.
 *
 *   -DFORK     one done, one waiter, which counts up and waits again, twice
 *   -DTWO      two dones, two waiters, none of them timed
 *   -DMIXED    two dones, three waiters, one of them timed
 *
 * Claimed: a wait without a deadline ends, and with the counter at 0 (an end state in which one waits is an error);
 * nobody but its goroutine makes one runnable twice; no done touches the group or a waiter whose frame is gone.
 *
 * The word changes by compare-and-swap alone, the rest under the lock, so memory is not at issue. Left out: the end
 * of a run, which unlinks with the world stopped; who counts up while somebody waits (then a done's step to 0 may be
 * won though the word has changed twice since its look; it is the last done all the same, and who is named waits).
 *
 * Mutants: BLIND_ZERO and BLIND_OTHERS (commit_sole looks at the one half of the word only), LINK_FIRST (who turns sole
 * into a circle hangs up the waiter before it steps the word), NO_LOCK (a circle is released without its lock),
 * WAKE_FIRST (the last done wakes the sole waiter and then steps the word).
 */
#ifdef FORK
#define DONES 1
#define WAITERS 1
#define TIMED 1
#define WAITS 3
#endif
#ifdef TWO
#define DONES 2
#define WAITERS 2
#define TIMED 2
#define WAITS 1
#endif
#ifdef MIXED
#define DONES 2
#define WAITERS 3
#define TIMED 2
#define WAITS 1
#endif

#define SOLE 8
#define BIT(i) (1 << (i))

byte counter = DONES, low;   /* the word; low: a number, or SOLE + who */
byte circle;                 /* guarded by lock */
bit lock;
byte returned;               /* waiters that have, for good */
byte owed = DONES;           /* dones that have not begun */

/* of a waiter */
bit open[WAITERS];           /* a timed one: it may be claimed */
bit parked[WAITERS], ready[WAITERS], success[WAITERS], alive[WAITERS];

#define HERE assert(returned < WAITERS)

inline take_lock()
{
	atomic { !lock -> lock = 1 }
}

/* rt_goready */
inline wake(i)
{
	assert(parked[i] && !ready[i]);
	ready[i] = 1
}

inline cas(c, l)
{
	ok = (counter == oc && low == ol);
	if
	:: ok -> counter = c; low = l
	:: else
	fi
}

inline look()
{
	oc = counter;
	ol = low
}

/* A look that a compare-and-swap goes by: others step between the two. */
proctype done()
{
	byte oc, ol, all, i;
	bit ok;

end: /* nothing more to do */
	atomic { owed > 0 -> owed-- }
retry:
	atomic { HERE; look() }
	if
	:: oc > 1 || ol == 0 ->
		atomic { HERE; cas(oc - 1, ol) }
	:: oc == 1 && ol >= SOLE ->
#ifdef WAKE_FIRST
		atomic { i = ol - SOLE; assert(alive[i]); success[i] = 1; wake(i); i = 0 }
		atomic { HERE; cas(0, 0) }
#else
		atomic { HERE; cas(0, 0) }
		if
		:: ok -> atomic { i = ol - SOLE; assert(alive[i]); success[i] = 1; wake(i); i = 0 }
		:: else
		fi
#endif
	:: oc == 1 && ol > 0 && ol < SOLE ->
#ifndef NO_LOCK
		take_lock();
#endif
		atomic { HERE; all = circle; circle = 0 }
		atomic { HERE; cas(0, 0) }
		if
		:: !ok -> atomic { HERE; circle = all; lock = 0; all = 0 }
		:: else ->
			do
			:: i < WAITERS ->
				atomic {
					if
					:: all & BIT(i) ->
						assert(alive[i]);
						if
						:: i < TIMED || open[i] -> open[i] = 0; success[i] = 1
						:: else -> all = all & ~BIT(i) /* it has given up */
						fi
					:: else
					fi;
					i++
				}
			:: else -> break
			od;
			atomic { lock = 0; i = 0 }
			do
			:: i < WAITERS ->
				atomic {
					if
					:: all & BIT(i) -> wake(i)
					:: else
					fi;
					i++
				}
			:: else -> break
			od;
			atomic { i = 0; all = 0 }
		fi
	fi;
	atomic {
		oc = 0; ol = 0
	}
	if
	:: ok -> ok = 0
	:: else -> goto retry
	fi;
	goto end
}

proctype waiter(byte me)
{
	byte oc, ol, waits;
	bit ok;

next:
	atomic { alive[me] = 1; success[me] = 0; ready[me] = 0; look() }
	if
	:: oc == 0 -> goto back
	:: oc != 0 && (ol != 0 || me >= TIMED) -> goto in_circle
	:: oc != 0 && ol == 0 && me < TIMED
	fi;
	parked[me] = 1;
commit_sole:
	atomic { look() }
	if
#ifdef BLIND_ZERO
	:: ol != 0 -> parked[me] = 0; goto in_circle
	:: ol == 0 ->
#else
#ifdef BLIND_OTHERS
	:: oc == 0 -> parked[me] = 0; goto in_circle
	:: oc != 0 ->
#else
	:: oc == 0 || ol != 0 -> parked[me] = 0; goto in_circle
	:: oc != 0 && ol == 0 ->
#endif
#endif
		atomic { cas(oc, SOLE + me) }
		if
		:: !ok -> goto commit_sole
		:: ok
		fi
	fi;
	atomic { ready[me] -> parked[me] = 0; assert(success[me]) }
	goto back;

in_circle:
	take_lock();
count:
	atomic { look() }
	if
	:: oc == 0 -> lock = 0; goto back
	:: else
	fi;
#ifdef LINK_FIRST
	atomic {
		if
		:: ol >= SOLE -> assert(alive[ol - SOLE]); circle = circle | BIT(ol - SOLE)
		:: else
		fi
	}
#endif
	atomic {
		if
		:: ol >= SOLE -> cas(oc, 2)
		:: else -> cas(oc, ol + 1)
		fi
	}
	if
	:: !ok -> goto count
	:: ok && ol >= SOLE -> atomic { assert(alive[ol - SOLE]); circle = circle | BIT(ol - SOLE) }
	:: ok && ol < SOLE
	fi;
	atomic { circle = circle | BIT(me); parked[me] = 1 }
	atomic { open[me] = (me >= TIMED); lock = 0 }
	if
	:: atomic { ready[me] -> parked[me] = 0 }
	:: atomic { open[me] -> open[me] = 0; parked[me] = 0 } /* its timer's claim */
	fi;
	if
	:: success[me] -> goto back
	:: else
	fi;
	assert(me >= TIMED);
	take_lock();
	if
	:: circle & BIT(me) ->
		circle = circle & ~BIT(me);
		do
		:: atomic { look() }
			if
			:: ol == 0 -> break
			:: else
			fi;
			atomic { cas(oc, ol - 1) }
			if
			:: ok -> break
			:: else
			fi
		od
	:: else -> success[me] = 1
	fi;
	lock = 0;
	goto gone;
back:
	/* nobody counted up meanwhile but this goroutine itself */
	assert(counter == 0);
gone:
	atomic { alive[me] = 0; oc = 0; ol = 0; ok = 0; waits++ }
	if
	:: waits < WAITS -> atomic { counter++; owed++ }
		goto next
	:: else -> returned++
	fi
}

init
{
	byte i;

	atomic {
		for (i : 0 .. WAITERS - 1) {
			run waiter(i)
		}
		run done();
#ifndef FORK
		run done()
#endif
	}
}
