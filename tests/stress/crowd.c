/* crowd KIND N PROCS [DEBUG [SECONDS]]: N goroutines of one kind, and what must get ahead all the same.
 *
 *   syscall  each blocks in a raw read between gort_entersyscall and gort_exitsyscall; meanwhile two play ping-pong
 *   read     each blocks in a raw read and says nothing; meanwhile one computes and says nothing
 *   sleep    each sleeps by raw nanosleeps; meanwhile one computes; all get ahead
 *   loop     each computes and says nothing; all that have begun get ahead, and no more begin than GODEBUG's
 *            standing allows; again and again for so many seconds; then all end
 *
 * Nothing is timed: who does not get ahead hangs. Exit status 1 if a count is wrong, 77 (skipped) if the build or the
 * system cannot do it. */
#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/sched/sched_impl.h"

#include <gort.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif

enum { MAX = 100000, SHARE = 20, PINGS = 2000 };

static int n, procs, seconds;
static volatile uint64_t steps[MAX];
static rt_atomic32 inside, released, done;
static gort_runtime *rt;
static gort_chan *ping, *pong;
static uint32_t threads; /* the most there were at a look */
static int wrong;

#ifdef _WIN32
static HANDLE ends[2];

static int make_pipe(void)
{
	return CreatePipe(&ends[0], &ends[1], NULL, 0) ? 0 : -1;
}

static void read_byte(void)
{
	DWORD got;
	char c;

	if (!ReadFile(ends[0], &c, 1, &got, NULL) || got != 1)
		abort();
}

static void write_bytes(int count)
{
	DWORD put;

	for (int i = 0; i < count; i++)
		if (!WriteFile(ends[1], "x", 1, &put, NULL))
			abort();
}
#else
static int ends[2];

static int make_pipe(void)
{
	return pipe(ends);
}

static void read_byte(void)
{
	char c;

	while (read(ends[0], &c, 1) != 1)
		if (errno != EINTR)
			abort();
}

static void write_bytes(int count)
{
	for (int i = 0; i < count; i++)
		if (write(ends[1], "x", 1) != 1)
			abort();
}
#endif

static void go(gort_func fn, void *arg)
{
	if (gort_go(fn, arg) != 0)
		abort();
}

static void go_all(gort_func fn)
{
	for (intptr_t i = 0; i < n; i++)
		go(fn, (void *)i);
}

/* Main waits where others run. */
static void until(const rt_atomic32 *word, uint32_t value)
{
	while (rt_load32_acq(word) != value)
		gort_sleep(GORT_MILLISECOND);
}

/* ---- syscall ---- */

static void in_syscall(void *arg)
{
	(void)arg;
	gort_entersyscall();
	rt_add32_full(&inside, 1);
	read_byte();
	gort_exitsyscall();
	rt_add32_full(&done, 1);
}

static void echo(void *arg)
{
	int64_t v;

	(void)arg;
	for (;;) {
		gort_chan_recv(ping, &v);
		gort_chan_send(pong, &v);
	}
}

static void syscalls(void *arg)
{
	(void)arg;
	ping = gort_chan_make(GORT_TYPE(int64_t), 0);
	pong = gort_chan_make(GORT_TYPE(int64_t), 0);
	go_all(in_syscall);
	go(echo, NULL);
	until(&inside, (uint32_t)n);
	for (int64_t i = 0, v; i < PINGS; i++) {
		gort_chan_send(ping, &i);
		gort_chan_recv(pong, &v);
		wrong += v != i;
	}
	wrong += rt_load32_acq(&done) != 0;
	gort_entersyscall();
	write_bytes(n);
	gort_exitsyscall();
	until(&done, (uint32_t)n);
}

/* ---- read, sleep ---- */

static void reads(void *arg)
{
	(void)arg;
	rt_add32_full(&inside, 1);
	read_byte();
	rt_add32_full(&done, 1);
}

static void sleeps(void *arg)
{
	struct timespec ts = { 0, 3000000 };
	volatile uint64_t *mine = &steps[(intptr_t)arg];

	rt_add32_full(&inside, 1);
	while (rt_load32_acq(&released) == 0) {
		(void)nanosleep(&ts, NULL);
		(*mine)++;
	}
	rt_add32_full(&done, 1);
}

static bool all_have(uint64_t least)
{
	for (int i = 0; i < n; i++)
		if (steps[i] < least)
			return false;
	return true;
}

