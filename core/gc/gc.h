/* gc.h: typed allocation, and the moves and stores that carry write barriers.
 *
 * Every heap object of the runtime goes through these calls. They run on a goroutine inside the
 * runtime (after RT_ENTER) or on g0 with a P; allocation on a goroutine only: it may park. It never
 * returns NULL, and ends the run with GORT_ENOMEM when memory ends.
 *
 * The barrier. While a collection marks, a store of a pointer into memory that the collector looks
 * at first records the old and the new value; both are marked later (barrier.c). Flag, record and
 * store are one piece: locks > 0, so that the world does not stop in between. Memory that was just
 * allocated and that nobody else has seen needs none; but in typed memory GODEBUG=gccheckmark=1 complains of a plain
 * store if the collection began in that very allocation, so rt_store_ptr is better there. */
#ifndef CORE_GC_H
#define CORE_GC_H

#include "core/base/types.h"
#include "core/gc/type.h"
#include "core/include/gort.h"
#include "core/sched/sched_inline.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* 0, GORT_EINVAL (no such collector), GORT_ENOMEM. Sets the up-calls gc_* and p_*. */
int rt_heap_init(gort_runtime *rt);
void rt_heap_fini(gort_runtime *rt); /* every object is gone */
bool rt_collector_known(const char *name);
/* The thread that reads static data, if that is wanted (data.c). 0, GORT_ENOMEM, OS errors. */
int rt_data_start(gort_runtime *rt);
void rt_data_end(gort_runtime *rt);  /* no goroutine is left, and none comes */

void *rt_new(const gort_type *t);                   /* zeroed */
void *rt_new_array(const gort_type *t, size_t n);   /* zeroed; n * size is no more than 1 << 47 */
void *rt_new_bytes(size_t size, bool noscan);       /* zeroed; conservative unless noscan */
void *rt_new_raw(size_t size);                      /* without pointers, and not cleared for this call */
/* The same for the program: GODEBUG=gccheckmark=1 then finds plain stores into it. */
void *rt_program_new(const gort_type *t);
void *rt_program_new_array(const gort_type *t, size_t n);
void *rt_program_new_bytes(size_t size, bool noscan);
void *rt_gc_object(const void *p, size_t *size);    /* that p, any word, points into, or NULL; its bytes, or 0 */

/* A full collection, swept; nothing with the collector `none`. Parks; `who` is the public function. */
void rt_gc_force(gort_runtime *rt, const char *who);
/* Collects, and gives back every page that nobody uses then, those of parked stacks, too; yields in between. who:
 * the caller's, as for rt_gc_force. */
void rt_gc_give_back(gort_runtime *rt, const char *who);
int rt_gc_set_percent(gort_runtime *rt, int percent); /* both return the value before */
int64_t rt_gc_set_limit(gort_runtime *rt, int64_t limit);
void rt_gc_stats(gort_runtime *rt, gort_mem_stats *out); /* world stopped */
int rt_root_add(struct rt_gc *gc, void *start, size_t size); /* any thread; see gort.h */
int rt_root_remove(struct rt_gc *gc, void *start);
/* See gort.h. Without memory the run ends. */
gort_weak *rt_weak_make(void *obj);
void *rt_weak_value(gort_weak *w);
int rt_finalizer_set(void *obj, void (*fn)(void *obj, void *arg), void *arg);
int rt_cleanup_add(void *obj, gort_func fn, void *arg);

/* ---- Barriers ------------------------------------------------------------------------------------ */

/* While marking: records words. */
void rt_barrier(const void *slot, const void *old, const void *new);
void rt_barrier_move(const gort_type *t, size_t size, void *dst, const void *src); /* and moves */
void rt_barrier_clear(const gort_type *t, size_t size, const void *dst);
void rt_gc_shade(void *obj); /* marks it if it is white; nothing happens unless a collection marks */

static inline bool rt_gc_marking(void)
{
	return RT_UNLIKELY(rt_load32_rlx(&rt_self()->rt->gcmark) != 0);
}

/* *slot = p. Release: who finds p there finds it initialised. */
static inline void rt_store_ptr(void *slot, const void *p)
{
	if (rt_gc_marking())
		rt_barrier(slot, rt_loadptr_rlx((rt_atomicptr *)slot), p);
	rt_storeptr_rel((rt_atomicptr *)slot, (void *)(uintptr_t)p);
}

/* A pointer leaves memory that the collector looks at by other means than a store above. */
static inline void rt_delete_ptr(void *old)
{
	if (rt_gc_marking())
		rt_gc_shade(old);
}

/* The one typed move: into channel buffers, between stacks, by gort_move. size: of all values together. */
static inline void rt_typed_move(const gort_type *t, size_t size, void *dst, const void *src)
{
	if (rt_gc_marking() && rt_type_pointers(t))
		rt_barrier_move(t, size, dst, src);
	else if (size == 8) /* most elements are one word: no call */
		memcpy(dst, src, 8);
	else if (size != 0)
		memmove(dst, src, size);
}

static inline void rt_typed_clear(const gort_type *t, size_t size, void *dst)
{
	if (rt_gc_marking() && rt_type_pointers(t))
		rt_barrier_clear(t, size, dst);
	memset(dst, 0, size);
}

#endif
