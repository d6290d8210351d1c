/* runtime.c: the life of a runtime: boot order, run, stop, tear-down, fork.
 *
 * The process keeps a list of its live runtimes, so that a second gort_runtime_free, or a call after it, is an error
 * and not a crash. The child of a fork has only the forking thread: its copies of runtimes are dead
 * (forkgen differs) and can only be freed, which gives memory back and joins nobody.
 *
 * Boot: fixed-size records, stacks, heap, semaphores, Ps. Threads start when there is work.
 */
#include "core/api/config.h"
#include "core/builtin/panic.h"
#include "core/gc/gc.h"
#include "core/net/fd.h"
#include "core/sched/seeded.h"
#include "core/sync/chan.h"
#include "core/sync/group.h"
#include "core/sync/pool.h"
#include "core/sync/sema.h"
#include "core/watch/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	rt_mutex lock;       /* rank registry */
	/* guarded by lock */
	gort_runtime *live;
	bool hooked;
	rt_atomic64 forkgen; /* +1 in the child of each fork; read without the lock */
} process;

/* In the child of a fork; only the forking thread exists. */
static void forked(void)
{
	rt_store64_rlx(&process.forkgen, rt_load64_rlx(&process.forkgen) + 1);
	rt_store32_rlx(&process.lock.key, 0); /* its holder, if any, is gone */
	rt_self_set(NULL);
}

static bool same_process(gort_runtime *rt)
{
	return rt->forkgen == rt_load64_rlx(&process.forkgen);
}

static gort_runtime **find_locked(gort_runtime *rt)
{
	gort_runtime **at = &process.live;

	while (*at != NULL && *at != rt)
		at = &(*at)->next;
	return at;
}

uint64_t rt_forks(void)
{
	return rt_load64_rlx(&process.forkgen);
}

/* rt, if it lives, stays until leave: for calls that others may overtake, who end its run and free it. Such a call is
 * short: it blocks on nothing but locks, and holds its M all the time: a goroutine that was dropped in between would be
 * waited for ever. 0, GORT_EINVAL, GORT_EFORKED. */
static int visit(gort_runtime *rt)
{
	rt_m *self = rt_hold();
	int r = GORT_EINVAL;

	rt_lock(&process.lock, RT_RANK_registry);
	if (rt != NULL && *find_locked(rt) != NULL)
		r = same_process(rt) ? 0 : GORT_EFORKED;
	if (r == 0)
		rt_store32_rlx(&rt->visitors, rt_load32_rlx(&rt->visitors) + 1);
	rt_unlock(&process.lock, RT_RANK_registry);
	rt_unhold(self);
	return r;
}

static void leave(gort_runtime *rt)
{
	rt_m *self = rt_hold();
	uint32_t left;

	rt_lock(&process.lock, RT_RANK_registry);
	left = rt_load32_rlx(&rt->visitors) - 1;
	rt_store32_rel(&rt->visitors, left); /* the last that is seen of rt here */
	rt_unlock(&process.lock, RT_RANK_registry);
	if (left == 0)
		be_thread_wake(&rt->visitors, INT32_MAX);
	rt_unhold(self);
}

/* It is on the list no more: nobody comes. */
static void wait_for_visitors(gort_runtime *rt)
{
	uint32_t n;

	while ((n = rt_load32_acq(&rt->visitors)) != 0)
		(void)be_thread_park(&rt->visitors, n, -1);
}

int rt_runtime_alive(gort_runtime *rt)
{
	rt_m *self = rt_hold();
	bool live;

	rt_lock(&process.lock, RT_RANK_registry);
	live = rt != NULL && *find_locked(rt) != NULL;
	rt_unlock(&process.lock, RT_RANK_registry);
	rt_unhold(self);
	if (!live)
		return GORT_EINVAL;
	return same_process(rt) ? 0 : GORT_EFORKED;
}

/* ---- Boot and tear-down --------------------------------------------------------------------- */

