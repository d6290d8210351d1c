/* self.h: one thread-local word of the library, read so that no compiler can cache it.
 *
 * glibc on x86-64: initial-exec thread-local, read by a volatile asm inline: two instructions.
 * Elsewhere an out-of-line function (self.c, win32.c). The loader of musl refuses initial-exec in
 * libraries that are loaded at run time, so only glibc (BE_SELF_INITIAL_EXEC, set by Meson) gets it. */
#ifndef BACKENDS_THREAD_SELF_H
#define BACKENDS_THREAD_SELF_H

#if defined BE_SELF_INITIAL_EXEC && defined __x86_64__
static inline void *be_self_get(void)
{
	void *p;

	__asm__ volatile("movq be_self_word@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0"
	                 : "=r"(p)
	                 :
	                 : "memory");
	return p;
}
#else
void *be_self_get(void);
#endif
void be_self_set(void *p);

#endif
