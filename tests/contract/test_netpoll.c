/* Contract of backends/netpoll/netpoll.h, for whichever implementation is linked.
 *
 * No test waits for a time to pass: each wait ends by a break, or must not wait at all. A lost
 * break would hang the test, which the runner's time limit reports. Only `early` may return before
 * its time, so elapsed times are not looked at. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/netpoll/netpoll.h"
#include "backends/thread/thread.h"

#include <string.h>

enum { ROUNDS = 20000 };

static be_netpoll np;
static be_pollevent events[8];
static rt_atomic32 asked, answered;

static int set_up(void **state)
{
	(void)state;
	return be_netpoll_init(&np);
}

static int tear_down(void **state)
{
	(void)state;
	be_netpoll_fini(&np);
	return 0;
}

static void test_name(void **state)
{
	(void)state;
	assert_true(strlen(be_netpoll_name) > 0);
}

static void test_look_only(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(be_netpoll_wait(&np, events, 8, 0), 0);
}

/* A break before the wait counts, for one wait however often it was asked for. */
static void test_break_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		be_netpoll_break(&np);
		be_netpoll_break(&np);
		assert_int_equal(rt_load32_acq(&np.word), 1);
		assert_int_equal(be_netpoll_wait(&np, events, 8, -1), 0);
		assert_int_equal(rt_load32_acq(&np.word), 0);
	}
	be_netpoll_break(&np);
	assert_int_equal(be_netpoll_wait(&np, events, 8, 0), 0); /* a look does not consume it */
	assert_int_equal(be_netpoll_wait(&np, events, 8, -1), 0);
	assert_int_equal(rt_load32_acq(&np.word), 0);
}

/* Time is up: it returns without a break. */
static void test_times_out(void **state)
{
	(void)state;
	assert_int_equal(be_netpoll_wait(&np, events, 8, 1), 0);
	assert_int_equal(be_netpoll_wait(&np, events, 8, 1000000), 0);
}

/* Each break lets the waiter see what was written before it. */
static void breaker(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		rt_store32_rlx(&asked, i);
		be_netpoll_break(&np);
		while (rt_load32_acq(&answered) != i)
			be_thread_yield();
	}
}

static void test_no_break_is_lost(void **state)
{
	be_thread t;

	(void)state;
	rt_store32_rlx(&asked, 0);
	rt_store32_rlx(&answered, 0);
	assert_int_equal(be_thread_start(&t, breaker, NULL, 0), 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (rt_load32_rlx(&asked) != i)
			be_netpoll_wait(&np, events, 8, -1); /* may return early */
		rt_store32_rel(&answered, i);
	}
	be_thread_join(&t);
}

/* Breaks by many threads at once. */
static rt_atomic32 left;

static void one_of_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		be_netpoll_break(&np);
	rt_add32_full(&left, (uint32_t)-1);
	be_netpoll_break(&np);
}

static void test_many_breakers(void **state)
{
	be_thread threads[4];

	(void)state;
	rt_store32_rlx(&left, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(be_thread_start(&threads[i], one_of_many, NULL, 0), 0);
	while (rt_load32_acq(&left) > 0)
		be_netpoll_wait(&np, events, 8, -1);
	for (int i = 0; i < 4; i++)
		be_thread_join(&threads[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_name, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_look_only, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_break_is_kept, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_times_out, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_no_break_is_lost, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_many_breakers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
