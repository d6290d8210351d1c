/* stw.c: stop the world.
 *
 * The stopper holds `stopworld`, raises gcwaiting under sched.lock, takes the idle Ps, and raises
 * every P's preempt flag. An M that comes to the scheduler with gcwaiting up gives up its P
 * (rt_gcstopm); the last one signals the stopper. Ps of goroutines in system calls have been handed
 * off already and are idle or run others, or are SYSCALL and taken by compare-and-swap. Goroutines
 * in user code are stopped in place if the build can (preempt.c): they are asked by the flag first,
 * since most come by themselves, and the stragglers by a signal, again and again: between the look at
 * a P and the signal its M may change. What runs without a P, because sysmon took it, is waited for,
 * too, and sysmon takes none meanwhile (tests/model/stwpreempt.pml). Any thread may stop the world: a
 * goroutine (its own P counts as stopped), or one without a P.
 *
 * The flag can be missed: an M may clear an old request (findrunnable) at the moment when we raise
 * ours. It clears first, fences and then reads gcwaiting, and we write gcwaiting, fence and raise
 * the flag: so it sees gcwaiting, or the flag stays up (tests/model/syscall.pml, where it asks only once). All
 * the same the stopper asks again every 100 us, as Go does.
 *
 * Backing out. A goroutine may be stopped in place while it holds a lock of foreign code, and another may wait for
 * that lock where no stop reaches it: musl's fork blocks all signals, then takes malloc's lock. Such a stop would
 * never end. So a stopper who has asked long enough, and finds that who is missing sleeps in the system, starts the
 * world again, lets it run and stops it anew, with more patience each time. Nothing else tells when that lock is free.
 * The world runs as long as the stopper had patience: so who holds the lock has half of the time, however much it
 * needs. (With a bound on the one, but not on the other, a slow machine gave it nearly nothing.)
 *
 * A team. Threads that gave up their P for a stop, and those that had none, come to rt_stopm to sleep. There, and
 * only there, they may be asked to work for the stopper: they hold no lock, no goroutine and no P, and count as busy
 * until they lie on the idle list again, which is before the world starts; so nobody takes them for asleep
 * (rt_checkdead_locked) or makes new threads in their place. Those whose goroutine was stopped in place do not come:
 * they stand in a signal handler, perhaps under a lock of foreign code. Those that come to rt_stopm while there is a
 * team join it, since the last thread to stop is still on its way there when the stop is done. Those that leave their
 * loop since the run ends do not.
 *
 * From outside. A stopper that is no M is in no count of threads. While it starts the world the Ps that it has still to
 * give away are nobody's, and an M that comes to lie down only then would be taken for the last one awake, though
 * goroutines wait on those Ps. So the stopper counts as awake until it is done (`starting`), and then looks itself.
 *
 * Rejected: not to wait for sleepers (the collector could not see their registers, and they wake at any moment).
 */
#include "core/sched/seeded.h"

#define STW_FIRST (20 * GORT_MICROSECOND)
#define STW_RETRY (100 * GORT_MICROSECOND)
#define STW_PATIENCE (2 * GORT_MILLISECOND)  /* doubled by each backing out */

void rt_preemptall(gort_runtime *rt)
{
	rt_fence_full(); /* pairs with the fence in findrunnable */
	for (int i = 0; i < rt_gomaxprocs(rt); i++)
		rt_store32_rlx(&rt->sched.allp[i]->preempt, 1);
}

/* The P of an M that saw gcwaiting goes to the stopper; the M sleeps until the world starts. */
void rt_gcstopm(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_p *pp;

	if (mp->spinning) {
		mp->spinning = false;
		rt_add32_full(&sc->nmspinning, (uint32_t)-1);
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	if (!rt_load32_rlx(&sc->gcwaiting)) { /* started again meanwhile */
		rt_unlock(&sc->lock, RT_RANK_sched);
		return;
	}
	if (mp->nextg != NULL) {
		if (!rt_seeded_resume_locked(mp->rt, mp->nextg))
			rt_globq_put_locked(mp->rt, mp->nextg);
		mp->nextg = NULL;
	}
	pp = rt_releasep(mp);
	rt_store32_rlx(&pp->status, RT_P_GCSTOP);
	if (--sc->stopwait == 0)
		rt_note_wakeup(&sc->stopnote);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_stopm(mp);
}

/* pp has just become SYSCALL, and the world stops. */
void rt_syscall_gcstop(gort_runtime *rt, rt_p *pp)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&sc->gcwaiting) && rt_cas32_full(&pp->status, RT_P_SYSCALL, RT_P_GCSTOP) &&
	    --sc->stopwait == 0)
		rt_note_wakeup(&sc->stopnote);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* The lock is taken by trying when the caller holds a P: the holder waits for that very P. */
