/* plock.c: locks that are given back by a plain store.
 *
 * To give a lock back by a locked instruction costs as much as to take it, and only because somebody may just say
 * in its word that he sleeps. Here who wants to say that pays. The holder, on a P, in rt_give_back:
 *
 *	leaving = word; if the word says that it is held and no more: word = 0; leaving = NULL
 *
 * and who wants to sleep, or to write more into the word of a lock that another holds:
 *
 *	writes that into the word (by a compare-and-swap, or exchange)
 *	has all threads fenced (be_thread_fence_all)
 *	waits until no P is leaving that word
 *	looks at the word again
 *
 * A holder that was fenced before it wrote `leaving` sees what was written, and gives back by a locked
 * instruction. Of one that was fenced after it, `leaving` is seen, and when that is gone its 0, if it wrote one.
 * So what is still in the word after that wait is seen by each holder from now on. `leaving` belongs to the P:
 * between the two writes the thread is in the runtime and keeps it. The holder does not touch the word after its
 * store: the lock may be in memory that the next one gives back.
 *
 * Two kinds of locks do that: those of rt_plock, here, and gort_mutex (sync/mutex.c), where it is done once, when
 * somebody first waits, and the word says so from then on. tests/model/leave.pml has both.
 *
 * In a lock of rt_plock the 2 of a sleeper may be one that another has written since, who has not waited yet. Then
 * a holder may overwrite it with a 0. The other will find that and take the lock as one for which somebody sleeps.
 *
 * Rejected: a second look at the word in place of `leaving` (it may be gone by then); to hand the store to the
 * kernel as a restartable sequence (one system has them).
 */
#include "core/sched/internal.h"

#include <errno.h>

enum { PAUSES = 100, YIELDS = 20, TRIES = 5, ADDS = 100, DEAR = 5 /* ns */ };

/* What a locked instruction costs differs by four between machines, 2 and 9 ns were met; to give back a gort_mutex
 * by plain stores costs 4, since it is done inside the runtime. The least of a few tries, some microseconds in
 * all; a machine that is busy meanwhile only makes it dearer, and is right in any case. */
static bool locked_is_dear(void)
{
	rt_atomic64 sum = { 0 };
	int64_t least = INT64_MAX;

	for (int try = 0; try < TRIES; try++) {
		int64_t begin = be_nanotime(), took;

		for (int i = 0; i < ADDS; i++)
			rt_add64_full(&sum, 1);
		took = be_nanotime() - begin;
		least = took < least ? took : least;
	}
	return least >= ADDS * DEAR;
}

void rt_plock_choose(gort_runtime *rt)
{
	int wish = rt->seeded == NULL ? rt->debug.plainunlock : 0; /* nobody waits for a lock */

	rt->sched.plain = wish != 0 && be_thread_fences();
	rt->sched.plainmutex = rt->sched.plain && (wish != 2 || locked_is_dear());
}

static int fence(gort_runtime *rt)
{
	return rt_fail_now(&rt->debug, "fence") ? -ENOMEM : be_thread_fence_all();
}

/* On a P, which is not leaving itself. */
void rt_leavers_settle(gort_runtime *rt, const rt_atomic32 *word)
{
	const rt_sched *sc = &rt->sched;
	int err;

	while ((err = fence(rt)) == -ENOMEM)
		be_thread_nap(GORT_MILLISECOND); /* a back-off: nothing tells when memory comes back */
	if (RT_UNLIKELY(err != 0))
		rt_throw("membarrier is refused by now: such a sandbox needs GODEBUG=plainunlock=0");
	for (int i = 0; i < sc->nallp; i++)
		for (int n = 1; rt_loadptr_acq(&sc->allp[i]->leaving) == word; n++) {
			be_cpu_pause();
			if (n % PAUSES == 0) /* its thread may have lost its CPU, and be one that we never yield to */
				be_thread_nap(n < YIELDS * PAUSES ? 0 : 50 * GORT_MICROSECOND);
		}
}

RT_NOINLINE void rt_punlock_slow(rt_mutex *l, rt_lockrank rank)
{
	rt_unlock(l, rank);
}

RT_NOINLINE void rt_plock_slow(rt_mutex *l)
{
	const rt_m *mp = rt_self();

	if (!mp->p->plain) {
		rt_mutex_lock_slow(l);
		return;
	}
	if (rt_mutex_spin(l))
		return;
	while (rt_xchg32_acq(&l->key, 2) != 0) {
		rt_leavers_settle(mp->rt, &l->key);
		be_thread_park(&l->key, 2, -1);
	}
}
