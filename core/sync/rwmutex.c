/* rwmutex.c: sync.RWMutex.
 *
 * Writers first take `writers`, so at most one of them meets the readers. state: WRITER, a writer
 * has the lock or waits for it; below it the number of readers. WRITER without readers is the
 * writer's lock.
 *
 *   rlock    one reader more. If WRITER is set, one less again, as runlock, and wait at `state`.
 *   runlock  one reader less; the last one under WRITER wakes the writer at `writer_at`.
 *   lock     set WRITER; wait until no reader is left.
 *   unlock   clear WRITER, let in the readers that wait, then release `writers`: so they are
 *            in before the next writer.
 *
 * A reader that waits is in no number: who lets it in counts it. So one that gives up only leaves
 * the queue, and a writer that gives up clears WRITER and lets in the readers as if it unlocked. In
 * between a newcomer is counted for a moment although it has no lock; to others it is a reader that soon
 * leaves. Go counts waiting readers in advance and for good; then, when one of them gives up, nobody can
 * tell whether it has been let in already.
 *
 * Nobody waits in vain: reader and writer announce themselves in the bucket, fence and look at state
 * again (rt_sema_begin); who changes state fences and reads nwait, or takes the bucket's lock. The
 * last reader looks at state under that lock only if the writer waits there: otherwise m may be gone.
 */
#include "core/sync/mutex.h"

#include "core/sched/sched_inline.h"
#include "core/sync/sema.h"

#define WRITER (UINT32_C(1) << 31)

typedef struct rwmutex {
	gort_mutex writers;
	rt_atomic32 state;     /* the address is readers_at */
	rt_atomic32 writer_at; /* only an address */
	uint32_t unused[2];
} rwmutex;

_Static_assert(sizeof(rwmutex) == sizeof(gort_rwmutex), "the public size is for ever");
_Static_assert(offsetof(rwmutex, state) == RT_READERS_IN_RWMUTEX, "what reports show");
_Static_assert(offsetof(rwmutex, writer_at) == RT_WRITER_IN_RWMUTEX, "what reports show");

/* ---- Readers -------------------------------------------------------------------------------- */

static bool tryrlock(rwmutex *m)
{
	uint32_t s;

	while (!((s = rt_load32_rlx(&m->state)) & WRITER))
		if (RT_LIKELY(rt_cas32_acq(&m->state, s, s + 1)))
			return true;
	return false;
}

static RT_NOINLINE int rlock_slow(rwmutex *m, int64_t deadline)
{
	rt_semaroot *r = rt_semaroot_of(&m->state);
	rt_g *gp = rt_curg();
	rt_waiter w;

	do {
		int err = rt_wait_refused(gp, deadline);

		if (err != 0)
			return err;
		rt_sema_begin(r);
		if (rt_load32_rlx(&m->state) & WRITER) {
			rt_sema_park(r, &w, &m->state, false, deadline, RT_WAIT_RWMUTEX_RLOCK);
			if (!w.success) {
				rt_plock(&r->lock, RT_RANK_semaroot);
				(void)rt_sema_leave(r, &w);
				rt_punlock(&r->lock, RT_RANK_semaroot);
			}
			return rt_waiter_end(gp, &w);
		}
		rt_sema_end(r);
	} while (!tryrlock(m));
	return 0;
}

/* The last reader is gone, and a writer waits or will look at state. */
static RT_NOINLINE void wake_writer(rwmutex *m)
{
	rt_semaroot *r = rt_semaroot_of(&m->writer_at);
	rt_waiter *w = NULL;
	rt_g *gp = NULL;

	rt_plock(&r->lock, RT_RANK_semaroot);
	/* The writer that waits may be a later one, with readers before it. */
	if (rt_sema_waiting(r, &m->writer_at) && rt_load32_acq(&m->state) == WRITER)
		w = rt_sema_dequeue(r, &m->writer_at);
	if (w != NULL) {
		w->success = true;
		gp = w->g;
	}
	rt_punlock(&r->lock, RT_RANK_semaroot);
	if (gp != NULL)
		rt_goready(gp);
}

