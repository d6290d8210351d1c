/* waitgroup.c: sync.WaitGroup. One word: counter above, waiters below. When a wait returns, the last done touches the
 * group no longer: it may be in a frame that is gone.
 *
 *   none      nobody waits
 *   sole      one goroutine does, without a deadline; its record is named here
 *   circle    so many wait, in a circle on the group, under the lock of the address's bucket in the semaphore table
 *
 * To fork and to join, sole is all that is needed. One compare-and-swap makes it from none: on g0, when the goroutine
 * is WAITING and its registers are saved. One more, the last done's step to 0, ends it, and who wins that step makes
 * the goroutine runnable: nobody else wakes it (wait.c: without a deadline only the partner). Between the two the word
 * is all that is shared, so no lock is taken, and that step is the last that touches the group. Who comes to wait
 * meanwhile turns sole into a circle, with the lock: it steps the word first, and hangs up the one it found then,
 * since from that step on a release takes the lock, too. tests/model/waitgroup.pml has all of this.
 *
 * The circle's number changes only under the lock, and so does the step from it to 0. The waiters hang in a circle on
 * the group itself. Rejected: the bucket's tree. In a program that forks and joins
 * tens of thousands wait, each for a group of its own, and on the way down a tree each of their stacks is a cache miss:
 * two fifths of all time.
 */
#include "core/sync/sema.h"

#include "core/builtin/panic.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"

typedef struct waitgroup {
	rt_atomic64 state; /* counter << 32 | waiters: their number, or SOLE and a goroutine (rt_g_ref) */
	rt_waiter *first;  /* of the circle; guarded by the bucket's lock */
} waitgroup;

_Static_assert(sizeof(waitgroup) == sizeof(gort_waitgroup), "the public size is for ever");

#define SOLE (UINT32_C(1) << 31)

static int32_t counter(uint64_t state)
{
	return (int32_t)(state >> 32);
}
static uint32_t waiters(uint64_t state)
{
	return (uint32_t)state;
}
static bool is_sole(uint64_t state)
{
	return (waiters(state) & SOLE) != 0;
}
static rt_g *sole_of(gort_runtime *rt, uint64_t state)
{
	return rt_g_of_ref(rt, waiters(state) & ~(uint32_t)SOLE);
}

/* ---- The circle; the bucket's lock is held ----------------------------------------------------- */

static void enqueue(waitgroup *wg, rt_waiter *w)
{
	rt_waiter *first = wg->first;

	if (first == NULL) {
		wg->first = w->next = w->prev = w;
		return;
	}
	w->next = first;
	w->prev = first->prev;
	w->prev->next = w;
	first->prev = w;
}

/* False: the release has done it. */
static bool leave(waitgroup *wg, rt_waiter *w)
{
	if (w->next == NULL)
		return false;
	if (wg->first == w)
		wg->first = w->next != w ? w->next : NULL;
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
	return true;
}

static void unlink_circle(rt_waiter *w) /* at the end of a run, world stopped */
{
	(void)leave(w->on, w);
}

/* Takes all out of the circle. Returns those that can be had, by `link`. */
static rt_waiter *take_all(rt_waiter *first)
{
	rt_waiter *all = NULL, **tail = &all, *w = first, *next;

	do {
		next = w->next;
		w->next = w->prev = NULL;
		if (rt_waiter_claim(w)) { /* else it sees by next == NULL that it came to 0 */
			w->success = true;
			*tail = w;
			tail = &w->link;
		}
		w = next;
	} while (w != first);
	*tail = NULL;
	return all;
}

/* ---- Counting -------------------------------------------------------------------------------- */

/* The counter has come to 0 and one waits: wakes it. */
static bool release_sole(waitgroup *wg, uint64_t old)
{
	rt_g *gp = sole_of(rt_self()->rt, old);

	if (!rt_cas64_full(&wg->state, old, 0))
		return false;
	gp->waiting->success = true;
	rt_goready(gp);
	return true;
}

