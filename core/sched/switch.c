/* switch.c: the one place where stacks are switched, and where the tools that watch stacks (ASan,
 * TSan, Valgrind) are told of it, for every context backend alike.
 *
 * Goroutines never switch to each other directly: each goes back to its M's g0, which then runs the
 * rest of the operation (rt_mcall). So a goroutine becomes visible to other threads only when
 * nobody stands on its stack any more. Rejected: direct hand-over between goroutines; it saves one switch of about
 * 3 ns and needs each operation's rest to run on whatever stack comes next.
 */
#include "core/sched/internal.h"

#include <errno.h>

#ifdef RT_VALGRIND
#include <valgrind/valgrind.h>
#endif
#if RT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if RT_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

enum { G0_STACK = 64 << 10 };

/* Before a switch to the stack [lo, lo+size); save is NULL when the old one is left for good. Always
 * inline: TSan counts calls and returns, and a return between this and the switch would count for
 * the wrong stack. */
static inline RT_ALWAYS_INLINE void tools_leave(void **save, const void *lo, size_t size, void *fiber)
{
#if RT_ASAN
	__sanitizer_start_switch_fiber(save, lo, size);
#endif
#if RT_TSAN
	__tsan_switch_to_fiber(fiber, 0);
#endif
	(void)save, (void)lo, (void)size, (void)fiber;
}

static inline RT_ALWAYS_INLINE void tools_arrive(void *saved)
{
#if RT_ASAN
	__sanitizer_finish_switch_fiber(saved, NULL, NULL);
#endif
	(void)saved;
}

/* A stack becomes known when its slot is first used and stays known while the slot is recycled. */
static void tools_stack_new(rt_stack *s)
{
#if RT_TSAN
	if (s->tsan_fiber == NULL)
		s->tsan_fiber = __tsan_create_fiber(0);
#endif
#ifdef RT_VALGRIND
	if (s->valgrind_id == 0)
		s->valgrind_id = VALGRIND_STACK_REGISTER(s->lo, s->hi) + 1;
#endif
	(void)s;
}

/* The goroutine's frames are gone: nothing on the slot is poisoned any more. */
static void tools_stack_old(rt_stack *s)
{
#if RT_ASAN
	__asan_unpoison_memory_region(s->lo, (size_t)(s->hi - s->lo));
#endif
#if RT_TSAN
	/* A fiber keeps the shadow call stack of the frames that were left; a fresh one is cheaper to reason about. */
	__tsan_destroy_fiber(s->tsan_fiber);
	s->tsan_fiber = NULL;
#endif
	(void)s;
}

/* A made context and its slot; none (NULL) where the backend has stacks of its own. The system is told
 * how stacks end, where it cares. */
static be_context *stack_make(gort_runtime *rt, rt_stackcache *cache, size_t size, void (*fn)(void *),
                              void *arg, rt_stack **slot)
{
	rt_stack *s = NULL;
	be_context *c;

	*slot = NULL;
	if (be_context_owns_stack) {
		c = be_context_make(NULL, size != 0 ? size : rt->cfg.stack_size, fn, arg);
		if (c != NULL)
			be_context_grows(c, NULL, NULL, be_fault_stack_room);
		return c;
	}
	s = rt_stack_get(rt->stacks, cache, size);
	if (s == NULL)
		return NULL;
	tools_stack_new(s);
	c = be_context_make(s->lo, (size_t)(s->hi - s->lo), fn, arg);
	if (c == NULL) {
		rt_stack_put(rt->stacks, cache, s);
		return NULL;
	}
	if (s->flags & RT_STACK_GROWS)
		be_context_grows(c, rt_stack_base(s), s->limit, be_fault_stack_room);
	*slot = s;
	return c;
}

static void stack_unmake(gort_runtime *rt, rt_stackcache *cache, be_context *c, rt_stack *s)
{
	if (s != NULL && (s->flags & RT_STACK_GROWS))
		s->limit = be_context_limit(c);
	be_context_drop(c);
	if (s != NULL) {
		tools_stack_old(s);
		rt_stack_put(rt->stacks, cache, s);
	}
}

/* By mp, which is not this thread's M yet if that attaches. s NULL: there is no slot of the pool. */
static RT_NOINLINE RT_COLD void stack_tell(rt_m *mp, unsigned event, rt_g *gp, const rt_stack *s)
{
	if (s != NULL)
		rt_trace_emit(mp, event, gp, (uintptr_t)s->lo, (uint64_t)(s->hi - s->lo), 0);
}

int rt_switch_init(rt_m *mp)
{
	void *lo = NULL, *hi = NULL;

	mp->g0 = be_context_adopt(mp->g0record);
	if (mp->g0 == NULL)
		return -ENOMEM;
	if (RT_ASAN && be_thread_stack(&lo, &hi) == 0) { /* the first thread's costs a look into /proc */
		mp->asan_lo = lo;
		mp->asan_size = (size_t)((char *)hi - (char *)lo);
	}
#if RT_TSAN
	mp->tsan_fiber = __tsan_get_current_fiber();
#endif
	return 0;
}

void rt_switch_fini(rt_m *mp)
{
	be_context_unadopt(mp->g0);
	mp->g0 = NULL;
}

#if RT_ASAN || RT_TSAN
/* The tools must hear of a switch at the place where it happens. */
void rt_switch_loop(rt_m *mp)
{
	be_context *next;

	while ((next = rt_g0_next(mp)) != NULL) {
		const rt_g *gp = mp->curg;

		if (gp->attached)
			tools_leave(&mp->asan_fake, mp->thread_lo, mp->thread_size, mp->thread_fiber);
		else
			tools_leave(&mp->asan_fake, gp->stack->lo,
			            (size_t)(gp->stack->hi - gp->stack->lo), gp->stack->tsan_fiber);
		be_context_switch(mp->g0, next);
		tools_arrive(mp->asan_fake);
	}
}
#define SWITCH_BACK be_context_switch

