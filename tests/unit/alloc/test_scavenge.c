/* What goes back to the system: how much, from where, and that it comes back as zero. */
#include "core/alloc/scavenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/arena/arena.h"
#include "core/alloc/malloc.h"
#include "core/alloc/sweep.h"

#include <math.h>
#include <stdlib.h>

static rt_mheap h;
static rt_mcache mc;

#define MIB ((size_t)1 << 20)

static int setup(void **state)
{
	rt_mheap_init(&h, NULL);
	rt_mcache_init(&mc, &h);
	return 0;
}

static int teardown(void **state)
{
	rt_mcache_flush(&mc);
	rt_lock(&h.lock, RT_RANK_mheap);
	rt_pageheap_check(&h.pages);
	rt_unlock(&h.lock, RT_RANK_mheap);
	assert_int_equal(rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free),
	                 rt_load64_rlx(&h.mem.ready[RT_MEM_HEAP]));
	rt_mheap_fini(&h);
	return 0;
}

/* A cycle that keeps nothing. */
static void drop_all(void)
{
	rt_mcache_count(&mc);
	while (rt_sweep_one(&h, &mc) != SIZE_MAX)
		;
	rt_mark_begin(&h);
	rt_sweep_begin(&h);
	(void)rt_mcache_prepare(&mc);
	while (rt_sweep_one(&h, &mc) != SIZE_MAX)
		;
	rt_scav_cycle(&h);
}

static rt_slot fill(size_t size, int with)
{
	rt_slot o = rt_malloc_large(&mc, size, true);

	assert_non_null(o.p);
	memset(o.p, with, size);
	return o;
}

/* Skipped where the system takes nothing back (plain). */
static bool can_return(void)
{
	bool can;

	fill(1 * MIB, 1);
	drop_all();
	can = rt_scavenge(&h, MIB, true) > 0;
	assert_int_equal(can, !rt_load32_rlx(&h.mem.cannot_return));
	if (!can)
		assert_int_equal(rt_scav_due(&h), 0);
	return can;
}

static void test_all_goes_back_and_comes_back_as_zero(void **state)
{
	uint64_t total;
	rt_slot o;

	if (!can_return())
		return;
	for (int i = 0; i < 10; i++)
		fill(5 * MIB + 12345, i + 1);
	total = rt_load64_rlx(&h.mem.total);
	drop_all();
	assert_int_equal(rt_load64_rlx(&h.inuse), 0);
	assert_true(rt_load64_rlx(&h.free) >= 50 * MIB);
	rt_mcache_flush(&mc);
	rt_scavenge(&h, SIZE_MAX, true);
	assert_int_equal(rt_load64_rlx(&h.free), 0);
	assert_true(rt_load64_rlx(&h.mem.total) <= total - 50 * MIB);
	assert_int_equal(rt_scavenge(&h, SIZE_MAX, true), 0);
	o = rt_malloc_large(&mc, 50 * MIB, true);
	assert_false(o.s->needzero);
	for (size_t i = 0; i < 50 * MIB; i += 1000)
		assert_int_equal(o.p[i], 0);
}

/* Pages partly given back are to be cleared. */
static void test_partly(void **state)
{
	rt_slot o;

	if (!can_return())
		return;
	fill(8 * MIB, 3);
	drop_all();
	assert_in_range(rt_scavenge(&h, 64 << 10, false), 64 << 10,
	                2 * MIB); /* a huge page is not broken */
	o = rt_malloc_large(&mc, 8 * MIB, true);
	assert_true(o.s->needzero);
}

static void test_from_the_top(void **state)
{
	rt_slot keep;

	if (!can_return())
		return;
	keep = fill(6 * MIB, 1);
	drop_all();
	(void)keep;
	rt_scavenge(&h, 2 * MIB, true);
	/* What is allocated next lies at the bottom, and is Ready still. */
	keep = rt_malloc_large(&mc, MIB, true);
	assert_true(keep.s->needzero);
}

