/* Stack slots: bounds, guards, colors, size classes, caches, refusals, pages that go back. */
#include "core/stack/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/arena/arena.h"
#include "backends/fault/fault.h"
#include "backends/thread/thread.h"
#include "core/base/rand.h"
#include "core/base/region.h"
#include "tests/support/readable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 64 << 10 };

static rt_stackpool *pool_new(size_t slot, rt_debugvars *d)
{
	rt_stackpool *sp = NULL;

	assert_int_equal(rt_stackpool_new(&sp, slot, d), 0);
	return sp;
}

static rt_stackstats stats(rt_stackpool *sp)
{
	rt_stackstats st;

	rt_stackpool_stats(sp, &st);
	return st;
}

/* Below lo. */
static size_t margin(const rt_stack *s)
{
	return (size_t)(s->lo - rt_stack_base(s));
}

/* As if its thread had used all of it. */
static void grow(rt_stack *s)
{
	if (s->flags & RT_STACK_GROWS && s->limit > s->lo)
		assert_int_equal(be_arena_commit(s->lo, (size_t)(s->limit - s->lo)), 0);
	s->limit = s->lo;
}

static void test_bounds(void **state)
{
	const be_arena_caps *a = be_arena_query();
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stack *s = rt_stack_get(sp, NULL, 0);

	assert_non_null(s);
	assert_true(s->size >= SLOT);
	assert_int_equal(margin(s), a->page + (a->stacks_grow ? be_fault_stack_room : 0));
	assert_true((size_t)(s->hi - s->lo) > SLOT - a->page - 1024);
	assert_true(s->hi <= rt_stack_base(s) + s->size);
	assert_true(s->hi > rt_stack_base(s) + s->size - 1024);
	assert_int_equal((uintptr_t)s->hi % 64, 0);
	grow(s);
	memset(s->lo, 1, (size_t)(s->hi - s->lo));
	rt_stack_put(sp, NULL, s);
	rt_stackpool_free(sp);
}

static void test_small_slots_are_rounded_up(void **state)
{
	static const size_t asked[] = {0, 1, 4096, 16 << 10, 20000};
	size_t page = be_arena_query()->page;

	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		rt_stackpool *sp = pool_new(asked[i], NULL);
		rt_stack *s = rt_stack_get(sp, NULL, 0);

		assert_non_null(s);
		assert_true(s->size >= 16 << 10 && s->size >= asked[i] && s->size % page == 0);
		assert_true(s->size < asked[i] + (16 << 10) + page + margin(s));
		rt_stack_put(sp, NULL, s);
		rt_stackpool_free(sp);
	}
}

static void test_guard(void **state)
{
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stack *s[3];

	for (int i = 0; i < 3; i++)
		s[i] = rt_stack_get(sp, NULL, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal((s[i]->flags & RT_STACK_GUARDED) != 0,
		                 be_arena_query()->guard_max > 0);
		grow(s[i]);
		assert_true(readable(s[i]->lo) && readable(s[i]->hi - 1));
		if (s[i]->flags & RT_STACK_GUARDED) {
			assert_false(readable(s[i]->lo - 1));
			assert_false(readable(rt_stack_base(s[i])));
			assert_true(rt_stack_overflowed(s[i], (uintptr_t)s[i]->lo - 1));
			assert_true(rt_stack_overflowed(s[i], (uintptr_t)rt_stack_base(s[i])));
		}
		assert_false(rt_stack_overflowed(s[i], (uintptr_t)s[i]->lo));
		assert_false(rt_stack_overflowed(s[i], (uintptr_t)rt_stack_base(s[i]) - 1));
		assert_false(rt_stack_overflowed(s[i], 0));
		rt_stack_put(sp, NULL, s[i]);
	}
	rt_stackpool_free(sp);
}

static void test_guards_switched_off(void **state)
{
	rt_debugvars d;
	rt_stackpool *sp;
	rt_stack *s;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "stackguard=0", true), 0);
	sp = pool_new(SLOT, &d);
	s = rt_stack_get(sp, NULL, 0);
	assert_false(s->flags & RT_STACK_GUARDED);
	assert_false(rt_stack_overflowed(s, (uintptr_t)s->lo - 1));
	assert_true(stats(sp).unguarded >= 1);
	rt_stack_put(sp, NULL, s);
	rt_stackpool_free(sp);
}

