/* m.c: threads. An M without work sleeps on its note, on a LIFO list so that the one with the
 * warmest caches is taken first. Ms are never given back before the runtime ends, except those
 * whose wired goroutine ended. Such a thread joins those that ended before it: so few wait for that at a time, and
 * nobody waits for code that the host runs at the end of a thread. Rejected: joining by the maker, which is
 * needed meanwhile; detached threads, for whose end a program that unloads the library could not wait.
 *
 * Threads are made by one thread of each runtime, the maker. To make one takes locks of libc and of
 * the loader, and those may be held by a goroutine that was stopped in place and waits for a P: so
 * nobody who holds a P, a lock or the power to give Ps away makes threads or waits for the maker.
 * Who wants a thread leaves the P on the idle list, where everybody finds it and the new thread
 * takes it, and goes on. A thread that is to search for work is counted in nmspinning from then on,
 * so that nobody else asks. One that comes for some P serves any: of wishes there are not more than idle Ps,
 * however slow the maker is while Ps come and go.
 *
 * Threads are refused sometimes (EAGAIN): then the P stays idle and the work queued. An M that fell asleep meanwhile
 * gets them, or the maker tries again a moment later, for as long as work waits beside an idle P: those that run may
 * never come for it, as they are in the system or compute, and perhaps none runs.
 */
#include "core/sched/seeded.h"

#include <errno.h>
#include <string.h>

rt_m *rt_m_new(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp = rt_fixalloc_get(&sc->ms);

	if (mp == NULL)
		return NULL;
	memset(mp, 0, sizeof *mp);
	mp->rt = rt;
	mp->plain = rt->sched.plainmutex;
	mp->seeded = rt->seeded != NULL;
	mp->locks = 1;
	rt_lock(&sc->lock, RT_RANK_sched);
	mp->id = sc->nextmid++;
	mp->alllink = sc->allm;
	sc->allm = mp;
	sc->mcount++;
	rt_unlock(&sc->lock, RT_RANK_sched);
	return mp;
}

/* Takes mp out of allm and the count. */
static void unlink_locked(rt_m *mp)
{
	rt_m **at = &mp->rt->sched.allm;

	while (*at != mp)
		at = &(*at)->alllink;
	*at = mp->alllink;
	mp->rt->sched.mcount--;
}

/* The threads that have ended, for the caller to join. One is left that its maker may not have done with, and at the
 * runtime's end all are: who frees it joins them. */
static rt_m *ended_take_locked(rt_sched *sc)
{
	rt_m *ended = NULL, *mp, **at = &sc->freem;

	while (!sc->shutdown && (mp = *at) != NULL)
		if (mp->started) {
			*at = mp->alllink;
			mp->alllink = ended;
			ended = mp;
		} else {
			at = &mp->alllink;
		}
	return ended;
}

static void join(gort_runtime *rt, rt_m *ended)
{
	rt_m *next;

	for (; ended != NULL; ended = next) {
		next = ended->alllink;
		be_thread_join(&ended->thread);
		rt_fixalloc_put(&rt->sched.ms, ended);
	}
}

void rt_m_gone(rt_m *mp)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	bool ours = !mp->host && !mp->attached; /* a thread of ours */
	rt_m *ended = NULL;

	if (mp->ring != NULL)
		rt_tracering_put(&rt->trace, mp->ring);
	mp->ring = NULL;
	rt_lock(&sc->preemptlock, RT_RANK_preempt); /* who stops threads walks the list */
	rt_lock(&sc->lock, RT_RANK_sched);
	unlink_locked(mp);
	if (ours) {
		ended = ended_take_locked(sc);
		mp->alllink = sc->freem; /* its thread is still to be joined */
		sc->freem = mp;
	}
	rt_checkdead_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
	if (!ours)
		rt_fixalloc_put(&sc->ms, mp);
	join(rt, ended); /* rt stays: who frees it joins this thread, or one that does */
}

