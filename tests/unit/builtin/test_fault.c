/* Faults that become panics, and those that do not: wild addresses, code that is not the user's, the
 * inside of the runtime, threads that are no goroutines. What must kill a process is done in a child. */
#include "tests/support/program.h"

#include "core/base/attrs.h"
#include "core/base/valgrind.h"
#include "core/sched/internal.h"

#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

static const char nil_text[] = "runtime error: invalid memory address or nil pointer dereference";
#define WILD ((uintptr_t)0x500000000000) /* no memory is there */
static volatile int *volatile nowhere;

static RT_NOINLINE void touch(uintptr_t at)
{
	*(volatile int *)((uintptr_t)nowhere + at) = 1;
}

static char text[256];
static int tries, recovered, faults;

static void keep_text(gort_eface v)
{
	gort_string s = gort_panic_text(v);

	memset(text, 0, sizeof text);
	memcpy(text, s.ptr, (size_t)s.len < sizeof text ? (size_t)s.len : sizeof text - 1);
}

static void touches(void *arg)
{
	touch((uintptr_t)arg);
}

/* ---- Recovered ---- */

static void trying(void *arg)
{
	gort_eface v;

	(void)arg;
	for (int i = 0; i < 2000; i++)
		faults += gort_try(touches, (void *)(uintptr_t)(i % 4096), &v);
	keep_text(v);
}

static void test_try(void **state)
{
	(void)state;
	faults = 0;
	assert_int_equal(program(2, trying, NULL), 0);
	assert_int_equal(faults, 2000);
	assert_string_equal(text, nil_text);
}

/* Registers that the callee must keep, and the control words, are as they were. */
static volatile double one = 1, three = 3;

static void registers(void *arg)
{
	uintptr_t a = 11, b = 22, c = 33, d = 44;
	double x = one / three;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
		faults += gort_try(touches, NULL, NULL);
		a++, b++, c++, d++;
	}
	tries = a == 111 && b == 122 && c == 133 && d == 144 && x == one / three;
}

static void test_registers(void **state)
{
	(void)state;
	faults = 0;
	assert_int_equal(program(1, registers, NULL), 0);
	assert_int_equal(faults, 100);
	assert_true(tries);
}

static void counts(void *arg)
{
	gort_waitgroup *wg = arg;

	for (int i = 0; i < 50; i++) {
		if (gort_try(touches, NULL, NULL) == 1)
			__atomic_add_fetch(&recovered, 1, __ATOMIC_RELAXED);
		gort_gosched();
	}
	gort_waitgroup_done(wg);
}

static void many(void *arg)
{
	gort_waitgroup wg = GORT_INIT;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		gort_waitgroup_add(&wg, 1);
		gort_go(counts, &wg);
	}
	gort_waitgroup_wait(&wg);
}

static void test_many(void **state)
{
	(void)state;
	recovered = 0;
	assert_int_equal(program(4, many, NULL), 0);
	assert_int_equal(recovered, 5000);
}

/* Little room: the panic needs stack of its own, below the fault. */
static RT_NOINLINE void deeper(int n)
{
	volatile char frame[256];

	frame[0] = (char)n;
	if (n > 0)
		deeper(n - 1);
	else
		touch(0);
	frame[0]++;
}

static void deep(void *arg)
{
	deeper((int)(intptr_t)arg);
}

static void at_depths(void *arg)
{
	(void)arg;
	for (intptr_t n = 0; n < 64; n++)
		faults += gort_try(deep, (void *)n, NULL);
}

static void test_depths(void **state)
{
	(void)state;
	faults = 0;
	assert_int_equal(program(1, at_depths, NULL), 0);
	assert_int_equal(faults, 64);
}

#ifdef __x86_64__
static void divides(void *arg)
{
	int32_t quotient = 7, rest = 0;

	__asm__ volatile("idivl %2" : "+a"(quotient), "+d"(rest) : "r"((int32_t)(intptr_t)arg));
}

static void dividing(void *arg)
{
	gort_eface v;

	faults = gort_try(divides, arg, &v);
	keep_text(v);
}
#endif

static void test_divide(void **state)
{
	(void)state;
#ifdef __x86_64__
	assert_int_equal(program(1, dividing, NULL), 0);
	assert_int_equal(faults, 1);
	assert_string_equal(text, "runtime error: integer divide by zero");
#else
	skip();
#endif
}

static void test_not_recovered(void **state)
{
	(void)state;
	assert_int_equal(program(1, touches, (void *)8), GORT_EPANIC);
	assert_memory_equal(program_error, "panic: ", 7);
	assert_memory_equal(program_error + 7, nil_text, sizeof nil_text - 1);
	assert_non_null(strstr(program_error, "\n[signal "));
	assert_non_null(strstr(program_error, "\ngoroutine 1 [running]:\n"));
	if (strcmp(be_fault_name, "signal") == 0) {
		assert_non_null(strstr(program_error, "code=0x1 addr=0x8 pc=0x"));
		assert_non_null(strstr(program_error, "\ntouch(...)\n"));
		assert_null(strstr(program_error, "gort_faulted"));
	}
}

/* ---- Fatal ---- */

static void wild(void *arg)
{
	(void)gort_try(touches, arg, NULL);
}

