/* group.c: gort_group: goroutines that end before a wait returns, and are cancelled together.
 *
 * The public struct names a heap object, the family, which is made at first use and lasts until a wait has
 * found all its members gone; then the struct is as new, and its next use makes another one. A family that
 * is over is never used again: who finds `over` looks at the struct again.
 *
 * A family is of one run of one runtime, and beside it the struct says which. Found in another run the struct is as
 * new: the family may be cancelled, and all its members were dropped; in another runtime it may be gone. Who finds
 * that makes the struct new, under a lock of the runtime: the family goes first, and then it says that it is of this
 * run. So behind this run's number stands no older family, and who comes late with the lock takes no newer one away.
 *
 * A member (heap object) is what a goroutine of the group gets as its argument. It joins the list of its
 * family when it starts to run, and leaves as its last deferred call, so after a panic and
 * gort_goexit, too. running counts from the gort_group_go on.
 *
 * Cancelling: the flag under the family's lock, then rt_g_cancel for every member in the list, under the
 * same lock, so that none of them ends meanwhile (see wait.c). One that joins later finds the flag. Children
 * are cancelled after the lock is released: they are taken off the list one by one and wait in a list of
 * work, so locks of families never nest, and depth costs no stack. A child joins its parent's
 * list under the parent's lock, or finds the parent cancelled.
 *
 * The limit: who ends gives its place to the first that waits for one, and running stays.
 *
 * Rejected: to make it new by a compare-and-swap on the family (one of this run may lie where that of a runtime which
 * is gone lay, and would be taken for it); a tree under one lock (unrelated groups of a large program would meet
 * there); to look for the cancellation in each call (a waiting goroutine must be woken).
 */
#include "core/sync/group.h"

#include "core/builtin/panic.h"
#include "core/builtin/type.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"
#include "core/sync/waitq.h"

typedef struct member member;

typedef struct family { /* heap object */
	rt_mutex lock;           /* rank group; by rt_plock */
	rt_atomic32 over;        /* written under lock, once */
	/* guarded by lock */
	uint32_t running, limit; /* limit 0: none */
	bool canceled, panicked;
	int code;                /* why it was cancelled */
	gort_eface panic;
	member *members;
	struct family *children;
	gort_chan *done;         /* closed by who sets canceled, or who makes it afterwards */
	rt_waitq waiters;        /* for running to become 0 */
	rt_waitq callers;        /* for a place below the limit */
	/* set once */
	struct family *parent;
	/* guarded by the parent's lock; as soon as it is off the list, the canceller's own */
	struct family *older, *younger;
	bool listed;
} family;

struct member { /* heap object */
	family *f;
	int (*fn)(void *arg);
	void *arg;               /* until its goroutine has it */
	/* guarded by f->lock */
	member *next, *prev;
	rt_g *gp;
	/* its goroutine's */
	int code;
	bool panicked;
	gort_eface panic;
};

typedef struct group {
	rt_atomicptr family;
	rt_atomic64 run; /* that the family is of: this_run; changed under the runtime's lock */
	void *unused[6];
} group;

_Static_assert(sizeof(group) == sizeof(gort_group), "the public size is for ever");

GORT_API const gort_type *gort_type_of_gort_group(void)
{
	static const size_t ptrs[] = { 0 };
	static const gort_type t = { .size = sizeof(gort_group), .align = GORT_ALIGNOF(gort_group),
		.kind = GORT_KIND_STRUCT, .hash = 0x27d4eb2fu, .name = "gort_group",
		.period = sizeof(gort_group), .nptrs = 1, .ptrs = ptrs, .mask = 1 };

	return &t;
}

/* Into a heap object; also at the end of a run, by a thread without an M, when nothing marks. */
static void set(void *slot, void *p)
{
	if (RT_LIKELY(rt_self() != NULL))
		rt_store_ptr(slot, p);
	else
		*(void **)slot = p;
}

static void lock(family *f)
{
	rt_plock(&f->lock, RT_RANK_group);
}

static void unlock(family *f)
{
	rt_punlock(&f->lock, RT_RANK_group);
}

