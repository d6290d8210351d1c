/* Timers, tickers, after-functions, through the public face. What is measured in Go stands in the
 * tests' names. Nothing is asserted about how late something is, only about what comes before
 * what. */
#include "tests/support/program.h"

#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/base/rand.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(e) ((e) ? (void)0 : (void)(failures++, fprintf(stderr, "%d: %s\n", __LINE__, #e)))

#define MS GORT_MILLISECOND
#define HOUR (3600 * GORT_SECOND)

static void run(gort_func fn)
{
	for (int procs = 1; procs <= 4; procs++) {
		failures = 0;
		assert_int_equal(program(procs, fn, NULL), 0);
		assert_int_equal(failures, 0);
	}
}

static bool empty(gort_chan *c)
{
	int64_t v;

	return gort_chan_try_recv(c, &v) == GORT_EAGAIN;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static void values(void *arg)
{
	int64_t start = gort_nanotime(), v = 0;
	gort_timer *t = gort_timer_new(HOUR);
	gort_chan *c = gort_timer_chan(t);

	(void)arg;
	CHECK(empty(c));
	start = gort_nanotime();
	CHECK(gort_timer_reset(t, 2 * MS));
	CHECK(gort_chan_recv(c, &v)); /* blocks */
	CHECK(v >= start + 2 * MS && v <= gort_nanotime());
	CHECK(empty(c) && !gort_timer_stop(t));
	CHECK(!gort_timer_reset(t, MS));
	gort_sleep(2 * MS);
	CHECK(gort_chan_try_recv(c, &v) == 0); /* nobody was blocked: evaluated now */
	CHECK(empty(c));
	CHECK(gort_chan_recv(gort_after(0), &v) && v <= gort_nanotime());
	CHECK(gort_chan_recv(gort_after(-5), NULL));
	start = gort_nanotime();
	CHECK(gort_chan_recv_until(gort_after(MS), &v, start + HOUR) == 0 && v >= start + MS);
	t = gort_timer_new(HOUR);
	CHECK(gort_chan_recv_until(gort_timer_chan(t), &v, start + 3 * MS) == GORT_ETIMEDOUT);
	CHECK(gort_timer_stop(t));
	CHECK(empty(gort_after(INT64_MAX)) && empty(gort_after(INT64_MAX - 1)));
}

static void test_values(void **state)
{
	(void)state;
	run(values);
}

/* Go 1.23: NewTimer(1ms), sleep 5 ms: len, cap = 0, 0; Stop() = true and the channel is empty;
 * Reset() = true, no stale value. */
static void stale(void *arg)
{
	int64_t v, start;
	gort_timer *t = gort_timer_new(MS);
	gort_chan *c = gort_timer_chan(t);

	(void)arg;
	gort_sleep(5 * MS);
	CHECK(gort_chan_len(c) == 0 && gort_chan_cap(c) == 0);
	CHECK(gort_timer_stop(t));
	CHECK(empty(c) && !gort_timer_stop(t));
	CHECK(!gort_timer_reset(t, MS));
	gort_sleep(3 * MS);
	start = gort_nanotime();
	CHECK(gort_timer_reset(t, 3 * MS)); /* due, and not received */
	CHECK(gort_chan_recv(c, &v) && v >= start + 3 * MS);
	/* A value that has been sent already goes, too. */
	gort_timer_reset(t, 0);
	gort_select_case k[2] = { { c, &v, GORT_RECV, false }, { NULL, NULL, GORT_RECV, false } };

	CHECK(gort_select(k, 2, 0) == 0);
	gort_timer_reset(t, 0);
	CHECK(gort_timer_stop(t) && empty(c) && gort_select(k, 2, 0) == GORT_EAGAIN);
	start = gort_nanotime();
	CHECK(!gort_timer_reset(t, 2 * MS));
	CHECK(gort_timer_reset(t, MS)); /* earlier */
	CHECK(gort_timer_reset(t, 4 * MS)); /* later */
	CHECK(gort_select(k, 2, GORT_FOREVER) == 0 && v >= start + 4 * MS);
}

static void test_measured_no_stale_value(void **state)
{
	(void)state;
	run(stale);
}

/* ---- Somebody waits -------------------------------------------------------------------------- */

typedef struct waiter {
	gort_chan *c, *done;
	int64_t v;
	bool by_select;
} waiter;

static void wait_for_it(void *arg)
{
	waiter *w = arg;
	gort_select_case k[2] = { { NULL, NULL, GORT_RECV, false }, { w->c, &w->v, GORT_RECV, false } };

	if (w->by_select ? gort_select(k, 2, GORT_FOREVER) == 1 : gort_chan_recv(w->c, &w->v))
		gort_chan_send(w->done, &w->v);
}

static waiter *waiting(gort_chan *c, bool by_select)
{
	waiter *w = gort_alloc(sizeof *w, 0);

	w->c = c;
	w->done = gort_chan_make(GORT_TYPE(int64_t), 1);
	w->by_select = by_select;
	gort_go(wait_for_it, w);
	for (int i = 0; i < 3; i++)
		gort_gosched();
	return w;
}

static void blocked(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		int64_t start = gort_nanotime();
		gort_timer *t = gort_timer_new(HOUR);
		waiter *w = waiting(gort_timer_chan(t), i % 2);

		CHECK(empty(w->done));
		switch (i / 2 % 5) {
		case 0: /* earlier while it waits */
			CHECK(gort_timer_reset(t, MS));
			break;
		case 1: /* stopped, started */
			CHECK(gort_timer_stop(t) && !gort_timer_stop(t) && !gort_timer_reset(t, MS));
			break;
		case 2: /* earlier and later, several times */
			for (int k = 0; k < 10; k++)
				CHECK(gort_timer_reset(t, k % 3 ? HOUR / (k + 1) : HOUR * (k + 1)));
			CHECK(gort_timer_reset(t, MS));
			break;
		case 3: /* put off after it has become due in the heap's eyes */
			gort_timer_reset(t, MS);
			if (!gort_timer_reset(t, 2 * MS)) /* we are slow */
				gort_timer_stop(t);
			break;
		case 4: /* another one leaves */
			for (int k = 0; k < 5; k++)
				CHECK(gort_chan_recv_until(w->c, NULL, gort_nanotime() + 1) ==
				      GORT_ETIMEDOUT);
			CHECK(gort_timer_reset(t, MS));
			break;
		}
		CHECK(gort_chan_recv(w->done, NULL));
		CHECK(w->v >= start + MS && w->v <= gort_nanotime());
		CHECK(!gort_timer_stop(t));
	}
}

