/* mutex.h: sync.Mutex for its neighbours; inside the runtime. */
#ifndef CORE_SYNC_MUTEX_H
#define CORE_SYNC_MUTEX_H

#include "core/include/gort.h"

/* The bit of the word that stays when somebody had to wait; see mutex.c. */
enum { RT_MUTEX_SHARED = 16 };

/* 0, GORT_ETIMEDOUT, GORT_ECANCELED; deadline as of rt_waiter_begin. */
int rt_gomutex_lock(gort_mutex *m, int64_t deadline);
bool rt_gomutex_trylock(gort_mutex *m);
/* False: it is not locked. May yield. */
bool rt_gomutex_unlock(gort_mutex *m);
_Noreturn void rt_gomutex_unlocked(void); /* what to do then */

#endif
