/* Settings: defaults, the environment, option strings, limits, growth of the struct; texts. */
#include "backends/data/data.h"
#include "core/api/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = { "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG" };

static void set(const char *name, const char *value)
{
#ifdef _WIN32
	_putenv_s(name, value != NULL ? value : "");
#else
	if (value != NULL)
		setenv(name, value, 1);
	else
		unsetenv(name);
#endif
}

static int clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		set(names[i], NULL);
	return 0;
}

static gort_config fresh(void)
{
	gort_config cfg;

	memset(&cfg, 0xa5, sizeof cfg);
	gort_config_init(&cfg);
	return cfg;
}

static void test_defaults(void **state)
{
	gort_config cfg = fresh();

	(void)state;
	assert_int_equal(cfg.size, sizeof cfg);
	assert_int_equal(cfg.procs, 0);
	assert_int_equal(cfg.gc_percent, 100);
	assert_true(cfg.memory_limit == INT64_MAX);
	assert_int_equal(cfg.stack_size, 0);
	assert_string_equal(cfg.collector, "concurrent");
	assert_true(cfg.seed == 0);
	assert_int_equal(cfg.signals, GORT_SIGNAL_PREEMPT | GORT_SIGNAL_FAULT);
	assert_int_equal(cfg.flags, 0);
	assert_null(cfg.debug);
	assert_int_equal(rt_config_check(&cfg), 0);
}

static void test_environment(void **state)
{
	static const struct {
		const char *text;
		int64_t limit;
	} limits[] = {
		{ "off", INT64_MAX }, { "100", 100 }, { "100B", 100 }, { "3KiB", 3 << 10 },
		{ "64MiB", 64 << 20 }, { "5GiB", INT64_C(5) << 30 }, { "2TiB", INT64_C(2) << 40 },
		{ "9223372036854775807", INT64_MAX }, { "9223372036854775808", INT64_MAX },
		{ "8388608TiB", INT64_MAX }, { "-1", INT64_MAX }, { "KiB", INT64_MAX },
		{ "1kib", INT64_MAX }, { "", INT64_MAX }, { "1 MiB", INT64_MAX },
	};
	gort_config cfg;

	(void)state;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		set("GOMEMLIMIT", limits[i].text);
		assert_true(fresh().memory_limit == limits[i].limit);
	}
	set("GOMAXPROCS", "3");
	set("GOGC", "off");
	set("GODEBUG", "whatever=1,stackguard=0");
	cfg = fresh();
	assert_int_equal(cfg.procs, 3);
	assert_int_equal(cfg.gc_percent, -1);
	assert_string_equal(cfg.debug, "whatever=1,stackguard=0");
	assert_int_equal(rt_config_check(&cfg), 0);
	cfg.debug = "whatever=1,stackguard=0"; /* not the environment's: a mistake */
	assert_int_equal(rt_config_check(&cfg), GORT_EINVAL);
	set("GOGC", "50");
	assert_int_equal(fresh().gc_percent, 50);
	set("GOGC", "fifty");
	assert_int_equal(fresh().gc_percent, 100);
	set("GOMAXPROCS", "0");
	assert_int_equal(fresh().procs, 0);
	set("GOMAXPROCS", "2x");
	assert_int_equal(fresh().procs, 0);
	set("GOMAXPROCS", "99999999");
	cfg = fresh();
	assert_int_equal(rt_config_check(&cfg), 0);
	clean(NULL);
}

static void test_parse(void **state)
{
	const char *options = "procs=4,gogc=50,memlimit=64MiB,stack=64KiB,collector=stw,seed=7,"
			      "debug=stackguard=0,oomfail=3";
	gort_config cfg = fresh();

	(void)state;
	assert_int_equal(gort_config_parse(&cfg, options), 0);
	assert_int_equal(cfg.procs, 4);
	assert_int_equal(cfg.gc_percent, 50);
	assert_true(cfg.memory_limit == 64 << 20);
	assert_int_equal(cfg.stack_size, 64 << 10);
	assert_string_equal(cfg.collector, "stw");
	assert_true(cfg.seed == 7);
	assert_string_equal(cfg.debug, "stackguard=0,oomfail=3");
	assert_ptr_equal(cfg.debug, options + strlen(options) - strlen(cfg.debug));
	assert_int_equal(gort_config_parse(&cfg, "gogc=off"), 0);
	assert_int_equal(cfg.gc_percent, -1);
	assert_int_equal(gort_config_parse(&cfg, "gogc=-5,seed=18446744073709551615"), 0);
	assert_int_equal(cfg.gc_percent, -5);
	assert_true(cfg.seed == UINT64_MAX);
	assert_int_equal(gort_config_parse(&cfg, ""), 0);
}

static void test_parse_refuses(void **state)
{
	static const char *const wrong[] = {
		"procs", "procs=", "procs=x", "procs=-1", "procs=4 ", " procs=4", "procs=4,",
		",procs=4", "procs=4,,gogc=50", "procs=99999999999", "procs=1000000", "gogc=half",
		"gogc=", "memlimit=1QiB", "memlimit=-1", "stack=big", "collector=fast", "collector=",
		"seed=-1", "seed=18446744073709551616", "colour=red", "=4", "debug=nosuch=1",
		"debug=stackguard=x", "procs=2,gogc=x", "Procs=2",
	};
	gort_config cfg = fresh(), before;

	(void)state;
	memcpy(&before, &cfg, sizeof cfg);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (gort_config_parse(&cfg, wrong[i]) != GORT_EINVAL)
			fail_msg("accepted: %s", wrong[i]);
		assert_memory_equal(&cfg, &before, sizeof cfg);
	}
	assert_int_equal(gort_config_parse(&cfg, NULL), GORT_EINVAL);
	assert_int_equal(gort_config_parse(NULL, "procs=1"), GORT_EINVAL);
}

