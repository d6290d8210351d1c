/* Types made of types: their names, sizes and offsets (all of this file's tables were printed by Go 1.23), what
 * makes two of them the same, and what is refused. */
#include "core/builtin/type_impl.h"

#include "tests/support/program.h"
#include "tests/support/throws.h"
#include "tests/support/types.h"

#include <string.h>

typedef struct point {
	int x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, int), GORT_FIELD(point, y, int));

GORT_DEFINE_ALIAS(ints, gort_type_slice(GORT_TYPE(int)));
GORT_DEFINE_ALIAS(names, gort_type_map(GORT_TYPE(gort_string), GORT_TYPE(ints)));

static void test_names(void **state)
{
	type error = gort_type_named("error",
	                             make_interface("Error", fn(NULL, NULL, STRING, NULL), NULL,
	                                            NULL, NULL, NULL),
	                             NULL, 0);
	type recv = gort_type_chan(INT, GORT_RECV), any = GORT_TYPE(gort_eface),
	     unit = fn(NULL, NULL, NULL, NULL);
	const struct {
		type t;
		const char *name;
		int kind;
		size_t words;
	} rows[] = {
		{gort_type_chan(GORT_TYPE(point), BOTH), "chan point", GORT_KIND_CHAN, 1},
		{recv, "<-chan int", GORT_KIND_CHAN, 1},
		{gort_type_chan(INT, GORT_SEND), "chan<- int", GORT_KIND_CHAN, 1},
		{gort_type_chan(recv, BOTH), "chan (<-chan int)", GORT_KIND_CHAN, 1},
		{gort_type_chan(gort_type_chan(INT, BOTH), GORT_SEND), "chan<- chan int",
	         GORT_KIND_CHAN, 1},
		{gort_type_chan(recv, GORT_SEND), "chan<- <-chan int", GORT_KIND_CHAN, 1},
		{gort_type_chan(recv, GORT_RECV), "<-chan <-chan int", GORT_KIND_CHAN, 1},
		{gort_type_chan(gort_type_chan(INT, GORT_SEND), BOTH), "chan chan<- int",
	         GORT_KIND_CHAN, 1},
		{gort_type_chan(gort_type_named("L", recv, NULL, 0), BOTH), "chan L",
	         GORT_KIND_CHAN, 1},
		{gort_type_chan(unit, BOTH), "chan func()", GORT_KIND_CHAN, 1},
		{gort_type_slice(gort_type_chan(recv, BOTH)), "[]chan (<-chan int)",
	         GORT_KIND_SLICE, 3},
		{unit, "func()", GORT_KIND_FUNC, 1},
		{fn(INT, STRING, GORT_TYPE(bool), NULL), "func(int, string) bool", GORT_KIND_FUNC,
	         1},
		{fn(INT, gort_type_slice(STRING), GORT_TYPE(bool), error),
	         "func(int, []string) (bool, error)", GORT_KIND_FUNC, 1},
		{variadic(INT, STRING, NULL), "func(int, ...string)", GORT_KIND_FUNC, 1},
		{variadic(NULL, any, fn(INT, NULL, unit, NULL)),
	         "func(...interface {}) func(int) func()", GORT_KIND_FUNC, 1},
		{fn(NULL, NULL, recv, NULL), "func() <-chan int", GORT_KIND_FUNC, 1},
		{STRUCT({NULL}), "struct {}", GORT_KIND_STRUCT, 0},
		{STRUCT({"X", INT}, {"Y", INT}, {"Z", STRING}), "struct { X int; Y int; Z string }",
	         GORT_KIND_STRUCT, 4},
		{STRUCT({"_", INT}, {"x", gort_type_slice(STRUCT({"Y", INT}))}),
	         "struct { _ int; x []struct { Y int } }", GORT_KIND_STRUCT, 4},
		{make_interface("M", unit, NULL, NULL, NULL, NULL), "interface { M() }",
	         GORT_KIND_INTERFACE, 2},
		{make_interface("M", fn(INT, NULL, STRING, NULL), "A",
	                        fn(INT, INT, GORT_TYPE(bool), error), "B",
	                        variadic(NULL, INT, NULL)),
	         "interface { A(int, int) (bool, error); B(...int); M(int) string }",
	         GORT_KIND_INTERFACE, 2},
		{GORT_TYPE(names), "map[string][]int32", GORT_KIND_MAP, 1},
		{gort_type_map(gort_type_array(STRING, 2),
	                       gort_type_pointer(gort_type_array(unit, 3))),
	         "map[[2]string]*[3]func()", GORT_KIND_MAP, 1},
		{gort_type_array(GORT_TYPE(void_ptr), 0), "[0]unsafe.Pointer", GORT_KIND_ARRAY, 0},
		{gort_type_pointer(gort_type_slice(gort_type_pointer(GORT_TYPE(point)))),
	         "*[]*point", GORT_KIND_POINTER, 1},
		/* In Go a method has a type always. */
		{make_interface("M", NULL, NULL, NULL, NULL, NULL), "interface { M(...) }",
	         GORT_KIND_INTERFACE, 2},
	};

	(void)state;
	for (size_t i = 0; i < RT_NELEM(rows); i++) {
		assert_non_null(rows[i].t);
		assert_string_equal(gort_type_name(rows[i].t), rows[i].name);
		assert_int_equal(gort_type_kind(rows[i].t), rows[i].kind);
		assert_int_equal(gort_type_size(rows[i].t), rows[i].words * sizeof(void *));
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(rows[i].t, rows[k].t);
	}
	assert_ptr_equal(gort_type_interface(NULL, 0), GORT_TYPE(gort_eface));
}

