/* goroutines.c: the list of goroutines, and the dump of their stacks, of all or of those that are leaked.
 *
 * They stop the world for as long as the list is copied, or the text made; what belongs to the caller (its
 * writer) is called afterwards, for it may want a lock that a stopped goroutine holds.
 */
#include "core/gc/leak.h"
#include "core/sched/internal.h"
#include "core/sync/sema.h"
#include "core/watch/watch.h"

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

/* What it waits for, as the program knows it. */
static const void *object_of(const rt_g *gp)
{
	const rt_waiter *w = gp->waiting;

	if (w == NULL || gp->waitreason == RT_WAIT_SELECT || gp->waitreason == RT_WAIT_IO ||
	    gp->waitreason == RT_WAIT_GC_CYCLE || gp->waitreason == RT_WAIT_GC_ASSIST_WAIT)
		return NULL;
	return rt_sema_shown(w->on, gp->waitreason);
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
		to->on = object_of(gp);
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

/* Row i of the caller's, whose rows have another size if its header is another one. */
static void hand_out(gort_goroutine *out, size_t i, const gort_goroutine *one, size_t size)
{
	char *to = (char *)out + i * size;

	memset(to, 0, size);
	memcpy(to, one, size < sizeof *one ? size : sizeof *one);
}

GORT_API size_t gort_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size)
{
	gort_goroutine one;
	size_t have;
	rt_glist l;

	stop(rt);
	if (rt_glist_make(rt, &l)) {
		have = l.n;
		for (size_t i = 0; i < n && i < l.n; i++) {
			fill(&one, l.g[i]);
			hand_out(out, i, &one, size);
		}
		rt_glist_free(&l);
	} else {
		have = 0;
	}
	start(rt);
	return have;
}

/* ---- Those of a run that failed --------------------------------------------------------------- */

/* World stopped, before they are dropped. The one that failed is gone already. */
void rt_watch_failed(gort_runtime *rt)
{
	const rt_failure *f = &rt->failure;
	gort_goroutine *to;
	rt_glist l;

	rt->nfailed = 0;
	if (!rt_glist_make(rt, &l))
		return;
	if (!rt_oom_now(&rt->debug) && rt_array_fit(&rt->failed, (l.n + 1) * sizeof *to)) {
		to = rt->failed.p;
		for (size_t i = 0; i <= l.n; i++) {
			if (f->there && rt->nfailed == i && (i == l.n || f->g.goid < l.g[i]->goid))
				to[rt->nfailed++] = (gort_goroutine){ .goid = f->g.goid, .parent = f->g.parent,
				                                      .status = GORT_G_RUNNING, .wait_reason = "",
				                                      .creator = f->g.creator, .locked = f->g.locked };
			if (i < l.n)
				fill(&to[rt->nfailed++], l.g[i]);
		}
	}
	rt_glist_free(&l);
}

GORT_API size_t gort_failed_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size)
{
	if (rt_runtime_alive(rt) != 0)
		return 0;
	for (size_t i = 0; i < n && i < rt->nfailed; i++)
		hand_out(out, i, (gort_goroutine *)rt->failed.p + i, size);
	return rt->nfailed;
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
		rt_report_g(r, self, rt_now(rt));
	rt_report_all(rt, r, self);
	start(rt);
	return finish(r, &text, 0, write, data);
}

static void report_leaked(void *arg, rt_g *gp)
{
	rt_report_g(arg, gp, rt_now(gp->rt));
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

typedef struct leaked {
	gort_goroutine *out;
	size_t n, room, size;
} leaked;

static void list_leaked(void *arg, rt_g *gp)
{
	leaked *l = arg;
	gort_goroutine one;

	if (l->n < l->room) {
		fill(&one, gp);
		hand_out(l->out, l->n, &one, l->size);
	}
	l->n++;
}

GORT_API int64_t gort_leaked_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size)
{
	leaked l = { out, 0, n, size };
	int err = rt_runtime_alive(rt);

	if (err == 0)
		err = rt_leaks_find(rt, list_leaked, &l);
	return err != 0 ? err : (int64_t)l.n;
}
