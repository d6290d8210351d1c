/* types.c: the C half of types.go: the same functions under the same names. */
#include "tests/golden/golden.h"

#include <math.h>

typedef const gort_type *type;

typedef struct point {
	int x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, int), GORT_FIELD(point, y, int));

#define INT GORT_TYPE(intptr_t)
#define STRING GORT_TYPE(gort_string)
#define ANY GORT_TYPE(gort_eface)
#define BOTH (GORT_SEND | GORT_RECV)

typedef struct list { /* NULL ends it */
	type of[4];
} list;
typedef struct fields {
	gort_struct_field of[8];
} fields;

static size_t count(const list *l)
{
	size_t n = 0;

	while (n < 4 && l->of[n] != NULL)
		n++;
	return n;
}

static type function(list in, list out, bool variadic)
{
	return gort_type_func(in.of, count(&in), out.of, count(&out), variadic);
}

static type structure(fields f)
{
	size_t n = 0;

	while (n < 8 && f.of[n].name != NULL)
		n++;
	return gort_type_struct(f.of, n);
}

#define LIST(...) ((list){ { __VA_ARGS__ } })
#define FUNC(in, out) function(in, out, false)
#define NONE LIST(NULL)
#define STRUCT(...) structure((fields){ { __VA_ARGS__ } })
#define NAMED(name, t) gort_type_named((name), (t), NULL, 0)

static void name(type t)
{
	puts(gort_type_name(t));
}

F(names)
{
	type recv = gort_type_chan(INT, GORT_RECV), ints = gort_type_slice(INT), celsius = NAMED("celsius", INT);
	gort_method m[] = {
		{ .name = "M", .type = FUNC(LIST(INT), LIST(STRING)) },
		{ .name = "A", .type = FUNC(LIST(INT, INT), LIST(GORT_TYPE(bool), NAMED("label", STRING))) },
		{ .name = "B", .type = function(LIST(ints), NONE, true) },
	};

	name(gort_type_chan(GORT_TYPE(point), BOTH));
	name(recv);
	name(gort_type_chan(INT, GORT_SEND));
	name(gort_type_chan(recv, BOTH));
	name(gort_type_chan(gort_type_chan(INT, BOTH), GORT_SEND));
	name(gort_type_slice(gort_type_chan(recv, BOTH)));
	name(FUNC(NONE, NONE));
	name(FUNC(LIST(INT, STRING), LIST(GORT_TYPE(bool))));
	name(function(LIST(INT, gort_type_slice(STRING)), LIST(GORT_TYPE(bool), celsius), true));
	name(function(LIST(gort_type_slice(ANY)), LIST(FUNC(LIST(INT), LIST(FUNC(NONE, NONE)))), true));
	name(STRUCT({ "X", INT, 0 }, { "Y", INT, 0 }, { "Z", STRING, 0 }));
	name(STRUCT({ "_", INT, 0 }, { "x", gort_type_slice(STRUCT({ "Y", INT, 0 })), 0 }));
	name(gort_type_interface(m, 3));
	name(gort_type_map(gort_type_array(STRING, 2), gort_type_pointer(gort_type_array(FUNC(NONE, NONE), 3))));
	name(gort_type_array(GORT_TYPE(void_ptr), 0));
	name(gort_type_pointer(gort_type_slice(gort_type_pointer(GORT_TYPE(point)))));
}

static void show(type t)
{
	gort_struct_field f;

	printf("%s: %d %d %s", gort_type_name(t), (int)gort_type_size(t), (int)gort_type_align(t),
	       gort_type_comparable(t) ? "true" : "false");
	for (size_t i = 0; gort_type_field(t, i, &f); i++)
		printf(" %d", (int)f.offset);
	puts("");
}

