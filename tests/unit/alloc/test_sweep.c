/* Cycles of a heap whose collector is a list of what is kept: sweeping frees the rest and
 * nothing else, by every way that leads to it, on one thread and on several. The seed is
 * printed; an argument sets it. */
#include "core/alloc/malloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/alloc/special.h"
#include "core/alloc/sweep.h"
#include "core/base/rand.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t seed;
static rt_mheap h;
static rt_debugvars debug;

enum { PS = 4, KEPT = 3000 };

typedef struct object {
	unsigned char *p;
	size_t n;
	unsigned char fill;
} object;

/* A P, its thread and what it keeps alive. */
typedef struct proc {
	rt_mcache mc;
	rt_rand rand;
	object kept[KEPT];
	uint64_t mallocs, bytes, tiny; /* what the counters should say */
	be_thread thread;
	bool fine;
} proc;

static proc procs[PS];

static void begin(const char *godebug, int n)
{
	rt_debugvars_init(&debug);
	assert_int_equal(rt_debugvars_parse(&debug, godebug, true), 0);
	rt_mheap_init(&h, &debug);
	for (int i = 0; i < n; i++) {
		memset(&procs[i], 0, sizeof procs[i]);
		rt_mcache_init(&procs[i].mc, &h);
		rt_rand_seed(&procs[i].rand, seed + (uint64_t)i);
		procs[i].fine = true;
	}
}

static void end(int n)
{
	for (int i = 0; i < n; i++)
		rt_mcache_flush(&procs[i].mc);
	rt_mheap_fini(&h);
}

static bool intact(const object *o)
{
	size_t step = o->n > 2000 ? o->n / 100 : 1;

	for (size_t i = 0; i < o->n; i += step)
		if (o->p[i] != o->fill)
			return false;
	return o->n == 0 || o->p[o->n - 1] == o->fill;
}

static bool zero(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && p[i] == 0; i++)
		;
	return i == n;
}

static size_t some_size(proc *pp)
{
	uint32_t k = rt_rand_below(&pp->rand, 1000);

	if (k == 0)
		return RT_SMALL_MAX + 1 + rt_rand_below(&pp->rand, 500000);
	if (k < 20)
		return 1 + rt_rand_below(&pp->rand, RT_SMALL_MAX);
	return 16 + rt_rand_below(&pp->rand, k < 500 ? 120 : 1000);
}

/* As core/gc/new.c does it. */
static rt_slot allocate(proc *pp, size_t n)
{
	bool noscan = rt_rand_below(&pp->rand, 2);
	rt_slot o;

	if (n > RT_SMALL_MAX) {
		o = rt_malloc_large(&pp->mc, n, noscan);
		if (o.p != NULL && o.s->needzero)
			memset(o.p, 0, o.s->elemsize);
	} else if (noscan) {
		o = rt_malloc_noscan(&pp->mc, n, true);
	} else if (n <= RT_BITMAP_MAX) {
		o = rt_malloc_bitmap(&pp->mc, n, 1);
	} else {
		o = rt_malloc_typed(&pp->mc, n, NULL);
	}
	return o;
}

/* Makes one object in place of another that it kept, or of none. */
static void step(proc *pp)
{
	object *o = &pp->kept[rt_rand_below(&pp->rand, KEPT)];
	rt_slot s;

	pp->fine = pp->fine && intact(o);
	o->n = 0;
	if (rt_rand_below(&pp->rand, 3) == 0)
		return; /* dropped */
	o->n = some_size(pp);
	s = allocate(pp, o->n);
	if (s.p == NULL) {
		o->n = 0;
		return;
	}
	pp->mallocs++;
	pp->bytes += s.s->elemsize;
	pp->fine = pp->fine && zero(s.p, s.s->elemsize);
	o->p = (unsigned char *)s.p;
	o->fill = (unsigned char)(1 + rt_rand_below(&pp->rand, 255));
	memset(o->p, o->fill, o->n);
}

static void mark(const object *o)
{
	rt_span *s = NULL;
	uint32_t index = 0;

	if (o->n == 0)
		return;
	assert_int_equal(rt_object_find(&h, (uintptr_t)o->p, &s, &index), (uintptr_t)o->p);
	if (rt_bit_set(rt_span_markbits(s), index)) {
		rt_arena *a = rt_arena_of(&h.map, (uintptr_t)s->base);

		(void)rt_bit_set(a->marked, rt_arena_page((uintptr_t)s->base));
	}
}

