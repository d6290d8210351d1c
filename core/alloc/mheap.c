/* mheap.c: spans made of pages, and the growth of the heap. What is promised stands in mheap.h.
 *
 * A span's way: pages (from the P's cache, or under the lock), memory made Ready, a record, two
 * bitmaps, the fields; then the state is stored with release, and the page table's entries. A
 * reader comes from an address: entry, state, fields. No span that is in use ends while the
 * collector marks, so that what it has found by an acquire of the state stays true. Each step that
 * fails undoes those before it; the answer is then NULL.
 *
 * Growth: the heap takes address space in arenas of 64 MiB, where possible behind the last one, and
 * prepares it in chunks of 4 MiB. Prepared pages count as given back to the system: they cost
 * nothing until a span uses them. The first chunk stays on small pages of the system, so that a
 * small runtime is small; the others ask for huge ones when they are dense (scavenge.c).
 *
 * The first arena is wished for at 0xc000000000, as in Go: such addresses are seen to be heap
 * pointers, and hardly any number or text looks like one to a conservative scan. Other runtimes
 * have their own terabytes from there on.
 */
#include "core/alloc/mheap.h"

#include "core/alloc/heapbits.h"
#include "core/alloc/mcache.h"
#include "core/alloc/scavenge.h"
#include "core/alloc/special.h"
#include "core/alloc/sweep.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"

#include <string.h>

enum { RECORDS = RT_SPARE_SPANS / 2, HINTS = 64, HINT_TRIES = 8 };
#define RESERVE_ALWAYS ((size_t)4 << 30) /* whatever the slot says of its cost */
#define HINT_FIRST ((uintptr_t)0xc0 << 32)
#define HINT_STEP ((uintptr_t)1 << 40)
#define MAP_TABLE_BYTES (((size_t)1 << RT_MAP_BITS) * sizeof(rt_atomicptr))

/* ---- Life ----------------------------------------------------------------------------------- */

void rt_mheap_init(rt_mheap *h, rt_debugvars *debug)
{
	memset(h, 0, sizeof *h);
	h->hooks.traced = &h->untraced;
	rt_sysmem_init(&h->mem, debug);
	rt_spantable_init(&h->spans, &h->mem);
	rt_gcbits_init(&h->bits, &h->mem);
	rt_fixalloc_init(&h->specials, RT_SPECIAL_BYTES, debug);
	rt_fixalloc_init(&h->records, sizeof(rt_reservation), debug);
	rt_pageheap_init(&h->pages, &h->mem);
	rt_sweep_init(h);
	rt_store64_rlx(&h->limit, INT64_MAX);
	rt_store64_rlx(&h->scav.percent_goal, UINT64_MAX);
	rt_store64_rlx(&h->scav.limit_goal, UINT64_MAX);
}

void rt_mheap_fini(rt_mheap *h)
{
	for (rt_reservation *r = h->reservations; r != NULL; r = r->next) {
		rt_region_release(r->base, r->size);
		rt_region_release(r->arenas, r->tables);
	}
	for (unsigned i = 0; i < RT_NELEM(h->map.top); i++) {
		void *table = rt_loadptr_rlx(&h->map.top[i]);

		if (table != NULL)
			rt_sys_release(&h->mem, table, MAP_TABLE_BYTES, RT_MEM_META);
	}
	rt_pageheap_fini(&h->pages);
	rt_gcbits_fini(&h->bits);
	rt_spantable_fini(&h->spans);
	rt_fixalloc_fini(&h->specials);
	rt_fixalloc_fini(&h->records);
	memset(h, 0, sizeof *h);
}

/* ---- Address space; under the lock ---------------------------------------------------------- */

static size_t tables_stride(void)
{
	return rt_sys_round(sizeof(rt_arena));
}

static rt_arena *table_of(const rt_reservation *r, uint32_t i)
{
	return (rt_arena *)((char *)r->arenas + i * tables_stride());
}

