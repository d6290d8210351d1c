/* What a collection keeps and what it frees. Freed objects are filled with 0xdeadbeef
 * (clobberfree), so that a hidden address tells. Stacks are scanned conservatively: of many objects
 * that nothing refers to, a few may stay. */
#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

#include "backends/thread/thread.h"

#include <stdlib.h>
#include <string.h>

enum { N = 100, FEW = 10, PAYLOAD = 48 };

typedef struct pair {
	struct pair *named;
	uintptr_t number; /* not a pointer, whatever it holds */
	uint64_t sign;
} pair;
GORT_DEFINE_TYPE(pair, GORT_PTR(pair, named), GORT_FIELD(pair, number, uintptr_t));

typedef struct wide { /* above 512 bytes: its pointers are told by the type */
	uint64_t fill[80];
	pair *last;
} wide;
GORT_DEFINE_TYPE(wide, GORT_PTR(wide, last));

static RT_NOINLINE pair *leaf(uintptr_t *hidden)
{
	pair *p = gort_new(GORT_TYPE(pair));

	p->sign = 7;
	p->number = 5;
	*hidden = hide(p);
	return p;
}

/* ---- Objects ------------------------------------------------------------------------------------- */

static RT_NOINLINE void make_pairs(pair **heads, uintptr_t *kept, uintptr_t *dropped)
{
	for (int i = 0; i < N; i++) {
		heads[i] = gort_new(GORT_TYPE(pair));
		gort_store(&heads[i]->named, leaf(&kept[i]));
		heads[i]->number = (uintptr_t)leaf(&dropped[i]);
	}
}

/* arg not NULL: slots are used again at once. */
static void typed(void *arg)
{
	pair **heads = gort_new_array(gort_type_of_void_ptr(), N);
	uintptr_t kept[N], dropped[N];

	make_pairs(heads, kept, dropped);
	collect();
	CHECK(freed(kept, N) == 0);
	CHECK(arg != NULL || freed(dropped, N) >= N - FEW);
	for (int i = 0; i < N; i++)
		CHECK(heads[i]->named->sign == 7);
	gort_clear(gort_type_of_void_ptr(), heads, N);
	collect();
	CHECK(arg != NULL || freed(kept, N) >= N - FEW);
}

static void test_typed(void **state)
{
	(void)state;
	in_program(typed, NULL);
}

static RT_NOINLINE void fill_bytes(uintptr_t **blocks, unsigned flags, uintptr_t *hidden)
{
	for (int i = 0; i < N; i++) {
		blocks[i] = gort_alloc(PAYLOAD, flags);
		blocks[i][i % (PAYLOAD / 8)] = (uintptr_t)leaf(&hidden[i]);
	}
}

static void untyped(void *arg)
{
	uintptr_t **scan = gort_new_array(gort_type_of_void_ptr(), N);
	uintptr_t **noscan = gort_new_array(gort_type_of_void_ptr(), N);
	uintptr_t kept[N], dropped[N];

	(void)arg;
	fill_bytes(scan, 0, kept);
	fill_bytes(noscan, GORT_NOSCAN, dropped);
	collect();
	CHECK(freed(kept, N) == 0);
	CHECK(freed(dropped, N) >= N - FEW);
	gort_keep_alive(scan);
	gort_keep_alive(noscan);
}

static void test_untyped(void **state)
{
	(void)state;
	in_program(untyped, NULL);
}

/* 400 KiB of them, in many pieces; and elements that straddle their bounds. */
static RT_NOINLINE void fill_wide(wide *w, size_t n, uintptr_t *hidden)
{
	for (size_t i = 0; i < n; i++)
		gort_store(&w[i].last, leaf(&hidden[i]));
}

enum { WIDE = 640 };
static uintptr_t of_wide[WIDE];

static RT_NOINLINE void large_kept(void)
{
	static uintptr_t small[20];
	uintptr_t *hidden = of_wide;
	wide *w = gort_new_array(GORT_TYPE(wide), WIDE), *few = gort_new_array(GORT_TYPE(wide), 20);

	fill_wide(w, WIDE, hidden);
	fill_wide(few, 20, small);
	collect();
	CHECK(freed(hidden, WIDE) == 0);
	CHECK(freed(small, 20) == 0);
	gort_keep_alive(few);
	w = (wide *)((char *)w + 300000); /* into it */
	collect();
	CHECK(freed(hidden, WIDE) == 0);
	gort_keep_alive(w);
}

