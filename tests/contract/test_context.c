/* Contract of backends/context/context.h, for whichever implementation is linked.
 *
 * The tests never assert on a made context's stack: cmocka leaves by longjmp. Contexts write down
 * what they saw, and the main one looks. plant() fills every callee-saved register of the CPU with
 * values, calls a function and writes down what came back: the only part that knows the CPU. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "backends/arena/arena.h"
#include "backends/context/context.h"
#include "backends/thread/thread.h"
#include "core/base/attrs.h"

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>
#if RT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK = 64 << 10, MILLION = 1000000 };

/* ---- Every callee-saved register ---- */

enum { MAX_REGISTERS = 24 };
struct plant {
	void (*f)(void *a, void *b, void *c);
	void *a, *b, *c;
	uint64_t values[MAX_REGISTERS]; /* go in */
	uint64_t out[MAX_REGISTERS];    /* come back */
	uint64_t result;
};
void plant(struct plant *p);
void probe_entry(void *arg); /* notes the stack pointer at its first instruction */
void probe_body(void *arg);
extern uintptr_t probe_sp;
uintptr_t probe_sp;

_Static_assert(offsetof(struct plant, values) == 32, "the assembly relies on it");
_Static_assert(offsetof(struct plant, out) == 224, "the assembly relies on it");
_Static_assert(offsetof(struct plant, result) == 416, "the assembly relies on it");

#if defined __x86_64__ && !defined _WIN32
enum { REGISTERS = 6, ENTRY_MODULO = 8 };
__asm__(".text\n"
        ".globl plant\n"
        "plant:\n"
        "	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "	pushq %rdi\n"
        "	movq %rdi, %rax\n"
        "	movq 32(%rax), %rbx; movq 40(%rax), %rbp; movq 48(%rax), %r12\n"
        "	movq 56(%rax), %r13; movq 64(%rax), %r14; movq 72(%rax), %r15\n"
        "	movq 8(%rax), %rdi; movq 16(%rax), %rsi; movq 24(%rax), %rdx\n"
        "	callq *(%rax)\n"
        "	popq %rcx\n"
        "	movq %rbx, 224(%rcx); movq %rbp, 232(%rcx); movq %r12, 240(%rcx)\n"
        "	movq %r13, 248(%rcx); movq %r14, 256(%rcx); movq %r15, 264(%rcx)\n"
        "	movq %rax, 416(%rcx)\n"
        "	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "	ret\n"
        ".globl probe_entry\n"
        "probe_entry:\n"
        "	movq probe_sp@GOTPCREL(%rip), %rax\n"
        "	movq %rsp, (%rax)\n"
        "	jmp probe_body@PLT\n");
static void scramble(void)
{
	__asm__ volatile("xorl %%ebx, %%ebx; movq %%rbx, %%r12; movq %%rbx, %%r13\n"
	                 "movq %%rbx, %%r14; movq %%rbx, %%r15"
	                 :
	                 :
	                 : "rbx", "r12", "r13", "r14", "r15");
}
#elif defined __x86_64__
enum { REGISTERS = 18, ENTRY_MODULO = 8 };
#define EACH_XMM(X) \
	X(6, 0, 96, 288) X(7, 16, 104, 296) X(8, 32, 112, 304) X(9, 48, 120, 312) \
	X(10, 64, 128, 320) X(11, 80, 136, 328) X(12, 96, 144, 336) X(13, 112, 152, 344) \
	X(14, 128, 160, 352) X(15, 144, 168, 360)