/* Where nobody is yet. A hint that is not met shows that another runtime or the host is there. */
static void *reserve_first(rt_mheap *h, size_t size)
{
	for (int i = 0; i < HINT_TRIES; i++) {
		uintptr_t at = HINT_FIRST + (uintptr_t)i * i % HINTS * HINT_STEP;
		void *p = rt_sys_reserve(&h->mem, (void *)at, size, RT_ARENA_BYTES);

		if (p == NULL || p == (void *)at || i == HINT_TRIES - 1)
			return p;
		rt_sys_free(&h->mem, p, size, 0, RT_MEM_HEAP);
	}
	return NULL;
}

static bool map_entry(rt_mheap *h, rt_arena *a)
{
	uintptr_t p = (uintptr_t)a->base;
	rt_atomicptr *top = &h->map.top[p >> (RT_ARENA_SHIFT + RT_MAP_BITS)], *table;

	table = rt_loadptr_rlx(top);
	if (table == NULL) {
		table = rt_sys_alloc(&h->mem, MAP_TABLE_BYTES, RT_MEM_META);
		if (table == NULL)
			return false;
		rt_storeptr_rel(top, table);
	}
	/* Release: the arena's tables before it. */
	rt_storeptr_rel(&table[p >> RT_ARENA_SHIFT & ((1 << RT_MAP_BITS) - 1)], a);
	return true;
}

/* The tables of an arena up to `types`. */
static bool table_ready(rt_mheap *h, rt_arena *a)
{
	size_t head = offsetof(rt_arena, types);

	return rt_sys_map(&h->mem, a, tables_stride()) &&
	       rt_sys_used(&h->mem, a, head, RT_MEM_META);
}

/* Whether neighbouring reservations may be used as one. Windows commits memory by reservation. */
static bool joins(void)
{
	return be_arena_query()->lazy_commit;
}

static bool add_arenas(rt_mheap *h, rt_reservation *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		rt_arena *a = table_of(r, i);

		if (!table_ready(h, a))
			return false;
		a->base = (char *)r->base + i * RT_ARENA_BYTES;
		if (!rt_pageheap_add_arena(&h->pages, a, i > 0 || joins()) || !map_entry(h, a))
			return false;
	}
	return true;
}

static void *reserve_heap(rt_mheap *h, size_t size)
{
	size_t most = be_arena_query()->max_reserve;

	if (most < RESERVE_ALWAYS)
		most = RESERVE_ALWAYS;
	if (size > most)
		return NULL; /* an emulator would try, and pay for each GiB */
	return h->hint != NULL ? rt_sys_reserve(&h->mem, h->hint, size, RT_ARENA_BYTES)
	                       : reserve_first(h, size);
}

/* n arenas and their tables: both or none. */
static bool reserve_both(rt_mheap *h, size_t n, void **base, rt_arena **tables)
{
	size_t size = n * RT_ARENA_BYTES;

	*base = reserve_heap(h, size);
	if (*base == NULL)
		return false;
	*tables = NULL;
	if ((uintptr_t)*base + size <= (uintptr_t)1 << 48)
		*tables = rt_sys_reserve(&h->mem, NULL, n * tables_stride(),
		                         be_arena_query()->page);
	if (*tables == NULL)
		rt_sys_free(&h->mem, *base, size, 0, RT_MEM_HEAP);
	return *tables != NULL;
}

/* An arena that was half added has a number and perhaps an entry in the map, but no page of it
 * is ever given out. Its reservation stays until the end. */
static bool reserve_locked(rt_mheap *h, size_t chunks)
{
	size_t n = (chunks + RT_ARENA_CHUNKS - 1) / RT_ARENA_CHUNKS, first;
	rt_reservation *r = rt_fixalloc_get(&h->records);
	rt_arena *tables;
	void *base;

	if (r == NULL)
		return false;
	if (!reserve_both(h, n, &base, &tables)) {
		rt_fixalloc_put(&h->records, r);
		return false;
	}
	*r = (rt_reservation){.next = h->reservations,
	                      .base = base,
	                      .size = n * RT_ARENA_BYTES,
	                      .arenas = tables,
	                      .tables = n * tables_stride(),
	                      .n = (uint32_t)n};
	h->reservations = r;
	if (!add_arenas(h, r))
		return false;
	h->hint = (char *)base + r->size;
	first = (size_t)tables->ordinal * RT_ARENA_CHUNKS;
	if (first != h->endchunk)
		h->nextchunk = first;
	h->endchunk = first + n * RT_ARENA_CHUNKS;
	return true;
}

