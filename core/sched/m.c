/* m.c: threads. An M without work sleeps on its note, on a LIFO list so that the one with the
 * warmest caches is taken first. Ms are never given back before the runtime ends, except those whose
 * wired goroutine ended. Threads are refused sometimes (EAGAIN): then the P stays idle and the work
 * queued, and the next wake-up tries again; nothing is lost as long as one M runs. */
#include "core/sched/internal.h"

#include <string.h>

rt_m *rt_m_new(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp = rt_fixalloc_get(&sc->ms);

	if (mp == NULL)
		return NULL;
	memset(mp, 0, sizeof *mp);
	mp->rt = rt;
	mp->locks = 1;
	rt_lock(&sc->lock, RT_RANK_sched);
	mp->id = sc->nextmid++;
	mp->alllink = sc->allm;
	sc->allm = mp;
	sc->mcount++;
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_rand_seed(&mp->rand, (uint64_t)be_nanotime() ^ (uint64_t)mp->id << 32);
	return mp;
}

/* Takes mp out of allm and the count. The record may go when its thread is joined. */
static void unlink_locked(rt_m *mp)
{
	rt_m **at = &mp->rt->sched.allm;

	while (*at != mp)
		at = &(*at)->alllink;
	*at = mp->alllink;
	mp->rt->sched.mcount--;
}

void rt_m_gone(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	if (mp->ring != NULL)
		rt_tracering_put(&mp->rt->trace, mp->ring);
	mp->ring = NULL;
	rt_lock(&sc->lock, RT_RANK_sched);
	unlink_locked(mp);
	if (mp->host || mp->attached) {
		rt_checkdead_locked(mp->rt);
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_fixalloc_put(&sc->ms, mp);
		return;
	}
	mp->alllink = sc->freem; /* its thread is still to be joined */
	sc->freem = mp;
	rt_checkdead_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

static void worker(void *arg)
{
	rt_m *mp = arg;

	rt_self_set(mp);
	mp->tid = be_thread_id();
	if (rt_switch_init(mp) != 0)
		rt_throw("no scheduler context for a new thread");
	(void)be_fault_attach(); /* without one an overflow aborts instead of being named */
	if (mp->nextp != NULL) {
		rt_acquirep(mp, mp->nextp);
		mp->nextp = NULL;
	}
	rt_switch_loop(mp);
	if (mp->p != NULL)
		rt_handoffp(mp, rt_releasep(mp));
	be_fault_detach();
	rt_switch_fini(mp);
	rt_self_set(NULL);
	rt_m_gone(mp);
}

static bool newm(gort_runtime *rt, rt_p *pp, bool spinning)
{
	rt_m *mp = rt_m_new(rt);

	if (mp == NULL)
		return false;
	mp->nextp = pp;
	mp->spinning = spinning;
	if (!rt_fail_now(&rt->debug, "thread") && be_thread_start(&mp->thread, worker, mp, 0) == 0)
		return true;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	unlink_locked(mp);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_fixalloc_put(&rt->sched.ms, mp);
	return false;
}

static rt_m *mget_locked(rt_sched *sc)
{
	rt_m **at = &sc->midle;
	rt_m *mp;

	while ((mp = *at) != NULL && rt_load32_rlx(&mp->exiting))
		at = &mp->schedlink;
	if (mp != NULL) {
		*at = mp->schedlink;
		mp->idle = false;
		sc->nmidle--;
	}
	return mp;
}

/* A P becomes idle, or stops if the world does. Its work is left where every M looks, since nobody
 * steals from an idle P; the M that waits for timers is asked to look. */
static void no_thread(gort_runtime *rt, rt_p *pp)
{
	rt_sched *sc = &rt->sched;
	rt_g *gp;
	bool inherit;

	rt_lock(&sc->lock, RT_RANK_sched);
	while ((gp = rt_runq_get(pp, &inherit)) != NULL)
		rt_globq_put_locked(rt, gp);
	rt_globq_join_locked(rt, pp);
	if (rt_load32_rlx(&sc->gcwaiting)) {
		rt_store32_rlx(&pp->status, RT_P_GCSTOP);
		if (--sc->stopwait == 0)
			rt_note_wakeup(&sc->stopnote);
	} else {
		rt_pidle_put_locked(rt, pp);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	be_netpoll_break(&sc->poll);
}

/* Runs pp (status IDLE, on no list) on an idle or a new M. spinning: the caller has counted it in nmspinning.
 * False: no thread could be had; pp is on the idle list. */
bool rt_startm(gort_runtime *rt, rt_p *pp, bool spinning)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp;

	rt_lock(&sc->lock, RT_RANK_sched);
	mp = mget_locked(sc);
	if (mp != NULL) {
		mp->nextp = pp;
		mp->spinning = spinning;
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_note_wakeup(&mp->park);
		return true;
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (newm(rt, pp, spinning))
		return true;
	no_thread(rt, pp);
	if (spinning)
		rt_add32_full(&sc->nmspinning, (uint32_t)-1);
	return false;
}

static void sleep_on_note(rt_m *mp)
{
	rt_lockrank_assert_none();
	rt_note_sleep(&mp->park);
	rt_note_clear(&mp->park);
	if (mp->nextp != NULL) {
		rt_acquirep(mp, mp->nextp);
		mp->nextp = NULL;
	}
}

/* Sleeps until somebody gives it a P, or calls it away. False: leave the loop. */
bool rt_stopm(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	RT_ASSERT(mp->p == NULL && !mp->spinning);
	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_run_leaving(mp)) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return false;
	}
	mp->schedlink = sc->midle;
	sc->midle = mp;
	mp->idle = true;
	sc->nmidle++;
	rt_checkdead_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	sleep_on_note(mp);
	return mp->p != NULL || !rt_run_leaving(mp);
}

