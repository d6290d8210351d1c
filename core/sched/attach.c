/* attach.c: foreign threads that are goroutines: gort_attach, and seats, which are goroutines whose threads come later.
 *
 * A thread that attaches in a seeded run comes when the clock says. So that a goroutine can make another one which has
 * a thread of its own, and the schedule stays a function of the seed, the goroutine is there first: gort_seat_new makes
 * its record, gort_seat_ready lets it take part, and it may be chosen to go on before its thread has come: then the
 * baton waits for that thread, which finds it in rt_stoplockedm, as wired goroutines do. Without a seed a seat only has
 * a number and counts as awake; who comes by it attaches as any thread does.
 */
#include "core/sched/seeded.h"

static void unattach(rt_m *mp, rt_g *gp)
{
	rt_preempt_detach(mp);
	rt_switch_detach(mp, gp);
	rt_self_set(NULL);
	rt_storeptr_rlx(&mp->lockedg, NULL);
	rt_g_free(mp->rt, NULL, gp);
	rt_m_gone(mp);
}

/* Another thread may try to free rt until it can: this is the last that is seen of it. */
static void uncount(gort_runtime *rt)
{
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt->sched.nattached--;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

/* mp has a P. */
static void run_here(rt_m *mp, rt_g *gp)
{
	rt_gc_before_run(mp->rt, gp); /* the thread's stack cannot hold a heap pointer yet, but it counts as scanned */
	gp->m = mp;
	mp->curg = gp;
	rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_RUNNING);
}

/* Waits for a P as a goroutine at the end of the global queue would. */
static void attach_p(rt_m *mp, rt_g *gp)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	rt_p *pp;

	rt_lock_comer(rt);
	sc->nattached++;
	pp = rt_load32_rlx(&sc->gcwaiting) ? NULL : rt_pidle_get_locked(rt);
	rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
	RT_TRACE(mp, SCHED, GO_CREATE, gp, gp->goid, 0, 0);
	if (pp == NULL)
		rt_globq_put_locked(rt, gp);
	else
		rt_acquirep(mp, pp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (pp == NULL) {
		rt_wakep(rt);
		rt_stoplockedm(mp);
	}
	run_here(mp, gp);
	rt_add64_full(&sc->created, 1);
}

/* An M and the goroutine that is wired to it, for this thread or one that is still to come. NULL: no memory. */
static rt_m *new_wired(gort_runtime *rt)
{
	rt_m *mp = rt_m_new(rt);
	rt_g *gp;

	if (mp == NULL)
		return NULL;
	mp->attached = true;
	gp = rt_g_new(rt, NULL);
	if (gp == NULL) {
		rt_m_gone(mp);
		return NULL;
	}
	gp->attached = 1;
	gp->goid = rt_goid_next(rt, NULL);
	gp->phase = (uint8_t)gp->goid;
	gp->parent = 0;
	gp->creator = NULL; /* a batch, when it was dead */
	rt_g_more(gp);
	gp->lockcount = 1;
	gp->lockedm = mp;
	rt_storeptr_rlx(&mp->lockedg, gp);
	mp->wired = true;
	return mp;
}

static void free_wired(rt_m *mp)
{
	rt_g_free(mp->rt, NULL, rt_loadptr_rlx(&mp->lockedg));
	rt_m_gone(mp);
}

/* mp becomes this thread's. False: no memory. */
static bool come(rt_m *mp)
{
	mp->tid = be_thread_id();
	if (rt_switch_attach(mp, rt_loadptr_rlx(&mp->lockedg)) != 0)
		return false;
	rt_self_set(mp);
	rt_preempt_attach(mp);
	return true;
}

static void begin(rt_m *mp, rt_g *gp)
{
	rt_count64_owner(&gp->turns, RT_TURN);
	RT_TRACE(mp, SCHED, GO_START, gp, rt_g_runs(gp), 0, 0);
	rt_leave();
}

static int may_attach(gort_runtime *rt)
{
	int err = rt_runtime_alive(rt);

	return err == 0 && rt->seeded != NULL ? rt_helpers_need(rt) : err;
}

GORT_API int gort_attach(gort_runtime *rt)
{
	rt_m *mp;
	rt_g *gp;
	int err;

	if (rt_self() != NULL)
		return GORT_EBUSY;
	err = may_attach(rt);
	if (err != 0)
		return err;
	mp = new_wired(rt);
	if (mp == NULL)
		return GORT_ENOMEM;
	if (!come(mp)) {
		free_wired(mp);
		return GORT_ENOMEM;
	}
	gp = rt_loadptr_rlx(&mp->lockedg);
	attach_p(mp, gp);
	begin(mp, gp);
	return 0;
}

