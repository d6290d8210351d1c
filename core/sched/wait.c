/* wait.c: waits that several may end: a partner, a deadline, a cancellation.
 *
 * A goroutine that blocks lies in a wait list as an rt_waiter. If only its partner can wake it, finding
 * it in the list under the list's lock is the right to wake it (or, without list and lock, to win the step of the word
 * that names its goroutine: sync/waitgroup.c). A timed wait has more wakers, and
 * exactly one of them may call rt_goready. They compete for gp->claim:
 *
 *   NONE     not in a timed wait, or its waker is found
 *   ARMING   enqueued, not yet WAITING, or the timer is being armed: nobody may wake it yet
 *   FIRED    the timer fired meanwhile, or a partner without a lock came: who opens it makes the goroutine runnable
 *   OPEN     WAITING: partner, timer and canceller compete, by compare-and-swap to NONE
 *   FIXED    the same without the canceller
 *
 *             begin            open                claim
 *      NONE ---------> ARMING ------> OPEN, FIXED -------> NONE
 *                        | too early       open
 *                        +-------> FIRED -------> NONE
 *
 * Who may touch what. The waiter is in the frame of its goroutine and may be gone as soon as
 * the claim is won. A partner keeps it there by the list's lock: the goroutine takes that lock to leave
 * the list before it leaves the frame. The timer keeps it by the lock of its heap: rt_timer_disarm
 * takes that. The canceller needs nothing of it: it looks at gp->claim only. Records of goroutines are never
 * given back while a runtime lives, and the canceller's lock keeps gp the goroutine that it means.
 * gp->waiting belongs to the goroutine; others read it with the world stopped, and so does a partner that has found the
 * goroutine itself and not its waiter.
 *
 * rt_waiter_open runs on g0 in the commit function, so the goroutine is WAITING and its registers are
 * saved before OPEN is written; that write is the release, the winning compare-and-swap the acquire, by
 * which the next thread may run it. The timer is armed before: were it armed after, a canceller could
 * wake the goroutine in between, and the timer would be armed in a frame that is gone. So it may fire
 * too early, and leaves FIRED behind. After OPEN is written open touches the goroutine's record only,
 * which by then may wait for something else, or be another goroutine. So the word also counts the
 * waits of the record, and a compare-and-swap means one of them.
 *
 * A cancellation is a flag and a wake-up: rt_g_cancel writes `canceled`, fences, and tries the claim;
 * rt_waiter_open writes OPEN, fences, and reads `canceled`. One of the two sees the other
 * (Dekker), and a claim that both see is won once. All this is checked in tests/model/cancel.pml.
 *
 * Rejected: a lock in each goroutine (two more locked instructions for each wait, and an order with the locks
 * of lists); to let the canceller take waiters out of their lists (it would need the locks of channels and
 * semaphores, which it meets in the wrong order).
 */
#include "core/sched/internal.h"

bool rt_g_canceled(rt_g *gp)
{
	return rt_load8_acq(&gp->canceled) != 0;
}

int rt_wait_refused(rt_g *gp, int64_t deadline)
{
	if (RT_UNLIKELY(rt_g_released(gp)))
		return GORT_ECANCELED;
	if (RT_LIKELY(deadline == RT_UNTIMED))
		return 0;
	if (rt_g_canceled(gp))
		return GORT_ECANCELED;
	return deadline != GORT_FOREVER && deadline <= rt_now(gp->rt) ? GORT_ETIMEDOUT : 0;
}

/* gp->claim: a state in the lower bits, above it the number of the wait. */
enum { NONE, ARMING, FIRED, OPEN, FIXED, STATE = 7, WAIT = 8 };

void rt_claim_reset(rt_g *gp)
{
	rt_store32_rlx(&gp->claim, (rt_load32_rlx(&gp->claim) & ~(uint32_t)STATE) | NONE);
}

void rt_waiter_begin_timed(rt_g *gp)
{
	rt_store32_rlx(&gp->claim, ((rt_load32_rlx(&gp->claim) & ~(uint32_t)STATE) + WAIT) | ARMING);
}

