/* Skynet: a tree of goroutines with ten children each. Every leaf sends its number up, every inner
 * node the sum of its children's; the root holds the sum of all. Shows how fast goroutines are born
 * and die, and how well the work spreads.
 *
 * The children of a node lie in one array, made by their parent: one allocation for ten goroutines.
 * A goroutine's argument keeps the array alive, although it points into the middle. */
#include "bindings/workloads/common.h"

enum { FANOUT = 10 };

typedef struct node {
	gort_chan *up;        /* where the sum goes */
	workload_call *call;  /* the caller's memory, not the heap's */
	int64_t first, count; /* the leaves below */
} node;
GORT_DEFINE_TYPE(node, GORT_PTR(node, up));

static void run_node(void *arg);

static int64_t sum_children(const node *n)
{
	const int64_t children = n->count < FANOUT ? n->count : FANOUT;
	gort_chan *sums = gort_chan_make(GORT_TYPE(int64_t), (size_t)children);
	node *child = gort_new_array(GORT_TYPE(node), (size_t)children);
	for (int64_t i = 0; i < children; i++) {
		const int64_t from = n->count * i / children, to = n->count * (i + 1) / children;
		gort_store(&child[i].up, sums);
		child[i].call = n->call;
		child[i].first = n->first + from;
		child[i].count = to - from;
		workload_go(run_node, &child[i]);
	}
	int64_t sum = 0;
	for (int64_t i = 0; i < children; i++) {
		int64_t part;
		gort_chan_recv(sums, &part);
		sum += part;
	}
	/* Progress is counted where ten leaves end, not by each: the word is shared. */
	if (n->count <= FANOUT)
		workload_step(n->call, (uint64_t)n->count);
	return sum;
}

static void run_node(void *arg)
{
	const node *n = arg;
	const int64_t sum = n->count == 1 ? n->first : sum_children(n);
	gort_chan_send(n->up, &sum);
}

static void skynet(void *arg)
{
	workload_call *call = arg;
	const node root = { .call = call, .first = 0, .count = call->params[0] };
	workload_set_total(call, (uint64_t)root.count);
	call->value = sum_children(&root);
}

static const workload_param params[] = {
	{ "n", 100000, 1, 10000000, "how many leaves" },
};
const workload workload_skynet = {
	.name = "skynet",
	.summary = "a tree of goroutines, ten children each, that sums its leaves",
	.value = "the sum 0 + 1 + ... + n-1", .params = params, .nparams = NPARAMS(params),
	.main = skynet,
};
