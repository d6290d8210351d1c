/* finalizer.c: finalizers and cleanups that are due, and the goroutine that runs them.
 *
 * Whoever sweeps puts them into one queue; a goroutine of the runtime's own, the runner, takes one after the other and
 * calls it, as a scope of its own. It is made when something is first due, and after it was lost, and parks between:
 *
 *   NONE ---- something is due: it is made, or tried to be ----> AWAKE <---- queue ---- PARKED
 *     ^------ end of a run, gort_goexit in a call -----------------+--- nothing left ---^
 *
 * State and queue change under one lock, so no wake-up is lost. It needs no lock to be woken: who queues is on a P and
 * holds nothing, and makes it runnable there. Only the end of a collection sweeps with the world stopped; it wakes
 * when that runs again. Without memory for a goroutine the queue waits for the next who finds something due, or for the
 * end of the next collection.
 *
 * A run's end drops the runner with everybody else, as os.Exit would end it; what it was in the middle of
 * is lost. What is queued stays, as does the heap: it runs after a collection in the next run.
 * A panic in a call is that of any goroutine. gort_goexit ends the runner, and another comes in its place (in Go no
 * finalizer would run any more).
 *
 * What is in the queue is a root. Nothing is added while the collector marks, since everything was swept before; what
 * is taken is shaded, as it goes to a stack that has been scanned. The runner's stack is scanned as others are, but for
 * when it waits here: then it holds nothing but what the last call left behind, which would keep that for long.
 *
 * Rejected: blocks of records as in Go, newest first (needs memory in the sweep); several runners (order, and whoever
 * writes a finalizer relies on being alone).
 */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

typedef void (*finalizer)(void *obj, void *arg);

enum { JOB = 256 }; /* records of a root job: some 10 us */

static void run(void *arg);

/* ---- The queue ------------------------------------------------------------------------------------- */

static rt_due *after(const rt_due *d)
{
	return (rt_due *)d->head.next;
}

void rt_fin_wake(rt_gc *gc)
{
	rt_finq *q = &gc->fin;
	rt_g *ready = NULL;
	bool make = false;

	rt_lock(&q->lock, RT_RANK_gcfin);
	if (q->head != NULL && q->state != RT_FIN_AWAKE) {
		make = q->state == RT_FIN_NONE;
		ready = q->runner;
		q->state = RT_FIN_AWAKE;
	}
	rt_unlock(&q->lock, RT_RANK_gcfin);
	if (!make) {
		if (ready != NULL)
			rt_goready(ready);
		return;
	}
	if (rt_newproc(gc->rt, rt_self(), &rt_finalizer_attr, run, gc, NULL) == 0)
		return;
	rt_lock(&q->lock, RT_RANK_gcfin);
	q->state = RT_FIN_NONE;
	rt_unlock(&q->lock, RT_RANK_gcfin);
}

void rt_fin_queue(rt_gc *gc, rt_due *first, rt_due *last)
{
	rt_finq *q = &gc->fin;

	rt_lock(&q->lock, RT_RANK_gcfin);
	if (q->head != NULL)
		q->tail->head.next = &first->head;
	else
		q->head = first;
	q->tail = last;
	rt_unlock(&q->lock, RT_RANK_gcfin);
	if (!q->stopped)
		rt_fin_wake(gc);
}

/* False: nothing is due. */
static bool take(rt_gc *gc, rt_due *out)
{
	rt_finq *q = &gc->fin;
	rt_due *d;

	rt_lock(&q->lock, RT_RANK_gcfin);
	d = q->head;
	if (d != NULL) {
		q->head = after(d);
		if (q->next == d)
			q->next = after(d);
	}
	rt_unlock(&q->lock, RT_RANK_gcfin);
	if (d == NULL)
		return false;
	*out = *d;
	rt_gc_shade(out->obj);
	rt_gc_shade(out->arg);
	rt_special_free(&gc->heap, d);
	return true;
}

/* ---- Marking --------------------------------------------------------------------------------------- */

static void look(rt_marker *k, const rt_due *d)
{
	k->from = (uintptr_t)d;
	k->fromsize = sizeof *d;
	rt_gc_grey(k, (uintptr_t)d->obj);
	rt_gc_grey(k, (uintptr_t)d->arg);
}

void rt_fin_prepare(rt_gc *gc)
{
	rt_finq *q = &gc->fin;

	rt_lock(&q->lock, RT_RANK_gcfin);
	q->next = q->head;
	rt_store32_rel(&q->left, q->head != NULL);
	rt_unlock(&q->lock, RT_RANK_gcfin);
}

bool rt_fin_job(rt_marker *k)
{
	rt_finq *q = &k->gc->fin;
	int n = 0;

	if (!rt_load32_acq(&q->left))
		return false;
	rt_lock(&q->lock, RT_RANK_gcfin);
	for (; q->next != NULL && n < JOB; q->next = after(q->next), n++)
		look(k, q->next);
	k->globals += (uint64_t)n * sizeof(rt_due);
	if (q->next == NULL)
		rt_store32_rel(&q->left, 0);
	rt_unlock(&q->lock, RT_RANK_gcfin);
	return n > 0;
}

