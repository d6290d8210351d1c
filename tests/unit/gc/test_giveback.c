/* Memory goes back to the system: by itself after a collection, and nobody is kept waiting or awake for it. */
#include "tests/support/goroutines.h"

#include "core/gc/gc_impl.h"

#include <string.h>

enum { MIB = 1 << 20, BIG = 64 };

static gort_runtime *runtime;

/* Skipped where the system takes nothing back (plain). */
static bool can_return(gort_runtime *rt)
{
	return !rt_load32_rlx(&rt->gc->heap.mem.cannot_return);
}

/* The worker has been at it. That it goes on until nothing is due is seen on a heap alone, alloc/test_scavenge.c: at
 * 1 % of a CPU that is slow where a checker looks on. */
static bool comes_back(void)
{
	return !can_return(runtime) || rt_load64_rlx(&runtime->gc->heap.scav.background) > 0;
}

/* All of it lives at the same time. */
static void leave_litter(void *arg)
{
	void **all = gort_alloc(BIG * sizeof *all, 0);

	(void)arg;
	for (int i = 0; i < BIG; i++) {
		void *p = gort_alloc(MIB, GORT_NOSCAN);

		memset(p, 1, MIB);
		gort_store(&all[i], p);
	}
	gort_keep_alive(all);
}

/* On a stack that is gone when the collector looks. */
static void litter(void)
{
	int n = gort_num_goroutine();

	if (gort_go(leave_litter, NULL) != 0)
		check_failed(__FILE__, __LINE__, "go");
	while (gort_num_goroutine() > n)
		gort_gosched();
}

/* Before: the heap is small, and its goal. After: as much as was litter is beyond it. */
static void drop(void)
{
	gort_gc();
	litter();
	gort_gc();
	gort_gc(); /* the goal, too, is small again */
}

static void by_itself(void *arg)
{
	(void)arg;
	drop();
	while (!comes_back()) /* no time is too long on a machine that is busy with something else */
		gort_sleep(GORT_MILLISECOND);
	litter(); /* and is there again */
}

/* Only the thread that looks after others is awake. */
static void while_all_sleep(void *arg)
{
	gort_chan *never = gort_chan_make(GORT_TYPE(int64_t), 0);

	(void)arg;
	drop();
	(void)gort_chan_recv_until(never, NULL, gort_nanotime() + 3600 * GORT_SECOND);
}

static void stops_when_back(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&runtime->gc->ended) < 3 || !comes_back())
		be_thread_yield();
	if (gort_runtime_stop(runtime, 3) != 0)
		check_failed(__FILE__, __LINE__, "stop");
}

static void nothing(void *arg)
{
	(void)arg;
}

/* What is due is no reason to believe that something can still happen. */
static void deadlocks(void *arg)
{
	(void)arg;
	drop();
	(void)gort_chan_recv(gort_chan_make(GORT_TYPE(int64_t), 0), NULL);
}

static void boot(int procs, const char *collector, const char *debug)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.collector = collector;
	cfg.debug = debug;
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
}

static void end(void)
{
	assert_int_equal(gort_runtime_free(runtime), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
}

static const char *const collectors[] = { "stw", "concurrent" };

static void test_by_itself(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		boot(1 + i % 2, collectors[i / 2], NULL);
		assert_int_equal(gort_runtime_run(runtime, by_itself, NULL), 0);
		end();
	}
}

static void test_while_all_sleep(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		be_thread t;

		boot(procs, "concurrent", NULL);
		assert_int_equal(be_thread_start(&t, stops_when_back, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(runtime, while_all_sleep, NULL), 3);
		be_thread_join(&t);
		end();
	}
}

/* The run is over; the heap is not. */
static void just_drops(void *arg)
{
	(void)arg;
	drop();
}

static void test_between_runs(void **state)
{
	(void)state;
	boot(2, "concurrent", NULL);
	assert_int_equal(gort_runtime_run(runtime, just_drops, NULL), 0);
	while (!comes_back())
		be_thread_nap(GORT_MILLISECOND);
	assert_int_equal(gort_runtime_run(runtime, nothing, NULL), 0);
	end();
}

static void test_no_hope(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		boot(procs, "concurrent", NULL);
		assert_int_equal(gort_runtime_run(runtime, deadlocks, NULL), GORT_EDEADLOCK);
		end();
	}
}

/* At once, and all of it: not at a pace, also of chunks that are nearly full. */
static void now(void *arg)
{
	gort_mem_stats s;

	(void)arg;
	litter();
	gort_gc();
	for (int i = 0; i < 4; i++)
		(void)gort_alloc(8000, GORT_NOSCAN); /* so that the P takes free pages for later */
	gort_free_os_memory();
	gort_mem_stats_read(runtime, &s);
	if (!can_return(runtime))
		return;
	if (runtime->gc->kind->collects) {
		CHECK(s.num_forced_gc == 2 && s.heap_released >= (BIG - 2) * MIB);
	} else {
		CHECK(s.num_gc == 0 && s.heap_inuse >= BIG * MIB);
	}
	CHECK(s.heap_idle == s.heap_released); /* also what the worker was in the middle of */
	litter();
}

static void test_now(void **state)
{
	static const char *const all[] = { "none", "stw", "concurrent" };

	(void)state;
	for (int i = 0; i < 6; i++) {
		boot(1 + i % 2, all[i / 2], "forcegcperiod=0");
		assert_int_equal(gort_runtime_run(runtime, now, NULL), 0);
		end();
	}
}

/* While others allocate and free. */
static rt_atomic32 busy;

static void churns(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&busy)) {
		leave_litter(NULL);
		gort_gosched();
	}
}

static void now_beside_others(void *arg)
{
	(void)arg;
	rt_store32_rel(&busy, 1);
	for (int i = 0; i < 2; i++)
		gort_go(churns, NULL);
	for (int i = 0; i < 10; i++)
		gort_free_os_memory();
	rt_store32_rel(&busy, 0);
}

static void test_now_beside_others(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		boot(1 + i % 2, collectors[i / 2], NULL);
		assert_int_equal(gort_runtime_run(runtime, now_beside_others, NULL), 0);
		end();
	}
}

/* The goal of a limit holds from the first moment. */
static void test_limit(void **state)
{
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.memory_limit = 100 * MIB;
	cfg.collector = "concurrent";
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	assert_int_equal(rt_load64_rlx(&runtime->gc->heap.scav.limit_goal), 100 * MIB / 100 * 95);
	assert_int_equal(rt_load64_rlx(&runtime->gc->heap.scav.percent_goal), UINT64_MAX);
	assert_int_equal(gort_runtime_run(runtime, just_drops, NULL), 0);
	assert_true(rt_load64_rlx(&runtime->gc->heap.scav.percent_goal) < 64 * MIB);
	assert_int_equal(gort_runtime_free(runtime), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_itself), cmocka_unit_test(test_while_all_sleep),
		cmocka_unit_test(test_between_runs), cmocka_unit_test(test_no_hope),
		cmocka_unit_test(test_limit), cmocka_unit_test(test_now),
		cmocka_unit_test(test_now_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