static bool prepare_chunk_locked(rt_mheap *h, size_t chunk)
{
	rt_arena *a = h->pages.arenas[chunk / RT_ARENA_CHUNKS];

	if (!rt_sys_map(&h->mem, a->base + chunk % RT_ARENA_CHUNKS * RT_CHUNK_BYTES, RT_CHUNK_BYTES))
		return false;
	rt_pageheap_add_chunk(&h->pages, chunk);
	rt_add64_full(&h->released, RT_CHUNK_BYTES);
	return true;
}

static bool prepare_locked(rt_mheap *h, size_t n)
{
	for (; n > 0; n--) {
		if (!prepare_chunk_locked(h, h->nextchunk))
			return false;
		h->nextchunk++;
	}
	return true;
}

/* Until npages lie side by side. What is left of the newest reservation is used first, even if
 * it is not enough: the next one will often continue it. */
static bool grow_locked(rt_mheap *h, size_t npages)
{
	size_t need = (npages + RT_CHUNK_PAGES - 1) / RT_CHUNK_PAGES;
	size_t rest = h->endchunk - h->nextchunk, end = h->endchunk;

	if (rest >= need)
		return prepare_locked(h, need);
	if (!prepare_locked(h, rest) || !reserve_locked(h, joins() ? need - rest : need))
		return false;
	if (h->nextchunk == end)
		return prepare_locked(h, need - rest);
	/* It lies elsewhere and must hold all. */
	if (h->endchunk - h->nextchunk < need && !reserve_locked(h, need))
		return false;
	return prepare_locked(h, need);
}

/* ---- Pages ---------------------------------------------------------------------------------- */

/* By who allocates, which pays for it. */
static RT_NOINLINE void scavenge_now(rt_mheap *h, size_t bytes, bool force)
{
	int64_t since = be_nanotime();
	size_t gone = rt_scavenge(h, bytes, force);

	rt_add64_full(&h->scav.eager, gone);
	rt_add64_full(&h->scav.assist_ns, (uint64_t)(be_nanotime() - since));
	rt_scav_tell(h, gone);
}

/* What is behind a goal after the heap has grown goes back elsewhere. */
static void scavenge_after_growth(rt_mheap *h, size_t grown)
{
	uint64_t goal = rt_load64_rlx(&h->scav.percent_goal);
	uint64_t held = rt_load64_rlx(&h->inuse) + rt_load64_rlx(&h->free) + grown;

	if (held > goal)
		scavenge_now(h, held - goal < grown ? held - goal : grown, false);
}

/* An allocation gives back what it takes and so much more, though the heap may be far beyond the limit, where it comes
 * while collecting is limited: to give all that back at once kept stops of the world waiting for up to 40 ms. */
#define BEYOND ((size_t)256 << 10)

static void scavenge_for_limit(rt_mheap *h, size_t more)
{
	uint64_t limit = rt_load64_rlx(&h->limit), total = rt_load64_rlx(&h->mem.total) + more;

	if (RT_UNLIKELY(total > limit) && !rt_load32_rlx(&h->limiting))
		scavenge_now(h, total - limit < more + BEYOND ? total - limit : more + BEYOND, true);
}

static size_t pages_locked(rt_mheap *h, size_t npages, size_t *scav, bool *grew)
{
	size_t page = rt_pageheap_alloc(&h->pages, npages, scav);

	if (page != RT_NOPAGE)
		return page;
	*grew = grow_locked(h, npages);
	return *grew ? rt_pageheap_alloc(&h->pages, npages, scav) : RT_NOPAGE;
}