static void sched_init(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt->born = be_nanotime();
	rt_store64_rlx(&sc->coarse, (uint64_t)be_nanotime());
	rt_store64_rlx(&sc->goidgen, 2); /* 1 is main, in every run */
	rt_fixalloc_init(&sc->gs, 3 * RT_CACHELINE, &rt->debug);
	rt_fixalloc_together(&sc->gs); /* rt_g_ref */
	rt_fixalloc_init(&sc->ms, sizeof(rt_m) + be_context_size, &rt->debug);
	rt_fixalloc_init(&sc->names, 32, &rt->debug);
	rt_seats_init(sc, &rt->debug);
	rt_fixalloc_init(&rt->defers, RT_DEFERBLOCK_SIZE, &rt->debug);
	rt_trace_init(&rt->trace);
}

static void sched_fini(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_trace_fini(&rt->trace);
	rt_fixalloc_fini(&rt->defers);
	rt_fixalloc_fini(&sc->seatrecords);
	rt_fixalloc_fini(&sc->names);
	rt_fixalloc_fini(&sc->ms);
	rt_fixalloc_fini(&sc->gs);
	rt_text_free(&rt->error);
	rt_array_free(&rt->failed);
	be_crowd_free(&sc->cpus); /* not by sysmon, which the child of a fork does not have */
}

static int start_procs(gort_runtime *rt)
{
	int n = rt->seeded != NULL ? 1 : rt->cfg.procs > 0 ? rt->cfg.procs : be_ncpu();
	int r;

	rt_plock_choose(rt);
	r = rt_procresize(rt, n);
	if (r != 0)
		return r;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	for (int i = n - 1; i >= 0; i--)
		rt_pidle_put_locked(rt, rt->sched.allp[i]);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return 0;
}

/* Preemption in place, maker and sysmon. */
static int start_helpers(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	int r;

	if (rt->seeded != NULL)
		return 0;
	sc->inplace = be_preempt_in_place && (rt->cfg.signals & GORT_SIGNAL_PREEMPT) &&
	              !rt->debug.asyncpreemptoff && rt_preempt_acquire() == 0;
	r = rt_helpers_start(rt);
	if (r != 0 && sc->inplace)
		rt_preempt_release();
	return r;
}

static void end_helpers(gort_runtime *rt)
{
	rt_helpers_end(rt);
	if (rt->sched.inplace)
		rt_preempt_release();
}

static int boot(gort_runtime *rt)
{
	int r;

	sched_init(rt);
	r = rt_seeded_new(rt);
	if (r == 0)
		r = rt_stackpool_new(&rt->stacks, rt->cfg.stack_size, &rt->debug) == 0 ? 0 : GORT_ENOMEM;
	if (r == 0)
		r = rt_heap_init(rt);
	if (r == 0)
		r = rt_sematable_init(rt);
	if (r == 0)
		r = rt_pools_init(rt);
	if (r == 0)
		r = rt_net_init(rt);
	if (r == 0)
		r = be_netpoll_init(&rt->sched.poll) == 0 ? 0 : GORT_ENOMEM;
	if (r == 0)
		r = start_procs(rt);
	if (r == 0 && (rt->cfg.signals & GORT_SIGNAL_FAULT))
		r = rt_fault_acquire() == 0 ? 0 : GORT_ENOMEM;
	if (r != 0)
		return r;
	r = start_helpers(rt);
	if (r == 0) {
		r = rt_data_start(rt);
		if (r != 0)
			end_helpers(rt);
	}
	if (r != 0 && (rt->cfg.signals & GORT_SIGNAL_FAULT))
		rt_fault_release();
	return r;
}

/* Undoes what boot has done, also half of it. No thread works for rt. */
static void unboot(gort_runtime *rt)
{
	rt_p_free_all(rt);
	rt_net_fini(rt);
	be_netpoll_fini(&rt->sched.poll);
	rt_pds_fini(rt);
	rt_pools_fini(rt);
	rt_sematable_fini(rt);
	rt_heap_fini(rt);
	if (rt->stacks != NULL)
		rt_stackpool_free(rt->stacks);
	rt_seeded_free(rt);
	sched_fini(rt);
	free(rt->debugtext);
	free(rt);
}

