/* GORT_SCAN_DATA: static variables keep objects alive, and without the flag they do not. */
#include "tests/support/goroutines.h"

#include "core/gc/gc_impl.h"

#include "backends/data/data.h"

#include <stdlib.h>
#include <string.h>

enum { N = 200, WORDS = 20 };

/* What the test knows of the objects is hidden from any scan. */
static uintptr_t hidden[N];
static void *volatile slot[N];
static void *volatile initialised[2] = { (void *)1, (void *)2 };

static gort_runtime *runtime;

/* In a frame that is gone when the collector looks. */
static RT_NOINLINE void make(bool keep)
{
	for (int i = 0; i < N; i++) {
		uintptr_t *p = gort_alloc(WORDS * sizeof *p, 0);

		hidden[i] = ~(uintptr_t)p;
		gort_store(&p[1], gort_alloc(64, GORT_NOSCAN));
		*(uint64_t *)p[1] = (uint64_t)i + 7000;
		p[0] = (uintptr_t)i + 5000;
		if (keep)
			gort_store((void *)(uintptr_t)&slot[i], p);
	}
}

static RT_NOINLINE void overwrite_stack(void)
{
	volatile char rubbish[8000];

	memset((char *)(uintptr_t)rubbish, 0, sizeof rubbish);
}

/* Pages of freed objects may be the system's again: they are not touched. */
static bool there(uintptr_t p)
{
	rt_span *s;
	uint32_t index;

	return rt_object_find(&runtime->gc->heap, p, &s, &index) == p;
}

/* How many are still there, as they were. */
static RT_NOINLINE int alive(void)
{
	int n = 0;

	for (int i = 0; i < N; i++) {
		uintptr_t *p = (uintptr_t *)~hidden[i];

		n += there((uintptr_t)p) && p[0] == (uintptr_t)i + 5000 && there(p[1]) &&
		     *(uint64_t *)p[1] == (uint64_t)i + 7000;
	}
	return n;
}

static void keeps(void *arg)
{
	bool scanned = arg != NULL;

	make(true);
	overwrite_stack();
	gort_gc();
	gort_gc();
	CHECK(scanned ? alive() == N : alive() < N / 10);
	memset((void *)(uintptr_t)slot, 0, sizeof slot);
	overwrite_stack();
	gort_gc();
	CHECK(alive() < N / 10); /* some words may look like pointers */
	/* A segment's beginning, and the initialised part. */
	make(false);
	gort_store((void *)(uintptr_t)&initialised[1], (void *)~hidden[0]);
	overwrite_stack();
	gort_gc();
	CHECK(!scanned || (there(~hidden[0]) && *(uintptr_t *)~hidden[0] == 5000));
	initialised[1] = NULL;
}

static void run(int procs, const char *collector, unsigned flags, const char *debug, gort_func fn, int code)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.collector = collector;
	cfg.flags = flags;
	cfg.debug = debug;
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	assert_int_equal(gort_runtime_run(runtime, fn, flags ? runtime : NULL), code);
	assert_int_equal(gort_runtime_free(runtime), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s, %d Ps, flags %u: %s", collector, procs, flags, first_failure);
}

static const char *const collectors[] = { "stw", "concurrent" };

static void test_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		if (be_data_works || i % 4 < 2)
			run(1 + i % 2, collectors[i / 4], i % 4 < 2 ? 0 : GORT_SCAN_DATA, "clobberfree=1", keeps, 0);
}

/* More memory than a marker's buffer, and nobody else marks. */
static void counts_globals(void *arg)
{
	gort_gc();
	CHECK(runtime->gc->pacer.globals_scan >= (arg != NULL ? sizeof slot + sizeof hidden : 0));
	CHECK(arg != NULL || runtime->gc->pacer.globals_scan == 0);
}

static void test_counted(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		if (be_data_works || i % 2 == 0)
			run(1, collectors[i / 2], i % 2 ? GORT_SCAN_DATA : 0, NULL, counts_globals, 0);
}

/* A run ends at any moment of a collection. */
static void collects(void *arg)
{
	(void)arg;
	for (;;)
		gort_gc();
}

static void ends(void *arg)
{
	static unsigned turns;

	(void)arg;
	gort_go(collects, NULL);
	for (unsigned i = turns++ % 20; i > 0; i--)
		gort_gosched();
}

static void test_runs_end_anywhere(void **state)
{
	(void)state;
	if (!be_data_works)
		return;
	for (int i = 0; i < 40; i++)
		run(1 + i % 2, collectors[i / 2 % 2], GORT_SCAN_DATA, NULL, ends, 0);
}

/* Several runtimes, each with its own reader; more runs of one. */
static void test_again(void **state)
{
	gort_config cfg;

	(void)state;
	if (!be_data_works)
		return;
	gort_config_init(&cfg);
	cfg.collector = "concurrent";
	cfg.flags = GORT_SCAN_DATA;
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(gort_runtime_run(runtime, ends, runtime), 0);
	assert_int_equal(gort_runtime_free(runtime), 0);
}

static void test_refused(void **state)
{
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.collector = "stw";
	cfg.flags = GORT_SCAN_DATA;
	cfg.debug = "syscallfail=datareader:1";
	if (!be_data_works) {
		assert_int_equal(gort_runtime_new(&runtime, &cfg), GORT_ENOTSUP);
		return;
	}
	assert_true(gort_runtime_new(&runtime, &cfg) < GORT_EOS);
	assert_null(runtime);
	cfg.collector = "none"; /* heap dumps look at static data, too */
	assert_true(gort_runtime_new(&runtime, &cfg) < GORT_EOS);
	assert_null(runtime);
}

/* Wherever memory ends: the run ends by that, or goes on. */
static void fills(void *arg)
{
	(void)arg;
	make(true);
	gort_gc();
	if (alive() != N)
		abort();
	memset((void *)(uintptr_t)slot, 0, sizeof slot);
}

static void test_no_memory(void **state)
{
	(void)state;
	if (!be_data_works)
		return;
	for (int n = 1; n < 60; n++) {
		char debug[32];
		gort_config cfg;
		int r;

		snprintf(debug, sizeof debug, "oomfail=%d,clobberfree=1", n);
		gort_config_init(&cfg);
		cfg.collector = collectors[n % 2];
		cfg.flags = GORT_SCAN_DATA;
		cfg.debug = debug;
		r = gort_runtime_new(&runtime, &cfg);
		if (r == 0) {
			r = gort_runtime_run(runtime, fills, NULL);
			assert_int_equal(gort_runtime_free(runtime), 0);
		}
		assert_true(r == 0 || r == GORT_ENOMEM);
		memset((void *)(uintptr_t)slot, 0, sizeof slot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept), cmocka_unit_test(test_counted),
		cmocka_unit_test(test_runs_end_anywhere), cmocka_unit_test(test_again),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