static void take_stopworld(gort_runtime *rt, rt_m *mp)
{
	if (mp == NULL || mp->p == NULL) {
		rt_lock(&rt->sched.stopworld, RT_RANK_stopworld);
		return;
	}
	while (!rt_trylock(&rt->sched.stopworld, RT_RANK_stopworld)) {
		rt_gosched();
		mp = rt_self();
	}
}

static rt_m *self_of(gort_runtime *rt)
{
	rt_m *mp = rt_self();

	return mp != NULL && mp->rt == rt ? mp : NULL;
}

/* Those without a P that are still part of the program. */
static void count_taken_locked(rt_sched *sc)
{
	for (rt_m *mp = sc->ntaken > 0 ? sc->allm : NULL; mp != NULL; mp = mp->alllink) {
		if (rt_load32_rlx(&mp->taken) != RT_TAKEN || (mp->curg->dropped && !mp->curg->attached))
			continue;
		mp->stwcounted = true;
		sc->stopwait++;
	}
}

/* The flags and signals of an attempt are out. True: all have stopped. */
static bool ask(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_p *pp;
	bool wait;
	rt_m *mp = self_of(rt);

	rt_lock(&sc->lock, RT_RANK_sched);
	sc->stopwait = (uint32_t)rt_gomaxprocs(rt);
	rt_note_clear(&sc->stopnote);
	rt_xchg32_full(&sc->gcwaiting, 1);
	rt_preemptall(rt);
	if (mp != NULL && mp->p != NULL) {
		rt_store32_rlx(&mp->p->status, RT_P_GCSTOP);
		sc->stopwait--;
	}
	while ((pp = rt_pidle_get_locked(rt)) != NULL) {
		rt_store32_rlx(&pp->status, RT_P_GCSTOP);
		sc->stopwait--;
	}
	for (int i = 0; i < rt_gomaxprocs(rt); i++)
		if (rt_cas32_full(&sc->allp[i]->status, RT_P_SYSCALL, RT_P_GCSTOP))
			sc->stopwait--;
	count_taken_locked(sc);
	wait = sc->stopwait > 0;
	rt_unlock(&sc->lock, RT_RANK_sched);
	return !wait || rt_note_sleep_for(&sc->stopnote, sc->inplace ? STW_FIRST : STW_RETRY);
}

/* With preemptlock nobody leaves the list; new ones come at its head. */
static rt_m *first_m(gort_runtime *rt)
{
	rt_m *mp;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	mp = rt->sched.allm;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return mp;
}

static bool is_counted(rt_m *mp)
{
	bool counted;

	rt_lock(&mp->rt->sched.lock, RT_RANK_sched);
	counted = mp->stwcounted;
	rt_unlock(&mp->rt->sched.lock, RT_RANK_sched);
	return counted;
}

/* Somebody who was asked sleeps in the system all the same. */
static bool is_stuck(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *self = rt_self(), *mp;
	bool stuck = false;

	if (!sc->inplace)
		return false; /* nobody holds a lock of foreign code where it stopped */
	rt_lock(&sc->preemptlock, RT_RANK_preempt);
	for (int i = 0; i < rt_gomaxprocs(rt) && !stuck; i++) {
		mp = rt_loadptr_acq(&sc->allp[i]->m);
		stuck = mp != NULL && mp != self && rt_load32_acq(&sc->allp[i]->status) == RT_P_RUNNING &&
		        be_preempt_sleeps(&mp->pre);
	}
	for (mp = first_m(rt); mp != NULL && !stuck; mp = mp->alllink)
		stuck = is_counted(mp) && be_preempt_sleeps(&mp->pre);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
	return stuck;
}

