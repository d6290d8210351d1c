/* Contract of backends/netpoll/netpoll.h, for whichever implementation is linked.
 *
 * No test waits for a time to pass: each wait ends by a break or an event, or must not wait at all. A lost one would
 * hang the test, which the runner's time limit reports. Waits may return early, so elapsed times are not looked at; and
 * events may come that nobody asked for, so that there are none is not looked at either. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/netpoll/netpoll.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "tests/support/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <poll.h>
#endif

enum { ROUNDS = 20000, LOOKED = 2000, MANY = 200, FEW = 16, CHUNK = 65536 };

static be_netpoll np;
static rt_atomic32 asked, answered, done;

/* ---- Life ------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
	(void)state;
	rt_store32_rlx(&done, 0);
	return be_netpoll_init(&np);
}

/* The same, with what the kernel keeps; tests of this kind begin with `need`. */
static int set_up_started(void **state)
{
	int err;

	set_up(state);
	err = be_netpoll_start(&np);
	*state = err == -ENOTSUP ? &np : NULL;
	return err == 0 || err == -ENOTSUP ? 0 : err;
}

static int tear_down(void **state)
{
	(void)state;
	be_netpoll_fini(&np);
	return 0;
}

static void need(void **state)
{
	if (*state != NULL) {
		print_message("%s watches no descriptors\n", be_netpoll_name);
		skip();
	}
}

static void test_name(void **state)
{
	(void)state;
	assert_true(strlen(be_netpoll_name) > 0);
}

static void test_start(void **state)
{
	be_pollfd d = { .fd = 0 };

	if (*state != NULL) {
		assert_int_equal(be_netpoll_open(&np, &d), -ENOTSUP);
		return;
	}
	assert_int_equal(be_netpoll_start(&np), 0);
}

/* ---- Breaks ---------------------------------------------------------------------------------------- */

static void test_look_only(void **state)
{
	be_pollevent events[FEW];

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(be_netpoll_wait(&np, events, FEW, 0), 0);
}

/* A break before the wait counts, for one wait however often it was asked for. */
static void test_break_is_kept(void **state)
{
	be_pollevent events[FEW];

	(void)state;
	for (int i = 0; i < 100; i++) {
		be_netpoll_break(&np);
		be_netpoll_break(&np);
		assert_int_equal(rt_load32_acq(&np.word), 1);
		assert_int_equal(be_netpoll_wait(&np, events, FEW, -1), 0);
		assert_int_equal(rt_load32_acq(&np.word), 0);
	}
	be_netpoll_break(&np);
	assert_int_equal(be_netpoll_wait(&np, events, FEW, 0), 0); /* a look leaves it */
	assert_int_equal(rt_load32_acq(&np.word), 1);
	assert_int_equal(be_netpoll_wait(&np, events, FEW, -1), 0);
	assert_int_equal(rt_load32_acq(&np.word), 0);
}

/* Time is up: it returns without a break. */
static void test_times_out(void **state)
{
	be_pollevent events[FEW];

	(void)state;
	assert_int_equal(be_netpoll_wait(&np, events, FEW, 1), 0);
	assert_int_equal(be_netpoll_wait(&np, events, FEW, 1000000), 0);
}

/* Each break lets the waiter see what was written before it. */
static void breaker(void *arg)
{
	uint32_t rounds = *(uint32_t *)arg;

	for (uint32_t i = 1; i <= rounds; i++) {
		rt_store32_rlx(&asked, i);
		be_netpoll_break(&np);
		while (rt_load32_acq(&answered) != i)
			be_thread_yield();
	}
}

static void answer(uint32_t rounds)
{
	be_pollevent events[FEW];
	be_thread t;

	rt_store32_rlx(&asked, 0);
	rt_store32_rlx(&answered, 0);
	assert_int_equal(be_thread_start(&t, breaker, &rounds, 0), 0);
	for (uint32_t i = 1; i <= rounds; i++) {
		while (rt_load32_rlx(&asked) != i)
			be_netpoll_wait(&np, events, FEW, -1); /* may return early */
		rt_store32_rel(&answered, i);
	}
	be_thread_join(&t);
}