GORT_API int gort_detach(void)
{
	rt_m *mp = rt_self();
	rt_g *gp;
	gort_runtime *rt;

	if (mp == NULL || !mp->attached || mp->curg == NULL || mp->locks != 0)
		return GORT_EINVAL;
	(void)RT_ENTER(); /* its P may have been taken */
	gp = mp->curg;
	rt = mp->rt;
	RT_TRACE(mp, SCHED, GO_END, gp, 0, 0, 0);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_DEAD);
	rt_add64_full(&rt->sched.ended, 1);
	mp->curg = NULL;
	rt_handoffp(mp->rt, rt_releasep(mp));
	unattach(mp, gp);
	uncount(rt);
	return 0;
}

/* ---- Seats ---------------------------------------------------------------------------------------- */

/* gort_seat is the M whose thread is still to come. */
static rt_m *m_of(gort_seat *seat)
{
	return (rt_m *)seat;
}

GORT_API int gort_seat_new(gort_runtime *rt, gort_seat **out, uint64_t *goid)
{
	rt_m *self, *mp;
	rt_g *gp;
	int err;

	if (out == NULL)
		return GORT_EINVAL;
	*out = NULL;
	self = rt_hold();
	err = may_attach(rt);
	mp = err == 0 ? new_wired(rt) : NULL;
	if (err == 0 && mp == NULL)
		err = GORT_ENOMEM;
	if (err == 0) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		rt->sched.nattached++;
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
		gp = rt_loadptr_rlx(&mp->lockedg);
		if (self != NULL && self->rt == rt && self->curg != NULL)
			gp->parent = self->curg->goid;
		if (goid != NULL)
			*goid = gp->goid;
		*out = (gort_seat *)mp;
	}
	rt_unhold(self);
	return err;
}

/* With a seed it takes part from here on. */
static void ready_seeded(rt_m *self, rt_m *mp)
{
	gort_runtime *rt = mp->rt;
	rt_g *gp = rt_loadptr_rlx(&mp->lockedg);
	bool inside = self != NULL && self->rt == rt && self->p != NULL;

	rt_add64_full(&rt->sched.created, 1);
	rt_lock_comer(rt);
	rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
	if (inside)
		RT_TRACE(self, SCHED, GO_CREATE, gp, gp->goid, 0, 0);
	else
		RT_TRACE_OUTSIDE(rt, SCHED, GO_CREATE, gp, gp->goid, 0, 0);
	if (!rt_seeded_postpone_locked(rt, gp))
		rt_globq_put_locked(rt, gp);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	if (!inside)
		rt_wakep(rt);
}

GORT_API int gort_seat_ready(gort_seat *seat)
{
	rt_m *self = rt_hold(), *mp = m_of(seat);
	bool seeded = mp->rt->seeded != NULL, first = !seeded || !mp->seated;

	if (seeded && first) {
		mp->seated = true;
		ready_seeded(self, mp);
	}
	rt_unhold(self);
	return first ? 0 : GORT_EINVAL;
}

GORT_API int gort_seat_attach(gort_seat *seat)
{
	rt_m *mp = m_of(seat);
	gort_runtime *rt = mp->rt;
	rt_g *gp = rt_loadptr_rlx(&mp->lockedg);

	if (rt_self() != NULL)
		return GORT_EBUSY;
	if (rt->seeded == NULL) {
		if (!come(mp)) {
			gort_seat_free(seat);
			return GORT_ENOMEM;
		}
		attach_p(mp, gp);
		uncount(rt); /* attach_p has counted it, too */
		begin(mp, gp);
		return 0;
	}
	(void)rt_stoplockedm(mp); /* with the P: until then others may look at gp, which has no stack */
	if (!come(mp)) {
		rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_DEAD);
		rt_add64_full(&rt->sched.ended, 1);
		rt_storeptr_rlx(&mp->lockedg, NULL);
		rt_handoffp(rt, rt_releasep(mp));
		rt_g_free(rt, NULL, gp);
		rt_m_gone(mp);
		uncount(rt);
		return GORT_ENOMEM;
	}
	run_here(mp, gp);
	begin(mp, gp);
	return 0;
}

GORT_API void gort_seat_free(gort_seat *seat)
{
	rt_m *self, *mp = m_of(seat);
	gort_runtime *rt;

	if (seat == NULL)
		return;
	self = rt_hold();
	rt = mp->rt;
	free_wired(mp);
	uncount(rt);
	rt_unhold(self);
}
