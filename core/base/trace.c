/* trace.c: event rings and the thread that merges them. What they promise stands in trace.h.
 *
 * Stamps. In each ring they rise, because a writer counts its own last stamp among what an event
 * comes after. So the reader does not sort, it merges: it looks for the ring with the oldest event
 * and copies from there up to the oldest event of the others.
 *
 * The watermark. Reader and writer announce themselves to each other, then look:
 *
 *   writer                                       reader
 *   W1  busy = after + 1                         R1  floor = now
 *   W2  full fence                               R2  full fence
 *   W3  stamp = max(clock, after + 1, floor)     R3  read every ring's busy; low = the least
 *   W4  write the slot, tail + 1 (release)       R4  read every ring's tail (acquire)
 *   W5  busy = IDLE (release)                    R5  deliver what lies below min(floor, low)
 *
 * Claim (by machine: tests/model/trace.pml): an event that the reader does not see at R4 gets a
 * stamp of at least min(floor, low), so nothing older than what was delivered can come. If W2 is
 * before R2 in the order of full fences, R3 sees the busy of W1 or a later one. If it sees that of
 * W1, low <= stamp. If it sees a later value, that one was stored after W5's release, which R3
 * acquires, and R4 sees the event. If R2 is before W2, W3 sees this floor or a higher one (the
 * reader only raises it), so floor <= stamp. A ring that was made after the reader took its list:
 * the lock under which the list is kept orders R1 before W3.
 *
 * Off. A writer looks at `groups` again between W2 and W3; closing clears groups, fences and then
 * waits until every ring is idle. By the same argument each writer either sees that the trace is
 * off and writes nothing, or is waited for. So a closed trace has empty rings, nothing leaks into
 * the next one, and starting one has nothing to clean.
 *
 * Rejected: one ring for each P (a thread without a P, as in a system call, has no ring); trusting
 * the clock alone, which a virtual machine may set back and a reproducible run makes stand still;
 * sleeping until "everything older must have come"; a lock for each ring.
 *
 * Memory. A ring is one reservation of the arena backend: 2 MiB, of which only what was touched
 * costs something. The writer never calls malloc: it may be below the allocator.
 */
#include "core/base/trace.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"
#include "backends/thread/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDLE UINT64_MAX
#define READER_NAP (20 * INT64_C(1000000)) /* how long an event may wait in its ring */

enum { MASK = RT_TRACERING_SIZE - 1, QUARTER = RT_TRACERING_SIZE / 4, BATCH = 1024 };
enum { READER_STACK = 0 }; /* the system's: the listener's code runs there */

struct rt_tracering {
	/* set once */
	rt_tracering *next;
	size_t bytes;
	/* guarded by t->lock */
	bool unused;
	/* writer; handed on by put and get under t->lock */
	RT_CACHE_ALIGNED rt_atomic64 busy; /* see W1; the reader reads it */
	rt_atomic64 tail;                  /* the next to write; released by W4 */
	rt_atomic64 lost;                  /* since the ring was made */
	uint64_t headseen;
	int64_t last;
	/* reader */
	RT_CACHE_ALIGNED rt_atomic64 head; /* the next to read; its release pairs with is_full */
	uint64_t pos, end;                 /* of this round */
	uint64_t lostseen;
	RT_CACHE_ALIGNED gort_event slots[RT_TRACERING_SIZE];
};

_Static_assert(sizeof(gort_event) == 64, "part of the interface");
_Static_assert((RT_TRACERING_SIZE & MASK) == 0, "indices are masked");

struct rt_tracereader {
	rt_trace *t;
	rt_trace_deliver deliver;
	void (*end)(void *data);
	void *data;
	be_thread thread;
	rt_atomic32 stop; /* all writers are done: take what is left and end */
	rt_atomic32 open; /* first, nfirst are there; released by rt_trace_open */
	const gort_event *first;
	size_t nfirst;
	/* reader's thread */
	bool begun; /* `first` is delivered */
	uint64_t lostseen;
	size_t n;
	gort_event batch[BATCH];
};

static const unsigned groups[] = {
	0,
#define TRACE_EVENT(id, group, name, a, b, c) [GORT_EV_##id] = GORT_TRACE_##group,
#include "core/base/trace.def"
#undef TRACE_EVENT
};

