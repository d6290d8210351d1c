/* Traces of real runs: what ran, who starts and stops a trace, what an event carries, counters of Ps. */
#include "tests/support/traces.h"

static void test_whole_run(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs++) {
		assert_int_equal(gort_runtime_free(rt), 0);
		assert_int_equal(setup_procs(procs), 0);
		start_trace();
		assert_int_equal(start_result, 0);
		assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
		stop_trace();
		assert_int_equal(stop_result, 0);
		check();
		assert_int_equal(prog.sum, WORKERS * ROUNDS);
		assert_int_equal(got.events[0].args[0], procs);
		assert_int_equal(counts[GORT_EV_GO_CREATE], 1 + 3 + WORKERS);
		assert_int_equal(in_state(DEAD), 1 + 3 + WORKERS);
		assert_true(counts[GORT_EV_SYSCALL_BEGIN] > 0);
		assert_int_equal(counts[GORT_EV_SYSCALL_BEGIN], counts[GORT_EV_SYSCALL_END] + ended_in_calls);
		assert_true(counts[GORT_EV_GO_BLOCK] > 0 && counts[GORT_EV_GO_YIELD] > 0);
		assert_true(counts[GORT_EV_STW_BEGIN] > 0); /* of the end of the run */
		free(gs);
		gs = NULL;
	}
}

/* Every thread has a clock of its own, up to seconds off: then only what the scheduler's records say
 * can put causes before effects. */
static int64_t clock_of_this_thread(const rt_trace *t)
{
	(void)t;
	return be_nanotime() + (int64_t)(be_thread_id() % 5) * 1000000000;
}

static void test_clocks_that_differ(void **state)
{
	(void)state;
	rt->trace.now = clock_of_this_thread;
	start_trace();
	assert_int_equal(start_result, 0);
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	stop_trace();
	check();
	assert_int_equal(in_state(DEAD), 1 + 3 + WORKERS);
}

static void test_two_runs_in_a_trace(void **state)
{
	(void)state;
	start_trace();
	assert_int_equal(start_result, 0);
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	stop_trace();
	check();
	assert_int_equal(gs[1].lives, 2);
	assert_int_equal(in_state(DEAD), 1 + 2 * (3 + WORKERS));
}

/* ---- Started in the middle ---- */

enum { PARKED = 30, CALLING = 5, YIELDING = 10 };

static rt_atomic32 calling, leave;
static uint64_t callers[CALLING + 1]; /* goids; the last: main, if it is in a call, too */

static void parked(void *arg)
{
	(void)arg;
	gort_chan_recv(prog.quit, NULL);
}

static void calls(void *arg)
{
	uint32_t now;

	(void)arg;
	gort_entersyscall();
	callers[rt_add32_full(&calling, 1)] = gort_goid();
	be_thread_wake(&calling, 1);
	while ((now = rt_load32_acq(&leave)) == 0)
		be_thread_park(&leave, now, -1);
	gort_exitsyscall();
}

/* At a pace that the reader can keep on a busy machine: nothing may be lost here. */
static void yields(void *arg)
{
	(void)arg;
	while (!rt_load32_acq(&leave)) {
		gort_gosched();
		gort_sleep(20000);
	}
}

/* Goroutines in all states; comes back when the CALLING ones are in their system calls. */
static void begin_middle(void)
{
	rt_store32_rlx(&calling, 0);
	rt_store32_rlx(&leave, 0);
	memset(callers, 0, sizeof callers);
	prog.quit = gort_chan_make(GORT_TYPE(int), 0);
	for (int i = 0; i < PARKED; i++)
		gort_waitgroup_go(&prog.wg, parked, NULL);
	for (int i = 0; i < CALLING; i++)
		gort_waitgroup_go(&prog.wg, calls, NULL);
	while (rt_load32_acq(&calling) < CALLING)
		gort_gosched();
	for (int i = 0; i < YIELDING; i++)
		gort_waitgroup_go(&prog.wg, yields, NULL);
}

static void end_middle(void)
{
	rt_store32_rel(&leave, 1);
	be_thread_wake(&leave, CALLING);
	gort_chan_close(prog.quit);
	gort_waitgroup_wait(&prog.wg);
}

static void middle_from_goroutine(void *arg)
{
	(void)arg;
	begin_middle();
	for (int i = 0; i < 20; i++)
		gort_gosched();
	start_trace();
	end_middle();
	stop_trace();
}

