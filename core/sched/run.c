/* run.c: one run of a program: begin, end, and what is left behind.
 *
 * A run ends once: by main's return, gort_runtime_stop, an unrecovered panic, a fatal error, a
 * deadlock, or the end of memory. Whoever wins the claim writes the code and the text and calls the
 * host's M (the thread inside gort_runtime_run) out of its loop. That M, without a P, stops the
 * world, so that every other worker has come to a cooperative point; drops all goroutines where
 * they stand; and starts the world again for what comes from outside (gort_runtime_go) later.
 *
 * A goroutine in a system call cannot be dropped: it is marked and ends when it comes back. An
 * attached thread is not ours to end: it is woken, and never blocks again until it detaches.
 */
#include "core/sched/seeded.h"

bool rt_run_claim(gort_runtime *rt, int code)
{
	if (!rt_cas32_full(&rt->runstate, RT_RUN_ACTIVE, RT_RUN_CLAIMED))
		return false;
	rt->runcode = code;
	return true;
}

void rt_run_wake_locked(gort_runtime *rt)
{
	rt_store32_rel(&rt->runstate, RT_RUN_ENDING);
	if (rt->host != NULL)
		rt_m_unidle_locked(rt->host);
	rt_host_free_locked(rt);
	rt_preemptall(rt);
	be_netpoll_break(&rt->sched.poll); /* the host may be the one that waits there */
}

void rt_run_wake(gort_runtime *rt)
{
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt_run_wake_locked(rt);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_kick_all(rt);
}

/* An M is about to sleep: can anything still happen? Threads in system calls, attached threads
 * that run and who starts the world from outside count as awake. */
void rt_checkdead_locked(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	uint32_t asleep;

	rt_lockrank_assert_held(RT_RANK_sched, &sc->lock);
	asleep = rt_load32_rlx(&sc->nmidle) + sc->nmidlelocked;
	RT_ASSERT(sc->mcount >= asleep);
	if (sc->mcount == asleep + 1)
		rt_poll_look(rt);
	if (sc->mcount > asleep || sc->nmake + sc->nmaking > 0)
		return;
	if (rt_load32_rlx(&sc->gcwaiting) || sc->starting || (rt->cfg.flags & GORT_LIBRARY) ||
	    rt_load32_rlx(&rt->runstate) != RT_RUN_ACTIVE)
		return;
	if (rt_load32_rlx(&sc->runqsize) > 0 || rt_timers_next(rt) != INT64_MAX ||
	    rt_load32_rlx(&sc->pollwaiters) > 0)
		return;
	if (rt_run_claim(rt, GORT_EDEADLOCK)) {
		rt->deadlock = 1;
		rt_run_wake_locked(rt);
	}
}

/* ---- Failures ------------------------------------------------------------------------------- */

void rt_error_set(gort_runtime *rt, const char *text)
{
	rt_text_clear(&rt->error);
	rt_text_add(&rt->error, text); /* even "": a handler that fails finds room there */
}

bool rt_run_out_of_memory(gort_runtime *rt, const char *text)
{
	if (!rt_run_claim(rt, GORT_ENOMEM))
		return rt_load32_rlx(&rt->runstate) != RT_RUN_NONE; /* it ends already */
	rt_error_set(rt, text);
	rt_run_wake(rt);
	return true;
}

/* On g0: gp, whose message is mp->commitarg, has failed. Outside a run only this goroutine ends: a
 * library does not kill its host. */
static void failed(rt_m *mp, rt_g *gp, int code)
{
	gort_runtime *rt = mp->rt;
	const char *text = mp->commitarg;
	bool ours = rt_run_claim(rt, code);

	if (ours) {
		rt_error_set(rt, text);
		rt_failure_begin(rt, gp, code != GORT_EPANIC);
		rt_g_walk(gp, &rt->failure.trace);
	}
	if (gp->attached || (!ours && rt_load32_rlx(&rt->runstate) == RT_RUN_NONE))
		rt_failure_print(rt, gp, text);
	if (ours)
		rt_run_wake(rt);
	if (gp->attached)
		rt_misuse("gort", "a program failed on an attached thread");
	rt->up.goroutine_drop(gp);
	rt_goexit0(mp, gp);
}

static void panicked0(rt_m *mp, rt_g *gp)
{
	failed(mp, gp, GORT_EPANIC);
}

static void fatal0(rt_m *mp, rt_g *gp)
{
	failed(mp, gp, GORT_EFATAL);
}

static void nomem0(rt_m *mp, rt_g *gp)
{
	failed(mp, gp, GORT_ENOMEM);
}

_Noreturn void rt_run_fail(int code, const char *text)
{
	rt_m *mp = rt_self();

	mp->commitarg = (void *)(uintptr_t)text;
	rt_mcall_dying(mp, code == GORT_EPANIC   ? panicked0
	                   : code == GORT_EFATAL ? fatal0
	                                         : nomem0);
}

