/* scavenge.c: pages that nobody uses go back. What is promised stands in scavenge.h.
 *
 * A piece of work: under the lock, the highest run of free Ready pages is found and taken, as if it
 * was allocated; without the lock the system gets it; under the lock it is freed again, as
 * Prepared. From the top, because allocation goes from the bottom. Pieces keep to whole huge pages
 * where those are free. A chunk from which less than a huge page was taken is kept on small pages
 * from then on, or the system would fill the hole again to make a huge page of it; once the chunk
 * is full again, huge pages are asked for.
 *
 * Chunks that are nearly full, now or in the last cycle, are left alone unless forced: what is free
 * in them will be wanted again at once.
 *
 * Two marks say above which chunk there is nothing to find, with and without dense ones: freeing
 * raises them, searching lowers them, and a new cycle, in which other chunks are dense, begins the
 * second anew.
 */
#include "core/alloc/scavenge.h"

#include "backends/arena/arena.h"
#include "core/alloc/pagealloc.h"

#include <math.h>
#include <string.h>

enum { WORDS = RT_CHUNK_PAGES / 64, HUGE_PAGES = (2 << 20) / RT_PAGE, DENSE = 496 };

typedef struct piece {
	size_t page, n; /* n 0: there is nothing */
	char *p;
	bool broke_huge; /* its chunk must be kept on small pages */
} piece;

/* ---- Finding; under the lock ---------------------------------------------------------------- */

static bool dense(const rt_pagealloc *pa, const rt_chunk *c)
{
	return c->inuse >= DENSE || (c->gen == pa->gen && c->lastinuse >= DENSE);
}

static bool candidate(const rt_chunk *c, size_t i)
{
	return !((c->alloc[i / 64] | c->scav[i / 64]) >> (i % 64) & 1);
}

static bool any(const rt_chunk *c)
{
	for (unsigned w = 0; w < WORDS; w++)
		if (~(c->alloc[w] | c->scav[w]) != 0)
			return true;
	return false;
}

/* Pages [*lo, *hi) of the chunk: the highest run below `end` of pages that could go, in units of
 * the system's page. */
static bool highest_run(const rt_chunk *c, size_t end, size_t unit, size_t *lo, size_t *hi)
{
	while (end > 0) {
		size_t h = end, l;

		while (h > 0 && !candidate(c, h - 1))
			h--;
		for (l = h; l > 0 && candidate(c, l - 1); l--)
			;
		*hi = h / unit * unit;
		*lo = (l + unit - 1) / unit * unit;
		if (*lo < *hi)
			return true;
		end = l;
	}
	return false;
}

/* The upper `want` pages of the run, and what makes a huge page whole. */
static size_t cut(size_t lo, size_t hi, size_t want, size_t unit)
{
	size_t from = hi - lo > want ? (hi - want) / unit * unit : lo;
	size_t huge = from / HUGE_PAGES * HUGE_PAGES;

	return huge >= lo && huge + HUGE_PAGES <= hi ? huge : from;
}

static bool find_in_chunk(const rt_pagealloc *pa, size_t i, size_t want, size_t unit, piece *out)
{
	const rt_chunk *c = rt_pageheap_chunk(pa, i);
	size_t lo, hi;

	if (!any(c) || !highest_run(c, RT_CHUNK_PAGES, unit, &lo, &hi))
		return false;
	lo = cut(lo, hi, want, unit);
	*out = (piece){.page = i * RT_CHUNK_PAGES + lo, .n = hi - lo};
	out->p = rt_page_addr(pa, out->page);
	out->broke_huge = lo % HUGE_PAGES != 0 || hi % HUGE_PAGES != 0;
	return true;
}

static piece find_locked(rt_pagealloc *pa, size_t want, size_t unit, bool force)
{
	size_t *top = force ? &pa->scavtop : &pa->scavtop_sparse;
	piece found = {0};

	for (; *top > 0; --*top) {
		const rt_chunk *c = rt_pageheap_chunk(pa, *top - 1);

		if (c == NULL || !c->mapped || (!force && dense(pa, c)))
			continue;
		if (find_in_chunk(pa, *top - 1, want, unit, &found))
			break;
	}
	return found;
}

static piece take(rt_mheap *h, size_t want, size_t unit, bool force)
{
	piece found;

	rt_lock(&h->lock, RT_RANK_mheap);
	found = find_locked(&h->pages, want, unit, force);
	if (found.n > 0) {
		rt_chunk *c = rt_pageheap_chunk(&h->pages, found.page / RT_CHUNK_PAGES);

		(void)rt_pageheap_take(&h->pages, found.page, found.n);
		found.broke_huge = found.broke_huge && c->advice != RT_ADVICE_SMALL && found.page >= RT_CHUNK_PAGES;
		if (found.broke_huge)
			c->advice = RT_ADVICE_SMALL;
	}
	rt_unlock(&h->lock, RT_RANK_mheap);
	return found;
}

/* ---- Giving --------------------------------------------------------------------------------- */

static void put(rt_mheap *h, const piece *w, bool gone)
{
	rt_lock(&h->lock, RT_RANK_mheap);
	rt_pageheap_free(&h->pages, w->page, w->n);
	if (gone) {
		rt_pageheap_set_scavenged(&h->pages, w->page, w->n);
		/* Under the lock: with the world stopped, when this may go on, who holds it reads a sum that holds. */
		rt_add64_full(&h->free, -(w->n * RT_PAGE));
		rt_add64_full(&h->released, w->n * RT_PAGE);
	}
	rt_unlock(&h->lock, RT_RANK_mheap);
}

