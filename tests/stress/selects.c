/* selects.c: selects against everything on several Ps. selects [SECONDS [SEED [PROCS]]] prints its
 * seed.
 *
 * Workers run random selects over shared channels of different capacities, sending and receiving,
 * with and without default and deadline, beside plain sends and receives; GOMAXPROCS changes
 * meanwhile, so that locks come and go. Values are counted: what was sent was received or lies in
 * a buffer, once. Each worker numbers what it sends, and a receiver sees the numbers of one sender
 * through one channel rise: order is kept. In the end a channel is closed under those that wait. */
#include "core/base/rand.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 6, WORKERS = 12, CASES = 8, SHIFT = 32 };

typedef struct worker {
	rt_rand rand;
	int64_t id, sent, received, count, panics;
	int64_t next[CHANNELS];           /* number of the next value */
	int64_t last[CHANNELS][WORKERS];  /* number received last from whom */
} worker;

static gort_chan *channels[CHANNELS], *quit;
static worker workers[WORKERS];
static gort_waitgroup wg;
static int64_t stop_at;
static int most;

_Noreturn static void wrong(const char *what)
{
	fprintf(stderr, "selects: %s\n", what);
	exit(1);
}

static int64_t new_value(const worker *w, int chan)
{
	return w->id << SHIFT | w->next[chan];
}

static void note_sent(worker *w, int chan, int64_t v)
{
	w->sent += v;
	w->next[chan]++;
}

static void note_received(worker *w, int chan, int64_t v)
{
	int64_t from = v >> SHIFT, number = v & ((INT64_C(1) << SHIFT) - 1);

	if (v == 0) /* of last_wait, while we are late */
		return;
	if (from < 0 || from >= WORKERS)
		wrong("a value that nobody sent");
	if (number <= w->last[chan][from])
		wrong("out of order, or twice");
	w->last[chan][from] = number;
	w->received += v;
	w->count++;
}

static int64_t some_deadline(worker *w)
{
	switch (rt_rand_below(&w->rand, 3)) {
	case 0:
		return 0;
	case 1:
		return gort_nanotime() + (int64_t)rt_rand_below(&w->rand, 100) * GORT_MICROSECOND;
	default: /* the others go on, too: somebody comes */
		return gort_nanotime() + 20 * GORT_MILLISECOND;
	}
}

static void one_select(worker *w)
{
	gort_select_case k[CASES + 1];
	int64_t v[CASES];
	int chan[CASES], n = 1 + (int)rt_rand_below(&w->rand, CASES), r;

	for (int i = 0; i < n; i++) {
		chan[i] = (int)rt_rand_below(&w->rand, CHANNELS);
		v[i] = new_value(w, chan[i]);
		k[i] = (gort_select_case){ channels[chan[i]], &v[i],
			                   rt_rand_below(&w->rand, 2) ? GORT_SEND : GORT_RECV,
			                   false };
	}
	k[n] = (gort_select_case){ quit, NULL, GORT_RECV, false };
	r = gort_select(k, (size_t)n + 1, some_deadline(w));
	if (r < 0 || r == n)
		return;
	if (k[r].dir == GORT_SEND)
		note_sent(w, chan[r], v[r]);
	else
		note_received(w, chan[r], v[r]);
}

static void one_plain(worker *w)
{
	int c = (int)rt_rand_below(&w->rand, CHANNELS);
	int64_t v = new_value(w, c);

	if (rt_rand_below(&w->rand, 2)) {
		if (gort_chan_send_until(channels[c], &v, some_deadline(w)) == 0)
			note_sent(w, c, v);
	} else if (gort_chan_recv_until(channels[c], &v, some_deadline(w)) == 0) {
		note_received(w, c, v);
	}
}

/* Waits for ever, in a send and in receives, until the channels are closed. */
static void last_wait(void *arg)
{
	int64_t v = 0;
	gort_select_case k[3] = { { quit, NULL, GORT_RECV, false },
		                  { channels[0], &v, GORT_SEND, false },
		                  { quit, NULL, GORT_RECV, false } };

	(void)arg;
	for (;;)
		if (gort_select(k, 3, GORT_FOREVER) != 1)
			return;
}

static void work(void *arg)
{
	worker *w = arg;

	while (gort_nanotime() < stop_at) {
		if (rt_rand_below(&w->rand, 4) != 0)
			one_select(w);
		else
			one_plain(w);
		if (rt_rand_below(&w->rand, 1000) == 0)
			gort_gomaxprocs(1 + (int)rt_rand_below(&w->rand, (uint32_t)most));
	}
	if (gort_try(last_wait, NULL, NULL) != 0)
		w->panics++;
	gort_waitgroup_done(&wg);
}

static void drain(void *arg)
{
	worker *rest = arg;
	int64_t v;

	for (int i = 0; i < CHANNELS; i++)
		while (gort_chan_try_recv(channels[i], &v) == 0)
			rest->received += v;
}

static void program(void *arg)
{
	gort_chan *first;

	quit = gort_chan_make(GORT_TYPE(int64_t), 0);
	for (int i = 0; i < CHANNELS; i++)
		channels[i] = gort_chan_make(GORT_TYPE(int64_t), (size_t)(i % 3));
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		if (gort_go(work, &workers[i]) != 0)
			abort();
	gort_sleep(stop_at - gort_nanotime() + 50 * GORT_MILLISECOND);
	drain(arg); /* last_wait sends zeros */
	first = rt_rand_below(&workers[0].rand, 2) ? quit : channels[0];
	gort_chan_close(first);
	gort_sleep(GORT_MILLISECOND);
	if (gort_waitgroup_wait_until(&wg, gort_nanotime() + 20 * GORT_MILLISECOND) != 0 && first != quit)
		gort_chan_close(quit);
	gort_waitgroup_wait(&wg);
	drain(arg); /* one that came late may have sent into a buffer meanwhile */
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)gort_nanotime();
	int64_t balance = 0, count = 0, panics = 0;
	gort_runtime *rt;
	gort_config cfg;
	worker rest = { 0 };
	int r;

	most = argc > 3 ? atoi(argv[3]) : 4;
	printf("selects: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].id = i;
		rt_rand_seed(&workers[i].rand, seed + (uint64_t)i * 7919);
		for (int c = 0; c < CHANNELS; c++)
			workers[i].next[c] = 1;
	}
	gort_config_init(&cfg);
	cfg.procs = most;
	cfg.flags |= GORT_SCAN_DATA;
	stop_at = gort_nanotime() + (int64_t)(seconds * (double)GORT_SECOND);
	r = gort_runtime_new(&rt, &cfg);
	if (r == 0)
		r = gort_runtime_run(rt, program, &rest);
	if (r != 0)
		fprintf(stderr, "selects: %s: %s\n", gort_strerror(r), gort_runtime_error(rt));
	for (int i = 0; i < WORKERS; i++) {
		balance += workers[i].sent - workers[i].received;
		count += workers[i].count;
		panics += workers[i].panics;
	}
	balance -= rest.received;
	if (gort_runtime_free(rt) != 0)
		r = -1;
	printf("selects: balance %lld, %lld received, %lld panics at the close\n",
	       (long long)balance, (long long)count, (long long)panics);
	return r != 0 || balance != 0;
}
