/* gc_impl.h: the collector's records. Only gc/ and its tests include it, and core/api by quick.h. */
#ifndef CORE_GC_IMPL_H
#define CORE_GC_IMPL_H

#include "core/alloc/malloc.h"
#include "core/alloc/mheap.h"
#include "core/alloc/scavenge.h"
#include "core/alloc/special.h"
#include "core/alloc/sweep.h"
#include "core/base/valgrind.h"
#include "core/gc/gc.h"
#include "core/gc/pacer.h"
#include "core/gc/type.h"
#include "core/gc/work.h"
#include "core/sched/sched_impl.h"

/* A piece is what an assist or a worker does without looking up. Go's oblets are of 128 KiB, and full of pointers that
 * one kept an allocation waiting for 28 ms. */
enum { RT_WB_WORDS = 512, RT_OBLET = 8 << 10, RT_ROOT_BLOCK = 16 << 10 };

/* What a P has of the heap and the collector. Its owner is the M that has the P, with locks > 0;
 * others only with the world stopped. */
typedef struct rt_gcp {
	rt_mcache mc;
	rt_gcw w;
	uint32_t bitmap_max;     /* objects up to this size are told by a bitmap: RT_BITMAP_MAX, or 0: gc->types */
	uint32_t scan_min;       /* objects of types with so many pointers are scanned: 1; 0: heaptypes */
	int64_t credit;          /* bytes that may be allocated before an assist; negative: owed */
	int64_t owed;            /* besides that, from when there was nothing to do */
	unsigned misses;         /* how often in a row there was nothing */
	int64_t workns;          /* given to marking by this P in this collection, not in assists */
	uint32_t nwb;
	uintptr_t wb[RT_WB_WORDS]; /* barrier.c: old and new values of stores since the last flush */
} rt_gcp;

/* Somebody who marks: queues into w, and counts. Whoever holds it may be on a P or not. */
typedef struct rt_marker {
	struct rt_gc *gc;
	rt_gcw *w;
	uint64_t marked;         /* bytes of objects turned black or grey by it, not yet told */
	uint64_t heap, stack, globals; /* scan work, not yet told */
	uint64_t held;           /* bytes of the pages under that of stacks, not yet told */
	bool whole;              /* large objects are scanned at once, not in pieces that are queued */
	void (*found)(struct rt_marker *k, rt_span *s, uint32_t index, uintptr_t obj); /* instead of marking; or NULL */
	uintptr_t from;          /* the object that is scanned, for check.c */
	size_t fromsize;
	struct rt_ways *ways;    /* mark.c, while it works through the heap; else NULL */
} rt_marker;

typedef struct rt_root {     /* of gort_root_add */
	struct rt_root *next;
	char *start;
	size_t size;
} rt_root;

enum { RT_SP_FINALIZER = 1, RT_SP_WEAK = 2, RT_SP_CLEANUP = 3 }; /* rt_special.kind */

typedef struct rt_due {      /* a finalizer or cleanup: it hangs on its object, then stands in a queue */
	rt_special head;     /* first */
	gort_code fn;
	void *obj;           /* of a finalizer; else NULL */
	void *arg;
} rt_due;

_Static_assert(sizeof(rt_due) <= RT_SPECIAL_BYTES, "it is one of those records");

/* A pointer that does not count, with a word more: it shares no block with others. A heap object without pointers. */
struct gort_weak {
	rt_atomicptr obj;    /* weak.c */
	uintptr_t unused;
};

typedef struct rt_weak {     /* hangs on the object */
	rt_special head;     /* first */
	gort_weak *handle;
} rt_weak;

_Static_assert(sizeof(rt_weak) <= RT_SPECIAL_BYTES, "it is one of those records");

enum { RT_FIN_NONE, RT_FIN_PARKED, RT_FIN_AWAKE };

typedef struct rt_finq {
	rt_mutex lock;       /* rank gcfin */
	/* guarded by lock */
	rt_due *head, *tail; /* through head.next: first come, first served */
	rt_due *next;        /* where root jobs go on */
	rt_g *runner;        /* NULL: it has not begun */
	uint8_t state;       /* of the runner: RT_FIN_*; NONE also changes with the world stopped */
	rt_atomic32 left;    /* 1: root jobs are left; written under lock */
	bool stopped;        /* who sweeps has stopped the world: nobody is woken; changes while it is stopped */
} rt_finq;