static void test_no_break_is_lost(void **state)
{
	(void)state;
	answer(ROUNDS);
}

/* Nor do looks beside the waiter take one. */
static void looker(void *arg)
{
	be_pollevent events[FEW];

	(void)arg;
	while (rt_load32_acq(&done) == 0) {
		be_netpoll_wait(&np, events, FEW, 0);
		be_thread_yield();
	}
}

static void test_looks_take_no_break(void **state)
{
	be_thread t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(be_thread_start(&t[i], looker, NULL, 0), 0);
	answer(LOOKED);
	rt_store32_rel(&done, 1);
	for (int i = 0; i < 2; i++)
		be_thread_join(&t[i]);
}

/* Breaks by many threads at once. */
static rt_atomic32 left;

static void one_of_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		be_netpoll_break(&np);
	rt_add32_full(&left, (uint32_t)-1);
	be_netpoll_break(&np);
}

static void test_many_breakers(void **state)
{
	be_pollevent events[FEW];
	be_thread threads[4];

	(void)state;
	rt_store32_rlx(&left, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(be_thread_start(&threads[i], one_of_many, NULL, 0), 0);
	while (rt_load32_acq(&left) > 0)
		be_netpoll_wait(&np, events, FEW, -1);
	for (int i = 0; i < 4; i++)
		be_thread_join(&threads[i]);
}

/* A waiter that begins before the start and ends behind it, whichever of both waits it is in when the break comes. */
static void wait_till_done(void *arg)
{
	be_pollevent events[FEW];

	(void)arg;
	while (rt_load32_acq(&done) == 0)
		be_netpoll_wait(&np, events, FEW, -1);
}

static void test_start_beside_waiter(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		be_thread t;
		int err;

		rt_store32_rlx(&done, 0);
		assert_int_equal(be_netpoll_init(&np), 0);
		assert_int_equal(be_thread_start(&t, wait_till_done, NULL, 0), 0);
		for (int j = 0; j < i % 4; j++)
			be_thread_yield();
		err = be_netpoll_start(&np);
		assert_true(err == 0 || err == -ENOTSUP);
		rt_store32_rel(&done, 1);
		be_netpoll_break(&np);
		be_thread_join(&t);
		be_netpoll_fini(&np);
	}
	assert_int_equal(be_netpoll_init(&np), 0); /* for tear_down */
}

/* ---- Descriptors ----------------------------------------------------------------------------------- */

typedef struct end { /* of a connection; its place in `ends` is its tag */
	be_pollfd d;
	rt_atomic32 ready; /* BE_POLL_*, since it was last cleared */
} end;

static end ends[2 * MANY];
static char buf[CHUNK];

static void note(const be_pollevent *events, int n)
{
	for (int i = 0; i < n; i++) {
		rt_atomic32 *ready;
		uint32_t was;

		assert_true(events[i].tag < RT_NELEM(ends));
		ready = &ends[events[i].tag].ready;
		do
			was = rt_load32_rlx(ready);
		while (!rt_cas32_full(ready, was, was | events[i].what));
	}
}

static int collect(int max, int64_t ns)
{
	be_pollevent events[FEW];
	int n = be_netpoll_wait(&np, events, max, ns);

	assert_in_range(n, 0, max);
	note(events, n);
	return n;
}

static void until(const end *e, unsigned what)
{
	while ((rt_load32_acq(&e->ready) & what) == 0)
		collect(FEW, -1);
}

static void adopt(int i, intptr_t fd)
{
	ends[i].d = (be_pollfd){ .fd = fd, .tag = (uint64_t)i };
	rt_store32_rlx(&ends[i].ready, 0);
	assert_int_equal(be_netpoll_open(&np, &ends[i].d), 0);
}

