/* Go's scheduling order and the life of goroutines, through the public face. */
#include "tests/support/program.h"

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"

#include <stdbool.h>
#include <string.h>

/* ---- Order on one P -------------------------------------------------------------------------- */

static int order[1024], norder;
static gort_waitgroup wg;

static void note(void *arg)
{
	order[norder++] = (int)(intptr_t)arg;
	gort_waitgroup_done(&wg);
}

static void spawn_many(void *arg)
{
	int n = (int)(intptr_t)arg;

	norder = 0;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++)
		gort_go(note, (void *)(intptr_t)i);
	gort_waitgroup_wait(&wg);
}

static void test_last_spawned_runs_first(void **state)
{
	(void)state;
	assert_int_equal(program(1, spawn_many, (void *)10), 0);
	assert_int_equal(norder, 10);
	assert_int_equal(order[0], 9);
	for (int i = 1; i < 10; i++)
		assert_int_equal(order[i], i - 1);
}

/* The 257th spawn overflows the ring: its older half and one more go to the global queue. */
static void test_ring_overflow(void **state)
{
	(void)state;
	assert_int_equal(program(1, spawn_many, (void *)300), 0);
	assert_int_equal(norder, 300);
	assert_int_equal(order[0], 299);
	int late = 0;
	for (int i = 300 - 129; i < 300; i++)
		late += order[i] <= 127 || order[i] == 256;
	assert_true(late >= 125); /* all but those that the 1/61 tick took early */
}

/* Work in the global queue is seen though the local one never empties. */
static bool global_ran;
static int spins;

static void spinner(void *arg)
{
	(void)arg;
	if (!global_ran && spins++ < 100000)
		gort_go(spinner, NULL);
}

static void starve(void *arg)
{
	(void)arg;
	global_ran = false;
	spins = 0;
	/* Two chains keep runnext and the ring busy; main goes to the global queue. */
	gort_go(spinner, NULL);
	gort_go(spinner, NULL);
	gort_gosched();
	global_ran = true;
}

static void test_global_queue_is_not_starved(void **state)
{
	(void)state;
	assert_int_equal(program(1, starve, NULL), 0);
	assert_true(global_ran);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static uint64_t ids[3];
static int counts[2];

static void record_id(void *arg)
{
	ids[1] = gort_goid();
	gort_chan_send(arg, &(int){ 1 });
}

static void life(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);

	(void)arg;
	ids[0] = gort_goid();
	gort_go(record_id, c);
	counts[0] = gort_num_goroutine();
	gort_chan_recv(c, NULL);
	gort_gosched();
	counts[1] = gort_num_goroutine();
}

static void test_life(void **state)
{
	(void)state;
	assert_int_equal(gort_goid(), 0);
	assert_null(gort_self());
	assert_int_equal(program(1, life, NULL), 0);
	assert_int_equal(ids[0], 1);
	assert_true(ids[1] > 1);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 1);
}

static void sleeper(void *arg)
{
	gort_chan_recv(arg, NULL);
}

static void dropped(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		gort_go(sleeper, gort_chan_make(GORT_TYPE(int), 0));
	gort_gosched();
}

static void test_end_drops_goroutines(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs++)
		assert_int_equal(program(procs, dropped, NULL), 0);
}

static void deadlock(void *arg)
{
	gort_chan_recv(gort_chan_make(GORT_TYPE(int), 0), NULL);
	*(int *)arg = 1;
}

static void test_deadlock(void **state)
{
	int reached = 0;

	(void)state;
	for (int procs = 1; procs <= 3; procs++) {
		assert_int_equal(program(procs, deadlock, &reached), GORT_EDEADLOCK);
		assert_non_null(strstr(program_error,
		                       "fatal error: all goroutines are asleep - deadlock!"));
		assert_non_null(strstr(program_error, "goroutine 1 [chan receive]"));
	}
	assert_int_equal(reached, 0);
}

