/* == and the hash of maps: Go's answers, Go's panics, and that the hash spreads. */
#include "core/builtin/type_impl.h"

#include "core/base/rand.h"
#include "tests/support/goroutines.h"
#include "tests/support/throws.h"
#include "tests/support/types.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 12345 };

typedef struct spot { /* a gap, and a field that is not named */
	int8_t kind;
	int64_t at;
	int32_t unnamed;
} spot;
GORT_DEFINE_TYPE(spot, GORT_FIELD(spot, kind, int8_t), GORT_FIELD(spot, at, int64_t));

typedef struct blob {
	char bytes[8];
} blob;
GORT_DEFINE_TYPE(blob, GORT_NO_FIELDS);

/* Equal, and then of one hash. */
static bool equal(type t, const void *a, const void *b)
{
	bool is = gort_type_equal(t, a, b);

	CHECK(gort_type_equal(t, b, a) == is);
	CHECK((gort_type_hash(t, a, SEED) == gort_type_hash(t, b, SEED)) == is);
	return is;
}

static gort_string str(const char *s)
{
	size_t n = strlen(s);
	char *p = gort_alloc(n + 1, GORT_NOSCAN); /* elsewhere each time */

	memcpy(p, s, n);
	return (gort_string){ p, (intptr_t)n };
}

/* An interface that holds a copy of *value. */
static gort_eface any(type t, const void *value)
{
	void *p = gort_new(t);

	if (t->direct)
		return (gort_eface){ t, *(void *const *)value };
	gort_move(t, p, value, 1);
	return (gort_eface){ t, p };
}

static void scalars(void *arg)
{
	(void)arg;
	CHECK(equal(INT, &(intptr_t){ 7 }, &(intptr_t){ 7 }));
	CHECK(!equal(INT, &(intptr_t){ 7 }, &(intptr_t){ 8 }));
	CHECK(equal(GORT_TYPE(bool), &(bool){ true }, &(bool){ true }));
	CHECK(!equal(GORT_TYPE(uint8_t), &(uint8_t){ 0 }, &(uint8_t){ 255 }));
	CHECK(!equal(GORT_TYPE(int16_t), &(int16_t){ 1 }, &(int16_t){ 256 }));
	CHECK(!equal(GORT_TYPE(void_ptr), &(void *){ arg }, &(void *){ &arg }));
	CHECK(equal(GORT_TYPE(double), &(double){ 0.0 }, &(double){ -0.0 }));
	CHECK(equal(GORT_TYPE(float), &(float){ 0.0f }, &(float){ -0.0f }));
	CHECK(equal(GORT_TYPE(double), &(double){ 1e300 }, &(double){ 1e300 }));
	CHECK(!equal(GORT_TYPE(double), &(double){ 1 }, &(double){ -1 }));
	CHECK(!equal(GORT_TYPE(double), &(double){ (double)NAN }, &(double){ (double)NAN })); /* nor their hashes */
	CHECK(!equal(GORT_TYPE(float), &(float){ NAN }, &(float){ NAN }));
	CHECK(equal(STRING, &(gort_string){ NULL, 0 }, &(gort_string){ "x", 0 }));
	CHECK(!equal(STRING, &(gort_string){ "abc", 3 }, &(gort_string){ "abd", 3 }));
	CHECK(!equal(STRING, &(gort_string){ "abc", 3 }, &(gort_string){ "abc", 2 }));
	CHECK(!equal(STRING, &(gort_string){ "\0\0", 1 }, &(gort_string){ "\0\0", 2 }));
	for (int n = 0; n < 80; n++) {
		char text[81];
		gort_string a, b;

		memset(text, 'a' + n % 7, sizeof text);
		text[n] = '\0';
		a = str(text);
		b = str(text);
		CHECK(equal(STRING, &a, &b));
		if (n > 0) {
			*(char *)(uintptr_t)(b.ptr + n / 2) ^= 1;
			CHECK(!equal(STRING, &a, &b));
		}
	}
}