static void pair(int i)
{
	intptr_t fds[2];

	make_pair(fds);
	adopt(i, fds[0]);
	adopt(i + 1, fds[1]);
}

static void drop(int i)
{
	be_netpoll_close(&np, &ends[i].d);
	be_io_close(ends[i].d.fd, BE_IO_SOCKET);
}

static void clear(end *e)
{
	rt_store32_rel(&e->ready, 0);
}

static void arm(end *e, unsigned what)
{
	assert_int_equal(be_netpoll_arm(&np, &e->d, what), 0);
}

/* As who uses them does it: try; if that would block, arm, wait, and try again. */
static intptr_t get(end *e, void *to, size_t n)
{
	for (;;) {
		intptr_t r;

		clear(e);
		r = be_io_read(e->d.fd, BE_IO_SOCKET, to, n);
		if (r != -EAGAIN)
			return r;
		arm(e, BE_POLL_READ);
		until(e, BE_POLL_READ);
	}
}

/* One that would block, and is armed. */
static void get_nothing(end *e)
{
	clear(e);
	assert_int_equal(be_io_read(e->d.fd, BE_IO_SOCKET, buf, 1), -EAGAIN);
	arm(e, BE_POLL_READ);
}

static void put(const end *e, const char *text)
{
	assert_int_equal(be_io_write(e->d.fd, BE_IO_SOCKET, text, strlen(text)), strlen(text));
}

/* Until it would block; how much that was. */
static size_t fill(end *e)
{
	size_t sum = 0;
	intptr_t r;

	clear(e);
	while ((r = be_io_write(e->d.fd, BE_IO_SOCKET, buf, sizeof buf)) > 0)
		sum += (size_t)r;
	assert_int_equal(r, -EAGAIN);
	arm(e, BE_POLL_WRITE);
	return sum;
}

static void test_readable(void **state)
{
	need(state);
	pair(0);
	get_nothing(&ends[0]);
	put(&ends[1], "a");
	until(&ends[0], BE_POLL_READ);
	assert_int_equal(get(&ends[0], buf, 2), 1);
	assert_int_equal(buf[0], 'a');
	drop(0);
	drop(1);
}

/* What is there when it is armed is reported as well. */
static void test_readable_at_once(void **state)
{
	need(state);
	pair(0);
	clear(&ends[0]);
	assert_int_equal(be_io_read(ends[0].d.fd, BE_IO_SOCKET, buf, 1), -EAGAIN);
	put(&ends[1], "a");
	arm(&ends[0], BE_POLL_READ);
	until(&ends[0], BE_POLL_READ);
	assert_int_equal(get(&ends[0], buf, 1), 1);
	drop(0);
	drop(1);
}

/* A look reports, too. */
static void test_look_reports(void **state)
{
	need(state);
	pair(0);
	get_nothing(&ends[0]);
	put(&ends[1], "a");
	while ((rt_load32_acq(&ends[0].ready) & BE_POLL_READ) == 0) {
		collect(FEW, 0);
		be_thread_yield();
	}
	drop(0);
	drop(1);
}

static void test_armed_again(void **state)
{
	need(state);
	pair(0);
	for (int i = 0; i < 500; i++) {
		end *a = &ends[i & 1], *b = &ends[~i & 1];

		get_nothing(a);
		if (i % 3 == 0)
			arm(a, BE_POLL_READ); /* once more while it is armed: no harm */
		put(b, "xy");
		until(a, BE_POLL_READ);
		assert_int_equal(get(a, buf, 1), 1);
		assert_int_equal(get(a, buf, 1), 1);
	}
	drop(0);
	drop(1);
}

static void test_writable(void **state)
{
	need(state);
	pair(0);
	for (int i = 0; i < 3; i++) {
		size_t sum = fill(&ends[0]);

		while (sum > 0) {
			intptr_t r = get(&ends[1], buf, sizeof buf);

			assert_true(r > 0 && (size_t)r <= sum);
			sum -= (size_t)r;
		}
		until(&ends[0], BE_POLL_WRITE);
		put(&ends[0], "more");
		assert_int_equal(get(&ends[1], buf, 4), 4);
	}
	drop(0);
	drop(1);
}