static void worker(void *arg)
{
	rt_m *mp = arg;

	rt_self_set(mp);
	mp->tid = be_thread_id();
	(void)be_thread_slack(1); /* ours alone: it may wait for a timer */
	if (rt_switch_init(mp) != 0)
		rt_throw("no scheduler context for a new thread");
	(void)be_fault_attach(); /* without one an overflow aborts instead of being named */
	rt_preempt_attach(mp);
	/* Not before: among many that compute it takes a thread long to get here, and more of them are of no use. */
	rt_lock(&mp->rt->sched.lock, RT_RANK_sched);
	mp->rt->sched.nmaking--;
	rt_unlock(&mp->rt->sched.lock, RT_RANK_sched);
	if (mp->spinning)
		rt_m_born_spinning(mp);
	rt_switch_loop(mp);
	if (mp->p != NULL)
		rt_handoffp(mp->rt, rt_releasep(mp));
	rt_preempt_detach(mp);
	be_fault_detach();
	rt_switch_fini(mp);
	rt_self_set(NULL);
	rt_m_gone(mp);
}

static void nmidle_add(rt_sched *sc, int d)
{
	rt_store32_rlx(&sc->nmidle, rt_load32_rlx(&sc->nmidle) + (uint32_t)d);
}

rt_m *rt_midle_get_locked(rt_sched *sc)
{
	rt_m **at = &sc->midle;
	rt_m *mp;

	while ((mp = *at) != NULL && rt_load32_rlx(&mp->exiting))
		at = &mp->schedlink;
	if (mp != NULL) {
		*at = mp->schedlink;
		mp->idle = false;
		nmidle_add(sc, -1);
	}
	return mp;
}

/* ---- The maker --------------------------------------------------------------------------------
 * */

/* spinning: the caller has counted the new M in nmspinning. */
void rt_maker_ask_locked(gort_runtime *rt, bool spinning)
{
	rt_sched *sc = &rt->sched;

	rt_lockrank_assert_held(RT_RANK_sched, &sc->lock);
	if (RT_UNLIKELY(!rt_load32_rlx(&sc->helpers))) { /* a seeded runtime that has needed no other thread yet */
		if (spinning)
			rt_add32_full(&sc->nmspinning, (uint32_t)-1);
		return;
	}
	/* One that only comes to be there can search as well. */
	if (!spinning || sc->nmake == sc->nmakespinning)
		sc->nmake++;
	if (spinning)
		sc->nmakespinning++;
	if (rt_xchg32_full(&sc->makerword, 1) == 0)
		be_thread_wake(&sc->makerword, 1);
}

/* A thread that was to come for what waits will not. An idle P that is not on the list is in the hands of somebody who
 * finds a thread for it. */
static void instead_locked(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	bool timers = rt_timers_next(rt) != INT64_MAX && !rt_load32_rlx(&sc->polling);
	rt_m *mp;

	if (sc->pidle == NULL || !(timers || rt_anywork(rt)))
		return;
	mp = rt_midle_get_locked(sc);
	if (mp == NULL) {
		rt_add32_full(&sc->nmspinning, 1); /* one that only comes to be there looks for no timers */
		rt_maker_ask_locked(rt, true);
		return;
	}
	mp->nextp = rt_pidle_get_locked(rt);
	mp->spinning = false;
	rt_note_wakeup(&mp->park);
}

/* No thread: its place in the search is given up. The M that waits for timers is asked to look
 * instead. */
static void not_made(gort_runtime *rt, bool spinning)
{
	rt_sched *sc = &rt->sched;

	if (spinning)
		rt_add32_full(&sc->nmspinning, (uint32_t)-1);
	rt_lock(&sc->lock, RT_RANK_sched);
	sc->nmaking--;
	rt_stand_no_thread_locked(sc);
	if (sc->nmake == 0)
		instead_locked(rt);
	rt_checkdead_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	be_netpoll_break(&sc->poll);
}

/* False: refused. */
static bool make(gort_runtime *rt, bool spinning)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp = rt_m_new(rt);

	if (mp == NULL) {
		not_made(rt, spinning);
		return false;
	}
	mp->spinning = spinning;
	if (!rt_fail_now(&rt->debug, "thread") && be_thread_start(&mp->thread, worker, mp, 0) == 0) {
		rt_lock(&sc->lock, RT_RANK_sched);
		mp->started = true;
		rt_unlock(&sc->lock, RT_RANK_sched);
		return true;
	}
	rt_lock(&sc->preemptlock, RT_RANK_preempt);
	rt_lock(&sc->lock, RT_RANK_sched);
	unlink_locked(mp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
	rt_fixalloc_put(&sc->ms, mp);
	not_made(rt, spinning);
	return false;
}

