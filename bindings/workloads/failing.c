/* Programs that fail, one for each way a Go program can: what does the host see? */
#include "bindings/workloads/common.h"

static void deadlock(void *arg)
{
	gort_chan_recv(gort_chan_make(GORT_TYPE(int64_t), 0), NULL);
}

const workload workload_deadlock = {
	.name = "deadlock", .summary = "fails: waits for a message that nobody sends",
	.value = "none", .main = deadlock,
};

static void panicking(void *arg)
{
	gort_panics("this workload panics, as it should");
}

static void start_panic(void *arg)
{
	workload_go(panicking, NULL);
	/* For good: only the panic ends the run. */
	gort_sleep(INT64_MAX);
}

const workload workload_panic = {
	.name = "panic", .summary = "fails: a goroutine panics and nobody recovers",
	.value = "none", .main = start_panic,
};

static void unlock_unlocked(void *arg)
{
	gort_mutex m = GORT_INIT;
	gort_mutex_unlock(&m);
}

const workload workload_fatal = {
	.name = "fatal",
	.summary = "fails: unlocks a mutex that is not locked, which no recover stops",
	.value = "none", .main = unlock_unlocked,
};

/* Nobody else has ever known the channel. */
static void wait_for_ever(void *arg)
{
	(void)arg;
	gort_chan_recv(gort_chan_make(GORT_TYPE(int64_t), 0), NULL);
}

static void leak(void *arg)
{
	workload_call *call = arg;

	workload_set_total(call, (uint64_t)call->params[0]);
	for (int64_t i = 0; i < call->params[0]; i++) {
		workload_go(wait_for_ever, NULL);
		workload_step(call, 1);
	}
	gort_sleep(call->params[1] * GORT_MILLISECOND);
	call->value = gort_num_goroutine() - 1;
}

static const workload_param leak_params[] = {
	{ "n", 3, 0, 1000000, "goroutines that leak" },
	{ "ms", 0, 0, 1000000000, "how long main sleeps, milliseconds" },
};
const workload workload_leak = {
	.name = "leak", .summary = "goroutines that nobody can wake while main sleeps, and that its end drops",
	.value = "goroutines left", .params = leak_params, .nparams = NPARAMS(leak_params), .main = leak,
};