static void test_wild(void **state)
{
	static const char start[] = "unexpected fault address 0x500000000000\nfatal error: fault\n[signal ";

	(void)state;
	assert_int_equal(program(1, wild, (void *)WILD), GORT_EFATAL);
	assert_memory_equal(program_error, start, sizeof start - 1);
	assert_int_equal(program(1, wild, (void *)(uintptr_t)4096), GORT_EFATAL);
	assert_int_equal(program(1, trying, NULL), 0); /* the next one works */
}

/* ---- Not ours ---- */

#ifndef _WIN32
static void in_foreign_code(void *arg)
{
	(void)arg;
	(void)gort_try((gort_func)(void (*)(void))strlen, NULL, NULL);
}

static void in_runtime(void *arg)
{
	gort_rwmutex_lock(arg);
}

static void *thread_touches(void *arg)
{
	(void)arg;
	touch(0);
	return NULL;
}

static void other_thread(void *arg)
{
	pthread_t t;

	(void)arg;
	pthread_create(&t, NULL, thread_touches, NULL);
	gort_entersyscall();
	pthread_join(t, NULL);
	gort_exitsyscall();
}

static void refused(void *arg)
{
	(void)arg;
	(void)gort_try(touches, NULL, NULL);
}

static void host_handler(int sig)
{
	(void)sig;
	_exit(42);
}

/* How a child ends that runs main; chained: the host has a handler. */
static int child(gort_func main, void (*handler)(int), unsigned signals)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		gort_config cfg;
		gort_runtime *rt;

		alarm(60);
		signal(SIGSEGV, handler);
		gort_config_init(&cfg);
		cfg.signals = signals;
		if (gort_runtime_new(&rt, &cfg) != 0)
			_exit(1);
		gort_runtime_run(rt, main, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_not_ours(void **state)
{
	static const gort_func cases[] = {in_foreign_code, in_runtime, other_thread};

	(void)state;
	for (size_t i = 0; i < RT_NELEM(cases); i++) {
		int status;

		if (RT_TSAN && cases[i] == in_runtime)
			continue; /* a fault in its atomic operations leaves a lock of TSan's held */
		status = child(cases[i], SIG_DFL, GORT_SIGNAL_FAULT);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		status = child(cases[i], host_handler, GORT_SIGNAL_FAULT);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	}
	assert_int_equal(child(refused, host_handler, GORT_SIGNAL_FAULT), 0);
	assert_int_equal(WEXITSTATUS(child(refused, host_handler, 0)), 42); /* not allowed */
}
#endif

/* ---- Modules ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static gort_runtime *lasting;
static rt_atomic32 stage; /* 1: it faults, 2: enough */

static void faults_between_runs(void *arg)
{
	int *unnoticed = arg;

	*unnoticed += gort_attach(lasting) != 0;
	rt_store32_rel(&stage, 1);
	be_thread_wake(&stage, 1);
	while (rt_load32_acq(&stage) != 2)
		*unnoticed += gort_try(touches, NULL, NULL) != 1;
	*unnoticed += gort_detach() != 0;
}

/* A goroutine between runs: what the user's code is stays known while the next run finds it out. Before
 * test_modules, which says so for ever. */
static void test_faults_while_runs_begin(void **state)
{
	int unnoticed = 0;
	gort_config cfg;
	be_thread t;

	(void)state;
	if (rt_valgrind_runs())
		skip(); /* to Memcheck a signal's record on a thread's own stack is free, and the panic lands there */
	gort_config_init(&cfg);
	cfg.procs = 2;
	assert_int_equal(gort_runtime_new(&lasting, &cfg), 0);
	assert_int_equal(gort_runtime_run(lasting, nothing, NULL), 0);
	assert_int_equal(be_thread_start(&t, faults_between_runs, &unnoticed, 0), 0);
	while (rt_load32_acq(&stage) == 0)
		(void)be_thread_park(&stage, 0, -1);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(gort_runtime_run(lasting, nothing, NULL), 0);
	rt_store32_rel(&stage, 2);
	be_thread_join(&t);
	assert_int_equal(unnoticed, 0);
	assert_int_equal(gort_runtime_free(lasting), 0);
}

static void test_modules(void **state)
{
	gort_code own = (gort_code)test_modules, libc = (gort_code)strlen;
	int local;

	(void)state;
	assert_int_equal(gort_module_add(NULL), GORT_EINVAL);
	assert_int_equal(gort_module_add((gort_code)(uintptr_t)&local), GORT_EINVAL);
	for (int i = 0; i < 100; i++) /* once is enough */
		assert_int_equal(gort_module_add(own), 0);
	(void)libc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_try),      cmocka_unit_test(test_registers),
		cmocka_unit_test(test_many),     cmocka_unit_test(test_depths),
		cmocka_unit_test(test_divide),   cmocka_unit_test(test_not_recovered),
		cmocka_unit_test(test_wild),
#ifndef _WIN32
		cmocka_unit_test(test_not_ours),
#endif
		cmocka_unit_test(test_faults_while_runs_begin),
		cmocka_unit_test(test_modules),
	};

	/* What faults on purpose is no error to Memcheck, which would replace the exit status of the children
	 * by its own: it is told that there is memory where there is none. */
	rt_valgrind_defined(NULL, 4096 + sizeof(int));
	rt_valgrind_defined((void *)WILD, sizeof(int));
	/* cmocka catches faults around each test; ours are installed inside and lie in front. */
	return be_fault_works ? cmocka_run_group_tests_name("fault", tests, NULL, NULL) : 77;
}
