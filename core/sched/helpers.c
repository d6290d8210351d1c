/* helpers.c: the threads of a runtime that run no goroutines: the maker (m.c) and sysmon (sysmon.c). They start with
 * it; those of a seeded runtime when a goroutine first does what needs them, since most seeded runs are one thread, and
 * `explore` makes a runtime for each. */
#include "core/sched/internal.h"

static void end(gort_runtime *rt)
{
	rt_store32_rel(&rt->sched.ending, 1);
	rt_poll_late(rt);
	rt_maker_end(rt);
}

int rt_helpers_start(gort_runtime *rt)
{
	int r = rt_maker_start(rt);

	if (r != 0)
		return r;
	r = rt_sysmon_start(rt);
	if (r != 0)
		end(rt);
	else
		rt_store32_rel(&rt->sched.helpers, 1);
	return r;
}

int rt_helpers_need(gort_runtime *rt)
{
	int r = 0;

	if (RT_LIKELY(rt_load32_acq(&rt->sched.helpers)))
		return 0;
	rt_lock(&rt->life, RT_RANK_life);
	if (!rt_load32_rlx(&rt->sched.helpers)) {
		rt_store32_rel(&rt->sched.ending, 0); /* of a try before */
		r = rt_helpers_start(rt);
	}
	rt_unlock(&rt->life, RT_RANK_life);
	return r;
}

void rt_helpers_end(gort_runtime *rt)
{
	if (!rt_load32_rlx(&rt->sched.helpers)) {
		rt_store32_rel(&rt->sched.ending, 1);
		rt_poll_late(rt);
		return;
	}
	end(rt);
	rt_sysmon_end(rt);
}
