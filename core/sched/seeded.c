/* seeded.c: runs that are a function of a number: gort_config.seed.
 *
 * The scheduler is the same one with GOMAXPROCS 1, and its only P is a baton: whichever thread has it runs, and nobody
 * else does. What is added is small.
 *
 * Which goroutine goes on is the chooser's answer (chooser.h). Those that became runnable gather in the queues as
 * ever, in an order that is a function of what ran; before each choice they are taken over into its pool, and count
 * in sched.runqsize there. It is asked when a goroutine parks, yields or ends, and at each point: the end of a call of
 * the runtime (rt_leave), for which the P's flag is always up. Between two points a goroutine is alone.
 *
 * Time is virtual. It stands while anybody can run, and jumps to the next timer when nobody can, or when for YIELDS
 * turns all that ran have only yielded: they wait for it. So a sleep costs nothing, and a timeout comes when all
 * that could prevent it has not. While goroutines wait for descriptors nobody can know that: then it passes as the
 * real one does. Who asks again and again (try_lock, a receive that does not wait, the clock) instead of waiting looks
 * like one who computes. After ASKS calls in which nothing has happened to anybody each further one takes a TICK.
 *
 * Numbers that select and others draw come from the P's generator, which starts anew with each run.
 *
 * What is not part of the schedule does not change it. The collector is `stw`; its goroutine has a number of
 * its own, runs before all others and without a choice, and who waited for it goes on as if nothing had been. When it
 * runs finalizers and empties pools depends on what the heap looks like, which stacks of other compilers
 * change: programs whose answer depends on that are as repeatable as their collections.
 *
 * Threads. The host's thread runs all goroutines, so that a run of C is one thread and needs no other; only goroutines
 * that are wired to a thread, and attached threads, have others, and hand the baton over. Maker and sysmon start when
 * the first of these needs them. A goroutine keeps the baton in a system call, or the moment of its end would be part
 * of the schedule; if it has not come back after a second (GODEBUG=stray), as it may wait for one of the others, sysmon
 * takes the P away, and from there on the run depends on the system. Nobody is stopped in place.
 *
 * Who comes from outside during a run (gort_runtime_go, gort_attach) comes when the clock says; between runs he waits
 * for the next one.
 *
 * Rejected: several Ps of which one runs (the choice among all goroutines is the choice among the Ps' queues); to end
 * turns in place (where a signal arrives nobody can repeat); points within calls (what runs there is guarded by locks,
 * and its order is that of the calls).
 */
#include "core/sched/seeded.h"

enum { POLL_TURN = 64, YIELDS = 10000, ASKS = 10000, TICK = 1000 /* ns */ };

