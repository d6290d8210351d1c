/* callable.h: a run whose main function is Python's.
 *
 * The callable runs on a thread of its own, an attached one like all goroutines of Python; it must not run on a stack
 * of gort, nor be dropped where it stands. The main goroutine, on the thread that called gort_runtime_run, makes the
 * callable's goroutine, a seat for that thread, and then only waits for it on a semaphore: so the end of the callable
 * is the end of the run, and a deadlock is seen, since who waits there is asleep like everybody else.
 *
 * The thread is there before the run begins, as only Python can start it, and waits for its seat at a lock of the
 * interpreter's, which needs no GIL. A seat made outside of the run would take part in it from a moment on that
 * the clock decides.
 */
#ifndef BINDINGS_CALLABLE_H
#define BINDINGS_CALLABLE_H

#include <gort.h>

#include <stdbool.h>

#include "bindings/workloads/workload.h"

typedef struct binding_run {
	workload_call call; /* first */
	gort_sema done;     /* released by the callable's thread: the run may end */
	gort_seat *seat;    /* the callable's goroutine, from main's first step on */
	void *gate;         /* a PyThread lock, shut until there is a seat, or no run to come */
	uint32_t open;      /* atomic; 1: the gate is, or is about to be */
	uint32_t over;      /* atomic; 1: main was told that the callable is done, and returns */
	int code;           /* why there is no seat */
} binding_run;

/* Zero-filled but for call.left and call.nleft. GORT_ENOMEM. */
int binding_run_init(binding_run *run);
void binding_run_fini(binding_run *run);
/* Runs until the callable is done. What gort_runtime_run returns; GORT_ENOMEM: there was no seat. */
int binding_run_main(gort_runtime *rt, binding_run *run);
/* By the callable's thread, once: waits for the run, and attaches as binding_attach does. GORT_ECANCELED: none came. */
int binding_run_attach(binding_run *run);
/* By the same thread: the callable is done. */
int binding_run_done(gort_runtime *rt, binding_run *run);
/* Main was told so, and what happens now is no part of the run any more. By any thread. Under a seed the schedule says
 * when; that the run has ended is seen by its goroutines' threads at some later time of the clock's choice. */
bool binding_run_over(const binding_run *run);
/* When binding_run_main has returned, or was never called: no run comes any more. */
void binding_run_abandon(binding_run *run);
/* A run that does nothing: its end releases the attached threads of rt, as the end of each run does. */
int binding_run_nothing(gort_runtime *rt);

#endif
