/* The list of goroutines, the dump of their stacks, and metrics. */
#include "tests/support/program.h"

#include "core/base/attrs.h"
#include "core/sched/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 64 };

static gort_goroutine list[MAX];
static size_t listed;
static gort_chan *ch;
static char dump[1 << 16];
static size_t dumped;

static int keep(void *data, const void *bytes, size_t n)
{
	(void)data;
	if (dumped + n >= sizeof dump)
		n = sizeof dump - 1 - dumped;
	memcpy(dump + dumped, bytes, n);
	dumped += n;
	dump[dumped] = '\0';
	return 7;
}

static RT_NOINLINE void receives(void *arg)
{
	gort_chan_recv(ch, arg);
	__asm__ volatile("" : : : "memory");
}

static void sleeps(void *arg)
{
	(void)arg;
	gort_sleep(1000 * GORT_SECOND);
}

static void wired(void *arg)
{
	gort_lock_os_thread();
	gort_chan_recv(ch, arg);
}

static void never_runs(void *arg)
{
	(void)arg;
}

static void settle(void)
{
	for (int i = 0; i < 50; i++)
		gort_gosched();
}

/* ---- The list ---- */

static void listing(void *arg)
{
	gort_go_attr attr = {sizeof attr, 0, "sleeper"};

	(void)arg;
	ch = gort_chan_make(GORT_TYPE(int), 0);
	gort_go(receives, NULL);
	gort_go_with(&attr, sleeps, NULL);
	gort_go(wired, NULL);
	settle();
	gort_go(never_runs, NULL);
	listed = gort_goroutines(gort_self(), list, MAX);
}

static gort_goroutine *of(gort_func start)
{
	for (size_t i = 0; i < listed; i++)
		if (list[i].start == start)
			return &list[i];
	fail();
	return NULL;
}

static void check_waits(const gort_goroutine *g, const char *why)
{
	assert_int_equal(g->status, GORT_G_WAITING);
	assert_string_equal(g->wait_reason, why);
	assert_true(g->since > 0 && g->since <= gort_nanotime());
	assert_int_equal(g->parent, 1);
	assert_non_null(g->creator);
	if (!be_context_owns_stack)
		assert_in_range(g->stack_used, 64, 64 << 10);
}

static void test_list(void **state)
{
	gort_goroutine *g;

	(void)state;
	assert_int_equal(program(1, listing, NULL), 0);
	assert_int_equal(listed, 5);
	for (size_t i = 1; i < listed; i++)
		assert_true(list[i - 1].goid < list[i].goid);
	g = of(listing);
	assert_int_equal(g->goid, 1);
	assert_int_equal(g->status, GORT_G_RUNNING);
	assert_true(g->parent == 0 && g->creator == NULL && g->thread != 0 && !g->locked);
	assert_string_equal(g->wait_reason, "");
	check_waits(of(receives), "chan receive");
	assert_int_equal(of(receives)->thread, 0);
	assert_ptr_equal(of(receives)->on, ch);
	assert_null(of(sleeps)->on);
	check_waits(of(sleeps), "sleep");
	assert_string_equal(of(sleeps)->name, "sleeper");
	check_waits(of(wired), "chan receive");
	assert_true(of(wired)->locked && of(wired)->thread != 0);
	g = of(never_runs);
	assert_int_equal(g->status, GORT_G_RUNNABLE);
	assert_true(g->since == 0 && g->stack_used == 0);
}

/* ---- What a failed run looked like ---- */

static gort_mutex held;
static gort_rwmutex table;
static gort_sema none;

static void waits_for_mutex(void *arg)
{
	(void)arg;
	gort_mutex_lock(&held);
}

static void waits_to_read(void *arg)
{
	(void)arg;
	gort_rwmutex_rlock(&table);
}

static void waits_to_write(void *arg)
{
	(void)arg;
	gort_rwmutex_lock(&table);
}

static void waits_for_token(void *arg)
{
	(void)arg;
	gort_sema_acquire(&none);
}

static void deadlocks(void *arg)
{
	(void)arg;
	ch = gort_chan_make(GORT_TYPE(int), 0);
	gort_mutex_lock(&held);
	gort_rwmutex_rlock(&table);
	gort_go(waits_for_mutex, NULL);
	gort_go(waits_to_write, NULL);
	gort_go(waits_for_token, NULL);
	settle();
	gort_go(waits_to_read, NULL);
	receives(NULL);
}

