/* timer.c: a 4-ary heap of timers for each P, under a lock of its own. A timer goes into the heap
 * of the P that armed it. The due ones are run by their P whenever it looks for work, by a P that
 * looks for work to steal, and, when all Ps are idle, by the one M that waits for the earliest
 * (poll_wait in proc.c).
 *
 * `next` repeats the first deadline for readers without the lock. Who lowers it stores it, fences
 * and reads `polluntil`; the M that goes to wait stores polluntil, fences and reads every `next`:
 * one sees the other (tests/model/timerpoll.pml).
 *
 * Two kinds lie in the heap.
 *
 * A timer (rt_timer) is part of a frame and must be gone from the heap when the frame goes. It
 * knows its place (index), so it is taken out at once. Its function runs under the heap's lock, so
 * rt_timer_disarm, which takes that lock, returns only when the function is not running and will
 * not run. All that it does is to win the goroutine; that is made runnable after the lock is
 * released.
 *
 * An alarm (rt_alarm) is part of a heap object and may stay too long. It does not follow its slot,
 * so that a million of them are sifted without touching one. It remembers where the slot was put
 * (hint): young timers, which are those that are stopped most, are still there; and the last of the heap, which fills
 * the hole of one that was stopped and is young as well, is told its new place.
 *
 *   cancel       from another P: marks it dead, without the heap's lock. Its slot remains as a
 *                zombie. From the P whose heap it is: takes it out if it is where the hint says;
 *                else the same.
 *   set, later   nothing: whoever is reminded too early sets it again (the owner's business). Most
 *                resets are of this kind: a deadline that is pushed away by each packet.
 *   set, earlier the slot is taken out by the hint; else it does not count any more (its when
 *                differs): a zombie, too.
 *
 * Its function runs without the heap's lock: it takes the owner's lock, under which it finds out
 * what is true now. So there is no moment at which stop or reset could not decide
 * (tests/model/timerheap.pml).
 *
 *   OUT    no slot counts. Only set leaves it, and only then may the alarm change its heap.
 *   SET    the slot with the alarm's `when` in the heap of the alarm's `p` counts
 *   DEAD   the same after cancel: a zombie
 *
 *            set                    cancel (no lock)
 *     OUT ----------> SET -------------------------> DEAD
 *      ^  heap lock   | ^            set             | |
 *      +--------------+ +----------------------------+ |
 *      +-----------------------------------------------+
 *          its slot is taken out, heap lock
 *
 * Zombies. Those at the top are dropped when they are due. When more than a quarter of the slots
 * are zombies every insertion looks at CLEAN_STEP slots and takes them out: after a round of n / 8
 * insertions all are gone, and nobody ever sweeps a heap as a whole. (Go does that, in one go
 * under the lock.) When only zombies are left they are dropped at once, so that a heap that means
 * nothing does not look like something to wait for: rt_checkdead_locked relies on it. For that the
 * last two can happen at the same time: cancel counts, then reads n; who takes out a slot writes
 * n, fences, then reads the count.
 *
 * The slots of alarms are roots of the collector (rt_timers_roots); a zombie keeps its object until it is taken out.
 *
 * Rejected: a place in every alarm and removal at once (each sift writes to every timer that it
 * moves: with a million, a cache miss a level); an adjusting pass over all slots for those set
 * earlier (Go's; O(n) for each).
 */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"

#include <string.h>

enum { ARITY = 4, CLEAN_STEP = 8, CLEAN_LEAST = 32 };
enum { OUT = 0, SET = 1, DEAD = 2 };

/* ---- The heap -------------------------------------------------------------------------------- */

/* As rt_plock; but the end of a run comes here with the world stopped and no P, and a snapshot perhaps on a thread
 * without an M. */
static bool elided(void)
{
#ifdef NDEBUG
	rt_m *mp = rt_self();

	return mp != NULL && mp->p != NULL && mp->p->alone;
#else
	return false;
#endif
}

static void lock(rt_timerheap *h)
{
	if (!elided())
		rt_lock(&h->lock, RT_RANK_timers);
}

