/* dead.pml: all are asleep, or only seem to be. Models rt_checkdead_locked (run.c), rt_stopm, rt_stophost,
 * rt_handoffp, rt_startm, instead_locked, not_made, next_wish, worker (m.c), go_idle, without_p, rt_wakep,
 * rt_m_born_spinning (proc.c), rt_gcstopm, ask, start, started (stw.c).
 *
 * One P, one goroutine, main. It starts on the host's M, which runs nothing else; main yields YIELDS times at most,
 * then ends or blocks for ever. A thread that is no M stops and starts the world STOPS times; the system refuses
 * REFUSALS threads at most, whichever the maker asks for.
 *
 * Claims: a deadlock is only found when main blocks, and then it is (an end state); else main comes to its end (an end
 * state, too).
 *
 * What counts is guarded by sched.lock, so a step under it is one step here, and memory is not at issue. Left out:
 * timers, the poller, goroutines that stand, sysmon.
 *
 * Mutants: NO_STARTING (who starts the world from outside counts as asleep), NO_LOOK (it does not look when it is
 * done), NO_RETRY (a refused thread is forgotten), NO_INSTEAD (the maker tries again if nobody sleeps, but gives the P
 * to nobody who does).
 */
#ifndef YIELDS
#define YIELDS 2
#endif
#ifndef STOPS
#define STOPS 2
#endif
#ifndef REFUSALS
#define REFUSALS 2
#endif

#define NM 6              /* the host's and what the maker may make */
#define BIT(i) (1 << (i))
#define LOWEST(s) (((s) & 1) -> 0 : (((s) & 2) -> 1 : (((s) & 4) -> 2 : (((s) & 8) -> 3 : (((s) & 16) -> 4 : 5)))))
#define NONE 255

/* the P: an M has it, somebody who looks for an M, the idle list, the stopper */
mtype = { HELD, IN_HAND, IDLE, GCSTOP };
mtype pp = HELD;

bit queued;               /* main waits on the P */
bit blocks, ends;         /* main does for ever; it has ended */
bit claimed;              /* a deadlock was found */
#define OVER (claimed || ends)

bit gcwaiting, starting;
byte stopwait, nmspinning;
byte mcount = 1, midle, locked, nmake, nmakespinning, nmaking;
bit note[NM], born[NM], bornspins[NM];
byte yields = YIELDS, refusals = REFUSALS;

#define ASLEEP(n) (mcount == n + locked)
#define ONE(s, i) (((s) >> (i)) & 1)
#define COUNT(s) (ONE(s, 0) + ONE(s, 1) + ONE(s, 2) + ONE(s, 3) + ONE(s, 4) + ONE(s, 5))

#ifdef NO_STARTING
#define STARTING 0
#else
#define STARTING starting
#endif

/* Under the lock, as all that follow but wakep. The global queue is empty here. */
inline checkdead()
{
	if
	:: ASLEEP(COUNT(midle)) && nmake + nmaking == 0 && !gcwaiting && !STARTING && !OVER ->
		assert(blocks); claimed = 1
	:: else
	fi
}

inline one_stopped()
{
	assert(stopwait > 0);
	stopwait--
}

inline ask_maker(spins)
{
	if
	:: !spins || nmake == nmakespinning -> nmake++
	:: else
	fi;
	nmakespinning = nmakespinning + spins
}

/* An idle M gets the P. */
inline wake_one()
{
	pp = HELD;
	w = LOWEST(midle);
	midle = midle & ~BIT(w);
	note[w] = 1;
	w = 0
}

/* The P is IN_HAND, and the caller's. */
inline startm(spins)
{
	atomic {
		assert(pp == IN_HAND);
		if
		:: midle != 0 -> wake_one(); nmspinning = nmspinning - spins
		:: midle == 0 && gcwaiting -> pp = GCSTOP; one_stopped(); nmspinning = nmspinning - spins
		:: midle == 0 && !gcwaiting -> pp = IDLE;
			if
			:: spins || nmake + nmaking < 1 -> ask_maker(spins)
			:: else
			fi
		fi
	}
}

/* Who is woken to search stops being counted at once: it has the only P. */
inline wakep()
{
	atomic {
		if
		:: pp == IDLE && nmspinning == 0 -> nmspinning = 1; pp = IN_HAND; seen = 1
		:: else
		fi
	}
	if
	:: seen -> seen = 0; startm(1)
	:: else
	fi
}

