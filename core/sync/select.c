/* select.c: select.
 *
 * No case, one case, and a single case with `default` are plain operations. Of the others:
 *
 *   look    Without locks: which cases seem ready? One of them is drawn, its channel alone is
 *           locked, and the operation tried. Any case that is ready at the moment when it is done
 *           is a right choice, so nothing else needs to be held still.
 *   default Only "none is ready" is about all channels at one moment. Each counts its news, what may let
 *           somebody go on, and both looks read the counters: if nobody has had news in between, what was
 *           not ready in the first look was not at its end, and all that without a lock. A program sees
 *           no more than that: if it keeps one of its channels ready at any time, it makes another one
 *           ready (news) before it takes from the first (a release that the look acquires), so who sees
 *           the first empty sees the news of the other. tests/model/news.pml. A timer's channel becomes
 *           ready without news.
 *   1       Else all are locked, by address, and looked at once more.
 *   2       Still none: a waiter goes into the queue of every case, and the goroutine parks. Its
 *           commit function arms the timer and unlocks the channels; after the last one it may be
 *           gone.
 *   3       Woken: each waiter is taken out of its queue, one lock at a time: nothing is decided any more, and
 *           who finds one that is still there loses its claim. The partner has taken out the one that it served,
 *           has marked it, and has moved the value already.
 *
 * All waiters of a select must be claimed (rt_waiter.timed): partners at several channels, the
 * timer and a canceller want the goroutine, and one gets it. What the goroutine waits on
 * (g->waiting) is one more record, `all`, in no queue: it carries the timer, and its unlink takes
 * out all the others.
 *
 * Fairness. The draw is uniform: the k-th ready case replaces the one chosen so far with the
 * chance 1/k (reservoir sampling). That needs a random number only if several cases are ready, and
 * no array; Go shuffles all cases first. Under the locks the claim of a waiter that seemed free may
 * still be lost to somebody at another channel; then the draw is repeated without it.
 *
 * With GOMAXPROCS=1 channel locks do not exist (rt_plock), and neither does their order: sorting
 * is left out, too.
 *
 * Up to NEAR cases the arrays lie in the frame; beyond that in one heap object, since the
 * collector must see the waiters. If there is no memory for it the run ends like for every
 * allocation.
 */
#include "core/sync/chan.h"

#include "core/builtin/panic.h"

enum { NEAR = 16, MOST = 65536 };

typedef struct selection {
	gort_select_case *cases;
	uint32_t n;
	uint32_t nsorted;   /* entries of order; 0 = not sorted yet */
	uint16_t *order;    /* cases with a channel, by the channel's address */
	rt_waiter *waiters; /* one a case */
	rt_waiter all;      /* g->waiting */
} selection;

/* ---- All locks ------------------------------------------------------------------------------- */

static gort_chan *chan_at(const selection *s, uint32_t i)
{
	return s->cases[s->order[i]].chan;
}

/* Below `top` every entry is less than the one at the root of its subtree. */
static void sift_down(selection *s, uint32_t root, uint32_t top)
{
	uint16_t moved = s->order[root];
	uintptr_t key = (uintptr_t)s->cases[moved].chan;

	for (;;) {
		uint32_t child = 2 * root + 1;

		if (child >= top)
			break;
		if (child + 1 < top && (uintptr_t)chan_at(s, child) < (uintptr_t)chan_at(s, child + 1))
			child++;
		if ((uintptr_t)chan_at(s, child) <= key)
			break;
		s->order[root] = s->order[child];
		root = child;
	}
	s->order[root] = moved;
}

static void insertion_sort(selection *s)
{
	for (uint32_t i = 1; i < s->nsorted; i++) {
		uint16_t moved = s->order[i];
		uintptr_t key = (uintptr_t)s->cases[moved].chan;
		uint32_t j = i;

		for (; j > 0 && (uintptr_t)chan_at(s, j - 1) > key; j--)
			s->order[j] = s->order[j - 1];
		s->order[j] = moved;
	}
}

