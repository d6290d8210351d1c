/* check.c: GODEBUG=gccheckmark: was everything marked that must be?
 *
 * At the end of marking, world stopped, every marked object is looked into once more, and every special: what
 * they point to is marked, too. If not, the pointer was stored without a barrier, by a plain store,
 * memcpy or a struct assignment. The slot is named, by type and field, and the runtime stops.
 *
 * That is all with gccheckmark=2; gccheckmark=1 also finds stores that have lost nothing this time (shadow.c).
 *
 * Small objects carry no type. With this switch, as with heaptypes=1, every object with pointers is allocated as one
 * that does (new.c), so programs need more memory.
 *
 * Rejected: marking once more from all roots, as Go does. Stacks are scanned conservatively, and a
 * word that was left in a part that was not in use when marking began leads to objects that are
 * dead in truth.
 */
#include "core/gc/gc_impl.h"

static const char *field_of(const gort_type *t, size_t offset)
{
	for (size_t i = 0; i < t->nfields; i++)
		if (offset - t->fields[i].offset < t->fields[i].type->size)
			return t->fields[i].name;
	return "?";
}

void rt_gc_print_slot(const gort_type *t, uintptr_t obj, size_t at)
{
	if (t != NULL && !rt_type_untyped(t))
		rt_print("\tfound in %p, a %s, field %s: stored without gort_store?\n", (void *)obj, t->name,
		         field_of(t, at % t->size));
	else
		rt_print("\tfound in %p at offset %zu: stored without gort_store?\n", (void *)obj, at);
}

/* Where the object k->from holds a pointer into obj. */
static RT_LOOKS_ANYWHERE size_t slot_of(const rt_marker *k, uintptr_t obj, size_t size)
{
	const uintptr_t *w = (const uintptr_t *)k->from;

	for (size_t i = 0; i < k->fromsize / sizeof *w; i++)
		if (w[i] - obj < size)
			return i * sizeof *w;
	return 0;
}

static RT_COLD void missed(rt_marker *k, rt_span *s, uintptr_t obj)
{
	rt_gc *gc = k->gc;
	size_t at;
	const gort_type *t;

	at = slot_of(k, obj, s->elemsize);
	t = k->fromsize > RT_BITMAP_MAX ? rt_object_type(&gc->heap, k->from) : NULL;
	rt_print("runtime: checkmark: object %p of %zu bytes can be reached and was not marked\n",
	         (void *)obj, s->elemsize);
	rt_gc_print_slot(t, k->from, at);
	rt_throw("checkmark found unmarked object");
}

static void found(rt_marker *k, rt_span *s, uint32_t index, uintptr_t obj)
{
	if (!rt_bit_get(rt_span_markbits(s), index))
		missed(k, s, obj);
}

void rt_gc_check(rt_gc *gc)
{
	rt_gcw w = { 0 };
	rt_marker k = { .gc = gc, .w = &w, .whole = true, .found = found };

	rt_gc_each_marked(&k);
	rt_specials_look(&k);
	rt_fin_look(&k);
	if (gc->compares)
		rt_shadow_check(gc);
}
