/* Connections, listeners, files and watched descriptors, over the loopback of this machine. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/io/io.h"
#include "backends/netpoll/netpoll.h"
#include "core/base/valgrind.h"
#include "tests/support/connections.h"
#include "tests/support/garbage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

enum { MANY = 8 << 20 };

static gort_waitgroup done;

static bool waits_as(uint64_t goid, const char *reason)
{
	gort_goroutine list[64];
	size_t n = gort_goroutines(gort_self(), list, RT_NELEM(list));

	for (size_t i = 0; i < n && i < RT_NELEM(list); i++)
		if (list[i].goid == goid)
			return strcmp(list[i].wait_reason, reason) == 0;
	return false;
}

/* ---- Bytes ----------------------------------------------------------------------------------------- */

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 8));
}

static void sends_much(void *arg)
{
	unsigned char *b = gort_alloc(MANY, GORT_NOSCAN);

	for (size_t i = 0; i < MANY; i++)
		b[i] = pattern(i);
	CHECK(gort_conn_write(arg, b, MANY) == MANY);
	CHECK(gort_conn_shutdown(arg) == 0);
	gort_waitgroup_done(&done);
}

/* More than any buffer holds: the writer waits for the reader again and again. Then the end of one direction only. */
static void all_bytes(void *arg)
{
	pair p = connect_pair();
	unsigned char b[5000];
	size_t got = 0;
	intptr_t n;

	(void)arg;
	gort_waitgroup_add(&done, 1);
	gort_go(sends_much, p.here);
	while ((n = gort_conn_read(p.there, b, sizeof b)) > 0) {
		for (intptr_t i = 0; i < n; i++)
			if (b[i] != pattern(got + (size_t)i))
				CHECK(!"a byte is wrong");
		got += (size_t)n;
	}
	CHECK(n == 0 && got == MANY);
	gort_waitgroup_wait(&done);
	CHECK(gort_conn_write(p.there, "back", 4) == 4);
	CHECK(gort_conn_read(p.here, b, sizeof b) == 4 && memcmp(b, "back", 4) == 0);
	close_pair(&p);
}

static void test_all_bytes(void **state)
{
	(void)state;
	run_all(all_bytes);
}

enum { WRITERS = 4, BLOCK = 300000, BLOCKS = 5 };

typedef struct writer {
	gort_conn *c;
	char what;
} writer;

static void writes_blocks(void *arg)
{
	writer *w = arg;
	char *b = gort_alloc(BLOCK, GORT_NOSCAN);

	memset(b, w->what, BLOCK);
	for (int i = 0; i < BLOCKS; i++)
		CHECK(gort_conn_write(w->c, b, BLOCK) == BLOCK);
	gort_waitgroup_done(&done);
}

/* Each write is one piece to the reader, however many write at once. */
static void turns(void *arg)
{
	pair p = connect_pair();
	char *b = gort_alloc(BLOCK, GORT_NOSCAN);

	(void)arg;
	gort_waitgroup_add(&done, WRITERS);
	for (int i = 0; i < WRITERS; i++) {
		writer *w = gort_alloc(sizeof *w, 0);

		gort_store(&w->c, p.here);
		w->what = (char)('a' + i);
		gort_go(writes_blocks, w);
	}
	for (int i = 0; i < WRITERS * BLOCKS; i++) {
		intptr_t got = 0, n;

		while (got < BLOCK && (n = gort_conn_read(p.there, b + got, (size_t)(BLOCK - got))) > 0)
			got += n;
		CHECK(got == BLOCK);
		for (int k = 1; k < BLOCK; k++)
			if (b[k] != b[0])
				CHECK(!"two writes are mixed");
	}
	gort_waitgroup_wait(&done);
	close_pair(&p);
}

static void test_turns(void **state)
{
	(void)state;
	run_all(turns);
}

/* ---- Ends of a wait -------------------------------------------------------------------------------- */

static intptr_t result;
static uint64_t reader;
static char fill[1 << 20];

static void reads(void *arg)
{
	char b[8];

	__atomic_store_n(&reader, gort_goid(), __ATOMIC_RELEASE);
	result = gort_conn_read(arg, b, sizeof b);
	gort_waitgroup_done(&done);
}

static void writes(void *arg)
{
	intptr_t n;

	__atomic_store_n(&reader, gort_goid(), __ATOMIC_RELEASE);
	do
		n = gort_conn_write(arg, fill, sizeof fill);
	while (n > 0);
	result = n;
	gort_waitgroup_done(&done);
}

