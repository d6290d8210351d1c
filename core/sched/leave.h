/* leave.h: to leave the frames above a mark.
 *
 *	rt_frames_try(&mark, fn, arg)	runs fn(arg) here; 0 when it returns, 1 when rt_frames_leave(&mark) has left all
 *					frames down to here. fn is a name; the caller cannot be inlined
 *	rt_frames_leave(&mark)		below fn on the same stack. Callee-saved registers and FP control words are as
 *					they were at the call. A mark is dead when its rt_frames_try has returned
 *
 * Each function that defers is one of these, so a call less counts. gcc's own pair makes none: the caller has pushed
 * its registers at its start, and fn is inlined. clang has that on few CPUs, at the price of a jump and two spills;
 * there it is be_context_try. libc's setjmp mangles what a collector must see, and longjmp would run what
 * the host has noted with pthread_cleanup_push on its own stack. But ThreadSanitizer counts calls and returns, and
 * only libc's tell it of frames that never return: under it they do the work. AddressSanitizer must hear of it, too. */
#ifndef CORE_SCHED_LEAVE_H
#define CORE_SCHED_LEAVE_H

#include "core/base/attrs.h"

#include "backends/context/context.h"

#if RT_ASAN
void __asan_handle_no_return(void);
#define RT_FRAMES_LEFT() __asan_handle_no_return()
#else
#define RT_FRAMES_LEFT() ((void)0)
#endif

#if RT_TSAN
#include <setjmp.h>

typedef jmp_buf rt_frames_mark;

#define rt_frames_try(mark, fn, arg) (_setjmp(*(mark)) != 0 ? 1 : ((fn)(arg), 0))

static RT_NOINLINE _Noreturn void rt_frames_leave(rt_frames_mark *mark)
{
	longjmp(*mark, 1);
}

#elif RT_GCC
#include "backends/context/control.h"

typedef struct rt_frames_mark {
	void *place[5];
	be_control control;
} rt_frames_mark;

#define rt_frames_try(mark, fn, arg)                                                                                   \
	(be_control_get(&(mark)->control), __builtin_setjmp((mark)->place) != 0 ? 1 : ((fn)(arg), 0))

static RT_NOINLINE _Noreturn void rt_frames_leave(rt_frames_mark *mark)
{
	RT_FRAMES_LEFT();
	be_control_set(&mark->control);
	__builtin_longjmp(mark->place, 1);
}

#else
typedef void *rt_frames_mark;

#define rt_frames_try(mark, fn, arg) be_context_try((mark), (fn), (arg))

static inline _Noreturn void rt_frames_leave(rt_frames_mark *mark)
{
	RT_FRAMES_LEFT();
	be_context_leave(*mark);
}
#endif

#endif
