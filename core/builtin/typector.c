/* typector.c: types made of other types, and new names for them. Sizes and offsets are Go's.
 *
 * Each constructor fills in what it asks for, and the table (typetable.c) has it or makes it. What has only one
 * or two parts is looked up before, for GORT_TYPE of an alias may stand at every access to a map. A type that is
 * NULL, as a constructor returns it, makes NULL of all that is made of it, so that nested calls need one test.
 *
 * Pointers. An array has the list of its element, with its period, so that [1000000]T is as short as T. A
 * struct lists the words of all its fields, arrays in it unrolled; if one field is all of it, it has that field's list.
 * A list above 16,384 words (Go's limit for plain bitmaps) is not made: every word of such a struct may be a
 * pointer, which costs the collector looks and perhaps objects that live longer, but no memory. Rejected: lists of
 * lists, or runs with a stride; every loop of the collector would be two, for a kind of struct that hardly exists.
 */
#include "core/builtin/type_impl.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIZE ((size_t)1 << 47) /* gort_new can do no more */

enum { WORD = sizeof(void *), MOST_LISTED = 16384 };

/* ---- One word and more ---------------------------------------------------------------------- */

/* A value of `words` words, of which the first is a pointer. */
static gort_type words_of(int kind, unsigned words)
{
	return (gort_type){ .kind = (uint8_t)kind, .size = words * WORD, .period = words * WORD,
		            .align = GORT_ALIGNOF(void *), .nptrs = 1, .ptrs = rt_pointer_at_0 };
}

/* A pointer, chan, map or func: direct. */
static gort_type word_of(int kind)
{
	gort_type like = words_of(kind, 1);

	like.direct = true;
	like.comparable = like.plain = kind == GORT_KIND_POINTER || kind == GORT_KIND_CHAN;
	return like;
}

static RT_NOINLINE const gort_type *simple(gort_type like, int dir, const gort_type *elem, const gort_type *key)
{
	like.dir = (uint8_t)dir;
	like.elem = elem;
	like.key = key;
	return elem != NULL ? rt_type_intern(&like) : NULL;
}

GORT_API const gort_type *gort_type_pointer(const gort_type *elem)
{
	const gort_type *t = rt_type_find(GORT_KIND_POINTER, 0, elem, NULL, 0);

	return RT_LIKELY(t != NULL) ? t : simple(word_of(GORT_KIND_POINTER), 0, elem, NULL);
}

GORT_API const gort_type *gort_type_slice(const gort_type *elem)
{
	const gort_type *t = rt_type_find(GORT_KIND_SLICE, 0, elem, NULL, 0);

	return RT_LIKELY(t != NULL) ? t : simple(words_of(GORT_KIND_SLICE, 3), 0, elem, NULL);
}

GORT_API const gort_type *gort_type_chan(const gort_type *elem, int dir)
{
	const gort_type *t = rt_type_find(GORT_KIND_CHAN, dir, elem, NULL, 0);

	if (RT_LIKELY(t != NULL))
		return t;
	if (dir <= 0 || dir > (GORT_SEND | GORT_RECV))
		rt_misuse(__func__, "the direction is neither GORT_SEND nor GORT_RECV nor both");
	return simple(word_of(GORT_KIND_CHAN), dir, elem, NULL);
}

GORT_API const gort_type *gort_type_map(const gort_type *key, const gort_type *elem)
{
	const gort_type *t = rt_type_find(GORT_KIND_MAP, 0, elem, key, 0);

	if (RT_LIKELY(t != NULL) || key == NULL || !key->comparable)
		return t;
	return simple(word_of(GORT_KIND_MAP), 0, elem, key);
}

static bool all_there(const gort_type *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == NULL)
			return false;
	return true;
}

