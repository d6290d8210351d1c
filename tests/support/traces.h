/* traces.h: a listener that keeps everything, a model of what goroutines and Ps may do, and a program that does
 * everything. Every stream of events goes through the model (see check): so the tests say what ran, and the model
 * says whether the order is one that can be. */
#ifndef TESTS_SUPPORT_TRACES_H
#define TESTS_SUPPORT_TRACES_H

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

static inline void on_event(void *data, const gort_event *events, size_t n)
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

static inline void on_lost(void *data, uint64_t n)
{
	(void)data;
	got.lost += n;
}

static inline void on_stop(void *data)
{
	(void)data;
	got.on_goroutine += gort_goid() != 0;
	got.stops++;
}

static inline gort_trace_listener listener(unsigned groups)
{
	return (gort_trace_listener){ sizeof(gort_trace_listener), groups, on_event, on_lost,
		                      on_stop, NULL };
}

static gort_runtime *rt;
static int start_result, stop_result; /* of calls on goroutines, where nothing may be asserted */

static inline void start_trace(void)
{
	gort_trace_listener l = listener(GORT_TRACE_ALL);

	start_result = gort_trace_start(rt, &l);
}

static inline void stop_trace(void)
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
static uint64_t counts[GORT_EV_UNLOCK + 1];
static uint64_t ended_in_calls;  /* dropped there, at the end of a run */

static inline void complain(const gort_event *e, const char *what)
{
	uint64_t about = e->args[0];

	fail_msg("%s: event at %lld: %s p%d goid %llu (%llu); model: %d, other: %d", what,
	         (long long)e->time, gort_event_name(e->id), e->p, (unsigned long long)e->goid,
	         (unsigned long long)about, gs[e->goid].state,
	         about < MAXG ? (int)gs[about].state : -1);
}

static inline void expect(const gort_event *e, bool ok, const char *what)
{
	if (!ok)
		complain(e, what);
}

/* It no longer runs on its P. */
static inline void leave_p(const gort_event *e, model_g *g)
{
	expect(e, g->p == e->p && running[e->p] == e->goid, "left another P than it ran on");
	running[e->p] = 0;
}

static inline void enter_p(const gort_event *e, model_g *g)
{
	expect(e, e->p >= 0 && e->p < MAXP && running[e->p] == 0, "two goroutines on one P");
	running[e->p] = e->goid;
	g->p = e->p;
	g->state = RUNNING;
}

/* What gives the state of a goroutine when a trace starts follows its creation at once. */
static inline void check_state(const gort_event *e)
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

static inline void check_made_runnable(const gort_event *e)
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

static inline void check_event(const gort_event *e)
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

static inline void check(void)
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

static inline uint64_t in_state(gstate state)
{
	uint64_t n = 0;

	for (size_t i = 0; i < MAXG; i++)
		n += gs[i].state == state;
	return n;
}

/* ---- Around each test ---- */

static inline int setup_procs(int procs)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	start_result = stop_result = 1;
	free(got.events);
	memset(&got, 0, sizeof got);
	return gort_runtime_new(&rt, &cfg);
}

static inline int setup(void **state)
{
	(void)state;
	return setup_procs(4);
}

static inline int teardown(void **state)
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

static inline void worker(void *arg)
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

static inline void receiver(void *arg)
{
	int n;

	while (gort_chan_recv(prog.c, &n))
		;
	gort_waitgroup_done(arg);
}

static inline void everything(void *arg)
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

/* ---- Steps that threads take in turn ---- */

static rt_atomic32 stage;

static inline void next_stage(uint32_t s)
{
	rt_store32_rel(&stage, s);
	be_thread_wake(&stage, 8);
}

static inline void await_stage(uint32_t s)
{
	uint32_t now;

	while ((now = rt_load32_acq(&stage)) < s)
		be_thread_park(&stage, now, -1);
}

#endif