/* False: it will not stop as things are. */
static bool try_stop(gort_runtime *rt, int64_t patience)
{
	rt_sched *sc = &rt->sched;
	bool stopped = ask(rt);

	while (!stopped) {
		if (be_nanotime() - sc->stwbegin > patience && is_stuck(rt))
			return false;
		rt_preemptall(rt);
		rt_kick_all(rt);
		stopped = rt_note_sleep_for(&sc->stopnote, STW_RETRY);
	}
	return true;
}

static int64_t start(gort_runtime *rt);

/* With the world running and without the lock, for about ns. */
static void let_run(gort_runtime *rt, int64_t ns)
{
	int64_t end = be_nanotime() + ns;
	rt_m *mp = self_of(rt);

	if (mp == NULL || mp->p == NULL) {
		be_thread_nap(ns);
		return;
	}
	while (be_nanotime() < end)
		rt_gosched();
}

void rt_stop_world(gort_runtime *rt, rt_stwreason why)
{
	rt_sched *sc = &rt->sched;
	int64_t patience = STW_PATIENCE;
	rt_m *mp;

	/* Who gives up the P of a seeded runtime may come too late to take it again: then a thread is made. */
	if (RT_UNLIKELY(rt->seeded != NULL) && why != RT_STW_END_OF_RUN && self_of(rt) == NULL)
		while (rt_helpers_need(rt) != 0)
			be_thread_nap(GORT_MILLISECOND); /* a back-off: nothing tells when there can be one */
	for (;;) {
		take_stopworld(rt, self_of(rt));
		mp = self_of(rt);
		sc->stwbegin = be_nanotime();
		if (mp != NULL)
			RT_TRACE(mp, GC, STW_BEGIN, mp->curg, why, 0, 0);
		if (try_stop(rt, patience))
			break;
		sc->stwstopped = be_nanotime();
		rt_count64_owner(&sc->stwbackouts, 1);
		start(rt);
		rt_unlock(&sc->stopworld, RT_RANK_stopworld);
		let_run(rt, patience);
		patience *= 2;
	}
	sc->stwstopped = be_nanotime();
	sc->stwgc = why == RT_STW_GC_BEGIN || why == RT_STW_GC_END;
}

bool rt_look_enter(gort_runtime *rt, const char *function)
{
	rt_m *mp = rt_self();
	bool aside;

	if (mp != NULL && mp->curg != NULL && mp->p != NULL && mp->locks > 0)
		rt_misuse(function, "between gort_pin and gort_unpin");
	/* locks: not in a system call already. Its P may have been taken: it is a goroutine all the same. */
	aside = mp != NULL && mp->curg != NULL && mp->rt != rt && mp->locks == 0;
	if (aside)
		gort_entersyscall();
	(void)rt_hold();
	return aside;
}

void rt_look_leave(bool aside)
{
	rt_unhold(rt_self());
	if (aside)
		gort_exitsyscall();
}

void rt_unpinned(const rt_m *mp, const char *function)
{
	if (mp->locks != 1)
		rt_misuse(function, "between gort_pin and gort_unpin");
}

/* ---- A team ---------------------------------------------------------------------------------------- */

void rt_team_join_locked(rt_sched *sc)
{
	void (*fn)(void *arg) = sc->teamfn;
	void *arg = sc->teamarg;

	sc->teamwanted--;
	sc->teambusy++;
	rt_unlock(&sc->lock, RT_RANK_sched);
	fn(arg);
	rt_lock(&sc->lock, RT_RANK_sched);
	if (--sc->teambusy == 0 && sc->teamends)
		rt_note_wakeup(&sc->stopnote);
}

void rt_team_begin(gort_runtime *rt, uint32_t n, void (*fn)(void *arg), void *arg)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	sc->teamfn = fn;
	sc->teamarg = arg;
	sc->teamwanted = n;
	while (n-- > 0 && sc->midle != NULL)
		rt_m_unidle_locked(sc->midle);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

void rt_team_end(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	bool wait;

	rt_lock(&sc->lock, RT_RANK_sched);
	sc->teamwanted = 0;
	wait = sc->teamends = sc->teambusy > 0;
	rt_note_clear(&sc->stopnote);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (wait)
		rt_note_sleep(&sc->stopnote);
	sc->teamends = false; /* nobody is left to read it */
}

/* ---- Start ----------------------------------------------------------------------------------------- */

