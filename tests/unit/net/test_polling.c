/* Who polls: threads that wait for what comes from outside, and who is called for what has come. */
#include "core/net/conn.h"
#include "core/sched/internal.h"
#include "tests/support/connections.h"

#include "backends/io/io.h"
#include "backends/netpoll/netpoll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <unistd.h>
#endif

static gort_waitgroup done;

/* ---- Deadlocks ------------------------------------------------------------------------------------- */

static gort_runtime *outer;
static rt_atomic32 port;

/* A thread of the host's: nobody in the runtime is awake when it connects. */
static void comes_from_outside(void *arg)
{
	char at[32];
	bool pending = false;
	be_ioaddr a;
	intptr_t fd;

	(void)arg;
	while (rt_load32_acq(&port) == 0 ||
	       rt_load32_acq(&outer->sched.npidle) < (uint32_t)rt_gomaxprocs(outer))
		be_thread_yield();
	snprintf(at, sizeof at, "127.0.0.1:%u", rt_load32_acq(&port));
	if (be_io_resolve("tcp", at, false, false, &a, 1) != 1 || (fd = be_io_dial(&a, &pending)) < 0)
		abort();
	while (pending && be_io_connected(fd) == -EAGAIN)
		be_thread_yield();
	be_io_close(fd, BE_IO_SOCKET);
}

/* Returns on the M that was waiting for descriptors; the others sleep. */
static gort_conn *meet(void)
{
	gort_listener *l;
	gort_conn *c;
	char at[64];

	CHECK(gort_listen(&l, "tcp", "127.0.0.1:0") == 0);
	CHECK(gort_listener_address(l, at, sizeof at) == 0);
	rt_store32_rel(&port, (uint32_t)atoi(strrchr(at, ':') + 1));
	CHECK(gort_accept(&c, l) == 0);
	return c;
}

static void all_asleep(void *arg)
{
	gort_conn *c = meet();
	char b;

	(void)arg;
	CHECK(gort_conn_read(c, &b, 1) == 0);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int32_t), 0), &b); /* open, but nobody waits for it */
}

static void from_outside(int procs, const char *debug, gort_func fn, int expected)
{
	be_thread t;
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.debug = debug;
	rt_store32_rlx(&failures, 0);
	rt_store32_rlx(&port, 0);
	done = (gort_waitgroup){0};
	assert_int_equal(gort_runtime_new(&outer, &cfg), 0);
	assert_int_equal(be_thread_start(&t, comes_from_outside, NULL, 0), 0);
	assert_int_equal(gort_runtime_run(outer, fn, NULL), expected);
	be_thread_join(&t);
	assert_int_equal(gort_runtime_free(outer), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%d P, %s: %s", procs, debug, first_failure);
}

static void test_deadlock(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++)
		from_outside(procs, NULL, all_asleep, GORT_EDEADLOCK);
}

/* Both Ps are idle, and one thread waits for a descriptor and for a timer that is far away. It leaves for the
 * descriptor, and computes until the timer has come: somebody else must run that. */
static rt_atomic32 slept;
static gort_conn *watching_conn;

static void sleeps_meanwhile(void *arg)
{
	(void)arg;
	gort_sleep(40 * GORT_MILLISECOND);
	rt_store32_rel(&slept, 1);
	gort_waitgroup_done(&done);
}

static void computes(void *arg)
{
	char b;

	(void)arg;
	rt_store32_rlx(&slept, 0);
	gort_waitgroup_add(&done, 1);
	gort_go(sleeps_meanwhile, NULL);
	watching_conn = meet();
	while (rt_load32_acq(&slept) == 0)
		;
	gort_waitgroup_wait(&done);
	CHECK(gort_conn_read(watching_conn, &b, 0) == 0);
	CHECK(gort_conn_read(watching_conn, &b, 1) == 0);
	watching_conn = NULL;
}

static void test_timer_beside(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		from_outside(2, "asyncpreemptoff=1", computes, 0); /* nobody takes its turn away */
}

/* ---- A machine without a CPU for one thread more ---------------------------------------------------- */

enum { HANDLERS = 3 };

static pair pairs[HANDLERS];
static rt_atomic32 handled;

/* The first one computes until another one has run. */
static void handles(void *arg)
{
	int64_t last;
	char b;

	CHECK(gort_conn_read(arg, &b, 1) == 1);
	last = gort_nanotime() + 20 * GORT_SECOND;
	if (rt_add32_full(&handled, 1) == 0)
		while (rt_load32_acq(&handled) == 1 && gort_nanotime() < last)
			;
	CHECK(rt_load32_acq(&handled) > 1);
	gort_waitgroup_done(&done);
}