static void accepts(void *arg)
{
	gort_conn *c;

	__atomic_store_n(&reader, gort_goid(), __ATOMIC_RELEASE);
	result = gort_accept(&c, arg);
	gort_waitgroup_done(&done);
}

static void wait_for_io(gort_func fn, void *arg)
{
	reader = 0;
	result = 1;
	gort_waitgroup_add(&done, 1);
	gort_go(fn, arg);
	WAIT_UNTIL(__atomic_load_n(&reader, __ATOMIC_ACQUIRE) != 0 && waits_as(reader, "IO wait"));
}

static void closing(void *arg)
{
	pair p = connect_pair();
	gort_conn *c;
	char b;

	(void)arg;
	wait_for_io(reads, p.here);
	CHECK(gort_conn_close(p.here) == 0);
	gort_waitgroup_wait(&done);
	CHECK(result == GORT_ECLOSED);
	CHECK(gort_conn_close(p.here) == GORT_ECLOSED);
	CHECK(gort_conn_read(p.here, &b, 1) == GORT_ECLOSED && gort_conn_write(p.here, &b, 1) == GORT_ECLOSED);
	CHECK(gort_conn_shutdown(p.here) == GORT_ECLOSED);
	CHECK(gort_conn_read(p.there, &b, 1) == 0); /* the other side sees the end */
	close_pair(&p);

	p = connect_pair();
	wait_for_io(writes, p.here);
	CHECK(gort_conn_close(p.here) == 0);
	gort_waitgroup_wait(&done);
	CHECK(result == GORT_ECLOSED);
	wait_for_io(accepts, p.l);
	CHECK(gort_listener_close(p.l) == 0);
	gort_waitgroup_wait(&done);
	CHECK(result == GORT_ECLOSED);
	CHECK(gort_accept(&c, p.l) == GORT_ECLOSED && c == NULL);
	CHECK(gort_listener_close(p.l) == GORT_ECLOSED);
	CHECK(gort_conn_close(p.there) == 0);
}

static void test_closing(void **state)
{
	(void)state;
	run_all(closing);
}

