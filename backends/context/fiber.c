/* fiber.c: contexts are fibers of Windows.
 *
 * The plain way there: the system allocates the stacks, moves the bounds in the thread's block and
 * knows what else belongs to a switch. Costs a stack of the system's for each goroutine, where asm
 * puts thousands into one reservation.
 *
 * SwitchToFiber keeps the registers in a record of its own, where no scan of the stack finds them.
 * So the switch spills them first: an asm that claims to destroy all callee-saved registers makes
 * the compiler push them at the function's start, above the stack pointer that it notes. The FP
 * control words are kept here for the same reason: what the system does about them depends on a
 * flag and on the version.
 *
 * Bounds are in the thread's block only while a fiber runs, so make runs each new fiber once, up to
 * the point where it waits for its first switch. The calling thread is made a fiber for as long as
 * that takes, if it is none.
 */
#include "backends/context/context.h"
#include "backends/context/control.h"

#include "core/base/attrs.h"

#include <stdint.h>
#include <stdlib.h>
#include <windows.h>

struct be_context {
	void *fiber;
	void *sp; /* valid while Saved, as are: */
	void *pc, *fp;
	char *lo, *hi; /* of a made one */
	void (*fn)(void *);
	void *arg;
	ULONG room;     /* kept for the handler of an overflow */
	void *maker;    /* the fiber that make came from; NULL once it has run */
	bool converted; /* adopt made the thread a fiber */
};

const char be_context_name[] = "fiber";
const size_t be_context_size = (sizeof(be_context) + 15) & ~(size_t)15;
const bool be_context_owns_stack = true;

/* Leaves self saved as the contract wants it. The frame address keeps rbp among what is pushed. */
static RT_NOINLINE void leave(be_context *self, void *fiber)
{
	void *volatile frame = __builtin_frame_address(0);
	be_control fp;

	be_control_get(&fp);
	__asm__ volatile("movq %%rsp, %0\n\tmovq %%rbp, %1\n\tleaq 0(%%rip), %%rax\n\tmovq %%rax, %2"
	                 : "=m"(self->sp), "=m"(self->fp), "=m"(self->pc)
	                 :
	                 : "memory", "rax", "rbx", "rsi", "rdi", "r12", "r13", "r14", "r15", "xmm6",
	                   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
	                   "xmm15");
	(void)frame;
	SwitchToFiber(fiber);
	be_control_set(&fp);
}

/* GetCurrentFiber; gcc 12 takes the one of mingw's headers for an access out of bounds. */
static inline void *current_fiber(void)
{
	void *fiber;

	__asm__ volatile("movq %%gs:0x20, %0" : "=r"(fiber));
	return fiber;
}

static void WINAPI entry(void *arg)
{
	static const be_control initial = {0x1f80, 0x037f};
	be_context *self = arg;
	ULONG_PTR lo, hi;

	GetCurrentThreadStackLimits(&lo, &hi); /* the reservation, not what is committed of it */
	self->lo = (char *)lo;
	self->hi = (char *)hi;
	leave(self, self->maker);
	be_control_set(&initial);
	if (self->room != 0)
		SetThreadStackGuarantee(&self->room); /* refused: only an overflow is not reported */
	self->fn(self->arg);
	abort(); /* must not return: the thread would end here */
}

/* Runs c up to its wait. */
static bool run_once(be_context *c)
{
	bool convert = !IsThreadAFiber();

	c->maker = convert ? ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH)
	                   : current_fiber();
	if (c->maker == NULL)
		return false;
	SwitchToFiber(c->fiber);
	if (convert)
		ConvertFiberToThread();
	return true;
}

be_context *be_context_make(void *lo, size_t size, void (*fn)(void *), void *arg)
{
	be_context *c = calloc(1, sizeof *c);

	(void)lo;
	if (c == NULL)
		return NULL;
	c->fn = fn;
	c->arg = arg;
	c->fiber = CreateFiberEx(0, size, FIBER_FLAG_FLOAT_SWITCH, entry, c);
	if (c->fiber == NULL) {
		free(c);
		return NULL;
	}
	if (!run_once(c)) {
		be_context_drop(c);
		return NULL;
	}
	return c;
}

be_context *be_context_adopt(void *record)
{
	be_context *c = record;

	*c = (be_context){.converted = !IsThreadAFiber()};
	c->fiber = c->converted ? ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH)
	                        : current_fiber();
	return c->fiber != NULL ? c : NULL;
}

void be_context_unadopt(be_context *c)
{
	if (c->converted)
		ConvertFiberToThread();
}

void be_context_switch(be_context *from, be_context *to)
{
	leave(from, to->fiber);
}

void be_context_grows(be_context *c, void *floor, void *limit, size_t room)
{
	(void)floor, (void)limit;
	c->room = (ULONG)room;
}

void *be_context_limit(const be_context *c)
{
	return c->lo; /* the system's own business */
}

void *be_context_sp(const be_context *c)
{
	return c->sp;
}

/* In `leave`, which has spilled everything: its unwind information finds the rest. */
void be_context_place(const be_context *c, void **pc, void **sp, void **fp)
{
	*pc = c->pc;
	*sp = c->sp;
	*fp = c->fp;
}

void be_context_bounds(const be_context *c, void **lo, void **hi)
{
	*lo = c->lo;
	*hi = c->hi;
}

void be_context_drop(be_context *c)
{
	DeleteFiber(c->fiber);
	free(c);
}

/* The compiler's own pair, for longjmp of Windows unwinds, which goroutine stacks need not bear. It
 * keeps stack, frame and place; the other registers come back from this function's own frame. */
struct mark {
	void *place[5];
	be_control fp;
};

RT_NOINLINE int be_context_try(void **mark, void (*fn)(void *), void *arg)
{
	struct mark m;

	be_control_get(&m.fp);
	*mark = &m;
	if (__builtin_setjmp(m.place) != 0)
		return 1;
	fn(arg);
	return 0;
}

RT_NOINLINE _Noreturn void be_context_leave(void *mark)
{
	struct mark *m = mark;

	be_control_set(&m->fp);
	__builtin_longjmp(m->place, 1);
}
