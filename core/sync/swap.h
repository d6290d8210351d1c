/* swap.h: compare-and-swap for the short paths of locks. With one P nobody else runs while a goroutine is
 * inside the runtime (see rt_plock), so there a load and a store do. pp: the caller's P. */
#ifndef CORE_SYNC_SWAP_H
#define CORE_SYNC_SWAP_H

#include "core/sched/sched_inline.h"

static inline bool rt_swap_acq(rt_p *pp, rt_atomic32 *a, uint32_t old, uint32_t new)
{
	if (RT_LIKELY(!pp->alone))
		return rt_cas32_acq(a, old, new);
	if (rt_load32_acq(a) != old)
		return false;
	rt_store32_rlx(a, new);
	return true;
}

static inline bool rt_swap_rel(rt_p *pp, rt_atomic32 *a, uint32_t old, uint32_t new)
{
	if (RT_LIKELY(!pp->alone))
		return rt_cas32_rel(a, old, new);
	if (rt_load32_rlx(a) != old)
		return false;
	rt_store32_rel(a, new);
	return true;
}

/* The value before. */
static inline uint32_t rt_swap_add(rt_p *pp, rt_atomic32 *a, uint32_t d)
{
	uint32_t was;

	if (RT_LIKELY(!pp->alone))
		return rt_add32_full(a, d);
	was = rt_load32_acq(a);
	rt_store32_rel(a, was + d);
	return was;
}

static inline bool rt_swap64_full(rt_p *pp, rt_atomic64 *a, uint64_t old, uint64_t new)
{
	if (RT_LIKELY(!pp->alone))
		return rt_cas64_full(a, old, new);
	if (rt_load64_acq(a) != old)
		return false;
	rt_store64_rel(a, new);
	return true;
}

#endif
