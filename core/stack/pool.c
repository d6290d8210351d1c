/* pool.c: slots for goroutine stacks. What is promised stands in stack.h.
 *
 *   reservation  | slot 0 | slot 1 | slot 2 | ...        up to `carved`: slots with records
 *   slot         base [guard][room][lo ........ hi][color]     low addresses left
 *
 * Size classes. The pool's own size is one class and has nearly all the traffic; every other size
 * is rounded up to a power of two, a class each. A class carves slots one after the other from its
 * newest reservation and takes the next reservation when that is used up.
 *
 * Free slots of a class are on two lists:
 *
 *            get                   put                      cool
 *   in use <------ hot (deque) <--------- in use     hot ----------> cold (stack)
 *      ^            newest first                     oldest first         |
 *      +------------------------------------------------------------------+ get, when hot is empty
 *
 * A hot slot may hold pages, a cold one holds none. Every second sysmon cools (rt_stackpool_tick)
 * what was hot all the time and so needed by nobody, but for the newest 1024: in batches, the
 * oldest first, taken off under the lock, sorted by address, and each run of neighbours given back
 * by one call of the system without the lock. So a burst of a million goroutines does not stay
 * resident, and a steady load, or one that comes in waves, never asks the system. Rejected: cooling
 * in the put that finds too many (a program in waves pays for its pages each time, and with several
 * threads each batch interrupts all CPUs: a third of the time of skynet).
 *
 * Colors. Stacks start at the same offset of equal slots, so the hot tops of all goroutines would
 * fall into the same few cache sets. Each top is lowered by 64 bytes times the slot's number mod
 * 16.
 *
 * Memory of a parked goroutine: one page of stack, 64 bytes of record, and its share of a page of
 * the page table (8 bytes for each 4 KiB of slot).
 *
 * Guards. One page at the low end: library and programs are built with stack probes, so no frame
 * jumps over it. Where guards cost mappings there are at most guard_max; further slots are flagged
 * as unguarded. Where commit is not lazy the guard page is simply never committed.
 *
 * Growth. Where committed memory counts although nobody touched it (Windows), a guarded slot begins
 * with two pages at its top and a growth guard below them; the system does the rest, for it is told
 * of each stack that a thread runs on (be_context_grows). It also keeps `room` of what lies below
 * lo for the handler of an overflow, there being no alternate stacks: that handler runs on the
 * stack that has just ended. How far a stack has grown stays with the slot (limit); one that
 * overflowed has lost its growth guard and begins anew.
 *
 * Rejected: mmap for each stack (7.7 us against 2.4, and two mappings of 65530); stacks that are
 * copied to grow (C has pointers into its frames); records inside the slots (free slots would keep
 * a page).
 *
 * Locks: one for the pool (rank stackpool), taken once for half a cache. A slot belongs to whoever
 * took it off a list; its record's fields need no lock then.
 */
#include "core/stack/stack.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"
#include "backends/fault/fault.h"
#include "core/alloc/fixalloc.h"
#include "core/base/check.h"
#include "core/base/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MIN_SLOT ((size_t)16 << 10)
#define OWN_RESERVE ((size_t)64 << 30)   /* of the pool's own class */
#define OTHER_RESERVE ((size_t)256 << 20)
#define COMMIT_FIRST ((size_t)4 << 20)   /* doubles with what is committed already */
#define COMMIT_MAX ((size_t)1 << 30)

enum { COLORS = 16, COLOR = RT_CACHELINE };
enum { HALF = RT_STACKCACHE_MAX / 2, FEW = 4, FEW_UNTIL = 128 };
enum { GROWS_FROM = 2 }; /* pages; with the guard they fit into the smallest slot */
enum { HOT_MIN = 1024, COOL_BATCH = 128 };
enum { NCLASS = 44 }; /* powers of two up to 4 TiB; class 0 is the pool's own size */

