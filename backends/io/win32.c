/* win32.c: files and sockets of Windows.
 *
 * A file is a HANDLE that always blocks: the system's files can be read without waiting only by operations that
 * complete later, and pipes and consoles that somebody else opened not even so. Sockets are SOCKETs, made so that
 * nothing inherits them.
 *
 * Listeners are exclusive. Without that any other program may bind to the same port and take the connections; the price
 * is that a port is free again only when the connections that were accepted there have gone, too.
 *
 * Paths are UTF-8. Unix sockets exist since Windows 10; where they do not they are -EAFNOSUPPORT.
 *
 * Errors are mapped by one table to what POSIX says in the same place: writing after be_io_shutdown is -EPIPE, reading
 * a pipe whose writers have gone is the end.
 *
 * Names. Literal addresses are read without asking anybody. The rest is getaddrinfo, which may ask servers; it uses the
 * process's heap.
 *
 * Rejected: the C library's descriptors (_open): their table is small, they cannot be sockets, and what the caller got
 * from the system would have to be put there first.
 */
#include "backends/io/io.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <winsock2.h>
#include <ws2tcpip.h>
#include <afunix.h>
#include <mstcpip.h>
#include <windows.h>

const char be_io_name[] = "win32";

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof ((be_ioaddr *)0)->u, "an address fits");

/* ---- Errors ---------------------------------------------------------------------------------------- */

static int code_of(DWORD error)
{
	static const struct {
		DWORD system;
		int code;
	} table[] = {
		/* sockets */
		{ WSAEWOULDBLOCK, EAGAIN },
		{ WSAEINPROGRESS, EAGAIN },
		{ WSAEALREADY, EALREADY },
		{ WSAEINTR, EBADF }, /* closed by another thread while it blocked; there are no signals */
		{ WSAENOTSOCK, ENOTSOCK },
		{ WSAEBADF, EBADF },
		{ WSAEACCES, EACCES },
		{ WSAEFAULT, EFAULT },
		{ WSAEINVAL, EINVAL },
		{ WSAEMFILE, EMFILE },
		{ WSAEMSGSIZE, EMSGSIZE },
		{ WSAEDESTADDRREQ, EDESTADDRREQ },
		{ WSAEPROTOTYPE, EPROTOTYPE },
		{ WSAENOPROTOOPT, ENOPROTOOPT },
		{ WSAEPROTONOSUPPORT, EPROTONOSUPPORT },
		{ WSAESOCKTNOSUPPORT, EPROTONOSUPPORT },
		{ WSAEOPNOTSUPP, EOPNOTSUPP },
		{ WSAEPFNOSUPPORT, EAFNOSUPPORT },
		{ WSAEAFNOSUPPORT, EAFNOSUPPORT },
		{ WSAEADDRINUSE, EADDRINUSE },
		{ WSAEADDRNOTAVAIL, EADDRNOTAVAIL },
		{ WSAENETDOWN, ENETDOWN },
		{ WSAENETUNREACH, ENETUNREACH },
		{ WSAENETRESET, ENETRESET },
		{ WSAECONNABORTED, ECONNABORTED },
		{ WSAECONNRESET, ECONNRESET },
		{ WSAENOBUFS, ENOBUFS },
		{ WSAEISCONN, EISCONN },
		{ WSAENOTCONN, ENOTCONN },
		{ WSAESHUTDOWN, EPIPE },
		{ WSAETIMEDOUT, ETIMEDOUT },
		{ WSAECONNREFUSED, ECONNREFUSED },
		{ WSAEHOSTDOWN, EHOSTUNREACH },
		{ WSAEHOSTUNREACH, EHOSTUNREACH },
		{ WSAENAMETOOLONG, ENAMETOOLONG },
		{ WSASYSNOTREADY, ENETDOWN },
		{ WSAVERNOTSUPPORTED, ENOSYS },
		{ WSAHOST_NOT_FOUND, ENXIO },
		{ WSANO_DATA, ENXIO },
		{ WSANO_RECOVERY, ENXIO },
		{ WSATRY_AGAIN, EAGAIN },
		{ WSATYPE_NOT_FOUND, EINVAL }, /* no such service */
		/* files, and what both may say */
		{ ERROR_FILE_NOT_FOUND, ENOENT },
		{ ERROR_PATH_NOT_FOUND, ENOENT },
		{ ERROR_INVALID_DRIVE, ENOENT },
		{ ERROR_BAD_NETPATH, ENOENT },
		{ ERROR_BAD_NET_NAME, ENOENT },
		{ ERROR_INVALID_NAME, ENOENT },
		{ ERROR_DIRECTORY, ENOTDIR },
		{ ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG },
		{ ERROR_NO_UNICODE_TRANSLATION, EILSEQ },
		{ ERROR_ACCESS_DENIED, EACCES },
		{ ERROR_SHARING_VIOLATION, EACCES },
		{ ERROR_LOCK_VIOLATION, EACCES },
		{ ERROR_WRITE_PROTECT, EROFS },
		{ ERROR_FILE_EXISTS, EEXIST },
		{ ERROR_ALREADY_EXISTS, EEXIST },
		{ ERROR_INVALID_HANDLE, EBADF },
		{ ERROR_TOO_MANY_OPEN_FILES, EMFILE },
		{ ERROR_NOT_ENOUGH_MEMORY, ENOMEM },
		{ ERROR_OUTOFMEMORY, ENOMEM },
		{ ERROR_NO_SYSTEM_RESOURCES, ENOMEM },
		{ ERROR_COMMITMENT_LIMIT, ENOMEM },
		{ ERROR_DISK_FULL, ENOSPC },
		{ ERROR_HANDLE_DISK_FULL, ENOSPC },
		{ ERROR_BROKEN_PIPE, EPIPE },
		{ ERROR_NO_DATA, EPIPE },
		{ ERROR_PIPE_NOT_CONNECTED, EPIPE },
		{ ERROR_PIPE_BUSY, EBUSY },
		{ ERROR_BUSY, EBUSY },
		{ ERROR_INVALID_PARAMETER, EINVAL },
		{ ERROR_NOT_SUPPORTED, ENOTSUP },
		{ ERROR_INVALID_FUNCTION, ENOTSUP },
		{ ERROR_OPERATION_ABORTED, ECANCELED },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].system == error)
			return -table[i].code;
	return -EIO;
}