void rt_fin_look(rt_marker *k)
{
	rt_finq *q = &k->gc->fin;

	rt_lock(&q->lock, RT_RANK_gcfin);
	for (const rt_due *d = q->head; d != NULL; d = after(d))
		look(k, d);
	rt_unlock(&q->lock, RT_RANK_gcfin);
}

/* ---- The runner ------------------------------------------------------------------------------------ */

static void call(void *arg)
{
	rt_due *d = arg;

	if (d->head.kind == RT_SP_FINALIZER)
		((finalizer)d->fn)(d->obj, d->arg);
	else
		((gort_func)d->fn)(d->arg);
}

/* In a frame of its own, so that nothing of the last is in that of the loop. */
static RT_NOINLINE bool run_one(rt_gc *gc, rt_g *gp)
{
	rt_due d;

	if (!take(gc, &d))
		return false;
	gp->finalizes = true;
	gc->rt->up.scope(gp, call, &d);
	gp->finalizes = false;
	return true;
}

static bool until_due(rt_g *gp, void *arg)
{
	rt_gc *gc = arg;
	bool idle;

	(void)gp;
	rt_lock(&gc->fin.lock, RT_RANK_gcfin);
	idle = gc->fin.head == NULL;
	if (idle)
		gc->fin.state = RT_FIN_PARKED;
	rt_unlock(&gc->fin.lock, RT_RANK_gcfin);
	return idle;
}

static void run(void *arg)
{
	rt_gc *gc = arg;
	rt_g *gp = RT_ENTER()->curg;

	rt_lock(&gc->fin.lock, RT_RANK_gcfin);
	gc->fin.runner = gp;
	rt_unlock(&gc->fin.lock, RT_RANK_gcfin);
	for (;;) {
		while (run_one(gc, gp))
			rt_gc_yield_point();
		rt_gopark(until_due, gc, RT_WAIT_FINALIZER, NULL);
	}
}

bool rt_fin_idle(const rt_g *gp, uint32_t status)
{
	return status == RT_G_WAITING && gp->waitreason == RT_WAIT_FINALIZER;
}

void rt_fin_gone(rt_g *gp)
{
	rt_gc *gc = rt_self()->rt->gc;
	uint32_t runs = rt_load32_rlx(&gc->rt->runstate);
	bool ours;

	rt_lock(&gc->fin.lock, RT_RANK_gcfin);
	ours = gc->fin.runner == gp;
	if (ours) {
		gc->fin.runner = NULL;
		gc->fin.state = RT_FIN_NONE;
	}
	rt_unlock(&gc->fin.lock, RT_RANK_gcfin);
	if (ours && (runs == RT_RUN_ACTIVE || runs == RT_RUN_NONE)) /* else it has failed, and the run is over */
		rt_fin_wake(gc);
}

void rt_fin_drop(rt_gc *gc)
{
	rt_lock(&gc->fin.lock, RT_RANK_gcfin);
	gc->fin.runner = NULL;
	gc->fin.state = RT_FIN_NONE;
	rt_store32_rlx(&gc->fin.left, 0);
	rt_unlock(&gc->fin.lock, RT_RANK_gcfin);
}

/* ---- What the program wants ------------------------------------------------------------------------ */

static rt_due *new_due(rt_gc *gc, gort_code fn, void *obj, void *arg)
{
	rt_due *d = rt_gc_special_new(gc);

	d->fn = fn;
	d->obj = obj;
	d->arg = arg;
	rt_gc_shade(arg);
	return d;
}

/* One of the small blocks that share an object, as far as can be seen. */
static bool may_share(const rt_span *s)
{
	return s->spanclass == RT_SPC_TINY;
}

static void remove_finalizer(rt_gc *gc, rt_span *s, void *obj)
{
	rt_special *d = rt_special_remove(&gc->heap, s, (uintptr_t)obj, RT_SP_FINALIZER);

	if (d != NULL)
		rt_special_free(&gc->heap, d);
}

int rt_finalizer_set(void *obj, finalizer fn, void *arg)
{
	rt_gc *gc = rt_gc_of(rt_self());
	rt_span *s;
	uintptr_t start = rt_gc_find(gc, obj, &s);
	rt_due *d;

	if (start == 0 || (start != (uintptr_t)obj && !may_share(s)))
		return GORT_EINVAL;
	if (fn == NULL) {
		remove_finalizer(gc, s, obj);
		return 0;
	}
	d = new_due(gc, (gort_code)fn, obj, arg);
	if (rt_gc_hang(gc, s, (uintptr_t)obj, &d->head, RT_SP_FINALIZER, true))
		return 0;
	rt_special_free(&gc->heap, d);
	return GORT_EINVAL;
}

int rt_cleanup_add(void *obj, gort_func fn, void *arg)
{
	rt_gc *gc = rt_gc_of(rt_self());
	rt_span *s;
	uintptr_t start = rt_gc_find(gc, obj, &s);
	rt_due *d;

	if (start == 0 || fn == NULL)
		return GORT_EINVAL;
	d = new_due(gc, (gort_code)fn, NULL, arg);
	(void)rt_gc_hang(gc, s, start, &d->head, RT_SP_CLEANUP, false);
	return 0;
}
