/* mutex.c: sync.Mutex, with Go's two modes (spec/07 4.1).
 *
 * state: LOCKED; WOKEN, a waiter is awake and no other need be woken; STARVING; above them the
 * number of waiters. In normal mode a taker spins a little, then parks; who unlocks takes one
 * waiter off the number and gives one token, and the woken one competes with newcomers, who have
 * the better cards: they run already. A waiter that finds after more than 1 ms that the lock is
 * taken again switches to starvation mode. There newcomers only queue, and who unlocks gives the
 * token and leaves the number: the token is the lock. Its receiver takes itself off the number, and
 * goes back to normal mode if it was the last waiter or has waited less than 1 ms. While the token
 * is on its way the state is STARVING without LOCKED, which nobody else can take.
 *
 * Invariants, of goroutines that are counted or wait for a token (waiters):
 *   normal      waiters = number + tokens on their way; at most one, and only with WOKEN, which
 *               its receiver clears. Only a woken waiter switches to STARVING: then there is none.
 *   STARVING    waiters = number >= 1; a token is on its way if and only if LOCKED is clear.
 *
 * A waiter that gives up (deadline, cancellation) got no token and takes itself off the number. It
 * must not if the token on its way is owed to it, that is, if nobody else is there to receive
 * it: the number is 0, or it is 1 and the lock is being handed over. Then it receives the token
 * first, and passes on the wake-up, or has the lock, late. That does not take long: whoever owes
 * it a token runs. A newcomer that takes that token from it has counted itself before, so the waiter,
 * which announces itself in the bucket and then looks again, sees that it is not owed any more, or
 * the newcomer sees that somebody waits. Checked in tests/model/mutex.pml.
 *
 * Unlocking is one compare-and-swap, not a subtraction and a second look as in Go: once another can
 * have the lock, m may be in memory that this other gives back. After the swap m is only the address
 * of a token that somebody waits for.
 *
 * SHARED. A mutex on which nobody ever had to wait is unlocked by a plain store (sched/plock.c): then nobody but
 * the holder may write to a word that says LOCKED. The first who wants to, ASKS: by ASKED beside LOCKED, and the
 * fence and the wait of rt_leavers_settle; if it stands there still, each holder sees it, and it becomes SHARED
 * for good. ASKED is written, and waited for, under the lock of the bucket, one at a time: a second ASKED that
 * looked like the first one would let the first asker go on while a holder has not seen the second. A holder
 * that sees it when it unlocks makes the mutex SHARED itself. (When it only took ASKED away, who asked had to
 * have luck: one hold longer than a fence.) The system may have no such fence; then no word is SHARED, and all
 * are treated so. To give a mutex back to the quick way when it has been quiet for long was rejected: it saves
 * half of what an unlock costs, and the next wait would pay microseconds.
 *
 * A run that ends drops its waiters and keeps their number: a mutex on which goroutines of an
 * earlier run waited must be zeroed, as one that they held.
 */
#include "core/sync/mutex.h"

#include "core/sync/sema.h"

#include <stddef.h>

enum { LOCKED = 1, WOKEN = 2, STARVING = 4, ASKED = 8, SHARED = RT_MUTEX_SHARED, WAITER = 32, SPINS = 4, PAUSES = 30 };
#define STARVE_NS GORT_MILLISECOND

typedef struct mutex {
	rt_atomic32 state, sema;
} mutex;

_Static_assert(sizeof(mutex) == sizeof(gort_mutex), "the public size is for ever");
_Static_assert(offsetof(mutex, sema) == RT_SEMA_IN_MUTEX, "what reports show");

static void spin(void)
{
	for (int i = 0; i < PAUSES; i++)
		be_cpu_pause();
}

/* A token that was received as the lock. */
static void take_over(mutex *m, bool calm)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state), new = old + LOCKED - WAITER;

		RT_ASSERT((old & (LOCKED | STARVING)) == STARVING && old >= WAITER);
		if (calm || new < WAITER)
			new &= ~(uint32_t)STARVING;
		if (rt_cas32_full(&m->state, old, new))
			return;
	}
}

/* A token that was received as a wake-up goes to another. */
static void pass_on(mutex *m)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state);

		RT_ASSERT((old & (WOKEN | STARVING)) == WOKEN);
		if (old >= WAITER && !(old & LOCKED)) {
			if (rt_cas32_full(&m->state, old, old - WAITER)) {
				rt_semrelease(&m->sema, false);
				return;
			}
		} else if (rt_cas32_full(&m->state, old, old & ~(uint32_t)WOKEN)) {
			return;
		}
	}
}

static bool handed_over(uint32_t state)
{
	return (state & (LOCKED | STARVING)) == STARVING;
}

/* To a waiter that has none: nobody else can receive the token that is on its way. */
static bool token_owed(uint32_t state)
{
	return state < WAITER || (state < 2 * WAITER && handed_over(state));
}

