/* Scopes, deferred calls, panics and Goexit: the order of calls is written down as letters and
 * compared when the run is over. Each function is a program of its own. */
#include "tests/support/program.h"

#include "core/builtin/panic.h"
#include "core/sched/sched_inline.h"

#include <string.h>

static char order[16384];

static void say(const char *s)
{
	strncat(order, s, sizeof order - strlen(order) - 1);
}

static void mark(void *arg)
{
	say(arg);
}

static void say_value(gort_eface v)
{
	gort_string s = gort_panic_text(v);

	if ((size_t)s.len < sizeof order - strlen(order))
		strncat(order, s.ptr, (size_t)s.len);
}

static void recovers(void *arg)
{
	gort_eface v;

	if (gort_recover(&v)) {
		say("[");
		say_value(v);
		say("]");
	} else {
		say("-");
	}
	if (arg != NULL)
		say(arg);
}

static void panics(void *arg)
{
	gort_panics(arg);
}

static void exits(void *arg)
{
	say(arg);
	gort_goexit();
}

#define D(fn, text) gort_defer((fn), (void *)(text))

/* Runs fn as main; the code and order tell what happened. */
static int run(gort_func fn)
{
	order[0] = '\0';
	return program(2, fn, NULL);
}

static void check(gort_func fn, int code, const char *want)
{
	assert_int_equal(run(fn), code);
	assert_string_equal(order, want);
}

static void check_panic(gort_func fn, const char *text)
{
	assert_int_equal(run(fn), GORT_EPANIC);
	if (strncmp(program_error, text, strlen(text)) != 0)
		assert_string_equal(program_error, text);
	assert_memory_equal(program_error + strlen(text), "\ngoroutine ", 11);
}

/* ---- Order ---------------------------------------------------------------------------------- */

static void three(void *arg)
{
	(void)arg;
	D(mark, "1");
	D(mark, "2");
	D(mark, "3");
	say("f");
}

static void last_first(void *arg)
{
	three(arg);
}

static void scopes(void *arg)
{
	D(mark, "m");
	gort_scope(three, arg);
	say("|");
	gort_scope(three, arg);
	say("|");
}

static void deferring(void *arg)
{
	D(mark, "y");
	say(arg);
	D(mark, "x");
}

static void defer_in_defer(void *arg)
{
	(void)arg;
	D(mark, "3");
	D(deferring, "2");
	D(mark, "1");
}

static int64_t sum;
static void add(void *arg)
{
	sum = sum * 3 % 1000003 + (intptr_t)arg;
}

static void many(void *arg)
{
	for (intptr_t i = 0; i < 1000; i++) {
		gort_defer(add, (void *)i);
		if (i % 100 == 99)
			gort_scope(three, arg);
	}
}

static void test_order(void **state)
{
	int64_t want = 0;

	(void)state;
	check(last_first, 0, "f321");
	check(scopes, 0, "f321|f321|m");
	check(defer_in_defer, 0, "12xy3");
	sum = 0;
	assert_int_equal(run(many), 0);
	for (int64_t i = 999; i >= 0; i--)
		want = want * 3 % 1000003 + i;
	assert_int_equal(sum, want);
}

/* ---- Recover -------------------------------------------------------------------------------- */

static void recovered_scope(void *arg)
{
	(void)arg;
	D(mark, "2");
	D(recovers, "1");
	D(mark, "0");
	gort_panics("oh");
}

static void scope_returns(void *arg)
{
	gort_scope(recovered_scope, arg);
	say(" on");
}

static void main_recovers(void *arg)
{
	D(mark, "end");
	recovered_scope(arg);
}

static void many_in_main(void *arg) /* each recovery on the same stack space */
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		gort_defer(recovers, NULL);
		D(panics, "x");
	}
	gort_panics("y");
}

static void not_in_scope(void *arg)
{
	gort_scope(recovers, arg); /* a newer scope: no */
	recovers((void *)"b");             /* the deferred call itself */
	recovers((void *)"c");             /* done already */
}

