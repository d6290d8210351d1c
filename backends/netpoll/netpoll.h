/* netpoll.h: wait for descriptors, for a time, or for a break.
 *
 * Contract. Exactly one implementation is linked (Meson option `netpoll`): none.c for now, which
 * knows no descriptors and only waits. One thread of a runtime at a time waits (findrunnable sees
 * to it); any thread may break. epoll, kqueue, iocp and poll will add the calls that submit a descriptor and the
 * list of those that became ready.
 */
#ifndef BACKENDS_NETPOLL_H
#define BACKENDS_NETPOLL_H

#include "core/base/atomic.h"

#include <stdint.h>

extern const char be_netpoll_name[]; /* "none" */

typedef struct be_netpoll {
	rt_atomic32 word; /* 1 = a break is pending */
	uint32_t unused;
	uintptr_t opaque[2];
} be_netpoll;

int be_netpoll_init(be_netpoll *np);
void be_netpoll_fini(be_netpoll *np);
/* Waits at most ns (0 = look only, < 0 = for ever) or until a break, which it consumes. May return early. Returns how
 * many descriptors became ready: 0 here. */
int be_netpoll_wait(be_netpoll *np, int64_t ns);
/* Makes the wait in progress, or else the next one, return at once. */
void be_netpoll_break(be_netpoll *np);

#endif