static void test_reset_under_a_receiver(void **state)
{
	(void)state;
	run(blocked);
}

/* Several wait for one timer: in their order, one value each time. */
static void queue(void *arg)
{
	gort_timer *t = gort_timer_new(HOUR);
	waiter *w[4];

	(void)arg;
	for (int i = 0; i < 4; i++)
		w[i] = waiting(gort_timer_chan(t), i % 2);
	for (int i = 0; i < 4; i++) {
		gort_timer_reset(t, i % 2 ? 0 : MS);
		CHECK(gort_chan_recv(w[i]->done, NULL));
		for (int k = i + 1; k < 4; k++)
			CHECK(empty(w[k]->done));
	}
}

static void test_receivers_are_fifo(void **state)
{
	(void)state;
	failures = 0;
	assert_int_equal(program(1, queue, NULL), 0);
	assert_int_equal(failures, 0);
}

/* ---- Tickers --------------------------------------------------------------------------------- */

static void ticks(void *arg)
{
	const int64_t p = MS;
	gort_ticker *t = gort_ticker_new(p);
	gort_chan *c = gort_ticker_chan(t);
	int64_t v, w, now, start = gort_nanotime();

	(void)arg;
	CHECK(gort_chan_len(c) == 0 && gort_chan_cap(c) == 0);
	CHECK(gort_chan_recv(c, &v));
	for (int i = 0; i < 10; i++) { /* in a rhythm */
		CHECK(gort_chan_recv(c, &w));
		CHECK(w > v && (w - v) % p == 0);
		v = w;
	}
	CHECK(v >= start + 10 * p);
	/* Nobody takes them: one is kept, the others are dropped, the next one lies ahead. */
	gort_sleep(10 * p);
	now = gort_nanotime();
	CHECK(gort_chan_recv(c, &w) && w > v && (w - v) % p == 0 && w < now);
	CHECK(gort_chan_recv(c, &v) && (v - w) % p == 0 && v > now);
	gort_ticker_stop(t);
	gort_sleep(3 * p);
	CHECK(empty(c));
	start = gort_nanotime();
	gort_ticker_reset(t, 2 * p);
	CHECK(gort_chan_recv(c, &v) && v >= start + 2 * p);
	CHECK(gort_chan_recv(c, &w) && (w - v) % (2 * p) == 0);
	gort_ticker_reset(t, INT64_MAX);
	CHECK(empty(c));
	gort_ticker_stop(NULL);
}