static bool uncount(mutex *m, uint32_t old)
{
	uint32_t new = old - WAITER;

	if (new < WAITER)
		new &= ~(uint32_t)STARVING;
	return rt_cas32_full(&m->state, old, new);
}

/* Receives a token that is owed. False: it is not any more, or the run has ended. */
static bool collect(mutex *m)
{
	rt_semaroot *r = rt_semaroot_of(&m->sema);

	rt_sema_begin(r);
	if (rt_sema_token(r, &m->sema)) {
		rt_sema_end(r);
		return true;
	}
	if (!token_owed(rt_load32_acq(&m->state)) || rt_g_released(rt_curg())) {
		rt_sema_end(r);
		return false;
	}
	return rt_sema_wait(r, &m->sema, true, RT_UNTIMED, RT_WAIT_MUTEX_LOCK) == 0;
}

/* A counted waiter got no token, for the reason `err`. Returns it, or 0: it has the lock. */
static int give_up(mutex *m, int err)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state);

		if (!token_owed(old)) {
			if (uncount(m, old))
				return err;
		} else if (collect(m)) {
			if (rt_load32_rlx(&m->state) & STARVING) {
				take_over(m, false);
				return 0;
			}
			pass_on(m);
			return err;
		} else if (rt_g_released(rt_curg())) {
			return err;
		}
	}
}

/* May others than the holder write to a word that is `old`? */
static bool open_to_all(uint32_t old)
{
	return (old & (LOCKED | SHARED)) != LOCKED || !rt_self()->plain;
}

/* Once for each mutex that goroutines wait for. It may be free meanwhile, and not SHARED: the caller looks again. */
static RT_NOINLINE void share(mutex *m)
{
	rt_semaroot *r = rt_semaroot_of(&m->sema);

	rt_sema_begin(r);
	if (rt_cas32_full(&m->state, LOCKED, LOCKED | ASKED)) {
		rt_leavers_settle(rt_self()->rt, &m->state);
		(void)rt_cas32_full(&m->state, LOCKED | ASKED, LOCKED | SHARED);
	}
	rt_sema_end(r);
}

static RT_NOINLINE int lock_slow(mutex *m, int64_t deadline)
{
	bool awoken = false, waited = false, starving = false;
	int64_t since = 0;
	int spins = 0, err = rt_wait_refused(rt_curg(), deadline);

	if (err != 0)
		return err;
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state), new = old;

		if ((old & (LOCKED | STARVING)) == LOCKED && spins < SPINS && rt_can_spin()) {
			if (!awoken && !(old & WOKEN) && old >= WAITER &&
			    rt_cas32_full(&m->state, old, old | WOKEN))
				awoken = true;
			spin();
			spins++;
			continue;
		}
		if (!open_to_all(old)) {
			share(m);
			continue;
		}
		if (!(old & STARVING))
			new |= LOCKED;
		if (old & (LOCKED | STARVING))
			new += WAITER;
		if (starving && (old & LOCKED))
			new |= STARVING;
		if (awoken)
			new &= ~(uint32_t)WOKEN;
		if (!rt_cas32_full(&m->state, old, new))
			continue;
		if (!(old & (LOCKED | STARVING)))
			return 0;
		if (since == 0)
			since = rt_now(rt_self()->rt);
		err = rt_semacquire(&m->sema, waited, deadline, RT_WAIT_MUTEX_LOCK);
		if (err != 0)
			return give_up(m, err);
		starving = starving || rt_now(rt_self()->rt) - since > STARVE_NS;
		if (rt_load32_rlx(&m->state) & STARVING) {
			take_over(m, !starving);
			return 0;
		}
		awoken = waited = true;
		spins = 0;
	}
}

/* The short paths swap without a look, since a look at a word that was just swapped waits for that swap, and the next
 * swap for the look: a tenth of all. But with waiters in the number a swap of 0 and LOCKED would fail each time, at the
 * price of one that succeeds. So a thread that has failed looks first until it sees a mutex without waiters. Either way
 * it swaps a whole word, known or seen: one that was old only leads to the long path. */
static inline bool lock_short(rt_m *mp, mutex *m)
{
	uint32_t old;

	if (RT_LIKELY(!mp->crowded)) {
		if (RT_LIKELY(rt_cas32_acq(&m->state, 0, LOCKED)))
			return true;
		mp->crowded = true;
	}
	old = rt_load32_rlx(&m->state);
	if (old == 0)
		mp->crowded = false;
	return !(old & (LOCKED | STARVING)) && rt_cas32_acq(&m->state, old, old | LOCKED);
}

static inline int lock(mutex *m, int64_t deadline)
{
	return RT_LIKELY(lock_short(rt_self(), m)) ? 0 : lock_slow(m, deadline);
}

