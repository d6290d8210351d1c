/* Classes: the table against Go's, lookups against the table, magic against division. */
#include "core/alloc/sizeclass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

/* Go 1.23: bytes of an object, bytes of a span, objects, waste at the end, worst waste in 1/100
 * %, alignment. */
static const struct row {
	unsigned size, span, objects, tail, worst, align;
} go[] = {
	{8, 8192, 1024, 0, 8750, 8},       {16, 8192, 512, 0, 4375, 16},
	{24, 8192, 341, 8, 2924, 8},       {32, 8192, 256, 0, 2188, 32},
	{48, 8192, 170, 32, 3152, 16},     {64, 8192, 128, 0, 2344, 64},
	{80, 8192, 102, 32, 1907, 16},     {96, 8192, 85, 32, 1595, 32},
	{112, 8192, 73, 16, 1356, 16},     {128, 8192, 64, 0, 1172, 128},
	{144, 8192, 56, 128, 1182, 16},    {160, 8192, 51, 32, 973, 32},
	{176, 8192, 46, 96, 959, 16},      {192, 8192, 42, 128, 925, 64},
	{208, 8192, 39, 80, 812, 16},      {224, 8192, 36, 128, 815, 32},
	{240, 8192, 34, 32, 662, 16},      {256, 8192, 32, 0, 586, 256},
	{288, 8192, 28, 128, 1216, 32},    {320, 8192, 25, 192, 1180, 64},
	{352, 8192, 23, 96, 988, 32},      {384, 8192, 21, 128, 951, 128},
	{416, 8192, 19, 288, 1071, 32},    {448, 8192, 18, 128, 837, 64},
	{480, 8192, 17, 32, 682, 32},      {512, 8192, 16, 0, 605, 512},
	{576, 8192, 14, 128, 1233, 64},    {640, 8192, 12, 512, 1548, 128},
	{704, 8192, 11, 448, 1393, 64},    {768, 8192, 10, 512, 1394, 256},
	{896, 8192, 9, 128, 1552, 128},    {1024, 8192, 8, 0, 1240, 1024},
	{1152, 8192, 7, 128, 1241, 128},   {1280, 8192, 6, 512, 1555, 256},
	{1408, 16384, 11, 896, 1400, 128}, {1536, 8192, 5, 512, 1400, 512},
	{1792, 16384, 9, 256, 1557, 256},  {2048, 8192, 4, 0, 1245, 2048},
	{2304, 16384, 7, 256, 1246, 256},  {2688, 8192, 3, 128, 1559, 128},
	{3072, 24576, 8, 0, 1247, 1024},   {3200, 16384, 5, 384, 622, 128},
	{3456, 24576, 7, 384, 883, 128},   {4096, 8192, 2, 0, 1560, 4096},
	{4864, 24576, 5, 256, 1665, 256},  {5376, 16384, 3, 256, 1092, 256},
	{6144, 24576, 4, 0, 1248, 2048},   {6528, 32768, 5, 128, 623, 128},
	{6784, 40960, 6, 256, 436, 128},   {6912, 49152, 7, 768, 337, 256},
	{8192, 8192, 1, 0, 1561, 8192},    {9472, 57344, 6, 512, 1428, 256},
	{9728, 49152, 5, 512, 364, 512},   {10240, 40960, 4, 0, 499, 2048},
	{10880, 32768, 3, 128, 624, 128},  {12288, 24576, 2, 0, 1145, 4096},
	{13568, 40960, 3, 256, 999, 256},  {14336, 57344, 4, 0, 535, 2048},
	{16384, 16384, 1, 0, 1249, 8192},  {18432, 73728, 4, 0, 1111, 2048},
	{19072, 57344, 3, 128, 357, 128},  {20480, 40960, 2, 0, 687, 4096},
	{21760, 65536, 3, 256, 625, 256},  {24576, 24576, 1, 0, 1145, 8192},
	{27264, 81920, 3, 128, 1000, 128}, {28672, 57344, 2, 0, 491, 4096},
	{32768, 32768, 1, 0, 1250, 8192},
};

/* What is lost at worst when a span is full of the smallest objects that the class serves. */
static double worst_waste(unsigned class)
{
	double span = rt_class_npages[class] * RT_PAGE;
	unsigned n = rt_spc_nelems(class << 1 | 1);

	return (span - (double)n * (rt_class_bytes[class - 1] + 1)) / span;
}