/* The counter has come to 0 and a circle waits: wakes them all. */
static RT_NOINLINE bool release_circle(waitgroup *wg, uint64_t old)
{
	rt_semaroot *r = rt_semaroot_of(wg);
	rt_waiter *first, *all, *w;

	rt_plock(&r->lock, RT_RANK_semaroot);
	first = wg->first;
	wg->first = NULL;
	if (!rt_cas64_full(&wg->state, old, 0)) {
		wg->first = first;
		rt_punlock(&r->lock, RT_RANK_semaroot);
		return false;
	}
	/* From here on wg is only an address. */
	all = first != NULL ? take_all(first) : NULL;
	rt_punlock(&r->lock, RT_RANK_semaroot);
	while ((w = all) != NULL) {
		all = w->link;
		rt_goready(w->g);
	}
	return true;
}

/* 0 while somebody waits: not a step of the counter alone. */
static inline bool last_done(uint64_t old, uint64_t new)
{
	return waiters(old) != 0 && counter(new) == 0;
}

/* The usual step, of the counter alone. */
static inline bool add_short(waitgroup *wg, int delta)
{
	uint64_t old = rt_load64_rlx(&wg->state);
	uint64_t new = old + ((uint64_t)(int64_t)delta << 32);

	return RT_LIKELY(counter(new) >= 0 && !last_done(old, new)) &&
	       RT_LIKELY(rt_cas64_full(&wg->state, old, new));
}

static RT_NOINLINE void add_long(waitgroup *wg, int delta, const char *function)
{
	(void)rt_enter(function);
	while (!add_short(wg, delta)) {
		uint64_t old = rt_load64_rlx(&wg->state);
		uint64_t new = old + ((uint64_t)(int64_t)delta << 32);

		if (RT_UNLIKELY(counter(new) < 0))
			rt_panic_text("sync: negative WaitGroup counter");
		if (last_done(old, new) && (is_sole(old) ? release_sole(wg, old) : release_circle(wg, old)))
			break;
	}
	rt_leave();
}

static inline void add(waitgroup *wg, int delta, const char *function)
{
	if (RT_UNLIKELY(!rt_in_passing(rt_self()) || !add_short(wg, delta)))
		add_long(wg, delta, function);
}

/* A step up needs no look before: whoever waits goes on waiting. False: nothing was done. */
static inline bool count_up(waitgroup *wg, int delta)
{
	uint64_t d = (uint64_t)delta << 32;

	if (RT_LIKELY(counter(rt_add64_full(&wg->state, d) + d) >= 0))
		return true;
	rt_add64_full(&wg->state, -d);
	return false;
}

GORT_API void gort_waitgroup_add(gort_waitgroup *pub, int delta)
{
	waitgroup *wg = (waitgroup *)pub;

	if (RT_UNLIKELY(delta <= 0 || !rt_in_passing(rt_self()) || !count_up(wg, delta)))
		add_long(wg, delta, __func__);
}

