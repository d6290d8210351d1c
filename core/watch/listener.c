/* listener.c: start and stop of a trace, and the mark of the user.
 *
 * One word says whether a trace runs: OFF -> STARTING -> ON -> STOPPING -> OFF (-> CLOSED), moved by
 * compare-and-swap. So who starts and who stops is decided without a lock, and nobody waits here:
 * a lock held over the stop of the world would be waited for by a goroutine whose P must stop.
 *
 * The start. With the world stopped, goroutines do not change state, apart from three things that a
 * thread does without a P: it may create a goroutine from outside, attach, or come back from a
 * system call, or from foreign code where it slept and lost its P, and queue its goroutine. They
 * change the state and emit the event under sched.lock.
 * So the snapshot is taken and tracing turned on under that lock: each of them is in the snapshot
 * or in the trace, never in both, never in none. The snapshot does not go through the rings, where
 * it might not fit: it is an array that is delivered before all else.
 *
 * The listener's functions are all called on the reader's thread, stop too, because the caller of
 * gort_trace_stop may be a goroutine. Such a caller is in a system call meanwhile, and so is one who starts:
 * a goroutine that has moved the word must move it on, and one that waits for its turn to stop the world
 * would be dropped there at the end of the run. Who frees the runtime waits for the word, and closes it: a
 * goroutine that was dropped and has not come back from this call yet starts nothing any more. Under a seed one that
 * starts is dropped like any other if somebody from outside stopped the world just then; who frees the runtime cleans
 * up after it.
 */
#include "core/watch/watch.h"

#include "core/gc/figures.h"
#include "core/sched/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OFF, STARTING, ON, STOPPING, CLOSED }; /* rt->trace.control */
enum { SLACK = 64 };                  /* goroutines that may come while we allocate */

typedef struct watch {
	gort_trace_listener listener; /* set once */
	/* who starts, then the reader */
	gort_event *first;   /* pages of its own: see make_room */
	size_t nfirst, cap, bytes;
	bool opened;
} watch;

static void forget_first(watch *w)
{
	if (w->first != NULL)
		rt_pages_free(w->first, w->bytes);
	w->first = NULL;
}

/* ---- What is delivered ---- */

static void deliver(void *data, const gort_event *events, size_t n, uint64_t lost)
{
	watch *w = data;
	const gort_trace_listener *l = &w->listener;

	if (n > 0 && l->event != NULL)
		l->event(l->data, events, n);
	if (lost > 0 && l->lost != NULL)
		l->lost(l->data, lost);
	if (n > 0 && events == w->first)
		forget_first(w);
}

static void end(void *data)
{
	watch *w = data;

	if (w->opened && w->listener.stop != NULL)
		w->listener.stop(w->listener.data);
}

/* ---- The snapshot ---- */

static gort_event *add(watch *w, int64_t time, unsigned id)
{
	gort_event *e = &w->first[w->nfirst++];

	RT_ASSERT(w->nfirst <= w->cap);
	*e = (gort_event){ .time = time, .id = id, .p = -1 };
	return e;
}

static void add_create(watch *w, int64_t now, const rt_g *gp)
{
	gort_event *e = add(w, now, GORT_EV_GO_CREATE);

	e->goid = gp->parent;
	e->args[0] = gp->goid;
	e->args[1] = (uintptr_t)gp->fn;
}

/* A runnable goroutine needs no second event: it was created and has not started. */
static void add_state(watch *w, int64_t now, const rt_g *gp)
{
	gort_event *e;

	switch (rt_load32_acq(&gp->status)) {
	case RT_G_WAITING:
		e = add(w, now, GORT_EV_GO_BLOCK);
		e->args[0] = gp->waitreason;
		e->args[1] = gp->waiting != NULL ? (uintptr_t)gp->waiting->on : 0;
		break;
	case RT_G_RUNNING:
		e = add(w, now, GORT_EV_GO_START);
		e->args[0] = rt_g_runs(gp);
		break;
	case RT_G_SYSCALL:
		e = add(w, now, GORT_EV_SYSCALL_BEGIN);
		break;
	default:
		return;
	}
	e->goid = gp->goid;
	if (gp->m != NULL) {
		e->thread = gp->m->id;
		e->p = gp->m->p != NULL ? gp->m->p->id : -1;
	}
}

static bool is_live(const rt_g *gp)
{
	return rt_load32_acq(&gp->status) != RT_G_DEAD;
}

