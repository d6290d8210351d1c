/* timer.c: time.Timer, Ticker, After and AfterFunc, on the alarms of sched/timer.c.
 *
 * A timer is one heap object: the alarm, then the channel and its buffer of one value. The
 * channel's lock guards all of it; that of gort_after_func has no channel but a lock. What is true
 * is `when`, the next moment, 0 = not armed; the alarm only reminds us to look. So stop and reset
 * decide under one lock, and what has not been received by then never is: `when` changes and the
 * buffer is emptied in one step. Go needs a number for each arming and a lock of its own for the
 * send to get there.
 *
 * A channel's timer is in a heap only while a goroutine waits in its channel. While nobody waits,
 * whoever comes to receive looks at the clock and makes the value appear (rt_timer_poll); so does
 * a select. Hence a timer that nobody stops costs nothing, and nothing refers to it but its user.
 * A ticker's loop blocks, is woken and unblocks again and again: the alarm stays where it is,
 * cancelled and set later in place.
 *
 * Order. If goroutines wait they are first: a receiver that finds the moment passed while others
 * wait queues behind them, and the alarm, which is due, serves the first.
 *
 * The value is the moment when it was due. Ticks that nobody took are dropped: the next one is the
 * first whole number of periods after the last that lies ahead.
 *
 * The end of a run forgets all alarms (rt_timers_drop).
 */
#include "core/sync/timer.h"

#include "core/builtin/panic.h"
#include "core/sync/chan.h"

#include <limits.h>

struct gort_timer {
	rt_alarm alarm;
	/* guarded by the lock; when is looked at without it, too */
	rt_atomic64 when;  /* the next moment; 0 = not armed */
	union {
		int64_t period; /* of a channel's; 0 = once */
		void *creator;  /* set once, of gort_after_func's */
	};
	uint32_t blocked;  /* goroutines in recvq */
	rt_mutex lock;     /* of gort_after_func; rank hchan */
	gort_func fn;      /* set once, with arg; NULL: it has a channel */
	void *arg;
};

/* Of gort_after_func's. Nothing but arg leads into the heap, and if that does not, nothing has to be scanned. */
GORT_DEFINE_TYPE(gort_timer, GORT_PTR(gort_timer, arg));
typedef gort_timer timer_without;
GORT_DEFINE_TYPE(timer_without, GORT_NO_FIELDS);
_Static_assert(sizeof(gort_timer) == 64, "a million of them: a line each");

typedef struct chantimer {
	gort_timer t;
	gort_chan chan;
	int64_t slot;      /* its buffer */
} chantimer;

struct gort_ticker {
	chantimer c;
};

/* A refused goroutine is tried again after so long, if there is no run to be ended. */
#define RETRY GORT_MILLISECOND

static gort_chan *chan_of(gort_timer *t)
{
	return &((chantimer *)t)->chan;
}

static rt_mutex *lock_of(gort_timer *t)
{
	return t->fn != NULL ? &t->lock : &chan_of(t)->lock;
}

static int64_t when_of(const gort_timer *t)
{
	return (int64_t)rt_load64_rlx(&t->when);
}

static int64_t from_now(int64_t ns)
{
	int64_t now = rt_now(rt_self()->rt);

	if (ns <= 0)
		return now;
	return ns < INT64_MAX - 1 - now ? now + ns : INT64_MAX - 1;
}

/* The moment has passed: the next one, or none. */
static void advance(gort_timer *t, int64_t now)
{
	int64_t when = when_of(t), p = t->fn == NULL ? t->period : 0, next = 0;

	if (p != 0)
		next = p < INT64_MAX - 1 - now ? when + p * (1 + (now - when) / p) : INT64_MAX - 1;
	rt_store64_rlx(&t->when, (uint64_t)next);
}

static bool must_ring(const gort_timer *t)
{
	return when_of(t) != 0 && (t->blocked > 0 || t->fn != NULL);
}

