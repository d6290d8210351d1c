/* The heap without a collector: sizes, lookups of any word, descriptions, tiny and large
 * objects, counters, refusals. */
#include "core/alloc/malloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/arena/arena.h"
#include "backends/thread/thread.h"
#include "core/alloc/special.h"
#include "core/alloc/sweep.h"
#include "core/base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

static uint64_t seed;
static rt_mheap h;
static rt_mcache mc;
static rt_debugvars debug;

static void begin(const char *godebug)
{
	rt_debugvars_init(&debug);
	assert_int_equal(rt_debugvars_parse(&debug, godebug, true), 0);
	rt_mheap_init(&h, &debug);
	rt_mcache_init(&mc, &h);
}

static int setup(void **state)
{
	begin("");
	return 0;
}

/* Everything that is in use, free and given back is all there is. */
static void check_account(void)
{
	uint64_t mapped = 0;

	rt_lock(&h.lock, RT_RANK_mheap);
	rt_pageheap_check(&h.pages);
	for (size_t i = 0; i < (size_t)h.pages.narenas * RT_ARENA_CHUNKS; i++) {
		const rt_chunk *c = rt_pageheap_chunk(&h.pages, i);

		if (c != NULL && c->mapped)
			mapped += RT_CHUNK_BYTES;
	}
	rt_unlock(&h.lock, RT_RANK_mheap);
	assert_int_equal(rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free) +
	                         rt_load64_rlx(&h.released),
	                 mapped);
	assert_int_equal(rt_load64_rlx(&h.inuse) + rt_load64_rlx(&h.free),
	                 rt_load64_rlx(&h.mem.ready[RT_MEM_HEAP]));
	assert_int_equal(rt_load64_rlx(&h.inuse), rt_load64_rlx(&h.pages_inuse) * RT_PAGE);
}

static int teardown(void **state)
{
	rt_mcache_flush(&mc);
	check_account();
	rt_mheap_fini(&h);
	return 0;
}

static void check_object(rt_slot o, size_t size, bool zero)
{
	rt_span *s = NULL;
	uint32_t index = 0;
	char *p = o.p;

	assert_non_null(p);
	rt_span_check(o.s);
	assert_true(size <= o.s->elemsize);
	assert_int_equal((uintptr_t)p % 8, 0);
	for (size_t at = 0; at<size; at += size> 4096 ? 509 : 1) {
		assert_int_equal(rt_object_find(&h, (uintptr_t)p + at, &s, &index), (uintptr_t)p);
		assert_ptr_equal(s, o.s);
		assert_int_equal(index, o.index);
		if (zero)
			assert_int_equal(p[at], 0);
	}
	memset(p, 0x5a, size);
}

static void test_every_class(void **state)
{
	for (unsigned c = 1; c < RT_NCLASS; c++) {
		size_t size = rt_class_bytes[c];

		for (int i = 0; i < 70; i++) {
			rt_slot a = rt_malloc_noscan(&mc, size, true);

			check_object(a, size, true);
			assert_int_equal(a.s->elemsize, size);
			assert_true(rt_span_noscan(a.s));
			a = size <= RT_BITMAP_MAX
			            ? rt_malloc_bitmap(&mc, size, 1)
			            : rt_malloc_typed(&mc, size, RT_TYPE_CONSERVATIVE);
			check_object(a, size, true);
			assert_int_equal(a.s->elemsize, size);
			assert_false(rt_span_noscan(a.s));
		}
	}
}

static void test_bitmaps(void **state)
{
	enum { N = 400 };
	static struct {
		rt_slot o;
		uint64_t mask;
		unsigned words;
	} all[N];
	rt_rand r;

	rt_rand_seed(&r, seed);
	for (int i = 0; i < N; i++) {
		size_t size = 8 * (1 + rt_rand_below(&r, 64));
		uint64_t mask = (uint64_t)rt_rand_next(&r) << 32 | rt_rand_next(&r);

		if (size < 512)
			mask &= ((uint64_t)1 << size / 8) - 1;
		mask |= 1;
		all[i].o = rt_malloc_bitmap(&mc, size, mask);
		assert_non_null(all[i].o.p);
		all[i].mask = mask;
		all[i].words = (unsigned)(all[i].o.s->elemsize / 8);
		/* The bitmap lies behind the last object. */
		assert_true((char *)rt_span_heapbits(all[i].o.s) >= all[i].o.s->limit);
	}
	for (int i = 0; i < N; i++) /* none has written into another's */
		assert_int_equal(rt_heapbits_get(all[i].o.s, (uintptr_t)all[i].o.p, all[i].words),
		                 all[i].mask);
}

