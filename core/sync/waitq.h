/* waitq.h: a FIFO of waiters under a lock of its owner. */
#ifndef CORE_SYNC_WAITQ_H
#define CORE_SYNC_WAITQ_H

#include "core/sched/sched_inline.h"

typedef struct rt_waitq {
	rt_waiter *head, *tail;
} rt_waitq;

static inline void rt_waitq_push(rt_waitq *q, rt_waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
}

/* Nothing happens to one that was taken out already. */
static inline void rt_waitq_remove(rt_waitq *q, rt_waiter *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else if (q->head == w)
		q->head = w->next;
	else
		return;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->next = w->prev = NULL;
}

/* Takes out the first waiter that can be had and says that it was successful; NULL: none. */
static inline rt_waiter *rt_waitq_pop(rt_waitq *q)
{
	rt_waiter *w;

	while ((w = q->head) != NULL) {
		rt_waitq_remove(q, w);
		if (rt_waiter_claim(w)) {
			w->success = true;
			return w;
		}
	}
	return NULL;
}

#endif