/* By heap for many: no worst case and no more memory. */
static void sort(selection *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->cases[i].chan != NULL)
			s->order[s->nsorted++] = (uint16_t)i;
	if (s->nsorted <= NEAR) {
		insertion_sort(s);
		return;
	}
	for (uint32_t i = s->nsorted / 2; i-- > 0;)
		sift_down(s, i, s->nsorted);
	for (uint32_t top = s->nsorted - 1; top > 0; top--) {
		uint16_t greatest = s->order[0];

		s->order[0] = s->order[top];
		s->order[top] = greatest;
		sift_down(s, 0, top);
	}
}

static void lock_all(selection *s)
{
	gort_chan *last = NULL;

	if (rt_plock_elided())
		return;
	if (s->nsorted == 0)
		sort(s);
	for (uint32_t i = 0; i < s->nsorted; i++) {
		gort_chan *c = chan_at(s, i);

		if (c != last)
			rt_plock(&c->lock, RT_RANK_hchan);
		last = c;
	}
}

/* After the last unlock *s may be gone. */
static void unlock_all(const selection *s)
{
	uint32_t n = s->nsorted;
	gort_chan *c;

	if (n == 0 || rt_plock_elided())
		return;
	c = chan_at(s, 0);
	for (uint32_t i = 1; i < n; i++) {
		gort_chan *next = chan_at(s, i);

		if (next != c)
			rt_punlock(&c->lock, RT_RANK_hchan);
		c = next;
	}
	rt_punlock(&c->lock, RT_RANK_hchan);
}

/* ---- Which case ------------------------------------------------------------------------------ */

/* Without the lock; a waiter in the queue may be one that was lost already. */
static inline bool seems_ready(const gort_select_case *k)
{
	const gort_chan *c = k->chan;

	if (k->dir == GORT_SEND)
		return rt_loadptr_acq(&c->recvq.head) != NULL || rt_load64_acq(&c->count) < c->cap ||
		       rt_load32_acq(&c->closed);
	return rt_load64_acq(&c->count) > 0 || rt_loadptr_acq(&c->sendq.head) != NULL ||
	       rt_load32_acq(&c->closed) || (c->timer != NULL && rt_timer_due(c->timer));
}

/* With the lock. */
static bool ready(const gort_select_case *k)
{
	gort_chan *c = k->chan;

	if (k->dir == GORT_SEND)
		return rt_load64_rlx(&c->count) < c->cap || rt_load32_rlx(&c->closed) ||
		       rt_waitq_any(&c->recvq);
	if (c->timer != NULL)
		rt_timer_poll(c->timer);
	return rt_load64_rlx(&c->count) > 0 || rt_load32_rlx(&c->closed) || rt_waitq_any(&c->sendq);
}

/* Replaces the draw by i with the chance 1 / *found. By a mask: no processor foresees a branch that is drawn. */
static inline void draw(int *chosen, uint32_t *found, uint32_t i)
{
	uint32_t keep = 0;

	if (++*found > 1)
		keep = 0 - (uint32_t)(rt_rand_below(&rt_self()->p->rand, *found) != 0);
	*chosen = (int)(((uint32_t)*chosen & keep) | (i & ~keep));
}

/* -1: none. *news: the sum of all counters, each read before its channel. Each only grows, so equal sums are equal
 * counters. *held: a channel's lock was held before it was looked at, which is why "none" does not count
 * (rt_chan_quiet). */
static inline int look(const selection *s, uint64_t *news, uint32_t *held)
{
	uint32_t found = 0;
	int chosen = -1;

	*news = *held = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->cases[i].chan == NULL)
			continue;
		*held |= rt_load32_acq(&s->cases[i].chan->lock.key);
		*news += rt_load64_acq(&s->cases[i].chan->news);
		if (seems_ready(&s->cases[i]))
			draw(&chosen, &found, i);
	}
	return chosen;
}

