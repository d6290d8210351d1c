/* config.c: the settings of a runtime: defaults, environment, option strings, and their limits.
 *
 * The struct grows at its end. A caller built against an older header passes a smaller one: what it
 * lacks keeps its default. One built against a newer header passes a larger one: what we do not
 * know must be 0. So everything here works on a whole copy, and only as many bytes as the caller has go in and
 * out.
 *
 * The environment is Go's, and as in Go a value there that makes no sense counts as not set (Go
 * stops at a malformed GOMEMLIMIT; a library does not stop its host). Option strings are strict.
 */
#include "core/api/config.h"

#include "backends/data/data.h"
#include "core/base/check.h"
#include "core/base/debugvars.h"
#include "core/sched/sched_impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The first is the default. */
static const char *const collectors[] = { "concurrent", "stw", "none" };

/* ---- Values --------------------------------------------------------------------------------- */

typedef struct text {
	const char *s;
	size_t n;
} text;

static bool is(text t, const char *word)
{
	return t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}

/* Digits only, up to max. */
static bool parse_uint(text t, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (t.n == 0)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		unsigned d = (unsigned)(unsigned char)t.s[i] - '0';

		if (d > 9 || d > max || v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

static bool parse_int(text t, int *out)
{
	bool negative = t.n > 0 && t.s[0] == '-';
	uint64_t v;

	if (negative)
		t = (text){ t.s + 1, t.n - 1 };
	if (!parse_uint(t, INT_MAX, &v))
		return false;
	*out = negative ? -(int)v : (int)v;
	return true;
}

/* "64MiB", "100B", "4096" */
static bool parse_bytes(text t, uint64_t max, uint64_t *out)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = { { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 }, { "B", 0 } };
	unsigned shift = 0;

	for (size_t i = 0; i < RT_NELEM(units); i++) {
		size_t n = strlen(units[i].suffix);

		if (t.n > n && memcmp(t.s + t.n - n, units[i].suffix, n) == 0) {
			t.n -= n;
			shift = units[i].shift;
			break;
		}
	}
	if (!parse_uint(t, max >> shift, out))
		return false;
	*out <<= shift;
	return true;
}

static bool parse_limit(text t, int64_t *out)
{
	uint64_t v;

	if (is(t, "off"))
		v = INT64_MAX;
	else if (!parse_bytes(t, INT64_MAX, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

static bool parse_percent(text t, int *out)
{
	if (is(t, "off")) {
		*out = -1;
		return true;
	}
	return parse_int(t, out);
}

static bool debug_ok(const char *debug, bool strict)
{
	rt_debugvars d;

	rt_debugvars_init(&d);
	return rt_debugvars_parse(&d, debug, strict) == 0;
}

/* ---- Defaults ------------------------------------------------------------------------------- */

static text environment(const char *name)
{
	const char *s = getenv(name);

	return s != NULL ? (text){ s, strlen(s) } : (text){ "", 0 };
}

static void from_environment(gort_config *cfg)
{
	text godebug = environment("GODEBUG");
	int procs;

	if (parse_int(environment("GOMAXPROCS"), &procs) && procs > 0)
		cfg->procs = procs < RT_MAXPROCS ? procs : RT_MAXPROCS;
	(void)parse_percent(environment("GOGC"), &cfg->gc_percent);
	(void)parse_limit(environment("GOMEMLIMIT"), &cfg->memory_limit);
	if (godebug.n > 0 && debug_ok(godebug.s, false))
		cfg->debug = godebug.s;
}

static void defaults(gort_config *cfg)
{
	*cfg = (gort_config){
		.size = sizeof *cfg,
		.gc_percent = 100,
		.memory_limit = INT64_MAX,
		.collector = collectors[0],
		.signals = GORT_SIGNAL_PREEMPT | GORT_SIGNAL_FAULT,
	};
}

static size_t known(size_t size)
{
	return size < sizeof(gort_config) ? size : sizeof(gort_config);
}

GORT_API void gort_config_init_sized(gort_config *cfg, size_t size)
{
	gort_config whole;

	if (cfg == NULL || size < sizeof cfg->size)
		rt_misuse("gort_config_init", cfg == NULL ? "NULL" : "the struct has no room for its size");
	defaults(&whole);
	from_environment(&whole);
	memset(cfg, 0, size);
	memcpy(cfg, &whole, known(size));
	cfg->size = size;
}

/* What the caller has given, and the defaults for the rest. */
static int whole_of(gort_config *whole, const gort_config *cfg)
{
	const char *tail = (const char *)cfg + sizeof *cfg;

	if (cfg->size < sizeof cfg->size)
		return GORT_EINVAL;
	for (size_t i = sizeof *cfg; i < cfg->size; i++)
		if (*tail++ != 0)
			return GORT_ENOTSUP; /* a setting from the future */
	defaults(whole);
	memcpy(whole, cfg, known(cfg->size));
	return 0;
}

/* ---- Option strings ------------------------------------------------------------------------- */

static bool set_collector(gort_config *cfg, text value)
{
	for (size_t i = 0; i < RT_NELEM(collectors); i++)
		if (is(value, collectors[i])) {
			cfg->collector = collectors[i];
			return true;
		}
	return false;
}

static bool set_option(gort_config *cfg, text name, text value)
{
	uint64_t v;

	if (is(name, "procs"))
		return parse_int(value, &cfg->procs) && cfg->procs >= 0 &&
		       cfg->procs <= RT_MAXPROCS;
	if (is(name, "gogc"))
		return parse_percent(value, &cfg->gc_percent);
	if (is(name, "memlimit"))
		return parse_limit(value, &cfg->memory_limit);
	if (is(name, "stack")) {
		if (!parse_bytes(value, SIZE_MAX / 2, &v))
			return false;
		cfg->stack_size = (size_t)v;
		return true;
	}
	if (is(name, "collector"))
		return set_collector(cfg, value);
	if (is(name, "seed"))
		return parse_uint(value, UINT64_MAX, &cfg->seed);
	return false;
}

/* All of options, up to `debug=`, which takes the rest. */
static bool set_options(gort_config *cfg, const char *options)
{
	const char *eq;
	size_t n;

	while (*options != '\0') {
		if (strncmp(options, "debug=", 6) == 0) {
			cfg->debug = options + 6;
			return debug_ok(cfg->debug, true);
		}
		n = strcspn(options, ",");
		eq = memchr(options, '=', n);
		if (eq == NULL || !set_option(cfg, (text){ options, (size_t)(eq - options) },
		                              (text){ eq + 1, n - (size_t)(eq + 1 - options) }))
			return false;
		options += n;
		if (*options == ',' && *++options == '\0')
			return false;
	}
	return true;
}

GORT_API int gort_config_parse(gort_config *cfg, const char *options)
{
	gort_config whole, before;
	size_t size;
	int r;

	if (cfg == NULL || options == NULL)
		return GORT_EINVAL;
	r = whole_of(&whole, cfg);
	if (r != 0)
		return r;
	before = whole;
	if (!set_options(&whole, options))
		return GORT_EINVAL;
	size = known(cfg->size);
	/* An option for which the caller's struct has no field must not be lost silently. */
	if (memcmp((char *)&whole + size, (char *)&before + size, sizeof whole - size) != 0)
		return GORT_EINVAL;
	memcpy(cfg, &whole, size);
	return 0;
}

/* ---- Limits --------------------------------------------------------------------------------- */

static bool valid(const gort_config *cfg)
{
	/* An unknown name is an error here, and none in the environment's own text. */
	bool strict = cfg->debug != getenv("GODEBUG");
	const unsigned signals = GORT_SIGNAL_PREEMPT | GORT_SIGNAL_FAULT;
	const unsigned flags = GORT_EXIT_ON_FATAL | GORT_SCAN_DATA | GORT_LIBRARY;
	gort_config scratch;

	if (cfg->procs < 0 || cfg->procs > RT_MAXPROCS || cfg->memory_limit < 0 ||
	    cfg->stack_size > SIZE_MAX / 2)
		return false;
	if ((cfg->signals & ~signals) != 0 || (cfg->flags & ~flags) != 0)
		return false;
	if (cfg->collector != NULL &&
	    !set_collector(&scratch, (text){ cfg->collector, strlen(cfg->collector) }))
		return false;
	return cfg->debug == NULL || debug_ok(cfg->debug, strict);
}

/* Whether this build has what is asked for. */
static bool supported(const gort_config *cfg)
{
	return be_data_works || !(cfg->flags & GORT_SCAN_DATA);
}

int rt_config_check(const gort_config *cfg)
{
	gort_config whole;
	int r = whole_of(&whole, cfg);

	if (r != 0)
		return r;
	if (!valid(&whole))
		return GORT_EINVAL;
	return supported(&whole) ? 0 : GORT_ENOTSUP;
}
