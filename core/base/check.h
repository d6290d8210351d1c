/* check.h: how the runtime stops.
 *
 *   RT_ASSERT(e)        internal invariant, no side effects; compiled out by NDEBUG only.
 *   RT_UNREACHABLE(s)   control cannot get here; always compiled in.
 *   rt_throw(s)         the runtime is broken: prints "fatal error: s" and where, aborts.
 *   rt_misuse(f, s)     the host broke the contract of public function f: prints
 *                       "gort: f: s" and aborts. For calls from the wrong thread and the like.
 *
 * None of them allocates, takes a lock or returns. rt_print writes to descriptor 2 by one write
 * call for each use, so that lines of different threads do not mix.
 */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

#include "core/base/attrs.h"

#include <stddef.h>

_Noreturn void rt_throw_at(const char *what, const char *file, int line);
_Noreturn void rt_misuse(const char *function, const char *what);
void rt_print(const char *format, ...) RT_PRINTF(1, 2); /* cut at 1 KiB; async-signal-safe subset:
                                                         * %s %d %u %zu %llu %llx %p %% */

/* The same of n bytes, uncut; by more than one write if the system wants it so. */
void rt_print_bytes(const char *p, size_t n);
/* The same conversions into buf, cut to size - 1 bytes and NUL-terminated; how many bytes those are. */
size_t rt_format(char *buf, size_t size, const char *format, ...) RT_PRINTF(3, 4);

/* Called with the message before rt_throw_at and rt_misuse abort. Only tests set it, and only they
 * may leave it by longjmp. */
extern void (*rt_throw_hook)(const char *what);

#define rt_throw(what) rt_throw_at((what), __FILE__, __LINE__)
#define RT_UNREACHABLE(what) rt_throw("unreachable: " what)

#ifdef NDEBUG
#define RT_ASSERT(e) ((void)sizeof(!(e)))
#else
#define RT_ASSERT(e) (RT_LIKELY(e) ? (void)0 : rt_throw("assertion failed: " #e))
#endif

#endif
