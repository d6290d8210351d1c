/* The store of mappings: see core/base/region.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/arena/arena.h"
#include "core/base/attrs.h"
#include "core/base/region.h"
#include "tests/support/readable.h"

#include <string.h>

enum { KEEPS = !RT_TSAN && !RT_ASAN };
static size_t unit;

static int setup(void **state)
{
	(void)state;
	unit = be_arena_query()->granularity;
	return 0;
}

static bool all(const char *p, size_t n, char value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* A small one, which is zeroed by hand, and one of which the system takes the pages. */
static void test_what_is_kept_is_the_next_ones(void **state)
{
	(void)state;
	rt_regions_keep();
	for (size_t size = unit; size <= 64 * unit; size *= 64) {
		char *p = rt_region_new(size), *q;

		assert_non_null(p);
		memset(p, 0x5a, size);
		rt_region_free(p, size);
		q = rt_region_new(size);
		if (KEEPS && (size == unit || be_arena_discard(q, size) == 0))
			assert_ptr_equal(q, p);
		assert_true(all(q, size, 0));
		rt_region_free(q, size);
	}
	rt_regions_drop();
}

enum { BY_HAND = 100 };

/* The next one finds it committed and zero, unless it was the system that zeroed it, by taking it back. */
static void check_done(char *p, size_t size, const rt_region_done *was, const rt_region_done *done)
{
	bool still = be_arena_query()->lazy_commit || was->written == BY_HAND;

	assert_int_equal(done->layout, was->layout);
	assert_int_equal(done->committed, still ? was->committed : 0);
	assert_int_equal(done->guarded, still ? was->guarded : 0);
	assert_int_equal(done->written, 0);
	if (done->guarded > 0)
		assert_false(readable(p + was->guarded - unit));
	else if (!still)
		assert_int_equal(be_arena_commit(p, size), 0);
	assert_true(all(p, (was->guarded > 0 ? was->guarded : was->committed) - unit, 0));
}

/* An arena that cannot give pages back keeps nothing that it would have to. */
static bool pages_can_go(void)
{
	char *p = be_arena_reserve(NULL, unit, unit);
	bool can = p != NULL && be_arena_recycle(p, unit) == 0;

	if (p != NULL)
		be_arena_release(p, unit);
	return can;
}

static void release_done(size_t size, const rt_region_done *was)
{
	rt_region_done done = { .layout = was->layout }, other = { .layout = 3 * unit };
	char *p = rt_region_reserve_done(size, unit, &done), *q, *r;

	assert_non_null(p);
	assert_int_equal(done.committed, 0);
	assert_int_equal(done.guarded, 0);
	assert_int_equal(be_arena_commit(p, was->committed), 0);
	memset(p, 0x5a, was->written);
	if (was->guarded > 0 && be_arena_guard(p + was->guarded - unit, be_arena_query()->page) != 0)
		done = (rt_region_done){ was->layout, was->committed, 0, was->written };
	else
		done = *was;
	rt_region_release_done(p, size, &done);
	q = rt_region_reserve_done(size, unit, &other);
	assert_non_null(q);
	assert_int_equal(other.committed, 0);
	if (KEEPS)
		assert_ptr_not_equal(q, p);
	r = rt_region_reserve_done(size, unit, &done);
	assert_non_null(r);
	if (KEEPS && r == p)
		check_done(r, size, was, &done);
	else
		assert_true(!KEEPS || !pages_can_go());
	rt_region_release(q, size);
	rt_region_release(r, size);
}

static void test_what_is_done_is_done(void **state)
{
	size_t size = 64 * unit;

	(void)state;
	rt_regions_keep();
	/* zeroed by hand; by the system, for it is much; and for there is a guard in what was written */
	release_done(size, &(rt_region_done){ RT_LAYOUT_NO_GUARDS, 8 * unit, 0, BY_HAND });
	release_done(size, &(rt_region_done){ RT_LAYOUT_NO_GUARDS, 16 * unit, 0, 16 * unit });
	release_done(size, &(rt_region_done){ 4 * unit, 16 * unit, 2 * unit, 2 * unit });
	rt_regions_drop();
}

