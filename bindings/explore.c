/* See explore.h. The runtime of the run in progress is known to others under a spin lock, since it is held for a
 * few instructions, and these files know no lock of the system's. */
#include "bindings/explore.h"

#include <stdbool.h>

/* A goroutine left in a system call keeps its runtime; gort_runtime_free waits a tenth of a second each time. */
enum { FREE_TRIES = 50 };

static void hold(binding_search *s)
{
	while (__atomic_exchange_n(&s->held, 1, __ATOMIC_ACQUIRE))
		;
}

static void let_go(binding_search *s)
{
	__atomic_store_n(&s->held, 0, __ATOMIC_RELEASE);
}

static void set_current(binding_search *s, gort_runtime *rt)
{
	hold(s);
	s->current = rt;
	let_go(s);
}

static bool stopped(binding_search *s)
{
	return __atomic_load_n(&s->stopped, __ATOMIC_ACQUIRE) != 0;
}

static int run_once(binding_search *s, const gort_config *cfg, const workload *w, const int64_t *params)
{
	workload_call call = { .params = params };
	gort_runtime *rt;
	int err = gort_runtime_new(&rt, cfg), freed;

	if (err != 0)
		return err;
	set_current(s, rt);
	err = stopped(s) ? GORT_ECANCELED : workload_run(rt, w, &call);
	set_current(s, NULL);
	for (int i = 0; (freed = gort_runtime_free(rt)) == GORT_EBUSY && i < FREE_TRIES; i++)
		;
	return err != 0 ? err : freed;
}

int binding_explore(binding_search *s, const gort_config *cfg, const workload *w, const int64_t *params)
{
	gort_runtime *keeper; /* of the signal handlers: each run would install and remove them */
	gort_config c = *cfg;
	int err;

	c.seed = 1;
	err = gort_runtime_new(&keeper, &c);
	if (err != 0)
		return err;
	for (c.seed = s->seed; s->done < s->runs && err == 0; c.seed++) {
		c.seed += c.seed == 0;
		s->seed = c.seed;
		__atomic_store_n(&s->done, s->done + 1, __ATOMIC_RELAXED);
		err = run_once(s, &c, w, params);
	}
	(void)gort_runtime_free(keeper);
	return err;
}

void binding_explore_stop(binding_search *s)
{
	__atomic_store_n(&s->stopped, 1, __ATOMIC_RELEASE);
	hold(s);
	if (s->current != NULL)
		(void)gort_runtime_stop(s->current, GORT_ECANCELED);
	let_go(s);
}

uint64_t binding_explore_done(binding_search *s)
{
	return __atomic_load_n(&s->done, __ATOMIC_RELAXED);
}
