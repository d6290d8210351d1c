/* Work buffers: what is put comes out once, also through the lists and across threads; refused memory. */
#include "core/gc/work.h"

#include "backends/thread/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 100000, THREADS = 3 };

static rt_workpool pool;
static unsigned char seen[N + 1];

static void test_all_come_back(void **state)
{
	rt_gcw w = { 0 };
	uintptr_t obj;
	size_t n = 0;

	(void)state;
	rt_workpool_init(&pool, NULL);
	memset(seen, 0, sizeof seen);
	for (uintptr_t i = 1; i <= N; i++)
		assert_true(rt_gcw_put(&pool, &w, i));
	assert_true(rt_workpool_any(&pool));
	while ((obj = rt_gcw_get(&pool, &w)) != 0) {
		assert_int_equal(seen[obj]++, 0);
		n++;
	}
	assert_int_equal(n, N);
	assert_true(rt_gcw_empty(&w));
	rt_gcw_dispose(&pool, &w);
	rt_workpool_reset(&pool);
	rt_workpool_trim(&pool);
	assert_true(rt_workpool_bytes(&pool) <= 15 * 64 << 10);
	assert_true(rt_gcw_put(&pool, &w, 7));
	assert_int_equal(rt_gcw_get(&pool, &w), 7);
	rt_workpool_fini(&pool);
}

static void test_boundary(void **state)
{
	rt_gcw w = { 0 };

	(void)state;
	rt_workpool_init(&pool, NULL);
	for (uintptr_t i = 1; i <= 2 * RT_WORKBUF_OBJS; i++)
		assert_true(rt_gcw_put(&pool, &w, i));
	for (int i = 0; i < 1000; i++) { /* around a boundary nothing is published */
		assert_int_not_equal(rt_gcw_get(&pool, &w), 0);
		assert_true(rt_gcw_put(&pool, &w, 1));
	}
	assert_false(w.published);
	assert_true(rt_gcw_put(&pool, &w, 1));
	assert_true(w.published);
	rt_workpool_fini(&pool);
}

static void test_balance(void **state)
{
	rt_gcw w = { 0 }, other = { 0 };
	size_t n = 0;

	(void)state;
	rt_workpool_init(&pool, NULL);
	for (uintptr_t i = 1; i <= 4; i++)
		assert_true(rt_gcw_put(&pool, &w, i));
	rt_gcw_balance(&pool, &w); /* too little to share */
	assert_false(rt_workpool_any(&pool));
	for (uintptr_t i = 5; i <= 11; i++)
		assert_true(rt_gcw_put(&pool, &w, i));
	rt_gcw_balance(&pool, &w);
	for (uintptr_t i = 1; i <= 5; i++) /* the older half */
		assert_int_equal(rt_gcw_get(&pool, &other), 6 - i);
	assert_int_equal(rt_gcw_get(&pool, &other), 0);
	while (rt_gcw_get(&pool, &w) != 0)
		n++;
	assert_int_equal(n, 6);
	for (uintptr_t i = 1; i <= RT_WORKBUF_OBJS + 1; i++)
		assert_true(rt_gcw_put(&pool, &w, i));
	rt_gcw_balance(&pool, &w); /* the whole second buffer */
	assert_true(rt_workpool_any(&pool));
	assert_null(w.second);
	rt_workpool_fini(&pool);
}

static void test_refused(void **state)
{
	rt_debugvars debug;
	rt_gcw w = { 0 };
	uintptr_t i, n = 0;

	(void)state;
	rt_debugvars_init(&debug);
	assert_int_equal(rt_debugvars_parse(&debug, "oomfail=2", true), 0);
	rt_workpool_init(&pool, &debug);
	for (i = 1; rt_gcw_put(&pool, &w, i); i++)
		assert_true(i < N);
	assert_int_equal(i, 32 * RT_WORKBUF_OBJS + 1);
	assert_true(rt_gcw_put(&pool, &w, i)); /* nothing was lost, and the next try finds memory */
	while (rt_gcw_get(&pool, &w) != 0)
		n++;
	assert_int_equal(n, i);
	rt_workpool_fini(&pool);
}

/* Each thread turns a number into its two children of a tree, until all are done. */
static rt_atomic32 visited[N + 1];
static rt_atomic64 pending;

static void visitor(void *arg)
{
	rt_gcw w = { 0 };
	int i = 0;

	(void)arg;
	while (rt_load64_acq(&pending) != 0) {
		uintptr_t x = rt_gcw_get(&pool, &w);

		if (x == 0)
			continue;
		if (rt_add32_full(&visited[x], 1) == 0)
			for (uintptr_t k = 2 * x; k <= 2 * x + 1 && k <= N; k++) {
				rt_add64_full(&pending, 1);
				if (!rt_gcw_put(&pool, &w, k))
					abort();
			}
		if (++i % 7 == 0)
			rt_gcw_balance(&pool, &w);
		rt_add64_full(&pending, (uint64_t)-1);
	}
	rt_gcw_dispose(&pool, &w);
}

static void test_threads(void **state)
{
	be_thread t[THREADS];
	rt_gcw w = { 0 };

	(void)state;
	rt_workpool_init(&pool, NULL);
	for (int round = 0; round < 5; round++) {
		memset(visited, 0, sizeof visited);
		rt_store64_rlx(&pending, 1);
		assert_true(rt_gcw_put(&pool, &w, 1));
		rt_gcw_dispose(&pool, &w);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(be_thread_start(&t[i], visitor, NULL, 0), 0);
		for (int i = 0; i < THREADS; i++)
			be_thread_join(&t[i]);
		for (int i = 1; i <= N; i++)
			assert_int_equal(rt_load32_rlx(&visited[i]), 1);
	}
	rt_workpool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_come_back), cmocka_unit_test(test_boundary),
		cmocka_unit_test(test_balance), cmocka_unit_test(test_refused), cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