static void goroutine_drop(rt_g *gp)
{
	rt_panic_drop(gp);
	rt_group_drop(gp);
}

static int copy_config(gort_runtime *rt, const gort_config *cfg)
{
	gort_config_init(&rt->cfg);
	if (cfg != NULL)
		memcpy(&rt->cfg, cfg, cfg->size < sizeof rt->cfg ? cfg->size : sizeof rt->cfg);
	rt->cfg.size = sizeof rt->cfg;
	if (rt->cfg.stack_size == 0)
		rt->cfg.stack_size = 256 << 10;
	rt_debugvars_init(&rt->debug);
	if (rt->cfg.debug != NULL) {
		rt->debugtext = strdup(rt->cfg.debug);
		if (rt->debugtext == NULL)
			return GORT_ENOMEM;
		rt->cfg.debug = rt->debugtext;
		if (rt_debugvars_parse(&rt->debug, rt->debugtext, false) != 0)
			return GORT_EINVAL;
	}
	if (rt->cfg.collector == NULL)
		rt->cfg.collector = "concurrent";
	if (rt->cfg.seed != 0 && strcmp(rt->cfg.collector, "concurrent") == 0)
		rt->cfg.collector = "stw"; /* a collection is no part of the schedule */
	rt_traceback_init(rt, getenv("GOTRACEBACK"));
	return 0;
}

static void enlist(gort_runtime *rt)
{
	rt_m *self = rt_hold();

	rt_lock(&process.lock, RT_RANK_registry);
	if (!process.hooked)
		process.hooked = be_thread_atfork(forked) == 0;
	rt->forkgen = rt_load64_rlx(&process.forkgen);
	rt->next = process.live;
	process.live = rt;
	rt_unlock(&process.lock, RT_RANK_registry);
	rt_unhold(self);
}

static int make_runtime(gort_runtime **out, const gort_config *cfg)
{
	gort_runtime *rt = calloc(1, sizeof *rt);
	int r;

	if (rt == NULL)
		return GORT_ENOMEM;
	rt->up.goroutine_main = rt_goroutine_main;
	rt->up.scope = rt_scope_call;
	rt->up.goroutine_drop = goroutine_drop;
	rt->up.run_failed = rt_watch_failed;
	rt->up.run_dropped = rt_dumps_dropped;
	rt->up.alarm = rt_timer_ring;
	rt->up.pool_cleanup = rt_pool_cleanup;
	rt->up.goroutine_fault = rt_panic_fault;
	rt->up.panic_roots = rt_panic_roots;
	rt->up.pool_roots = rt_pool_roots;
	rt->up.select_objects = rt_select_objects;
	r = copy_config(rt, cfg);
	if (r != 0) {
		free(rt->debugtext);
		free(rt);
		return r;
	}
	r = boot(rt);
	if (r != 0) {
		unboot(rt);
		return r;
	}
	enlist(rt);
	*out = rt;
	return 0;
}

/* By a goroutine in a system call of its own, as is free: it holds locks of the other runtime and of the process, and
 * must be neither stopped nor dropped half-way. */
GORT_API int gort_runtime_new(gort_runtime **out, const gort_config *cfg)
{
	bool aside;
	int r;

	if (out == NULL)
		return GORT_EINVAL;
	*out = NULL;
	r = cfg != NULL ? rt_config_check(cfg) : 0;
	if (r != 0)
		return r;
	aside = rt_look_enter(NULL, __func__);
	r = make_runtime(out, cfg);
	rt_look_leave(aside);
	return r;
}

