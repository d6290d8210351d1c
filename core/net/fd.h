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

/* A record for obj, a heap object that is its handle: when that is collected, the record goes, and what it has. No
 * descriptor yet: it is made before that, for to make a handle may park, and who parks may be dropped by the end of
 * a run. NULL: no memory. */
rt_fd *rt_fd_make(void *obj);
bool rt_fd_empty(const rt_fd *f); /* it has not had any */
/* f, which is empty, takes over fd, or, if it is only watched, leaves it to the caller; on failure it stays empty, and
 * the caller keeps fd. must: GORT_ENOTSUP unless goroutines can wait for it; else such a one is read and written by a
 * thread for each call. Never parks. GORT_ENOMEM, OS errors. */
int rt_fd_take(rt_fd *f, intptr_t fd, bool watched, bool must);
/* Wakes who waits with GORT_ECLOSED; the system's descriptor goes with the last call that is using it. GORT_ECLOSED: it
 * was closed before. */
int rt_fd_close(rt_fd *f);

typedef intptr_t (*rt_fd_op)(intptr_t fd, int kind, void *arg);
/* f, which is empty, gets what op opens, on a thread: to open may block, and when it is over the caller may have been
 * dropped. As rt_fd_take, and what op says. */
int rt_fd_open(rt_fd *f, rt_fd_op op, void *arg);

/* Calls op(fd, kind, arg) until it does not say -EAGAIN, and waits for direction d in between, one goroutine at a time
 * for each. Its result, or GORT_ECLOSED, GORT_ETIMEDOUT, GORT_ECANCELED, GORT_ENOTSUP (a deadline, and it blocks).
 * Negative results of op are -errno, and become codes. asked: bytes to be read; 0: it is no read. */
intptr_t rt_fd_do(rt_fd *f, int d, rt_fd_op op, void *arg, size_t asked, int64_t deadline);
/* The same for both directions at once, without a turn: any of `what`. */
int rt_fd_wait(rt_fd *f, unsigned what, int64_t deadline);
/* op, once. */
intptr_t rt_fd_call(rt_fd *f, rt_fd_op op, void *arg);

/* A result of backends/io as a code. */
int rt_io_code(intptr_t r);

#endif