#define KEEP_XMM(n, slot, in, out) "	movups %xmm" #n ", 48+" #slot "(%rsp)\n"
#define LOAD_XMM(n, slot, in, out) "	movq " #in "(%rax), %xmm" #n "\n"
#define NOTE_XMM(n, slot, in, out) "	movq %xmm" #n ", " #out "(%rcx)\n"
#define BACK_XMM(n, slot, in, out) "	movups 48+" #slot "(%rsp), %xmm" #n "\n"
__asm__(".text\n"
        ".globl plant\n"
        "plant:\n"
        "	pushq %rbx; pushq %rbp; pushq %rdi; pushq %rsi\n"
        "	pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "	subq $216, %rsp\n" EACH_XMM(KEEP_XMM)
        "	movq %rcx, 40(%rsp)\n"
        "	movq %rcx, %rax\n" EACH_XMM(LOAD_XMM)
        "	movq 32(%rax), %rbx; movq 40(%rax), %rbp; movq 48(%rax), %rdi; movq 56(%rax), %rsi\n"
        "	movq 64(%rax), %r12; movq 72(%rax), %r13; movq 80(%rax), %r14; movq 88(%rax), %r15\n"
        "	movq 8(%rax), %rcx; movq 16(%rax), %rdx; movq 24(%rax), %r8\n"
        "	callq *(%rax)\n"
        "	movq 40(%rsp), %rcx\n"
        "	movq %rbx, 224(%rcx); movq %rbp, 232(%rcx); movq %rdi, 240(%rcx)\n"
        "	movq %rsi, 248(%rcx); movq %r12, 256(%rcx); movq %r13, 264(%rcx)\n"
        "	movq %r14, 272(%rcx); movq %r15, 280(%rcx)\n"
        "	movq %rax, 416(%rcx)\n" EACH_XMM(NOTE_XMM) EACH_XMM(BACK_XMM)
        "	addq $216, %rsp\n"
        "	popq %r15; popq %r14; popq %r13; popq %r12\n"
        "	popq %rsi; popq %rdi; popq %rbp; popq %rbx\n"
        "	ret\n"
        ".globl probe_entry\n"
        "probe_entry:\n"
        "	movq %rsp, probe_sp(%rip)\n"
        "	jmp probe_body\n");
static void scramble(void)
{
	__asm__ volatile("xorl %%ebx, %%ebx; movq %%rbx, %%r12; movq %%rbx, %%r13\n"
	                 "movq %%rbx, %%r14; movq %%rbx, %%r15; movq %%rbx, %%rdi\n"
	                 "movq %%rbx, %%rsi; pxor %%xmm6, %%xmm6; pxor %%xmm9, %%xmm9\n"
	                 "pxor %%xmm15, %%xmm15"
	                 :
	                 :
	                 : "rbx", "r12", "r13", "r14", "r15", "rdi", "rsi", "xmm6", "xmm9", "xmm15");
}
#elif defined __aarch64__
enum { REGISTERS = 19, ENTRY_MODULO = 0 };
__asm__(".text\n"
        ".globl plant\n"
        "plant:\n"
        "	stp x29, x30, [sp, #-176]!\n"
        "	stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32]; stp x23, x24, [sp, #48]\n"
        "	stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80]\n"
        "	stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]\n"
        "	stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]\n"
        "	str x0, [sp, #160]\n"
        "	mov x9, x0\n"
        "	ldp x19, x20, [x9, #32]; ldp x21, x22, [x9, #48]; ldp x23, x24, [x9, #64]\n"
        "	ldp x25, x26, [x9, #80]; ldp x27, x28, [x9, #96]; ldr x29, [x9, #112]\n"
        "	ldp d8, d9, [x9, #120]; ldp d10, d11, [x9, #136]\n"
        "	ldp d12, d13, [x9, #152]; ldp d14, d15, [x9, #168]\n"
        "	ldr x10, [x9]; ldr x0, [x9, #8]; ldr x1, [x9, #16]; ldr x2, [x9, #24]\n"
        "	blr x10\n"
        "	ldr x9, [sp, #160]\n"
        "	stp x19, x20, [x9, #224]; stp x21, x22, [x9, #240]; stp x23, x24, [x9, #256]\n"
        "	stp x25, x26, [x9, #272]; stp x27, x28, [x9, #288]; str x29, [x9, #304]\n"
        "	stp d8, d9, [x9, #312]; stp d10, d11, [x9, #328]\n"
        "	stp d12, d13, [x9, #344]; stp d14, d15, [x9, #360]\n"
        "	str x0, [x9, #416]\n"
        "	ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]; ldp x23, x24, [sp, #48]\n"
        "	ldp x25, x26, [sp, #64]; ldp x27, x28, [sp, #80]\n"
        "	ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]\n"
        "	ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]\n"
        "	ldp x29, x30, [sp], #176\n"
        "	ret\n"
        ".globl probe_entry\n"
        "probe_entry:\n"
        "	adrp x9, :got:probe_sp\n"
        "	ldr x9, [x9, #:got_lo12:probe_sp]\n"
        "	mov x10, sp\n"
        "	str x10, [x9]\n"
        "	b probe_body\n");
