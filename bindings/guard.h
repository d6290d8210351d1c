/* guard.h: what only a goroutine may call, made safe for a thread of Python.
 *
 * Called outside a goroutine these functions of the library print their name and abort, which ends
 * the interpreter. Here they report GORT_EINVAL instead, and Python raises.
 *
 * A Python thread that is attached runs Python code most of the time, waits for the GIL, sleeps:
 * all that counts as a system call, so that it holds no P meanwhile. binding_attach enters it, each
 * function here leaves it for as long as its own call lasts, and binding_detach leaves it for good.
 */
#ifndef BINDINGS_GUARD_H
#define BINDINGS_GUARD_H

#include <gort.h>

/* Stores 1 in *done, which may be NULL, if it returns 0: Python may be interrupted before it sees that. */
int binding_attach(gort_runtime *rt, int *done);
int binding_detach(void);
/* gort_seat_new, _ready, _free and _attach. By a goroutine of rt the first makes its child, and the schedule decides
 * when that goes on; the last waits for that, and then the thread is attached as by binding_attach. */
int binding_seat_new(gort_runtime *rt, gort_seat **out, uint64_t *goid);
int binding_seat_ready(gort_runtime *rt, gort_seat *seat);
int binding_seat_free(gort_runtime *rt, gort_seat *seat);
int binding_seat_attach(gort_seat *seat);
/* Both also GORT_ECANCELED: the run of this thread has ended, see gort_attach. */
int binding_gosched(void);
int binding_sleep(int64_t ns);
/* gort_stack_dump and gort_leak_dump into memory of its own, which binding_free gives back; GORT_ENOMEM. */
int binding_stack_dump(gort_runtime *rt, char **text, size_t *n);
int binding_leak_dump(gort_runtime *rt, char **text, size_t *n);
void binding_free(void *p);
/* The same with gort_heap_dump. */
int binding_heap_dump(gort_runtime *rt, char **text, size_t *n);
/* As a goroutine of rt: as the one that this thread is, or as one for as long as the call lasts. GORT_EBUSY: it is one
 * of another runtime; what gort_attach reports. */
int binding_gc(gort_runtime *rt);
int binding_free_os_memory(gort_runtime *rt);
int binding_set_gc_percent(gort_runtime *rt, int percent);
int binding_set_memory_limit(gort_runtime *rt, int64_t bytes);
/* Stores how many goroutines there are. */
int binding_num_goroutine(int *n);
/* Sets GOMAXPROCS if n > 0; stores the value before. */
int binding_gomaxprocs(int n, int *before);

#endif
