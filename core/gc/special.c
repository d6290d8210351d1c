/* special.c: what is known of an object besides its bytes. */
#include "core/gc/gc_impl.h"

/* Who sweeps a span may have zeroed its bits before they change places: only a swept one is asked. It stays as it is
 * until the next collection ends, which waits for us. A pointer to an object that is dead may lead to a span that is
 * freed before it is swept by us; then that was swept, too, and its record stays one. */
uintptr_t rt_gc_find(rt_gc *gc, const void *p, rt_span **s)
{
	uint32_t index;

	*s = rt_span_of(&gc->heap, (uintptr_t)p);
	if (*s == NULL)
		return 0;
	rt_sweep_span(&gc->heap, &rt_self()->p->gc->mc, *s);
	return rt_object_find(&gc->heap, (uintptr_t)p, s, &index);
}

void *rt_gc_object(const void *p, size_t *size)
{
	rt_span *s;
	uintptr_t obj = rt_gc_find(rt_gc_of(rt_self()), p, &s);

	*size = obj != 0 ? s->elemsize : 0;
	return (void *)obj;
}
