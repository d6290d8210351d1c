/* elf.c: modules and names of code, on ELF systems.
 *
 * Which module holds an address is asked with other threads stopped anywhere, perhaps inside dlopen,
 * so no lock of the loader may be waited for. glibc answers without one (_dl_find_object, since
 * 2.35). Elsewhere dl_iterate_phdr locks; there a table is kept that is made anew at moments when
 * nobody is stopped, and its predecessors stay for those who read them.
 *
 * Names come from the file itself, mapped while a report is written: the loader knows only exported
 * symbols, the file has all of them (.symtab) unless it was stripped, and the source lines. A file
 * that is no longer the one that was loaded is not believed: its headers are compared.
 *
 * Frames of this library are told from the user's by the module, or, when it is linked into the
 * user's, by the symbols: locals follow the name of their source file, and each of ours contains
 * the local symbol MARK (core/base/mark.h).
 */
#include "backends/fault/elf.h"

#include "backends/fault/fault.h"
#include "backends/thread/thread.h"
#include "core/base/atomic.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined __GLIBC__ && defined __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 35)
#define LOADER_ANSWERS 1
#endif
#endif
#ifndef LOADER_ANSWERS
#define LOADER_ANSWERS 0
#endif

#define MARK "rt_this_file_is_gorts"

/* ---- Modules ---- */

static void read_module(const struct dl_phdr_info *in, be_module *m)
{
	*m = (be_module){ .lo = UINTPTR_MAX, .base = in->dlpi_addr, .path = in->dlpi_name };
	for (int i = 0; i < in->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &in->dlpi_phdr[i];
		uintptr_t at = in->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_GNU_EH_FRAME)
			m->unwind = (const uint8_t *)at;
		if (ph->p_type != PT_LOAD)
			continue;
		m->lo = at < m->lo ? at : m->lo;
		m->hi = at + ph->p_memsz > m->hi ? at + ph->p_memsz : m->hi;
	}
	if ((uintptr_t)in->dlpi_phdr == (uintptr_t)getauxval(AT_PHDR))
		m->path = "";
}

#if LOADER_ANSWERS
bool be_module_find(uintptr_t pc, be_module *out)
{
	struct dl_find_object found;

	if (_dl_find_object((void *)pc, &found) != 0)
		return false;
	*out = (be_module){ .lo = (uintptr_t)found.dlfo_map_start,
	                    .hi = (uintptr_t)found.dlfo_map_end,
	                    .base = found.dlfo_link_map->l_addr,
	                    .path = found.dlfo_link_map->l_name,
	                    .unwind = found.dlfo_eh_frame };
	return true;
}

void be_module_refresh(void)
{
	(void)read_module;
}
#else
typedef struct table {
	struct table *older;
	size_t n, bytes;
	be_module m[];
} table;

static rt_atomicptr newest; /* a table; released when complete, never freed */

struct filling {
	table *t; /* NULL: only counts */
	size_t n;
};

static int fill(struct dl_phdr_info *in, size_t size, void *arg)
{
	struct filling *f = arg;

	(void)size;
	if (f->t != NULL && f->n < f->t->n)
		read_module(in, &f->t->m[f->n]);
	f->n++;
	return 0;
}

static bool same(const table *a, const table *b)
{
	return a != NULL && a->n == b->n && memcmp(a->m, b->m, a->n * sizeof a->m[0]) == 0;
}

void be_module_refresh(void)
{
	struct filling f = { NULL, 0 };
	table *now = rt_loadptr_acq(&newest), *t;
	size_t bytes;

	be_thread_nofork_begin();
	dl_iterate_phdr(fill, &f);
	bytes = sizeof *t + f.n * sizeof t->m[0];
	t = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t != MAP_FAILED) {
		t->n = f.n;
		t->bytes = bytes;
		f = (struct filling){ t, 0 };
		dl_iterate_phdr(fill, &f);
		if (f.n < t->n) /* fewer than a moment ago */
			t->n = f.n;
		t->older = now;
		if (same(now, t))
			munmap(t, bytes);
		else
			rt_storeptr_rel(&newest, t);
	}
	be_thread_nofork_end();
}

