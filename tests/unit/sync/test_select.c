/* select: every form, through the public face. */
#include "tests/support/program.h"

#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(e) ((e) ? (void)0 : (void)(failures++, fprintf(stderr, "%d: %s\n", __LINE__, #e)))

static void run_on(int procs, gort_func fn)
{
	failures = 0;
	assert_int_equal(program(procs, fn, NULL), 0);
	assert_int_equal(failures, 0);
}

static void run(gort_func fn)
{
	for (int procs = 1; procs <= 3; procs++)
		run_on(procs, fn);
}

static gort_chan *ints(size_t cap)
{
	return gort_chan_make(GORT_TYPE(int64_t), cap);
}

static gort_select_case recv_case(gort_chan *c, int64_t *v)
{
	return (gort_select_case){ c, v, GORT_RECV, false };
}

static gort_select_case send_case(gort_chan *c, int64_t *v)
{
	return (gort_select_case){ c, v, GORT_SEND, false };
}

static int64_t soon(void)
{
	return gort_nanotime() + GORT_MILLISECOND;
}

/* ---- No case, one case ----------------------------------------------------------------------- */

static void small(void *arg)
{
	gort_chan *c = ints(1);
	int64_t v = 3;
	gort_select_case r = recv_case(c, &v), s = send_case(c, &v);

	(void)arg;
	CHECK(gort_select(NULL, 0, 0) == GORT_EAGAIN);
	CHECK(gort_select(NULL, 0, soon()) == GORT_ETIMEDOUT);
	CHECK(gort_select(&r, 1, 0) == GORT_EAGAIN);
	CHECK(gort_select(&r, 1, soon()) == GORT_ETIMEDOUT);
	CHECK(gort_select(&s, 1, 0) == 0 && gort_chan_len(c) == 1);
	CHECK(gort_select(&s, 1, 0) == GORT_EAGAIN);
	CHECK(gort_select(&s, 1, soon()) == GORT_ETIMEDOUT);
	v = 0;
	CHECK(gort_select(&r, 1, GORT_FOREVER) == 0 && r.ok && v == 3);
	CHECK(gort_select(&s, 1, GORT_FOREVER) == 0);
	CHECK(gort_select(&r, 1, gort_nanotime() - 1) == 0 && r.ok);
	gort_chan_close(c);
	v = 9;
	CHECK(gort_select(&r, 1, 0) == 0 && !r.ok && v == 0);
	r.ok = true;
	v = 9;
	CHECK(gort_select(&r, 1, GORT_FOREVER) == 0 && !r.ok && v == 0);
	r.chan = s.chan = NULL;
	CHECK(gort_select(&r, 1, 0) == GORT_EAGAIN && gort_select(&s, 1, 0) == GORT_EAGAIN);
	CHECK(gort_select(&r, 1, soon()) == GORT_ETIMEDOUT);
}

static void test_no_case_and_one(void **state)
{
	(void)state;
	run(small);
}

static void no_cases(void *arg)
{
	(void)arg;
	gort_select(NULL, 0, GORT_FOREVER);
}

static void nil_cases(void *arg)
{
	int64_t v;
	gort_select_case k[3] = { recv_case(NULL, &v), send_case(NULL, &v), recv_case(NULL, &v) };

	(void)arg;
	k[0].ok = gort_select(k, 3, 0) == GORT_EAGAIN && gort_select(k, 3, soon()) == GORT_ETIMEDOUT;
	if (k[0].ok)
		gort_select(k, 3, GORT_FOREVER);
}

static void test_forever(void **state)
{
	(void)state;
	assert_int_equal(program(2, no_cases, NULL), GORT_EDEADLOCK);
	assert_non_null(strstr(program_error, "[select (no cases)]"));
	assert_int_equal(program(2, nil_cases, NULL), GORT_EDEADLOCK);
	assert_non_null(strstr(program_error, "[select]"));
}

/* ---- Several --------------------------------------------------------------------------------- */

