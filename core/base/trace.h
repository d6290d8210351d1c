/* trace.h: event rings, one a thread, and the reader that merges them.
 *
 * A thread of the runtime writes 64-byte events (gort_event) into its own ring: single producer,
 * single consumer, no lock. Order is kept by time stamps that behave like Lamport clocks: the stamp
 * of an event is at least the clock and later than `after`, the last stamp of every goroutine and P
 * that the event is about, and than the ring's own last. Who changes a goroutine's state owns those
 * words at that moment (creator and waker before they publish it, the runner afterwards), so
 * sorting by stamp puts causes before effects, whatever the clocks do.
 *
 * Delivery needs to know that nothing older will come. The reader announces a floor below which no
 * new stamp may lie, and a writer announces that it is under way (Dekker's pattern; the proof is at
 * the head of trace.c). Every event below the resulting watermark is merged and delivered. Neither
 * order nor delivery trusts the clock: it may differ between CPUs, stand still or be virtual.
 */
#ifndef CORE_BASE_TRACE_H
#define CORE_BASE_TRACE_H

#include "core/base/attrs.h"
#include "core/base/debugvars.h"
#include "core/base/lock.h"
#include "core/include/gort.h"

typedef struct rt_tracering rt_tracering;     /* trace.c */
typedef struct rt_tracereader rt_tracereader; /* trace.c */

enum { RT_TRACERING_SIZE = 32768 }; /* events in a ring; a power of two */

typedef struct rt_trace { /* one a runtime */
	rt_atomic32 groups;        /* GORT_TRACE_* being traced; 0 = off; any thread reads */
	rt_atomic32 wake;          /* 1 = the reader has work; it parks on this word */
	rt_atomic64 floor;         /* no new stamp lies below; the reader and open raise it */
	rt_atomic64 lost;          /* events of threads that got no ring, of this trace */
	rt_atomic32 control;       /* watch/listener.c: who may start and stop */
	int64_t (*now)(const struct rt_trace *t); /* the clock; who makes it may set another before the first event */
	rt_mutex lock;             /* rank tracebuf */
	/* guarded by lock */
	rt_debugvars *debug;       /* refuses memory for torture; NULL = never */
	rt_tracering *rings;       /* every ring ever made for this runtime; freed by fini */
	rt_tracering *shared;      /* of threads that have no M: written under the lock */
	/* who started the trace */
	rt_tracereader *reader;
} rt_trace;

void rt_trace_init(rt_trace *t);
void rt_trace_fini(rt_trace *t); /* no reader and no thread writes any more */

/* The group of an event, GORT_TRACE_*; 0 = there is no such event. */
unsigned rt_trace_group(unsigned event);

/* The ring of a thread, made at its first event; NULL if memory ends. A thread that ends gives its
 * ring back for reuse by another. May be called with locks of rank below `tracebuf` held. */
rt_tracering *rt_tracering_get(rt_trace *t);
void rt_tracering_put(rt_trace *t, rt_tracering *r);

/* Stamps e->time and appends *e if its group is traced. `after`: the latest stamp of all that the
 * event is about. Returns the stamp, which the caller stores where it took `after` from; or `after`
 * if no trace runs. Wakes the reader whenever another quarter of the ring is written. A full ring,
 * or r NULL: the event counts as lost. Never blocks, never allocates, takes no lock. */
int64_t rt_tracering_write(rt_trace *t, rt_tracering *r, gort_event *e, int64_t after);
/* The same for a thread without a ring of its own: takes the lock. */
int64_t rt_trace_write_shared(rt_trace *t, gort_event *e, int64_t after);

/* A reader thread that calls deliver(data, events, n, lost) with sorted batches, where n may be 0,
 * and end(data) last of all. It delivers nothing until the trace is opened. 0, -ENOMEM, -EAGAIN. */
typedef void (*rt_trace_deliver)(void *data, const gort_event *events, size_t n, uint64_t lost);
int rt_trace_reader_start(rt_trace *t, rt_trace_deliver deliver, void (*end)(void *data),
                          void *data);
/* Turns tracing on. first: nfirst events, stamped by the caller in order, that are delivered before
 * all others; they stay the caller's and must last until they were delivered. Once for each start.
 *  */
void rt_trace_open(rt_trace *t, unsigned groups, const gort_event *first, size_t nfirst);
/* Turns tracing off, waits for writers that are under way, delivers everything left, joins the
 * thread. Whether or not the trace was opened. */
void rt_trace_reader_stop(rt_trace *t);
/* In the child after fork(), where the reader's thread does not exist: turns tracing off and
 * forgets it. Nothing is delivered. */
void rt_trace_reader_forget(rt_trace *t);

#endif
