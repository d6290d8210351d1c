/* special.c: what the collector knows of an object besides its bytes: the finalizer, the weak handle and the cleanups
 * that hang on it.
 *
 * They are records off the heap on the list of the object's span (alloc/special.h). Marking looks at all of them, as
 * roots: what they are called with is kept, and the handle, and so is all that an object with a finalizer points to.
 * The object itself is not. So when its finalizer comes to run, everything there is as it was; and another object with
 * a finalizer that it points to is marked, and comes later. In a cycle each keeps the others, and none is ever due.
 * (Pointers of an object into itself do not count: scanning passes by them.)
 *
 * Sweeping a span comes to the records first (rt_specials_sweep). Those of marked objects stay. An object that was not
 * marked and has a finalizer is marked now, and lives for one cycle more: what it points to was marked. Its finalizer
 * goes into the queue of what is due (finalizer.c), and holds it from there; its cleanups stay. Without a finalizer
 * its cleanups go into the queue. Its handle is cleared in both cases: who finds the object through the finalizer
 * does not share it with one who found it through a handle. None of this needs memory: the record that hung on the
 * object is the one that stands in the queue.
 *
 * Small blocks without pointers share an object (alloc/malloc.h), and nobody can tell from the outside whether 16 bytes
 * are one. So any pointer into them may have a finalizer, which is called with that pointer when all of them are
 * unreachable. Rejected: to refuse pointers that are not to the start; whether gort_alloc(8) gives one is chance.
 *
 * Who hangs a record on an object, or looks for one, first sweeps its span; then there is no sweeper at the list, and
 * speciallock is between such callers and marking. Nothing of theirs parks meanwhile, so no collection ends.
 *
 * What comes while the collector marks needs no look in this collection, though the job that would have come to it may
 * be done: who brings it shades the argument. gccheckmark looks whether that is so.
 */
#include "core/gc/gc_impl.h"
#include "core/sched/internal.h"

/* ---- Objects --------------------------------------------------------------------------------------- */

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

void *rt_gc_special_new(rt_gc *gc)
{
	void *r = rt_special_new(&gc->heap);

	if (RT_UNLIKELY(r == NULL))
		rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
	return r;
}

bool rt_gc_hang(rt_gc *gc, rt_span *s, uintptr_t obj, rt_special *r, unsigned kind, bool unique)
{
	r->kind = (uint8_t)kind;
	return rt_special_add(&gc->heap, s, obj, r, unique);
}

/* ---- Marking --------------------------------------------------------------------------------------- */

static uint32_t index_of(const rt_span *s, const rt_special *sp)
{
	return rt_span_index(s, (uintptr_t)s->base + sp->offset);
}

static void look(void *arg, rt_span *s, rt_special *sp)
{
	rt_marker *k = arg;

	if (sp->kind == RT_SP_WEAK) {
		rt_gc_grey(k, (uintptr_t)((rt_weak *)sp)->handle);
		return;
	}
	if (sp->kind == RT_SP_FINALIZER) {
		uintptr_t obj = (uintptr_t)rt_span_object(s, index_of(s, sp));

		k->from = obj;
		k->fromsize = s->elemsize;
		rt_gc_scan_inside(k, s, obj);
	}
	k->from = (uintptr_t)sp;
	k->fromsize = sizeof(rt_due);
	rt_gc_grey(k, (uintptr_t)((rt_due *)sp)->arg);
}

void rt_specials_job(rt_marker *k, uint32_t i)
{
	rt_special_each(&k->gc->heap, i, look, k);
}

void rt_specials_look(rt_marker *k)
{
	uint32_t n = rt_special_parts(&k->gc->heap);

	for (uint32_t i = 0; i < n; i++)
		rt_specials_job(k, i);
}

/* ---- Sweeping -------------------------------------------------------------------------------------- */

typedef struct list {
	rt_special *head, *last;
} list;

static void append(list *l, rt_special *sp)
{
	sp->next = NULL;
	if (l->last != NULL)
		l->last->next = sp;
	else
		l->head = sp;
	l->last = sp;
}

/* Up to the first of the next object. */
static bool has_finalizer(const rt_span *s, const rt_special *sp)
{
	uint32_t index = index_of(s, sp);

	for (; sp != NULL && index_of(s, sp) == index; sp = sp->next)
		if (sp->kind == RT_SP_FINALIZER)
			return true;
	return false;
}

void rt_specials_sweep(rt_mheap *h, rt_mcache *mc, rt_span *s)
{
	rt_gc *gc = h->hooks.data;
	list kept = { NULL, NULL }, due = { NULL, NULL };
	rt_special *sp = rt_special_take_all(s), *next;
	uint32_t index = UINT32_MAX;
	bool dead = false, again = false; /* it was not marked; and its finalizer will see it */

	(void)mc;
	RT_ASSERT(rt_load32_rlx(&gc->rt->gcmark) == 0);
	for (; sp != NULL; sp = next) {
		next = sp->next;
		if (index != index_of(s, sp)) {
			index = index_of(s, sp);
			dead = !rt_bit_get(rt_span_markbits(s), index);
			again = dead && has_finalizer(s, sp);
			if (again) {
				(void)rt_bit_set(rt_span_markbits(s), index);
				rt_add64_full(&h->live, s->elemsize);
			}
		}
		if (dead && sp->kind == RT_SP_WEAK)
			rt_weak_clear(gc, (rt_weak *)sp);
		else
			append(dead && (!again || sp->kind == RT_SP_FINALIZER) ? &due : &kept, sp);
	}
	rt_special_put_all(h, s, kept.head);
	if (due.head != NULL)
		rt_fin_queue(gc, (rt_due *)due.head, (rt_due *)due.last);
}
