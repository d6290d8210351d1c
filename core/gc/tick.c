/* tick.c: what happens by the clock and not by the program. Sysmon comes here at each look, and does not sleep for
 * longer than it is told to.
 *
 * It looks how much of the CPUs the collector takes (rt_limiter of pacer.c), in windows of 10 ms or more. Rejected: to
 * look at each beginning and end of a collection, as Go does, too (its own lock, for a bucket that holds a second).
 *
 * It also gives pages back (alloc/scavworker.c). It has no P, sleeps anyway, and is there between runs. Rejected: a
 * goroutine that sleeps on a timer, which is Go's. Its timer would look like something that can still happen, so a
 * deadlock would be found late; it takes a P from idle to give memory back; and it would end with the run, when there
 * is most to be given back. Also rejected: Ps without work, as for sweeping. A busy program has none.
 */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

/* ---- Collections ---------------------------------------------------------------------------------- */

/* Under sched.lock, the world does not stop: settings are not changed, and the controller is not dropped. */
static rt_g *due(void *arg)
{
	rt_gc *gc = arg;

	if (gc->pacer.percent < 0 || !rt_cas32_full(&gc->control, RT_CTL_PARKED, RT_CTL_AWAKE))
		return NULL;
	rt_store32_rlx(&gc->bytime, 1); /* released with want */
	rt_xchg32_full(&gc->want, 1);
	return gc->controller;
}

/* A program that allocates next to nothing is collected all the same, so that finished things go and the memory goes
 * back to the system. Not before a first collection: until then there is no controller, and nothing to speak of. */
static int64_t collect(gort_runtime *rt, int64_t now)
{
	rt_gc *gc = rt->gc;
	int64_t period = rt->debug.forcegcperiod * GORT_MILLISECOND, last = (int64_t)rt_load64_rlx(&gc->last), left;

	if (period <= 0 || last == 0)
		return -1;
	left = last + period - now;
	if (left > 0)
		return left;
	if (rt_load32_rlx(&gc->control) == RT_CTL_PARKED && rt_goready_outside(rt, due, gc) && rt->debug.gctrace)
		rt_print("GC forced\n");
	return period; /* GOGC=off, or one goes on */
}

/* ---- How much the collector takes ------------------------------------------------------------------ */

static void limit(gort_runtime *rt, int64_t now)
{
	rt_gc *gc = rt->gc;
	struct rt_limiter_totals t = {
		.when = now,
		.workers = (int64_t)rt_load64_rlx(&gc->worker_ns),
		.paused = (int64_t)rt_load64_rlx(&gc->pause_ns),
		.assists = (int64_t)(rt_load64_rlx(&gc->assist_ns) + rt_load64_rlx(&gc->heap.scav.assist_ns)),
		.idle = (int64_t)rt_load64_rlx(&gc->idle_ns),
	};
	bool was = gc->limiter.full;

	if (!rt_limiter_update(&gc->limiter, &t, rt_gomaxprocs(rt), (int)rt_load32_rlx(&rt->sched.npidle)))
		return;
	if (gc->limiter.full && !was)
		rt_store32_rlx(&gc->limited, rt_load32_rlx(&gc->ended) + 1);
	rt_store32_rlx(&gc->full, gc->limiter.full);
	rt_store32_rlx(&gc->heap.limiting, gc->limiter.limiting);
}

/* ---- Sysmon's up-call ------------------------------------------------------------------------------ */

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* With clobberfree freed objects are there to be looked at: they stay. */
static int64_t give_back(gort_runtime *rt, int64_t now)
{
	rt_gc *gc = rt->gc;

	if (gc->heap.clobberfree)
		return -1;
	return rt_scavworker_turn(&gc->scavworker, &gc->heap, rt_gomaxprocs(rt), now);
}

int64_t rt_gc_tick(gort_runtime *rt, int64_t now)
{
	limit(rt, now);
	return sooner(collect(rt, now), give_back(rt, now));
}
