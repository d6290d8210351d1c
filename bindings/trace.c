/* See trace.h. The totals need no atomics: the library calls a listener from one thread at a time,
 * and Python reads them after gort_trace_stop has returned. */
#include "bindings/trace.h"

#include "bindings/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct binding_trace {
	gort_trace_buffer *buffer;
	gort_trace_listener inner; /* the buffer's */
	binding_trace_totals totals;
};

int binding_trace_new(binding_trace **out, size_t max)
{
	*out = NULL;
	binding_trace *t = calloc(1, sizeof *t);
	if (!t)
		return GORT_ENOMEM;
	int err = gort_trace_buffer_new(&t->buffer, max);
	if (err != 0) {
		free(t);
		return err;
	}
	t->inner = *gort_trace_buffer_listener(t->buffer);
	*out = t;
	return 0;
}

static void count_events(void *data, const gort_event *events, size_t n)
{
	binding_trace *t = data;
	const size_t last = sizeof t->totals.counts / sizeof *t->totals.counts - 1;
	t->totals.events += n;
	for (size_t i = 0; i < n; i++)
		t->totals.counts[events[i].id < last ? events[i].id : last]++;
	if (t->inner.event)
		t->inner.event(t->inner.data, events, n);
}

static void count_lost(void *data, uint64_t n)
{
	binding_trace *t = data;
	t->totals.lost += n;
	if (t->inner.lost)
		t->inner.lost(t->inner.data, n);
}

static void pass_stop(void *data)
{
	binding_trace *t = data;
	if (t->inner.stop)
		t->inner.stop(t->inner.data);
}

int binding_trace_start(binding_trace *t, gort_runtime *rt, unsigned groups)
{
	const gort_trace_listener outer = {
		.size = sizeof outer, .groups = groups, .event = count_events,
		.lost = count_lost, .stop = pass_stop, .data = t,
	};
	return gort_trace_start(rt, &outer);
}

void binding_trace_read_totals(binding_trace *t, binding_trace_totals *out)
{
	*out = t->totals;
}

size_t binding_trace_len(binding_trace *t)
{
	return gort_trace_buffer_len(t->buffer);
}

size_t binding_trace_read(binding_trace *t, size_t i, gort_event *out, size_t n)
{
	return gort_trace_buffer_read(t->buffer, i, out, n);
}

static int write_file(void *data, const void *bytes, size_t n)
{
	return fwrite(bytes, 1, n, data) == n ? 0 : GORT_EOS - (errno ? errno : EIO);
}

int binding_trace_save(binding_trace *t, int format, const char *path)
{
	errno = 0;
	FILE *f = fopen(path, "wb");
	if (!f)
		return GORT_EOS - errno;
	int err = gort_trace_buffer_write(t->buffer, format, write_file, f);
	/* The last bytes are written here: a full disk may show only now. */
	if (fclose(f) != 0 && err == 0)
		err = GORT_EOS - errno;
	return err;
}

int binding_trace_text(binding_trace *t, int format, char **text, size_t *n)
{
	binding_memory m = { NULL, 0, 0 };

	return binding_hand_over(&m, gort_trace_buffer_write(t->buffer, format, binding_append, &m), text, n);
}

void binding_trace_free(binding_trace *t)
{
	if (!t)
		return;
	gort_trace_buffer_free(t->buffer);
	free(t);
}
