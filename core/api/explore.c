/* explore.c: runs under many seeds, and the choices of one run. */
#include "core/api/config.h"
#include "core/base/region.h"
#include "core/sched/seeded.h"

#include <string.h>

/* A goroutine that is left in a system call keeps its runtime; gort_runtime_free waits a tenth of a second each time.
 * */
enum { FREE_TRIES = 50 };

static int free_patiently(gort_runtime *rt)
{
	int r;

	for (int i = 0; (r = gort_runtime_free(rt)) == GORT_EBUSY && i < FREE_TRIES; i++)
		;
	return r;
}

static int run_once(const gort_config *cfg, gort_func main, void *arg)
{
	gort_runtime *rt;
	int r = gort_runtime_new(&rt, cfg), freed;

	if (r != 0)
		return r;
	r = gort_runtime_run(rt, main, arg);
	freed = free_patiently(rt);
	return r != 0 ? r : freed;
}

GORT_API int gort_explore(const gort_config *cfg, gort_func main, void *arg, uint64_t runs, uint64_t *seed)
{
	gort_config c;
	bool handlers;
	int r = cfg != NULL ? rt_config_check(cfg) : 0;

	if (r != 0)
		return r;
	if (main == NULL)
		return GORT_EINVAL;
	if (gort_self() != NULL)
		return GORT_EBUSY;
	gort_config_init(&c);
	if (cfg != NULL)
		memcpy(&c, cfg, cfg->size < sizeof c ? cfg->size : sizeof c);
	c.size = sizeof c;
	c.flags &= ~(unsigned)GORT_EXIT_ON_FATAL; /* the caller wants to hear of it */
	/* Held over all runs: each would make them and give them back. */
	rt_regions_keep();
	(void)be_fault_attach(); /* this thread's stack for signals; without one each run tries again */
	handlers = (c.signals & GORT_SIGNAL_FAULT) && rt_fault_acquire() == 0;
	for (uint64_t i = 0; i < runs && r == 0; i++, c.seed++) {
		c.seed += c.seed == 0; /* also after the last one */
		r = run_once(&c, main, arg);
		if (r != 0 && seed != NULL)
			*seed = c.seed;
	}
	if (handlers)
		rt_fault_release();
	be_fault_detach();
	rt_regions_drop();
	return r;
}

/* The right to run: with it nobody else looks at the choices. */
static int begin(gort_runtime *rt)
{
	int r = rt_runtime_alive(rt);

	if (r != 0)
		return r;
	if (rt->seeded == NULL)
		return GORT_EINVAL;
	rt_lock(&rt->life, RT_RANK_life);
	if (rt->running)
		r = GORT_EBUSY;
	else
		rt->running = true;
	rt_unlock(&rt->life, RT_RANK_life);
	return r;
}

static void end(gort_runtime *rt)
{
	rt_lock(&rt->life, RT_RANK_life);
	rt->running = false;
	rt_unlock(&rt->life, RT_RANK_life);
}

GORT_API int gort_schedule_set(gort_runtime *rt, const gort_choice *choices, size_t n)
{
	rt_m *self = rt_hold();
	int r = choices == NULL && n > 0 ? GORT_EINVAL : begin(rt);

	if (r == 0) {
		for (size_t i = 1; i < n && r == 0; i++)
			if (choices[i].step <= choices[i - 1].step)
				r = GORT_EINVAL;
		if (r == 0 && !rt_chooser_plan(rt_seeded_chooser(rt), choices, n))
			r = GORT_ENOMEM;
		end(rt);
	}
	rt_unhold(self);
	return r;
}

GORT_API int64_t gort_schedule_get(gort_runtime *rt, gort_choice *out, size_t n, uint64_t *steps)
{
	rt_m *self = rt_hold();
	int64_t r = out == NULL && n > 0 ? GORT_EINVAL : begin(rt);

	if (r == 0) {
		const rt_chooser *c = rt_seeded_chooser(rt);

		r = c->forgot ? GORT_ENOMEM : (int64_t)c->nkept;
		if (n > c->nkept)
			n = c->nkept;
		if (n > 0)
			memcpy(out, c->kept.p, n * sizeof *out);
		if (steps != NULL)
			*steps = c->step;
		end(rt);
	}
	rt_unhold(self);
	return r;
}
