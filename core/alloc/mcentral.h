/* mcentral.h: the spans of one span class that no P has.
 *
 * Four sets: spans with free slots and full ones, each swept and unswept. Which is which
 * alternates with every collection, when sweepgen grows by 2: what was swept is unswept from
 * then on, and the two unswept sets, empty by then, are the new swept ones. A set is a lock-free
 * stack: see mcentral.c. */
#ifndef CORE_ALLOC_MCENTRAL_H
#define CORE_ALLOC_MCENTRAL_H

#include "core/alloc/span.h"

typedef struct rt_mheap rt_mheap;
typedef struct rt_mcache rt_mcache;

typedef struct rt_spanset { /* any thread */
	rt_atomic64 head; /* number of the first span; above it a count of changes */
} rt_spanset;

typedef struct rt_mcentral {
	RT_CACHE_ALIGNED rt_spanset partial[2];
	rt_spanset full[2];
} rt_mcentral;

/* set is element i of its pair. */
void rt_spanset_push(rt_spantable *t, rt_spanset *set, unsigned i, rt_span *s);
rt_span *rt_spanset_pop(rt_spantable *t, rt_spanset *set, unsigned i); /* NULL: it is empty */
static inline bool rt_spanset_empty(const rt_spanset *set)
{
	return (uint32_t)rt_load64_rlx(&set->head) == 0;
}

/* Which elements of a pair are swept; 1 - that are unswept. */
static inline unsigned rt_central_swept(uint32_t sweepgen)
{
	return sweepgen / 2 & 1;
}

/* A span with a free slot for mc, its window set; NULL: no memory. Sweeps up to 100 spans before
 * it asks for a new one. */
rt_span *rt_central_get(rt_mheap *h, rt_mcache *mc, unsigned spc);
/* mc gives it back. */
void rt_central_put(rt_mheap *h, rt_mcache *mc, rt_span *s);
/* For sweep.c. */
void rt_central_push_swept(rt_mheap *h, rt_span *s, uint32_t gen);
rt_span *rt_central_pop_unswept(rt_mheap *h, unsigned spc, uint32_t gen);

#endif
