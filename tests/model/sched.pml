/* sched.pml: what the models of the scheduler share: idle Ps, sleeping Ms, rt_startm, rt_wakep.
 * Included after NP, NM, NPIDLE, NMSPINNING and what memory.pml wants are defined. */
#include "memory.pml"

#define NONE 255
#define BIT(i) (1 << (i))
/* The lowest element of a set. */
#define LOWEST(s) \
	(((s) & 1) -> 0 : (((s) & 2) -> 1 : (((s) & 4) -> 2 : (((s) & 8) -> 3 : (((s) & 16) -> 4 : 5)))))

/* guarded by the lock */
byte pidle;        /* a set of Ps */
byte midle;        /* a set of Ms */

byte note[NM];     /* 1 + the P handed over with the wake-up */
bit notespin[NM];

inline pidle_get_locked(me, to)
{
	if
	:: pidle != 0 -> to = LOWEST(pidle); pidle = pidle & ~BIT(to); put(me, NPIDLE, LD(me, NPIDLE) - 1)
	:: else -> to = NONE
	fi
}

inline pidle_put_locked(me, p)
{
	pidle = pidle | BIT(p);
	put(me, NPIDLE, LD(me, NPIDLE) + 1)
}

inline spinning_begin(me)
{
	atomic { DRAINED(me) -> mem[NMSPINNING]++; spinning = 1 }
}

inline spinning_end(me)
{
	atomic { DRAINED(me) -> assert(mem[NMSPINNING] > 0); mem[NMSPINNING]--; spinning = 0 }
}

/* rt_startm: here there is always an M to wake; the models have enough of them. Or who wakes waits until one sleeps
 * (ENOUGH), as for a thread that is only made. */
#ifndef ENOUGH
#define ENOUGH 1
#endif
inline startm(me, q)
{
	atomic {
		DRAINED(me) && mem[LOCK] == 0 && ENOUGH ->
		w = LOWEST(midle);
		assert(w < NM);
		midle = midle & ~BIT(w);
		notespin[w] = 1;
		note[w] = 1 + q;
		w = 0
	}
}

inline wakep(me)
{
#ifndef NO_FENCE_SUBMIT
	FENCE(me);
#endif
	do
	:: LD(me, NPIDLE) == 0 -> break
	:: LD(me, NMSPINNING) != 0 -> break /* either load may come first */
	:: LD(me, NPIDLE) != 0 ->
		if
		:: atomic { DRAINED(me) && mem[NMSPINNING] == 0 -> mem[NMSPINNING] = 1 }
		:: atomic { DRAINED(me) && mem[NMSPINNING] != 0 -> break }
		fi;
		atomic { LOCKED(me) -> pidle_get_locked(me, q); unlock(me) }
		if
		:: q != NONE -> startm(me, q); q = 0; break
		:: else -> q = 0
		fi;
		atomic { DRAINED(me) -> assert(mem[NMSPINNING] > 0); mem[NMSPINNING]-- }
#ifdef NO_LOOP
		break
#endif
	od
}
