/* Contract of backends/io/io.h, for whichever implementation is linked. Connections are of this machine. Nobody is
 * asked for a name but that of this machine; no test waits for a time to pass. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/io/io.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "tests/support/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536, CYCLE = 251, READ = 1, WRITE = 2 };

static const char file[] = "contract-io.tmp", path[] = "contract-io.sock";
static char buf[CHUNK];

static void test_name(void **state)
{
	(void)state;
	assert_true(strlen(be_io_name) > 0);
	assert_int_equal(be_io_start(), 0); /* once more */
}

/* ---- Addresses ------------------------------------------------------------------------------------- */

/* Read without asking anybody, and written as it was. */
static void same(const char *network, const char *address)
{
	be_ioaddr a[4];
	char text[128];

	assert_int_equal(be_io_resolve(network, address, false, false, a, 4), 1);
	assert_int_equal(be_io_format(&a[0], text, sizeof text), 0);
	assert_string_equal(text, address);
}

static void test_literals(void **state)
{
	(void)state;
	same("tcp", "127.0.0.1:80");
	same("tcp4", "192.0.2.255:65535");
	same("tcp4", "1.2.3.4:0");
	same("tcp", "[::1]:80");
	same("tcp6", "[2001:db8::5]:65535");
	same("unix", "a/path.sock");
}

static void test_no_host(void **state)
{
	static const char *const networks[] = { "tcp", "tcp4", "tcp6" };
	be_ioaddr a[4];
	char text[64];

	(void)state;
	for (size_t i = 0; i < RT_NELEM(networks); i++)
		for (int passive = 0; passive < 2; passive++) {
			int n = be_io_resolve(networks[i], ":80", passive != 0, false, a, 4);

			assert_in_range(n, 1, 4);
			for (int j = 0; j < n; j++) {
				assert_int_equal(be_io_format(&a[j], text, sizeof text), 0);
				assert_non_null(strstr(text, ":80"));
			}
		}
	assert_int_equal(be_io_resolve("tcp", ":80", true, false, a, 1), 1); /* no more than there is room for */
	assert_int_equal(be_io_resolve("tcp4", ":80", true, false, a, 4), 1);
	assert_int_equal(be_io_format(&a[0], text, sizeof text), 0);
	assert_string_equal(text, "0.0.0.0:80");
	assert_int_equal(be_io_resolve("tcp4", ":80", false, false, a, 4), 1);
	assert_int_equal(be_io_format(&a[0], text, sizeof text), 0);
	assert_string_equal(text, "127.0.0.1:80");
}

static void test_bad_forms(void **state)
{
	static const char *const bad[] = {
		"", ":", "127.0.0.1", "127.0.0.1:", "::1:80", "[::1]80", "[::1]", "[::1", "[::1:80", "]:80", "[:80",
		"1.2.3.4:65536", "1.2.3.4:4294967376", "1.2.3.4:18446744073709551696",
	};
	be_ioaddr a;
	char longer[300];

	(void)state;
	for (size_t i = 0; i < RT_NELEM(bad); i++)
		for (int block = 0; block < 2; block++) {
			int r = be_io_resolve("tcp", bad[i], false, block != 0, &a, 1);

			if (r != -EINVAL)
				fail_msg("\"%s\": %d", bad[i], r);
		}
	memset(longer, 'a', sizeof longer);
	memcpy(&longer[sizeof longer - 4], ":80", 4);
	assert_int_equal(be_io_resolve("tcp", longer, false, true, &a, 1), -EINVAL);
	assert_int_equal(be_io_resolve("unix", longer, false, true, &a, 1), -EINVAL);
	assert_int_equal(be_io_resolve("unix", "", false, true, &a, 1), -EINVAL);
	assert_int_equal(be_io_resolve("udp", "1.2.3.4:80", false, true, &a, 1), -EINVAL);
	assert_int_equal(be_io_resolve("", "1.2.3.4:80", false, true, &a, 1), -EINVAL);
	assert_int_equal(be_io_resolve("tcp", "1.2.3.4:80", false, true, &a, 0), -EINVAL);
}

/* A literal of the other kind is no host there. */
static void test_other_kind(void **state)
{
	be_ioaddr a;

	(void)state;
	assert_int_equal(be_io_resolve("tcp4", "[::1]:80", false, true, &a, 1), -ENXIO);
	assert_int_equal(be_io_resolve("tcp6", "127.0.0.1:80", false, true, &a, 1), -ENXIO);
}

