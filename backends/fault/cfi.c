/* cfi.c: reads call frame information (.eh_frame), as unwinders do.
 *
 * For each range of code a compiler writes down, as a little program, where the caller's frame begins
 * (the CFA) and where its registers lie. A step finds the program of the frame's pc by the table in
 * .eh_frame_hdr, runs it up to that pc, and applies the rules. The format is DWARF 5, 6.4, with the
 * additions of the Linux Standard Base (augmentations, the table).
 *
 * Why not the compiler's unwinder: it can only begin where it stands, but a parked goroutine, one that
 * was stopped, and one that faulted are looked at from another stack. Why not frame pointers: most
 * hosts are built without. What this one does not do: take a lock, allocate, or read memory outside
 * the given stack, so that a smashed stack ends the walk and not the process.
 */
#include "backends/fault/cfi.h"

#include "backends/fault/elf.h"
#include "backends/machine.h"
#include "backends/fault/reader.h"

#include <string.h>

/* ---- Reading ---- */

/* A pointer in one of the encodings of the table. */
static uintptr_t encoded(reader *r, unsigned encoding, uintptr_t data)
{
	uintptr_t at = (uintptr_t)r->p, v;

	switch (encoding & 0x0f) {
	case 0x00:
		v = (uintptr_t)fixed(r, sizeof v);
		break;
	case 0x01:
		v = (uintptr_t)uleb(r);
		break;
	case 0x02:
		v = (uintptr_t)fixed(r, 2);
		break;
	case 0x03:
		v = (uintptr_t)fixed(r, 4);
		break;
	case 0x04:
	case 0x0c:
		v = (uintptr_t)fixed(r, 8);
		break;
	case 0x09:
		v = (uintptr_t)sleb(r);
		break;
	case 0x0a:
		v = (uintptr_t)(int16_t)fixed(r, 2);
		break;
	case 0x0b:
		v = (uintptr_t)(intptr_t)(int32_t)fixed(r, 4);
		break;
	default:
		r->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case 0x00:
		return v;
	case 0x10:
		return v + at;
	case 0x30:
		return v + data;
	default:
		r->bad = true;
		return 0;
	}
}

/* ---- The program of a pc ---- */

typedef struct program {
	uint64_t code_align;
	int64_t data_align;
	unsigned encoding;        /* of addresses */
	bool augmented, signal;
	reader initial, own;      /* instructions of the common part, and of this range */
	uintptr_t start, size;
} program;

/* An entry's contents; its length stands before them. */
static reader entry_at(const uint8_t *p)
{
	reader r = { p, p + 4, false };
	uint32_t n = (uint32_t)fixed(&r, 4);

	if (n == 0 || n == 0xffffffff) /* the end; or 64 bits, which nobody writes into .eh_frame */
		return (reader){ p, p, true };
	r.end += n;
	return r;
}

static void read_augmentation(reader *r, const char *text, program *out)
{
	uint64_t n = uleb(r);
	reader a = { r->p, r->p + n, false };

	out->augmented = true;
	for (text++; *text != '\0'; text++)
		if (*text == 'R') {
			out->encoding = (unsigned)fixed(&a, 1);
		} else if (*text == 'L') {
			(void)fixed(&a, 1);
		} else if (*text == 'P') {
			unsigned how = (unsigned)fixed(&a, 1);

			(void)encoded(&a, how & 0x7f, 0);
		} else if (*text == 'S') {
			out->signal = true;
		} else if (*text != 'B') {
			r->bad = true;
		}
	r->p += n;
}

static bool read_common(const uint8_t *at, program *out)
{
	reader r = entry_at(at);
	unsigned version;
	const char *text;

	if (r.bad || fixed(&r, 4) != 0)
		return false;
	version = (unsigned)fixed(&r, 1);
	text = (const char *)r.p;
	while (fixed(&r, 1) != 0 && !r.bad)
		;
	if (version != 1 && version != 3)
		return false;
	out->code_align = uleb(&r);
	out->data_align = sleb(&r);
	if (version == 1 ? fixed(&r, 1) != BE_CFI_RA : uleb(&r) != BE_CFI_RA)
		return false;
	if (text[0] == 'z')
		read_augmentation(&r, text, out);
	else if (text[0] != '\0')
		return false;
	out->initial = r;
	return !r.bad;
}

