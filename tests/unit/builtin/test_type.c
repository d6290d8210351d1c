/* Type descriptors: one for equal definitions, where the pointers are, what is refused. */
#include "core/builtin/type.h"

#include "backends/thread/thread.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct point {
	int x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, int), GORT_FIELD(point, y, int));

typedef struct node {
	struct node *left, *right;
	point at;
	gort_string name;
	gort_eface any;
	char hidden[100];
} node;
GORT_DEFINE_TYPE(node, GORT_PTR(node, left), GORT_PTR(node, right), GORT_FIELD(node, at, point),
                 GORT_FIELD(node, name, gort_string), GORT_FIELD(node, any, gort_eface));

typedef struct pair {
	node first, second;
} pair;
GORT_DEFINE_TYPE(pair, GORT_FIELD(pair, second, node), GORT_FIELD(pair, first, node));

typedef struct blob {
	char bytes[24];
} blob;
GORT_DEFINE_TYPE(blob, GORT_NO_FIELDS);

static void area(void *p)
{
	(void)p;
}
typedef struct square {
	int side;
} square;
GORT_DEFINE_TYPE(square, GORT_FIELD(square, side, int), GORT_METHOD(Area, area),
                 GORT_PTR_METHOD(Scale, area));
GORT_DEFINE_INTERFACE(shape, GORT_NEEDS(Area), GORT_NEEDS(Scale));
GORT_DEFINE_ALIAS(number, GORT_TYPE(int64_t));

static void test_scalars(void **state)
{
	const struct {
		const gort_type *t;
		int kind;
		size_t size;
		const char *name;
	} rows[] = {
		{ GORT_TYPE(bool), GORT_KIND_BOOL, 1, "bool" },
		{ GORT_TYPE(int), GORT_KIND_INT32, 4, "int32" },
		{ GORT_TYPE(unsigned), GORT_KIND_UINT32, 4, "uint32" },
		{ GORT_TYPE(int8_t), GORT_KIND_INT8, 1, "int8" },
		{ GORT_TYPE(int16_t), GORT_KIND_INT16, 2, "int16" },
		{ GORT_TYPE(int64_t), GORT_KIND_INT64, 8, "int64" },
		{ GORT_TYPE(uint8_t), GORT_KIND_UINT8, 1, "uint8" },
		{ GORT_TYPE(uint16_t), GORT_KIND_UINT16, 2, "uint16" },
		{ GORT_TYPE(uint64_t), GORT_KIND_UINT64, 8, "uint64" },
		{ GORT_TYPE(intptr_t), GORT_KIND_INT, sizeof(intptr_t), "int" },
		{ GORT_TYPE(size_t), GORT_KIND_UINT, sizeof(size_t), "uint" },
		{ GORT_TYPE(uintptr_t), GORT_KIND_UINTPTR, sizeof(uintptr_t), "uintptr" },
		{ GORT_TYPE(float), GORT_KIND_FLOAT32, 4, "float32" },
		{ GORT_TYPE(double), GORT_KIND_FLOAT64, 8, "float64" },
		{ GORT_TYPE(gort_string), GORT_KIND_STRING, sizeof(gort_string), "string" },
		{ GORT_TYPE(gort_eface), GORT_KIND_INTERFACE, sizeof(gort_eface), "interface {}" },
		{ GORT_TYPE(void_ptr), GORT_KIND_UNSAFE_POINTER, sizeof(void *), "unsafe.Pointer" },
	};

	(void)state;
	for (size_t i = 0; i < RT_NELEM(rows); i++) {
		assert_int_equal(gort_type_kind(rows[i].t), rows[i].kind);
		assert_int_equal(gort_type_size(rows[i].t), rows[i].size);
		assert_true(gort_type_align(rows[i].t) <= rows[i].size);
		assert_string_equal(gort_type_name(rows[i].t), rows[i].name);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(rows[i].t, rows[k].t);
	}
	assert_ptr_equal(GORT_TYPE(int), GORT_TYPE(int32_t));
	assert_ptr_equal(GORT_TYPE(unsigned), GORT_TYPE(uint32_t));
	assert_ptr_equal(GORT_TYPE(number), GORT_TYPE(int64_t));
	assert_false(rt_type_pointers(GORT_TYPE(uintptr_t)));
	assert_true(rt_type_pointers(GORT_TYPE(void_ptr)));
}

