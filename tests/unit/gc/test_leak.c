/* Goroutines that nobody can wake are named, whatever they wait for; none that somebody can. */
#include "core/gc/leak.h"
#include "tests/support/garbage.h"

#include <stdlib.h>

enum { N = 40, FEW = 8, MANY = 64 };
#define MINUTE (60 * GORT_SECOND)

/* ---- Who is named ---------------------------------------------------------------------------------- */

static char text[256 << 10];
static size_t used;
static int calls, answer;

static int keep(void *data, const void *bytes, size_t n)
{
	(void)data;
	calls++;
	if (n > sizeof text - 1 - used)
		n = sizeof text - 1 - used;
	memcpy(text + used, bytes, n);
	used += n;
	text[used] = '\0';
	return answer;
}

static int take(gort_runtime *rt)
{
	used = 0;
	text[0] = '\0';
	calls = 0;
	wash();
	return gort_leak_dump(rt, keep, NULL);
}

/* How many the text names. */
static int named(void)
{
	int n = 0;

	for (const char *p = text; p != NULL && *p != '\0'; p = strstr(p, "\n\n"), n++) {
		p += strspn(p, "\n");
		CHECK(strncmp(p, "goroutine ", 10) == 0 && strstr(p, " (leaked)") < strchr(p, '\n'));
	}
	return n;
}

static struct goids {
	uint64_t last;
	int all, expected;     /* of those that `leaks` names */
} goids;
static uint64_t leaks[N];

static void note(void *arg, rt_g *gp)
{
	struct goids *g = arg;

	CHECK(gp->goid > g->last);
	g->last = gp->goid;
	g->all++;
	for (int i = 0; i < N; i++)
		g->expected += leaks[i] == gp->goid;
}

/* Without the text, most of which is names of places: those take long. */
static int leaked(void)
{
	goids = (struct goids){ 0 };
	wash();
	CHECK(rt_leaks_find(gort_self(), note, &goids) == 0);
	return goids.all;
}

static gort_goroutine list[4 * N + 200];

static int waiting(void)
{
	size_t n = gort_goroutines(gort_self(), list, RT_NELEM(list));
	int k = 0;

	for (size_t i = 0; i < n && i < RT_NELEM(list); i++)
		k += list[i].status == GORT_G_WAITING && !list[i].system;
	return k;
}

/* A word that is left on the stack or in a register may keep many; turns of others come over those. */
static bool leaked_at_least(int n)
{
	for (int i = 0; i < 5; i++) {
		if (leaked() >= n)
			return true;
		collect();
		(void)waiting();
	}
	return false;
}

/* ---- Every way to wait ----------------------------------------------------------------------------- */

static gort_chan *channel(void)
{
	return gort_chan_make(gort_type_of_void_ptr(), 0);
}

static RT_NOINLINE void *make_chan(void)
{
	return channel();
}

static RT_NOINLINE void *make_full(void)
{
	gort_chan *c = gort_chan_make(gort_type_of_uint64_t(), 1);

	CHECK(gort_chan_try_send(c, &(uint64_t){ 1 }));
	return c;
}

static RT_NOINLINE void *make_mutex(void)
{
	char *block = gort_alloc(100, GORT_NOSCAN);

	gort_mutex_lock((gort_mutex *)(void *)(block + 40));
	return block + 40;
}

static RT_NOINLINE void *make_rwmutex(void)
{
	gort_rwmutex *m = gort_alloc(sizeof *m, GORT_NOSCAN);

	gort_rwmutex_lock(m);
	return m;
}

static RT_NOINLINE void *make_rlocked(void)
{
	gort_rwmutex *m = gort_alloc(sizeof *m, GORT_NOSCAN);

	gort_rwmutex_rlock(m);
	return m;
}

static RT_NOINLINE void *make_zero(void)
{
	return gort_alloc(200, 0);
}

static RT_NOINLINE void *make_counted(void)
{
	gort_waitgroup *wg = gort_alloc(sizeof *wg, 0);

	gort_waitgroup_add(wg, 1);
	return wg;
}

