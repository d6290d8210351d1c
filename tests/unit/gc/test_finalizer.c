/* What is called when objects are gone: when, how often, with what, in which order; and how the goroutine that calls
 * ends and comes again. */
#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

#include <stdlib.h>

enum { N = 100, FEW = 10, SIGN = 7 };

typedef struct item {
	struct item *to;
	uint64_t sign, number, round;
} item;
GORT_DEFINE_TYPE(item, GORT_PTR(item, to), GORT_FIELD(item, number, uint64_t), GORT_FIELD(item, round, uint64_t));

typedef struct wide { /* above 512 bytes: its pointers are told by the type */
	uint64_t fill[80];
	item *to;
	uint64_t sign;
} wide;
GORT_DEFINE_TYPE(wide, GORT_PTR(wide, to));

static rt_atomic64 round_; /* a word may keep an object: what comes later than its round does not count */
static rt_atomic32 ran;
static rt_atomic32 runs[N]; /* how often the one with the number */

static void begin(void)
{
	rt_add64_full(&round_, 1);
	rt_store32_rlx(&ran, 0);
	for (int i = 0; i < N; i++)
		rt_store32_rlx(&runs[i], 0);
}

static int twice(void)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += rt_load32_rlx(&runs[i]) > 1;
	return n;
}

static RT_NOINLINE item *make(uint64_t number)
{
	item *p = gort_new(GORT_TYPE(item));

	p->sign = SIGN;
	p->number = number;
	p->round = rt_load64_rlx(&round_);
	return p;
}

static void count(void *arg)
{
	item *p = arg;

	if (p->sign != SIGN || p->number >= N) {
		CHECK(!"it was freed");
	} else if (p->round == rt_load64_rlx(&round_)) {
		rt_add32_full(&runs[p->number], 1);
		rt_add32_full(&ran, 1);
	}
}

static void wait_ran(uint32_t n)
{
	YIELD_UNTIL(rt_load32_acq(&ran) >= n);
}

/* ---- Objects of every kind ------------------------------------------------------------------------ */

enum { TYPED, WIDE, BYTES, NOSCAN, TINY, LARGE, HUGE, LARGE_NOSCAN, KINDS };

static RT_NOINLINE void *of_kind(int kind)
{
	switch (kind) {
	case TYPED:
		return make(0);
	case WIDE:
		return gort_new(GORT_TYPE(wide));
	case BYTES:
		return gort_alloc(200, 0);
	case NOSCAN:
		return gort_alloc(3000, GORT_NOSCAN);
	case TINY:
		return gort_alloc(5, GORT_NOSCAN);
	case LARGE:
		return gort_alloc(40000, 0);
	case HUGE:
		return gort_alloc(300000, 0);
	default:
		return gort_alloc(300000, GORT_NOSCAN);
	}
}

/* ---- Cleanups -------------------------------------------------------------------------------------- */

/* Collections begin and end while it has not looked at arg. */
static void count_late(void *arg)
{
	for (int i = 0; i < 5; i++) {
		(void)gort_alloc(1000, GORT_NOSCAN); /* in nobody's place */
		gort_gosched();
	}
	count(arg);
}

static RT_NOINLINE void add_cleanups(int kind, int n, gort_func fn, void **kept, uintptr_t *objects, uintptr_t *args)
{
	for (int i = 0; i < n; i++) {
		void *p = of_kind(kind), *arg = make((uint64_t)i);

		if (kept != NULL)
			gort_store(&kept[i], p);
		objects[i] = hide(p);
		args[i] = hide(arg);
		CHECK(gort_add_cleanup((char *)p + i % 3, fn, arg) == 0);
	}
}

