/* seeded_runs.h: what the tests of seeded runs have in common. */
#ifndef TESTS_SUPPORT_SEEDED_RUNS_H
#define TESTS_SUPPORT_SEEDED_RUNS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/include/gort.h"
#include "core/sched/seeded.h"
#include "tests/support/seeded.h"

#include <stdio.h>
#include <string.h>

static gort_runtime *rt;

static inline void begin(const char *options)
{
	gort_config cfg;

	gort_config_init(&cfg);
	assert_int_equal(gort_config_parse(&cfg, options), 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
}

static inline void end(void)
{
	assert_int_equal(gort_runtime_free(rt), 0);
	rt = NULL;
}

static inline void run(const char *options, gort_func main)
{
	begin(options);
	assert_int_equal(gort_runtime_run(rt, main, NULL), 0);
	end();
}

static inline uint64_t hash_of(gort_func main, uint64_t seed, const char *options)
{
	uint64_t hash = HASH_BEGIN;

	assert_int_equal(run_written(main, seed, options, hash_writer, &hash), 0);
	return hash;
}

static inline void begin_seed(int seed)
{
	char options[32];

	snprintf(options, sizeof options, "seed=%d", seed);
	begin(options);
}

static inline void run_seed(int seed, gort_func main)
{
	begin_seed(seed);
	assert_int_equal(gort_runtime_run(rt, main, NULL), 0);
	end();
}

/* ---- Goroutines ------------------------------------------------------------------------------ */

enum { LETTERS = 12 };
static char order[64]; /* in which goroutines came by */
static size_t written;
static rt_atomic32 flag;

static inline void append(void *arg)
{
	order[written++] = *(const char *)arg;
}

static inline void letters_race(void *arg)
{
	static char letters[] = "abcdefghijkl";

	(void)arg;
	written = 0;
	for (int i = 0; i < LETTERS; i++)
		assert_int_equal(gort_go(append, &letters[i]), 0);
	while (written < LETTERS)
		gort_gosched();
}

static inline void other(void *arg)
{
	*(int *)arg += 1;
}

static inline void yields(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++)
		gort_gosched();
}

static inline void deadlock(void *arg)
{
	gort_sema never = GORT_INIT;

	(void)arg;
	gort_sema_acquire(&never);
}

static inline void sleeps_long(void *arg)
{
	int64_t t = gort_nanotime();

	(void)arg;
	assert_true(t == RT_SEEDED_EPOCH);
	gort_sleep(365 * INT64_C(86400) * GORT_SECOND);
	assert_true(gort_nanotime() == t + 365 * INT64_C(86400) * GORT_SECOND);
}

/* Several collections of the heap's own accord. */
static inline void allocate(void)
{
	for (int i = 0; i < 3000; i++)
		gort_new_array(GORT_TYPE(int64_t), 100 + (size_t)i % 900);
}

#endif
