/* runq.pml: a P's ring and runnext: every goroutine is taken exactly once, and the empty test does
 * not overlook one. Models runq.c.
 *
 *   -DTHIEVES  rings of 2, three Ps: P0 puts 3 (next or not, as it likes) and gets in between, two
 *              others steal, also from runnext.
 *   -DBATCH    rings of 4, two Ps: P0 puts 6, overflows into the global queue, P1 steals in batches and
 *              P0 steals back.
 *   -DEMPTY    an observer asks rt_runq_empty while a goroutine that was queued before moves from
 *              runnext to the ring.
 *
 * Indices run freely modulo 8 and start at 6, so that they wrap. The global queue is a set. Mutants:
 * TAIL_RELAXED, HEAD_STORE (the owner moves head by a store), NEXT_STORE (it empties runnext by a
 * store), COPY_LATE (a thief moves head before it copies), FULL_BY_ONE (one more than the ring holds),
 * NO_REREAD (of tail in the empty test).
 */
#ifdef BATCH
#define NP 2
#define STEALS 2
#define SIZE 4
#define NG 6
#elif defined THIEVES
#define NP 3
#define STEALS 1
#define SIZE 2
#define NG 3
#else
#define NP 2
#define SIZE 2
#define NG 2
#endif
#define NPROC NP
#define ROW (3 + SIZE)
#define HEAD(q) (1 + ROW * (q))
#define TAIL(q) (2 + ROW * (q))
#define NEXT(q) (3 + ROW * (q))
#define SLOT(q, i) (4 + ROW * (q) + (i) % SIZE)
#define NLOC (1 + ROW * NP)
#include "memory.pml"

#define FIRST 6
#define WRAP(i) ((i) & 7)
#ifdef TAIL_RELAXED
#define RELEASE 0
#else
#define RELEASE 1
#endif
#ifdef FULL_BY_ONE
#define LIMIT (SIZE + 1)
#else
#define LIMIT SIZE
#endif
#define BIT(g) (1 << (g))
#define ALL ((1 << (NG + 1)) - 2)

byte ran;   /* a set of goroutines */
bit queued; /* EMPTY: goroutine 1 is in the queue, and the observer knows */

inline run_it(gp)
{
	atomic { assert(gp != 0 && !(ran & BIT(gp))); ran = ran | BIT(gp); gp = 0 }
}

inline cas(me, x, old, new, ok)
{
	atomic {
		DRAINED(me) ->
		if
		:: mem[x] == old -> mem[x] = new; ok = 1
		:: else -> ok = 0
		fi
	}
}

/* rt_runq_put of gp at the tail; put_slow moves half of the ring and gp to the global queue */
inline put_tail(me, gp)
{
	ok = 0;
	do
	:: ok -> break
	:: else ->
		h = LD(me, HEAD(me));
		t = LD(me, TAIL(me));
		if
		:: WRAP(t - h) < LIMIT ->
			store(me, SLOT(me, t), gp, 0);
			store(me, TAIL(me), WRAP(t + 1), RELEASE);
			ok = 1
		:: else ->
			k = BIT(LD(me, SLOT(me, h)));
#if SIZE > 2
			k = k | BIT(LD(me, SLOT(me, h + 1)));
#endif
			cas(me, HEAD(me), h, WRAP(h + SIZE / 2), ok);
			if
			:: ok -> atomic { assert(!(ran & k)); ran = ran | k; run_it(gp) }
			:: else
			fi;
			k = 0
		fi
	od;
	ok = 0; h = 0; t = 0; gp = 0
}

inline put_next(me, gp)
{
	atomic { DRAINED(me) -> t = mem[NEXT(me)]; mem[NEXT(me)] = gp; gp = t; t = 0 }
	if
	:: gp != 0 -> put_tail(me, gp)
	:: else
	fi
}

inline get(me, gp)
{
	gp = LD(me, NEXT(me));
	if
	:: gp != 0 ->
#ifdef NEXT_STORE
		store(me, NEXT(me), 0, 0); ok = 1;
#else
		atomic {
			OWN_GONE(me, NEXT(me)) ->
			if
			:: mem[NEXT(me)] == gp -> mem[NEXT(me)] = 0; ok = 1
			:: else -> gp = 0
			fi
		}
#endif
	:: else
	fi;
	do
	:: ok -> break
	:: else ->
		h = LD(me, HEAD(me));
		t = LD(me, TAIL(me));
		if
		:: h == t -> gp = 0; break
		:: else ->
			gp = LD(me, SLOT(me, h));
#ifdef HEAD_STORE
			store(me, HEAD(me), WRAP(h + 1), 1); ok = 1
#else
			cas(me, HEAD(me), h, WRAP(h + 1), ok)
#endif
		fi
	od;
	ok = 0; h = 0; t = 0
}