bool be_module_find(uintptr_t pc, be_module *out)
{
	const table *t = rt_loadptr_acq(&newest);

	for (size_t i = 0; t != NULL && i < t->n; i++)
		if (pc - t->m[i].lo < t->m[i].hi - t->m[i].lo) {
			*out = t->m[i];
			return true;
		}
	return false;
}
#endif

/* ---- Files ---- */

enum { FILES = 6 };

typedef struct file {
	uintptr_t base, lo;
	const uint8_t *map;      /* NULL: there is none that can be read */
	size_t size;
	const ElfW(Sym) *symbols;
	size_t nsymbols;
	const char *names;
	size_t nnames;
	bool whole;              /* it has .symtab, not only the exported ones */
	reader lines, str, line_str;
} file;

struct be_fault_files {
	unsigned n, next;
	file files[FILES];
};
const size_t be_fault_files_size = sizeof(struct be_fault_files);

static const ElfW(Shdr) *section(const file *f, size_t i)
{
	const ElfW(Ehdr) *e = (const void *)f->map;
	const ElfW(Shdr) *s = (const void *)(f->map + e->e_shoff);

	return i < e->e_shnum ? &s[i] : NULL;
}

static bool inside(const file *f, const ElfW(Shdr) *s)
{
	return s != NULL && s->sh_type != SHT_NOBITS && !(s->sh_flags & SHF_COMPRESSED) &&
	       s->sh_offset <= f->size && s->sh_size <= f->size - s->sh_offset;
}

static void use_symbols(file *f, const ElfW(Shdr) *s)
{
	const ElfW(Shdr) *names = section(f, s->sh_link);

	if (!inside(f, s) || !inside(f, names) || names->sh_size == 0 ||
	    f->map[names->sh_offset + names->sh_size - 1] != 0 || s->sh_offset % 8 != 0)
		return;
	f->symbols = (const void *)(f->map + s->sh_offset);
	f->nsymbols = s->sh_size / sizeof f->symbols[0];
	f->names = (const char *)f->map + names->sh_offset;
	f->nnames = names->sh_size;
	f->whole = s->sh_type == SHT_SYMTAB;
}

static void use_section(file *f, const ElfW(Shdr) *s, const char *name)
{
	reader r = { f->map + s->sh_offset, f->map + s->sh_offset + s->sh_size, false };

	if (s->sh_type == SHT_SYMTAB || (s->sh_type == SHT_DYNSYM && f->symbols == NULL))
		use_symbols(f, s);
	if (!inside(f, s))
		return;
	if (strcmp(name, ".debug_line") == 0)
		f->lines = r;
	else if (strcmp(name, ".debug_str") == 0)
		f->str = r;
	else if (strcmp(name, ".debug_line_str") == 0)
		f->line_str = r;
}

static void use_sections(file *f)
{
	const ElfW(Ehdr) *e = (const void *)f->map;
	const ElfW(Shdr) *names;

	if (e->e_shentsize != sizeof(ElfW(Shdr)) || e->e_shoff % 8 != 0 || e->e_shoff > f->size ||
	    (size_t)e->e_shnum * sizeof(ElfW(Shdr)) > f->size - e->e_shoff)
		return;
	names = section(f, e->e_shstrndx);
	if (!inside(f, names) || names->sh_size == 0 || f->map[names->sh_offset + names->sh_size - 1] != 0)
		return;
	for (size_t i = 0; i < e->e_shnum; i++) {
		const ElfW(Shdr) *s = section(f, i);

		if (s->sh_name < names->sh_size)
			use_section(f, s, (const char *)f->map + names->sh_offset + s->sh_name);
	}
}

/* What was loaded begins with the headers of the file. */
static bool is_the_one(const file *f, const be_module *m)
{
	const ElfW(Ehdr) *e = (const void *)f->map;
	size_t n;

	if (f->size < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
	    e->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return false;
	n = e->e_phoff + (size_t)e->e_phnum * e->e_phentsize;
	return n <= f->size && n <= 4096 && memcmp((const void *)m->lo, f->map, n) == 0;
}

static void open_file(file *f, const be_module *m)
{
	int fd = open(m->path[0] != '\0' ? m->path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		f->size = (size_t)st.st_size;
		map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED) {
			f->map = map;
			if (is_the_one(f, m)) {
				use_sections(f);
			} else {
				munmap(map, f->size);
				f->map = NULL;
			}
		}
	}
	close(fd);
}

