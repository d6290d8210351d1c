/* Finalizers: when they run, on what, in which order, and that all that hangs on their object is as it was. */
#include "tests/support/due.h"

#include <stdlib.h>

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
	case GIANT:
		return (char *)obj + (3 << 20) - 8;
	default:
		return NULL;
	}
}

static uintptr_t objects_now[N];

static void finalize(void *obj, void *arg)
{
	item *p = arg;

	if (p->sign == SIGN && p->round == rt_load64_rlx(&round_)) {
		void *slot = slot_of(p->kind, obj);

		CHECK(p->number < N && hide(obj) == objects_now[p->number]);
		CHECK(slot == NULL || intact(*(item **)slot));
	}
	count(arg);
}

static RT_NOINLINE void set_finalizers(int kind, int n, void **kept)
{
	for (int i = 0; i < n; i++) {
		void *p = of_kind(kind), *slot = slot_of(kind, p);
		item *arg = make((uint64_t)i);

		if (kept != NULL)
			gort_store(&kept[i], p);
		if (slot != NULL)
			gort_store(slot, chain((uint64_t)i));
		objects_now[i] = hide(p);
		arg->kind = kind;
		CHECK(gort_set_finalizer(p, finalize, arg) == 0);
	}
}

static void finalizers_of_kind(int kind)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	int n = kind >= LARGE ? N / 4 : N;
	uint32_t many = (uint32_t)(kind == TINY ? n / 2 : n - FEW);

	begin();
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

/* Without memory for work buffers, too: there is room for some 500 objects, or pieces of them. */
static void starved(void *arg)
{
	(void)arg;
	for (int kind = 0; kind <= GIANT; kind++) {
		begin();
		set_finalizers(kind, N / 4, NULL);
		refuse_buffers(true);
		collect();
		refuse_buffers(false);
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
	WAIT_UNTIL(rt_load32_acq(&firsts) >= N - FEW);
	CHECK(rt_load32_acq(&seconds) == 0);
	collect();
	WAIT_UNTIL(rt_load32_acq(&seconds) >= N - 2 * FEW);
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
		WAIT_UNTIL(rt_load32_acq(&seconds) >= N - FEW);
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
	WAIT_UNTIL(rt_load32_acq(&firsts) >= N - FEW);
	for (int i = 0; i < 3; i++)
		collect();
	settle();
	CHECK(rt_load32_acq(&ran) == 0 && rt_load32_acq(&seconds) == 0);
	for (int i = 0; i < N; i++)
		CHECK(saved[i] == NULL || intact(saved[i]->to));
	gort_clear(gort_type_of_void_ptr(), saved, N);
	collect();
	WAIT_UNTIL(rt_load32_acq(&seconds) >= N - 2 * FEW);
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

static void second_tiny(void *obj, void *arg)
{
	(void)arg;
	CHECK(*(char *)obj == SIGN);
	rt_add32_full(&seconds, 1);
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

/* What hangs on the start of the block comes before the finalizer in the list of the span. */
static RT_NOINLINE void set_in_blocks(void)
{
	for (int i = 0; i < N; i++) {
		char *p = gort_alloc(4, GORT_NOSCAN), *start = gort_object(p, NULL);

		if (p == start)
			continue;
		CHECK(gort_add_cleanup(start, count, make((uint64_t)i)) == 0);
		*p = SIGN;
		CHECK(gort_set_finalizer(p, second_tiny, NULL) == 0);
	}
}

static void in_blocks(void)
{
	begin();
	rt_store32_rlx(&seconds, 0);
	set_in_blocks();
	collect();
	WAIT_UNTIL(rt_load32_acq(&seconds) >= N / 2);
	settle();
	CHECK(rt_load32_acq(&ran) == 0);
	collect();
	wait_ran(N / 2);
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
	WAIT_UNTIL(rt_load32_acq(&firsts) >= N - 2 * FEW);
	gort_keep_alive(told);
	in_blocks();
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
	bool seen = rt_add32_full(&firsts, 1) > 0;

	(void)arg;
	for (long turn = 0; turn < 10000000 && !seen; turn++) {
		gort_gosched();
		seen = rt_load32_acq(&open_) && marks();
	}
	CHECK(seen);
}

/* Taken out of the queue while the collector has not come to it, and looked at when it is through. */
static void over_the_end(void *obj, void *arg)
{
	for (int i = 0; marks() && i < 20000; i++)
		gort_sleep(100 * GORT_MICROSECOND); /* its P may mark all the time */
	(void)gort_alloc(1000, GORT_NOSCAN);
	for (int i = 0; i < 10; i++)
		gort_gosched();
	CHECK(((item *)obj)->sign == SIGN && ((item *)obj)->to->sign == SIGN);
	count(arg);
}

static RT_NOINLINE void queue_behind_a_gate(void)
{
	for (int i = 0; i < FEW; i++) /* the first that comes is it */
		CHECK(gort_add_cleanup(make(0), gate, NULL) == 0);
	collect();
	WAIT_UNTIL(rt_load32_acq(&firsts) > 0);
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
	(void)arg;
	begin();
	for (int i = 0; i < 50; i++) {
		set_late(i % KINDS);
		(void)gort_gomaxprocs(1 + i % 3);
	}
	(void)gort_gomaxprocs(1); /* we and the runner by turns */
	collect();
	wait_ran(40 * FEW);
}

static void test_stress(void **state)
{
	(void)state;
	under_stress(stress);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finalizers), cmocka_unit_test(test_no_work_buffers), cmocka_unit_test(test_order),
		cmocka_unit_test(test_cycles_are_never_due), cmocka_unit_test(test_selves),
		cmocka_unit_test(test_resurrection), cmocka_unit_test(test_which),
		cmocka_unit_test(test_taken_while_marking), cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
