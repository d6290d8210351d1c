/* Goroutines that only let each other run: the cost of a switch through the run queues. */
#include "bindings/workloads/common.h"

typedef struct crowd {
	workload_call *call;
	gort_waitgroup running;
	int64_t rounds;
	int64_t yields; /* atomic */
} crowd;

static void yield_often(void *arg)
{
	crowd *c = arg;
	for (int64_t i = 0; i < c->rounds; i++)
		gort_gosched();
	__atomic_fetch_add(&c->yields, c->rounds, __ATOMIC_RELAXED);
	workload_step(c->call, 1);
	gort_waitgroup_done(&c->running);
}

static void yield(void *arg)
{
	workload_call *call = arg;
	const int64_t n = call->params[0];
	crowd c = { .call = call, .running = GORT_INIT, .rounds = call->params[1] };
	workload_set_total(call, (uint64_t)n);
	gort_waitgroup_add(&c.running, (int)n);
	for (int64_t i = 0; i < n; i++)
		workload_go(yield_often, &c);
	gort_waitgroup_wait(&c.running);
	call->value = __atomic_load_n(&c.yields, __ATOMIC_RELAXED);
}

static const workload_param params[] = {
	{ "n", 100, 1, 1000000, "how many goroutines" },
	{ "rounds", 1000, 1, 1000000, "how often each lets the others run" },
};
const workload workload_yield = {
	.name = "yield", .summary = "goroutines that only let each other run",
	.value = "n * rounds", .params = params, .nparams = NPARAMS(params), .main = yield,
};
