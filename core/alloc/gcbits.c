/* gcbits.c: bitmaps out of chunks that are bumped. What is promised stands in gcbits.h.
 *
 * Taking is an atomic addition on the chunk's fill; who overshoots the end goes for the lock and
 * makes another chunk the next one. A chunk knows how far it was used, so that only that is cleared
 * when it is used again.
 *
 * Sweeping must not fail for want of a bitmap. Without memory a span's two bitmaps change places;
 * the old allocation bits then live two cycles longer than their chunk was meant to, so that for
 * the next two turns none is freed.
 */
#include "core/alloc/gcbits.h"

#include <string.h>

enum { HOLD = 2 };

struct rt_gcbits_chunk {
	rt_atomic64 used; /* bytes of bits; above sizeof bits: it was asked for more than it has */
	rt_gcbits_chunk *link;
	char bits[RT_GCBITS_CHUNK - 2 * sizeof(void *)];
};

_Static_assert(sizeof(rt_gcbits_chunk) == RT_GCBITS_CHUNK, "a chunk is what the system gives");

void rt_gcbits_init(rt_gcbits *b, rt_sysmem *mem)
{
	memset(b, 0, sizeof *b);
	b->mem = mem;
}

static void release_list(rt_gcbits *b, rt_gcbits_chunk *c)
{
	while (c != NULL) {
		rt_gcbits_chunk *link = c->link;

		rt_sys_release(b->mem, c, sizeof *c, RT_MEM_BITS);
		c = link;
	}
}

void rt_gcbits_fini(rt_gcbits *b)
{
	release_list(b, rt_loadptr_rlx(&b->next));
	release_list(b, b->full.first);
	release_list(b, b->current.first);
	release_list(b, b->previous.first);
	release_list(b, b->free.first);
	memset(b, 0, sizeof *b);
}

static rt_atomic64 *take(rt_gcbits_chunk *c, size_t bytes)
{
	uint64_t at;

	/* The look first: so the fill stays below twice the size, whoever asks however often. */
	if (c == NULL || rt_load64_rlx(&c->used) + bytes > sizeof c->bits)
		return NULL;
	at = rt_add64_full(&c->used, bytes);
	return at + bytes <= sizeof c->bits ? (rt_atomic64 *)(c->bits + at) : NULL;
}

static void push(rt_gcbits_list *l, rt_gcbits_chunk *c)
{
	c->link = l->first;
	if (l->first == NULL)
		l->last = c;
	l->first = c;
}

/* from in front of to */
static void join(rt_gcbits_list *from, rt_gcbits_list *to)
{
	if (from->first == NULL)
		return;
	from->last->link = to->first;
	if (to->first == NULL)
		to->last = from->last;
	to->first = from->first;
	from->first = NULL;
}

static rt_gcbits_chunk *chunk_locked(rt_gcbits *b)
{
	rt_gcbits_chunk *c = b->free.first;
	uint64_t used;

	if (c == NULL) /* zeroed by the system */
		return rt_sys_alloc(b->mem, sizeof *c, RT_MEM_BITS);
	b->free.first = c->link;
	c->link = NULL;
	used = rt_load64_rlx(&c->used);
	memset(c->bits, 0, used < sizeof c->bits ? used : sizeof c->bits);
	rt_store64_rlx(&c->used, 0);
	return c;
}

static rt_atomic64 *new_locked(rt_gcbits *b, size_t bytes)
{
	rt_gcbits_chunk *old = rt_loadptr_rlx(&b->next), *c;
	rt_atomic64 *bits = take(old, bytes); /* somebody may have been here before */

	if (bits != NULL || (c = chunk_locked(b)) == NULL)
		return bits;
	bits = take(c, bytes); /* before others see it: there is room */
	if (old != NULL)
		push(&b->full, old);
	rt_storeptr_rel(&b->next, c);
	return bits;
}

rt_atomic64 *rt_gcbits_new(rt_gcbits *b, unsigned n)
{
	size_t bytes = (n + 63) / 64 * sizeof(rt_atomic64);
	rt_atomic64 *bits = take(rt_loadptr_acq(&b->next), bytes);

	if (RT_LIKELY(bits != NULL))
		return bits;
	rt_lock(&b->lock, RT_RANK_gcbits);
	bits = new_locked(b, bytes);
	rt_unlock(&b->lock, RT_RANK_gcbits);
	return bits;
}

void rt_gcbits_hold(rt_gcbits *b)
{
	rt_lock(&b->lock, RT_RANK_gcbits);
	b->hold = HOLD;
	rt_unlock(&b->lock, RT_RANK_gcbits);
}

void rt_gcbits_rotate(rt_gcbits *b)
{
	rt_gcbits_chunk *c;

	rt_lock(&b->lock, RT_RANK_gcbits);
	if (b->hold > 0)
		b->hold--;
	else
		join(&b->previous, &b->free);
	join(&b->current, &b->previous);
	join(&b->full, &b->current);
	c = rt_loadptr_rlx(&b->next);
	if (c != NULL) {
		push(&b->current, c);
		rt_storeptr_rel(&b->next, NULL);
	}
	rt_unlock(&b->lock, RT_RANK_gcbits);
}
