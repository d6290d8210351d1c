/* chan.h: a channel's record, its wait queues, and one send or receive under the channel's lock,
 * for chan.c and select.c. See chan.c for the rules. */
#ifndef CORE_SYNC_CHAN_H
#define CORE_SYNC_CHAN_H

#include "core/builtin/type.h"
#include "core/gc/gc.h"
#include "core/include/gort.h"
#include "core/sched/sched_inline.h"
#include "core/sync/timer.h"

typedef struct rt_waitq { /* guarded by the channel's lock; head is looked at without it, too */
	rt_atomicptr head;
	rt_waiter *tail;
} rt_waitq;

struct gort_chan {
	rt_mutex lock;      /* rank hchan */
	rt_atomic32 closed; /* written under lock; looked at without it, too */
	rt_atomic64 count;  /* elements in buf; the same */
	/* set once */
	size_t cap, elemsize;
	const gort_type *elem;
	char *buf;
	gort_timer *timer; /* that sends on it; or NULL */
	/* guarded by lock */
	size_t sendx, recvx;
	rt_waitq recvq, sendq;
	/* Counts what may let an operation go on that could not before: written under lock after that, with
	 * release. What may stop one is written with release, too. For `default`: select.c. */
	rt_atomic64 news;
};

static inline void rt_chan_news(gort_chan *c)
{
	rt_store64_rel(&c->news, rt_load64_rlx(&c->news) + 1);
}

/* To be asked before a look without the lock that may end in "it would block". Only what was seen while nobody held the
 * lock counts: who sends on one channel and then finds another empty, while somebody does the same the other way round,
 * must not both find that. On x86 each has taken its lock by a locked instruction before it looks, and what it has
 * written meanwhile, the 0 of the lock last, may still be on its way (plock.c): then its lock is seen as held. Other
 * machines fence. tests/model/news.pml, TRY. */
static inline bool rt_chan_quiet(const gort_chan *c)
{
	rt_fence_after_rmw();
	return rt_load32_acq(&c->lock.key) == 0;
}

/* ---- Wait queues; the channel's lock is held ------------------------------------------------- */

static inline rt_waiter *rt_waitq_head(const rt_waitq *q)
{
	return rt_loadptr_rlx(&q->head);
}

static inline void rt_waitq_push(rt_waitq *q, rt_waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (rt_waitq_head(q) != NULL)
		q->tail->next = w;
	else
		rt_storeptr_rlx(&q->head, w);
	q->tail = w;
}

/* Harmless for a waiter that was taken out already. */
static inline void rt_waitq_remove(rt_waitq *q, rt_waiter *w)
{
	if (rt_waitq_head(q) == w)
		rt_storeptr_rel(&q->head, w->next);
	else if (w->prev != NULL)
		w->prev->next = w->next;
	else
		return;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->next = w->prev = NULL;
}

static inline void rt_waitq_drop_head(rt_waitq *q)
{
	rt_waiter *w = rt_waitq_head(q);

	rt_storeptr_rel(&q->head, w->next);
	if (w->next != NULL)
		w->next->prev = NULL;
	else
		q->tail = NULL;
	w->next = w->prev = NULL;
}

/* The first waiter that is still to be had. Those that another partner, a timer or a canceller has
 * won are taken out on the way. */
static inline rt_waiter *rt_waitq_pop(rt_waitq *q)
{
	rt_waiter *w;

	while ((w = rt_waitq_head(q)) != NULL) {
		rt_waitq_drop_head(q);
		if (rt_waiter_claim(w))
			return w;
	}
	return NULL;
}

/* Whether rt_waitq_pop would find one now; it may be lost before. */
static inline bool rt_waitq_any(rt_waitq *q)
{
	rt_waiter *w;

	while ((w = rt_waitq_head(q)) != NULL) {
		if (!w->timed || rt_waiter_may_claim_timed(w))
			return true;
		rt_waitq_drop_head(q);
	}
	return false;
}

/* ---- One operation; the channel's lock is held before and after ------------------------------ */

typedef enum rt_chanop {
	RT_CHAN_DONE,   /* *wake: a goroutine to be readied after unlocking, or NULL */
	RT_CHAN_BLOCK,  /* nothing was done */
	RT_CHAN_CLOSED  /* send: a panic is due after unlocking; receive: closed and empty, *elem zeroed */
} rt_chanop;

static inline void rt_chan_trace(unsigned event, gort_chan *c, uint64_t len)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(rt_load32_rlx(&mp->rt->trace.groups) & GORT_TRACE_SYNC))
		rt_trace_emit(mp, event, mp->curg, (uintptr_t)c, len, 0);
}

