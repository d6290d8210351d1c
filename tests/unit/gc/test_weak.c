/* Pointers that do not keep: which handle belongs to what, when it is cleared, and that what comes out of one stays. */
#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

#include <stdlib.h>

enum { N = 100, FEW = 10, SIGN = 7 };

typedef struct item {
	struct item *to;
	uint64_t sign;
	gort_weak *weak;
} item;
GORT_DEFINE_TYPE(item, GORT_PTR(item, to), GORT_PTR(item, weak), GORT_FIELD(item, sign, uint64_t));

static RT_NOINLINE item *make(void)
{
	item *p = gort_new(GORT_TYPE(item));

	p->sign = SIGN;
	return p;
}

static bool intact(const item *p)
{
	return p->sign == SIGN && (p->to == NULL || p->to->sign == SIGN);
}

/* Handles of n objects that lead to another each; those of every other object are kept. */
static RT_NOINLINE void make_weak(gort_weak **w, void **kept, int n)
{
	for (int i = 0; i < n; i++) {
		item *p = make();

		gort_store(&p->to, make());
		gort_store(&w[i], gort_weak_make(p));
		CHECK(gort_weak_value(w[i]) == p);
		if (kept != NULL && i % 2 == 0)
			gort_store(&kept[i], p);
	}
}

/* How many have a value; all of those must be good. */
static RT_NOINLINE int valued(gort_weak **w, int n)
{
	int k = 0;

	for (int i = 0; i < n; i++) {
		item *p = gort_weak_value(w[i]);

		CHECK(p == NULL || intact(p));
		k += p != NULL;
	}
	return k;
}

static gort_weak **handles(int n)
{
	return gort_new_array(gort_type_of_void_ptr(), (size_t)n);
}

/* ---- Which handle ---------------------------------------------------------------------------------- */

static char outside[16];

static void which(void *arg)
{
	item *p = make(), *q = make();
	void *tiny = gort_alloc(3, GORT_NOSCAN), *large = gort_alloc(100000, 0);
	gort_weak *w = gort_weak_make(p);
	char here;

	(void)arg;
	CHECK(w != NULL && gort_weak_make(p) == w && gort_weak_make(q) != w);
	CHECK(gort_weak_make(large) == gort_weak_make(large));
	CHECK(gort_weak_value(gort_weak_make(tiny)) == tiny);
	CHECK(gort_weak_value(gort_weak_make(large)) == large);
	CHECK(gort_weak_value(gort_weak_make(&q->sign)) == &q->sign); /* as it was given */
	CHECK(gort_weak_make(NULL) == NULL && gort_weak_make(outside) == NULL && gort_weak_make(&here) == NULL);
	CHECK(gort_weak_make(gort_alloc(0, 0)) == NULL);
	CHECK(gort_weak_value(NULL) == NULL);
	CHECK(gort_weak_value(gort_weak_make(w)) == w); /* a handle is an object */
	for (int i = 0; i < 3; i++) {
		collect();
		CHECK(gort_weak_make(p) == w && gort_weak_value(w) == p);
	}
	gort_keep_alive(q);
}

static void test_which(void **state)
{
	(void)state;
	run_all(which);
	in_program(which, NULL);
}

static RT_NOINLINE void forget_handles(void **kept, uintptr_t *hidden)
{
	for (int i = 0; i < N; i++) {
		gort_store(&kept[i], make());
		hidden[i] = hide(gort_weak_make(kept[i]));
	}
}

/* The object has it, though nobody knows it. */
static void forgotten(void *arg)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	uintptr_t hidden[N];

	(void)arg;
	forget_handles(kept, hidden);
	for (int i = 0; i < 3; i++) {
		collect();
		CHECK(freed(hidden, N) == 0);
		for (int k = 0; k < N; k++) {
			CHECK(hide(gort_weak_make(kept[k])) == hidden[k]);
			CHECK(gort_weak_value(gort_weak_make(kept[k])) == kept[k]);
		}
		wash();
	}
	gort_clear(gort_type_of_void_ptr(), kept, N);
	collect();
	collect();
	CHECK(freed(hidden, N) >= N - FEW);
}

static void test_forgotten(void **state)
{
	(void)state;
	in_program(forgotten, NULL);
}

typedef struct race {
	item *obj;
	gort_weak *got[8];
	gort_waitgroup ready, done;
} race;

static void make_one(void *arg)
{
	void **a = arg;
	race *r = a[0];

	gort_waitgroup_done(&r->ready);
	gort_waitgroup_wait(&r->ready);
	gort_store(&r->got[(uintptr_t)a[1]], gort_weak_make(r->obj));
	gort_waitgroup_done(&r->done);
}

static void races(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		race *r = gort_alloc(sizeof *r, 0);
		void *args[8][2];

		gort_store(&r->obj, make());
		gort_waitgroup_add(&r->ready, 8);
		gort_waitgroup_add(&r->done, 8);
		for (uintptr_t k = 0; k < 8; k++) {
			args[k][0] = r;
			args[k][1] = (void *)k;
			CHECK(gort_go(make_one, args[k]) == 0);
		}
		gort_waitgroup_wait(&r->done);
		for (int k = 0; k < 8; k++)
			CHECK(r->got[k] != NULL && r->got[k] == r->got[0]);
		CHECK(gort_weak_value(r->got[0]) == r->obj);
	}
}

