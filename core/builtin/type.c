/* type.c: type descriptors: the scalars, those that programs define by GORT_DEFINE_TYPE, and what is asked of any.
 *
 * Every file that uses GORT_DEFINE_TYPE has a definition of its own; the table (typetable.c) makes one descriptor
 * of them. The usual call does not come so far: the definition remembers its descriptor.
 *
 * A definition lasts as long as the library.
 */
#include "core/builtin/type_impl.h"

#include "core/alloc/sizeclass.h"
#include "core/base/atomic.h"
#include "core/base/check.h"
#include "core/sched/sched_inline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Scalars -------------------------------------------------------------------------------- */

_Static_assert(RT_PAGE == 8192, "a message says so, and gort.h");
_Static_assert(sizeof(int) == 4 && sizeof(unsigned) == 4, "int is Go's int32 here");

const size_t rt_pointer_at_0[1] = { 0 };
const size_t rt_pointer_at_1[1] = { sizeof(void *) };

/* The hash may be any constant that differs from type to type. */
#define SCALAR(cname, ctype, goname, gokind, isplain, nwords, words, bits)                                \
	GORT_API const gort_type *gort_type_of_##cname(void)                                       \
	{                                                                                          \
		static const gort_type t = { .size = sizeof(ctype),                                \
			.align = GORT_ALIGNOF(ctype), .kind = GORT_KIND_##gokind,                  \
			.comparable = true, .plain = (isplain),                                    \
			.direct = GORT_KIND_##gokind == GORT_KIND_UNSAFE_POINTER,                  \
			.hash = 0x9e3779b1u * GORT_KIND_##gokind,                                  \
			.name = goname, .period = sizeof(ctype), .nptrs = (nwords), .ptrs = (words), .mask = (bits) }; \
		return &t;                                                                         \
	}
#define SAME(cname, as)                                                                            \
	GORT_API const gort_type *gort_type_of_##cname(void)                                       \
	{                                                                                          \
		return gort_type_of_##as();                                                        \
	}

SCALAR(bool, bool, "bool", BOOL, true, 0, NULL, 0)
SCALAR(int8_t, int8_t, "int8", INT8, true, 0, NULL, 0)
SCALAR(int16_t, int16_t, "int16", INT16, true, 0, NULL, 0)
SCALAR(int32_t, int32_t, "int32", INT32, true, 0, NULL, 0)
SCALAR(int64_t, int64_t, "int64", INT64, true, 0, NULL, 0)
SCALAR(uint8_t, uint8_t, "uint8", UINT8, true, 0, NULL, 0)
SCALAR(uint16_t, uint16_t, "uint16", UINT16, true, 0, NULL, 0)
SCALAR(uint32_t, uint32_t, "uint32", UINT32, true, 0, NULL, 0)
SCALAR(uint64_t, uint64_t, "uint64", UINT64, true, 0, NULL, 0)
SCALAR(intptr_t, intptr_t, "int", INT, true, 0, NULL, 0)
SCALAR(size_t, size_t, "uint", UINT, true, 0, NULL, 0)
SCALAR(uintptr_t, uintptr_t, "uintptr", UINTPTR, true, 0, NULL, 0)
SCALAR(float, float, "float32", FLOAT32, false, 0, NULL, 0)
SCALAR(double, double, "float64", FLOAT64, false, 0, NULL, 0)
SCALAR(gort_string, gort_string, "string", STRING, false, 1, rt_pointer_at_0, 1)
SCALAR(gort_eface, gort_eface, "interface {}", INTERFACE, false, 1, rt_pointer_at_1, 2)
SCALAR(void_ptr, void *, "unsafe.Pointer", UNSAFE_POINTER, true, 1, rt_pointer_at_0, 1)
SAME(int, int32_t)
SAME(unsigned, uint32_t)

/* ---- Looking at a definition ---------------------------------------------------------------- */

