/* timer.h: a channel that a timer sends on, as chan.c and select.c see it. The channel's lock
 * guards the timer. */
#ifndef CORE_SYNC_TIMER_H
#define CORE_SYNC_TIMER_H

#include "core/include/gort.h"
#include "core/sched/sched.h"

#include <stdbool.h>

/* The lock is held. Sends if the moment has come and nobody waits, so that a receive finds the
 * value. */
void rt_timer_poll(gort_timer *t);
/* Without the lock: would rt_timer_poll send? */
bool rt_timer_due(const gort_timer *t);
/* The lock is held. A goroutine goes into the queue of receivers: the timer must ring by itself
 * now. False: there is no memory for that; it counts as blocked all the same. */
bool rt_timer_block(gort_timer *t);
void rt_timer_unblock(gort_timer *t); /* it has left the queue; lock held, or the world stopped */
_Noreturn void rt_timer_no_memory(void); /* no lock is held */
void rt_timer_ring(rt_alarm *a); /* the up-call */

#endif
