/* watch.h: what the files of watch/ ask of each other, and the runtime's life of them. */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include "core/base/types.h"
#include "core/include/gort.h"

#include <stdbool.h>

/* listener.c. Ends a trace that still runs, and lets nobody start one; waits for goroutines that were dropped while
 * they did so. No goroutine runs; the Ms need not be gone. Before rt_trace_fini. */
void rt_watch_close(gort_runtime *rt);
void rt_watch_reopen(gort_runtime *rt); /* rt is not freed after all */
/* The same in the child of a fork, where the listener's thread does not exist: nothing is
 * delivered. */
void rt_watch_forget(gort_runtime *rt);

/* write.c: events as text. format is one of GORT_TRACE_*; lost: how many events
 * are known to be missing. NULL: no memory. */
typedef struct rt_tracewriter rt_tracewriter;
rt_tracewriter *rt_tracewriter_new(int format, gort_writer fn, void *data, uint64_t lost);
/* The next n events, in the order in which a listener gets them. 0, what fn returned, or
 * GORT_ENOMEM; after an error only free may be called. */
int rt_tracewriter_add(rt_tracewriter *w, const gort_event *events, size_t n);
int rt_tracewriter_end(rt_tracewriter *w);
void rt_tracewriter_free(rt_tracewriter *w);

/* json.c: what stands for the first character of s, which is not empty, between the quotes of a JSON string; U+FFFD for
 * a byte that is no UTF-8. Returns how many bytes of s that were. */
enum { RT_JSON_CHAR = 8 };
size_t rt_json_char(char out[RT_JSON_CHAR], const char *s);

/* goroutines.c: gives back what dropped goroutines of rt had in their hands, all of which are gone; world stopped. all:
 * what others had, too, and nobody makes a dump any more. */
void rt_dumps_dropped(gort_runtime *rt, bool all);

/* goroutines.c: keeps what a run that fails looks like; world stopped. */
void rt_watch_failed(gort_runtime *rt);

#endif