static bool is_caller(uint64_t goid)
{
	bool found = false;

	for (size_t i = 0; i < RT_NELEM(callers); i++)
		found |= callers[i] == goid;
	return found;
}

/* Everything that lived when the trace began is reported before anything else happens. in_calls: how
 * many of the callers were in their system calls. Others may be, too, whose P was taken because the machine
 * left them no time. */
static void check_snapshot(uint64_t in_calls)
{
	size_t lived = 1 + PARKED + CALLING + YIELDING, i;
	uint64_t calling_now = 0;

	for (i = 1; i <= lived; i++)
		assert_int_equal(got.events[i].id, GORT_EV_GO_CREATE);
	for (; i < got.n && got.events[i].time == got.events[lived].time + 1; i++)
		calling_now += got.events[i].id == GORT_EV_SYSCALL_BEGIN && is_caller(got.events[i].goid);
	assert_int_equal(calling_now, in_calls);
	assert_int_equal(counts[GORT_EV_GO_CREATE], lived);
}

static void test_start_in_the_middle(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		got.n = 0;
		got.stops = 0;
		assert_int_equal(gort_runtime_run(rt, middle_from_goroutine, NULL), 0);
		assert_int_equal(start_result, 0);
		assert_int_equal(stop_result, 0);
		check();
		check_snapshot(CALLING);
		free(gs);
		gs = NULL;
	}
}

/* The same from a thread that is no goroutine, while the program runs. */
static void starter(void *arg)
{
	(void)arg;
	await_stage(1);
	start_trace();
	next_stage(2);
	await_stage(3);
	stop_trace();
}

static void middle_from_thread(void *arg)
{
	(void)arg;
	begin_middle();
	callers[CALLING] = gort_goid();
	gort_entersyscall();
	next_stage(1);
	await_stage(2);
	gort_exitsyscall();
	end_middle();
	next_stage(3);
}

static void test_start_from_a_thread(void **state)
{
	be_thread t;

	(void)state;
	rt_store32_rlx(&stage, 0);
	assert_int_equal(be_thread_start(&t, starter, NULL, 0), 0);
	assert_int_equal(gort_runtime_run(rt, middle_from_thread, NULL), 0);
	be_thread_join(&t);
	assert_int_equal(start_result, 0);
	assert_int_equal(stop_result, 0);
	check();
	check_snapshot(CALLING + 1); /* and main */
}

/* ---- Threads that act without a P while a trace starts ---- */

static rt_atomic32 finished;

static void count_me(void *arg)
{
	(void)arg;
	rt_add32_full(&finished, 1);
}

enum { OUTSIDERS = 2000 };

static void outsider(void *arg)
{
	unsigned *refused = arg;

	for (int i = 0; i < OUTSIDERS; i++)
		*refused += gort_runtime_go(rt, count_me, NULL) != 0;
	if (gort_attach(rt) == 0) {
		gort_gosched();
		*refused += gort_detach() != 0;
	} else {
		++*refused;
	}
	next_stage(1);
}

/* Keeps all Ps at work, and comes and goes through system calls. */
static void await_outsiders(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&finished) < OUTSIDERS || rt_load32_acq(&stage) < 1) {
		everything(NULL);
		gort_entersyscall();
		be_thread_nap(20000); /* as above */
		gort_exitsyscall();
	}
}

static void run_until_outsiders_end(void *arg)
{
	int *result = arg;

	*result = gort_runtime_run(rt, await_outsiders, NULL);
}

/* Starts and stops traces all the time; each must be whole. */
static void trace_again_and_again(void *arg)
{
	unsigned *traces = arg;

	do {
		got.n = 0;
		got.stops = 0;
		start_trace();
		stop_trace();
		check();
		free(gs);
		gs = NULL;
		++*traces;
	} while (rt_load32_acq(&stage) < 1);
}

static void test_outsiders(void **state)
{
	unsigned refused = 0, traces = 0;
	be_thread t, r;
	int result = 1;

	(void)state;
	rt_store32_rlx(&finished, 0);
	rt_store32_rlx(&stage, 0);
	assert_int_equal(be_thread_start(&t, outsider, &refused, 0), 0);
	assert_int_equal(be_thread_start(&r, run_until_outsiders_end, &result, 0), 0);
	trace_again_and_again(&traces);
	be_thread_join(&t);
	be_thread_join(&r);
	assert_int_equal(refused, 0);
	assert_int_equal(result, 0);
	assert_true(traces > 0);
}

