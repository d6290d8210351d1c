/* preempt.c: goroutines that are stopped where they are.
 *
 * A goroutine of C may be stopped at any instruction only if nothing else ever runs on its thread
 * until it goes on: it may be in malloc, hold a lock of the host, or have a thread-local's address
 * in a register. So it is not switched away. Its thread waits (be_preempt), the goroutine is queued
 * as one that *stands* on its M (gp->m is not NULL while RUNNABLE), and its P goes to another
 * thread. Who picks it later gives its P to that very thread. A goroutine that computes, or blocks
 * without saying so, costs a thread and never the scheduler.
 *
 *             stop                 pick
 *   RUNNING --------> RUNNABLE  ---------> RUNNING
 *   on M, with P      on M, no P           on M, with the P of who picked it
 *
 * Rules (each stands for a program that died without it):
 *   - locks is 0 only in user code on a goroutine's stack; a request that finds it otherwise is declined, and
 *     rt_leave looks at the flag after it has set locks to 0.
 *   - nothing of the runtime takes a lock of libc or of the loader, or makes a thread, where it could
 *     wait for a stopped goroutine: threads are made by a thread that nobody waits for (m.c).
 *   - without a spare thread the P goes straight to another goroutine that stands: never decline that.
 *   - the turn that is to end is named (wanttick), so a request that comes late ends no other turn.
 *   - while the world stops, nobody loses a P but to the stopper, and who has none is counted once:
 *     tests/model/stwpreempt.pml.
 *   - a thread that used no CPU time sleeps in the system. It needs no P: sysmon takes it, without
 *     a signal, which would end a raw nanosleep or poll with EINTR. M and sysmon settle it as
 *     Dekker would: M writes locks and reads `taken`; sysmon writes `taken`, fences for both
 *     (be_preempt_fence), and reads locks. If that is 0 it fences again before it uses the P, for
 *     M's locks-- releases nothing: that would be paid at the end of each call of the runtime, this
 *     when a P is taken (tests/model/takep.pml).
 *   - a new goroutine holds nothing that others could wait for: when so many threads stand as GODEBUG's
 *     `standing` says, those goroutines that have not begun wait until one of these has ended.
 *   - nor does it begin on the last thread that is free while others stand: it would take that thread along when it
 *     is stopped, and a P without a scheduler goes from one that stands to the next, and runs no timers.
 *
 * Guards: standing, stoppc, taken (but for the fence above), nstopped: sched.lock. While its M
 * stands, a goroutine's status, m->p and m->locks belong to who gives it a P.
 *
 * Rejected: switching to g0 in the handler (3 us cheaper; the goroutine is then tied to a thread
 * that runs another one, and if that waits for a lock of the first both are dead: within 4 to 28
 * rounds).
 */
#include "core/sched/internal.h"

enum { DECLINES = 4, HELD_MAX = 32 };

/* No thread would be free if another goroutine began. The maker may be slow, or wait for a lock of a goroutine that
 * stands, so now and then one begins all the same; and all do while the system refuses threads. */
static bool is_last_locked(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	if (rt_load32_rlx(&sc->nmidle) > 0)
		return false;
	if (sc->held >= HELD_MAX) {
		sc->held = 0;
		return false;
	}
	sc->held++;
	if (sc->nmake + sc->nmaking == 0)
		rt_maker_ask_locked(rt, false);
	return true;
}

/* The system refused a thread. */
void rt_stand_no_thread_locked(rt_sched *sc)
{
	sc->held = HELD_MAX;
}

/* mp has picked a new goroutine, and returns it if it may begin. Else it waits at the end of the global queue. Too
 * many stand: NULL, what stands is found there in turn. The last thread: one that stands runs instead; main, which
 * has a thread of its own, begins all the same. */
