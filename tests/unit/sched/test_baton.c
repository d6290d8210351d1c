/* Seeded runs with threads: wired goroutines, system calls, attached threads, seats, looks from outside, ends of
 * runs. See core/sched/seeded.c and attach.c. */
#include "tests/support/seeded_runs.h"

/* ---- Threads --------------------------------------------------------------------------------- */

static void wired(void *arg)
{
	uint64_t thread = be_thread_id();

	gort_lock_os_thread();
	thread = be_thread_id();
	for (int i = 0; i < 10; i++) {
		gort_gosched();
		assert_true(be_thread_id() == thread);
	}
	append(arg);
	gort_unlock_os_thread();
	gort_waitgroup_done((gort_waitgroup *)((char *)arg + 8));
}

typedef struct wire {
	char letter, unused[7];
	gort_waitgroup done;
} wire;

static void wires(void *arg)
{
	static wire w[4];

	(void)arg;
	written = 0;
	gort_lock_os_thread();
	memset(w, 0, sizeof w);
	for (int i = 0; i < 4; i++) {
		w[i].letter = (char)('a' + i);
		gort_waitgroup_add(&w[i].done, 1);
		assert_int_equal(gort_go(wired, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		gort_waitgroup_wait(&w[i].done);
	assert_int_equal(written, 4);
	gort_unlock_os_thread();
}

static void test_wired_goroutines_hand_the_baton_over(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		assert_true(hash_of(wires, seed, NULL) == hash_of(wires, seed, NULL));
}

/* Nobody else gets anywhere meanwhile. */
static void away_for(int64_t ns)
{
	volatile int others = 0;

	for (int i = 0; i < 4; i++)
		assert_int_equal(gort_go(other, (void *)&others), 0);
	int before = others;
	gort_entersyscall();
	be_thread_nap(ns);
	assert_int_equal(others, before);
	gort_exitsyscall();
}

static void system_call(void *arg)
{
	(void)arg;
	away_for(2 * GORT_MILLISECOND);
}

static void test_a_system_call_keeps_the_baton(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		assert_true(hash_of(system_call, seed, NULL) == hash_of(system_call, seed, NULL));
}

static void releases(void *arg)
{
	(void)arg;
	rt_store32_rel(&flag, 1);
}

/* It waits for another goroutine where the runtime cannot see it. */
static void stray(void *arg)
{
	(void)arg;
	rt_store32_rlx(&flag, 0);
	assert_int_equal(gort_go(releases, NULL), 0);
	gort_entersyscall();
	while (!rt_load32_acq(&flag))
		be_thread_nap(GORT_MILLISECOND);
	gort_exitsyscall();
}

static void test_a_system_call_that_waits_for_others(void **state)
{
	(void)state;
	run("seed=1,debug=stray=20", stray);
}

static void test_outside_waits_for_main(void **state)
{
	static int n;

	(void)state;
	n = 0;
	begin("seed=2");
	assert_int_equal(gort_runtime_go(rt, other, &n), 0);
	be_thread_nap(5 * GORT_MILLISECOND);
	assert_int_equal(n, 0);
	assert_int_equal(gort_runtime_run(rt, sleeps_long, NULL), 0);
	assert_int_equal(n, 1); /* main slept, so it ran */
	assert_int_equal(gort_runtime_go(rt, other, &n), 0); /* and one that nobody runs */
	end();
	assert_int_equal(n, 1);
}

static void procs(void *arg)
{
	(void)arg;
	assert_int_equal(gort_gomaxprocs(0), 3);
	assert_int_equal(gort_num_cpu(), 3);
	assert_int_equal(gort_gomaxprocs(5), 3);
	assert_int_equal(gort_gomaxprocs(-1), 5);
}

static void test_gomaxprocs_is_what_was_said(void **state)
{
	(void)state;
	run("seed=2,procs=3", procs);
}

static void test_deadlock(void **state)
{
	(void)state;
	begin("seed=2");
	assert_int_equal(gort_runtime_run(rt, deadlock, NULL), GORT_EDEADLOCK);
	assert_non_null(strstr(gort_runtime_error(rt), "all goroutines are asleep - deadlock!"));
	end();
}

static void deadlock_with_garbage(void *arg)
{
	allocate();
	deadlock(arg);
}

/* What is left to sweep is no work that a deadlock would wait for. */
static void test_deadlock_after_a_collection(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 5; seed++) {
		begin_seed(seed);
		assert_int_equal(gort_runtime_run(rt, deadlock_with_garbage, NULL), GORT_EDEADLOCK);
		assert_int_equal(gort_runtime_run(rt, deadlock, NULL), GORT_EDEADLOCK);
		end();
	}
}

static void some_yield(void *arg)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(gort_go(yields, NULL), 0);
	yields(arg);
	yields(arg);
}

static rt_atomic32 looks;

static void look(void *arg)
{
	gort_goroutine one;

	(void)arg;
	for (int n = 0; rt_load32_acq(&looks); n++) {
		(void)gort_goroutines(rt, &one, 1);
		be_thread_nap(n % 7 * 10 * GORT_MICROSECOND);
	}
}

/* Another thread stops the world, whatever the run is doing: it goes on, as it would have. */
static void test_looked_at_from_outside(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 40; seed++) {
		uint64_t steps, again;
		be_thread t;

		begin_seed(seed);
		assert_int_equal(gort_schedule_set(rt, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(rt, some_yield, NULL), 0);
		assert_true(gort_schedule_get(rt, NULL, 0, &steps) >= 0);
		rt_store32_rel(&looks, 1);
		assert_int_equal(be_thread_start(&t, look, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(rt, some_yield, NULL), 0);
		assert_true(gort_schedule_get(rt, NULL, 0, &again) >= 0);
		assert_int_equal(gort_runtime_run(rt, deadlock, NULL), GORT_EDEADLOCK);
		rt_store32_rel(&looks, 0);
		be_thread_join(&t);
		assert_int_equal(again, steps);
		end();
	}
}

static void waits_attached(void *arg)
{
	static gort_sema never;

	assert_int_equal(gort_attach(rt), 0);
	rt_add32_full(arg, 1);
	gort_sema_acquire(&never);
	assert_int_equal(gort_detach(), 0);
}

/* All of them come back when the run ends. */
static void test_attached_threads_are_released(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		rt_atomic32 there = { 0 };
		be_thread t[3];

		begin("seed=3");
		for (int i = 0; i < 3; i++)
			assert_int_equal(be_thread_start(&t[i], waits_attached, &there, 0), 0);
		while (rt_load32_acq(&there) < 3)
			be_thread_nap(0);
		assert_int_equal(gort_runtime_run(rt, yields, NULL), 0);
		for (int i = 0; i < 3; i++)
			be_thread_join(&t[i]);
		end();
	}
}

static int turns;

static void turns_wired(void *arg)
{
	(void)arg;
	for (;;) {
		gort_lock_os_thread();
		turns++;
		gort_gosched();
		gort_unlock_os_thread();
		gort_gosched();
	}
}

static void ends_among_others(void *arg)
{
	(void)arg;
	turns = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(gort_go(turns_wired, NULL), 0);
	for (int i = 0; i < 30; i++)
		gort_gosched();
}

/* Main ends on any thread; from then on nobody has a turn. */
static void test_nobody_runs_after_main(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 30; seed++) {
		int first;

		run_seed(seed, ends_among_others);
		first = turns;
		for (int i = 0; i < 5; i++) {
			run_seed(seed, ends_among_others);
			assert_int_equal(turns, first);
		}
	}
}

