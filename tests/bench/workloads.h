/* workloads.h: what a file of workloads gives to workloads.c, which measures them. */
#ifndef TESTS_BENCH_WORKLOADS_H
#define TESTS_BENCH_WORKLOADS_H

#include <stdint.h>

typedef struct workload {
	const char *name;
	int64_t (*run)(int64_t n); /* n operations; how long they took */
	int64_t unit;              /* n is rounded up to a multiple */
	int64_t fixed;             /* not 0: this many, once; reported are the whole, in ms, and the resident peak */
} workload;

extern const workload allocations[]; /* allocate.c; ends with a name NULL */
_Noreturn void fail(const char *what);

#endif