static inline rt_chanop rt_chan_send_locked(gort_chan *c, const void *elem, rt_g **wake)
{
	rt_waiter *w;
	uint64_t n;

	*wake = NULL;
	if (RT_UNLIKELY(rt_load32_rlx(&c->closed)))
		return RT_CHAN_CLOSED;
	w = rt_waitq_head(&c->recvq) != NULL ? rt_waitq_pop(&c->recvq) : NULL;
	if (w != NULL) {
		rt_chan_trace(GORT_EV_CHAN_SEND, c, 0);
		if (w->elem != NULL)
			rt_typed_move(c->elem, c->elemsize, w->elem, elem);
		w->success = true;
		*wake = w->g;
		return RT_CHAN_DONE;
	}
	n = rt_load64_rlx(&c->count);
	if (n == c->cap)
		return RT_CHAN_BLOCK;
	rt_typed_move(c->elem, c->elemsize, c->buf + c->sendx * c->elemsize, elem);
	if (++c->sendx == c->cap)
		c->sendx = 0;
	rt_store64_rel(&c->count, n + 1);
	rt_chan_news(c);
	rt_chan_trace(GORT_EV_CHAN_SEND, c, n + 1);
	return RT_CHAN_DONE;
}

/* A sender waits: unbuffered, its value; buffered, which is full then, the oldest value, and the
 * sender's takes its place. */
static inline void rt_chan_take_from(gort_chan *c, rt_waiter *w, void *elem)
{
	char *slot = c->buf + c->recvx * c->elemsize;

	if (c->cap == 0) {
		if (elem != NULL)
			rt_typed_move(c->elem, c->elemsize, elem, w->elem);
		return;
	}
	if (elem != NULL)
		rt_typed_move(c->elem, c->elemsize, elem, slot);
	rt_typed_move(c->elem, c->elemsize, slot, w->elem);
	if (++c->recvx == c->cap)
		c->recvx = 0;
	c->sendx = c->recvx;
}

static inline rt_chanop rt_chan_recv_locked(gort_chan *c, void *elem, rt_g **wake)
{
	rt_waiter *w;
	uint64_t n;
	char *slot;

	*wake = NULL;
	if (RT_UNLIKELY(c->timer != NULL))
		rt_timer_poll(c->timer);
	n = rt_load64_rlx(&c->count);
	if (RT_UNLIKELY(rt_load32_rlx(&c->closed)) && n == 0) {
		if (elem != NULL)
			rt_typed_clear(c->elem, c->elemsize, elem);
		return RT_CHAN_CLOSED;
	}
	w = rt_waitq_head(&c->sendq) != NULL ? rt_waitq_pop(&c->sendq) : NULL;
	if (w != NULL) {
		rt_chan_trace(GORT_EV_CHAN_RECV, c, n);
		rt_chan_take_from(c, w, elem);
		w->success = true;
		*wake = w->g;
		return RT_CHAN_DONE;
	}
	if (n == 0)
		return RT_CHAN_BLOCK;
	slot = c->buf + c->recvx * c->elemsize;
	if (elem != NULL)
		rt_typed_move(c->elem, c->elemsize, elem, slot);
	if (rt_type_pointers(c->elem)) /* the buffer keeps nothing alive that was received */
		rt_typed_clear(c->elem, c->elemsize, slot);
	if (++c->recvx == c->cap)
		c->recvx = 0;
	rt_store64_rel(&c->count, n - 1);
	rt_chan_news(c);
	rt_chan_trace(GORT_EV_CHAN_RECV, c, n - 1);
	return RT_CHAN_DONE;
}

/* chan.c. `rt_park_forever`: parks until an attached thread's run ends; a goroutine stays there. */
void rt_park_forever(rt_waitreason why);
/* The plain operations, inside the runtime; c may be NULL; deadline may be RT_UNTIMED. Send: 0,
 * GORT_ETIMEDOUT, GORT_ECANCELED, or a panic. Receive: the same and GORT_ECLOSED. */
int rt_chan_send(gort_chan *c, const void *elem, int64_t deadline);
int rt_chan_recv(gort_chan *c, void *elem, int64_t deadline);
/* 0; GORT_EAGAIN; receive: GORT_ECLOSED. */
int rt_chan_try_send(gort_chan *c, const void *elem);
int rt_chan_try_recv(gort_chan *c, void *elem);

/* select.c: up-call select_objects */
void rt_select_objects(const rt_waiter *w, void (*visit)(void *data, const void *object), void *data);

/* sleep.c: parks until the deadline; GORT_FOREVER: without a timer. 0, or GORT_ECANCELED. */
int rt_sleep_until(int64_t deadline, bool cancelable, rt_waitreason why);
/* For who has nothing to wait for: GORT_ETIMEDOUT, GORT_ECANCELED. */
int rt_sleep_out(int64_t deadline, rt_waitreason why);

#endif
