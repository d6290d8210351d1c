/* Cond. */
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include "core/base/rand.h"

#include <string.h>

enum { WAITERS = 10 };

static gort_mutex mu;
static gort_cond cond;
static gort_waitgroup wg;
static int order[WAITERS], norder, results[WAITERS];

static void waiter(void *arg)
{
	gort_mutex_lock(&mu);
	gort_cond_wait(&cond, &mu);
	CHECK(!gort_mutex_try_lock(&mu));
	order[norder++] = (int)(intptr_t)arg;
	gort_mutex_unlock(&mu);
}

static void timed(void *arg)
{
	int me = (int)(intptr_t)arg;

	gort_mutex_lock(&mu);
	results[me] = gort_cond_wait_until(&cond, &mu, gort_nanotime() + GORT_MILLISECOND);
	CHECK(!gort_mutex_try_lock(&mu));
	order[norder++] = me;
	gort_mutex_unlock(&mu);
}

static void start(gort_func fn, int me)
{
	gort_go(fn, (void *)(intptr_t)me);
	settle();
}

static void begin(void)
{
	mu = (gort_mutex)GORT_INIT;
	cond = (gort_cond)GORT_INIT;
	norder = 0;
	memset(results, 0, sizeof results);
}

static void fifo(void *arg)
{
	(void)arg;
	begin();
	gort_cond_signal(&cond); /* to nobody: it is not kept */
	gort_cond_broadcast(&cond);
	for (int i = 0; i < WAITERS; i++)
		start(waiter, i);
	for (int i = 0; i < 3; i++) {
		gort_cond_signal(&cond);
		CHECK(norder == i);
		YIELD_UNTIL(norder != i);
		CHECK(norder == i + 1 && order[i] == i);
	}
	gort_cond_broadcast(&cond);
	YIELD_UNTIL(norder >= WAITERS);
	gort_cond_signal(&cond);
	CHECK(gort_mutex_try_lock(&mu));
}

static void test_order(void **state)
{
	(void)state;
	run_in_order(fifo);
}

/* A signal goes to the first that still waits. */
static void giving_up(void *arg)
{
	(void)arg;
	begin();
	start(timed, 0);
	start(waiter, 1);
	start(timed, 2);
	start(waiter, 3);
	while (norder < 2)
		gort_sleep(GORT_MILLISECOND);
	CHECK(results[0] == GORT_ETIMEDOUT && results[2] == GORT_ETIMEDOUT);
	gort_cond_signal(&cond);
	YIELD_UNTIL(norder >= 3);
	gort_cond_signal(&cond);
	YIELD_UNTIL(norder >= 4);
	CHECK(order[2] == 1 && order[3] == 3);
	gort_mutex_lock(&mu);
	CHECK(gort_cond_wait_until(&cond, &mu, 0) == GORT_ETIMEDOUT);
	CHECK(!gort_mutex_try_lock(&mu));
	gort_mutex_unlock(&mu);
}

static void test_giving_up(void **state)
{
	(void)state;
	run_in_order(giving_up);
}

/* Releasing the mutex may yield to a starving waiter, and that one may signal: before we have parked, but
 * after we have taken our place. One P, so everything happens in this order. */
static void starving_signaller(void *arg)
{
	(void)arg;
	gort_mutex_lock(&mu);
	order[norder++] = 1;
	gort_cond_signal(&cond);
	gort_mutex_unlock(&mu);
}

static void early_signal(void *arg)
{
	(void)arg;
	begin();
	gort_mutex_lock(&mu);
	start(starving_signaller, 0);
	gort_sleep(2 * GORT_MILLISECOND);
	gort_mutex_unlock(&mu);
	gort_mutex_lock(&mu); /* the woken one finds it taken again, after more than 1 ms */
	settle();
	CHECK(norder == 0);
	gort_cond_wait(&cond, &mu);
	CHECK(norder == 1);
	CHECK(!gort_mutex_try_lock(&mu));
	gort_mutex_unlock(&mu);
}

static void test_signal_before_parking(void **state)
{
	(void)state;
	run_in_order(early_signal);
}

/* A queue with room for three. Everybody has a deadline now and then, nothing is lost or made. */
enum { ROOM = 3, PER = 400, SIDES = 6 };
static gort_cond notfull, notempty;
static int64_t items, put_sum, got_sum;
static int64_t ring[ROOM];

static int wait_for(gort_cond *c, rt_rand *r)
{
	if (rt_rand_below(r, 3) != 0) {
		gort_cond_wait(c, &mu);
		return 0;
	}
	return gort_cond_wait_until(c, &mu,
	                            gort_nanotime() +
	                                    (int64_t)rt_rand_below(r, 30) * GORT_MICROSECOND);
}

static void producer(void *arg)
{
	rt_rand r;

	rt_rand_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < PER; i++) {
		gort_mutex_lock(&mu);
		while (items == ROOM)
			(void)wait_for(&notfull, &r);
		ring[items++] = i;
		put_sum += i;
		gort_cond_signal(&notempty);
		gort_mutex_unlock(&mu);
	}
	gort_waitgroup_done(&wg);
}

static void consumer(void *arg)
{
	rt_rand r;

	rt_rand_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < PER; i++) {
		gort_mutex_lock(&mu);
		while (items == 0)
			(void)wait_for(&notempty, &r);
		got_sum += ring[--items];
		gort_mutex_unlock(&mu);
		gort_cond_signal(&notfull); /* without the mutex */
	}
	gort_waitgroup_done(&wg);
}

static void queue(void *arg)
{
	(void)arg;
	begin();
	notfull = notempty = (gort_cond)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	items = put_sum = got_sum = 0;
	gort_waitgroup_add(&wg, 2 * SIDES);
	for (int i = 0; i < SIDES; i++) {
		gort_go(producer, (void *)(intptr_t)(i + 1));
		gort_go(consumer, (void *)(intptr_t)(i + 100));
	}
	gort_waitgroup_wait(&wg);
	CHECK(put_sum == got_sum && items == 0);
}

static void test_queue(void **state)
{
	(void)state;
	run_all(queue);
}

static void use_copy(void *arg)
{
	gort_cond_signal(arg);
}

static void copies(void *arg)
{
	gort_cond copy;
	gort_eface v;
	gort_string s;

	(void)arg;
	begin();
	gort_cond_signal(&cond);
	copy = cond;
	CHECK(gort_try(use_copy, &copy, &v) == 1);
	s = gort_panic_text(v);
	CHECK(s.len == 19 && memcmp(s.ptr, "sync.Cond is copied", 19) == 0);
}

static void test_copy(void **state)
{
	(void)state;
	run_all(copies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_signal_before_parking),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
