/* Binary trees, as in the Computer Language Benchmarks Game: many short-lived trees of each depth, the deeper the
 * fewer, while a deep one lives all through. Nothing but small objects with pointers, which are made, counted and
 * forgotten. The trees of one depth are made by one goroutine. */
#include "bindings/workloads/common.h"

enum { SHALLOWEST = 4 };

typedef struct tree {
	struct tree *left, *right;
} tree;
GORT_DEFINE_TYPE(tree, GORT_PTR(tree, left), GORT_PTR(tree, right));

typedef struct job {
	workload_call *call;     /* the caller's memory, not the heap's */
	gort_waitgroup *running; /* on the stack of main */
	int64_t depth, trees;
	int64_t nodes;           /* out */
} job;

static tree *grow(int64_t depth)
{
	tree *t = gort_new(GORT_TYPE(tree));
	if (depth > 0) {
		gort_store(&t->left, grow(depth - 1));
		gort_store(&t->right, grow(depth - 1));
	}
	return t;
}

static int64_t count(const tree *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

static void grow_many(void *arg)
{
	job *j = arg;
	for (int64_t i = 0; i < j->trees; i++) {
		j->nodes += count(grow(j->depth));
		workload_step(j->call, (uint64_t)2 << j->depth);
	}
	gort_waitgroup_done(j->running);
}

static void binary_trees(void *arg)
{
	workload_call *call = arg;
	const int64_t depth = call->params[0], n = (depth - SHALLOWEST) / 2 + 1;
	gort_waitgroup running = GORT_INIT;
	workload_set_total(call, (uint64_t)n << (depth + SHALLOWEST + 1));
	call->value = count(grow(depth + 1));
	tree *all_through = grow(depth);
	job *jobs = gort_alloc((size_t)n * sizeof *jobs, GORT_NOSCAN); /* nothing in them is on the heap */
	gort_waitgroup_add(&running, (int)n);
	for (int64_t i = 0; i < n; i++) {
		const int64_t d = SHALLOWEST + 2 * i;
		jobs[i] = (job){ .call = call, .running = &running, .depth = d,
			.trees = (int64_t)1 << (depth - d + SHALLOWEST) };
		workload_go(grow_many, &jobs[i]);
	}
	gort_waitgroup_wait(&running);
	for (int64_t i = 0; i < n; i++)
		call->value += jobs[i].nodes;
	call->value += count(all_through);
}

static const workload_param params[] = {
	{ "depth", 14, SHALLOWEST, 24, "of the tree that lives all through" },
};
const workload workload_binary_trees = {
	.name = "binary_trees", .summary = "many short-lived binary trees beside a long-lived one",
	.value = "nodes that were counted", .params = params, .nparams = NPARAMS(params),
	.main = binary_trees,
};