static void several(void *arg)
{
	gort_chan *a = ints(1), *b = ints(0), *full = ints(1);
	int64_t v = 0, w = 5;
	gort_select_case k[4] = { recv_case(a, &v), recv_case(NULL, &v), send_case(full, &w),
		                  recv_case(b, &v) };

	(void)arg;
	gort_chan_send(full, &(int64_t){ 1 });
	CHECK(gort_select(k, 4, 0) == GORT_EAGAIN);
	CHECK(gort_select(k, 4, soon()) == GORT_ETIMEDOUT);
	CHECK(gort_select(k, 4, gort_nanotime() - 1) == GORT_ETIMEDOUT);
	CHECK(v == 0 && gort_chan_len(a) == 0 && gort_chan_len(full) == 1);
	gort_chan_send(a, &(int64_t){ 7 });
	CHECK(gort_select(k, 4, GORT_FOREVER) == 0 && k[0].ok && v == 7);
	gort_chan_recv(full, NULL);
	CHECK(gort_select(k, 4, 0) == 2);
	CHECK(gort_chan_recv(full, &v) && v == 5);
	gort_chan_send(full, &(int64_t){ 1 });
	gort_chan_close(b);
	v = 8;
	CHECK(gort_select(k, 4, 0) == 3 && !k[3].ok && v == 0);
	/* A deadline in the past still tries once. */
	CHECK(gort_select(k, 4, 1) == 3);
	k[3].elem = NULL;
	CHECK(gort_select(k, 4, GORT_FOREVER) == 3);
}

static void test_several(void **state)
{
	(void)state;
	run(several);
}

/* ---- Parking --------------------------------------------------------------------------------- */

typedef struct task {
	gort_select_case *k;
	size_t n;
	int64_t deadline;
	gort_chan *done;
	int64_t v, result;
} task;

static void select_task(void *arg)
{
	task *t = arg;

	t->result = gort_select(t->k, t->n, t->deadline);
	gort_chan_send(t->done, &t->result);
}

/* A goroutine that waits in a select of these cases (on one P: once main has yielded). */
static task *waiting(const gort_select_case *k, size_t n, int64_t deadline)
{
	task *t = gort_alloc(sizeof *t, 0);

	t->k = gort_alloc(n * sizeof *k, 0);
	memcpy(t->k, k, n * sizeof *k);
	t->n = n;
	t->deadline = deadline;
	t->done = ints(1);
	t->v = 55;
	for (size_t i = 0; i < n; i++)
		if (t->k[i].elem == NULL)
			t->k[i].elem = &t->v;
	gort_go(select_task, t);
	for (int i = 0; i < 3; i++)
		gort_gosched();
	return t;
}

static int64_t result(task *t)
{
	int64_t r = -999;

	gort_chan_recv(t->done, &r);
	return r;
}

static void parking(void *arg)
{
	gort_chan *a = ints(0), *b = ints(1), *c = ints(0);
	int64_t v;
	gort_select_case k[3] = { recv_case(a, NULL), recv_case(b, NULL), send_case(c, NULL) };
	task *t;

	(void)arg;
	for (int i = 0; i < 40; i++) {
		int64_t deadline = i % 2 ? GORT_FOREVER : gort_nanotime() + GORT_SECOND;

		t = waiting(k, 3, deadline);
		v = i;
		switch (i / 2 % 5) {
		case 0:
			gort_chan_send(a, &v);
			CHECK(result(t) == 0 && t->k[0].ok && t->v == i);
			break;
		case 1:
			gort_chan_send(b, &v);
			CHECK(result(t) == 1 && t->k[1].ok && t->v == i);
			break;
		case 2:
			CHECK(gort_chan_recv(c, &v) && v == 55);
			CHECK(result(t) == 2);
			break;
		case 3:
			gort_chan_close(a);
			CHECK(result(t) == 0 && !t->k[0].ok && t->v == 0);
			k[0].chan = a = ints(0);
			break;
		case 4:
			gort_chan_close(b);
			CHECK(result(t) == 1 && !t->k[1].ok && t->v == 0);
			k[1].chan = b = ints(1);
			break;
		}
		/* Nothing of it is left in any queue. */
		CHECK(!gort_chan_try_send(a, &v));
		CHECK(gort_chan_try_recv(c, &v) == GORT_EAGAIN);
		CHECK(gort_chan_try_send(b, &v) && gort_chan_len(b) == 1 && gort_chan_recv(b, NULL));
	}
	t = waiting(k, 3, soon());
	CHECK(result(t) == GORT_ETIMEDOUT && t->v == 55);
	CHECK(!gort_chan_try_send(a, &v) && gort_chan_try_recv(c, &v) == GORT_EAGAIN);
}

