/* Group: results, cancellation of every kind of wait, children, limits, ends. */
#include "core/sync/mutex.h"
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include "backends/thread/thread.h"
#include "core/base/rand.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 20 };

static rt_atomic32 count;

static int succeed(void *arg)
{
	gort_gosched();
	rt_add32_full(&count, (uint32_t)(uintptr_t)arg);
	return 0;
}

static int fails(void *arg)
{
	return (int)(intptr_t)arg;
}

static void results(void *arg)
{
	gort_group g = GORT_INIT;

	(void)arg;
	CHECK(gort_group_wait(&g) == 0);
	for (int round = 0; round < 3; round++) { /* after each wait it is as new */
		rt_store32_rlx(&count, 0);
		for (int i = 1; i <= MEMBERS; i++)
			CHECK(gort_group_go(&g, succeed, (void *)(intptr_t)i) == 0);
		CHECK(gort_group_wait(&g) == 0);
		CHECK(rt_load32_rlx(&count) == MEMBERS * (MEMBERS + 1) / 2);
		CHECK(g.opaque[0] == NULL);
		gort_group_go(&g, fails, (void *)(intptr_t)-77);
		CHECK(gort_group_wait(&g) == -77);
		gort_group_go(&g, fails, (void *)5);
		CHECK(gort_group_wait(&g) == 5);
	}
	/* The first code stays. */
	gort_group_cancel(&g, -5);
	gort_group_cancel(&g, -6);
	gort_group_go(&g, fails, (void *)(intptr_t)-7);
	CHECK(gort_group_wait(&g) == -5);
	gort_group_cancel(&g, 3); /* no negative code */
	CHECK(gort_group_wait(&g) == GORT_ECANCELED);
	CHECK(gort_type_size(GORT_TYPE(gort_group)) == sizeof g);
}

static void test_results(void **state)
{
	(void)state;
	run_all(results);
}

/* ---- Every kind of wait --------------------------------------------------------------------------- */

enum { KINDS = 13 };

static struct {
	gort_chan *full, *empty;
	gort_mutex mutex, cond_mutex;
	gort_rwmutex rw;
	gort_sema sema;
	gort_cond cond;
	gort_waitgroup wg;
	gort_group child;
} t;
static rt_atomic32 waiting, canceled, wrong;

/* One wait of each kind, none of which can end by itself before the deadline. */
static int wait_once(int kind, int64_t d)
{
	int64_t v = 0;
	int r;

	switch (kind) {
	case 0:
		return gort_chan_recv_until(t.empty, &v, d);
	case 1:
		return gort_chan_send_until(t.full, &v, d);
	case 2:
		return gort_mutex_lock_until(&t.mutex, d);
	case 3:
		return gort_rwmutex_lock_until(&t.rw, d);
	case 4:
		return gort_rwmutex_rlock_until(&t.rw, d);
	case 5:
		return gort_sema_acquire_until(&t.sema, d);
	case 6:
		gort_mutex_lock(&t.cond_mutex);
		r = gort_cond_wait_until(&t.cond, &t.cond_mutex, d);
		CHECK(!gort_mutex_try_lock(&t.cond_mutex)); /* it is locked again */
		gort_mutex_unlock(&t.cond_mutex);
		return r;
	case 7:
		return gort_waitgroup_wait_until(&t.wg, d);
	case 8:
		return gort_group_wait_until(&t.child, d);
	case 9:
		return gort_sleep_until(d);
	case 10:
		return gort_chan_recv_until(NULL, NULL, d);
	case 11:
		return gort_chan_send_until(NULL, NULL, d);
	default:
		return gort_chan_recv_until(t.empty, NULL, d);
	}
}

