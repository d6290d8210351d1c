/* work.h: grey objects: buffers of pointers, and the two that each P works on.
 *
 * A buffer holds 253 pointers. A P takes from and puts into its own two without anybody's help;
 * full ones go to a list that all share, a lock-free stack. See work.c. */
#ifndef CORE_GC_WORK_H
#define CORE_GC_WORK_H

#include "core/base/atomic.h"
#include "core/base/debugvars.h"
#include "core/base/lock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_WORKBUF_BYTES = 2048, RT_WORKBUF_OBJS = 253, RT_WORKPOOL_CHUNKS = 24 };

typedef struct rt_workbuf {
	rt_atomic32 next;    /* number of the buffer below it on its list; 0 = none */
	uint32_t number;     /* its own, from 1; set once */
	uint64_t unused;
	uint64_t n;
	uintptr_t obj[RT_WORKBUF_OBJS];
} rt_workbuf;

_Static_assert(sizeof(rt_workbuf) == RT_WORKBUF_BYTES, "a buffer is 2 KiB");

typedef struct rt_workpool {
	rt_atomic64 full;    /* heads of the lists: a count of changes above the number of the first buffer */
	rt_atomic64 empty;
	rt_atomic32 used;    /* numbers up to this one have been given out */
	rt_atomicptr chunk[RT_WORKPOOL_CHUNKS];
	rt_mutex lock;       /* rank gcwork: adding a chunk */
	rt_debugvars *debug; /* may be NULL */
	bool refuse;         /* tests: as if there were no memory */
} rt_workpool;

void rt_workpool_init(rt_workpool *wp, rt_debugvars *debug);
void rt_workpool_fini(rt_workpool *wp);
/* Between two collections, nobody holds a buffer: all are empty, and memory of the larger chunks
 * goes back. */
void rt_workpool_reset(rt_workpool *wp);
void rt_workpool_trim(rt_workpool *wp); /* after that: memory of the larger chunks goes back */
size_t rt_workpool_bytes(rt_workpool *wp); /* of memory held */
/* Whether a buffer waits to be taken. */
static inline bool rt_workpool_any(const rt_workpool *wp)
{
	return (uint32_t)rt_load64_rlx(&wp->full) != 0;
}

typedef struct rt_gcw { /* owner: one P, or who has the world stopped */
	rt_workbuf *first, *second; /* NULL until first used */
	bool published;      /* has put a buffer on the full list; the termination check clears it */
} rt_gcw;

/* False: there is no memory for another buffer, and obj is not queued. */
bool rt_gcw_put_slow(rt_workpool *wp, rt_gcw *w, uintptr_t obj);
uintptr_t rt_gcw_get_slow(rt_workpool *wp, rt_gcw *w);
/* Gives everything that it holds to the others, and its buffers back. */
void rt_gcw_dispose(rt_workpool *wp, rt_gcw *w);
/* Gives away what others could do: the second buffer, or half of the first. */
void rt_gcw_balance(rt_workpool *wp, rt_gcw *w);

static inline bool rt_gcw_put(rt_workpool *wp, rt_gcw *w, uintptr_t obj)
{
	rt_workbuf *b = w->first;

	if (RT_UNLIKELY(b == NULL || b->n == RT_WORKBUF_OBJS))
		return rt_gcw_put_slow(wp, w, obj);
	b->obj[b->n++] = obj;
	return true;
}

/* 0: nothing is left here, nor on the full list. */
static inline uintptr_t rt_gcw_get(rt_workpool *wp, rt_gcw *w)
{
	rt_workbuf *b = w->first;

	if (RT_UNLIKELY(b == NULL || b->n == 0))
		return rt_gcw_get_slow(wp, w);
	return b->obj[--b->n];
}

static inline bool rt_gcw_empty(const rt_gcw *w)
{
	return (w->first == NULL || w->first->n == 0) && (w->second == NULL || w->second->n == 0);
}

#endif
