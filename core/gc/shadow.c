/* shadow.c: GODEBUG=gccheckmark=1: which pointers were stored without a barrier?
 *
 * A plain store need not lose anything: a pointer that is put where none was, into an object that was just made, say,
 * leads to what the snapshot or the allocator has marked already. It is wrong all the same, and one day it loses
 * something. So this looks at stores, and check.c at what they have done.
 *
 * When marking begins, world stopped, all words of objects with pointers are copied. While it goes on barriers tell
 * what they store, and where. A slot of a marked object has what it had when marking began, or something that a barrier
 * has stored there since; if it has neither, and one of the two values is the address of an object, it was stored to by
 * other means. Slots are looked at when marking ends, world stopped, and by each barrier, before its store hides a
 * plain one.
 *
 *   rt_shadow.was      what was there when marking began; 0 in an object that the program has made since; ANYTHING: it
 *                      is not looked at. It was moved to, or it is new and the runtime's: what it puts there before
 *                      anybody else sees it needs no barrier (gc.h)
 *   rt_shadow.told     a bit for each slot and value that a barrier has told of, by a hash of both: two may share one,
 *                      and then something is missed
 *
 * Untyped objects of the runtime are not looked at: it knows when it needs no barrier.
 *
 * No order is wrong: a barrier tells before it stores, with release, and who looks reads the slot first, with acquire.
 *
 * There is one for each arena, as large as that and a 64th more, made when a collection first sees a span in it. In
 * arenas that came while the collection went on nothing is compared; without memory for one, nothing at all in that
 * collection.
 *
 * Rejected: to look for white objects in black ones at each store (a snapshot allows them); to ask whether the value
 * was ever recorded (most are, for another slot); to keep the last value of each slot (two goroutines store there at
 * once, and which came last is not known).
 */
#include "core/gc/gc_impl.h"

enum { WORD_BITS = RT_ARENA_SHIFT - (sizeof(uintptr_t) == 8 ? 3 : 2), WORDS = 1 << WORD_BITS };
#define ANYTHING ((uintptr_t)1) /* no address of an object */

struct rt_shadow {
	rt_shadow *next;                  /* of the heap's */
	rt_atomic64 told[WORDS / 64];     /* any thread with a P, while marking */
	rt_atomicptr was[WORDS];          /* world stopped; beside it to ANYTHING, or by who makes the object */
};

static size_t word_of(uintptr_t at)
{
	return (at & (RT_ARENA_BYTES - 1)) / sizeof(uintptr_t);
}

static rt_shadow *shadow_of(rt_gc *gc, uintptr_t at)
{
	rt_arena *a = gc->comparing ? rt_arena_of(&gc->heap.map, at) : NULL;

	return a != NULL ? a->shadow : NULL;
}

static uintptr_t was_there(rt_shadow *s, uintptr_t at)
{
	return (uintptr_t)rt_loadptr_rlx(&s->was[word_of(at)]);
}

static void set_was(rt_shadow *s, uintptr_t at, uintptr_t to)
{
	rt_storeptr_rlx(&s->was[word_of(at)], (void *)to);
}

static unsigned hash(uintptr_t at, uintptr_t value)
{
	uint64_t h = at * UINT64_C(0x9e3779b97f4a7c15) ^ (value + at) * UINT64_C(0xc2b2ae3d27d4eb4f);

	return (unsigned)(h >> (64 - WORD_BITS));
}

static bool is_object(rt_gc *gc, uintptr_t word)
{
	rt_span *s;
	uint32_t index;

	return word >= RT_PAGE && rt_object_find(&gc->heap, word, &s, &index) != 0;
}

/* t: of the object that begins at obj; NULL: it is not known. */
static RT_LOOKS_ANYWHERE void look(rt_gc *gc, const gort_type *t, uintptr_t obj, uintptr_t at)
{
	rt_shadow *s = shadow_of(gc, at);
	uintptr_t now, was;

	if (s == NULL)
		return;
	now = (uintptr_t)rt_loadptr_acq((rt_atomicptr *)at);
	was = was_there(s, at);
	if (was == ANYTHING || was == now || rt_bit_get(s->told, hash(at, now)) ||
	    (!is_object(gc, now) && !is_object(gc, was)))
		return;
	rt_print("runtime: checkmark: slot %p was changed from %p to %p without gort_store\n", (void *)at, (void *)was,
	         (void *)now);
	rt_gc_print_slot(t, obj, at - obj);
	rt_throw("checkmark found a plain store");
}

/* ---- While marking, by who has a P ------------------------------------------------------------------------ */

