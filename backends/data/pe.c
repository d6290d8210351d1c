/* pe.c: writable memory of images, which VirtualQuery tells from other memory.
 *
 * No lock of the loader keeps a library that another thread frees, so what fn sees is a copy: ReadProcessMemory of our
 * own process ends where memory does and does not fault. Rejected: the list of modules and their section tables (a
 * second source for what the memory manager knows, and both may be gone while they are read).
 */
#include "backends/data/data.h"

#include <windows.h>

#include <stdint.h>

const char be_data_name[] = "pe";
const bool be_data_works = true;

enum { WINDOW = 16 << 10 };

/* False: fn has had enough. */
static bool copy(be_data_fn *fn, void *arg, const char *from, size_t n)
{
	uintptr_t words[WINDOW / sizeof(uintptr_t)];
	SIZE_T got = 0;

	if (!ReadProcessMemory(GetCurrentProcess(), from, words, n, &got))
		return true; /* it is gone */
	return fn(arg, (uintptr_t)from, words, got);
}

static bool region(be_data_fn *fn, void *arg, const char *p, size_t n)
{
	for (size_t at = 0; at < n; at += WINDOW)
		if (!copy(fn, arg, p + at, n - at < WINDOW ? n - at : WINDOW))
			return false;
	return true;
}

static bool writable(const MEMORY_BASIC_INFORMATION *m)
{
	const DWORD write = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;

	return m->State == MEM_COMMIT && m->Type == MEM_IMAGE && (m->Protect & write) && !(m->Protect & PAGE_GUARD);
}

void be_data_each(be_data_fn *fn, void *arg)
{
	MEMORY_BASIC_INFORMATION m;
	SYSTEM_INFO si;
	const char *p;

	GetSystemInfo(&si);
	for (p = si.lpMinimumApplicationAddress; p < (const char *)si.lpMaximumApplicationAddress;
	     p = (const char *)m.BaseAddress + m.RegionSize) {
		if (VirtualQuery(p, &m, sizeof m) == 0)
			return;
		if (writable(&m) && !region(fn, arg, m.BaseAddress, m.RegionSize))
			return;
	}
}