_Noreturn void rt_fatal(const char *text)
{
	char line[512];

	rt_format(line, sizeof line, "fatal error: %s\n", text);
	rt_run_fail(GORT_EFATAL, line);
}

/* ---- Begin and end -------------------------------------------------------------------------- */

static rt_g *make_main(gort_runtime *rt, rt_m *mp, gort_func fn, void *arg)
{
	rt_g *gp = rt_g_new(rt, NULL);

	if (gp == NULL)
		return NULL;
	gp->fn = fn;
	gp->arg = arg;
	gp->ismain = 1;
	gp->goid = gp->phase = 1;
	gp->parent = 0;
	gp->creator = NULL;
	gp->lockedm = mp; /* until it has started: see rt_goroutine_entry */
	rt_storeptr_rlx(&mp->lockedg, gp);
	rt_add64_full(&rt->sched.created, 1);
	return gp;
}

static void begin(gort_runtime *rt, rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &rt->sched;
	rt_p *pp;

	rt_store32_rlx(&rt->mainexited, 0);
	rt->deadlock = 0;
	rt->failure.there = rt->failure.fatal = false;
	rt->nfailed = 0;
	rt_store64_rlx(&sc->coarse, (uint64_t)rt_now(rt));
	rt_error_set(rt, "");
	rt_lock(&sc->lock, RT_RANK_sched);
	rt->host = mp;
	rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
	rt_store32_rel(&rt->runstate, RT_RUN_ACTIVE);
	RT_TRACE(mp, SCHED, GO_CREATE, gp, 1, (uintptr_t)gp->fn, 0);
	pp = rt_load32_rlx(&sc->gcwaiting) ? NULL : rt_pidle_get_locked(rt);
	if (pp == NULL)
		rt_globq_put_locked(rt, gp);
	if (rt->seeded != NULL)
		rt_seeded_begin_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (pp != NULL) {
		rt_acquirep(mp, pp);
		mp->nextg = gp;
	} else {
		rt_wakep(rt);
	}
}

/* Takes gp out of whatever it waits on. */
static void unwait(rt_g *gp)
{
	rt_waiter *w = gp->waiting;

	if (w == NULL)
		return;
	if (w->armed)
		rt_timer_disarm(&w->timer);
	if (w->unlink != NULL)
		w->unlink(w);
	rt_claim_reset(gp);
	gp->waiting = NULL;
}

/* The thread that waits for gp, to which it is wired, ends: its state may be altered. */
static void unwire(gort_runtime *rt, rt_g *gp)
{
	rt_m *mp = gp->lockedm;

	if (mp == NULL)
		return;
	gp->lockedm = NULL;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt_storeptr_rlx(&mp->lockedg, NULL);
	if (!mp->host) {
		rt_store32_rel(&mp->exiting, 1);
		rt_m_unidle_locked(mp);
	}
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

static void release_attached(gort_runtime *rt, rt_g *gp)
{
	unwait(gp);
	if (rt_load32_rlx(&gp->status) == RT_G_WAITING) {
		if (rt_traced(rt, GORT_TRACE_SCHED))
			rt_trace_emit_stopped(rt, GORT_EV_GO_UNBLOCK, gp, gp->goid, 0);
		rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
	}
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	gp->dropped = 1; /* it may be on its way back from the system, and reads this under the lock */
	if (rt_load32_rlx(&gp->status) == RT_G_RUNNABLE)
		rt_globq_put_locked(rt, gp);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

static void drop(gort_runtime *rt, rt_g *gp)
{
	uint32_t status = rt_load32_rlx(&gp->status);

	if (status == RT_G_DEAD)
		return;
	if (gp->attached) {
		release_attached(rt, gp);
		return;
	}
	if (gp->dropped) /* of an earlier run, still in its system call */
		return;
	if (!gp->system) /* those are not counted */
		rt_add64_full(&rt->sched.ended, 1);
	rt->up.goroutine_drop(gp);
	if (status == RT_G_SYSCALL) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		gp->dropped = 1;
		rt_store32_rlx(&rt->sched.ndropped, rt_load32_rlx(&rt->sched.ndropped) + 1);
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
		return;
	}
	if (gp->m != NULL) {
		rt_stand_drop(rt, gp);
		return;
	}
	RT_ASSERT(status == RT_G_RUNNABLE || status == RT_G_WAITING);
	unwait(gp);
	unwire(rt, gp);
	if (rt_traced(rt, GORT_TRACE_SCHED))
		rt_trace_emit_stopped(rt, GORT_EV_GO_END, gp, 0, 0);
	rt_gstatus_set(gp, status, RT_G_DEAD);
	rt_switch_unmake(rt, NULL, gp);
	rt_g_free(rt, NULL, gp);
}

/* What is dropped is off every queue and stays as it is. So while that goes on nobody starts a goroutine from
 * outside, nobody attaches, and what was without a P in the system or in foreign code does not come back: they
 * wait, and afterwards find that they were dropped. Holds no lock and no P. */
void rt_lock_comer(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	while (RT_UNLIKELY(rt_load32_rlx(&sc->dropping))) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		(void)be_thread_park(&sc->dropping, 1, -1);
		rt_lock(&sc->lock, RT_RANK_sched);
	}
}