/* All creations first, then all states one tick later: so the array is sorted by time, and a reader
 * that sorts again does not part a goroutine's state from its creation. */
static void add_goroutines(gort_runtime *rt, watch *w, int64_t now)
{
	add(w, now, GORT_EV_PROCS)->args[0] = (uint64_t)rt_gomaxprocs(rt);
	for (rt_g *gp = rt->sched.allg; gp != NULL; gp = gp->alllink)
		if (is_live(gp))
			add_create(w, now, gp);
	for (rt_g *gp = rt->sched.allg; gp != NULL; gp = gp->alllink)
		if (is_live(gp))
			add_state(w, now + 1, gp);
}

/* Collections begin and end while the world is stopped: it stands for what it is asked here. */
static void add_collection(gort_runtime *rt, watch *w, int64_t now)
{
	uint64_t number, trigger;
	gort_event *e;

	if (!rt_gc_in_progress(rt, &number, &trigger))
		return;
	e = add(w, now, GORT_EV_GC_BEGIN);
	e->args[0] = number;
	e->args[1] = trigger;
}

static void fill(gort_runtime *rt, watch *w)
{
	int64_t now = rt->trace.now(&rt->trace);

	w->nfirst = 0;
	if (w->listener.groups & GORT_TRACE_SCHED)
		add_goroutines(rt, w, now);
	if (w->listener.groups & GORT_TRACE_GC)
		add_collection(rt, w, now + 1);
}

/* The events that fill will make, at most. */
static size_t count(gort_runtime *rt, unsigned groups)
{
	size_t n = 2; /* PROCS, GC_BEGIN */

	if (!(groups & GORT_TRACE_SCHED))
		return n;
	for (rt_g *gp = rt->sched.allg; gp != NULL; gp = gp->alllink)
		if (is_live(gp))
			n += 2;
	return n;
}

/* sched.lock and allglock are held. False: more room is needed, *want events. */
static bool open_locked(gort_runtime *rt, watch *w, size_t *want)
{
	unsigned groups = w->listener.groups;

	if (groups & (GORT_TRACE_SCHED | GORT_TRACE_GC)) {
		*want = count(rt, groups);
		if (*want > w->cap)
			return false;
		fill(rt, w);
	}
	w->opened = true;
	rt_trace_open(&rt->trace, groups, w->first, w->nfirst);
	return true;
}

/* Not by malloc: the world is stopped, and a goroutine may have been stopped inside it. */
static bool make_room(watch *w, size_t want)
{
	forget_first(w);
	w->cap = want + 2 * SLACK;
	w->bytes = w->cap * sizeof *w->first;
	w->first = rt_pages_new(&w->bytes);
	return w->first != NULL;
}

/* The world is stopped; other threads may still create goroutines, so the room may not suffice
 * when it was made. */
static int open_trace(gort_runtime *rt, watch *w)
{
	rt_sched *sc = &rt->sched;
	size_t want = 0;
	bool opened;

	for (;;) {
		rt_lock(&sc->lock, RT_RANK_sched);
		rt_lock(&sc->allglock, RT_RANK_allg);
		opened = open_locked(rt, w, &want);
		rt_unlock(&sc->allglock, RT_RANK_allg);
		rt_unlock(&sc->lock, RT_RANK_sched);
		if (opened)
			return 0;
		if (rt_oom_now(&rt->debug) || !make_room(w, want))
			return GORT_ENOMEM;
	}
}

/* ---- Start and stop ---- */

static bool is_valid(const gort_trace_listener *l)
{
	return l != NULL && l->size >= sizeof *l && (l->groups & ~(unsigned)GORT_TRACE_ALL) == 0;
}

static int open_stopped(gort_runtime *rt, watch *w)
{
	bool aside = rt_look_enter(rt, "gort_trace_start");
	int err;

	rt_stop_world(rt, RT_STW_TRACE);
	err = open_trace(rt, w);
	rt_start_world(rt);
	rt_look_leave(aside);
	return err;
}

static void drop(gort_runtime *rt)
{
	watch *w = rt->watch;

	rt->watch = NULL;
	forget_first(w);
	free(w);
}