static void composites(void *arg)
{
	type pair = STRUCT({ "N", INT }, { "S", STRING }), strings = gort_type_array(STRING, 3),
	     gap = STRUCT({ "A", GORT_TYPE(int8_t) }, { "B", INT }),
	     blank = STRUCT({ "A", INT }, { "_", INT }, { "C", INT }),
	     ends = STRUCT({ "A", INT }, { "_", INT }), empty = STRUCT({ NULL }), ints = gort_type_array(INT, 3);
	struct { intptr_t n; gort_string s; } a = { 1, str("one") }, b = { 1, str("one") };
	gort_string s[3] = { str("a"), str("b"), str("c") }, u[3] = { str("a"), str("b"), str("c") };
	intptr_t x[3] = { 1, 2, 3 }, y[3] = { 1, 2, 3 };
	spot p, q;

	(void)arg;
	CHECK(equal(pair, &a, &b));
	b.n = 2;
	CHECK(!equal(pair, &a, &b));
	b.n = 1;
	b.s = str("two");
	CHECK(!equal(pair, &a, &b));
	CHECK(equal(strings, s, u));
	CHECK(equal(gort_type_array(strings, 0), s, x));
	for (int i = 0; i < 3; i++) {
		u[i] = str("z");
		CHECK(!equal(strings, s, u));
		u[i] = s[i];
	}
	/* Parts that change places. */
	u[0] = str("ab");
	u[1] = str("");
	CHECK(!equal(strings, s, u));
	CHECK(ints->plain && equal(ints, x, y));
	y[2] = 4;
	CHECK(!equal(ints, x, y));
	CHECK(equal(empty, x, y) && equal(gort_type_array(empty, 9), x, y));
	y[1] = 9; /* x: 1 2 3, y: 1 9 4 */
	CHECK(!equal(blank, x, y));
	y[2] = 3;
	CHECK(equal(blank, x, y) && !equal(ints, x, y) && equal(ends, x, y));
	memset(&p, 0x55, sizeof p);
	memset(&q, 0xaa, sizeof q);
	p.kind = q.kind = 1;
	p.at = q.at = 2;
	CHECK(!GORT_TYPE(spot)->plain && equal(GORT_TYPE(spot), &p, &q) && equal(gap, &p, &q));
	q.at = 3;
	CHECK(!equal(GORT_TYPE(spot), &p, &q));
	CHECK(equal(gort_type_named("N", pair, NULL, 0), &a, &a));
}

static void interfaces(void *arg)
{
	type face = GORT_TYPE(gort_eface), one = gort_type_array(gort_type_pointer(INT), 1);
	type inter = make_interface("M", NULL, NULL, NULL, NULL, NULL);
	const gort_itab to_int = { inter, INT }, to_string = { inter, STRING };
	intptr_t seven = 7, eight = 8, again = 7;
	intptr_t *at7 = &seven, *at_again = &again;
	double nan = (double)NAN;
	gort_string s = str("x"), z = str("x");
	gort_eface nil = { NULL, NULL }, a = any(INT, &seven), b = any(INT, &seven), c = any(INT, &eight),
		   d = any(GORT_TYPE(int64_t), &seven), n = any(GORT_TYPE(double), &nan), e = any(STRING, &s),
		   f = any(STRING, &z), p = any(one, &at7), q = any(one, &at_again), r = any(one, &at7);
	gort_iface i = { &to_int, a.data }, j = { &to_int, b.data }, k = { &to_int, c.data },
		   l = { &to_string, e.data };

	(void)arg;
	CHECK(a.data != b.data && equal(face, &a, &b));
	CHECK(!equal(face, &a, &c) && !equal(face, &a, &d) && !equal(face, &a, &nil));
	CHECK(equal(face, &nil, &(gort_eface){ NULL, &nil }));
	CHECK(equal(face, &e, &f) && !equal(face, &e, &a));
	CHECK(!equal(face, &n, &n)); /* in one place, and yet not itself */
	CHECK(one->direct && equal(face, &p, &r) && !equal(face, &p, &q));
	CHECK(equal(inter, &i, &j) && !equal(inter, &i, &k) && !equal(inter, &i, &l));
	CHECK(equal(inter, &(gort_iface){ NULL, NULL }, &(gort_iface){ NULL, NULL }));
}

/* ---- Panics ------------------------------------------------------------------------------------- */

typedef struct call {
	type t;
	const void *a, *b; /* b NULL: a hash */
} call;

static void do_call(void *arg)
{
	call *c = arg;

	if (c->b != NULL)
		(void)gort_type_equal(c->t, c->a, c->b);
	else
		(void)gort_type_hash(c->t, c->a, SEED);
}

/* "" if it does not panic. */
static bool says(type t, const void *a, const void *b, const char *text)
{
	call c = { t, a, b };
	gort_eface v;
	gort_string s = { "", 0 };

	if (gort_try(do_call, &c, &v))
		s = gort_panic_text(v);
	return strlen(text) == (size_t)s.len && memcmp(s.ptr, text, strlen(text)) == 0;
}

