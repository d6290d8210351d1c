/* workloads.c: the gort half of tests/bench/compare. workloads.go is the other half: the same
 * workloads under the same names, written as a user of each would write them, doing the same
 * operations in the same order on as many goroutines. A change here is made there, too.
 *
 *   workloads NAME [N]     GOMAXPROCS in the environment says on how many Ps
 *
 * prints "NAME VALUE UNIT". A workload times N operations from first to last. Without N, the number
 * grows until one measurement lasts MIN_NS, and that last one counts: what came before has warmed
 * caches and pools, as in Go's testing package. Workloads with a fixed size run once. With N (for
 * instr.sh) there is one measurement and no clock decides what runs.
 *
 * What goroutines share lies in main's frame or in static memory; only what Go would allocate is
 * allocated: channels, and the arguments of `go f(a, b)`.
 */
#include "tests/bench/workloads.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MIN_NS (300 * GORT_MILLISECOND)

enum {
	MANY = 1000, BATCH = 100, WORKERS = 8, BUFFER = 128,
	LEAVES = 1000000, FANOUT = 10, FIB = 27, PRIMES = 5000, TIMERS = 1000000, WINDOW = 64,
	NAP = 50 * GORT_MICROSECOND
};

_Noreturn void fail(const char *what)
{
	fprintf(stderr, "workloads: %s\n", what);
	exit(1);
}

static void go(gort_func fn, void *arg)
{
	if (gort_go(fn, arg) != 0)
		fail("no memory for a goroutine");
}

static gort_chan *chan_of_int(size_t cap)
{
	return gort_chan_make(GORT_TYPE(int64_t), cap);
}

/* ---- Yield ---------------------------------------------------------------------------------- */

typedef struct yielders {
	gort_waitgroup wg;
	int64_t each;
} yielders;

static void yielder(void *arg)
{
	yielders *y = arg;

	for (int64_t i = 0; i < y->each; i++)
		gort_gosched();
	gort_waitgroup_done(&y->wg);
}

static int64_t yield_of(int goroutines, int64_t n)
{
	yielders y = { GORT_INIT, n / goroutines };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&y.wg, goroutines);
	for (int i = 0; i < goroutines; i++)
		go(yielder, &y);
	gort_waitgroup_wait(&y.wg);
	return gort_nanotime() - start;
}

static int64_t yield2(int64_t n)
{
	return yield_of(2, n);
}

static int64_t yield1000(int64_t n)
{
	return yield_of(MANY, n);
}

/* ---- Channels ------------------------------------------------------------------------------- */

typedef struct pair {
	gort_chan *ping, *pong;
	int64_t n;
} pair;

/* After its last send the other side goes on, and *arg may be gone: this works on a copy. */
static void ponger(void *arg)
{
	const pair p = *(pair *)arg;

	for (int64_t i = 0; i < p.n; i++) {
		int64_t v;

		gort_chan_recv(p.ping, &v);
		gort_chan_send(p.pong, &v);
	}
}

static int64_t pingpong(int64_t n)
{
	pair p = { chan_of_int(0), chan_of_int(0), n };
	int64_t start = gort_nanotime();

	go(ponger, &p);
	for (int64_t i = 0; i < n; i++) {
		int64_t v;

		gort_chan_send(p.ping, &i);
		gort_chan_recv(p.pong, &v);
		if (v != i)
			fail("pingpong: wrong value");
	}
	return gort_nanotime() - start;
}

typedef struct stream {
	gort_chan *c;
	gort_waitgroup producers, consumers;
	gort_mutex lock;
	int64_t each, sum;
} stream;

static void produce(void *arg)
{
	stream *s = arg;

	for (int64_t i = 0; i < s->each; i++)
		gort_chan_send(s->c, &i);
	gort_waitgroup_done(&s->producers);
}

static void consume(void *arg)
{
	stream *s = arg;
	int64_t v, sum = 0;

	while (gort_chan_recv(s->c, &v))
		sum += v;
	gort_mutex_lock(&s->lock);
	s->sum += sum;
	gort_mutex_unlock(&s->lock);
	gort_waitgroup_done(&s->consumers);
}