static int waiter(void *arg)
{
	int kind = (int)(intptr_t)arg % KINDS;
	bool forever = (intptr_t)arg >= KINDS;
	int64_t d = forever ? GORT_FOREVER : gort_nanotime() + 3600 * GORT_SECOND;

	rt_add32_full(&waiting, 1);
	for (int i = 0; i < 2; i++) { /* the one that waits now, and one to come */
		if (wait_once(kind, d) == GORT_ECANCELED)
			rt_add32_full(&canceled, 1);
		else
			rt_add32_full(&wrong, 1);
	}
	/* What need not block is done all the same. */
	if (!gort_sema_try_acquire(&t.sema)) {
		gort_sema one = { { 1 } };

		CHECK(gort_sema_acquire_until(&one, 0) == 0);
	}
	return 0;
}

static int holder(void *arg)
{
	gort_chan_recv(arg, NULL); /* not an _until call: no cancellation reaches it */
	return 0;
}

static void kinds(void *arg)
{
	gort_group g = GORT_INIT;
	gort_chan *hold = gort_chan_make(GORT_TYPE(int), 0);
	int64_t v = 0;

	(void)arg;
	memset(&t, 0, sizeof t);
	rt_store32_rlx(&waiting, 0);
	rt_store32_rlx(&canceled, 0);
	rt_store32_rlx(&wrong, 0);
	t.full = gort_chan_make(GORT_TYPE(int64_t), 1);
	t.empty = gort_chan_make(GORT_TYPE(int64_t), 1);
	gort_chan_send(t.full, &v);
	gort_mutex_lock(&t.mutex);
	gort_rwmutex_lock(&t.rw);
	gort_waitgroup_add(&t.wg, 1);
	gort_group_go(&t.child, holder, hold);
	for (int i = 0; i < 2 * KINDS; i++)
		gort_group_go(&g, waiter, (void *)(intptr_t)i);
	while (rt_load32_acq(&waiting) < 2 * KINDS)
		gort_gosched();
	gort_sleep(GORT_MILLISECOND); /* most of them block by now; any moment must do */
	gort_group_cancel(&g, -9);
	CHECK(gort_group_wait(&g) == -9);
	CHECK(rt_load32_rlx(&canceled) == 4 * KINDS && rt_load32_rlx(&wrong) == 0);
	/* Nothing is left of them. */
	gort_mutex_unlock(&t.mutex);
	gort_rwmutex_unlock(&t.rw);
	CHECK(gort_mutex_try_lock(&t.mutex) && gort_rwmutex_try_lock(&t.rw));
	CHECK((t.mutex.opaque[0] & ~(uint32_t)RT_MUTEX_SHARED) == 1 && t.mutex.opaque[1] == 0);
	gort_sema_release(&t.sema);
	CHECK(gort_sema_try_acquire(&t.sema));
	CHECK(gort_chan_recv(t.full, NULL) && gort_chan_try_recv(t.full, NULL) == GORT_EAGAIN);
	gort_cond_signal(&t.cond);
	gort_waitgroup_done(&t.wg);
	gort_chan_close(hold);
	CHECK(gort_group_wait(&t.child) == 0);
}

static void test_every_wait_is_canceled(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		run_all(kinds);
}

/* Members that come, wait and go while another cancels. */
static int flutter(void *arg)
{
	rt_rand r;
	int e;

	rt_rand_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < 50; i++) {
		e = gort_sleep_until(gort_nanotime() +
		                     (int64_t)rt_rand_below(&r, 20) * GORT_MICROSECOND);
		if (e != 0)
			return e;
	}
	return rt_rand_below(&r, 4) == 0 ? -3 : 0;
}

static void races(void *arg)
{
	gort_group g = GORT_INIT;
	rt_rand r;

	(void)arg;
	rt_rand_seed(&r, 11);
	for (int round = 0; round < 60; round++) {
		int e;

		for (int i = 0; i < MEMBERS; i++)
			gort_group_go(&g, flutter, (void *)(intptr_t)(round * MEMBERS + i + 1));
		gort_sleep((int64_t)rt_rand_below(&r, 300) * GORT_MICROSECOND);
		if (round % 2 == 0)
			gort_group_cancel(&g, -3);
		e = gort_group_wait(&g);
		CHECK(round % 2 == 0 ? e == -3 : e == -3 || e == 0);
	}
}

