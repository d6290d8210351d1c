/* asm_x86_64.S: the switch for x86-64 with the System V calling convention; ELF and Mach-O.
 *
 * Frame of a saved context, upwards from sp:
 *	 0  mxcsr (4), x87 control word (2), unused (2)
 *	 8  r15 r14 r13 r12 rbx rbp
 *	56  where it goes on
 *
 * Its size and order are the same before and after the stack pointer is exchanged, so the unwind
 * information is true at every instruction.
 *
 * - The switch ends in a jump: the CPU predicts a ret from the calls it has seen, which are those
 *   of the other context; the ret would miss every time (13 to 25 ns against 5). notrack, because
 *   the place after a call has no endbr64. For the same reason the object is marked for indirect
 *   branch tracking and not for shadow stacks.
 * - mxcsr and the x87 control word are loaded always. Rejected: loading them only if they differ.
 *   What is in force can be read through memory only, and waiting for that costs more (5.9 ns for
 *   a switch, 4.3 as it is, on an AMD EPYC; different words on the two sides change nothing).
 */
#ifdef __APPLE__
#define SYM(name) _##name
#define FUNCTION(name) .private_extern SYM(name); .globl SYM(name); .p2align 4; SYM(name):
#define END(name)
#else
#define SYM(name) name
#define FUNCTION(name) \
	.hidden name; .globl name; .type name, @function; .p2align 4; name:
#define END(name) .size name, . - name
#endif

#define MXCSR_DEFAULT 0x1f80
#define X87_DEFAULT 0x037f

/* leaq and not subq: in a macro Mach-O's assembler reads $8 as the macro's argument 8. */
.macro SAVE reg
	pushq \reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm
.macro RESTORE reg
	popq \reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm
.macro SAVE_ALL
	SAVE %rbp
	SAVE %rbx
	SAVE %r12
	SAVE %r13
	SAVE %r14
	SAVE %r15
	leaq -8(%rsp), %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
.endm
.macro RESTORE_ALL
	leaq 8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	RESTORE %r15
	RESTORE %r14
	RESTORE %r13
	RESTORE %r12
	RESTORE %rbx
	RESTORE %rbp
.endm

	.text

/* void be_context_switch(be_context *from, be_context *to) */
FUNCTION(be_context_switch)
	.cfi_startproc
	endbr64
	SAVE_ALL
	movq %rsp, (%rdi)
	movq (%rsi), %rsp
	.globl SYM(be_context_resumed)
#ifdef __APPLE__
	.private_extern SYM(be_context_resumed)
#else
	.hidden be_context_resumed
#endif
SYM(be_context_resumed):
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	RESTORE_ALL
	popq %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	notrack jmpq *%rcx
	.cfi_endproc
END(be_context_switch)

/* void be_context_loop(be_context *g0, be_context *(*next)(void *), void *arg)
 *
 * Goroutines and scheduler take turns, and the return predictor is right if each side keeps it balanced. Between two
 * turns of goroutines this side makes calls and returns in pairs only, since the switch is no call. So a goroutine
 * goes on by a ret, and that is predicted from the call by which the one before left: the same call for most. (Three
 * returns missed for each turn before: 27 ns for a yield, 17 now, on an Intel Xeon.) Back to here goes a plain jump,
 * and what the scheduler needs lies in its frame:
 *	 0  next, arg, g0, unused     32  the frame of a saved context
 * The control words of the goroutine stay in force meanwhile; they are saved with it, and ours come back in the end.
 */
FUNCTION(be_context_loop)
	.cfi_startproc
	endbr64
	SAVE_ALL
	leaq -32(%rsp), %rsp
	.cfi_def_cfa_offset 96
	movq %rsi, (%rsp)
	movq %rdx, 8(%rsp)
	movq %rdi, 16(%rsp)
	movq %rsp, (%rdi)
.Lnext:
	movq 8(%rsp), %rdi
	callq *(%rsp)
	testq %rax, %rax
	jz .Lend
	movq (%rax), %rsp
	.cfi_remember_state
	.cfi_def_cfa_offset 64
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	RESTORE_ALL
	retq
	.cfi_restore_state
.Lend:
	leaq 32(%rsp), %rsp
	.cfi_def_cfa_offset 64
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	RESTORE_ALL
	retq
	.cfi_endproc
END(be_context_loop)

/* void be_context_back(be_context *from, be_context *g0) */
FUNCTION(be_context_back)
	.cfi_startproc
	endbr64
	SAVE_ALL
	movq %rsp, (%rdi)
	movq (%rsi), %rsp
	jmp .Lnext
	.cfi_endproc
END(be_context_back)

/* int be_context_try(void **mark, void (*fn)(void *), void *arg) */
FUNCTION(be_context_try)
	.cfi_startproc
	endbr64
	SAVE_ALL
	movq %rsp, (%rdi)
	movq %rdx, %rdi
	callq *%rsi
	/* fn has kept the registers. */
	addq $56, %rsp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	xorl %eax, %eax
	retq
	.cfi_endproc
END(be_context_try)

/* _Noreturn void be_context_leave(void *mark) */
FUNCTION(be_context_leave)
	.cfi_startproc
	endbr64
	movq %rdi, %rsp
	/* From here on this is the frame of be_context_try. */
	.cfi_def_cfa %rsp, 64
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	RESTORE_ALL
	movl $1, %eax
	retq
	.cfi_endproc
END(be_context_leave)

/* Where a made context begins: r12 = fn, rbx = arg, rsp 16-aligned, rbp 0 for those who follow
 * frame pointers. Unwinders look up the instruction before a return address; the nop keeps the
 * start of the range apart from whatever lies before it. */
#ifndef __APPLE__
	.type be_context_entry, @function
#endif
	.p2align 4
	.cfi_startproc
	.cfi_undefined %rip
	nop
be_context_entry:
	endbr64
	movq %rbx, %rdi
	callq *%r12
	ud2
	.cfi_endproc
END(be_context_entry)

/* void be_context_frame(be_context *c, void (*fn)(void *), void *arg) */
FUNCTION(be_context_frame)
	.cfi_startproc
	endbr64
	leaq be_context_entry(%rip), %rax
	xorl %ecx, %ecx
	movq %rax, -8(%rdi)
	movq %rcx, -16(%rdi)            /* rbp */
	movq %rdx, -24(%rdi)            /* rbx */
	movq %rsi, -32(%rdi)            /* r12 */
	movq %rcx, -40(%rdi)
	movq %rcx, -48(%rdi)
	movq %rcx, -56(%rdi)
	movl $MXCSR_DEFAULT, -64(%rdi)
	movl $X87_DEFAULT, -60(%rdi)
	leaq -64(%rdi), %rax
	movq %rax, (%rdi)
	retq
	.cfi_endproc
END(be_context_frame)

#ifndef __APPLE__
	.section .note.GNU-stack, "", @progbits
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4, 16, 5
	.asciz "GNU"
	.long 0xc0000002, 4, 1, 0       /* x86 features: indirect branch tracking */
#endif
