/* proc.c: the scheduler's loop.
 *
 * G, M, P (spec/01). A goroutine (G) runs on a thread (M) that holds a processor (P); there are
 * GOMAXPROCS Ps, each with its own run queue. A thread without work steals half of another P's
 * queue; one that finds nothing puts its P on the idle list and sleeps.
 *
 * Waking threads is the hard part: one too many burns a CPU, one too few loses a wake-up. The rule:
 *
 *   Who publishes work (ready, go, a batch on the global queue): publish; full fence; if some P is
 *   idle and no M spins, start one M as spinning with an idle P (rt_wakep).
 *   A spinning M that finds work stops spinning, and if it was the last one, does as if it had
 *   published work. So wake-ups cascade one at a time.
 *   Who goes idle: put the P on the idle list; stop spinning; full fence; look at all queues again;
 *   on work take an idle P back and search on.
 *
 * Publisher and idler each write one thing, fence, and read what the other wrote: one of them sees
 * the other (Dekker's pattern). Two differences from Go. The publisher looks at npidle before
 * nmspinning, so that on a busy machine readying a goroutine writes nothing shared; therefore every
 * M re-checks, also one that was not spinning. And a publisher that claimed the spinner's place but
 * found no idle P gives it up and looks at npidle again: another publisher may have relied on it
 * meanwhile (Go remembers that in needspinning).
 * tests/model/parkready.pml proves it under store buffers, and fails without each fence or
 * re-check.
 *
 * Who keeps its runnext. Most goroutines that ready one park at once after that, and their P runs the other one
 * before any thread could be there. To wake one all the same costs the waker microseconds for each time that it went
 * to sleep in between, and now and then it comes just when the system has taken the CPU from the P, and carries one
 * of the two off: a third of a round trip between two goroutines. So a thief that saw a runnext, napped, and found
 * that the P has run somebody meanwhile, notes that the P `keeps` it. For what such a P readies into runnext alone
 * nobody is woken, and who goes idle does not look at that; what comes to its ring or its part is announced as ever.
 * The promise is the P's: its next switch runs it, and a P that stops for a system call or a slice is looked through
 * by whoever takes it. That the goroutine before it computes on is found out by sysmon: while some P is idle it wakes
 * a thief once a millisecond for a runnext that is kept. One that steals from it, or its way to the idle list, takes
 * the note away. While a collection marks nothing is kept: its controller must not wait for the end of a turn.
 * Rejected: to count wake-ups that came to nothing (a P that readies one each 100 us, and computes, must have its thief
 * soon, however long it was quiet before); the same for gort_go (a parent that goes on to compute is usual).
 * tests/model/kept.pml.
 *
 * Time slices. Goroutines that wake each other through runnext share one slice (schedtick), so that
 * a ping-pong keeps its caches; sysmon ends it after 10 ms. A P that changes hands begins a new slice: who is woken by
 * a timer when a turn was ended would else be stopped at once, and queue behind all that compute.
 *
 * While a collection marks, a P that would run a goroutine first gives the collector its share
 * (gc_work); one without work gives all its time, also for sweeping; and a goroutine's stack is
 * scanned before it runs (rt_gc_before_run).
 */
#include "core/sched/seeded.h"

enum { GLOBAL_TICK = 61, STANDING_TICK = 4 * GLOBAL_TICK, STEAL_ROUNDS = 4 };

static void spinning_begin(rt_m *mp)
{
	mp->spinning = true;
	rt_add32_full(&mp->rt->sched.nmspinning, 1);
}

/* Returns whether it was the last one. Full: what follows is not read before. */
static bool spinning_end(rt_m *mp)
{
	uint32_t was;

	mp->spinning = false;
	was = rt_add32_full(&mp->rt->sched.nmspinning, (uint32_t)-1);
	rt_fence_after_rmw();
	RT_ASSERT(was > 0);
	return was == 1;
}

bool rt_goroutines_wait(gort_runtime *rt)
{
	if (rt_load32_rlx(&rt->sched.runqsize) > 0)
		return true;
	for (int i = 0; i < rt_gomaxprocs(rt); i++)
		if (!rt_runq_empty(rt->sched.allp[i]))
			return true;
	return false;
}

