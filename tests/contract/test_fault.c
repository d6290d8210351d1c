/* Contract of backends/fault/fault.h, for whichever implementation is linked.
 *
 * A test faults on purpose; the handler notes what it was told and lands on a stack of the test's
 * own, and the landing goes back to the test by a jump that knows nothing of unwinding or masks.
 * What concerns signals only is in the part for POSIX systems. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/fault/fault.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define SIGSEGV_OR_NEAREST 11 /* what signal.h of mingw says */
#define SIGFPE_OR_NEAREST 8
/* longjmp of Windows unwinds, which a stack that was left does not bear. */
typedef void *place[5];
#define PLACE_SET(p) __builtin_setjmp(p)
#define PLACE_GO(p) __builtin_longjmp(p, 1)
#else
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#define SIGSEGV_OR_NEAREST SIGSEGV
#define SIGFPE_OR_NEAREST SIGFPE
typedef jmp_buf place;
#define PLACE_SET(p) _setjmp(p)
#define PLACE_GO(p) _longjmp(p, 1)
#endif

enum { BAD = 0x10, FRAMES = 64, STACK = 256 << 10 };

static bool is_none(void)
{
	return strcmp(be_fault_name, "none") == 0;
}

/* ---- The handler and the landing ---- */

static struct note {
	be_fault fault;
	int asked, landed;
	int answer; /* what the handler is to say */
	void *pcs[FRAMES];
	size_t npcs;
	void *arg, *local; /* of the landing */
	bool aligned;
} note;
static char landing_stack[STACK] RT_CACHE_ALIGNED;
static place back;

static RT_NOINLINE void land(void *arg)
{
	char room[64] __attribute__((aligned(16)));

	/* Opaque to the compiler, which would take the alignment for granted. */
	void *volatile p = room;

	note.landed++;
	note.arg = arg;
	note.local = p;
	note.aligned = (uintptr_t)p % 16 == 0;
	PLACE_GO(back);
}

static int handler(const be_fault *f, be_fault_action *act)
{
	note.asked++;
	note.fault = *f;
	note.npcs = be_fault_backtrace(f, note.pcs, FRAMES);
	act->land = land;
	act->arg = &note;
	act->stack_top = landing_stack + STACK;
	return note.answer;
}

static int other_handler(const be_fault *f, be_fault_action *act)
{
	(void)f, (void)act;
	return BE_FAULT_CHAIN;
}

static RT_NOINLINE void touch(uintptr_t where)
{
	*(volatile char *)where = 1;
}

/* Runs f(arg), which faults and lands. */
static void faulting(void (*f)(uintptr_t), uintptr_t arg)
{
	memset(&note, 0, sizeof note);
	note.answer = BE_FAULT_LAND;
	if (PLACE_SET(back) == 0)
		f(arg);
}

static int set_up(void **state)
{
	(void)state;
	if (is_none())
		return 0;
	if (be_fault_init(handler) != 0)
		return -1;
	return be_fault_attach();
}

static int tear_down(void **state)
{
	(void)state;
	if (is_none())
		return 0;
	be_fault_detach();
	be_fault_fini();
	return 0;
}

/* skip() leaves the test, and run() with it. */
static void skip_it(void)
{
	tear_down(NULL);
	skip();
}

/* ---- Tests ---- */

static void test_name(void **state)
{
	(void)state;
	assert_true(strlen(be_fault_name) > 0);
}

static void test_none_refuses(void **state)
{
	void *pcs[4];

	(void)state;
	if (!is_none())
		skip_it();
	assert_int_equal(be_fault_init(handler), -ENOTSUP);
	assert_int_equal(be_fault_attach(), 0);
	be_fault_detach();
	assert_int_equal(be_fault_backtrace_here(pcs, 4), 0);
}

