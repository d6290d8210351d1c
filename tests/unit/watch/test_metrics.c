/* Metrics of the heap and the collector: they agree with gort_mem_stats and with each other, and count what happens. */
#include "tests/support/goroutines.h"

#include "core/alloc/sizeclass.h"
#include "core/gc/gc_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 100, BUCKETS = 200, N = 1000 };

typedef struct three { /* 24 bytes: a class of its own */
	void *a;
	uint64_t b, c;
} three;
GORT_DEFINE_TYPE(three, GORT_PTR(three, a));

static gort_runtime *runtime;
static const char *collector;

typedef struct all {
	gort_metric m[MAX];
	uint64_t counts[MAX][BUCKETS];
	size_t n;
} all;
static all was, now;
static gort_mem_stats stats;

static void read_all(all *a)
{
	const gort_metric_desc *d;

	for (a->n = 0; (d = gort_metric_at(a->n)) != NULL; a->n++) {
		a->m[a->n] = (gort_metric){ .name = d->name };
		if (d->kind == GORT_METRIC_HISTOGRAM) {
			CHECK(d->nbuckets <= BUCKETS);
			a->m[a->n].value.counts = a->counts[a->n];
		}
	}
	CHECK(gort_metrics_read(runtime, a->m, a->n) == a->n);
	for (size_t i = 0; i < a->n; i++)
		CHECK(a->m[i].kind == gort_metric_at(i)->kind);
}

static gort_metric *find(all *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->m[i].name, name) == 0)
			return &a->m[i];
	fprintf(stderr, "no %s\n", name);
	abort();
}

static uint64_t u64(all *a, const char *name)
{
	return find(a, name)->value.u64;
}

static uint64_t more(const char *name)
{
	return u64(&now, name) - u64(&was, name);
}

static double f64(all *a, const char *name)
{
	return find(a, name)->value.f64;
}

static uint64_t total(all *a, const char *name)
{
	const gort_metric *m = find(a, name);
	size_t n = gort_metric_at((size_t)(m - a->m))->nbuckets;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += m->value.counts[i];
	return sum;
}

/* By the lower ends of the buckets, 0, or the upper, 1. */
static double seconds_in(all *a, const char *name, int end)
{
	const gort_metric *m = find(a, name);
	const gort_metric_desc *d = gort_metric_at((size_t)(m - a->m));
	double sum = 0;

	for (size_t i = 0; i < d->nbuckets; i++)
		if (m->value.counts[i] > 0)
			sum += (double)m->value.counts[i] * d->bounds[i + (size_t)end];
	return sum;
}

/* A pause is until all stand, and from then on. */
static void parts_add_up(const char *stopping, const char *stopped, const char *pause)
{
	CHECK(seconds_in(&now, stopping, 0) + seconds_in(&now, stopped, 0) <= seconds_in(&now, pause, 1));
	CHECK(seconds_in(&now, stopping, 1) + seconds_in(&now, stopped, 1) >= seconds_in(&now, pause, 0));
}

static uint64_t sum_of(all *a, const char *beginning, const char *but)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < a->n; i++)
		if (strncmp(a->m[i].name, beginning, strlen(beginning)) == 0 && strcmp(a->m[i].name, but) != 0)
			sum += a->m[i].value.u64;
	return sum;
}

static double seconds_of(all *a, const char *beginning, const char *but)
{
	double sum = 0;

	for (size_t i = 0; i < a->n; i++)
		if (strncmp(a->m[i].name, beginning, strlen(beginning)) == 0 && strcmp(a->m[i].name, but) != 0)
			sum += a->m[i].value.f64;
	return sum;
}

