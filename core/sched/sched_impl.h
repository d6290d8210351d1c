/* sched_impl.h: the scheduler's records. Only sched/, gc/, watch/ and api/ include it. */
#ifndef CORE_SCHED_IMPL_H
#define CORE_SCHED_IMPL_H

#include "backends/context/context.h"
#include "backends/fault/fault.h"
#include "backends/netpoll/netpoll.h"
#include "backends/preempt/preempt.h"
#include "core/alloc/fixalloc.h"
#include "core/base/debugvars.h"
#include "core/base/hist.h"
#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/rand.h"
#include "core/base/trace.h"
#include "core/sched/sched.h"
#include "core/stack/stack.h"

/* Status of a G. Whoever may change it owns the stack; only rt_gstatus_set writes it.
 *
 *           newproc [g.c]             rt_g0_next [proc.c]        goexit0 [g.c]
 *   DEAD ----------------> RUNNABLE ------------------> RUNNING ------------> DEAD
 *                          ^  ^  ^                      |  |  |
 *      gosched, preempt    |  |  +----------------------+  |  |
 *     exitsyscall [sys.c]  |  +------- SYSCALL <-----------+  |  entersyscall
 *        goready [park.c]  +---------- WAITING <--------------+  gopark
 *
 *   DEAD      on a free list, or being built
 *   RUNNABLE  on exactly one run queue; stack unowned
 *   RUNNING   on no queue; has an M and a P; owns its stack
 *   SYSCALL   on no queue; has an M, no P; owns its stack
 *   WAITING   recorded on one wait list whose owner will goready it; stack unowned
 *
 * The numbers are Go's. A transition has one possible author at any moment, so it is a store, not a
 * compare-and-swap; debug builds check that the old state was the expected one.
 */
enum { RT_G_RUNNABLE = 1, RT_G_RUNNING = 2, RT_G_SYSCALL = 3, RT_G_WAITING = 4, RT_G_DEAD = 6 };

/* rt_g.dropped. LANDING: it is on its way to its end, and the end of the run waits for it. */
enum { RT_DROPPED = 1, RT_DROPPED_LANDING = 2 };

/* The head of a panic's record. If a fault raised it, the goroutine's frames end there, and go on at the fault. */
typedef struct rt_panicking {
	struct rt_panicking *link; /* the panic or Goexit that this one came upon */
	const struct rt_faulted *fault; /* or NULL */
} rt_panicking;

typedef struct rt_faulted { /* a fault that became a panic */
	be_fault_place place;
	be_fault fault;          /* without the machine's record, which is gone */
} rt_faulted;
void rt_fault_line(const be_fault *f, char *buf, size_t size); /* "[signal SIGSEGV: ...]\n" */

/* Three cache lines: what every switch touches; what birth writes; the rest, which a goroutine that only starts, works,
 * waits and ends leaves as it was born (`more`): for one of a million in queues each line is a miss at its birth and
 * at its start. */
struct rt_g {
	/* owner of the stack, see above, if nothing else is said */
	be_context *ctx;       /* saved state; NULL until it first runs */
	union {
		rt_g *schedlink;   /* owner of the queue that it is on */
		int64_t since;     /* WAITING: since when, by sched.coarse; 0 = not known */
	};
	rt_atomic32 status;    /* RT_G_*; release on leaving a state, acquire by who takes it over */
	uint8_t waitreason;    /* RT_WAIT_* while WAITING */
	bool attached : 1;     /* a thread between gort_attach and gort_detach */
	bool ismain : 1;       /* its end ends the run */
	bool system : 1;       /* the runtime's own */
	bool finalizes : 1;    /* and runs code of the user now */
	uint8_t dropped;       /* RT_DROPPED: its run has ended while its thread was busy with it */
	rt_atomic8 gcscan;     /* its stack and the collector: RT_SCAN_*, see gc/roots.c */
	rt_atomic32 claim;     /* who may wake this timed wait; wait.c */
	rt_atomic8 canceled;   /* 1 = cancellable waits give up; wait.c */
	uint8_t phase;         /* of its goid: which of its starts are measured */
	rt_atomic8 more;       /* 1 = the third line is not as it was born; markers and watchers read it, too */
	rt_m *m;               /* that runs it, or NULL */
	rt_m *lockedm;         /* that it is wired to, or NULL */
	rt_waiter *waiting;    /* what it waits on, or NULL */
	rt_atomic64 turns;     /* written by its owner: how often it was started, times RT_TURN; plus, if that is
	                        * measured, when it became runnable, in 64 ns: rt_latency_begin. Counting wraps,
	                        * and needs no mask */