typedef struct region {
	struct region *next;
	char *base;
	size_t size;
	char *carved, *committed; /* base <= carved <= committed; only the newest is carved from */
	/* What lies below an earlier runtime has committed, and made the guards of. Only the system is spared: what
	 * syscallfail counts must not depend on earlier runs. */
	char *ready, *guarded;
} region;

_Static_assert(sizeof(rt_stack) == 64, "a million of them");
_Static_assert(sizeof(region) <= sizeof(rt_stack), "both come from one allocator");

typedef struct sizeclass {
	size_t size;        /* of a slot; 0 = not used yet */
	size_t reserve;     /* of the next reservation */
	region *regions;    /* newest first */
	rt_stack *hot, *hottail;
	rt_stack *cold;
	size_t nhot, ncold, inuse;
	size_t unneeded;    /* the fewest that were hot since the last tick */
} sizeclass;

struct rt_stackpool {
	const be_arena_caps *arena;
	size_t room; /* see rt_stack_room */
	rt_debugvars *debug; /* may be NULL */
	bool guards;
	rt_fixalloc records;
	rt_mutex lock;
	/* guarded by lock */
	size_t reserved, nguards, nunguarded;
	sizeclass classes[NCLASS];
};

static bool refused(const rt_stackpool *sp, const char *what)
{
	return sp->debug != NULL && (rt_oom_now(sp->debug) || rt_fail_now(sp->debug, what));
}

static size_t round_down(size_t n, size_t unit)
{
	return n / unit * unit;
}

static size_t round_up(size_t n, size_t unit)
{
	return round_down(n + unit - 1, unit);
}

/* Between the guard and lo. */
static size_t stack_room(const be_arena_caps *a)
{
	return a->stacks_grow ? round_up(be_fault_stack_room, a->page) : 0;
}

char *rt_stack_base(const rt_stack *s)
{
	const be_arena_caps *a = be_arena_query();

	return s->lo - a->page - stack_room(a);
}

/* How much the first reservation of a class is: many slots, but a part only of what the system
 * bears, for the host may have several runtimes. One slot at least. */
static size_t first_reserve(const be_arena_caps *a, size_t want, size_t slot)
{
	size_t room = a->max_reserve / 4, size = want < room ? want : room;

	return round_up(size > slot ? size : slot, a->granularity);
}

/* ---- Regions and carving; all under the lock ---- */

/* Slots are multiples of a page: the lowest bit is free to say that they have no guards. */
static size_t layout_of(const rt_stackpool *sp, const sizeclass *c)
{
	return c->size | (sp->guards ? 0 : RT_LAYOUT_NO_GUARDS);
}

/* What the system refuses may fit when it is smaller; c->reserve remembers. */
static char *reserve_locked(rt_stackpool *sp, sizeclass *c, rt_region_done *done)
{
	for (;;) {
		char *base = rt_region_reserve_done(c->reserve, sp->arena->page, done);
		size_t less = round_down(c->reserve / 2, sp->arena->granularity);

		if (base != NULL || less < c->size)
			return base;
		c->reserve = less;
	}
}

static bool region_new_locked(rt_stackpool *sp, sizeclass *c)
{
	region *r = rt_fixalloc_get(&sp->records);
	rt_region_done done = { .layout = layout_of(sp, c) };
	char *base = NULL;

	if (r == NULL)
		return false;
	if (!refused(sp, "reserve"))
		base = reserve_locked(sp, c, &done);
	if (base == NULL) {
		rt_fixalloc_put(&sp->records, r);
		return false;
	}
	if (done.committed == 0)
		be_arena_nohuge(base, c->reserve);
	*r = (region){c->regions, base, c->reserve, base, base, base + done.committed, base + done.guarded};
	c->regions = r;
	sp->reserved += r->size;
	return true;
}