static void cleanups_of_kind(int kind)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	int n = kind >= LARGE ? N / 4 : N;
	uint32_t many = (uint32_t)(kind == TINY ? n / 2 : n - FEW); /* tiny ones die together */
	uintptr_t objects[N], args[N];

	begin();
	add_cleanups(kind, n, count, kept, objects, args);
	for (int i = 0; i < 2; i++) {
		collect();
		settle();
		CHECK(rt_load32_acq(&ran) == 0);
		CHECK(freed(objects, n) == 0);
		CHECK(freed(args, n) == 0);
	}
	gort_clear(gort_type_of_void_ptr(), kept, N);
	collect();
	wait_ran(many);
	CHECK(kind == TINY || freed(objects, n) >= n - FEW);
	collect();
	CHECK(freed(args, n) >= (int)many - FEW);
	CHECK(twice() == 0);
	gort_keep_alive(kept);
}

static void cleanups(void *arg)
{
	(void)arg;
	for (int kind = 0; kind < KINDS; kind++)
		cleanups_of_kind(kind);
}

static void test_cleanups(void **state)
{
	(void)state;
	in_program(cleanups, NULL);
}

static RT_NOINLINE void many_on_one(void)
{
	void *p = make(0);

	for (int i = 0; i < N; i++)
		CHECK(gort_add_cleanup(p, count, make((uint64_t)i)) == 0);
}

static void any_number(void *arg)
{
	(void)arg;
	begin();
	for (int tries = 0; tries < 10 && rt_load32_acq(&ran) == 0; tries++) { /* a word may keep one */
		begin();
		many_on_one();
		collect();
		settle();
	}
	wait_ran(N);
	CHECK(twice() == 0);
}

static void test_any_number(void **state)
{
	(void)state;
	in_program(any_number, NULL);
}

static char outside[16];

