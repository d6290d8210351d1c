/* asm_x86_64_win64.S: the switch for x86-64 with the calling convention of Windows; COFF.
 *
 * Frame of a saved context, upwards from sp, which is 16-aligned:
 *	  0  xmm6 to xmm15
 *	160  StackBase, StackLimit, DeallocationStack, FiberData, GuaranteedStackBytes of the TEB
 *	200  mxcsr (4), x87 control word (2), unused (2)
 *	208  unused
 *	216  r15 r14 r13 r12 rsi rdi rbx rbp
 *	280  where it goes on
 *
 * - Windows takes the bounds of a stack from the thread's environment block: the probes of large
 *   frames, growth by guard pages, exceptions and RtlVirtualUnwind believe only them. So they
 *   travel with the context. A made context has the bounds [lo, hi) of its memory, and no room
 *   for overflows, unless be_context_grows (asm.c, which knows these offsets) says otherwise.
 * - FiberData says which fiber runs; a made context is none. The adopted one keeps the thread's.
 * - .seh_ describes the frame for unwinding and holds on both stacks, the layout being the same.
 * - Ends in a jump, and loads mxcsr and the x87 control word always: for the reasons see
 *   asm_x86_64.S.
 */
#define TEB_SELF 0x30
#define TEB_STACK_BASE 0x08
#define TEB_STACK_LIMIT 0x10
#define TEB_FIBER_DATA 0x20
#define TEB_DEALLOCATION_STACK 0x1478
#define TEB_GUARANTEED_BYTES 0x1748

#define MXCSR_DEFAULT 0x1f80
#define X87_DEFAULT 0x037f /* 80 bits of precision, as mingw's start-up sets it */

#define LOCALS 216
#define FRAME (LOCALS + 64)

#define FUNCTION(name) \
	.globl name; .def name; .scl 2; .type 32; .endef; .p2align 4; .seh_proc name; name:

.macro SAVE reg
	pushq \reg
	.seh_pushreg \reg
.endm
.macro SAVE_XMM reg, at
	movaps \reg, \at(%rsp)
	.seh_savexmm \reg, \at
.endm
.macro SAVE_ALL
	SAVE %rbp
	SAVE %rbx
	SAVE %rdi
	SAVE %rsi
	SAVE %r12
	SAVE %r13
	SAVE %r14
	SAVE %r15
	subq $LOCALS, %rsp
	.seh_stackalloc LOCALS
	SAVE_XMM %xmm6, 0
	SAVE_XMM %xmm7, 16
	SAVE_XMM %xmm8, 32
	SAVE_XMM %xmm9, 48
	SAVE_XMM %xmm10, 64
	SAVE_XMM %xmm11, 80
	SAVE_XMM %xmm12, 96
	SAVE_XMM %xmm13, 112
	SAVE_XMM %xmm14, 128
	SAVE_XMM %xmm15, 144
	.seh_endprologue
	stmxcsr 200(%rsp)
	fnstcw 204(%rsp)
.endm
.macro RESTORE_XMM
	movaps 0(%rsp), %xmm6
	movaps 16(%rsp), %xmm7
	movaps 32(%rsp), %xmm8
	movaps 48(%rsp), %xmm9
	movaps 64(%rsp), %xmm10
	movaps 80(%rsp), %xmm11
	movaps 96(%rsp), %xmm12
	movaps 112(%rsp), %xmm13
	movaps 128(%rsp), %xmm14
	movaps 144(%rsp), %xmm15
.endm
.macro RESTORE
	addq $LOCALS, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rsi
	popq %rdi
	popq %rbx
	popq %rbp
.endm
.macro SAVE_TEB field, at
	movq \field(%r9), %rax
	movq %rax, \at(%rsp)
.endm
.macro RESTORE_TEB field, at
	movq \at(%rsp), %rax
	movq %rax, \field(%r9)
.endm

	.text

