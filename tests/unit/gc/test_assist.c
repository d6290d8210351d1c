/* Who allocates while everything grey is in others' hands goes on for a while, then waits for the end of marking. And
 * nobody has a turn between the trigger and the beginning of a collection. */
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

/* The next marking does not end. False: one is under way, which may be about to end. The world is not stopped while
 * this is inside the runtime, so none begins in between. */
static bool hold_marking(void)
{
	(void)RT_ENTER();
	if (!held && rt_load32_acq(&rt_self()->rt->gcmark) == 0) {
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
	/* Before much was allocated in vain: the more often it collects, the sooner the CPU limiter ends assists. */
	WAIT_UNTIL(hold_marking());
	gort_waitgroup_add(&done, 1);
	gort_go(allocates, NULL);
	WAIT_UNTIL(one_waits());
	ended = rt_load32_acq(&my_gc()->ended);
	goal = rt_load64_rlx(&my_gc()->goal);
	most = rt_load64_rlx(&my_gc()->heap.live);
	/* A tenth above the goal, and what was scanned in the background is its credit. */
	CHECK(most > goal && most < goal + goal / 2);
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

/* ---- The beginning --------------------------------------------------------------------------------- */

static uint32_t passed; /* turns of others while a collection was asked for and had not begun */

static void looks(void *arg)
{
	(void)arg;
	while (over == 0) {
		passed += rt_load32_rlx(&my_gc()->want);
		gort_gosched();
	}
	gort_waitgroup_done(&done);
}

/* Each allocation as if this were a turn of the global queue, or the end of a slice that was asked for twice. */
static void begins(void *arg)
{
	const bool end = arg != NULL;
	rt_p *pp = rt_self()->p;

	gort_gc(); /* there is a controller */
	gort_waitgroup_add(&done, 1);
	gort_go(looks, NULL);
	gort_gosched();
	while (rt_load32_acq(&my_gc()->ended) < 4) {
		uint32_t tick = rt_load32_rlx(&pp->schedtick);

		if (end) {
			rt_store32_rlx(&pp->urgetick, tick);
			rt_store32_rlx(&pp->preempt, 1);
		} else {
			rt_store32_rlx(&pp->schedtick, tick / (4 * 61) * (4 * 61));
		}
		(void)gort_alloc(8 << 10, 0);
	}
	CHECK(passed == 0);
	over = 1;
	gort_waitgroup_wait(&done);
}

static void test_begins_at_once(void **state)
{
	(void)state;
	debug = "slice=10000000"; /* no turn ends by the clock */
	for (int end = 0; end <= 1; end++) {
		over = passed = 0;
		assert_int_equal(collected(1, "concurrent", begins, end ? &over : NULL), 0);
	}
	debug = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_begins_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
