/* preempt.h: ask a running thread to stop where it is.
 *
 * Contract. Exactly one implementation is linked (Meson option `preempt`): cooperative.c for now,
 * which stops nobody: the runtime raises a flag that every runtime call looks at. `signal` and
 * `suspend` come with the preempting scheduler and fill the same functions:
 *
 *   stop    makes the thread stop in place and report through the handler registered by init, or
 *           not at all when it is inside the runtime (its `locks` word is not 0); never waits.
 *   resume  lets a stopped thread go on.
 *   regs    the general registers of a stopped thread, for a conservative scan; they stay valid
 *           until resume.
 *
 * Errors: -ENOTSUP where the implementation cannot, -ESRCH when the thread is gone.
 */
#ifndef BACKENDS_PREEMPT_H
#define BACKENDS_PREEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char be_preempt_name[];   /* "cooperative" */
extern const bool be_preempt_in_place; /* stop works at any PC */

typedef struct be_preempt { /* one a thread; opaque to callers */
	uintptr_t opaque[4];
} be_preempt;

/* Once a process; handler(thread's be_preempt) runs on the stopped thread. Counted: fini undoes. */
int be_preempt_init(void (*handler)(be_preempt *self));
void be_preempt_fini(void);
/* The calling thread can be stopped from now on; detach before it ends. */
int be_preempt_attach(be_preempt *self);
void be_preempt_detach(be_preempt *self);
int be_preempt_stop(be_preempt *t);
int be_preempt_resume(be_preempt *t);
int be_preempt_regs(be_preempt *t, const uintptr_t **regs, size_t *n);

#endif