/* What must hold at any time. */
static void consistent(all *a)
{
	CHECK(u64(a, "/gc/cycles/total:gc-cycles") ==
	      u64(a, "/gc/cycles/automatic:gc-cycles") + u64(a, "/gc/cycles/forced:gc-cycles"));
	CHECK(total(a, "/gc/heap/allocs-by-size:bytes") == u64(a, "/gc/heap/allocs:objects"));
	CHECK(total(a, "/gc/heap/frees-by-size:bytes") == u64(a, "/gc/heap/frees:objects"));
	CHECK(u64(a, "/gc/heap/objects:objects") ==
	      u64(a, "/gc/heap/allocs:objects") - u64(a, "/gc/heap/frees:objects"));
	CHECK(u64(a, "/memory/classes/heap/objects:bytes") ==
	      u64(a, "/gc/heap/allocs:bytes") - u64(a, "/gc/heap/frees:bytes"));
	CHECK(sum_of(a, "/memory/classes/", "/memory/classes/total:bytes") == u64(a, "/memory/classes/total:bytes"));
	CHECK(sum_of(a, "/gc/scan/", "/gc/scan/total:bytes") == u64(a, "/gc/scan/total:bytes"));
	CHECK(fabs(seconds_of(a, "/cpu/classes/gc/", "/cpu/classes/gc/total:cpu-seconds") -
	           f64(a, "/cpu/classes/gc/total:cpu-seconds")) < 1e-6);
	/* Times are read row by row, while others run: of these two the second later. */
	CHECK(total(a, "/gc/pauses:seconds") <= total(a, "/sched/pauses/total/gc:seconds"));
}

/* The same moment as that of gort_mem_stats, which were read next: nobody else runs. */
static void agree(all *a, const gort_mem_stats *s)
{
	CHECK(u64(a, "/memory/classes/heap/objects:bytes") == s->heap_alloc);
	CHECK(u64(a, "/memory/classes/heap/unused:bytes") == s->heap_inuse - s->heap_alloc);
	CHECK(u64(a, "/gc/heap/allocs:bytes") == s->total_alloc);
	CHECK(u64(a, "/gc/heap/allocs:objects") + u64(a, "/gc/heap/tiny/allocs:objects") == s->mallocs);
	CHECK(u64(a, "/gc/heap/frees:objects") + u64(a, "/gc/heap/tiny/allocs:objects") == s->frees);
	CHECK(u64(a, "/gc/heap/goal:bytes") == s->next_gc);
	CHECK(u64(a, "/gc/cycles/total:gc-cycles") == s->num_gc);
	CHECK(u64(a, "/gc/cycles/forced:gc-cycles") == s->num_forced_gc);
}

static const uint64_t *counts_in(all *a, const char *name)
{
	return find(a, name)->value.counts;
}

