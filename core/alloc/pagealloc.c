/* pagealloc.c: free pages, found by a tree of summaries. What is promised stands in pagealloc.h.
 *
 * A chunk of 512 pages has a bitmap. Above the bitmaps lies a tree whose entries say of 8 below
 * them how many free pages there are side by side at the start, at most, and at the end (Knyszek
 * and Clements, "Scaling the Go page allocator", 2019). The first fit is found by walking down from
 * the top: at each level from left to right, adding the end of one entry to the start of the next;
 * when a run is long enough it is the answer, when an entry has it inside we go down there. A
 * change goes upward as long as it changes anything.
 *
 * Go lays its tree over the whole address space, 600 MiB of reservation for each heap. Here pages
 * are numbered by arena in the order of birth, so that the tree is as large as the heap: 12 bytes
 * for 4 MiB, and an eighth more for each level; it is copied when it grows, which nobody sees, for
 * all of this is under one lock. Arenas that do not touch are a number apart, whose entry says:
 * nothing free.
 *
 * Rejected: lists of free runs by size (as in Go before 1.14): best fit must be searched under the
 * lock, and every run needs a record.
 */
#include "core/alloc/pagealloc.h"

#include "core/base/check.h"

#include <string.h>

enum { WORDS = RT_CHUNK_PAGES / 64, MIN_ARENAS = 4 };
#define ALL (~(uint64_t)0)

static size_t level_entries(uint32_t cap, unsigned level)
{
	size_t n = (size_t)cap * RT_ARENA_CHUNKS;

	while (level-- > 0)
		n = (n + RT_SUM_FAN - 1) / RT_SUM_FAN;
	return n;
}

/* How many pages an entry of the level is about, as a shift. */
static unsigned level_shift(unsigned level)
{
	return RT_CHUNK_SHIFT + level * RT_SUM_SHIFT;
}

/* ---- Summaries ------------------------------------------------------------------------------ */

/* Runs of zeroes in a word, appended to *run; the longest so far. */
static uint32_t scan_word(uint64_t used, uint32_t *run, uint32_t max)
{
	unsigned left = 64;

	while (left > 0) {
		unsigned zeroes = used != 0 ? (unsigned)__builtin_ctzll(used) : left, ones;

		*run += zeroes;
		max = *run > max ? *run : max;
		left -= zeroes;
		if (left == 0)
			break;
		used >>= zeroes;
		ones = used != ALL ? (unsigned)__builtin_ctzll(~used) : 64;
		*run = 0;
		left -= ones;
		if (left == 0)
			break;
		used >>= ones;
	}
	return max;
}

static uint32_t free_at_start(const uint64_t *used)
{
	for (unsigned w = 0; w < WORDS; w++)
		if (used[w] != 0)
			return w * 64 + (unsigned)__builtin_ctzll(used[w]);
	return RT_CHUNK_PAGES;
}

static rt_sum chunk_sum(const rt_chunk *c)
{
	rt_sum s = {0, 0, 0};

	if (!c->mapped)
		return s;
	s.start = free_at_start(c->alloc);
	for (unsigned w = 0; w < WORDS; w++)
		s.max = scan_word(c->alloc[w], &s.end, s.max);
	return s;
}

/* Of RT_SUM_FAN neighbours that are about `size` pages each. */
static rt_sum merge(const rt_sum *e, uint32_t size)
{
	rt_sum s = {0, 0, 0};
	bool prefix = true;

	for (unsigned i = 0; i < RT_SUM_FAN; i++) {
		uint32_t across = s.end + e[i].start;

		if (prefix)
			s.start += e[i].start;
		prefix = prefix && e[i].start == size;
		s.max = across > s.max ? across : s.max;
		s.max = e[i].max > s.max ? e[i].max : s.max;
		s.end = e[i].start == size ? s.end + size : e[i].end;
	}
	return s;
}

static bool set_sum(rt_sum *to, rt_sum s)
{
	bool changed = memcmp(to, &s, sizeof s) != 0;

	*to = s;
	return changed;
}

