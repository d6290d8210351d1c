/* region.h: address space of the system for stacks, heaps and tables: the arena slot, and between two runtimes that
 * follow each other a store of what the first gave back.
 *
 * gort_explore makes a runtime for each run, thousands in a second. Half of such a run were mappings made and undone.
 * While somebody wants the store kept, what is given back stays mapped and is the next one's, zeroed. Else these are
 * the functions of the slot and nothing more. */
#ifndef CORE_BASE_REGION_H
#define CORE_BASE_REGION_H

#include <stddef.h>

/* See be_arena_reserve; given back by rt_region_release, whole. */
void *rt_region_reserve(void *hint, size_t size, size_t align);
void rt_region_release(void *p, size_t size);
/* See be_arena_new; given back by rt_region_free. */
void *rt_region_new(size_t size);
void rt_region_free(void *p, size_t size);
/* The same, if only the first `used` bytes were ever written. */
void rt_region_free_used(void *p, size_t size, size_t used);

/* What is done to a reservation already, in bytes from its start. To commit and to guard again what another runtime has
 * left so would be a third of a short run. */
typedef struct rt_region_done {
	size_t layout;    /* where there are guards, by the owner's reckoning: of use only to who has the same; not 0 */
	size_t committed; /* it reads as zero to who takes it, but for the guards */
	size_t guarded;   /* so much of it has all its guards; be_arena_nohuge was said of all of it */
	size_t written;   /* of who releases: nothing above was */
} rt_region_done;
enum { RT_LAYOUT_NO_GUARDS = 1 };

/* done->layout is the caller's; the rest is 0 for a new one. */
void *rt_region_reserve_done(size_t size, size_t align, rt_region_done *done);
void rt_region_release_done(void *p, size_t size, const rt_region_done *done);

/* Any thread; they nest. After the last drop nothing is kept. */
void rt_regions_keep(void);
void rt_regions_drop(void);

#endif
