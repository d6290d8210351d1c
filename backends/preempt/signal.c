/* signal.c: SIGURG stops a thread; it waits in the handler, on its own stack.
 *
 * The handler runs wherever the thread was: in the user's code, in malloc, in the loader. So it calls nothing of libc
 * that is not async-signal-safe, and it does not run on the alternate stack: a goroutine that waits there would keep it
 * from the next one. While it waits every signal but faults is blocked, so handlers of the host do not run on top
 * of it; they go to other threads.
 *
 * SIGURG, as in Go: ignored by default, seldom used, and sent by the system to a process and not to a thread, so what
 * was not asked for is passed on to the handler found before ours. We pass it on when there is no request pending.
 *
 * resume is a one-shot word: set before the thread parks on it is as good as after.
 *
 * Whether a thread sleeps. On a machine that has more to do than CPUs, a thread that computes may use none for many
 * milliseconds. Linux says which it is in /proc, the third word of the thread's line.
 */
#include "backends/machine.h"
#include "backends/preempt/preempt.h"

#include "backends/thread/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

const char be_preempt_name[] = "signal";
const bool be_preempt_in_place = true;

enum { SIGNAL = SIGURG };
/* be_preempt.opaque */
enum { CLOCK = 0, CONTEXT = 1, UNBLOCKED = 2 };

/* musl's loader refuses initial-exec in libraries that are loaded at run time. There the handler reads it as any
 * thread-local; the block is allocated by attach, which touches it first. */
#ifdef BE_SELF_INITIAL_EXEC
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local be_preempt *volatile mine;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static unsigned users;
static bool fences;
static bool buried; /* somebody put a handler of theirs before ours, which may call ours: ours stays in the chain */
static struct sigaction found;
/* written by the first init, read by handlers */
static rt_atomicptr decide;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (found.sa_flags & SA_SIGINFO)
		found.sa_sigaction(sig, info, context);
	else if (found.sa_handler != SIG_DFL && found.sa_handler != SIG_IGN)
		found.sa_handler(sig);
}

static void wait_for_resume(be_preempt *t)
{
	while (rt_xchg32_acq(&t->word, 0) == 0)
		(void)be_thread_park(&t->word, 0, -1);
}

static void land(be_preempt *t, ucontext_t *uc)
{
	void (*fn)(void *) = t->land;

	t->land = NULL;
	machine_land(uc, fn, t->land_arg, t->land_top);
}

static void stopped(be_preempt *t, ucontext_t *uc)
{
	be_preempt_decide fn = (be_preempt_decide)rt_loadptr_acq(&decide);
	struct machine m = machine_get(uc);
	be_preempt_at at = { m.pc, m.sp, m.fp, m.link };

	if (fn == NULL)
		return;
	t->opaque[CONTEXT] = (uintptr_t)uc;
	switch (fn(t, &at)) {
	case BE_PREEMPT_STAY:
		wait_for_resume(t);
		if (t->land != NULL)
			land(t, uc);
		break;
	case BE_PREEMPT_LAND:
		land(t, uc);
		break;
	default:
		break;
	}
	t->opaque[CONTEXT] = 0;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	be_preempt *t = mine;

	/* Taken before decide looks: a request that comes later sends again (tests/model/stwpreempt.pml). */
	if (t != NULL && rt_load32_rlx(&t->pending) != 0 && rt_xchg32_full(&t->pending, 0) != 0)
		stopped(t, context);
	else
		pass_on(sig, info, context);
	errno = saved;
}

static bool is_ours(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == on_signal;
}

/* Faults are delivered while a thread waits: a blocked one ends the process without a word. */
static void mask_of(sigset_t *mask)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };

	sigfillset(mask);
	for (size_t i = 0; i < RT_NELEM(faults); i++)
		sigdelset(mask, faults[i]);
}

static int install(void)
{
	struct sigaction now, sa = {.sa_flags = SA_SIGINFO | SA_RESTART};

	if (sigaction(SIGNAL, NULL, &now) != 0)
		return -errno;
	if (is_ours(&now) || buried)
		return 0;
	found = now;
	sa.sa_sigaction = on_signal;
	mask_of(&sa.sa_mask);
	return sigaction(SIGNAL, &sa, NULL) == 0 ? 0 : -errno;
}

static void uninstall(void)
{
	struct sigaction now;

	if (sigaction(SIGNAL, NULL, &now) != 0)
		return; /* the signal exists: it was installed */
	buried = !is_ours(&now);
	if (!buried)
		sigaction(SIGNAL, &found, NULL);
}

/* In the child of a fork. Whatever was to stop this thread was meant for the parent's, whose scheduler does not exist
 * here; and another thread may have held the lock. */
static void forked(void)
{
	mine = NULL;
	pthread_mutex_init(&lock, NULL);
}

/* Before the lock is taken for the first time. Twice does no harm. */
static void hook_forks(void)
{
	static rt_atomic32 hooked;

	if (rt_load32_acq(&hooked) == 0 && be_thread_atfork(forked) == 0)
		rt_store32_rel(&hooked, 1);
}

