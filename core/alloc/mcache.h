/* mcache.h: what a P has of the heap for itself: a span of each class, 64 pages, span records,
 * counters.
 *
 * No lock and no atomic read-modify-write: only who has the P touches it, with m->locks > 0, so
 * that neither preemption nor a stop of the world comes between. */
#ifndef CORE_ALLOC_MCACHE_H
#define CORE_ALLOC_MCACHE_H

#include "core/alloc/mheap.h"

enum { RT_SPARE_SPANS = 128 };

struct rt_mcache {
	rt_mheap *heap;               /* set once */
	rt_span *alloc[RT_NSPANCLASS]; /* never NULL: a full dummy at first */
	char *tiny;                   /* block of RT_TINY bytes, or NULL */
	uintptr_t tinyoff;            /* of it is used up */
	bool grown;                   /* heap.live has grown: the owner tests the trigger and clears it */
	uint64_t scannable;           /* bytes in scan spans given out, not yet in heap.scannable */
	rt_atomic32 flushgen;         /* sweepgen at the last flush; others look whether one is due */
	rt_pagecache pages;
	rt_span *spare;               /* records for new spans */
	uint32_t nspare;
	uint32_t left[RT_NSPANCLASS]; /* free slots of alloc[i] when it came */
	/* While a collection marks: what is given out of a window is marked when that goes, or when marking ends. */
	bool black;                   /* changes with the world stopped */
	bool fresh;                   /* a window came: its bytes are to be paid for; the owner clears it */
	uint64_t blackbytes;          /* marked in this way, not yet told */
	uint64_t whole[RT_NSPANCLASS]; /* free slots of the window of alloc[i] when it came, or when marking began */
	/* Where a bitmap tells the pointers of the class: the mask by which all free slots of the window are described
	 * already (0: none), and that of the next window: of the last object that was not served by the former. */
	uint64_t ready[RT_NCLASS], wanted[RT_NCLASS];
	rt_memcounters count;
	struct rt_stretch {           /* of sweeping that a trace is told of: sweep.c */
		bool on;
		uint64_t swept, freed; /* bytes so far */
	} stretch;
};

void rt_mcache_init(rt_mcache *mc, rt_mheap *h);
/* Returns spans to the heap, and forgets the block of tiny objects. */
void rt_mcache_release(rt_mcache *mc);
/* That, and pages, records and counters. It can be used again. */
void rt_mcache_flush(rt_mcache *mc);
/* To be called when a P is acquired, and for every P after sweepgen grew: releases if the cache
 * is of an older cycle. True: it did. */
bool rt_mcache_prepare(rt_mcache *mc);
/* Brings counters and heap.live up to date without giving anything back. Owner, or with the
 * world stopped. */
void rt_mcache_count(rt_mcache *mc);

/* World stopped: marking begins; it may be over; it is. */
void rt_mcache_black_begin(rt_mcache *mc);
void rt_mcache_black_flush(rt_mcache *mc);
void rt_mcache_black_end(rt_mcache *mc);

/* Owner: slot `index` of s was given out by mc while marking, and its mark may not be set yet. */
static inline bool rt_mcache_gave(const rt_mcache *mc, const rt_span *s, uint32_t index)
{
	return s == mc->alloc[s->spanclass] && index - s->window < 64 &&
	       (mc->whole[s->spanclass] & ~s->cache) >> (index - s->window) & 1;
}

/* The slow half of rt_mcache_next: another window, another span. */
rt_slot rt_mcache_refill(rt_mcache *mc, unsigned spc);

/* A free slot of the class, not initialised and not published. .p NULL: no memory. */
static inline rt_slot rt_mcache_next(rt_mcache *mc, unsigned spc)
{
	rt_span *s = mc->alloc[spc];
	uint64_t free = s->cache;
	unsigned i;

	if (RT_UNLIKELY(free == 0))
		return rt_mcache_refill(mc, spc);
	i = (unsigned)__builtin_ctzll(free);
	s->cache = free & (free - 1);
	return (rt_slot){s, s->windowbase + i * s->elemsize, s->window + i};
}

#endif
