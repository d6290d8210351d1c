/* asm_riscv64.S: the switch for 64-bit RISC-V, ELF, with or without floating-point registers.
 *
 * Frame of a saved context, upwards from sp:
 *	  0  where it goes on (ra), s0 to s11
 *	104  rounding mode
 *	112  fs0 to fs11
 *
 * Its size and order are the same before and after sp is exchanged, so the unwind information is
 * true at every instruction. Of fcsr only the rounding mode is kept: the flags of past exceptions
 * are not kept over calls by the convention. It is written only when it differs.
 *
 * The switch ends in a jump and not in ret: the CPU predicts a ret from the calls it has seen,
 * which are those of the other context. The jump goes through t2, the register from which hardware
 * control-flow checks ask for no landing pad.
 */
#if defined __riscv_flen && __riscv_flen != 64
#error "be_context_switch keeps registers of 64 bits"
#endif

#define FUNCTION(name) \
	.hidden name; .globl name; .type name, @function; .p2align 2; name:
#define END(name) .size name, . - name
#define FRAME 208

#define EACH_S(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define SAVE_S(n) sd s##n, 8 + 8 * n(sp); .cfi_rel_offset s##n, 8 + 8 * n;
#define AT_S(n) .cfi_rel_offset s##n, 8 + 8 * n;
#define LOAD_S(n) ld s##n, 8 + 8 * n(sp); .cfi_restore s##n;
#define BACK_S(n) .cfi_restore s##n;
#ifdef __riscv_flen
#define SAVE_F(n) fsd fs##n, 112 + 8 * n(sp); .cfi_rel_offset fs##n, 112 + 8 * n;
#define AT_F(n) .cfi_rel_offset fs##n, 112 + 8 * n;
#define LOAD_F(n) fld fs##n, 112 + 8 * n(sp); .cfi_restore fs##n;
#define BACK_F(n) .cfi_restore fs##n;
#else
#define SAVE_F(n)
#define AT_F(n)
#define LOAD_F(n)
#define BACK_F(n)
#endif

.macro SAVE_ALL
	addi sp, sp, -FRAME
	.cfi_def_cfa_offset FRAME
	sd ra, 0(sp)
	.cfi_rel_offset ra, 0
	EACH_S(SAVE_S)
	EACH_S(SAVE_F)
#ifdef __riscv_flen
	frrm t0
	sd t0, 104(sp)
#endif
.endm
/* Where it goes on comes into t2. */
.macro RESTORE_ALL
	ld t2, 0(sp)
	.cfi_register ra, t2
	EACH_S(LOAD_S)
	EACH_S(LOAD_F)
	addi sp, sp, FRAME
	.cfi_def_cfa_offset 0
.endm

	.text

/* void be_context_switch(be_context *from, be_context *to) */
FUNCTION(be_context_switch)
	.cfi_startproc
	SAVE_ALL
	ld t1, 0(a1)
	sd sp, 0(a0)
	mv sp, t1
	.globl be_context_resumed
	.hidden be_context_resumed
be_context_resumed:
#ifdef __riscv_flen
	ld t1, 104(sp)
	bne t0, t1, 2f
#endif
1:	.cfi_remember_state
	RESTORE_ALL
	jr t2
2:	.cfi_restore_state
#ifdef __riscv_flen
	fsrm t1
	j 1b
#endif
	.cfi_endproc
END(be_context_switch)

/* int be_context_try(void **mark, void (*fn)(void *), void *arg) */
FUNCTION(be_context_try)
	.cfi_startproc
	SAVE_ALL
	sd sp, 0(a0)
	mv a0, a2
	jalr a1
	/* fn has kept the registers. */
	li a0, 0
	ld ra, 0(sp)
	.cfi_restore ra
	EACH_S(BACK_S)
	EACH_S(BACK_F)
	addi sp, sp, FRAME
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
END(be_context_try)

/* _Noreturn void be_context_leave(void *mark) */
FUNCTION(be_context_leave)
	.cfi_startproc
	mv sp, a0
	/* From here on this is the frame of be_context_try. */
	.cfi_def_cfa_offset FRAME
	.cfi_rel_offset ra, 0
	EACH_S(AT_S)
	EACH_S(AT_F)
#ifdef __riscv_flen
	ld t0, 104(sp)
	fsrm t0
#endif
	li a0, 1
	RESTORE_ALL
	jr t2
	.cfi_endproc
END(be_context_leave)

/* Where a made context begins: s1 = fn, s2 = arg, s0 and ra zero for those who follow frames.
 * Unwinders look up the instruction before a return address; the nop keeps the start of the range
 * apart from whatever lies before it. */
	.p2align 2
	.cfi_startproc
	.cfi_undefined ra
	nop
	.type be_context_entry, @function
be_context_entry:
	li ra, 0
	mv a0, s2
	jalr s1
	ebreak
	.cfi_endproc
END(be_context_entry)

/* void be_context_frame(be_context *c, void (*fn)(void *), void *arg) */
#define ZERO_S(n) sd zero, 8 + 8 * n(t0);
#define ZERO_F(n) sd zero, 112 + 8 * n(t0);
FUNCTION(be_context_frame)
	.cfi_startproc
	addi t0, a0, -FRAME
	EACH_S(ZERO_S)
	EACH_S(ZERO_F)
	sd zero, 104(t0)                /* round to nearest */
	lla t1, be_context_entry
	sd t1, 0(t0)
	sd a1, 16(t0)                   /* s1 */
	sd a2, 24(t0)                   /* s2 */
	sd t0, 0(a0)
	ret
	.cfi_endproc
END(be_context_frame)

	.section .note.GNU-stack, "", @progbits
