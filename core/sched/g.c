/* g.c: birth, death and reuse of goroutines. A dead G keeps nothing but its record; the stack goes
 * back to its P's cache, where the next goroutine finds it warm.
 *
 * Dead Gs: a P keeps up to 63, and gives and takes 32 at a time, as Go does. Here they lie in batches, that at hand and
 * a spare one (Bonwick's magazines), and a batch changes hands as a whole: nobody walks along 32 records that are in no
 * cache, let alone with a lock. */
#include "core/sched/seeded.h"

#include <string.h>

enum { GOID_BATCH = 16, NAME_SIZE = 32, BIRTHS_AHEAD = 4 };

uint64_t rt_goid_next(gort_runtime *rt, rt_p *pp)
{
	/* With a seed without gaps: attached threads have numbers of the same run. */
	if (pp == NULL || RT_UNLIKELY(rt->seeded != NULL))
		return rt_add64_full(&rt->sched.goidgen, 1);
	if (pp->goid == pp->goidend) {
		pp->goid = rt_add64_full(&rt->sched.goidgen, GOID_BATCH);
		pp->goidend = pp->goid + GOID_BATCH;
	}
	return pp->goid++;
}

/* first heads n dead Gs. */
static void give(gort_runtime *rt, rt_g *first, int n)
{
	rt_sched *sc = &rt->sched;

	first->nbatch = (uint64_t)n;
	rt_lock(&sc->gfreelock, RT_RANK_gfree);
	first->batch = rt_loadptr_rlx(&sc->gfree);
	rt_storeptr_rlx(&sc->gfree, first);
	rt_unlock(&sc->gfreelock, RT_RANK_gfree);
}

/* A batch, or NULL. */
static rt_g *take(gort_runtime *rt, int *n)
{
	rt_sched *sc = &rt->sched;
	rt_g *first;

	if (rt_loadptr_rlx(&sc->gfree) == NULL) /* a stale answer only makes a new record */
		return NULL;
	rt_lock(&sc->gfreelock, RT_RANK_gfree);
	first = rt_loadptr_rlx(&sc->gfree);
	if (first != NULL)
		rt_storeptr_rlx(&sc->gfree, first->batch);
	rt_unlock(&sc->gfreelock, RT_RANK_gfree);
	if (first != NULL)
		*n = (int)first->nbatch;
	return first;
}

static rt_g *new_record(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_g *gp = rt_fixalloc_get(&sc->gs);

	if (gp == NULL)
		return NULL;
	RT_ASSERT((uintptr_t)gp % RT_CACHELINE == 0); /* rt_g_ref */
	memset(gp, 0, sizeof *gp);
	gp->rt = rt;
	rt_store32_rlx(&gp->status, RT_G_DEAD);
	rt_lock(&sc->allglock, RT_RANK_allg);
	if (sc->allg == NULL) /* in the middle of what a number reaches */
		sc->gbase = (uintptr_t)gp - (uintptr_t)INT32_MAX / 2 * RT_CACHELINE;
	gp->alllink = sc->allg;
	sc->allg = gp;
	rt_unlock(&sc->allglock, RT_RANK_allg);
	return gp;
}

/* pp has none at hand. */
static RT_NOINLINE rt_g *new_long(gort_runtime *rt, rt_p *pp)
{
	rt_g *gp, *rest;
	int n = RT_GFREE_BATCH;

	if (pp != NULL && pp->gspare != NULL) {
		gp = pp->gspare;
		pp->gspare = NULL;
	} else {
		gp = take(rt, &n);
	}
	if (gp == NULL)
		return new_record(rt);
	rest = n > 1 ? gp->schedlink : NULL;
	if (pp != NULL) {
		pp->gfree = rest;
		pp->ngfree = n - 1;
	} else if (rest != NULL) {
		give(rt, rest, n - 1);
	}
	return gp;
}

/* pp NULL: the caller has no P. */
rt_g *rt_g_new(gort_runtime *rt, rt_p *pp)
{
	rt_g *gp;

	if (RT_UNLIKELY(pp == NULL || pp->gfree == NULL))
		return new_long(rt, pp);
	gp = pp->gfree;
	pp->gfree = gp->schedlink;
	pp->ngfree--;
	rt_g_prefetch(rt_loadptr_rlx(&gp->ahead)); /* see born_later */
	return gp;
}

