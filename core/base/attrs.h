/* attrs.h: what we say to compilers. The only place for compiler and sanitizer tests. */
#ifndef CORE_BASE_ATTRS_H
#define CORE_BASE_ATTRS_H

#define RT_LIKELY(e) __builtin_expect(!!(e), 1)
#define RT_UNLIKELY(e) __builtin_expect(!!(e), 0)
#define RT_NOINLINE __attribute__((noinline))
#define RT_ALWAYS_INLINE __attribute__((always_inline))
#define RT_COLD __attribute__((cold, noinline))
#define RT_UNUSED __attribute__((unused))
#ifdef __clang__
#define RT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else /* "printf" means Microsoft's on Windows, which has no %zu */
#define RT_PRINTF(fmt, first) __attribute__((format(gnu_printf, fmt, first)))
#endif
#define RT_PREFETCH_W(p) __builtin_prefetch((p), 1)
#define RT_PREFETCH_R(p) __builtin_prefetch((p), 0)
/* Of functions that look at memory as words, whoever it belongs to and whatever it holds: a
 * conservative scan. It reads what others write meanwhile, and the gaps that a sanitizer guards. */
#define RT_LOOKS_ANYWHERE __attribute__((no_sanitize("thread"), no_sanitize("address")))
#define RT_CACHELINE 64
#define RT_CACHE_ALIGNED __attribute__((aligned(RT_CACHELINE)))
#define RT_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define RT_NELEM(a) (sizeof(a) / sizeof *(a))

#if defined __SANITIZE_ADDRESS__
#define RT_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define RT_ASAN 1
#endif
#endif
#ifndef RT_ASAN
#define RT_ASAN 0
#endif

#if defined __SANITIZE_THREAD__
#define RT_TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define RT_TSAN 1
#endif
#endif
#ifndef RT_TSAN
#define RT_TSAN 0
#endif

#if defined __GNUC__ && !defined __clang__
#define RT_GCC 1
#else
#define RT_GCC 0
#endif

#endif
