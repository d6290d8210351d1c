/* asm_aarch64.S: the switch for arm64 (AAPCS64); ELF and Mach-O.
 *
 * Frame of a saved context, upwards from sp:
 *	  0  x29 (frame pointer), where it goes on (x30)
 *	 16  x19 to x28
 *	 96  d8 to d15
 *	160  fpcr, unused
 *
 * Its size and order are the same before and after sp is exchanged, so the unwind information is
 * true at every instruction. fpcr is written only when it differs: that can drain the pipeline.
 *
 * The switch ends in ret although the CPU's prediction of it fails: with branch target
 * identification a br may only reach a landing pad, and the place after a call is none.
 *
 * Return addresses are signed where the compiler's are (pac-ret). What is signed is bound to the sp
 * at the entry of the switch, which is the sp at its end too. That of a made context is signed
 * here as well, with the sp under which the context begins. Always the A key: what we sign only
 * we check.
 */
#ifdef __APPLE__
#define END(name)
#else
#define END(name) .size name, . - name
#endif

#if defined __ARM_FEATURE_PAC_DEFAULT && __ARM_FEATURE_PAC_DEFAULT
#define SIGNED 1
#else
#define SIGNED 0
#endif

.macro FUNC name
#ifdef __APPLE__
	.private_extern _\name
	.globl _\name
	.p2align 4
_\name:
#else
	.hidden \name
	.globl \name
	.type \name, %function
	.p2align 4
\name:
#endif
.endm

/* In the hint space: no operation on CPUs without. */
.macro BTI_C
	hint #34
.endm
.macro SIGN
#if SIGNED
	hint #25 /* paciasp */
	.cfi_negate_ra_state
#endif
.endm
.macro CHECK
#if SIGNED
	hint #29 /* autiasp */
	.cfi_negate_ra_state
#endif
.endm

.macro SAVE_ALL
	sub sp, sp, #176
	.cfi_def_cfa_offset 176
	stp x29, x30, [sp]
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mrs x9, fpcr
	str x9, [sp, #160]
	SAVED_ALL
.endm
.macro SAVED_ALL
	.cfi_offset 29, -176
	.cfi_offset 30, -168
	.cfi_offset 19, -160
	.cfi_offset 20, -152
	.cfi_offset 21, -144
	.cfi_offset 22, -136
	.cfi_offset 23, -128
	.cfi_offset 24, -120
	.cfi_offset 25, -112
	.cfi_offset 26, -104
	.cfi_offset 27, -96
	.cfi_offset 28, -88
	.cfi_offset 72, -80
	.cfi_offset 73, -72
	.cfi_offset 74, -64
	.cfi_offset 75, -56
	.cfi_offset 76, -48
	.cfi_offset 77, -40
	.cfi_offset 78, -32
	.cfi_offset 79, -24
.endm
.macro RESTORE_ALL
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	ldp x29, x30, [sp], #176
	RESTORED_ALL
.endm
.macro RESTORED_ALL
	.cfi_def_cfa_offset 0
	.cfi_restore 29
	.cfi_restore 30
	.cfi_restore 19
	.cfi_restore 20
	.cfi_restore 21
	.cfi_restore 22
	.cfi_restore 23
	.cfi_restore 24
	.cfi_restore 25
	.cfi_restore 26
	.cfi_restore 27
	.cfi_restore 28
	.cfi_restore 72
	.cfi_restore 73
	.cfi_restore 74
	.cfi_restore 75
	.cfi_restore 76
	.cfi_restore 77
	.cfi_restore 78
	.cfi_restore 79
.endm

	.text

/* void be_context_switch(be_context *from, be_context *to) */
	FUNC be_context_switch
	.cfi_startproc
	BTI_C
	SIGN
	SAVE_ALL
	mov x10, sp
	ldr x11, [x1]
	str x10, [x0]
	mov sp, x11
#ifdef __APPLE__
	.private_extern _be_context_resumed
	.globl _be_context_resumed
_be_context_resumed:
#else
	.globl be_context_resumed
	.hidden be_context_resumed
be_context_resumed:
#endif
	ldr x10, [sp, #160]
	cmp x9, x10
	b.ne 2f
1:	.cfi_remember_state
	RESTORE_ALL
	CHECK
	ret
2:	.cfi_restore_state
	msr fpcr, x10
	b 1b
	.cfi_endproc
END(be_context_switch)

/* int be_context_try(void **mark, void (*fn)(void *), void *arg) */
	FUNC be_context_try
	.cfi_startproc
	BTI_C
	SIGN
	SAVE_ALL
	mov x10, sp
	str x10, [x0]
	mov x0, x2
	blr x1
	/* fn has kept the registers. */
	mov w0, #0
	ldp x29, x30, [sp], #176
	RESTORED_ALL
	CHECK
	ret
	.cfi_endproc
END(be_context_try)

/* _Noreturn void be_context_leave(void *mark) */
	FUNC be_context_leave
	.cfi_startproc
	BTI_C
	mov sp, x0
	/* From here on this is the frame of be_context_try. */
	.cfi_def_cfa_offset 176
	SAVED_ALL
#if SIGNED
	.cfi_negate_ra_state
#endif
	ldr x9, [sp, #160]
	msr fpcr, x9
	mov w0, #1
	RESTORE_ALL
	CHECK
	ret
	.cfi_endproc
END(be_context_leave)

/* Where a made context begins: x19 = fn, x20 = arg, x29 and x30 zero for those who follow frames.
 * It is reached by ret, which needs no landing pad. Unwinders look up the instruction before a
 * return address; the nop keeps the start of the range apart from whatever lies before it. */
	.p2align 4
	.cfi_startproc
	.cfi_undefined 30
	nop
#ifndef __APPLE__
	.type be_context_entry, %function
#endif
be_context_entry:
	mov x29, #0
	mov x30, #0
	mov x0, x20
	blr x19
	brk #1
	.cfi_endproc
END(be_context_entry)

/* void be_context_frame(be_context *c, void (*fn)(void *), void *arg) */
	FUNC be_context_frame
	.cfi_startproc
	BTI_C
	adr x17, be_context_entry
#if SIGNED
	mov x16, x0                     /* the sp at the end of the switch */
	hint #8                         /* pacia1716 */
#endif
	sub x9, x0, #176
	stp xzr, x17, [x9]
	stp x1, x2, [x9, #16]           /* x19, x20 */
	stp xzr, xzr, [x9, #32]
	stp xzr, xzr, [x9, #48]
	stp xzr, xzr, [x9, #64]
	stp xzr, xzr, [x9, #80]
	stp xzr, xzr, [x9, #96]
	stp xzr, xzr, [x9, #112]
	stp xzr, xzr, [x9, #128]
	stp xzr, xzr, [x9, #144]
	stp xzr, xzr, [x9, #160]        /* fpcr: the default is all zero */
	str x9, [x0]
	ret
	.cfi_endproc
END(be_context_frame)

#ifndef __APPLE__
	.section .note.GNU-stack, "", %progbits
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4, 16, 5
	.asciz "GNU"
#if SIGNED
	.long 0xc0000000, 4, 3, 0       /* arm64 features: BTI, PAC */
#else
	.long 0xc0000000, 4, 1, 0       /* BTI */
#endif
#endif
