/* What leaving frames gives back to the function that goes on: core/sched/leave.h, through recoveries. */
#include "tests/support/program.h"

#include "core/base/attrs.h"

#include <fenv.h>

static struct {
	volatile long in[8];
	long sum[2];
	int rounding[3];
	int tried, recovered;
} kept;

static void recovers(void *arg)
{
	(void)arg;
	kept.recovered += gort_recover(NULL);
}

/* The rounding of the frames that a recovery leaves is not that of the frame that goes on, and this one's values are
 * in registers, as many as there are, while they are left. */
static void rounds(void *arg)
{
	gort_defer(recovers, NULL);
	(void)fesetround(FE_UPWARD);
	(void)arg;
	gort_panics("rounded");
}

static void rounds_in_callee(void *arg)
{
	gort_defer(rounds, arg);
	(void)fesetround(FE_DOWNWARD);
}

/* Not recovered before gort_try. */
static void rounds_and_leaves(void *arg)
{
	(void)arg;
	(void)fesetround(FE_UPWARD);
	gort_panics("tried");
}

static void keeps(void *arg)
{
	long a = kept.in[0], b = kept.in[1], c = kept.in[2], d = kept.in[3], e = kept.in[4], f = kept.in[5],
	     g = kept.in[6], h = kept.in[7];
	int before = fegetround();

	(void)arg;
	(void)fesetround(FE_TOWARDZERO);
	gort_scope(rounds, NULL);
	kept.rounding[0] = fegetround();
	gort_scope(rounds_in_callee, NULL);
	kept.rounding[1] = fegetround();
	kept.tried = gort_try(rounds_and_leaves, NULL, NULL);
	kept.rounding[2] = fegetround();
	(void)fesetround(before);
	kept.sum[0] = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
	kept.sum[1] = kept.in[0] + 2 * kept.in[1] + 3 * kept.in[2] + 4 * kept.in[3] + 5 * kept.in[4] +
	              6 * kept.in[5] + 7 * kept.in[6] + 8 * kept.in[7];
}

static void test_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		kept.in[i] = 1000 + 17 * i;
	assert_int_equal(program(2, keeps, NULL), GORT_OK);
	assert_int_equal(kept.recovered, 2);
	assert_int_equal(kept.sum[0], kept.sum[1]);
	assert_true(kept.tried);
#if !RT_TSAN /* there libc's longjmp leaves the frames, which keeps no rounding */
	assert_int_equal(kept.rounding[0], FE_TOWARDZERO);
	assert_int_equal(kept.rounding[1], FE_TOWARDZERO);
	assert_int_equal(kept.rounding[2], FE_TOWARDZERO);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
