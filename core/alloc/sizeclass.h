/* sizeclass.h: from the size of a small object to its class, and what a class is.
 *
 * Class 0 is for large objects. A span class is a class times two, plus one for objects without
 * pointers: those are never looked into. */
#ifndef CORE_ALLOC_SIZECLASS_H
#define CORE_ALLOC_SIZECLASS_H

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RT_PAGE_SHIFT = 13,
	RT_PAGE = 1 << RT_PAGE_SHIFT,
	RT_NCLASS = 68,
	RT_NSPANCLASS = 2 * RT_NCLASS,
	RT_SMALL_MAX = 32768,   /* the largest small object */
	RT_FINE_MAX = 1024,     /* up to here the lookup goes by 8 */
	RT_BITMAP_MAX = 512,    /* up to here pointers are told by a bitmap in the span */
	RT_TINY = 16,           /* smaller objects without pointers share a block of so many bytes */
	RT_MAX_OBJECTS = 1024,  /* in one span */
	RT_SPC_TINY = 2 << 1 | 1,
};

extern const uint16_t rt_class_bytes[RT_NCLASS]; /* of an object */
/* Of histograms by size: bucket i is class i + 1, the last one that of large objects. Where each begins, and the
 * end. */
extern const double rt_class_bounds[RT_NCLASS + 1];
extern const uint8_t rt_class_npages[RT_NCLASS]; /* of a span */
extern const uint32_t rt_class_magic[RT_NCLASS]; /* index of an object = offset * magic >> 32 */
extern const uint8_t rt_class_fine[RT_FINE_MAX / 8 + 1];
extern const uint8_t rt_class_coarse[(RT_SMALL_MAX - RT_FINE_MAX) / 128 + 1];

/* size <= RT_SMALL_MAX; 0 is served as 8. */
static inline unsigned rt_sizeclass(size_t size)
{
	RT_ASSERT(size <= RT_SMALL_MAX);
	return RT_LIKELY(size <= RT_FINE_MAX) ? rt_class_fine[(size + 7) / 8]
	                                      : rt_class_coarse[(size - RT_FINE_MAX + 127) / 128];
}

/* The alignment that every object of a class has. */
static inline size_t rt_class_align(unsigned class)
{
	size_t size = rt_class_bytes[class];

	return size & -size;
}

/* The smallest class whose objects have size bytes and alignment align, a power of two up to
 * RT_PAGE. 0: none, it must be a large object. */
unsigned rt_sizeclass_aligned(size_t size, size_t align);

static inline bool rt_spc_noscan(unsigned spc)
{
	return spc & 1;
}

/* How many objects fit in a span of the class. Where pointers are told by a bitmap, that takes
 * the last 1/64. */
unsigned rt_spc_nelems(unsigned spc);

#endif
