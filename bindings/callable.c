/* See callable.h. Python.h comes first, as it wants to. */
#include <Python.h>

#include "bindings/callable.h"

#include "bindings/guard.h"
#include "bindings/inside.h"

int binding_run_init(binding_run *run)
{
	run->gate = PyThread_allocate_lock();
	if (run->gate == NULL)
		return GORT_ENOMEM;
	PyThread_acquire_lock(run->gate, WAIT_LOCK);
	return 0;
}

void binding_run_fini(binding_run *run)
{
	if (run->gate != NULL)
		PyThread_free_lock(run->gate);
	run->gate = NULL;
}

static void open_gate(binding_run *run)
{
	if (!__atomic_exchange_n(&run->open, 1, __ATOMIC_ACQ_REL))
		PyThread_release_lock(run->gate);
}

static void wait_for_callable(void *arg)
{
	binding_run *run = arg; /* its first member */
	gort_seat *seat = NULL;

	gort_pin(); /* the gate is opened, or there is no seat: nobody drops main in between */
	run->code = gort_seat_new(gort_self(), &seat, NULL);
	if (run->code != 0) {
		gort_unpin();
		return;
	}
	run->seat = seat;
	open_gate(run);
	gort_unpin();
	(void)gort_seat_ready(seat);
	gort_sema_acquire(&run->done);
	__atomic_store_n(&run->over, 1, __ATOMIC_RELEASE);
}

static const workload callable = {
	.name = "callable",
	.summary = "a function of Python",
	.value = "what it returned",
	.main = wait_for_callable,
};

int binding_run_main(gort_runtime *rt, binding_run *run)
{
	int err = workload_run(rt, &callable, &run->call);

	return err != 0 ? err : run->code;
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

int binding_run_attach(binding_run *run)
{
	PyThread_acquire_lock(run->gate, WAIT_LOCK);
	return run->seat == NULL ? GORT_ECANCELED : binding_seat_attach(run->seat);
}

static void tell_done(void *arg)
{
	gort_sema_release(&((call *)arg)->run->done);
}

int binding_run_done(gort_runtime *rt, binding_run *run)
{
	return inside(rt, tell_done, run);
}

bool binding_run_over(const binding_run *run)
{
	return __atomic_load_n(&run->over, __ATOMIC_ACQUIRE) != 0;
}

void binding_run_abandon(binding_run *run)
{
	open_gate(run);
}

static void nothing(void *arg)
{
	(void)arg;
}

int binding_run_nothing(gort_runtime *rt)
{
	return gort_runtime_run(rt, nothing, NULL);
}
