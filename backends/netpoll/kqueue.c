/* kqueue.c: macOS and the BSDs. NEVER BUILT HERE, where there is no such system: written to the contract, read twice,
 * not even compiled. The contract's tests are the first thing to run where it can be.
 *
 * A descriptor is added once, for both directions, and reported when its state changes (EV_CLEAR), so that waiting for
 * it again costs no system call. The kernel forgets it with its last copy; be_netpoll_close takes it out before.
 *
 * Who waits is woken by a pipe, whose reading end is watched without EV_CLEAR: a look beside the waiter does not take
 * the wake-up away, and only the waiter reads it. Rejected: EVFILT_USER, which not every BSD has, and which a look
 * would consume.
 *
 * Files are readable always and are refused, as everywhere (the kernel would watch for growth).
 */
#include "backends/netpoll/netpoll.h"

#include "backends/netpoll/park.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <sys/types.h>
#include <sys/event.h>
#include <sys/stat.h>

enum { EVENTS = 128 };
#define SECOND INT64_C(1000000000)
#define LONGEST (1000000 * SECOND) /* Darwin refuses longer times than some */

const char be_netpoll_name[] = "kqueue";

static int queue_of(const be_netpoll *np)
{
	return (int)np->opaque[0];
}

enum { WAKE_OUT = 1, WAKE_IN = 2 }; /* of opaque: the ends of the pipe */

int be_netpoll_init(be_netpoll *np)
{
	*np = (be_netpoll){0};
	return 0;
}

void be_netpoll_fini(be_netpoll *np)
{
	if (rt_load32_acq(&np->started) == 0)
		return;
	close(queue_of(np));
	close((int)np->opaque[WAKE_OUT]);
	close((int)np->opaque[WAKE_IN]);
	*np = (be_netpoll){0};
}

static int pipe_make(int fds[2])
{
	if (pipe(fds) != 0)
		return -errno;
	for (int i = 0; i < 2; i++) { /* neither fails on a descriptor that was just made */
		(void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

int be_netpoll_start(be_netpoll *np)
{
	struct kevent ev;
	int queue, wake[2], r;

	if (rt_load32_acq(&np->started) != 0)
		return 0;
	queue = kqueue();
	if (queue < 0)
		return -errno;
	(void)fcntl(queue, F_SETFD, FD_CLOEXEC);
	r = pipe_make(wake);
	if (r != 0) {
		close(queue);
		return r;
	}
	EV_SET(&ev, wake[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
	if (kevent(queue, &ev, 1, NULL, 0, NULL) != 0) {
		r = -errno;
		close(wake[0]);
		close(wake[1]);
		close(queue);
		return r;
	}
	np->opaque[0] = (uintptr_t)queue;
	np->opaque[WAKE_OUT] = (uintptr_t)wake[0];
	np->opaque[WAKE_IN] = (uintptr_t)wake[1];
	rt_store32_rel(&np->started, 1); /* pairs with the acquire in be_netpoll_wait */
	be_netpoll_break(np);
	return 0;
}

/* Makes one change. 0, -errno. */
static int change(be_netpoll *np, const be_pollfd *d, short filter, unsigned short flags)
{
	struct kevent ev;

	EV_SET(&ev, (uintptr_t)d->fd, filter, flags, 0, 0, (void *)(uintptr_t)d->tag);
	while (kevent(queue_of(np), &ev, 1, NULL, 0, NULL) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int be_netpoll_open(be_netpoll *np, be_pollfd *d)
{
	struct stat st;
	int r, w;

	if (fstat((int)d->fd, &st) != 0)
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return -EPERM;
	r = change(np, d, EVFILT_READ, EV_ADD | EV_CLEAR);
	w = change(np, d, EVFILT_WRITE, EV_ADD | EV_CLEAR);
	if (r == 0 && w == 0)
		return 0;
	if (r == 0)
		(void)change(np, d, EVFILT_READ, EV_DELETE);
	if (w == 0)
		(void)change(np, d, EVFILT_WRITE, EV_DELETE);
	r = r != 0 ? r : w;
	return r == -EINVAL || r == -ENODEV ? -EPERM : r; /* a device that cannot be watched */
}

void be_netpoll_close(be_netpoll *np, be_pollfd *d)
{
	/* Fails if somebody else has closed it: it is out. */
	(void)change(np, d, EVFILT_READ, EV_DELETE);
	(void)change(np, d, EVFILT_WRITE, EV_DELETE);
}

int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what)
{
	(void)np, (void)d, (void)what;
	return 0;
}

static void drain(be_netpoll *np)
{
	char buf[64];
	ssize_t n;

	do
		n = read((int)np->opaque[WAKE_OUT], buf, sizeof buf);
	while (n == (ssize_t)sizeof buf || (n < 0 && errno == EINTR));
}

static uint32_t what_of(const struct kevent *ev)
{
	uint32_t ends = ev->flags & (EV_ERROR | EV_EOF) ? BE_POLL_ENDS : 0;

	if (ev->flags & EV_ERROR)
		return BE_POLL_READ | BE_POLL_WRITE | ends;
	if (ev->filter == EVFILT_WRITE) /* EV_EOF: the peer reads no more, or the connection is gone */
		return ends != 0 ? BE_POLL_READ | BE_POLL_WRITE | ends : BE_POLL_WRITE;
	/* The peer has ended its output, which says nothing of ours; with an error it has gone. */
	return (ends != 0 && ev->fflags != 0 ? BE_POLL_READ | BE_POLL_WRITE : BE_POLL_READ) | ends;
}

int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns)
{
	struct kevent ev[EVENTS];
	struct timespec span;
	int n, found = 0;

	if (rt_load32_acq(&np->started) == 0) {
		if (ns != 0)
			park_wait(np, ns);
		return 0;
	}
	if (ns != 0 && !park_enter(np, PARK_POLLS))
		ns = 0; /* a break; what there is is reported all the same */
	if (ns > LONGEST)
		ns = LONGEST;
	span = (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
	n = kevent(queue_of(np), NULL, 0, ev, max < EVENTS ? max : EVENTS, ns < 0 ? NULL : &span);
	if (ns != 0)
		park_leave(np);
	for (int i = 0; i < n; i++) { /* n < 0: EINTR; a wait may return early */
		if (ev[i].ident == np->opaque[WAKE_OUT] && ev[i].filter == EVFILT_READ) {
			if (ns != 0)
				drain(np);
		} else {
			events[found++] = (be_pollevent){ (uint64_t)(uintptr_t)ev[i].udata, what_of(&ev[i]) };
		}
	}
	return found;
}

void be_netpoll_break(be_netpoll *np)
{
	if (!park_break(np))
		return;
	while (write((int)np->opaque[WAKE_IN], "", 1) < 0 && errno == EINTR)
		; /* EAGAIN: it is full of wake-ups */
}
