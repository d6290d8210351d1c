/* deadlock.c: everybody waits, and with GORT_EXIT_ON_FATAL the process ends as a Go program does.
 *
 *   expect: fatal error: all goroutines are asleep - deadlock!
 *   expect: goroutine 1 [chan receive
 *   status: 2
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

static void waits(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);

	(void)arg;
	gort_chan_recv(c, NULL);
	puts("not reached");
}

int main(void)
{
	gort_runtime *rt;
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.flags |= GORT_EXIT_ON_FATAL;
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	gort_runtime_run(rt, waits, NULL);
	puts("not reached");
	return 0;
}