static bool read_range(const uint8_t *at, uintptr_t pc, program *out)
{
	reader r = entry_at(at);
	const uint8_t *field = r.p;
	uint32_t back = (uint32_t)fixed(&r, 4);

	*out = (program){ 0 };
	if (r.bad || back == 0 || !read_common(field - back, out))
		return false;
	out->start = encoded(&r, out->encoding & 0x7f, 0);
	out->size = encoded(&r, out->encoding & 0x0f, 0);
	if (out->augmented) {
		uint64_t n = uleb(&r);

		r.p += n;
	}
	out->own = r;
	return !r.bad && r.p <= r.end && pc - out->start < out->size;
}

enum { HDR_TABLE = 0x3b }; /* relative to the header, 4 bytes, signed: what linkers write */

/* The last range that begins at or before pc. */
static bool find_program(uintptr_t pc, program *out)
{
	be_module m;
	reader r;
	const uint8_t *hdr, *table;
	uintptr_t lo = 0, hi;
	int32_t pair[2];

	if (!be_module_find(pc, &m) || m.unwind == NULL)
		return false;
	hdr = m.unwind;
	if (hdr[0] != 1 || hdr[3] != HDR_TABLE)
		return false;
	r = (reader){ hdr + 4, hdr + 24, false };
	(void)encoded(&r, hdr[1], (uintptr_t)hdr);
	hi = encoded(&r, hdr[2], (uintptr_t)hdr);
	table = r.p;
	if (r.bad || hi == 0)
		return false;
	while (hi - lo > 1) {
		uintptr_t mid = lo + (hi - lo) / 2;

		memcpy(pair, table + 8 * mid, sizeof pair);
		if ((uintptr_t)hdr + (uintptr_t)(intptr_t)pair[0] <= pc)
			lo = mid;
		else
			hi = mid;
	}
	memcpy(pair, table + 8 * lo, sizeof pair);
	return read_range(hdr + pair[1], pc, out);
}

/* ---- Running it ---- */

typedef struct rule {
	enum { SAME, UNDEFINED, AT_CFA, CFA_PLUS, REGISTER, AT_EXPRESSION, EXPRESSION } how;
	int64_t n;      /* offset, or register */
	reader code;
} rule;

typedef struct row {
	rule cfa;       /* REGISTER with an offset, or EXPRESSION */
	int64_t cfa_offset;
	rule reg[BE_CFI_REGS];
} row;

enum { REMEMBERED = 4 }; /* compilers nest them once */

typedef struct run {
	const program *in;
	uintptr_t pc, at;
	row now, initial, kept[REMEMBERED];
	int nkept;
} run;

static rule *rule_of(run *x, uint64_t reg, rule *nowhere)
{
	return reg < BE_CFI_REGS ? &x->now.reg[reg] : nowhere;
}

static reader block(reader *r)
{
	uint64_t n = uleb(r);
	reader b = { r->p, r->p + n, false };

	if (n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return *r;
	}
	r->p += n;
	return b;
}

static void set_cfa(run *x, uint64_t reg, int64_t offset)
{
	x->now.cfa = (rule){ .how = REGISTER, .n = (int64_t)reg };
	x->now.cfa_offset = offset;
}

static void set(run *x, uint64_t reg, int how, int64_t n)
{
	rule nowhere;

	*rule_of(x, reg, &nowhere) = (rule){ .how = how, .n = n };
}

/* False: the row for pc is complete. */
static bool advance(run *x, uint64_t delta)
{
	if (x->at + delta * x->in->code_align > x->pc)
		return false;
	x->at += (uintptr_t)(delta * x->in->code_align);
	return true;
}

static bool remember(run *x, reader *r, bool store)
{
	if (store && x->nkept < REMEMBERED)
		x->kept[x->nkept++] = x->now;
	else if (!store && x->nkept > 0)
		x->now = x->kept[--x->nkept];
	else
		r->bad = true;
	return true;
}