static void stays_in_the_system(void *arg)
{
	(void)arg;
	gort_lock_os_thread();
	gort_entersyscall();
	rt_store32_rel(&flag, 1);
	be_thread_nap(50 * GORT_MILLISECOND);
	gort_exitsyscall();
}

static void leaves_one(void *arg)
{
	(void)arg;
	gort_lock_os_thread();
	assert_int_equal(gort_go(stays_in_the_system, NULL), 0);
	for (;;)
		gort_gosched();
}

static void stop_it(void *arg)
{
	(void)arg;
	while (!rt_load32_acq(&flag))
		be_thread_nap(GORT_MICROSECOND);
	assert_int_equal(gort_runtime_stop(rt, 5), 0);
}

static void system_call_of_this_run(void *arg)
{
	(void)arg;
	away_for(100 * GORT_MILLISECOND);
}

/* One of the run before comes back, and takes nothing. */
static void test_a_system_call_of_the_run_before(void **state)
{
	be_thread t;

	(void)state;
	rt_store32_rlx(&flag, 0);
	begin("seed=3");
	assert_int_equal(be_thread_start(&t, stop_it, NULL, 0), 0);
	assert_int_equal(gort_runtime_run(rt, leaves_one, NULL), 5);
	be_thread_join(&t);
	assert_int_equal(gort_runtime_run(rt, system_call_of_this_run, NULL), 0);
	end();
}