static void *nothing(void)
{
	return NULL;
}

static void receives(void *o)
{
	gort_chan_recv(o, NULL);
}

static void receives_forever(void *o)
{
	gort_chan_recv_until(o, NULL, GORT_FOREVER);
}

static void sends(void *o)
{
	void *v = NULL;

	gort_chan_send(o, &v);
}

static void selects(void *o)
{
	gort_select_case k[3] = { { .dir = GORT_RECV, .chan = channel() }, { .dir = GORT_RECV },
		                  { .dir = GORT_SEND, .chan = o, .elem = &o } };

	gort_select(k, 3, GORT_FOREVER);
}

static void selects_many(void *o)
{
	gort_select_case k[MANY] = { { .dir = GORT_RECV } };

	for (int i = 1; i < MANY; i++)
		k[i] = (gort_select_case){ .dir = GORT_RECV, .chan = i == 40 ? o : channel() };
	gort_select(k, MANY, GORT_FOREVER);
}

static void locks(void *o)
{
	gort_mutex_lock(o);
}

static void locks_rw(void *o)
{
	gort_rwmutex_lock(o);
}

static void locks_r(void *o)
{
	gort_rwmutex_rlock(o);
}

static void waits_for_signal(void *o)
{
	gort_mutex m = GORT_INIT;

	gort_mutex_lock(&m);
	gort_cond_wait(o, &m);
}

static void waits_for_group(void *o)
{
	gort_waitgroup_wait(o);
}

static void acquires(void *o)
{
	gort_sema_acquire((gort_sema *)((char *)o + 16));
}

static int member(void *o)
{
	(void)o;
	gort_chan_recv(channel(), NULL);
	return 0;
}

/* Both it and the member are leaked. */
static void waits_for_members(void *o)
{
	gort_group_go(o, member, NULL);
	gort_group_wait(o);
}

static void never(void *o)
{
	gort_select(o, 0, GORT_FOREVER);
}

static void nil_cases(void *o)
{
	gort_select_case k[2] = { { .dir = GORT_RECV, .chan = o }, { .dir = GORT_SEND, .chan = o, .elem = &o } };

	gort_select(k, 2, GORT_FOREVER);
}

static const struct way {
	const char *reason;
	void *(*make)(void);
	gort_func block;
	int each;              /* goroutines that are leaked */
} ways[] = {
	{ "chan receive", make_chan, receives, 1 },
	{ "chan receive", make_chan, receives_forever, 1 },
	{ "chan send", make_chan, sends, 1 },
	{ "chan send", make_full, sends, 1 },
	{ "select", make_chan, selects, 1 },
	{ "select", make_chan, selects_many, 1 },
	{ "sync.Mutex.Lock", make_mutex, locks, 1 },
	{ "sync.Mutex.Lock", make_rwmutex, locks_rw, 1 },
	{ "sync.RWMutex.Lock", make_rlocked, locks_rw, 1 },
	{ "sync.RWMutex.RLock", make_rwmutex, locks_r, 1 },
	{ "sync.Cond.Wait", make_zero, waits_for_signal, 1 },
	{ "semacquire", make_counted, waits_for_group, 1 },
	{ "semacquire", make_zero, acquires, 1 },
	{ "semacquire", make_zero, waits_for_members, 2 },
	{ "chan receive (nil chan)", nothing, receives, 1 },
	{ "chan receive (nil chan)", nothing, receives_forever, 1 },
	{ "chan send (nil chan)", nothing, sends, 1 },
	{ "select (no cases)", nothing, never, 1 },
	{ "select", nothing, nil_cases, 1 },
};

static void *kept[N];          /* a root of the program while a test says so */

static RT_NOINLINE void start_all(const struct way *w, bool keeps)
{
	for (int i = 0; i < N; i++) {
		void *o = w->make();

		if (keeps)
			gort_store(&kept[i], o);
		gort_go(w->block, o);
	}
}