static void begin_handlers(void)
{
	outer = rt_self()->rt;
	done = (gort_waitgroup){0};
	rt_store32_rlx(&handled, 0);
	rt_store32_rlx(&outer->sched.crowded, outer->debug.crowd == 1); /* before sysmon's first look */
	gort_waitgroup_add(&done, HANDLERS);
	for (int i = 0; i < HANDLERS; i++) {
		pairs[i] = connect_pair();
		CHECK(gort_go(handles, pairs[i].there) == 0);
	}
	YIELD_UNTIL(rt_load32_acq(&outer->sched.pollwaiters) == HANDLERS);
}

static void call_handlers(int n)
{
	for (int i = 0; i < n; i++)
		CHECK(gort_conn_write(pairs[i].here, "", 1) == 1);
}

static void end_handlers(void)
{
	gort_waitgroup_wait(&done);
	for (int i = 0; i < HANDLERS; i++)
		close_pair(&pairs[i]);
}

/* One poller is told of all of them. */
static void a_batch(void *arg)
{
	gort_conn *c;

	(void)arg;
	begin_handlers();
	c = meet();
	call_handlers(HANDLERS);
	end_handlers();
	(void)gort_conn_close(c);
}

/* Nobody polls while this computes. */
static void unasked(void *arg)
{
	gort_conn *c;
	int64_t last;

	(void)arg;
	begin_handlers();
	c = meet();
	rt_store32_rel(&handled, 1);
	call_handlers(1);
	last = gort_nanotime() + 20 * GORT_SECOND;
	while (rt_load32_acq(&handled) == 1 && gort_nanotime() < last)
		;
	CHECK(rt_load32_acq(&handled) == 2);
	for (int i = 1; i < HANDLERS; i++)
		CHECK(gort_conn_write(pairs[i].here, "", 1) == 1);
	end_handlers();
	(void)gort_conn_close(c);
}

static rt_atomicptr lying;

static bool told(rt_g *gp, void *arg)
{
	rt_storeptr_rel(&lying, gp);
	return true;
}

static void lies(void *arg)
{
	RT_ENTER();
	rt_gopark(told, NULL, RT_WAIT_IO, NULL);
	rt_leave();
	rt_store32_rel(&handled, 1);
}

/* As a poller leaves it, without a call to anybody: the other M was on its way to wait for events and is there now. */
static void left_in_the_ring(void *arg)
{
	int64_t last;

	(void)arg;
	begin_handlers();
	rt_storeptr_rel(&lying, NULL);
	CHECK(gort_go(lies, NULL) == 0);
	YIELD_UNTIL(rt_loadptr_acq(&lying) != NULL);
	last = gort_nanotime() + 20 * GORT_SECOND;
	while ((rt_load32_acq(&outer->sched.npidle) == 0 || !rt_load32_acq(&outer->sched.polling)) &&
	       gort_nanotime() < last)
		;
	{
		RT_ENTER();
		rt_g *gp = rt_loadptr_acq(&lying);

		rt_runnable(gp);
		rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
		(void)rt_runq_put(rt_self()->p, gp, false, outer);
		rt_leave();
	}
	while (rt_load32_acq(&handled) == 0 && gort_nanotime() < last)
		;
	CHECK(rt_load32_acq(&handled) == 1);
	call_handlers(HANDLERS);
	end_handlers();
}

/* No slice ends: only sysmon's patience does. */
static void test_crowd(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		from_outside(2, "asyncpreemptoff=1,slice=1000000000,crowd=1", a_batch, 0);
		from_outside(2, "asyncpreemptoff=1,slice=1000000000,crowd=1", unasked, 0);
		assert_int_equal(try_on(2, "asyncpreemptoff=1,slice=1000000000,crowd=1", left_in_the_ring, NULL), 0);
		from_outside(2, "asyncpreemptoff=1,slice=1000000000,crowd=0", a_batch, 0);
		from_outside(3, "asyncpreemptoff=1,slice=1000000000", unasked, 0);
	}
}

/* ---- Closed between a try and its wait --------------------------------------------------------------- */

#ifndef _WIN32
static rt_fd *trying, *following;
static int spare[2];

/* Stands for another thread as well, which closes it just now and opens the next one. */
static intptr_t meanwhile(intptr_t fd, int kind, void *arg)
{
	(void)fd, (void)kind, (void)arg;
	CHECK(rt_fd_close(trying) == 0);
	CHECK(rt_fd_take(following, spare[0], false, true) == 0);
	return -EAGAIN;
}

static intptr_t reads_one(intptr_t fd, int kind, void *arg)
{
	return be_io_read(fd, kind, arg, 1);
}

