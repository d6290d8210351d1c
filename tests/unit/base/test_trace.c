/* Event rings and their reader: nothing is lost uncounted, stamps order what depends on each other
 * whatever the clocks say, and stopping delivers everything. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/lock.h"
#include "core/base/trace.h"

#include <stdlib.h>
#include <string.h>

enum { WRITERS = 4, EVENTS = 100000, TURNS = 6000 };

/* ---- What the reader got; asserted on the test's own thread after the reader is gone ---- */

static struct {
	gort_event *events;
	size_t n, cap;
	uint64_t lost;
	unsigned ends, late;       /* calls after the end */
	uint32_t gate;             /* 1 = the first delivery waits for `opened` */
	rt_note arrived, opened;
	uint64_t enough;           /* events until `full` is signalled; 0 = never */
	rt_note full;
} got;

static void on_events(void *data, const gort_event *events, size_t n, uint64_t lost)
{
	(void)data;
	got.late += got.ends;
	if (got.gate) {
		got.gate = 0;
		rt_note_wakeup(&got.arrived);
		rt_note_sleep(&got.opened);
	}
	if (got.n + n > got.cap) {
		got.cap = 2 * (got.n + n);
		got.events = realloc(got.events, got.cap * sizeof *got.events);
		if (got.events == NULL)
			abort();
	}
	if (n > 0)
		memcpy(got.events + got.n, events, n * sizeof *events);
	got.n += n;
	got.lost += lost;
	if (got.enough > 0 && got.n >= got.enough) {
		got.enough = 0;
		rt_note_wakeup(&got.full);
	}
}

static void on_end(void *data)
{
	(void)data;
	got.ends++;
}

static rt_trace trace;

static int setup(void **state)
{
	(void)state;
	rt_trace_init(&trace);
	memset(&got, 0, sizeof got);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rt_trace_fini(&trace);
	free(got.events);
	return 0;
}

static void start(unsigned groups)
{
	got.n = 0;
	got.lost = 0;
	got.ends = 0;
	assert_int_equal(rt_trace_reader_start(&trace, on_events, on_end, NULL), 0);
	rt_trace_open(&trace, groups, NULL, 0);
}

static void stop(void)
{
	rt_trace_reader_stop(&trace);
	assert_int_equal(got.ends, 1);
	assert_int_equal(got.late, 0);
	for (size_t i = 1; i < got.n; i++)
		assert_true(got.events[i - 1].time <= got.events[i].time);
}

static int64_t write_event(rt_tracering *r, uint32_t thread, uint64_t seq, int64_t after)
{
	gort_event e = { .id = GORT_EV_USER, .thread = thread, .args = { seq } };

	return rt_tracering_write(&trace, r, &e, after);
}

/* ---- One writer ---- */

static void test_stamps_rise_and_all_arrive(void **state)
{
	rt_tracering *r = rt_tracering_get(&trace);
	int64_t last = 0, far = be_nanotime() + INT64_C(1000000000000);

	(void)state;
	assert_non_null(r);
	assert_int_equal(write_event(r, 1, 0, 77), 77); /* off: nothing happens */
	start(GORT_TRACE_USER);
	for (uint64_t i = 0; i < 1000; i++) {
		int64_t after = i == 500 ? far : 0;
		int64_t stamp = write_event(r, 1, i, after);

		assert_true(stamp > last && stamp > after);
		last = stamp;
	}
	stop();
	assert_int_equal(got.n, 1000);
	assert_int_equal(got.lost, 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(got.events[i].args[0], i);
	assert_true(got.events[500].time > far);
	rt_tracering_put(&trace, r);
}

static void test_only_traced_groups(void **state)
{
	rt_tracering *r = rt_tracering_get(&trace);
	gort_event e = { .id = GORT_EV_GO_START };

	(void)state;
	start(GORT_TRACE_USER | GORT_TRACE_GC);
	assert_int_equal(rt_tracering_write(&trace, r, &e, 5), 5);
	assert_true(write_event(r, 1, 1, 5) > 5);
	stop();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.events[0].id, GORT_EV_USER);
	assert_int_equal(rt_trace_group(GORT_EV_STW_BEGIN), GORT_TRACE_GC);
	assert_int_equal(rt_trace_group(0), 0);
	assert_int_equal(rt_trace_group(GORT_EV_UNLOCK + 1), 0);
}

/* The reader is held inside its first delivery: the ring holds what it holds, the rest is counted.
 *  */
