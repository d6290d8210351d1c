/* work.c: buffers of grey objects (spec/04 6).
 *
 * Two buffers for each P keep one that swings around a boundary from touching the shared list at
 * each object: put swaps them when the first is full, and publishes it only when both are; get
 * swaps when the first is empty, and takes from the list only when both are.
 *
 * The lists are stacks with compare-and-swap. Buffers have numbers, and a head is a number with a
 * count of changes above it, so that a taker that was held up does not mistake a head that came
 * back for the one that it read (ABA). It may read the `next` of a buffer that is somebody else's
 * by then: that memory stays, and the compare-and-swap fails. Rejected: pointers with the count in
 * unused bits, since how many are unused depends on the machine.
 *
 * Buffers lie in chunks, each twice as large as the one before, so that a number leads to its
 * buffer by a shift, and a chunk is never moved. Chunks are pages of their own: the collector must
 * not take malloc's lock.
 */
#include "core/gc/work.h"

#include "core/base/region.h"
#include "core/base/check.h"

enum { KEEP = 4 }; /* chunks that stay: 960 KiB */
enum { CHUNK0 = 32 }; /* buffers of chunk 0: 64 KiB, the granularity of Windows */

/* Of the chunk k. */
static uint32_t chunk_first(unsigned k)
{
	return ((uint32_t)CHUNK0 << k) - CHUNK0 + 1;
}

static size_t chunk_bytes(unsigned k)
{
	return ((size_t)CHUNK0 << k) * RT_WORKBUF_BYTES;
}

static unsigned chunk_of(uint32_t number)
{
	return 31 - (unsigned)__builtin_clz((number - 1) / CHUNK0 + 1);
}

static rt_workbuf *buf_at(rt_workpool *wp, uint32_t number)
{
	unsigned k = chunk_of(number);
	rt_workbuf *chunk = rt_loadptr_acq(&wp->chunk[k]);

	return &chunk[number - chunk_first(k)];
}

void rt_workpool_init(rt_workpool *wp, rt_debugvars *debug)
{
	*wp = (rt_workpool){ .debug = debug };
}

void rt_workpool_fini(rt_workpool *wp)
{
	for (unsigned k = 0; k < RT_WORKPOOL_CHUNKS; k++) {
		void *chunk = rt_loadptr_rlx(&wp->chunk[k]);

		if (chunk != NULL)
			rt_region_free(chunk, chunk_bytes(k));
		rt_storeptr_rlx(&wp->chunk[k], NULL);
	}
}

void rt_workpool_reset(rt_workpool *wp)
{
	rt_store64_rlx(&wp->full, 0);
	rt_store64_rlx(&wp->empty, 0);
	rt_store32_rlx(&wp->used, 0);
}

void rt_workpool_trim(rt_workpool *wp)
{
	for (unsigned k = KEEP; k < RT_WORKPOOL_CHUNKS; k++) {
		void *chunk = rt_loadptr_rlx(&wp->chunk[k]);

		if (chunk != NULL)
			rt_region_free(chunk, chunk_bytes(k));
		rt_storeptr_rlx(&wp->chunk[k], NULL);
	}
}

size_t rt_workpool_bytes(rt_workpool *wp)
{
	size_t n = 0;

	for (unsigned k = 0; k < RT_WORKPOOL_CHUNKS; k++)
		if (rt_loadptr_rlx(&wp->chunk[k]) != NULL)
			n += chunk_bytes(k);
	return n;
}

/* ---- The lists -------------------------------------------------------------------------------- */

static uint64_t head_with(uint64_t was, uint32_t number)
{
	return (((was >> 32) + 1) << 32) | number;
}

/* Publishes what the buffer holds. */
static void push(rt_atomic64 *list, rt_workbuf *b)
{
	uint64_t was;

	do {
		was = rt_load64_rlx(list);
		rt_store32_rlx(&b->next, (uint32_t)was);
	} while (!rt_cas64_full(list, was, head_with(was, b->number)));
}

static rt_workbuf *pop(rt_workpool *wp, rt_atomic64 *list)
{
	for (;;) {
		uint64_t was = rt_load64_acq(list); /* pairs with the compare-and-swap in push */
		rt_workbuf *b;

		if ((uint32_t)was == 0)
			return NULL;
		b = buf_at(wp, (uint32_t)was);
		if (rt_cas64_full(list, was, head_with(was, rt_load32_rlx(&b->next))))
			return b;
	}
}

