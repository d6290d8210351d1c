/* waitgroup.c: sync.WaitGroup. One word: counter above, waiters below. The waiters' half changes
 * only under the lock of the address's bucket in the semaphore table, and so does the step to 0 while somebody
 * waits. So when a wait returns, the last done touches the bucket and no longer the group: the group
 * may be in a frame that is gone.
 *
 * The waiters hang in a circle on the group itself. Rejected: the bucket's tree. In a program that forks and joins
 * tens of thousands wait, each for a group of its own, and on the way down a tree each of their stacks is a cache miss:
 * two fifths of all time.
 */
#include "core/sync/sema.h"

#include "core/builtin/panic.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"

typedef struct waitgroup {
	rt_atomic64 state; /* counter << 32 | waiters */
	rt_waiter *first;  /* guarded by the bucket's lock */
} waitgroup;

_Static_assert(sizeof(waitgroup) == sizeof(gort_waitgroup), "the public size is for ever");

static int32_t counter(uint64_t state)
{
	return (int32_t)(state >> 32);
}
static uint32_t waiters(uint64_t state)
{
	return (uint32_t)state;
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

static void unlink_waitgroup(rt_waiter *w) /* at the end of a run, world stopped */
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

/* The counter has come to 0 and somebody waits: wakes them all. */
static RT_NOINLINE bool release(waitgroup *wg, uint64_t old)
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
		if (last_done(old, new) && release(wg, old))
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

/* Under the bucket's lock: one more waiter, if there is something to wait for. */
static bool count_waiter(waitgroup *wg)
{
	for (;;) {
		uint64_t old = rt_load64_acq(&wg->state);

		if (counter(old) == 0)
			return false;
		if (rt_cas64_full(&wg->state, old, old + 1))
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

static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	rt_semaroot *r = w->elem;

	(void)gp;
	rt_waiter_open(w);
	rt_punlock(&r->lock, RT_RANK_semaroot);
	return true;
}

static int wait(waitgroup *wg, int64_t deadline)
{
	rt_g *gp = rt_curg();
	rt_semaroot *r;
	rt_waiter w;
	int err;

	if (counter(rt_load64_acq(&wg->state)) == 0)
		return 0;
	err = rt_wait_refused(gp, deadline);
	if (err != 0)
		return err;
	r = rt_semaroot_of(wg);
	rt_plock(&r->lock, RT_RANK_semaroot);
	if (!count_waiter(wg)) {
		rt_punlock(&r->lock, RT_RANK_semaroot);
		return 0;
	}
	w.on = wg;
	w.elem = r;
	w.unlink = unlink_waitgroup;
	rt_waiter_begin(gp, &w, deadline);
	enqueue(wg, &w);
	rt_gopark(commit, &w, RT_WAIT_SEMACQUIRE, wg);
	if (!w.success && !rt_g_released(gp)) {
		rt_plock(&r->lock, RT_RANK_semaroot);
		if (leave(wg, &w))
			uncount_waiter(wg);
		else
			w.success = true; /* the group came to 0 before it could give up */
		rt_punlock(&r->lock, RT_RANK_semaroot);
	}
	return rt_waiter_end(gp, &w);
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