/* ---- Parents and children --------------------------------------------------------------------- */

/* f's parent is locked. */
static void unlist(family *f)
{
	if (!f->listed)
		return;
	f->listed = false;
	if (f->younger != NULL)
		set(&f->younger->older, f->older);
	else
		set(&f->parent->children, f->older);
	if (f->older != NULL)
		set(&f->older->younger, f->younger);
	f->older = f->younger = NULL;
}

static void list(family *f, family *parent)
{
	lock(parent);
	if (parent->canceled) {
		f->canceled = true;
		f->code = parent->code;
	} else {
		set(&f->parent, parent);
		set(&f->older, parent->children);
		if (f->older != NULL)
			set(&f->older->younger, f);
		set(&parent->children, f);
		f->listed = true;
	}
	unlock(parent);
}

static void leave_parent(family *f)
{
	if (f->parent == NULL)
		return;
	lock(f->parent);
	unlist(f);
	unlock(f->parent);
}

/* Never 0. A run ends only while the world is stopped, so not between two allocations. */
static uint64_t this_run(void)
{
	const gort_runtime *rt = rt_self()->rt;

	return (uint64_t)rt->serial << 32 | rt_load32_rlx(&rt->runs);
}

/* No barrier: nobody gets at an older family by this word. */
static RT_NOINLINE void renew(group *g)
{
	rt_mutex *l = &rt_self()->rt->groups;

	rt_plock(l, RT_RANK_group);
	if (rt_load64_rlx(&g->run) != this_run()) {
		rt_storeptr_rlx(&g->family, NULL);
		rt_store64_rel(&g->run, this_run());
	}
	rt_punlock(l, RT_RANK_group);
}

/* The family of g, perhaps over; NULL: it is as new. */
static family *known(group *g)
{
	if (RT_UNLIKELY(rt_load64_acq(&g->run) != this_run()))
		renew(g);
	return rt_loadptr_acq(&g->family);
}

/* The family of g that is not over; made at first use. */
static family *family_of(group *g)
{
	const member *me = rt_curg()->member;
	family *fresh = NULL;

	for (;;) {
		family *f = known(g);

		if (f != NULL && !rt_load32_acq(&f->over)) {
			if (fresh != NULL)
				leave_parent(fresh);
			return f;
		}
		if (fresh == NULL) { /* then look again: meanwhile an attached thread's run may have ended */
			fresh = rt_new_bytes(sizeof *fresh, false);
			if (me != NULL)
				list(fresh, me->f);
			continue;
		}
		if (rt_gc_marking())
			rt_barrier(&g->family, f, fresh);
		if (rt_casptr_full(&g->family, f, fresh))
			return fresh;
	}
}

/* ---- Cancel --------------------------------------------------------------------------------- */

/* Returns f's children, which are off its list now, before `work`. */
static family *cancel_one(family *f, int code, family *work)
{
	gort_chan *done = NULL;

	lock(f);
	if (!f->canceled && !rt_load32_rlx(&f->over)) {
		f->canceled = true;
		f->code = code;
		done = f->done;
		for (member *m = f->members; m != NULL; m = m->next)
			rt_g_cancel(m->gp);
	}
	for (family *c; (c = f->children) != NULL;) {
		unlist(c);
		set(&c->older, work);
		work = c;
	}
	unlock(f);
	if (done != NULL)
		gort_chan_close(done);
	return work;
}

static void cancel(family *f, int code)
{
	for (family *work = cancel_one(f, code, NULL); work != NULL;) {
		family *next = work->older;

		set(&work->older, NULL);
		work = cancel_one(work, code, next);
	}
}

/* ---- Members -------------------------------------------------------------------------------- */

/* A place is free: the next caller has it. Or it was the last member: those that wait find the
 * family over. f is locked; unlocks it. */