static void panics(void *arg)
{
	type face = GORT_TYPE(gort_eface), slice = gort_type_slice(INT), map = gort_type_map(STRING, INT),
	     fun = fn(INT, NULL, NULL, NULL), holds = STRUCT({ "S", slice }),
	     before = STRUCT({ "A", INT }, { "I", face }, { "S", STRING }),
	     last = STRUCT({ "S", STRING }, { "I", face }), two = gort_type_array(face, 2);
	void *sl[3] = { NULL };
	void *word = NULL;
	gort_eface s = any(slice, sl), m = any(map, &word), f = any(fun, &word), h = any(holds, sl),
		   bl = any(GORT_TYPE(blob), &(blob){ "" }), in, one = any(INT, &(intptr_t){ 1 });
	struct { intptr_t a; gort_eface i; gort_string s; } x = { 1, s, str("x") }, y = { 1, s, str("x") };
	struct { gort_string s; gort_eface i; } v = { str("x"), s }, w = { str("x"), s };
	gort_eface pair[2] = { one, s }, other[2] = { one, s };

	(void)arg;
	CHECK(says(face, &s, &s, "runtime error: comparing uncomparable type []int"));
	CHECK(says(face, &m, &m, "runtime error: comparing uncomparable type map[string]int"));
	CHECK(says(face, &f, &f, "runtime error: comparing uncomparable type func(int)"));
	CHECK(says(face, &h, &h, "runtime error: comparing uncomparable type struct { S []int }"));
	CHECK(says(face, &bl, &bl, "runtime error: comparing uncomparable type blob"));
	CHECK(says(slice, sl, sl, "runtime error: comparing uncomparable type []int"));
	CHECK(says(face, &s, &m, "")); /* different */
	CHECK(says(face, &s, &one, ""));
	CHECK(says(face, &s, NULL, "runtime error: hash of unhashable type []int"));
	CHECK(says(face, &h, NULL, "runtime error: hash of unhashable type struct { S []int }"));
	CHECK(says(map, &word, NULL, "runtime error: hash of unhashable type map[string]int"));
	in = any(before, &x); /* the inner one is named */
	CHECK(says(face, &in, &in, "runtime error: comparing uncomparable type []int"));
	CHECK(says(face, &in, NULL, "runtime error: hash of unhashable type []int"));
	/* In the order of the fields. */
	CHECK(says(before, &x, &y, "runtime error: comparing uncomparable type []int"));
	CHECK(says(before, &x, NULL, "runtime error: hash of unhashable type []int"));
	y.s = str("y");
	CHECK(says(before, &x, &y, "runtime error: comparing uncomparable type []int"));
	y.a = 2;
	CHECK(says(before, &x, &y, "") && !gort_type_equal(before, &x, &y));
	CHECK(says(last, &v, &w, "runtime error: comparing uncomparable type []int"));
	w.s = str("y");
	CHECK(says(last, &v, &w, ""));
	CHECK(says(two, pair, other, "runtime error: comparing uncomparable type []int"));
	CHECK(says(two, pair, NULL, "runtime error: hash of unhashable type []int"));
	other[0] = m;
	CHECK(says(two, pair, other, ""));
	CHECK(says(two, other, NULL, "runtime error: hash of unhashable type map[string]int")); /* the first */
	CHECK(says(gort_type_array(last, 1), &v, NULL, "runtime error: hash of unhashable type []int"));
	CHECK(says(STRUCT({ "A", face }, { "B", face }), other, NULL,
	           "runtime error: hash of unhashable type map[string]int"));
}

static void not_recovered(void *arg)
{
	void *sl[3] = { NULL };
	gort_eface s = any(gort_type_slice(INT), sl);

	(void)arg;
	(void)gort_type_equal(GORT_TYPE(gort_eface), &s, &s);
}

static void test_values(void **state)
{
	(void)state;
	run_all(scalars);
	run_all(composites);
	run_all(interfaces);
	run_all(panics);
	assert_int_equal(program(1, not_recovered, NULL), GORT_EPANIC);
	assert_true(strncmp(program_error, "panic: runtime error: comparing uncomparable type []int\n", 56) == 0);
	THROWS("called outside a goroutine", (void)gort_type_equal(INT, &(intptr_t){ 1 }, &(intptr_t){ 1 }));
	THROWS("called outside a goroutine", (void)gort_type_hash(INT, &(intptr_t){ 1 }, 1));
}

/* ---- Long values ------------------------------------------------------------------------------- */

typedef struct link {
	intptr_t n;
	gort_eface next;
} link_;
typedef struct knot {
	gort_eface next;
	intptr_t n;
} knot;

/* A list of interfaces; where in its elements the next one stands. */
static gort_eface chain(type t, size_t next, size_t n)
{
	gort_eface v = { NULL, NULL };
	char value[sizeof(link_)] = { 0 };

	for (size_t i = 0; i < n; i++) {
		memcpy(value + next, &v, sizeof v);
		v = any(t, value);
	}
	return v;
}

