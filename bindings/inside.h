/* inside.h: how the functions of this folder become a goroutine for a moment. Not for Python.
 *
 * A thread of Python that is a goroutine runs Python code most of the time, or waits for the interpreter's lock (the
 * GIL). All of that counts as a system call, in which it holds no P: guard.h. A call of the library leaves that state,
 * does its work with a P, and enters it again.
 *
 * Why GIL and Ps cannot wait for each other. CFFI gives up the GIL before each function of this folder is called and
 * takes it again after it has returned. So who waits for a P, inside such a function, never has the GIL; and who waits
 * for the GIL, outside of them, never has a P that it would keep: a P in the state SYSCALL is taken by whoever needs
 * it. There is no cycle, whatever other locks of Python the thread holds: for those, too, it waits outside only.
 * Nothing here calls back into Python.
 *
 * A panic leaves C frames by longjmp. It must never leave frames of the interpreter so, and each call that can panic
 * runs in a gort_try.
 */
#ifndef BINDINGS_INSIDE_H
#define BINDINGS_INSIDE_H

#include "bindings/chan.h"

#include <gort.h>

/* Calls fn(arg) as the goroutine of rt that this thread is. 0; GORT_EINVAL: it is none; GORT_EBUSY: it is one of
 * another runtime; GORT_EPANIC: fn panicked, with this text (of BINDING_TEXT bytes, cut). */
int binding_inside(gort_runtime *rt, gort_func fn, void *arg, char *text);
/* Inside: whether the run of this attached thread has ended, so that nothing blocks it any more. */
bool binding_released(void);
/* The moment `timeout` ns from now; GORT_FOREVER if it is negative. */
int64_t binding_deadline(int64_t timeout);

/* What a gort_writer writes, in memory: guard.c. */
typedef struct binding_memory {
	char *p;
	size_t n, cap;
} binding_memory;
/* The gort_writer, with a binding_memory. */
int binding_append(void *data, const void *bytes, size_t n);
/* Stores what was written, for binding_free; nothing, and returns err, if that is not 0. */
int binding_hand_over(binding_memory *t, int err, char **text, size_t *n);

#endif
