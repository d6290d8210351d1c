/* sched_inline.h: entry to and exit from the runtime: RT_ENTER() and rt_leave(). */
#ifndef CORE_SCHED_INLINE_H
#define CORE_SCHED_INLINE_H

#include "core/sched/sched_impl.h"

/* The calling goroutine's M, after checking that there is one; `locks` goes up. */
#define RT_ENTER() rt_enter(__func__)

_Noreturn void rt_outside(const char *function); /* misuse: not on a goroutine */
void rt_preempt_point(void);

void rt_enter_slow(rt_m *mp, const char *function);

/* No unsafe window: whoever is stopped between reading self and locks++ goes on on the same M. `taken` is read after
 * locks is 1: sysmon writes the one, fences for both sides, and reads the other (tests/model/takep.pml). The compiler
 * keeps that order, and m->p behind it: who is stopped before locks++ goes on with another P. (`locks` is
 * volatile; what lies around it is not.) */
static inline rt_m *rt_enter(const char *function)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(mp == NULL))
		rt_outside(function);
	mp->locks++;
	rt_fence_compiler();
	if (RT_UNLIKELY(mp->p == NULL) || RT_UNLIKELY(rt_load32_rlx(&mp->taken) != 0))
		rt_enter_slow(mp, function);
	return mp;
}

int64_t rt_seeded_now(gort_runtime *rt);

/* The moment for timers and deadlines of rt: the clock, or virtual time. Any thread. */
static inline int64_t rt_now(gort_runtime *rt)
{
	return RT_LIKELY(rt->seeded == NULL) ? be_nanotime() : rt_seeded_now(rt);
}

/* Virtual time as the program asks for it: who reads it all the time waits for it to pass. */
int64_t rt_seeded_clock(rt_m *mp);

static inline uint64_t rt_g_runs(const rt_g *gp)
{
	return rt_load64_rlx(&gp->turns) / RT_TURN;
}

void rt_latency_begin(rt_g *gp);
void rt_latency_end(rt_p *pp, rt_g *gp);

/* One start in 64 is measured. Go measures one in eight, and spends an eighth of a yield on the clock. */
static inline bool rt_latency_due(const rt_g *gp)
{
	return (rt_g_runs(gp) + gp->phase) % 64 == 0;
}

/* gp, which the caller owns, becomes runnable. */
static inline void rt_runnable(rt_g *gp)
{
	if (RT_UNLIKELY(rt_latency_due(gp)))
		rt_latency_begin(gp);
}

static inline bool rt_latency_measured(uint64_t turns)
{
	return turns % RT_TURN != 0;
}

static inline void rt_runs(rt_p *pp, rt_g *gp)
{
	if (RT_UNLIKELY(rt_latency_measured(rt_load64_rlx(&gp->turns))))
		rt_latency_end(pp, gp);
	rt_count64_owner(&gp->turns, RT_TURN);
}

/* Of this thread; NULL outside a goroutine. */
static inline rt_g *rt_curg(void)
{
	rt_m *mp = rt_self();

	return mp != NULL ? mp->curg : NULL;
}

/* A goroutine's record as a number below 2^31, for words that have no room for a pointer: which cache line it begins,
 * from sched.gbase on. The first million lie together (rt_fixalloc_together), so it is a rare one that is too far
 * away to have a number, but one may be. */
static inline uint64_t rt_g_ref(const gort_runtime *rt, const rt_g *gp)
{
	return ((uintptr_t)gp - rt->sched.gbase) / RT_CACHELINE;
}

static inline bool rt_g_has_ref(const gort_runtime *rt, const rt_g *gp)
{
	return RT_LIKELY(rt_g_ref(rt, gp) <= INT32_MAX);
}

static inline rt_g *rt_g_of_ref(const gort_runtime *rt, uint64_t ref)
{
	return (rt_g *)(rt->sched.gbase + (uintptr_t)ref * RT_CACHELINE);
}

/* True once the run has ended under an attached thread: nothing blocks it any more. */
static inline bool rt_g_released(const rt_g *gp)
{
	return RT_UNLIKELY(gp->attached) && gp->dropped;
}

/* Before w is enqueued. deadline: RT_UNTIMED, GORT_FOREVER (only cancelled), or a moment. */
static inline void rt_waiter_begin(rt_g *gp, rt_waiter *w, int64_t deadline)
{
	w->g = gp;
	w->timed = w->cancelable = deadline != RT_UNTIMED;
	w->armed = w->parked = w->success = false;
	w->ticket = 0;
	w->timer.when = deadline;
	w->timer.index = -1;
	gp->waiting = w;
	if (RT_UNLIKELY(w->timed))
		rt_waiter_begin_timed(gp);
}

/* On g0 in the commit function, while the lock is held under which w is enqueued: timer and canceller
 * may wake it from here on. Without such a lock w may be gone when it returns. */
static inline void rt_waiter_open(rt_waiter *w)
{
	if (RT_UNLIKELY(w->timed))
		rt_waiter_open_timed(w);
}

/* True for one of those that want to wake a timed waiter: partner, timer, canceller. Partners hold
 * the lock under which w is enqueued. */
static inline bool rt_waiter_claim(rt_waiter *w)
{
	return RT_LIKELY(!w->timed) || rt_waiter_claim_timed(w);
}

/* After the goroutine went on. 0: a partner came; else GORT_ETIMEDOUT, GORT_ECANCELED. */
static inline int rt_waiter_end(rt_g *gp, rt_waiter *w)
{
	RT_ASSERT(gp->waiting == w || gp->attached);
	if (RT_UNLIKELY(w->armed))
		rt_timer_disarm(&w->timer);
	gp->waiting = NULL;
	return RT_LIKELY(w->success) ? 0 : rt_waiter_failed(gp, w);
}