static void long_lists(void *arg)
{
	type t = STRUCT({ "N", INT }, { "Next", GORT_TYPE(gort_eface) });
	gort_eface a = chain(t, offsetof(link_, next), 200000), b = chain(t, offsetof(link_, next), 200000);

	(void)arg;
	CHECK(equal(GORT_TYPE(gort_eface), &a, &b));
	b = chain(t, offsetof(link_, next), 199999);
	CHECK(!equal(GORT_TYPE(gort_eface), &a, &b));
}

/* Needs a frame for each: as in Go. */
static void deep_list(void *arg)
{
	type t = STRUCT({ "Next", GORT_TYPE(gort_eface) }, { "N", INT });
	gort_eface a = chain(t, offsetof(knot, next), 200000);

	(void)arg;
	(void)gort_type_equal(GORT_TYPE(gort_eface), &a, &a);
}

static void test_lists(void **state)
{
	(void)state;
	run_on(1, long_lists, NULL);
	assert_int_equal(program(1, deep_list, NULL), GORT_EFATAL);
	assert_non_null(strstr(program_error, "stack overflow"));
}

/* ---- The hash ----------------------------------------------------------------------------------- */

static uint64_t hash_of(const void *p, size_t n, uint64_t seed)
{
	const gort_type *bad = NULL;

	return rt_type_hash(gort_type_array(GORT_TYPE(uint8_t), n), p, seed, &bad);
}

/* Of any size, and wherever it lies: nothing around it matters. */
static void test_surroundings(void **state)
{
	enum { MOST = 80 };
	uint8_t in[2][MOST + 32];

	(void)state;
	for (size_t n = 0; n <= MOST; n++) {
		for (int k = 0; k < 2; k++) {
			memset(in[k], k == 0 ? 0 : 0xff, sizeof in[k]);
			for (size_t i = 0; i < n; i++)
				in[k][16 + i] = (uint8_t)(i * 37 + n);
		}
		assert_true(hash_of(in[0] + 16, n, 7) == hash_of(in[1] + 16, n, 7));
	}
}

/* A bit of the input, or of the seed, changes each bit of the hash in about half of the cases. */
static void test_avalanche(void **state)
{
	enum { TRIALS = 400 };
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 32, 33, 48, 64 };
	rt_rand r;

	(void)state;
	rt_rand_seed(&r, 1);
	for (size_t k = 0; k < RT_NELEM(sizes); k++) {
		size_t n = sizes[k], bits = n * 8 + 64;

		for (size_t bit = 0; bit < bits; bit++) {
			int changed[64] = { 0 };

			for (int i = 0; i < TRIALS; i++) {
				uint8_t in[64];
				uint64_t seed = rt_rand_next(&r) * UINT64_C(0x100000001), diff;

				for (size_t j = 0; j < n; j++)
					in[j] = (uint8_t)rt_rand_next(&r);
				diff = hash_of(in, n, seed);
				if (bit < n * 8)
					in[bit / 8] ^= (uint8_t)(1 << bit % 8);
				else
					seed ^= (uint64_t)1 << (bit - n * 8);
				diff ^= hash_of(in, n, seed);
				for (int j = 0; j < 64; j++)
					changed[j] += diff >> j & 1;
			}
			for (int j = 0; j < 64; j++) /* 6 sigma of 10 */
				assert_in_range(changed[j], TRIALS / 2 - 60, TRIALS / 2 + 60);
		}
	}
}

/* Keys that resemble each other fall into boxes by low and by high bits like balls at random: of n in n boxes, n / e
 * stay empty. */
static void spreads(uint64_t stride, uint64_t seed)
{
	enum { N = 1 << 14 };
	static uint8_t low[N], high[N];
	int empty_low = 0, empty_high = 0;

	memset(low, 0, sizeof low);
	memset(high, 0, sizeof high);
	for (uint64_t i = 0; i < N; i++) {
		uint64_t key = i * stride, h = hash_of(&key, 8, seed);

		low[h % N] = 1;
		high[h >> 50] = 1;
	}
	for (int i = 0; i < N; i++) {
		empty_low += !low[i];
		empty_high += !high[i];
	}
	assert_in_range(empty_low, 6027 - 200, 6027 + 200); /* sigma is about 40 */
	assert_in_range(empty_high, 6027 - 200, 6027 + 200);
}

static void test_spread(void **state)
{
	static const uint64_t strides[] = { 1, 2, 3, 8, 16, 4096, 1 << 20, UINT64_C(1) << 32, UINT64_C(1) << 48,
		                            1000003 };

	(void)state;
	for (size_t i = 0; i < RT_NELEM(strides); i++)
		for (uint64_t seed = 0; seed < 8; seed++)
			spreads(strides[i], seed * UINT64_C(0x9e3779b97f4a7c15));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values), cmocka_unit_test(test_lists),
		cmocka_unit_test(test_surroundings), cmocka_unit_test(test_avalanche), cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
