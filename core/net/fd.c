/* fd.c: see fd.h.
 *
 * Life. `users` counts the calls that are in the system with the descriptor at this moment, and has a bit for closed:
 * who leaves last after that drops the poller's record and closes the system's descriptor; either may belong to
 * somebody else from then on. A goroutine that waits does not count: it holds the record (rt_pd_hold) before it leaves,
 * so that a close reaches it, and it can be dropped by the end of a run without leaving a count behind. One that is
 * in a call that blocks (a file) comes to its end when that returns: before, it leaves, and a file that it has opened
 * is the record's by then. The record is given back by who comes second: its handle's end, or who leaves last.
 * tests/model/fdlife.pml.
 *
 * Handle and record are there before the descriptor is: to make them may park, for the collector's sake, and who parks
 * may be dropped by the end of a run, or for want of memory. From the system's call that makes a descriptor until the
 * record has it nothing parks. Rejected: descriptor and record first (what nobody has a handle for stays open).
 *
 * Turns. One goroutine at a time tries and waits for each direction, in the order in which they came: a write of
 * several pieces is not mixed with another. The end of a run drops who has a turn; from then on the turns of that run
 * do not count any more.
 *
 * A read that gives less than was asked for has emptied the descriptor, if it is one of those of which be_io_stream
 * says so. The next one does not try before there is an event: whatever comes brings one, for the poller is
 * edge-triggered, or is asked then. What may have come, and been told, together with what was read is remembered
 * (BE_POLL_ENDS): the end of the other side's output, and urgent data, at which a read stops.
 *
 * The record is not on the heap: it outlives its handle by as long as the cleanup takes to run.
 */
#include "core/net/fd.h"

#include "backends/io/io.h"
#include "core/alloc/fixalloc.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"
#include "core/sync/mutex.h"

#include <errno.h>
#include <stdlib.h>

#define CLOSED (UINT32_C(1) << 31)
#define FREED (UINT32_C(1) << 30) /* the handle is gone */
#define GONE (UINT32_C(1) << 29)  /* the descriptor is */
#define NONE ((intptr_t)-1)

struct rt_fd {
	rt_atomic32 users;    /* see above */
	rt_atomic32 run;      /* rt.runs when the turns were new; changed under the lock */
	int kind;             /* BE_IO_* */
	bool watched;         /* the descriptor is the caller's */
	bool stream;          /* be_io_stream; set once */
	bool drained;         /* by the last read; whose turn it is to read */
	intptr_t fd;          /* NONE: it is empty */
	rt_pd *pd;            /* NULL: calls block, each on a thread */
	gort_mutex turn[2];
	gort_runtime *rt;
	/* of all; guarded by the lock */
	rt_fd *next RT_CACHE_ALIGNED;
	rt_fd *prev;
};

_Static_assert(offsetof(rt_fd, next) == RT_CACHELINE, "a call touches one line");

struct rt_net {
	rt_atomic32 started; /* 1: be_io_start was called */
	rt_mutex lock; /* rank net */
	rt_fd *all;
	rt_fixalloc fds;
};

int rt_io_code(intptr_t r)
{
	return r >= 0 ? 0 : r == -ENOMEM ? GORT_ENOMEM : r == -ENOTSUP ? GORT_ENOTSUP : GORT_EOS + (int)r;
}

/* ---- Life ------------------------------------------------------------------------------------------ */

int rt_net_init(gort_runtime *rt)
{
	rt->net = calloc(1, sizeof *rt->net); /* on the host's thread, at boot */
	if (rt->net == NULL)
		return GORT_ENOMEM;
	rt_fixalloc_init(&rt->net->fds, sizeof(rt_fd), &rt->debug);
	return 0;
}

void rt_net_fini(gort_runtime *rt)
{
	if (rt->net == NULL)
		return;
	/* In the child of a fork, too: the numbers are copies of its own. */
	for (rt_fd *f = rt->net->all; f != NULL; f = f->next)
		if (!rt_fd_empty(f) && !f->watched && !(rt_load32_rlx(&f->users) & GONE))
			be_io_close(f->fd, f->kind);
	rt_fixalloc_fini(&rt->net->fds);
	free(rt->net);
	rt->net = NULL;
}

int rt_io_start(gort_runtime *rt)
{
	int r;

	if (rt_load32_acq(&rt->net->started) != 0)
		return 0;
	r = be_io_start();
	if (r == 0)
		rt_store32_rel(&rt->net->started, 1);
	return rt_io_code(r);
}

