/* garbage.h: for tests of what a collection keeps. Freed objects are filled with 0xdeadbeef (clobberfree), so that a
 * hidden address tells. Stacks are scanned conservatively: of many objects that nothing refers to, a few
 * may stay. */
#ifndef TESTS_SUPPORT_GARBAGE_H
#define TESTS_SUPPORT_GARBAGE_H

#include "core/gc/gc_impl.h"
#include "tests/support/goroutines.h"

#include "core/base/attrs.h"

#include <string.h>

static const char *debug; /* instead of clobberfree */

static inline uintptr_t hide(const void *p)
{
	return ~(uintptr_t)p;
}

static inline RT_LOOKS_ANYWHERE bool gone(uintptr_t hidden)
{
	return *(const volatile uint32_t *)(~hidden) == 0xdeadbeef;
}

/* How many of n objects at hidden addresses were freed. */
static inline int freed(const uintptr_t *hidden, int n)
{
	int k = 0;

	for (int i = 0; i < n; i++)
		k += gone(hidden[i]);
	return k;
}

/* What is left of the frames of functions that made objects. */
RT_UNUSED static RT_NOINLINE void wash(void)
{
	char *room = __builtin_alloca(6000); /* an array may lie elsewhere, with AddressSanitizer */

	memset(room, 0, 6000);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static inline void collect(void)
{
	wash();
	gort_gc();
}

/* Gives others time as well as turns until e holds: somebody may need his thread, on a machine that is busy. */
#define WAIT_UNTIL(e)                                                                              \
	do {                                                                                       \
		for (int left_ = 20000; !(e) && left_ > 0; left_--) {                              \
			for (int turn_ = 0; !(e) && turn_ < 50; turn_++)                           \
				gort_gosched();                                                    \
			gort_sleep((e) ? 0 : 100 * GORT_MICROSECOND);                              \
		}                                                                                  \
		CHECK(e);                                                                          \
	} while (0)

/* No memory for work buffers from here on. With the world stopped: a collection may go on. */
RT_UNUSED static void refuse_buffers(bool on)
{
	gort_runtime *rt = gort_self();

	(void)RT_ENTER();
	rt_stop_world(rt, RT_STW_WATCH);
	rt->gc->pool.refuse = on;
	rt_start_world(rt);
	rt_leave();
}

/* The code of the run; program_error holds its text. */
static inline int collected(int procs, const char *with, gort_func fn, void *arg)
{
	gort_runtime *rt;
	gort_config cfg;
	int r;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.collector = with;
	cfg.debug = debug != NULL ? debug : "clobberfree=1";
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	r = gort_runtime_run(rt, fn, arg);
	snprintf(program_error, sizeof program_error, "%s", gort_runtime_error(rt));
	assert_int_equal(gort_runtime_free(rt), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s, %d Ps: %s", with, procs, first_failure);
	return r;
}

/* With each collector, on one P and on two; each run must end with the code. */
static inline void in_program_that_ends(int code, gort_func fn, void *arg)
{
	static const char *const names[] = { "stw", "concurrent" };

	for (int c = 0; c < 2; c++)
		for (int procs = 1; procs <= 2; procs++) {
			int r = collected(procs, names[c], fn, arg);

			if (r != code)
				fail_msg("%s, %d Ps: %d: %s", names[c], procs, r, program_error);
		}
}

static inline void in_program(gort_func fn, void *arg)
{
	in_program_that_ends(0, fn, arg);
}

/* With each number of allocations of the runtime that succeed: the run ends well, or with GORT_ENOMEM. */
RT_UNUSED static void without_memory(gort_func fn)
{
	int failed = 0;

	for (int i = 1; i < 60; i++) {
		gort_runtime *rt;
		gort_config cfg;
		char text[32];
		int r;

		snprintf(text, sizeof text, "oomfail=%d", i);
		gort_config_init(&cfg);
		cfg.procs = 2;
		cfg.collector = "concurrent";
		cfg.debug = text;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, fn, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		failed += r != 0;
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_true(failed > 0);
}

/* With a collection every 50 allocations, each of them checked. */
RT_UNUSED static void under_stress(gort_func fn)
{
	debug = "clobberfree=1,gcstress=50,gccheckmark=1";
	in_program(fn, NULL);
	debug = NULL;
}

#endif