static void test_struct(void **state)
{
	const gort_type *t = GORT_TYPE(node);
	const size_t want[] = { offsetof(node, left), offsetof(node, right), offsetof(node, name),
		                offsetof(node, any) + offsetof(gort_eface, data) };

	(void)state;
	assert_int_equal(gort_type_kind(t), GORT_KIND_STRUCT);
	assert_int_equal(gort_type_size(t), sizeof(node));
	assert_int_equal(gort_type_align(t), _Alignof(node));
	assert_string_equal(gort_type_name(t), "node");
	assert_int_equal(t->nptrs, RT_NELEM(want));
	assert_memory_equal(t->ptrs, want, sizeof want);
	assert_int_equal(rt_type_ptrdata(t), want[3] + sizeof(void *));
	assert_true(t->comparable);
	assert_false(rt_type_pointers(GORT_TYPE(point)));
	assert_false(rt_type_pointers(GORT_TYPE(blob)));
	assert_false(GORT_TYPE(blob)->comparable);
	assert_int_equal(GORT_TYPE(square)->nmethods, 2);
	assert_true(GORT_TYPE(square)->methods[1].on_pointer);
	assert_int_equal(gort_type_kind(GORT_TYPE(shape)), GORT_KIND_INTERFACE);
	assert_int_equal(gort_type_size(GORT_TYPE(shape)), 2 * sizeof(void *));
	assert_int_equal(GORT_TYPE(shape)->ptrs[0], sizeof(void *));
}

typedef struct seen {
	void **slots[16];
	size_t n;
} seen;

static void note(void *data, void **slot)
{
	seen *s = data;

	s->slots[s->n++] = slot;
}

static void test_nested_pointers(void **state)
{
	pair p;
	seen s = { .n = 0 };

	(void)state;
	rt_type_visit(GORT_TYPE(pair), &p, note, &s);
	assert_int_equal(s.n, 8);
	assert_ptr_equal(s.slots[0], &p.first.left);
	assert_ptr_equal(s.slots[3], &p.first.any.data);
	assert_ptr_equal(s.slots[4], &p.second.left);
	assert_ptr_equal(s.slots[7], &p.second.any.data);
}

static const gort_member two_ints[] = { { "x", 0, gort_type_of_int, NULL },
	                                { "y", 4, gort_type_of_int, NULL } };

static void test_equal_definitions(void **state)
{
	gort_type_def same = { "point", 8, 4, two_ints, 2, NULL };
	gort_type_def other_name = { "vector", 8, 4, two_ints, 2, NULL };
	gort_type_def other_size = { "point", 12, 4, two_ints, 2, NULL };
	gort_type_def fewer = { "point", 8, 4, two_ints, 1, NULL };

	(void)state;
	assert_ptr_equal(gort_type_define(&same), GORT_TYPE(point));
	assert_ptr_equal(same.cache, GORT_TYPE(point));
	assert_ptr_not_equal(gort_type_define(&other_name), GORT_TYPE(point));
	assert_ptr_not_equal(gort_type_define(&other_size), GORT_TYPE(point));
	assert_ptr_not_equal(gort_type_define(&fewer), GORT_TYPE(point));
}

/* The module that defined a type may go away; so its text does. */
static void test_names_are_copied(void **state)
{
	char name[] = "leaving", field[] = "gone";
	gort_member m = { field, 0, gort_type_of_int, NULL };
	gort_type_def def = { name, 4, 4, &m, 1, NULL };
	const gort_type *t = gort_type_define(&def);

	(void)state;
	memset(name, 'x', sizeof name - 1);
	memset(field, 'x', sizeof field - 1);
	assert_string_equal(gort_type_name(t), "leaving");
	assert_string_equal(t->fields[0].name, "gone");
}

enum { THREADS = 4, TYPES = 200 };
static const gort_type *made[THREADS][TYPES];
static rt_atomic32 started;

static void define_many(void *arg)
{
	const gort_type **mine = arg;

	rt_add32_full(&started, 1);
	while (rt_load32_acq(&started) < THREADS)
		be_thread_yield();
	for (size_t i = 0; i < TYPES; i++) {
		gort_type_def def = { "many", 8 * (i + 1), 8, two_ints, 2, NULL };

		mine[i] = gort_type_define(&def);
	}
}

