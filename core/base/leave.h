/* leave.h: be_context_try and be_context_leave, in a way that the sanitizers follow.
 *
 * AddressSanitizer must hear that frames are left without a return. ThreadSanitizer counts calls
 * and returns; only libc's setjmp and longjmp tell it of frames that never return, so under it
 * those do the work. Whoever uses the macros sees be_context_try through core/sched. */
#ifndef CORE_BASE_LEAVE_H
#define CORE_BASE_LEAVE_H

#include "core/base/attrs.h"

#if RT_TSAN
#include <setjmp.h>

static inline int rt_frames_try(void **mark, void (*fn)(void *), void *arg)
{
	jmp_buf here;

	*mark = here;
	if (_setjmp(here) != 0)
		return 1;
	fn(arg);
	return 0;
}
#define rt_frames_leave(mark) longjmp(*(jmp_buf *)(mark), 1)

#else
#if RT_ASAN
void __asan_handle_no_return(void);
#define RT_FRAMES_LEFT() __asan_handle_no_return()
#else
#define RT_FRAMES_LEFT() ((void)0)
#endif
#define rt_frames_try(mark, fn, arg) be_context_try((mark), (fn), (arg))
#define rt_frames_leave(mark) (RT_FRAMES_LEFT(), be_context_leave(mark))
#endif

#endif