static bool fill_cache(rt_mheap *h, rt_pagecache *c)
{
	bool ok;

	rt_lock(&h->lock, RT_RANK_mheap);
	rt_pagecache_flush(&h->pages, c); /* what is left has no run that is long enough */
	ok = rt_pagecache_fill(&h->pages, c);
	if (!ok && grow_locked(h, 1))
		ok = rt_pagecache_fill(&h->pages, c);
	rt_unlock(&h->lock, RT_RANK_mheap);
	return ok;
}

/* npages, of which *scav are not Ready yet; their address, or NULL. */
static char *take_pages(rt_mheap *h, rt_mcache *mc, size_t npages, size_t *scav)
{
	bool grew = false;
	size_t page = RT_NOPAGE;
	char *p = NULL;

	if (mc != NULL && npages < RT_PAGECACHE_MAX) {
		rt_pagecache *c = &mc->pages;

		page = rt_pagecache_alloc(c, npages, scav);
		if (page == RT_NOPAGE && c->free == 0 && fill_cache(h, c))
			page = rt_pagecache_alloc(c, npages, scav);
		if (page != RT_NOPAGE)
			return c->base + ((page - c->first) << RT_PAGE_SHIFT);
	}
	rt_lock(&h->lock, RT_RANK_mheap);
	page = pages_locked(h, npages, scav, &grew);
	if (page != RT_NOPAGE)
		p = rt_page_addr(&h->pages, page);
	rt_unlock(&h->lock, RT_RANK_mheap);
	if (p != NULL && grew)
		scavenge_after_growth(h, *scav * RT_PAGE);
	return p;
}

static void give_pages(rt_mheap *h, char *p, size_t npages)
{
	rt_arena *a = rt_arena_of(&h->map, (uintptr_t)p);

	rt_lock(&h->lock, RT_RANK_mheap);
	rt_pageheap_free(&h->pages, rt_page_number(a, p), npages);
	rt_unlock(&h->lock, RT_RANK_mheap);
}

/* The system has no memory for all of p. Some of it may be Ready: the whole range becomes
 * Prepared. */
static void unready(rt_mheap *h, char *p, size_t npages, size_t scav)
{
	rt_arena *a = rt_arena_of(&h->map, (uintptr_t)p);
	size_t page = rt_page_number(a, p), bytes = npages * RT_PAGE,
	       ready = bytes - scav * RT_PAGE;
	bool gone = be_arena_decommit(p, bytes) == 0;

	if (gone) {
		rt_add64_full(&h->mem.ready[RT_MEM_HEAP], -ready);
		rt_add64_full(&h->mem.total, -ready);
		rt_add64_full(&h->free, -ready);
		rt_add64_full(&h->released, ready);
	} else if (scav > 0) {
		rt_throw("the system neither gives memory nor takes it");
	}
	rt_lock(&h->lock, RT_RANK_mheap);
	rt_pageheap_free(&h->pages, page, npages);
	rt_pageheap_set_scavenged(&h->pages, page, npages);
	rt_unlock(&h->lock, RT_RANK_mheap);
}

/* Ready memory for a span. */
static char *get_memory(rt_mheap *h, rt_mcache *mc, size_t npages, bool *zeroed)
{
	size_t scav = 0;
	char *p = take_pages(h, mc, npages, &scav);

	if (p == NULL)
		return NULL;
	*zeroed = scav == npages;
	if (scav > 0) {
		scavenge_for_limit(h, scav * RT_PAGE);
		if (!rt_sys_used_part(&h->mem, p, npages * RT_PAGE, scav * RT_PAGE, RT_MEM_HEAP)) {
			unready(h, p, npages, scav);
			return NULL;
		}
	}
	rt_add64_full(&h->inuse, npages * RT_PAGE);
	rt_add64_full(&h->free, -((npages - scav) * RT_PAGE));
	rt_add64_full(&h->released, -(scav * RT_PAGE));
	return p;
}

static void put_memory(rt_mheap *h, char *p, size_t npages)
{
	rt_add64_full(&h->inuse, -(npages * RT_PAGE));
	rt_add64_full(&h->free, npages * RT_PAGE);
	give_pages(h, p, npages);
}

/* ---- Spans ---------------------------------------------------------------------------------- */

