/* strerror.c: codes as text, version, backends. */
#include "backends/arena/arena.h"
#include "backends/context/context.h"
#include "backends/fault/fault.h"
#include "backends/netpoll/netpoll.h"
#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"
#include "core/include/gort.h"

#include <string.h>

GORT_API const char *gort_strerror(int code)
{
	static const char *const texts[] = {
		"success",
		"invalid argument",
		"out of memory",
		"would block",
		"timed out",
		"closed",
		"cancelled",
		"busy",
		"not supported by this build",
		"all goroutines are asleep - deadlock",
		"a goroutine panicked",
		"fatal error",
		"the runtime belongs to the parent process",
	};

	if (code <= 0 && code > -(int)RT_NELEM(texts))
		return texts[-code];
	if (code < GORT_EOS)
		return strerror(GORT_OS_ERROR(code));
	return "unknown code";
}

#define STR_(x) #x
#define STR(x) STR_(x)

GORT_API const char *gort_version(void)
{
	return STR(GORT_VERSION_MAJOR) "." STR(GORT_VERSION_MINOR) "." STR(GORT_VERSION_PATCH);
}

GORT_API const gort_backend *gort_backends(size_t *n)
{
	static const gort_backend all[] = {
		{ "context", be_context_name }, { "arena", be_arena_name },
		{ "preempt", be_preempt_name }, { "netpoll", be_netpoll_name },
		{ "thread", be_thread_name },   { "fault", be_fault_name },
	};

	*n = RT_NELEM(all);
	return all;
}
