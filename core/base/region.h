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

/* Any thread; they nest. After the last drop nothing is kept. */
void rt_regions_keep(void);
void rt_regions_drop(void);

#endif