static int changed(void (*change)(gort_config *))
{
	gort_config cfg = fresh();

	change(&cfg);
	return rt_config_check(&cfg);
}

#define CHANGE(name, what)                                                                         \
	static void name(gort_config *cfg)                                                         \
	{                                                                                          \
		what;                                                                              \
	}
CHANGE(negative_procs, cfg->procs = -1)
CHANGE(too_many_procs, cfg->procs = 1 << 20)
CHANGE(negative_limit, cfg->memory_limit = -1)
CHANGE(huge_stack, cfg->stack_size = SIZE_MAX)
CHANGE(unknown_collector, cfg->collector = "fast")
CHANGE(unknown_signal, cfg->signals = 64)
CHANGE(unknown_flag, cfg->flags = 1u << 31)
CHANGE(bad_debug, cfg->debug = "stackguard=maybe")
CHANGE(no_size, cfg->size = 0)
CHANGE(concurrent, cfg->collector = "concurrent")
CHANGE(stw, cfg->collector = "stw")
CHANGE(seeded, cfg->seed = 1)
CHANGE(scan_data, cfg->flags = GORT_SCAN_DATA)
CHANGE(null_collector, cfg->collector = NULL)
CHANGE(library, cfg->flags = GORT_LIBRARY | GORT_EXIT_ON_FATAL)
CHANGE(no_signals, cfg->signals = 0)

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(changed(negative_procs), GORT_EINVAL);
	assert_int_equal(changed(too_many_procs), GORT_EINVAL);
	assert_int_equal(changed(negative_limit), GORT_EINVAL);
	assert_int_equal(changed(huge_stack), GORT_EINVAL);
	assert_int_equal(changed(unknown_collector), GORT_EINVAL);
	assert_int_equal(changed(unknown_signal), GORT_EINVAL);
	assert_int_equal(changed(unknown_flag), GORT_EINVAL);
	assert_int_equal(changed(bad_debug), GORT_EINVAL);
	assert_int_equal(changed(no_size), GORT_EINVAL);
	assert_int_equal(changed(concurrent), 0);
	assert_int_equal(changed(stw), 0);
	assert_int_equal(changed(seeded), 0);
	assert_int_equal(changed(scan_data), be_data_works ? 0 : GORT_ENOTSUP);
	assert_int_equal(changed(null_collector), 0);
	assert_int_equal(changed(library), 0);
	assert_int_equal(changed(no_signals), 0);
}

typedef struct grown {
	gort_config cfg;
	uint64_t later;
} grown;

/* A caller of another version: its struct is shorter or longer than ours. */
static void test_growth(void **state)
{
	grown g;
	size_t shorter = offsetof(gort_config, collector);

	(void)state;
	memset(&g, 0xa5, sizeof g);
	gort_config_init_sized(&g.cfg, shorter);
	assert_int_equal(g.cfg.size, shorter);
	assert_int_equal(g.cfg.gc_percent, 100);
	assert_int_equal(*(unsigned char *)&g.cfg.collector, 0xa5);
	assert_int_equal(rt_config_check(&g.cfg), 0);
	assert_int_equal(gort_config_parse(&g.cfg, "procs=2"), 0);
	assert_int_equal(g.cfg.procs, 2);
	assert_int_equal(gort_config_parse(&g.cfg, "procs=3,seed=9"), GORT_EINVAL);
	assert_int_equal(g.cfg.procs, 2);
	assert_int_equal(*(unsigned char *)&g.cfg.seed, 0xa5);

	memset(&g, 0xa5, sizeof g);
	gort_config_init_sized(&g.cfg, sizeof g);
	assert_int_equal(g.cfg.size, sizeof g);
	assert_true(g.later == 0);
	assert_int_equal(rt_config_check(&g.cfg), 0);
	g.later = 1;
	assert_int_equal(rt_config_check(&g.cfg), GORT_ENOTSUP);
}

static void test_texts(void **state)
{
	size_t n = 0;
	const gort_backend *b = gort_backends(&n);
	static const char *const slots[] = { "context", "arena", "preempt",
		                             "netpoll", "thread", "fault", "data", "io" };

	(void)state;
	assert_string_equal(gort_version(), "0.1.0");
	assert_string_equal(gort_strerror(GORT_EOS - ENOENT), "no such file or directory");
	assert_string_equal(gort_strerror(GORT_EOS - 9999), "unknown error of the system");
	assert_string_equal(gort_strerror(5), "unknown code");
	assert_string_equal(gort_strerror(GORT_EOS), "unknown code");
	for (int code = GORT_OK; code >= GORT_EFORKED; code--) {
		assert_string_not_equal(gort_strerror(code), "unknown code");
		for (int other = code + 1; other <= GORT_OK; other++)
			assert_string_not_equal(gort_strerror(code), gort_strerror(other));
	}
	assert_int_equal(n, sizeof slots / sizeof *slots);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(b[i].slot, slots[i]);
		assert_true(strlen(b[i].name) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_environment),
		cmocka_unit_test(test_parse),    cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_check),    cmocka_unit_test(test_growth),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, clean, NULL);
}
