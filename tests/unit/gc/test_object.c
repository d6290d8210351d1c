/* From any pointer to the object that it points into. */
#include "tests/support/goroutines.h"

#include "core/base/attrs.h"

#include <string.h>

static const size_t sizes[] = { 1, 8, 15, 16, 17, 100, 512, 513, 3000, 32 << 10, 40000, 300000, 5 << 20 };

static void of_size(size_t n, unsigned flags)
{
	char *p = gort_alloc(n, flags), *start;
	size_t size = 0, step = n > 1000 ? 97 : 1;
	uintptr_t off;

	start = gort_object(p, &size);
	off = (uintptr_t)(p - start);
	if (n >= 16)
		CHECK(start == p && size >= n);
	else /* it may share a block */
		CHECK(start != NULL && off + n <= size && size <= 16);
	for (size_t i = 0; i < n; i += step)
		CHECK(gort_object(p + i, NULL) == start);
	CHECK(gort_object(p + n - 1, &size) == start && size >= n);
	for (size_t i = off; i < size; i++) /* all of it may be used: the next object is another */
		if (n >= 16 && ((volatile char *)start)[i] == 0)
			start[i] = 1;
}

static char outside[64];

static void objects(void *arg)
{
	char here;
	size_t size;
	void *last;

	(void)arg;
	for (size_t i = 0; i < RT_NELEM(sizes); i++) {
		of_size(sizes[i], 0);
		of_size(sizes[i], GORT_NOSCAN);
	}
	size = 1;
	CHECK(gort_object(NULL, &size) == NULL && size == 0);
	CHECK(gort_object(outside, NULL) == NULL);
	CHECK(gort_object(&here, NULL) == NULL);
	CHECK(gort_object((void *)~(uintptr_t)0, NULL) == NULL);
	CHECK(gort_object(gort_alloc(0, 0), NULL) == NULL);
	/* Words from the first page to the last that there can be. */
	for (uintptr_t p = 1; p != 0 && p < UINTPTR_MAX / 3; p *= 3)
		(void)gort_object((void *)p, NULL);
	/* What was never given out is none: the slot behind the only object of a class. */
	last = gort_alloc(2048, 0);
	CHECK(gort_object(last, &size) == last && size == 2048);
	CHECK(gort_object((char *)last + size, NULL) == NULL);
}

/* Slots that were used before, and freed. */
static bool all_zero(size_t n, unsigned flags)
{
	bool zero = true;

	for (int i = 0; i < 50; i++) {
		char *p = gort_alloc(n, flags);

		for (size_t k = 0; k < n; k++)
			zero = zero && p[k] == 0;
		memset(p, 0xab, n);
	}
	return zero;
}

static void cleared(void *arg)
{
	int dirty = 0;

	(void)arg;
	for (size_t n = 8; n <= 300000; n = n * 3 / 2) {
		for (unsigned flags = 0; flags <= 3; flags++) {
			bool zero;

			(void)all_zero(n, flags);
			gort_gc();
			zero = all_zero(n, flags);
			if (flags == (GORT_NOSCAN | GORT_NOZERO))
				dirty += !zero;
			else
				CHECK(zero);
		}
	}
	CHECK(dirty > 5); /* not each time: there may be pages that nobody has used */
}

static void test_cleared(void **state)
{
	(void)state;
	run_all(cleared);
}

static void test_objects(void **state)
{
	(void)state;
	run_all(objects);
}

#define ALIGNED(n, inside)                                                                         \
	typedef struct a##n##inside { _Alignas(n) void *p; char more[inside]; } a##n##inside;      \
	GORT_DEFINE_TYPE(a##n##inside, GORT_PTR(a##n##inside, p))
ALIGNED(16, 1);
ALIGNED(64, 1);
ALIGNED(128, 1);
ALIGNED(256, 300);
ALIGNED(1024, 1);
ALIGNED(8192, 1);
ALIGNED(8192, 40000);

static void aligned(void *arg)
{
	const gort_type *const types[] = { GORT_TYPE(a161), GORT_TYPE(a641), GORT_TYPE(a1281), GORT_TYPE(a256300),
		                           GORT_TYPE(a10241), GORT_TYPE(a81921), GORT_TYPE(a819240000) };

	(void)arg;
	for (size_t t = 0; t < RT_NELEM(types); t++)
		for (size_t i = 0; i < 50; i++) {
			CHECK((uintptr_t)gort_new(types[t]) % gort_type_align(types[t]) == 0);
			CHECK((uintptr_t)gort_new_array(types[t], 1 + i % 9) % gort_type_align(types[t]) == 0);
		}
}

/* Also where what is small gets a type beside it. */
static void test_aligned(void **state)
{
	static const char *const debugs[] = { NULL, "gccheckmark=1", "heaptypes=1" };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(debugs); i++)
		if (try_on(2, debugs[i], aligned, NULL) != 0)
			fail_msg("%s: %s", debugs[i], first_failure);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_objects), cmocka_unit_test(test_cleared),
		cmocka_unit_test(test_aligned) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
