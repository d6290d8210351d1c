/* sockets.h: for tests under cmocka: connected sockets of this machine. No call waits for more than the system's own
 * bookkeeping; where something is on its way the thread yields until it has come. */
#ifndef TESTS_SUPPORT_SOCKETS_H
#define TESTS_SUPPORT_SOCKETS_H

#include "backends/io/io.h"
#include "backends/thread/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static inline be_ioaddr address_of(const char *network, const char *address)
{
	be_ioaddr a;

	assert_int_equal(be_io_resolve(network, address, true, false, &a, 1), 1);
	return a;
}

/* A listener at any port; where it is. */
static inline intptr_t listen_any(be_ioaddr *at)
{
	be_ioaddr a = address_of("tcp", "127.0.0.1:0");
	intptr_t l = be_io_listen(&a);

	assert_true(l >= 0);
	assert_int_equal(be_io_local(l, at), 0);
	return l;
}

static inline intptr_t accept_one(intptr_t l)
{
	intptr_t s;

	while ((s = be_io_accept(l)) == -EAGAIN)
		be_thread_yield();
	assert_true(s >= 0);
	return s;
}

/* 0, or why not. */
static inline int finish(intptr_t s)
{
	int r;

	while ((r = be_io_connected(s)) == -EAGAIN)
		be_thread_yield();
	return r;
}

static inline void connect_pair(intptr_t l, const be_ioaddr *at, intptr_t fds[2])
{
	bool pending;

	fds[0] = be_io_dial(at, &pending);
	assert_true(fds[0] >= 0);
	fds[1] = accept_one(l);
	assert_int_equal(finish(fds[0]), 0);
}

static inline void make_pair(intptr_t fds[2])
{
	be_ioaddr at;
	intptr_t l = listen_any(&at);

	connect_pair(l, &at, fds);
	be_io_close(l, BE_IO_SOCKET);
}

/* An address where nobody listens (any more). */
static inline be_ioaddr nobody(void)
{
	be_ioaddr at;

	be_io_close(listen_any(&at), BE_IO_SOCKET);
	return at;
}

#endif
