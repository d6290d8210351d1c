/* gort_sema, and the table of addresses under it. */
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include "core/base/rand.h"

#include <string.h>

enum { MANY = 64, ROUNDS = 2000 };

static gort_sema sema, other;
static gort_waitgroup wg;
static int order[MANY], norder, results[MANY];

static void take(void *arg)
{
	gort_sema_acquire(&sema);
	order[norder++] = (int)(intptr_t)arg; /* one P */
	gort_waitgroup_done(&wg);
}

static void counting(void *arg)
{
	(void)arg;
	sema = (gort_sema){ { 0 } };
	CHECK(!gort_sema_try_acquire(&sema));
	CHECK(gort_sema_acquire_until(&sema, 0) == GORT_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		gort_sema_release(&sema);
	CHECK(gort_sema_acquire_until(&sema, 0) == 0); /* a moment in the past still tries */
	CHECK(gort_sema_try_acquire(&sema));
	gort_sema_acquire(&sema);
	CHECK(!gort_sema_try_acquire(&sema));
	CHECK(gort_sema_acquire_until(&sema, gort_nanotime() + 100 * GORT_MICROSECOND) ==
	      GORT_ETIMEDOUT);
	CHECK(sema.opaque[0] == 0);
}

static void test_counting(void **state)
{
	(void)state;
	run_all(counting);
}

/* Who comes while others wait goes behind them, also one that only tries. */
static void fifo(void *arg)
{
	(void)arg;
	sema = (gort_sema){ { 0 } };
	wg = (gort_waitgroup)GORT_INIT;
	norder = 0;
	gort_waitgroup_add(&wg, MANY);
	for (int i = 0; i < MANY; i++) {
		gort_go(take, (void *)(intptr_t)i);
		settle();
	}
	for (int i = 0; i < MANY; i++) {
		gort_sema_release(&sema);
		CHECK(sema.opaque[0] == 0);
		CHECK(!gort_sema_try_acquire(&sema));
		YIELD_UNTIL(norder != i); /* else the one woken last runs first */
	}
	gort_waitgroup_wait(&wg);
	CHECK(norder == MANY);
	for (int i = 0; i < MANY; i++)
		CHECK(order[i] == i);
}

static void test_first_come_first_served(void **state)
{
	(void)state;
	run_in_order(fifo);
}

static void take_until(void *arg)
{
	int me = (int)(intptr_t)arg;

	results[me] = gort_sema_acquire_until(&sema, gort_nanotime() + GORT_MILLISECOND);
	gort_waitgroup_done(&wg);
}

/* Those that give up leave no gap: the next one in the queue gets the token. */
static void giving_up(void *arg)
{
	(void)arg;
	sema = (gort_sema){ { 0 } };
	wg = (gort_waitgroup)GORT_INIT;
	norder = 0;
	results[0] = results[2] = 1;
	gort_waitgroup_add(&wg, 4);
	gort_go(take_until, (void *)0);
	settle();
	gort_go(take, (void *)1);
	settle();
	gort_go(take_until, (void *)2);
	settle();
	gort_go(take, (void *)3);
	settle();
	while (results[0] == 1 || results[2] == 1)
		gort_sleep(GORT_MILLISECOND);
	CHECK(results[0] == GORT_ETIMEDOUT && results[2] == GORT_ETIMEDOUT);
	gort_sema_release(&sema);
	YIELD_UNTIL(norder != 0);
	gort_sema_release(&sema);
	gort_waitgroup_wait(&wg);
	CHECK(norder == 2 && order[0] == 1 && order[1] == 3);
	CHECK(sema.opaque[0] == 0);
}

static void test_giving_up(void **state)
{
	(void)state;
	run_in_order(giving_up);
}

/* Tokens are neither lost nor made, whoever comes first. */
static rt_atomic64 got;

static void consumer(void *arg)
{
	rt_rand r;

	rt_rand_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t d = gort_nanotime() + (int64_t)rt_rand_below(&r, 20) * GORT_MICROSECOND;

		switch (rt_rand_below(&r, 3)) {
		case 0:
			if (gort_sema_acquire_until(&sema, d) != 0)
				continue;
			break;
		case 1:
			if (!gort_sema_try_acquire(&sema))
				continue;
			break;
		default:
			if (gort_sema_acquire_until(&sema, GORT_FOREVER) != 0)
				CHECK(!"a wait without an end ended");
		}
		rt_add64_full(&got, 1);
		gort_sema_release(&sema);
		gort_sema_release(&other); /* perhaps the same bucket, never the same queue */
	}
	gort_waitgroup_done(&wg);
}

static void balance(void *arg)
{
	(void)arg;
	sema = other = (gort_sema){ { 0 } };
	wg = (gort_waitgroup)GORT_INIT;
	rt_store64_rlx(&got, 0);
	gort_waitgroup_add(&wg, 8);
	for (int i = 0; i < 8; i++)
		gort_go(consumer, (void *)(intptr_t)(i + 1));
	gort_sema_release(&sema);
	gort_sema_release(&sema);
	gort_waitgroup_wait(&wg);
	CHECK(sema.opaque[0] == 2);
	CHECK(other.opaque[0] == rt_load64_rlx(&got));
}

static void test_balance(void **state)
{
	(void)state;
	run_all(balance);
}

/* Thousands of addresses, so that every bucket's tree is large; woken in another order than they came. */
enum { ADDRESSES = 5000, EACH = 2 };
static gort_sema semas[ADDRESSES];
static int woken[ADDRESSES], started;

static void wait_at(void *arg)
{
	int i = (int)(intptr_t)arg;

	started++;
	gort_sema_acquire(&semas[i]);
	woken[i]++;
	gort_waitgroup_done(&wg);
}

static void addresses(void *arg)
{
	int at = 0;

	(void)arg;
	memset(semas, 0, sizeof semas);
	memset(woken, 0, sizeof woken);
	started = 0;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, ADDRESSES * EACH);
	for (int i = 0; i < ADDRESSES * EACH; i++)
		gort_go(wait_at, (void *)(intptr_t)(i % ADDRESSES));
	YIELD_UNTIL(started >= ADDRESSES * EACH);
	for (int i = 0; i < ADDRESSES; i++) {
		at = (at + 3001) % ADDRESSES; /* coprime: each once */
		gort_sema_release(&semas[at]);
		YIELD_UNTIL(woken[at] != 0);
		CHECK(woken[at] == 1);
	}
	for (int i = 0; i < ADDRESSES; i++)
		gort_sema_release(&semas[i]);
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < ADDRESSES; i++)
		CHECK(woken[i] == EACH && semas[i].opaque[0] == 0);
}

static void test_many_addresses(void **state)
{
	(void)state;
	run_in_order(addresses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
