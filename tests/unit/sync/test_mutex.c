/* Mutex: exclusion, deadlines, the two modes. */
#include "core/sched/sched_inline.h"
#include "tests/support/goroutines.h"
#include "tests/support/program.h"

#include <stdbool.h>
#include <string.h>

enum { WORKERS = 16, ROUNDS = 500 };
static gort_mutex mu;

/* The state word as mutex.c has it: a test of the mode cannot do without. */
enum { LOCKED = 1, WOKEN = 2, STARVING = 4, ASKED = 8, SHARED = 16, WAITER = 32 };

/* But for SHARED, which it is from the first wait on. */
static uint32_t state(void)
{
	return rt_load32_acq((rt_atomic32 *)&mu.opaque[0]) & ~(uint32_t)SHARED;
}

static gort_waitgroup wg;
static int64_t counter, holders;

static void locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		gort_mutex_lock(&mu);
		CHECK(++holders == 1);
		counter++;
		if (i % 7 == 0)
			gort_gosched(); /* others pile up */
		holders--;
		gort_mutex_unlock(&mu);
	}
	gort_waitgroup_done(&wg);
}

static void exclusion(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	counter = holders = 0;
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		gort_go(locker, NULL);
	gort_waitgroup_wait(&wg);
	CHECK(counter == WORKERS * ROUNDS);
	CHECK(gort_mutex_try_lock(&mu));
	CHECK(!gort_mutex_try_lock(&mu));
	CHECK(gort_mutex_lock_until(&mu, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	gort_mutex_unlock(&mu);
	CHECK(gort_mutex_lock_until(&mu, 0) == 0);
	gort_mutex_unlock(&mu);
}

static void test_mutex(void **state)
{
	(void)state;
	run_all(exclusion);
}

static void impatient(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int64_t d = gort_nanotime() + (i % 4) * 10 * GORT_MICROSECOND;

		if (gort_mutex_lock_until(&mu, d) != 0)
			continue;
		CHECK(++holders == 1);
		counter++;
		gort_gosched();
		holders--;
		gort_mutex_unlock(&mu);
	}
	gort_waitgroup_done(arg);
}

/* Waiters that give up take nothing with them: everybody gets through in the end. */
static void deadlines(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	wg = (gort_waitgroup)GORT_INIT;
	holders = 0;
	gort_waitgroup_add(&wg, 2 * WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		gort_go(locker, NULL);
		gort_go(impatient, &wg);
	}
	gort_waitgroup_wait(&wg);
	CHECK(gort_mutex_try_lock(&mu));
	CHECK(state() == LOCKED && mu.opaque[1] == 0); /* no waiter and no token is left */
}

static void test_mutex_deadlines(void **state)
{
	(void)state;
	run_all(deadlines);
}

static void unlock_unlocked(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	gort_mutex_unlock(&mu);
}

static void try_unlock(void *arg)
{
	*(int *)arg = gort_try(unlock_unlocked, NULL, NULL);
}

static void test_unlock_of_unlocked_is_fatal(void **state)
{
	int r = -1;

	(void)state;
	assert_int_equal(program(2, try_unlock, &r), GORT_EFATAL);
	assert_int_equal(r, -1); /* gort_try does not stop it */
	assert_non_null(strstr(program_error, "fatal error: sync: unlock of unlocked mutex"));
}

/* ---- Starvation mode --------------------------------------------------------------------------- */

static int order[8], norder;
static int results[8];

static void take(void *arg)
{
	int me = (int)(intptr_t)arg;

	gort_mutex_lock(&mu);
	order[norder++] = me;
	gort_mutex_unlock(&mu);
}

static void take_soon(void *arg)
{
	int me = (int)(intptr_t)arg;

	results[me] = gort_mutex_lock_until(&mu, gort_nanotime() + 5 * GORT_SECOND);
	order[norder++] = me;
	if (results[me] == 0)
		gort_mutex_unlock(&mu);
}

/* Main holds mu, and the goroutine 0 has waited for more than 1 ms and found it taken again. One P: a
 * goroutine runs when main lets it, and until it blocks. */
static void starve(gort_func victim)
{
	mu = (gort_mutex)GORT_INIT;
	norder = 0;
	gort_mutex_lock(&mu);
	gort_go(victim, (void *)0);
	YIELD_UNTIL(state() == (LOCKED | WAITER)); /* on a busy machine a sleep may be over before it begins to wait */
	gort_sleep(2 * GORT_MILLISECOND);
	CHECK(state() == (LOCKED | WAITER));
	gort_mutex_unlock(&mu);
	CHECK(state() == WOKEN);
	gort_mutex_lock(&mu); /* the woken one has not run yet */
	settle();
	CHECK(state() == (LOCKED | STARVING | WAITER));
}

static void starvation(void *arg)
{
	(void)arg;
	starve(take);
	gort_go(take, (void *)1);
	settle();
	gort_go(take, (void *)2);
	settle();
	CHECK(state() == (LOCKED | STARVING | 3 * WAITER));
	CHECK(norder == 0);
	gort_mutex_unlock(&mu);
	/* Handed over: it ran before we went on. */
	CHECK(norder >= 1 && order[0] == 0);
	YIELD_UNTIL(norder >= 3);
	CHECK(norder == 3 && order[1] == 1 && order[2] == 2);
	CHECK(state() == 0 && mu.opaque[1] == 0);
}

static void test_starving_waiter_is_handed_the_lock(void **unused)
{
	(void)unused;
	run_in_order(starvation);
}

/* While it is handed over nobody else can have it, not even by trying. */
static void starving_try(void *arg)
{
	(void)arg;
	starve(take);
	CHECK(!gort_mutex_try_lock(&mu));
	mu.opaque[0] &= ~(uint32_t)LOCKED;
	CHECK(!gort_mutex_try_lock(&mu));
	CHECK(gort_mutex_lock_until(&mu, 0) == GORT_ETIMEDOUT);
	CHECK(state() == (STARVING | WAITER));
	mu.opaque[0] |= LOCKED;
	gort_mutex_unlock(&mu);
	CHECK(norder == 1 && state() == 0 && mu.opaque[1] == 0);
}

static void test_no_newcomer_takes_what_is_handed_over(void **unused)
{
	(void)unused;
	run_in_order(starving_try);
}

static void starving_deadline(void *arg)
{
	(void)arg;
	starve(take_soon);
	gort_mutex_unlock(&mu);
	CHECK(norder == 1 && results[0] == 0);
	CHECK(state() == 0 && mu.opaque[1] == 0);
}

static void test_timed_waiter_is_handed_the_lock(void **unused)
{
	(void)unused;
	run_in_order(starving_deadline);
}

static void brief(void *arg)
{
	results[0] = gort_mutex_lock_until(&mu, gort_nanotime() + 4 * GORT_MILLISECOND);
	(void)arg;
}

/* The last waiter gives up in starvation mode, and takes the mode with it. */
static void starving_gives_up(void *arg)
{
	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	results[0] = 1;
	gort_mutex_lock(&mu);
	gort_go(brief, NULL);
	gort_sleep(2 * GORT_MILLISECOND);
	gort_mutex_unlock(&mu);
	gort_mutex_lock(&mu);
	settle();
	/* STARVING by now, unless the machine slept over the deadline. */
	while (results[0] == 1)
		gort_sleep(GORT_MILLISECOND);
	CHECK(results[0] == GORT_ETIMEDOUT);
	CHECK(state() == LOCKED);
	gort_mutex_unlock(&mu);
	CHECK(state() == 0 && mu.opaque[1] == 0);
}

static void test_last_starving_waiter_gives_up(void **unused)
{
	(void)unused;
	run_in_order(starving_gives_up);
}

/* ---- Given back by a plain store --------------------------------------------------------------- */

enum { FRESH = 1000, TURNS = 3, ROWS = 50, GOERS = 3 };

static uint32_t word(const gort_mutex *m)
{
	return rt_load32_acq((const rt_atomic32 *)&m->opaque[0]);
}

static void waits_once(void *arg)
{
	gort_mutex_lock(arg);
	gort_mutex_unlock(arg);
}

/* SHARED comes with the first wait, and stays. */
static void becomes_shared(void *arg)
{
	uint32_t shared = rt_self()->plain ? SHARED : 0;

	(void)arg;
	mu = (gort_mutex)GORT_INIT;
	gort_mutex_lock(&mu);
	CHECK(word(&mu) == LOCKED);
	gort_mutex_unlock(&mu);
	CHECK(word(&mu) == 0);
	gort_mutex_lock(&mu);
	CHECK(!gort_mutex_try_lock(&mu) && word(&mu) == LOCKED);
	gort_go(waits_once, &mu);
	YIELD_UNTIL(word(&mu) == (LOCKED | WAITER | shared));
	gort_mutex_unlock(&mu);
	YIELD_UNTIL(word(&mu) == shared);
	gort_mutex_lock(&mu);
	CHECK(word(&mu) == (LOCKED | shared));
	gort_mutex_unlock(&mu);
	CHECK(word(&mu) == shared);
}

/* The first wait of many mutexes, while others unlock them: all go through the same row of new ones. */
static struct fresh {
	gort_mutex mutex;
	int inside, count;
} row[FRESH];

static void goes_through(void *arg)
{
	(void)arg;
	for (int i = 0; i < FRESH; i++)
		for (int turn = 0; turn < TURNS; turn++) {
			gort_mutex_lock(&row[i].mutex);
			CHECK(++row[i].inside == 1);
			row[i].count++;
			row[i].inside--;
			gort_mutex_unlock(&row[i].mutex);
		}
}

static void first_waits(void *arg)
{
	(void)arg;
	for (int round = 0; round < ROWS; round++) {
		wg = (gort_waitgroup)GORT_INIT;
		memset(row, 0, sizeof row);
		for (int i = 0; i < GOERS; i++)
			CHECK(gort_waitgroup_go(&wg, goes_through, NULL) == 0);
		gort_waitgroup_wait(&wg);
		for (int i = 0; i < FRESH; i++)
			CHECK(row[i].count == GOERS * TURNS && (word(&row[i].mutex) & ~(uint32_t)SHARED) == 0);
	}
}

static void test_plain_unlock(void **unused)
{
	static const char *const ways[] = { "plainunlock=0", "plainunlock=1", "plainunlock=1,syscallfail=fence:2" };

	(void)unused;
	for (size_t i = 0; i < RT_NELEM(ways); i++)
		for (int procs = 1; procs <= 4; procs *= 2) {
			assert_int_equal(try_on(procs, ways[i], becomes_shared, NULL), 0);
			assert_int_equal(try_on(procs, ways[i], first_waits, NULL), 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_unlock),
		cmocka_unit_test(test_mutex),
		cmocka_unit_test(test_mutex_deadlines),
		cmocka_unit_test(test_unlock_of_unlocked_is_fatal),
		cmocka_unit_test(test_starving_waiter_is_handed_the_lock),
		cmocka_unit_test(test_no_newcomer_takes_what_is_handed_over),
		cmocka_unit_test(test_timed_waiter_is_handed_the_lock),
		cmocka_unit_test(test_last_starving_waiter_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