static void test_cancel_races(void **state)
{
	(void)state;
	run_all(races);
}

/* ---- Panics and exits ------------------------------------------------------------------------------ */

static int panics(void *arg)
{
	(void)arg;
	gort_panics("member");
}

static int sleeps(void *arg)
{
	(void)arg;
	return gort_sleep_until(GORT_FOREVER);
}

static int exits(void *arg)
{
	(void)arg;
	gort_goexit();
}

static void wait_for(void *arg)
{
	gort_group_wait(arg);
}

static void ends(void *arg)
{
	gort_group g = GORT_INIT;
	gort_eface v;
	gort_string s;

	(void)arg;
	gort_group_go(&g, sleeps, NULL);
	gort_group_go(&g, panics, NULL);
	CHECK(gort_try(wait_for, &g, &v) == 1);
	s = gort_panic_text(v);
	CHECK(s.len == 6 && memcmp(s.ptr, "member", 6) == 0);
	CHECK(gort_group_wait(&g) == 0);
	gort_group_go(&g, exits, NULL);
	CHECK(gort_group_wait(&g) == 0);
	gort_group_cancel(&g, -4);
	gort_group_go(&g, panics, NULL);
	CHECK(gort_try(wait_for, &g, &v) == 1); /* not the code: a panic is never lost */
}

static void test_panics_and_exits(void **state)
{
	(void)state;
	run_all(ends);
}

/* ---- Limit, deadline, done ------------------------------------------------------------------------ */

static rt_atomic32 inside, most;

static int limited(void *arg)
{
	uint32_t n = rt_add32_full(&inside, 1) + 1, seen;

	(void)arg;
	while (n > (seen = rt_load32_rlx(&most)) && !rt_cas32_full(&most, seen, n))
		;
	gort_gosched();
	rt_add32_full(&inside, (uint32_t)-1);
	return 0;
}

static void limits(void *arg)
{
	gort_group g = GORT_INIT;
	gort_chan *done, *hold = gort_chan_make(GORT_TYPE(int), 0);

	(void)arg;
	rt_store32_rlx(&inside, 0);
	rt_store32_rlx(&most, 0);
	gort_group_limit(&g, 3);
	for (int i = 0; i < 50; i++)
		gort_group_go(&g, limited, NULL);
	CHECK(gort_group_wait(&g) == 0);
	CHECK(rt_load32_rlx(&most) <= 3 && rt_load32_rlx(&inside) == 0);

	gort_group_go(&g, holder, hold);
	CHECK(gort_group_wait_until(&g, 0) == GORT_ETIMEDOUT);
	CHECK(gort_group_wait_until(&g, gort_nanotime() + 100 * GORT_MICROSECOND) ==
	      GORT_ETIMEDOUT);
	done = gort_group_done(&g);
	CHECK(gort_group_done(&g) == done);
	CHECK(gort_chan_try_recv(done, NULL) == GORT_EAGAIN);
	gort_group_cancel(&g, -2);
	CHECK(gort_chan_try_recv(done, NULL) == GORT_ECLOSED);
	CHECK(gort_group_wait_until(&g, 0) == GORT_ETIMEDOUT);
	gort_chan_close(hold);
	CHECK(gort_group_wait_until(&g, GORT_FOREVER) == -2);
	gort_group_cancel(&g, -2);
	CHECK(gort_chan_try_recv(gort_group_done(&g), NULL) == GORT_ECLOSED);
	CHECK(gort_group_wait(&g) == -2);
}

static void test_limit_deadline_done(void **state)
{
	(void)state;
	run_all(limits);
}

/* ---- Children --------------------------------------------------------------------------------------- */

