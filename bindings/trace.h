/* trace.h: one trace of one run, kept in memory for Python.
 *
 * The library's own buffer keeps the last events; this listener stands before it and counts what
 * goes in, so that Python can say how many events the buffer let go again. No Python code runs
 * while events arrive: the listener is called on threads of the runtime, which must not wait for
 * the GIL.
 */
#ifndef BINDINGS_TRACE_H
#define BINDINGS_TRACE_H

#include <gort.h>

typedef struct binding_trace binding_trace;

typedef struct binding_trace_totals {
	uint64_t events;     /* that arrived */
	uint64_t lost;       /* that came too fast and never arrived */
	uint64_t counts[64]; /* that arrived, by gort_event.id; the last counts higher ids, too */
} binding_trace_totals;

/* Keeps the last max events, or all if max is 0. GORT_ENOMEM and what the library reports. */
int binding_trace_new(binding_trace **out, size_t max);
/* Starts it on rt for these groups, GORT_TRACE_*. GORT_EBUSY: rt has a trace that runs. */
int binding_trace_start(binding_trace *t, gort_runtime *rt, unsigned groups);
/* After gort_trace_stop, as the rest. */
void binding_trace_read_totals(binding_trace *t, binding_trace_totals *out);
size_t binding_trace_len(binding_trace *t);
size_t binding_trace_read(binding_trace *t, size_t i, gort_event *out, size_t n);
/* Writes a file in a format of gort_trace_buffer_write. OS errors; what was written by then stays:
 * path may be a pipe or a device, which nobody wants removed. */
int binding_trace_save(binding_trace *t, int format, const char *path);
/* The same into memory of its own, which binding_free gives back. GORT_ENOMEM. */
int binding_trace_text(binding_trace *t, int format, char **text, size_t *n);
void binding_trace_free(binding_trace *t);

#endif
