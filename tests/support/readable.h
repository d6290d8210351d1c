/* readable.h: whether the system can read a byte of ours, found out without a fault. */
#ifndef TESTS_SUPPORT_READABLE_H
#define TESTS_SUPPORT_READABLE_H

#include <stdbool.h>

#ifdef _WIN32
#include <windows.h>

/* Not ReadProcessMemory: wine's reads protected memory too. */
static bool readable(const void *p)
{
	MEMORY_BASIC_INFORMATION info;

	return VirtualQuery(p, &info, sizeof info) != 0 && info.State == MEM_COMMIT &&
	       (info.Protect == PAGE_READONLY || info.Protect == PAGE_READWRITE); /* no PAGE_GUARD */
}
#else
#include <unistd.h>

static bool readable(const void *p)
{
	int fd[2];
	bool could;

	if (pipe(fd) != 0)
		return false;
	could = write(fd[1], p, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return could;
}
#endif

#endif