static void test_ticker(void **state)
{
	(void)state;
	run(ticks);
}

/* ---- Functions ------------------------------------------------------------------------------- */

static void send_it(void *arg)
{
	int64_t now = gort_nanotime();

	gort_chan_send(arg, &now);
}

static void functions(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), 1);
	int64_t start = gort_nanotime(), v;
	gort_timer *t = gort_after_func(2 * MS, send_it, c);

	(void)arg;
	CHECK(gort_timer_chan(t) == NULL);
	CHECK(gort_chan_recv(c, &v) && v >= start + 2 * MS); /* and main's wait is no deadlock */
	CHECK(!gort_timer_stop(t));
	CHECK(!gort_timer_reset(t, HOUR) && gort_timer_stop(t) && !gort_timer_stop(t));
	CHECK(!gort_timer_reset(t, HOUR) && gort_timer_reset(t, MS));
	CHECK(gort_chan_recv(c, &v));
	start = gort_nanotime();
	CHECK(!gort_timer_reset(t, HOUR) && gort_timer_reset(t, 3 * MS));
	CHECK(gort_chan_recv(c, &v) && v >= start + 3 * MS);
	gort_after_func(-1, send_it, c);
	CHECK(gort_chan_recv(c, &v));
}

static void test_after_func(void **state)
{
	(void)state;
	run(functions);
}

enum { MANY = 3000 };
static rt_atomic32 ran[MANY];
static gort_timer *many[MANY];
static rt_atomic32 stopped, restarted;
static gort_waitgroup stoppers;

static void count_run(void *arg)
{
	rt_add32_full((rt_atomic32 *)arg, 1);
}

static void stop_some(void *arg)
{
	rt_rand dice;

	rt_rand_seed(&dice, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < 2 * MANY; i++) {
		uint32_t k = rt_rand_below(&dice, MANY);

		switch (rt_rand_below(&dice, 4)) {
		case 0:
		case 1:
			if (gort_timer_stop(many[k]))
				rt_add32_full(&stopped, 1);
			break;
		case 2:
			if (!gort_timer_reset(many[k], (int64_t)rt_rand_below(&dice, 3000) * 1000))
				rt_add32_full(&restarted, 1);
			break;
		default:
			if (i % 64 == 0)
				gort_sleep(20 * GORT_MICROSECOND);
		}
	}
	gort_waitgroup_done(&stoppers);
}

/* Whatever is stopped and reset from wherever: what was started was stopped or ran. */
static void races(void *arg)
{
	uint64_t sum = 0, due = MANY;

	(void)arg;
	memset(ran, 0, sizeof ran);
	stopped = restarted = (rt_atomic32){ 0 };
	for (int i = 0; i < MANY; i++)
		many[i] = gort_after_func(i % 30 * 100 * GORT_MICROSECOND, count_run, &ran[i]);
	stoppers = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&stoppers, 4);
	for (intptr_t i = 1; i <= 4; i++)
		gort_go(stop_some, (void *)i);
	gort_waitgroup_wait(&stoppers);
	due += rt_load32_acq(&restarted);
	due -= rt_load32_acq(&stopped);
	for (int i = 0; sum != due && i < 20000; i++) {
		gort_sleep(MS);
		sum = 0;
		for (int k = 0; k < MANY; k++)
			sum += rt_load32_acq(&ran[k]);
		CHECK(sum <= due);
	}
	CHECK(sum == due);
}

