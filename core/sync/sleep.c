/* sleep.c: time.Sleep. The timer lies in the sleeper's frame and is armed when it is parked. */
#include "core/sync/chan.h"

#include "core/sched/sched_inline.h"

#include <limits.h>

static bool commit(rt_g *gp, void *arg)
{
	(void)gp;
	rt_waiter_open(arg);
	return true;
}

int rt_sleep_until(int64_t deadline, bool cancelable, rt_waitreason why)
{
	rt_g *gp = rt_curg();
	rt_waiter w;

	while (rt_now(rt_runtime_of(gp)) < deadline) { /* a timer without memory fires early */
		if (rt_g_released(gp) || (cancelable && rt_g_canceled(gp)))
			return GORT_ECANCELED;
		w.on = NULL;
		w.unlink = NULL;
		rt_waiter_begin(gp, &w, deadline);
		w.cancelable = cancelable;
		rt_gopark(commit, &w, why, NULL);
		(void)rt_waiter_end(gp, &w);
	}
	return 0;
}

int rt_sleep_out(int64_t deadline, rt_waitreason why)
{
	int r = rt_wait_refused(rt_curg(), deadline);

	if (r != 0)
		return r;
	return rt_sleep_until(deadline, true, why) == 0 ? GORT_ETIMEDOUT : GORT_ECANCELED;
}

GORT_API int64_t gort_nanotime(void)
{
	rt_m *mp = rt_self();

	if (mp == NULL)
		return be_nanotime();
	return RT_LIKELY(!mp->seeded) ? rt_now(mp->rt) : rt_seeded_clock(mp);
}

GORT_API void gort_sleep(int64_t ns)
{
	rt_m *mp = RT_ENTER();

	if (ns > 0) {
		int64_t now = rt_now(mp->rt);

		(void)rt_sleep_until(ns > INT64_MAX - 1 - now ? INT64_MAX - 1 : now + ns, false,
		                     RT_WAIT_SLEEP);
	}
	rt_leave();
}

GORT_API int gort_sleep_until(int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = rt_sleep_until(deadline == INT64_MAX ? INT64_MAX - 1 : deadline, true, RT_WAIT_SLEEP);
	rt_leave();
	return r;
}
