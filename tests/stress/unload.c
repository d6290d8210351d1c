/* unload.c: loads the library, runs a program, unloads it; fifty times. unload LIBRARY fails if it
 * stays loaded or if mappings, threads or descriptors pile up. */
#include <gort.h>

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM = 5, ROUNDS = 50, MANY = 100 };

static struct {
	void (*config_init)(gort_config *, size_t);
	int (*new)(gort_runtime **, const gort_config *);
	int (*run)(gort_runtime *, gort_func, void *);
	int (*free)(gort_runtime *);
	int (*go)(gort_func, void *);
	void (*gosched)(void);
	gort_chan *(*make)(const gort_type *, size_t);
	const gort_type *(*type)(void);
	void (*send)(gort_chan *, const void *);
	bool (*recv)(gort_chan *, void *);
} api;

static void *look(void *lib, const char *name)
{
	void *p = dlsym(lib, name);

	if (p == NULL) {
		fprintf(stderr, "unload: %s\n", dlerror());
		exit(1);
	}
	return p;
}

#define LOOK(lib, field, name) (*(void **)&api.field = look((lib), (name)))

static void send_one(void *c)
{
	api.gosched();
	api.send(c, &(int64_t){ 1 });
}

static void program(void *arg)
{
	gort_chan *c = api.make(api.type(), 0);
	int64_t v;

	for (int i = 0; i < MANY; i++)
		if (api.go(send_one, c) != 0)
			abort();
	for (int i = 0; i < MANY; i++) {
		api.recv(c, &v);
		*(int64_t *)arg += v;
	}
}

static int use(void *lib)
{
	gort_runtime *rt;
	gort_config cfg;
	int64_t sum = 0;

	LOOK(lib, config_init, "gort_config_init_sized");
	LOOK(lib, new, "gort_runtime_new");
	LOOK(lib, run, "gort_runtime_run");
	LOOK(lib, free, "gort_runtime_free");
	LOOK(lib, go, "gort_go");
	LOOK(lib, gosched, "gort_gosched");
	LOOK(lib, make, "gort_chan_make");
	LOOK(lib, type, "gort_type_of_int64_t");
	LOOK(lib, send, "gort_chan_send");
	LOOK(lib, recv, "gort_chan_recv");
	api.config_init(&cfg, sizeof cfg);
	cfg.procs = 3;
	if (api.new(&rt, &cfg) != 0 || api.run(rt, program, &sum) != 0 || api.free(rt) != 0)
		return 1;
	return sum != MANY;
}

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

/* Lines of /proc/self/maps, and whether one names the library. */
static int mappings(const char *library, int *loaded)
{
	const char *base = strrchr(library, '/');
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	*loaded = 0;
	base = base != NULL ? base + 1 : library;
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		n++;
		*loaded |= strstr(line, base) != NULL;
	}
	if (f != NULL)
		fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	int maps = 0, fds = 0, loaded;

	if (argc != 2)
		return 2;
	for (int i = 0; i < WARM + ROUNDS; i++) {
		void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

		if (lib == NULL) {
			fprintf(stderr, "unload: %s\n", dlerror());
			return 1;
		}
		if (use(lib) != 0 || dlclose(lib) != 0) {
			fprintf(stderr, "unload: round %d failed\n", i);
			return 1;
		}
		if (i == WARM) {
			maps = mappings(argv[1], &loaded);
			fds = entries("/proc/self/fd");
		}
	}
	printf("unload: mappings %d, then %d; descriptors %d, then %d\n", maps,
	       mappings(argv[1], &loaded), fds, entries("/proc/self/fd"));
	/* Thread stacks that the C library keeps may come and go: a few mappings, not one a round. */
	return loaded || mappings(argv[1], &loaded) > maps + ROUNDS / 5 ||
	       entries("/proc/self/fd") != fds;
}