static void trace(const gort_timer *t, int64_t when)
{
	rt_m *mp = rt_self();

	RT_TRACE(mp, TIMER, TIMER, mp->curg, when, (uintptr_t)t, 0);
}

/* With the lock: sends, or drops if the last value has not been received. Returns whom to ready
 * after unlocking. */
static rt_g *send_moment(gort_timer *t, int64_t now)
{
	int64_t when = when_of(t);
	rt_g *wake;

	advance(t, now);
	trace(t, when);
	(void)rt_chan_send_locked(chan_of(t), &when, &wake);
	return wake;
}

static void lock(gort_timer *t)
{
	rt_plock(lock_of(t), RT_RANK_hchan);
}

static void unlock(gort_timer *t)
{
	rt_punlock(lock_of(t), RT_RANK_hchan);
}

/* ---- The alarm, on g0 ------------------------------------------------------------------------ */

static void out_of_memory(void)
{
	(void)rt_run_out_of_memory(rt_self()->rt, "fatal error: runtime: out of memory\n");
}

static void start(gort_timer *t, int64_t now)
{
	int64_t when = when_of(t);

	rt_store64_rlx(&t->when, 0);
	unlock(t);
	trace(t, when);
	if (rt_go_from_g0(t->fn, t->arg, t->creator) == 0)
		return;
	if (rt_run_out_of_memory(rt_self()->rt, "fatal error: out of memory (goroutine)\n"))
		return;
	lock(t);
	if (when_of(t) == 0) { /* else it was reset meanwhile */
		rt_store64_rlx(&t->when, (uint64_t)(now + RETRY));
		(void)rt_alarm_set(&t->alarm, now + RETRY);
	}
	unlock(t);
}

void rt_timer_ring(rt_alarm *a)
{
	gort_timer *t = RT_CONTAINER_OF(a, gort_timer, alarm);
	int64_t now = rt_now(rt_self()->rt);
	rt_g *wake = NULL;
	bool refused = false;

	lock(t);
	if (must_ring(t) && when_of(t) <= now) {
		if (t->fn != NULL) {
			start(t, now);
			return;
		}
		wake = send_moment(t, now);
	}
	if (must_ring(t)) /* a ticker, or it was put off */
		refused = !rt_alarm_set(a, when_of(t));
	unlock(t);
	if (wake != NULL)
		rt_goready(wake);
	if (refused)
		out_of_memory();
}

/* ---- For channels ---------------------------------------------------------------------------- */

bool rt_timer_due(const gort_timer *t)
{
	int64_t when = when_of(t);

	return when != 0 && when <= rt_now(rt_self()->rt);
}

void rt_timer_poll(gort_timer *t)
{
	int64_t now;

	if (when_of(t) == 0 || t->blocked > 0)
		return;
	now = rt_now(rt_self()->rt);
	if (when_of(t) <= now) {
		rt_g *wake = send_moment(t, now);

		RT_ASSERT(wake == NULL);
		(void)wake;
	}
}

bool rt_timer_block(gort_timer *t)
{
	return ++t->blocked > 1 || when_of(t) == 0 || rt_alarm_set(&t->alarm, when_of(t));
}

void rt_timer_unblock(gort_timer *t)
{
	RT_ASSERT(t->blocked > 0);
	if (--t->blocked == 0)
		rt_alarm_cancel(&t->alarm);
}

