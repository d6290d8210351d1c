/* Contract of backends/preempt/preempt.h, for whichever implementation is linked. What an
 * implementation that stops in place must do besides is asked where be_preempt_in_place says so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"

#include <errno.h>
#include <string.h>

static int handled;

static void handler(be_preempt *self)
{
	(void)self;
	handled++;
}

static void test_constants(void **state)
{
	(void)state;
	assert_true(strlen(be_preempt_name) > 0);
	assert_true(be_preempt_in_place == (strcmp(be_preempt_name, "cooperative") != 0));
}

static void test_counted(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(be_preempt_init(handler), 0);
		assert_int_equal(be_preempt_init(handler), 0);
		be_preempt_fini();
		be_preempt_fini();
	}
}

/* Who cannot stop says so, and nothing happens to the thread. */
static void test_refuses(void **state)
{
	be_preempt self;
	const uintptr_t *regs = (const uintptr_t *)1;
	size_t n = 7;

	(void)state;
	if (be_preempt_in_place)
		skip();
	handled = 0;
	assert_int_equal(be_preempt_init(handler), 0);
	assert_int_equal(be_preempt_attach(&self), 0);
	assert_int_equal(be_preempt_stop(&self), -ENOTSUP);
	assert_int_equal(be_preempt_resume(&self), -ENOTSUP);
	assert_int_equal(be_preempt_regs(&self, &regs, &n), -ENOTSUP);
	assert_null(regs);
	assert_int_equal(n, 0);
	assert_int_equal(handled, 0);
	be_preempt_detach(&self);
	be_preempt_fini();
}

static int attach_error;

static void attach_and_leave(void *arg)
{
	be_preempt self;

	(void)arg;
	attach_error = be_preempt_attach(&self);
	if (attach_error == 0)
		be_preempt_detach(&self);
}

static void test_each_thread(void **state)
{
	be_thread t;

	(void)state;
	assert_int_equal(be_preempt_init(handler), 0);
	for (int i = 0; i < 4; i++) {
		attach_error = -1;
		assert_int_equal(be_thread_start(&t, attach_and_leave, NULL, 0), 0);
		be_thread_join(&t);
		assert_int_equal(attach_error, 0);
	}
	be_preempt_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_constants),
	        cmocka_unit_test(test_counted),
	        cmocka_unit_test(test_refuses),
	        cmocka_unit_test(test_each_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
