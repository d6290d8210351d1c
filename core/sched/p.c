/* p.c: processors. Their number is GOMAXPROCS and changes only with the world stopped; a P that is
 * no longer needed is dead but keeps its record, since others may still look at it. */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"

#include <string.h>

void rt_acquirep(rt_m *mp, rt_p *pp)
{
	RT_ASSERT(mp->p == NULL && rt_loadptr_rlx(&pp->m) == NULL);
	RT_ASSERT(rt_load32_rlx(&pp->status) == RT_P_IDLE);
	mp->p = pp;
	rt_storeptr_rel(&pp->m, mp);
	rt_store32_rel(&pp->status, RT_P_RUNNING);
	RT_TRACE(mp, SCHED, PROC_START, NULL, 0, 0, 0);
}

rt_p *rt_releasep(rt_m *mp)
{
	rt_p *pp = mp->p;

	RT_ASSERT(pp != NULL && rt_loadptr_rlx(&pp->m) == mp);
	RT_ASSERT(rt_load32_rlx(&pp->status) == RT_P_RUNNING);
	mp->p = NULL;
	rt_storeptr_rlx(&pp->m, NULL);
	rt_store32_rlx(&pp->keeps, 0);
	rt_store32_rlx(&pp->status, RT_P_IDLE);
	return pp;
}

void rt_pidle_put_locked(gort_runtime *rt, rt_p *pp)
{
	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	rt_store32_rlx(&pp->status, RT_P_IDLE);
	pp->idlelink = rt->sched.pidle;
	rt->sched.pidle = pp;
	rt_add32_full(&rt->sched.npidle, 1);
}

rt_p *rt_pidle_get_locked(gort_runtime *rt)
{
	rt_p *pp = rt->sched.pidle;

	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	if (pp != NULL) {
		rt->sched.pidle = pp->idlelink;
		rt_add32_full(&rt->sched.npidle, (uint32_t)-1);
		if (RT_UNLIKELY(rt_load32_rlx(&rt->sched.sysmonsleeps))) {
			rt_store64_rlx(&rt->sched.coarse, (uint64_t)rt_now(rt));
			rt_sysmon_wake(rt);
		}
	}
	return pp;
}

static size_t round_page(size_t n)
{
	size_t unit = be_arena_query()->granularity;

	return (n + unit - 1) / unit * unit;
}

/* Off-heap memory that lives as long as the runtime: Ps and their table. */
static void *os_new(gort_runtime *rt, size_t size)
{
	return rt_oom_now(&rt->debug) ? NULL : rt_region_new(round_page(size));
}

static rt_p *p_new(gort_runtime *rt, int id)
{
	rt_p *pp = os_new(rt, sizeof *pp);

	if (pp == NULL)
		return NULL;
	memset(pp, 0, sizeof *pp);
	pp->id = id;
	pp->plain = rt->sched.plain;
	rt_rand_seed(&pp->rand, (uint64_t)be_nanotime() ^ (uint64_t)id << 32);
	rt_store32_rlx(&pp->preempt, rt->seeded != NULL); /* and stays */
	rt_store32_rlx(&pp->wanttick, UINT32_MAX); /* no turn that comes soon */
	rt_store32_rlx(&pp->urgetick, UINT32_MAX);
	rt_store32_rlx(&pp->status, RT_P_DEAD);
	rt_timerheap_init(&pp->timers);
	if (!rt->up.p_new(rt, pp)) {
		rt_region_free(pp, round_page(sizeof *pp));
		return NULL;
	}
	return pp;
}

/* What a P that dies holds goes where others find it. */
static void p_destroy(gort_runtime *rt, rt_p *pp, rt_p *heir)
{
	rt_g *gp;
	bool inherit;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt_stopped_unp_locked(rt, pp);
	while ((gp = rt_runq_get(pp, &inherit)) != NULL)
		rt_globq_put_locked(rt, gp);
	rt_globq_join_locked(rt, pp);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_timers_move(pp, heir);
	rt_gfree_flush(rt, pp);
	rt->up.p_flush(rt, pp);
	rt_stackcache_flush(rt->stacks, &pp->stacks);
	rt_store32_rlx(&pp->status, RT_P_DEAD);
}

/* Ms without a P walk the table, and nothing stops those: it is made once, for the greatest number
 * there can be, and its pages are touched as they are needed. */
static int make_table(gort_runtime *rt)
{
	if (rt->sched.allp == NULL)
		rt->sched.allp = os_new(rt, RT_MAXPROCS * sizeof *rt->sched.allp);
	return rt->sched.allp != NULL ? 0 : GORT_ENOMEM;
}

static int grow_table(gort_runtime *rt, int n)
{
	rt_sched *sc = &rt->sched;

	if (make_table(rt) != 0)
		return GORT_ENOMEM;
	for (int i = sc->nallp; i < n; i++) {
		rt_p *pp = p_new(rt, i);

		if (pp == NULL) /* those that were made are there for the next try */
			return GORT_ENOMEM;
		rt_lock(&sc->lock, RT_RANK_sched);
		sc->allp[i] = pp;
		sc->nallp = i + 1;
		rt_unlock(&sc->lock, RT_RANK_sched);
	}
	return 0;
}

/* The timers of the Ps that die will move to the first one. */
static bool room_for_timers(gort_runtime *rt, int n, int old)
{
	uint32_t more = 0;

	for (int i = n; i < old; i++)
		more += rt_load32_rlx(&rt->sched.allp[i]->timers.n);
	return more == 0 || rt_timers_reserve(rt, rt->sched.allp[0], more);
}

/* On GORT_ENOMEM the number of Ps is as it was. Ps that come to life have the status GCSTOP: rt_start_world
 * hands them out. */
int rt_procresize(gort_runtime *rt, int n)
{
	rt_sched *sc = &rt->sched;
	int old = rt_gomaxprocs(rt);

	if (grow_table(rt, n) != 0 || !room_for_timers(rt, n, old))
		return GORT_ENOMEM;
	for (int i = n; i < old; i++)
		p_destroy(rt, sc->allp[i], sc->allp[0]);
	for (int i = old; i < n; i++)
		rt_store32_rlx(&sc->allp[i]->status, RT_P_GCSTOP);
	for (int i = 0; i < sc->nallp; i++)
		sc->allp[i]->alone = n == 1;
	rt_store32_rel(&sc->gomaxprocs, (uint32_t)n); /* after the entries of the table */
	return 0;
}

void rt_p_free_all(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	for (int i = 0; i < sc->nallp; i++) {
		rt_timerheap_fini(&sc->allp[i]->timers);
		rt->up.p_free(rt, sc->allp[i]);
		rt_region_free(sc->allp[i], round_page(sizeof(rt_p)));
	}
	if (sc->allp != NULL)
		rt_region_free(sc->allp, round_page(RT_MAXPROCS * sizeof *sc->allp));
	sc->allp = NULL;
	sc->nallp = 0;
}