/* unsafe.Sizeof, Alignof and Offsetof of the same structs. */
static void test_layouts(void **state)
{
	type int8 = GORT_TYPE(int8_t), int16 = GORT_TYPE(int16_t), int32 = GORT_TYPE(int32_t),
	     int64 = GORT_TYPE(int64_t), uint8 = GORT_TYPE(uint8_t), nothing = STRUCT({NULL}),
	     any = GORT_TYPE(gort_eface), unit = fn(NULL, NULL, NULL, NULL),
	     small = STRUCT({"X", int8}, {"Y", int32}, {"Z", int8}),
	     odd = STRUCT({"X", int16}, {"Y", int8});
	struct {
		fields f;
		size_t size, align, offsets[8];
		bool comparable;
	} rows[] = {
		{{{{NULL}}}, 0, 1, {0}, true},
		{{{{"A", int8}, {"B", int64}, {"C", int8}}}, 24, 8, {0, 8, 16}, true},
		{{{{"A", int64}, {"B", nothing}}}, 16, 8, {0, 8}, true},
		{{{{"A", int8}, {"B", nothing}}}, 2, 1, {0, 1}, true},
		{{{{"A", nothing}, {"B", int32}}}, 4, 4, {0, 0}, true},
		{{{{"A", nothing}}}, 0, 1, {0}, true},
		{{{{"A", nothing}, {"B", gort_type_array(int64, 0)}}}, 0, 8, {0, 0}, true},
		{{{{"A", int16}, {"B", gort_type_array(int64, 0)}}}, 16, 8, {0, 8}, true},
		{{{{"A", GORT_TYPE(bool)},
	           {"B", STRING},
	           {"C", GORT_TYPE(bool)},
	           {"D", GORT_TYPE(ints)},
	           {"E", GORT_TYPE(bool)},
	           {"F", any}}},
	         80,
	         8,
	         {0, 8, 24, 32, 56, 64},
	         false},
		{{{{"A", GORT_TYPE(float)},
	           {"B", GORT_TYPE(double)},
	           {"C", int16},
	           {"D", gort_type_array(uint8, 3)},
	           {"E", GORT_TYPE(uint16_t)}}},
	         24,
	         8,
	         {0, 8, 16, 18, 22},
	         true},
		{{{{"A", gort_type_array(uint8, 5)}, {"B", int16}}}, 8, 2, {0, 6}, true},
		{{{{"A", GORT_TYPE(names)},
	           {"B", gort_type_chan(INT, BOTH)},
	           {"C", unit},
	           {"D", gort_type_pointer(INT)},
	           {"E", GORT_TYPE(void_ptr)},
	           {"F", uint8}}},
	         48,
	         8,
	         {0, 8, 16, 24, 32, 40},
	         false},
		{{{{"A", int8}, {"B", small}, {"C", int8}}}, 20, 4, {0, 4, 16}, true},
		{{{{"A", int8}, {"B", gort_type_array(odd, 2)}, {"C", int32}, {"D", nothing}}},
	         20,
	         4,
	         {0, 2, 12, 16},
	         true},
		{{{{"A", make_interface("M", unit, NULL, NULL, NULL, NULL)},
	           {"B", GORT_TYPE(uintptr_t)},
	           {"C", gort_type_array(unit, 0)}}},
	         32,
	         8,
	         {0, 16, 24},
	         false},
		{{{{"_", int32}, {"A", int64}, {"_", nothing}}}, 24, 8, {0, 8, 16}, true},
		{{{{"A", gort_type_array(STRING, 3)},
	           {"B", int8},
	           {"C", gort_type_array(gort_type_array(any, 2), 2)}}},
	         120,
	         8,
	         {0, 48, 56},
	         true},
	};

	(void)state;
	for (size_t i = 0; i < RT_NELEM(rows); i++) {
		size_t n = count(&rows[i].f);
		type t = gort_type_struct(rows[i].f.of, n);
		gort_struct_field f;

		assert_int_equal(gort_type_size(t), rows[i].size);
		assert_int_equal(gort_type_align(t), rows[i].align);
		assert_int_equal(gort_type_comparable(t), rows[i].comparable);
		assert_int_equal(gort_type_len(t), n);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(rows[i].f.of[k].offset, rows[i].offsets[k]);
			assert_true(gort_type_field(t, k, &f));
			assert_string_equal(f.name, rows[i].f.of[k].name);
			assert_ptr_equal(f.type, rows[i].f.of[k].type);
			assert_int_equal(f.offset, rows[i].offsets[k]);
		}
		assert_false(gort_type_field(t, n, &f));
	}
}

