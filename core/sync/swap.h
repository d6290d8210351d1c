/* swap.h: compare-and-swap for the short paths of locks. With one P nobody else runs while a goroutine is
 * inside the runtime (see rt_plock), so there a load and a store do. */
#ifndef CORE_SYNC_SWAP_H
#define CORE_SYNC_SWAP_H

#include "core/sched/sched_inline.h"

static inline bool rt_alone(rt_m *mp)
{
	return rt_gomaxprocs(mp->rt) == 1;
}

static inline bool rt_swap_acq(rt_m *mp, rt_atomic32 *a, uint32_t old, uint32_t new)
{
	if (!rt_alone(mp))
		return rt_cas32_acq(a, old, new);
	if (rt_load32_acq(a) != old)
		return false;
	rt_store32_rlx(a, new);
	return true;
}

static inline bool rt_swap_rel(rt_m *mp, rt_atomic32 *a, uint32_t old, uint32_t new)
{
	if (!rt_alone(mp))
		return rt_cas32_rel(a, old, new);
	if (rt_load32_rlx(a) != old)
		return false;
	rt_store32_rel(a, new);
	return true;
}

#endif
