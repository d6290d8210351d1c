/* Traces of real runs. Every stream of events goes through a model of what goroutines and Ps may do
 * (see check): so the tests say what ran, and the model says whether the order is one that can be.
 *  */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/lock.h"
#include "core/include/gort.h"
#include "core/sched/sched_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A listener that keeps everything ---- */

static struct {
	gort_event *events;
	size_t n, cap;
	uint64_t lost;
	unsigned stops, late, on_goroutine;
} got;

static void on_event(void *data, const gort_event *events, size_t n)
{
	(void)data;
	got.late += got.stops;
	got.on_goroutine += gort_goid() != 0;
	if (got.n + n > got.cap) {
		got.cap = 2 * (got.n + n);
		got.events = realloc(got.events, got.cap * sizeof *got.events);
		if (got.events == NULL)
			abort();
	}
	memcpy(got.events + got.n, events, n * sizeof *events);
	got.n += n;
}

static void on_lost(void *data, uint64_t n)
{
	(void)data;
	got.lost += n;
}

static void on_stop(void *data)
{
	(void)data;
	got.on_goroutine += gort_goid() != 0;
	got.stops++;
}

static gort_trace_listener listener(unsigned groups)
{
	return (gort_trace_listener){ sizeof(gort_trace_listener), groups, on_event, on_lost,
		                      on_stop, NULL };
}

static gort_runtime *rt;
static int start_result, stop_result; /* of calls on goroutines, where nothing may be asserted */

static void start_trace(void)
{
	gort_trace_listener l = listener(GORT_TRACE_ALL);

	start_result = gort_trace_start(rt, &l);
}

static void stop_trace(void)
{
	stop_result = gort_trace_stop(rt);
}

/* ---- The model ---- */

typedef enum gstate { NONE, FRESH, RUNNABLE, RUNNING, BLOCKED, INSYSCALL, DEAD } gstate;

typedef struct model_g {
	gstate state;
	int p;           /* of RUNNING */
	int64_t last;    /* stamp of its last event */
	uint64_t starts;
	unsigned lives;
} model_g;

enum { MAXG = 200000, MAXP = 64 };

static model_g *gs;              /* by goid */
static uint64_t running[MAXP];   /* goid, by P */
static int64_t plast[MAXP];
static uint64_t counts[GORT_EV_USER + 1];
static uint64_t ended_in_calls;  /* dropped there, at the end of a run */

static void complain(const gort_event *e, const char *what)
{
	uint64_t about = e->args[0];

	fail_msg("%s: event at %lld: %s p%d goid %llu (%llu); model: %d, other: %d", what,
	         (long long)e->time, gort_event_name(e->id), e->p, (unsigned long long)e->goid,
	         (unsigned long long)about, gs[e->goid].state,
	         about < MAXG ? (int)gs[about].state : -1);
}

static void expect(const gort_event *e, bool ok, const char *what)
{
	if (!ok)
		complain(e, what);
}

/* It no longer runs on its P. */
static void leave_p(const gort_event *e, model_g *g)
{
	expect(e, g->p == e->p && running[e->p] == e->goid, "left another P than it ran on");
	running[e->p] = 0;
}

static void enter_p(const gort_event *e, model_g *g)
{
	expect(e, e->p >= 0 && e->p < MAXP && running[e->p] == 0, "two goroutines on one P");
	running[e->p] = e->goid;
	g->p = e->p;
	g->state = RUNNING;
}

/* What gives the state of a goroutine when a trace starts follows its creation at once. */
static void check_state(const gort_event *e)
{
	model_g *g = &gs[e->goid];

	switch (e->id) {
	case GORT_EV_GO_START:
		expect(e, g->state == FRESH || g->state == RUNNABLE, "start of no runnable one");
		expect(e, e->args[0] > g->starts, "starts are not counted up");
		g->starts = e->args[0];
		enter_p(e, g);
		break;
	case GORT_EV_GO_END:
		if (g->state == RUNNING && e->p >= 0)
			leave_p(e, g);
		expect(e, g->state != NONE && g->state != DEAD, "end of what does not live");
		expect(e, g->state != RUNNING || e->p >= 0, "ran on a P to the end, and left none");
		ended_in_calls += g->state == INSYSCALL;
		g->state = DEAD;
		break;
	case GORT_EV_GO_YIELD:
		expect(e, g->state == RUNNING, "yield of what does not run");
		leave_p(e, g);
		g->state = RUNNABLE;
		break;
	case GORT_EV_GO_BLOCK:
		expect(e, g->state == RUNNING || g->state == FRESH, "block of what does not run");
		expect(e, gort_wait_reason((unsigned)e->args[0]) != NULL, "no such reason");
		if (g->state == RUNNING)
			leave_p(e, g);
		g->state = BLOCKED;
		break;
	case GORT_EV_SYSCALL_BEGIN:
		expect(e, g->state == RUNNING || g->state == FRESH, "system call of none that runs");
		if (g->state == RUNNING)
			leave_p(e, g);
		g->state = INSYSCALL;
		break;
	case GORT_EV_SYSCALL_END:
		expect(e, g->state == INSYSCALL, "return from no system call");
		if (e->args[0] == 0)
			enter_p(e, g);
		else
			g->state = RUNNABLE;
		break;
	default:
		break;
	}
}

