/* stats.c: counters of the Ps, and the names of events and wait reasons. */
#include "core/sched/internal.h"

#include <string.h>

static uint32_t queued(const rt_p *pp)
{
	/* Head first: it does not pass the tail that is read later. Thieves may move it meanwhile,
	 * so that the difference is bounded. */
	uint32_t head = rt_load32_acq(&pp->runqhead);
	uint32_t n = rt_load32_acq(&pp->runqtail) - head;

	if (n > RT_RUNQ_SIZE)
		n = RT_RUNQ_SIZE;
	return n + (rt_loadptr_rlx(&pp->runnext) != NULL);
}

static gort_proc_stats read_p(const rt_p *pp)
{
	return (gort_proc_stats){
		.id = pp->id,
		.idle = rt_load32_rlx(&pp->status) == RT_P_IDLE,
		.queued = queued(pp),
		.switches = rt_load64_rlx(&pp->switches),
		.steals = rt_load64_rlx(&pp->steals),
		.stolen = rt_load64_rlx(&pp->stolen),
		.parked = rt_load64_rlx(&pp->parked),
		.readied = rt_load64_rlx(&pp->readied),
		.preempted = rt_load64_rlx(&pp->preempted),
		.handoffs = rt_load64_rlx(&pp->handoffs),
	};
}

/* size is that of the caller's struct: older callers get less, newer ones zeroes at the end. */
GORT_API size_t gort_proc_stats_read_sized(gort_runtime *rt, gort_proc_stats *out, size_t n,
                                           size_t size)
{
	rt_sched *sc = &rt->sched;
	size_t known = size < sizeof *out ? size : sizeof *out;
	rt_m *self;
	size_t have;

	if (rt_runtime_alive(rt) != 0)
		return 0;
	self = rt_hold();
	rt_lock(&sc->lock, RT_RANK_sched);
	have = (size_t)rt_gomaxprocs(rt);
	for (size_t i = 0; i < n && i < have; i++) {
		gort_proc_stats s = read_p(sc->allp[i]);
		char *to = (char *)out + i * size;

		memset(to, 0, size);
		memcpy(to, &s, known);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_unhold(self);
	return have;
}

GORT_API const char *gort_event_name(unsigned id)
{
	static const char *const names[] = {
		NULL,
#define TRACE_EVENT(id, group, name, a, b, c) [GORT_EV_##id] = name,
#include "core/base/trace.def"
#undef TRACE_EVENT
	};

	return id < RT_NELEM(names) ? names[id] : NULL;
}

GORT_API const char *gort_wait_reason(unsigned reason)
{
	return rt_waitreason_text(reason);
}
