/* sweep.c: the end of a span's cycle. What is promised stands in sweep.h, the states of a span in
 * span.h.
 *
 * Sweeping one span is little: its mark bits become its allocation bits. What was not marked is
 * free by that, without being touched. The right to do so is had by moving its sweepgen from h-2 to
 * h-1; everybody who looks for work, from whichever side, goes through that step, so that a span is
 * swept once.
 *
 * `active` counts those who may hold a span that is not finished, and its top bit says that the
 * lists are through: both together say that everything is swept. A sweeper that comes after the bit
 * is turned away.
 *
 * What a trace is told: a pair of events for each stretch (rt_stretch_begin), which is what somebody sweeps in one go,
 * for whatever reason; the first comes with the first span, so that who finds nothing to sweep says nothing. A trace
 * cannot begin in the middle: the world is stopped then, and who sweeps has a P. All sweeping is in a stretch; what
 * they have freed together is what was freed.
 *
 * Reclaiming looks for pages, not slots: it walks the arenas' bitmaps for spans in use without any
 * marked object, whose sweep frees all of their pages. It goes by 512 pages and keeps what it found
 * beyond need as credit for the next.
 */
#include "core/alloc/sweep.h"

#include "core/base/check.h"

#include <string.h>

#define DRAINED (UINT32_C(1) << 31)
enum { CLOBBER_WORD = 0xdeadbeef };

static double get_ratio(const rt_mheap *h)
{
	uint64_t bits = rt_load64_rlx(&h->sweep.ratio);
	double d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

static void set_ratio(rt_mheap *h, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof bits);
	rt_store64_rlx(&h->sweep.ratio, bits);
}

/* ---- Who sweeps ----------------------------------------------------------------------------- */

void rt_sweep_init(rt_mheap *h)
{
	rt_store32_rlx(&h->sweepgen, 2);
	rt_store32_rlx(&h->sweep.active, DRAINED);
	rt_store64_rlx(&h->sweep.reclaim, RT_RECLAIMED);
}

bool rt_sweep_enter(rt_mheap *h)
{
	for (;;) {
		uint32_t n = rt_load32_rlx(&h->sweep.active);

		if (n & DRAINED)
			return false;
		if (rt_cas32_full(&h->sweep.active, n, n + 1))
			return true;
	}
}

void rt_sweep_leave(rt_mheap *h)
{
	uint32_t n = rt_add32_full(&h->sweep.active, (uint32_t)-1);

	RT_ASSERT((n & ~DRAINED) > 0);
	(void)n;
}

static void drained(rt_mheap *h)
{
	uint32_t n;

	do {
		n = rt_load32_rlx(&h->sweep.active);
	} while (!(n & DRAINED) && !rt_cas32_full(&h->sweep.active, n, n | DRAINED));
}

bool rt_sweep_done(const rt_mheap *h)
{
	/* Pairs with rt_sweep_leave: what sweepers did is seen. */
	return rt_load32_acq(&h->sweep.active) == DRAINED;
}

void rt_mark_begin(rt_mheap *h)
{
	rt_lock(&h->lock, RT_RANK_mheap);
	for (uint32_t i = 0; i < h->pages.narenas; i++) {
		rt_arena *a = h->pages.arenas[i];

		for (unsigned w = 0; a != NULL && w < RT_NELEM(a->marked); w++)
			rt_store64_rlx(&a->marked[w], 0);
	}
	rt_unlock(&h->lock, RT_RANK_mheap);
}

void rt_sweep_begin(rt_mheap *h)
{
	if (!rt_sweep_done(h))
		rt_throw("sweep: a cycle ends while the last one is not swept");
	rt_gcbits_rotate(&h->bits);
	rt_store64_rlx(&h->sweep.swept, 0);
	rt_store64_rlx(&h->sweep.basispages, 0);
	rt_store64_rlx(&h->sweep.reclaim, 0);
	rt_store64_rlx(&h->sweep.credit, 0);
	rt_store32_rlx(&h->sweep.cursor, 0);
	set_ratio(h, 0);
	rt_store32_rel(&h->sweepgen, rt_load32_rlx(&h->sweepgen) + 2);
	rt_store32_rel(&h->sweep.active, 0);
}

