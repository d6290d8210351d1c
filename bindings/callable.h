/* callable.h: a run whose main function is Python's.
 *
 * The callable runs on a thread of its own, an attached one like all goroutines of Python; it must not run on a stack
 * of gort, nor be dropped where it stands. The main goroutine, on the thread that called gort_runtime_run, only waits
 * for it on a semaphore: so the end of the callable is the end of the run, and a deadlock is seen, since who waits
 * there is asleep like everybody else.
 */
#ifndef BINDINGS_CALLABLE_H
#define BINDINGS_CALLABLE_H

#include <gort.h>

#include "bindings/workloads/workload.h"

typedef struct binding_run {
	workload_call call; /* first */
	gort_sema begun;    /* released by the main goroutine: the run has begun */
	gort_sema done;     /* released by the callable's thread: the run may end */
} binding_run;

/* Runs until the callable is done, zero-filled but for call.left and call.nleft. What gort_runtime_run returns. */
int binding_run_main(gort_runtime *rt, binding_run *run);
/* By the callable's thread, a goroutine of rt: waits until the run has begun; GORT_ECANCELED: it is over already. */
int binding_run_begun(gort_runtime *rt, binding_run *run);
/* By the same thread: the callable is done. */
int binding_run_done(gort_runtime *rt, binding_run *run);
/* By any thread: lets binding_run_begun return though no run has begun. */
int binding_run_abandon(gort_runtime *rt, binding_run *run);
/* A run that does nothing: its end releases the attached threads of rt, as the end of each run does. */
int binding_run_nothing(gort_runtime *rt);

#endif