static void attached(void *arg)
{
	(void)arg;
	assert_int_equal(gort_attach(rt), 0);
	for (int i = 0; i < 20; i++)
		gort_gosched();
	gort_sema_release(arg);
	assert_int_equal(gort_detach(), 0);
}

static void with_attached(void *arg)
{
	gort_sema done = GORT_INIT;
	be_thread t;

	(void)arg;
	assert_int_equal(be_thread_start(&t, attached, &done, 0), 0);
	gort_entersyscall(); /* until it comes, nobody else can run */
	be_thread_nap(GORT_MILLISECOND);
	gort_exitsyscall();
	while (!gort_sema_try_acquire(&done))
		gort_gosched();
	gort_entersyscall();
	be_thread_join(&t);
	gort_exitsyscall();
}

static void test_attached_thread(void **state)
{
	(void)state;
	run("seed=4,debug=stray=20", with_attached);
}

/* ---- Seats: goroutines whose threads come later ---------------------------------------------- */

enum { SEATS = 4, ROUNDS = 3 };

typedef struct comer {
	gort_seat *seat;
	gort_waitgroup *done;
	be_thread thread;
	uint64_t goid;
	char letter;
	bool slow;
} comer;

static void comes(void *arg)
{
	comer *c = arg;

	if (c->slow) /* chosen long before it is here, perhaps */
		be_thread_nap(GORT_MILLISECOND);
	assert_int_equal(gort_seat_attach(c->seat), 0);
	assert_true(gort_goid() == c->goid);
	for (int i = 0; i < ROUNDS; i++) {
		append(&c->letter);
		gort_gosched();
	}
	if (c->done != NULL)
		gort_waitgroup_done(c->done);
	assert_int_equal(gort_detach(), 0);
}

static char rounds[SEATS * ROUNDS];

static void makes_seats(void *arg)
{
	gort_waitgroup done = GORT_INIT;
	comer c[SEATS];

	(void)arg;
	written = 0;
	gort_waitgroup_add(&done, SEATS);
	for (int i = 0; i < SEATS; i++) {
		c[i] = (comer){ .done = &done, .letter = (char)('a' + i), .slow = i % 2 };
		assert_int_equal(gort_seat_new(gort_self(), &c[i].seat, &c[i].goid), 0);
		assert_int_equal(be_thread_start(&c[i].thread, comes, &c[i], 0), 0);
		assert_int_equal(gort_seat_ready(c[i].seat), 0);
	}
	gort_waitgroup_wait(&done);
	gort_entersyscall();
	for (int i = 0; i < SEATS; i++)
		be_thread_join(&c[i].thread);
	gort_exitsyscall();
	assert_int_equal(written, SEATS * ROUNDS);
	memcpy(rounds, order, sizeof rounds);
}

static void test_threads_that_come_later(void **state)
{
	int differ = 0;

	(void)state;
	for (int seed = 1; seed <= 20; seed++) {
		char first[sizeof rounds];

		run_seed(seed, makes_seats);
		memcpy(first, rounds, sizeof first);
		run_seed(seed, makes_seats);
		assert_memory_equal(rounds, first, sizeof first);
		differ += memcmp(first, "abcdabcdabcd", sizeof first) != 0;
	}
	assert_true(differ > 10);
	run("procs=2", makes_seats);
}

static void comes_or_not(void *arg)
{
	comer *c = arg;
	int r = gort_seat_attach(c->seat);

	assert_true(r == 0 || r == GORT_ECANCELED);
	if (r == 0)
		assert_int_equal(gort_detach(), 0);
}

static void never_ready(void *arg)
{
	comer *c = arg;

	assert_int_equal(gort_seat_new(gort_self(), &c->seat, NULL), 0);
	assert_int_equal(be_thread_start(&c->thread, comes_or_not, c, 0), 0);
}

/* The run ends before it is said to be ready: who has come, or comes later, is told. */
static void test_a_seat_that_its_run_has_left(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		comer c = { 0 };

		begin("seed=3");
		assert_int_equal(gort_runtime_run(rt, never_ready, &c), 0);
		assert_int_equal(gort_seat_ready(c.seat), GORT_ECANCELED);
		be_thread_join(&c.thread);
		end();
	}
}

