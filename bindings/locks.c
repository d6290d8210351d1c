/* See locks.h. */
#include "bindings/locks.h"

#include "bindings/inside.h"

#include <stdio.h>

typedef struct call {
	binding_mutex *m;
	gort_waitgroup *wg;
	int64_t timeout;
	int delta, code;
} call;

static int inside(gort_runtime *rt, gort_func fn, call *k, char *text)
{
	int err = binding_inside(rt, fn, k, text);

	return err != 0 ? err : k->code;
}

/* ---- Mutex ------------------------------------------------------------------------------------- */

static void lock(void *arg)
{
	call *k = arg;

	k->code = gort_mutex_lock_until(&k->m->m, binding_deadline(k->timeout));
	if (k->code == 0)
		__atomic_store_n(&k->m->held, 1, __ATOMIC_RELAXED);
}

int binding_mutex_lock(gort_runtime *rt, binding_mutex *m, int64_t timeout, char *text)
{
	call k = { .m = m, .timeout = timeout };

	return inside(rt, lock, &k, text);
}

static void try_lock(void *arg)
{
	call *k = arg;

	k->code = gort_mutex_try_lock(&k->m->m) ? 0 : GORT_EAGAIN;
	if (k->code == 0)
		__atomic_store_n(&k->m->held, 1, __ATOMIC_RELAXED);
}

int binding_mutex_try_lock(gort_runtime *rt, binding_mutex *m, char *text)
{
	call k = { .m = m };

	return inside(rt, try_lock, &k, text);
}

/* Of several that unlock at once, one takes `held` away. */
static void unlock(void *arg)
{
	call *k = arg;

	if (!__atomic_exchange_n(&k->m->held, 0, __ATOMIC_RELAXED))
		k->code = GORT_EPANIC;
	else
		gort_mutex_unlock(&k->m->m);
}

int binding_mutex_unlock(gort_runtime *rt, binding_mutex *m, char *text)
{
	call k = { .m = m };

	snprintf(text, BINDING_TEXT, "sync: unlock of unlocked mutex");
	return inside(rt, unlock, &k, text);
}

/* ---- WaitGroup ---------------------------------------------------------------------------------- */

static void add(void *arg)
{
	const call *k = arg;

	gort_waitgroup_add(k->wg, k->delta);
}

int binding_waitgroup_add(gort_runtime *rt, gort_waitgroup *wg, int delta, char *text, int *done)
{
	call k = { .wg = wg, .delta = delta };
	int err = inside(rt, add, &k, text);

	if (done)
		*done = err == 0;
	return err;
}

static void wait(void *arg)
{
	call *k = arg;

	k->code = gort_waitgroup_wait_until(k->wg, binding_deadline(k->timeout));
}

int binding_waitgroup_wait(gort_runtime *rt, gort_waitgroup *wg, int64_t timeout, char *text)
{
	call k = { .wg = wg, .timeout = timeout };

	return inside(rt, wait, &k, text);
}
