/* netpoll.c: goroutines that wait for descriptors.
 *
 * A record (rt_pd) for each descriptor has a word for each direction, reading and writing:
 *
 *   NIL       nobody waits, and no event came that nobody has used
 *   READY     one came
 *   RESERVED  somebody is about to wait, and writes into the record who it is. READY or CLOSED beside it: that came
 *             meanwhile, and is left behind by who has reserved the word, and so is alone in writing there
 *   a wait    so it has: whether its wait is timed, which of the goroutine's waits it is, and which of the record's
 *   CLOSED    for good, until the record has another descriptor
 *
 *            commit, on g0                          event                        close
 *     NIL ------> RESERVED ------> a wait ------------------------> READY     any -----> CLOSED
 *      ^              |               |                               |
 *      |              +--------- event, before it is there ---------->+
 *      +------------- deadline, cancel ---------- reset, used up -----+
 *
 * Each step is a compare-and-swap. Who takes an untimed wait out of the word makes its goroutine runnable: nobody else
 * can. It reads who that is before it takes: the count of the record's waits says that nobody else has begun to wait
 * meanwhile. Of a timed one it has won no more than the right to try: timer and canceller compete, too, by gp->claim
 * (wait.c), and the number of the goroutine's wait keeps it from claiming another, later one. So no lock is held by who
 * brings an event, which may be a thread without a P, under sched.lock; and an event that comes between a read that
 * would have blocked and the wait for it is found as READY. tests/model/netpoll.pml.
 *
 * A goroutine that reads forgets READY before it tries (rt_pd_reset: full, so that no event after the try is lost by
 * it), or each message would be waited for twice.
 *
 * Records are never given back while the runtime lives, and an event carries the record's index with the number of its
 * life: one that comes late for a descriptor that is closed finds another number. Should it come in the very moment in
 * between, somebody is made to try once in vain.
 *
 * Who polls (spec/01 6): a P that found nothing to run looks, before it steals; the one M that waits for timers waits
 * for descriptors as well (poll_wait, proc.c); sysmon looks when nobody did for 10 ms, and sees to it that somebody
 * waits while Ps are idle. An M that comes out of its wait takes an idle P and runs what is ready, the first at once:
 * Go wakes another thread to search meanwhile, which then waits in its place, so that a single connection has two
 * threads woken for each message. Here that is left to sysmon as well (KEPT_LOOK), unless more than one is ready or a
 * timer is near. Without an idle P what is ready goes to the global queue; while the world is stopped events wait for
 * its start.
 *
 * Crowds. A server that shares its machine with those that ask it has no use for a second thread while no CPU is free:
 * the two take the CPU from each other and from the askers, who then ask in small parts, so that threads go to sleep
 * and are woken for a few requests each, and who is off its CPU keeps goroutines waiting that another could have run.
 * So sysmon finds out whether there is room for one thread more, and whether one that is there all the same is of use
 * (crowd.h), and while it is not, a batch of events wakes nobody: its poller runs the handlers and polls again. The
 * promise is kept by that P, as for a runnext that is kept (proc.c): what it leaves for a system call or a slice is
 * looked through by who takes it. Handlers that compute for long, and events that nobody has asked for, are sysmon's
 * after CROWD_PATIENCE.
 *
 * Rejected: a lock in each record (who has no P would have to take it under sched.lock, and who waits arms its timer
 * under it: the order would be wrong either way).
 */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"

#include <errno.h>

/* Of a word: a state, above it the number of the goroutine's wait, above that the record's count of waits. */
enum { NIL = 0, READY = 1, CLOSED = 2, RESERVED = 4, UNTIMED = 8, TIMED = 16, WAITS = UNTIMED | TIMED, NUMBER = 32 };
#define LAST (UINT32_C(1) << 31) /* rt_pd.users: it was dropped, and who leaves last gives the record away */
enum { FIRST = 64 /* records of the first chunk; each has twice as many as the one before */ };
/* Of a batch: events between that which is worked at, whose goroutine is asked for, whose record is. */
enum { AHEAD = 8 };
enum { BELOW = 2, ABOVE = 8 }; /* cache lines around the record of a wait */

/* ---- Records --------------------------------------------------------------------------------------- */

static uint32_t chunk_of(uint32_t index, uint32_t *at)
{
	uint32_t k = 31 - (uint32_t)__builtin_clz(index / FIRST + 1);

	*at = index - FIRST * ((UINT32_C(1) << k) - 1);
	return k;
}

