/* region.c: see region.h.
 *
 * Where little was written it is zeroed by hand, which keeps the pages; of all else the system takes them back and
 * keeps the mapping. What finds no place in the store goes back whole. Sanitizers know memory by its mapping: nothing
 * is kept there. */
#include "core/base/region.h"

#include "backends/arena/arena.h"
#include "core/base/attrs.h"
#include "core/base/check.h"
#include "core/base/lock.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { PLACES = 64, BY_HAND = 16 << 10 };

typedef struct kept {
	char *p; /* NULL: an empty place */
	size_t size;
	bool ready; /* of rt_region_new */
	rt_region_done done; /* of another */
} kept;

static struct {
	rt_mutex lock;      /* rank region */
	rt_atomic32 users;  /* written under lock */
	kept places[PLACES]; /* guarded by lock */
} store;

/* done: NULL, or what is asked for is one of its layout, with what is done to it. */
static void *take(const void *hint, size_t size, size_t align, bool ready, rt_region_done *done)
{
	void *p = NULL;

	if (RT_LIKELY(rt_load32_rlx(&store.users) == 0))
		return NULL;
	rt_lock(&store.lock, RT_RANK_region);
	for (kept *k = store.places; k < store.places + PLACES; k++)
		if (k->p != NULL && k->size == size && k->ready == ready && ((uintptr_t)k->p & (align - 1)) == 0 &&
		    (hint == NULL || hint == k->p) && (done == NULL || k->done.layout == done->layout)) {
			p = k->p;
			if (done != NULL)
				*done = k->done;
			k->p = NULL;
			break;
		}
	rt_unlock(&store.lock, RT_RANK_region);
	return p;
}

/* Zeroes it. Where there may be guards only the system can. Where that takes more than pages, nothing is done any
 * more. */
static bool clean(void *p, size_t size, bool ready, rt_region_done *done)
{
	bool plain = ready || (done->layout == RT_LAYOUT_NO_GUARDS && done->written <= done->committed);

	if (plain && done->written <= BY_HAND) {
		memset(p, 0, done->written);
		return true;
	}
	if (!be_arena_query()->lazy_commit)
		*done = (rt_region_done){ .layout = done->layout };
	return (ready ? be_arena_discard(p, size) : be_arena_recycle(p, size)) == 0;
}

static bool put(void *p, size_t size, bool ready, const rt_region_done *was)
{
	rt_region_done done = *was;
	bool placed = false;

	if (RT_TSAN || RT_ASAN || RT_LIKELY(rt_load32_rlx(&store.users) == 0))
		return false;
	if (!clean(p, size, ready, &done))
		return false;
	done.written = 0;
	rt_lock(&store.lock, RT_RANK_region);
	for (kept *k = store.places; k < store.places + PLACES && rt_load32_rlx(&store.users) > 0; k++)
		if (k->p == NULL) {
			*k = (kept){ p, size, ready, done };
			placed = true;
			break;
		}
	rt_unlock(&store.lock, RT_RANK_region);
	return placed;
}

void *rt_region_reserve(void *hint, size_t size, size_t align)
{
	void *p = take(hint, size, align, false, NULL);

	return p != NULL ? p : be_arena_reserve(hint, size, align);
}

void *rt_region_reserve_done(size_t size, size_t align, rt_region_done *done)
{
	void *p;

	RT_ASSERT(done->layout != 0);
	p = take(NULL, size, align, false, done);
	if (p != NULL)
		return p;
	*done = (rt_region_done){ .layout = done->layout };
	return be_arena_reserve(NULL, size, align);
}

void rt_region_release(void *p, size_t size)
{
	rt_region_release_done(p, size, &(rt_region_done){ .written = size });
}

void rt_region_release_done(void *p, size_t size, const rt_region_done *done)
{
	if (!put(p, size, false, done))
		be_arena_release(p, size);
}

void *rt_region_new(size_t size)
{
	void *p = take(NULL, size, 1, true, NULL);

	return p != NULL ? p : be_arena_new(size);
}

void rt_region_free(void *p, size_t size)
{
	rt_region_free_used(p, size, size);
}

void rt_region_free_used(void *p, size_t size, size_t used)
{
	if (!put(p, size, true, &(rt_region_done){ .written = used }))
		be_arena_release(p, size);
}

/* In the child of a fork: whoever held the lock is gone, and may have written half a place. What was kept stays mapped
 * until the child ends. */
static void forked(void)
{
	rt_store32_rlx(&store.lock.key, 0);
	memset(store.places, 0, sizeof store.places);
}

/* Before the lock is taken for the first time, which nobody does while there are no users. Twice does no harm. */
static void hook_forks(void)
{
	static rt_atomic32 hooked;

	if (rt_load32_acq(&hooked) == 0 && be_thread_atfork(forked) == 0)
		rt_store32_rel(&hooked, 1);
}

void rt_regions_keep(void)
{
	hook_forks();
	rt_lock(&store.lock, RT_RANK_region);
	rt_store32_rlx(&store.users, rt_load32_rlx(&store.users) + 1);
	rt_unlock(&store.lock, RT_RANK_region);
}

void rt_regions_drop(void)
{
	kept old[PLACES];

	rt_lock(&store.lock, RT_RANK_region);
	RT_ASSERT(rt_load32_rlx(&store.users) > 0);
	rt_store32_rlx(&store.users, rt_load32_rlx(&store.users) - 1);
	memset(old, 0, sizeof old);
	if (rt_load32_rlx(&store.users) == 0) {
		memcpy(old, store.places, sizeof old);
		memset(store.places, 0, sizeof store.places);
	}
	rt_unlock(&store.lock, RT_RANK_region);
	for (kept *k = old; k < old + PLACES; k++)
		if (k->p != NULL)
			be_arena_release(k->p, k->size);
}