static void refusals(void *arg)
{
	char here;
	void *p = make(0);

	(void)arg;
	CHECK(gort_add_cleanup(NULL, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(outside, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(&here, count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(gort_alloc(0, 0), count, NULL) == GORT_EINVAL);
	CHECK(gort_add_cleanup(p, NULL, NULL) == GORT_EINVAL);
}

static void test_refusals(void **state)
{
	(void)state;
	run_all(refusals);
}

/* The records are used again. */
static void records(void *arg)
{
	rt_fixalloc *f = &gort_self()->gc->heap.specials;
	uintptr_t objects[N], args[N];

	(void)arg;
	begin();
	for (int i = 1; i <= 20; i++) {
		add_cleanups(TYPED, N, count, NULL, objects, args);
		collect();
		wait_ran((uint32_t)(i * (N - 1) - 2 * FEW));
	}
	CHECK(f->inuse <= 2 * N);
}

static void test_records(void **state)
{
	(void)state;
	in_program(records, NULL);
}

/* ---- Finalizers ------------------------------------------------------------------------------------ */

/* What hangs on an object, behind several pointers, is as it was. */
static bool intact(const item *p)
{
	int n = 0;

	for (; p != NULL && n < 5; p = p->to)
		n += p->sign == SIGN;
	return n == 5;
}

static RT_NOINLINE item *chain(uint64_t number)
{
	item *p = NULL;

	for (int i = 0; i < 5; i++) {
		item *q = make(number);

		gort_store(&q->to, p);
		p = q;
	}
	return p;
}

/* The pointer of an object of the kind that leads on; NULL: it has none. */
static void *slot_of(int kind, void *obj)
{
	switch (kind) {
	case TYPED:
		return &((item *)obj)->to;
	case WIDE:
		return &((wide *)obj)->to;
	case BYTES:
		return (char *)obj + 24;
	case LARGE:
		return (char *)obj + 33000;
	case HUGE:
		return (char *)obj + 250000; /* not in the first piece */
	default:
		return NULL;
	}
}

static int kind_now;
static uintptr_t objects_now[N];

static void finalize(void *obj, void *arg)
{
	item *p = arg;
	void *slot = slot_of(kind_now, obj);

	if (p->sign == SIGN && p->round == rt_load64_rlx(&round_)) {
		CHECK(p->number < N && hide(obj) == objects_now[p->number]);
		CHECK(slot == NULL || intact(*(item **)slot));
	}
	count(arg);
}

static RT_NOINLINE void set_finalizers(int kind, int n, void **kept)
{
	for (int i = 0; i < n; i++) {
		void *p = of_kind(kind), *slot = slot_of(kind, p);

		if (kept != NULL)
			gort_store(&kept[i], p);
		if (slot != NULL)
			gort_store(slot, chain((uint64_t)i));
		objects_now[i] = hide(p);
		CHECK(gort_set_finalizer(p, finalize, make((uint64_t)i)) == 0);
	}
}

static void finalizers_of_kind(int kind)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	int n = kind >= LARGE ? N / 4 : N;
	uint32_t many = (uint32_t)(kind == TINY ? n / 2 : n - FEW);

	begin();
	kind_now = kind;
	set_finalizers(kind, n, kept);
	for (int i = 0; i < 2; i++) {
		collect();
		settle();
		CHECK(rt_load32_acq(&ran) == 0);
	}
	gort_clear(gort_type_of_void_ptr(), kept, N);
	collect();
	wait_ran(many);
	settle();
	CHECK(freed(objects_now, n) == 0); /* none before a collection has found it once more */
	collect();
	CHECK(kind == TINY || freed(objects_now, n) >= n - FEW);
	CHECK(twice() == 0);
	gort_keep_alive(kept);
}

static void finalizers(void *arg)
{
	(void)arg;
	for (int kind = 0; kind < KINDS; kind++)
		finalizers_of_kind(kind);
}

static void test_finalizers(void **state)
{
	(void)state;
	in_program(finalizers, NULL);
}

/* Without memory for work buffers, too. */
static void starved(void *arg)
{
	rt_gc *gc = gort_self()->gc;

	(void)arg;
	for (int kind = 0; kind < KINDS; kind++) {
		begin();
		kind_now = kind;
		set_finalizers(kind, N / 4, NULL);
		gc->pool.refuse = true;
		collect();
		gc->pool.refuse = false;
		wait_ran(N / 8);
	}
}

static void test_no_work_buffers(void **state)
{
	(void)state;
	in_program(starved, NULL);
}

/* ---- Their order ---- */

static rt_atomic32 firsts, seconds;

static void first(void *obj, void *arg)
{
	CHECK(((item *)obj)->to->sign == SIGN);
	rt_add32_full(&firsts, 1);
	(void)arg;
}

static void second(void *obj, void *arg)
{
	CHECK(((item *)obj)->sign == SIGN);
	rt_add32_full(&seconds, 1);
	(void)arg;
}

static RT_NOINLINE void make_pairs(bool cycle)
{
	for (int i = 0; i < N; i++) {
		item *a = make(0), *b = make(1), *between = make(2);

		gort_store(&a->to, between);
		gort_store(&between->to, b);
		if (cycle)
			gort_store(&b->to, a);
		CHECK(gort_set_finalizer(b, second, NULL) == 0);
		CHECK(gort_set_finalizer(a, first, NULL) == 0);
	}
}

static void order(void *arg)
{
	rt_store32_rlx(&firsts, 0);
	rt_store32_rlx(&seconds, 0);
	make_pairs(arg != NULL);
	for (int i = 0; i < 4 && arg != NULL; i++)
		collect();
	collect();
	if (arg != NULL) { /* in a cycle, never */
		settle();
		CHECK(rt_load32_acq(&firsts) == 0 && rt_load32_acq(&seconds) == 0);
		return;
	}
	YIELD_UNTIL(rt_load32_acq(&firsts) >= N - FEW);
	CHECK(rt_load32_acq(&seconds) == 0);
	collect();
	YIELD_UNTIL(rt_load32_acq(&seconds) >= N - 2 * FEW);
}

static void test_order(void **state)
{
	(void)state;
	in_program(order, NULL);
}

static void test_cycles_are_never_due(void **state)
{
	in_program(order, state);
}

/* An object that points to itself is none, whatever its type. */
static RT_NOINLINE void to_themselves(uintptr_t *hidden, size_t size)
{
	for (int i = 0; i < N; i++) {
		void **p = gort_alloc(size, 0);

		gort_store(&p[size / 16], &p[3]);
		hidden[i] = hide(p);
		CHECK(gort_set_finalizer(p, second, make(0)) == 0);
		((item *)p)->sign = SIGN;
	}
}

static void selves(void *arg)
{
	static const size_t sizes[] = { 64, 2000, 40000 };
	uintptr_t hidden[N];

	(void)arg;
	for (size_t i = 0; i < RT_NELEM(sizes); i++) {
		rt_store32_rlx(&seconds, 0);
		to_themselves(hidden, sizes[i]);
		collect();
		YIELD_UNTIL(rt_load32_acq(&seconds) >= N - FEW);
		collect();
		CHECK(freed(hidden, N) >= N - FEW);
	}
}

static void test_selves(void **state)
{
	(void)state;
	in_program(selves, NULL);
}

/* A cleanup comes when the object is gone for good: not before the finalizer, nor when that keeps it. */
static item *saved[N];

static void save(void *obj, void *arg)
{
	item *p = obj;

	CHECK(p->sign == SIGN && rt_load32_acq(&ran) == 0);
	(void)arg;
	gort_store(&saved[p->number], p);
	rt_add32_full(&firsts, 1);
	CHECK(gort_set_finalizer(p, second, NULL) == 0); /* it may have another */
	CHECK(gort_set_finalizer(p, second, NULL) == GORT_EINVAL);
}

static RT_NOINLINE void make_saved(void)
{
	for (int i = 0; i < N; i++) {
		item *p = make((uint64_t)i);

		gort_store(&p->to, chain(0));
		CHECK(gort_add_cleanup(p, count, make((uint64_t)i)) == 0);
		CHECK(gort_set_finalizer(p, save, NULL) == 0);
		CHECK(gort_add_cleanup(p, count, make((uint64_t)i)) == 0);
	}
}

static void resurrection(void *arg)
{
	gort_runtime *rt = gort_self();

	(void)arg;
	begin();
	rt_store32_rlx(&firsts, 0);
	rt_store32_rlx(&seconds, 0);
	memset(saved, 0, sizeof saved);
	CHECK(gort_root_add(rt, saved, sizeof saved) == 0);
	make_saved();
	collect();
	YIELD_UNTIL(rt_load32_acq(&firsts) >= N - FEW);
	for (int i = 0; i < 3; i++)
		collect();
	settle();
	CHECK(rt_load32_acq(&ran) == 0 && rt_load32_acq(&seconds) == 0);
	for (int i = 0; i < N; i++)
		CHECK(saved[i] == NULL || intact(saved[i]->to));
	gort_clear(gort_type_of_void_ptr(), saved, N);
	collect();
	YIELD_UNTIL(rt_load32_acq(&seconds) >= N - 2 * FEW);
	CHECK(rt_load32_acq(&ran) == 0);
	collect();
	wait_ran(2 * (N - 3 * FEW));
	CHECK(gort_root_remove(rt, saved) == 0);
}

static void test_resurrection(void **state)
{
	(void)state;
	in_program(resurrection, NULL);
}

/* ---- Which objects may have one ---- */

static RT_NOINLINE void set_and_remove(uintptr_t *hidden)
{
	for (int i = 0; i < N; i++) {
		item *p = make(0);

		hidden[i] = hide(p);
		CHECK(gort_set_finalizer(p, NULL, NULL) == 0);
		CHECK(gort_set_finalizer(p, first, NULL) == 0);
		CHECK(gort_set_finalizer(p, second, NULL) == GORT_EINVAL);
		CHECK(gort_set_finalizer(p, NULL, NULL) == 0);
	}
}

static void tells(void *obj, void *arg)
{
	CHECK(obj == (void *)~*(uintptr_t *)arg);
	rt_add32_full(&firsts, 1);
}

/* Two of one block. */
static RT_NOINLINE void set_tiny(uintptr_t *told)
{
	for (int i = 0; i < N; i++) {
		void *p = gort_alloc(8, GORT_NOSCAN), *arg = gort_alloc(24, GORT_NOSCAN); /* no part of the block */

		*(uintptr_t *)arg = hide(p);
		gort_store(&((void **)told)[i], arg);
		CHECK(gort_set_finalizer(p, tells, arg) == 0);
		CHECK(gort_set_finalizer(p, tells, arg) == GORT_EINVAL);
	}
}

static void which(void *arg)
{
	void **told = gort_new_array(gort_type_of_void_ptr(), N);
	uintptr_t hidden[N];
	item *p = make(0);
	char here;

	(void)arg;
	CHECK(gort_set_finalizer(NULL, first, NULL) == GORT_EINVAL);
	CHECK(gort_set_finalizer(outside, first, NULL) == GORT_EINVAL);
	CHECK(gort_set_finalizer(&here, first, NULL) == GORT_EINVAL);
	CHECK(gort_set_finalizer(outside, NULL, NULL) == GORT_EINVAL);
	CHECK(gort_set_finalizer(gort_alloc(0, 0), first, NULL) == GORT_EINVAL);
	CHECK(gort_set_finalizer(&p->sign, first, NULL) == GORT_EINVAL);
	rt_store32_rlx(&firsts, 0);
	rt_store32_rlx(&seconds, 0);
	set_and_remove(hidden);
	collect();
	CHECK(freed(hidden, N) >= N - FEW);
	settle();
	CHECK(rt_load32_acq(&firsts) == 0 && rt_load32_acq(&seconds) == 0);
	set_tiny((uintptr_t *)told);
	collect();
	YIELD_UNTIL(rt_load32_acq(&firsts) >= N - 2 * FEW);
	gort_keep_alive(told);
}

static void test_which(void **state)
{
	(void)state;
	in_program(which, NULL);
}

/* ---- While the collector marks ---- */

static rt_atomic32 open_;

static bool marks(void)
{
	return rt_load32_acq(&gort_self()->gcmark) != 0;
}

static void gate(void *arg)
{
	(void)arg;
	rt_store32_rel(&firsts, 1);
	YIELD_UNTIL(rt_load32_acq(&open_) && marks());
}

/* Taken out of the queue while the collector has not come to it, and looked at when it is through. */
static void over_the_end(void *obj, void *arg)
{
	YIELD_UNTIL(!marks());
	(void)gort_alloc(1000, GORT_NOSCAN);
	for (int i = 0; i < 10; i++)
		gort_gosched();
	CHECK(((item *)obj)->sign == SIGN && ((item *)obj)->to->sign == SIGN);
	count(arg);
}

static RT_NOINLINE void queue_behind_a_gate(void)
{
	CHECK(gort_add_cleanup(make(0), gate, NULL) == 0);
	for (int i = 0; rt_load32_acq(&firsts) == 0 && i < 10; i++) {
		collect();
		settle();
		if (rt_load32_acq(&firsts) == 0) /* a word keeps it */
			CHECK(gort_add_cleanup(make(0), gate, NULL) == 0);
	}
	for (int i = 0; i < N; i++) {
		item *p = make(0);

		gort_store(&p->to, make(0));
		CHECK(gort_set_finalizer(p, over_the_end, make((uint64_t)i)) == 0);
	}
}

static void taken_while_marking(void *arg)
{
	enum { LONG = 64 << 20 }; /* a root that is looked at before the queue is */
	void *root = calloc(1, LONG);

	(void)arg;
	begin();
	rt_store32_rel(&firsts, 0);
	rt_store32_rel(&open_, 0);
	CHECK(root != NULL && gort_root_add(gort_self(), root, LONG) == 0);
	queue_behind_a_gate();
	collect();
	rt_store32_rel(&open_, 1);
	collect();
	wait_ran(N - FEW);
	CHECK(gort_root_remove(gort_self(), root) == 0);
	free(root);
}

static void test_taken_while_marking(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "concurrent", taken_while_marking, NULL), 0);
}

