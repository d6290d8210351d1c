/* workload.h: programs for the runtime, by name.
 *
 * Each is one file beside this one, uses nothing but <gort.h>, and so is also an example of a
 * program. A call gets its parameters as integers, may get an array of the caller's to work on in
 * place, and leaves one value that the caller can check. What a workload reports as progress may be
 * read by any thread while it runs.
 */
#ifndef BINDINGS_WORKLOADS_WORKLOAD_H
#define BINDINGS_WORKLOADS_WORKLOAD_H

#include <gort.h>

typedef struct workload_param {
	const char *name;
	int64_t initial, min, max; /* what it is when nobody says; the range */
	const char *text;
} workload_param;

/* One call. The caller zeroes it, fills the first three and keeps all of it until the run ends. */
typedef struct workload_call {
	const int64_t *params; /* one for each workload_param, in order, in range */
	int64_t *data;         /* what workload.data describes, or NULL */
	size_t length;         /* elements of data */
	int64_t value;         /* the result */
	uint64_t done, total;  /* atomic; see workload_progress */
	gort_goroutine *left;  /* room for nleft, or NULL: the goroutines that were there when the main */
	size_t nleft;          /* function returned, itself included; then how many there were */
	const struct workload *of; /* workload_run's */
} workload_call;

typedef struct workload {
	const char *name, *summary;
	const char *value; /* what the result is */
	const char *data;  /* what the array is for; NULL: it takes none */
	const workload_param *params;
	size_t nparams;
	gort_func main;    /* the main goroutine; its argument is a workload_call */
} workload;

/* All of them, in order of name. */
const workload *const *workload_list(size_t *n);
/* Runs w as gort_runtime_run does. GORT_EINVAL: a parameter is out of range, or there is data and w
 * takes none. */
int workload_run(gort_runtime *rt, const workload *w, workload_call *call);
/* How much of a call is done, and of how much; 0 of 0 before it knows. Any thread. */
void workload_progress(const workload_call *call, uint64_t *done, uint64_t *total);

#endif
