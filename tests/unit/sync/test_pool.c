/* Pool: what comes back, what a collection takes, and that nothing is given out twice. */
#include "core/sync/pool.h"

#include "core/sched/sched_impl.h"
#include "core/sync/poolchain.h"
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include "backends/thread/thread.h"

#include <stdlib.h>
#include <string.h>

static int made;

static void *make(void *arg)
{
	made++;
	return arg;
}

/* As the collector will do it. */
static void collect(void)
{
	gort_runtime *rt = gort_self();

	rt_self()->locks++;
	rt_stop_world(rt, RT_STW_WATCH);
	rt->up.pool_cleanup(rt);
	rt_start_world(rt);
	rt_self()->locks--;
}

static void *object(void)
{
	return gort_alloc(16, 0);
}

static void basics(void *arg)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL), q = GORT_POOL_INIT(make, &p);
	void *a = object(), *b = object(), *c = object();

	(void)arg;
	made = 0;
	CHECK(gort_pool_get(&p) == NULL);
	CHECK(gort_pool_get(&q) == &p && made == 1);
	gort_pool_put(&p, NULL);
	CHECK(gort_pool_get(&p) == NULL);
	gort_pool_put(&p, a);
	gort_pool_put(&p, b);
	gort_pool_put(&p, c);
	/* Its own first, then the one put last. */
	CHECK(gort_pool_get(&p) == a && gort_pool_get(&p) == c && gort_pool_get(&p) == b);
	CHECK(gort_pool_get(&p) == NULL);
	CHECK(GORT_TYPE(gort_pool) == GORT_TYPE(gort_pool));
	CHECK(gort_type_size(GORT_TYPE(gort_pool)) == sizeof p);
}

static void test_basics(void **state)
{
	(void)state;
	run_in_order(basics);
}

enum { MANY = 1000 };

static void generations(void *arg)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL), idle = GORT_POOL_INIT(NULL, NULL), next;
	int got = 0;

	(void)arg;
	for (int i = 0; i < MANY; i++)
		gort_pool_put(&p, object());
	gort_pool_put(&idle, object());
	collect();
	for (int i = 0; i < MANY / 2; i++)
		got += gort_pool_get(&p) != NULL;
	CHECK(got == MANY / 2); /* they survive one */
	gort_pool_put(&p, object());
	collect();
	CHECK(gort_pool_get(&p) != NULL); /* put after the first */
	CHECK(gort_pool_get(&p) == NULL); /* the rest did not survive the second */
	CHECK(gort_pool_get(&idle) == NULL);
	/* The record of a pool that was idle serves others, and the pool is as new. */
	gort_pool_put(&idle, object());
	collect();
	collect();
	next = (gort_pool)GORT_POOL_INIT(NULL, NULL);
	gort_pool_put(&next, object());
	CHECK(next.opaque[0] == idle.opaque[0] || next.opaque[0] == p.opaque[0]);
	CHECK(gort_pool_get(&idle) == NULL);
	CHECK(gort_pool_get(&next) != NULL);
	CHECK(gort_pool_get(&next) == NULL);
}

static void test_generations(void **state)
{
	(void)state;
	run_in_order(generations);
}

/* A pool whose memory is gone is nobody's concern. */
static void in_frame(void)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL);

	gort_pool_put(&p, object());
	memset(&p, 0xa5, sizeof p);
}

static void vanish(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		in_frame();
		if (i % 10 == 0)
			collect();
	}
	collect();
	collect();
}

static void test_pool_may_vanish(void **state)
{
	(void)state;
	run_all(vanish);
}

/* ---- Many Ps -------------------------------------------------------------------------------------- */

enum { WORKERS = 8, ROUNDS = 3000, HANDS = 24 };

typedef struct item {
	rt_atomic32 owners;
} item;

static gort_pool shared;
static gort_waitgroup wg;
static rt_atomic64 items;

static void worker(void *arg)
{
	item *hand[HANDS];
	int n = 0, me = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		if ((i / HANDS + me) % 2 == 0 ? n < HANDS : n == 0) {
			item *it = gort_pool_get(&shared);

			if (it == NULL) {
				it = object();
				rt_add64_full(&items, 1);
			}
			CHECK(rt_add32_full(&it->owners, 1) == 0);
			hand[n++] = it;
		} else {
			n--;
			CHECK(rt_add32_full(&hand[n]->owners, (uint32_t)-1) == 1);
			gort_pool_put(&shared, hand[n]);
		}
		if (i % 16 == me)
			gort_gosched();
		if (i % 500 == 0 && me == 3)
			collect();
		if (i % 700 == 0 && me == 4)
			gort_gomaxprocs(1 + i / 700 % 4);
	}
	while (n > 0) {
		n--;
		rt_add32_full(&hand[n]->owners, (uint32_t)-1);
		gort_pool_put(&shared, hand[n]);
	}
	gort_waitgroup_done(&wg);
}