/* After a look that found none ready: was there a moment at which none was? */
static inline bool quiet(const selection *s, uint64_t news)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const gort_chan *c = s->cases[i].chan;

		if (c == NULL)
			continue;
		if (c->timer != NULL)
			return false;
		news -= rt_load64_rlx(&c->news);
	}
	return news == 0;
}

static int look_locked(const selection *s)
{
	uint32_t found = 0;
	int chosen = -1;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->cases[i].chan != NULL && ready(&s->cases[i]))
			draw(&chosen, &found, i);
	return chosen;
}

/* ---- Doing it -------------------------------------------------------------------------------- */

static rt_chanop operate(gort_select_case *k, rt_g **wake)
{
	return k->dir == GORT_SEND ? rt_chan_send_locked(k->chan, k->elem, wake)
	                           : rt_chan_recv_locked(k->chan, k->elem, wake);
}

static void trace(int chosen, size_t n)
{
	rt_m *mp = rt_self();

	RT_TRACE(mp, SYNC, SELECT, mp->curg, chosen, n, 0);
}

/* Case `chosen` was done with this result; no lock is held. */
static int done(const selection *s, int chosen, rt_chanop op, rt_g *wake)
{
	gort_select_case *k = &s->cases[chosen];

	if (wake != NULL)
		rt_goready(wake);
	trace(chosen, s->n);
	if (k->dir == GORT_RECV)
		k->ok = op == RT_CHAN_DONE;
	else if (RT_UNLIKELY(op == RT_CHAN_CLOSED))
		rt_panic_text("send on closed channel");
	return chosen;
}

/* -1: it was lost meanwhile. */
static inline int try_one(const selection *s, int chosen)
{
	gort_chan *c = s->cases[chosen].chan;
	rt_chanop op;
	rt_g *wake;

	rt_plock(&c->lock, RT_RANK_hchan);
	op = operate(&s->cases[chosen], &wake);
	rt_punlock(&c->lock, RT_RANK_hchan);
	return op != RT_CHAN_BLOCK ? done(s, chosen, op, wake) : -1;
}

/* With all locks, which it releases if a case was done. -1: none is ready. */
static int try_locked(const selection *s)
{
	int chosen;

	while ((chosen = look_locked(s)) >= 0) {
		rt_g *wake;
		rt_chanop op = operate(&s->cases[chosen], &wake);

		if (op != RT_CHAN_BLOCK) {
			unlock_all(s);
			return done(s, chosen, op, wake);
		}
	}
	return -1;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static rt_waitq *queue_of(const gort_select_case *k)
{
	return k->dir == GORT_SEND ? &k->chan->sendq : &k->chan->recvq;
}

/* The timer of a case that receives from one. */
static gort_timer *timer_of(const gort_select_case *k)
{
	return k->dir == GORT_RECV ? k->chan->timer : NULL;
}

/* With all locks, or the world stopped. Returns the case that a partner has served, or -1. */
static int dequeue_all(selection *s)
{
	int served = -1;

	for (uint32_t i = 0; i < s->n; i++) {
		if (s->cases[i].chan == NULL)
			continue;
		if (RT_UNLIKELY(timer_of(&s->cases[i]) != NULL) && s->waiters[i].on != NULL)
			rt_timer_unblock(s->cases[i].chan->timer);
		s->waiters[i].on = NULL; /* an attached thread comes here twice when its run ends */
		rt_waitq_remove(queue_of(&s->cases[i]), &s->waiters[i]);
		if (s->waiters[i].success || s->waiters[i].ticket != 0)
			served = (int)i;
	}
	return served;
}

/* Woken. The mark of who woke us was written before we were readied. The same answer. */
static int leave_queues(selection *s)
{
	int served = -1;

	for (uint32_t i = 0; i < s->n; i++) {
		gort_select_case *k = &s->cases[i];
		rt_waiter *w = &s->waiters[i];

		if (k->chan == NULL)
			continue;
		if (w->success || w->ticket != 0) {
			served = (int)i;
			if (RT_LIKELY(timer_of(k) == NULL))
				continue;
		}
		rt_plock(&k->chan->lock, RT_RANK_hchan);
		if (RT_UNLIKELY(timer_of(k) != NULL) && w->on != NULL)
			rt_timer_unblock(k->chan->timer);
		w->on = NULL;
		rt_waitq_remove(queue_of(k), w);
		rt_punlock(&k->chan->lock, RT_RANK_hchan);
	}
	return served;
}

static void unlink_all(rt_waiter *w) /* at the end of a run, world stopped */
{
	(void)dequeue_all(w->on);
}

void rt_select_objects(const rt_waiter *w, void (*visit)(void *data, const void *object), void *data)
{
	const selection *s = w->on;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->cases[i].chan != NULL)
			visit(data, s->cases[i].chan);
}