/* Makes the slot at r->carved usable. Where memory costs nothing before its touch, many at once. */
static bool commit_next_locked(rt_stackpool *sp, sizeclass *c, region *r)
{
	size_t done = (size_t)(r->committed - r->base), step = done, left = r->size - done;
	char *from, *to;

	if (r->carved + c->size <= r->committed || !sp->arena->lazy_commit)
		return true;
	if (step < COMMIT_FIRST)
		step = COMMIT_FIRST;
	if (step > COMMIT_MAX)
		step = COMMIT_MAX;
	if (step < c->size)
		step = c->size;
	if (step > left)
		step = left;
	to = r->committed + step;
	from = r->ready > r->committed ? r->ready : r->committed;
	if (refused(sp, "commit") || (from < to && be_arena_commit(from, (size_t)(to - from)) != 0))
		return false;
	r->committed = to;
	return true;
}

static void guard_locked(rt_stackpool *sp, const region *r, rt_stack *s)
{
	const be_arena_caps *a = sp->arena;

	if (sp->guards && (a->guard_cheap || sp->nguards < a->guard_max) &&
	    !(sp->debug != NULL && rt_fail_now(sp->debug, "guard")) &&
	    (rt_stack_base(s) < r->guarded || be_arena_guard(rt_stack_base(s), a->page) == 0)) {
		s->flags |= RT_STACK_GUARDED | (a->stacks_grow ? RT_STACK_GROWS : 0);
		sp->nguards++;
	} else {
		sp->nunguarded++; /* it runs, only its overflow is not noticed */
	}
}

static rt_stack *carve_locked(rt_stackpool *sp, sizeclass *c)
{
	region *r = c->regions;
	rt_stack *s;
	size_t color;

	if (r == NULL || (size_t)(r->base + r->size - r->carved) < c->size) {
		if (!region_new_locked(sp, c))
			return NULL;
		r = c->regions;
	}
	if (!commit_next_locked(sp, c, r) || (s = rt_fixalloc_get(&sp->records)) == NULL)
		return NULL;
	color = (size_t)(r->carved - r->base) / c->size % COLORS * COLOR;
	*s = (rt_stack){.lo = r->carved + sp->arena->page + sp->room,
	                .hi = r->carved + c->size - color,
	                .size = c->size,
	                .limit = r->carved + sp->arena->page + sp->room,
	                .flags = sp->arena->lazy_commit ? RT_STACK_COMMITTED : 0};
	r->carved += c->size;
	guard_locked(sp, r, s);
	return s;
}

/* ---- The hot deque; under the lock ---- */

static void hot_push_locked(sizeclass *c, rt_stack *s)
{
	s->prev = NULL;
	s->next = c->hot;
	if (c->hot != NULL)
		c->hot->prev = s;
	else
		c->hottail = s;
	c->hot = s;
	c->nhot++;
}

static rt_stack *hot_pop_locked(sizeclass *c)
{
	rt_stack *s = c->hot;

	c->hot = s->next;
	if (c->hot != NULL)
		c->hot->prev = NULL;
	else
		c->hottail = NULL;
	if (--c->nhot < c->unneeded)
		c->unneeded = c->nhot;
	return s;
}

static rt_stack *hot_pop_oldest_locked(sizeclass *c)
{
	rt_stack *s = c->hottail;

	c->hottail = s->prev;
	if (c->hottail != NULL)
		c->hottail->next = NULL;
	else
		c->hot = NULL;
	c->nhot--;
	return s;
}

static rt_stack *take_locked(rt_stackpool *sp, sizeclass *c)
{
	rt_stack *s;

	if (c->hot != NULL) {
		s = hot_pop_locked(c);
	} else if (c->cold != NULL) {
		s = c->cold;
		c->cold = s->next;
		c->ncold--;
	} else {
		s = carve_locked(sp, c);
		if (s == NULL)
			return NULL;
	}
	c->inuse++;
	return s;
}