static void panics(void *arg)
{
	(void)arg;
	gort_panics("here");
}

static void one_panics(void *arg)
{
	(void)arg;
	ch = gort_chan_make(GORT_TYPE(int), 0);
	gort_go(receives, NULL);
	settle();
	gort_go(panics, NULL);
	receives(NULL);
}

static void check_on(gort_func start, const void *on)
{
	assert_int_equal(of(start)->status, GORT_G_WAITING);
	assert_ptr_equal(of(start)->on, on);
}

static void test_failed(void **state)
{
	gort_config cfg;
	gort_runtime *rt;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 1; /* settle means something */
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_failed_goroutines(rt, list, MAX), 0);
	assert_int_equal(gort_runtime_run(rt, deadlocks, NULL), GORT_EDEADLOCK);
	listed = gort_failed_goroutines(rt, list, MAX);
	assert_int_equal(listed, 5);
	check_on(deadlocks, ch);
	check_on(waits_for_mutex, &held);
	check_on(waits_to_read, &table);
	check_on(waits_to_write, &table);
	check_on(waits_for_token, &none);
	assert_int_equal(gort_failed_goroutines(rt, list, 1), 5);

	assert_int_equal(gort_runtime_run(rt, one_panics, NULL), GORT_EPANIC);
	listed = gort_failed_goroutines(rt, list, MAX);
	assert_int_equal(listed, 3);
	for (size_t i = 1; i < listed; i++)
		assert_true(list[i - 1].goid < list[i].goid);
	assert_int_equal(of(NULL)->status, GORT_G_RUNNING);
	assert_int_equal(of(NULL)->parent, 1);
	assert_non_null(of(NULL)->creator);

	assert_int_equal(gort_runtime_run(rt, never_runs, NULL), 0);
	assert_int_equal(gort_failed_goroutines(rt, list, MAX), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(gort_failed_goroutines(rt, list, MAX), 0);
}

/* An older caller's struct, and less room than there are. */
static void listing_less(void *arg)
{
	char small[2][16];

	(void)arg;
	for (int i = 0; i < 5; i++)
		gort_go(sleeps, NULL);
	memset(small, 'x', sizeof small);
	listed = gort_goroutines_sized(gort_self(), (gort_goroutine *)(void *)small, 1, sizeof small[0]);
	memcpy(&list[0].goid, small[0], 8);
	list[1].name[0] = small[1][0];
	if (listed == 6)
		listed += gort_goroutines(gort_self(), list, 0);
}

static void test_list_sizes(void **state)
{
	(void)state;
	assert_int_equal(program(2, listing_less, NULL), 0);
	assert_int_equal(listed, 12);
	assert_int_equal(list[0].goid, 1);
	assert_int_equal(list[1].name[0], 'x');
}

/* ---- The dump ---- */

static RT_NOINLINE void dumping(void *arg)
{
	ch = gort_chan_make(GORT_TYPE(int), 0);
	gort_go(receives, arg);
	settle();
	gort_go(never_runs, NULL);
	dumped = 0;
	listed = gort_stack_dump(gort_self(), keep, NULL) == 7;
	__asm__ volatile("" : : : "memory");
}

static void check_dump(void)
{
	assert_int_equal(listed, 1);
	assert_memory_equal(dump, "goroutine ", 10);
	assert_non_null(strstr(dump, "\n\ngoroutine "));
	assert_non_null(strstr(dump, " [chan receive]:\n"));
	assert_non_null(strstr(dump, " [runnable]:\n"));
	if (strcmp(be_fault_name, "signal") == 0) {
		assert_non_null(strstr(dump, "\nreceives(...)\n\t"));
		assert_non_null(strstr(dump, "\nnever_runs(...)\n\t"));
		assert_non_null(strstr(dump, "\ncreated by dumping in goroutine 1\n\t"));
	}
}

static void test_dump(void **state)
{
	(void)state;
	assert_int_equal(program(1, dumping, NULL), 0);
	check_dump();
	assert_memory_equal(dump, "goroutine 1 [running]:\n", 23);
}

/* Stopped in the middle of its loop. */
static volatile int looping, enough;

static RT_NOINLINE void spins(void *arg)
{
	(void)arg;
	looping = 1;
	while (!enough)
		;
	__asm__ volatile("" : : : "memory");
}

