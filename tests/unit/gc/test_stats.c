/* gort_mem_stats: exact where Go's are. Sums that must hold at any time, and what single allocations change. */
#include "core/gc/gc_impl.h"
#include "tests/support/goroutines.h"

#include <stdlib.h>
#include <string.h>

enum { N = 1000 };

typedef struct three { /* 24 bytes: a class of its own */
	void *a;
	uint64_t b, c;
} three;
GORT_DEFINE_TYPE(three, GORT_PTR(three, a));

static const char *const collectors[] = { "none", "stw", "concurrent" };
static const char *collector;
static gort_mem_stats was, now; /* too large for some stacks */
static gort_runtime *runtime;

static void read_stats(gort_mem_stats *s)
{
	uint64_t small = 0;

	gort_mem_stats_read(runtime, s);
	CHECK(s->alloc == s->heap_alloc && s->alloc <= s->total_alloc);
	CHECK(s->heap_objects == s->mallocs - s->frees);
	CHECK(s->heap_sys == s->heap_inuse + s->heap_idle && s->heap_released <= s->heap_idle);
	CHECK(s->heap_alloc <= s->heap_inuse);
	CHECK(s->stack_inuse <= s->stack_sys && s->mspan_inuse <= s->mspan_sys && s->mcache_inuse <= s->mcache_sys);
	CHECK(s->sys == s->heap_sys + s->stack_sys + s->mspan_sys + s->mcache_sys + s->buck_hash_sys + s->gc_sys +
	                        s->other_sys);
	CHECK(s->by_size[0].size == 0 && s->by_size[1].size == 8 && s->by_size[60].size > s->by_size[59].size);
	for (int i = 0; i < 61; i++) {
		CHECK(s->by_size[i].frees <= s->by_size[i].mallocs);
		small += s->by_size[i].mallocs;
	}
	CHECK(small <= s->mallocs);
}

/* Nobody runs: what is Ready is counted once, and so is what else there is. Only sysmon may be giving
 * pages back, between our two looks and piece after piece: it ends. */
static void check_sys(gort_mem_stats *s)
{
	rt_gc *gc = runtime->gc;
	int64_t end = be_nanotime() + 10 * GORT_SECOND;
	uint64_t sys;

	do {
		read_stats(s);
		sys = rt_load64_rlx(&gc->heap.mem.total) + s->heap_released + s->stack_sys + s->other_sys +
		      rt_workpool_bytes(&gc->pool);
		be_thread_yield();
	} while (s->sys != sys && be_nanotime() < end);
	CHECK(s->sys == sys);
	CHECK(s->mcache_sys >= (uint64_t)runtime->sched.nallp * sizeof(rt_gcp));
}

static int class_of(size_t size)
{
	for (int i = 1; i < 61; i++)
		if (now.by_size[i].size == size)
			return i;
	abort();
}

static void counts(void *arg)
{
	int c;

	(void)arg;
	(void)gort_new(GORT_TYPE(three)); /* the type is made by its first use, perhaps on the heap */
	read_stats(&was);
	for (int i = 0; i < N; i++)
		(void)gort_new(GORT_TYPE(three));
	read_stats(&now);
	c = class_of(24);
	CHECK(now.by_size[c].mallocs - was.by_size[c].mallocs == N);
	CHECK(now.mallocs - was.mallocs == N && now.total_alloc - was.total_alloc == N * 24);

	read_stats(&was);
	(void)gort_alloc(100000, 0); /* large: whole pages */
	read_stats(&now);
	CHECK(now.mallocs - was.mallocs == 1 && now.total_alloc - was.total_alloc == 106496);
	CHECK(memcmp(now.by_size, was.by_size, sizeof now.by_size) == 0);

	read_stats(&was);
	gort_gc();
	read_stats(&now);
	if (strcmp(collector, "none") == 0) {
		CHECK(now.num_gc == 0 && now.frees == 0 && now.last_gc == 0);
		return;
	}
	CHECK(now.num_gc == was.num_gc + 1 && now.num_forced_gc == was.num_forced_gc + 1);
	CHECK(now.by_size[c].frees - was.by_size[c].frees >= N - 50); /* some words may look like pointers */
	CHECK(now.total_alloc >= was.total_alloc && now.heap_alloc < was.heap_alloc);
	CHECK(now.pause_total_ns > was.pause_total_ns);
	CHECK(now.pause_total_ns - was.pause_total_ns == now.pause_ns[(now.num_gc - 1) % 256]);
	CHECK(now.last_gc == now.pause_end[(now.num_gc - 1) % 256]);
	CHECK(now.last_gc > 1700000000 * (uint64_t)GORT_SECOND); /* since 1970 */
	CHECK(now.next_gc >= now.heap_alloc && now.gc_cpu_fraction > 0 && now.gc_cpu_fraction <= 1);
}