rt_g *rt_stand_instead(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_p *pp = mp->p;
	uint32_t stand = rt_load32_rlx(&sc->nstopped), most = (uint32_t)mp->rt->debug.standing;
	rt_g *instead = gp;

	if (RT_LIKELY(stand == 0) ||
	    (stand < most && (rt_load32_rlx(&sc->nmidle) > 0 || gp->lockedm != NULL)))
		return gp;
	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&sc->nstopped) > 0) {
		if (stand >= most)
			instead = NULL;
		else if (is_last_locked(mp->rt))
			instead = rt_stopped_get_locked(mp->rt);
	}
	if (instead != gp)
		rt_globq_put_locked(mp->rt, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (instead == NULL) /* a turn that was none: or the global queue's turn would come again and again */
		rt_store32_rlx(&pp->schedtick, rt_load32_rlx(&pp->schedtick) + 1);
	return instead;
}

/* ---- Going on ---------------------------------------------------------------------------------
 * */

/* The lock is held, gp is off its queue. */
rt_m *rt_stand_assign_locked(rt_p *pp, rt_g *gp)
{
	rt_m *mp = gp->m;

	rt_lockrank_assert_held(RT_RANK_sched, &gp->rt->sched.lock);
	RT_ASSERT(mp->standing != RT_STANDS_NOT && mp->p == NULL && mp->curg == gp);
	RT_ASSERT(!mp->seeded);
	rt_store32_rlx(&pp->preempt, 0);
	rt_fence_full(); /* pairs with the fence in rt_preemptall, as in findrunnable */
	rt_acquirep(mp, pp);
	rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_RUNNING);
	rt_count64_owner(&pp->switches, 1);
	rt_runs(pp, gp);
	RT_TRACE(mp, SCHED, GO_START, gp, rt_g_runs(gp), 0, 0);
	rt_store32_rlx(&pp->schedtick, rt_load32_rlx(&pp->schedtick) + 1); /* after the event, as in rt_g0_next */
	/* The world may have begun to stop meanwhile: then the flag is up again, or this sees it.
	 * */
	if (rt_load32_rlx(&mp->rt->sched.gcwaiting))
		rt_store32_rlx(&pp->preempt, 1);
	return mp;
}

/* Its thread goes on; mp is its own again. */
void rt_stand_resume(rt_m *mp)
{
	int how = mp->standing;

	rt_gc_before_run(mp->rt, mp->curg);
	mp->standing = RT_STANDS_NOT;
	if (how == RT_STANDS_STOPPED) {
		mp->locks = 0;
		(void)be_preempt_resume(&mp->pre);
	} else {
		rt_note_wakeup(&mp->park);
	}
}