static void test_full_ring_counts_exactly(void **state)
{
	static const gort_event first[2] = { { .time = 1, .id = GORT_EV_PROCS },
		                             { .time = 2, .id = GORT_EV_GO_CREATE } };
	rt_tracering *r = rt_tracering_get(&trace);

	(void)state;
	got.gate = 1;
	assert_int_equal(rt_trace_reader_start(&trace, on_events, on_end, NULL), 0);
	rt_trace_open(&trace, GORT_TRACE_ALL, first, 2);
	rt_note_sleep(&got.arrived);
	for (uint64_t i = 0; i < RT_TRACERING_SIZE + 123; i++)
		write_event(r, 1, i, 0);
	rt_note_wakeup(&got.opened);
	stop();
	assert_int_equal(got.n, 2 + RT_TRACERING_SIZE);
	assert_int_equal(got.lost, 123);
	assert_int_equal(got.events[0].id, GORT_EV_PROCS);
	assert_int_equal(got.events[1].id, GORT_EV_GO_CREATE);
	for (uint64_t i = 0; i < RT_TRACERING_SIZE; i++)
		assert_int_equal(got.events[2 + i].args[0], i);
	/* The next trace begins with an empty ring and no losses. */
	start(GORT_TRACE_ALL);
	write_event(r, 1, 42, 0);
	stop();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.lost, 0);
	assert_int_equal(got.events[0].args[0], 42);
}

static void test_rings_are_reused(void **state)
{
	rt_tracering *a = rt_tracering_get(&trace), *b = rt_tracering_get(&trace);

	(void)state;
	assert_ptr_not_equal(a, b);
	start(GORT_TRACE_ALL);
	write_event(a, 1, 0, 0);
	rt_tracering_put(&trace, a);
	assert_ptr_equal(rt_tracering_get(&trace), a);
	write_event(a, 2, 1, 0);
	stop();
	assert_int_equal(got.n, 2);
	assert_int_equal(got.events[1].thread, 2);
}

static void test_no_memory_counts_as_lost(void **state)
{
	rt_debugvars debug;
	gort_event e = { .id = GORT_EV_USER };

	(void)state;
	rt_debugvars_init(&debug);
	assert_int_equal(rt_debugvars_parse(&debug, "oomfail=1", true), 0);
	trace.debug = &debug;
	assert_null(rt_tracering_get(&trace));
	start(GORT_TRACE_ALL);
	assert_int_equal(rt_tracering_write(&trace, NULL, &e, 9), 9);
	assert_int_equal(rt_tracering_write(&trace, NULL, &e, 9), 9);
	assert_true(rt_trace_write_shared(&trace, &e, 9) > 9);
	stop();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.lost, 2);
}

static int64_t stopped_clock(const rt_trace *t)
{
	(void)t;
	return 1000;
}

/* A virtual clock stands still while goroutines run; events come through all the same. */
static void test_clock_that_stands_still(void **state)
{
	rt_tracering *r = rt_tracering_get(&trace);

	(void)state;
	trace.now = stopped_clock;
	got.enough = 100;
	start(GORT_TRACE_ALL);
	for (uint64_t i = 0; i < 100; i++)
		write_event(r, 1, i, 0);
	rt_note_sleep(&got.full);
	stop();
	assert_int_equal(got.n, 100);
}

/* Stopped before the reader's thread has come to life. */
static void test_first_is_delivered_at_any_rate(void **state)
{
	static const gort_event first = { .time = 1, .id = GORT_EV_PROCS };

	(void)state;
	for (int i = 1; i <= 100; i++) {
		assert_int_equal(rt_trace_reader_start(&trace, on_events, on_end, NULL), 0);
		rt_trace_open(&trace, GORT_TRACE_ALL, &first, 1);
		rt_trace_reader_stop(&trace);
		assert_int_equal(got.n, i);
		got.ends = 0;
	}
}

static void test_stop_without_open(void **state)
{
	(void)state;
	assert_int_equal(rt_trace_reader_start(&trace, on_events, on_end, NULL), 0);
	rt_trace_reader_stop(&trace);
	assert_int_equal(got.n, 0);
	assert_int_equal(got.ends, 1);
}

/* ---- Several writers ---- */

static __thread int64_t skew;

static int64_t skewed_clock(const rt_trace *t)
{
	(void)t;
	return be_nanotime() + skew;
}

static const int64_t skews[WRITERS] = { 0, 1000000000, -1000000000, 5000 };

typedef struct writer {
	be_thread thread;
	uint32_t id;
	uint64_t limit;   /* events; 0 = until told */
	uint64_t written; /* while the trace was on */
} writer;

static writer writers[WRITERS];
static rt_atomic32 enough;

static void spawn(writer *w, void (*fn)(void *))
{
	assert_int_equal(be_thread_start(&w->thread, fn, w, 0), 0);
}

static void write_many(void *arg)
{
	writer *w = arg;
	rt_tracering *r = rt_tracering_get(&trace);

	skew = skews[w->id]; /* matters to skewed_clock only */
	for (uint64_t i = 0; w->limit > 0 ? i < w->limit : !rt_load32_acq(&enough); i++)
		if (write_event(r, w->id, w->written, 0) > 0)
			w->written++;
	rt_tracering_put(&trace, r);
}

