/* cycle.c: one collection from its beginning to its end.
 *
 *   IDLE --- request ---> sweep what is left of the last --- stop ---> MARK --- nothing left, stop
 *        ---> IDLE, sweeping
 *
 * A collection is driven by one goroutine of the runtime, the controller. It is made at the first
 * request in a run and ends with it; between collections it parks: sweeping is done by those who
 * allocate, in proportion, and by Ps without work. Those who want a collection set `want` and wake
 * it; those who wait for one lie in gc->waiters.
 *
 *   1. Finish sweeping, with the world running.
 *   2. Stop the world: pools age, caches drop their tiny blocks, page marks are cleared, pool roots
 *      are greyed, the
 *      barrier goes on (rt.gcmark), root jobs are counted. Start it. No stack is scanned in the pause: roots.c.
 *   3. Ps without work, those that owe a share, and allocations mark (assist.c). The controller
 *      waits until nothing is to be seen.
 *   4. Stop the world: empty every P's barrier buffer and queue, look at what threads without a P
 *      have started. If that is more than
 *      a little, start the world and go on with 3.
 *   5. Barrier off, new sweepgen, the pacer learns. Start the world. If somebody waits for that, sweep.
 *
 * The collector `stw` does the same without starting the world between 2 and 5, and its allocations
 * wait for the end. `none` never begins.
 *
 * Why 4 is right. Marking is over when no object is grey: none in a buffer on the shared list, in a
 * P's queue, or, not yet looked up, in a P's barrier buffer; and every goroutine that existed at 2
 * has been scanned. The shared list and the jobs are seen to be done before, but a P may add to its
 * own at any time while it runs; with the world stopped nobody does. `active` being 0 is only a
 * reason to try.
 *
 * If the run ends in between, the controller is dropped with everybody else and marking is broken
 * off (rt_gc_drop): old mark bits are cleared when the next collection begins.
 *
 * A trace is told while the world is stopped: GC_BEGIN in 2, MARK_TERM and GC_END in 5. So who starts one, which stops
 * the world, finds that a collection is in progress, or that none is (rt_gc_in_progress), and every GC_END has its
 * GC_BEGIN. A collection that is broken off ends in a trace, too, without MARK_TERM; the next one has its number, for
 * it never was.
 */
#include "core/gc/figures.h"
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

#include <stdlib.h>

#define TURN (10 * GORT_MILLISECOND)
enum { SWEEP_BATCH = 10, LAST_TRIES = 8, MARKS = 100 };
#define LITTLE ((uint64_t)8 << 10) /* scan work that is done in the second pause at once: some 40 us */

static const rt_collector collectors[] = {
	{ "concurrent", true, true }, { "stw", true, false }, { "none", false, false },
};

static const rt_collector *find(const char *name)
{
	for (size_t i = 0; i < RT_NELEM(collectors); i++)
		if (strcmp(collectors[i].name, name) == 0)
			return &collectors[i];
	return NULL;
}

bool rt_collector_known(const char *name)
{
	return find(name) != NULL;
}

/* ---- The controller and those who want something of it ---------------------------------------------- */

static void control(void *arg);

static void wake_controller(rt_gc *gc)
{
	if (rt_cas32_full(&gc->control, RT_CTL_PARKED, RT_CTL_AWAKE))
		rt_goready(gc->controller);
}

static void make_controller(rt_gc *gc)
{
	rt_m *mp = rt_self();

	if (!rt_cas32_full(&gc->control, RT_CTL_NONE, RT_CTL_AWAKE))
		return;
	if (rt_newproc(gc->rt, mp, &rt_system_attr, control, gc, NULL) != 0) {
		rt_store32_rel(&gc->control, RT_CTL_NONE);
		rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
	}
}

void rt_gc_request(rt_gc *gc)
{
	make_controller(gc);
	rt_xchg32_full(&gc->want, 1);
	wake_controller(gc);
}

static void unlink_waiter(rt_waiter *w) /* world stopped */
{
	rt_gc *gc = w->on;
	rt_waiter **at = &gc->waiters;

	while (*at != NULL && *at != w)
		at = &(*at)->next;
	if (*at == w)
		*at = w->next;
}

static bool wait_for_cycle(rt_g *gp, void *arg)
{
	rt_gc *gc = arg;

	(void)gp;
	rt_unlock(&gc->ctl, RT_RANK_gcctl);
	wake_controller(gc);
	return true;
}