static void attached_g0(void *arg)
{
	tools_arrive(NULL);
	rt_switch_loop(arg);
	RT_UNREACHABLE("the scheduler of an attached thread ended");
}

static void attached_start(rt_m *mp)
{
	(void)mp; /* its first rt_mcall does it */
}

#else
static be_context *next(void *arg)
{
	return rt_g0_next(arg);
}

void rt_switch_loop(rt_m *mp)
{
	be_context_loop(mp->g0, next, mp);
}
#define SWITCH_BACK be_context_back

static rt_g *wired(const rt_m *mp)
{
	return rt_loadptr_rlx(&mp->lockedg);
}

/* be_context_back leads into a loop: an attached thread's g0 enters it at once, and goes back to the thread. */
static be_context *attached_next(void *arg)
{
	rt_m *mp = arg;

	return mp->mcall == NULL ? wired(mp)->ctx : next(arg);
}

static void attached_g0(void *arg)
{
	rt_m *mp = arg;

	be_context_loop(mp->g0, attached_next, mp);
	RT_UNREACHABLE("the scheduler of an attached thread ended");
}

static void attached_start(rt_m *mp)
{
	be_context_switch(wired(mp)->ctx, mp->g0);
}
#endif

/* The thread's own stack is the goroutine's; the scheduler gets one from the pool. */
int rt_switch_attach(rt_m *mp, rt_g *gp)
{
	void *lo, *hi;

	gp->ctx = be_context_adopt(mp->g0record);
	if (gp->ctx == NULL)
		return -ENOMEM;
	mp->g0 = stack_make(mp->rt, NULL, G0_STACK, attached_g0, mp, &mp->g0stack);
	if (mp->g0 == NULL) {
		be_context_unadopt(gp->ctx);
		gp->ctx = NULL;
		return -ENOMEM;
	}
	if (rt_traced(mp->rt, GORT_TRACE_HEAP))
		stack_tell(mp, GORT_EV_STACK_ALLOC, NULL, mp->g0stack);
	be_context_bounds(mp->g0, &lo, &hi);
	mp->asan_lo = lo;
	mp->asan_size = (size_t)((char *)hi - (char *)lo);
#if RT_TSAN
	mp->tsan_fiber = mp->g0stack->tsan_fiber;
	mp->thread_fiber = __tsan_get_current_fiber();
#endif
	if (be_thread_stack(&mp->thread_lo, &hi) == 0)
		mp->thread_size = (size_t)((char *)hi - (char *)mp->thread_lo);
	RT_ASSERT(rt_loadptr_rlx(&mp->lockedg) == gp && mp->mcall == NULL);
	attached_start(mp);
	return 0;
}

void rt_switch_detach(rt_m *mp, rt_g *gp)
{
	if (rt_traced(mp->rt, GORT_TRACE_HEAP))
		stack_tell(mp, GORT_EV_STACK_FREE, NULL, mp->g0stack);
	stack_unmake(mp->rt, NULL, mp->g0, mp->g0stack);
	be_context_unadopt(gp->ctx);
	gp->ctx = NULL;
	mp->g0 = NULL;
	mp->g0stack = NULL;
}

bool rt_switch_make(rt_m *mp, rt_g *gp, void (*entry)(void *))
{
	gp->ctx = stack_make(mp->rt, &mp->p->stacks, rt_g_has_more(gp) ? gp->stack_size : 0, entry, gp, &gp->stack);
	if (rt_traced(mp->rt, GORT_TRACE_HEAP))
		stack_tell(mp, GORT_EV_STACK_ALLOC, gp, gp->stack);
	return gp->ctx != NULL;
}

void rt_switch_unmake(gort_runtime *rt, rt_stackcache *cache, rt_g *gp)
{
	if (gp->ctx == NULL || gp->attached)
		return;
	if (rt_traced(rt, GORT_TRACE_HEAP)) /* before another goroutine gets it */
		stack_tell(rt_self(), GORT_EV_STACK_FREE, gp, gp->stack);
	stack_unmake(rt, cache, gp->ctx, gp->stack);
	gp->ctx = NULL;
	gp->stack = NULL;
}

void rt_mcall(rt_m *mp, void (*fn)(rt_m *mp, rt_g *gp))
{
	void *fake = NULL;

	mp->mcall = fn;
	tools_leave(&fake, mp->asan_lo, mp->asan_size, mp->tsan_fiber);
	SWITCH_BACK(mp->curg->ctx, mp->g0);
	tools_arrive(fake);
}

void rt_mcall_dying(rt_m *mp, void (*fn)(rt_m *mp, rt_g *gp))
{
	mp->mcall = fn;
	tools_leave(NULL, mp->asan_lo, mp->asan_size, mp->tsan_fiber);
	SWITCH_BACK(mp->curg->ctx, mp->g0);
	RT_UNREACHABLE("a dead goroutine went on");
}

void rt_goroutine_entry(void *arg)
{
	rt_g *gp = arg;
	rt_m *mp = rt_self();
	gort_runtime *rt;

	tools_arrive(NULL);
	RT_ASSERT(mp->curg == gp);
	if (gp->ismain && gp->lockcount == 0) {
		/* Main was wired only so that it starts on the host's thread. */
		rt_storeptr_rlx(&mp->lockedg, NULL);
		gp->lockedm = NULL;
	}
	rt = mp->rt;
	rt_leave(); /* from here on mp may be gone */
	rt->up.goroutine_main(gp, gp->fn, gp->arg);
	rt_goroutine_done(gp);
}
