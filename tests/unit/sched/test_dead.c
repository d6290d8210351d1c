/* Records of dead goroutines are used again, whichever P they died on; none is had twice, each is as it was born. */
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

/* ---- As born ------------------------------------------------------------------------------------ */

static rt_g *marked, *checked;

static void mark(void *arg)
{
	(void)arg;
	marked = rt_curg();
}

static void mark_wired(void *arg)
{
	mark(arg);
	gort_lock_os_thread();
}

static void never(void *arg)
{
	(void)arg;
	CHECK(false);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void exits(void *arg)
{
	(void)arg;
	gort_goexit();
}

/* More deferred calls than a scope has room for, and a panic that Goexit overtakes. */
static void mark_deferring(void *arg)
{
	mark(arg);
	for (int i = 0; i < 100; i++)
		gort_defer(nothing, NULL);
	gort_defer(exits, NULL);
	gort_panics("overtaken");
	never(arg);
}

static int mark_member(void *arg)
{
	mark(arg);
	return 0;
}

static void check_born(void *arg)
{
	rt_g *gp = rt_curg();

	(void)arg;
	CHECK(gp == marked);
	CHECK(!rt_g_has_more(gp) && gp->name == NULL && gp->defers == NULL && gp->panics == NULL && gp->member == NULL);
	CHECK(gp->trace_last == 0 && gp->stack_size == 0 && gp->lockcount == 0 && gp->lockedm == NULL);
	checked = gp;
	gort_waitgroup_done(&wg);
}

static void until_dead(const rt_g *gp)
{
	while (rt_load32_acq(&gp->status) != RT_G_DEAD)
		gort_gosched();
}

/* Who comes next gets the record of who has just died. */
static void next_is_as_born(void)
{
	until_dead(marked);
	gort_waitgroup_add(&wg, 1);
	CHECK(gort_go(check_born, NULL) == 0);
	gort_waitgroup_wait(&wg);
	until_dead(checked); /* or the next would get another record */
}

static void all_marks(void *arg)
{
	gort_go_attr attr = { sizeof attr, 1 << 20, "marked" };
	gort_trace_listener deaf = { .size = sizeof deaf, .groups = GORT_TRACE_SCHED };
	static gort_group group;

	(void)arg;
	CHECK(gort_go_with(&attr, mark, NULL) == 0);
	gort_gosched();
	next_is_as_born();
	CHECK(gort_go(mark_wired, NULL) == 0);
	gort_gosched();
	next_is_as_born();
	CHECK(gort_go(mark_deferring, NULL) == 0);
	gort_gosched();
	next_is_as_born();
	CHECK(gort_group_go(&group, mark_member, NULL) == 0);
	CHECK(gort_group_wait(&group) == 0);
	next_is_as_born();
	CHECK(gort_trace_start(rt_self()->rt, &deaf) == 0);
	CHECK(gort_go(mark, NULL) == 0);
	gort_gosched();
	until_dead(marked);
	CHECK(gort_trace_stop(rt_self()->rt) == 0);
	next_is_as_born();
}

static void test_as_born(void **state)
{
	(void)state;
	assert_int_equal(program(1, all_marks, NULL), 0);
	assert_int_equal(rt_load32_rlx(&failures), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waves),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_as_born),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