GORT_API const gort_type *gort_type_func(const gort_type *const *in, size_t nin,
                                         const gort_type *const *out, size_t nout, bool variadic)
{
	gort_type like = word_of(GORT_KIND_FUNC);

	if (!all_there(in, nin) || !all_there(out, nout))
		return NULL;
	if (variadic && (nin == 0 || in[nin - 1]->kind != GORT_KIND_SLICE))
		rt_misuse(__func__, "variadic, but the last parameter is no slice");
	like.in = in;
	like.nin = nin;
	like.out = out;
	like.nout = nout;
	like.variadic = variadic;
	return rt_type_intern(&like);
}

GORT_API const gort_type *gort_type_array(const gort_type *elem, size_t n)
{
	const gort_type *t = rt_type_find(GORT_KIND_ARRAY, 0, elem, NULL, n);
	gort_type like;

	if (RT_LIKELY(t != NULL))
		return t;
	if (elem == NULL || n > INTPTR_MAX || (elem->size > 0 && n > MAX_SIZE / elem->size))
		return NULL;
	like = (gort_type){ .kind = GORT_KIND_ARRAY, .elem = elem, .len = n, .size = n * elem->size,
		            .align = elem->align };
	like.comparable = elem->comparable;
	like.plain = elem->plain;
	like.direct = n == 1 && elem->direct;
	if (like.size > 0) {
		like.period = elem->period;
		like.nptrs = elem->nptrs;
		like.ptrs = elem->ptrs;
	}
	return rt_type_intern(&like);
}

/* ---- Structs -------------------------------------------------------------------------------- */

void rt_type_sum_fields(gort_type *t)
{
	const rt_field *whole = NULL; /* a field that is all of the struct */
	size_t covered = 0, words = 0;

	t->comparable = t->plain = true;
	for (size_t i = 0; i < t->nfields; i++) {
		const rt_field *f = &t->fields[i];

		t->comparable = t->comparable && f->type->comparable;
		t->plain = t->plain && f->type->plain && !rt_field_blank(f);
		covered += f->type->size;
		words += rt_type_words(f->type);
		if (f->type->size == t->size)
			whole = f;
	}
	t->plain = t->plain && covered == t->size;
	t->direct = t->nfields == 1 && whole != NULL && whole->type->direct;
	if (words == 0)
		return;
	if (whole != NULL) {
		t->period = whole->type->period;
		t->nptrs = whole->type->nptrs;
		t->ptrs = whole->type->ptrs;
	} else if (words > MOST_LISTED) {
		t->period = WORD;
		t->nptrs = 1;
		t->ptrs = rt_pointer_at_0;
	} else {
		t->period = t->size;
		t->nptrs = words;
	}
}

/* n rounded up to align, a power of two. */
static size_t up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Stores the offsets. A field of no size at the end has a byte of its own, or its address would be that of what
 * comes behind the struct. False: too large. */
static bool lay_out(gort_type *like, gort_struct_field *fields, size_t n)
{
	size_t at = 0, align = 1;

	for (size_t i = 0; i < n; i++) {
		const gort_type *t = fields[i].type;

		at = up(at, t->align);
		fields[i].offset = at;
		if (t->size > MAX_SIZE || at + t->size > MAX_SIZE)
			return false;
		at += t->size;
		if (t->align > align)
			align = t->align;
	}
	if (at > 0 && fields[n - 1].type->size == 0)
		at++;
	like->size = up(at, align);
	like->align = (uint32_t)align;
	return like->size <= MAX_SIZE;
}

static void check_field_names(const gort_struct_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fields[i].name == NULL || fields[i].name[0] == '\0')
			rt_misuse("gort_type_struct", "a field without a name");
		for (size_t k = 0; k < i; k++)
			if (!rt_field_blank(&fields[i]) && strcmp(fields[i].name, fields[k].name) == 0)
				rt_misuse("gort_type_struct", "two fields of one name");
	}
}

