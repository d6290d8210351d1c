/* mmap.c: address space on POSIX systems. What is promised stands in arena.h.
 *
 * Reserved is PROT_NONE + MAP_NORESERVE: it costs no memory and, where the system accounts strictly
 * (vm.overcommit_memory=2), no commitment either. Ready is mprotect to read and write; pages come by touch.
 * Decommit maps afresh over the range, which in one step drops pages, guards and accounting; it
 * also drops the hint of be_arena_nohuge.
 *
 * Guards. Linux 6.13 marks guard pages in the page table (MADV_GUARD_INSTALL): any number, no extra
 * mapping. Whether it works is found out by trying: a guarded page must make write() fail with EFAULT. An emulator
 * accepts advice that it does not know and does nothing, so "accepted but not guarded" also tells
 * that the process is emulated. Otherwise a guard is PROT_NONE, which splits its mapping in three; of the
 * mappings that the system allows (vm.max_map_count) guards take at most half.
 *
 * How much may be reserved at once: thread sanitizer and Valgrind refuse more, an emulator pays
 * 6 MiB of memory for each GiB, and where the host limits the address space (RLIMIT_AS) a quarter of
 * the limit is ours.
 *
 * Rejected: MAP_FIXED at addresses of our choice (hosts have their own maps there); huge pages for
 * reservations (a goroutine's stack would cost 2 MiB).
 */
#include "backends/arena/arena.h"

#include "core/base/atomic.h"
#include "core/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef RT_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Younger than many installed headers; the numbers are the kernel's interface. */
enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };

#define GIB ((size_t)1 << 30)
#define BUSY_RETRIES 100

const char be_arena_name[] = "mmap";

static be_arena_caps caps;
static rt_atomic32 ready; /* caps are written; released by probe */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int advise(void *p, size_t size, int advice)
{
	int saved = errno, err = 0;

	/* EAGAIN, EINTR: the kernel was interrupted half-way and wants to be asked again. */
	for (int tries = 0; tries < BUSY_RETRIES; tries++) {
		err = madvise(p, size, advice) == 0 ? 0 : errno;
		if (err != EAGAIN && err != EINTR)
			break;
	}
	errno = saved;
	return -err;
}

static int protect(void *p, size_t size, int prot)
{
	int saved = errno, err = mprotect(p, size, prot) == 0 ? 0 : errno;

	errno = saved;
	return -err;
}

static void *map(void *at, size_t size, int prot, int flags)
{
	int saved = errno;
	void *p = mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	errno = saved;
	return p != MAP_FAILED ? p : NULL;
}

/* True if the system, asked to read from p, says that it cannot. */
static bool unreadable(const char *p)
{
	int fd[2];
	bool faulted;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return false; /* no descriptors left: guards are then mappings */
	faulted = write(fd[1], p, 1) < 0 && errno == EFAULT;
	close(fd[0]);
	close(fd[1]);
	return faulted;
}

/* *fake: advice is accepted without effect. */
static bool guards_work(size_t page, bool *fake)
{
	bool works = false;
	char *p = map(NULL, page, PROT_READ | PROT_WRITE, 0);

	*fake = false;
	if (p == NULL)
		return false;
	if (advise(p, page, GUARD_INSTALL) == 0) {
		works = unreadable(p);
		/* Rather than the guard the pipe may have failed: then it is no emulator. */
		*fake = !works && advise(p, page, 9999) == 0;
	}
	munmap(p, page);
	return works;
}

static size_t max_maps(void)
{
	char text[24];
	long n = -1;
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t r;

		do
			r = read(fd, text, sizeof text - 1);
		while (r < 0 && errno == EINTR);
		close(fd);
		if (r > 0) {
			text[r] = '\0';
			n = strtol(text, NULL, 10);
		}
	}
	return n > 0 ? (size_t)n : 65530; /* the default of Linux */
}

static size_t max_reserve(bool emulated)
{
	size_t max = 1024 * GIB;
	struct rlimit rl;

	if (RT_TSAN || RT_ASAN)
		max = 64 * GIB;
	if (RUNNING_ON_VALGRIND)
		max = 32 * GIB;
	if (emulated)
		max = 4 * GIB;
	if (getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY &&
	    rl.rlim_cur / 4 < max)
		max = (size_t)(rl.rlim_cur / 4);
	return max;
}

