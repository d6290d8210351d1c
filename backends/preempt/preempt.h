/* preempt.h: stop a running thread where it is, at any instruction.
 *
 *               stop                      resume
 *   running ------------> stopped: decide --------> running
 *      ^                     |
 *      +---------------------+ GO, LAND
 *
 * Contract. Exactly one implementation is linked (Meson option `preempt`): signal.c (SIGURG),
 * suspend.c (Windows), cooperative.c, which stops nobody: there the runtime raises a flag that
 * every runtime call looks at.
 *
 * stop asks. When the thread has been stopped, decide(t, at) is called: on the thread itself, from
 * a signal handler on the stack that it was using, or on the thread that called stop. It may take
 * runtime locks and wake threads; it must not allocate. What it answers:
 *     BE_PREEMPT_GO    the thread goes on; it was not the moment
 *     BE_PREEMPT_STAY  the thread stays stopped until be_preempt_resume(t), which may come before
 *                      decide returns
 *     BE_PREEMPT_LAND  what it was doing is abandoned: it goes on in t->land(t->land_arg) on the
 *                      stack below t->land_top
 * A stopped thread holds whatever it held: locks of libc, of the loader, of the user. So decide,
 * and everybody who works while threads are stopped, takes none of those.
 *
 * Errors: -ENOTSUP where the implementation cannot; -ESRCH when the thread is not attached; -EAGAIN: it was
 * never where it may stand (suspend.c), ask again.
 */
#ifndef BACKENDS_PREEMPT_H
#define BACKENDS_PREEMPT_H

#include "core/base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char be_preempt_name[];   /* "signal", "suspend", "cooperative" */
extern const bool be_preempt_in_place; /* stop works at any PC */

enum { BE_PREEMPT_GO = 0, BE_PREEMPT_STAY = 1, BE_PREEMPT_LAND = 2 };

typedef struct be_preempt { /* one a thread */
	/* the implementation's */
	rt_atomic32 pending;   /* 1: a stop is on its way */
	rt_atomic32 word;      /* 1: resumed; taken by the stopped thread */
	rt_atomic64 thread;    /* whom to stop; 0 = detached */
	uintptr_t opaque[4];
	/* the caller's: where it goes on after LAND, or after resume if not NULL */
	void (*land)(void *arg);
	void *land_arg, *land_top; /* land_top is 16-aligned */
} be_preempt;

typedef struct be_preempt_at { /* where a thread was stopped */
	uintptr_t pc, sp;
	uintptr_t fp, link;    /* frame pointer, return address register; 0: unknown, there is none */
} be_preempt_at;

typedef int (*be_preempt_decide)(be_preempt *t, const be_preempt_at *at);

/* Once a process; the others are counted, with the same decide. fini undoes; the last one gives
 * handlers back if they are still ours. -errno; -EBUSY: another decide. */
int be_preempt_init(be_preempt_decide decide);
void be_preempt_fini(void);
/* The calling thread can be stopped from now on; detach before it ends, on the same thread. Whoever
 * stops it keeps it from detaching meanwhile. */
int be_preempt_attach(be_preempt *self);
void be_preempt_detach(be_preempt *self);
/* Asks; does not wait, if decide is called by the thread itself. The caller holds no lock that
 * decide takes. */
int be_preempt_stop(be_preempt *t);
int be_preempt_resume(be_preempt *t);
/* The general registers of a stopped thread, for a conservative scan; they stay valid until it goes on. */
int be_preempt_regs(be_preempt *t, const uintptr_t **regs, size_t *n);
/* Orders the caller's earlier writes against t's later reads, and t's earlier writes against the
 * caller's later reads, where t has only compiler barriers. False: that cannot be had. */
bool be_preempt_fence(be_preempt *t);
/* CPU time that t has used, in ns; -1: unknown. */
int64_t be_preempt_cputime(be_preempt *t);
/* Asked about a thread that used hardly any CPU time. True: it waits in the system. False: it computes, or
 * would if the system gave it a CPU. True also if that cannot be told. */
bool be_preempt_sleeps(be_preempt *t);

#endif