	/* set once by newproc, if nothing else is said */
	rt_atomicptr ahead;    /* further on in its queue or list of the dead: only prefetched, may be stale */
	gort_func fn;
	void *arg;
	uint64_t goid;
	union {
		uint64_t parent;
		uint64_t nbatch;   /* first of a batch: how many there are in it */
	};
	union {
		void *creator;     /* code address of the gort_go */
		rt_g *batch;       /* first of a batch of dead Gs: the next batch */
	};
	rt_stack *stack;       /* owner; NULL until it first runs, and for an attached thread */
	void *scope;           /* owner; builtin/panic.c */

	/* who writes sets `more` first, but for the two that stay: rt_g_more */
	gort_runtime *rt;      /* set once */
	void *defers;          /* owner; builtin/panic.c */
	struct rt_panicking *panics; /* owner; in its frames, the newest first */
	void *member;          /* sync/group.c: its place in a gort_group, or NULL */
	int64_t trace_last;    /* owner: stamp of its last event */
	char *name;            /* 32 bytes, or NULL */
	uint32_t stack_size;   /* bytes; 0 = the runtime's */
	uint32_t lockcount;    /* owner: gort_lock_os_thread nesting */
	rt_g *alllink;         /* set once; guarded by allg: every G ever made */
};

_Static_assert(sizeof(rt_g) <= 3 * RT_CACHELINE, "a million of them wait in queues");

/* The owner, before it writes to gp's third line. */
static inline void rt_g_more(rt_g *gp)
{
	rt_store8_rlx(&gp->more, 1);
}

static inline bool rt_g_has_more(const rt_g *gp)
{
	return rt_load8_rlx(&gp->more) != 0;
}

/* SYSCALL: its M is in a system call and may take it back by compare-and-swap, as sysmon may take it away. */
enum { RT_P_IDLE = 0, RT_P_RUNNING = 1, RT_P_SYSCALL = 2, RT_P_GCSTOP = 3, RT_P_DEAD = 4 };
/* rt_m.standing: where its goroutine waits for a P on its own thread. */
enum { RT_STANDS_NOT = 0, RT_STANDS_STOPPED = 1 /* be_preempt */, RT_STANDS_ENTERING = 2 /* note */ };
/* rt_m.taken */
enum { RT_TAKEN_NOT = 0, RT_TAKEN_PROBE = 1, RT_TAKEN = 2 };
enum { RT_TURN = 1 << 30 }; /* rt_g.turns */
enum { RT_KEPT = 128 };
enum { RT_AHEAD = 8 }; /* see rt_gqueue_pop */
enum { RT_GFREE_BATCH = 32 }; /* see rt_g_free */
enum { RT_RUNQ_SIZE = 256, RT_MAXPROCS = 1 << 14 };

typedef struct rt_timerslot {
	int64_t when;
	uintptr_t what; /* rt_timer *, or rt_alarm * with the lowest bit set */
} rt_timerslot;

typedef struct rt_timerheap {
	rt_mutex lock;          /* rank timers */
	rt_atomic32 n;          /* slots; written under lock */
	/* guarded by lock */
	uint32_t cap, sweep;    /* sweep: where cleaning goes on */
	rt_timerslot *heap;     /* 4-ary */
	rt_atomic32 zombies;    /* slots without meaning; any thread counts up */
	rt_atomic64 next;       /* when of heap[0], INT64_MAX = empty; read without the lock */
} rt_timerheap;

