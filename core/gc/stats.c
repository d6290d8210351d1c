/* stats.c: the account of the heap, as Go's MemStats cuts it.
 *
 * With the world stopped every cache is counted up, so objects and bytes are exact: what was allocated less
 * what was swept. Bytes of the system are what the account of sysmem.h says, and what fixed-size records have
 * taken. What we do not have, as profiling buckets, is 0.
 */
#include "core/gc/figures.h"
#include "core/gc/gc_impl.h"

#include <string.h>

static void totals(rt_gc *gc, rt_memtotals *t)
{
	memset(t, 0, sizeof *t);
	rt_memtotals_add(t, &gc->heap.global);
	for (int i = 0; i < gc->rt->sched.nallp; i++) { /* the dead ones, too */
		rt_mcache *mc = &gc->rt->sched.allp[i]->gc->mc;

		rt_mcache_count(mc);
		rt_memtotals_add(t, &mc->count);
	}
}

static void objects(rt_gc *gc, gort_mem_stats *out)
{
	rt_memtotals t;

	totals(gc, &t);
	out->total_alloc = rt_memtotals_allocated(&t);
	out->alloc = out->heap_alloc = out->total_alloc - rt_memtotals_freed(&t);
	out->mallocs = rt_memtotals_mallocs(&t);
	out->frees = rt_memtotals_frees(&t);
	out->heap_objects = out->mallocs - out->frees;
	for (size_t i = 1; i < RT_NELEM(out->by_size); i++) { /* class 0 is nobody's: large objects have none */
		out->by_size[i].size = rt_class_bytes[i];
		out->by_size[i].mallocs = t.allocs[i];
		out->by_size[i].frees = t.frees[i];
	}
}

static uint64_t records(rt_fixalloc *f)
{
	uint64_t n;

	rt_lock(&f->lock, RT_RANK_fixalloc);
	n = f->total;
	rt_unlock(&f->lock, RT_RANK_fixalloc);
	return n;
}

uint64_t rt_gc_record_bytes(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;
	rt_mheap *h = &gc->heap;

	return records(&rt->sched.gs) + records(&rt->sched.ms) + records(&rt->sched.names) + records(&rt->defers) +
	       records(&h->specials) + records(&h->records) + records(&gc->rootrecords);
}

static void system_bytes(rt_gc *gc, gort_mem_stats *out)
{
	gort_runtime *rt = gc->rt;
	rt_mheap *h = &gc->heap;
	rt_stackstats stacks;

	out->heap_inuse = rt_load64_rlx(&h->inuse);
	rt_lock(&h->lock, RT_RANK_mheap); /* sysmon gives pages back all the while */
	out->heap_released = rt_load64_rlx(&h->released);
	out->heap_idle = rt_load64_rlx(&h->free) + out->heap_released;
	rt_unlock(&h->lock, RT_RANK_mheap);
	out->heap_sys = out->heap_inuse + out->heap_idle;
	rt_stackpool_stats(rt->stacks, &stacks);
	out->stack_inuse = stacks.inuse_bytes;
	out->stack_sys = stacks.inuse_bytes + stacks.hot_bytes;
	out->mspan_inuse = rt_load64_rlx(&h->spans.inuse) * sizeof(rt_span);
	out->mspan_sys = rt_load64_rlx(&h->mem.ready[RT_MEM_SPANS]);
	out->mcache_inuse = (uint64_t)rt_gomaxprocs(rt) * sizeof(rt_gcp);
	out->mcache_sys = (uint64_t)rt->sched.nallp * rt_sys_round(sizeof(rt_gcp)); /* those of the dead, too */
	out->gc_sys = rt_load64_rlx(&h->mem.ready[RT_MEM_BITS]) + rt_load64_rlx(&h->mem.ready[RT_MEM_META]) -
	              out->mcache_sys + rt_workpool_bytes(&gc->pool);
	out->other_sys = rt_gc_record_bytes(gc);
	out->sys = out->heap_sys + out->stack_sys + out->mspan_sys + out->mcache_sys + out->gc_sys + out->other_sys;
}

static void collections(rt_gc *gc, gort_mem_stats *out)
{
	gort_runtime *rt = gc->rt;
	uint32_t n = rt_load32_rlx(&gc->ended), kept = n < RT_GC_PAUSES ? n : RT_GC_PAUSES;
	int64_t lived = be_nanotime() - rt->born;
	int procs = rt_gomaxprocs(rt), cpus = procs < gc->cpus ? procs : gc->cpus;

	out->next_gc = rt_load64_rlx(&gc->goal);
	out->num_gc = n;
	out->num_forced_gc = gc->nforced;
	out->pause_total_ns = rt_load64_rlx(&gc->pause_ns);
	memcpy(out->pause_ns, gc->pauses, kept * sizeof gc->pauses[0]);
	memcpy(out->pause_end, gc->pauseends, kept * sizeof gc->pauseends[0]);
	out->last_gc = n > 0 ? gc->pauseends[(n - 1) % RT_GC_PAUSES] : 0;
	out->gc_cpu_fraction = lived > 0 ? (double)rt_gc_cpu(gc) / ((double)lived * cpus) : 0;
}

void rt_gc_stats(gort_runtime *rt, gort_mem_stats *out)
{
	memset(out, 0, sizeof *out);
	objects(rt->gc, out);
	system_bytes(rt->gc, out);
	collections(rt->gc, out);
}

void rt_gc_figures_read(gort_runtime *rt, rt_gc_figures *out)
{
	rt_gc *gc = rt->gc;

	totals(gc, &out->objects);
	out->live = gc->pacer.heap_marked;
	out->peak = rt_load64_rlx(&gc->heap.live);
	if (gc->peak > out->peak)
		out->peak = gc->peak;
	out->scan_heap = gc->pacer.heap_scan + rt_load64_rlx(&gc->heap.scannable);
	for (int i = 0; i < rt->sched.nallp; i++)
		out->scan_heap += rt->sched.allp[i]->gc->mc.scannable;
	out->scan_stack = gc->pacer.stack_scan;
	out->scan_globals = gc->pacer.globals_scan;
	out->percent = gc->pacer.percent;
	out->limit = gc->pacer.limit;
	out->limited = rt_load32_rlx(&gc->limited);
	out->assists = (int64_t)rt_load64_rlx(&gc->assist_ns);
	out->workers = (int64_t)rt_load64_rlx(&gc->worker_ns);
	out->idle = (int64_t)rt_load64_rlx(&gc->idle_ns);
	out->pauses = gc->pausecpu;
	out->giving = (int64_t)rt_load64_rlx(&gc->heap.scav.background_ns);
	out->giving_now = (int64_t)rt_load64_rlx(&gc->heap.scav.assist_ns);
}
