/* due.h: for tests of what is called when objects are gone: objects of every kind, and calls that count. */
#ifndef TESTS_SUPPORT_DUE_H
#define TESTS_SUPPORT_DUE_H

#include "core/gc/gc_impl.h"
#include "tests/support/garbage.h"

enum { N = 100, FEW = 10, SIGN = 7 };

typedef struct item {
	struct item *to;
	uint64_t sign, number, round;
	int kind; /* of the object that it is called for */
} item;
GORT_DEFINE_TYPE(item, GORT_PTR(item, to), GORT_FIELD(item, number, uint64_t), GORT_FIELD(item, round, uint64_t));

typedef struct wide { /* above 512 bytes: its pointers are told by the type */
	uint64_t fill[80];
	item *to;
	uint64_t sign;
} wide;
GORT_DEFINE_TYPE(wide, GORT_PTR(wide, to));

static rt_atomic64 round_; /* a word may keep an object: what comes later than its round does not count */
static rt_atomic32 ran;
static rt_atomic32 runs[N]; /* how often the one with the number */

/* Nothing is due. */
static inline bool idle(void)
{
	rt_finq *q = &gort_self()->gc->fin;
	bool is;

	(void)RT_ENTER();
	rt_lock(&q->lock, RT_RANK_gcfin);
	is = q->head == NULL && q->state != RT_FIN_AWAKE;
	rt_unlock(&q->lock, RT_RANK_gcfin);
	rt_leave();
	return is;
}

static inline void begin(void)
{
	WAIT_UNTIL(idle());
	rt_add64_full(&round_, 1);
	rt_store32_rlx(&ran, 0);
	for (int i = 0; i < N; i++)
		rt_store32_rlx(&runs[i], 0);
}

static inline int twice(void)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += rt_load32_rlx(&runs[i]) > 1;
	return n;
}

RT_UNUSED static RT_NOINLINE item *make(uint64_t number)
{
	item *p = gort_new(GORT_TYPE(item));

	p->sign = SIGN;
	p->number = number;
	p->round = rt_load64_rlx(&round_);
	return p;
}

static inline void count(void *arg)
{
	item *p = arg;

	if (p->sign != SIGN || p->number >= N) {
		CHECK(!"it was freed");
	} else if (p->round == rt_load64_rlx(&round_)) {
		rt_add32_full(&runs[p->number], 1);
		rt_add32_full(&ran, 1);
	}
}

static inline void wait_ran(uint32_t n)
{
	WAIT_UNTIL(rt_load32_acq(&ran) >= n);
}

/* Collections begin and end while it has not looked at arg. */
static inline void count_late(void *arg)
{
	for (int i = 0; i < 5; i++) {
		(void)gort_alloc(1000, GORT_NOSCAN); /* in nobody's place */
		gort_gosched();
	}
	count(arg);
}

/* ---- Objects of every kind ------------------------------------------------------------------------ */

enum { TYPED, WIDE, BYTES, NOSCAN, TINY, LARGE, HUGE, LARGE_NOSCAN, KINDS, GIANT = KINDS };

RT_UNUSED static RT_NOINLINE void *of_kind(int kind)
{
	switch (kind) {
	case TYPED:
		return make(0);
	case WIDE:
		return gort_new(GORT_TYPE(wide));
	case BYTES:
		return gort_alloc(200, 0);
	case NOSCAN:
		return gort_alloc(3000, GORT_NOSCAN);
	case TINY:
		return gort_alloc(5, GORT_NOSCAN);
	case LARGE:
		return gort_alloc(40000, 0);
	case HUGE:
		return gort_alloc(300000, 0);
	case GIANT:
		return gort_alloc(3 << 20, 0);
	default:
		return gort_alloc(300000, GORT_NOSCAN);
	}
}

RT_UNUSED static char outside[16];

#endif