static char *chunk_of(char *p)
{
	return (char *)((uintptr_t)p & ~(uintptr_t)(RT_CHUNK_BYTES - 1));
}

size_t rt_scavenge(rt_mheap *h, size_t bytes, bool force)
{
	size_t system = be_arena_query()->page, unit = system > RT_PAGE ? system / RT_PAGE : 1;
	size_t done = 0;

	while (done < bytes && !rt_load32_rlx(&h->mem.cannot_return)) {
		size_t want = (bytes - done + RT_PAGE - 1) / RT_PAGE;
		piece w = take(h, want > unit ? want : unit, unit, force);
		bool gone;

		if (w.n == 0)
			break;
		if (w.broke_huge)
			be_arena_nohuge(chunk_of(w.p), RT_CHUNK_BYTES);
		gone = rt_sys_unused(&h->mem, w.p, w.n * RT_PAGE, RT_MEM_HEAP);
		put(h, &w, gone);
		if (!gone)
			break;
		done += w.n * RT_PAGE;
	}
	return done;
}

void rt_scav_tell(rt_mheap *h, size_t bytes)
{
	if (bytes > 0)
		RT_HEAP_TRACE(h, HEAP, SCAVENGE, bytes, 0, 0);
}

/* ---- How much ------------------------------------------------------------------------------- */

void rt_scav_pace(rt_mheap *h, uint64_t goal, uint64_t last_goal, uint64_t last_inuse)
{
	uint64_t limit = rt_load64_rlx(&h->limit), percent = UINT64_MAX;

	if (last_goal > 0) {
		double want = (double)last_inuse * ((double)goal / (double)last_goal) * 1.1;

		if (want < (double)INT64_MAX)
			percent = (uint64_t)want;
	}
	rt_store64_rlx(&h->scav.percent_goal, percent);
	rt_store64_rlx(&h->scav.limit_goal, limit < INT64_MAX ? limit / 100 * 95 : UINT64_MAX);
}

size_t rt_scav_due(const rt_mheap *h)
{
	uint64_t held = rt_load64_rlx(&h->inuse) + rt_load64_rlx(&h->free);
	uint64_t total = rt_load64_rlx(&h->mem.total);
	uint64_t percent = rt_load64_rlx(&h->scav.percent_goal);
	uint64_t limit = rt_load64_rlx(&h->scav.limit_goal), due = 0;

	if (rt_load32_rlx(&h->mem.cannot_return))
		return 0;
	if (held > percent)
		due = held - percent;
	if (total > limit && total - limit > due)
		due = total - limit;
	return due;
}

/* Chunk i, if we asked for small pages and it is dense again: its address. Others are left as the system has them.
 * What is asked of pages in use khugepaged does, at most 16 MiB in ten seconds, with the address space locked: for
 * 5 ms both CPUs waited, the longest that an allocation took with 1 GiB live, and next to nothing of it was huge. */
static char *dense_locked(rt_pagealloc *pa, size_t i)
{
	rt_chunk *c = rt_pageheap_chunk(pa, i);

	if (c == NULL || c->advice != RT_ADVICE_SMALL || c->inuse < DENSE || i == 0)
		return NULL;
	c->advice = RT_ADVICE_HUGE;
	return rt_page_addr(pa, i * RT_CHUNK_PAGES);
}

void rt_scav_cycle(rt_mheap *h)
{
	size_t n;

	rt_lock(&h->lock, RT_RANK_mheap);
	h->pages.gen++;
	h->pages.scavtop_sparse = h->pages.scavtop;
	n = (size_t)h->pages.narenas * RT_ARENA_CHUNKS;
	rt_unlock(&h->lock, RT_RANK_mheap);
	for (size_t i = 0; i < n; i++) {
		char *p;

		rt_lock(&h->lock, RT_RANK_mheap);
		p = dense_locked(&h->pages, i);
		rt_unlock(&h->lock, RT_RANK_mheap);
		if (p != NULL)
			be_arena_huge(p, RT_CHUNK_BYTES);
	}
}

/* ---- When ----------------------------------------------------------------------------------- */

/* A PI controller whose input is the share of all CPUs that the work took, and whose output is
 * worked / sleep. Its integral is held back while the output is at its bounds. */
#define SHARE 0.01
#define GAIN 0.3375
#define INTEGRAL_TIME 3.2e6
#define RESET_TIME 1e9
#define RATIO_MIN 0.001
#define RATIO_MAX 1000.0
#define COOLDOWN INT64_C(5000000000)

void rt_scavpacer_init(rt_scavpacer *p)
{
	*p = (rt_scavpacer){.ratio = RATIO_MIN};
}

static double clamp(double x)
{
	return x < RATIO_MIN ? RATIO_MIN : x > RATIO_MAX ? RATIO_MAX : x;
}

static bool control(rt_scavpacer *p, double share, double period)
{
	double miss = SHARE - share, raw = GAIN * miss + p->error, out = clamp(raw);

	p->error += GAIN * period / INTEGRAL_TIME * miss + period / RESET_TIME * (out - raw);
	p->ratio = out;
	return isfinite(p->error) && isfinite(raw);
}

int64_t rt_scavpacer_next(rt_scavpacer *p, int64_t worked, int64_t slept, int procs)
{
	double period = (double)worked + (double)slept;

	if (p->cooldown > 0) {
		p->cooldown = (double)p->cooldown > period ? p->cooldown - (int64_t)period : 0;
	} else if (period > 0 && !control(p, (double)worked / period / procs, period)) {
		rt_scavpacer_init(p);
		p->cooldown = COOLDOWN;
	}
	return (int64_t)((double)worked / p->ratio);
}