static void unlock(rt_timerheap *h)
{
	if (!elided())
		rt_unlock(&h->lock, RT_RANK_timers);
}

static size_t heap_bytes(uint32_t cap)
{
	return (size_t)cap * sizeof(rt_timerslot);
}

void rt_timerheap_init(rt_timerheap *h)
{
	memset(h, 0, sizeof *h);
	rt_store64_rlx(&h->next, INT64_MAX);
}

void rt_timerheap_fini(rt_timerheap *h)
{
	if (h->heap != NULL)
		rt_region_free(h->heap, heap_bytes(h->cap));
	rt_timerheap_init(h);
}

static uint32_t len(const rt_timerheap *h)
{
	return rt_load32_rlx(&h->n);
}

/* Room for `more` slots. */
static bool grow(gort_runtime *rt, rt_timerheap *h, uint32_t more)
{
	uint32_t need = len(h) + more, cap = h->cap;
	rt_timerslot *heap;

	if (need <= cap)
		return true;
	if (cap == 0)
		cap = (uint32_t)(be_arena_query()->granularity / sizeof *heap);
	while (cap < need) /* a power of two of pages: 16-byte slots divide them */
		cap *= 2;
	if (rt_oom_now(&rt->debug))
		return false;
	heap = rt_region_new(heap_bytes(cap));
	if (heap == NULL)
		return false;
	if (h->heap != NULL) {
		memcpy(heap, h->heap, heap_bytes(h->cap));
		rt_region_free(h->heap, heap_bytes(h->cap));
	}
	h->heap = heap;
	h->cap = cap;
	return true;
}

static bool is_alarm(rt_timerslot s)
{
	return s.what & 1;
}

static rt_alarm *alarm_of(rt_timerslot s)
{
	return (rt_alarm *)(s.what - 1);
}

static rt_timer *timer_of(rt_timerslot s)
{
	return (rt_timer *)s.what;
}

static void put(rt_timerheap *h, uint32_t i, rt_timerslot s)
{
	h->heap[i] = s;
	if (!is_alarm(s))
		timer_of(s)->index = (int)i;
}

/* Returns where it came to lie. */
static uint32_t sift_up(rt_timerheap *h, uint32_t i)
{
	rt_timerslot s = h->heap[i];

	while (i > 0 && s.when < h->heap[(i - 1) / ARITY].when) {
		put(h, i, h->heap[(i - 1) / ARITY]);
		i = (i - 1) / ARITY;
	}
	put(h, i, s);
	return i;
}

/* Returns where it came to lie. */
static uint32_t sift_down(rt_timerheap *h, uint32_t i)
{
	rt_timerslot s = h->heap[i];
	uint32_t n = len(h);

	for (;;) {
		uint32_t first = i * ARITY + 1, least = first, end = first + ARITY;

		if (first >= n)
			break;
		if (end > n)
			end = n;
		for (uint32_t c = first + 1; c < end; c++)
			if (h->heap[c].when < h->heap[least].when)
				least = c;
		if (h->heap[least].when >= s.when)
			break;
		put(h, i, h->heap[least]);
		i = least;
	}
	put(h, i, s);
	return i;
}

static void publish(rt_timerheap *h)
{
	rt_store64_rlx(&h->next, (uint64_t)(len(h) > 0 ? h->heap[0].when : INT64_MAX));
}

/* There is room. Returns where. */
static uint32_t push(rt_timerheap *h, rt_timerslot s)
{
	uint32_t n = len(h);

	rt_store32_rlx(&h->n, n + 1);
	h->heap[n] = s;
	return sift_up(h, n);
}

/* Returns where the slot came to lie that filled the hole, or `n`: there was none. */
static uint32_t take_out(rt_timerheap *h, uint32_t i)
{
	uint32_t n = len(h) - 1, to;
	rt_timerslot last = h->heap[n];

	rt_store32_rlx(&h->n, n);
	if (i == n)
		return n;
	put(h, i, last);
	to = sift_down(h, i);
	return to != i ? to : sift_up(h, i);
}

