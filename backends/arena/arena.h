/* arena.h: address space of the system.
 *
 *   None --reserve--> Reserved --commit--> Ready --decommit--> Reserved --release--> None
 *
 * Contract. Exactly one of mmap.c, virtualalloc.c, plain.c is linked (Meson option `arena`).
 * Addresses and sizes are multiples of page; errors are -errno or NULL, never a throw. Thread-safe,
 * takes no lock of the runtime, never calls malloc (plain.c apart).
 */
#ifndef BACKENDS_ARENA_H
#define BACKENDS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

extern const char be_arena_name[]; /* "mmap", "virtualalloc", "plain" */

typedef struct be_arena_caps {
	size_t page;          /* granularity of commit, decommit, guard */
	size_t granularity;   /* granularity of reserve: 64 KiB on Windows */
	size_t max_reserve;   /* a single reservation above this fails or costs much: 4 to 64 GiB
	                       * under emulation, Valgrind, sanitizers and on Windows, a part of a
	                       * limited address space, 64 MiB for plain; else 1 TiB */
	bool lazy_commit;     /* committed memory costs nothing until it is touched */
	bool guard_cheap;     /* be_arena_guard works at any number (MADV_GUARD_INSTALL, probed) */
	size_t guard_max;     /* how many guards the system bears; SIZE_MAX = any number; 0 = none */
	bool stacks_grow;     /* the system commits a thread's stack page by page through a growth guard */
} be_arena_caps;
const be_arena_caps *be_arena_query(void); /* probes once; async-signal-safe afterwards */

/* Reserves size bytes aligned to align (a power of two), at hint if that is free (NULL = anywhere).
 * NULL: refused. */
void *be_arena_reserve(void *hint, size_t size, size_t align);
/* Reserves and commits in one: readable, writable, zeroed, aligned to page. NULL: refused. */
void *be_arena_new(size_t size);
/* Makes it readable and writable; zeroed if it was never committed or was decommitted since.
 * -ENOMEM. */
int be_arena_commit(void *p, size_t size);
/* The contents are gone and the memory is the system's again; the addresses stay reserved. */
int be_arena_decommit(void *p, size_t size);
/* Gives back pages of committed memory, which stays readable and writable and reads as zero later
 * (Linux: MADV_DONTNEED). Cheaper than decommit and commit. -ENOTSUP: nothing happened. */
int be_arena_discard(void *p, size_t size);
/* A whole reservation as if it were new: it reads as zero where it is committed again, and need not fault where it is
 * not. Where lazy_commit, what was committed is so still and reads as zero, and guards in it are guards.
 * -ENOTSUP, -ENOMEM: nothing happened. */
int be_arena_recycle(void *p, size_t size);
/* Any access to it faults from now on, until commit or release. -ENOTSUP, -ENOMEM. It survives
 * discard of a range around it where guard_cheap. */
int be_arena_guard(void *p, size_t size);
/* Commits a growth guard: touched by the thread whose stack it bounds, it becomes usable and the
 * page below it the guard, until the end of the stack, where the touch is an overflow; anybody
 * else's touch faults. -ENOMEM; -ENOTSUP unless stacks_grow. */
int be_arena_growth_guard(void *p, size_t size);
/* Hints: never back this range with huge pages; back it with them where it is aligned to them, for
 * all of it will be used. */
void be_arena_nohuge(void *p, size_t size);
void be_arena_huge(void *p, size_t size);
/* Gives a whole reservation back, exactly as it was reserved. */
void be_arena_release(void *p, size_t size);

#endif
