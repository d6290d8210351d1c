/* memstats.c: sums of the counters of all caches. What is promised stands in memstats.h. */
#include "core/alloc/memstats.h"

void rt_memtotals_add(rt_memtotals *t, const rt_memcounters *c)
{
	for (unsigned i = 0; i < RT_NCLASS; i++) {
		t->allocs[i] += rt_load64_rlx(&c->allocs[i]);
		t->frees[i] += rt_load64_rlx(&c->frees[i]);
	}
	t->large_allocated += rt_load64_rlx(&c->large_allocated);
	t->large_freed += rt_load64_rlx(&c->large_freed);
	t->tiny += rt_load64_rlx(&c->tiny);
}

static void move(rt_atomic64 *to, rt_atomic64 *from)
{
	uint64_t n = rt_load64_rlx(from);

	if (n == 0)
		return;
	rt_store64_rlx(from, 0);
	rt_add64_full(to, n);
}

void rt_memcounters_move(rt_memcounters *to, rt_memcounters *from)
{
	for (unsigned i = 0; i < RT_NCLASS; i++) {
		move(&to->allocs[i], &from->allocs[i]);
		move(&to->frees[i], &from->frees[i]);
	}
	move(&to->large_allocated, &from->large_allocated);
	move(&to->large_freed, &from->large_freed);
	move(&to->tiny, &from->tiny);
}

static uint64_t small_bytes(const uint64_t *objects)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < RT_NCLASS; i++)
		sum += objects[i] * rt_class_bytes[i];
	return sum;
}

uint64_t rt_memtotals_allocated(const rt_memtotals *t)
{
	return t->large_allocated + small_bytes(t->allocs);
}

uint64_t rt_memtotals_freed(const rt_memtotals *t)
{
	return t->large_freed + small_bytes(t->frees);
}

static uint64_t sum(const uint64_t *objects)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < RT_NCLASS; i++)
		n += objects[i];
	return n;
}

uint64_t rt_memtotals_mallocs(const rt_memtotals *t)
{
	return sum(t->allocs) + t->tiny;
}

uint64_t rt_memtotals_frees(const rt_memtotals *t)
{
	return sum(t->frees) + t->tiny;
}
