/* Bitmaps: how long they keep what was set, and where their chunks go. */
#include "core/alloc/gcbits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BITS = 4096, PER_CHUNK = RT_GCBITS_CHUNK / (BITS / 8) - 1 };

typedef struct maps {
	rt_atomic64 *bits[12 * PER_CHUNK];
	int n;
} maps;

static rt_sysmem mem;
static rt_gcbits b;

static uint64_t ready(void)
{
	return rt_load64_rlx(&mem.ready[RT_MEM_BITS]);
}

/* As many as fill n chunks; each comes zeroed, and gets a number. */
static void fill(maps *m, int n, uint64_t cycle)
{
	m->n = n * PER_CHUNK;
	for (int i = 0; i < m->n; i++) {
		m->bits[i] = rt_gcbits_new(&b, BITS);
		assert_non_null(m->bits[i]);
		for (int w = 0; w < BITS / 64; w++)
			assert_true(rt_load64_rlx(&m->bits[i][w]) == 0);
		rt_store64_rlx(&m->bits[i][i % (BITS / 64)], cycle << 32 | (uint64_t)i);
	}
}

static void check(const maps *m, uint64_t cycle)
{
	for (int i = 0; i < m->n; i++)
		assert_true(rt_load64_rlx(&m->bits[i][i % (BITS / 64)]) == (cycle << 32 | (uint64_t)i));
}

/* Made in a cycle, used in it and in the next; then its chunk may be used again, and none is lost: cycles of the same
 * size need memory for three of them. */
static void test_cycles(void **state)
{
	static maps made[3];
	uint64_t most = 0;

	(void)state;
	memset(made, 0, sizeof made);
	rt_sysmem_init(&mem, NULL);
	rt_gcbits_init(&b, &mem);
	for (int c = 1; c <= 40; c++) {
		fill(&made[c % 3], c % 10 == 0 ? 0 : 1 + c % 7, (uint64_t)c);
		check(&made[c % 3], (uint64_t)c);
		if (c > 1)
			check(&made[(c - 1) % 3], (uint64_t)c - 1);
		rt_gcbits_rotate(&b);
		most = ready() > most ? ready() : most;
	}
	assert_true(most <= (3 * 8 + 3) * rt_sys_round(RT_GCBITS_CHUNK));
	rt_gcbits_fini(&b);
	assert_true(ready() == 0);
}

/* Chunks that were free once, in each state when all is given back. */
static void test_fini(void **state)
{
	static maps made;

	(void)state;
	for (int c = 0; c < 12; c++) {
		rt_sysmem_init(&mem, NULL);
		rt_gcbits_init(&b, &mem);
		for (int i = 0; i < c; i++) {
			fill(&made, i < 4 ? 10 - i : i % 3, (uint64_t)i);
			if (i < c - 1 || c % 2)
				rt_gcbits_rotate(&b);
		}
		rt_gcbits_fini(&b);
		assert_true(ready() == 0);
	}
}

/* Held back, `previous` lives two cycles longer. */
static void test_hold(void **state)
{
	static maps old, young;

	(void)state;
	rt_sysmem_init(&mem, NULL);
	rt_gcbits_init(&b, &mem);
	fill(&old, 3, 77);
	rt_gcbits_rotate(&b);
	rt_gcbits_rotate(&b);
	rt_gcbits_hold(&b);
	for (int i = 0; i < 2; i++) {
		rt_gcbits_rotate(&b);
		fill(&young, 4, 78);
		check(&old, 77);
	}
	rt_gcbits_rotate(&b);
	rt_gcbits_fini(&b);
	assert_true(ready() == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_fini),
		cmocka_unit_test(test_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
