/* park.h: the word of a netpoll: how a break reaches who waits, wherever that is.
 *
 *   IDLE    nobody waits, no break is pending
 *   BREAK   a break is pending: the wait that comes, or is leaving, consumes it
 *   PARKED  a thread waits for this word: nothing was ever opened, all there is to wait for is a time or a break
 *   POLLS   a thread waits in the kernel's object (netpoll.c of the system: after be_netpoll_start)
 *
 *   IDLE --enter--> PARKED, POLLS --leave--> IDLE        the waiter: compare-and-swap, exchange
 *   any  --break--> BREAK --enter (fails), leave--> IDLE  any thread: exchange
 *
 * A break is never lost. Its exchange tells the breaker where somebody waits, and it wakes that one: a parked one by
 * the word, which has changed (contract of be_thread_park), one in the kernel by what the implementation has for that,
 * which stays until it is read. Who comes to wait later finds BREAK and does not. A hundred breaks cost one system
 * call, and none at all while nobody waits.
 *
 * be_netpoll_start stores `started` (release), then breaks. Who waits reads `started` before it enters the word: it has
 * seen the store, or its enter comes before that break, which makes it look again, or fails since it comes after.
 * What was written to wake one in the kernel may come late, when that one has left: the next one there leaves at once,
 * which the contract allows. Checked in tests/model/netbreak.pml.
 */
#ifndef BACKENDS_NETPOLL_PARK_H
#define BACKENDS_NETPOLL_PARK_H

#include "backends/netpoll/netpoll.h"
#include "backends/thread/thread.h"

#include <stdbool.h>

enum { PARK_IDLE = 0, PARK_BREAK = 1, PARK_PARKED = 2, PARK_POLLS = 3 };

/* False: a break was pending, and is consumed. */
static inline bool park_enter(be_netpoll *np, uint32_t as)
{
	if (rt_cas32_full(&np->word, PARK_IDLE, as))
		return true;
	rt_xchg32_full(&np->word, PARK_IDLE);
	return false;
}

/* acquire: whoever broke has written before what the waiter will look at */
static inline void park_leave(be_netpoll *np)
{
	rt_xchg32_full(&np->word, PARK_IDLE);
}

static inline void park_wait(be_netpoll *np, int64_t ns)
{
	if (!park_enter(np, PARK_PARKED))
		return;
	(void)be_thread_park(&np->word, PARK_PARKED, ns); /* woken or out of time: the same to us */
	park_leave(np);
}

/* True: somebody waits in the kernel, and the caller wakes it. */
static inline bool park_break(be_netpoll *np)
{
	uint32_t was = rt_xchg32_full(&np->word, PARK_BREAK);

	if (was == PARK_PARKED)
		be_thread_wake(&np->word, 1);
	return was == PARK_POLLS;
}

#endif
