/* See workload.h. The progress words are plain integers behind the compiler's atomics, so that the
 * struct stays one that a binding generator can read. */
#include "bindings/workloads/common.h"

static const workload *const all[] = {
	&workload_binary_trees, &workload_deadlock, &workload_fanin, &workload_fatal,
	&workload_gc_churn, &workload_leak, &workload_mergesort,
	&workload_panic, &workload_philosophers, &workload_pingpong, &workload_ring, &workload_sieve,
	&workload_skynet, &workload_yield,
};

const workload *const *workload_list(size_t *n)
{
	*n = sizeof all / sizeof *all;
	return all;
}

static bool valid(const workload *w, const workload_call *call)
{
	for (size_t i = 0; i < w->nparams; i++) {
		const workload_param *p = &w->params[i];
		if (call->params[i] < p->min || call->params[i] > p->max)
			return false;
	}
	return w->data || !call->data;
}

static void run_and_list(void *arg)
{
	workload_call *call = arg;

	call->of->main(call);
	if (call->left)
		call->nleft = gort_goroutines(gort_self(), call->left, call->nleft);
}

int workload_run(gort_runtime *rt, const workload *w, workload_call *call)
{
	if (!valid(w, call))
		return GORT_EINVAL;
	call->of = w;
	return gort_runtime_run(rt, run_and_list, call);
}

void workload_progress(const workload_call *call, uint64_t *done, uint64_t *total)
{
	*done = __atomic_load_n(&call->done, __ATOMIC_RELAXED);
	*total = __atomic_load_n(&call->total, __ATOMIC_RELAXED);
}

void workload_set_total(workload_call *call, uint64_t total)
{
	__atomic_store_n(&call->total, total, __ATOMIC_RELAXED);
}

void workload_step(workload_call *call, uint64_t n)
{
	__atomic_fetch_add(&call->done, n, __ATOMIC_RELAXED);
}

void workload_started(int err)
{
	if (err != 0)
		gort_panics("no memory for another goroutine");
}
