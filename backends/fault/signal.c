/* signal.c: faults by sigaction, caught on an alternate stack for each thread.
 *
 * Handlers belong to the process, and the host or other libraries have theirs. So:
 *   - the first init notes what it finds for each signal and puts ours before it; what we do not
 *     take goes there, with the mask and flags it asked for;
 *   - the last fini puts that back, but only where ours is still in front. If somebody has since
 *     installed over us and remembered us as the one to chain to, ours stays in that chain and
 *     passes everything on (`handler` is NULL). The next init must then not install again in front
 *     of the one that calls us, or the two would chain to each other for ever.
 *   - SIG_DFL: the default is installed and the instruction runs again, so that the process dies
 *     of its own fault and the core file shows it. A fault cannot be ignored: the kernel treats
 *     SIG_IGN the same way.
 *   - A signal that was sent (kill, raise) is no fault; it is passed on without asking.
 *
 * The handler has every signal blocked: a fault inside it kills at once instead of going round.
 * Landing rewrites the registers that sigreturn restores; the mask of the interrupted code comes
 * back by the same way.
 *
 * Rejected: siglongjmp out of the handler (it needs a jmp_buf at every place where a fault may
 * be caught, and its mask costs a system call there).
 */
#include "backends/fault/fault.h"

#include "backends/fault/elf.h"
#include "backends/machine.h"
#include "backends/thread/thread.h"
#include "core/base/atomic.h"
#include "core/base/attrs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* Linux 5.14; getauxval answers 0 before that */
#endif

const char be_fault_name[] = "signal";
const bool be_fault_works = true;
const size_t be_fault_stack_room = 0;

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
enum { NSIGNALS = RT_NELEM(signals) };

/* guarded by `lock`; the handlers read `found`, which is written before ours is in place */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct found {
	struct sigaction old;
	bool buried; /* a fini left ours below somebody else's */
} found[NSIGNALS];
/* A be_fault_handler; NULL: pass everything on. Released after `found`. */
static rt_atomicptr handler;

/* ---- Passing on ---- */

/* The default action, when the handler has returned. */
static void die(int sig, bool sent)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigemptyset(&dfl.sa_mask);
	sigaction(sig, &dfl, NULL);
	if (sent)
		raise(sig); /* blocked until then; a fault comes again by itself */
}

