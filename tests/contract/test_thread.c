/* What thread.h promises, of whichever implementation is linked. */
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#define MS INT64_C(1000000)

/* ---- Starting ---- */

struct seen {
	void *arg, *lo, *hi, *local;
	uint64_t id;
	int stack_result, async_blocked, faults_open;
};

static void look_around(void *arg)
{
	struct seen *s = arg;

	s->arg = arg;
	s->id = be_thread_id();
	s->local = &s;
	s->stack_result = be_thread_stack(&s->lo, &s->hi);
#ifndef _WIN32
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	s->async_blocked = sigismember(&set, SIGINT) && sigismember(&set, SIGURG) &&
	                   sigismember(&set, SIGCHLD) && sigismember(&set, SIGALRM);
	s->faults_open = !sigismember(&set, SIGSEGV) && !sigismember(&set, SIGBUS) &&
	                 !sigismember(&set, SIGFPE) && !sigismember(&set, SIGILL) &&
	                 !sigismember(&set, SIGTRAP);
#else
	s->async_blocked = s->faults_open = 1;
#endif
}

static void check_start(size_t stack_size)
{
	struct seen s = {0};
	be_thread t;

	assert_int_equal(be_thread_start(&t, look_around, &s, stack_size), 0);
	be_thread_join(&t);
	assert_ptr_equal(s.arg, &s);
	assert_int_not_equal(s.id, be_thread_id());
	assert_int_equal(s.stack_result, 0);
	assert_true((char *)s.lo < (char *)s.local && (char *)s.local < (char *)s.hi);
	/* A part of it may be the system's: guard, thread block. */
	assert_true((size_t)((char *)s.hi - (char *)s.lo) >= stack_size / 8 * 7);
	assert_true(s.async_blocked);
	assert_true(s.faults_open);
}

static void test_start(void **state)
{
	check_start(0);
	check_start(1);
	check_start(100001);
	check_start((size_t)1 << 20);
}

static void test_start_leaves_the_mask_alone(void **state)
{
#ifndef _WIN32
	sigset_t before, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	check_start(0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
#endif
}

static void test_impossible_stack_is_refused(void **state)
{
	be_thread t;
	int r = be_thread_start(&t, look_around, NULL, SIZE_MAX - 100);

	assert_true(r == -ENOMEM || r == -EAGAIN);
}

/* musl waits for ever for the caller itself; the checkers abort by themselves. */
#if defined _WIN32 || (defined __GLIBC__ && !RT_TSAN && !RT_ASAN)
#define JOIN_REFUSES
#endif
#ifdef JOIN_REFUSES
static char said[128];
static jmp_buf back;

static void hear(const char *what)
{
	snprintf(said, sizeof said, "%s", what);
	longjmp(back, 1);
}

/* A thread that is none, or the caller's: a join that cannot be done does not return as if it were. */
static void test_impossible_join_throws(void **state)
{
#ifdef _WIN32
	be_thread t = { { 0xdead0, 0 } };
	const char *text = "joined a thread that cannot be joined: wait 4294967295, error 6";
#else
	be_thread t = { { (uintptr_t)pthread_self(), 0 } };
	const char *text = "joined a thread that cannot be joined: error 35";
#endif

	said[0] = '\0';
	rt_throw_hook = hear;
	if (setjmp(back) == 0)
		be_thread_join(&t);
	rt_throw_hook = NULL;
	assert_string_equal(said, text);
}
#endif

static void test_own_stack(void **state)
{
	void *lo, *hi;
	int local;

	assert_int_equal(be_thread_stack(&lo, &hi), 0);
	assert_true((char *)lo < (char *)&local && (char *)&local < (char *)hi);
}

static void add_one(void *arg)
{
	rt_add32_full(arg, 1);
}

static void test_many_one_after_the_other(void **state)
{
	rt_atomic32 n = {0};

	for (int i = 0; i < 500; i++) {
		be_thread t;

		assert_int_equal(be_thread_start(&t, add_one, &n, 0), 0);
		be_thread_join(&t);
	}
	assert_int_equal(rt_load32_acq(&n), 500);
}

/* ---- Parking ---- */

static void test_park_on_another_value_returns(void **state)
{
	rt_atomic32 word = {5};

	assert_int_equal(be_thread_park(&word, 4, -1), 0);
	assert_int_equal(be_thread_park(&word, 6, INT64_MAX), 0);
}

static void test_park_times_out(void **state)
{
	static const int64_t times[] = {0, 1, 50000, 3 * MS, 20 * MS};
	rt_atomic32 word = {0};

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		int64_t begin = be_nanotime();

		/* 0 without a reason is allowed, but the time then has not passed. */
		while (be_thread_park(&word, 0, times[i]) != -ETIMEDOUT)
			;
		assert_true(be_nanotime() - begin >= times[i]);
	}
}

