/* explore.h: a workload under one seed after the other, each in a runtime of its own, until one fails.
 *
 * What gort_explore does, which any thread may stop: so Ctrl-C ends a search even if a run of it does not end.
 */
#ifndef BINDINGS_EXPLORE_H
#define BINDINGS_EXPLORE_H

#include <gort.h>

#include "bindings/workloads/workload.h"

typedef struct binding_search {
	uint64_t seed;   /* in: the first one; then the one that failed. 0 is none and counts as 1 */
	uint64_t runs;   /* at most */
	uint64_t done;   /* atomic: how many have begun */
	gort_runtime *current; /* of the run in progress; guarded by held */
	uint32_t held, stopped; /* atomic */
} binding_search;

/* 0 if all runs pass; else what gort_runtime_run returned in the first that did not. cfg->seed does not matter. Also
 * what gort_runtime_new reports; GORT_EINVAL as workload_run; GORT_ECANCELED: it was stopped. */
int binding_explore(binding_search *s, const gort_config *cfg, const workload *w, const int64_t *params);
/* Any thread: ends the run in progress, and lets none begin. Once more if the search goes on: a run may be about to
 * begin, which cannot be stopped. */
void binding_explore_stop(binding_search *s);
uint64_t binding_explore_done(binding_search *s);

#endif
