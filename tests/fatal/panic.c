/* panic.c: a panic that nobody recovers, by gort_main: its text, and exit status 2.
 *
 *   expect: panic: send on closed channel
 *   expect: goroutine 1 [running]
 *   status: 2
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

static void sends(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 1);
	int v = 1;

	(void)arg;
	gort_chan_close(c);
	gort_chan_send(c, &v);
	puts("not reached");
}

int main(void)
{
	return gort_main(sends, NULL);
}