/* A definition taken apart: what type it asks for. The lists of `like` are our own, in one block, fields in the
 * order of their offsets, methods by name. */
typedef struct shape {
	const gort_type_def *def;
	bool interface;
	rt_field *fields;
	rt_method *methods;
	gort_type like;
} shape;

_Noreturn static RT_COLD void malformed(const shape *s, const char *member, const char *what)
{
	const gort_type_def *def = s->def;
	char text[256];

	free(s->fields); /* tests go on from here */
	snprintf(text, sizeof text, "%s%s%s: %s", def->name != NULL ? def->name : "a type",
	         member != NULL ? "." : "", member != NULL ? member : "", what);
	rt_misuse("gort_type_define", text);
}

static bool is_method(const shape *s, const gort_member *m)
{
	return m->type == NULL && (s->interface ? m->code == NULL : m->code != NULL);
}

static void check_whole(const shape *s)
{
	const gort_type_def *def = s->def;

	if (def->name == NULL || def->name[0] == '\0')
		malformed(s, NULL, "no name");
	if (def->n > 0 && def->members == NULL)
		malformed(s, NULL, "members are missing");
	if (def->align == 0) {
		if (def->size != 0)
			malformed(s, NULL, "alignment 0");
		return;
	}
	if ((def->align & (def->align - 1)) != 0)
		malformed(s, NULL, "the alignment is no power of two");
	if (def->align > RT_PAGE) /* nor is an object of the heap aligned to more */
		malformed(s, NULL, "the alignment is above 8192");
	if (def->size % def->align != 0)
		malformed(s, NULL, "the size is no multiple of the alignment");
}

static void check_field(const shape *s, const gort_member *m, const gort_type *t)
{
	const gort_type_def *def = s->def;

	if (t == NULL)
		malformed(s, m->name, "its type is NULL");
	if (m->offset > def->size || t->size > def->size - m->offset)
		malformed(s, m->name, "lies outside of the struct");
	if (m->offset % t->align != 0 || t->align > def->align)
		malformed(s, m->name, "is not aligned");
}

static void check_names(const shape *s, size_t i)
{
	const gort_type_def *def = s->def;

	for (size_t k = 0; k < i; k++)
		if (strcmp(def->members[k].name, def->members[i].name) == 0)
			malformed(s, def->members[i].name, "named twice");
}

/* Insertion by offset; definitions come in order already, so this is one comparison each. */
static void add_field(shape *s, const gort_member *m, const gort_type *t)
{
	size_t at = s->like.nfields++;

	for (; at > 0 && s->fields[at - 1].offset > m->offset; at--)
		s->fields[at] = s->fields[at - 1];
	s->fields[at] = (rt_field){ .name = m->name, .offset = m->offset, .type = t };
}

static void check_overlap(const shape *s)
{
	for (size_t i = 1; i < s->like.nfields; i++) {
		const rt_field *a = &s->fields[i - 1], *b = &s->fields[i];

		if (a->offset + a->type->size > b->offset)
			malformed(s, b->name, "overlaps another field");
	}
}

static void add_member(shape *s, size_t i)
{
	const gort_member *m = &s->def->members[i];

	if (m->name == NULL || m->name[0] == '\0')
		malformed(s, NULL, "a member without a name");
	check_names(s, i);
	if (is_method(s, m)) {
		if (m->offset > 1)
			malformed(s, m->name, "a method has no offset");
		s->methods[s->like.nmethods++] =
			(rt_method){ .name = m->name, .code = m->code, .on_pointer = m->offset == 1 };
	} else if (!s->interface && m->type != NULL && m->code == NULL) {
		const gort_type *t = m->type();

		check_field(s, m, t);
		add_field(s, m, t);
	} else {
		malformed(s, m->name, s->interface ? "an interface has methods without code only"
		                                        : "neither a field nor a method");
	}
}

