/* goroutines.h: for tests whose program runs on one P and on several: CHECK inside, run_all outside. */
#ifndef TESTS_SUPPORT_GOROUTINES_H
#define TESTS_SUPPORT_GOROUTINES_H

#include "tests/support/program.h"

#include "core/base/atomic.h"

#include <stdio.h>

static rt_atomic32 failures;
#define CHECK(e)                                                                                   \
	((e) ? (void)0                                                                             \
	     : (void)(rt_add32_full(&failures, 1), fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #e)))

static inline void run_on(int procs, gort_func fn, void *arg)
{
	rt_store32_rlx(&failures, 0);
	assert_int_equal(program(procs, fn, arg), 0);
	assert_int_equal(rt_load32_rlx(&failures), 0);
}

static inline void run_all(gort_func fn)
{
	for (int procs = 1; procs <= 4; procs++)
		run_on(procs, fn, NULL);
}

/* On one P: the few goroutines that can run do so until they block. Now and then the scheduler prefers
 * the global queue, where a yielding goroutine stands; never twice in a row. */
static inline void settle(void)
{
	for (int i = 0; i < 3; i++)
		gort_gosched();
}

#endif
