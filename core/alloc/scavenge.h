/* scavenge.h: free pages go back to the system.
 *
 * How much: two goals, set after every collection from the pacer's numbers. When: a background
 * worker that takes 1 % of a CPU, in the hands of the scheduler's side; at once when the heap
 * grows beyond the goal, or would pass the memory limit. What: from the highest pages down,
 * whole huge pages first, none of chunks that are nearly full. See scavenge.c. */
#ifndef CORE_ALLOC_SCAVENGE_H
#define CORE_ALLOC_SCAVENGE_H

#include "core/alloc/mheap.h"

#define RT_SCAV_QUANTUM ((size_t)64 << 10)

/* Gives back up to `bytes`, at least, if there is so much. force: also of dense chunks. Returns
 * how much. Any thread, holding no lock of the heap. */
size_t rt_scavenge(rt_mheap *h, size_t bytes, bool force);
/* So much was given back: for the trace. Any thread, holding no lock of a rank from `tracebuf` on. */
void rt_scav_tell(rt_mheap *h, size_t bytes);
/* After a collection: goal of the heap then and of the one that ended, bytes in spans when
 * marking ended. */
void rt_scav_pace(rt_mheap *h, uint64_t goal, uint64_t last_goal, uint64_t last_inuse);
/* How much the background worker should give back now: 0 = sleep until the next collection. */
size_t rt_scav_due(const rt_mheap *h);
/* A new cycle, for the density of chunks. With the world stopped, or holding no lock. */
void rt_scav_cycle(rt_mheap *h);

/* The background worker: scavworker.c. One thread at a time, which calls turn when it comes by, also when nothing is to
 * be done. Works for less than 300 us. Returns when it wants to be called again: ns from now; -1: when the heap
 * has changed, that is after a collection, and when that is swept. */
typedef struct rt_scavworker rt_scavworker;
void rt_scavworker_init(rt_scavworker *w, int64_t now);
int64_t rt_scavworker_turn(rt_scavworker *w, rt_mheap *h, int procs, int64_t now);
/* Any thread: returns when the pages that the worker had in its hands are in the heap again. Up to a piece's time. */
void rt_scavworker_wait(rt_scavworker *w);

/* How long to sleep between pieces of work: a PI controller over the share of time. Pure. */
typedef struct rt_scavpacer {
	double ratio;      /* sleep so long: worked / ratio */
	double error;      /* integral */
	int64_t cooldown;  /* ns of rest after the controller went astray */
} rt_scavpacer;
void rt_scavpacer_init(rt_scavpacer *p);
/* worked and slept ns; returns how long to sleep before the next piece. */
int64_t rt_scavpacer_next(rt_scavpacer *p, int64_t worked, int64_t slept, int procs);

struct rt_scavworker {
	rt_scavpacer pacer;
	int64_t worked;    /* ns, in the turn that has begun; 0: none has */
	int64_t since, pause; /* when the last turn was over, and how long to sleep from then on */
	rt_mutex busy;     /* rank scavworker; held while pages are in the worker's hands */
	uint64_t dry;      /* the moment in the heap's life (moment()) at which nothing was found any more; 0: never */
};

#endif
