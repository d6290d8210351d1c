/* asm.c: contexts switched by our own assembly; the C half, the same on every CPU.
 *
 * A record holds the stack pointer under which the rest lies: be_context_switch pushes what the
 * calling convention wants kept, stores the stack pointer in *from, loads that of *to and pops.
 * Each asm_<cpu>.S owns the layout of such a frame and builds the first one too
 * (be_context_frame), so nothing here knows a register.
 *
 * Rejected: a stack pointer as the whole context (one load less in the caller, but bounds and drop
 * need a record anyway); a switch written as inline asm with a clobber list (it keeps fewer
 * registers, but the code of every caller grows and compilers differ in what they accept there).
 */
#include "backends/context/context.h"

#include <stdint.h>

/* The assembly knows the offsets of sp (0), lo (8) and hi (16). */
struct be_context {
	void *sp; /* valid while Saved */
	void *lo, *hi; /* of a made context's stack; NULL for an adopted one */
	void *unused;
};

_Static_assert(sizeof(be_context) == 32, "the assembly and the stack's alignment rely on it");
_Static_assert(offsetof(be_context, sp) == 0 && offsetof(be_context, lo) == 8 &&
                       offsetof(be_context, hi) == 16,
               "the assembly relies on it");

const char be_context_name[] = "asm";
const size_t be_context_size = sizeof(be_context);
const bool be_context_owns_stack = false;

/* Builds the frame below c that be_context_switch pops to call fn(arg), and sets c->sp. */
void be_context_frame(be_context *c, void (*fn)(void *), void *arg);

be_context *be_context_make(void *lo, size_t size, void (*fn)(void *), void *arg)
{
	uintptr_t hi = (uintptr_t)lo + size;
	be_context *c = (be_context *)((hi - sizeof *c) & ~(uintptr_t)15);

	*c = (be_context){.lo = lo, .hi = (void *)hi};
	be_context_frame(c, fn, arg);
	return c;
}

be_context *be_context_adopt(void *record)
{
	be_context *c = record;

	*c = (be_context){0};
	return c;
}

void be_context_unadopt(be_context *c)
{
	(void)c; /* nothing was taken */
}

#ifdef _WIN32
/* Of asm_x86_64_win64.S' frame: what goes into the thread's block with the stack. */
struct bounds {
	void *base, *limit, *floor, *fiber;
	uint32_t room;
};
enum { BOUNDS_AT = 160 };

static struct bounds *bounds_of(const be_context *c)
{
	return (struct bounds *)((char *)c->sp + BOUNDS_AT);
}

void be_context_grows(be_context *c, void *floor, void *limit, size_t room)
{
	struct bounds *b = bounds_of(c);

	b->floor = floor;
	b->limit = limit;
	b->room = (uint32_t)room;
}

void *be_context_limit(const be_context *c)
{
	return bounds_of(c)->limit;
}
#else
void be_context_grows(be_context *c, void *floor, void *limit, size_t room)
{
	(void)c, (void)floor, (void)limit, (void)room; /* the system knows nothing of stacks */
}

void *be_context_limit(const be_context *c)
{
	return c->lo;
}
#endif

void *be_context_sp(const be_context *c)
{
	return c->sp;
}

/* In be_context_switch, on the stack that goes on: its unwind information finds the rest. */
extern const char be_context_resumed[];

void be_context_place(const be_context *c, void **pc, void **sp, void **fp)
{
	*pc = (void *)(uintptr_t)be_context_resumed;
	*sp = c->sp;
	*fp = NULL;
}

void be_context_bounds(const be_context *c, void **lo, void **hi)
{
	*lo = c->lo;
	*hi = c->hi;
}

void be_context_drop(be_context *c)
{
	(void)c; /* record and frame lie on the caller's stack memory */
}
