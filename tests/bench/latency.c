/* latency PROCS LOOPS SECONDS: how late a sleeper of 1 ms wakes while LOOPS goroutines compute and never call the
 * runtime. Prints the median, the 99th percentile and the longest overshoot in ms, and how much the loops got done. */
#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

enum { MAX = 100000, MAX_LOOPS = 20000 };

static int64_t late[MAX];
static int n, loops, seconds;
static volatile uint64_t turns[MAX_LOOPS];

static void loop(void *arg)
{
	volatile uint64_t *t = arg;

	for (;;)
		(*t)++;
}

static int order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void program(void *arg)
{
	int64_t begin = gort_nanotime();

	(void)arg;
	for (int i = 0; i < loops; i++)
		if (gort_go(loop, (void *)&turns[i]) != 0)
			exit(1);
	while (n < MAX && gort_nanotime() - begin < seconds * GORT_SECOND) {
		int64_t at = gort_nanotime();

		gort_sleep(GORT_MILLISECOND);
		late[n++] = gort_nanotime() - at - GORT_MILLISECOND;
	}
}

int main(int argc, char **argv)
{
	gort_config cfg;
	gort_runtime *rt;
	uint64_t all = 0, idle = 0;

	if (argc < 4)
		return 2;
	gort_config_init(&cfg);
	cfg.procs = atoi(argv[1]);
	loops = atoi(argv[2]);
	seconds = atoi(argv[3]);
	if (loops > MAX_LOOPS || gort_runtime_new(&rt, &cfg) != 0 || gort_runtime_run(rt, program, NULL) != 0)
		return 1;
	qsort(late, (size_t)n, sizeof late[0], order);
	for (int i = 0; i < loops; i++) {
		all += turns[i];
		idle += turns[i] == 0;
	}
	printf("%d P, %d loops: late p50 %.2f p99 %.2f max %.2f ms (%d sleeps); %.0f M turns/s, "
	       "%llu loops without one\n",
	       atoi(argv[1]), loops, (double)late[n / 2] / 1e6, (double)late[n * 99 / 100] / 1e6,
	       (double)late[n - 1] / 1e6, n, (double)all / 1e6 / seconds, (unsigned long long)idle);
	return gort_runtime_free(rt) != 0;
}
