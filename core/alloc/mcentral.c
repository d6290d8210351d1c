/* mcentral.c: spans between Ps. What is promised stands in mcentral.h.
 *
 * A set is a stack through the span records: its head is one word of a number and a count that
 * grows with every change, so that a compare-and-swap notices if the head is the same again but the
 * stack is not (Treiber, 1986; the count is IBM's). A popper may read `next` of a record that
 * somebody else has taken already: records keep their type, and its swap fails then. The count
 * wraps after 2^32 changes during one pop.
 *
 * A span is linked by next[i] in element i of its pairs. So one that was swept, or freed and used
 * anew, while it still stood on an unswept list can go on a swept one at once; who pops it from the
 * first sees that its sweepgen is not to be swept, and leaves it. All unswept lists are empty
 * before sets change their roles.
 *
 * Rejected: Go's set, blocks of pointers on a spine: a push there may need memory, and a sweep that
 * cannot push has nowhere to go.
 */
#include "core/alloc/mcentral.h"

#include "core/alloc/sweep.h"

enum { SWEEP_TRIES = 100 };

static uint64_t head_of(uint64_t old, uint32_t number)
{
	return ((old >> 32) + 1) << 32 | number;
}

void rt_spanset_push(rt_spantable *t, rt_spanset *set, unsigned i, rt_span *s)
{
	uint64_t head;

	(void)t;
	do {
		head = rt_load64_rlx(&set->head);
		rt_store32_rlx(&s->next[i], (uint32_t)head);
		/* Full: the span's fields come before it for who pops it. */
	} while (!rt_cas64_full(&set->head, head, head_of(head, s->number)));
}

/* Who sweeps comes for it next, and records are cold then: a miss for each span was most of sweeping. */
static void expect(const rt_spantable *t, uint32_t number)
{
	const char *s;

	if (number == 0)
		return;
	s = (const char *)rt_spantable_at(t, number);
	RT_PREFETCH_W(s);
	RT_PREFETCH_W(s + RT_CACHELINE);
}

rt_span *rt_spanset_pop(rt_spantable *t, rt_spanset *set, unsigned i)
{
	for (;;) {
		uint64_t head = rt_load64_acq(&set->head);
		uint32_t next;
		rt_span *s;

		if ((uint32_t)head == 0)
			return NULL;
		s = rt_spantable_at(t, (uint32_t)head);
		next = rt_load32_rlx(&s->next[i]);
		if (rt_cas64_full(&set->head, head, head_of(head, next))) {
			expect(t, next);
			return s;
		}
	}
}

/* ---- The lists of a class ------------------------------------------------------------------- */

static rt_span *pop(rt_mheap *h, rt_spanset *pair, unsigned i)
{
	return rt_spanset_pop(&h->spans, &pair[i], i);
}

void rt_central_push_swept(rt_mheap *h, rt_span *s, uint32_t gen)
{
	rt_mcentral *c = &h->central[s->spanclass];
	rt_spanset *pair = s->alloccount < s->nelems ? c->partial : c->full;
	unsigned i = rt_central_swept(gen);

	rt_spanset_push(&h->spans, &pair[i], i, s);
}

/* An unswept span of the class, or NULL. */
rt_span *rt_central_pop_unswept(rt_mheap *h, unsigned spc, uint32_t gen)
{
	rt_mcentral *c = &h->central[spc];
	unsigned i = 1 - rt_central_swept(gen);
	rt_span *s = pop(h, c->partial, i);

	return s != NULL ? s : pop(h, c->full, i);
}

/* Sweeps spans of the class until one has room. Others may sweep one that stands on the list;
 * they deal with it. */
static rt_span *sweep_for_room(rt_mheap *h, rt_mcache *mc, unsigned spc, uint32_t gen)
{
	for (int tries = 0; tries < SWEEP_TRIES; tries++) {
		rt_span *s = rt_central_pop_unswept(h, spc, gen);

		if (s == NULL)
			return NULL;
		if (!rt_span_acquire(s, gen))
			continue;
		(void)rt_span_sweep(h, mc, s, true);
		if (s->alloccount < s->nelems)
			return s;
		rt_central_push_swept(h, s, gen);
	}
	return NULL;
}

rt_span *rt_central_get(rt_mheap *h, rt_mcache *mc, unsigned spc)
{
	uint32_t gen = rt_load32_acq(&h->sweepgen);
	unsigned class = spc >> 1;
	rt_span *s;

	rt_sweep_credit(h, mc, rt_class_npages[class] * (size_t)RT_PAGE);
	s = pop(h, h->central[spc].partial, rt_central_swept(gen));
	if (s == NULL && rt_sweep_enter(h)) {
		rt_stretch_begin(h, mc);
		s = sweep_for_room(h, mc, spc, gen);
		rt_stretch_end(h, mc);
		rt_sweep_leave(h);
	}
	if (s == NULL)
		s = rt_span_alloc(h, mc, rt_class_npages[class], spc, rt_class_bytes[class]);
	if (s != NULL)
		rt_span_window_init(s);
	RT_ASSERT(s == NULL || s->cache != 0);
	return s;
}

/* s->alloccount is up to date. Cached across a sweep: it is swept now, by its last owner. */
void rt_central_put(rt_mheap *h, rt_mcache *mc, rt_span *s)
{
	uint32_t gen = rt_load32_acq(&h->sweepgen);

	if (rt_load32_rlx(&s->sweepgen) == gen + 1) {
		rt_store32_rel(&s->sweepgen, gen - 1);
		(void)rt_span_sweep(h, mc, s, false);
		return;
	}
	RT_ASSERT(rt_load32_rlx(&s->sweepgen) == gen + 3);
	rt_store32_rel(&s->sweepgen, gen);
	rt_central_push_swept(h, s, gen);
}
