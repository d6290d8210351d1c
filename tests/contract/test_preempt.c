/* Contract of backends/preempt/preempt.h, for whichever implementation is linked. What an implementation that stops
 * in place must do besides is asked where be_preempt_in_place says so.
 *
 * The threads that are stopped compute: they count, keep values in registers, hold errno, call malloc. The stopper
 * waits for what they do by yielding until it is seen. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { ROUNDS = 300 };

static rt_atomic32 answer, decided, landings;
static rt_atomicptr decided_for, decided_pc, decided_sp;

static int decide(be_preempt *t, const be_preempt_at *at)
{
	rt_storeptr_rel(&decided_for, t);
	rt_storeptr_rel(&decided_pc, (void *)at->pc);
	rt_storeptr_rel(&decided_sp, (void *)at->sp);
	rt_add32_full(&decided, 1);
	return (int)rt_load32_acq(&answer);
}

static void wait_until(const rt_atomic32 *word, uint32_t at_least)
{
	while (rt_load32_acq(word) < at_least)
		be_thread_yield();
}

static void test_constants(void **state)
{
	(void)state;
	assert_true(strlen(be_preempt_name) > 0);
	assert_true(be_preempt_in_place == (strcmp(be_preempt_name, "cooperative") != 0));
}

static int other(be_preempt *t, const be_preempt_at *at)
{
	(void)t, (void)at;
	return BE_PREEMPT_GO;
}

static void test_counted(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(be_preempt_init(decide), 0);
		assert_int_equal(be_preempt_init(decide), 0);
		if (be_preempt_in_place)
			assert_int_equal(be_preempt_init(other), -EBUSY);
		be_preempt_fini();
		be_preempt_fini();
	}
}

/* Who cannot stop says so, and nothing happens to the thread. */
static void test_refuses(void **state)
{
	be_preempt self;
	const uintptr_t *regs = (const uintptr_t *)1;
	size_t n = 7;

	(void)state;
	if (be_preempt_in_place)
		skip();
	rt_store32_rel(&decided, 0);
	assert_int_equal(be_preempt_init(decide), 0);
	assert_int_equal(be_preempt_attach(&self), 0);
	assert_int_equal(be_preempt_stop(&self), -ENOTSUP);
	assert_int_equal(be_preempt_resume(&self), -ENOTSUP);
	assert_int_equal(be_preempt_regs(&self, &regs, &n), -ENOTSUP);
	assert_null(regs);
	assert_int_equal(n, 0);
	assert_false(be_preempt_fence(&self));
	assert_int_equal(be_preempt_cputime(&self), -1);
	assert_int_equal(rt_load32_acq(&decided), 0);
	be_preempt_detach(&self);
	be_preempt_fini();
}

static int attach_error;

static void attach_and_leave(void *arg)
{
	be_preempt self;

	(void)arg;
	attach_error = be_preempt_attach(&self);
	if (attach_error == 0)
		be_preempt_detach(&self);
}

static void test_each_thread(void **state)
{
	be_thread t;

	(void)state;
	assert_int_equal(be_preempt_init(decide), 0);
	for (int i = 0; i < 4; i++) {
		attach_error = -1;
		assert_int_equal(be_thread_start(&t, attach_and_leave, NULL, 0), 0);
		be_thread_join(&t);
		assert_int_equal(attach_error, 0);
	}
	be_preempt_fini();
}

/* ---- A thread that computes -------------------------------------------------------------------- */

typedef struct victim {
	be_preempt pre;
	be_thread thread;
	rt_atomic32 ready, stop, done;
	rt_atomic64 steps;
	uint64_t bad;
	int (*work)(struct victim *v);
	char landing[32 << 10] __attribute__((aligned(16)));
} victim;

static victim v;

static int same_pieces(const double *a, const double *b, size_t n)
{
	return memcmp(a, b, n * sizeof *a) == 0;
}

