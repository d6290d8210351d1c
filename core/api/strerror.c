/* strerror.c: what there is to say about codes and about the build, as constants.
 *
 * The system's strerror may translate, allocate and lock, and so is no function for signal
 * handlers; hence a table of our own of the errors that every supported system knows by name.
 */
#include "core/include/gort.h"

#include "backends/arena/arena.h"
#include "backends/context/context.h"
#include "backends/fault/fault.h"
#include "backends/io/io.h"
#include "backends/data/data.h"
#include "backends/netpoll/netpoll.h"
#include "backends/preempt/preempt.h"
#include "backends/thread/thread.h"

#include <errno.h>

static const char *system_text(int err)
{
	static const struct {
		int err;
		const char *text;
	} texts[] = {
		{ E2BIG, "argument list too long" },
		{ EACCES, "permission denied" },
		{ EADDRINUSE, "address already in use" },
		{ EADDRNOTAVAIL, "cannot assign requested address" },
		{ EAFNOSUPPORT, "address family not supported" },
		{ EAGAIN, "resource temporarily unavailable" },
		{ EALREADY, "operation already in progress" },
		{ EBADF, "bad file descriptor" },
		{ EBUSY, "device or resource busy" },
		{ ECHILD, "no child processes" },
		{ ECONNABORTED, "connection aborted" },
		{ ECONNREFUSED, "connection refused" },
		{ ECONNRESET, "connection reset by peer" },
		{ EDEADLK, "resource deadlock avoided" },
		{ EDOM, "argument out of domain" },
		{ EEXIST, "file exists" },
		{ EFAULT, "bad address" },
		{ EFBIG, "file too large" },
		{ EHOSTUNREACH, "no route to host" },
		{ EINPROGRESS, "operation now in progress" },
		{ EINTR, "interrupted system call" },
		{ EINVAL, "invalid argument" },
		{ EIO, "input/output error" },
		{ EISCONN, "already connected" },
		{ EISDIR, "is a directory" },
		{ EMFILE, "too many open files" },
		{ EMSGSIZE, "message too long" },
		{ ENAMETOOLONG, "file name too long" },
		{ ENETDOWN, "network is down" },
		{ ENETUNREACH, "network is unreachable" },
		{ ENFILE, "too many open files in system" },
		{ ENOBUFS, "no buffer space available" },
		{ ENODEV, "no such device" },
		{ ENOENT, "no such file or directory" },
		{ ENOEXEC, "not an executable" },
		{ ENOMEM, "cannot allocate memory" },
		{ ENOSPC, "no space left on device" },
		{ ENOSYS, "function not implemented" },
		{ ENOTCONN, "not connected" },
		{ ENOTDIR, "not a directory" },
		{ ENOTEMPTY, "directory not empty" },
		{ ENOTSOCK, "not a socket" },
		{ ENOTSUP, "operation not supported" },
		{ ENXIO, "no such device or address" },
		{ EPERM, "operation not permitted" },
		{ EPIPE, "broken pipe" },
		{ EPROTO, "protocol error" },
		{ ERANGE, "result out of range" },
		{ EROFS, "read-only file system" },
		{ ESPIPE, "illegal seek" },
		{ ESRCH, "no such process" },
		{ ETIMEDOUT, "connection timed out" },
		{ EXDEV, "cross-device link" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i].err == err)
			return texts[i].text;
	return "unknown error of the system";
}

GORT_API const char *gort_strerror(int code)
{
	switch (code) {
	case GORT_OK:
		return "no error";
	case GORT_EINVAL:
		return "invalid argument";
	case GORT_ENOMEM:
		return "out of memory";
	case GORT_EAGAIN:
		return "would block";
	case GORT_ETIMEDOUT:
		return "deadline passed";
	case GORT_ECLOSED:
		return "closed";
	case GORT_ECANCELED:
		return "canceled";
	case GORT_EBUSY:
		return "busy";
	case GORT_ENOTSUP:
		return "not supported by this build";
	case GORT_EDEADLOCK:
		return "all goroutines are asleep";
	case GORT_EPANIC:
		return "panic";
	case GORT_EFATAL:
		return "fatal error";
	case GORT_EFORKED:
		return "the runtime belongs to the parent process";
	default:
		return GORT_OS_ERROR(code) > 0 ? system_text(GORT_OS_ERROR(code)) : "unknown code";
	}
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

GORT_API const char *gort_version(void)
{
	return TEXT(GORT_VERSION_MAJOR) "." TEXT(GORT_VERSION_MINOR) "." TEXT(GORT_VERSION_PATCH);
}

GORT_API const gort_backend *gort_backends(size_t *n)
{
	static const gort_backend slots[] = {
		{ "context", be_context_name }, { "arena", be_arena_name },
		{ "preempt", be_preempt_name }, { "netpoll", be_netpoll_name },
		{ "thread", be_thread_name },   { "fault", be_fault_name },
		{ "data", be_data_name },       { "io", be_io_name },
	};

	*n = sizeof slots / sizeof *slots;
	return slots;
}