static bool commit(rt_g *gp, void *arg) /* on g0 */
{
	selection *s = arg;
	bool locked = s->nsorted > 0;

	(void)gp;
	rt_waiter_open(&s->all);
	if (locked) /* else nothing keeps the goroutine in its frame any more: no case has a channel */
		unlock_all(s);
	return true;
}

/* False: there is no memory for the alarm of a timer. */
static bool enqueue_all(selection *s, rt_g *gp)
{
	bool ok = true;

	for (uint32_t i = 0; i < s->n; i++) {
		rt_waiter *w = &s->waiters[i];

		if (s->cases[i].chan == NULL)
			continue;
		w->g = gp;
		w->elem = s->cases[i].elem;
		w->on = s->cases[i].chan;
		w->timed = true;
		w->success = false;
		w->ticket = 0;
		rt_waitq_push(queue_of(&s->cases[i]), w);
		rt_chan_news(s->cases[i].chan);
		if (RT_UNLIKELY(timer_of(&s->cases[i]) != NULL))
			ok &= rt_timer_block(s->cases[i].chan->timer);
	}
	return ok;
}

/* An attached thread whose run has ended never blocks. Without a deadline its caller expects no
 * error: a receive reports a closed channel, a send returns, as the plain ones do. */
static int canceled(gort_select_case *cases, size_t n, int64_t deadline)
{
	if (deadline != RT_UNTIMED)
		return GORT_ECANCELED;
	for (size_t i = 0; i < n; i++) {
		gort_select_case *k = &cases[i];

		if (k->dir != GORT_RECV)
			continue;
		k->ok = false;
		if (k->chan != NULL && k->elem != NULL)
			rt_typed_clear(k->chan->elem, k->chan->elemsize, k->elem);
		return (int)i;
	}
	return 0;
}

/* With all locks, which it releases. The index served, GORT_ETIMEDOUT, GORT_ECANCELED. */
static int wait(selection *s, int64_t deadline)
{
	rt_g *gp = rt_curg();
	int r = rt_wait_refused(gp, deadline), served;

	if (r != 0) {
		unlock_all(s);
		return r == GORT_ECANCELED ? canceled(s->cases, s->n, deadline) : r;
	}
	s->all.on = s;
	s->all.unlink = unlink_all;
	rt_waiter_begin(gp, &s->all, deadline == RT_UNTIMED ? GORT_FOREVER : deadline);
	s->all.cancelable = deadline != RT_UNTIMED;
	if (!enqueue_all(s, gp)) {
		(void)dequeue_all(s);
		unlock_all(s);
		(void)rt_waiter_end(gp, &s->all);
		rt_timer_no_memory();
	}
	rt_gopark(commit, s, RT_WAIT_SELECT, s->cases);
	served = leave_queues(s);
	r = rt_waiter_end(gp, &s->all);
	if (served >= 0)
		return done(s, served, s->waiters[served].success ? RT_CHAN_DONE : RT_CHAN_CLOSED,
		            NULL);
	return r == GORT_ECANCELED ? canceled(s->cases, s->n, deadline) : r;
}