static void newer_scope(void *arg)
{
	(void)arg;
	D(not_in_scope, "a");
	gort_panics("p");
}

static void outside_panic(void *arg)
{
	(void)arg;
	recovers((void *)"a");
	D(recovers, "b");
}

static void defers_recover(void *arg)
{
	D(recovers, arg); /* run by the return of this call, not by the panic */
}

static void recover_one_deeper(void *arg)
{
	(void)arg;
	D(defers_recover, "x");
	gort_panics("deep");
}

static void test_recover(void **state)
{
	(void)state;
	check(scope_returns, 0, "0[oh]12 on");
	check(main_recovers, 0, "0[oh]12end");
	check(newer_scope, 0, "-a[p]b-c");
	check(outside_panic, 0, "-a-b");
	assert_int_equal(run(recover_one_deeper), GORT_EPANIC);
	assert_string_equal(order, "-x");
	assert_int_equal(run(many_in_main), 0);
	assert_int_equal(strncmp(order, "[x][x]", 6), 0);
}

/* ---- Nested --------------------------------------------------------------------------------- */

static void inner_recovered(void *arg)
{
	(void)arg;
	D(recovers, NULL);
	gort_panics("inner");
}

static void outer_goes_on(void *arg)
{
	(void)arg;
	D(recovers, NULL);
	D(inner_recovered, NULL);
	gort_panics("outer");
}

static void replaced(void *arg)
{
	(void)arg;
	D(recovers, " none left");
	D(recovers, "");
	D(panics, "second");
	gort_panics("first");
}

static void nested_fatal(void *arg)
{
	(void)arg;
	D(panics, "third");
	D(panics, "second");
	gort_panics("first");
}

static void again(void *arg)
{
	(void)arg;
	(void)gort_recover(NULL);
	gort_panics("again\nfirst");
}

static void repanic(void *arg)
{
	(void)arg;
	D(again, NULL);
	gort_panics("first");
}

static void inner_fatal(void *arg)
{
	(void)arg;
	D(inner_recovered, NULL);
	gort_panics("z");
}

static void test_nested(void **state)
{
	(void)state;
	check(outer_goes_on, 0, "[inner][outer]");
	check(replaced, 0, "[second]- none left");
	check_panic(nested_fatal, "panic: first\n\tpanic: second\n\tpanic: third\n");
	check_panic(repanic, "panic: first [recovered]\n\tpanic: again\n\tfirst\n");
	check_panic(inner_fatal, "panic: z\n");
}

/* ---- Try ------------------------------------------------------------------------------------ */

static void deferring_panic(void *arg)
{
	D(mark, "d");
	gort_panics(arg);
}

static void tries(void *arg)
{
	gort_eface v = { NULL, NULL };

	(void)arg;
	say(gort_try(three, NULL, &v) == 0 && v.type == NULL ? " ok " : " bad ");
	say(gort_try(deferring_panic, (void *)"p", &v) == 1 ? " caught " : " bad ");
	say_value(v);
	say(gort_try(panics, (void *)"q", NULL) == 1 ? " caught" : " bad");
	say(gort_try(recovered_scope, NULL, &v) == 0 ? " own" : " bad");
}

static void try_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		if (gort_try(panics, (void *)"q", NULL) != 1)
			say("bad");
}

static void test_try(void **state)
{
	(void)state;
	check(tries, 0, "f321 ok d caught p caught0[oh]12 own");
	check(try_many, 0, "");
}

/* ---- Goexit --------------------------------------------------------------------------------- */

static gort_waitgroup wg;

static void in_goroutine(gort_func fn)
{
	wg = (gort_waitgroup)GORT_INIT;
	gort_waitgroup_go(&wg, fn, NULL);
	gort_waitgroup_wait(&wg);
	say(".");
}

static void exit_inside(void *arg)
{
	D(recovers, "b"); /* stops nothing */
	D(mark, "a");
	exits(arg);
}