/* ---- The runner ------------------------------------------------------------------------------------ */

static RT_NOINLINE void add_n(int n, gort_func fn)
{
	for (int i = 0; i < n; i++)
		CHECK(gort_add_cleanup(make(0), fn, make((uint64_t)(i % N))) == 0);
}

static rt_atomic32 scopes, deferred;

static void recovers(void *arg)
{
	rt_add32_full(&deferred, 1);
	if (arg != NULL)
		CHECK(gort_recover(NULL));
}

/* A cleanup is a function: what it defers is called when it ends, and it may recover. */
static void as_scope(void *arg)
{
	item *p = arg;

	CHECK(rt_load32_rlx(&deferred) == rt_add32_full(&scopes, 1));
	gort_defer(recovers, p->number % 2 ? p : NULL);
	count(arg);
	gort_gosched();
	if (p->number % 2)
		gort_panics("is recovered");
}

static void as_goexit(void *arg)
{
	count(arg);
	gort_goexit();
}

static void ends(void *arg)
{
	int n = gort_num_goroutine();

	(void)arg;
	begin();
	rt_store32_rlx(&scopes, 0);
	rt_store32_rlx(&deferred, 0);
	add_n(N, as_scope);
	collect();
	wait_ran(N - FEW);
	CHECK(gort_num_goroutine() == n);
	begin();
	add_n(N, as_goexit);
	collect();
	wait_ran(N - FEW);
	YIELD_UNTIL(gort_num_goroutine() == n);
	begin();
	add_n(N, count);
	collect();
	wait_ran(N - FEW);
}

