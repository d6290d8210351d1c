/* syscall.c: goroutines that block in the system, goroutines wired to threads.
 *
 * entersyscall gives the P away at once if anybody waits for it, or a timer. Else the P stays with
 * the goroutine, in the state SYSCALL: exitsyscall takes it back by one compare-and-swap, unless
 * sysmon (retake) or the stop of the world was first; those use one, too. Work that
 * comes meanwhile from another goroutine finds other Ps or sysmon, which looks every 20 us to some
 * ms; what comes from a foreign thread wakes sysmon. Who takes the P finds all that its M wrote, and a
 * stop of the world waits for no call: tests/model/syscall.pml.
 */
#include "core/sched/internal.h"

#include <errno.h>

/* From the frame of this function up to above that of the public function that was called: the
 * callee-saved registers lie somewhere in there. */
static RT_NOINLINE RT_LOOKS_ANYWHERE void copy_frames(rt_m *mp, const uintptr_t *to)
{
	const uintptr_t *from = __builtin_frame_address(0);

	mp->nkept = 0;
	while (from < to && mp->nkept < RT_KEPT)
		mp->kept[mp->nkept++] = *(const volatile uintptr_t *)from++;
}

RT_NOINLINE void rt_regs_keep(rt_m *mp, void *frame)
{
	enum { ABOVE = 32 }; /* words: no public function that comes here has a larger frame above its frame pointer */
	void *lo, *hi;
	uintptr_t *to = (uintptr_t *)frame + ABOVE;

	__builtin_unwind_init(); /* stores every callee-saved register in this frame */
	rt_g_bounds(mp->curg, &lo, &hi);
	if (hi != NULL && (void *)to > hi)
		to = hi;
	mp->keptsp = (uintptr_t)frame;
	copy_frames(mp, to);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static bool anybody_waits(const gort_runtime *rt, const rt_p *pp)
{
	return !rt_runq_empty(pp) || rt_load32_rlx(&rt->sched.runqsize) > 0 ||
	       rt_load64_rlx(&pp->timers.next) != INT64_MAX || rt_load32_rlx(&rt->sched.gcwaiting) ||
	       rt_load32_rlx(&pp->preempt);
}

/* It may be that another thread is to go on. */
static void need_helpers(gort_runtime *rt)
{
	if (rt_helpers_need(rt) != 0)
		rt_run_fail(GORT_ENOMEM, "fatal error: no thread for the runtime's own use\n");
}

GORT_API void gort_entersyscall(void)
{
	rt_m *mp = RT_ENTER();
	rt_g *gp = mp->curg;
	rt_p *pp = mp->p;

	if (mp->locks != 1)
		rt_misuse(__func__, "between gort_pin and gort_unpin");
	if (RT_UNLIKELY(mp->seeded))
		need_helpers(mp->rt);
	RT_TRACE(mp, SCHED, SYSCALL_BEGIN, gp, 0, 0, 0);
	rt_regs_keep(mp, __builtin_frame_address(0));
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_SYSCALL);
	/* locks stays up: the goroutine is the runtime's until gort_exitsyscall. */
	if (anybody_waits(mp->rt, pp) && !mp->seeded) {
		mp->oldp = NULL;
		rt_handoffp(mp->rt, rt_releasep(mp));
		return;
	}
	rt_store32_rlx(&pp->syscalltick, rt_load32_rlx(&pp->syscalltick) + 1);
	mp->oldp = pp;
	mp->p = NULL;
	rt_storeptr_rlx(&pp->m, NULL);
	/* Last, and release: from here on it is whose who takes it. */
	rt_store32_rel(&pp->status, RT_P_SYSCALL);
	rt_fence_full(); /* pairs with the one in rt_stop_world: it takes the P, or this sees that it stops */
	if (RT_UNLIKELY(rt_load32_rlx(&mp->rt->sched.gcwaiting)))
		rt_syscall_gcstop(mp->rt, pp);
}

