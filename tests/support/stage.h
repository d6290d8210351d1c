/* stage.h: threads of the host, and goroutines, that wait for each other. */
#ifndef TESTS_SUPPORT_STAGE_H
#define TESTS_SUPPORT_STAGE_H

#include "backends/thread/thread.h"
#include "core/base/atomic.h"
#include "core/include/gort.h"

static rt_atomic32 stage;

static inline void reach(uint32_t s)
{
	rt_store32_rel(&stage, s);
	be_thread_wake(&stage, INT32_MAX);
}

/* Waits a minute at most. By threads that hold no P meanwhile. */
static inline bool reached(uint32_t s)
{
	int64_t last = be_nanotime() + 60 * GORT_SECOND;
	uint32_t now;

	while ((now = rt_load32_acq(&stage)) < s && be_nanotime() < last)
		(void)be_thread_park(&stage, now, GORT_SECOND);
	return rt_load32_acq(&stage) >= s;
}

#endif
