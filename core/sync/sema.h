/* sema.h: waiting on an address. A table of 251 buckets for each runtime; a bucket is a list of distinct
 * addresses, each with its FIFO of waiters. Nothing but the address is looked at, so what lies
 * there may be gone when the last waiter is woken. */
#ifndef CORE_SYNC_SEMA_H
#define CORE_SYNC_SEMA_H

#include "core/base/lock.h"
#include "core/sched/sched.h"

int rt_sematable_init(gort_runtime *rt); /* 0 or GORT_ENOMEM */
void rt_sematable_fini(gort_runtime *rt);

typedef struct rt_semaroot {
	rt_mutex lock;     /* rank semaroot */
	rt_waiter *first;  /* of the first address; guarded by lock */
	char pad[48];      /* buckets do not share cache lines */
} rt_semaroot;

/* The bucket of addr in this goroutine's runtime. */
rt_semaroot *rt_semaroot_of(const void *addr);

/* With the bucket's lock held: enqueues the caller under addr, releases the lock, parks. True: a waker took
 * it out; false: the deadline passed, or an attached thread's run ended. */
bool rt_sema_wait(rt_semaroot *r, const void *addr, bool lifo, int64_t deadline, rt_waitreason why);
/* With the lock held: takes out the first waiter of addr that can be had; NULL: none. Make it
 * runnable by rt_goready(w->g) after unlocking; w is gone then. */
rt_waiter *rt_sema_dequeue(rt_semaroot *r, const void *addr);

/* A counter of tokens at addr, with waiters: Go's semacquire and semrelease. */
bool rt_semacquire(rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why);
void rt_semrelease(rt_atomic32 *addr);

#endif
