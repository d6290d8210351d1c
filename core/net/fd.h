/* fd.h: a descriptor of the program's, under its handles: connections, listeners, watched ones.
 *
 * All functions are for goroutines inside the runtime. deadline: RT_UNTIMED, GORT_FOREVER or a moment.
 */
#ifndef CORE_NET_FD_H
#define CORE_NET_FD_H

#include "core/include/gort.h"
#include "core/sched/sched.h"

enum { RT_FD_READ = 0, RT_FD_WRITE = 1 };

typedef struct rt_fd rt_fd;

struct rt_net;
int rt_net_init(gort_runtime *rt);   /* GORT_ENOMEM */
/* Before the first call of backends/io: a program that never has a connection does not depend on the system's network.
 * OS errors. */
int rt_io_start(gort_runtime *rt);
void rt_net_fini(gort_runtime *rt);  /* no goroutine is left: closes what is open */

/* Takes over fd, or, if it is only watched, leaves it to the caller; on failure the caller keeps it. must: GORT_ENOTSUP
 * unless goroutines can wait for it; else such a one is read and written by a thread for each call. GORT_ENOMEM, OS
 * errors. */
int rt_fd_open(rt_fd **out, intptr_t fd, bool watched, bool must);
/* Wakes who waits with GORT_ECLOSED; the system's descriptor goes with the last call that is using it. GORT_ECLOSED: it
 * was closed before. */
int rt_fd_close(rt_fd *f);
/* obj, a heap object, is the handle of f from now on: when it is collected, f goes. */
void rt_fd_belongs(rt_fd *f, void *obj);

/* Calls op(fd, kind, arg) until it does not say -EAGAIN, and waits for direction d in between, one goroutine at a time
 * for each. Its result, or GORT_ECLOSED, GORT_ETIMEDOUT, GORT_ECANCELED, GORT_ENOTSUP (a deadline, and it blocks).
 * Negative results of op are -errno, and become codes. asked: bytes to be read; 0: it is no read. */
typedef intptr_t (*rt_fd_op)(intptr_t fd, int kind, void *arg);
intptr_t rt_fd_do(rt_fd *f, int d, rt_fd_op op, void *arg, size_t asked, int64_t deadline);
/* The same for both directions at once, without a turn: any of `what`. */
int rt_fd_wait(rt_fd *f, unsigned what, int64_t deadline);
/* op, once. */
intptr_t rt_fd_call(rt_fd *f, rt_fd_op op, void *arg);

/* A result of backends/io as a code. */
int rt_io_code(intptr_t r);

#endif
