/* typeeq.c: == and the hash for maps, of values of any type that has them.
 *
 * Values are compared in the order of their fields and elements, and no further than to the first difference, so what
 * panics and what does not is Go's: an interface that holds what has no == panics if all before it was equal. Fields
 * named _, what lies between fields, and what a C struct does not name are not looked at. `plain` types are equal
 * if their bytes are, and hashed as bytes.
 *
 * The last part of a value is looked at by going round, not by a call, so that a list that hangs on
 * interfaces takes no stack, unless they stand before the last field. There a goroutine may come to the end of its
 * stack; and values may be long. So nothing of this is inside the runtime: it can be preempted, and ends like any
 * function that needs too much. What cannot be compared is reported, not raised, since maps call
 * this from inside.
 *
 * The hash. A state of 64 bits, the seed at first, is folded with 16 bytes at a time: the 128 bits of a product, both
 * halves xored (the idea of wyhash and its kin). Both factors depend on the state, and so on a seed that others do
 * not know: nobody can choose an input that makes one of them 0. (Rejected: a constant as the key of one factor. An
 * input that equals it cuts off all that was before, for every seed.) Equal values have equal hashes for one
 * seed, in any process: types count by their names and layouts. Only NaN is a new number each time, so that such
 * keys do not pile up.
 */
#include "core/base/check.h"
#include "core/base/rand.h"
#include "core/builtin/panic.h"
#include "core/builtin/type_impl.h"
#include "core/sched/sched_inline.h"

#include <string.h>

/* ---- Interfaces ----------------------------------------------------------------------------- */

/* The dynamic type; NULL: nil. t is the interface type, p the value. */
static const gort_type *dynamic(const gort_type *t, const void *p)
{
	const void *first = *(const void *const *)p;

	if (t->nmethods == 0 || first == NULL)
		return first;
	return ((const gort_itab *)first)->type;
}

static void *data_word(const void *p)
{
	return ((const gort_eface *)p)->data;
}

/* ---- Equality ------------------------------------------------------------------------------- */

static bool same_bytes(const void *a, const void *b, size_t n)
{
	if (n == 8) /* no call */
		return memcmp(a, b, 8) == 0;
	if (n == 4)
		return memcmp(a, b, 4) == 0;
	return n == 0 || memcmp(a, b, n) == 0; /* nothing may lie nowhere */
}

static bool same_string(const gort_string *a, const gort_string *b)
{
	return a->len == b->len && (a->ptr == b->ptr || same_bytes(a->ptr, b->ptr, (size_t)a->len));
}

/* t has ==, or the answer was found. */
static bool same(const gort_type *t, const char *a, const char *b, const gort_type **bad)
{
	size_t i;

	for (;;) {
		if (t->plain)
			return same_bytes(a, b, t->size);
		switch (t->kind) {
		case GORT_KIND_FLOAT32:
			return *(const float *)a == *(const float *)b;
		case GORT_KIND_FLOAT64:
			return *(const double *)a == *(const double *)b;
		case GORT_KIND_STRING:
			return same_string((const gort_string *)a, (const gort_string *)b);
		case GORT_KIND_INTERFACE:
			if (*(const void *const *)a != *(const void *const *)b) /* there is one table for a pair */
				return false;
			t = dynamic(t, a);
			if (t == NULL)
				return true;
			if (!t->comparable) {
				*bad = t;
				return false;
			}
			a = data_word(a);
			b = data_word(b);
			if (t->direct)
				return a == b;
			break;
		case GORT_KIND_ARRAY:
			for (i = t->len; i > 1; i--, a += t->elem->size, b += t->elem->size)
				if (!same(t->elem, a, b, bad))
					return false;
			if (i == 0)
				return true;
			t = t->elem;
			break;
		case GORT_KIND_STRUCT:
			for (i = 0; i + 1 < t->nfields; i++) {
				const rt_field *f = &t->fields[i];

				if (!rt_field_blank(f) && !same(f->type, a + f->offset, b + f->offset, bad))
					return false;
			}
			if (rt_field_blank(&t->fields[i]))
				return true;
			a += t->fields[i].offset;
			b += t->fields[i].offset;
			t = t->fields[i].type;
			break;
		default:
			RT_UNREACHABLE("a kind without ==");
		}
	}
}

bool rt_type_equal(const gort_type *t, const void *a, const void *b, const gort_type **bad)
{
	if (RT_UNLIKELY(!t->comparable)) {
		*bad = t;
		return false;
	}
	return same(t, a, b, bad);
}

/* ---- Hash ----------------------------------------------------------------------------------- */

/* Beginnings of the square roots of 2, 3, 5 and 7. */
#define K0 UINT64_C(0x6a09e667f3bcc908)
#define K1 UINT64_C(0xbb67ae8584caa73b)
#define K2 UINT64_C(0x3c6ef372fe94f82b)
#define K3 UINT64_C(0xa54ff53a5f1d36f1)