static rt_pd *record(rt_sched *sc, uint32_t index)
{
	uint32_t at, k = chunk_of(index, &at);
	rt_pd *chunk = k < RT_NELEM(sc->pds.chunk) ? rt_loadptr_acq(&sc->pds.chunk[k]) : NULL;

	return chunk != NULL ? &chunk[at] : NULL;
}

static size_t chunk_bytes(uint32_t k)
{
	return ((size_t)FIRST << k) * sizeof(rt_pd);
}

/* With the lock. NULL: no memory. */
static rt_pd *take_record_locked(rt_sched *sc)
{
	rt_pd *pd = sc->pds.free;
	uint32_t at, k = chunk_of(sc->pds.used, &at);

	if (pd != NULL) {
		sc->pds.free = pd->link;
		return pd;
	}
	if (k >= RT_NELEM(sc->pds.chunk))
		return NULL;
	if (rt_loadptr_rlx(&sc->pds.chunk[k]) == NULL) {
		size_t bytes = chunk_bytes(k);
		void *p = rt_pages_new(&bytes);

		if (p == NULL)
			return NULL;
		rt_storeptr_rel(&sc->pds.chunk[k], p);
	}
	pd = record(sc, sc->pds.used);
	pd->index = sc->pds.used++;
	return pd;
}

void rt_pds_fini(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	for (uint32_t k = 0; k < RT_NELEM(sc->pds.chunk); k++) {
		size_t bytes = chunk_bytes(k), unit = be_arena_query()->granularity;

		rt_pages_free(rt_loadptr_rlx(&sc->pds.chunk[k]), (bytes + unit - 1) / unit * unit);
		rt_storeptr_rlx(&sc->pds.chunk[k], NULL);
	}
}

static void put_record(rt_pd *pd)
{
	rt_sched *sc = &pd->rt->sched;

	rt_lock(&sc->pds.lock, RT_RANK_polltable);
	pd->link = sc->pds.free;
	sc->pds.free = pd;
	rt_unlock(&sc->pds.lock, RT_RANK_polltable);
}

/* -errno as a code */
static int code_of(int r)
{
	return r == -ENOMEM ? GORT_ENOMEM : r == -EPERM || r == -ENOTSUP ? GORT_ENOTSUP : GORT_EOS + r;
}

int rt_pd_open(gort_runtime *rt, intptr_t fd, void *owner, rt_pd **out)
{
	rt_sched *sc = &rt->sched;
	rt_pd *pd = NULL;
	int r = 0;

	*out = NULL;
	rt_lock(&sc->pds.lock, RT_RANK_polltable);
	if (rt_load32_rlx(&sc->poll.started) == 0)
		r = be_netpoll_start(&sc->poll);
	if (r == 0) {
		pd = take_record_locked(sc);
		r = pd != NULL ? 0 : -ENOMEM;
	}
	rt_unlock(&sc->pds.lock, RT_RANK_polltable);
	if (r != 0)
		return code_of(r);
	rt_store32_rlx(&pd->life, rt_load32_rlx(&pd->life) + 1);
	rt_store32_rlx(&pd->users, 0);
	rt_store32_rlx(&pd->ends, 0);
	for (int d = 0; d < RT_DIRECTIONS; d++)
		rt_store64_rlx(&pd->word[d], NIL);
	rt_storeptr_rlx(&pd->owner, owner);
	pd->rt = rt;
	pd->be.fd = fd;
	pd->be.tag = (uint64_t)rt_load32_rlx(&pd->life) << 32 | pd->index;
	r = be_netpoll_open(&sc->poll, &pd->be);
	if (r != 0) {
		put_record(pd);
		return code_of(r);
	}
	*out = pd;
	return 0;
}

/* ---- Events and closing ---------------------------------------------------------------------------- */

/* Takes out what is there, and leaves `to` (READY or CLOSED). The goroutine to be made runnable, or NULL. */
static rt_g *take(rt_pd *pd, int d, uint64_t to)
{
	for (;;) {
		uint64_t was = rt_load64_acq(&pd->word[d]);
		rt_g *gp = rt_loadptr_acq(&pd->who[d]);

		if ((was & CLOSED) || (was & READY) >= to)
			return NULL;
		if (!rt_cas64_full(&pd->word[d], was, was & RESERVED ? (was & ~(uint64_t)READY) | to : to))
			continue;
		if (!(was & WAITS))
			return NULL;
		if (was & UNTIMED)
			return gp;
		return rt_g_claim_wait(gp, (uint32_t)was / NUMBER) ? gp : NULL;
	}
}