/* ---- What is told of it --------------------------------------------------------------------- */

RT_COLD void rt_stretch_note(rt_mheap *h, rt_mcache *mc, bool on)
{
	RT_ASSERT(mc->stretch.on != on); /* one does not begin in another */
	mc->stretch.on = on;
	if (on)
		mc->stretch.swept = mc->stretch.freed = 0;
	else if (mc->stretch.swept > 0)
		RT_HEAP_TRACE(h, GC, SWEEP_END, mc->stretch.swept, mc->stretch.freed, 0);
}

/* One span of it. */
static RT_NOINLINE RT_COLD void stretch_tell(rt_mheap *h, rt_mcache *mc, const rt_span *s, unsigned freed)
{
	if (mc->stretch.swept == 0)
		RT_HEAP_TRACE(h, GC, SWEEP_BEGIN, 0, 0, 0);
	mc->stretch.swept += s->npages * RT_PAGE;
	mc->stretch.freed += freed * s->elemsize;
}

/* ---- One span ------------------------------------------------------------------------------- */

/* A slot that was free and is marked: somebody kept a pointer to a freed object. */
static RT_COLD void zombie(const rt_span *s)
{
	rt_print("runtime: marked free object in span %p, elemsize=%zu freeindex=%u\n",
	         (const void *)s->base, s->elemsize, (unsigned)rt_load32_rlx(&s->freeindex));
	rt_throw("found pointer to free object");
}

static void check_zombies(const rt_span *s)
{
	const rt_atomic64 *alloc = rt_span_allocbits(s), *mark = rt_span_markbits(s);
	uint32_t from = rt_load32_rlx(&s->freeindex);

	for (uint32_t w = from / 64; w < (s->nelems + 63u) / 64; w++) {
		uint64_t bad = rt_load64_rlx(&mark[w]) & ~rt_load64_rlx(&alloc[w]);

		if (w == from / 64)
			bad &= ~(uint64_t)0 << from % 64;
		if (RT_UNLIKELY(bad != 0))
			zombie(s);
	}
}

static void clobber(rt_span *s)
{
	const rt_atomic64 *mark = rt_span_markbits(s);

	for (uint32_t i = 0; i < s->nelems; i++) {
		uint32_t *p = (uint32_t *)rt_span_object(s, i);

		if (rt_span_allocated(s, i) && !rt_bit_get(mark, i))
			for (size_t n = s->elemsize / sizeof *p; n > 0; n--)
				*p++ = CLOBBER_WORD;
	}
}

static void count_frees(rt_mheap *h, rt_mcache *mc, const rt_span *s, unsigned n)
{
	unsigned class = rt_span_class(s);

	if (mc != NULL) {
		rt_count64_owner(&mc->count.frees[class], n);
		if (class == 0)
			rt_count64_owner(&mc->count.large_freed, s->elemsize);
	} else {
		rt_add64_full(&h->global.frees[class], n);
		if (class == 0)
			rt_add64_full(&h->global.large_freed, s->elemsize);
	}
}

/* The mark bits become allocation bits. Without memory for new mark bits the old allocation bits
 * are. */
static void turn_bits(rt_mheap *h, rt_span *s)
{
	rt_atomic64 *mark = rt_span_markbits(s), *fresh = rt_gcbits_new(&h->bits, s->nelems);

	if (RT_UNLIKELY(fresh == NULL)) {
		fresh = rt_span_allocbits(s);
		for (unsigned w = 0; w < (s->nelems + 63u) / 64; w++)
			rt_store64_rlx(&fresh[w], 0);
		rt_gcbits_hold(&h->bits);
	}
	rt_storeptr_rel(&s->allocbits, mark);
	rt_storeptr_rel(&s->markbits, fresh);
	rt_store32_rel(&s->freeindex, 0);
}

