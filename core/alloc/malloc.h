/* malloc.h: objects. What core/gc/new.c calls; the calling thread has the P of mc and is not
 * preempted.
 *
 * An rt_slot with p NULL: the system has no memory. Objects come zeroed unless said otherwise,
 * described and published; marking new objects black, assists and the trigger are the caller's
 * (mcache.grown). */
#ifndef CORE_ALLOC_MALLOC_H
#define CORE_ALLOC_MALLOC_H

#include "core/alloc/heapbits.h"
#include "core/alloc/mcache.h"

#include <string.h>

enum { RT_ZERO_CHUNK = 256 << 10 }; /* large objects are cleared so much at a time */

/* Up to RT_TINY - 1 bytes without pointers, in a block shared with others; .p may point into the
 * middle of .s's object. */
rt_slot rt_malloc_tiny_slow(rt_mcache *mc, size_t size);
static inline rt_slot rt_malloc_tiny(rt_mcache *mc, size_t size)
{
	uintptr_t mask = (size & 7) == 0 ? 7 : (size & 3) == 0 ? 3 : (size & 1) == 0;
	uintptr_t off = (mc->tinyoff + mask) & ~mask;

	RT_ASSERT(size > 0 && size < RT_TINY);
	if (RT_UNLIKELY(mc->tiny == NULL || off + size > RT_TINY))
		return rt_malloc_tiny_slow(mc, size);
	mc->tinyoff = off + size;
	rt_count64_owner(&mc->count.tiny, 1);
	return (rt_slot){NULL, mc->tiny + off, 0}; /* the block was published, and is reached through mc->tiny */
}

/* Clears a slot as far as needed. */
static inline void rt_slot_zero(rt_slot o)
{
	if (o.s->clear > 0)
		memset(o.p, 0, o.s->clear);
}

/* Up to RT_SMALL_MAX bytes without pointers. */
static inline rt_slot rt_malloc_noscan(rt_mcache *mc, size_t size, bool zero)
{
	rt_slot o = rt_mcache_next(mc, rt_sizeclass(size) << 1 | 1);

	if (RT_UNLIKELY(o.p == NULL))
		return o;
	if (zero)
		rt_slot_zero(o);
	rt_span_publish(o);
	return o;
}

/* Up to RT_BITMAP_MAX bytes; mask has a bit for each of its words that may be a pointer. */
static inline rt_slot rt_malloc_bitmap(rt_mcache *mc, size_t size, uint64_t mask)
{
	rt_slot o = rt_mcache_next(mc, rt_sizeclass(size) << 1);

	if (RT_UNLIKELY(o.p == NULL))
		return o;
	rt_slot_zero(o);
	if (mc->ready[rt_span_class(o.s)] != mask) {
		mc->wanted[rt_span_class(o.s)] = mask;
		rt_heapbits_set(o.s, (uintptr_t)o.p, (unsigned)(o.s->elemsize / sizeof(void *)), mask);
	}
	rt_span_publish(o);
	return o;
}

/* Above that, up to RT_SMALL_MAX; t: of one element, or RT_TYPE_CONSERVATIVE. */
static inline rt_slot rt_malloc_typed(rt_mcache *mc, size_t size, const gort_type *t)
{
	rt_slot o = rt_mcache_next(mc, rt_sizeclass(size) << 1);

	if (RT_UNLIKELY(o.p == NULL))
		return o;
	rt_object_set_type(mc->heap, (uintptr_t)o.p, t); /* first: its line comes while the object's are cleared */
	rt_slot_zero(o);
	rt_span_publish(o);
	return o;
}

/* Above RT_SMALL_MAX: whole pages, published and described as not to be scanned. If
 * o.s->needzero the caller clears it, in pieces of RT_ZERO_CHUNK; then, if it has pointers,
 * calls rt_object_set_type. */
rt_slot rt_malloc_large(rt_mcache *mc, size_t size, bool noscan);

/* Bytes that an object of size bytes takes. */
static inline size_t rt_roundup_size(size_t size)
{
	return size <= RT_SMALL_MAX ? rt_class_bytes[rt_sizeclass(size)]
	                            : (size + RT_PAGE - 1) & ~(size_t)(RT_PAGE - 1);
}

#endif
