/* sema.c: see sema.h.
 *
 * The first waiters of the addresses of a bucket form a treap (Seidel and Aragon, 1996): a search tree by
 * address and a heap by a random priority, which keeps it balanced. It is changed by splitting
 * and merging instead of rotating. The other waiters of an address hang in a circle on its first.
 *
 * A token is handed over under the bucket's lock, or lies at the address. Who finds one there and nobody
 * waiting in the bucket takes it without the lock, and who gives one and finds nobody waiting in the
 * bucket leaves it without the lock. Between two who do not see each other stands Dekker's pattern: the
 * waiter counts itself in nwait, fences and looks for a token; the giver leaves the token, fences and reads
 * nwait. A giver that sees a waiter then takes the token back, if it is still there, and hands it
 * over. It touches the address only after it has found a waiter for it: when it has left the token, the
 * semaphore is not its own any more.
 *
 * First come, first served: who comes while somebody waits in the bucket goes through the lock and behind
 * them. A token that lies there for a moment though somebody waits (see above) can only be taken by one who
 * looked at nwait before that somebody came.
 *
 * Rejected: Go's way, in which a token is at the address for a moment whenever one is given, and a
 * newcomer may take it from under the eyes of those who wait; a list of addresses (with a goroutine for each
 * of 100,000 addresses there are 400 in a bucket).
 */
#include "core/sync/sema.h"

#include "core/sched/sched_inline.h"

#include <stdlib.h>

enum { BUCKETS = 251 };

struct rt_sematable {
	rt_semaroot root[BUCKETS];
};

_Static_assert(sizeof(rt_semaroot) == RT_CACHELINE, "one bucket, one cache line");

int rt_sematable_init(gort_runtime *rt)
{
	rt->sema = calloc(1, sizeof *rt->sema); /* on the host's thread, at boot */
	return rt->sema != NULL ? 0 : GORT_ENOMEM;
}

void rt_sematable_fini(gort_runtime *rt)
{
	free(rt->sema);
	rt->sema = NULL;
}

static rt_semaroot *root_of(gort_runtime *rt, const void *addr)
{
	return &rt->sema->root[((uintptr_t)addr >> 3) % BUCKETS];
}

rt_semaroot *rt_semaroot_of(const void *addr)
{
	return root_of(rt_self()->rt, addr);
}

/* ---- The tree; the bucket's lock is held ------------------------------------------------------- */

static bool below(const rt_waiter *a, const rt_waiter *b)
{
	return (uintptr_t)a->on < (uintptr_t)b->on;
}

static rt_waiter *tree_find(rt_semaroot *r, const void *addr)
{
	rt_waiter *w = r->tree;

	while (w != NULL && w->on != addr)
		w = (uintptr_t)addr < (uintptr_t)w->on ? w->left : w->right;
	return w;
}

/* Where the link to w stands. */
static rt_waiter **tree_slot(rt_semaroot *r, rt_waiter *w)
{
	if (w->up == NULL)
		return &r->tree;
	return w->up->left == w ? &w->up->left : &w->up->right;
}

static void hang(rt_waiter **at, rt_waiter *up, rt_waiter *w)
{
	*at = w;
	if (w != NULL)
		w->up = up;
}

/* Down to where w's priority belongs; what hangs there is split into what is below w and what above. */
static void tree_insert(rt_semaroot *r, rt_waiter *w)
{
	rt_waiter **at = &r->tree, **less = &w->left, **more = &w->right;
	rt_waiter *up = NULL, *lessup = w, *moreup = w, *rest;

	while (*at != NULL && (*at)->ticket <= w->ticket) {
		up = *at;
		at = below(w, up) ? &up->left : &up->right;
	}
	rest = *at;
	hang(at, up, w);
	while (rest != NULL) {
		if (below(rest, w)) {
			hang(less, lessup, rest);
			lessup = rest;
			less = &rest->right;
		} else {
			hang(more, moreup, rest);
			moreup = rest;
			more = &rest->left;
		}
		rest = below(rest, w) ? rest->right : rest->left;
	}
	*less = *more = NULL;
}