static void many(void *arg)
{
	(void)arg;
	shared = (gort_pool)GORT_POOL_INIT(NULL, NULL);
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		gort_go(worker, (void *)(intptr_t)i);
	gort_waitgroup_wait(&wg);
}

static void test_no_object_has_two_owners(void **state)
{
	(void)state;
	run_all(many);
}

/* ---- The chain: one owner, thieves on threads, every object comes out once --------------------------- */

enum { OBJECTS = 200000, THIEVES = 2 };

static rt_poolchain chain;
static rt_atomic32 taken[OBJECTS + 1], pushing;
static rt_poolring *rings[64];
static int nrings;

static void take(void *obj)
{
	rt_add32_full(&taken[(uintptr_t)obj], 1);
}

/* Threads of a runtime without a collection: stores look there whether one marks. */
static gort_runtime quiet;
static rt_m quiet_m = { .rt = &quiet };

static void thief(void *arg)
{
	rt_self_set(&quiet_m);
	void *obj;

	(void)arg;
	for (;;) {
		bool last = rt_load32_acq(&pushing) == 0; /* before the look that finds nothing */

		while ((obj = rt_poolchain_steal(&chain)) != NULL)
			take(obj);
		if (last)
			return;
	}
}

static void push(uintptr_t i)
{
	rt_poolring *spare = NULL;

	while (!rt_poolchain_push(&chain, (void *)i, &spare)) {
		uint32_t n = rt_poolchain_want(&chain);

		spare = rings[nrings++] = calloc(1, rt_poolring_bytes(n));
		rt_poolring_init(spare, n);
	}
}

static void test_chain(void **state)
{
	be_thread thieves[THIEVES];

	(void)state;
	rt_self_set(&quiet_m);
	rt_store32_rel(&pushing, 1);
	for (int i = 0; i < THIEVES; i++)
		assert_int_equal(be_thread_start(&thieves[i], thief, NULL, 0), 0);
	for (uintptr_t i = 1; i <= OBJECTS; i++) {
		push(i);
		for (uintptr_t k = i % 7; k > 4; k--) { /* also what it pushed before */
			void *obj = rt_poolchain_pop(&chain);

			if (obj != NULL)
				take(obj);
		}
	}
	rt_store32_rel(&pushing, 0);
	for (int i = 0; i < THIEVES; i++)
		be_thread_join(&thieves[i]);
	assert_null(rt_poolchain_pop(&chain));
	rt_self_set(NULL);
	for (int i = 1; i <= OBJECTS; i++)
		assert_int_equal(rt_load32_rlx(&taken[i]), 1);
	while (nrings > 0)
		free(rings[--nrings]);
}

/* ---- Without memory -------------------------------------------------------------------------------- */

static void first_put(void *arg)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL);

	gort_pool_put(&p, arg);
	gort_pool_put(&p, arg);
}

static void test_out_of_memory(void **state)
{
	char debug[32];
	gort_config cfg;
	gort_runtime *rt;
	int failed = 0, r = -1;
	static int object;

	(void)state;
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 1;
	cfg.debug = debug;
	for (int n = 1; n < 200 && (r != 0 || failed == 0); n++) {
		snprintf(debug, sizeof debug, "oomfail=%d", n);
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, first_put, &object);
		if (r != 0) {
			assert_int_equal(r, GORT_ENOMEM);
			failed++;
		}
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_true(failed > 0);
	assert_int_equal(r, 0);
}

/* ---- The next runtime ------------------------------------------------------------------------------ */

static void *letter(void *arg)
{
	char *p = gort_alloc(1, GORT_NOSCAN);

	*p = *(const char *)arg;
	return p;
}

static gort_pool as = GORT_POOL_INIT(letter, (void *)"a"), bs = GORT_POOL_INIT(letter, (void *)"b");

static void uses_both(void *arg)
{
	gort_pool *first = arg, *second = arg == &as ? &bs : &as;

	for (int i = 0; i < 2; i++) {
		char *p = gort_pool_get(i == 0 ? first : second);

		CHECK(*p == ((i == 0) == (first == &as) ? 'a' : 'b'));
		gort_pool_put(i == 0 ? first : second, p);
	}
}

/* A pool of the program's outlives runtimes: it names records of one that is gone, whose numbers another has. */
static void test_next_runtime(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		run_on(1 + i % 2, uses_both, i % 2 ? &as : &bs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_pool_may_vanish),
		cmocka_unit_test(test_no_object_has_two_owners),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_next_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
