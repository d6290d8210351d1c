/* debugvars.h: the switches of GODEBUG, one table (debugvars.def) for parser, docs and defaults.
 *
 * "name=value,name=value": integers; an unknown name is an error at the API (GORT_EINVAL), and is
 * ignored in the environment as Go does. `syscallfail=NAME:N` makes the N-th call of a named
 * operation of a backend fail once: see rt_fail_now. Each runtime owns its values. */
#ifndef CORE_BASE_DEBUGVARS_H
#define CORE_BASE_DEBUGVARS_H

#include "core/base/atomic.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct rt_debugvars {
#define DEBUGVAR(name, dflt, text) int name;
#include "core/base/debugvars.def"
#undef DEBUGVAR
	char syscallfail[32];   /* name of the operation, "" = none */
	rt_atomic32 failleft;   /* calls of it until the failing one; 0 = done */
	rt_atomic32 oomleft;    /* requests until the refused one; 0 = done */
} rt_debugvars;

void rt_debugvars_init(rt_debugvars *d); /* the defaults */
/* Parses text into d. Returns 0, or -1 and leaves d as it was; `strict` = unknown names are errors. */
int rt_debugvars_parse(rt_debugvars *d, const char *text, bool strict);

/* Torture hooks, called in core before the operation. True = behave as if the system refused.
 * `what` is a constant: "thread", "commit", "reserve", "guard". */
bool rt_fail_now(rt_debugvars *d, const char *what);
bool rt_oom_now(rt_debugvars *d);

#endif
