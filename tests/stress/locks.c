/* locks.c: every lock of sync at once, for as long as it is told. locks [SECONDS [SEED]] prints its seed.
 * Workers take the locks in every way there is, give up, are cancelled, hold them for longer than a starving
 * waiter waits, while GOMAXPROCS changes. Exclusion is checked inside, and at the end that nothing is left: no
 * waiter, no token, no reader, and what was put is what was got. */
#include "core/base/rand.h"
#include "core/sched/sched_impl.h"
#include "core/sync/mutex.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 24, MUTEXES = 3, ROOM = 4, TEAM = 6 };

typedef struct worker {
	rt_rand rand;
	int64_t put, got, steps, gave_up;
} worker;

static gort_mutex mutexes[MUTEXES];
static int inside[MUTEXES];
static gort_rwmutex rw;
static rt_atomic32 readers, writers;
static gort_sema sema;          /* ROOM tokens */
static rt_atomic32 holders;
static gort_mutex queue_lock;   /* of a bounded queue */
static gort_cond not_full, not_empty;
static int64_t queue[ROOM];
static int queued;
static gort_pool pool;
static gort_waitgroup wg;
static worker workers[WORKERS];
static int64_t stop_at;

#define MUST(e) ((e) ? (void)0 : broken(#e, __LINE__))

static void broken(const char *what, int line)
{
	fprintf(stderr, "locks: line %d: %s\n", line, what);
	abort();
}

static int64_t soon(worker *w)
{
	return gort_nanotime() + (int64_t)rt_rand_below(&w->rand, 300) * GORT_MICROSECOND;
}

/* With a lock held: mostly at once, sometimes for long enough that others starve. */
static void dawdle(worker *w)
{
	switch (rt_rand_below(&w->rand, 200)) {
	case 0:
		gort_sleep((int64_t)rt_rand_below(&w->rand, 3000) * GORT_MICROSECOND);
		break;
	case 1:
	case 2:
	case 3:
		gort_gosched();
		break;
	}
}

static void use_mutex(worker *w)
{
	uint32_t i = rt_rand_below(&w->rand, MUTEXES);
	gort_mutex *m = &mutexes[i];

	switch (rt_rand_below(&w->rand, 4)) {
	case 0:
		if (!gort_mutex_try_lock(m))
			return;
		break;
	case 1:
		if (gort_mutex_lock_until(m, soon(w)) != 0) {
			w->gave_up++;
			return;
		}
		break;
	default:
		gort_mutex_lock(m);
	}
	MUST(++inside[i] == 1);
	dawdle(w);
	inside[i]--;
	gort_mutex_unlock(m);
}

static void use_rwmutex(worker *w)
{
	bool writes = rt_rand_below(&w->rand, 5) == 0;
	int r = 0;

	switch (rt_rand_below(&w->rand, 3)) {
	case 0:
		r = (writes ? gort_rwmutex_try_lock(&rw) : gort_rwmutex_try_rlock(&rw)) ? 0 : -1;
		break;
	case 1:
		r = writes ? gort_rwmutex_lock_until(&rw, soon(w))
		           : gort_rwmutex_rlock_until(&rw, soon(w));
		break;
	default:
		if (writes)
			gort_rwmutex_lock(&rw);
		else
			gort_rwmutex_rlock(&rw);
	}
	if (r != 0) {
		w->gave_up++;
		return;
	}
	rt_add32_full(writes ? &writers : &readers, 1);
	MUST(rt_load32_acq(&writers) == (uint32_t)writes);
	MUST(!writes || rt_load32_acq(&readers) == 0);
	dawdle(w);
	rt_add32_full(writes ? &writers : &readers, (uint32_t)-1);
	if (writes)
		gort_rwmutex_unlock(&rw);
	else
		gort_rwmutex_runlock(&rw);
}

static void use_sema(worker *w)
{
	switch (rt_rand_below(&w->rand, 3)) {
	case 0:
		if (!gort_sema_try_acquire(&sema))
			return;
		break;
	case 1:
		if (gort_sema_acquire_until(&sema, soon(w)) != 0) {
			w->gave_up++;
			return;
		}
		break;
	default:
		gort_sema_acquire(&sema);
	}
	MUST(rt_add32_full(&holders, 1) < ROOM);
	dawdle(w);
	rt_add32_full(&holders, (uint32_t)-1);
	gort_sema_release(&sema);
}

static void use_queue(worker *w)
{
	bool put = rt_rand_below(&w->rand, 2) == 0;
	gort_cond *mine = put ? &not_full : &not_empty, *theirs = put ? &not_empty : &not_full;
	int64_t until = soon(w);

	gort_mutex_lock(&queue_lock);
	while (queued == (put ? ROOM : 0))
		if (gort_cond_wait_until(mine, &queue_lock, until) != 0) {
			w->gave_up++;
			gort_mutex_unlock(&queue_lock);
			return;
		}
	if (put)
		w->put += queue[queued++] = 1 + rt_rand_below(&w->rand, 100);
	else
		w->got += queue[--queued];
	if (rt_rand_below(&w->rand, 20) == 0)
		gort_cond_broadcast(theirs);
	else
		gort_cond_signal(theirs);
	gort_mutex_unlock(&queue_lock);
}