static void large(void *arg)
{
	(void)arg;
	large_kept();
	collect();
	/* One stale word keeps all of it; frames of ASan are larger and have such words. */
	CHECK(RT_ASAN || freed(of_wide, WIDE) > WIDE - FEW);
}

static void test_large(void **state)
{
	(void)state;
	in_program(large, NULL);
}

/* Objects of more than one piece that share a span with others. */
static void pieces(void *arg)
{
	static const size_t words[] = { 1100, 1184, 1200, 1280, 1536, 2000, 2700, 4096 };
	enum { EACH = 6, EVERY = 97, MOST = 50 };
	static uintptr_t hidden[RT_NELEM(words) * EACH][MOST];
	size_t n[RT_NELEM(hidden)] = { 0 };
	uintptr_t ***all = gort_new_array(gort_type_of_void_ptr(), RT_NELEM(hidden));

	(void)arg;
	for (size_t i = 0; i < RT_NELEM(hidden); i++) {
		size_t size = words[i / EACH];

		gort_store(&all[i], i % 2 == 0 ? gort_new_array(gort_type_of_void_ptr(), size)
		                               : gort_alloc(size * sizeof(void *), 0));
		for (size_t at = i % EVERY; at < size; at += EVERY, n[i]++)
			gort_store(&all[i][at], leaf(&hidden[i][n[i]]));
	}
	for (int k = 0; k < 2; k++) {
		collect();
		for (size_t i = 0; i < RT_NELEM(hidden); i++)
			CHECK(freed(hidden[i], (int)n[i]) == 0);
	}
	gort_keep_alive(all);
}

static void test_pieces(void **state)
{
	(void)state;
	in_program(pieces, NULL);
}

/* ---- Roots --------------------------------------------------------------------------------------- */

static uintptr_t outside[N]; /* no root by itself */

static RT_NOINLINE void fill_outside(uintptr_t *hidden)
{
	for (int i = 0; i < N; i++)
		outside[i] = (uintptr_t)leaf(&hidden[i]);
}

static void registered(void *arg)
{
	gort_runtime *rt = gort_self();
	uintptr_t hidden[N];

	(void)arg;
	CHECK(gort_root_add(rt, outside, sizeof outside) == 0);
	CHECK(gort_root_add(rt, &outside[N - 1], 1) == GORT_EINVAL);
	CHECK(gort_root_add(rt, outside, 0) == GORT_EINVAL);
	fill_outside(hidden);
	collect();
	CHECK(freed(hidden, N) == 0);
	CHECK(gort_root_remove(rt, &outside[1]) == GORT_EINVAL);
	CHECK(gort_root_remove(rt, outside) == 0);
	collect();
	CHECK(freed(hidden, N) >= N - FEW);
}

static void test_registered(void **state)
{
	(void)state;
	in_program(registered, NULL);
}

/* ---- Goroutines ---------------------------------------------------------------------------------- */

typedef struct waits {
	gort_chan *c;
	uintptr_t *hidden;
	rt_atomic32 ready, stop;
	int bad;
} waits;

static void see(const pair *p, waits *w)
{
	if (p->sign != 7 || p->number != 5)
		w->bad++;
}

static void parked(void *arg)
{
	waits *w = arg;
	pair *p = leaf(w->hidden);

	rt_add32_full(&w->ready, 1);
	(void)gort_chan_recv(w->c, NULL);
	see(p, w);
	rt_add32_full(&w->stop, 1);
}

static void in_syscall(void *arg)
{
	waits *w = arg;
	pair *p = leaf(w->hidden);

	gort_entersyscall();
	rt_add32_full(&w->ready, 1);
	while (rt_load32_acq(&w->stop) == 0)
		be_thread_nap(GORT_MILLISECOND);
	gort_exitsyscall();
	see(p, w);
	rt_add32_full(&w->stop, 1);
}

