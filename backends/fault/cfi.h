/* cfi.h: one step outwards from a frame, by what the compiler wrote down about it. Shared by the files of this slot. */
#ifndef BACKENDS_FAULT_CFI_H
#define BACKENDS_FAULT_CFI_H

#include <stdbool.h>
#include <stdint.h>

#if defined __x86_64__
enum { BE_CFI_SP = 7, BE_CFI_FP = 6, BE_CFI_RA = 16 };
#elif defined __aarch64__
enum { BE_CFI_SP = 31, BE_CFI_FP = 29, BE_CFI_RA = 30 };
#elif defined __riscv
enum { BE_CFI_SP = 2, BE_CFI_FP = 8, BE_CFI_RA = 1 };
#endif
enum { BE_CFI_REGS = 33 }; /* of DWARF's numbering: general registers and x86's return address */

typedef struct be_cfi_frame {
	uintptr_t pc;
	bool exact;           /* pc is the next instruction; else the one after a call */
	uint64_t known;       /* a bit for each register */
	uintptr_t reg[BE_CFI_REGS];
	uintptr_t lo, hi;     /* the stack: nothing outside is read */
} be_cfi_frame;

static inline void be_cfi_set(be_cfi_frame *f, int reg, uintptr_t value)
{
	f->reg[reg] = value;
	f->known |= UINT64_C(1) << reg;
}

/* Makes f its caller's. False: it has none, or nothing is known about it. */
bool be_fault_cfi_step(be_cfi_frame *f);
/* The same by frame pointers. */
bool be_fault_fp_step(be_cfi_frame *f);

#endif
