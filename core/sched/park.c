/* park.c: block, wake, yield. */
#include "core/sched/seeded.h"

const char *rt_waitreason_text(unsigned reason)
{
	static const char *const texts[] = {
#define WAIT_REASON(name, text) text,
#include "core/sched/waitreason.def"
#undef WAIT_REASON
	};

	return reason < RT_NELEM(texts) ? texts[reason] : NULL;
}

gort_runtime *rt_runtime_of(rt_g *gp)
{
	return gp->rt;
}
uint64_t rt_g_goid(rt_g *gp)
{
	return gp->goid;
}

void rt_user_begin(void)
{
	rt_fence_compiler();
	rt_self()->locks--;
	rt_fence_compiler();
}
void rt_user_end(void)
{
	(void)RT_ENTER();
}

_Noreturn void rt_outside(const char *function)
{
	rt_misuse(function, "called outside a goroutine");
}

/* On g0. After commit has released the lock the goroutine may run elsewhere: it is not touched. */
static void park0(rt_m *mp, rt_g *gp)
{
	bool (*commit)(rt_g *, void *) = mp->commit;
	void *arg = mp->commitarg;

	rt_count64_owner(&mp->p->parked, 1);
	RT_TRACE(mp, SCHED, GO_BLOCK, gp, gp->waitreason, (uintptr_t)mp->waiton, 0);
	gp->m = NULL;
	gp->since = (int64_t)rt_load64_rlx(&mp->rt->sched.coarse);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_WAITING);
	if (commit != NULL && !commit(gp, arg)) {
		RT_TRACE(mp, SCHED, GO_UNBLOCK, gp, gp->goid, 0, 0);
		rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
		mp->nextg = gp;
		mp->chosen = true;
	}
}

void rt_gopark(bool (*commit)(rt_g *gp, void *arg), void *arg, rt_waitreason why, const void *on)
{
	rt_m *mp = rt_self();
	rt_g *gp = mp->curg;

	if (RT_UNLIKELY(mp->locks != 1))
		rt_misuse("gort", "a goroutine blocks between gort_pin and gort_unpin");
	gp->waitreason = (uint8_t)why;
	mp->waiton = on;
	mp->commit = commit;
	mp->commitarg = arg;
	rt_mcall(mp, park0);
}

void rt_goready(rt_g *gp)
{
	rt_m *mp = rt_self();
	bool stored;

	rt_count64_owner(&mp->p->readied, 1);
	RT_TRACE(mp, SCHED, GO_UNBLOCK, gp, gp->goid, 0, 0);
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
	stored = rt_runq_put(mp->p, gp, true, mp->rt);
	if (mp->p->alone) /* there is no other P to wake */
		return;
	rt_fence_after_rmw(); /* a thief that takes `keeps` away has seen runnext empty, or we see that it has */
	/* The collector waits for nobody's turn to end: marking is over when its controller runs. */
	if (!rt_runq_kept(mp->p) || RT_UNLIKELY(rt_load32_rlx(&mp->rt->gcmark) != 0))
		rt_wakep_after_next(mp->rt, stored);
}

/* By a thread of the runtime that has no P. pick(arg) says under sched.lock, while the world does not stop, which
 * goroutine that waits and that nobody else wakes comes to life; NULL: none. False: none did. */
bool rt_goready_outside(gort_runtime *rt, rt_g *(*pick)(void *arg), void *arg)
{
	rt_sched *sc = &rt->sched;
	rt_g *gp;

	rt_lock(&sc->lock, RT_RANK_sched);
	gp = rt_load32_rlx(&sc->gcwaiting) ? NULL : pick(arg);
	if (gp != NULL) {
		RT_TRACE_OUTSIDE(rt, SCHED, GO_UNBLOCK, gp, gp->goid, 0, 0);
		rt_runnable(gp);
		rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
		rt_globq_put_locked(rt, gp);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (gp != NULL)
		rt_wakep(rt);
	return gp != NULL;
}

/* On g0: gp to the end of the global queue. */
static void requeue(rt_m *mp, rt_g *gp)
{
	rt_p *pp = mp->p;

	gp->m = NULL;
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	rt_yielded_put(pp, gp);
	if (!pp->alone)
		rt_wakep_after_rmw(mp->rt);
}

static RT_NOINLINE void gosched0_long(rt_m *mp, rt_g *gp)
{
	RT_TRACE(mp, SCHED, GO_YIELD, gp, 0, 0, 0);
	requeue(mp, gp);
}

static void gosched0(rt_m *mp, rt_g *gp)
{
	rt_p *pp = mp->p;

	if (RT_UNLIKELY(!pp->alone || rt_latency_due(gp) || rt_traced(mp->rt, GORT_TRACE_SCHED))) {
		gosched0_long(mp, gp);
		return;
	}
	gp->m = NULL;
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	rt_yielded_put_alone(pp, gp);
}

static void preempted0(rt_m *mp, rt_g *gp)
{
	rt_count64_owner(&mp->p->preempted, 1);
	RT_TRACE(mp, SCHED, GO_YIELD, gp, 1, 0, 0);
	requeue(mp, gp);
}

void rt_gosched(void)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(mp->locks != 1))
		rt_misuse("gort", "a goroutine yields between gort_pin and gort_unpin");
	rt_mcall(mp, gosched0);
}