/* ---- Zombies --------------------------------------------------------------------------------- */

static int32_t count_zombies(rt_timerheap *h, int32_t d)
{
	return (int32_t)rt_add32_full(&h->zombies, (uint32_t)d) + d;
}

/* Does the slot count? A heap is asked about its own slots under its lock. The alarm may have left
 * this heap and be in another one. If it is at home here it stays: it changes heaps only under
 * this lock. */
static bool counts(const rt_p *pp, rt_timerslot s)
{
	const rt_alarm *a = alarm_of(s);

	return rt_loadptr_acq(&a->p) == pp && rt_load32_rlx(&a->state) != OUT && a->when == s.when;
}

/* The alarm's slot goes, or has gone. True: it was SET. False: a zombie less. */
static bool leave(rt_p *pp, rt_timerslot s)
{
	if (counts(pp, s) && rt_xchg32_full(&alarm_of(s)->state, OUT) == SET)
		return true;
	count_zombies(&pp->timers, -1);
	return false;
}

/* Only zombies are left: the heap becomes empty. */
static RT_NOINLINE void drop_zombies(rt_p *pp)
{
	rt_timerheap *h = &pp->timers;

	for (uint32_t i = len(h); i-- > 0;) {
		RT_ASSERT(is_alarm(h->heap[i]));
		if (leave(pp, h->heap[i]))
			rt_throw("a timer that is set was counted as a zombie");
	}
	rt_store32_rlx(&h->n, 0);
}

/* After slots were taken out; see the head. */
static void removed(rt_p *pp)
{
	rt_timerheap *h = &pp->timers;

	if (len(h) > 0) {
		if (!elided())
			rt_fence_full(); /* pairs with the count in rt_alarm_cancel */
		if ((int32_t)rt_load32_rlx(&h->zombies) >= (int32_t)len(h))
			drop_zombies(pp);
	}
	publish(h);
}

static RT_NOINLINE void clean_some(rt_p *pp)
{
	rt_timerheap *h = &pp->timers;

	for (int k = 0; k < CLEAN_STEP && len(h) > 0; k++) {
		uint32_t i = h->sweep < len(h) ? h->sweep : 0;
		rt_timerslot s = h->heap[i];

		h->sweep = i + 1;
		if (!is_alarm(s) || (counts(pp, s) && rt_load32_rlx(&alarm_of(s)->state) == SET))
			continue;
		if (leave(pp, s)) /* cannot be: set needs this lock */
			rt_throw("a timer was set without its heap's lock");
		take_out(h, i);
		h->sweep = i; /* what came there is next */
	}
}

/* ---- Arming ---------------------------------------------------------------------------------- */

/* The first deadline has become earlier. The timer may have fired and be gone: only `when` is
 * looked at. */
static void tell(int64_t when)
{
	gort_runtime *rt = rt_self()->rt;
	rt_sched *sc = &rt->sched;
	int64_t until;

	rt_fence_full(); /* pairs with the fence in poll_wait */
	until = (int64_t)rt_load64_rlx(&sc->polluntil);
	if (rt_load32_rlx(&sc->polling)) {
		if (rt_real_moment(rt, when) < until)
			be_netpoll_break(&sc->poll);
	} else {
		rt_wakep(rt); /* somebody has to wait for it */
	}
}

/* Returns where; 0: it is the first deadline now. */
static uint32_t insert(rt_p *pp, rt_timerslot s)
{
	rt_timerheap *h = &pp->timers;
	uint32_t n = len(h);

	if (n >= CLEAN_LEAST && (int32_t)rt_load32_rlx(&h->zombies) > (int32_t)(n / 4))
		clean_some(pp);
	n = push(h, s);
	publish(h);
	return n;
}

