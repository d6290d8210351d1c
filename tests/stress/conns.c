/* conns KIND ...: many goroutines that wait for descriptors.
 *
 *   fifo N PROCS         N goroutines each read a descriptor of its own of a FIFO; how many threads there are
 *   idle N PROCS         N connections, each with a goroutine that reads; then each answers once. The other ends are in
 *                        another process where there is fork
 *   drops SECONDS PROCS  100 connections a second are dropped with something unread, from either side; descriptors
 *   mix SECONDS PROCS [SEED [GODEBUG]]
 *                        connections are read, written, watched, shut down, closed and cancelled by whom it pleases,
 *                        with deadlines or without; what arrives is in order
 *
 * Nothing is timed: who does not get ahead hangs. Exit status 1 if a count is wrong, 77 (skipped) if the build or the
 * system cannot do it. */
#include "backends/io/io.h"
#include "backends/netpoll/netpoll.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/base/rand.h"
#include "core/sched/sched_impl.h"

#include <gort.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { SKIP = 77, THREADS = 16 };

static int n, procs;
static const char *debug;
static gort_runtime *rt;
static gort_waitgroup all;
static rt_atomic32 answered;
static int wrong;
static char at[64];

#define MUST(e) ((e) ? (void)0 : must_failed(#e, __LINE__))

static void must_failed(const char *what, int line)
{
	printf("line %d: %s: %s\n", line, what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static void expect(int64_t got, int64_t want, const char *what)
{
	if (got == want)
		return;
	printf("%s: %lld, not %lld\n", what, (long long)got, (long long)want);
	wrong = 1;
}

RT_UNUSED static uint32_t threads(void) /* not by what Windows can run */
{
	uint32_t k;

	rt_lock(&rt->sched.lock, RT_RANK_sched);
	k = rt->sched.mcount;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return k;
}

static int open_files(void)
{
#ifdef _WIN32
	DWORD k = 0;

	GetProcessHandleCount(GetCurrentProcess(), &k);
	return (int)k;
#else
	DIR *d = opendir("/proc/self/fd");
	int k = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		k++;
	closedir(d);
	return k;
#endif
}

static void raise_limit(int want)
{
#ifndef _WIN32
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_max < (rlim_t)want) {
		printf("skipped: %d descriptors, and %llu are allowed\n", want, (unsigned long long)l.rlim_max);
		exit(SKIP);
	}
#else
	(void)want;
#endif
}

static gort_listener *listener(void)
{
	gort_listener *l;

	MUST(gort_listen(&l, "tcp", "127.0.0.1:0") == 0);
	MUST(gort_listener_address(l, at, sizeof at) == 0);
	return l;
}

/* ---- fifo ------------------------------------------------------------------------------------------ */

#ifndef _WIN32
static char path[64];

static void reads_fifo(void *arg)
{
	gort_conn *c = arg;
	char b;

	expect(gort_conn_read(c, &b, 1), 1, "bytes read");
	gort_conn_close(c);
	rt_add32_full(&answered, 1);
	gort_waitgroup_done(&all);
}

static void fifo(void *arg)
{
	char *many = gort_alloc((size_t)n, GORT_NOSCAN);
	gort_conn *w, *c;

	(void)arg;
	MUST(gort_open(&w, path, "r+") == 0);
	gort_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++) {
		MUST(gort_open(&c, path, "r") == 0);
		MUST(gort_go(reads_fifo, c) == 0);
	}
	while (rt_load32_acq(&rt->sched.pollwaiters) < (uint32_t)n)
		gort_sleep(GORT_MILLISECOND);
	printf("%d goroutines wait in %u threads\n", n, threads());
	if (threads() > THREADS)
		wrong = 1;
	expect(gort_conn_write(w, many, (size_t)n), n, "bytes written");
	gort_waitgroup_wait(&all);
	gort_conn_close(w);
}
#endif

/* ---- idle ------------------------------------------------------------------------------------------ */

static void answers(void *arg)
{
	gort_conn *c = arg;
	char b;

	expect(gort_conn_read(c, &b, 1), 1, "bytes asked");
	expect(gort_conn_write(c, &b, 1), 1, "bytes answered");
	expect(gort_conn_read(c, &b, 1), 0, "the end");
	gort_conn_close(c);
	rt_add32_full(&answered, 1);
	gort_waitgroup_done(&all);
}