/* Holds gc->ctl, which it gives back. w->ticket: the collection; w->elem: it must be swept, too. */
static void wait_locked(rt_gc *gc, uint32_t which, bool swept, uint8_t reason)
{
	rt_g *gp = rt_curg();
	rt_waiter w;

	rt_waiter_begin(gp, &w, RT_UNTIMED);
	w.on = gc;
	w.unlink = unlink_waiter;
	w.elem = swept ? gc : NULL;
	w.ticket = which;
	w.next = gc->waiters;
	gc->waiters = &w;
	rt_gopark(wait_for_cycle, gc, reason, NULL);
	(void)rt_waiter_end(gp, &w);
}

void rt_gc_wait(rt_gc *gc, bool swept)
{
	if (rt_g_released(rt_curg()))
		return;
	make_controller(gc);
	rt_lock(&gc->ctl, RT_RANK_gcctl);
	rt_xchg32_full(&gc->want, 1);
	wait_locked(gc, rt_load32_rlx(&gc->started) + 1, swept, RT_WAIT_GC_CYCLE);
}

/* The end comes with the world stopped, and who waits is readied later under the lock. */
void rt_gc_wait_marked(rt_gc *gc)
{
	uint32_t which;

	if (rt_g_released(rt_curg()))
		return;
	rt_lock(&gc->ctl, RT_RANK_gcctl);
	which = rt_load32_rlx(&gc->started);
	if (rt_load32_rlx(&gc->ended) == which)
		rt_unlock(&gc->ctl, RT_RANK_gcctl);
	else
		wait_locked(gc, which, false, RT_WAIT_GC_ASSIST_WAIT);
}

/* Not between gort_pin and gort_unpin. */
static bool may_park(const rt_m *mp)
{
	return mp->locks == 1 && mp->curg != NULL;
}

void rt_gc_force(gort_runtime *rt, const char *who)
{
	if (RT_UNLIKELY(!may_park(rt_self())))
		rt_misuse(who, "called between gort_pin and gort_unpin");
	if (!rt->gc->kind->collects)
		return;
	rt_store32_rlx(&rt->gc->force, 1);
	rt_gc_wait(rt->gc, true);
}

/* Those for whom collection `n` was the one. */
static void wake_waiters(rt_gc *gc, uint32_t n, bool swept)
{
	rt_waiter *due = NULL, *w, **at;

	rt_lock(&gc->ctl, RT_RANK_gcctl);
	for (at = &gc->waiters; (w = *at) != NULL;) {
		if ((int32_t)(n - w->ticket) < 0 || (w->elem != NULL && !swept)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = due;
		due = w;
	}
	rt_unlock(&gc->ctl, RT_RANK_gcctl);
	while ((w = due) != NULL) { /* gone as soon as its goroutine runs */
		due = w->next;
		w->success = true;
		rt_goready(w->g);
	}
}

static bool stress_due(rt_gc *gc)
{
	rt_self()->p->gc->mc.grown = true; /* the next allocation comes here, too */
	if (rt_add32_full(&gc->stressed, 1) + 1 < (uint32_t)gc->stress)
		return false;
	rt_store32_rlx(&gc->stressed, 0);
	return true;
}

void rt_gc_trigger(rt_gc *gc)
{
	if (gc->stress > 0 && !stress_due(gc) &&
	    rt_load64_rlx(&gc->heap.live) < rt_load64_rlx(&gc->trigger))
		return;
	if (rt_load32_rlx(&gc->rt->gcmark) != 0) {
		rt_gc_repace(gc);
		return;
	}
	/* The program has its turn. Not if GOGC says when: its bound on the heap holds however slow the machine is. */
	if (rt_load32_rlx(&gc->full) && rt_load32_rlx(&gc->bylimit) && gc->stress == 0)
		return;
	if (!gc->kind->concurrent && may_park(rt_self()) && !rt_g_released(rt_curg())) {
		rt_gc_wait(gc, false);
		return;
	}
	if (rt_load32_rlx(&gc->want))
		return;
	rt_gc_request(gc);
	if (may_park(rt_self()))
		rt_goyield();
}

void rt_gc_yield_point(void)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(rt_load32_rlx(&mp->p->preempt)) && may_park(mp) && !mp->seeded)
		rt_gosched();
}

/* ---- Pauses ---------------------------------------------------------------------------------------- */