/* Of the guards one was refused: none is told of, and the others are there. Nobody may write there. */
static void test_some_guards(void **state)
{
	size_t page = be_arena_query()->page, size = 4 * unit;
	rt_region_done done = { .layout = unit };
	char *p;

	(void)state;
	rt_regions_keep();
	p = rt_region_reserve_done(size, unit, &done);
	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, size), 0);
	memset(p, 0x5a, BY_HAND);
	if (be_arena_guard(p, page) != 0)
		assert_int_equal(be_arena_query()->guard_max, 0);
	done = (rt_region_done){ .layout = unit, .committed = size, .written = BY_HAND };
	rt_region_release_done(p, size, &done);
	p = rt_region_reserve_done(size, unit, &done);
	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, size), 0);
	assert_true(all(p, size, 0));
	rt_region_release(p, size);
	rt_regions_drop();
}

/* It was never committed: nobody may write there. */
static void test_a_small_reservation(void **state)
{
	char *p;

	(void)state;
	rt_regions_keep();
	p = rt_region_reserve(NULL, unit, unit);
	assert_non_null(p);
	rt_region_release(p, unit);
	rt_regions_drop();
}

static void test_used_in_part(void **state)
{
	size_t size = 64 * unit;
	char *p, *q;

	(void)state;
	rt_regions_keep();
	p = rt_region_new(size);
	assert_non_null(p);
	memset(p, 0x5a, 100);
	rt_region_free_used(p, size, 100);
	q = rt_region_new(size);
	if (KEEPS)
		assert_ptr_equal(q, p);
	assert_true(all(q, size, 0));
	rt_region_free(q, size);
	rt_regions_drop();
}

static void test_reservations(void **state)
{
	size_t size = 64 * unit;
	char *p, *q, *r;

	(void)state;
	rt_regions_keep();
	p = rt_region_reserve(NULL, size, unit);
	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, 4 * unit), 0);
	memset(p, 0x5a, 4 * unit);
	rt_region_release(p, size);
	r = rt_region_new(size); /* another kind */
	assert_non_null(r);
	if (KEEPS)
		assert_ptr_not_equal(r, p);
	q = rt_region_reserve(NULL, size, unit);
	assert_int_equal(be_arena_commit(q, size), 0);
	assert_true(all(q, size, 0));
	rt_region_free(r, size);
	rt_region_release(q, size);
	rt_regions_drop();
}

/* More than there are places for. */
static void test_many(void **state)
{
	enum { N = 200 };
	char *p[N];

	(void)state;
	rt_regions_keep();
	rt_regions_keep(); /* nested */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			p[i] = rt_region_new(unit);
			assert_non_null(p[i]);
			assert_true(all(p[i], unit, 0));
			memset(p[i], 1, unit);
		}
		for (int i = 0; i < N; i++)
			rt_region_free(p[i], unit);
		if (round == 1)
			rt_regions_drop();
	}
	rt_regions_drop();
}

static void test_nobody_wants_it_kept(void **state)
{
	char *p = rt_region_new(unit), *q;

	(void)state;
	memset(p, 1, unit);
	rt_region_free(p, unit);
	q = rt_region_reserve(NULL, unit, unit);
	assert_non_null(q);
	rt_region_release(q, unit);
	assert_null(rt_region_new((SIZE_MAX / 2) & ~(unit - 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_is_the_next_ones),
		cmocka_unit_test(test_used_in_part),
		cmocka_unit_test(test_what_is_done_is_done),
		cmocka_unit_test(test_some_guards),
		cmocka_unit_test(test_a_small_reservation),
		cmocka_unit_test(test_reservations),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_nobody_wants_it_kept),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
