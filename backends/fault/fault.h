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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char be_fault_name[]; /* "signal", "veh", "none" */
extern const bool be_fault_works; /* false: none */
extern const size_t be_fault_stack_room; /* below each stack, for the handler of its overflow; whole pages;
                                          * 0 with alternate stacks */

typedef struct be_fault {
	int signal;          /* SIGSEGV, SIGBUS, SIGFPE, ... (on Windows the nearest of them) */
	int code;            /* si_code; on Windows the kind of access: 0 read, 1 write */
	uintptr_t address;   /* that was accessed; for an overflow on Windows, the end of that stack */
	uintptr_t pc, sp;    /* of the faulting instruction */
	const char *what;    /* as Go names it: "SIGSEGV: segmentation violation" */
	bool access;         /* memory at `address` is not there, or not for this */
	bool divide;         /* an integer was divided by 0 */
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

/* Frames of a stack that may be anybody's, one after the other; of a long one the innermost and the outermost. */
enum { BE_FAULT_KEEP = 100 };
typedef struct be_fault_frame {
	uintptr_t pc, sp;
	bool exact;              /* pc is an instruction that was stopped at; else the one after a call */
} be_fault_frame;
typedef struct be_fault_trace {
	size_t n;                /* of frames, kept or not; set it to 0 before the first walk */
	be_fault_frame inner[BE_FAULT_KEEP];
	be_fault_frame outer[BE_FAULT_KEEP]; /* frame i >= KEEP is in outer[i % KEEP] if i + KEEP >= n */
} be_fault_trace;
typedef struct be_fault_place { /* where a stack stands */
	uintptr_t pc, sp, fp;
	uintptr_t link;          /* return address register, or 0 */
	bool exact;
} be_fault_place;
/* The return address of a function that has not begun, where a call has just led to `at`. */
uintptr_t be_fault_caller(const be_fault_place *at);
/* Of the faulting instruction. */
void be_fault_place_of(const be_fault *f, be_fault_place *out);
/* Appends the frames from `from` outwards. Nobody runs on the stack [lo, hi); nothing outside it is read. Takes no
 * lock and does not allocate: in handlers, too, and while others are stopped anywhere. */
void be_fault_walk(const be_fault_place *from, void *lo, void *hi, be_fault_trace *t);
/* The same for the caller's own stack, its own frame first. */
void be_fault_walk_here(void *lo, void *hi, be_fault_trace *t);

/* What code is called. Not in handlers: it reads files. Allocates by pages of its own only. */
typedef struct be_fault_symbol {
	char function[128];      /* "": unknown */
	char file[400];          /* the source file; the module if no line is known; "" outside all */
	unsigned line;           /* 0: unknown */
	uintptr_t offset;        /* from the start of the function; of the module if that is unknown */
	bool internal;           /* it belongs to this library */
	bool exported;           /* it is a public function of this library */
} be_fault_symbol;
/* Files that are open while a report is written: be_fault_files_size bytes, zeroed by the caller. */
typedef struct be_fault_files be_fault_files;
extern const size_t be_fault_files_size;
/* 0, or -ENOENT: outside all modules. *out is complete in any case. */
int be_fault_lookup(be_fault_files *files, uintptr_t pc, bool exact, be_fault_symbol *out);
void be_fault_files_close(be_fault_files *files);

/* The text range of the module (program or shared library) that holds code; -ENOENT. `whole` = libc lives in
 * the same module (static link). */
int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole);
/* Whether the malloc of this process lies in [lo, hi): a program may bring its own (jemalloc, a sanitizer). False where
 * nobody can tell. Not for handlers. */
int be_fault_has_malloc(uintptr_t lo, uintptr_t hi);

#endif
