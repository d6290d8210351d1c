/* chan.c: channels.
 *
 * One lock for each channel guards everything, its wait queues and the waiters' fields included.
 * A waiter lies in the frame of the goroutine that waits; whoever takes it off the queue moves the
 * value straight between the two stacks (or stack and buffer), and makes the goroutine runnable
 * after the lock is released.
 *
 * Invariants:
 *   - one of recvq and sendq is empty, unless one select waits for both on an unbuffered channel;
 *   - buffered: count > 0 means recvq is empty, count < cap means sendq is empty.
 * Waiters that another waker has won do not count.
 *
 * A wait with a deadline has a second waker, its timer, and a select waits in several queues. All
 * wakers must win rt_waiter_claim; a waiter whose goroutine somebody else has won stays queued
 * until that goroutine takes it out, and partners pass it by.
 *
 * A try that cannot be done looks once, without the lock; `closed`, `count` and the heads of the
 * queues are atomic for that. A receive looks whether there is anything, then whether the channel
 * is closed: it was open and empty when it looked first, since a channel does not open again. In
 * the other order it might have been filled, closed and emptied in between. For a send the order
 * does not matter: a closed channel does not become full.
 *
 * Rejected: lock-free channels. They are faster when a buffered channel is shared by many cores,
 * and slower when a goroutine blocks, which is what most channels do; and Go's exact FIFO order is
 * hard to keep.
 */
#include "core/sync/chan.h"

#include "core/builtin/panic.h"

enum { MAX_ELEM = 1 << 16 };

/* At the end of a run, world stopped. */
static void unlink_recv(rt_waiter *w)
{
	gort_chan *c = w->on;

	rt_waitq_remove(&c->recvq, w);
	if (c->timer != NULL)
		rt_timer_unblock(c->timer);
	w->on = NULL;
}
static void unlink_send(rt_waiter *w)
{
	rt_waitq_remove(&((gort_chan *)w->on)->sendq, w);
}

/* ---- Make ------------------------------------------------------------------------------------ */

