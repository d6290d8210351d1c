/* fault.c: a goroutine that runs off its stack is named, and the run ends, instead of the process.
 *
 * The handler runs on the alternate stack. In code of the user the goroutine can be given up where it
 * stands: the handler notes the backtrace, and the thread goes on in `landed` on that goroutine's
 * own stack, from its top, where nothing is needed any more. Inside the runtime (locks is not 0) or
 * in code of other libraries, which may hold locks, nothing can be saved: message, abort.
 */
#include "backends/arena/arena.h"
#include "core/sched/internal.h"

#include <errno.h>
#include <stdlib.h>

bool rt_user_code(const gort_runtime *rt, uintptr_t pc)
{
	return pc >= rt->modlo && pc < rt->modhi;
}

static bool user_code(rt_m *mp, uintptr_t pc)
{
	return mp->locks == 0 && rt_user_code(mp->rt, pc);
}

/* Whether addr lies below what gp may use. */
static bool is_overflow(rt_g *gp, uintptr_t addr)
{
	void *lo, *hi;

	if (gp->stack != NULL)
		return rt_stack_overflowed(gp->stack, addr);
	if (!be_context_owns_stack || gp->attached)
		return false;
	be_context_bounds(gp->ctx, &lo, &hi);
	return addr - (uintptr_t)lo <= be_fault_stack_room + be_arena_query()->page;
}

/* In the handler, whose goroutine goes no further: it has claimed the end of the run. */
static void overflow_text(gort_runtime *rt, const rt_g *gp, const be_fault *f)
{
	char line[160];
	void *lo, *hi;

	be_context_bounds(gp->ctx, &lo, &hi);
	rt_error_set(rt, "");
	rt_format(line, sizeof line,
	          "runtime: goroutine stack exceeds %zu-byte limit\n"
	          "runtime: sp=0x%llx stack=[0x%llx, 0x%llx]\nfatal error: stack overflow\n",
	          (size_t)((char *)hi - (char *)lo), (unsigned long long)f->sp,
	          (unsigned long long)(uintptr_t)lo, (unsigned long long)(uintptr_t)hi);
	rt_text_add(&rt->error, line);
	if (gp->name != NULL) {
		rt_format(line, sizeof line, "\ngoroutine %llu is \"%s\"\n",
		          (unsigned long long)gp->goid, gp->name);
		rt_text_add(&rt->error, line);
	}
}

static void overflowed(rt_m *mp, rt_g *gp, const be_fault *f)
{
	gort_runtime *rt = mp->rt;
	be_fault_place at;
	void *lo, *hi;

	mp->failing = rt_run_claim(rt, GORT_EFATAL);
	if (!mp->failing)
		return;
	overflow_text(rt, gp, f);
	rt_failure_begin(rt, gp, true);
	be_fault_place_of(f, &at);
	rt_g_bounds(gp, &lo, &hi);
	be_fault_walk(&at, lo, hi, &rt->failure.trace);
}

/* On the goroutine's stack, from its top, on the same thread. */
static void landed(void *arg)
{
	rt_m *mp = arg;
	rt_g *gp = mp->curg;
	gort_runtime *rt = mp->rt;

	(void)rt_enter("gort"); /* in its own right again: its P may have been taken meanwhile */
	if (mp->failing)
		rt_run_wake(rt);
	rt->up.goroutine_drop(gp);
	rt_mcall_dying(mp, rt_goexit0);
}

void *rt_landing_top(rt_g *gp)
{
	void *lo, *hi;
	uintptr_t top = (uintptr_t)gp->ctx; /* the context's record stays whole */

	be_context_bounds(gp->ctx, &lo, &hi);
	if (top < (uintptr_t)lo || top >= (uintptr_t)hi)
		top = (uintptr_t)hi;
	return (void *)(top & ~(uintptr_t)15);
}

static int on_fault(const be_fault *f, be_fault_action *act)
{
	rt_m *mp = rt_self();
	rt_g *gp = mp != NULL ? mp->curg : NULL;

	if (gp == NULL || !is_overflow(gp, f->address))
		return BE_FAULT_CHAIN;
	if (!user_code(mp, f->pc)) {
		rt_print("runtime: goroutine %llu: stack overflow outside goroutine code\n",
		         (unsigned long long)gp->goid);
		abort();
	}
	overflowed(mp, gp, f);
	act->land = landed;
	act->arg = mp;
	act->stack_top = rt_landing_top(gp);
	return BE_FAULT_LAND;
}

void rt_fault_module(gort_runtime *rt, gort_func main)
{
	uintptr_t lo, hi;
	int whole = 0;

	rt->modlo = rt->modhi = 0;
	/* With libc in the same file its code cannot be told from the user's. */
	if (be_fault_module((const void *)(uintptr_t)main, &lo, &hi, &whole) == 0 && !whole) {
		rt->modlo = lo;
		rt->modhi = hi;
	}
}

int rt_fault_acquire(void)
{
	int r = be_fault_init(on_fault);

	return r == 0 || r == -ENOTSUP ? 0 : r; /* without one an overflow ends the process */
}

void rt_fault_release(void)
{
	be_fault_fini();
}