static void test_refused_guard_is_flagged(void **state)
{
	rt_debugvars d;
	rt_stackpool *sp;
	rt_stack *s;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "syscallfail=guard:1", true), 0);
	sp = pool_new(SLOT, &d);
	s = rt_stack_get(sp, NULL, 0);
	assert_non_null(s);
	assert_false(s->flags & RT_STACK_GUARDED);
	assert_int_equal(stats(sp).unguarded, 1);
	rt_stack_put(sp, NULL, s);
	rt_stackpool_free(sp);
}

/* A stack that grows has a part of its memory; one that overflowed has lost its guard and starts again. */
static void test_growth(void **state)
{
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stack *s = rt_stack_get(sp, NULL, 0);
	char *limit = s->limit;

	assert_int_equal((s->flags & RT_STACK_GROWS) != 0, be_arena_query()->stacks_grow);
	if (!(s->flags & RT_STACK_GROWS)) {
		assert_ptr_equal(limit, s->lo);
	} else {
		assert_true(limit > s->lo && limit < s->hi);
		assert_true(readable(limit) && readable(s->hi - 1));
		assert_false(readable(limit - 1));
		*limit = 1;
		s->limit = s->lo - 1;
	}
	rt_stack_put(sp, NULL, s);
	assert_ptr_equal(rt_stack_get(sp, NULL, 0), s);
	assert_ptr_equal(s->limit, limit);
	if (s->flags & RT_STACK_GROWS) {
		assert_int_equal(*limit, 0);
		assert_false(readable(limit - 1));
	}
	rt_stack_put(sp, NULL, s);
	rt_stackpool_free(sp);
}

/* Sixteen neighbours start at sixteen different cache lines of their slots. */
static void test_colors(void **state)
{
	rt_stackpool *sp = pool_new(SLOT, NULL);
	unsigned seen = 0;
	rt_stack *s[16];

	for (int i = 0; i < 16; i++) {
		s[i] = rt_stack_get(sp, NULL, 0);
		seen |= 1u << (size_t)(rt_stack_base(s[i]) + s[i]->size - s[i]->hi) / 64;
	}
	assert_int_equal(seen, 0xffff);
	for (int i = 0; i < 16; i++)
		rt_stack_put(sp, NULL, s[i]);
	rt_stackpool_free(sp);
}

static void test_last_out_first_in(void **state)
{
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stackcache c = {0};
	rt_stack *a, *b;

	a = rt_stack_get(sp, &c, 0);
	b = rt_stack_get(sp, &c, 0);
	rt_stack_put(sp, &c, a);
	rt_stack_put(sp, &c, b);
	assert_ptr_equal(rt_stack_get(sp, &c, 0), b);
	assert_ptr_equal(rt_stack_get(sp, &c, 0), a);
	rt_stack_put(sp, &c, a);
	rt_stack_put(sp, &c, b);
	rt_stackcache_flush(sp, &c);
	assert_int_equal(stats(sp).inuse, 0);
	assert_ptr_equal(rt_stack_get(sp, NULL, 0), a); /* the pool, too: flushed from the oldest kept */
	rt_stack_put(sp, NULL, a);
	rt_stackpool_free(sp);
}

static void test_cache_stays_bounded(void **state)
{
	enum { N = 1000 };
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stackcache c = {0};
	static rt_stack *s[N];

	for (int i = 0; i < N; i++) {
		s[i] = rt_stack_get(sp, &c, SLOT);
		assert_non_null(s[i]);
		assert_in_range(c.n, 0, RT_STACKCACHE_MAX);
	}
	for (int i = 0; i < N; i++) {
		rt_stack_put(sp, &c, s[i]);
		assert_in_range(c.n, 1, RT_STACKCACHE_MAX);
	}
	assert_int_equal(stats(sp).inuse, c.n);
	rt_stackcache_flush(sp, &c);
	rt_stackcache_flush(sp, &c);
	assert_int_equal(stats(sp).inuse, 0);
	assert_true(stats(sp).cached >= N);
	rt_stackpool_free(sp);
}

