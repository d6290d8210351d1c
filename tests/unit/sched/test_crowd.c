/* The policy of crowd.h, on machines of our own: how many events one thread and several handle in a millisecond. */
#include "core/sched/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct machine {
	rt_crowd c;
	int64_t now;
	uint64_t events;
	unsigned one, several; /* events in a millisecond */
	int alone;             /* milliseconds so far with one thread */
	int changes;
	bool was;
} machine;

/* So many milliseconds; the part of each 8 samples that finds it full. */
static void pass(machine *m, int ms, int full)
{
	m->alone = m->changes = 0;
	for (int i = 0; i < ms; i++) {
		bool alone;

		m->now += RT_CROWD_SAMPLE;
		m->events += m->was ? m->one : m->several;
		alone = rt_crowd_step(&m->c, i % 8 < full, m->events, m->now);
		m->changes += alone != m->was;
		m->was = alone;
		m->alone += alone;
	}
}

static void test_room(void **state)
{
	machine m = { .one = 200, .several = 100 };

	(void)state;
	pass(&m, 5000, 4); /* half of the time */
	assert_int_equal(m.alone, 0);
}

/* The clients are here: the same is done, or less. */
static void test_one_is_enough(void **state)
{
	(void)state;
	for (unsigned several = 50; several <= 110; several += 30) {
		machine m = { .one = 100, .several = several, .now = 12345 };

		pass(&m, 200, 8);
		assert_in_range(m.alone, 50, 180);
		pass(&m, 10000, 8);
		assert_in_range(m.alone, 9000, 9999); /* it is still tried now and then */
		assert_in_range(m.changes, 10, 40);
		pass(&m, 1000, 7); /* a moment of room is no reason */
		assert_in_range(m.alone, 900, 1000);
	}
}

/* Strangers: each thread gets its share. */
static void test_several_are_better(void **state)
{
	machine m = { .one = 100, .several = 130 };

	(void)state;
	pass(&m, 10000, 8);
	assert_in_range(m.alone, 1, 1000);
	m.several = 90; /* they have gone, and the clients are here */
	pass(&m, 1500, 8);
	pass(&m, 10000, 8);
	assert_in_range(m.alone, 9000, 9999);
}

/* What was found out is remembered for a second. */
static void test_room_for_a_while(void **state)
{
	machine m = { .one = 100, .several = 100 };

	(void)state;
	pass(&m, 3000, 8);
	assert_true(m.was);
	pass(&m, 100, 0);
	assert_false(m.was);
	assert_in_range(m.alone, 5, 30);
	pass(&m, 100, 8);
	assert_int_equal(m.changes, 1);
	assert_in_range(m.alone, 70, 95);
	pass(&m, 2000, 0);
	pass(&m, 70, 8); /* to begin with, several */
	assert_int_equal(m.changes, m.alone > 0);
	assert_in_range(m.alone, 0, 15);
}

/* Nothing comes: nobody is better. */
static void test_nothing_happens(void **state)
{
	machine m = {0};

	(void)state;
	pass(&m, 3000, 8);
	assert_in_range(m.alone, 2000, 2990);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_one_is_enough),
		cmocka_unit_test(test_several_are_better),
		cmocka_unit_test(test_room_for_a_while),
		cmocka_unit_test(test_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
