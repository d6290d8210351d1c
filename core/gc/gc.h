/* gc.h: typed allocation, and the typed moves that will carry write barriers.
 *
 * For now the collector is `none`: objects are bumped out of per-P chunks and live until
 * gort_runtime_free. Every heap object of the runtime goes through these calls. They run on a
 * goroutine inside the runtime (after RT_ENTER), never return NULL, and end the run with
 * GORT_ENOMEM when memory ends. */
#ifndef CORE_GC_H
#define CORE_GC_H

#include "core/base/types.h"
#include "core/include/gort.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

int rt_heap_init(gort_runtime *rt);  /* 0 or GORT_ENOMEM */
void rt_heap_fini(gort_runtime *rt); /* every object is gone */

void *rt_new(const gort_type *t);                   /* zeroed */
void *rt_new_bytes(size_t size, bool noscan);       /* zeroed; conservative unless noscan */

/* The one typed move: into channel buffers, between stacks, by gort_move. The collector's barrier
 * goes here. */
static inline void rt_typed_move(const gort_type *t, size_t size, void *dst, const void *src)
{
	(void)t;
	if (size == 8) /* most elements are one word: no call */
		memcpy(dst, src, 8);
	else if (size != 0)
		memmove(dst, src, size);
}

static inline void rt_typed_clear(const gort_type *t, size_t size, void *dst)
{
	(void)t;
	memset(dst, 0, size);
}

typedef struct rt_heapstats {
	uint64_t objects, bytes; /* allocated since the runtime was made */
	size_t reserved;         /* address space held */
} rt_heapstats;
void rt_heap_stats(gort_runtime *rt, rt_heapstats *out);

#endif