static inline bool trylock(mutex *m)
{
	uint32_t old;

	while (!((old = rt_load32_rlx(&m->state)) & (LOCKED | STARVING)))
		if (rt_cas32_acq(&m->state, old, old | LOCKED))
			return true;
	return false;
}

/* What the word becomes when its holder unlocks by a swap. Whoever locks it next does so by a swap, too, of a word that
 * says SHARED: so who was asked may answer at once. */
static inline uint32_t released(uint32_t old)
{
	uint32_t new = old & ~(uint32_t)(LOCKED | ASKED);

	return old & ASKED ? new | SHARED : new;
}

static RT_NOINLINE bool unlock_slow(mutex *m)
{
	for (;;) {
		uint32_t old = rt_load32_rlx(&m->state), new = released(old);
		bool give = old >= WAITER && ((old & STARVING) || !(old & WOKEN));

		if (!(old & LOCKED))
			return rt_g_released(rt_curg()); /* its lock was granted, not taken */
		if (give && !(old & STARVING))
			new = (new - WAITER) | WOKEN;
		if (rt_cas32_full(&m->state, old, new)) {
			if (give)
				rt_semrelease(&m->sema, (old & STARVING) != 0);
			return true;
		}
	}
}

static inline bool unlock_short(rt_m *mp, mutex *m)
{
	uint32_t old;

	if (RT_LIKELY(!mp->crowded)) {
		if (RT_LIKELY(rt_cas32_rel(&m->state, LOCKED, 0)))
			return true;
		mp->crowded = true;
	}
	old = rt_load32_rlx(&m->state);
	if (old == LOCKED)
		mp->crowded = false;
	return (old & (LOCKED | STARVING)) == LOCKED && (old < WAITER || (old & WOKEN)) &&
	       rt_cas32_rel(&m->state, old, released(old));
}

/* By a plain store. On the goroutine's own P for that moment, so that its thread is not stopped in the middle. */
static inline bool unlock_plain(mutex *m)
{
	rt_visit v;
	bool done;

	(void)rt_load32_rlx(&m->state); /* a nil mutex is a fault of the program, here and not inside the runtime */
	v = rt_visit_begin();
	if (RT_UNLIKELY(v.p == NULL))
		return false;
	done = rt_give_back(v.p, &m->state, LOCKED);
	if (RT_LIKELY(done))
		rt_visit_end(v);
	else
		rt_visit_drop(v);
	return done;
}

static inline bool unlock(mutex *m)
{
	return RT_LIKELY(unlock_short(rt_self(), m)) || unlock_slow(m);
}

int rt_gomutex_lock(gort_mutex *m, int64_t deadline)
{
	return lock((mutex *)m, deadline);
}

bool rt_gomutex_trylock(gort_mutex *m)
{
	return trylock((mutex *)m);
}

bool rt_gomutex_unlock(gort_mutex *m)
{
	return unlock((mutex *)m);
}

_Noreturn RT_COLD void rt_gomutex_unlocked(void)
{
	rt_fatal("sync: unlock of unlocked mutex");
}

static RT_NOINLINE void lock_long(mutex *m)
{
	(void)rt_enter("gort_mutex_lock");
	if (lock_slow(m, RT_UNTIMED) == 0)
		rt_note_lock(m, 0);
	rt_leave();
}

GORT_API void gort_mutex_lock(gort_mutex *m)
{
	rt_m *mp = rt_self();

	if (RT_UNLIKELY(!rt_in_passing(mp) || !lock_short(mp, (mutex *)m)))
		lock_long((mutex *)m);
}

GORT_API int gort_mutex_lock_until(gort_mutex *m, int64_t deadline)
{
	int r;

	(void)RT_ENTER();
	r = lock((mutex *)m, rt_deadline(deadline));
	if (r == 0)
		rt_note_lock(m, 0);
	rt_leave();
	return r;
}

GORT_API bool gort_mutex_try_lock(gort_mutex *m)
{
	bool done;

	(void)RT_ENTER();
	done = trylock((mutex *)m);
	if (done)
		rt_note_lock(m, 0);
	rt_leave();
	return done;
}

static RT_NOINLINE void unlock_long(mutex *m)
{
	(void)rt_enter("gort_mutex_unlock");
	rt_note_unlock(m, 0);
	if (RT_UNLIKELY(!unlock_slow(m)))
		rt_gomutex_unlocked();
	rt_leave();
}

GORT_API void gort_mutex_unlock(gort_mutex *m)
{
	rt_m *mp = rt_self();

	if (mp != NULL && mp->plain && !mp->crowded && RT_LIKELY(unlock_plain((mutex *)m)))
		return;
	if (RT_UNLIKELY(!rt_in_passing(mp) || !unlock_short(mp, (mutex *)m)))
		unlock_long((mutex *)m);
}
