/* weak.c: pointers that do not keep their object.
 *
 * A handle is a heap object of one word that marking does not follow. It hangs on the object as a special, so that
 * there is one for each object (for each pointer into it, if it was made from several) and marking keeps it as long as
 * that; afterwards it lives as any heap object. Whoever sweeps the object's span clears the word, if the object was not
 * marked, before its slot can be given out and before its finalizer is queued (special.c); it is never set again.
 *
 * From a handle to the object:
 *
 *   1. read the word; NULL: that is all
 *   2. see to it that the span that lies there is swept
 *   3. read the word again
 *   4. if the collector marks, shade the object
 *
 * All of it with a P and locks > 0: the world does not stop in between, so that neither marking begins or ends nor
 * another sweep becomes due. After 2 whoever had to clear the word has done so, and 3 sees it:
 *
 *   sweeper       clear the word; store sweepgen (release); if the span is empty, clear the page table (release)
 *   we            read page table, sweepgen (acquire); read the word
 *
 * The span may be freed by then, and its record or its pages be another's: who stores there comes after the
 * sweeper, and stores with release (set_fields, set_pages in mheap.c). A record that was freed under our eyes is swept,
 * since that was in this cycle. So nothing but its sweepgen is read of it: neither state nor bounds, which are plain
 * and may be another's (rt_span_of would read them).
 *
 * What 3 finds, then, was marked in the last collection, or is newer. The next one to begin finds it on our stack.
 * One that goes on now may have passed by all that leads to it: hence 4. What the object points to follows from it
 * as from any grey object (barrier.c). tests/model/weak.pml has both parts.
 *
 * Marking ends with the world stopped, after a look into each P's barrier buffer, where shaded objects are: so
 * nobody has to be kept from making one strong while the end is decided, as Go does it.
 */
#include "core/gc/gc_impl.h"

void rt_weak_clear(rt_gc *gc, rt_weak *r)
{
	rt_storeptr_rlx(&r->handle->obj, NULL); /* released with sweepgen */
	rt_special_free(&gc->heap, r);
}

/* The handle that hangs there, or NULL. */
static gort_weak *handle_of(rt_span *s, void *obj)
{
	gort_weak *w = NULL;
	rt_special *r;

	rt_lock(&s->speciallock, RT_RANK_special);
	r = rt_special_find(s, (uintptr_t)obj, RT_SP_WEAK);
	if (r != NULL)
		w = ((rt_weak *)r)->handle;
	rt_unlock(&s->speciallock, RT_RANK_special);
	rt_gc_shade(w); /* only the special may have known it */
	return w;
}

gort_weak *rt_weak_make(void *obj)
{
	rt_gc *gc = rt_gc_of(rt_self());
	rt_span *s;
	gort_weak *w;
	rt_weak *r;

	if (rt_gc_find(gc, obj, &s) == 0)
		return NULL;
	w = handle_of(s, obj);
	if (w != NULL)
		return w;
	w = rt_new_bytes(sizeof *w, true); /* collections may come and go; obj is in our frame */
	rt_storeptr_rel(&w->obj, obj);
	r = rt_gc_special_new(gc);
	r->handle = w;
	(void)rt_gc_find(gc, obj, &s);
	if (rt_gc_hang(gc, s, (uintptr_t)obj, &r->head, RT_SP_WEAK, true))
		return w;
	rt_special_free(&gc->heap, r); /* somebody else was faster */
	return handle_of(s, obj);
}

void *rt_weak_value(gort_weak *w)
{
	rt_m *mp = rt_self();
	rt_mheap *h = &rt_gc_of(mp)->heap;
	rt_span *s;
	void *obj;

	if (w == NULL || (obj = rt_loadptr_acq(&w->obj)) == NULL)
		return NULL;
	s = rt_arena_span(rt_arena_of(&h->map, (uintptr_t)obj), (uintptr_t)obj);
	if (s != NULL)
		rt_sweep_span(h, &mp->p->gc->mc, s);
	obj = rt_loadptr_acq(&w->obj);
	rt_gc_shade(obj);
	return obj;
}
