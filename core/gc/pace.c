/* pace.c: what the pacer's formulas (pacer.c) say of this heap: goal, trigger, assists, what the scavenger may take;
 * and GOGC and the memory limit, which change it.
 */
#include "core/gc/gc_impl.h"

#include "backends/arena/arena.h"

/* Dead objects take memory until they are swept; otherwise they would count as what is no heap, and the memory limit
 * would seem to leave next to nothing for it. Whoever comes here while the world runs comes while a collection marks,
 * when all is swept. */
static rt_pacer_memory memory_of(rt_gc *gc)
{
	uint64_t dead = 0;

	if (!rt_sweep_done(&gc->heap) && gc->live1 > gc->pacer.heap_marked)
		dead = gc->live1 - gc->pacer.heap_marked;
	return (rt_pacer_memory){ rt_load64_rlx(&gc->heap.mem.total) + rt_load64_rlx(&gc->outside),
		                  rt_load64_rlx(&gc->heap.free), rt_load64_rlx(&gc->heap.live) + dead };
}

/* The heap gives back what is beyond its part of the limit. */
static void limit_heap(rt_gc *gc)
{
	uint64_t limit = gc->pacer.limit, outside = rt_load64_rlx(&gc->outside);

	if (limit < INT64_MAX)
		limit = limit > outside ? limit - outside : 0;
	rt_store64_rlx(&gc->heap.limit, limit);
}

/* Stacks are memory as far as somebody has touched them, which only the system knows. So what counts is what the last
 * collection saw of each, whole pages from where it was used; a page of each at least, for those that came since, and
 * of those that are free and hot. Left out is what was needed before and not given back yet (roots.c). */
void rt_gc_count_outside(rt_gc *gc)
{
	uint64_t page = be_arena_query()->page, held = rt_load64_rlx(&gc->stack_held);
	rt_stackstats s;

	rt_stackpool_stats(gc->rt->stacks, &s);
	if (held < s.inuse * page)
		held = s.inuse * page;
	rt_store64_rlx(&gc->outside,
	               held + s.hot * page + rt_gc_record_bytes(gc) + rt_workpool_bytes(&gc->pool));
	limit_heap(gc);
}

void rt_gc_repace(rt_gc *gc)
{
	rt_pacer_memory m = memory_of(gc);
	uint64_t goal = rt_pacer_goal(&gc->pacer, &m), was = rt_load64_rlx(&gc->goal);
	bool marks = rt_load32_rlx(&gc->rt->gcmark) != 0;

	rt_store64_rlx(&gc->goal, goal);
	if (!marks || goal != was) /* allocations come here while one marks, mostly with nothing new */
		RT_TRACE_HERE(gc->rt, HEAP, HEAP_GOAL, goal, 0, 0);
	rt_store32_rlx(&gc->bylimit, goal < gc->pacer.percent_goal);
	if (marks) {
		rt_pacer_progress now = { m.heap_alloc,
			rt_load64_rlx(&gc->heap_scan) + rt_load64_rlx(&gc->stack_scan) +
			        rt_load64_rlx(&gc->globals_scan),
			m.heap_alloc + gc->pacer.stack_scan + gc->pacer.globals_scan };

		rt_store64_rlx(&gc->assist_ratio,
		               rt_double_bits(rt_pacer_assist(&gc->pacer, goal, &now)));
		return;
	}
	rt_store64_rlx(&gc->trigger,
	               gc->kind->collects ? rt_pacer_trigger(&gc->pacer, &m) : UINT64_MAX);
}

void rt_gc_pace_scavenger(rt_gc *gc)
{
	rt_scav_pace(&gc->heap, rt_load64_rlx(&gc->goal), gc->lastgoal, gc->lastinuse);
}

/* ---- GOGC and the memory limit ---------------------------------------------------------------------- */

/* World stopped: one of them has changed. */
static void settings(rt_gc *gc, int percent, int64_t limit)
{
	gc->pacer.percent = percent;
	gc->pacer.limit = (uint64_t)limit;
	rt_gc_count_outside(gc);
	rt_pacer_commit(&gc->pacer, rt_load64_rlx(&gc->heap.live), rt_sweep_done(&gc->heap));
	rt_gc_repace(gc);
	rt_gc_pace_scavenger(gc);
}

int rt_gc_set_percent(gort_runtime *rt, int percent)
{
	rt_gc *gc = rt->gc;
	int was;

	rt_stop_world(rt, RT_STW_GC_SETTINGS);
	was = gc->pacer.percent;
	settings(gc, percent < 0 ? -1 : percent, (int64_t)gc->pacer.limit);
	rt_start_world(rt);
	return was;
}

int64_t rt_gc_set_limit(gort_runtime *rt, int64_t limit)
{
	rt_gc *gc = rt->gc;
	int64_t was;

	rt_stop_world(rt, RT_STW_GC_SETTINGS);
	was = (int64_t)gc->pacer.limit;
	if (limit >= 0)
		settings(gc, gc->pacer.percent, limit);
	rt_start_world(rt);
	return was;
}
