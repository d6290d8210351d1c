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
	rt_g *gp = rt_loadptr_rlx(&mp->lockedg);

	rt_storeptr_rlx(&mp->lockedg, NULL);
	rt_g_free(mp->rt, NULL, gp);
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

enum { NEW = 0, READY = 1, OVER = 2 };

struct gort_seat {
	gort_runtime *rt;   /* set once */
	rt_m *mp;           /* whose thread is still to come; the same */
	rt_atomic32 users;  /* who makes the thread, and the thread: the last one gives the record back */
	/* guarded by sched.lock */
	uint32_t state;     /* with a seed: NEW until it is said to be ready, OVER if the run ended before */
	gort_seat *next;    /* of sched.seats: those that are NEW */
};

void rt_seats_init(rt_sched *sc, rt_debugvars *debug)
{
	rt_fixalloc_init(&sc->seatrecords, sizeof(gort_seat), debug);
}

static void put(gort_seat *seat, uint32_t users)
{
	if (rt_add32_full(&seat->users, -users) == users)
		rt_fixalloc_put(&seat->rt->sched.seatrecords, seat);
}

static void unlist_locked(rt_sched *sc, const gort_seat *seat)
{
	gort_seat **at = &sc->seats;

	while (*at != NULL && *at != seat)
		at = &(*at)->next;
	if (*at != NULL)
		*at = seat->next;
}

/* World stopped: the run is over, and those who would say that they are ready are perhaps gone. */
void rt_seats_drop(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	for (; sc->seats != NULL; sc->seats = sc->seats->next) {
		sc->seats->state = OVER;
		rt_store32_rel(&sc->seats->mp->exiting, 1);
		rt_m_unidle_locked(sc->seats->mp);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
}

static int seat_new(gort_runtime *rt, const rt_m *self, gort_seat **out, uint64_t *goid)
{
	rt_sched *sc = &rt->sched;
	gort_seat *seat = rt_fixalloc_get(&sc->seatrecords);
	rt_m *mp = seat != NULL ? new_wired(rt) : NULL;
	rt_g *gp;

	if (mp == NULL) {
		if (seat != NULL)
			rt_fixalloc_put(&sc->seatrecords, seat);
		return GORT_ENOMEM;
	}
	*seat = (gort_seat){ .rt = rt, .mp = mp };
	rt_store32_rlx(&seat->users, 2);
	gp = rt_loadptr_rlx(&mp->lockedg);
	if (self != NULL && self->rt == rt && self->curg != NULL)
		gp->parent = self->curg->goid;
	if (goid != NULL)
		*goid = gp->goid;
	rt_lock(&sc->lock, RT_RANK_sched);
	sc->nattached++;
	if (rt->seeded != NULL) {
		seat->next = sc->seats;
		sc->seats = seat;
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	*out = seat;
	return 0;
}

GORT_API int gort_seat_new(gort_runtime *rt, gort_seat **out, uint64_t *goid)
{
	rt_m *self;
	int err;

	if (out == NULL)
		return GORT_EINVAL;
	*out = NULL;
	self = rt_hold();
	err = may_attach(rt);
	if (err == 0)
		err = seat_new(rt, self, out, goid);
	/* No point: another goroutine that ended the run here would leave nobody to say that it is ready. */
	rt_fence_compiler();
	if (self != NULL)
		self->locks--;
	return err;
}

/* With a seed it takes part from here on. False: its run is over. */
static bool take_part(rt_m *self, gort_seat *seat)
{
	gort_runtime *rt = seat->rt;
	rt_sched *sc = &rt->sched;
	rt_g *gp = rt_loadptr_rlx(&seat->mp->lockedg);
	bool inside = self != NULL && self->rt == rt && self->p != NULL, wakes;

	rt_lock_comer(rt);
	if (seat->state != NEW) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return false;
	}
	seat->state = READY;
	unlist_locked(sc, seat);
	rt_add64_full(&sc->created, 1);
	rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
	if (inside)
		RT_TRACE(self, SCHED, GO_CREATE, gp, gp->goid, 0, 0);
	else
		RT_TRACE_OUTSIDE(rt, SCHED, GO_CREATE, gp, gp->goid, 0, 0);
	wakes = !rt_seeded_postpone_locked(rt, gp);
	if (wakes)
		rt_globq_put_locked(rt, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (wakes && !inside)
		rt_wakep(rt);
	return true;
}

/* In the child of a fork: the runtime's locks may be held by threads that are not there, and gort_runtime_free gives
 * back all that the seat is. */
static bool forked(const gort_seat *seat)
{
	return seat->rt->forkgen != rt_forks();
}

GORT_API int gort_seat_ready(gort_seat *seat)
{
	rt_m *self;
	bool there;

	if (forked(seat))
		return GORT_EFORKED;
	self = rt_hold();
	there = seat->rt->seeded == NULL || take_part(self, seat);
	put(seat, 1);
	rt_unhold(self);
	return there ? 0 : GORT_ECANCELED;
}

static int attach_seeded(gort_seat *seat, rt_m *mp, rt_g *gp)
{
	gort_runtime *rt = seat->rt;

	/* With the P: until then others may look at gp, which has no stack. */
	if (!rt_stoplockedm(mp)) {
		free_wired(mp);
		put(seat, 1);
		uncount(rt);
		return GORT_ECANCELED;
	}
	if (!come(mp)) {
		rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_DEAD);
		rt_add64_full(&rt->sched.ended, 1);
		rt_handoffp(rt, rt_releasep(mp));
		free_wired(mp);
		put(seat, 1);
		uncount(rt);
		return GORT_ENOMEM;
	}
	put(seat, 1);
	run_here(mp, gp);
	begin(mp, gp);
	return 0;
}

GORT_API int gort_seat_attach(gort_seat *seat)
{
	rt_m *mp = seat->mp;
	gort_runtime *rt = seat->rt;
	rt_g *gp = rt_loadptr_rlx(&mp->lockedg);

	if (rt_self() != NULL)
		return GORT_EBUSY;
	if (forked(seat))
		return GORT_EFORKED;
	if (rt->seeded != NULL)
		return attach_seeded(seat, mp, gp);
	put(seat, 1);
	if (!come(mp)) {
		free_wired(mp);
		uncount(rt);
		return GORT_ENOMEM;
	}
	attach_p(mp, gp);
	uncount(rt); /* attach_p has counted it, too */
	begin(mp, gp);
	return 0;
}

GORT_API void gort_seat_free(gort_seat *seat)
{
	gort_runtime *rt;
	rt_m *self;

	if (seat == NULL || forked(seat))
		return;
	self = rt_hold();
	rt = seat->rt;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	unlist_locked(&rt->sched, seat);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	free_wired(seat->mp);
	put(seat, 2);
	uncount(rt);
	rt_unhold(self);
}