static void test_names(void **state)
{
	be_ioaddr a[8];
	char text[64];
	int n;

	(void)state;
	assert_int_equal(be_io_resolve("tcp", "localhost:80", false, false, a, 8), -EAGAIN);
	n = be_io_resolve("tcp", "localhost:80", false, true, a, 8);
	assert_in_range(n, 1, 8);
	for (int i = 0; i < n; i++) {
		assert_int_equal(be_io_format(&a[i], text, sizeof text), 0);
		assert_non_null(strstr(text, "1:80")); /* 127.0.0.1, [::1] may be [::1%lo] */
	}
	assert_int_equal(be_io_resolve("tcp4", "localhost:80", false, true, a, 1), 1);
	assert_int_equal(be_io_format(&a[0], text, sizeof text), 0);
	assert_string_equal(text, "127.0.0.1:80");
}

static void test_format(void **state)
{
	be_ioaddr a = address_of("tcp", "127.0.0.1:80");
	char text[16];

	(void)state;
	assert_int_equal(be_io_format(&a, text, 12), -EINVAL);
	assert_int_equal(be_io_format(&a, text, 13), 0);
	assert_string_equal(text, "127.0.0.1:80");
	assert_int_equal(be_io_format(&a, text, 0), -EINVAL);
}

/* ---- Connections ----------------------------------------------------------------------------------- */

static void close_pair(const intptr_t fds[2])
{
	be_io_close(fds[0], BE_IO_SOCKET);
	be_io_close(fds[1], BE_IO_SOCKET);
}

/* What is on its way. */
static intptr_t get(intptr_t fd, void *to, size_t n)
{
	intptr_t r;

	while ((r = be_io_read(fd, BE_IO_SOCKET, to, n)) == -EAGAIN)
		be_thread_yield();
	return r;
}

static void put(intptr_t fd, const char *text)
{
	assert_int_equal(be_io_write(fd, BE_IO_SOCKET, text, strlen(text)), strlen(text));
}

static void expect(intptr_t fd, const char *text)
{
	size_t n = strlen(text), got = 0;
	char in[64];

	while (got < n) {
		intptr_t r = get(fd, in + got, n - got);

		assert_true(r > 0);
		got += (size_t)r;
	}
	assert_memory_equal(in, text, n);
}

static void test_connection(void **state)
{
	be_ioaddr at, local;
	intptr_t l = listen_any(&at), fds[2];
	char text[64];

	(void)state;
	assert_int_equal(be_io_kind(l), BE_IO_SOCKET);
	assert_int_equal(be_io_format(&at, text, sizeof text), 0);
	assert_memory_equal(text, "127.0.0.1:", 10);
	assert_true(atoi(text + 10) > 0);
	assert_int_equal(be_io_accept(l), -EAGAIN);
	connect_pair(l, &at, fds);
	assert_int_equal(be_io_accept(l), -EAGAIN);
	be_io_close(l, BE_IO_SOCKET);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(be_io_kind(fds[i]), BE_IO_SOCKET);
		assert_int_equal(be_io_connected(fds[i]), 0);
		assert_int_equal(be_io_read(fds[i], BE_IO_SOCKET, buf, 1), -EAGAIN);
	}
	/* The one that was accepted is where the listener was. */
	assert_int_equal(be_io_local(fds[1], &local), 0);
	assert_int_equal(local.len, at.len);
	assert_memory_equal(&local.u, &at.u, at.len);
	put(fds[0], "there");
	expect(fds[1], "there");
	put(fds[1], "and back");
	expect(fds[0], "and back");
	close_pair(fds);
}

/* IPv6, if this machine has it; what listens at all addresses of "tcp" also hears IPv4. */
static void test_ipv6(void **state)
{
	be_ioaddr a = address_of("tcp", "[::1]:0"), at;
	intptr_t l = be_io_listen(&a), fds[2];
	char text[64], v4[64];

	(void)state;
	if (l == -EAFNOSUPPORT || l == -EADDRNOTAVAIL) {
		print_message("no IPv6\n");
		skip();
	}
	assert_true(l >= 0);
	assert_int_equal(be_io_local(l, &at), 0);
	connect_pair(l, &at, fds);
	put(fds[0], "six");
	expect(fds[1], "six");
	close_pair(fds);
	be_io_close(l, BE_IO_SOCKET);

	assert_in_range(be_io_resolve("tcp", ":0", true, false, &a, 1), 1, 1);
	l = be_io_listen(&a);
	assert_true(l >= 0);
	assert_int_equal(be_io_local(l, &at), 0);
	assert_int_equal(be_io_format(&at, text, sizeof text), 0);
	snprintf(v4, sizeof v4, "127.0.0.1%s", strrchr(text, ':'));
	at = address_of("tcp", v4);
	connect_pair(l, &at, fds);
	put(fds[1], "four");
	expect(fds[0], "four");
	close_pair(fds);
	be_io_close(l, BE_IO_SOCKET);
}

