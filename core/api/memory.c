/* memory.c: the public face of the heap. */
#include "core/builtin/panic.h"
#include "core/gc/gc.h"
#include "core/gc/quick.h"
#include "core/sched/internal.h"

static RT_NOINLINE void *new_long(const gort_type *t)
{
	void *p;

	(void)rt_enter("gort_new");
	p = rt_program_new(t);
	rt_leave();
	return p;
}

GORT_API void *gort_new(const gort_type *t)
{
	rt_visit v = rt_visit_begin();

	if (RT_LIKELY(v.p != NULL)) {
		void *p = rt_new_quick(v, t);

		if (RT_LIKELY(p != NULL)) {
			rt_visit_end(v);
			return p;
		}
		rt_visit_drop(v);
	}
	return new_long(t);
}

GORT_API void *gort_new_array(const gort_type *t, size_t n)
{
	size_t size = gort_type_size(t);
	void *p;

	(void)RT_ENTER();
	if (size > 0 && n > ((size_t)1 << 47) / size)
		rt_panic_text("runtime: allocation size out of range");
	p = rt_program_new_array(t, n);
	rt_leave();
	return p;
}

static RT_NOINLINE void *alloc_long(size_t size, unsigned flags)
{
	void *p;

	(void)rt_enter("gort_alloc");
	if (size > (size_t)1 << 47)
		rt_panic_text("runtime: allocation size out of range");
	if ((flags & (GORT_NOSCAN | GORT_NOZERO)) == (GORT_NOSCAN | GORT_NOZERO))
		p = rt_new_raw(size);
	else
		p = rt_program_new_bytes(size, (flags & GORT_NOSCAN) != 0);
	rt_leave();
	return p;
}

GORT_API void *gort_alloc(size_t size, unsigned flags)
{
	rt_visit v = rt_visit_begin();

	if (RT_LIKELY(v.p != NULL)) {
		void *p = rt_new_bytes_quick(v, size, (flags & GORT_NOSCAN) != 0);

		if (RT_LIKELY(p != NULL)) {
			rt_visit_end(v);
			return p;
		}
		rt_visit_drop(v);
	}
	return alloc_long(size, flags);
}

static RT_NOINLINE void store_long(void *slot, const void *ptr)
{
	(void)rt_enter("gort_store");
	rt_store_ptr(slot, ptr);
	rt_leave();
}

GORT_API void gort_store(void *slot, const void *ptr)
{
	rt_visit v = rt_visit_begin();

	if (RT_LIKELY(v.p != NULL)) {
		if (RT_LIKELY(rt_load32_rlx(&v.m->rt->gcmark) == 0)) {
			rt_storeptr_rel((rt_atomicptr *)slot, (void *)(uintptr_t)ptr);
			rt_visit_end(v);
			return;
		}
		rt_visit_drop(v);
	}
	store_long(slot, ptr);
}

GORT_API void *gort_swap(void *slot, const void *ptr)
{
	rt_atomicptr *at = slot;
	void *was;

	(void)RT_ENTER();
	if (rt_gc_marking()) /* the value that is swapped out is shaded when it is known */
		rt_barrier(slot, NULL, ptr);
	was = rt_xchgptr_full(at, (void *)(uintptr_t)ptr);
	rt_delete_ptr(was);
	rt_leave();
	return was;
}

GORT_API bool gort_cas(void *slot, const void *old, const void *ptr)
{
	bool done;

	(void)RT_ENTER();
	if (rt_gc_marking())
		rt_barrier(slot, old, ptr);
	done = rt_casptr_full(slot, (void *)(uintptr_t)old, (void *)(uintptr_t)ptr);
	rt_leave();
	return done;
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

GORT_API int gort_root_add(gort_runtime *rt, void *start, size_t size)
{
	rt_m *mp;
	int r = rt_runtime_alive(rt);

	if (r != 0)
		return r;
	if (start == NULL || size == 0 || size > SIZE_MAX - (uintptr_t)start)
		return GORT_EINVAL;
	mp = rt_hold();
	r = rt_root_add(rt->gc, start, size);
	rt_unhold(mp);
	return r;
}

GORT_API int gort_root_remove(gort_runtime *rt, void *start)
{
	rt_m *mp;
	int r = rt_runtime_alive(rt);

	if (r != 0)
		return r;
	mp = rt_hold();
	r = rt_root_remove(rt->gc, start);
	rt_unhold(mp);
	return r;
}

GORT_API void gort_gc(void)
{
	(void)RT_ENTER();
	rt_gc_force(rt_self()->rt, __func__);
	rt_leave();
}

GORT_API void gort_free_os_memory(void)
{
	(void)RT_ENTER();
	rt_gc_give_back(rt_self()->rt, __func__);
	rt_leave();
}

GORT_API int gort_set_gc_percent(int percent)
{
	int was;

	rt_unpinned(RT_ENTER(), __func__);
	was = rt_gc_set_percent(rt_self()->rt, percent);
	rt_leave();
	return was;
}

GORT_API int64_t gort_set_memory_limit(int64_t bytes)
{
	int64_t was;

	rt_unpinned(RT_ENTER(), __func__);
	was = rt_gc_set_limit(rt_self()->rt, bytes);
	rt_leave();
	return was;
}

GORT_API int gort_set_finalizer(void *obj, void (*fn)(void *obj, void *arg), void *arg)
{
	int r;

	(void)RT_ENTER();
	r = rt_finalizer_set(obj, fn, arg);
	rt_leave();
	return r;
}

GORT_API int gort_add_cleanup(void *obj, gort_func fn, void *arg)
{
	int r;

	(void)RT_ENTER();
	r = rt_cleanup_add(obj, fn, arg);
	rt_leave();
	return r;
}

GORT_API gort_weak *gort_weak_make(void *obj)
{
	gort_weak *w;

	(void)RT_ENTER();
	w = rt_weak_make(obj);
	rt_leave();
	return w;
}

GORT_API void *gort_weak_value(gort_weak *w)
{
	void *obj;

	(void)RT_ENTER();
	obj = rt_weak_value(w);
	rt_leave();
	return obj;
}

GORT_API void gort_keep_alive(const void *obj)
{
	__asm__ volatile("" : : "r"(obj) : "memory");
}

GORT_API void *gort_object(const void *p, size_t *size)
{
	size_t n;
	void *obj;

	(void)RT_ENTER();
	obj = rt_gc_object(p, &n);
	rt_leave();
	if (size != NULL)
		*size = n;
	return obj;
}
