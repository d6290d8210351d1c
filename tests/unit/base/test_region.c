/* The store of mappings: see core/base/region.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/arena/arena.h"
#include "core/base/attrs.h"
#include "core/base/region.h"

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
		cmocka_unit_test(test_reservations),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_nobody_wants_it_kept),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