static void computes(void *arg)
{
	waits *w = arg;
	pair *p = leaf(w->hidden);

	rt_add32_full(&w->ready, 1);
	while (rt_load32_acq(&w->stop) == 0)
		if (!be_preempt_in_place)
			gort_gosched();
	see(p, w);
	rt_add32_full(&w->stop, 1);
}

static void deferred(void *p)
{
	if (((pair *)p)->sign != 7)
		check_failed(__FILE__, __LINE__, "a deferred call's argument was freed");
}

static RT_NOINLINE void defer_some(uintptr_t *hidden, int n)
{
	for (int i = 0; i < n; i++)
		gort_defer(deferred, leaf(&hidden[i]));
}

static void wait_for(rt_atomic32 *word, uint32_t n)
{
	YIELD_UNTIL(rt_load32_acq(word) >= n);
}

static void one_of(gort_func fn, bool by_channel)
{
	uintptr_t hidden = 0;
	waits w = { gort_chan_make(GORT_TYPE(int), 0), &hidden };

	CHECK(gort_go(fn, &w) == 0);
	wait_for(&w.ready, 1);
	for (int i = 0; i < 3; i++) {
		collect();
		CHECK(!gone(hidden));
	}
	if (by_channel)
		gort_chan_close(w.c);
	else
		rt_store32_rel(&w.stop, 1);
	wait_for(&w.stop, by_channel ? 1 : 2);
	CHECK(w.bad == 0);
}

static void never_run(void *p)
{
	if (((pair *)p)->sign != 7)
		check_failed(__FILE__, __LINE__, "a goroutine's argument was freed");
}

static RT_NOINLINE void start_some(uintptr_t *hidden)
{
	for (int i = 0; i < N; i++)
		CHECK(gort_go(never_run, leaf(&hidden[i])) == 0);
}

static void goroutines(void *arg)
{
	uintptr_t hidden[N], more[N];

	(void)arg;
	one_of(parked, true);
	one_of(in_syscall, false);
	one_of(computes, false);
	defer_some(more, N);
	start_some(hidden);
	collect();
	CHECK(freed(more, N) == 0);
}

static void test_goroutines(void **state)
{
	(void)state;
	in_program(goroutines, NULL);
}

static rt_atomic32 due;

static void count_due(void *p)
{
	never_run(p);
	rt_add32_full(&due, 1);
}

/* Nothing but the heaps of timers knows them and what they carry; they are not due before they are reset. */
static RT_NOINLINE void start_timers(uintptr_t *handles, uintptr_t *hidden)
{
	for (int i = 0; i < N; i++)
		handles[i] = hide(gort_after_func(3600 * GORT_SECOND, count_due, leaf(&hidden[i])));
}

static RT_NOINLINE void make_due(const uintptr_t *handles)
{
	rt_store32_rlx(&due, 0);
	for (int i = 0; i < N; i++)
		CHECK(gort_timer_reset((gort_timer *)~handles[i], 0));
	wait_for(&due, N);
}

static void chans_and_timers(void *arg)
{
	gort_chan *c = gort_chan_make(gort_type_of_void_ptr(), N);
	gort_chan *t = gort_after(GORT_MILLISECOND);
	uintptr_t hidden[N], handles[N], timers[N];

	(void)arg;
	for (int i = 0; i < N; i++) {
		pair *p = leaf(&hidden[i]);

		gort_chan_send(c, &p);
	}
	start_timers(handles, timers);
	collect();
	CHECK(freed(hidden, N) == 0);
	if (freed(timers, N) != 0) {
		CHECK(!"what timers carry was freed");
		return; /* nor are there handles */
	}
	for (int i = 0; i < N; i++) {
		pair *p = NULL;

		CHECK(gort_chan_recv(c, &p) && p->sign == 7);
	}
	CHECK(gort_chan_recv(t, NULL));
	make_due(handles);
	collect();
	CHECK(freed(hidden, N) >= N - FEW);
	CHECK(freed(timers, N) >= N - FEW);
}

static void test_chans_and_timers(void **state)
{
	(void)state;
	in_program(chans_and_timers, NULL);
}