enum { DEPTH = 40 };

static rt_atomic32 at_bottom;

/* Each level is a group of its own with a sleeper beside the next level. */
static int level(void *arg)
{
	gort_group mine = GORT_INIT;
	intptr_t depth = (intptr_t)arg;

	gort_group_go(&mine, sleeps, NULL);
	if (depth > 0)
		gort_group_go(&mine, level, (void *)(depth - 1));
	else
		rt_add32_full(&at_bottom, 1);
	return gort_group_wait(&mine);
}

static int late_child(void *arg)
{
	gort_group mine = GORT_INIT;

	(void)arg;
	CHECK(gort_sleep_until(GORT_FOREVER) == GORT_ECANCELED);
	gort_group_go(&mine, sleeps, NULL); /* its parent is cancelled: so is it */
	CHECK(gort_chan_try_recv(gort_group_done(&mine), NULL) == GORT_ECLOSED);
	CHECK(gort_group_wait(&mine) == -8);
	return 0;
}

static int ends_child(void *arg)
{
	for (int i = 0; i < 20; i++) { /* children that are over leave their parent */
		gort_group mine = GORT_INIT;

		int r;

		gort_group_go(&mine, succeed, NULL);
		r = gort_group_wait(&mine);
		CHECK(r == 0 || r == (int)(intptr_t)arg);
	}
	return 0;
}

static void children(void *arg)
{
	gort_group g = GORT_INIT, other = GORT_INIT;

	(void)arg;
	rt_store32_rlx(&at_bottom, 0);
	gort_group_go(&g, level, (void *)DEPTH);
	gort_group_go(&g, level, (void *)DEPTH);
	gort_group_go(&g, late_child, NULL);
	gort_group_go(&g, ends_child, (void *)(intptr_t)-8);
	gort_group_go(&other, ends_child, NULL);
	while (rt_load32_acq(&at_bottom) < 2)
		gort_gosched();
	gort_group_cancel(&g, -8);
	CHECK(gort_group_wait(&g) == -8);
	CHECK(gort_group_wait(&other) == 0);
}

static void test_children(void **state)
{
	(void)state;
	run_all(children);
}

/* ---- Ends of runs ---------------------------------------------------------------------------------- */

static gort_group left;

static void leaves(void *arg)
{
	(void)arg;
	left = (gort_group)GORT_INIT;
	rt_store32_rlx(&waiting, 0);
	for (int i = 0; i < MEMBERS; i++)
		gort_group_go(&left, waiter, (void *)(intptr_t)(KINDS + 9));
	while (rt_load32_acq(&waiting) < MEMBERS / 2)
		gort_gosched();
}

