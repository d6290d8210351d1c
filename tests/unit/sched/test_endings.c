/* What the end of a run, or of a goroutine in the middle of something, must leave as it should be. */
#include "tests/support/goroutines.h"
#include "tests/support/stage.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static gort_runtime *rt;
static rt_atomic32 count;

static void begin(int procs)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.flags |= GORT_SCAN_DATA;
	rt_store32_rlx(&failures, 0);
	rt_store32_rlx(&stage, 0);
	rt_store32_rlx(&count, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
}

static void end(void)
{
	assert_int_equal(gort_runtime_free(rt), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
}

/* ---- gort_runtime_stop ------------------------------------------------------------------------------------ */

static void stops(void *arg)
{
	(void)arg;
	(void)gort_runtime_stop(rt, -5);
	rt_add32_full(&count, 1);
}

/* It does not return to a goroutine, though other threads look for one that can go on. */
static void test_stop_does_not_return(void **state)
{
	(void)state;
	begin(4);
	for (int i = 0; i < 300; i++)
		assert_int_equal(gort_runtime_run(rt, stops, NULL), -5);
	assert_int_equal(rt_load32_acq(&count), 0);
	end();
}

/* ---- gort_runtime_free ------------------------------------------------------------------------------------ */

/* Somebody waits for that. */
static bool waits_as(const char *reason)
{
	gort_goroutine g[8];
	size_t n = gort_goroutines(rt, g, RT_NELEM(g));

	for (size_t i = 0; i < n && i < RT_NELEM(g); i++)
		if (strcmp(g[i].wait_reason, reason) == 0)
			return true;
	return false;
}

static void waits_for_a_tick(void *arg)
{
	gort_ticker *t = gort_ticker_new(3600 * GORT_SECOND);
	int64_t v;

	(void)arg;
	reach(1);
	(void)gort_chan_recv(gort_ticker_chan(t), &v);
}

static void waits_for_two_ticks(void *arg)
{
	gort_ticker *t = gort_ticker_new(3600 * GORT_SECOND), *u = gort_ticker_new(3600 * GORT_SECOND);
	gort_select_case both[] = { { .chan = gort_ticker_chan(t), .dir = GORT_RECV },
		                    { .chan = gort_ticker_chan(u), .dir = GORT_RECV } };

	(void)arg;
	reach(1);
	(void)gort_select(both, 2, GORT_FOREVER);
}

/* By a thread that belongs to no runtime: it takes who waits off the channel of a timer. */
static void test_free_while_somebody_waits_for_a_timer(void **state)
{
	static const struct {
		gort_func fn;
		const char *as;
	} waits[] = { { waits_for_a_tick, "chan receive" }, { waits_for_two_ticks, "select" } };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(waits); i++) {
		int64_t last = be_nanotime() + 60 * GORT_SECOND;

		begin(1);
		assert_int_equal(gort_runtime_go(rt, waits[i].fn, NULL), 0);
		assert_true(reached(1));
		while (!waits_as(waits[i].as) && be_nanotime() < last)
			be_thread_yield();
		assert_true(waits_as(waits[i].as));
		end();
	}
}

/* ---- Groups ----------------------------------------------------------------------------------------------- */

static gort_group group;

static int does_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void calls_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		(void)gort_group_go(&group, does_nothing, NULL);
}

static void leaves_callers(void *arg)
{
	(void)arg;
	gort_group_limit(&group, 1);
	for (int i = 0; i < 4; i++)
		CHECK(gort_go(calls_for_ever, NULL) == 0);
	gort_sleep(GORT_MILLISECOND);
}

static void waits_for_the_group(void *arg)
{
	(void)arg;
	CHECK(gort_group_wait_until(&group, gort_nanotime() + 60 * GORT_SECOND) == 0);
}

/* Who has been given a place below the limit, and is dropped before it takes it, gives it back. */
static void test_place_of_a_dropped_caller(void **state)
{
	(void)state;
	begin(2);
	for (int i = 0; i < 60; i++) {
		group = (gort_group)GORT_INIT;
		assert_int_equal(gort_runtime_run(rt, leaves_callers, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, waits_for_the_group, NULL), 0);
	}
	end();
}

