/* types.h: for tests that make many types: fn(INT, NULL, STRING, NULL), STRUCT({ "X", INT }, { "Y", STRING }). */
#ifndef TESTS_SUPPORT_TYPES_H
#define TESTS_SUPPORT_TYPES_H

#include "core/base/attrs.h"
#include "core/include/gort.h"

typedef const gort_type *type;

enum { BOTH = GORT_SEND | GORT_RECV };

RT_UNUSED static type fn(type a, type b, type out1, type out2)
{
	const type in[] = { a, b }, out[] = { out1, out2 };

	return gort_type_func(in, (size_t)(a != NULL) + (b != NULL), out,
	                      (size_t)(out1 != NULL) + (out2 != NULL), false);
}

RT_UNUSED static type variadic(type a, type last, type out)
{
	const type in[] = { a, gort_type_slice(last) };

	return gort_type_func(a != NULL ? in : in + 1, a != NULL ? 2 : 1, &out, out != NULL, true);
}

/* NULL ends the fields; one name and one type each. */
typedef struct fields {
	gort_struct_field of[8];
} fields;

static inline size_t count(const fields *f)
{
	size_t n = 0;

	while (n < RT_NELEM(f->of) && f->of[n].name != NULL)
		n++;
	return n;
}

RT_UNUSED static type make_struct(fields f)
{
	return gort_type_struct(f.of, count(&f));
}

RT_UNUSED static type make_interface(const char *a, type ta, const char *b, type tb, const char *c, type tc)
{
	gort_method m[] = { { .name = a, .type = ta }, { .name = b, .type = tb }, { .name = c, .type = tc } };

	return gort_type_interface(m, 1 + (size_t)(b != NULL) + (c != NULL));
}

#define STRUCT(...) make_struct((fields){ { __VA_ARGS__ } })
#define INT GORT_TYPE(intptr_t)
#define STRING GORT_TYPE(gort_string)

#endif
