/* A ring of goroutines hands a token around; each hop adds one to it. Only one goroutine can run at
 * any time, so what this measures is how fast one wakes the next. */
#include "bindings/workloads/common.h"

typedef struct station {
	gort_chan *in, *out;
} station;
GORT_DEFINE_TYPE(station, GORT_PTR(station, in), GORT_PTR(station, out));

static void pass_on(void *arg)
{
	station *s = arg;
	int64_t token;
	while (gort_chan_recv(s->in, &token)) {
		token++;
		gort_chan_send(s->out, &token);
	}
	gort_chan_close(s->out); /* the end goes around once, too */
}

static void ring(void *arg)
{
	workload_call *call = arg;
	const int64_t n = call->params[0], rounds = call->params[1];
	workload_set_total(call, (uint64_t)rounds);
	gort_chan *const first = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_chan *last = first;
	for (int64_t i = 0; i < n; i++) {
		station *s = gort_new(GORT_TYPE(station));
		gort_store(&s->in, last);
		last = gort_chan_make(GORT_TYPE(int64_t), 0);
		gort_store(&s->out, last);
		workload_go(pass_on, s);
	}
	int64_t token = 0;
	for (int64_t i = 0; i < rounds; i++) {
		gort_chan_send(first, &token);
		gort_chan_recv(last, &token);
		workload_step(call, 1);
	}
	gort_chan_close(first);
	gort_chan_recv(last, NULL);
	call->value = token;
}

static const workload_param params[] = {
	{ "n", 100, 1, 1000000, "how many goroutines stand in the ring" },
	{ "rounds", 100, 1, 1000000000, "how often the token goes around" },
};
const workload workload_ring = {
	.name = "ring", .summary = "a token goes around a ring of goroutines",
	.value = "hops: n * rounds", .params = params, .nparams = NPARAMS(params), .main = ring,
};
