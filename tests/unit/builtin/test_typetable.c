/* One descriptor for all that say the same: for threads at once, for very many types, for goroutines that are stopped
 * anywhere, and without memory. */
#include "core/builtin/type_impl.h"

#include "backends/thread/thread.h"
#include "core/sched/sched_impl.h"
#include "tests/support/goroutines.h"
#include "tests/support/types.h"

#include <stdlib.h>
#include <string.h>

typedef struct point {
	int x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, int), GORT_FIELD(point, y, int));

enum { THREADS = 2, ROUNDS = 1000, KINDS = 8 };
static type made[THREADS][ROUNDS][KINDS];
static rt_atomic32 arrived;

static void make_all(void *arg)
{
	type(*mine)[KINDS] = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		char name[16];
		type a, *t = mine[i];

		snprintf(name, sizeof name, "F%u", i);
		rt_add32_full(&arrived, 1); /* both at once, if there are two CPUs */
		for (int turns = 0; rt_load32_acq(&arrived) < (i + 1) * THREADS; turns++)
			if (turns > 10000)
				be_thread_yield();
		a = gort_type_array(GORT_TYPE(point), i + 1000);
		t[0] = a;
		t[1] = gort_type_pointer(a);
		t[2] = gort_type_slice(t[1]);
		t[3] = gort_type_chan(t[2], GORT_SEND);
		t[4] = gort_type_map(t[1], t[3]);
		t[5] = fn(t[4], a, t[1], NULL);
		t[6] = STRUCT({ name, a }, { "G", t[5] });
		t[7] = make_interface(name, t[5], "Z", NULL, NULL, NULL);
	}
}

static void test_threads_agree(void **state)
{
	be_thread t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(be_thread_start(&t[i], make_all, made[i], 0), 0);
	for (int i = 0; i < THREADS; i++)
		be_thread_join(&t[i]);
	for (int i = 1; i < THREADS; i++)
		assert_memory_equal(made[i], made[0], sizeof made[0]);
	for (size_t i = 0; i < ROUNDS; i++)
		for (int k = 0; k < KINDS; k++)
			assert_non_null(made[0][i][k]);
	assert_string_equal(gort_type_name(made[0][5][4]), "map[*[1005]point]chan<- []*[1005]point");
}

enum { VERY_MANY = 1 << 17 };

static int by_hash(const void *a, const void *b)
{
	uint32_t x = (*(const type *)a)->hash, y = (*(const type *)b)->hash;

	return x < y ? -1 : x > y;
}

/* So many that some have the same 32 bits of hash, and are told apart. */
static void test_very_many(void **state)
{
	type *all = calloc(VERY_MANY, sizeof *all);
	int collisions = 0;

	(void)state;
	for (size_t i = 0; i < VERY_MANY; i++)
		all[i] = gort_type_array(GORT_TYPE(uint8_t), i);
	for (size_t i = 0; i < VERY_MANY; i++) {
		assert_int_equal(gort_type_len(all[i]), i);
		assert_ptr_equal(gort_type_array(GORT_TYPE(uint8_t), i), all[i]);
	}
	qsort(all, VERY_MANY, sizeof *all, by_hash);
	for (size_t i = 1; i < VERY_MANY; i++)
		collisions += all[i]->hash == all[i - 1]->hash;
	assert_in_range(collisions, 1, 20);
	free(all);
}

static type by_number(int which, size_t i)
{
	char name[16];

	snprintf(name, sizeof name, "N%zu", i);
	switch (which) {
	case 0:
		return gort_type_pointer(gort_type_array(INT, i));
	case 1:
		return gort_type_slice(gort_type_array(INT, i));
	case 2:
		return gort_type_map(INT, gort_type_array(INT, i));
	case 3:
		return gort_type_chan(gort_type_array(INT, i), BOTH);
	case 4:
		return gort_type_func(&(type){ gort_type_array(INT, i) }, 1, NULL, 0, false);
	case 5:
		return STRUCT({ name, INT });
	case 6:
		return make_interface(name, NULL, NULL, NULL, NULL, NULL);
	default:
		return gort_type_named(name, INT, NULL, 0);
	}
}

/* Goroutines that are stopped anywhere, and dropped there when the run ends. */
enum { NUMBERS = 40, MAKERS = 4, LAPS = 3 };
static rt_atomicptr first[7][NUMBERS];
static rt_atomic32 laps, differ;

static void make_for_ever(void *arg)
{
	size_t base = (size_t)(uintptr_t)arg;

	for (;;) {
		for (size_t i = 0; i < NUMBERS; i++)
			for (int which = 0; which < 7; which++) {
				const void *t = by_number(which, base + i);

				if (!rt_casptr_full(&first[which][i], NULL, (void *)(uintptr_t)t) &&
				    rt_loadptr_acq(&first[which][i]) != t)
					rt_add32_full(&differ, 1);
			}
		rt_add32_full(&laps, 1);
		gort_gosched(); /* for builds that cannot stop it elsewhere */
	}
}

static void makers(void *arg)
{
	for (int i = 0; i < MAKERS; i++)
		CHECK(gort_go(make_for_ever, arg) == 0);
	while (rt_load32_acq(&laps) < LAPS * MAKERS)
		gort_gosched();
}

static void test_stopped(void **state)
{
	(void)state;
	for (uintptr_t run = 0; run < 10; run++) {
		memset(first, 0, sizeof first);
		rt_store32_rlx(&laps, 0);
		assert_int_equal(try_on(1 + (int)run % 2, "preemptall=1", makers, (void *)(600000 + run * NUMBERS)), 0);
		assert_int_equal(rt_load32_acq(&differ), 0);
		for (size_t i = 0; i < NUMBERS; i++) /* from outside, when they are gone */
			for (int which = 0; which < 7; which++)
				assert_ptr_equal(by_number(which, 600000 + run * NUMBERS + i),
				                 rt_loadptr_acq(&first[which][i]));
	}
}

/* ---- Without memory -------------------------------------------------------------------------------- */

/* The n-th allocation from now fails. */
static void fail_at(uint32_t n)
{
	rt_store32_rlx(&gort_self()->debug.oomleft, n);
}

static void without(void *arg)
{
	size_t i = 500000;
	bool two; /* a type and its element */

	(void)arg;
	for (int which = 0; which <= 7; which++, i++) {
		two = which <= 4;
		for (uint32_t n = 1; n <= 1u + two; n++) {
			fail_at(n);
			CHECK(by_number(which, i) == NULL);
		}
		CHECK(rt_load32_rlx(&gort_self()->debug.oomleft) == 0);
		CHECK(by_number(which, i) != NULL);
		fail_at(1); /* what is there needs nothing */
		CHECK((by_number(which, i) != NULL) == (which < 7));
		fail_at(0);
	}
}

static void ends(void *arg)
{
	static gort_type_def def = { "never", 8, 8, NULL, 0, NULL };

	fail_at(1);
	(void)gort_type_define(&def);
	*(bool *)arg = true;
}

static void test_no_memory(void **state)
{
	bool went_on = false;

	(void)state;
	run_on(1, without, NULL);
	assert_int_equal(program(1, ends, &went_on), GORT_ENOMEM);
	assert_false(went_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_agree), cmocka_unit_test(test_very_many),
		cmocka_unit_test(test_stopped), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
