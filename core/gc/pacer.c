/* pacer.c: Go's pacer (spec/04 7, 9): the redesign of Go 1.19 with the memory limit.
 *
 *   goal     = live + (live + stacks + globals) * GOGC / 100, or less if the memory limit says so
 *   runway   = what the program is expected to allocate while a collection at 25 % of the CPUs marks
 *   trigger  = goal - runway, between 80 % and 95 % of the way from live to goal; with a large heap the
 *              latest start is 4 MiB before the goal
 *   assists  = what remains to be scanned / what remains to be allocated
 *
 * How much the program allocates in the time that a byte takes to scan (cons/mark) is measured at
 * the end of each collection. The largest of the last five is used: a program that allocates in
 * bursts is met by collections that start in time.
 *
 * If more is live than the last time, the expected work is exceeded. Then the worst case counts,
 * that all is live, with a goal that is further away by as much, up to the goal that GOGC would
 * have given if all were; but not if the goal comes from the memory limit.
 *
 * The functions know no runtime, so that the formulas can be checked against figures measured in Go.
 */
#include "core/gc/pacer.h"

#include <stddef.h>

#define HEADROOM_MIN ((uint64_t)1 << 20)
#define LATE ((uint64_t)64 << 10) /* a goal is never nearer to the start than this */
#define NONE UINT64_MAX
/* Where marking begins, in 64ths of the way from live to goal. Go's EARLIEST is 45: docs/design/gc.md. */
enum { EARLIEST = 51, LATEST = 61 };

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A double that is too large, or no number, is the largest. */
static uint64_t whole(double d)
{
	if (!(d < 9e18))
		return INT64_MAX;
	return d > 0 ? (uint64_t)d : 0;
}

void rt_pacer_init(rt_pacer *p, int percent, uint64_t limit)
{
	*p = (rt_pacer){ .percent = percent, .limit = limit, .triggered = NONE };
	/* As if a collection had left so much that the first goal is the minimum. */
	if (percent >= 0)
		p->heap_marked = whole((double)RT_GC_HEAP_MIN * percent / 100 / (1 + percent / 100.0));
	rt_pacer_commit(p, 0, true);
}

static uint64_t scan_expected(const rt_pacer *p)
{
	return p->heap_scan + p->stack_scan + p->globals_scan;
}

void rt_pacer_commit(rt_pacer *p, uint64_t heap_live, bool swept)
{
	double cons_mark = 0;

	p->percent_goal = NONE;
	if (p->percent >= 0) {
		uint64_t base = p->heap_marked + p->stack_scan + p->globals_scan;

		p->percent_goal = p->heap_marked + whole((double)base * p->percent / 100);
		p->percent_goal =
		        max(p->percent_goal, whole((double)RT_GC_HEAP_MIN * p->percent / 100));
	}
	p->min_trigger = swept ? 0 : heap_live + RT_GC_SWEEP_DISTANCE;
	for (size_t i = 0; i < sizeof p->cons_mark / sizeof *p->cons_mark; i++)
		if (p->cons_mark[i] > cons_mark)
			cons_mark = p->cons_mark[i];
	p->runway = whole(cons_mark * ((1 - RT_GC_UTILIZATION) / RT_GC_UTILIZATION) *
	                  (double)scan_expected(p));
}

uint64_t rt_pacer_limit_goal(const rt_pacer *p, const rt_pacer_memory *m)
{
	uint64_t used = m->heap_free + m->heap_alloc, other, headroom, goal;

	other = m->ready > used ? m->ready - used : 0;
	if (m->ready > p->limit)
		other += m->ready - p->limit;
	if (other >= p->limit)
		return p->heap_marked;
	goal = p->limit - other;
	headroom = max(goal / 100 * 3, HEADROOM_MIN);
	goal = goal < headroom || goal - headroom < headroom ? headroom : goal - headroom;
	return max(goal, p->heap_marked);
}

uint64_t rt_pacer_goal(const rt_pacer *p, const rt_pacer_memory *m)
{
	uint64_t goal = p->percent_goal, limit = rt_pacer_limit_goal(p, m);

	if (limit < goal)
		return limit;
	goal = max(goal, p->min_trigger);
	if (p->triggered != NONE)
		goal = max(goal, p->triggered + LATE);
	return goal;
}

uint64_t rt_pacer_trigger(const rt_pacer *p, const rt_pacer_memory *m)
{
	uint64_t goal = rt_pacer_goal(p, m), way, least, most;

	if (goal == NONE || p->heap_marked >= goal)
		return goal;
	way = goal - p->heap_marked;
	least = max(p->heap_marked, goal == rt_pacer_limit_goal(p, m) ? 0 : min(p->min_trigger, goal));
	least = max(least, p->heap_marked + way / 64 * EARLIEST);
	most = p->heap_marked + way / 64 * LATEST;
	if (goal > RT_GC_HEAP_MIN)
		most = max(most, goal - RT_GC_HEAP_MIN);
	most = max(most, least);
	if (p->runway > goal)
		return least;
	return max(least, min(most, goal - p->runway));
}

