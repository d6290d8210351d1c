/* thread.h: threads, parking, clock and CPUs of the system.
 *
 * Contract. Exactly one of futex.c, pthread.c, win32.c is linked (Meson option `thread`), with the
 * self word of self.h. Errors are -errno; nothing here throws except on a broken contract. Nothing
 * here knows a G, M or P. All functions may be called by any thread; wake, park and nanotime also
 * from a signal handler's thread as long as the interrupted code was not inside this backend.
 */
#ifndef BACKENDS_THREAD_H
#define BACKENDS_THREAD_H

#include "core/base/atomic.h"

#include <stddef.h>
#include <stdint.h>

extern const char be_thread_name[]; /* "futex", "pthread", "win32" */

typedef struct be_thread { /* a joinable thread; opaque to callers, ended by exactly one join */
	uintptr_t opaque[2];
} be_thread;

/* Starts fn(arg) on a new thread with at least stack_size bytes of stack (0 = the system's
 * default). The thread has every asynchronous signal blocked, so that the host's threads keep
 * receiving the host's signals; SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP stay open. -EAGAIN,
 * -ENOMEM. */
int be_thread_start(be_thread *out, void (*fn)(void *), void *arg, size_t stack_size);
/* Waits until fn has returned and gives its thread back. */
void be_thread_join(be_thread *t);
/* The system's number of the calling thread, as its tools show it. */
uint64_t be_thread_id(void);
/* Bounds of the calling thread's own stack, for scanning and for sanitizers. 0, or -errno. */
int be_thread_stack(void **lo, void **hi);

/* Sleeps while *word == expect, at most ns (< 0: for ever), and until a wake of that word. Returns
 * 0 (woken, the word differed, or for no reason: the caller looks again) or -ETIMEDOUT. A wake that
 * happens after the word was changed is never lost. */
int be_thread_park(rt_atomic32 *word, uint32_t expect, int64_t ns);
/* Wakes up to n sleepers of word. The word's memory may be gone already. */
void be_thread_wake(rt_atomic32 *word, int n);

/* child() runs in the child of every later fork, before fork returns there. Once for each load of
 * the library. 0, -ENOMEM; nothing to do where there is no fork. */
int be_thread_atfork(void (*child)(void));

/* Between these two nobody forks: a fork waits, and who comes during one waits for its end. For short calls that
 * take a lock of libc which is not renewed in the child, where its holder is gone. Each may hold what the other wants
 * (the hooks of others for a fork, malloc): so neither waits for longer than a second, and a fork may come in between
 * after all. Not nested. Keeps errno. */
void be_thread_nofork_begin(void);
void be_thread_nofork_end(void);

/* A fence for all: when be_thread_fence_all returns, each thread of the process has passed a full fence since
 * it was called, without a word in its own code. be_thread_fences: whether the system has that; asked before
 * the first one, again in vain. 0; -ENOMEM: not just now; others: not any more, as in a sandbox that was
 * closed meanwhile, or never. */
bool be_thread_fences(void);
int be_thread_fence_all(void);

/* How much later than asked the system may end timed waits of the calling thread, in ns. Returns
 * what it was before; 0: the system has no such notion, and nothing changes. */
int64_t be_thread_slack(int64_t ns);

void be_thread_yield(void);          /* lets another thread of the system run */
void be_thread_nap(int64_t ns);      /* sleeps about ns; for back-off only, never for waiting */
int64_t be_nanotime(void);           /* monotonic, ns; one clock for all threads */
int64_t be_walltime(void);           /* ns since 1970, as the system believes; may jump */
int be_ncpu(void);                   /* CPUs this process may use; at least 1 */

/* Whether one thread more would have to wait for a CPU: at this moment at least as many threads as the machine has CPUs
 * run or wait for one, of all processes and without the caller. 1, 0; -1: the system does not say, or has no descriptor
 * to spare just now. A sample of a moment: ask often. be_crowd begins as zeros, keeps what it has opened, and is used
 * by one thread at a time. */
typedef struct be_crowd {
	int file; /* opaque, as the rest */
	int cpus;
} be_crowd;
int be_crowd_now(be_crowd *c);
void be_crowd_free(be_crowd *c);

static inline void be_cpu_pause(void)
{
#if defined __x86_64__ || defined __i386__
	__asm__ volatile("pause");
#elif defined __aarch64__
	__asm__ volatile("yield");
#else
	AO_compiler_barrier();
#endif
}

#endif