/* One reader less; the state before. */
static inline uint32_t uncount(rwmutex *m)
{
	uint32_t was = rt_add32_full(&m->state, (uint32_t)-1);

	if (RT_UNLIKELY(was == (WRITER | 1)))
		wake_writer(m);
	return was;
}

static inline int rlock(rwmutex *m, int64_t deadline)
{
	if (RT_LIKELY(!(rt_add32_full(&m->state, 1) & WRITER)))
		return 0;
	(void)uncount(m);
	return rlock_slow(m, deadline);
}

/* False: no reader had it. No look before the leap: on a line that others write it would cost as much
 * as the leap, and after a fatal error nobody minds what the state is. */
static inline bool runlock(rwmutex *m)
{
	if (RT_UNLIKELY(rt_g_released(rt_curg())) && (rt_load32_rlx(&m->state) & ~WRITER) == 0)
		return true; /* its lock was granted, not taken */
	return (uncount(m) & ~WRITER) != 0;
}

/* ---- Writers -------------------------------------------------------------------------------- */

/* WRITER has been cleared: those who wait are readers now. */
static void let_in(rwmutex *m)
{
	rt_semaroot *r = rt_semaroot_of(&m->state);
	rt_waiter *all = NULL, **tail = &all, *w;

	rt_fence_after_rmw(); /* pairs with the fence in rt_sema_begin */
	if (rt_load32_rlx(&r->nwait) == 0)
		return;
	rt_plock(&r->lock, RT_RANK_semaroot);
	while ((w = rt_sema_dequeue(r, &m->state)) != NULL) {
		rt_add32_full(&m->state, 1);
		w->success = true;
		w->link = NULL;
		*tail = w;
		tail = &w->link;
	}
	rt_punlock(&r->lock, RT_RANK_semaroot);
	while ((w = all) != NULL) { /* w is gone as soon as its goroutine runs */
		all = w->link;
		rt_goready(w->g);
	}
}

/* Takes WRITER away; the readers' number is left. False: there was none. */
static bool clear_writer(rwmutex *m)
{
	uint32_t s;

	do {
		s = rt_load32_rlx(&m->state);
		if (!(s & WRITER))
			return false;
	} while (!rt_cas32_full(&m->state, s, s & ~WRITER));
	return true;
}

static void leave(rwmutex *m)
{
	let_in(m);
	(void)rt_gomutex_unlock(&m->writers);
}

/* WRITER is set: waits for the readers before it to go. */
static int await_readers(rwmutex *m, int64_t deadline)
{
	rt_semaroot *r = rt_semaroot_of(&m->writer_at);
	rt_g *gp = rt_curg();
	rt_waiter w;
	int err = rt_wait_refused(gp, deadline);

	if (err != 0)
		return err;
	rt_sema_begin(r);
	if (rt_load32_acq(&m->state) == WRITER) {
		rt_sema_end(r);
		return 0;
	}
	rt_sema_park(r, &w, &m->writer_at, false, deadline, RT_WAIT_RWMUTEX_LOCK);
	if (!w.success) {
		rt_plock(&r->lock, RT_RANK_semaroot);
		(void)rt_sema_leave(r, &w);
		rt_punlock(&r->lock, RT_RANK_semaroot);
	}
	return rt_waiter_end(gp, &w);
}

static RT_NOINLINE int lock_slow(rwmutex *m, int64_t deadline)
{
	uint32_t s;
	int err;

	do
		s = rt_load32_rlx(&m->state);
	while (!rt_cas32_full(&m->state, s, s | WRITER));
	if (s == 0)
		return 0;
	err = await_readers(m, deadline);
	if (err == 0 || rt_load32_acq(&m->state) == WRITER) /* the last reader went meanwhile */
		return 0;
	(void)clear_writer(m);
	leave(m);
	return err;
}

static int lock(rwmutex *m, int64_t deadline)
{
	int err = rt_gomutex_lock(&m->writers, deadline);

	if (err != 0)
		return err;
	return RT_LIKELY(rt_cas32_acq(&m->state, 0, WRITER)) ? 0
	                                                                  : lock_slow(m, deadline);
}

