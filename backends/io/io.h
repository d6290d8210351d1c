/* io.h: files and sockets of the system.
 *
 * Contract. Exactly one of posix.c, win32.c is linked. A descriptor is an intptr_t: a file descriptor, a SOCKET or a
 * HANDLE. Results are -errno on failure. Nothing blocks but where it says so; a call that is interrupted is made again
 * in here. No call raises SIGPIPE. Descriptors are not inherited by programs that are executed.
 */
#ifndef BACKENDS_IO_H
#define BACKENDS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char be_io_name[]; /* "posix", "win32" */

enum { BE_IO_FILE = 0, BE_IO_SOCKET = 1 }; /* FILE: all that is no socket */

typedef struct be_ioaddr { /* of a socket */
	union {
		uint64_t align;
		unsigned char bytes[128]; /* a sockaddr_storage */
	} u;
	uint32_t len;
} be_ioaddr;

/* Before anything else, by any thread, once or more often. 0, -errno. */
int be_io_start(void);

/* ---- Any descriptor ---- */

/* Opens a file, mode as for fopen; blocks (a FIFO until it has another end). -EINVAL: no such mode. */
intptr_t be_io_open(const char *path, const char *mode);
/* BE_IO_*, -EBADF. All others take numbers that came through here. */
int be_io_kind(intptr_t fd);
/* A socket of which a read that gives less than was asked for has taken all there was: TCP, but for urgent data, where
 * a read stops, and of which the poller has to tell (BE_POLL_ENDS). */
bool be_io_stream(intptr_t fd);
/* Whether reading and writing say -EAGAIN instead of blocking. -ENOTSUP: this one always blocks. */
int be_io_nonblocking(intptr_t fd, int kind, bool on);
/* Up to n bytes: their number, 0 at the end. -EAGAIN: it would block. Blocks on what is not set to be nonblocking. */
intptr_t be_io_read(intptr_t fd, int kind, void *buf, size_t n);
intptr_t be_io_write(intptr_t fd, int kind, const void *buf, size_t n);
/* Which of 1 (reading) and 2 (writing), out of what, would not block at this moment. */
int be_io_ready(intptr_t fd, int kind, unsigned what);
void be_io_close(intptr_t fd, int kind);

/* ---- Sockets ---- */

/* The addresses, at most n, of "host:port" ("tcp", "tcp4", "tcp6") or of a path ("unix"), in the order in which they
 * are to be tried: their number. passive: to listen at; an empty host is every one of this machine, else it is this
 * machine. -EINVAL: no such network, or not of that form; -ENXIO: no such host. block: whether it may ask the system
 * for names, which takes as long as it takes; else such an address is -EAGAIN. */
int be_io_resolve(const char *network, const char *address, bool passive, bool block, be_ioaddr *out, int n);
/* As resolve reads it: "127.0.0.1:80", "[::1]:80", a path. -EINVAL: size is too small. */
int be_io_format(const be_ioaddr *a, char *buf, size_t size);
/* Sockets made here are nonblocking, and those of TCP send at once. */
intptr_t be_io_listen(const be_ioaddr *a);
int be_io_local(intptr_t fd, be_ioaddr *out);
/* After the listener of a "unix" path was closed: takes the path away. Other addresses: nothing. */
void be_io_unlink(const be_ioaddr *a);
/* The next connection; -EAGAIN: there is none; -EMFILE and the like leave it waiting. */
intptr_t be_io_accept(intptr_t listener);
/* Begins to connect. *pending: when it becomes writable be_io_connected tells whether it is. */
intptr_t be_io_dial(const be_ioaddr *a, bool *pending);
/* 0; -EAGAIN: not yet; -ECONNREFUSED, ... */
int be_io_connected(intptr_t fd);
int be_io_shutdown(intptr_t fd); /* ends the output */

#endif
