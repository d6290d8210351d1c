/* span.h: a run of pages: either objects of one size, or one large object.
 *
 * Records are off the heap, numbered, and keep their type until the heap ends: lock-free lists
 * and stale looks rely on it. A slot is free if its index is not below freeindex and its
 * allocbit is 0.
 *
 * Sweeping. h is the heap's sweepgen, which grows by 2 with every collection:
 *
 *   sweepgen h-2   the span needs sweeping
 *            h-1   it is being swept: who made the step h-2 -> h-1 by compare-and-swap owns it
 *            h     it is swept and in its central list, or nobody's
 *            h+1   it was cached by a P before sweeping began and still is; needs sweeping then
 *            h+3   it was swept, then cached
 *
 * Who may touch what: `owner` is the P that caches it, or who sweeps it, or who holds it alone
 * after taking it from a list or before it is published. */
#ifndef CORE_ALLOC_SPAN_H
#define CORE_ALLOC_SPAN_H

#include "core/alloc/gcbits.h"
#include "core/alloc/sizeclass.h"
#include "core/base/lock.h"

enum { RT_SPAN_DEAD = 0, RT_SPAN_INUSE = 1 };

typedef struct rt_special rt_special; /* special.h */

typedef struct rt_span rt_span;
struct rt_span {
	/* line 1: what is asked of each word while marking. The first six are set once per use */
	RT_CACHE_ALIGNED size_t elemsize; /* bytes of an object */
	char *base, *limit;      /* start; end of the last object */
	uint32_t magic;          /* rt_class_magic; 0 = one object */
	uint16_t nelems;
	uint8_t spanclass;
	bool needzero : 1;       /* owner: a slot may hold something */
	bool described : 1;      /* owner: `mask` or the bitmap say where pointers are */
	rt_atomicptr allocbits, markbits; /* rt_atomic64[]; sweeping changes both; marking only sets bits */
	rt_atomic32 freeindex;   /* slots below were examined, and are initialised if they were given out:
	                          * release by the owner, acquire by the collector's conservative looks */
	rt_atomic32 state;       /* RT_SPAN_*; release after all above is set, acquire by who found it by an address */
	union {
		rt_atomic64 mask;    /* in use: heapbits.h; release by the owner */
		rt_span *link;       /* spare: the next of its list; owner of the list */
	};

	/* line 2: allocation; owner, if nothing else is said */
	uint64_t cache;          /* free slots of the window of 64 that begins at slot `window` */
	char *windowbase;        /* address of that slot */
	uint32_t window;         /* a multiple of 64 */
	uint32_t clear;          /* bytes that who takes a slot of the window must clear */
	uint32_t alloccount;     /* objects, when it was cached or swept last */
	rt_atomic32 next[2];     /* numbers of those below it on a central list: mcentral.c */
	rt_mutex speciallock;    /* rank special */
	size_t npages;           /* set once per use */
	rt_atomicptr specials;   /* by offset, then kind; written under speciallock; NULL can be seen without */
	rt_atomic32 sweepgen;    /* see above */
	uint32_t number;         /* set once: of this record, from 1 */
};
_Static_assert(sizeof(rt_span) == 2 * RT_CACHELINE, "a record is two lines");

static inline unsigned rt_span_class(const rt_span *s)
{
	return s->spanclass >> 1;
}

static inline bool rt_span_noscan(const rt_span *s)
{
	return rt_spc_noscan(s->spanclass);
}

static inline bool rt_span_large(const rt_span *s)
{
	return s->spanclass < 2;
}

/* Of the object that p, in [base, limit), points into. */
static inline uint32_t rt_span_index(const rt_span *s, uintptr_t p)
{
	return (uint32_t)((p - (uintptr_t)s->base) * s->magic >> 32);
}

static inline char *rt_span_object(const rt_span *s, uint32_t index)
{
	return s->base + (size_t)index * s->elemsize;
}

static inline rt_atomic64 *rt_span_allocbits(const rt_span *s)
{
	return rt_loadptr_acq(&s->allocbits);
}

static inline rt_atomic64 *rt_span_markbits(const rt_span *s)
{
	return rt_loadptr_acq(&s->markbits);
}

/* Whether slot index holds an initialised object. Any thread, on a swept span. */
static inline bool rt_span_allocated(const rt_span *s, uint32_t index)
{
	return index < rt_load32_acq(&s->freeindex) || rt_bit_get(rt_span_allocbits(s), index);
}

typedef struct rt_slot { /* of an object that is being made */
	rt_span *s;
	char *p;        /* NULL: the system has no memory */
	uint32_t index;
} rt_slot;

/* After the object is zeroed and its pointers are described: from now on the collector may find
 * it. */
static inline void rt_span_publish(rt_slot o)
{
	rt_store32_rel(&o.s->freeindex, o.index + 1);
}

/* Owner: moves the window to the next 64 slots with a free one. False: the span is full. */
bool rt_span_window_next(rt_span *s);
/* Owner: sets the window to the first free slot at or behind freeindex. */
void rt_span_window_init(rt_span *s);
/* Owner: free slots that are left. */
unsigned rt_span_left(const rt_span *s);
void rt_span_check(const rt_span *s); /* throws if an invariant is broken; owner */

/* ---- Records -------------------------------------------------------------------------------- */

enum { RT_SPANSEG = 64, RT_NSPANSEG = 26 };

typedef struct rt_spantable {
	rt_sysmem *mem;
	rt_mutex lock;          /* rank spantable */
	/* guarded by lock */
	rt_span *free;
	uint32_t used;          /* numbers up to this one have been given out */
	rt_atomic64 inuse;      /* records, those in caches too */
	rt_atomicptr seg[RT_NSPANSEG]; /* seg[k]: 64 << k records; set once */
} rt_spantable;

void rt_spantable_init(rt_spantable *t, rt_sysmem *mem);
void rt_spantable_fini(rt_spantable *t);
/* Up to n records, linked by `link`; fewer, or NULL, without memory. */
rt_span *rt_spantable_get(rt_spantable *t, unsigned n, unsigned *got);
void rt_spantable_put(rt_spantable *t, rt_span *list);

static inline rt_span *rt_spantable_at(const rt_spantable *t, uint32_t number)
{
	uint32_t m = number - 1 + RT_SPANSEG;
	unsigned k = 31 - (unsigned)__builtin_clz(m) - 6;

	return (rt_span *)rt_loadptr_acq(&t->seg[k]) + (m - ((uint32_t)RT_SPANSEG << k));
}

#endif