static void main_goexit(void *arg)
{
	(void)arg;
	gort_goexit();
}

static void test_main_goexit(void **state)
{
	(void)state;
	assert_int_equal(program(2, main_goexit, NULL), GORT_EDEADLOCK);
	assert_non_null(strstr(program_error,
	                       "fatal error: no goroutines (main called runtime.Goexit) - deadlock!"));
}

static void go_nil(void *arg)
{
	(void)arg;
	gort_go(NULL, NULL);
}

static void test_go_nil(void **state)
{
	(void)state;
	assert_int_equal(program(1, go_nil, NULL), GORT_EFATAL);
	assert_non_null(strstr(program_error, "fatal error: go of nil func value"));
}

static void stopper(void *arg)
{
	gort_runtime_stop(gort_self(), *(int *)arg);
	*(int *)arg = -1;
}

static void stop_from_goroutine(void *arg)
{
	gort_go(stopper, arg);
	for (;;)
		gort_gosched();
}

static void test_stop(void **state)
{
	int code = 42;

	(void)state;
	assert_int_equal(program(1, stop_from_goroutine, &code), 42);
	assert_int_equal(program(2, stop_from_goroutine, &code), 42);
	assert_int_equal(code, 42);
}

static void stop_outside(void *arg)
{
	gort_runtime_stop(arg, 7);
}

static void test_stop_from_another_thread(void **state)
{
	gort_runtime *rt;
	gort_config cfg;
	be_thread t;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	for (int i = 0; i < 20; i++) {
		int r;

		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(gort_runtime_stop(rt, 7), GORT_EINVAL);
		/* The thread may come before the run does: then nothing is to be stopped yet. */
		assert_int_equal(be_thread_start(&t, stop_outside, rt, 0), 0);
		be_thread_join(&t);
		r = i % 2 ? 0 : gort_runtime_run(rt, stopper, &(int){ 7 });
		assert_int_equal(r, i % 2 ? 0 : 7);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* A run is ended from elsewhere while main is wired to the host's thread, and on its way there. */
static void end_soon(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		gort_gosched();
	gort_runtime_stop(gort_self(), 5);
}

static void wired_main(void *arg)
{
	(void)arg;
	gort_lock_os_thread();
	gort_go(end_soon, NULL);
	for (;;)
		gort_gosched();
}

static void test_stop_while_main_is_wired(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(program(1 + i % 3, wired_main, NULL), 5);
}

/* ---- GOMAXPROCS ------------------------------------------------------------------------------ */

static int before[4];

static void send_one(void *arg)
{
	gort_chan_send(arg, &(int){ 1 });
}

static void resize(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);

	(void)arg;
	for (int i = 0; i < 50; i++)
		gort_go(send_one, c);
	before[0] = gort_gomaxprocs(5);
	before[1] = gort_gomaxprocs(1);
	before[2] = gort_gomaxprocs(3);
	before[3] = gort_gomaxprocs(0);
	for (int i = 0; i < 50; i++)
		gort_chan_recv(c, NULL);
}

static void test_gomaxprocs(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(program(2, resize, NULL), 0);
		assert_int_equal(before[0], 2);
		assert_int_equal(before[1], 5);
		assert_int_equal(before[2], 1);
		assert_int_equal(before[3], 3);
	}
}

/* ---- System calls ---------------------------------------------------------------------------- */

enum { BLOCKED = 20 };
static rt_atomic32 inside, gate;

static void blocker(void *arg)
{
	(void)arg;
	gort_entersyscall();
	rt_add32_full(&inside, 1);
	be_thread_wake(&inside, 1);
	while (rt_load32_acq(&gate) == 0)
		be_thread_park(&gate, 0, -1);
	gort_exitsyscall();
	gort_waitgroup_done(&wg);
}

