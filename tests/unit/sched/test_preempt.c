/* What preemption in place owes to goroutines that never call the runtime: they progress while they hold the
 * host's locks, they leave their P when they block, and the end of a run finds each of them. Nothing here
 * knows how long anything takes: who does not get ahead hangs, and the runner's limit ends that. */
#include "tests/support/program.h"

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif

/* ---- A pipe, read without a word to the runtime --------------------------------------------------- */

#ifdef _WIN32
static HANDLE ends[2];

static void pipe_make(void)
{
	assert_true(CreatePipe(&ends[0], &ends[1], NULL, 0));
}

static void pipe_drop(void)
{
	CloseHandle(ends[0]);
	CloseHandle(ends[1]);
}

static bool pipe_read(void)
{
	DWORD n;
	char c;

	return ReadFile(ends[0], &c, 1, &n, NULL) && n == 1;
}

static bool pipe_write(void)
{
	DWORD n;

	return WriteFile(ends[1], "x", 1, &n, NULL) && n == 1;
}
#else
static int ends[2];

static void pipe_make(void)
{
	assert_int_equal(pipe(ends), 0);
}

static void pipe_drop(void)
{
	close(ends[0]);
	close(ends[1]);
}

static bool pipe_read(void)
{
	ssize_t n;
	char c;

	while ((n = read(ends[0], &c, 1)) < 0 && errno == EINTR)
		;
	return n == 1;
}

static bool pipe_write(void)
{
	return write(ends[1], "x", 1) == 1;
}
#endif

/* ---- Programs --------------------------------------------------------------------------------- */

static gort_runtime *runtime;

/* `debug`: slices are short, so that there are many. */
static void make_runtime(int procs, const char *debug)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.debug = debug;
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
}

/* Frees it when the last goroutine has come back. */
static void free_at_last(void)
{
	int r;

	while ((r = gort_runtime_free(runtime)) == GORT_EBUSY)
		be_thread_yield();
	assert_int_equal(r, 0);
}

static void run_program(int procs, const char *debug, gort_func fn)
{
	make_runtime(procs, debug);
	assert_int_equal(gort_runtime_run(runtime, fn, NULL), 0);
	assert_int_equal(gort_runtime_free(runtime), 0);
}

static gort_waitgroup wg;

/* ---- A lock of the host held across slices -------------------------------------------------------- */

enum { ROUNDS = 50 };
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;
static rt_atomic32 holds, wants; /* of the round: the first owns the lock; the second is about to wait */
static int under_lock[2];

/* On one P: while it holds the lock it waits for something that only happens when it was stopped. */
static void holder(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		pthread_mutex_lock(&host_lock);
		under_lock[0]++;
		rt_store32_rel(&holds, i);
		while (rt_load32_acq(&wants) != i)
			;
		under_lock[1]++;
		pthread_mutex_unlock(&host_lock);
		while (rt_load32_acq(&wants) == i)
			;
	}
	gort_waitgroup_done(&wg);
}

static void waiter(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (rt_load32_acq(&holds) != i)
			;
		rt_store32_rel(&wants, i);
		pthread_mutex_lock(&host_lock);
		if (under_lock[0] != under_lock[1])
			abort();
		pthread_mutex_unlock(&host_lock);
		rt_store32_rel(&wants, i + ROUNDS);
	}
	gort_waitgroup_done(&wg);
}

static void lock_program(void *arg)
{
	(void)arg;
	wg = (gort_waitgroup)GORT_INIT;
	rt_store32_rel(&holds, 0);
	rt_store32_rel(&wants, 0);
	gort_waitgroup_add(&wg, 2);
	if (gort_go(holder, NULL) != 0 || gort_go(waiter, NULL) != 0)
		abort();
	gort_waitgroup_wait(&wg);
}

static void test_stopped_while_it_holds_a_lock(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	run_program(1, "slice=1000", lock_program);
	run_program(1, "preemptall=1", lock_program);
	run_program(2, "slice=1000", lock_program);
}

/* ---- Ten that block ------------------------------------------------------------------------------- */

enum { BLOCKED = 10 };
static rt_atomic32 blocked, came_back;

static void reads(void *arg)
{
	(void)arg;
	rt_add32_full(&blocked, 1);
	if (!pipe_read())
		abort();
	rt_add32_full(&came_back, 1);
	gort_waitgroup_done(&wg);
}

/* It is the only one that can run, and says nothing to the runtime until the ten are in their reads. */
static void lets_them_go(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&blocked) != BLOCKED)
		;
	for (int i = 0; i < BLOCKED; i++)
		if (!pipe_write())
			abort();
	while (rt_load32_acq(&came_back) != BLOCKED)
		;
	gort_waitgroup_done(&wg);
}

