/* Two goroutines, two unbuffered channels: the cost of a rendezvous there and back. */
#include "bindings/workloads/common.h"

typedef struct table {
	gort_chan *ping, *pong;
} table;
GORT_DEFINE_TYPE(table, GORT_PTR(table, ping), GORT_PTR(table, pong));

static void answer(void *arg)
{
	table *t = arg;
	int64_t ball;
	while (gort_chan_recv(t->ping, &ball)) {
		ball++;
		gort_chan_send(t->pong, &ball);
	}
}

static void pingpong(void *arg)
{
	workload_call *call = arg;
	const int64_t rounds = call->params[0];
	workload_set_total(call, (uint64_t)rounds);
	table *t = gort_new(GORT_TYPE(table));
	gort_store(&t->ping, gort_chan_make(GORT_TYPE(int64_t), 0));
	gort_store(&t->pong, gort_chan_make(GORT_TYPE(int64_t), 0));
	workload_go(answer, t);
	int64_t ball = 0;
	for (int64_t i = 0; i < rounds; i++) {
		gort_chan_send(t->ping, &ball);
		gort_chan_recv(t->pong, &ball);
		workload_step(call, 1);
	}
	gort_chan_close(t->ping);
	call->value = ball;
}

static const workload_param params[] = {
	{ "rounds", 10000, 1, 1000000000, "how often the ball comes back" },
};
const workload workload_pingpong = {
	.name = "pingpong", .summary = "two goroutines play over two unbuffered channels",
	.value = "rounds", .params = params, .nparams = NPARAMS(params), .main = pingpong,
};