static void scramble(void)
{
	__asm__ volatile("mov x19, #0; mov x20, #0; mov x21, #0; mov x22, #0; mov x23, #0\n"
	                 "mov x24, #0; mov x25, #0; mov x26, #0; mov x27, #0; mov x28, #0\n"
	                 "fmov d8, #1.0; fmov d11, #1.0; fmov d15, #1.0"
	                 :
	                 :
	                 : "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
	                   "d8", "d11", "d15");
}
#elif defined __riscv && __riscv_xlen == 64
enum { REGISTERS = 24, ENTRY_MODULO = 0 };
#define EACH_S(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define KEEP_S(n) "	sd s" #n ", 16+8*" #n "(sp); fsd fs" #n ", 112+8*" #n "(sp)\n"
#define LOAD_S(n) "	ld s" #n ", 32+8*" #n "(t0); fld fs" #n ", 128+8*" #n "(t0)\n"
#define NOTE_S(n) "	sd s" #n ", 224+8*" #n "(t0); fsd fs" #n ", 320+8*" #n "(t0)\n"
#define BACK_S(n) "	ld s" #n ", 16+8*" #n "(sp); fld fs" #n ", 112+8*" #n "(sp)\n"
__asm__(".text\n"
        ".globl plant\n"
        "plant:\n"
        "	addi sp, sp, -208\n"
        "	sd ra, 0(sp); sd a0, 8(sp)\n" EACH_S(KEEP_S)
        "	mv t0, a0\n" EACH_S(LOAD_S)
        "	ld t1, 0(t0); ld a0, 8(t0); ld a1, 16(t0); ld a2, 24(t0)\n"
        "	jalr t1\n"
        "	ld t0, 8(sp)\n"
        "	sd a0, 416(t0)\n" EACH_S(NOTE_S) EACH_S(BACK_S)
        "	ld ra, 0(sp)\n"
        "	addi sp, sp, 208\n"
        "	ret\n"
        ".globl probe_entry\n"
        "probe_entry:\n"
        "	la t0, probe_sp\n"
        "	sd sp, 0(t0)\n"
        "	tail probe_body\n");
static void scramble(void)
{
	__asm__ volatile("li s1, 0; li s2, 0; li s3, 0; li s4, 0; li s5, 0; li s6, 0\n"
	                 "li s7, 0; li s8, 0; li s9, 0; li s10, 0; li s11, 0\n"
	                 "fmv.d.x fs0, zero; fmv.d.x fs5, zero; fmv.d.x fs11, zero"
	                 :
	                 :
	                 : "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
	                   "fs0", "fs5", "fs11");
}
#else
#error "plant() does not know this CPU"
#endif

static void plant_values(struct plant *p, uint64_t seed)
{
	memset(p, 0, sizeof *p);
	for (int i = 0; i < REGISTERS; i++)
		p->values[i] = UINT64_C(0x5eed000000000001) + (seed << 32) + (uint64_t)i * 0x1010;
}

/* ---- Floating-point control ---- */

/* More than the rounding mode: flush to zero, and x87's precision. */
static uint64_t fp_control(void)
{
#if defined __x86_64__
	uint32_t mxcsr;
	uint16_t x87;

	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(x87));
	return (uint64_t)x87 << 32 | (mxcsr & 0xffc0);
#elif defined __aarch64__
	uint64_t v;

	__asm__ volatile("mrs %0, fpcr" : "=r"(v));
	return v;
#else
	return (uint64_t)fegetround();
#endif
}

static void fp_set_control(uint64_t v)
{
#if defined __x86_64__
	uint32_t mxcsr = (uint32_t)v;
	uint16_t x87 = (uint16_t)(v >> 32);

	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(x87));
