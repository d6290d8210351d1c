/* goroutines.c: the list of goroutines, and the dump of their stacks, of all or of those that are leaked.
 *
 * They stop the world for as long as the list is copied, or the text made; what belongs to the caller (its
 * writer) is called afterwards, for it may want a lock that a stopped goroutine holds.
 */
#include "core/gc/leak.h"
#include "core/sched/internal.h"

#include <string.h>

/* Around a stop of the world by any thread; a goroutine is inside the runtime meanwhile, and may come out of the
 * stop on another thread. */
static void stop(gort_runtime *rt)
{
	(void)rt_hold();
	rt_stop_world(rt, RT_STW_WATCH);
}

static void start(gort_runtime *rt)
{
	rt_start_world(rt);
	rt_unhold(rt_self());
}

/* ---- The list --------------------------------------------------------------------------------- */

static size_t stack_used(const rt_g *gp, uint32_t status)
{
	char here, *sp = NULL;
	void *lo, *hi;

	rt_g_bounds(gp, &lo, &hi);
	if (gp == rt_curg())
		sp = &here;
	else if (gp->m != NULL && gp->m->standing == RT_STANDS_STOPPED)
		sp = (char *)gp->m->stopat.sp;
	else if (gp->ctx != NULL && gp->m == NULL && (status == RT_G_WAITING || status == RT_G_RUNNABLE))
		sp = be_context_sp(gp->ctx);
	return sp >= (char *)lo && sp < (char *)hi ? (size_t)((char *)hi - sp) : 0;
}

static void fill(gort_goroutine *to, const rt_g *gp)
{
	uint32_t status = rt_load32_acq(&gp->status);
	const rt_m *on = gp->m != NULL ? gp->m : gp->lockedm;

	memset(to, 0, sizeof *to);
	to->goid = gp->goid;
	to->parent = gp->parent;
	to->status = (int)status;
	to->wait_reason = "";
	if (status == RT_G_WAITING) {
		to->wait_reason = rt_waitreason_text(gp->waitreason);
		to->since = gp->since;
	}
	to->start = gp->fn;
	to->creator = gp->creator;
	to->stack_used = stack_used(gp, status);
	to->thread = on != NULL ? on->tid : 0;
	to->locked = gp->lockedm != NULL;
	to->system = gp->system;
	if (gp->name != NULL)
		memcpy(to->name, gp->name, sizeof to->name);
}

GORT_API size_t gort_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size)
{
	size_t known = size < sizeof *out ? size : sizeof *out, have;
	gort_goroutine one;
	rt_glist l;

	stop(rt);
	if (rt_glist_make(rt, &l)) {
		have = l.n;
		for (size_t i = 0; i < n && i < l.n; i++) {
			char *to = (char *)out + i * size;

			fill(&one, l.g[i]);
			memset(to, 0, size);
			memcpy(to, &one, known);
		}
		rt_glist_free(&l);
	} else {
		have = 0;
	}
	start(rt);
	return have;
}

/* ---- The dumps -------------------------------------------------------------------------------- */

/* Made before the world stops. NULL: no memory. */
static rt_report *new_report(gort_runtime *rt, rt_text *text)
{
	return rt_report_new(text, rt->traceback.level < 1 ? 1 : rt->traceback.level);
}

/* The world runs. */
static int finish(rt_report *r, rt_text *text, int err, gort_writer write, void *data)
{
	rt_report_free(r);
	if (err == 0 && text->n > 0)
		err = write(data, text->p, text->n);
	rt_text_free(text);
	return err;
}

GORT_API int gort_stack_dump(gort_runtime *rt, gort_writer write, void *data)
{
	rt_text text = { NULL, 0, 0 };
	rt_report *r = new_report(rt, &text);
	rt_g *self;

	if (r == NULL)
		return GORT_ENOMEM;
	stop(rt);
	self = rt_curg();
	if (self != NULL && self->rt != rt)
		self = NULL;
	if (self != NULL)
		rt_report_g(r, self, be_nanotime());
	rt_report_all(rt, r, self);
	start(rt);
	return finish(r, &text, 0, write, data);
}

static void report_leaked(void *arg, rt_g *gp)
{
	rt_report_g(arg, gp, be_nanotime());
}

GORT_API int gort_leak_dump(gort_runtime *rt, gort_writer write, void *data)
{
	rt_text text = { NULL, 0, 0 };
	int err = rt_runtime_alive(rt);
	rt_report *r;

	if (err != 0)
		return err;
	r = new_report(rt, &text);
	if (r == NULL)
		return GORT_ENOMEM;
	rt_report_note(r, " (leaked)");
	return finish(r, &text, rt_leaks_find(rt, report_leaked, r), write, data);
}