static void test_counted(void **state)
{
	(void)state;
	if (is_none())
		skip_it();
	for (int i = 0; i < 3; i++)
		assert_int_equal(be_fault_init(handler), 0);
	assert_int_equal(be_fault_init(other_handler), -EBUSY);
	for (int i = 0; i < 3; i++)
		be_fault_fini();
	faulting(touch, BAD); /* the one of set_up still counts */
	assert_int_equal(note.landed, 1);
}

static void test_land(void **state)
{
	char *top = landing_stack + STACK;
	int here;

	(void)state;
	if (is_none())
		skip_it();
	faulting(touch, BAD);
	assert_int_equal(note.asked, 1);
	assert_int_equal(note.landed, 1);
	assert_int_equal(note.fault.signal, SIGSEGV_OR_NEAREST);
	assert_true(note.fault.address == BAD);
	assert_true(note.fault.pc - (uintptr_t)touch < 256);
	assert_true((uintptr_t)&here - note.fault.sp < 4096);
	assert_ptr_equal(note.arg, &note);
	assert_true(note.aligned);
	assert_true((char *)note.local >= landing_stack && (char *)note.local < top);
	/* An instrumented frame is bigger. */
	assert_true(top - (char *)note.local < 512);
}

/* Nothing is used up: masks, alternate stack, what is written in front of a stack. */
static void test_land_often(void **state)
{
	(void)state;
	if (is_none())
		skip_it();
	for (int i = 0; i < 1000; i++) {
		faulting(touch, BAD + (uintptr_t)i);
		assert_true(note.landed == 1 && note.fault.address == BAD + (uintptr_t)i);
	}
}

#ifdef __x86_64__
static RT_NOINLINE void divide(uintptr_t by)
{
	uint32_t quotient = 1, rest = 0;

	__asm__ volatile("divl %2" : "+a"(quotient), "+d"(rest) : "r"((uint32_t)by));
}

/* Interrupted in the middle of what a function's entry must not see. */
static RT_NOINLINE void touch_backwards(uintptr_t where)
{
	__asm__ volatile("fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1\n"
	                 "std\n"
	                 "movb $1, (%0)\n"
	                 "cld; fninit"
	                 :
	                 : "r"(where)
	                 : "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
	                   "st(7)");
}
#endif

static void test_divide(void **state)
{
	(void)state;
#ifdef __x86_64__
	if (is_none())
		skip_it();
	for (int i = 0; i < 10; i++) {
		faulting(divide, 0);
		assert_int_equal(note.landed, 1);
		assert_int_equal(note.fault.signal, SIGFPE_OR_NEAREST);
		assert_true(note.fault.pc - (uintptr_t)divide < 256);
	}
#else
	skip_it(); /* dividing by zero gives a number here */
#endif
}

static void test_clean_state(void **state)
{
	(void)state;
#ifdef __x86_64__
	static char from[100], to[100];
	char *source = from, *target = to;
	size_t left = sizeof from;
	volatile long double x = 3;

	if (is_none())
		skip_it();
	faulting(touch_backwards, BAD);
	assert_int_equal(note.landed, 1);
	memset(from, 7, sizeof from);
	__asm__ volatile("rep movsb"
	                 : "+S"(source), "+D"(target), "+c"(left)
	                 :
	                 : "memory"); /* goes forwards */
	assert_memory_equal(from, to, sizeof from);
	for (int i = 0; i < 10; i++)
		x = x * 2 + 1; /* a full x87 stack would give NaN */
	assert_true(x == 3 * 1024 + 1023);
#else
	skip_it();
#endif
}

/* ---- Stack overflow ---- */

static RT_NOINLINE uintptr_t overflow(uintptr_t n)
{
	volatile char frame[512];

	frame[n % 512] = 1;
	return n == 0 ? 0 : overflow(n + 1) + (uintptr_t)frame[n % 512];
}

static void overflow_(uintptr_t n)
{
	(void)overflow(n);
}

static struct {
	int attach;
	uintptr_t lo;
} overflown;

