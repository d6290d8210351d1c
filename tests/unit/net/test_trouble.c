/* What is easily forgotten or mixed up: an event, a turn, a number; each was once. */
#include "core/sched/internal.h"
#include "core/sched/sched_inline.h"
#include "tests/support/connections.h"
#include "tests/support/garbage.h"
#include "tests/support/stage.h"

#include "backends/netpoll/netpoll.h"

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

static gort_waitgroup done;

static int64_t in_5_seconds(void)
{
	return gort_nanotime() + 5 * GORT_SECOND;
}

/* ---- Waits that are claimed before they are open --------------------------------------------------------- */

static bool claimed_early(rt_g *gp, void *arg)
{
	CHECK(!rt_g_claim_wait(gp, rt_g_wait_number(gp))); /* who comes without a lock: it is not to be woken yet */
	rt_waiter_open_unlocked(arg);
	return true;
}

static void early(int64_t deadline)
{
	rt_g *gp = RT_ENTER()->curg;
	rt_waiter w = { .on = NULL };

	rt_waiter_begin(gp, &w, deadline);
	rt_gopark(claimed_early, &w, RT_WAIT_SLEEP, NULL);
	(void)rt_waiter_end(gp, &w);
	rt_leave();
}

static int early_in_group(void *arg)
{
	(void)arg;
	early(GORT_FOREVER);
	return 0;
}

/* All asleep, if it is forgotten. */
static void opening(void *arg)
{
	int64_t deadline = in_5_seconds();
	gort_group group = GORT_INIT;

	(void)arg;
	early(GORT_FOREVER);
	early(deadline);
	CHECK(gort_group_go(&group, early_in_group, NULL) == 0);
	CHECK(gort_group_wait(&group) == 0);
	CHECK(gort_nanotime() < deadline);
}

static void test_claimed_before_it_is_open(void **state)
{
	(void)state;
	run_all(opening);
}

/* ---- Reads that do not empty ---------------------------------------------------------------------------- */

/* All that has come by now was told: what came for q comes after it. */
static void told(const pair *q)
{
	char b[2];

	CHECK(gort_conn_write(q->there, "z", 1) == 1);
	CHECK(gort_conn_read(q->here, b, 2) == 1);
}

/* A read of no bytes takes nothing away: neither data nor what was told of them. */
static void read_of_nothing(void *arg)
{
	pair p = connect_pair(), q = connect_pair();
	char b[8];

	(void)arg;
	told(&q); /* empty, so that the next one waits for the poller */
	CHECK(gort_conn_write(p.there, "x", 1) == 1);
	CHECK(gort_conn_read(p.here, b, 8) == 1);
	CHECK(gort_conn_write(p.there, "y", 1) == 1);
	told(&q);
	CHECK(gort_conn_read(p.here, b, 0) == 0);
	CHECK(gort_conn_read_until(p.here, b, 8, in_5_seconds()) == 1 && b[0] == 'y');
	close_pair(&p);
	close_pair(&q);
}

static void test_read_of_nothing(void **state)
{
	(void)state;
	run_all(read_of_nothing);
}

#ifndef _WIN32
static void send_descriptor(int s, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} u = {0};
	struct iovec v = { .iov_base = (char *)"a", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = u.bytes, .msg_controllen = sizeof u.bytes };

	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&u.h), &fd, sizeof fd);
	CHECK(sendmsg(s, &m, 0) == 1);
}

/* A read ends behind a message with a descriptor, full or not. */
static void behind_a_descriptor(void *arg)
{
	pair q = connect_pair();
	int sv[2];
	char b[64];
	gort_conn *c;

	(void)arg;
	told(&q);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	send_descriptor(sv[1], sv[1]);
	CHECK(write(sv[1], "bc", 2) == 2);
	CHECK(gort_conn_from(&c, sv[0]) == 0);
	told(&q);
	CHECK(gort_conn_read_until(c, b, 64, in_5_seconds()) == 1);
	CHECK(gort_conn_read_until(c, b, 64, in_5_seconds()) == 2);
	CHECK(gort_conn_close(c) == 0);
	close_pair(&q);
	close(sv[1]);
}

static void test_behind_a_descriptor(void **state)
{
	(void)state;
	run_all(behind_a_descriptor);
}

