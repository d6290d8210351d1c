/* WaitGroup. */
#include "tests/support/program.h"
#include "tests/support/goroutines.h"

#include "core/base/attrs.h"
#include "core/sched/sched_inline.h"

#include <string.h>

static gort_mutex mu;
static int64_t counter;

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
	run_all(frames);
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
	run_all(groups);
}

/* One that gives up leaves the group as it was: the next wait is not disturbed. */
static void giving_up(void *arg)
{
	gort_waitgroup here = GORT_INIT;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		gort_waitgroup_add(&here, 2);
		CHECK(gort_waitgroup_wait_until(&here, 0) == GORT_ETIMEDOUT);
		CHECK(gort_waitgroup_wait_until(&here, gort_nanotime() + 20 * GORT_MICROSECOND) ==
		      GORT_ETIMEDOUT);
		CHECK(here.opaque[0] == (uint64_t)2 << 32);
		gort_go(finish, &here);
		gort_go(finish, &here);
		gort_waitgroup_wait(&here);
		CHECK(here.opaque[0] == 0);
	}
}

static void test_giving_up(void **state)
{
	(void)state;
	run_all(giving_up);
}

typedef struct impatience {
	gort_waitgroup *group, *all;
	int which, r;
} impatience;

/* Some leave from the front of those that wait, some from the middle, some from the end. */
static void impatient(void *arg)
{
	impatience *i = arg;
	int64_t d = i->which % 3 == 0 ? GORT_FOREVER : gort_nanotime() + i->which * 7 * GORT_MICROSECOND;

	i->r = gort_waitgroup_wait_until(i->group, d);
	gort_waitgroup_done(i->all);
}

static void crowd(void *arg)
{
	enum { CROWD = 30, ROUNDS = 50 };
	gort_waitgroup group = GORT_INIT, all = GORT_INIT;
	impatience who[CROWD];

	(void)arg;
	for (int round = 0; round < ROUNDS; round++) {
		gort_waitgroup_add(&group, 1);
		gort_waitgroup_add(&all, CROWD);
		for (int i = 0; i < CROWD; i++) {
			who[i] = (impatience){ &group, &all, i, 1 };
			gort_go(impatient, &who[i]);
		}
		gort_sleep(round * 8 * GORT_MICROSECOND);
		gort_waitgroup_done(&group);
		gort_waitgroup_wait(&all);
		CHECK(group.opaque[0] == 0 && group.opaque[1] == 0);
		for (int i = 0; i < CROWD; i++)
			CHECK(who[i].r == 0 || (who[i].r == GORT_ETIMEDOUT && i % 3 != 0));
	}
}

static void test_crowd(void **state)
{
	(void)state;
	run_all(crowd);
}

static gort_waitgroup left;

static void forever(void *arg)
{
	(void)arg;
	gort_waitgroup_wait(&left);
}

static void leaves_waiters(void *arg)
{
	(void)arg;
	CHECK(left.opaque[1] == 0);
	left = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&left, 1);
	for (int i = 0; i < 5; i++)
		gort_go(forever, NULL);
	gort_sleep(GORT_MILLISECOND);
}

/* They are dropped with the run, and nothing of their frames is left in the group. */
static void test_run_ends(void **state)
{
	(void)state;
	left = (gort_waitgroup)GORT_INIT;
	run_all(leaves_waiters);
	assert_int_equal(left.opaque[1], 0);
}

/* Others step it meanwhile. */
static uint64_t word(gort_waitgroup *wg)
{
	return rt_load64_acq((rt_atomic64 *)&wg->opaque[0]);
}

static bool has_sole(gort_waitgroup *wg)
{
	return (uint32_t)word(wg) >> 31 == 1;
}

static void leaves_one(void *arg)
{
	(void)arg;
	left = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&left, 1);
	gort_go(forever, NULL);
	YIELD_UNTIL(has_sole(&left));
}

static void test_run_ends_under_one(void **state)
{
	(void)state;
	left = (gort_waitgroup)GORT_INIT;
	run_all(leaves_one);
	assert_int_equal(left.opaque[0], (uint64_t)1 << 32);
}

static void restless(void *arg)
{
	for (;;) {
		(void)gort_waitgroup_wait_until(arg, gort_nanotime() + GORT_MICROSECOND);
		gort_gosched(); /* the moment may have passed already: then it did not wait */
	}
}

