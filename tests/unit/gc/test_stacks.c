/* The collector gives back the pages that parked goroutines once needed, and nothing that they still need. */
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