/* The same for who has searched and would sleep. What it leaves to a P that keeps it, sysmon is told of: it may have
 * found nothing for long, and sleep for 10 ms. */
static bool called(gort_runtime *rt)
{
	bool marking = rt_load32_rlx(&rt->gcmark) != 0, kept = false;

	if (rt_load32_rlx(&rt->sched.runqsize) > 0)
		return true;
	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		const rt_p *pp = rt->sched.allp[i];

		if (rt_runq_empty(pp))
			continue;
		if (marking || rt_runq_calls(pp))
			return true;
		kept = true;
	}
	if (kept)
		rt_sysmon_wake(rt);
	return RT_UNLIKELY(rt_load32_rlx(&rt->gcbusy) != 0) && rt->up.gc_any(rt);
}

bool rt_anywork(gort_runtime *rt)
{
	return rt_goroutines_wait(rt) ||
	       (RT_UNLIKELY(rt_load32_rlx(&rt->gcbusy) != 0) && rt->up.gc_any(rt));
}

/* See the head: the publisher's half. The work was published before by a full read-modify-write. */
void rt_wakep_after_rmw(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_fence_after_rmw(); /* pairs with the fence in go_idle */
	while (rt_load32_rlx(&sc->npidle) > 0) {
		if (rt_load32_rlx(&sc->nmspinning) > 0 || !rt_cas32_full(&sc->nmspinning, 0, 1))
			return;
		rt_lock(&sc->lock, RT_RANK_sched);
		rt_p *pp = rt_pidle_get_locked(rt);
		rt_unlock(&sc->lock, RT_RANK_sched);
		if (pp != NULL) {
			rt_startm(rt, pp, true);
			return;
		}
		rt_add32_full(&sc->nmspinning, (uint32_t)-1);
		rt_fence_after_rmw();
	}
}

