/* pool.h: what the collector and the boot want of gort_pool. */
#ifndef CORE_SYNC_POOL_H
#define CORE_SYNC_POOL_H

#include "core/base/types.h"

int rt_pools_init(gort_runtime *rt); /* 0 or GORT_ENOMEM */
void rt_pools_fini(gort_runtime *rt);

/* Up-call (rt_upcalls.pool_cleanup) at the start of a collection, world stopped: every pool forgets what it
 * has kept since the collection before the last. */
void rt_pool_cleanup(gort_runtime *rt);
/* Every word by which pools hold heap objects; world stopped. */
void rt_pool_roots(gort_runtime *rt, void (*visit)(void *data, void **slot), void *data);

#endif