static void overflow_thread(void *arg)
{
	void *lo = NULL, *hi = NULL;

	(void)arg;
	overflown.attach = be_fault_attach();
	(void)be_thread_stack(&lo, &hi);
	overflown.lo = (uintptr_t)lo;
	faulting(overflow_, 1);
	be_fault_detach();
}

/* On a thread's stack; the same thing on a goroutine's is the stack room's affair. */
static void test_overflow(void **state)
{
	be_thread t;

	(void)state;
	if (is_none())
		skip_it();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(be_thread_start(&t, overflow_thread, NULL, 256 << 10), 0);
		be_thread_join(&t);
		assert_int_equal(overflown.attach, 0);
		assert_int_equal(note.landed, 1);
		assert_int_equal(note.fault.signal, SIGSEGV_OR_NEAREST);
		assert_true(note.fault.sp + 64 * 1024 > overflown.lo);
		assert_true(note.fault.sp < overflown.lo + 64 * 1024);
		assert_in_range(note.npcs, 1, FRAMES); /* all, where there is room to walk */
	}
}

/* ---- Backtraces ---- */

/* How often the same return address comes up: what a recursion leaves. */
static int most_frequent(void *const *pcs, size_t n)
{
	int most = 0;

	for (size_t i = 0; i < n; i++) {
		int times = 0;

		for (size_t j = 0; j < n; j++)
			times += pcs[j] == pcs[i];
		most = times > most ? times : most;
	}
	return most;
}

static RT_NOINLINE void deep(uintptr_t n)
{
	if (n > 0)
		deep(n - 1);
	else
		touch(BAD);
	__asm__ volatile("" : : : "memory"); /* no tail call */
}

static void test_backtrace_of_fault(void **state)
{
	(void)state;
	if (is_none())
		skip_it();
	faulting(deep, 10);
	assert_int_equal(note.landed, 1);
	assert_in_range(note.npcs, 13, FRAMES);
	assert_true((uintptr_t)note.pcs[0] == note.fault.pc);
	assert_int_equal(most_frequent(note.pcs, note.npcs), 10);
}

static RT_NOINLINE void call_bad(uintptr_t n)
{
	if (n > 0)
		call_bad(n - 1);
	else
		((void (*)(void))(uintptr_t)BAD)();
	__asm__ volatile("" : : : "memory");
}

static void test_backtrace_of_wild_call(void **state)
{
	uintptr_t lo, hi;
	int whole;

	(void)state;
	if (is_none())
		skip_it();
	faulting(call_bad, 5);
	assert_int_equal(note.landed, 1);
	assert_true(note.fault.pc == BAD);
	assert_true(note.npcs >= 2);
	assert_true((uintptr_t)note.pcs[0] == BAD);
	assert_int_equal(be_fault_module((void *)(uintptr_t)call_bad, &lo, &hi, &whole), 0);
	assert_true((uintptr_t)note.pcs[1] >= lo && (uintptr_t)note.pcs[1] < hi);
	assert_int_equal(most_frequent(note.pcs, note.npcs), 5);
}

static RT_NOINLINE size_t deep_here(int n, void **pcs, size_t max)
{
	size_t got = n > 0 ? deep_here(n - 1, pcs, max) : be_fault_backtrace_here(pcs, max);

	__asm__ volatile("" : : : "memory");
	return got;
}

static void test_backtrace_here(void **state)
{
	void *pcs[FRAMES + 1];
	size_t n;

	(void)state;
	if (is_none())
		skip_it();
	n = deep_here(10, pcs, FRAMES);
	assert_in_range(n, 12, FRAMES);
	assert_int_equal(most_frequent(pcs, n), 10);
	/* The innermost is the function that asked. */
	assert_true((uintptr_t)pcs[0] - (uintptr_t)deep_here < 256);
	pcs[4] = NULL;
	assert_int_equal(deep_here(10, pcs, 4), 4);
	assert_null(pcs[4]);
	assert_int_equal(deep_here(10, pcs, 0), 0);
}