typedef struct rt_collector { /* what an experiment compares: chosen when the runtime is made */
	const char *name;
	bool collects;           /* at all */
	bool concurrent;         /* marks while the program runs; else with the world stopped */
} rt_collector;

/* The words of static data that lie at `place`; [from, to) is a copy perhaps. */
typedef void (*rt_wordsfn)(struct rt_gc *gc, void *arg, uintptr_t place, const void *from, const void *to);
typedef struct rt_shadow rt_shadow; /* shadow.c */

typedef struct rt_datascan { /* data.c */
	bool on;                 /* GORT_SCAN_DATA; set once */
	be_thread thread;
	rt_wordsfn look;         /* what it does with the words; by who asks, before */
	void *arg;
	rt_atomic32 state, go;   /* both are parked on */
	rt_atomic32 marked;      /* 1: the collection that marks beside the program has seen all; a snapshot may have
	                          * asked since */
} rt_datascan;

enum { RT_GC_PAUSES = 256 }; /* kept for gort_mem_stats */
enum { RT_CTL_NONE = 0, RT_CTL_PARKED = 1, RT_CTL_AWAKE = 2 }; /* rt_gc.control */

typedef struct rt_gc {
	rt_mheap heap;
	gort_runtime *rt;        /* set once */
	const rt_collector *kind; /* set once */
	rt_workpool pool;

	/* any thread */
	rt_atomic64 trigger;     /* heap.live at which a collection begins; UINT64_MAX: never */
	rt_atomic64 goal;
	rt_atomic64 assist_ratio; /* bits of a double: scan work for each byte allocated; while marking */
	rt_atomic64 credit;      /* scan work done in the background, for assists to take */
	rt_atomic64 marked, heap_scan, stack_scan, globals_scan; /* so far, as far as told */
	rt_atomic64 stack_held;  /* the same: pages of goroutines' stacks down to where they were used */
	rt_atomic64 outside;     /* what counts for the memory limit beside heap.mem, when that was last seen: pace.c */
	rt_atomic64 assist_ns, idle_ns, worker_ns; /* CPU, from the beginning on */
	rt_atomic64 pause_ns;    /* by the clock, of all that have ended: world stopped */
	rt_atomic32 full;        /* 1: the CPU limiter lets none begin because the heap has grown to the memory limit */
	rt_atomic32 bylimit;     /* 1: that sets the goal, and not GOGC */
	rt_atomic32 limited;     /* the collection in which the CPU limiter was last switched on; 0: none */
	rt_atomic32 active;      /* markers at work */
	rt_atomic32 hungry;      /* 1: somebody who owes work has found none */
	rt_atomic32 together;    /* 1: the world is stopped, and other threads may help to mark */
	rt_atomic32 helped;      /* how often one did; for tests */
	rt_atomic32 jobs;        /* root jobs that were given out */
	rt_atomic32 rootsleft;   /* 1: blocks of rt_root are left */
	rt_atomicptr gcursor;    /* next goroutine to be scanned; NULL: none is left */
	rt_atomic32 overflow;    /* 1: a marked object could not be queued; cycle.c looks for it */
	rt_atomic32 waiting;     /* 1: the controller waits until nothing is left to mark */
	rt_atomic32 want;        /* 1: a collection is asked for */
	rt_atomic32 control;     /* RT_CTL_* */
	rt_atomic32 started, ended; /* collections; ended: marked */
	rt_atomic32 force;       /* 1: the next one is asked for by the program */
	rt_atomic32 bytime;      /* 1: by the clock */
	rt_atomic32 dedicated;   /* Ps that only mark, now */
	rt_atomic64 last;        /* when the last one ended */

	/* the controller, or world stopped */
	rt_g *controller;
	rt_pacer pacer;
	rt_pacer_workers workers;
	int stress;              /* GODEBUG gcstress; set once */
	bool check;              /* GODEBUG gccheckmark; set once */
	bool types;              /* GODEBUG heaptypes, gccheckmark: objects with pointers carry a type; set once */
	bool compares;           /* shadow.c has something to find; set once */
	bool comparing;          /* it has the memory for it, in this collection */
	rt_shadow *shadows;      /* of all arenas that have one */
	bool valgrind;           /* we run under it; set once */
	int cpus;                /* of the machine for this process; set once */
	rt_atomic32 stressed;    /* allocations since the last collection by it */
	uint32_t serial;         /* of collections that were begun, also those broken off */
	uint8_t mark;            /* of this collection: what rt_g.gcscan becomes */
	rt_atomic32 njobs;       /* root jobs of this collection; set while the world is stopped. The last are those */
	uint32_t alarmjobs;      /* of specials, behind so many of alarms */
	bool dirty;              /* marking was broken off: old mark bits are left */
	bool forced;             /* somebody asked for this one */
	bool timed;              /* the clock did */
	uint8_t trims;           /* stacks, in this collection: RT_TRIM_* */
	rt_atomic32 trimall;     /* the next gives back what is unused of all parked stacks */
	int64_t trimmed;         /* when one began that did */
	uint32_t bornoutside;    /* sched.nbornoutside when marking began */
	int64_t began, stopped;  /* times of this collection */
	int64_t pause1, pause2;
	uint64_t cyclegoal;      /* goal of this collection */
	uint64_t lastgoal, lastinuse; /* goal, and bytes in spans, when the last collection had marked; 0: none has */
	uint64_t live0, live1;   /* heap.live at the beginning and at the end of marking */
	uint64_t peak;           /* the largest live1 */
	int64_t assist0, idle0, worker0; /* the sums when this collection began */
	int64_t pausecpu;        /* CPU ns of all Ps while the world was stopped */
	uint32_t nforced;
	uint64_t pauses[RT_GC_PAUSES];    /* ns; of collection n at (n - 1) % RT_GC_PAUSES */
	uint64_t pauseends[RT_GC_PAUSES]; /* by the wall clock */

	/* sysmon */
	rt_scavworker scavworker;
	rt_limiter limiter;      /* what it says is `full` and heap.limiting */

	rt_datascan data;
	rt_finq fin;

	rt_mutex ctl;            /* rank gcctl */
	/* guarded by ctl */
	rt_waiter *waiters;      /* for the end of a collection: ticket = which one */
	rt_mutex rootlock;       /* rank gcroots */
	/* guarded by rootlock; rootmark also changes only with the world stopped */
	rt_root *roots;
	rt_root *rootnext;       /* where root jobs go on */
	size_t rootat;
	bool rootmark;           /* roots that come or go are to be looked at */
	rt_fixalloc rootrecords;
	struct rt_snapshot *snapshots; /* that were not given back: snapstore.c */
} rt_gc;