GORT_API gort_chan *gort_chan_make(const gort_type *elem, size_t cap)
{
	size_t size = gort_type_size(elem);
	gort_chan *c;

	(void)RT_ENTER();
	if (size >= MAX_ELEM)
		rt_fatal("makechan: invalid channel element type");
	if (cap > (size_t)PTRDIFF_MAX / 2 || (size > 0 && cap > ((size_t)1 << 47) / size))
		rt_panic_text("makechan: size out of range");
	/* One object without pointers if the buffer holds none: waiters lie in frames, or are kept by them. Else the
	 * buffer is one of its own, with its type. */
	if (size * cap == 0 || !rt_type_pointers(elem)) {
		c = rt_new_bytes(sizeof *c + size * cap, true);
		c->buf = (char *)(c + 1);
	} else {
		c = rt_new_bytes(sizeof *c, false);
		c->buf = rt_new_array(elem, cap); /* c was seen by nobody: no barrier */
	}
	c->cap = cap;
	c->elemsize = size;
	c->elem = elem;
	rt_leave();
	return c;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

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

void rt_park_forever(rt_waitreason why)
{
	while (!rt_g_released(rt_curg()))
		rt_gopark(forever, NULL, why, NULL);
}

/* On a nil channel: only a deadline or a cancellation ends it. */
static int wait_nil(int64_t deadline, rt_waitreason why)
{
	if (deadline != RT_UNTIMED)
		return rt_sleep_out(deadline, why);
	rt_park_forever(why);
	return GORT_ECANCELED;
}

/* Enqueues the caller, releases the lock and waits. Returns 0 when a partner came, GORT_ECLOSED,
 * GORT_ETIMEDOUT or GORT_ECANCELED. */
static int wait_on(gort_chan *c, bool send, void *elem, int64_t deadline, rt_waitreason why)
{
	rt_waitq *q = send ? &c->sendq : &c->recvq;
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
	if (RT_UNLIKELY(c->timer != NULL) && !send && !rt_timer_block(c->timer)) {
		rt_timer_unblock(c->timer);
		rt_punlock(&c->lock, RT_RANK_hchan);
		rt_timer_no_memory();
	}
	rt_waiter_begin(gp, &w, deadline);
	rt_waitq_push(q, &w);
	rt_chan_news(c);
	rt_gopark(commit, &w, why, c);
	if (RT_UNLIKELY(c->timer != NULL) && !send && w.on != NULL) { /* else the end of a run did it */
		rt_plock(&c->lock, RT_RANK_hchan);
		rt_timer_unblock(c->timer);
		rt_punlock(&c->lock, RT_RANK_hchan);
	}
	if (w.timed && !w.success) {
		rt_plock(&c->lock, RT_RANK_hchan);
		rt_waitq_remove(q, &w);
		rt_punlock(&c->lock, RT_RANK_hchan);
	}
	r = rt_waiter_end(gp, &w);
	return w.ticket ? GORT_ECLOSED : r;
}

/* ---- Send ------------------------------------------------------------------------------------ */

/* Under the lock. True: done and unlocked. */
static inline bool send_now(gort_chan *c, const void *elem)
{
	rt_g *wake;
	rt_chanop op = rt_chan_send_locked(c, elem, &wake);

	if (op == RT_CHAN_BLOCK)
		return false;
	rt_punlock(&c->lock, RT_RANK_hchan);
	if (RT_UNLIKELY(op == RT_CHAN_CLOSED))
		rt_panic_text("send on closed channel");
	if (wake != NULL)
		rt_goready(wake);
	return true;
}

static inline int send(gort_chan *c, const void *elem, int64_t deadline)
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

int rt_chan_send(gort_chan *c, const void *elem, int64_t deadline)
{
	return RT_LIKELY(c != NULL) ? send(c, elem, deadline)
	                            : wait_nil(deadline, RT_WAIT_CHAN_SEND_NIL);
}

int rt_chan_try_send(gort_chan *c, const void *elem)
{
	if (c == NULL)
		return GORT_EAGAIN;
	if (rt_chan_quiet(c) && !rt_load32_rlx(&c->closed) && rt_waitq_head(&c->recvq) == NULL &&
	    rt_load64_rlx(&c->count) == c->cap)
		return GORT_EAGAIN;
	rt_plock(&c->lock, RT_RANK_hchan);
	if (send_now(c, elem))
		return 0;
	rt_punlock(&c->lock, RT_RANK_hchan);
	return GORT_EAGAIN;
}

GORT_API void gort_chan_send(gort_chan *c, const void *elem)
{
	(void)RT_ENTER();
	(void)rt_chan_send(c, elem, RT_UNTIMED);
	rt_leave();
}

GORT_API int gort_chan_send_until(gort_chan *c, const void *elem, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = rt_chan_send(c, elem, rt_deadline(deadline));
	rt_leave();
	return r;
}

GORT_API bool gort_chan_try_send(gort_chan *c, const void *elem)
{
	int r;

	(void)RT_ENTER();
	r = rt_chan_try_send(c, elem);
	rt_leave();
	return r == 0;
}

/* ---- Receive --------------------------------------------------------------------------------- */

/* Under the lock. 0: received, GORT_ECLOSED: closed and empty, both unlocked; GORT_EAGAIN: it would
 * block, still locked. */
static inline int recv_now(gort_chan *c, void *elem)
{
	rt_g *wake;
	rt_chanop op = rt_chan_recv_locked(c, elem, &wake);

	if (op == RT_CHAN_BLOCK)
		return GORT_EAGAIN;
	rt_punlock(&c->lock, RT_RANK_hchan);
	if (wake != NULL)
		rt_goready(wake);
	return op == RT_CHAN_DONE ? 0 : GORT_ECLOSED;
}

static inline int recv(gort_chan *c, void *elem, int64_t deadline)
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

int rt_chan_recv(gort_chan *c, void *elem, int64_t deadline)
{
	return RT_LIKELY(c != NULL) ? recv(c, elem, deadline)
	                            : wait_nil(deadline, RT_WAIT_CHAN_RECV_NIL);
}

int rt_chan_try_recv(gort_chan *c, void *elem)
{
	int r;

	if (c == NULL)
		return GORT_EAGAIN;
	if (c->timer == NULL && rt_chan_quiet(c) && rt_load64_acq(&c->count) == 0 &&
	    rt_loadptr_acq(&c->sendq.head) == NULL && !rt_load32_rlx(&c->closed))
		return GORT_EAGAIN;
	rt_plock(&c->lock, RT_RANK_hchan);
	r = recv_now(c, elem);
	if (r == GORT_EAGAIN)
		rt_punlock(&c->lock, RT_RANK_hchan);
	return r;
}

GORT_API bool gort_chan_recv(gort_chan *c, void *elem)
{
	int r;

	(void)RT_ENTER();
	r = rt_chan_recv(c, elem, RT_UNTIMED);
	rt_leave();
	return r == 0;
}

GORT_API int gort_chan_recv_until(gort_chan *c, void *elem, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = rt_chan_recv(c, elem, rt_deadline(deadline));
	rt_leave();
	return r;
}

GORT_API int gort_chan_try_recv(gort_chan *c, void *elem)
{
	int r;

	(void)RT_ENTER();
	r = rt_chan_try_recv(c, elem);
	rt_leave();
	return r;
}

/* ---- Close ----------------------------------------------------------------------------------- */

/* Takes out all waiters of q that can be had and appends them to *tail. */
static rt_waiter **collect(gort_chan *c, rt_waitq *q, rt_waiter **tail, bool zero)
{
	rt_waiter *w;

	while ((w = rt_waitq_pop(q)) != NULL) {
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
	rt_chan_news(c);
	rt_chan_trace(GORT_EV_CHAN_CLOSE, c, 0);
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
	return c != NULL && c->timer == NULL ? rt_load64_rlx(&c->count) : 0;
}

GORT_API size_t gort_chan_cap(gort_chan *c)
{
	return c != NULL && c->timer == NULL ? c->cap : 0;
}
