/* gort_explore: what is planted in tests/support/seeded.c is found, and what is found replays. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/include/gort.h"
#include "tests/support/seeded.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 10000 };

/* The failure of one run; the choices of that, if any are wanted. */
static int run_once(const program *p, uint64_t seed, gort_choice *kept, size_t n, int64_t *made)
{
	gort_config cfg;
	gort_runtime *rt;
	int r;

	gort_config_init(&cfg);
	cfg.seed = seed;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_schedule_set(rt, NULL, 0), 0);
	r = gort_runtime_run(rt, p->main, NULL);
	*made = gort_schedule_get(rt, kept, n, NULL);
	assert_int_equal(gort_runtime_free(rt), 0);
	return r;
}

static int replay(const program *p, const gort_choice *kept, size_t n)
{
	gort_config cfg;
	gort_runtime *rt;
	int r;

	gort_config_init(&cfg);
	cfg.seed = 1;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_schedule_set(rt, kept, n), 0);
	r = gort_runtime_run(rt, p->main, NULL);
	assert_int_equal(gort_runtime_free(rt), 0);
	return r;
}

static void test_planted_bugs_are_found_and_replayed(void **state)
{
	(void)state;
	for (const program *p = planted; p->name != NULL; p++) {
		gort_choice kept[1000];
		uint64_t seed = 0;
		int64_t n;

		assert_int_equal(gort_explore(NULL, p->main, NULL, RUNS, &seed), p->fails);
		print_message("%s: seed %u\n", p->name, (unsigned)seed);
		assert_in_range(seed, 1, RUNS);
		for (int i = 0; i < 3; i++)
			assert_int_equal(run_once(p, seed, kept, RT_NELEM(kept), &n), p->fails);
		assert_in_range(n, 0, RT_NELEM(kept));
		assert_int_equal(replay(p, kept, (size_t)n), p->fails);
		assert_int_equal(replay(p, kept, 0), 0); /* the usual schedule hides all three */
	}
}

/* Not once in a while, but often: each is a matter of two constraints. */
static void test_how_often(void **state)
{
	(void)state;
	for (const program *p = planted; p->name != NULL; p++) {
		uint64_t seed = 1, found = 0;

		while (seed <= 1000) {
			gort_config cfg;
			uint64_t at = 0;

			gort_config_init(&cfg);
			cfg.seed = seed;
			if (gort_explore(&cfg, p->main, NULL, 1001 - seed, &at) == 0)
				break;
			found++;
			seed = at + 1;
		}
		print_message("%s: %u of 1000\n", p->name, (unsigned)found);
		assert_in_range(found, 20, 999);
	}
}

static void test_right_programs_pass(void **state)
{
	(void)state;
	for (const program *p = programs; p->name != NULL; p++) {
		uint64_t seed = 5;

		assert_int_equal(gort_explore(NULL, p->main, NULL, 300, &seed), 0);
		assert_int_equal(seed, 5); /* untouched */
	}
}

enum { THREADS = 4 };

static void explores(void *arg)
{
	const program *p = &planted[CHECK_THEN_ACT];
	uint64_t *seed = arg;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(gort_explore(NULL, programs[1].main, NULL, 10, NULL), 0);
		assert_int_equal(gort_explore(NULL, p->main, NULL, RUNS, seed), p->fails);
	}
}

/* They share what is kept from run to run, and find the same. */
static void test_several_at_once(void **state)
{
	uint64_t seeds[THREADS], alone = 0;
	be_thread t[THREADS];

	(void)state;
	explores(&alone);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(be_thread_start(&t[i], explores, &seeds[i], 0), 0);
	for (int i = 0; i < THREADS; i++) {
		be_thread_join(&t[i]);
		assert_int_equal(seeds[i], alone);
	}
}

static uint64_t first, runs;

static void stop_at_7(void *arg)
{
	(void)arg;
	if (++runs == 7)
		gort_runtime_stop(gort_self(), 77);
}

static void explore_inside(void *arg)
{
	(void)arg;
	first = (uint64_t)gort_explore(NULL, explore_inside, NULL, 1, NULL);
}

static void test_arguments(void **state)
{
	gort_config cfg;
	uint64_t seed = 0;

	(void)state;
	gort_config_init(&cfg);
	runs = 0;
	cfg.seed = 100;
	cfg.flags = GORT_EXIT_ON_FATAL; /* which would end this program */
	assert_int_equal(gort_explore(&cfg, stop_at_7, NULL, 100, &seed), 77);
	assert_int_equal(seed, 106);
	assert_int_equal(gort_explore(&cfg, planted[ABBA].main, NULL, 0, &seed), 0);
	assert_int_equal(gort_explore(&cfg, planted[ABBA].main, NULL, RUNS, NULL), GORT_EDEADLOCK);
	assert_int_equal(gort_explore(&cfg, NULL, NULL, 1, &seed), GORT_EINVAL);
	runs = 0;
	cfg.seed = UINT64_MAX - 1; /* -2, -1, 1, ...: 0 is none */
	assert_int_equal(gort_explore(&cfg, stop_at_7, NULL, 100, &seed), 77);
	assert_int_equal(seed, 5);
	cfg.procs = -1;
	assert_int_equal(gort_explore(&cfg, stop_at_7, NULL, 1, &seed), GORT_EINVAL);
	assert_int_equal(gort_explore(NULL, explore_inside, NULL, 1, NULL), 0);
	assert_int_equal((int)first, GORT_EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_bugs_are_found_and_replayed),
		cmocka_unit_test(test_how_often),
		cmocka_unit_test(test_right_programs_pass),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
