/* pool.c: sync.Pool (spec/07 4.4).
 *
 * Each P has a place of its own in a pool: one object, and a chain (poolchain.h) on which it works as on
 * a stack and from which others steal when their own is empty. A goroutine inside the runtime stays on its
 * P, so the own place needs no lock.
 *
 * A collection begins with rt_pool_cleanup: what a pool holds becomes its victim generation, and what
 * was the victim is dropped. Get looks there last. So an object that nobody takes survives one
 * collection and not two.
 *
 * The public struct may lie in any memory, also in a frame or a block that is gone when a collection
 * begins, so the collector must not have to find it. What a pool holds hangs on a record of the runtime; the
 * struct names the record and its number, whose upper half says whose it is: a pool that was used in another
 * runtime, which may be gone with all its records, is as new. The record of a pool that has been idle for two
 * collections is given to another with a new number, and the pool, when it is used again, finds that the number
 * differs and asks for a record as a new one does. Records are never unmapped while the runtime lives.
 *
 * Rejected: Go's list of all pools, through which a collection writes into them.
 */
#include "core/sync/pool.h"

#include "core/builtin/type.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"
#include "core/sync/poolchain.h"

#include <stdlib.h>

typedef struct place {
	rt_atomicptr own; /* owner P only */
	rt_poolchain chain;
	char pad[2 * RT_CACHELINE - 3 * sizeof(void *)]; /* also from the prefetcher's neighbour */
} place;

typedef struct generation { /* heap object */
	uint32_t n; /* set once */
	char pad[2 * RT_CACHELINE - sizeof(uint32_t)];
	place of[]; /* by the number of the P */
} generation;

typedef struct record {
	struct record *next; /* of all, or of the free ones; guarded by rt_pools.lock */
	rt_atomic64 number;  /* 0 = free; changes with the world stopped, or under the lock */
	rt_atomicptr now;    /* generation; grows under the lock */
	rt_atomicptr victim; /* generation */
} record;

typedef struct rt_pools {
	rt_mutex lock;       /* rank pools; by rt_plock */
	/* guarded by lock */
	record *all, *free;
	uint64_t numbers;    /* the last one */
	rt_atomic32 serial;  /* the upper half of numbers, no other runtime's; read without the lock */
	rt_fixalloc records;
} rt_pools;

typedef struct pool {
	rt_atomicptr record;
	rt_atomic64 number;
	void *unused[2];
	void *(*make)(void *arg);
	void *arg;
} pool;

_Static_assert(sizeof(pool) == sizeof(gort_pool), "the public size is for ever");
_Static_assert(sizeof(place) == 2 * RT_CACHELINE, "places do not share lines");

GORT_API const gort_type *gort_type_of_gort_pool(void)
{
	/* Only `arg` may be a heap pointer. */
	static const size_t ptrs[] = { offsetof(gort_pool, arg) };
	static const gort_type t = { .size = sizeof(gort_pool), .align = GORT_ALIGNOF(gort_pool),
		.kind = GORT_KIND_STRUCT, .hash = 0x5bd1e995u, .name = "gort_pool",
		.period = sizeof(gort_pool), .nptrs = 1, .ptrs = ptrs,
		.mask = (uint64_t)1 << (offsetof(gort_pool, arg) / sizeof(void *)) };

	return &t;
}

static uint32_t next_serial(void)
{
	static rt_atomic32 serials;
	uint32_t serial;

	do
		serial = rt_add32_full(&serials, 1) + 1;
	while (serial == 0); /* that is in a pool, or a group, which has never been used */
	return serial;
}

/* From here on all pools are as new. */
static void renumber(rt_pools *ps, uint32_t serial)
{
	ps->numbers = (uint64_t)serial << 32;
	rt_store32_rel(&ps->serial, serial);
}

int rt_pools_init(gort_runtime *rt)
{
	rt->pools = calloc(1, sizeof *rt->pools); /* on the host's thread, at boot */
	if (rt->pools == NULL)
		return GORT_ENOMEM;
	rt->serial = next_serial();
	renumber(rt->pools, rt->serial);
	rt_fixalloc_init(&rt->pools->records, sizeof(record), &rt->debug);
	return 0;
}

void rt_pools_fini(gort_runtime *rt)
{
	if (rt->pools == NULL)
		return;
	rt_fixalloc_fini(&rt->pools->records);
	free(rt->pools);
	rt->pools = NULL;
}

/* ---- Places --------------------------------------------------------------------------------- */

/* The record first, then the number, by who enrolls; here the other way. So behind a number of ours stands a record
 * of ours, which is there as long as the runtime is. The two may be of different moments; then they do not fit. */
static inline record *known(const rt_pools *ps, pool *p)
{
	uint64_t number = rt_load64_acq(&p->number);
	record *r;

	if (number >> 32 != rt_load32_rlx(&ps->serial))
		return NULL;
	r = rt_loadptr_rlx(&p->record);
	return rt_load64_rlx(&r->number) == number ? r : NULL;
}