static void dumping_loop(void *arg)
{
	gort_go(spins, arg);
	while (!looping)
		gort_gosched();
	for (int i = 0; i < 20; i++) { /* it may just be beginning or ending a stop of its own */
		dumped = 0;
		listed = gort_stack_dump(gort_self(), keep, NULL) == 7;
		if (strstr(dump, "\nspins(...)\n\t") != NULL)
			break;
	}
	enough = 1;
}

static void test_dump_in_place(void **state)
{
	(void)state;
	if (!be_preempt_in_place || strcmp(be_fault_name, "signal") != 0)
		skip();
	looping = enough = 0;
	assert_int_equal(program(2, dumping_loop, NULL), 0);
	assert_int_equal(listed, 1);
	assert_non_null(strstr(dump, "\nspins(...)\n\t"));
	assert_non_null(strstr(dump, "\ncreated by dumping_loop in goroutine 1\n\t"));
}

/* As if it had waited for long. */
static void dumping_old(void *arg)
{
	ch = gort_chan_make(GORT_TYPE(int), 0);
	gort_go(wired, arg);
	settle();
	for (rt_g *gp = gort_self()->sched.allg; gp != NULL; gp = gp->alllink)
		if (rt_load32_acq(&gp->status) == RT_G_WAITING)
			gp->since = be_nanotime() - 200 * GORT_SECOND;
	dumped = 0;
	listed = gort_stack_dump(gort_self(), keep, NULL) == 7;
}

static void test_dump_minutes(void **state)
{
	(void)state;
	assert_int_equal(program(1, dumping_old, NULL), 0);
	assert_non_null(strstr(dump, " [chan receive, 3 minutes, locked to thread]:\n"));
}

/* From a thread that is no goroutine: while nothing runs there is nobody. */
static void test_dump_outside(void **state)
{
	gort_runtime *rt;

	(void)state;
	assert_int_equal(gort_runtime_new(&rt, NULL), 0);
	dumped = 0;
	assert_int_equal(gort_stack_dump(rt, keep, NULL), 0);
	assert_int_equal(dumped, 0);
	assert_int_equal(gort_goroutines(rt, list, MAX), 0);
	gort_runtime_free(rt);
}

static rt_atomic32 writing;

static int yields_for_ever(void *data, const void *bytes, size_t n)
{
	(void)bytes, (void)n;
	rt_add32_full(&writing, 1);
	while (data == NULL)
		gort_gosched();
	return 0;
}

static int blocks(void *data, const void *bytes, size_t n)
{
	(void)data, (void)bytes, (void)n;
	rt_add32_full(&writing, 1);
	gort_chan_recv(NULL, NULL);
	return 0;
}

static void dumps_by(void *arg)
{
	gort_stack_dump(gort_self(), arg != NULL ? yields_for_ever : blocks, NULL);
}

static void leaves_dumpers(void *arg)
{
	assert_int_equal(gort_go(dumps_by, NULL), 0);
	assert_int_equal(gort_go(dumps_by, arg), 0);
	while (rt_load32_acq(&writing) < 2)
		gort_gosched();
}

static void returns(void *arg)
{
	(void)arg;
}

/* What a dump holds goes with the goroutine that made it; of one that was still on its thread when the run ended, at
 * the end of the next run. */
static void test_dropped_in_a_dump(void **state)
{
	gort_runtime *rt;

	(void)state;
	assert_int_equal(gort_runtime_new(&rt, NULL), 0);
	for (int i = 0; i < 20; i++) {
		rt_store32_rlx(&writing, 0);
		assert_int_equal(gort_runtime_run(rt, leaves_dumpers, rt), 0);
		while (rt_load32_acq(&rt->sched.ndropped) > 0)
			be_thread_yield();
		assert_int_equal(gort_runtime_run(rt, returns, NULL), 0);
		assert_null(rt->dumps);
	}
	gort_runtime_free(rt);
}