struct rt_p {
	/* owner: the M whose p this is; others only while the world is stopped */
	int id;
	bool alone;              /* GOMAXPROCS is 1; changes with the world stopped */
	bool plain;              /* locks are given back by a plain store: plock.c; set once */
	rt_atomicptr leaving;    /* the word of such a lock, while that store is on its way */
	rt_atomic32 schedtick;   /* +1 for each slice; sysmon reads it */
	rt_atomic32 syscalltick; /* +1 for each system call that kept the P */
	rt_atomicptr m;          /* its M, or NULL; also written under sched.lock by who takes or gives the P */
	rt_g *gfree;             /* dead Gs for reuse, fewer than RT_GFREE_BATCH */
	int ngfree;
	rt_rand rand;            /* whom to steal from, which case first */
	rt_g *gspare;            /* RT_GFREE_BATCH more, or NULL */
	rt_stackcache stacks;
	uint64_t goid, goidend;  /* numbers taken in advance */
	int64_t trace_last;      /* stamp of its last event */
	struct rt_gcp *gc;       /* gc/gc_impl.h: allocation cache, mark queue, barrier buffer; set once */
	/* counters: the owner writes, anybody reads */
	rt_atomic64 created, ended, switches, steals, parked, readied, polled, preempted, handoffs;
	rt_hist latencies;       /* from runnable to running, one in 64; owner */
	/* guarded by sched.lock */
	rt_p *idlelink;
	rt_atomic32 status;      /* RT_P_*; written by the owner or under sched.lock */

	/* any thread, on lines of their own */
	RT_CACHE_ALIGNED rt_atomic32 preempt; /* 1: look at once whether the turn is to end; preempt.c */
	rt_atomic32 wanttick;    /* the slice that sysmon wants ended */
	rt_atomic32 urgetick;    /* ... and had asked for before */
	rt_atomic64 stolen;
	rt_timerheap timers;
	/* The local run queue: models/runq.pml and models/runq_relacy.cc. runqtail: the owner stores
	 * with release, thieves load with acquire; runqhead: compare-and-swap by whoever takes. */
	RT_CACHE_ALIGNED rt_atomic32 runqhead;
	rt_atomic32 runqtail;
	rt_atomicptr runnext;
	rt_atomicptr yielded;    /* its part of the global queue, newest first: runq.c */
	rt_atomic32 keeps;       /* 1: runs itself what is in runnext, nobody need come for that; thieves write it */
	rt_atomicptr runq[RT_RUNQ_SIZE];
	/* owner: sysmon. What it saw when it looked last, and when */
	uint32_t declined;       /* requests to end this turn that waited for a spare thread; sched.lock */
	uint32_t seentick, seensyscall;
	int64_t seenwhen, seencpu, seencpuwhen;
};