static void mask_as(const struct sigaction *sa, int sig, const ucontext_t *uc)
{
	sigset_t mask;

	sigorset(&mask, &uc->uc_sigmask, &sa->sa_mask);
	if (!(sa->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void pass_on(struct found *to, int sig, siginfo_t *info, void *context)
{
	struct sigaction sa = to->old;
	bool sent = info->si_code <= 0;

	if (!(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_IGN && sent)
		return;
	if (!(sa.sa_flags & SA_SIGINFO) && (sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN)) {
		die(sig, sent);
		return;
	}
	if (sa.sa_flags & SA_RESETHAND) {
		to->old.sa_flags &= ~SA_SIGINFO;
		to->old.sa_handler = SIG_DFL;
	}
	mask_as(&sa, sig, context);
	if (sa.sa_flags & SA_SIGINFO)
		sa.sa_sigaction(sig, info, context);
	else
		sa.sa_handler(sig);
}

static struct found *found_of(int sig)
{
	for (size_t i = 0; i < NSIGNALS; i++)
		if (signals[i] == sig)
			return &found[i];
	return NULL;
}

/* ---- The handler ---- */

static const char *what(int sig)
{
	return sig == SIGSEGV ? "SIGSEGV: segmentation violation"
	       : sig == SIGBUS ? "SIGBUS: bus error"
	                       : "SIGFPE: floating-point exception";
}

/* Not with SI_KERNEL: an address that no page can have is not told. */
static bool is_access(int sig, int code)
{
	return sig == SIGSEGV ? code == SEGV_MAPERR || code == SEGV_ACCERR
	                      : sig == SIGBUS && code == BUS_ADRERR;
}

static int ask(int sig, siginfo_t *info, ucontext_t *uc, be_fault_action *act)
{
	be_fault_handler fn = (be_fault_handler)rt_loadptr_acq(&handler);
	struct machine m = machine_get(uc);
	be_fault f = {.signal = sig,
	              .code = info->si_code,
	              .address = (uintptr_t)info->si_addr,
	              .pc = m.pc,
	              .sp = m.sp,
	              .what = what(sig),
	              .access = is_access(sig, info->si_code),
	              .divide = sig == SIGFPE && info->si_code == FPE_INTDIV,
	              .machine = uc};

	if (fn == NULL || info->si_code <= 0)
		return BE_FAULT_CHAIN;
	return fn(&f, act);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	ucontext_t *uc = context;
	be_fault_action act = {0};

	if (ask(sig, info, uc, &act) == BE_FAULT_LAND)
		machine_land(uc, act.land, act.arg, act.stack_top);
	else
		pass_on(found_of(sig), sig, info, uc);
	errno = saved;
}

static bool is_ours(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == on_fault;
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	return (a->sa_flags & SA_SIGINFO) == (b->sa_flags & SA_SIGINFO) &&
	       a->sa_handler == b->sa_handler; /* a union with sa_sigaction */
}

/* Puts ours in front unless it is in the chain already. */
static int install(size_t i)
{
	struct found *fd = &found[i];
	struct sigaction now, sa = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

	if (sigaction(signals[i], NULL, &now) != 0)
		return -errno;
	if (is_ours(&now) || (fd->buried && !same_action(&now, &fd->old)))
		return 0;
	fd->old = now;
	fd->buried = false;
	sa.sa_sigaction = on_fault;
	sigfillset(&sa.sa_mask);
	return sigaction(signals[i], &sa, NULL) == 0 ? 0 : -errno;
}

static void uninstall(size_t i)
{
	struct sigaction now;

	if (sigaction(signals[i], NULL, &now) != 0)
		return; /* the signal exists: it was installed */
	found[i].buried = !is_ours(&now); /* before: the child of a fork may go on from here */
	if (is_ours(&now))
		sigaction(signals[i], &found[i].old, NULL);
}

/* What the first use of the unwinder loads, binds or allocates must not
 * happen inside a handler, perhaps inside malloc. */
static void warm_up(void)
{
	void *pcs[4];
	uintptr_t lo, hi;
	int whole;

	size_t n;

	be_thread_nofork_begin(); /* an older unwinder asks the loader: see unwind.c */
	n = be_fault_backtrace_here(pcs, RT_NELEM(pcs));
	be_thread_nofork_end();
	if (n == 0)
		return;
	(void)be_fault_module(pcs[0], &lo, &hi, &whole);
}

static int first_init(be_fault_handler fn)
{
	warm_up();
	be_module_refresh();
	for (size_t i = 0; i < NSIGNALS; i++) {
		int err = install(i);

		if (err != 0) {
			while (i-- > 0)
				uninstall(i);
			return err;
		}
	}
	rt_storeptr_rel(&handler, (void *)fn);
	return 0;
}

/* In the child of a fork: whoever held the lock is gone, and what he had done so far is done. */
static void forked(void)
{
	pthread_mutex_init(&lock, NULL);
}

/* Before the lock is taken for the first time. Twice does no harm. */
static void hook_forks(void)
{
	static rt_atomic32 hooked;

	if (rt_load32_acq(&hooked) == 0 && be_thread_atfork(forked) == 0)
		rt_store32_rel(&hooked, 1);
}

int be_fault_init(be_fault_handler fn)
{
	int err = 0;

	hook_forks();
	pthread_mutex_lock(&lock);
	if (users == 0)
		err = first_init(fn);
	else if (rt_loadptr_rlx(&handler) != (void *)fn)
		err = -EBUSY; /* one handler a process */
	if (err == 0)
		users++;
	pthread_mutex_unlock(&lock);
	return err;
}

void be_fault_fini(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0) {
		rt_storeptr_rel(&handler, NULL);
		for (size_t i = 0; i < NSIGNALS; i++)
			uninstall(i);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- Alternate stacks ---- */

/* Of the calling thread. Read only by attach and detach, which cannot migrate. */
static _Thread_local struct alternate {
	unsigned users;
	char *map; /* NULL: the host's is in use */
	size_t size, guard;
} alternate;

/* The kernel's frame (AVX-512, SVE) and room for a handler that walks frames and prints. */
static size_t alternate_size(void)
{
	size_t need = (size_t)getauxval(AT_MINSIGSTKSZ) + (32 << 10), size = 64 << 10;

#ifdef _SC_SIGSTKSZ
	long usual = sysconf(_SC_SIGSTKSZ);

	if (usual > 0 && (size_t)usual > need)
		need = (size_t)usual;
#endif
	while (size < need)
		size *= 2;
	return size;
}

static int alternate_make(struct alternate *a)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE), size = alternate_size();
	stack_t ss = {.ss_size = size};
	char *map = mmap(NULL, guard + size, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (map == MAP_FAILED)
		return -errno;
	ss.ss_sp = map + guard;
	if (mprotect(map, guard, PROT_NONE) != 0 || sigaltstack(&ss, NULL) != 0) {
		err = -errno;
		munmap(map, guard + size);
		return err;
	}
	a->map = map;
	a->size = size;
	a->guard = guard;
	return 0;
}

int be_fault_attach(void)
{
	struct alternate *a = &alternate;
	stack_t now;
	int err = 0;

	if (a->users == 0) {
		if (sigaltstack(NULL, &now) != 0)
			return -errno;
		if (now.ss_flags & SS_DISABLE)
			err = alternate_make(a);
	}
	if (err == 0)
		a->users++;
	return err;
}

void be_fault_detach(void)
{
	struct alternate *a = &alternate;
	stack_t now, none = {.ss_flags = SS_DISABLE, .ss_size = MINSIGSTKSZ};

	/* A failed attach may be followed by a detach: m.c does not look at the error. */
	if (a->users == 0 || --a->users > 0 || a->map == NULL)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == a->map + a->guard)
		sigaltstack(&none, NULL);
	munmap(a->map, a->guard + a->size);
	a->map = NULL;
}