/* A turn is taken by whoever finds his number; both sides sleep for ever if a wake is lost. */
static rt_atomic32 turn;

static void pong(void *arg)
{
	uint32_t v;

	for (uint32_t i = 0; i < 20000; i++) {
		while ((v = rt_load32_acq(&turn)) != 2 * i + 1)
			be_thread_park(&turn, v, -1);
		rt_store32_rel(&turn, 2 * i + 2);
		be_thread_wake(&turn, 1);
	}
}

static void test_no_wake_is_lost(void **state)
{
	be_thread t;
	uint32_t v;

	rt_store32_rel(&turn, 0);
	assert_int_equal(be_thread_start(&t, pong, NULL, 0), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		rt_store32_rel(&turn, 2 * i + 1);
		be_thread_wake(&turn, 1);
		while ((v = rt_load32_acq(&turn)) != 2 * i + 2)
			be_thread_park(&turn, v, i % 3 == 0 ? 50 * MS : -1);
	}
	be_thread_join(&t);
}

/* Tickets: each sleeper takes one. Every wake(1) after one ticket lets one through, the last wake(n) all others. */
enum { SLEEPERS = 6 };
static rt_atomic32 tickets, asleep, through;

static void sleeper(void *arg)
{
	rt_add32_full(&asleep, 1);
	for (;;) {
		uint32_t v = rt_load32_acq(&tickets);

		if (v == 0)
			be_thread_park(&tickets, 0, -1);
		else if (rt_cas32_full(&tickets, v, v - 1))
			break;
	}
	rt_add32_full(&through, 1);
}

static void wait_until(const rt_atomic32 *word, uint32_t value)
{
	while (rt_load32_acq(word) != value)
		be_thread_yield();
}

static void test_wake_counts(void **state)
{
	be_thread t[SLEEPERS];

	for (int i = 0; i < SLEEPERS; i++)
		assert_int_equal(be_thread_start(&t[i], sleeper, NULL, 0), 0);
	wait_until(&asleep, SLEEPERS);
	for (uint32_t i = 1; i <= 2; i++) {
		rt_add32_full(&tickets, 1);
		be_thread_wake(&tickets, 1);
		wait_until(&through, i);
	}
	rt_add32_full(&tickets, SLEEPERS - 2);
	be_thread_wake(&tickets, SLEEPERS);
	for (int i = 0; i < SLEEPERS; i++)
		be_thread_join(&t[i]);
	assert_int_equal(rt_load32_acq(&through), SLEEPERS);
	assert_int_equal(rt_load32_acq(&tickets), 0);
}

/* Words that share the table's buckets in a hashed implementation do not take each other's wakes. */
static struct pair {
	rt_atomic32 word;
} words[400];

static void one_of_many(void *arg)
{
	struct pair *p = arg;

	while (rt_load32_acq(&p->word) == 0)
		be_thread_park(&p->word, 0, -1);
}

static void test_many_words(void **state)
{
	enum { N = 40 };
	be_thread t[N];

	for (int i = 0; i < N; i++)
		assert_int_equal(be_thread_start(&t[i], one_of_many, &words[i * 10], 0), 0);
	for (int i = 0; i < (int)(sizeof words / sizeof words[0]); i++)
		be_thread_wake(&words[i].word, 1); /* nobody's word has changed: nobody gets through */
	for (int i = N - 1; i >= 0; i--) {
		rt_store32_rel(&words[i * 10].word, 1);
		be_thread_wake(&words[i * 10].word, 1);
		be_thread_join(&t[i]);
	}
}

static void test_wake_of_nobody(void **state)
{
	rt_atomic32 word = {0};

	be_thread_wake(&word, 1);
	be_thread_wake(&word, INT32_MAX);
	be_thread_wake((rt_atomic32 *)(uintptr_t)0x1000, 1); /* memory that is gone */
}