/* A read stops where urgent data was, whether the event for that came before or comes later. */
static void behind_urgent_data(void *arg)
{
	gort_listener *l;
	char at[64], b[64];
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)arg;
	CHECK(gort_listen(&l, "tcp4", "127.0.0.1:0") == 0 && gort_listener_address(l, at, sizeof at) == 0);
	in.sin_port = htons((unsigned short)atoi(strchr(at, ':') + 1));
	for (int i = 0; i < 2; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		pair q = connect_pair();
		gort_conn *c;

		told(&q);
		CHECK(connect(s, (struct sockaddr *)&in, sizeof in) == 0);
		CHECK(gort_accept(&c, l) == 0);
		CHECK(send(s, "abc", 3, 0) == 3 && send(s, "X", 1, MSG_OOB) == 1 && send(s, "defg", 4, 0) == 4);
		if (i == 1)
			told(&q);
		CHECK(gort_conn_read_until(c, b, 64, in_5_seconds()) == 3);
		CHECK(gort_conn_read_until(c, b, 64, in_5_seconds()) == 4);
		CHECK(gort_conn_close(c) == 0);
		close_pair(&q);
		close(s);
	}
	CHECK(gort_listener_close(l) == 0);
}

static void test_behind_urgent_data(void **state)
{
	(void)state;
	run_all(behind_urgent_data);
}
#endif

/* ---- Turns and runs -------------------------------------------------------------------------------------- */

static gort_runtime *rt;
static pair kept;

static void read_one(void *arg)
{
	char b;

	(void)arg;
	CHECK(gort_conn_read(kept.here, &b, 1) == 1);
	gort_waitgroup_done(&done);
}

static void waits_for_io(uint32_t n)
{
	YIELD_UNTIL(rt_load32_acq(&rt->sched.pollwaiters) >= n);
}

static void left_waiting(void *arg)
{
	(void)arg;
	kept = connect_pair();
	CHECK(gort_go(read_one, NULL) == 0);
	waits_for_io(1);
}

static void reads_after_the_run(void *arg)
{
	char b;

	(void)arg;
	CHECK(gort_conn_write(kept.there, "y", 1) == 1);
	CHECK(gort_conn_read(kept.here, &b, 1) == 1);
	reach(1);
}

static void begin(int procs)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	rt_store32_rlx(&failures, 0);
	rt_store32_rlx(&stage, 0);
	done = (gort_waitgroup){0};
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	assert_int_equal(gort_root_add(rt, &kept, sizeof kept), 0);
}

static void end(void)
{
	assert_int_equal(gort_runtime_free(rt), 0);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%s", first_failure);
}

/* Before the next run begins, too. */
static void test_turn_of_a_run_that_is_over(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		begin(procs);
		assert_int_equal(gort_runtime_run(rt, left_waiting, NULL), 0);
		assert_int_equal(gort_runtime_go(rt, reads_after_the_run, NULL), 0);
		assert_true(reached(1));
		end();
	}
}

static void opens_and_reads(void *arg)
{
	kept = connect_pair();
	gort_waitgroup_add(&done, 2);
	reach(1);
	read_one(arg);
}

static void second_in_line(void *arg)
{
	char b;

	(void)arg;
	waits_for_io(1);
	CHECK(gort_conn_read_until(kept.here, &b, 1, gort_nanotime() + GORT_MILLISECOND) == GORT_ETIMEDOUT);
	CHECK(gort_conn_write(kept.there, "xy", 2) == 2);
	CHECK(gort_waitgroup_wait_until(&done, in_5_seconds()) == 0);
}

/* A goroutine from outside had its turn before the run began: it keeps it. */
static void test_turn_from_before_the_run(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		begin(procs);
		assert_int_equal(gort_runtime_go(rt, opens_and_reads, NULL), 0);
		assert_true(reached(1));
		assert_int_equal(gort_runtime_go(rt, read_one, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, second_in_line, NULL), 0);
		end();
	}
}

static void attached(void *arg)
{
	char b;

	(void)arg;
	CHECK(gort_attach(rt) == 0);
	reach(1);
	gort_entersyscall();
	CHECK(reached(2));
	gort_exitsyscall();
	CHECK(gort_conn_read(kept.here, &b, 1) == GORT_ECANCELED);
	reach(3);
	gort_entersyscall();
	CHECK(reached(4));
	gort_exitsyscall();
	gort_detach();
}

static void opens(void *arg)
{
	(void)arg;
	kept = connect_pair();
	YIELD_UNTIL(rt_load32_acq(&stage) >= 1);
}

static void reads_after_him(void *arg)
{
	char b;

	(void)arg;
	reach(2);
	YIELD_UNTIL(rt_load32_acq(&stage) >= 3);
	CHECK(gort_conn_write(kept.there, "z", 1) == 1);
	CHECK(gort_conn_read_until(kept.here, &b, 1, in_5_seconds()) == 1);
	reach(4);
}

