/* user.c: what a program of somebody else looks like; C11 and C++11. Exit status 0 if it worked. */
#include <gort.h>

#include <stdio.h>

static int sum;

static void add(void *arg)
{
	gort_chan *c = (gort_chan *)arg;

	for (int i = 1; i <= 10; i++)
		gort_chan_send(c, &i);
	gort_chan_close(c);
}

static void program(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 2);
	int v;

	(void)arg;
	if (gort_go(add, c) != 0)
		return;
	while (gort_chan_recv(c, &v))
		sum += v;
}

int main(void)
{
	int r = gort_main(program, NULL);

	printf("gort %s: %d\n", gort_version(), sum);
	return r != 0 || sum != 55;
}