/* The summaries of chunks [lo, hi] have changed, if `changed`. */
static void update_above(rt_pagealloc *pa, size_t lo, size_t hi, bool changed)
{
	for (unsigned l = 1; l < pa->nlevels && changed; l++) {
		changed = false;
		lo /= RT_SUM_FAN;
		hi /= RT_SUM_FAN;
		for (size_t i = lo; i <= hi; i++)
			changed |=
				set_sum(&pa->level[l][i], merge(&pa->level[l - 1][i * RT_SUM_FAN],
			                                        (uint32_t)1 << level_shift(l - 1)));
	}
}

/* Chunks [lo, hi] have changed. */
static void update(rt_pagealloc *pa, size_t lo, size_t hi)
{
	bool changed = false;

	for (size_t i = lo; i <= hi; i++)
		changed |= set_sum(&pa->level[0][i], chunk_sum(rt_pageheap_chunk(pa, i)));
	update_above(pa, lo, hi, changed);
}

static size_t free_below(const uint64_t *used, size_t i)
{
	size_t n = 0;

	while (i > 0) {
		unsigned bits = (unsigned)((i - 1) % 64 + 1);
		uint64_t top = used[(i - 1) / 64] << (64 - bits); /* bit i - 1 and those below */

		if (top != 0)
			return n + (unsigned)__builtin_clzll(top);
		n += bits;
		i -= bits;
	}
	return n;
}

static size_t free_above(const uint64_t *used, size_t i)
{
	size_t n = 0;

	while (i < RT_CHUNK_PAGES) {
		uint64_t rest = used[i / 64] >> i % 64;

		if (rest != 0)
			return n + (unsigned)__builtin_ctzll(rest);
		n += 64 - i % 64;
		i += 64 - i % 64;
	}
	return n;
}

/* Pages [lo, hi) of a chunk were freed: no run has changed but the one that they are a part of now. Each page that is
 * freed alone comes this way, and to look at all of the chunk was an eighth of an allocation of 1 KiB. */
static void update_freed(rt_pagealloc *pa, size_t chunk, size_t lo, size_t hi)
{
	const rt_chunk *c = rt_pageheap_chunk(pa, chunk);
	rt_sum s = pa->level[0][chunk];

	lo -= free_below(c->alloc, lo);
	hi += free_above(c->alloc, hi);
	if (lo == 0)
		s.start = (uint32_t)hi;
	if (hi == RT_CHUNK_PAGES)
		s.end = (uint32_t)(hi - lo);
	if (hi - lo > s.max)
		s.max = (uint32_t)(hi - lo);
	update_above(pa, chunk, chunk, set_sum(&pa->level[0][chunk], s));
}

/* ---- Tables --------------------------------------------------------------------------------- */

static unsigned count_levels(uint32_t cap)
{
	unsigned n = 1;

	while (level_entries(cap, n - 1) > RT_SUM_FAN)
		n++;
	return n;
}

/* Entries of a level in memory: whole families, so that merge may read eight. */
static size_t level_room(uint32_t cap, unsigned level)
{
	return (level_entries(cap, level) + RT_SUM_FAN - 1) / RT_SUM_FAN * RT_SUM_FAN;
}

static size_t table_bytes(uint32_t cap)
{
	size_t bytes = cap * sizeof(rt_arena *);

	for (unsigned l = 0; l < count_levels(cap); l++)
		bytes += level_room(cap, l) * sizeof(rt_sum);
	return bytes;
}

void rt_pageheap_init(rt_pagealloc *pa, rt_sysmem *mem)
{
	memset(pa, 0, sizeof *pa);
	pa->mem = mem;
	pa->search = RT_NOPAGE;
}

void rt_pageheap_fini(rt_pagealloc *pa)
{
	if (pa->arenas != NULL)
		rt_sys_release(pa->mem, pa->arenas, table_bytes(pa->cap), RT_MEM_META);
	memset(pa, 0, sizeof *pa);
}