static int64_t stream_of(int workers, int64_t n)
{
	stream s = { chan_of_int(BUFFER), GORT_INIT, GORT_INIT, GORT_INIT, n / workers, 0 };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&s.producers, workers);
	gort_waitgroup_add(&s.consumers, workers);
	for (int i = 0; i < workers; i++) {
		go(produce, &s);
		go(consume, &s);
	}
	gort_waitgroup_wait(&s.producers);
	gort_chan_close(s.c);
	gort_waitgroup_wait(&s.consumers);
	start = gort_nanotime() - start;
	if (s.sum != s.each * (s.each - 1) / 2 * workers)
		fail("stream: wrong sum");
	return start;
}

static int64_t spsc(int64_t n)
{
	return stream_of(1, n);
}

static int64_t mpmc(int64_t n)
{
	return stream_of(WORKERS, n);
}

/* ---- Select --------------------------------------------------------------------------------- */

/* Both cases are ready; what was received goes back to where it came from. */
static int64_t select_ready(int64_t n)
{
	gort_chan *c[2] = { chan_of_int(1), chan_of_int(1) };
	int64_t v = 7, start;

	gort_chan_send(c[0], &v);
	gort_chan_send(c[1], &v);
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++) {
		gort_select_case cases[2] = { { c[0], &v, GORT_RECV, false },
			                      { c[1], &v, GORT_RECV, false } };

		gort_chan_send(c[gort_select(cases, 2, GORT_FOREVER)], &v);
	}
	return gort_nanotime() - start;
}

typedef struct quartet {
	gort_chan *ping[2], *pong[2];
	int64_t n;
} quartet;

static int64_t recv_either(gort_chan *const *c)
{
	int64_t v;
	gort_select_case cases[2] = { { c[0], &v, GORT_RECV, false }, { c[1], &v, GORT_RECV, false } };

	(void)gort_select(cases, 2, GORT_FOREVER);
	return v;
}

static void select_ponger(void *arg)
{
	const quartet q = *(quartet *)arg;

	for (int64_t i = 0; i < q.n; i++) {
		int64_t v = recv_either(q.ping);

		gort_chan_send(q.pong[v & 1], &v);
	}
}

/* Ping-pong in which every receive is a select that parks: n / 2 round trips. */
static int64_t select_park(int64_t n)
{
	quartet q = { { chan_of_int(0), chan_of_int(0) }, { chan_of_int(0), chan_of_int(0) }, n / 2 };
	int64_t start = gort_nanotime();

	go(select_ponger, &q);
	for (int64_t i = 0; i < n / 2; i++) {
		gort_chan_send(q.ping[i & 1], &i);
		if (recv_either(q.pong) != i)
			fail("select_park: wrong value");
	}
	return gort_nanotime() - start;
}

static int64_t select_default2(int64_t n)
{
	gort_chan *a = chan_of_int(1), *b = chan_of_int(1);
	int64_t v, start = gort_nanotime();

	for (int64_t i = 0; i < n; i++) {
		gort_select_case cases[2] = { { a, &v, GORT_RECV, false },
			                      { b, &v, GORT_RECV, false } };

		if (gort_select(cases, 2, 0) != GORT_EAGAIN)
			fail("select: something was ready");
	}
	return gort_nanotime() - start;
}

static int64_t select_default8(int64_t n)
{
	gort_chan *c[8];
	int64_t v, start;

	for (int i = 0; i < 8; i++)
		c[i] = chan_of_int(1);
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++) {
		gort_select_case cases[8] = {
			{ c[0], &v, GORT_RECV, false }, { c[1], &v, GORT_RECV, false },
			{ c[2], &v, GORT_RECV, false }, { c[3], &v, GORT_RECV, false },
			{ c[4], &v, GORT_RECV, false }, { c[5], &v, GORT_RECV, false },
			{ c[6], &v, GORT_RECV, false }, { c[7], &v, GORT_RECV, false },
		};

		if (gort_select(cases, 8, 0) != GORT_EAGAIN)
			fail("select: something was ready");
	}
	return gort_nanotime() - start;
}