__extension__ typedef unsigned __int128 product;

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	product p = (product)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t step(uint64_t h, uint64_t a, uint64_t b)
{
	return fold(a ^ h ^ K0, b ^ (h << 32 | h >> 32) ^ K1);
}

static inline uint64_t finish(uint64_t h, uint64_t n)
{
	return fold(h ^ n ^ K2, K3);
}

static inline uint64_t word(const void *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

static inline uint64_t half(const void *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

/* Up to 8 bytes; those in the middle are there twice. */
static inline uint64_t few(const uint8_t *p, size_t n)
{
	if (n == 8)
		return word(p);
	if (n >= 4)
		return half(p) | half(p + n - 4) << 32;
	return n > 0 ? p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16 : 0;
}

static uint64_t hash_bytes(const void *bytes, size_t n, uint64_t h)
{
	const uint8_t *p = bytes, *end = p + n;

	if (n <= 8)
		return finish(step(h, few(p, n), 0), n);
	for (; end - p > 16; p += 16)
		h = step(h, word(p), word(p + 8));
	/* The last 16, or all 9 to 16: some were there before, or are there twice. */
	return finish(step(h, word(n > 16 ? end - 16 : p), word(end - 8)), n);
}

static uint64_t hash_word(uint64_t w, uint64_t h)
{
	return finish(step(h, w, 0), sizeof w);
}

static RT_COLD uint64_t hash_of_nan(void)
{
	rt_m *mp = rt_hold();
	uint64_t w = (uint64_t)rt_rand_next(&mp->p->rand) << 32;

	w |= rt_rand_next(&mp->p->rand);
	rt_unhold(mp);
	return w;
}

static uint64_t hash_float(double v, uint64_t h)
{
	uint64_t w;

	if (RT_UNLIKELY(v != v))
		return hash_of_nan();
	memcpy(&w, &v, sizeof w);
	return hash_word(v != 0 ? w : 0, h); /* -0 is 0 */
}

static uint64_t hash(const gort_type *t, const char *p, uint64_t h, const gort_type **bad)
{
	size_t i;

	for (;;) {
		if (t->plain)
			return hash_bytes(p, t->size, h);
		switch (t->kind) {
		case GORT_KIND_FLOAT32:
			return hash_float(*(const float *)p, h);
		case GORT_KIND_FLOAT64:
			return hash_float(*(const double *)p, h);
		case GORT_KIND_STRING:
			return hash_bytes(((const gort_string *)p)->ptr, (size_t)((const gort_string *)p)->len, h);
		case GORT_KIND_INTERFACE:
			t = dynamic(t, p);
			if (t == NULL)
				return hash_word(0, h);
			if (!t->comparable) {
				*bad = t;
				return h;
			}
			h = step(h, t->hash, 0);
			p = data_word(p);
			if (t->direct)
				return hash_word((uintptr_t)p, h);
			break;
		case GORT_KIND_ARRAY:
			for (i = t->len; i > 1; i--, p += t->elem->size) {
				h = hash(t->elem, p, h, bad);
				if (RT_UNLIKELY(*bad != NULL))
					return h;
			}
			if (i == 0)
				return h;
			t = t->elem;
			break;
		case GORT_KIND_STRUCT:
			for (i = 0; i + 1 < t->nfields; i++) {
				const rt_field *f = &t->fields[i];

				if (rt_field_blank(f))
					continue;
				h = hash(f->type, p + f->offset, h, bad);
				if (RT_UNLIKELY(*bad != NULL))
					return h;
			}
			if (rt_field_blank(&t->fields[i]))
				return finish(h, 0);
			p += t->fields[i].offset;
			t = t->fields[i].type;
			break;
		default:
			RT_UNREACHABLE("a kind without a hash");
		}
	}
}

uint64_t rt_type_hash(const gort_type *t, const void *p, uint64_t seed, const gort_type **bad)
{
	if (RT_UNLIKELY(!t->comparable)) {
		*bad = t;
		return 0;
	}
	return hash(t, p, seed, bad);
}

/* ---- Public --------------------------------------------------------------------------------- */

/* A goroutine, and a type. */
static void check_call(const gort_type *t, const char *function)
{
	(void)rt_enter(function);
	rt_leave();
	if (t == NULL)
		rt_misuse(function, "the type is NULL");
}

GORT_API bool gort_type_equal(const gort_type *t, const void *a, const void *b)
{
	const gort_type *bad = NULL;
	bool is;

	check_call(t, __func__);
	is = rt_type_equal(t, a, b, &bad);
	if (RT_LIKELY(bad == NULL))
		return is;
	(void)RT_ENTER();
	rt_panic_uncomparable(bad);
}

GORT_API uintptr_t gort_type_hash(const gort_type *t, const void *p, uintptr_t seed)
{
	const gort_type *bad = NULL;
	uint64_t h;

	check_call(t, __func__);
	h = rt_type_hash(t, p, seed, &bad);
	if (RT_LIKELY(bad == NULL))
		return (uintptr_t)h;
	(void)RT_ENTER();
	rt_panic_unhashable(bad);
}
