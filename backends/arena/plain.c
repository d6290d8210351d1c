/* plain.c: the arena slot on nothing but the C library: for systems without virtual memory, and for
 * checkers that follow malloc. What is promised stands in arena.h.
 *
 * Reserve is calloc, whose big blocks the usual libraries take from the system untouched; hence
 * lazy_commit. The block's address is kept in the word before the aligned range. Commit has nothing to do. There
 * are no guards, and discard is refused: clearing pages by hand would touch them and give nothing back.
 */
#include "backends/arena/arena.h"

#include "core/base/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

const char be_arena_name[] = "plain";

static const be_arena_caps caps = {
	.page = PAGE,
	.granularity = PAGE,
	.max_reserve = (size_t)64 << 20,
	.lazy_commit = true,
	.guard_cheap = false,
	.guard_max = 0,
};

const be_arena_caps *be_arena_query(void)
{
	return &caps;
}

RT_UNUSED static bool page_range(const void *p, size_t size)
{
	return (((uintptr_t)p | size) & (PAGE - 1)) == 0 && size > 0;
}

void *be_arena_reserve(void *hint, size_t size, size_t align)
{
	char *block, *p;

	RT_ASSERT(page_range(hint, size) && align > 0 && (align & (align - 1)) == 0);
	(void)hint; /* a hint may be ignored */
	if (align < PAGE)
		align = PAGE;
	if (size > SIZE_MAX - align - sizeof block)
		return NULL;
	block = calloc(1, size + align + sizeof block);
	if (block == NULL)
		return NULL;
	p = block + sizeof block;
	p += -(uintptr_t)p & (align - 1);
	memcpy(p - sizeof block, &block, sizeof block);
	return p;
}

void *be_arena_new(size_t size)
{
	return be_arena_reserve(NULL, size, PAGE);
}

int be_arena_commit(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	(void)p, (void)size;
	return 0;
}

int be_arena_decommit(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	memset(p, 0, size); /* the next commit promises zeroes */
	return 0;
}

int be_arena_discard(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	(void)p, (void)size;
	return -ENOTSUP;
}

int be_arena_recycle(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	(void)p, (void)size;
	return -ENOTSUP;
}

int be_arena_guard(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	(void)p, (void)size;
	return -ENOTSUP;
}

int be_arena_growth_guard(void *p, size_t size)
{
	(void)p, (void)size;
	return -ENOTSUP;
}

void be_arena_nohuge(void *p, size_t size)
{
	(void)p, (void)size;
}

void be_arena_huge(void *p, size_t size)
{
	(void)p, (void)size;
}

void be_arena_release(void *p, size_t size)
{
	char *block;

	RT_ASSERT(page_range(p, size));
	(void)size;
	memcpy(&block, (char *)p - sizeof block, sizeof block);
	free(block);
}