static void lay_out(rt_pagealloc *pa, void *block, uint32_t cap)
{
	rt_sum *sums = (rt_sum *)((rt_arena **)block + cap);

	pa->arenas = block;
	pa->cap = cap;
	pa->nlevels = count_levels(cap);
	for (unsigned l = 0; l < pa->nlevels; l++) {
		pa->level[l] = sums;
		sums += level_room(cap, l);
	}
}

static void rebuild(rt_pagealloc *pa)
{
	for (unsigned l = 1; l < pa->nlevels; l++)
		for (size_t i = 0; i < level_entries(pa->cap, l); i++)
			pa->level[l][i] = merge(&pa->level[l - 1][i * RT_SUM_FAN],
			                        (uint32_t)1 << level_shift(l - 1));
}

static bool grow_tables(rt_pagealloc *pa, uint32_t need)
{
	uint32_t cap = pa->cap != 0 ? pa->cap : MIN_ARENAS;
	rt_pagealloc old = *pa;
	void *block;

	while (cap < need)
		cap *= 2;
	if (cap == old.cap)
		return true;
	if (count_levels(cap) > RT_SUM_LEVELS)
		return false;
	block = rt_sys_alloc(pa->mem, table_bytes(cap), RT_MEM_META); /* zeroed: nothing is free */
	if (block == NULL)
		return false;
	lay_out(pa, block, cap);
	if (old.arenas != NULL) {
		memcpy(pa->arenas, old.arenas, old.narenas * sizeof *old.arenas);
		memcpy(pa->level[0], old.level[0],
		       level_entries(old.cap, 0) * sizeof *old.level[0]);
		rt_sys_release(pa->mem, old.arenas, table_bytes(old.cap), RT_MEM_META);
	}
	rebuild(pa);
	return true;
}

bool rt_pageheap_add_arena(rt_pagealloc *pa, rt_arena *a, bool joins)
{
	uint32_t at = pa->narenas;

	if (at > 0 && (!joins || pa->arenas[at - 1]->base + RT_ARENA_BYTES != a->base))
		at++;
	if (!grow_tables(pa, at + 1))
		return false;
	a->ordinal = at;
	pa->arenas[at] = a;
	pa->narenas = at + 1;
	return true;
}

void rt_pageheap_add_chunk(rt_pagealloc *pa, size_t chunk)
{
	rt_chunk *c = rt_pageheap_chunk(pa, chunk);
	size_t first = chunk * RT_CHUNK_PAGES;

	RT_ASSERT(!c->mapped);
	c->mapped = true;
	memset(c->scav, 0xff, sizeof c->scav);
	c->gen = pa->gen;
	if (first < pa->search)
		pa->search = first;
	update(pa, chunk, chunk);
}

/* ---- Looking ---------------------------------------------------------------------------------- */

/* The first n pages side by side in a chunk that has them, from page `from` of it on. */
static size_t find_in_chunk(const rt_chunk *c, size_t n, size_t from)
{
	size_t run = 0;

	for (size_t i = from; i < RT_CHUNK_PAGES;) {
		uint64_t used = c->alloc[i / 64] >> (i % 64);
		size_t left = 64 - i % 64;
		size_t zeroes = used != 0 ? (size_t)__builtin_ctzll(used) : left;

		if (run + zeroes >= n)
			return i - run;
		run += zeroes;
		i += zeroes;
		if (zeroes < left) { /* a page in use ends the run */
			used >>= zeroes;
			i += used != ALL ? (size_t)__builtin_ctzll(~used) : 64;
			run = 0;
		}
	}
	return RT_NOPAGE;
}

/* One level from entry lo to hi. The answer, or RT_NOPAGE: it is inside of entry *down, or
 * nowhere if that is hi. */
static size_t find_in_level(const rt_pagealloc *pa, unsigned l, size_t lo, size_t hi, size_t n,
                            size_t *down)
{
	unsigned shift = level_shift(l);
	size_t size = (size_t)1 << shift, run = 0, start = 0;
	size_t i = lo;

	if (pa->search != RT_NOPAGE && pa->search >> shift > i)
		i = pa->search >> shift < hi ? pa->search >> shift : hi;
	for (; i < hi; i++) {
		const rt_sum *e = &pa->level[l][i];

		if (run == 0)
			start = i << shift;
		if (run + e->start >= n)
			return start;
		if (e->max >= n)
			break;
		if (e->start == size) {
			run += size;
		} else {
			run = e->end;
			start = ((i + 1) << shift) - e->end;
		}
	}
	*down = i;
	return RT_NOPAGE;
}