bool rt_span_sweep(rt_mheap *h, rt_mcache *mc, rt_span *s, bool keep)
{
	uint32_t gen = rt_load32_rlx(&h->sweepgen);
	unsigned live, freed;

	RT_ASSERT(rt_load32_rlx(&s->sweepgen) == gen - 1);
	RT_ASSERT(rt_load32_rlx(&s->state) == RT_SPAN_INUSE);
	if (RT_UNLIKELY(rt_loadptr_rlx(&s->specials) != NULL))
		h->hooks.specials(h, mc, s);
	live = rt_bits_count(rt_span_markbits(s), s->nelems);
	check_zombies(s);
	RT_ASSERT(live <= s->alloccount);
	freed = s->alloccount - live;
	if (mc != NULL && RT_UNLIKELY(mc->stretch.on))
		stretch_tell(h, mc, s, freed);
	if (RT_UNLIKELY(h->clobberfree) && freed > 0)
		clobber(s);
	if (freed > 0) {
		s->needzero = true;
		count_frees(h, mc, s, freed);
	}
	turn_bits(h, s);
	s->alloccount = live;
	rt_add64_full(&h->sweep.swept, s->npages);
	rt_store32_rel(&s->sweepgen, gen);
	if (keep)
		return false;
	if (live == 0) {
		rt_span_free(h, mc, s);
		return true;
	}
	rt_central_push_swept(h, s, gen);
	return false;
}

void rt_sweep_span(rt_mheap *h, rt_mcache *mc, rt_span *s)
{
	uint32_t gen = rt_load32_acq(&h->sweepgen), g;

	for (;;) {
		g = rt_load32_acq(&s->sweepgen);
		if (g == gen || g == gen + 3)
			return;
		if (rt_sweep_enter(h)) {
			bool mine = rt_span_acquire(s, gen);

			if (mine) {
				rt_stretch_begin(h, mc);
				(void)rt_span_sweep(h, mc, s, false);
				rt_stretch_end(h, mc);
			}
			rt_sweep_leave(h);
			if (mine)
				return;
		}
		be_thread_yield(); /* its sweeper, or the P that caches it, is at work */
	}
}

/* ---- Many ----------------------------------------------------------------------------------- */

/* The first class from c on that may have spans. Of what is unswept the bit was set before the world stopped. Most
 * programs use few classes, and the lists of each are a line that no cache has when a collection has ended. */
static uint32_t used_class(const rt_mheap *h, uint32_t c)
{
	for (; c < RT_NSPANCLASS; c = (c | 63) + 1) {
		uint64_t here = rt_load64_rlx(&h->classes[c / 64]) >> c % 64;

		if (here != 0)
			return c + (uint32_t)__builtin_ctzll(here);
	}
	return RT_NSPANCLASS;
}

/* A span that is ours to sweep, or NULL: there are none. */
static rt_span *next_span(rt_mheap *h, uint32_t gen)
{
	uint32_t from = rt_load32_rlx(&h->sweep.cursor), c = used_class(h, from);
	rt_span *s = NULL;

	while (c < RT_NSPANCLASS && s == NULL) {
		s = rt_central_pop_unswept(h, c, gen);
		if (s == NULL)
			c = used_class(h, c + 1);
		else if (!rt_span_acquire(s, gen))
			s = NULL;
	}
	/* Below c nothing unswept is left, nor will be in this cycle. */
	while (from < c && !rt_cas32_full(&h->sweep.cursor, from, c))
		from = rt_load32_rlx(&h->sweep.cursor);
	return s;
}

size_t rt_sweep_one(rt_mheap *h, rt_mcache *mc)
{
	uint32_t gen = rt_load32_acq(&h->sweepgen);
	size_t npages = SIZE_MAX;
	rt_span *s;

	if (!rt_sweep_enter(h))
		return SIZE_MAX;
	s = next_span(h, gen);
	if (s != NULL) {
		npages = s->npages;
		if (rt_span_sweep(h, mc, s, false))
			rt_add64_full(&h->sweep.credit, npages);
	} else {
		drained(h);
	}
	rt_sweep_leave(h);
	return npages;
}

uint64_t rt_sweep_pages(const rt_mheap *h)
{
	uint64_t inuse = rt_load64_rlx(&h->pages_inuse), swept = rt_load64_rlx(&h->sweep.swept);

	return inuse > swept ? inuse - swept : 0;
}

void rt_sweep_pace(rt_mheap *h, double pages_per_byte)
{
	rt_store64_rlx(&h->sweep.basis, rt_load64_rlx(&h->live));
	rt_store64_rlx(&h->sweep.basispages, rt_load64_rlx(&h->sweep.swept));
	set_ratio(h, pages_per_byte);
}

