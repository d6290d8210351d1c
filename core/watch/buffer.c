/* buffer.c: a listener that keeps events in memory.
 *
 * Events are numbered from 0 on and lie in chunks of 1024; chunk k holds the numbers from 1024 k.
 * A table, as a ring of a power of two of entries, finds chunk k at k & (cap - 1). The kept ones
 * are [begin, end): at the limit begin moves on, and a chunk that it leaves is used for the next
 * end. So growing never copies an event, and keeping the last ones costs as much as keeping all.
 * Rejected: one array that doubles (copies 64 MB at a million events while the rings fill up).
 *
 * The reader's thread appends, any thread reads, under one lock. It is not held while memory is asked for or the host's
 * writer is called; what is dropped meanwhile is missing in the output. The threads of several runtimes that report
 * to one buffer take turns by a second lock, over all that one of them does. In the child of a fork the threads that
 * may have held them are gone: the first that comes makes both free.
 */
#include "core/watch/watch.h"

#include "core/base/lock.h"
#include "core/sched/internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024, COPY = 64 };

typedef struct chunk {
	gort_event events[CHUNK];
} chunk;

struct gort_trace_buffer {
	/* set once */
	gort_trace_listener listener;
	size_t max; /* 0 = all */
	rt_mutex filling; /* rank tracefill: a reader's thread; no goroutine waits for it */
	rt_mutex lock; /* rank tracekeep */
	rt_atomic64 forks; /* rt_forks() where the locks are of use; RESETTING: somebody makes them so */
	/* written under lock by who has `filling` (but `lost`) */
	uint64_t begin, end;
	uint64_t lost; /* what the listener was told, and what found no memory */
	chunk **table;
	size_t cap; /* of the table; a power of two, or 0 */
	chunk *spare; /* of who has `filling` */
};

#define RESETTING UINT64_MAX

static void lock(gort_trace_buffer *b)
{
	uint64_t now = rt_forks(), was;

	while (RT_UNLIKELY((was = rt_load64_acq(&b->forks)) != now)) {
		if (was == RESETTING || !rt_cas64_full(&b->forks, was, RESETTING)) {
			be_thread_yield();
			continue;
		}
		rt_store32_rlx(&b->filling.key, 0);
		rt_store32_rlx(&b->lock.key, 0);
		rt_store64_rel(&b->forks, now);
	}
	rt_lock(&b->lock, RT_RANK_tracekeep);
}

static void unlock(gort_trace_buffer *b)
{
	rt_unlock(&b->lock, RT_RANK_tracekeep);
}

static chunk **slot(gort_trace_buffer *b, uint64_t k)
{
	return &b->table[k & (b->cap - 1)];
}

/* Chunks that hold kept events, or the next one will go to. */
static uint64_t chunks(const gort_trace_buffer *b)
{
	return (b->end + CHUNK - 1) / CHUNK - b->begin / CHUNK;
}

static bool grow_table(gort_trace_buffer *b)
{
	size_t cap = b->cap == 0 ? 16 : 2 * b->cap;
	chunk **table = calloc(cap, sizeof *table), **old = b->table;
	uint64_t first = b->begin / CHUNK;

	if (table == NULL)
		return false;
	for (uint64_t k = first; k < first + chunks(b); k++)
		table[k & (cap - 1)] = *slot(b, k);
	lock(b);
	b->table = table;
	b->cap = cap;
	unlock(b);
	free(old);
	return true;
}

/* For the event with the number end, if it begins a chunk. Nobody looks at that entry of the table before. */
static bool make_room(gort_trace_buffer *b)
{
	chunk *c = b->spare;

	if (b->end % CHUNK != 0)
		return true;
	if (chunks(b) == b->cap && !grow_table(b))
		return false;
	b->spare = NULL;
	if (c == NULL)
		c = malloc(sizeof *c);
	if (c == NULL)
		return false;
	*slot(b, b->end / CHUNK) = c;
	return true;
}

/* Forgets the oldest event. Returns a chunk that is not needed any more, or NULL. */
static chunk *drop_first_locked(gort_trace_buffer *b)
{
	chunk **c = slot(b, b->begin / CHUNK), *old = b->spare;

	if (++b->begin % CHUNK != 0)
		return NULL;
	b->spare = *c;
	*c = NULL;
	return old;
}

/* n events that fit into the chunk of the first: at most one chunk is left meanwhile. */
static chunk *append_locked(gort_trace_buffer *b, const gort_event *events, size_t n)
{
	chunk *c = *slot(b, b->end / CHUNK), *old = NULL;

	for (size_t i = 0; i < n; i++) {
		c->events[b->end % CHUNK] = events[i];
		b->end++;
		if (b->max > 0 && b->end - b->begin > b->max) {
			chunk *left = drop_first_locked(b);

			old = left != NULL ? left : old;
		}
	}
	return old;
}