static void enlist(rt_fd *f)
{
	struct rt_net *net = f->rt->net;

	rt_lock(&net->lock, RT_RANK_net);
	f->next = net->all;
	if (f->next != NULL)
		f->next->prev = f;
	net->all = f;
	rt_unlock(&net->lock, RT_RANK_net);
}

static void delist(rt_fd *f)
{
	struct rt_net *net = f->rt->net;

	rt_lock(&net->lock, RT_RANK_net);
	if (f->prev != NULL)
		f->prev->next = f->next;
	else
		net->all = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
	rt_unlock(&net->lock, RT_RANK_net);
}

static bool enter(rt_fd *f)
{
	for (;;) {
		uint32_t was = rt_load32_rlx(&f->users);

		if (was & CLOSED)
			return false;
		if (rt_cas32_acq(&f->users, was, was + 1))
			return true;
	}
}

/* No call is in it any more, and none will be. */
static void gone(rt_fd *f)
{
	if (f->pd != NULL)
		rt_pd_drop(f->pd);
	if (!rt_fd_empty(f) && !f->watched)
		be_io_close(f->fd, f->kind);
}

static void give_back(rt_fd *f)
{
	delist(f);
	rt_fixalloc_put(&f->rt->net->fds, f);
}

/* Also by who has no P. */
static void leave(rt_fd *f)
{
	if (RT_LIKELY((rt_add32_full(&f->users, (uint32_t)-1) & ~FREED) != (CLOSED | 1)))
		return;
	gone(f);
	if (rt_add32_full(&f->users, GONE) & FREED)
		give_back(f);
}

int rt_fd_close(rt_fd *f)
{
	for (;;) {
		uint32_t was = rt_load32_rlx(&f->users);

		if (was & CLOSED)
			return GORT_ECLOSED;
		/* As a user: the number is this descriptor's until the poller has forgotten it. */
		if (rt_cas32_full(&f->users, was, (was + 1) | CLOSED))
			break;
	}
	if (f->pd != NULL)
		rt_pd_close(f->pd);
	leave(f);
	return 0;
}

/* The handle is gone, and all calls with it, but for those of who will be dropped when they return. */
static void fd_free(rt_fd *f)
{
	(void)rt_fd_close(f);
	if (rt_add32_full(&f->users, FREED) & GONE)
		give_back(f);
}

static void collected(void *arg)
{
	(void)RT_ENTER();
	fd_free(arg);
	rt_leave();
}

rt_fd *rt_fd_make(void *obj)
{
	gort_runtime *rt = rt_self()->rt;
	rt_fd *f = rt_fixalloc_get(&rt->net->fds);

	if (f == NULL)
		return NULL;
	*f = (rt_fd){ .fd = NONE, .rt = rt };
	rt_store32_rlx(&f->run, rt_load32_acq(&rt->runs));
	enlist(f);
	(void)rt_cleanup_add(obj, collected, f);
	return f;
}

bool rt_fd_empty(const rt_fd *f)
{
	return f->fd == NONE;
}

int rt_fd_take(rt_fd *f, intptr_t fd, bool watched, bool must)
{
	int r = rt_io_start(f->rt), kind;
	bool stream = false;
	rt_pd *pd;

	RT_ASSERT(rt_fd_empty(f));
	if (r != 0)
		return r;
	kind = be_io_kind(fd);
	if (kind < 0)
		return rt_io_code(kind);
	r = rt_pd_open(f->rt, fd, f, &pd);
	if (r == GORT_ENOTSUP && !must)
		r = 0;
	if (r == 0 && !watched) {
		stream = pd != NULL && kind == BE_IO_SOCKET && be_io_stream(fd);
		r = be_io_nonblocking(fd, kind, pd != NULL);
		r = r == -ENOTSUP && pd == NULL ? 0 : rt_io_code(r);
	}
	if (r != 0) {
		if (pd != NULL) {
			rt_pd_close(pd);
			rt_pd_drop(pd);
		}
		return r;
	}
	f->kind = kind;
	f->watched = watched;
	f->stream = stream;
	f->pd = pd;
	f->fd = fd;
	return 0;
}

/* ---- Calls ----------------------------------------------------------------------------------------- */

intptr_t rt_fd_call(rt_fd *f, rt_fd_op op, void *arg)
{
	intptr_t r;

	if (!enter(f))
		return GORT_ECLOSED;
	r = op(f->fd, f->kind, arg);
	leave(f);
	return r < 0 ? rt_io_code(r) : r;
}

