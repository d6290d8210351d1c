/* goroutine.c: the public face of goroutines. */
#include "core/sched/seeded.h"

#include "core/builtin/panic.h"

#include <errno.h>
#include <string.h>

static void check_fn(gort_func fn)
{
	if (fn == NULL)
		rt_fatal("go of nil func value");
}

GORT_API int gort_go(gort_func fn, void *arg)
{
	rt_m *mp = RT_ENTER();
	int r;

	check_fn(fn);
	r = rt_newproc(mp->rt, mp, NULL, fn, arg, __builtin_return_address(0));
	rt_leave();
	return r;
}

GORT_API int gort_go_with(const gort_go_attr *attr, gort_func fn, void *arg)
{
	rt_m *mp = RT_ENTER();
	int r = GORT_EINVAL;

	check_fn(fn);
	if (attr != NULL && attr->size >= sizeof *attr && attr->stack_size <= UINT32_MAX / 2)
		r = rt_newproc(mp->rt, mp, attr, fn, arg, __builtin_return_address(0));
	rt_leave();
	return r;
}

GORT_API void gort_gosched(void)
{
	(void)RT_ENTER();
	rt_gosched();
	rt_leave();
}

GORT_API uint64_t gort_goid(void)
{
	rt_g *gp = rt_curg();

	return gp != NULL ? gp->goid : 0;
}

GORT_API gort_runtime *gort_self(void)
{
	rt_m *mp = rt_self();

	return mp != NULL ? mp->rt : NULL;
}

GORT_API int gort_num_goroutine(void)
{
	rt_m *mp = RT_ENTER();
	int64_t n = rt_g_count(mp->rt);

	rt_leave();
	return (int)n;
}

GORT_API int gort_gomaxprocs(int n)
{
	rt_m *mp = RT_ENTER();
	gort_runtime *rt = mp->rt;
	int was = rt_gomaxprocs(rt);

	if (n > RT_MAXPROCS)
		n = RT_MAXPROCS;
	if (rt->seeded != NULL) {
		was = rt_seeded_procs(rt, n);
	} else if (n > 0 && n != was) {
		rt_unpinned(mp, __func__);
		rt_stop_world(rt, RT_STW_GOMAXPROCS);
		if (rt_procresize(rt, n) == 0) /* without memory the number stays */
			RT_TRACE(rt_self(), SCHED, PROCS, NULL, n, 0, 0);
		rt_start_world(rt);
	}
	rt_leave();
	return was;
}

GORT_API int gort_num_cpu(void)
{
	rt_m *mp = rt_self();

	return mp != NULL && mp->rt->seeded != NULL ? rt_seeded_procs(mp->rt, 0) : be_ncpu();
}

GORT_API RT_NOINLINE int *gort_errno(void)
{
	__asm__ volatile("");
	return &errno;
}
