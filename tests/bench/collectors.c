/* collectors.c: the same programs with gort's collector and with Boehm's (bdwgc), as a user of each would write them:
 * tests/bench/collectors builds both, the other one with -DBDWGC.
 *
 *   collectors NAME [ARGUMENT]
 *
 * One mutator. Prints "NAME VALUE UNIT".
 *   trees      binary trees: many short-lived ones of depth 4 to 18 beside one that stays; the whole, ms
 *   graph      a random graph of 2^18 nodes with four edges and a block each, half of whose nodes are replaced four
 *              times; the whole, ms
 *   alloc16 ... alloc32768, noscan16 ...    one after the other of this size, kept nowhere: ns each; noscan: without
 *              pointers
 *   pause      ARGUMENT MiB (256) of linked objects live, others come and go for five seconds: the longest stop of the
 *              world, us, and the longest of 256 allocations in a row, us
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct node {
	struct node *edge[4];
	char *block;
	uint64_t key;
} node;

typedef struct tree {
	struct tree *left, *right;
} tree;

static int64_t stop_longest; /* ns */

#ifdef BDWGC
#include <gc.h>

#define NEW(T) ((T *)GC_MALLOC(sizeof(T)))
#define NEW_ARRAY(T, n) ((T **)GC_MALLOC((n) * sizeof(T *)))
#define SCAN(n) GC_MALLOC(n)
#define NOSCAN(n) GC_MALLOC_ATOMIC(n)
#define STORE(slot, p) (*(slot) = (p))

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_event(GC_EventType event)
{
	static int64_t began;

	if (event == GC_EVENT_PRE_STOP_WORLD)
		began = now();
	if (event == GC_EVENT_POST_START_WORLD && now() - began > stop_longest)
		stop_longest = now() - began;
}

static void begin_stops(void)
{
	GC_set_on_collection_event(on_event);
}

static void end_stops(void)
{
}
#else
#include <gort.h>

GORT_DEFINE_TYPE(node, { "e0", offsetof(node, edge[0]), gort_type_of_void_ptr, NULL },
                 { "e1", offsetof(node, edge[1]), gort_type_of_void_ptr, NULL },
                 { "e2", offsetof(node, edge[2]), gort_type_of_void_ptr, NULL },
                 { "e3", offsetof(node, edge[3]), gort_type_of_void_ptr, NULL }, GORT_PTR(node, block),
                 GORT_FIELD(node, key, uint64_t));
GORT_DEFINE_TYPE(tree, GORT_PTR(tree, left), GORT_PTR(tree, right));

#define NEW(T) ((T *)gort_new(GORT_TYPE(T)))
#define NEW_ARRAY(T, n) ((T **)gort_new_array(gort_type_of_void_ptr(), (n)))
#define SCAN(n) gort_alloc(n, 0)
#define NOSCAN(n) gort_alloc(n, GORT_NOSCAN | GORT_NOZERO) /* as GC_MALLOC_ATOMIC, which clears nothing */
#define STORE(slot, p) gort_store(slot, p)

static int64_t now(void)
{
	return gort_nanotime();
}

static const gort_metric_desc *pauses(uint64_t *counts)
{
	gort_metric m = { .name = "/sched/pauses/total/gc:seconds", .value.counts = counts };

	for (size_t i = 0;; i++) {
		const gort_metric_desc *d = gort_metric_at(i);

		if (d == NULL || strcmp(d->name, m.name) == 0) {
			if (d != NULL && counts != NULL)
				(void)gort_metrics_read(gort_self(), &m, 1);
			return d;
		}
	}
}

static uint64_t *before;

static void begin_stops(void)
{
	before = calloc(pauses(NULL)->nbuckets, sizeof *before);
	(void)pauses(before);
}

/* The end of the last bucket that has grown. */
static void end_stops(void)
{
	const gort_metric_desc *d = pauses(NULL);
	uint64_t *after = calloc(d->nbuckets, sizeof *after);

	(void)pauses(after);
	for (size_t i = 0; i < d->nbuckets; i++)
		if (after[i] > before[i])
			stop_longest = (int64_t)(d->bounds[i + 1] * 1e9);
}
#endif