static void test_dense_chunks_are_left_alone(void **state)
{
	static char *page[2 * RT_CHUNK_PAGES];
	uint64_t free;

	if (!can_return())
		return;
	rt_mcache_flush(&mc);
	rt_scavenge(&h, SIZE_MAX, true);
	/* Two chunks full of pages, ten of which in the first are free; the second is half free. */
	for (unsigned i = 0; i < RT_NELEM(page); i++) {
		rt_span *s = rt_span_alloc(&h, NULL, 1, 51 << 1 | 1, RT_PAGE);

		assert_non_null(s);
		s->base[0] = 1;
		page[i] = s->base;
	}
	rt_scav_cycle(&h);
	for (unsigned i = 0; i < RT_NELEM(page); i++)
		if (i < RT_CHUNK_PAGES ? i % 50 == 0 : i % 2 == 0)
			rt_span_free(&h, NULL, rt_span_of(&h, (uintptr_t)page[i]));
	free = rt_load64_rlx(&h.free);
	assert_int_equal(free, (11 + RT_CHUNK_PAGES / 2) * RT_PAGE);
	rt_scavenge(&h, SIZE_MAX, false);
	assert_int_equal(rt_load64_rlx(&h.free), free); /* both were full in the last cycle */
	rt_scav_cycle(&h);
	rt_scavenge(&h, SIZE_MAX, false);
	assert_int_equal(rt_load64_rlx(&h.free), 11 * RT_PAGE);
	rt_scavenge(&h, SIZE_MAX, true);
	assert_int_equal(rt_load64_rlx(&h.free), 0);
}

static unsigned advised(unsigned advice)
{
	unsigned n = 0;

	for (size_t i = 0; i < (size_t)h.pages.narenas * RT_ARENA_CHUNKS; i++) {
		const rt_chunk *c = rt_pageheap_chunk(&h.pages, i);

		n += c != NULL && c->advice == advice;
	}
	return n;
}

static char *single[3 * RT_CHUNK_PAGES];

static void fill_gaps(void)
{
	for (unsigned i = 0; i < RT_NELEM(single); i++) {
		const rt_span *s = single[i] == NULL ? rt_span_alloc(&h, NULL, 1, 51 << 1 | 1, RT_PAGE) : NULL;

		if (s != NULL)
			single[i] = s->base;
		assert_non_null(single[i]);
	}
}

/* The size of pages is the system's affair, but for a chunk that was broken, until it is full again. */
static void test_advice(void **state)
{
	unsigned broken;

	if (!can_return())
		return;
	memset(single, 0, sizeof single);
	fill_gaps();
	rt_scav_cycle(&h);
	assert_int_equal(advised(RT_ADVICE_SMALL) + advised(RT_ADVICE_HUGE), 0);
	for (unsigned i = 0; i < RT_NELEM(single); i += 2) {
		rt_span_free(&h, NULL, rt_span_of(&h, (uintptr_t)single[i]));
		single[i] = NULL;
	}
	rt_scavenge(&h, SIZE_MAX, true);
	broken = advised(RT_ADVICE_SMALL);
	assert_true(broken > 0);
	rt_scav_cycle(&h);
	assert_int_equal(advised(RT_ADVICE_SMALL), broken);
	fill_gaps();
	rt_scav_cycle(&h);
	assert_true(advised(RT_ADVICE_HUGE) > 0);
	assert_int_equal(advised(RT_ADVICE_HUGE) + advised(RT_ADVICE_SMALL), broken);
}

static void test_goals(void **state)
{
	if (!can_return())
		return;
	fill(40 * MIB, 1);
	drop_all();
	assert_int_equal(rt_scav_due(&h), 0);
	/* 20 MiB were in use when the goal was 10; it is 20 now: 44 may be held. */
	rt_scav_pace(&h, 20 * MIB, 10 * MIB, 20 * MIB);
	assert_int_equal(rt_scav_due(&h), 0);
	rt_scav_pace(&h, 10 * MIB, 10 * MIB, 20 * MIB); /* 22 */
	assert_in_range(rt_scav_due(&h), 17 * MIB, 19 * MIB);
	rt_scavenge(&h, rt_scav_due(&h), false);
	assert_int_equal(rt_scav_due(&h), 0);
	rt_store64_rlx(&h.limit, 16 * MIB);
	rt_scav_pace(&h, 10 * MIB, 10 * MIB, 20 * MIB);
	assert_true(rt_scav_due(&h) > 4 * MIB);
	rt_scavenge(&h, rt_scav_due(&h), false);
	assert_int_equal(rt_scav_due(&h), 0);
	assert_true(rt_load64_rlx(&h.mem.total) <= 16 * MIB / 100 * 95);
}

