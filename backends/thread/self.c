/* self.c: the thread-local word of self.h on systems with ELF thread-locals.
 *
 * On x86-64 with glibc readers use the inline asm of self.h, which names the variable: it must
 * keep its name under LTO ("used") and stay inside the library ("hidden"). Elsewhere readers call
 * be_self_get, whose volatile asm has two jobs: no compiler may take the function for a pure one whose result
 * can be kept, and inlining by LTO is off, so that the address of the variable never outlives a call.
 *
 * Rejected: pthread_getspecific (three times the price); the thread pointer as an index into a
 * table (it must be looked up under a lock or hashed).
 */
#include "backends/thread/self.h"

#ifdef BE_SELF_INITIAL_EXEC
#define MODEL __attribute__((tls_model("initial-exec")))
#else
#define MODEL
#endif

extern __thread void *be_self_word MODEL __attribute__((visibility("hidden")));
__thread void *be_self_word MODEL __attribute__((used));

#if !(defined BE_SELF_INITIAL_EXEC && defined __x86_64__)
__attribute__((noinline)) void *be_self_get(void)
{
	void *p;

	__asm__ volatile("" ::: "memory");
	p = be_self_word;
	__asm__ volatile("" : "+r"(p)::"memory");
	return p;
}
#endif

__attribute__((noinline)) void be_self_set(void *p)
{
	be_self_word = p;
	__asm__ volatile("" ::: "memory");
}
