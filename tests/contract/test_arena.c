/* What arena.h promises, of whichever implementation is linked. */
#include "backends/arena/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/readable.h"

#include <errno.h>
#include <string.h>

static size_t page, unit;

static bool all(const char *p, size_t n, char value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

static int setup(void **state)
{
	page = be_arena_query()->page;
	unit = be_arena_query()->granularity;
	return 0;
}

static void test_capabilities(void **state)
{
	const be_arena_caps *c = be_arena_query();

	assert_ptr_equal(c, be_arena_query());
	assert_true(page >= 4096 && (page & (page - 1)) == 0);
	assert_true(unit >= page && unit % page == 0);
	assert_true(c->max_reserve >= (size_t)1 << 24);
	assert_true(!c->guard_cheap || c->guard_max == SIZE_MAX);
	assert_true(strlen(be_arena_name) > 0);
}

static void test_states(void **state)
{
	size_t size = 16 * unit;
	char *p = be_arena_reserve(NULL, size, page);

	assert_non_null(p);
	assert_int_equal((uintptr_t)p % page, 0);
	assert_int_equal(be_arena_commit(p, size), 0);
	assert_true(all(p, size, 0));
	memset(p, 0x5a, size);
	assert_int_equal(be_arena_commit(p, size), 0); /* already: nothing changes */
	assert_true(all(p, size, 0x5a));
	assert_int_equal(be_arena_decommit(p + 4 * unit, 4 * unit), 0);
	assert_int_equal(be_arena_commit(p + 4 * unit, 4 * unit), 0);
	assert_true(all(p, 4 * unit, 0x5a));
	assert_true(all(p + 4 * unit, 4 * unit, 0));
	assert_true(all(p + 8 * unit, 8 * unit, 0x5a));
	be_arena_release(p, size);
}

static void test_new(void **state)
{
	(void)state;
	for (size_t size = unit; size <= 64 * unit; size *= 4) {
		char *p = be_arena_new(size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % page, 0);
		assert_true(all(p, size, 0));
		memset(p, 0x5a, size);
		be_arena_release(p, size);
	}
	assert_null(be_arena_new((SIZE_MAX / 2) & ~(unit - 1)));
}

static void test_commit_of_a_part(void **state)
{
	char *p = be_arena_reserve(NULL, 8 * unit, page);

	assert_non_null(p);
	assert_int_equal(be_arena_commit(p + page, page), 0);
	memset(p + page, 1, page);
	assert_int_equal(be_arena_commit(p, 2 * unit), 0); /* over it: the part keeps its contents */
	assert_true(all(p, page, 0));
	assert_true(all(p + page, page, 1));
	be_arena_release(p, 8 * unit);
}

static void test_alignment(void **state)
{
	for (size_t align = page; align <= (size_t)1 << 23; align *= 4) {
		char *p[3];

		for (int i = 0; i < 3; i++) {
			p[i] = be_arena_reserve(NULL, unit, align);
			assert_non_null(p[i]);
			assert_int_equal((uintptr_t)p[i] % align, 0);
			assert_int_equal(be_arena_commit(p[i], unit), 0);
			memset(p[i], i + 1, unit);
		}
		for (int i = 0; i < 3; i++) {
			assert_true(all(p[i], unit, (char)(i + 1)));
			be_arena_release(p[i], unit);
		}
	}
}

static void test_hint_that_is_taken(void **state)
{
	char *p = be_arena_reserve(NULL, 4 * unit, page), *q;

	assert_non_null(p);
	q = be_arena_reserve(p, 4 * unit, page); /* not free: another place, or nothing */
	assert_true(q == NULL || q + 4 * unit <= p || q >= p + 4 * unit);
	be_arena_release(p, 4 * unit);
	if (q != NULL)
		be_arena_release(q, 4 * unit);
}

static void test_discard_reads_zero(void **state)
{
	char *p = be_arena_reserve(NULL, 4 * unit, page);
	int r;

	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, 4 * unit), 0);
	memset(p, 7, 4 * unit);
	r = be_arena_discard(p + unit, 2 * unit);
	assert_true(r == 0 || r == -ENOTSUP);
	assert_true(all(p, unit, 7));
	assert_true(all(p + unit, 2 * unit, r == 0 ? 0 : 7));
	assert_true(all(p + 3 * unit, unit, 7));
	memset(p, 8, 4 * unit);
	assert_true(all(p, 4 * unit, 8));
	be_arena_release(p, 4 * unit);
}

static void test_recycle(void **state)
{
	size_t size = 16 * unit;
	char *p = be_arena_reserve(NULL, size, page);
	bool lazy = be_arena_query()->lazy_commit;

	(void)state;
	assert_non_null(p);
	assert_int_equal(be_arena_commit(p + unit, 4 * unit), 0);
	memset(p + unit, 0x5a, 4 * unit);
	if (lazy && be_arena_query()->guard_max > 0)
		assert_int_equal(be_arena_guard(p + 4 * unit, page), 0);
	if (be_arena_recycle(p, size) == 0) {
		if (lazy) {
			assert_true(all(p + unit, 3 * unit, 0));
			assert_false(readable(p + 4 * unit));
		}
		assert_int_equal(be_arena_commit(p, size), 0);
		assert_true(all(p, size, 0));
	}
	be_arena_release(p, size);
}