/* True: there is one to be made. */
static bool next_wish(gort_runtime *rt, bool *spinning)
{
	rt_sched *sc = &rt->sched;
	bool any;

	rt_lock(&sc->lock, RT_RANK_sched);
	any = sc->nmake > 0;
	*spinning = sc->nmakespinning > 0;
	sc->nmake -= any;
	sc->nmaking += any;
	sc->nmakespinning -= *spinning;
	rt_unlock(&sc->lock, RT_RANK_sched);
	return any;
}

static void maker(void *arg)
{
	gort_runtime *rt = arg;
	rt_sched *sc = &rt->sched;
	bool spinning;

	for (;;) {
		while (rt_xchg32_full(&sc->makerword, 0) == 0)
			(void)be_thread_park(&sc->makerword, 0, -1);
		if (rt_load32_acq(&sc->ending))
			return;
		while (next_wish(rt, &spinning))
			if (!make(rt, spinning))
				be_thread_nap(GORT_MILLISECOND); /* a back-off: nothing tells when there can be one */
	}
}

int rt_maker_start(gort_runtime *rt)
{
	int r;

	if (rt_fail_now(&rt->debug, "maker"))
		return GORT_EOS - EAGAIN;
	r = be_thread_start(&rt->sched.maker, maker, rt, 0);
	return r == 0 ? 0 : r == -ENOMEM ? GORT_ENOMEM : GORT_EOS + r;
}

/* `ending` is set. */
void rt_maker_end(gort_runtime *rt)
{
	rt_xchg32_full(&rt->sched.makerword, 1);
	be_thread_wake(&rt->sched.makerword, 1);
	be_thread_join(&rt->sched.maker);
}

/* ---- Start, stop, hand over --------------------------------------------------------------------
 * */

/* Runs pp (status IDLE, on no list) on an idle M, or on one that is made for it. spinning: the
 * caller has counted it in nmspinning. */
void rt_startm(gort_runtime *rt, rt_p *pp, bool spinning)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp, *stands = NULL;
	rt_g *gp = NULL;

	rt_lock(&sc->lock, RT_RANK_sched);
	mp = rt_midle_get_locked(sc);
	if (mp != NULL) {
		mp->nextp = pp;
		mp->spinning = spinning;
	} else if (!spinning && (gp = rt_stopped_get_locked(rt)) != NULL) {
		stands = rt_stand_assign_locked(pp, gp); /* needs no other thread */
	} else if (rt_load32_rlx(&sc->gcwaiting)) {
		rt_store32_rlx(&pp->status, RT_P_GCSTOP);
		if (--sc->stopwait == 0)
			rt_note_wakeup(&sc->stopnote);
		if (spinning)
			rt_add32_full(&sc->nmspinning, (uint32_t)-1);
	} else {
		rt_pidle_put_locked(rt, pp);
		/* Each thread that is still to come takes an idle P if anything is to do, whichever needs it. */
		if (spinning || sc->nmake + sc->nmaking < rt_load32_rlx(&sc->npidle))
			rt_maker_ask_locked(rt, spinning);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (mp != NULL)
		rt_note_wakeup(&mp->park);
	if (stands != NULL)
		rt_stand_resume(stands);
}

static void sleep_on_note(rt_m *mp)
{
	rt_lockrank_assert_none();
	rt_note_sleep(&mp->park);
	rt_note_clear(&mp->park);
	if (mp->nextp != NULL) {
		rt_acquirep(mp, mp->nextp);
		mp->nextp = NULL;
		mp->anew = true;
	}
}

/* Sleeps until somebody gives it a P, or calls it away. False: leave the loop. */
bool rt_stopm(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	RT_ASSERT(mp->p == NULL && !mp->spinning);
	rt_lock(&sc->lock, RT_RANK_sched);
	while (RT_UNLIKELY(sc->teamwanted > 0) && !rt_run_leaving(mp))
		rt_team_join_locked(sc);
	if (rt_run_leaving(mp)) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return false;
	}
	mp->schedlink = sc->midle;
	sc->midle = mp;
	mp->idle = true;
	nmidle_add(sc, 1);
	rt_checkdead_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	sleep_on_note(mp);
	return mp->p != NULL || !rt_run_leaving(mp);
}