/* Memory has ended: the timer is due at once rather than never. The caller looks at the clock. */
void rt_timer_arm(rt_timer *t, int64_t when, rt_g *(*fn)(rt_timer *))
{
	rt_m *mp = rt_self();
	rt_p *pp = mp->p;
	rt_g *gp = NULL;
	bool first = false;

	t->when = when;
	t->fn = fn;
	lock(&pp->timers);
	rt_storeptr_rlx(&t->p, pp);
	t->index = -1;
	if (grow(mp->rt, &pp->timers, 1))
		first = insert(pp, (rt_timerslot){ when, (uintptr_t)t }) == 0;
	else
		gp = fn(t);
	unlock(&pp->timers);
	if (gp != NULL)
		rt_goready(gp);
	if (first)
		tell(when);
}

void rt_timer_disarm(rt_timer *t)
{
	for (;;) {
		rt_p *pp = rt_loadptr_acq(&t->p);

		lock(&pp->timers);
		if (pp != rt_loadptr_rlx(&t->p)) { /* it moved to another P meanwhile */
			unlock(&pp->timers);
			continue;
		}
		if (t->index >= 0) {
			take_out(&pp->timers, (uint32_t)t->index);
			t->index = -1;
			removed(pp);
		}
		unlock(&pp->timers);
		return;
	}
}

/* On a P, or with the world stopped. The heap is held for as long as its slots take to be looked at. */
void rt_timers_roots(rt_p *pp, void (*visit)(void *data, void **slot), void *data)
{
	rt_timerheap *h = &pp->timers;

	lock(h);
	for (uint32_t i = 0; i < len(h); i++) {
		void *alarm = (void *)(h->heap[i].what & ~(uintptr_t)1);

		if (h->heap[i].what & 1)
			visit(data, &alarm);
	}
	unlock(h);
}

/* With the heap's lock: takes out the slot that counts if it is easily found. */
static bool take_out_alarm(rt_p *pp, const rt_alarm *a)
{
	rt_timerheap *h = &pp->timers;
	uint32_t i = a->hint;

	if (i >= len(h) || h->heap[i].what != ((uintptr_t)a | 1) || h->heap[i].when != a->when)
		return false;
	i = take_out(h, i);
	/* The last slot is a young timer's, which will be stopped as well. */
	if (i < len(h) && is_alarm(h->heap[i]) && counts(pp, h->heap[i]))
		alarm_of(h->heap[i])->hint = i;
	return true;
}

/* The caller's lock keeps other callers away, and no world stops meanwhile. */
bool rt_alarm_set(rt_alarm *a, int64_t when)
{
	rt_m *mp = rt_self();
	rt_p *pp = rt_loadptr_rlx(&a->p), *mine = mp->p;
	bool first = false, ok = true;

	if (RT_UNLIKELY(rt_load32_rlx(&mp->rt->gcmark) != 0))
		mp->rt->up.gc_shade(a); /* into a heap that was looked at, perhaps */
	/* If its slot is taken out meanwhile, fn comes to the caller's lock and finds what holds
	 * then. */
	if (rt_load32_rlx(&a->state) == SET && when >= a->when)
		return true;
	if (pp == NULL) {
		rt_storeptr_rel(&a->p, pp = mine);
		lock(&pp->timers);
	} else {
		lock(&pp->timers);
		if (pp != mine && rt_load32_rlx(&a->state) == OUT) {
			rt_storeptr_rel(&a->p, mine); /* under the lock of the heap that it leaves */
			unlock(&pp->timers);
			pp = mine;
			lock(&pp->timers);
		}
	}
	if (rt_load32_rlx(&a->state) == DEAD) { /* its slot is still there */
		rt_store32_rlx(&a->state, SET);
		count_zombies(&pp->timers, -1);
	}
	if (rt_load32_rlx(&a->state) == OUT || when < a->when) {
		ok = grow(mp->rt, &pp->timers, 1);
		if (ok) {
			if (rt_load32_rlx(&a->state) == SET && !take_out_alarm(pp, a))
				count_zombies(&pp->timers, 1); /* the slot before */
			a->when = when;
			rt_store32_rlx(&a->state, SET);
			a->hint = insert(pp, (rt_timerslot){ when, (uintptr_t)a | 1 });
			first = a->hint == 0;
		}
	}
	unlock(&pp->timers);
	if (first)
		tell(when);
	return ok;
}