/* In w's place comes what its two subtrees make together. */
static void tree_remove(rt_semaroot *r, rt_waiter *w)
{
	rt_waiter **at = tree_slot(r, w), *up = w->up, *less = w->left, *more = w->right;

	while (less != NULL && more != NULL) {
		if (less->ticket <= more->ticket) {
			hang(at, up, less);
			up = less;
			at = &less->right;
			less = less->right;
		} else {
			hang(at, up, more);
			up = more;
			at = &more->left;
			more = more->left;
		}
	}
	hang(at, up, less != NULL ? less : more);
}

/* next takes the place of the first waiter of the same address. */
static void tree_replace(rt_semaroot *r, rt_waiter *first, rt_waiter *next)
{
	hang(tree_slot(r, first), first->up, next);
	next->ticket = first->ticket;
	hang(&next->left, next, first->left);
	hang(&next->right, next, first->right);
}

/* ---- Waiters; the bucket's lock is held ------------------------------------------------------- */

static void count_waiter(rt_semaroot *r, uint32_t d)
{
	rt_store32_rlx(&r->nwait, rt_load32_rlx(&r->nwait) + d);
}

static void insert(rt_semaroot *r, rt_waiter *w, bool lifo)
{
	rt_waiter *first = tree_find(r, w->on);

	if (first == NULL) {
		w->next = w->prev = w;
		w->ticket = rt_rand_next(&rt_self()->p->rand);
		tree_insert(r, w);
		return;
	}
	w->next = first;
	w->prev = first->prev;
	first->prev->next = w;
	first->prev = w;
	if (lifo)
		tree_replace(r, first, w);
}

static void take_out(rt_semaroot *r, rt_waiter *w, rt_waiter *first)
{
	if (w == first) {
		if (w->next == w)
			tree_remove(r, w);
		else
			tree_replace(r, w, w->next);
	}
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
	count_waiter(r, (uint32_t)-1);
}

rt_waiter *rt_sema_dequeue(rt_semaroot *r, const void *addr)
{
	rt_waiter *first = tree_find(r, addr), *next;

	/* One whose timer was first is taken out all the same: it sees that by next == NULL. */
	for (; first != NULL; first = next) {
		next = first->next != first ? first->next : NULL;
		take_out(r, first, first);
		if (rt_waiter_claim(first))
			return first;
	}
	return NULL;
}

bool rt_sema_leave(rt_semaroot *r, rt_waiter *w)
{
	if (w->next == NULL)
		return false;
	take_out(r, w, tree_find(r, w->on));
	return true;
}

static void unlink_sema(rt_waiter *w)
{
	(void)rt_sema_leave(root_of(w->g->rt, w->on), w);
}

static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	rt_semaroot *r = w->elem;

	(void)gp;
	rt_waiter_open(w);
	rt_punlock(&r->lock, RT_RANK_semaroot);
	return true;
}

void rt_sema_begin(rt_semaroot *r)
{
	rt_plock(&r->lock, RT_RANK_semaroot);
	count_waiter(r, 1);
	rt_fence_full(); /* pairs with the fence in rt_semrelease */
}

void rt_sema_end(rt_semaroot *r)
{
	count_waiter(r, (uint32_t)-1);
	rt_punlock(&r->lock, RT_RANK_semaroot);
}

const void *rt_sema_shown(const void *addr, unsigned why)
{
	size_t in = why == RT_WAIT_MUTEX_LOCK      ? RT_SEMA_IN_MUTEX
	            : why == RT_WAIT_RWMUTEX_RLOCK ? RT_READERS_IN_RWMUTEX
	            : why == RT_WAIT_RWMUTEX_LOCK  ? RT_WRITER_IN_RWMUTEX
	                                           : 0;

	return (const char *)addr - in;
}

void rt_sema_park(rt_semaroot *r, rt_waiter *w, const void *addr, bool lifo, int64_t deadline,
                  rt_waitreason why)
{
	w->on = (void *)addr;
	w->elem = r;
	w->unlink = unlink_sema;
	rt_waiter_begin(rt_curg(), w, deadline);
	insert(r, w, lifo);
	rt_gopark(commit, w, why, rt_sema_shown(addr, why));
}

/* ---- Tokens --------------------------------------------------------------------------------- */

