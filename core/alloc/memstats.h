/* memstats.h: what was allocated and freed.
 *
 * Each cache counts for itself; a reader sums all up. The fast path counts nothing: what a
 * cached span has given out is seen from its free slots when it is given back, or when a reader
 * with the world stopped asks. */
#ifndef CORE_ALLOC_MEMSTATS_H
#define CORE_ALLOC_MEMSTATS_H

#include "core/alloc/sizeclass.h"
#include "core/base/atomic.h"

typedef struct rt_memcounters { /* the owner of the cache writes; anybody reads. rt_mheap.global: any thread */
	rt_atomic64 allocs[RT_NCLASS], frees[RT_NCLASS]; /* objects; class 0: large ones */
	rt_atomic64 large_allocated, large_freed;        /* bytes */
	rt_atomic64 tiny;                                /* objects that share a block with others */
} rt_memcounters;

typedef struct rt_memtotals {
	uint64_t allocs[RT_NCLASS], frees[RT_NCLASS];
	uint64_t large_allocated, large_freed, tiny;
} rt_memtotals;

void rt_memtotals_add(rt_memtotals *t, const rt_memcounters *c);
/* Counters of a cache that ends go over. */
void rt_memcounters_move(rt_memcounters *to, rt_memcounters *from);
/* Bytes in objects, as their classes round them. */
uint64_t rt_memtotals_allocated(const rt_memtotals *t);
uint64_t rt_memtotals_freed(const rt_memtotals *t);
/* Objects as Go's Mallocs and Frees count them: tiny ones, too. */
uint64_t rt_memtotals_mallocs(const rt_memtotals *t);
uint64_t rt_memtotals_frees(const rt_memtotals *t);

#endif
