/* rt_mutex excludes, rt_note wakes once. */
#include "core/base/lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/throws.h"

enum { THREADS = 4, ROUNDS = 20000 };

static rt_mutex lock;
static long counter;

static void count_up(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		rt_lock(&lock, RT_RANK_sched);
		counter++;
		rt_unlock(&lock, RT_RANK_sched);
	}
}

static void test_mutex_excludes(void **state)
{
	be_thread t[THREADS];

	counter = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(be_thread_start(&t[i], count_up, NULL, 0), 0);
	for (int i = 0; i < THREADS; i++)
		be_thread_join(&t[i]);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_int_equal(rt_load32_rlx(&lock.key), 0);
}

/* The holder keeps the lock until the other has announced that it sleeps (key 2), so the slow path
 * to its end and the wake are certain to run. */
static void take_once(void *arg)
{
	rt_lock(&lock, RT_RANK_sched);
	*(bool *)arg = true;
	rt_unlock(&lock, RT_RANK_sched);
}

static void test_mutex_sleeps_and_wakes(void **state)
{
	bool taken = false;
	be_thread t;

	rt_lock(&lock, RT_RANK_sched);
	assert_int_equal(be_thread_start(&t, take_once, &taken, 0), 0);
	while (rt_load32_rlx(&lock.key) != 2)
		be_thread_yield();
	assert_false(taken);
	rt_unlock(&lock, RT_RANK_sched);
	be_thread_join(&t);
	assert_true(taken);
	assert_int_equal(rt_load32_rlx(&lock.key), 0);
}

static void test_trylock(void **state)
{
	assert_true(rt_trylock(&lock, RT_RANK_sched));
	assert_false(rt_trylock(&lock, RT_RANK_sched));
	rt_unlock(&lock, RT_RANK_sched);
	assert_true(rt_trylock(&lock, RT_RANK_sched));
	rt_unlock(&lock, RT_RANK_sched);
}

static void test_unlock_of_free_lock_throws(void **state)
{
#ifndef NDEBUG
	THROWS("assertion failed: was != 0", rt_unlock(&lock, RT_RANK_sched));
#endif
}

static void test_note_signalled_before_sleep(void **state)
{
	rt_note n;

	rt_note_clear(&n);
	rt_note_wakeup(&n);
	rt_note_sleep(&n);
	assert_true(rt_note_sleep_for(&n, 0));
}

static void test_note_double_wakeup_throws(void **state)
{
	rt_note n;

	rt_note_clear(&n);
	rt_note_wakeup(&n);
	THROWS("double wakeup", rt_note_wakeup(&n));
	rt_note_clear(&n);
	rt_note_wakeup(&n);
}

static void test_note_times_out(void **state)
{
	const int64_t ns = 3000000;
	int64_t begin;
	rt_note n;

	rt_note_clear(&n);
	begin = be_nanotime();
	assert_false(rt_note_sleep_for(&n, ns));
	assert_true(be_nanotime() - begin >= ns);
	assert_false(rt_note_sleep_for(&n, 0));
	rt_note_wakeup(&n);
	assert_true(rt_note_sleep_for(&n, ns));
	assert_true(rt_note_sleep_for(&n, -1));
	assert_true(rt_note_sleep_for(&n, INT64_MAX));
}

/* Two threads hand a number to and fro: each note is slept on before and after its wakeup. */
static struct {
	rt_note ping, pong;
	int value;
} game;

static void other_side(void *arg)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		rt_note_sleep(&game.ping);
		rt_note_clear(&game.ping);
		game.value++;
		rt_note_wakeup(&game.pong);
	}
}

static void test_note_ping_pong(void **state)
{
	be_thread t;

	rt_note_clear(&game.ping);
	rt_note_clear(&game.pong);
	game.value = 0;
	assert_int_equal(be_thread_start(&t, other_side, NULL, 0), 0);
	for (int i = 0; i < ROUNDS / 4; i++) {
		rt_note_wakeup(&game.ping);
		while (!rt_note_sleep_for(&game.pong, i % 2 ? -1 : INT64_C(1000000000)))
			;
		rt_note_clear(&game.pong);
		assert_int_equal(game.value, i + 1);
	}
	be_thread_join(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutex_excludes),
		cmocka_unit_test(test_mutex_sleeps_and_wakes),
		cmocka_unit_test(test_trylock),
		cmocka_unit_test(test_unlock_of_free_lock_throws),
		cmocka_unit_test(test_note_signalled_before_sleep),
		cmocka_unit_test(test_note_double_wakeup_throws),
		cmocka_unit_test(test_note_times_out),
		cmocka_unit_test(test_note_ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
