/* See callable.h. */
#include "bindings/callable.h"

#include "bindings/guard.h"
#include "bindings/inside.h"

static void wait_for_callable(void *arg)
{
	binding_run *run = arg; /* its first member */

	gort_sema_release(&run->begun);
	gort_sema_acquire(&run->done);
}

static const workload callable = {
	.name = "callable",
	.summary = "a function of Python",
	.value = "what it returned",
	.main = wait_for_callable,
};

int binding_run_main(gort_runtime *rt, binding_run *run)
{
	return workload_run(rt, &callable, &run->call);
}

typedef struct call {
	binding_run *run;
	int code;
} call;

static int inside(gort_runtime *rt, gort_func fn, binding_run *run)
{
	call k = { run, 0 };
	char text[BINDING_TEXT];
	int err = binding_inside(rt, fn, &k, text);

	return err != 0 ? err : k.code;
}

static void wait_begun(void *arg)
{
	call *k = arg;

	k->code = gort_sema_acquire_until(&k->run->begun, GORT_FOREVER);
}

int binding_run_begun(gort_runtime *rt, binding_run *run)
{
	return inside(rt, wait_begun, run);
}

static void tell_done(void *arg)
{
	gort_sema_release(&((call *)arg)->run->done);
}

int binding_run_done(gort_runtime *rt, binding_run *run)
{
	return inside(rt, tell_done, run);
}

static void tell_begun(void *arg)
{
	gort_sema_release(&((call *)arg)->run->begun);
}

int binding_run_abandon(gort_runtime *rt, binding_run *run)
{
	bool attached = gort_self() == NULL;
	int err = attached ? binding_attach(rt) : 0;

	if (err != 0)
		return err;
	err = inside(rt, tell_begun, run);
	if (attached)
		(void)binding_detach();
	return err;
}

static void nothing(void *arg)
{
	(void)arg;
}

int binding_run_nothing(gort_runtime *rt)
{
	return gort_runtime_run(rt, nothing, NULL);
}