/* Of this P: the lock is at hand. */
static void cancel_mine(rt_alarm *a, rt_p *pp)
{
	rt_timerheap *h = &pp->timers;

	lock(h);
	if (rt_load32_rlx(&a->state) == SET) {
		bool gone = take_out_alarm(pp, a);

		rt_store32_rlx(&a->state, gone ? OUT : DEAD);
		if (!gone)
			count_zombies(h, 1);
		removed(pp);
	}
	unlock(h);
}

void rt_alarm_cancel(rt_alarm *a)
{
	rt_p *pp = rt_loadptr_rlx(&a->p);
	const rt_m *mp = rt_self(); /* NULL: whoever frees the runtime takes waiters off their channels */
	rt_timerheap *h;

	if (rt_load32_rlx(&a->state) != SET)
		return;
	if (mp != NULL && pp == mp->p) {
		cancel_mine(a, pp);
		return;
	}
	h = &pp->timers;
	if (!rt_cas32_full(&a->state, SET, DEAD) || count_zombies(h, 1) < (int32_t)len(h))
		return; /* the count is full: n is read after it */
	lock(h);
	removed(pp);
	unlock(h);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void ready_all(rt_g *gp)
{
	rt_g *next;

	for (; gp != NULL; gp = next) {
		next = gp->schedlink;
		rt_goready(gp);
	}
}

/* Goroutines whose timers are due hang on schedlink: they are won, and on no other list. */
void rt_timers_run(rt_p *pp, int64_t now)
{
	rt_timerheap *h = &pp->timers;
	rt_g *won = NULL, **tail = &won;

	if ((int64_t)rt_load64_rlx(&h->next) > now)
		return;
	lock(h);
	while (len(h) > 0 && h->heap[0].when <= now) {
		rt_timerslot s = h->heap[0];

		take_out(h, 0);
		if (!is_alarm(s)) {
			rt_timer *t = timer_of(s);
			rt_g *gp;

			t->index = -1;
			gp = t->fn(t);
			if (gp != NULL) {
				RT_TRACE(rt_self(), TIMER, TIMER, NULL, s.when, (uintptr_t)t, 0);
				*tail = gp;
				tail = &gp->schedlink;
			}
		} else if (leave(pp, s)) {
			removed(pp);
			unlock(h);
			rt_self()->rt->up.alarm(alarm_of(s));
			lock(h);
		}
	}
	removed(pp);
	unlock(h);
	*tail = NULL;
	ready_all(won);
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

/* ---- World stopped --------------------------------------------------------------------------- */

bool rt_timers_reserve(gort_runtime *rt, rt_p *pp, uint32_t more)
{
	return grow(rt, &pp->timers, more);
}

void rt_timers_move(rt_p *from, rt_p *to)
{
	rt_timerheap *h = &from->timers;

	for (uint32_t i = 0; i < len(h); i++) {
		rt_timerslot s = h->heap[i];

		if (!is_alarm(s)) {
			rt_storeptr_rel(&timer_of(s)->p, to);
			push(&to->timers, s);
		} else if (leave(from, s)) {
			rt_storeptr_rel(&alarm_of(s)->p, to);
			rt_store32_rlx(&alarm_of(s)->state, SET);
			alarm_of(s)->hint = push(&to->timers, s);
		}
	}
	rt_store32_rlx(&h->n, 0);
	publish(h);
	publish(&to->timers);
}

/* Goroutines have been dropped, and their timers with them: alarms are left, which will not ring.
 * */
void rt_timers_drop(gort_runtime *rt)
{
	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		rt_p *pp = rt->sched.allp[i];
		rt_timerheap *h = &pp->timers;

		for (uint32_t k = 0; k < len(h); k++) {
			RT_ASSERT(is_alarm(h->heap[k]));
			(void)leave(pp, h->heap[k]);
		}
		rt_store32_rlx(&h->n, 0);
		publish(h);
	}
}
