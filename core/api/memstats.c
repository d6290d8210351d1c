/* memstats.c: gort_mem_stats, for any thread. */
#include "core/gc/gc.h"
#include "core/sched/internal.h"

#include <string.h>

static void read_all(gort_runtime *rt, gort_mem_stats *out)
{
	bool aside = rt_look_enter(rt, "gort_mem_stats_read");

	rt_stop_world(rt, RT_STW_WATCH);
	rt_gc_stats(rt, out);
	rt_start_world(rt);
	rt_look_leave(aside);
}

/* A program of an older library knows fewer fields. Apart: the record is large for a goroutine's stack. */
static RT_NOINLINE void read_some(gort_runtime *rt, gort_mem_stats *out, size_t size)
{
	gort_mem_stats all;

	read_all(rt, &all);
	memcpy(out, &all, size);
}

GORT_API void gort_mem_stats_read_sized(gort_runtime *rt, gort_mem_stats *out, size_t size)
{
	if (rt_runtime_alive(rt) != 0) {
		memset(out, 0, size);
		return;
	}
	if (size < sizeof *out) {
		read_some(rt, out, size);
		return;
	}
	read_all(rt, out);
	memset((char *)out + sizeof *out, 0, size - sizeof *out);
}
