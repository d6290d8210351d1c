/* stack.h: stacks of C goroutines.
 *
 * Slots of equal size in large reservations, committed by touch, a guard region below each. A slot
 * is taken when a goroutine first runs and goes back when it ends, last out first in, so that hot
 * pages are used again. Every runtime has one pool; each P keeps a small cache of free slots
 * (rt_stackcache, no lock) in front of it. */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include "core/base/debugvars.h"
#include "core/base/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_stack {      /* the record of one slot; lives outside the slot; one cache line */
	char *lo, *hi;     /* usable bytes [lo, hi); the guard lies below lo */
	rt_stack *next;    /* free list */
	union {
		rt_stack *prev; /* free: the other way along the list of hot slots */
		uint64_t seen;  /* in use: rt_stack_trim */
	};
	void *tsan_fiber;  /* sched/switch.c: sanitizers and Valgrind know the stack by these */
	unsigned valgrind_id;
	unsigned flags;    /* RT_STACK_* */
	size_t size;       /* of the slot: key of its size class */
	char *limit;       /* GROWS: committed down to here; who used it updates this before put */
};
/* GUARDED: a fault below lo is certain. DIRTY: it may hold memory. COMMITTED: usable (Windows). GROWS: the
 * system commits more of it when its thread touches the growth guard below limit (Windows). */
enum { RT_STACK_GUARDED = 1, RT_STACK_DIRTY = 2, RT_STACK_COMMITTED = 4, RT_STACK_GROWS = 8 };

/* The lowest address of a slot: guard and room for the handler of an overflow lie from there to lo. */
char *rt_stack_base(const rt_stack *s);

typedef struct rt_stackpool rt_stackpool;

typedef struct rt_stackcache { /* owner: one P */
	rt_stack *head;
	int n;             /* at most RT_STACKCACHE_MAX; half goes to or comes from the pool at a time */
	size_t size;       /* slots of this size only; 0 = unset */
} rt_stackcache;
enum { RT_STACKCACHE_MAX = 64 };

/* slot = address space of a stack, rounded up to pages, at least 16 KiB; the room comes on top. 0 or -ENOMEM, also for
 * more than the arena's max_reserve. */
int rt_stackpool_new(rt_stackpool **out, size_t slot, rt_debugvars *debug);
/* All memory goes back, that of stacks in use, too. Takes no lock. */
void rt_stackpool_free(rt_stackpool *sp);

/* A slot of `size` (0 = the pool's). cache may be NULL. NULL: the system refused memory. */
rt_stack *rt_stack_get(rt_stackpool *sp, rt_stackcache *cache, size_t size);
void rt_stack_put(rt_stackpool *sp, rt_stackcache *cache, rt_stack *s);
/* Gives the cache's slots back to the pool: a P goes away. */
void rt_stackcache_flush(rt_stackpool *sp, rt_stackcache *cache);

/* s is in use, its goroutine does not run and has its registers at `at`: what lies below goes back to the system, if
 * the last call saw the same `run` of it, or `now`; once in a run. True: it has gone. Its pages are zero when they are
 * touched again. Where stacks are committed page by page nothing happens: how far this one has come is known to the
 * system, too (be_context_grows), and would be wrong. */
bool rt_stack_trim(const rt_stackpool *sp, rt_stack *s, const void *at, uint64_t run, bool now);

/* Every second, by any thread: gives back the pages of slots that were free since the last tick. */
void rt_stackpool_tick(rt_stackpool *sp);
/* Whether a tick may find some. */
bool rt_stackpool_idle(rt_stackpool *sp);

typedef struct rt_stackstats {
	size_t reserved;   /* bytes of address space */
	size_t inuse;      /* slots with goroutines or in a P's cache */
	size_t cached;     /* free slots in the pool */
	size_t hot;        /* those of them that may hold memory */
	size_t inuse_bytes, hot_bytes; /* of address space, guards included */
	size_t unguarded;  /* slots without a guard, free or not */
} rt_stackstats;
void rt_stackpool_stats(rt_stackpool *sp, rt_stackstats *out);
/* True if addr lies in the guard below s, or so close that the fault is its overflow. */
int rt_stack_overflowed(const rt_stack *s, uintptr_t addr);

#endif
