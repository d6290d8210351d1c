/* win32.c: threads, parking, clock, CPUs and the self word on Windows. See thread.h and self.h.
 *
 * Parking is WaitOnAddress, which compares and queues as a futex does. Its timer has a granularity of milliseconds, so
 * short times are rounded up, and a time-out that comes before its time is reported as a
 * wake-up without a reason.
 *
 * The self word is a slot of the system's thread-local array: `_Thread_local` is emulated by this
 * tool chain (12 ns, and it allocates). The first 64 slots lie in the thread's own block at
 * gs:0x1480, a place that every debugger and language run-time relies on; later ones are read by the system's function.
 *
 * Rejected: events or semaphores for each thread (one more object to keep for every M, and they
 * wake by handle, so that the word's memory would have to outlive the wake).
 */
#include "backends/thread/thread.h"

#include "backends/thread/self.h"
#include "core/base/check.h"

#include <errno.h>
#include <process.h>
#include <stdlib.h>
#include <windows.h>

#define MS INT64_C(1000000)

const char be_thread_name[] = "win32";

/* ---- The self word ---- */

static DWORD slot = TLS_OUT_OF_INDEXES;

__attribute__((constructor)) static void slot_take(void)
{
	slot = TlsAlloc();
	if (slot == TLS_OUT_OF_INDEXES)
		rt_throw("no thread-local slot");
}

/* For a library that is unloaded. In the program itself this runs at its exit, when other threads
 * may still read the slot. */
__attribute__((destructor)) static void slot_give(void)
{
	HMODULE mine = NULL;

	GetModuleHandleEx(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
	                          GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
	                  (const char *)&slot, &mine);
	if (mine != GetModuleHandle(NULL))
		TlsFree(slot);
}

__attribute__((noinline)) void *be_self_get(void)
{
	DWORD error;
	void *p;

#ifdef __x86_64__
	if (RT_LIKELY(slot < 64)) {
		__asm__ volatile("movq %%gs:0x1480(,%1,8), %0"
		                 : "=r"(p)
		                 : "r"((uint64_t)slot)
		                 : "memory");
		return p;
	}
#endif
	error = GetLastError(); /* reading the slot clears it */
	p = TlsGetValue(slot);
	SetLastError(error);
	return p;
}

__attribute__((noinline)) void be_self_set(void *p)
{
	if (!TlsSetValue(slot, p))
		rt_throw("the thread-local slot cannot be set");
}

/* ---- Threads ---- */

struct start {
	void (*fn)(void *);
	void *arg;
};

static unsigned __stdcall trampoline(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	s.fn(s.arg);
	return 0;
}

int be_thread_start(be_thread *out, void (*fn)(void *), void *arg, size_t stack_size)
{
	struct start *s = malloc(sizeof *s);
	uintptr_t h;

	if (s == NULL || stack_size > UINT32_MAX) {
		free(s);
		return -ENOMEM;
	}
	*s = (struct start){fn, arg};
	/* Through the C library, which prepares its own per-thread data. */
	h = _beginthreadex(NULL, (unsigned)stack_size, trampoline, s,
	                   STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
	if (h == 0) {
		int err = errno;

		free(s);
		return err == ENOMEM || err == EACCES ? -ENOMEM : -EAGAIN;
	}
	out->opaque[0] = h;
	out->opaque[1] = 0;
	return 0;
}

/* Neither fails unless the handle is no thread's: there is nothing to try again. */
void be_thread_join(be_thread *t)
{
	HANDLE h = (HANDLE)t->opaque[0];
	DWORD r = WaitForSingleObject(h, INFINITE);
	char what[80];

	if (r != WAIT_OBJECT_0 || !CloseHandle(h)) {
		rt_format(what, sizeof what, "joined a thread that cannot be joined: wait %u, error %u", (unsigned)r,
		          (unsigned)GetLastError());
		rt_throw(what);
	}
}

uint64_t be_thread_id(void)
{
	return GetCurrentThreadId();
}

int be_thread_stack(void **lo, void **hi)
{
	ULONG_PTR low, high;

	GetCurrentThreadStackLimits(&low, &high);
	*lo = (void *)low;
	*hi = (void *)high;
	return 0;
}

int be_thread_atfork(void (*child)(void))
{
	(void)child; /* there is no fork */
	return 0;
}

void be_thread_nofork_begin(void)
{
}

void be_thread_nofork_end(void)
{
}

/* ---- Parking ---- */

static DWORD milliseconds(int64_t ns)
{
	int64_t ms = ns / MS + (ns % MS != 0);

	return ns < 0 ? INFINITE : ms < INFINITE ? (DWORD)ms : INFINITE - 1;
}

int be_thread_park(rt_atomic32 *word, uint32_t expect, int64_t ns)
{
	int64_t begin = ns < 0 ? 0 : be_nanotime();
	DWORD error = GetLastError();
	int r = 0;

	if (!WaitOnAddress(&word->v, &expect, sizeof expect, milliseconds(ns))) {
		if (GetLastError() != ERROR_TIMEOUT)
			rt_throw("WaitOnAddress failed");
		if (ns >= 0 && be_nanotime() - begin >= ns)
			r = -ETIMEDOUT;
	}
	SetLastError(error);
	return r;
}

void be_thread_wake(rt_atomic32 *word, int n)
{
	DWORD error = GetLastError();

	if (n == 1)
		WakeByAddressSingle(&word->v);
	else if (n > 1)
		WakeByAddressAll(&word->v); /* those too many look again and sleep on */
	SetLastError(error);
}

/* FlushProcessWriteBuffers is that fence, but does nothing under wine, where it would be tested. */
bool be_thread_fences(void)
{
	return false;
}

int be_thread_fence_all(void)
{
	return -ENOSYS;
}

/* ---- Clock and CPUs ---- */

int64_t be_thread_slack(int64_t ns)
{
	(void)ns;
	return 0;
}

/* The counters of the system tell how long the queue is only to who may ask for them. */
int be_crowd_now(be_crowd *c)
{
	(void)c;
	return -1;
}

void be_crowd_free(be_crowd *c)
{
	(void)c;
}

void be_thread_yield(void)
{
	SwitchToThread();
}

/* Sleep has a granularity of a millisecond or more; a shorter nap gives up the CPU repeatedly. */
void be_thread_nap(int64_t ns)
{
	int64_t until = be_nanotime() + ns;

	if (ns >= MS) {
		Sleep(milliseconds(ns));
		return;
	}
	while (be_nanotime() < until)
		SwitchToThread();
}

int64_t be_nanotime(void)
{
	LARGE_INTEGER frequency, now;
	int64_t f, t;

	/* Neither fails since Windows XP. The frequency is read from a shared page: not worth a cache. */
	QueryPerformanceFrequency(&frequency);
	QueryPerformanceCounter(&now);
	f = frequency.QuadPart;
	t = now.QuadPart;
	return t / f * 1000000000 + t % f * 1000000000 / f;
}

int64_t be_walltime(void)
{
	FILETIME t; /* 100 ns since 1601 */

	GetSystemTimePreciseAsFileTime(&t);
	return ((int64_t)((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) - 116444736000000000) * 100;
}

int be_ncpu(void)
{
	DWORD_PTR mine = 0, all = 0;
	int n = 0;

	/* Both masks are 0 for a process that spans groups of 64 CPUs; it may then use every group. */
	if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all) && mine != 0)
		for (; mine != 0; mine &= mine - 1)
			n++;
	else
		n = (int)GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
	return n > 0 ? n : 1;
}