/* On a thread: the P goes to others meanwhile. An empty one gets what op returns. */
static intptr_t blocking(rt_fd *f, rt_fd_op op, void *arg)
{
	intptr_t r;

	if (!enter(f))
		return GORT_ECLOSED;
	rt_leave();
	gort_entersyscall();
	r = op(f->fd, f->kind, arg);
	if (rt_fd_empty(f) && r >= 0)
		f->fd = r;
	leave(f);
	gort_exitsyscall(); /* does not return if the caller was dropped */
	(void)RT_ENTER();
	return r < 0 ? rt_io_code(r) : r;
}

int rt_fd_open(rt_fd *f, rt_fd_op op, void *arg)
{
	intptr_t fd = blocking(f, op, arg);
	int r;

	if (fd < 0)
		return (int)fd;
	f->fd = NONE; /* until it is taken nothing parks */
	r = rt_fd_take(f, fd, false, false);
	if (r != 0)
		be_io_close(fd, BE_IO_FILE);
	return r;
}

/* Those who had a turn when an earlier run ended will not give it back. */
static void forget_turns(rt_fd *f, uint32_t run)
{
	struct rt_net *net = f->rt->net;

	rt_lock(&net->lock, RT_RANK_net);
	if (rt_load32_rlx(&f->run) != run) {
		for (int d = 0; d < 2; d++)
			f->turn[d] = (gort_mutex){0};
		rt_store32_rel(&f->run, run);
	}
	rt_unlock(&net->lock, RT_RANK_net);
}

/* *run: in which it was taken. */
static int take_turn(rt_fd *f, int d, int64_t deadline, uint32_t *run)
{
	*run = rt_load32_acq(&f->rt->runs);
	if (RT_UNLIKELY(rt_load32_acq(&f->run) != *run))
		forget_turns(f, *run);
	if (rt_gomutex_trylock(&f->turn[d]))
		return 0;
	return rt_gomutex_lock(&f->turn[d], deadline);
}

/* The run may have ended under an attached thread: then there is nothing to give back. */
static void give_turn(rt_fd *f, int d, uint32_t run)
{
	if (rt_load32_acq(&f->rt->runs) == run)
		(void)rt_gomutex_unlock(&f->turn[d]);
}

/* The last read has taken all there was, and no event came since: a try would be in vain. Only who may wait: others try
 * in any case. */
static bool in_vain(rt_fd *f, int64_t deadline)
{
	return f->drained && rt_pd_quiet(f->pd, RT_FD_READ) && rt_wait_refused(rt_self()->curg, deadline) == 0;
}

static intptr_t try_and_wait(rt_fd *f, int d, rt_fd_op op, void *arg, size_t asked, int64_t deadline)
{
	bool skip = asked > 0 && in_vain(f, deadline);

	for (;; skip = false) {
		intptr_t r = -EAGAIN;

		if (!enter(f))
			return GORT_ECLOSED;
		if (!skip) {
			rt_pd_reset(f->pd, d);
			r = op(f->fd, f->kind, arg);
		}
		if (r != -EAGAIN) {
			leave(f);
			if (d == RT_FD_READ) /* a read of nothing has forgotten what was told, too */
				f->drained = f->stream && r > 0 && (size_t)r < asked;
			return r < 0 ? rt_io_code(r) : r;
		}
		rt_pd_hold(f->pd);
		leave(f);
		r = rt_pd_wait(f->pd, 1u << d, deadline);
		if (r < 0)
			return r;
	}
}

intptr_t rt_fd_do(rt_fd *f, int d, rt_fd_op op, void *arg, size_t asked, int64_t deadline)
{
	uint32_t run;
	intptr_t r;

	if (f->pd == NULL && deadline != RT_UNTIMED && deadline != GORT_FOREVER)
		return GORT_ENOTSUP;
	r = take_turn(f, d, deadline, &run);
	if (r != 0)
		return r;
	r = f->pd == NULL ? blocking(f, op, arg) : try_and_wait(f, d, op, arg, asked, deadline);
	give_turn(f, d, run);
	return r;
}

int rt_fd_wait(rt_fd *f, unsigned what, int64_t deadline)
{
	for (;;) {
		int r;

		if (!enter(f))
			return GORT_ECLOSED;
		for (int d = 0; d < 2; d++)
			if (what >> d & 1)
				rt_pd_reset(f->pd, d);
		r = be_io_ready(f->fd, f->kind, what);
		if (r != 0) {
			leave(f);
			return r < 0 ? rt_io_code(r) : r;
		}
		rt_pd_hold(f->pd);
		leave(f);
		r = rt_pd_wait(f->pd, what, deadline);
		if (r < 0)
			return r;
	}
}
