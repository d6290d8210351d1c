/* common.h: what the workloads share. */
#ifndef BINDINGS_WORKLOADS_COMMON_H
#define BINDINGS_WORKLOADS_COMMON_H

#include "bindings/workloads/workload.h"

#define NPARAMS(params) (sizeof(params) / sizeof *(params))

extern const workload workload_binary_trees, workload_deadlock, workload_fanin, workload_fatal,
	workload_gc_churn, workload_leak, workload_mergesort,
	workload_panic, workload_philosophers, workload_pingpong, workload_ring, workload_sieve, workload_skynet,
	workload_yield;

/* Says how much there is to do; first thing in a workload. */
void workload_set_total(workload_call *call, uint64_t total);
/* n more are done. Any goroutine; cheap, but shared: not once for each nanosecond of work. */
void workload_step(workload_call *call, uint64_t n);
/* gort_go, for programs that can do nothing sensible without the goroutine: panics. A macro, so that reports name the
 * caller as its creator. */
#define workload_go(fn, arg) workload_started(gort_go((fn), (arg)))
void workload_started(int err);

#endif
