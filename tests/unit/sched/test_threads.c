/* Threads that end and threads that are wanted: neither pile up. Threads that are none of the runtime's count where
 * they matter. */
#include "core/sched/internal.h"
#include "tests/support/goroutines.h"

static rt_atomic32 done, ended;

static gort_runtime *runtime_with(int procs, const char *debug)
{
	gort_runtime *rt;
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.debug = debug;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	return rt;
}

static gort_runtime *runtime(int procs)
{
	return runtime_with(procs, NULL);
}

static void sleeps(void *arg)
{
	(void)arg;
	gort_sleep(GORT_MILLISECOND);
}

/* ---- Threads that end ------------------------------------------------------------------------- */

static int unjoined(gort_runtime *rt)
{
	rt_m *self = rt_hold();
	int n = 0;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	for (rt_m *mp = rt->sched.freem; mp != NULL; mp = mp->alllink)
		n++;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_unhold(self);
	return n;
}

static void ends_wired(void *arg)
{
	gort_lock_os_thread();
	gort_waitgroup_done(arg);
}

static void many_end(void *arg)
{
	int *most = arg;

	for (int i = 0; i < 100; i++) {
		gort_waitgroup wg = GORT_INIT;
		int n;

		gort_waitgroup_add(&wg, 3);
		for (int k = 0; k < 3; k++)
			CHECK(gort_go(ends_wired, &wg) == 0);
		gort_waitgroup_wait(&wg);
		n = unjoined(gort_self());
		if (n > *most)
			*most = n;
	}
}

