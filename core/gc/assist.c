/* assist.c: who marks, and for how long.
 *
 * Markers run on g0 of an M that has a P, or as part of an allocation. There are four kinds (spec/04 6, 8):
 *
 *   share   a P that is about to run a goroutine marks first, if it has given less than its share:
 *           all of its time on as many Ps as the pacer calls dedicated, else a fraction
 *   idle    a P without work marks until there is some
 *   assist  a goroutine that allocates pays for it: scan work for each byte, by the ratio that the
 *           pacer sets. It takes what was done in the background first
 *   team    with the world stopped, under `stw`: who stopped it marks, and threads that have nothing to do help,
 *           without a P and with buffers of their own (sched/stw.c, "A team")
 *
 * Go has a goroutine for each P to mark on. Here the scheduler's own stack does, since marking
 * never parks: nothing has to be readied, no turn is lost by a switch, and no goroutine has to be
 * found for a P that just became idle.
 *
 * An assist does 64 KiB of scan work, some 50 us, or twice that, however much is owed; the rest is paid by the
 * allocations that follow. What it leaves undone is anybody's. One that finds nothing to do, because everything grey
 * is in others' hands, goes on with its debt and has said so: who marks gives from what it has (share, mark.c). Go
 * parks it until somebody has paid; that is what stalls a goroutine there for up to hundreds of milliseconds. Here it
 * waits, for the end of marking, only if that has happened many times in a row and the heap is a tenth above its goal.
 * Rejected: to let it off. Two that allocate without a break then marked one at a time, and the heap grew to twice its
 * goal.
 *
 * The end. Whoever has nothing to do leaves; the last one that leaves, if nothing can be seen to be
 * left, wakes the controller, which makes sure (cycle.c). It writes `waiting`, fences, looks at
 * `active`; the marker takes itself out of `active`, fences, and looks at `waiting`: one of the two
 * sees the other.
 */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

enum { GRACE = 4096, MOST = 256 << 10 }; /* bytes to be allocated */
enum { MISSES = 16 };
enum { LOOKS = 16 /* drain asks that often before the clock or the queues are looked at */ };

bool rt_gc_nothing_left(rt_gc *gc)
{
	return !rt_workpool_any(&gc->pool) && !rt_roots_left(gc);
}

void rt_marker_enter(rt_gc *gc)
{
	rt_add32_full(&gc->active, 1);
}

bool rt_marker_leave(rt_gc *gc)
{
	uint32_t was = rt_add32_full(&gc->active, (uint32_t)-1);

	RT_ASSERT(was > 0);
	rt_fence_after_rmw(); /* pairs with the fence in until_quiet, cycle.c */
	if (was != 1 || !rt_load32_rlx(&gc->waiting) || !rt_gc_nothing_left(gc) ||
	    !rt_cas32_full(&gc->waiting, 1, 0))
		return false;
	rt_goready(gc->controller);
	return true;
}

/* ---- A team ---------------------------------------------------------------------------------------- */

enum { SPINS = 200 };

/* Who returns holds nothing grey and has seen the shared list empty after all that it put there; so when all have
 * returned (rt_team_end) the list is empty, and marking is over. That some wait while others are `active` is for speed
 * alone: those may find more than they can do. */
static void mark_with_others(rt_marker *k)
{
	rt_gc *gc = k->gc;

	do {
		rt_add32_full(&gc->active, 1);
		(void)rt_gc_drain(k, UINT64_MAX, NULL, NULL);
		rt_add32_full(&gc->active, (uint32_t)-1);
		for (int i = 1; rt_load32_acq(&gc->active) > 0 && rt_gc_nothing_left(gc); i++) {
			be_cpu_pause();
			if (i % SPINS == 0)
				be_thread_nap(GORT_MICROSECOND);
		}
	} while (!rt_gc_nothing_left(gc));
}

static void help(void *arg)
{
	rt_gc *gc = arg;
	rt_gcw w = { 0 };
	rt_marker k = { .gc = gc, .w = &w };

	rt_add32_full(&gc->helped, 1);
	mark_with_others(&k);
	rt_gcw_dispose(&gc->pool, &w);
}

void rt_mark_together(rt_marker *k)
{
	rt_gc *gc = k->gc;
	int others = rt_gomaxprocs(gc->rt) - 1;

	rt_store32_rlx(&gc->together, others > 0);
	if (others > 0)
		rt_team_begin(gc->rt, (uint32_t)others, help, gc);
	mark_with_others(k);
	if (others > 0)
		rt_team_end(gc->rt);
	rt_store32_rlx(&gc->together, 0);
}