static void test_questions(void **state)
{
	type t = gort_type_map(STRING, GORT_TYPE(ints)), a = gort_type_array(t, 7);
	gort_struct_field f;

	(void)state;
	assert_ptr_equal(gort_type_key(t), STRING);
	assert_ptr_equal(gort_type_elem(t), GORT_TYPE(ints));
	assert_ptr_equal(gort_type_elem(a), t);
	assert_ptr_equal(gort_type_elem(gort_type_pointer(t)), t);
	assert_ptr_equal(gort_type_elem(gort_type_slice(t)), t);
	assert_ptr_equal(gort_type_elem(gort_type_chan(t, GORT_RECV)), t);
	assert_null(gort_type_key(a));
	assert_null(gort_type_elem(INT));
	assert_null(gort_type_elem(GORT_TYPE(point)));
	assert_int_equal(gort_type_len(a), 7);
	assert_int_equal(gort_type_len(GORT_TYPE(point)), 2);
	assert_int_equal(gort_type_len(t), 0);
	assert_int_equal(gort_type_len(GORT_TYPE(gort_eface)), 0);
	assert_int_equal(gort_type_len(make_interface("A", NULL, "B", NULL, NULL, NULL)), 2);
	assert_true(gort_type_field(GORT_TYPE(point), 1, &f));
	assert_string_equal(f.name, "y");
	assert_false(gort_type_field(INT, 0, &f));
	assert_true(gort_type_has_pointers(gort_type_array(STRING, 1)));
	assert_false(gort_type_has_pointers(gort_type_array(STRING, 0)));
	assert_false(gort_type_has_pointers(gort_type_array(INT, 5)));
	assert_false(gort_type_comparable(t));
	assert_false(gort_type_comparable(a));
	assert_false(gort_type_comparable(fn(NULL, NULL, NULL, NULL)));
	assert_false(gort_type_comparable(GORT_TYPE(ints)));
	assert_true(gort_type_comparable(gort_type_pointer(t)));
	assert_true(gort_type_comparable(gort_type_chan(t, BOTH)));
	assert_true(gort_type_comparable(GORT_TYPE(gort_eface)));
	THROWS("the type is NULL", (void)gort_type_elem(NULL));
}

/* Which values an interface holds itself. */
static void test_direct(void **state)
{
	type p = gort_type_pointer(INT);

	(void)state;
	assert_true(p->direct && GORT_TYPE(void_ptr)->direct && GORT_TYPE(names)->direct);
	assert_true(gort_type_chan(INT, BOTH)->direct && fn(INT, NULL, NULL, NULL)->direct);
	assert_true(STRUCT({ "P", p })->direct && gort_type_array(p, 1)->direct);
	assert_true(STRUCT({ "A", gort_type_array(STRUCT({ "P", p }), 1) })->direct);
	assert_true(gort_type_named("P", p, NULL, 0)->direct);
	assert_false(STRUCT({ "P", p }, { "N", STRUCT({ NULL }) })->direct);
	assert_false(gort_type_array(p, 2)->direct || gort_type_array(p, 0)->direct);
	assert_false(INT->direct || GORT_TYPE(ints)->direct || STRUCT({ "X", INT })->direct);
}

/* ---- The same type ---------------------------------------------------------------------------------- */