/* ---- mark.c -------------------------------------------------------------------------------------- */

void rt_gc_grey(rt_marker *k, uintptr_t word);          /* any word */
/* Many words whose objects no cache has: fn calls rt_gc_ask for each, and they wait together. */
void rt_gc_many(rt_marker *k, void (*fn)(rt_marker *k, void *arg), void *arg);
void rt_gc_ask(rt_marker *k, uintptr_t word);
void rt_gc_grey_old(rt_marker *k, uintptr_t word, const rt_mcache *mc); /* unless mc has made it just now */
void rt_gc_scan_words(rt_marker *k, const void *lo, const void *hi); /* conservatively */
void rt_gc_scan_inside(rt_marker *k, rt_span *s, uintptr_t obj); /* what obj points to; it may be white */
void rt_gc_mark_large(rt_gc *gc, rt_gcp *p, rt_span *s); /* made while marking: black. The small: mcache.c */
/* Marks until `budget` bytes of scan work are done or there is none left; scan work done. stop:
 * looked at now and then; may be NULL. */
uint64_t rt_gc_drain(rt_marker *k, uint64_t budget, bool (*stop)(void *arg), void *arg);
void rt_gc_tell(rt_marker *k);                           /* its counts to the collection's */
void rt_gc_each_marked(rt_marker *k);                    /* world stopped: scans every marked object */
void rt_gc_rescan(rt_marker *k);                         /* world stopped: all marked objects, after an overflow */
void rt_gc_each_span(rt_gc *gc, void (*fn)(rt_gc *gc, rt_span *s, void *arg), void *arg); /* world stopped */

