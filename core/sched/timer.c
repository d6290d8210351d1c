/* timer.c: a 4-ary heap of timers for each P, under a lock of its own. A timer goes into the heap of the P
 * that armed it. The due ones are run by their P whenever it looks for work, by a P that looks for
 * work to steal, and, when all Ps are idle, by the one M that waits for the earliest (poll_wait in
 * proc.c).
 *
 * `next` repeats the first deadline for readers without the lock. The armer stores it, fences and
 * reads `polluntil`; the M that goes to wait stores polluntil, fences and reads every `next`: one
 * sees the other (tests/model/timerpoll.pml).
 *
 * A timer's function runs under the heap's lock, so rt_timer_disarm, which takes that lock, returns
 * only when the function is not running and will not run. That is what lets a timer lie in the
 * frame of the goroutine that waits.
 */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"

#include <string.h>

enum { ARITY = 4 };

static size_t heap_bytes(int cap)
{
	return (size_t)cap * sizeof(struct rt_timerslot);
}

void rt_timerheap_init(rt_timerheap *h)
{
	memset(h, 0, sizeof *h);
	rt_store64_rlx(&h->next, INT64_MAX);
}

void rt_timerheap_fini(rt_timerheap *h)
{
	if (h->heap != NULL)
		be_arena_release(h->heap, heap_bytes(h->cap));
	rt_timerheap_init(h);
}

static bool grow_locked(rt_timerheap *h)
{
	size_t unit = be_arena_query()->granularity;
	int cap = h->cap == 0 ? (int)(unit / sizeof(struct rt_timerslot)) : 2 * h->cap;
	struct rt_timerslot *heap;

	if (h->n < h->cap)
		return true;
	/* Kept a power of two of pages: 16-byte slots divide them. */
	heap = be_arena_reserve(NULL, heap_bytes(cap), be_arena_query()->page);
	if (heap == NULL)
		return false;
	if (be_arena_commit(heap, heap_bytes(cap)) != 0) {
		be_arena_release(heap, heap_bytes(cap));
		return false;
	}
	if (h->heap != NULL) {
		memcpy(heap, h->heap, heap_bytes(h->cap));
		be_arena_release(h->heap, heap_bytes(h->cap));
	}
	h->heap = heap;
	h->cap = cap;
	return true;
}

static void set_slot(rt_timerheap *h, int i, struct rt_timerslot s)
{
	h->heap[i] = s;
	s.t->index = i;
}

static void sift_up(rt_timerheap *h, int i)
{
	struct rt_timerslot s = h->heap[i];

	while (i > 0 && s.when < h->heap[(i - 1) / ARITY].when) {
		set_slot(h, i, h->heap[(i - 1) / ARITY]);
		i = (i - 1) / ARITY;
	}
	set_slot(h, i, s);
}

static void sift_down(rt_timerheap *h, int i)
{
	struct rt_timerslot s = h->heap[i];

	for (;;) {
		int first = i * ARITY + 1, least = -1;

		for (int c = first; c < first + ARITY && c < h->n; c++)
			if (least < 0 || h->heap[c].when < h->heap[least].when)
				least = c;
		if (least < 0 || h->heap[least].when >= s.when)
			break;
		set_slot(h, i, h->heap[least]);
		i = least;
	}
	set_slot(h, i, s);
}

static void publish_next(rt_timerheap *h)
{
	rt_store64_rlx(&h->next, (uint64_t)(h->n > 0 ? h->heap[0].when : INT64_MAX));
}

static void remove_locked(rt_timerheap *h, rt_timer *t)
{
	int i = t->index;
	struct rt_timerslot last = h->heap[--h->n];

	RT_ASSERT(i >= 0 && i <= h->n);
	t->index = -1;
	if (last.t != t) {
		set_slot(h, i, last);
		sift_down(h, i);
		sift_up(h, last.t->index);
	}
	publish_next(h);
}

/* Memory has ended: the timer is due at once rather than never. The caller looks at the clock. */
static void insert_locked(rt_p *pp, rt_timer *t)
{
	rt_timerheap *h = &pp->timers;

	t->p = pp;
	if (!grow_locked(h)) {
		t->index = -1;
		t->fn(t);
		return;
	}
	h->heap[h->n++] = (struct rt_timerslot){ t->when, t };
	sift_up(h, h->n - 1);
	publish_next(h);
}

void rt_timer_arm(rt_timer *t, int64_t when, void (*fn)(rt_timer *))
{
	rt_m *mp = rt_self();
	rt_sched *sc = &mp->rt->sched;
	rt_timerheap *h = &mp->p->timers;
	int64_t until;

	t->when = when;
	t->fn = fn;
	rt_lock(&h->lock, RT_RANK_timers);
	insert_locked(mp->p, t);
	rt_unlock(&h->lock, RT_RANK_timers);
	/* The timer may have fired and be gone: only `when` is looked at from here on. */
	rt_fence_full(); /* pairs with the fence in poll_wait */
	until = (int64_t)rt_load64_rlx(&sc->polluntil);
	if (rt_load32_rlx(&sc->polling)) {
		if (when < until)
			be_netpoll_break(&sc->poll);
	} else {
		rt_wakep(mp->rt); /* somebody has to wait for it */
	}
}

void rt_timer_disarm(rt_timer *t)
{
	for (;;) {
		rt_p *pp = *(rt_p *volatile *)&t->p;

		rt_lock(&pp->timers.lock, RT_RANK_timers);
		if (pp == t->p) { /* else it moved to another P meanwhile */
			if (t->index >= 0)
				remove_locked(&pp->timers, t);
			rt_unlock(&pp->timers.lock, RT_RANK_timers);
			return;
		}
		rt_unlock(&pp->timers.lock, RT_RANK_timers);
	}
}

void rt_timers_run(rt_p *pp, int64_t now)
{
	rt_timerheap *h = &pp->timers;

	if ((int64_t)rt_load64_rlx(&h->next) > now)
		return;
	rt_lock(&h->lock, RT_RANK_timers);
	while (h->n > 0 && h->heap[0].when <= now) {
		rt_timer *t = h->heap[0].t;

		remove_locked(h, t);
		t->fn(t);
	}
	rt_unlock(&h->lock, RT_RANK_timers);
}

int64_t rt_timers_next(gort_runtime *rt)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		int64_t when = (int64_t)rt_load64_rlx(&rt->sched.allp[i]->timers.next);

		if (when < next)
			next = when;
	}
	return next;
}

void rt_timers_move(rt_p *from, rt_p *to)
{
	rt_timerheap *h = &from->timers;

	rt_lock(&h->lock, RT_RANK_timers);
	while (h->n > 0) {
		rt_timer *t = h->heap[0].t;

		remove_locked(h, t);
		rt_unlock(&h->lock, RT_RANK_timers);
		rt_lock(&to->timers.lock, RT_RANK_timers);
		insert_locked(to, t);
		rt_unlock(&to->timers.lock, RT_RANK_timers);
		rt_lock(&h->lock, RT_RANK_timers);
	}
	rt_unlock(&h->lock, RT_RANK_timers);
}
