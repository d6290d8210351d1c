/* chooser.c: see chooser.h. Everything by the one who has the processor, or while nothing runs. */
#include "core/sched/chooser.h"

#include "core/sched/internal.h"

#include <string.h>

enum { FAIR = 1000, LEAST_LOG = 4, LOGS = 9 };
#define HIGH (UINT64_C(1) << 63) /* keys of goroutines that have not fallen */

/* ---- The seed -------------------------------------------------------------------------------- */

static uint64_t wide(rt_rand *r)
{
	uint64_t high = rt_rand_next(r);

	return high << 32 | rt_rand_next(r);
}

static void draw_walk(rt_chooser *c)
{
	static const uint32_t stays[] = { 0, 1, 3, 15 };

	c->policy = RT_WALK;
	c->stay = stays[rt_rand_below(&c->rand, RT_NELEM(stays))];
}

static void draw_pct(rt_chooser *c)
{
	uint32_t n = UINT32_C(1) << (LEAST_LOG + rt_rand_below(&c->rand, LOGS));
	uint32_t depth = 1 + rt_rand_below(&c->rand, RT_CHANGES);

	c->policy = RT_PCT;
	for (unsigned i = 0; i < RT_CHANGES; i++) {
		uint64_t step = i < depth ? 1 + rt_rand_below(&c->rand, n) : UINT64_MAX;
		unsigned at = i;

		for (; at > 0 && c->change[at - 1] > step; at--)
			c->change[at] = c->change[at - 1];
		c->change[at] = step;
	}
}

void rt_chooser_init(rt_chooser *c, uint64_t seed)
{
	memset(c, 0, sizeof *c);
	c->seed = seed;
	c->idle = true;
}

void rt_chooser_free(rt_chooser *c)
{
	rt_array_free(&c->pool);
	rt_array_free(&c->fallen);
	rt_array_free(&c->kept);
	rt_array_free(&c->plan);
}

void rt_chooser_begin(rt_chooser *c, uint64_t goid0)
{
	rt_rand_seed(&c->rand, c->seed);
	if (rt_rand_below(&c->rand, 2) == 0)
		draw_walk(c);
	else
		draw_pct(c);
	if (c->plans)
		c->policy = RT_PLAN;
	c->plans = false;
	c->goid0 = goid0;
	c->lowest = HIGH - 1;
	c->step = c->arrivals = 0;
	c->changed = c->stayed = 0;
	c->nkept = c->planned = 0;
	c->forgot = c->idle = false;
	c->n = 0;
	c->nfallen = 0;
	if (c->fallen.p != NULL)
		memset(c->fallen.p, 0, c->fallen.bytes);
}

void rt_chooser_end(rt_chooser *c)
{
	c->idle = true;
	c->n = 0;
}

bool rt_chooser_plan(rt_chooser *c, const gort_choice *plan, size_t n)
{
	if (n > SIZE_MAX / 2 / sizeof *plan || !rt_array_fit(&c->plan, n * sizeof *plan))
		return false;
	if (n > 0)
		memcpy(c->plan.p, plan, n * sizeof *plan);
	c->nplan = n;
	c->recording = true;
	c->plans = plan != NULL;
	return true;
}

/* ---- Priorities: pct ------------------------------------------------------------------------- */

static rt_fallen *fallen_find(const rt_chooser *c, uint64_t goid)
{
	size_t slots = c->fallen.bytes / sizeof(rt_fallen);
	rt_fallen *table = c->fallen.p;
	rt_rand r;

	rt_rand_seed(&r, goid);
	for (size_t i = r.s % slots;; i = (i + 1) % slots)
		if (table[i].goid == goid || table[i].goid == 0)
			return &table[i];
}

static uint64_t key_of(const rt_chooser *c, const rt_g *gp)
{
	rt_rand r;

	if (c->nfallen > 0) {
		const rt_fallen *f = fallen_find(c, gp->goid);

		if (f->goid != 0)
			return f->key;
	}
	rt_rand_seed(&r, c->seed ^ (gp->ismain ? 1 : gp->goid - c->goid0 + 2) * UINT64_C(0xff51afd7ed558ccd));
	return wide(&r) | HIGH;
}

static bool fallen_fits(rt_chooser *c)
{
	rt_array old = c->fallen, new = { NULL, 0 };
	size_t slots = old.bytes / sizeof(rt_fallen);

	if (2 * (c->nfallen + 1) <= slots)
		return true;
	if (!rt_array_fit(&new, old.bytes != 0 ? 2 * old.bytes : 1))
		return false;
	c->fallen = new;
	for (size_t i = 0; i < slots; i++) {
		const rt_fallen *f = (const rt_fallen *)old.p + i;

		if (f->goid != 0)
			*fallen_find(c, f->goid) = *f;
	}
	rt_array_free(&old);
	return true;
}

/* gp falls below all others. Without memory it stays where it is: the schedule is another one, and as good. */
static void fall(rt_chooser *c, const rt_g *gp)
{
	rt_fallen *f;

	if (!fallen_fits(c))
		return;
	f = fallen_find(c, gp->goid);
	c->nfallen += f->goid == 0;
	*f = (rt_fallen){ gp->goid, c->lowest-- };
}