static uint64_t random_mask(rt_rand *r, unsigned words)
{
	uint64_t mask = (uint64_t)rt_rand_next(r) << 32 | rt_rand_next(r);

	return (words < 64 ? mask & (((uint64_t)1 << words) - 1) : mask) | 1;
}

/* Those that are meant are described, the others stay as they were; in all classes. */
static void test_fill(void **state)
{
	rt_rand r;

	rt_rand_seed(&r, seed);
	for (unsigned c = 1; rt_class_bytes[c] <= RT_BITMAP_MAX; c++) {
		rt_span *s = rt_malloc_bitmap(&mc, rt_class_bytes[c], 1).s;
		unsigned words = (unsigned)(s->elemsize / 8), first = 0;
		uint64_t was[RT_MAX_OBJECTS];

		for (unsigned i = 0; i < s->nelems; i++) {
			was[i] = random_mask(&r, words);
			rt_heapbits_set(s, (uintptr_t)rt_span_object(s, i), words, was[i]);
		}
		for (; first < s->nelems; first += 64) {
			uint64_t slots = rt_rand_below(&r, 2) ? random_mask(&r, 64) : ~(uint64_t)0;
			uint64_t mask = random_mask(&r, words);

			if (s->nelems - first < 64)
				slots &= ((uint64_t)1 << (s->nelems - first)) - 1;
			rt_heapbits_fill(s, first, slots, mask);
			for (unsigned i = 0; i < 64 && first + i < s->nelems; i++)
				if (slots >> i & 1)
					was[first + i] = mask;
		}
		for (unsigned i = 0; i < s->nelems; i++)
			assert_int_equal(rt_heapbits_get(s, (uintptr_t)rt_span_object(s, i), words), was[i]);
	}
}

/* Rows of one type, now and then another of the class. */
static void test_rows(void **state)
{
	enum { N = 300 };
	rt_rand r;

	rt_rand_seed(&r, seed);
	for (unsigned c = 1; rt_class_bytes[c] <= RT_BITMAP_MAX; c++) {
		unsigned words = rt_class_bytes[c] / 8u;
		uint64_t usual = random_mask(&r, words), other = random_mask(&r, words), mask[N];
		rt_slot o[N];

		for (int i = 0; i < N; i++) {
			mask[i] = rt_rand_below(&r, 20) != 0 ? usual : other;
			o[i] = rt_malloc_bitmap(&mc, rt_class_bytes[c], mask[i]);
		}
		for (int i = 0; i < N; i++)
			assert_int_equal(rt_heapbits_get(o[i].s, (uintptr_t)o[i].p, words), mask[i]);
	}
}

/* While all objects of a span have the same bits they stand in its record; the first other ones move them to the
 * bitmap, whose memory nobody has touched before. */