static void dropping(gort_runtime *rt, uint32_t now)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	rt_store32_rel(&sc->dropping, now);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (!now)
		be_thread_wake(&sc->dropping, INT32_MAX);
}

static void empty_queues(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	bool inherit;

	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		while (rt_runq_get(sc->allp[i], &inherit) != NULL)
			;
		(void)rt_yielded_take(sc->allp[i]);
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	sc->runq.head = sc->runq.tail = NULL;
	sc->stopped.head = sc->stopped.tail = NULL;
	rt_store32_rlx(&sc->nstopped, 0);
	rt_store32_rlx(&sc->runqsize, 0);
	if (rt->seeded != NULL)
		rt_seeded_forget_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* World stopped. Queues hold only goroutines that are dropped or put back. */
void rt_drop_all(gort_runtime *rt)
{
	rt_g *gp, *next;

	rt_store32_rel(&rt->runs, rt_load32_rlx(&rt->runs) + 1);
	rt->up.gc_drop(rt); /* first: nothing marks any more, and no store needs a barrier */
	dropping(rt, 1);
	empty_queues(rt);
	rt_seats_drop(rt);
	rt_lock(&rt->sched.allglock, RT_RANK_allg);
	gp = rt->sched.allg;
	rt_unlock(&rt->sched.allglock, RT_RANK_allg);
	/* What they wait on may lie in frames of others: nobody's stack goes before all are out of it. */
	for (next = gp; next != NULL; next = next->alllink) {
		uint32_t status = rt_load32_rlx(&next->status);

		if (status == RT_G_WAITING || status == RT_G_RUNNABLE) /* out of time, and not out of its list yet */
			unwait(next);
	}
	for (; gp != NULL; gp = next) {
		next = gp->alllink;
		drop(rt, gp);
	}
	dropping(rt, 0);
	rt_landed_wait(rt);
	rt_timers_drop(rt);
	if (rt_load32_acq(&rt->sched.ndropped) == 0) /* else at the end of the next run */
		rt->up.run_dropped(rt, false);
}

static void deadlock_text(gort_runtime *rt)
{
	rt_error_set(rt, rt_load32_rlx(&rt->mainexited) && rt_g_count(rt) == 0
	                         ? "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n"
	                         : "fatal error: all goroutines are asleep - deadlock!\n");
}

static void finish(gort_runtime *rt, rt_m *mp)
{
	rt_sched *sc = &rt->sched;
	rt_p *given;

	mp->nextg = NULL; /* it is in allg */
	/* Main may be wired to this M, and may have been handed to it with a P after it left its
	 * loop. */
	rt_lock(&sc->lock, RT_RANK_sched);
	given = mp->nextp;
	mp->nextp = NULL;
	rt_storeptr_rlx(&mp->lockedg, NULL);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (given != NULL)
		rt_handoffp(rt, given);
	if (mp->spinning) {
		mp->spinning = false;
		rt_add32_full(&rt->sched.nmspinning, (uint32_t)-1);
	}
	if (mp->p != NULL)
		rt_handoffp(mp->rt, rt_releasep(mp));
	rt_stop_world(rt, RT_STW_END_OF_RUN);
	if (rt->deadlock)
		deadlock_text(rt);
	if (rt->error.n > 0) {
		rt->up.run_failed(rt);
		rt_failure_report(rt);
	}
	rt_drop_all(rt);
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt->host = NULL;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_start_world(rt);
	rt_store32_rel(&rt->runstate, RT_RUN_NONE);
}

/* The caller holds the right to run (rt->running). */
int rt_run_main(gort_runtime *rt, gort_func fn, void *arg)
{
	rt_m *mp = rt_m_new(rt);
	rt_g *gp;

	if (mp == NULL)
		return GORT_ENOMEM;
	mp->host = true;
	mp->tid = be_thread_id();
	gp = make_main(rt, mp, fn, arg);
	if (gp == NULL || rt_switch_init(mp) != 0) {
		if (gp != NULL) {
			rt_g_free(rt, NULL, gp);
			rt_add64_full(&rt->sched.ended, 1);
		}
		rt_m_gone(mp);
		return GORT_ENOMEM;
	}
	rt_self_set(mp);
	(void)be_fault_attach();
	rt_preempt_attach(mp);
	rt_fault_module(rt, fn);
	begin(rt, mp, gp);
	rt_switch_loop(mp);
	finish(rt, mp);
	rt_preempt_detach(mp);
	be_fault_detach();
	rt_switch_fini(mp);
	rt_self_set(NULL);
	rt_m_gone(mp);
	return rt->runcode;
}
