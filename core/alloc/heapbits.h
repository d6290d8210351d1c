/* heapbits.h: where the pointers of an object are.
 *
 *   noscan span            nowhere
 *   size <= RT_BITMAP_MAX  a bit for each word, written before the object is published. As long as all objects of a
 *                          span have the same bits, as most have, they stand once in rt_span.mask; from the first
 *                          other ones on that is 0, and they stand in a bitmap at the end of the span's page. A free
 *                          slot's bits are junk
 *   above                  a type in the arena's table (arena.h), whose element repeats until the end of the slot;
 *                          RT_TYPE_CONSERVATIVE or RUNTIME: every word; NULL: not yet known, nothing is scanned
 *
 * Go keeps the type of a middle-sized object in a word before it. Here it lies beside: C's types
 * may need 16 bytes of alignment, which a header would spoil, and 1024 bytes with pointers stay
 * in their class.
 *
 * The bits of an object in a span with a mask are those of the mask, and stay so when it changes: its owner first
 * writes the bitmap for all slots, then 0 with release, then publishes the other object with release. Who marks has
 * seen the object with acquire, and reads the mask with acquire: it sees the mask that the object was published with or
 * a later one, and with 0 the bitmap. */
#ifndef CORE_ALLOC_HEAPBITS_H
#define CORE_ALLOC_HEAPBITS_H

#include "core/alloc/mheap.h"

enum { RT_BITMAP_BYTES = RT_PAGE / 64 };

static inline bool rt_spc_bitmap(unsigned spc)
{
	return !rt_spc_noscan(spc) && spc >= 2 && rt_class_bytes[spc >> 1] <= RT_BITMAP_MAX;
}

static inline rt_atomic64 *rt_span_heapbits(const rt_span *s)
{
	return (rt_atomic64 *)(s->base + RT_PAGE - RT_BITMAP_BYTES);
}

/* Where the bits of the object begin. */
static inline rt_atomic64 *rt_heapbits_at(const rt_span *s, uintptr_t object)
{
	return rt_span_heapbits(s) + (object - (uintptr_t)s->base) / sizeof(void *) / 64;
}

static inline uint64_t rt_heapbits_bitmap(const rt_span *s, uintptr_t object, unsigned words)
{
	unsigned at = (unsigned)((object - (uintptr_t)s->base) / sizeof(void *)), shift = at % 64;
	const rt_atomic64 *b = rt_span_heapbits(s) + at / 64;
	uint64_t bits = rt_load64_rlx(b) >> shift;

	if (shift + words > 64)
		bits |= rt_load64_rlx(b + 1) << (64 - shift);
	return words < 64 ? bits & (((uint64_t)1 << words) - 1) : bits;
}

/* Bit i: word i of the object, which has words of them, up to 64, may be a pointer. */
static inline uint64_t rt_heapbits_get(const rt_span *s, uintptr_t object, unsigned words)
{
	uint64_t mask = rt_load64_acq(&s->mask);

	return RT_LIKELY(mask != 0) ? mask : rt_heapbits_bitmap(s, object, words);
}

static inline void rt_heapbits_word(rt_atomic64 *b, uint64_t which, uint64_t bits)
{
	uint64_t old = rt_load64_rlx(b), new = (old & ~which) | bits;

	if (old != new) /* mostly it is there: slots are filled with the same type again */
		rt_store64_rlx(b, new);
}

/* Owner, for objects that will have other bits than rt_span.mask has, or none: whether these go into the bitmap. */
bool rt_heapbits_differ(rt_span *s, uint64_t mask);

/* The owner of the span is the only writer of its bitmap; marking reads other objects' bits of the
 * same words meanwhile. */
static inline void rt_heapbits_write(rt_span *s, uintptr_t object, unsigned words, uint64_t mask)
{
	unsigned at = (unsigned)((object - (uintptr_t)s->base) / sizeof(void *)), shift = at % 64;
	rt_atomic64 *b = rt_span_heapbits(s) + at / 64;
	uint64_t all = words < 64 ? ((uint64_t)1 << words) - 1 : ~(uint64_t)0;

	RT_ASSERT((mask & ~all) == 0);
	rt_heapbits_word(b, all << shift, mask << shift);
	if (shift + words > 64)
		rt_heapbits_word(b + 1, all >> (64 - shift), mask >> (64 - shift));
}

static inline void rt_heapbits_set(rt_span *s, uintptr_t object, unsigned words, uint64_t mask)
{
	if (rt_load64_rlx(&s->mask) != mask && rt_heapbits_differ(s, mask))
		rt_heapbits_write(s, object, words, mask);
}

/* The same for the slots from `first` on whose bits are set in `slots`. */
void rt_heapbits_fill(rt_span *s, unsigned first, uint64_t slots, uint64_t mask);

/* The mask of an array: that of one element of `words` words, again and again up to `total`
 * words, at most 64. */
uint64_t rt_mask_repeat(uint64_t mask, unsigned words, unsigned total);

static inline bool rt_type_untyped(const gort_type *t)
{
	return t == RT_TYPE_CONSERVATIVE || t == RT_TYPE_RUNTIME;
}

/* Of an allocated object above RT_BITMAP_MAX in a scan span. */
static inline const gort_type *rt_object_type(const rt_mheap *h, uintptr_t object)
{
	return rt_loadptr_acq(rt_arena_type(rt_arena_of(&h->map, object), object));
}

static inline void rt_object_set_type(rt_mheap *h, uintptr_t object, const gort_type *t)
{
	rt_storeptr_rel(rt_arena_type(rt_arena_of(&h->map, object), object), (void *)t);
}

#endif