static void close_file(file *f)
{
	if (f->map != NULL)
		munmap((void *)(uintptr_t)f->map, f->size);
	f->map = NULL;
}

static file *file_of(be_fault_files *in, const be_module *m)
{
	file *f;

	for (unsigned i = 0; i < in->n; i++)
		if (in->files[i].lo == m->lo)
			return &in->files[i];
	f = &in->files[in->next];
	in->next = (in->next + 1) % FILES;
	if (in->n < FILES)
		in->n++;
	close_file(f);
	*f = (file){ .base = m->base, .lo = m->lo };
	open_file(f, m);
	return f;
}

void be_fault_files_close(be_fault_files *in)
{
	for (unsigned i = 0; i < in->n; i++)
		close_file(&in->files[i]);
	in->n = in->next = 0;
}

/* ---- Symbols ---- */

static const char *name_of(const file *f, const ElfW(Sym) *s)
{
	return s->st_name < f->nnames ? f->names + s->st_name : "";
}

/* The function at `address`; *ours: its source file has the mark. */
static const ElfW(Sym) *find_symbol(const file *f, uintptr_t address, bool *ours)
{
	const ElfW(Sym) *best = NULL;
	bool marked = false, best_here = false;

	*ours = false;
	for (size_t i = 0; i < f->nsymbols; i++) {
		const ElfW(Sym) *s = &f->symbols[i];
		unsigned type = s->st_info & 0xf;

		if (type == STT_FILE) {
			marked = best_here = false;
		} else if (type == STT_OBJECT && strcmp(name_of(f, s), MARK) == 0) {
			marked = true;
			*ours |= best_here;
		} else if (type == STT_FUNC && s->st_shndx != SHN_UNDEF &&
		           address - s->st_value < s->st_size &&
		           (best == NULL || s->st_value > best->st_value)) {
			best = s;
			best_here = true;
			*ours = marked;
		}
	}
	return best;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* The file of a module as the caller's text; the program has no name of its own. */
static void module_path(const be_module *m, char *out, size_t size)
{
	ssize_t n;

	if (m->path[0] != '\0') {
		out[0] = '\0';
		strncat(out, m->path, size - 1);
		return;
	}
	n = readlink("/proc/self/exe", out, size - 1);
	out[n > 0 ? n : 0] = '\0';
}

/* Without what compilers append to the name of a part or a clone. */
static void copy_name(const char *from, char *out, size_t size)
{
	size_t n = 0;

	while (from[n] != '\0' && (from[n] != '.' || n == 0) && n + 1 < size) {
		out[n] = from[n];
		n++;
	}
	out[n] = '\0';
}

static bool is_program(const be_module *m)
{
	return m->path[0] == '\0';
}

int be_fault_lookup(be_fault_files *files, uintptr_t pc, bool exact, be_fault_symbol *out)
{
	uintptr_t at = exact ? pc : pc - 1;
	be_module m, own;
	const ElfW(Sym) *s;
	const file *f;

	memset(out, 0, sizeof *out);
	if (!be_module_find(at, &m))
		return -ENOENT;
	f = file_of(files, &m);
	out->offset = pc - m.base;
	module_path(&m, out->file, sizeof out->file);
	s = find_symbol(f, at - m.base, &out->internal);
	if (s != NULL) {
		copy_name(name_of(f, s), out->function, sizeof out->function);
		out->offset = pc - m.base - s->st_value;
	}
	if (be_module_find((uintptr_t)be_fault_lookup, &own) && own.lo == m.lo) {
		out->internal |= begins(out->function, "rt_") || begins(out->function, "be_");
		out->internal |= !f->whole && !is_program(&m) && s == NULL;
	}
	out->exported = begins(out->function, "gort_");
	if (f->lines.p != NULL && !f->lines.bad)
		(void)be_fault_line(f->lines, f->str, f->line_str, at - m.base, out->file, sizeof out->file,
		                    &out->line);
	return 0;
}