static rt_span *get_record(rt_mheap *h, rt_mcache *mc)
{
	unsigned got;
	rt_span *s;

	if (mc == NULL)
		return rt_spantable_get(&h->spans, 1, &got);
	if (mc->spare == NULL) {
		mc->spare = rt_spantable_get(&h->spans, RECORDS, &got);
		mc->nspare = got;
	}
	s = mc->spare;
	if (s != NULL) {
		mc->spare = s->link;
		mc->nspare--;
	}
	return s;
}

static void put_record(rt_mheap *h, rt_mcache *mc, rt_span *s)
{
	if (mc != NULL && mc->nspare < RT_SPARE_SPANS) {
		s->link = mc->spare;
		mc->spare = s;
		mc->nspare++;
		return;
	}
	s->link = NULL;
	rt_spantable_put(&h->spans, s);
}

static bool set_bits(rt_mheap *h, rt_span *s, unsigned nelems)
{
	rt_atomic64 *alloc = rt_gcbits_new(&h->bits, nelems);
	rt_atomic64 *mark = alloc != NULL ? rt_gcbits_new(&h->bits, nelems) : NULL;

	rt_storeptr_rlx(&s->allocbits, alloc);
	rt_storeptr_rlx(&s->markbits, mark);
	return mark != NULL;
}

static void set_fields(rt_mheap *h, rt_span *s, char *p, size_t npages, unsigned spc,
                       size_t elemsize)
{
	s->base = p;
	s->npages = npages;
	s->spanclass = (uint8_t)spc;
	s->elemsize = elemsize;
	s->nelems = spc >= 2 ? (uint16_t)rt_spc_nelems(spc) : 1;
	s->magic = rt_class_magic[spc >> 1];
	s->limit = p + s->nelems * elemsize;
	s->alloccount = 0;
	s->described = false;
	rt_store64_rlx(&s->mask, 0);
	rt_store32_rlx(&s->freeindex, 0);
	/* Release: who comes with an old pointer to the record and finds it swept sees what its last sweeper did. */
	rt_store32_rel(&s->sweepgen, rt_load32_rlx(&h->sweepgen));
	RT_ASSERT(rt_loadptr_rlx(&s->specials) == NULL);
}

/* Bit of the span's first page in one of an arena's bitmaps. */
static void page_bit(rt_mheap *h, const rt_span *s, rt_atomic64 **word, uint64_t *bit,
                     size_t bitmap)
{
	rt_arena *a = rt_arena_of(&h->map, (uintptr_t)s->base);
	unsigned page = rt_arena_page((uintptr_t)s->base);

	*word = (rt_atomic64 *)((char *)a + bitmap) + page / 64;
	*bit = (uint64_t)1 << (page % 64);
}

static void page_bit_set(rt_mheap *h, const rt_span *s, size_t bitmap)
{
	rt_atomic64 *word;
	uint64_t bit;

	page_bit(h, s, &word, &bit, bitmap);
	rt_or64_full(word, bit);
}

static void page_bit_clear(rt_mheap *h, const rt_span *s, size_t bitmap)
{
	rt_atomic64 *word;
	uint64_t bit;

	page_bit(h, s, &word, &bit, bitmap);
	rt_and64_full(word, ~bit);
}

void rt_span_note_specials(rt_mheap *h, rt_span *s)
{
	if (rt_loadptr_rlx(&s->specials) != NULL)
		page_bit_set(h, s, offsetof(rt_arena, specials));
	else
		page_bit_clear(h, s, offsetof(rt_arena, specials));
}

static void set_pages(rt_mheap *h, const rt_span *s, rt_span *to)
{
	char *p = s->base, *end = p + s->npages * RT_PAGE;

	while (p < end) { /* a large span may lie in several arenas */
		rt_arena *a = rt_arena_of(&h->map, (uintptr_t)p);
		char *stop = a->base + RT_ARENA_BYTES < end ? a->base + RT_ARENA_BYTES : end;

		for (; p < stop; p += RT_PAGE)
			rt_storeptr_rel(&a->spans[rt_arena_page((uintptr_t)p)], to);
	}
}

