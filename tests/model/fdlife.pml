/* fdlife.pml: how long a record of the poller belongs to a descriptor. Models enter, leave, gone and rt_fd_close of
 * core/net/fd.c with rt_pd_hold, unhold and rt_pd_drop of core/sched/netpoll.c.
 *
 * Two goroutines G call twice each: they try, hold the record, leave, and wait. C closes the descriptor. O opens another
 * one, which gets the record as soon as it was given away. Claimed: nobody touches the record any more once it is O's,
 * it is given away once, and it is given away (an end state in which O waits is an error).
 *
 * Every step is a read-modify-write with both orders, so Spin's own memory will do.
 *
 * Mutants: DROP_IN_CLOSE (the close drops the record, while others may be at their try), HOLD_LATE (a goroutine leaves
 * before it holds), DROP_PUTS (it is given away without looking who holds it), LEAVE_BLIND (who leaves last does not
 * look whether it was closed).
 */
#define CALLERS 2
#define CALLS 2

byte users;           /* rt_fd.users */
bit closed;
byte holders;         /* rt_pd.users */
bit dropped;
bit is_free, another; /* the record */

inline touch()
{
	assert(!is_free && !another)
}

inline put()
{
	assert(!is_free && !another);
	is_free = 1
}

inline drop()
{
	atomic {
		touch();
		dropped = 1;
		if
		:: holders == 0 -> put()
#ifdef DROP_PUTS
		:: holders != 0 -> put()
#else
		:: else
#endif
		fi
	}
}

inline leave()
{
	atomic { users--; last = (users == 0 && closed) };
#ifndef LEAVE_BLIND
	if
#ifdef DROP_IN_CLOSE
	:: last -> skip
#else
	:: last -> drop()
#endif
	:: else
	fi
#endif
}

inline hold()
{
	atomic { touch(); holders++ }
}

proctype G()
{
	byte i;
	bit in, last;

	for (i : 1 .. CALLS) {
		atomic { in = !closed; users = users + in };
		if
		:: in ->
			if
			:: skip; /* it would have blocked */
#ifdef HOLD_LATE
				leave();
				hold();
#else
				hold();
				leave();
#endif
				atomic { touch() }; /* the wait */
				atomic {
					touch();
					holders--;
					if
					:: holders == 0 && dropped -> put()
					:: else
					fi
				}
			:: leave() /* it had what it wanted */
			fi
		:: else
		fi
	}
}

proctype C()
{
	bit last;

	atomic { users++; closed = 1 };
	atomic { touch() }; /* rt_pd_close */
#ifdef DROP_IN_CLOSE
	drop();
#endif
	leave()
}

proctype O()
{
	atomic { is_free -> is_free = 0; another = 1 }
}

init
{
	byte i;

	atomic {
		for (i : 1 .. CALLERS) {
			run G()
		}
		run C();
		run O()
	}
}
