/* levels.c: fails beside three goroutines that wait: by a panic, a fatal error, or 1000 frames deep. For levels.py. */
#include <gort.h>

#include <string.h>

static void waits(void *arg)
{
	gort_chan_recv(arg, NULL);
}

static volatile int depth = 1000;

static __attribute__((noinline)) int deep(int n)
{
	volatile int m = n;

	if (n == 0 && depth > 0)
		gort_panics("deep");
	return n < -1 ? 0 : deep(n - 1) + m;
}

static void fails(void *arg)
{
	static gort_mutex mu;
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);

	for (int i = 0; i < 3; i++)
		gort_go(waits, c);
	gort_sleep(GORT_MILLISECOND);
	if (strcmp(arg, "fatal") == 0)
		gort_mutex_unlock(&mu);
	if (strcmp(arg, "deep") == 0)
		depth = deep(depth);
	gort_panics("text");
}

int main(int argc, char **argv)
{
	return gort_main(fails, argc > 1 ? (void *)argv[1] : (void *)"x");
}
