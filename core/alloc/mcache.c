/* mcache.c: a P's spans. What is promised stands in mcache.h.
 *
 * heap.live is raised by all that is free in a span when a P takes it, and lowered by what is left
 * when it comes back in the same cycle: between collections it is never too low, and no allocation
 * touches it. In the same way objects are counted when a span goes: free slots when it came, less
 * those that are left.
 */
#include "core/alloc/mcache.h"

#include "core/alloc/heapbits.h"
#include "core/alloc/sweep.h"

#include <string.h>

enum { CLEAR_TOGETHER = 512 };

/* What a class without a span has: full, so that the first allocation comes here. Never written. */
static const rt_span nothing;

static rt_span *no_span(void)
{
	return (rt_span *)&nothing;
}

void rt_mcache_init(rt_mcache *mc, rt_mheap *h)
{
	memset(mc, 0, sizeof *mc);
	mc->heap = h;
	for (unsigned i = 0; i < RT_NSPANCLASS; i++)
		mc->alloc[i] = no_span();
	rt_store32_rlx(&mc->flushgen, rt_load32_rlx(&h->sweepgen));
}

/* Objects given out of alloc[spc] since it was counted last. */
static void count(rt_mcache *mc, unsigned spc)
{
	rt_span *s = mc->alloc[spc];
	uint32_t left = rt_span_left(s), given = mc->left[spc] - left;

	mc->left[spc] = left;
	s->alloccount += given;
	rt_count64_owner(&mc->count.allocs[spc >> 1], given);
	if (!rt_spc_noscan(spc))
		mc->scannable += given * s->elemsize;
}

void rt_mcache_count(rt_mcache *mc)
{
	for (unsigned i = 0; i < RT_NSPANCLASS; i++)
		if (mc->alloc[i] != no_span())
			count(mc, i);
}

/* Not with each span that goes: who reads it looks into the caches as well. */
static void flush_scannable(rt_mcache *mc)
{
	if (mc->scannable > 0)
		rt_add64_full(&mc->heap->scannable, mc->scannable);
	mc->scannable = 0;
}

/* Objects that are made while a collection marks are black. The bit is set later than the object is there: who finds it
 * meanwhile marks and scans it, which is more than need be, and no harm. */
static void blacken(rt_mcache *mc, unsigned spc)
{
	rt_span *s = mc->alloc[spc];
	uint64_t given = mc->whole[spc] & ~s->cache;
	rt_atomic64 *word;

	mc->whole[spc] = s->cache;
	if (given == 0)
		return;
	word = &rt_span_markbits(s)[s->window / 64];
	given &= ~rt_load64_rlx(word);
	rt_or64_full(word, given);
	rt_page_marked(mc->heap, s);
	mc->blackbytes += (unsigned)__builtin_popcountll(given) * s->elemsize;
}

void rt_mcache_black_begin(rt_mcache *mc)
{
	mc->black = true;
	mc->blackbytes = 0;
	for (unsigned i = 0; i < RT_NSPANCLASS; i++)
		mc->whole[i] = mc->alloc[i]->cache;
}

void rt_mcache_black_flush(rt_mcache *mc)
{
	for (unsigned i = 0; i < RT_NSPANCLASS; i++)
		blacken(mc, i);
}

void rt_mcache_black_end(rt_mcache *mc)
{
	mc->black = false;
}

static void give_back(rt_mcache *mc, unsigned spc)
{
	rt_mheap *h = mc->heap;
	rt_span *s = mc->alloc[spc];

	count(mc, spc);
	mc->alloc[spc] = no_span();
	mc->whole[spc] = 0;
	/* Cached across the end of a cycle: its free slots are not in heap.live any more. */
	if (rt_load32_rlx(&s->sweepgen) != rt_load32_rlx(&h->sweepgen) + 1 && mc->left[spc] > 0)
		rt_add64_full(&h->live, -(mc->left[spc] * s->elemsize));
	rt_central_put(h, mc, s);
}