static void test_one_mask(void **state)
{
	(void)state;
	for (unsigned c = 2; rt_class_bytes[c] <= RT_BITMAP_MAX; c++) {
		unsigned words = rt_class_bytes[c] / 8u;
		uint64_t usual = 2, other = 1;
		rt_span *s = rt_span_alloc(&h, &mc, 1, c << 1, rt_class_bytes[c]);
		rt_atomic64 *bits;

		assert_non_null(s);
		assert_int_equal(rt_load64_rlx(&s->mask), 0);
		bits = rt_span_heapbits(s);
		for (unsigned i = 0; i < RT_BITMAP_BYTES / sizeof *bits; i++)
			rt_store64_rlx(&bits[i], UINT64_C(0x5a5a5a5a5a5a5a5a));
		for (unsigned i = 0; i < s->nelems / 2; i++)
			rt_heapbits_set(s, (uintptr_t)rt_span_object(s, i), words, usual);
		rt_heapbits_fill(s, 0, 1, usual);
		assert_int_equal(rt_load64_rlx(&s->mask), usual);
		assert_int_equal(rt_load64_rlx(bits), UINT64_C(0x5a5a5a5a5a5a5a5a));
		if (c % 2 != 0)
			rt_heapbits_set(s, (uintptr_t)rt_span_object(s, s->nelems - 1u), words, other);
		else
			rt_heapbits_fill(s, (s->nelems - 1u) / 64 * 64, (uint64_t)1 << (s->nelems - 1u) % 64, other);
		assert_int_equal(rt_load64_rlx(&s->mask), 0);
		for (unsigned i = 0; i < s->nelems / 2; i++)
			assert_int_equal(rt_heapbits_get(s, (uintptr_t)rt_span_object(s, i), words), usual);
		assert_int_equal(rt_heapbits_get(s, (uintptr_t)rt_span_object(s, s->nelems - 1u), words), other);
		rt_heapbits_set(s, (uintptr_t)rt_span_object(s, 0), words, usual); /* once mixed it stays so */
		assert_int_equal(rt_load64_rlx(&s->mask), 0);
		rt_span_free(&h, &mc, s);
		s = rt_span_alloc(&h, &mc, 1, c << 1, rt_class_bytes[c]);
		rt_heapbits_set(s, (uintptr_t)rt_span_object(s, 0), words, usual); /* the next use begins anew */
		assert_int_equal(rt_load64_rlx(&s->mask), usual);
		rt_span_free(&h, &mc, s);
	}
}

/* Of the records' memory only what is used counts, give or take 64 KiB; all of it is given back. */
static void test_records_are_ready_by_pieces(void **state)
{
	rt_atomic64 *ready = &h.mem.ready[RT_MEM_SPANS];
	unsigned got;

	(void)state;
	for (size_t n = 1; n <= 20000; n++) {
		assert_non_null(rt_spantable_get(&h.spans, 1, &got));
		assert_in_range(rt_load64_rlx(ready), n * sizeof(rt_span), n * sizeof(rt_span) + (64 << 10));
	}
	rt_spantable_fini(&h.spans);
	assert_int_equal(rt_load64_rlx(ready), 0);
	rt_spantable_init(&h.spans, &h.mem);
}

static void test_mask_repeat(void **state)
{
	assert_int_equal(rt_mask_repeat(1, 1, 64), UINT64_MAX);
	assert_int_equal(rt_mask_repeat(1, 2, 8), 0x55);
	assert_int_equal(rt_mask_repeat(5, 3, 7), 0x6d);
	assert_int_equal(rt_mask_repeat(0, 3, 64), 0);
	assert_int_equal(rt_mask_repeat(~(uint64_t)0, 64, 64), UINT64_MAX);
}

static void test_types_of_larger_objects(void **state)
{
	const gort_type *t = (const gort_type *)&seed; /* only compared */
	rt_slot a = rt_malloc_typed(&mc, 520, t),
		b = rt_malloc_typed(&mc, 520, RT_TYPE_CONSERVATIVE);
	rt_slot c = rt_malloc_large(&mc, 100000, false);

	assert_int_equal(a.s->elemsize, 576);
	assert_ptr_equal(rt_object_type(&h, (uintptr_t)a.p), t);
	assert_ptr_equal(rt_object_type(&h, (uintptr_t)b.p), RT_TYPE_CONSERVATIVE);
	assert_null(rt_object_type(&h, (uintptr_t)c.p));
	rt_object_set_type(&h, (uintptr_t)c.p, t);
	assert_ptr_equal(rt_object_type(&h, (uintptr_t)c.p), t);
	assert_int_equal(rt_malloc_typed(&mc, 1024, t).s->elemsize, 1024);
}

