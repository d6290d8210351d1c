/* elf.c: writable segments of modules, by dl_iterate_phdr: glibc, musl, also in static programs.
 *
 * The loader holds a lock while it calls back, and takes the same to unmap a library (musl never unmaps one). So the
 * segment stays where it is until we return. But a program may have made pages of it unreadable (mprotect), so what fn
 * sees is a copy that the system makes, as it would for a debugger, without faulting. Where it refuses (a sandbox, an
 * emulator), fn sees the words where they lie.
 *
 * What the loader makes read-only once it has relocated it (RELRO: tables of functions, the GOT) holds no pointers that
 * came later.
 */
#include "backends/data/data.h"

#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

const char be_data_name[] = "elf";
const bool be_data_works = true;

enum { WINDOW = 16 << 10 };

typedef struct walk {
	bool (*fn)(void *arg, const void *words, size_t n);
	void *arg;
	bool direct;  /* the system does not copy */
	size_t page;
} walk;

static bool program(const struct dl_phdr_info *in)
{
	return (uintptr_t)in->dlpi_phdr == (uintptr_t)getauxval(AT_PHDR);
}

static bool holds(const struct dl_phdr_info *in, const void *p)
{
	for (int i = 0; i < in->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &in->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && (uintptr_t)p - (in->dlpi_addr + ph->p_vaddr) < ph->p_memsz)
			return true;
	}
	return false;
}

/* How many bytes could be read from `from` on. */
static size_t copy(void *to, uintptr_t from, size_t n)
{
	struct iovec here = { to, n }, there = { (void *)from, n };
	ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

	return got > 0 ? (size_t)got : 0;
}

static bool copies(void)
{
	static const uintptr_t probe = UINTPTR_MAX / 3;
	uintptr_t seen = 0;

	return copy(&seen, (uintptr_t)&probe, sizeof seen) == sizeof seen && seen == probe;
}

static bool give_copies(const walk *w, uintptr_t lo, uintptr_t hi)
{
	uintptr_t words[WINDOW / sizeof(uintptr_t)];

	while (lo < hi) {
		size_t n = hi - lo < WINDOW ? hi - lo : WINDOW, got = copy(words, lo, n);

		got -= got % sizeof words[0];
		if (got > 0 && !w->fn(w->arg, words, got))
			return false;
		lo += got;
		if (got < n) /* past what cannot be read */
			lo = lo / w->page * w->page + w->page;
	}
	return true;
}

/* Whole words of [lo, hi). */
static bool give(const walk *w, uintptr_t lo, uintptr_t hi)
{
	const uintptr_t mask = sizeof(void *) - 1;

	lo = (lo + mask) & ~mask;
	hi &= ~mask;
	if (lo >= hi)
		return true;
	return w->direct ? w->fn(w->arg, (const void *)lo, hi - lo) : give_copies(w, lo, hi);
}

/* The range of RELRO, which is empty if there is none. */
static void relro(const struct dl_phdr_info *in, uintptr_t *lo, uintptr_t *hi)
{
	*lo = *hi = 0;
	for (int i = 0; i < in->dlpi_phnum; i++)
		if (in->dlpi_phdr[i].p_type == PT_GNU_RELRO) {
			*lo = in->dlpi_addr + in->dlpi_phdr[i].p_vaddr;
			*hi = *lo + in->dlpi_phdr[i].p_memsz;
		}
}

static bool segment(const walk *w, const struct dl_phdr_info *in, const ElfW(Phdr) *ph)
{
	uintptr_t lo = in->dlpi_addr + ph->p_vaddr, hi = lo + ph->p_memsz, rlo, rhi;

	relro(in, &rlo, &rhi);
	if (rhi <= lo || rlo >= hi)
		return give(w, lo, hi);
	return (rlo <= lo || give(w, lo, rlo)) && (rhi >= hi || give(w, rhi, hi));
}

static int module(struct dl_phdr_info *in, size_t size, void *arg)
{
	const walk *w = arg;

	(void)size;
	if (holds(in, be_data_name) && !program(in))
		return 0;
	for (int i = 0; i < in->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &in->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) && !segment(w, in, ph))
			return 1;
	}
	return 0;
}

void be_data_each(bool (*fn)(void *arg, const void *words, size_t n), void *arg)
{
	walk w = { fn, arg, !copies(), (size_t)sysconf(_SC_PAGESIZE) };

	(void)dl_iterate_phdr(module, &w);
}
