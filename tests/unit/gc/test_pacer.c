/* The pacer against Go's formulas and figures measured in Go 1.23 (spec/04 6, 7, 9, 14). */
#include "core/gc/pacer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static const rt_pacer_memory roomy = { 64 * MIB, 0, 60 * MIB };

static rt_pacer fresh(int percent)
{
	rt_pacer p;

	rt_pacer_init(&p, percent, INT64_MAX);
	return p;
}

static void live(rt_pacer *p, uint64_t marked, uint64_t stacks, uint64_t globals)
{
	rt_pacer_cycle c = { .heap_live = marked, .heap_scan = marked, .stack_scan = stacks,
		             .globals_scan = globals, .marked = marked, .duration = 1000000, .procs = 2 };

	p->triggered = marked;
	rt_pacer_end(p, &c);
	rt_pacer_commit(p, marked, true);
}

static void test_first_goal(void **state)
{
	(void)state;
	for (int percent = 25; percent <= 400; percent *= 2) {
		rt_pacer p = fresh(percent);

		assert_int_equal(rt_pacer_goal(&p, &roomy), 4 * MIB * (uint64_t)percent / 100);
	}
}

/* Live 52 486 824 B: NextGC 105 193 656 with GOGC=100, 78 840 384 with 50. What the live heap does
 * not explain is stacks and globals. */
static void test_goal(void **state)
{
	rt_pacer p = fresh(100);

	(void)state;
	live(&p, 52486824, 220008, 0);
	assert_int_equal(rt_pacer_goal(&p, &roomy), 105193656);
	p.percent = 50;
	live(&p, 52486824, 100000, 120296);
	assert_int_equal(rt_pacer_goal(&p, &roomy), 78840384);
}

static void test_off(void **state)
{
	rt_pacer p = fresh(-1);
	double goal = (double)rt_pacer_goal(&p, &roomy);

	(void)state;
	assert_true(goal > 8.8e18 && goal < 9.0e18);
	assert_true(rt_pacer_trigger(&p, &roomy) > (uint64_t)1 << 62);
}

static void test_trigger_bounds(void **state)
{
	rt_pacer p = fresh(100);
	uint64_t way = 2 * MIB;

	(void)state;
	live(&p, way, 0, 0); /* goal 4 MiB, nothing allocated while marking: the latest start */
	assert_int_equal(rt_pacer_trigger(&p, &roomy), way + way / 64 * 61);
	p.cons_mark[0] = 1e6; /* a runway longer than the goal: the earliest */
	rt_pacer_commit(&p, way, true);
	assert_int_equal(rt_pacer_trigger(&p, &roomy), way + way / 64 * 51);
	p.cons_mark[0] = 0;
	live(&p, 1024 * MIB, 0, 0); /* a large heap: 4 MiB before the goal */
	assert_int_equal(rt_pacer_trigger(&p, &roomy), 2048 * MIB - 4 * MIB);
	p.cons_mark[0] = 100.0 / 3 / 1024; /* runway 100 MiB */
	rt_pacer_commit(&p, 1024 * MIB, true);
	assert_in_range(rt_pacer_trigger(&p, &roomy), 1948 * MIB - 100, 1948 * MIB + 100);
}

static void test_sweep_first(void **state)
{
	rt_pacer p = fresh(100);

	(void)state;
	live(&p, 2 * MIB, 0, 0);
	rt_pacer_commit(&p, 5 * MIB, false); /* a goal before the sweep could end */
	assert_int_equal(rt_pacer_goal(&p, &roomy), 6 * MIB);
	assert_true(rt_pacer_trigger(&p, &roomy) >= 5 * MIB);
	p.triggered = 6 * MIB;
	assert_int_equal(rt_pacer_goal(&p, &roomy), 6 * MIB + 65536);
}

static void test_limit(void **state)
{
	rt_pacer p = fresh(-1);
	rt_pacer_memory m = { 30 * MIB, 5 * MIB, 20 * MIB };

	(void)state;
	p.limit = 100 * MIB;
	/* 5 MiB are no heap; 3 % of the rest is kept. */
	assert_int_equal(rt_pacer_goal(&p, &m), 95 * MIB - 95 * MIB / 100 * 3);
	p.limit = 28 * MIB; /* exceeded by 2 MiB; the headroom is at least 1 MiB */
	assert_int_equal(rt_pacer_goal(&p, &m), 28 * MIB - 7 * MIB - 1 * MIB);
	p.limit = 7 * MIB; /* what is no heap fills it: all the time */
	p.heap_marked = 3 * MIB;
	assert_int_equal(rt_pacer_goal(&p, &m), 3 * MIB);
	assert_int_equal(rt_pacer_trigger(&p, &m), 3 * MIB);
}