/* The last one that ended, and one that its maker may not have done with. */
static void test_each_joins_those_before(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		gort_runtime *rt = runtime(procs);
		int most = 0;

		rt_store32_rlx(&failures, 0);
		assert_int_equal(gort_runtime_run(rt, many_end, &most), 0);
		assert_int_equal(rt_load32_acq(&failures), 0);
		assert_true(most <= 2);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* Whether the M with this id has a thread still. */
static bool lives(gort_runtime *rt, uint32_t id)
{
	rt_m *self = rt_hold();
	bool any = false;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	for (rt_m *mp = rt->sched.allm; mp != NULL; mp = mp->alllink)
		any = any || mp->id == id;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_unhold(self);
	return any;
}

enum { IN_THE_SYSTEM, COMPUTES, IN_FOREIGN_CODE, WAITS, WAYS };

static struct {
	int way;
	uint32_t id;
	rt_atomic32 there, go;
} left;

static void left_wired(void *arg)
{
	(void)arg;
	gort_lock_os_thread();
	left.id = rt_self()->id;
	rt_store32_rel(&left.there, 1);
	if (left.way == IN_THE_SYSTEM) {
		gort_entersyscall();
		while (!rt_load32_acq(&left.go))
			be_thread_nap(100 * GORT_MICROSECOND);
		gort_exitsyscall();
	} else if (left.way == COMPUTES) {
		while (!rt_load32_acq(&left.go))
			; /* it is dropped here, but for sanitizers */
		gort_gosched();
	} else if (left.way == IN_FOREIGN_CODE) {
		while (!rt_load32_acq(&left.go))
			be_thread_nap(100 * GORT_MICROSECOND);
		gort_gosched();
	} else {
		gort_select(NULL, 0, GORT_FOREVER);
	}
	CHECK(false);
}

static void leaves_it_there(void *arg)
{
	(void)arg;
	CHECK(gort_go(left_wired, NULL) == 0);
	YIELD_UNTIL(rt_load32_acq(&left.there));
	gort_sleep(GORT_MILLISECOND * (left.way == WAITS ? 1 : 30)); /* it is seen to compute, or to block */
}

static void check_left(int procs, int way)
{
	gort_runtime *rt = runtime(procs);
	int64_t last = be_nanotime() + 60 * GORT_SECOND;

	left.way = way;
	rt_store32_rlx(&left.there, 0);
	rt_store32_rlx(&left.go, 0);
	assert_int_equal(gort_runtime_run(rt, leaves_it_there, NULL), 0);
	if (way == IN_THE_SYSTEM || way == IN_FOREIGN_CODE)
		assert_true(lives(rt, left.id));
	rt_store32_rel(&left.go, 1);
	while (lives(rt, left.id) && be_nanotime() < last)
		be_thread_nap(100 * GORT_MICROSECOND);
	assert_false(lives(rt, left.id));
	assert_int_equal(gort_runtime_run(rt, sleeps, NULL), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* Wherever its goroutine is when the run ends, a thread that it altered does not run others. */
static void test_who_is_dropped_wired_ends_its_thread(void **state)
{
	(void)state;
	rt_store32_rlx(&failures, 0);
	for (int way = 0; way < WAYS; way++)
		for (int procs = 1; procs <= 3; procs += 2)
			if (be_preempt_in_place || way == IN_THE_SYSTEM || way == WAITS)
				check_left(procs, way);
	assert_int_equal(rt_load32_acq(&failures), 0);
}

/* ---- Threads that are wanted ------------------------------------------------------------------ */

/* Ps come and go while the maker makes nothing, as if the system took its time. */
static void test_no_more_wishes_than_idle_ps(void **state)
{
	gort_runtime *rt = runtime(2);
	rt_sched *sc = &rt->sched;

	(void)state;
	rt_store32_rel(&sc->ending, 1);
	rt_maker_end(rt);
	for (int i = 0; i < 100; i++) {
		rt_p *pp;

		rt_lock(&sc->lock, RT_RANK_sched);
		pp = rt_pidle_get_locked(rt);
		rt_unlock(&sc->lock, RT_RANK_sched);
		assert_non_null(pp);
		rt_startm(rt, pp, false);
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	assert_in_range(sc->nmake, 1, 2);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_store32_rel(&sc->ending, 0);
	assert_int_equal(rt_maker_start(rt), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* ---- Threads that are refused ------------------------------------------------------------------ */

enum { REFUSALS = 8 };

static void yields_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		gort_gosched();
}

static void set(void *arg)
{
	rt_store32_rel(arg, 1);
}

/* Its thread is awake and looks for nothing until another goroutine has run. */
static void is_in_the_system(void *arg)
{
	rt_atomic32 there;

	(void)arg;
	rt_store32_rlx(&there, 0);
	CHECK(gort_go(set, &there) == 0);
	gort_entersyscall();
	while (!rt_load32_acq(&there))
		be_thread_nap(GORT_MICROSECOND);
	gort_exitsyscall();
}

static void collects(void *arg)
{
	(void)arg;
	gort_gc();
}

typedef struct refuser {
	gort_runtime *rt;
	int left;
} refuser;

/* All that are asked for, until there were so many. */
static void refuse(void *arg)
{
	refuser *r = arg;

	while (r->left > 0 && !rt_load32_acq(&ended)) {
		rt_atomic32 *next = &r->rt->debug.failleft;

		if (rt_load32_rlx(next) == 0) {
			rt_store32_rlx(next, 1);
			r->left--;
		}
		be_thread_nap(GORT_MICROSECOND);
	}
}

static void run_refused(int procs, int first, int times, gort_func fn)
{
	char debug[32];
	refuser r = { .left = times - 1 };
	be_thread t;

	snprintf(debug, sizeof debug, "syscallfail=thread:%d", first);
	r.rt = runtime_with(procs, debug);
	rt_store32_rlx(&failures, 0);
	rt_store32_rlx(&ended, 0);
	if (times > 1)
		assert_int_equal(be_thread_start(&t, refuse, &r, 0), 0);
	assert_int_equal(gort_runtime_run(r.rt, fn, NULL), 0);
	assert_int_equal(rt_load32_acq(&failures), 0);
	if (times > 1) {
		rt_store32_rel(&ended, 1);
		be_thread_join(&t);
	}
	assert_int_equal(gort_runtime_free(r.rt), 0);
}

/* Nobody is taken for dead, and nothing is forgotten. */
static void test_refused_threads(void **state)
{
	static const gort_func programs[] = { yields_often, sleeps, is_in_the_system, collects };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(programs); i++)
		for (int procs = 1; procs <= 2; procs++) {
			for (int n = 1; n <= 3; n++)
				run_refused(procs, n, 1, programs[i]);
			run_refused(procs, 1, REFUSALS, programs[i]);
		}
}

/* ---- Who stops the world from outside ----------------------------------------------------------- */

enum { STOPS = 5000, RUNS = 200 };

static void stop_often(void *arg)
{
	for (int i = 0; i < STOPS; i++) {
		rt_stop_world(arg, RT_STW_WATCH);
		rt_start_world(arg);
	}
	rt_store32_rel(&done, 1);
}

/* Who wants the lock gets it between any two that hold it. looks: as a thread that ends, which may be at any moment. */
static void lock_often(gort_runtime *rt, bool looks)
{
	while (!rt_load32_acq(&ended)) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		if (looks)
			rt_checkdead_locked(rt);
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
	}
}

static void look(void *arg)
{
	lock_often(arg, true);
}

static void be_in_the_way(void *arg)
{
	lock_often(arg, false);
}

static int run_beside(gort_runtime *rt, gort_func fn, gort_func stops, gort_func other)
{
	be_thread stopper, locker;
	int r;

	rt_store32_rlx(&done, 0);
	rt_store32_rlx(&ended, 0);
	assert_int_equal(be_thread_start(&stopper, stops, rt, 0), 0);
	assert_int_equal(be_thread_start(&locker, other, rt, 0), 0);
	r = gort_runtime_run(rt, fn, NULL);
	be_thread_join(&stopper);
	rt_store32_rel(&ended, 1);
	be_thread_join(&locker);
	return r;
}

static void yields(void *arg)
{
	(void)arg;
	while (!rt_load32_acq(&done))
		gort_gosched();
}

/* While he starts it all threads of the runtime may sleep, and the only P is in his hands. */
static void test_nobody_is_dead_while_it_starts(void **state)
{
	gort_runtime *rt = runtime(1);

	(void)state;
	assert_int_equal(run_beside(rt, yields, stop_often, look), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
}

static void stop_once(void *arg)
{
	rt_stop_world(arg, RT_STW_WATCH);
	rt_store32_rel(&done, 1);
	rt_start_world(arg);
}

static void blocks(void *arg)
{
	yields(arg);
	gort_select(NULL, 0, GORT_FOREVER);
}

/* And who falls asleep meanwhile is found afterwards, or this does not end. */
static void test_the_dead_are_found_when_it_has_started(void **state)
{
	(void)state;
	for (int i = 0; i < RUNS; i++) {
		gort_runtime *rt = runtime(1);

		assert_int_equal(run_beside(rt, blocks, stop_once, be_in_the_way), GORT_EDEADLOCK);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_joins_those_before),
		cmocka_unit_test(test_who_is_dropped_wired_ends_its_thread),
		cmocka_unit_test(test_no_more_wishes_than_idle_ps),
		cmocka_unit_test(test_refused_threads),
		cmocka_unit_test(test_nobody_is_dead_while_it_starts),
		cmocka_unit_test(test_the_dead_are_found_when_it_has_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