static void block_program(void *arg)
{
	(void)arg;
	wg = (gort_waitgroup)GORT_INIT;
	rt_store32_rel(&blocked, 0);
	rt_store32_rel(&came_back, 0);
	gort_waitgroup_add(&wg, BLOCKED + 1);
	for (int i = 0; i < BLOCKED; i++)
		if (gort_go(reads, NULL) != 0)
			abort();
	if (gort_go(lets_them_go, NULL) != 0)
		abort();
	gort_waitgroup_wait(&wg);
}

static void test_blocked_without_a_word(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	pipe_make();
	run_program(1, NULL, block_program);
	run_program(2, NULL, block_program);
	pipe_drop();
}

/* ---- The bound on threads that stand -------------------------------------------------------------- */

/* With a bound of 5 not all of 40 can have begun before one has ended; but all end. */
enum { CROWD = 40 };
static rt_atomic32 begun, may_end;
static uint32_t most;

static void one_of_the_crowd(void *arg)
{
	(void)arg;
	rt_add32_full(&begun, 1);
	while (rt_load32_acq(&may_end) == 0)
		;
	gort_waitgroup_done(&wg);
}

static void crowd_program(void *arg)
{
	uint32_t n = 0, before;

	(void)arg;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, CROWD);
	for (int i = 0; i < CROWD; i++)
		if (gort_go(one_of_the_crowd, NULL) != 0)
			abort();
	do { /* until no more begin, however often all those that have are stopped */
		before = n;
		for (int i = 0; i < CROWD; i++)
			gort_gosched();
		n = rt_load32_acq(&begun);
	} while (n != before);
	most = n;
	rt_store32_rel(&may_end, 1);
	gort_waitgroup_wait(&wg);
}

static void test_bound(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	for (int procs = 1; procs <= 2; procs++) {
		rt_store32_rel(&begun, 0);
		rt_store32_rel(&may_end, 0);
		run_program(procs, "slice=1000,standing=5", crowd_program);
		assert_in_range(most, 5, 5 + 2 * (uint32_t)procs);
		assert_int_equal(rt_load32_acq(&begun), CROWD);
	}
}

/* ---- The end of a run: what computes -------------------------------------------------------------- */

enum { LOOPS = 5 };
static volatile uint64_t steps[LOOPS];
static rt_atomic32 turning, deferred;

static void never(void *arg)
{
	(void)arg;
	rt_add32_full(&deferred, 1);
}

static void loop(void *arg)
{
	volatile uint64_t *n = arg;

	gort_defer(never, NULL);
	rt_add32_full(&turning, 1);
	for (;;)
		(*n)++;
}

static void loop_wired(void *arg)
{
	gort_lock_os_thread();
	loop(arg);
}

static void leave_loops(void *arg)
{
	rt_store32_rel(&turning, 0);
	for (int i = 0; i < LOOPS; i++)
		if (gort_go(i == 0 ? loop_wired : loop, (void *)&steps[i]) != 0)
			abort();
	while (rt_load32_acq(&turning) != LOOPS)
		gort_gosched();
	if (arg != NULL)
		gort_runtime_stop(gort_self(), 7);
}

static void test_end_drops_what_computes(void **state)
{
	uint64_t seen[LOOPS];

	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int i = 0; i < 12; i++) {
		bool stops = i % 2 == 1;

		make_runtime(1 + i % 3, i < 6 ? "slice=1000" : "preemptall=1");
		assert_int_equal(gort_runtime_run(runtime, leave_loops, stops ? runtime : NULL), stops ? 7 : 0);
		memcpy(seen, (const void *)steps, sizeof seen);
		for (int k = 0; k < 1000; k++)
			be_thread_yield();
		assert_memory_equal(seen, (const void *)steps, sizeof seen);
		/* Again, with the same threads; and nobody is in the way of the end. */
		assert_int_equal(gort_runtime_run(runtime, leave_loops, NULL), 0);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
	assert_int_equal(rt_load32_acq(&deferred), 0);
}

static void stops_it(void *arg)
{
	(void)arg;
	gort_runtime_stop(gort_self(), 5);
}

static void main_computes(void *arg)
{
	(void)arg;
	if (gort_go(stops_it, NULL) != 0)
		abort();
	for (;;)
		steps[0]++;
}

static void test_end_while_main_computes(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int procs = 1; procs <= 3; procs++) {
		make_runtime(procs, "slice=1000");
		for (int i = 0; i < 3; i++)
			assert_int_equal(gort_runtime_run(runtime, main_computes, NULL), 5);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
}

/* Nobody's main has ended: what came from outside computes when the runtime is freed. */
static void test_free_drops_what_computes(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int procs = 1; procs <= 2; procs++) {
		make_runtime(procs, "slice=1000");
		rt_store32_rel(&turning, 0);
		assert_int_equal(gort_module_add((gort_code)loop), 0); /* no run has done it */
		for (int i = 0; i < 3; i++)
			assert_int_equal(gort_runtime_go(runtime, loop, (void *)&steps[i]), 0);
		while (rt_load32_acq(&turning) != 3)
			be_thread_yield();
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
	assert_int_equal(rt_load32_acq(&deferred), 0);
}