void rt_stand_start(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_p *pp = rt_releasep(mp);
	rt_m *to;

	rt_lock(&sc->lock, RT_RANK_sched);
	to = rt_stand_assign_locked(pp, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_stand_resume(to);
	(void)rt_stopm(mp); /* the loop looks whether it is to leave */
}

/* The stopper of the world does not wait for mp any more. */
static void uncount_locked(rt_m *mp)
{
	if (!mp->stwcounted)
		return;
	mp->stwcounted = false;
	if (--mp->rt->sched.stopwait == 0)
		rt_note_wakeup(&mp->rt->sched.stopnote);
}

/* The goroutine of mp, without a P, is queued where it stands. */
static void stand_locked(rt_m *mp, int how)
{
	rt_g *gp = mp->curg;

	mp->standing = (uint8_t)how;
	gp->m = mp;
	rt_store32_rlx(&mp->taken, RT_TAKEN_NOT);
	rt_globq_put_locked(mp->rt, gp);
	uncount_locked(mp);
}

/* ---- Stopping: on the stopped thread, or by who stopped it ------------------------------------
 * */

/* On the goroutine's stack, from its top. */
static void landed(void *arg)
{
	rt_m *mp = arg;
	rt_g *gp = mp->curg;

	if (mp->p == NULL)
		rt_mcall_dying(mp, rt_landed0);
	gp->rt->up.goroutine_drop(gp);
	rt_mcall_dying(mp, rt_goexit0);
}

static void land_in(rt_m *mp, rt_g *gp)
{
	mp->pre.land = landed;
	mp->pre.land_arg = mp;
	mp->pre.land_top = rt_landing_top(gp);
}

/* The world stops: the P stays with the thread, and both go on together. */
static int stop_for_world_locked(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	rt_store32_rlx(&mp->p->status, RT_P_GCSTOP);
	mp->standing = RT_STANDS_STOPPED;
	if (--sc->stopwait == 0)
		rt_note_wakeup(&sc->stopnote);
	return BE_PREEMPT_STAY;
}

/* The P of mp goes to `spare`, which takes its next from all the queues, or to a goroutine that
 * stands. */
static int give_up_locked(rt_m *mp, rt_m **spare, rt_m **stands)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	rt_g *gp = mp->curg, *next = NULL;
	rt_p *pp = mp->p;
	/* Nothing else waits: no need for a scheduler in between. */
	bool straight = rt_load32_rlx(&sc->nstopped) > 0 &&
	                rt_load32_rlx(&sc->nstopped) == rt_load32_rlx(&sc->runqsize) &&
	                rt_runq_empty(pp) && rt_load64_rlx(&pp->timers.next) == INT64_MAX;

	*spare = straight ? NULL : rt_midle_get_locked(sc);
	if (*spare == NULL && !straight && sc->nmake + sc->nmaking == 0)
		rt_maker_ask_locked(rt, false); /* the next time there is one */
	/* A thread on its way will let timers and the woken come first. It may never come: the
	 * maker may wait for a lock that a stopped goroutine holds. */
	if (*spare == NULL && !straight && sc->nmake + sc->nmaking > 0 && pp->declined++ < DECLINES)
		return BE_PREEMPT_GO;
	if (*spare == NULL)
		next = rt_stopped_get_locked(rt);
	if (*spare == NULL && next == NULL)
		return BE_PREEMPT_GO;
	rt_count64_owner(&pp->preempted, 1);
	RT_TRACE(mp, SCHED, GO_YIELD, gp, 1, 0, 0);
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	(void)rt_releasep(mp);
	if (*spare != NULL) {
		(*spare)->nextp = pp;
		(*spare)->spinning = false;
	} else {
		*stands = rt_stand_assign_locked(pp, next);
	}
	stand_locked(mp, RT_STANDS_STOPPED);
	return BE_PREEMPT_STAY;
}

/* It slept without a P and computes now. */
static int stop_taken_locked(rt_m *mp)
{
	rt_g *gp = mp->curg;

	if (gp->dropped && !gp->attached) {
		if (!rt_droppable_code(mp->rt, mp->stoppc))
			return BE_PREEMPT_GO;
		rt_store32_rlx(&mp->taken, RT_TAKEN_NOT);
		mp->rt->sched.ntaken--;
		land_in(mp, gp);
		return BE_PREEMPT_LAND;
	}
	if (rt_load32_rlx(&mp->rt->sched.dropping))
		return BE_PREEMPT_GO; /* cannot wait here; sysmon asks again */
	mp->rt->sched.ntaken--;
	RT_TRACE(mp, SCHED, SYSCALL_END, gp, 1, 0, 0);
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_SYSCALL, RT_G_RUNNABLE);
	stand_locked(mp, RT_STANDS_STOPPED);
	return BE_PREEMPT_STAY;
}

static int stop(rt_m *mp)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	rt_m *spare = NULL, *stands = NULL;
	bool published = false;
	int r = BE_PREEMPT_GO;

	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&mp->taken) == RT_TAKEN) {
		r = stop_taken_locked(mp);
		published = r == BE_PREEMPT_STAY;
	} else if (mp->host && rt_load32_acq(&rt->runstate) == RT_RUN_ENDING &&
	           rt_droppable_code(rt, mp->stoppc)) {
		/* Its thread is wanted by the end of the run; from foreign code it comes by itself.
		 * */
		land_in(mp, mp->curg);
		r = BE_PREEMPT_LAND;
	} else if (rt_load32_rlx(&sc->gcwaiting)) {
		r = stop_for_world_locked(mp);
	} else if (rt_load32_rlx(&mp->p->preempt) && rt_turn_is_over(mp->p)) {
		r = give_up_locked(mp, &spare, &stands);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (spare != NULL)
		rt_note_wakeup(&spare->park);
	if (stands != NULL)
		rt_stand_resume(stands);
	if (published)
		rt_wakep(rt);
	return r;
}

