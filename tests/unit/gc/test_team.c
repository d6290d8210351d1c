/* Under the collector `stw`: threads that have nothing to do help to mark, and the result is the same. */
#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

#include "backends/thread/thread.h"

enum { DEPTH = 12, TREES = 8, ROUNDS = 20, NODES = (1 << (DEPTH + 1)) - 1 };

typedef struct node {
	struct node *left, *right;
	uint64_t sum;          /* of all below, and itself: 1 each */
} node;
GORT_DEFINE_TYPE(node, GORT_PTR(node, left), GORT_PTR(node, right), GORT_FIELD(node, sum, uint64_t));

static node *trees[TREES];     /* a root */
static rt_atomic32 stop;

static node *grow(int depth)
{
	node *n = gort_new(GORT_TYPE(node));

	n->sum = 1;
	if (depth > 0) {
		gort_store(&n->left, grow(depth - 1));
		gort_store(&n->right, grow(depth - 1));
		n->sum += n->left->sum + n->right->sum;
	}
	return n;
}

static uint64_t count(const node *n)
{
	uint64_t l = n->left != NULL ? count(n->left) : 0, r = n->right != NULL ? count(n->right) : 0;

	return n->sum == l + r + 1 ? l + r + 1 : 0;
}

static RT_NOINLINE void check_trees(void)
{
	for (int i = 0; i < TREES; i++)
		CHECK(count(trees[i]) == NODES);
}

static RT_NOINLINE void plant(int i)
{
	gort_store(&trees[i], grow(DEPTH));
}

/* Its thread gives up its P at each stop, and comes by. */
static void yields(void *arg)
{
	(void)arg;
	while (!rt_load32_rlx(&stop))
		gort_gosched();
}

static uint32_t helped(void)
{
	return rt_load32_rlx(&gort_self()->gc->helped);
}

static void begin(int others)
{
	gort_root_add(gort_self(), trees, sizeof trees);
	rt_store32_rlx(&stop, 0);
	for (int i = 0; i < others; i++)
		gort_go(yields, NULL);
	for (int i = 0; i < TREES; i++)
		plant(i);
}

static void finish(void)
{
	check_trees();
	rt_store32_rlx(&stop, 1);
	memset(trees, 0, sizeof trees);
	gort_root_remove(gort_self(), trees);
}

/* The marked bytes are those of the trees, whoever marks. */
static void together(void *arg)
{
	uint64_t live = 0;

	(void)arg;
	begin(3);
	for (int i = 0; i < ROUNDS || (helped() < 5 && i < 100 * ROUNDS); i++) {
		uint64_t now;

		plant(i % TREES);
		collect();
		now = rt_load64_rlx(&gort_self()->gc->heap.live);
		CHECK(now >= (uint64_t)TREES * NODES * sizeof(node));
		/* The tree before is gone, but for what stale words lead to. */
		CHECK(live == 0 || now < live + NODES * sizeof(node));
		live = live == 0 ? now : live;
		if (i % 8 == 0)
			check_trees();
	}
	CHECK(helped() >= 5);
	finish();
}

static void test_together(void **state)
{
	(void)state;
	assert_int_equal(collected(2, "stw", together, NULL), 0);
	assert_int_equal(collected(4, "stw", together, NULL), 0);
	debug = "clobberfree=1,gccheckmark=1";
	assert_int_equal(collected(4, "stw", together, NULL), 0);
	debug = NULL;
}

/* Nobody is there to help, or nobody may. */
static void alone(void *arg)
{
	(void)arg;
	begin(0);
	for (int i = 0; i < ROUNDS; i++) {
		plant(i % TREES);
		collect();
	}
	CHECK(rt_gomaxprocs(gort_self()) > 1 || helped() == 0);
	finish();
}

static void test_alone(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "stw", alone, NULL), 0);
	assert_int_equal(collected(2, "stw", alone, NULL), 0);
}

/* Without memory for buffers, in any thread. */
static void short_of_buffers(void *arg)
{
	(void)arg;
	begin(3);
	refuse_buffers(true);
	for (int i = 0; i < ROUNDS; i++) {
		collect();
		check_trees();
	}
	refuse_buffers(false);
	finish();
}

static void test_short_of_buffers(void **state)
{
	(void)state;
	assert_int_equal(collected(4, "stw", short_of_buffers, NULL), 0);
}

/* The run ends while a collection is on and others help. */
static gort_runtime *running;
static rt_atomic32 begun;

static void collects_for_ever(void *arg)
{
	(void)arg;
	begin(3);
	for (;;) {
		gort_gc();
		rt_add32_full(&begun, 1);
	}
}

static void stops_it(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&begun) < 2)
		be_thread_nap(100 * GORT_MICROSECOND);
	gort_runtime_stop(running, -5);
}

static void test_end_of_run(void **state)
{
	gort_config cfg;

	(void)state;
	for (int i = 0; i < 20; i++) {
		be_thread t;

		gort_config_init(&cfg);
		cfg.procs = 4;
		cfg.collector = "stw";
		assert_int_equal(gort_runtime_new(&running, &cfg), 0);
		rt_store32_rlx(&begun, 0);
		assert_int_equal(be_thread_start(&t, stops_it, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(running, collects_for_ever, NULL), -5);
		be_thread_join(&t);
		assert_int_equal(gort_root_remove(running, trees), 0);
		assert_int_equal(gort_runtime_free(running), 0);
	}
}

/* Who asks for collections and who collects wake one another, and stop the world when their turn should end. */
static void collects_beside(void *arg)
{
	(void)arg;
	while (!rt_load32_rlx(&stop))
		gort_gc();
}

static void others_get_turns(void *arg)
{
	(void)arg;
	begin(0);
	gort_go(collects_beside, NULL);
	for (int i = 0; i < 3; i++)
		gort_gosched();
	finish();
}

static void test_others_get_turns(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "stw", others_get_turns, NULL), 0);
	assert_int_equal(collected(1, "concurrent", others_get_turns, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_short_of_buffers),
		cmocka_unit_test(test_end_of_run),
		cmocka_unit_test(test_others_get_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