/* From the global queue, after the part of pp has joined it. */
static rt_g *global_get(rt_m *mp, rt_p *pp, uint32_t max)
{
	rt_sched *sc = &mp->rt->sched;
	bool joins = rt_loadptr_rlx(&pp->yielded) != NULL, more;
	rt_g *gp;

	if (rt_load32_rlx(&sc->runqsize) == 0) {
		if (!joins)
			return NULL;
		if (max == RT_SHARE && pp->alone && (gp = rt_yielded_get_alone(pp)) != NULL)
			return gp;
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	rt_globq_join_locked(mp->rt, pp);
	gp = rt_globq_get_locked(mp->rt, mp->p, max);
	more = joins && rt_load32_rlx(&sc->runqsize) > 0;
	rt_unlock(&sc->lock, RT_RANK_sched);
	/* Work has moved, perhaps behind the back of an M that looked and goes idle. */
	if (more && !mp->p->alone)
		rt_wakep(mp->rt);
	return gp;
}

/* The same after work was published by anything else. */
void rt_wakep(gort_runtime *rt)
{
	rt_fence_full();
	rt_wakep_after_rmw(rt);
}

/* One pass over all Ps from a random start in a random stride that is coprime with their number. */
static rt_g *steal_pass(rt_m *mp, bool last, int64_t now)
{
	rt_sched *sc = &mp->rt->sched;
	uint32_t n = (uint32_t)rt_gomaxprocs(mp->rt);
	uint32_t i = rt_rand_below(&mp->p->rand, n), stride = 1;

	if (n > 2) {
		uint32_t a, b;

		do {
			stride = 1 + rt_rand_below(&mp->p->rand, n - 1);
			for (a = n, b = stride; b != 0;) {
				uint32_t r = a % b;

				a = b;
				b = r;
			}
		} while (a != 1);
	}
	for (uint32_t k = 0; k < n; k++, i = (i + stride) % n) {
		rt_p *victim = sc->allp[i];
		uint32_t got;

		if (rt_load32_rlx(&sc->gcwaiting))
			return NULL;
		rt_g *gp;

		if (last) {
			bool inherit;

			/* Timers make goroutines runnable in our ring, and stealing needs it empty.
			 * */
			rt_timers_run(victim, now);
			if ((gp = rt_runq_get(mp->p, &inherit)) != NULL)
				return gp;
		}
		/* Also from a P that is IDLE: one that was handed off has a queue and no M yet. */
		if (victim == mp->p)
			continue;
		gp = rt_runq_steal(mp->p, victim, last, &got);

		if (gp != NULL) {
			rt_count64_owner(&mp->p->steals, got);
			rt_add64_full(&victim->stolen, got);
			RT_TRACE(mp, SCHED, STEAL, gp, victim->id, got, 0);
			return gp;
		}
		if (rt_loadptr_rlx(&victim->yielded) != NULL &&
		    (gp = global_get(mp, victim, RT_SHARE)) != NULL)
			return gp;
	}
	return NULL;
}

static RT_NOINLINE rt_g *steal(rt_m *mp)
{
	for (int round = 0; round < STEAL_ROUNDS; round++) {
		bool last = round == STEAL_ROUNDS - 1;
		rt_g *gp = steal_pass(mp, last, last ? be_nanotime() : 0);

		if (gp != NULL)
			return gp;
	}
	return NULL;
}

/* So that the global queue gets its turns although the ring is never empty. Those that stand on
 * their threads compute for a whole slice: more seldom, or each of these turns would make somebody
 * late who was woken. */
static rt_g *by_turn(rt_m *mp, rt_p *pp)
{
	uint32_t tick = rt_load32_rlx(&pp->schedtick);

	if (RT_LIKELY(tick % GLOBAL_TICK != 0) || rt_runq_urgent(mp->rt, pp))
		return NULL;
	return global_get(mp, pp, tick % STANDING_TICK == 0 ? RT_ONE : RT_ONE_BRIEF);
}

static bool take_p(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_p *pp;

	rt_lock(&sc->lock, RT_RANK_sched);
	pp = rt_load32_rlx(&sc->gcwaiting) ? NULL : rt_pidle_get_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (pp == NULL)
		return false;
	rt_acquirep(mp, pp);
	mp->anew = true;
	return true;
}

/* An M without a P takes an idle one, to search as a spinning M. */
static bool take_idle_p(rt_m *mp)
{
	if (!take_p(mp))
		return false;
	spinning_begin(mp);
	return true;
}

/* A thread that was made to search, and is counted as searching, has started. */
void rt_m_born_spinning(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	rt_p *pp;

	rt_lock(&sc->lock, RT_RANK_sched);
	pp = rt_load32_rlx(&sc->gcwaiting) ? NULL : rt_pidle_get_locked(mp->rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	mp->anew = true;
	if (pp != NULL)
		rt_acquirep(mp, pp);
	else
		(void)spinning_end(mp); /* then it looks at the queues once more, without a P */
}

/* A moment of rt's as one of the real clock, for who waits in the system; INT64_MAX: never. */
int64_t rt_real_moment(gort_runtime *rt, int64_t when)
{
	int64_t now;

	if (when == INT64_MAX || RT_LIKELY(rt->seeded == NULL))
		return when;
	now = be_nanotime();
	when -= rt_seeded_now(rt);
	return when < INT64_MAX - 1 - now ? now + when : INT64_MAX - 1;
}

/* That of the earliest timer. */
static int64_t timers_due(gort_runtime *rt)
{
	return rt_real_moment(rt, rt_timers_next(rt));
}

/* The host's thread gets its slack back: goroutines that run on it may sleep in the host's code. */
static int wait_for(rt_m *mp, be_pollevent *events, int64_t ns)
{
	int64_t slack = mp->host ? be_thread_slack(1) : 0;
	int64_t begin = mp->seeded ? be_nanotime() : 0;
	int n = be_netpoll_wait(&mp->rt->sched.poll, events, RT_POLLEVENTS, ns);

	if (RT_UNLIKELY(mp->seeded))
		rt_seeded_waited(mp->rt, be_nanotime() - begin);
	if (slack > 0)
		(void)be_thread_slack(slack);
	return n;
}

/* How long, if nobody else does; again: the earliest timer. 0: not a moment. */
static int64_t how_long(rt_m *mp, int64_t again)
{
	int64_t ns = -1;

	if (rt_run_leaving(mp))
		return 0;
	if (again != INT64_MAX) {
		ns = again - be_nanotime();
		return ns > 0 ? ns : 0;
	}
	/* All timers were stopped since: not a moment, for rt_poll_look may have missed us. Who armed one meanwhile and
	 * relied on us is not forgotten: with an idle P this M searches again, and without one all look themselves. */
	return rt_load32_rlx(&mp->rt->sched.pollwaiters) > 0 ? ns : 0;
}

/* It comes out of its wait for what is ready, not to search: nobody has relied on it. What it leaves behind, who waits
 * for what becomes ready next, and for timers, sysmon sees to in time if they are not near. */
static bool run_ready(rt_m *mp, const be_pollevent *events, int n)
{
	int64_t when;

	if (n == 0 || !take_p(mp))
		return false;
	(void)rt_poll_ready(mp, events, n);
	when = timers_due(mp->rt);
	if (when != INT64_MAX && when - be_nanotime() < RT_SYSMON_MOST)
		rt_wakep(mp->rt);
	return true;
}

/* Waits for the earliest timer and for descriptors, if nobody else does. True: this M has a P again. */
static bool poll_wait(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	int64_t when = timers_due(mp->rt), again, ns;
	be_pollevent events[RT_POLLEVENTS];
	int n;

	if (when == INT64_MAX && rt_load32_rlx(&sc->pollwaiters) == 0)
		return false;
	if (!rt_cas32_full(&sc->polling, 0, 1)) {
		/* Another M waits; perhaps for a later moment than ours. */
		if ((int64_t)rt_load64_rlx(&sc->polluntil) > when)
			be_netpoll_break(&sc->poll);
		return false;
	}
	rt_store64_rlx(&sc->polluntil, (uint64_t)when);
	rt_fence_full(); /* pairs with the fences in tell, timer.c, and in rt_poll_look: one sees the other */
	again = timers_due(mp->rt);
	/* Never longer than what was published before the fence: an armer compared with that. */
	if (again < when) {
		when = again;
		rt_store64_rlx(&sc->polluntil, (uint64_t)when);
	}
	ns = how_long(mp, again == INT64_MAX ? again : when);
	n = ns != 0 ? wait_for(mp, events, ns) : 0;
	rt_store64_rlx(&sc->lastpoll, (uint64_t)be_nanotime());
	rt_store64_rlx(&sc->polluntil, 0);
	rt_xchg32_full(&sc->polling, 0);
	if (run_ready(mp, events, n))
		return true;
	rt_poll_outside(mp->rt, mp, events, n);
	return take_idle_p(mp);
}

/* One M is awake and the caller is about to sleep: if that one waits for timers that were all stopped since, it
 * looks again and finds that all are asleep. */
void rt_poll_look(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_fence_full(); /* pairs with the fence in poll_wait: it sees what we stopped, or we see it wait */
	if (rt_load32_rlx(&sc->polling) && rt_timers_next(rt) == INT64_MAX && rt_load32_rlx(&sc->pollwaiters) == 0)
		be_netpoll_break(&sc->poll);
}

/* No work for mp, which holds a P. True: search again. False: leave the loop. */
static RT_NOINLINE bool go_idle(rt_m *mp, rt_g **out)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	if (rt_load32_rlx(&sc->gcwaiting) || rt_run_leaving(mp)) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return true;
	}
	*out = rt_globq_get_locked(rt, mp->p, RT_SHARE);
	if (*out != NULL) {
		rt_unlock(&sc->lock, RT_RANK_sched);
		return true;
	}
	RT_TRACE(mp, SCHED, PROC_STOP, NULL, 0, 0, 0);
	rt_pidle_put_locked(rt, rt_releasep(mp));
	rt_unlock(&sc->lock, RT_RANK_sched);

	if (mp->spinning)
		spinning_end(mp);
	rt_fence_full(); /* pairs with the fence in rt_wakep: we see the work, or they see our P */
	if (called(rt) && take_idle_p(mp))
		return true;
	if (poll_wait(mp))
		return true;
	return rt_stopm(mp);
}

