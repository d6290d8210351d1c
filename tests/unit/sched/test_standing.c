/* What the runtime may not do while goroutines stand where they were stopped, or have lost their P. Where nothing
 * stops in place there is nothing to test. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/base/valgrind.h"
#include "core/sched/internal.h"
#include "tests/support/program.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define IN_PLACE()                                                                                 \
	do {                                                                                       \
		if (!be_preempt_in_place || RT_ASAN)                                               \
			skip(); /* cooperative; or malloc is in this program: nobody is dropped */ \
	} while (0)

/* The same for tests in which a goroutine is to be stopped inside malloc: Valgrind's own is no code of the process,
 * and nothing is stopped in it. */
#define IN_MALLOC()                                                                                \
	do {                                                                                       \
		IN_PLACE();                                                                        \
		if (rt_valgrind_runs())                                                            \
			skip();                                                                    \
	} while (0)

/* ---- Nobody waits for malloc while the world is stopped ------------------------------------------ */

enum { MALLOCS = 8, ROUNDS = 15, MARKS = 500 };

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
	IN_MALLOC();
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
	codes[0] = codes[1] = 0;
	assert_int_equal(program(2, trace_among_mallocs, NULL), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
}

/* ---- Nobody waits with a P for who waits for malloc ----------------------------------------------- */

static gort_trace_buffer *buffer;

static void read_among_mallocs(void *arg)
{
	gort_event some[8];

	(void)arg;
	rt_store32_rlx(&enough, 0);
	for (int i = 0; i < MALLOCS; i++)
		gort_waitgroup_go(&group, mallocs, NULL);
	codes[0] = gort_trace_buffer_new(&buffer, 0);
	codes[0] |= gort_trace_start(gort_self(), gort_trace_buffer_listener(buffer));
	/* Each chunk of the buffer asks malloc. The events are marks: in a round all others have a turn, which may be a
	 * whole slice for each. */
	while (gort_trace_buffer_len(buffer) < 20000) {
		for (int i = 0; i < MARKS; i++)
			gort_trace_mark("mark", 0);
		gort_gosched();
		(void)gort_trace_buffer_read(buffer, 0, some, 8);
	}
	codes[1] = gort_trace_stop(gort_self());
	rt_store32_rlx(&enough, 1);
	gort_waitgroup_wait(&group);
	gort_trace_buffer_free(buffer);
}

static void test_buffer_among_mallocs(void **state)
{
	(void)state;
	IN_MALLOC();
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
	assert_int_equal(program(1, read_among_mallocs, NULL), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
}

/* ---- Who is woken when a turn was ended has a turn of its own ------------------------------------- */

enum { WAKES = 20 };

enum { SLICE = 10 * 1000 * 1000 }; /* ns: GODEBUG's default */

static unsigned cut_short; /* turns of main; by the listener */
static int64_t started;
static bool others; /* have run since */

static void on_turns(void *data, const gort_event *events, size_t n)
{
	(void)data;
	for (size_t i = 0; i < n; i++) {
		/* On a busy machine a sleep may be over before anybody else has run: then main is in the same turn. */
		if (events[i].id == GORT_EV_GO_START && events[i].goid != 1)
			others = true;
		if (events[i].goid != 1)
			continue;
		if (events[i].id == GORT_EV_GO_START && others) {
			started = events[i].time;
			others = false;
		} else if (events[i].id == GORT_EV_GO_YIELD) {
			cut_short += events[i].time - started < SLICE;
		}
	}
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
	gort_trace_listener l = { sizeof l, GORT_TRACE_SCHED, on_turns, NULL, NULL, NULL };

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
	others = false;
	started = INT64_MIN / 2; /* of the turn in which the trace began */
	assert_int_equal(program(1, wakes_and_computes, NULL), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
	assert_int_equal(cut_short, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_among_mallocs),
		cmocka_unit_test(test_buffer_among_mallocs),
		cmocka_unit_test(test_the_woken_begin_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