/* ---- Marks, groups, arguments, ends ---- */

static void marks(void *arg)
{
	(void)arg;
	gort_trace_mark("first", 1);
	gort_trace_mark("second", 2);
	everything(NULL);
}

static void test_groups_and_marks(void **state)
{
	gort_trace_listener l = listener(GORT_TRACE_USER | GORT_TRACE_GC);
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(gort_trace_start(rt, &l), 0);
	assert_int_equal(gort_runtime_run(rt, marks, NULL), 0);
	assert_int_equal(gort_trace_stop(rt), 0);
	for (size_t i = 0; i < got.n; i++) {
		const gort_event *e = &got.events[i];

		if (e->id != GORT_EV_USER) {
			assert_true(e->id == GORT_EV_STW_BEGIN || e->id == GORT_EV_STW_END);
			continue;
		}
		seen++;
		assert_int_equal(e->args[0], seen);
		assert_string_equal(e->text, seen == 1 ? "first" : "second");
		assert_int_equal(e->goid, 1);
		assert_true(e->p >= 0);
	}
	assert_int_equal(seen, 2);
	/* Without a trace a mark is nothing. */
	assert_int_equal(gort_runtime_run(rt, marks, NULL), 0);
	assert_int_equal(got.stops, 1);
	assert_int_equal(got.late, 0);
}

static void test_arguments(void **state)
{
	gort_trace_listener l = listener(GORT_TRACE_ALL);

	(void)state;
	assert_int_equal(gort_trace_stop(rt), GORT_EINVAL);
	assert_int_equal(gort_trace_stop(NULL), GORT_EINVAL);
	assert_int_equal(gort_trace_start(rt, NULL), GORT_EINVAL);
	assert_int_equal(gort_trace_start(NULL, &l), GORT_EINVAL);
	l.size = 8;
	assert_int_equal(gort_trace_start(rt, &l), GORT_EINVAL);
	l = listener(GORT_TRACE_ALL + 1);
	assert_int_equal(gort_trace_start(rt, &l), GORT_EINVAL);
	l = listener(0);
	assert_int_equal(gort_trace_start(rt, &l), 0);
	assert_int_equal(gort_trace_start(rt, &l), GORT_EBUSY);
	assert_int_equal(gort_trace_stop(rt), 0);
	assert_int_equal(got.stops, 1);
	assert_int_equal(got.n, 0);
	assert_int_equal(gort_trace_stop(rt), GORT_EINVAL);
	/* Every member may be missing. */
	l = (gort_trace_listener){ .size = sizeof l, .groups = GORT_TRACE_ALL };
	assert_int_equal(gort_trace_start(rt, &l), 0);
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	assert_int_equal(gort_trace_stop(rt), 0);
}

/* A larger struct of a later version, and a copy: the caller's may go away. */
static void test_listener_is_copied(void **state)
{
	struct { gort_trace_listener l; void *later; } l = { listener(GORT_TRACE_SCHED), NULL };

	(void)state;
	l.l.size = sizeof l;
	assert_int_equal(gort_trace_start(rt, &l.l), 0);
	memset(&l, 0, sizeof l);
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	assert_int_equal(gort_trace_stop(rt), 0);
	check();
}

static void test_free_stops_it(void **state)
{
	(void)state;
	start_trace();
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	check();
	assert_int_equal(setup_procs(1), 0);
}

