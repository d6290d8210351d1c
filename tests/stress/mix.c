/* mix.c: everything at once, for as long as it is told. mix [SECONDS [SEED]] prints its seed and
 * checks sums at the end: what was sent is what was received, in spite of deadlines, changes of
 * GOMAXPROCS, system calls, wired goroutines, foreign threads and goroutines that come from outside. */
#include "backends/thread/thread.h"
#include "core/base/rand.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 8, WORKERS = 24, GUESTS = 2 };

typedef struct worker {
	rt_rand rand;
	int64_t sent, received, locked, spawned;
} worker;

static gort_chan *channels[CHANNELS];
static gort_mutex mu;
static gort_waitgroup wg;
static worker workers[WORKERS + GUESTS];
static int64_t under_lock, children, stop_at;
static rt_atomic64 visitors;
static gort_runtime *runtime;

static void child(void *arg)
{
	gort_mutex_lock(&mu);
	children++;
	gort_mutex_unlock(&mu);
	gort_waitgroup_done(arg);
}

static void family(worker *w)
{
	gort_waitgroup here = GORT_INIT;
	int n = 1 + (int)rt_rand_below(&w->rand, 20);

	gort_waitgroup_add(&here, n);
	for (int i = 0; i < n; i++)
		if (gort_go(child, &here) != 0)
			abort();
	w->spawned += n;
	gort_waitgroup_wait(&here);
}

static void visitor(void *arg)
{
	(void)arg;
	rt_add64_full(&visitors, 1);
}

static void step(worker *w)
{
	gort_chan *c = channels[rt_rand_below(&w->rand, CHANNELS)];
	int64_t v = (int64_t)rt_rand_below(&w->rand, 1000);
	int64_t d = gort_nanotime() + (int64_t)rt_rand_below(&w->rand, 200) * GORT_MICROSECOND;

	switch (rt_rand_below(&w->rand, 12)) {
	case 0:
		if (gort_chan_try_send(c, &v))
			w->sent += v;
		break;
	case 1:
		if (gort_chan_try_recv(c, &v) == 0)
			w->received += v;
		break;
	case 2:
	case 3:
		if (gort_chan_send_until(c, &v, d) == 0)
			w->sent += v;
		break;
	case 4:
	case 5:
		if (gort_chan_recv_until(c, &v, d) == 0)
			w->received += v;
		break;
	case 6:
		gort_mutex_lock(&mu);
		under_lock++;
		if (v < 100)
			gort_gosched();
		gort_mutex_unlock(&mu);
		w->locked++;
		break;
	case 7:
		if (gort_mutex_lock_until(&mu, d) == 0) {
			under_lock++;
			gort_mutex_unlock(&mu);
			w->locked++;
		}
		break;
	case 8:
		family(w);
		break;
	case 9:
		gort_entersyscall();
		be_thread_yield();
		gort_exitsyscall();
		break;
	case 10:
		gort_gosched();
		break;
	case 11:
		gort_sleep(v * 10);
		break;
	}
}

static void work(void *arg)
{
	worker *w = arg;
	bool wired = rt_rand_below(&w->rand, 4) == 0;

	if (wired)
		gort_lock_os_thread();
	while (gort_nanotime() < stop_at) {
		step(w);
		if (rt_rand_below(&w->rand, 2000) == 0)
			gort_gomaxprocs(1 + (int)rt_rand_below(&w->rand, 5));
	}
	if (wired && rt_rand_below(&w->rand, 2) == 0)
		gort_unlock_os_thread();
	gort_waitgroup_done(&wg);
}

static void guest(void *arg)
{
	while (gort_nanotime() < stop_at) {
		worker *w = arg;

		if (gort_attach(runtime) != 0)
			abort();
		for (int i = 0; i < 50; i++)
			step(w);
		if (gort_detach() != 0)
			abort();
		if (gort_runtime_go(runtime, visitor, NULL) != 0)
			abort();
	}
}

static void program(void *arg)
{
	be_thread guests[GUESTS];

	(void)arg;
	for (int i = 0; i < CHANNELS; i++)
		channels[i] = gort_chan_make(GORT_TYPE(int64_t), (size_t)(i % 4));
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < GUESTS; i++)
		if (be_thread_start(&guests[i], guest, &workers[WORKERS + i], 0) != 0)
			abort();
	for (int i = 0; i < WORKERS; i++)
		if (gort_go(work, &workers[i]) != 0)
			abort();
	gort_waitgroup_wait(&wg);
	gort_entersyscall();
	for (int i = 0; i < GUESTS; i++)
		be_thread_join(&guests[i]);
	gort_exitsyscall();
	for (int i = 0; i < CHANNELS; i++) { /* what is left in the buffers */
		int64_t v;

		while (gort_chan_try_recv(channels[i], &v) == 0)
			workers[0].received += v;
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)be_nanotime();
	int64_t balance = 0, locked = 0, spawned = 0, steps = 0;
	gort_config cfg;
	int r;

	printf("mix: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (int i = 0; i < WORKERS + GUESTS; i++)
		rt_rand_seed(&workers[i].rand, seed + (uint64_t)i * 7919);
	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.flags |= GORT_LIBRARY | GORT_SCAN_DATA;
	stop_at = gort_nanotime() + (int64_t)(seconds * (double)GORT_SECOND);
	r = gort_runtime_new(&runtime, &cfg);
	if (r == 0)
		r = gort_runtime_run(runtime, program, NULL);
	if (r != 0)
		fprintf(stderr, "mix: %s: %s\n", gort_strerror(r), gort_runtime_error(runtime));
	for (int i = 0; i < WORKERS + GUESTS; i++) {
		balance += workers[i].sent - workers[i].received;
		locked += workers[i].locked;
		spawned += workers[i].spawned;
		steps += workers[i].received;
	}
	if (gort_runtime_free(runtime) != 0)
		r = -1;
	printf("mix: balance %lld, %lld locks, %lld goroutines, %lld received\n",
	       (long long)balance, (long long)locked, (long long)spawned, (long long)steps);
	return r != 0 || balance != 0 || locked != under_lock || spawned != children;
}