/* ---- Assists --------------------------------------------------------------------------------------- */

/* Debt and credit are held in bytes allocated, and become scan work by the ratio of the moment when they are paid, as
 * in Go. Rejected: to hold scan work. Next to its goal a heap's ratio is millions, and behind it, where there is room
 * again, a few: what was granted at the one was gigabytes at the other. */
static double ratio_of(rt_gc *gc)
{
	return rt_bits_double(rt_load64_rlx(&gc->assist_ratio));
}

/* So many bytes are paid for by what was done. Not more at once than MOST: little is left to be scanned then, or the
 * goal is far away, and both can change. */
static void give_credit(rt_gcp *p, uint64_t done, double ratio)
{
	double bytes = (double)done / ratio;

	p->credit += bytes < MOST ? (int64_t)bytes : MOST;
}

/* From what was done in the background. */
static void take_credit(rt_gc *gc, rt_gcp *p, double ratio)
{
	for (;;) {
		uint64_t have = rt_load64_rlx(&gc->credit), want = (uint64_t)((double)-p->credit * ratio) + 1;

		if (have == 0)
			return;
		if (want > have)
			want = have;
		if (rt_cas64_full(&gc->credit, have, have - want)) {
			if (want < have)
				p->credit = 0;
			else
				give_credit(p, want, ratio);
			return;
		}
	}
}

/* All that is grey is in others' hands: it stays owed, and GRACE bytes may be allocated until the next try. If that
 * comes to nothing again and again, those who mark have no CPU; then this does not go on for ever. May park. */
static void put_off(rt_gc *gc, rt_gcp *p)
{
	uint64_t goal = rt_load64_rlx(&gc->goal);
	const rt_m *mp = rt_self();

	p->owed += GRACE - p->credit;
	p->credit = GRACE;
	rt_store32_rlx(&gc->hungry, 1);
	if (RT_UNLIKELY(++p->misses > MISSES) && mp->locks == 1 && mp->curg != NULL &&
	    rt_load64_rlx(&gc->heap.live) > goal + goal / 10) {
		p->misses = 0;
		rt_gc_wait_marked(gc);
	}
}

/* 64 KiB of pointers to objects that no cache has took 24 ms here: what an assist may take is a matter of time, too.
 * What is not done stays owed, and the next allocation goes on with it. */
#define LONGEST (500 * GORT_MICROSECOND)

static bool took_long(void *arg)
{
	const int64_t *since = arg;

	return be_nanotime() - *since >= LONGEST;
}

static RT_NOINLINE void pay(rt_gc *gc, rt_gcp *p)
{
	rt_m *mp = rt_self();
	int64_t since;
	rt_marker k = { .gc = gc, .w = &p->w };
	double ratio = ratio_of(gc), owed;
	uint64_t done, most = (uint64_t)RT_GC_ASSIST_MIN;

	if (!(ratio > 0)) { /* nobody is in a hurry */
		p->credit = p->owed = 0;
		return;
	}
	take_credit(gc, p, ratio);
	if (p->credit >= 0 || rt_load32_rlx(&gc->heap.limiting))
		return;
	if (rt_gc_nothing_left(gc) && rt_gcw_empty(&p->w)) {
		put_off(gc, p);
		return;
	}
	owed = (double)p->owed * ratio;
	most += owed < (double)most ? (uint64_t)owed : most;
	since = be_nanotime();
	RT_TRACE(mp, GC, ASSIST_BEGIN, mp->curg, 0, 0, 0);
	rt_marker_enter(gc);
	done = rt_gc_drain(&k, most, took_long, &since);
	rt_gcw_dispose(&gc->pool, &p->w); /* or others that owe would find nothing */
	give_credit(p, done, ratio);
	if (done > 0)
		p->misses = 0;
	if (p->credit > 0 && p->owed > 0) {
		int64_t part = p->credit / 2 < p->owed ? p->credit / 2 : p->owed;

		p->owed -= part;
		p->credit -= part;
	}
	RT_TRACE(mp, GC, ASSIST_END, mp->curg, done, 0, 0);
	rt_add64_full(&gc->assist_ns, (uint64_t)(be_nanotime() - since));
	if (rt_marker_leave(gc) && rt_self()->locks == 1)
		rt_goyield(); /* so that the collection ends now and not with this turn */
	else if (done == 0)
		put_off(gc, rt_self()->p->gc);
}

void rt_assist(rt_gc *gc, size_t bytes)
{
	rt_gcp *p = rt_self()->p->gc;

	p->credit -= (int64_t)bytes;
	if (RT_UNLIKELY(p->credit < 0))
		pay(gc, p);
}

