/* chan.c: channels.
 *
 * One lock for each channel guards everything, its wait queues and the waiters' fields included.
 * A waiter lies in the frame of the goroutine that waits; whoever takes it off the queue moves the
 * value straight between the two stacks (or stack and buffer), and makes the goroutine runnable
 * after the lock is released.
 *
 * Invariants:
 *   - one of recvq and sendq is empty;
 *   - buffered: count > 0 means recvq is empty, count < cap means sendq is empty.
 *
 * A wait with a deadline has a second waker, its timer. Both must win rt_waiter_claim; a waiter that the
 * timer has won stays queued until its goroutine takes it out, and partners pass it by.
 *
 * Rejected: lock-free channels. They are faster when a buffered channel is shared by many cores, and slower when a
 * goroutine blocks, which is what most channels do; and Go's exact FIFO order is hard to keep.
 */
#include "core/sync/chan.h"

#include "core/builtin/panic.h"
#include "core/builtin/type.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"

typedef struct waitq {
	rt_waiter *head, *tail;
} waitq;

struct gort_chan {
	rt_mutex lock;      /* rank hchan */
	rt_atomic32 closed; /* written under lock; read without by the try_ twins */
	rt_atomic64 count;  /* elements in buf; the same */
	/* set once */
	size_t cap, elemsize;
	const gort_type *elem;
	char *buf;
	/* guarded by lock */
	size_t sendx, recvx;
	waitq recvq, sendq;
};

enum { MAX_ELEM = 1 << 16 };

/* ---- Wait queues; the channel's lock is held ------------------------------------------------- */

static void enqueue(waitq *q, rt_waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
}

static void unlink_waiter(waitq *q, rt_waiter *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else if (q->head == w)
		q->head = w->next;
	else
		return; /* taken out already */
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->next = w->prev = NULL;
}

/* The first waiter that is still to be had. */
static rt_waiter *dequeue(waitq *q)
{
	rt_waiter *w;

	while ((w = q->head) != NULL) {
		q->head = w->next;
		if (q->head != NULL)
			q->head->prev = NULL;
		else
			q->tail = NULL;
		w->next = w->prev = NULL;
		if (rt_waiter_claim(w))
			return w;
	}
	return NULL;
}

/* At the end of a run, world stopped. */
static void unlink_recv(rt_waiter *w)
{
	unlink_waiter(&((gort_chan *)w->on)->recvq, w);
}
static void unlink_send(rt_waiter *w)
{
	unlink_waiter(&((gort_chan *)w->on)->sendq, w);
}

/* ---- Make ----------------------------------------------------------------------------------- */

GORT_API gort_chan *gort_chan_make(const gort_type *elem, size_t cap)
{
	size_t size = gort_type_size(elem);
	gort_chan *c;

	(void)RT_ENTER();
	if (size >= MAX_ELEM)
		rt_fatal("makechan: invalid channel element type");
	if (cap > (size_t)PTRDIFF_MAX / 2 || (size > 0 && cap > ((size_t)1 << 47) / size))
		rt_panic_text("makechan: size out of range");
	/* One object if the buffer holds no pointers; else the buffer is one of its own, with its type. */
	if (size * cap == 0 || !rt_type_pointers(elem)) {
		c = rt_new_bytes(sizeof *c + size * cap, false);
		c->buf = (char *)(c + 1);
	} else {
		c = rt_new_bytes(sizeof *c, false);
		c->buf = rt_new_bytes(size * cap, false);
	}
	c->cap = cap;
	c->elemsize = size;
	c->elem = elem;
	rt_leave();
	return c;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* On g0, the goroutine is WAITING. The timer is armed before the lock is released: afterwards the
 * waiter may be gone. */
static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	gort_chan *c = w->on;

	(void)gp;
	rt_waiter_open(w);
	rt_punlock(&c->lock, RT_RANK_hchan);
	return true;
}

static bool forever(rt_g *gp, void *arg)
{
	(void)gp, (void)arg;
	return true;
}

/* On a nil channel. */
static void wait_nil(rt_waitreason why)
{
	do
		rt_gopark(forever, NULL, why, NULL);
	while (!rt_g_released(rt_curg()));
}

/* Enqueues the caller, releases the lock and waits. Returns 0 when a partner came, GORT_ECLOSED,
 * GORT_ETIMEDOUT or GORT_ECANCELED. */
