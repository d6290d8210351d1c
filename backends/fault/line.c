/* line.c: source lines, by the .debug_line section of a file (DWARF 2 to 5).
 *
 * The section is a row of units, each with tables of folders and files and a program that yields rows
 * (address, file, line) in rising order. All of them are run until one covers the address: tens
 * of megabytes a second, which a process that fails has time for. Rejected: libdw, libbacktrace
 * (libraries more, and they allocate), .debug_aranges (clang writes none).
 */
#include "backends/fault/elf.h"

typedef struct format {
	uint64_t what, form;
} format;
enum { FORMATS = 8 };
enum { NAME = 1, FOLDER = 2 }; /* DW_LNCT_path, _directory_index */

typedef struct unit {
	unsigned version, offset_size;
	unsigned min_length, line_range, opcode_base;
	int line_base;
	const uint8_t *lengths;   /* of the standard opcodes' operands */
	reader tables, program;
	reader str, line_str;
} unit;

static const char *text(reader *r)
{
	const char *s = (const char *)r->p;

	while (r->p < r->end && *r->p != 0)
		r->p++;
	(void)fixed(r, 1); /* marks r bad if the NUL is missing */
	return r->bad ? "" : s;
}

static const char *text_at(reader section, uint64_t offset)
{
	if (offset >= (uint64_t)(section.end - section.p))
		return "";
	section.p += offset;
	return text(&section);
}

/* ---- Tables ---- */

/* One value in a table of version 5. */
static void value(unit *u, reader *r, uint64_t form, const char **s, uint64_t *n)
{
	switch (form) {
	case 0x08: /* string */
		*s = text(r);
		return;
	case 0x0e: /* strp */
		*s = text_at(u->str, fixed(r, u->offset_size));
		return;
	case 0x1f: /* line_strp */
		*s = text_at(u->line_str, fixed(r, u->offset_size));
		return;
	case 0x0f: /* udata */
		*n = uleb(r);
		return;
	case 0x0b:
		*n = fixed(r, 1);
		return;
	case 0x05:
		*n = fixed(r, 2);
		return;
	case 0x06:
		*n = fixed(r, 4);
		return;
	case 0x07:
		*n = fixed(r, 8);
		return;
	case 0x1e: /* data16: a hash */
		(void)fixed(r, 8);
		(void)fixed(r, 8);
		return;
	default:
		r->bad = true;
	}
}

/* Entry `index` of the table at r, and r behind the table. */
static bool entry5(unit *u, reader *r, uint64_t index, const char **name, uint64_t *folder)
{
	format formats[FORMATS];
	uint64_t nformats = fixed(r, 1), n;
	bool found = false;

	for (uint64_t i = 0; i < nformats; i++) {
		format f = { uleb(r), 0 };

		f.form = uleb(r);
		if (i >= FORMATS)
			r->bad = true;
		else
			formats[i] = f;
	}
	n = uleb(r);
	for (uint64_t i = 0; i < n && !r->bad; i++)
		for (uint64_t k = 0; k < nformats && !r->bad; k++) {
			const char *s = "";
			uint64_t v = 0;

			value(u, r, formats[k].form, &s, &v);
			if (i != index || r->bad)
				continue;
			found = true;
			if (formats[k].what == NAME)
				*name = s;
			else if (formats[k].what == FOLDER)
				*folder = v;
		}
	return found && !r->bad;
}

static bool file5(unit *u, uint64_t index, const char **parts)
{
	reader r = u->tables, again = u->tables;
	uint64_t folder = 0, none;

	(void)entry5(u, &r, UINT64_MAX, &parts[2], &none); /* the folders */
	if (!entry5(u, &r, index, &parts[2], &folder))
		return false;
	(void)entry5(u, &again, 0, &parts[0], &none);
	again = u->tables;
	if (folder != 0)
		(void)entry5(u, &again, folder, &parts[1], &none);
	return true;
}

static bool file4(unit *u, uint64_t index, const char **parts)
{
	reader r = u->tables, folders = u->tables;
	uint64_t folder = 0;
	const char *s;

	while (*text(&r) != '\0')
		;
	for (uint64_t i = 1;; i++) {
		s = text(&r);
		folder = uleb(&r);
		(void)uleb(&r);
		(void)uleb(&r);
		if (r.bad || *s == '\0')
			return false;
		if (i == index)
			break;
	}
	parts[2] = s;
	for (uint64_t i = 0; i < folder; i++)
		parts[1] = text(&folders);
	return true;
}

static void append(char *out, size_t size, const char *s)
{
	size_t n = strlen(out);

	while (*s != '\0' && n + 1 < size)
		out[n++] = *s++;
	out[n] = '\0';
}

/* Folder of the compilation, folder, file: what stands behind the last absolute one. */
static void join(const char *const parts[3], char *out, size_t size)
{
	int first = parts[2][0] == '/' ? 2 : parts[1][0] == '/' ? 1 : 0;

	out[0] = '\0';
	for (int i = first; i < 3; i++) {
		append(out, size, parts[i]);
		if (i < 2 && parts[i][0] != '\0')
			append(out, size, "/");
	}
}