/* It counts as a search that found something: others may rely on this M to look on. */
static RT_NOINLINE bool collect_idle(rt_m *mp)
{
	gort_runtime *rt = mp->rt;

	if (!rt->up.gc_any(rt))
		return false;
	if (mp->spinning && spinning_end(mp))
		rt_wakep(rt);
	return rt->up.gc_work(mp, true);
}

/* Every ring and list was empty. True: *out is the next, or NULL to leave the loop. False: search again. */
static RT_NOINLINE bool search(rt_m *mp, rt_g **out)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;

	/* If nothing else runs, this M is about to wait for them. */
	if (RT_UNLIKELY(rt_load32_rlx(&sc->pollwaiters) > 0) && rt_load32_rlx(&sc->polling) == 0 &&
	    rt_load32_rlx(&sc->npidle) + 1 < (uint32_t)rt_gomaxprocs(rt) && rt_poll_now(mp) > 0)
		return false;
	if (mp->spinning || 2 * rt_load32_rlx(&sc->nmspinning) <
	                            (uint32_t)rt_gomaxprocs(rt) - rt_load32_rlx(&sc->npidle)) {
		if (!mp->spinning)
			spinning_begin(mp);
		if ((*out = steal(mp)) != NULL)
			return true;
	}
	if (RT_UNLIKELY(rt_load32_rlx(&rt->gcbusy) != 0) && collect_idle(mp))
		return false;
	*out = NULL;
	return !go_idle(mp, out) || *out != NULL;
}