static void use_pool(worker *w)
{
	rt_atomic32 *it = gort_pool_get(&pool);

	if (it == NULL)
		it = gort_alloc(64, GORT_NOSCAN);
	MUST(rt_add32_full(it, 1) == 0);
	dawdle(w);
	MUST(rt_add32_full(it, (uint32_t)-1) == 1);
	if (rt_rand_below(&w->rand, 10) != 0)
		gort_pool_put(&pool, it);
}

/* A member of a team waits for something that never comes, until somebody cancels. */
static int member(void *arg)
{
	worker *w = arg;

	switch (rt_rand_below(&w->rand, 4)) {
	case 0:
		return gort_sleep_until(GORT_FOREVER);
	case 1:
		return gort_chan_recv_until(NULL, NULL, GORT_FOREVER);
	case 2:
		use_queue(w);
		use_mutex(w);
		return 0;
	default:
		return rt_rand_below(&w->rand, 2) == 0 ? gort_sleep_until(soon(w)) : -20;
	}
}

static void use_group(worker *w)
{
	gort_group g = GORT_INIT;
	worker team[TEAM];

	for (int i = 0; i < TEAM; i++) {
		team[i] = (worker){ 0 };
		rt_rand_seed(&team[i].rand, rt_rand_next(&w->rand));
		MUST(gort_group_go(&g, member, &team[i]) == 0);
	}
	if (rt_rand_below(&w->rand, 2) == 0)
		gort_gosched();
	gort_group_cancel(&g, GORT_ECANCELED);
	(void)gort_group_wait(&g);
	for (int i = 0; i < TEAM; i++) {
		w->put += team[i].put;
		w->got += team[i].got;
	}
}

static void collect(void)
{
	rt_self()->locks++;
	rt_stop_world(gort_self(), RT_STW_WATCH);
	gort_self()->up.pool_cleanup(gort_self());
	rt_start_world(gort_self());
	rt_self()->locks--;
}

static void work(void *arg)
{
	worker *w = arg;

	while (gort_nanotime() < stop_at) {
		switch (rt_rand_below(&w->rand, 16)) {
		case 0:
		case 1:
			use_rwmutex(w);
			break;
		case 2:
		case 3:
			use_sema(w);
			break;
		case 4:
		case 5:
			use_pool(w);
			break;
		case 6:
			use_group(w);
			break;
		case 7:
		case 8:
		case 9:
			use_queue(w);
			break;
		default:
			use_mutex(w);
		}
		w->steps++;
		if (rt_rand_below(&w->rand, 1000) == 0)
			gort_gomaxprocs(1 + (int)rt_rand_below(&w->rand, 4));
		if (rt_rand_below(&w->rand, 2000) == 0)
			collect();
	}
	gort_waitgroup_done(&wg);
}

/* No owner, no waiter, no token; that somebody had to wait once stays in the word. */
static bool free_again(const gort_mutex *m)
{
	return (m->opaque[0] & ~(uint32_t)RT_MUTEX_SHARED) == 0 && m->opaque[1] == 0;
}

static void program(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROOM; i++)
		gort_sema_release(&sema);
	for (int i = 0; i < WORKERS; i++)
		MUST(gort_waitgroup_go(&wg, work, &workers[i]) == 0);
	gort_waitgroup_add(&wg, WORKERS); /* each says done twice */
	gort_waitgroup_wait(&wg);
	while (queued > 0)
		workers[0].got += queue[--queued];
	for (int i = 0; i < MUTEXES; i++)
		MUST(free_again(&mutexes[i]));
	MUST(free_again((const gort_mutex *)&rw)); /* the writers' */
	for (int i = 2; i < 6; i++)
		MUST(rw.opaque[i] == 0);
	MUST(sema.opaque[0] == ROOM);
	MUST(free_again(&queue_lock));
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)gort_nanotime();
	int64_t balance = 0, steps = 0, gave_up = 0;
	gort_runtime *rt;
	gort_config cfg;
	int r;

	printf("locks: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++)
		rt_rand_seed(&workers[i].rand, seed + (uint64_t)i * 7919);
	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.flags |= GORT_SCAN_DATA;
	stop_at = gort_nanotime() + (int64_t)(seconds * (double)GORT_SECOND);
	r = gort_runtime_new(&rt, &cfg);
	if (r == 0)
		r = gort_runtime_run(rt, program, NULL);
	if (r != 0)
		fprintf(stderr, "locks: %s: %s\n", gort_strerror(r), gort_runtime_error(rt));
	for (int i = 0; i < WORKERS; i++) {
		balance += workers[i].put - workers[i].got;
		steps += workers[i].steps;
		gave_up += workers[i].gave_up;
	}
	if (gort_runtime_free(rt) != 0)
		r = -1;
	printf("locks: %lld steps, %lld gave up, balance %lld\n", (long long)steps,
	       (long long)gave_up, (long long)balance);
	return r != 0 || balance != 0;
}