proctype M(byte me)
{
	bit seen = 0;
	byte w = 0;

	if
	:: me == 0 -> goto runs
	:: else
	fi;
	/* worker */
	if
	:: born[me]
	:: OVER -> goto end
	fi;
	atomic { nmaking--; seen = bornspins[me] }
	if
	:: seen ->
		seen = 0;
		atomic {
			nmspinning--;
			if
			:: pp == IDLE && !gcwaiting -> pp = HELD; seen = 1
			:: else
			fi
		}
	:: else
	fi;
	if
	:: seen -> seen = 0; goto schedule
	:: else
	fi;
without_p:
	if
	:: atomic { queued && pp == IDLE && !gcwaiting -> pp = HELD }
		goto schedule
	:: else
	fi;
stopm:
	atomic { midle = midle | BIT(me); checkdead() }
	if
	:: note[me] -> note[me] = 0
	:: OVER -> goto end
	fi;
schedule:
	if
	:: OVER -> goto end
	:: !OVER && gcwaiting ->
		/* rt_gcstopm */
		atomic {
			if
			:: gcwaiting -> pp = GCSTOP; one_stopped(); seen = 1
			:: else
			fi
		}
		if
		:: seen -> seen = 0; goto stopm
		:: else -> goto schedule
		fi
	:: !OVER && !gcwaiting && queued -> queued = 0; goto runs
	:: !OVER && !gcwaiting && !queued ->
		/* go_idle */
		atomic {
			if
			:: !gcwaiting -> pp = IDLE; seen = 1
			:: else
			fi
		}
		if
		:: seen -> seen = 0; goto without_p
		:: else -> goto schedule
		fi
	fi;
runs:
	if
	:: yields > 0 -> yields--; queued = 1
	:: ends = 1; goto end
	:: blocks = 1
	fi;
	if
	:: me != 0 -> goto schedule
	:: else
	fi;
	/* rt_stophost: rt_handoffp, and it waits for the end of the run */
	pp = IN_HAND;
	if
	:: queued -> startm(0)
	:: else ->
		atomic {
			if
			:: nmspinning == 0 -> nmspinning = 1; seen = 1
			:: else
			fi
		}
		if
		:: seen -> seen = 0; startm(1)
		:: else ->
			atomic {
				if
				:: gcwaiting -> pp = GCSTOP; one_stopped()
				:: else -> pp = IDLE
				fi
			}
		fi
	fi;
	atomic { locked = 1; checkdead() }
	OVER;
end:
	skip
}

proctype maker()
{
	byte next = 1, w = 0;
	bit spins = 0;

	do
	:: atomic {
		nmake > 0 ->
		nmake--;
		nmaking++;
		spins = (nmakespinning > 0);
		nmakespinning = nmakespinning - spins }
		if
		:: refusals > 0 ->
			refusals--;
			nmspinning = nmspinning - spins;
			/* not_made */
			atomic {
				nmaking--;
#ifndef NO_RETRY
				if
				:: nmake == 0 && pp == IDLE && queued ->
					if
#ifdef NO_INSTEAD
					:: midle != 0
#else
					:: midle != 0 -> wake_one()
#endif
					:: midle == 0 -> nmspinning++; ask_maker(1)
					fi
				:: else
				fi;
#endif
				spins = 0;
				checkdead()
			}
		:: atomic { next < NM -> mcount++; bornspins[next] = spins; born[next] = 1; next++; spins = 0 }
		:: OVER -> break
		fi
	:: OVER -> break
	od
}

proctype stopper()
{
	byte stops = STOPS, w = 0;
	bit seen = 0, hand = 0;

	do
	:: stops > 0 && !OVER ->
		stops--;
		/* ask */
		atomic {
			gcwaiting = 1;
			stopwait = 1;
			if
			:: pp == IDLE -> pp = GCSTOP; one_stopped()
			:: else
			fi
		}
		if
		:: stopwait == 0
		:: OVER -> break
		fi;
		/* start */
		atomic {
			assert(pp == GCSTOP);
			gcwaiting = 0;
			starting = 1;
			if
			:: queued -> pp = IN_HAND; hand = 1
			:: else -> pp = IDLE
			fi
		}
		if
		:: hand -> hand = 0; startm(0)
		:: else
		fi;
		wakep();
		/* started */
		atomic {
			starting = 0;
#ifndef NO_LOOK
			checkdead()
#endif
		}
	:: else -> break
	od
}

init
{
	atomic {
		run M(0);
		run M(1);
		run M(2);
		run M(3);
		run M(4);
		run M(5);
		run maker();
		run stopper()
	}
}
