/* type.c: type descriptors: the scalars, and those that programs define.
 *
 * Every file that uses GORT_DEFINE_TYPE has a definition of its own; one descriptor must serve all
 * that say the same, because equal types have equal pointers. So there is a table of the process:
 * buckets of lists that only grow, at their heads, by compare-and-swap. A reader follows `next`,
 * which never changes. Nobody waits for anybody, so that a goroutine may be stopped anywhere in here, a
 * fork leaves nothing half done, and no rule about locks is needed. The usual call does not come so
 * far: the definition remembers its descriptor.
 *
 * Two definitions are the same type if name, size, alignment, fields and the names of the methods
 * agree. Code addresses do not count, for a static function has one in each file.
 *
 * Memory: a definition lasts as long as the library, and names are copied, since the module that
 * defined a type may be unloaded. Descriptors lie in memory of the library's own image, so that
 * unloading it gives them back; a program with more types than fit there takes the rest from malloc, for good.
 * Rejected: a destructor that frees them. It cannot tell unloading from exit(), and at exit other
 * threads may still run.
 */
#include "core/builtin/type.h"

#include "core/base/atomic.h"
#include "core/base/check.h"
#include "core/sched/sched_inline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Scalars -------------------------------------------------------------------------------- */

_Static_assert(sizeof(int) == 4 && sizeof(unsigned) == 4, "int is Go's int32 here");

static const size_t pointer_at_0[] = { 0 };
static const size_t pointer_at_1[] = { sizeof(void *) };

/* The hash may be any constant that differs from type to type. */
#define SCALAR(cname, ctype, goname, gokind, nwords, words, bits)                                  \
	GORT_API const gort_type *gort_type_of_##cname(void)                                       \
	{                                                                                          \
		static const gort_type t = { .size = sizeof(ctype),                                \
			.align = GORT_ALIGNOF(ctype), .kind = GORT_KIND_##gokind,                  \
			.comparable = true, .hash = 0x9e3779b1u * GORT_KIND_##gokind,              \
			.name = goname, .period = sizeof(ctype), .nptrs = (nwords), .ptrs = (words), .mask = (bits) }; \
		return &t;                                                                         \
	}
#define SAME(cname, as)                                                                            \
	GORT_API const gort_type *gort_type_of_##cname(void)                                       \
	{                                                                                          \
		return gort_type_of_##as();                                                        \
	}

SCALAR(bool, bool, "bool", BOOL, 0, NULL, 0)
SCALAR(int8_t, int8_t, "int8", INT8, 0, NULL, 0)
SCALAR(int16_t, int16_t, "int16", INT16, 0, NULL, 0)
SCALAR(int32_t, int32_t, "int32", INT32, 0, NULL, 0)
SCALAR(int64_t, int64_t, "int64", INT64, 0, NULL, 0)
SCALAR(uint8_t, uint8_t, "uint8", UINT8, 0, NULL, 0)
SCALAR(uint16_t, uint16_t, "uint16", UINT16, 0, NULL, 0)
SCALAR(uint32_t, uint32_t, "uint32", UINT32, 0, NULL, 0)
SCALAR(uint64_t, uint64_t, "uint64", UINT64, 0, NULL, 0)
SCALAR(intptr_t, intptr_t, "int", INT, 0, NULL, 0)
SCALAR(size_t, size_t, "uint", UINT, 0, NULL, 0)
SCALAR(uintptr_t, uintptr_t, "uintptr", UINTPTR, 0, NULL, 0)
SCALAR(float, float, "float32", FLOAT32, 0, NULL, 0)
SCALAR(double, double, "float64", FLOAT64, 0, NULL, 0)
SCALAR(gort_string, gort_string, "string", STRING, 1, pointer_at_0, 1)
SCALAR(gort_eface, gort_eface, "interface {}", INTERFACE, 1, pointer_at_1, 2)
SCALAR(void_ptr, void *, "unsafe.Pointer", UNSAFE_POINTER, 1, pointer_at_0, 1)
SAME(int, int32_t)
SAME(unsigned, uint32_t)

/* ---- Looking at a definition ---------------------------------------------------------------- */

/* A definition taken apart. Fields stand in the order of their offsets, methods as given: both in
 * one array, fields first. */