static size_t find(const rt_pagealloc *pa, size_t n)
{
	unsigned l = pa->nlevels - 1;
	size_t lo = 0, hi = level_entries(pa->cap, l);

	for (;; l--) {
		size_t i = hi, page = find_in_level(pa, l, lo, hi, n, &i);

		if (page != RT_NOPAGE)
			return page;
		if (i == hi) {
			if (l != pa->nlevels - 1)
				rt_throw("page heap: a summary promised pages that are not there");
			return RT_NOPAGE;
		}
		if (l == 0) {
			page = find_in_chunk(rt_pageheap_chunk(pa, i), n, 0);
			if (page == RT_NOPAGE)
				rt_throw("page heap: a chunk's summary is wrong");
			return i * RT_CHUNK_PAGES + page;
		}
		lo = i * RT_SUM_FAN;
		hi = lo + RT_SUM_FAN;
	}
}

/* Most requests are served by the chunk where searching begins. */
static size_t find_fast(const rt_pagealloc *pa, size_t n)
{
	size_t chunk = pa->search / RT_CHUNK_PAGES;

	if (pa->level[0][chunk].max < n)
		return RT_NOPAGE;
	n = find_in_chunk(rt_pageheap_chunk(pa, chunk), n, pa->search % RT_CHUNK_PAGES);
	return n != RT_NOPAGE ? chunk * RT_CHUNK_PAGES + n : RT_NOPAGE;
}

/* ---- Taking and giving ---------------------------------------------------------------------- */

/* Bits [lo, hi) of a chunk, word by word. */
static uint64_t bits_in_word(size_t w, size_t lo, size_t hi)
{
	uint64_t mask = ALL;

	if (lo > w * 64)
		mask &= ALL << (lo - w * 64);
	if (hi < (w + 1) * 64)
		mask &= ALL >> ((w + 1) * 64 - hi);
	return mask;
}

static size_t chunk_take(rt_chunk *c, size_t lo, size_t hi)
{
	size_t scav = 0;

	for (size_t w = lo / 64; w <= (hi - 1) / 64; w++) {
		uint64_t mask = bits_in_word(w, lo, hi);

		RT_ASSERT((c->alloc[w] & mask) == 0);
		scav += (size_t)__builtin_popcountll(c->scav[w] & mask);
		c->alloc[w] |= mask;
		c->scav[w] &= ~mask;
	}
	return scav;
}

static void chunk_free(rt_chunk *c, size_t lo, size_t hi)
{
	for (size_t w = lo / 64; w <= (hi - 1) / 64; w++) {
		uint64_t mask = bits_in_word(w, lo, hi);

		if ((c->alloc[w] & mask) != mask)
			rt_throw("page heap: a page was freed twice");
		c->alloc[w] &= ~mask;
	}
}

/* The chunk's occupancy before it changes; a new cycle remembers that of the last. */
static void chunk_count(rt_pagealloc *pa, rt_chunk *c, size_t more, size_t less)
{
	if (c->gen != pa->gen) {
		c->lastinuse = c->inuse;
		c->gen = pa->gen;
	}
	c->inuse = (uint16_t)(c->inuse + more - less);
	RT_ASSERT(c->inuse <= RT_CHUNK_PAGES);
}

size_t rt_pageheap_take(rt_pagealloc *pa, size_t page, size_t n)
{
	size_t end = page + n, first = page / RT_CHUNK_PAGES, last = (end - 1) / RT_CHUNK_PAGES;
	size_t scav = 0;

	for (size_t i = first; i <= last; i++) {
		rt_chunk *c = rt_pageheap_chunk(pa, i);
		size_t at = i * RT_CHUNK_PAGES;
		size_t lo = page > at ? page - at : 0;
		size_t hi = end < at + RT_CHUNK_PAGES ? end - at : RT_CHUNK_PAGES;

		scav += chunk_take(c, lo, hi);
		chunk_count(pa, c, hi - lo, 0);
	}
	update(pa, first, last);
	return scav;
}

