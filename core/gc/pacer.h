/* pacer.h: when to collect, with how many workers, and how much an allocating goroutine has to help.
 *
 * Pure functions over what was counted: no clock, no heap, no lock. See pacer.c. */
#ifndef CORE_GC_PACER_H
#define CORE_GC_PACER_H

#include <stdbool.h>
#include <stdint.h>

#define RT_GC_UTILIZATION 0.25     /* of all Ps, while a collection marks */
#define RT_GC_HEAP_MIN ((uint64_t)4 << 20)
#define RT_GC_ASSIST_MIN ((int64_t)64 << 10) /* bytes of scan work; pays for allocations to come */
#define RT_GC_SWEEP_DISTANCE ((uint64_t)1 << 20)
#define RT_GC_CREDIT_SLACK 2000    /* bytes of scan work that a P keeps to itself */
#define RT_GC_CHECK 100000         /* bytes of scan work between two looks at the clock */

/* What the memory limit is compared with; bytes. */
typedef struct rt_pacer_memory {
	uint64_t ready;      /* mapped and not given back */
	uint64_t heap_free;  /* of that: free pages */
	uint64_t heap_alloc; /* of that: objects, live or not yet swept */
} rt_pacer_memory;

typedef struct rt_pacer {
	int percent;             /* GOGC; negative = off */
	uint64_t limit;          /* GOMEMLIMIT; INT64_MAX = none */
	/* by rt_pacer_end and rt_pacer_commit */
	uint64_t heap_marked;    /* live at the end of the last collection */
	uint64_t heap_scan;      /* scan work that it did in the heap, in stacks, in globals */
	uint64_t stack_scan, globals_scan;
	uint64_t percent_goal;   /* UINT64_MAX = none */
	uint64_t runway;         /* bytes that will be allocated while a collection marks */
	uint64_t min_trigger;    /* so that sweeping can end before; 0 = it has */
	uint64_t triggered;      /* heap_live when the collection in progress began; UINT64_MAX = none runs */
	double cons_mark[5];     /* bytes allocated for a byte scanned, as CPU time: the newest first */
} rt_pacer;

void rt_pacer_init(rt_pacer *p, int percent, uint64_t limit);
/* After the settings or the results have changed. heap_live: from where sweeping starts; swept:
 * there is nothing to sweep. */
void rt_pacer_commit(rt_pacer *p, uint64_t heap_live, bool swept);
uint64_t rt_pacer_limit_goal(const rt_pacer *p, const rt_pacer_memory *m);
uint64_t rt_pacer_goal(const rt_pacer *p, const rt_pacer_memory *m);
uint64_t rt_pacer_trigger(const rt_pacer *p, const rt_pacer_memory *m);

typedef struct rt_pacer_workers {
	int dedicated;       /* Ps that only mark */
	double fractional;   /* what each of the others gives */
} rt_pacer_workers;
rt_pacer_workers rt_pacer_workers_for(int procs);

typedef struct rt_pacer_progress {
	uint64_t heap_live;
	uint64_t work;       /* scanned so far, all kinds */
	uint64_t most;       /* if everything were live: scannable heap, stacks, globals */
} rt_pacer_progress;
/* Bytes of scan work for each byte allocated. */
double rt_pacer_assist(const rt_pacer *p, uint64_t goal, const rt_pacer_progress *now);

typedef struct rt_pacer_cycle { /* how a collection went, until its marking was done */
	uint64_t heap_live;      /* then */
	uint64_t heap_scan, stack_scan, globals_scan;
	uint64_t marked;         /* bytes of live objects */
	int64_t duration, assist, idle; /* ns: of marking; spent in assists and by idle workers, all Ps */
	int procs;
	bool forced;             /* says nothing about how the program allocates */
} rt_pacer_cycle;
void rt_pacer_end(rt_pacer *p, const rt_pacer_cycle *c);

/* Pages to sweep for each byte allocated, so that all are swept a little before the trigger: 1 MiB, but a 16th of the
 * way at most. Go always takes 1 MiB; of a heap of 4 MiB, whose trigger is near that, this is a third of the way, and
 * spans that were warm and about to be used again become pages, which are used from the lowest on. */
double rt_pacer_sweep(uint64_t pages, uint64_t heap_live, uint64_t trigger, uint64_t page);

/* A leaky bucket that keeps the collector below half of all CPU time: filled by its time, drained by the
 * program's. While it is full no collection begins because the heap has grown to the memory limit. One that is under
 * way goes on, into a second bucket of that size; while that is full, too, there are no assists, and allocations give
 * nothing back for the memory limit. */
typedef struct rt_limiter {
	int64_t fill, capacity; /* CPU ns; capacity: of one of the two */
	bool full, limiting;
	struct rt_limiter_totals {
		int64_t when;      /* the moment */
		int64_t workers;   /* CPU ns of marking by Ps that owe a share */
		int64_t paused;    /* ns, by the clock, with the world stopped */
		int64_t assists;   /* CPU ns of goroutines, for marking and for giving back */
		int64_t idle;      /* CPU ns of marking by Ps that had nothing else to do */
	} was;
	int idleps;            /* Ps that did nothing then */
} rt_limiter;
void rt_limiter_init(rt_limiter *l, int64_t now);
void rt_limiter_capacity(rt_limiter *l, int procs);
void rt_limiter_add(rt_limiter *l, int64_t gc, int64_t mutator);
/* Time has passed. What has been done by now, from the beginning on; how many of the Ps do nothing. False: too little
 * time to be looked at. */
bool rt_limiter_update(rt_limiter *l, const struct rt_limiter_totals *now, int procs, int idleps);

#endif
