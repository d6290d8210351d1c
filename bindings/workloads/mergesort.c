/* Parallel merge sort of 64-bit integers, in the array that the caller hands over, if any: Python's
 * buffers are sorted where they lie. Of two halves above the cutoff one becomes a goroutine, the
 * other is done by the goroutine that split; below the cutoff it is a sequential merge sort.
 *
 * Merging counts the inversions on the way: a number that depends on the whole input, does not
 * depend on the schedule, and so checks the result.
 *
 * Jobs lie on the stack of the goroutine that waits for them. They hold no heap pointers: `scratch`
 * is kept alive by main, whose stack the collector sees until the sort is over. */
#include "bindings/workloads/common.h"

#include <string.h>

typedef struct job {
	int64_t *a, *scratch;
	size_t n, cutoff;
	workload_call *call;
	gort_waitgroup *parent; /* NULL: nobody waits */
	uint64_t inversions;    /* out */
} job;

enum { INSERTION = 16 }; /* where insertion sort beats merging */

static uint64_t insertion_sort(int64_t *a, size_t n)
{
	uint64_t moves = 0;
	for (size_t i = 1; i < n; i++) {
		const int64_t x = a[i];
		size_t j = i;
		for (; j > 0 && a[j - 1] > x; j--)
			a[j] = a[j - 1];
		a[j] = x;
		moves += i - j;
	}
	return moves;
}

/* Merges the sorted halves a[0, m) and a[m, n). */
static uint64_t merge(int64_t *a, int64_t *scratch, size_t m, size_t n)
{
	uint64_t inversions = 0;
	if (m == 0 || a[m - 1] <= a[m])
		return 0; /* sorted already */
	memcpy(scratch, a, m * sizeof *a);
	size_t i = 0, j = m, k = 0;
	while (i < m && j < n) {
		if (scratch[i] <= a[j]) {
			a[k++] = scratch[i++];
		} else {
			inversions += m - i; /* a[j] was behind all the rest of the first half */
			a[k++] = a[j++];
		}
	}
	memcpy(a + k, scratch + i, (m - i) * sizeof *a);
	return inversions;
}

static uint64_t sort_alone(int64_t *a, int64_t *scratch, size_t n)
{
	if (n <= INSERTION)
		return insertion_sort(a, n);
	const size_t m = n / 2;
	uint64_t inversions = sort_alone(a, scratch, m);
	inversions += sort_alone(a + m, scratch + m, n - m);
	return inversions + merge(a, scratch, m, n);
}

static void sort_job(void *arg);

static void sort_halves(job *j)
{
	const size_t m = j->n / 2;
	gort_waitgroup wait = GORT_INIT;
	job left = *j, right = *j;
	left.n = m;
	left.parent = &wait;
	right.a += m;
	right.scratch += m;
	right.n -= m;
	right.parent = NULL;
	gort_waitgroup_add(&wait, 1);
	workload_go(sort_job, &left);
	sort_job(&right);
	gort_waitgroup_wait(&wait);
	j->inversions = left.inversions + right.inversions + merge(j->a, j->scratch, m, j->n);
}

static void sort_job(void *arg)
{
	job *j = arg;
	if (j->n <= j->cutoff)
		j->inversions = sort_alone(j->a, j->scratch, j->n);
	else
		sort_halves(j);
	workload_step(j->call, j->n);
	/* The job is gone as soon as its parent knows. */
	if (j->parent)
		gort_waitgroup_done(j->parent);
}

/* The sum of all j->n, by the same splits. */
static uint64_t count_steps(size_t n, size_t cutoff)
{
	if (n <= cutoff)
		return n;
	return n + count_steps(n / 2, cutoff) + count_steps(n - n / 2, cutoff);
}

/* Numbers without a pattern, the same in every run. */
static int64_t *make_input(size_t n)
{
	int64_t *a = gort_alloc(n * sizeof *a, GORT_NOSCAN);
	uint64_t x = UINT64_C(88172645463325252);
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		a[i] = (int64_t)(x >> 1);
	}
	return a;
}

static void mergesort(void *arg)
{
	workload_call *call = arg;
	job all = { .a = call->data, .n = call->length, .cutoff = (size_t)call->params[1],
		.call = call };
	if (!all.a) {
		all.n = (size_t)call->params[0];
		all.a = make_input(all.n);
	}
	if (all.n == 0)
		return;
	workload_set_total(call, count_steps(all.n, all.cutoff));
	all.scratch = gort_alloc(all.n * sizeof *all.scratch, GORT_NOSCAN);
	sort_job(&all);
	call->value = (int64_t)all.inversions;
}

static const workload_param params[] = {
	{ "n", 1000000, 1, 1000000000, "how many numbers it makes up; ignored if there is data" },
	{ "cutoff", 8192, 16, 1000000000, "pieces up to this size are sorted without goroutines" },
};
const workload workload_mergesort = {
	.name = "mergesort", .summary = "parallel merge sort of 64-bit integers, in place",
	.value = "how many pairs were out of order", .data = "the integers to sort",
	.params = params, .nparams = NPARAMS(params), .main = mergesort,
};
