/* sema.c: see sema.h. Go keeps the addresses of a bucket in a treap; here they are a list, since 251 buckets
 * hold few addresses each that have waiters at the same time.
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

rt_semaroot *rt_semaroot_of(const void *addr)
{
	return &rt_self()->rt->sema->root[((uintptr_t)addr >> 3) % BUCKETS];
}

/* Where the link to addr's first waiter stands, or the NULL at the end. The others of an address
 * hang in a circle on next and prev. */
static rt_waiter **find(rt_semaroot *r, const void *addr)
{
	rt_waiter **at = &r->first;

	while (*at != NULL && (*at)->on != addr)
		at = &(*at)->link;
	return at;
}

static void insert(rt_semaroot *r, rt_waiter *w, bool lifo)
{
	rt_waiter **at = find(r, w->on);
	rt_waiter *head = *at;

	if (head == NULL) {
		w->next = w->prev = w;
		w->link = NULL;
		*at = w;
		return;
	}
	w->next = head;
	w->prev = head->prev;
	head->prev->next = w;
	head->prev = w;
	if (lifo) {
		w->link = head->link;
		*at = w;
	}
}

static void take_out(rt_waiter **at, rt_waiter *w)
{
	if (*at == w) {
		if (w->next == w) {
			*at = w->link;
		} else {
			*at = w->next;
			w->next->link = w->link;
		}
	}
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
}

rt_waiter *rt_sema_dequeue(rt_semaroot *r, const void *addr)
{
	rt_waiter **at = find(r, addr);

	/* A waiter whose timer was first is taken out all the same: it sees that by next == NULL. */
	while (*at != NULL && (*at)->on == addr) {
		rt_waiter *w = *at;

		take_out(at, w);
		if (rt_waiter_claim(w))
			return w;
	}
	return NULL;
}

static void unlink_sema(rt_waiter *w)
{
	rt_semaroot *r = &w->g->rt->sema->root[((uintptr_t)w->on >> 3) % BUCKETS];

	if (w->next != NULL)
		take_out(find(r, w->on), w);
}

static void timed_out(rt_timer *t)
{
	rt_waiter *w = RT_CONTAINER_OF(t, rt_waiter, timer);

	if (rt_waiter_claim(w))
		rt_goready(w->g);
}

static bool commit(rt_g *gp, void *arg)
{
	rt_waiter *w = arg;
	rt_semaroot *r = (rt_semaroot *)w->elem;

	(void)gp;
	if (w->timed)
		rt_timer_arm(&w->timer, w->timer.when, timed_out);
	rt_punlock(&r->lock, RT_RANK_semaroot);
	return true;
}

bool rt_sema_wait(rt_semaroot *r, const void *addr, bool lifo, int64_t deadline, rt_waitreason why)
{
	rt_g *gp = rt_curg();
	rt_waiter w;

	if (rt_g_released(gp)) {
		rt_punlock(&r->lock, RT_RANK_semaroot);
		return false;
	}
	w.on = (void *)addr;
	w.elem = r;
	w.unlink = unlink_sema;
	w.timed = deadline != GORT_FOREVER;
	w.timer.when = deadline;
	w.timer.index = -1;
	rt_waiter_begin(gp, &w);
	insert(r, &w, lifo);
	rt_gopark(commit, &w, why, addr);
	if (w.timed) {
		rt_timer_disarm(&w.timer);
		if (!w.success) {
			rt_plock(&r->lock, RT_RANK_semaroot);
			if (w.next != NULL)
				take_out(find(r, addr), &w);
			rt_punlock(&r->lock, RT_RANK_semaroot);
		}
	}
	rt_waiter_end(gp, &w);
	return w.success;
}

static bool take_token(rt_atomic32 *addr)
{
	for (;;) {
		uint32_t v = rt_load32_rlx(addr);

		if (v == 0)
			return false;
		if (rt_cas32_acq(addr, v, v - 1))
			return true;
	}
}

bool rt_semacquire(rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why)
{
	for (;;) {
		rt_semaroot *r = rt_semaroot_of(addr);
		bool woken;

		rt_plock(&r->lock, RT_RANK_semaroot);
		if (take_token(addr)) {
			rt_punlock(&r->lock, RT_RANK_semaroot);
			return true;
		}
		woken = rt_sema_wait(r, addr, lifo, deadline, why);
		if (woken)
			return true; /* the token was handed over */
		if (take_token(addr))
			return true;
		if (deadline != GORT_FOREVER || rt_g_released(rt_curg()))
			return false;
	}
}

/* The token goes to the first waiter, or stays at addr. Both under the bucket's lock, so that a
 * waiter is not missed. */
void rt_semrelease(rt_atomic32 *addr)
{
	rt_semaroot *r = rt_semaroot_of(addr);
	rt_waiter *w;
	rt_g *gp = NULL;

	rt_plock(&r->lock, RT_RANK_semaroot);
	w = rt_sema_dequeue(r, addr);
	if (w != NULL) {
		w->success = true;
		gp = w->g;
	} else {
		rt_add32_full(addr, 1);
	}
	rt_punlock(&r->lock, RT_RANK_semaroot);
	if (gp != NULL)
		rt_goready(gp);
}
