/* overflow.c: runs off a goroutine's stack in its own code: the run ends with GORT_EFATAL and a text
 * that names the goroutine, and the next run works. Exit status 0. */
#include <gort.h>

#include <stdio.h>
#include <string.h>

static volatile int depth_limit = 1 << 30;

static __attribute__((noinline)) int recurse(int n)
{
	volatile char frame[512];

	frame[0] = (char)n;
	if (n == depth_limit)
		return 0;
	return recurse(n + 1) + frame[0];
}

static void overflow(void *arg)
{
	*(int *)arg = recurse(0);
}

static void program(void *arg)
{
	gort_go_attr attr = { sizeof attr, 64 << 10, "deep" };

	if (gort_go_with(&attr, overflow, arg) == 0)
		gort_sleep(60 * GORT_SECOND);
}

static void fine(void *arg)
{
	*(int *)arg = 7;
}

static int check(int ok, const char *what)
{
	if (!ok)
		printf("failed: %s\n", what);
	return !ok;
}

int main(void)
{
	gort_config cfg;
	gort_runtime *rt;
	int x = 0, bad = 0;

	gort_config_init(&cfg);
	cfg.procs = 2;
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 2;
	for (int i = 0; i < 20; i++) {
		bad += check(gort_runtime_run(rt, program, &x) == GORT_EFATAL, "code");
		bad += check(strstr(gort_runtime_error(rt), "fatal error: stack overflow") != NULL,
		             "text");
		bad += check(strstr(gort_runtime_error(rt), "\"deep\"") != NULL, "name");
		bad += check(strstr(gort_runtime_error(rt), "-byte limit") != NULL, "size");
		bad += check(strstr(gort_runtime_error(rt), "recurse") != NULL ||
		                     strstr(gort_runtime_error(rt), "+0x") != NULL,
		             "backtrace");
	}
	if (bad)
		printf("%.2000s\n", gort_runtime_error(rt));
	bad += check(gort_runtime_run(rt, fine, &x) == 0 && x == 7, "the next run");
	bad += check(gort_runtime_free(rt) == 0, "free");
	return bad != 0;
}