static void syscalls(void *arg)
{
	uint32_t n;

	(void)arg;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, BLOCKED);
	for (int i = 0; i < BLOCKED; i++)
		gort_go(blocker, NULL);
	gort_gosched();
	/* With one P, all of them can be inside at once only if each hands its P on. */
	gort_entersyscall();
	while ((n = rt_load32_acq(&inside)) < BLOCKED)
		be_thread_park(&inside, n, -1);
	rt_store32_rel(&gate, 1);
	be_thread_wake(&gate, BLOCKED);
	gort_exitsyscall();
	gort_waitgroup_wait(&wg);
}

static void test_syscalls_hand_the_p_on(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 3; procs++) {
		rt_store32_rel(&inside, 0);
		rt_store32_rel(&gate, 0);
		assert_int_equal(program(procs, syscalls, NULL), 0);
	}
}

static void in_syscall(void *arg)
{
	(void)arg;
	gort_entersyscall();
	rt_store32_rel(&inside, 1);
	be_thread_wake(&inside, 1);
	while (rt_load32_acq(&gate) == 0)
		be_thread_park(&gate, 0, -1);
	gort_exitsyscall();
	rt_store32_rel(&inside, 99); /* must not be reached: its run has ended */
}

static void leave_one_behind(void *arg)
{
	(void)arg;
	gort_go(in_syscall, NULL);
	gort_entersyscall();
	while (rt_load32_acq(&inside) == 0)
		be_thread_park(&inside, 0, -1);
	gort_exitsyscall();
}

static void test_free_waits_for_system_calls(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	rt_store32_rel(&inside, 0);
	rt_store32_rel(&gate, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, leave_one_behind, NULL), 0);
	assert_int_equal(gort_runtime_free(rt), GORT_EBUSY);
	rt_store32_rel(&gate, 1);
	be_thread_wake(&gate, 1);
	while (gort_runtime_free(rt) == GORT_EBUSY)
		be_thread_yield();
	assert_int_equal(rt_load32_acq(&inside), 1);
	assert_int_equal(gort_runtime_free(rt), GORT_EINVAL);
}

static void deferred(void *arg)
{
	(void)arg;
	rt_store32_rel(&inside, 99);
}

/* Blocks in foreign code without a word, and returns from its function when that is over. */
static void blocks_and_returns(void *arg)
{
	if (arg != NULL)
		gort_defer(deferred, NULL);
	rt_store32_rel(&inside, 1);
	be_thread_wake(&inside, 1);
	while (rt_load32_acq(&gate) == 0)
		be_thread_park(&gate, 0, -1);
}

static void leave_it_behind(void *arg)
{
	gort_go(blocks_and_returns, arg);
	gort_entersyscall();
	while (rt_load32_acq(&inside) == 0)
		be_thread_park(&inside, 0, -1);
	gort_exitsyscall();
}

static void test_a_dropped_one_returns(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	if (!be_preempt_in_place)
		skip(); /* the run would wait for it */
	gort_config_init(&cfg);
	cfg.procs = 1;
	for (int defers = 0; defers < 2; defers++) {
		rt_store32_rel(&inside, 0);
		rt_store32_rel(&gate, 0);
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(rt, leave_it_behind, defers ? &cfg : NULL), 0);
		assert_int_equal(gort_runtime_free(rt), GORT_EBUSY);
		rt_store32_rel(&gate, 1);
		be_thread_wake(&gate, 1);
		while (gort_runtime_free(rt) == GORT_EBUSY)
			be_thread_yield();
		assert_int_equal(rt_load32_acq(&inside), 1); /* its deferred call has gone with its run */
	}
}

/* ---- Threads --------------------------------------------------------------------------------- */

static uint64_t tids[4];

static void yields(void *arg)
{
	for (int i = 0; i < 200; i++)
		gort_gosched();
	gort_waitgroup_done(arg);
}

