/* leak.h: goroutines that wait and that nobody can wake. See leak.c. */
#ifndef CORE_GC_LEAK_H
#define CORE_GC_LEAK_H

#include "core/base/types.h"
#include "core/include/gort.h"

typedef void (*rt_leakfn)(void *arg, rt_g *gp);

/* Any thread, on a goroutine outside of the runtime or on none. Stops the world, and calls `tell` for each of them, by
 * goid, while it stands. 0, or GORT_ENOMEM: none was told. */
int rt_leaks_find(gort_runtime *rt, rt_leakfn tell, void *arg);

#endif