/* ---- The forms ------------------------------------------------------------------------------- */

/* Nothing seemed ready. */
static int settle(selection *s, int64_t deadline)
{
	int chosen;

	lock_all(s);
	chosen = try_locked(s);
	if (chosen >= 0)
		return chosen;
	if (deadline != 0)
		return wait(s, deadline);
	unlock_all(s);
	return GORT_EAGAIN;
}

/* Frames of their own: a select that finds a case ready touches neither. */
static RT_NOINLINE int settle_near(selection *s, int64_t deadline)
{
	uint16_t order[NEAR];
	rt_waiter waiters[NEAR];

	s->order = order;
	s->waiters = waiters;
	return settle(s, deadline);
}

static RT_NOINLINE int settle_far(selection *s, int64_t deadline)
{
	s->waiters = rt_new_bytes(s->n * (sizeof *s->waiters + sizeof *s->order), false);
	s->order = (uint16_t *)(s->waiters + s->n);
	return settle(s, deadline);
}

static int several(gort_select_case *cases, size_t n, int64_t deadline)
{
	selection s;
	uint64_t news;
	uint32_t held;
	int chosen, r;

	s.cases = cases;
	s.n = (uint32_t)n;
	s.nsorted = 0;
	if (deadline == 0)
		rt_fence_after_rmw();
	chosen = look(&s, &news, &held);
	if (chosen >= 0) {
		r = try_one(&s, chosen);
		if (r >= 0)
			return r;
	} else if (deadline == 0 && held == 0 && quiet(&s, news)) {
		return GORT_EAGAIN;
	}
	return n <= NEAR ? settle_near(&s, deadline) : settle_far(&s, deadline);
}

static int single(gort_select_case *k, int64_t deadline)
{
	int r;

	if (k->dir == GORT_SEND)
		r = deadline == 0 ? rt_chan_try_send(k->chan, k->elem)
		                  : rt_chan_send(k->chan, k->elem, deadline);
	else
		r = deadline == 0 ? rt_chan_try_recv(k->chan, k->elem)
		                  : rt_chan_recv(k->chan, k->elem, deadline);
	if (r == GORT_ECANCELED)
		return canceled(k, 1, deadline);
	if (r != 0 && r != GORT_ECLOSED)
		return r;
	trace(0, 1);
	if (k->dir == GORT_RECV)
		k->ok = r == 0;
	return 0;
}

static int none(int64_t deadline)
{
	if (deadline == 0)
		return GORT_EAGAIN;
	if (deadline != RT_UNTIMED)
		return rt_sleep_out(deadline, RT_WAIT_SELECT_NO_CASES);
	rt_park_forever(RT_WAIT_SELECT_NO_CASES);
	return GORT_ECANCELED;
}

static void check(const gort_select_case *cases, size_t n)
{
	if (RT_UNLIKELY(n > MOST))
		rt_panic_text("reflect.Select: too many cases (max 65536)");
	for (size_t i = 0; i < n; i++)
		if (RT_UNLIKELY(cases[i].dir != GORT_SEND && cases[i].dir != GORT_RECV))
			rt_panic_text("reflect.Select: invalid Dir");
}

GORT_API int gort_select(gort_select_case *cases, size_t n, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	check(cases, n);
	if (deadline == GORT_FOREVER)
		deadline = RT_UNTIMED; /* nor does a group cancel it */
	else if (deadline < 0)
		deadline = 1; /* long ago; 0 is `default` */
	if (n > 1)
		r = several(cases, n, deadline);
	else
		r = n == 1 ? single(cases, deadline) : none(deadline);
	rt_leave();
	return r;
}