static int decide(be_preempt *t, const be_preempt_at *at)
{
	rt_m *mp = RT_CONTAINER_OF(t, rt_m, pre);
	int r;

	if (mp->locks != 0)
		return BE_PREEMPT_GO;
	mp->locks = 1;
	mp->stoppc = at->pc;
	mp->stopat = *at;
	r = stop(mp);
	if (r == BE_PREEMPT_GO)
		mp->locks = 0;
	return r;
}

/* ---- Asking -----------------------------------------------------------------------------------
 * */

int rt_preempt_acquire(void)
{
	return be_preempt_init(decide);
}

void rt_preempt_release(void)
{
	be_preempt_fini();
}

void rt_preempt_attach(rt_m *mp)
{
	if (mp->rt->sched.inplace)
		(void)be_preempt_attach(&mp->pre); /* refused: this one is asked by the flag only */
}

void rt_preempt_detach(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	if (!sc->inplace)
		return;
	rt_lock(&sc->preemptlock, RT_RANK_preempt);
	be_preempt_detach(&mp->pre);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
}

void rt_kick(gort_runtime *rt, rt_m *mp)
{
	rt_lockrank_assert_held(RT_RANK_preempt, &rt->sched.preemptlock);
	(void)be_preempt_stop(&mp->pre); /* gone or not attached: there is nobody to be stopped */
}

/* What lives without a P, too, while the world stops. */
static void kick_taken(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp;

	rt_lock(&sc->lock, RT_RANK_sched);
	mp = sc->ntaken > 0 ? sc->allm : NULL;
	rt_unlock(&sc->lock, RT_RANK_sched);
	/* An M leaves allm only with preemptlock; new ones come at the head. */
	for (; mp != NULL; mp = mp->alllink)
		if (rt_load32_rlx(&mp->taken) == RT_TAKEN)
			rt_kick(rt, mp);
}

void rt_kick_all(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *self = rt_self();

	if (!sc->inplace)
		return;
	rt_lock(&sc->preemptlock, RT_RANK_preempt);
	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		rt_m *mp = rt_loadptr_acq(&sc->allp[i]->m);

		if (mp != NULL && mp != self && rt_load32_acq(&sc->allp[i]->status) == RT_P_RUNNING)
			rt_kick(rt, mp);
	}
	kick_taken(rt);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
}

/* ---- Taking the P of a thread that sleeps -----------------------------------------------------
 * */

/* sysmon, with the lock; pp was RUNNING and its M used no CPU time. True: pp is IDLE and the
 * caller's. */
bool rt_stand_take_locked(gort_runtime *rt, rt_p *pp)
{
	rt_m *mp = rt_loadptr_rlx(&pp->m);

	/* Who stops the world has counted those without a P, and stops this one itself. */
	if (mp == NULL || rt_load32_rlx(&pp->status) != RT_P_RUNNING || rt_load32_rlx(&rt->sched.gcwaiting))
		return false;
	rt_store32_rlx(&mp->taken, RT_TAKEN_PROBE);
	/* The second fence: it may have left the runtime since the first. What it read and wrote there is done
	 * only after another one. It does not come in again: it would see the probe. */
	if (!be_preempt_fence(&mp->pre) || mp->locks != 0 || mp->p != pp || mp->curg == NULL ||
	    !be_preempt_fence(&mp->pre)) {
		/* Inside, or on its way in: if it saw the probe it waits for the lock, and then
		 * sees this. */
		rt_store32_rlx(&mp->taken, RT_TAKEN_NOT);
		return false;
	}
	rt_store32_rlx(&mp->taken, RT_TAKEN);
	mp->takencpu = be_preempt_cputime(&mp->pre);
	mp->takenwhen = be_nanotime();
	rt->sched.ntaken++;
	/* To a trace it is in a system call from now on. Written for mp, into its ring and with its stamps: mp writes
	 * nothing itself before it has had this lock (take_back, stop), and what it wrote is done: the second fence. */
	RT_TRACE(mp, SCHED, SYSCALL_BEGIN, mp->curg, 0, 0, 0);
	(void)rt_releasep(mp);
	rt_gstatus_set(mp->curg, RT_G_RUNNING, RT_G_SYSCALL);
	return true;
}