/* ---- Timers -------------------------------------------------------------------------------- */

static void nothing(void *arg)
{
	(void)arg;
}

/* A million timers that will not fire while we look, at moments spread over an hour. */
static void live_timers(void)
{
	static bool done;
	uint64_t x = 1;

	for (int i = 0; !done && i < TIMERS; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		gort_after_func(3600 * GORT_SECOND + (int64_t)(x >> 22) % (3600 * GORT_SECOND), nothing,
		                NULL);
	}
	done = true;
}

/* Start and stop, at once: what an operation with a timeout does. */
static int64_t timer_startstop(int64_t n)
{
	int64_t start;

	live_timers();
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++)
		if (!gort_timer_stop(gort_after_func(5400 * GORT_SECOND, nothing, NULL)))
			fail("timer: it ran");
	return gort_nanotime() - start;
}

/* The same with others in between, at moments all over the heap. */
static int64_t timer_window(int64_t n)
{
	gort_timer *window[WINDOW] = { NULL };
	uint64_t x = 1;
	int64_t start;

	live_timers();
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++) {
		gort_timer **t = &window[i % WINDOW];

		if (*t != NULL && !gort_timer_stop(*t))
			fail("timer: it ran");
		x = x * 6364136223846793005u + 1442695040888963407u;
		*t = gort_after_func(3600 * GORT_SECOND + (int64_t)(x >> 22) % (3600 * GORT_SECOND),
		                     nothing, NULL);
	}
	for (int i = 0; i < WINDOW; i++)
		if (window[i] != NULL)
			gort_timer_stop(window[i]);
	return gort_nanotime() - start;
}

/* A deadline that is put off again and again. */
static int64_t timer_reset(int64_t n)
{
	gort_timer *t;
	int64_t start;

	live_timers();
	t = gort_after_func(5400 * GORT_SECOND, nothing, NULL);
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++)
		gort_timer_reset(t, 5400 * GORT_SECOND);
	start = gort_nanotime() - start;
	gort_timer_stop(t);
	return start;
}

/* How much later than asked for a sleep of 50 us ends: the sum over n of them. */
static int64_t nap(int64_t n)
{
	int64_t start = gort_nanotime();

	for (int64_t i = 0; i < n; i++)
		gort_sleep(NAP);
	return gort_nanotime() - start - n * NAP;
}

/* ---- Spawn ---------------------------------------------------------------------------------- */

static void done(void *arg)
{
	gort_waitgroup_done(arg);
}

static int64_t spawn(int64_t n)
{
	gort_waitgroup wg = GORT_INIT;
	int64_t start = gort_nanotime();

	for (int64_t i = 0; i < n; i += BATCH) {
		gort_waitgroup_add(&wg, BATCH);
		for (int j = 0; j < BATCH; j++)
			go(done, &wg);
		gort_waitgroup_wait(&wg);
	}
	return gort_nanotime() - start;
}

/* ---- Mutex ---------------------------------------------------------------------------------- */

typedef struct lockers {
	gort_mutex lock;
	gort_waitgroup wg;
	int64_t each, count;
} lockers;

static void locker(void *arg)
{
	lockers *l = arg;

	for (int64_t i = 0; i < l->each; i++) {
		gort_mutex_lock(&l->lock);
		l->count++;
		gort_mutex_unlock(&l->lock);
	}
	gort_waitgroup_done(&l->wg);
}

static int64_t mutex_of(int workers, int64_t n)
{
	lockers l = { GORT_INIT, GORT_INIT, n / workers, 0 };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&l.wg, workers);
	for (int i = 0; i < workers; i++)
		go(locker, &l);
	gort_waitgroup_wait(&l.wg);
	start = gort_nanotime() - start;
	if (l.count != l.each * workers)
		fail("mutex: wrong count");
	return start;
}

static int64_t mutex1(int64_t n)
{
	return mutex_of(1, n);
}

static int64_t mutex8(int64_t n)
{
	return mutex_of(WORKERS, n);
}

