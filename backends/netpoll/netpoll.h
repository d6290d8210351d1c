/* netpoll.h: wait for descriptors, for a time, or for a break.
 *
 * Contract. Exactly one implementation is linked (Meson option `netpoll`): epoll.c, poll.c, iocp.c, kqueue.c, or
 * none.c, which knows no descriptors. Errors are -errno. Nothing here knows a goroutine: an event carries the tag that
 * was given.
 *
 * Readiness. Who tried an operation on an open descriptor and was told that it would block calls be_netpoll_arm, and a
 * wait reports what was armed once the operation would not block any more, be it at once. Where the kernel keeps watch
 * by itself (epoll, kqueue: edge-triggered) arm is empty. Events may come that nobody armed, twice, and for no reason:
 * whoever gets one tries again. Hang-ups and errors make ready for both reading and writing.
 *
 * Threads. open, close, arm and break: any thread, with any locks of the caller's held: they do not wait for a wait. A
 * descriptor is closed here before it is closed in the system; a wait that is in progress may still report its tag
 * after that. To arm it beside or after the close does nothing and says 0: who closes wakes who waits. One thread at a
 * time waits (ns != 0); any number may look beside it (ns == 0). Nothing here calls malloc: a goroutine that stands in
 * it may have its lock, and whoever is in here would wait for a goroutine that waits for a P.
 */
#ifndef BACKENDS_NETPOLL_H
#define BACKENDS_NETPOLL_H

#include "core/base/atomic.h"

#include <stdint.h>

extern const char be_netpoll_name[]; /* "epoll", "poll", "iocp", "kqueue", "none" */

/* ENDS, in events only: the other side ends its output, there is an error, or urgent data. Where the kernel keeps watch
 * by itself this is not reported again; what was read before says nothing of it. */
enum { BE_POLL_READ = 1, BE_POLL_WRITE = 2, BE_POLL_ENDS = 4 };

typedef struct be_pollfd { /* a descriptor that is watched; the caller's memory, which does not move meanwhile */
	intptr_t fd;       /* set by the caller before open */
	uint64_t tag;      /* the same; what comes back with each event */
	uintptr_t opaque[2];
} be_pollfd;

typedef struct be_pollevent {
	uint64_t tag;
	uint32_t what; /* BE_POLL_* */
} be_pollevent;

typedef struct be_netpoll {
	rt_atomic32 word; /* 1 = a break is pending; more in park.h */
	rt_atomic32 started;
	uintptr_t opaque[4];
} be_netpoll;

int be_netpoll_init(be_netpoll *np);
void be_netpoll_fini(be_netpoll *np);
/* Before the first open; by one thread, or again after a failure. Makes what the kernel keeps: a runtime without
 * descriptors needs none of it. 0; -ENOTSUP: this implementation watches nothing; -EMFILE, -ENFILE, -ENOMEM. */
int be_netpoll_start(be_netpoll *np);
/* Begins to watch. 0; -EPERM: the system cannot watch this one (a file); -ENOMEM, -ENOSPC, -EBADF, ... */
int be_netpoll_open(be_netpoll *np, be_pollfd *d);
void be_netpoll_close(be_netpoll *np, be_pollfd *d);
/* 0; -ENOMEM, or what the system says: no event will come. */
int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what);
/* Waits at most ns (0 = look only, < 0 = for ever) for events or a break, which only a wait (ns != 0) consumes. May
 * return early. Returns how many events it wrote, up to max, which is 1 or more. */
int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns);
/* Makes the wait in progress, or else the next one, return at once. */
void be_netpoll_break(be_netpoll *np);

#endif
