/* mheap.h: the heap of one runtime: arenas, pages, spans, central lists.
 *
 * request -> mcache (per P, no lock) -> mcentral (per span class, lock-free) -> page cache (per
 * P) -> mheap (one lock) -> system. See mheap.c for spans and growth, and docs/design/alloc.md
 * for the whole. */
#ifndef CORE_ALLOC_MHEAP_H
#define CORE_ALLOC_MHEAP_H

#include "core/alloc/gcbits.h"
#include "core/alloc/mcentral.h"
#include "core/alloc/memstats.h"
#include "core/alloc/pagealloc.h"
#include "core/alloc/fixalloc.h"
#include "core/include/gort.h"

typedef struct rt_reservation { /* what the system gave in one piece */
	struct rt_reservation *next;
	void *base;
	size_t size;
	rt_arena *arenas;  /* their tables, one after the other */
	size_t tables;     /* bytes of that */
	uint32_t n;
} rt_reservation;

/* What the collector hangs in, before the heap is used; NULL where there is nothing to do.
 * Called with a P that does not change (locks > 0), holding no lock of the heap. */
typedef struct rt_heaphooks {
	/* Before a span with specials is swept: deals with those of unmarked objects. May set
	 * mark bits, and then adds to h->live. The world may be stopped. */
	void (*specials)(rt_mheap *h, rt_mcache *mc, rt_span *s);
	/* An event of this thread's, any, which holds no lock of a rank from `tracebuf` on. */
	void (*trace)(rt_mheap *h, unsigned event, uint64_t a0, uint64_t a1, uint64_t a2);
	const rt_atomic32 *traced; /* the groups of events that are, GORT_TRACE_*; never NULL */
	void *data;
} rt_heaphooks;

struct rt_mheap {
	rt_sysmem mem;
	rt_arenamap map;
	rt_spantable spans;
	rt_gcbits bits;
	rt_fixalloc specials;     /* records of special.h */
	rt_heaphooks hooks;       /* set once */
	rt_atomic32 untraced;     /* hooks.traced of a heap without a runtime: 0 */
	bool clobberfree;         /* set once: sweeping fills free slots with 0xdeadbeef */

	/* set with the world stopped; read by anybody */
	rt_atomic32 sweepgen;
	rt_mcentral central[RT_NSPANCLASS];
	rt_atomic64 classes[(RT_NSPANCLASS + 63) / 64]; /* 1: there has ever been a span of it; any thread */

	/* any thread */
	rt_atomic64 live;         /* bytes allocated since the last collection and marked by it; over-estimated by
	                           * what is free in cached spans. The pacer's heapLive */
	rt_atomic64 scannable;    /* of those in scan spans allocated since; what caches have is added when they are
	                           * released. With that: the pacer's heapScan */
	rt_atomic64 pages_inuse;  /* of spans */
	rt_atomic64 inuse;        /* bytes in spans. inuse + free + released = Prepared */
	rt_atomic64 free;         /* Ready bytes in no span */
	rt_atomic64 released;     /* Prepared, not Ready */
	rt_atomic64 limit;        /* its part of the memory limit; INT64_MAX = none */
	rt_atomic32 limiting;  /* 1: by the CPU limiter; allocations give nothing back then */
	rt_memcounters global;    /* by threads without a cache, and of caches that are gone */

	struct rt_sweepstate {    /* sweep.c */
		rt_atomic32 active;    /* sweepers at work; the top bit: everything is swept */
		rt_atomic32 cursor;    /* the class that the sweepers have come to */
		rt_atomic64 swept;     /* pages, in this cycle */
		rt_atomic64 basis;     /* live when the ratio was set */
		rt_atomic64 basispages; /* swept then */
		rt_atomic64 ratio;     /* bits of a double: pages for each byte allocated; 0 = nothing is due */
		rt_atomic64 reclaim;   /* page number that reclaiming has come to; from RT_RECLAIMED on: through */
		rt_atomic64 credit;    /* pages that were reclaimed beyond need */
	} sweep;
	struct rt_scavstate {     /* scavenge.c */
		rt_atomic64 percent_goal; /* of what is in spans and free together; UINT64_MAX = none */
		rt_atomic64 limit_goal;   /* of all Ready memory */
		rt_atomic64 background, eager; /* bytes given back */
		rt_atomic64 background_ns, assist_ns; /* what that has cost */
	} scav;

