/* ends SECONDS PROCS [SEED [DEBUG]]: run after run of a program whose goroutines are everywhere when main returns:
 * they compute, sleep in the system with and without a word, wait, yield, are wired to their threads. Meanwhile
 * threads from outside start goroutines and attach and detach, so that the end meets what comes and what comes back.
 * Then all must have gone, and the runtime be free. Prints its seed. */
#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/base/rand.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

enum { GOROUTINES = 24, VISITORS = 1, GUESTS = 2 };

static gort_runtime *runtime;
static gort_chan *nobody;
static rt_atomic32 over;
static rt_atomic64 invited, came, turns;

/* Without preemption in place it must say something to be stopped. */
static void silence(void)
{
	if (!be_preempt_in_place)
		gort_gosched();
}

static void computes(void)
{
	silence();
	for (volatile int i = 0; i < 1000; i++)
		;
}

static void sleeps(void)
{
	silence();
	be_thread_nap(20 * GORT_MICROSECOND);
}

static void in_system(void)
{
	gort_entersyscall();
	be_thread_nap(20 * GORT_MICROSECOND);
	gort_exitsyscall();
}

static void waits(void)
{
	int64_t v;

	(void)gort_chan_recv_until(nobody, &v, gort_nanotime() + 100 * GORT_MICROSECOND);
}

static void child(void *arg)
{
	(void)arg;
	rt_add64_full(&turns, 1);
}

static void has_children(void)
{
	if (gort_go(child, NULL) != 0)
		abort();
	gort_gosched();
}

/* The ways that a goroutine of number n goes. */
static void step(int n)
{
	switch (n % 6) {
	case 0: computes(); break;
	case 1: sleeps(); break;
	case 2: in_system(); break;
	case 3: waits(); break;
	case 4: has_children(); break;
	default: gort_gosched(); break;
	}
}

static void body(void *arg)
{
	int n = (int)(intptr_t)arg;

	if (n % 5 == 0)
		gort_lock_os_thread();
	for (;;) {
		step(n);
		rt_add64_full(&turns, 1);
	}
}

static void first(void *arg)
{
	(void)arg;
	nobody = gort_chan_make(GORT_TYPE(int64_t), 0);
}

static void program(void *arg)
{
	rt_rand *rand = arg;
	int64_t ns = (int64_t)rt_rand_below(rand, 1000) * GORT_MICROSECOND;

	for (int i = 0; i < GOROUTINES; i++)
		if (gort_go(body, (void *)(intptr_t)i) != 0)
			abort();
	switch (rt_rand_below(rand, 3)) {
	case 0: gort_sleep(ns); break;
	case 1: be_thread_nap(ns); break;
	default:
		gort_sleep(ns);
		gort_runtime_stop(gort_self(), 0);
	}
}

static void note_visit(void *arg)
{
	(void)arg;
	rt_add64_full(&came, 1);
}

static void visitor(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&over) == 0) {
		if (gort_runtime_go(runtime, note_visit, NULL) != 0)
			abort();
		rt_add64_full(&invited, 1);
		be_thread_nap(10 * GORT_MICROSECOND);
	}
}

static void guest(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&over) == 0) {
		if (gort_attach(runtime) != 0)
			abort();
		for (int i = 0; i < 20; i++)
			step(2 + i % 4);
		if (gort_detach() != 0)
			abort();
	}
}

int main(int argc, char **argv)
{
	int64_t end = gort_nanotime() + (int64_t)((argc > 1 ? atof(argv[1]) : 1) * (double)GORT_SECOND);
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)be_nanotime(), runs = 0;
	be_thread threads[VISITORS + GUESTS];
	gort_config cfg;
	rt_rand rand;
	int r;

	if (RT_ASAN)
		return 77; /* its malloc is in this program: nobody is dropped in there, and loops do not end */
	printf("ends: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rt_rand_seed(&rand, seed);
	gort_config_init(&cfg);
	cfg.procs = argc > 2 ? atoi(argv[2]) : 2;
	cfg.flags |= GORT_SCAN_DATA;
	cfg.debug = argc > 4 ? argv[4] : "slice=1000";
	if (gort_runtime_new(&runtime, &cfg) != 0 || gort_runtime_run(runtime, first, NULL) != 0)
		return 1;
	for (int i = 0; i < VISITORS + GUESTS; i++)
		if (be_thread_start(&threads[i], i < VISITORS ? visitor : guest, NULL, 0) != 0)
			return 1;
	for (; gort_nanotime() < end; runs++)
		if ((r = gort_runtime_run(runtime, program, &rand)) != 0) {
			fprintf(stderr, "ends: %s: %s\n", gort_strerror(r), gort_runtime_error(runtime));
			return 1;
		}
	rt_store32_rel(&over, 1);
	for (int i = 0; i < VISITORS + GUESTS; i++)
		be_thread_join(&threads[i]);
	while ((r = gort_runtime_free(runtime)) == GORT_EBUSY)
		be_thread_yield();
	printf("ends: %llu runs, %llu turns, %llu of %llu visitors, free: %s\n", (unsigned long long)runs,
	       (unsigned long long)rt_load64_acq(&turns), (unsigned long long)rt_load64_acq(&came),
	       (unsigned long long)rt_load64_acq(&invited), gort_strerror(r));
	return r != 0 || rt_load64_acq(&came) > rt_load64_acq(&invited);
}