static int last(void)
{
	return code_of(GetLastError());
}

static int last_of_socket(void)
{
	return code_of((DWORD)WSAGetLastError());
}

int be_io_start(void)
{
	WSADATA data;
	/* Counted by the system, which takes all of it back when the process ends. */
	int err = WSAStartup(MAKEWORD(2, 2), &data);

	return err == 0 ? 0 : code_of((DWORD)err);
}

/* ---- Any descriptor -------------------------------------------------------------------------------- */

/* UTF-16, for the caller to free. */
static int wide(const char *s, WCHAR **out)
{
	int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, s, -1, NULL, 0);

	if (n <= 0)
		return last();
	*out = malloc((size_t)n * sizeof **out);
	if (*out == NULL)
		return -ENOMEM;
	MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, s, -1, *out, n);
	return 0;
}

/* Not FILE_WRITE_DATA for "a": with FILE_APPEND_DATA alone the system writes each time at the end. */
static int mode_of(const char *mode, DWORD *access, DWORD *how)
{
	bool both = mode[0] != '\0' && mode[1] == '+' && mode[2] == '\0';

	if (mode[0] == '\0' || (mode[1] != '\0' && !both))
		return -EINVAL;
	*access = both ? GENERIC_READ : 0;
	switch (mode[0]) {
	case 'r':
		*access = GENERIC_READ | (both ? GENERIC_WRITE : 0);
		*how = OPEN_EXISTING;
		return 0;
	case 'w':
		*access |= GENERIC_WRITE;
		*how = CREATE_ALWAYS;
		return 0;
	case 'a':
		*access |= FILE_APPEND_DATA | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
		*how = OPEN_ALWAYS;
		return 0;
	default:
		return -EINVAL;
	}
}

intptr_t be_io_open(const char *path, const char *mode)
{
	DWORD access, how;
	WCHAR *name = NULL;
	HANDLE h;
	int err = mode_of(mode, &access, &how);

	if (err == 0)
		err = wide(path, &name);
	if (err != 0)
		return err;
	h = CreateFileW(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, how,
	                FILE_ATTRIBUTE_NORMAL, NULL);
	if (h == INVALID_HANDLE_VALUE)
		err = last();
	free(name);
	return err != 0 ? err : (intptr_t)h;
}

