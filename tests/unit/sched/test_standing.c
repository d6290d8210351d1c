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

enum { MALLOCS = 8, ROUNDS = 50 };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_among_mallocs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
