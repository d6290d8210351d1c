/* The collector gives back the pages that parked goroutines once needed, and nothing that they still need. Those count
 * for the memory limit. */
#include "tests/support/garbage.h"

#include "backends/arena/arena.h"
#include "core/base/valgrind.h"
#include "core/gc/gc_impl.h"

#include <string.h>

enum { SLEEPERS = 20, DEEP = 64 << 10, SHALLOW = 512, PATTERN = 0x5a };

typedef struct sleeper {
	rt_g *g;
	uintptr_t deep; /* address in a frame that has returned */
	gort_chan *wake;
	rt_atomic32 turns;
} sleeper;

static sleeper sleepers[SLEEPERS];

static RT_NOINLINE void dive(sleeper *s, bool clean)
{
	unsigned char frame[DEEP];
	volatile unsigned char *p = frame;

	for (size_t i = 0; i < DEEP; i++)
		p[i] = PATTERN;
	for (size_t i = 0; i < DEEP; i += 1021)
		CHECK(p[i] == PATTERN);
	if (clean)
		s->deep = (uintptr_t)frame + DEEP / 2;
}

static void sleeps(void *arg)
{
	sleeper *s = arg;
	unsigned char mine[SHALLOW];

	memset(mine, PATTERN, sizeof mine);
	s->g = rt_curg();
	dive(s, true);
	for (;;) {
		int64_t go;

		rt_add32_full(&s->turns, 1);
		gort_chan_recv(s->wake, &go);
		for (size_t i = 0; i < sizeof mine; i++)
			CHECK(mine[i] == PATTERN);
		if (go < 0)
			break;
		if (go > 0)
			dive(s, false);
	}
}

static void wait_parked(sleeper *s, uint32_t turns)
{
	while (rt_load32_acq(&s->turns) < turns || rt_load32_acq(&s->g->status) != RT_G_WAITING)
		gort_gosched();
}

static void tell(sleeper *s, int64_t what)
{
	uint32_t turns = rt_load32_acq(&s->turns);

	gort_chan_send(s->wake, &what);
	if (what >= 0)
		wait_parked(s, turns + 1);
}

/* What nobody owns any more. */
static RT_LOOKS_ANYWHERE bool kept(const sleeper *s)
{
	rt_valgrind_defined((void *)s->deep, 1);
	return *(volatile unsigned char *)s->deep == PATTERN;
}

static bool lost(const sleeper *s)
{
	return !be_arena_query()->lazy_commit || !kept(s);
}

/* A collection that looks for stacks, or none, whatever the clock says. */
static void look(bool for_stacks)
{
	rt_gc *gc = gort_self()->gc;

	gc->trimmed = for_stacks ? -3600 * GORT_SECOND : INT64_MAX;
	gort_gc();
	gc->trimmed = INT64_MAX;
}

static void begin(void)
{
	gort_set_gc_percent(-1); /* no collections but ours */
	gort_self()->gc->trimmed = INT64_MAX;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i] = (sleeper){ .wake = gort_chan_make(GORT_TYPE(int64_t), 0) };
		CHECK(gort_go(sleeps, &sleepers[i]) == 0);
	}
	for (int i = 0; i < SLEEPERS; i++)
		wait_parked(&sleepers[i], 1);
}

static void end(void)
{
	for (int i = 0; i < SLEEPERS; i++)
		tell(&sleepers[i], 1); /* what was given back is there again */
	for (int i = 0; i < SLEEPERS; i++)
		tell(&sleepers[i], -1);
}

/* Those that have run since the last look keep theirs; those that have not lose them. */
static void by_itself(void *arg)
{
	(void)arg;
	begin();
	look(true);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(kept(&sleepers[i]));
	look(false);
	for (int i = 0; i < SLEEPERS; i += 2)
		tell(&sleepers[i], 0);
	look(false);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(kept(&sleepers[i]));
	look(true);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(i % 2 == 0 ? kept(&sleepers[i]) : lost(&sleepers[i]));
	look(true);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(lost(&sleepers[i]));
	end();
}