/* Live values in integer and vector registers, errno, the heap. */
static int compute(victim *w)
{
	uint64_t a = 1, b = 2, c = 3, d = 4;
	double x[8] = { 0, 1, 2, 3, 4, 5, 6, 7 }, y[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	char *block;

	errno = EDOM;
	for (int i = 0; i < 64; i++) {
		a += b ^ (uint64_t)i;
		b = b * 3 + c;
		c ^= d << 1;
		d += a;
		for (int k = 0; k < 8; k++) {
			x[k] = x[k] * 1.5 + 1;
			y[k] = y[k] * 1.5 + 1;
		}
	}
	if (errno != EDOM || !same_pieces(x, y, 8))
		return 1;
	block = malloc(64 + (size_t)(a & 255));
	if (block == NULL)
		return 1;
	memset(block, (int)(b & 127), 64);
	if (block[0] != block[63])
		return 1;
	free(block);
	return 0;
}

static void run(void *arg)
{
	victim *w = arg;

	if (be_preempt_attach(&w->pre) != 0)
		return;
	rt_store32_rel(&w->ready, 1);
	while (!rt_load32_acq(&w->stop)) {
		w->bad += (uint64_t)w->work(w);
		rt_add64_full(&w->steps, 1);
	}
	be_preempt_detach(&w->pre);
	rt_store32_rel(&w->done, 1);
}

static void start(int (*work)(victim *w))
{
	memset(&v, 0, sizeof v);
	v.work = work;
	rt_store32_rel(&decided, 0);
	assert_int_equal(be_preempt_init(decide), 0);
	assert_int_equal(be_thread_start(&v.thread, run, &v, 0), 0);
	wait_until(&v.ready, 1);
}

static void finish(void)
{
	rt_store32_rel(&v.stop, 1);
	be_thread_join(&v.thread);
	assert_int_equal(rt_load32_acq(&v.done), 1);
	assert_int_equal(v.bad, 0);
	be_preempt_fini();
}

static void one_more_step(void)
{
	uint64_t steps = rt_load64_acq(&v.steps);

	while (rt_load64_acq(&v.steps) < steps + 2)
		be_thread_yield();
}

/* As who asks does: a thread that is where it may not stand is asked again. */
static int stopped_by(be_preempt *t)
{
	int r;

	while ((r = be_preempt_stop(t)) == -EAGAIN)
		be_thread_yield();
	return r;
}

static void test_go(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	start(compute);
	rt_store32_rel(&answer, BE_PREEMPT_GO);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		assert_int_equal(stopped_by(&v.pre), 0);
		wait_until(&decided, i);
		assert_ptr_equal(rt_loadptr_acq(&decided_for), &v.pre);
		assert_non_null(rt_loadptr_acq(&decided_pc));
		one_more_step();
	}
	finish();
}

/* A stopped thread does nothing, shows its registers, and goes on where it was. */
static void test_stay(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	start(compute);
	rt_store32_rel(&answer, BE_PREEMPT_STAY);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		const uintptr_t *regs = NULL;
		uintptr_t sp;
		uint64_t steps;
		size_t n = 0;

		assert_int_equal(stopped_by(&v.pre), 0);
		wait_until(&decided, i);
		steps = rt_load64_acq(&v.steps);
		assert_int_equal(be_preempt_regs(&v.pre, &regs, &n), 0);
		assert_non_null(regs);
		assert_true(n >= 8);
		/* On its stack they are below all of it: a scan of them does not run into what is above. */
		sp = (uintptr_t)rt_loadptr_acq(&decided_sp);
		assert_true((uintptr_t)regs > sp || (uintptr_t)(regs + n) <= sp);
		for (int k = 0; k < 10; k++)
			be_thread_yield();
		assert_int_equal(rt_load64_acq(&v.steps), steps);
		assert_int_equal(be_preempt_resume(&v.pre), 0);
		one_more_step();
	}
	finish();
}

static int resuming(be_preempt *t, const be_preempt_at *at)
{
	(void)at;
	(void)be_preempt_resume(t); /* before it stays */
	rt_add32_full(&decided, 1);
	return BE_PREEMPT_STAY;
}

static void test_resume_comes_first(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	memset(&v, 0, sizeof v);
	v.work = compute;
	rt_store32_rel(&decided, 0);
	assert_int_equal(be_preempt_init(resuming), 0);
	assert_int_equal(be_thread_start(&v.thread, run, &v, 0), 0);
	wait_until(&v.ready, 1);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		assert_int_equal(stopped_by(&v.pre), 0);
		wait_until(&decided, i);
		one_more_step();
	}
	finish();
}

static void landed(void *arg)
{
	victim *w = arg;

	rt_add32_full(&landings, 1);
	be_preempt_detach(&w->pre);
	rt_store32_rel(&w->done, 1);
	for (;;) /* there is nothing to go back to */
		be_thread_nap(1000000);
}

static int spin(victim *w)
{
	(void)w;
	return 0;
}