static int unlocks_unlocked(void *arg)
{
	static gort_mutex m;

	(void)arg;
	gort_mutex_unlock(&m);
	return 0;
}

static void has_a_member_that_fails(void *arg)
{
	gort_group g = GORT_INIT;
	gort_chan *told = gort_group_done(&g);

	(void)arg;
	CHECK(gort_group_go(&g, unlocks_unlocked, NULL) == 0);
	CHECK(gort_group_wait_until(&g, gort_nanotime() + 60 * GORT_SECOND) == GORT_EFATAL);
	CHECK(gort_chan_recv_until(told, NULL, gort_nanotime() + 60 * GORT_SECOND) == GORT_ECLOSED);
	reach(1);
}

/* Outside of a run only its goroutine ends, and the group is told. */
static void test_fatal_error_of_a_member(void **state)
{
	(void)state;
	begin(2);
	assert_int_equal(gort_runtime_go(rt, has_a_member_that_fails, NULL), 0);
	assert_true(reached(1));
	end();
}

/* ---- Once ------------------------------------------------------------------------------------------------- */

static gort_once once;

static void first(void *arg)
{
	(void)arg;
	rt_add32_full(&count, 1);
	reach(1);
	gort_entersyscall();
	CHECK(reached(3));
	gort_exitsyscall();
}

static void does_it_first(void *arg)
{
	(void)arg;
	CHECK(gort_attach(rt) == 0);
	gort_once_do(&once, first, NULL);
	gort_detach();
}

static void does_it_second(void *arg)
{
	(void)arg;
	CHECK(gort_attach(rt) == 0);
	gort_entersyscall();
	CHECK(reached(1));
	gort_exitsyscall();
	gort_once_do(&once, first, NULL); /* comes back when the run is over: before the first is through */
	reach(3);
	gort_detach();
}

static void ends_while_the_second_waits(void *arg)
{
	(void)arg;
	YIELD_UNTIL(waits_as("sync.Mutex.Lock"));
}

/* A thread whose run ends while it waits for another's function does not run it a second time. */
static void test_once_of_threads_that_are_left(void **state)
{
	be_thread a, b;

	(void)state;
	begin(2);
	once = (gort_once)GORT_INIT;
	assert_int_equal(be_thread_start(&a, does_it_first, NULL, 0), 0);
	assert_int_equal(be_thread_start(&b, does_it_second, NULL, 0), 0);
	assert_int_equal(gort_runtime_run(rt, ends_while_the_second_waits, NULL), 0);
	be_thread_join(&a);
	be_thread_join(&b);
	assert_int_equal(rt_load32_acq(&count), 1);
	end();
}

/* ---- Codes ------------------------------------------------------------------------------------------------ */

static int asks_in_vain(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);
	gort_select_case k = { .chan = c, .dir = GORT_RECV };

	(void)arg;
	CHECK(gort_chan_recv_until(c, NULL, 1) == GORT_ECANCELED);
	CHECK(gort_chan_recv_until(NULL, NULL, 1) == GORT_ECANCELED);
	CHECK(gort_chan_send_until(NULL, NULL, 1) == GORT_ECANCELED);
	CHECK(gort_select(&k, 1, 1) == GORT_ECANCELED);
	CHECK(gort_select(NULL, 0, 1) == GORT_ECANCELED);
	return 0;
}

static void canceled_member(void *arg)
{
	gort_group g = GORT_INIT;

	(void)arg;
	gort_group_cancel(&g, GORT_ECANCELED);
	CHECK(gort_group_go(&g, asks_in_vain, NULL) == 0);
	CHECK(gort_group_wait(&g) == GORT_ECANCELED);
}

/* Before it is out of time somebody is cancelled, also where there is nothing to wait for. */
static void test_canceled_comes_first(void **state)
{
	(void)state;
	run_all(canceled_member);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_does_not_return),
		cmocka_unit_test(test_free_while_somebody_waits_for_a_timer),
		cmocka_unit_test(test_place_of_a_dropped_caller),
		cmocka_unit_test(test_fatal_error_of_a_member),
		cmocka_unit_test(test_once_of_threads_that_are_left),
		cmocka_unit_test(test_canceled_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
