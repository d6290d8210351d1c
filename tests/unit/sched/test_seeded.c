/* Seeded runs: what a seed decides, time, recorded schedules. See core/sched/seeded.c; the programs are those of
 * tests/support/seeded.c. */
#include "tests/support/seeded_runs.h"

/* ---- What a seed decides --------------------------------------------------------------------- */

static void test_one_seed_one_schedule(void **state)
{
	(void)state;
	for (const program *p = programs; p->name != NULL; p++) {
		uint64_t first = hash_of(p->main, 1, NULL);
		int others = 0;

		for (uint64_t seed = 1; seed <= 20; seed++) {
			uint64_t hash = hash_of(p->main, seed, NULL);

			assert_true(hash == hash_of(p->main, seed, NULL));
			others += hash != first;
		}
		assert_true(others >= 15);
	}
}

/* The collector has its share, and its goroutine stands between others; the schedule stays the same. */
static void test_collections_are_no_part(void **state)
{
	(void)state;
	for (const program *p = programs; p->name != NULL; p++)
		for (uint64_t seed = 1; seed <= 8; seed++) {
			uint64_t usual = hash_of(p->main, seed, NULL);

			assert_true(usual == hash_of(p->main, seed, "collector=none"));
			assert_true(usual == hash_of(p->main, seed, "procs=9"));
		}
}

static void allocates(void *arg)
{
	allocate();
	gort_waitgroup_done(arg);
}

static void all_allocate(void *arg)
{
	gort_waitgroup done = GORT_INIT;

	(void)arg;
	gort_waitgroup_add(&done, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(gort_go(allocates, &done), 0);
	gort_waitgroup_wait(&done);
}

static void test_a_schedule_does_not_tell_of_collections(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		uint64_t none = hash_of(all_allocate, seed, "collector=none");

		assert_true(none == hash_of(all_allocate, seed, NULL));
		assert_true(none == hash_of(all_allocate, seed, "gogc=20"));
		assert_true(none == hash_of(all_allocate, seed, "debug=gcstress=3"));
	}
}

static void collect_between(void *arg)
{
	static const char letters[LETTERS + 1] = "abcdefghijkl";

	(void)arg;
	written = 0;
	for (size_t i = 0; i < LETTERS; i++) {
		assert_int_equal(gort_go(append, (void *)(uintptr_t)&letters[i]), 0);
		if (i % 4 == 1)
			gort_gc();
	}
	while (written < LETTERS)
		gort_gosched();
}

static void no_collections(void *arg)
{
	static const char letters[LETTERS + 1] = "abcdefghijkl";

	(void)arg;
	written = 0;
	for (size_t i = 0; i < LETTERS; i++) {
		assert_int_equal(gort_go(append, (void *)(uintptr_t)&letters[i]), 0);
		if (i % 4 == 1)
			(void)gort_num_goroutine(); /* a point, where the other has gort_gc */
	}
	while (written < LETTERS)
		gort_gosched();
}

static void test_who_waits_for_a_collection_goes_on(void **state)
{
	int differ = 0;

	(void)state;
	for (int seed = 1; seed <= 40; seed++) {
		char before[LETTERS + 1];

		run_seed(seed, no_collections);
		memcpy(before, order, sizeof before);
		run_seed(seed, collect_between);
		assert_memory_equal(order, before, LETTERS);
		differ += memcmp(order, "abcdefghijkl", LETTERS) != 0;
	}
	assert_true(differ > 20);
}

static void two_runs(void *arg)
{
	collect_between(arg);
}

/* A second run of a runtime begins as the first did, though goroutines have other numbers. */
static void test_each_run_begins_anew(void **state)
{
	char first[LETTERS];

	(void)state;
	for (int seed = 1; seed <= 20; seed++) {
		begin_seed(seed);
		assert_int_equal(gort_runtime_run(rt, two_runs, NULL), 0);
		memcpy(first, order, LETTERS);
		assert_int_equal(gort_runtime_run(rt, two_runs, NULL), 0);
		assert_memory_equal(order, first, LETTERS);
		end();
	}
}

