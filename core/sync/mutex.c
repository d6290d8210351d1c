/* mutex.c: sync.Mutex, normal mode: a taker spins a little, then parks; who unlocks wakes the first
 * waiter, which competes with new takers.
 *
 * state: bit 0 locked; bit 1 woken, a waiter is on its way and no other need be woken; waiters
 * from bit 3 on (bit 2 is for starvation mode). Each unlock that takes a waiter off the count leaves one token in the
 * semaphore, and each token goes to one waiter. A waiter that gives up at its deadline takes itself
 * off the count; if the count is 0 already, its token is on the way and it waits for that.
 */
#include "core/sync/sema.h"

#include "core/sched/sched_inline.h"

enum { LOCKED = 1, WOKEN = 2, WAITER = 8, SPINS = 4, PAUSES = 30 };

typedef struct mutex {
	rt_atomic32 state, sema;
} mutex;

_Static_assert(sizeof(mutex) == sizeof(gort_mutex), "the public size is for ever");

static void spin(void)
{
	for (int i = 0; i < PAUSES; i++)
		be_cpu_pause();
}

static void wake_one(mutex *m)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state);

		if (old < WAITER || (old & (LOCKED | WOKEN)))
			return;
		if (rt_cas32_full(&m->state, old, (old - WAITER) | WOKEN)) {
			rt_semrelease(&m->sema);
			return;
		}
	}
}

/* The deadline has passed and no token came. */
static void give_up(mutex *m)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state);

		if (old < WAITER) { /* ours is on its way */
			(void)rt_semacquire(&m->sema, false, GORT_FOREVER, RT_WAIT_MUTEX_LOCK);
			for (;;) {
				old = rt_load32_rlx(&m->state);
				if (rt_cas32_full(&m->state, old, old & ~(uint32_t)WOKEN))
					break;
			}
			wake_one(m); /* in our place */
			return;
		}
		if (rt_cas32_full(&m->state, old, old - WAITER))
			return;
	}
}

static int lock_slow(mutex *m, int64_t deadline)
{
	bool awoken = false, waited = false;
	int spins = 0;

	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state), new = old | LOCKED;

		if ((old & LOCKED) && spins < SPINS && rt_can_spin()) {
			if (!awoken && !(old & WOKEN) && old >= WAITER &&
			    rt_cas32_full(&m->state, old, old | WOKEN))
				awoken = true;
			spin();
			spins++;
			continue;
		}
		if (old & LOCKED)
			new += WAITER;
		if (awoken)
			new &= ~(uint32_t)WOKEN;
		if (!rt_cas32_full(&m->state, old, new))
			continue;
		if (!(old & LOCKED))
			return 0;
		if (!rt_semacquire(&m->sema, waited, deadline, RT_WAIT_MUTEX_LOCK)) {
			give_up(m);
			/* An attached thread after the end of its run takes the lock. */
			return rt_g_released(rt_curg()) ? GORT_ECANCELED : GORT_ETIMEDOUT;
		}
		awoken = waited = true;
		spins = 0;
	}
}

static inline int lock(mutex *m, int64_t deadline)
{
	return RT_LIKELY(rt_cas32_acq(&m->state, 0, LOCKED)) ? 0 : lock_slow(m, deadline);
}

GORT_API void gort_mutex_lock(gort_mutex *m)
{
	(void)RT_ENTER();
	(void)lock((mutex *)m, GORT_FOREVER);
	rt_leave();
}

GORT_API int gort_mutex_lock_until(gort_mutex *m, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = lock((mutex *)m, deadline);
	rt_leave();
	return r;
}

GORT_API bool gort_mutex_try_lock(gort_mutex *pub)
{
	mutex *m = (mutex *)pub;
	uint32_t old;
	bool done;

	(void)RT_ENTER();
	old = rt_load32_rlx(&m->state);
	done = !(old & LOCKED) && rt_cas32_acq(&m->state, old, old | LOCKED);
	rt_leave();
	return done;
}

static RT_NOINLINE void unlock_slow(mutex *m, uint32_t old)
{
	if (!(old & LOCKED)) {
		if (rt_g_released(rt_curg())) /* its lock was granted, not taken */
			return;
		rt_fatal("sync: unlock of unlocked mutex");
	}
	wake_one(m);
}

GORT_API void gort_mutex_unlock(gort_mutex *pub)
{
	mutex *m = (mutex *)pub;
	uint32_t old;

	(void)RT_ENTER();
	old = rt_add32_full(&m->state, (uint32_t)-LOCKED);
	if (RT_UNLIKELY(old != LOCKED)) {
		if (!(old & LOCKED))
			rt_add32_full(&m->state, LOCKED);
		unlock_slow(m, old);
	}
	rt_leave();
}