int be_preempt_init(be_preempt_decide fn)
{
	int err = 0;

	hook_forks();
	pthread_mutex_lock(&lock);
	if (users == 0) {
		fences = be_thread_fences();
		rt_storeptr_rel(&decide, (void *)fn);
		err = install();
	} else if (rt_loadptr_rlx(&decide) != (void *)fn) {
		err = -EBUSY;
	}
	if (err == 0)
		users++;
	pthread_mutex_unlock(&lock);
	return err;
}

void be_preempt_fini(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0) {
		uninstall();
		rt_storeptr_rel(&decide, NULL);
	}
	pthread_mutex_unlock(&lock);
}

int be_preempt_attach(be_preempt *self)
{
	clockid_t clock = 0;
	sigset_t urg, old;

	*self = (be_preempt){0};
	if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
		self->opaque[CLOCK] = (uintptr_t)(intptr_t)clock;
#ifdef __linux__
	rt_store64_rel(&self->thread, (uint64_t)syscall(SYS_gettid));
#else
	rt_store64_rel(&self->thread, (uint64_t)(uintptr_t)pthread_self());
#endif
	mine = self;
	sigemptyset(&urg);
	sigaddset(&urg, SIGNAL);
	if (pthread_sigmask(SIG_UNBLOCK, &urg, &old) == 0 && sigismember(&old, SIGNAL) == 1)
		self->opaque[UNBLOCKED] = 1;
	return 0;
}

void be_preempt_detach(be_preempt *self)
{
	sigset_t urg;

	rt_store64_rel(&self->thread, 0);
	if (self->opaque[UNBLOCKED]) {
		sigemptyset(&urg);
		sigaddset(&urg, SIGNAL);
		pthread_sigmask(SIG_BLOCK, &urg, NULL);
	}
	mine = NULL; /* one that is still on its way is passed on, to the default: ignored */
}

int be_preempt_stop(be_preempt *t)
{
	uint64_t thread = rt_load64_acq(&t->thread);
	int err;

	if (thread == 0)
		return -ESRCH;
	if (rt_xchg32_full(&t->pending, 1) != 0)
		return 0; /* the one on its way will do */
#ifdef __linux__
	err = syscall(SYS_tgkill, getpid(), (pid_t)thread, SIGNAL) == 0 ? 0 : errno;
#else
	err = pthread_kill((pthread_t)(uintptr_t)thread, SIGNAL);
#endif
	if (err != 0)
		rt_store32_rel(&t->pending, 0);
	return -err;
}

int be_preempt_resume(be_preempt *t)
{
	if (rt_xchg32_rel(&t->word, 1) == 0)
		be_thread_wake(&t->word, 1);
	return 0;
}

/* So many bytes of the machine context hold registers. On riscv64 the rest is room for registers of 128 bits; not
 * everybody who makes signal frames leaves it (qemu does not), and what is read there may be beyond the stack. */
#if defined __riscv && __riscv_xlen == 64
enum { MACHINE = offsetof(mcontext_t, __fpregs) + sizeof(struct __riscv_mc_d_ext_state) };
#else
enum { MACHINE = sizeof(mcontext_t) };
#endif

int be_preempt_regs(be_preempt *t, const uintptr_t **regs, size_t *n)
{
	const ucontext_t *uc = (const ucontext_t *)t->opaque[CONTEXT];

	if (uc == NULL)
		return -ESRCH;
	*regs = (const uintptr_t *)&uc->uc_mcontext;
	*n = MACHINE / sizeof(uintptr_t);
	return 0;
}

bool be_preempt_fence(be_preempt *t)
{
	(void)t;
	return fences && be_thread_fence_all() == 0;
}

int64_t be_preempt_cputime(be_preempt *t)
{
	struct timespec ts;

	if (clock_gettime((clockid_t)(intptr_t)t->opaque[CLOCK], &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#ifdef __linux__
/* "/proc/self/task/<tid>/stat" */
static void path_of(char *path, uint64_t tid)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	memcpy(path, "/proc/self/task/", 16);
	path += 16;
	while (n > 0)
		*path++ = digits[--n];
	memcpy(path, "/stat", 6);
}

/* "17 (name) R ...": the name may hold anything, and has 15 bytes at most. */
static bool runs(const char *line, size_t n)
{
	while (n > 0 && line[n - 1] != ')')
		n--;
	return n > 0 && line[n] == ' ' && line[n + 1] == 'R';
}

bool be_preempt_sleeps(be_preempt *t)
{
	char path[16 + 20 + 6], line[20 + 2 + 16 + 1 + 3] = "";
	uint64_t tid = rt_load64_acq(&t->thread);
	int saved = errno, fd;
	ssize_t n = 0;

	if (tid == 0)
		return true;
	path_of(path, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, line, sizeof line - 1);
		close(fd);
	}
	errno = saved;
	return n <= 2 || !runs(line, (size_t)n - 2);
}
#else
bool be_preempt_sleeps(be_preempt *t)
{
	(void)t;
	return true;
}
#endif
