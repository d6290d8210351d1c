/* ucontext.c: contexts by makecontext and swapcontext of libc, for CPUs that have no assembly here.
 *
 * The plain way: libc knows the registers, the FP control words and how to begin on another stack.
 * It also changes the signal mask, by a system call in each switch (200 to 400 ns); a context that
 * goes on on another thread brings its mask along, which is harmless as long as all threads of the
 * runtime have the same one.
 *
 * A made context's registers go into the record, which lies at the top of its stack: inside
 * [sp, hi), as the contract wants it. An adopted thread's record lies anywhere, so its registers
 * are written into a record on the stack itself; `saved` says which one counts.
 *
 * Leaving by setcontext, too: it needs nothing from the compiler (clang has __builtin_setjmp on few
 * CPUs) and, unlike longjmp, brings the FP control words back. The mask is taken from the moment of
 * leaving, so that nothing changes about it.
 */
#include "backends/context/context.h"

#include "core/base/attrs.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

struct be_context {
	ucontext_t own;    /* first: libc wants it aligned */
	ucontext_t *saved; /* &own, or on the stack of an adopted thread */
	void *sp;          /* valid while Saved */
	void *lo, *hi;     /* of a made one's stack; NULL for an adopted one */
	void (*fn)(void *);
	void *arg;
} __attribute__((aligned(16)));

const char be_context_name[] = "ucontext";
const size_t be_context_size = sizeof(be_context);
const bool be_context_owns_stack = false;

/* makecontext passes only ints. */
static void entry(unsigned low, unsigned high)
{
	be_context *c = (be_context *)((uintptr_t)low | (uintptr_t)high << 32);

	c->fn(c->arg);
	abort(); /* must not return: the thread would end here */
}

/* Apart from make, for a compiler that knows getcontext suspects every local beside it. */
static RT_NOINLINE bool fill(ucontext_t *uc)
{
	return getcontext(uc) == 0;
}

be_context *be_context_make(void *lo, size_t size, void (*fn)(void *), void *arg)
{
	uintptr_t hi = (uintptr_t)lo + size;
	be_context *c = (be_context *)((hi - sizeof *c) & ~(uintptr_t)15);

	if (!fill(&c->own))
		return NULL;
	c->own.uc_stack.ss_sp = lo;
	c->own.uc_stack.ss_size = (uintptr_t)c - (uintptr_t)lo;
	c->own.uc_link = NULL;
	makecontext(&c->own, (void (*)(void))entry, 2, (unsigned)(uintptr_t)c,
	            (unsigned)((uintptr_t)c >> 32));
	c->saved = &c->own;
	c->sp = c; /* nothing is below: fn and arg are in the record */
	c->lo = lo;
	c->hi = (void *)hi;
	c->fn = fn;
	c->arg = arg;
	return c;
}

be_context *be_context_adopt(void *record)
{
	be_context *c = record;

	c->saved = NULL;
	c->sp = c->lo = c->hi = NULL;
	return c;
}

void be_context_unadopt(be_context *c)
{
	(void)c; /* nothing was taken */
}

/* An address below the frame of whoever calls it. */
static RT_NOINLINE void *below(void)
{
	return __builtin_frame_address(0);
}

static void swap(be_context *from, ucontext_t *saved, be_context *to)
{
	from->saved = saved;
	from->sp = below();
	if (swapcontext(saved, to->saved) != 0)
		abort(); /* only a bad mask pointer could do that */
}

static RT_NOINLINE void swap_adopted(be_context *from, be_context *to)
{
	ucontext_t here;

	swap(from, &here, to);
}

void be_context_switch(be_context *from, be_context *to)
{
	if (from->hi != NULL)
		swap(from, &from->own, to);
	else
		swap_adopted(from, to);
}

void be_context_grows(be_context *c, void *floor, void *limit, size_t room)
{
	(void)c, (void)floor, (void)limit, (void)room; /* no system with this one needs it */
}

void *be_context_limit(const be_context *c)
{
	return c->lo;
}

void *be_context_sp(const be_context *c)
{
	return c->sp;
}

/* What swapcontext saved is its caller's state, as it will be after the return. */
void be_context_place(const be_context *c, void **pc, void **sp, void **fp)
{
#if defined __x86_64__
	const greg_t *r = c->saved->uc_mcontext.gregs;

	*pc = (void *)(uintptr_t)r[REG_RIP];
	*sp = (void *)(uintptr_t)r[REG_RSP];
	*fp = (void *)(uintptr_t)r[REG_RBP];
#elif defined __aarch64__
	*pc = (void *)(uintptr_t)c->saved->uc_mcontext.pc;
	*sp = (void *)(uintptr_t)c->saved->uc_mcontext.sp;
	*fp = (void *)(uintptr_t)c->saved->uc_mcontext.regs[29];
#elif defined __riscv && __riscv_xlen == 64
	*pc = (void *)(uintptr_t)c->saved->uc_mcontext.__gregs[REG_PC];
	*sp = (void *)(uintptr_t)c->saved->uc_mcontext.__gregs[REG_SP];
	*fp = (void *)(uintptr_t)c->saved->uc_mcontext.__gregs[REG_S0];
#else
	*pc = *fp = NULL; /* a walk finds nothing */
	*sp = c->sp;
#endif
}

void be_context_bounds(const be_context *c, void **lo, void **hi)
{
	*lo = c->lo;
	*hi = c->hi;
}

void be_context_drop(be_context *c)
{
	(void)c; /* the record lies on the caller's stack memory */
}

struct mark {
	ucontext_t place;
	volatile int left;
};

RT_NOINLINE int be_context_try(void **mark, void (*fn)(void *), void *arg)
{
	struct mark m;

	m.left = 0;
	*mark = &m;
	if (getcontext(&m.place) != 0)
		abort();
	if (m.left) /* the second return */
		return 1;
	fn(arg);
	return 0;
}

_Noreturn void be_context_leave(void *mark)
{
	struct mark *m = mark;

	m->left = 1;
	pthread_sigmask(SIG_SETMASK, NULL, &m->place.uc_sigmask);
	setcontext(&m->place);
	abort();
}
