/* context.h: the machine state of a suspended goroutine.
 *
 * Contract. Exactly one of asm (asm.c + asm_<cpu>.S), ucontext.c, fiber.c is linked (Meson option
 * `context`).
 *
 *          make/adopt             switch(x, c)
 *   (none) ----------> Saved  <-----------------  Running
 *                        |     ----------------->    |
 *                        |        switch(c, ...)     | fn must not return
 *                        +------- drop --------------+
 *
 * Rules that every implementation keeps:
 *   - a Saved context may be resumed by any thread, by one thread at a time;
 *   - callee-saved registers and the FP control words survive a switch;
 *   - while a context is Saved, every callee-saved register of it lies in [be_context_sp, hi) of
 *     its stack, so that a conservative collector finds pointers in them;
 *   - no allocation, no locks, no system call in a switch except what ucontext and fibers force;
 *   - never called from a signal handler;
 *   - backtraces end at the entry of a made context;
 *   - a made context is entered with the stack pointer aligned as the ABI wants it at a function's
 *     first instruction.
 */
#ifndef BACKENDS_CONTEXT_H
#define BACKENDS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct be_context be_context; /* the layout belongs to the backend */

extern const char be_context_name[]; /* "asm", "ucontext", "fiber" */
extern const size_t be_context_size; /* bytes of a record, 16-aligned */
extern const bool be_context_owns_stack; /* make allocates a stack of its own and ignores lo's
                                          * memory: fibers */

/* Builds a Saved context that will call fn(arg) on [lo, lo+size). Record and first frame are carved
 * from the top of that stack; size is at least 2 * be_context_size + 1024. NULL: refused (only with
 * be_context_owns_stack). */
be_context *be_context_make(void *lo, size_t size, void (*fn)(void *), void *arg);

/* Describes the calling thread on its own stack: a Running context. record has be_context_size
 * bytes, 16-aligned. NULL: refused. Undone by be_context_unadopt on the same thread. */
be_context *be_context_adopt(void *record);
void be_context_unadopt(be_context *c);

/* Saves the caller into *from and continues *to. Returns when somebody switches back to *from,
 * perhaps on another thread. */
void be_context_switch(be_context *from, be_context *to);

/* The scheduler's loop. Calls next(arg) and goes on in the Saved context that it returns; when that, or whoever runs
 * after it, calls be_context_back, calls next again; returns when next returns NULL. g0 is Running here and
 * everywhere below. An implementation may keep the FP control words of the last context in force while next runs. */
void be_context_loop(be_context *g0, be_context *(*next)(void *arg), void *arg);
/* Saves the caller into *from and goes on in g0's be_context_loop. */
void be_context_back(be_context *from, be_context *g0);

/* For stacks that the system extends as they are touched (Windows), between make and the first
 * switch: the memory down to floor, below lo, is the stack's too, reserved; [limit, hi) is committed
 * and a growth guard lies below it; the last `room` bytes are kept for the handler of an
 * overflow. Without effect elsewhere. With be_context_owns_stack only room counts. */
void be_context_grows(be_context *c, void *floor, void *limit, size_t room);
/* How far down the stack of a Saved made context has grown; after an overflow, below lo. Without growth: lo. */
void *be_context_limit(const be_context *c);

/* The lowest address that belongs to a Saved context's stack: scan [sp, hi). */
void *be_context_sp(const be_context *c);
/* Where an unwinder begins to walk a Saved context's stack: program counter (of an instruction, not
 * behind a call), stack and frame pointer. */
void be_context_place(const be_context *c, void **pc, void **sp, void **fp);
/* Where the stack of a made context really lies. */
void be_context_bounds(const be_context *c, void **lo, void **hi);
/* Forgets a Saved made context; gives back what make allocated. */
void be_context_drop(be_context *c);

/* Runs fn(arg) here and returns 0 when it returns. Meanwhile be_context_leave(mark), called below fn on the
 * same stack, leaves all frames down to here and makes this call return 1, with callee-saved
 * registers and FP control words as they were at the call: setjmp and longjmp, without libc's
 * mangling and without signal masks. The mark dies when this returns. */
int be_context_try(void **mark, void (*fn)(void *), void *arg);
_Noreturn void be_context_leave(void *mark);

#endif