static void deadlines(void *arg)
{
	pair p = connect_pair();
	int64_t begin = gort_nanotime();
	gort_conn *c;
	char b[8];

	(void)arg;
	CHECK(gort_conn_read_until(p.here, b, 8, begin + 2 * GORT_MILLISECOND) == GORT_ETIMEDOUT);
	CHECK(gort_nanotime() >= begin + 2 * GORT_MILLISECOND);
	CHECK(gort_conn_read_until(p.here, b, 8, 0) == GORT_ETIMEDOUT);
	CHECK(gort_accept_until(&c, p.l, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT && c == NULL);
	/* One in the past still tries once. */
	CHECK(gort_conn_write_until(p.there, "x", 1, 0) == 1);
	while (gort_conn_read_until(p.here, b, 8, 0) == GORT_ETIMEDOUT)
		gort_gosched();
	CHECK(b[0] == 'x');
	/* It can be used after that, and a deadline that is not reached is none. */
	CHECK(gort_conn_write(p.there, "y", 1) == 1);
	CHECK(gort_conn_read_until(p.here, b, 8, gort_nanotime() + 60 * GORT_SECOND) == 1 && b[0] == 'y');
	CHECK(gort_conn_write(p.there, "z", 1) == 1);
	CHECK(gort_conn_read_until(p.here, b, 8, GORT_FOREVER) == 1 && b[0] == 'z');
	begin = gort_nanotime();
	while (gort_conn_write_until(p.here, fill, sizeof fill, begin + 5 * GORT_MILLISECOND) > 0)
		;
	CHECK(gort_nanotime() >= begin + 5 * GORT_MILLISECOND);
	close_pair(&p);
}

static void test_deadlines(void **state)
{
	(void)state;
	run_all(deadlines);
}

static pair canceled_pair;

static int member(void *arg)
{
	char b;

	(void)arg;
	__atomic_store_n(&reader, gort_goid(), __ATOMIC_RELEASE);
	result = gort_conn_read_until(canceled_pair.here, &b, 1, GORT_FOREVER);
	return 0;
}

static void canceling(void *arg)
{
	gort_group g = {0};

	(void)arg;
	canceled_pair = connect_pair();
	reader = 0;
	CHECK(gort_group_go(&g, member, NULL) == 0);
	WAIT_UNTIL(__atomic_load_n(&reader, __ATOMIC_ACQUIRE) != 0 && waits_as(reader, "IO wait"));
	gort_group_cancel(&g, GORT_ECANCELED);
	(void)gort_group_wait(&g);
	CHECK(result == GORT_ECANCELED);
	CHECK(gort_conn_write(canceled_pair.there, "a", 1) == 1); /* it still works */
	(void)member(NULL);
	CHECK(result == 1);
	close_pair(&canceled_pair);
	canceled_pair = (pair){0};
}

static void test_canceling(void **state)
{
	(void)state;
	run_all(canceling);
}

/* ---- Errors ---------------------------------------------------------------------------------------- */

static void errors(void *arg)
{
	static const char *const bad[] = { "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:80", "[::1:80", "" };
	pair p = connect_pair();
	gort_listener *l;
	char at[64], b[4];
	gort_conn *c;
	intptr_t n;

	(void)arg;
	for (size_t i = 0; i < RT_NELEM(bad); i++)
		CHECK(gort_dial(&c, "tcp", bad[i]) == GORT_EINVAL && c == NULL);
	CHECK(gort_dial(&c, "udp", "127.0.0.1:1") == GORT_EINVAL);
	CHECK(gort_listen(&l, "tcp5", "127.0.0.1:0") == GORT_EINVAL && l == NULL);
	CHECK(gort_listener_address(p.l, at, 5) == GORT_EINVAL);
	CHECK(gort_listener_address(p.l, at, sizeof at) == 0);
	CHECK(gort_listen(&l, "tcp", at) == GORT_EOS - EADDRINUSE);
	/* Closed with something unread: the other side is told by a reset, and a write is an error and no signal. */
	CHECK(gort_conn_write(p.here, "data", 4) == 4);
	WAIT_UNTIL(gort_conn_read_until(p.there, b, 1, 0) == 1);
	CHECK(gort_conn_close(p.there) == 0);
	n = gort_conn_read(p.here, b, 4);
	CHECK(n == GORT_EOS - ECONNRESET || n == 0); /* wine's server may have taken the error for itself */
	n = 1;
	for (int i = 0; i < 100 && n > 0; i++)
		n = gort_conn_write(p.here, "data", 4);
	CHECK(n == GORT_EOS - EPIPE || n == GORT_EOS - ECONNRESET || n == GORT_EOS - ECONNABORTED);
	CHECK(gort_listener_close(p.l) == 0);
	CHECK(gort_dial(&c, "tcp", at) == GORT_EOS - ECONNREFUSED && c == NULL);
	CHECK(gort_conn_from(&c, -1) < 0 && c == NULL);
	(void)gort_conn_close(p.here);
}

static void test_errors(void **state)
{
	(void)state;
	run_all(errors);
}

#ifndef _WIN32
static struct rlimit files_before;

/* No more descriptors than are open. */
static void allow_files(bool on)
{
	struct rlimit l = files_before;
	int next = dup(0);

	close(next);
	if (!on)
		l.rlim_cur = (rlim_t)next;
	CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
}

/* What cannot be had is said, and nothing is lost by that. */
static void no_files(void *arg)
{
	pair p = connect_pair();
	char at[64], b[4];
	gort_listener *l;
	gort_conn *c, *d;
	int one;

	(void)arg;
	CHECK(gort_listener_address(p.l, at, sizeof at) == 0);
	CHECK(gort_dial(&c, "tcp", at) == 0); /* it waits to be accepted */
	CHECK(getrlimit(RLIMIT_NOFILE, &files_before) == 0);
	one = dup(0); /* what is above is used */
	allow_files(false);
	CHECK(gort_accept(&d, p.l) == GORT_EOS - EMFILE && d == NULL);
	CHECK(gort_dial(&d, "tcp", at) == GORT_EOS - EMFILE && d == NULL);
	CHECK(gort_listen(&l, "tcp", "127.0.0.1:0") == GORT_EOS - EMFILE && l == NULL);
	CHECK(gort_open(&d, "/dev/null", "r") == GORT_EOS - EMFILE && d == NULL);
	allow_files(true);
	close(one);
	CHECK(gort_accept(&d, p.l) == 0);
	CHECK(gort_conn_write(c, "abc", 3) == 3 && gort_conn_read(d, b, 4) == 3);
	CHECK(gort_conn_close(c) == 0 && gort_conn_close(d) == 0);
	close_pair(&p);
}

static void test_no_files(void **state)
{
	(void)state;
	if (rt_valgrind_runs())
		skip(); /* it closes what it has accepted beyond the limit: the connection is lost */
	run_on(2, no_files, NULL);
}

/* A pipe whose reader is gone: an error, and no signal that ends the program, and none that is left behind. */
static void broken_pipe(void *arg)
{
	sigset_t pending;
	int ends[2];
	gort_conn *w;

	(void)arg;
	CHECK(pipe(ends) == 0);
	CHECK(gort_conn_from(&w, ends[1]) == 0);
	CHECK(gort_conn_write(w, "a", 1) == 1);
	close(ends[0]);
	CHECK(gort_conn_write(w, "b", 1) == GORT_EOS - EPIPE);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
	CHECK(gort_conn_close(w) == 0);
}

static void test_broken_pipe(void **state)
{
	(void)state;
	run_on(1, broken_pipe, NULL);
	run_on(2, broken_pipe, NULL);
}

/* The path is there as long as the listener. */
static void unix_path(void *arg)
{
	const char *path = "gort-test-conn.sock";
	gort_listener *l, *again;
	gort_conn *c, *d;
	char at[64], b[4];

	(void)arg;
	(void)remove(path);
	CHECK(gort_listen(&l, "unix", path) == 0);
	CHECK(gort_listener_address(l, at, sizeof at) == 0 && strcmp(at, path) == 0);
	CHECK(gort_listen(&again, "unix", path) == GORT_EOS - EADDRINUSE);
	CHECK(gort_dial(&c, "unix", path) == 0 && gort_accept(&d, l) == 0);
	CHECK(gort_conn_write(c, "abc", 3) == 3 && gort_conn_read(d, b, 4) == 3);
	CHECK(gort_conn_close(c) == 0 && gort_conn_close(d) == 0);
	CHECK(gort_listener_close(l) == 0);
	CHECK(access(path, F_OK) != 0);
	CHECK(gort_dial(&c, "unix", path) == GORT_EOS - ENOENT);
}

static void test_unix_path(void **state)
{
	(void)state;
	run_on(2, unix_path, NULL);
}
#endif

/* Each allocation of the runtime's own fails once: the run ends well, or with GORT_ENOMEM, or the call says so. */
static void connects(void *arg)
{
	gort_listener *l;
	gort_conn *c, *d;
	char at[64], b;
	int r = gort_listen(&l, "tcp", "127.0.0.1:0");

	(void)arg;
	for (int i = 0; i < 3 && r == 0; i++) {
		r = gort_listener_address(l, at, sizeof at);
		if (r == 0)
			r = gort_dial(&c, "tcp", at);
		if (r == 0)
			r = gort_accept(&d, l);
		if (r == 0) {
			CHECK(gort_conn_write(c, "x", 1) == 1 && gort_conn_read(d, &b, 1) == 1);
			(void)gort_conn_close(c);
			(void)gort_conn_close(d);
		}
	}
	CHECK(r == 0 || r == GORT_ENOMEM);
}

static void test_no_memory(void **state)
{
	(void)state;
	without_memory(connects);
	assert_int_equal(rt_load32_acq(&failures), 0);
}

#ifndef _WIN32
static int sockets(void)
{
	struct stat st;
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	return n;
}

static void collects_until(void *arg)
{
	const int *before = arg;

	for (int i = 0; i < 100 && sockets() > *before; i++) {
		collect();
		gort_sleep(GORT_MILLISECOND);
	}
	CHECK(sockets() == *before);
}

/* What it leaves on the stack lies deeper than the frames of collects_until, whose gaps nobody writes to without
 * optimization: where wash comes. */
static void connects_below(void *arg)
{
	char *room = __builtin_alloca(512);

	__asm__ volatile("" : : "r"(room) : "memory");
	connects(arg);
	__asm__ volatile("" : : "r"(room) : "memory"); /* no call in place of this one */
}

/* Who has no memory is dropped in the middle of a call, and what it had opened is collected as what it has left is. */
static void test_no_memory_no_descriptors(void **state)
{
	int before = sockets(), failed = 0;

	(void)state;
	for (int i = 1; i < 60; i++) {
		gort_runtime *rt;
		gort_config cfg;
		char text[32];

		snprintf(text, sizeof text, "oomfail=%d", i);
		gort_config_init(&cfg);
		cfg.procs = 1;
		cfg.debug = text;
		rt_store32_rlx(&failures, 0);
		if (gort_runtime_new(&rt, &cfg) != 0)
			continue;
		failed += gort_runtime_run(rt, connects_below, NULL) != 0;
		if (gort_runtime_run(rt, collects_until, &before) != 0) /* it is this one that fails */
			rt_store32_rlx(&failures, 0);
		assert_int_equal(gort_runtime_free(rt), 0);
		if (rt_load32_acq(&failures) != 0)
			fail_msg("%s: %s", text, first_failure);
	}
	assert_true(failed > 0);
}
#endif

/* ---- Collection and the end of a run --------------------------------------------------------------- */

enum { FORGOTTEN = 10, SURE = 8 /* an address may be left on the stack */ };

static RT_NOINLINE gort_conn *forget_one(void)
{
	pair p = connect_pair();

	gort_listener_close(p.l);
	return p.there;
}

static int ended(gort_conn **left)
{
	int n = 0;
	char b;

	for (int i = 0; i < FORGOTTEN; i++)
		n += gort_conn_read_until(left[i], &b, 1, 0) == 0;
	return n;
}

/* The other ends are collected, and closed by that. */
static void forgets(void *arg)
{
	gort_conn **left = gort_alloc(FORGOTTEN * sizeof *left, 0);

	(void)arg;
	for (int i = 0; i < FORGOTTEN; i++)
		gort_store(&left[i], forget_one());
	collect();
	WAIT_UNTIL(ended(left) >= SURE);
}

static void test_collected(void **state)
{
	(void)state;
	in_program(forgets, NULL);
}

static gort_listener *kept;

static void leaves_waiters(void *arg)
{
	pair p = connect_pair(), q = connect_pair(); /* what one writes would wake the other */

	(void)arg;
	kept = p.l;
	wait_for_io(accepts, p.l);
	wait_for_io(reads, p.here);
	wait_for_io(writes, q.there); /* and has its turn to write */
}

static void goes_on(void *arg)
{
	char at[64], b;
	gort_conn *c, *d;

	(void)arg;
	CHECK(gort_listener_address(kept, at, sizeof at) == 0);
	CHECK(gort_dial(&c, "tcp", at) == 0);
	CHECK(gort_accept_until(&d, kept, gort_nanotime() + 60 * GORT_SECOND) == 0);
	CHECK(gort_conn_write(d, "x", 1) == 1 && gort_conn_read(c, &b, 1) == 1);
}

/* Who waits when a run ends is gone; what it waited for works in the next one. */
static void test_next_run(void **state)
{
	gort_runtime *rt;
	gort_config cfg;

	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		gort_config_init(&cfg);
		cfg.procs = procs;
		rt_store32_rlx(&failures, 0);
		done = (gort_waitgroup){0};
		assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
		assert_int_equal(gort_root_add(rt, &kept, sizeof kept), 0);
		assert_int_equal(gort_runtime_run(rt, leaves_waiters, NULL), 0);
		done = (gort_waitgroup){0};
		assert_int_equal(gort_runtime_run(rt, goes_on, NULL), 0);
		assert_int_equal(gort_runtime_free(rt), 0);
		assert_int_equal(rt_load32_acq(&failures), 0);
	}
}