static void test_threads_agree(void **state)
{
	be_thread t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(be_thread_start(&t[i], define_many, made[i], 0), 0);
	for (int i = 0; i < THREADS; i++)
		be_thread_join(&t[i]);
	for (int i = 1; i < THREADS; i++)
		assert_memory_equal(made[i], made[0], sizeof made[0]);
	assert_ptr_not_equal(made[0][0], made[0][1]);
}

/* More types than the library's own room holds. */
static void test_very_many(void **state)
{
	static char names[2000][8];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		gort_type_def def = { names[i], 8, 4, two_ints, 2, NULL }, again;
		const gort_type *t;

		snprintf(names[i], sizeof names[i], "t%d", i);
		again = def;
		t = gort_type_define(&def);
		assert_ptr_equal(gort_type_define(&again), t);
		assert_string_equal(gort_type_name(t), names[i]);
	}
}

static jmp_buf thrown;
static char message[256];

static void catch(const char *what)
{
	strncpy(message, what, sizeof message - 1);
	longjmp(thrown, 1);
}

static const char *refusal(const gort_type_def *wrong)
{
	gort_type_def def = *wrong;

	message[0] = '\0';
	rt_throw_hook = catch;
	if (setjmp(thrown) == 0)
		(void)gort_type_define(&def);
	rt_throw_hook = NULL;
	return message;
}

static const gort_type *no_type(void)
{
	return NULL;
}

static void test_malformed(void **state)
{
	static const gort_member overlap[] = { { "b", 2, gort_type_of_int16_t, NULL },
		                               { "a", 0, gort_type_of_int, NULL } };
	static const gort_member twice[] = { { "a", 0, gort_type_of_int, NULL },
		                             { "a", 4, gort_type_of_int, NULL } };
	static const gort_member beyond[] = { { "a", 8, gort_type_of_int, NULL } };
	static const gort_member far[] = { { "a", SIZE_MAX - 3, gort_type_of_int, NULL } };
	static const gort_member crooked[] = { { "a", 2, gort_type_of_int, NULL } };
	static const gort_member null[] = { { "a", 0, no_type, NULL } };
	static const gort_member both[] = { { "a", 0, gort_type_of_int, (gort_code)area } };
	static const gort_member unnamed[] = { { NULL, 0, gort_type_of_int, NULL } };
	const struct {
		gort_type_def def;
		const char *text;
	} rows[] = {
		{ { "T", 8, 4, overlap, 2, NULL }, "T.b: overlaps another field" },
		{ { "T", 8, 4, twice, 2, NULL }, "T.a: named twice" },
		{ { "T", 8, 4, beyond, 1, NULL }, "T.a: lies outside of the struct" },
		{ { "T", 8, 4, far, 1, NULL }, "T.a: lies outside of the struct" },
		{ { "T", 8, 4, crooked, 1, NULL }, "T.a: is not aligned" },
		{ { "T", 8, 4, null, 1, NULL }, "T.a: its type is NULL" },
		{ { "T", 8, 4, both, 1, NULL }, "T.a: neither a field nor a method" },
		{ { "T", 8, 4, unnamed, 1, NULL }, "T: a member without a name" },
		{ { "T", 0, 0, beyond, 1, NULL },
		  "T.a: an interface has methods without code only" },
		{ { "T", 8, 3, NULL, 0, NULL }, "T: the alignment is no power of two" },
		{ { "T", 16384, 16384, NULL, 0, NULL }, "T: the alignment is above 8192" },
		{ { "T", 9, 4, NULL, 0, NULL }, "T: the size is no multiple of the alignment" },
		{ { "T", 9, 0, NULL, 0, NULL }, "T: alignment 0" },
		{ { "T", 8, 4, NULL, 1, NULL }, "T: members are missing" },
		{ { "", 8, 4, NULL, 0, NULL }, ": no name" },
		{ { NULL, 8, 4, NULL, 0, NULL }, "a type: no name" },
	};

	(void)state;
	for (size_t i = 0; i < RT_NELEM(rows); i++)
		assert_string_equal(refusal(&rows[i].def), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),           cmocka_unit_test(test_struct),
		cmocka_unit_test(test_nested_pointers),   cmocka_unit_test(test_equal_definitions),
		cmocka_unit_test(test_names_are_copied),  cmocka_unit_test(test_threads_agree),
		cmocka_unit_test(test_very_many),         cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