void rt_gfree_flush(gort_runtime *rt, rt_p *pp)
{
	if (pp->gfree != NULL)
		give(rt, pp->gfree, pp->ngfree);
	if (pp->gspare != NULL)
		give(rt, pp->gspare, RT_GFREE_BATCH);
	pp->gfree = pp->gspare = NULL;
	pp->ngfree = 0;
}

/* A batch that was dead for long is in no cache, and births come in bursts. So who dies names who is born some births
 * after it, as in a queue (rt_gqueue_pop): its lines are asked for while those between are born. They died just
 * before it: this walk is short and warm. One birth ahead was too late by most of a miss. */
static rt_g *born_later(rt_g *gp)
{
	for (int i = 1; i < BIRTHS_AHEAD && gp != NULL && gp->schedlink != NULL; i++)
		gp = gp->schedlink;
	return gp;
}

static RT_NOINLINE void as_born(gort_runtime *rt, rt_g *gp)
{
	if (gp->name != NULL)
		rt_fixalloc_put(&rt->sched.names, gp->name);
	gp->name = NULL;
	gp->defers = gp->member = NULL;
	gp->panics = NULL;
	gp->trace_last = 0;
	gp->stack_size = gp->lockcount = 0;
}

/* gp is DEAD and has no stack. */
void rt_g_free(gort_runtime *rt, rt_p *pp, rt_g *gp)
{
	RT_ASSERT(gp->ctx == NULL);
	rt_gcscan_set(gp, 0); /* first: a claim may be older than the death */
	if (RT_UNLIKELY(rt_g_has_more(gp)))
		as_born(rt, gp);
	gp->fn = NULL;
	gp->arg = NULL;
	gp->m = gp->lockedm = NULL;
	gp->waiting = NULL;
	rt_claim_reset(gp);
	rt_store8_rel(&gp->canceled, 0);
	gp->scope = NULL;
	gp->attached = gp->ismain = gp->system = gp->finalizes = false;
	rt_store8_rlx(&gp->more, 0);
	gp->dropped = 0;
	rt_store64_rlx(&gp->turns, 0);
	if (pp == NULL) {
		give(rt, gp, 1);
		return;
	}
	gp->schedlink = pp->gfree;
	rt_storeptr_rlx(&gp->ahead, born_later(pp->gfree));
	pp->gfree = gp;
	if (++pp->ngfree < RT_GFREE_BATCH)
		return;
	if (pp->gspare != NULL)
		give(rt, pp->gspare, RT_GFREE_BATCH);
	pp->gspare = gp;
	pp->gfree = NULL;
	pp->ngfree = 0;
}

const gort_go_attr rt_system_attr = { sizeof rt_system_attr, 0, "collector" };
const gort_go_attr rt_finalizer_attr = { sizeof rt_finalizer_attr, 0, "finalizers" };

static bool set_attr(gort_runtime *rt, rt_g *gp, const gort_go_attr *attr)
{
	if (attr == NULL)
		return true;
	rt_g_more(gp);
	gp->stack_size = (uint32_t)attr->stack_size;
	if (attr->name == NULL)
		return true;
	gp->name = rt_fixalloc_get(&rt->sched.names);
	if (gp->name == NULL)
		return false;
	strncpy(gp->name, attr->name, NAME_SIZE - 1);
	gp->name[NAME_SIZE - 1] = '\0';
	return true;
}

/* mp: the caller's M if it has a P, else NULL. The new goroutine runs next on its P, or last of
 * all. */
