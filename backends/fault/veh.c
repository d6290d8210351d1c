/* veh.c: faults on Windows, by a vectored exception handler.
 *
 * Vectored handlers belong to the process and form a chain of their own: ours is put first, answers
 * for the exceptions that fault.h means and passes everything else on (EXCEPTION_CONTINUE_SEARCH),
 * so removing it needs no care for others. An exception raised by software under the same code
 * looks like a fault; nothing tells them apart.
 *
 * The handler runs on the stack of the fault. For the overflow of a stack that grows by guard pages
 * the system keeps some room; attach asks for more (there are no alternate stacks), and nothing
 * takes that back, for the system only lets it grow. After such an overflow the guard page is gone
 * until the thread ends: who lands then ends the run, as gort does. A stack whose end is only
 * inaccessible memory leaves the system no room for the exception, and the process dies: hence
 * goroutine stacks grow the same way and keep be_fault_stack_room below them (core/stack/pool.c).
 *
 * Landing rewrites the CONTEXT with which the system goes on. Backtraces use RtlVirtualUnwind, the
 * unwinder of the system, from the interrupted registers; frames without a description are
 * leaf functions by definition. Rejected: RtlCaptureStackBackTrace (begins at its caller only),
 * frame pointers (nobody on Windows keeps them), SetUnhandledExceptionFilter (too late: __except of
 * the host has been asked before).
 *
 * Function names would need the symbol library, which allocates and locks; addr2line takes
 * module+offset.
 */
#include "backends/fault/fault.h"

#include "backends/machine_win32.h"
#include "core/base/atomic.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <windows.h>

enum { ROOM = 32 << 10, WALK_ROOM = 12 << 10 }; /* for the handler, below an overflown stack */

const char be_fault_name[] = "veh";
const bool be_fault_works = true;
const size_t be_fault_stack_room = ROOM;

/* guarded by `lock` */
static SRWLOCK lock = SRWLOCK_INIT;
static unsigned users;
static void *installed;
/* A be_fault_handler; set before ours is in place. */
static rt_atomicptr handler;

/* ---- The handler ---- */

/* 0: not a fault. */
static int signal_of(DWORD code)
{
	switch (code) {
	case EXCEPTION_ACCESS_VIOLATION:
	case EXCEPTION_STACK_OVERFLOW:
	case EXCEPTION_IN_PAGE_ERROR:
	case EXCEPTION_DATATYPE_MISALIGNMENT:
	case EXCEPTION_ARRAY_BOUNDS_EXCEEDED:
		return SIGSEGV;
	case EXCEPTION_INT_DIVIDE_BY_ZERO:
	case EXCEPTION_INT_OVERFLOW:
	case EXCEPTION_FLT_DIVIDE_BY_ZERO:
	case EXCEPTION_FLT_INVALID_OPERATION:
	case EXCEPTION_FLT_OVERFLOW:
	case EXCEPTION_FLT_UNDERFLOW:
	case EXCEPTION_FLT_INEXACT_RESULT:
	case EXCEPTION_FLT_DENORMAL_OPERAND:
		return SIGFPE;
	default:
		return 0;
	}
}

static uintptr_t stack_limit(void)
{
	uintptr_t limit;

	__asm__ volatile("movq %%gs:0x10, %0" : "=r"(limit));
	return limit;
}

/* The access that found a stack used up may lie above its last guard page, or be the system's own, when it had no room
 * to report something else: then the record names no address. The limit is certain. */
static uintptr_t address_of(const EXCEPTION_RECORD *r, const CONTEXT *c)
{
	if (r->ExceptionCode == EXCEPTION_STACK_OVERFLOW)
		return stack_limit();
	if (signal_of(r->ExceptionCode) == SIGFPE)
		return c->Rip;
	return r->NumberParameters >= 2 ? r->ExceptionInformation[1] : c->Rsp;
}

/* Go prints the numbers here. */
static const char *what(DWORD code)
{
	switch (code) {
	case EXCEPTION_ACCESS_VIOLATION:
		return "0xc0000005";
	case EXCEPTION_IN_PAGE_ERROR:
		return "0xc0000006";
	case EXCEPTION_INT_DIVIDE_BY_ZERO:
		return "0xc0000094";
	default:
		return "exception";
	}
}