static void test_parking(void **state)
{
	(void)state;
	run(parking);
}

/* ---- One channel several times --------------------------------------------------------------- */

static void duplicates(void *arg)
{
	gort_chan *c = ints(0), *d = ints(1);
	int64_t v = 4;
	gort_select_case k[4] = { recv_case(c, NULL), recv_case(d, NULL), recv_case(c, NULL),
		                  recv_case(d, NULL) };
	int seen[4] = { 0 };
	task *t;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		int64_t r;

		t = waiting(k, 4, GORT_FOREVER);
		gort_chan_send(i % 2 ? c : d, &v);
		r = result(t);
		CHECK(r >= 0 && r % 2 == (i % 2 ? 0 : 1) && t->v == 4);
		seen[r & 3]++;
		CHECK(!gort_chan_try_send(c, &v)); /* the other one is gone, too */
	}
	/* Sending and receiving on one channel: two such selects serve each other. */
	for (int i = 0; i < 200; i++) {
		int64_t mine = 100 + i;
		gort_select_case both[2] = { recv_case(c, NULL), send_case(c, NULL) };
		int r;

		t = waiting(both, 2, GORT_FOREVER);
		both[0].elem = &v;
		both[1].elem = &mine;
		r = gort_select(both, 2, GORT_FOREVER);
		CHECK(result(t) == 1 - r);
		if (r == 0)
			CHECK(v == 55);
		else
			CHECK(t->v == 100 + i);
		CHECK(gort_chan_try_recv(c, &v) == GORT_EAGAIN && !gort_chan_try_send(c, &v));
	}
}

static void test_duplicates(void **state)
{
	(void)state;
	run(duplicates);
}

/* ---- Fairness -------------------------------------------------------------------------------- */

/* Among k ready ones each has its share, within 5 standard deviations. */
static void shares(const int *seen, int k, int draws)
{
	double p = 1.0 / k, sd = sqrt(draws * p * (1 - p));

	for (int i = 0; i < k; i++)
		CHECK(fabs(seen[i] - draws * p) < 5 * sd);
}

enum { DRAWS = 20000 };

static void fairness(void *arg)
{
	gort_chan *full[5], *empty = ints(1);
	int64_t v = 1;
	int seen[5] = { 0 };

	(void)arg;
	for (int i = 0; i < 5; i++) {
		full[i] = ints(1);
		gort_chan_send(full[i], &v);
	}
	for (int i = 0; i < DRAWS; i++) {
		/* Ready ones and others in between, in different distances. */
		gort_select_case k[9] = {
			recv_case(full[0], &v), recv_case(empty, &v),   recv_case(NULL, &v),
			recv_case(empty, &v),   recv_case(full[1], &v), recv_case(full[2], &v),
			recv_case(empty, &v),   recv_case(full[3], &v), recv_case(full[4], &v)
		};
		static const int ready[9] = { 0, -1, -1, -1, 1, 2, -1, 3, 4 };
		int r = gort_select(k, 9, i % 2 ? 0 : GORT_FOREVER);

		CHECK(r >= 0 && ready[r] >= 0);
		seen[ready[r]]++;
		gort_chan_send(full[ready[r]], &v);
	}
	shares(seen, 5, DRAWS);
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < DRAWS; i++) { /* of send cases, too */
		gort_select_case k[2] = { recv_case(full[0], &v), send_case(empty, &v) };
		int r = gort_select(k, 2, GORT_FOREVER);

		seen[r]++;
		if (r == 0)
			gort_chan_send(full[0], &v);
		else
			gort_chan_recv(empty, &v);
	}
	shares(seen, 2, DRAWS);
}