/* ---- The end of a run: what is in foreign code ------------------------------------------------------ */

static rt_atomic32 entered, left, survived;
static int comes_back; /* how it goes on */
enum { CALLS, COMPUTES, RETURNS, PINS, ENDS_A_SCOPE, WAYS };

static void read_in_scope(void *arg)
{
	(void)arg;
	gort_defer(never, NULL);
	rt_add32_full(&entered, 1);
	if (!pipe_read())
		abort();
	rt_add32_full(&left, 1);
}

static void in_foreign_code(void *arg)
{
	(void)arg;
	gort_defer(never, NULL);
	if (comes_back == ENDS_A_SCOPE) {
		gort_scope(read_in_scope, NULL);
		rt_add32_full(&survived, 1);
		return;
	}
	rt_add32_full(&entered, 1);
	if (!pipe_read())
		abort();
	rt_add32_full(&left, 1);
	switch (comes_back) {
	case CALLS:
		gort_gosched();
		rt_add32_full(&survived, 1);
		break;
	case COMPUTES:
		for (;;)
			steps[0]++;
	case PINS:
		gort_pin();
		rt_add32_full(&survived, 1);
		gort_unpin();
		break;
	default:
		break;
	}
}

static void leave_in_foreign_code(void *arg)
{
	bool taken = arg != NULL;

	for (int i = 0; i < 3; i++)
		if (gort_go(in_foreign_code, NULL) != 0)
			abort();
	/* On one P each of them loses it. On more the last may still have its own. */
	while (rt_load32_acq(&entered) < 3)
		gort_gosched();
	if (taken) /* wait until they have none: others need all Ps for a while */
		for (int i = 0; i < 20; i++)
			gort_sleep(GORT_MILLISECOND);
}

/* True: all three came back out of it. Who stands in his own code, before the call or behind it, is dropped there,
 * rightly; whether one does is the machine's affair. */
static bool all_come_back(int procs, bool taken)
{
	bool busy;

	pipe_make();
	rt_store32_rel(&entered, 0);
	rt_store32_rel(&left, 0);
	make_runtime(procs, NULL);
	assert_int_equal(gort_runtime_run(runtime, leave_in_foreign_code, taken ? runtime : NULL), 0);
	/* It can be used meanwhile. */
	assert_int_equal(gort_runtime_run(runtime, leave_loops, runtime), 7);
	assert_true(pipe_write());
	assert_true(pipe_write());
	busy = gort_runtime_free(runtime) == GORT_EBUSY;
	assert_true(pipe_write());
	if (busy)
		free_at_last();
	pipe_drop();
	assert_int_equal(rt_load32_acq(&survived), 0);
	assert_int_equal(rt_load32_acq(&deferred), 0);
	return rt_load32_acq(&left) == 3 && busy;
}

static void test_end_waits_for_foreign_code(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int i = 0; i < 4 * WAYS; i++) {
		int times = 0;

		comes_back = i % WAYS;
		/* Who computes may be dropped before he has counted. */
		while (!all_come_back(1 + i / WAYS % 2, i < 2 * WAYS) && comes_back != COMPUTES)
			assert_true(++times < 50);
	}
}

/* Main itself: the run ends when it comes back. */
static void main_in_foreign_code(void *arg)
{
	(void)arg;
	rt_store32_rel(&entered, 1);
	be_thread_wake(&entered, 1);
	if (!pipe_read())
		abort();
	for (;;) /* others may still run it until all have stopped */
		gort_gosched();
}

static void stops_from_outside(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&entered) == 0)
		be_thread_park(&entered, 0, -1);
	if (gort_runtime_stop(runtime, 3) != 0 || !pipe_write())
		abort();
}

