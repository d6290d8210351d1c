/* snapshot.h: every object that can be reached at one moment, what leads to it, and the spans, in memory of its own.
 *
 * Taken with the world stopped and read when it runs again: nothing in here is followed into the heap, addresses are
 * only told. Objects are numbered from 1 in the order in which they were found. */
#ifndef CORE_GC_SNAPSHOT_H
#define CORE_GC_SNAPSHOT_H

#include "core/base/types.h"
#include "core/gc/type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_SEGS_FIRST = 10, RT_NSEGS = 38 };

typedef struct rt_segs {     /* an array that grows and never moves; segment k has 1 << (RT_SEGS_FIRST + k) elements */
	size_t elem;
	uint64_t n;
	void *seg[RT_NSEGS];
} rt_segs;

static inline void *rt_segs_at(const rt_segs *v, uint64_t i)
{
	uint64_t m = i + ((uint64_t)1 << RT_SEGS_FIRST);
	unsigned k = 63u - (unsigned)__builtin_clzll(m);

	return (char *)v->seg[k - RT_SEGS_FIRST] + (m - ((uint64_t)1 << k)) * v->elem;
}

typedef struct rt_snapshot rt_snapshot;
#define RT_SNAP_MOST (UINT32_MAX - 1) /* objects; the number above is free for who looks for something else */
enum { RT_SNAP_UNTYPED = 0 };  /* rt_snapobject.type: nobody knows; else one more than its place among the types */

typedef struct rt_snapobject {
	uint32_t span, slot;   /* a number among rt_snapshot.spans; which object of it */
	uint32_t type;
	uint32_t nedges;       /* of rt_snapshot.edges, which are in the order of the objects */
} rt_snapobject;

typedef struct rt_snapedge { /* a word that leads to another object */
	uint32_t to;
	uint32_t at;           /* which word of the object or root; 0 where that means nothing */
} rt_snapedge;

typedef struct rt_snapspan {
	uintptr_t base;        /* 0: there is no span of the number */
	size_t elemsize;
	size_t npages;
	uint64_t first;        /* where its slots are in rt_snapshot.ids */
	uint32_t used, live;   /* slots that hold an object; that can be reached */
	uint16_t nelems;
	uint8_t spanclass;
} rt_snapspan;

enum {
	RT_ROOT_GOROUTINE, /* id goid */
	RT_ROOT_DATA,      /* id address, size; static data; only where it leads to something, as ALARMS and POOLS */
	RT_ROOT_ADDED,     /* the same, of gort_root_add */
	RT_ROOT_ALARMS,    /* of timers and sleepers; id: of which P */
	RT_ROOT_POOLS,     /* what is in gort_pools */
	RT_ROOT_FINALIZER, /* id: the object. Leads to what its finalizer is called with, and another one to all
	                    * that the object points to, if nothing else leads to it */
	RT_ROOT_CLEANUP,   /* id: the object */
	RT_ROOT_WEAK,      /* id: the object, or a place in it; leads to the handle */
	RT_ROOT_DUE,       /* a finalizer or cleanup that is to run */
};

typedef struct rt_snaproot {
	uint64_t id, size;
	uint32_t nedges;       /* of rt_snapshot.rootedges, in order */
	uint32_t name;         /* of a goroutine: one more than its place among the names; 0: it has none */
	uint8_t kind;          /* RT_ROOT_* */
	uint8_t status, reason; /* of a goroutine: RT_G_*, RT_WAIT_* */
} rt_snaproot;

struct rt_snapshot {
	struct rt_snapshot *next, *prev; /* guarded by rt_gc.rootlock */
	gort_runtime *rt;
	int64_t time;          /* of the wall */
	int64_t stopped;       /* for how long the world stood, ns */
	uint64_t heaplive, goal; /* as the collector counts */
	uint32_t collections;
	const char *collector;
	bool types;            /* objects carry their types */
	rt_segs objects, edges, roots, rootedges, spans, names; /* names: char[32], ended by 0 */
	rt_segs typelist;        /* const gort_type * */
	char *room;            /* for the caller */
	size_t roombytes;
	/* while it is taken */
	bool full;             /* there is no memory: nothing is added any more */
	uint32_t *ids;         /* of each slot of each span: the number of the object there; 0: not found */
	size_t idbytes;
	uint64_t nids;
	uint32_t *typeids;     /* a hash table of the ids of typelist; a power of two, at most half full */
	size_t ntypeids, typebytes;
	uint64_t scanned;      /* objects whose edges are there */
};

/* Any thread, on a goroutine outside of the runtime or on none. Stops the world. *out is to be given back; if it is
 * not, as its goroutine ended, it goes with the runtime. room: bytes, at least, that the caller gets besides.
 * GORT_ENOMEM, and nothing is left. */
int rt_snapshot_take(gort_runtime *rt, rt_snapshot **out, size_t room);
void rt_snapshot_free(rt_snapshot *s);

/* ---- snapstore.c, for snapshot.c and leak.c ------------------------------------------------------------------ */

rt_snapshot *rt_snap_new(gort_runtime *rt, size_t room); /* NULL: no memory */
/* Zeroed; *bytes becomes what they are. NULL: no memory, and the snapshot is full. */
void *rt_snap_pages(rt_snapshot *sn, size_t *bytes);
void *rt_snap_push(rt_snapshot *sn, rt_segs *v);         /* a new element, zeroed; NULL: it is full */
void rt_segs_free(rt_segs *v);                            /* of one that is not the snapshot's own */
uint32_t rt_snap_type(rt_snapshot *sn, const gort_type *t); /* what rt_snapobject.type is for it */

#endif
