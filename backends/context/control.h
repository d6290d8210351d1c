/* control.h: the words that say how a CPU rounds and which floating-point faults it raises.
 *
 * Calling conventions count them among what a function leaves as it found it. A CPU that is not listed has
 * none, or keeps ours: then a panic leaves them as the frames that it left had set them. */
#ifndef BACKENDS_CONTEXT_CONTROL_H
#define BACKENDS_CONTEXT_CONTROL_H

#include <stdint.h>

#if defined __x86_64__
typedef struct be_control {
	uint32_t mxcsr;
	uint16_t x87;
} be_control;

static inline void be_control_get(be_control *c)
{
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(c->mxcsr), "=m"(c->x87));
}

static inline void be_control_set(const be_control *c)
{
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(c->mxcsr), "m"(c->x87));
}

#elif defined __aarch64__ || (defined __riscv_flen && __riscv_xlen == 64)
typedef uint64_t be_control;

static inline void be_control_get(be_control *c)
{
#ifdef __aarch64__
	__asm__ volatile("mrs %0, fpcr" : "=r"(*c));
#else
	__asm__ volatile("frrm %0" : "=r"(*c));
#endif
}

static inline void be_control_set(const be_control *c)
{
#ifdef __aarch64__
	__asm__ volatile("msr fpcr, %0" : : "r"(*c));
#else
	__asm__ volatile("fsrm %0" : : "r"(*c));
#endif
}

#else
typedef char be_control;

static inline void be_control_get(be_control *c)
{
	*c = 0;
}

static inline void be_control_set(const be_control *c)
{
	(void)c;
}
#endif

#endif
