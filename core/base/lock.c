/* lock.c: the slow paths of rt_mutex, and rt_note. What they do stands in lock.h.
 *
 * rt_mutex after "Futexes Are Tricky" (Drepper, 2011), its second mutex, with a bounded spin in front.
 * Whoever slept takes the lock by writing 2, because it cannot know whether others still sleep: the
 * price is one wake too many, never one too few.
 *
 * Rejected: a queue of waiters in the lock (fair, but a lock would no longer be four bytes, and a
 * hand-over to a thread that sleeps makes everybody wait for its wake-up); pthread_mutex_t (40
 * bytes in every channel, and no control over who spins).
 */
#include "core/base/lock.h"

enum { SPINS = 4, PAUSES = 30 };

/* Spinning helps only if the holder can run meanwhile. The number of CPUs is a fact of the process:
 * asked once, 0 = not asked yet; a race asks twice and stores the same. */
static int spins(void)
{
	static rt_atomic32 ncpu;
	uint32_t n = rt_load32_rlx(&ncpu);

	if (RT_UNLIKELY(n == 0)) {
		n = (uint32_t)be_ncpu();
		rt_store32_rlx(&ncpu, n);
	}
	return n > 1 ? SPINS : 0;
}

static bool take_free(rt_mutex *l)
{
	return rt_load32_rlx(&l->key) == 0 && rt_cas32_acq(&l->key, 0, 1);
}

bool rt_mutex_spin(rt_mutex *l)
{
	for (int left = spins(); left > 0; left--) {
		for (int i = 0; i < PAUSES; i++)
			be_cpu_pause();
		if (take_free(l))
			return true;
	}
	be_thread_yield();
	return take_free(l);
}

RT_NOINLINE void rt_mutex_lock_slow(rt_mutex *l)
{
	if (rt_mutex_spin(l))
		return;
	while (rt_xchg32_acq(&l->key, 2) != 0)
		be_thread_park(&l->key, 2, -1);
}

void rt_note_clear(rt_note *n)
{
	rt_store32_rlx(&n->key, 0);
}

void rt_note_wakeup(rt_note *n)
{
	if (rt_xchg32_full(&n->key, 1) != 0)
		rt_throw("double wakeup");
	/* The sleeper may have seen the 1 and freed the note: the wake allows that. */
	be_thread_wake(&n->key, 1);
}

void rt_note_sleep(rt_note *n)
{
	while (rt_load32_acq(&n->key) == 0)
		be_thread_park(&n->key, 0, -1);
}

bool rt_note_sleep_for(rt_note *n, int64_t ns)
{
	int64_t now, until;

	if (ns < 0) {
		rt_note_sleep(n);
		return true;
	}
	now = be_nanotime();
	until = ns > INT64_MAX - now ? INT64_MAX : now + ns;
	while (rt_load32_acq(&n->key) == 0) {
		if (now >= until)
			return false;
		be_thread_park(&n->key, 0, until - now);
		now = be_nanotime();
	}
	return true;
}
