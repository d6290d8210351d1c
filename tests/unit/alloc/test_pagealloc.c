/* The page heap against a plain array of pages: first fit, what is Ready, caches, growth with
 * gaps. No memory is behind the pages here. The seed is printed; an argument sets it. */
#include "core/alloc/pagealloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENAS = 9, ORDINALS = 12, PAGES = ORDINALS * RT_ARENA_PAGES };
enum { NONE = 0, USED, READY, SCAV }; /* of a page in the model */

static uint64_t seed;

typedef struct fixture {
	rt_sysmem mem;
	rt_pagealloc pa;
	rt_arena *arenas[ARENAS];
	uint32_t narenas, nchunks; /* of the last arena */
	uint8_t *model;
	rt_rand rand;
} fixture;

static fixture *f;

static int setup(void **state)
{
	f = calloc(1, sizeof *f);
	f->model = calloc(PAGES, 1);
	rt_sysmem_init(&f->mem, NULL);
	rt_pageheap_init(&f->pa, &f->mem);
	rt_rand_seed(&f->rand, seed);
	f->nchunks = RT_ARENA_CHUNKS;
	return 0;
}

static int teardown_broken(void **state) /* the page heap is beyond a check */
{
	rt_pageheap_fini(&f->pa);
	assert_int_equal(rt_load64_rlx(&f->mem.total), 0);
	for (uint32_t i = 0; i < f->narenas; i++)
		free(f->arenas[i]);
	free(f->model);
	free(f);
	return 0;
}

static int teardown(void **state)
{
	rt_pageheap_check(&f->pa);
	return teardown_broken(state);
}

/* Arenas 3 and 6 do not touch the ones before. */
static void add_arena(void)
{
	static uintptr_t at;
	rt_arena *a = calloc(1, sizeof *a);

	if (f->narenas == 0)
		at = (uintptr_t)1 << 40;
	if (f->narenas % 3 == 0)
		at += RT_ARENA_BYTES;
	a->base = (char *)at;
	at += RT_ARENA_BYTES;
	assert_true(rt_pageheap_add_arena(&f->pa, a, true));
	assert_int_equal(a->ordinal, f->narenas + (f->narenas > 0 ? f->narenas / 3 : 0));
	f->arenas[f->narenas++] = a;
	f->nchunks = 0;
}

static bool add_chunk(void)
{
	size_t chunk;

	if (f->nchunks == RT_ARENA_CHUNKS) {
		if (f->narenas == ARENAS)
			return false;
		add_arena();
	}
	chunk = f->arenas[f->narenas - 1]->ordinal * RT_ARENA_CHUNKS + f->nchunks++;
	rt_pageheap_add_chunk(&f->pa, chunk);
	memset(f->model + chunk * RT_CHUNK_PAGES, SCAV, RT_CHUNK_PAGES);
	return true;
}

