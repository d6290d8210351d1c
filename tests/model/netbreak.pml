/* netbreak.pml: how a break, and what the kernel reports, reach who waits. Models backends/netpoll/park.h with the
 * waiting of epoll.c and the order of be_netpoll_start.
 *
 * W waits until it has seen ASKS things that were asked of it, each by a plain store and a break of B's; it parks on the
 * word as long as it has seen nothing started, and then waits in the kernel. S starts the kernel's object, breaks, and
 * then a descriptor becomes ready, which only a wait in the kernel reports. Claimed: W sees all (an end state in which it
 * waits is an error).
 *
 * Mutants: NO_BREAK (S does not break), BREAK_FIRST (S breaks, then stores), BY_MODE (a breaker wakes where it believes
 * that somebody waits, by `started`, not by the word), STORE_WORD (who comes to wait writes the word without comparing).
 */
#define NPROC 3
#define ASKED 1
#define STARTED 2
#define NLOC 3
#include "memory.pml"

#define ASKS 2
#define IDLE 0
#define BREAK 1
#define PARKED 2
#define POLLS 3

byte word = IDLE;
byte answered;
bit sleeps, woken;  /* on the word */
bit wakeup;         /* the eventfd */
bit ready_fd, reported;

inline wake_word()
{
	atomic { if :: sleeps -> woken = 1 :: else fi }
}

inline do_break(me)
{
	atomic { DRAINED(me) -> was = word; word = BREAK };
#ifdef BY_MODE
	if
	:: LD(me, STARTED) -> wakeup = 1
	:: else -> wake_word()
	fi
#else
	if
	:: was == PARKED -> wake_word()
	:: was == POLLS -> wakeup = 1
	:: else
	fi
#endif
}

inline enter(as)
{
#ifdef STORE_WORD
	word = as; in = 1;
#else
	atomic {
		DRAINED(0) ->
		if
		:: word == IDLE -> word = as; in = 1
		:: else -> in = 0
		fi
	};
	if
	:: !in -> atomic { DRAINED(0) -> word = IDLE }
	:: else
	fi
#endif
}

proctype WT()
{
	bit in, st;

	do
	:: LD(0, ASKED) != answered -> answered = LD(0, ASKED)
	:: LD(0, ASKED) == answered && answered == ASKS && reported -> break
	:: LD(0, ASKED) == answered && !(answered == ASKS && reported) ->
		st = LD(0, STARTED);
		if
		:: !st ->
			enter(PARKED);
			if
			:: in ->
				atomic { if :: word == PARKED -> sleeps = 1 :: else -> sleeps = 0 fi };
				if
				:: sleeps -> woken
				:: else
				fi;
				atomic { sleeps = 0; woken = 0 };
				atomic { DRAINED(0) -> word = IDLE }
			:: else
			fi
		:: else ->
			enter(POLLS);
			if
			:: in ->
				atomic { wakeup || (ready_fd && !reported) -> if :: ready_fd -> reported = 1 :: else fi };
				atomic { DRAINED(0) -> word = IDLE };
				wakeup = 0
			:: else -> atomic { if :: ready_fd -> reported = 1 :: else fi }
			fi
		fi
	od
}

proctype B()
{
	byte i, was;

	for (i : 1 .. ASKS) {
		store(1, ASKED, i, 0);
		do_break(1);
		answered == i
	}
}

proctype S()
{
	byte was;

#ifdef BREAK_FIRST
	do_break(2);
	store(2, STARTED, 1, 1);
#else
	store(2, STARTED, 1, 1);
#ifndef NO_BREAK
	do_break(2);
#endif
#endif
	DRAINED(2);
	ready_fd = 1
}

init
{
	atomic { run WT(); run B(); run S() }
}