int be_io_kind(intptr_t fd)
{
	int type, len = sizeof type;

	/* Sockets first: they also look like pipes. */
	if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0)
		return BE_IO_SOCKET;
	SetLastError(0);
	if (GetFileType((HANDLE)fd) == FILE_TYPE_UNKNOWN && GetLastError() != 0)
		return -EBADF;
	return BE_IO_FILE;
}

bool be_io_stream(intptr_t fd)
{
	int type = 0, len = sizeof type;

	return getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0 && type == SOCK_STREAM;
}

int be_io_nonblocking(intptr_t fd, int kind, bool on)
{
	u_long set = on;

	if (kind != BE_IO_SOCKET)
		return on ? -ENOTSUP : 0;
	return ioctlsocket((SOCKET)fd, FIONBIO, &set) == 0 ? 0 : last_of_socket();
}

enum { MOST = 1 << 30 };

intptr_t be_io_read(intptr_t fd, int kind, void *buf, size_t n)
{
	int most = n < MOST ? (int)n : MOST;
	DWORD got = 0;

	if (kind == BE_IO_SOCKET) {
		int r = recv((SOCKET)fd, buf, most, 0);

		return r >= 0 ? r : last_of_socket();
	}
	if (ReadFile((HANDLE)fd, buf, (DWORD)most, &got, NULL))
		return got;
	switch (GetLastError()) {
	case ERROR_HANDLE_EOF:
	case ERROR_BROKEN_PIPE: /* its writers have gone */
		return 0;
	default:
		return last();
	}
}

intptr_t be_io_write(intptr_t fd, int kind, const void *buf, size_t n)
{
	int most = n < MOST ? (int)n : MOST;
	DWORD done = 0;

	if (kind == BE_IO_SOCKET) {
		int r = send((SOCKET)fd, buf, most, 0);

		return r >= 0 ? r : last_of_socket();
	}
	return WriteFile((HANDLE)fd, buf, (DWORD)most, &done, NULL) ? (intptr_t)done : last();
}

/* A pipe can tell whether there is something to read, and nothing can tell whether writing would block. */
static int file_ready(HANDLE h, unsigned what)
{
	DWORD n;

	SetLastError(0);
	switch (GetFileType(h)) {
	case FILE_TYPE_PIPE:
		if (what & 1 && PeekNamedPipe(h, NULL, 0, NULL, &n, NULL) && n == 0)
			what &= ~1U; /* if it cannot be asked reading will say why, at once */
		return (int)what;
	case FILE_TYPE_UNKNOWN:
		return GetLastError() != 0 ? last() : (int)what;
	default:
		return (int)what;
	}
}

/* By select, which tells of a connection that failed; WSAPoll has learned that late. */
int be_io_ready(intptr_t fd, int kind, unsigned what)
{
	SOCKET s = (SOCKET)fd;
	const fd_set only = { 1, { s } };
	struct timeval now = {0};
	fd_set in = only, out = only, bad = only;
	unsigned got = 0;

	if (kind != BE_IO_SOCKET)
		return file_ready((HANDLE)fd, what);
	if (select(0, what & 1 ? &in : NULL, what & 2 ? &out : NULL, &bad, &now) < 0)
		return last_of_socket();
	/* What is not ready is taken out. */
	if (in.fd_count != 0 || bad.fd_count != 0)
		got |= 1;
	if (out.fd_count != 0 || bad.fd_count != 0)
		got |= 2;
	return (int)(got & what);
}

void be_io_close(intptr_t fd, int kind)
{
	if (kind == BE_IO_SOCKET)
		(void)closesocket((SOCKET)fd);
	else
		(void)CloseHandle((HANDLE)fd);
}

/* ---- Addresses ------------------------------------------------------------------------------------- */

enum { HOST = 256, PORT = 32 };

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
	out->len = sizeof *un; /* the system wants all of it */
	return 1;
}

/* Into host and port. False: not "host:port", "[host]:port" or ":port". */
static bool split(const char *address, char host[HOST], char port[PORT])
{
	const char *colon = strrchr(address, ':');
	size_t n = colon != NULL ? (size_t)(colon - address) : 0;

	if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) >= PORT)
		return false;
	strcpy(port, colon + 1);
	if (n > 0 && address[0] == '[') {
		if (n < 2 || address[n - 1] != ']')
			return false;
		address++;
		n -= 2;
	} else if (memchr(address, ':', n) != NULL) {
		return false; /* a bare IPv6 address: its port may be its last group */
	}
	if (n >= HOST)
		return false;
	memcpy(host, address, n);
	host[n] = '\0';
	return strpbrk(host, "[]") == NULL;
}

