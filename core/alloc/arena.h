/* arena.h: 64 MiB of address space, aligned, and its tables; from any word to its span in two
 * steps.
 *
 * The map of a heap has 2^11 entries for 2^37 bytes each, of tables of 2^11 arenas: 48 bits. A
 * word that is no address of the heap, whatever it is, finds an empty entry; nothing of what it
 * points to is touched. */
#ifndef CORE_ALLOC_ARENA_H
#define CORE_ALLOC_ARENA_H

#include "core/alloc/span.h"
#include "core/alloc/sysmem.h"
#include "core/include/gort.h"

enum {
	RT_ARENA_SHIFT = 26,
	RT_ARENA_PAGES = 1 << (RT_ARENA_SHIFT - RT_PAGE_SHIFT),
	RT_CHUNK_PAGES = 512, /* unit of growth, of a bitmap, of the scavenger: 4 MiB */
	RT_CHUNK_SHIFT = 9,
	RT_ARENA_CHUNKS = RT_ARENA_PAGES / RT_CHUNK_PAGES,
	RT_GRANULE = 512,     /* no object above this size shares one with another's start */
	RT_MAP_BITS = 11,
};
#define RT_ARENA_BYTES ((size_t)1 << RT_ARENA_SHIFT)
#define RT_CHUNK_BYTES ((size_t)RT_CHUNK_PAGES * RT_PAGE)

enum { RT_ADVICE_NONE = 0, RT_ADVICE_HUGE = 1, RT_ADVICE_SMALL = 2 };

typedef struct rt_chunk { /* guarded by mheap.lock */
	uint64_t alloc[RT_CHUNK_PAGES / 64]; /* 1: in use, or taken by a P's page cache */
	uint64_t scav[RT_CHUNK_PAGES / 64];  /* 1: Prepared, not Ready; zero when it becomes Ready */
	uint16_t inuse, lastinuse;           /* pages now, and at the end of the last cycle */
	uint32_t gen;                        /* the cycle that lastinuse is of */
	bool mapped;
	uint8_t advice;                      /* RT_ADVICE_*: what the system was told of the size of pages here */
} rt_chunk;

/* What stands for the type of a large or middle-sized object. NULL: nothing is scanned, it is
 * being built. */
#define RT_TYPE_CONSERVATIVE ((const gort_type *)(uintptr_t)1) /* every word may be a pointer */
#define RT_TYPE_RUNTIME ((const gort_type *)(uintptr_t)2)      /* the same, made by the runtime for itself */

typedef struct rt_arena {
	char *base;                          /* set once */
	uint32_t ordinal;                    /* set once: its place among all, in pages / RT_ARENA_PAGES */
	struct rt_shadow *shadow;            /* the collector's; set once, with the world stopped */
	rt_atomicptr spans[RT_ARENA_PAGES];  /* page -> span or NULL; release by who allocates the pages */
	/* one bit per page; of the first page of a span only. Atomic, any thread */
	rt_atomic64 inuse[RT_ARENA_PAGES / 64];    /* a span in use begins here */
	rt_atomic64 marked[RT_ARENA_PAGES / 64];   /* it has a marked object */
	rt_atomic64 specials[RT_ARENA_PAGES / 64]; /* it has specials */
	rt_chunk chunk[RT_ARENA_CHUNKS];
	rt_atomic32 typed;                   /* a bit per chunk: its part of `types` is Ready; set under mheap.lock */
	/* Types of objects above RT_BITMAP_MAX, by the granule in which they start. Made Ready for a chunk with the
	 * first span there that has such objects. Valid for objects in scan spans that are allocated; release by who
	 * allocates. */
	rt_atomicptr types[RT_ARENA_BYTES / RT_GRANULE];
} rt_arena;

typedef struct rt_arenamap {
	rt_atomicptr top[1 << RT_MAP_BITS]; /* of tables of rt_atomicptr; release by who adds one */
} rt_arenamap;

static inline rt_arena *rt_arena_of(const rt_arenamap *m, uintptr_t p)
{
	uintptr_t top = p >> (RT_ARENA_SHIFT + RT_MAP_BITS);
	const rt_atomicptr *table;

	if (RT_UNLIKELY(top >> RT_MAP_BITS != 0))
		return NULL;
	table = rt_loadptr_acq(&m->top[top]);
	if (RT_UNLIKELY(table == NULL))
		return NULL;
	return rt_loadptr_acq(&table[p >> RT_ARENA_SHIFT & ((1 << RT_MAP_BITS) - 1)]);
}

/* Where the span whose pages p is in stands. */
static inline const rt_atomicptr *rt_arena_entry(const rt_arena *a, uintptr_t p)
{
	return &a->spans[p >> RT_PAGE_SHIFT & (RT_ARENA_PAGES - 1)];
}

/* That span, or NULL. Its state is to be looked at before anything else. */
static inline rt_span *rt_arena_span(const rt_arena *a, uintptr_t p)
{
	return rt_loadptr_acq(rt_arena_entry(a, p));
}

static inline unsigned rt_arena_page(uintptr_t p)
{
	return p >> RT_PAGE_SHIFT & (RT_ARENA_PAGES - 1);
}

static inline rt_atomicptr *rt_arena_type(rt_arena *a, uintptr_t object)
{
	RT_ASSERT(rt_load32_rlx(&a->typed) >> (object & (RT_ARENA_BYTES - 1)) / RT_CHUNK_BYTES & 1);
	return &a->types[(object & (RT_ARENA_BYTES - 1)) / RT_GRANULE];
}

#endif