_Noreturn static RT_COLD void no_memory(void)
{
	rt_m *mp = rt_hold();

	if (mp == NULL || mp->p == NULL || mp->curg == NULL)
		rt_throw("out of memory for a type");
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

static void finish_struct(shape *s)
{
	gort_type *t = &s->like;

	check_overlap(s);
	t->size = s->def->size;
	t->align = (uint32_t)s->def->align;
	t->kind = GORT_KIND_STRUCT;
	rt_type_sum_fields(t);
	t->comparable = t->comparable && t->nfields > 0;
	t->direct = false; /* a method of it is given its address */
}

/* Takes def apart. The caller frees s->fields. */
static void read_def(shape *s, const gort_type_def *def)
{
	*s = (shape){ .def = def };
	check_whole(s);
	s->interface = def->align == 0;
	s->fields = calloc(def->n + 1, sizeof(rt_field) + sizeof(rt_method));
	if (s->fields == NULL)
		no_memory();
	s->methods = (rt_method *)(s->fields + def->n);
	s->like = (gort_type){ .named = true, .name = def->name, .fields = s->fields, .methods = s->methods };
	if (def->n != 1 || def->members[0].name != NULL || def->members[0].type != NULL ||
	    def->members[0].code != NULL) /* not GORT_NO_FIELDS */
		for (size_t i = 0; i < def->n; i++)
			add_member(s, i);
	(void)rt_methods_sort(s->methods, s->like.nmethods);
	if (s->interface)
		rt_type_set_interface(&s->like);
	else
		finish_struct(s);
}

_Static_assert(sizeof(rt_atomicptr) == sizeof(void *), "def->cache is used as an atomic");

GORT_API const gort_type *gort_type_define(gort_type_def *def)
{
	rt_atomicptr *cache;
	const gort_type *t;
	shape s;

	if (def == NULL)
		rt_misuse(__func__, "NULL");
	cache = (rt_atomicptr *)&def->cache;
	t = rt_loadptr_acq(cache);
	if (RT_LIKELY(t != NULL))
		return t;
	read_def(&s, def);
	t = rt_type_intern(&s.like);
	free(s.fields);
	if (t == NULL)
		no_memory();
	rt_storeptr_rel(cache, (void *)t);
	return t;
}

/* ---- Questions ------------------------------------------------------------------------------ */

static inline const gort_type *checked(const gort_type *t, const char *function)
{
	if (RT_UNLIKELY(t == NULL))
		rt_misuse(function, "the type is NULL");
	return t;
}

GORT_API int gort_type_kind(const gort_type *t)
{
	return checked(t, __func__)->kind;
}

GORT_API size_t gort_type_size(const gort_type *t)
{
	return checked(t, __func__)->size;
}

GORT_API size_t gort_type_align(const gort_type *t)
{
	return checked(t, __func__)->align;
}

GORT_API const char *gort_type_name(const gort_type *t)
{
	return checked(t, __func__)->name;
}

GORT_API const gort_type *gort_type_elem(const gort_type *t)
{
	return checked(t, __func__)->elem;
}

GORT_API const gort_type *gort_type_key(const gort_type *t)
{
	return checked(t, __func__)->key;
}

GORT_API size_t gort_type_len(const gort_type *t)
{
	switch (checked(t, __func__)->kind) {
	case GORT_KIND_ARRAY:
		return t->len;
	case GORT_KIND_STRUCT:
		return t->nfields;
	case GORT_KIND_INTERFACE:
		return t->nmethods;
	default:
		return 0;
	}
}

GORT_API bool gort_type_field(const gort_type *t, size_t i, gort_struct_field *out)
{
	if (i >= checked(t, __func__)->nfields)
		return false;
	*out = t->fields[i];
	return true;
}

GORT_API bool gort_type_comparable(const gort_type *t)
{
	return checked(t, __func__)->comparable;
}

GORT_API bool gort_type_has_pointers(const gort_type *t)
{
	return rt_type_pointers(checked(t, __func__));
}