static void test_ends_of_a_call(void **state)
{
	(void)state;
	in_program(ends, NULL);
}

static void fails(void *arg)
{
	(void)arg;
	gort_panics("in a cleanup");
}

static void waits_for_failure(void *arg)
{
	add_n(N, fails);
	collect();
	(void)gort_chan_recv(arg, NULL);
}

static void test_panic(void **state)
{
	(void)state;
	in_program_that_ends(GORT_EPANIC, waits_for_failure, NULL);
	assert_memory_equal(program_error, "panic: in a cleanup\n", 20);
}

/* The runner is no goroutine that somebody could still wait for. */
static void all_asleep(void *arg)
{
	begin();
	add_n(N, count);
	collect();
	wait_ran(N - FEW);
	(void)gort_chan_recv(arg, NULL);
}

static void test_deadlock(void **state)
{
	(void)state;
	in_program_that_ends(GORT_EDEADLOCK, all_asleep, NULL);
}

static void blocks_for_ever(void *arg)
{
	rt_add32_full(&ran, 1);
	(void)gort_chan_recv(NULL, arg);
}

static void leaves_some(void *arg)
{
	(void)arg;
	begin();
	add_n(1, blocks_for_ever);
	for (int tries = 0; rt_load32_acq(&ran) == 0 && tries < 10; tries++) {
		collect();
		settle();
	}
	wait_ran(1);
	add_n(N, count);
	collect();
	settle();
	CHECK(rt_load32_acq(&ran) == 1);
}

