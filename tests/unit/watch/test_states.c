/* Traces of goroutines that lose their P where they are, or under which it goes away: each change of state is an
 * event. */
#include "tests/support/traces.h"

/* ---- Goroutines that lose their P where they are, or it goes away under them ---- */

static rt_atomic32 word, computing;

static void sets_word(void *arg)
{
	(void)arg;
	rt_store32_rel(&word, 1);
	be_thread_wake(&word, 1);
}

/* Foreign code for the runtime: it says nothing of it. */
static void sleeps_for_word(void)
{
	while (rt_load32_acq(&word) == 0)
		be_thread_park(&word, 0, -1);
}

static bool main_waits_for_p(void)
{
	gort_goroutine all[8];
	size_t n = gort_goroutines(rt, all, RT_NELEM(all));
	bool waits = false;

	for (size_t i = 0; i < n && i < RT_NELEM(all); i++)
		waits |= all[i].goid == 1 && all[i].status == GORT_G_RUNNABLE;
	return waits;
}

/* Main computes between the two, and is stopped for it. */
static void sets_word_twice(void *arg)
{
	sets_word(arg);
	while (rt_load32_acq(&computing) == 0 || !main_waits_for_p())
		gort_sleep(20000); /* as above */
	rt_store32_rel(&word, 2);
}

/* On one P: what is waited for runs only if the sleeper's P is taken. */
static void sleeps_unseen(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		rt_store32_rlx(&word, 0);
		gort_go(sets_word, NULL);
		sleeps_for_word();
		gort_gosched();
	}
	for (int i = 0; i < 5; i++) {
		rt_store32_rlx(&word, 0);
		rt_store32_rlx(&computing, 0);
		gort_go(sets_word_twice, NULL);
		sleeps_for_word();
		rt_store32_rel(&computing, 1);
		while (rt_load32_acq(&word) != 2)
			;
	}
}

static void test_sleeps_unseen(void **state)
{
	(void)state;
	if (!rt->sched.inplace)
		skip();
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(setup_procs(1), 0);
	start_trace();
	assert_int_equal(gort_runtime_run(rt, sleeps_unseen, NULL), 0);
	stop_trace();
	check();
	/* Taken, or stopped by a signal where the system has no fence for that. */
	assert_true(counts[GORT_EV_SYSCALL_BEGIN] + counts[GORT_EV_GO_YIELD] >= 10);
	assert_int_equal(counts[GORT_EV_SYSCALL_BEGIN], counts[GORT_EV_SYSCALL_END] + ended_in_calls);
}

static void computes(void *arg)
{
	(void)arg;
	rt_store32_rel(&computing, 1);
	while (rt_load32_acq(&word) == 0)
		;
}

static void computes_for_ever(void *arg)
{
	(void)arg;
	rt_store32_rel(&computing, 1);
	for (;;)
		;
}

/* fn computes on the other P when this returns. */
static void start_computing(gort_func fn)
{
	rt_store32_rlx(&word, 0);
	rt_store32_rlx(&computing, 0);
	gort_go(fn, NULL);
	while (rt_load32_acq(&computing) == 0)
		gort_sleep(20000); /* as above */
}

/* Whoever is on P 1 goes on on P 0, or queues. */
static void fewer_procs(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		start_computing(computes);
		gort_gomaxprocs(1);
		rt_store32_rel(&word, 1);
		gort_gosched();
		gort_gomaxprocs(2);
	}
}

static void ends_at_once(void *arg)
{
	(void)arg;
	start_computing(computes_for_ever);
}

static void test_fewer_procs(void **state)
{
	(void)state;
	if (!rt->sched.inplace)
		skip();
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(setup_procs(2), 0);
	start_trace();
	assert_int_equal(gort_runtime_run(rt, fewer_procs, NULL), 0);
	stop_trace();
	check();
	assert_int_equal(counts[GORT_EV_PROCS], 1 + 20);
}

static void test_dropped_on_its_p(void **state)
{
	(void)state;
	if (!rt->sched.inplace || RT_ASAN) /* its malloc is in this program: nobody is dropped in there */
		skip();
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(setup_procs(2), 0);
	start_trace();
	for (int i = 0; i < 5; i++) {
		assert_int_equal(gort_runtime_run(rt, ends_at_once, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	}
	stop_trace();
	check();
	assert_int_equal(in_state(DEAD), 1 + 5 * (1 + 3 + WORKERS));
}

/* An attached thread that blocks is let go by the end of the run. */
static int attached_result; /* of the thread; main reads it after stage 1 */
static bool attached_started;

static void attached_waits(void *arg)
{
	(void)arg;
	attached_result = gort_attach(rt);
	next_stage(1);
	if (attached_result == 0) {
		gort_chan_recv(prog.quit, NULL);
		attached_result = gort_detach();
	}
}

static bool attached_blocks(void)
{
	gort_goroutine all[8];
	size_t n = gort_goroutines(rt, all, RT_NELEM(all));
	bool blocks = false;

	for (size_t i = 0; i < n && i < RT_NELEM(all); i++)
		blocks |= all[i].goid != 1 && !all[i].system && strcmp(all[i].wait_reason, "chan receive") == 0;
	return blocks;
}

static void ends_under_attached(void *arg)
{
	be_thread *t = arg;

	prog.quit = gort_chan_make(GORT_TYPE(int), 0);
	rt_store32_rlx(&stage, 0);
	attached_started = be_thread_start(t, attached_waits, NULL, 0) == 0;
	if (!attached_started)
		return;
	gort_entersyscall();
	await_stage(1);
	gort_exitsyscall();
	while (attached_result == 0 && !attached_blocks())
		gort_sleep(20000);
}

static void test_end_wakes_attached(void **state)
{
	be_thread t;

	(void)state;
	start_trace();
	assert_int_equal(gort_runtime_run(rt, ends_under_attached, &t), 0);
	assert_true(attached_started);
	be_thread_join(&t);
	stop_trace();
	assert_int_equal(attached_result, 0);
	check();
	assert_int_equal(counts[GORT_EV_GO_BLOCK], counts[GORT_EV_GO_UNBLOCK]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sleeps_unseen),
		T(test_fewer_procs),
		T(test_dropped_on_its_p),
		T(test_end_wakes_attached),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
