/* Who allocates while everything grey is in others' hands goes on for a while, then waits for the end of marking. */
#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

#include <string.h>

typedef struct pair {
	struct pair *next;
	uint64_t fill[7];
} pair;
GORT_DEFINE_TYPE(pair, GORT_PTR(pair, next));

enum { LIVE = 100000 };

static uint32_t over; /* atomic */
static gort_waitgroup done;

static void allocates(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&over, __ATOMIC_RELAXED) == 0)
		(void)gort_new(GORT_TYPE(pair));
	gort_waitgroup_done(&done);
}

static rt_gc *my_gc(void)
{
	return rt_gc_of(rt_self());
}

static bool held;

/* From now on marking does not end, or the next does not, if this one was about to. False: there is none. */
static bool hold_marking(void)
{
	(void)RT_ENTER();
	if (!held && rt_load32_rlx(&rt_self()->rt->gcmark) != 0) {
		rt_marker_enter(my_gc());
		held = true;
	}
	rt_leave();
	return held;
}

static void let_it_end(void)
{
	held = false;
	(void)RT_ENTER();
	(void)rt_marker_leave(my_gc());
	rt_leave();
}

static bool one_waits(void)
{
	gort_goroutine list[8];
	size_t n = gort_goroutines(gort_self(), list, RT_NELEM(list));

	for (size_t i = 0; i < n && i < RT_NELEM(list); i++)
		if (strcmp(list[i].wait_reason, "GC assist wait") == 0)
			return true;
	return false;
}

static void bounded(void *arg)
{
	pair *live = NULL;
	uint64_t goal, most;
	uint32_t ended;
	int n = 0;

	(void)arg;
	for (int i = 0; i < LIVE; i++) {
		pair *p = gort_new(GORT_TYPE(pair));

		p->next = live;
		live = p;
	}
	gort_waitgroup_add(&done, 1);
	gort_go(allocates, NULL);
	WAIT_UNTIL(hold_marking());
	WAIT_UNTIL(one_waits());
	ended = rt_load32_acq(&my_gc()->ended);
	goal = rt_load64_rlx(&my_gc()->goal);
	most = rt_load64_rlx(&my_gc()->heap.live);
	CHECK(most > goal && most < goal + goal / 4);
	let_it_end();
	WAIT_UNTIL(rt_load32_acq(&my_gc()->ended) > ended);
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	gort_waitgroup_wait(&done);
	for (; live != NULL; live = live->next)
		n++;
	CHECK(n == LIVE);
}

static void test_bounded(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		over = 0;
		assert_int_equal(collected(procs, "concurrent", bounded, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