struct rt_m {
	/* owner: its thread */
	rt_p *p;                 /* NULL: idle, in a system call, or starting */
	rt_g *curg;              /* NULL on g0 between goroutines */
	/* 0 only in user code on a goroutine's stack. Volatile: signal handlers of this thread look at it, and
	 * sysmon after a fence (be_preempt_fence). */
	volatile int32_t locks;
	rt_atomic32 taken;       /* RT_TAKEN*: sysmon took the P while the thread slept; preempt.c */
	rt_p *oldp;              /* in a system call: the P that it may get back */
	union { /* proc.c: with any of these it goes the long way to the next goroutine */
		struct {
			bool spinning;
			bool anew;   /* it got its P just now: the slice of who had it before is over */
			bool host;   /* the thread inside gort_runtime_run */
			bool wired;  /* perhaps lockedg; cleared on the long way */
			bool chosen; /* nextg; the same */
			bool seeded; /* set once: rt->seeded is there */
			bool unused[2];
		};
		uint64_t rare;
	};
	bool attached;           /* a foreign thread between attach and detach */
	bool crowded;            /* a hint of sync/mutex.c: the mutex of late had waiters */
	bool plain;              /* set once: sched.plainmutex */
	be_context *g0;          /* its scheduler's context */
	void (*mcall)(rt_m *mp, rt_g *gp); /* what g0 does with the goroutine that just left */
	bool (*commit)(rt_g *gp, void *arg); /* of rt_gopark */
	void *commitarg;
	const void *waiton;      /* of rt_gopark, for the trace */
	rt_g *nextg;             /* chosen by an mcall already: runs next, in a new slice */
	rt_tracering *ring;
	gort_runtime *rt;        /* set once */
	uint32_t id;             /* set once */
	rt_stack *g0stack;       /* of an attached thread's scheduler; else NULL */
	uintptr_t keptsp;        /* its goroutine is in the system, or waits inside for a P: its stack begins here */
	uint32_t nkept;          /* and its registers: rt_regs_keep */
	void *tsan_fiber;        /* of g0 */
	const void *asan_lo;     /* g0's stack, for the sanitizer */
	size_t asan_size;
	void *asan_fake;
	void *thread_lo;         /* an attached thread's own stack, the same */
	size_t thread_size;
	void *thread_fiber;
	/* guarded by sched.lock, or handed over with the note */
	rt_atomic32 exiting;     /* told to end; read by its thread without the lock */
	rt_p *nextp;
	rt_atomicptr lockedg;    /* goroutine wired to this thread; the end of a run clears it, too */
	bool started;            /* the maker has written `thread` and is done with the record */
	bool idle;               /* on the idle list */
	bool waitlocked;         /* waits for its lockedg to become runnable */
	bool stwcounted;         /* without a P, and the stopper waits for it all the same */
	uint8_t standing;        /* RT_STANDS_* */
	uint32_t standticket;    /* how many had ever come to the global queue when it came to stand */
	uintptr_t stoppc;        /* where it was stopped */
	be_preempt_at stopat;    /* the same, for backtraces */
	int64_t takencpu, takenwhen; /* CPU time that it had used when sysmon looked last, after its P was taken */
	be_preempt pre;
	rt_m *schedlink;         /* idle list, LIFO */
	rt_m *alllink;
	rt_note park;
	be_thread thread;
	uint64_t tid;            /* the system's number */
	rt_faulted faulted;      /* fault.c: from the handler to the landing */
	bool failing;            /* its goroutine has claimed the end of the run */
	uintptr_t kept[RT_KEPT];
	max_align_t g0record[]; /* be_context_size bytes: ucontext's are 4.5 KiB on arm64 */
};

typedef struct rt_gqueue { /* FIFO through schedlink */
	rt_g *head, *tail;
	rt_g *last[RT_AHEAD]; /* the newest, whose `ahead` is still to be set; may have left */
	uint32_t pushed;      /* ever */
} rt_gqueue;

enum { RT_DIRECTIONS = 2 /* reading, writing */, RT_POLLEVENTS = 128 };

struct rt_pd { /* netpoll.c: a descriptor that goroutines wait for */
	/* one line: all that an event and a wait touch */
	rt_atomic64 word[RT_DIRECTIONS]; /* whether somebody waits, or what came; by compare-and-swap */
	rt_atomicptr who[RT_DIRECTIONS];  /* the goroutine that waits; written by who has reserved the word */
	rt_atomic32 count[RT_DIRECTIONS]; /* numbers given to waits of this record ever */
	rt_atomic32 ends;        /* 1: the other side has ended its output, or there was an error */
	rt_atomic32 users;       /* goroutines that wait or are about to; a bit: it was dropped */
	rt_atomic32 life;        /* +1 for each descriptor that it is made for; written by who opens it */
	uint32_t index;          /* set once, as rt below */
	rt_atomicptr owner;      /* what its goroutines use it through: only prefetched, may be stale */

	be_pollfd be;
	gort_runtime *rt;
	rt_pd *link;             /* of those that are free; guarded by pds.lock */
} RT_CACHE_ALIGNED;

_Static_assert(offsetof(rt_pd, be) == RT_CACHELINE, "an event is one miss");

