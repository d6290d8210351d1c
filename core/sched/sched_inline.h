/* sched_inline.h: entry to and exit from the runtime: RT_ENTER() and rt_leave(). */
#ifndef CORE_SCHED_INLINE_H
#define CORE_SCHED_INLINE_H

#include "core/sched/sched_impl.h"

/* The calling goroutine's M, after checking that there is one; `locks` goes up. */
#define RT_ENTER() rt_enter(__func__)

_Noreturn void rt_outside(const char *function); /* misuse: not on a goroutine */
void rt_preempt_point(void);

static inline rt_m *rt_enter(const char *function)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(mp == NULL || mp->p == NULL))
		rt_outside(function);
	mp->locks++;
	return mp;
}

/* Of this thread; NULL outside a goroutine. */
static inline rt_g *rt_curg(void)
{
	rt_m *mp = rt_self();

	return mp != NULL ? mp->curg : NULL;
}

/* True once the run has ended under an attached thread: nothing blocks it any more. */
static inline bool rt_g_released(const rt_g *gp)
{
	return RT_UNLIKELY(gp->attached) && gp->dropped;
}

/* Before w, whose `timed` is set, is enqueued. */
static inline void rt_waiter_begin(rt_g *gp, rt_waiter *w)
{
	w->g = gp;
	w->success = false;
	w->ticket = 0;
	if (w->timed)
		rt_store32_rlx(&gp->claim, 0);
	gp->waiting = w;
}

/* True for one of those that want to wake a timed waiter: partner, timer, canceller. */
static inline bool rt_waiter_claim(rt_waiter *w)
{
	return !w->timed || rt_cas32_full(&w->g->claim, 0, 1);
}

/* After the goroutine went on. */
static inline void rt_waiter_end(rt_g *gp, rt_waiter *w)
{
	RT_ASSERT(gp->waiting == w || gp->attached);
	(void)w;
	gp->waiting = NULL;
}

/* A lock that only goroutines and g0s with a P take. With one P that P is the lock: it changes hands
 * under sched.lock, and never while such a lock is held, since nothing under one parks or stops the
 * world. GOMAXPROCS changes only with the world stopped. A debug build takes the lock all the same,
 * for its ranks. */
static inline void rt_plock(rt_mutex *l, rt_lockrank rank)
{
#ifdef NDEBUG
	if (rt_self()->p->alone)
		return;
#endif
	rt_lock(l, rank);
}

static inline void rt_punlock(rt_mutex *l, rt_lockrank rank)
{
#ifdef NDEBUG
	if (rt_self()->p->alone)
		return;
#endif
	rt_unlock(l, rank);
}

static inline void rt_leave(void)
{
	rt_m *mp = rt_self();

	mp->locks--;
	if (RT_UNLIKELY(rt_load32_rlx(&mp->p->preempt)))
		rt_preempt_point();
}

#endif