static void exit_fn(void *arg)
{
	(void)arg;
	D(mark, "z");
	gort_try(exit_inside, (void *)"x", NULL);
	say("never");
}
static void goexit_runs_defers(void *arg)
{
	(void)arg;
	D(recovers, "main");
	gort_goexit();
}

static void panic_and_recover(void *arg)
{
	(void)arg;
	D(mark, "4");
	D(recovers, NULL);
	D(panics, "in exit");
	D(mark, "3");
	gort_goexit();
}

static void exit_survives(void *arg)
{
	(void)arg;
	D(mark, "5");
	gort_scope(panic_and_recover, NULL);
	say("never");
}

static void exit_over_panic(void *arg)
{
	(void)arg;
	D(mark, "2");
	D(exits, "1");
	gort_panics("lost");
}

static void exits_try_in_defer(void *arg)
{
	(void)arg;
	D(mark, "w");
	D(tries, NULL);
	gort_goexit();
}

static void try_stops_in_exit_body(void *arg)
{
	(void)arg;
	D(panics, "stopped by try");
	gort_goexit();
}

static void try_stops_in_exit(void *arg)
{
	(void)arg;
	D(mark, "k");
	gort_try(try_stops_in_exit_body, NULL, NULL);
	say("never");
}

static void main_of_goexit(void *arg)
{
	static const gort_func all[] = { exit_fn, exit_survives, exit_over_panic,
		                         exits_try_in_defer, try_stops_in_exit };

	(void)arg;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		in_goroutine(all[i]);
}

static void exit_then_panic(void *arg)
{
	(void)arg;
	D(panics, "after exit");
	gort_goexit();
}

static void test_goexit(void **state)
{
	(void)state;
	check(main_of_goexit, 0,
	      "xa-bz.3[in exit]45.12.f321 ok d caught p caught0[oh]12 ownw.k.");
	check(goexit_runs_defers, GORT_EDEADLOCK, "-main");
	check_panic(exit_then_panic, "panic: after exit\n");
}

/* ---- Values --------------------------------------------------------------------------------- */

typedef struct thing {
	int a;
} thing;
GORT_DEFINE_TYPE(thing, GORT_FIELD(thing, a, int));

static void texts(void *arg)
{
	static thing t;
	char want[64];
	gort_string s;

	(void)arg;
#define SHOW(T, type, v)                                                                           \
	say_value((gort_eface){ GORT_TYPE(T), &(type){ v } });                                     \
	say(" ")
	say_value((gort_eface){ gort_type_of_bool(), &(bool){ true } });
	say_value((gort_eface){ gort_type_of_bool(), &(bool){ false } });
	SHOW(int, int, -42);
	SHOW(int8_t, int8_t, -128);
	SHOW(int16_t, int16_t, -300);
	SHOW(int64_t, int64_t, INT64_MIN);
	SHOW(intptr_t, intptr_t, -7);
	SHOW(uint8_t, uint8_t, 255);
	SHOW(uint16_t, uint16_t, 65535);
	SHOW(unsigned, unsigned, UINT32_MAX);
	SHOW(uint64_t, uint64_t, UINT64_MAX);
	SHOW(size_t, size_t, 9);
	SHOW(uintptr_t, uintptr_t, 5);
	SHOW(double, double, 1.5);
	SHOW(double, double, -0.0);
	SHOW(double, double, 123456789.0);
	SHOW(double, double, 9.9999999e-5);
	SHOW(double, double, 1e300);
	SHOW(double, double, 1e-310);
	SHOW(float, float, 0.1f);
	SHOW(double, double, __builtin_inf());
	SHOW(double, double, -__builtin_inf());
	SHOW(double, double, __builtin_nan(""));
	say_value((gort_eface){ GORT_TYPE(gort_string), &GORT_STR("a\nb\n") });
	say_value((gort_eface){ NULL, NULL });
	s = gort_panic_text((gort_eface){ GORT_TYPE(thing), &t });
	snprintf(want, sizeof want, "(thing) 0x%llx", (unsigned long long)(uintptr_t)&t);
	say((size_t)s.len == strlen(want) && memcmp(s.ptr, want, strlen(want)) == 0 ? " T" : " F");
}