static void counts(void *arg)
{
	const char *allocs = "/gc/heap/allocs-by-size:bytes", *frees = "/gc/heap/frees-by-size:bytes";
	int none = strcmp(collector, "none") == 0;
	void *keep = gort_alloc(1000, 0);

	(void)arg;
	(void)gort_new(GORT_TYPE(three)); /* the type is made by its first use, perhaps on the heap */
	gort_gc();
	read_all(&was);
	consistent(&was);
	for (int i = 0; i < N; i++) {
		(void)gort_new(GORT_TYPE(three));
		(void)gort_alloc(3, GORT_NOSCAN);
	}
	(void)gort_alloc(100000, 0);
	read_all(&now);
	gort_mem_stats_read(runtime, &stats);
	consistent(&now);
	agree(&now, &stats);
	/* Class 3 is that of 24 bytes: bucket 2. Tiny ones lie in blocks of 16. */
	CHECK(rt_class_bounds[2] == 17 && rt_class_bounds[3] == 25);
	CHECK(counts_in(&now, allocs)[2] - counts_in(&was, allocs)[2] == N);
	CHECK(counts_in(&now, allocs)[67] - counts_in(&was, allocs)[67] == 1);
	CHECK(more("/gc/heap/tiny/allocs:objects") > N / 2 && more("/gc/heap/tiny/allocs:objects") < N);
	CHECK(more("/gc/heap/allocs:objects") + more("/gc/heap/tiny/allocs:objects") == 2 * N + 1);
	CHECK(more("/gc/heap/frees:objects") == 0 && more("/gc/cycles/total:gc-cycles") == 0);
	CHECK(u64(&now, "/gc/heap/live:bytes") == u64(&was, "/gc/heap/live:bytes"));
	if (!none)
		CHECK(more("/gc/scan/heap:bytes") >= N * 24); /* it may be */

	was = now;
	for (size_t i = 0; i < was.n; i++)
		if (was.m[i].kind == GORT_METRIC_HISTOGRAM)
			was.m[i].value.counts = was.counts[i];
	gort_gc();
	read_all(&now);
	consistent(&now);
	CHECK(total(&now, "/gc/pauses:seconds") == total(&now, "/sched/pauses/total/gc:seconds"));
	CHECK(total(&now, "/gc/pauses:seconds") == total(&now, "/sched/pauses/stopping/gc:seconds"));
	CHECK(total(&now, "/gc/pauses:seconds") == total(&now, "/sched/pauses/stopped/gc:seconds"));
	if (none) {
		CHECK(u64(&now, "/gc/cycles/total:gc-cycles") == 0);
		CHECK(f64(&now, "/cpu/classes/gc/total:cpu-seconds") == 0);
		return;
	}
	CHECK(more("/gc/cycles/forced:gc-cycles") == 1 && more("/gc/cycles/automatic:gc-cycles") == 0);
	CHECK(counts_in(&now, frees)[2] - counts_in(&was, frees)[2] >= N - 50); /* some words look like pointers */
	CHECK(u64(&now, "/gc/heap/live:bytes") > 0);
	CHECK(u64(&now, "/gc/heap/peak:bytes") >= u64(&was, "/gc/heap/peak:bytes"));
	CHECK(u64(&now, "/gc/heap/peak:bytes") >= u64(&now, "/gc/heap/live:bytes") + N * 24); /* it was garbage */
	CHECK(u64(&now, "/gc/heap/live:bytes") <= u64(&now, "/gc/heap/goal:bytes"));
	CHECK(u64(&now, "/gc/scan/stack:bytes") > 0 && u64(&now, "/gc/scan/globals:bytes") == 0);
	CHECK(f64(&now, "/cpu/classes/gc/pause:cpu-seconds") > f64(&was, "/cpu/classes/gc/pause:cpu-seconds"));
	CHECK(seconds_in(&now, "/sched/pauses/stopped/gc:seconds", 0) > 0);
	parts_add_up("/sched/pauses/stopping/gc:seconds", "/sched/pauses/stopped/gc:seconds",
	             "/sched/pauses/total/gc:seconds");
	/* One stop, or one more at the end, which may not be the last. */
	CHECK(total(&now, "/gc/pauses:seconds") - total(&was, "/gc/pauses:seconds") >=
	      (strcmp(collector, "stw") == 0 ? 1 : 2));
	gort_keep_alive(keep);
}

static char root[100000];

/* Settings, and roots. */
static void settings(void *arg)
{
	(void)arg;
	read_all(&was);
	CHECK(u64(&was, "/gc/gogc:percent") == 100 && u64(&was, "/gc/gomemlimit:bytes") == INT64_MAX);
	CHECK(u64(&was, "/gc/stack/starting-size:bytes") == 512 << 10);
	(void)gort_set_gc_percent(50);
	(void)gort_set_memory_limit(INT64_C(1) << 40);
	(void)gort_root_add(runtime, root, sizeof root);
	gort_gc();
	read_all(&now);
	CHECK(u64(&now, "/gc/gogc:percent") == 50 && u64(&now, "/gc/gomemlimit:bytes") == INT64_C(1) << 40);
	(void)gort_set_gc_percent(-1);
	if (strcmp(collector, "none") != 0)
		CHECK(u64(&now, "/gc/scan/globals:bytes") == sizeof root);
	/* Those are no pauses of a collection. */
	was = now;
	for (size_t i = 0; i < was.n; i++)
		if (was.m[i].kind == GORT_METRIC_HISTOGRAM)
			was.m[i].value.counts = was.counts[i];
	(void)gort_set_gc_percent(100);
	read_all(&now);
	CHECK(total(&now, "/gc/pauses:seconds") == total(&was, "/gc/pauses:seconds"));
	CHECK(total(&now, "/sched/pauses/total/other:seconds") > total(&was, "/sched/pauses/total/other:seconds"));
	(void)gort_root_remove(runtime, root);
}

static const char *const collectors[] = { "none", "stw", "concurrent" };

