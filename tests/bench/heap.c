/* heap.c: what a large heap costs a program that goes on allocating: the gort half of tests/bench/heap. heap.go is the
 * other half: the same objects, in the same order, on as many goroutines. A change here is made there, too.
 *
 *   heap [LIVE [SECONDS]]     LIVE MiB (1024) of linked objects, for so long (10); GOMAXPROCS, GOGC and GOMEMLIMIT
 *                             in the environment say the rest
 *
 * The live heap is a table of lists of 64 entries. An entry is two cells and a block without pointers for each: mostly
 * 16 to 256 B, one in 100 of 1 to 4 KiB, one in 1000 of 32 KiB. As many goroutines as there are Ps make entries as
 * fast as they can. One in eight takes the place of a live one, at one of the first eight places of a list; the others
 * are garbage. How long each step took goes into a histogram of its goroutine; pauses come from the runtime's own.
 *
 * Prints "NAME VALUE UNIT" for each figure:
 *   allocs         objects a second, all goroutines together
 *   step, step_999, stall    one step (four objects) on average, the 99.9th percentile, the longest
 *   pause@US, stopping@US, stopped@US    stops of the world by the collector: from asking for it until the world goes
 *                  on, until all stand, and what lies between: how many there were in the bucket of the histogram that
 *                  ends at US microseconds
 *   pause_max, stopping_max, stopped_max    the end of the last one
 *   cycles         collections that ended in this time
 *   full           a collection asked for, when nobody allocates: the median of five
 *   live           what such a one leaves
 *   marked, heap_peak    the most that a collection has left while they allocated, and the largest heap, looked at
 *                  every 20 ms
 *   limited        the collection in which the runtime last refused to spend more on collecting; 0: none
 *   resident_peak  of the whole process, from its beginning on
 */
#include <gort.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN = 64, REPLACE = 8, FULLS = 5, SUB = 16, BUCKETS = 48 * SUB, MAX_WORKERS = 64 };
#define ENTRY 504 /* bytes of classes that an entry takes, on average */

typedef struct cell {
	struct cell *next, *other;
	char *data;
	uint64_t size, key;
} cell;
GORT_DEFINE_TYPE(cell, GORT_PTR(cell, next), GORT_PTR(cell, other), GORT_PTR(cell, data),
                 GORT_FIELD(cell, size, uint64_t), GORT_FIELD(cell, key, uint64_t));

typedef struct worker {
	uint64_t seed, steps, longest, counts[BUCKETS];
	cell **table; /* its own lists */
	size_t lists;
} worker;

static worker workers[MAX_WORKERS]; /* a root: holds the tables */
static bool over;                   /* atomic */

static void fail(const char *what)
{
	fprintf(stderr, "heap: %s\n", what);
	exit(1);
}

