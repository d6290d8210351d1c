/* crowd.c: whether the machine has a CPU for one thread more, where the system is POSIX. See thread.h.
 *
 * Linux tells in /proc/loadavg how many threads run or wait for a CPU at this moment, and in /sys which CPUs are on.
 * Both are the machine's: in a part of it (a mask of CPUs, a quota of a group) that is full the machine may not be, and
 * then this says "no" where "yes" were the better answer, never the other way. For that reason not sysconf, which in
 * some C libraries counts the mask.
 *
 * Rejected: the involuntary switches of this process (getrusage), since who gives way of itself is never switched
 * against its will although nothing is free; the time that its threads wait for CPUs (schedstat), which sees a CPU that
 * is missing only after somebody was started for whom there is none.
 */
#include "backends/thread/thread.h"

#include <stdlib.h>

#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { VAIN = -1, TEXT = 4096 };

/* -errno, or the descriptor. */
static int open_file(const char *name)
{
	int fd;

	do
		fd = open(name, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* From its beginning, as text. False: nothing came. */
static bool read_file(int fd, char *text, size_t cap)
{
	ssize_t n;

	do
		n = pread(fd, text, cap - 1, 0);
	while (n < 0 && errno == EINTR);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* "0-3,8": five. 0: it is something else. */
static int count_cpus(const char *list)
{
	int n = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (last < first || last > INT32_MAX / 2)
			return 0;
		n += (int)(last - first) + 1;
		list = *end == ',' ? end + 1 : end;
	}
	return n;
}

/* "0.61 1.51 2.61 2/80 12394": two of eighty threads. 0: it is something else; the caller runs. */
static long running(const char *text)
{
	const char *slash = strchr(text, '/'), *space = slash;

	while (space != NULL && space > text && *space != ' ')
		space--;
	return space == NULL ? 0 : strtol(space, NULL, 10);
}

/* How many threads run, with the caller; 0: that is not the file, or not any more. */
static long ask(int fd)
{
	char text[128];

	return read_file(fd, text, sizeof text) ? running(text) : 0;
}

/* 0; -errno: not now, or (EINVAL) never. */
static int begin(be_crowd *c)
{
	char text[TEXT];
	int fd = open_file("/sys/devices/system/cpu/online");

	if (fd < 0)
		return fd;
	c->cpus = read_file(fd, text, sizeof text) ? count_cpus(text) : 0;
	close(fd);
	if (c->cpus <= 0)
		return -EINVAL;
	fd = open_file("/proc/loadavg");
	if (fd < 0)
		return fd;
	if (ask(fd) <= 0) {
		close(fd);
		return -EINVAL;
	}
	c->file = fd + 1;
	return 0;
}

int be_crowd_now(be_crowd *c)
{
	int saved = errno, r = c->file == 0 ? begin(c) : 0;
	long n = r == 0 && c->file > 0 ? ask(c->file - 1) : 0;

	/* A program may close what it does not know, and the number be another file's by now: it is left alone. */
	if (n <= 0 && r != -EMFILE && r != -ENFILE && r != -ENOMEM)
		c->file = VAIN;
	errno = saved;
	return n <= 0 ? -1 : n > c->cpus;
}

void be_crowd_free(be_crowd *c)
{
	if (c->file > 0 && ask(c->file - 1) > 0) /* else it is another file's number */
		close(c->file - 1);
	c->file = 0;
}
#else
int be_crowd_now(be_crowd *c)
{
	(void)c;
	return -1;
}

void be_crowd_free(be_crowd *c)
{
	(void)c;
}
#endif