/* void be_context_switch(be_context *from, be_context *to) */
FUNCTION(be_context_switch)
	SAVE_ALL
	movq %gs:TEB_SELF, %r9
	SAVE_TEB TEB_STACK_BASE, 160
	SAVE_TEB TEB_STACK_LIMIT, 168
	SAVE_TEB TEB_DEALLOCATION_STACK, 176
	SAVE_TEB TEB_FIBER_DATA, 184
	movl TEB_GUARANTEED_BYTES(%r9), %eax
	movl %eax, 192(%rsp)
	movq %rsp, (%rcx)
	movq (%rdx), %rsp
	.globl be_context_resumed
be_context_resumed:
	RESTORE_TEB TEB_STACK_BASE, 160
	RESTORE_TEB TEB_STACK_LIMIT, 168
	RESTORE_TEB TEB_DEALLOCATION_STACK, 176
	RESTORE_TEB TEB_FIBER_DATA, 184
	movl 192(%rsp), %eax
	movl %eax, TEB_GUARANTEED_BYTES(%r9)
	ldmxcsr 200(%rsp)
	fldcw 204(%rsp)
	RESTORE_XMM
	RESTORE
	popq %rcx
	jmpq *%rcx
	.seh_endproc

/* int be_context_try(void **mark, void (*fn)(void *), void *arg). The room below the frame is what
 * the convention lends to fn. */
FUNCTION(be_context_try)
	SAVE_ALL
	movq %rsp, (%rcx)
	movq %r8, %rcx
	call run
	/* fn has kept the registers. */
	xorl %eax, %eax
	addq $FRAME, %rsp
	retq
	.seh_endproc

/* Calls rdx with the room that callees may use, apart from be_context_try so that the unwind
 * information of both stays one prologue. */
	.p2align 4
	.seh_proc run
run:
	subq $40, %rsp
	.seh_stackalloc 40
	.seh_endprologue
	callq *%rdx
	addq $40, %rsp
	retq
	.seh_endproc

/* _Noreturn void be_context_leave(void *mark) */
FUNCTION(be_context_leave)
	.seh_endprologue
	movq %rcx, %rsp
	ldmxcsr 200(%rsp)
	fldcw 204(%rsp)
	RESTORE_XMM
	movl $1, %eax
	RESTORE
	retq
	.seh_endproc

/* Where a made context begins: r12 = fn, rbx = arg, rsp 16-aligned with a zero where a called
 * function has its return address: unwinding ends there. */
	.p2align 4
	.seh_proc be_context_entry
be_context_entry:
	subq $32, %rsp
	.seh_stackalloc 32
	.seh_endprologue
	movq %rbx, %rcx
	callq *%r12
	ud2
	.seh_endproc

/* void be_context_frame(be_context *c, void (*fn)(void *), void *arg). Between the frame and c lie
 * that zero and 8 bytes for the alignment. */
#define FIRST (FRAME + 8 + 16)
FUNCTION(be_context_frame)
	.seh_endprologue
	leaq -FIRST(%rcx), %r9
	xorl %eax, %eax
	xorl %r10d, %r10d
1:	movq %rax, (%r9,%r10)
	addq $8, %r10
	cmpq $FIRST, %r10
	jne 1b
	movq 16(%rcx), %rax             /* hi */
	movq %rax, 160(%r9)
	movq 8(%rcx), %rax              /* lo */
	movq %rax, 168(%r9)
	movq %rax, 176(%r9)
	movl $MXCSR_DEFAULT, 200(%r9)
	movl $X87_DEFAULT, 204(%r9)
	movq %rdx, (LOCALS + 24)(%r9)   /* r12 */
	movq %r8, (LOCALS + 48)(%r9)    /* rbx */
	leaq be_context_entry(%rip), %rax
	movq %rax, FRAME(%r9)
	movq %r9, (%rcx)
	retq
	.seh_endproc
