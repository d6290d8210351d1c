/* data.h: the writable static data of the program and of the libraries that it has loaded.
 *
 * Contract. Exactly one implementation is linked (Meson option `data`): elf.c (dl_iterate_phdr), pe.c (sections of
 * modules on Windows), none.c.
 */
#ifndef BACKENDS_DATA_H
#define BACKENDS_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char be_data_name[]; /* "elf", "pe", "none" */
extern const bool be_data_works;  /* false: there is never anything */

/* The n bytes at `place`, whole words of a program's static data, or a copy of them. */
typedef bool be_data_fn(void *arg, uintptr_t place, const void *words, size_t n);

/* Calls fn for piece after piece of all that is writable and static in every module loaded now; false ends it. This
 * library's own, too: it may lie in the same module as the program's. Left out: thread-locals, what only the loader
 * writes, and pages that cannot be read. The words stay readable while fn runs, whoever unloads a library meanwhile:
 * that thread waits, or the words are a copy. Others may write to them at any time. A library that is loaded after the
 * first call of fn may be left out.
 *
 * Waits for the loader's lock, and may hold it while fn runs. So the caller holds nothing that somebody wants who
 * loads or unloads a library, and nobody who does is stopped for as long as the caller is waited for. Not in
 * handlers. */
void be_data_each(be_data_fn *fn, void *arg);

#endif
