/* select with `default` says "none is ready" of one moment, without locks. See tests/model/news.pml. */
#include "tests/support/program.h"
#include "tests/support/goroutines.h"

/* A value is always put into one channel before it is taken out of the other: whoever looks at both finds it. Channels
 * in between that stay empty make the looks long. */
enum { CASES = 16, SHIFTS = 50000 };

typedef struct shifting {
	gort_chan *c[CASES];
	rt_atomic32 over;
	gort_waitgroup wg;
} shifting;

static void shift(void *arg)
{
	shifting *s = arg;
	int64_t v = 1;

	for (int i = 0; i < SHIFTS; i++) {
		gort_chan_send(s->c[i % 2 == 0 ? CASES - 1 : 0], &v);
		gort_chan_recv(s->c[i % 2 == 0 ? 0 : CASES - 1], &v);
	}
	rt_store32_rel(&s->over, 1);
	gort_waitgroup_done(&s->wg);
}

static void never_none(void *arg)
{
	static shifting s;
	int64_t v = 1;
	int none = 0;

	(void)arg;
	s = (shifting){ .wg = GORT_INIT };
	for (int i = 0; i < CASES; i++)
		s.c[i] = gort_chan_make(GORT_TYPE(int64_t), 1);
	gort_chan_send(s.c[0], &v);
	gort_waitgroup_add(&s.wg, 1);
	gort_go(shift, &s);
	for (int round = 0; !rt_load32_acq(&s.over); round++) {
		gort_select_case cases[CASES];
		int r;

		for (int i = 0; i < CASES; i++)
			cases[i] = (gort_select_case){ s.c[i], &v, GORT_RECV, false };
		r = gort_select(cases, CASES, 0);
		if (r >= 0)
			gort_chan_send(s.c[r], &v);
		else
			none++;
		if (round % 8 == 0)
			gort_gosched();
	}
	gort_waitgroup_wait(&s.wg);
	CHECK(none == 0);
}

static void test_default_sees_all_at_once(void **state)
{
	(void)state;
	run_all(never_none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_sees_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