/* An allocation that would pass the limit has memory given back first, but goes through if there
 * is none. */
static void test_limit(void **state)
{
	uint64_t limit;

	if (!can_return())
		return;
	fill(20 * MIB, 1);
	assert_non_null(
		rt_span_alloc(&h, NULL, 1, 51 << 1 | 1, RT_PAGE)); /* stays, behind those 20 */
	drop_all();
	limit = rt_load64_rlx(&h.mem.total) + 4 * MIB;
	rt_store64_rlx(&h.limit, limit);
	for (int i = 0; i < 5; i++) {
		fill(21 * MIB + (size_t)i * MIB, 1);
		assert_true(rt_load64_rlx(&h.mem.total) <= limit + 2 * MIB);
		drop_all();
	}
	assert_true(rt_load64_rlx(&h.scav.eager) > 0);
	fill(100 * MIB, 1);
	assert_true(rt_load64_rlx(&h.mem.total) > limit);
}

static void test_growth_gives_back_elsewhere(void **state)
{
	uint64_t held;

	if (!can_return())
		return;
	fill(10 * MIB, 1);
	drop_all();
	held = rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free);
	rt_store64_rlx(&h.scav.percent_goal, held);
	fill(12 * MIB, 1); /* does not fit into what is free */
	assert_true(rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free) <= held + 3 * MIB);
}

static void test_refused(void **state)
{
	rt_debugvars d;

	if (!can_return() || be_arena_query()->lazy_commit)
		return;
	/* Where memory is charged when it is used: a span that gets none leaves no trace. */
	rt_debugvars_init(&d);
	for (int n = 1; n < 8; n++) {
		char text[32] = "syscallfail=commit:0";

		text[19] = (char)('0' + n);
		assert_int_equal(rt_debugvars_parse(&d, text, true), 0);
		h.mem.debug = &d;
		for (int i = 0; i < 4; i++)
			(void)rt_malloc_large(&mc, 3 * MIB, true);
		h.mem.debug = NULL;
		drop_all();
		rt_scavenge(&h, 2 * MIB, true);
		assert_int_equal(rt_load64_rlx(&h.inuse), 0);
		assert_int_equal(rt_load64_rlx(&h.free), rt_load64_rlx(&h.mem.ready[RT_MEM_HEAP]));
	}
}

/* The controller brings the worker's share to 1 % of a CPU, from any start, whatever a piece
 * costs. */
static void test_pacer(void **state)
{
	for (int procs = 1; procs <= 8; procs *= 2) {
		rt_scavpacer p;
		int64_t slept = 0, worked = 1000000, total = 0, work = 0;

		rt_scavpacer_init(&p);
		for (int i = 0; i < 4000; i++) {
			slept = rt_scavpacer_next(&p, worked, slept, procs);
			assert_true(slept > 0);
			slept += slept / 10; /* the system is late */
			if (i >= 2000) {
				work += worked;
				total += worked + slept;
			}
			worked = 1000000 + i % 7 * 100000;
		}
		assert_true(fabs((double)work / (double)total / procs - 0.01) < 0.002);
	}
}

static void test_pacer_recovers(void **state)
{
	rt_scavpacer p;

	rt_scavpacer_init(&p);
	p.error = INFINITY;
	assert_int_equal(rt_scavpacer_next(&p, 1000, 1000, 1), 1000000);
	assert_true(p.cooldown > 0);
	rt_scavpacer_next(&p, 1000, INT64_C(6000000000), 1);
	assert_int_equal(p.cooldown, 0);
	assert_true(isfinite(p.error));
}

static uint64_t held(void)
{
	return rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free);
}

/* By turns of the worker, on a clock that does not wait, until it is done with this moment. Returns how long it
 * slept. */
