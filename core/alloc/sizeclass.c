/* sizeclass.c: the tables of classes, filled by the compiler from sizeclass.def.
 *
 * A size is looked up in steps of 8 up to 1024, then in steps of 128: every class above 1024 is a
 * multiple of that. An object's index in its span is a multiplication: magic = ceil(2^32 / size),
 * exact for every offset that a span can have (the test tries them all).
 */
#include "core/alloc/sizeclass.h"

const uint16_t rt_class_bytes[RT_NCLASS] = {
#define SIZECLASS_FINE(class, size, pages, before) [class] = size,
#define SIZECLASS SIZECLASS_FINE
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
};

const double rt_class_bounds[RT_NCLASS + 1] = {
	[0] = 1,
#define SIZECLASS_FINE(class, size, pages, before) [class] = (size) + 1,
#define SIZECLASS SIZECLASS_FINE
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
	[RT_NCLASS] = __builtin_inf(),
};

const uint8_t rt_class_npages[RT_NCLASS] = {
#define SIZECLASS_FINE(class, size, pages, before) [class] = pages,
#define SIZECLASS SIZECLASS_FINE
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
};

const uint32_t rt_class_magic[RT_NCLASS] = {
#define SIZECLASS_FINE(class, size, pages, before) [class] = UINT32_MAX / size + 1,
#define SIZECLASS SIZECLASS_FINE
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
};

const uint8_t rt_class_fine[RT_FINE_MAX / 8 + 1] = {
	[0] = 1,
#define SIZECLASS_FINE(class, size, pages, before) [before / 8 + 1 ... size / 8] = class,
#define SIZECLASS(class, size, pages, before)
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
};

const uint8_t rt_class_coarse[(RT_SMALL_MAX - RT_FINE_MAX) / 128 + 1] = {
	[0] = 32,
#define SIZECLASS_FINE(class, size, pages, before)
#define SIZECLASS(class, size, pages, before)                                                      \
	[(before - RT_FINE_MAX) / 128 + 1 ...(size - RT_FINE_MAX) / 128] = class,
#include "core/alloc/sizeclass.def"
#undef SIZECLASS
#undef SIZECLASS_FINE
};

unsigned rt_sizeclass_aligned(size_t size, size_t align)
{
	if (size > RT_SMALL_MAX)
		return 0;
	for (unsigned c = rt_sizeclass(size); c < RT_NCLASS; c++)
		if (rt_class_align(c) >= align)
			return c;
	return 0;
}

unsigned rt_spc_nelems(unsigned spc)
{
	size_t size = rt_class_bytes[spc >> 1], bytes = (size_t)rt_class_npages[spc >> 1] * RT_PAGE;

	if (!rt_spc_noscan(spc) && size <= RT_BITMAP_MAX)
		bytes -= bytes / 64;
	return (unsigned)(bytes / size);
}