/* ---- Workers --------------------------------------------------------------------------------------- */

typedef struct worker {
	rt_m *mp;
	rt_gc *gc;
	bool idle, dedicated;
	unsigned looks;
	int64_t began, share; /* share: how long a fraction may last */
	int64_t told;         /* its time up to then is counted; 0: none is, it sweeps */
} worker;

bool rt_gc_any(gort_runtime *rt)
{
	rt_gc *gc = rt->gc;

	if (rt_load32_rlx(&rt->gcmark) != 0)
		return gc->kind->concurrent && !rt_gc_nothing_left(gc);
	return gc->kind->collects && !rt_sweep_done(&gc->heap);
}

static bool wanted_elsewhere(const worker *w, int64_t now)
{
	gort_runtime *rt = w->mp->rt;

	return rt_goroutines_wait(rt) || rt_timers_next(rt) <= now;
}

/* Not only when it is done: the CPU limiter wants to know, and one that is dedicated goes on for long. */
static int64_t tell_time(worker *w)
{
	int64_t now = be_nanotime();

	if (w->told != 0)
		rt_add64_full(w->idle ? &w->gc->idle_ns : &w->gc->worker_ns, (uint64_t)(now - w->told));
	w->told = w->told != 0 ? now : 0;
	return now;
}

static bool stop(void *arg)
{
	worker *w = arg;
	rt_m *mp = w->mp;
	int64_t now;

	if (rt_load32_rlx(&mp->rt->sched.gcwaiting) || rt_load32_rlx(&mp->p->preempt) || rt_run_leaving(mp))
		return true;
	if (++w->looks % LOOKS != 0)
		return false;
	now = tell_time(w);
	if (w->dedicated)
		return false;
	return w->idle ? wanted_elsewhere(w, now) : now - w->began >= w->share;
}

/* Whether this P owes marking before it runs anything; how much. */
static bool may_share(worker *w, rt_gcp *p)
{
	rt_gc *gc = w->gc;
	int64_t due;

	if (gc->workers.dedicated > 0) {
		uint32_t n = rt_load32_rlx(&gc->dedicated);

		if ((int)n < gc->workers.dedicated && rt_cas32_full(&gc->dedicated, n, n + 1)) {
			w->dedicated = true;
			return true;
		}
	}
	due = (int64_t)(gc->workers.fractional * (double)(w->began - gc->stopped)) - p->workns;
	w->share = due < GORT_MILLISECOND ? due : GORT_MILLISECOND; /* those that wait here do not wait for longer */
	return due > 0;
}

/* Until there is something better to do. */
static bool sweep_idle(worker *w)
{
	rt_mheap *h = &w->gc->heap;
	rt_mcache *mc = &w->mp->p->gc->mc;
	bool any = false, stopped = false;

	rt_stretch_begin(h, mc);
	while (!stopped && rt_sweep_one(h, mc) != SIZE_MAX) {
		any = true;
		stopped = stop(w);
	}
	rt_stretch_end(h, mc);
	if (!stopped)
		rt_store32_rlx(&w->mp->rt->gcbusy, 0); /* others finish what they are at */
	return any;
}

bool rt_gc_work(rt_m *mp, bool idle)
{
	rt_gc *gc = rt_gc_of(mp);
	rt_gcp *p = mp->p->gc;
	rt_marker k = { .gc = gc, .w = &p->w };
	worker w = { .mp = mp, .gc = gc, .idle = idle };
	uint64_t done;
	int64_t now;

	if (idle && rt_load32_rlx(&mp->rt->gcmark) == 0)
		return sweep_idle(&w);
	if (!gc->kind->concurrent || (rt_gc_nothing_left(gc) && rt_gcw_empty(&p->w)))
		return false;
	w.began = w.told = be_nanotime();
	if (!idle && !may_share(&w, p))
		return false;
	rt_marker_enter(gc);
	if (rt_load32_rlx(&gc->rt->sched.npidle) > 0)
		rt_wakep(mp->rt); /* they can help */
	done = rt_gc_drain(&k, UINT64_MAX, stop, &w);
	rt_gcw_dispose(&gc->pool, &p->w); /* what it leaves undone is anybody's */
	rt_add64_full(&gc->credit, done);
	now = tell_time(&w);
	if (!idle)
		p->workns += now - w.began;
	if (w.dedicated)
		rt_add32_full(&gc->dedicated, (uint32_t)-1);
	(void)rt_marker_leave(gc);
	return true;
}