/* The instructions whose operand is not in the opcode's low bits. */
static bool extended(run *x, reader *r, unsigned op)
{
	int64_t f = x->in->data_align;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */
	case 0x2d: /* arm64: return addresses are signed from here on; we strip always */
		return true;
	case 0x01: /* set_loc */
		reg = encoded(r, x->in->encoding & 0x7f, 0);
		return advance(x, (reg - x->at) / x->in->code_align);
	case 0x02:
		return advance(x, fixed(r, 1));
	case 0x03:
		return advance(x, fixed(r, 2));
	case 0x04:
		return advance(x, fixed(r, 4));
	case 0x05: /* offset_extended */
		reg = uleb(r);
		set(x, reg, AT_CFA, (int64_t)uleb(r) * f);
		return true;
	case 0x06: /* restore_extended */
		reg = uleb(r);
		if (reg < BE_CFI_REGS)
			x->now.reg[reg] = x->initial.reg[reg];
		return true;
	case 0x07:
		set(x, uleb(r), UNDEFINED, 0);
		return true;
	case 0x08:
		set(x, uleb(r), SAME, 0);
		return true;
	case 0x09: /* register */
		reg = uleb(r);
		set(x, reg, REGISTER, (int64_t)uleb(r));
		return true;
	case 0x0a:
		return remember(x, r, true);
	case 0x0b:
		return remember(x, r, false);
	case 0x0c: /* def_cfa */
		reg = uleb(r);
		set_cfa(x, reg, (int64_t)uleb(r));
		return true;
	case 0x0d: /* def_cfa_register */
		set_cfa(x, uleb(r), x->now.cfa_offset);
		return true;
	case 0x0e: /* def_cfa_offset */
		x->now.cfa_offset = (int64_t)uleb(r);
		return true;
	case 0x0f: /* def_cfa_expression */
		x->now.cfa = (rule){ .how = EXPRESSION, .code = block(r) };
		return true;
	case 0x10: /* expression */
	case 0x16: /* val_expression */
		reg = uleb(r);
		{
			rule nowhere;

			*rule_of(x, reg, &nowhere) =
				(rule){ .how = op == 0x10 ? AT_EXPRESSION : EXPRESSION, .code = block(r) };
		}
		return true;
	case 0x11: /* offset_extended_sf */
		reg = uleb(r);
		set(x, reg, AT_CFA, sleb(r) * f);
		return true;
	case 0x12: /* def_cfa_sf */
		reg = uleb(r);
		set_cfa(x, reg, sleb(r) * f);
		return true;
	case 0x13: /* def_cfa_offset_sf */
		x->now.cfa_offset = sleb(r) * f;
		return true;
	case 0x14: /* val_offset */
		reg = uleb(r);
		set(x, reg, CFA_PLUS, (int64_t)uleb(r) * f);
		return true;
	case 0x15: /* val_offset_sf */
		reg = uleb(r);
		set(x, reg, CFA_PLUS, sleb(r) * f);
		return true;
	case 0x2e: /* GNU_args_size */
		(void)uleb(r);
		return true;
	default:
		r->bad = true;
		return false;
	}
}

static bool execute(run *x, reader r)
{
	while (r.p < r.end && !r.bad) {
		unsigned op = (unsigned)fixed(&r, 1), low = op & 0x3f;

		switch (op & 0xc0) {
		case 0x40: /* advance_loc */
			if (!advance(x, low))
				return true;
			break;
		case 0x80: /* offset */
			set(x, low, AT_CFA, (int64_t)uleb(&r) * x->in->data_align);
			break;
		case 0xc0: /* restore */
			if (low < BE_CFI_REGS)
				x->now.reg[low] = x->initial.reg[low];
			break;
		default:
			if (!extended(x, &r, op))
				return !r.bad;
		}
	}
	return !r.bad;
}

/* ---- Applying the rules ---- */

static bool load(const be_cfi_frame *f, uintptr_t at, uintptr_t *out)
{
	if (at < f->lo || at > f->hi - sizeof *out || f->hi - f->lo < sizeof *out)
		return false;
	memcpy(out, (const void *)at, sizeof *out);
	return true;
}

enum { DEPTH = 16 };

