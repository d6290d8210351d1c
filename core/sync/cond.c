/* cond.c: sync.Cond. A FIFO of waiters under a lock of its own.
 *
 * A waiter enqueues itself, releases the mutex, then parks; so it is in the queue, in its place, before
 * anybody can lock the mutex and signal. A signal that comes before it has parked takes it out of the queue and
 * says so (success), and the commit function, which takes the lock again, does not park. Whoever
 * signals needs not hold the mutex.
 *
 * Go deals numbers before it releases the mutex and enqueues afterwards, and a signal looks for the lowest number that
 * has not been called; a waiter that gives up would leave its number behind, and a signal would be lost on it.
 *
 * A signal to nobody takes no lock: it reads `head`. A waiter that the signaller must see has enqueued itself
 * before it released the mutex that the signaller has locked since.
 */
#include "core/builtin/panic.h"
#include "core/sched/sched_inline.h"
#include "core/sync/mutex.h"

typedef struct cond {
	rt_mutex lock;       /* rank cond; by rt_plock */
	uint32_t unused;
	rt_atomicptr head;   /* rt_waiter; written under lock */
	rt_waiter *tail;     /* guarded by lock */
	rt_atomicptr self;   /* where it was first used */
} cond;

_Static_assert(sizeof(cond) == sizeof(gort_cond), "the public size is for ever");

static void check_copy(cond *c)
{
	if (RT_LIKELY(rt_loadptr_rlx(&c->self) == c) || rt_casptr_rel(&c->self, NULL, c) ||
	    rt_loadptr_rlx(&c->self) == c)
		return;
	rt_panic_text("sync.Cond is copied");
}

/* ---- The queue; the lock is held ----------------------------------------------------------------- */

static void enqueue(cond *c, rt_waiter *w)
{
	w->next = NULL;
	w->prev = c->tail;
	if (c->tail != NULL)
		c->tail->next = w;
	else
		rt_storeptr_rel(&c->head, w);
	c->tail = w;
}

static void unlink_cond(rt_waiter *w)
{
	cond *c = w->on;

	if (w->prev != NULL)
		w->prev->next = w->next;
	else if (rt_loadptr_rlx(&c->head) == w)
		rt_storeptr_rel(&c->head, w->next);
	else
		return; /* taken out already */
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		c->tail = w->prev;
	w->next = w->prev = NULL;
}

/* Wakes the first one that can be had. *gp: to be made runnable after unlocking, or NULL. */
static bool wake_first(cond *c, rt_g **gp)
{
	rt_waiter *w;

	*gp = NULL;
	while ((w = rt_loadptr_rlx(&c->head)) != NULL) {
		unlink_cond(w);
		if (!w->parked) {
			w->success = true;
			return true;
		}
		if (rt_waiter_claim(w)) {
			w->success = true;
			*gp = w->g;
			return true;
		}
	}
	return false;
}

/* ---- Wait ----------------------------------------------------------------------------------- */

static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	cond *c = w->on;
	bool park;

	rt_plock(&c->lock, RT_RANK_cond);
	/* Unlocking the mutex may have yielded, and the run may have ended under an attached thread. */
	park = !w->success && !rt_g_released(gp);
	if (park) {
		w->parked = true;
		rt_waiter_open(w);
	}
	rt_punlock(&c->lock, RT_RANK_cond);
	return park;
}

static int wait(cond *c, gort_mutex *m, int64_t deadline)
{
	rt_g *gp = rt_curg();
	rt_waiter w;
	int err;

	check_copy(c);
	err = rt_wait_refused(gp, deadline);
	if (err != 0)
		return err;
	w.on = c;
	w.elem = NULL;
	w.unlink = unlink_cond;
	rt_waiter_begin(gp, &w, deadline);
	rt_plock(&c->lock, RT_RANK_cond);
	enqueue(c, &w);
	rt_punlock(&c->lock, RT_RANK_cond);
	rt_note_unlock(m, 0);
	if (RT_LIKELY(rt_gomutex_unlock(m))) {
		rt_gopark(commit, &w, RT_WAIT_COND_WAIT, c);
	} else {
		err = GORT_EINVAL;
	}
	if (!w.success) {
		rt_plock(&c->lock, RT_RANK_cond);
		unlink_cond(&w);
		rt_punlock(&c->lock, RT_RANK_cond);
	}
	if (RT_UNLIKELY(err != 0)) {
		(void)rt_waiter_end(gp, &w);
		rt_gomutex_unlocked();
	}
	err = rt_waiter_end(gp, &w);
	if (rt_gomutex_lock(m, RT_UNTIMED) == 0)
		rt_note_lock(m, 0);
	return err;
}

/* ---- Public --------------------------------------------------------------------------------- */

GORT_API void gort_cond_wait(gort_cond *c, gort_mutex *m)
{
	(void)RT_ENTER();
	(void)wait((cond *)c, m, RT_UNTIMED);
	rt_leave();
}

GORT_API int gort_cond_wait_until(gort_cond *c, gort_mutex *m, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = wait((cond *)c, m, rt_deadline(deadline));
	rt_leave();
	return r;
}

GORT_API void gort_cond_signal(gort_cond *pub)
{
	cond *c = (cond *)pub;
	rt_g *gp = NULL;

	(void)RT_ENTER();
	check_copy(c);
	if (rt_loadptr_acq(&c->head) != NULL) {
		rt_plock(&c->lock, RT_RANK_cond);
		(void)wake_first(c, &gp);
		rt_punlock(&c->lock, RT_RANK_cond);
		if (gp != NULL)
			rt_goready(gp);
	}
	rt_leave();
}

GORT_API void gort_cond_broadcast(gort_cond *pub)
{
	cond *c = (cond *)pub;
	rt_waiter *w, *all = NULL, **tail = &all;

	(void)RT_ENTER();
	check_copy(c);
	if (rt_loadptr_acq(&c->head) != NULL) {
		rt_plock(&c->lock, RT_RANK_cond);
		while ((w = rt_loadptr_rlx(&c->head)) != NULL) {
			bool parked = w->parked;

			unlink_cond(w);
			if (parked && !rt_waiter_claim(w))
				continue;
			w->success = true;
			if (parked) {
				w->link = NULL;
				*tail = w;
				tail = &w->link;
			}
		}
		rt_punlock(&c->lock, RT_RANK_cond);
		while ((w = all) != NULL) { /* w is gone as soon as its goroutine runs */
			all = w->link;
			rt_goready(w->g);
		}
	}
	rt_leave();
}