F(layouts)
{
	type i8 = GORT_TYPE(int8_t), i16 = GORT_TYPE(int16_t), i32 = GORT_TYPE(int32_t), i64 = GORT_TYPE(int64_t),
	     u8 = GORT_TYPE(uint8_t), boolean = GORT_TYPE(bool), nothing = STRUCT({ NULL, NULL, 0 }),
	     unit = FUNC(NONE, NONE);
	gort_method m = { .name = "M", .type = unit };

	show(nothing);
	show(STRUCT({ "A", i8, 0 }, { "B", i64, 0 }, { "C", i8, 0 }));
	show(STRUCT({ "A", i64, 0 }, { "B", nothing, 0 }));
	show(STRUCT({ "A", i8, 0 }, { "B", nothing, 0 }));
	show(STRUCT({ "A", nothing, 0 }, { "B", i32, 0 }));
	show(STRUCT({ "A", i16, 0 }, { "B", gort_type_array(i64, 0), 0 }));
	show(STRUCT({ "A", boolean, 0 }, { "B", STRING, 0 }, { "C", boolean, 0 }, { "D", gort_type_slice(i32), 0 },
	            { "E", boolean, 0 }, { "F", ANY, 0 }));
	show(STRUCT({ "A", GORT_TYPE(float), 0 }, { "B", GORT_TYPE(double), 0 }, { "C", i16, 0 },
	            { "D", gort_type_array(u8, 3), 0 }, { "E", GORT_TYPE(uint16_t), 0 }));
	show(STRUCT({ "A", gort_type_array(u8, 5), 0 }, { "B", i16, 0 }));
	show(STRUCT({ "A", gort_type_map(STRING, INT), 0 }, { "B", gort_type_chan(INT, BOTH), 0 }, { "C", unit, 0 },
	            { "D", gort_type_pointer(INT), 0 }, { "E", GORT_TYPE(void_ptr), 0 }, { "F", u8, 0 }));
	show(STRUCT({ "A", i8, 0 }, { "B", STRUCT({ "X", i8, 0 }, { "Y", i32, 0 }, { "Z", i8, 0 }), 0 },
	            { "C", i8, 0 }));
	show(STRUCT({ "A", i8, 0 }, { "B", gort_type_array(STRUCT({ "X", i16, 0 }, { "Y", i8, 0 }), 2), 0 },
	            { "C", i32, 0 }, { "D", nothing, 0 }));
	show(STRUCT({ "A", gort_type_interface(&m, 1), 0 }, { "B", GORT_TYPE(uintptr_t), 0 },
	            { "C", gort_type_array(unit, 0), 0 }));
	show(STRUCT({ "_", i32, 0 }, { "A", i64, 0 }, { "_", nothing, 0 }));
	show(STRUCT({ "A", gort_type_array(STRING, 3), 0 }, { "B", i8, 0 },
	            { "C", gort_type_array(gort_type_array(ANY, 2), 2), 0 }));
}

/* Of values that are not changed: an address will do for a copy. */
static gort_eface any(type t, const void *value)
{
	int kind = gort_type_kind(t);

	if (kind == GORT_KIND_MAP || kind == GORT_KIND_FUNC)
		return (gort_eface){ t, *(void *const *)value };
	return (gort_eface){ t, (void *)(uintptr_t)value };
}

GOLDEN_APART static const char *same(gort_eface a, gort_eface b)
{
	return gort_type_equal(ANY, &a, &b) ? "true" : "false";
}

F(values)
{
	type label = NAMED("label", STRING), map = gort_type_map(STRING, INT);
	int64_t one = 1, another = 1;
	gort_string a = GORT_STR("a"), b = GORT_STR("a");
	double zero = 0, minus = -0.0, nan = (double)NAN;
	point p = { 1, 2 }, q = { 1, 2 };
	void *slice[3] = { NULL };
	gort_eface nil = { NULL, NULL }, i = any(INT, &another), i64 = any(GORT_TYPE(int64_t), &one);

	printf("%s %s %s %s\n", same(i64, any(GORT_TYPE(int64_t), &another)), same(i64, i),
	       same(any(STRING, &a), any(STRING, &b)), same(any(label, &a), any(STRING, &a)));
	printf("%s %s %s\n", same(any(GORT_TYPE(double), &zero), any(GORT_TYPE(double), &minus)),
	       same(any(GORT_TYPE(double), &nan), any(GORT_TYPE(double), &nan)),
	       same(any(GORT_TYPE(point), &p), any(GORT_TYPE(point), &q)));
	printf("%s %s %s\n", same(any(gort_type_slice(INT), slice), any(map, slice)), same(nil, nil), same(nil, i));
}

static void *nothing[3];

F(uncomparable)
{
	type t = gort_type_slice(INT);

	puts(same(any(t, nothing), any(t, nothing)));
}
F(uncomparable_struct)
{
	type t = STRUCT({ "F", FUNC(LIST(INT), NONE), 0 });

	puts(same((gort_eface){ t, NULL }, (gort_eface){ t, NULL }));
}
F(uncomparable_inside)
{
	type t = gort_type_array(ANY, 1);
	gort_eface v = any(gort_type_slice(INT), nothing);

	puts(same(any(t, &v), any(t, &v)));
}
F(unhashable)
{
	gort_eface v = any(gort_type_map(STRING, INT), nothing);

	(void)gort_type_hash(ANY, &v, 1);
}

F(named_int) { gort_panic(any(NAMED("celsius", INT), &(intptr_t){ -5 })); }
F(named_float) { gort_panic(any(NAMED("ratio", GORT_TYPE(double)), &(double){ 1.5 })); }
F(named_bool) { gort_panic(any(NAMED("flag", GORT_TYPE(bool)), &(bool){ true })); }
F(named_string) { gort_panic(any(NAMED("label", STRING), &GORT_STR("two\nlines"))); }

static const golden_case cases[] = {
	{ "names", names },
	{ "layouts", layouts },
	{ "values", values },
	{ "uncomparable", uncomparable },
	{ "uncomparable_struct", uncomparable_struct },
	{ "uncomparable_inside", uncomparable_inside },
	{ "unhashable", unhashable },
	{ "named_int", named_int },
	{ "named_float", named_float },
	{ "named_bool", named_bool },
	{ "named_string", named_string },
};

GOLDEN_MAIN(cases, NULL)