	RT_CACHE_ALIGNED rt_mutex lock; /* rank mheap */
	/* guarded by lock */
	rt_pagealloc pages;
	rt_reservation *reservations;
	char *hint;               /* where the next arena would be best */
	size_t nextchunk, endchunk; /* chunks of the newest reservation that are not mapped yet */
	rt_fixalloc records;      /* of reservations */
};

void rt_mheap_init(rt_mheap *h, rt_debugvars *debug); /* asks the system for nothing yet */
void rt_mheap_fini(rt_mheap *h); /* gives everything back, whatever caches hold; takes no lock */

/* A span of npages for objects of spc, in no list, with bits, published: nothing in it is
 * allocated. mc NULL: the caller has no P. NULL: no memory. *needzero in the span tells whether
 * its memory may hold something. */
rt_span *rt_span_alloc(rt_mheap *h, rt_mcache *mc, size_t npages, unsigned spc, size_t elemsize);
/* An empty one goes back to the page heap. */
void rt_span_free(rt_mheap *h, rt_mcache *mc, rt_span *s);
/* Sets or clears the arena's bit after the list of specials has changed; under s->speciallock. */
void rt_span_note_specials(rt_mheap *h, rt_span *s);

static inline bool rt_heap_traced(const rt_mheap *h, uint32_t groups)
{
	return RT_UNLIKELY((rt_load32_rlx(h->hooks.traced) & groups) != 0);
}

/* RT_HEAP_TRACE(h, HEAP, SCAVENGE, a0, a1, a2): two loads when off. Holds no lock of a rank from `tracebuf` on. */
#define RT_HEAP_TRACE(h, group, event, a0, a1, a2)                                                 \
	do {                                                                                       \
		if (rt_heap_traced((h), GORT_TRACE_##group))                                       \
			(h)->hooks.trace((h), GORT_EV_##event, (uint64_t)(a0), (uint64_t)(a1),     \
			                 (uint64_t)(a2));                                          \
	} while (0)

/* Whether s is in use and p points between its first and last object. Any record, any word. */
static inline bool rt_span_holds(const rt_span *s, uintptr_t p)
{
	return rt_load32_acq(&s->state) == RT_SPAN_INUSE && p < (uintptr_t)s->limit && p >= (uintptr_t)s->base;
}

/* The span in use that p points into, between its first and last object; or NULL. Any word. */
static inline rt_span *rt_span_of(const rt_mheap *h, uintptr_t p)
{
	rt_arena *a = rt_arena_of(&h->map, p);
	rt_span *s = a != NULL ? rt_arena_span(a, p) : NULL;

	return s != NULL && rt_span_holds(s, p) ? s : NULL;
}

/* s has a marked object: reclaiming passes by spans without one. */
static inline void rt_page_marked(rt_mheap *h, const rt_span *s)
{
	uintptr_t base = (uintptr_t)s->base;

	(void)rt_bit_set(rt_arena_of(&h->map, base)->marked, rt_arena_page(base));
}

/* The initialised object that p points into: its start, or 0. What the collector asks of every
 * word. */
static inline uintptr_t rt_object_find(const rt_mheap *h, uintptr_t p, rt_span **span,
                                       uint32_t *index)
{
	rt_span *s = rt_span_of(h, p);

	if (s == NULL)
		return 0;
	*index = rt_span_index(s, p);
	if (!rt_span_allocated(s, *index))
		return 0;
	*span = s;
	return (uintptr_t)rt_span_object(s, *index);
}

#endif