static void test_other_sizes(void **state)
{
	static const size_t sizes[] = {1, 16 << 10, 17000, 128 << 10, 1 << 20, (1 << 20) + 1};
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stackcache c = {0};
	rt_stack *s[6];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 6; i++) {
			s[i] = rt_stack_get(sp, &c, sizes[i]);
			assert_non_null(s[i]);
			assert_true(s[i]->size >= sizes[i]);
			assert_true((size_t)(s[i]->hi - s[i]->lo) >
			            s[i]->size - margin(s[i]) - 1024);
			grow(s[i]);
			memset(s[i]->lo, i, (size_t)(s[i]->hi - s[i]->lo));
		}
		for (int i = 0; i < 6; i++) {
			assert_int_equal(s[i]->lo[0], i);
			assert_int_equal(s[i]->hi[-1], i);
			rt_stack_put(sp, &c, s[i]);
		}
	}
	assert_int_equal(c.n, 0); /* caches hold the pool's own size only */
	assert_int_equal(stats(sp).inuse, 0);
	rt_stackpool_free(sp);
}

static void test_impossible_sizes(void **state)
{
	rt_stackpool *sp = pool_new(SLOT, NULL), *none = NULL;

	assert_null(rt_stack_get(sp, NULL, SIZE_MAX));
	assert_null(rt_stack_get(sp, NULL, SIZE_MAX / 2));
	assert_null(rt_stack_get(sp, NULL, (size_t)1 << 60));
	assert_int_equal(rt_stackpool_new(&none, SIZE_MAX, NULL), -ENOMEM);
	assert_int_equal(rt_stackpool_new(&none, be_arena_query()->max_reserve + 1, NULL), -ENOMEM);
	assert_null(none);
	rt_stackpool_free(sp);
}

/* Larger than what a class reserves for many: its guard and its ends lie in a reservation of its own. */
static void check_alone(rt_stackpool *sp, size_t size)
{
	for (int i = 1; i <= 2; i++) {
		rt_stack *s = rt_stack_get(sp, NULL, size);

		assert_non_null(s);
		assert_true(s->size >= size);
		assert_true(stats(sp).reserved >= s->size * (size_t)i);
		assert_true(stats(sp).inuse_bytes == s->size * (size_t)i);
		grow(s);
		s->lo[0] = s->hi[-1] = 1;
	}
}

static void test_huge_slots(void **state)
{
	size_t most = be_arena_query()->max_reserve, other = ((size_t)256 << 20) + 1, own = ((size_t)64 << 30) + 1;
	rt_stackpool *sp = pool_new(SLOT, NULL);

	if (other <= most / 2) /* a power of two below what the system bears */
		check_alone(sp, other);
	rt_stackpool_free(sp);
	if (own > most || !be_arena_query()->lazy_commit)
		return;
	sp = pool_new(own, NULL);
	check_alone(sp, 0);
	rt_stackpool_free(sp);
}

/* Fill more than one reservation. The smaller the arena's limit, the more often. */
static void test_further_reservations(void **state)
{
	size_t size = (size_t)32 << 20, n = 0;
	rt_stackpool *sp = pool_new(SLOT, NULL);
	rt_stack *list = NULL;
	size_t first = 0;

	for (; n < 40; n++) {
		rt_stack *s = rt_stack_get(sp, NULL, size);

		assert_non_null(s);
		s->hi[-1] = 1;
		s->next = list;
		list = s;
		if (n == 0)
			first = stats(sp).reserved;
	}
	assert_true(stats(sp).reserved > first);
	while (list != NULL) {
		rt_stack *s = list;

		list = s->next;
		rt_stack_put(sp, NULL, s);
	}
	rt_stackpool_free(sp);
}

/* Each request for memory of the system is refused once: the pool stays whole and goes on. */
static void test_every_refusal(void **state)
{
	static const char *const kinds[] = {"oomfail=%", "syscallfail=reserve:%", "syscallfail=commit:%"};

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		for (char nth = '1'; nth <= '9'; nth++) {
			rt_stackpool *sp = NULL;
			rt_stackcache c = {0};
			rt_debugvars d;
			char text[40];
			rt_stack *s;

			strcpy(text, kinds[k]);
			*strchr(text, '%') = nth;
			rt_debugvars_init(&d);
			assert_int_equal(rt_debugvars_parse(&d, text, true), 0);
			if (rt_stackpool_new(&sp, SLOT, &d) != 0)
				continue;
			for (int i = 0; i < 3; i++) {
				s = rt_stack_get(sp, &c, 0);
				if (s == NULL)
					s = rt_stack_get(sp, &c, 0);
				assert_non_null(s);
				s->hi[-1] = 1;
				rt_stack_put(sp, &c, s);
				s = rt_stack_get(sp, &c, 2 * SLOT);
				if (s == NULL)
					s = rt_stack_get(sp, &c, 2 * SLOT);
				assert_non_null(s);
				s->hi[-1] = 1;
				rt_stack_put(sp, &c, s);
			}
			rt_stackcache_flush(sp, &c);
			rt_stackpool_free(sp);
		}
}