static void give_locked(sizeclass *c, rt_stack *s)
{
	RT_ASSERT(c->size == s->size && c->inuse > 0);
	c->inuse--;
	if (s->flags & RT_STACK_DIRTY) {
		hot_push_locked(c, s);
		return;
	}
	s->next = c->cold;
	c->cold = s;
	c->ncold++;
}

/* ---- Cooling: pages go back in batches ---- */

static rt_stack *merge(rt_stack *a, rt_stack *b)
{
	rt_stack *head = NULL, **tail = &head;

	while (a != NULL && b != NULL) {
		rt_stack **low = a->lo < b->lo ? &a : &b;

		*tail = *low;
		tail = &(*tail)->next;
		*low = (*low)->next;
	}
	*tail = a != NULL ? a : b;
	return head;
}

/* By address. bins[i] holds a sorted list of 2^i or nothing, as a binary counter. */
static rt_stack *sort(rt_stack *list)
{
	rt_stack *bins[10] = {NULL}, *sorted = NULL;
	size_t i;

	_Static_assert(COOL_BATCH < 1 << 10, "as many bins as bits");
	while (list != NULL) {
		rt_stack *s = list;

		list = s->next;
		s->next = NULL;
		for (i = 0; bins[i] != NULL; i++) {
			s = merge(bins[i], s);
			bins[i] = NULL;
		}
		bins[i] = s;
	}
	for (i = 0; i < RT_NELEM(bins); i++)
		sorted = merge(bins[i], sorted);
	return sorted;
}

bool rt_stack_trim(const rt_stackpool *sp, rt_stack *s, const void *at, uint64_t run, bool now)
{
	const be_arena_caps *a = sp->arena;
	size_t size = (size_t)((const char *)at - s->lo) & ~(a->page - 1);
	uint64_t seen = run << 1, done = seen | 1;

	RT_ASSERT((const char *)at >= s->lo && (const char *)at <= s->hi);
	if (!a->lazy_commit || size == 0 || s->seen == done)
		return false;
	if (!now && s->seen != seen) {
		s->seen = seen;
		return false;
	}
	s->seen = done; /* also if the system does not want them: asking again would not help */
	return !(sp->debug != NULL && rt_fail_now(sp->debug, "trim")) && be_arena_discard(s->lo, size) == 0;
}

/* The pages of the run of neighbours s..last. True: they are gone. */
static bool drop_run(const be_arena_caps *a, rt_stack *s, rt_stack *last)
{
	char *from = a->lazy_commit ? s->lo : rt_stack_base(s);
	size_t size = (size_t)(rt_stack_base(last) + last->size - from);

	return (a->lazy_commit ? be_arena_discard : be_arena_decommit)(from, size) == 0;
}

/* A run whose pages the system does not take keeps them and counts as cold all the same: asking
 * again would not help, and the next touch finds them. */
static void drop_pages(const be_arena_caps *a, rt_stack *list)
{
	while (list != NULL) {
		rt_stack *last = list, *after;
		bool gone;

		while (last->next != NULL &&
		       rt_stack_base(last->next) == rt_stack_base(last) + last->size)
			last = last->next;
		gone = drop_run(a, list, last);
		after = last->next;
		for (; list != after; list = list->next) {
			list->flags &= ~(unsigned)RT_STACK_DIRTY;
			if (gone && !a->lazy_commit)
				list->flags &= ~(unsigned)RT_STACK_COMMITTED;
		}
	}
}

static rt_stack *cool_begin_locked(sizeclass *c)
{
	rt_stack *list = NULL;

	if (c->unneeded < HOT_MIN + COOL_BATCH || c->nhot < HOT_MIN + COOL_BATCH)
		return NULL;
	c->unneeded -= COOL_BATCH;
	for (int n = 0; n < COOL_BATCH; n++) {
		rt_stack *s = hot_pop_oldest_locked(c);

		s->next = list;
		list = s;
	}
	return list;
}

