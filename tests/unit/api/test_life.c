/* The life of runtimes in a process: many after each other, several at once, over a fork. */
#include "tests/support/program.h"

#include "backends/arena/arena.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/sched/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef _WIN32
#include <sys/wait.h>
#endif

/* Fewer under an emulator: qemu-user keeps 0.3 MiB for every thread that ended, 13 GiB in all of this. */
static int rounds(int n)
{
	return getenv("MESON_EXE_WRAPPER") != NULL ? n / 10 : n;
}

static void work(void *arg);

static void leaf(void *arg)
{
	gort_chan_send(arg, &(int64_t){ 1 });
}

static void work(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int64_t), 0);
	int64_t sum = 0, v;

	for (int i = 0; i < 100; i++)
		gort_go(leaf, c);
	for (int i = 0; i < 100; i++) {
		gort_chan_recv(c, &v);
		sum += v;
	}
	*(int64_t *)arg = sum;
}

static void leaf_only(void *arg)
{
	*(int64_t *)arg = 1;
}

static void cycle(int procs)
{
	gort_config cfg;
	gort_runtime *rt;
	int64_t sum = 0;

	gort_config_init(&cfg);
	cfg.procs = procs;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, work, &sum), 0);
	assert_int_equal(gort_runtime_run(rt, work, &sum), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(sum, 100);
}

static void in_libc(void *arg)
{
	char text[64];

	for (;;) {
		for (int i = 0; i < 100; i++)
			snprintf(text, sizeof text, "%.17g %p", (double)i / 3, arg);
		gort_gosched();
	}
}

static void leave_them_in_libc(void *arg)
{
	for (int i = 0; i < 4; i++)
		gort_go(in_libc, arg);
	gort_sleep(100 * GORT_MICROSECOND);
}

/* Who is dropped in the midst of foreign code that does not block is no reason to refuse. */
static void test_free_right_after_a_run(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		gort_config cfg;
		gort_runtime *rt;

		gort_config_init(&cfg);
		cfg.procs = 1 + i % 3;
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(rt, leave_them_in_libc, &cfg), 0);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* Entries of a directory below /proc/self; 0 where there is none. Wine shows its own, which grow. */
static int count(const char *path)
{
#ifdef _WIN32
	return 0;
#endif
	DIR *d = opendir(path);
	int n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static long resident_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident;
}

static void test_cycles_leave_nothing_behind(void **state)
{
	int threads, fds;
	long pages;

	(void)state;
	for (int i = 0; i < 30; i++)
		cycle(1 + i % 4);
	threads = count("/proc/self/task");
	fds = count("/proc/self/fd");
	pages = resident_pages();
	for (int i = 0; i < rounds(300); i++)
		cycle(1 + i % 4);
	/* A thread that was joined may be on its way out of the system's list. */
	while (count("/proc/self/task") > threads)
		be_thread_yield();
	assert_int_equal(count("/proc/self/fd"), fds);
	/* 64 pages: what the allocator of the host may keep; a leak of one page a run is 300. The
	 * sanitizers' own books grow, and so do those of emulators and Valgrind. */
	if (!RT_ASAN && !RT_TSAN && be_arena_query()->max_reserve >= (size_t)64 << 30)
		assert_true(resident_pages() <= pages + 64);
}

/* Stacks for which no process has room are refused at once, large ones work. */
static void test_huge_stacks(void **state)
{
	size_t most = be_arena_query()->max_reserve;
	gort_config cfg;
	gort_runtime *rt;
	int64_t sum = 0;

	(void)state;
	gort_config_init(&cfg);
	cfg.stack_size = SIZE_MAX / 8;
	assert_int_equal(gort_runtime_new(&rt, &cfg), GORT_ENOMEM);
	cfg.stack_size = most + 1;
	assert_int_equal(gort_runtime_new(&rt, &cfg), GORT_ENOMEM);
	if (!be_arena_query()->lazy_commit || most < (size_t)1 << 40)
		return;
	cfg.stack_size = most / 8;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, leaf_only, &sum), 0);
	assert_int_equal(sum, 1);
	assert_int_equal(gort_runtime_free(rt), 0);
}

typedef struct job {
	int procs;
	int64_t sum;
	int code;
} job;

static void run_job(void *arg)
{
	job *j = arg;
	gort_config cfg;
	gort_runtime *rt;

	gort_config_init(&cfg);
	cfg.procs = j->procs;
	j->code = gort_runtime_new(&rt, &cfg);
	for (int i = 0; i < 20 && j->code == 0; i++)
		j->code = gort_runtime_run(rt, work, &j->sum);
	if (j->code == 0)
		j->code = gort_runtime_free(rt);
}