static bool name_file(unit *u, uint64_t index, char *out, size_t size)
{
	const char *parts[3] = { "", "", "" };

	if (!(u->version >= 5 ? file5(u, index, parts) : file4(u, index, parts)))
		return false;
	join(parts, out, size);
	return true;
}

/* ---- Programs ---- */

typedef struct state {
	uint64_t address, file;
	int64_t line;
	bool there;          /* a row of this sequence lies behind us */
	uint64_t last_file;
	int64_t last_line;
	uint64_t last_address;
} state;

static const state begin = { .file = 1, .line = 1 };

/* A row. True: the row before it covers the address. */
static bool row(state *s, uint64_t address)
{
	bool hit = s->there && s->last_address <= address && address < s->address;

	if (!hit) {
		s->there = true;
		s->last_address = s->address;
		s->last_file = s->file;
		s->last_line = s->line;
	}
	return hit;
}

static bool extended(unit *u, reader *r, state *s, uint64_t address)
{
	uint64_t n = uleb(r), op;
	reader own = { r->p, r->p + n, false };
	bool hit;

	if (n == 0 || n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return false;
	}
	r->p += n;
	op = fixed(&own, 1);
	if (op == 1) { /* end_sequence */
		hit = row(s, address);
		if (!hit)
			*s = begin;
		return hit;
	}
	if (op == 2) /* set_address */
		s->address = fixed(&own, (size_t)(n - 1) <= 8 ? (size_t)(n - 1) : 8);
	(void)u;
	return false;
}

static bool standard(unit *u, reader *r, state *s, unsigned op, uint64_t address)
{
	switch (op) {
	case 1: /* copy */
		return row(s, address);
	case 2:
		s->address += uleb(r) * u->min_length;
		return false;
	case 3:
		s->line += sleb(r);
		return false;
	case 4:
		s->file = uleb(r);
		return false;
	case 8: /* const_add_pc */
		s->address += (uint64_t)((255 - u->opcode_base) / u->line_range) * u->min_length;
		return false;
	case 9: /* fixed_advance_pc */
		s->address += fixed(r, 2);
		return false;
	default:
		for (unsigned i = 0; i < u->lengths[op - 1]; i++)
			(void)uleb(r);
		return false;
	}
}

static bool run(unit *u, uint64_t address, state *s)
{
	reader r = u->program;

	*s = begin;
	while (r.p < r.end && !r.bad) {
		unsigned op = (unsigned)fixed(&r, 1);
		bool hit;

		if (op >= u->opcode_base) {
			unsigned k = op - u->opcode_base;

			s->address += (uint64_t)(k / u->line_range) * u->min_length;
			s->line += u->line_base + (int)(k % u->line_range);
			hit = row(s, address);
		} else if (op == 0) {
			hit = extended(u, &r, s, address);
		} else {
			hit = standard(u, &r, s, op, address);
		}
		if (hit)
			return true;
	}
	return false;
}

/* The next unit of the section; false: the section is at its end, or broken. */
static bool next_unit(reader *lines, unit *u)
{
	uint64_t n = fixed(lines, 4), header;
	reader r;

	u->offset_size = 4;
	if (n == 0xffffffff) {
		u->offset_size = 8;
		n = fixed(lines, 8);
	}
	if (lines->bad || n > (uint64_t)(lines->end - lines->p))
		return false;
	r = (reader){ lines->p, lines->p + n, false };
	lines->p += n;
	u->version = (unsigned)fixed(&r, 2);
	if (u->version >= 5)
		(void)fixed(&r, 2); /* sizes of addresses and segments */
	header = fixed(&r, u->offset_size);
	if (header > (uint64_t)(r.end - r.p))
		return false;
	u->program = (reader){ r.p + header, r.end, false };
	r.end = r.p + header;
	u->min_length = (unsigned)fixed(&r, 1);
	if (u->version >= 4)
		(void)fixed(&r, 1); /* operations of an instruction */
	(void)fixed(&r, 1);
	u->line_base = (int8_t)fixed(&r, 1);
	u->line_range = (unsigned)fixed(&r, 1);
	u->opcode_base = (unsigned)fixed(&r, 1);
	u->lengths = r.p;
	for (unsigned i = 1; i < u->opcode_base; i++)
		(void)fixed(&r, 1);
	u->tables = r;
	if (r.bad || u->version < 2 || u->version > 5 || u->line_range == 0 || u->opcode_base == 0)
		u->program.p = u->program.end; /* of a kind that we do not know: skipped */
	return true;
}

bool be_fault_line(reader lines, reader str, reader line_str, uint64_t address, char *file, size_t size,
                   unsigned *line)
{
	unit u = { .str = str, .line_str = line_str };
	state s;

	while (lines.p < lines.end && next_unit(&lines, &u))
		if (run(&u, address, &s)) {
			*line = (unsigned)s.last_line;
			return name_file(&u, s.last_file, file, size);
		}
	return false;
}
