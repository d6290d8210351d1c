/* The prime sieve that every Go programmer knows: a generator sends 2, 3, 4, ... down a chain of
 * goroutines, each of which holds back the multiples of its own prime. The number that reaches the
 * end is the next prime and gets a goroutine of its own.
 *
 * main returns with the whole chain blocked; as at the end of a Go program it is dropped. */
#include "bindings/workloads/common.h"

typedef struct filter {
	gort_chan *in, *out;
	int64_t prime;
} filter;
GORT_DEFINE_TYPE(filter, GORT_PTR(filter, in), GORT_PTR(filter, out),
                 GORT_FIELD(filter, prime, int64_t));

static void generate(void *arg)
{
	gort_chan *out = arg;
	for (int64_t i = 2;; i++)
		gort_chan_send(out, &i);
}

static void run_filter(void *arg)
{
	filter *f = arg;
	int64_t i;
	while (gort_chan_recv(f->in, &i)) {
		if (i % f->prime != 0)
			gort_chan_send(f->out, &i);
	}
}

/* Puts a filter for prime behind in; what it lets pass comes out of the result. */
static gort_chan *extend(gort_chan *in, int64_t prime)
{
	gort_chan *out = gort_chan_make(GORT_TYPE(int64_t), 0);
	filter *f = gort_new(GORT_TYPE(filter));
	gort_store(&f->in, in);
	gort_store(&f->out, out);
	f->prime = prime;
	workload_go(run_filter, f);
	return out;
}

static void sieve(void *arg)
{
	workload_call *call = arg;
	const int64_t n = call->params[0];
	workload_set_total(call, (uint64_t)n);
	gort_chan *end = gort_chan_make(GORT_TYPE(int64_t), 0);
	workload_go(generate, end);
	for (int64_t i = 0; i < n; i++) {
		int64_t prime;
		gort_chan_recv(end, &prime);
		call->value = prime;
		workload_step(call, 1);
		end = extend(end, prime);
	}
}

static const workload_param params[] = {
	{ "n", 500, 1, 100000, "how many primes; one goroutine each" },
};
const workload workload_sieve = {
	.name = "sieve", .summary = "prime sieve: a chain of goroutines, one for each prime",
	.value = "the n-th prime", .params = params, .nparams = NPARAMS(params), .main = sieve,
};