static void holder(void *arg)
{
	gort_waitgroup here = GORT_INIT;

	(void)arg;
	gort_waitgroup_add(&here, 1);
	for (int i = 0; i < 20; i++)
		gort_go(restless, &here);
	gort_waitgroup_wait(&here);
}

static void leaves_restless(void *arg)
{
	(void)arg;
	gort_go(holder, NULL);
	for (int i = 0; i < 20; i++)
		gort_gosched();
}

/* Some are out of time and still in the circle of a group whose frame goes with the run. It shows where a stack goes
 * for good: with fibers, or under a checker. */
static void test_run_ends_under_restless(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		run_all(leaves_restless);
}

static void wait_and_tell(void *arg)
{
	gort_waitgroup *both = arg;

	gort_waitgroup_wait(&both[0]);
	gort_waitgroup_done(&both[1]);
}

/* Makes a sole waiter a circle of one. If the moment has passed already nobody joins. */
static void join_and_leave(gort_waitgroup *wg)
{
	for (int64_t d = 20 * GORT_MICROSECOND; has_sole(wg); d *= 2)
		CHECK(gort_waitgroup_wait_until(wg, gort_nanotime() + d) == GORT_ETIMEDOUT);
}

/* One waits, and is named in the word; others come, and it is found by the lock from then on. */
static void joined(void *arg)
{
	const uint64_t one = (uint64_t)1 << 32;
	gort_waitgroup both[2] = { GORT_INIT, GORT_INIT };

	(void)arg;
	for (unsigned more = 0; more < 3; more++) {
		gort_waitgroup_add(&both[0], 1);
		gort_waitgroup_add(&both[1], 1 + (int)more);
		gort_go(wait_and_tell, both);
		YIELD_UNTIL(has_sole(&both[0]));
		CHECK(both[0].opaque[1] == 0);
		join_and_leave(&both[0]);
		CHECK(word(&both[0]) == one + 1 && both[0].opaque[1] != 0);
		for (unsigned i = 0; i < more; i++)
			gort_go(wait_and_tell, both);
		YIELD_UNTIL(word(&both[0]) == one + 1 + more);
		gort_waitgroup_done(&both[0]);
		gort_waitgroup_wait(&both[1]);
		CHECK(word(&both[0]) == 0 && both[0].opaque[1] == 0);
	}
}

static void test_joined(void **state)
{
	(void)state;
	run_all(joined);
}

/* Two plain waits, one that may give up, and the last done, all at once. */
static void race(void *arg)
{
	enum { ROUNDS = 3000 };

	(void)arg;
	for (int round = 0; round < ROUNDS; round++) {
		gort_waitgroup both[2] = { GORT_INIT, GORT_INIT };
		impatience who = { &both[0], &both[1], round % 9, 1 };

		gort_waitgroup_add(&both[0], 2);
		gort_waitgroup_add(&both[1], 3);
		gort_go(wait_and_tell, both);
		gort_go(finish, &both[0]);
		gort_go(wait_and_tell, both);
		gort_go(impatient, &who);
		gort_waitgroup_done(&both[0]);
		gort_waitgroup_wait(&both[1]);
		CHECK(word(&both[0]) == 0 && both[0].opaque[1] == 0);
		CHECK(who.r == 0 || (who.r == GORT_ETIMEDOUT && round % 3 != 0));
	}
}

static void test_race(void **state)
{
	(void)state;
	run_all(race);
}

/* A record that lies too far from the first to have a number waits in the circle. */
static void far(void *arg)
{
	rt_sched *sc = &rt_self()->rt->sched;
	uintptr_t base = sc->gbase;

	sc->gbase = (uintptr_t)rt_curg() + RT_CACHELINE;
	CHECK(!rt_g_has_ref(rt_self()->rt, rt_curg()));
	frames(arg);
	sc->gbase = base;
	CHECK(rt_g_has_ref(rt_self()->rt, rt_curg()));
	CHECK(rt_g_of_ref(rt_self()->rt, rt_g_ref(rt_self()->rt, rt_curg())) == rt_curg());
}

static void test_far(void **state)
{
	(void)state;
	run_all(far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group_may_go_away),
		cmocka_unit_test(test_waitgroup),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_run_ends),
		cmocka_unit_test(test_run_ends_under_one),
		cmocka_unit_test(test_run_ends_under_restless),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
