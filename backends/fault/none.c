/* none.c: faults are the system's business; the process dies of them as it would without us.
 *
 * For systems without the means, and for hosts that must keep every handler to themselves. The
 * callers treat -ENOTSUP of init as "faults do not become panics", nothing else changes.
 */
#include "backends/fault/fault.h"

#include <errno.h>

const char be_fault_name[] = "none";
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

/* Only the number: "0x1234". */
void be_fault_symbol(void *pc, char *buf, size_t size)
{
	char digits[2 * sizeof(uintptr_t) + 2];
	uintptr_t v = (uintptr_t)pc;
	size_t n = 0, at = 0;

	do
		digits[n++] = "0123456789abcdef"[v & 15];
	while ((v >>= 4) != 0);
	digits[n++] = 'x';
	digits[n++] = '0';
	if (size == 0)
		return;
	while (n > 0 && at + 1 < size)
		buf[at++] = digits[--n];
	buf[at] = '\0';
}

int be_fault_module(const void *code, uintptr_t *lo, uintptr_t *hi, int *whole)
{
	(void)code;
	*lo = *hi = 0;
	*whole = 0;
	return -ENOENT;
}
