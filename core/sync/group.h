/* group.h: what the end of goroutines wants of gort_group. */
#ifndef CORE_SYNC_GROUP_H
#define CORE_SYNC_GROUP_H

#include "core/base/types.h"

/* Up-call, a part of rt_upcalls.goroutine_drop: gp leaves its group without a result. On gp itself, or
 * with the world stopped. */
void rt_group_drop(rt_g *gp);

#endif
