/* machine.h: what a signal handler makes of the registers that it was given. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/fault/fault.h"
#include "backends/machine.h"
#include "core/base/attrs.h"

#include <string.h>

enum { STACK = 512, TOP = 256 };
static _Alignas(16) uintptr_t stack[STACK / sizeof(uintptr_t)];

static RT_NOINLINE void land(void *arg)
{
	(void)arg;
}

/* A stack in use, on which land shall run below TOP. What lies there are return addresses. */
static struct machine landed(void)
{
	ucontext_t uc;

	for (size_t i = 0; i < RT_NELEM(stack); i++)
		stack[i] = (uintptr_t)land + 1;
	memset(&uc, 0x5a, sizeof uc);
#if defined __x86_64__
	uc.uc_mcontext.fpregs = NULL;
#endif
	machine_land(&uc, land, NULL, (char *)stack + TOP);
	return machine_get(&uc);
}

/* What lies there may be the record from which the system restores the registers. */
static void test_lands_without_a_write(void **state)
{
	struct machine m = landed();

	(void)state;
	assert_true(m.sp == (uintptr_t)stack + TOP);
	for (size_t i = 0; i < RT_NELEM(stack); i++)
		assert_true(stack[i] == (uintptr_t)land + 1);
}

static int handler(const be_fault *f, be_fault_action *act)
{
	(void)f;
	(void)act;
	return BE_FAULT_CHAIN;
}

/* A goroutine that is looked at before its first instruction there has run. */
static void test_nobody_called(void **state)
{
	static be_fault_trace trace; /* large */
	struct machine m = landed();
	be_fault_place at = { .pc = m.pc, .sp = m.sp, .fp = m.fp, .link = m.link, .exact = true };

	(void)state;
	if (!be_fault_works)
		skip(); /* fault=none walks no stack */
	assert_int_equal(be_fault_init(handler), 0); /* it learns which modules there are */
	trace.n = 0;
	be_fault_walk(&at, stack, stack + RT_NELEM(stack), &trace);
	be_fault_fini();
	assert_int_equal(trace.n, 1);
	assert_true(trace.inner[0].pc == m.pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_lands_without_a_write),
	        cmocka_unit_test(test_nobody_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