/* On g0: no P was free. */
static void exitsyscall0(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;

	/* Without a P: a stopped world does not stop this. Who looks at states holds the lock. */
	rt_lock_comer(mp->rt);
	if (gp->dropped && !gp->attached) { /* since gort_exitsyscall looked */
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_landed0(mp, gp);
		return;
	}
	RT_TRACE(mp, SCHED, SYSCALL_END, gp, 1, 0, 0);
	gp->m = NULL;
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_SYSCALL, RT_G_RUNNABLE);
	gp->waitreason = RT_WAIT_GC_CYCLE; /* to a seeded run: it was interrupted by a stop of the world */
	rt_globq_put_locked(mp->rt, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_wakep(mp->rt); /* a P may have become idle since we looked */
}

static bool take_idle(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_g *gp = mp->curg;
	rt_p *pp = NULL;

	rt_lock(&sc->lock, RT_RANK_sched);
	if ((!gp->dropped || gp->attached) && !rt_load32_rlx(&sc->gcwaiting))
		pp = rt_pidle_get_locked(mp->rt);
	if (pp != NULL) {
		rt_acquirep(mp, pp);
		/* Under the lock: a stop of the world sees SYSCALL, or a running P. */
		rt_gstatus_set(gp, RT_G_SYSCALL, RT_G_RUNNING);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	return pp != NULL;
}

static bool dropped(rt_m *mp)
{
	bool r;

	rt_lock(&mp->rt->sched.lock, RT_RANK_sched);
	r = mp->curg->dropped && !mp->curg->attached;
	rt_unlock(&mp->rt->sched.lock, RT_RANK_sched);
	return r;
}

/* The P that it had, or that somebody else has meanwhile in the same state. Nobody drops this
 * goroutine from here on: for that the world stops, and takes the P first. */
static bool take_old(rt_m *mp)
{
	rt_p *pp = mp->oldp;

	if (RT_UNLIKELY(mp->seeded) && dropped(mp)) /* the P is with a call of another run */
		return false;
	if (pp == NULL || !rt_cas32_full(&pp->status, RT_P_SYSCALL, RT_P_IDLE))
		return false;
	if (mp->curg->dropped) { /* in between */
		rt_handoffp(mp->rt, pp);
		return false;
	}
	rt_acquirep(mp, pp);
	rt_gstatus_set(mp->curg, RT_G_SYSCALL, RT_G_RUNNING);
	return true;
}

GORT_API void gort_exitsyscall(void)
{
	rt_m *mp = rt_self();

	if (mp == NULL || mp->curg == NULL || mp->p != NULL || mp->locks == 0)
		rt_misuse(__func__, "called without gort_entersyscall");
	if (!take_old(mp) && !take_idle(mp)) {
		if (dropped(mp))
			rt_mcall_dying(mp, rt_landed0);
		rt_mcall(mp, exitsyscall0);
	} else {
		RT_TRACE(mp, SCHED, SYSCALL_END, mp->curg, 0, 0, 0);
		rt_gc_before_run(mp->rt, mp->curg);
	}
	rt_leave();
}

GORT_API void gort_pin(void)
{
	(void)RT_ENTER(); /* locks stays up */
}

GORT_API void gort_unpin(void)
{
	rt_m *mp = rt_self();

	if (mp == NULL || mp->p == NULL || mp->locks == 0)
		rt_misuse(__func__, "called without gort_pin");
	rt_leave();
}

GORT_API void gort_lock_os_thread(void)
{
	rt_m *mp = RT_ENTER();
	rt_g *gp = mp->curg;

	if (gp->lockcount == UINT32_MAX)
		rt_fatal("LockOSThread nesting overflow");
	if (RT_UNLIKELY(mp->seeded))
		need_helpers(mp->rt);
	rt_g_more(gp);
	gp->lockcount++;
	gp->lockedm = mp;
	rt_storeptr_rlx(&mp->lockedg, gp);
	mp->wired = true;
	rt_leave();
}

GORT_API void gort_unlock_os_thread(void)
{
	rt_m *mp = RT_ENTER();
	rt_g *gp = mp->curg;

	if (rt_g_has_more(gp) && gp->lockcount > 0 && --gp->lockcount == 0 && !gp->attached) {
		gp->lockedm = NULL;
		rt_storeptr_rlx(&mp->lockedg, NULL);
	}
	rt_leave();
}