/* ---- barrier.c ----------------------------------------------------------------------------------- */

void rt_wb_flush(rt_gc *gc, rt_gcp *p);

/* ---- roots.c ------------------------------------------------------------------------------------- */

void rt_roots_init(rt_gc *gc);
void rt_roots_fini(rt_gc *gc);
void rt_roots_prepare(rt_marker *k);                       /* world stopped, marking begins */
bool rt_roots_job(rt_marker *k);                         /* does one; false: none is left to be given out */
bool rt_roots_left(rt_gc *gc);
void rt_roots_goroutine(rt_marker *k, rt_g *gp);         /* all that it holds */
void rt_roots_late(rt_marker *k);                        /* world stopped: goroutines that nobody has seen */
void rt_roots_scan(rt_g *gp);                            /* up-calls gc_scan, gc_born */
void rt_roots_born(rt_g *gp);

void rt_roots_alarms(rt_gc *gc, rt_gcw *w, rt_p *pp);    /* world stopped: once more */

/* ---- special.c ----------------------------------------------------------------------------------- */

/* The object that p points into, or 0; its span is swept. The caller has a P, and locks > 0 as long as it uses the
 * answer. */
uintptr_t rt_gc_find(rt_gc *gc, const void *p, rt_span **s);
/* Hangs r on an object of s, as found by that. False: there is one of the kind, and unique was asked for. */
bool rt_gc_hang(rt_gc *gc, rt_span *s, uintptr_t obj, rt_special *r, unsigned kind, bool unique);
void *rt_gc_special_new(rt_gc *gc);                      /* for it; without memory the run ends */
void rt_specials_job(rt_marker *k, uint32_t i);          /* root job i of rt_special_parts */
void rt_specials_look(rt_marker *k);                     /* world stopped: all of them */
void rt_specials_sweep(rt_mheap *h, rt_mcache *mc, rt_span *s); /* rt_heaphooks.specials */

/* ---- finalizer.c --------------------------------------------------------------------------------- */

void rt_fin_queue(rt_gc *gc, rt_due *first, rt_due *last); /* by who sweeps */
void rt_fin_wake(rt_gc *gc);                             /* if something is due; with a P, holding nothing */
void rt_fin_prepare(rt_gc *gc);                          /* world stopped, marking begins */
bool rt_fin_job(rt_marker *k);                           /* does a root job; false: none is left */
void rt_fin_look(rt_marker *k);                          /* world stopped: all of the queue */
bool rt_fin_idle(const rt_g *gp, uint32_t status);       /* the runner, with nothing of the program on its stack */
void rt_fin_gone(rt_g *gp);                              /* up-call gc_gone */
void rt_fin_drop(rt_gc *gc);                             /* world stopped: the runner is dropped */

/* ---- weak.c -------------------------------------------------------------------------------------- */

void rt_weak_clear(rt_gc *gc, rt_weak *r);               /* by who sweeps: its object is dead, or its finalizer due */

/* ---- assist.c ------------------------------------------------------------------------------------ */

void rt_mark_together(rt_marker *k);                     /* world stopped: until nothing is left; others help */
void rt_marker_enter(rt_gc *gc);
bool rt_marker_leave(rt_gc *gc);                         /* the caller has a P. True: it has readied the controller */
bool rt_gc_nothing_left(rt_gc *gc);                      /* for now, as far as can be seen */
void rt_assist(rt_gc *gc, size_t bytes);                 /* so many were allocated while marking; inside the runtime */
bool rt_gc_work(rt_m *mp, bool idle);                    /* up-calls */
bool rt_gc_any(gort_runtime *rt);

/* ---- snapstore.c; the rest of it stands in snapshot.h --------------------------------------------- */

void rt_snapshots_fini(rt_gc *gc);

/* ---- check.c: world stopped, marking is done -------------------------------------------------------- */

void rt_gc_check(rt_gc *gc);
void rt_gc_missed(rt_marker *k, rt_span *s, uintptr_t obj);
void rt_gc_print_slot(const gort_type *t, uintptr_t obj, size_t at); /* the word there; t: as of rt_object_type */

/* ---- shadow.c: with gccheckmark, beside the program ---------------------------------------------------- */