static void test_in_use(void **state)
{
	be_ioaddr at;
	intptr_t l = listen_any(&at);

	(void)state;
	assert_int_equal(be_io_listen(&at), -EADDRINUSE);
	be_io_close(l, BE_IO_SOCKET);
	l = be_io_listen(&at); /* nobody was accepted: it is free at once */
	assert_true(l >= 0);
	be_io_close(l, BE_IO_SOCKET);
}

static void test_refused(void **state)
{
	be_ioaddr at = nobody();
	bool pending;
	intptr_t s = be_io_dial(&at, &pending);

	(void)state;
	if (s >= 0) {
		assert_true(pending);
		assert_int_equal(finish(s), -ECONNREFUSED);
		be_io_close(s, BE_IO_SOCKET);
	} else {
		assert_int_equal(s, -ECONNREFUSED);
	}
}

static void test_shutdown(void **state)
{
	intptr_t fds[2];

	(void)state;
	make_pair(fds);
	put(fds[0], "last");
	assert_int_equal(be_io_shutdown(fds[0]), 0);
	expect(fds[1], "last");
	assert_int_equal(get(fds[1], buf, 1), 0);
	assert_int_equal(get(fds[1], buf, 1), 0);
	put(fds[1], "answer");
	expect(fds[0], "answer");
	assert_int_equal(be_io_write(fds[0], BE_IO_SOCKET, "x", 1), -EPIPE); /* and no signal */
	close_pair(fds);
}

/* Who goes with something unread resets the connection: an error, for writing as well, and no signal. (Wine's server
 * may have taken the error for itself: then reading says that it is the end.) */
static void test_reset(void **state)
{
	intptr_t fds[2], r;

	(void)state;
	make_pair(fds);
	put(fds[0], "unread");
	while (be_io_ready(fds[1], BE_IO_SOCKET, READ) != READ)
		be_thread_yield();
	be_io_close(fds[1], BE_IO_SOCKET);
	r = get(fds[0], buf, 1);
	assert_true(r == -ECONNRESET || r == -ECONNABORTED || r == 0);
	r = be_io_write(fds[0], BE_IO_SOCKET, "x", 1);
	assert_true(r == -EPIPE || r == -ECONNRESET || r == -ECONNABORTED);
	be_io_close(fds[0], BE_IO_SOCKET);
}

static void pattern(size_t from)
{
	for (size_t i = 0; i < CHUNK; i++)
		buf[i] = (char)((from + i) % CYCLE);
}

/* What is not taken at once is told, and what was taken arrives, in order. */
static void test_partial(void **state)
{
	intptr_t fds[2], r;
	size_t sent = 0, got = 0;

	(void)state;
	make_pair(fds);
	for (int round = 0; round < 2; round++) {
		pattern(sent);
		while ((r = be_io_write(fds[0], BE_IO_SOCKET, buf, CHUNK)) > 0) {
			assert_true(r <= CHUNK);
			sent += (size_t)r;
			pattern(sent);
		}
		assert_int_equal(r, -EAGAIN);
		while (got < sent) {
			r = get(fds[1], buf, CHUNK);
			assert_true(r > 0);
			for (intptr_t i = 0; i < r; i++)
				if (buf[i] != (char)((got + (size_t)i) % CYCLE))
					fail_msg("byte %zu is another", got + (size_t)i);
			got += (size_t)r;
		}
		while (be_io_ready(fds[0], BE_IO_SOCKET, WRITE) != WRITE)
			be_thread_yield();
	}
	assert_true(sent > 0);
	close_pair(fds);
}