size_t rt_pageheap_alloc(rt_pagealloc *pa, size_t n, size_t *scav)
{
	size_t page;

	RT_ASSERT(n > 0);
	if (pa->search == RT_NOPAGE)
		return RT_NOPAGE;
	page = find_fast(pa, n);
	if (page == RT_NOPAGE)
		page = find(pa, n);
	if (page == RT_NOPAGE) {
		if (n == 1)
			pa->search = RT_NOPAGE;
		return RT_NOPAGE;
	}
	*scav = rt_pageheap_take(pa, page, n);
	/* The first free page was found: nothing below is free. */
	if (n == 1 || page == pa->search)
		pa->search = page + n;
	if (pa->search / RT_CHUNK_PAGES >= (size_t)pa->cap * RT_ARENA_CHUNKS)
		pa->search = RT_NOPAGE;
	return page;
}

static void freed(rt_pagealloc *pa, size_t page, size_t last)
{
	if (page < pa->search)
		pa->search = page;
	if (last + 1 > pa->scavtop)
		pa->scavtop = last + 1;
	if (last + 1 > pa->scavtop_sparse)
		pa->scavtop_sparse = last + 1;
}

void rt_pageheap_free(rt_pagealloc *pa, size_t page, size_t n)
{
	size_t end = page + n, first = page / RT_CHUNK_PAGES, last = (end - 1) / RT_CHUNK_PAGES;

	RT_ASSERT(n > 0 && last < (size_t)pa->narenas * RT_ARENA_CHUNKS);
	for (size_t i = first; i <= last; i++) {
		rt_chunk *c = rt_pageheap_chunk(pa, i);
		size_t at = i * RT_CHUNK_PAGES;
		size_t lo = page > at ? page - at : 0;
		size_t hi = end < at + RT_CHUNK_PAGES ? end - at : RT_CHUNK_PAGES;

		chunk_free(c, lo, hi);
		chunk_count(pa, c, 0, hi - lo);
	}
	freed(pa, page, last);
	if (first == last)
		update_freed(pa, first, page % RT_CHUNK_PAGES, page % RT_CHUNK_PAGES + n);
	else
		update(pa, first, last);
}

void rt_pageheap_set_scavenged(rt_pagealloc *pa, size_t page, size_t n)
{
	for (size_t i = page; i < page + n; i++) {
		rt_chunk *c = rt_pageheap_chunk(pa, i / RT_CHUNK_PAGES);
		size_t w = i % RT_CHUNK_PAGES / 64;
		uint64_t bit = (uint64_t)1 << (i % 64);

		RT_ASSERT((c->alloc[w] & bit) == 0);
		c->scav[w] |= bit;
	}
}

size_t rt_pageheap_longest(const rt_pagealloc *pa)
{
	size_t max = 0, run = 0;

	if (pa->cap == 0)
		return 0;
	for (size_t i = 0, l = pa->nlevels - 1; i < level_entries(pa->cap, (unsigned)l); i++) {
		const rt_sum *e = &pa->level[l][i];

		max = e->max > max ? e->max : max;
		max = run + e->start > max ? run + e->start : max;
		run = e->start == (size_t)1 << level_shift((unsigned)l) ? run + e->start : e->end;
	}
	return max;
}

static void check_chunk(const rt_pagealloc *pa, size_t i)
{
	const rt_chunk *c = rt_pageheap_chunk(pa, i);
	rt_sum s = {0, 0, 0};
	unsigned used = 0;

	if (c != NULL) {
		s = chunk_sum(c);
		for (unsigned w = 0; w < WORDS; w++) {
			used += (unsigned)__builtin_popcountll(c->alloc[w]);
			if (c->alloc[w] & c->scav[w])
				rt_throw("page heap: a page in use was given back");
		}
		if (used != c->inuse)
			rt_throw("page heap: occupancy of a chunk");
		if (s.max > 0 && i * RT_CHUNK_PAGES + find_in_chunk(c, 1, 0) < pa->search)
			rt_throw("page heap: a free page below where searching begins");
	}
	if (memcmp(&s, &pa->level[0][i], sizeof s) != 0)
		rt_throw("page heap: summary of a chunk");
}

