/* rand.h: cheap random numbers for one thread's own choices: whom to steal from, which case first.
 *
 * Marsaglia's xorshift with a multiplication at the end (xorshift64*; Vigna, 2016), of which the
 * upper half is used: period 2^64 - 1, one multiplication. Not for secrets. Rejected: splitmix64
 * for each number (two multiplications); the clock (it correlates between threads). */
#ifndef CORE_BASE_RAND_H
#define CORE_BASE_RAND_H

#include <stdint.h>

typedef struct rt_rand {
	uint64_t s; /* never 0 */
} rt_rand;

/* Near seeds give streams that do not resemble each other: one round of splitmix64 spreads them. */
static inline void rt_rand_seed(rt_rand *r, uint64_t seed)
{
	uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	r->s = z != 0 ? z : 1;
}

static inline uint32_t rt_rand_next(rt_rand *r)
{
	uint64_t x = r->s;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->s = x;
	return (uint32_t)(x * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

/* In [0, n), n > 0; by multiplication (Lemire), whose bias of n / 2^32 does not matter here. */
static inline uint32_t rt_rand_below(rt_rand *r, uint32_t n)
{
	return (uint32_t)((uint64_t)rt_rand_next(r) * n >> 32);
}

#endif
