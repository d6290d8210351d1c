/* Where the pointers of composite types are, and that the collector finds these and no others. */
#include "core/builtin/type_impl.h"

#include "tests/support/garbage.h"
#include "tests/support/types.h"

typedef struct point {
	int x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, int), GORT_FIELD(point, y, int));
GORT_DEFINE_ALIAS(names, gort_type_map(GORT_TYPE(gort_string), gort_type_slice(GORT_TYPE(int))));

static size_t seen[64], nseen;
static char block[4096];

static void note(void *data, void **slot)
{
	(void)data;
	if (nseen < RT_NELEM(seen))
		seen[nseen] = (size_t)((char *)slot - block) / sizeof(void *);
	nseen++;
}

/* The words of t that are visited, as bits; the mask must say the same. */
static uint64_t words(type t)
{
	uint64_t bits = 0;

	nseen = 0;
	rt_type_visit(t, block, note, NULL);
	for (size_t i = 0; i < nseen; i++) {
		assert_true(i == 0 || seen[i] > seen[i - 1]);
		bits |= (uint64_t)1 << seen[i];
	}
	assert_int_equal(t->mask, bits);
	assert_int_equal(rt_type_words(t), nseen);
	assert_int_equal(rt_type_pointers(t), bits != 0);
	return bits;
}

static void test_pointers(void **state)
{
	type any = GORT_TYPE(gort_eface), p = gort_type_pointer(INT), s = gort_type_slice(INT);
	type pair = STRUCT({ "N", INT }, { "P", p });

	(void)state;
	assert_int_equal(words(p), 1);
	assert_int_equal(words(s), 1);
	assert_int_equal(words(GORT_TYPE(names)), 1);
	assert_int_equal(words(gort_type_chan(INT, BOTH)), 1);
	assert_int_equal(words(fn(NULL, NULL, NULL, NULL)), 1);
	assert_int_equal(words(make_interface("M", NULL, NULL, NULL, NULL, NULL)), 2);
	assert_int_equal(words(gort_type_array(p, 3)), 7);
	assert_int_equal(words(gort_type_array(s, 3)), 0x49);
	assert_int_equal(words(gort_type_array(any, 3)), 0x2a);
	assert_int_equal(words(pair), 2);
	assert_int_equal(words(gort_type_array(gort_type_array(pair, 2), 3)), 0xaaa);
	assert_int_equal(words(gort_type_array(INT, 3)), 0);
	assert_int_equal(words(STRUCT({ "A", INT }, { "S", s }, { "B", GORT_TYPE(bool) }, { "E", any },
	                              { "T", gort_type_array(STRING, 2) })), 2 | 1 << 6 | 1 << 7 | 1 << 9);
	assert_int_equal(words(STRUCT({ "A", gort_type_array(pair, 2) }, { "B", INT })), 0xa);
	assert_int_equal(words(STRUCT({ "Z", STRUCT({ NULL }) }, { "A", gort_type_array(pair, 2) })), 0xa);
	assert_int_equal(words(gort_type_named("P", gort_type_array(pair, 2), NULL, 0)), 0xa);
}

typedef struct holder {
	void *first;
	point at;
	void *rest[20];
} holder;
GORT_DEFINE_ALIAS(rest, gort_type_array(GORT_TYPE(void_ptr), 20));
GORT_DEFINE_TYPE(holder, GORT_PTR(holder, first), GORT_FIELD(holder, at, point), GORT_FIELD(holder, rest, rest));

static void test_long_arrays(void **state)
{
	type p = gort_type_pointer(INT), pair = STRUCT({ "N", INT }, { "P", p });
	type many = gort_type_array(pair, 1000000), inside, whole, crowd;

	(void)state;
	assert_ptr_equal(many->ptrs, pair->ptrs); /* nothing is listed again */
	assert_int_equal(many->period, 16);
	assert_int_equal(rt_type_words(many), 1000000);
	assert_int_equal(rt_type_ptrdata(many), gort_type_size(many));
	assert_int_equal(many->mask, UINT64_C(0xaaaaaaaaaaaaaaaa));
	whole = STRUCT({ "A", many });
	assert_ptr_equal(whole->ptrs, pair->ptrs);
	inside = STRUCT({ "N", INT }, { "A", gort_type_array(pair, 16384) }); /* as many as are listed */
	assert_int_equal(inside->period, gort_type_size(inside));
	assert_int_equal(inside->nptrs, 16384);
	assert_int_equal(inside->ptrs[16383], gort_type_size(inside) - 8);
	crowd = STRUCT({ "N", INT }, { "A", gort_type_array(pair, 16385) });
	assert_int_equal(crowd->period, sizeof(void *)); /* every word may be one */
	assert_int_equal(crowd->mask, UINT64_MAX);
	assert_int_equal(rt_type_words(crowd), gort_type_size(crowd) / sizeof(void *));
	/* As a field of a defined type. */
	assert_int_equal(words(GORT_TYPE(holder)), 1 | ((UINT64_C(1) << 20) - 1) << 2);
}

/* ---- The collector ---------------------------------------------------------------------------------- */

enum { TYPES = 22, COPIES = 12, MOST = 64 }; /* MOST: words of a value that lead somewhere */

/* Of one type. Stores objects in words of values, and what their hidden addresses are. */
typedef struct family {
	type t;
	void **values; /* [COPIES], a heap object */
	size_t stride, at, nkept, nlost;
	uintptr_t kept[COPIES * MOST], lost[COPIES * MOST];
} family;

static family families[TYPES];

