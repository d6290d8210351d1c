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

/* ---- The list --------------------------------------------------------------------------------- */

static size_t stack_used(const rt_g *gp, uint32_t status)
{
	char here, *sp = NULL;
	void *lo, *hi;

	rt_g_bounds(gp, &lo, &hi);
	if (gp == rt_curg())
		sp = &here;
	else if (status == RT_G_RUNNING && gp->m != NULL && gp->m->standing == RT_STANDS_STOPPED)
		sp = (char *)gp->m->stopat.sp;
	else if ((status == RT_G_WAITING || status == RT_G_RUNNABLE) && gp->ctx != NULL && gp->m == NULL)
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

/* Under the lock, as one that comes out of a system call has no P that would be stopped, and leaves its M. */
static void fill(gort_goroutine *to, const rt_g *gp)
{
	rt_mutex *lock = &gp->rt->sched.lock;
	uint32_t status;
	const rt_m *on;

	rt_lock(lock, RT_RANK_sched);
	status = rt_load32_acq(&gp->status);
	on = gp->m != NULL ? gp->m : gp->lockedm;
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
	rt_unlock(lock, RT_RANK_sched);
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
	bool aside;

	if (rt_runtime_alive(rt) != 0)
		return 0;
	aside = rt_look_enter(rt, "gort_goroutines");
	rt_stop_world(rt, RT_STW_WATCH);
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
	rt_start_world(rt);
	rt_look_leave(aside);
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

/* The list of its runtime has it, for the goroutine that made it may be dropped meanwhile: while it waits for its turn
 * to stop the world, or in the writer, which is the program's. */
typedef struct rt_dump rt_dump;
struct rt_dump {
	gort_runtime *rt;
	size_t bytes;
	rt_report *report;
	rt_text text;
	bool owned; /* by a goroutine of rt that does not outlive its run */
	rt_dump *next, *prev; /* rt->dumplock */
};

static void release(rt_dump *d)
{
	rt_report_free(d->report);
	rt_text_free(&d->text);
	rt_pages_free(d, d->bytes);
}

/* Before the world stops. NULL: no memory. */
static rt_dump *dump_new(gort_runtime *rt)
{
	size_t bytes = sizeof(rt_dump);
	rt_m *self = rt_hold();
	const rt_g *gp = rt_curg();
	rt_dump *d = rt_oom_now(&rt->debug) ? NULL : rt_pages_new(&bytes);

	if (d != NULL) {
		*d = (rt_dump){ .rt = rt, .bytes = bytes };
		d->owned = gp != NULL && gp->rt == rt && !gp->attached;
		d->report = rt_report_new(&d->text, rt->traceback.level < 1 ? 1 : rt->traceback.level);
		if (d->report == NULL) {
			release(d);
			d = NULL;
		}
	}
	if (d != NULL) {
		rt_lock(&rt->dumplock, RT_RANK_dumps);
		d->next = rt->dumps;
		if (d->next != NULL)
			d->next->prev = d;
		rt->dumps = d;
		rt_unlock(&rt->dumplock, RT_RANK_dumps);
	}
	rt_unhold(self);
	return d;
}

static void unlist(rt_dump *d)
{
	if (d->next != NULL)
		d->next->prev = d->prev;
	if (d->prev != NULL)
		d->prev->next = d->next;
	else
		d->rt->dumps = d->next;
}

static void dump_free(rt_dump *d)
{
	gort_runtime *rt = d->rt;
	rt_m *self = rt_hold();

	rt_lock(&rt->dumplock, RT_RANK_dumps);
	unlist(d);
	rt_unlock(&rt->dumplock, RT_RANK_dumps);
	release(d);
	rt_unhold(self);
}

void rt_dumps_dropped(gort_runtime *rt, bool all)
{
	rt_lock(&rt->dumplock, RT_RANK_dumps);
	for (rt_dump *d = rt->dumps, *next; d != NULL; d = next) {
		next = d->next;
		if (!d->owned && !all)
			continue;
		unlist(d);
		release(d);
	}
	rt_unlock(&rt->dumplock, RT_RANK_dumps);
}

/* The world runs. */
static int finish(rt_dump *d, int err, gort_writer write, void *data)
{
	if (err == 0 && d->text.n > 0)
		err = write(data, d->text.p, d->text.n);
	dump_free(d);
	return err;
}

GORT_API int gort_stack_dump(gort_runtime *rt, gort_writer write, void *data)
{
	int err = rt_runtime_alive(rt);
	rt_dump *d;
	bool aside;
	rt_g *self;

	if (err != 0)
		return err;
	d = dump_new(rt);
	if (d == NULL)
		return GORT_ENOMEM;
	aside = rt_look_enter(rt, "gort_stack_dump");
	rt_stop_world(rt, RT_STW_WATCH);
	self = rt_curg();
	if (self != NULL && self->rt != rt)
		self = NULL;
	if (self != NULL)
		rt_report_g(d->report, self, rt_now(rt));
	rt_report_all(rt, d->report, self);
	rt_start_world(rt);
	rt_look_leave(aside);
	return finish(d, 0, write, data);
}

static void report_leaked(void *arg, rt_g *gp)
{
	rt_report_g(arg, gp, rt_now(gp->rt));
}

GORT_API int gort_leak_dump(gort_runtime *rt, gort_writer write, void *data)
{
	int err = rt_runtime_alive(rt);
	rt_dump *d;

	if (err != 0)
		return err;
	d = dump_new(rt);
	if (d == NULL)
		return GORT_ENOMEM;
	rt_report_note(d->report, " (leaked)");
	return finish(d, rt_leaks_find(rt, report_leaked, d->report), write, data);
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