static uint64_t next(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

static void fail(const char *what)
{
	fprintf(stderr, "collectors: %s\n", what);
	exit(1);
}

/* ---- Trees ---------------------------------------------------------------------------------------------- */

static tree *grow(int depth)
{
	tree *t = NEW(tree);

	if (depth > 0) {
		STORE(&t->left, grow(depth - 1));
		STORE(&t->right, grow(depth - 1));
	}
	return t;
}

static int64_t count(const tree *t)
{
	return t->left == NULL ? 1 : 1 + count(t->left) + count(t->right);
}

static void trees(void)
{
	enum { DEEPEST = 18 };
	int64_t start = now();
	tree *stays = grow(DEEPEST);

	for (int depth = 4; depth <= DEEPEST; depth += 2) {
		int n = 1 << (DEEPEST - depth + 4);

		for (int i = 0; i < n; i++)
			if (count(grow(depth)) != ((int64_t)2 << depth) - 1)
				fail("a tree has lost leaves");
	}
	if (count(stays) != ((int64_t)2 << DEEPEST) - 1)
		fail("the tree that stays has lost leaves");
	printf("trees %.3f ms\n", (double)(now() - start) / 1e6);
}

/* ---- A random graph --------------------------------------------------------------------------------------- */

static node *make_node(uint64_t *seed, size_t most)
{
	node *n = NEW(node);

	n->key = next(seed);
	STORE(&n->block, NOSCAN(16 + n->key % most));
	n->block[0] = (char)n->key;
	return n;
}

/* Edges lead to whoever is there now; a node that is replaced cuts its own, so that it does not keep all its past. */
static void graph(void)
{
	enum { NODES = 1 << 18 };
	uint64_t seed = 1, sum = 0;
	int64_t start = now();
	node **all = NEW_ARRAY(node, NODES);

	for (int i = 0; i < NODES; i++)
		STORE(&all[i], make_node(&seed, 240));
	for (int i = 0; i < 2 * NODES; i++) {
		uint64_t r = next(&seed);
		node *n = make_node(&seed, 240), *old = all[r % NODES];

		for (int e = 0; e < 4; e++) {
			STORE(&n->edge[e], all[next(&seed) % NODES]);
			STORE(&old->edge[e], NULL);
		}
		STORE(&all[r % NODES], n);
	}
	for (int i = 0; i < NODES; i++) {
		node *n = all[i];

		for (int step = 0; step < 8 && n != NULL; step++) {
			if (n->block[0] != (char)n->key)
				fail("a block was changed");
			sum += n->key;
			n = n->edge[sum % 4];
		}
	}
	printf("graph %.3f ms\n", (double)(now() - start) / 1e6);
}

/* ---- One size ---------------------------------------------------------------------------------------------- */

static void *volatile last;

static int64_t allocate(size_t size, bool scan, int64_t n)
{
	int64_t start = now();

	for (int64_t i = 0; i < n; i++)
		last = scan ? SCAN(size) : NOSCAN(size);
	last = NULL;
	return now() - start;
}

static void sizes(const char *name, size_t size, bool scan)
{
	int64_t n = (int64_t)(((size_t)1 << 30) / (size + 64)) + 1;

	(void)allocate(size, scan, n / 4);
	printf("%s %.3f ns\n", name, (double)allocate(size, scan, n) / (double)n);
}

/* ---- Pauses ------------------------------------------------------------------------------------------------ */

static void pause_of(double mib)
{
	enum { ROW = 256, LISTS = 1 << 12 };
	uint64_t seed = 1;
	size_t n = (size_t)(mib * (1 << 20) / 204);
	node **lists = NEW_ARRAY(node, LISTS), *made;
	int64_t longest = 0, start, was, at;

	for (size_t i = 0; i < n; i++) {
		made = make_node(&seed, 240);
		STORE(&made->edge[0], lists[i % LISTS]);
		STORE(&lists[i % LISTS], made);
	}
	begin_stops();
	for (start = at = now(); at - start < (int64_t)5e9;) {
		was = at;
		for (int i = 0; i < ROW / 2; i++)
			last = make_node(&seed, 240);
		at = now();
		longest = at - was > longest ? at - was : longest;
	}
	end_stops();
	for (int i = 0; i < LISTS; i++) /* they were live all the time */
		for (made = lists[i]; made != NULL; made = made->edge[0])
			if (made->block[0] != (char)made->key)
				fail("a block was changed");
	printf("stop %.3f us\nstall %.3f us\n", (double)stop_longest / 1e3, (double)longest / 1e3);
}

/* ---- Main --------------------------------------------------------------------------------------------------- */

static const char *name;
static double argument;

static void program(void *arg)
{
	(void)arg;
	if (strcmp(name, "trees") == 0)
		trees();
	else if (strcmp(name, "graph") == 0)
		graph();
	else if (strncmp(name, "alloc", 5) == 0 && atoi(name + 5) > 0)
		sizes(name, (size_t)atoi(name + 5), true);
	else if (strncmp(name, "noscan", 6) == 0 && atoi(name + 6) > 0)
		sizes(name, (size_t)atoi(name + 6), false);
	else if (strcmp(name, "pause") == 0)
		pause_of(argument > 0 ? argument : 256);
	else
		fail("no such name");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: collectors NAME [ARGUMENT]\n");
		return 2;
	}
	name = argv[1];
	argument = argc > 2 ? atof(argv[2]) : 0;
#ifdef BDWGC
	GC_INIT();
	program(NULL);
	return 0;
#else
	return gort_main(program, NULL);
#endif
}