int rt_newproc(gort_runtime *rt, rt_m *mp, const gort_go_attr *attr, gort_func fn, void *arg,
               void *creator)
{
	rt_p *pp = mp != NULL ? mp->p : NULL;
	rt_g *gp = rt_g_new(rt, pp);
	bool stored = false;

	if (gp == NULL)
		return GORT_ENOMEM;
	if (!set_attr(rt, gp, attr)) {
		rt_g_free(rt, pp, gp);
		return GORT_ENOMEM;
	}
	gp->system = attr == &rt_system_attr || attr == &rt_finalizer_attr;
	gp->fn = fn;
	gp->arg = arg;
	gp->creator = creator;
	gp->goid = RT_UNLIKELY(gp->system && rt->seeded != NULL) ? rt_seeded_system_goid(rt) : rt_goid_next(rt, pp);
	gp->phase = (uint8_t)gp->goid;
	gp->parent = mp != NULL && mp->curg != NULL ? mp->curg->goid : 0;
	if (pp != NULL) {
		if (RT_UNLIKELY(rt_load32_rlx(&rt->gcmark) != 0))
			rt->up.gc_born(gp);
		rt_runnable(gp);
		rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
		if (!gp->system) /* those are not counted */
			rt_count64_owner(&pp->created, 1);
		RT_TRACE(mp, SCHED, GO_CREATE, gp, gp->goid, (uintptr_t)fn, 0);
		stored = rt_runq_put(pp, gp, true, rt);
	} else {
		rt_add64_full(&rt->sched.created, 1);
		rt_lock_comer(rt);
		rt->sched.nbornoutside++; /* the end of marking looks for those that have not run */
		rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
		RT_TRACE_OUTSIDE(rt, SCHED, GO_CREATE, gp, gp->goid, (uintptr_t)fn, 0);
		if (!rt_seeded_postpone_locked(rt, gp))
			rt_globq_put_locked(rt, gp);
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
	}
	if (pp == NULL) {
		rt_wakep(rt);
		rt_sysmon_wake(rt); /* all Ps may be with goroutines that block in the system */
	} else if (!pp->alone) {
		rt_wakep_after_next(rt, stored);
	}
	return 0;
}

int rt_go_from_g0(gort_func fn, void *arg, void *creator)
{
	rt_m *mp = rt_self();

	return rt_newproc(mp->rt, mp, NULL, fn, arg, creator);
}

/* Exact only with the world stopped. */
int64_t rt_g_count(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	int64_t n = (int64_t)(rt_load64_rlx(&sc->created) - rt_load64_rlx(&sc->ended));

	for (int i = 0; i < sc->nallp; i++)
		n += (int64_t)(rt_load64_rlx(&sc->allp[i]->created) -
		               rt_load64_rlx(&sc->allp[i]->ended));
	return n;
}

/* On g0: the goroutine has ended. */
void rt_goexit0(rt_m *mp, rt_g *gp)
{
	rt_p *pp = mp->p;
	bool wired = rt_g_has_more(gp) && gp->lockcount > 0, system = gp->system;

	RT_TRACE(mp, SCHED, GO_END, gp, 0, 0, 0);
	RT_ASSERT(gp->waiting == NULL);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_DEAD);
	rt_switch_unmake(mp->rt, &pp->stacks, gp);
	rt_g_free(mp->rt, pp, gp);
	if (RT_LIKELY(!system)) /* those are not counted */
		rt_count64_owner(&pp->ended, 1);
	if (rt_loadptr_rlx(&mp->lockedg) == gp)
		rt_storeptr_rlx(&mp->lockedg, NULL);
	/* Its thread may be left in a state that others must not inherit. The host's thread is not
	 * ours to end. */
	if (wired && !mp->host)
		rt_store32_rlx(&mp->exiting, 1);
	if (RT_UNLIKELY(system))
		mp->rt->up.gc_gone(gp);
}

static void main_done(rt_m *mp, rt_g *gp)
{
	gort_runtime *rt = mp->rt;
	bool ours = rt_run_claim(rt, GORT_OK);

	rt_goexit0(mp, gp);
	if (ours)
		rt_run_wake(rt);
}

_Noreturn void rt_goroutine_done(rt_g *gp)
{
	rt_m *mp = rt_self();

	rt_mcall_dying(mp, gp->ismain ? main_done : rt_goexit0);
}

static void main_exited(rt_m *mp, rt_g *gp)
{
	rt_store32_rlx(&mp->rt->mainexited, 1);
	rt_goexit0(mp, gp);
}

_Noreturn void rt_goexit(void)
{
	rt_m *mp = rt_self();

	rt_mcall_dying(mp, mp->curg->ismain ? main_exited : rt_goexit0);
}
