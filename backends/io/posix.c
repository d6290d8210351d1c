/* posix.c: files and sockets of POSIX systems.
 *
 * SIGPIPE. Sockets are written with MSG_NOSIGNAL. A pipe knows no such flag: while one is written the thread blocks the
 * signal, and takes away what came of it (two system calls more, and only there). Rejected: to ignore it in the
 * process, whose other parts may count on it, as who writes to `head` does.
 *
 * Names. Literal addresses are read without asking anybody. The rest is getaddrinfo, which may read files and ask
 * servers.
 */
#include "backends/io/io.h"

#include "core/base/atomic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((be_ioaddr *)0)->u), "an address fits");

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE instead: made() */
#endif

const char be_io_name[] = "posix";

int be_io_start(void)
{
	return 0;
}

/* ---- Any descriptor -------------------------------------------------------------------------------- */

static int flags_of(const char *mode)
{
	bool both;

	if (mode[0] == '\0')
		return -EINVAL;
	both = mode[1] == '+' && mode[2] == '\0';
	if (mode[1] != '\0' && !both)
		return -EINVAL;
	switch (mode[0]) {
	case 'r':
		return both ? O_RDWR : O_RDONLY;
	case 'w':
		return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
	case 'a':
		return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
	default:
		return -EINVAL;
	}
}

