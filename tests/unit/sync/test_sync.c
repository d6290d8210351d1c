/* Mutex and WaitGroup. */
#include "tests/support/program.h"

#include "core/base/attrs.h"

#include <stdbool.h>
#include <string.h>

static int failures;
#define CHECK(e) ((e) ? (void)0 : (void)(failures++, fprintf(stderr, "%d: %s\n", __LINE__, #e)))

static void run(gort_func fn)
{
	for (int procs = 1; procs <= 4; procs++) {
		failures = 0;
		assert_int_equal(program(procs, fn, NULL), 0);
		assert_int_equal(failures, 0);
	}
}

enum { WORKERS = 16, ROUNDS = 500 };
static gort_mutex mu;
static gort_waitgroup wg;
static int64_t counter, holders;

static void locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		gort_mutex_lock(&mu);
		CHECK(++holders == 1);
		counter++;
		if (i % 7 == 0)
			gort_gosched(); /* others pile up */
		holders--;
		gort_mutex_unlock(&mu);
	}
	gort_waitgroup_done(&wg);
}

static void exclusion(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	counter = holders = 0;
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		gort_go(locker, NULL);
	gort_waitgroup_wait(&wg);
	CHECK(counter == WORKERS * ROUNDS);
	CHECK(gort_mutex_try_lock(&mu));
	CHECK(!gort_mutex_try_lock(&mu));
	CHECK(gort_mutex_lock_until(&mu, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	gort_mutex_unlock(&mu);
	CHECK(gort_mutex_lock_until(&mu, 0) == 0);
	gort_mutex_unlock(&mu);
}

static void test_mutex(void **state)
{
	(void)state;
	run(exclusion);
}

static void impatient(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int64_t d = gort_nanotime() + (i % 4) * 10 * GORT_MICROSECOND;

		if (gort_mutex_lock_until(&mu, d) != 0)
			continue;
		CHECK(++holders == 1);
		counter++;
		gort_gosched();
		holders--;
		gort_mutex_unlock(&mu);
	}
	gort_waitgroup_done(arg);
}

/* Waiters that give up take nothing with them: everybody gets through in the end. */
static void deadlines(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	holders = 0;
	gort_waitgroup_add(&wg, 2 * WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		gort_go(locker, NULL);
		gort_go(impatient, &wg);
	}
	gort_waitgroup_wait(&wg);
	CHECK(gort_mutex_try_lock(&mu));
	CHECK(mu.opaque[0] == 1 && mu.opaque[1] == 0); /* no waiter and no token is left */
}

static void test_mutex_deadlines(void **state)
{
	(void)state;
	run(deadlines);
}

static void unlock_unlocked(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	gort_mutex_unlock(&mu);
}

static void try_unlock(void *arg)
{
	*(int *)arg = gort_try(unlock_unlocked, NULL, NULL);
}

static void test_unlock_of_unlocked_is_fatal(void **state)
{
	int r = -1;

	(void)state;
	assert_int_equal(program(2, try_unlock, &r), GORT_EFATAL);
	assert_int_equal(r, -1); /* gort_try does not stop it */
	assert_non_null(strstr(program_error, "fatal error: sync: unlock of unlocked mutex"));
}

/* ---- WaitGroup ------------------------------------------------------------------------------- */

static void finish(void *arg)
{
	gort_gosched();
	gort_waitgroup_done(arg);
}

/* The group lies in a frame that is reused at once after the wait. */
static RT_NOINLINE void group_in_frame(int n)
{
	gort_waitgroup here = GORT_INIT;

	gort_waitgroup_add(&here, n);
	for (int i = 0; i < n; i++)
		gort_go(finish, &here);
	gort_waitgroup_wait(&here);
	memset(&here, 0xa5, sizeof here);
}

static void frames(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++)
		group_in_frame(1 + i % 3);
}

static void test_group_may_go_away(void **state)
{
	(void)state;
	run(frames);
}

static void waiter(void *arg)
{
	gort_waitgroup *both = arg;

	gort_waitgroup_wait(&both[0]);
	gort_waitgroup_done(&both[1]);
}

static void negative(void *arg)
{
	gort_waitgroup_done(arg);
}

static void count_up(void *arg)
{
	gort_mutex_lock(&mu);
	(*(int64_t *)arg)++;
	gort_mutex_unlock(&mu);
}

static void groups(void *arg)
{
	gort_waitgroup *both = gort_alloc(2 * sizeof *both, GORT_NOSCAN);
	gort_waitgroup fresh = GORT_INIT;
	gort_eface v;
	gort_string s;

	(void)arg;
	gort_waitgroup_add(&both[0], 1);
	gort_waitgroup_add(&both[1], 10);
	for (int i = 0; i < 10; i++)
		gort_go(waiter, both);
	CHECK(gort_waitgroup_wait_until(&both[1], gort_nanotime() + GORT_MILLISECOND) ==
	      GORT_ETIMEDOUT);
	gort_waitgroup_done(&both[0]);
	CHECK(gort_waitgroup_wait_until(&both[1], GORT_FOREVER) == 0);
	CHECK(gort_try(negative, &fresh, &v) == 1);
	s = gort_panic_text(v);
	CHECK(s.len == 32 && memcmp(s.ptr, "sync: negative WaitGroup counter", 32) == 0);

	mu = (gort_mutex)GORT_INIT;
	counter = 0;
	fresh = (gort_waitgroup)GORT_INIT;
	for (int i = 0; i < 20; i++)
		CHECK(gort_waitgroup_go(&fresh, count_up, &counter) == 0);
	gort_waitgroup_wait(&fresh);
	CHECK(counter == 20);
}

static void test_waitgroup(void **state)
{
	(void)state;
	run(groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutex),
		cmocka_unit_test(test_mutex_deadlines),
		cmocka_unit_test(test_unlock_of_unlocked_is_fatal),
		cmocka_unit_test(test_group_may_go_away),
		cmocka_unit_test(test_waitgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
