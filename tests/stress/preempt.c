/* preempt SECONDS PROCS [KINDS [DEBUG]]: goroutines that never call the runtime, and do everything
 * that makes stopping them hard, for as long as told. Each letter of KINDS is a goroutine:
 *
 *   c  computes with values in registers      m  mallocs and frees
 *   p  prints to a pipe by stdio              l  holds a pthread mutex across slices; so does every other l
 *   d  dlopens and dlcloses                   f  forks a child that exits, and waits for it
 *   r  blocks in a raw read of a pipe         w  wakes r by a raw write now and then
 *   n  sleeps by a raw nanosleep              s  sleeps by gort_sleep, 1 ms
 *   y  yields                                 e  holds errno
 *   t  ping-pongs through channels with another t
 *
 * Every goroutine checks what it does and must get ahead: the sleeper of main looks every second.
 * At the end main returns while all of them are where they are. Prints what each did; exit status 1
 * if a check failed or one stood still. Kinds that a system lacks compute instead. */
#include <gort.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef _WIN32
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { MAX = 20000, STILL = 10 /* seconds without a step: it stands still */ };

typedef struct one {
	char kind;
	int number;
	volatile uint64_t steps, bad;
	uint64_t seen;
	int64_t since;
	gort_chan *c;
} one;

static one all[MAX];
static int count;
static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;
static volatile long guarded[2];
#ifndef _WIN32
static int ends[2];
static FILE *sink;
#endif

static uint64_t compute(uint64_t seed)
{
	uint64_t a = seed, b = ~seed, c = seed * 3, d = seed ^ 0x9e3779b97f4a7c15u;
	double x[8], y[8];

	for (int i = 0; i < 8; i++)
		x[i] = y[i] = (double)i;
	for (int i = 0; i < 2000; i++) {
		__asm__ volatile("" : "+r"(a));
		a += b ^ (uint64_t)i;
		b = b * 3 + c;
		c ^= d << 1;
		d += a;
		for (int k = 0; k < 8; k++) {
			x[k] = x[k] * 0.5 + 1;
			y[k] = y[k] * 0.5 + 1;
		}
	}
	return memcmp(x, y, sizeof x) == 0 ? a + b + c + d : 0;
}

static void do_compute(one *o)
{
	uint64_t seed = o->steps + 1, first = compute(seed);

	if (first != compute(seed))
		o->bad++;
}

static void do_malloc(one *o)
{
	char *p[16];

	for (int i = 0; i < 16; i++) {
		size_t n = 16 + (size_t)((o->steps * 7 + (uint64_t)i * 131) % 5000);

		p[i] = malloc(n);
		if (p[i] == NULL) {
			o->bad++;
			return;
		}
		memset(p[i], i, n);
	}
	for (int i = 0; i < 16; i++) {
		if (p[i][0] != i)
			o->bad++;
		free(p[i]);
	}
}

static void do_lock(one *o)
{
	if (pthread_mutex_lock(&shared) != 0)
		o->bad++;
	guarded[0]++;
	do_compute(o);
	guarded[1]++;
	if (guarded[0] != guarded[1])
		o->bad++;
	pthread_mutex_unlock(&shared);
	do_compute(o); /* such locks are not fair: who takes it again at once keeps it */
	do_compute(o);
}

static void do_errno(one *o)
{
	int *e = gort_errno();

	*e = EDOM;
	do_compute(o);
	if (*gort_errno() != EDOM)
		o->bad++;
}

static void do_nanosleep(one *o)
{
	struct timespec ts = { 0, 2000000 };

	while (nanosleep(&ts, &ts) != 0)
		if (errno != EINTR) {
			o->bad++;
			return;
		}
}

#ifndef _WIN32
static void do_print(one *o)
{
	if (fprintf(sink, "%d %llu %g\n", o->number, (unsigned long long)o->steps, 1.5) < 0)
		o->bad++;
}

static void do_dlopen(one *o)
{
	void *lib = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);

	if (lib != NULL) {
		if (dlsym(lib, "cos") == NULL)
			o->bad++;
		dlclose(lib);
	}
}

static void do_fork(one *o)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(7);
	if (pid < 0) {
		if (errno != EAGAIN)
			o->bad++;
		return;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			o->bad++;
			return;
		}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
		o->bad++;
}

static void do_read(one *o)
{
	char c;

	while (read(ends[0], &c, 1) != 1)
		if (errno != EINTR) {
			o->bad++;
			return;
		}
}

static void do_write(one *o)
{
	for (int i = 0; i < 5; i++)
		do_compute(o);
	if (write(ends[1], "x", 1) != 1 && errno != EAGAIN)
		o->bad++;
}
#else
#define do_print do_compute
#define do_dlopen do_compute
#define do_fork do_compute
#define do_read do_nanosleep
#define do_write do_compute
#endif