static int wait_on(gort_chan *c, bool send, void *elem, int64_t deadline, rt_waitreason why)
{
	waitq *q = send ? &c->sendq : &c->recvq;
	rt_g *gp = rt_curg();
	rt_waiter w;
	int r = rt_wait_refused(gp, deadline);

	if (r != 0) {
		rt_punlock(&c->lock, RT_RANK_hchan);
		return r;
	}
	w.elem = elem;
	w.on = c;
	w.unlink = send ? unlink_send : unlink_recv;
	rt_waiter_begin(gp, &w, deadline);
	enqueue(q, &w);
	rt_gopark(commit, &w, why, c);
	if (w.timed && !w.success) {
		rt_plock(&c->lock, RT_RANK_hchan);
		unlink_waiter(q, &w);
		rt_punlock(&c->lock, RT_RANK_hchan);
	}
	r = rt_waiter_end(gp, &w);
	return w.ticket ? GORT_ECLOSED : r;
}

/* ---- Send ----------------------------------------------------------------------------------- */

static _Noreturn void send_on_closed(gort_chan *c)
{
	rt_punlock(&c->lock, RT_RANK_hchan);
	rt_panic_text("send on closed channel");
}

static void trace_chan(unsigned event, gort_chan *c, uint64_t len)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(rt_load32_rlx(&mp->rt->trace.groups) & GORT_TRACE_SYNC))
		rt_trace_emit(mp, event, mp->curg, (uintptr_t)c, len, 0);
}

/* Under the lock: hands over or buffers. True: done and unlocked. */
static inline bool send_now(gort_chan *c, const void *elem)
{
	rt_waiter *w;
	uint64_t n;

	if (RT_UNLIKELY(rt_load32_rlx(&c->closed)))
		send_on_closed(c);
	w = c->recvq.head != NULL ? dequeue(&c->recvq) : NULL;
	if (w != NULL) {
		trace_chan(GORT_EV_CHAN_SEND, c, 0);
		if (w->elem != NULL)
			rt_typed_move(c->elem, c->elemsize, w->elem, elem);
		w->success = true;
		rt_g *gp = w->g;

		rt_punlock(&c->lock, RT_RANK_hchan);
		rt_goready(gp);
		return true;
	}
	n = rt_load64_rlx(&c->count);
	if (n == c->cap)
		return false;
	rt_typed_move(c->elem, c->elemsize, c->buf + c->sendx * c->elemsize, elem);
	if (++c->sendx == c->cap)
		c->sendx = 0;
	rt_store64_rlx(&c->count, n + 1);
	trace_chan(GORT_EV_CHAN_SEND, c, n + 1);
	rt_punlock(&c->lock, RT_RANK_hchan);
	return true;
}

/* 0, or GORT_ETIMEDOUT, GORT_ECANCELED. */
static int send(gort_chan *c, const void *elem, int64_t deadline)
{
	int r;

	rt_plock(&c->lock, RT_RANK_hchan);
	if (send_now(c, elem))
		return 0;
	r = wait_on(c, true, (void *)elem, deadline, RT_WAIT_CHAN_SEND);
	if (r == GORT_ECLOSED)
		rt_panic_text("send on closed channel");
	return r;
}

GORT_API void gort_chan_send(gort_chan *c, const void *elem)
{
	(void)RT_ENTER();
	if (RT_UNLIKELY(c == NULL))
		wait_nil(RT_WAIT_CHAN_SEND_NIL);
	else
		(void)send(c, elem, RT_UNTIMED);
	rt_leave();
}

/* Nobody comes: only a deadline or a cancellation ends it. */
static int sleep_nil(int64_t deadline, rt_waitreason why)
{
	return rt_sleep_until(deadline, true, why) == 0 ? GORT_ETIMEDOUT : GORT_ECANCELED;
}

GORT_API int gort_chan_send_until(gort_chan *c, const void *elem, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	deadline = rt_deadline(deadline);
	r = c != NULL ? send(c, elem, deadline) : sleep_nil(deadline, RT_WAIT_CHAN_SEND_NIL);
	rt_leave();
	return r;
}

GORT_API bool gort_chan_try_send(gort_chan *c, const void *elem)
{
	bool done = false;

	(void)RT_ENTER();
	if (c != NULL) {
		rt_plock(&c->lock, RT_RANK_hchan);
		done = send_now(c, elem);
		if (!done)
			rt_punlock(&c->lock, RT_RANK_hchan);
	}
	rt_leave();
	return done;
}

/* ---- Receive -------------------------------------------------------------------------------- */

/* A sender waits: unbuffered, its value; buffered, which is full then, the oldest value, and the
 * sender's takes its place. */
static void take_from(gort_chan *c, rt_waiter *w, void *elem)
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

/* Under the lock. 0: received, GORT_ECLOSED: closed and empty, both unlocked; GORT_EAGAIN: it would
 * block, still locked. */
