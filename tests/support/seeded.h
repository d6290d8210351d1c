/* seeded.h: programs for seeded runs. Each makes about a hundred choices, is right in every schedule unless it says
 * what is planted, and depends on nothing but its schedule. */
#ifndef TESTS_SUPPORT_SEEDED_H
#define TESTS_SUPPORT_SEEDED_H

#include <gort.h>

typedef struct program {
	const char *name;
	gort_func main;
	int fails; /* the code of a run in which what is planted shows; 0: nothing is */
} program;

extern const program programs[]; /* right ones; name NULL ends */
extern const program planted[];  /* the same */

enum { LOST_WAKEUP, ABBA, CHECK_THEN_ACT }; /* in planted */

/* A run of main under seed, its schedule as text to write. options: of gort_config_parse, or NULL. What
 * gort_runtime_run returned, or an error before that. */
int run_written(gort_func main, uint64_t seed, const char *options, gort_writer write, void *data);
/* A trace of what a schedule consists of. What the heap does besides would only fill the rings. */
int start_schedule_trace(gort_runtime *rt, gort_trace_buffer *buffer);
/* FNV-1a, 64 bits: a gort_writer; data: the uint64_t, HASH_BEGIN at first. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
int hash_writer(void *data, const void *text, size_t n);

#endif