static void test_ready(void **state)
{
	be_ioaddr at;
	intptr_t l = listen_any(&at), fds[2];
	bool pending;

	(void)state;
	assert_int_equal(be_io_ready(l, BE_IO_SOCKET, READ), 0);
	fds[0] = be_io_dial(&at, &pending);
	assert_true(fds[0] >= 0);
	while (be_io_ready(l, BE_IO_SOCKET, READ) != READ)
		be_thread_yield();
	fds[1] = accept_one(l);
	assert_int_equal(finish(fds[0]), 0);
	assert_int_equal(be_io_ready(fds[0], BE_IO_SOCKET, READ | WRITE), WRITE);
	assert_int_equal(be_io_ready(fds[0], BE_IO_SOCKET, READ), 0);
	put(fds[0], "x");
	while (be_io_ready(fds[1], BE_IO_SOCKET, READ) != READ)
		be_thread_yield();
	expect(fds[1], "x");
	assert_int_equal(be_io_ready(fds[1], BE_IO_SOCKET, READ), 0);
	be_io_close(fds[0], BE_IO_SOCKET);
	while (be_io_ready(fds[1], BE_IO_SOCKET, READ) != READ)
		be_thread_yield();
	be_io_close(fds[1], BE_IO_SOCKET);
	be_io_close(l, BE_IO_SOCKET);
}

/* One that blocks waits for what another thread writes. */
static void write_late(void *arg)
{
	be_thread_yield();
	(void)be_io_write(*(intptr_t *)arg, BE_IO_SOCKET, "late", 4);
}

static void test_blocking(void **state)
{
	intptr_t fds[2];
	be_thread t;

	(void)state;
	make_pair(fds);
	assert_int_equal(be_io_nonblocking(fds[0], BE_IO_SOCKET, false), 0);
	assert_int_equal(be_thread_start(&t, write_late, &fds[1], 0), 0);
	assert_int_equal(be_io_read(fds[0], BE_IO_SOCKET, buf, 9), 4);
	be_thread_join(&t);
	assert_int_equal(be_io_nonblocking(fds[0], BE_IO_SOCKET, true), 0);
	assert_int_equal(be_io_read(fds[0], BE_IO_SOCKET, buf, 9), -EAGAIN);
	close_pair(fds);
}

static void test_unix(void **state)
{
	be_ioaddr a = address_of("unix", path), at;
	intptr_t l, fds[2];
	char text[128];

	(void)state;
	(void)remove(path);
	l = be_io_listen(&a);
	if (l == -EAFNOSUPPORT) {
		print_message("no unix sockets\n");
		skip();
	}
	assert_true(l >= 0);
	assert_int_equal(be_io_local(l, &at), 0);
	assert_int_equal(be_io_format(&at, text, sizeof text), 0);
	assert_string_equal(text, path);
	connect_pair(l, &a, fds);
	put(fds[0], "by path");
	expect(fds[1], "by path");
	assert_int_equal(be_io_local(fds[0], &at), 0); /* of one that has no name */
	assert_int_equal(be_io_format(&at, text, sizeof text), 0);
	assert_string_equal(text, "");
	close_pair(fds);
	be_io_close(l, BE_IO_SOCKET);
	assert_int_equal(be_io_listen(&a), -EADDRINUSE); /* the path is there yet */
	be_io_unlink(&a);
	l = be_io_listen(&a);
	assert_true(l >= 0);
	be_io_close(l, BE_IO_SOCKET);
	be_io_unlink(&a);
	be_io_unlink(&a); /* nothing there: nothing happens */
}

static void test_unlink_other(void **state)
{
	be_ioaddr a = address_of("tcp", "127.0.0.1:80");

	(void)state;
	be_io_unlink(&a);
}

/* ---- Files ----------------------------------------------------------------------------------------- */

static intptr_t opened(const char *mode)
{
	intptr_t fd = be_io_open(file, mode);

	assert_true(fd >= 0);
	return fd;
}

static void write_file(intptr_t fd, const char *text)
{
	assert_int_equal(be_io_write(fd, BE_IO_FILE, text, strlen(text)), strlen(text));
}

/* What the file holds, and closes. */
static void holds(const char *text)
{
	intptr_t fd = opened("r");
	char in[64];

	assert_int_equal(be_io_read(fd, BE_IO_FILE, in, sizeof in), strlen(text));
	assert_memory_equal(in, text, strlen(text));
	assert_int_equal(be_io_read(fd, BE_IO_FILE, in, sizeof in), 0);
	assert_int_equal(be_io_read(fd, BE_IO_FILE, in, sizeof in), 0);
	be_io_close(fd, BE_IO_FILE);
}

