/* scavworker.c: the background worker that gives pages back, at 1 % of the CPUs. What is promised stands in scavenge.h.
 *
 * A turn is a millisecond of work; then the controller says how long to sleep. A turn is done in pieces, since who
 * works (sysmon) has other things to look after in between. With nothing due, or nothing to be found, the worker has
 * no wish to be woken: a process that is idle stays asleep. What it did not find may be free after the next
 * collection, or when this one is swept; until then it does not search again.
 *
 * A sleep counts for no longer than it was meant to be. Otherwise an hour without work would be a debt, to be
 * worked off in one go.
 */
#include "core/alloc/scavenge.h"
#include "core/alloc/sweep.h"

#define TURN INT64_C(1000000)
#define PIECE INT64_C(200000) /* and what was begun: at most a huge page */
#define LEAST INT64_C(1000)   /* what a piece counts for where the clock is coarse */
#define FIRST INT64_C(1000000000) /* sleep that the first turn is taken to come after */

void rt_scavworker_init(rt_scavworker *w, int64_t now)
{
	*w = (rt_scavworker){ .since = now - FIRST, .pause = FIRST };
	rt_scavpacer_init(&w->pacer);
}

/* Changes with each collection, and when that is swept. Not 0. */
static uint64_t moment(const rt_mheap *h)
{
	return (uint64_t)rt_load32_acq(&h->sweepgen) | (uint64_t)rt_sweep_done(h); /* sweepgen is even */
}

/* True: nothing is left that could go. */
static bool piece(rt_scavworker *w, rt_mheap *h, int64_t *took)
{
	int64_t began = be_nanotime(); /* not when the turn was asked for: a test says that as it likes */
	size_t gone, due;

	do {
		due = rt_scav_due(h);
		rt_lock(&w->busy, RT_RANK_scavworker);
		gone = due > 0 ? rt_scavenge(h, due < RT_SCAV_QUANTUM ? due : RT_SCAV_QUANTUM, false) : 0;
		rt_unlock(&w->busy, RT_RANK_scavworker);
		rt_scav_tell(h, gone);
		rt_add64_full(&h->scav.background, gone);
		*took = be_nanotime() - began;
	} while (gone > 0 && *took < PIECE);
	if (*took < LEAST)
		*took = LEAST;
	return due > 0 && gone == 0;
}

int64_t rt_scavworker_turn(rt_scavworker *w, rt_mheap *h, int procs, int64_t now)
{
	uint64_t at = moment(h);
	int64_t took, slept = now - w->since;

	if (rt_scav_due(h) == 0 || w->dry == at)
		return -1;
	if (slept < w->pause)
		return w->pause - slept;
	if (piece(w, h, &took))
		w->dry = at;
	w->worked += took;
	rt_add64_full(&h->scav.background_ns, (uint64_t)took);
	if (w->worked < TURN && w->dry != at && rt_scav_due(h) > 0)
		return 0;
	w->pause = rt_scavpacer_next(&w->pacer, w->worked, w->pause, procs);
	w->since = now + took;
	w->worked = 0;
	return w->dry == at || rt_scav_due(h) == 0 ? -1 : w->pause;
}

void rt_scavworker_wait(rt_scavworker *w)
{
	rt_lock(&w->busy, RT_RANK_scavworker);
	rt_unlock(&w->busy, RT_RANK_scavworker);
}