static int64_t work(rt_scavworker *w, int64_t *now)
{
	int64_t slept = 0, ns;

	while ((ns = rt_scavworker_turn(w, &h, 1, *now)) >= 0) {
		*now += ns > 0 ? ns : 1; /* never told to come sooner than it wants */
		slept += ns;
	}
	return slept;
}

static void test_worker(void **state)
{
	rt_scavworker w;
	int64_t now = INT64_C(1000000000000);

	if (!can_return())
		return;
	rt_scavworker_init(&w, now);
	fill(100 * MIB, 1);
	drop_all();
	assert_int_equal(rt_scavworker_turn(&w, &h, 1, now), -1); /* no collection has set a goal */
	rt_scav_pace(&h, 10 * MIB, 10 * MIB, 20 * MIB);
	(void)work(&w, &now);
	assert_int_equal(rt_scav_due(&h), 0);
	assert_in_range(held(), 19 * MIB, 22 * MIB); /* 110 % of 20; the last piece may be a huge page */
	assert_true(rt_load64_rlx(&h.scav.background) >= 78 * MIB);
}

/* A turn is followed by a sleep, whatever the worker is asked meanwhile. */
static void test_worker_sleeps(void **state)
{
	rt_scavworker w;
	int64_t now = INT64_C(1000000000000), ns = 0;
	uint64_t gone;

	if (!can_return())
		return;
	rt_scavworker_init(&w, now);
	w.worked = 999999; /* of its millisecond */
	fill(100 * MIB, 1);
	drop_all();
	rt_scav_pace(&h, MIB, MIB, MIB);
	ns = rt_scavworker_turn(&w, &h, 1, now);
	assert_true(ns > 1000000 && rt_scav_due(&h) > 50 * MIB); /* more than was worked: 1 % */
	gone = rt_load64_rlx(&h.scav.background);
	assert_in_range(rt_scavworker_turn(&w, &h, 1, now + ns / 2), 1, ns);
	assert_int_equal(rt_load64_rlx(&h.scav.background), gone);
	(void)rt_scavworker_turn(&w, &h, 1, now + 2 * ns);
	assert_true(rt_load64_rlx(&h.scav.background) > gone);
}

/* What is due cannot be found: it is not looked for again before the heap has changed. */
static void test_worker_finds_nothing(void **state)
{
	rt_scavworker w;
	int64_t now = INT64_C(1000000000000);
	uint64_t gone;
	rt_span *s;

	if (!can_return())
		return;
	rt_scavworker_init(&w, now);
	fill(20 * MIB, 1);
	rt_scav_pace(&h, MIB, MIB, MIB);
	(void)work(&w, &now);
	assert_true(rt_scav_due(&h) > 15 * MIB);
	gone = rt_load64_rlx(&h.scav.background);
	s = rt_span_alloc(&h, NULL, RT_CHUNK_PAGES, 1, RT_CHUNK_BYTES);
	s->base[0] = 1;
	rt_span_free(&h, NULL, s); /* something is there now, but that is too little to be told */
	now += INT64_C(3600000000000);
	assert_int_equal(rt_scavworker_turn(&w, &h, 1, now), -1);
	assert_int_equal(rt_load64_rlx(&h.scav.background), gone);
	drop_all();
	rt_scav_pace(&h, MIB, MIB, MIB);
	(void)work(&w, &now);
	assert_true(rt_load64_rlx(&h.scav.background) >= gone + 15 * MIB);
}

static void test_worker_without_a_system(void **state)
{
	rt_scavworker w;

	rt_scavworker_init(&w, 0);
	fill(20 * MIB, 1);
	drop_all();
	rt_scav_pace(&h, MIB, MIB, MIB);
	rt_store32_rlx(&h.mem.cannot_return, 1);
	assert_int_equal(rt_scavworker_turn(&w, &h, 1, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_goes_back_and_comes_back_as_zero, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(test_partly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_the_top, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dense_chunks_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_advice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth_gives_back_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_worker_sleeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_worker_finds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_worker_without_a_system, setup, teardown),
		cmocka_unit_test(test_pacer),
		cmocka_unit_test(test_pacer_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