/* The world is stopped. */
static void collect(int n)
{
	while (rt_sweep_one(&h, NULL) != SIZE_MAX)
		;
	for (int i = 0; i < n; i++)
		rt_mcache_count(&procs[i].mc);
	rt_mark_begin(&h);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < KEPT; k++)
			mark(&procs[i].kept[k]);
	rt_sweep_begin(&h);
	rt_store64_rlx(&h.live, 0);
	rt_sweep_pace(&h, rt_rand_below(&procs[0].rand, 2) ? 0.001 : 0);
}

/* With everything swept, the counters agree with what is kept, and the heap with itself. */
static void check_exact(int n)
{
	uint64_t mallocs = 0, bytes = 0, kept = 0, objects = 0;
	rt_memtotals t = {0};

	for (int i = 0; i < n; i++) {
		(void)rt_mcache_prepare(&procs[i].mc);
		rt_mcache_count(&procs[i].mc);
		rt_memtotals_add(&t, &procs[i].mc.count);
		mallocs += procs[i].mallocs;
		bytes += procs[i].bytes;
		for (int k = 0; k < KEPT; k++)
			if (procs[i].kept[k].n > 0) {
				kept += rt_roundup_size(procs[i].kept[k].n);
				objects++;
			}
	}
	while (rt_sweep_one(&h, &procs[0].mc) != SIZE_MAX)
		;
	assert_true(rt_sweep_done(&h));
	memset(&t, 0, sizeof t);
	rt_memtotals_add(&t, &h.global);
	for (int i = 0; i < n; i++)
		rt_memtotals_add(&t, &procs[i].mc.count);
	assert_int_equal(rt_memtotals_mallocs(&t), mallocs);
	assert_int_equal(rt_memtotals_allocated(&t), bytes);
	assert_int_equal(rt_memtotals_mallocs(&t) - rt_memtotals_frees(&t), objects);
	assert_int_equal(rt_memtotals_allocated(&t) - rt_memtotals_freed(&t), kept);
	rt_lock(&h.lock, RT_RANK_mheap);
	rt_pageheap_check(&h.pages);
	rt_unlock(&h.lock, RT_RANK_mheap);
}

static void run_cycles(const char *godebug, int cycles)
{
	begin(godebug, 1);
	for (int c = 0; c < cycles; c++) {
		for (int i = 0; i < 6000; i++)
			step(&procs[0]);
		collect(1);
		(void)rt_mcache_prepare(&procs[0].mc);
		assert_true(procs[0].fine);
		if (c % 3 == 0) {
			check_exact(1);
		} else if (c % 3 == 1) { /* reclaim by address, then leave the rest to allocation */
			rt_sweep_reclaim(&h, &procs[0].mc, 100);
		}
	}
	for (int k = 0; k < KEPT; k++)
		assert_true(intact(&procs[0].kept[k]));
	/* Nothing is kept: all pages come back. */
	memset(procs[0].kept, 0, sizeof procs[0].kept);
	collect(1);
	check_exact(1);
	rt_mcache_release(&procs[0].mc);
	assert_int_equal(rt_load64_rlx(&h.pages_inuse), 0);
	assert_int_equal(rt_load64_rlx(&h.inuse), 0);
	end(1);
}

static void test_cycles(void **state)
{
	run_cycles("", 30);
}

/* Sweeping goes on without memory for mark bits, and allocation fails once. */
static void test_cycles_without_memory(void **state)
{
	for (int n = 1; n < 60; n += 3) {
		char text[32];

		snprintf(text, sizeof text, "oomfail=%d", n);
		run_cycles(text, 3);
	}
}

/* No sweep ever gets new bits. */
static void test_bits_change_places(void **state)
{
	begin("", 1);
	for (int c = 0; c < 12; c++) {
		for (int i = 0; i < 3000; i++)
			step(&procs[0]);
		collect(1);
		debug.oomfail = 1;
		while (!rt_sweep_done(&h)) {
			rt_store32_rlx(&debug.oomleft, 1);
			rt_storeptr_rlx(&h.bits.next, NULL);
			(void)rt_sweep_one(&h, NULL);
		}
		rt_store32_rlx(&debug.oomleft, 1);
		(void)rt_mcache_prepare(&procs[0].mc);
		rt_store32_rlx(&debug.oomleft, 0);
		assert_true(procs[0].fine);
	}
	check_exact(1);
	end(1);
}