unsigned rt_trace_group(unsigned event)
{
	return event < RT_NELEM(groups) ? groups[event] : 0;
}

/* ---- Rings ---- */

static int64_t clock(const rt_trace *t)
{
	(void)t;
	return be_nanotime();
}

void rt_trace_init(rt_trace *t)
{
	memset(t, 0, sizeof *t);
	t->now = clock;
}

void rt_trace_fini(rt_trace *t)
{
	RT_ASSERT(t->reader == NULL && rt_load32_rlx(&t->groups) == 0);
	while (t->rings != NULL) {
		rt_tracering *r = t->rings;

		t->rings = r->next;
		rt_region_free(r, r->bytes);
	}
	t->shared = NULL;
}

static rt_tracering *ring_make(rt_trace *t)
{
	size_t unit = be_arena_query()->granularity;
	size_t bytes = (sizeof(rt_tracering) + unit - 1) / unit * unit;
	rt_tracering *r;

	if (t->debug != NULL && rt_oom_now(t->debug))
		return NULL;
	r = rt_region_new(bytes);
	if (r == NULL)
		return NULL;
	r->bytes = bytes;
	rt_store64_rlx(&r->busy, IDLE);
	return r;
}

static rt_tracering *ring_get_locked(rt_trace *t)
{
	rt_tracering *r;

	for (r = t->rings; r != NULL; r = r->next)
		if (r->unused) {
			r->unused = false;
			return r;
		}
	r = ring_make(t);
	if (r != NULL) {
		r->next = t->rings;
		t->rings = r;
	}
	return r;
}

rt_tracering *rt_tracering_get(rt_trace *t)
{
	rt_tracering *r;

	rt_lock(&t->lock, RT_RANK_tracebuf);
	r = ring_get_locked(t);
	rt_unlock(&t->lock, RT_RANK_tracebuf);
	return r;
}

void rt_tracering_put(rt_trace *t, rt_tracering *r)
{
	rt_lock(&t->lock, RT_RANK_tracebuf);
	RT_ASSERT(!r->unused && rt_load64_rlx(&r->busy) == IDLE);
	r->unused = true;
	rt_unlock(&t->lock, RT_RANK_tracebuf);
}

/* The rings that exist now. They are never taken away, so the list stays good without the lock. */
static rt_tracering *ring_list(rt_trace *t)
{
	rt_tracering *r;

	rt_lock(&t->lock, RT_RANK_tracebuf);
	r = t->rings;
	rt_unlock(&t->lock, RT_RANK_tracebuf);
	return r;
}

/* ---- Writers ---- */

static inline int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Asks for the reader. Only who changes the word from 0 has to wake it. */
static void reader_call(rt_trace *t)
{
	if (rt_xchg32_full(&t->wake, 1) == 0)
		be_thread_wake(&t->wake, 1);
}

static bool is_full(rt_tracering *r, uint64_t tail)
{
	if (tail - r->headseen < RT_TRACERING_SIZE)
		return false;
	r->headseen = rt_load64_acq(&r->head); /* the reader is done with the slots before it */
	return tail - r->headseen == RT_TRACERING_SIZE;
}

static void append(rt_tracering *r, const gort_event *e)
{
	uint64_t tail = rt_load64_rlx(&r->tail);

	if (is_full(r, tail)) {
		rt_count64_owner(&r->lost, 1);
		return;
	}
	r->slots[tail & MASK] = *e;
	rt_store64_rel(&r->tail, tail + 1); /* W4 */
}

