/* chooser.h: which of several goroutines goes on, as a function of a number: the choices of a seeded run (seeded.c).
 *
 * It knows the goroutines that wait for the processor (the pool) and is asked for the next. Each question with more
 * than one answer is a step; steps are counted from 1. One of three policies answers, and the seed says which:
 *
 *   walk   the one that runs stays with a probability of 1 - 2^-k, else all are equal. k is 0, 1, 2 or 4: small
 *          for races that need many switches, large for those that need a long stretch without one.
 *   pct    probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with
 *          Probabilistic Guarantees of Finding Bugs, ASPLOS 2010). Each goroutine has a random priority and the highest
 *          one runs; at d - 1 random steps of the first n the one that runs falls below all others. A bug that
 *          needs d constraints of order is found with a probability of at least 1 / (g * n^(d-1)) for g goroutines. The
 *          paper measures n first; a seed knows no other run, so it draws n, its logarithm evenly.
 *   plan   what gort_schedule_set was given; where that says nothing the usual answer.
 *
 * The usual answer is the one that runs, and else the one that has waited longest. What differs from it is a
 * gort_choice: a recorded run is these, and a plan of them repeats it. So a schedule with few entries is one with
 * few switches that nobody was forced to.
 *
 * Who yields lets others go first: it is not the one that runs, and under pct it falls below all others. So is one that
 * has stayed for FAIR steps: a loop that waits for a flag without yielding ends in every schedule.
 *
 * Nothing here depends on addresses or clocks. Priorities are drawn by the number that a goroutine has in its run.
 * Rejected: a draw at birth (one more word in each goroutine's record, which is full). */
#ifndef CORE_SCHED_CHOOSER_H
#define CORE_SCHED_CHOOSER_H

#include "core/sched/sched_impl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_CHANGES = 4 };

typedef struct rt_candidate {
	uint64_t key;     /* the greatest goes first */
	uint64_t arrival; /* ... and of equals the least */
	rt_g *gp;
} rt_candidate;

typedef struct rt_fallen { /* a goroutine with another priority than it was born with; goid 0: none */
	uint64_t goid, key;
} rt_fallen;

typedef struct rt_chooser {
	enum { RT_WALK, RT_PCT, RT_PLAN } policy;
	uint64_t seed;
	rt_rand rand;
	uint32_t stay;        /* walk: a mask; 0 in these bits of a draw: all are equal */
	uint64_t change[RT_CHANGES]; /* pct: steps, rising; UINT64_MAX: no more */
	unsigned changed;     /* how many of them are over */
	uint64_t lowest;      /* pct: the next to fall gets this key */
	uint64_t goid0;       /* the first number of the run */
	uint64_t step;        /* so far */
	uint32_t stayed;      /* steps for which the one that runs has stayed */
	uint64_t arrivals;
	uint32_t n;
	rt_array pool;        /* rt_candidate[n], a binary heap */
	uint32_t nfallen;
	rt_array fallen;      /* rt_fallen, a hash table with linear probing */
	bool recording;       /* choices are kept */
	bool forgot;          /* there was no memory for one */
	bool plans;           /* the next run has a plan */
	bool idle;            /* no run is in progress: attached threads go on as usual, and nothing is counted */
	size_t nkept, nplan, planned;
	rt_array kept, plan;  /* gort_choice[] */
} rt_chooser;

void rt_chooser_init(rt_chooser *c, uint64_t seed);
void rt_chooser_free(rt_chooser *c);
/* A run begins, whose first goroutine after main gets the number goid0; the pool is empty. */
void rt_chooser_begin(rt_chooser *c, uint64_t goid0);
/* The run is over, and the pool empty; what it has kept stays. */
void rt_chooser_end(rt_chooser *c);
/* Somebody of the pool, without a choice; NULL: there is nobody. */
rt_g *rt_chooser_take(rt_chooser *c);
/* There is room for one more. */
bool rt_chooser_fits(rt_chooser *c);
/* gp waits for the processor; there is room. yielded: it let others go first. */
void rt_chooser_add(rt_chooser *c, rt_g *gp, bool yielded);
/* Who goes on: somebody of the pool, who leaves it, or `runs`, which is not in it, or NULL if there is nobody. */
rt_g *rt_chooser_next(rt_chooser *c, rt_g *runs);
/* Of the next run; NULL: the seed's. False: no memory. */
bool rt_chooser_plan(rt_chooser *c, const gort_choice *plan, size_t n);

#endif