static inline int recv_now(gort_chan *c, void *elem)
{
	uint64_t n = rt_load64_rlx(&c->count);
	rt_waiter *w;

	if (RT_UNLIKELY(rt_load32_rlx(&c->closed)) && n == 0) {
		rt_punlock(&c->lock, RT_RANK_hchan);
		if (elem != NULL)
			rt_typed_clear(c->elem, c->elemsize, elem);
		return GORT_ECLOSED;
	}
	w = c->sendq.head != NULL ? dequeue(&c->sendq) : NULL;
	if (w != NULL) {
		trace_chan(GORT_EV_CHAN_RECV, c, n);
		take_from(c, w, elem);
		w->success = true;
		rt_g *gp = w->g;

		rt_punlock(&c->lock, RT_RANK_hchan);
		rt_goready(gp);
		return 0;
	}
	if (n == 0)
		return GORT_EAGAIN;
	char *slot = c->buf + c->recvx * c->elemsize;

	if (elem != NULL)
		rt_typed_move(c->elem, c->elemsize, elem, slot);
	if (rt_type_pointers(c->elem)) /* the buffer keeps nothing alive that was received */
		rt_typed_clear(c->elem, c->elemsize, slot);
	if (++c->recvx == c->cap)
		c->recvx = 0;
	rt_store64_rlx(&c->count, n - 1);
	trace_chan(GORT_EV_CHAN_RECV, c, n - 1);
	rt_punlock(&c->lock, RT_RANK_hchan);
	return 0;
}

static int recv(gort_chan *c, void *elem, int64_t deadline)
{
	int r;

	rt_plock(&c->lock, RT_RANK_hchan);
	r = recv_now(c, elem);
	if (r != GORT_EAGAIN)
		return r;
	r = wait_on(c, false, elem, deadline, RT_WAIT_CHAN_RECV);
	if (r == GORT_ECANCELED && deadline == RT_UNTIMED && elem != NULL)
		rt_typed_clear(c->elem, c->elemsize, elem); /* "reports closed": its run has ended */
	return r;
}

GORT_API bool gort_chan_recv(gort_chan *c, void *elem)
{
	bool ok = false;

	(void)RT_ENTER();
	if (RT_UNLIKELY(c == NULL))
		wait_nil(RT_WAIT_CHAN_RECV_NIL);
	else
		ok = recv(c, elem, RT_UNTIMED) == 0;
	rt_leave();
	return ok;
}

GORT_API int gort_chan_recv_until(gort_chan *c, void *elem, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	deadline = rt_deadline(deadline);
	r = c != NULL ? recv(c, elem, deadline) : sleep_nil(deadline, RT_WAIT_CHAN_RECV_NIL);
	rt_leave();
	return r;
}

GORT_API int gort_chan_try_recv(gort_chan *c, void *elem)
{
	int r = GORT_EAGAIN;

	(void)RT_ENTER();
	if (c != NULL) {
		rt_plock(&c->lock, RT_RANK_hchan);
		r = recv_now(c, elem);
		if (r == GORT_EAGAIN)
			rt_punlock(&c->lock, RT_RANK_hchan);
	}
	rt_leave();
	return r;
}

/* ---- Close ---------------------------------------------------------------------------------- */

/* Takes out all waiters of q that can be had and appends them to *tail. */
static rt_waiter **collect(gort_chan *c, waitq *q, rt_waiter **tail, bool zero)
{
	rt_waiter *w;

	while ((w = dequeue(q)) != NULL) {
		if (zero && w->elem != NULL)
			rt_typed_clear(c->elem, c->elemsize, w->elem);
		w->ticket = 1; /* woken by close */
		*tail = w;
		tail = &w->next;
	}
	return tail;
}

GORT_API void gort_chan_close(gort_chan *c)
{
	rt_waiter *all = NULL, *w, **tail = &all;

	(void)RT_ENTER();
	if (c == NULL)
		rt_panic_text("close of nil channel");
	rt_plock(&c->lock, RT_RANK_hchan);
	if (rt_load32_rlx(&c->closed)) {
		rt_punlock(&c->lock, RT_RANK_hchan);
		rt_panic_text("close of closed channel");
	}
	rt_store32_rel(&c->closed, 1);
	trace_chan(GORT_EV_CHAN_CLOSE, c, 0);
	tail = collect(c, &c->recvq, tail, true);
	tail = collect(c, &c->sendq, tail, false);
	*tail = NULL;
	rt_punlock(&c->lock, RT_RANK_hchan);
	while ((w = all) != NULL) { /* w is gone as soon as its goroutine runs */
		all = w->next;
		rt_goready(w->g);
	}
	rt_leave();
}

GORT_API size_t gort_chan_len(gort_chan *c)
{
	return c != NULL ? rt_load64_rlx(&c->count) : 0;
}

GORT_API size_t gort_chan_cap(gort_chan *c)
{
	return c != NULL ? c->cap : 0;
}
