/* Wrong orders of locks throw, right ones do not. Without NDEBUG only: with it there is nothing. */
#include "core/base/lockrank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "tests/support/throws.h"

static void test_names(void **state)
{
	assert_string_equal(rt_lockrank_name(RT_RANK_hchan), "hchan");
	assert_string_equal(rt_lockrank_name(RT_NRANK), "?");
}

#ifndef NDEBUG
static char locks[1000]; /* addresses, nothing else */

static void test_right_order(void **state)
{
	rt_lockrank_assert_none();
	rt_lockrank_acquire(RT_RANK_stopworld, &locks[0]);
	rt_lockrank_acquire(RT_RANK_sched, &locks[1]);
	rt_lockrank_acquire(RT_RANK_fixalloc, &locks[2]);
	rt_lockrank_assert_held(RT_RANK_sched, &locks[1]);
	rt_lockrank_release(RT_RANK_sched, &locks[1]); /* in any order */
	rt_lockrank_release(RT_RANK_fixalloc, &locks[2]);
	rt_lockrank_acquire(RT_RANK_sched, &locks[1]);
	rt_lockrank_release(RT_RANK_sched, &locks[1]);
	rt_lockrank_release(RT_RANK_stopworld, &locks[0]);
	rt_lockrank_assert_none();
}

static void test_wrong_order_throws(void **state)
{
	rt_lockrank_acquire(RT_RANK_sched, &locks[0]);
	THROWS("lock order: hchan taken under sched", rt_lockrank_acquire(RT_RANK_hchan, &locks[1]));
	THROWS("lock order: sched taken under sched", rt_lockrank_acquire(RT_RANK_sched, &locks[1]));
	rt_lockrank_release(RT_RANK_sched, &locks[0]);
	rt_lockrank_acquire(RT_RANK_hchan, &locks[1]); /* the refused one was not recorded */
	rt_lockrank_release(RT_RANK_hchan, &locks[1]);
	rt_lockrank_assert_none();
}

static void test_below_any_held_throws(void **state)
{
	rt_lockrank_acquire(RT_RANK_stopworld, &locks[0]);
	rt_lockrank_acquire(RT_RANK_allg, &locks[1]);
	rt_lockrank_release(RT_RANK_stopworld, &locks[0]);
	THROWS("lock order: sched taken under allg", rt_lockrank_acquire(RT_RANK_sched, &locks[2]));
	rt_lockrank_release(RT_RANK_allg, &locks[1]);
}

static void test_self_class_by_address(void **state)
{
	rt_lockrank_acquire(RT_RANK_hchan, &locks[4]);
	rt_lockrank_acquire(RT_RANK_hchan, &locks[6]);
	THROWS("lock order: hchan taken under hchan", rt_lockrank_acquire(RT_RANK_hchan, &locks[5]));
	THROWS("lock order: hchan taken under hchan", rt_lockrank_acquire(RT_RANK_hchan, &locks[6]));
	rt_lockrank_release(RT_RANK_hchan, &locks[4]);
	rt_lockrank_release(RT_RANK_hchan, &locks[6]);
	rt_lockrank_assert_none();
}

static void test_more_of_a_class_than_the_table_holds(void **state)
{
	for (size_t i = 0; i < sizeof locks; i++)
		rt_lockrank_acquire(RT_RANK_hchan, &locks[i]);
	rt_lockrank_assert_held(RT_RANK_hchan, &locks[sizeof locks - 1]);
	THROWS("lock order: registry taken under hchan",
	       rt_lockrank_acquire(RT_RANK_registry, &throws_said));
	/* Those of other classes have their place all the same. */
	rt_lockrank_acquire(RT_RANK_timers, &throws_said);
	rt_lockrank_acquire(RT_RANK_sched, &throws_said);
	THROWS("lock order: semaroot taken under timers",
	       rt_lockrank_acquire(RT_RANK_semaroot, &throws_said));
	rt_lockrank_release(RT_RANK_sched, &throws_said);
	rt_lockrank_release(RT_RANK_timers, &throws_said);
	for (size_t i = 0; i < sizeof locks - 1; i++)
		rt_lockrank_release(RT_RANK_hchan, &locks[i]);
	THROWS("lock order: locks of one class held while blocking", rt_lockrank_assert_none());
	rt_lockrank_release(RT_RANK_hchan, &locks[sizeof locks - 1]);
	rt_lockrank_assert_none();
}

static void test_not_held_throws(void **state)
{
	THROWS("lock released that this thread does not hold",
	       rt_lockrank_release(RT_RANK_sched, &locks[0]));
	THROWS("lock is not held", rt_lockrank_assert_held(RT_RANK_sched, &locks[0]));
	rt_lockrank_acquire(RT_RANK_sched, &locks[0]);
	THROWS("lock is not held", rt_lockrank_assert_held(RT_RANK_sched, &locks[1]));
	THROWS("lock order: sched held while blocking", rt_lockrank_assert_none());
	rt_lockrank_release(RT_RANK_sched, &locks[0]);
}

static void of_another_thread(void *arg)
{
	rt_lockrank_assert_none();
	rt_lockrank_acquire(RT_RANK_hchan, &locks[0]);
	rt_lockrank_release(RT_RANK_hchan, &locks[0]);
}

static void test_each_thread_has_its_own(void **state)
{
	be_thread t;

	rt_lockrank_acquire(RT_RANK_sched, &locks[1]);
	assert_int_equal(be_thread_start(&t, of_another_thread, NULL, 0), 0);
	be_thread_join(&t);
	rt_lockrank_release(RT_RANK_sched, &locks[1]);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
#ifndef NDEBUG
		cmocka_unit_test(test_right_order),
		cmocka_unit_test(test_wrong_order_throws),
		cmocka_unit_test(test_below_any_held_throws),
		cmocka_unit_test(test_self_class_by_address),
		cmocka_unit_test(test_more_of_a_class_than_the_table_holds),
		cmocka_unit_test(test_not_held_throws),
		cmocka_unit_test(test_each_thread_has_its_own),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