void rt_mcache_release(rt_mcache *mc)
{
	for (unsigned i = 0; i < RT_NSPANCLASS; i++)
		if (mc->alloc[i] != no_span())
			give_back(mc, i);
	mc->tiny = NULL;
	mc->tinyoff = 0;
	flush_scannable(mc);
}

void rt_mcache_flush(rt_mcache *mc)
{
	rt_mheap *h = mc->heap;

	rt_mcache_release(mc);
	rt_lock(&h->lock, RT_RANK_mheap);
	rt_pagecache_flush(&h->pages, &mc->pages);
	rt_unlock(&h->lock, RT_RANK_mheap);
	rt_spantable_put(&h->spans, mc->spare);
	mc->spare = NULL;
	mc->nspare = 0;
	rt_memcounters_move(&h->global, &mc->count);
}

bool rt_mcache_prepare(rt_mcache *mc)
{
	uint32_t gen = rt_load32_acq(&mc->heap->sweepgen);

	if (RT_LIKELY(rt_load32_rlx(&mc->flushgen) == gen))
		return false;
	rt_stretch_begin(mc->heap, mc);
	rt_mcache_release(mc);
	rt_stretch_end(mc->heap, mc);
	rt_store32_rel(&mc->flushgen, gen);
	return true;
}

/* The free slots of a window, run by run. */
static void clear_window(rt_span *s)
{
	uint64_t free = s->cache;
	unsigned at = 0;

	while (free != 0) {
		unsigned skip = (unsigned)__builtin_ctzll(free), n;

		free >>= skip;
		n = free != ~(uint64_t)0 ? (unsigned)__builtin_ctzll(~free) : 64;
		memset(s->windowbase + (at + skip) * s->elemsize, 0, n * s->elemsize);
		at += skip + n;
		free = n < 64 ? free >> n : 0;
	}
}

/* Slots are described together, too, for types that come in rows, as most do. */
static void describe_window(rt_mcache *mc, rt_span *s, unsigned spc)
{
	uint64_t mask = mc->wanted[spc >> 1];

	mc->ready[spc >> 1] = mask;
	if (mask != 0)
		rt_heapbits_fill(s, s->window, s->cache, mask);
}

/* Small slots are cleared together: one call for many, and their lines come in a row. */
static void clear_or_tell(rt_span *s)
{
	s->clear = 0;
	if (!s->needzero)
		return;
	if (s->elemsize <= CLEAR_TOGETHER)
		clear_window(s);
	else
		s->clear = (uint32_t)s->elemsize;
}

static bool new_span(rt_mcache *mc, unsigned spc)
{
	rt_mheap *h = mc->heap;
	uint64_t taken, before;
	rt_span *s;

	if (mc->alloc[spc] != no_span())
		give_back(mc, spc);
	s = rt_central_get(h, mc, spc);
	if (s == NULL)
		return false;
	rt_store32_rel(&s->sweepgen, rt_load32_rlx(&h->sweepgen) + 3);
	mc->alloc[spc] = s;
	mc->left[spc] = rt_span_left(s);
	taken = mc->left[spc] * s->elemsize;
	before = rt_add64_full(&h->live, taken);
	mc->grown = true;
	RT_HEAP_TRACE(h, HEAP, HEAP_LIVE, before + taken, 0, 0);
	return true;
}

RT_NOINLINE rt_slot rt_mcache_refill(rt_mcache *mc, unsigned spc)
{
	rt_span *s = mc->alloc[spc];

	RT_ASSERT(rt_load32_rlx(&mc->flushgen) == rt_load32_rlx(&mc->heap->sweepgen));
	if (mc->black)
		blacken(mc, spc);
	if ((s == no_span() || !rt_span_window_next(s)) && !new_span(mc, spc))
		return (rt_slot){NULL, NULL, 0};
	mc->whole[spc] = mc->alloc[spc]->cache;
	mc->fresh = true;
	clear_or_tell(mc->alloc[spc]);
	if (!rt_spc_noscan(spc))
		describe_window(mc, mc->alloc[spc], spc);
	return rt_mcache_next(mc, spc);
}