/* It waits for nobody else's descriptor, and takes nobody's event. */
static void closed_in_a_try(void *arg)
{
	int ends[2];
	char b = 0;

	(void)arg;
	for (int i = 0; i < 10; i++) {
		void *one = gort_alloc(16, 0), *two = gort_alloc(16, 0);

		CHECK(pipe(ends) == 0 && pipe(spare) == 0);
		RT_ENTER();
		trying = rt_fd_make(one);
		following = rt_fd_make(two);
		CHECK(rt_fd_take(trying, ends[0], false, true) == 0);
		CHECK(rt_fd_do(trying, 0, meanwhile, NULL, 0, gort_nanotime() + 5 * GORT_SECOND) == GORT_ECLOSED);
		CHECK(write(spare[1], "x", 1) == 1);
		CHECK(rt_fd_do(following, 0, reads_one, &b, 1, GORT_FOREVER) == 1 && b == 'x');
		CHECK(rt_fd_close(following) == 0);
		RT_KEEP(one);
		RT_KEEP(two);
		rt_leave();
		close(ends[1]);
		close(spare[1]);
	}
}

static void test_closed_in_a_try(void **state)
{
	(void)state;
	run_all(closed_in_a_try);
}
#endif

/* ---- Under a seed ---------------------------------------------------------------------------------- */

static gort_chan *heard;
static pair ends;

static void hears(void *arg)
{
	int64_t deadline = (int64_t)(intptr_t)arg, got;
	char b;

	got = gort_conn_read_until(ends.there, &b, 1, deadline != GORT_FOREVER ? gort_nanotime() + deadline : deadline);
	gort_chan_send(heard, &got);
}

static int64_t ask(bool yields)
{
	int64_t got = 0;

	while (gort_chan_try_recv(heard, &got) == GORT_EAGAIN)
		if (yields)
			gort_gosched();
	return got;
}

/* Alone, it asks and never waits: nobody sleeps in the poller, and no choice is made. */
static void asks_alone(void *arg)
{
	(void)arg;
	heard = gort_chan_make(GORT_TYPE(int64_t), 1);
	ends = connect_pair();
	for (int i = 0; i < 4; i++) {
		CHECK(gort_go(hears, (void *)(intptr_t)GORT_FOREVER) == 0);
		for (int k = 0; k < 10; k++)
			gort_gosched(); /* it waits now */
		CHECK(gort_conn_write(ends.here, "x", 1) == 1);
		CHECK(ask(i % 2 == 0) == 1);
		CHECK(gort_go(hears, (void *)(intptr_t)(20 * GORT_MILLISECOND)) == 0);
		CHECK(ask(i % 2 == 0) == GORT_ETIMEDOUT);
	}
	close_pair(&ends);
}

static void test_who_asks_under_a_seed(void **state)
{
	(void)state;
	for (int seed = 1; seed <= 10; seed++) {
		gort_config cfg;
		gort_runtime *rt;

		rt_store32_rlx(&failures, 0);
		gort_config_init(&cfg);
		cfg.seed = (uint64_t)seed;
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(rt, asks_alone, NULL), 0);
		assert_int_equal(gort_runtime_free(rt), 0);
		if (rt_load32_acq(&failures) > 0)
			fail_msg("seed %d: %s", seed, first_failure);
	}
}

/* A timer at the end of time, and one that comes from a thread while somebody waits in the system. */
static gort_runtime *seeded;

static void sleeps_for_ever(void *arg)
{
	(void)arg;
	gort_sleep(INT64_MAX);
}

static void sleeps_then_writes(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&seeded->sched.polling) == 0)
		be_thread_yield();
	if (gort_attach(seeded) != 0)
		abort();
	gort_sleep(GORT_MILLISECOND);
	CHECK(gort_conn_write(ends.here, "x", 1) == 1);
	(void)gort_detach();
}

static void reads_beside_a_far_timer(void *arg)
{
	be_thread *t = arg;
	char b;

	ends = connect_pair();
	CHECK(gort_go(sleeps_for_ever, NULL) == 0);
	if (be_thread_start(t, sleeps_then_writes, NULL, 0) != 0)
		abort();
	CHECK(gort_conn_read(ends.there, &b, 1) == 1);
	close_pair(&ends);
}

static void test_far_timer_under_a_seed(void **state)
{
	gort_config cfg;
	be_thread t;

	(void)state;
	rt_store32_rlx(&failures, 0);
	gort_config_init(&cfg);
	cfg.seed = 7;
	assert_int_equal(gort_runtime_new(&seeded, &cfg), 0);
	assert_int_equal(gort_runtime_run(seeded, reads_beside_a_far_timer, &t), 0);
	be_thread_join(&t);
	assert_int_equal(gort_runtime_free(seeded), 0);
	assert_int_equal(rt_load32_acq(&failures), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadlock),
		cmocka_unit_test(test_timer_beside),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_who_asks_under_a_seed),
		cmocka_unit_test(test_far_timer_under_a_seed),
#ifndef _WIN32 /* there a pipe is no descriptor that can be waited for */
		cmocka_unit_test(test_closed_in_a_try),
#endif
	};

	if (strcmp(be_netpoll_name, "none") == 0)
		return 77; /* this build cannot wait for descriptors */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
