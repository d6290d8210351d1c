/* barrier.pml: the write barrier and the end of marking. Models rt_store_ptr, rt_wb_flush
 * (core/gc/barrier.c), the jobs of roots.c and mark.c, and steps 2 to 5 of cycle.c.
 *
 * A root G and the fields of two objects lie in memory with store buffers; object 3 has no field.
 * At first G -> 1 -> 2, and 3 is known to one mutator only. Two mutators, each with two locals (its
 * stack), load, store, forget. They stop between two operations only: an operation runs with locks
 * > 0. The collector stops them, turns the barrier on, and then in any order scans stacks, each
 * when its mutator stands between two operations, the root, and grey objects; mutators run
 * meanwhile. When nothing is left it stops them again and looks into their barrier buffers.
 * Claimed: when it ends, every object that can be reached is marked.
 *
 *   -DHYBRID    a mutator may run before its stack is scanned, as in Go
 *   -DSNAPSHOT  it may not, as here (rt_gc_before_run)
 *
 * Mutants: NO_DELETION, NO_INSERTION (either half of the barrier; the second is not needed with
 * SNAPSHOT), NO_FLUSH (buffers are not looked at in the end), NO_AGAIN (what is found there is
 * marked, but not what hangs on it), TORN (the flag is looked at before the world stops, the store
 * done after).
 */
#define NPROC 3
#define G 1
#define F1 2
#define F2 3
#define NLOC 4
#include "memory.pml"

#define OPS(me) (2 + (me)) /* operations of a mutator */
#define BIT(v) (1 << (v))
#define GC 2

bit on, stop, done;
bit busy[2], scanned[2];
byte a[2], b[2];
byte wb[2];                 /* set of objects in the barrier buffer; bit 0 is nil */
byte marked, black;         /* sets */
bit rootdone;

#ifdef NO_DELETION
#define OLD(me, slot) 0
#else
#define OLD(me, slot) BIT(LD(me, slot))
#endif
#ifdef NO_INSERTION
#define NEW(v) 0
#else
#define NEW(v) BIT(v)
#endif
#define RECORD(me, slot, v) atomic { wb[me] = wb[me] | OLD(me, slot) | NEW(v) }

#ifdef TORN
#define SHADE(me, slot, new) \
	flag = on; busy[me] = 0; \
	atomic { !stop -> busy[me] = 1 }; \
	if :: flag -> RECORD(me, slot, new) :: else fi
#else
#define SHADE(me, slot, new) if :: on -> RECORD(me, slot, new) :: else fi
#endif

#ifdef SNAPSHOT
#define MAY_RUN(me) (!on || scanned[me])
#else
#define MAY_RUN(me) true
#endif
#define FIELD(k) ((k) == 1 -> F1 : F2)

proctype M(byte me)
{
	byte n, slot;
	bit flag;

	do
	:: n == OPS(me) || done -> break
	:: atomic {
		n < OPS(me) && !stop && !done && MAY_RUN(me) -> busy[me] = 1; n++
	   };
		if
		:: a[me] = LD(me, G)
		:: a[me] == 1 || a[me] == 2 -> b[me] = LD(me, FIELD(a[me]))
		:: atomic { a[me] = b[me]; b[me] = 0 }
		:: atomic { a[me] == 1 || a[me] == 2 -> slot = FIELD(a[me]) };
			SHADE(me, slot, b[me]); store(me, slot, b[me], 1); slot = 0
		:: slot = G; SHADE(me, slot, b[me]); store(me, slot, b[me], 1); slot = 0
		fi;
		busy[me] = 0
	/* the buffer is full */
	:: atomic { on && !stop && wb[me] > 1 && DRAINED(me) -> marked = marked | wb[me]; wb[me] = 0 }
	od
}

#ifdef NO_FLUSH
#define LAST 0
#else
#define LAST wb[0] | wb[1]
#endif
#define QUIET (!busy[0] && !busy[1] && DRAINED(0) && DRAINED(1))

proctype C(byte me)
{
	byte k, reach;

	atomic { stop = 1 };
	atomic { QUIET -> on = 1; stop = 0 };
again:
	do
	:: atomic { !scanned[0] && !busy[0] -> marked = marked | BIT(a[0]) | BIT(b[0]); scanned[0] = 1 }
	:: atomic { !scanned[1] && !busy[1] -> marked = marked | BIT(a[1]) | BIT(b[1]); scanned[1] = 1 }
	:: atomic { !rootdone -> marked = marked | BIT(LD(me, G)); rootdone = 1 }
	:: atomic { (marked & 2) && !(black & 2) -> black = black | 2; marked = marked | BIT(LD(me, F1)) }
	:: atomic { (marked & 4) && !(black & 4) -> black = black | 4; marked = marked | BIT(LD(me, F2)) }
	:: scanned[0] && scanned[1] && rootdone && (marked & 6 & ~black) == 0 -> break
	od;
	atomic { stop = 1 };
	atomic {
		QUIET ->
		marked = marked | LAST;
		wb[0] = 0; wb[1] = 0;
#ifndef NO_AGAIN
		if
		:: (marked & 6 & ~black) != 0 -> stop = 0; goto again
		:: else
		fi;
#endif
		/* what can be reached */
		reach = BIT(a[0]) | BIT(b[0]) | BIT(a[1]) | BIT(b[1]) | BIT(mem[G]);
		reach = reach | ((reach & 2) -> BIT(mem[F1]) : 0);
		reach = reach | ((reach & 4) -> BIT(mem[F2]) : 0);
		reach = reach | ((reach & 2) -> BIT(mem[F1]) : 0);
		assert((reach & ~marked & 14) == 0);
		done = 1; stop = 0
	}
}

init
{
	atomic {
		mem[G] = 1; mem[F1] = 2; a[1] = 1; b[1] = 3;
		run M(0);
		run M(1);
		run C(GC)
	}
}