/* Room for types is Ready in the chunks that have such objects, and once. */
static void test_types_are_ready_where_they_are(void **state)
{
	enum { TYPES = RT_CHUNK_BYTES / RT_GRANULE * sizeof(rt_atomicptr) };
	const size_t chunk = RT_CHUNK_BYTES;
	uint64_t before;

	(void)state;
	assert_non_null(rt_malloc_large(&mc, 2 * chunk, true).p); /* the heap has grown */
	assert_non_null(rt_malloc_large(&mc, chunk - RT_PAGE, true).p);
	before = rt_load64_rlx(&h.mem.ready[RT_MEM_META]);
	assert_non_null(rt_span_alloc(&h, &mc, 1, 2 << 1, 16));
	assert_int_equal(rt_load64_rlx(&h.mem.ready[RT_MEM_META]), before);
	for (int i = 0; i < 3; i++) {
		rt_slot o = rt_malloc_large(&mc, 100000, false);

		rt_object_set_type(&h, (uintptr_t)o.p, RT_TYPE_CONSERVATIVE);
	}
	assert_in_range(rt_load64_rlx(&h.mem.ready[RT_MEM_META]), before + TYPES, before + 2 * TYPES);
}

static void test_tiny(void **state)
{
	char *p[1000];
	rt_memtotals t = {0};

	for (int i = 0; i < 1000; i++) {
		p[i] = rt_malloc_tiny(&mc, 1).p;
		assert_int_equal(*p[i], 0);
		*p[i] = 1;
		if (i % 16 != 0)
			assert_ptr_equal(p[i], p[i - 1] + 1);
	}
	rt_mcache_count(&mc);
	rt_memtotals_add(&t, &mc.count);
	assert_int_equal(rt_memtotals_mallocs(&t), 1000);
	assert_int_equal(rt_memtotals_allocated(&t), 1008);
	/* Alignment by size. */
	rt_malloc_tiny(&mc, 1);
	assert_int_equal((uintptr_t)rt_malloc_tiny(&mc, 2).p % 2, 0);
	rt_malloc_tiny(&mc, 1);
	assert_int_equal((uintptr_t)rt_malloc_tiny(&mc, 4).p % 4, 0);
	assert_int_equal((uintptr_t)rt_malloc_tiny(&mc, 12).p % 4, 0);
	assert_int_equal((uintptr_t)rt_malloc_tiny(&mc, 8).p % 8, 0);
}

static void test_large(void **state)
{
	static const size_t sizes[] = {
		RT_SMALL_MAX + 1,  40960, 1 << 20, RT_CHUNK_BYTES + 1, RT_ARENA_BYTES + 12345,
		3 * RT_ARENA_BYTES};

	for (unsigned i = 0; i < RT_NELEM(sizes); i++) {
		rt_slot o = rt_malloc_large(&mc, sizes[i], i % 2 == 0);
		rt_span *s;
		uint32_t index;

		assert_non_null(o.p);
		assert_false(o.s->needzero);
		assert_int_equal(o.s->elemsize, (sizes[i] + RT_PAGE - 1) / RT_PAGE * RT_PAGE);
		assert_int_equal(rt_span_noscan(o.s), i % 2 == 0);
		for (size_t at = 0; at < sizes[i]; at += 4099) {
			assert_int_equal(rt_object_find(&h, (uintptr_t)o.p + at, &s, &index),
			                 (uintptr_t)o.p);
			assert_int_equal(index, 0);
			if (at % 7 == 0)
				assert_int_equal(o.p[at], 0);
		}
		o.p[0] = o.p[sizes[i] - 1] = 1;
		rt_span_check(o.s);
	}
	assert_null(rt_malloc_large(&mc, (size_t)1 << 48, true).p);
	assert_null(rt_malloc_large(&mc, SIZE_MAX, true).p);
	assert_int_equal(rt_roundup_size(32769), 40960);
	assert_int_equal(rt_roundup_size(513), 576);
}