static size_t model_find(size_t n, size_t from)
{
	size_t run = 0;

	for (size_t i = from; i < PAGES; i++) {
		run = f->model[i] >= READY ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return RT_NOPAGE;
}

static size_t model_take(size_t page, size_t n)
{
	size_t scav = 0;

	for (size_t i = page; i < page + n; i++) {
		assert_true(f->model[i] >= READY);
		scav += f->model[i] == SCAV;
		f->model[i] = USED;
	}
	return scav;
}

static size_t alloc(size_t n)
{
	size_t scav = 12345, page = rt_pageheap_alloc(&f->pa, n, &scav);

	assert_int_equal(page, model_find(n, 0));
	if (page != RT_NOPAGE)
		assert_int_equal(scav, model_take(page, n));
	return page;
}

static void give(size_t page, size_t n)
{
	rt_pageheap_free(&f->pa, page, n);
	memset(f->model + page, READY, n);
}

static size_t model_longest(void)
{
	size_t run = 0, max = 0;

	for (size_t i = 0; i < PAGES; i++) {
		run = f->model[i] >= READY ? run + 1 : 0;
		max = run > max ? run : max;
	}
	return max;
}

static void test_empty(void **state)
{
	size_t scav;

	assert_int_equal(rt_pageheap_alloc(&f->pa, 1, &scav), RT_NOPAGE);
	assert_int_equal(rt_pageheap_longest(&f->pa), 0);
	add_chunk();
	assert_int_equal(rt_pageheap_longest(&f->pa), RT_CHUNK_PAGES);
	assert_int_equal(alloc(RT_CHUNK_PAGES + 1), RT_NOPAGE);
	assert_int_equal(alloc(RT_CHUNK_PAGES), 0);
	assert_int_equal(alloc(1), RT_NOPAGE);
}

static void test_runs_cross_chunks_and_arenas_but_no_gap(void **state)
{
	while (add_chunk())
		;
	assert_int_equal(rt_pageheap_longest(&f->pa), 3 * RT_ARENA_PAGES);
	assert_int_equal(alloc(3 * RT_ARENA_PAGES + 1), RT_NOPAGE);
	assert_int_equal(alloc(3 * RT_ARENA_PAGES), 0);
	assert_int_equal(alloc(2 * RT_ARENA_PAGES + 1), 4 * RT_ARENA_PAGES);
	assert_int_equal(alloc(RT_ARENA_PAGES), 8 * RT_ARENA_PAGES);
	assert_int_equal(alloc(RT_ARENA_PAGES - 1), 6 * RT_ARENA_PAGES + 1);
	give(0, 3 * RT_ARENA_PAGES);
	assert_int_equal(alloc(700), 0);
	assert_int_equal(alloc(1), 700);
}

/* Sizes as programs have them: mostly small, sometimes large. */
static size_t some_size(void)
{
	switch (rt_rand_below(&f->rand, 8)) {
	case 0:
		return 1 + rt_rand_below(&f->rand, 2000);
	case 1:
	case 2:
		return 1 + rt_rand_below(&f->rand, 130);
	default:
		return 1 + rt_rand_below(&f->rand, 10);
	}
}

static void test_random(void **state)
{
	enum { LIVE = 600, STEPS = 12000 };
	static struct {
		size_t page, n;
	} live[LIVE];

	memset(live, 0, sizeof live);
	for (int step = 0; step < STEPS; step++) {
		unsigned i = rt_rand_below(&f->rand, LIVE);

		if (live[i].n != 0) {
			give(live[i].page, live[i].n);
			live[i].n = 0;
			continue;
		}
		live[i].n = some_size();
		live[i].page = alloc(live[i].n);
		while (live[i].page == RT_NOPAGE && add_chunk())
			live[i].page = alloc(live[i].n);
		if (live[i].page == RT_NOPAGE)
			live[i].n = 0;
		if (step % 500 == 0) {
			rt_pageheap_check(&f->pa);
			assert_int_equal(rt_pageheap_longest(&f->pa), model_longest());
		}
	}
	assert_true(f->narenas > 1);
}

static void check_cache(const rt_pagecache *c)
{
	for (size_t i = 0; i < 64; i++) {
		assert_false(c->scav >> i & ~(c->free >> i) & 1);
		if (c->free >> i & 1)
			assert_int_equal(f->model[c->first + i], c->scav >> i & 1 ? SCAV : READY);
	}
	assert_ptr_equal(c->base, rt_page_addr(&f->pa, c->first));
}

/* Pages in a cache are out of the others' sight: the model has them as used. */
static void hide(const rt_pagecache *c, uint64_t which, int how)
{
	for (size_t i = 0; i < 64; i++)
		if (which >> i & 1)
			f->model[c->first + i] = how != 0           ? (uint8_t)how
			                         : c->scav >> i & 1 ? SCAV
			                                            : READY;
}

static void test_cache(void **state)
{
	enum { LIVE = 300, STEPS = 20000 };
	static struct {
		size_t page, n;
	} live[LIVE];
	rt_pagecache c = {0};

	memset(live, 0, sizeof live);
	add_chunk();
	for (int step = 0; step < STEPS; step++) {
		unsigned i = rt_rand_below(&f->rand, LIVE);
		size_t n = 1 + rt_rand_below(&f->rand, RT_PAGECACHE_MAX), scav = 0, page;

		if (live[i].n != 0) {
			give(live[i].page, live[i].n);
			live[i].n = 0;
			continue;
		}
		if (c.free == 0 && !rt_pagecache_fill(&f->pa, &c)) {
			assert_true(add_chunk());
			assert_true(rt_pagecache_fill(&f->pa, &c));
			check_cache(&c);
		} else if (rt_rand_below(&f->rand, 50) == 0) {
			hide(&c, c.free, 0);
			rt_pagecache_flush(&f->pa, &c);
			assert_true(rt_pagecache_empty(&c));
			continue;
		}
		page = rt_pagecache_alloc(&c, n, &scav);
		if (page == RT_NOPAGE) {
			for (unsigned k = 0; k + n <= 64; k++) /* indeed there is no such run */
				assert_true((~c.free >> k & (((uint64_t)1 << n) - 1)) != 0);
			hide(&c, c.free, 0);
			rt_pagecache_flush(&f->pa, &c);
			continue;
		}
		assert_int_equal(scav, model_take(page, n));
		live[i].page = page;
		live[i].n = n;
		if (step % 500 == 0)
			rt_pageheap_check(&f->pa);
	}
	hide(&c, c.free, 0);
	rt_pagecache_flush(&f->pa, &c);
	for (unsigned i = 0; i < LIVE; i++)
		if (live[i].n != 0)
			give(live[i].page, live[i].n);
	assert_int_equal(rt_pageheap_longest(&f->pa), model_longest());
}

static jmp_buf caught;
static const char *thrown;

static void hook(const char *what)
{
	thrown = what;
	longjmp(caught, 1);
}

static void test_a_page_is_freed_once(void **state)
{
	add_chunk();
	alloc(3);
	give(1, 1);
	rt_throw_hook = hook;
	thrown = NULL;
	if (setjmp(caught) == 0)
		rt_pageheap_free(&f->pa, 0, 3);
	rt_throw_hook = NULL;
	assert_string_equal(thrown, "page heap: a page was freed twice");
	f->pa.level[0][0] = (rt_sum){7, 7, 7}; /* and the check sees a wrong summary */
	rt_throw_hook = hook;
	thrown = NULL;
	if (setjmp(caught) == 0)
		rt_pageheap_check(&f->pa);
	rt_throw_hook = NULL;
	assert_non_null(thrown);
}

static void test_neighbours_that_may_not_be_joined(void **state)
{
	rt_arena *a;

	while (f->narenas < 2)
		add_chunk();
	while (f->nchunks < RT_ARENA_CHUNKS)
		add_chunk();
	a = f->arenas[2] = calloc(1, sizeof *a);
	f->narenas = 3;
	a->base = f->arenas[1]->base + RT_ARENA_BYTES;
	assert_true(rt_pageheap_add_arena(&f->pa, a, false));
	assert_int_equal(a->ordinal, 3);
	for (size_t i = 0; i < RT_ARENA_CHUNKS; i++)
		rt_pageheap_add_chunk(&f->pa, 3 * RT_ARENA_CHUNKS + i);
	assert_int_equal(rt_pageheap_longest(&f->pa), 2 * RT_ARENA_PAGES);
}

static void test_tables_without_memory(void **state)
{
	rt_debugvars d;
	rt_arena *a;

	while (f->narenas < 3 || f->nchunks < RT_ARENA_CHUNKS)
		add_chunk();
	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "oomfail=1", true), 0);
	f->mem.debug = &d;
	a = calloc(1, sizeof *a);
	a->base = (char *)((uintptr_t)1 << 41);
	assert_false(rt_pageheap_add_arena(&f->pa, a, true)); /* the tables must grow for it */
	f->mem.debug = NULL;
	rt_pageheap_check(&f->pa);
	assert_int_equal(alloc(5), 0);
	free(a);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runs_cross_chunks_and_arenas_but_no_gap, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_page_is_freed_once, setup, teardown_broken),
		cmocka_unit_test_setup_teardown(test_neighbours_that_may_not_be_joined, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(test_tables_without_memory, setup, teardown),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)be_nanotime();
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
