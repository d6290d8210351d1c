/* Channels: every form, through the public face. */
#include "tests/support/program.h"

#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <stdbool.h>
#include <string.h>

static int failures;

#define CHECK(e) ((e) ? (void)0 : (void)(failures++, fprintf(stderr, "%d: %s\n", __LINE__, #e)))

static void run(gort_func fn)
{
	for (int procs = 1; procs <= 3; procs++) {
		failures = 0;
		assert_int_equal(program(procs, fn, NULL), 0);
		assert_int_equal(failures, 0);
	}
}

static gort_chan *ints(size_t cap)
{
	return gort_chan_make(GORT_TYPE(int64_t), cap);
}

/* ---- Buffered -------------------------------------------------------------------------------- */

static void buffered(void *arg)
{
	gort_chan *c = ints(3);
	int64_t v;

	(void)arg;
	CHECK(gort_chan_cap(c) == 3 && gort_chan_len(c) == 0);
	for (v = 1; v <= 3; v++)
		CHECK(gort_chan_try_send(c, &v));
	CHECK(gort_chan_len(c) == 3);
	CHECK(!gort_chan_try_send(c, &v));
	CHECK(gort_chan_send_until(c, &v, gort_nanotime() - 1) == GORT_ETIMEDOUT);
	CHECK(gort_chan_send_until(c, &v, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	for (int64_t i = 1; i <= 3; i++) {
		CHECK(gort_chan_recv(c, &v));
		CHECK(v == i);
	}
	CHECK(gort_chan_try_recv(c, &v) == GORT_EAGAIN);
	CHECK(gort_chan_recv_until(c, &v, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	v = 7;
	gort_chan_send(c, &v);
	CHECK(gort_chan_recv(c, NULL)); /* dropped */
	CHECK(gort_chan_len(NULL) == 0 && gort_chan_cap(NULL) == 0);
}

static void test_buffered(void **state)
{
	(void)state;
	run(buffered);
}

/* ---- Close ----------------------------------------------------------------------------------- */

static void closing(void *arg)
{
	gort_chan *c = ints(2);
	int64_t v = 5;

	(void)arg;
	gort_chan_send(c, &v);
	gort_chan_close(c);
	v = 0;
	CHECK(gort_chan_recv(c, &v) && v == 5);
	v = 9;
	CHECK(!gort_chan_recv(c, &v) && v == 0);
	v = 9;
	CHECK(gort_chan_try_recv(c, &v) == GORT_ECLOSED && v == 0);
	v = 9;
	CHECK(gort_chan_recv_until(c, &v, gort_nanotime()) == GORT_ECLOSED && v == 0);
}

static void test_close(void **state)
{
	(void)state;
	run(closing);
}

static gort_chan *done_chan;

static void wait_close(void *arg)
{
	int64_t v = 1;

	if (!gort_chan_recv(arg, &v) && v == 0)
		gort_chan_send(done_chan, &v);
}

static void close_wakes(void *arg)
{
	gort_chan *c = ints(0);

	(void)arg;
	done_chan = ints(0);
	for (int i = 0; i < 10; i++)
		gort_go(wait_close, c);
	gort_sleep(GORT_MILLISECOND);
	gort_chan_close(c);
	for (int i = 0; i < 10; i++)
		CHECK(gort_chan_recv(done_chan, NULL));
}

static void test_close_wakes_all(void **state)
{
	(void)state;
	run(close_wakes);
}

/* ---- Panics ---------------------------------------------------------------------------------- */

static gort_eface value;

static void send_it(void *arg)
{
	gort_chan_send(arg, &(int64_t){ 1 });
}
static void close_it(void *arg)
{
	gort_chan_close(arg);
}
static void huge(void *arg)
{
	(void)arg;
	gort_chan_make(GORT_TYPE(int64_t), SIZE_MAX);
}
static void until_it(void *arg)
{
	(void)gort_chan_send_until(arg, &(int64_t){ 1 }, GORT_FOREVER);
}
static void try_it(void *arg)
{
	(void)gort_chan_try_send(arg, &(int64_t){ 1 });
}

static bool panics(gort_func fn, void *arg, const char *text)
{
	gort_string s;

	if (gort_try(fn, arg, &value) != 1)
		return false;
	s = gort_panic_text(value);
	return (size_t)s.len == strlen(text) && memcmp(s.ptr, text, strlen(text)) == 0;
}

static void misuses(void *arg)
{
	gort_chan *c = ints(1);

	(void)arg;
	gort_chan_close(c);
	CHECK(panics(send_it, c, "send on closed channel"));
	CHECK(panics(until_it, c, "send on closed channel"));
	CHECK(panics(try_it, c, "send on closed channel"));
	CHECK(panics(close_it, c, "close of closed channel"));
	CHECK(panics(close_it, NULL, "close of nil channel"));
	CHECK(panics(huge, NULL, "makechan: size out of range"));
	CHECK(gort_try(send_it, ints(1), NULL) == 0);
}

static void test_panics(void **state)
{
	(void)state;
	run(misuses);
}

static void closed_under_sender(void *arg)
{
	gort_chan **c = arg;

	if (panics(send_it, c[0], "send on closed channel"))
		gort_chan_send(c[1], &(int64_t){ 1 });
	else
		gort_chan_close(c[1]);
}

static void close_under(void *arg)
{
	gort_chan **c = gort_alloc(2 * sizeof *c, 0);

	(void)arg;
	c[0] = ints(0);
	c[1] = ints(0);
	gort_go(closed_under_sender, c);
	gort_sleep(GORT_MILLISECOND);
	gort_chan_close(c[0]);
	CHECK(gort_chan_recv(c[1], NULL));
}

static void test_close_panics_a_waiting_sender(void **state)
{
	(void)state;
	run(close_under);
}

/* ---- nil ------------------------------------------------------------------------------------- */

static void nil_chan(void *arg)
{
	(void)arg;
	CHECK(!gort_chan_try_send(NULL, &(int64_t){ 1 }));
	CHECK(gort_chan_try_recv(NULL, NULL) == GORT_EAGAIN);
	CHECK(gort_chan_recv_until(NULL, NULL, gort_nanotime() + GORT_MILLISECOND) ==
	      GORT_ETIMEDOUT);
	CHECK(gort_chan_send_until(NULL, &(int64_t){ 1 }, gort_nanotime() - 5) == GORT_ETIMEDOUT);
}

static void nil_blocks(void *arg)
{
	(void)arg;
	gort_chan_recv(NULL, NULL);
}

static void test_nil(void **state)
{
	(void)state;
	run(nil_chan);
	assert_int_equal(program(2, nil_blocks, NULL), GORT_EDEADLOCK);
	assert_non_null(strstr(program_error, "[chan receive (nil chan)]"));
}

/* ---- Order ----------------------------------------------------------------------------------- */

typedef struct turn {
	gort_chan *c, *done;
	int64_t n;
} turn;

static void wait_turn(void *arg)
{
	turn *t = arg;

	gort_chan_recv(t->c, &t->n);
	gort_chan_send(t->done, &t->n);
}

/* On one P the receivers queue up in the order in which they ran; values reach them in it. */
static void fifo(void *arg)
{
	turn *t[8];
	gort_chan *c = ints(0), *done = ints(8);

	(void)arg;
	for (int i = 0; i < 8; i++) {
		t[i] = gort_alloc(sizeof **t, 0);
		*t[i] = (turn){ c, done, -1 };
		gort_go(wait_turn, t[i]);
		gort_gosched();
	}
	for (int64_t i = 0; i < 8; i++)
		gort_chan_send(c, &i);
	for (int i = 0; i < 8; i++)
		gort_chan_recv(done, NULL);
	for (int i = 0; i < 8; i++)
		CHECK(t[i]->n == i);
}

static void test_waiters_are_fifo(void **state)
{
	(void)state;
	failures = 0;
	assert_int_equal(program(1, fifo, NULL), 0);
	assert_int_equal(failures, 0);
}

/* A buffered channel whose sender waits: the oldest value comes first. */
static void late_sender(void *arg)
{
	for (int64_t i = 0; i < 10; i++)
		gort_chan_send(arg, &i);
	gort_chan_close(arg);
}

static void full_buffer(void *arg)
{
	gort_chan *c = ints(3);
	int64_t v, want = 0;

	(void)arg;
	gort_go(late_sender, c);
	gort_sleep(GORT_MILLISECOND);
	while (gort_chan_recv(c, &v))
		CHECK(v == want++);
	CHECK(want == 10);
}

static void test_full_buffer_keeps_order(void **state)
{
	(void)state;
	run(full_buffer);
}

/* ---- Wide and empty elements ------------------------------------------------------------------ */

typedef struct wide {
	int64_t a[12];
} wide;
GORT_DEFINE_TYPE(wide, GORT_NO_FIELDS);

typedef struct pair {
	void *p;
	int64_t n;
} pair;
GORT_DEFINE_TYPE(pair, GORT_PTR(pair, p), GORT_FIELD(pair, n, int64_t));

static void send_wide(void *arg)
{
	wide w;

	for (int i = 0; i < 12; i++)
		w.a[i] = i * i;
	gort_chan_send(arg, &w);
	gort_chan_send(arg, &w);
}

static void widths(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(wide), 0);
	gort_chan *d = gort_chan_make(GORT_TYPE(pair), 1);
	wide w = { { 0 } };
	pair p = { &w, 4 };

	(void)arg;
	gort_go(send_wide, c);
	for (int k = 0; k < 2; k++) {
		gort_chan_recv(c, &w);
		for (int i = 0; i < 12; i++)
			CHECK(w.a[i] == i * i);
	}
	gort_chan_send(d, &p);
	p = (pair){ NULL, 0 };
	CHECK(gort_chan_recv(d, &p) && p.p == &w && p.n == 4);
}

static void test_widths(void **state)
{
	(void)state;
	run(widths);
}

/* ---- Deadlines under load ---------------------------------------------------------------------- */

enum { RACERS = 8, ROUNDS = 300 };
static int64_t sent[RACERS], received[RACERS];

static void racer(void *arg)
{
	turn *t = arg;
	int64_t v;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t d = gort_nanotime() + (i % 5) * 20 * GORT_MICROSECOND;

		if (i % 2 == t->n % 2)
			sent[t->n] += gort_chan_send_until(t->c, &(int64_t){ 1 }, d) == 0;
		else
			received[t->n] += gort_chan_recv_until(t->c, &v, d) == 0;
	}
	gort_chan_send(t->done, &v);
}

/* Partner and timer race for each waiter: what was sent is received, once. */
static void race(void *arg)
{
	gort_chan *c = ints(*(int *)arg), *done = ints(0);
	int64_t balance = 0;

	memset(sent, 0, sizeof sent);
	memset(received, 0, sizeof received);
	for (int i = 0; i < RACERS; i++) {
		turn *t = gort_alloc(sizeof *t, 0);

		*t = (turn){ c, done, i };
		gort_go(racer, t);
	}
	for (int i = 0; i < RACERS; i++)
		gort_chan_recv(done, NULL);
	for (int i = 0; i < RACERS; i++)
		balance += sent[i] - received[i];
	CHECK(balance == (int64_t)gort_chan_len(c));
}

static void test_deadlines_race(void **state)
{
	(void)state;
	for (int cap = 0; cap < 3; cap++)
		for (int procs = 1; procs <= 4; procs++) {
			failures = 0;
			assert_int_equal(program(procs, race, &cap), 0);
			assert_int_equal(failures, 0);
		}
}

/* ---- Looks without the lock -------------------------------------------------------------------- */

enum { MEETINGS = 20000 };

static struct side {
	RT_CACHE_ALIGNED rt_atomic32 ready, over;
	gort_chan *c;
	bool blocked;
} sides[2];
static bool selects;

static void await(rt_atomic32 *word, uint32_t n)
{
	for (int i = 1; rt_load32_acq(word) < n; i++) {
		be_cpu_pause();
		if (i % 1000 == 0)
			gort_gosched(); /* with one P the other one needs ours */
	}
}

static bool would_block(gort_chan *c)
{
	gort_select_case cases[2] = { { c, NULL, GORT_RECV, false }, { NULL, NULL, GORT_RECV, false } };

	return selects ? gort_select(cases, 2, 0) == GORT_EAGAIN : gort_chan_try_recv(c, NULL) == GORT_EAGAIN;
}

static void sends_and_tries(void *arg)
{
	struct side *me = arg, *you = me == sides ? &sides[1] : &sides[0];
	int64_t v = 1;

	for (uint32_t i = 1; i <= MEETINGS; i++) {
		rt_store32_rel(&me->ready, i);
		await(&you->ready, i);
		gort_chan_send(me->c, &v);
		me->blocked = would_block(you->c);
		rt_store32_rel(&me->over, i);
		await(&you->over, i);
		if (me == sides) {
			CHECK(!(sides[0].blocked && sides[1].blocked));
			for (int k = 0; k < 2; k++)
				(void)gort_chan_try_recv(sides[k].c, NULL);
		}
	}
}

/* Two send to a channel each and then try to receive from the other's. One of them comes second, and finds a value. */
static void come_second(void *arg)
{
	gort_waitgroup wg = GORT_INIT;

	selects = arg != NULL;
	for (int k = 0; k < 2; k++)
		sides[k] = (struct side){ .c = ints(1) };
	CHECK(gort_waitgroup_go(&wg, sends_and_tries, &sides[0]) == 0);
	CHECK(gort_waitgroup_go(&wg, sends_and_tries, &sides[1]) == 0);
	gort_waitgroup_wait(&wg);
}

static void test_one_comes_second(void **state)
{
	(void)state;
	run(come_second);
	for (int procs = 1; procs <= 2; procs++) {
		failures = 0;
		assert_int_equal(program(procs, come_second, &sides), 0);
		assert_int_equal(failures, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffered),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_wakes_all),
		cmocka_unit_test(test_panics),
		cmocka_unit_test(test_close_panics_a_waiting_sender),
		cmocka_unit_test(test_nil),
		cmocka_unit_test(test_waiters_are_fifo),
		cmocka_unit_test(test_full_buffer_keeps_order),
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_deadlines_race),
		cmocka_unit_test(test_one_comes_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
