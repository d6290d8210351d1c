/* malloc.c: the rare halves of allocation. What is promised stands in malloc.h. */
#include "core/alloc/malloc.h"

#include "core/alloc/sweep.h"

rt_slot rt_malloc_tiny_slow(rt_mcache *mc, size_t size)
{
	rt_slot o = rt_mcache_next(mc, RT_SPC_TINY);

	if (RT_UNLIKELY(o.p == NULL))
		return o;
	rt_slot_zero(o);
	rt_span_publish(o);
	/* The block with more room stays for those to come. */
	if (mc->tiny == NULL || size < mc->tinyoff) {
		mc->tiny = o.p;
		mc->tinyoff = size;
	}
	return o;
}

rt_slot rt_malloc_large(rt_mcache *mc, size_t size, bool noscan)
{
	size_t npages = (size >> RT_PAGE_SHIFT) + ((size & (RT_PAGE - 1)) != 0);
	rt_mheap *h = mc->heap;
	rt_span *s;
	rt_slot o = {NULL, NULL, 0};
	uint64_t before;

	RT_ASSERT(size > RT_SMALL_MAX);
	if (npages > RT_PAGES_MAX)
		return o;
	rt_sweep_credit(h, mc, npages << RT_PAGE_SHIFT);
	s = rt_span_alloc(h, mc, npages, noscan, npages << RT_PAGE_SHIFT);
	if (s == NULL)
		return o;
	o = (rt_slot){s, s->base, 0};
	s->cache = 0;
	s->alloccount = 1;
	rt_count64_owner(&mc->count.allocs[0], 1);
	rt_count64_owner(&mc->count.large_allocated, s->elemsize);
	if (!noscan) {
		rt_object_set_type(h, (uintptr_t)o.p, NULL);
		mc->scannable += s->elemsize;
	}
	rt_span_publish(o);
	rt_central_push_swept(h, s, rt_load32_rlx(&h->sweepgen));
	before = rt_add64_full(&h->live, s->elemsize);
	mc->grown = true;
	RT_HEAP_TRACE(h, HEAP, HEAP_LIVE, before + s->elemsize, 0, 0);
	return o;
}

uint64_t rt_mask_repeat(uint64_t mask, unsigned words, unsigned total)
{
	uint64_t all = 0;

	RT_ASSERT(words > 0 && total <= 64);
	for (unsigned at = 0; at < total; at += words)
		all |= mask << at;
	return total < 64 ? all & (((uint64_t)1 << total) - 1) : all;
}

static void fill(rt_span *s, unsigned first, uint64_t slots, uint64_t mask)
{
	unsigned words = (unsigned)(s->elemsize / sizeof(void *)), per = 64 / words;
	uint64_t one = words < 64 ? ((uint64_t)1 << words) - 1 : ~(uint64_t)0; /* the bits of one slot */
	uint64_t full = per < 64 ? ((uint64_t)1 << per) - 1 : ~(uint64_t)0, pattern;
	rt_atomic64 *b;

	if (64 % words != 0) { /* the bits of some slots lie in two words */
		for (; slots != 0; slots &= slots - 1)
			rt_heapbits_write(s, (uintptr_t)rt_span_object(s, first + (unsigned)__builtin_ctzll(slots)),
			                words, mask);
		return;
	}
	b = rt_span_heapbits(s) + first / per;
	pattern = rt_mask_repeat(mask, words, 64);
	for (; slots != 0; b++) {
		uint64_t here = slots & full, which = 0;

		if (here == full)
			which = ~(uint64_t)0;
		else
			for (; here != 0; here &= here - 1)
				which |= one << (unsigned)__builtin_ctzll(here) * words;
		if (which != 0)
			rt_heapbits_word(b, which, pattern & which);
		slots = per < 64 ? slots >> per : 0;
	}
}

/* All slots get what the mask said: from now on the bitmap counts. Written before it is read: of memory that is read
 * first Linux gives the page of zeros, and another when it is written: two faults, and the second interrupts all CPUs
 * that we run on to forget the first. */
static void spread(rt_span *s, uint64_t mask)
{
	rt_atomic64 *b = rt_span_heapbits(s);

	for (unsigned i = 0; i < RT_BITMAP_BYTES / sizeof *b; i++)
		rt_store64_rlx(&b[i], 0);
	for (unsigned first = 0; first < s->nelems; first += 64) {
		unsigned n = s->nelems - first;

		fill(s, first, n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0, mask);
	}
	rt_store64_rel(&s->mask, 0);
}

bool rt_heapbits_differ(rt_span *s, uint64_t mask)
{
	uint64_t all = rt_load64_rlx(&s->mask);

	RT_ASSERT(mask != 0); /* objects without pointers are in other spans */
	if (!s->described) {
		s->described = true;
		rt_store64_rel(&s->mask, mask);
		return false;
	}
	if (all != 0)
		spread(s, all);
	return true;
}

void rt_heapbits_fill(rt_span *s, unsigned first, uint64_t slots, uint64_t mask)
{
	if (rt_load64_rlx(&s->mask) != mask && rt_heapbits_differ(s, mask))
		fill(s, first, slots, mask);
}
