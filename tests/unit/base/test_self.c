/* The self word: each thread has its own, a foreign thread reads NULL, and no reader keeps an old value. */
#include "core/base/self.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/thread/thread.h"

static rt_m *as_m(void *p)
{
	return p;
}

static void foreign(void *arg)
{
	void **seen = arg;

	seen[0] = rt_self();
	rt_self_set(as_m(&seen));
	seen[1] = rt_self() == as_m(&seen) ? &seen[1] : NULL;
	rt_self_set(NULL);
	seen[2] = rt_self();
}

static void test_foreign_thread_reads_null(void **state)
{
	int here;
	void *seen[3] = {&here, NULL, &here};
	be_thread t;

	rt_self_set(as_m(&here));
	assert_int_equal(be_thread_start(&t, foreign, seen, 0), 0);
	be_thread_join(&t);
	assert_null(seen[0]);
	assert_ptr_equal(seen[1], &seen[1]);
	assert_null(seen[2]);
	assert_ptr_equal(rt_self(), &here);
	rt_self_set(NULL);
}

/* A compiler that kept the first read would return the old value somewhere here. */
static void test_value_follows_set(void **state)
{
	char places[64];

	assert_null(rt_self());
	for (size_t i = 0; i < sizeof places; i++) {
		rt_m *before = rt_self(), *after;

		rt_self_set(as_m(&places[i]));
		after = rt_self();
		assert_ptr_equal(before, i == 0 ? NULL : &places[i - 1]);
		assert_ptr_equal(after, &places[i]);
	}
	rt_self_set(NULL);
	assert_null(rt_self());
}

static rt_atomic32 stage;

static void holds_its_own(void *arg)
{
	rt_self_set(arg);
	rt_add32_full(&stage, 1);
	while (rt_load32_acq(&stage) < 4)
		be_thread_yield();
	*(bool *)arg = rt_self() == arg;
}

static void test_threads_at_once(void **state)
{
	bool kept[4] = {false};
	be_thread t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(be_thread_start(&t[i], holds_its_own, &kept[i], 0), 0);
	for (int i = 0; i < 4; i++) {
		be_thread_join(&t[i]);
		assert_true(kept[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_thread_reads_null),
		cmocka_unit_test(test_value_follows_set),
		cmocka_unit_test(test_threads_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
