/* Records: distinct, aligned, zeroed once, reused last in first out; refusals leave no trace. */
#include "core/alloc/fixalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/rand.h"
#include "core/base/region.h"

#include <string.h>

static bool zero(const void *p, size_t n)
{
	const char *c = p;

	while (n > 0 && *c == 0)
		c++, n--;
	return n == 0;
}

static void test_fresh_records(void **state)
{
	static char *got[5000];
	rt_fixalloc f;

	rt_fixalloc_init(&f, 40, NULL);
	assert_int_equal(f.size, 48);
	for (int i = 0; i < 5000; i++) {
		got[i] = rt_fixalloc_get(&f);
		assert_non_null(got[i]);
		assert_int_equal((uintptr_t)got[i] % 16, 0);
		assert_true(zero(got[i], 48));
		memset(got[i], i, 48);
	}
	for (int i = 0; i < 5000; i++)
		for (int b = 0; b < 48; b++)
			assert_int_equal(got[i][b], (char)i); /* no two overlap */
	assert_int_equal(f.inuse, 5000);
	assert_true(f.total >= 5000 * 48 && f.total < 5000 * 48 * 3);
	for (int i = 0; i < 5000; i++)
		rt_fixalloc_put(&f, got[i]);
	assert_int_equal(f.inuse, 0);
	rt_fixalloc_fini(&f);
}

/* Each is zero, and left dirty. */
static void use_records(int n, bool together)
{
	rt_fixalloc f;

	rt_fixalloc_init(&f, 4000, NULL);
	if (together)
		rt_fixalloc_together(&f);
	for (int i = 0; i < n; i++) {
		char *p = rt_fixalloc_get(&f);

		assert_non_null(p);
		assert_true(zero(p, 4000));
		memset(p, 1, 4000);
	}
	rt_fixalloc_fini(&f);
}

/* Those that follow each other have the same memory, zeroed by hand when it was little: core/base/region.h. */
static void test_one_after_the_other(void **state)
{
	static const int counts[] = { 1, 3, 1, 14, 40, 3, 2000, 1, 100, 3 };

	(void)state;
	rt_regions_keep();
	for (int together = 0; together < 2; together++)
		for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
			use_records(counts[i], together);
	rt_regions_drop();
}

static void test_reuse_keeps_all_but_the_first_word(void **state)
{
	char *a, *b, expect[64];
	rt_fixalloc f;

	rt_fixalloc_init(&f, 64, NULL);
	a = rt_fixalloc_get(&f);
	b = rt_fixalloc_get(&f);
	memset(a, 1, 64);
	memset(b, 2, 64);
	rt_fixalloc_put(&f, a);
	rt_fixalloc_put(&f, b);
	assert_ptr_equal(rt_fixalloc_get(&f), b);
	assert_ptr_equal(rt_fixalloc_get(&f), a);
	memset(expect, 1, 64);
	assert_memory_equal(a + sizeof(void *), expect, 64 - sizeof(void *));
	rt_fixalloc_put(&f, a);
	rt_fixalloc_put(&f, b);
	rt_fixalloc_fini(&f);
}

static void test_records_of_a_line_share_none(void **state)
{
	rt_fixalloc f;
	void *p;

	rt_fixalloc_init(&f, 64, NULL);
	p = rt_fixalloc_get(&f);
	assert_int_equal((uintptr_t)p % 64, 0);
	rt_fixalloc_put(&f, p);
	rt_fixalloc_fini(&f);
}

static void test_largest_record(void **state)
{
	rt_fixalloc f;
	void *p[3];

	rt_fixalloc_init(&f, 64 << 10, NULL);
	for (int i = 0; i < 3; i++) {
		p[i] = rt_fixalloc_get(&f);
		assert_non_null(p[i]);
		memset(p[i], 1, 64 << 10);
	}
	for (int i = 0; i < 3; i++)
		rt_fixalloc_put(&f, p[i]);
	rt_fixalloc_fini(&f);
}

static void check_refusal(const char *how)
{
	rt_debugvars d;
	rt_fixalloc f;
	void *p;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, how, true), 0);
	rt_fixalloc_init(&f, 32, &d);
	assert_null(rt_fixalloc_get(&f));
	assert_int_equal(f.inuse + f.total, 0);
	p = rt_fixalloc_get(&f); /* once only */
	assert_non_null(p);
	assert_true(zero(p, 32));
	rt_fixalloc_put(&f, p);
	rt_fixalloc_fini(&f);
}

static void test_refusals(void **state)
{
	check_refusal("oomfail=1");
	check_refusal("oomfail=2");
	check_refusal("syscallfail=reserve:1");
	check_refusal("syscallfail=commit:1");
}

/* ---- Threads: a record that two own at once would lose its owner's mark ---- */

static rt_fixalloc shared;
static rt_atomic32 started;

enum { WORKERS = 4 };

struct worker {
	be_thread thread;
	uintptr_t number;
	bool fine;
};

static void juggle(void *arg)
{
	struct worker *w = arg;
	uintptr_t *mine[64] = {NULL};
	rt_rand r;

	w->fine = true;
	rt_rand_seed(&r, w->number);
	rt_add32_full(&started, 1);
	while (rt_load32_acq(&started) < WORKERS)
		be_thread_yield();
	for (int i = 0; i < 200000; i++) {
		uintptr_t **slot = &mine[rt_rand_below(&r, 64)];

		if (*slot == NULL) {
			*slot = rt_fixalloc_get(&shared);
			(*slot)[1] = w->number;
		} else {
			w->fine = w->fine && (*slot)[1] == w->number;
			rt_fixalloc_put(&shared, *slot);
			*slot = NULL;
		}
	}
	for (int i = 0; i < 64; i++)
		if (mine[i] != NULL)
			rt_fixalloc_put(&shared, mine[i]);
}

static void test_threads(void **state)
{
	struct worker w[WORKERS];

	rt_fixalloc_init(&shared, 16, NULL);
	for (int i = 0; i < WORKERS; i++) {
		w[i].number = (uintptr_t)i + 1;
		assert_int_equal(be_thread_start(&w[i].thread, juggle, &w[i], 0), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		be_thread_join(&w[i].thread);
		assert_true(w[i].fine);
	}
	assert_int_equal(shared.inuse, 0);
	rt_fixalloc_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_records),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_reuse_keeps_all_but_the_first_word),
		cmocka_unit_test(test_records_of_a_line_share_none),
		cmocka_unit_test(test_largest_record),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