inline copy(me, v)
{
	gp = LD(me, SLOT(v, h));
	store(me, SLOT(me, own), gp, 0);
	if
	:: k == 2 ->
		gp = LD(me, SLOT(v, h + 1));
		store(me, SLOT(me, own + 1), gp, 0)
	:: else
	fi
}

inline steal(me, v, gp)
{
	own = LD(me, TAIL(me));
	assert(own == LD(me, HEAD(me)));
	do
	:: h = LD(me, HEAD(v));
		t = LD(me, TAIL(v));
		k = WRAP(t - h);
		k = k - k / 2;
		if
		:: k == 0 ->
			gp = LD(me, NEXT(v));
			if
			:: gp != 0 ->
				cas(me, NEXT(v), gp, 0, ok);
				if
				:: !ok -> gp = 0
				:: else
				fi
			:: else
			fi;
			break
		:: k > SIZE / 2 -> skip /* h is older than t */
		:: else ->
#ifdef COPY_LATE
			cas(me, HEAD(v), h, WRAP(h + k), ok);
			if
			:: ok -> copy(me, v)
			:: else
			fi;
#else
			copy(me, v);
			cas(me, HEAD(v), h, WRAP(h + k), ok);
#endif
			if
			:: ok ->
				gp = LD(me, SLOT(me, own + k - 1));
				if
				:: k > 1 -> store(me, TAIL(me), WRAP(own + k - 1), RELEASE)
				:: else
				fi;
				break
			:: else
			fi
		fi
	od;
	ok = 0; h = 0; t = 0; k = 0; own = 0
}

inline drain_own(me)
{
	do
	:: get(me, gp);
		if
		:: gp == 0 -> break
		:: else -> run_it(gp)
		fi
	od
}

#ifndef EMPTY
proctype owner(byte me)
{
	byte g = 1, gp = 0, h = 0, t = 0, k = 0, own = 0;
	bit ok = 0;

	do
	:: g <= NG ->
		gp = g;
		if
		:: put_next(me, gp)
		:: put_tail(me, gp)
		fi;
		g++
	:: g > 2 && g <= NG + 1 -> /* one may be run before the next is put */
		get(me, gp);
		if
		:: gp != 0 -> run_it(gp)
		:: else
		fi;
		if
		:: g <= NG ->
			gp = g;
			put_tail(me, gp);
			g++
		:: else -> break
		fi
	od;
	drain_own(me);
#ifdef BATCH
	steal(me, 1, gp);
	if
	:: gp != 0 -> run_it(gp)
	:: else
	fi;
	drain_own(me);
#endif
	ran == ALL
}

proctype thief(byte me)
{
	byte gp = 0, h = 0, t = 0, k = 0, own = 0, n = 0;
	bit ok = 0;

	do
	:: n == STEALS -> break
	:: n < STEALS ->
		n++;
		steal(me, 0, gp);
		if
		:: gp != 0 -> run_it(gp)
		:: else
		fi;
		drain_own(me)
	od;
	ran == ALL
}
#else
proctype owner(byte me)
{
	byte gp = 1, h = 0, t = 0, k = 0;
	bit ok = 0;

	put_next(me, gp);
	FENCE(me);
	queued = 1;
	gp = 2;
	put_next(me, gp); /* 1 goes to the ring */
	FENCE(me);
	get(me, gp);
	assert(gp == 2)
}

proctype observer(byte me)
{
	byte h = 0, t = 0, next = 0;

	queued;
	do
	:: h = LD(me, HEAD(0));
		t = LD(me, TAIL(0));
		next = LD(me, NEXT(0));
#ifdef NO_REREAD
		break
#else
		if
		:: t == LD(me, TAIL(0)) -> break
		:: else
		fi
#endif
	od;
	assert(h != t || next != 0)
}
#endif

init
{
	byte i;

	atomic {
		do
		:: i == NP -> break
		:: else -> mem[HEAD(i)] = FIRST; mem[TAIL(i)] = FIRST; i++
		od;
		i = 0;
		run owner(0);
#ifdef EMPTY
		run observer(1)
#else
		run thief(1);
#ifdef THIEVES
		run thief(2)
#endif
#endif
	}
}