GORT_API void gort_waitgroup_done(gort_waitgroup *wg)
{
	add((waitgroup *)wg, -1, __func__);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Under the bucket's lock: one more in the circle, if there is something to wait for. */
static bool count_waiter(waitgroup *wg, rt_semaroot *r)
{
	for (;;) {
		uint64_t old = rt_load64_acq(&wg->state);
		uint64_t circle = is_sole(old) ? (old & ~(uint64_t)UINT32_MAX) | 1 : old;
		rt_waiter *w;

		if (counter(old) == 0)
			return false;
		if (!rt_cas64_full(&wg->state, old, circle + 1))
			continue;
		if (is_sole(old)) { /* it waits on, and is found by the lock now */
			w = sole_of(rt_self()->rt, old)->waiting;
			w->elem = r;
			w->unlink = unlink_circle;
			enqueue(wg, w);
		}
		return true;
	}
}

/* Under the bucket's lock: a waiter that gives up, and that no release has taken out, leaves the count. */
static void uncount_waiter(waitgroup *wg)
{
	for (;;) {
		uint64_t old = rt_load64_rlx(&wg->state);

		if (waiters(old) == 0 || rt_cas64_full(&wg->state, old, old - 1))
			return;
	}
}

static bool commit_circle(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	rt_semaroot *r = w->elem;

	(void)gp;
	rt_waiter_open(w);
	rt_punlock(&r->lock, RT_RANK_semaroot);
	return true;
}

static int wait_in_circle(waitgroup *wg, rt_g *gp, rt_waiter *w, int64_t deadline)
{
	rt_semaroot *r = rt_semaroot_of(wg);

	rt_plock(&r->lock, RT_RANK_semaroot);
	if (!count_waiter(wg, r)) {
		rt_punlock(&r->lock, RT_RANK_semaroot);
		return 0;
	}
	w->on = wg;
	w->elem = r;
	w->unlink = unlink_circle;
	rt_waiter_begin(gp, w, deadline);
	enqueue(wg, w);
	rt_gopark(commit_circle, w, RT_WAIT_SEMACQUIRE, wg);
	if (!w->success && !rt_g_released(gp)) {
		rt_plock(&r->lock, RT_RANK_semaroot);
		if (leave(wg, w))
			uncount_waiter(wg);
		else
			w->success = true; /* the group came to 0 before it could give up */
		rt_punlock(&r->lock, RT_RANK_semaroot);
	}
	return rt_waiter_end(gp, w);
}

static void unlink_sole(rt_waiter *w) /* at the end of a run, world stopped */
{
	waitgroup *wg = w->on;
	uint64_t state;

	if (w->success) /* it has been woken: wg may be gone */
		return;
	state = rt_load64_rlx(&wg->state);
	if (is_sole(state) && sole_of(w->g->rt, state) == w->g)
		(void)rt_cas64_full(&wg->state, state, state & ~(uint64_t)UINT32_MAX);
}

/* The step may be the last of this wait: behind it wg and the goroutine's frame may be gone. False: there is nothing to
 * wait for any more, or somebody else waits. */
static bool commit_sole(rt_g *gp, void *arg)
{
	waitgroup *wg = arg;
	uint64_t old = rt_load64_rlx(&wg->state), sole = SOLE | rt_g_ref(rt_self()->rt, gp);

	while (counter(old) != 0 && waiters(old) == 0) {
		if (rt_cas64_full(&wg->state, old, old | sole))
			return true;
		old = rt_load64_rlx(&wg->state);
	}
	gp->waiting = NULL; /* the world may stop before it runs, and the run end: wg is nobody's to look at then */
	return false;
}

/* False: not woken, and neither was its run over. */
static bool wait_alone(waitgroup *wg, rt_g *gp, rt_waiter *w)
{
	w->on = wg;
	w->next = w->prev = NULL;
	w->unlink = unlink_sole;
	rt_waiter_begin(gp, w, RT_UNTIMED);
	rt_gopark(commit_sole, wg, RT_WAIT_SEMACQUIRE, wg);
	gp->waiting = NULL;
	return w->success || rt_g_released(gp);
}

static int wait(waitgroup *wg, int64_t deadline)
{
	rt_m *mp = rt_self();
	rt_g *gp = mp->curg;
	uint64_t state = rt_load64_acq(&wg->state);
	rt_waiter w;
	int err;

	if (counter(state) == 0)
		return 0;
	err = rt_wait_refused(gp, deadline);
	if (err != 0)
		return err;
	if (deadline == RT_UNTIMED && waiters(state) == 0 && rt_g_has_ref(mp->rt, gp) && wait_alone(wg, gp, &w))
		return w.success ? 0 : GORT_ECANCELED;
	return wait_in_circle(wg, gp, &w, deadline);
}

GORT_API void gort_waitgroup_wait(gort_waitgroup *wg)
{
	(void)RT_ENTER();
	(void)wait((waitgroup *)wg, RT_UNTIMED);
	rt_leave();
}

GORT_API int gort_waitgroup_wait_until(gort_waitgroup *wg, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = wait((waitgroup *)wg, rt_deadline(deadline));
	rt_leave();
	return r;
}

typedef struct call {
	gort_waitgroup *wg;
	gort_func fn;
	void *arg;
} call;

static void call_done(void *arg)
{
	gort_waitgroup_done(((call *)arg)->wg);
}

/* `done` is deferred: it happens also when fn panics or calls gort_goexit. */
static void run_call(void *arg)
{
	call *c = arg;

	gort_defer(call_done, c);
	c->fn(c->arg);
}

GORT_API int gort_waitgroup_go(gort_waitgroup *wg, gort_func fn, void *arg)
{
	call *c;
	int r;

	if (fn == NULL)
		return gort_go(NULL, NULL); /* the fatal error of Go */
	(void)RT_ENTER();
	c = rt_new_bytes(sizeof *c, false);
	*c = (call){wg, fn, arg};
	rt_leave();
	gort_waitgroup_add(wg, 1);
	r = gort_go(run_call, c);
	if (r != 0)
		gort_waitgroup_add(wg, -1);
	return r;
}
