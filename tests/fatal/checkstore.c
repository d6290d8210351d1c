/* checkstore.c: a plain store that loses nothing, into an object that was just made: GODEBUG=gccheckmark=1 names the
 * slot all the same, if a collection marks meanwhile.
 *
 *   expect: was changed from 0x0 to 0x
 *   expect: a holder, field thing: stored without gort_store?
 *   expect: fatal error: checkmark found a plain store
 *   status: abort
 */
#include <gort.h>

typedef struct holder {
	void *other;
	void *thing;
} holder;
GORT_DEFINE_TYPE(holder, GORT_PTR(holder, other), GORT_PTR(holder, thing));

static void program(void *arg)
{
	(void)arg;
	for (;;) {
		holder *h = gort_new(GORT_TYPE(holder));

		gort_store(&h->other, gort_alloc(64, 0));
		h->thing = h->other;
	}
}

int main(void)
{
	gort_config cfg;
	gort_runtime *rt;

	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.collector = "concurrent";
	cfg.debug = "gccheckmark=1";
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	return gort_runtime_run(rt, program, NULL);
}
