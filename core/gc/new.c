/* new.c: typed allocation. This is where the memory rooms meet: it stands above the allocator and
 * beside the collector, so that neither needs the other.
 *
 * Collector `none`: each P bumps a pointer through a chunk of its own; a new chunk comes from a
 * region of address space under the heap's lock. Regions are reserved in growing sizes and given
 * back together. Memory is zero because it comes fresh from the system and is never used twice.
 */
#include "core/gc/gc.h"

#include "backends/arena/arena.h"
#include "core/sched/sched_impl.h"
#include "core/sched/sched_inline.h"

#include <stdlib.h>

enum { CHUNK = 128 << 10, LARGE = 16 << 10, ALIGN = 16 };
#define REGION_MIN ((size_t)64 << 20)
#define REGION_MAX ((size_t)1 << 30)
#define COMMIT_STEP ((size_t)2 << 20) /* also the alignment of a region: the usual huge page */
#define SMALL ((size_t)4 << 20)       /* so much of a region stays on small pages */

typedef struct region { /* at the start of its own memory */
	struct region *next;
	size_t size;
	char *bump, *ready, *end; /* [bump, ready) is committed and free */
} region;

typedef struct rt_heap {
	rt_mutex lock;       /* rank heap */
	/* guarded by lock */
	region *regions;     /* newest first; only it has room */
	size_t reserved, next_size;
	uint64_t large_objects, large_bytes;
} rt_heap;

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

int rt_heap_init(gort_runtime *rt)
{
	rt_heap *h = calloc(1, sizeof *h); /* on the host's thread, at boot */

	if (h == NULL)
		return GORT_ENOMEM;
	h->next_size = REGION_MIN;
	rt->heap = h;
	return 0;
}

void rt_heap_fini(gort_runtime *rt)
{
	rt_heap *h = rt->heap;
	region *next;

	if (h == NULL)
		return;
	for (region *r = h->regions; r != NULL; r = next) {
		next = r->next;
		be_arena_release(r, r->size);
	}
	free(h);
	rt->heap = NULL;
}

static bool commit_to(gort_runtime *rt, region *r, char *upto)
{
	size_t more;

	if (upto <= r->ready)
		return true;
	if (rt_oom_now(&rt->debug))
		return false;
	/* Up to a multiple of the step, so that no huge page is committed by halves. */
	more = round_up((size_t)(upto - (char *)r), COMMIT_STEP) - (size_t)(r->ready - (char *)r);
	if (more > (size_t)(r->end - r->ready))
		more = (size_t)(r->end - r->ready);
	if (be_arena_commit(r->ready, more) != 0)
		return false;
	r->ready += more;
	return true;
}

static bool add_region(gort_runtime *rt, rt_heap *h, size_t need)
{
	size_t page = be_arena_query()->page;
	size_t size = round_up(need + page, REGION_MIN);
	region *r = NULL;

	if (size < h->next_size && h->next_size <= be_arena_query()->max_reserve)
		size = h->next_size;
	if (!rt_oom_now(&rt->debug))
		r = be_arena_reserve(NULL, size, COMMIT_STEP);
	if (r == NULL)
		return false;
	if (be_arena_commit(r, page) != 0) {
		be_arena_release(r, size);
		return false;
	}
	be_arena_huge((char *)r + SMALL, size - SMALL);
	*r = (region){ h->regions, size, (char *)r + round_up(sizeof *r, ALIGN), (char *)r + page,
		       (char *)r + size };
	h->regions = r;
	h->reserved += size;
	if (h->next_size < REGION_MAX)
		h->next_size *= 2;
	return true;
}

/* size bytes of zeroed memory; NULL: the system refused. */
static void *region_take_locked(gort_runtime *rt, rt_heap *h, size_t size)
{
	region *r = h->regions;
	char *p;

	if (r == NULL || (size_t)(r->end - r->bump) < size) {
		if (!add_region(rt, h, size))
			return NULL;
		r = h->regions;
	}
	if (!commit_to(rt, r, r->bump + size))
		return NULL;
	p = r->bump;
	r->bump += size;
	return p;
}

static _Noreturn void out_of_memory(void)
{
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

static RT_NOINLINE void *new_slow(size_t size)
{
	rt_m *mp = rt_self();
	rt_heap *h = mp->rt->heap;
	rt_p *pp = mp->p;
	char *p;

	rt_lock(&h->lock, RT_RANK_heap);
	p = region_take_locked(mp->rt, h, size > LARGE ? size : CHUNK);
	if (p != NULL && size > LARGE) {
		h->large_objects++;
		h->large_bytes += size;
	}
	rt_unlock(&h->lock, RT_RANK_heap);
	if (p == NULL)
		out_of_memory();
	if (size > LARGE)
		return p;
	pp->bump = p + size;
	pp->bumpend = p + CHUNK;
	return p;
}

static inline void *new_sized(size_t size)
{
	rt_p *pp = rt_self()->p;
	char *p = pp->bump;

	if (RT_UNLIKELY(size > SIZE_MAX / 4))
		out_of_memory();
	size = size == 0 ? ALIGN : round_up(size, ALIGN);
	if (RT_UNLIKELY(size > LARGE))
		return new_slow(size);
	pp->heap_objects++;
	pp->heap_bytes += size;
	if (RT_UNLIKELY((size_t)((char *)pp->bumpend - p) < size))
		return new_slow(size);
	pp->bump = p + size;
	return p;
}

void *rt_new_bytes(size_t size, bool noscan)
{
	(void)noscan;
	return new_sized(size);
}

void *rt_new(const gort_type *t)
{
	return new_sized(gort_type_size(t));
}

void rt_heap_stats(gort_runtime *rt, rt_heapstats *out)
{
	rt_heap *h = rt->heap;

	rt_lock(&h->lock, RT_RANK_heap);
	*out = (rt_heapstats){ h->large_objects, h->large_bytes, h->reserved };
	rt_unlock(&h->lock, RT_RANK_heap);
	for (int i = 0; i < rt->sched.nallp; i++) {
		out->objects += rt->sched.allp[i]->heap_objects;
		out->bytes += rt->sched.allp[i]->heap_bytes;
	}
}