typedef struct evaluation {
	const be_cfi_frame *f;
	uintptr_t stack[DEPTH];
	int n;
	bool bad;
} evaluation;

static void push(evaluation *e, uintptr_t v)
{
	if (e->n < DEPTH)
		e->stack[e->n++] = v;
	else
		e->bad = true;
}

static uintptr_t pop(evaluation *e)
{
	if (e->n > 0)
		return e->stack[--e->n];
	e->bad = true;
	return 0;
}

static void push_reg(evaluation *e, uint64_t reg, int64_t offset)
{
	const be_cfi_frame *f = e->f;
	uintptr_t v = 0;

#ifdef __x86_64__
	if (reg == BE_CFI_RA) /* here it is the pc of the frame itself: PLT entries ask for it */
		v = f->pc;
	else
#endif
	if (reg < BE_CFI_REGS && (f->known >> reg & 1))
		v = f->reg[reg];
	else
		e->bad = true;
	push(e, v + (uintptr_t)offset);
}

static void two(evaluation *e, unsigned op)
{
	uintptr_t b = pop(e), a = pop(e);

	switch (op) {
	case 0x1a:
		push(e, a & b);
		return;
	case 0x1c:
		push(e, a - b);
		return;
	case 0x21:
		push(e, a | b);
		return;
	case 0x22:
		push(e, a + b);
		return;
	case 0x24:
		push(e, b < 64 ? a << b : 0);
		return;
	case 0x25:
		push(e, b < 64 ? a >> b : 0);
		return;
	case 0x2a:
		push(e, (intptr_t)a >= (intptr_t)b);
		return;
	case 0x2b:
		push(e, (intptr_t)a > (intptr_t)b);
		return;
	case 0x2c:
		push(e, (intptr_t)a <= (intptr_t)b);
		return;
	case 0x2d:
		push(e, (intptr_t)a < (intptr_t)b);
		return;
	default:
		e->bad = true;
	}
}

static void operation(evaluation *e, reader *r, unsigned op)
{
	uintptr_t v;

	if (op >= 0x30 && op <= 0x4f) {
		push(e, op - 0x30);
	} else if (op >= 0x70 && op <= 0x8f) {
		push_reg(e, op - 0x70, sleb(r));
	} else if (op == 0x92) { /* bregx */
		uint64_t reg = uleb(r);

		push_reg(e, reg, sleb(r));
	} else if (op == 0x06) { /* deref */
		e->bad |= !load(e->f, pop(e), &v);
		push(e, e->bad ? 0 : v);
	} else if (op == 0x08 || op == 0x0a || op == 0x0c || op == 0x0e) { /* constN, unsigned */
		push(e, (uintptr_t)fixed(r, (size_t)1 << (op - 0x08) / 2));
	} else if (op == 0x09) {
		push(e, (uintptr_t)(int8_t)fixed(r, 1));
	} else if (op == 0x0b) {
		push(e, (uintptr_t)(int16_t)fixed(r, 2));
	} else if (op == 0x10) {
		push(e, (uintptr_t)uleb(r));
	} else if (op == 0x11) {
		push(e, (uintptr_t)sleb(r));
	} else if (op == 0x12) { /* dup */
		v = pop(e);
		push(e, v);
		push(e, v);
	} else if (op == 0x13) {
		(void)pop(e);
	} else if (op == 0x23) { /* plus_uconst */
		v = pop(e);
		push(e, v + (uintptr_t)uleb(r));
	} else if (op != 0x96) { /* nop */
		two(e, op);
	}
}

static bool evaluate(const be_cfi_frame *f, reader code, const uintptr_t *first, uintptr_t *out)
{
	evaluation e = { .f = f };

	if (first != NULL)
		push(&e, *first);
	while (code.p < code.end && !code.bad && !e.bad)
		operation(&e, &code, (unsigned)fixed(&code, 1));
	*out = pop(&e);
	return !e.bad && !code.bad;
}