static void test_park_keeps_errno(void **state)
{
	rt_atomic32 word = {0};

	errno = ENOTTY;
	be_thread_park(&word, 0, 1000);
	be_thread_park(&word, 1, -1);
	be_thread_wake(&word, 1);
	be_thread_nap(1000);
	assert_int_equal(errno, ENOTTY);
}

#ifndef _WIN32
/* A storm of signals neither wakes for good nor shortens what the caller measures. */
static void on_alarm(int sig)
{
	(void)sig;
}

static void test_signals_interrupt_harmlessly(void **state)
{
	struct sigaction act, old;
	rt_atomic32 word = {0};
	int64_t begin = be_nanotime(), left;

	memset(&act, 0, sizeof act);
	act.sa_handler = on_alarm; /* no SA_RESTART: sleeps are interrupted */
	sigaction(SIGALRM, &act, &old);
	ualarm(1000, 1000);
	while ((left = begin + 50 * MS - be_nanotime()) > 0) {
		int r = be_thread_park(&word, 0, left);

		assert_true(r == 0 || r == -ETIMEDOUT);
	}
	begin = be_nanotime();
	be_thread_nap(20 * MS);
	assert_true(be_nanotime() - begin >= 20 * MS);
	ualarm(0, 0);
	sigaction(SIGALRM, &old, NULL);
}

static int child_calls;

static void in_child(void)
{
	child_calls++;
}

static rt_atomic32 forkword;

static void parks_on_forkword(void *arg)
{
	rt_add32_full(arg, 1);
	while (rt_load32_acq(&forkword) == 0)
		be_thread_park(&forkword, 0, -1);
}

static void check_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The child has the parent's sleepers in no queue, and can wake and park. */
static void test_fork_while_others_sleep(void **state)
{
	rt_atomic32 ready = {0};
	be_thread t;
	pid_t pid;

	assert_int_equal(be_thread_atfork(in_child), 0);
	rt_store32_rel(&forkword, 0);
	assert_int_equal(be_thread_start(&t, parks_on_forkword, &ready, 0), 0);
	wait_until(&ready, 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		be_thread_wake(&forkword, 1);
		_exit(child_calls != 1                                      ? 2
		      : be_thread_park(&forkword, 0, MS) != -ETIMEDOUT ? 3
		                                                       : 0);
	}
	check_child(pid);
	assert_int_equal(child_calls, 0);
	rt_store32_rel(&forkword, 1);
	be_thread_wake(&forkword, 1);
	be_thread_join(&t);
}

/* Forks at any moment: the other thread may be in the middle of a wake or a park. */
static rt_atomic32 hammering;

static void hammer(void *arg)
{
	while (rt_load32_acq(&hammering) != 0)
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
			be_thread_wake(&words[i].word, 1);
			be_thread_park(&words[i].word, 2, -1);
		}
}

static void test_fork_at_any_moment(void **state)
{
	be_thread t;

	rt_store32_rel(&hammering, 1);
	assert_int_equal(be_thread_start(&t, hammer, NULL, 0), 0);
	for (int n = 0; n < 30; n++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			alarm(20); /* ends a child that hangs */
			for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
				be_thread_wake(&words[i].word, 1);
			_exit(be_thread_park(&forkword, 77, -1) == 0 ? 0 : 2);
		}
		check_child(pid);
	}
	rt_store32_rel(&hammering, 0);
	be_thread_join(&t);
}

static rt_atomic32 between;

static void keeps_forks_off(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&hammering) != 0) {
		be_thread_nofork_begin();
		rt_store32_rel(&between, 1);
		for (int i = 0; i < 200; i++)
			be_cpu_pause();
		rt_store32_rel(&between, 0);
		be_thread_nofork_end();
	}
}

static void test_no_fork_in_between(void **state)
{
	be_thread t;
	int64_t begin;

	(void)state;
	be_thread_nofork_begin();
	be_thread_nofork_end();
	rt_store32_rel(&hammering, 1);
	assert_int_equal(be_thread_start(&t, keeps_forks_off, NULL, 0), 0);
	for (int n = 0; n < 300; n++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			begin = be_nanotime();
			be_thread_nofork_begin();
			be_thread_nofork_end();
			_exit(rt_load32_acq(&between) != 0 ? 2 : be_nanotime() - begin > 500 * MS ? 3 : 0);
		}
		check_child(pid);
	}
	rt_store32_rel(&hammering, 0);
	be_thread_join(&t);
}

