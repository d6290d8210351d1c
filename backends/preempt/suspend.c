/* suspend.c: SuspendThread stops a thread, and leaves it so. Windows, x86-64.
 *
 * There is no handler: who asks also decides, while the other thread stands still, and takes locks
 * and wakes threads for that. What WaitOnAddress needs for this is guarded by spin locks in ntdll,
 * and the other thread may hold one: nobody would ever give it back. So a thread whose next
 * instruction lies in ntdll is let go at once and asked again a moment later, unless it has just
 * come to a system call: there it holds none of them, even if it sleeps for an hour. (A system
 * call returns to the `ret` behind its instruction, under wine as well.) Other locks of the
 * system, of its heap first of all, may be held as the contract says.
 *
 * SuspendThread only asks; GetThreadContext returns when the thread stands still. It has then been
 * interrupted, which is the fence (FlushProcessWriteBuffers would be cheaper, but does nothing
 * under wine).
 *
 * CPU time. What the system counts has the grain of its clock, 10 to 16 ms, longer than a turn. So
 * it is estimated: a thread that stands at the same system call with the same registers as 4 ms
 * before, and whose counted time is the same, slept; any other computed all the time. Asked
 * between two looks, the last answer holds. One that was not at a system call is looked at again only after a turn:
 * each look is a stop, and on a machine whose CPUs all compute a stop takes a millisecond or two, in which nobody
 * ends turns.
 *
 * `pending` is a lock: whoever suspends t or looks at its record holds it. stop and detach wait
 * for it; fence and cputime may be called under a lock that decide takes and do not. `word` says
 * that t stands. resume does not need the lock: it clears `word` when the context is as it should
 * be, and only then may the next stop look at it. Suspensions are counted, so both may overlap.
 *
 * Rejected: a context that calls something on the thread itself (it would have to decide on a
 * stack that may be the system's, in the middle of its locks); to let the thread go on and stop by
 * itself at its next call of the runtime (that is `cooperative`).
 */
#include "backends/preempt/preempt.h"

#include "backends/machine_win32.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <string.h>

const char be_preempt_name[] = "suspend";
const bool be_preempt_in_place = true;

enum { YIELDS = 4, TRIES = 12 }; /* of a stop, until the thread is where it may stand; who asks asks again later */
#define MS INT64_C(1000000)
#define SAMPLE (4 * MS)
#define SAMPLE_COMPUTES (10 * MS)
#define RIGHTS (THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_SET_CONTEXT | THREAD_QUERY_INFORMATION)

/* Of an attached thread; be_preempt.thread points to it. */
typedef struct record {
	CONTEXT context; /* where it stands, while `word` is 1 */
	HANDLE handle;
	int64_t value, at; /* of cputime, and when that was */
	int64_t sampled;
	CONTEXT seen;      /* at the last look, if it was in a system call */
	uint64_t counted;
	bool calling, asleep;
} record;

static SRWLOCK lock = SRWLOCK_INIT;
static unsigned users; /* guarded by lock */
/* written by the first init */
static rt_atomicptr decide;
static uintptr_t ntdll, ntdll_end;

/* ---- The lock of a thread ---- */

static bool try_take(be_preempt *t)
{
	return rt_load32_rlx(&t->pending) == 0 && rt_xchg32_acq(&t->pending, 1) == 0;
}

static void take(be_preempt *t)
{
	while (!try_take(t))
		be_thread_yield();
}

static void give(be_preempt *t)
{
	rt_store32_rel(&t->pending, 0);
}

static record *record_of(const be_preempt *t)
{
	return (record *)(uintptr_t)rt_load64_acq(&t->thread);
}

/* ---- Standing still ---- */

static bool suspend(record *r, CONTEXT *c)
{
	if (SuspendThread(r->handle) == (DWORD)-1)
		return false;
	c->ContextFlags = CONTEXT_FULL;
	if (GetThreadContext(r->handle, c))
		return true;
	ResumeThread(r->handle);
	return false;
}

