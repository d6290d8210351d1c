/* virtualalloc.c: address space on Windows. What is promised stands in arena.h.
 *
 * Reserve, commit and decommit are the system's own words. Committed memory counts against the
 * system's limit although it is untouched, so commit is not lazy and the core commits little by little.
 *
 * A guard is memory that is not committed: it faults, costs nothing, and there may be any number.
 * But discard must decommit and commit again (MEM_RESET promises no zeroes, DiscardVirtualMemory is missing in some
 * systems), which would make guards inside the range accessible: hence guard_cheap is false.
 */
#include "backends/arena/arena.h"

#include "core/base/atomic.h"
#include "core/base/check.h"

#include <errno.h>
#include <stdint.h>
#include <windows.h>

#define ALIGN_TRIES 64

const char be_arena_name[] = "virtualalloc";

static be_arena_caps caps;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK probe(INIT_ONCE *o, void *arg, void **out)
{
	SYSTEM_INFO info;

	(void)o, (void)arg, (void)out;
	GetSystemInfo(&info);
	caps.page = info.dwPageSize;
	caps.granularity = info.dwAllocationGranularity;
	caps.max_reserve = (size_t)64 << 30; /* the system pays for each reserved GiB */
	caps.lazy_commit = false;
	caps.guard_cheap = false;
	caps.guard_max = SIZE_MAX;
	caps.stacks_grow = true;
	return TRUE;
}

const be_arena_caps *be_arena_query(void)
{
	if (!InitOnceExecuteOnce(&once, probe, NULL, NULL))
		rt_throw("InitOnceExecuteOnce failed");
	return &caps;
}

RT_UNUSED static bool page_range(const void *p, size_t size)
{
	size_t mask = be_arena_query()->page - 1;

	return (((uintptr_t)p | size) & mask) == 0 && size > 0;
}

/* What the pages of a growing stack will be is said here: wine commits them with the protection of
 * the reservation. */
static void *reserve_at(void *hint, size_t size)
{
	return VirtualAlloc(hint, size, MEM_RESERVE, PAGE_READWRITE);
}

/* A reservation cannot be cut. So: find a hole that is large enough, let it go, take its aligned
 * part; another thread may be faster, therefore several tries. */
static void *reserve_aligned(size_t size, size_t align)
{
	for (int tries = 0; tries < ALIGN_TRIES && size + align > size; tries++) {
		char *hole = reserve_at(NULL, size + align);
		void *p;

		if (hole == NULL)
			return NULL;
		VirtualFree(hole, 0, MEM_RELEASE);
		p = reserve_at(hole + (-(uintptr_t)hole & (align - 1)), size);
		if (p != NULL)
			return p;
	}
	return NULL;
}

void *be_arena_reserve(void *hint, size_t size, size_t align)
{
	void *p = NULL;

	RT_ASSERT(page_range(hint, size) && align > 0 && (align & (align - 1)) == 0);
	if (hint != NULL && ((uintptr_t)hint & (align - 1)) == 0)
		p = reserve_at(hint, size);
	if (p != NULL)
		return p;
	return align <= be_arena_query()->granularity ? reserve_at(NULL, size)
	                                              : reserve_aligned(size, align);
}

void *be_arena_new(size_t size)
{
	RT_ASSERT(page_range(NULL, size));
	return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

int be_arena_commit(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return VirtualAlloc(p, size, MEM_COMMIT, PAGE_READWRITE) != NULL ? 0 : -ENOMEM;
}

int be_arena_decommit(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return VirtualFree(p, size, MEM_DECOMMIT) ? 0 : -ENOMEM;
}

/* On -ENOMEM the range is decommitted: somebody else took the memory in between. */
int be_arena_discard(void *p, size_t size)
{
	int err = be_arena_decommit(p, size);

	return err == 0 ? be_arena_commit(p, size) : err;
}

int be_arena_recycle(void *p, size_t size)
{
	return be_arena_decommit(p, size);
}

int be_arena_guard(void *p, size_t size)
{
	return be_arena_decommit(p, size);
}

int be_arena_growth_guard(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return VirtualAlloc(p, size, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD) != NULL ? 0 : -ENOMEM;
}

void be_arena_nohuge(void *p, size_t size)
{
	(void)p, (void)size; /* large pages are only used on request */
}

void be_arena_huge(void *p, size_t size)
{
	(void)p, (void)size; /* they need a privilege, and are committed at once */
}

void be_arena_release(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	(void)size;
	if (!VirtualFree(p, 0, MEM_RELEASE))
		rt_throw("VirtualFree of something that was not reserved");
}