static void clear_marks(rt_gc *gc, rt_span *s, void *arg)
{
	rt_atomic64 *bits = rt_span_markbits(s);

	(void)gc, (void)arg;
	for (unsigned i = 0; i < (s->nelems + 63u) / 64; i++)
		rt_store64_rlx(&bits[i], 0);
}

static void prepare_p(rt_gcp *p)
{
	p->mc.tiny = NULL; /* its block is white, and reachable through the cache alone */
	p->mc.tinyoff = 0;
	p->credit = p->owed = 0;
	p->misses = 0;
	p->workns = 0;
	p->nwb = 0;
	rt_mcache_black_begin(&p->mc);
}

void rt_gc_next_mark(rt_gc *gc)
{
	gc->mark = (uint8_t)(2 * (gc->serial++ % MARKS) + 2);
}

/* Why it has begun, as GORT_EV_GC_BEGIN tells it. */
static uint64_t trigger_of(const rt_gc *gc)
{
	return gc->forced ? 2 : gc->timed;
}

bool rt_gc_in_progress(gort_runtime *rt, uint64_t *number, uint64_t *trigger)
{
	const rt_gc *gc = rt->gc;

	*number = rt_load32_rlx(&gc->started);
	*trigger = trigger_of(gc);
	return rt_load32_rlx(&rt->gcmark) != 0;
}

/* World stopped. */
static void begin(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;
	rt_gcp *mine = rt_self()->p->gc;
	rt_marker k = { .gc = gc, .w = &mine->w };

	rt_xchg32_full(&gc->want, 0); /* who asked before gets this one */
	gc->forced = rt_xchg32_full(&gc->force, 0) != 0;
	gc->timed = rt_xchg32_full(&gc->bytime, 0) != 0;
	rt_lock(&gc->ctl, RT_RANK_gcctl);
	rt_add32_full(&gc->started, 1);
	rt_unlock(&gc->ctl, RT_RANK_gcctl);
	rt->up.pool_cleanup(rt);
	if (gc->dirty)
		rt_gc_each_span(gc, clear_marks, NULL);
	gc->dirty = false;
	rt_mark_begin(&gc->heap);
	for (int i = 0; i < rt->sched.nallp; i++)
		prepare_p(rt->sched.allp[i]->gc);
	rt_store64_rlx(&gc->marked, 0);
	rt_store64_rlx(&gc->heap_scan, 0);
	rt_store64_rlx(&gc->stack_scan, 0);
	rt_store64_rlx(&gc->globals_scan, 0);
	rt_store64_rlx(&gc->credit, 0);
	gc->assist0 = (int64_t)rt_load64_rlx(&gc->assist_ns);
	gc->idle0 = (int64_t)rt_load64_rlx(&gc->idle_ns);
	gc->worker0 = (int64_t)rt_load64_rlx(&gc->worker_ns);
	rt_store32_rlx(&gc->overflow, 0);
	rt_gc_next_mark(gc);
	gc->workers = rt_pacer_workers_for(rt_gomaxprocs(rt));
	gc->live0 = rt_load64_rlx(&gc->heap.live);
	gc->pacer.triggered = gc->live0;
	rt_roots_prepare(&k);
	rt_gc_tell(&k);
	rt_gcw_dispose(&gc->pool, &mine->w);
	if (RT_UNLIKELY(gc->compares))
		rt_shadow_begin(gc);
	rt_store32_rel(&rt->gcmark, gc->mark);
	rt_store32_rel(&rt->gcbusy, 1);
	RT_TRACE(rt_self(), GC, GC_BEGIN, gc->controller, rt_load32_rlx(&gc->started), trigger_of(gc), 0);
	rt_gc_repace(gc);
	gc->cyclegoal = rt_load64_rlx(&gc->goal);
}

static void tell_black(rt_gc *gc, rt_gcp *p)
{
	rt_mcache_black_flush(&p->mc);
	rt_add64_full(&gc->marked, p->mc.blackbytes);
	p->mc.blackbytes = 0;
}

/* World stopped: what every P holds. */
static void flush_all(rt_gc *gc)
{
	rt_sched *sc = &gc->rt->sched;

	for (int i = 0; i < sc->nallp; i++) {
		rt_gcp *p = sc->allp[i]->gc;

		rt_wb_flush(gc, p);
		rt_gcw_dispose(&gc->pool, &p->w);
		tell_black(gc, p);
	}
}