void rt_shadow_begin(rt_gc *gc);                         /* world stopped, marking begins */
void rt_shadow_store(rt_gc *gc, const void *slot, const void *value); /* comes there now, by a barrier */
void rt_shadow_made(rt_gc *gc, rt_slot o, bool watch);   /* o is new; watch: it needs barriers from now on */
void rt_shadow_anything(rt_gc *gc, const void *slot, size_t size); /* these are not looked at any more */
void rt_shadow_check(rt_gc *gc);                         /* world stopped, marking is done */
void rt_shadow_fini(rt_gc *gc);

/* ---- pace.c -------------------------------------------------------------------------------------- */

uint64_t rt_gc_record_bytes(rt_gc *gc);                  /* stats.c: what records of fixed size have taken */
void rt_gc_count_outside(rt_gc *gc);                     /* world stopped: `outside`, and what the heap may have */
void rt_gc_repace(rt_gc *gc);                            /* goal, trigger and assists from what is known now */
void rt_gc_pace_scavenger(rt_gc *gc);                    /* world stopped, or at boot: what the heap may keep */

/* ---- cycle.c ------------------------------------------------------------------------------------- */

void rt_gc_trigger(rt_gc *gc);                           /* the heap has reached the trigger, or gcstress says so */
void rt_gc_request(rt_gc *gc);                           /* a collection is to begin; the caller has a P */
void rt_gc_wait(rt_gc *gc, bool swept);                  /* for the end of one that begins from now on */
void rt_gc_wait_marked(rt_gc *gc);                       /* for the end of the one that marks now, if one does */
void rt_gc_next_mark(rt_gc *gc);                         /* another number for gc->mark */
void rt_gc_drop(gort_runtime *rt);                       /* up-call */
int64_t rt_gc_cpu(const rt_gc *gc);                      /* controller, or world stopped: CPU ns, idle Ps' not */
int rt_gc_cpus(const rt_gc *gc);                         /* that a pause takes */
void rt_gc_yield_point(void);                            /* in a long piece of work of a goroutine: others may run */

/* ---- gctrace.c ----------------------------------------------------------------------------------- */

void rt_gctrace(const rt_gc *gc, int64_t now);           /* of the collection that has just ended; controller */

/* ---- data.c: if gc->data.on ---------------------------------------------------------------------- */

bool rt_data_settled(rt_gc *gc);                         /* the reader can be asked */
void rt_data_ask(rt_gc *gc, bool go, rt_wordsfn look, void *arg); /* go: as soon as it has the loader's lock */
bool rt_data_done(rt_gc *gc);                            /* all of it is marked; after an ask with go */
/* World stopped: asks. False: who stands has the lock, or who asked before him is not done; try again later. */
bool rt_data_hold(rt_gc *gc, int try, rt_wordsfn look, void *arg);
void rt_data_go(rt_gc *gc);                              /* world stopped, after that: looks at all of it */
/* rt_wordsfn of a collection */
void rt_data_mark(rt_gc *gc, void *arg, uintptr_t place, const void *from, const void *to);
void rt_data_drop(rt_gc *gc);                            /* world stopped: nobody is interested any more */

/* ---- tick.c -------------------------------------------------------------------------------------- */

int64_t rt_gc_tick(gort_runtime *rt, int64_t now);       /* up-call */

/* Many words of a stack, and of a block without a type, were never written by anybody, and some lie between
 * a signal's frame and the sp that it found, where nothing should be read. Memcheck is told that this read
 * is meant, and that our copy of the word counts as written: what is there is still what it was, and what
 * the collector does besides is watched. Also for words of objects: small blocks without a type have the
 * same bitmaps as those with one. */
static inline RT_LOOKS_ANYWHERE uintptr_t rt_gc_word(const rt_gc *gc, uintptr_t at)
{
	const volatile uintptr_t *p = (const volatile uintptr_t *)at;

	return RT_UNLIKELY(gc->valgrind) ? rt_valgrind_word(p) : *p;
}

static inline rt_gc *rt_gc_of(rt_m *mp)
{
	return mp->rt->gc;
}

static inline double rt_bits_double(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

static inline uint64_t rt_double_bits(double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof bits);
	return bits;
}

#endif