static void test_end_while_main_is_in_foreign_code(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	pipe_make();
	for (int procs = 1; procs <= 2; procs++) {
		be_thread t;

		rt_store32_rel(&entered, 0);
		make_runtime(procs, NULL);
		assert_int_equal(be_thread_start(&t, stops_from_outside, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(runtime, main_in_foreign_code, NULL), 3);
		be_thread_join(&t);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
	pipe_drop();
}

#ifndef _WIN32
/* Foreign code that computes: the C library turns round for a lock that the test holds. */
static pthread_spinlock_t spin;

static void in_spinlock(void *arg)
{
	(void)arg;
	rt_add32_full(&entered, 1);
	pthread_spin_lock(&spin);
	pthread_spin_unlock(&spin);
	gort_gosched();
	rt_add32_full(&survived, 1);
}

static void leave_in_spinlock(void *arg)
{
	(void)arg;
	if (gort_go(in_spinlock, NULL) != 0) /* only one: with the lock it may be dropped in its own code */
		abort();
	while (rt_load32_acq(&entered) == 0)
		gort_gosched();
}

static void test_end_waits_for_foreign_code_that_computes(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int procs = 1; procs <= 2; procs++) {
		bool inside;

		pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
		pthread_spin_lock(&spin);
		do { /* again, if it was dropped before it was there */
			rt_store32_rel(&entered, 0);
			make_runtime(procs, "slice=1000");
			assert_int_equal(gort_runtime_run(runtime, leave_in_spinlock, NULL), 0);
			inside = gort_runtime_free(runtime) == GORT_EBUSY;
		} while (!inside);
		pthread_spin_unlock(&spin);
		free_at_last();
		assert_int_equal(rt_load32_acq(&survived), 0);
	}
}
#endif

/* ---- The end of a run: an attached thread that computes ----------------------------------------------- */

static rt_atomic32 guest_goes, guest_steps;

static void guest(void *arg)
{
	(void)arg;
	if (gort_attach(runtime) != 0)
		abort();
	while (rt_load32_acq(&guest_goes) != 0)
		rt_add32_full(&guest_steps, 1);
	if (gort_detach() != 0)
		abort();
}

static void main_beside_guest(void *arg)
{
	uint32_t n = rt_load32_acq(&guest_steps);

	(void)arg;
	while (rt_load32_acq(&guest_steps) == n)
		gort_gosched();
}

#ifndef _WIN32
/* ---- A stop that cannot end as things are ----------------------------------------------------------- */

static rt_atomic32 stops;

/* Computes for longer than a stop takes to come, and holds the lock meanwhile. */
static void stopped_holder(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&host_lock);
	rt_store32_rel(&holds, 1);
	while (rt_load32_acq(&stops) == 0)
		;
	for (volatile int i = 0; i < 10000000; i++)
		;
	pthread_mutex_unlock(&host_lock);
	gort_waitgroup_done(&wg);
}

/* As musl's fork: no signal reaches it while it waits. */
static void deaf_waiter(void *arg)
{
	sigset_t all, was;

	(void)arg;
	while (rt_load32_acq(&holds) == 0)
		;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &was);
	rt_store32_rel(&wants, 1);
	pthread_mutex_lock(&host_lock);
	pthread_mutex_unlock(&host_lock);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	gort_waitgroup_done(&wg);
}

static void stop_program(void *arg)
{
	(void)arg;
	wg = (gort_waitgroup)GORT_INIT;
	rt_store32_rel(&holds, 0);
	rt_store32_rel(&wants, 0);
	rt_store32_rel(&stops, 0);
	gort_waitgroup_add(&wg, 2);
	if (gort_go(stopped_holder, NULL) != 0 || gort_go(deaf_waiter, NULL) != 0)
		abort();
	while (rt_load32_acq(&wants) == 0)
		gort_gosched();
	rt_store32_rel(&stops, 1);
	(void)gort_gomaxprocs(gort_gomaxprocs(0) == 3 ? 4 : 3);
	gort_waitgroup_wait(&wg);
}

static void test_stop_backs_out(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	for (int i = 0; i < 5; i++)
		run_program(3, "slice=1000", stop_program);
	run_program(1, "slice=1000", stop_program);
}
#endif

static void test_end_leaves_an_attached_thread_be(void **state)
{
	(void)state;
	if (!be_preempt_in_place || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	for (int procs = 1; procs <= 2; procs++) {
		be_thread t;
		uint32_t n;

		make_runtime(procs, "slice=1000");
		rt_store32_rel(&guest_goes, 1);
		assert_int_equal(be_thread_start(&t, guest, NULL, 0), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(gort_runtime_run(runtime, main_beside_guest, NULL), 0);
			assert_int_equal(gort_runtime_free(runtime), GORT_EBUSY);
			n = rt_load32_acq(&guest_steps);
			while (rt_load32_acq(&guest_steps) == n)
				be_thread_yield();
		}
		rt_store32_rel(&guest_goes, 0);
		be_thread_join(&t);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped_while_it_holds_a_lock),
		cmocka_unit_test(test_blocked_without_a_word),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_end_drops_what_computes),
		cmocka_unit_test(test_end_while_main_computes),
		cmocka_unit_test(test_free_drops_what_computes),
		cmocka_unit_test(test_end_waits_for_foreign_code),
		cmocka_unit_test(test_end_while_main_is_in_foreign_code),
#ifndef _WIN32
		cmocka_unit_test(test_end_waits_for_foreign_code_that_computes),
		cmocka_unit_test(test_stop_backs_out),
#endif
		cmocka_unit_test(test_end_leaves_an_attached_thread_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
