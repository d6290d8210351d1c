/* lock.h: the runtime's own lock and one-shot event, for threads (not goroutines).
 *
 * rt_mutex: 0 free, 1 held, 2 held and somebody may sleep. A taker that finds it held spins a little
 * (4 rounds of 30 pauses if the machine has several CPUs, then one yield), writes 2 and parks on the word; the
 * releaser exchanges in 0 and wakes one sleeper if it found 2. Unlock synchronises with the next
 * lock (release/acquire). The holder must not park its goroutine nor call out to user code.
 *
 * rt_note: clear, then one sleeper and exactly one wakeup, in any order. A second wakeup throws.
 */
#ifndef CORE_BASE_LOCK_H
#define CORE_BASE_LOCK_H

#include "backends/thread/thread.h"
#include "core/base/atomic.h"
#include "core/base/check.h"
#include "core/base/lockrank.h"

#include <stdint.h>

typedef struct rt_mutex {
	rt_atomic32 key;
} rt_mutex;

void rt_mutex_lock_slow(rt_mutex *l);
/* Waits a little without sleep. True: it was free, and is the caller's. */
bool rt_mutex_spin(rt_mutex *l);

/* The rank is an argument, not a field: a channel's lock is four bytes. */
static inline void rt_lock(rt_mutex *l, rt_lockrank rank)
{
	rt_lockrank_acquire(rank, l);
	if (RT_UNLIKELY(!rt_cas32_acq(&l->key, 0, 1)))
		rt_mutex_lock_slow(l);
}

static inline void rt_unlock(rt_mutex *l, rt_lockrank rank)
{
	uint32_t was = rt_xchg32_rel(&l->key, 0);

	RT_ASSERT(was != 0);
	rt_lockrank_release(rank, l);
	if (RT_UNLIKELY(was == 2))
		be_thread_wake(&l->key, 1);
}

static inline bool rt_trylock(rt_mutex *l, rt_lockrank rank)
{
	if (!rt_cas32_acq(&l->key, 0, 1))
		return false;
	rt_lockrank_acquire(rank, l);
	return true;
}

typedef struct rt_note {
	rt_atomic32 key; /* 0 clear, 1 signalled */
} rt_note;

void rt_note_clear(rt_note *n);
void rt_note_wakeup(rt_note *n);
void rt_note_sleep(rt_note *n);
/* False: ns passed without a wakeup. The note may be slept on again. */
bool rt_note_sleep_for(rt_note *n, int64_t ns);

#endif