/* Goroutines that were dropped are nobody's members, whoever has their records now. */
static void cancels_what_was_left(void *arg)
{
	gort_group g = GORT_INIT;

	(void)arg;
	for (int i = 0; i < MEMBERS; i++)
		gort_group_go(&g, holder, gort_chan_make(GORT_TYPE(int), 0));
	gort_group_cancel(&left, -1);
	gort_gosched();
	CHECK(gort_group_wait_until(&g, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
}

static void test_dropped_members(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 2;
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(gort_runtime_run(rt, leaves, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, cancels_what_was_left, NULL), 0);
	}
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_int_equal(rt_load32_rlx(&failures), 0);
}

/* An attached thread that waits when the run ends goes on, and blocks no more. */
static gort_runtime *runtime;
static int released[8];
static rt_atomic32 attached;

static void guest(void *arg)
{
	gort_mutex m = GORT_INIT, mine = GORT_INIT;
	gort_cond c = GORT_INIT;
	gort_rwmutex rw = GORT_INIT;
	gort_sema s = GORT_INIT;
	gort_once o = GORT_INIT;

	(void)arg;
	if (gort_attach(runtime) != 0)
		abort();
	gort_mutex_lock(&m);
	gort_rwmutex_lock(&rw);
	rt_store32_rel(&attached, 1);
	released[0] = gort_group_wait(&left);
	gort_mutex_lock(&m);
	gort_mutex_unlock(&m);
	gort_mutex_unlock(&m);
	gort_rwmutex_rlock(&rw);
	gort_rwmutex_lock(&rw);
	gort_rwmutex_runlock(&rw);
	gort_rwmutex_unlock(&rw);
	gort_rwmutex_unlock(&rw);
	gort_mutex_lock(&mine);
	gort_cond_wait(&c, &mine);
	gort_sema_acquire(&s);
	gort_once_do(&o, (gort_func)gort_mutex_unlock, &mine);
	released[1] = gort_group_wait_until(&left, GORT_FOREVER);
	released[2] = gort_sema_acquire_until(&s, GORT_FOREVER);
	gort_group_limit(&left, 1);
	released[3] = gort_group_go(&left, sleeps, NULL);
	if (gort_detach() != 0)
		abort();
}

static void has_guest(void *arg)
{
	left = (gort_group)GORT_INIT;
	gort_group_go(&left, sleeps, NULL);
	if (be_thread_start(arg, guest, NULL, 0) != 0)
		abort();
	while (rt_load32_acq(&attached) == 0)
		gort_gosched();
	gort_sleep(GORT_MILLISECOND);
}

static void test_attached_thread_is_released(void **state)
{
	be_thread thread;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 2;
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	assert_int_equal(gort_runtime_run(runtime, has_guest, &thread), 0);
	be_thread_join(&thread);
	assert_int_equal(released[0], GORT_ECANCELED);
	assert_int_equal(released[1], 0); /* its members are dropped */
	assert_int_equal(released[2], GORT_ECANCELED);
	assert_int_equal(released[3], 0);
	assert_int_equal(gort_runtime_free(runtime), 0);
}

static void leaves_members(void *arg)
{
	for (int i = 0; i < 3; i++)
		gort_group_go(arg, sleeps, NULL);
}

static void waits_for_them(void *arg)
{
	CHECK(gort_group_wait(arg) == 0);
}

/* On one P they have not begun when main returns. */
static void test_members_that_never_began_are_dropped(void **state)
{
	gort_group g = GORT_INIT;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 1;
	assert_int_equal(gort_runtime_new(&runtime, &cfg), 0);
	assert_int_equal(gort_runtime_run(runtime, leaves_members, &g), 0);
	assert_int_equal(gort_runtime_run(runtime, waits_for_them, &g), 0); /* else a deadlock */
	assert_int_equal(gort_runtime_free(runtime), 0);
}

/* ---- Another run, another runtime ------------------------------------------------------------------ */

static gort_group kept;

static void leaves_it_cancelled(void *arg)
{
	(void)arg;
	gort_group_limit(&kept, 1);
	CHECK(gort_group_go(&kept, sleeps, NULL) == 0);
	gort_group_cancel(&kept, -77);
}

static int stops(void *arg)
{
	gort_runtime_stop(gort_self(), (int)(intptr_t)arg);
	return 0;
}

/* It ends the run from a member, and this is the result that its family gets. */
static void leaves_it_failed(void *arg)
{
	gort_group_go(&kept, stops, arg);
	gort_select(NULL, 0, GORT_FOREVER);
}

static int naps(void *arg)
{
	int r = gort_sleep_until(gort_nanotime() + GORT_MICROSECOND);

	rt_add32_full(arg, 1);
	return r == GORT_ETIMEDOUT ? 0 : r;
}

static void use_at_once(void *arg)
{
	CHECK(gort_group_go(&kept, naps, &count) == 0);
	gort_waitgroup_done(arg);
}

/* Many find it at the same time, and agree on what is new. */
static void finds_it_new(void *arg)
{
	gort_chan *hold = gort_chan_make(GORT_TYPE(int), 0);
	gort_waitgroup wg = GORT_INIT;

	(void)arg;
	rt_store32_rlx(&count, 0);
	gort_waitgroup_add(&wg, MEMBERS);
	for (int i = 0; i < MEMBERS; i++)
		CHECK(gort_go(use_at_once, &wg) == 0);
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < 2; i++)
		CHECK(gort_group_go(&kept, holder, hold) == 0); /* no limit */
	CHECK(gort_chan_try_recv(gort_group_done(&kept), NULL) == GORT_EAGAIN);
	gort_chan_close(hold);
	CHECK(gort_group_wait(&kept) == 0);
	CHECK(rt_load32_rlx(&count) == MEMBERS);
}