static void test_fairness(void **state)
{
	(void)state;
	run(fairness);
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void receive_task(void *arg)
{
	task *t = arg;

	t->result = !gort_chan_recv(t->k->chan, &t->v);
	gort_chan_send(t->done, &t->result);
}

/* Selects and plain receivers stand in one queue, in the order in which they came. */
static void fifo(void *arg)
{
	gort_chan *c = ints(0), *other = ints(0);
	task *t[12];

	(void)arg;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 12; i++) {
			gort_select_case k[2] = { recv_case(other, NULL), recv_case(c, NULL) };

			if (i % 3 == round % 3) {
				t[i] = gort_alloc(sizeof *t[i], 0);
				*t[i] = (task){ gort_alloc(sizeof *k, 0), 1, 0, ints(1), 0, 0 };
				t[i]->k->chan = c;
				gort_go(receive_task, t[i]);
				for (int j = 0; j < 3; j++) /* every 61st time main is first */
					gort_gosched();
			} else {
				t[i] = waiting(k, 2, i % 2 ? GORT_FOREVER : gort_nanotime() + GORT_SECOND);
			}
		}
		for (int64_t i = 0; i < 12; i++)
			gort_chan_send(c, &i);
		for (int64_t i = 0; i < 12; i++) {
			result(t[i]);
			CHECK(t[i]->v == i);
		}
	}
}

static void test_waiters_are_fifo(void **state)
{
	(void)state;
	run_on(1, fifo);
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

static void select_it(void *arg)
{
	task *t = arg;

	t->result = gort_select(t->k, t->n, t->deadline);
}

static void panic_task(void *arg)
{
	task *t = arg;

	t->result = panics(select_it, t, "send on closed channel");
	gort_chan_send(t->done, &t->result);
}

static void misuses(void *arg)
{
	gort_chan *closed = ints(1), *open = ints(0);
	int64_t v = 1;
	gort_select_case k[2] = { send_case(closed, &v), recv_case(open, &v) };
	task t = { k, 2, GORT_FOREVER, ints(1), 0, 0 };
	gort_select_case *many;

	(void)arg;
	gort_chan_close(closed);
	for (size_t n = 1; n <= 2; n++)
		for (int i = 0; i < 3; i++) {
			t.n = n;
			t.deadline = i == 0 ? 0 : i == 1 ? GORT_FOREVER : soon();
			CHECK(panics(select_it, &t, "send on closed channel"));
		}
	t.n = 2;
	k[0].dir = 0;
	CHECK(panics(select_it, &t, "reflect.Select: invalid Dir"));
	many = gort_alloc(65537 * sizeof *many, 0);
	for (int i = 0; i < 65537; i++)
		many[i] = recv_case(open, &v);
	t.k = many;
	t.n = 65537;
	t.deadline = 0;
	CHECK(panics(select_it, &t, "reflect.Select: too many cases (max 65536)"));
	/* Closed under a select that waits. */
	for (int i = 0; i < 10; i++) {
		k[0] = send_case(ints(0), &v);
		t = (task){ k, 2, GORT_FOREVER, ints(1), 0, 0 };
		gort_go(panic_task, &t);
		for (int j = 0; j < i; j++)
			gort_gosched();
		gort_chan_close(k[0].chan);
		CHECK(result(&t) == 1);
		CHECK(!gort_chan_try_send(open, &v));
	}
}

static void test_panics(void **state)
{
	(void)state;
	run(misuses);
}

/* ---- Many cases ------------------------------------------------------------------------------ */

static void many(void *arg)
{
	static const size_t sizes[] = { 2, 15, 16, 17, 18, 100, 1000, 65536 };
	gort_chan **c = gort_alloc(65536 * sizeof *c, 0);
	int64_t v = 6;

	(void)arg;
	for (int i = 0; i < 65536; i++)
		c[i] = i % 7 == 3 ? NULL : i > 10 && i % 5 == 0 ? c[i - 9] : ints(i % 2);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		size_t n = sizes[s], mid = n / 2 % 7 == 3 ? n / 2 + 1 : n / 2;
		gort_select_case *k = gort_alloc(n * sizeof *k, 0);
		int64_t r;
		task *t;

		for (size_t i = 0; i < n; i++)
			k[i] = recv_case(c[i], NULL);
		CHECK(gort_select(k, n, 0) == GORT_EAGAIN);
		CHECK(gort_select(k, n, soon()) == GORT_ETIMEDOUT);
		t = waiting(k, n, GORT_FOREVER);
		if (mid >= n)
			mid = 0;
		if (c[mid] == NULL)
			mid++;
		gort_chan_send(c[mid], &v);
		r = result(t);
		CHECK(r >= 0 && c[r] == c[mid] && t->v == 6);
		for (size_t i = 0; i < n; i += 1 + n / 50)
			CHECK(c[i] == NULL || gort_chan_cap(c[i]) > 0 || !gort_chan_try_send(c[i], &v));
	}
}