/* The same of a seeded run: true: *out is the next, or NULL to leave the loop. False: search again. */
static RT_NOINLINE bool find_seeded(rt_m *mp, rt_g **out)
{
	gort_runtime *rt = mp->rt;

	*out = NULL;
	if (rt_seeded_ends(rt)) { /* nobody goes on before all are dropped */
		if (mp->spinning)
			(void)spinning_end(mp);
		rt_handoffp(rt, rt_releasep(mp));
		return !rt_stopm(mp);
	}
	*out = rt_seeded_next(mp);
	if (*out != NULL)
		return true;
	/* What is left to sweep would look like work to who goes idle. */
	if (rt_seeded_jump(rt) || (RT_UNLIKELY(rt_load32_rlx(&rt->gcbusy) != 0) && collect_idle(mp)))
		return false;
	return !go_idle(mp, out) || *out != NULL;
}

/* Woken without a P: only to leave (false) or to wait on. */
static RT_NOINLINE bool without_p(rt_m *mp)
{
	if (rt_run_leaving(mp))
		return false;
	/* Who published work may have had no thread to start: look first. */
	return (rt_anywork(mp->rt) && take_idle_p(mp)) || rt_stopm(mp);
}

/* The next goroutine for mp, which holds a P. NULL: leave the loop. The order is Go's. What happens seldom is a
 * function of its own, so that the usual way has enough registers. */
static rt_g *findrunnable(rt_m *mp, bool *inherit)
{
	gort_runtime *rt = mp->rt;
	rt_sched *sc = &rt->sched;
	rt_g *gp;

	for (;;) {
		rt_p *pp = mp->p;

		*inherit = false;
		if (RT_UNLIKELY(pp == NULL)) {
			if (!without_p(mp))
				return NULL;
			continue;
		}
		if (RT_UNLIKELY(rt_load32_rlx(&pp->preempt)) && !mp->seeded) {
			rt_store32_rlx(&pp->preempt, 0);
			rt_fence_full(); /* pairs with the fence in rt_preemptall */
			if (rt_load32_rlx(&pp->urgetick) == rt_load32_rlx(&pp->schedtick))
				rt_runq_end_slice(rt, pp);
		}
		if (RT_UNLIKELY(rt_load32_acq(&sc->gcwaiting))) {
			rt_gcstopm(mp);
			continue;
		}
		if (RT_UNLIKELY(rt_run_leaving(mp)))
			return NULL;
		if (RT_UNLIKELY(rt_load64_rlx(&pp->timers.next) != INT64_MAX))
			rt_timers_run(pp, rt_now(rt));
		if (RT_UNLIKELY(rt_load32_rlx(&rt->gcmark) != 0))
			(void)rt->up.gc_work(mp, false);
		if (mp->nextg != NULL) {
			gp = mp->nextg;
			mp->nextg = NULL;
			return gp;
		}
		if (RT_UNLIKELY(mp->seeded)) {
			if (find_seeded(mp, &gp))
				return gp;
			continue;
		}
		if ((gp = by_turn(mp, pp)) != NULL)
			return gp;
		if ((gp = rt_runq_get(pp, inherit)) != NULL)
			return gp;
		if ((gp = global_get(mp, pp, RT_SHARE)) != NULL)
			return gp;
		if (search(mp, &gp))
			return gp;
	}
}

