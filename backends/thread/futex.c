/* futex.c: parking on Linux's futex. See thread.h for what is promised, posix.c for the rest.
 *
 * The kernel compares the word and queues the sleeper in one step, so nothing is kept here: no table,
 * nothing to repair after fork(), and a wake of memory that is gone is harmless, because a private
 * futex is found by its address alone.
 */
#include "backends/thread/thread.h"

#include "core/base/check.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel's interface; its headers are not installed beside every C library. */
enum { FUTEX_WAIT_PRIVATE = 0 | 128, FUTEX_WAKE_PRIVATE = 1 | 128 };

const char be_thread_name[] = "futex";

int be_thread_park(rt_atomic32 *word, uint32_t expect, int64_t ns)
{
	struct timespec wait = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	int saved = errno, err = 0;

	if (syscall(SYS_futex, &word->v, FUTEX_WAIT_PRIVATE, expect, ns < 0 ? NULL : &wait, NULL,
	            0) != 0)
		err = errno;
	errno = saved;
	switch (err) {
	case 0:
	case EAGAIN: /* the word differed */
	case EINTR:  /* the caller looks again and knows how long it still wants to wait */
		return 0;
	case ETIMEDOUT:
		return -ETIMEDOUT;
	default:
		rt_throw("futex wait failed");
	}
}

void be_thread_wake(rt_atomic32 *word, int n)
{
	int saved = errno;

	/* It fails only for memory that is gone; then nobody sleeps there. */
	syscall(SYS_futex, &word->v, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	errno = saved;
}