/* ---- Symbols and modules ---- */

static bool ends_in(const char *s, const char *with)
{
	return strlen(s) >= strlen(with) && strcmp(s + strlen(s) - strlen(with), with) == 0;
}

static void test_symbol(void **state)
{
	be_fault_files *files = calloc(1, be_fault_files_size);
	be_fault_symbol n;
	uintptr_t code = (uintptr_t)touch;

	(void)state;
	memset(&n, 'x', sizeof n);
	assert_int_equal(be_fault_lookup(files, BAD, true, &n), -ENOENT);
	assert_true(n.function[0] == '\0' && n.file[0] == '\0' && n.line == 0 && !n.internal);
	for (int i = 0; i < 3 && !is_none(); i++) { /* the file is open already, then closed */
		memset(&n, 'x', sizeof n);
		assert_int_equal(be_fault_lookup(files, code + 1, i == 1, &n), 0);
		assert_true(strlen(n.file) > 0 && !n.exported && !n.internal);
		if (strcmp(be_fault_name, "signal") == 0) {
			assert_string_equal(n.function, "touch"); /* static: no loader knows it */
			assert_true(ends_in(n.file, "test_fault.c"));
			assert_in_range(n.line, 50, 200);
			assert_int_equal(n.offset, 1);
			/* The instruction after the last one belongs to the call before it. */
			assert_int_equal(be_fault_lookup(files, code, false, &n), 0);
			assert_string_not_equal(n.function, "touch");
			assert_int_equal(be_fault_lookup(files, (uintptr_t)be_fault_init, true, &n), 0);
			assert_string_equal(n.function, "be_fault_init");
			assert_true(n.internal);
			assert_int_equal(be_fault_lookup(files, (uintptr_t)abort, true, &n), 0);
		}
		if (i == 1)
			be_fault_files_close(files);
	}
	be_fault_files_close(files);
	free(files);
}

/* ---- Walks ---- */

static be_fault_trace trace;
static char *stack_lo, *stack_hi;

static RT_NOINLINE void deep_walk(int n)
{
	if (n > 0)
		deep_walk(n - 1);
	else
		be_fault_walk_here(stack_lo, stack_hi, &trace);
	__asm__ volatile("" : : : "memory");
}

static bool within(const be_fault_frame *f, uintptr_t function, size_t size)
{
	return f->pc - function < size;
}

/* Is frame i, and the n after it, one of deep_walk's recursion? */
static void check_recursion(size_t i, size_t n)
{
	for (size_t k = i; k < i + n; k++) {
		const be_fault_frame *f = k < BE_FAULT_KEEP ? &trace.inner[k]
		                                            : &trace.outer[k % BE_FAULT_KEEP];

		assert_true(within(f, (uintptr_t)deep_walk, 256));
		assert_true((char *)f->sp >= stack_lo && (char *)f->sp <= stack_hi);
		assert_false(f->exact);
	}
}

static void walk_thread(void *arg)
{
	void *lo = NULL, *hi = NULL;

	(void)be_thread_stack(&lo, &hi);
	stack_lo = lo;
	stack_hi = hi;
	trace.n = 0;
	deep_walk(*(int *)arg);
}

static void test_walk_here(void **state)
{
	static const int depths[] = {0, 10, 99, 250, 1000};
	be_thread t;

	(void)state;
	if (is_none())
		skip_it();
	for (size_t i = 0; i < RT_NELEM(depths); i++) {
		size_t d = (size_t)depths[i] + 1, from;

		assert_int_equal(be_thread_start(&t, walk_thread, (void *)(uintptr_t)&depths[i], 1 << 20), 0);
		be_thread_join(&t);
		assert_in_range(trace.n, d + 1, d + 8); /* and walk_thread, and what starts a thread */
		check_recursion(0, d < BE_FAULT_KEEP ? d : BE_FAULT_KEEP);
		from = trace.n > 2 * BE_FAULT_KEEP ? trace.n - BE_FAULT_KEEP : BE_FAULT_KEEP;
		if (d > from)
			check_recursion(from, d - from);
	}
}

