/* parked.c: what a goroutine that waits costs. Parks N goroutines on one channel, all at once, and
 * wakes them by closing it.
 *
 *   parked [BOUND [N [OPTIONS]]]
 *
 * N is a million; OPTIONS are gort_config_parse's, as "procs=2,stack=16KiB". Prints nanoseconds to
 * start and park, and to wake and end, and resident bytes, of one goroutine. Fails if the bytes are
 * more than BOUND (0: no bound) or a goroutine is lost. The bytes are the growth of the process'
 * resident set, so they contain all that a goroutine needs: record, touched stack, run queues and
 * free lists. Page tables are not in it. Linux only: reads /proc/self/statm.
 *
 * The workload "parked" of workloads.go is the same in Go.
 */
#include <gort.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct parking {
	gort_chan *c;
	gort_waitgroup started, woken;
	int n;
	double spawn_ns, wake_ns, bytes; /* of one */
} parking;

static double resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = -1;

	if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) {
		fprintf(stderr, "parked: cannot read /proc/self/statm\n");
		exit(1);
	}
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void wait_for_close(void *arg)
{
	parking *p = arg;

	gort_waitgroup_done(&p->started);
	gort_chan_recv(p->c, NULL);
	gort_waitgroup_done(&p->woken);
}

/* When main goes on after `started`, all have run; at most one on each P is still on its way into
 * the channel. */
static void park_all(void *arg)
{
	parking *p = arg;
	double before = resident();
	int64_t start = gort_nanotime(), spawned, closing;

	p->c = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_waitgroup_add(&p->started, p->n);
	gort_waitgroup_add(&p->woken, p->n);
	for (int i = 0; i < p->n; i++) {
		if (gort_go(wait_for_close, p) != 0) {
			fprintf(stderr, "parked: no memory for goroutine %d\n", i);
			exit(1);
		}
	}
	gort_waitgroup_wait(&p->started);
	spawned = gort_nanotime();
	p->bytes = (resident() - before) / p->n;
	closing = gort_nanotime();
	gort_chan_close(p->c);
	gort_waitgroup_wait(&p->woken);
	p->wake_ns = (double)(gort_nanotime() - closing) / p->n;
	p->spawn_ns = (double)(spawned - start) / p->n;
}

int main(int argc, char **argv)
{
	double bound = argc > 1 ? atof(argv[1]) : 0;
	parking p = { .n = argc > 2 ? atoi(argv[2]) : 1000000 };
	gort_runtime *rt;
	gort_config cfg;
	int r;

	if (p.n <= 0) {
		fprintf(stderr, "usage: parked [BOUND [N [OPTIONS]]]\n");
		return 2;
	}
	gort_config_init(&cfg);
	r = argc > 3 ? gort_config_parse(&cfg, argv[3]) : 0;
	if (r == 0)
		r = gort_runtime_new(&rt, &cfg);
	if (r == 0) {
		r = gort_runtime_run(rt, park_all, &p);
		if (r != 0)
			fputs(gort_runtime_error(rt), stderr);
		gort_runtime_free(rt);
	}
	if (r != 0) {
		fprintf(stderr, "parked: %s\n", gort_strerror(r));
		return 1;
	}
	printf("parked_spawn %.3f ns\nparked_wake %.3f ns\nparked_bytes %.1f B\n", p.spawn_ns,
	       p.wake_ns, p.bytes);
	if (bound > 0 && p.bytes > bound) {
		fprintf(stderr, "parked: %.1f bytes each are more than %.1f\n", p.bytes, bound);
		return 1;
	}
	return 0;
}