static void panic_nil(void *arg)
{
	(void)arg;
	gort_panic((gort_eface){ NULL, NULL });
}

static void panic_int(void *arg)
{
	static int v = 42;

	(void)arg;
	gort_panic((gort_eface){ GORT_TYPE(int), &v });
}

static void panic_runtime(void *arg)
{
	(void)arg;
	(void)RT_ENTER();
	rt_panic_error("index out of range [5] with length 3");
}

static void panic_plain(void *arg)
{
	(void)arg;
	gort_chan_close(NULL);
}

static void panic_null_text(void *arg)
{
	(void)arg;
	gort_panics(NULL);
}

static void null_function(void *arg)
{
	(void)arg;
	gort_defer(NULL, NULL);
}

static void test_values(void **state)
{
	(void)state;
	check(texts, 0,
	      "truefalse-42 -128 -300 -9223372036854775808 -7 255 65535 4294967295 "
	      "18446744073709551615 9 5 +1.500000e+000 -0.000000e+000 +1.234568e+008 "
	      "+1.000000e-004 +1.000000e+300 +1.000000e-310 +1.000000e-001 +Inf -Inf NaN "
	      "a\n\tb\n\tnil T");
	check_panic(panic_nil, "panic: panic called with nil argument\n");
	check_panic(panic_int, "panic: 42\n");
	check_panic(panic_runtime, "panic: runtime error: index out of range [5] with length 3\n");
	check_panic(panic_plain, "panic: close of nil channel\n");
	check_panic(panic_null_text, "panic: \n");
	check_panic(null_function,
	            "panic: runtime error: invalid memory address or nil pointer dereference\n");
}

/* ---- Moves between threads, drops, roots ---------------------------------------------------- */

static void yields(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		gort_gosched();
}

static void moving(void *arg)
{
	int64_t *caught = arg;

	for (int i = 0; i < 300; i++) {
		gort_eface v;
		gort_string s;

		if (gort_try(deferring_panic, (void *)"", &v) != 1)
			return;
		s = gort_panic_text(v);
		yields(NULL);
		*caught += s.len == 0;
	}
}

static void deferred_yield(void *arg)
{
	int64_t *caught = arg;

	gort_defer(yields, NULL);
	for (int i = 0; i < 40; i++)
		gort_defer(yields, NULL);
	gort_try(panics, (void *)"", NULL);
	*caught += 1;
	gort_panics("out of here");
}

static void one_of_them(void *arg)
{
	if (gort_try(deferred_yield, arg, NULL) == 1)
		*(int64_t *)arg += 1;
}

static void movers(void *arg)
{
	static int64_t caught[50];

	(void)arg;
	memset(caught, 0, sizeof caught);
	wg = (gort_waitgroup)GORT_INIT;
	for (int i = 0; i < 50; i++)
		gort_waitgroup_go(&wg, one_of_them, &caught[i]);
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < 50; i++)
		if (caught[i] != 2)
			say("bad");
}

static void one_thread(void *arg)
{
	static int64_t caught;

	(void)arg;
	caught = 0;
	moving(&caught);
	order[0] = '\0';
	if (caught != 300)
		say("bad");
}

static void test_threads(void **state)
{
	(void)state;
	order[0] = '\0';
	assert_int_equal(program(4, movers, NULL), 0);
	assert_string_equal(order, "");
	check(one_thread, 0, "");
}

static gort_chan *never;

static void blocks_with_defers(void *arg)
{
	for (int i = 0; i < 100; i++)
		D(mark, "wrong");
	gort_chan_recv(arg, NULL);
}

static void leaves_them(void *arg)
{
	(void)arg;
	never = gort_chan_make(GORT_TYPE(int), 0);
	for (int i = 0; i < 20; i++)
		gort_go(blocks_with_defers, never);
	yields(NULL);
}