static int walk_handler(const be_fault *f, be_fault_action *act)
{
	be_fault_place at;

	be_fault_place_of(f, &at);
	trace.n = 0;
	be_fault_walk(&at, stack_lo, stack_hi, &trace);
	return handler(f, act);
}

static void fault_thread(void *arg)
{
	void *lo = NULL, *hi = NULL;

	(void)be_fault_attach();
	(void)be_thread_stack(&lo, &hi);
	stack_lo = lo;
	stack_hi = hi;
	faulting((void (*)(uintptr_t))(uintptr_t)arg, 10);
	be_fault_detach();
}

static void check_walked(void (*recursive)(uintptr_t), size_t first)
{
	size_t n = 0;

	for (size_t i = 0; i < trace.n && i < BE_FAULT_KEEP; i++)
		n += within(&trace.inner[i], (uintptr_t)recursive, 256);
	assert_int_equal(n, 11);
	assert_true(within(&trace.inner[first], (uintptr_t)recursive, 256));
}

static void test_walk_fault(void **state)
{
	be_thread t;

	(void)state;
	if (is_none())
		skip_it();
	tear_down(NULL);
	assert_int_equal(be_fault_init(walk_handler), 0);
	assert_int_equal(be_thread_start(&t, fault_thread, (void *)(uintptr_t)deep, 1 << 20), 0);
	be_thread_join(&t);
	assert_true(trace.inner[0].exact && within(&trace.inner[0], (uintptr_t)touch, 256));
	check_walked(deep, 1);
	assert_int_equal(be_thread_start(&t, fault_thread, (void *)(uintptr_t)call_bad, 1 << 20), 0);
	be_thread_join(&t);
	assert_true(trace.inner[0].exact && trace.inner[0].pc == BAD);
	check_walked(call_bad, 1);
	be_fault_fini();
	assert_int_equal(set_up(NULL), 0);
}

/* Nothing outside the bounds is read, whatever the registers say. */
static void test_walk_wild(void **state)
{
	static char small[256] __attribute__((aligned(16)));
	be_fault_place at = {.exact = true};

	(void)state;
	if (is_none())
		skip_it();
	for (uintptr_t i = 0; i < 4096; i++) {
		at.pc = (uintptr_t)(i & 1 ? (uintptr_t)deep : i & 2 ? BAD : (uintptr_t)small) + i / 8;
		at.sp = i & 4 ? (uintptr_t)small + i % sizeof small : i * 0x1000003;
		at.fp = i & 8 ? (uintptr_t)small + i * 8 % sizeof small : i << 40;
		for (size_t k = 0; k < sizeof small / sizeof at.pc; k++)
			((uintptr_t *)(void *)small)[k] = i & 16 ? (uintptr_t)&small[k * 8 + 16] : i * k;
		trace.n = 0;
		be_fault_walk(&at, small, small + sizeof small, &trace);
		assert_in_range(trace.n, 0, sizeof small);
	}
}

static void test_module(void **state)
{
	uintptr_t lo = 1, hi = 1, lo2 = 1, hi2 = 1, code = (uintptr_t)test_module;
	int whole = -1, other = -1, local;
	void *heap;

	(void)state;
	assert_int_equal(be_fault_module((void *)(uintptr_t)BAD, &lo, &hi, &whole), -ENOENT);
	assert_int_equal(be_fault_module(&local, &lo, &hi, &whole), -ENOENT);
	heap = malloc(1);
	assert_int_equal(be_fault_module(heap, &lo, &hi, &whole), -ENOENT);
	free(heap);
	if (is_none())
		skip_it();
	assert_int_equal(be_fault_module((void *)code, &lo, &hi, &whole), 0);
	assert_true(lo <= code && code < hi);
	assert_true(whole == 0 || whole == 1);
	/* Code that certainly lies in libc: what calls the comparison of qsort would do too, but
	 * abort is in nobody else's text. */
	if (be_fault_module((void *)(uintptr_t)abort, &lo2, &hi2, &other) == 0 && whole)
		assert_true(lo == lo2 && hi == hi2);
	assert_true((uintptr_t)&note < lo || (uintptr_t)&note >= hi); /* data is no text */
}