/* ---- The other locks -------------------------------------------------------------------------- */

typedef struct turns {
	gort_sema ping, pong;
	gort_mutex lock;
	gort_cond mine, theirs;
	gort_waitgroup wg;
	int turn;
	int64_t n;
} turns;

static void sema_partner(void *arg)
{
	turns *t = arg;

	for (int64_t i = 0; i < t->n; i++) {
		gort_sema_acquire(&t->ping);
		gort_sema_release(&t->pong);
	}
	gort_waitgroup_done(&t->wg);
}

static int64_t sema(int64_t n)
{
	turns t = { .n = n };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&t.wg, 1);
	go(sema_partner, &t);
	for (int64_t i = 0; i < n; i++) {
		gort_sema_release(&t.ping);
		gort_sema_acquire(&t.pong);
	}
	start = gort_nanotime() - start;
	gort_waitgroup_wait(&t.wg);
	return start;
}

/* Waits for its turn, then gives it to the other. */
static void take_turns(turns *t, int me, gort_cond *mine, gort_cond *theirs)
{
	gort_mutex_lock(&t->lock);
	for (int64_t i = 0; i < t->n; i++) {
		while (t->turn != me)
			gort_cond_wait(mine, &t->lock);
		t->turn = 1 - me;
		gort_cond_signal(theirs);
	}
	gort_mutex_unlock(&t->lock);
}

static void cond_partner(void *arg)
{
	turns *t = arg;

	take_turns(t, 1, &t->theirs, &t->mine);
	gort_waitgroup_done(&t->wg);
}

static int64_t cond(int64_t n)
{
	turns t = { .n = n };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&t.wg, 1);
	go(cond_partner, &t);
	take_turns(&t, 0, &t.mine, &t.theirs);
	gort_waitgroup_wait(&t.wg);
	return gort_nanotime() - start;
}

typedef struct readers {
	gort_rwmutex lock;
	gort_waitgroup wg;
	int64_t each;
} readers;

static void reader(void *arg)
{
	readers *r = arg;

	for (int64_t i = 0; i < r->each; i++) {
		gort_rwmutex_rlock(&r->lock);
		gort_rwmutex_runlock(&r->lock);
	}
	gort_waitgroup_done(&r->wg);
}

static int64_t read_of(int workers, int64_t n)
{
	readers r = { .each = n / workers };
	int64_t start = gort_nanotime();

	gort_waitgroup_add(&r.wg, workers);
	for (int i = 0; i < workers; i++)
		go(reader, &r);
	gort_waitgroup_wait(&r.wg);
	return gort_nanotime() - start;
}

static int64_t rwread1(int64_t n)
{
	return read_of(1, n);
}

static int64_t rwread8(int64_t n)
{
	return read_of(WORKERS, n);
}

static int64_t waitgroup(int64_t n)
{
	gort_waitgroup wg = GORT_INIT;
	int64_t start = gort_nanotime();

	for (int64_t i = 0; i < n; i++) {
		gort_waitgroup_add(&wg, 1);
		gort_waitgroup_done(&wg);
	}
	gort_waitgroup_wait(&wg);
	return gort_nanotime() - start;
}

static void count_call(void *arg)
{
	++*(int64_t *)arg;
}

static int64_t once(int64_t n)
{
	gort_once o = GORT_INIT;
	int64_t calls = 0, start = gort_nanotime();

	for (int64_t i = 0; i < n; i++)
		gort_once_do(&o, count_call, &calls);
	start = gort_nanotime() - start;
	if (calls != 1)
		fail("once: wrong count");
	return start;
}

static int64_t pool(int64_t n)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL);
	int64_t start;

	gort_pool_put(&p, gort_new(GORT_TYPE(int64_t)));
	start = gort_nanotime();
	for (int64_t i = 0; i < n; i++)
		gort_pool_put(&p, gort_pool_get(&p));
	return gort_nanotime() - start;
}

/* ---- Skynet: a tree of goroutines, ten children each, that sums its leaves ------------------- */

typedef struct node {
	gort_chan *up;
	int64_t first, leaves;
} node;