static void test_all_get_the_same(void **state)
{
	(void)state;
	run_on(4, races, NULL);
}

/* ---- When it is cleared ---------------------------------------------------------------------------- */

static void cleared(void *arg)
{
	void **kept = gort_new_array(gort_type_of_void_ptr(), N);
	gort_weak **w = handles(N);
	int n;

	(void)arg;
	make_weak(w, kept, N);
	wash();
	collect();
	n = valued(w, N);
	CHECK(n >= N / 2 && n <= N / 2 + FEW);
	for (int i = 0; i < N; i += 2)
		CHECK(gort_weak_value(w[i]) == kept[i]);
	gort_clear(gort_type_of_void_ptr(), kept, N);
	collect();
	CHECK(valued(w, N) <= FEW);
}

static void test_cleared(void **state)
{
	(void)state;
	in_program(cleared, NULL);
}

/* Objects of all sizes, whose spans go as a whole or not. */
static RT_NOINLINE void of_sizes(gort_weak **w, uintptr_t *hidden, size_t size, unsigned flags)
{
	for (int i = 0; i < N; i++) {
		void *p = gort_alloc(size, flags);

		hidden[i] = hide(p);
		gort_store(&w[i], gort_weak_make(p));
	}
}

static void sizes(void *arg)
{
	static const size_t all[] = { 3, 16, 100, 600, 5000, 40000, 200000 };
	gort_weak **w = handles(N);
	uintptr_t hidden[N];

	(void)arg;
	for (size_t k = 0; k < 2 * RT_NELEM(all); k++) {
		int left = 0;

		of_sizes(w, hidden, all[k / 2], k % 2 ? GORT_NOSCAN : 0);
		collect();
		for (int i = 0; i < N; i++) {
			void *p = gort_weak_value(w[i]);

			CHECK(p == NULL || hide(p) == hidden[i]);
			left += p != NULL;
		}
		CHECK(left <= 2 * FEW);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	in_program(sizes, NULL);
}

/* Between the end of marking and the sweep: the word is still there, the object is dead. Whatever comes out must stay
 * over the sweep. A collection that nobody asked for leaves spans unswept. */
static void unswept(void *arg)
{
	enum { MANY = 8000, TRIES = 4 };
	gort_weak **w = handles(MANY);
	void **held = gort_new_array(gort_type_of_void_ptr(), MANY);
	rt_gc *gc = gort_self()->gc;

	(void)arg;
	for (int t = 0; t < TRIES; t++) {
		uint32_t ended;

		make_weak(w, NULL, MANY);
		wash();
		ended = rt_load32_acq(&gc->ended);
		while (rt_load32_acq(&gc->ended) == ended)
			(void)gort_alloc(10000, GORT_NOSCAN);
		for (int i = MANY - 1; i >= 0; i--)
			gort_store(&held[i], gort_weak_value(w[i]));
		gort_gc();
		for (int i = 0; i < MANY; i++)
			CHECK(held[i] == NULL || (intact(held[i]) && gort_weak_value(w[i]) == held[i]));
		gort_clear(gort_type_of_void_ptr(), held, MANY);
	}
}

static void test_unswept(void **state)
{
	(void)state;
	in_program(unswept, NULL);
}

/* ---- Finalizers ------------------------------------------------------------------------------------ */

static rt_atomic32 ran;
static item *saved;

static void finalize(void *obj, void *arg)
{
	item *p = obj;

	(void)arg;
	CHECK(intact(p));
	CHECK(gort_weak_value(p->weak) == NULL);      /* before it runs */
	CHECK(gort_weak_value(gort_weak_make(p)) == p); /* it lives: another handle */
	CHECK(gort_weak_make(p) != p->weak);
	CHECK(gort_weak_value(p->weak) == NULL);
	gort_store(&saved, p);
	rt_add32_full(&ran, 1);
}

static RT_NOINLINE void with_finalizers(gort_weak **w)
{
	for (int i = 0; i < N; i++) {
		item *p = make();

		gort_store(&p->to, make());
		gort_store(&p->weak, gort_weak_make(p));
		gort_store(&w[i], p->weak);
		CHECK(gort_set_finalizer(p, finalize, NULL) == 0);
	}
}

static void finalizers(void *arg)
{
	gort_weak **w = handles(N);
	item *p;

	(void)arg;
	rt_store32_rlx(&ran, 0);
	CHECK(gort_root_add(gort_self(), &saved, sizeof saved) == 0);
	with_finalizers(w);
	collect();
	WAIT_UNTIL(rt_load32_acq(&ran) >= N - FEW);
	CHECK(valued(w, N) <= FEW);
	collect();
	p = rt_loadptr_acq((rt_atomicptr *)&saved); /* some may still run */
	CHECK(p != NULL && intact(p) && gort_weak_value(p->weak) == NULL);
	CHECK(gort_weak_value(gort_weak_make(p)) == p);
	CHECK(gort_root_remove(gort_self(), &saved) == 0);
	gort_store(&saved, NULL);
}

static void test_finalizers(void **state)
{
	(void)state;
	in_program(finalizers, NULL);
}

/* ---- While the collector marks --------------------------------------------------------------------- */

/* Takes the only strong pointer to a stack that has been scanned, and moves what hangs on it there, too. */
static RT_NOINLINE void take_and_move(gort_weak **w, void **held, int n)
{
	for (int i = 0; i < n; i++) {
		item *p = gort_weak_value(w[i]);

		if (p == NULL)
			continue;
		CHECK(intact(p));
		held[2 * i] = p;
		held[2 * i + 1] = p->to;
		gort_store(&p->to, NULL);
	}
}

static bool marks(void)
{
	return rt_load32_acq(&gort_self()->gcmark) != 0;
}

static void collector_begins(void *arg)
{
	rt_atomic32 *ended = arg;

	gort_gc();
	rt_store32_rel(ended, 1);
}

static void while_marking(void *arg)
{
	enum { LONG = 64 << 20 }; /* a root that takes a while */
	gort_weak **w = handles(N);
	void *held[2 * N] = { NULL }, *root = calloc(1, LONG);
	rt_atomic32 ended = { 0 };
	int found = 0;

	(void)arg;
	CHECK(root != NULL && gort_root_add(gort_self(), root, LONG) == 0);
	for (int t = 0; t < 5; t++) {
		make_weak(w, NULL, N);
		wash();
		rt_store32_rlx(&ended, 0);
		CHECK(gort_go(collector_begins, &ended) == 0);
		while (!marks() && rt_load32_acq(&ended) == 0)
			gort_gosched();
		take_and_move(w, held, N);
		while (rt_load32_acq(&ended) == 0)
			gort_gosched();
		for (int i = 0; i < 2 * N; i++) {
			CHECK(held[i] == NULL || intact(held[i]));
			found += held[i] != NULL;
		}
		memset(held, 0, sizeof held);
	}
	CHECK(found > N); /* or there was nothing to see */
	CHECK(gort_root_remove(gort_self(), root) == 0);
	free(root);
}

static void test_while_marking(void **state)
{
	(void)state;
	assert_int_equal(collected(1, "concurrent", while_marking, NULL), 0);
}

/* ---- Under stress ---------------------------------------------------------------------------------- */

enum { SHARED = 64 };
static gort_weak *shared[SHARED]; /* a root */
static rt_atomic32 left;

static void worker(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 7919 + 1;
	void **held = gort_new_array(gort_type_of_void_ptr(), 8);

	for (int i = 0; i < 3000; i++) {
		gort_weak **at = &shared[(seed >> 33) % SHARED], *w = rt_loadptr_acq((rt_atomicptr *)at);
		item *p = gort_weak_value(w);

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (p != NULL) {
			CHECK(intact(p));
			CHECK(gort_weak_make(p) == w && gort_weak_value(w) == p);
		} else {
			p = make();
			gort_store(&p->to, make());
			gort_store(at, gort_weak_make(p));
		}
		gort_store(&held[i % 8], p);
		for (int k = 0; k < 8; k++)
			CHECK(held[k] == NULL || intact(held[k]));
		if (i % 16 == 0)
			gort_gosched();
	}
	rt_add32_full(&left, (uint32_t)-1);
}

static void stress(void *arg)
{
	(void)arg;
	memset(shared, 0, sizeof shared);
	CHECK(gort_root_add(gort_self(), shared, sizeof shared) == 0);
	rt_store32_rlx(&left, 4);
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(gort_go(worker, (void *)i) == 0);
	while (rt_load32_acq(&left) != 0)
		gort_sleep(GORT_MILLISECOND);
	CHECK(gort_root_remove(gort_self(), shared) == 0);
}

static void test_stress(void **state)
{
	static const char *const how[] = { "clobberfree=1,gcstress=10", "clobberfree=1,gcstress=10,gccheckmark=1",
		                           "clobberfree=1,gcstress=3,preemptall=1" };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(how); i++) {
		debug = how[i];
		in_program(stress, NULL);
	}
	debug = NULL;
}

static void makes_many(void *arg)
{
	gort_weak **w = handles(3000);

	(void)arg;
	make_weak(w, NULL, 3000);
	collect();
	(void)valued(w, 3000);
}

static void test_memory_ends(void **state)
{
	(void)state;
	without_memory(makes_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which), cmocka_unit_test(test_forgotten), cmocka_unit_test(test_all_get_the_same),
		cmocka_unit_test(test_cleared), cmocka_unit_test(test_sizes), cmocka_unit_test(test_unswept),
		cmocka_unit_test(test_finalizers), cmocka_unit_test(test_while_marking), cmocka_unit_test(test_stress),
		cmocka_unit_test(test_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