static void start_writers(uint64_t limit)
{
	rt_store32_rlx(&enough, 0);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (writer){ .id = i, .limit = limit };
		spawn(&writers[i], write_many);
	}
}

static void join_writers(void)
{
	rt_store32_rel(&enough, 1);
	for (int i = 0; i < WRITERS; i++)
		be_thread_join(&writers[i].thread);
}

/* Each thread's events come in its order; what is missing has been counted, to the last one. */
static void check_writers(void)
{
	uint64_t next[WRITERS] = { 0 }, written = 0;

	for (size_t i = 0; i < got.n; i++) {
		const gort_event *e = &got.events[i];

		assert_true(e->thread < WRITERS && e->args[0] >= next[e->thread]);
		next[e->thread] = e->args[0] + 1;
	}
	for (int i = 0; i < WRITERS; i++)
		written += writers[i].written;
	assert_int_equal(got.n + got.lost, written);
}

static void test_writers_lose_nothing_uncounted(void **state)
{
	(void)state;
	start(GORT_TRACE_ALL);
	start_writers(EVENTS);
	join_writers();
	stop();
	check_writers();
	assert_int_equal(got.n + got.lost, (uint64_t)WRITERS * EVENTS);
}

/* The writers never rest: stop must neither miss what was written nor take what comes later. */
static void test_stop_under_fire(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		got.enough = 1000;
		rt_note_clear(&got.full);
		start(GORT_TRACE_ALL);
		start_writers(0);
		rt_note_sleep(&got.full);
		stop();
		join_writers();
		check_writers();
	}
}

/* Events that do not depend on each other come by time: what a slow clock stamps is never older
 * than what was delivered. stop looks at that. */
static void test_order_under_skewed_clocks(void **state)
{
	(void)state;
	trace.now = skewed_clock;
	start(GORT_TRACE_ALL);
	start_writers(EVENTS);
	join_writers();
	stop();
	check_writers();
}

/* Threads that share a ring under the lock. */
static void write_shared(void *arg)
{
	writer *w = arg;

	for (uint64_t i = 0; i < w->limit; i++) {
		gort_event e = { .id = GORT_EV_USER, .thread = w->id, .args = { i } };

		w->written += rt_trace_write_shared(&trace, &e, 0) > 0;
	}
}

static void test_shared_ring(void **state)
{
	(void)state;
	start(GORT_TRACE_ALL);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (writer){ .id = i, .limit = 2000 };
		spawn(&writers[i], write_shared);
	}
	join_writers();
	stop();
	check_writers();
	assert_int_equal(got.lost, 0);
}

/* ---- Causes before effects, whatever the clocks do ---- */

/* A token goes round; who has it writes an event that comes after the last one. */
static rt_atomic32 turn;
static int64_t token; /* stamp of the last event; owned by whose turn it is */
static uint64_t backwards; /* how often the clocks alone would have said the opposite */

static void pass_token(void *arg)
{
	writer *w = arg;
	rt_tracering *r = rt_tracering_get(&trace);

	skew = skews[w->id];
	for (uint32_t mine = w->id; mine < TURNS; mine += WRITERS) {
		uint32_t now;

		while ((now = rt_load32_acq(&turn)) != mine)
			be_thread_park(&turn, now, -1);
		backwards += skewed_clock(NULL) <= token;
		token = write_event(r, w->id, mine, token);
		rt_store32_rel(&turn, mine + 1);
		be_thread_wake(&turn, WRITERS);
	}
	rt_tracering_put(&trace, r);
}

static void test_causes_come_first_under_skewed_clocks(void **state)
{
	(void)state;
	trace.now = skewed_clock;
	token = 0;
	backwards = 0;
	rt_store32_rlx(&turn, 0);
	start(GORT_TRACE_ALL);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (writer){ .id = i };
		spawn(&writers[i], pass_token);
	}
	join_writers();
	stop();
	assert_int_equal(got.n, TURNS);
	assert_true(backwards > TURNS / 4); /* else the test proves nothing */
	for (uint64_t i = 0; i < TURNS; i++)
		assert_int_equal(got.events[i].args[0], i);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_stamps_rise_and_all_arrive),
		T(test_only_traced_groups),
		T(test_full_ring_counts_exactly),
		T(test_rings_are_reused),
		T(test_no_memory_counts_as_lost),
		T(test_clock_that_stands_still),
		T(test_first_is_delivered_at_any_rate),
		T(test_stop_without_open),
		T(test_writers_lose_nothing_uncounted),
		T(test_stop_under_fire),
		T(test_order_under_skewed_clocks),
		T(test_shared_ring),
		T(test_causes_come_first_under_skewed_clocks),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
