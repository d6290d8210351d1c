/* sema.h: waiting on an address. A table of 251 buckets for each runtime; in a bucket a tree of distinct
 * addresses, each with its FIFO of waiters. Nothing but the address is looked at, so what lies
 * there may be gone when the last waiter is woken. */
#ifndef CORE_SYNC_SEMA_H
#define CORE_SYNC_SEMA_H

#include "core/base/lock.h"
#include "core/sched/sched.h"

int rt_sematable_init(gort_runtime *rt); /* 0 or GORT_ENOMEM */
void rt_sematable_fini(gort_runtime *rt);

typedef struct rt_semaroot {
	rt_mutex lock;     /* rank semaroot; by rt_plock */
	rt_atomic32 nwait; /* waiters of all addresses; written under lock */
	/* guarded by lock */
	rt_waiter *tree;   /* of the first waiters of each address */
	char pad[48];      /* buckets do not share cache lines */
} rt_semaroot;

/* Where in the locks of programs their waiters wait. */
enum { RT_SEMA_IN_MUTEX = 4, RT_READERS_IN_RWMUTEX = 8, RT_WRITER_IN_RWMUTEX = 12 };
/* What a goroutine that waits at addr for this reason waits for, as the program knows it. */
const void *rt_sema_shown(const void *addr, unsigned why);

/* The bucket of addr in this goroutine's runtime. */
rt_semaroot *rt_semaroot_of(const void *addr);

/* A wait: begin takes the bucket's lock and announces a waiter; then the caller looks whether there is
 * still something to wait for, and calls end or park. What it looks at, wakers write before they read nwait. */
void rt_sema_begin(rt_semaroot *r);
void rt_sema_end(rt_semaroot *r);
/* Enqueues the caller under addr, at the front if lifo, releases the lock, parks. The caller has asked
 * rt_wait_refused and declares w; afterwards it looks at w->success and calls rt_waiter_end. */
void rt_sema_park(rt_semaroot *r, rt_waiter *w, const void *addr, bool lifo, int64_t deadline,
                  rt_waitreason why);
/* With the lock held: takes out a waiter that was woken without success; false: rt_sema_dequeue has
 * done it. */
bool rt_sema_leave(rt_semaroot *r, rt_waiter *w);
/* With the lock held: takes out the first waiter of addr that can be had; NULL: none. Make it runnable
 * by rt_goready(w->g) after unlocking; w is gone then. */
rt_waiter *rt_sema_dequeue(rt_semaroot *r, const void *addr);

/* A counter of tokens at addr, with waiters: Go's semacquire and semrelease. First come, first served.
 * 0, or the code of rt_waiter_end. */
int rt_semacquire(rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why);
/* The same in two steps, between rt_sema_begin and rt_sema_end: a token that nobody waits for; park
 * for one, which ends the wait. */
bool rt_sema_token(rt_semaroot *r, rt_atomic32 *addr);
int rt_sema_wait(rt_semaroot *r, rt_atomic32 *addr, bool lifo, int64_t deadline, rt_waitreason why);
/* With the lock held: whether somebody waits at addr. */
bool rt_sema_waiting(rt_semaroot *r, const void *addr);
/* A token for the first waiter, or at addr. handoff: the caller yields to it. */
void rt_semrelease(rt_atomic32 *addr, bool handoff);

#endif