static RT_NOINLINE void fill_pool(gort_pool *p, uintptr_t *hidden)
{
	for (int i = 0; i < N; i++)
		gort_pool_put(p, leaf(&hidden[i]));
}

static void pools(void *arg)
{
	gort_pool p = GORT_POOL_INIT(NULL, NULL);
	uintptr_t hidden[N];

	(void)arg;
	fill_pool(&p, hidden);
	collect();
	CHECK(freed(hidden, N) == 0); /* one survives a collection, not two */
	collect();
	CHECK(freed(hidden, N) >= N - FEW);
}

static void test_pools(void **state)
{
	(void)state;
	in_program(pools, NULL);
}

/* ---- Attached threads ---------------------------------------------------------------------------- */

typedef struct guest {
	gort_runtime *rt;
	rt_atomic32 ready, stop;
	uintptr_t hidden;
	int bad;
} guest;

static void attached(void *arg)
{
	guest *g = arg;
	pair *p;

	if (gort_attach(g->rt) != 0)
		abort();
	p = leaf(&g->hidden);
	rt_store32_rel(&g->ready, 1);
	while (rt_load32_acq(&g->stop) == 0)
		gort_sleep(GORT_MILLISECOND);
	g->bad = p->sign != 7;
	(void)gort_detach();
}

static void with_guest(void *arg)
{
	guest *g = arg;

	g->rt = gort_self();
	rt_store32_rel(&g->ready, 0);
	rt_store32_rel(&g->stop, 0);
	gort_entersyscall();
	be_thread t;
	int r = be_thread_start(&t, attached, g, 0);
	gort_exitsyscall();
	CHECK(r == 0);
	wait_for(&g->ready, 1);
	for (int i = 0; i < 3; i++) {
		collect();
		CHECK(!gone(g->hidden));
	}
	rt_store32_rel(&g->stop, 1);
	gort_entersyscall();
	be_thread_join(&t);
	gort_exitsyscall();
	CHECK(g->bad == 0);
}

static void test_attached(void **state)
{
	static guest g;

	(void)state;
	in_program(with_guest, &g);
}

/* Who stays when the run has ended is not parked any more, but what he makes is collected all the same: three times in
 * the course of a GiB. */
static void stays(void *arg)
{
	guest *g = arg;
	uint32_t was;

	if (gort_attach(g->rt) != 0)
		abort();
	rt_store32_rel(&g->ready, 1);
	gort_entersyscall();
	while (rt_load32_acq(&g->stop) == 0)
		be_thread_nap(GORT_MILLISECOND);
	gort_exitsyscall();
	was = rt_load32_acq(&g->rt->gc->ended);
	for (int i = 0; g->bad && i < 1 << 14; i++) {
		(void)gort_alloc(64 << 10, GORT_NOSCAN | GORT_NOZERO);
		g->bad = rt_load32_acq(&g->rt->gc->ended) - was < 3;
		if (i % 16 == 0) { /* the collector's thread may have to come first */
			gort_entersyscall();
			be_thread_nap(GORT_MILLISECOND);
			gort_exitsyscall();
		}
	}
	(void)gort_detach();
}

static void waits_for_guest(void *arg)
{
	guest *g = arg;

	wait_for(&g->ready, 1);
}

static void test_attached_without_a_run(void **state)
{
	static const char *const names[] = { "stw", "concurrent" };
	static guest g;
	gort_config cfg;
	be_thread t;

	(void)state;
	gort_config_init(&cfg);
	for (int c = 0; c < 2; c++) {
		cfg.collector = names[c];
		g = (guest){ .bad = 1 };
		assert_int_equal(gort_runtime_new(&g.rt, &cfg), 0);
		assert_int_equal(be_thread_start(&t, stays, &g, 0), 0);
		assert_int_equal(gort_runtime_run(g.rt, waits_for_guest, &g), 0);
		rt_store32_rel(&g.stop, 1);
		be_thread_join(&t);
		assert_int_equal(g.bad, 0);
		assert_int_equal(gort_runtime_free(g.rt), 0);
	}
}

/* ---- Life ---------------------------------------------------------------------------------------- */