intptr_t be_io_open(const char *path, const char *mode)
{
	int flags = flags_of(mode), fd;

	if (flags < 0)
		return flags;
	do
		fd = open(path, flags | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : -errno;
}

int be_io_kind(intptr_t fd)
{
	struct stat st;

	if (fd != (int)fd) /* cut off it would be another one's number */
		return -EBADF;
	if (fstat((int)fd, &st) != 0)
		return -errno;
	return S_ISSOCK(st.st_mode) ? BE_IO_SOCKET : BE_IO_FILE;
}

/* Sockets of AF_UNIX end a read behind a message with descriptors, SCTP behind each. Elsewhere than in Linux nothing is
 * known: kqueue does not tell of urgent data. */
bool be_io_stream(intptr_t fd)
{
#ifdef __linux__
	int protocol = 0;
	socklen_t len = sizeof protocol;

	return getsockopt((int)fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
#else
	(void)fd;
	return false;
#endif
}

int be_io_nonblocking(intptr_t fd, int kind, bool on)
{
	int flags = fcntl((int)fd, F_GETFL), want;

	(void)kind;
	if (flags < 0)
		return -errno;
	want = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return want == flags || fcntl((int)fd, F_SETFL, want) == 0 ? 0 : -errno;
}

/* Linux moves no more at once, and others say EINVAL. */
enum { MOST = 1 << 30 };

/* Not by libc, where the system has calls of their own for it: those are points at which a thread may be cancelled,
 * which takes time for each, and what is cancelled in here would take the runtime's locks along. */
#if defined SYS_recvfrom && defined SYS_sendto
static ssize_t receive(int fd, void *buf, size_t n)
{
	return syscall(SYS_recvfrom, fd, buf, n, 0, NULL, NULL);
}

static ssize_t give(int fd, const void *buf, size_t n)
{
	return syscall(SYS_sendto, fd, buf, n, MSG_NOSIGNAL, NULL, 0);
}
#else
static ssize_t receive(int fd, void *buf, size_t n)
{
	return recv(fd, buf, n, 0);
}

static ssize_t give(int fd, const void *buf, size_t n)
{
	return send(fd, buf, n, MSG_NOSIGNAL);
}
#endif

intptr_t be_io_read(intptr_t fd, int kind, void *buf, size_t n)
{
	ssize_t r;

	do
		r = kind == BE_IO_SOCKET ? receive((int)fd, buf, n < MOST ? n : MOST)
		                         : read((int)fd, buf, n < MOST ? n : MOST);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return r;
}

/* The caller has blocked SIGPIPE, and it was not pending before. */
static void take_sigpipe(const sigset_t *pipes)
{
#ifdef __APPLE__
	sigset_t pending;
	int sig;

	if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
		(void)sigwait(pipes, &sig);
#else
	const struct timespec now = {0};

	while (sigtimedwait(pipes, NULL, &now) < 0 && errno == EINTR)
		;
#endif
}

static ssize_t write_file(int fd, const void *buf, size_t n)
{
	sigset_t pipes, old, pending;
	bool was;
	ssize_t r;
	int err;

	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	if (pthread_sigmask(SIG_BLOCK, &pipes, &old) != 0)
		return write(fd, buf, n);
	was = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
	r = write(fd, buf, n);
	err = errno;
	if (r < 0 && err == EPIPE && !was)
		take_sigpipe(&pipes);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return r;
}

intptr_t be_io_write(intptr_t fd, int kind, const void *buf, size_t n)
{
	ssize_t r;

	do
		r = kind == BE_IO_SOCKET ? give((int)fd, buf, n < MOST ? n : MOST)
		                         : write_file((int)fd, buf, n < MOST ? n : MOST);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return r;
}

int be_io_ready(intptr_t fd, int kind, unsigned what)
{
	struct pollfd p = { .fd = (int)fd,
		            .events = (short)((what & 1 ? POLLIN : 0) | (what & 2 ? POLLOUT : 0)) };
	unsigned got = 0;
	int n;

	(void)kind;
	do
		n = poll(&p, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	if (p.revents & (POLLIN | POLLHUP | POLLERR))
		got |= 1;
	if (p.revents & (POLLOUT | POLLHUP | POLLERR))
		got |= 2;
	return (int)(got & what);
}

/* Not again after EINTR: on Linux the number is free then, and may be somebody else's. */
void be_io_close(intptr_t fd, int kind)
{
	(void)kind;
	(void)close((int)fd);
}

/* ---- Addresses ------------------------------------------------------------------------------------- */

static struct sockaddr *sockaddr_of(const be_ioaddr *a)
{
	return (struct sockaddr *)(uintptr_t)&a->u;
}

static int resolve_unix(const char *path, be_ioaddr *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&out->u;
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof un->sun_path)
		return -EINVAL;
	memset(out, 0, sizeof *out);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, n);
	out->len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 1;
}

enum { HOST = 256, PORT = 32 };

/* "host:port", "[host]:port", ":port". False: not of that form. */
static bool split(const char *address, char host[HOST], char port[PORT])
{
	const char *colon = strrchr(address, ':'), *from = address, *to = colon;

	if (colon == NULL || strlen(colon + 1) >= PORT || colon[1] == '\0')
		return false;
	if (address[0] == '[') {
		from = address + 1;
		to = colon - 1;
		if (to < from || *to != ']')
			return false;
	} else if (memchr(address, ':', (size_t)(colon - address)) != NULL) {
		return false; /* a bare IPv6 address: where does the port begin? */
	}
	if (to - from >= HOST)
		return false;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	memcpy(port, colon + 1, strlen(colon + 1) + 1);
	return strpbrk(host, "[]") == NULL;
}

static int code_of(int eai)
{
	switch (eai) {
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno != 0 ? -errno : -EIO;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_SERVICE:
		return -EINVAL;
	default:
		return -ENXIO;
	}
}

/* The kinds that the network admits: 0 for either, -1 for none. */
static int family_of(const char *network)
{
	if (strcmp(network, "tcp") == 0)
		return AF_UNSPEC;
	if (strcmp(network, "tcp4") == 0)
		return AF_INET;
	return strcmp(network, "tcp6") == 0 ? AF_INET6 : -1;
}

static int copy_all(const struct addrinfo *list, be_ioaddr *out, int n)
{
	int found = 0;

	/* IPv4 first: who listens at "localhost" is found there by all. */
	for (int pass = 0; pass < 2; pass++)
		for (const struct addrinfo *a = list; a != NULL && found < n; a = a->ai_next) {
			if ((a->ai_family == AF_INET) != (pass == 0) || a->ai_addrlen > sizeof out->u)
				continue;
			memset(&out[found], 0, sizeof *out);
			memcpy(&out[found].u, a->ai_addr, a->ai_addrlen);
			out[found++].len = (uint32_t)a->ai_addrlen;
		}
	return found;
}

/* No host: every one of this machine, by one socket where it has IPv6, else by one of IPv4; or this machine. */
static int no_host(int family, bool passive, const char *port, const struct addrinfo *hints, be_ioaddr *out, int n)
{
	static const char *const every[] = { "::", "0.0.0.0" }, *const mine[] = { "127.0.0.1", "::1" };
	int found = 0;

	for (int i = 0; i < 2; i++) {
		const char *host = passive ? every[i] : mine[i];
		struct addrinfo *list = NULL;
		int r;

		if (family != AF_UNSPEC && (strchr(host, ':') != NULL) != (family == AF_INET6))
			continue;
		r = getaddrinfo(host, port, hints, &list);
		if (r != 0)
			return code_of(r);
		found += copy_all(list, out + found, n - found);
		freeaddrinfo(list);
	}
	return found;
}

static bool digits(const char *s)
{
	return s[strspn(s, "0123456789")] == '\0';
}

int be_io_resolve(const char *network, const char *address, bool passive, bool block, be_ioaddr *out, int n)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char host[HOST], port[PORT];
	int family, r;

	if (n < 1)
		return -EINVAL;
	if (strcmp(network, "unix") == 0)
		return resolve_unix(address, out);
	family = family_of(network);
	if (family < 0 || !split(address, host, port) || (digits(port) && strtoul(port, NULL, 10) > 65535))
		return -EINVAL;
	hints.ai_family = family;
	hints.ai_flags = (passive ? AI_PASSIVE : 0) | AI_NUMERICHOST | (digits(port) ? AI_NUMERICSERV : 0);
	if (!digits(port) && !block)
		return -EAGAIN;
	if (host[0] == '\0')
		return no_host(family, passive, port, &hints, out, n);
	r = getaddrinfo(host, port, &hints, &list);
	if (r == EAI_NONAME) {
		if (!block)
			return -EAGAIN;
		hints.ai_flags &= ~AI_NUMERICHOST;
		r = getaddrinfo(host, port, &hints, &list);
	}
	if (r != 0)
		return code_of(r);
	r = copy_all(list, out, n);
	freeaddrinfo(list);
	return r > 0 ? r : -ENXIO;
}