/* Every worker ends; the world is stopped and all goroutines are dropped. */
static void end_threads(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	rt_m *mp;

	rt_lock(&sc->lock, RT_RANK_sched);
	sc->shutdown = true;
	for (mp = sc->allm; mp != NULL; mp = mp->alllink) {
		rt_store32_rel(&mp->exiting, 1);
		rt_m_unidle_locked(mp);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	be_netpoll_break(&sc->poll);
	rt_poll_late(rt); /* those with events: the world does not start again */
	for (;;) {
		bool running;

		rt_lock(&sc->lock, RT_RANK_sched);
		mp = sc->freem;
		running = mp == NULL;
		if (running)
			mp = sc->allm;
		else
			sc->freem = mp->alllink;
		rt_unlock(&sc->lock, RT_RANK_sched);
		if (mp == NULL)
			return;
		be_thread_join(&mp->thread);
		if (running) { /* it has moved itself to freem meanwhile */
			rt_m **at = &sc->freem;

			rt_lock(&sc->lock, RT_RANK_sched);
			while (*at != NULL && *at != mp)
				at = &(*at)->alllink;
			if (*at == NULL) /* what it held is lost: its goroutine, locks */
				rt_throw("a thread of the runtime was ended by somebody else");
			*at = mp->alllink;
			rt_unlock(&sc->lock, RT_RANK_sched);
		}
		rt_fixalloc_put(&sc->ms, mp);
	}
}

static bool busy(gort_runtime *rt)
{
	bool r;

	rt_lock(&rt->life, RT_RANK_life);
	r = rt->running;
	rt_unlock(&rt->life, RT_RANK_life);
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	r = r || rt->sched.nattached > 0;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return r;
}

/* Claims the end of rt: nobody else frees it, and no new call finds it. One that is in use stays on the list all the
 * time: who asks whether it can go is no reason for others not to find it. In the child of a fork nobody uses it, and
 * its locks may be held by threads that are not there. */
static int delist(gort_runtime *rt)
{
	rt_m *self = rt_hold();
	gort_runtime **at;
	int r = GORT_EINVAL;

	rt_lock(&process.lock, RT_RANK_registry);
	at = find_locked(rt);
	if (*at != NULL) {
		r = same_process(rt) && (gort_self() == rt || busy(rt)) ? GORT_EBUSY : 0;
		if (r == 0)
			*at = rt->next;
	}
	rt_unlock(&process.lock, RT_RANK_registry);
	rt_unhold(self);
	return r;
}

static void relist(gort_runtime *rt)
{
	rt_m *self = rt_hold();

	rt_lock(&process.lock, RT_RANK_registry);
	rt->next = process.live;
	process.live = rt;
	rt_unlock(&process.lock, RT_RANK_registry);
	rt_unhold(self);
}

/* Every goroutine is dropped: no stack may be in use any more. */
static void check_stacks(gort_runtime *rt)
{
	rt_stackstats st;

	for (int i = 0; i < rt->sched.nallp; i++)
		rt_stackcache_flush(rt->stacks, &rt->sched.allp[i]->stacks);
	rt_stackpool_stats(rt->stacks, &st);
	if (st.inuse != 0)
		rt_throw("a goroutine stack was lost");
}

/* A goroutine that was dropped between two instructions of foreign code (of the dynamic linker, of
 * libc) is gone a moment later: who frees a runtime right after its run shall not have to try again. One that
 * blocks there is reported. */
enum { FREE_WAIT = 100 * 1000 * 1000 }; /* ns */

static int end_runtime(gort_runtime *rt)
{
	int r = delist(rt);

	if (r != 0)
		return r;
	if (!same_process(rt)) {
		rt_watch_forget(rt);
		unboot(rt);
		return 0;
	}
	wait_for_visitors(rt);
	rt_watch_close(rt);
	rt_stop_world(rt, RT_STW_END_OF_RUN);
	rt_drop_all(rt);
	if (!rt_dropped_wait(rt, FREE_WAIT)) {
		rt_start_world(rt);
		rt_watch_reopen(rt);
		relist(rt);
		return GORT_EBUSY;
	}
	rt_dumps_dropped(rt, true);
	end_helpers(rt);
	rt_data_end(rt);
	end_threads(rt);
	check_stacks(rt);
	rt_unlock(&rt->sched.stopworld, RT_RANK_stopworld);
	if (rt->cfg.signals & GORT_SIGNAL_FAULT)
		rt_fault_release();
	unboot(rt);
	return 0;
}

GORT_API int gort_runtime_free(gort_runtime *rt)
{
	bool aside;
	int r;

	if (rt == NULL)
		return 0;
	aside = rt_look_enter(rt, __func__);
	r = end_runtime(rt);
	rt_look_leave(aside);
	return r;
}

/* ---- Runs ----------------------------------------------------------------------------------- */

/* Stdio's files are flushed at the end, one after another, and a goroutine that was dropped in the middle of a read
 * has the lock of its file. So the text comes first, and the rest may take a second. */
static void ends_the_process(void *crash)
{
	be_thread_nap(GORT_SECOND);
	if (*(bool *)crash)
		abort();
	_Exit(2);
}

static void exit_on_fatal(gort_runtime *rt)
{
	be_thread t;

	if (!(rt->cfg.flags & GORT_EXIT_ON_FATAL) || rt->error.n == 0)
		return;
	rt_print_bytes(rt->error.p, rt->error.n);
	(void)be_thread_start(&t, ends_the_process, &rt->traceback.crash, 0);
	if (rt->traceback.crash) {
		fflush(NULL);
		abort();
	}
	exit(2);
}

GORT_API int gort_runtime_run(gort_runtime *rt, gort_func main, void *arg)
{
	bool started = false;
	int r = rt_runtime_alive(rt);

	if (r != 0)
		return r;
	if (main == NULL)
		return GORT_EINVAL;
	if (rt_self() != NULL)
		return GORT_EBUSY;
	rt_lock(&rt->life, RT_RANK_life);
	if (!rt->running)
		started = rt->running = true;
	rt_unlock(&rt->life, RT_RANK_life);
	if (!started)
		return GORT_EBUSY;
	r = rt_run_main(rt, main, arg);
	exit_on_fatal(rt);
	/* Another thread may try to free rt until it can: this is the last that is seen of it here. */
	rt_lock(&rt->life, RT_RANK_life);
	rt->running = false;
	rt_unlock(&rt->life, RT_RANK_life);
	return r;
}

static bool is_goroutine_of(gort_runtime *rt)
{
	const rt_m *mp = rt_self();

	return mp != NULL && mp->rt == rt && mp->curg != NULL && mp->locks == 0;
}

GORT_API int gort_runtime_go(gort_runtime *rt, gort_func fn, void *arg)
{
	rt_m *mp;
	int r;

	if (rt != NULL && is_goroutine_of(rt)) /* which keeps it */
		return fn != NULL ? gort_go(fn, arg) : GORT_EINVAL;
	mp = rt_hold();
	r = visit(rt);
	if (r == 0) {
		r = fn != NULL ? rt_newproc(rt, NULL, NULL, fn, arg, NULL) : GORT_EINVAL;
		leave(rt);
	}
	rt_unhold(mp);
	return r;
}

GORT_API int gort_runtime_stop(gort_runtime *rt, int code)
{
	rt_m *mp = rt_hold();
	int r = visit(rt);
	bool ours;

	if (r != 0) {
		rt_unhold(mp);
		return r;
	}
	ours = mp != NULL && mp->rt == rt && mp->p != NULL && mp->curg != NULL && !mp->attached;
	if (ours)
		rt_unpinned(mp, __func__);
	if (!rt_run_claim(rt, code))
		r = GORT_EINVAL;
	else
		rt_run_wake(rt);
	if (ours && r == 0) { /* still held: else it might go on from here, by another thread and before the end */
		leave(rt);
		rt->up.goroutine_drop(mp->curg);
		rt_mcall_dying(mp, rt_goexit0);
	}
	leave(rt);
	rt_unhold(mp);
	return r;
}

GORT_API const char *gort_runtime_error(gort_runtime *rt)
{
	if (rt_runtime_alive(rt) == GORT_EINVAL || rt->error.p == NULL)
		return "";
	return rt->error.p;
}

GORT_API int gort_main(gort_func main, void *arg)
{
	gort_config cfg;
	gort_runtime *rt;
	int r;

	gort_config_init(&cfg);
	cfg.flags |= GORT_EXIT_ON_FATAL;
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	r = gort_runtime_run(rt, main, arg);
	(void)gort_runtime_free(rt);
	return r;
}