/* All slots are zero and have their guards, but for the one (from 1) whose guard is refused; they are left dirty. */
static void use_a_pool(const char *vars, int refused)
{
	enum { N = 70 }; /* 4.4 MiB: committed in two steps */
	rt_debugvars d;
	rt_stackpool *sp;
	rt_stack *s[N];
	bool guards = be_arena_query()->guard_max > 0;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, vars, true), 0);
	sp = pool_new(SLOT, &d);
	for (int i = 0; i < N; i++) {
		s[i] = rt_stack_get(sp, NULL, 0);
		assert_non_null(s[i]);
		grow(s[i]);
		assert_int_equal((s[i]->flags & RT_STACK_GUARDED) != 0, guards && d.stackguard && i + 1 != refused);
		if (s[i]->flags & RT_STACK_GUARDED)
			assert_false(readable(rt_stack_base(s[i])));
		else if (!d.stackguard && be_arena_query()->lazy_commit)
			assert_true(readable(rt_stack_base(s[i])));
		for (const char *p = s[i]->lo; p < s[i]->hi; p += 512)
			assert_int_equal(*p, 0);
		memset(s[i]->lo, 1, (size_t)(s[i]->hi - s[i]->lo));
	}
	for (int i = 0; i < N; i++)
		rt_stack_put(sp, NULL, s[i]);
	assert_int_equal(stats(sp).unguarded, guards && d.stackguard ? refused > 0 : N);
	rt_stackpool_free(sp);
}

/* Pools that follow each other find what the last one has committed and guarded: core/base/region.h. */
static void test_pools_in_a_row(void **state)
{
	(void)state;
	rt_regions_keep();
	use_a_pool("syscallfail=guard:3", 3);
	use_a_pool("", 0);
	use_a_pool("", 0);
	use_a_pool("stackguard=0", 0);
	use_a_pool("", 0);
	use_a_pool("syscallfail=guard:3", 3);
	use_a_pool("", 0);
	rt_regions_drop();
}

enum { MANY = 300 }; /* committed in three steps */

/* How many stacks until the system refuses to commit; MANY: never. */
static int until_refused(const char *vars)
{
	rt_debugvars d;
	rt_stackpool *sp;
	rt_stack *s[MANY];
	int n = 0;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, vars, true), 0);
	sp = pool_new(SLOT, &d);
	while (n < MANY && (s[n] = rt_stack_get(sp, NULL, 0)) != NULL)
		n++;
	for (int i = 0; i < n; i++)
		rt_stack_put(sp, NULL, s[i]);
	rt_stackpool_free(sp);
	return n;
}

/* What is there already is refused as if it were new: else a failure that exploring has found could not be replayed. */
static void test_refusals_in_a_row(void **state)
{
	char vars[40];
	int expect, some = 0;

	(void)state;
	for (int k = 1; k < 6; k++) {
		snprintf(vars, sizeof vars, "syscallfail=commit:%d", k);
		expect = until_refused(vars);
		some += expect > 0 && expect < MANY;
		rt_regions_keep();
		for (int i = 0; i < 3; i++)
			assert_int_equal(until_refused(vars), expect);
		until_refused("");
		assert_int_equal(until_refused(vars), expect);
		rt_regions_drop();
	}
	assert_true(some > 0 || !be_arena_query()->lazy_commit);
}

/* Whether cold slots must read as zero: not with an arena that cannot give pages back. */
static bool pages_can_go(void)
{
	size_t unit = be_arena_query()->granularity;
	char *p = be_arena_reserve(NULL, unit, unit);
	bool can;

	assert_non_null(p);
	assert_int_equal(be_arena_commit(p, unit), 0);
	can = be_arena_discard(p, unit) == 0;
	be_arena_release(p, unit);
	return can;
}

