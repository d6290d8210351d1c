/* lives.c: a runtime is made, fills a heap, runs, and is freed, again and again: nothing of it stays.
 *
 * usage: lives [COUNT [MIB [COLLECTOR]]]      (20 times, 16 MiB live, concurrent)
 *
 * In each life goroutines fill a list of objects of 16 B to 64 KiB with as much again as garbage, weak handles, a
 * finalizer, a channel with something in it; some end in the middle of a collection. After the first tenth of them the
 * process must not grow: neither what is resident nor descriptors nor threads. Says what it has seen. What is resident
 * is judged where there is /proc, and nobody else (a sanitizer, an emulator) keeps books in the process. */
#include "backends/arena/arena.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/include/gort.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 4, SPARE = 64 /* pages that the host's allocator may keep */ };

typedef struct item {
	struct item *next;
	char *data;
} item;
GORT_DEFINE_TYPE(item, GORT_PTR(item, next), GORT_PTR(item, data));

typedef struct worker {
	uint64_t seed;
	size_t bytes;
	item *items;
	gort_waitgroup *wg;
} worker;

typedef struct life {
	size_t mib;
	bool abandon; /* its run ends while a collection goes on */
} life;

static _Noreturn void bad(const char *what, long was, long is)
{
	fprintf(stderr, "lives: %s: %ld, then %ld\n", what, was, is);
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

static size_t make(worker *w, item **to)
{
	uint64_t r = next(&w->seed);
	size_t size = r % 64 == 0 ? 1024 + (r >> 20) % (63 << 10) : 16 + (r >> 20) % 1000;
	item *n = gort_new(GORT_TYPE(item));

	gort_store(&n->data, gort_alloc(size, GORT_NOSCAN));
	for (size_t i = 0; i < size; i += 512)
		n->data[i] = 1;
	gort_store(&n->next, *to);
	gort_store(to, n);
	return size + sizeof *n;
}

static void finalize(void *obj, void *arg)
{
	(void)obj, (void)arg;
}

static void fill(void *arg)
{
	worker *w = arg;
	item *garbage = NULL;
	size_t made = 0;

	while (made < w->bytes) {
		made += make(w, &w->items);
		garbage = NULL;
		(void)make(w, &garbage);
		if (made % 64 == 0) {
			(void)gort_weak_make(w->items);
			(void)gort_set_finalizer(garbage, finalize, NULL);
		}
	}
	gort_waitgroup_done(w->wg);
}

static void collect(void *arg)
{
	(void)arg;
	for (;;)
		gort_gc();
}

static void run(void *arg)
{
	const life *l = arg;
	worker *w = gort_alloc(WORKERS * sizeof *w, 0);
	gort_waitgroup wg = GORT_INIT;
	gort_chan *c = gort_chan_make(gort_type_of_void_ptr(), 4);

	gort_chan_send(c, &w);
	gort_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		w[i].seed = (uint64_t)i + 1;
		w[i].bytes = (l->mib << 20) / WORKERS;
		w[i].wg = &wg;
		gort_go(fill, &w[i]);
	}
	gort_waitgroup_wait(&wg);
	if (l->abandon) {
		gort_go(collect, NULL);
		gort_gosched();
	}
}

static void live(int number, size_t mib, const char *collector)
{
	life l = { mib, number % 3 == 0 };
	gort_config cfg;
	gort_runtime *rt;
	int r;

	gort_config_init(&cfg);
	cfg.procs = 1 + number % 3;
	cfg.collector = collector;
	r = gort_runtime_new(&rt, &cfg);
	if (r == 0) {
		r = gort_runtime_run(rt, run, &l);
		if (r != 0)
			fputs(gort_runtime_error(rt), stderr);
	}
	if (r != 0 || gort_runtime_free(rt) != 0)
		bad("a life has failed", number, r);
}

/* Entries of a directory; 0 where there is none. Wine shows its own, which grow. */
static long entries(const char *path)
{
#ifdef _WIN32
	return 0;
#endif
	DIR *d = opendir(path);
	long n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static long resident_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (f != NULL && fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return resident;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 20, first = n / 10 > 3 ? n / 10 : 3;
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 0) : 16;
	const char *collector = argc > 3 ? argv[3] : "concurrent";
	long pages, fds, threads;

	for (int i = 0; i < first; i++)
		live(i, mib, collector);
	pages = resident_pages();
	fds = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
	for (int i = 0; i < n; i++)
		live(i, mib, collector);
	printf("%d lives with %zu MiB: resident pages %ld, then %ld\n", n, mib, pages, resident_pages());
	/* One that was joined may be on its way out of the list. */
	for (int left = 10000; entries("/proc/self/task") > threads && left > 0; left--)
		be_thread_nap(GORT_MILLISECOND);
	if (entries("/proc/self/task") > threads)
		bad("threads", threads, entries("/proc/self/task"));
	if (entries("/proc/self/fd") != fds)
		bad("descriptors", fds, entries("/proc/self/fd"));
	if (!RT_ASAN && !RT_TSAN && be_arena_query()->max_reserve >= (size_t)64 << 30 &&
	    resident_pages() > pages + SPARE)
		bad("resident pages", pages, resident_pages());
	return 0;
}
