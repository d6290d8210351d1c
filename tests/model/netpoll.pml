/* netpoll.pml: a goroutine that waits for a direction of a descriptor. Models rt_pd_reset, rt_pd_wait, commit, publish,
 * take and rt_pd_close of core/sched/netpoll.c, and what they use of wait.c.
 *
 * G takes what comes in; when nothing is there it waits, WAITS times at most: the second time with a deadline, with
 * -DTIMED the first and the second time. E brings DATA pieces, each with an event as an edge-triggered kernel tells it:
 * once, after the piece is there. T fires at any moment after it is armed; with -DFOREVER the same waits have no timer.
 * With -DCLOSE a closer closes at any moment.
 * With -DTWO another goroutine, H, waits once for the same direction, and takes a piece when it is woken; when
 * all pieces were taken it is closed.
 * Word and claim are changed by full read-modify-writes, and who waits is written before the one that publishes it: the
 * memory is Spin's own.
 *
 * Claimed: who waits is woken once, by somebody who has taken this wait and no other; nobody touches the frame of a wait
 * that is over; G does not wait for ever while there is something, or after the close (an end state in which it waits is
 * an error).
 *
 * Mutants: RESET_LATE (an event is forgotten after the try), BLIND_STORE (an event stores READY whatever is there),
 * OVERWRITE (a wait takes the place of whatever is there), NO_NUMBER (the claim is not of a certain wait), NOT_FOR_GOOD
 * (a close leaves NIL), KEEP_WORD (who was woken by a deadline leaves its wait in the word), NO_FIRED (an event that
 * comes before the wait is open is lost for the claim), WHO_AFTER (who waits is read after it was taken), NO_RESERVE
 * (who waits is written before the word is reserved), BREAK_IN (an event that finds it reserved does not leave it so),
 * BLIND_OPEN (a wait is opened whatever has come).
 */
#ifdef CLOSE
#define DATA 1
#else
#define DATA 2
#endif
#define WAITS 3

#define NIL 0
#define READY 1
#define CLOSED 2
#define RESERVED 3
#define RES_READY 4
#define RES_CLOSED 5
#define W(k) (5 + (k)) /* the record's count is k, from 1 on */
#define MINE 1         /* who */
#define OTHER 2

#define NONE_ 0
#define ARMING 1
#define FIRED 2
#define OPEN_ 3

byte word = NIL, who, count;
byte wait_of[8];                  /* G's wait with that count */
bit h_asleep, h_woken, gone;
byte state = NONE_, number;       /* gp->claim */
byte avail;                       /* pieces that the kernel holds */
byte now_waits;                   /* the wait whose frame is alive, or 0 */
byte got, tries;
bit timed[WAITS + 2];
bit asleep, woken, armed, busy, over;

inline wake(k)
{
	atomic {
		assert(asleep && !woken && now_waits == (k));
		woken = 1
	}
}

/* rt_g_claim_wait; any: the timer, which holds its heap's lock, and with that the frame */
inline claim(k, any)
{
	atomic {
#ifdef NO_NUMBER
		if
		:: state == OPEN_ -> state = NONE_; won = 1
#else
		if
		:: state == OPEN_ && (any || number == (k)) -> state = NONE_; won = 1
#endif
#ifndef NO_FIRED
		:: state == ARMING && (any || number == (k)) -> state = FIRED
#endif
		:: else
		fi
	}
}

/* take: leaves `to`. */
inline take(to)
{
	do
	:: was = word;
		if
		:: was == CLOSED || was == RES_CLOSED || was == to || (was == RES_READY && to == READY) -> was = NIL; break
		:: else
		fi;
#ifndef WHO_AFTER
		seen = who;
#endif
		atomic {
			if
#ifdef BLIND_STORE
			:: word = to; break
#else
#ifdef BREAK_IN
			:: word == was -> word = to; break
#else
			:: word == was ->
				word = (was == RESERVED -> (to == READY -> RES_READY : RES_CLOSED) :
				        (was == RES_READY -> RES_CLOSED : to));
				break
#endif
			:: else
#endif
			fi
		}
	od;
#ifdef WHO_AFTER
	seen = who;
#endif
	if
	:: was > RES_CLOSED && seen == OTHER -> atomic { assert(h_asleep && !h_woken); h_woken = 1 }
	:: was > RES_CLOSED && seen == MINE ->
		k = wait_of[was - RES_CLOSED];
		assert(k > 0);
		if
		:: !timed[k] -> wake(k)
		:: else ->
			won = 0;
			claim(k, 0);
			if
			:: won -> wake(k)
			:: else
			fi
		fi
	:: else
	fi
}