/* A burst: afterwards most of its pages are gone, guards and slots are not. */
static void test_pages_go_back(void **state)
{
	enum { N = 6000 };
	rt_stack **s = calloc(N, sizeof *s);
	rt_stackpool *sp = pool_new(SLOT, NULL);
	size_t zeroes = 0, hot;

	for (int i = 0; i < N; i++) {
		s[i] = rt_stack_get(sp, NULL, 0);
		assert_non_null(s[i]);
		grow(s[i]);
		s[i]->hi[-1] = 1;
		s[i]->lo[0] = 1;
	}
	for (int i = 0; i < N; i++)
		rt_stack_put(sp, NULL, s[(i * 7919) % N]); /* scattered */
	assert_int_equal(stats(sp).hot, N);
	rt_stackpool_tick(sp); /* they were needed since the last one */
	assert_int_equal(stats(sp).hot, N);
	assert_true(rt_stackpool_idle(sp));
	rt_stackpool_tick(sp);
	hot = stats(sp).hot;
	assert_in_range(hot, 1024, 1024 + 128);
	assert_false(rt_stackpool_idle(sp));
	assert_int_equal(stats(sp).cached, N);
	assert_int_equal(stats(sp).inuse, 0);
	for (int i = 0; i < N; i++) {
		s[i] = rt_stack_get(sp, NULL, 0);
		grow(s[i]);
		assert_true(s[i]->hi[-1] == s[i]->lo[0]);
		zeroes += s[i]->hi[-1] == 0;
		if (s[i]->flags & RT_STACK_GUARDED && i % 100 == 0)
			assert_false(readable(s[i]->lo - 1));
		s[i]->hi[-1] = 2;
	}
	assert_int_equal(zeroes, pages_can_go() ? N - hot : 0);
	assert_int_equal(stats(sp).cached, 0);
	for (int i = 0; i < N; i++)
		rt_stack_put(sp, NULL, s[i]);
	rt_stackpool_free(sp);
	free(s);
}

/* ---- Threads, each with a cache as a P has: a slot that two own at once would lose its mark ---- */

static rt_stackpool *shared;
static rt_atomic32 started;

enum { WORKERS = 4 };

struct worker {
	be_thread thread;
	int number;
	bool fine;
};

static void juggle(void *arg)
{
	enum { MINE = 400 };
	struct worker *w = arg;
	rt_stack *mine[MINE] = {NULL};
	rt_stackcache c = {0};
	rt_rand r;

	w->fine = true;
	rt_rand_seed(&r, (uint64_t)w->number);
	rt_add32_full(&started, 1);
	while (rt_load32_acq(&started) < WORKERS)
		be_thread_yield();
	for (int i = 0; i < 100000; i++) {
		rt_stack **at = &mine[rt_rand_below(&r, MINE)];

		if (*at == NULL) {
			*at = rt_stack_get(shared, &c, rt_rand_below(&r, 16) == 0 ? 2 * SLOT : 0);
			(*at)->hi[-1] = (char)w->number;
		} else {
			w->fine = w->fine && (*at)->hi[-1] == w->number;
			rt_stack_put(shared, &c, *at);
			*at = NULL;
		}
	}
	for (int i = 0; i < MINE; i++)
		if (mine[i] != NULL)
			rt_stack_put(shared, &c, mine[i]);
	rt_stackcache_flush(shared, &c);
}

static void test_threads(void **state)
{
	struct worker w[WORKERS];

	shared = pool_new(SLOT, NULL);
	for (int i = 0; i < WORKERS; i++) {
		w[i].number = i + 1;
		assert_int_equal(be_thread_start(&w[i].thread, juggle, &w[i], 0), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		be_thread_join(&w[i].thread);
		assert_true(w[i].fine);
	}
	assert_int_equal(stats(shared).inuse, 0);
	rt_stackpool_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_small_slots_are_rounded_up),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guards_switched_off),
		cmocka_unit_test(test_refused_guard_is_flagged),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_colors),
		cmocka_unit_test(test_last_out_first_in),
		cmocka_unit_test(test_cache_stays_bounded),
		cmocka_unit_test(test_other_sizes),
		cmocka_unit_test(test_impossible_sizes),
		cmocka_unit_test(test_huge_slots),
		cmocka_unit_test(test_further_reservations),
		cmocka_unit_test(test_every_refusal),
		cmocka_unit_test(test_pools_in_a_row),
		cmocka_unit_test(test_refusals_in_a_row),
		cmocka_unit_test(test_pages_go_back),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