/* As if the caller had been preempted there and had started here, which is what a trace is told. */
static void move_to_first(gort_runtime *rt, rt_m *mp)
{
	rt_p *first = rt->sched.allp[0];

	RT_TRACE(mp, SCHED, GO_YIELD, mp->curg, 1, 0, 0);
	rt_storeptr_rlx(&mp->p->m, NULL);
	rt_stopped_unp_locked(rt, first);
	mp->p = first;
	rt_storeptr_rel(&first->m, mp);
	rt_count64_owner(&first->switches, 1);
	rt_runs(first, mp->curg);
	RT_TRACE(mp, SCHED, GO_START, mp->curg, rt_g_runs(mp->curg), 0, 0);
}

/* The caller's P goes on with it, unless GOMAXPROCS has fallen below it. */
static void caller_p(gort_runtime *rt, rt_m *mp)
{
	if (mp == NULL || mp->p == NULL)
		return;
	if (mp->p->id >= rt_gomaxprocs(rt))
		move_to_first(rt, mp);
	rt_store32_rlx(&mp->p->status, RT_P_RUNNING);
	rt_store32_rlx(&mp->p->preempt, mp->seeded || rt_turn_is_over(mp->p)); /* what sysmon asked for still holds */
}

static void forget_taken_locked(rt_sched *sc)
{
	for (rt_m *mp = sc->allm; mp != NULL; mp = mp->alllink)
		mp->stwcounted = false;
}

/* A thread that is no M has given all Ps away: from here on it does not count as awake. */
static void started(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	sc->starting = false;
	rt_checkdead_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* Also in the middle of a stop: Ps that have not stopped go on as they are. Who comes to stop looks at gcwaiting
 * under sched.lock. */
static int64_t start(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp = self_of(rt);
	int64_t goes_on;
	rt_p *busy = NULL;
	rt_m *stands = NULL;
	bool late;

	rt_lock(&sc->lock, RT_RANK_sched);
	caller_p(rt, mp);
	rt_xchg32_full(&sc->gcwaiting, 0);
	late = sc->nlate > 0; /* netpoll.c */
	sc->starting = mp == NULL;
	if (sc->stopwait > 0)
		forget_taken_locked(sc);
	sc->stopwait = 0;
	for (int i = rt_gomaxprocs(rt) - 1; i >= 0; i--) {
		rt_p *pp = sc->allp[i];

		if (mp != NULL && pp == mp->p)
			continue;
		rt_store32_rlx(&pp->preempt, rt->seeded != NULL || rt_turn_is_over(pp));
		if (rt_load32_rlx(&pp->status) != RT_P_GCSTOP)
			continue;
		if (rt_loadptr_rlx(&pp->m) != NULL) { /* its goroutine stands, and goes on */
			rt_m *on = rt_loadptr_rlx(&pp->m);

			rt_store32_rel(&pp->status, RT_P_RUNNING);
			on->schedlink = stands;
			stands = on;
		} else if (rt_runq_empty(pp)) {
			rt_pidle_put_locked(rt, pp);
		} else {
			rt_store32_rlx(&pp->status, RT_P_IDLE);
			pp->idlelink = busy;
			busy = pp;
		}
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (late)
		rt_poll_late(rt);
	goes_on = be_nanotime(); /* not when all have been woken: they may get our CPU */
	while (stands != NULL) {
		rt_m *on = stands;

		stands = on->schedlink;
		rt_stand_resume(on);
	}
	while (busy != NULL) {
		rt_p *pp = busy;

		busy = pp->idlelink;
		rt_startm(rt, pp, false);
	}
	/* Work may have come to the global queue; and somebody has to look whether all are asleep.
	 * */
	rt_wakep(rt);
	if (mp != NULL)
		RT_TRACE(mp, GC, STW_END, mp->curg, sc->stwstopped - sc->stwbegin,
		         goes_on - sc->stwstopped, 0);
	else
		started(rt);
	return goes_on;
}

int64_t rt_start_world(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	int64_t goes_on;

	RT_ASSERT(sc->stopwait == 0);
	goes_on = start(rt);
	rt_hist_add_owner(&sc->stopping[sc->stwgc], sc->stwstopped - sc->stwbegin);
	rt_hist_add_owner(&sc->stopped_for[sc->stwgc], goes_on - sc->stwstopped);
	rt_hist_add_owner(&sc->pauses[sc->stwgc], goes_on - sc->stwbegin);
	rt_unlock(&sc->stopworld, RT_RANK_stopworld);
	return goes_on;
}