/* Both directions at once do not get in each other's way. */
static void test_both_directions(void **state)
{
	size_t sum;

	need(state);
	pair(0);
	get_nothing(&ends[0]);
	sum = fill(&ends[0]);
	rt_store32_rel(&ends[0].ready, 0);
	put(&ends[1], "a");
	until(&ends[0], BE_POLL_READ);
	assert_int_equal(be_io_read(ends[0].d.fd, BE_IO_SOCKET, buf, 1), 1);
	arm(&ends[0], BE_POLL_READ | BE_POLL_WRITE);
	while (sum > 0)
		sum -= (size_t)get(&ends[1], buf, sizeof buf);
	until(&ends[0], BE_POLL_WRITE);
	put(&ends[1], "b");
	assert_int_equal(get(&ends[0], buf, 2), 1);
	drop(0);
	drop(1);
}

static void test_end_of_input(void **state)
{
	need(state);
	pair(0);
	get_nothing(&ends[0]);
	assert_int_equal(be_io_shutdown(ends[1].d.fd), 0);
	until(&ends[0], BE_POLL_READ);
	assert_int_equal(get(&ends[0], buf, 1), 0);
	put(&ends[0], "still");
	assert_int_equal(get(&ends[1], buf, 5), 5);
	drop(0);
	drop(1);
}

/* The peer goes and leaves what was sent to it unread: the connection is reset, and whoever waits here is told, reader
 * and writer. */
static void test_hang_up(void **state)
{
	intptr_t r;

	need(state);
	pair(0);
	get_nothing(&ends[0]);
	fill(&ends[0]);
	rt_store32_rel(&ends[0].ready, 0);
	drop(1);
	until(&ends[0], BE_POLL_READ);
	until(&ends[0], BE_POLL_WRITE);
	while ((r = be_io_write(ends[0].d.fd, BE_IO_SOCKET, buf, 1)) == -EAGAIN) {
		clear(&ends[0]);
		arm(&ends[0], BE_POLL_WRITE);
		until(&ends[0], BE_POLL_WRITE);
	}
	assert_true(r < 0);
	drop(0);
}

static void test_listener(void **state)
{
	be_ioaddr at;
	bool pending;
	intptr_t s;

	need(state);
	adopt(0, listen_any(&at));
	clear(&ends[0]);
	assert_int_equal(be_io_accept(ends[0].d.fd), -EAGAIN);
	arm(&ends[0], BE_POLL_READ);
	s = be_io_dial(&at, &pending);
	assert_true(s >= 0);
	adopt(1, s);
	until(&ends[0], BE_POLL_READ);
	adopt(2, accept_one(ends[0].d.fd));
	while ((s = be_io_connected(ends[1].d.fd)) == -EAGAIN) {
		clear(&ends[1]);
		arm(&ends[1], BE_POLL_WRITE);
		until(&ends[1], BE_POLL_WRITE);
	}
	assert_int_equal(s, 0);
	put(&ends[1], "hello");
	assert_int_equal(get(&ends[2], buf, 9), 5);
	drop(0);
	drop(1);
	drop(2);
}

static void test_refused(void **state)
{
	be_ioaddr at = nobody();
	bool pending;
	intptr_t s;
	int r;

	need(state);
	s = be_io_dial(&at, &pending);
	if (s < 0) {
		assert_int_equal(s, -ECONNREFUSED);
		return;
	}
	adopt(0, s);
	while ((r = be_io_connected(s)) == -EAGAIN) {
		clear(&ends[0]);
		arm(&ends[0], BE_POLL_WRITE);
		until(&ends[0], BE_POLL_WRITE);
	}
	assert_int_equal(r, -ECONNREFUSED);
	drop(0);
}

