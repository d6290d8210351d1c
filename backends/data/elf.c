/* elf.c: writable segments of modules, by dl_iterate_phdr: glibc, musl, also in static programs.
 *
 * The loader holds a lock while it calls back. glibc does not renew that lock in the child of a fork, and whoever
 * throws an exception may need it: it is held for as long as a list takes, and no fork comes in between. So a library
 * may be unmapped afterwards, and a program may have made pages unreadable (mprotect): what fn sees is a copy that the
 * system makes, as it would for a debugger, without faulting.
 *
 * Where the system refuses to copy (a sandbox, an emulator), or there is no memory for a list, fn is called back under
 * the loader's lock, which it takes to unmap a library, too (musl never unmaps one).
 *
 * What the loader makes read-only once it has relocated it (RELRO: tables of functions, the GOT) holds no pointers that
 * came later.
 */
#include "backends/data/data.h"

#include "backends/thread/thread.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

const char be_data_name[] = "elf";
const bool be_data_works = true;

enum { WINDOW = 16 << 10, LIST = 100 };

typedef struct list {
	size_t n, cap, bytes; /* n may be more than cap: then it has only counted */
	struct range {
		uintptr_t lo, hi;
	} at[];
} list;

typedef struct walk {
	be_data_fn *fn;
	void *arg;
	bool copies;  /* the system does */
	size_t page;
	list *into;   /* NULL: fn is called at once */
} walk;

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
		if (got > 0 && !w->fn(w->arg, lo, words, got))
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
	if (w->into != NULL) {
		if (w->into->n++ < w->into->cap)
			w->into->at[w->into->n - 1] = (struct range){ lo, hi };
		return true;
	}
	return w->copies ? give_copies(w, lo, hi) : w->fn(w->arg, lo, (const void *)lo, hi - lo);
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
	for (int i = 0; i < in->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &in->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) && !segment(w, in, ph))
			return 1;
	}
	return 0;
}

static list *new_list(size_t cap)
{
	size_t bytes = sizeof(list) + cap * sizeof(struct range);
	list *l = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (l == MAP_FAILED)
		return NULL;
	*l = (list){ .cap = cap, .bytes = bytes };
	return l;
}

static void each_module(walk *w)
{
	be_thread_nofork_begin();
	(void)dl_iterate_phdr(module, w);
	be_thread_nofork_end();
}

/* Of all modules at one moment, or NULL. */
static list *take_list(void)
{
	for (size_t cap = LIST;;) {
		walk w = { .into = new_list(cap) };

		if (w.into == NULL)
			return NULL;
		each_module(&w);
		if (w.into->n <= cap)
			return w.into;
		cap = w.into->n * 2;
		munmap(w.into, w.into->bytes);
	}
}

void be_data_each(be_data_fn *fn, void *arg)
{
	walk w = { fn, arg, copies(), (size_t)sysconf(_SC_PAGESIZE), NULL };
	list *l = w.copies ? take_list() : NULL;

	if (l == NULL) {
		each_module(&w);
		return;
	}
	for (size_t i = 0; i < l->n && give(&w, l->at[i].lo, l->at[i].hi); i++)
		;
	munmap(l, l->bytes);
}