static void test_functions_run_or_are_stopped(void **state)
{
	(void)state;
	run(races);
}

/* ---- GOMAXPROCS changes ---------------------------------------------------------------------- */

static void move_about(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_timer *late[64];
	waiter *w[16];

	(void)arg;
	for (int round = 0; round < 10; round++) {
		gort_gomaxprocs(4);
		for (int i = 0; i < 16; i++)
			w[i] = waiting(gort_timer_chan(gort_timer_new(i * 200 * GORT_MICROSECOND)), i % 2);
		for (int i = 0; i < 64; i++) {
			late[i] = gort_after_func(HOUR, send_it, c);
			if (i % 8 == 0)
				gort_sleep(1);
			if (i % 3 == 0)
				gort_timer_stop(late[i]);
		}
		gort_gomaxprocs(1 + round % 2);
		for (int i = 0; i < 16; i++)
			CHECK(gort_chan_recv(w[i]->done, NULL));
		for (int i = 0; i < 64; i++)
			CHECK(gort_timer_reset(late[i], i % 4 ? HOUR : 0) == (i % 3 != 0));
		for (int i = 0; i < 16; i++)
			CHECK(gort_chan_recv(c, NULL));
		for (int i = 0; i < 64; i++)
			CHECK(gort_timer_stop(late[i]) == (i % 4 != 0));
	}
}

static void test_timers_move_to_another_p(void **state)
{
	(void)state;
	run(move_about);
}

/* ---- Deadlock -------------------------------------------------------------------------------- */

static void stopped_ones(void *arg)
{
	gort_timer *t[200];

	(void)arg;
	for (int i = 0; i < 200; i++) /* at all places of the heap */
		t[i] = gort_after_func(HOUR + i * 7919 % 200 * GORT_SECOND, send_it, NULL);
	for (int i = 0; i < 200; i++)
		gort_timer_stop(t[i]);
	(void)gort_timer_new(HOUR); /* nobody is blocked in it */
	(void)gort_ticker_new(HOUR);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int64_t), 0), NULL);
}

static void send_soon(void *arg)
{
	gort_sleep(MS);
	send_it(arg);
}

static void deadline_not_needed(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), 0);

	(void)arg;
	gort_go(send_soon, c);
	gort_chan_recv_until(c, NULL, gort_nanotime() + HOUR);
	gort_chan_recv(c, NULL);
}

/* What was stopped is not waited for: these end at once, not in an hour. */
static void test_deadlock_in_spite_of_stopped_timers(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs++) {
		assert_int_equal(program(procs, stopped_ones, NULL), GORT_EDEADLOCK);
		assert_int_equal(program(procs, deadline_not_needed, NULL), GORT_EDEADLOCK);
	}
}

/* ---- Panics ---------------------------------------------------------------------------------- */

static bool panics(gort_func fn, void *arg, const char *text)
{
	gort_eface value;
	gort_string s;

	if (gort_try(fn, arg, &value) != 1)
		return false;
	s = gort_panic_text(value);
	return (size_t)s.len == strlen(text) && memcmp(s.ptr, text, strlen(text)) == 0;
}

static void ticker_of_nothing(void *arg)
{
	gort_ticker_new(*(int64_t *)arg);
}
static void ticker_to_nothing(void *arg)
{
	gort_ticker_reset(gort_ticker_new(1), *(int64_t *)arg);
}
static void stop_null(void *arg)
{
	(void)arg;
	gort_timer_stop(NULL);
}
static void reset_null(void *arg)
{
	(void)arg;
	gort_timer_reset(NULL, 1);
}