static void probe(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int saved = errno;
	bool fake;

	caps.page = caps.granularity = page;
	caps.lazy_commit = true;
	caps.guard_cheap = guards_work(page, &fake);
	caps.guard_max = caps.guard_cheap ? SIZE_MAX : max_maps() / 4;
	caps.max_reserve = max_reserve(fake) & ~(page - 1);
	errno = saved;
	rt_store32_rel(&ready, 1);
}

const be_arena_caps *be_arena_query(void)
{
	if (RT_UNLIKELY(rt_load32_acq(&ready) == 0) && pthread_once(&once, probe) != 0)
		rt_throw("pthread_once failed");
	return &caps;
}

RT_UNUSED static bool page_range(const void *p, size_t size)
{
	size_t mask = be_arena_query()->page - 1;

	return (((uintptr_t)p | size) & mask) == 0 && size > 0;
}

static bool aligned(const void *p, size_t align)
{
	return ((uintptr_t)p & (align - 1)) == 0;
}

/* Unmaps what is ours. With other mappings merged into it, the kernel may have to split one and be at its limit:
 * then at least the memory goes back, and the addresses stay taken. */
static void unmap(char *p, size_t size)
{
	int saved = errno;

	if (size > 0 && munmap(p, size) != 0) {
		if (errno != ENOMEM)
			rt_throw("munmap failed");
		advise(p, size, MADV_DONTNEED);
	}
	errno = saved;
}

/* More than needed, then cut at both ends. */
static void *reserve_trimmed(size_t size, size_t align)
{
	size_t room = size + align, before;
	char *p;

	if (room < size || (p = map(NULL, room, PROT_NONE, 0)) == NULL)
		return NULL;
	before = (size_t)(-(uintptr_t)p & (align - 1));
	unmap(p, before);
	unmap(p + before + size, room - before - size);
	return p + before;
}

void *be_arena_reserve(void *hint, size_t size, size_t align)
{
	void *p;

	RT_ASSERT(page_range(hint, size) && align > 0 && (align & (align - 1)) == 0);
	p = map(hint, size, PROT_NONE, 0);
	if (p == NULL || aligned(p, align))
		return p;
	unmap(p, size);
	return reserve_trimmed(size, align);
}

void *be_arena_new(size_t size)
{
	RT_ASSERT(page_range(NULL, size));
	return map(NULL, size, PROT_READ | PROT_WRITE, 0); /* one call for three */
}

int be_arena_commit(void *p, size_t size)
{
	int err;

	RT_ASSERT(page_range(p, size));
	err = protect(p, size, PROT_READ | PROT_WRITE);
	if (err == 0 && be_arena_query()->guard_cheap)
		err = advise(p, size, GUARD_REMOVE);
	return err == 0 ? 0 : -ENOMEM;
}

int be_arena_decommit(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return map(p, size, PROT_NONE, MAP_FIXED) != NULL ? 0 : -ENOMEM;
}

int be_arena_discard(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return advise(p, size, MADV_DONTNEED);
}

/* Guards stay until what they are in is committed again. */
int be_arena_recycle(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	return advise(p, size, MADV_DONTNEED);
}

int be_arena_guard(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	/* Refused for locked memory (mlockall): there a mapping must do. */
	if (be_arena_query()->guard_cheap && advise(p, size, GUARD_INSTALL) == 0)
		return 0;
	return protect(p, size, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

int be_arena_growth_guard(void *p, size_t size)
{
	(void)p, (void)size;
	return -ENOTSUP;
}

void be_arena_nohuge(void *p, size_t size)
{
#ifdef MADV_NOHUGEPAGE
	advise(p, size, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses: nothing is lost */
#else
	(void)p, (void)size;
#endif
}

void be_arena_huge(void *p, size_t size)
{
#ifdef MADV_HUGEPAGE
	advise(p, size, MADV_HUGEPAGE);
#else
	(void)p, (void)size;
#endif
}

void be_arena_release(void *p, size_t size)
{
	RT_ASSERT(page_range(p, size));
	unmap(p, size);
}
