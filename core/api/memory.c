/* memory.c: the public face of the heap. */
#include "core/builtin/panic.h"
#include "core/gc/gc.h"
#include "core/sched/sched_inline.h"

GORT_API void *gort_new(const gort_type *t)
{
	void *p;

	(void)RT_ENTER();
	p = rt_new(t);
	rt_leave();
	return p;
}

GORT_API void *gort_new_array(const gort_type *t, size_t n)
{
	size_t size = gort_type_size(t);
	void *p;

	(void)RT_ENTER();
	if (size > 0 && n > ((size_t)1 << 47) / size)
		rt_panic_text("runtime: allocation size out of range");
	p = rt_new_bytes(size * n, false);
	rt_leave();
	return p;
}

GORT_API void *gort_alloc(size_t size, unsigned flags)
{
	void *p;

	(void)RT_ENTER();
	if (size > (size_t)1 << 47)
		rt_panic_text("runtime: allocation size out of range");
	p = rt_new_bytes(size, (flags & GORT_NOSCAN) != 0);
	rt_leave();
	return p;
}

GORT_API void gort_store(void *slot, const void *ptr)
{
	(void)RT_ENTER();
	*(const void *volatile *)slot = ptr;
	rt_leave();
}

GORT_API void gort_move(const gort_type *t, void *dst, const void *src, size_t n)
{
	(void)RT_ENTER();
	rt_typed_move(t, gort_type_size(t) * n, dst, src);
	rt_leave();
}

GORT_API void gort_clear(const gort_type *t, void *dst, size_t n)
{
	(void)RT_ENTER();
	rt_typed_clear(t, gort_type_size(t) * n, dst);
	rt_leave();
}