static int chosen[4];

static void select_often(void *arg)
{
	gort_chan *c[4];

	(void)arg;
	for (int i = 0; i < 4; i++) {
		int64_t v = i;

		c[i] = gort_chan_make(GORT_TYPE(int64_t), 1);
		gort_chan_send(c[i], &v);
	}
	for (int n = 0; n < 400; n++) {
		gort_select_case cases[4];
		int64_t v;
		int i;

		for (i = 0; i < 4; i++)
			cases[i] = (gort_select_case){ .chan = c[i], .dir = GORT_RECV, .elem = &v };
		i = gort_select(cases, 4, GORT_FOREVER);
		chosen[i]++;
		gort_chan_send(c[i], &v);
	}
}

static void test_select_draws_by_the_seed(void **state)
{
	int before[4];

	(void)state;
	memset(chosen, 0, sizeof chosen);
	run("seed=5", select_often);
	memcpy(before, chosen, sizeof before);
	for (int i = 0; i < 4; i++)
		assert_in_range(before[i], 60, 140);
	memset(chosen, 0, sizeof chosen);
	run("seed=5", select_often);
	assert_memory_equal(chosen, before, sizeof before);
	memset(chosen, 0, sizeof chosen);
	run("seed=6", select_often);
	assert_memory_not_equal(chosen, before, sizeof before);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void test_a_year_costs_nothing(void **state)
{
	int64_t t = be_nanotime();

	(void)state;
	run("seed=3", sleeps_long);
	assert_true(be_nanotime() - t < 60 * GORT_SECOND);
}

static void computes(void *arg)
{
	for (int i = 0; i < 1000; i++)
		gort_gosched();
	*(int64_t *)arg = gort_nanotime();
}

static void time_stands(void *arg)
{
	int64_t done = 0, t = gort_nanotime();

	(void)arg;
	assert_int_equal(gort_go(computes, &done), 0);
	gort_sleep(1);
	assert_true(done == t); /* that was while somebody could run */
	assert_true(gort_nanotime() == t + 1);
}

static void test_time_stands_while_anybody_runs(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 30; seed++) {
		run_seed(seed, time_stands);
	}
}

static void tie(void *arg)
{
	char *c = arg;

	gort_sleep(GORT_MILLISECOND);
	append(c);
}

static void ties(void *arg)
{
	static char letters[] = "abcd";

	(void)arg;
	written = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(gort_go(tie, &letters[i]), 0);
	gort_sleep(2 * GORT_MILLISECOND);
	assert_int_equal(written, 4);
}

static void test_timers_that_are_due_at_once(void **state)
{
	char seen[64][4];
	int n = 0;

	(void)state;
	for (int seed = 1; seed <= 60; seed++) {
		int i;

		run_seed(seed, ties);
		for (i = 0; i < n && memcmp(seen[i], order, 4) != 0; i++)
			;
		if (i == n)
			memcpy(seen[n++], order, 4);
	}
	assert_true(n >= 12); /* of 24 */
}

static void done_later(void *arg)
{
	gort_sleep(GORT_MILLISECOND);
	*(volatile int *)arg = 1;
}

static void yields_until(void *arg)
{
	volatile int done = 0;

	(void)arg;
	assert_int_equal(gort_go(done_later, (void *)&done), 0);
	while (!done)
		gort_gosched();
	assert_true(gort_nanotime() == RT_SEEDED_EPOCH + GORT_MILLISECOND);
}

static void test_who_waits_for_time_by_yielding(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 20; seed++) {
		run_seed(seed, yields_until);
	}
}

/* ---- Every schedule ends --------------------------------------------------------------------- */

static void raise_flag(void *arg)
{
	(void)arg;
	rt_store32_rel(&flag, 1);
}