/* World stopped. True: nothing is grey any more. */
static bool finished(rt_gc *gc, bool all)
{
	rt_gcp *mine = rt_self()->p->gc;
	rt_marker k = { .gc = gc, .w = &mine->w };

	flush_all(gc);
	rt_roots_late(&k);
	if (gc->kind->concurrent)
		(void)rt_gc_drain(&k, all ? UINT64_MAX : LITTLE, NULL, NULL);
	else
		rt_mark_together(&k);
	if (!all && (!rt_gcw_empty(&mine->w) || !rt_gc_nothing_left(gc))) {
		rt_gcw_dispose(&gc->pool, &mine->w);
		return false;
	}
	rt_gc_rescan(&k);
	rt_gc_tell(&k);
	rt_gcw_dispose(&gc->pool, &mine->w);
	return true;
}

/* What this collection has taken so far. */
static int64_t assists(rt_gc *gc)
{
	return (int64_t)rt_load64_rlx(&gc->assist_ns) - gc->assist0;
}

static int64_t idle(rt_gc *gc)
{
	return (int64_t)rt_load64_rlx(&gc->idle_ns) - gc->idle0;
}

static void learn(rt_gc *gc)
{
	rt_pacer_cycle c = { .heap_live = gc->live1, .heap_scan = rt_load64_rlx(&gc->heap_scan),
		             .stack_scan = rt_load64_rlx(&gc->stack_scan),
		             .globals_scan = rt_load64_rlx(&gc->globals_scan),
		             .marked = rt_load64_rlx(&gc->marked),
		             .duration = be_nanotime() - gc->stopped,
		             .assist = assists(gc), .idle = idle(gc), .procs = rt_gomaxprocs(gc->rt),
		             .forced = gc->forced };
	uint64_t trigger;

	gc->lastgoal = rt_load64_rlx(&gc->goal);
	gc->lastinuse = rt_load64_rlx(&gc->heap.inuse);
	rt_pacer_end(&gc->pacer, &c);
	rt_pacer_commit(&gc->pacer, c.marked, false);
	rt_gc_count_outside(gc);
	rt_gc_repace(gc);
	rt_gc_pace_scavenger(gc);
	trigger = rt_load64_rlx(&gc->trigger);
	rt_sweep_pace(&gc->heap, rt_pacer_sweep(rt_sweep_pages(&gc->heap), c.marked, trigger, RT_PAGE));
}

/* World stopped, nothing is grey. */
static void end(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;

	RT_TRACE(rt_self(), GC, MARK_TERM, gc->controller, rt_load32_rlx(&gc->started), 0, 0);
	if (RT_UNLIKELY(gc->check))
		rt_gc_check(gc);
	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	gc->rootmark = false;
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	rt_store32_rel(&rt->gcmark, 0);
	gc->live1 = rt_load64_rlx(&gc->heap.live);
	if (gc->live1 > gc->peak)
		gc->peak = gc->live1;
	rt_workpool_reset(&gc->pool);
	rt_sweep_begin(&gc->heap);
	gc->fin.stopped = true;
	for (int i = 0; i < rt->sched.nallp; i++) {
		rt_mcache_black_end(&rt->sched.allp[i]->gc->mc);
		(void)rt_mcache_prepare(&rt->sched.allp[i]->gc->mc);
	}
	gc->fin.stopped = false;
	rt_store64_rlx(&gc->heap.live, rt_load64_rlx(&gc->marked));
	RT_TRACE(rt_self(), HEAP, HEAP_LIVE, gc->controller, rt_load64_rlx(&gc->heap.live), 0, 0);
	rt_store64_rlx(&gc->heap.scannable, 0);
	learn(gc);
	rt_store32_rel(&gc->ended, rt_load32_rlx(&gc->started));
	rt_store64_rlx(&gc->last, (uint64_t)be_nanotime());
	RT_TRACE(rt_self(), GC, GC_END, gc->controller, rt_load32_rlx(&gc->started), rt_load64_rlx(&gc->marked), 0);
}

/* ---- The controller's loop -------------------------------------------------------------------------- */

static rt_mcache *my_cache(void)
{
	return &rt_self()->p->gc->mc;
}

/* True: there is no span left. */
static bool sweep_some(rt_gc *gc, int n)
{
	while (n-- > 0)
		if (rt_sweep_one(&gc->heap, my_cache()) == SIZE_MAX)
			return true;
	return false;
}

