/* unwind.c: backtraces and modules for signal.c, on ELF systems.
 *
 * Backtraces use the compiler's unwinder, which reads the .eh_frame of every module and steps
 * through the frame that the kernel put between the handler and the fault; what lies above the
 * faulting instruction is dropped. It must not see a program counter outside all modules (a call
 * through a null or wild pointer): libgcc looks there for the code of a signal frame, and faults.
 * Then, and where it knows nothing, the frame pointers are followed from the interrupted registers.
 * Those may be anything, so memory is read through a pipe: the kernel answers EFAULT where a load
 * would fault. The pipe is opened when needed: a descriptor kept for years may by then be a file of
 * the host's.
 *
 * Rejected: frame pointers alone (libc and most hosts are built without), libunwind (one more
 * library), backtrace() of libc (musl has none, glibc's loads libgcc_s by dlopen).
 *
 * With musl only frame pointers are followed: a gcc made for glibc and pointed at musl (Debian's
 * musl-gcc) has an unwinder that misses a function of glibc, and aborts without unwind tables.
 *
 * A stack that was overwritten with wild return addresses can make the unwinder fault: the process
 * then dies of that second fault.
 *
 * Stacks other than the faulting one are walked by cfi.c, which reads the same tables and begins
 * anywhere; frame pointers help out there, too.
 *
 * Nothing here allocates. dl_iterate_phdr takes the loader's lock, which is recursive: a fault inside the
 * loader can still be named. glibc does not renew that lock in the child of a fork, so no fork comes in between.
 */
#include "backends/fault/fault.h"

#include "backends/fault/cfi.h"
#include "backends/fault/elf.h"
#include "backends/machine.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <unwind.h>
#endif

enum { HANDLER_FRAMES = 64 }; /* more than lie between the unwinder's caller and the fault */

/* ---- Backtraces by unwind tables ---- */

#ifdef __GLIBC__
struct walk {
	void **pcs;
	size_t n, max;
	uintptr_t from; /* wanted: the frame with this pc, when `sought` */
	bool sought;
	size_t skip; /* frames left to skip, or to search */
};

static _Unwind_Reason_Code step(struct _Unwind_Context *c, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = (uintptr_t)_Unwind_GetIP(c);

	if (w->sought && pc == w->from)
		w->sought = false;
	else if (w->sought)
		return w->skip-- > 0 ? _URC_NO_REASON : _URC_END_OF_STACK;
	else if (w->skip > 0) {
		w->skip--;
		return _URC_NO_REASON;
	}
	if (pc == 0 && w->n > 0)
		return _URC_END_OF_STACK; /* the return address of a first frame */
	w->skip = 0;
	w->pcs[w->n++] = (void *)pc;
	return w->n < w->max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static RT_NOINLINE size_t unwind_here(void **pcs, size_t max)
{
	struct walk w = {.pcs = pcs, .max = max, .skip = 2}; /* this one and its caller */

	_Unwind_Backtrace(step, &w);
	return w.n;
}

static size_t unwind_fault(uintptr_t pc, void **pcs, size_t max)
{
	struct walk w = {
	        .pcs = pcs, .max = max, .from = pc, .sought = true, .skip = HANDLER_FRAMES};
	uintptr_t lo, hi;
	int whole;

	if (be_fault_module((void *)pc, &lo, &hi, &whole) == 0)
		_Unwind_Backtrace(step, &w);
	return w.n;
}
#else
static size_t unwind_here(void **pcs, size_t max)
{
	(void)pcs, (void)max;
	return 0;
}

static size_t unwind_fault(uintptr_t pc, void **pcs, size_t max)
{
	(void)pc, (void)pcs, (void)max;
	return 0;
}
#endif

/* ---- Backtraces by frame pointers ---- */

/* Two words that lie at `at`, without touching them. */
static bool peek(const int fds[2], uintptr_t at, uintptr_t words[2])
{
	enum { TWO = 2 * sizeof(uintptr_t) };

	return write(fds[1], (const void *)at, TWO) == TWO && read(fds[0], words, TWO) == TWO;
}

/* arm64 may have signed it. */
static void *unsigned_pc(uintptr_t pc)
{
#ifdef __aarch64__
	register uintptr_t x30 __asm__("x30") = pc;

	__asm__("hint #7" : "+r"(x30)); /* xpaclri */
	pc = x30;
#endif
	return (void *)pc;
}

static size_t follow(const int fds[2], const struct machine *m, void **pcs, size_t max)
{
	uintptr_t fp = m->fp, low = m->sp, words[2], lo, hi;
	size_t n = 0;
	int whole;

	pcs[n++] = (void *)m->pc;
	if (n < max && be_fault_module((void *)m->pc, &lo, &hi, &whole) != 0) {
		/* A call led here and nothing ran since: fp is still the caller's. */
		if (m->link != 0)
			pcs[n++] = unsigned_pc(m->link);
		else if (peek(fds, m->sp, words))
			pcs[n++] = (void *)words[0];
	}
	while (n < max && fp >= low && fp % sizeof fp == 0 &&
	       peek(fds, fp + (uintptr_t)MACHINE_FRAME, words) && words[1] != 0) {
		pcs[n++] = unsigned_pc(words[1]);
		low = fp + 1; /* outwards only: it ends */
		fp = words[0];
	}
	return n;
}

static size_t follow_frames(const struct machine *m, void **pcs, size_t max)
{
	int fds[2];
	size_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		pcs[0] = (void *)m->pc;
		return 1;
	}
	n = follow(fds, m, pcs, max);
	close(fds[0]);
	close(fds[1]);
	return n;
}

/* ---- Both ---- */

