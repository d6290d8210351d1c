/* trace.pml: the watermark of core/base/trace.c under store buffers (TSO).
 *
 * One writer, one reader; each has a first-in first-out buffer of stores that the memory takes
 * whenever it likes; a fence waits until the own buffer is empty. The clock is the worst one: it
 * says nothing (0) or anything. Claim: an event that the reader has not seen when it delivered up
 * to `mark` has a stamp of at least mark. And after closing, the writer is not under way and
 * appends nothing.
 *
 *   spin -run trace.pml                     no error
 *   spin -DNO_W2 -run trace.pml             each of these finds one
 *   spin -DNO_R2 -run trace.pml
 *   spin -DNO_BUSY -run trace.pml
 *   spin -DNO_FLOOR -run trace.pml
 *   spin -DNO_RECHECK -run trace.pml
 */
#define EVENTS 3
#define ROUNDS 3
#define IDLE 255

mtype = { BUSY, TAIL, FLOOR, GROUPS };

chan wbuf = [6] of { mtype, byte };
chan rbuf = [3] of { mtype, byte };

byte busy = IDLE, tail = 0, floor = 0, groups = 1;
byte slots[EVENTS]; /* of the ring; released by tail, so it needs no buffer of its own */
byte final;         /* tail when the trace was closed */

inline apply(var, val) {
	if
	:: var == BUSY -> busy = val
	:: var == TAIL -> tail = val
	:: var == FLOOR -> floor = val
	:: var == GROUPS -> groups = val
	fi
}

/* The memory takes stores. */
active proctype memory() {
	mtype var;
	byte val;

end:	do
	:: atomic { wbuf ? var, val -> apply(var, val) }
	:: atomic { rbuf ? var, val -> apply(var, val) }
	od
}

active proctype writer() {
	byte n = 0, last = 0, stamp, seen, on;

	do
	:: n == EVENTS -> break
	:: n < EVENTS ->
#ifndef NO_BUSY
		wbuf ! BUSY, last + 1;                        /* W1 */
#endif
#ifndef NO_W2
		empty(wbuf);                                  /* W2 */
#endif
		on = groups;
#ifdef NO_RECHECK
		on = 1;
#endif
		if
		:: on == 0 -> wbuf ! BUSY, IDLE; break
		:: else
		fi;
		seen = floor;                                 /* W3 */
#ifdef NO_FLOOR
		seen = 0;
#endif
		stamp = last + 1;
		if
		:: seen > stamp -> stamp = seen
		:: else
		fi;
		if
		:: stamp = stamp + 1 /* the clock is ahead */
		:: skip
		fi;
		slots[n] = stamp;
		last = stamp;
		n++;
		wbuf ! TAIL, n;                               /* W4 */
		wbuf ! BUSY, IDLE                             /* W5 */
	od
}

active proctype reader() {
	byte round = 0, seen = 0, mark = 0, now = 0, low, under, upto;

	do
	:: round == ROUNDS -> break
	:: round < ROUNDS ->
		if
		:: now = now + 1
		:: now = now + 2
		fi;
		rbuf ! FLOOR, now;                            /* R1 */
#ifndef NO_R2
		empty(rbuf);                                  /* R2 */
#endif
		under = busy;                                 /* R3 */
		low = now;
		if
		:: under < low -> low = under
		:: else
		fi;
		upto = tail;                                  /* R4 */
		do
		:: seen < upto -> assert(slots[seen] >= mark); seen++
		:: else -> break
		od;
		if
		:: low > mark -> mark = low                   /* R5 */
		:: else
		fi;
		round++
	od;
	rbuf ! GROUPS, 0;
	empty(rbuf);
	busy == IDLE;
	final = tail;
	do
	:: seen < final -> assert(slots[seen] >= mark); seen++
	:: else -> break
	od;
	/* Whatever the writer still does, it appends nothing. */
	do
	:: tail != final -> assert(false)
	:: timeout -> break
	od
}
