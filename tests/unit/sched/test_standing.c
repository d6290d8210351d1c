/* What the runtime may not do while goroutines stand where they were stopped, or have lost their P. Where nothing
 * stops in place there is nothing to test. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/sched/internal.h"
#include "tests/support/program.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define IN_PLACE()                                                                                 \
	do {                                                                                       \
		if (!be_preempt_in_place)                                                          \
			skip();                                                                    \
	} while (0)

/* ---- Nobody waits for malloc while the world is stopped ------------------------------------------ */

enum { MALLOCS = 8, ROUNDS = 15 };

static int codes[2];
static rt_atomic32 enough;
static gort_waitgroup group;

static void on_event(void *data, const gort_event *events, size_t n)
{
	(void)data, (void)events, (void)n;
}

static void mallocs(void *arg)
{
	(void)arg;
	while (!rt_load32_rlx(&enough)) {
		void *volatile p = malloc(100000);

		free(p);
	}
}

static void trace_among_mallocs(void *arg)
{
	gort_trace_listener l = { sizeof l, GORT_TRACE_ALL, on_event, NULL, NULL, NULL };

	(void)arg;
	rt_store32_rlx(&enough, 0);
	for (int i = 0; i < MALLOCS; i++)
		gort_waitgroup_go(&group, mallocs, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		codes[0] |= gort_trace_start(gort_self(), &l);
		codes[1] |= gort_trace_stop(gort_self());
	}
	rt_store32_rlx(&enough, 1);
	gort_waitgroup_wait(&group);
}

/* In a process with one arena whoever stands inside malloc keeps everybody out of it; and who waits for it in
 * gort_trace_start loses its P there. */
static void test_trace_among_mallocs(void **state)
{
	(void)state;
	IN_PLACE();
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
	codes[0] = codes[1] = 0;
	assert_int_equal(program(2, trace_among_mallocs, NULL), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
}

/* ---- Who is woken when a turn was ended has a turn of its own ------------------------------------- */

enum { WAKES = 20 };

static unsigned cut_short; /* turns of main; by the listener */

static void on_yield(void *data, const gort_event *events, size_t n)
{
	(void)data;
	for (size_t i = 0; i < n; i++)
		cut_short += events[i].id == GORT_EV_GO_YIELD && events[i].goid == 1;
}

static void compute(void *arg)
{
	(void)arg;
	for (;;)
		__asm__ volatile("" ::: "memory");
}

/* Each time it is woken by the P of somebody whose turn was ended for it, and then computes for several looks of
 * sysmon, but for less than a slice. */
static void wakes_and_computes(void *arg)
{
	gort_trace_listener l = { sizeof l, GORT_TRACE_SCHED, on_yield, NULL, NULL, NULL };

	(void)arg;
	codes[0] = gort_go(compute, NULL) | gort_go(compute, NULL);
	codes[1] = gort_trace_start(gort_self(), &l);
	for (int i = 0; i < WAKES; i++) {
		int64_t until;

		gort_sleep(GORT_MILLISECOND);
		until = be_nanotime() + 4 * GORT_MILLISECOND;
		while (be_nanotime() < until)
			;
	}
	codes[1] |= gort_trace_stop(gort_self());
}

static void test_the_woken_begin_a_turn(void **state)
{
	(void)state;
	IN_PLACE();
	cut_short = 0;
	assert_int_equal(program(1, wakes_and_computes, NULL), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
	/* On a busy machine some of them lasted a slice all the same. */
	assert_true(cut_short < WAKES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_among_mallocs),
		cmocka_unit_test(test_the_woken_begin_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