/* list: of cool_begin_locked. Its slots are on no list meanwhile, so the lock is not needed. */
static void cool(rt_stackpool *sp, sizeclass *c, rt_stack *list)
{
	rt_stack *last;

	if (list == NULL)
		return;
	list = sort(list);
	drop_pages(sp->arena, list);
	for (last = list; last->next != NULL; last = last->next)
		;
	rt_lock(&sp->lock, RT_RANK_stackpool);
	last->next = c->cold;
	c->cold = list;
	c->ncold += COOL_BATCH;
	rt_unlock(&sp->lock, RT_RANK_stackpool);
}

/* ---- The pool ---- */

/* The class of a size; its fields are set when it is first used. NULL: no such size. */
static sizeclass *class_locked(rt_stackpool *sp, size_t size)
{
	size_t slot = sp->classes[0].size;
	sizeclass *c;
	int i = 1;

	if (size == 0 || size == slot)
		return &sp->classes[0];
	slot = MIN_SLOT;
	while (slot < 2 * sp->arena->page)
		slot *= 2;
	for (; slot < size; slot *= 2)
		if (++i == NCLASS || slot > SIZE_MAX / 4)
			return NULL;
	if (slot == sp->classes[0].size)
		return &sp->classes[0];
	c = &sp->classes[i];
	if (c->size == 0) {
		c->size = slot;
		c->reserve = first_reserve(sp->arena, OTHER_RESERVE, slot);
	}
	return c;
}

int rt_stackpool_new(rt_stackpool **out, size_t slot, rt_debugvars *debug)
{
	const be_arena_caps *a = be_arena_query();
	size_t bytes = round_up(sizeof(rt_stackpool), a->granularity);
	rt_stackpool *sp;

	if (slot > a->max_reserve || (debug != NULL && rt_oom_now(debug)))
		return -ENOMEM;
	sp = rt_region_new(bytes);
	if (sp == NULL)
		return -ENOMEM;
	if (slot < MIN_SLOT)
		slot = MIN_SLOT;
	if (slot < 2 * a->page)
		slot = 2 * a->page;
	slot = round_up(slot, a->page) + stack_room(a);
	*sp = (rt_stackpool){.arena = a,
	                     .room = stack_room(a),
	                     .debug = debug,
	                     .guards = debug == NULL || debug->stackguard};
	sp->classes[0].size = slot;
	sp->classes[0].reserve = first_reserve(a, OWN_RESERVE, slot);
	rt_fixalloc_init(&sp->records, sizeof(rt_stack), debug);
	*out = sp;
	return 0;
}

/* An overflow has used the growth guard: the slot begins anew. Without an answer from the system it
 * is used as it is, and the next overflow of it is not noticed. */
static void renew(rt_stackpool *sp, rt_stack *s)
{
	if (be_arena_decommit(rt_stack_base(s), s->size) == 0)
		s->flags &= ~(unsigned)(RT_STACK_COMMITTED | RT_STACK_DIRTY);
}

/* Takes no lock: in the child of a fork its holder may be gone. The records go with their chunks. And who forked may
 * have been a goroutine: then the child stands on one of these stacks, and keeps the region. */
static void class_free(const rt_stackpool *sp, sizeclass *c)
{
	char *here = __builtin_frame_address(0);

	for (region *r = c->regions; r != NULL; r = r->next) {
		char *guarded = r->carved > r->guarded ? r->carved : r->guarded;
		char *ready = r->committed > r->ready ? r->committed : r->ready;
		rt_region_done done = { layout_of(sp, c), (size_t)(ready - r->base), 0, r->size };

		if (sp->guards && sp->nunguarded == 0)
			done.guarded = (size_t)(guarded - r->base);
		if (here < (char *)r->base || here >= (char *)r->base + r->size)
			rt_region_release_done(r->base, r->size, &done);
	}
}

