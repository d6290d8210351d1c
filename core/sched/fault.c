/* fault.c: memory faults of goroutines: nil pointers and divisions become panics, and who runs off its
 * stack ends the run instead of the process.
 *
 * The handler runs on the alternate stack (Windows: on what is left of the goroutine's). In code of the user the
 * goroutine can be taken out of what it does: the handler notes the fault in its M, and the thread goes on
 *
 *   in gort_faulted, right below the frames of the fault, which stay for the backtrace and for those
 *       that are left by a recovery; the panic is raised there;
 *   in landed, at the top of the same stack, when it is used up or the run is to end: nothing of it is needed.
 *
 * Inside the runtime (locks is not 0), in code of other libraries, which may hold locks, on other stacks and threads
 * the fault is not ours: it goes to the handler that was there before, or the process dies of it. An
 * overflow there is named before.
 *
 * Which code is the user's: the module of main, by gort_runtime_run, and those of gort_module_add. What is known of
 * modules is a list of the process that only grows; handlers read it, also while a run begins: a goroutine of an
 * attached thread goes on between runs. Where the runtime itself is linked into such a module
 * its code is told apart by `locks`. A goroutine is not dropped in a module that has the process's malloc in it
 * (jemalloc, a sanitizer): it may hold malloc's lock. It goes on until it calls the runtime.
 *
 * What becomes of a fault is Go's rule: below address 4096 a nil pointer, elsewhere a fatal error, for memory
 * that is not there means that the program is beyond help.
 */
#include "backends/arena/arena.h"
#include "core/base/valgrind.h"
#include "core/sched/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { NIL_PAGE = 4096 };  /* an address below it was computed from a nil pointer */
enum { RED_ZONE = 128 };   /* below its sp a function of x86-64 may keep data; harmless elsewhere */
enum { ROOM = 4096 };      /* on the stack, or raising a panic overflows it, as it would anyway */

/* ---- Which code is goroutine code ------------------------------------------------------------- */

enum { FEW = 32 };
typedef struct module {
	uintptr_t lo, hi;        /* its text; these three never change */
	bool malloc;             /* is in it */
	rt_atomic32 added;       /* by gort_module_add; else it is the user's only in runtimes that point here */
} module;
typedef struct modules {
	rt_atomicptr next;       /* a further modules, or NULL; released when complete */
	rt_atomic32 n;           /* released after the entry */
	module at[FEW];
} modules;

static modules known;        /* with those behind it, for ever: handlers read it */
static rt_mutex known_lock;  /* rank fault: who adds */

static bool is_in(const module *m, uintptr_t pc)
{
	return pc - m->lo < m->hi - m->lo;
}

/* `held`: not those with a malloc in them. */
static bool is_known(uintptr_t pc, bool held)
{
	for (const modules *m = &known; m != NULL; m = rt_loadptr_acq(&m->next)) {
		uint32_t n = rt_load32_acq(&m->n);

		for (uint32_t i = 0; i < n; i++)
			if (is_in(&m->at[i], pc) && rt_load32_acq(&m->at[i].added) != 0)
				return !held || !m->at[i].malloc;
	}
	return false;
}

static module *find_locked(const module *like)
{
	for (modules *m = &known; m != NULL; m = rt_loadptr_rlx(&m->next))
		for (uint32_t i = 0; i < rt_load32_rlx(&m->n); i++)
			if (m->at[i].lo == like->lo && m->at[i].hi == like->hi && m->at[i].malloc == like->malloc)
				return &m->at[i];
	return NULL;
}

/* NULL: no memory. */
static module *append_locked(const module *like)
{
	modules *m = &known, *more;
	size_t bytes = sizeof *m;
	uint32_t n;

	while ((more = rt_loadptr_rlx(&m->next)) != NULL)
		m = more;
	n = rt_load32_rlx(&m->n);
	if (n == FEW) {
		more = rt_pages_new(&bytes);
		if (more == NULL)
			return NULL;
		rt_storeptr_rel(&m->next, more);
		m = more;
		n = 0;
	}
	m->at[n] = *like;
	rt_store32_rel(&m->n, n + 1);
	return &m->at[n];
}

/* In the child of a fork: whoever held the lock is gone. The list is whole at any moment. */
static void forked(void)
{
	rt_store32_rlx(&known_lock.key, 0);
}