/* The controller's own turn, and not what was left of its waker's: who yields waits for whole turns of others, and the
 * heap grows meanwhile. */
static bool turn_is_over(int64_t since)
{
	const rt_m *mp = rt_self();

	return RT_UNLIKELY(rt_load32_rlx(&mp->p->preempt)) &&
	       (rt_load32_rlx(&mp->rt->sched.gcwaiting) || be_nanotime() - since >= TURN);
}

static void yield_after_turn(int64_t *since)
{
	if (!turn_is_over(*since))
		return;
	rt_gosched();
	*since = be_nanotime();
}

static void sweep_all(rt_gc *gc)
{
	int64_t since = be_nanotime();

	rt_stretch_begin(&gc->heap, my_cache());
	while (!sweep_some(gc, SWEEP_BATCH)) {
		if (!turn_is_over(since))
			continue;
		rt_stretch_end(&gc->heap, my_cache());
		rt_gosched();
		since = be_nanotime();
		rt_stretch_begin(&gc->heap, my_cache());
	}
	rt_stretch_end(&gc->heap, my_cache());
	/* Others finish their span, in microseconds if they have a CPU. Rejected: to be readied by the last; it would
	 * have to look for us whenever a span is swept. */
	for (since = be_nanotime(); !rt_sweep_done(&gc->heap);) {
		be_thread_yield();
		yield_after_turn(&since);
	}
}

static bool until_quiet(rt_g *gp, void *arg)
{
	rt_gc *gc = arg;

	(void)gp;
	rt_xchg32_full(&gc->waiting, 1);
	rt_fence_after_rmw(); /* pairs with the fence in rt_marker_leave */
	return !(rt_load32_rlx(&gc->active) == 0 && rt_gc_nothing_left(gc) &&
	         rt_cas32_full(&gc->waiting, 1, 0));
}

static bool stops(void *arg)
{
	rt_m *mp = rt_self();

	(void)arg;
	return rt_load32_rlx(&mp->p->preempt) != 0;
}

/* In between, as any worker. */
static void help(rt_gc *gc)
{
	rt_marker k = { .gc = gc, .w = &rt_self()->p->gc->w };

	rt_marker_enter(gc);
	(void)rt_gc_drain(&k, UINT64_MAX, stops, NULL);
	rt_gcw_dispose(&gc->pool, k.w);
	(void)rt_marker_leave(gc);
}

static void mark_concurrently(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;

	for (int try = 1;; try++) {
		int64_t since;

		rt_gopark(until_quiet, gc, RT_WAIT_GC_WORKER, NULL);
		since = be_nanotime();
		rt_stop_world(rt, RT_STW_GC_END);
		if (finished(gc, try >= LAST_TRIES)) {
			gc->pause2 = since;
			return;
		}
		rt_start_world(rt);
		help(gc);
		rt_gc_yield_point();
	}
}

/* Static data, while the world runs and marking is on: no marking ends before. */
static void read_data(rt_gc *gc)
{
	while (!rt_data_settled(gc))
		rt_gosched();
	rt_data_ask(gc, true, rt_data_mark, NULL);
	while (!rt_data_done(gc)) {
		help(gc);
		rt_gosched();
	}
}

/* With the world stopped all through: it is stopped when the loader's lock is had. */
static void stop_for_data(rt_gc *gc)
{
	for (int try = 0;; try++) {
		while (!rt_data_settled(gc))
			rt_gosched();
		rt_stop_world(gc->rt, RT_STW_GC_BEGIN);
		if (rt_data_hold(gc, try, rt_data_mark, NULL))
			return;
		rt_start_world(gc->rt);
	}
}

static void stop_for_marking(rt_gc *gc)
{
	if (gc->data.on && !gc->kind->concurrent)
		stop_for_data(gc);
	else
		rt_stop_world(gc->rt, RT_STW_GC_BEGIN);
}

int rt_gc_cpus(const rt_gc *gc)
{
	int procs = rt_gomaxprocs(gc->rt);

	return procs < gc->cpus ? procs : gc->cpus;
}

int64_t rt_gc_cpu(const rt_gc *gc)
{
	return gc->pausecpu + (int64_t)(rt_load64_rlx(&gc->assist_ns) + rt_load64_rlx(&gc->worker_ns));
}