/* The other ends, without a runtime. */
static void ask_all(const char *address, intptr_t go_on)
{
	intptr_t *fd = calloc((size_t)n, sizeof *fd);
	be_ioaddr a;
	char b = 'a';

	MUST(be_io_resolve("tcp", address, false, false, &a, 1) == 1);
	for (int i = 0; i < n; i++) {
		bool pending;

		fd[i] = be_io_dial(&a, &pending);
		MUST(fd[i] >= 0);
		while (pending && be_io_connected(fd[i]) == -EAGAIN)
			be_thread_yield();
	}
	while (go_on >= 0 && be_io_read(go_on, BE_IO_FILE, &b, 1) == -EAGAIN)
		;
	for (int i = 0; i < n; i++)
		MUST(be_io_write(fd[i], BE_IO_SOCKET, &b, 1) == 1);
	for (int i = 0; i < n; i++) {
		intptr_t r;

		while ((r = be_io_read(fd[i], BE_IO_SOCKET, &b, 1)) == -EAGAIN)
			be_thread_yield();
		MUST(r == 1);
		be_io_close(fd[i], BE_IO_SOCKET);
	}
	free(fd);
}

#ifdef _WIN32
static void other_ends(void *arg)
{
	(void)arg;
	ask_all(at, -1);
}
#endif

static void idle(void *arg)
{
	gort_listener *l = listener();
	gort_conn *c;
#ifdef _WIN32
	be_thread t;

	(void)arg;
	MUST(be_thread_start(&t, other_ends, NULL, 0) == 0);
#else
	const int *to = arg;

	MUST(write(to[0], at, sizeof at) == (ssize_t)sizeof at);
#endif
	gort_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++) {
		MUST(gort_accept(&c, l) == 0);
		MUST(gort_go(answers, c) == 0);
	}
#ifndef _WIN32
	while (rt_load32_acq(&rt->sched.pollwaiters) < (uint32_t)n)
		gort_sleep(GORT_MILLISECOND);
	printf("%d connections wait in %u threads\n", n, threads());
	if (threads() > THREADS)
		wrong = 1;
	MUST(write(to[1], "x", 1) == 1);
#endif
	gort_waitgroup_wait(&all);
	gort_listener_close(l);
#ifdef _WIN32
	be_thread_join(&t);
#endif
}

/* ---- drops ----------------------------------------------------------------------------------------- */

static int64_t until;
static rt_atomic32 dropped;

static void serves_until_reset(void *arg)
{
	gort_conn *c = arg;
	char b[100];
	intptr_t r;

	while ((r = gort_conn_read(c, b, 10)) > 0 && gort_conn_write(c, b, (size_t)r) == r)
		if (b[0] == 'd')
			break; /* with 90 bytes unread */
	gort_conn_close(c);
	gort_waitgroup_done(&all);
}

static void accepts(void *arg)
{
	gort_conn *c;

	while (gort_accept(&c, arg) == 0) {
		gort_waitgroup_add(&all, 1);
		MUST(gort_go(serves_until_reset, c) == 0);
	}
	gort_waitgroup_done(&all);
}

static void drops_one(void *arg)
{
	char b[100];
	gort_conn *c;
	int r = gort_dial(&c, "tcp", at);

	MUST(r == 0);
	memset(b, arg != NULL ? 'd' : 'c', sizeof b);
	if (gort_conn_write(c, b, sizeof b) == sizeof b && arg == NULL)
		(void)gort_conn_read(c, b, 5); /* and leaves the rest */
	else
		while (gort_conn_read(c, b, sizeof b) > 0)
			;
	gort_conn_close(c);
	rt_add32_full(&dropped, 1);
	gort_waitgroup_done(&all);
}

static void drops(void *arg)
{
	gort_listener *l = listener();
	int64_t next = gort_nanotime();
	uint32_t begun = 1;
	int before;

	(void)arg;
	gort_waitgroup_add(&all, 1);
	gort_go(accepts, l);
	gort_waitgroup_add(&all, 1);
	drops_one(NULL);
	before = open_files();
	for (int i = 0; gort_nanotime() < until; i++, begun++) {
		next += 10 * GORT_MILLISECOND;
		gort_sleep_until(next);
		gort_waitgroup_add(&all, 1);
		MUST(gort_go(drops_one, i % 2 ? &next : NULL) == 0);
	}
	while (rt_load32_acq(&dropped) < begun)
		gort_sleep(GORT_MILLISECOND);
	gort_listener_close(l);
	gort_waitgroup_wait(&all);
	printf("%u connections dropped\n", rt_load32_acq(&dropped));
	if (before > 0 && open_files() >= before) /* then there was the listener's, too, and perhaps the first one's */
		expect(open_files(), before - 1, "open files");
}

