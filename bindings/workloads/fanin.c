/* Many producers, one channel, one consumer. The numbers sent are all different, so the sum tells
 * whether each arrived exactly once. */
#include "bindings/workloads/common.h"

typedef struct producer {
	gort_chan *out;
	gort_waitgroup *running; /* on the stack of main, which outlives the producers */
	int64_t first, count;
} producer;
GORT_DEFINE_TYPE(producer, GORT_PTR(producer, out));

typedef struct closer {
	gort_chan *out;
	gort_waitgroup *running;
} closer;
GORT_DEFINE_TYPE(closer, GORT_PTR(closer, out));

static void produce(void *arg)
{
	producer *p = arg;
	for (int64_t i = p->first; i < p->first + p->count; i++)
		gort_chan_send(p->out, &i);
	gort_waitgroup_done(p->running);
}

/* The last producer cannot know that it is the last: somebody waits for all of them. */
static void close_when_done(void *arg)
{
	closer *c = arg;
	gort_waitgroup_wait(c->running);
	gort_chan_close(c->out);
}

static void fanin(void *arg)
{
	workload_call *call = arg;
	const int64_t n = call->params[0], messages = call->params[1], cap = call->params[2];
	workload_set_total(call, (uint64_t)(n * messages));
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), (size_t)cap);
	gort_waitgroup running = GORT_INIT;
	producer *p = gort_new_array(GORT_TYPE(producer), (size_t)n);
	gort_waitgroup_add(&running, (int)n);
	for (int64_t i = 0; i < n; i++) {
		gort_store(&p[i].out, c);
		p[i].running = &running;
		p[i].first = i * messages;
		p[i].count = messages;
		workload_go(produce, &p[i]);
	}
	closer *end = gort_new(GORT_TYPE(closer));
	gort_store(&end->out, c);
	end->running = &running;
	workload_go(close_when_done, end);
	int64_t sum = 0, i;
	while (gort_chan_recv(c, &i)) {
		sum += i;
		workload_step(call, 1);
	}
	call->value = sum;
}

static const workload_param params[] = {
	{ "producers", 10, 1, 100000, "goroutines that send" },
	{ "messages", 1000, 1, 10000, "how many each of them sends" },
	{ "cap", 16, 0, 1000000, "places in the channel" },
};
const workload workload_fanin = {
	.name = "fanin", .summary = "many producers send to one consumer over one channel",
	.value = "the sum 0 + 1 + ... + producers*messages - 1",
	.params = params, .nparams = NPARAMS(params), .main = fanin,
};