static void misuses(void *arg)
{
	int64_t zero = 0, minus = -1;

	(void)arg;
	CHECK(panics(ticker_of_nothing, &zero, "non-positive interval for NewTicker"));
	CHECK(panics(ticker_of_nothing, &minus, "non-positive interval for NewTicker"));
	CHECK(panics(ticker_to_nothing, &zero, "non-positive interval for Ticker.Reset"));
	CHECK(panics(stop_null, NULL, "time: Stop called on uninitialized Timer"));
	CHECK(panics(reset_null, NULL, "time: Reset called on uninitialized Timer"));
}

static void nil_function(void *arg)
{
	(void)arg;
	gort_after_func(1, NULL, NULL);
}

static void test_panics(void **state)
{
	(void)state;
	run(misuses);
	assert_int_equal(program(1, nil_function, NULL), GORT_EFATAL);
	assert_non_null(strstr(program_error, "fatal error: go of nil func value"));
}

/* ---- The end of a run ------------------------------------------------------------------------ */

static gort_timer *kept;
static gort_ticker *ticker;
static rt_atomic32 rang;

static void leave_armed(void *arg)
{
	(void)arg;
	if (kept == NULL) {
		kept = gort_timer_new(MS);
		ticker = gort_ticker_new(MS);
	}
	gort_timer_reset(kept, HOUR);
	for (int i = 0; i < 20; i++) {
		waiting(i % 3 ? gort_timer_chan(kept) : gort_ticker_chan(ticker), i % 2);
		gort_after_func(20 * MS + i, count_run, &rang);
	}
}

static void go_on(void *arg)
{
	int64_t start = gort_nanotime(), v;

	(void)arg;
	rt_store32_rel(&rang, 0);
	CHECK(gort_timer_reset(kept, MS));
	CHECK(gort_chan_recv(gort_timer_chan(kept), &v) && v >= start + MS);
	CHECK(!gort_timer_stop(kept) && empty(gort_timer_chan(kept)));
	CHECK(gort_chan_recv(gort_ticker_chan(ticker), &v));
	gort_sleep(30 * MS);
	CHECK(rt_load32_acq(&rang) == 0); /* functions of the run before do not run in this one */
}