#ifndef _WIN32
/* ---- Signals ---- */

static struct {
	int calls, sig;
	bool info, masked;
	uintptr_t address;
} host;
static place host_back;

static void host_info(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	(void)context;
	host.calls++;
	host.sig = sig;
	host.info = true;
	host.address = (uintptr_t)info->si_addr;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	host.masked = sigismember(&now, SIGUSR1) && sigismember(&now, sig) &&
	              !sigismember(&now, SIGUSR2);
	_longjmp(host_back, 1);
}

static void host_plain(int sig)
{
	host.calls++;
	host.sig = sig;
	host.info = false;
	_longjmp(host_back, 1);
}

static void host_returns(int sig)
{
	(void)sig;
	host.calls++;
}

/* Without the init of set_up. ThreadSanitizer takes a handler that was left by a jump, as the
 * host's here, for one that runs on. */
static void expect_plain(void)
{
	if (is_none() || RT_TSAN)
		skip_it();
	tear_down(NULL);
}

static void handle_by(int flags, void (*plain)(int), void (*info)(int, siginfo_t *, void *))
{
	struct sigaction sa = {.sa_flags = flags};

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR1);
	if (info != NULL)
		sa.sa_sigaction = info;
	else
		sa.sa_handler = plain;
	assert_int_equal(sigaction(SIGSEGV, &sa, NULL), 0);
}

/* Faults, expects the host's handler to get it, and brings the mask back after its jump. */
static void host_gets_it(void)
{
	sigset_t before;

	memset(&host, 0, sizeof host);
	memset(&note, 0, sizeof note);
	note.answer = BE_FAULT_CHAIN;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	if (_setjmp(host_back) == 0)
		touch(BAD);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(host.calls, 1);
	assert_int_equal(host.sig, SIGSEGV);
}

static void with_saved(void (*body)(void))
{
	struct sigaction saved;

	expect_plain();
	sigaction(SIGSEGV, NULL, &saved);
	body();
	sigaction(SIGSEGV, &saved, NULL);
	set_up(NULL);
}

static void chains_info(void)
{
	handle_by(SA_SIGINFO, NULL, host_info);
	set_up(NULL);
	host_gets_it();
	assert_int_equal(note.asked, 1);
	assert_true(host.info && host.masked);
	assert_true(host.address == BAD);
	faulting(touch, BAD); /* and the next one is ours again */
	assert_int_equal(note.landed, 1);
	tear_down(NULL);
	host_gets_it();
	assert_int_equal(note.asked, 0);
}

static void chains_plain(void)
{
	handle_by(0, host_plain, NULL);
	set_up(NULL);
	host_gets_it();
	assert_true(!host.info);
	tear_down(NULL);
}

static void test_chain(void **state)
{
	(void)state;
	with_saved(chains_info);
	with_saved(chains_plain);
}

static void sent_ones(void)
{
	handle_by(0, host_returns, NULL);
	set_up(NULL);
	memset(&host, 0, sizeof host);
	memset(&note, 0, sizeof note);
	raise(SIGSEGV);
	assert_int_equal(host.calls, 1);
	assert_int_equal(note.asked, 0);
	tear_down(NULL);
	signal(SIGSEGV, SIG_IGN);
	set_up(NULL);
	raise(SIGSEGV);
	assert_int_equal(note.asked, 0);
	tear_down(NULL);
}

