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
	void *at[3];       /* program counter, stack and frame pointer of who called the switch, for unwinders */
	void *lo, *hi;     /* of a made one's stack; NULL for an adopted one */
	void (*fn)(void *);
	void *arg;
} __attribute__((aligned(16)));

const char be_context_name[] = "ucontext";
const size_t be_context_size = sizeof(be_context);
const bool be_context_owns_stack = false;

/* Where a frame that has a frame pointer keeps its caller's and its return address. */
#if defined __riscv
enum { FRAME_FP = -2, FRAME_RA = -1 };
#else
enum { FRAME_FP = 0, FRAME_RA = 1 };
#endif

/* makecontext passes only ints. What called this is code of libc's that no unwinder knows as a beginning: it is
 * taken out of the frame, so that walks end here. */
static void entry(unsigned low, unsigned high)
{
	be_context *c = (be_context *)((uintptr_t)low | (uintptr_t)high << 32);
	void *volatile *frame = __builtin_frame_address(0);

	frame[FRAME_RA] = NULL;
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
	c->at[0] = c->at[1] = c->at[2] = NULL;
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
	c->at[0] = c->at[1] = c->at[2] = NULL;
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

/* Apart, so that it has a caller to tell unwinders about. What swapcontext saves is no help: some versions for arm64
 * name an instruction inside themselves. */
static RT_NOINLINE void swap(be_context *from, ucontext_t *saved, be_context *to)
{
	void **frame = __builtin_frame_address(0);

	from->saved = saved;
	from->sp = below();
	from->at[0] = (char *)__builtin_return_address(0) - 1;
	from->at[1] = __builtin_dwarf_cfa();
	from->at[2] = frame[FRAME_FP];
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

/* A made one that never ran stands nowhere: a walk finds nothing. */
void be_context_place(const be_context *c, void **pc, void **sp, void **fp)
{
	*pc = c->at[0];
	*sp = c->at[1];
	*fp = c->at[2];
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
