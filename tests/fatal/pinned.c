/* pinned.c: a look at the statistics stops the world, for which a pinned goroutine might have to wait.
 *
 *   expect: gort: gort_mem_stats_read: between gort_pin and gort_unpin
 *   status: abort
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

static void run(void *arg)
{
	gort_mem_stats s;

	(void)arg;
	gort_pin();
	gort_mem_stats_read(gort_self(), &s);
	puts("not reached");
}

int main(void)
{
	return gort_main(run, NULL);
}
