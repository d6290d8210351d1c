/* program.h: runs a function as a program in a runtime of its own, for tests. cmocka's assertions
 * leave by longjmp, so goroutines only record; the test asserts when the run is over. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include "core/include/gort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char program_error[4096];

/* The code of the run; program_error holds its text. debug: as GODEBUG, or NULL. */
static inline int program_debug(int procs, unsigned flags, const char *debug, gort_func main, void *arg)
{
	gort_runtime *rt;
	gort_config cfg;
	int r;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.debug = debug;
	cfg.flags |= flags | GORT_SCAN_DATA; /* tests keep things in static variables */
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	r = gort_runtime_run(rt, main, arg);
	snprintf(program_error, sizeof program_error, "%s", gort_runtime_error(rt));
	assert_int_equal(gort_runtime_free(rt), 0);
	return r;
}

static inline int program_with(int procs, unsigned flags, gort_func main, void *arg)
{
	return program_debug(procs, flags, NULL, main, arg);
}

static inline int program(int procs, gort_func main, void *arg)
{
	return program_with(procs, 0, main, arg);
}

#endif