typedef struct shape {
	const gort_type_def *def;
	bool interface;
	size_t nfields, nmethods, nptrs, text; /* text: bytes of all names */
	uint32_t hash;
	rt_field *fields;
	rt_method *methods;
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

static uint32_t mix(uint32_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++) /* FNV-1a */
		h = (h ^ p[i]) * 16777619u;
	return h;
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
	if ((def->align & (def->align - 1)) != 0 || def->align > (1u << 30))
		malformed(s, NULL, "the alignment is no power of two");
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
	size_t at = s->nfields++;

	for (; at > 0 && s->fields[at - 1].offset > m->offset; at--)
		s->fields[at] = s->fields[at - 1];
	s->fields[at] = (rt_field){ m->name, m->offset, t };
	s->nptrs += rt_type_words(t);
}

static void check_overlap(const shape *s)
{
	for (size_t i = 1; i < s->nfields; i++) {
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
	s->text += strlen(m->name) + 1;
	if (is_method(s, m)) {
		if (m->offset > 1)
			malformed(s, m->name, "a method has no offset");
		s->methods[s->nmethods++] = (rt_method){ m->name, m->offset == 1, m->code };
	} else if (!s->interface && m->type != NULL && m->code == NULL) {
		const gort_type *t = m->type();

		check_field(s, m, t);
		add_field(s, m, t);
	} else {
		malformed(s, m->name, s->interface ? "an interface has methods without code only"
		                                        : "neither a field nor a method");
	}
}

static void hash_shape(shape *s)
{
	const gort_type_def *def = s->def;
	uint32_t h = mix(2166136261u, def->name, strlen(def->name));

	h = mix(h, &def->size, sizeof def->size);
	for (size_t i = 0; i < s->nfields; i++) {
		h = mix(h, s->fields[i].name, strlen(s->fields[i].name));
		h = mix(h, &s->fields[i].offset, sizeof s->fields[i].offset);
		h = mix(h, &s->fields[i].type->hash, sizeof s->fields[i].type->hash);
	}
	for (size_t i = 0; i < s->nmethods; i++)
		h = mix(h, s->methods[i].name, strlen(s->methods[i].name));
	s->hash = h;
}

_Noreturn static RT_COLD void no_memory(void)
{
	rt_m *mp = rt_hold();

	if (mp == NULL || mp->p == NULL || mp->curg == NULL)
		rt_throw("out of memory for a type");
	rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
}

/* Takes def apart. The caller frees s->fields. */
static void read_def(shape *s, const gort_type_def *def)
{
	*s = (shape){ .def = def };
	check_whole(s);
	s->interface = def->align == 0;
	s->text = strlen(def->name) + 1;
	s->fields = calloc(def->n + 1, sizeof(rt_field) + sizeof(rt_method));
	if (s->fields == NULL)
		no_memory();
	s->methods = (rt_method *)(s->fields + def->n);
	if (def->n == 1 && def->members[0].name == NULL && def->members[0].type == NULL &&
	    def->members[0].code == NULL) /* GORT_NO_FIELDS */
		s->nfields = 0;
	else
		for (size_t i = 0; i < def->n; i++)
			add_member(s, i);
	check_overlap(s);
	hash_shape(s);
}

/* ---- The table ------------------------------------------------------------------------------ */

enum { BUCKETS = 512, ROOM = 256 << 10, ALIGN = 16 };

static rt_atomicptr table[BUCKETS]; /* heads: release by who adds, acquire by who reads */
static _Alignas(ALIGN) char room[ROOM]; /* untouched pages of it cost nothing */
static rt_atomic64 room_used;

static void *take(size_t n)
{
	void *p;

	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (n <= ROOM && rt_load64_rlx(&room_used) < ROOM) {
		uint64_t at = rt_add64_full(&room_used, n);

		if (at + n <= ROOM)
			return room + at;
	}
	p = calloc(1, n);
	if (p == NULL)
		no_memory();
	return p;
}

static void give_back(void *p)
{
	if ((char *)p < room || (char *)p >= room + ROOM)
		free(p);
}

static bool matches(const gort_type *t, const shape *s)
{
	if (t->hash != s->hash || (t->kind == GORT_KIND_INTERFACE) != s->interface ||
	    strcmp(t->name, s->def->name) != 0 || t->nfields != s->nfields ||
	    t->nmethods != s->nmethods)
		return false;
	if (!s->interface && (t->size != s->def->size || t->align != s->def->align))
		return false;
	for (size_t i = 0; i < s->nfields; i++)
		if (t->fields[i].offset != s->fields[i].offset ||
		    t->fields[i].type != s->fields[i].type ||
		    strcmp(t->fields[i].name, s->fields[i].name) != 0)
			return false;
	for (size_t i = 0; i < s->nmethods; i++)
		if (t->methods[i].pointer_only != s->methods[i].pointer_only ||
		    strcmp(t->methods[i].name, s->methods[i].name) != 0)
			return false;
	return true;
}

/* From head up to, without, end. */
static const gort_type *find(const gort_type *head, const gort_type *end, const shape *s)
{
	for (const gort_type *t = head; t != end; t = t->next)
		if (matches(t, s))
			return t;
	return NULL;
}

static const char *copy_text(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = memcpy(*at, s, n);

	*at += n;
	return p;
}

static void fill_struct(gort_type *t, const shape *s, size_t *ptrs)
{
	t->size = s->def->size;
	t->align = (uint32_t)s->def->align;
	t->kind = GORT_KIND_STRUCT;
	t->comparable = s->nfields > 0;
	for (size_t i = 0; i < s->nfields; i++) {
		const rt_field *f = &s->fields[i];

		t->comparable = t->comparable && f->type->comparable;
		for (size_t at = 0, end = rt_type_ptrdata(f->type); at < end; at += f->type->period)
			for (size_t k = 0; k < f->type->nptrs; k++)
				ptrs[t->nptrs++] = f->offset + at + f->type->ptrs[k];
	}
	t->period = t->size;
	t->ptrs = ptrs;
	t->mask = rt_type_mask(t);
}

/* Table of methods and value: two words, of which the second is a heap pointer. */
static void fill_interface(gort_type *t)
{
	t->size = t->period = 2 * sizeof(void *);
	t->align = GORT_ALIGNOF(void *);
	t->kind = GORT_KIND_INTERFACE;
	t->comparable = true;
	t->nptrs = 1;
	t->ptrs = pointer_at_1;
	t->mask = 2;
}

/* One block: descriptor, fields, methods, offsets, text. */
static gort_type *build(const shape *s)
{
	size_t size = sizeof(gort_type) + s->nfields * sizeof(rt_field) +
	              s->nmethods * sizeof(rt_method) + s->nptrs * sizeof(size_t);
	gort_type *t = take(size + s->text);
	rt_field *fields = (rt_field *)(t + 1);
	rt_method *methods = (rt_method *)(fields + s->nfields);
	char *text = (char *)t + size;

	t->hash = s->hash;
	t->name = copy_text(&text, s->def->name);
	t->nfields = s->nfields;
	t->fields = fields;
	for (size_t i = 0; i < s->nfields; i++) {
		fields[i] = s->fields[i];
		fields[i].name = copy_text(&text, s->fields[i].name);
	}
	t->nmethods = s->nmethods;
	t->methods = methods;
	for (size_t i = 0; i < s->nmethods; i++) {
		methods[i] = s->methods[i];
		methods[i].name = copy_text(&text, s->methods[i].name);
	}
	if (s->interface)
		fill_interface(t);
	else
		fill_struct(t, s, (size_t *)(methods + s->nmethods));
	return t;
}

static const gort_type *intern(const shape *s)
{
	rt_atomicptr *bucket = &table[s->hash % BUCKETS];
	gort_type *head = rt_loadptr_acq(bucket), *mine = NULL;
	const gort_type *seen = NULL, *t;

	for (;;) {
		t = find(head, seen, s);
		if (t != NULL) {
			if (mine != NULL)
				give_back(mine);
			return t;
		}
		if (mine == NULL)
			mine = build(s);
		mine->next = head;
		if (rt_casptr_rel(bucket, head, mine))
			return mine;
		seen = head; /* somebody was quicker: look at what is new */
		head = rt_loadptr_acq(bucket);
	}
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
	t = intern(&s);
	free(s.fields);
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
