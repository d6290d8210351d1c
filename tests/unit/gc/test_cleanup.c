/* Cleanups: when, how often and with what they are called; and how the goroutine that calls them, and finalizers, ends
 * and comes again. */
#include "tests/support/due.h"

/* ---- Cleanups -------------------------------------------------------------------------------------- */

static RT_NOINLINE void add_cleanups(int kind, int n, gort_func fn, void **kept, uintptr_t *objects, uintptr_t *args)
{
	for (int i = 0; i < n; i++) {
		void *p = of_kind(kind), *arg = make((uint64_t)i);

		if (kept != NULL)
			gort_store(&kept[i], p);
		objects[i] = hide(p);
		args[i] = hide(arg);
		CHECK(gort_add_cleanup((char *)p + i % 3, fn, arg) == 0);
	}
}

static void cleanups_of_kind(int kind)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	int n = kind >= LARGE ? N / 4 : N;
	uint32_t many = (uint32_t)(kind == TINY ? n / 2 : n - FEW); /* tiny ones die together */
	uintptr_t objects[N], args[N];

	begin();
	add_cleanups(kind, n, count, kept, objects, args);
	for (int i = 0; i < 2; i++) {
		collect();
		settle();
		CHECK(rt_load32_acq(&ran) == 0);
		CHECK(freed(objects, n) == 0);
		CHECK(freed(args, n) == 0);
	}
	gort_clear(gort_type_of_void_ptr(), kept, N);
	collect();
	wait_ran(many);
	CHECK(kind == TINY || freed(objects, n) >= n - FEW);
	collect();
	CHECK(freed(args, n) >= (int)many - FEW);
	CHECK(twice() == 0);
	gort_keep_alive(kept);
}

static void cleanups(void *arg)
{
	(void)arg;
	for (int kind = 0; kind < KINDS; kind++)
		cleanups_of_kind(kind);
}

static void test_cleanups(void **state)
{
	(void)state;
	in_program(cleanups, NULL);
}

static RT_NOINLINE void many_on_each(void)
{
	for (int k = 0; k < FEW; k++) {
		void *p = make(0);

		for (int i = 0; i < N; i++)
			CHECK(gort_add_cleanup(p, count, make((uint64_t)i)) == 0);
	}
}

static bool all_equal(void)
{
	for (int i = 1; i < N; i++)
		if (rt_load32_acq(&runs[i]) != rt_load32_acq(&runs[0]))
			return false;
	return true;
}

static void any_number(void *arg)
{
	(void)arg;
	begin();
	many_on_each();
	collect();
	wait_ran(N);
	WAIT_UNTIL(idle());
	CHECK(all_equal()); /* of each object that is gone all, of the others none */
	CHECK(rt_load32_acq(&runs[0]) <= FEW);
}

static void test_any_number(void **state)
{
	(void)state;
	in_program(any_number, NULL);
}

