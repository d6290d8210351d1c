/* share KIND N SECONDS: how much of its P a goroutine that computes keeps while N others block in the system and
 * never tell the runtime: KIND read (raw reads of an empty pipe) or sleep (raw nanosleeps of 10 ms, again and again).
 * On one P: first alone, then beside them, each for SECONDS; prints the second speed as a part of the first. A thread
 * from outside counts, so that nobody who measures needs the P. */
#include <gort.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static gort_runtime *rt;
static int ends[2], n, seconds, inside;
static bool reads;
static volatile bool over;
static volatile uint64_t turns;
static double alone, beside;

static void nap(int64_t ns)
{
	struct timespec t = { ns / GORT_SECOND, ns % GORT_SECOND };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static void blocks(void *arg)
{
	char c;

	(void)arg;
	__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
	while (reads && read(ends[0], &c, 1) < 0 && errno == EINTR)
		;
	while (!reads && !over)
		nap(10 * GORT_MILLISECOND);
}

static void computes(void *arg)
{
	(void)arg;
	for (;;)
		turns++;
}

static double speed(void)
{
	uint64_t was = turns;
	int64_t at = gort_nanotime();

	nap(seconds * GORT_SECOND);
	return (double)(turns - was) / (double)(gort_nanotime() - at);
}

static void *watcher(void *arg)
{
	(void)arg;
	while (turns == 0)
		nap(GORT_MILLISECOND);
	alone = speed();
	for (int i = 0; i < n; i++)
		if (gort_runtime_go(rt, blocks, NULL) != 0)
			abort();
	while (__atomic_load_n(&inside, __ATOMIC_RELAXED) < n)
		nap(GORT_MILLISECOND);
	beside = speed();
	for (int i = 0; i < n; i++)
		if (write(ends[1], "x", 1) != 1)
			abort();
	over = true;
	if (gort_runtime_stop(rt, 0) != 0)
		abort();
	return NULL;
}

int main(int argc, char **argv)
{
	gort_config cfg;
	pthread_t t;
	int r;

	if (argc < 4 || pipe(ends) != 0)
		return 2;
	reads = strcmp(argv[1], "read") == 0;
	n = atoi(argv[2]);
	seconds = atoi(argv[3]);
	gort_config_init(&cfg);
	cfg.procs = 1;
	if (gort_runtime_new(&rt, &cfg) != 0 || pthread_create(&t, NULL, watcher, NULL) != 0 ||
	    gort_runtime_run(rt, computes, NULL) != 0)
		return 1;
	pthread_join(t, NULL);
	printf("%d in raw %s: the loop keeps %.1f %% of its P\n", n, argv[1], 100 * beside / alone);
	while ((r = gort_runtime_free(rt)) == GORT_EBUSY)
		nap(GORT_MILLISECOND);
	return r != 0;
}