/* In the runtime, with locks above 0 and without a P, because sysmon took it: queues for one. */
static void take_back(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_g *gp = mp->curg;

	rt_lock_comer(mp->rt);
	if (rt_load32_rlx(&mp->taken) != RT_TAKEN) { /* only a probe */
		rt_unlock(&sc->lock, RT_RANK_sched);
		return;
	}
	sc->ntaken--;
	if (gp->dropped && !gp->attached) {
		rt_store32_rlx(&mp->taken, RT_TAKEN_NOT);
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_mcall_dying(mp, rt_landed0);
	}
	RT_TRACE(mp, SCHED, SYSCALL_END, gp, 1, 0, 0);
	rt_runnable(gp);
	rt_regs_keep(mp, __builtin_frame_address(0));
	rt_gstatus_set(gp, RT_G_SYSCALL, RT_G_RUNNABLE);
	stand_locked(mp, RT_STANDS_ENTERING);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_wakep(mp->rt);
	rt_note_sleep(&mp->park);
	rt_note_clear(&mp->park);
	if (mp->p == NULL) /* dropped where it stood */
		rt_mcall_dying(mp, rt_landed0);
}

void rt_enter_slow(rt_m *mp, const char *function)
{
	if (rt_load32_rlx(&mp->taken) == RT_TAKEN_NOT && mp->p == NULL)
		rt_outside(function);
	if (rt_load32_rlx(&mp->taken) != RT_TAKEN_NOT)
		take_back(mp);
}

/* ---- The end of a run -------------------------------------------------------------------------
 * */

/* World stopped: pp goes away; what stands with it goes on standing without. */
void rt_stopped_unp_locked(gort_runtime *rt, rt_p *pp)
{
	rt_m *mp = rt_loadptr_rlx(&pp->m);

	if (mp == NULL || mp->standing == RT_STANDS_NOT)
		return;
	RT_TRACE(mp, SCHED, GO_YIELD, mp->curg, 1, 0, 0);
	mp->p = NULL;
	rt_storeptr_rlx(&pp->m, NULL);
	rt_gstatus_set(mp->curg, RT_G_RUNNING, RT_G_RUNNABLE);
	mp->curg->m = mp;
	rt_globq_put_locked(rt, mp->curg);
}

/* gp stands, without a P and off every queue, and its run ends. In goroutine code it ends at once,
 * on its way out; in foreign code it goes on without a P until it comes back. */
static void let_go_locked(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;
	bool out = mp->standing == RT_STANDS_ENTERING || rt_droppable_code(mp->rt, mp->stoppc);
	int how = mp->standing;

	gp->dropped = out ? RT_DROPPED_LANDING : RT_DROPPED;
	rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_SYSCALL);
	rt_store32_rlx(&sc->ndropped, rt_load32_rlx(&sc->ndropped) + 1);
	mp->standing = RT_STANDS_NOT;
	if (out)
		rt_store32_rlx(&sc->nlanding, rt_load32_rlx(&sc->nlanding) + 1);
	if (how == RT_STANDS_ENTERING) {
		rt_note_wakeup(&mp->park);
		return;
	}
	if (out) {
		land_in(mp, gp);
	} else {
		rt_store32_rlx(&mp->taken, RT_TAKEN);
		mp->takenwhen = 0; /* sysmon looks where it is */
		sc->ntaken++;
		mp->locks = 0;
	}
	(void)be_preempt_resume(&mp->pre);
}