/* A thread whose run has ended under it may try, and gives back the turn that it takes for that. */
static void test_turn_of_a_released_thread(void **state)
{
	be_thread t;

	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		begin(procs);
		assert_int_equal(be_thread_start(&t, attached, NULL, 0), 0);
		assert_int_equal(gort_runtime_run(rt, opens, NULL), 0);
		assert_int_equal(gort_runtime_run(rt, reads_after_him, NULL), 0);
		be_thread_join(&t);
		end();
	}
}

#ifndef _WIN32
/* ---- Files that come after the run --------------------------------------------------------------------- */

static const char *fifo;
static int other_end;

static void opens_fifo(void *arg)
{
	gort_conn *c;

	(void)arg;
	for (int i = 0; i < 5; i++)
		(void)gort_alloc(16, GORT_NOSCAN); /* the first object is where its span is, which others know */
	(void)gort_open(&c, fifo, "r");
	CHECK(!"it was dropped before");
}

static bool in_the_system(void)
{
	gort_goroutine list[8];
	size_t n = gort_goroutines(gort_self(), list, RT_NELEM(list));

	for (size_t i = 0; i < n && i < RT_NELEM(list); i++)
		if (list[i].status == GORT_G_SYSCALL)
			return true;
	return false;
}

static void leaves_opener(void *arg)
{
	(void)arg;
	CHECK(gort_go(opens_fifo, NULL) == 0);
	YIELD_UNTIL(in_the_system());
}

static bool has_reader(void)
{
	struct pollfd p = { .fd = other_end, .events = POLLOUT };

	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLERR);
}

static void collects(void *arg)
{
	(void)arg;
	wash();
	for (int i = 0; i < 3; i++) {
		gort_gc();
		gort_sleep(GORT_MILLISECOND); /* for the cleanups */
	}
}

static void collects_reader(void *arg)
{
	int64_t last = in_5_seconds();

	while (has_reader() && gort_nanotime() < last)
		collects(arg);
	CHECK(!has_reader());
}

enum { COLLECTED_AFTER, COLLECTED_BEFORE, NEVER_COLLECTED, WAYS };

/* Its goroutine was dropped meanwhile, and nobody has the handle; that is collected after the file was opened or
 * before, or goes with the runtime. */
static void open_late(int procs, int way)
{
	int r;

	begin(procs);
	assert_int_equal(gort_runtime_run(rt, leaves_opener, NULL), 0);
	if (way == COLLECTED_BEFORE)
		assert_int_equal(gort_runtime_run(rt, collects, NULL), 0);
	other_end = open(fifo, O_WRONLY); /* the two wait for each other */
	assert_true(other_end >= 0);
	if (way != NEVER_COLLECTED)
		assert_int_equal(gort_runtime_run(rt, collects_reader, NULL), 0);
	while ((r = gort_runtime_free(rt)) == GORT_EBUSY) /* it is on its way back */
		be_thread_yield();
	assert_int_equal(r, 0);
	assert_false(has_reader());
	close(other_end);
	if (rt_load32_acq(&failures) != 0)
		fail_msg("%d P, way %d: %s", procs, way, first_failure);
}

static void test_open_late(void **state)
{
	char dir[] = "/tmp/gort-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f", dir);
	fifo = path;
	assert_int_equal(mkfifo(path, 0600), 0);
	for (int procs = 1; procs <= 2; procs++)
		for (int way = 0; way < WAYS; way++)
			open_late(procs, way);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}
#endif

/* ---- Numbers and names ----------------------------------------------------------------------------------- */

