/* trace.c: from the scheduler's records to an event. Rings and order are base/trace.c's business;
 * here stands what an event is about, and so which stamps it must come after:
 *
 *   the goroutine        its owner writes the event: the runner; who made it runnable (GO_CREATE,
 *                        GO_UNBLOCK) before it is published
 *   the acting goroutine mp->curg; it is the event's goid if the event is about another one
 *   the P                mp->p
 *
 * All of them are raised to the new stamp. A scheduler between two goroutines (timers) has no
 * actor: goid is 0 then.
 */
#include "core/sched/sched_impl.h"

/* Is the event about a goroutine that somebody else acts on? */
static bool acted_upon(unsigned event)
{
	return event == GORT_EV_GO_CREATE || event == GORT_EV_GO_UNBLOCK;
}

static void raise_after(int64_t *after, int64_t last)
{
	if (last > *after)
		*after = last;
}

static void last_is(rt_g *gp, int64_t stamp)
{
	rt_g_more(gp);
	gp->trace_last = stamp;
}

static void emit(rt_m *mp, rt_g *gp, gort_event *e)
{
	rt_trace *t = &mp->rt->trace;
	rt_g *actor = acted_upon(e->id) ? mp->curg : gp;
	int64_t after = 0;

	e->goid = actor != NULL ? actor->goid : 0;
	e->thread = mp->id;
	e->p = mp->p != NULL ? mp->p->id : -1;
	if (actor != NULL)
		raise_after(&after, actor->trace_last);
	if (gp != NULL)
		raise_after(&after, gp->trace_last);
	if (mp->p != NULL)
		raise_after(&after, mp->p->trace_last);
	if (RT_UNLIKELY(mp->ring == NULL))
		mp->ring = rt_tracering_get(t); /* NULL: lost; asked for again next time */
	after = rt_tracering_write(t, mp->ring, e, after);
	if (actor != NULL)
		last_is(actor, after);
	if (gp != NULL)
		last_is(gp, after);
	if (mp->p != NULL)
		mp->p->trace_last = after;
}

RT_NOINLINE void rt_trace_emit(rt_m *mp, unsigned event, rt_g *gp, uint64_t a0, uint64_t a1,
                               uint64_t a2)
{
	gort_event e = { .id = event, .args = { a0, a1, a2 } };

	emit(mp, gp, &e);
}

void rt_trace_emit_user(rt_m *mp, const char *name, uint64_t value)
{
	gort_event e = { .id = GORT_EV_USER, .args = { value }, .text = name };

	emit(mp, mp->curg, &e);
}

RT_NOINLINE void rt_trace_emit_here(gort_runtime *rt, unsigned event, uint64_t a0, uint64_t a1, uint64_t a2)
{
	rt_m *mp = rt_self();

	if (mp != NULL && mp->rt == rt)
		rt_trace_emit(mp, event, mp->curg, a0, a1, a2);
	else
		rt_trace_emit_outside(rt, event, NULL, a0, a1, a2);
}

void rt_trace_emit_stopped(gort_runtime *rt, unsigned event, rt_g *gp, uint64_t a0, uint64_t a1)
{
	for (int i = 0; i < rt->sched.nallp; i++)
		raise_after(&gp->trace_last, rt->sched.allp[i]->trace_last);
	rt_trace_emit_outside(rt, event, gp, a0, a1, 0);
	for (int i = 0; i < rt->sched.nallp; i++)
		raise_after(&rt->sched.allp[i]->trace_last, gp->trace_last);
}

RT_NOINLINE void rt_trace_emit_outside(gort_runtime *rt, unsigned event, rt_g *gp, uint64_t a0,
                                       uint64_t a1, uint64_t a2)
{
	gort_event e = { .id = event, .thread = UINT32_MAX, .p = -1, .args = { a0, a1, a2 } };

	if (gp == NULL) {
		rt_trace_write_shared(&rt->trace, &e, 0);
		return;
	}
	e.goid = acted_upon(event) ? 0 : gp->goid;
	last_is(gp, rt_trace_write_shared(&rt->trace, &e, gp->trace_last));
}
