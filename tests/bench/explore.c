/* explore.c: what a run costs that gort_explore makes: of a program of about a hundred steps, and of an empty one.
 *
 *   explore [RUNS]
 *
 * Microseconds for each, of the median of nine rounds, and how many steps it had. */
#include "tests/support/seeded.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 9 };

static void nothing(void *arg)
{
	(void)arg;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t steps_of(gort_func main)
{
	gort_config cfg;
	gort_runtime *rt;
	uint64_t steps = 0;

	gort_config_init(&cfg);
	cfg.seed = 1;
	if (gort_runtime_new(&rt, &cfg) != 0 || gort_runtime_run(rt, main, NULL) != 0 ||
	    gort_schedule_get(rt, NULL, 0, &steps) < 0 || gort_runtime_free(rt) != 0)
		abort();
	return steps;
}

static void measure(const char *name, gort_func main, uint64_t runs)
{
	double us[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = gort_nanotime();

		if (gort_explore(NULL, main, NULL, runs, NULL) != 0)
			abort();
		us[i] = (double)(gort_nanotime() - begin) / 1000 / (double)runs;
	}
	qsort(us, ROUNDS, sizeof *us, by_size);
	printf("%-10s %8.1f us a run, %4llu steps\n", name, us[ROUNDS / 2], (unsigned long long)steps_of(main));
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;

	measure("nothing", nothing, runs);
	for (const program *p = programs; p->name != NULL; p++)
		measure(p->name, p->main, runs);
	return 0;
}
