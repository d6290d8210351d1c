/* special.h: records that hang on objects: finalizers, cleanups, weak handles, profile buckets.
 *
 * A span's records are a list by offset, then kind, guarded by its speciallock. The arena's
 * `specials` bit of the span's first page is set while it has any, so that root marking finds
 * them. The collector embeds rt_special at the start of records of up to RT_SPECIAL_BYTES, from
 * rt_special_new. */
#ifndef CORE_ALLOC_SPECIAL_H
#define CORE_ALLOC_SPECIAL_H

#include "core/alloc/mheap.h"

enum { RT_SPECIAL_BYTES = 64 };

struct rt_special {
	rt_special *next;
	size_t offset;  /* of the object in its span */
	uint8_t kind;   /* the collector's; lower ones stand before */
};

void *rt_special_new(rt_mheap *h);       /* NULL: no memory; not zeroed */
void rt_special_free(rt_mheap *h, void *sp);
/* Hangs sp on object p. The span is swept by the caller before, if sweeping is on
 * (rt_sweep_span). False: there is one of the kind, and unique was asked for. */
bool rt_special_add(rt_mheap *h, rt_span *s, uintptr_t p, rt_special *sp, bool unique);
/* Takes one off, or returns NULL. */
rt_special *rt_special_remove(rt_mheap *h, rt_span *s, uintptr_t p, unsigned kind);
/* Looks; the caller holds s->speciallock, or sweeps s. */
rt_special *rt_special_find(rt_span *s, uintptr_t p, unsigned kind);
/* For who sweeps s: the whole list goes to the caller, who puts back what stays, in the same order. */
rt_special *rt_special_take_all(rt_span *s);
void rt_special_put_all(rt_mheap *h, rt_span *s, rt_special *list);

/* Walks through all that are there, in parts that several threads may take: the number of parts now, 0 if there are
 * none at all, and the specials of one part. fn is called under s->speciallock. No span may be swept meanwhile; those
 * of which specials come or go in the course of it are seen or not. */
uint32_t rt_special_parts(rt_mheap *h);
void rt_special_each(rt_mheap *h, uint32_t part, void (*fn)(void *arg, rt_span *s, rt_special *sp), void *arg);

#endif