/* Not through the global queue: who yields goes on in the slice of whom it woke. */
static void goyield0(rt_m *mp, rt_g *gp)
{
	RT_TRACE(mp, SCHED, GO_YIELD, gp, 0, 0, 0);
	gp->m = NULL;
	rt_gstatus_set(gp, RT_G_RUNNING, RT_G_RUNNABLE);
	(void)rt_runq_put(mp->p, gp, false, mp->rt);
	/* Whom it woke may be kept, and it stands behind that. */
	if (!mp->p->alone)
		rt_wakep(mp->rt);
}

void rt_goyield(void)
{
	rt_m *mp = rt_self();

	RT_ASSERT(mp->locks == 1);
	rt_mcall(mp, goyield0);
}

bool rt_can_spin(void)
{
	rt_m *mp = rt_self();
	rt_sched *sc = &mp->rt->sched;

	return rt_gomaxprocs(mp->rt) > 1 &&
	       (uint32_t)rt_gomaxprocs(mp->rt) >
	               rt_load32_rlx(&sc->npidle) + rt_load32_rlx(&sc->nmspinning) + 1 &&
	       rt_runq_empty(mp->p);
}

/* As rt_leave, where the flag is always up and has been looked at. */
static void leave_flagged(void)
{
	rt_m *mp = rt_self();

	rt_fence_compiler();
	mp->locks--;
	rt_fence_compiler();
}

/* The P's flag is up at the end of a runtime call: the world stops, or the turn is over, or an earlier one was. */
RT_COLD void rt_preempt_point(void)
{
	rt_m *mp = rt_self();

	if (mp->locks > 0)
		return;
	mp = RT_ENTER();
	if (RT_UNLIKELY(mp->seeded)) {
		rt_seeded_point(mp);
		leave_flagged();
		return;
	}
	rt_store32_rlx(&mp->p->preempt, 0);
	rt_fence_full(); /* pairs with the fence in rt_preemptall */
	if (rt_load32_acq(&mp->rt->sched.gcwaiting) || rt_run_leaving(mp) || rt_turn_is_over(mp->p))
		rt_mcall(mp, preempted0);
	rt_leave();
}

/* ---- Latencies -------------------------------------------------------------------------------- */

/* 30 bits of 64 ns, the narrowest bucket: waits of more than 68 s count as what is left of them. 0: not measured. */
enum { LATENCY_SHIFT = 6, LATENCY_MASK = RT_TURN - 1 };

RT_NOINLINE void rt_latency_begin(rt_g *gp)
{
	uint32_t t = (uint32_t)(rt_now(gp->rt) >> LATENCY_SHIFT) & LATENCY_MASK;

	rt_store64_rlx(&gp->turns, (rt_load64_rlx(&gp->turns) & ~(uint64_t)LATENCY_MASK) | (t != 0 ? t : 1));
}

RT_NOINLINE void rt_latency_end(rt_p *pp, rt_g *gp)
{
	uint64_t turns = rt_load64_rlx(&gp->turns);
	uint32_t t = (uint32_t)(rt_now(gp->rt) >> LATENCY_SHIFT) - (uint32_t)turns;

	rt_store64_rlx(&gp->turns, turns & ~(uint64_t)LATENCY_MASK);
	rt_hist_add_owner(&pp->latencies, (int64_t)(t & LATENCY_MASK) << LATENCY_SHIFT);
}
