/* pagealloc.h: which pages of the heap's address space are free, and where n of them lie side by
 * side.
 *
 * Pages are numbered: by arena, in the order in which arenas were made; a gap in the addresses
 * is a gap in the numbers. Everything here is guarded by mheap.lock, except that a P owns the 64
 * pages of its cache. See pagealloc.c. */
#ifndef CORE_ALLOC_PAGEALLOC_H
#define CORE_ALLOC_PAGEALLOC_H

#include "core/alloc/arena.h"

enum { RT_SUM_FAN = 8, RT_SUM_SHIFT = 3, RT_SUM_LEVELS = 8 /* 16 TiB */, RT_PAGECACHE_MAX = 16 };
#define RT_NOPAGE SIZE_MAX
#define RT_PAGES_MAX ((size_t)1 << 31) /* what the tree can count */

typedef struct rt_sum { /* free pages of a part of the numbers: at its start, most side by side, at its end */
	uint32_t start, max, end;
} rt_sum;

typedef struct rt_pagealloc {
	rt_sysmem *mem;
	rt_arena **arenas;             /* by ordinal; NULL: a gap */
	uint32_t narenas, cap;         /* ordinals in use; room in the tables */
	unsigned nlevels;              /* the top one has at most RT_SUM_FAN entries */
	rt_sum *level[RT_SUM_LEVELS];  /* level[0]: one for each chunk, above one for each RT_SUM_FAN */
	size_t search;                 /* no page below this number is free */
	size_t scavtop;                /* no chunk from this number on has a page that could be given back */
	size_t scavtop_sparse;         /* the same of chunks that are not dense */
	uint32_t gen;                  /* of chunks' occupancy: grows with every collection */
} rt_pagealloc;

void rt_pageheap_init(rt_pagealloc *pa, rt_sysmem *mem);
void rt_pageheap_fini(rt_pagealloc *pa); /* the tables; arenas belong to the heap */
/* Gives `a` a number: the next if it follows the last one's addresses and may be used as one with
 * it, else with a gap. False: no memory. */
bool rt_pageheap_add_arena(rt_pagealloc *pa, rt_arena *a, bool joins);
/* Chunk number `chunk` is Prepared now: its pages are free. */
void rt_pageheap_add_chunk(rt_pagealloc *pa, size_t chunk);
/* The first n free pages by number. *scav: how many of them are not Ready. */
size_t rt_pageheap_alloc(rt_pagealloc *pa, size_t n, size_t *scav);
/* Takes pages that are known to be free. Returns how many are not Ready. */
size_t rt_pageheap_take(rt_pagealloc *pa, size_t page, size_t n);
void rt_pageheap_free(rt_pagealloc *pa, size_t page, size_t n);
/* Free pages are Prepared from now on. */
void rt_pageheap_set_scavenged(rt_pagealloc *pa, size_t page, size_t n);
/* The most free pages side by side. */
size_t rt_pageheap_longest(const rt_pagealloc *pa);
void rt_pageheap_check(const rt_pagealloc *pa); /* throws if tables contradict each other */

static inline rt_chunk *rt_pageheap_chunk(const rt_pagealloc *pa, size_t chunk)
{
	rt_arena *a = pa->arenas[chunk / RT_ARENA_CHUNKS];

	return a != NULL ? &a->chunk[chunk % RT_ARENA_CHUNKS] : NULL;
}

static inline char *rt_page_addr(const rt_pagealloc *pa, size_t page)
{
	return pa->arenas[page / RT_ARENA_PAGES]->base + (page % RT_ARENA_PAGES << RT_PAGE_SHIFT);
}

static inline size_t rt_page_number(const rt_arena *a, const void *p)
{
	return (size_t)a->ordinal * RT_ARENA_PAGES + rt_arena_page((uintptr_t)p);
}

/* ---- A P's own 64 pages: spans of less than RT_PAGECACHE_MAX pages need no lock -------------------- */

typedef struct rt_pagecache { /* owner: its P */
	size_t first;   /* number of page 0 */
	char *base;     /* its address; NULL: empty */
	uint64_t free;  /* bit i: page i is free */
	uint64_t scav;  /* bit i: it is not Ready; subset of free */
} rt_pagecache;

/* Takes the aligned 64 pages around the first free one. False: there is none. */
bool rt_pagecache_fill(rt_pagealloc *pa, rt_pagecache *c);
void rt_pagecache_flush(rt_pagealloc *pa, rt_pagecache *c);
/* n pages, n <= RT_PAGECACHE_MAX; RT_NOPAGE: none side by side. *scav: how many are not Ready. */
size_t rt_pagecache_alloc(rt_pagecache *c, size_t n, size_t *scav);
static inline bool rt_pagecache_empty(const rt_pagecache *c)
{
	return c->free == 0;
}

#endif
