/* RWMutex: who is let in beside whom, and who gives up. */
#include "core/sync/mutex.h"
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include "core/base/rand.h"

enum { WORKERS = 12, ROUNDS = 800 };

static gort_rwmutex mu;
static gort_waitgroup wg;
static rt_atomic32 readers, writers;
static char trail[16];
static int ntrail;

static void put(char c) /* one P, or under mu */
{
	trail[ntrail++] = c;
	trail[ntrail] = '\0';
}

static void reader(void *arg)
{
	gort_rwmutex_rlock(&mu);
	put(*(char *)arg);
	gort_rwmutex_runlock(&mu);
}

static void writer(void *arg)
{
	gort_rwmutex_lock(&mu);
	put(*(char *)arg);
	gort_rwmutex_unlock(&mu);
}

static void start(gort_func fn, const char *name)
{
	gort_go(fn, (void *)name);
	settle();
}

/* A waiting writer holds back new readers; when a writer unlocks, all readers go before the next. */
static void turns(void *arg)
{
	(void)arg;
	mu = (gort_rwmutex)GORT_INIT;
	ntrail = 0;
	gort_rwmutex_rlock(&mu);
	CHECK(gort_rwmutex_try_rlock(&mu));
	CHECK(!gort_rwmutex_try_lock(&mu));
	start(writer, "W");
	start(writer, "V");
	CHECK(!gort_rwmutex_try_rlock(&mu));
	start(reader, "a");
	start(reader, "b");
	CHECK(ntrail == 0);
	gort_rwmutex_runlock(&mu);
	settle();
	CHECK(ntrail == 0);
	gort_rwmutex_runlock(&mu);
	YIELD_UNTIL(ntrail >= 4);
	CHECK(trail[0] == 'W' && trail[3] == 'V');
	CHECK(gort_rwmutex_try_lock(&mu));
	CHECK(!gort_rwmutex_try_rlock(&mu));
	CHECK(!gort_rwmutex_try_lock(&mu));
	gort_rwmutex_unlock(&mu);
	for (int i = 0; i < 6; i++)
		CHECK((mu.opaque[i] & ~(uint32_t)(i == 0 ? RT_MUTEX_SHARED : 0)) == 0);
}

static void test_turns(void **state)
{
	(void)state;
	run_in_order(turns);
}

static int results[2];

static void impatient_writer(void *arg)
{
	(void)arg;
	results[0] = gort_rwmutex_lock_until(&mu, gort_nanotime() + GORT_MILLISECOND);
	results[1] = 1;
}

static void impatient_reader(void *arg)
{
	(void)arg;
	results[0] = gort_rwmutex_rlock_until(&mu, gort_nanotime() + GORT_MILLISECOND);
	results[1] = 1;
}

/* A writer that gives up lets in the readers that it held back, while the first still reads. */
static void writer_gives_up(void *arg)
{
	(void)arg;
	mu = (gort_rwmutex)GORT_INIT;
	ntrail = results[0] = results[1] = 0;
	gort_rwmutex_rlock(&mu);
	CHECK(gort_rwmutex_lock_until(&mu, 0) == GORT_ETIMEDOUT);
	CHECK(gort_rwmutex_try_rlock(&mu));
	gort_rwmutex_runlock(&mu);
	start(impatient_writer, NULL);
	start(reader, "a");
	start(reader, "b");
	while (!results[1])
		gort_sleep(GORT_MILLISECOND);
	CHECK(results[0] == GORT_ETIMEDOUT);
	YIELD_UNTIL(ntrail >= 2);
	gort_rwmutex_runlock(&mu);
	for (int i = 0; i < 6; i++)
		CHECK((mu.opaque[i] & ~(uint32_t)(i == 0 ? RT_MUTEX_SHARED : 0)) == 0);
}

static void test_writer_gives_up(void **state)
{
	(void)state;
	run_in_order(writer_gives_up);
}

static void reader_gives_up(void *arg)
{
	(void)arg;
	mu = (gort_rwmutex)GORT_INIT;
	results[0] = results[1] = 0;
	gort_rwmutex_lock(&mu);
	CHECK(gort_rwmutex_rlock_until(&mu, 0) == GORT_ETIMEDOUT);
	start(impatient_reader, NULL);
	while (!results[1])
		gort_sleep(GORT_MILLISECOND);
	CHECK(results[0] == GORT_ETIMEDOUT);
	gort_rwmutex_unlock(&mu);
	CHECK(gort_rwmutex_try_lock(&mu)); /* nothing is left of the reader */
	gort_rwmutex_unlock(&mu);
}

static void test_reader_gives_up(void **state)
{
	(void)state;
	run_in_order(reader_gives_up);
}

static void read_once(rt_rand *r)
{
	rt_add32_full(&readers, 1);
	CHECK(rt_load32_acq(&writers) == 0);
	if (rt_rand_below(r, 8) == 0)
		gort_gosched();
	rt_add32_full(&readers, (uint32_t)-1);
	gort_rwmutex_runlock(&mu);
}

static void write_once(rt_rand *r)
{
	CHECK(rt_add32_full(&writers, 1) == 0);
	CHECK(rt_load32_acq(&readers) == 0);
	if (rt_rand_below(r, 8) == 0)
		gort_gosched();
	rt_add32_full(&writers, (uint32_t)-1);
	gort_rwmutex_unlock(&mu);
}

static void worker(void *arg)
{
	rt_rand r;

	rt_rand_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t d = gort_nanotime() + (int64_t)rt_rand_below(&r, 40) * GORT_MICROSECOND;

		switch (rt_rand_below(&r, 8)) {
		case 0:
			gort_rwmutex_lock(&mu);
			write_once(&r);
			break;
		case 1:
			if (gort_rwmutex_lock_until(&mu, d) == 0)
				write_once(&r);
			break;
		case 2:
			if (gort_rwmutex_try_lock(&mu))
				write_once(&r);
			break;
		case 3:
			if (gort_rwmutex_try_rlock(&mu))
				read_once(&r);
			break;
		case 4:
			if (gort_rwmutex_rlock_until(&mu, d) == 0)
				read_once(&r);
			break;
		default:
			gort_rwmutex_rlock(&mu);
			read_once(&r);
			break;
		}
	}
	gort_waitgroup_done(&wg);
}

static void mixture(void *arg)
{
	(void)arg;
	mu = (gort_rwmutex)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		gort_go(worker, (void *)(intptr_t)(i + 1));
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < 6; i++)
		CHECK((mu.opaque[i] & ~(uint32_t)(i == 0 ? RT_MUTEX_SHARED : 0)) == 0);
}

static void test_mixture(void **state)
{
	(void)state;
	run_all(mixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_writer_gives_up),
		cmocka_unit_test(test_reader_gives_up),
		cmocka_unit_test(test_mixture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