int be_io_format(const be_ioaddr *a, char *buf, size_t size)
{
	const struct sockaddr *sa = sockaddr_of(a);
	char host[INET6_ADDRSTRLEN];
	int n = -1;

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof host) != NULL)
			n = snprintf(buf, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)sa;

		if (inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host) != NULL)
			n = snprintf(buf, size, "[%s]:%u", host, ntohs(in->sin6_port));
	} else if (sa->sa_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;
		size_t most = a->len - offsetof(struct sockaddr_un, sun_path);

		n = snprintf(buf, size, "%.*s", (int)strnlen(un->sun_path, most), un->sun_path);
	}
	return n >= 0 && (size_t)n < size ? 0 : -EINVAL;
}

/* ---- Sockets --------------------------------------------------------------------------------------- */

/* What a new socket is to have. 0, -errno. */
static int made(int fd, int family)
{
	int one = 1;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || be_io_nonblocking(fd, BE_IO_SOCKET, true) != 0)
		return -errno;
#ifdef SO_NOSIGPIPE
	if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one) != 0)
		return -errno;
#endif
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return 0;
}

static int make(int family)
{
#ifdef SOCK_CLOEXEC
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
	int fd = socket(family, SOCK_STREAM, 0);
#endif
	int r;

	if (fd < 0)
		return -errno;
	r = made(fd, family);
	if (r != 0)
		close(fd);
	return r != 0 ? r : fd;
}

intptr_t be_io_listen(const be_ioaddr *a)
{
	const struct sockaddr *sa = sockaddr_of(a);
	int fd = make(sa->sa_family), on = 1, off = 0, r;

	if (fd < 0)
		return fd;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (sa->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, sa, a->len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int be_io_local(intptr_t fd, be_ioaddr *out)
{
	socklen_t len = sizeof out->u;

	memset(out, 0, sizeof *out);
	if (getsockname((int)fd, sockaddr_of(out), &len) != 0)
		return -errno;
	out->len = (uint32_t)len;
	return 0;
}

void be_io_unlink(const be_ioaddr *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&a->u;

	if (un->sun_family == AF_UNIX && un->sun_path[0] != '\0')
		(void)unlink(un->sun_path);
}

intptr_t be_io_accept(intptr_t listener)
{
	struct sockaddr_storage from = {0};
	socklen_t len;
	int fd, r;

	do {
		len = sizeof from;
#ifdef SOCK_CLOEXEC
		fd = accept4((int)listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
		fd = accept((int)listener, (struct sockaddr *)&from, &len);
#endif
		/* One that was given up before it was accepted is none. */
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	r = made(fd, from.ss_family);
	if (r != 0)
		close(fd);
	return r != 0 ? r : fd;
}

intptr_t be_io_dial(const be_ioaddr *a, bool *pending)
{
	const struct sockaddr *sa = sockaddr_of(a);
	int fd = make(sa->sa_family), r;

	if (fd < 0)
		return fd;
	*pending = false;
	if (connect(fd, sa, a->len) == 0)
		return fd;
	/* EINTR: it goes on by itself. A full backlog of a unix socket is EAGAIN, and nothing is pending then. */
	if (errno == EINPROGRESS || errno == EINTR) {
		*pending = true;
		return fd;
	}
	r = errno == EAGAIN && sa->sa_family == AF_UNIX ? -ECONNREFUSED : -errno;
	close(fd);
	return r;
}

int be_io_connected(intptr_t fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return -errno;
	if (err != 0)
		return -err;
	len = sizeof peer;
	if (getpeername((int)fd, (struct sockaddr *)&peer, &len) == 0)
		return 0;
	return errno == ENOTCONN ? -EAGAIN : -errno;
}

int be_io_shutdown(intptr_t fd)
{
	return shutdown((int)fd, SHUT_WR) == 0 ? 0 : -errno;
}