rt_pacer_workers rt_pacer_workers_for(int procs)
{
	double want = procs * RT_GC_UTILIZATION, off;
	rt_pacer_workers w = { (int)(want + 0.5), 0 };

	off = w.dedicated / want - 1;
	if (off < -0.3 || off > 0.3) {
		if (w.dedicated > want)
			w.dedicated--;
		w.fractional = (want - w.dedicated) / procs;
	}
	return w;
}

double rt_pacer_assist(const rt_pacer *p, uint64_t goal, const rt_pacer_progress *now)
{
	double expected = (double)scan_expected(p), end = (double)goal, work = (double)now->work;
	double most = (double)now->most > work ? (double)now->most : work, left, room;

	if (goal == NONE) /* asked for, with no goal: nobody is in a hurry */
		return 0;
	if (work > expected) {
		/* Behind a goal of the memory limit there is no room. (Go has the first here, too, and without GOGC
		 * a first collection does not hinder the program at all.) */
		double hard = goal < p->percent_goal ? (double)goal : (1 + p->percent / 100.0) * (double)goal;
		double began = p->triggered != NONE ? (double)p->triggered : 0;

		if (expected > 0)
			end = (end - began) / expected * most + began;
		else
			end = hard;
		if (end > hard)
			end = hard;
		expected = most;
	}
	if ((double)now->heap_live > end) {
		end = (double)goal * 1.1;
		expected = most;
	}
	left = expected - work;
	room = end - (double)now->heap_live;
	return (left > 1000 ? left : 1000) / (room > 1 ? room : 1);
}

void rt_pacer_end(rt_pacer *p, const rt_pacer_cycle *c)
{
	double cpu = (double)c->duration * c->procs, u = RT_GC_UTILIZATION, idle = 0, work;

	if (cpu > 0) {
		u += (double)c->assist / cpu;
		idle = (double)c->idle / cpu;
	}
	work = (double)(c->heap_scan + c->stack_scan + c->globals_scan);
	if (!c->forced && p->triggered != NONE && work > 0) {
		double grown = c->heap_live > p->triggered ? (double)(c->heap_live - p->triggered) : 0;
		double mutator = u < 0.99 ? 1 - u : 0.01;

		for (size_t i = sizeof p->cons_mark / sizeof *p->cons_mark - 1; i > 0; i--)
			p->cons_mark[i] = p->cons_mark[i - 1];
		p->cons_mark[0] = grown * (u + idle) / (work * mutator);
	}
	p->heap_scan = c->heap_scan;
	p->stack_scan = c->stack_scan;
	p->globals_scan = c->globals_scan;
	p->heap_marked = c->marked;
	p->triggered = NONE;
}

double rt_pacer_sweep(uint64_t pages, uint64_t heap_live, uint64_t trigger, uint64_t page)
{
	uint64_t distance = trigger > heap_live ? trigger - heap_live : 0;

	distance -= min(RT_GC_SWEEP_DISTANCE, distance / 16);
	return (double)pages / (double)max(distance, page);
}

#define WINDOW INT64_C(10000000)

/* Go stops assists in the middle of marking. Then that takes twice as long, since the program has half of the CPUs
 * (and their caches), and what it allocates meanwhile is not looked at before the next collection: with 1 GiB live and
 * a limit of 1.3 times that a process took up to 1.1 times the limit so, and stays below it in this way. */

void rt_limiter_init(rt_limiter *l, int64_t now)
{
	*l = (rt_limiter){ .was.when = now };
}

void rt_limiter_capacity(rt_limiter *l, int procs)
{
	l->capacity = (int64_t)procs * 1000000000;
	if (l->fill > 2 * l->capacity)
		l->fill = 2 * l->capacity;
}

void rt_limiter_add(rt_limiter *l, int64_t gc, int64_t mutator)
{
	int64_t change = gc - mutator, most = 2 * l->capacity;

	if (change > most - l->fill)
		l->fill = most;
	else if (change < -l->fill)
		l->fill = 0;
	else
		l->fill += change;
	l->full = l->capacity > 0 && l->fill >= l->capacity;
	l->limiting = l->capacity > 0 && l->fill >= most;
}

/* Of two counts that were read while others count: neither goes back. */
static int64_t since(int64_t now, int64_t was)
{
	return now > was ? now - was : 0;
}

/* What workers took is counted and not taken to be the quarter that they should have, as in Go: a fraction is given
 * only between turns, so with few Ps it is a tenth, and the limiter came on far below half. While the world is stopped
 * all Ps are the collector's. Ps that were idle at the beginning of the window are taken to have been so until its end:
 * when all are, nobody looks before one is not. */
bool rt_limiter_update(rt_limiter *l, const struct rt_limiter_totals *now, int procs, int idleps)
{
	int64_t wall = now->when - l->was.when, all = wall * procs, gc, idle;

	if (wall < WINDOW)
		return false;
	gc = since(now->workers, l->was.workers) + since(now->paused, l->was.paused) * procs +
	     since(now->assists, l->was.assists);
	idle = since(now->idle, l->was.idle) + wall * (l->idleps < procs ? l->idleps : procs);
	if (gc > all)
		gc = all;
	rt_limiter_capacity(l, procs);
	rt_limiter_add(l, gc, all - gc > idle ? all - gc - idle : 0);
	l->was = *now;
	l->idleps = idleps;
	return true;
}