/* The nodes of its children lie in the frame, as those of fib below: it outlives them. */
static void skynet(void *arg)
{
	node *n = arg, children[FANOUT];
	gort_chan *sums;
	int64_t sum = 0;

	if (n->leaves == 1) {
		gort_chan_send(n->up, &n->first);
		return;
	}
	sums = chan_of_int(0);
	for (int64_t i = 0; i < FANOUT; i++) {
		children[i] = (node){ sums, n->first + i * (n->leaves / FANOUT), n->leaves / FANOUT };
		go(skynet, &children[i]);
	}
	for (int i = 0; i < FANOUT; i++) {
		int64_t part;

		gort_chan_recv(sums, &part);
		sum += part;
	}
	gort_chan_send(n->up, &sum);
}

static int64_t skynet_once(int64_t leaves)
{
	node root = { chan_of_int(0), 0, leaves };
	int64_t sum, start = gort_nanotime();

	go(skynet, &root);
	gort_chan_recv(root.up, &sum);
	start = gort_nanotime() - start;
	if (sum != leaves * (leaves - 1) / 2)
		fail("skynet: wrong sum");
	return start;
}

static int64_t skynet_warm(int64_t leaves)
{
	skynet_once(leaves);
	return skynet_once(leaves);
}

/* ---- Fork and join: a goroutine for each call that has two ------------------------------------ */

typedef struct fork {
	gort_waitgroup wg;
	int64_t n, result;
} fork;

static int64_t fib(int64_t n);

static void fib_fork(void *arg)
{
	fork *f = arg;

	f->result = fib(f->n);
	gort_waitgroup_done(&f->wg);
}

static int64_t fib(int64_t n)
{
	fork f = { GORT_INIT, n - 1, 0 };
	int64_t rest;

	if (n < 2)
		return n;
	gort_waitgroup_add(&f.wg, 1);
	go(fib_fork, &f);
	rest = fib(n - 2);
	gort_waitgroup_wait(&f.wg);
	return f.result + rest;
}

static int64_t fib_once(int64_t n)
{
	int64_t start = gort_nanotime(), result = fib(n);

	start = gort_nanotime() - start;
	if (n == FIB && result != 196418)
		fail("fib: wrong result");
	return start;
}

static int64_t fib_warm(int64_t n)
{
	fib_once(n);
	return fib_once(n);
}

/* ---- Sieve: a chain of goroutines, one for each prime ---------------------------------------- */

typedef struct filter {
	gort_chan *in, *out;
	int64_t prime;
} filter;
GORT_DEFINE_TYPE(filter, GORT_PTR(filter, in), GORT_PTR(filter, out));

static void generate(void *arg)
{
	for (int64_t i = 2;; i++)
		gort_chan_send(arg, &i);
}

static void sift(void *arg)
{
	filter *f = arg;

	for (;;) {
		int64_t v;

		gort_chan_recv(f->in, &v);
		if (v % f->prime != 0)
			gort_chan_send(f->out, &v);
	}
}

static int64_t sieve(int64_t primes)
{
	int64_t prime = 0, start = gort_nanotime();
	gort_chan *c = chan_of_int(0);

	go(generate, c);
	for (int64_t i = 0; i < primes; i++) {
		filter *f = gort_new(GORT_TYPE(filter));

		gort_chan_recv(c, &prime);
		gort_store(&f->in, c);
		gort_store(&f->out, chan_of_int(0));
		f->prime = prime;
		c = f->out;
		go(sift, f);
	}
	start = gort_nanotime() - start;
	if (primes == PRIMES && prime != 48611)
		fail("sieve: wrong prime");
	return start;
}

/* ---- Deferred calls, panics ------------------------------------------------------------------ */

static void deferring(void *arg)
{
	gort_defer(count_call, arg);
}

static int64_t defer(int64_t n)
{
	int64_t calls = 0, start = gort_nanotime();

	for (int64_t i = 0; i < n; i++)
		gort_scope(deferring, &calls);
	start = gort_nanotime() - start;
	if (calls != n)
		fail("defer: wrong count");
	return start;
}