/* A lock that only goroutines and g0s with a P take. With one P that P is the lock: it changes hands
 * under sched.lock, and never while such a lock is held, since nothing under one parks or stops the
 * world. GOMAXPROCS changes only with the world stopped. A debug build takes the lock all the same,
 * for its ranks. */
static inline bool rt_plock_elided(void)
{
#ifdef NDEBUG
	return rt_self()->p->alone;
#else
	return false;
#endif
}

void rt_plock_slow(rt_mutex *l);
void rt_punlock_slow(rt_mutex *l, rt_lockrank rank);
void rt_leavers_settle(gort_runtime *rt, const rt_atomic32 *word);

static inline void rt_plock(rt_mutex *l, rt_lockrank rank)
{
	if (rt_plock_elided())
		return;
	rt_lockrank_acquire(rank, l);
	if (RT_UNLIKELY(!rt_cas32_acq(&l->key, 0, 1)))
		rt_plock_slow(l);
}

/* A lock, on pp's P, whose word says `held` and nothing else becomes 0 by a plain store. False: nothing was done, and
 * the word says more. Nobody else changes the word meanwhile, or who does waits until pp has left: plock.c. The word is
 * not touched after that store. */
static inline bool rt_give_back(rt_p *pp, rt_atomic32 *word, uint32_t held)
{
	bool done;

	if (RT_UNLIKELY(!pp->plain))
		return false;
	rt_storeptr_rlx(&pp->leaving, word);
	rt_fence_compiler(); /* the processor's half is in rt_leavers_settle */
	done = rt_load32_rlx(word) == held;
	if (RT_LIKELY(done))
		rt_store32_rel(word, 0);
	rt_storeptr_rel(&pp->leaving, NULL);
	return done;
}

static inline void rt_punlock(rt_mutex *l, rt_lockrank rank)
{
	if (rt_plock_elided())
		return;
	if (RT_LIKELY(rt_give_back(rt_self()->p, &l->key, 1)))
		rt_lockrank_release(rank, l);
	else
		rt_punlock_slow(l, rank);
}

/* The flag is looked at after locks is 0: a signal before that was declined, one after it stops the thread here. The
 * P is read before: without locks it may be taken. Its record stays. No write to it sinks below locks--, after which
 * others may have it; sysmon's second fence (preempt.c) is the processor's half of that. */
static inline void rt_leave(void)
{
	rt_m *mp = rt_self();
	rt_p *pp = mp->p;

	rt_fence_compiler();
	mp->locks--;
	rt_fence_compiler();
	if (RT_UNLIKELY(rt_load32_rlx(&pp->preempt)))
		rt_preempt_point();
}

/* A visit: RT_ENTER() and rt_leave() for a path that parks nowhere, raises nothing and calls nothing but
 * inline functions. M and P stay the same and are not read anew after the locked instruction in its middle; as
 * begin and end call nothing that comes back, the function saves no register; and locks is not counted up and down but
 * set, so that no locked instruction waits for a chain of sums in memory. A pinned goroutine goes the long way. */
typedef struct rt_visit {
	rt_m *m;
	rt_p *p; /* NULL: no visit; go the long way, by RT_ENTER() */
} rt_visit;

static inline rt_visit rt_visit_begin(void)
{
	rt_visit v = { rt_self(), NULL };

	if (RT_UNLIKELY(v.m == NULL) || RT_UNLIKELY(v.m->locks != 0))
		return v;
	v.m->locks = 1;
	rt_fence_compiler(); /* see rt_enter */
	v.p = v.m->p;
	if (RT_UNLIKELY((v.p == NULL) | (rt_load32_rlx(&v.m->taken) != 0))) {
		rt_fence_compiler();
		v.m->locks = 0;
		v.p = NULL;
	}
	return v;
}

/* Nothing was done: the long way follows, and looks at the flag. */
static inline void rt_visit_drop(rt_visit v)
{
	rt_fence_compiler();
	v.m->locks = 0;
}

static inline void rt_visit_end(rt_visit v)
{
	rt_fence_compiler();
	v.m->locks = 0;
	rt_fence_compiler();
	if (RT_UNLIKELY(rt_load32_rlx(&v.p->preempt)))
		rt_preempt_point();
}

/* For a path that is one atomic instruction on the user's own memory: it need not be inside the runtime, since whoever
 * is stopped before or after it goes on on the same M. True: on a goroutine that has a P and that nobody asks to stop;
 * under cooperative preemption a loop of these is to be stopped here. Both may change at once: then that is found at
 * the next entry. So what it changes is changed by atomic instructions everywhere, also with one P. */
static inline bool rt_in_passing(const rt_m *mp)
{
	rt_p *pp;

	return RT_LIKELY(mp != NULL) && RT_LIKELY((pp = mp->p) != NULL) && RT_LIKELY(!rt_load32_rlx(&pp->preempt));
}

/* Around what takes a lock of the runtime in a function that any thread may call: a goroutine that holds one
 * is not stopped. Nothing in between parks. */
static inline rt_m *rt_hold(void)
{
	rt_m *mp = rt_self();

	if (mp != NULL)
		mp->locks++;
	rt_fence_compiler();
	if (mp != NULL && RT_UNLIKELY(rt_load32_rlx(&mp->taken) != 0))
		rt_enter_slow(mp, "gort");
	return mp;
}

static inline void rt_unhold(rt_m *mp)
{
	if (mp != NULL && mp->p != NULL)
		rt_leave();
	else if (mp != NULL)
		mp->locks--;
}

#endif