static void remember(rt_gc *gc, int64_t now)
{
	uint32_t at = (rt_load32_rlx(&gc->ended) - 1) % RT_GC_PAUSES;

	rt_add64_full(&gc->pause_ns, (uint64_t)(gc->pause1 + gc->pause2));
	gc->pausecpu += (gc->pause1 + gc->pause2) * rt_gc_cpus(gc);
	gc->pauses[at] = (uint64_t)(gc->pause1 + gc->pause2);
	gc->pauseends[at] = (uint64_t)be_walltime();
	gc->nforced += gc->forced;
}

static void cycle(rt_gc *gc)
{
	gort_runtime *rt = gc->rt;
	int64_t now;

	sweep_all(gc);
	rt_scav_cycle(&gc->heap); /* before the end, from which on pages are looked for anew */
	gc->began = be_nanotime();
	stop_for_marking(gc);
	begin(gc);
	gc->stopped = gc->pause2 = be_nanotime();
	gc->pause1 = gc->stopped - gc->began;
	if (gc->kind->concurrent) {
		rt_start_world(rt);
		if (gc->data.on)
			read_data(gc);
		mark_concurrently(gc);
	} else {
		if (gc->data.on)
			rt_data_go(gc);
		(void)finished(gc, true);
	}
	end(gc);
	now = rt_start_world(rt);
	rt_fin_wake(gc);
	rt_workpool_trim(&gc->pool); /* nobody but us begins the next */
	gc->pause2 = now - gc->pause2;
	remember(gc, now);
	rt_gctrace(gc, now);
}

static bool rest(rt_g *gp, void *arg)
{
	rt_gc *gc = arg;

	(void)gp;
	rt_store32_rel(&gc->control, RT_CTL_PARKED);
	rt_fence_full(); /* pairs with the exchange in rt_gc_request */
	return !(rt_load32_rlx(&gc->want) && rt_cas32_full(&gc->control, RT_CTL_PARKED, RT_CTL_AWAKE));
}

static void control(void *arg)
{
	rt_gc *gc = arg;

	(void)RT_ENTER(); /* for ever: it is not preempted in place */
	gc->controller = rt_curg();
	rt_storeptr_rlx(&gc->rt->sched.urgent, gc->controller);
	for (;;) {
		if (rt_load32_acq(&gc->want)) {
			cycle(gc);
			if (gc->forced)
				sweep_all(gc);
			wake_waiters(gc, rt_load32_rlx(&gc->ended), gc->forced);
		} else {
			rt_gopark(rest, gc, RT_WAIT_GC_WORKER, NULL);
		}
	}
}

/* ---- Up-calls and life ------------------------------------------------------------------------------ */

/* World stopped; all goroutines of the run are gone, the controller with them. */
void rt_gc_drop(gort_runtime *rt)
{
	rt_gc *gc = rt->gc;
	rt_g *controller = gc->controller;

	rt_store32_rlx(&gc->control, RT_CTL_NONE);
	rt_store32_rlx(&gc->want, 0);
	rt_store32_rlx(&gc->force, 0);
	rt_store32_rlx(&gc->bytime, 0);
	rt_store32_rlx(&gc->waiting, 0);
	gc->controller = NULL;
	rt_storeptr_rlx(&rt->sched.urgent, NULL);
	rt_data_drop(gc);
	rt_fin_drop(gc);
	if (rt_load32_rlx(&rt->gcmark) == 0)
		return;
	rt_store32_rel(&rt->gcmark, 0);
	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	gc->rootmark = false;
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	for (int i = 0; i < rt->sched.nallp; i++) {
		rt->sched.allp[i]->gc->w = (rt_gcw){ 0 };
		rt_mcache_black_end(&rt->sched.allp[i]->gc->mc);
		rt->sched.allp[i]->gc->nwb = 0;
	}
	rt_workpool_reset(&gc->pool);
	gc->pacer.triggered = UINT64_MAX;
	gc->dirty = true;
	if (rt_traced(rt, GORT_TRACE_GC))
		rt_trace_emit_stopped(rt, GORT_EV_GC_END, controller, rt_load32_rlx(&gc->started),
		                      rt_load64_rlx(&gc->marked));
	rt_store32_rlx(&gc->started, rt_load32_rlx(&gc->ended)); /* it never was */
	rt_gc_repace(gc);
}

static void tell(rt_mheap *h, unsigned event, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const rt_gc *gc = h->hooks.data;

	rt_trace_emit_here(gc->rt, event, a0, a1, a2);
}