static uint64_t next(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

/* ---- Entries -------------------------------------------------------------------------------------------- */

static size_t size_of_block(uint64_t r)
{
	uint64_t kind = r % 1000;

	if (kind == 0)
		return 32 << 10;
	if (kind <= 10)
		return 1024 + (r >> 10) % 3072;
	return 16 + (r >> 10) % 240;
}

static cell *make_cell(uint64_t r)
{
	cell *c = gort_new(GORT_TYPE(cell));

	c->size = size_of_block(r);
	c->key = r;
	gort_store(&c->data, gort_alloc(c->size, GORT_NOSCAN));
	memset(c->data, (int)(r & 127), 16);
	return c;
}

static cell *make_entry(worker *w)
{
	cell *c = make_cell(next(&w->seed));

	gort_store(&c->other, make_cell(next(&w->seed)));
	return c;
}

/* Takes the place of the entry behind one of the first of a list, which becomes garbage. */
static void put(worker *w, cell *c)
{
	cell *before = w->table[next(&w->seed) % w->lists];
	uint64_t place = next(&w->seed) % REPLACE;

	while (place-- > 0)
		before = before->next;
	if (before->next->data[0] != (char)(before->next->key & 127))
		fail("a live block was changed");
	gort_store(&c->next, before->next->next);
	gort_store(&before->next, c);
}

static void step(worker *w)
{
	cell *c = make_entry(w);

	if (w->steps++ % REPLACE == 0)
		put(w, c);
}

/* ---- Steps by the clock --------------------------------------------------------------------------------- */

/* Sixteen buckets for each power of two. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned bits;

	if (ns < SUB)
		return (unsigned)ns;
	bits = 63 - (unsigned)__builtin_clzll(ns);
	return (bits - 3) * SUB + (unsigned)(ns >> (bits - 4) & (SUB - 1));
}

static uint64_t end_of_bucket(unsigned i)
{
	return i < SUB ? i + 1 : (uint64_t)(SUB + i % SUB + 1) << (i / SUB - 1);
}

static void fill(void *arg)
{
	worker *w = arg;

	gort_store(&w->table, gort_new_array(gort_type_of_void_ptr(), w->lists));
	for (int i = 0; i < CHAIN; i++) {
		for (size_t l = 0; l < w->lists; l++) {
			cell *c = make_entry(w);

			gort_store(&c->next, w->table[l]);
			gort_store(&w->table[l], c);
		}
	}
}

static void allocate(void *arg)
{
	worker *w = arg;
	int64_t at = gort_nanotime();

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		int64_t was = at;
		uint64_t took;

		step(w);
		at = gort_nanotime();
		took = (uint64_t)(at - was);
		w->counts[bucket_of(took)]++;
		if (took > w->longest)
			w->longest = took;
	}
}

static void all(int n, gort_func fn)
{
	gort_waitgroup wg = GORT_INIT;

	for (int i = 0; i < n; i++)
		gort_waitgroup_go(&wg, fn, &workers[i]);
	gort_waitgroup_wait(&wg);
}

/* ---- The runtime's figures ------------------------------------------------------------------------------ */

static uint64_t figure(const char *name)
{
	gort_metric m = { .name = name };

	if (gort_metrics_read(gort_self(), &m, 1) != 1)
		fail(name);
	return m.value.u64;
}

typedef struct pauses {
	const gort_metric_desc *desc;
	uint64_t *before, *after;
} pauses;

static void read_pauses(pauses *p, uint64_t *counts)
{
	gort_metric m = { .name = p->desc->name, .value.counts = counts };

	if (gort_metrics_read(gort_self(), &m, 1) != 1)
		fail(p->desc->name);
}

static void begin_pauses(pauses *p, const char *name)
{
	for (size_t i = 0; (p->desc = gort_metric_at(i)) != NULL && strcmp(p->desc->name, name) != 0; i++)
		;
	if (p->desc == NULL)
		fail(name);
	p->before = calloc(p->desc->nbuckets * 2, sizeof *p->before);
	if (p->before == NULL)
		fail("no memory");
	p->after = p->before + p->desc->nbuckets;
	read_pauses(p, p->before);
}

/* Of n: the end of the bucket that holds the share. */
static double percentile(const uint64_t *counts, size_t n, double share, double (*end)(const void *arg, size_t i),
                         const void *arg)
{
	uint64_t all = 0, sum = 0;

	for (size_t i = 0; i < n; i++)
		all += counts[i];
	for (size_t i = 0; i < n; i++) {
		sum += counts[i];
		if (sum > 0 && (double)sum >= share * (double)all)
			return end(arg, i);
	}
	return 0;
}

static double end_of_pause(const void *arg, size_t i)
{
	return ((const pauses *)arg)->desc->bounds[i + 1] * 1e6;
}

static double end_of_step(const void *arg, size_t i)
{
	(void)arg;
	return (double)end_of_bucket((unsigned)i);
}

static void end_pauses(pauses *p, const char *name)
{
	size_t n = p->desc->nbuckets;

	read_pauses(p, p->after);
	for (size_t i = 0; i < n; i++)
		p->after[i] -= p->before[i];
	for (size_t i = 0; i < n; i++)
		if (p->after[i] != 0)
			printf("%s@%.3f %llu n\n", name, end_of_pause(p, i), (unsigned long long)p->after[i]);
	printf("%s_max %.3f us\n", name, percentile(p->after, n, 1, end_of_pause, p));
	free(p->before);
}

/* ---- Main ----------------------------------------------------------------------------------------------- */

typedef struct args {
	double live, seconds;
} args;

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double full(void)
{
	int64_t took[FULLS];

	for (int i = 0; i < FULLS; i++) {
		int64_t start = gort_nanotime();

		gort_gc();
		took[i] = gort_nanotime() - start;
	}
	qsort(took, FULLS, sizeof *took, by_size);
	return (double)took[FULLS / 2] / GORT_MILLISECOND;
}

static double resident_peak(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kib = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmHWM: %lf", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib / 1024;
}

typedef struct most {
	uint64_t heap, marked;
} most;

static most watch(double seconds)
{
	int64_t until = gort_nanotime() + (int64_t)(seconds * 1e9);
	gort_metric now[] = { { .name = "/memory/classes/heap/objects:bytes" }, { .name = "/gc/heap/live:bytes" } };
	most m = { 0 };

	while (gort_nanotime() < until) {
		if (gort_metrics_read(gort_self(), now, 2) != 2)
			fail("metrics");
		m.heap = now[0].value.u64 > m.heap ? now[0].value.u64 : m.heap;
		m.marked = now[1].value.u64 > m.marked ? now[1].value.u64 : m.marked;
		gort_sleep(20 * GORT_MILLISECOND);
	}
	return m;
}

static void program(void *arg)
{
	static uint64_t steps[BUCKETS];
	const args *a = arg;
	int n = gort_gomaxprocs(0);
	pauses total, stopping, stopped;
	uint64_t cycles, longest = 0, count = 0;
	gort_waitgroup wg = GORT_INIT;
	int64_t start;
	most most;
	double took;

	if (n > MAX_WORKERS)
		fail("too many Ps");
	for (int i = 0; i < n; i++) {
		workers[i].seed = (uint64_t)i + 1;
		workers[i].lists = (size_t)(a->live * (1 << 20) / n / CHAIN / ENTRY) + 1;
	}
	all(n, fill);
	begin_pauses(&total, "/sched/pauses/total/gc:seconds");
	begin_pauses(&stopping, "/sched/pauses/stopping/gc:seconds");
	begin_pauses(&stopped, "/sched/pauses/stopped/gc:seconds");
	cycles = figure("/gc/cycles/total:gc-cycles");
	start = gort_nanotime();
	for (int i = 0; i < n; i++)
		gort_waitgroup_go(&wg, allocate, &workers[i]);
	most = watch(a->seconds);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	gort_waitgroup_wait(&wg);
	took = (double)(gort_nanotime() - start);
	for (int i = 0; i < n; i++) {
		count += workers[i].steps;
		longest = workers[i].longest > longest ? workers[i].longest : longest;
		for (int b = 0; b < BUCKETS; b++)
			steps[b] += workers[i].counts[b];
	}
	printf("allocs %.0f /s\n", (double)count * 4 / took * 1e9);
	printf("step %.1f ns\n", took * n / (double)count);
	printf("step_999 %.3f us\n", percentile(steps, BUCKETS, 0.999, end_of_step, NULL) / 1e3);
	printf("stall %.3f ms\n", (double)longest / GORT_MILLISECOND);
	end_pauses(&total, "pause");
	end_pauses(&stopping, "stopping");
	end_pauses(&stopped, "stopped");
	printf("cycles %.0f n\n", (double)(figure("/gc/cycles/total:gc-cycles") - cycles));
	printf("limited %.0f n\n", (double)figure("/gc/limiter/last-enabled:gc-cycle"));
	printf("full %.1f ms\n", full());
	printf("live %.1f MiB\n", (double)figure("/gc/heap/live:bytes") / (1 << 20));
	printf("marked %.1f MiB\n", (double)most.marked / (1 << 20));
	printf("heap_peak %.1f MiB\n", (double)most.heap / (1 << 20));
	printf("resident_peak %.1f MiB\n", resident_peak());
}

int main(int argc, char **argv)
{
	args a = { argc > 1 ? atof(argv[1]) : 1024, argc > 2 ? atof(argv[2]) : 10 };
	gort_config cfg;
	gort_runtime *rt;
	int r;

	gort_config_init(&cfg);
	if (gort_runtime_new(&rt, &cfg) != 0 || gort_root_add(rt, workers, sizeof workers) != 0)
		fail("no runtime");
	r = gort_runtime_run(rt, program, &a);
	if (r != 0)
		fputs(gort_runtime_error(rt), stderr);
	(void)gort_runtime_free(rt);
	return r != 0;
}