int64_t rt_tracering_write(rt_trace *t, rt_tracering *r, gort_event *e, int64_t after)
{
	unsigned group = rt_trace_group(e->id);
	int64_t stamp;
	bool quarter;

	RT_ASSERT(group != 0);
	if (RT_UNLIKELY(r == NULL)) {
		if (rt_load32_acq(&t->groups) & group)
			rt_add64_full(&t->lost, 1);
		return after;
	}
	RT_ASSERT(rt_load64_rlx(&r->busy) == IDLE);
	stamp = later(after, r->last) + 1;
	rt_xchg64_full(&r->busy, (uint64_t)stamp); /* W1 */
	rt_fence_after_rmw(); /* W2, pairs with R2 and with the fence of close_trace */
	if (!(rt_load32_acq(&t->groups) & group)) {
		rt_store64_rel(&r->busy, IDLE);
		return after;
	}
	/* groups was acquired, so that the floor that rt_trace_open set is seen. */
	stamp = later(stamp, (int64_t)rt_load64_rlx(&t->floor)); /* W3 */
	stamp = later(stamp, t->now(t));
	e->time = stamp;
	append(r, e);
	r->last = stamp;
	quarter = (rt_load64_rlx(&r->tail) & (QUARTER - 1)) == 0;
	rt_store64_rel(&r->busy, IDLE); /* W5 */
	if (RT_UNLIKELY(quarter))
		reader_call(t);
	return stamp;
}

int64_t rt_trace_write_shared(rt_trace *t, gort_event *e, int64_t after)
{
	rt_lock(&t->lock, RT_RANK_tracebuf);
	if (t->shared == NULL)
		t->shared = ring_get_locked(t);
	after = rt_tracering_write(t, t->shared, e, after);
	rt_unlock(&t->lock, RT_RANK_tracebuf);
	return after;
}

/* ---- Reader ---- */

/* R1: never back, and past what was written, so that a clock that stands still delays nothing. */
static void raise_floor(rt_trace *t, rt_tracering *rings)
{
	int64_t floor = later((int64_t)rt_load64_rlx(&t->floor), t->now(t));

	for (rt_tracering *r = rings; r != NULL; r = r->next) {
		uint64_t tail = rt_load64_acq(&r->tail);

		if (tail != rt_load64_rlx(&r->head))
			floor = later(floor, r->slots[(tail - 1) & MASK].time + 1);
	}
	rt_store64_rlx(&t->floor, (uint64_t)floor);
}

/* R1 to R3. The rings made after the floor was raised need not be in the list: see the head. */
static uint64_t watermark(rt_trace *t, rt_tracering **rings)
{
	uint64_t low;

	raise_floor(t, ring_list(t));
	rt_fence_full(); /* R2, pairs with W2 */
	low = rt_load64_rlx(&t->floor);
	*rings = ring_list(t);
	for (rt_tracering *r = *rings; r != NULL; r = r->next) {
		uint64_t busy = rt_load64_acq(&r->busy); /* R3; IDLE pairs with W5 */

		if (busy < low)
			low = busy;
	}
	return low;
}

/* R4: what of each ring lies below the watermark. */
static void take_ends(rt_tracering *rings, uint64_t low)
{
	for (rt_tracering *r = rings; r != NULL; r = r->next) {
		r->pos = rt_load64_rlx(&r->head);
		r->end = rt_load64_acq(&r->tail);
		while (r->end != r->pos && (uint64_t)r->slots[(r->end - 1) & MASK].time >= low)
			r->end--;
	}
}

/* The ring whose next event is the oldest; *until: the time of the next one of all others. */
static rt_tracering *oldest(rt_tracering *rings, int64_t *until)
{
	rt_tracering *first = NULL;
	int64_t least = INT64_MAX;

	*until = INT64_MAX;
	for (rt_tracering *r = rings; r != NULL; r = r->next) {
		int64_t time;

		if (r->pos == r->end)
			continue;
		time = r->slots[r->pos & MASK].time;
		if (first == NULL || time < least) {
			*until = least;
			least = time;
			first = r;
		} else if (time < *until) {
			*until = time;
		}
	}
	return first;
}

static uint64_t take_lost(rt_tracereader *rd, rt_tracering *rings)
{
	uint64_t lost = rt_load64_rlx(&rd->t->lost);
	uint64_t sum = lost - rd->lostseen;

	rd->lostseen = lost;
	for (rt_tracering *r = rings; r != NULL; r = r->next) {
		lost = rt_load64_rlx(&r->lost);
		sum += lost - r->lostseen;
		r->lostseen = lost;
	}
	return sum;
}

static void flush(rt_tracereader *rd, uint64_t lost)
{
	if (rd->n > 0 || lost > 0)
		rd->deliver(rd->data, rd->batch, rd->n, lost);
	rd->n = 0;
}