static void wired(void *arg)
{
	(void)arg;
	tids[0] = be_thread_id();
	gort_lock_os_thread();
	tids[1] = be_thread_id();
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, 8);
	for (int i = 0; i < 8; i++)
		gort_go(yields, &wg);
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < 50; i++)
		gort_gosched();
	tids[2] = be_thread_id();
	gort_unlock_os_thread();
}

static void test_main_starts_on_the_calling_thread_and_stays_if_wired(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 3; procs++) {
		assert_int_equal(program(procs, wired, NULL), 0);
		assert_int_equal(tids[0], be_thread_id());
		assert_int_equal(tids[2], tids[1]);
	}
}

typedef struct guest {
	gort_runtime *rt;
	gort_chan *c;
	int attach, again, detach;
	int64_t got;
} guest;

static void guest_thread(void *arg)
{
	guest *g = arg;

	g->attach = gort_attach(g->rt);
	g->again = gort_attach(g->rt);
	gort_chan_recv(g->c, &g->got);
	gort_chan_send(g->c, &(int64_t){ g->got + 1 });
	g->detach = gort_detach();
}

static void host_of_guest(void *arg)
{
	guest *g = arg;
	be_thread t;
	int64_t v = 41;

	g->rt = gort_self();
	g->c = gort_chan_make(GORT_TYPE(int64_t), 0);
	if (be_thread_start(&t, guest_thread, g, 0) != 0)
		return;
	gort_chan_send(g->c, &v);
	gort_chan_recv(g->c, &g->got);
	gort_entersyscall();
	be_thread_join(&t);
	gort_exitsyscall();
}

static void test_attach(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 3; procs++) {
		guest g = { 0 };

		/* Until the thread has attached nobody knows that it will: not a deadlock. */
		assert_int_equal(program_with(procs, GORT_LIBRARY, host_of_guest, &g), 0);
		assert_int_equal(g.attach, 0);
		assert_int_equal(g.again, GORT_EBUSY);
		assert_int_equal(g.detach, 0);
		assert_int_equal(g.got, 42);
	}
	assert_int_equal(gort_detach(), GORT_EINVAL);
}

static void quick(void *arg)
{
	(void)arg;
}

/* A run that ends under an attached thread lets it be, and it never blocks again. */
static rt_atomic32 stage;

static void reach(uint32_t n)
{
	rt_store32_rel(&stage, n);
	be_thread_wake(&stage, 2);
}

static void await(uint32_t n)
{
	uint32_t now;

	while ((now = rt_load32_acq(&stage)) < n)
		be_thread_park(&stage, now, -1);
}

static struct {
	gort_runtime *rt;
	gort_chan *c;
	gort_mutex held;
	int attach, until, detach;
	bool woken, again;
} survivor;

static void survivor_thread(void *arg)
{
	(void)arg;
	survivor.attach = gort_attach(survivor.rt);
	reach(1);
	survivor.woken = gort_chan_recv(survivor.c, NULL); /* until the run ends */
	survivor.again = gort_chan_recv(survivor.c, NULL);
	gort_chan_send(survivor.c, &(int64_t){ 1 });
	gort_mutex_lock(&survivor.held);
	survivor.until = gort_chan_recv_until(survivor.c, NULL, gort_nanotime() + GORT_SECOND);
	survivor.detach = gort_detach();
}

static void note_nothing(void *arg)
{
	(void)arg;
}

static void main_with_survivor(void *arg)
{
	survivor.c = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_mutex_lock(&survivor.held);
	if (be_thread_start(arg, survivor_thread, NULL, 0) != 0)
		return;
	gort_entersyscall();
	await(1);
	gort_exitsyscall();
}