typedef struct rt_sched {
	rt_mutex lock;           /* rank sched */
	/* guarded by lock */
	rt_gqueue runq;
	rt_gqueue stopped;       /* goroutines that stand on their threads: preempt.c */
	rt_atomic32 nstopped;    /* in that queue; also counted in runqsize; read without the lock */
	uint32_t nmake, nmakespinning; /* threads that the maker has still to make; how many of them search at once */
	uint32_t nmaking;        /* that it makes now, or that were made and are not here yet */
	uint32_t ntaken;         /* Ms whose P was taken */
	/* dropped goroutines: on their way out; in all, with those in system calls and foreign code. Who waits for
	 * them is parked on the word. */
	rt_atomic32 nlanding, ndropped;
	rt_m *midle;
	rt_p *pidle;
	rt_m *allm, *freem;
	uint32_t mcount, nmidlelocked;
	rt_atomic32 nmidle;      /* read without the lock as a hint */
	uint32_t held;           /* new goroutines that waited for a thread since one was let go on */
	uint32_t nextmid;
	uint32_t stopwait;       /* Ps that the stopper still waits for */
	uint32_t nbornoutside;   /* goroutines that threads without a P have made */
	uint32_t nattached;
	bool shutdown;           /* workers end */
	bool starting;           /* who is no M starts the world, and still has Ps to give away: it counts as awake */
	rt_atomic32 dropping;    /* 1: goroutines are dropped, and nobody comes: rt_lock_comer parks on it */
	/* atomics: read without the lock, written under it unless noted */
	rt_atomic32 runqsize;
	rt_atomic32 npidle;
	rt_atomic32 nmspinning;  /* any thread: the spinning rule, proc.c and models/parkready.pml */
	rt_atomic32 gcwaiting;   /* the world stops: stw.c */
	rt_atomic64 goidgen;     /* any thread */
	rt_atomic64 created;     /* by threads without a P */
	rt_atomic64 ended;       /* dropped goroutines */
	rt_atomic32 polling;     /* 1 = a thread waits in netpoll; by compare-and-swap */
	rt_atomic64 polluntil;   /* until when; INT64_MAX = for ever */
	rt_note stopnote;
	/* a team: stw.c; guarded by lock */
	uint32_t teamwanted, teambusy; /* threads that may still come; that are at work */
	bool teamends;           /* the stopper waits until none is */
	void (*teamfn)(void *arg);
	void *teamarg;
	rt_atomic64 stwbackouts; /* stops that were given up for a moment; written under stopworld */
	rt_mutex stopworld;      /* rank stopworld */
	rt_mutex preemptlock;    /* rank preempt: who stops threads holds it, and no thread detaches meanwhile */
	bool plain, plainmutex;  /* set once: locks, and gort_mutex, are given back by plain stores */
	bool inplace;            /* set once: goroutines are stopped in place */
	rt_atomic32 helpers;     /* 1: maker and sysmon run; written under rt->life, or booting */
	rt_atomic32 makerword, sysmonword; /* 1 = there is something to do */
	rt_atomic32 sysmonsleeps; /* sysmon sleeps until a P is taken */
	rt_atomic32 ending;      /* maker and sysmon end */
	be_thread maker, sysmon;
	rt_atomicptr urgent;     /* the collector's controller, or NULL: see rt_runq_urgent */
	int64_t stwbegin, stwstopped;
	rt_hist stopping[2], stopped_for[2], pauses[2]; /* [1]: the collector's; owner: who holds stopworld */
	bool stwgc;              /* guarded by stopworld: the stop is the collector's */
	rt_atomic64 coarse;      /* the time, to about 10 ms while anybody runs: by sysmon and who ends its sleep */
	rt_atomic32 gomaxprocs;  /* changes only with the world stopped; Ms without a P read it, too */
	rt_p **allp;             /* nallp of them; grows only with the world stopped, never moves */
	int nallp;
	rt_mutex gfreelock;      /* rank gfree */
	rt_atomicptr gfree;      /* batches of dead Gs, linked by rt_g.batch; read without the lock as a hint */
	rt_mutex allglock;
	rt_g *allg;              /* guarded by allglock */
	uintptr_t gbase;         /* set once, under allglock with the first G: see rt_g_ref */
	rt_fixalloc gs, ms, names, seatrecords;
	struct gort_seat *seats; /* attach.c; guarded by lock */
	be_netpoll poll;
	rt_atomic32 pollwaiters; /* goroutines that wait for descriptors; any thread */
	rt_atomic64 lastpoll;    /* when somebody looked last, or came out of a wait */
	be_crowd cpus;           /* sysmon's */
	rt_atomic32 crowded;     /* 1: batches of events call nobody for help; sysmon writes it: crowd.h */
	uint32_t nlate;          /* threads that hold events until the world starts; guarded by lock */
	rt_atomic32 lateword;    /* they park on it; +1 to wake them */
	struct {
		rt_mutex lock;   /* rank polltable */
		/* guarded by lock; a chunk, once it is there, is read without */
		uint32_t used;
		rt_pd *free;
		rt_atomicptr chunk[27]; /* each twice the one before: 2^32 and more */
	} pds;
} rt_sched;