static jmp_buf caught;
static const char *thrown;

static void hook(const char *what)
{
	thrown = what;
	longjmp(caught, 1);
}

static void test_a_marked_free_slot_is_noticed(void **state)
{
	rt_slot o;

	begin("", 1);
	o = rt_malloc_noscan(&procs[0].mc, 64, true);
	collect(1);
	(void)rt_bit_set(rt_span_markbits(o.s), 5);
	rt_throw_hook = hook;
	thrown = NULL;
	if (setjmp(caught) == 0)
		(void)rt_mcache_prepare(&procs[0].mc);
	rt_throw_hook = NULL;
	assert_string_equal(thrown, "found pointer to free object");
	rt_mheap_fini(&h);
}

static void test_clobber(void **state)
{
	rt_slot a, b;

	begin("", 1);
	h.clobberfree = true;
	a = rt_malloc_noscan(&procs[0].mc, 64, true);
	b = rt_malloc_noscan(&procs[0].mc, 64, true);
	memset(b.p, 7, 64);
	procs[0].kept[0] = (object){(unsigned char *)b.p, 64, 7};
	collect(1);
	(void)rt_mcache_prepare(&procs[0].mc);
	for (int i = 0; i < 16; i++)
		assert_int_equal(((uint32_t *)a.p)[i], 0xdeadbeef);
	assert_true(intact(&procs[0].kept[0]));
	end(1);
}

static int special_calls;

static void on_specials(rt_mheap *heap, rt_mcache *mc, rt_span *s)
{
	rt_special *sp = rt_loadptr_rlx(&s->specials);

	special_calls++;
	if (sp->kind == 1) { /* keeps its object for this cycle */
		(void)rt_bit_set(rt_span_markbits(s),
		                 rt_span_index(s, (uintptr_t)s->base + sp->offset));
		sp->kind = 2;
		return;
	}
	rt_special_free(heap,
	                rt_special_remove(heap, s, (uintptr_t)s->base + sp->offset, sp->kind));
}

static void test_specials_are_asked_first(void **state)
{
	rt_slot o;
	rt_special *sp;
	rt_span *s = NULL;
	uint32_t index = 0;

	begin("", 1);
	h.hooks.specials = on_specials;
	special_calls = 0;
	o = rt_malloc_noscan(&procs[0].mc, 64, true);
	sp = rt_special_new(&h);
	sp->kind = 1;
	assert_true(rt_special_add(&h, o.s, (uintptr_t)o.p, sp, true));
	collect(1);
	(void)rt_mcache_prepare(&procs[0].mc);
	assert_int_equal(special_calls, 1);
	assert_int_equal(rt_object_find(&h, (uintptr_t)o.p, &s, &index), (uintptr_t)o.p);
	collect(1);
	while (rt_sweep_one(&h, NULL) != SIZE_MAX)
		;
	assert_int_equal(special_calls, 2);
	assert_int_equal(rt_object_find(&h, (uintptr_t)o.p, &s, &index), 0);
	end(1);
}

static void test_proportional_sweep(void **state)
{
	uint64_t before;

	begin("", 1);
	for (int i = 0; i < 20000; i++)
		step(&procs[0]);
	collect(1);
	(void)rt_mcache_prepare(&procs[0].mc);
	assert_true(rt_sweep_pages(&h) > 200);
	before = rt_load64_rlx(&h.sweep.swept);
	rt_sweep_pace(&h, 100.0 / (1 << 20)); /* 100 pages for each MiB */
	rt_sweep_credit(&h, &procs[0].mc, 1 << 20);
	before = rt_load64_rlx(&h.sweep.swept) - before;
	assert_in_range(before, 100, 100 + 70); /* the last may be a large one */
	before = rt_sweep_pages(&h);
	rt_sweep_credit(&h, &procs[0].mc, 1 << 20); /* nothing was allocated: nothing more is due */
	assert_int_equal(before, rt_sweep_pages(&h));
	rt_store64_rlx(&h.live, (uint64_t)1 << 30);
	rt_sweep_credit(&h, &procs[0].mc, 0); /* more than there is */
	while (rt_sweep_one(&h, NULL) != SIZE_MAX)
		;
	assert_true(rt_sweep_done(&h));
	end(1);
}

