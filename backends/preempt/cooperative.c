/* cooperative.c: nobody is stopped from outside; the runtime's flag is all there is.
 *
 * Whoever wants a thread to stop raises that flag and waits for the next runtime call of the
 * thread. The functions exist so that the scheduler asks in one way everywhere; it learns from
 * be_preempt_in_place, or from -ENOTSUP, that it has to wait. This is also the choice for
 * ThreadSanitizer, which delays signals, and for code that must never be interrupted.
 */
#include "backends/preempt/preempt.h"

#include <errno.h>

const char be_preempt_name[] = "cooperative";
const bool be_preempt_in_place = false;

int be_preempt_init(be_preempt_decide decide)
{
	(void)decide; /* never called */
	return 0;
}

void be_preempt_fini(void)
{
}

int be_preempt_attach(be_preempt *self)
{
	*self = (be_preempt){0};
	return 0;
}

void be_preempt_detach(be_preempt *self)
{
	(void)self;
}

int be_preempt_stop(be_preempt *t)
{
	(void)t;
	return -ENOTSUP;
}

int be_preempt_resume(be_preempt *t)
{
	(void)t;
	return -ENOTSUP;
}

int be_preempt_regs(be_preempt *t, const uintptr_t **regs, size_t *n)
{
	(void)t;
	*regs = NULL;
	*n = 0;
	return -ENOTSUP;
}

bool be_preempt_fence(be_preempt *t)
{
	(void)t;
	return false;
}

int64_t be_preempt_cputime(be_preempt *t)
{
	(void)t;
	return -1;
}

bool be_preempt_sleeps(be_preempt *t)
{
	(void)t;
	return true;
}