/* It has a P to itself as soon as all the others block; with one P nothing else can run. */
static void beside_readers(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&inside) != (uint32_t)n)
		;
	write_bytes(n);
	while (rt_load32_acq(&done) != (uint32_t)n)
		;
	rt_store32_rel(&released, 1);
}

static void beside_sleepers(void *arg)
{
	(void)arg;
	while (!all_have(SHARE))
		;
	rt_store32_rel(&released, 1);
	rt_add32_full(&done, 1);
}

static void readers(void *arg)
{
	(void)arg;
	go_all(reads);
	go(beside_readers, NULL);
	until(&released, 1);
}

static void sleepers(void *arg)
{
	(void)arg;
	go_all(sleeps);
	go(beside_sleepers, NULL);
	until(&done, (uint32_t)n + 1);
}

/* ---- loop ---- */

static void loops(void *arg)
{
	volatile uint64_t *mine = &steps[(intptr_t)arg];

	rt_add32_full(&inside, 1);
	while (rt_load32_acq(&released) == 0)
		(*mine)++;
	rt_add32_full(&done, 1);
}

static void count_threads(void)
{
	uint32_t now;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	now = rt->sched.mcount;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	if (now > threads)
		threads = now;
}

/* Until as many have begun as may; then until each of those has gone on and no more begin. */
static void look_at_loops(void *arg)
{
	static uint64_t seen[MAX];
	uint32_t most = (uint32_t)rt->debug.standing < (uint32_t)n ? (uint32_t)rt->debug.standing : (uint32_t)n;
	int64_t end = be_nanotime() + seconds * GORT_SECOND;
	uint32_t begun, before;
	int rounds = 0;

	(void)arg;
	do {
		bool all;

		before = rt_load32_acq(&inside);
		for (int i = 0; i < n; i++)
			seen[i] = steps[i];
		do {
			be_thread_nap(20 * GORT_MILLISECOND);
			count_threads();
			all = true;
			for (int i = 0; i < n && all; i++)
				all = seen[i] == 0 || steps[i] != seen[i];
		} while (!all);
		rounds++;
		begun = rt_load32_acq(&inside);
	} while (begun != before || begun < most || be_nanotime() < end);
	printf("crowd: %u of %d have begun and got ahead %d times, %u threads\n", begun, n, rounds, threads);
	wrong += begun > (uint32_t)(rt->debug.standing + 2 * procs);
	/* One for each that stands, and the spare ones that wait for Ps. */
	wrong += threads > begun + 4 * (uint32_t)procs + 8;
	rt_store32_rel(&released, 1);
}

static void looping(void *arg)
{
	(void)arg;
	go_all(loops);
	gort_entersyscall(); /* the look is a foreign thread's, that no P is needed for */
	while (rt_load32_acq(&released) == 0)
		(void)be_thread_park(&released, 0, 100 * GORT_MILLISECOND);
	gort_exitsyscall();
	until(&done, (uint32_t)n);
}

static const struct kind {
	const char *name;
	gort_func program;
	void (*look)(void *arg);
	bool in_place;
} kinds[] = {
	{ "syscall", syscalls, NULL, false },
	{ "read", readers, NULL, true },
	{ "sleep", sleepers, NULL, true },
	{ "loop", looping, look_at_loops, true },
};

static int run(const struct kind *k, const char *debug)
{
	gort_config cfg;
	be_thread look;
	int r;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.flags |= GORT_SCAN_DATA;
	cfg.debug = debug;
	if (make_pipe() != 0 || gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	if (k->look != NULL && be_thread_start(&look, k->look, NULL, 0) != 0)
		return 1;
	r = gort_runtime_run(rt, k->program, NULL);
	if (r != 0)
		fprintf(stderr, "crowd: %s: %s\n", gort_strerror(r), gort_runtime_error(rt));
	if (k->look != NULL)
		be_thread_join(&look);
	if (wrong != 0)
		fprintf(stderr, "crowd: %d counts are wrong\n", wrong);
	if (gort_runtime_free(rt) != 0)
		return 1;
	return r != 0 || wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || (n = atoi(argv[2])) < 1 || n > MAX || (procs = atoi(argv[3])) < 1) {
		fprintf(stderr, "usage: crowd KIND N PROCS [DEBUG [SECONDS]]\n");
		return 2;
	}
	seconds = argc > 5 ? atoi(argv[5]) : 0;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			return kinds[i].in_place && !be_preempt_in_place ? 77
			                                                : run(&kinds[i], argc > 4 ? argv[4] : NULL);
	fprintf(stderr, "crowd: no kind %s\n", argv[1]);
	return 2;
}