static _Noreturn void out_of_memory(void)
{
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

static record *enroll(pool *p)
{
	rt_pools *ps = rt_self()->rt->pools;
	record *r;

	rt_plock(&ps->lock, RT_RANK_pools);
	r = known(ps, p);
	if (r == NULL) {
		r = ps->free;
		if (r != NULL)
			ps->free = r->next;
		else
			r = rt_fixalloc_get(&ps->records);
		if (r == NULL) {
			rt_punlock(&ps->lock, RT_RANK_pools);
			out_of_memory();
		}
		if ((uint32_t)ps->numbers == UINT32_MAX)
			renumber(ps, next_serial());
		r->next = ps->all;
		ps->all = r;
		rt_storeptr_rlx(&r->now, NULL);
		rt_storeptr_rlx(&r->victim, NULL);
		rt_store64_rlx(&r->number, ++ps->numbers);
		rt_storeptr_rlx(&p->record, r);
		rt_store64_rel(&p->number, ps->numbers);
	}
	rt_punlock(&ps->lock, RT_RANK_pools);
	return r;
}

/* A generation with a place for every P. Allocation may stop for a collection. */
static RT_NOINLINE void make_places(pool *p)
{
	rt_pools *ps = rt_self()->rt->pools;
	uint32_t n = (uint32_t)rt_gomaxprocs(rt_self()->rt);
	generation *g = rt_new_bytes(sizeof *g + n * sizeof(place), false), *old;
	record *r;

	g->n = n;
	r = known(ps, p);
	if (r == NULL)
		r = enroll(p);
	rt_plock(&ps->lock, RT_RANK_pools);
	old = rt_loadptr_rlx(&r->now);
	if (old == NULL || old->n < n)
		rt_storeptr_rel(&r->now, g);
	rt_punlock(&ps->lock, RT_RANK_pools);
}

static inline generation *places(pool *p, record **r)
{
	const rt_pools *ps = rt_self()->rt->pools;

	for (;;) {
		record *known_as = known(ps, p);
		generation *g = known_as != NULL ? rt_loadptr_acq(&known_as->now) : NULL;

		if (RT_LIKELY(g != NULL && (uint32_t)rt_self()->p->id < g->n)) {
			*r = known_as;
			return g;
		}
		make_places(p);
	}
}

static inline void *take_own(place *l)
{
	void *obj = rt_loadptr_rlx(&l->own);

	if (obj != NULL) {
		rt_storeptr_rlx(&l->own, NULL);
		rt_delete_ptr(obj);
	}
	return obj;
}

/* From the places of other Ps, then from the victim generation. */
static RT_NOINLINE void *get_slow(record *r, generation *g, uint32_t me)
{
	generation *victim;
	void *obj;

	for (uint32_t i = 1; i <= g->n; i++)
		if ((obj = rt_poolchain_steal(&g->of[(me + i) % g->n].chain)) != NULL)
			return obj;
	victim = rt_loadptr_acq(&r->victim);
	if (victim == NULL)
		return NULL;
	if (me < victim->n && (obj = take_own(&victim->of[me])) != NULL)
		return obj;
	for (uint32_t i = 0; i < victim->n; i++)
		if ((obj = rt_poolchain_steal(&victim->of[(me + i) % victim->n].chain)) != NULL)
			return obj;
	rt_storeptr_rlx(&r->victim, NULL); /* nobody need look again */
	return NULL;
}

/* ---- Collections: world stopped, so nobody is inside get or put ---------------------------------- */

void rt_pool_cleanup(gort_runtime *rt)
{
	rt_pools *ps = rt->pools;
	record **at = &ps->all, *r;

	while ((r = *at) != NULL) {
		void *now = rt_loadptr_rlx(&r->now);

		rt_storeptr_rlx(&r->victim, now);
		rt_storeptr_rlx(&r->now, NULL);
		if (now != NULL) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		rt_store64_rlx(&r->number, 0);
		r->next = ps->free;
		ps->free = r;
	}
}

void rt_pool_roots(gort_runtime *rt, void (*visit)(void *data, void **slot), void *data)
{
	for (record *r = rt->pools->all; r != NULL; r = r->next) {
		visit(data, (void **)&r->now);
		visit(data, (void **)&r->victim);
	}
}

/* ---- Public --------------------------------------------------------------------------------- */

GORT_API void *gort_pool_get(gort_pool *pub)
{
	pool *p = (pool *)pub;
	generation *g;
	record *r;
	uint32_t me;
	place *l;
	void *obj;

	(void)RT_ENTER();
	g = places(p, &r);
	me = (uint32_t)rt_self()->p->id;
	l = &g->of[me];
	obj = take_own(l);
	if (obj == NULL)
		obj = rt_poolchain_pop(&l->chain);
	if (obj == NULL)
		obj = get_slow(r, g, me);
	rt_leave();
	if (obj == NULL && p->make != NULL)
		obj = p->make(p->arg);
	return obj;
}

GORT_API void gort_pool_put(gort_pool *pub, void *obj)
{
	pool *p = (pool *)pub;
	rt_poolring *spare = NULL;

	if (obj == NULL)
		return;
	(void)RT_ENTER();
	for (;;) {
		record *r;
		generation *g = places(p, &r);
		place *l = &g->of[rt_self()->p->id];
		uint32_t want;

		if (rt_loadptr_rlx(&l->own) == NULL) {
			rt_store_ptr(&l->own, obj);
			break;
		}
		if (rt_poolchain_push(&l->chain, obj, &spare))
			break;
		want = rt_poolchain_want(&l->chain);
		spare = rt_new_bytes(rt_poolring_bytes(want), false); /* perhaps on another P afterwards */
		rt_poolring_init(spare, want);
	}
	rt_leave();
}