static bool find_cfa(const be_cfi_frame *f, const row *now, uintptr_t *cfa)
{
	uint64_t reg = (uint64_t)now->cfa.n;

	if (now->cfa.how == EXPRESSION)
		return evaluate(f, now->cfa.code, NULL, cfa);
	if (now->cfa.how != REGISTER || reg >= BE_CFI_REGS || !(f->known >> reg & 1))
		return false;
	*cfa = f->reg[reg] + (uintptr_t)now->cfa_offset;
	return true;
}

/* The caller's value of a register; false: unknown. */
static bool apply(const be_cfi_frame *f, const rule *by, int reg, uintptr_t cfa, uintptr_t *out)
{
	switch (by->how) {
	case SAME:
		*out = f->reg[reg];
		return f->known >> reg & 1;
	case AT_CFA:
		return load(f, cfa + (uintptr_t)by->n, out);
	case CFA_PLUS:
		*out = cfa + (uintptr_t)by->n;
		return true;
	case REGISTER:
		*out = by->n < BE_CFI_REGS ? f->reg[by->n] : 0;
		return by->n < BE_CFI_REGS && (f->known >> by->n & 1);
	case AT_EXPRESSION:
		return evaluate(f, by->code, &cfa, out) && load(f, *out, out);
	case EXPRESSION:
		return evaluate(f, by->code, &cfa, out);
	default:
		return false;
	}
}

/* arm64 may have signed it. */
static uintptr_t unsigned_pc(uintptr_t pc)
{
#ifdef __aarch64__
	register uintptr_t x30 __asm__("x30") = pc;

	__asm__("hint #7" : "+r"(x30)); /* xpaclri */
	pc = x30;
#endif
	return pc;
}

bool be_fault_cfi_step(be_cfi_frame *f)
{
	program in;
	run x = { .in = &in };
	be_cfi_frame up = { .lo = f->lo, .hi = f->hi };
	uintptr_t cfa, v;

	x.pc = f->exact ? f->pc : f->pc - 1;
	if (!find_program(x.pc, &in))
		return false;
	x.at = in.start;
	if (!execute(&x, in.initial))
		return false;
	x.at = in.start;
	x.initial = x.now;
	if (!execute(&x, in.own) || !find_cfa(f, &x.now, &cfa))
		return false;
	be_cfi_set(&up, BE_CFI_SP, cfa); /* unless a rule says otherwise: signal frames */
	for (int i = 0; i < BE_CFI_REGS; i++)
		if ((i != BE_CFI_SP || x.now.reg[i].how != SAME) && apply(f, &x.now.reg[i], i, cfa, &v))
			be_cfi_set(&up, i, v);
	if (!(up.known >> BE_CFI_RA & 1))
		return false;
	up.pc = unsigned_pc(up.reg[BE_CFI_RA]);
	up.exact = in.signal;
	/* Outwards, or this was the innermost frame and has none of its own. */
	if (up.pc == 0 || up.reg[BE_CFI_SP] < f->reg[BE_CFI_SP] ||
	    (up.reg[BE_CFI_SP] == f->reg[BE_CFI_SP] && !f->exact))
		return false;
	*f = up;
	return true;
}

bool be_fault_fp_step(be_cfi_frame *f)
{
	uintptr_t fp = f->reg[BE_CFI_FP], words[2], sp;

	if (!(f->known >> BE_CFI_FP & 1) || fp % sizeof fp != 0 || fp < f->reg[BE_CFI_SP] ||
	    !load(f, fp + (uintptr_t)MACHINE_FRAME, &words[0]) ||
	    !load(f, fp + (uintptr_t)MACHINE_FRAME + sizeof fp, &words[1]) || words[1] == 0)
		return false;
#if defined __aarch64__
	/* The pair lies at the frame's low end: the caller's own pair is its sp. */
	sp = words[0] > fp ? words[0] : fp + sizeof words;
#else
	sp = fp + (uintptr_t)MACHINE_FRAME + sizeof words;
#endif
	if (sp <= f->reg[BE_CFI_SP]) /* outwards only: it ends */
		return false;
	f->known = 0;
	f->exact = false;
	f->pc = unsigned_pc(words[1]);
	be_cfi_set(f, BE_CFI_FP, words[0]);
	be_cfi_set(f, BE_CFI_SP, sp);
	return true;
}