/* More events than a wait can report. */
static void test_many(void **state)
{
	intptr_t fds[2], l;
	be_ioaddr at;

	need(state);
	l = listen_any(&at);
	for (int i = 0; i < MANY; i++) {
		connect_pair(l, &at, fds);
		adopt(2 * i, fds[0]);
		adopt(2 * i + 1, fds[1]);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			get_nothing(&ends[2 * i]);
		for (int i = 0; i < MANY; i++)
			put(&ends[2 * i + 1], "a");
		for (int i = 0; i < MANY; i++)
			until(&ends[2 * i], BE_POLL_READ);
		for (int i = 0; i < MANY; i++)
			assert_int_equal(get(&ends[2 * i], buf, 2), 1);
	}
	for (int i = 0; i < 2 * MANY; i++)
		drop(i);
	be_io_close(l, BE_IO_SOCKET);
}

/* Descriptors come and go, armed, while a thread waits. */
static void waiter(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&done) == 0)
		collect(FEW, -1);
}

static void look_and_note(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&done) == 0) {
		collect(FEW, 0);
		be_thread_yield();
	}
}

/* Another thread collects it. */
static void await(const end *e, unsigned what)
{
	while ((rt_load32_acq(&e->ready) & what) == 0)
		be_thread_yield();
}

static void end_of(be_thread *t)
{
	rt_store32_rel(&done, 1);
	be_netpoll_break(&np);
	be_thread_join(t);
}

static void test_close_beside_waiter(void **state)
{
	be_thread t;

	need(state);
	assert_int_equal(be_thread_start(&t, waiter, NULL, 0), 0);
	for (int i = 0; i < 200; i++) {
		int at = i % 8 * 2;

		pair(at);
		get_nothing(&ends[at]);
		get_nothing(&ends[at + 1]);
		if (i % 2 == 0)
			put(&ends[at + 1], "a");
		drop(at);
		drop(at + 1);
	}
	/* The waiter is well, and what is open now is reported. */
	pair(0);
	get_nothing(&ends[0]);
	put(&ends[1], "a");
	await(&ends[0], BE_POLL_READ);
	drop(0);
	drop(1);
	end_of(&t);
}

#ifndef _WIN32
/* The other side sees the end, though nothing else wakes who waits: the system may keep open what it polls. */
static void test_closed_for_the_other_side(void **state)
{
	be_thread t;

	need(state);
	assert_int_equal(be_thread_start(&t, waiter, NULL, 0), 0);
	for (int i = 0; i < 50; i++) {
		struct pollfd other = { .events = POLLIN };

		pair(0);
		other.fd = (int)ends[1].d.fd;
		get_nothing(&ends[0]);
		for (int k = 0; k < 20; k++) /* most of the times the waiter waits by then */
			be_thread_yield();
		drop(0);
		assert_int_equal(poll(&other, 1, 60000), 1);
		drop(1);
	}
	end_of(&t);
}
#endif

/* Who is about to wait for one that is closed in this moment does no harm to those that are open. */
static be_pollfd victim;

static void arm_on(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&done) == 0) {
		rt_add32_full(&left, be_netpoll_arm(&np, &victim, BE_POLL_READ | BE_POLL_WRITE) != 0);
		be_thread_yield();
	}
}

static void test_arm_beside_close(void **state)
{
	need(state);
	rt_store32_rlx(&left, 0);
	for (int i = 0; i < 50; i++) {
		intptr_t fds[2];
		be_thread t;

		make_pair(fds);
		victim = (be_pollfd){ .fd = fds[0], .tag = 2 };
		assert_int_equal(be_netpoll_open(&np, &victim), 0);
		rt_store32_rlx(&done, 0);
		assert_int_equal(be_thread_start(&t, arm_on, NULL, 0), 0);
		be_thread_yield();
		be_netpoll_close(&np, &victim);
		be_io_close(fds[0], BE_IO_SOCKET);
		be_io_close(fds[1], BE_IO_SOCKET);
		pair(0); /* with the number, and the memory, of the other */
		for (int j = 0; j < 4; j++) {
			get_nothing(&ends[j & 1]);
			put(&ends[~j & 1], "a");
			assert_int_equal(get(&ends[j & 1], buf, 2), 1);
		}
		drop(0);
		drop(1);
		rt_store32_rel(&done, 1);
		be_thread_join(&t);
	}
	assert_int_equal(rt_load32_acq(&left), 0); /* it says 0 */
}

