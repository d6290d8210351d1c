/* fixalloc.h: records of one size, off the heap, never given back one by one to the system.
 *
 * For the runtime's own bookkeeping (G records, stack records): chunks from the arena slot, a free
 * list through the records, a lock. The memory of a freed record stays type-stable until fini. Records are zeroed by
 * alloc only the first time: reused ones keep their contents except the first word. */
#ifndef CORE_ALLOC_FIXALLOC_H
#define CORE_ALLOC_FIXALLOC_H

#include "core/base/debugvars.h"
#include "core/base/lock.h"

#include <stddef.h>

typedef struct rt_fixalloc {
	size_t size;          /* of a record, multiple of 16 */
	rt_debugvars *debug;  /* may be NULL */
	rt_mutex lock;
	/* guarded by lock */
	void *free;           /* list through the first word */
	void *chunks;         /* list of chunks, for fini */
	char *bump, *end;     /* rest of the newest chunk */
	size_t inuse, total;  /* records; bytes from the system */
	char *room;           /* a reservation for the first chunks, or NULL */
	size_t roomsize, roomused, roomready; /* ready: committed, from its start */
} rt_fixalloc;

void rt_fixalloc_init(rt_fixalloc *f, size_t size, rt_debugvars *debug);
/* Before the first get. The first million records or so, fewer where address space is dear, lie near each other. */
void rt_fixalloc_together(rt_fixalloc *f);
void rt_fixalloc_fini(rt_fixalloc *f); /* takes every record along; takes no lock */
void *rt_fixalloc_get(rt_fixalloc *f); /* NULL: no memory */
void rt_fixalloc_put(rt_fixalloc *f, void *p);

#endif