void rt_pd_close(rt_pd *pd)
{
	for (int d = 0; d < RT_DIRECTIONS; d++) {
		rt_g *gp = take(pd, d, CLOSED);

		if (gp != NULL)
			rt_goready(gp);
	}
	be_netpoll_close(&pd->rt->sched.poll, &pd->be);
}

/* Apart from the close: who is about to hold it may still be at its try then. tests/model/fdlife.pml. */
void rt_pd_drop(rt_pd *pd)
{
	if (rt_add32_full(&pd->users, LAST) == 0)
		put_record(pd);
}

void rt_pd_hold(rt_pd *pd)
{
	rt_add32_full(&pd->users, 1);
}

static void unhold(rt_pd *pd)
{
	if (rt_add32_full(&pd->users, (uint32_t)-1) == (LAST | 1))
		put_record(pd);
}

/* ---- Waiting --------------------------------------------------------------------------------------- */

void rt_pd_reset(rt_pd *pd, int d)
{
	if (rt_load64_rlx(&pd->word[d]) == READY)
		(void)rt_cas64_full(&pd->word[d], READY, NIL);
}

bool rt_pd_quiet(const rt_pd *pd, int d)
{
	return rt_load64_acq(&pd->word[d]) == NIL && rt_load32_rlx(&pd->ends) == 0;
}

typedef struct wait {
	rt_waiter w; /* first; w.on is the record */
	unsigned what;
	uint64_t word[RT_DIRECTIONS]; /* ours in the record's, or 0 */
	bool busy;   /* somebody else waits */
} wait;

static void take_back(rt_pd *pd, const wait *x)
{
	for (int d = 0; d < RT_DIRECTIONS; d++)
		if (x->word[d] != 0)
			(void)rt_cas64_full(&pd->word[d], x->word[d], NIL);
}

/* False: an event came, it is closed, or somebody waits. Once an untimed wait is there its frame may be gone. */
static bool publish(rt_pd *pd, int d, rt_g *gp, wait *x)
{
	uint64_t kind = x->w.timed ? rt_g_wait_number(gp) * (uint64_t)NUMBER | TIMED : UNTIMED, count, was;

	do {
		was = rt_load64_rlx(&pd->word[d]);
		if (was != NIL) {
			x->busy = (was & (WAITS | RESERVED)) != 0;
			return false;
		}
		/* By an add, before the word is reserved: a number that was read there may be another's by then. */
		count = (uint64_t)(rt_add32_full(&pd->count[d], 1) + 1) << 32;
	} while (!rt_cas64_full(&pd->word[d], NIL, count | RESERVED));
	rt_storeptr_rel(&pd->who[d], gp);
	x->word[d] = count | kind;
	while (!rt_cas64_full(&pd->word[d], count | RESERVED, count | kind)) {
		was = rt_load64_rlx(&pd->word[d]); /* it says more */
		if ((was & (READY | CLOSED)) && rt_cas64_full(&pd->word[d], was, was & (READY | CLOSED)))
			return false;
	}
	return true;
}

/* On g0, the goroutine is WAITING. A timed wait, whoever takes it out of the word before it is open, leaves to
 * rt_waiter_open_unlocked. */
static bool commit(rt_g *gp, void *arg)
{
	wait *x = arg;
	rt_pd *pd = (rt_pd *)x->w.on;
	unsigned what = x->what;
	bool timed = x->w.timed;

	for (int d = 0; d < RT_DIRECTIONS; d++) {
		if (!(what >> d & 1) || publish(pd, d, gp, x))
			continue;
		if (timed) { /* nobody has more than tried to claim it */
			take_back(pd, x);
			rt_claim_reset(gp);
		}
		return false;
	}
	if (timed)
		rt_waiter_open_unlocked(&x->w);
	return true;
}

/* The end of a run, world stopped. */
static void unlink_wait(rt_waiter *w)
{
	wait *x = RT_CONTAINER_OF(w, wait, w);
	rt_pd *pd = (rt_pd *)w->on;

	take_back(pd, x);
	rt_add32_full(&pd->rt->sched.pollwaiters, (uint32_t)-1);
	w->on = NULL;
	unhold(pd);
}

