/* panic_impl.h: between panic.c, which raises and recovers, and panictext.c, which knows values and texts. */
#ifndef CORE_BUILTIN_PANIC_IMPL_H
#define CORE_BUILTIN_PANIC_IMPL_H

#include "core/builtin/panic.h"
#include "core/sched/sched_inline.h"

#include <stdbool.h>

typedef struct panic {
	rt_panicking head;   /* first */
	gort_eface value;
	bool goexit, recovered;
} panic;

static inline panic *older_than(const panic *p)
{
	return (panic *)p->head.link;
}

/* Values as Go's runtime panics with; on the heap. The text is a constant unless it is copied. */
gort_eface rt_panic_value_plain(const char *text);
gort_eface rt_panic_value_error(const char *text); /* printed after "runtime error: " */
gort_eface rt_panic_value_error_about(const char *text, const char *name); /* the same; both copied */
gort_eface rt_panic_value_nil(void);
gort_eface rt_panic_value_copied(const char *text); /* a string */

/* Inside the runtime: no scope has stopped p, the newest; the run fails with the texts of all. */
_Noreturn void rt_panic_give_up(panic *p);

#endif