/* A signal that somebody sent is no fault. */
static void test_sent(void **state)
{
	(void)state;
	with_saved(sent_ones);
}

static struct sigaction beneath;

/* A library that installs over us and chains to what it found. */
static void on_top(int sig, siginfo_t *info, void *context)
{
	if (++host.calls > 1)
		_exit(99); /* chained to each other */
	beneath.sa_sigaction(sig, info, context);
}

static void buried(void)
{
	struct sigaction now;

	handle_by(0, host_returns, NULL);
	set_up(NULL);
	sigaction(SIGSEGV, NULL, &beneath);
	handle_by(SA_SIGINFO | SA_ONSTACK, NULL, on_top);
	host.calls = 0;
	faulting(touch, BAD);
	assert_true(host.calls == 1 && note.landed == 1);
	/* Not ours any more, so it stays. */
	tear_down(NULL);
	sigaction(SIGSEGV, NULL, &now);
	assert_true(now.sa_sigaction == on_top);
	/* Found again behind theirs: not installed twice. */
	set_up(NULL);
	host.calls = 0;
	faulting(touch, BAD);
	assert_true(host.calls == 1 && note.landed == 1);
	tear_down(NULL);
	/* They go and put back what they found: ours, then what was before it. */
	sigaction(SIGSEGV, &beneath, NULL);
	set_up(NULL);
	host.calls = 0;
	faulting(touch, BAD);
	assert_true(host.calls == 0 && note.landed == 1);
	tear_down(NULL);
	sigaction(SIGSEGV, NULL, &now);
	assert_true(now.sa_handler == host_returns);
}

static void test_restores_only_ours(void **state)
{
	(void)state;
	with_saved(buried);
}

static void test_mask_is_kept(void **state)
{
	sigset_t wanted, before, after;

	(void)state;
	if (is_none())
		skip_it();
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &wanted, &before);
	faulting(touch, BAD);
	pthread_sigmask(SIG_SETMASK, &before, &after);
	assert_int_equal(note.landed, 1);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&after, sig), sig == SIGUSR1);
}

/* How a child ends that gets the fault with this disposition underneath. */
static int child_status(void (*disposition)(int), void (*deed)(uintptr_t))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		tear_down(NULL);
		signal(SIGSEGV, disposition);
		alarm(60);
		set_up(NULL);
		note.answer = BE_FAULT_CHAIN;
		deed(BAD);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void send_segv(uintptr_t unused)
{
	(void)unused;
	raise(SIGSEGV);
}

static void resethand(int sig)
{
	struct sigaction sa = {.sa_flags = SA_RESETHAND};

	(void)sig;
	sa.sa_handler = host_returns;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGSEGV, &sa, NULL);
}

/* The handler that returns is called once; the fault comes again and meets the default. */
static void fault_with_resethand(uintptr_t where)
{
	tear_down(NULL);
	resethand(SIGSEGV);
	set_up(NULL);
	note.answer = BE_FAULT_CHAIN;
	touch(where);
}

static void test_default_kills(void **state)
{
	int status;

	(void)state;
	if (is_none())
		skip_it();
	status = child_status(SIG_DFL, touch);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_status(SIG_IGN, touch); /* a fault cannot be ignored */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_status(SIG_DFL, send_segv);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_status(SIG_IGN, send_segv);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	status = child_status(SIG_DFL, fault_with_resethand);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- Alternate stacks ---- */

static struct {
	stack_t before, attached, twice, once, detached;
	stack_t host, host_attached, host_detached;
	int errors;
} alternates;
static char host_alternate[64 << 10];

static void none_of_its_own(void)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	alternates.errors += sigaltstack(&none, NULL) != 0; /* the sanitizer gave it one */
	sigaltstack(NULL, &alternates.before);
	alternates.errors += be_fault_attach() != 0;
	sigaltstack(NULL, &alternates.attached);
	alternates.errors += be_fault_attach() != 0;
	sigaltstack(NULL, &alternates.twice);
	be_fault_detach();
	sigaltstack(NULL, &alternates.once);
	be_fault_detach();
	sigaltstack(NULL, &alternates.detached);
	be_fault_detach(); /* one too many does nothing */
}