static void on_each(gort_func fn)
{
	for (int i = 0; i < 6; i++) {
		gort_config cfg;

		collector = collectors[i / 2];
		gort_config_init(&cfg);
		cfg.procs = 1 + i % 2;
		cfg.collector = collector;
		cfg.stack_size = 512 << 10;
		rt_store32_rlx(&failures, 0);
		assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
		assert_int_equal(gort_runtime_run(runtime, fn, NULL), 0);
		read_all(&now); /* by a thread from outside, between two runs */
		consistent(&now);
		if (rt_load32_acq(&failures) != 0)
			fail_msg("%s, %d Ps: %s", collector, cfg.procs, first_failure);
		assert_int_equal(gort_runtime_free(runtime), 0);
	}
}

static void test_counts(void **state)
{
	(void)state;
	on_each(counts);
}

static void test_settings(void **state)
{
	(void)state;
	on_each(settings);
}

/* A stop whose longer part is to wait for somebody who is pinned. (If he was done before, it is a short one.) */
static void pinned(void *arg)
{
	int64_t until = gort_nanotime() + 5 * GORT_MILLISECOND;

	gort_pin();
	rt_store32_rel(arg, 1);
	while (gort_nanotime() < until)
		;
	gort_unpin();
}

static void long_stopping(void *arg)
{
	static rt_atomic32 there;

	(void)arg;
	rt_store32_rel(&there, 0);
	gort_go(pinned, &there);
	while (!rt_load32_acq(&there))
		gort_gosched();
	(void)gort_set_gc_percent(100);
	read_all(&now);
	parts_add_up("/sched/pauses/stopping/other:seconds", "/sched/pauses/stopped/other:seconds",
	             "/sched/pauses/total/other:seconds");
}

static void test_long_stopping(void **state)
{
	(void)state;
	on_each(long_stopping);
}

static void allocates(void *arg)
{
	while (!rt_load32_acq((rt_atomic32 *)arg)) {
		for (int i = 0; i < 100; i++)
			(void)gort_alloc((size_t)i * 20, 0);
		gort_gosched();
	}
}

/* All figures of one call are of one moment. */
static void beside_others(void *arg)
{
	static rt_atomic32 enough;

	(void)arg;
	rt_store32_rel(&enough, 0);
	for (int i = 0; i < 2; i++)
		gort_go(allocates, &enough);
	for (int i = 0; i < 200; i++) {
		read_all(&now);
		consistent(&now);
		gort_gosched();
	}
	rt_store32_rel(&enough, 1);
}

static void test_beside_others(void **state)
{
	(void)state;
	on_each(beside_others);
}

/* Who asks for none of the heap's stops nobody. */
static void test_stops_nobody(void **state)
{
	uint64_t stops[BUCKETS];
	gort_metric m[] = { { .name = "/sched/goroutines:goroutines" },
		            { .name = "/gc/stack/starting-size:bytes" },
		            { .name = "/sched/pauses/total/other:seconds", .value.counts = stops } };
	gort_metric heap[] = { { .name = "/gc/heap/allocs:bytes" } };
	uint64_t n = 0;

	(void)state;
	assert_int_equal(gort_runtime_new(&runtime, NULL), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(gort_metrics_read(runtime, m, RT_NELEM(m)), 3);
	for (int i = 0; i < 162; i++)
		assert_int_equal(stops[i], 0);
	assert_int_equal(gort_metrics_read(runtime, heap, 1), 1);
	assert_int_equal(gort_metrics_read(runtime, m, RT_NELEM(m)), 3);
	for (int i = 0; i < 162; i++)
		n += stops[i];
	assert_int_equal(n, 1);
	assert_int_equal(gort_runtime_free(runtime), 0);
}

static void test_sizes(void **state)
{
	(void)state;
	for (unsigned i = 1; i < RT_NCLASS; i++) {
		assert_true(rt_class_bounds[i - 1] < rt_class_bounds[i]);
		assert_true(rt_class_bounds[i - 1] <= rt_class_bytes[i] && rt_class_bytes[i] < rt_class_bounds[i]);
	}
	assert_true(isinf(rt_class_bounds[RT_NCLASS]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),        cmocka_unit_test(test_settings),
		cmocka_unit_test(test_beside_others), cmocka_unit_test(test_stops_nobody),
		cmocka_unit_test(test_sizes),         cmocka_unit_test(test_long_stopping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
