/* debugvars.c: parses GODEBUG and counts towards the failures it orders. See debugvars.h.
 *
 * A copy is changed and put in place only when the whole text is right, so that a mistake in the last item does
 * not leave half of the settings behind. What a plain item means is in the table; syscallfail alone
 * is not an integer and is parsed by hand.
 */
#include "core/base/debugvars.h"

#include <limits.h>
#include <string.h>

static const struct {
	const char *name;
	size_t offset;
} vars[] = {
#define DEBUGVAR(name, dflt, text) {#name, offsetof(rt_debugvars, name)},
#include "core/base/debugvars.def"
#undef DEBUGVAR
};

void rt_debugvars_init(rt_debugvars *d)
{
	memset(d, 0, sizeof *d);
#define DEBUGVAR(name, dflt, text) d->name = (dflt);
#include "core/base/debugvars.def"
#undef DEBUGVAR
	rt_store32_rlx(&d->oomleft, d->oomfail > 0 ? (uint32_t)d->oomfail : 0);
}

/* The integer that is exactly text[0..n). strtol is not it: it takes blanks, "+", octal. */
static bool parse_int(const char *text, size_t n, int *out)
{
	bool negative = n > 0 && text[0] == '-';
	long long v = 0;

	if (negative)
		text++, n--;
	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (text[i] - '0');
	}
	if (v > INT_MAX)
		return false;
	*out = (int)(negative ? -v : v);
	return true;
}

static bool same(const char *name, const char *text, size_t n)
{
	return strlen(name) == n && memcmp(name, text, n) == 0;
}

/* NAME:N */
static bool parse_syscallfail(rt_debugvars *d, const char *text, size_t n)
{
	const char *colon = memchr(text, ':', n);
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	int count;

	if (len == 0 || len >= sizeof d->syscallfail ||
	    !parse_int(colon + 1, n - len - 1, &count) || count <= 0)
		return false;
	memset(d->syscallfail, 0, sizeof d->syscallfail);
	memcpy(d->syscallfail, text, len);
	rt_store32_rlx(&d->failleft, (uint32_t)count);
	return true;
}

static bool parse_item(rt_debugvars *d, const char *item, size_t n, bool strict)
{
	const char *eq = memchr(item, '=', n);
	size_t len = eq != NULL ? (size_t)(eq - item) : n;
	const char *value = item + len + 1;
	size_t vlen = eq != NULL ? n - len - 1 : 0;

	if (same("syscallfail", item, len))
		return parse_syscallfail(d, value, vlen);
	for (size_t i = 0; i < RT_NELEM(vars); i++)
		if (same(vars[i].name, item, len)) {
			if (!parse_int(value, vlen, (int *)((char *)d + vars[i].offset)))
				return false;
			if (vars[i].offset == offsetof(rt_debugvars, oomfail))
				rt_store32_rlx(&d->oomleft,
				               d->oomfail > 0 ? (uint32_t)d->oomfail : 0);
			return true;
		}
	return !strict;
}

int rt_debugvars_parse(rt_debugvars *d, const char *text, bool strict)
{
	rt_debugvars copy = *d;

	while (*text != '\0') {
		size_t n = strcspn(text, ",");

		if (n > 0 && !parse_item(&copy, text, n, strict))
			return -1;
		text += n;
		text += *text == ',';
	}
	*d = copy;
	return 0;
}

/* True for exactly one caller: the one that takes the last unit. */
static bool last_of(rt_atomic32 *left)
{
	uint32_t n = rt_load32_rlx(left);

	while (n > 0) {
		if (rt_cas32_full(left, n, n - 1))
			return n == 1;
		n = rt_load32_rlx(left);
	}
	return false;
}

bool rt_fail_now(rt_debugvars *d, const char *what)
{
	return RT_UNLIKELY(d->syscallfail[0] != '\0') && strcmp(d->syscallfail, what) == 0 &&
	       last_of(&d->failleft);
}

bool rt_oom_now(rt_debugvars *d)
{
	return last_of(&d->oomleft);
}
