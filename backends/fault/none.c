/* none.c: faults are the system's business; the process dies of them as it would without us.
 *
 * For systems without the means, and for hosts that must keep every handler to themselves. The
 * callers treat -ENOTSUP of init as "faults do not become panics", nothing else changes.
 */
#include "backends/fault/fault.h"

#include <errno.h>

const char be_fault_name[] = "none";
const bool be_fault_works = false;
const size_t be_fault_stack_room = 0;

int be_fault_init(be_fault_handler handler)
{
	(void)handler;
	return -ENOTSUP;
}

void be_fault_fini(void)
{
}

int be_fault_attach(void)
{
	return 0;
}

void be_fault_detach(void)
{
}

size_t be_fault_backtrace(const be_fault *f, void **pcs, size_t max)
{
	(void)f, (void)pcs, (void)max;
	return 0;
}

size_t be_fault_backtrace_here(void **pcs, size_t max)
{
	(void)pcs, (void)max;
	return 0;
}

uintptr_t be_fault_caller(const be_fault_place *at)
{
	return at->link;
}

void be_fault_place_of(const be_fault *f, be_fault_place *out)
{
	*out = (be_fault_place){ .pc = f->pc, .sp = f->sp, .exact = true };
}

void be_fault_walk(const be_fault_place *from, void *lo, void *hi, be_fault_trace *t)
{
	(void)from, (void)lo, (void)hi, (void)t;
}

void be_fault_walk_here(void *lo, void *hi, be_fault_trace *t)
{
	(void)lo, (void)hi, (void)t;
}

struct be_fault_files {
	char none;
};
const size_t be_fault_files_size = sizeof(struct be_fault_files);

int be_fault_lookup(be_fault_files *files, uintptr_t pc, bool exact, be_fault_symbol *out)
{
	(void)files, (void)exact;
	*out = (be_fault_symbol){ .offset = pc };
	return -ENOENT;
}

void be_fault_files_close(be_fault_files *files)
{
	(void)files;
}

int be_fault_has_malloc(uintptr_t lo, uintptr_t hi)
{
	(void)lo;
	(void)hi;
	return 0;
}

int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole)
{
	(void)code;
	*lo = *hi = 0;
	*whole = 0;
	return -ENOENT;
}
