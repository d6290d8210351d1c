/* chan.h: what chan.c needs from its neighbours in sync/. */
#ifndef CORE_SYNC_CHAN_H
#define CORE_SYNC_CHAN_H

#include "core/include/gort.h"
#include "core/sched/sched.h"

/* sleep.c: parks until the deadline; GORT_FOREVER: without a timer. 0, or GORT_ECANCELED. */
int rt_sleep_until(int64_t deadline, bool cancelable, rt_waitreason why);

#endif
