/* checkmark.c: pointers are moved between heap objects by plain stores while collections mark;
 * sooner or later one is hidden, and GODEBUG=gccheckmark=2 names the slot.
 *
 *   expect: can be reached and was not marked
 *   expect: a holder, field thing: stored without gort_store?
 *   expect: fatal error: checkmark found unmarked object
 *   status: abort
 */
#include <gort.h>

enum { HOLDERS = 20000 };

typedef struct holder {
	void *thing;
	void *fill[70];
} holder;
GORT_DEFINE_TYPE(holder, GORT_PTR(holder, thing));

static void program(void *arg)
{
	holder **h = gort_new_array(gort_type_of_void_ptr(), HOLDERS);
	uint64_t x = 1;

	(void)arg;
	for (int i = 0; i < HOLDERS; i++) {
		gort_store(&h[i], gort_new(GORT_TYPE(holder)));
		gort_store(&h[i]->thing, gort_alloc(16, 0));
	}
	for (int i = 0;; i++) {
		holder *a, *b;
		void *t;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		a = h[(x >> 33) % HOLDERS];
		b = h[(x >> 13) % HOLDERS];
		t = a->thing;
		a->thing = b->thing;
		b->thing = t;
		if (i % 16 == 0)
			(void)gort_alloc(500, GORT_NOSCAN);
	}
}

int main(void)
{
	gort_config cfg;
	gort_runtime *rt;

	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.collector = "concurrent";
	cfg.debug = "gccheckmark=2";
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	return gort_runtime_run(rt, program, NULL);
}
