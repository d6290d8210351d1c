/* gctrace.c: GODEBUG=gctrace=1, a line for each collection in Go's format (spec/04). */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

/* Milliseconds as Go prints them: two digits, or whole from 10 ms on. */
static const char *ms(char *buf, size_t size, int64_t ns)
{
	if (ns >= 10 * GORT_MILLISECOND)
		rt_format(buf, size, "%llu", (unsigned long long)(ns / GORT_MILLISECOND));
	else if (ns >= GORT_MILLISECOND)
		rt_format(buf, size, "%llu.%llu", (unsigned long long)(ns / 1000000),
		          (unsigned long long)(ns / 100000 % 10));
	else if (ns >= 100 * GORT_MICROSECOND)
		rt_format(buf, size, "0.%llu%llu", (unsigned long long)(ns / 100000),
		          (unsigned long long)(ns / 10000 % 10));
	else if (ns >= 10 * GORT_MICROSECOND)
		rt_format(buf, size, "0.0%llu%llu", (unsigned long long)(ns / 10000),
		          (unsigned long long)(ns / 1000 % 10));
	else if (ns >= GORT_MICROSECOND)
		rt_format(buf, size, "0.00%llu", (unsigned long long)(ns / 1000));
	else
		rt_format(buf, size, "0");
	return buf;
}

void rt_gctrace(const rt_gc *gc, int64_t now)
{
	gort_runtime *rt = gc->rt;
	int procs = rt_gomaxprocs(rt), cpus = rt_gc_cpus(gc);
	int64_t mark = now - gc->pause2 - gc->stopped;
	/* of this collection so far */
	int64_t assists = (int64_t)rt_load64_rlx(&gc->assist_ns) - gc->assist0;
	int64_t workers = (int64_t)rt_load64_rlx(&gc->worker_ns) - gc->worker0;
	int64_t idle = (int64_t)rt_load64_rlx(&gc->idle_ns) - gc->idle0;
	char t[8][24];

	if (!rt->debug.gctrace)
		return;
	rt_print("gc %u @%llu.%llu%llu%llus %u%%: %s+%s+%s ms clock, %s+%s/%s/%s+%s ms cpu, "
	         "%llu->%llu->%llu MB, %llu MB goal, %llu MB stacks, %llu MB globals, %d P%s\n",
	         rt_load32_rlx(&gc->ended), (unsigned long long)((now - rt->born) / GORT_SECOND),
	         (unsigned long long)((now - rt->born) / 100000000 % 10),
	         (unsigned long long)((now - rt->born) / 10000000 % 10),
	         (unsigned long long)((now - rt->born) / 1000000 % 10),
	         (unsigned)((double)rt_gc_cpu(gc) * 100 / ((double)(now - rt->born) * cpus)),
	         ms(t[0], 24, gc->pause1), ms(t[1], 24, mark), ms(t[2], 24, gc->pause2),
	         ms(t[3], 24, gc->pause1 * cpus), ms(t[4], 24, assists),
	         ms(t[5], 24, workers), ms(t[6], 24, idle), ms(t[7], 24, gc->pause2 * cpus),
	         (unsigned long long)(gc->live0 >> 20), (unsigned long long)(gc->live1 >> 20),
	         (unsigned long long)(gc->pacer.heap_marked >> 20),
	         (unsigned long long)(gc->cyclegoal >> 20),
	         (unsigned long long)(gc->pacer.stack_scan >> 20),
	         (unsigned long long)(gc->pacer.globals_scan >> 20), procs,
	         gc->forced ? " (forced)" : "");
}
