/* mark.h: put before every source file of the library by its build (not by any #include), so that
 * backtraces can tell its functions from a user's where both are linked into one file: see
 * backends/fault/elf.c. */
#ifndef CORE_BASE_MARK_H
#define CORE_BASE_MARK_H

#if !defined __ASSEMBLER__ && defined __ELF__
static const char rt_this_file_is_gorts __attribute__((used)) = 0;
#endif

#endif
