/* sysmem.c: the four states over the arena slot. What is promised stands in sysmem.h.
 *
 * Where the system charges committed memory only when it is touched (lazy_commit), map commits and
 * used does nothing but count: taking a page into use costs no system call. Where it charges at
 * once, memory is committed by used, exactly as much as is used, and given back by decommit.
 *
 * used and unused of the second kind work on whole pages of the system: used rounds outward, which
 * commits again what is committed; unused inward, and gives back less than it was asked for. The
 * heap's pages are multiples of the system's, or the other way round.
 */
#include "core/alloc/sysmem.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"
#include "core/base/check.h"

#include <errno.h>
#include <string.h>

void rt_sysmem_init(rt_sysmem *m, rt_debugvars *debug)
{
	memset(m, 0, sizeof *m);
	m->debug = debug;
}

static bool refused(const rt_sysmem *m, const char *what)
{
	return m->debug != NULL && (rt_oom_now(m->debug) || rt_fail_now(m->debug, what));
}

static void count_ready(rt_sysmem *m, rt_memkind kind, size_t size)
{
	rt_add64_full(&m->ready[kind], size);
	rt_add64_full(&m->total, size);
}

static void count_unready(rt_sysmem *m, rt_memkind kind, size_t size)
{
	RT_ASSERT(rt_load64_rlx(&m->ready[kind]) >= size);
	count_ready(m, kind, -size);
}

void *rt_sys_reserve(rt_sysmem *m, void *hint, size_t size, size_t align)
{
	void *p = NULL;

	if (!refused(m, "reserve"))
		p = rt_region_reserve(hint, size, align);
	if (p != NULL)
		rt_add64_full(&m->reserved, size);
	return p;
}

static bool commit(rt_sysmem *m, void *p, size_t size)
{
	uintptr_t mask = be_arena_query()->page - 1;
	char *from = (char *)((uintptr_t)p & ~mask);
	char *to = (char *)(((uintptr_t)p + size + mask) & ~mask);

	return !refused(m, "commit") && be_arena_commit(from, (size_t)(to - from)) == 0;
}

bool rt_sys_map(rt_sysmem *m, void *p, size_t size)
{
	return !be_arena_query()->lazy_commit || commit(m, p, size);
}

bool rt_sys_used(rt_sysmem *m, void *p, size_t size, rt_memkind kind)
{
	return rt_sys_used_part(m, p, size, size, kind);
}

bool rt_sys_used_part(rt_sysmem *m, void *p, size_t size, size_t more, rt_memkind kind)
{
	if (!be_arena_query()->lazy_commit && !commit(m, p, size))
		return false;
	count_ready(m, kind, more);
	return true;
}

/* Both ends of the range must be the system's page boundaries: the caller's business, as it
 * knows its neighbours. */
bool rt_sys_unused(rt_sysmem *m, void *p, size_t size, rt_memkind kind)
{
	int err;

	RT_ASSERT((((uintptr_t)p | size) & (be_arena_query()->page - 1)) == 0);
	if (rt_load32_rlx(&m->cannot_return))
		return false;
	err = be_arena_query()->lazy_commit ? be_arena_discard(p, size)
	                                    : be_arena_decommit(p, size);
	if (err != 0) {
		if (err == -ENOTSUP)
			rt_store32_rlx(&m->cannot_return, 1);
		return false;
	}
	count_unready(m, kind, size);
	return true;
}

void rt_sys_free(rt_sysmem *m, void *p, size_t size, size_t ready, rt_memkind kind)
{
	rt_region_release(p, size);
	rt_add64_full(&m->reserved, -size);
	count_unready(m, kind, ready);
}

size_t rt_sys_round(size_t size)
{
	size_t unit = be_arena_query()->granularity;

	return (size + unit - 1) / unit * unit;
}

void *rt_sys_alloc(rt_sysmem *m, size_t size, rt_memkind kind)
{
	void *p;

	size = rt_sys_round(size);
	p = refused(m, "reserve") || refused(m, "commit") ? NULL : rt_region_new(size);
	if (p == NULL)
		return NULL;
	rt_add64_full(&m->reserved, size);
	count_ready(m, kind, size);
	return p;
}

void rt_sys_release(rt_sysmem *m, void *p, size_t size, rt_memkind kind)
{
	size = rt_sys_round(size);
	rt_region_free(p, size);
	rt_add64_full(&m->reserved, -size);
	count_unready(m, kind, size);
}
