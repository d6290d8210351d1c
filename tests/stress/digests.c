/* digests.c: one seed, one schedule, on every run and platform.
 *
 *   digests FIRST LAST [FILE]
 *
 * Runs each program under the seeds FIRST to LAST, twice, and compares what the two schedules hash to. One line for
 * each program, with the hash of all. FILE has these lines; they are the same wherever gort runs, and change
 * only with the scheduler itself: then it is made anew. Exit status 1: something differs. */
#include "tests/support/seeded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hashing {
	gort_func main;
	uint64_t all;    /* of the schedules before */
	uint64_t *each;  /* of the run's, and the next */
} hashing;

/* In one process, one after the other, by gort_explore: it makes a runtime for each. */
static void hashed(void *arg)
{
	hashing *h = arg;
	gort_trace_buffer *buffer;
	uint64_t one = HASH_BEGIN;

	if (gort_trace_buffer_new(&buffer, 0) != 0 ||
	    start_schedule_trace(gort_self(), buffer) != 0)
		abort();
	h->main(NULL);
	if (gort_trace_stop(gort_self()) != 0 ||
	    gort_trace_buffer_write(buffer, GORT_TRACE_SCHEDULE, hash_writer, &one) != 0)
		abort();
	gort_trace_buffer_free(buffer);
	for (int i = 0; i < 64; i += 8) {
		char byte = (char)(one >> i);

		hash_writer(&h->all, &byte, 1);
	}
	*h->each++ = one;
}

/* The hash of all, or false. */
static bool hash_all(const program *p, uint64_t from, uint64_t runs, uint64_t *all)
{
	uint64_t *first = calloc(runs, sizeof *first), *again = calloc(runs, sizeof *again), seed = 0;
	hashing h[2] = { { p->main, HASH_BEGIN, first }, { p->main, HASH_BEGIN, again } };
	gort_config cfg;
	bool same = true;

	gort_config_init(&cfg);
	cfg.seed = from;
	if (first == NULL || again == NULL)
		abort();
	for (int i = 0; i < 2; i++) {
		int r = gort_explore(&cfg, hashed, &h[i], runs, &seed);

		if (r != 0)
			printf("%s, seed %" PRIu64 ": %s\n", p->name, seed, gort_strerror(r));
		same = same && r == 0;
	}
	for (uint64_t i = 0; i < runs && same; i++) {
		same = first[i] == again[i];
		if (!same)
			printf("%s, seed %" PRIu64 ": two runs, two schedules\n", p->name, from + i);
	}
	*all = h[0].all;
	free(first);
	free(again);
	return same;
}

/* Whether FILE has this line. */
static bool is_known(const char *file, const char *line)
{
	char known[256];
	bool found = false;
	FILE *f = fopen(file, "r");

	if (f == NULL) {
		perror(file);
		return false;
	}
	while (!found && fgets(known, sizeof known, f) != NULL) {
		known[strcspn(known, "\r\n")] = '\0';
		found = strcmp(known, line) == 0;
	}
	fclose(f);
	return found;
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 2 ? strtoull(argv[1], NULL, 10) : 0, last = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int bad = 0;

	if (first == 0 || last < first) {
		fprintf(stderr, "usage: digests FIRST LAST [FILE]\n");
		return 2;
	}
	for (const program *p = programs; p->name != NULL; p++) {
		char line[256];
		uint64_t all;

		if (!hash_all(p, first, last - first + 1, &all)) {
			bad = 1;
			continue;
		}
		snprintf(line, sizeof line, "%s %" PRIu64 " %" PRIu64 " %016" PRIx64, p->name, first, last, all);
		printf("%s\n", line);
		if (argc > 3 && !is_known(argv[3], line)) {
			printf("%s does not have this line\n", argv[3]);
			bad = 1;
		}
	}
	return bad;
}