/* What it was doing is abandoned, at once or when it is resumed. Such a thread never ends: the last tests. */
static void land(int how)
{
	static victim never[2];
	victim *w = &never[how == BE_PREEMPT_STAY];

	w->work = spin;
	w->pre.land = NULL;
	rt_store32_rel(&decided, 0);
	rt_store32_rel(&landings, 0);
	rt_store32_rel(&answer, (uint32_t)how);
	assert_int_equal(be_preempt_init(decide), 0);
	assert_int_equal(be_thread_start(&w->thread, run, w, 0), 0);
	wait_until(&w->ready, 1);
	w->pre.land = how == BE_PREEMPT_LAND ? landed : NULL;
	w->pre.land_arg = w;
	w->pre.land_top = w->landing + sizeof w->landing;
	assert_int_equal(stopped_by(&w->pre), 0);
	wait_until(&decided, 1);
	if (how == BE_PREEMPT_STAY) {
		w->pre.land = landed;
		assert_int_equal(be_preempt_resume(&w->pre), 0);
	}
	wait_until(&w->done, 1);
	assert_int_equal(rt_load32_acq(&landings), 1);
	be_preempt_fini();
}

static void test_land(void **state)
{
	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	land(BE_PREEMPT_LAND);
	land(BE_PREEMPT_STAY);
}

static void test_gone(void **state)
{
	be_preempt gone = { 0 };

	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	assert_int_equal(be_preempt_init(decide), 0);
	assert_int_equal(stopped_by(&gone), -ESRCH);
	be_preempt_fini();
}

static void test_cputime(void **state)
{
	int64_t before;

	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	start(compute);
	before = be_preempt_cputime(&v.pre);
	assert_true(before >= 0);
	while (be_preempt_cputime(&v.pre) <= before)
		one_more_step();
	finish();
}

/* Threads that compute, more than there are CPUs: many of them use none for a while, and none of them sleeps. */
enum { RIVALS = 8 };
static rt_atomic32 rivals_go;

static void rival(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&rivals_go) != 0)
		;
}

static int compute_only(victim *w)
{
	for (volatile int i = 0; i < 100000; i++)
		;
	(void)w;
	return 0;
}

static rt_atomic32 sleeps_at;

static int sleep_there(victim *w)
{
	while (rt_load32_acq(&w->stop) == 0)
		be_thread_park(&sleeps_at, 0, -1);
	return 0;
}

static void test_sleeps(void **state)
{
	be_thread threads[RIVALS];
	int n = RIVALS, slept = 0;

	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	rt_store32_rel(&rivals_go, 1);
	for (int i = 0; i < n; i++)
		assert_int_equal(be_thread_start(&threads[i], rival, NULL, 0), 0);
	start(compute_only);
	one_more_step();
	if (strcmp(be_preempt_name, "signal") == 0)
		for (int i = 0; i < 200; i++) {
			slept += be_preempt_sleeps(&v.pre);
			be_thread_yield();
		}
	finish();
	rt_store32_rel(&rivals_go, 0);
	for (int i = 0; i < n; i++)
		be_thread_join(&threads[i]);
	assert_int_equal(slept, 0);
	start(sleep_there);
	while (!be_preempt_sleeps(&v.pre)) /* it is on its way */
		be_thread_yield();
	rt_store32_rel(&v.stop, 1);
	rt_store32_rel(&sleeps_at, 1);
	be_thread_wake(&sleeps_at, 1);
	finish();
}

#ifndef _WIN32
static void in_the_child(void)
{
	be_preempt own;

	rt_store32_rel(&answer, BE_PREEMPT_GO);
	(void)raise(SIGURG);
	if (rt_load32_acq(&decided) != 0)
		_exit(1);
	if (be_preempt_init(decide) != 0 || be_preempt_attach(&own) != 0)
		_exit(2);
	if (be_preempt_stop(&own) != 0 || rt_load32_acq(&decided) != 1)
		_exit(3);
	be_preempt_detach(&own);
	be_preempt_fini();
	_exit(0);
}

/* The child's only thread is not the one that was to be stopped, and can be attached anew. */
static void test_fork(void **state)
{
	be_preempt self;
	int status = -1;
	pid_t pid;

	(void)state;
	if (!be_preempt_in_place)
		skip(); /* cooperative: nobody is stopped in place */
	rt_store32_rel(&decided, 0);
	assert_int_equal(be_preempt_init(decide), 0);
	assert_int_equal(be_preempt_attach(&self), 0);
	rt_store32_rel(&self.pending, 1); /* the fork comes between a request and its signal */
	pid = fork();
	if (pid == 0)
		in_the_child();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	be_preempt_detach(&self);
	be_preempt_fini();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_each_thread),
		cmocka_unit_test(test_go),
		cmocka_unit_test(test_stay),
		cmocka_unit_test(test_resume_comes_first),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_cputime),
		cmocka_unit_test(test_sleeps),
		cmocka_unit_test(test_land),
#ifndef _WIN32
		cmocka_unit_test(test_fork),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