static bool trylock(rwmutex *m)
{
	if (!rt_gomutex_trylock(&m->writers))
		return false;
	if (rt_cas32_acq(&m->state, 0, WRITER))
		return true;
	(void)rt_gomutex_unlock(&m->writers);
	return false;
}

/* False: no writer has it. */
static bool unlock(rwmutex *m)
{
	if (!clear_writer(m))
		return rt_g_released(rt_curg());
	leave(m);
	return true;
}

/* ---- Public --------------------------------------------------------------------------------- */

GORT_API void gort_rwmutex_lock(gort_rwmutex *m)
{
	(void)RT_ENTER();
	if (lock((rwmutex *)m, RT_UNTIMED) == 0)
		rt_note_lock(m, 0);
	rt_leave();
}

GORT_API int gort_rwmutex_lock_until(gort_rwmutex *m, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = lock((rwmutex *)m, rt_deadline(deadline));
	if (r == 0)
		rt_note_lock(m, 0);
	rt_leave();
	return r;
}

GORT_API bool gort_rwmutex_try_lock(gort_rwmutex *m)
{
	bool done;

	(void)RT_ENTER();
	done = trylock((rwmutex *)m);
	if (done)
		rt_note_lock(m, 0);
	rt_leave();
	return done;
}

GORT_API void gort_rwmutex_unlock(gort_rwmutex *m)
{
	(void)RT_ENTER();
	rt_note_unlock(m, 0);
	if (RT_UNLIKELY(!unlock((rwmutex *)m)))
		rt_fatal("sync: Unlock of unlocked RWMutex");
	rt_leave();
}

static RT_NOINLINE void rlock_long(rwmutex *m, bool counted)
{
	(void)rt_enter("gort_rwmutex_rlock");
	if (counted)
		(void)uncount(m);
	if (rlock_slow(m, RT_UNTIMED) == 0)
		rt_note_lock(m, 1);
	rt_leave();
}

GORT_API void gort_rwmutex_rlock(gort_rwmutex *pub)
{
	rwmutex *m = (rwmutex *)pub;
	bool counted = rt_in_passing(rt_self());

	if (RT_LIKELY(counted) && RT_LIKELY(!(rt_add32_full(&m->state, 1) & WRITER)))
		return;
	rlock_long(m, counted);
}

GORT_API int gort_rwmutex_rlock_until(gort_rwmutex *m, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = rlock((rwmutex *)m, rt_deadline(deadline));
	if (r == 0)
		rt_note_lock(m, 1);
	rt_leave();
	return r;
}

GORT_API bool gort_rwmutex_try_rlock(gort_rwmutex *m)
{
	bool done;

	(void)RT_ENTER();
	done = tryrlock((rwmutex *)m);
	if (done)
		rt_note_lock(m, 1);
	rt_leave();
	return done;
}

static RT_NOINLINE void runlock_long(rwmutex *m)
{
	(void)rt_enter("gort_rwmutex_runlock");
	rt_note_unlock(m, 1);
	if (RT_UNLIKELY(!runlock(m)))
		rt_fatal("sync: RUnlock of unlocked RWMutex");
	rt_leave();
}

/* The count before was `was`. */
static RT_NOINLINE void runlock_last(rwmutex *m, uint32_t was)
{
	(void)rt_enter("gort_rwmutex_runlock");
	if ((was & ~WRITER) == 0)
		rt_fatal("sync: RUnlock of unlocked RWMutex");
	if (was == (WRITER | 1))
		wake_writer(m);
	rt_leave();
}

GORT_API void gort_rwmutex_runlock(gort_rwmutex *pub)
{
	rwmutex *m = (rwmutex *)pub;
	const rt_m *mp = rt_self();
	uint32_t was;

	if (RT_UNLIKELY(!rt_in_passing(mp) || mp->curg->attached)) {
		runlock_long(m);
		return;
	}
	was = rt_add32_full(&m->state, (uint32_t)-1);
	if (RT_UNLIKELY((was & ~WRITER) == 0 || was == (WRITER | 1)))
		runlock_last(m, was);
}