static void sweep_due(rt_mheap *h, rt_mcache *mc, size_t bytes, double ratio)
{
	for (;;) {
		uint64_t live = rt_load64_rlx(&h->live), basis = rt_load64_rlx(&h->sweep.basis);
		uint64_t done =
			rt_load64_rlx(&h->sweep.swept) - rt_load64_rlx(&h->sweep.basispages);
		uint64_t since = (live > basis ? live - basis : 0) + bytes;

		if (ratio * (double)since <= (double)done)
			return;
		if (rt_sweep_one(h, mc) == SIZE_MAX) {
			set_ratio(h, 0);
			return;
		}
	}
}

void rt_sweep_credit(rt_mheap *h, rt_mcache *mc, size_t bytes)
{
	double ratio = get_ratio(h);

	if (RT_LIKELY(ratio == 0))
		return;
	rt_stretch_begin(h, mc);
	sweep_due(h, mc, bytes, ratio);
	rt_stretch_end(h, mc);
}

/* ---- Reclaiming ----------------------------------------------------------------------------- */

/* Up to npages of credit. */
static size_t take_credit(rt_mheap *h, size_t npages)
{
	for (;;) {
		uint64_t have = rt_load64_rlx(&h->sweep.credit);
		uint64_t n = have < npages ? have : npages;

		if (n == 0 || rt_cas64_full(&h->sweep.credit, have, have - n))
			return n;
	}
}

/* The arena of the next 512 pages to look at, and their first in it; NULL: the end. */
static rt_arena *next_chunk(rt_mheap *h, unsigned *first)
{
	rt_arena *a = NULL;
	uint64_t page;

	do {
		bool end;

		if (rt_load64_rlx(&h->sweep.reclaim) >= RT_RECLAIMED)
			return NULL;
		page = rt_add64_full(&h->sweep.reclaim, RT_CHUNK_PAGES);
		rt_lock(&h->lock, RT_RANK_mheap);
		end = page / RT_ARENA_PAGES >= h->pages.narenas;
		if (!end)
			a = h->pages.arenas[page / RT_ARENA_PAGES];
		rt_unlock(&h->lock, RT_RANK_mheap);
		if (end) {
			rt_store64_rlx(&h->sweep.reclaim, RT_RECLAIMED);
			return NULL;
		}
	} while (a == NULL);
	*first = (unsigned)(page % RT_ARENA_PAGES);
	return a;
}

static size_t reclaim_chunk(rt_mheap *h, rt_mcache *mc, rt_arena *a, unsigned first)
{
	uint32_t gen = rt_load32_rlx(&h->sweepgen);
	size_t found = 0;

	for (unsigned w = first / 64; w < (first + RT_CHUNK_PAGES) / 64; w++) {
		uint64_t dead = rt_load64_rlx(&a->inuse[w]) & ~rt_load64_rlx(&a->marked[w]);

		for (; dead != 0; dead &= dead - 1) {
			unsigned page = w * 64 + (unsigned)__builtin_ctzll(dead);
			rt_span *s = rt_loadptr_acq(&a->spans[page]);
			size_t npages;

			/* It may have been swept and freed since, its record used anew: then the
			 * step fails. */
			if (s == NULL || !rt_span_acquire(s, gen))
				continue;
			npages = s->npages;
			if (rt_span_sweep(h, mc, s, false))
				found += npages;
		}
	}
	return found;
}

void rt_sweep_reclaim(rt_mheap *h, rt_mcache *mc, size_t npages)
{
	rt_arena *a;
	unsigned first;

	if (rt_load64_rlx(&h->sweep.reclaim) >= RT_RECLAIMED || !rt_sweep_enter(h))
		return;
	npages -= take_credit(h, npages);
	rt_stretch_begin(h, mc);
	while (npages > 0 && (a = next_chunk(h, &first)) != NULL) {
		size_t found = reclaim_chunk(h, mc, a, first);

		if (found > npages)
			rt_add64_full(&h->sweep.credit, found - npages);
		npages -= found < npages ? found : npages;
	}
	rt_stretch_end(h, mc);
	rt_sweep_leave(h);
}