static void one_way(void *arg)
{
	const struct way *w = arg;
	char reason[64];
	int n;

	gort_root_add(gort_self(), kept, sizeof kept);
	start_all(w, false);
	WAIT_UNTIL(waiting() == N * w->each);
	CHECK(take(gort_self()) == 0 && calls == 1);
	n = named();
	CHECK(n <= N * w->each && n >= (N - FEW) * w->each);
	snprintf(reason, sizeof reason, " [%s (leaked)]:\n", w->reason);
	CHECK(strstr(text, reason) != NULL);
	start_all(w, true);
	WAIT_UNTIL(waiting() == 2 * N * w->each);
	/* The members of living ones are leaked. */
	CHECK(leaked() <= (w->make == nothing ? 2 * N : N * w->each + N * (w->each - 1)));
	CHECK(w->make != nothing || goids.all == 2 * N);
	for (int i = 0; i < N; i++)
		gort_store(&kept[i], NULL);
	CHECK(leaked_at_least(2 * (N - FEW) * w->each));
	gort_root_remove(gort_self(), kept);
}

static void test_ways(void **state)
{
	static const char *const names[] = { "none", "stw", "concurrent" };

	(void)state;
	for (size_t i = 0; i < 2 * RT_NELEM(ways); i++) {
		const struct way *w = &ways[i / 2];

		assert_int_equal(collected(1 + (int)i % 2, names[i % 3], one_way, (void *)(uintptr_t)w), 0);
	}
}

/* ---- Who can be woken ------------------------------------------------------------------------------- */

static void close_it(void *c)
{
	gort_chan_close(c);
}

static rt_atomic32 passed;

static void passes(void *m)
{
	gort_mutex_lock(m);
	gort_mutex_unlock(m);
	rt_add32_full(&passed, 1);
}

static void finalize(void *obj, void *arg)
{
	(void)obj, (void)arg;
}

static RT_NOINLINE void wait_with_help(void)
{
	gort_mutex here = GORT_INIT;
	static gort_mutex there;
	void *box;

	rt_store32_rlx(&passed, 0);
	gort_go(receives, gort_timer_chan(gort_timer_new(MINUTE)));
	gort_go(receives, gort_after(MINUTE));
	box = channel();
	(void)gort_after_func(MINUTE, close_it, box);
	gort_go(receives, box);
	box = channel();
	gort_add_cleanup(gort_alloc(32, 0), close_it, box);
	gort_go(receives, box);
	box = channel();
	gort_set_finalizer(gort_alloc(32, 0), finalize, box);
	gort_go(receives, box);
	gort_mutex_lock(&there);
	gort_go(passes, &there);
	gort_mutex_lock(&here);
	gort_go(passes, &here);
	WAIT_UNTIL(waiting() == 7);
	CHECK(leaked() == 0);
	gort_mutex_unlock(&there);
	gort_mutex_unlock(&here);
	WAIT_UNTIL(rt_load32_acq(&passed) == 2); /* one of them is in this frame */
}

static void sleeps(void *arg)
{
	(void)arg;
	gort_sleep(MINUTE);
}

static void patient(void *c)
{
	gort_chan_recv_until(c, NULL, gort_nanotime() + MINUTE);
}

static void with_help(void *arg)
{
	(void)arg;
	wait_with_help();
	gort_go(sleeps, NULL);
	gort_go(patient, NULL);
	gort_go(patient, channel());
	WAIT_UNTIL(waiting() >= 8);
	CHECK(leaked() == 0);
}

static void test_with_help(void **state)
{
	(void)state;
	in_program(with_help, NULL);
}

/* ---- Each waits for what the next one holds --------------------------------------------------------- */

typedef struct link {
	gort_chan *mine, *next;
} link;
GORT_DEFINE_TYPE(link, GORT_PTR(link, mine), GORT_PTR(link, next));

static void waits_and_holds(void *arg)
{
	link *l = arg;
	gort_chan *c = l->next;

	gort_chan_recv(l->mine, NULL);
	if (c != NULL)
		gort_chan_close(c);
}