static void do_sleep(one *o)
{
	int64_t now = gort_nanotime();

	gort_sleep(GORT_MILLISECOND);
	if (gort_nanotime() - now < GORT_MILLISECOND)
		o->bad++;
}

static void do_yield(one *o)
{
	(void)o;
	gort_gosched();
}

static void do_talk(one *o)
{
	int64_t v = (int64_t)o->steps, got = 0;
	one *other = &all[o->number ^ 1];

	if (o->number & 1) {
		gort_chan_recv(o->c, &got);
		if (got != v)
			o->bad++;
		gort_chan_send(other->c, &got);
	} else {
		gort_chan_send(other->c, &v);
		gort_chan_recv(o->c, &got);
		if (got != v)
			o->bad++;
	}
}

static void (*what(char kind))(one *o)
{
	switch (kind) {
	case 'm': return do_malloc;
	case 'p': return do_print;
	case 'l': return do_lock;
	case 'd': return do_dlopen;
	case 'f': return do_fork;
	case 'r': return do_read;
	case 'w': return do_write;
	case 'n': return do_nanosleep;
	case 's': return do_sleep;
	case 'y': return do_yield;
	case 'e': return do_errno;
	case 't': return do_talk;
	default: return do_compute;
	}
}

static void body(void *arg)
{
	one *o = arg;
	void (*step)(one *) = what(o->kind);

	for (;;) {
		step(o);
		o->steps++;
	}
}

static int seconds;

static int look(int64_t now)
{
	int still = 0;

	for (int i = 0; i < count; i++) {
		one *o = &all[i];

		if (o->steps != o->seen) {
			o->seen = o->steps;
			o->since = now;
		} else if (now - o->since > STILL * GORT_SECOND) {
			fprintf(stderr, "preempt: %c (%d) has stood still for %d s after %llu steps\n", o->kind,
			        i, STILL, (unsigned long long)o->steps);
			still++;
		}
	}
	return still;
}

static int failed;

static void program(void *arg)
{
	int64_t start = gort_nanotime();

	(void)arg;
	for (int i = 0; i < count; i++) {
		all[i].since = start;
		all[i].c = gort_chan_make(GORT_TYPE(int64_t), 0);
	}
	for (int i = 0; i < count; i++)
		if (gort_go(body, &all[i]) != 0)
			abort();
	while (gort_nanotime() - start < seconds * GORT_SECOND && !failed) {
		gort_sleep(GORT_SECOND / 4);
		failed = look(gort_nanotime());
	}
}

static void report(void)
{
	static const char kinds[] = "cmpldfrwnsyet";

	for (const char *k = kinds; *k != '\0'; k++) {
		uint64_t steps = 0, bad = 0, least = UINT64_MAX;
		int n = 0;

		for (int i = 0; i < count; i++) {
			if (all[i].kind != *k)
				continue;
			n++;
			steps += all[i].steps;
			bad += all[i].bad;
			if (all[i].steps < least)
				least = all[i].steps;
		}
		if (n > 0)
			printf("%c x %d: %llu steps, the least %llu, bad %llu\n", *k, n,
			       (unsigned long long)steps, (unsigned long long)least, (unsigned long long)bad);
		failed += bad > 0;
	}
}

/* Some are still in foreign code. With musl a thread in fork and one in exit wait for each other: the one has the
 * loader's lock and wants that of atexit, the other has them the other way round. */
GORT_NORETURN static void leave(int status)
{
	fflush(stdout);
	fflush(stderr);
#ifdef _WIN32
	exit(status);
#else
	_exit(status);
#endif
}

int main(int argc, char **argv)
{
	const char *kinds = argc > 3 ? argv[3] : "ccmmpplldfrwnnsyttec";
	gort_config cfg;
	gort_runtime *rt;
	int r;

	if (argc < 3) {
		fprintf(stderr, "usage: preempt SECONDS PROCS [KINDS [DEBUG]]\n");
		return 2;
	}
	seconds = atoi(argv[1]);
	for (count = 0; kinds[count] != '\0' && count < MAX; count++)
		all[count] = (one){ .kind = kinds[count], .number = count };
#ifndef _WIN32
	sink = fopen("/dev/null", "w");
	if (pipe(ends) != 0 || sink == NULL)
		return 1;
	(void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
#endif
	gort_config_init(&cfg);
	cfg.procs = atoi(argv[2]);
	if (argc > 4)
		cfg.debug = argv[4];
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	r = gort_runtime_run(rt, program, NULL);
	if (r != 0)
		fprintf(stderr, "preempt: run: %s\n%s", gort_strerror(r), gort_runtime_error(rt));
	report();
	r = gort_runtime_free(rt);
	printf("free: %s\n", r == 0 ? "ok" : gort_strerror(r));
	leave(failed || (r != 0 && r != GORT_EBUSY));
}
