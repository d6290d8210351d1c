/* config.c: gort_config from defaults, environment and option strings. All or nothing: a bad option
 * string leaves the config as it was. */
#include "core/api/config.h"

#include "core/base/attrs.h"
#include "core/base/debugvars.h"
#include "core/sched/sched_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values: a span [s, e) of text ----------------------------------------------------------- */

static bool is(const char *s, const char *e, const char *word)
{
	return (size_t)(e - s) == strlen(word) && memcmp(s, word, (size_t)(e - s)) == 0;
}

/* A decimal number, digits only but for a sign. Stores the end of it in *rest. */
static bool number(const char *s, const char *e, int64_t *out, const char **rest)
{
	bool negative = s < e && *s == '-';
	int64_t v = 0;
	const char *p = s + negative;

	if (p == e || *p < '0' || *p > '9')
		return false;
	for (; p < e && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return false;
	*out = negative ? -v : v;
	*rest = p;
	return true;
}

static bool integer(const char *s, const char *e, int64_t *out)
{
	const char *rest;

	return number(s, e, out, &rest) && rest == e;
}

/* "64MiB": B, KiB, MiB, GiB, TiB, or none for bytes. */
static bool bytes(const char *s, const char *e, int64_t *out)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	const char *rest;
	int64_t v;

	if (!number(s, e, &v, &rest) || v < 0)
		return false;
	*out = v;
	if (rest == e)
		return true;
	for (int i = 0; i < (int)RT_NELEM(units); i++)
		if (is(rest, e, units[i]))
			return !__builtin_mul_overflow(v, (int64_t)1 << (10 * i), out);
	return false;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool set_procs(gort_config *cfg, const char *s, const char *e)
{
	int64_t v;

	if (!integer(s, e, &v) || v < 0 || v > RT_MAXPROCS)
		return false;
	cfg->procs = (int)v;
	return true;
}

static bool set_gogc(gort_config *cfg, const char *s, const char *e)
{
	int64_t v = -1;

	if (!is(s, e, "off") && (!integer(s, e, &v) || v < INT_MIN || v > INT_MAX))
		return false;
	cfg->gc_percent = (int)v;
	return true;
}

static bool set_memlimit(gort_config *cfg, const char *s, const char *e)
{
	int64_t v = INT64_MAX;

	if (!is(s, e, "off") && !bytes(s, e, &v))
		return false;
	cfg->memory_limit = v;
	return true;
}

static bool set_stack(gort_config *cfg, const char *s, const char *e)
{
	int64_t v;

	if (!bytes(s, e, &v))
		return false;
	cfg->stack_size = (size_t)v;
	return true;
}

static bool set_collector(gort_config *cfg, const char *s, const char *e)
{
	static const char *const names[] = { "concurrent", "stw", "none" };

	for (size_t i = 0; i < RT_NELEM(names); i++)
		if (is(s, e, names[i])) {
			cfg->collector = names[i];
			return true;
		}
	return false;
}

static bool set_seed(gort_config *cfg, const char *s, const char *e)
{
	int64_t v;

	if (!integer(s, e, &v) || v < 0)
		return false;
	cfg->seed = (uint64_t)v;
	return true;
}

static const struct {
	const char *name;
	bool (*set)(gort_config *cfg, const char *s, const char *e);
} options[] = {
	{ "procs", set_procs }, { "gogc", set_gogc },   { "memlimit", set_memlimit },
	{ "stack", set_stack }, { "seed", set_seed },   { "collector", set_collector },
};

static bool set_one(gort_config *cfg, const char *s, const char *e)
{
	const char *eq = memchr(s, '=', (size_t)(e - s));

	for (size_t i = 0; eq != NULL && i < RT_NELEM(options); i++)
		if (is(s, eq, options[i].name))
			return options[i].set(cfg, eq + 1, e);
	return false;
}

static bool debug_ok(const char *text, bool strict)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	return rt_debugvars_parse(&d, text, strict) == 0;
}

GORT_API int gort_config_parse(gort_config *cfg, const char *text)
{
	gort_config new;

	if (cfg == NULL || text == NULL)
		return GORT_EINVAL;
	new = *cfg;
	while (*text != '\0') {
		const char *end = text + strcspn(text, ",");

		if (strncmp(text, "debug=", 6) == 0) { /* takes the rest, commas and all */
			if (!debug_ok(text + 6, true))
				return GORT_EINVAL;
			new.debug = text + 6;
			break;
		}
		if (!set_one(&new, text, end))
			return GORT_EINVAL;
		if (*end == ',' && end[1] == '\0')
			return GORT_EINVAL;
		text = *end == ',' ? end + 1 : end;
	}
	*cfg = new;
	return 0;
}

/* ---- Defaults and environment ------------------------------------------------------------------ */

/* Like Go, a malformed variable is as if it were not set. */
static void from_env(gort_config *cfg, const char *name,
                     bool (*set)(gort_config *, const char *, const char *))
{
	const char *v = getenv(name);

	if (v != NULL)
		(void)set(cfg, v, v + strlen(v));
}

GORT_API void gort_config_init_sized(gort_config *cfg, size_t size)
{
	gort_config full = {
		.size = size < sizeof full ? size : sizeof full,
		.gc_percent = 100,
		.memory_limit = INT64_MAX,
		.collector = "none",
		.signals = GORT_SIGNAL_PREEMPT | GORT_SIGNAL_FAULT,
	};
	const char *debug = getenv("GODEBUG");

	from_env(&full, "GOMAXPROCS", set_procs);
	from_env(&full, "GOGC", set_gogc);
	from_env(&full, "GOMEMLIMIT", set_memlimit);
	full.debug = debug != NULL && *debug != '\0' ? debug : NULL;
	memset(cfg, 0, size);
	memcpy(cfg, &full, full.size);
}

/* The smallest struct that there ever was: up to debug. */
enum { FIRST_SIZE = sizeof(gort_config) };

int rt_config_check(const gort_config *cfg)
{
	if (cfg->size < FIRST_SIZE || cfg->procs < 0 || cfg->procs > RT_MAXPROCS ||
	    cfg->memory_limit < 0 || cfg->stack_size > (size_t)1 << 30)
		return GORT_EINVAL;
	if ((cfg->signals & ~(unsigned)(GORT_SIGNAL_PREEMPT | GORT_SIGNAL_FAULT)) != 0 ||
	    (cfg->flags & ~(unsigned)(GORT_EXIT_ON_FATAL | GORT_SCAN_DATA | GORT_LIBRARY)) != 0)
		return GORT_EINVAL;
	if (cfg->debug != NULL && cfg->debug != getenv("GODEBUG") && !debug_ok(cfg->debug, true))
		return GORT_EINVAL;
	if (cfg->collector != NULL && strcmp(cfg->collector, "none") != 0)
		return strcmp(cfg->collector, "stw") == 0 ||
		                       strcmp(cfg->collector, "concurrent") == 0
		               ? GORT_ENOTSUP
		               : GORT_EINVAL;
	return cfg->seed != 0 || (cfg->flags & GORT_SCAN_DATA) ? GORT_ENOTSUP : 0;
}