/* Who forks while it is in between itself, and who comes in between while a fork waits for him. */
static rt_atomic32 turn;

static void comes_during_a_fork(void)
{
	if (rt_load32_acq(&turn) == 1) {
		rt_store32_rel(&turn, 2);
		for (int i = 0; i < 20000 && rt_load32_acq(&turn) != 3; i++)
			be_thread_nap(MS);
	}
}

static void comes_in_between(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&turn) != 2)
		be_thread_nap(MS);
	be_thread_nofork_begin();
	rt_store32_rel(&turn, 3);
	be_thread_nofork_end();
	while (rt_load32_acq(&turn) != 4) /* TSan: one that has ended before the fork was never joined */
		be_thread_nap(MS);
}

static void fork_and_check(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	check_child(pid);
}

static void test_forks_that_cannot_wait(void **state)
{
	int64_t begin = be_nanotime();
	be_thread t;

	(void)state;
	be_thread_nofork_begin();
	fork_and_check();
	be_thread_nofork_end();
	assert_int_equal(be_thread_start(&t, comes_in_between, NULL, 0), 0);
	rt_store32_rel(&turn, 1);
	fork_and_check();
	rt_store32_rel(&turn, 4);
	be_thread_join(&t);
	assert_true(be_nanotime() - begin < 15000 * MS);
}

/* Alone, because emulators and ThreadSanitizer allow no new thread after a fork with others. */
static void test_child_starts_a_thread(void **state)
{
	rt_atomic32 ready = {0};
	be_thread t;
	pid_t pid;

	rt_store32_rel(&forkword, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (be_thread_start(&t, parks_on_forkword, &ready, 0) != 0)
			_exit(2);
		wait_until(&ready, 1);
		rt_store32_rel(&forkword, 1);
		be_thread_wake(&forkword, 1);
		be_thread_join(&t);
		_exit(0);
	}
	check_child(pid);
}
#endif

/* ---- Clock and CPUs ---- */

static rt_atomic64 latest;

static void clock_rises(void *arg)
{
	bool *rose = arg;

	*rose = true;
	for (int i = 0; i < 20000; i++) {
		uint64_t seen = rt_load64_acq(&latest), now = (uint64_t)be_nanotime();

		if (now < seen)
			*rose = false;
		rt_cas64_full(&latest, seen, now);
	}
}