/* Who comes first in the list of goroutines, the one that holds the next's channel or the other way round. */
static RT_NOINLINE void start_chain(gort_chan **first, bool backwards)
{
	gort_chan **c = gort_new_array(gort_type_of_void_ptr(), N + 1);

	for (int i = 0; i < N; i++)
		gort_store(&c[i], channel());
	gort_store(first, c[0]);
	for (int k = 0; k < N; k++) {
		int i = backwards ? N - 1 - k : k;
		link *l = gort_new(GORT_TYPE(link));

		gort_store(&l->mine, c[i]);
		gort_store(&l->next, c[i + 1]);
		gort_go(waits_and_holds, l);
	}
	for (int i = 0; i < N; i++) /* for who finds a stale word to it */
		gort_store(&c[i], NULL);
}

static gort_chan *heads[2];

static void chains(void *arg)
{
	(void)arg;
	gort_root_add(gort_self(), heads, sizeof heads);
	for (int i = 0; i < 2; i++)
		start_chain(&heads[i], i == 1);
	WAIT_UNTIL(waiting() == 2 * N);
	CHECK(leaked() == 0);
	gort_store(&heads[0], NULL);
	wash();
	CHECK(leaked_at_least(1)); /* a word that is left keeps the whole rest of a chain */
	CHECK(goids.all <= N);
	gort_chan_close(heads[1]);
	WAIT_UNTIL(waiting() == N);
	gort_root_remove(gort_self(), heads);
}

static void test_chains(void **state)
{
	(void)state;
	in_program(chains, NULL);
}

/* ---- Groups ------------------------------------------------------------------------------------------ */

enum { GROUPS = 10 };

static gort_chan *ended;       /* roots */
static gort_group *groups[GROUPS];

static int cancelable(void *arg)
{
	int r = gort_chan_recv_until(arg != NULL ? arg : channel(), NULL, GORT_FOREVER);

	gort_chan_send(ended, &(bool){ true });
	return r;
}

static int ends(void *arg)
{
	(void)arg;
	return 0;
}

/* What the frames of gort_group_go leave behind leads to a group that is over. */
static RT_NOINLINE void start_another(void)
{
	gort_group g = GORT_INIT;

	gort_group_go(&g, ends, channel());
	gort_group_wait(&g);
}

/* Of groups that are new; a word that leads to one keeps all of its members. */
static RT_NOINLINE void start_members(int (*fn)(void *arg))
{
	for (int i = 0; i < GROUPS; i++)
		gort_store(&groups[i], gort_new_array(gort_type_of_void_ptr(), 8));
	for (int i = 0; i < N; i++)
		gort_group_go(groups[i % GROUPS], fn, i / GROUPS % 2 == 0 ? channel() : NULL);
	start_another();
}

static RT_NOINLINE void cancel_all(void)
{
	for (int i = 0; i < GROUPS; i++)
		gort_group_cancel(groups[i], GORT_ECANCELED);
	WAIT_UNTIL(gort_chan_len(ended) == N);
	for (int i = 0; i < GROUPS; i++)
		CHECK(gort_group_wait(groups[i]) == GORT_ECANCELED);
}

static int waits_for_good(void *c)
{
	gort_chan_recv(c != NULL ? c : channel(), NULL);
	return 0;
}

/* Who has the group can wake its members. */
static void canceled(void *arg)
{
	(void)arg;
	gort_root_add(gort_self(), &ended, sizeof ended);
	gort_root_add(gort_self(), groups, sizeof groups);
	gort_store(&ended, gort_chan_make(gort_type_of_bool(), N));
	start_members(cancelable);
	WAIT_UNTIL(waiting() == N);
	CHECK(leaked() == 0);
	cancel_all();
	start_members(cancelable);
	WAIT_UNTIL(waiting() == N);
	for (int i = 0; i < GROUPS; i++)
		gort_store(&groups[i], NULL);
	wash(); /* here, too: what is left there lies under frames that are scanned */
	CHECK(leaked_at_least(N - FEW));
	start_members(waits_for_good); /* the group keeps none of what they were given */
	WAIT_UNTIL(waiting() == 2 * N);
	wash();
	CHECK(leaked_at_least(2 * (N - FEW)));
	gort_root_remove(gort_self(), groups);
	gort_root_remove(gort_self(), &ended);
}

