/* locks.h: Mutex and WaitGroup of Python goroutines. Results, timeouts and texts as in chan.h. */
#ifndef BINDINGS_LOCKS_H
#define BINDINGS_LOCKS_H

#include <gort.h>

/* Zero-filled at first. `held` says whether the library may be asked to unlock: to unlock an unlocked mutex is fatal
 * there, and would end the process. */
typedef struct binding_mutex {
	gort_mutex m;
	uint32_t held;
} binding_mutex;

int binding_mutex_lock(gort_runtime *rt, binding_mutex *m, int64_t timeout, char *text);
/* GORT_EAGAIN: somebody has it. */
int binding_mutex_try_lock(gort_runtime *rt, binding_mutex *m, char *text);
/* GORT_EPANIC: it is not locked. */
int binding_mutex_unlock(gort_runtime *rt, binding_mutex *m, char *text);

/* Stores 1 in *done, which may be NULL, if it returns 0: Python may be interrupted before it sees that. */
int binding_waitgroup_add(gort_runtime *rt, gort_waitgroup *wg, int delta, char *text, int *done);
int binding_waitgroup_wait(gort_runtime *rt, gort_waitgroup *wg, int64_t timeout, char *text);

#endif
