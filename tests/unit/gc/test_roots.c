/* Roots that begin between two words; and dead goroutines' records, which a marker may have claimed when they are used
 * again. */
#include "tests/support/garbage.h"

#include "core/sched/internal.h"

#include <stdlib.h>

/* ---- Registered roots ------------------------------------------------------------------------------ */

enum { SIZE = 5 * RT_ROOT_BLOCK };

static RT_NOINLINE void fill(char *room, size_t n, uintptr_t *hidden)
{
	for (size_t i = 0; i < n; i++) {
		void *o = gort_alloc(64, GORT_NOSCAN);

		memset(o, 1, 64);
		hidden[i] = hide(o);
		gort_store((void **)room + i, o);
	}
}

/* Each aligned word that lies inside counts, also those around the ends of blocks. */
static void unaligned(void *arg)
{
	const size_t n = SIZE / sizeof(void *);
	char *room = malloc(SIZE); /* at a word at least */
	uintptr_t *hidden = calloc(n, sizeof *hidden);

	(void)arg;
	for (size_t off = 1; off < sizeof(void *); off += 3) {
		memset(room, 0, SIZE);
		CHECK(gort_root_add(gort_self(), room + off, SIZE - off) == 0);
		fill(room, n, hidden);
		collect();
		collect();
		CHECK(freed(hidden + 1, (int)n - 1) == 0);
		CHECK(gort_root_remove(gort_self(), room + off) == 0);
	}
	free(hidden);
	free(room);
}

static void test_unaligned(void **state)
{
	(void)state;
	in_program(unaligned, NULL);
}

/* ---- Dead goroutines ------------------------------------------------------------------------------- */

static rt_atomic32 given_back, ran;
static rt_g *claimed;

static void nothing(void *arg)
{
	(void)arg;
	rt_add32_full(&ran, 1);
}

/* The marker, whose thread the system has stopped between the claim and the look at the status. */
static void gives_back(void *arg)
{
	(void)arg;
	be_thread_nap(20 * GORT_MILLISECOND);
	rt_store32_rel(&given_back, 1);
	rt_store8_rel(&claimed->gcscan, 0);
}

/* Inside the runtime. */
static void claim(rt_g *gp, be_thread *marker)
{
	CHECK(rt_load32_acq(&gp->status) == RT_G_DEAD);
	claimed = gp;
	rt_store32_rel(&given_back, 0);
	rt_store8_rel(&gp->gcscan, rt_self()->rt->gc->mark | 1);
	CHECK(be_thread_start(marker, gives_back, NULL, 0) == 0);
}

/* With the dead record at hand, inside, while marking, which does not end before the next call of it. */
static rt_g *while_marking(void)
{
	rt_gc *gc = gort_self()->gc;
	bool held = false;

	do { /* as in test_assist.c: none begins while this is inside */
		gort_gosched();
		(void)RT_ENTER();
		held = rt_load32_acq(&gc->rt->gcmark) == 0;
		if (held)
			rt_marker_enter(gc);
		rt_leave();
	} while (!held);
	do {
		gort_go(nothing, NULL);
		(void)RT_ENTER();
		rt_gc_request(gc);
		rt_leave();
		for (int i = 0; i < 10; i++)
			gort_gosched();
		(void)RT_ENTER();
		if (rt_load32_acq(&gc->rt->gcmark) != 0 && rt_self()->p->gfree != NULL)
			return rt_self()->p->gfree;
		rt_leave();
	} while (1);
}

static void reborn(void *arg)
{
	rt_gc *gc = gort_self()->gc;
	be_thread marker;
	rt_m *mp;
	rt_g *gp;

	(void)arg;
	gp = while_marking();
	mp = rt_self();
	claim(gp, &marker);
	CHECK(rt_newproc(mp->rt, mp, NULL, nothing, NULL, NULL) == 0);
	CHECK(rt_load32_acq(&given_back) == 1);
	CHECK(rt_load32_acq(&gp->status) == RT_G_RUNNABLE && rt_load8_acq(&gp->gcscan) == gc->mark);
	be_thread_join(&marker);

	/* Made and not used, or ended without a P. */
	gp = rt_g_new(mp->rt, mp->p);
	claim(gp, &marker);
	rt_g_free(mp->rt, mp->p, gp);
	CHECK(rt_load32_acq(&given_back) == 1 && rt_load8_acq(&gp->gcscan) == 0);
	be_thread_join(&marker);
	(void)rt_marker_leave(gc);
	rt_leave();
	gort_gc();
}

static void test_reborn(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "concurrent", reborn, NULL), 0);
}

/* Nobody has seen the dead: who is born from outside with that record is still to be scanned. */
static void passed_by(void *arg)
{
	rt_g *gp;
	int n = 0;

	(void)arg;
	gort_gc(); /* the collector's own goroutine is there */
	rt_store32_rel(&ran, 0);
	gort_go(nothing, NULL);
	YIELD_UNTIL(rt_load32_acq(&ran) == 1);
	gort_gc();
	(void)RT_ENTER();
	for (gp = gort_self()->sched.allg; gp != NULL; gp = gp->alllink)
		if (rt_load32_acq(&gp->status) == RT_G_DEAD) {
			CHECK(rt_load8_acq(&gp->gcscan) == 0);
			n++;
		}
	rt_leave();
	CHECK(n > 0);
}

static void test_passed_by(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "concurrent", passed_by, NULL), 0);
	assert_int_equal(collected(1, "stw", passed_by, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_reborn),
		cmocka_unit_test(test_passed_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