/* Those of `what` that are ready; they are not any more. */
static int use_up(rt_pd *pd, unsigned what)
{
	int got = 0;

	for (int d = 0; d < RT_DIRECTIONS; d++)
		if ((what >> d & 1) && rt_load64_acq(&pd->word[d]) == READY &&
		    rt_cas64_full(&pd->word[d], READY, NIL))
			got |= 1 << d;
	return got;
}

/* *gone: a run has ended meanwhile, and the caller, an attached thread, does not hold pd any more. */
static int wait_for(rt_pd *pd, unsigned what, int64_t deadline, bool *gone)
{
	rt_m *mp = rt_self();
	gort_runtime *rt = mp->rt;
	rt_g *gp = mp->curg;
	wait x = { .w.on = pd, .w.unlink = unlink_wait, .what = what };
	int r = use_up(pd, what), got;

	if (r != 0)
		return r;
	r = rt_wait_refused(gp, deadline);
	if (r != 0)
		return r;
	/* One of two directions is claimed as one of several wakers is. */
	rt_waiter_begin(gp, &x.w, (what & (what - 1)) != 0 && deadline == RT_UNTIMED ? GORT_FOREVER : deadline);
	x.w.cancelable = deadline != RT_UNTIMED;
	r = be_netpoll_arm(&rt->sched.poll, &pd->be, what);
	if (r != 0) {
		rt_claim_reset(gp);
		gp->waiting = NULL;
		return code_of(r);
	}
	rt_add32_full(&rt->sched.pollwaiters, 1);
	rt_gopark(commit, &x, RT_WAIT_IO, pd);
	r = rt_waiter_end(gp, &x.w);
	*gone = x.w.on == NULL; /* unlink_wait */
	if (*gone)
		return GORT_ECANCELED;
	rt_add32_full(&rt->sched.pollwaiters, (uint32_t)-1);
	take_back(pd, &x);
	if (x.busy)
		return GORT_EBUSY;
	if (rt_load64_acq(&pd->word[0]) == CLOSED)
		return GORT_ECLOSED;
	got = use_up(pd, what);
	if (got != 0)
		return got;
	/* It was woken, and somebody else has used up what came; or its timer had no memory, and came early. */
	return r == GORT_ETIMEDOUT && rt_wait_refused(gp, deadline) == 0 ? (int)what : r;
}

int rt_pd_wait(rt_pd *pd, unsigned what, int64_t deadline)
{
	bool gone = false;
	int r = wait_for(pd, what, deadline, &gone);

	if (!gone)
		unhold(pd);
	return r;
}

/* ---- Polling --------------------------------------------------------------------------------------- */

/* The goroutines that the events make runnable; the caller makes them so. */
static rt_g *won(gort_runtime *rt, const be_pollevent *e, rt_g **second)
{
	rt_pd *pd = record(&rt->sched, (uint32_t)e->tag);
	rt_g *first = NULL;

	*second = NULL;
	if (pd == NULL || rt_load32_acq(&pd->life) != (uint32_t)(e->tag >> 32))
		return NULL;
	if (e->what & BE_POLL_ENDS) {
		rt_store32_rlx(&pd->ends, 1);
		/* Pairs with the swap of who takes away a READY that is there already: that one sees `ends`. */
		rt_fence_full();
	}
	if (e->what & BE_POLL_READ)
		first = take(pd, 0, READY);
	if (e->what & BE_POLL_WRITE)
		*second = take(pd, 1, READY);
	return first;
}

/* What the handlers of a batch touch is in nobody's cache when there are many connections, and each piece names the
 * next: record, goroutine, frames. So a batch is looked at further on than it is worked at. What is read there may be
 * of another life of the record, or of another wait: it is only asked for. */
static void ask_ahead(gort_runtime *rt, const be_pollevent *events, int n, int i)
{
	if (i + 2 * AHEAD < n)
		RT_PREFETCH_W(record(&rt->sched, (uint32_t)events[i + 2 * AHEAD].tag));
	if (i + AHEAD < n) {
		const rt_pd *pd = record(&rt->sched, (uint32_t)events[i + AHEAD].tag);

		if (pd == NULL)
			return;
		rt_g_prefetch(rt_loadptr_rlx(&pd->who[events[i + AHEAD].what & BE_POLL_READ ? 0 : 1]));
		RT_PREFETCH_W(rt_loadptr_rlx(&pd->owner));
	}
}