static void waits_for_nobody(void *arg)
{
	(void)arg;
	CHECK(gort_group_wait_until(&kept, GORT_FOREVER) == 0);
}

static gort_runtime *new_runtime(int procs)
{
	gort_runtime *rt;
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = procs;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	return rt;
}

static void test_as_new_in_another_run(void **state)
{
	(void)state;
	rt_store32_rlx(&failures, 0);
	for (int procs = 1; procs <= 4; procs++) {
		gort_runtime *rt = new_runtime(procs);

		for (int i = 0; i < 20; i++) {
			assert_int_equal(gort_runtime_run(rt, leaves_it_cancelled, NULL), 0);
			assert_int_equal(gort_runtime_run(rt, finds_it_new, NULL), 0);
			assert_int_equal(gort_runtime_run(rt, leaves_it_failed, (void *)5), 5);
			assert_int_equal(gort_runtime_run(rt, i % 2 ? finds_it_new : waits_for_nobody, NULL), 0);
		}
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	if (rt_load32_rlx(&failures) != 0)
		fail_msg("%s", first_failure);
}

/* The first runtime's memory is gone. Or it is not, and both use the group in turn. */
static void test_as_new_in_another_runtime(void **state)
{
	gort_runtime *rt[2];

	(void)state;
	rt_store32_rlx(&failures, 0);
	for (int i = 0; i < 12; i++) {
		rt[0] = new_runtime(1 + i % 4);
		assert_int_equal(gort_runtime_run(rt[0], i % 2 ? finds_it_new : waits_for_nobody, NULL), 0);
		assert_int_equal(gort_runtime_run(rt[0], leaves_it_cancelled, NULL), 0);
		assert_int_equal(gort_runtime_free(rt[0]), 0);
	}
	for (int i = 0; i < 2; i++)
		rt[i] = new_runtime(2);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(gort_runtime_run(rt[i % 2], finds_it_new, NULL), 0);
		assert_int_equal(gort_runtime_run(rt[i % 2], leaves_it_cancelled, NULL), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(gort_runtime_free(rt[i]), 0);
	if (rt_load32_rlx(&failures) != 0)
		fail_msg("%s", first_failure);
}

static void test_out_of_memory(void **state)
{
	char debug[32];
	gort_config cfg;
	gort_runtime *rt;
	int failed = 0, r = -1;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 1;
	cfg.debug = debug;
	rt_store32_rlx(&failures, 0);
	for (int n = 1; n < 200 && (r != 0 || failed == 0); n++) {
		snprintf(debug, sizeof debug, "oomfail=%d", n);
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, ends, NULL);
		if (r != 0) {
			assert_int_equal(r, GORT_ENOMEM);
			failed++;
		}
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_true(failed > 0);
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_every_wait_is_canceled),
		cmocka_unit_test(test_cancel_races),
		cmocka_unit_test(test_panics_and_exits),
		cmocka_unit_test(test_limit_deadline_done),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_dropped_members),
		cmocka_unit_test(test_attached_thread_is_released),
		cmocka_unit_test(test_members_that_never_began_are_dropped),
		cmocka_unit_test(test_as_new_in_another_run),
		cmocka_unit_test(test_as_new_in_another_runtime),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