static int start(gort_runtime *rt, const gort_trace_listener *listener)
{
	watch *w = calloc(1, sizeof *w);
	rt_m *self;
	int err;

	if (w == NULL)
		return GORT_ENOMEM;
	w->listener = *listener;
	rt->watch = w;
	self = rt_hold();
	rt_lock(&rt->trace.lock, RT_RANK_tracebuf);
	rt->trace.debug = &rt->debug;
	rt_unlock(&rt->trace.lock, RT_RANK_tracebuf);
	rt_unhold(self);
	err = rt_trace_reader_start(&rt->trace, deliver, end, w);
	if (err != 0) {
		drop(rt);
		return err == -ENOMEM ? GORT_ENOMEM : GORT_EOS + err;
	}
	err = open_stopped(rt, w);
	if (err != 0) {
		rt_trace_reader_stop(&rt->trace);
		drop(rt);
	}
	return err;
}

/* The word moves on, and who frees the runtime may wait for that. */
static void move_on(gort_runtime *rt, uint32_t to)
{
	rt_store32_rel(&rt->trace.control, to);
	be_thread_wake(&rt->trace.control, INT32_MAX);
}

/* The caller is a goroutine, and not in a system call already. Its P may have been taken: it is one all the same. */
static bool on_goroutine(void)
{
	const rt_m *mp = rt_self();

	return mp != NULL && mp->curg != NULL && (mp->locks == 0 || mp->p != NULL);
}

GORT_API int gort_trace_start(gort_runtime *rt, const gort_trace_listener *listener)
{
	/* Not under a seed, where a system call is an event and needs a thread that looks after it. */
	bool inside = on_goroutine() && !rt_self()->seeded;
	int err;

	if (rt == NULL || !is_valid(listener))
		return GORT_EINVAL;
	err = rt_runtime_alive(rt);
	if (err != 0)
		return err;
	if (inside)
		gort_entersyscall();
	if (rt_cas32_full(&rt->trace.control, OFF, STARTING)) {
		err = start(rt, listener);
		move_on(rt, err == 0 ? ON : OFF);
	} else {
		err = GORT_EBUSY;
	}
	if (inside)
		gort_exitsyscall();
	return err;
}

static void stop(gort_runtime *rt)
{
	rt_trace_reader_stop(&rt->trace);
	drop(rt);
	move_on(rt, OFF);
}

GORT_API int gort_trace_stop(gort_runtime *rt)
{
	bool inside = on_goroutine();
	int err;

	if (rt == NULL)
		return GORT_EINVAL;
	err = rt_runtime_alive(rt);
	if (err != 0)
		return err;
	if (inside)
		gort_entersyscall();
	/* All of it: a goroutine whose run has ended does not come back from the next call. */
	if (rt_cas32_full(&rt->trace.control, ON, STOPPING))
		stop(rt);
	else
		err = GORT_EINVAL;
	if (inside)
		gort_exitsyscall();
	return err;
}

/* Who started is gone. */
static void abandon(gort_runtime *rt)
{
	if (rt->trace.reader != NULL)
		rt_trace_reader_stop(&rt->trace);
	if (rt->watch != NULL)
		drop(rt);
	move_on(rt, OFF);
}

void rt_watch_close(gort_runtime *rt)
{
	rt_atomic32 *word = &rt->trace.control;

	while (!rt_cas32_full(word, OFF, CLOSED)) {
		uint32_t control = rt_load32_acq(word);

		if (control == ON && rt_cas32_full(word, ON, STOPPING))
			stop(rt);
		else if (control == STARTING && rt->seeded != NULL && rt_dropped_wait(rt, GORT_MILLISECOND))
			abandon(rt);
		else if (control == STARTING || control == STOPPING)
			(void)be_thread_park(word, control, -1);
	}
}

void rt_watch_reopen(gort_runtime *rt)
{
	rt_store32_rel(&rt->trace.control, OFF);
}

/* The fork may have caught the reader anywhere: what it may have been freeing is left alone. */
void rt_watch_forget(gort_runtime *rt)
{
	rt_trace_reader_forget(&rt->trace);
	rt->watch = NULL;
	rt_store32_rlx(&rt->trace.control, OFF);
}

GORT_API void gort_trace_mark(const char *name, uint64_t value)
{
	rt_m *mp = RT_ENTER();

	if (RT_UNLIKELY(rt_load32_rlx(&mp->rt->trace.groups) & GORT_TRACE_USER))
		rt_trace_emit_user(mp, name, value);
	rt_leave();
}