/* Reclaiming has come to the end, and then those count who had looked before. */
static void test_reclaimed_is_reclaimed(void **state)
{
	uint64_t end_of_all;

	begin("", 1);
	for (int i = 0; i < 6000; i++)
		step(&procs[0]);
	collect(1);
	(void)rt_mcache_prepare(&procs[0].mc);
	rt_sweep_reclaim(&h, &procs[0].mc, RT_PAGES_MAX);
	assert_false(rt_sweep_done(&h));
	for (int i = 0; i < 3; i++) {
		rt_add64_full(&h.sweep.reclaim, RT_CHUNK_PAGES);
		end_of_all = rt_load64_rlx(&h.sweep.reclaim);
		rt_sweep_reclaim(&h, &procs[0].mc, RT_PAGES_MAX);
		assert_int_equal(rt_load64_rlx(&h.sweep.reclaim), end_of_all);
	}
	check_exact(1);
	end(1);
}

/* A single span, looked for by somebody who holds an object of it. */
static void test_sweep_span(void **state)
{
	rt_slot o;

	begin("", 1);
	o = rt_malloc_large(&procs[0].mc, 100000, true);
	memset(o.p, 9, 100000);
	procs[0].mallocs = 1;
	procs[0].bytes = o.s->elemsize;
	procs[0].kept[0] = (object){(unsigned char *)o.p, 100000, 9};
	collect(1);
	assert_int_equal(rt_load32_rlx(&o.s->sweepgen) + 2, rt_load32_rlx(&h.sweepgen));
	rt_sweep_span(&h, &procs[0].mc, o.s);
	assert_int_equal(rt_load32_rlx(&o.s->sweepgen), rt_load32_rlx(&h.sweepgen));
	rt_sweep_span(&h, &procs[0].mc, o.s);
	collect(1); /* it stands on a swept list and on an unswept one */
	collect(1);
	check_exact(1);
	end(1);
}

/* ---- Several Ps; the world stops by a barrier between rounds ------------------------------------ */

enum { ROUNDS = 25, STEPS = 4000 };
static rt_atomic32 arrived, released;

/* The last to come does what is to be done while all others wait. */
static void barrier(int n, void (*alone)(int n))
{
	uint32_t round = rt_load32_acq(&released);

	if (rt_add32_full(&arrived, 1) == (uint32_t)n - 1) {
		if (alone != NULL)
			alone(n);
		rt_store32_rlx(&arrived, 0);
		rt_store32_rel(&released, round + 1);
		return;
	}
	while (rt_load32_acq(&released) == round)
		be_thread_yield();
}

static void work(void *arg)
{
	proc *pp = arg;

	for (int r = 0; r < ROUNDS; r++) {
		(void)rt_mcache_prepare(&pp->mc);
		for (int i = 0; i < STEPS; i++) {
			step(pp);
			if (i % 64 == 0)
				(void)rt_sweep_one(&h, &pp->mc);
			if (i % 1000 == 500)
				rt_sweep_reclaim(&h, &pp->mc, 20);
			if (i % 1000 == 0 && pp->kept[0].n > 0) {
				rt_span *s = rt_span_of(&h, (uintptr_t)pp->kept[0].p);

				rt_sweep_span(&h, &pp->mc, s);
			}
		}
		if (rt_rand_below(&pp->rand, 4) == 0)
			rt_mcache_flush(&pp->mc);
		barrier(PS, collect);
	}
	(void)rt_mcache_prepare(&pp->mc);
}

static void test_threads(void **state)
{
	begin("", PS);
	rt_store32_rlx(&arrived, 0);
	for (int i = 0; i < PS; i++)
		assert_int_equal(be_thread_start(&procs[i].thread, work, &procs[i], 0), 0);
	for (int i = 0; i < PS; i++)
		be_thread_join(&procs[i].thread);
	for (int i = 0; i < PS; i++) {
		assert_true(procs[i].fine);
		for (int k = 0; k < KEPT; k++)
			assert_true(intact(&procs[i].kept[k]));
	}
	check_exact(PS);
	end(PS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_cycles_without_memory),
		cmocka_unit_test(test_bits_change_places),
		cmocka_unit_test(test_a_marked_free_slot_is_noticed),
		cmocka_unit_test(test_clobber),
		cmocka_unit_test(test_specials_are_asked_first),
		cmocka_unit_test(test_proportional_sweep),
		cmocka_unit_test(test_reclaimed_is_reclaimed),
		cmocka_unit_test(test_sweep_span),
		cmocka_unit_test(test_threads),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)be_nanotime();
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
