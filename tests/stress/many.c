/* many.c: N goroutines alive at once, parked on one channel, then all woken. many [N] fails if one
 * is lost. */
#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

static gort_chan *gate;
static gort_waitgroup started, woken;
static int n, most;

static void wait_at_gate(void *arg)
{
	(void)arg;
	gort_waitgroup_done(&started);
	gort_chan_recv(gate, NULL);
	gort_waitgroup_done(&woken);
}

static void program(void *arg)
{
	(void)arg;
	gate = gort_chan_make(GORT_TYPE(int), 0);
	gort_waitgroup_add(&started, n);
	gort_waitgroup_add(&woken, n);
	for (int i = 0; i < n; i++)
		if (gort_go(wait_at_gate, NULL) != 0)
			abort();
	gort_waitgroup_wait(&started);
	most = gort_num_goroutine();
	gort_chan_close(gate);
	gort_waitgroup_wait(&woken);
}

int main(int argc, char **argv)
{
	gort_config cfg;
	gort_runtime *rt;
	int r;

	n = argc > 1 ? atoi(argv[1]) : 20000;
	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.flags |= GORT_SCAN_DATA;
	r = gort_runtime_new(&rt, &cfg);
	if (r == 0)
		r = gort_runtime_run(rt, program, NULL);
	if (r == 0)
		r = gort_runtime_free(rt);
	printf("many: %d goroutines at once\n", most);
	return r != 0 || most != n + 1;
}