void rt_shadow_store(rt_gc *gc, const void *slot, const void *value)
{
	rt_shadow *s = shadow_of(gc, (uintptr_t)slot);
	rt_span *span;
	uint32_t index;
	uintptr_t obj;
	const gort_type *t;

	if (s == NULL)
		return;
	obj = rt_object_find(&gc->heap, (uintptr_t)slot, &span, &index);
	if (obj == 0 || rt_span_noscan(span))
		return;
	t = rt_object_type(&gc->heap, obj);
	if (t == RT_TYPE_RUNTIME)
		return;
	look(gc, t, obj, (uintptr_t)slot);
	(void)rt_bit_set(s->told, hash((uintptr_t)slot, (uintptr_t)value));
}

static void set_all(rt_gc *gc, const void *from, size_t size, uintptr_t was)
{
	for (uintptr_t at = (uintptr_t)from; at < (uintptr_t)from + size; at += sizeof at) {
		rt_shadow *s = shadow_of(gc, at);

		if (s != NULL)
			set_was(s, at, was);
	}
}

void rt_shadow_anything(rt_gc *gc, const void *slot, size_t size)
{
	set_all(gc, slot, size, ANYTHING);
}

void rt_shadow_made(rt_gc *gc, rt_slot o, bool watch)
{
	if (!rt_span_noscan(o.s))
		set_all(gc, o.p, o.s->elemsize, watch ? 0 : ANYTHING);
}

/* ---- World stopped -------------------------------------------------------------------------------------- */

static void make_shadow(rt_gc *gc, uintptr_t at)
{
	rt_arena *a = rt_arena_of(&gc->heap.map, at);

	if (a->shadow != NULL || !gc->comparing)
		return;
	a->shadow = rt_sys_alloc(&gc->heap.mem, sizeof *a->shadow, RT_MEM_META);
	if (a->shadow == NULL) {
		gc->comparing = false;
		return;
	}
	a->shadow->next = gc->shadows;
	gc->shadows = a->shadow;
}

static void make_shadows(rt_gc *gc, rt_span *span, void *arg)
{
	(void)arg;
	if (rt_span_noscan(span))
		return;
	for (uintptr_t at = (uintptr_t)span->base; at < (uintptr_t)span->limit; at = (at | (RT_ARENA_BYTES - 1)) + 1)
		make_shadow(gc, at);
}

/* Of one arena. built: no, it is being cleared. */
static RT_LOOKS_ANYWHERE void copy_words(rt_shadow *s, uintptr_t at, uintptr_t end, bool built)
{
	for (; at < end; at += sizeof at)
		set_was(s, at, built ? *(const volatile uintptr_t *)at : ANYTHING);
}

static void copy_span(rt_gc *gc, rt_span *span, void *arg)
{
	uintptr_t at = (uintptr_t)span->base, limit = (uintptr_t)span->limit, end;
	bool built;

	(void)arg;
	if (rt_span_noscan(span)) /* and has no types */
		return;
	built = !rt_span_large(span) || rt_object_type(&gc->heap, at) != NULL;
	for (; at < limit; at = end) {
		end = (at | (RT_ARENA_BYTES - 1)) + 1;
		end = end < limit ? end : limit;
		copy_words(shadow_of(gc, at), at, end, built);
	}
}

void rt_shadow_begin(rt_gc *gc)
{
	gc->comparing = true;
	rt_gc_each_span(gc, make_shadows, NULL);
	if (!gc->comparing)
		return;
	for (rt_shadow *s = gc->shadows; s != NULL; s = s->next)
		memset((void *)s->told, 0, sizeof s->told);
	rt_gc_each_span(gc, copy_span, NULL);
}

static void compare_object(rt_gc *gc, uintptr_t obj, size_t size)
{
	const gort_type *t = rt_object_type(&gc->heap, obj);

	if (t == RT_TYPE_CONSERVATIVE) {
		for (size_t at = 0; at < size; at += sizeof(uintptr_t))
			look(gc, t, obj, obj + at);
	} else if (t != NULL && t != RT_TYPE_RUNTIME) {
		for (size_t part = 0; t->nptrs > 0 && part + t->period <= size; part += t->period)
			for (size_t i = 0; i < t->nptrs; i++)
				look(gc, t, obj, obj + part + t->ptrs[i]);
	}
}

static void compare_span(rt_gc *gc, rt_span *s, void *arg)
{
	(void)arg;
	if (rt_span_noscan(s))
		return;
	for (unsigned i = 0; i < s->nelems; i++)
		if (rt_bit_get(rt_span_markbits(s), i))
			compare_object(gc, (uintptr_t)rt_span_object(s, i), s->elemsize);
}

void rt_shadow_check(rt_gc *gc)
{
	if (gc->comparing)
		rt_gc_each_span(gc, compare_span, NULL);
}

void rt_shadow_fini(rt_gc *gc)
{
	while (gc->shadows != NULL) {
		rt_shadow *s = gc->shadows;

		gc->shadows = s->next;
		rt_sys_release(&gc->heap.mem, s, sizeof *s, RT_MEM_META);
	}
}