typedef struct rt_array { /* of any type, in pages of its own, zero-filled at first */
	void *p;
	size_t bytes;
} rt_array;
/* traceback.c. Room for need bytes; what was in there stays. False: no memory, and nothing has changed. */
bool rt_array_fit(rt_array *a, size_t need);
void rt_array_free(rt_array *a);

/* Text of any length, in pages of its own; always NUL-terminated; p NULL = "". */
typedef struct rt_text {
	char *p;
	size_t n, cap;
} rt_text;

typedef struct rt_traceback { /* GOTRACEBACK: see traceback.c */
	int level;
	bool all, crash;
} rt_traceback;

typedef struct rt_gstate { /* what a report says of a goroutine besides its frames */
	uint64_t goid, parent;
	void *creator;
	bool locked;
	uint32_t mid;
	const void *g, *m;       /* only printed */
} rt_gstate;

typedef struct rt_failure { /* of the goroutine that ended the run, if one did */
	bool there, fatal;
	rt_gstate g;
	be_fault_trace trace;
} rt_failure;

/* NONE -run-> ACTIVE -claim-> CLAIMED (its author writes runcode and the text) -wake-> ENDING (the
 * host's M leaves its loop) -> NONE */
enum { RT_RUN_NONE = 0, RT_RUN_ACTIVE = 1, RT_RUN_CLAIMED = 2, RT_RUN_ENDING = 3 };

struct gort_runtime {
	rt_sched sched;
	rt_trace trace;
	rt_stackpool *stacks;
	struct rt_gc *gc;        /* gc/gc_impl.h */
	rt_atomic32 gcmark;      /* 0, or the collection that marks: changes only with the world stopped */
	rt_atomic32 gcbusy;      /* 1: it marks, or there may be something to sweep: for Ps without work */
	void *watch;             /* watch/listener.c */
	rt_seeded *seeded;         /* seeded.c; NULL: production */
	struct rt_sematable *sema; /* sync/sema.c */
	struct rt_pools *pools;  /* sync/pool.c */
	uint32_t serial;         /* no other runtime's in this process, never 0; set once, there */
	rt_mutex groups;         /* rank group: sync/group.c */
	struct rt_net *net;      /* net/fd.c */
	rt_fixalloc defers;      /* builtin/panic.c: blocks of deferred calls */
	rt_upcalls up;
	gort_config cfg;         /* as given; debug copied */
	rt_debugvars debug;
	uint64_t forkgen;        /* of the process that made it */
	int64_t born;            /* when it was made */
	rt_mutex life;           /* rank life */
	rt_atomic32 visitors;    /* calls that touch it; written under the registry's lock: api/runtime.c */
	bool running;            /* guarded by life: a thread is in gort_runtime_run */
	rt_atomic32 runs;        /* +1 at the end of each, when its goroutines are dropped; world stopped */
	/* the run in progress */
	rt_atomic32 runstate;    /* RT_RUN_*; the end of a run is claimed by compare-and-swap */
	int runcode;             /* written by who claimed the end */
	int deadlock;            /* it was claimed by checkdead: the host M writes the text */
	rt_m *host;              /* the M of gort_runtime_run; guarded by sched.lock */
	rt_atomic32 mainexited;  /* main called gort_goexit */
	rt_atomicptr module;     /* fault.c: that of the last main, or NULL; handlers read it */
	rt_array failed;         /* gort_goroutine[nfailed]: of the moment when the last run failed */
	size_t nfailed;
	rt_mutex dumplock;       /* rank dumps */
	struct rt_dump *dumps;   /* guarded by it: watch/goroutines.c */
	rt_text error;           /* for gort_runtime_error: by who claimed the end, then by the host */
	rt_failure failure;      /* by who claimed the end */
	rt_traceback traceback;  /* set once */
	gort_runtime *next;      /* registry */
	char *debugtext;
};

