/* The data slot: static variables are found, with what they hold now, and nothing else is. */
#include "backends/data/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 4 << 10 }; /* where they are larger protect() fails */
static _Alignas(PAGE) volatile uintptr_t pages[3 * PAGE / sizeof(uintptr_t)];

/* The middle of them. False: where this cannot be done, or the words are looked at where they lie. */
#ifdef _WIN32
#include <windows.h>

static bool protect(bool on)
{
	DWORD was;

	return VirtualProtect((char *)(uintptr_t)pages + PAGE, PAGE, on ? PAGE_NOACCESS : PAGE_READWRITE, &was);
}
#else
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static bool protect(bool on)
{
	char from = 0, to;
	struct iovec here = { &to, 1 }, there = { &from, 1 };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 &&
	       mprotect((char *)(uintptr_t)pages + PAGE, PAGE, on ? PROT_NONE : PROT_READ | PROT_WRITE) == 0;
}
#endif

/* No code holds the values as they are, and no copy of them lies in static data. */
#define HIDDEN(v) (~(uintptr_t)(v))
#define INITIAL UINT64_C(0x5e1f0a7d3c2b4981)

static volatile uintptr_t initialised = (uintptr_t)INITIAL, zero;
static const uintptr_t constant = (uintptr_t)INITIAL + 1;
static const uintptr_t *volatile to_constant = &constant;
static volatile uintptr_t key = HIDDEN(INITIAL);
static struct {
	char pad[100000];
	volatile uintptr_t last;
} large;

typedef struct search {
	uintptr_t hidden; /* what is looked for */
	size_t found, pieces;
	uintptr_t place;  /* of the last */
	size_t stop_after;
} search;

static bool look(void *arg, uintptr_t place, const void *words, size_t n)
{
	search *s = arg;
	const volatile uintptr_t *w = words;

	assert_true(n > 0 && n % sizeof *w == 0 && ((uintptr_t)words | place) % sizeof *w == 0);
	for (size_t i = 0; i < n / sizeof *w; i++)
		if (w[i] == ~s->hidden) {
			s->found++;
			s->place = place + i * sizeof *w;
		}
	return ++s->pieces != s->stop_after;
}

static size_t count(uintptr_t value)
{
	search s = { .hidden = HIDDEN(value) };

	be_data_each(look, &s);
	return s.found;
}

static void test_found(void **state)
{
	search s = { .hidden = HIDDEN(~key + 3) };

	(void)state;
	if (!be_data_works) {
		assert_int_equal(count(initialised), 0);
		return;
	}
	assert_true(count(~key) >= 1);
	zero = ~key + 2;
	assert_true(count(~key + 2) >= 1);
	zero = 0;
	assert_int_equal(count(~key + 2), 0);
	large.last = ~key + 3;
	be_data_each(look, &s);
	assert_true(s.found == 1 && s.place == (uintptr_t)&large.last);
	large.last = 0;
}

static void test_not_found(void **state)
{
	volatile uintptr_t mine = ~key + 4;

	(void)state;
	assert_int_equal(count(~key + 4), 0);
	assert_true(mine == ~key + 4);
	assert_true(*to_constant == ~key + 1);
	assert_int_equal(count(~key + 1), 0); /* it cannot change */
}

static void test_unreadable(void **state)
{
	const size_t n = sizeof pages / sizeof pages[0];

	(void)state;
	if (!be_data_works || !protect(true))
		return;
	pages[n / 3 - 1] = ~key + 5;
	pages[n / 3 * 2] = ~key + 6;
	pages[n - 1] = ~key + 7;
	assert_true(count(~key + 5) >= 1);
	assert_true(count(~key + 6) >= 1);
	assert_true(count(~key + 7) >= 1);
	assert_true(protect(false));
	pages[n / 2] = ~key + 8;
	assert_true(count(~key + 8) >= 1);
}

static void test_stops(void **state)
{
	search all = { 0 }, s = { .stop_after = 1 };

	(void)state;
	if (!be_data_works)
		return;
	be_data_each(look, &all);
	be_data_each(look, &s);
	assert_true(all.pieces > 1);
	assert_int_equal(s.pieces, 1);
}

static void test_name(void **state)
{
	(void)state;
	assert_true(strlen(be_data_name) > 0);
	assert_int_equal(be_data_works, strcmp(be_data_name, "none") != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