static void refusals(void *arg)
{
	char here;
	void *p = make(0);

	(void)arg;
	CHECK(gort_add_cleanup(NULL, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(outside, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(&here, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(gort_alloc(0, 0), count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(p, NULL, NULL) == GORT_EINVAL);
}

static void test_refusals(void **state)
{
	(void)state;
	run_all(refusals);
}

/* The records are used again. */
static void records(void *arg)
{
	rt_fixalloc *f = &gort_self()->gc->heap.specials;
	uintptr_t objects[N], args[N];

	(void)arg;
	begin();
	for (int i = 1; i <= 20; i++) {
		add_cleanups(TYPED, N, count, NULL, objects, args);
		collect();
		wait_ran((uint32_t)(i * (N - 1) - 2 * FEW));
	}
	WAIT_UNTIL(idle());
	CHECK(f->inuse <= 2 * N);
}

static void test_records(void **state)
{
	(void)state;
	in_program(records, NULL);
}

/* ---- The runner ------------------------------------------------------------------------------------ */

static RT_NOINLINE void add_n(int n, gort_func fn)
{
	for (int i = 0; i < n; i++)
		CHECK(gort_add_cleanup(make(0), fn, make((uint64_t)(i % N))) == 0);
}

static rt_atomic32 scopes, deferred;

static void recovers(void *arg)
{
	rt_add32_full(&deferred, 1);
	if (arg != NULL)
		CHECK(gort_recover(NULL));
}

/* A cleanup is a function: what it defers is called when it ends, and it may recover. */
static void as_scope(void *arg)
{
	item *p = arg;

	CHECK(rt_load32_rlx(&deferred) == rt_add32_full(&scopes, 1));
	gort_defer(recovers, p->number % 2 ? p : NULL);
	count(arg);
	gort_gosched();
	if (p->number % 2)
		gort_panics("is recovered");
}

static void as_goexit(void *arg)
{
	count(arg);
	gort_goexit();
}

static void ends(void *arg)
{
	int n = gort_num_goroutine();

	(void)arg;
	begin();
	rt_store32_rlx(&scopes, 0);
	rt_store32_rlx(&deferred, 0);
	add_n(N, as_scope);
	collect();
	wait_ran(N - FEW);
	CHECK(gort_num_goroutine() == n);
	begin();
	add_n(N, as_goexit);
	collect();
	wait_ran(N - FEW);
	WAIT_UNTIL(gort_num_goroutine() == n);
	begin();
	add_n(N, count);
	collect();
	wait_ran(N - FEW);
}

static void test_ends_of_a_call(void **state)
{
	(void)state;
	in_program(ends, NULL);
}

static void fails(void *arg)
{
	(void)arg;
	gort_panics("in a cleanup");
}

static void waits_for_failure(void *arg)
{
	add_n(N, fails);
	collect();
	(void)gort_chan_recv(arg, NULL);
}

static void test_panic(void **state)
{
	(void)state;
	in_program_that_ends(GORT_EPANIC, waits_for_failure, NULL);
	assert_memory_equal(program_error, "panic: in a cleanup\n", 20);
}

/* The runner is no goroutine that somebody could still wait for. */
static void all_asleep(void *arg)
{
	begin();
	add_n(N, count);
	collect();
	wait_ran(N - FEW);
	(void)gort_chan_recv(arg, NULL);
}

static void test_deadlock(void **state)
{
	(void)state;
	in_program_that_ends(GORT_EDEADLOCK, all_asleep, NULL);
}

static void blocks_for_ever(void *arg)
{
	(void)arg;
	if (rt_add32_full(&ran, 1) == 0)
		(void)gort_chan_recv(NULL, NULL);
}

static void leaves_some(void *arg)
{
	(void)arg;
	begin();
	add_n(FEW, blocks_for_ever); /* the first of them does */
	collect();
	wait_ran(1);
	add_n(N, count);
	collect();
	settle();
	CHECK(rt_load32_acq(&ran) == 1);
}

static void runs_them(void *arg)
{
	(void)arg;
	CHECK(rt_load32_acq(&ran) == 1);
	collect();
	wait_ran(N - FEW);
}

/* What was queued when a run ended is called in the next. */
static void test_a_run_ends(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.collector = "concurrent";
	cfg.debug = "clobberfree=1";
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, leaves_some, NULL), 0);
	assert_int_equal(gort_runtime_run(rt, runs_them, NULL), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

/* There is no name for the runner. The next collection tries again. */
static void no_runner(void *arg)
{
	static rt_debugvars mine;
	rt_fixalloc *names = &gort_self()->sched.names;

	(void)arg;
	collect(); /* the controller has its name */
	begin();
	rt_store32_rlx(&mine.oomleft, 1);
	names->debug = &mine;
	while (rt_load32_rlx(&mine.oomleft) != 0)
		(void)rt_fixalloc_get(names); /* the last fails */
	rt_store32_rlx(&mine.oomleft, 1);
	for (int tries = 0; rt_load32_rlx(&mine.oomleft) != 0 && tries < 10; tries++) {
		add_n(1, count);
		collect();
	}
	settle();
	CHECK(rt_load32_rlx(&mine.oomleft) == 0);
	CHECK(rt_load32_acq(&ran) == 0);
	collect();
	wait_ran(1);
	names->debug = &gort_self()->debug;
}

static void test_no_runner(void **state)
{
	(void)state;
	in_program(no_runner, NULL);
}

static void adds_many(void *arg)
{
	(void)arg;
	begin();
	for (int i = 0; i < 30; i++)
		add_n(N, count);
	collect();
	settle();
}

static void test_memory_ends(void **state)
{
	(void)state;
	without_memory(adds_many);
}

/* ---- Under stress ---------------------------------------------------------------------------------- */

static void stress(void *arg)
{
	uintptr_t objects[N], args[N];

	(void)arg;
	begin();
	for (int i = 0; i < 30; i++) {
		add_cleanups(i % KINDS, i % KINDS >= LARGE ? FEW : N, count_late, NULL, objects, args);
		(void)gort_gomaxprocs(1 + i % 3);
	}
	(void)gort_gomaxprocs(1); /* we and the runner by turns */
	collect();
	wait_ran(20 * N);
}

static void test_stress(void **state)
{
	(void)state;
	under_stress(stress);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleanups), cmocka_unit_test(test_any_number), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_records), cmocka_unit_test(test_ends_of_a_call), cmocka_unit_test(test_panic),
		cmocka_unit_test(test_deadlock), cmocka_unit_test(test_a_run_ends), cmocka_unit_test(test_no_runner),
		cmocka_unit_test(test_memory_ends), cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
