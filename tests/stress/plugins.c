/* plugins.c: libraries come and go while static data is a root. plugins SECONDS PROCS COLLECTOR LIBRARY.
 *
 * Goroutines load the library, keep an object by a static variable of it and by nothing else, let others run while
 * collections go on, look whether it is as it was, and unload it. Others load and unload all the while, so that
 * goroutines are stopped where they hold the lock of the loader. Freed objects are filled with something else. */
#include "core/base/atomic.h"
#include "core/base/check.h"

#include <gort.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEPERS = 2, LOADERS = 2, WORDS = 100, HOLD = 20 };

static const char *path;
static int64_t until;
static rt_atomic64 kept, loaded;
static gort_chan *done;

static void fail(const char *what)
{
	fprintf(stderr, "plugins: %s\n", what);
	abort();
}

static void *load(void)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (lib == NULL)
		fail(dlerror());
	rt_add64_full(&loaded, 1);
	return lib;
}

static void *volatile *slot_of(void *lib)
{
	void *volatile *(*find)(void);

	*(void **)&find = dlsym(lib, "plugin_slot");
	if (find == NULL)
		fail("no slot");
	return find();
}

static __attribute__((noinline)) void put(void *volatile *slot, uint64_t seed)
{
	uint64_t *p = gort_alloc(WORDS * sizeof *p, 0);

	for (int i = 0; i < WORDS; i++)
		p[i] = seed + (uint64_t)i;
	gort_store((void *)(uintptr_t)slot, p);
}

static __attribute__((noinline)) void check(void *volatile *slot, uint64_t seed)
{
	uint64_t *p = *slot;

	for (int i = 0; i < WORDS; i++)
		if (p[i] != seed + (uint64_t)i)
			fail("an object in a static variable was freed");
	gort_store((void *)(uintptr_t)slot, NULL);
}

/* One of them at a time: the library has one slot. */
static gort_mutex turn;

static void keeps(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg << 32;

	while (gort_nanotime() < until) {
		void *lib;

		gort_mutex_lock(&turn);
		lib = load();
		put(slot_of(lib), seed);
		for (int i = 0; i < HOLD; i++) {
			(void)gort_alloc(1000, 0);
			gort_gosched();
		}
		if (seed++ % 4 == 0)
			gort_gc();
		check(slot_of(lib), seed - 1);
		dlclose(lib);
		gort_mutex_unlock(&turn);
		rt_add64_full(&kept, 1);
	}
	gort_chan_send(done, &(int64_t){ 1 });
}

static void loads(void *arg)
{
	(void)arg;
	while (gort_nanotime() < until) {
		dlclose(load());
		gort_gosched();
	}
	gort_chan_send(done, &(int64_t){ 1 });
}

static void program(void *arg)
{
	int64_t v;

	done = gort_chan_make(GORT_TYPE(int64_t), 0); /* itself in a static variable */
	until = gort_nanotime() + *(int *)arg * GORT_SECOND;
	for (int i = 0; i < KEEPERS; i++)
		if (gort_go(keeps, (void *)(uintptr_t)(i + 1)) != 0)
			fail("go");
	for (int i = 0; i < LOADERS; i++)
		if (gort_go(loads, NULL) != 0)
			fail("go");
	while (gort_nanotime() < until)
		gort_gc();
	for (int i = 0; i < KEEPERS + LOADERS; i++)
		gort_chan_recv(done, &v);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 1;
	gort_config cfg;
	gort_runtime *rt;

	if (argc != 5) {
		fprintf(stderr, "plugins SECONDS PROCS COLLECTOR LIBRARY\n");
		return 2;
	}
	gort_config_init(&cfg);
	cfg.procs = atoi(argv[2]);
	cfg.collector = argv[3];
	path = argv[4];
	cfg.flags = GORT_SCAN_DATA;
	cfg.debug = "clobberfree=1,preemptall=1";
	if (gort_runtime_new(&rt, &cfg) != 0)
		fail("new");
	if (gort_runtime_run(rt, program, &seconds) != 0)
		fail(gort_runtime_error(rt));
	if (gort_runtime_free(rt) != 0)
		fail("free");
	printf("plugins: %llu kept, %llu times loaded\n", (unsigned long long)rt_load64_rlx(&kept),
	       (unsigned long long)rt_load64_rlx(&loaded));
	return 0;
}