/* Any word may be asked for. */
static void test_wild_words(void **state)
{
	rt_slot o = rt_malloc_noscan(&mc, 48, true);
	uintptr_t base = (uintptr_t)o.p & ~(uintptr_t)(RT_ARENA_BYTES - 1);
	rt_span *s;
	uint32_t index;
	rt_rand r;

	rt_rand_seed(&r, seed);
	for (int i = 0; i < 1000000; i++) {
		uintptr_t w = (uintptr_t)rt_rand_next(&r) << 32 | rt_rand_next(&r);

		w >>= rt_rand_below(&r, 64);
		if (rt_rand_below(&r, 2))
			w = base + w % (4 * RT_ARENA_BYTES);
		if (w >= (uintptr_t)o.p && w < (uintptr_t)o.p + 48)
			continue;
		assert_int_equal(rt_object_find(&h, w, &s, &index), 0);
	}
	assert_null(rt_span_of(&h, 0));
	assert_null(rt_span_of(&h, UINTPTR_MAX));
	assert_null(rt_span_of(&h, (uintptr_t)&o));
	/* The tail of the span, and its free slots, are no objects. */
	assert_null(rt_span_of(&h, (uintptr_t)o.s->base + RT_PAGE - 1));
	assert_int_equal(rt_object_find(&h, (uintptr_t)o.p + 48, &s, &index), 0);
}

/* Taken but not published: the collector does not see it yet. */
static void test_publication(void **state)
{
	rt_slot o = rt_mcache_next(&mc, 6 << 1);
	rt_span *s;
	uint32_t index;

	assert_int_equal(rt_object_find(&h, (uintptr_t)o.p, &s, &index), 0);
	rt_span_publish(o);
	assert_int_equal(rt_object_find(&h, (uintptr_t)o.p, &s, &index), (uintptr_t)o.p);
}

static void test_objects_do_not_overlap_and_are_counted(void **state)
{
	enum { N = 20000 };
	static struct {
		unsigned char *p;
		size_t n;
	} all[N];
	uint64_t bytes = 0, live;
	rt_memtotals t = {0};
	rt_rand r;

	rt_rand_seed(&r, seed + 1);
	for (int i = 0; i < N; i++) {
		size_t n = 16 + rt_rand_below(&r, rt_rand_below(&r, 20) == 0 ? 60000 : 600);
		rt_slot o;

		if (n > RT_SMALL_MAX)
			o = rt_malloc_large(&mc, n, i & 1);
		else
			o = i & 1                ? rt_malloc_noscan(&mc, n, i & 2)
			    : n <= RT_BITMAP_MAX ? rt_malloc_bitmap(&mc, n, 1)
			                         : rt_malloc_typed(&mc, n, NULL);
		assert_non_null(o.p);
		bytes += o.s->elemsize;
		assert_int_equal(o.s->elemsize, rt_roundup_size(n));
		all[i].p = (unsigned char *)o.p;
		all[i].n = n;
		memset(o.p, i % 251, n);
	}
	for (int i = 0; i < N; i++)
		for (size_t k = 0; k<all[i].n; k += all[i].n> 1000 ? 97 : 1)
			assert_int_equal(all[i].p[k], i % 251);
	rt_mcache_count(&mc);
	rt_memtotals_add(&t, &mc.count);
	assert_int_equal(rt_memtotals_allocated(&t), bytes);
	assert_int_equal(rt_memtotals_mallocs(&t), N);
	assert_true(rt_load64_rlx(&h.live) >= bytes);
	rt_mcache_release(&mc); /* the free slots of cached spans are no longer counted as live */
	live = rt_load64_rlx(&h.live);
	assert_int_equal(live, bytes);
	check_account();
}

static void test_two_heaps(void **state)
{
	static rt_mheap h2;
	static rt_mcache mc2;
	rt_slot a, b;

	rt_mheap_init(&h2, NULL);
	rt_mcache_init(&mc2, &h2);
	a = rt_malloc_noscan(&mc, 64, true);
	b = rt_malloc_noscan(&mc2, 64, true);
	assert_ptr_equal(rt_span_of(&h, (uintptr_t)a.p), a.s);
	assert_null(rt_span_of(&h, (uintptr_t)b.p));
	assert_ptr_equal(rt_span_of(&h2, (uintptr_t)b.p), b.s);
	assert_null(rt_span_of(&h2, (uintptr_t)a.p));
	rt_mcache_flush(&mc2);
	rt_mheap_fini(&h2);
}