static bool in_ntdll(const CONTEXT *c)
{
	return c->Rip - ntdll < ntdll_end - ntdll;
}

/* At the `ret` after `syscall` or `int 2e`; the thread is in ntdll. */
static bool in_call(const CONTEXT *c)
{
	const unsigned char *pc = (const unsigned char *)c->Rip;

	return pc[0] == 0xc3 && ((pc[-2] == 0x0f && pc[-1] == 0x05) || (pc[-2] == 0xcd && pc[-1] == 0x2e));
}

static void land(be_preempt *t, record *r)
{
	machine_land(&r->context, t->land, t->land_arg, t->land_top);
	t->land = NULL;
	SetThreadContext(r->handle, &r->context);
}

static void go_on(be_preempt *t, record *r)
{
	rt_store32_rel(&t->word, 0);
	ResumeThread(r->handle);
}

/* The thread stands, and its context is in r. */
static void stopped(be_preempt *t, record *r)
{
	be_preempt_decide fn = (be_preempt_decide)rt_loadptr_acq(&decide);
	be_preempt_at at = { r->context.Rip, r->context.Rsp };
	int answer = BE_PREEMPT_GO;

	rt_store32_rel(&t->word, 1);
	if (fn != NULL)
		answer = fn(t, &at);
	if (answer == BE_PREEMPT_STAY)
		return; /* it may have gone on already */
	if (answer == BE_PREEMPT_LAND)
		land(t, r);
	go_on(t, r);
}

static int try_stop(be_preempt *t)
{
	record *r = record_of(t);

	if (r == NULL)
		return -ESRCH;
	if (rt_load32_acq(&t->word) != 0)
		return 0; /* it stands already */
	if (!suspend(r, &r->context))
		return -ESRCH;
	if (in_ntdll(&r->context) && !in_call(&r->context)) {
		ResumeThread(r->handle);
		return -EAGAIN;
	}
	stopped(t, r);
	return 0;
}

int be_preempt_stop(be_preempt *t)
{
	DWORD error = GetLastError();
	int err;

	take(t);
	err = try_stop(t);
	for (int i = 1; err == -EAGAIN && i < TRIES; i++) {
		/* For it to get somewhere else; it may have to wait for a CPU, ours for instance. */
		if (i < YIELDS)
			be_thread_yield();
		else
			be_thread_nap(MS);
		err = try_stop(t);
	}
	give(t);
	SetLastError(error);
	return err;
}

int be_preempt_resume(be_preempt *t)
{
	DWORD error = GetLastError();
	record *r = record_of(t);

	if (r == NULL || rt_load32_acq(&t->word) == 0)
		return -ESRCH;
	if (t->land != NULL)
		land(t, r);
	go_on(t, r);
	SetLastError(error);
	return 0;
}

/* All of the context: vector registers hold pointers, too. */
int be_preempt_regs(be_preempt *t, const uintptr_t **regs, size_t *n)
{
	record *r = record_of(t);

	if (r == NULL || rt_load32_acq(&t->word) == 0)
		return -ESRCH;
	*regs = (const uintptr_t *)&r->context;
	*n = sizeof r->context / sizeof(uintptr_t);
	return 0;
}

bool be_preempt_fence(be_preempt *t)
{
	DWORD error = GetLastError();
	record *r;
	CONTEXT c;
	bool done = false;

	if (!try_take(t))
		return false;
	r = record_of(t);
	if (r != NULL && suspend(r, &c)) {
		ResumeThread(r->handle);
		done = true;
	}
	give(t);
	SetLastError(error);
	return done;
}

/* ---- CPU time ---- */