GORT_API const gort_type *gort_type_struct(gort_struct_field *fields, size_t n)
{
	gort_type like = { .kind = GORT_KIND_STRUCT, .fields = fields, .nfields = n };

	check_field_names(fields, n);
	for (size_t i = 0; i < n; i++)
		if (fields[i].type == NULL)
			return NULL;
	if (!lay_out(&like, fields, n))
		return NULL;
	rt_type_sum_fields(&like);
	return rt_type_intern(&like);
}

/* ---- Methods -------------------------------------------------------------------------------- */

void rt_type_set_interface(gort_type *like)
{
	like->kind = GORT_KIND_INTERFACE;
	like->size = like->period = 2 * WORD;
	like->align = GORT_ALIGNOF(void *);
	like->comparable = true;
	like->nptrs = 1; /* tables and types are no heap objects */
	like->ptrs = rt_pointer_at_1;
}

/* By insertion: most are in order. */
bool rt_methods_sort(rt_method *m, size_t n)
{
	bool once = true;

	for (size_t i = 1; i < n; i++) {
		rt_method new = m[i];
		size_t at = i;
		int order = 1;

		for (; at > 0 && (order = strcmp(m[at - 1].name, new.name)) > 0; at--)
			m[at] = m[at - 1];
		m[at] = new;
		once = once && (at == 0 || order != 0);
	}
	return once;
}

static void check_methods(const gort_method *m, size_t n, bool interface, const char *function)
{
	for (size_t i = 0; i < n; i++) {
		if (m[i].name == NULL || m[i].name[0] == '\0')
			rt_misuse(function, "a method without a name");
		if (m[i].type != NULL && (m[i].type->kind != GORT_KIND_FUNC || m[i].type->named))
			rt_misuse(function, "the type of a method is no gort_type_func");
		if ((m[i].code == NULL) != interface)
			rt_misuse(function, interface ? "a method of an interface has no code"
			                              : "a method without code");
	}
}

GORT_API const gort_type *gort_type_interface(const gort_method *methods, size_t n)
{
	rt_method few[16], *m = few;
	gort_type like = { .nmethods = n };
	const gort_type *t = NULL;

	if (n == 0)
		return gort_type_of_gort_eface();
	check_methods(methods, n, true, __func__);
	if (n > RT_NELEM(few))
		m = calloc(n, sizeof *m);
	if (m == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		m[i] = (rt_method){ .name = methods[i].name, .type = methods[i].type };
	like.methods = m;
	rt_type_set_interface(&like);
	if (rt_methods_sort(m, n))
		t = rt_type_intern(&like);
	if (m != few)
		free(m);
	return t;
}

/* What the underlying type has lasts as long: it is not copied. */
static void share(gort_type *t, const gort_type *u)
{
	t->nfields = u->nfields;
	t->fields = u->fields;
	t->nin = u->nin;
	t->in = u->in;
	t->nout = u->nout;
	t->out = u->out;
	if (t->kind == GORT_KIND_INTERFACE) {
		t->nmethods = u->nmethods;
		t->methods = u->methods;
	}
}

GORT_API const gort_type *gort_type_named(const char *name, const gort_type *underlying,
                                          const gort_method *methods, size_t n)
{
	gort_type like, *t;

	if (name == NULL || name[0] == '\0')
		rt_misuse(__func__, "no name");
	check_methods(methods, n, false, __func__);
	if (underlying == NULL)
		return NULL;
	if (underlying->kind == GORT_KIND_INTERFACE && n > 0)
		rt_misuse(__func__, "an interface has no other methods than those it needs");
	like = *underlying;
	like.named = true;
	like.name = name;
	like.nfields = like.nin = like.nout = 0;
	like.methods = methods;
	like.nmethods = n;
	memset(like.child, 0, sizeof like.child);
	t = rt_type_make(&like);
	if (t == NULL)
		return NULL;
	if (!rt_methods_sort((rt_method *)t->methods, n)) {
		rt_type_drop(t);
		return NULL;
	}
	share(t, underlying);
	rt_type_keep(t);
	return t;
}