/* Before the lock is taken for the first time. Twice does no harm. */
static void hook_forks(void)
{
	static rt_atomic32 hooked;

	if (rt_load32_acq(&hooked) == 0 && be_thread_atfork(forked) == 0)
		rt_store32_rel(&hooked, 1);
}

/* The one record of its kind; NULL: no memory. */
static module *known_as(const module *like, bool add)
{
	module *m;

	hook_forks();
	rt_lock(&known_lock, RT_RANK_fault);
	m = find_locked(like);
	if (m == NULL)
		m = append_locked(like);
	if (m != NULL && add)
		rt_store32_rel(&m->added, 1);
	rt_unlock(&known_lock, RT_RANK_fault);
	return m;
}

GORT_API int gort_module_add(gort_code code)
{
	module m = { 0 };
	int whole = 0, r;
	rt_m *self;

	if (code == NULL)
		return GORT_EINVAL;
	self = rt_hold(); /* a goroutine that were dropped in there would keep the loader's lock, and forks waiting */
	r = be_fault_module((const void *)(uintptr_t)code, &m.lo, &m.hi, &whole);
	rt_unhold(self);
	if (r != 0)
		return be_fault_works ? GORT_EINVAL : GORT_ENOTSUP;
	if (whole)
		return GORT_ENOTSUP;
	m.malloc = be_fault_has_malloc(m.lo, m.hi); /* it takes the loader's lock */
	self = rt_hold();
	r = known_as(&m, true) != NULL ? 0 : GORT_ENOMEM;
	rt_unhold(self);
	return r;
}

bool rt_user_code(const gort_runtime *rt, uintptr_t pc)
{
	const module *of_main = rt_loadptr_acq(&rt->module);

	return (of_main != NULL && is_in(of_main, pc)) || is_known(pc, false);
}

bool rt_droppable_code(const gort_runtime *rt, uintptr_t pc)
{
	const module *of_main = rt_loadptr_acq(&rt->module);

	return of_main != NULL && is_in(of_main, pc) ? !of_main->malloc : is_known(pc, true);
}

/* A call through a bad pointer has come nowhere: it is its caller's fault. */
static uintptr_t blamed(const be_fault *f, const be_fault_place *at)
{
	uintptr_t lo, hi;
	int whole;

	if (f->address != f->pc || be_fault_module((const void *)f->pc, &lo, &hi, &whole) == 0)
		return f->pc;
	return be_fault_caller(at);
}

static bool user_code(rt_m *mp, uintptr_t pc)
{
	return mp->locks == 0 && rt_user_code(mp->rt, pc);
}

/* ---- Ends of stacks ---------------------------------------------------------------------------- */

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