static void one_of_the_hosts(void)
{
	stack_t ss = {.ss_sp = host_alternate, .ss_size = sizeof host_alternate};
	stack_t none = {.ss_flags = SS_DISABLE};

	alternates.errors += sigaltstack(&ss, NULL) != 0;
	alternates.errors += be_fault_attach() != 0;
	sigaltstack(NULL, &alternates.host_attached);
	be_fault_detach();
	sigaltstack(NULL, &alternates.host_detached);
	sigaltstack(&none, NULL);
}

static void alternates_thread(void *arg)
{
	stack_t sanitizers;

	(void)arg;
	sigaltstack(NULL, &sanitizers);
	none_of_its_own();
	one_of_the_hosts();
	sigaltstack(&sanitizers, NULL);
}

static void test_alternate_stack(void **state)
{
	be_thread t;

	(void)state;
	if (is_none())
		skip_it();
	memset(&alternates, 0, sizeof alternates);
	assert_int_equal(be_thread_start(&t, alternates_thread, NULL, 0), 0);
	be_thread_join(&t);
	assert_int_equal(alternates.errors, 0);
	assert_true(alternates.before.ss_flags & SS_DISABLE);
	assert_false(alternates.attached.ss_flags & SS_DISABLE);
	assert_true(alternates.attached.ss_size >= 32 << 10);
	assert_ptr_equal(alternates.twice.ss_sp, alternates.attached.ss_sp);
	assert_ptr_equal(alternates.once.ss_sp, alternates.attached.ss_sp);
	assert_true(alternates.detached.ss_flags & SS_DISABLE);
	assert_ptr_equal(alternates.host_attached.ss_sp, host_alternate);
	assert_ptr_equal(alternates.host_detached.ss_sp, host_alternate);
}

static int first_errno;

static void notes_errno(int sig)
{
	(void)sig;
	host.calls++;
	errno = EDOM;
}

static void errno_kept(void)
{
	handle_by(0, notes_errno, NULL);
	set_up(NULL);
	host.calls = 0;
	errno = ENOTTY;
	raise(SIGSEGV);
	first_errno = errno;
	tear_down(NULL);
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	with_saved(errno_kept);
	assert_int_equal(host.calls, 1);
	assert_int_equal(first_errno, ENOTTY);
}
#endif

/* cmocka puts its own handlers in place around each test, so ours come and go inside: a fixture's
 * would be overwritten. */
static void run(void **state)
{
	void (*body)(void **) = (void (*)(void **))*state;

	assert_int_equal(set_up(NULL), 0);
	body(NULL);
	tear_down(NULL);
}
#define T(f) {#f, run, NULL, NULL, (void *)f}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(test_name),
	        T(test_none_refuses),
	        T(test_counted),
	        T(test_land),
	        T(test_land_often),
	        T(test_divide),
	        T(test_clean_state),
	        T(test_overflow),
	        T(test_backtrace_of_fault),
	        T(test_backtrace_of_wild_call),
	        T(test_backtrace_here),
	        T(test_symbol),
	        T(test_walk_here),
	        T(test_walk_fault),
	        T(test_walk_wild),
	        T(test_module),
#ifndef _WIN32
	        T(test_chain),
	        T(test_sent),
	        T(test_restores_only_ours),
	        T(test_mask_is_kept),
	        T(test_default_kills),
	        T(test_alternate_stack),
	        T(test_errno_is_kept),
#endif
	};

	return cmocka_run_group_tests_name(be_fault_name, tests, NULL, NULL);
}