static LONG CALLBACK on_fault(EXCEPTION_POINTERS *e)
{
	const EXCEPTION_RECORD *r = e->ExceptionRecord;
	CONTEXT *c = e->ContextRecord;
	be_fault_handler fn = (be_fault_handler)rt_loadptr_acq(&handler);
	be_fault f = {.signal = signal_of(r->ExceptionCode),
	              .code = r->NumberParameters >= 1 ? (int)r->ExceptionInformation[0] : 0,
	              .address = address_of(r, c),
	              .pc = c->Rip,
	              .sp = c->Rsp,
	              .what = what(r->ExceptionCode),
	              .access = r->ExceptionCode == EXCEPTION_ACCESS_VIOLATION,
	              .divide = r->ExceptionCode == EXCEPTION_INT_DIVIDE_BY_ZERO,
	              .machine = c};
	be_fault_action act = {0};
	DWORD saved;
	int answer;

	if (f.signal == 0)
		return EXCEPTION_CONTINUE_SEARCH;
	saved = GetLastError();
	answer = fn(&f, &act);
	SetLastError(saved);
	if (answer != BE_FAULT_LAND)
		return EXCEPTION_CONTINUE_SEARCH;
	machine_land(c, act.land, act.arg, act.stack_top);
	return EXCEPTION_CONTINUE_EXECUTION;
}

static int first_init(be_fault_handler fn)
{
	rt_storeptr_rel(&handler, (void *)fn);
	installed = AddVectoredExceptionHandler(1, on_fault);
	return installed != NULL ? 0 : -ENOMEM;
}

int be_fault_init(be_fault_handler fn)
{
	int err = 0;

	AcquireSRWLockExclusive(&lock);
	if (users == 0)
		err = first_init(fn);
	else if (rt_loadptr_rlx(&handler) != (void *)fn)
		err = -EBUSY; /* one handler a process */
	if (err == 0)
		users++;
	ReleaseSRWLockExclusive(&lock);
	return err;
}

/* A handler that is running while it is removed still finds `handler`. */
void be_fault_fini(void)
{
	AcquireSRWLockExclusive(&lock);
	if (--users == 0)
		RemoveVectoredExceptionHandler(installed);
	ReleaseSRWLockExclusive(&lock);
}

int be_fault_attach(void)
{
	ULONG size = ROOM;

	return SetThreadStackGuarantee(&size) ? 0 : -ENOMEM;
}

void be_fault_detach(void)
{
}

/* ---- Backtraces ---- */

/* Makes c its caller's. False: there is none. */
static bool step(CONTEXT *c, uintptr_t stack_end)
{
	DWORD64 base, establisher;
	uintptr_t before = c->Rsp;
	RUNTIME_FUNCTION *in = RtlLookupFunctionEntry(c->Rip, &base, NULL);
	void *data = NULL;

	if (in != NULL) {
		RtlVirtualUnwind(UNW_FLAG_NHANDLER, base, c->Rip, in, c, &data, &establisher, NULL);
	} else {
		SIZE_T got;

		if (!ReadProcessMemory(GetCurrentProcess(), (void *)c->Rsp, &c->Rip, sizeof c->Rip,
		                       &got))
			return false;
		c->Rsp += sizeof c->Rip;
	}
	return c->Rip != 0 && c->Rsp > before && c->Rsp <= stack_end;
}

/* The frames that lie between here and the end of the stack that the thread runs on. */
static size_t walk(CONTEXT *c, void **pcs, size_t max)
{
	uintptr_t end;
	size_t n = 0;

	__asm__("movq %%gs:0x08, %0" : "=r"(end)); /* StackBase of the thread's block */
	do
		pcs[n++] = (void *)c->Rip;
	while (n < max && step(c, end));
	return n;
}

static RT_NOINLINE size_t walk_from(const CONTEXT *from, void **pcs, size_t max)
{
	CONTEXT c = *from;

	return walk(&c, pcs, max);
}

/* An overflow may have left less room than unwinding needs (wine ignores what attach asks for);
 * then the place of the fault has to do. */
static bool has_room(void)
{
	uintptr_t lowest;

	__asm__("movq %%gs:0x1478, %0" : "=r"(lowest)); /* DeallocationStack */
	return (uintptr_t)&lowest - lowest >= WALK_ROOM;
}

size_t be_fault_backtrace(const be_fault *f, void **pcs, size_t max)
{
	if (max == 0)
		return 0;
	if (has_room())
		return walk_from(f->machine, pcs, max);
	pcs[0] = (void *)f->pc;
	return 1;
}

RT_NOINLINE size_t be_fault_backtrace_here(void **pcs, size_t max)
{
	CONTEXT c;
	uintptr_t end;

	RtlCaptureContext(&c);
	__asm__("movq %%gs:0x08, %0" : "=r"(end));
	if (max == 0 || !step(&c, end)) /* this function's frame */
		return 0;
	return walk(&c, pcs, max);
}

uintptr_t be_fault_caller(const be_fault_place *at)
{
	return *(const uintptr_t *)at->sp;
}