static void test_many_cases(void **state)
{
	(void)state;
	run(many);
}

/* ---- The end of a run ------------------------------------------------------------------------ */

static gort_chan *kept[3];

static void leave_waiting(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		if (kept[i] == NULL)
			kept[i] = ints(i == 1);
	for (int i = 0; i < 30; i++) {
		gort_select_case k[5] = { recv_case(kept[0], NULL), recv_case(kept[1], NULL),
			                  send_case(kept[2], NULL), recv_case(NULL, NULL),
			                  recv_case(kept[0], NULL) };

		(void)waiting(k, 5, i % 2 ? GORT_FOREVER : gort_nanotime() + 50 * GORT_SECOND);
	}
}

/* Their channels outlive the run; nobody waits there in the next one. */
static void find_nobody(void *arg)
{
	int64_t v = 1;

	(void)arg;
	CHECK(!gort_chan_try_send(kept[0], &v));
	CHECK(gort_chan_try_send(kept[1], &v));
	CHECK(gort_chan_len(kept[1]) == 1 && gort_chan_recv(kept[1], &v));
	CHECK(gort_chan_try_recv(kept[2], &v) == GORT_EAGAIN);
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
		memset(kept, 0, sizeof kept);
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(gort_runtime_run(rt, leave_waiting, NULL), 0);
			assert_int_equal(gort_runtime_run(rt, find_nobody, NULL), 0);
		}
		assert_int_equal(failures, 0);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* An attached thread after its run: nothing blocks it. */
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
	gort_chan *a, *b;
	int attach, first, until, forever, only_sends, nothing, one;
	bool ok;
	int64_t v;
} guest;

static void guest_thread(void *arg)
{
	int64_t v = 5;
	gort_select_case k[2], s[2];

	(void)arg;
	guest.attach = gort_attach(guest.rt);
	k[0] = send_case(guest.a, &v);
	k[1] = recv_case(guest.b, &v);
	s[0] = send_case(guest.a, &v);
	s[1] = send_case(guest.b, &v);
	reach(1);
	guest.first = gort_select(k, 2, GORT_FOREVER); /* until the run ends */
	guest.ok = k[1].ok;
	guest.v = v;
	guest.until = gort_select(k, 2, gort_nanotime() + GORT_SECOND);
	guest.forever = gort_select(k, 2, GORT_FOREVER);
	guest.only_sends = gort_select(s, 2, GORT_FOREVER);
	guest.one = gort_select(k + 1, 1, GORT_FOREVER);
	guest.nothing = gort_select(NULL, 0, GORT_FOREVER);
	gort_detach();
}

