/* special.c: the lists of specials. What is promised stands in special.h. */
#include "core/alloc/special.h"

void *rt_special_new(rt_mheap *h)
{
	return rt_fixalloc_get(&h->specials);
}

void rt_special_free(rt_mheap *h, void *sp)
{
	rt_fixalloc_put(&h->specials, sp);
}

static rt_special *first(const rt_span *s)
{
	return rt_loadptr_rlx(&s->specials);
}

/* Behind which the first record that is not before (offset, kind) stands; NULL: it is the first. */
static rt_special *before(const rt_span *s, size_t offset, unsigned kind)
{
	rt_special *last = NULL;

	for (rt_special *i = first(s); i != NULL; i = i->next) {
		if (i->offset > offset || (i->offset == offset && i->kind >= kind))
			break;
		last = i;
	}
	return last;
}

static rt_special *after(const rt_span *s, const rt_special *last)
{
	return last != NULL ? last->next : first(s);
}

static bool is(const rt_special *i, size_t offset, unsigned kind)
{
	return i != NULL && i->offset == offset && i->kind == kind;
}

static void link_behind(rt_span *s, rt_special *last, rt_special *sp)
{
	if (last != NULL)
		last->next = sp;
	else
		rt_storeptr_rel(&s->specials, sp);
}

bool rt_special_add(rt_mheap *h, rt_span *s, uintptr_t p, rt_special *sp, bool unique)
{
	size_t offset = p - (uintptr_t)s->base;
	rt_special *last;
	bool ok;

	sp->offset = offset;
	rt_lock(&s->speciallock, RT_RANK_special);
	last = before(s, offset, sp->kind);
	sp->next = after(s, last);
	ok = !unique || !is(sp->next, offset, sp->kind);
	if (ok) {
		link_behind(s, last, sp);
		rt_span_note_specials(h, s);
	}
	rt_unlock(&s->speciallock, RT_RANK_special);
	return ok;
}

rt_special *rt_special_remove(rt_mheap *h, rt_span *s, uintptr_t p, unsigned kind)
{
	size_t offset = p - (uintptr_t)s->base;
	rt_special *last, *found;

	rt_lock(&s->speciallock, RT_RANK_special);
	last = before(s, offset, kind);
	found = after(s, last);
	if (is(found, offset, kind)) {
		link_behind(s, last, found->next);
		rt_span_note_specials(h, s);
	} else {
		found = NULL;
	}
	rt_unlock(&s->speciallock, RT_RANK_special);
	return found;
}

rt_special *rt_special_find(rt_span *s, uintptr_t p, unsigned kind)
{
	size_t offset = p - (uintptr_t)s->base;
	rt_special *found = after(s, before(s, offset, kind));

	return is(found, offset, kind) ? found : NULL;
}

rt_special *rt_special_take_all(rt_span *s)
{
	rt_special *list;

	rt_lock(&s->speciallock, RT_RANK_special);
	list = first(s);
	rt_storeptr_rel(&s->specials, NULL);
	rt_unlock(&s->speciallock, RT_RANK_special);
	return list;
}

void rt_special_put_all(rt_mheap *h, rt_span *s, rt_special *list)
{
	rt_lock(&s->speciallock, RT_RANK_special);
	rt_storeptr_rel(&s->specials, list);
	rt_span_note_specials(h, s);
	rt_unlock(&s->speciallock, RT_RANK_special);
}

/* ---- All of them ---------------------------------------------------------------------------- */

/* A part is a chunk of 512 pages. */
uint32_t rt_special_parts(rt_mheap *h)
{
	uint32_t n;
	bool any;

	rt_lock(&h->specials.lock, RT_RANK_fixalloc);
	any = h->specials.inuse > 0;
	rt_unlock(&h->specials.lock, RT_RANK_fixalloc);
	if (!any)
		return 0;
	rt_lock(&h->lock, RT_RANK_mheap);
	n = h->pages.narenas * RT_ARENA_CHUNKS;
	rt_unlock(&h->lock, RT_RANK_mheap);
	return n;
}

static void of_span(rt_span *s, void (*fn)(void *arg, rt_span *s, rt_special *sp), void *arg)
{
	rt_lock(&s->speciallock, RT_RANK_special);
	for (rt_special *sp = first(s); sp != NULL; sp = sp->next)
		fn(arg, s, sp);
	rt_unlock(&s->speciallock, RT_RANK_special);
}

void rt_special_each(rt_mheap *h, uint32_t part, void (*fn)(void *arg, rt_span *s, rt_special *sp), void *arg)
{
	unsigned first_page = part % RT_ARENA_CHUNKS * RT_CHUNK_PAGES;
	rt_arena *a;

	rt_lock(&h->lock, RT_RANK_mheap);
	a = h->pages.arenas[part / RT_ARENA_CHUNKS];
	rt_unlock(&h->lock, RT_RANK_mheap);
	for (unsigned w = first_page / 64; a != NULL && w < (first_page + RT_CHUNK_PAGES) / 64; w++)
		for (uint64_t bits = rt_load64_rlx(&a->specials[w]); bits != 0; bits &= bits - 1)
			of_span(rt_loadptr_acq(&a->spans[w * 64 + (unsigned)__builtin_ctzll(bits)]), fn, arg);
}