static void test_end_of_run(void **state)
{
	gort_config cfg;
	gort_runtime *rt;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	for (cfg.procs = 1; cfg.procs <= 3; cfg.procs++) {
		failures = 0;
		kept = NULL;
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(gort_runtime_run(rt, leave_armed, NULL), 0);
			assert_int_equal(gort_runtime_run(rt, go_on, NULL), 0);
		}
		assert_int_equal(failures, 0);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* An attached thread that waits for a timer when its run ends. */
static struct {
	gort_runtime *rt;
	rt_atomic32 stage;
	bool first, second, stop;
	int select, attach;
} guest;

static void guest_thread(void *arg)
{
	gort_timer *t;
	gort_select_case k[2] = { { NULL, NULL, GORT_RECV, false }, { NULL, NULL, GORT_RECV, false } };

	(void)arg;
	guest.attach = gort_attach(guest.rt);
	t = gort_timer_new(HOUR);
	k[1].chan = gort_timer_chan(t);
	rt_store32_rel(&guest.stage, 1);
	be_thread_wake(&guest.stage, 1);
	guest.first = gort_chan_recv(gort_timer_chan(t), NULL); /* until the run ends */
	guest.second = gort_chan_recv(gort_timer_chan(t), NULL);
	guest.select = gort_select(k, 2, gort_nanotime() + HOUR);
	guest.stop = gort_timer_stop(t);
	gort_detach();
}

static void main_with_guest(void *arg)
{
	if (be_thread_start(arg, guest_thread, NULL, 0) != 0)
		return;
	gort_entersyscall();
	while (rt_load32_acq(&guest.stage) == 0)
		be_thread_park(&guest.stage, 0, -1);
	gort_exitsyscall();
}

static void test_attached_after_the_run(void **state)
{
	gort_config cfg;
	be_thread t;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 2;
	for (int i = 0; i < 30; i++) {
		memset(&guest, 0, sizeof guest);
		assert_int_equal(gort_runtime_new(&guest.rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(guest.rt, main_with_guest, &t), 0);
		be_thread_join(&t);
		assert_int_equal(guest.attach, 0);
		assert_false(guest.first);
		assert_false(guest.second);
		assert_int_equal(guest.select, GORT_ECANCELED);
		assert_true(guest.stop);
		assert_int_equal(gort_runtime_free(guest.rt), 0);
	}
}

/* ---- No memory ------------------------------------------------------------------------------- */

static void thirsty(void *arg)
{
	gort_timer *t[600];

	(void)arg;
	for (int i = 0; i < 600; i++) /* more than the first heap holds */
		t[i] = gort_after_func(i % 2 ? HOUR : i, count_run, &rang);
	for (int i = 0; i < 40; i++)
		waiting(gort_timer_chan(gort_timer_new(i)), i % 2);
	gort_sleep(MS);
	gort_chan_recv(gort_after(MS), NULL);
	for (int i = 1; i < 600; i += 2)
		gort_timer_stop(t[i]);
	gort_gomaxprocs(1);
}

static void test_no_memory(void **state)
{
	gort_config cfg;
	gort_runtime *rt;
	char debug[32];
	int refused = 0, r = 1;

	(void)state;
	for (int n = 1; n < 400 && r != 0; n++) {
		snprintf(debug, sizeof debug, "oomfail=%d", n);
		gort_config_init(&cfg);
		cfg.flags |= GORT_SCAN_DATA;
		cfg.procs = 2;
		cfg.debug = debug;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, thirsty, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		refused += r != 0;
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_int_equal(r, 0);
	assert_true(refused > 0);
}

/* ---- Traces ---------------------------------------------------------------------------------- */

static struct {
	int n;
	uint64_t due[8];
	void *timer[8];
} seen;

static void on_event(void *data, const gort_event *e, size_t n)
{
	(void)data;
	for (; n > 0; n--, e++)
		if (e->id == GORT_EV_TIMER && seen.n < 8) {
			seen.due[seen.n] = e->args[0];
			seen.timer[seen.n++] = (void *)(uintptr_t)e->args[1];
		}
}

static void *traced_timers[3];
static int64_t traced_values[2];

static void traced(void *arg)
{
	gort_trace_listener l = { sizeof l, GORT_TRACE_TIMER, on_event, NULL, NULL, NULL };
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_timer *t = gort_timer_new(MS);

	CHECK(gort_trace_start(arg, &l) == 0);
	traced_timers[0] = t;
	gort_chan_recv(gort_timer_chan(t), &traced_values[0]); /* rung */
	gort_timer_reset(t, 0);
	gort_chan_recv(gort_timer_chan(t), &traced_values[1]); /* looked at */
	gort_timer_stop(gort_after_func(HOUR, send_it, c));
	traced_timers[1] = gort_after_func(MS, send_it, c);
	gort_chan_recv(c, NULL);
	gort_sleep(MS);
	CHECK(gort_trace_stop(arg) == 0);
}

static void test_events(void **state)
{
	gort_config cfg;
	gort_runtime *rt;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	failures = 0;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, traced, rt), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(failures, 0);
	assert_int_equal(seen.n, 4);
	assert_ptr_equal(seen.timer[0], traced_timers[0]);
	assert_int_equal(seen.due[0], traced_values[0]);
	assert_ptr_equal(seen.timer[1], traced_timers[0]);
	assert_int_equal(seen.due[1], traced_values[1]);
	assert_ptr_equal(seen.timer[2], traced_timers[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_measured_no_stale_value),
		cmocka_unit_test(test_reset_under_a_receiver),
		cmocka_unit_test(test_receivers_are_fifo),
		cmocka_unit_test(test_ticker),
		cmocka_unit_test(test_after_func),
		cmocka_unit_test(test_functions_run_or_are_stopped),
		cmocka_unit_test(test_timers_move_to_another_p),
		cmocka_unit_test(test_deadlock_in_spite_of_stopped_timers),
		cmocka_unit_test(test_panics),
		cmocka_unit_test(test_end_of_run),
		cmocka_unit_test(test_attached_after_the_run),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