/* 0 to 65535; -1: a name; -2: no port. */
static int port_of(const char *s)
{
	int n = 0;

	if (s[strspn(s, "0123456789")] != '\0')
		return -1;
	for (; *s != '\0'; s++) {
		n = 10 * n + (*s - '0');
		if (n > 65535)
			return -2;
	}
	return n;
}

static int family_of(const char *network)
{
	if (strcmp(network, "tcp") == 0)
		return AF_UNSPEC;
	if (strcmp(network, "tcp4") == 0)
		return AF_INET;
	return strcmp(network, "tcp6") == 0 ? AF_INET6 : -1;
}

static bool literal(const char *host, int port, be_ioaddr *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&out->u;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&out->u;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((u_short)port);
		out->len = sizeof *in;
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((u_short)port);
		out->len = sizeof *in6;
		return true;
	}
	return false;
}

/* No host: to listen, every one of this machine by one socket, or by IPv4 if that is all it has; else this machine. */
static int no_host(int family, bool passive, int port, be_ioaddr *out, int n)
{
	const char *v4 = passive ? "0.0.0.0" : "127.0.0.1", *v6 = passive ? "::" : "::1";
	const char *first = family == AF_INET || (family == AF_UNSPEC && !passive) ? v4 : v6;

	literal(first, port, &out[0]);
	if (family != AF_UNSPEC || n < 2)
		return 1;
	literal(first == v4 ? v6 : v4, port, &out[1]);
	return 2;
}

static int copy_all(const struct addrinfo *list, be_ioaddr *out, int n)
{
	static const int order[] = { AF_INET, AF_INET6 }; /* who listens at "localhost" is found by IPv4 by all */
	int found = 0;

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		for (const struct addrinfo *a = list; a != NULL && found < n; a = a->ai_next) {
			if (a->ai_family != order[i] || a->ai_addrlen > sizeof out->u)
				continue;
			memset(&out[found], 0, sizeof *out);
			memcpy(&out[found].u, a->ai_addr, a->ai_addrlen);
			out[found++].len = (uint32_t)a->ai_addrlen;
		}
	}
	return found > 0 ? found : -ENXIO;
}

int be_io_resolve(const char *network, const char *address, bool passive, bool block, be_ioaddr *out, int n)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char host[HOST], port[PORT];
	int family, number, r;

	if (n < 1)
		return -EINVAL;
	if (strcmp(network, "unix") == 0)
		return resolve_unix(address, out);
	family = family_of(network);
	if (family < 0 || !split(address, host, port) || (number = port_of(port)) == -2)
		return -EINVAL;
	if (number >= 0 && host[0] == '\0')
		return no_host(family, passive, number, out, n);
	if (number >= 0 && literal(host, number, out))
		return family == AF_UNSPEC || family == sockaddr_of(out)->sa_family ? 1 : -ENXIO;
	if (!block)
		return -EAGAIN;
	hints.ai_family = family;
	hints.ai_flags = passive ? AI_PASSIVE : 0;
	r = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
	if (r != 0)
		return code_of((DWORD)r);
	r = copy_all(list, out, n);
	freeaddrinfo(list);
	return r;
}

int be_io_format(const be_ioaddr *a, char *buf, size_t size)
{
	const struct sockaddr *sa = sockaddr_of(a);
	char host[INET6_ADDRSTRLEN];
	int n = -1;

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		if (inet_ntop(AF_INET, (void *)(uintptr_t)&in->sin_addr, host, sizeof host) != NULL)
			n = snprintf(buf, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)sa;

		if (inet_ntop(AF_INET6, (void *)(uintptr_t)&in->sin6_addr, host, sizeof host) != NULL)
			n = snprintf(buf, size, "[%s]:%u", host, ntohs(in->sin6_port));
	} else if (sa->sa_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;

		n = snprintf(buf, size, "%.*s", (int)strnlen(un->sun_path, sizeof un->sun_path), un->sun_path);
	}
	return n >= 0 && (size_t)n < size ? 0 : -EINVAL;
}