/* What is dropped gives its blocks back, and its deferred calls do not run. */
static void test_dropped(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	order[0] = '\0';
	gort_config_init(&cfg);
	cfg.flags |= GORT_SCAN_DATA;
	cfg.procs = 2;
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(gort_runtime_run(rt, leaves_them, NULL), 0);
		assert_int_equal(rt->defers.inuse, 0);
	}
	assert_int_equal(gort_runtime_run(rt, nested_fatal, NULL), GORT_EPANIC);
	assert_int_equal(gort_runtime_run(rt, last_first, NULL), 0);
	assert_int_equal(rt->defers.inuse, 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	assert_string_equal(order, "f321");
}

static void count_slot(void *data, void **slot)
{
	int *n = data;

	if (*slot != NULL && (uintptr_t)*slot >= 1000 && (uintptr_t)*slot < 1100)
		n[(uintptr_t)*slot - 1000]++;
}

static int found[100];
static void look(void *arg)
{
	(void)arg;
	rt_panic_roots(rt_curg(), count_slot, found);
}
static void ignore(void *arg)
{
	(void)arg;
}

static void root_panic(void *arg)
{
	gort_defer(look, (void *)1098);
	gort_panic((gort_eface){ GORT_TYPE(thing), arg });
}

static void root_scopes(void *arg)
{
	(void)arg;
	for (uintptr_t i = 0; i < 97; i++)
		gort_defer(ignore, (void *)(1000 + i));
	(void)gort_try(root_panic, (void *)1097, NULL);
}

/* Each argument of a deferred call, and the value of a panic, once at least. */
static void test_roots(void **state)
{
	(void)state;
	memset(found, 0, sizeof found);
	assert_int_equal(run(root_scopes), 0);
	for (int i = 0; i < 99; i++)
		assert_true(found[i] >= 1);
	assert_int_equal(found[99], 0);
}

/* ---- A deferred call of a function that has returned: the record it borrows from its caller ------- */

/* Recovers its own panic, with calls left on both sides of it. */
static void mends(void *arg)
{
	D(mark, "c");
	D(recovers, NULL);
	D(mark, "b");
	say(arg);
	gort_panics("a");
}

static void mends_twice(void *arg)
{
	D(mark, "e");
	D(recovers, "2");
	D(panics, "d");
	mends(arg);
}

static void around_mends(void *arg)
{
	(void)arg;
	D(mark, "z");
	D(mends_twice, "!");
	D(mark, "y");
	D(mends, "?");
	say("f");
}

static void recovered_in_callee(void *arg)
{
	gort_scope(around_mends, arg);
	say("|");
	gort_scope(around_mends, arg);
}

static void test_recovered_in_callee(void **state)
{
	(void)state;
	check(recovered_in_callee, GORT_OK, "f?b[a]cy!b[a]c[d]2ez|f?b[a]cy!b[a]c[d]2ez");
}

/* One that ends there is caught by the scope around. */
static void around_panics(void *arg)
{
	D(recovers, "r");
	D(panics, "p");
	D(mark, arg);
}

static void around_exits(void *arg)
{
	D(mark, "2");
	D(exits, "1");
	say(arg);
}

static void left_in_callee(void *arg)
{
	gort_defer((gort_func)gort_waitgroup_done, arg);
	D(mark, "m");
	gort_scope(around_panics, (void *)"a");
	gort_scope(around_exits, (void *)"b");
	say("never");
}

static void spawns_it(void *arg)
{
	gort_waitgroup done = GORT_INIT;

	(void)arg;
	gort_waitgroup_add(&done, 1);
	gort_go(left_in_callee, &done);
	gort_waitgroup_wait(&done);
}

static void test_left_in_callee(void **state)
{
	(void)state;
	check(spawns_it, GORT_OK, "a[p]rb12m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),   cmocka_unit_test(test_recover),
		cmocka_unit_test(test_nested),  cmocka_unit_test(test_try),
		cmocka_unit_test(test_goexit),  cmocka_unit_test(test_values),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_recovered_in_callee),
		cmocka_unit_test(test_left_in_callee),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
