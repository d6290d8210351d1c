/* What rt_print writes, and that throws reach the hook with their text. */
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/throws.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Descriptor 2 goes to a file between begin and end, which returns what was written. */
static FILE *capture;
static int saved2;
static char text[4096];

static void begin(void)
{
	capture = tmpfile();
	assert_non_null(capture);
	saved2 = dup(2);
	assert_true(saved2 >= 0 && dup2(fileno(capture), 2) >= 0);
}

static const char *end(void)
{
	size_t n;

	assert_true(dup2(saved2, 2) >= 0);
	close(saved2);
	rewind(capture);
	n = fread(text, 1, sizeof text - 1, capture);
	text[n] = '\0';
	fclose(capture);
	return text;
}

static void test_print_conversions(void **state)
{
	const char *volatile none = NULL; /* unknown to the compiler, which would warn */

	begin();
	rt_print("%s|%d|%d|%u|%zu|%llu|%llx|%p|%%|\n", "text", -12, INT_MIN, UINT_MAX, (size_t)7,
	         (unsigned long long)UINT64_MAX, 0xabcULL, (void *)(uintptr_t)0x10);
	assert_string_equal(end(), "text|-12|-2147483648|4294967295|7|18446744073709551615|abc|"
	                           "0x10|%|\n");
	begin();
	rt_print("%s %p %d %llu", none, (void *)NULL, 0, 0ULL);
	assert_string_equal(end(), "(null) 0x0 0 0");
}

static void test_print_unknown_conversion_stands(void **state)
{
	const char *format = "%q %"; /* a variable: the compiler would warn, rightly */

	begin();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	rt_print(format);
#pragma GCC diagnostic pop
	assert_string_equal(end(), "%q %");
}

static void test_print_is_cut(void **state)
{
	static char longer[2000];
	const char *got;

	memset(longer, 'x', sizeof longer - 1);
	begin();
	rt_print("%s", longer);
	got = end();
	assert_int_equal(strlen(got), 1024);
	assert_int_equal(got[1022], 'x');
	assert_int_equal(got[1023], '\n');
}

static void test_print_keeps_errno(void **state)
{
	begin();
	errno = ENOTTY;
	close(2);
	rt_print("nobody hears it\n");
	assert_int_equal(errno, ENOTTY);
	end();
}

static void test_throws_reach_the_hook(void **state)
{
	THROWS("broken", rt_throw("broken"));
	THROWS("unreachable: here", RT_UNREACHABLE("here"));
	THROWS("wrong thread", rt_misuse("gort_park", "wrong thread"));
}

static void test_assert(void **state)
{
	int n = 3;

	RT_ASSERT(n == 3);
#ifndef NDEBUG
	THROWS("assertion failed: n == 4", RT_ASSERT(n == 4));
#else
	RT_ASSERT(n++ == 4);
	assert_int_equal(n, 3); /* not even evaluated */
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_conversions),
		cmocka_unit_test(test_print_unknown_conversion_stands),
		cmocka_unit_test(test_print_is_cut),
		cmocka_unit_test(test_print_keeps_errno),
		cmocka_unit_test(test_throws_reach_the_hook),
		cmocka_unit_test(test_assert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