static void main_with_guest(void *arg)
{
	guest.a = ints(0);
	guest.b = ints(0);
	if (be_thread_start(arg, guest_thread, NULL, 0) != 0)
		return;
	gort_entersyscall();
	await(1);
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
		rt_store32_rel(&stage, 0);
		assert_int_equal(gort_runtime_new(&guest.rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(guest.rt, main_with_guest, &t), 0);
		be_thread_join(&t);
		assert_int_equal(guest.attach, 0);
		assert_int_equal(guest.first, 1);
		assert_false(guest.ok);
		assert_int_equal(guest.v, 0);
		assert_int_equal(guest.until, GORT_ECANCELED);
		assert_int_equal(guest.forever, 1);
		assert_int_equal(guest.only_sends, 0);
		assert_int_equal(guest.one, 0);
		assert_int_equal(guest.nothing, GORT_ECANCELED);
		assert_int_equal(gort_runtime_free(guest.rt), 0);
	}
}

/* ---- No memory ------------------------------------------------------------------------------- */

enum { BIG = 65536 };
static gort_select_case big_cases[BIG];
static int big_result;

static void select_big(void *arg)
{
	(void)arg;
	for (int i = 0; i < BIG; i++)
		big_cases[i] = recv_case(NULL, NULL);
	big_cases[0].chan = ints(0);
	big_result = gort_select(big_cases, BIG, 0);
}

static void test_no_memory(void **state)
{
	gort_config cfg;
	gort_runtime *rt;
	char debug[32];
	int refused = 0, r = 1;

	(void)state;
	for (int n = 1; n < 200; n++) {
		snprintf(debug, sizeof debug, "oomfail=%d", n);
		gort_config_init(&cfg);
		cfg.flags |= GORT_SCAN_DATA;
		cfg.procs = 1;
		cfg.debug = debug;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		big_result = 0;
		r = gort_runtime_run(rt, select_big, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		assert_int_equal(gort_runtime_free(rt), 0);
		if (r == 0)
			break;
		refused++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(big_result, GORT_EAGAIN);
	assert_true(refused > 0);
}

/* ---- Traces ---------------------------------------------------------------------------------- */

static struct {
	uint64_t index[8], cases[8];
	int n, before; /* selects; how often the case's own event came right before */
	uint32_t last;
	uint64_t last_chan;
} seen;

static void on_event(void *data, const gort_event *e, size_t n)
{
	(void)data;
	for (; n > 0; n--, e++) {
		if (e->id == GORT_EV_SELECT && seen.n < 8) {
			seen.index[seen.n] = e->args[0];
			seen.cases[seen.n++] = e->args[1];
			seen.before += seen.last == GORT_EV_CHAN_RECV;
		}
		seen.last = e->id;
	}
}

static void traced(void *arg)
{
	gort_trace_listener l = { sizeof l, GORT_TRACE_SYNC, on_event, NULL, NULL, NULL };
	gort_chan *a = ints(1), *b = ints(1);
	int64_t v = 1;
	gort_select_case k[3] = { recv_case(a, &v), recv_case(NULL, &v), recv_case(b, &v) };

	CHECK(gort_trace_start(arg, &l) == 0);
	gort_chan_send(b, &v);
	CHECK(gort_select(k, 3, GORT_FOREVER) == 2);
	CHECK(gort_select(k, 3, 0) == GORT_EAGAIN);
	gort_chan_send(a, &v);
	CHECK(gort_select(k, 3, 0) == 0);
	gort_chan_send(a, &v);
	CHECK(gort_select(k, 1, 0) == 0);
	CHECK(gort_trace_stop(arg) == 0);
}

static void test_events(void **state)
{
	static const uint64_t index[] = { 2, 0, 0 }, cases[] = { 3, 3, 1 };
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
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.before, 3);
	assert_memory_equal(seen.index, index, sizeof index);
	assert_memory_equal(seen.cases, cases, sizeof cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_case_and_one),
		cmocka_unit_test(test_forever),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_parking),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_fairness),
		cmocka_unit_test(test_waiters_are_fifo),
		cmocka_unit_test(test_panics),
		cmocka_unit_test(test_many_cases),
		cmocka_unit_test(test_end_of_run),
		cmocka_unit_test(test_attached_after_the_run),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