/* ---- Another thread frees as soon as it may ------------------------------------------------------- */

enum { FREED = 300 };

static gort_runtime *lent;
static rt_atomic32 in_use;

static void use_it(void *arg)
{
	(void)arg;
	rt_store32_rel(&in_use, 1);
}

static void runs_it(void *arg)
{
	*(int *)arg = gort_runtime_run(lent, use_it, NULL);
	rt_store32_rel(&in_use, 1);
}

static void attaches_to_it(void *arg)
{
	int r = gort_attach(lent);

	rt_store32_rel(&in_use, 1);
	*(int *)arg = r != 0 ? r : gort_detach();
}

/* GORT_EBUSY until the last instruction that needs it: after that the user's thread touches nothing of it. */
static void test_freed_by_who_polls(void **state)
{
	(void)state;
	for (int i = 0; i < rounds(FREED); i++) {
		be_thread user;
		int used = 1, r;

		rt_store32_rel(&in_use, 0);
		assert_int_equal(gort_runtime_new(&lent, NULL), 0);
		assert_int_equal(be_thread_start(&user, i % 2 ? runs_it : attaches_to_it, &used, 0), 0);
		while (!rt_load32_acq(&in_use))
			be_thread_yield();
		while ((r = gort_runtime_free(lent)) == GORT_EBUSY)
			be_thread_yield();
		assert_int_equal(r, 0);
		be_thread_join(&user);
		assert_int_equal(used, 0);
	}
}

/* Who asks in vain whether it can go takes it away from nobody. */
static rt_atomic32 enough;
static be_thread poller;

static void frees_in_vain(void *arg)
{
	int *wrong = arg;

	while (!rt_load32_acq(&enough))
		*wrong += gort_runtime_free(lent) != GORT_EBUSY;
}

static void found_all_the_time(void *arg)
{
	static int wrong;
	int *missed = arg;

	wrong = 0;
	if (be_thread_start(&poller, frees_in_vain, &wrong, 0) != 0)
		abort();
	for (int i = 0; i < 20000; i++) {
		*missed += gort_runtime_go(lent, leaf, NULL) != 0;
		if (i % 64 == 0)
			gort_gosched();
	}
	rt_store32_rel(&enough, 1);
	gort_entersyscall();
	be_thread_join(&poller); /* or it frees what has no run any more */
	gort_exitsyscall();
	*missed += wrong;
}

static void test_polled_in_vain(void **state)
{
	int missed = 0;

	(void)state;
	rt_store32_rel(&enough, 0);
	assert_int_equal(gort_runtime_new(&lent, NULL), 0);
	assert_int_equal(gort_runtime_run(lent, found_all_the_time, &missed), 0);
	assert_int_equal(missed, 0);
	assert_int_equal(gort_runtime_free(lent), 0);
}

static void test_two_at_once(void **state)
{
	job jobs[2] = { { 1, 0, -1 }, { 3, 0, -1 } };
	be_thread t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(be_thread_start(&t[i], run_job, &jobs[i], 0), 0);
	for (int i = 0; i < 2; i++)
		be_thread_join(&t[i]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(jobs[i].code, 0);
		assert_int_equal(jobs[i].sum, 100);
	}
}

static int no_writer(void *data, const void *bytes, size_t n)
{
	(void)data, (void)bytes, (void)n;
	return 1;
}

/* Who stops a run is still in there when its host is through and frees. Both sleep while they wait for each other: so
 * they often share a CPU, and the host that was woken goes on first. */
static gort_runtime *stopped;
static rt_atomic32 turn; /* odd: the stopper's; 0: it is over */

static void take_turn(uint32_t to)
{
	rt_store32_rel(&turn, to);
	be_thread_wake(&turn, 1);
}

static uint32_t turn_after(uint32_t was)
{
	uint32_t now;

	while ((now = rt_load32_acq(&turn)) == was)
		(void)be_thread_park(&turn, was, -1);
	return now;
}

static void stops(void *arg)
{
	(void)arg;
	for (uint32_t now = 2; (now = turn_after(now)) != 0; take_turn(++now))
		while (gort_runtime_stop(stopped, 5) != 0)
			;
}

static void sleeps_long(void *arg)
{
	(void)arg;
	gort_sleep(1000 * GORT_SECOND);
}