void rt_pageheap_check(const rt_pagealloc *pa)
{
	for (size_t i = 0; i < (size_t)pa->narenas * RT_ARENA_CHUNKS; i++)
		check_chunk(pa, i);
	for (unsigned l = 1; l < pa->nlevels; l++)
		for (size_t i = 0; i < level_entries(pa->cap, l); i++) {
			rt_sum s = merge(&pa->level[l - 1][i * RT_SUM_FAN],
			                 (uint32_t)1 << level_shift(l - 1));

			if (memcmp(&s, &pa->level[l][i], sizeof s) != 0)
				rt_throw("page heap: summary");
		}
}

/* ---- Caches --------------------------------------------------------------------------------- */

bool rt_pagecache_fill(rt_pagealloc *pa, rt_pagecache *c)
{
	size_t page = RT_NOPAGE, chunk, w;
	rt_chunk *k;

	RT_ASSERT(c->free == 0);
	if (pa->search != RT_NOPAGE && (page = find_fast(pa, 1)) == RT_NOPAGE)
		page = find(pa, 1);
	if (page == RT_NOPAGE) {
		pa->search = RT_NOPAGE;
		return false;
	}
	chunk = page / RT_CHUNK_PAGES;
	w = page % RT_CHUNK_PAGES / 64;
	k = rt_pageheap_chunk(pa, chunk);
	c->first = page & ~(size_t)63;
	c->base = rt_page_addr(pa, c->first);
	c->free = ~k->alloc[w];
	c->scav = k->scav[w] & c->free;
	k->alloc[w] = ALL;
	k->scav[w] = 0;
	chunk_count(pa, k, (size_t)__builtin_popcountll(c->free), 0);
	pa->search = c->first + 64;
	if (pa->search / RT_CHUNK_PAGES >= (size_t)pa->cap * RT_ARENA_CHUNKS)
		pa->search = RT_NOPAGE;
	update(pa, chunk, chunk);
	return true;
}

void rt_pagecache_flush(rt_pagealloc *pa, rt_pagecache *c)
{
	size_t chunk = c->first / RT_CHUNK_PAGES, w = c->first % RT_CHUNK_PAGES / 64;
	rt_chunk *k;

	if (c->free == 0)
		return;
	k = rt_pageheap_chunk(pa, chunk);
	RT_ASSERT((k->alloc[w] & c->free) == c->free && (c->scav & ~c->free) == 0);
	k->alloc[w] &= ~c->free;
	k->scav[w] |= c->scav;
	chunk_count(pa, k, 0, (size_t)__builtin_popcountll(c->free));
	freed(pa, c->first + (size_t)__builtin_ctzll(c->free), chunk);
	update(pa, chunk, chunk);
	c->free = c->scav = 0;
}

size_t rt_pagecache_alloc(rt_pagecache *c, size_t n, size_t *scav)
{
	uint64_t runs = c->free, mask = n < 64 ? ((uint64_t)1 << n) - 1 : ALL;
	unsigned i;

	RT_ASSERT(n > 0 && n <= RT_PAGECACHE_MAX);
	/* Bit i stays if n bits from it on are set: each step doubles the length that is
	 * certain. */
	for (size_t have = 1; have < n && runs != 0;) {
		size_t more = have <= n - have ? have : n - have;

		runs &= runs >> more;
		have += more;
	}
	if (runs == 0)
		return RT_NOPAGE;
	i = (unsigned)__builtin_ctzll(runs);
	mask <<= i;
	*scav = (size_t)__builtin_popcountll(c->scav & mask);
	c->free &= ~mask;
	c->scav &= ~mask;
	return c->first + i;
}
