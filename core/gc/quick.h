/* quick.h: the usual allocation, inline and inside a visit, for core/api/memory.c: a small object, a free slot in the
 * window of the P's cache, nothing to be cleared. NULL: nothing was done, and the caller goes the long way (new.c),
 * which does the same and the rest. While a collection marks, objects are black when their window goes (mcache.c), and
 * were paid for when it came. */
#ifndef CORE_GC_QUICK_H
#define CORE_GC_QUICK_H

#include "core/gc/gc_impl.h"

static inline void *rt_quick_slot(rt_visit v, unsigned spc, uint64_t mask)
{
	rt_mcache *mc = &v.p->gc->mc;
	rt_span *s = mc->alloc[spc];
	uint64_t free = s->cache;
	unsigned i;

	if (RT_UNLIKELY((free == 0) | mc->grown) || RT_UNLIKELY(s->clear != 0))
		return NULL;
	if (!rt_spc_noscan(spc) && RT_UNLIKELY(mc->ready[spc >> 1] != mask))
		return NULL;
	i = (unsigned)__builtin_ctzll(free);
	s->cache = free & (free - 1);
	rt_span_publish((rt_slot){ s, NULL, s->window + i });
	return s->windowbase + i * s->elemsize;
}

/* size >= RT_TINY. */
static inline void *rt_quick_noscan(rt_visit v, size_t size)
{
	return size <= RT_FINE_MAX ? rt_quick_slot(v, (unsigned)rt_class_fine[(size + 7) / 8] << 1 | 1, 0) : NULL;
}

static inline void *rt_quick_scan(rt_visit v, size_t size, uint64_t mask)
{
	if (RT_UNLIKELY(size > v.p->gc->bitmap_max))
		return NULL;
	return rt_quick_slot(v, (unsigned)rt_class_fine[(size + 7) / 8] << 1, mask);
}

static inline void *rt_new_quick(rt_visit v, const gort_type *t)
{
	if (RT_UNLIKELY(t->align > 8))
		return NULL;
	if (t->nptrs >= v.p->gc->scan_min)
		return rt_quick_scan(v, t->size, t->mask);
	return t->size >= RT_TINY ? rt_quick_noscan(v, t->size) : NULL;
}

static inline void *rt_new_bytes_quick(rt_visit v, size_t size, bool noscan)
{
	unsigned words = (unsigned)(size / sizeof(void *)); /* the last bytes hold no pointer */

	if (size < RT_TINY || size > RT_FINE_MAX)
		return NULL;
	if (noscan)
		return rt_quick_noscan(v, size);
	return rt_quick_scan(v, size, words < 64 ? ((uint64_t)1 << words) - 1 : ~(uint64_t)0);
}

#endif