/* Memory is refused at any moment: the list is empty, the dump says so, or the run ends. */
static void test_no_memory(void **state)
{
	int empty = 0;

	(void)state;
	for (int i = 1; i < 60; i++) {
		char debug[32];
		gort_config cfg;
		gort_runtime *rt;
		int r;

		snprintf(debug, sizeof debug, "oomfail=%d", i);
		gort_config_init(&cfg);
		cfg.flags |= GORT_SCAN_DATA;
		cfg.procs = 1;
		cfg.debug = debug;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		listed = 99;
		r = gort_runtime_run(rt, listing, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		empty += r == 0 && listed == 0;
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_int_equal(empty, 1);
}

/* ---- Metrics ---- */

static void test_table(void **state)
{
	const gort_metric_desc *d, *before = NULL;

	(void)state;
	for (size_t i = 0; (d = gort_metric_at(i)) != NULL; i++) {
		assert_true(before == NULL || strcmp(before->name, d->name) < 0);
		assert_true(strlen(d->description) > 0);
		assert_true((strncmp(d->name, "/cpu/", 5) == 0) == (d->kind == GORT_METRIC_FLOAT64));
		if (d->kind == GORT_METRIC_HISTOGRAM && strstr(d->name, ":seconds") != NULL) {
			assert_int_equal(d->nbuckets, 162); /* Go's */
			assert_true(isinf(d->bounds[0]) && d->bounds[0] < 0 && d->bounds[1] == 0);
			assert_true(isinf(d->bounds[162]) && d->bounds[161] == 140737.488355328);
			for (size_t k = 0; k < 162; k++)
				assert_true(d->bounds[k] < d->bounds[k + 1]);
		}
		before = d;
	}
	assert_non_null(before);
}

/* Each time lies in its bucket. */
static void test_buckets(void **state)
{
	int64_t step = 1;

	(void)state;
	assert_int_equal(rt_hist_bucket(-1), 0);
	assert_int_equal(rt_hist_bucket(0), 1);
	assert_int_equal(rt_hist_bucket(INT64_MAX), RT_HIST_BUCKETS - 1);
	for (int64_t ns = 0; ns < INT64_MAX / 2; ns += step, step = ns / 37 + 1) {
		unsigned b = rt_hist_bucket(ns);

		assert_in_range(b, 1, RT_HIST_BUCKETS - 1);
		assert_true(rt_hist_bounds[b] <= (double)ns / 1e9 && (double)ns / 1e9 < rt_hist_bounds[b + 1]);
	}
	for (unsigned b = 1; b < RT_HIST_BUCKETS; b++)
		assert_int_equal(rt_hist_bucket((int64_t)llround(rt_hist_bounds[b] * 1e9)), b);
}

static uint64_t counts[4][162];
static gort_metric metrics[] = {
	{.name = "/sched/gomaxprocs:threads"},
	{.name = "/sched/goroutines:goroutines"},
	{.name = "/sched/latencies:seconds", .value.counts = counts[0]},
	{.name = "/sched/pauses/total/other:seconds", .value.counts = counts[1]},
	{.name = "/sched/pauses/stopping/other:seconds", .value.counts = NULL},
	{.name = "/no/such:thing", .kind = 9},
	{.name = NULL, .kind = 9},
};

static uint64_t total(const uint64_t *of_counts)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 162; i++)
		n += of_counts[i];
	return n;
}

static void measured(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		gort_go(sleeps, NULL);
	for (int i = 0; i < 8000; i++)
		gort_gosched();
	for (int i = 0; i < 5; i++)
		(void)gort_goroutines(gort_self(), list, MAX);
	listed = gort_metrics_read(gort_self(), metrics, RT_NELEM(metrics));
}

static void test_metrics(void **state)
{
	(void)state;
	assert_int_equal(program(3, measured, NULL), 0);
	assert_int_equal(listed, 5);
	assert_true(metrics[0].kind == GORT_METRIC_UINT64 && metrics[0].value.u64 == 3);
	assert_true(metrics[1].kind == GORT_METRIC_UINT64 && metrics[1].value.u64 == 4);
	assert_int_equal(metrics[2].kind, GORT_METRIC_HISTOGRAM);
	assert_in_range(total(counts[0]), 125, 130); /* one in 64 */
	assert_int_equal(total(counts[1]), 5);
	assert_true(metrics[4].kind == GORT_METRIC_HISTOGRAM && metrics[4].value.counts == NULL);
	assert_true(metrics[5].kind == 0 && metrics[6].kind == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),         cmocka_unit_test(test_list_sizes),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_dump),         cmocka_unit_test(test_dump_outside),
		cmocka_unit_test(test_dump_minutes), cmocka_unit_test(test_dump_in_place),
		cmocka_unit_test(test_dropped_in_a_dump),
		cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_table),
		cmocka_unit_test(test_buckets),      cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