_Noreturn void rt_timer_no_memory(void)
{
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

/* ---- Start, stop, reset ---------------------------------------------------------------------- */

static chantimer *make(int64_t ns, int64_t period)
{
	chantimer *c = rt_new_bytes(sizeof *c, false);

	c->t.period = period;
	c->chan.cap = 1;
	c->chan.elemsize = sizeof c->slot;
	c->chan.elem = GORT_TYPE(int64_t);
	c->chan.buf = (char *)&c->slot;
	c->chan.timer = &c->t;
	rt_store64_rlx(&c->t.when, (uint64_t)from_now(ns));
	return c;
}

/* Nothing that was sent can be received any more. Was anything to come or to be received? */
static bool disarm(gort_timer *t)
{
	bool pending = when_of(t) != 0;

	rt_store64_rlx(&t->when, 0);
	if (t->fn == NULL) {
		gort_chan *c = chan_of(t);

		pending |= rt_load64_rlx(&c->count) > 0;
		rt_store64_rlx(&c->count, 0);
		c->sendx = c->recvx = 0;
	}
	return pending;
}

static bool stop(gort_timer *t)
{
	bool pending;

	lock(t);
	pending = disarm(t);
	rt_alarm_cancel(&t->alarm);
	unlock(t);
	return pending;
}

static bool reset(gort_timer *t, int64_t ns, int64_t period)
{
	bool pending, ok = true;

	lock(t);
	pending = disarm(t);
	if (t->fn == NULL)
		t->period = period;
	rt_store64_rlx(&t->when, (uint64_t)from_now(ns));
	if (must_ring(t))
		ok = rt_alarm_set(&t->alarm, when_of(t));
	unlock(t);
	if (!ok)
		rt_timer_no_memory();
	return pending;
}

GORT_API gort_timer *gort_timer_new(int64_t ns)
{
	chantimer *c;

	(void)RT_ENTER();
	c = make(ns, 0);
	rt_leave();
	return &c->t;
}

GORT_API gort_timer *gort_after_func(int64_t ns, gort_func fn, void *arg)
{
	gort_timer *t;
	size_t size;

	(void)RT_ENTER();
	if (fn == NULL)
		rt_fatal("go of nil func value");
	t = rt_new(arg == NULL || rt_gc_object(arg, &size) == NULL ? GORT_TYPE(timer_without)
	                                                           : GORT_TYPE(gort_timer));
	t->fn = fn;
	rt_store_ptr(&t->arg, arg);
	t->creator = __builtin_return_address(0);
	/* Nobody knows it yet, and the alarm comes after the heap's lock was given back: no lock. */
	rt_store64_rlx(&t->when, (uint64_t)from_now(ns));
	if (!rt_alarm_set(&t->alarm, when_of(t)))
		rt_timer_no_memory();
	rt_leave();
	return t;
}

GORT_API gort_chan *gort_timer_chan(gort_timer *t)
{
	return t->fn == NULL ? chan_of(t) : NULL;
}

GORT_API bool gort_timer_stop(gort_timer *t)
{
	bool pending;

	(void)RT_ENTER();
	if (t == NULL)
		rt_panic_text("time: Stop called on uninitialized Timer");
	pending = stop(t);
	rt_leave();
	return pending;
}

GORT_API bool gort_timer_reset(gort_timer *t, int64_t ns)
{
	bool pending;

	(void)RT_ENTER();
	if (t == NULL)
		rt_panic_text("time: Reset called on uninitialized Timer");
	pending = reset(t, ns, 0);
	rt_leave();
	return pending;
}

GORT_API gort_ticker *gort_ticker_new(int64_t ns)
{
	chantimer *c;

	(void)RT_ENTER();
	if (ns <= 0)
		rt_panic_text("non-positive interval for NewTicker");
	c = make(ns, ns);
	rt_leave();
	return (gort_ticker *)c;
}

GORT_API gort_chan *gort_ticker_chan(gort_ticker *t)
{
	return &t->c.chan;
}

GORT_API void gort_ticker_stop(gort_ticker *t)
{
	(void)RT_ENTER();
	if (t != NULL)
		(void)stop(&t->c.t);
	rt_leave();
}

GORT_API void gort_ticker_reset(gort_ticker *t, int64_t ns)
{
	(void)RT_ENTER();
	if (ns <= 0)
		rt_panic_text("non-positive interval for Ticker.Reset");
	if (t == NULL)
		rt_panic_text("time: Reset called on uninitialized Ticker");
	(void)reset(&t->c.t, ns, ns);
	rt_leave();
}

GORT_API gort_chan *gort_after(int64_t ns)
{
	return gort_timer_chan(gort_timer_new(ns));
}
