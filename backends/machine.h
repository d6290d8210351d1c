/* machine.h: the registers in a signal handler's context record, one block for each CPU. For the
 * POSIX files of fault and preempt; glibc and musl use the same names. */
#ifndef BACKENDS_MACHINE_H
#define BACKENDS_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct machine {
	uintptr_t pc, sp, fp;
	uintptr_t link; /* return address register; 0 where calls push it */
};

/* Where the two words (earlier frame, return address) of a frame lie, seen from fp. */
#if defined __riscv
enum { MACHINE_FRAME = -16 };
#else
enum { MACHINE_FRAME = 0 };
#endif

static inline struct machine machine_get(const ucontext_t *uc)
{
#if defined __x86_64__
	const greg_t *r = uc->uc_mcontext.gregs;

	return (struct machine){.pc = (uintptr_t)r[REG_RIP],
	                        .sp = (uintptr_t)r[REG_RSP],
	                        .fp = (uintptr_t)r[REG_RBP]};
#elif defined __aarch64__
	return (struct machine){.pc = uc->uc_mcontext.pc,
	                        .sp = uc->uc_mcontext.sp,
	                        .fp = uc->uc_mcontext.regs[29],
	                        .link = uc->uc_mcontext.regs[30]};
#elif defined __riscv && __riscv_xlen == 64
	return (struct machine){.pc = uc->uc_mcontext.__gregs[REG_PC],
	                        .sp = uc->uc_mcontext.__gregs[REG_SP],
	                        .fp = uc->uc_mcontext.__gregs[REG_S0],
	                        .link = uc->uc_mcontext.__gregs[REG_RA]};
#else
#error "this CPU is not known: add it here, or choose fault=none and preempt=cooperative"
#endif
}

/* Of the function that this is inlined into: true for its unwind information at `pc`. */
static inline __attribute__((always_inline)) struct machine machine_here(void)
{
	struct machine m = {.fp = (uintptr_t)__builtin_frame_address(0)};

#if defined __x86_64__
	__asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
	                 : "=&r"(m.pc), "=&r"(m.sp), "=r"(m.fp));
#elif defined __aarch64__
	__asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29"
	                 : "=&r"(m.pc), "=&r"(m.sp), "=r"(m.fp));
#elif defined __riscv
	__asm__ volatile("auipc %0, 0\n\tmv %1, sp\n\tmv %2, s0"
	                 : "=&r"(m.pc), "=&r"(m.sp), "=r"(m.fp));
#endif
	return m;
}

#if defined __x86_64__
/* Goes to the function in RAX with zero for its return address. Pushed here and not by the handler: a signal on the
 * stack that it interrupts has its record, from which the system restores, right below the red zone, where top may
 * be. Until it is there what lies at top is no return address, and the unwind information says so. */
static __attribute__((naked, unused)) void machine_landing(void)
{
	__asm__(".cfi_undefined rip\n\tpushq $0\n\tjmp *%rax");
}
#endif

/* Makes the interrupted code go on as the first instruction of land(arg), as if called with an
 * empty stack below top. Frame pointer and return address are cleared so that backtraces end there.
 * What an interrupted instruction may leave and a function's entry must not see is cleared too:
 * x86's direction flag and x87 stack (with pending exceptions), arm64's branch type. */
static inline void machine_land(ucontext_t *uc, void (*land)(void *), void *arg, void *top)
{
#if defined __x86_64__
	greg_t *r = uc->uc_mcontext.gregs;

	r[REG_RSP] = (greg_t)(uintptr_t)top; /* a multiple of 16; an entry wants 8 modulo 16, after a call */
	r[REG_RIP] = (greg_t)(uintptr_t)machine_landing;
	r[REG_RAX] = (greg_t)(uintptr_t)land;
	r[REG_RDI] = (greg_t)(uintptr_t)arg;
	r[REG_RBP] = 0;
	r[REG_EFL] &= ~(greg_t)0x400;
	if (uc->uc_mcontext.fpregs != NULL) {
		uc->uc_mcontext.fpregs->swd = 0;
		uc->uc_mcontext.fpregs->ftw = 0; /* FXSAVE's short form: all eight are empty */
	}
#elif defined __aarch64__
	uc->uc_mcontext.pc = (uintptr_t)land;
	uc->uc_mcontext.sp = (uintptr_t)top;
	uc->uc_mcontext.regs[0] = (uintptr_t)arg;
	uc->uc_mcontext.regs[29] = 0;
	uc->uc_mcontext.regs[30] = 0;
	uc->uc_mcontext.pstate &= ~(UINT64_C(3) << 10); /* BTYPE */
#elif defined __riscv && __riscv_xlen == 64
	uc->uc_mcontext.__gregs[REG_PC] = (uintptr_t)land;
	uc->uc_mcontext.__gregs[REG_SP] = (uintptr_t)top;
	uc->uc_mcontext.__gregs[REG_A0] = (uintptr_t)arg;
	uc->uc_mcontext.__gregs[REG_S0] = 0;
	uc->uc_mcontext.__gregs[REG_RA] = 0;
#endif
}

#endif