/* ---- The pool -------------------------------------------------------------------------------- */

static rt_candidate *pool(const rt_chooser *c)
{
	return c->pool.p;
}

static bool before(const rt_candidate *a, const rt_candidate *b)
{
	return a->key != b->key ? a->key > b->key : a->arrival < b->arrival;
}

static void sift_up(rt_chooser *c, uint32_t i, rt_candidate x)
{
	rt_candidate *h = pool(c);

	for (; i > 0 && before(&x, &h[(i - 1) / 2]); i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = x;
}

static void sift_down(rt_chooser *c, uint32_t i, rt_candidate x)
{
	rt_candidate *h = pool(c);

	for (uint32_t child; (child = 2 * i + 1) < c->n; i = child) {
		if (child + 1 < c->n && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &x))
			break;
		h[i] = h[child];
	}
	h[i] = x;
}

static rt_g *take(rt_chooser *c, uint32_t i)
{
	rt_candidate *h = pool(c), last = h[--c->n];
	rt_g *gp = h[i].gp;

	if (i == c->n)
		return gp;
	if (i > 0 && before(&last, &h[(i - 1) / 2]))
		sift_up(c, i, last);
	else
		sift_down(c, i, last);
	return gp;
}

bool rt_chooser_fits(rt_chooser *c)
{
	return rt_array_fit(&c->pool, ((size_t)c->n + 1) * sizeof(rt_candidate));
}

void rt_chooser_add(rt_chooser *c, rt_g *gp, bool yielded)
{
	uint64_t arrival = ++c->arrivals, key;

	if (c->policy == RT_PCT) {
		if (yielded)
			fall(c, gp);
		key = key_of(c, gp);
	} else {
		key = ~arrival; /* the top has waited longest */
	}
	c->n++;
	sift_up(c, c->n - 1, (rt_candidate){ key, arrival, gp });
}

rt_g *rt_chooser_take(rt_chooser *c)
{
	return c->n > 0 ? take(c, 0) : NULL;
}

/* ---- Choices --------------------------------------------------------------------------------- */

/* The place in the pool of the one that has waited longest. */
static uint32_t oldest(const rt_chooser *c)
{
	uint32_t at = 0;

	if (c->policy == RT_PCT)
		for (uint32_t i = 1; i < c->n; i++)
			if (pool(c)[i].arrival < pool(c)[at].arrival)
				at = i;
	return at;
}

/* Places in the pool; c->n is the one that runs. */
static uint32_t walk(rt_chooser *c, const rt_g *runs)
{
	if (runs == NULL)
		return rt_rand_below(&c->rand, c->n);
	if ((rt_rand_next(&c->rand) & c->stay) != 0)
		return c->n;
	return rt_rand_below(&c->rand, c->n + 1);
}

static uint32_t highest(rt_chooser *c, const rt_g *runs)
{
	while (c->changed < RT_CHANGES && c->change[c->changed] <= c->step) {
		c->changed++;
		if (runs != NULL)
			fall(c, runs);
	}
	return runs != NULL && key_of(c, runs) > pool(c)[0].key ? c->n : 0;
}

static uint32_t planned(rt_chooser *c, const rt_g *runs, uint32_t usual)
{
	const gort_choice *p = c->plan.p;
	uint64_t goid;

	while (c->planned < c->nplan && p[c->planned].step < c->step)
		c->planned++;
	if (c->planned == c->nplan || p[c->planned].step != c->step)
		return usual;
	goid = p[c->planned].goid;
	if (runs != NULL && runs->goid == goid)
		return c->n;
	for (uint32_t i = 0; i < c->n; i++)
		if (pool(c)[i].gp->goid == goid)
			return i;
	return usual;
}

static void keep(rt_chooser *c, const rt_g *gp)
{
	if (c->forgot || !rt_array_fit(&c->kept, (c->nkept + 1) * sizeof(gort_choice))) {
		c->forgot = true;
		return;
	}
	((gort_choice *)c->kept.p)[c->nkept++] = (gort_choice){ c->step, gp->goid };
}

rt_g *rt_chooser_next(rt_chooser *c, rt_g *runs)
{
	bool tired = false;
	uint32_t at, usual;
	rt_g *gp;

	if (c->n + (runs != NULL) < 2 || c->idle) {
		if (runs == NULL)
			c->stayed = 0;
		return runs != NULL ? runs : rt_chooser_take(c);
	}
	c->step++;
	if (runs != NULL && c->stayed >= FAIR) {
		tired = true;
		if (c->policy == RT_PCT)
			fall(c, runs);
	}
	usual = c->policy == RT_PCT && !c->recording ? 0 : runs != NULL && !tired ? c->n : oldest(c);
	switch (c->policy) {
	case RT_WALK:
		at = walk(c, tired ? NULL : runs);
		break;
	case RT_PCT:
		at = highest(c, runs);
		break;
	default:
		at = planned(c, runs, usual);
		break;
	}
	gp = at == c->n ? runs : pool(c)[at].gp;
	if (c->recording && at != usual)
		keep(c, gp);
	c->stayed = gp == runs ? c->stayed + 1 : 0;
	return gp == runs ? gp : take(c, at);
}