static bool make_types(rt_mheap *h, rt_arena *a, size_t i)
{
	size_t bytes = sizeof a->types / RT_ARENA_CHUNKS;
	uint32_t typed;
	bool ok;

	rt_lock(&h->lock, RT_RANK_mheap);
	typed = rt_load32_rlx(&a->typed);
	ok = typed >> i & 1 || rt_sys_used(&h->mem, (char *)a->types + i * bytes, bytes, RT_MEM_META);
	if (ok)
		rt_store32_rel(&a->typed, typed | 1u << i);
	rt_unlock(&h->lock, RT_RANK_mheap);
	return ok;
}

/* Room for the types of objects that start in [p, last]. */
static bool types_ready(rt_mheap *h, uintptr_t p, uintptr_t last)
{
	for (p &= ~(RT_CHUNK_BYTES - 1); p <= last; p += RT_CHUNK_BYTES) {
		rt_arena *a = rt_arena_of(&h->map, p);
		size_t i = (p & (RT_ARENA_BYTES - 1)) / RT_CHUNK_BYTES;

		if (!(rt_load32_acq(&a->typed) >> i & 1) && !make_types(h, a, i))
			return false;
	}
	return true;
}

/* Large objects have the class 0. */
static bool has_types(unsigned spc)
{
	return !rt_spc_noscan(spc) && !rt_spc_bitmap(spc);
}

/* With pages that it may not get otherwise, swept before. */
static char *get_swept_memory(rt_mheap *h, rt_mcache *mc, size_t npages, bool *zeroed)
{
	if (!rt_sweep_done(h))
		rt_sweep_reclaim(h, mc, npages);
	return get_memory(h, mc, npages, zeroed);
}

static void note_class(rt_mheap *h, unsigned spc)
{
	uint64_t bit = (uint64_t)1 << spc % 64;

	if (!(rt_load64_rlx(&h->classes[spc / 64]) & bit))
		rt_or64_full(&h->classes[spc / 64], bit);
}

rt_span *rt_span_alloc(rt_mheap *h, rt_mcache *mc, size_t npages, unsigned spc, size_t elemsize)
{
	bool zeroed = false;
	rt_span *s = get_record(h, mc);
	char *p;

	if (s == NULL)
		return NULL;
	p = get_swept_memory(h, mc, npages, &zeroed);
	if (p == NULL) {
		put_record(h, mc, s);
		return NULL;
	}
	set_fields(h, s, p, npages, spc, elemsize);
	s->needzero = !zeroed;
	if ((has_types(spc) && !types_ready(h, (uintptr_t)p, (uintptr_t)p + (s->nelems - 1u) * elemsize)) ||
	    !set_bits(h, s, s->nelems)) {
		put_memory(h, p, npages);
		put_record(h, mc, s);
		return NULL;
	}
	rt_span_window_init(s);
	note_class(h, spc);
	rt_add64_full(&h->pages_inuse, npages);
	/* Pairs with the acquire in rt_span_of. */
	rt_store32_rel(&s->state, RT_SPAN_INUSE);
	set_pages(h, s, s);
	page_bit_set(h, s, offsetof(rt_arena, inuse));
	RT_HEAP_TRACE(h, HEAP, SPAN_ALLOC, (uintptr_t)p, npages, spc);
	return s;
}

void rt_span_free(rt_mheap *h, rt_mcache *mc, rt_span *s)
{
	RT_ASSERT(rt_load32_rlx(&s->state) == RT_SPAN_INUSE);
	RT_ASSERT(rt_loadptr_rlx(&s->specials) == NULL && s->alloccount == 0);
	page_bit_clear(h, s, offsetof(rt_arena, inuse));
	page_bit_clear(h, s, offsetof(rt_arena, marked));
	set_pages(h, s, NULL);
	rt_store32_rel(&s->state, RT_SPAN_DEAD);
	rt_add64_full(&h->pages_inuse, -s->npages);
	RT_HEAP_TRACE(h, HEAP, SPAN_FREE, (uintptr_t)s->base, s->npages, 0); /* before others get the pages */
	put_memory(h, s->base, s->npages);
	put_record(h, mc, s);
}