static void churn(void *arg)
{
	int *n = arg;

	for (int i = 0; i < *n; i++) {
		void **p = gort_new_array(gort_type_of_void_ptr(), 100);

		gort_store(&p[7], gort_new(GORT_TYPE(pair)));
		if (i % 1000 == 0)
			gort_gosched();
	}
}

static void churn_beside(void *arg)
{
	static int n = 1 << 30; /* who was dropped goes on until it calls the runtime, also when this frame is gone */

	for (int i = 0; i < 4; i++)
		CHECK(gort_go(churn, &n) == 0);
	churn(arg); /* the run ends while the others allocate, perhaps in the middle of a collection */
}

static void test_runs_end_anywhere(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.collector = "concurrent";
	cfg.debug = "clobberfree=1";
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	for (int i = 0; i < 40; i++) {
		int n = 500 + 377 * i;

		assert_int_equal(gort_runtime_run(rt, churn_beside, &n), 0);
	}
	assert_int_equal(gort_runtime_run(rt, typed, NULL), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
	assert_int_equal(gort_runtime_free(rt), 0);
}

static void resize(void *arg)
{
	int n = 100;
	uintptr_t hidden;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		(void)gort_gomaxprocs(1 + i % 4);
		churn(&n);
		(void)gort_after_func(GORT_SECOND, never_run, leaf(&hidden));
	}
	typed(&n);
}

static void test_gomaxprocs_changes(void **state)
{
	(void)state;
	debug = "clobberfree=1,gcstress=50";
	in_program(resize, NULL);
	debug = NULL;
}

static void settings(void *arg)
{
	(void)arg;
	CHECK(gort_set_gc_percent(50) == 100);
	CHECK(gort_set_gc_percent(-7) == 50);
	CHECK(gort_set_gc_percent(100) == -1);
	CHECK(gort_set_memory_limit(-1) == INT64_MAX);
	CHECK(gort_set_memory_limit(1 << 30) == INT64_MAX);
	CHECK(gort_set_memory_limit(INT64_MAX) == 1 << 30);
}

static void test_settings(void **state)
{
	(void)state;
	in_program(settings, NULL);
}

/* Without memory for work buffers every object is found all the same. */
static pair *deep(int n)
{
	pair *head = NULL;

	for (int i = 0; i < n; i++) {
		pair *p = gort_new(GORT_TYPE(pair));

		p->sign = 7;
		gort_store(&p->named, head);
		head = p;
	}
	return head;
}

static void starved(void *arg)
{
	enum { DEEP = 2000 };
	pair **heads = gort_new_array(gort_type_of_void_ptr(), 2000), *p;

	(void)arg;
	for (int i = 0; i < 2000; i++)
		gort_store(&heads[i], deep(10));
	gort_gc();
	for (int i = 1; i < 8; i++) {
		refuse_buffers(true);
		gort_gc();
		refuse_buffers(false);
		for (int k = 0; k < 2000; k++) {
			int n = 0;

			for (p = heads[k]; p != NULL && n < 20; p = p->named)
				n += p->sign == 7;
			CHECK(n == 10);
		}
	}
	(void)deep(DEEP);
}

static void test_no_work_buffers(void **state)
{
	(void)state;
	in_program(starved, NULL);
}

/* ---- By the clock -------------------------------------------------------------------------------------- */

/* Nothing is allocated and no goroutine runs: only sysmon can ask. */
static void sleeps_through(void *arg)
{
	gort_chan *never = gort_chan_make(GORT_TYPE(int64_t), 0);

	(void)arg;
	gort_gc();
	(void)gort_chan_recv_until(never, NULL, gort_nanotime() + 3600 * GORT_SECOND);
}

static void stops_after_some(void *arg)
{
	gort_runtime *rt = arg;

	while (rt_load32_acq(&rt->gc->ended) < 4)
		be_thread_yield();
	if (gort_runtime_stop(rt, 3) != 0)
		abort();
}