void rt_stackpool_free(rt_stackpool *sp)
{
	for (int i = 0; i < NCLASS; i++)
		class_free(sp, &sp->classes[i]);
	rt_fixalloc_fini(&sp->records);
	rt_region_free_used(sp, round_up(sizeof *sp, sp->arena->granularity), sizeof *sp);
}

/* Commits the slot: a growing one's first pages and their guard, another as a whole. */
static bool commit_slot(const be_arena_caps *a, rt_stack *s)
{
	char *end = rt_stack_base(s) + s->size;

	s->limit = s->lo;
	if (s->flags & RT_STACK_GROWS) {
		s->limit = end - GROWS_FROM * a->page;
		if (be_arena_growth_guard(s->limit - a->page, a->page) != 0)
			return false;
	}
	return be_arena_commit(s->limit, (size_t)(end - s->limit)) == 0;
}

/* The last step before a slot is used. False: the system has no memory to commit. */
static bool make_ready(rt_stackpool *sp, rt_stack *s)
{
	if (RT_UNLIKELY(!(s->flags & RT_STACK_COMMITTED))) {
		if (refused(sp, "commit") || !commit_slot(sp->arena, s))
			return false;
		s->flags |= RT_STACK_COMMITTED;
	}
	s->flags |= RT_STACK_DIRTY;
	return true;
}

static rt_stack *get_one(rt_stackpool *sp, size_t size)
{
	rt_stack *s = NULL;
	sizeclass *c;

	rt_lock(&sp->lock, RT_RANK_stackpool);
	c = class_locked(sp, size);
	if (c != NULL)
		s = take_locked(sp, c);
	rt_unlock(&sp->lock, RT_RANK_stackpool);
	return s;
}

/* A few while the program is small, so that ten goroutines do not prepare sixty stacks. */
static bool refill(rt_stackpool *sp, rt_stackcache *cache)
{
	sizeclass *c = &sp->classes[0];
	rt_stack **tail = &cache->head;
	int want;

	RT_ASSERT(cache->n == 0 && (cache->size == 0 || cache->size == c->size));
	cache->size = c->size;
	rt_lock(&sp->lock, RT_RANK_stackpool);
	want = c->inuse < FEW_UNTIL ? FEW : HALF;
	while (cache->n < want) {
		rt_stack *s = take_locked(sp, c);

		if (s == NULL)
			break;
		*tail = s; /* the hottest comes first and stays first */
		tail = &s->next;
		cache->n++;
	}
	*tail = NULL;
	rt_unlock(&sp->lock, RT_RANK_stackpool);
	return cache->n > 0;
}

static void put_one(rt_stackpool *sp, rt_stack *s)
{
	sizeclass *c;

	rt_lock(&sp->lock, RT_RANK_stackpool);
	c = class_locked(sp, s->size);
	give_locked(c, s);
	rt_unlock(&sp->lock, RT_RANK_stackpool);
}

/* The oldest n of the cache's slots; those that were freed last stay. */
static void drain(rt_stackpool *sp, rt_stackcache *cache, int n)
{
	sizeclass *c = &sp->classes[0];
	rt_stack **keep = &cache->head, *s;

	for (int i = cache->n - n; i > 0; i--)
		keep = &(*keep)->next;
	s = *keep;
	*keep = NULL;
	cache->n -= n;
	rt_lock(&sp->lock, RT_RANK_stackpool);
	while (s != NULL) {
		rt_stack *next = s->next;

		give_locked(c, s);
		s = next;
	}
	rt_unlock(&sp->lock, RT_RANK_stackpool);
}

static RT_NOINLINE rt_stack *get_slow(rt_stackpool *sp, rt_stackcache *cache, size_t size)
{
	bool own;
	rt_stack *s;

	if (size > SIZE_MAX / 4)
		return NULL;
	if (size != 0)
		size += sp->room;
	own = size == 0 || size == sp->classes[0].size;
	if (cache == NULL || !own) {
		s = get_one(sp, size);
	} else {
		if (RT_UNLIKELY(cache->n == 0) && !refill(sp, cache))
			return NULL;
		s = cache->head;
		cache->head = s->next;
		cache->n--;
	}
	if (s != NULL && RT_UNLIKELY(!make_ready(sp, s))) {
		put_one(sp, s);
		return NULL;
	}
	return s;
}

