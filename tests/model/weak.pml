/* weak.pml: a weak pointer becomes a strong one. Models rt_weak_value and rt_weak_clear (core/gc/weak.c), rt_span_sweep,
 * rt_span_acquire and rt_sweep_span (core/alloc/sweep.c), set_pages and set_fields (mheap.c).
 *
 *   -DSWEEP  Marking has passed, object 1 was not marked. One sweeps its span, which is empty then: frees it. Another
 *            takes record and pages for a span of its own. Meanwhile two come with the handle; each may also be
 *            the one who sweeps. Claimed: neither gets the object.
 *   -DMARK   Object 1 is known by a handle only, and knows object 2. Two mutators, each with two locals, make it strong,
 *            load, move and delete what hangs on it, while the collector marks; none runs before its stack is scanned.
 *            Claimed: when marking ends, all that can be reached from locals and root is marked.
 *
 * Mutants of SWEEP: NO_SWEEP (the span is not waited for), NO_REREAD (the word is not read again), SWEPT_RELAXED (sweepgen
 * is stored without release), PAGES_RELAXED (the page table is cleared so). Of MARK: NO_SHADE, NO_FLUSH (barrier buffers are
 * not looked at in the end), NO_AGAIN (what is found there is marked, but not what hangs on it), TORN (whether it marks is
 * looked at before the world stops, the word read after).
 */
#ifdef SWEEP
#define NPROC 4
#define W 1      /* the handle's word: 1 or nil */
#define GEN 2    /* sweepgen of the record: UNSWEPT, BUSY, SWEPT */
#define PAGES 3  /* page table: whose pages; 0: nobody's, 1: the record's, 2: another record's, which is swept */
#define FREED 4  /* pages and record are in the hands of the heap: a lock goes from who frees to who takes */
#define NLOC 5
#include "memory.pml"

#define UNSWEPT 0
#define BUSY 1
#define SWEPT 2
#ifdef SWEPT_RELAXED
#define SWEPT_RELEASE 0
#else
#define SWEPT_RELEASE 1
#endif
#ifdef PAGES_RELAXED
#define PAGES_RELEASE 0
#else
#define PAGES_RELEASE 1
#endif

/* Who has made the step to BUSY. */
inline sweep(me)
{
	store(me, W, 0, 0);
	store(me, GEN, SWEPT, SWEPT_RELEASE);
	store(me, PAGES, 0, PAGES_RELEASE);
	store(me, FREED, 1, 1)
}

proctype Sweeper(byte me)
{
	if
	:: atomic { DRAINED(me) && mem[GEN] == UNSWEPT -> mem[GEN] = BUSY }; sweep(me)
	:: mem[GEN] != UNSWEPT
	fi
}

proctype Owner(byte me)
{
	LD(me, FREED) == 1; /* takes the lock */
	if
	:: store(me, GEN, SWEPT, 1); store(me, PAGES, 2, 1)
	:: store(me, PAGES, 2, 1); store(me, GEN, SWEPT, 1)
	fi
}

proctype Reader(byte me)
{
	byte obj, pages, gen;

	obj = LD(me, W);
	if
	:: obj != 0 ->
#ifndef NO_SWEEP
		pages = LD(me, PAGES);
		do
		:: pages != 1 -> break
		:: pages == 1 ->
			gen = LD(me, GEN);
			if
			:: gen == SWEPT -> break
			:: gen == BUSY -> LD(me, GEN) != BUSY
			:: gen == UNSWEPT ->
				if
				:: atomic { DRAINED(me) && mem[GEN] == UNSWEPT -> mem[GEN] = BUSY }; sweep(me); break
				:: mem[GEN] != UNSWEPT
				fi
			fi
		od;
#endif
#ifndef NO_REREAD
		obj = LD(me, W);
#endif
		assert(obj == 0)
	:: else
	fi
}

init
{
	atomic {
		mem[W] = 1; mem[PAGES] = 1;
		run Sweeper(0);
		run Owner(1);
		run Reader(2);
		run Reader(3)
	}
}
#else
#define NPROC 3
#define G 1
#define F1 2
#define NLOC 3
#include "memory.pml"

#define OPS(me) (3 + (me)) /* operations of a mutator */
#define BIT(v) (1 << (v))
#define GC 2

bit on, stop, done;
bit busy[2], scanned[2];
byte a[2], b[2];
byte wb[2];                 /* set of objects in the barrier buffer; bit 0 is nil */
byte marked, black;         /* sets */
bit rootdone;

#define RECORD(me, slot, v) atomic { wb[me] = wb[me] | BIT(LD(me, slot)) | BIT(v) }
#define SHADE(me, slot, new) if :: on -> RECORD(me, slot, new) :: else fi

/* The handle's word is 1: nothing is swept while the collector marks. */
#ifdef NO_SHADE
#define STRONG(me) a[me] = 1
#elif defined TORN
#define STRONG(me) \
	flag = on; busy[me] = 0; \
	atomic { !stop && MAY_RUN(me) -> busy[me] = 1 }; \
	a[me] = 1; \
	if :: flag -> wb[me] = wb[me] | BIT(1) :: else fi
#else
#define STRONG(me) \
	a[me] = 1; \
	if :: on -> wb[me] = wb[me] | BIT(1) :: else fi
#endif
#define MAY_RUN(me) (!on || scanned[me])

proctype M(byte me)
{
	byte n;
	bit flag;

	do
	:: n == OPS(me) || done -> break
	:: atomic { n < OPS(me) && !stop && !done && MAY_RUN(me) -> busy[me] = 1; n++ };
		if
		:: STRONG(me)
		:: a[me] = LD(me, G)
		:: a[me] == 1 -> b[me] = LD(me, F1)
		:: atomic { a[me] = b[me]; b[me] = 0 }
		:: a[me] == 1 -> SHADE(me, F1, b[me]); store(me, F1, b[me], 1)
		:: SHADE(me, G, b[me]); store(me, G, b[me], 1)
		fi;
		busy[me] = 0; flag = 0
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
	byte reach;

	atomic { stop = 1 };
	atomic { QUIET -> on = 1; stop = 0 };
again:
	do
	:: atomic { !scanned[0] && !busy[0] -> marked = marked | BIT(a[0]) | BIT(b[0]); scanned[0] = 1 }
	:: atomic { !scanned[1] && !busy[1] -> marked = marked | BIT(a[1]) | BIT(b[1]); scanned[1] = 1 }
	:: atomic { !rootdone -> marked = marked | BIT(LD(me, G)); rootdone = 1 }
	:: atomic { (marked & 2) && !(black & 2) -> black = black | 2; marked = marked | BIT(LD(me, F1)) }
	:: scanned[0] && scanned[1] && rootdone && (marked & 2 & ~black) == 0 -> break
	od;
	atomic { stop = 1 };
	atomic {
		QUIET ->
		marked = marked | LAST;
		wb[0] = 0; wb[1] = 0;
#ifndef NO_AGAIN
		if
		:: (marked & 2 & ~black) != 0 -> stop = 0; goto again
		:: else
		fi;
#endif
		/* what can be reached */
		reach = BIT(a[0]) | BIT(b[0]) | BIT(a[1]) | BIT(b[1]) | BIT(mem[G]);
		reach = reach | ((reach & 2) -> BIT(mem[F1]) : 0);
		assert((reach & ~marked & 6) == 0);
		done = 1; stop = 0
	}
}

init
{
	atomic {
		mem[F1] = 2;
		run M(0);
		run M(1);
		run C(GC)
	}
}
#endif