/* ---- Files ----------------------------------------------------------------------------------------- */

static void files(void *arg)
{
	const char *path = "gort-test-conn.tmp";
	gort_conn *f;
	char b[16];

	(void)arg;
	(void)remove(path);
	CHECK(gort_open(&f, path, "r") == GORT_EOS - ENOENT && f == NULL);
	CHECK(gort_open(&f, path, "rx") == GORT_EINVAL);
	CHECK(gort_open(&f, path, "w") == 0);
	CHECK(gort_conn_write(f, "hello", 5) == 5 && gort_conn_close(f) == 0);
	CHECK(gort_open(&f, path, "a") == 0);
	CHECK(gort_conn_write(f, " you", 4) == 4 && gort_conn_close(f) == 0);
	CHECK(gort_open(&f, path, "r") == 0);
	CHECK(gort_conn_read(f, b, sizeof b) == 9 && memcmp(b, "hello you", 9) == 0);
	CHECK(gort_conn_read(f, b, sizeof b) == 0);
	CHECK(gort_conn_read_until(f, b, 1, gort_nanotime() + GORT_SECOND) == GORT_ENOTSUP);
	CHECK(gort_conn_read_until(f, b, 1, GORT_FOREVER) == 0);
	CHECK(gort_conn_write(f, "x", 1) < 0);
	CHECK(gort_conn_close(f) == 0);
	(void)remove(path);
}

