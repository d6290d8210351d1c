/* Records of dead goroutines are used again, whichever P they died on, and none is had twice. */
#include "core/sched/internal.h"
#include "tests/support/goroutines.h"

enum { WAVE = 200, WAVES = 60, MOST_PS = 8 };

static gort_waitgroup wg;
static rt_atomic32 alive;

static size_t records(void)
{
	return rt_self()->rt->sched.gs.inuse;
}

static void live_a_little(void *arg)
{
	(void)arg;
	rt_add32_full(&alive, 1);
	gort_gosched();
	rt_add32_full(&alive, (uint32_t)-1);
	gort_waitgroup_done(&wg);
}

/* Every wave needs as many as the first. What a P keeps may be missing to the others: 63 each. */
static void waves(void *arg)
{
	size_t most = WAVE + 63 * MOST_PS + 16; /* main and the runtime's own */

	(void)arg;
	for (int i = 0; i < WAVES; i++) {
		gort_waitgroup_add(&wg, WAVE);
		for (int j = 0; j < WAVE; j++)
			CHECK(gort_go(live_a_little, NULL) == 0);
		gort_waitgroup_wait(&wg);
		CHECK(records() <= most);
		if (gort_gomaxprocs(0) > 1) /* a P that goes leaves its records to the others */
			(void)gort_gomaxprocs(2 + i * 5 % (MOST_PS - 1));
	}
}

static void test_waves(void **state)
{
	(void)state;
	run_all(waves);
	assert_int_equal(rt_load32_rlx(&alive), 0);
}

static gort_runtime *outside;
static rt_g *one, *other;

/* Without a P a batch gives one, and the rest stays there. */
static void by_hand(void *arg)
{
	enum { N = 2 * RT_GFREE_BATCH };
	rt_p pp = { .id = 0 };
	rt_g *all[N];
	size_t n;

	(void)arg;
	for (int i = 0; i < N; i++) {
		all[i] = rt_g_new(outside, &pp);
		CHECK(all[i] != NULL);
	}
	n = records();
	for (int i = 0; i < N; i++)
		rt_g_free(outside, &pp, all[i]);
	CHECK(pp.gspare == all[N - 1] && pp.gfree == NULL); /* the older batch went to all */
	CHECK(rt_loadptr_rlx(&outside->sched.gfree) == all[RT_GFREE_BATCH - 1]);
	one = rt_g_new(outside, NULL);
	other = rt_g_new(outside, NULL);
	CHECK(one == all[RT_GFREE_BATCH - 1] && other == all[RT_GFREE_BATCH - 2]);
	rt_g_free(outside, NULL, other);
	rt_g_free(outside, NULL, one);
	rt_gfree_flush(outside, &pp);
	for (int i = 0; i < N; i++)
		all[i] = rt_g_new(outside, &pp);
	CHECK(records() == n); /* all were found again */
	for (int i = 0; i < N; i++)
		for (int j = 0; j < i; j++)
			CHECK(all[i] != all[j]);
	for (int i = 0; i < N; i++)
		rt_g_free(outside, &pp, all[i]);
	rt_gfree_flush(outside, &pp);
}

static void on_one_p(void *arg)
{
	outside = rt_self()->rt;
	by_hand(arg);
}

static void test_batches(void **state)
{
	(void)state;
	assert_int_equal(program(1, on_one_p, NULL), 0);
	assert_int_equal(rt_load32_rlx(&failures), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waves),
		cmocka_unit_test(test_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
