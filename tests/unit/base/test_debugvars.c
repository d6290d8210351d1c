/* GODEBUG is parsed as a whole or not at all, and ordered failures happen once. */
#include "core/base/debugvars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_defaults(void **state)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	assert_int_equal(d.oomfail, 0);
	assert_int_equal(d.stackguard, 1);
	assert_string_equal(d.syscallfail, "");
	for (int i = 0; i < 100; i++) {
		assert_false(rt_oom_now(&d));
		assert_false(rt_fail_now(&d, "thread"));
	}
}

static void test_parse(void **state)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "", true), 0);
	assert_int_equal(rt_debugvars_parse(&d, "stackguard=0,oomfail=7", true), 0);
	assert_int_equal(d.stackguard, 0);
	assert_int_equal(d.oomfail, 7);
	assert_int_equal(rt_load32_rlx(&d.oomleft), 7);
	assert_int_equal(rt_debugvars_parse(&d, ",stackguard=2147483647,", true), 0);
	assert_int_equal(d.stackguard, 2147483647);
	assert_int_equal(rt_debugvars_parse(&d, "stackguard=-5", true), 0);
	assert_int_equal(d.stackguard, -5);
	assert_int_equal(d.oomfail, 7);
}

static void test_unknown_names(void **state)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "stackguard=0,http2client=0", true), -1);
	assert_int_equal(d.stackguard, 1);
	assert_int_equal(rt_debugvars_parse(&d, "cpu.all=off,nonsense,stackguard=0", false), 0);
	assert_int_equal(d.stackguard, 0);
	assert_int_equal(rt_debugvars_parse(&d, "stackguar=1", true), -1);
	assert_int_equal(rt_debugvars_parse(&d, "stackguards=1", true), -1);
}

static void test_bad_values_change_nothing(void **state)
{
	static const char *const bad[] = {
		"stackguard",      "stackguard=",       "stackguard=x",    "stackguard=1x",
		"stackguard= 1",   "stackguard=+1",     "stackguard=-",    "stackguard=2147483648",
		"syscallfail",     "syscallfail=",      "syscallfail=:1",  "syscallfail=thread",
		"syscallfail=a:0", "syscallfail=a:-1",  "syscallfail=a:",  "stackguard=99999999999",
		"syscallfail=a:x", "syscallfail=12345678901234567890123456789012:1",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rt_debugvars d;
		char text[120];

		rt_debugvars_init(&d);
		strcpy(text, "oomfail=3,");
		strcat(text, bad[i]);
		assert_int_equal(rt_debugvars_parse(&d, text, false), -1);
		assert_int_equal(d.stackguard, 1);
		assert_int_equal(d.oomfail, 0);
		assert_false(rt_oom_now(&d));
		assert_string_equal(d.syscallfail, "");
	}
}

static void test_oomfail_counts_from_one(void **state)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "oomfail=3", true), 0);
	assert_false(rt_oom_now(&d));
	assert_false(rt_oom_now(&d));
	assert_true(rt_oom_now(&d));
	for (int i = 0; i < 10; i++)
		assert_false(rt_oom_now(&d));
}

static void test_syscallfail_by_name(void **state)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	assert_int_equal(rt_debugvars_parse(&d, "syscallfail=commit:2", true), 0);
	assert_false(rt_fail_now(&d, "thread"));
	assert_false(rt_fail_now(&d, "commit"));
	assert_false(rt_fail_now(&d, "reserve"));
	assert_true(rt_fail_now(&d, "commit"));
	assert_false(rt_fail_now(&d, "commit"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_bad_values_change_nothing),
		cmocka_unit_test(test_oomfail_counts_from_one),
		cmocka_unit_test(test_syscallfail_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
