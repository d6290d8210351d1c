/* sieve.c: the concurrent prime sieve, a goroutine for each prime. sieve [N [PROCS]] prints the
 * N-th prime and fails if it is wrong. */
#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct link {
	gort_chan *in, *out;
	int64_t prime;
} link;

static int64_t n, last;

static void generate(void *arg)
{
	for (int64_t i = 2;; i++)
		gort_chan_send(arg, &i);
}

static void filter(void *arg)
{
	link *l = arg;
	int64_t v;

	for (;;) {
		gort_chan_recv(l->in, &v);
		if (v % l->prime != 0)
			gort_chan_send(l->out, &v);
	}
}

static void sieve(void *arg)
{
	gort_chan *ch = gort_chan_make(GORT_TYPE(int64_t), 0);

	(void)arg;
	if (gort_go(generate, ch) != 0)
		abort();
	for (int64_t i = 0; i < n; i++) {
		link *l = gort_alloc(sizeof *l, 0);

		gort_chan_recv(ch, &last);
		*l = (link){ ch, gort_chan_make(GORT_TYPE(int64_t), 0), last };
		ch = l->out;
		if (gort_go(filter, l) != 0)
			abort();
	}
}

static int64_t nth_prime(int64_t k)
{
	for (int64_t v = 2;; v++) {
		int64_t d = 2;

		while (d * d <= v && v % d != 0)
			d++;
		if (d * d > v && --k == 0)
			return v;
	}
}

int main(int argc, char **argv)
{
	gort_config cfg;
	gort_runtime *rt;
	int r;

	n = argc > 1 ? atoll(argv[1]) : 200;
	gort_config_init(&cfg);
	if (argc > 2)
		cfg.procs = atoi(argv[2]);
	r = gort_runtime_new(&rt, &cfg);
	if (r == 0)
		r = gort_runtime_run(rt, sieve, NULL);
	if (r == 0)
		r = gort_runtime_free(rt);
	if (r != 0) {
		fprintf(stderr, "sieve: %s\n", gort_strerror(r));
		return 1;
	}
	printf("prime %lld: %lld\n", (long long)n, (long long)last);
	return last != nth_prime(n);
}
