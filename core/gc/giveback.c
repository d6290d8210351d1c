/* giveback.c: gort_free_os_memory: pages go back now and not at the scavenger's pace.
 *
 * Pages that Ps have taken for later are collected first, with the world stopped, since nobody else may touch a P's
 * cache. What is given back is what was free at that moment and no more, or a program that frees all the while would
 * never be through. By pieces, so that others get their turns and the world can stop.
 */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

#define PIECE ((size_t)1 << 20)

static void flush_pages(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;
	rt_mheap *h = &gc->heap;

	rt_stop_world(rt, RT_STW_GC_SETTINGS);
	rt_lock(&h->lock, RT_RANK_mheap);
	for (int i = 0; i < rt_gomaxprocs(rt); i++)
		rt_pagecache_flush(&h->pages, &rt->sched.allp[i]->gc->mc.pages);
	rt_unlock(&h->lock, RT_RANK_mheap);
	rt_start_world(rt);
}

void rt_gc_give_back(gort_runtime *rt, const char *who)
{
	rt_gc *gc = rt->gc;
	uint64_t left;

	rt_xchg32_full(&gc->trimall, 1);
	rt_gc_force(rt, who);
	flush_pages(gc);
	left = rt_load64_rlx(&gc->heap.free);
	while (left > 0) {
		size_t gone = rt_scavenge(&gc->heap, left < PIECE ? (size_t)left : PIECE, true);

		if (gone == 0)
			break;
		rt_scav_tell(&gc->heap, gone);
		left -= gone < left ? gone : left;
		rt_gc_yield_point();
	}
	rt_scavworker_wait(&gc->scavworker); /* what it took before us is not given back yet */
	rt_stackpool_tick(rt->stacks);
}