/* ---- mix ------------------------------------------------------------------------------------------- */

static rt_atomic64 moved, ends[8];
static uint64_t seed;

typedef struct link_ { /* one direction of a connection */
	gort_conn *from, *to;
	gort_group *g;
	rt_rand rand[2]; /* of who sends, of who receives */
	uint64_t sent, got;
} link_;

static int64_t some_deadline(rt_rand *r)
{
	switch (rt_rand_below(r, 4)) {
	case 0:
		return gort_nanotime() + rt_rand_below(r, 2000) * GORT_MICROSECOND;
	case 1:
		return 0;
	default:
		return GORT_FOREVER;
	}
}

static void count_end(intptr_t code)
{
	rt_add64_full(&ends[code == GORT_ETIMEDOUT ? 0 : code == GORT_ECANCELED ? 1 : code == GORT_ECLOSED ? 2
	                    : code == 0 ? 3 : 4], 1);
}

static int sends(void *arg)
{
	link_ *k = arg;
	unsigned char b[3000];

	while (gort_nanotime() < until) {
		size_t size = 1 + rt_rand_below(&k->rand[0], sizeof b);
		intptr_t r;

		for (size_t i = 0; i < size; i++)
			b[i] = (unsigned char)((k->sent + i) * 7);
		r = gort_conn_write_until(k->from, b, size, some_deadline(&k->rand[0]));
		if (r != (intptr_t)size) {
			count_end(r);
			break; /* how much of it went is not known */
		}
		k->sent += size;
		if (rt_rand_below(&k->rand[0], 50) == 0)
			gort_sleep(rt_rand_below(&k->rand[0], 300) * GORT_MICROSECOND);
	}
	if (rt_rand_below(&k->rand[0], 3) == 0)
		(void)gort_conn_shutdown(k->from);
	else
		(void)gort_conn_close(k->from);
	return 0;
}

static int receives(void *arg)
{
	link_ *k = arg;
	unsigned char b[2000];

	for (;;) {
		size_t size = 1 + rt_rand_below(&k->rand[1], sizeof b);
		intptr_t r = gort_conn_read_until(k->to, b, size, some_deadline(&k->rand[1]));

		if (r == GORT_ETIMEDOUT)
			continue;
		if (r <= 0) {
			count_end(r);
			break;
		}
		for (intptr_t i = 0; i < r; i++)
			if (b[i] != (unsigned char)((k->got + (uint64_t)i) * 7)) {
				printf("seed %llu: a byte is not the next one\n", (unsigned long long)seed);
				exit(1);
			}
		k->got += (uint64_t)r;
		rt_add64_full(&moved, (uint64_t)r);
		if (rt_rand_below(&k->rand[1], 2000) == 0)
			break;
	}
	(void)gort_conn_close(k->to);
	return 0;
}

static link_ *new_link(gort_conn *from, gort_conn *to, rt_rand *r)
{
	link_ *k = gort_alloc(sizeof *k, 0);

	gort_store(&k->from, from);
	gort_store(&k->to, to);
	for (int i = 0; i < 2; i++)
		rt_rand_seed(&k->rand[i], rt_rand_below(r, UINT32_MAX));
	return k;
}

static void one_after_the_other(void *arg)
{
	uint64_t mine = (uintptr_t)arg;
	gort_listener *l = NULL;
	gort_conn *a, *b;
	char where[64];
	rt_rand r;

	rt_rand_seed(&r, mine);
	MUST(gort_listen(&l, "tcp", "127.0.0.1:0") == 0);
	MUST(gort_listener_address(l, where, sizeof where) == 0);
	while (gort_nanotime() < until) {
		gort_group g = {0};

		MUST(gort_dial(&a, "tcp", where) == 0);
		MUST(gort_accept(&b, l) == 0);
		link_ *to = new_link(a, b, &r), *back = new_link(b, a, &r);
		MUST(gort_group_go(&g, sends, to) == 0);
		MUST(gort_group_go(&g, receives, to) == 0);
		MUST(gort_group_go(&g, sends, back) == 0);
		MUST(gort_group_go(&g, receives, back) == 0);
		gort_sleep(rt_rand_below(&r, 20000) * GORT_MICROSECOND);
		switch (rt_rand_below(&r, 3)) {
		case 0:
			gort_group_cancel(&g, GORT_ECANCELED);
			break;
		case 1:
			(void)gort_conn_close(a);
			break;
		default:
			break; /* they end by themselves, or the listener's time does */
		}
		if (gort_group_wait_until(&g, gort_nanotime() + 20 * GORT_MILLISECOND) == GORT_ETIMEDOUT) {
			gort_group_cancel(&g, GORT_ECANCELED);
			(void)gort_group_wait(&g);
		}
		(void)gort_conn_close(a);
		(void)gort_conn_close(b);
	}
	gort_listener_close(l);
	gort_waitgroup_done(&all);
}

