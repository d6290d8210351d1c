/* poolchain.c: a chain of rings (Go's poolChain and poolDequeue, spec/07 4.4). The owner pushes and
 * pops at the head of the newest ring; thieves take from the tail of the oldest. A full ring gets a
 * successor of twice the size, an empty one that has a successor is dropped by the thief that
 * finds it so.
 *
 * In a ring `ends` holds both indices, head above tail, in one word, so that the last object has one
 * taker: pop moves head down and steal moves tail up by compare-and-swap. Push needs none: only it moves
 * head up. The taker then reads the slot, and a thief clears it, with release: that gives the slot back to
 * the owner, who reads it with acquire and calls the ring full while it is not NULL.
 *
 * A ring that is empty although `next` was set before it was looked at stays empty: the owner
 * pushes into the newest only. So a thief reads `next` first.
 *
 * A dropped ring may still be under the eyes of other thieves, so rings are heap objects and nobody
 * frees them; that also keeps the compare-and-swap on `tail` from meeting an old ring at a new
 * place.
 */
#include "core/sync/poolchain.h"

#include "core/base/check.h"
#include "core/gc/gc.h"

enum { FIRST_RING = 8, MAX_RING = 1 << 26 };

struct rt_poolring {
	rt_atomic64 ends;         /* head << 32 | tail, running freely */
	rt_atomicptr next, prev;  /* newer, older */
	uint32_t n;               /* set once */
	rt_atomicptr slot[];      /* NULL: free */
};

size_t rt_poolring_bytes(uint32_t n)
{
	return sizeof(rt_poolring) + n * sizeof(rt_atomicptr);
}

void rt_poolring_init(rt_poolring *r, uint32_t n)
{
	r->n = n;
}

static uint32_t head_of(uint64_t ends)
{
	return (uint32_t)(ends >> 32);
}
static uint32_t tail_of(uint64_t ends)
{
	return (uint32_t)ends;
}
static rt_atomicptr *slot_at(rt_poolring *r, uint32_t i)
{
	return &r->slot[i & (r->n - 1)];
}

/* ---- One ring ------------------------------------------------------------------------------- */

static bool ring_push(rt_poolring *r, void *obj)
{
	uint64_t ends = rt_load64_rlx(&r->ends);
	rt_atomicptr *slot = slot_at(r, head_of(ends));

	if (head_of(ends) - tail_of(ends) == r->n)
		return false;
	if (rt_loadptr_acq(slot) != NULL) /* its thief is not done; pairs with the release in ring_steal */
		return false;
	rt_store_ptr(slot, obj);
	rt_add64_full(&r->ends, (uint64_t)1 << 32);
	return true;
}

static void *ring_pop(rt_poolring *r)
{
	for (;;) {
		uint64_t ends = rt_load64_rlx(&r->ends);
		rt_atomicptr *slot;
		void *obj;

		if (head_of(ends) == tail_of(ends))
			return NULL;
		if (!rt_cas64_full(&r->ends, ends, ends - ((uint64_t)1 << 32)))
			continue;
		slot = slot_at(r, head_of(ends) - 1);
		obj = rt_loadptr_rlx(slot);
		rt_storeptr_rlx(slot, NULL);
		rt_delete_ptr(obj);
		return obj;
	}
}

static void *ring_steal(rt_poolring *r)
{
	for (;;) {
		uint64_t ends = rt_load64_acq(&r->ends);
		rt_atomicptr *slot;
		void *obj;

		if (head_of(ends) == tail_of(ends))
			return NULL;
		/* Only the lower half moves: a carry into head would be a wrap of tail. */
		if (!rt_cas64_full(&r->ends, ends,
		                   (ends & ~(uint64_t)UINT32_MAX) | (uint32_t)(tail_of(ends) + 1)))
			continue;
		slot = slot_at(r, tail_of(ends));
		obj = rt_loadptr_rlx(slot);
		rt_delete_ptr(obj);
		rt_storeptr_rel(slot, NULL);
		return obj;
	}
}

/* ---- The chain ------------------------------------------------------------------------------- */

uint32_t rt_poolchain_want(const rt_poolchain *c)
{
	const rt_poolring *r = rt_loadptr_rlx(&c->head);

	if (r == NULL)
		return FIRST_RING;
	return r->n < MAX_RING ? 2 * r->n : r->n;
}

bool rt_poolchain_push(rt_poolchain *c, void *obj, rt_poolring **spare)
{
	rt_poolring *r = rt_loadptr_rlx(&c->head), *fresh = *spare;
	bool pushed;

	if (r != NULL && ring_push(r, obj))
		return true;
	if (fresh == NULL)
		return false;
	*spare = NULL;
	pushed = ring_push(fresh, obj);
	RT_ASSERT(pushed);
	(void)pushed;
	rt_store_ptr(&fresh->prev, r);
	rt_store_ptr(&c->head, fresh);
	/* Thieves find it with what it holds. */
	rt_store_ptr(r != NULL ? &r->next : &c->tail, fresh);
	return true;
}

void *rt_poolchain_pop(rt_poolchain *c)
{
	void *obj;

	/* Older rings may hold something that no thief has taken yet. */
	for (rt_poolring *r = rt_loadptr_rlx(&c->head); r != NULL; r = rt_loadptr_acq(&r->prev))
		if ((obj = ring_pop(r)) != NULL)
			return obj;
	return NULL;
}

void *rt_poolchain_steal(rt_poolchain *c)
{
	rt_poolring *r = rt_loadptr_acq(&c->tail), *next;
	void *obj;

	for (; r != NULL; r = next) {
		next = rt_loadptr_acq(&r->next); /* before looking into r, see the head */
		obj = ring_steal(r);
		if (obj != NULL)
			return obj;
		/* The owner needs not look back at it either. */
		if (next != NULL && rt_casptr_rel(&c->tail, r, next))
			rt_storeptr_rel(&next->prev, NULL);
	}
	return NULL;
}