static void runs_them(void *arg)
{
	(void)arg;
	CHECK(rt_load32_acq(&ran) == 1);
	collect();
	wait_ran(N - FEW);
}

/* What was queued when a run ended is called in the next. */
static void test_a_run_ends(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	gort_config_init(&cfg);
	cfg.collector = "concurrent";
	cfg.debug = "clobberfree=1";
	rt_store32_rlx(&failures, 0);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_runtime_run(rt, leaves_some, NULL), 0);
	assert_int_equal(gort_runtime_run(rt, runs_them, NULL), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
	assert_int_equal(gort_runtime_free(rt), 0);
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

/* There is no name for the runner. The next collection tries again. */
static void no_runner(void *arg)
{
	static rt_debugvars mine;
	rt_fixalloc *names = &gort_self()->sched.names;

	(void)arg;
	collect(); /* the controller has its name */
	begin();
	rt_store32_rlx(&mine.oomleft, 1);
	names->debug = &mine;
	while (rt_load32_rlx(&mine.oomleft) != 0)
		(void)rt_fixalloc_get(names); /* the last fails */
	rt_store32_rlx(&mine.oomleft, 1);
	for (int tries = 0; rt_load32_rlx(&mine.oomleft) != 0 && tries < 10; tries++) {
		add_n(1, count);
		collect();
	}
	settle();
	CHECK(rt_load32_rlx(&mine.oomleft) == 0);
	CHECK(rt_load32_acq(&ran) == 0);
	collect();
	wait_ran(1);
	names->debug = &gort_self()->debug;
}

static void test_no_runner(void **state)
{
	(void)state;
	in_program(no_runner, NULL);
}

static void adds_many(void *arg)
{
	(void)arg;
	begin();
	for (int i = 0; i < 30; i++)
		add_n(N, count);
	collect();
	settle();
}

static void test_memory_ends(void **state)
{
	int failed = 0;

	(void)state;
	for (int i = 1; i < 60; i++) {
		gort_runtime *rt;
		gort_config cfg;
		char text[32];
		int r;

		snprintf(text, sizeof text, "oomfail=%d", i);
		gort_config_init(&cfg);
		cfg.procs = 2;
		cfg.collector = "concurrent";
		cfg.debug = text;
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		r = gort_runtime_run(rt, adds_many, NULL);
		assert_true(r == 0 || r == GORT_ENOMEM);
		failed += r != 0;
		assert_int_equal(gort_runtime_free(rt), 0);
	}
	assert_true(failed > 0);
}

/* ---- Under stress ---------------------------------------------------------------------------------- */

static void late(void *obj, void *arg)
{
	(void)obj;
	count_late(arg);
}

static RT_NOINLINE void set_late(int kind)
{
	for (int i = 0; i < FEW; i++) {
		void *p = of_kind(kind), *slot = slot_of(kind, p);

		if (slot != NULL)
			gort_store(slot, chain(0));
		CHECK(gort_set_finalizer(p, late, make((uint64_t)i)) == 0);
	}
}

static void stress(void *arg)
{
	uintptr_t objects[N], args[N];

	(void)arg;
	begin();
	for (int i = 0; i < 30; i++) {
		add_cleanups(i % KINDS, i % KINDS >= LARGE ? FEW : N, count_late, NULL, objects, args);
		set_late(i % KINDS);
		(void)gort_gomaxprocs(1 + i % 3);
	}
	(void)gort_gomaxprocs(1); /* we and the runner by turns */
	collect();
	wait_ran(20 * N);
}

static void test_stress(void **state)
{
	(void)state;
	debug = "clobberfree=1,gcstress=50,gccheckmark=1";
	in_program(stress, NULL);
	debug = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleanups), cmocka_unit_test(test_any_number), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_records), cmocka_unit_test(test_ends_of_a_call), cmocka_unit_test(test_panic),
		cmocka_unit_test(test_finalizers), cmocka_unit_test(test_no_work_buffers), cmocka_unit_test(test_order),
		cmocka_unit_test(test_cycles_are_never_due), cmocka_unit_test(test_selves),
		cmocka_unit_test(test_resurrection), cmocka_unit_test(test_which),
		cmocka_unit_test(test_taken_while_marking),
		cmocka_unit_test(test_deadlock), cmocka_unit_test(test_a_run_ends), cmocka_unit_test(test_no_runner),
		cmocka_unit_test(test_memory_ends), cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
