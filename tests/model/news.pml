/* news.pml: `default` without a lock. Models look and quiet of core/sync/select.c and the stores of chan.h that
 * they read: count, and news after whatever may let somebody go on.
 *
 * Two channels with room for one value. A value is moved between them, and always put into the one before it is taken
 * out of the other: in a program that receives from both one is ready at any time. Who looks at both at any moment, in
 * either order, must not find that none is. The locks of the channels order nothing that is claimed here and
 * are left out: who moves is alone.
 *
 *   -DONE    one goroutine moves the value, to and fro
 *   -DRELAY  two take turns, each after it has heard of the other's move
 *
 *   -DTRY    two send on a channel each, and then try to receive from the other's: one of them must be able to
 *            (rt_chan_quiet; here a channel has its lock)
 *
 * Mutants: NO_KEY (the lock is not looked at), KEY_LATE (after the channel), NO_FENCE (where the lock is no fence; WEAK:
 * its mutants are of TRY); NO_NEWS (nothing is counted), NEWS_FIRST (counted before it is visible), NEWS_RELAXED (the same by a
 * relaxed store), TAKE_RELAXED (what empties a channel is no release), LOOK_FIRST (the reader looks at a channel
 * before it reads its counter), NO_SECOND (it does not read the counters again).
 */
#define NPROC 2
#define COUNT(c) (c)
#define NEWS(c) (2 + (c))
#define TURN 5
#define KEY(c) (5 + (c))
#define NLOC 8
#include "memory.pml"

#define MOVES 4
#ifdef NEWS_RELAXED
#define NEWS_RELEASE 0
#else
#define NEWS_RELEASE 1
#endif
#ifdef TAKE_RELAXED
#define TAKE_RELEASE 0
#else
#define TAKE_RELEASE 1
#endif

inline tell(who, ch)
{
#ifndef NO_NEWS
	n = LD(who, NEWS(ch));
	store(who, NEWS(ch), n + 1, NEWS_RELEASE)
#else
	skip
#endif
}

inline fill(who, ch)
{
#ifdef NEWS_FIRST
	tell(who, ch);
	store(who, COUNT(ch), 1, 1)
#else
	store(who, COUNT(ch), 1, 1);
	tell(who, ch)
#endif
}

#ifdef TRY
byte blocked;

proctype Tries(byte me)
{
	bit would = 1;

#ifdef WEAK
	store(me, KEY(1 + me), 1, 0); /* what an acquiring swap writes may come late, too */
#else
	atomic { DRAINED(me) -> mem[KEY(1 + me)] = 1 }
#endif
	store(me, COUNT(1 + me), 1, 1);
	store(me, KEY(1 + me), 0, 1);
#if defined WEAK && !defined NO_FENCE
	FENCE(me); /* rt_fence_after_rmw */
#endif
#ifdef KEY_LATE
	would = would && LD(me, COUNT(2 - me)) == 0;
	would = would && LD(me, KEY(2 - me)) == 0;
#else
#ifndef NO_KEY
	would = would && LD(me, KEY(2 - me)) == 0;
#endif
	would = would && LD(me, COUNT(2 - me)) == 0;
#endif
	atomic {
		blocked = blocked + would;
		assert(blocked < 2)
	}
}
#endif

proctype Mover(byte me, first, step)
{
	byte k = first, n;

	do
	:: k < MOVES ->
#ifdef RELAY
		LD(me, TURN) == k; /* acquire */
#endif
		fill(me, 2 - k % 2);
		store(me, COUNT(1 + k % 2), 0, TAKE_RELEASE);
#ifdef RELAY
		store(me, TURN, k + 1, 1);
#endif
		k = k + step
	:: else -> break
	od
}

/* The buffers of others are not visible here, and it stores nothing. */
inline look_at(ch)
{
#ifdef LOOK_FIRST
	none = none && mem[COUNT(ch)] == 0;
	sum = sum + mem[NEWS(ch)]
#else
	sum = sum + mem[NEWS(ch)];
	none = none && mem[COUNT(ch)] == 0
#endif
}

proctype Select()
{
	byte sum, c;
	bit none = 1;

	if
	:: c = 1
	:: c = 2
	fi;
	look_at(c);
	look_at(3 - c);
#ifndef NO_SECOND
	sum = sum - mem[NEWS(1)];
	sum = sum - mem[NEWS(2)];
#else
	sum = 0;
#endif
	assert(!(none && sum == 0))
}

init {
	atomic {
#ifdef TRY
		run Tries(0);
		run Tries(1)
#else
		mem[COUNT(1)] = 1;
		run Select();
#endif
#ifdef TRY
#elif defined RELAY
		run Mover(0, 0, 2);
		run Mover(1, 1, 2)
#else
		run Mover(0, 0, 1)
#endif
	}
}