static void test_freed_while_somebody_stops_it(void **state)
{
	gort_config cfg;
	be_thread t;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	rt_store32_rel(&turn, 2);
	assert_int_equal(be_thread_start(&t, stops, NULL, 0), 0);
	for (uint32_t i = 3; i < 3 + 2 * (uint32_t)rounds(1000); i += 2) {
		assert_int_equal(gort_runtime_new(&stopped, &cfg), 0);
		take_turn(i);
		assert_int_equal(gort_runtime_run(stopped, sleeps_long, NULL), 5);
		assert_int_equal(gort_runtime_free(stopped), 0);
		assert_int_equal(turn_after(i), i + 1);
	}
	take_turn(0);
	be_thread_join(&t);
}

/* Goroutines that call another runtime, or their own, are dropped: nobody waits for them. */
static void visits(void *arg)
{
	for (;;) {
		(void)gort_runtime_go(arg, leaf, NULL);
		(void)gort_runtime_stop(arg, 0);
	}
}

static void leaves_visitors(void *arg)
{
	assert_int_equal(gort_go(visits, arg), 0);
	assert_int_equal(gort_go(visits, arg), 0);
	gort_sleep(GORT_MILLISECOND);
}

static void test_visitors_that_are_dropped(void **state)
{
	gort_runtime *of, *called;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 1;
	for (int i = 0; i < rounds(100); i++) {
		assert_int_equal(gort_runtime_new(&of, &cfg), 0);
		assert_int_equal(gort_runtime_new(&called, &cfg), 0);
		assert_int_equal(gort_runtime_run(of, leaves_visitors, called), 0);
		assert_int_equal(gort_runtime_free(of), 0);
		assert_int_equal(gort_runtime_free(called), 0);
	}
}

/* A goroutine that makes runtimes is dropped, but not in the middle of that. */
static gort_runtime *volatile half;

static void makes(void *arg)
{
	gort_runtime *r;

	(void)arg;
	for (;;)
		if (gort_runtime_new((gort_runtime **)&half, NULL) == 0) {
			r = half;
			(void)gort_runtime_free(r);
		}
}

static void leaves_makers(void *arg)
{
	assert_int_equal(gort_go(makes, NULL), 0);
	gort_sleep(*(int64_t *)arg);
}

static void test_made_by_a_goroutine_that_is_dropped(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 1;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	for (int i = 0; i < 40; i++) {
		int64_t ns = (12 + i * 7 % 10) * GORT_MILLISECOND;
		int r;

		half = NULL;
		assert_int_equal(gort_runtime_run(rt, leaves_makers, &ns), 0);
		/* Until the one that was dropped is out of it. */
		while (rt_load32_acq(&rt->sched.ndropped) > 0)
			be_thread_yield();
		r = gort_runtime_free(half);
		assert_true(r == 0 || r == GORT_EINVAL);
	}
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* Each runtime's goroutines look at the other one, whose world stops for it. */
static gort_runtime *each[2];
static rt_atomic32 looked[2];

static void looks(void *arg)
{
	gort_runtime *other = gort_self() == each[0] ? each[1] : each[0];
	gort_metric m = { .name = "/memory/classes/total:bytes" };
	gort_mem_stats s;
	gort_goroutine g;

	for (int i = 0; i < 2000; i++) {
		gort_mem_stats_read(other, &s);
		if (i % 8 == 0 && (gort_goroutines(other, &g, 1) > 2 || gort_metrics_read(other, &m, 1) != 1 ||
		                   (i % 256 == 0 && gort_stack_dump(other, no_writer, NULL) < 0)))
			return;
	}
	rt_add32_full((rt_atomic32 *)arg, 1);
}

static void two_look(void *arg)
{
	gort_waitgroup both = GORT_INIT;

	rt_add32_full((rt_atomic32 *)arg, 1);
	while (rt_load32_acq(&looked[0]) == 0 || rt_load32_acq(&looked[1]) == 0)
		gort_gosched();
	gort_waitgroup_go(&both, looks, arg);
	looks(arg);
	gort_waitgroup_wait(&both);
}

static void run_looks(void *arg)
{
	(void)gort_runtime_run(each[arg == &looked[1]], two_look, arg);
}

static void test_two_that_look_at_each_other(void **state)
{
	be_thread t[2];

	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		gort_config cfg;

		gort_config_init(&cfg);
		cfg.procs = procs;
		for (int i = 0; i < 2; i++) {
			rt_store32_rlx(&looked[i], 0);
			assert_int_equal(gort_runtime_new(&each[i], &cfg), 0);
		}
		for (int i = 0; i < 2; i++)
			assert_int_equal(be_thread_start(&t[i], run_looks, &looked[i], 0), 0);
		for (int i = 0; i < 2; i++)
			be_thread_join(&t[i]);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(rt_load32_acq(&looked[i]), 3);
			assert_int_equal(gort_runtime_free(each[i]), 0);
		}
	}
}