#elif defined __aarch64__
	__asm__ volatile("msr fpcr, %0" : : "r"(v));
#else
	fesetround((int)v);
#endif
}

/* Two settings that differ from each other and from the default in every part that the machine
 * has (Valgrind knows the rounding mode only). */
static uint64_t fp_other(int which)
{
	uint64_t before = fp_control(), v;

	fesetround(which ? FE_UPWARD : FE_DOWNWARD);
	v = fp_control();
#if defined __x86_64__
	v ^= which ? UINT64_C(0x8000) : UINT64_C(0x8040) | UINT64_C(0x100) << 32;
#elif defined __aarch64__
	v ^= which ? UINT64_C(1) << 24 : UINT64_C(1) << 25;
#endif
	fp_set_control(v);
	v = fp_control();
	fp_set_control(before);
	return v;
}

/* ---- Two sides that switch to each other ---- */

struct side {
	be_context *c;
	char *memory; /* of a made one */
	void *lo;     /* for the sanitizer */
	size_t size;
	void *fake;
};
static struct side home, away;
static void *record; /* home's */

/* All switches go through here, because AddressSanitizer wants to know. */
static void tools_leave(struct side *from, struct side *to)
{
#if RT_ASAN
	__sanitizer_start_switch_fiber(&from->fake, to->lo, to->size);
#endif
	(void)from, (void)to;
}
static void tools_arrive(struct side *self)
{
#if RT_ASAN
	__sanitizer_finish_switch_fiber(self->fake, NULL, NULL);
#endif
	(void)self;
}
static void hop(struct side *from, struct side *to)
{
	tools_leave(from, to);
	be_context_switch(from->c, to->c);
	tools_arrive(from);
}

static void away_make(size_t size, void (*fn)(void *), void *arg)
{
	void *hi;

	away.fake = NULL;
	away.memory = malloc(size);
	assert_non_null(away.memory);
	away.c = be_context_make(away.memory, size, fn, arg);
	assert_non_null(away.c);
	be_context_bounds(away.c, &away.lo, &hi);
	away.size = (size_t)((char *)hi - (char *)away.lo);
}

static void away_drop(void)
{
	be_context_drop(away.c);
	free(away.memory);
	away.c = NULL;
}

static void home_adopt(void)
{
	void *lo, *hi;

	assert_int_equal(be_thread_stack(&lo, &hi), 0);
	home.lo = lo;
	home.size = (size_t)((char *)hi - (char *)lo);
	record = malloc(be_context_size);
	assert_non_null(record);
	home.c = be_context_adopt(record);
	assert_non_null(home.c);
}

static int set_up(void **state)
{
	(void)state;
	home_adopt();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	be_context_unadopt(home.c);
	free(record);
	return 0;
}

/* ---- Tests ---- */

static void test_constants(void **state)
{
	(void)state;
	assert_true(be_context_size > 0 && be_context_size % 16 == 0);
	assert_true(strlen(be_context_name) > 0);
	assert_true(be_context_owns_stack == (strcmp(be_context_name, "fiber") == 0));
	print_message("context: %s, record %u bytes\n", be_context_name, (unsigned)be_context_size);
}

static struct {
	void *arg;
	uint64_t n;
} seen;

static void count(void *arg)
{
	tools_arrive(&away);
	seen.arg = arg;
	for (;;) {
		seen.n++;
		hop(&away, &home);
	}
}

static void test_argument(void **state)
{
	int here;

	(void)state;
	seen.n = 0;
	away_make(STACK, count, &here);
	assert_int_equal(seen.n, 0);
	hop(&home, &away);
	assert_ptr_equal(seen.arg, &here);
	assert_int_equal(seen.n, 1);
	away_drop();
}

static void test_million(void **state)
{
	(void)state;
	seen.n = 0;
	away_make(STACK, count, NULL);
	for (int i = 0; i < MILLION / 2; i++)
		hop(&home, &away);
	assert_int_equal(seen.n, MILLION / 2);
	away_drop();
}