/* The frames that it comes back through, which lie around the record of its wait, and its saved state. */
static void ask_frames(const rt_g *gp)
{
	uintptr_t at = (uintptr_t)gp->waiting;

	RT_PREFETCH_W(gp->ctx);
	for (int line = -BELOW; line < ABOVE; line++)
		RT_PREFETCH_W((const void *)(at + (uintptr_t)(line * RT_CACHELINE)));
}

/* The first is what mp runs next itself, in a new slice; the others follow in its ring. True: that one. */
static bool ready_here(rt_m *mp, rt_g *gp)
{
	ask_frames(gp);
	rt_count64_owner(&mp->p->readied, 1);
	RT_TRACE(mp, SCHED, GO_UNBLOCK, gp, gp->goid, 0, 0);
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
	if (mp->nextg != NULL) {
		(void)rt_runq_put(mp->p, gp, false, mp->rt);
		return false;
	}
	mp->nextg = gp;
	mp->chosen = true;
	return true;
}

/* Who asks for descriptors runs the handlers of all that it was told of, one after the other, before it asks again.
 * Another thread is called for help unless the machine has no CPU for it: see "Crowds" in the head. */
int rt_poll_ready(rt_m *mp, const be_pollevent *events, int n)
{
	gort_runtime *rt = mp->rt;
	int woken = 0;
	bool others = false;

	for (int i = 0; i < n; i++) {
		rt_g *second, *first;

		ask_ahead(rt, events, n, i);
		first = won(rt, &events[i], &second);
		if (first != NULL) {
			woken++;
			others |= !ready_here(mp, first);
		}
		if (second != NULL) {
			woken++;
			others |= !ready_here(mp, second);
		}
	}
	rt_count64_owner(&mp->p->polled, (uint64_t)woken);
	if (woken > 0)
		RT_TRACE(mp, TIMER, POLL, NULL, woken, 0, 0);
	if (others && (!rt_load32_rlx(&rt->sched.crowded) || rt_load32_rlx(&rt->gcmark) != 0))
		rt_wakep(rt);
	return woken;
}

int rt_poll_now(rt_m *mp)
{
	rt_sched *sc = &mp->rt->sched;
	be_pollevent events[RT_POLLEVENTS];

	rt_store64_rlx(&sc->lastpoll, (uint64_t)be_nanotime());
	return rt_poll_ready(mp, events, be_netpoll_wait(&sc->poll, events, RT_POLLEVENTS, 0));
}

static void to_all_locked(gort_runtime *rt, rt_g *gp)
{
	if (gp == NULL)
		return;
	RT_TRACE_OUTSIDE(rt, SCHED, GO_UNBLOCK, gp, gp->goid, 0, 0);
	rt_runnable(gp);
	rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
	rt_globq_put_locked(rt, gp);
}

static void ready_locked(gort_runtime *rt, const be_pollevent *events, int n)
{
	for (int i = 0; i < n; i++) {
		rt_g *second, *first = won(rt, &events[i], &second);

		to_all_locked(rt, first);
		to_all_locked(rt, second);
	}
}

/* What it holds stays WAITING meanwhile, and may be dropped: then the words do not name it any more. */
static bool world_runs_locked(gort_runtime *rt, const rt_m *mp)
{
	rt_sched *sc = &rt->sched;
	uint32_t seen;

	while (rt_load32_rlx(&sc->gcwaiting)) {
		seen = rt_load32_acq(&sc->lateword); /* before what may have come true */
		if (rt_load32_acq(mp != NULL ? &mp->exiting : &sc->ending))
			return false;
		sc->nlate++;
		rt_unlock(&sc->lock, RT_RANK_sched);
		(void)be_thread_park(&sc->lateword, seen, -1);
		rt_lock(&sc->lock, RT_RANK_sched);
		sc->nlate--;
	}
	return true;
}

void rt_poll_outside(gort_runtime *rt, const rt_m *mp, const be_pollevent *events, int n)
{
	rt_sched *sc = &rt->sched;

	if (n == 0)
		return;
	rt_lock(&sc->lock, RT_RANK_sched);
	if (world_runs_locked(rt, mp))
		ready_locked(rt, events, n);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_wakep(rt);
}

void rt_poll_late(gort_runtime *rt)
{
	rt_add32_full(&rt->sched.lateword, 1);
	be_thread_wake(&rt->sched.lateword, INT32_MAX);
}