static void test_canceled(void **state)
{
	(void)state;
	in_program(canceled, NULL);
}

/* ---- Beside a program that runs ---------------------------------------------------------------------- */

static rt_atomic32 stop;
static rt_atomic64 rounds;

/* The two know each other's channels, and nobody else does. */
static void plays(void *arg)
{
	link *l = arg;
	void *v = NULL;

	while (gort_chan_recv(l->mine, &v) && !rt_load32_rlx(&stop)) {
		gort_chan_send(l->next, &v);
		gort_keep_alive(gort_alloc(100, 0));
		rt_add64_full(&rounds, 1);
	}
	gort_chan_close(l->next);
}

static void serves(void *arg)
{
	link *l = arg;
	void *v = NULL;

	do
		gort_chan_send(l->next, &v);
	while (gort_chan_recv(l->mine, &v));
}

static RT_NOINLINE void start_game(void)
{
	link *l[2] = { gort_new(GORT_TYPE(link)), gort_new(GORT_TYPE(link)) };

	gort_store(&l[0]->mine, channel());
	gort_store(&l[0]->next, channel());
	gort_store(&l[1]->mine, l[0]->next);
	gort_store(&l[1]->next, l[0]->mine);
	gort_go(plays, l[0]);
	gort_go(serves, l[1]);
}

/* By name: ids are given out in batches, so those of forty goroutines need not follow each other. */
static RT_NOINLINE void start_leaks(void)
{
	size_t n;
	int k = 0;

	for (int i = 0; i < N; i++) {
		gort_go(receives, channel());
		if (i % 8 == 0)
			gort_gosched();
	}
	WAIT_UNTIL(waiting() == N);
	n = gort_goroutines(gort_self(), list, RT_NELEM(list));
	for (size_t i = 0; i < n && k < N; i++)
		if (list[i].status == GORT_G_WAITING && !list[i].system)
			leaks[k++] = list[i].goid;
	CHECK(k == N);
}

static void beside(void *arg)
{
	uint64_t seen;

	(void)arg;
	start_leaks();
	rt_store32_rlx(&stop, 0);
	for (int i = 0; i < 8; i++)
		start_game();
	for (int i = 0; i < 50; i++) {
		seen = rt_load64_rlx(&rounds);
		CHECK(leaked_at_least(N - FEW));
		CHECK(goids.expected == goids.all);
		if (i % 8 == 0)
			collect();
		WAIT_UNTIL(rt_load64_rlx(&rounds) > seen + 10);
	}
	rt_store32_rlx(&stop, 1);
	WAIT_UNTIL(waiting() == N);
	CHECK(leaked_at_least(N - FEW));
}

static void test_beside(void **state)
{
	(void)state;
	/* Two that play share a slice, and main's turn comes after all of them. */
	debug = "clobberfree=1,slice=500";
	in_program(beside, NULL);
	debug = "clobberfree=1,gcstress=50,slice=500";
	in_program(beside, NULL);
	debug = NULL;
}

/* ---- What is told, and that nothing happens ---------------------------------------------------------- */

static rt_atomic32 woken;

static void gets_seven(void *arg)
{
	link *l = arg;
	uint64_t v = 0;

	CHECK(gort_chan_recv(l->mine, &v) && v == 7 && l->next == l->mine);
	rt_store32_rel(&woken, 1);
}

static RT_NOINLINE uintptr_t start_one(void)
{
	link *l = gort_new(GORT_TYPE(link));

	gort_store(&l->mine, gort_chan_make(gort_type_of_uint64_t(), 0));
	gort_store(&l->next, l->mine);
	gort_go(gets_seven, l);
	return hide(l->mine);
}