/* Each event reaches somebody, whether who waits or who looks takes it. */
static void test_looks_beside_waiter(void **state)
{
	be_thread w, l;

	need(state);
	pair(0);
	assert_int_equal(be_thread_start(&w, waiter, NULL, 0), 0);
	assert_int_equal(be_thread_start(&l, look_and_note, NULL, 0), 0);
	for (int i = 0; i < 500; i++) {
		end *a = &ends[i & 1], *b = &ends[~i & 1];

		get_nothing(a);
		put(b, "a");
		await(a, BE_POLL_READ);
		clear(a);
		while (be_io_read(a->d.fd, BE_IO_SOCKET, buf, 1) != 1) { /* an event without a reason */
			arm(a, BE_POLL_READ);
			await(a, BE_POLL_READ);
			clear(a);
		}
	}
	end_of(&w);
	be_thread_join(&l);
	drop(0);
	drop(1);
}

static void test_file(void **state)
{
	be_pollfd d = { .tag = 1 };
	char name[64];

	need(state);
	snprintf(name, sizeof name, "netpoll-%s.tmp", be_netpoll_name);
	d.fd = be_io_open(name, "w+");
	assert_true(d.fd >= 0);
	assert_int_equal(be_netpoll_open(&np, &d), -EPERM);
	be_io_close(d.fd, BE_IO_FILE);
	assert_int_equal(remove(name), 0);
}

static void test_closed(void **state)
{
	be_pollfd d = { .tag = 1 };
	be_ioaddr at;

	need(state);
	d.fd = listen_any(&at);
	be_io_close(d.fd, BE_IO_SOCKET);
	assert_int_equal(be_netpoll_open(&np, &d), -EBADF);
}

/* What is armed when all ends is forgotten. */
static void test_fini_while_armed(void **state)
{
	need(state);
	for (int i = 0; i < 10; i++) {
		pair(0);
		get_nothing(&ends[0]);
		get_nothing(&ends[1]);
		drop(0);
		drop(1);
		be_netpoll_fini(&np);
		assert_int_equal(be_netpoll_init(&np), 0);
		assert_int_equal(be_netpoll_start(&np), 0);
	}
}

#define FRESH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define STARTED(f) { #f " (started)", f, set_up_started, tear_down, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_name),
		FRESH(test_look_only),
		FRESH(test_break_is_kept),
		FRESH(test_times_out),
		FRESH(test_no_break_is_lost),
		FRESH(test_looks_take_no_break),
		FRESH(test_many_breakers),
		FRESH(test_start_beside_waiter),
		STARTED(test_start),
		STARTED(test_look_only),
		STARTED(test_break_is_kept),
		STARTED(test_times_out),
		STARTED(test_no_break_is_lost),
		STARTED(test_looks_take_no_break),
		STARTED(test_many_breakers),
		STARTED(test_readable),
		STARTED(test_readable_at_once),
		STARTED(test_look_reports),
		STARTED(test_armed_again),
		STARTED(test_writable),
		STARTED(test_both_directions),
		STARTED(test_end_of_input),
		STARTED(test_hang_up),
		STARTED(test_listener),
		STARTED(test_refused),
		STARTED(test_many),
		STARTED(test_close_beside_waiter),
#ifndef _WIN32
		STARTED(test_closed_for_the_other_side),
#endif
		STARTED(test_arm_beside_close),
		STARTED(test_looks_beside_waiter),
		STARTED(test_file),
		STARTED(test_closed),
		STARTED(test_fini_while_armed),
	};

	if (be_io_start() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