static void free_place(family *f)
{
	rt_waiter *w = rt_waitq_pop(&f->callers), *next;

	if (w == NULL && --f->running == 0)
		w = rt_waitq_pop(&f->waiters);
	if (w != NULL && f->running == 0) { /* all of them */
		rt_store32_rel(&f->over, 1);
		for (rt_waiter *last = w;; last = next) {
			last->link = next = rt_waitq_pop(&f->waiters);
			if (next == NULL)
				break;
		}
	} else if (w != NULL) {
		w->link = NULL;
	}
	unlock(f);
	for (; w != NULL; w = next) { /* w is gone as soon as its goroutine runs */
		next = w->link;
		rt_goready(w->g);
	}
}

/* m is in the list, f locked. */
static void leave(member *m, rt_g *gp)
{
	family *f = m->f;

	if (m->prev != NULL)
		set(&m->prev->next, m->next);
	else
		set(&f->members, m->next);
	if (m->next != NULL)
		set(&m->next->prev, m->prev);
	m->next = m->prev = NULL;
	gp->member = NULL;
	rt_g_uncancel(gp);
}

/* Returns the argument. The list, which others reach, keeps it no longer: what only this goroutine knows is its own. */
static void *join(member *m)
{
	family *f = m->f;
	rt_g *gp = rt_curg();
	void *arg = m->arg;

	lock(f);
	m->gp = gp;
	set(&m->next, f->members);
	if (m->next != NULL)
		set(&m->next->prev, m);
	set(&f->members, m);
	rt_g_more(gp);
	gp->member = m;
	if (f->canceled)
		rt_g_cancel(gp);
	unlock(f);
	set(&m->arg, NULL);
	return arg;
}

static void finish(member *m)
{
	family *f = m->f;

	if (m->code != 0)
		cancel(f, m->code);
	lock(f);
	leave(m, m->gp);
	if (m->panicked && !f->panicked) {
		f->panicked = true;
		rt_typed_move(GORT_TYPE(gort_eface), sizeof f->panic, &f->panic, &m->panic);
	}
	free_place(f);
}

typedef struct call {
	member *m;
	void *arg;
} call;

static void member_call(void *arg)
{
	call *c = arg;

	c->m->code = c->m->fn(c->arg);
}

static void member_end(void *arg)
{
	(void)RT_ENTER();
	finish(arg);
	rt_leave();
}

/* A goroutine. */
static void member_main(void *arg)
{
	member *m = arg;
	call c = { .m = m };

	(void)RT_ENTER();
	c.arg = join(m);
	rt_leave();
	gort_defer(member_end, m);
	m->panicked = gort_try(member_call, &c, &m->panic) != 0;
	if (m->panicked)
		m->code = GORT_EPANIC;
}

void rt_group_drop(rt_g *gp)
{
	const rt_m *mp = rt_self();
	member *m = gp->member;

	if (m == NULL) {
		m = gp->fn == member_main ? gp->arg : NULL;
		if (m != NULL && m->gp == NULL) /* it has not begun: see join */
			m->f->running--;
		return;
	}
	/* It ends the run, or only itself if nothing runs; curg says nothing on g0. Who has a P drops nobody else but
	 * the host's main (preempt.c), which is no member. */
	if (mp != NULL && mp->rt == gp->rt && mp->p != NULL) {
		m->code = GORT_EFATAL;
		finish(m);
		return;
	}
	leave(m, gp); /* the world is stopped, and this thread has no P */
	m->f->running--;
}

/* ---- Waiting; f is locked ---------------------------------------------------------------------- */

static void unlink_waiter(rt_waiter *w)
{
	family *f = w->on;

	if (w->elem != NULL && w->success && !w->g->attached)
		f->running--; /* it was given a place, and is dropped before it could take it */
	else
		rt_waitq_remove(w->elem != NULL ? &f->callers : &f->waiters, w);
}

static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	family *f = w->on;

	(void)gp;
	rt_waiter_open(w);
	unlock(f);
	return true;
}

/* Unlocks. 0: the waker has done what was waited for; else a code. */
static int wait_in(family *f, rt_waitq *q, int64_t deadline)
{
	rt_g *gp = rt_curg();
	rt_waiter w;
	int err = rt_wait_refused(gp, deadline);

	if (err != 0) {
		unlock(f);
		return err;
	}
	w.on = f;
	w.elem = q == &f->callers ? q : NULL;
	w.unlink = unlink_waiter;
	rt_waiter_begin(gp, &w, deadline);
	rt_waitq_push(q, &w);
	rt_gopark(commit, &w, RT_WAIT_SEMACQUIRE, f);
	if (!w.success) {
		lock(f);
		rt_waitq_remove(q, &w);
		unlock(f);
	}
	return rt_waiter_end(gp, &w);
}