static void test_seats_before_a_run(void **state)
{
	comer c = { .letter = 'x' };
	gort_seat *unused;

	(void)state;
	written = 0;
	begin("seed=3");
	assert_int_equal(gort_seat_new(rt, &unused, NULL), 0);
	assert_int_equal(gort_runtime_free(rt), GORT_EBUSY); /* somebody may come */
	gort_seat_free(unused);
	gort_seat_free(NULL);
	assert_int_equal(gort_seat_new(rt, &c.seat, &c.goid), 0);
	assert_int_equal(be_thread_start(&c.thread, comes, &c, 0), 0);
	assert_int_equal(gort_seat_ready(c.seat), 0);
	be_thread_nap(5 * GORT_MILLISECOND);
	assert_int_equal(written, 0); /* it waits for the run */
	assert_int_equal(gort_runtime_run(rt, sleeps_long, NULL), 0);
	be_thread_join(&c.thread);
	assert_int_equal(written, ROUNDS);
	assert_int_equal(gort_seat_new(rt, NULL, NULL), GORT_EINVAL);
	end();
	assert_int_equal(gort_seat_new(rt, &unused, NULL), GORT_EINVAL);
	assert_null(unused);
}

/* Attached threads want the baton while runs come and go. */
static gort_sema ping, pong;

static void ponger(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(gort_attach(rt), 0);
		for (int k = 0; k < 5; k++) {
			gort_sema_acquire(&ping);
			gort_gosched();
			gort_sema_release(&pong);
		}
		assert_int_equal(gort_detach(), 0);
	}
}

static void pinger(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(gort_attach(rt), 0);
		for (int k = 0; k < 5; k++) {
			gort_sema_release(&ping);
			gort_gosched();
			gort_sema_acquire(&pong);
		}
		assert_int_equal(gort_detach(), 0);
	}
	rt_store32_rel(&flag, 1);
}

static void test_attached_between_runs(void **state)
{
	be_thread a, b;
	int runs = 0;

	(void)state;
	memset(&ping, 0, sizeof ping);
	memset(&pong, 0, sizeof pong);
	rt_store32_rlx(&flag, 0);
	begin("seed=7");
	assert_int_equal(gort_schedule_set(rt, NULL, 0), 0);
	assert_int_equal(be_thread_start(&a, ponger, NULL, 0), 0);
	assert_int_equal(be_thread_start(&b, pinger, NULL, 0), 0);
	while (!rt_load32_acq(&flag)) {
		assert_int_equal(gort_runtime_run(rt, letters_race, NULL), 0);
		assert_true(gort_schedule_get(rt, NULL, 0, NULL) >= 0);
		runs++;
	}
	be_thread_join(&a);
	be_thread_join(&b);
	assert_true(runs > 0);
	end();
}

static void test_no_thread_for_helpers(void **state)
{
	(void)state;
	begin("seed=2,debug=syscallfail=maker:1");
	assert_int_equal(gort_runtime_run(rt, wires, NULL), GORT_ENOMEM);
	assert_int_equal(gort_runtime_run(rt, wires, NULL), 0); /* the next one is made */
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wired_goroutines_hand_the_baton_over),
		cmocka_unit_test(test_a_system_call_keeps_the_baton),
		cmocka_unit_test(test_a_system_call_that_waits_for_others),
		cmocka_unit_test(test_outside_waits_for_main),
		cmocka_unit_test(test_gomaxprocs_is_what_was_said),
		cmocka_unit_test(test_deadlock),
		cmocka_unit_test(test_deadlock_after_a_collection),
		cmocka_unit_test(test_looked_at_from_outside),
		cmocka_unit_test(test_attached_threads_are_released),
		cmocka_unit_test(test_nobody_runs_after_main),
		cmocka_unit_test(test_a_system_call_of_the_run_before),
		cmocka_unit_test(test_attached_thread),
		cmocka_unit_test(test_threads_that_come_later),
		cmocka_unit_test(test_a_seat_that_its_run_has_left),
		cmocka_unit_test(test_seats_before_a_run),
		cmocka_unit_test(test_attached_between_runs),
		cmocka_unit_test(test_no_thread_for_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
