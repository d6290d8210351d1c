/* self.h: what this thread is to the runtime.
 *
 * One thread-local word: the M of a thread that works for a runtime, NULL on every other thread. A
 * goroutine may go on on another thread after any switch, and compilers keep the address of a
 * thread-local across calls; so the word is read only through rt_self(), which no compiler can
 * cache (a volatile asm or a call out of line), and its value is never kept across anything that
 * can switch. See backends/thread/self.h for the access itself. */
#ifndef CORE_BASE_SELF_H
#define CORE_BASE_SELF_H

#include "backends/thread/self.h"
#include "core/base/types.h"

static inline rt_m *rt_self(void)
{
	return be_self_get();
}
static inline void rt_self_set(rt_m *mp)
{
	be_self_set(mp);
}

#endif