static void test_equal_types(void **state)
{
	type unit = fn(NULL, NULL, NULL, NULL), slice = gort_type_slice(STRING);

	(void)state;
	assert_ptr_equal(gort_type_slice(GORT_TYPE(int)), GORT_TYPE(ints));
	assert_ptr_equal(gort_type_slice(GORT_TYPE(int32_t)), GORT_TYPE(ints));
	assert_ptr_equal(gort_type_chan(INT, BOTH), gort_type_chan(INT, BOTH));
	assert_ptr_equal(gort_type_array(INT, 3), gort_type_array(INT, 3));
	assert_ptr_not_equal(gort_type_array(INT, 0), gort_type_array(GORT_TYPE(int64_t), 0));
	assert_ptr_equal(variadic(INT, STRING, NULL), variadic(INT, STRING, NULL));
	assert_ptr_not_equal(fn(INT, slice, NULL, NULL), variadic(INT, STRING, NULL));
	assert_ptr_not_equal(fn(INT, NULL, INT, NULL), fn(INT, INT, NULL, NULL));
	assert_ptr_not_equal(fn(INT, STRING, NULL, NULL), fn(STRING, INT, NULL, NULL));
	assert_ptr_not_equal(gort_type_map(INT, STRING), gort_type_map(STRING, INT));
	assert_ptr_equal(STRUCT({ "X", INT }, { "Y", slice }), STRUCT({ "X", INT }, { "Y", slice }));
	assert_ptr_not_equal(STRUCT({ "X", INT }), STRUCT({ "x", INT }));
	assert_ptr_not_equal(STRUCT({ "X", INT }), STRUCT({ "X", GORT_TYPE(int64_t) }));
	assert_ptr_not_equal(STRUCT({ "X", INT }, { "Y", INT }), STRUCT({ "Y", INT }, { "X", INT }));
	assert_ptr_not_equal(STRUCT({ "x", GORT_TYPE(int) }, { "y", GORT_TYPE(int) }), GORT_TYPE(point));
	assert_ptr_equal(make_interface("A", unit, "B", NULL, NULL, NULL), make_interface("B", NULL, "A", unit,
	  NULL, NULL));
	assert_ptr_not_equal(make_interface("A", unit, NULL, NULL, NULL, NULL), make_interface("A", NULL, NULL,
	  NULL, NULL, NULL));
	assert_ptr_not_equal(make_interface("A", unit, NULL, NULL, NULL, NULL), make_interface("B", unit, NULL,
	  NULL, NULL, NULL));
}

static void test_names_are_copied(void **state)
{
	char field[] = "gone", method[] = "Gone", name[] = "Leaving";
	gort_method m = { .name = method, .type = fn(NULL, NULL, NULL, NULL) };
	type s = STRUCT({ field, INT }), i = gort_type_interface(&m, 1), n;

	(void)state;
	m.code = (gort_code)test_names_are_copied;
	n = gort_type_named(name, INT, &m, 1);
	memset(field, 'x', 4);
	memset(method, 'x', 4);
	memset(name, 'x', 4);
	assert_string_equal(gort_type_name(s), "struct { gone int }");
	assert_string_equal(s->fields[0].name, "gone");
	assert_string_equal(gort_type_name(i), "interface { Gone() }");
	assert_string_equal(i->methods[0].name, "Gone");
	assert_string_equal(gort_type_name(n), "Leaving");
	assert_string_equal(n->methods[0].name, "Gone");
}

static void test_named(void **state)
{
	gort_method m[] = { { .name = "String", .type = fn(NULL, NULL, STRING, NULL),
	  .code = (gort_code)test_names },
		            { .name = "Add", .code = (gort_code)test_direct, .on_pointer = true } };
	type u = STRUCT({ "P", gort_type_pointer(INT) }, { "N", INT }), a = gort_type_named("T", u, m, 2),
	     b = gort_type_named("T", u, m, 2), c = gort_type_named("C", a, NULL, 0);
	type inter = make_interface("M", NULL, "A", NULL, NULL, NULL), i = gort_type_named("I", inter, NULL, 0);
	gort_struct_field f;

	(void)state;
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(a, u);
	assert_string_equal(gort_type_name(a), "T");
	assert_string_equal(gort_type_name(gort_type_slice(a)), "[]T");
	assert_ptr_not_equal(gort_type_slice(a), gort_type_slice(b));
	assert_int_equal(gort_type_kind(a), GORT_KIND_STRUCT);
	assert_int_equal(gort_type_size(a), 16);
	assert_int_equal(gort_type_len(a), 2);
	assert_true(gort_type_field(a, 1, &f));
	assert_string_equal(f.name, "N");
	assert_int_equal(rt_type_words(a), 1);
	assert_int_equal(a->mask, 1);
	assert_int_equal(a->nmethods, 2);
	assert_string_equal(a->methods[0].name, "Add");
	assert_true(a->methods[0].on_pointer && !a->methods[1].on_pointer);
	assert_ptr_equal(a->methods[1].type, m[0].type);
	assert_true(a->methods[1].code == m[0].code);
	assert_int_equal(c->nmethods, 0); /* methods do not come along */
	assert_int_equal(gort_type_len(c), 2);
	assert_int_equal(gort_type_len(i), 2); /* those of an interface do */
	assert_ptr_equal(gort_type_elem(gort_type_named("S", GORT_TYPE(ints), NULL, 0)), GORT_TYPE(int));
	assert_int_equal(gort_type_kind(gort_type_named("Celsius", GORT_TYPE(double), NULL, 0)), GORT_KIND_FLOAT64);
	m[1].name = "String";
	assert_null(gort_type_named("T", u, m, 2));
}