/* Everything belongs to who has the P, or to who begins a run, unless noted. */
struct rt_seeded {
	size_t bytes;
	rt_atomic64 now;   /* virtual time; any thread reads it */
	rt_atomic32 procs; /* GOMAXPROCS, as the program sees it; any thread reads it */
	rt_chooser chooser;
	rt_gqueue collector; /* its goroutines; they run first, and are no choice */
	uint32_t ncollector;
	rt_g *resumes;     /* was interrupted by what is no choice, and goes on after that; or NULL */
	uint32_t counted;  /* all of these and the pool, in runqsize; written under sched.lock */
	uint64_t system;   /* goroutines of the runtime's own, ever */
	uint64_t turns;    /* of the scheduler */
	uint64_t polled;   /* steps and turns when descriptors were looked at last */
	uint32_t yields;   /* turns since anything but a yield has happened */
	uint32_t asks;     /* points, and looks at the clock, since anybody has become runnable but by a yield */
	rt_gqueue waiting; /* born outside a run: for the next one. Guarded by sched.lock */
	rt_atomic32 renew; /* 1: a run has begun, and the chooser has not; by who begins it */
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int64_t trace_clock(const rt_trace *t)
{
	return rt_seeded_now(RT_CONTAINER_OF(t, gort_runtime, trace));
}

int rt_seeded_new(gort_runtime *rt)
{
	size_t bytes = sizeof(rt_seeded);
	rt_seeded *sd;

	if (rt->cfg.seed == 0)
		return 0;
	sd = rt_oom_now(&rt->debug) ? NULL : rt_pages_new(&bytes);
	if (sd == NULL)
		return GORT_ENOMEM;
	sd->bytes = bytes;
	rt_chooser_init(&sd->chooser, rt->cfg.seed);
	rt_store64_rlx(&sd->now, RT_SEEDED_EPOCH);
	rt_store32_rlx(&sd->procs, (uint32_t)(rt->cfg.procs > 0 ? rt->cfg.procs : RT_SEEDED_PROCS));
	rt->seeded = sd;
	rt->trace.now = trace_clock;
	return 0;
}

void rt_seeded_free(gort_runtime *rt)
{
	if (rt->seeded == NULL)
		return;
	rt_chooser_free(&rt->seeded->chooser);
	rt_pages_free(rt->seeded, rt->seeded->bytes);
	rt->seeded = NULL;
}

/* Before main is queued. An attached thread may have the P, and the chooser with it: who next has to choose begins
 * anew. */
void rt_seeded_begin_locked(gort_runtime *rt)
{
	rt_seeded *sd = rt->seeded;
	rt_g *gp;

	rt_store32_rel(&sd->renew, 1);
	while ((gp = rt_gqueue_pop(&sd->waiting)) != NULL)
		rt_globq_put_locked(rt, gp);
}

bool rt_seeded_ends(gort_runtime *rt)
{
	bool r;

	if (RT_LIKELY(rt_load32_acq(&rt->runstate) <= RT_RUN_ACTIVE))
		return false;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	r = rt->host != NULL && rt_load32_rlx(&rt->runstate) > RT_RUN_ACTIVE;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return r;
}

/* With the P: the first choice of a run. Goroutines of attached threads may be in the pool. */
static RT_NOINLINE void renew(gort_runtime *rt, rt_p *pp)
{
	rt_seeded *sd = rt->seeded;
	rt_g *gp;

	rt_store32_rlx(&sd->renew, 0);
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	while ((gp = rt_chooser_take(&sd->chooser)) != NULL) {
		sd->counted--;
		rt_store32_rlx(&rt->sched.runqsize, rt_load32_rlx(&rt->sched.runqsize) - 1);
		rt_globq_put_locked(rt, gp);
	}
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_chooser_begin(&sd->chooser, rt_load64_rlx(&rt->sched.goidgen));
	rt_rand_seed(&pp->rand, rt->cfg.seed);
	sd->turns = sd->polled = 0;
	sd->yields = sd->asks = 0;
}

void rt_seeded_forget_locked(gort_runtime *rt)
{
	rt_seeded *sd = rt->seeded;

	sd->collector.head = sd->collector.tail = NULL;
	sd->ncollector = 0;
	sd->resumes = NULL;
	sd->counted = 0;
	if (rt_load32_rlx(&sd->renew)) { /* it ended before its first choice */
		rt_store32_rlx(&sd->renew, 0);
		sd->chooser.n = 0;
		rt_chooser_begin(&sd->chooser, 0);
	}
	rt_chooser_end(&sd->chooser);
	sd->waiting.head = sd->waiting.tail = NULL;
}

bool rt_seeded_postpone_locked(gort_runtime *rt, rt_g *gp)
{
	if (rt->seeded == NULL || rt_load32_rlx(&rt->runstate) == RT_RUN_ACTIVE)
		return false;
	rt_gqueue_push(&rt->seeded->waiting, gp);
	return true;
}

uint64_t rt_seeded_system_goid(gort_runtime *rt)
{
	return RT_SYSTEM_GOID + rt->seeded->system++;
}

int rt_seeded_procs(gort_runtime *rt, int n)
{
	uint32_t was = rt_load32_rlx(&rt->seeded->procs);

	if (n > 0)
		rt_store32_rlx(&rt->seeded->procs, (uint32_t)n);
	return (int)was;
}

rt_chooser *rt_seeded_chooser(gort_runtime *rt)
{
	return &rt->seeded->chooser;
}

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t rt_seeded_now(gort_runtime *rt)
{
	return (int64_t)rt_load64_rlx(&rt->seeded->now);
}

static void set_now(gort_runtime *rt, int64_t now)
{
	rt_store64_rlx(&rt->seeded->now, (uint64_t)now);
	rt_store64_rlx(&rt->sched.coarse, (uint64_t)now);
}

bool rt_seeded_jump(gort_runtime *rt)
{
	int64_t when = rt_timers_next(rt);

	if (when == INT64_MAX || rt_load32_rlx(&rt->sched.pollwaiters) > 0)
		return false;
	if (when > rt_seeded_now(rt))
		set_now(rt, when);
	return true;
}

void rt_seeded_waited(gort_runtime *rt, int64_t ns)
{
	set_now(rt, rt_seeded_now(rt) + ns);
}

/* One who runs has asked. True: nothing else has happened for a while. */
static bool only_asks(gort_runtime *rt)
{
	rt_seeded *sd = rt->seeded;

	if (RT_LIKELY(sd->asks < ASKS)) {
		sd->asks++;
		return false;
	}
	set_now(rt, rt_seeded_now(rt) + TICK);
	return true;
}

int64_t rt_seeded_clock(rt_m *mp)
{
	if (mp->p != NULL && mp->curg != NULL)
		(void)only_asks(mp->rt);
	return rt_seeded_now(mp->rt);
}

/* ---- The pool -------------------------------------------------------------------------------- */

/* It waited for a collection, which is no part of the schedule. */
static bool came_from_collector(const rt_g *gp)
{
	return gp->waitreason == RT_WAIT_GC_CYCLE || gp->waitreason == RT_WAIT_GC_ASSIST_WAIT;
}

static bool is_collector(const rt_g *gp)
{
	return gp->system && !gp->finalizes;
}

static void add(rt_seeded *sd, rt_g *gp, bool yielded)
{
	if (is_collector(gp)) {
		rt_gqueue_push(&sd->collector, gp);
		sd->ncollector++;
	} else if (came_from_collector(gp) && sd->resumes == NULL) {
		gp->waitreason = RT_WAIT_NONE;
		sd->resumes = gp;
	} else {
		if (!yielded)
			sd->yields = sd->asks = 0;
		rt_chooser_add(&sd->chooser, gp, yielded);
	}
}

static uint32_t held(const rt_seeded *sd)
{
	return sd->chooser.n + sd->ncollector + (sd->resumes != NULL);
}

static void count_locked(gort_runtime *rt)
{
	rt_seeded *sd = rt->seeded;
	uint32_t n = held(sd);

	rt_store32_rlx(&rt->sched.runqsize, rt_load32_rlx(&rt->sched.runqsize) + n - sd->counted);
	sd->counted = n;
}

/* The pool has changed. */
static void count(gort_runtime *rt)
{
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	count_locked(rt);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

/* Those that yielded, the oldest first. They hang in the other order. */
static void gather_yielded(rt_seeded *sd, rt_p *pp)
{
	rt_g *gp = rt_yielded_take(pp), *first = NULL, *next;

	for (; gp != NULL; gp = next) {
		next = gp->schedlink;
		gp->schedlink = first;
		first = gp;
	}
	for (; first != NULL && rt_chooser_fits(&sd->chooser); first = next) {
		next = first->schedlink;
		add(sd, first, true);
	}
	for (; first != NULL; first = next) { /* no memory */
		next = first->schedlink;
		rt_yielded_put(pp, first);
	}
}

/* From the queues into the pool. False: it has no room for another one. What it has no room for stays there, and comes
 * when there is. */
static bool gather(gort_runtime *rt, rt_p *pp)
{
	rt_seeded *sd = rt->seeded;
	rt_sched *sc = &rt->sched;
	bool inherit;
	rt_g *gp;

	if (RT_UNLIKELY(rt_load32_acq(&sd->renew)))
		renew(rt, pp);
	while (rt_chooser_fits(&sd->chooser) && (gp = rt_runq_get_alone(pp, &inherit)) != NULL)
		add(sd, gp, false);
	if (rt_loadptr_rlx(&pp->yielded) != NULL)
		gather_yielded(sd, pp);
	if (rt_load32_rlx(&sc->runqsize) == sd->counted && held(sd) == sd->counted)
		return rt_chooser_fits(&sd->chooser);
	rt_lock(&sc->lock, RT_RANK_sched);
	while (rt_chooser_fits(&sd->chooser) && (gp = rt_gqueue_pop(&sc->runq)) != NULL) {
		add(sd, gp, false);
		rt_store32_rlx(&sc->runqsize, rt_load32_rlx(&sc->runqsize) - 1);
	}
	count_locked(rt);
	rt_unlock(&sc->lock, RT_RANK_sched);
	return rt_chooser_fits(&sd->chooser);
}

/* ---- Choices --------------------------------------------------------------------------------- */

/* Goroutines run all the time, and nobody waits for descriptors. One that is alone makes no steps. */
static void poll_by_turn(rt_m *mp)
{
	rt_seeded *sd = mp->rt->seeded;
	uint64_t moment = sd->chooser.step + ++sd->turns;

	if (RT_LIKELY(rt_load32_rlx(&mp->rt->sched.pollwaiters) == 0) || moment < sd->polled + POLL_TURN)
		return;
	sd->polled = moment;
	(void)rt_poll_now(mp);
}

/* Only yielders have run for long: they wait for time to pass. */
static bool only_yields(rt_seeded *sd)
{
	return ++sd->yields > YIELDS && sd->chooser.n > 0;
}

rt_g *rt_seeded_next(rt_m *mp)
{
	gort_runtime *rt = mp->rt;
	rt_seeded *sd = rt->seeded;
	rt_g *gp;

	poll_by_turn(mp);
	(void)gather(rt, mp->p);
	if (RT_UNLIKELY(only_yields(sd)) && rt_seeded_jump(rt)) {
		sd->yields = 0;
		rt_timers_run(mp->p, rt_seeded_now(rt));
		(void)gather(rt, mp->p);
	}
	if ((gp = rt_gqueue_pop(&sd->collector)) != NULL)
		sd->ncollector--;
	else if ((gp = sd->resumes) != NULL)
		sd->resumes = NULL;
	else
		gp = rt_chooser_next(&sd->chooser, NULL);
	if (held(sd) != sd->counted)
		count(rt);
	return gp;
}

/* gp was interrupted. If another one was, too (it came out of a system call meanwhile), it waits like all. */
static void resume(gort_runtime *rt, rt_g *gp)
{
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	if (rt->seeded->resumes == NULL)
		rt->seeded->resumes = gp;
	else
		rt_globq_put_locked(rt, gp);
	count_locked(rt);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

bool rt_seeded_resume_locked(gort_runtime *rt, rt_g *gp)
{
	if (rt->seeded == NULL || rt->seeded->resumes != NULL)
		return false;
	rt->seeded->resumes = gp;
	count_locked(rt);
	return true;
}

/* On g0: gp stops here, and mp->commitarg runs. */
static void switch0(rt_m *mp, rt_g *gp)
{
	rt_seeded *sd = mp->rt->seeded;

	rt_count64_owner(&mp->p->preempted, 1);
	RT_TRACE(mp, SCHED, GO_YIELD, gp, 1, 0, 0);
	gp->m = NULL;
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	rt_chooser_add(&sd->chooser, gp, false); /* in the place of the other one */
	resume(mp->rt, mp->commitarg); /* not mp->nextg: mp may be wired to gp, and another thread runs it */
}

/* On g0: the scheduler has something to do that is no choice; then gp goes on. */
static void aside0(rt_m *mp, rt_g *gp)
{
	rt_seeded *sd = mp->rt->seeded;

	RT_TRACE(mp, SCHED, GO_YIELD, gp, 2, 0, 0);
	gp->m = NULL;
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	if (!is_collector(gp)) {
		resume(mp->rt, gp);
		return;
	}
	rt_gqueue_push(&sd->collector, gp);
	sd->ncollector++;
	count(mp->rt);
}

/* Instead of gp, which runs, or gp. */
static rt_g *choose(rt_seeded *sd, rt_g *gp)
{
	rt_g *next = sd->resumes;

	sd->resumes = NULL;
	return next != NULL ? next : rt_chooser_next(&sd->chooser, gp);
}

/* On g0: timers are due, and those that they wake are part of the choice. */
static void timers0(rt_m *mp, rt_g *gp)
{
	gort_runtime *rt = mp->rt;
	rt_g *next;

	rt_timers_run(mp->p, rt_seeded_now(rt));
	next = gp;
	if (gather(rt, mp->p) && rt->seeded->ncollector == 0)
		next = choose(rt->seeded, gp);
	if (next == gp) {
		aside0(mp, gp);
		return;
	}
	mp->commitarg = next;
	switch0(mp, gp);
}

/* The runtime wants this goroutine aside for a moment, before it makes the choice that it would have made. */
static bool wanted_aside(rt_m *mp, rt_g *gp)
{
	gort_runtime *rt = mp->rt;

	if (RT_UNLIKELY(rt_load32_acq(&rt->sched.gcwaiting) || rt_run_leaving(mp) || rt_seeded_ends(rt)))
		return true;
	return rt->seeded->ncollector > 0 && !is_collector(gp);
}

void rt_seeded_point(rt_m *mp)
{
	gort_runtime *rt = mp->rt;
	rt_seeded *sd = rt->seeded;
	rt_g *gp = mp->curg, *next;
	bool fits;

	fits = gather(rt, mp->p);
	while (wanted_aside(mp, gp)) {
		rt_mcall(mp, aside0);
		mp = rt_self();
		fits = gather(rt, mp->p);
	}
	if (!fits || is_collector(gp))
		return;
	if (RT_UNLIKELY(only_asks(rt)) && rt_load32_rlx(&rt->sched.pollwaiters) > 0) {
		rt_mcall(mp, aside0); /* what it asks for may come from outside */
		mp = rt_self();
	}
	if (RT_UNLIKELY((int64_t)rt_load64_rlx(&mp->p->timers.next) <= rt_seeded_now(rt))) {
		rt_mcall(mp, timers0);
		return;
	}
	next = choose(sd, gp);
	if (next == gp)
		return;
	mp->commitarg = next;
	rt_mcall(mp, switch0);
}
