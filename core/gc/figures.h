/* figures.h: what metrics tell of the heap and the collector, besides gort_mem_stats. */
#ifndef CORE_GC_FIGURES_H
#define CORE_GC_FIGURES_H

#include "core/alloc/memstats.h"
#include "core/base/types.h"

#include <stdbool.h>

typedef struct rt_gc_figures {
	rt_memtotals objects;
	uint64_t live;            /* bytes that the last collection has marked */
	uint64_t peak;            /* the largest heap so far: at the end of a collection, or now */
	uint64_t scan_heap;       /* bytes that it has looked at, and what was allocated since */
	uint64_t scan_stack, scan_globals; /* bytes that it has looked at */
	int percent;              /* GOGC; negative: off */
	uint64_t limit;
	uint64_t limited;         /* the collection in which the CPU limiter was last switched on; 0: none */
	int64_t assists, workers, idle, pauses; /* CPU ns of marking, by whom; of all Ps while the world was stopped */
	int64_t giving, giving_now; /* CPU ns of giving back: in the background, by who allocates */
} rt_gc_figures;

void rt_gc_figures_read(gort_runtime *rt, rt_gc_figures *out); /* world stopped */
/* World stopped: has one begun that has not ended? Its number, and why, as GORT_EV_GC_BEGIN tells it. */
bool rt_gc_in_progress(gort_runtime *rt, uint64_t *number, uint64_t *trigger);

#endif
