/* panic.h: what other rooms need of panics and deferred calls. */
#ifndef CORE_BUILTIN_PANIC_H
#define CORE_BUILTIN_PANIC_H

#include "core/base/types.h"
#include "core/include/gort.h"

enum { RT_DEFERBLOCK_SIZE = 512 }; /* size of the records in gort_runtime.defers */

/* A panic with one of Go's texts. The caller is inside the runtime (after RT_ENTER) and holds no
 * lock. text is a constant. rt_panic_text prints it as it is, rt_panic_error after "runtime error: ". */
_Noreturn void rt_panic_text(const char *text);
_Noreturn void rt_panic_error(const char *text);
/* "runtime error: comparing uncomparable type T", "... hash of unhashable type T". */
_Noreturn void rt_panic_uncomparable(const gort_type *t);
_Noreturn void rt_panic_unhashable(const gort_type *t);

/* Up-calls, see rt_upcalls. The first runs on gp, begins outside the runtime and returns inside; the
 * second on any thread that has gp to itself, and does not look at gp's stack. */
void rt_goroutine_main(rt_g *gp, gort_func fn, void *arg);
void rt_panic_drop(rt_g *gp);
/* Inside the runtime but for fn, on gp. Returns when fn has come to its end, perhaps by a recovery; not if gp was
 * dropped meanwhile. */
void rt_scope_call(rt_g *gp, gort_func fn, void *arg);
/* A fault in gp's code, inside the runtime, on top of the frames of the fault. Does not return. */
void rt_panic_fault(rt_g *gp, const char *error, const struct rt_faulted *fault);

/* Every word by which gp's deferred calls and panics may hold a heap object. gp does not run. */
void rt_panic_roots(rt_g *gp, void (*visit)(void *data, void **slot), void *data);

#endif