/* Memory ends at each of the start's requests in turn; then everything is as it was. */
static void test_no_memory(void **state)
{
	gort_config cfg;

	(void)state;
	assert_int_equal(gort_runtime_free(rt), 0);
	gort_config_init(&cfg);
	cfg.procs = 1;
	cfg.debug = "oomfail=1";
	/* Boot needs memory, too: the number from which on it succeeds is the start's. */
	for (int n = 1, started = 1; started != 0; n++) {
		gort_trace_listener l = listener(GORT_TRACE_ALL);
		char debug[32];

		assert_true(n < 200);
		snprintf(debug, sizeof debug, "oomfail=%d", n);
		cfg.debug = debug;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		started = gort_trace_start(rt, &l);
		if (started != 0) {
			assert_int_equal(started, GORT_ENOMEM);
			assert_int_equal(got.stops, 0);
			assert_int_equal(gort_trace_stop(rt), GORT_EINVAL);
			assert_int_equal(gort_trace_start(rt, &l), 0);
		}
		assert_int_equal(gort_trace_stop(rt), 0);
		assert_int_equal(got.stops, 1); /* it ran */
		got.stops = 0;
		if (started != 0)
			assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* ---- A run ends meanwhile ---- */

static const gort_trace_listener nobody = { .size = sizeof nobody, .groups = GORT_TRACE_ALL };

static void starts_and_stops(void *arg)
{
	for (;;)
		if (gort_trace_start(rt, arg) == 0)
			(void)gort_trace_stop(rt);
		else
			gort_gosched();
}

static void leaves_starters(void *arg)
{
	unsigned *us = arg;

	assert_int_equal(gort_go(starts_and_stops, (void *)&nobody), 0);
	assert_int_equal(gort_go(starts_and_stops, (void *)&nobody), 0);
	gort_sleep(*us * GORT_MICROSECOND);
}

/* A goroutine that is dropped while it starts or stops a trace has done so or not, and nothing in between. */
static void test_dropped_meanwhile(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		unsigned us = 100 + i * 37 % 400;
		int started;

		assert_int_equal(gort_runtime_run(rt, leaves_starters, &us), 0);
		while ((started = gort_trace_start(rt, &nobody)) == GORT_EBUSY)
			(void)gort_trace_stop(rt); /* it stands, or somebody who was dropped is about to end it */
		assert_int_equal(started, 0);
		assert_int_equal(gort_trace_stop(rt), 0);
		if (i % 10 == 0) {
			assert_int_equal(gort_runtime_run(rt, leaves_starters, &us), 0);
			assert_int_equal(gort_runtime_free(rt), 0);
			assert_int_equal(setup_procs(1 + (int)i % 4), 0);
		}
	}
}

/* ---- Counters of Ps ---- */

static gort_proc_stats total(void)
{
	gort_proc_stats p[8], sum = { 0 };
	size_t n = gort_proc_stats_read(rt, p, 8);

	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(p[i].id, i);
		assert_int_equal(p[i].queued, 0);
		sum.switches += p[i].switches;
		sum.parked += p[i].parked;
		sum.readied += p[i].readied;
		sum.steals += p[i].steals;
		sum.stolen += p[i].stolen;
		sum.handoffs += p[i].handoffs;
	}
	return sum;
}

/* Counters and events tell the same story. */
static void test_stats_agree_with_trace(void **state)
{
	gort_proc_stats s;
	uint64_t stolen = 0;

	(void)state;
	start_trace();
	assert_int_equal(gort_runtime_run(rt, everything, NULL), 0);
	stop_trace();
	check();
	s = total();
	assert_int_equal(s.switches, counts[GORT_EV_GO_START]);
	assert_int_equal(s.parked, counts[GORT_EV_GO_BLOCK]);
	for (size_t i = 0; i < got.n; i++)
		if (got.events[i].id == GORT_EV_STEAL)
			stolen += got.events[i].args[1];
	assert_int_equal(s.steals, stolen);
	assert_int_equal(s.stolen, stolen);
	assert_true(s.handoffs > 0);
}

static void test_stats_sizes(void **state)
{
	struct { gort_proc_stats s; uint64_t later; } big[4];
	gort_proc_stats one;
	int ids[4] = { -1, -1, -1, -1 };

	(void)state;
	assert_int_equal(gort_proc_stats_read_sized(rt, NULL, 0, sizeof one), 4);
	one.id = -1;
	assert_int_equal(gort_proc_stats_read(rt, &one, 1), 4);
	assert_int_equal(one.id, 0);
	/* An older caller knows only the first member, a newer one more than we do. */
	assert_int_equal(gort_proc_stats_read_sized(rt, (gort_proc_stats *)ids, 4, sizeof *ids), 4);
	memset(big, 0xff, sizeof big);
	assert_int_equal(gort_proc_stats_read_sized(rt, &big[0].s, 4, sizeof *big), 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ids[i], i);
		assert_int_equal(big[i].s.id, i);
		assert_int_equal(big[i].later, 0);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole_run),
		T(test_clocks_that_differ),
		T(test_two_runs_in_a_trace),
		T(test_start_in_the_middle),
		T(test_start_from_a_thread),
		T(test_outsiders),
		T(test_groups_and_marks),
		T(test_arguments),
		T(test_listener_is_copied),
		T(test_free_stops_it),
		T(test_no_memory),
		T(test_dropped_meanwhile),
		T(test_stats_agree_with_trace),
		T(test_stats_sizes),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