/* The long way to the next goroutine; gp: it is found already, or NULL. */
static RT_NOINLINE rt_g *schedule(rt_m *mp, rt_g *gp, bool *inherit)
{
	mp->wired = rt_loadptr_rlx(&mp->lockedg) != NULL;
	mp->chosen = false; /* found here, or it is put back for all */
	for (;; gp = NULL) {
		if (gp == NULL) {
			if (RT_UNLIKELY(mp->wired) && rt_loadptr_rlx(&mp->lockedg) != NULL) {
				/* Only one goroutine runs here; it may be the one that just left. */
				if (!rt_stoplockedm(mp))
					return NULL;
				*inherit = false;
				gp = rt_loadptr_rlx(&mp->lockedg);
				if (gp != NULL)
					return gp;
				continue; /* dropped meanwhile */
			}
			if (RT_UNLIKELY(mp->host) && mp->nextg == NULL && !mp->seeded) {
				if (!rt_stophost(mp))
					return NULL;
				continue;
			}
			gp = findrunnable(mp, inherit);
		}
		if (RT_UNLIKELY(mp->anew)) {
			mp->anew = false;
			*inherit = false;
		}
		if (RT_UNLIKELY(mp->spinning) && spinning_end(mp) && gp != NULL)
			rt_wakep(mp->rt); /* the last one that looked: another takes its place */
		if (RT_UNLIKELY(gp == NULL))
			return NULL;
		if (gp->ctx == NULL && (gp = rt_stand_instead(mp, gp)) == NULL)
			continue;
		if (RT_UNLIKELY(gp->m != NULL))
			rt_stand_start(mp, gp);
		else if (RT_UNLIKELY(gp->lockedm != NULL))
			rt_startlockedm(mp, gp);
		else
			return gp;
	}
}

/* The short way, in the same order: a goroutine waits here, and nobody asks anything of mp and its P. */
static inline RT_ALWAYS_INLINE bool nothing_asked(const rt_m *mp, gort_runtime *rt, const rt_p *pp)
{
	return (mp->rare | rt_load32_rlx(&pp->preempt) | rt_load32_acq(&rt->sched.gcwaiting) |
	        rt_load32_acq(&mp->exiting) | rt_load32_rlx(&rt->gcmark) | rt_load32_rlx(&pp->timers.n)) == 0 &&
	       rt_load32_rlx(&pp->schedtick) % GLOBAL_TICK != 0;
}

/* Memory has ended: the run ends. Without one, the goroutine waits for better times. */
static RT_NOINLINE void no_stack(rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &mp->rt->sched;

	rt_lock(&sc->lock, RT_RANK_sched);
	rt_globq_put_locked(mp->rt, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (!rt_run_out_of_memory(mp->rt, "fatal error: out of memory (goroutine stack)\n"))
		be_thread_nap(GORT_MILLISECOND); /* a back-off: nothing tells when memory comes back */
}

static inline RT_ALWAYS_INLINE be_context *starts(rt_p *pp, rt_g *gp, bool inherit)
{
	rt_count64_owner(&pp->switches, 1);
	if (!inherit)
		rt_store32_rlx(&pp->schedtick, rt_load32_rlx(&pp->schedtick) + 1);
	return gp->ctx;
}

/* The same, and it is noted down. The turn begins after the event: it is not shorter by the trace than by sysmon. */
static RT_NOINLINE be_context *starts_noted(rt_m *mp, rt_g *gp, bool inherit)
{
	gp->m = mp;
	mp->curg = gp;
	rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_RUNNING);
	rt_runs(mp->p, gp);
	RT_TRACE(mp, SCHED, GO_START, gp, rt_g_runs(gp), 0, 0);
	return starts(mp->p, gp, inherit);
}