static void spins_without_yielding(void *arg)
{
	gort_mutex m = GORT_INIT;

	(void)arg;
	rt_store32_rlx(&flag, 0);
	assert_int_equal(gort_go(raise_flag, NULL), 0);
	while (!rt_load32_acq(&flag)) {
		gort_mutex_lock(&m); /* a point, and no more */
		gort_mutex_unlock(&m);
	}
}

static void spin(void *arg)
{
	(void)arg;
	while (!rt_load32_acq(&flag))
		gort_gosched();
}

static void two_spin(void *arg)
{
	(void)arg;
	rt_store32_rlx(&flag, 0);
	assert_int_equal(gort_go(spin, NULL), 0);
	assert_int_equal(gort_go(spin, NULL), 0);
	assert_int_equal(gort_go(raise_flag, NULL), 0);
	spin(NULL);
}

static void test_who_spins_lets_others_run(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 60; seed++) {
		run_seed(seed, spins_without_yielding);
		run_seed(seed, two_spin);
	}
}

/* Who asks instead of waiting. Time stands for those who compute, and must not for him. */
static gort_mutex held;
static gort_chan *letter;

static void holds(void *arg)
{
	int64_t x = 'x';

	(void)arg;
	gort_mutex_lock(&held);
	rt_store32_rel(&flag, 1);
	gort_sleep(5 * GORT_MILLISECOND);
	gort_mutex_unlock(&held);
	gort_sleep(5 * GORT_MILLISECOND);
	gort_chan_send(letter, &x);
}

static void asks(void *arg)
{
	int64_t later, x = 0;

	(void)arg;
	rt_store32_rlx(&flag, 0);
	letter = gort_chan_make(GORT_TYPE(int64_t), 1);
	assert_int_equal(gort_go(holds, NULL), 0);
	spin(NULL);
	while (!gort_mutex_try_lock(&held))
		;
	gort_mutex_unlock(&held);
	while (gort_chan_try_recv(letter, &x) == GORT_EAGAIN)
		;
	assert_int_equal(x, 'x');
	later = gort_nanotime() + GORT_MILLISECOND;
	assert_true(later >= RT_SEEDED_EPOCH + 11 * GORT_MILLISECOND);
	while (gort_nanotime() < later)
		;
	assert_true(gort_nanotime() < later + GORT_MILLISECOND);
}

static void test_who_asks_again_and_again_gets_an_answer(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 20; seed++) {
		uint64_t hash = hash_of(asks, (uint64_t)seed, NULL);

		assert_true(hash == hash_of(asks, (uint64_t)seed, NULL));
		begin_seed(seed);
		assert_int_equal(gort_schedule_set(rt, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(rt, asks, NULL), 0);
		end();
	}
}

/* ---- Recorded schedules ---------------------------------------------------------------------- */

static void test_a_recorded_schedule_replays(void **state)
{
	gort_choice kept[1000];
	char first[LETTERS];

	(void)state;
	for (int seed = 1; seed <= 40; seed++) {
		uint64_t steps, again;
		int64_t n, usual;

		begin_seed(seed);
		assert_int_equal(gort_schedule_set(rt, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0);
		memcpy(first, order, LETTERS);
		n = gort_schedule_get(rt, kept, RT_NELEM(kept), &steps);
		assert_in_range(n, 0, RT_NELEM(kept));
		end();

		begin("seed=77"); /* another one: nothing but select draws from it */
		assert_int_equal(gort_schedule_set(rt, kept, (size_t)n), 0);
		assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0);
		assert_memory_equal(order, first, LETTERS);
		assert_int_equal(gort_schedule_get(rt, NULL, 0, &again), n);
		assert_int_equal(again, steps);
		end();

		begin_seed(seed); /* no choices: the usual order */
		assert_int_equal(gort_schedule_set(rt, kept, 0), 0);
		assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0);
		assert_memory_equal(order, "abcdefghijkl", LETTERS);
		usual = gort_schedule_get(rt, NULL, 0, NULL);
		assert_int_equal(usual, 0);
		assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0); /* and the seed's again */
		assert_memory_equal(order, first, LETTERS);
		end();
	}
}

