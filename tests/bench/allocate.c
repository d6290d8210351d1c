/* allocate.c: workloads that allocate; the other half is allocate.go. See workloads.c.
 *
 * new16 to new32k: objects of that size, each garbage as soon as the next is there; without pointers, and
 * (new16p ...) of a type whose first word is one. new64x: one goroutine on each P makes such of 64 bytes; an
 * operation is one object of all. trees: the binary trees of depth 18 that many languages are compared by; treesx:
 * each depth on a goroutine of its own.
 */
#include "tests/bench/workloads.h"

#include <gort.h>

enum { DEPTH = 18, SHALLOW = 4 };

/* ---- One after the other ------------------------------------------------------------------------ */

#define SIZES(X) X(16, 16) X(64, 64) X(256, 256) X(1k, 1024) X(32k, 32768)

/* gort_store and not a plain store: so does Go's compiler, for a variable outside all frames. */
#define PLAIN(name, size)                                                                          \
	static void *sink##name;                                                                   \
	static int64_t new##name(int64_t n)                                                        \
	{                                                                                          \
		int64_t start;                                                                     \
                                                                                                   \
		gort_root_add(gort_self(), &sink##name, sizeof sink##name);                        \
		start = gort_nanotime();                                                           \
		for (int64_t i = 0; i < n; i++)                                                    \
			gort_store(&sink##name, gort_alloc(size, GORT_NOSCAN));                    \
		start = gort_nanotime() - start;                                                   \
		gort_root_remove(gort_self(), &sink##name);                                        \
		return start;                                                                      \
	}
#define TYPED(name, size)                                                                          \
	typedef struct pointer##name {                                                             \
		void *first;                                                                       \
		char rest[(size) - sizeof(void *)];                                                \
	} pointer##name;                                                                           \
	GORT_DEFINE_TYPE(pointer##name, GORT_PTR(pointer##name, first));                           \
	static pointer##name *sinkp##name;                                                         \
	static int64_t new##name##p(int64_t n)                                                     \
	{                                                                                          \
		int64_t start;                                                                     \
                                                                                                   \
		gort_root_add(gort_self(), &sinkp##name, sizeof sinkp##name);                      \
		start = gort_nanotime();                                                           \
		for (int64_t i = 0; i < n; i++)                                                    \
			gort_store(&sinkp##name, gort_new(GORT_TYPE(pointer##name)));              \
		start = gort_nanotime() - start;                                                   \
		gort_root_remove(gort_self(), &sinkp##name);                                       \
		return start;                                                                      \
	}

SIZES(PLAIN)
SIZES(TYPED)

/* ---- At once --------------------------------------------------------------------------------------- */

enum { SINKS = 64 };

static pointer64 *sinks[SINKS][8];

typedef struct maker {
	gort_waitgroup *wg;
	int64_t each;
	pointer64 **sink;
} maker;

static void makes(void *arg)
{
	maker *m = arg;

	for (int64_t i = 0; i < m->each; i++)
		gort_store(m->sink, gort_new(GORT_TYPE(pointer64)));
	gort_waitgroup_done(m->wg);
}

static int64_t new64x(int64_t n)
{
	int procs = gort_gomaxprocs(0);
	gort_waitgroup wg = GORT_INIT;
	maker makers[SINKS];
	int64_t start;

	if (procs > SINKS)
		procs = SINKS;
	gort_root_add(gort_self(), sinks, sizeof sinks);
	start = gort_nanotime();
	gort_waitgroup_add(&wg, procs);
	for (int i = 0; i < procs; i++) {
		makers[i] = (maker){ &wg, n / procs, &sinks[i][0] };
		if (gort_go(makes, &makers[i]) != 0)
			fail("no memory for a goroutine");
	}
	gort_waitgroup_wait(&wg);
	start = gort_nanotime() - start;
	gort_root_remove(gort_self(), sinks);
	return start;
}

/* ---- Binary trees ---------------------------------------------------------------------------------- */

typedef struct tree {
	struct tree *left, *right;
} tree;
GORT_DEFINE_TYPE(tree, GORT_PTR(tree, left), GORT_PTR(tree, right));

/* Plain stores: they fill an object that was made just now. */
static tree *grow(int depth)
{
	tree *left = NULL, *right = NULL, *t;

	if (depth > 0) {
		left = grow(depth - 1);
		right = grow(depth - 1);
	}
	t = gort_new(GORT_TYPE(tree));
	t->left = left;
	t->right = right;
	return t;
}

static int64_t count(const tree *t)
{
	return t->left == NULL ? 1 : 1 + count(t->left) + count(t->right);
}

typedef struct stand {
	gort_waitgroup *wg; /* or NULL */
	int depth;
	int64_t trees;
} stand;

static void fell(void *arg)
{
	stand *s = arg;
	int64_t found = 0;

	for (int64_t i = 0; i < s->trees; i++)
		found += count(grow(s->depth));
	if (found != s->trees * ((INT64_C(2) << s->depth) - 1))
		fail("trees: wrong count");
	if (s->wg != NULL)
		gort_waitgroup_done(s->wg);
}

static int64_t trees_of(int depth, bool at_once)
{
	stand stands[DEPTH / 2];
	gort_waitgroup wg = GORT_INIT;
	tree *volatile lives;
	int n = 0;
	int64_t start = gort_nanotime();

	if (count(grow(depth + 1)) != (INT64_C(4) << depth) - 1)
		fail("trees: wrong count");
	lives = grow(depth);
	for (int d = SHALLOW; d <= depth; d += 2, n++) {
		stands[n] = (stand){ at_once ? &wg : NULL, d, INT64_C(1) << (depth - d + SHALLOW) };
		if (!at_once) {
			fell(&stands[n]);
			continue;
		}
		gort_waitgroup_add(&wg, 1);
		if (gort_go(fell, &stands[n]) != 0)
			fail("no memory for a goroutine");
	}
	gort_waitgroup_wait(&wg);
	if (count(lives) != (INT64_C(2) << depth) - 1)
		fail("trees: wrong count");
	return gort_nanotime() - start;
}

static int64_t trees(int64_t depth)
{
	return trees_of((int)depth, false);
}

static int64_t treesx(int64_t depth)
{
	return trees_of((int)depth, true);
}

#define ROW(name, size) { "new" #name, new##name, 1, 0 }, { "new" #name "p", new##name##p, 1, 0 },

const workload allocations[] = {
	SIZES(ROW)
	{ "new64x", new64x, 64, 0 },
	{ "trees", trees, 1, DEPTH },
	{ "treesx", treesx, 1, DEPTH },
	{ NULL, NULL, 0, 0 },
};