static void test_table_is_gos(void **state)
{
	assert_int_equal(RT_NELEM(go), RT_NCLASS - 1);
	for (unsigned c = 1; c < RT_NCLASS; c++) {
		const struct row *r = &go[c - 1];
		char mine[32], theirs[32];

		assert_int_equal(rt_class_bytes[c], r->size);
		assert_int_equal(rt_class_npages[c] * RT_PAGE, r->span);
		assert_int_equal(rt_spc_nelems(c << 1 | 1), r->objects);
		assert_int_equal(r->span - r->objects * r->size, r->tail);
		assert_int_equal(rt_class_align(c) < RT_PAGE ? rt_class_align(c) : RT_PAGE,
		                 r->align);
		snprintf(mine, sizeof mine, "%.2f", 100 * worst_waste(c));
		snprintf(theirs, sizeof theirs, "%.2f", r->worst / 100.0);
		assert_string_equal(mine, theirs);
	}
}

static void test_invariants(void **state)
{
	for (unsigned c = 1; c < RT_NCLASS; c++) {
		unsigned span = rt_class_npages[c] * RT_PAGE;

		assert_true(rt_class_bytes[c] > rt_class_bytes[c - 1]);
		assert_int_equal(rt_class_bytes[c] % 8, 0);
		if (rt_class_bytes[c] > RT_FINE_MAX)
			assert_int_equal(rt_class_bytes[c] % 128, 0);
		assert_true(span % rt_class_bytes[c] <= span / 8);
		assert_true(rt_spc_nelems(c << 1 | 1) <= RT_MAX_OBJECTS);
		/* A bitmap lies at the end of a single page. */
		if (rt_class_bytes[c] <= RT_BITMAP_MAX)
			assert_int_equal(rt_class_npages[c], 1);
	}
	assert_int_equal(rt_class_bytes[RT_NCLASS - 1], RT_SMALL_MAX);
	assert_int_equal(rt_class_bytes[RT_SPC_TINY >> 1], RT_TINY);
	assert_int_equal(rt_class_magic[0], 0);
}

static void test_every_size_finds_the_smallest_class(void **state)
{
	for (size_t size = 1; size <= RT_SMALL_MAX; size++) {
		unsigned c = rt_sizeclass(size);

		assert_true(rt_class_bytes[c] >= size);
		assert_true(rt_class_bytes[c - 1] < size);
	}
	assert_int_equal(rt_sizeclass(0), 1);
}

static void test_magic_divides(void **state)
{
	for (unsigned c = 1; c < RT_NCLASS; c++)
		for (uint64_t off = 0; off < (uint64_t)rt_class_npages[c] * RT_PAGE; off++)
			if (off * rt_class_magic[c] >> 32 != off / rt_class_bytes[c])
				fail_msg("class %u offset %llu", c, (unsigned long long)off);
}

static void test_scan_spans_leave_room_for_the_bitmap(void **state)
{
	assert_int_equal(rt_spc_nelems(1 << 1), 1008);
	assert_int_equal(rt_spc_nelems(2 << 1), 504);
	assert_int_equal(rt_spc_nelems(26 << 1), 15);
	assert_int_equal(rt_spc_nelems(27 << 1), rt_spc_nelems(27 << 1 | 1));
}

static void test_alignment(void **state)
{
	for (size_t align = 8; align <= RT_PAGE; align *= 2)
		for (size_t size = 1; size <= RT_SMALL_MAX; size += 7) {
			unsigned c = rt_sizeclass_aligned(size, align);

			assert_in_range(c, 1, RT_NCLASS - 1);
			assert_true(rt_class_bytes[c] >= size && rt_class_align(c) >= align);
			for (unsigned k = rt_sizeclass(size); k < c; k++)
				assert_true(rt_class_align(k) < align);
		}
	/* What C's types ask for: a size that is a multiple of the alignment has it. */
	for (size_t align = 8; align <= 128; align *= 2)
		for (size_t size = align; size <= RT_SMALL_MAX; size += align)
			assert_true(rt_class_align(rt_sizeclass(size)) >= align);
	assert_int_equal(rt_sizeclass_aligned(RT_SMALL_MAX + 1, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_gos),
		cmocka_unit_test(test_invariants),
		cmocka_unit_test(test_every_size_finds_the_smallest_class),
		cmocka_unit_test(test_magic_divides),
		cmocka_unit_test(test_scan_spans_leave_room_for_the_bitmap),
		cmocka_unit_test(test_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
