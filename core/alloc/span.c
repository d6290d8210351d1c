/* span.c: windows of free slots, and the table of span records.
 *
 * A span is allocated from in windows of 64 slots, one word of its allocation bits: `cache` has a 1
 * for each slot of the window that is free and not yet given out, so that the next one is a count
 * of trailing zeros. Slots behind the last are never 1, so that the fast path compares with
 * nothing. Go shifts the word along instead, and counts objects at each allocation; here counting
 * is left to who gives the span back.
 *
 * Records: segment k of the table holds 64 << k, so that a number finds its record without a lock,
 * nothing ever moves, and the table grows without end. They are given out in batches, and never
 * given back to the system.
 */
#include "core/alloc/span.h"

#include "core/base/check.h"

#include "backends/arena/arena.h"

#include <string.h>

/* Free slots of the 64 from `window` on. */
static uint64_t free_of(const rt_span *s, uint32_t window)
{
	uint64_t free = ~rt_load64_rlx(&rt_span_allocbits(s)[window / 64]);

	if (s->nelems - window < 64)
		free &= ((uint64_t)1 << (s->nelems - window)) - 1;
	return free;
}

static void window_set(rt_span *s, uint32_t window, uint64_t free)
{
	s->window = window;
	s->windowbase = rt_span_object(s, window);
	s->cache = free;
}

bool rt_span_window_next(rt_span *s)
{
	for (uint32_t w = s->window + 64; w < s->nelems; w += 64) {
		uint64_t free = free_of(s, w);

		if (free != 0) {
			window_set(s, w, free);
			return true;
		}
	}
	window_set(s, (s->nelems - 1u) / 64 * 64, 0);
	rt_store32_rel(&s->freeindex, s->nelems);
	return false;
}

void rt_span_window_init(rt_span *s)
{
	uint32_t from = rt_load32_rlx(&s->freeindex), w = from / 64 * 64;

	if (from < s->nelems)
		window_set(s, w, free_of(s, w) & ~(uint64_t)0 << from % 64);
	else
		window_set(s, (s->nelems - 1u) / 64 * 64, 0);
	if (s->cache == 0)
		(void)rt_span_window_next(s);
}

unsigned rt_span_left(const rt_span *s)
{
	unsigned n = rt_bits_in(s->cache);

	for (uint32_t w = s->window + 64; w < s->nelems; w += 64)
		n += rt_bits_in(free_of(s, w));
	return n;
}

void rt_span_check(const rt_span *s)
{
	uint32_t from = rt_load32_rlx(&s->freeindex);

	if (rt_load32_rlx(&s->state) != RT_SPAN_INUSE)
		rt_throw("span: not in use");
	if (s->base >= s->limit || s->limit > s->base + s->npages * RT_PAGE)
		rt_throw("span: limit");
	if (s->nelems == 0 || from > s->nelems || s->window % 64 != 0 || s->window >= s->nelems)
		rt_throw("span: window");
	if (s->windowbase != rt_span_object(s, s->window) ||
	    (s->cache & ~free_of(s, s->window)) != 0)
		rt_throw("span: cache");
	if (rt_span_index(s, (uintptr_t)s->limit - 1) != s->nelems - 1u)
		rt_throw("span: magic");
}

/* ---- Records -------------------------------------------------------------------------------- */

void rt_spantable_init(rt_spantable *t, rt_sysmem *mem)
{
	memset(t, 0, sizeof *t);
	t->mem = mem;
}

static size_t seg_bytes(unsigned k)
{
	return ((size_t)RT_SPANSEG << k) * sizeof(rt_span);
}

/* A segment may be half of the table: its records become Ready by pieces, since what nobody has used must not count
 * against the memory limit. */
enum { PIECE = 64 << 10 };
_Static_assert(PIECE % sizeof(rt_span) == 0, "a piece begins with a record");

/* Of segment k, when so many records of the table are used. */
static size_t ready_bytes(uint32_t used, unsigned k)
{
	size_t before = ((size_t)RT_SPANSEG << k) - RT_SPANSEG, n = used > before ? used - before : 0;
	size_t bytes = (n * sizeof(rt_span) + PIECE - 1) / PIECE * PIECE;

	return bytes < seg_bytes(k) ? bytes : seg_bytes(k);
}

void rt_spantable_fini(rt_spantable *t)
{
	for (unsigned k = 0; k < RT_NSPANSEG; k++) {
		void *seg = rt_loadptr_rlx(&t->seg[k]);

		if (seg != NULL)
			rt_sys_free(t->mem, seg, rt_sys_round(seg_bytes(k)), ready_bytes(t->used, k), RT_MEM_SPANS);
	}
	memset(t, 0, sizeof *t);
}

static rt_span *segment_locked(rt_spantable *t, unsigned k)
{
	rt_span *seg = rt_loadptr_rlx(&t->seg[k]);
	size_t size = rt_sys_round(seg_bytes(k));

	if (seg != NULL)
		return seg;
	seg = rt_sys_reserve(t->mem, NULL, size, be_arena_query()->page);
	if (seg == NULL)
		return NULL;
	if (!rt_sys_map(t->mem, seg, size)) {
		rt_sys_free(t->mem, seg, size, 0, RT_MEM_SPANS);
		return NULL;
	}
	rt_storeptr_rel(&t->seg[k], seg);
	return seg;
}

/* Without memory for the next piece the segment stays, and the next one who asks tries again. */
static rt_span *fresh_locked(rt_spantable *t)
{
	uint32_t m = t->used + RT_SPANSEG;
	unsigned k = 31 - (unsigned)__builtin_clz(m) - 6;
	size_t ready, more;
	rt_span *seg, *s;

	if (k >= RT_NSPANSEG)
		return NULL;
	seg = segment_locked(t, k);
	if (seg == NULL)
		return NULL;
	ready = ready_bytes(t->used, k);
	more = ready_bytes(t->used + 1, k) - ready;
	if (more > 0 && !rt_sys_used(t->mem, (char *)seg + ready, more, RT_MEM_SPANS))
		return NULL;
	s = seg + (m - ((uint32_t)RT_SPANSEG << k));
	s->number = ++t->used;
	return s;
}

rt_span *rt_spantable_get(rt_spantable *t, unsigned n, unsigned *got)
{
	rt_span *list = NULL;
	unsigned i;

	rt_lock(&t->lock, RT_RANK_spantable);
	for (i = 0; i < n; i++) {
		rt_span *s = t->free;

		if (s != NULL)
			t->free = s->link;
		else
			s = fresh_locked(t);
		if (s == NULL)
			break;
		s->link = list;
		list = s;
	}
	rt_unlock(&t->lock, RT_RANK_spantable);
	rt_add64_full(&t->inuse, i);
	*got = i;
	return list;
}

void rt_spantable_put(rt_spantable *t, rt_span *list)
{
	uint64_t n = 0;

	rt_lock(&t->lock, RT_RANK_spantable);
	while (list != NULL) {
		rt_span *s = list;

		list = s->link;
		s->link = t->free;
		t->free = s;
		n++;
	}
	rt_unlock(&t->lock, RT_RANK_spantable);
	rt_add64_full(&t->inuse, -n);
}
