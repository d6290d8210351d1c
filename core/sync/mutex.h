/* mutex.h: sync.Mutex for its neighbours; inside the runtime. */
#ifndef CORE_SYNC_MUTEX_H
#define CORE_SYNC_MUTEX_H

#include "core/include/gort.h"
#include "core/sched/sched_inline.h"

/* The bit of the word that stays when somebody had to wait; see mutex.c. */
enum { RT_MUTEX_SHARED = 16 };

/* 0, GORT_ETIMEDOUT, GORT_ECANCELED; deadline as of rt_waiter_begin. */
int rt_gomutex_lock(gort_mutex *m, int64_t deadline);
bool rt_gomutex_trylock(gort_mutex *m);
/* False: it is not locked. May yield. */
bool rt_gomutex_unlock(gort_mutex *m);
_Noreturn void rt_gomutex_unlocked(void); /* what to do then */

/* Who has which lock is noted down in seeded runs only: there a lock that is free is not taken in passing. For the
 * locks of programs: after they were taken, and before they are given back. */
static inline void rt_note_lock(const void *lock, unsigned reading)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(mp->seeded))
		RT_TRACE(mp, SYNC, LOCK, mp->curg, (uintptr_t)lock, reading, 0);
}

static inline void rt_note_unlock(const void *lock, unsigned reading)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(mp->seeded))
		RT_TRACE(mp, SYNC, UNLOCK, mp->curg, (uintptr_t)lock, reading, 0);
}

#endif
