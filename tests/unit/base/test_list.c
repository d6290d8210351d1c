/* list.h and rand.h, which need no object file. */
#include "core/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/rand.h"

struct item {
	int value;
	rt_list link;
};

static int pop(rt_list *l)
{
	rt_list *n = rt_list_pop_front(l);

	return n != NULL ? RT_LIST_ENTRY(n, struct item, link)->value : -1;
}

static void test_order(void **state)
{
	struct item a = {1}, b = {2}, c = {3};
	rt_list l;

	rt_list_init(&l);
	assert_true(rt_list_empty(&l));
	assert_null(rt_list_pop_front(&l));
	rt_list_push_back(&l, &a.link);
	rt_list_push_back(&l, &b.link);
	rt_list_push_front(&l, &c.link);
	assert_false(rt_list_empty(&l));
	assert_int_equal(pop(&l), 3);
	assert_int_equal(pop(&l), 1);
	assert_int_equal(pop(&l), 2);
	assert_true(rt_list_empty(&l));
}

static void test_remove_twice_is_harmless(void **state)
{
	struct item a = {1}, b = {2}, c = {3};
	rt_list l;

	rt_list_init(&l);
	rt_list_push_back(&l, &a.link);
	rt_list_push_back(&l, &b.link);
	rt_list_push_back(&l, &c.link);
	rt_list_remove(&b.link);
	assert_true(rt_list_empty(&b.link)); /* on no list */
	rt_list_remove(&b.link);
	assert_int_equal(pop(&l), 1);
	assert_int_equal(pop(&l), 3);
	assert_int_equal(pop(&l), -1);
}

static void test_rand_streams(void **state)
{
	rt_rand a, b, same;
	int equal = 0;

	rt_rand_seed(&a, 1);
	rt_rand_seed(&same, 1);
	rt_rand_seed(&b, 2);
	for (int i = 0; i < 1000; i++) {
		uint32_t x = rt_rand_next(&a);

		assert_int_equal(x, rt_rand_next(&same));
		equal += x == rt_rand_next(&b);
	}
	assert_true(equal < 3);
	rt_rand_seed(&a, 0);
	assert_true(a.s != 0);
}

static void test_rand_below_is_even(void **state)
{
	unsigned seen[7] = {0};
	rt_rand r;

	rt_rand_seed(&r, 42);
	for (int i = 0; i < 70000; i++) {
		uint32_t x = rt_rand_below(&r, 7);

		assert_true(x < 7);
		seen[x]++;
	}
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 9500, 10500); /* five standard deviations, one seed */
	for (int i = 0; i < 10; i++)
		assert_int_equal(rt_rand_below(&r, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_remove_twice_is_harmless),
		cmocka_unit_test(test_rand_streams),
		cmocka_unit_test(test_rand_below_is_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