/* ---- What is refused ------------------------------------------------------------------------------ */

static void test_refused(void **state)
{
	const size_t most = (size_t)1 << 47;
	type byte = GORT_TYPE(uint8_t), null = NULL, nothing = STRUCT({ NULL });
	gort_struct_field huge[] = { { .name = "a", .type = gort_type_array(byte, most) }, { .name = "b",
	  .type = byte } };
	gort_struct_field twice[] = { { .name = "a", .type = byte }, { .name = "a", .type = byte } };
	gort_struct_field nameless = { .name = "", .type = byte };
	gort_method same[] = { { .name = "A" }, { .name = "B" }, { .name = "A" } };
	gort_method coded = { .name = "A", .code = (gort_code)test_names };
	gort_method wrong = { .name = "A", .type = byte };
	type in[] = { byte };

	(void)state;
	assert_int_equal(gort_type_size(gort_type_array(byte, most)), most);
	assert_null(gort_type_array(byte, most + 1));
	assert_null(gort_type_array(INT, SIZE_MAX / 8 + 2));
	assert_null(gort_type_array(gort_type_array(INT, 1u << 30), 1u << 30));
	assert_int_equal(gort_type_size(gort_type_array(nothing, INTPTR_MAX)), 0);
	assert_null(gort_type_array(nothing, SIZE_MAX));
	assert_null(gort_type_struct(huge, 2));
	assert_non_null(gort_type_struct(huge, 1));
	assert_null(gort_type_map(GORT_TYPE(ints), byte));
	assert_null(gort_type_map(STRUCT({ "F", fn(NULL, NULL, NULL, NULL) }), byte));
	assert_null(gort_type_map(gort_type_array(GORT_TYPE(names), 2), byte));
	assert_null(gort_type_interface(same, 3));
	assert_non_null(gort_type_interface(same, 2));
	/* NULL makes NULL. */
	assert_null(gort_type_pointer(NULL));
	assert_null(gort_type_slice(NULL));
	assert_null(gort_type_array(NULL, 0));
	assert_null(gort_type_chan(NULL, BOTH));
	assert_null(gort_type_map(NULL, byte));
	assert_null(gort_type_map(byte, NULL));
	assert_null(gort_type_func(&null, 1, NULL, 0, false));
	assert_null(gort_type_func(NULL, 0, &null, 1, false));
	assert_null(STRUCT({ "X", NULL }));
	assert_null(gort_type_named("T", NULL, NULL, 0));

	THROWS("the direction is neither GORT_SEND nor GORT_RECV nor both", (void)gort_type_chan(byte, 0));
	THROWS("the direction is neither GORT_SEND nor GORT_RECV nor both", (void)gort_type_chan(byte, 4));
	THROWS("variadic, but the last parameter is no slice", (void)gort_type_func(NULL, 0, NULL, 0, true));
	THROWS("variadic, but the last parameter is no slice", (void)gort_type_func(in, 1, NULL, 0, true));
	THROWS("two fields of one name", (void)gort_type_struct(twice, 2));
	THROWS("a field without a name", (void)gort_type_struct(&nameless, 1));
	THROWS("a method of an interface has no code", (void)gort_type_interface(&coded, 1));
	THROWS("a method without code", (void)gort_type_named("T", byte, same, 1));
	THROWS("the type of a method is no gort_type_func", (void)gort_type_interface(&wrong, 1));
	THROWS("an interface has no other methods than those it needs",
	       (void)gort_type_named("T", GORT_TYPE(gort_eface), &coded, 1));
	THROWS("no name", (void)gort_type_named("", byte, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_questions), cmocka_unit_test(test_direct),
		cmocka_unit_test(test_equal_types), cmocka_unit_test(test_names_are_copied),
		cmocka_unit_test(test_named), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