static void test_modes(void **state)
{
	intptr_t fd;

	(void)state;
	(void)remove(file);
	assert_int_equal(be_io_open(file, "r"), -ENOENT);
	assert_int_equal(be_io_open(file, "r+"), -ENOENT);
	fd = opened("w");
	assert_int_equal(be_io_kind(fd), BE_IO_FILE);
	write_file(fd, "one\ntwo\n"); /* no line end is translated */
	assert_true(be_io_read(fd, BE_IO_FILE, buf, 1) < 0);
	be_io_close(fd, BE_IO_FILE);
	holds("one\ntwo\n");

	fd = opened("r");
	assert_true(be_io_write(fd, BE_IO_FILE, "x", 1) < 0);
	be_io_close(fd, BE_IO_FILE);

	fd = opened("r+");
	assert_int_equal(be_io_read(fd, BE_IO_FILE, buf, 4), 4);
	write_file(fd, "TWO");
	be_io_close(fd, BE_IO_FILE);
	holds("one\nTWO\n");

	fd = opened("a");
	write_file(fd, "three");
	assert_true(be_io_read(fd, BE_IO_FILE, buf, 1) < 0);
	be_io_close(fd, BE_IO_FILE);
	holds("one\nTWO\nthree");

	fd = opened("a+"); /* reads from the beginning, and writes at the end all the same */
	assert_int_equal(be_io_read(fd, BE_IO_FILE, buf, 3), 3);
	assert_memory_equal(buf, "one", 3);
	write_file(fd, "!");
	assert_int_equal(be_io_read(fd, BE_IO_FILE, buf, 1), 0);
	be_io_close(fd, BE_IO_FILE);
	holds("one\nTWO\nthree!");

	fd = opened("w+");
	assert_int_equal(be_io_read(fd, BE_IO_FILE, buf, 1), 0);
	write_file(fd, "new");
	be_io_close(fd, BE_IO_FILE);
	holds("new");

	be_io_close(opened("w"), BE_IO_FILE);
	holds("");
	assert_int_equal(remove(file), 0);
	be_io_close(opened("a"), BE_IO_FILE); /* makes it */
	holds("");
	assert_int_equal(remove(file), 0);
}

/* Two that append do not write over each other. */
static void test_append(void **state)
{
	intptr_t a, b;

	(void)state;
	(void)remove(file);
	a = opened("a");
	b = opened("a");
	write_file(a, "1");
	write_file(b, "2");
	write_file(a, "3");
	be_io_close(a, BE_IO_FILE);
	be_io_close(b, BE_IO_FILE);
	holds("123");
	assert_int_equal(remove(file), 0);
}

static void test_bad_modes(void **state)
{
	static const char *const bad[] = { "", "x", "+", "rw", "r++", "+r", "R" };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(bad); i++)
		if (be_io_open(file, bad[i]) != -EINVAL)
			fail_msg("mode \"%s\"", bad[i]);
	assert_int_equal(be_io_open("no-such-folder/file", "w"), -ENOENT);
}

static void test_file_blocks(void **state)
{
	intptr_t fd;
	int r;

	(void)state;
	fd = opened("w+");
	r = be_io_nonblocking(fd, BE_IO_FILE, true);
	assert_true(r == 0 || r == -ENOTSUP);
	assert_int_equal(be_io_nonblocking(fd, BE_IO_FILE, false), 0);
	assert_int_equal(be_io_ready(fd, BE_IO_FILE, READ | WRITE), READ | WRITE);
	be_io_close(fd, BE_IO_FILE);
	assert_int_equal(remove(file), 0);
}

static void test_no_descriptor(void **state)
{
	be_ioaddr at;
	intptr_t s = listen_any(&at);

	(void)state;
	be_io_close(s, BE_IO_SOCKET);
	assert_int_equal(be_io_kind(s), -EBADF);
	assert_int_equal(be_io_kind(-1), -EBADF);
	if (sizeof(intptr_t) > 4) /* and not that of which it is the lower half */
		assert_int_equal(be_io_kind((intptr_t)(INT64_C(1) << 32)), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_bad_forms),
		cmocka_unit_test(test_other_kind),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unlink_other),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_bad_modes),
		cmocka_unit_test(test_file_blocks),
		cmocka_unit_test(test_no_descriptor),
	};

	if (be_io_start() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
