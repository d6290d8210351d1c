/* sysmem.h: address space in four states, and the account of it.
 *
 *   None --reserve--> Reserved --map--> Prepared --used--> Ready
 *                                          ^---unused-------'       free: any --> None
 *
 * Prepared memory may be made Ready at any time and costs nothing; its contents are zero when it
 * becomes Ready. How that is had is the arena slot's business: where committed memory is free
 * until touched, map commits and used only counts; elsewhere map only counts and used commits.
 * Every failure is passed on, nothing is half done. Ready bytes of all purposes are what the
 * heap's part of the memory limit is compared with (gc/pace.c). */
#ifndef CORE_ALLOC_SYSMEM_H
#define CORE_ALLOC_SYSMEM_H

#include "core/base/atomic.h"
#include "core/base/debugvars.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum rt_memkind { /* what Ready memory is for */
	RT_MEM_HEAP,  /* pages of spans, free ones too */
	RT_MEM_SPANS, /* span records */
	RT_MEM_BITS,  /* mark and allocation bits */
	RT_MEM_META,  /* arenas' tables, summaries of the page heap, specials */
	RT_MEM_NKIND
} rt_memkind;

typedef struct rt_sysmem { /* any thread */
	rt_debugvars *debug;           /* may be NULL */
	rt_atomic64 reserved;          /* bytes of address space */
	rt_atomic64 ready[RT_MEM_NKIND];
	rt_atomic64 total;             /* Ready, all kinds */
	rt_atomic32 cannot_return;     /* the slot refused to take memory back: it is not asked again */
} rt_sysmem;

void rt_sysmem_init(rt_sysmem *m, rt_debugvars *debug);
void *rt_sys_reserve(rt_sysmem *m, void *hint, size_t size, size_t align); /* NULL: refused */
bool rt_sys_map(rt_sysmem *m, void *p, size_t size);
bool rt_sys_used(rt_sysmem *m, void *p, size_t size, rt_memkind kind);
/* The same of a range of which `more` bytes, anywhere in it, are not Ready yet. False: as
 * before, if none of it was. */
bool rt_sys_used_part(rt_sysmem *m, void *p, size_t size, size_t more, rt_memkind kind);
/* False: it stays Ready. */
bool rt_sys_unused(rt_sysmem *m, void *p, size_t size, rt_memkind kind);
/* A whole reservation, of which `ready` bytes are Ready. */
void rt_sys_free(rt_sysmem *m, void *p, size_t size, size_t ready, rt_memkind kind);

/* None to Ready in one step: for tables. Sizes are rounded to what the system reserves. */
void *rt_sys_alloc(rt_sysmem *m, size_t size, rt_memkind kind);
void rt_sys_release(rt_sysmem *m, void *p, size_t size, rt_memkind kind);
size_t rt_sys_round(size_t size);

#endif