static size_t p_bytes(void)
{
	return rt_sys_round(sizeof(rt_gcp));
}

static bool p_new(gort_runtime *rt, rt_p *pp)
{
	pp->gc = rt_sys_alloc(&rt->gc->heap.mem, p_bytes(), RT_MEM_META);
	if (pp->gc == NULL)
		return false;
	rt_mcache_init(&pp->gc->mc, &rt->gc->heap);
	pp->gc->mc.grown = rt->gc->stress > 0;
	if (rt_load32_rlx(&rt->gcmark) != 0)
		rt_mcache_black_begin(&pp->gc->mc);
	pp->gc->bitmap_max = rt->gc->types ? 0 : RT_BITMAP_MAX;
	pp->gc->scan_min = rt->debug.heaptypes ? 0 : 1;
	return true;
}

/* World stopped. Its alarms have gone to the first P, whose heap may have been looked at. */
static void p_flush(gort_runtime *rt, rt_p *pp)
{
	rt_gc *gc = rt->gc;

	if (rt_load32_rlx(&rt->gcmark) != 0) {
		rt_wb_flush(gc, pp->gc);
		rt_roots_alarms(gc, &pp->gc->w, rt->sched.allp[0]);
		rt_gcw_dispose(&gc->pool, &pp->gc->w);
		tell_black(gc, pp->gc);
	}
	rt_mcache_flush(&pp->gc->mc);
}

static void p_free(gort_runtime *rt, rt_p *pp)
{
	rt_sys_release(&rt->gc->heap.mem, pp->gc, p_bytes(), RT_MEM_META);
	pp->gc = NULL;
}

int rt_heap_init(gort_runtime *rt)
{
	const rt_collector *kind = find(rt->cfg.collector);
	rt_gc *gc;

	if (kind == NULL)
		return GORT_EINVAL;
	gc = calloc(1, sizeof *gc); /* on the host's thread, at boot */
	if (gc == NULL)
		return GORT_ENOMEM;
	rt_mheap_init(&gc->heap, &rt->debug);
	gc->rt = rt;
	gc->kind = kind;
	gc->stress = kind->collects ? rt->debug.gcstress : 0;
	gc->check = rt->debug.gccheckmark != 0;
	gc->types = gc->check || rt->debug.heaptypes != 0;
	gc->cpus = be_ncpu(); /* once, as Go: it is a system call, and collections may come every 30 us */
	gc->compares = rt->debug.gccheckmark == 1 && kind->concurrent;
	gc->valgrind = rt_valgrind_runs();
	gc->heap.clobberfree = rt->debug.clobberfree != 0;
	gc->heap.hooks = (rt_heaphooks){ rt_specials_sweep, tell, &rt->trace.groups, gc };
	rt->gc = gc;
	rt_workpool_init(&gc->pool, &rt->debug);
	rt_roots_init(gc);
	rt_store64_rlx(&gc->heap.limit, (uint64_t)rt->cfg.memory_limit);
	rt_store64_rlx(&gc->last, (uint64_t)be_nanotime());
	rt_pacer_init(&gc->pacer, rt->cfg.gc_percent, (uint64_t)rt->cfg.memory_limit);
	rt_gc_repace(gc);
	rt_gc_pace_scavenger(gc);
	rt_scavworker_init(&gc->scavworker, be_nanotime());
	rt_limiter_init(&gc->limiter, be_nanotime());
	rt->up.p_new = p_new;
	rt->up.p_flush = p_flush;
	rt->up.p_free = p_free;
	rt->up.gc_scan = rt_roots_scan;
	rt->up.gc_born = rt_roots_born;
	rt->up.gc_shade = rt_gc_shade;
	rt->up.gc_work = rt_gc_work;
	rt->up.gc_any = rt_gc_any;
	rt->up.gc_gone = rt_fin_gone;
	rt->up.gc_drop = rt_gc_drop;
	rt->up.gc_tick = rt_gc_tick;
	return 0;
}

void rt_heap_fini(gort_runtime *rt)
{
	rt_gc *gc = rt->gc;

	if (gc == NULL)
		return;
	rt_workpool_fini(&gc->pool);
	rt_snapshots_fini(gc);
	rt_roots_fini(gc);
	rt_shadow_fini(gc);
	rt_mheap_fini(&gc->heap);
	free(gc);
	rt->gc = NULL;
}