static void on_each(gort_func fn)
{
	for (int i = 0; i < 6; i++) {
		gort_config cfg;

		collector = collectors[i / 2];
		gort_config_init(&cfg);
		cfg.procs = 1 + i % 2;
		cfg.collector = collector;
		rt_store32_rlx(&failures, 0);
		assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
		assert_int_equal(gort_runtime_run(runtime, fn, NULL), 0);
		if (rt_load32_acq(&failures) != 0)
			fail_msg("%s, %d Ps: %s", collector, cfg.procs, first_failure);
		check_sys(&now); /* by a thread from outside, between two runs */
		if (rt_load32_acq(&failures) != 0)
			fail_msg("%s, %d Ps, after its run: %s", collector, cfg.procs, first_failure);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
}

static void test_counts(void **state)
{
	(void)state;
	on_each(counts);
}

/* More than it keeps pauses of. */
static void many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++)
		gort_gc();
	read_stats(&now);
	CHECK(now.num_gc == (strcmp(collector, "none") == 0 ? 0 : 300));
	for (int i = 0; i < 256; i++)
		CHECK((now.pause_ns[i] > 0) == (now.num_gc > 0));
}

static void test_more_than_are_kept(void **state)
{
	(void)state;
	on_each(many);
}

static void allocates(void *arg)
{
	rt_atomic32 *over = arg;

	while (rt_load32_acq(over) == 0) {
		(void)gort_new(GORT_TYPE(three));
		(void)gort_alloc(10, GORT_NOSCAN); /* tiny */
		(void)gort_alloc(5000, 0);
	}
}

/* While others allocate on all Ps: sums hold in each record. */
static void beside_others(void *arg)
{
	static rt_atomic32 over;

	(void)arg;
	rt_store32_rel(&over, 0);
	for (int i = 0; i < 4; i++)
		CHECK(gort_go(allocates, &over) == 0);
	for (int i = 0; i < 50; i++) {
		read_stats(&now);
		gort_gosched();
	}
	rt_store32_rel(&over, 1);
}

static void test_beside_others(void **state)
{
	(void)state;
	on_each(beside_others);
}

static void test_smaller_record(void **state)
{
	gort_config cfg;
	union { gort_mem_stats s; unsigned char bytes[sizeof(gort_mem_stats)]; } u;

	(void)state;
	gort_config_init(&cfg);
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	memset(&u, 0xee, sizeof u);
	gort_mem_stats_read_sized(runtime, &u.s, offsetof(gort_mem_stats, heap_alloc));
	assert_true(u.s.sys > 0 && u.s.sys < (uint64_t)1 << 40);
	assert_int_equal(u.bytes[offsetof(gort_mem_stats, heap_alloc)], 0xee);
	assert_int_equal(gort_runtime_free(runtime), 0);
	gort_mem_stats_read(runtime, &u.s); /* not alive */
	assert_int_equal(u.s.sys, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_more_than_are_kept),
		cmocka_unit_test(test_beside_others),
		cmocka_unit_test(test_smaller_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