proctype E()
{
	byte i, was, seen, k;
	bit won;

	for (i : 1 .. DATA) {
		avail++;
		take(READY)
	}
#ifdef TWO
	avail == 0 || gone;
	take(CLOSED)
#endif
}

#ifdef CLOSE
proctype C()
{
	byte was, seen, k;
	bit won;

#ifdef NOT_FOR_GOOD
	take(NIL)
#else
	take(CLOSED)
#endif
}
#endif

/* publish: the word is `as` then, or parked is 0. */
inline publish(me, k)
{
#ifdef NO_RESERVE
	who = me;
	atomic {
		parked = (word == NIL);
		if
		:: parked -> count++; mine = W(count); wait_of[count] = k; word = mine
		:: else
		fi
	}
#else
	atomic {
#ifdef OVERWRITE
		parked = (word != CLOSED && word != READY);
#else
		parked = (word == NIL);
#endif
		if
		:: parked -> word = RESERVED
		:: else ->
#ifndef TWO
			assert(word == READY || word == CLOSED) /* nobody else waits */
#endif
		fi
	};
	if
	:: parked ->
		atomic { count++; mine = W(count); wait_of[count] = k };
		who = me;
		atomic {
			parked = (word == RESERVED);
			if
			:: parked -> word = mine
			:: !parked && word == RES_READY -> word = READY
			:: !parked && word == RES_CLOSED -> word = CLOSED
#ifdef BREAK_IN
			:: !parked && word != RES_READY && word != RES_CLOSED -> skip
#endif
			fi
		}
	:: else
	fi
#endif
}

#ifdef TWO
/* Another one. It is woken in G's place, and tries what G would have. */
proctype H()
{
	byte mine;
	bit parked;

	h_asleep = 1;
	publish(OTHER, 0);
	if
	:: parked ->
		h_woken
	:: else
	fi;
	h_asleep = 0;
	atomic {
		if
		:: avail > 0 -> avail--; got++
		:: else
		fi
	}
}
#endif

proctype T()
{
	bit won;
	byte k;

end_t:
	do
	:: atomic { armed -> busy = 1; armed = 0; k = now_waits };
		assert(k > 0);
		won = 0;
		claim(k, 1);
		assert(now_waits == k); /* the lock keeps it */
		busy = 0;
		if
		:: won -> wake(k)
		:: else
		fi
	od
}

proctype G()
{
	byte k, mine;
	bit parked;

again:
	if
	:: got == DATA || over -> goto done
	:: else
	fi;
#ifndef RESET_LATE
	atomic { if :: word == READY -> word = NIL :: else fi };
#endif
	atomic {
		if
		:: avail > 0 -> avail--; got++; goto again
		:: else
		fi
	};
#ifdef RESET_LATE
	atomic { if :: word == READY -> word = NIL :: else fi };
#endif
	/* rt_pd_wait */
	atomic { if :: word == READY -> word = NIL; goto again :: else fi };
	if
	:: k == WAITS -> goto last
	:: else
	fi;
	k++;
	now_waits = k;
	atomic {
		if
		:: timed[k] -> number = k; state = ARMING
		:: else
		fi
	};
	/* commit, on g0: it is WAITING, and its registers are saved */
	asleep = 1;
	publish(MINE, k);
	if
	:: !parked ->
		state = NONE_
	:: parked && timed[k] ->
#ifndef FOREVER
		armed = 1;
#endif
		atomic {
			if
#ifdef BLIND_OPEN
			:: state == FIRED -> state = OPEN_
#endif
			:: state == ARMING -> state = OPEN_
			:: else -> assert(state == FIRED); state = NONE_; woken = 1
			fi
		}
	:: else
	fi;
	if
	:: parked -> woken
	:: else
	fi;
	atomic { asleep = 0; woken = 0 };
	atomic { !busy -> armed = 0; now_waits = 0 };
#ifndef KEEP_WORD
	atomic { if :: parked && word == mine -> word = NIL :: else fi };
#endif
	over = (word == CLOSED);
	goto again;
last:	/* it gives up waiting: whoever still holds a wait of it must not wake it */
done:
	gone = 1
}

init
{
	atomic {
#ifdef TIMED
		timed[1] = 1; timed[2] = 1;
#else
		timed[2] = 1;
#endif
		run G();
		run E();
		run T();
#ifdef CLOSE
		run C();
#endif
#ifdef TWO
		run H();
#endif
	}
}