void be_fault_place_of(const be_fault *f, be_fault_place *out)
{
	const CONTEXT *c = f->machine;

	*out = (be_fault_place){ .pc = c->Rip, .sp = c->Rsp, .fp = c->Rbp, .exact = true };
}

static void keep(be_fault_trace *t, uintptr_t pc, uintptr_t sp, bool exact)
{
	be_fault_frame *to = t->n < BE_FAULT_KEEP ? &t->inner[t->n] : &t->outer[t->n % BE_FAULT_KEEP];

	*to = (be_fault_frame){ .pc = pc, .sp = sp, .exact = exact };
	t->n++;
}

static void walk_any(CONTEXT *c, void *lo, void *hi, be_fault_trace *t)
{
	while (step(c, (uintptr_t)hi) && c->Rsp >= (uintptr_t)lo)
		keep(t, c->Rip, c->Rsp, false);
}

static RT_NOINLINE void walk_place(const be_fault_place *from, void *lo, void *hi, be_fault_trace *t)
{
	CONTEXT c = { .ContextFlags = CONTEXT_FULL };

	c.Rip = from->pc;
	c.Rsp = from->sp;
	c.Rbp = from->fp;
	walk_any(&c, lo, hi, t);
}

void be_fault_walk(const be_fault_place *from, void *lo, void *hi, be_fault_trace *t)
{
	keep(t, from->pc, from->sp, from->exact);
	if (has_room())
		walk_place(from, lo, hi, t);
}

RT_NOINLINE void be_fault_walk_here(void *lo, void *hi, be_fault_trace *t)
{
	CONTEXT c;

	RtlCaptureContext(&c); /* in this function, whose frame is left by the first step */
	walk_any(&c, lo, hi, t);
}

/* ---- Names and modules ---- */

struct text {
	char *at, *end; /* end: the place of the NUL at the latest */
};

static void put(struct text *t, char c)
{
	if (t->at < t->end)
		*t->at++ = c;
}

static HMODULE module_of(const void *code)
{
	HMODULE m;

	return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
	                                  GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
	                          (LPCWSTR)code, &m)
	               ? m
	               : NULL;
}

/* The wide call copies; the narrow one allocates. */
static void put_name(struct text *t, HMODULE m)
{
	WCHAR path[MAX_PATH], *name = path;
	DWORD n = GetModuleFileNameW(m, path, MAX_PATH - 1);

	path[n] = 0;
	for (WCHAR *p = path; *p != 0; p++)
		if (*p == '\\' || *p == '/')
			name = p + 1;
	for (; *name != 0; name++)
		put(t, *name < 0x80 ? (char)*name : '?');
}

struct be_fault_files {
	char none;
};
const size_t be_fault_files_size = sizeof(struct be_fault_files);

int be_fault_lookup(be_fault_files *files, uintptr_t pc, bool exact, be_fault_symbol *out)
{
	HMODULE m = module_of((void *)(exact ? pc : pc - 1));
	struct text t = {out->file, out->file + sizeof out->file - 1};

	(void)files;
	*out = (be_fault_symbol){ .offset = pc - (uintptr_t)m };
	if (m == NULL)
		return -ENOENT;
	put_name(&t, m);
	return 0;
}

void be_fault_files_close(be_fault_files *files)
{
	(void)files;
}

/* libc is a library of the system's here, never part of the module. */
int be_fault_has_malloc(uintptr_t lo, uintptr_t hi)
{
	(void)lo;
	(void)hi;
	return 0;
}

int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole)
{
	uintptr_t base = (uintptr_t)module_of(code), at = (uintptr_t)code;
	const IMAGE_NT_HEADERS *nt;
	const IMAGE_SECTION_HEADER *s;
	bool inside = false;

	*lo = UINTPTR_MAX;
	*hi = 0;
	*whole = 0;
	if (base != 0) {
		nt = (const IMAGE_NT_HEADERS *)(base + (uintptr_t)((IMAGE_DOS_HEADER *)base)->e_lfanew);
		s = IMAGE_FIRST_SECTION(nt);
		for (int i = 0; i < nt->FileHeader.NumberOfSections; i++, s++) {
			uintptr_t from = base + s->VirtualAddress;

			if (!(s->Characteristics & IMAGE_SCN_MEM_EXECUTE))
				continue;
			inside |= at - from < s->Misc.VirtualSize;
			*lo = from < *lo ? from : *lo;
			*hi = from + s->Misc.VirtualSize > *hi ? from + s->Misc.VirtualSize : *hi;
		}
	}
	if (inside)
		return 0;
	*lo = *hi = 0;
	return -ENOENT;
}