static void recovering(void *arg)
{
	gort_eface v;

	if (gort_recover(&v))
		count_call(v.data);
	(void)arg;
}

static void panicking(void *arg)
{
	gort_defer(recovering, NULL);
	gort_panic((gort_eface){ GORT_TYPE(int64_t), arg });
}

static int64_t panic_recover(int64_t n)
{
	int64_t calls = 0, start = gort_nanotime();

	for (int64_t i = 0; i < n; i++)
		gort_scope(panicking, &calls);
	start = gort_nanotime() - start;
	if (calls != n)
		fail("panic: wrong count");
	return start;
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static const workload workloads[] = {
	{ "yield2", yield2, 2, 0 },
	{ "yield1000", yield1000, MANY, 0 },
	{ "pingpong", pingpong, 1, 0 },
	{ "spsc128", spsc, 1, 0 },
	{ "mpmc128", mpmc, WORKERS, 0 },
	{ "select2_ready", select_ready, 1, 0 },
	{ "select2_park", select_park, 2, 0 },
	{ "select2_default", select_default2, 1, 0 },
	{ "select8_default", select_default8, 1, 0 },
	{ "timer_startstop", timer_startstop, 1, 0 },
	{ "timer_window", timer_window, 1, 0 },
	{ "timer_reset", timer_reset, 1, 0 },
	{ "sleep50us", nap, 1, 0 },
	{ "spawn100", spawn, BATCH, 0 },
	{ "mutex1", mutex1, 1, 0 },
	{ "mutex8", mutex8, WORKERS, 0 },
	{ "sema", sema, 1, 0 },
	{ "cond", cond, 1, 0 },
	{ "rwread1", rwread1, 1, 0 },
	{ "rwread8", rwread8, WORKERS, 0 },
	{ "waitgroup", waitgroup, 1, 0 },
	{ "once", once, 1, 0 },
	{ "pool", pool, 1, 0 },
	{ "skynet_cold", skynet_once, 1, LEAVES },
	{ "skynet_warm", skynet_warm, 1, LEAVES },
	{ "fib_cold", fib_once, 1, FIB },
	{ "fib_warm", fib_warm, 1, FIB },
	{ "sieve", sieve, 1, PRIMES },
	{ "defer", defer, 1, 0 },
	{ "panic", panic_recover, 1, 0 },
	{ NULL, NULL, 0, 0 },
};

static const workload *chosen;
static int64_t chosen_n; /* 0: measure long enough */

static double resident_peak(void)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) != 0)
		fail("getrusage");
	return (double)used.ru_maxrss / 1024;
}

static const workload *find(const workload *list, const char *name)
{
	while (list->name != NULL && strcmp(list->name, name) != 0)
		list++;
	return list->name != NULL ? list : NULL;
}

static void measure(void *arg)
{
	int64_t n = 1000, ns;

	(void)arg;
	if (chosen->fixed != 0) {
		ns = chosen->run(chosen_n != 0 ? chosen_n : chosen->fixed);
		printf("%s %.3f ms\n", chosen->name, (double)ns / GORT_MILLISECOND);
		printf("%s_peak %.1f MiB\n", chosen->name, resident_peak());
		return;
	}
	if (chosen_n != 0)
		n = chosen_n;
	for (;;) {
		n = (n + chosen->unit - 1) / chosen->unit * chosen->unit;
		ns = chosen->run(n);
		if (ns >= MIN_NS || chosen_n != 0)
			break;
		if (ns < MIN_NS / 100)
			n *= 100;
		else
			n = n * (MIN_NS + MIN_NS / 5) / ns;
	}
	printf("%s %.3f ns\n", chosen->name, (double)ns / (double)n);
}

int main(int argc, char **argv)
{
	if (argc > 1 && (chosen = find(workloads, argv[1])) == NULL)
		chosen = find(allocations, argv[1]);
	if (chosen == NULL) {
		fprintf(stderr, "usage: workloads NAME [N]\n");
		return 2;
	}
	if (argc > 2)
		chosen_n = atoll(argv[2]);
	return gort_main(measure, NULL);
}