static bool move(rt_atomic32 *claim, uint32_t was, uint32_t state)
{
	return rt_cas32_full(claim, was, (was & ~(uint32_t)STATE) | state);
}

/* Any wait, or with `which` the one with this number. */
static bool claim_timed(rt_atomic32 *claim, uint32_t number, uint32_t which)
{
	for (;;) {
		uint32_t was = rt_load32_rlx(claim);

		if (((was / WAIT ^ number) & which) != 0)
			return false;
		switch (was & STATE) {
		case OPEN:
		case FIXED:
			if (move(claim, was, NONE))
				return true;
			break;
		case ARMING: /* a timer, or a partner that waits for no lock (netpoll.c) */
			if (move(claim, was, FIRED))
				return false;
			break;
		default:
			return false;
		}
	}
}

bool rt_waiter_claim_timed(rt_waiter *w)
{
	return claim_timed(&w->g->claim, 0, 0);
}

enum { NUMBER = (1 << 27) - 1 };

uint32_t rt_g_wait_number(const rt_g *gp)
{
	return rt_load32_rlx(&gp->claim) / WAIT & NUMBER;
}

bool rt_g_claim_wait(rt_g *gp, uint32_t number)
{
	return claim_timed(&gp->claim, number, NUMBER);
}

bool rt_waiter_may_claim_timed(const rt_waiter *w)
{
	uint32_t state = rt_load32_rlx(&w->g->claim) & STATE;

	return state == OPEN || state == FIXED;
}

static rt_g *timed_out(rt_timer *t)
{
	rt_waiter *w = RT_CONTAINER_OF(t, rt_waiter, timer);

	return rt_waiter_claim(w) ? w->g : NULL;
}

/* locked: partners wait for a lock that the caller holds. Others may have left FIRED already. */
static void open_timed(rt_waiter *w, bool locked)
{
	rt_g *gp = w->g;
	uint32_t arming = (rt_load32_rlx(&gp->claim) & ~(uint32_t)STATE) | ARMING, open = w->cancelable ? OPEN : FIXED;
	bool member = w->cancelable && gp->member != NULL;

	w->armed = w->timer.when != RT_UNTIMED && w->timer.when != GORT_FOREVER;
	if (w->armed)
		rt_timer_arm(&w->timer, w->timer.when, timed_out);
	/* Without a timer nobody has looked at it yet: partners wait for the lock, the canceller for OPEN. */
	if (locked && !w->armed && !member) {
		rt_store32_rel(&gp->claim, (arming & ~(uint32_t)STATE) | open);
		return;
	}
	if (!move(&gp->claim, arming, open)) {
		rt_claim_reset(gp); /* FIRED: nobody else looks at it */
		rt_goready(gp);
		return;
	}
	if (!member)
		return;
	rt_fence_after_rmw(); /* pairs with the fence in rt_g_cancel */
	if (rt_g_canceled(gp) && move(&gp->claim, (arming & ~(uint32_t)STATE) | OPEN, NONE))
		rt_goready(gp);
}

void rt_waiter_open_timed(rt_waiter *w)
{
	open_timed(w, true);
}

void rt_waiter_open_unlocked(rt_waiter *w)
{
	if (w->timed)
		open_timed(w, false);
}

int rt_waiter_failed(rt_g *gp, const rt_waiter *w)
{
	return rt_g_released(gp) || (w->cancelable && rt_g_canceled(gp)) ? GORT_ECANCELED
	                                                                   : GORT_ETIMEDOUT;
}

void rt_g_cancel(rt_g *gp)
{
	uint32_t was;

	rt_store8_rel(&gp->canceled, 1);
	rt_fence_full(); /* pairs with the fence in rt_waiter_open */
	was = rt_load32_rlx(&gp->claim);
	/* Another wait than the one just seen: it found the flag before it began. */
	if ((was & STATE) == OPEN && move(&gp->claim, was, NONE))
		rt_goready(gp);
}

void rt_g_uncancel(rt_g *gp)
{
	rt_store8_rel(&gp->canceled, 0);
}
