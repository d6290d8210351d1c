/* sweep.h: takes back what was not marked, span by span, whenever somebody needs it.
 *
 * One collection's end makes everything unswept (rt_sweep_begin, world stopped). Then spans are
 * swept by who needs slots of their class, by who needs pages, in proportion to allocation, and
 * by the collector's background sweeper (rt_sweep_one). The next collection sweeps what is left
 * before it begins. */
#ifndef CORE_ALLOC_SWEEP_H
#define CORE_ALLOC_SWEEP_H

#include "core/alloc/mcache.h"

/* rt_sweepstate.reclaim from here on: all pages were looked at. Who looked before that and counts after it stays above,
 * however many they are: SIZE_MAX would become a page number again. */
#define RT_RECLAIMED (UINT64_C(1) << 63)

/* Before marking begins: no span of any arena has a marked object. */
void rt_mark_begin(rt_mheap *h);
/* With the world stopped, marking done, everything swept before: sweepgen += 2, bit generations turn.
 * Every P's cache, those of idle Ps too, goes through rt_mcache_prepare before its P allocates and
 * before the next rt_sweep_begin: a span that is cached is not on the lists. Whoever sweeps has a
 * P, or stops the world: sweepgen does not change meanwhile. */
void rt_sweep_begin(rt_mheap *h);
/* Between these two a thread takes spans from unswept lists and sweeps them. False: everything
 * is swept already. */
bool rt_sweep_enter(rt_mheap *h);
void rt_sweep_leave(rt_mheap *h);
/* Sweeps one span, any. Its pages; SIZE_MAX: there is none left. mc may be NULL. */
size_t rt_sweep_one(rt_mheap *h, rt_mcache *mc);
/* Everything is swept and nobody sweeps. */
bool rt_sweep_done(const rt_mheap *h);
/* Sees to it that s is swept: sweeps it, or waits until who sweeps it is through. */
void rt_sweep_span(rt_mheap *h, rt_mcache *mc, rt_span *s);
void rt_sweep_init(rt_mheap *h); /* of a new heap: there is nothing to sweep */
/* What the pacer wants: pages to sweep for each byte allocated from now on; 0: none. */
void rt_sweep_pace(rt_mheap *h, double pages_per_byte);
/* Sweeps what is due before `bytes` more are allocated. */
void rt_sweep_credit(rt_mheap *h, rt_mcache *mc, size_t bytes);
/* Pages that wait to be swept, roughly: for the ratio. */
uint64_t rt_sweep_pages(const rt_mheap *h);
/* Sweeps spans without a marked object until npages are free, or there are none. */
void rt_sweep_reclaim(rt_mheap *h, rt_mcache *mc, size_t npages);

/* Around a stretch of sweeping by who has mc, or has stopped the world; he does not park in between. What is swept in
 * it a trace sees as one pair of events; nothing swept: none. The functions above, and allocation, make stretches
 * of their own, but for rt_sweep_one: there the caller says how far one goes. mc may be NULL: nobody is told. */
void rt_stretch_note(rt_mheap *h, rt_mcache *mc, bool on);
static inline void rt_stretch_begin(rt_mheap *h, rt_mcache *mc)
{
	if (rt_heap_traced(h, GORT_TRACE_GC) && mc != NULL)
		rt_stretch_note(h, mc, true);
}
static inline void rt_stretch_end(rt_mheap *h, rt_mcache *mc)
{
	if (mc != NULL && RT_UNLIKELY(mc->stretch.on))
		rt_stretch_note(h, mc, false);
}

/* s is owned by the caller: sweepgen h-1. Frees what is not marked. keep: the caller goes on
 * owning s, which is in no list; else s goes where it belongs. True: its pages were freed, s is
 * gone. */
bool rt_span_sweep(rt_mheap *h, rt_mcache *mc, rt_span *s, bool keep);
/* h-2 -> h-1: the right to sweep s. */
static inline bool rt_span_acquire(rt_span *s, uint32_t sweepgen)
{
	return rt_load32_rlx(&s->sweepgen) == sweepgen - 2 &&
	       rt_cas32_full(&s->sweepgen, sweepgen - 2, sweepgen - 1);
}

#endif