/* More values than there are registers, alive over every switch. */
static uint64_t juggle(struct side *from, struct side *to, uint64_t seed)
{
	uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
	uint64_t g = seed * 17, h = seed * 19, i = seed * 23, j = seed * 29, k = seed * 31;
	double x = (double)seed, y = x * 3, z = x * 5;

	for (int n = 0; n < 1000; n++) {
		hop(from, to);
		a += b ^ k, b += c ^ a, c += d ^ b, d += e ^ c, e += f ^ d, f += g ^ e;
		g += h ^ f, h += i ^ g, i += j ^ h, j += k ^ i, k += a ^ j;
		x = x / 2 + y / 4 + 1, y = y / 2 + z / 4 + 1, z = z / 2 + x / 4 + 1;
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ (uint64_t)(x + y + z);
}

static uint64_t juggled[2];

static void juggler(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	for (;;)
		juggled[1] = juggle(&away, &home, 7);
}

static void nobody(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	for (;;)
		hop(&away, &home);
}

static void test_live_values(void **state)
{
	uint64_t alone[2];

	(void)state;
	away_make(STACK, nobody, NULL);
	alone[0] = juggle(&home, &away, 3);
	alone[1] = juggle(&home, &away, 7);
	away_drop();

	away_make(STACK, juggler, NULL);
	juggled[0] = juggle(&home, &away, 3);
	for (int i = 0; i < 2; i++)
		hop(&home, &away); /* the other side has to finish its last round */
	assert_true(juggled[0] == alone[0]);
	assert_true(juggled[1] == alone[1]);
	away_drop();
}

static struct plant planted[2]; /* home's and away's */

static void plant_and_switch(struct plant *p, struct side *from, struct side *to)
{
	p->f = (void (*)(void *, void *, void *))(void *)be_context_switch;
	p->a = from->c;
	p->b = to->c;
	tools_leave(from, to);
	plant(p);
	tools_arrive(from);
}

static void planter(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	for (;;)
		plant_and_switch(&planted[1], &away, &home);
}

/* AddressSanitizer must not look: the scan goes over dead and poisoned slots. */
static __attribute__((no_sanitize_address)) bool lies_in(const void *lo, const void *hi,
                                                         uint64_t value)
{
	for (const volatile uint64_t *p = lo; (const void *)(p + 1) <= hi; p++)
		if (*p == value)
			return true;
	return false;
}

static void test_registers(void **state)
{
	void *lo, *hi;

	(void)state;
	away_make(STACK, planter, NULL);
	be_context_bounds(away.c, &lo, &hi);
	for (uint64_t round = 1; round < 100; round++) {
		plant_values(&planted[0], round);
		if (round == 1)
			plant_values(&planted[1], 1000);
		plant_and_switch(&planted[0], &home, &away);
		for (int i = 0; i < REGISTERS; i++)
			assert_true(planted[0].out[i] == planted[0].values[i]);
		/* Saved: found on its stack, by whole words from sp. */
		assert_true((uintptr_t)be_context_sp(away.c) % sizeof(void *) == 0);
		for (int i = 0; i < REGISTERS; i++)
			assert_true(lies_in(be_context_sp(away.c), hi, planted[1].values[i]));
		/* And it gets them back. */
		if (round > 1)
			assert_memory_equal(planted[1].out, planted[1].values,
			                    REGISTERS * sizeof(uint64_t));
	}
	away_drop();
}

static bool home_kept;

static void look_at_home(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	for (;;) {
		home_kept = true;
		for (int i = 0; i < REGISTERS; i++)
			if (!lies_in(be_context_sp(home.c), (char *)home.lo + home.size,
			             planted[0].values[i]))
				home_kept = false;
		hop(&away, &home);
	}
}

/* The same for a thread's own stack. */
static void test_registers_of_adopted(void **state)
{
	(void)state;
	away_make(STACK, look_at_home, NULL);
	plant_values(&planted[0], 77);
	plant_and_switch(&planted[0], &home, &away);
	assert_true(home_kept);
	away_drop();
}

static uint64_t fp_seen;

static void fp_away(void *arg)
{
	uint64_t mine = *(uint64_t *)arg;

	tools_arrive(&away);
	fp_set_control(mine);
	for (;;) {
		hop(&away, &home);
		fp_seen = fp_control();
	}
}

static void test_fp_control(void **state)
{
	uint64_t before = fp_control(), settings[2] = {fp_other(0), fp_other(1)};
	volatile double one = 1, three = 3, down, up;
	bool kept = true;

	(void)state;
	assert_true(settings[0] != settings[1] && settings[0] != before && settings[1] != before);
	away_make(STACK, fp_away, &settings[1]);
	hop(&home, &away);
	assert_true(fp_control() == before);
	fp_set_control(settings[0]);
	for (int i = 0; i < 10; i++) {
		hop(&home, &away);
		kept = kept && fp_control() == settings[0] && fp_seen == settings[1];
	}
	down = one / three;
	fp_set_control(before);
	hop(&home, &away);
	kept = kept && fp_control() == before;
	fesetround(FE_UPWARD);
	up = one / three;
	fp_set_control(before);
	assert_true(kept);
	assert_true(down < up);
	away_drop();
}

void probe_body(void *arg)
{
	tools_arrive(&away);
	seen.arg = arg;
	for (;;)
		hop(&away, &home);
}

static void test_entry_alignment(void **state)
{
	int here;

	(void)state;
	for (size_t odd = 0; odd < 64; odd += 8) {
		probe_sp = 1;
		away_make(STACK + odd, probe_entry, &here);
		hop(&home, &away);
		assert_int_equal(probe_sp % 16, ENTRY_MODULO);
		assert_ptr_equal(seen.arg, &here);
		away_drop();
	}
}

static void test_bounds(void **state)
{
	void *lo, *hi, *sp;

	(void)state;
	away_make(STACK, count, NULL);
	be_context_bounds(away.c, &lo, &hi);
	if (!be_context_owns_stack) {
		assert_ptr_equal(lo, away.memory);
		assert_ptr_equal(hi, away.memory + STACK);
	}
	assert_true((char *)hi - (char *)lo >= STACK);
	for (int i = 0; i < 3; i++) { /* before it ran, too */
		sp = be_context_sp(away.c);
		assert_true(sp >= lo && sp < hi);
		hop(&home, &away);
	}
	assert_true(seen.arg == NULL);
	away_drop();
}

/* Uses the stack down to address `to`, a frame after the other. */
static RT_NOINLINE int descend(uintptr_t to)
{
	volatile char frame[512];
	int sum;

	frame[0] = 1;
	sum = (uintptr_t)&frame > to ? descend(to) : 0;
	return sum + frame[0];
}

static void descends(void *arg)
{
	for (;;) {
		seen.n = descend((uintptr_t)arg);
		hop(&away, &home);
	}
}

/* A reserved stack, of which the system makes as much as is touched; later contexts on it go on from there. */
static void test_growth(void **state)
{
	const be_arena_caps *a = be_arena_query();
	size_t room = a->page * 8;
	char *base, *lo, *hi, *limit;

	(void)state;
	if (!a->stacks_grow || be_context_owns_stack)
		return;
	base = be_arena_reserve(NULL, a->granularity * 4, a->granularity);
	assert_non_null(base);
	lo = base + a->page + room;
	hi = base + a->granularity * 4;
	limit = hi - 2 * a->page;
	assert_int_equal(be_arena_commit(limit, 2 * a->page), 0);
	assert_int_equal(be_arena_growth_guard(limit - a->page, a->page), 0);
	for (int part = 1; part <= 4; part++) {
		char *to = hi - (hi - lo) / 5 * part;

		away.c = be_context_make(lo, (size_t)(hi - lo), descends, to);
		assert_non_null(away.c);
		be_context_grows(away.c, base, limit, room);
		assert_ptr_equal(be_context_limit(away.c), limit);
		for (int i = 0; i < 2; i++) {
			hop(&home, &away);
			assert_true(seen.n > 3);
		}
		limit = be_context_limit(away.c);
		assert_true(limit <= to && limit >= lo);
		be_context_drop(away.c);
	}
	be_arena_release(base, a->granularity * 4);
}

static void test_smallest_stack(void **state)
{
	(void)state;
	/* The sanitizer's code needs more than the contract counts with. */
	away_make(2 * be_context_size + 1024 + (RT_ASAN ? 4096 : 0), count, NULL);
	seen.n = 0;
	for (int i = 0; i < 10; i++)
		hop(&home, &away);
	assert_int_equal(seen.n, 10);
	away_drop();
}

static void test_drop(void **state)
{
	(void)state;
	seen.n = 0;
	for (int i = 0; i < 2000; i++) { /* run or not */
		away_make(STACK, count, NULL);
		if (i % 2)
			hop(&home, &away);
		away_drop();
	}
	assert_int_equal(seen.n, 1000);
}

/* Started on one thread, it goes on on another, then comes back. */
static struct {
	uint64_t threads[3];
	uint64_t fp[3];
	int n;
	struct side *back;
} tour;

static void tourist(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	fp_set_control(fp_other(1));
	for (;;) {
		tour.threads[tour.n % 3] = be_thread_id();
		tour.fp[tour.n % 3] = fp_control();
		tour.n++;
		hop(&away, tour.back);
	}
}

static void carry(void *arg)
{
	static struct side local;
	void *rec = malloc(be_context_size), *lo = NULL, *hi = NULL;

	(void)arg;
	(void)be_thread_stack(&lo, &hi);
	local = (struct side){.c = be_context_adopt(rec),
	                      .lo = lo,
	                      .size = (size_t)((char *)hi - (char *)lo)};
	tour.back = &local;
	hop(&local, &away);
	be_context_unadopt(local.c);
	free(rec);
}

static void test_another_thread(void **state)
{
	be_thread t;

	(void)state;
	memset(&tour, 0, sizeof tour);
	away_make(STACK, tourist, NULL);
	tour.back = &home;
	hop(&home, &away);
	assert_int_equal(be_thread_start(&t, carry, NULL, 0), 0);
	be_thread_join(&t);
	tour.back = &home;
	hop(&home, &away);
	assert_int_equal(tour.n, 3);
	assert_true(tour.threads[0] == be_thread_id());
	assert_true(tour.threads[1] != be_thread_id());
	assert_true(tour.threads[2] == be_thread_id());
	assert_true(tour.fp[1] == fp_other(1) && tour.fp[2] == fp_other(1));
	away_drop();
}

/* ---- Backtraces ---- */

static struct {
	int n;
	_Unwind_Reason_Code end;
	bool home; /* no switch: on the thread's own stack */
} trail;

static RT_UNUSED _Unwind_Reason_Code trace_step(struct _Unwind_Context *c, void *arg)
{
	(void)c, (void)arg;
	return ++trail.n < 64 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

#if defined __GLIBC__ || defined _WIN32
enum { HAS_UNWINDER = 1 };
#define unwind() _Unwind_Backtrace(trace_step, NULL)
#else
/* For the reason see unwind.c of the fault slot. */
enum { HAS_UNWINDER = 0 };
#define unwind() _URC_END_OF_STACK
#endif

static RT_NOINLINE void leaf(void)
{
	trail.n = 0;
	trail.end = unwind();
	if (!trail.home)
		hop(&away, &home);
}

static RT_NOINLINE void deep(int n)
{
	if (n > 0)
		deep(n - 1);
	else
		leaf();
	__asm__ volatile("" : : : "memory"); /* no tail call */
}

static void trace_away(void *arg)
{
	(void)arg;
	tools_arrive(&away);
	for (;;)
		deep(3);
}

static void test_backtrace_ends(void **state)
{
	(void)state;
	/* Without the tables (gcc for RISC-V makes them only when asked to) there is nothing to see. */
	trail.home = true;
	deep(3);
	trail.home = false;
	if (!HAS_UNWINDER || trail.n < 6)
		skip();
	away_make(STACK, trace_away, NULL);
	for (int i = 0; i < 2; i++) {
		hop(&home, &away);
		/* leaf, deep four times, trace_away, and few of the backend's own. */
		assert_in_range(trail.n, 6, 12);
		assert_int_equal(trail.end, _URC_END_OF_STACK);
	}
	away_drop();
}

/* ---- try and leave ---- */

static struct {
	void *marks[3];
	int results[3];
	int depth, target;
	bool came_back;
} jump;

static void returns(void *arg)
{
	++*(int *)arg;
}

static void test_try_returns(void **state)
{
	void *mark = NULL;
	int n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(be_context_try(&mark, returns, &n), 0);
	assert_int_equal(n, 1000);
	assert_non_null(mark);
}

static void leaves(void *arg)
{
	volatile char ballast[256];

	memset((char *)ballast, 1, sizeof ballast);
	be_context_leave(*(void **)arg);
}

static void test_leave(void **state)
{
	void *mark;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(be_context_try(&mark, leaves, &mark), 1);
}

static void nest(void *arg)
{
	int depth = jump.depth++;

	(void)arg;
	if (depth == 3)
		be_context_leave(jump.marks[jump.target]);
	jump.results[depth] = be_context_try(&jump.marks[depth], nest, NULL);
	jump.depth--;
}

static void test_nested(void **state)
{
	(void)state;
	for (jump.target = 0; jump.target < 3; jump.target++) {
		jump.depth = 0;
		memset(jump.results, -1, sizeof jump.results);
		nest(NULL);
		for (int i = 0; i < 3; i++)
			assert_int_equal(jump.results[i], i > jump.target    ? -1
			                                  : i == jump.target ? 1
			                                                     : 0);
	}
}

static void scrambles(void *arg)
{
	fp_set_control(fp_other(1));
	scramble();
	be_context_leave(*(void **)arg);
}

static void test_leave_restores(void **state)
{
	uint64_t before = fp_control(), setting = fp_other(0), after;
	static void *mark;
	struct plant p;

	(void)state;
	for (uint64_t round = 0; round < 20; round++) {
		plant_values(&p, round);
		p.f = (void (*)(void *, void *, void *))(void *)be_context_try;
		p.a = &mark;
		p.b = (void *)scrambles;
		p.c = &mark;
		fp_set_control(setting);
		plant(&p);
		after = fp_control();
		fp_set_control(before);
		assert_true(after == setting);
		assert_int_equal((int)p.result, 1);
		for (int i = 0; i < REGISTERS; i++)
			assert_true(p.out[i] == p.values[i]);
	}
}

/* On a made context, with switches inside: what panics and recovers do. */
static void switches_and_leaves(void *arg)
{
	for (int i = 0; i < 5; i++)
		hop(&away, &home);
	be_context_leave(*(void **)arg);
}

static void tries_away(void *arg)
{
	void *mark;

	(void)arg;
	tools_arrive(&away);
	for (;;) {
		if (be_context_try(&mark, switches_and_leaves, &mark) == 1)
			seen.n++;
	}
}

static void test_try_on_made(void **state)
{
	(void)state;
	seen.n = 0;
	away_make(STACK, tries_away, NULL);
	for (int i = 0; i < 5 * 100 + 1; i++)
		hop(&home, &away);
	assert_int_equal(seen.n, 100);
	away_drop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_constants),
	        cmocka_unit_test(test_argument),
	        cmocka_unit_test(test_million),
	        cmocka_unit_test(test_live_values),
	        cmocka_unit_test(test_registers),
	        cmocka_unit_test(test_registers_of_adopted),
	        cmocka_unit_test(test_fp_control),
	        cmocka_unit_test(test_entry_alignment),
	        cmocka_unit_test(test_bounds),
	        cmocka_unit_test(test_growth),
	        cmocka_unit_test(test_smallest_stack),
	        cmocka_unit_test(test_drop),
	        cmocka_unit_test(test_another_thread),
	        cmocka_unit_test(test_backtrace_ends),
	        cmocka_unit_test(test_try_returns),
	        cmocka_unit_test(test_leave),
	        cmocka_unit_test(test_nested),
	        cmocka_unit_test(test_leave_restores),
	        cmocka_unit_test(test_try_on_made),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