static void changes_schedule(void *arg)
{
	(void)arg;
	assert_int_equal(gort_schedule_set(rt, NULL, 0), GORT_EBUSY);
	assert_int_equal(gort_schedule_get(rt, NULL, 0, NULL), GORT_EBUSY);
}

static void test_schedules_that_are_refused(void **state)
{
	gort_choice wrong[] = { { 2, 1 }, { 2, 1 } }, absent[] = { { 1, 999 }, { UINT64_MAX, 1 } };

	(void)state;
	begin("seed=2");
	assert_int_equal(gort_schedule_set(rt, wrong, 2), GORT_EINVAL);
	assert_int_equal(gort_schedule_set(rt, NULL, 1), GORT_EINVAL);
	assert_int_equal(gort_schedule_get(rt, NULL, 1, NULL), GORT_EINVAL);
	assert_int_equal(gort_schedule_set(rt, absent, 2), 0);
	assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0);
	assert_memory_equal(order, "abcdefghijkl", LETTERS);
	assert_int_equal(gort_runtime_run(rt, changes_schedule, NULL), 0);
	end();
	begin("procs=1");
	assert_int_equal(gort_schedule_set(rt, NULL, 0), GORT_EINVAL);
	assert_int_equal(gort_schedule_get(rt, NULL, 0, NULL), GORT_EINVAL);
	end();
}

/* ---- The system refuses ---------------------------------------------------------------------- */

static void many(void *arg)
{
	gort_waitgroup done = GORT_INIT;
	static int n;

	(void)arg;
	n = 0;
	for (int i = 0; i < 3000; i++)
		if (gort_waitgroup_go(&done, other, &n) != 0)
			gort_runtime_stop(gort_self(), 7);
	gort_waitgroup_wait(&done);
	assert_int_equal(n, 3000);
}

/* Each request for memory is refused once: no runtime, or a run that ends as it should, or fails with GORT_ENOMEM. */
static void test_memory_ends(void **state)
{
	int made = 0;

	(void)state;
	for (int i = 1; i < 400; i++) {
		gort_config cfg;
		char debug[32];
		int r;

		gort_config_init(&cfg);
		snprintf(debug, sizeof debug, "oomfail=%d", i);
		cfg.seed = (uint64_t)i;
		cfg.debug = debug;
		r = gort_runtime_new(&rt, &cfg);
		if (r == GORT_ENOMEM)
			continue;
		assert_int_equal(r, 0);
		made++;
		r = gort_runtime_run(rt, many, NULL);
		assert_true(r == 0 || r == 7 || r == GORT_ENOMEM);
		end();
	}
	assert_true(made > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_seed_one_schedule),
		cmocka_unit_test(test_collections_are_no_part),
		cmocka_unit_test(test_a_schedule_does_not_tell_of_collections),
		cmocka_unit_test(test_who_waits_for_a_collection_goes_on),
		cmocka_unit_test(test_each_run_begins_anew),
		cmocka_unit_test(test_select_draws_by_the_seed),
		cmocka_unit_test(test_a_year_costs_nothing),
		cmocka_unit_test(test_time_stands_while_anybody_runs),
		cmocka_unit_test(test_timers_that_are_due_at_once),
		cmocka_unit_test(test_who_waits_for_time_by_yielding),
		cmocka_unit_test(test_who_spins_lets_others_run),
		cmocka_unit_test(test_who_asks_again_and_again_gets_an_answer),
		cmocka_unit_test(test_a_recorded_schedule_replays),
		cmocka_unit_test(test_schedules_that_are_refused),
		cmocka_unit_test(test_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