/* Merges everything below `low` and delivers it. */
static void merge(rt_tracereader *rd, rt_tracering *rings, uint64_t low)
{
	rt_tracering *r;
	int64_t until;

	take_ends(rings, low);
	while ((r = oldest(rings, &until)) != NULL) {
		do {
			rd->batch[rd->n++] = r->slots[r->pos++ & MASK];
		} while (r->pos != r->end && rd->n < BATCH &&
		         r->slots[r->pos & MASK].time <= until);
		rt_store64_rel(&r->head, r->pos); /* pairs with is_full: slots may be overwritten */
		if (rd->n == BATCH)
			flush(rd, 0);
	}
	flush(rd, take_lost(rd, rings));
}

static void begin(rt_tracereader *rd)
{
	if (rd->begun || !rt_load32_acq(&rd->open))
		return;
	rd->begun = true;
	if (rd->nfirst > 0)
		rd->deliver(rd->data, rd->first, rd->nfirst, 0);
}

static void reader_main(void *arg)
{
	rt_tracereader *rd = arg;
	rt_trace *t = rd->t;
	rt_tracering *rings;
	uint64_t low;

	for (;;) {
		/* An exchange, so that what was done before the call that it takes back is seen
		 * below. */
		rt_xchg32_full(&t->wake, 0);
		if (rt_load32_acq(&rd->stop))
			break;
		begin(rd);
		if (rd->begun) {
			low = watermark(t, &rings);
			merge(rd, rings, low);
		}
		be_thread_park(&t->wake, 0, READER_NAP);
	}
	begin(rd);
	merge(rd, ring_list(t), IDLE); /* nobody is under way */
	rd->end(rd->data);
}

int rt_trace_reader_start(rt_trace *t, rt_trace_deliver deliver, void (*end)(void *data),
                          void *data)
{
	rt_tracereader *rd = calloc(1, sizeof *rd);
	int err;

	RT_ASSERT(t->reader == NULL && rt_load32_rlx(&t->groups) == 0);
	if (rd == NULL)
		return -ENOMEM;
	rd->t = t;
	rd->deliver = deliver;
	rd->end = end;
	rd->data = data;
	rd->lostseen = rt_load64_rlx(&t->lost);
	rt_store32_rlx(&t->wake, 0);
	t->reader = rd;
	err = be_thread_start(&rd->thread, reader_main, rd, READER_STACK);
	if (err != 0) {
		t->reader = NULL;
		free(rd);
	}
	return err;
}

void rt_trace_open(rt_trace *t, unsigned traced, const gort_event *first, size_t nfirst)
{
	rt_tracereader *rd = t->reader;

	RT_ASSERT(rd != NULL && !rt_load32_rlx(&rd->open));
	rd->first = first;
	rd->nfirst = nfirst;
	if (nfirst > 0) /* the reader leaves floor alone until it sees open */
		rt_store64_rlx(&t->floor, (uint64_t)later((int64_t)rt_load64_rlx(&t->floor),
		                                          first[nfirst - 1].time + 1));
	rt_store32_rel(&rd->open, 1);           /* pairs with begin */
	rt_store32_rel(&t->groups, traced);     /* pairs with the load between W2 and W3 */
	reader_call(t);
}

/* No writer is under way when this returns, and none begins. The caller waits for others only while
 * they write one event. */
static void close_trace(rt_trace *t)
{
	rt_xchg32_full(&t->groups, 0);
	rt_fence_after_rmw(); /* pairs with W2 */
	for (rt_tracering *r = ring_list(t); r != NULL; r = r->next)
		while (rt_load64_acq(&r->busy) != IDLE)
			be_thread_yield();
}

void rt_trace_reader_stop(rt_trace *t)
{
	rt_tracereader *rd = t->reader;

	RT_ASSERT(rd != NULL);
	close_trace(t);
	rt_store32_rel(&rd->stop, 1);
	reader_call(t);
	be_thread_join(&rd->thread);
	t->reader = NULL;
	free(rd);
}

void rt_trace_reader_forget(rt_trace *t)
{
	rt_store32_rlx(&t->groups, 0);
	free(t->reader);
	t->reader = NULL;
}
