/* Once. */
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include <string.h>

static gort_once once;
static gort_waitgroup wg;
static int calls, finished;

static void slowly(void *arg)
{
	calls++;
	for (int i = 0; i < 10; i++)
		gort_gosched();
	finished += *(int *)arg;
}

static void caller(void *arg)
{
	gort_once_do(&once, slowly, arg);
	CHECK(finished == 7); /* whoever returns finds it done */
	gort_waitgroup_done(&wg);
}

static void many(void *arg)
{
	int seven = 7;

	(void)arg;
	once = (gort_once)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	calls = finished = 0;
	gort_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		gort_go(caller, &seven);
	gort_waitgroup_wait(&wg);
	CHECK(calls == 1);
}

static void test_once(void **state)
{
	(void)state;
	run_all(many);
}

static void panics(void *arg)
{
	calls++;
	(void)arg;
	gort_panics("once");
}

static void do_panics(void *arg)
{
	gort_once_do(&once, panics, arg);
}

static void exits(void *arg)
{
	calls++;
	(void)arg;
	gort_goexit();
}

static void do_exits(void *arg)
{
	gort_defer((gort_func)gort_waitgroup_done, &wg);
	gort_once_do(&once, exits, arg);
}

static void do_null(void *arg)
{
	gort_once_do(&once, NULL, arg);
}

static void ends(void *arg)
{
	gort_eface v;
	gort_string s;

	(void)arg;
	once = (gort_once)GORT_INIT;
	calls = 0;
	CHECK(gort_try(do_panics, NULL, &v) == 1);
	CHECK(gort_try(do_panics, NULL, NULL) == 0); /* done even if it panicked */
	CHECK(calls == 1);
	s = gort_panic_text(v);
	CHECK(s.len == 4 && memcmp(s.ptr, "once", 4) == 0);

	once = (gort_once)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, 1);
	gort_go(do_exits, NULL);
	gort_waitgroup_wait(&wg);
	gort_once_do(&once, exits, NULL);
	CHECK(calls == 2);

	once = (gort_once)GORT_INIT;
	CHECK(gort_try(do_null, NULL, NULL) == 1);
	CHECK(gort_try(do_null, NULL, NULL) == 0);
}

static void test_ends(void **state)
{
	(void)state;
	run_all(ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
