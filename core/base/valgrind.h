/* valgrind.h: what Memcheck cannot know by itself. Nothing of it is left in builds without -Dvalgrind_stacks, and
 * outside Valgrind a request is a handful of instructions that do nothing; who asks for each word looks at
 * rt_valgrind_runs() once, before. Stacks are told in sched/switch.c. */
#ifndef CORE_BASE_VALGRIND_H
#define CORE_BASE_VALGRIND_H

#include "core/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef RT_VALGRIND
#include <valgrind/memcheck.h>

static inline bool rt_valgrind_runs(void)
{
	return RUNNING_ON_VALGRIND != 0;
}

/* [p, p+n) may be accessed, and what is there counts as written. */
static inline void rt_valgrind_defined(const void *p, size_t n)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

/* [p, p+n) may be accessed, and nothing of use is there. */
static inline void rt_valgrind_undefined(const void *p, size_t n)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

/* The word at p, which may lie where nothing should be read; what is returned counts as written. Errors are off
 * for this one read of this thread. Out of line: nobody pays for it whom Valgrind does not run. */
static RT_NOINLINE RT_UNUSED uintptr_t rt_valgrind_word(const volatile uintptr_t *p)
{
	uintptr_t w;

	VALGRIND_DISABLE_ERROR_REPORTING;
	w = *p;
	VALGRIND_ENABLE_ERROR_REPORTING;
	(void)VALGRIND_MAKE_MEM_DEFINED(&w, sizeof w);
	return w;
}
#else
static inline bool rt_valgrind_runs(void)
{
	return false;
}
static inline void rt_valgrind_defined(const void *p, size_t n)
{
	(void)p, (void)n;
}
static inline void rt_valgrind_undefined(const void *p, size_t n)
{
	(void)p, (void)n;
}
static inline uintptr_t rt_valgrind_word(const volatile uintptr_t *p)
{
	return *p;
}
#endif

#endif