static void test_by_the_clock(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		gort_runtime *rt;
		gort_config cfg;
		be_thread t;

		gort_config_init(&cfg);
		cfg.procs = procs;
		cfg.collector = "concurrent";
		cfg.debug = "forcegcperiod=5";
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(be_thread_start(&t, stops_after_some, rt, 0), 0);
		assert_int_equal(gort_runtime_run(rt, sleeps_through, NULL), 3);
		be_thread_join(&t);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* Everything is live and more than the limit allows: collections follow one another, until the limiter says that it is
 * enough. When there is room again, it lets go. */
static void starves(void *arg)
{
	gort_runtime *rt = arg;
	void **all = gort_alloc(256 * sizeof *all, 0);
	uint32_t began;

	for (int i = 0; i < 256; i++)
		gort_store(&all[i], gort_alloc(16 << 10, 0));
	(void)gort_set_memory_limit(1 << 20);
	while (!rt_load32_rlx(&rt->gc->full))
		(void)gort_alloc(1000, 0);
	CHECK(rt_load32_rlx(&rt->gc->limited) > 0);
	/* None begins, however much it allocates, before it has had its time; and no assist of it is left out. */
	while (rt_load32_rlx(&rt->gc->ended) != rt_load32_rlx(&rt->gc->started))
		gort_gosched();
	began = rt_load32_rlx(&rt->gc->started);
	for (int i = 0; i < 1 << 14 && rt_load32_rlx(&rt->gc->full); i++)
		(void)gort_alloc(1000, 0);
	CHECK(!rt_load32_rlx(&rt->gc->full) || rt_load32_rlx(&rt->gc->started) == began);
	CHECK(!rt_load32_rlx(&rt->gc->heap.limiting));
	(void)gort_set_memory_limit(INT64_MAX);
	/* GOGC's goals are not held off, however full it is. */
	began = rt_load32_rlx(&rt->gc->started);
	for (int i = 0; i < 1 << 16 && rt_load32_rlx(&rt->gc->started) == began; i++) {
		rt_store32_rlx(&rt->gc->full, 1); /* until sysmon looks again */
		(void)gort_alloc(1000, 0);
	}
	CHECK(rt_load32_rlx(&rt->gc->started) != began);
	while (rt_load32_rlx(&rt->gc->full)) /* the program's own time */
		gort_gosched();
	gort_keep_alive(all);
}

static void test_limiter(void **state)
{
	(void)state;
	if (rt_valgrind_runs()) /* runs one thread at a time: shares of CPUs mean nothing, and it may never come */
		skip();
	for (int procs = 1; procs <= 2; procs++) {
		gort_runtime *rt;
		gort_config cfg;

		gort_config_init(&cfg);
		cfg.procs = procs;
		cfg.collector = "stw"; /* the other stays below half by itself */
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		rt_store32_rlx(&failures, 0);
		assert_int_equal(gort_runtime_run(rt, starves, rt), 0);
		assert_int_equal(rt_load32_acq(&failures), 0);
		assert_int_equal(gort_runtime_free(rt), 0);
	}
}

/* 64 MiB of garbage, which a collection finds: when it has marked, and has swept nothing, there is room for as much. */
static void leaves_room(void *arg)
{
	rt_gc *gc = ((gort_runtime *)arg)->gc;

	for (int i = 0; i < 1 << 16; i++)
		(void)gort_alloc(1000, 0);
	gort_gc();
	CHECK(rt_load64_rlx(&gc->goal) > (uint64_t)80 << 20);
	CHECK(rt_load64_rlx(&gc->trigger) > (uint64_t)50 << 20);
}

static void test_limit_after_marking(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.procs = 1;
	cfg.gc_percent = -1;
	cfg.memory_limit = (int64_t)100 << 20;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_run(rt, leaves_room, rt), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
	assert_int_equal(gort_runtime_free(rt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_typed), cmocka_unit_test(test_untyped), cmocka_unit_test(test_large),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_registered), cmocka_unit_test(test_goroutines),
		cmocka_unit_test(test_chans_and_timers), cmocka_unit_test(test_pools),
		cmocka_unit_test(test_attached), cmocka_unit_test(test_attached_without_a_run),
		cmocka_unit_test(test_runs_end_anywhere),
		cmocka_unit_test(test_gomaxprocs_changes), cmocka_unit_test(test_settings),
		cmocka_unit_test(test_no_work_buffers), cmocka_unit_test(test_by_the_clock),
		cmocka_unit_test(test_limiter), cmocka_unit_test(test_limit_after_marking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
