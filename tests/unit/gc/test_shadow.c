/* gccheckmark=1 says nothing of stores that carry a barrier, whichever, nor of what the runtime does. What it finds:
 * tests/fatal/checkstore.c, tests/stress/json_sites.py. */
#include "tests/support/garbage.h"

enum { SLOTS = 64, ROUNDS = 4000, BIG = 20000 };

static const char stress[] = "gccheckmark=1,gcstress=7";

typedef struct thing {
	void *a, *b;
	uint64_t key;
} thing;
GORT_DEFINE_TYPE(thing, GORT_PTR(thing, a), GORT_PTR(thing, b), GORT_FIELD(thing, key, uint64_t));

static gort_chan *chans[100]; /* more than lie in a frame of select */

static thing *make(uint64_t key)
{
	thing *t = gort_new(GORT_TYPE(thing));

	gort_store(&t->a, gort_alloc(16 + key % 600, 0));
	t->key = key;
	return t;
}

/* Two at once, on the same slots. */
static void stores(void *arg)
{
	thing **shared = arg;
	thing *mine = gort_new_array(GORT_TYPE(thing), SLOTS), copy;
	uint64_t x = 88172645463325252u + (uintptr_t)&mine;

	for (int i = 0; i < ROUNDS; i++) {
		thing **at, *t;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		at = &shared[x % SLOTS];
		t = __atomic_load_n(at, __ATOMIC_ACQUIRE);
		switch (x >> 20 & 7) {
		case 0: case 1:
			gort_store(at, make(x));
			break;
		case 2:
			t = gort_swap(at, make(x));
			gort_store(&shared[x >> 8 & (SLOTS - 1)], t);
			break;
		case 3:
			(void)gort_cas(at, t, make(x));
			break;
		case 4:
			gort_store(at, NULL);
			break;
		case 5:
			copy = (thing){ t, gort_alloc(16, 0), x };
			gort_move(GORT_TYPE(thing), &mine[x >> 8 & (SLOTS - 1)], &copy, 1);
			gort_move(GORT_TYPE(thing), mine, mine + 3, SLOTS - 3);
			break;
		case 6:
			gort_clear(GORT_TYPE(thing), &mine[x >> 8 & (SLOTS - 1)], 1);
			break;
		default:
			gort_store(&mine[x >> 8 & (SLOTS - 1)].b, t);
			gort_store(gort_alloc(BIG, 0), t);
		}
	}
}

static void store(void *arg)
{
	gort_waitgroup wg = GORT_INIT;
	thing **shared = gort_new_array(gort_type_of_void_ptr(), SLOTS);

	(void)arg;
	for (int i = 0; i < 3; i++)
		gort_waitgroup_go(&wg, stores, shared);
	gort_waitgroup_wait(&wg);
}

static void test_barriers(void **state)
{
	(void)state;
	debug = stress;
	in_program(store, NULL);
	debug = NULL;
}

static void *made(void *arg)
{
	(void)arg;
	return make(1);
}

static void sends(void *arg)
{
	uint64_t x = (uintptr_t)arg + 1;

	for (int i = 0; i < 1000; i++) {
		thing *t = make(x);

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		gort_chan_send(chans[x % RT_NELEM(chans)], &t);
	}
}

/* Waiters of a select of many cases lie in the heap, those of channels of pointers hang on heap objects. */
static void run_time(void *arg)
{
	gort_pool pool = { .make = made };
	gort_select_case cases[RT_NELEM(chans)];
	thing *got = NULL;

	(void)arg;
	CHECK(gort_root_add(gort_self(), chans, sizeof chans) == 0);
	for (size_t i = 0; i < RT_NELEM(chans); i++) {
		gort_store(&chans[i], gort_chan_make(gort_type_of_void_ptr(), i % 3));
		cases[i] = (gort_select_case){ .chan = chans[i], .elem = &got, .dir = GORT_RECV };
	}
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(gort_go(sends, (void *)i) == 0);
	for (int i = 0; i < 3000; i++) {
		gort_select(cases, RT_NELEM(cases), GORT_FOREVER);
		gort_pool_put(&pool, got);
		if (i % 3 == 0)
			(void)gort_pool_get(&pool);
	}
	CHECK(gort_root_remove(gort_self(), chans) == 0);
}

static void test_runtime(void **state)
{
	(void)state;
	debug = stress;
	in_program(run_time, NULL);
	debug = NULL;
}

/* Without memory for what it compares with it compares nothing, and all goes on. */
static void test_memory_ends(void **state)
{
	int failed = 0;

	(void)state;
	for (int i = 1; i < 40; i++) {
		gort_runtime *rt;
		gort_config cfg;
		char text[64];
		int r;

		snprintf(text, sizeof text, "%s,oomfail=%d", stress, i);
		gort_config_init(&cfg);
		cfg.procs = 2;
		cfg.debug = text;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, store, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		failed += r == 0;
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_true(failed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_barriers), cmocka_unit_test(test_runtime), cmocka_unit_test(test_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
