/* barrier.c: what a store of a pointer does while a collection marks.
 *
 * The hybrid barrier of Go (spec/04 3): before *slot = new the old value of *slot and `new` are
 * recorded; whether they are white is not asked, so there is no order between the slot and mark
 * bits to be kept. Marked old values keep an object from being hidden by moving its last reference
 * out of the heap into a stack that was scanned (Yuasa); marked new values keep a stack that was
 * not yet scanned from hiding one in a black object (Dijkstra). Without either, Go's way of scanning fails in
 * tests/model/barrier.pml (HYBRID); ours, where nobody runs before it is scanned, only without the
 * first (SNAPSHOT).
 *
 * Values go into a buffer of the P, 512 words; when it is full it is flushed: each is looked up,
 * marked and queued. Nobody but the P's M touches it, so there is no atomic instruction on this
 * path. It is flushed too when marking may be over: by its owner, or by who has the world stopped.
 */
#include "core/gc/gc_impl.h"

void rt_wb_flush(rt_gc *gc, rt_gcp *p)
{
	rt_marker k = { .gc = gc, .w = &p->w };

	for (uint32_t i = 0; i < p->nwb; i++)
		rt_gc_grey_old(&k, p->wb[i], &p->mc); /* most new values are objects just made */
	p->nwb = 0;
	rt_gc_tell(&k);
}

static inline void record(rt_gcp *p, uintptr_t word)
{
	if (word < RT_PAGE)
		return;
	if (RT_UNLIKELY(p->nwb == RT_WB_WORDS))
		rt_wb_flush(rt_gc_of(rt_self()), p);
	p->wb[p->nwb++] = word;
}

/* With gccheckmark barriers also say where they stand. */
static inline bool checked(const rt_gcp *p)
{
	return RT_UNLIKELY(p->bitmap_max == 0);
}

static inline void moved(const rt_gcp *p, const void *slot, size_t size)
{
	if (checked(p))
		rt_shadow_anything(rt_gc_of(rt_self()), slot, size);
}

void rt_barrier(const void *slot, const void *old, const void *new)
{
	rt_gcp *p = rt_self()->p->gc;

	if (checked(p))
		rt_shadow_store(rt_gc_of(rt_self()), slot, new);
	record(p, (uintptr_t)old);
	record(p, (uintptr_t)new);
}

void rt_gc_shade(void *obj)
{
	if (rt_gc_marking())
		record(rt_self()->p->gc, (uintptr_t)obj);
}

/* Of the value at dst, which may be a frame: what an unused slot there holds is no address of an
 * object, or does no harm. */
static RT_LOOKS_ANYWHERE void record_words(const gort_type *t, size_t size, const char *at)
{
	rt_gcp *p = rt_self()->p->gc;

	for (size_t part = 0; part < size; part += t->period)
		for (size_t i = 0; i < t->nptrs; i++)
			record(p, *(const volatile uintptr_t *)(at + part + t->ptrs[i]));
}

/* By whole words: a marker may read them meanwhile. Types with pointers are words all through. */
static void move_words(uintptr_t *dst, const uintptr_t *src, size_t n)
{
	if (dst <= src || dst >= src + n)
		for (size_t i = 0; i < n; i++)
			*(volatile uintptr_t *)&dst[i] = src[i];
	else
		for (size_t i = n; i > 0; i--)
			*(volatile uintptr_t *)&dst[i - 1] = src[i - 1];
}

void rt_barrier_move(const gort_type *t, size_t size, void *dst, const void *src)
{
	if (dst == src)
		return;
	moved(rt_self()->p->gc, dst, size);
	record_words(t, size, dst);
	record_words(t, size, src);
	move_words(dst, src, size / sizeof(uintptr_t));
}

void rt_barrier_clear(const gort_type *t, size_t size, const void *dst)
{
	moved(rt_self()->p->gc, dst, size);
	record_words(t, size, dst);
}