static void mix(void *arg)
{
	(void)arg;
	gort_waitgroup_add(&all, 8);
	for (uintptr_t i = 0; i < 8; i++)
		MUST(gort_go(one_after_the_other, (void *)(uintptr_t)(seed * 8 + i + 1)) == 0);
	gort_waitgroup_wait(&all);
	printf("seed %llu: %llu MiB; timed out %llu, cancelled %llu, closed %llu, at the end %llu, errors %llu\n",
	       (unsigned long long)seed, (unsigned long long)rt_load64_rlx(&moved) >> 20,
	       (unsigned long long)rt_load64_rlx(&ends[0]), (unsigned long long)rt_load64_rlx(&ends[1]),
	       (unsigned long long)rt_load64_rlx(&ends[2]), (unsigned long long)rt_load64_rlx(&ends[3]),
	       (unsigned long long)rt_load64_rlx(&ends[4]));
}

/* ---------------------------------------------------------------------------------------------------- */

static int run(gort_func fn, void *arg)
{
	gort_config cfg;
	int before = open_files(), r;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.debug = debug;
	MUST(gort_runtime_new(&rt, &cfg) == 0);
	until = gort_nanotime() + n * GORT_SECOND;
	r = gort_runtime_run(rt, fn, arg);
	if (r != 0) {
		printf("%s: %s\n", gort_strerror(r), gort_runtime_error(rt));
		return 1;
	}
	MUST(gort_runtime_free(rt) == 0);
#ifndef _WIN32 /* wine's count is its own */
	expect(open_files(), before, "descriptors left open");
#else
	(void)before;
#endif
	return wrong;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 3 ? argv[1] : "";

	if (strcmp(be_netpoll_name, "none") == 0) {
		printf("skipped: this build waits for no descriptors\n");
		return SKIP;
	}
	n = argc > 3 ? atoi(argv[2]) : 0;
	procs = argc > 3 ? atoi(argv[3]) : 0;
	/* On a busy machine sysmon opens a file, which would count as one that was left. */
	debug = argc > 5 ? argv[5] : strcmp(kind, "drops") == 0 ? "crowd=0" : NULL;
	seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)be_nanotime() % 1000000;
	if (n < 1 || procs < 1 || be_io_start() != 0) {
		fprintf(stderr, "usage: conns fifo|idle N PROCS, conns drops|mix SECONDS PROCS [SEED [GODEBUG]]\n");
		return 2;
	}
	if (strcmp(kind, "drops") == 0)
		return run(drops, NULL);
	if (strcmp(kind, "mix") == 0)
		return run(mix, NULL);
	raise_limit(n + 40);
#ifdef _WIN32
	return strcmp(kind, "idle") == 0 ? run(idle, NULL) : SKIP;
#else
	if (strcmp(kind, "fifo") == 0) {
		int r;

		snprintf(path, sizeof path, "gort-conns-%d.fifo", (int)getpid());
		MUST(mkfifo(path, 0600) == 0);
		r = run(fifo, NULL);
		unlink(path);
		return r;
	} else {
		int to[2][2], ends_[2], status, r;
		pid_t child;

		MUST(pipe(to[0]) == 0 && pipe(to[1]) == 0);
		child = fork();
		MUST(child >= 0);
		if (child == 0) {
			MUST(read(to[0][0], at, sizeof at) == (ssize_t)sizeof at);
			ask_all(at, to[1][0]);
			_exit(0);
		}
		ends_[0] = to[0][1];
		ends_[1] = to[1][1];
		r = run(idle, ends_);
		MUST(waitpid(child, &status, 0) == child);
		return r != 0 || status != 0;
	}
#endif
}