#ifndef _WIN32
static gort_runtime *parent_rt;
static int in_child;

/* Nobody is there who could stop. How many did not say so. */
static int watches_dead(gort_runtime *rt)
{
	gort_metric m = { .name = "/sched/goroutines:goroutines" };
	gort_proc_stats p[2];
	gort_goroutine g[2];

	return (gort_goroutines(rt, g, 2) != 0) + (gort_proc_stats_read(rt, p, 2) != 0) +
	       (gort_stack_dump(rt, no_writer, NULL) != GORT_EFORKED) +
	       (gort_leak_dump(rt, no_writer, NULL) != GORT_EFORKED) +
	       (gort_metrics_read(rt, &m, 1) != 0 || m.kind != 0);
}

static void fork_inside(void *arg)
{
	pid_t pid = fork();
	int status = -1;

	(void)arg;
	if (pid == 0) {
		int64_t sum = 0;
		gort_runtime *rt;
		int r = 0;

		/* Outside of any goroutine now, and the runtime is dead. */
		if (gort_goid() != 0 || gort_self() != NULL)
			_exit(2);
		if (gort_runtime_go(parent_rt, leaf, NULL) != GORT_EFORKED ||
		    gort_runtime_run(parent_rt, leaf, NULL) != GORT_EFORKED ||
		    gort_attach(parent_rt) != GORT_EFORKED)
			_exit(3);
		if (watches_dead(parent_rt) != 0)
			_exit(6);
		if (gort_runtime_new(&rt, NULL) != 0)
			_exit(4);
		r = gort_runtime_run(rt, work, &sum);
		if (r != 0 || sum != 100 || gort_runtime_free(rt) != 0)
			_exit(5);
		/* It stands on a stack of the runtime that it frees. */
		if (gort_runtime_free(parent_rt) != 0 || gort_runtime_free(parent_rt) != GORT_EINVAL)
			_exit(7);
		_exit(0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid)
		in_child = WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static rt_atomic32 go_home;

static void waits_to_go_home(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&go_home) == 0)
		(void)be_thread_park(&go_home, 0, -1);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Without gort: can the child of a process with threads start one? qemu-user 7.2 cannot: it aborts. */
static bool children_have_threads(void)
{
	be_thread t[2], c;
	int status = -1;
	pid_t pid;

	rt_store32_rel(&go_home, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(be_thread_start(&t[i], waits_to_go_home, NULL, 0), 0);
	pid = fork();
	if (pid == 0) {
		if (be_thread_start(&c, nothing, NULL, 0) != 0)
			_exit(1);
		be_thread_join(&c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rt_store32_rel(&go_home, 1);
	be_thread_wake(&go_home, 2);
	for (int i = 0; i < 2; i++)
		be_thread_join(&t[i]);
	return status == 0;
}

/* Seats of the parent, in the child: with a seed and without. */
static int dead_seats(gort_seat *seat[3])
{
	alarm(60); /* ends a child that hangs */
	if (gort_seat_ready(seat[0]) != GORT_EFORKED)
		return 1;
	if (gort_seat_attach(seat[1]) != GORT_EFORKED || gort_self() != NULL || gort_goid() != 0)
		return 2;
	gort_seat_free(seat[2]);
	return gort_runtime_free(parent_rt) == 0 ? 0 : 3;
}

/* Something of the runtime is locked at the moment of the fork; who holds it is not there in the child. */
static rt_mutex *holding;

static void holds_on(void *arg)
{
	rt_lock(holding, RT_RANK_sched);
	rt_store32_rel(arg, 1);
	be_thread_wake(arg, 1);
	waits_to_go_home(NULL);
	rt_unlock(holding, RT_RANK_sched);
}

static void test_seats_after_a_fork(void **state)
{
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	for (cfg.seed = 0; cfg.seed < 2; cfg.seed++) {
		rt_atomic32 held = { 0 };
		gort_seat *seat[3];
		be_thread t;
		int status;
		pid_t pid;

		assert_int_equal(gort_runtime_new(&parent_rt, &cfg), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(gort_seat_new(parent_rt, &seat[i], NULL), 0);
		holding = &parent_rt->sched.lock;
		rt_store32_rel(&go_home, 0);
		assert_int_equal(be_thread_start(&t, holds_on, &held, 0), 0);
		while (rt_load32_acq(&held) == 0)
			(void)be_thread_park(&held, 0, -1);
		pid = fork();
		if (pid == 0)
			_exit(dead_seats(seat));
		rt_store32_rel(&go_home, 1);
		be_thread_wake(&go_home, 1);
		be_thread_join(&t);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		for (int i = 0; i < 3; i++)
			gort_seat_free(seat[i]);
		assert_int_equal(gort_runtime_free(parent_rt), 0);
	}
}

static rt_atomic32 busy;

static void makes_runtimes(void *arg)
{
	gort_config cfg;
	gort_runtime *rt;

	(void)arg;
	gort_config_init(&cfg);
	cfg.procs = 1;
	cfg.seed = 3; /* so that it is made and freed in no time */
	while (rt_load32_acq(&busy) != 0)
		if (gort_runtime_new(&rt, &cfg) == 0) {
			(void)gort_runtime_run(rt, nothing, NULL);
			(void)gort_runtime_free(rt);
		}
}

static void explores(void *arg)
{
	gort_config cfg;
	uint64_t seed;

	(void)arg;
	gort_config_init(&cfg);
	while (rt_load32_acq(&busy) != 0)
		(void)gort_explore(&cfg, nothing, NULL, 100, &seed);
}

static void adds_modules(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&busy) != 0)
		(void)gort_module_add((gort_code)adds_modules);
}

static int has_a_runtime_of_its_own(void)
{
	gort_config cfg;
	gort_runtime *rt;

	alarm(60); /* ends a child that hangs */
	gort_config_init(&cfg);
	cfg.procs = 1;
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	if (gort_module_add((gort_code)adds_modules) != 0 || gort_runtime_run(rt, nothing, NULL) != 0)
		return 2;
	return gort_runtime_free(rt) == 0 ? 0 : 3;
}

/* Wherever in gort the others are at the moment of the fork. */
static void test_forks_while_others_are_inside(void **state)
{
	static void (*const others[])(void *) = { makes_runtimes, explores, adds_modules };
	enum { FORKS = 250 };

	(void)state;
	if (RT_TSAN || RT_ASAN)
		skip(); /* such a fork tears TSan's own records, and leaves ASan's quarantine locked in the child */
	if (!children_have_threads())
		skip(); /* the emulator, see there */
	for (size_t i = 0; i < RT_NELEM(others); i++) {
		be_thread t;

		rt_store32_rel(&busy, 1);
		assert_int_equal(be_thread_start(&t, others[i], NULL, 0), 0);
		for (int n = 0; n < FORKS; n++) {
			int status;
			pid_t pid;

			be_thread_nap(rand() % 300 * 1000);
			pid = fork();
			if (pid == 0)
				_exit(has_a_runtime_of_its_own());
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_int_equal(status, 0);
		}
		rt_store32_rel(&busy, 0);
		be_thread_join(&t);
	}
}

static void test_fork(void **state)
{
	gort_config cfg;

	(void)state;
	if (!children_have_threads())
		skip(); /* the emulator, see there */
	gort_config_init(&cfg);
	cfg.procs = 2;
	for (int i = 0; i < 5; i++) {
		in_child = -1;
		assert_int_equal(gort_runtime_new(&parent_rt, &cfg), 0);
		assert_int_equal(gort_runtime_run(parent_rt, fork_inside, NULL), 0);
		assert_int_equal(in_child, 0);
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(gort_runtime_free(parent_rt) == 0 &&
			                      gort_runtime_free(parent_rt) == GORT_EINVAL
			              ? 0
			              : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(gort_runtime_free(parent_rt), 0);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles_leave_nothing_behind),
		cmocka_unit_test(test_huge_stacks),
		cmocka_unit_test(test_freed_by_who_polls),
		cmocka_unit_test(test_polled_in_vain),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_two_that_look_at_each_other),
		cmocka_unit_test(test_freed_while_somebody_stops_it),
		cmocka_unit_test(test_made_by_a_goroutine_that_is_dropped),
		cmocka_unit_test(test_visitors_that_are_dropped),
		cmocka_unit_test(test_free_right_after_a_run),
#ifndef _WIN32
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_seats_after_a_fork),
		cmocka_unit_test(test_forks_while_others_are_inside),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