/* gp: found already, or NULL. */
static RT_NOINLINE be_context *next_long(rt_m *mp, rt_g *gp, bool inherit)
{
	for (;;) {
		if ((gp == NULL || gp->m != NULL || gp->lockedm != NULL ||
		     (gp->ctx == NULL && rt_load32_rlx(&mp->rt->sched.nstopped) > 0)) &&
		    (gp = schedule(mp, gp, &inherit)) == NULL)
			return NULL;
		rt_gc_before_run(mp->rt, gp); /* before it gets a stack: a marker may be looking at it */
		if (RT_LIKELY(gp->ctx != NULL || rt_switch_make(mp, gp, rt_goroutine_entry)))
			return starts_noted(mp, gp, inherit);
		no_stack(mp, gp); /* it is queued again */
		gp = NULL;
		inherit = false;
	}
}

static inline RT_ALWAYS_INLINE be_context *found(rt_m *mp, gort_runtime *rt, rt_p *pp, rt_g *gp, bool inherit)
{
	uint64_t turns;

	if (RT_UNLIKELY(gp == NULL || gp->ctx == NULL || ((uintptr_t)gp->m | (uintptr_t)gp->lockedm) != 0))
		return next_long(mp, gp, inherit);
	/* No collection marks, and none begins while this P runs: see rt_gc_before_run. */
	turns = rt_load64_rlx(&gp->turns);
	if (RT_UNLIKELY(rt_latency_measured(turns) || rt_traced(rt, GORT_TRACE_SCHED)))
		return starts_noted(mp, gp, inherit);
	gp->m = mp;
	mp->curg = gp;
	rt_store64_rlx(&gp->turns, turns + RT_TURN);
	rt_gstatus_set(gp, RT_G_RUNNABLE, RT_G_RUNNING);
	return starts(pp, gp, inherit);
}

static RT_NOINLINE be_context *next_of_several(rt_m *mp, gort_runtime *rt, rt_p *pp)
{
	bool inherit;
	rt_g *gp = rt_runq_get(pp, &inherit);

	return found(mp, rt, pp, gp, inherit);
}

/* The only P has an empty ring: perhaps somebody has yielded. */
static RT_NOINLINE be_context *next_yielded(rt_m *mp, gort_runtime *rt, rt_p *pp)
{
	rt_g *gp = NULL;

	if (rt_loadptr_rlx(&pp->yielded) != NULL && rt_load32_rlx(&rt->sched.runqsize) == 0)
		gp = rt_yielded_get_alone(pp);
	return found(mp, rt, pp, gp, false);
}

/* On g0, between two goroutines. The one that has come back by rt_mcall gets what it asked for; the
 * context of the next is returned. NULL: mp leaves its loop. Every instruction of the short way is one of each switch:
 * what happens seldom, and what needs more registers, is in functions that it ends with. */
be_context *rt_g0_next(rt_m *mp)
{
	rt_g *gp = mp->curg;
	gort_runtime *rt;
	bool inherit;
	rt_p *pp;

	RT_ASSERT(mp->locks == 1);
	if (RT_LIKELY(gp != NULL)) {
		mp->curg = NULL;
		mp->mcall(mp, gp);
	}
	rt = mp->rt;
	pp = mp->p;
	if (RT_UNLIKELY(pp == NULL || !nothing_asked(mp, rt, pp)))
		return next_long(mp, NULL, false);
	if (!pp->alone)
		return next_of_several(mp, rt, pp);
	gp = rt_runq_get_alone(pp, &inherit);
	if (gp == NULL)
		return next_yielded(mp, rt, pp);
	return found(mp, rt, pp, gp, inherit);
}
