/* atomic.h: the few atomic operations the runtime uses, each named by its order.
 *
 * Built over libatomic_ops. An atomic field is one of the structs below and is touched only through
 * these functions, so that every access shows its order at the place where it stands.
 *
 *   _rlx   no order           _acq   later accesses stay behind it
 *   _rel   earlier accesses stay before it         _full  both, and a store-load barrier
 *
 * A read-modify-write marked _full orders everything around it on x86; on machines with separate
 * acquire and release parts a plain access may still slip past its second half. Where an algorithm
 * needs "my RMW, then my load" (Dekker's pattern: wake-ups, spinning Ms) it says so by
 * rt_fence_after_rmw(), which costs nothing where the RMW has done the work.
 *
 * libatomic_ops has no exchange: that one operation is the compiler's own __atomic.
 */
#ifndef CORE_BASE_ATOMIC_H
#define CORE_BASE_ATOMIC_H

#include "core/base/attrs.h"

#if RT_TSAN && !defined AO_PREFER_BUILTIN_ATOMICS
#define AO_PREFER_BUILTIN_ATOMICS /* ThreadSanitizer cannot see into inline assembly */
#endif
#include <atomic_ops.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct rt_atomic8 { unsigned char v; } rt_atomic8;
typedef struct rt_atomic32 { unsigned int v; } rt_atomic32;
typedef struct rt_atomic64 { AO_t v; } rt_atomic64;
typedef struct rt_atomicptr { AO_t v; } rt_atomicptr;

_Static_assert(sizeof(AO_t) == 8, "gort needs 64-bit words");
_Static_assert(sizeof(unsigned int) == 4, "gort needs 32-bit ints");

#define RT_ATOMIC_(suffix, type, ctype, word, ao)                                                  \
	static inline ctype rt_load##suffix##_rlx(const type *a)                                   \
	{                                                                                          \
		return (ctype)AO_##ao##load((const volatile word *)&a->v);                         \
	}                                                                                          \
	static inline ctype rt_load##suffix##_acq(const type *a)                                   \
	{                                                                                          \
		return (ctype)AO_##ao##load_acquire((const volatile word *)&a->v);                 \
	}                                                                                          \
	static inline void rt_store##suffix##_rlx(type *a, ctype v)                                \
	{                                                                                          \
		AO_##ao##store((volatile word *)&a->v, (word)v);                                   \
	}                                                                                          \
	static inline void rt_store##suffix##_rel(type *a, ctype v)                                \
	{                                                                                          \
		AO_##ao##store_release((volatile word *)&a->v, (word)v);                           \
	}                                                                                          \
	static inline bool rt_cas##suffix##_full(type *a, ctype old, ctype v)                      \
	{                                                                                          \
		return AO_##ao##compare_and_swap_full((volatile word *)&a->v, (word)old, (word)v); \
	}                                                                                          \
	static inline bool rt_cas##suffix##_acq(type *a, ctype old, ctype v)                       \
	{                                                                                          \
		return AO_##ao##compare_and_swap_acquire((volatile word *)&a->v, (word)old,        \
		                                         (word)v);                                 \
	}                                                                                          \
	static inline bool rt_cas##suffix##_rel(type *a, ctype old, ctype v)                       \
	{                                                                                          \
		return AO_##ao##compare_and_swap_release((volatile word *)&a->v, (word)old,        \
		                                         (word)v);                                 \
	}                                                                                          \
	static inline ctype rt_xchg##suffix##_full(type *a, ctype v)                               \
	{                                                                                          \
		return (ctype)__atomic_exchange_n(&a->v, (word)v, __ATOMIC_SEQ_CST);               \
	}                                                                                          \
	static inline ctype rt_xchg##suffix##_acq(type *a, ctype v)                                \
	{                                                                                          \
		return (ctype)__atomic_exchange_n(&a->v, (word)v, __ATOMIC_ACQUIRE);               \
	}                                                                                          \
	static inline ctype rt_xchg##suffix##_rel(type *a, ctype v)                                \
	{                                                                                          \
		return (ctype)__atomic_exchange_n(&a->v, (word)v, __ATOMIC_RELEASE);               \
	}

RT_ATOMIC_(32, rt_atomic32, uint32_t, unsigned int, int_)
RT_ATOMIC_(64, rt_atomic64, uint64_t, AO_t, )
RT_ATOMIC_(ptr, rt_atomicptr, void *, AO_t, )

/* One byte, where a record has no room for more. libatomic_ops has no such compare-and-swap everywhere. */
static inline uint8_t rt_load8_acq(const rt_atomic8 *a)
{
	return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE);
}
static inline uint8_t rt_load8_rlx(const rt_atomic8 *a)
{
	return __atomic_load_n(&a->v, __ATOMIC_RELAXED);
}
static inline void rt_store8_rlx(rt_atomic8 *a, uint8_t v)
{
	__atomic_store_n(&a->v, v, __ATOMIC_RELAXED);
}
static inline void rt_store8_rel(rt_atomic8 *a, uint8_t v)
{
	__atomic_store_n(&a->v, v, __ATOMIC_RELEASE);
}
static inline bool rt_cas8_full(rt_atomic8 *a, uint8_t old, uint8_t v)
{
	return __atomic_compare_exchange_n(&a->v, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The value before the addition; d may be negative in two's complement. */
static inline uint32_t rt_add32_full(rt_atomic32 *a, uint32_t d)
{
	return AO_int_fetch_and_add_full((volatile unsigned int *)&a->v, d);
}
static inline uint64_t rt_add64_full(rt_atomic64 *a, uint64_t d)
{
	return AO_fetch_and_add_full((volatile AO_t *)&a->v, d);
}

static inline void rt_or64_full(rt_atomic64 *a, uint64_t bits)
{
	AO_or_full((volatile AO_t *)&a->v, bits);
}
static inline void rt_and64_full(rt_atomic64 *a, uint64_t bits)
{
	AO_and_full((volatile AO_t *)&a->v, bits);
}

/* The owner of a counter that others only read: a load and a store, no locked instruction. */
static inline void rt_count64_owner(rt_atomic64 *a, uint64_t d)
{
	rt_store64_rlx(a, rt_load64_rlx(a) + d);
}

static inline void rt_fence_full(void)
{
#if defined __x86_64__
	/* A locked instruction on a hot line is a full barrier at two thirds of mfence's price. (gcc
	 * has no fences under ThreadSanitizer, which learns nothing from them anyway.) */
	__asm__ volatile("lock; orl $0, (%%rsp)" ::: "memory", "cc");
#else
	AO_nop_full();
#endif
}

/* Only the compiler keeps the order: against a handler on this thread, and against who fences for it. */
static inline void rt_fence_compiler(void)
{
	AO_compiler_barrier();
}

static inline void rt_fence_acq(void)
{
#if defined __x86_64__
	AO_compiler_barrier(); /* loads are not reordered with loads */
#else
	AO_nop_read();
#endif
}

/* Orders the _full read-modify-write before it against every later load. On x86 a locked
 * instruction has done that already. */
static inline void rt_fence_after_rmw(void)
{
#if defined __x86_64__ || defined __i386__
	AO_compiler_barrier();
#else
	AO_nop_full();
#endif
}

#endif