rt_stack *rt_stack_get(rt_stackpool *sp, rt_stackcache *cache, size_t size)
{
	rt_stack *s;

	if (size != 0 || cache == NULL || cache->n == 0 || !((s = cache->head)->flags & RT_STACK_COMMITTED))
		return get_slow(sp, cache, size);
	cache->head = s->next;
	cache->n--;
	s->flags |= RT_STACK_DIRTY;
	return s;
}

static RT_NOINLINE void put_slow(rt_stackpool *sp, rt_stackcache *cache, rt_stack *s)
{
	if (RT_UNLIKELY(s->limit < s->lo))
		renew(sp, s);
	if (cache == NULL || s->size != sp->classes[0].size) {
		put_one(sp, s);
		return;
	}
	if (RT_UNLIKELY(cache->n == RT_STACKCACHE_MAX))
		drain(sp, cache, HALF);
	RT_ASSERT(cache->size == 0 || cache->size == s->size);
	cache->size = s->size;
	s->next = cache->head;
	cache->head = s;
	cache->n++;
}

void rt_stack_put(rt_stackpool *sp, rt_stackcache *cache, rt_stack *s)
{
	if (cache == NULL || cache->n == RT_STACKCACHE_MAX || s->size != cache->size || s->limit < s->lo) {
		put_slow(sp, cache, s);
		return;
	}
	s->next = cache->head;
	cache->head = s;
	cache->n++;
}

void rt_stackcache_flush(rt_stackpool *sp, rt_stackcache *cache)
{
	if (cache->n > 0)
		drain(sp, cache, cache->n);
	RT_ASSERT(cache->n == 0 && cache->head == NULL);
}

void rt_stackpool_stats(rt_stackpool *sp, rt_stackstats *out)
{
	*out = (rt_stackstats){0};
	rt_lock(&sp->lock, RT_RANK_stackpool);
	out->reserved = sp->reserved;
	out->unguarded = sp->nunguarded;
	for (int i = 0; i < NCLASS; i++) {
		const sizeclass *c = &sp->classes[i];

		out->inuse += c->inuse;
		out->cached += c->nhot + c->ncold;
		out->hot += c->nhot;
		out->inuse_bytes += c->inuse * c->size;
		out->hot_bytes += c->nhot * c->size;
	}
	rt_unlock(&sp->lock, RT_RANK_stackpool);
}

int rt_stack_overflowed(const rt_stack *s, uintptr_t addr)
{
	return (s->flags & RT_STACK_GUARDED) != 0 && addr >= (uintptr_t)rt_stack_base(s) &&
	       addr < (uintptr_t)s->lo;
}

void rt_stackpool_tick(rt_stackpool *sp)
{
	for (int i = 0; i < NCLASS; i++) {
		sizeclass *c = &sp->classes[i];
		rt_stack *list;

		do {
			rt_lock(&sp->lock, RT_RANK_stackpool);
			list = cool_begin_locked(c);
			if (list == NULL)
				c->unneeded = c->nhot;
			rt_unlock(&sp->lock, RT_RANK_stackpool);
			cool(sp, c, list);
		} while (list != NULL);
	}
}

bool rt_stackpool_idle(rt_stackpool *sp)
{
	bool any = false;

	rt_lock(&sp->lock, RT_RANK_stackpool);
	for (int i = 0; i < NCLASS; i++)
		any = any || sp->classes[i].nhot >= HOT_MIN + COOL_BATCH;
	rt_unlock(&sp->lock, RT_RANK_stackpool);
	return any;
}