static inline int rt_gomaxprocs(const gort_runtime *rt)
{
	return (int)rt_load32_acq(&rt->sched.gomaxprocs);
}

/* For the collector. timer.c: the alarms of pp, as heap pointers. traceback.c: the bounds of a stack; NULL: unknown. */
void rt_timers_roots(rt_p *pp, void (*visit)(void *data, void **slot), void *data);
void rt_g_bounds(const rt_g *gp, void **lo, void **hi);

/* The one door to a G's status. */
static inline void rt_gstatus_set(rt_g *gp, uint32_t from, uint32_t to)
{
	RT_ASSERT(rt_load32_rlx(&gp->status) == from);
	(void)from;
	rt_store32_rel(&gp->status, to);
}

/* groups: GORT_TRACE_*; is any of them traced? */
static inline bool rt_traced(gort_runtime *rt, uint32_t groups)
{
	return RT_UNLIKELY((rt_load32_rlx(&rt->trace.groups) & groups) != 0);
}

/* RT_TRACE(mp, SCHED, GO_START, gp, a0, a1, a2): one predictable branch when off. */
#define RT_TRACE(mp, group, event, gp, a0, a1, a2)                                                 \
	do {                                                                                       \
		if (rt_traced((mp)->rt, GORT_TRACE_##group))                                       \
			rt_trace_emit((mp), GORT_EV_##event, (gp), (uint64_t)(a0), (uint64_t)(a1), \
			              (uint64_t)(a2));                                             \
	} while (0)
/* The same on a thread that has no M of this runtime. gp: the goroutine that it is about. */
#define RT_TRACE_OUTSIDE(rt, group, event, gp, a0, a1, a2)                                         \
	do {                                                                                       \
		if (RT_UNLIKELY(rt_load32_rlx(&(rt)->trace.groups) & GORT_TRACE_##group))          \
			rt_trace_emit_outside((rt), GORT_EV_##event, (gp), (uint64_t)(a0),         \
			                      (uint64_t)(a1), (uint64_t)(a2));                     \
	} while (0)
/* The same on any thread, about whoever it runs. */
#define RT_TRACE_HERE(rt, group, event, a0, a1, a2)                                                \
	do {                                                                                       \
		if (rt_traced((rt), GORT_TRACE_##group))                                           \
			rt_trace_emit_here((rt), GORT_EV_##event, (uint64_t)(a0), (uint64_t)(a1),  \
			                   (uint64_t)(a2));                                        \
	} while (0)
/* sched/trace.c. gp: the goroutine that it is about, which the caller owns, or NULL. For GO_CREATE and
 * GO_UNBLOCK that is the goroutine created or made runnable, and who did it is mp->curg. */
void rt_trace_emit(rt_m *mp, unsigned event, rt_g *gp, uint64_t a0, uint64_t a1, uint64_t a2);
void rt_trace_emit_outside(gort_runtime *rt, unsigned event, rt_g *gp, uint64_t a0, uint64_t a1,
                           uint64_t a2);
void rt_trace_emit_here(gort_runtime *rt, unsigned event, uint64_t a0, uint64_t a1, uint64_t a2);
/* The same by who has stopped the world: after all that Ps have done. */
void rt_trace_emit_stopped(gort_runtime *rt, unsigned event, rt_g *gp, uint64_t a0, uint64_t a1);
void rt_trace_emit_user(rt_m *mp, const char *name, uint64_t value); /* GORT_EV_USER */

#endif