static void test_one_clock_for_all(void **state)
{
	bool rose[3];
	be_thread t[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(be_thread_start(&t[i], clock_rises, &rose[i], 0), 0);
	for (int i = 0; i < 3; i++) {
		be_thread_join(&t[i]);
		assert_true(rose[i]);
	}
}

static void test_nap(void **state)
{
	int64_t begin = be_nanotime();

	be_thread_nap(0);
	be_thread_nap(-5);
	be_thread_nap(1000);
	be_thread_nap(2 * MS);
	/* "About": some systems count their timer ticks down, so a part of one may be missing. */
	assert_true(be_nanotime() - begin >= MS / 2);
}

static void test_ncpu(void **state)
{
	assert_in_range(be_ncpu(), 1, 1 << 16);
	assert_true(strlen(be_thread_name) > 0);
}

/* ---- A CPU for one thread more ---- */

static void test_crowd_unknown(void **state)
{
	be_crowd c = {0};
	int r = be_crowd_now(&c);

	assert_in_range(r + 1, 0, 2);
	be_crowd_free(&c);
	assert_int_equal(be_crowd_now(&c) == -1, r == -1); /* from the start again */
	be_crowd_free(&c);
}

#ifndef _WIN32
enum { CROWD = 1024 };

/* Processes that compute, so that under a tool that lets one thread run at a time they run all the same. */
static void test_crowd(void **state)
{
	be_crowd c = {0};
	pid_t pid[CROWD];
	int n = 0, r = be_crowd_now(&c);

	for (; r == 0 && n < CROWD; n++) {
		pid[n] = fork();
		assert_true(pid[n] >= 0);
		if (pid[n] == 0) {
			alarm(60); /* should the test end early */
			for (;;)
				;
		}
		r = be_crowd_now(&c);
	}
	for (int i = 0; i < n; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	be_crowd_free(&c);
	assert_int_not_equal(r, 0);
}

/* Somebody closed all that he did not know, and has files of his own now. */
static void test_crowd_closed(void **state)
{
	be_crowd c = {0};
	int pipes[2], fd;

	if (be_crowd_now(&c) < 0)
		skip(); /* this system does not say */
	fd = c.file - 1;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(dup2(pipes[0], fd), fd);
	assert_int_equal(be_crowd_now(&c), -1);
	assert_int_equal(be_crowd_now(&c), -1);
	be_crowd_free(&c);
	assert_int_equal(close(fd), 0); /* it is still there */
	close(pipes[0]);
	close(pipes[1]);
}

/* It is told later, when there is a descriptor. */
static void test_crowd_no_files(void **state)
{
	struct rlimit old, none;
	be_crowd c = {0}, d = {0};
	bool known = be_crowd_now(&d) >= 0;

	be_crowd_free(&d);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(be_crowd_now(&c), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(be_crowd_now(&c) >= 0, known);
	be_crowd_free(&c);
}
#endif

/* ---- A fence for all ---- */

enum { MEETINGS = 20000 };

static struct meeting {
	RT_CACHE_ALIGNED rt_atomic32 mine, yours, begun, met;
} meeting;
static uint32_t saw;

/* The side without a fence: it stores and loads, and only the compiler keeps the order. */
static void stores_and_looks(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= MEETINGS; i++) {
		while (rt_load32_acq(&meeting.begun) != i)
			be_cpu_pause();
		rt_store32_rlx(&meeting.mine, i);
		rt_fence_compiler();
		saw = rt_load32_rlx(&meeting.yours);
		rt_store32_rel(&meeting.met, i);
	}
}

/* Dekker's pattern: one of the two sees the other. */
static void test_fence_for_all(void **state)
{
	be_thread t;

	(void)state;
	if (!be_thread_fences()) { /* the system has none */
		assert_int_not_equal(be_thread_fence_all(), 0);
		return;
	}
	assert_true(be_thread_fences()); /* again */
	assert_int_equal(be_thread_start(&t, stores_and_looks, NULL, 0), 0);
	for (uint32_t i = 1; i <= MEETINGS; i++) {
		bool seen;

		rt_store32_rel(&meeting.begun, i);
		rt_store32_rlx(&meeting.yours, i);
		while (be_thread_fence_all() != 0)
			be_thread_nap(MS);
		seen = rt_load32_rlx(&meeting.mine) == i;
		while (rt_load32_acq(&meeting.met) != i)
			be_cpu_pause();
		assert_true(seen || saw == i);
	}
	be_thread_join(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_start_leaves_the_mask_alone),
		cmocka_unit_test(test_impossible_stack_is_refused),
#ifdef JOIN_REFUSES
		cmocka_unit_test(test_impossible_join_throws),
#endif
		cmocka_unit_test(test_own_stack),
		cmocka_unit_test(test_many_one_after_the_other),
		cmocka_unit_test(test_park_on_another_value_returns),
		cmocka_unit_test(test_park_times_out),
		cmocka_unit_test(test_no_wake_is_lost),
		cmocka_unit_test(test_wake_counts),
		cmocka_unit_test(test_many_words),
		cmocka_unit_test(test_wake_of_nobody),
		cmocka_unit_test(test_park_keeps_errno),
#ifndef _WIN32
		cmocka_unit_test(test_signals_interrupt_harmlessly),
		cmocka_unit_test(test_fork_while_others_sleep),
		cmocka_unit_test(test_fork_at_any_moment),
		cmocka_unit_test(test_no_fork_in_between),
		cmocka_unit_test(test_forks_that_cannot_wait),
		cmocka_unit_test(test_child_starts_a_thread),
#endif
		cmocka_unit_test(test_fence_for_all),
		cmocka_unit_test(test_one_clock_for_all),
		cmocka_unit_test(test_nap),
		cmocka_unit_test(test_ncpu),
		cmocka_unit_test(test_crowd_unknown),
#ifndef _WIN32
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_crowd_closed),
		cmocka_unit_test(test_crowd_no_files),
#endif
	};

#ifndef _WIN32
	/* Hooks for before a fork run last in, first out: this one after the backend's. */
	if (pthread_atfork(comes_during_a_fork, NULL, NULL) != 0)
		return 1;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
