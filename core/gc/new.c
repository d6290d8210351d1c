/* new.c: typed allocation. This is where the memory rooms meet: it stands above the allocator and
 * beside the collector, so that neither needs the other.
 *
 * The common path takes a slot from the P's cache and describes it. What the cache could not do
 * alone leaves `grown` set: then the trigger is looked at. While marking, a new object is black (mcache.c),
 * and its bytes are charged to the goroutine (assist). Both come after the object is there: it lies in this frame, or
 * in a register, where the collector finds it.
 *
 * Who makes an object, the runtime for itself or the program, is of interest to GODEBUG=gccheckmark=1 alone (shadow.c).
 */
#include "core/gc/gc_impl.h"

static _Noreturn RT_COLD void out_of_memory(void)
{
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

enum maker { RUNTIME, PROGRAM };

/* While marking, for an object in s, or NULL: part of a block. Small ones are paid for by the window, when it comes,
 * since most are made by quick.h. */
static void charge(rt_gc *gc, rt_gcp *p, rt_span *s)
{
	size_t bytes = 0;

	if (s == NULL)
		return;
	if (rt_span_large(s))
		rt_gc_mark_large(gc, p, s);
	if (s->elemsize > RT_FINE_MAX)
		bytes = s->elemsize;
	else if (p->mc.fresh)
		bytes = (1 + (unsigned)__builtin_popcountll(s->cache)) * s->elemsize;
	p->mc.fresh = false; /* before the assist, which may come back on another P */
	if (bytes > 0)
		rt_assist(gc, bytes);
}

/* What allocation leaves to be done; (s, p, index) is new. Not as one argument: that would be copied through memory in
 * larger pieces than it was written in, which waits until all stores before it are done, those that cleared it too. */
static RT_NOINLINE void settle(rt_span *s, void *p, uint32_t index, enum maker by)
{
	rt_m *mp = rt_self();
	rt_gc *gc = rt_gc_of(mp);
	rt_gcp *mine = mp->p->gc;

	if (rt_load32_rlx(&mp->rt->gcmark) != 0) {
		if (RT_UNLIKELY(gc->compares) && s != NULL)
			rt_shadow_made(gc, (rt_slot){ s, p, index }, by == PROGRAM);
		charge(gc, mine, s);
	}
	mine = rt_self()->p->gc;
	if (mine->mc.grown) {
		mine->mc.grown = false;
		if (RT_UNLIKELY(gc->stress > 0) ||
		    rt_load64_rlx(&gc->heap.live) >= rt_load64_rlx(&gc->trigger))
			rt_gc_trigger(gc);
	}
}

static inline void *done(rt_m *mp, rt_mcache *mc, rt_slot o, enum maker by)
{
	if (RT_UNLIKELY(o.p == NULL))
		out_of_memory();
	if (RT_UNLIKELY(mc->grown | (rt_load32_rlx(&mp->rt->gcmark) != 0)))
		settle(o.s, o.p, o.index, by);
	return o.p;
}

/* Above RT_SMALL_MAX. What is to be cleared is cleared in pieces, between which others may run. */
static RT_NOINLINE void *new_large(size_t size, const gort_type *t, bool zero, enum maker by)
{
	rt_m *mp = rt_self();
	rt_slot o;
	char *p;

	o = rt_malloc_large(&mp->p->gc->mc, size, t == NULL);
	p = o.p;
	if (p == NULL)
		out_of_memory();
	settle(o.s, o.p, o.index, by);
	if (zero && o.s->needzero) {
		for (size_t at = 0; at < o.s->elemsize; at += RT_ZERO_CHUNK) {
			size_t left = o.s->elemsize - at;

			memset(p + at, 0, left < RT_ZERO_CHUNK ? left : RT_ZERO_CHUNK);
			rt_gc_yield_point();
		}
	}
	if (t != NULL)
		rt_object_set_type(&rt_gc_of(rt_self())->heap, (uintptr_t)p, t);
	return p;
}

static char nothing[16]; /* every object of no size */

/* Classes are aligned to 8 or 16 at least; more is had by a larger class. */
static size_t aligned_size(const gort_type *t, size_t size)
{
	unsigned class;

	if (RT_LIKELY(t->align <= 8) || size > RT_SMALL_MAX)
		return size;
	class = rt_sizeclass_aligned(size, t->align);
	return class != 0 ? rt_class_bytes[class] : (size_t)RT_SMALL_MAX + 1;
}

/* mask: of the first 64 words; t: for larger objects. */
static inline void *new_scan(rt_m *mp, size_t size, uint64_t mask, const gort_type *t, enum maker by)
{
	rt_gcp *p = mp->p->gc;
	rt_mcache *mc = &p->mc;

	if (RT_LIKELY(size <= p->bitmap_max))
		return done(mp, mc, rt_malloc_bitmap(mc, size, mask), by);
	if (RT_UNLIKELY(size <= RT_BITMAP_MAX))
		size = rt_type_untyped(t) ? RT_BITMAP_MAX + 1 : aligned_size(t, RT_BITMAP_MAX + 1);
	if (size <= RT_SMALL_MAX)
		return done(mp, mc, rt_malloc_typed(mc, size, t), by);
	return new_large(size, t, true, by);
}

static inline void *new_noscan(rt_m *mp, size_t size, bool zero)
{
	rt_mcache *mc = &mp->p->gc->mc;

	if (size < RT_TINY)
		return size > 0 ? done(mp, mc, rt_malloc_tiny(mc, size), RUNTIME) : nothing;
	if (size <= RT_SMALL_MAX)
		return done(mp, mc, rt_malloc_noscan(mc, size, zero), RUNTIME);
	return new_large(size, NULL, zero, RUNTIME);
}

/* It has pointers; with heaptypes=1 also what has none, for its type. */
static inline bool is_scanned(const rt_m *mp, const gort_type *t)
{
	return t->nptrs >= mp->p->gc->scan_min;
}

static inline void *new_one(const gort_type *t, enum maker by)
{
	rt_m *mp = rt_self();
	size_t size = t->size;

	if (RT_UNLIKELY(t->align > 8))
		size = aligned_size(t, size);
	return is_scanned(mp, t) ? new_scan(mp, size, t->mask, t, by) : new_noscan(mp, size, true);
}

void *rt_new(const gort_type *t)
{
	return new_one(t, RUNTIME);
}

void *rt_program_new(const gort_type *t)
{
	return new_one(t, PROGRAM);
}

static inline void *new_array(const gort_type *t, size_t n, enum maker by)
{
	rt_m *mp = rt_self();
	size_t size = aligned_size(t, t->size * n);
	uint64_t mask = t->mask;

	if (!is_scanned(mp, t) || size == 0)
		return new_noscan(mp, size, true);
	if (size <= RT_BITMAP_MAX && rt_type_pointers(t))
		mask = rt_mask_repeat(mask, (unsigned)(t->size / sizeof(void *)),
		                      (unsigned)(t->size * n / sizeof(void *)));
	return new_scan(mp, size, mask, t, by);
}

void *rt_new_array(const gort_type *t, size_t n)
{
	return new_array(t, n, RUNTIME);
}

void *rt_program_new_array(const gort_type *t, size_t n)
{
	return new_array(t, n, PROGRAM);
}

static inline void *new_bytes(size_t size, bool noscan, const gort_type *t, enum maker by)
{
	rt_m *mp = rt_self();
	unsigned words = (unsigned)(size / sizeof(void *)); /* the last bytes hold no pointer */

	if (noscan || words == 0)
		return new_noscan(mp, size, true);
	return new_scan(mp, size, words < 64 ? ((uint64_t)1 << words) - 1 : ~(uint64_t)0, t, by);
}

void *rt_new_bytes(size_t size, bool noscan)
{
	return new_bytes(size, noscan, RT_TYPE_RUNTIME, RUNTIME);
}

void *rt_program_new_bytes(size_t size, bool noscan)
{
	return new_bytes(size, noscan, RT_TYPE_CONSERVATIVE, PROGRAM);
}

void *rt_new_raw(size_t size)
{
	return new_noscan(rt_self(), size, false);
}