static void test_attached_thread_survives_the_run(void **state)
{
	gort_config cfg;
	be_thread t;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	for (int i = 0; i < 50; i++) {
		gort_runtime *rt;

		memset(&survivor, 0, sizeof survivor);
		rt_store32_rel(&stage, 0);
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		survivor.rt = rt;
		assert_int_equal(gort_runtime_go(rt, note_nothing, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, main_with_survivor, &t), 0);
		be_thread_join(&t);
		assert_int_equal(survivor.attach, 0);
		assert_false(survivor.woken);
		assert_false(survivor.again);
		assert_int_equal(survivor.until, GORT_ECANCELED);
		assert_int_equal(survivor.detach, 0);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static int nested;

static void run_inside(void *arg)
{
	nested = gort_runtime_run(arg, quick, NULL);
}

static void test_errors(void **state)
{
	gort_runtime *rt;

	(void)state;
	assert_int_equal(gort_runtime_new(NULL, NULL), GORT_EINVAL);
	assert_int_equal(gort_runtime_new(&rt, NULL), 0);
	assert_int_equal(gort_runtime_run(rt, NULL, NULL), GORT_EINVAL);
	assert_int_equal(gort_runtime_go(rt, NULL, NULL), GORT_EINVAL);
	assert_int_equal(gort_runtime_run(rt, run_inside, rt), 0);
	assert_int_equal(nested, GORT_EBUSY);
	assert_int_equal(gort_runtime_run(rt, quick, NULL), 0);
	assert_string_equal(gort_runtime_error(rt), "");
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(gort_runtime_free(rt), GORT_EINVAL);
	assert_int_equal(gort_runtime_run(rt, quick, NULL), GORT_EINVAL);
	assert_int_equal(gort_runtime_free(NULL), 0);
}

/* ---- From outside ---------------------------------------------------------------------------- */

static rt_atomic32 visits;

static void visit(void *arg)
{
	(void)arg;
	rt_add32_full(&visits, 1);
	be_thread_wake(&visits, 1);
}

static void test_go_from_outside_without_a_run(void **state)
{
	gort_runtime *rt;
	uint32_t n;

	(void)state;
	rt_store32_rel(&visits, 0);
	assert_int_equal(gort_runtime_new(&rt, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(gort_runtime_go(rt, visit, NULL), 0);
	while ((n = rt_load32_acq(&visits)) < 100)
		be_thread_park(&visits, n, -1);
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* ---- Sleep ----------------------------------------------------------------------------------- */

static int64_t woke[3];

static void sleeps(void *arg)
{
	int i = (int)(intptr_t)arg;

	gort_sleep((3 - i) * 5 * GORT_MILLISECOND);
	woke[i] = gort_nanotime();
	gort_waitgroup_done(&wg);
}

static void sleep_order(void *arg)
{
	int64_t t0 = gort_nanotime();

	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, 3);
	for (intptr_t i = 0; i < 3; i++)
		gort_go(sleeps, (void *)i);
	gort_waitgroup_wait(&wg);
	*(int64_t *)arg = t0;
}

static void test_sleep(void **state)
{
	int64_t t0;

	(void)state;
	for (int procs = 1; procs <= 3; procs++) {
		assert_int_equal(program(procs, sleep_order, &t0), 0);
		for (int i = 0; i < 3; i++)
			assert_true(woke[i] - t0 >= (3 - i) * 5 * GORT_MILLISECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_spawned_runs_first),
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_global_queue_is_not_starved),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_end_drops_goroutines),
		cmocka_unit_test(test_deadlock),
		cmocka_unit_test(test_main_goexit),
		cmocka_unit_test(test_go_nil),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_from_another_thread),
		cmocka_unit_test(test_stop_while_main_is_wired),
		cmocka_unit_test(test_gomaxprocs),
		cmocka_unit_test(test_syscalls_hand_the_p_on),
		cmocka_unit_test(test_free_waits_for_system_calls),
		cmocka_unit_test(test_a_dropped_one_returns),
		cmocka_unit_test(test_main_starts_on_the_calling_thread_and_stays_if_wired),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_attached_thread_survives_the_run),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_go_from_outside_without_a_run),
		cmocka_unit_test(test_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