static uint64_t counted(record *r)
{
	FILETIME created, ended, kernel, user;

	if (!GetThreadTimes(r->handle, &created, &ended, &kernel, &user))
		return 0;
	return ((uint64_t)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
	       ((uint64_t)user.dwHighDateTime << 32 | user.dwLowDateTime);
}

/* From Rax to Rip. */
static bool same_registers(const CONTEXT *a, const CONTEXT *b)
{
	return memcmp(&a->Rax, &b->Rax, (size_t)((char *)(&a->Rip + 1) - (char *)&a->Rax)) == 0;
}

static bool sleeps(record *r)
{
	uint64_t before = r->counted;
	bool was = r->calling;
	CONTEXT c;

	r->calling = false;
	if (!suspend(r, &c))
		return false;
	r->calling = in_ntdll(&c) && in_call(&c);
	ResumeThread(r->handle);
	if (r->calling)
		r->counted = counted(r);
	was = was && r->calling && r->counted == before && same_registers(&c, &r->seen);
	r->seen = c;
	return was;
}

static int64_t estimate(record *r)
{
	int64_t now = be_nanotime();

	if (r->sampled == 0)
		r->sampled = r->at = now;
	if (now - r->sampled >= (r->calling ? SAMPLE : SAMPLE_COMPUTES)) {
		r->asleep = sleeps(r);
		r->sampled = now;
	}
	if (!r->asleep)
		r->value += now - r->at;
	r->at = now;
	return r->value;
}

int64_t be_preempt_cputime(be_preempt *t)
{
	DWORD error = GetLastError();
	int64_t ns = -1;
	record *r;

	if (!try_take(t))
		return -1; /* it is being stopped */
	r = record_of(t);
	if (r != NULL)
		ns = estimate(r);
	give(t);
	SetLastError(error);
	return ns;
}

/* The estimate of its CPU time has looked. */
bool be_preempt_sleeps(be_preempt *t)
{
	(void)t;
	return true;
}

/* ---- The process and its threads ---- */

static void find_ntdll(void)
{
	uintptr_t base = (uintptr_t)GetModuleHandleW(L"ntdll.dll");
	const IMAGE_NT_HEADERS *nt =
	        (const IMAGE_NT_HEADERS *)(base + (uintptr_t)((IMAGE_DOS_HEADER *)base)->e_lfanew);

	ntdll = base;
	ntdll_end = base + nt->OptionalHeader.SizeOfImage;
}

int be_preempt_init(be_preempt_decide fn)
{
	int err = 0;

	AcquireSRWLockExclusive(&lock);
	if (users == 0) {
		find_ntdll(); /* loaded always, and never unloaded */
		rt_storeptr_rel(&decide, (void *)fn);
	} else if (rt_loadptr_rlx(&decide) != (void *)fn) {
		err = -EBUSY;
	}
	if (err == 0)
		users++;
	ReleaseSRWLockExclusive(&lock);
	return err;
}

void be_preempt_fini(void)
{
	AcquireSRWLockExclusive(&lock);
	if (--users == 0)
		rt_storeptr_rel(&decide, NULL);
	ReleaseSRWLockExclusive(&lock);
}

/* Not from the heap: a thread that stands may hold its lock. */
int be_preempt_attach(be_preempt *self)
{
	HANDLE process = GetCurrentProcess(), handle;
	record *r;

	*self = (be_preempt){ 0 };
	r = VirtualAlloc(NULL, sizeof *r, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	if (r == NULL)
		return -ENOMEM;
	if (!DuplicateHandle(process, GetCurrentThread(), process, &handle, RIGHTS, FALSE, 0)) {
		VirtualFree(r, 0, MEM_RELEASE);
		return -ENOMEM;
	}
	r->handle = handle;
	rt_store64_rel(&self->thread, (uint64_t)(uintptr_t)r);
	return 0;
}

void be_preempt_detach(be_preempt *self)
{
	record *r;

	take(self);
	r = record_of(self);
	rt_store64_rel(&self->thread, 0);
	give(self);
	if (r == NULL)
		return; /* attach had failed */
	CloseHandle(r->handle);
	VirtualFree(r, 0, MEM_RELEASE);
}
