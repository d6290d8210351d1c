/* A P that runs itself what is in its runnext (proc.c, "Who keeps its runnext"): who notes that, who takes the note
 * away, and that somebody comes all the same if it does not. */
#include "core/sched/internal.h"
#include "tests/support/goroutines.h"

enum { TIMES = 30 };

/* ---- The note, on two Ps of our own ------------------------------------------------------------------ */

static rt_p victim, thief;
static rt_g one, two;
static rt_atomic32 end;

static void switches(void *arg)
{
	(void)arg;
	while (!rt_load32_rlx(&end))
		rt_count64_owner(&victim.switches, 1);
}

static rt_g *steal(void)
{
	uint32_t n;

	return rt_runq_steal(&thief, &victim, true, &n);
}

static void test_the_note(void **state)
{
	be_thread t;
	rt_g *got = NULL;

	(void)state;
	rt_store32_rlx(&victim.status, RT_P_RUNNING);
	rt_storeptr_rlx(&victim.runnext, &one);
	assert_true(rt_runq_calls(&victim));
	assert_int_equal(be_thread_start(&t, switches, NULL, 0), 0);
	/* The machine may stop the other thread for longer than the nap: then it is taken. */
	for (int i = 0; i < 100000 && !rt_load32_rlx(&victim.keeps); i++) {
		got = steal();
		if (got != NULL)
			rt_storeptr_rlx(&victim.runnext, &one);
	}
	rt_store32_rlx(&end, 1);
	be_thread_join(&t);
	assert_null(got); /* it runs it itself */
	assert_int_equal(rt_load32_rlx(&victim.keeps), 1);
	assert_true(rt_runq_kept(&victim));
	assert_false(rt_runq_calls(&victim));
	assert_false(rt_runq_empty(&victim));

	rt_storeptr_rlx(&victim.yielded, &two);
	assert_true(rt_runq_calls(&victim));
	rt_storeptr_rlx(&victim.yielded, NULL);
	rt_storeptr_rlx(&victim.runq[0], &two);
	rt_store32_rel(&victim.runqtail, 1);
	assert_true(rt_runq_calls(&victim));
	assert_false(rt_runq_kept(&victim)); /* it announces it */
	assert_ptr_equal(steal(), &two);
	assert_int_equal(rt_load32_rlx(&victim.keeps), 0);
	assert_true(rt_runq_calls(&victim));

	rt_store32_rlx(&victim.keeps, 1);
	assert_ptr_equal(steal(), &one); /* it has run nobody meanwhile */
	assert_int_equal(rt_load32_rlx(&victim.keeps), 0);
	assert_null(steal());
}

/* ---- Somebody comes ---------------------------------------------------------------------------------- */

static gort_chan *call;
static rt_atomic32 ran;

static void answers(void *arg)
{
	int64_t v;

	(void)arg;
	while (gort_chan_recv(call, &v))
		rt_add32_full(&ran, 1);
}

/* Nobody searches, so nobody finds it by chance. */
static void until_all_others_sleep(gort_runtime *rt)
{
	YIELD_UNTIL(rt_load32_rlx(&rt->sched.npidle) == (uint32_t)rt_gomaxprocs(rt) - 1 &&
	            rt_load32_rlx(&rt->sched.nmspinning) == 0);
}

static void computes_on(void *arg)
{
	gort_runtime *rt = rt_self()->rt;
	int64_t v = 0;

	(void)arg;
	call = gort_chan_make(GORT_TYPE(int64_t), 0);
	CHECK(gort_go(answers, NULL) == 0);
	gort_chan_send(call, &v); /* else it may not have run yet when all others sleep: it is kept, too */
	for (uint32_t i = 1; i <= TIMES && rt_load32_rlx(&failures) == 0; i++) {
		int64_t last = gort_nanotime() + 20 * GORT_SECOND;

		until_all_others_sleep(rt);
		rt_store32_rlx(&rt_self()->p->keeps, 1);
		CHECK(gort_chan_try_send(call, &v)); /* it waits there */
		while (rt_load32_acq(&ran) == i && gort_nanotime() < last)
			;
		CHECK(rt_load32_acq(&ran) == i + 1);
	}
	gort_chan_close(call);
}

/* No slice ends, and main is not stopped. */
static void test_somebody_comes(void **state)
{
	(void)state;
	for (int procs = 2; procs <= 4; procs += 2) {
		rt_store32_rlx(&ran, 0);
		assert_int_equal(try_on(procs, "asyncpreemptoff=1,slice=1000000000", computes_on, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_note),
		cmocka_unit_test(test_somebody_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