/* ---- Sockets --------------------------------------------------------------------------------------- */

static int made(SOCKET s, int family)
{
	int one = 1, err = be_io_nonblocking((intptr_t)s, BE_IO_SOCKET, true);

	if (err == 0 && family != AF_UNIX)
		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
	return err;
}

static int make(int family, SOCKET *out)
{
	int err;

	*out = WSASocketW(family, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	if (*out == INVALID_SOCKET)
		return last_of_socket();
	err = made(*out, family);
	if (err != 0)
		closesocket(*out);
	return err;
}

intptr_t be_io_listen(const be_ioaddr *a)
{
	const struct sockaddr *sa = sockaddr_of(a);
	int on = 1, off = 0, err;
	SOCKET s;

	err = make(sa->sa_family, &s);
	if (err != 0)
		return err;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
	if (sa->sa_family == AF_INET6) /* "::" is IPv4, too */
		(void)setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&off, sizeof off);
	if (bind(s, sa, (int)a->len) == 0 && listen(s, SOMAXCONN) == 0)
		return (intptr_t)s;
	err = last_of_socket();
	closesocket(s);
	return err;
}

int be_io_local(intptr_t fd, be_ioaddr *out)
{
	int len = sizeof out->u;

	memset(out, 0, sizeof *out);
	if (getsockname((SOCKET)fd, sockaddr_of(out), &len) != 0)
		return last_of_socket();
	out->len = (uint32_t)len;
	return 0;
}

/* Nothing can be done if it fails: the path is gone already, or somebody else's. */
void be_io_unlink(const be_ioaddr *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&a->u;
	WCHAR *path;

	if (un->sun_family != AF_UNIX || un->sun_path[0] == '\0' || wide(un->sun_path, &path) != 0)
		return;
	DeleteFileW(path);
	free(path);
}

intptr_t be_io_accept(intptr_t listener)
{
	struct sockaddr_storage from = {0};
	SOCKET s;
	int len, err;

	do {
		len = sizeof from;
		s = accept((SOCKET)listener, (struct sockaddr *)&from, &len);
		/* One that was given up before it was accepted is none. */
	} while (s == INVALID_SOCKET && WSAGetLastError() == WSAECONNRESET);
	if (s == INVALID_SOCKET)
		return last_of_socket();
	/* Whether it inherits this from the listener is not documented. */
	(void)SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
	err = made(s, from.ss_family);
	if (err != 0)
		closesocket(s);
	return err != 0 ? err : (intptr_t)s;
}

static bool this_machine(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK((struct in6_addr *)(uintptr_t)&in6->sin6_addr);
}

intptr_t be_io_dial(const be_ioaddr *a, bool *pending)
{
	const struct sockaddr *sa = sockaddr_of(a);
	TCP_INITIAL_RTO_PARAMETERS once = { TCP_INITIAL_RTO_UNSPECIFIED_RTT, TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS };
	SOCKET s;
	DWORD n;
	int err = make(sa->sa_family, &s);

	if (err != 0)
		return err;
	/* Windows asks three times, for two seconds, before it believes a refusal. Between machines that may help;
	 * here it does not. A system without this option still connects. */
	if (this_machine(sa))
		(void)WSAIoctl(s, SIO_TCP_INITIAL_RTO, &once, sizeof once, NULL, 0, &n, NULL, NULL);
	*pending = false;
	if (connect(s, sa, (int)a->len) == 0)
		return (intptr_t)s;
	if (WSAGetLastError() == WSAEWOULDBLOCK) {
		*pending = true;
		return (intptr_t)s;
	}
	err = last_of_socket();
	closesocket(s);
	return err;
}

int be_io_connected(intptr_t fd)
{
	struct sockaddr_storage peer;
	int error = 0, len = sizeof error;

	if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_ERROR, (char *)&error, &len) != 0)
		return last_of_socket();
	if (error != 0)
		return code_of((DWORD)error);
	len = sizeof peer;
	if (getpeername((SOCKET)fd, (struct sockaddr *)&peer, &len) == 0)
		return 0;
	return WSAGetLastError() == WSAENOTCONN ? -EAGAIN : last_of_socket();
}

int be_io_shutdown(intptr_t fd)
{
	return shutdown((SOCKET)fd, SD_SEND) == 0 ? 0 : last_of_socket();
}