#ifndef _WIN32
/* A descriptor for the listener, and none for the poller. */
static void listens_in_vain(void *arg)
{
	const char *path = arg;
	struct rlimit all, few;
	gort_listener *l;
	int next = dup(0);

	close(next);
	CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
	few = all;
	few.rlim_cur = (rlim_t)next + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK(gort_listen(&l, "unix", path) == GORT_EOS - EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
	CHECK(gort_listen(&l, "unix", path) == 0);
	CHECK(gort_listener_close(l) == 0);
}

static void calls_outside(int which)
{
	gort_conn *c;
	gort_listener *l;
	gort_poll *p;
	char b;

	switch (which) {
	case 0:
		(void)gort_conn_read(NULL, &b, 1);
		break;
	case 1:
		(void)gort_conn_read_until(NULL, &b, 1, 0);
		break;
	case 2:
		(void)gort_conn_write(NULL, "a", 1);
		break;
	case 3:
		(void)gort_conn_write_until(NULL, "a", 1, 0);
		break;
	case 4:
		(void)gort_accept(&c, NULL);
		break;
	case 5:
		(void)gort_accept_until(&c, NULL, 0);
		break;
	case 6:
		(void)gort_dial(&c, "tcp", "127.0.0.1:1");
		break;
	case 7:
		(void)gort_dial_until(&c, "tcp", "127.0.0.1:1", 0);
		break;
	case 8:
		(void)gort_open(&c, "/dev/null", "r");
		break;
	case 9:
		(void)gort_conn_from(&c, 0);
		break;
	case 10:
		(void)gort_listen(&l, "tcp", "127.0.0.1:0");
		break;
	case 11:
		(void)gort_poll_open(&p, 0);
		break;
	default:
		break;
	}
}

static void pinned_open(void *arg)
{
	gort_conn *c;

	(void)arg;
	gort_pin();
	(void)gort_open(&c, "/dev/null", "r");
}

static void pinned_dial(void *arg)
{
	gort_conn *c;

	(void)arg;
	gort_pin();
	(void)gort_dial(&c, "tcp", "localhost:1");
}

static void calls_pinned(int which)
{
	(void)gort_main(which == 0 ? pinned_open : pinned_dial, NULL);
}

/* What a process says that ends by this call. */
static void dies_saying(void (*call)(int which), int which, char *text, size_t size)
{
	int ends[2], status;
	ssize_t n;
	size_t got = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0};

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL); /* cmocka's would go on with the next test */
		(void)dup2(ends[1], 2);
		call(which);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + got, size - 1 - got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* The message names the function that the program has called, not one inside. */
static void test_misuse(void **state)
{
	static const char *const names[] = {
		"gort_conn_read", "gort_conn_read_until", "gort_conn_write", "gort_conn_write_until",
		"gort_accept", "gort_accept_until", "gort_dial", "gort_dial_until",
		"gort_open", "gort_conn_from", "gort_listen", "gort_poll_open",
	};

	(void)state;
	for (int i = 0; i < (int)RT_NELEM(names); i++) {
		char said[256], expected[80];

		dies_saying(calls_outside, i, said, sizeof said);
		snprintf(expected, sizeof expected, "gort: %s: called outside a goroutine\n", names[i]);
		assert_memory_equal(said, expected, strlen(expected)); /* an emulator adds words of its own */
	}
	for (int i = 0; i < 2; i++) {
		char said[256], expected[80];

		dies_saying(calls_pinned, i, said, sizeof said);
		snprintf(expected, sizeof expected, "gort: %s: between gort_pin and gort_unpin\n",
		         i == 0 ? "gort_open" : "gort_dial");
		assert_memory_equal(said, expected, strlen(expected)); /* an emulator adds words of its own */
	}
}

/* Numbers that are none, and are one in their lower half: both ends stay as they are. */
static void too_large(void *arg)
{
	int ends[2];
	gort_conn *c;
	gort_poll *p;

	(void)arg;
	CHECK(pipe(ends) == 0);
	for (int shift = 32; shift < 63; shift += 30) {
		intptr_t fd = (intptr_t)((int64_t)1 << shift | ends[0]);

		CHECK(gort_conn_from(&c, fd) == GORT_EOS - EBADF && c == NULL);
		CHECK(gort_conn_from(&c, -fd) == GORT_EOS - EBADF && c == NULL);
		CHECK(gort_poll_open(&p, fd) == GORT_EOS - EBADF && p == NULL);
	}
	CHECK(fcntl(ends[0], F_GETFL) == O_RDONLY);
	close(ends[0]);
	close(ends[1]);
}

static void test_too_large(void **state)
{
	(void)state;
	if (sizeof(intptr_t) == sizeof(int))
		skip();
	run_on(1, too_large, NULL);
}

static void test_path_of_a_failed_listener(void **state)
{
	char dir[] = "/tmp/gort-XXXXXX", path[64];

	(void)state;
	if (strcmp(be_netpoll_name, "epoll") != 0)
		skip(); /* the others have what they need before */
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	run_on(1, listens_in_vain, path);
	assert_int_equal(rmdir(dir), 0); /* nothing is in it */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claimed_before_it_is_open),
		cmocka_unit_test(test_read_of_nothing),
		cmocka_unit_test(test_turn_of_a_run_that_is_over),
		cmocka_unit_test(test_turn_from_before_the_run),
		cmocka_unit_test(test_turn_of_a_released_thread),
#ifndef _WIN32
		cmocka_unit_test(test_behind_a_descriptor),
		cmocka_unit_test(test_behind_urgent_data),
		cmocka_unit_test(test_path_of_a_failed_listener),
		cmocka_unit_test(test_open_late),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_misuse),
#endif
	};

	if (strcmp(be_netpoll_name, "none") == 0)
		return 77; /* no goroutine waits for a descriptor */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