size_t be_fault_backtrace(const be_fault *f, void **pcs, size_t max)
{
	struct machine m = machine_get(f->machine);
	size_t n;

	if (max == 0)
		return 0;
	n = unwind_fault(f->pc, pcs, max);
	return n > 1 ? n : follow_frames(&m, pcs, max);
}

RT_NOINLINE size_t be_fault_backtrace_here(void **pcs, size_t max)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct machine m = {.pc = (uintptr_t)__builtin_return_address(0), .sp = frame};
	size_t n;

	if (max == 0)
		return 0;
	n = unwind_here(pcs, max);
	if (n > 1)
		return n;
	m.fp = *(const uintptr_t *)(frame + (uintptr_t)MACHINE_FRAME); /* the caller's */
	return follow_frames(&m, pcs, max);
}

/* ---- Any stack ---- */

void be_fault_place_of(const be_fault *f, be_fault_place *out)
{
	struct machine m = machine_get(f->machine);

	*out = (be_fault_place){
		.pc = m.pc, .sp = m.sp, .fp = m.fp, .link = m.link, .exact = true
	};
}

uintptr_t be_fault_caller(const be_fault_place *at)
{
#ifdef __x86_64__
	return *(const uintptr_t *)at->sp;
#else
	return (uintptr_t)unsigned_pc(at->link);
#endif
}

static void keep(be_fault_trace *t, const be_cfi_frame *f)
{
	be_fault_frame *to = t->n < BE_FAULT_KEEP ? &t->inner[t->n] : &t->outer[t->n % BE_FAULT_KEEP];

	*to = (be_fault_frame){ .pc = f->pc, .sp = f->reg[BE_CFI_SP], .exact = f->exact };
	t->n++;
}

/* Called through a wild pointer, and nothing ran since: the caller's frame is as it was. */
static bool step_wild(be_cfi_frame *f, bool first)
{
	uintptr_t sp = f->reg[BE_CFI_SP];
	be_module m;

	if (!first || !f->exact || be_module_find(f->pc, &m))
		return false;
#ifdef __x86_64__
	if (sp < f->lo || sp > f->hi - sizeof sp)
		return false;
	f->pc = *(const uintptr_t *)sp;
	be_cfi_set(f, BE_CFI_SP, sp + sizeof sp);
#else
	(void)sp;
	if (!(f->known >> BE_CFI_RA & 1) || f->reg[BE_CFI_RA] == 0)
		return false;
	f->pc = (uintptr_t)unsigned_pc(f->reg[BE_CFI_RA]);
#endif
	f->exact = false;
	return f->pc != 0;
}

static void walk(be_cfi_frame *f, be_fault_trace *t)
{
	bool first = true;

	do {
		keep(t, f);
		if (!step_wild(f, first) && !be_fault_cfi_step(f) && !be_fault_fp_step(f))
			return;
		first = false;
	} while (f->pc != 0);
}

static void begin_at(be_cfi_frame *f, const be_fault_place *from, void *lo, void *hi)
{
	*f = (be_cfi_frame){ .pc = from->pc, .exact = from->exact, .lo = (uintptr_t)lo, .hi = (uintptr_t)hi };
	be_cfi_set(f, BE_CFI_SP, from->sp);
	be_cfi_set(f, BE_CFI_FP, from->fp);
	if (from->link != 0)
		be_cfi_set(f, BE_CFI_RA, from->link);
}

void be_fault_walk(const be_fault_place *from, void *lo, void *hi, be_fault_trace *t)
{
	be_cfi_frame f;

	begin_at(&f, from, lo, hi);
	walk(&f, t);
}

RT_NOINLINE void be_fault_walk_here(void *lo, void *hi, be_fault_trace *t)
{
	struct machine m = machine_here();
	be_fault_place here = { .pc = m.pc, .sp = m.sp, .fp = m.fp, .exact = true };
	be_cfi_frame f;

	begin_at(&f, &here, lo, hi);
	if (be_fault_cfi_step(&f) || be_fault_fp_step(&f))
		walk(&f, t);
}

/* ---- Modules ---- */

struct search {
	uintptr_t code, lo, hi;
	int whole;
};

/* The program's own headers without a request for a loader: statically linked, with libc. */
static int is_static(const struct dl_phdr_info *in)
{
	if ((uintptr_t)in->dlpi_phdr != (uintptr_t)getauxval(AT_PHDR))
		return 0;
	for (int i = 0; i < in->dlpi_phnum; i++)
		if (in->dlpi_phdr[i].p_type == PT_INTERP)
			return 0;
	return 1;
}

static int look(struct dl_phdr_info *in, size_t size, void *arg)
{
	struct search *s = arg;
	uintptr_t lo = UINTPTR_MAX, hi = 0;
	bool inside = false;

	(void)size;
	for (int i = 0; i < in->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
		uintptr_t at = in->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		inside |= s->code - at < ph->p_memsz;
		lo = at < lo ? at : lo;
		hi = at + ph->p_memsz > hi ? at + ph->p_memsz : hi;
	}
	if (!inside)
		return 0;
	s->lo = lo;
	s->hi = hi;
	s->whole = is_static(in);
	return 1;
}

int be_fault_has_malloc(uintptr_t lo, uintptr_t hi)
{
	return (uintptr_t)dlsym(RTLD_DEFAULT, "malloc") - lo < hi - lo;
}

int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole)
{
	struct search s = {.code = (uintptr_t)code};
	int found;

	be_thread_nofork_begin();
	found = dl_iterate_phdr(look, &s);
	be_thread_nofork_end();
	*lo = s.lo;
	*hi = s.hi;
	*whole = s.whole;
	return found ? 0 : -ENOENT;
}
