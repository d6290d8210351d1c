/* epoll.c: Linux. A descriptor is added once, edge-triggered for both directions, so that waiting for it again costs no
 * system call; the kernel forgets it with its last copy, and be_netpoll_close takes it out before, since a copy may
 * live on in another process.
 *
 * Who waits is woken by an eventfd. It is level-triggered: a look beside the waiter does not take the wake-up away, and
 * only the waiter reads it.
 *
 * Times. epoll_pwait2 (Linux 5.11) knows nanoseconds. Before that there are milliseconds: they are rounded up, or a
 * wait for the last 200 us of a sleep would be a loop of looks.
 *
 * Rejected: level-triggered with arming (a system call for each wait of each descriptor); one epoll object for each P
 * (an idle P would have to look into all others').
 */
#include "backends/netpoll/netpoll.h"

#include "backends/netpoll/park.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 128 };
#define WAKE UINT64_MAX /* the tag of the eventfd: no caller's, for those are told what to give */
#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

const char be_netpoll_name[] = "epoll";

static int epoll_of(const be_netpoll *np)
{
	return (int)np->opaque[0];
}

static int wake_of(const be_netpoll *np)
{
	return (int)np->opaque[1];
}

int be_netpoll_init(be_netpoll *np)
{
	*np = (be_netpoll){0};
	return 0;
}

void be_netpoll_fini(be_netpoll *np)
{
	if (rt_load32_acq(&np->started) == 0)
		return;
	close(epoll_of(np));
	close(wake_of(np));
	rt_store32_rel(&np->started, 0);
}

int be_netpoll_start(be_netpoll *np)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = WAKE };
	int ep, wake, r;

	if (rt_load32_acq(&np->started) != 0)
		return 0;
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		return -errno;
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, wake, &ev) != 0) {
		r = -errno;
		if (wake >= 0)
			close(wake);
		close(ep);
		return r;
	}
	np->opaque[0] = (uintptr_t)ep;
	np->opaque[1] = (uintptr_t)wake;
	rt_store32_rel(&np->started, 1); /* pairs with the acquire in be_netpoll_wait */
	be_netpoll_break(np);
	return 0;
}

int be_netpoll_open(be_netpoll *np, be_pollfd *d)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = d->tag };

	return epoll_ctl(epoll_of(np), EPOLL_CTL_ADD, (int)d->fd, &ev) == 0 ? 0 : -errno;
}

void be_netpoll_close(be_netpoll *np, be_pollfd *d)
{
	struct epoll_event ev = {0}; /* before Linux 2.6.9 it had to be there */

	(void)epoll_ctl(epoll_of(np), EPOLL_CTL_DEL, (int)d->fd, &ev); /* closed by somebody else it is out */
}

int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what)
{
	(void)np, (void)d, (void)what;
	return 0;
}

static int wait_ms(int ep, struct epoll_event *ev, int max, int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : ns / MS + (ns % MS != 0);

	return epoll_wait(ep, ev, max, ms > INT_MAX ? INT_MAX : (int)ms);
}

#ifdef SYS_epoll_pwait2
/* The kernel's own: 64 bits, also where time_t has 32. */
struct span {
	int64_t sec, ns;
};

static int wait_ns(int ep, struct epoll_event *ev, int max, int64_t ns)
{
	static rt_atomic32 missing;
	struct span t = { ns / SECOND, ns % SECOND };
	int n;

	if (ns <= 0 || rt_load32_rlx(&missing) != 0)
		return wait_ms(ep, ev, max, ns);
	n = (int)syscall(SYS_epoll_pwait2, ep, ev, max, &t, NULL, 0);
	if (n >= 0 || (errno != ENOSYS && errno != EPERM)) /* EPERM: a sandbox that does not know it */
		return n;
	rt_store32_rlx(&missing, 1);
	return wait_ms(ep, ev, max, ns);
}
#else
#define wait_ns wait_ms
#endif

static unsigned what_of(uint32_t events)
{
	unsigned what = 0;

	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		what |= BE_POLL_READ;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		what |= BE_POLL_WRITE;
	if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		what |= BE_POLL_ENDS;
	return what;
}

static void drain(be_netpoll *np)
{
	uint64_t n;

	while (read(wake_of(np), &n, sizeof n) < 0 && errno == EINTR)
		; /* anything else: it was empty */
}

int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns)
{
	struct epoll_event ev[EVENTS];
	int n, found = 0;

	if (rt_load32_acq(&np->started) == 0) {
		if (ns != 0)
			park_wait(np, ns);
		return 0;
	}
	if (ns != 0 && !park_enter(np, PARK_POLLS))
		ns = 0; /* a break; what there is is reported all the same */
	n = wait_ns(epoll_of(np), ev, max < EVENTS ? max : EVENTS, ns);
	if (ns != 0)
		park_leave(np);
	for (int i = 0; i < n; i++) { /* n < 0: EINTR; a wait may return early */
		if (ev[i].data.u64 != WAKE)
			events[found++] = (be_pollevent){ ev[i].data.u64, what_of(ev[i].events) };
		else if (ns != 0)
			drain(np);
	}
	return found;
}

void be_netpoll_break(be_netpoll *np)
{
	const uint64_t one = 1;

	if (!park_break(np))
		return;
	while (write(wake_of(np), &one, sizeof one) < 0 && errno == EINTR)
		; /* EAGAIN: it is full of wake-ups */
}
