/* dump.h: a heap dump in memory, read line by line. No JSON in general: of the lines that the library writes. */
#ifndef TESTS_SUPPORT_DUMP_H
#define TESTS_SUPPORT_DUMP_H

#include "core/base/attrs.h"
#include "core/include/gort.h"

#include <stdlib.h>
#include <string.h>

typedef struct dump {
	char *text;            /* NUL-terminated; malloc'd */
	size_t n, cap;
	char **lines;          /* without their ends */
	size_t nlines;
	int fail;              /* what the writer returns */
	int calls;
} dump;

static inline int dump_write(void *data, const void *bytes, size_t n)
{
	dump *d = data;

	d->calls++;
	if (d->n + n + 1 > d->cap) {
		d->cap = 2 * (d->n + n + 1);
		d->text = realloc(d->text, d->cap);
	}
	memcpy(d->text + d->n, bytes, n);
	d->n += n;
	d->text[d->n] = '\0';
	return d->fail;
}

static inline void dump_cut(dump *d)
{
	size_t cap = 0;

	for (char *p = d->text, *end; p != NULL && (end = strchr(p, '\n')) != NULL; p = end + 1) {
		if (d->nlines == cap) {
			cap = 2 * cap + 64;
			d->lines = realloc(d->lines, cap * sizeof *d->lines);
		}
		*end = '\0';
		d->lines[d->nlines++] = p;
	}
}

/* malloc is safe in a goroutine as long as the run does not end meanwhile. */
static inline int dump_take(gort_runtime *rt, dump *d)
{
	int r;

	memset(d, 0, sizeof *d);
	r = gort_heap_dump(rt, dump_write, d);
	dump_cut(d);
	return r;
}

static inline void dump_free(dump *d)
{
	free(d->text);
	free(d->lines);
	memset(d, 0, sizeof *d);
}

/* Behind "key": in the line, or NULL. */
static inline const char *field(const char *line, const char *key)
{
	char quoted[40] = "\"";
	const char *p;

	strncat(quoted, key, sizeof quoted - 4);
	strcat(quoted, "\":");
	p = line != NULL ? strstr(line, quoted) : NULL;
	return p != NULL ? p + strlen(quoted) : NULL;
}

static inline uint64_t number(const char *line, const char *key)
{
	const char *p = field(line, key);

	return p != NULL ? strtoull(p, NULL, 10) : UINT64_MAX;
}

static inline bool is_text(const char *line, const char *key, const char *value)
{
	const char *p = field(line, key);
	size_t n = strlen(value);

	return p != NULL && p[0] == '"' && strncmp(p + 1, value, n) == 0 && p[n + 1] == '"';
}

static inline bool is_kind(const char *line, const char *kind)
{
	return is_text(line, "kind", kind);
}

/* The i-th of a list of numbers; UINT64_MAX: there is none. */
static inline uint64_t item(const char *line, const char *key, size_t i)
{
	const char *p = field(line, key);

	if (p == NULL || *p++ != '[')
		return UINT64_MAX;
	for (; i > 0 && *p != ']'; i--)
		for (p++; *p != ']' && p[-1] != ','; p++)
			;
	return *p >= '0' && *p <= '9' ? strtoull(p, NULL, 10) : UINT64_MAX;
}

static inline size_t items(const char *line, const char *key)
{
	const char *p = field(line, key);
	size_t n;

	if (p == NULL || p[0] != '[' || p[1] == ']')
		return 0;
	for (n = 1; *p != ']'; p++)
		n += *p == ',';
	return n;
}

static inline bool has_item(const char *line, const char *key, uint64_t v)
{
	for (size_t i = 0, n = items(line, key); i < n; i++)
		if (item(line, key, i) == v)
			return true;
	return false;
}

static inline const char *object_line(const dump *d, uint64_t address)
{
	for (size_t i = 0; i < d->nlines; i++)
		if (is_kind(d->lines[i], "object") && number(d->lines[i], "address") == address)
			return d->lines[i];
	return NULL;
}

/* The name of the type of an object; 0 bytes: it has none. */
RT_UNUSED static void type_name(const dump *d, const char *object, char *name, size_t size)
{
	uint64_t id = number(object, "type");
	const char *p;

	name[0] = '\0';
	for (size_t i = 0; i < d->nlines && id != 0; i++)
		if (is_kind(d->lines[i], "type") && number(d->lines[i], "id") == id) {
			p = field(d->lines[i], "name") + 1;
			strncat(name, p, strcspn(p, "\"") < size ? strcspn(p, "\"") : size - 1);
		}
}

/* The next root of the kind from line *i on, or NULL. */
static inline const char *next_root(const dump *d, const char *kind, size_t *i)
{
	while (*i < d->nlines) {
		const char *line = d->lines[(*i)++];

		if (is_kind(line, "root") && is_text(line, "root", kind))
			return line;
	}
	return NULL;
}

RT_UNUSED static size_t count_kind(const dump *d, const char *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < d->nlines; i++)
		n += is_kind(d->lines[i], kind);
	return n;
}

#endif