static void *thing(void)
{
	uint64_t *p = gort_alloc(32, GORT_NOSCAN);

	*p = 7;
	return p;
}

static void plant(void *data, void **slot)
{
	family *f = data;

	if (f->at++ % f->stride == 0 && f->nkept < RT_NELEM(f->kept)) {
		gort_store(slot, thing());
		f->kept[f->nkept++] = hide(*slot);
	}
}

/* In the words that are no pointers. */
static void plant_lost(family *f, uintptr_t *value)
{
	size_t n = gort_type_size(f->t) / sizeof *value;

	for (size_t i = 0; i < n && i < MOST; i++)
		if ((f->t->mask >> i & 1) == 0) {
			value[i] = (uintptr_t)thing();
			f->lost[f->nlost++] = ~value[i];
		}
}

static RT_NOINLINE void fill(family *f)
{
	f->stride = 1 + rt_type_words(f->t) / MOST;
	f->nkept = f->nlost = 0;
	for (int i = 0; i < COPIES; i++) {
		void *v = gort_new(f->t);

		gort_store(&f->values[i], v);
		f->at = 0;
		rt_type_visit(f->t, v, plant, f);
		plant_lost(f, v);
	}
}

/* By the barriers, while a collection may mark; what they were in is cleared. */
static RT_NOINLINE void move_on(family *f)
{
	void *v = gort_new_array(f->t, COPIES);

	for (size_t i = 0; i < COPIES; i++) {
		void *at = (char *)v + i * gort_type_size(f->t);

		gort_move(f->t, at, f->values[i], 1);
		gort_clear(f->t, f->values[i], 1);
		gort_store(&f->values[i], at);
	}
}

static void check(const family *f)
{
	CHECK(freed(f->kept, (int)f->nkept) == 0);
	CHECK(f->nkept >= COPIES);
	if (debug == NULL) /* under stress there may be something else by now */
		CHECK(freed(f->lost, (int)f->nlost) >= (int)f->nlost * 9 / 10 - 2);
}

static void keeps(void *arg)
{
	type any = GORT_TYPE(gort_eface), p = gort_type_pointer(INT), s = gort_type_slice(INT),
	     pair = STRUCT({ "N", INT }, { "P", p }), unit = fn(NULL, NULL, NULL, NULL);
	const type types[TYPES] = {
		p, s, GORT_TYPE(names), gort_type_chan(INT, BOTH), unit, STRING, any,
		make_interface("M", unit, NULL, NULL, NULL, NULL), gort_type_array(p, 3), gort_type_array(s, 3),
		STRUCT({ "A", s }, { "B", any }, { "C", GORT_TYPE(int8_t) }),
		gort_type_named("T", STRUCT({ "A", INT }, { "B", gort_type_array(any, 2) }), NULL, 0),
		STRUCT({ "A", gort_type_array(pair, 10) }, { "B", INT }), GORT_TYPE(holder),
		gort_type_array(pair, 32), gort_type_array(pair, 33), /* bitmap; list */
		gort_type_array(s, 100), STRUCT({ "A", gort_type_array(gort_type_array(pair, 7), 9) }),
		gort_type_array(pair, 2500), /* 40,000 bytes: large */
		gort_type_array(gort_type_array(s, 10), 1500), /* 360,000: in pieces that part an element */
		STRUCT({ "A", INT }, { "B", gort_type_array(s, 12000) }),
		STRUCT({ "A", p }, { "B", gort_type_array(p, 20000) }), /* too many to be listed */
	};
	void **values = gort_new_array(GORT_TYPE(void_ptr), TYPES);

	(void)arg;
	gort_set_gc_percent(-1); /* only when asked, or what is lost may be something else when it is looked at */
	for (int i = 0; i < TYPES; i++) {
		families[i].t = types[i];
		families[i].values = gort_new_array(GORT_TYPE(void_ptr), COPIES);
		gort_store(&values[i], families[i].values);
		fill(&families[i]);
	}
	collect();
	for (int i = 0; i < TYPES; i++)
		check(&families[i]);
	for (int i = 0; i < TYPES; i++) {
		move_on(&families[i]);
		families[i].nlost = 0; /* those that are gone, others may be there now */
	}
	collect();
	for (int i = 0; i < TYPES; i++)
		check(&families[i]);
	gort_keep_alive(values);
}

static void test_collected(void **state)
{
	(void)state;
	in_program(keeps, NULL);
}

static void test_stress(void **state)
{
	(void)state;
	under_stress(keeps);
}

/* As elements of a channel. */
static void through_channel(void *arg)
{
	type t = gort_type_array(STRUCT({ "N", INT }, { "P", GORT_TYPE(void_ptr) }), 3);
	gort_chan *c = gort_chan_make(t, 20);
	uintptr_t hidden[20];
	void *v[6] = { NULL };

	(void)arg;
	for (int i = 0; i < 20; i++) {
		v[5] = thing();
		hidden[i] = hide(v[5]);
		gort_chan_send(c, v);
	}
	v[5] = NULL;
	collect();
	CHECK(freed(hidden, 20) == 0);
	for (int i = 0; i < 20; i++) {
		CHECK(gort_chan_recv(c, v));
		CHECK(hide(v[5]) == hidden[i] && *(uint64_t *)v[5] == 7);
	}
}

static void test_channel(void **state)
{
	(void)state;
	in_program(through_channel, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointers), cmocka_unit_test(test_long_arrays),
		cmocka_unit_test(test_collected), cmocka_unit_test(test_stress), cmocka_unit_test(test_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
