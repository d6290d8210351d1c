/* chan.h: what chan.c needs from its neighbours in sync/. */
#ifndef CORE_SYNC_CHAN_H
#define CORE_SYNC_CHAN_H

#include "core/include/gort.h"
#include "core/sched/sched.h"

/* sleep.c: parks until the deadline. 0, or GORT_ECANCELED for an attached thread whose run has ended. */
int rt_sleep_until(int64_t deadline, rt_waitreason why);

#endif