static void when_asked(void *arg)
{
	(void)arg;
	begin();
	gort_free_os_memory();
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(lost(&sleepers[i]));
	end();
}

/* The system refuses one: it stays as it is, and is not asked again. */
static void refused(void *arg)
{
	int n = 0;

	(void)arg;
	begin();
	for (int i = 0; i < 2; i++)
		gort_free_os_memory();
	for (int i = 0; i < SLEEPERS; i++)
		n += kept(&sleepers[i]);
	CHECK(!be_arena_query()->lazy_commit || n == 1);
	end();
}

/* ---- The memory limit ------------------------------------------------------------------------------ */

enum { DEEP_ONES = 200, LIMIT = 128 << 20 };

static gort_chan *over;
static rt_atomic32 there;

static void stays_deep(void *arg)
{
	unsigned char frame[DEEP];
	volatile unsigned char *p = frame;

	(void)arg;
	for (size_t i = 0; i < DEEP; i++)
		p[i] = PATTERN;
	rt_add32_full(&there, 1);
	gort_chan_recv(over, NULL);
	CHECK(p[DEEP / 2] == PATTERN);
	rt_add32_full(&there, (uint32_t)-1);
}

/* What goroutines use of their stacks is not the heap's any more, and is again when they have ended. */
static void limited(void *arg)
{
	rt_gc *gc = gort_self()->gc;
	const uint64_t stacks = (uint64_t)DEEP_ONES * DEEP, slack = 4 << 20;
	gort_chan *keep = over = gort_chan_make(GORT_TYPE(int64_t), 0);
	uint64_t goal, heap;

	(void)arg;
	rt_store32_rel(&there, 0);
	gort_set_gc_percent(-1);
	gort_set_memory_limit(LIMIT);
	gort_gc();
	goal = rt_load64_rlx(&gc->goal);
	heap = rt_load64_rlx(&gc->heap.limit);
	CHECK(heap < LIMIT && heap > LIMIT - slack && goal < heap);
	for (int i = 0; i < DEEP_ONES; i++)
		CHECK(gort_go(stays_deep, NULL) == 0);
	YIELD_UNTIL(rt_load32_acq(&there) == DEEP_ONES);
	gort_gc();
	CHECK(rt_load64_rlx(&gc->goal) <= goal - stacks && rt_load64_rlx(&gc->goal) > goal - stacks - slack);
	CHECK(rt_load64_rlx(&gc->heap.limit) <= heap - stacks);
	gort_set_memory_limit(1 << 20); /* less than they have */
	CHECK(rt_load64_rlx(&gc->heap.limit) == 0 && rt_load64_rlx(&gc->goal) == gc->pacer.heap_marked);
	gort_set_memory_limit(LIMIT);
	gort_chan_close(over);
	YIELD_UNTIL(rt_load32_acq(&there) == 0);
	gort_gosched();
	gort_gc();
	CHECK(rt_load64_rlx(&gc->goal) > goal - slack);
	gort_set_memory_limit(INT64_MAX);
	CHECK(rt_load64_rlx(&gc->heap.limit) == INT64_MAX);
	gort_keep_alive(keep);
}

static void test_limited(void **state)
{
	(void)state;
	in_program(limited, NULL);
}

static void test_by_itself(void **state)
{
	(void)state;
	in_program(by_itself, NULL);
}

static void test_when_asked(void **state)
{
	(void)state;
	in_program(when_asked, NULL);
}

static void test_refused(void **state)
{
	(void)state;
	debug = "syscallfail=trim:10"; /* one of ours, where one after the other is looked at */
	assert_int_equal(collected(1, "stw", refused, NULL), 0);
	assert_int_equal(collected(1, "concurrent", refused, NULL), 0);
	debug = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_itself),
		cmocka_unit_test(test_when_asked),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