static void lose(gort_trace_buffer *b, uint64_t n)
{
	lock(b);
	b->lost += n;
	unlock(b);
}

/* Only who fills changes the buffer. It calls malloc and free without the lock: a goroutine that stands in malloc
 * gets no P from one that waits here with its P for the lock. */
static void on_events(void *data, const gort_event *events, size_t n)
{
	gort_trace_buffer *b = data;

	lock(b); /* the other one is of use after that */
	unlock(b);
	rt_lock(&b->filling, RT_RANK_tracefill);
	for (size_t i = 0, run; i < n; i += run) {
		chunk *old;

		run = 1;
		if (!make_room(b)) {
			lose(b, 1);
			continue;
		}
		run = CHUNK - b->end % CHUNK;
		if (run > n - i)
			run = n - i;
		lock(b);
		old = append_locked(b, events + i, run);
		unlock(b);
		free(old);
	}
	rt_unlock(&b->filling, RT_RANK_tracefill);
}

static void on_lost(void *data, uint64_t n)
{
	lose(data, n);
}

GORT_API int gort_trace_buffer_new(gort_trace_buffer **out, size_t max)
{
	gort_trace_buffer *b;

	if (out == NULL)
		return GORT_EINVAL;
	*out = b = calloc(1, sizeof *b);
	if (b == NULL)
		return GORT_ENOMEM;
	b->max = max;
	rt_store64_rlx(&b->forks, rt_forks());
	b->listener = (gort_trace_listener){
		.size = sizeof b->listener,
		.groups = GORT_TRACE_ALL,
		.event = on_events,
		.lost = on_lost,
		.data = b,
	};
	return GORT_OK;
}

GORT_API const gort_trace_listener *gort_trace_buffer_listener(gort_trace_buffer *b)
{
	return &b->listener;
}

/* Copies up to n events from number *at on, or from the first kept one if that is later; moves *at.
 *  */
static size_t copy(gort_trace_buffer *b, uint64_t *at, gort_event *out, size_t n)
{
	rt_m *self = rt_hold();
	size_t done = 0;

	lock(b);
	if (*at < b->begin)
		*at = b->begin;
	while (done < n && *at < b->end) {
		size_t in = *at % CHUNK, run = CHUNK - in;

		if (run > n - done)
			run = n - done;
		if (run > b->end - *at)
			run = (size_t)(b->end - *at);
		memcpy(out + done, &(*slot(b, *at / CHUNK))->events[in], run * sizeof *out);
		done += run;
		*at += run;
	}
	unlock(b);
	rt_unhold(self);
	return done;
}

/* The numbers that are kept, and how many events are missing. */
typedef struct range {
	uint64_t begin, end, lost;
} range;

static range kept(gort_trace_buffer *b)
{
	rt_m *self = rt_hold();
	range r;

	lock(b);
	r = (range){ b->begin, b->end, b->lost };
	unlock(b);
	rt_unhold(self);
	return r;
}

GORT_API size_t gort_trace_buffer_read(gort_trace_buffer *b, size_t i, gort_event *out, size_t n)
{
	range r = kept(b);
	uint64_t at = r.begin + i;

	return i < r.end - r.begin ? copy(b, &at, out, n) : 0;
}

GORT_API size_t gort_trace_buffer_len(gort_trace_buffer *b)
{
	range r = kept(b);

	return (size_t)(r.end - r.begin);
}

/* What is kept now: a trace that goes on must not keep the writer for ever. */
static int write_all(gort_trace_buffer *b, range r, rt_tracewriter *w)
{
	gort_event events[COPY];
	int err = 0;

	while (err == 0 && r.begin < r.end) {
		uint64_t want = r.end - r.begin;
		size_t n = copy(b, &r.begin, events, want < COPY ? (size_t)want : COPY);

		err = rt_tracewriter_add(w, events, n);
	}
	return err != 0 ? err : rt_tracewriter_end(w);
}

GORT_API int gort_trace_buffer_write(gort_trace_buffer *b, int format, gort_writer fn, void *data)
{
	rt_tracewriter *w;
	range r;
	int err;

	if (fn == NULL || format < GORT_TRACE_TEXT || format > GORT_TRACE_SCHEDULE)
		return GORT_EINVAL;
	r = kept(b);
	w = rt_tracewriter_new(format, fn, data, r.lost);
	if (w == NULL)
		return GORT_ENOMEM;
	err = write_all(b, r, w);
	rt_tracewriter_free(w);
	return err;
}

GORT_API void gort_trace_buffer_free(gort_trace_buffer *b)
{
	if (b == NULL)
		return;
	for (uint64_t k = b->begin / CHUNK, n = chunks(b); n > 0; k++, n--)
		free(*slot(b, k));
	free(b->spare);
	free(b->table);
	free(b);
}