static void test_workers(void **state)
{
	static const struct {
		int procs, dedicated;
		double fractional;
	} table[] = { { 1, 0, .25 }, { 2, 0, .25 }, { 3, 0, .25 }, { 4, 1, 0 }, { 5, 1, 0 },
		      { 6, 1, 1 / 12.0 }, { 7, 2, 0 }, { 8, 2, 0 }, { 12, 3, 0 }, { 16, 4, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		rt_pacer_workers w = rt_pacer_workers_for(table[i].procs);

		assert_int_equal(w.dedicated, table[i].dedicated);
		assert_true(fabs(w.fractional - table[i].fractional) < 1e-3);
	}
}

static void test_assist(void **state)
{
	rt_pacer p = fresh(100);
	rt_pacer_progress now = { 3 * MIB, 0, 3 * MIB };
	double at_first;

	(void)state;
	live(&p, 2 * MIB, 0, 0);
	p.triggered = 3 * MIB;
	at_first = rt_pacer_assist(&p, 4 * MIB, &now); /* 2 MiB of work in 1 MiB */
	assert_true(fabs(at_first - 2) < 1e-9);
	now.work = 2 * MIB; /* all but done: a little remains to be paid */
	assert_true(rt_pacer_assist(&p, 4 * MIB, &now) < 0.001);
	now = (rt_pacer_progress){ 7 * MIB / 2, 5 * MIB / 2, 4 * MIB };
	/* More is live than expected: 4 MiB is the most, with a goal of 3 + 1 / 2 * 4 = 5 MiB. */
	assert_true(fabs(rt_pacer_assist(&p, 4 * MIB, &now) - 1.0) < 1e-9);
	now = (rt_pacer_progress){ 10 * MIB, 1, 4 * MIB }; /* past every goal: at once */
	assert_true(rt_pacer_assist(&p, 4 * MIB, &now) > 1e6);
}

static void test_cons_mark(void **state)
{
	rt_pacer p = fresh(100);
	rt_pacer_cycle c = { .heap_live = 6 * MIB, .heap_scan = 2 * MIB, .marked = 2 * MIB,
		             .duration = 1000, .procs = 2 };

	(void)state;
	p.triggered = 4 * MIB;
	rt_pacer_end(&p, &c);
	/* 2 MiB allocated in 75 % of the CPU time, 2 MiB scanned in 25 %. */
	assert_true(fabs(p.cons_mark[0] - 0.25 / 0.75) < 1e-9);
	rt_pacer_commit(&p, 2 * MIB, true);
	assert_in_range(p.runway, 2 * MIB - 2, 2 * MIB + 2);
	for (int i = 0; i < 4; i++) { /* the largest counts until it is five collections old */
		p.triggered = 4 * MIB;
		c.heap_live = 4 * MIB;
		rt_pacer_end(&p, &c);
		rt_pacer_commit(&p, 2 * MIB, true);
		assert_in_range(p.runway, 2 * MIB - 2, 2 * MIB + 2);
	}
	p.triggered = 4 * MIB;
	rt_pacer_end(&p, &c);
	rt_pacer_commit(&p, 2 * MIB, true);
	assert_int_equal(p.runway, 0);
}

/* A first collection, which expects nothing, with a goal that is the limit's: 30 MiB that may be live are to be scanned
 * before 10 more are there. */
static void test_assist_limit(void **state)
{
	rt_pacer p;
	rt_pacer_progress now = { .heap_live = 30 * MIB, .work = MIB, .most = 31 * MIB };

	(void)state;
	rt_pacer_init(&p, -1, 50 * MIB);
	p.triggered = 30 * MIB;
	assert_true(fabs(rt_pacer_assist(&p, 40 * MIB, &now) - 3) < 0.01);
	rt_pacer_init(&p, 400, 50 * MIB);
	rt_pacer_commit(&p, 0, true);
	p.percent_goal = 60 * MIB;
	assert_true(fabs(rt_pacer_assist(&p, 40 * MIB, &now) - 3) < 0.01);
	p.percent_goal = 40 * MIB; /* GOGC's goal may be passed */
	assert_true(rt_pacer_assist(&p, 40 * MIB, &now) < 1);
}

static void test_sweep(void **state)
{
	(void)state;
	assert_true(fabs(rt_pacer_sweep(1024, 4 * MIB, 84 * MIB, 8192) - 1024.0 / (79.0 * (double)MIB)) < 1e-12);
	assert_true(fabs(rt_pacer_sweep(1024, 4 * MIB, 20 * MIB, 8192) - 1024.0 / (15.0 * (double)MIB)) < 1e-12);
	assert_true(fabs(rt_pacer_sweep(1024, 4 * MIB, 6 * MIB, 8192) - 1024.0 / (1.875 * (double)MIB)) < 1e-12);
	assert_true(fabs(rt_pacer_sweep(10, 4 * MIB, 4 * MIB, 8192) - 10.0 / 8192) < 1e-12);
}

static void test_limiter(void **state)
{
	rt_limiter l = { 0 };
	const int64_t s = 1000000000;

	(void)state;
	rt_limiter_capacity(&l, 2);
	rt_limiter_add(&l, s, s); /* half of the time is allowed for ever */
	assert_int_equal(l.fill, 0);
	rt_limiter_add(&l, 2 * s, s);
	assert_false(l.full);
	rt_limiter_add(&l, 2 * s, s);
	assert_true(l.full && !l.limiting);
	rt_limiter_add(&l, 0, 1);
	assert_false(l.full);
	rt_limiter_add(&l, 3 * s, 0); /* one that was under way goes on, for as much again */
	assert_true(l.full && l.limiting && l.fill == 4 * s);
	rt_limiter_add(&l, 0, 1);
	assert_true(l.full && !l.limiting);
	rt_limiter_add(&l, 0, 100 * s);
	assert_int_equal(l.fill, 0);
	rt_limiter_add(&l, s, 0);
	rt_limiter_capacity(&l, 1);
	assert_int_equal(l.fill, s);
}

#define MS INT64_C(1000000)

/* One window: what happens in it, on so many Ps. Returns by how much the bucket has risen. */
static int64_t window(rt_limiter *l, struct rt_limiter_totals more, int procs, int idleps)
{
	struct rt_limiter_totals now = l->was;
	int64_t fill = l->fill;

	now.when += more.when;
	now.workers += more.workers;
	now.paused += more.paused;
	now.assists += more.assists;
	now.idle += more.idle;
	assert_true(rt_limiter_update(l, &now, procs, idleps));
	return l->fill - fill;
}

typedef struct rt_limiter_totals T;

static void test_limiter_over_time(void **state)
{
	rt_limiter l;
	T soon;

	(void)state;
	rt_limiter_init(&l, 5000 * MS);
	soon = l.was;
	soon.when += 9 * MS;
	assert_false(rt_limiter_update(&l, &soon, 4, 0));
	l.capacity = l.fill = 4000 * MS;
	(void)window(&l, (T){ .when = 20 * MS }, 4, 0); /* the program alone: 80 ms */
	assert_int_equal(l.fill, 3920 * MS);
	/* Of 80: what workers took, the rest is the program's. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .workers = 10 * MS }, 4, 0), (10 - 70) * MS);
	/* Assists of 60 besides 20: all of it. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .workers = 20 * MS, .assists = 60 * MS }, 4, 0), 80 * MS);
	assert_false(l.full);
	/* More than there is; and up to the brim. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .workers = 20 * MS, .assists = 100 * MS }, 4, 0), 80 * MS);
	assert_true(l.full && !l.limiting);
	l.fill = 7940 * MS;
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .workers = 20 * MS, .assists = 100 * MS }, 4, 0), 60 * MS);
	assert_true(l.limiting);
	l.fill = 2000 * MS;
	/* The world stopped, for a quarter. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .paused = 5 * MS }, 4, 0), (20 - 60) * MS);
	assert_false(l.full);
	/* Marking on idle Ps is nobody's time. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS, .workers = 20 * MS, .idle = 40 * MS }, 4, 3), (20 - 20) * MS);
	/* Three Ps were idle all the while; now none is. */
	assert_int_equal(window(&l, (T){ .when = 20 * MS }, 4, 0), -20 * MS);
	assert_int_equal(window(&l, (T){ .when = 20 * MS }, 4, 4), -80 * MS);
	/* An hour in which nothing happened; then there is one P, and full is a second of it. */
	assert_int_equal(window(&l, (T){ .when = 3600 * 1000 * MS }, 4, 0), 0);
	(void)window(&l, (T){ .when = 20 * MS, .paused = 20 * MS }, 1, 0);
	assert_true(l.full && !l.limiting && l.fill == 1880 * MS);
	l.fill = 1000 * MS;
	/* Counters that were read one after the other may seem to go back. */
	(void)window(&l, (T){ .when = 20 * MS, .assists = -5 * MS }, 1, 0);
	assert_int_equal(l.fill, 980 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_goal), cmocka_unit_test(test_goal), cmocka_unit_test(test_off),
		cmocka_unit_test(test_trigger_bounds), cmocka_unit_test(test_sweep_first),
		cmocka_unit_test(test_limit), cmocka_unit_test(test_workers), cmocka_unit_test(test_assist),
		cmocka_unit_test(test_cons_mark), cmocka_unit_test(test_assist_limit), cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_limiter),
		cmocka_unit_test(test_limiter_over_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