static RT_NOINLINE void wake(uintptr_t hidden)
{
	uint64_t v = 7;

	gort_chan_send((gort_chan *)~hidden, &v);
}

static void one(void *arg)
{
	uintptr_t hidden = start_one();
	gort_goroutine row;
	int n = 0;

	(void)arg;
	rt_store32_rlx(&woken, 0);
	WAIT_UNTIL(waiting() == 1);
	for (int i = 0; i < 3; i++) {
		collect();
		CHECK(take(gort_self()) == 0 && calls == (used > 0));
		n = named();
	}
	CHECK(n == 1 || n == 0);
	if (n == 1) {
		CHECK(strncmp(text, "goroutine ", 10) == 0);
		CHECK(strstr(text, " [chan receive (leaked)]:\n") != NULL);
		CHECK(gort_leaked_goroutines(gort_self(), &row, 1) == 1);
		CHECK(strcmp(row.wait_reason, "chan receive") == 0 && row.on == (void *)~hidden);
		if (strcmp(be_fault_name, "signal") == 0) {
			CHECK(strstr(text, "\ngets_seven(...)\n\t") != NULL);
			CHECK(strstr(text, "\ncreated by start_one in goroutine 1\n\t") != NULL);
		}
	}
	wake(hidden);
	WAIT_UNTIL(rt_load32_acq(&woken) == 1);
	CHECK(take(gort_self()) == 0 && calls == 0);
}

static void test_one(void **state)
{
	(void)state;
	in_program(one, NULL);
}

static int uses_the_runtime(void *data, const void *bytes, size_t n)
{
	gort_mutex *m = data;

	(void)bytes, (void)n;
	gort_mutex_unlock(m);
	gort_gosched();
	gort_gc();
	gort_mutex_lock(m);
	return -77;
}

static void writers(void *arg)
{
	gort_mutex m = GORT_INIT;

	(void)arg;
	gort_go(never, NULL);
	gort_mutex_lock(&m);
	WAIT_UNTIL(waiting() == 1);
	answer = 7;
	CHECK(take(gort_self()) == 7 && calls == 1);
	answer = 0;
	CHECK(gort_leak_dump(gort_self(), uses_the_runtime, &m) == -77);
	gort_mutex_unlock(&m);
}

static void test_writers(void **state)
{
	(void)state;
	in_program(writers, NULL);
}

static void test_outside(void **state)
{
	gort_runtime *rt;

	(void)state;
	assert_int_equal(gort_runtime_new(&rt, NULL), 0);
	assert_int_equal(take(rt), 0);
	assert_int_equal(calls, 0);
	gort_runtime_free(rt);
	assert_int_equal(take(rt), GORT_EINVAL);
}

/* ---- Without memory ---------------------------------------------------------------------------------- */

static void refused(void *arg)
{
	gort_runtime *rt = gort_self();
	uint32_t failed = 0, left = 0;

	(void)arg;
	for (int i = 0; i < N; i++)
		gort_go(never, NULL);
	start_all(&ways[0], false);
	WAIT_UNTIL(waiting() == 2 * N);
	gort_set_gc_percent(-1);
	gort_gc(); /* from here on nobody else wants memory */
	for (uint32_t i = 1; left == 0 && i < 100; i++) {
		int r;

		rt_store32_rlx(&rt->debug.oomleft, i);
		r = take(rt);
		left = rt_xchg32_full(&rt->debug.oomleft, 0);
		CHECK(left > 0 ? r == 0 && named() >= N : r == GORT_ENOMEM && calls == 0);
		failed += r == GORT_ENOMEM;
	}
	CHECK(failed > 8 && left > 0);
}

static void test_refused(void **state)
{
	(void)state;
	in_program(refused, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),    cmocka_unit_test(test_with_help), cmocka_unit_test(test_chains),
		cmocka_unit_test(test_canceled), cmocka_unit_test(test_beside),   cmocka_unit_test(test_one),
		cmocka_unit_test(test_writers), cmocka_unit_test(test_outside),   cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