static void check_made_runnable(const gort_event *e)
{
	model_g *g;

	expect(e, e->args[0] != 0 && e->args[0] < MAXG, "no goroutine");
	g = &gs[e->args[0]];
	expect(e, e->time > g->last || e->time == got.events[0].time, "effect before cause");
	g->last = e->time;
	if (e->id == GORT_EV_GO_UNBLOCK) {
		expect(e, g->state == BLOCKED, "wakes what does not block");
		g->state = RUNNABLE;
		return;
	}
	/* Main is goroutine 1 of every run. */
	expect(e, g->state == NONE || (e->args[0] == 1 && g->state == DEAD), "created twice");
	g->state = FRESH;
	g->starts = 0;
	g->lives++;
}

static void check_event(const gort_event *e)
{
	bool makes = e->id == GORT_EV_GO_CREATE || e->id == GORT_EV_GO_UNBLOCK;

	expect(e, gort_event_name(e->id) != NULL && e->goid < MAXG, "no such event");
	counts[e->id]++;
	if (makes)
		check_made_runnable(e);
	else if (e->goid != 0 && e->id != GORT_EV_STEAL)
		check_state(e);
	if (e->goid != 0 && (!makes || gs[e->goid].state == RUNNING)) {
		expect(e, e->time > gs[e->goid].last, "a goroutine's events out of order");
		gs[e->goid].last = e->time;
	}
	if (e->p >= 0 && e->time > got.events[0].time + 1) {
		expect(e, e->time > plast[e->p], "a P's events out of order");
		plast[e->p] = e->time;
	}
}

static void check(void)
{
	gs = calloc(MAXG, sizeof *gs);
	assert_non_null(gs);
	memset(running, 0, sizeof running);
	memset(plast, 0, sizeof plast);
	memset(counts, 0, sizeof counts);
	ended_in_calls = 0;
	assert_int_equal(got.lost, 0);
	assert_int_equal(got.stops, 1);
	assert_int_equal(got.late, 0);
	assert_int_equal(got.on_goroutine, 0);
	assert_true(got.n > 0);
	assert_int_equal(got.events[0].id, GORT_EV_PROCS);
	for (size_t i = 0; i < got.n; i++) {
		if (i > 0)
			assert_true(got.events[i - 1].time <= got.events[i].time);
		check_event(&got.events[i]);
	}
}

static uint64_t in_state(gstate state)
{
	uint64_t n = 0;

	for (size_t i = 0; i < MAXG; i++)
		n += gs[i].state == state;
	return n;
}

/* ---- Around each test ---- */

static int setup_procs(int procs)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	start_result = stop_result = 1;
	free(got.events);
	memset(&got, 0, sizeof got);
	return gort_runtime_new(&rt, &cfg);
}

static int setup(void **state)
{
	(void)state;
	return setup_procs(4);
}

static int teardown(void **state)
{
	(void)state;
	free(gs);
	gs = NULL;
	return gort_runtime_free(rt);
}

/* ---- A program that does everything ---- */

static struct {
	gort_chan *c, *quit;
	gort_mutex lock;
	gort_waitgroup wg;
	int sum;
} prog;

enum { WORKERS = 20, ROUNDS = 50 };

static void worker(void *arg)
{
	int n = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		gort_chan_send(prog.c, &n);
		if (i % 8 == n % 8)
			gort_gosched();
		if (i % 16 == n % 16) {
			gort_entersyscall();
			be_thread_yield();
			gort_exitsyscall();
		}
		if (i % 25 == n % 25)
			gort_sleep(100000);
		gort_mutex_lock(&prog.lock);
		if (i % 10 == 0)
			gort_gosched();
		prog.sum++;
		gort_mutex_unlock(&prog.lock);
	}
}

static void receiver(void *arg)
{
	int n;

	while (gort_chan_recv(prog.c, &n))
		;
	gort_waitgroup_done(arg);
}

static void everything(void *arg)
{
	gort_waitgroup receivers = GORT_INIT;

	(void)arg;
	prog.sum = 0;
	prog.c = gort_chan_make(GORT_TYPE(int), 2);
	gort_waitgroup_add(&receivers, 3);
	for (int i = 0; i < 3; i++)
		gort_go(receiver, &receivers);
	for (int i = 0; i < WORKERS; i++)
		gort_waitgroup_go(&prog.wg, worker, (void *)(intptr_t)i);
	gort_waitgroup_wait(&prog.wg);
	gort_chan_close(prog.c);
	gort_waitgroup_wait(&receivers);
}

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
static int64_t clock_of_this_thread(void)
{
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
static rt_atomic32 stage;

static void next_stage(uint32_t s)
{
	rt_store32_rel(&stage, s);
	be_thread_wake(&stage, 8);
}

static void await_stage(uint32_t s)
{
	uint32_t now;

	while ((now = rt_load32_acq(&stage)) < s)
		be_thread_park(&stage, now, -1);
}

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
		T(test_sleeps_unseen),
		T(test_fewer_procs),
		T(test_dropped_on_its_p),
		T(test_end_wakes_attached),
		T(test_groups_and_marks),
		T(test_arguments),
		T(test_listener_is_copied),
		T(test_free_stops_it),
		T(test_no_memory),
		T(test_stats_agree_with_trace),
		T(test_stats_sizes),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