/* Another member may run. The family of g, which it may have been waited for meanwhile. */
static family *take_place(group *g)
{
	for (;;) {
		family *f = family_of(g);

		lock(f);
		if (rt_load32_rlx(&f->over)) {
			unlock(f);
			continue;
		}
		if (f->limit == 0 || f->running < f->limit) {
			f->running++;
			unlock(f);
			return f;
		}
		if (wait_in(f, &f->callers, RT_UNTIMED) == 0)
			return f;
		lock(f); /* an attached thread whose run has ended: nothing blocks it */
		f->running++;
		unlock(f);
		return f;
	}
}

/* The family that was waited for, NULL: there is none. */
static family *wait(group *g, int64_t deadline, int *err)
{
	for (;;) {
		family *f = known(g);

		*err = 0;
		if (f == NULL)
			return NULL;
		lock(f);
		if (!rt_load32_rlx(&f->over)) {
			if (f->running > 0) {
				*err = wait_in(f, &f->waiters, deadline);
				if (*err != 0)
					return f;
				lock(f);
			}
			rt_store32_rel(&f->over, 1);
			unlock(f);
			(void)rt_casptr_full(&g->family, f, NULL);
			leave_parent(f);
			return f;
		}
		unlock(f);
		(void)rt_casptr_full(&g->family, f, NULL); /* others waited for it */
	}
}

static int group_wait(group *g, int64_t deadline)
{
	gort_eface panic = { NULL, NULL };
	bool panicked = false;
	int code;
	family *f;

	f = wait(g, deadline, &code);
	if (f != NULL && code == 0) { /* over: nobody changes it any more */
		code = f->code;
		panicked = f->panicked;
		panic = f->panic;
	}
	rt_leave();
	if (panicked)
		gort_panic(panic);
	return code;
}

/* ---- Public --------------------------------------------------------------------------------- */

GORT_API int gort_group_go(gort_group *g, int (*fn)(void *arg), void *arg)
{
	member *m;
	family *f;
	int r;

	(void)RT_ENTER();
	if (fn == NULL)
		rt_fatal("go of nil func value");
	m = rt_new_bytes(sizeof *m, false);
	f = take_place((group *)g);
	set(&m->f, f);
	m->fn = fn;
	set(&m->arg, arg);
	r = gort_go(member_main, m);
	if (r != 0) {
		lock(f);
		free_place(f);
	}
	rt_leave();
	return r;
}

GORT_API int gort_group_wait(gort_group *g)
{
	(void)RT_ENTER();
	return group_wait((group *)g, RT_UNTIMED);
}

GORT_API int gort_group_wait_until(gort_group *g, int64_t deadline)
{
	(void)RT_ENTER();
	return group_wait((group *)g, rt_deadline(deadline));
}

GORT_API void gort_group_cancel(gort_group *g, int code)
{
	(void)RT_ENTER();
	cancel(family_of((group *)g), code < 0 ? code : GORT_ECANCELED);
	rt_leave();
}

GORT_API gort_chan *gort_group_done(gort_group *g)
{
	gort_chan *fresh, *done;
	bool canceled;
	family *f;

	(void)RT_ENTER();
	f = family_of((group *)g);
	fresh = gort_chan_make(GORT_TYPE(bool), 0);
	lock(f);
	if (f->done == NULL)
		set(&f->done, fresh);
	done = f->done;
	canceled = f->canceled;
	unlock(f);
	if (done == fresh && canceled)
		gort_chan_close(done);
	rt_leave();
	return done;
}

GORT_API void gort_group_limit(gort_group *g, int n)
{
	family *f;

	(void)RT_ENTER();
	f = family_of((group *)g);
	lock(f);
	f->limit = n > 0 ? (uint32_t)n : 0;
	unlock(f);
	rt_leave();
}
