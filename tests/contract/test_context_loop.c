/* Contract of be_context_loop and be_context_back, for whichever implementation of context is linked.
 * Contexts write down what they saw; the loop's caller looks. The sanitizers are told of no switch
 * here: under them core/sched/switch.c goes by be_context_switch, and this file has nothing to test. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/context/context.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 64 << 10, MANY = 3, TURNS = 100000, DEPTH = 20 };

typedef struct worker {
	void *lo;
	be_context *c, *g0;
	int rounding;       /* its own; the loop's caller has another */
	uint64_t turns, bad;
} worker;

static worker workers[MANY];
static int turn, turns_left;

static void back(worker *w)
{
	be_context_back(w->c, w->g0);
}

/* Live values in registers across the switch, from a different depth each time. */
static RT_NOINLINE uint64_t descend(worker *w, int depth, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t r;

	if (depth == 0) {
		back(w);
		return a ^ b ^ c ^ d;
	}
	r = descend(w, depth - 1, a + 1, b + 2, c + 3, d + 4);
	return r + (a ^ b) + (c ^ d);
}

static uint64_t expected(int depth, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	if (depth == 0)
		return a ^ b ^ c ^ d;
	return expected(depth - 1, a + 1, b + 2, c + 3, d + 4) + (a ^ b) + (c ^ d);
}

static void work(void *arg)
{
	worker *w = arg;

	fesetround(w->rounding);
	for (;;) {
		int depth = (int)(w->turns % DEPTH);
		uint64_t seed = w->turns * 0x9e3779b97f4a7c15u;

		if (descend(w, depth, seed, ~seed, seed << 7, seed >> 9) !=
		    expected(depth, seed, ~seed, seed << 7, seed >> 9))
			w->bad++;
		if (fegetround() != w->rounding)
			w->bad++;
		w->turns++;
	}
}

static const int roundings[MANY] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

static void make(be_context *g0)
{
	for (int i = 0; i < MANY; i++) {
		worker *w = &workers[i];

		*w = (worker){ .lo = malloc(STACK), .g0 = g0, .rounding = roundings[i] };
		assert_non_null(w->lo);
		w->c = be_context_make(w->lo, STACK, work, w);
		assert_non_null(w->c);
	}
}

static void drop(void)
{
	for (int i = 0; i < MANY; i++) {
		be_context_drop(workers[i].c);
		free(workers[i].lo);
	}
}

static be_context *next(void *arg)
{
	if (arg != &turn || turns_left-- == 0)
		return NULL;
	turn = (turn + 1) % MANY;
	return workers[turn].c;
}

static max_align_t record[4096 / sizeof(max_align_t) * 2];

static be_context *adopt(void)
{
	be_context *g0;

	assert_true(be_context_size <= sizeof record);
	g0 = be_context_adopt(record);
	assert_non_null(g0);
	return g0;
}

static void test_turns(void **state)
{
	be_context *g0 = adopt();
	int before = fegetround();
	volatile uint64_t live[6] = { 1, 2, 3, 4, 5, 6 };

	(void)state;
	make(g0);
	turns_left = TURNS;
	be_context_loop(g0, next, &turn);
	assert_int_equal(turns_left, -1);
	for (int i = 0; i < MANY; i++) {
		assert_true(workers[i].turns >= TURNS / MANY - 1);
		assert_int_equal(workers[i].bad, 0);
	}
	assert_int_equal(fegetround(), before);
	for (int i = 0; i < 6; i++)
		assert_int_equal(live[i], i + 1);
	drop();
	be_context_unadopt(g0);
}

static void test_nothing_to_do(void **state)
{
	be_context *g0 = adopt();

	(void)state;
	turns_left = 0;
	be_context_loop(g0, next, &turn);
	assert_int_equal(turns_left, -1);
	be_context_unadopt(g0);
}

/* A loop that is entered again finds the contexts as the last one left them. */
static void test_again(void **state)
{
	be_context *g0 = adopt();

	(void)state;
	make(g0);
	for (int i = 1; i <= 10; i++) {
		turns_left = 2 * MANY;
		be_context_loop(g0, next, &turn);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(workers[i].turns, 19); /* the twentieth is under way */
		assert_int_equal(workers[i].bad, 0);
	}
	drop();
	be_context_unadopt(g0);
}

/* Contexts go on in the loop of another thread. */
static void elsewhere(void *arg)
{
	static max_align_t other[sizeof record / sizeof(max_align_t)];
	be_context *g0 = be_context_adopt(other);

	if (g0 == NULL)
		return;
	for (int i = 0; i < MANY; i++)
		workers[i].g0 = g0;
	turns_left = 2 * MANY;
	be_context_loop(g0, next, &turn);
	be_context_unadopt(g0);
	*(int *)arg = 1;
}

static void test_another_thread(void **state)
{
	be_context *g0 = adopt();
	be_thread t;
	int done = 0;

	(void)state;
	make(g0);
	turns_left = 2 * MANY;
	be_context_loop(g0, next, &turn);
	assert_int_equal(be_thread_start(&t, elsewhere, &done, 0), 0);
	be_thread_join(&t);
	assert_int_equal(done, 1);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(workers[i].turns, 3);
		assert_int_equal(workers[i].bad, 0);
	}
	drop();
	be_context_unadopt(g0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_another_thread),
	};

	return RT_ASAN || RT_TSAN ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
