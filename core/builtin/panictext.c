/* panictext.c: the values that the library panics with, and the text of a panic that nobody recovers, as Go prints
 * both. */
#include "core/builtin/panic_impl.h"

#include "core/builtin/type.h"
#include "core/gc/gc.h"

#include <stdio.h>
#include <string.h>

/* ---- Values --------------------------------------------------------------------------------------- */

/* Types of panic values that the library makes; the data is a gort_string. */
#define ERROR_TYPE(id, text)                                                                       \
	static const size_t id##_ptrs[] = { 0 };                                                   \
	static const gort_type id = { .size = sizeof(gort_string), .kind = GORT_KIND_STRING,       \
		.align = GORT_ALIGNOF(gort_string), .comparable = true, .name = text,              \
		.period = sizeof(gort_string),                                                     \
		.hash = 0x85ebca6bu ^ sizeof text, .nptrs = 1, .ptrs = id##_ptrs, .mask = 1 }

ERROR_TYPE(plain_error, "runtime.plainError");
ERROR_TYPE(error_string, "runtime.errorString"); /* printed after "runtime error: " */
ERROR_TYPE(nil_error, "*runtime.PanicNilError");

static const char error_prefix[] = "runtime error: ";

static gort_eface constant(const gort_type *t, const char *text)
{
	gort_string *s = rt_new(t);

	s->ptr = text;
	s->len = (intptr_t)strlen(text);
	return (gort_eface){ t, s };
}

gort_eface rt_panic_value_plain(const char *text)
{
	return constant(&plain_error, text);
}

gort_eface rt_panic_value_error(const char *text)
{
	return constant(&error_string, text);
}

gort_eface rt_panic_value_nil(void)
{
	return constant(&nil_error, "panic called with nil argument");
}

static gort_eface copied(const gort_type *t, const char *text, const char *more)
{
	size_t n = strlen(text), m = strlen(more);
	char *bytes = rt_new_bytes(n + m, true);
	gort_string *s = rt_new(t);

	memcpy(bytes, text, n);
	memcpy(bytes + n, more, m);
	rt_store_ptr(&s->ptr, bytes);
	s->len = (intptr_t)(n + m);
	return (gort_eface){ t, s };
}

gort_eface rt_panic_value_error_about(const char *text, const char *name)
{
	return copied(&error_string, text, name);
}

gort_eface rt_panic_value_copied(const char *text)
{
	return copied(GORT_TYPE(gort_string), text != NULL ? text : "", "");
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

/* Text of a length that is known only when it is written: written twice, first to nowhere. */
typedef struct out {
	char *at; /* NULL: only counts */
	size_t n;
} out;

static void put(out *o, const char *s, size_t n)
{
	if (o->at != NULL)
		memcpy(o->at + o->n, s, n);
	o->n += n;
}

static void puts_(out *o, const char *s)
{
	put(o, s, strlen(s));
}

/* A line after the first is set off by a tab, as Go prints it. */
static void put_lines(out *o, gort_string s)
{
	const char *at = s.ptr, *end = at + s.len, *nl;

	while (at < end && (nl = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		put(o, at, (size_t)(nl + 1 - at));
		put(o, "\t", 1);
		at = nl + 1;
	}
	if (at < end)
		put(o, at, (size_t)(end - at));
}

/* One digit before and six behind the point, exponent of three: Go's print. It takes its digits by
 * repeated multiplication, which is not always correctly rounded; we must come out the same. */
static void put_float(out *o, double v)
{
	char text[16] = "+0.000000e+000";
	int e = 0;
	double half = 5;

	if (v != v) {
		puts_(o, "NaN");
		return;
	}
	if (v < 0 || (v == 0 && 1 / v < 0)) {
		text[0] = '-';
		v = -v;
	}
	if (v > 1.7976931348623157e308) {
		puts_(o, text[0] == '-' ? "-Inf" : "+Inf");
		return;
	}
	if (v != 0) {
		for (; v >= 10; e++)
			v /= 10;
		for (; v < 1; e--)
			v *= 10;
		for (int i = 0; i < 7; i++)
			half /= 10;
		v += half;
		if (v >= 10) {
			e++;
			v /= 10;
		}
	}
	for (int i = 1; i <= 8; i++) {
		if (i == 2)
			continue; /* the point */
		text[i] = (char)('0' + (int)v);
		v = (v - (int)v) * 10;
	}
	if (e < 0) {
		text[10] = '-';
		e = -e;
	}
	text[11] = (char)('0' + e / 100);
	text[12] = (char)('0' + e / 10 % 10);
	text[13] = (char)('0' + e % 10);
	puts_(o, text);
}

static void put_int(out *o, int64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)v);
	puts_(o, text);
}

static void put_uint(out *o, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	puts_(o, text);
}

static void put_string(out *o, const gort_type *t, const gort_string *s)
{
	if (t == &error_string)
		puts_(o, error_prefix);
	put_lines(o, *s);
}

/* "(T) 0x1234": the type and the data word. */
static void put_other(out *o, gort_eface v)
{
	char text[24];

	puts_(o, "(");
	puts_(o, v.type->name);
	snprintf(text, sizeof text, ") 0x%llx", (unsigned long long)(uintptr_t)v.data);
	puts_(o, text);
}

/* Of a kind whose values are printed. */
static bool is_basic(const gort_type *t)
{
	return t->kind <= GORT_KIND_FLOAT64 || t->kind == GORT_KIND_STRING;
}

static void put_basic(out *o, const gort_type *t, const void *p)
{
	switch (t->kind) {
	case GORT_KIND_BOOL:
		puts_(o, *(const bool *)p ? "true" : "false");
		return;
	case GORT_KIND_INT:
		put_int(o, *(const intptr_t *)p);
		return;
	case GORT_KIND_INT8:
		put_int(o, *(const int8_t *)p);
		return;
	case GORT_KIND_INT16:
		put_int(o, *(const int16_t *)p);
		return;
	case GORT_KIND_INT32:
		put_int(o, *(const int32_t *)p);
		return;
	case GORT_KIND_INT64:
		put_int(o, *(const int64_t *)p);
		return;
	case GORT_KIND_UINT:
	case GORT_KIND_UINTPTR:
		put_uint(o, *(const uintptr_t *)p);
		return;
	case GORT_KIND_UINT8:
		put_uint(o, *(const uint8_t *)p);
		return;
	case GORT_KIND_UINT16:
		put_uint(o, *(const uint16_t *)p);
		return;
	case GORT_KIND_UINT32:
		put_uint(o, *(const uint32_t *)p);
		return;
	case GORT_KIND_UINT64:
		put_uint(o, *(const uint64_t *)p);
		return;
	case GORT_KIND_FLOAT32:
		put_float(o, *(const float *)p);
		return;
	case GORT_KIND_FLOAT64:
		put_float(o, *(const double *)p);
		return;
	case GORT_KIND_STRING:
		put_string(o, t, p);
		return;
	}
}

/* Of a type that the program has named: T(5), T("text"). */
static void put_named(out *o, const gort_type *t, const void *p)
{
	puts_(o, t->name);
	puts_(o, t->kind == GORT_KIND_STRING ? "(\"" : "(");
	put_basic(o, t, p);
	puts_(o, t->kind == GORT_KIND_STRING ? "\")" : ")");
}

static void put_value(out *o, gort_eface v)
{
	if (v.type == NULL)
		puts_(o, "nil");
	else if (!is_basic(v.type))
		put_other(o, v);
	else if (v.type->named)
		put_named(o, v.type, v.data);
	else
		put_basic(o, v.type, v.data);
}

GORT_API gort_string gort_panic_text(gort_eface v)
{
	out o = { NULL, 0 };
	size_t n;

	(void)RT_ENTER();
	put_value(&o, v);
	n = o.n;
	o = (out){ rt_new_bytes(n, true), 0 };
	put_value(&o, v);
	rt_leave();
	return (gort_string){ o.at, (intptr_t)n };
}

/* ---- What was not recovered --------------------------------------------------------------------- */

/* The list in place, the other way round. */
static panic *reversed(panic *p)
{
	rt_panicking *newer = NULL;

	while (p != NULL) {
		panic *older = older_than(p);

		p->head.link = newer;
		newer = &p->head;
		p = older;
	}
	return (panic *)newer;
}

/* Oldest first. */
static void put_panics(out *o, const panic *p)
{
	bool after_panic = false;

	for (; p != NULL; p = older_than(p)) {
		if (after_panic)
			puts_(o, "\t");
		after_panic = !p->goexit;
		if (p->goexit)
			continue;
		puts_(o, "panic: ");
		put_value(o, p->value);
		puts_(o, p->recovered ? " [recovered]\n" : "\n");
	}
}

/* Of the newest fault, if a memory fault raised one of them; p is the oldest. */
static void put_signal(out *o, const panic *p)
{
	const rt_faulted *f = NULL;
	char line[240];

	for (; p != NULL; p = older_than(p))
		if (p->head.fault != NULL && !p->head.fault->fault.divide)
			f = p->head.fault;
	if (f == NULL)
		return;
	rt_fault_line(&f->fault, line, sizeof line);
	puts_(o, line);
}

_Noreturn void rt_panic_give_up(panic *p)
{
	out o = { NULL, 0 };

	p = reversed(p);
	put_panics(&o, p);
	put_signal(&o, p);
	o = (out){ rt_new_bytes(o.n + 1, true), 0 };
	put_panics(&o, p);
	put_signal(&o, p);
	(void)reversed(p); /* the backtrace asks for it */
	rt_run_fail(GORT_EPANIC, o.at);
}