static void test_files(void **state)
{
	(void)state;
	run_on(2, files, NULL);
}

/* ---- Watched descriptors --------------------------------------------------------------------------- */

static gort_poll *watched;

static void watches(void *arg)
{
	(void)arg;
	__atomic_store_n(&reader, gort_goid(), __ATOMIC_RELEASE);
	result = gort_poll_wait(watched, GORT_READABLE, GORT_FOREVER);
	gort_waitgroup_done(&done);
}

static intptr_t raw_dial(const char *at)
{
	bool pending = false;
	be_ioaddr a;
	intptr_t fd;

	CHECK(be_io_resolve("tcp", at, false, false, &a, 1) == 1);
	fd = be_io_dial(&a, &pending);
	CHECK(fd >= 0);
	return fd;
}

static void watching(void *arg)
{
	gort_listener *l;
	gort_conn *c;
	char at[64], b;
	intptr_t fd;

	(void)arg;
	CHECK(gort_listen(&l, "tcp", "127.0.0.1:0") == 0);
	CHECK(gort_listener_address(l, at, sizeof at) == 0);
	fd = raw_dial(at);
	CHECK(gort_accept(&c, l) == 0);
	CHECK(gort_poll_open(&watched, fd) == 0);
	CHECK(gort_poll_wait(watched, 0, GORT_FOREVER) == GORT_EINVAL && gort_poll_wait(watched, 4, 0) == GORT_EINVAL);
	CHECK(gort_poll_wait(watched, GORT_READABLE | GORT_WRITABLE, GORT_FOREVER) == GORT_WRITABLE);
	CHECK(be_io_connected(fd) == 0);
	CHECK(gort_poll_wait(watched, GORT_READABLE, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	wait_for_io(watches, NULL);
	CHECK(gort_poll_wait(watched, GORT_READABLE, GORT_FOREVER) == GORT_EBUSY);
	CHECK(gort_conn_write(c, "ab", 2) == 2);
	gort_waitgroup_wait(&done);
	CHECK(result == GORT_READABLE);
	/* What is there stays possible until it is used up. */
	CHECK(gort_poll_wait(watched, GORT_READABLE, GORT_FOREVER) == GORT_READABLE);
	CHECK(be_io_read(fd, BE_IO_SOCKET, &b, 1) == 1);
	CHECK(gort_poll_wait(watched, GORT_READABLE, 0) == GORT_READABLE);
	CHECK(be_io_read(fd, BE_IO_SOCKET, &b, 1) == 1);
	CHECK(gort_poll_wait(watched, GORT_READABLE, 0) == GORT_ETIMEDOUT);
	wait_for_io(watches, NULL);
	CHECK(gort_poll_close(watched) == 0);
	gort_waitgroup_wait(&done);
	CHECK(result == GORT_ECLOSED && gort_poll_close(watched) == GORT_ECLOSED);
	CHECK(gort_conn_write(c, "c", 1) == 1); /* the descriptor is still open */
	while (be_io_read(fd, BE_IO_SOCKET, &b, 1) == -EAGAIN)
		gort_gosched();
	CHECK(b == 'c');
	be_io_close(fd, BE_IO_SOCKET);
	CHECK(gort_conn_close(c) == 0 && gort_listener_close(l) == 0);
}

static void test_watching(void **state)
{
	(void)state;
	run_all(watching);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_bytes),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_canceling),
		cmocka_unit_test(test_errors),
#ifndef _WIN32
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_broken_pipe),
		cmocka_unit_test(test_unix_path),
#endif
		cmocka_unit_test(test_no_memory),
#ifndef _WIN32
		cmocka_unit_test(test_no_memory_no_descriptors),
#endif
		cmocka_unit_test(test_collected),
		cmocka_unit_test(test_next_run),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_watching),
	};

	if (strcmp(be_netpoll_name, "none") == 0)
		return 77; /* this build cannot wait for descriptors */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