/* The host's thread runs main until that leaves it, and then waits for the end of the run: a
 * goroutine that stays in foreign code must not keep the host there. False: leave the loop. */
bool rt_stophost(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	if (mp->p != NULL)
		rt_handoffp(mp->rt, rt_releasep(mp));
	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_run_leaving(mp)) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return false;
	}
	mp->waitlocked = true; /* for rt_m_unidle_locked */
	sc->nmidlelocked++;
	rt_checkdead_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	sleep_on_note(mp);
	return !rt_run_leaving(mp);
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
		nmidle_add(sc, -1);
	} else if (mp->waitlocked) {
		mp->waitlocked = false;
		sc->nmidlelocked--;
	} else {
		return;
	}
	rt_note_wakeup(&mp->park);
}

/* pp rests. */
static void idle(gort_runtime *rt, rt_p *pp)
{
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&sc->gcwaiting)) {
		rt_store32_rlx(&pp->status, RT_P_GCSTOP);
		if (--sc->stopwait == 0)
			rt_note_wakeup(&sc->stopnote);
	} else {
		rt_pidle_put_locked(rt, pp);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* A P whose M went into a system call or waits for its goroutine: give it to another M if there is
 * anything to do. */
void rt_handoffp(gort_runtime *rt, rt_p *pp)
{
	rt_sched *sc = &rt->sched;
	int64_t when;

	rt_count64_owner(&pp->handoffs, 1);
	if (RT_UNLIKELY(rt->seeded != NULL) && rt_seeded_ends(rt)) {
		idle(rt, pp); /* the run ends, and what waits is dropped: no thread is made for it */
		return;
	}
	if (!rt_runq_empty(pp) || rt_load32_rlx(&sc->runqsize) > 0) {
		rt_startm(rt, pp, false);
		return;
	}
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
	/* Work that came meanwhile relied on us, or a timer of this P, or a descriptor, has no thread that waits for
	 * it. */
	rt_fence_full();
	if (rt_anywork(rt) || when != INT64_MAX ||
	    (rt_load32_rlx(&sc->pollwaiters) > 0 && rt_load32_rlx(&sc->polling) == 0))
		rt_wakep(rt);
}

/* mp is wired to lockedg, which is not running: sleeps until it is runnable and brings a P. */
bool rt_stoplockedm(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;

	if (mp->nextg != NULL) { /* it asked to go on at once */
		RT_ASSERT(mp->nextg == rt_loadptr_rlx(&mp->lockedg));
		mp->nextg = NULL;
		return true;
	}
	for (;;) {
		if (mp->p != NULL)
			rt_handoffp(mp->rt, rt_releasep(mp));
		rt_lock(&sc->lock, RT_RANK_sched);
		/* Looked at under the lock: while the end of a run wakes us, somebody else may
		 * bring a P. */
		if (mp->nextp != NULL) {
			rt_acquirep(mp, mp->nextp);
			mp->nextp = NULL;
			rt_unlock(&sc->lock, RT_RANK_sched);
			return true;
		}
		if (rt_run_leaving(mp)) {
			rt_unlock(&sc->lock, RT_RANK_sched);
			return false;
		}
		mp->waitlocked = true;
		sc->nmidlelocked++;
		rt_checkdead_locked(mp->rt);
		rt_unlock(&sc->lock, RT_RANK_sched);
		rt_lockrank_assert_none();
		rt_note_sleep(&mp->park);
		rt_note_clear(&mp->park);
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
	if (rt_loadptr_rlx(&to->lockedg) != gp) { /* the host has left: its run ends, and gp is dropped with the rest */
		rt_globq_put_locked(mp->rt, gp);
		rt_unlock(&sc->lock, RT_RANK_sched);
		return;
	}
	pp = rt_releasep(mp);
	to->nextp = pp;
	if (to->waitlocked) { /* else it is on its way to rt_stoplockedm, or out of it */
		to->waitlocked = false;
		sc->nmidlelocked--;
		rt_note_wakeup(&to->park);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_stopm(mp);
}
