/* fault.h: memory faults of goroutines, caught where they happen.
 *
 * Contract. Exactly one implementation is linked (Meson option `fault`): signal.c (sigaction and an
 * alternate stack for each thread), veh.c (Windows vectored handler), none.c. The backend knows no
 * goroutine: it asks `handler` what to do with each fault.
 *
 * The handler runs on the faulting thread, on the alternate stack (Windows: on what is left of the
 * stack), possibly deep inside libc; it may only read memory, print, and walk the frames with
 * be_fault_backtrace. It answers by filling *act:
 *     RT_FAULT_CHAIN    not ours: the handler found before ours gets it, or the system's default
 *     RT_FAULT_LAND     the thread goes on in act->land(act->arg) on the stack that ends at
 *                       act->stack_top; what it was doing is abandoned
 */
#ifndef BACKENDS_FAULT_H
#define BACKENDS_FAULT_H

#include <stddef.h>
#include <stdint.h>

extern const char be_fault_name[]; /* "signal", "veh", "none" */
extern const size_t be_fault_stack_room; /* below each stack, for the handler of its overflow; whole pages;
                                          * 0 with alternate stacks */

typedef struct be_fault {
	int signal;          /* SIGSEGV, SIGBUS, SIGFPE, ... (on Windows the nearest of them) */
	int code;            /* si_code, or the exception code */
	uintptr_t address;   /* that was accessed; for an overflow on Windows, the end of that stack */
	uintptr_t pc, sp;    /* of the faulting instruction */
	void *machine;       /* the backend's context record */
} be_fault;

enum { BE_FAULT_CHAIN = 0, BE_FAULT_LAND = 1 };
typedef struct be_fault_action {
	void (*land)(void *arg);
	void *arg;
	void *stack_top;     /* 16-aligned */
} be_fault_action;

typedef int (*be_fault_handler)(const be_fault *f, be_fault_action *act);

/* Installs the handlers of the process on the first call, counts the others. The last fini puts
 * back what was found, if ours are still in place. 0, -errno, -ENOTSUP. */
int be_fault_init(be_fault_handler handler);
void be_fault_fini(void);
/* Gives the calling thread an alternate stack if it has none; detach puts back what was there. */
int be_fault_attach(void);
void be_fault_detach(void);
/* Program counters of the faulting stack, innermost first; returns how many. */
size_t be_fault_backtrace(const be_fault *f, void **pcs, size_t max);
/* The same for the calling function's own stack, outside a fault. */
size_t be_fault_backtrace_here(void **pcs, size_t max);
/* "function+0x1f (file)" of a pc into buf; always NUL-terminated. */
void be_fault_symbol(void *pc, char *buf, size_t size);
/* The text range of the module (program or shared library) that holds code; -ENOENT. `whole` = libc lives in
 * the same module (static link). */
int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole);

#endif