static void test_guard(void **state)
{
	const be_arena_caps *c = be_arena_query();
	char *p = be_arena_reserve(NULL, 4 * unit, page);

	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, 4 * unit), 0);
	memset(p, 7, 4 * unit);
	assert_true(readable(p + unit));
	if (c->guard_max == 0) {
		assert_int_equal(be_arena_guard(p + unit, page), -ENOTSUP);
		be_arena_release(p, 4 * unit);
		return;
	}
	assert_int_equal(be_arena_guard(p + unit, page), 0);
	assert_false(readable(p + unit));
	assert_false(readable(p + unit + page - 1));
	assert_true(all(p, unit, 7));
	assert_true(all(p + unit + page, 3 * unit - page, 7));
	if (c->guard_cheap) {
		assert_int_equal(be_arena_discard(p, 4 * unit), 0);
		assert_false(readable(p + unit));
		assert_true(readable(p));
	}
	assert_int_equal(be_arena_commit(p, 4 * unit), 0); /* takes the guard away */
	assert_true(readable(p + unit));
	memset(p, 9, 4 * unit);
	assert_true(all(p, 4 * unit, 9));
	be_arena_release(p, 4 * unit);
}

static void test_guard_before_commit_of_the_rest(void **state)
{
	char *p = be_arena_reserve(NULL, unit, page);

	assert_non_null(p);
	if (be_arena_query()->guard_max > 0 && unit > page) {
		assert_int_equal(be_arena_guard(p, page), 0);
		assert_int_equal(be_arena_commit(p + page, unit - page), 0);
		assert_false(readable(p));
		assert_true(readable(p + page));
	}
	be_arena_release(p, unit);
}

static void test_growth_guard(void **state)
{
	char *p = be_arena_reserve(NULL, unit, page);

	assert_non_null(p);
	if (!be_arena_query()->stacks_grow) {
		assert_int_equal(be_arena_growth_guard(p, page), -ENOTSUP);
	} else {
		assert_int_equal(be_arena_growth_guard(p, page), 0);
		assert_false(readable(p));
		assert_int_equal(be_arena_commit(p, page), 0); /* as when it was used */
		assert_true(all(p, page, 0));
		assert_int_equal(be_arena_growth_guard(p, page), 0);
		assert_false(readable(p));
		assert_int_equal(be_arena_decommit(p, page), 0);
		assert_false(readable(p));
	}
	be_arena_release(p, unit);
}

/* Many: the mappings of the system must not run out. */
static void test_cheap_guards_at_any_number(void **state)
{
	enum { N = 70000 };
	const be_arena_caps *c = be_arena_query();
	size_t size = N * 2 * page;
	char *p;

	if (!c->guard_cheap)
		return;
	p = be_arena_reserve(NULL, size, page);
	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, size), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(be_arena_guard(p + i * 2 * page, page), 0);
	assert_false(readable(p + (N - 1) * 2 * page));
	assert_true(readable(p + (N - 1) * 2 * page + page));
	be_arena_release(p, size);
}

static void hint_changes_nothing(void (*hint)(void *p, size_t size))
{
	char *p = be_arena_reserve(NULL, 4 * unit, page);

	assert_non_null(p);
	hint(p, 4 * unit);
	assert_int_equal(be_arena_commit(p, 4 * unit), 0);
	memset(p, 3, 4 * unit);
	hint(p, 4 * unit);
	assert_true(all(p, 4 * unit, 3));
	be_arena_release(p, 4 * unit);
}

static void test_hints_change_nothing(void **state)
{
	hint_changes_nothing(be_arena_nohuge);
	hint_changes_nothing(be_arena_huge);
}

static void test_largest_reservation(void **state)
{
	size_t size = be_arena_query()->max_reserve / 4 / unit * unit;
	char *p = be_arena_reserve(NULL, size, page);

	assert_non_null(p);
	assert_int_equal(be_arena_commit(p + size - unit, unit), 0);
	memset(p + size - unit, 1, unit);
	be_arena_release(p, size);
}

static void test_impossible_reservation(void **state)
{
	assert_null(be_arena_reserve(NULL, SIZE_MAX / 2 / unit * unit, page));
	assert_null(be_arena_reserve(NULL, SIZE_MAX / unit * unit, 2 * unit));
}

static void test_addresses_come_back(void **state)
{
	size_t max = be_arena_query()->max_reserve, size = max / 4 / unit * unit;

	/* On a machine with 128 TiB this is twice as much, one after the other. */
	for (size_t i = 0; i < (max >> 30) + 16; i++) {
		char *p = be_arena_reserve(NULL, size, page);

		assert_non_null(p);
		be_arena_release(p, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_commit_of_a_part),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_hint_that_is_taken),
		cmocka_unit_test(test_discard_reads_zero),
		cmocka_unit_test(test_recycle),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guard_before_commit_of_the_rest),
		cmocka_unit_test(test_growth_guard),
		cmocka_unit_test(test_cheap_guards_at_any_number),
		cmocka_unit_test(test_hints_change_nothing),
		cmocka_unit_test(test_largest_reservation),
		cmocka_unit_test(test_impossible_reservation),
		cmocka_unit_test(test_addresses_come_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
