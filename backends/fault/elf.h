/* elf.h: modules (the program, shared libraries) of this process, and what their files say about code. */
#ifndef BACKENDS_FAULT_ELF_H
#define BACKENDS_FAULT_ELF_H

#include "backends/fault/reader.h"

typedef struct be_module {
	uintptr_t lo, hi;      /* its memory */
	uintptr_t base;        /* what was added to the addresses in the file */
	const char *path;      /* "": the program */
	const uint8_t *unwind; /* .eh_frame_hdr, or NULL */
} be_module;

/* Takes no lock: other threads may be stopped while they load a library. */
bool be_module_find(uintptr_t pc, be_module *out);
/* Looks which modules there are. Where the loader has no answer without a lock, be_module_find knows
 * those of the last call. Not in a handler, and by one thread at a time. */
void be_module_refresh(void);

/* The place of the code at `address`, as in the file, by a .debug_line section. str and line_str are the
 * sections of those names. False: not there. */
bool be_fault_line(reader lines, reader str, reader line_str, uint64_t address, char *file, size_t size,
                   unsigned *line);

#endif