/* The same. */
static void note_frames(rt_g *gp, const be_fault_place *at)
{
	void *lo, *hi;

	rt_failure_begin(gp->rt, gp, true);
	rt_g_bounds(gp, &lo, &hi);
	be_fault_walk(at, lo, hi, &gp->rt->failure.trace);
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

/* ---- Panics ----------------------------------------------------------------------------------- */

static const char nil_text[] = "invalid memory address or nil pointer dereference";

/* What Go says of it; NULL: fatal. */
static const char *error_text(const be_fault *f)
{
	if (f->signal != SIGFPE)
		return f->access && f->address < NIL_PAGE ? nil_text : NULL;
	return f->divide ? "integer divide by zero" : "floating point error";
}

/* Right below the frames of the fault. The name marks it as a frame that raises a panic: traceback.c. */
_Noreturn static void gort_faulted(void *arg)
{
	rt_m *mp = arg;
	rt_faulted here = mp->faulted;
	rt_g *gp = mp->curg;

	(void)rt_enter("gort"); /* its P may have been taken meanwhile */
	gp->rt->up.goroutine_fault(gp, error_text(&here.fault), &here);
	RT_UNREACHABLE("a fault went on");
}

static void fatal_text(gort_runtime *rt, const be_fault *f)
{
	char line[240];

	rt_error_set(rt, "");
	rt_format(line, sizeof line, "unexpected fault address 0x%llx\nfatal error: fault\n",
	          (unsigned long long)f->address);
	rt_text_add(&rt->error, line);
	rt_fault_line(f, line, sizeof line);
	rt_text_add(&rt->error, line);
}

void rt_fault_line(const be_fault *f, char *buf, size_t size)
{
	rt_format(buf, size, "[signal %s code=0x%llx addr=0x%llx pc=0x%llx]\n", f->what,
	          (unsigned long long)(unsigned)f->code,
	          (unsigned long long)f->address, (unsigned long long)f->pc);
}

static int land_above(rt_m *mp, be_fault_action *act)
{
	act->land = landed;
	act->arg = mp;
	act->stack_top = rt_landing_top(mp->curg);
	return BE_FAULT_LAND;
}

static int on_overflow(rt_m *mp, const be_fault *f, be_fault_action *act)
{
	be_fault_place at;

	if (!user_code(mp, f->pc)) {
		char line[240];

		rt_fault_line(f, line, sizeof line);
		rt_print("runtime: goroutine %llu: stack overflow outside goroutine code\n%s",
		         (unsigned long long)mp->curg->goid, line);
		abort();
	}
	be_fault_place_of(f, &at);
	mp->failing = rt_run_claim(mp->rt, GORT_EFATAL);
	if (mp->failing) {
		overflow_text(mp->rt, mp->curg, f);
		note_frames(mp->curg, &at);
	}
	return land_above(mp, act);
}

/* Outside a run the goroutine ends, and says why. */
static int on_wild(rt_m *mp, const be_fault *f, const be_fault_place *at, be_fault_action *act)
{
	mp->failing = rt_run_claim(mp->rt, GORT_EFATAL);
	if (mp->failing) {
		fatal_text(mp->rt, f);
		note_frames(mp->curg, at);
	} else if (rt_load32_rlx(&mp->rt->runstate) == RT_RUN_NONE) {
		rt_print("unexpected fault address 0x%llx\nfatal error: fault\n", (unsigned long long)f->address);
	}
	return land_above(mp, act);
}

/* Below the frames of the fault. To Memcheck the stack ends a red zone below the sp of the fault. It moves
 * that end along with later pushes, but from where it should be for the sp that we land with, since it
 * does not see this move: the gap is told here. */
static void *land_below(const be_fault *f)
{
	uintptr_t top = (f->sp - RED_ZONE) & ~(uintptr_t)15, end = top - 2 * RED_ZONE;

	rt_valgrind_undefined((void *)end, f->sp - RED_ZONE - end);
	return (void *)top;
}

static int on_fault(const be_fault *f, be_fault_action *act)
{
	rt_m *mp = rt_self();
	rt_g *gp = mp != NULL ? mp->curg : NULL;
	be_fault_place at;
	void *lo, *hi;

	if (gp == NULL)
		return BE_FAULT_CHAIN;
	if (is_overflow(gp, f->address))
		return on_overflow(mp, f, act);
	be_fault_place_of(f, &at);
	rt_g_bounds(gp, &lo, &hi);
	if (f->sp < (uintptr_t)lo + ROOM || f->sp > (uintptr_t)hi || !user_code(mp, blamed(f, &at)))
		return BE_FAULT_CHAIN;
	if (error_text(f) == NULL && !gp->attached)
		return on_wild(mp, f, &at, act);
	if (error_text(f) == NULL)
		return BE_FAULT_CHAIN; /* that stack is its thread's, and not ours to leave */
	mp->faulted.place = at;
	mp->faulted.fault = *f;
	mp->faulted.fault.machine = NULL;
	act->land = gort_faulted;
	act->arg = mp;
	act->stack_top = land_below(f);
	return BE_FAULT_LAND;
}

/* ---- Set-up ------------------------------------------------------------------------------------ */

void rt_fault_module(gort_runtime *rt, gort_func main)
{
	module now = { 0 }, *m = NULL;
	int whole = 0;

	/* With libc in the same file its code cannot be told from the user's. */
	if (be_fault_module((const void *)(uintptr_t)main, &now.lo, &now.hi, &whole) == 0 && !whole) {
		now.malloc = be_fault_has_malloc(now.lo, now.hi);
		m = known_as(&now, false);
	}
	rt_storeptr_rel(&rt->module, m);
}

/* Held: a goroutine may make a runtime of its own, and must not be dropped with the backend's lock. */
int rt_fault_acquire(void)
{
	rt_m *self = rt_hold();
	int r = be_fault_init(on_fault);

	rt_unhold(self);
	return r == 0 || r == -ENOTSUP ? 0 : r; /* without one an overflow ends the process */
}

void rt_fault_release(void)
{
	rt_m *self = rt_hold();

	be_fault_fini();
	rt_unhold(self);
}