static void test_specials(void **state)
{
	rt_slot o = rt_malloc_noscan(&mc, 64, true), o2 = rt_malloc_noscan(&mc, 64, true);
	rt_arena *a = rt_arena_of(&h.map, (uintptr_t)o.p);
	unsigned page = rt_arena_page((uintptr_t)o.s->base);
	uintptr_t p = (uintptr_t)o.p;
	rt_special *x[4], *y;

	for (int i = 0; i < 4; i++) {
		x[i] = rt_special_new(&h);
		x[i]->kind = (uint8_t)(i / 2 + 1);
	}
	assert_true(rt_special_add(&h, o2.s, (uintptr_t)o2.p, x[0], true));
	assert_true(rt_bit_get(a->specials, page));
	assert_true(rt_special_add(&h, o.s, p, x[3], true));
	assert_true(rt_special_add(&h, o.s, p, x[1], true));
	assert_false(rt_special_add(&h, o.s, p, x[2], true));
	assert_true(rt_special_add(&h, o.s, p, x[2], false));
	y = rt_loadptr_rlx(&o.s->specials); /* by offset, then kind */
	assert_ptr_equal(y, x[1]);
	assert_ptr_equal(y->next, x[2]);
	assert_ptr_equal(y->next->next, x[3]);
	assert_ptr_equal(y->next->next->next, x[0]);
	assert_ptr_equal(rt_special_find(o.s, p, 2), x[2]);
	assert_null(rt_special_find(o.s, p, 3));
	assert_ptr_equal(rt_special_remove(&h, o.s, p, 2), x[2]);
	assert_ptr_equal(rt_special_remove(&h, o.s, p, 2), x[3]);
	assert_null(rt_special_remove(&h, o.s, p, 2));
	assert_ptr_equal(rt_special_remove(&h, o.s, p, 1), x[1]);
	assert_true(rt_bit_get(a->specials, page));
	assert_ptr_equal(rt_special_remove(&h, o2.s, (uintptr_t)o2.p, 1), x[0]);
	assert_false(rt_bit_get(a->specials, page));
	for (int i = 0; i < 4; i++)
		rt_special_free(&h, x[i]);
}

/* ---- Refusals ------------------------------------------------------------------------------- */

/* The n-th request for memory is refused: exactly one allocation fails, or none since enough was
 * there, and everything goes on. */
static bool survive(const char *how, int n)
{
	char text[64];
	int failed = 0;

	snprintf(text, sizeof text, "%s%d", how, n);
	begin(text);
	for (int i = 0; i < 3000; i++) {
		size_t size = (size_t)(i * 37 % 700 + 16);
		rt_slot o = i % 500 == 499 ? rt_malloc_large(&mc, (size_t)7 << 20, true)
		            : i & 1        ? rt_malloc_noscan(&mc, size, true)
		            : size <= RT_BITMAP_MAX
		                    ? rt_malloc_bitmap(&mc, size, 1)
		                    : rt_malloc_typed(&mc, size, RT_TYPE_CONSERVATIVE);

		if (o.p == NULL)
			failed++;
		else
			memset(o.p, 1, o.s->elemsize < 4096 ? o.s->elemsize : 4096);
	}
	assert_true(failed <= 1);
	rt_mcache_flush(&mc);
	check_account();
	rt_mheap_fini(&h);
	return failed == 1;
}

static void test_refused_memory(void **state)
{
	int n = 1, failures = 0;

	while (n < 60)
		failures += survive("oomfail=", n++);
	assert_true(failures > 5);
	for (n = 1; n < 10; n++)
		survive("syscallfail=reserve:", n);
	for (n = 1; n < 40; n++)
		survive("syscallfail=commit:", n);
}

static void test_nothing_is_left(void **state)
{
	for (int i = 0; i < 20; i++) {
		begin("");
		for (int k = 0; k < 2000; k++)
			assert_non_null(rt_malloc_noscan(&mc, 4096, true).p);
		rt_mheap_fini(&h); /* without a flush */
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_class, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bitmaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_mask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records_are_ready_by_pieces, setup, teardown),
		cmocka_unit_test(test_mask_repeat),
		cmocka_unit_test_setup_teardown(test_types_of_larger_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types_are_ready_where_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tiny, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wild_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_publication, setup, teardown),
		cmocka_unit_test_setup_teardown(test_objects_do_not_overlap_and_are_counted, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(test_two_heaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_specials, setup, teardown),
		cmocka_unit_test(test_refused_memory),
		cmocka_unit_test(test_nothing_is_left),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)be_nanotime();
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