static bool add_chunk(rt_workpool *wp, unsigned k)
{
	size_t size = chunk_bytes(k);
	void *p = NULL;

	rt_lock(&wp->lock, RT_RANK_gcwork);
	if (rt_loadptr_rlx(&wp->chunk[k]) == NULL) {
		if (wp->debug == NULL || !rt_oom_now(wp->debug))
			p = rt_region_new(size);
		rt_storeptr_rel(&wp->chunk[k], p);
	}
	p = rt_loadptr_rlx(&wp->chunk[k]);
	rt_unlock(&wp->lock, RT_RANK_gcwork);
	return p != NULL;
}

/* An empty one; NULL: no memory. */
static rt_workbuf *get_empty(rt_workpool *wp)
{
	rt_workbuf *b = pop(wp, &wp->empty);
	uint32_t number;

	if (b != NULL)
		return b;
	if (RT_UNLIKELY(wp->refuse) && rt_load32_rlx(&wp->used) >= 2)
		return NULL;
	do { /* a number is taken only when its memory is there: one refusal does not lose it */
		unsigned k;

		number = rt_load32_rlx(&wp->used) + 1;
		k = chunk_of(number);
		if (k >= RT_WORKPOOL_CHUNKS)
			return NULL;
		if (rt_loadptr_acq(&wp->chunk[k]) == NULL && !add_chunk(wp, k))
			return NULL;
	} while (!rt_cas32_full(&wp->used, number - 1, number));
	b = buf_at(wp, number);
	b->number = number;
	b->n = 0;
	return b;
}

static void put_away(rt_workpool *wp, rt_gcw *w, rt_workbuf *b)
{
	if (b->n > 0) {
		push(&wp->full, b);
		w->published = true;
	} else {
		push(&wp->empty, b);
	}
}

/* ---- A P's two buffers ------------------------------------------------------------------------ */

static void swap(rt_gcw *w)
{
	rt_workbuf *b = w->first;

	w->first = w->second;
	w->second = b;
}

bool rt_gcw_put_slow(rt_workpool *wp, rt_gcw *w, uintptr_t obj)
{
	if (w->first == NULL || w->first->n == RT_WORKBUF_OBJS)
		swap(w);
	if (w->first == NULL || w->first->n == RT_WORKBUF_OBJS) {
		rt_workbuf *b = get_empty(wp);

		if (b == NULL)
			return false;
		if (w->first != NULL)
			put_away(wp, w, w->first);
		w->first = b;
	}
	w->first->obj[w->first->n++] = obj;
	return true;
}

uintptr_t rt_gcw_get_slow(rt_workpool *wp, rt_gcw *w)
{
	rt_workbuf *b;

	swap(w);
	if (w->first != NULL && w->first->n > 0)
		return w->first->obj[--w->first->n];
	b = pop(wp, &wp->full);
	if (b == NULL)
		return 0;
	if (w->first != NULL)
		push(&wp->empty, w->first);
	w->first = b;
	return b->obj[--b->n];
}

void rt_gcw_dispose(rt_workpool *wp, rt_gcw *w)
{
	if (w->first != NULL)
		put_away(wp, w, w->first);
	if (w->second != NULL)
		put_away(wp, w, w->second);
	w->first = w->second = NULL;
}

void rt_gcw_balance(rt_workpool *wp, rt_gcw *w)
{
	enum { LEAST = 4 };
	rt_workbuf *b = w->first, *half;

	if (w->second != NULL && w->second->n > 0) {
		put_away(wp, w, w->second);
		w->second = NULL;
		return;
	}
	if (b == NULL || b->n <= LEAST)
		return;
	half = get_empty(wp);
	if (half == NULL)
		return; /* others do without */
	half->n = b->n / 2;
	b->n -= half->n;
	/* The older half: what lies deeper in the stack is nearer to the roots, and more hangs on it. */
	for (uint64_t i = 0; i < half->n; i++)
		half->obj[i] = b->obj[i];
	for (uint64_t i = 0; i < b->n; i++)
		b->obj[i] = b->obj[half->n + i];
	put_away(wp, w, half);
}
