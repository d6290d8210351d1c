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