/* Calls a sleeping M awake without a P. Exactly one of its wakers takes it off its list. */
void rt_m_unidle_locked(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	rt_lockrank_assert_held(RT_RANK_sched, &sc->lock);
	if (mp->idle) {
		rt_m **at = &sc->midle;

		while (*at != mp)
			at = &(*at)->schedlink;
		*at = mp->schedlink;
		mp->idle = false;
		sc->nmidle--;
	} else if (mp->waitlocked) {
		mp->waitlocked = false;
		sc->nmidlelocked--;
	} else {
		return;
	}
	rt_note_wakeup(&mp->park);
}

/* A P whose M went into a system call or waits for its goroutine: give it to another M if there is
 * anything to do. mp may be NULL. */
void rt_handoffp(rt_m *mp, rt_p *pp)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	int64_t when;

	rt_count64_owner(&pp->handoffs, 1);
	if (!rt_runq_empty(pp) || rt_load32_rlx(&sc->runqsize) > 0) {
		rt_startm(rt, pp, false);
		return;
	}
	/* gc: a P with marking to do would be started here. */
	if (rt_load32_rlx(&sc->nmspinning) + rt_load32_rlx(&sc->npidle) == 0 &&
	    rt_cas32_full(&sc->nmspinning, 0, 1)) {
		rt_startm(rt, pp, true);
		return;
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&sc->gcwaiting)) {
		rt_store32_rlx(&pp->status, RT_P_GCSTOP);
		if (--sc->stopwait == 0)
			rt_note_wakeup(&sc->stopnote);
		rt_unlock(&sc->lock, RT_RANK_sched);
		return;
	}
	if (rt_load32_rlx(&sc->runqsize) > 0) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_startm(rt, pp, false);
		return;
	}
	when = (int64_t)rt_load64_rlx(&pp->timers.next);
	rt_pidle_put_locked(rt, pp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	/* Work that came meanwhile relied on us, or a timer of this P has no thread to wait for it. */
	rt_fence_full();
	if (rt_anywork(rt) || when != INT64_MAX)
		rt_wakep(rt);
}

/* mp is wired to lockedg, which is not running: sleeps until it is runnable and brings a P. */
bool rt_stoplockedm(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	if (mp->nextg != NULL) { /* it asked to go on at once */
		RT_ASSERT(mp->nextg == mp->lockedg);
		mp->nextg = NULL;
		return true;
	}
	for (;;) {
		if (mp->p != NULL)
			rt_handoffp(mp, rt_releasep(mp));
		rt_lock(&sc->lock, RT_RANK_sched);
		if (rt_run_leaving(mp)) {
			rt_unlock(&sc->lock, RT_RANK_sched);
			return false;
		}
		mp->waitlocked = !mp->lockedready;
		if (!mp->waitlocked) {
			rt_acquirep(mp, mp->nextp);
			mp->nextp = NULL;
			mp->lockedready = false;
			rt_unlock(&sc->lock, RT_RANK_sched);
			return true;
		}
		sc->nmidlelocked++;
		rt_checkdead_locked(mp->rt);
		rt_unlock(&sc->lock, RT_RANK_sched);
		sleep_on_note(mp);
		if (mp->p != NULL)
			return true;
	}
}

/* gp was picked by mp but is wired to another M: gives that M this P, and sleeps. */
void rt_startlockedm(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_m *to = gp->lockedm;
	rt_p *pp;

	RT_ASSERT(to != mp);
	rt_lock(&sc->lock, RT_RANK_sched);
	if (to->lockedg != gp) { /* the host has left: its run ends, and gp is dropped with the rest */
		rt_globq_put_locked(mp->rt, gp);
		rt_unlock(&sc->lock, RT_RANK_sched);
		return;
	}
	pp = rt_releasep(mp);
	to->nextp = pp;
	if (to->waitlocked) {
		to->waitlocked = false;
		sc->nmidlelocked--;
		rt_note_wakeup(&to->park);
	} else {
		to->lockedready = true; /* on its way to rt_stoplockedm */
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_stopm(mp);
}