static bool take_token(rt_atomic32 *addr)
{
	for (;;) {
		uint32_t v = rt_load32_acq(addr);

		if (v == 0)
			return false;
		if (rt_cas32_full(addr, v, v - 1))
			return true;
	}
}

static bool try_short(rt_semaroot *r, rt_atomic32 *addr)
{
	return rt_load32_rlx(&r->nwait) == 0 && take_token(addr);
}

bool rt_sema_waiting(rt_semaroot *r, const void *addr)
{
	return tree_find(r, addr) != NULL;
}

bool rt_sema_token(rt_semaroot *r, rt_atomic32 *addr)
{
	return tree_find(r, addr) == NULL && take_token(addr);
}

int rt_sema_wait(rt_semaroot *r, rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why)
{
	rt_waiter w;

	rt_sema_park(r, &w, addr, lifo, deadline, why);
	if (!w.success) {
		rt_plock(&r->lock, RT_RANK_semaroot);
		(void)rt_sema_leave(r, &w);
		rt_punlock(&r->lock, RT_RANK_semaroot);
	}
	return rt_waiter_end(w.g, &w);
}

int rt_semacquire(rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why)
{
	rt_semaroot *r = rt_semaroot_of(addr);
	int err = 0;

	if (try_short(r, addr))
		return 0;
	rt_sema_begin(r);
	if (rt_sema_token(r, addr) || (err = rt_wait_refused(rt_curg(), deadline)) != 0) {
		rt_sema_end(r);
		return err;
	}
	return rt_sema_wait(r, addr, lifo, deadline, why);
}

void rt_semrelease(rt_atomic32 *addr, bool handoff)
{
	rt_semaroot *r = rt_semaroot_of(addr);
	bool ours = true; /* the token is not at addr */
	rt_waiter *w = NULL;
	rt_g *gp = NULL;

	if (rt_load32_rlx(&r->nwait) == 0) {
		rt_add32_full(addr, 1);
		rt_fence_after_rmw(); /* pairs with the fence in rt_sema_begin */
		if (RT_LIKELY(rt_load32_rlx(&r->nwait) == 0))
			return;
		rt_plock(&r->lock, RT_RANK_semaroot);
		ours = tree_find(r, addr) != NULL && take_token(addr);
	} else {
		rt_plock(&r->lock, RT_RANK_semaroot);
	}
	if (ours) {
		w = rt_sema_dequeue(r, addr);
		if (w == NULL)
			rt_add32_full(addr, 1);
	}
	if (w != NULL) {
		w->success = true;
		gp = w->g;
	}
	rt_punlock(&r->lock, RT_RANK_semaroot);
	if (gp == NULL)
		return;
	rt_goready(gp);
	if (handoff && rt_self()->locks == 1)
		rt_goyield();
}

/* ---- Public --------------------------------------------------------------------------------- */

_Static_assert(sizeof(rt_atomic32) == sizeof(gort_sema), "the public size is for ever");

static rt_atomic32 *tokens(gort_sema *s)
{
	return (rt_atomic32 *)&s->opaque[0];
}

GORT_API void gort_sema_acquire(gort_sema *s)
{
	(void)RT_ENTER();
	(void)rt_semacquire(tokens(s), false, RT_UNTIMED, RT_WAIT_SEMACQUIRE);
	rt_leave();
}

GORT_API int gort_sema_acquire_until(gort_sema *s, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = rt_semacquire(tokens(s), false, rt_deadline(deadline), RT_WAIT_SEMACQUIRE);
	rt_leave();
	return r;
}

GORT_API bool gort_sema_try_acquire(gort_sema *s)
{
	rt_semaroot *r;
	bool done;

	(void)RT_ENTER();
	r = rt_semaroot_of(s);
	done = try_short(r, tokens(s));
	if (!done && rt_load32_rlx(tokens(s)) != 0) { /* somebody waits in this bucket, perhaps not here */
		rt_plock(&r->lock, RT_RANK_semaroot);
		done = rt_sema_token(r, tokens(s));
		rt_punlock(&r->lock, RT_RANK_semaroot);
	}
	rt_leave();
	return done;
}

GORT_API void gort_sema_release(gort_sema *s)
{
	(void)RT_ENTER();
	rt_semrelease(tokens(s), false);
	rt_leave();
}