/* World stopped; gp is no attached thread. */
void rt_stand_drop(gort_runtime *rt, rt_g *gp)
{
	rt_m *mp = gp->m;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	if (mp->p != NULL) { /* stopped with its P for the world */
		RT_TRACE(mp, SCHED, SYSCALL_BEGIN, gp, 0, 0, 0); /* outside, until its GO_END: see let_go_locked */
		rt_storeptr_rlx(&mp->p->m, NULL);
		mp->p = NULL;
		rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	}
	let_go_locked(mp, gp);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

/* The host's M may stand in main, or sleep there without a P. */
void rt_host_free_locked(gort_runtime *rt)
{
	rt_m *mp = rt->host;
	rt_g *gp;

	/* Its curg is ours to read only while it stands or sleeps without a P. */
	if (mp == NULL || (rt_load32_rlx(&mp->taken) != RT_TAKEN && mp->standing == RT_STANDS_NOT))
		return;
	gp = mp->curg;
	if (gp->dropped)
		return;
	if (rt_load32_rlx(&mp->taken) == RT_TAKEN) {
		gp->dropped = RT_DROPPED;
		rt_store32_rlx(&rt->sched.ndropped, rt_load32_rlx(&rt->sched.ndropped) + 1);
		mp->takenwhen = 0;
		uncount_locked(mp); /* it will not stand: who stops the world just now would wait for ever */
	} else if (mp->p == NULL) {
		rt_stopped_remove_locked(rt, gp);
		let_go_locked(mp, gp);
	} else {
		return;
	}
	rt_add64_full(&rt->sched.ended, 1);
	rt->up.goroutine_drop(gp);
}

/* Its last one wakes who waits for that. The runtime may be freed as soon as the lock is released. */
static void one_less_locked(rt_atomic32 *n)
{
	rt_store32_rel(n, rt_load32_rlx(n) - 1);
	if (rt_load32_rlx(n) == 0)
		be_thread_wake(n, 1);
}

/* On g0, without a P: gp has come back after its run. */
void rt_landed0(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;
	bool awaited = gp->dropped == RT_DROPPED_LANDING, wired = rt_g_has_more(gp) && gp->lockcount > 0;

	rt_lock(&sc->lock, RT_RANK_sched);
	RT_TRACE(mp, SCHED, GO_END, gp, 0, 0, 0);
	rt_gstatus_set(gp, RT_G_SYSCALL, RT_G_DEAD);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_switch_unmake(mp->rt, NULL, gp);
	if (rt_loadptr_rlx(&mp->lockedg) == gp)
		rt_storeptr_rlx(&mp->lockedg, NULL);
	rt_g_free(mp->rt, NULL, gp);
	if (wired && !mp->host) /* see rt_goexit0 */
		rt_store32_rlx(&mp->exiting, 1);
	rt_lock(&sc->lock, RT_RANK_sched);
	one_less_locked(&sc->ndropped);
	if (awaited)
		one_less_locked(&sc->nlanding);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* Those that were dropped in goroutine code or inside the runtime are gone when this returns. */
void rt_landed_wait(gort_runtime *rt)
{
	uint32_t n;

	while ((n = rt_load32_acq(&rt->sched.nlanding)) != 0)
		(void)be_thread_park(&rt->sched.nlanding, n, -1);
}

/* Waits at most ns for the others that were dropped. True: all are gone. */
bool rt_dropped_wait(gort_runtime *rt, int64_t ns)
{
	rt_atomic32 *word = &rt->sched.ndropped;
	int64_t end = be_nanotime() + ns, left;
	uint32_t n;

	while ((n = rt_load32_acq(word)) != 0 && (left = end - be_nanotime()) > 0)
		(void)be_thread_park(word, n, left);
	return n == 0;
}
