/* posix.c: what futex.c and pthread.c share: starting and joining, stack bounds, clock, CPUs. See
 * thread.h for what is promised.
 *
 * A thread is started with the starter's mask replaced for the moment of pthread_create, because a
 * new thread inherits it: masking in the new thread itself would leave a window in which it takes
 * a signal that was meant for the host.
 */
#include "backends/thread/thread.h"

#include "core/base/check.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "be_thread keeps it in one word");

struct start {
	void (*fn)(void *);
	void *arg;
};

static void *trampoline(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	s.fn(s.arg);
	return NULL;
}

static void block_asynchronous(sigset_t *old)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static int set_stack_size(pthread_attr_t *attr, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	long least = sysconf(_SC_THREAD_STACK_MIN);

	if (size == 0)
		return 0;
	if (least > 0 && size < (size_t)least)
		size = (size_t)least;
	if (size > SIZE_MAX - page)
		return ENOMEM;
	return pthread_attr_setstacksize(attr, (size + page - 1) / page * page);
}

static int create(pthread_t *t, struct start *s, size_t stack_size)
{
	pthread_attr_t attr;
	sigset_t old;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	err = set_stack_size(&attr, stack_size);
	if (err == 0) {
		block_asynchronous(&old);
		err = pthread_create(t, &attr, trampoline, s);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	pthread_attr_destroy(&attr);
	return err;
}

int be_thread_start(be_thread *out, void (*fn)(void *), void *arg, size_t stack_size)
{
	struct start *s = malloc(sizeof *s);
	pthread_t t;
	int err;

	if (s == NULL)
		return -ENOMEM;
	*s = (struct start){fn, arg};
	err = create(&t, s, stack_size);
	if (err != 0) {
		free(s);
		return err == ENOMEM || err == EINVAL ? -ENOMEM : -EAGAIN; /* EINVAL: no such size */
	}
	out->opaque[0] = (uintptr_t)t;
	out->opaque[1] = 0;
	return 0;
}

void be_thread_join(be_thread *t)
{
	int err = pthread_join((pthread_t)t->opaque[0], NULL);
	char what[64];

	if (err != 0) { /* joined before, or by itself: nothing to try again */
		rt_format(what, sizeof what, "joined a thread that cannot be joined: error %d", err);
		rt_throw(what);
	}
}

uint64_t be_thread_id(void)
{
#ifdef __linux__
	return (uint64_t)syscall(SYS_gettid); /* gettid() is younger than the oldest glibc we build with */
#else
	return (uint64_t)pthread_self();
#endif
}

int be_thread_stack(void **lo, void **hi)
{
	pthread_attr_t attr;
	size_t size;
	int err = pthread_getattr_np(pthread_self(), &attr);

	if (err != 0)
		return -err;
	err = pthread_attr_getstack(&attr, lo, &size);
	if (err == 0)
		*hi = (char *)*lo + size;
	pthread_attr_destroy(&attr);
	return -err;
}

/* ---- Forks ---- */

int be_thread_atfork(void (*child)(void))
{
	return -pthread_atfork(NULL, NULL, child);
}

/* Each side says that it is there, then looks for the other: one of them sees it. Counts and naps, no lock: a signal's
 * handler may come by here, and who waits must be able to give up. */
static rt_atomic32 inside, forking;

static bool gone(const rt_atomic32 *others)
{
	int64_t until = be_nanotime() + 1000000000;

	while (rt_load32_acq(others) != 0) {
		if (be_nanotime() > until)
			return false;
		be_thread_nap(20000);
	}
	return true;
}

static void fork_begins(void)
{
	rt_add32_full(&forking, 1);
	rt_fence_after_rmw();
	(void)gone(&inside);
}

static void fork_is_over(void)
{
	rt_add32_full(&forking, (uint32_t)-1);
}

static void fork_is_over_in_child(void)
{
	rt_store32_rlx(&forking, 0);
	rt_store32_rlx(&inside, 0);
}

/* Without memory for the hooks only a fork at a bad moment is not waited for. Twice does no harm. */
static void hook_forks(void)
{
	static rt_atomic32 hooked;

	if (rt_load32_acq(&hooked) == 0 &&
	    pthread_atfork(fork_begins, fork_is_over, fork_is_over_in_child) == 0)
		rt_store32_rel(&hooked, 1);
}

void be_thread_nofork_begin(void)
{
	int saved = errno;
	bool waits = true;

	hook_forks();
	for (;;) {
		rt_add32_full(&inside, 1);
		rt_fence_after_rmw();
		if (!waits || rt_load32_acq(&forking) == 0)
			break;
		rt_add32_full(&inside, (uint32_t)-1);
		waits = gone(&forking);
	}
	errno = saved;
}

void be_thread_nofork_end(void)
{
	rt_add32_full(&inside, (uint32_t)-1);
}

#ifdef __linux__
static int membarrier(int command)
{
	int saved = errno, err = syscall(SYS_membarrier, command, 0, 0) == 0 ? 0 : -errno;

	errno = saved;
	return err;
}

bool be_thread_fences(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

int be_thread_fence_all(void)
{
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
#else
bool be_thread_fences(void)
{
	return false;
}

int be_thread_fence_all(void)
{
	return -ENOSYS;
}
#endif

int64_t be_thread_slack(int64_t ns)
{
#ifdef __linux__
	int was = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	if (was > 0 && was != ns)
		prctl(PR_SET_TIMERSLACK, (unsigned long)ns, 0, 0, 0);
	return was > 0 ? was : 0;
#else
	(void)ns;
	return 0;
#endif
}

void be_thread_yield(void)
{
	sched_yield();
}

void be_thread_nap(int64_t ns)
{
	struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	int saved = errno;

	while (ns > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	errno = saved;
}

int64_t be_nanotime(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		rt_throw("the system has no monotonic clock");
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t be_walltime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int be_ncpu(void)
{
	long n;
#ifdef __linux__
	cpu_set_t set[8]; /* 8192 CPUs: the most a Linux kernel is built for; the mask, not the machine, counts */

	if (sched_getaffinity(0, sizeof set, set) == 0 && (n = CPU_COUNT_S(sizeof set, set)) > 0)
		return (int)n;
#endif
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > INT_MAX ? INT_MAX : (int)n;
}
