/* goroutines.h: for tests whose program runs on one P and on several: CHECK inside, run_all outside. */
#ifndef TESTS_SUPPORT_GOROUTINES_H
#define TESTS_SUPPORT_GOROUTINES_H

#include "tests/support/program.h"

#include "core/base/atomic.h"

#include <stdio.h>

static rt_atomic32 failures;
static char first_failure[512];

#define CHECK(e) ((e) ? (void)0 : check_failed(__FILE__, __LINE__, #e))

static inline void check_failed(const char *file, int line, const char *what)
{
	if (rt_add32_full(&failures, 1) == 0)
		snprintf(first_failure, sizeof first_failure, "%.120s:%d: %.300s", file, line, what);
}

/* Lets others run until e holds; the test fails if it does not within a minute: a million turns are 20 ms, in which a
 * busy machine need not even have started a thread. */
#define YIELD_UNTIL(e)												   \
	do {													   \
		bool held_; /* it may not hold any more right after it did */					   \
		for (int64_t last_ = gort_nanotime() + 60 * GORT_SECOND; !(held_ = (e)) && gort_nanotime() < last_;)\
			gort_gosched();										   \
		if (!held_)											   \
			CHECK(e);										   \
	} while (0)

/* How many CHECKs failed; a run that fails is one of them. */
static inline uint32_t try_on(int procs, const char *debug, gort_func fn, void *arg)
{
	rt_store32_rlx(&failures, 0);
	if (program_debug(procs, 0, debug, fn, arg) != 0)
		check_failed("program", 0, program_error);
	return rt_load32_acq(&failures);
}

static inline void run_on(int procs, gort_func fn, void *arg)
{
	if (try_on(procs, NULL, fn, arg) != 0)
		fail_msg("%d P: %s (and %u more)", procs, first_failure,
		         rt_load32_rlx(&failures) - 1);
}

static inline void run_all(gort_func fn)
{
	for (int procs = 1; procs <= 4; procs++)
		run_on(procs, fn, NULL);
}

/* On one P the order of events is known: slices do not end, and nobody is taken for a sleeper because a busy machine
 * gives his thread no time. What must happen within a time may take more than one try all the same. */
static inline void run_in_order(gort_func fn)
{
	for (int left = 20; left > 0; left--)
		if (try_on(1, "asyncpreemptoff=1,slice=1000000000", fn, NULL) == 0)
			return;
	fail_msg("each time, the last time: %s", first_failure);
}

/* On one P: the few goroutines that can run do so until they block. Now and then the scheduler prefers
 * the global queue, where a yielding goroutine stands; never twice in a row. */
static inline void settle(void)
{
	for (int i = 0; i < 3; i++)
		gort_gosched();
}

#endif
