/* hist.c: the buckets of hist.h. The bounds are constants: any thread may ask for them, first or not. */
#include "core/base/hist.h"

unsigned rt_hist_bucket(int64_t ns)
{
	unsigned bits, group;

	if (ns < 0)
		return 0;
	bits = ns == 0 ? 0 : 64 - (unsigned)__builtin_clzll((unsigned long long)ns);
	if (bits <
	    RT_HIST_MIN_BITS) { /* one step of four: there is no power of two to tell apart */
		bits = RT_HIST_MIN_BITS - 1;
		group = 0;
	} else {
		group = bits - (RT_HIST_MIN_BITS - 1);
	}
	if (bits >= RT_HIST_MAX_BITS)
		return RT_HIST_BUCKETS - 1;
	/* The two bits below the highest one; in the first group the highest two of its eight. */
	return 1 + group * RT_HIST_SUB +
	       (unsigned)(ns >> (group == 0 ? bits - 2 : bits - 3)) % RT_HIST_SUB;
}

#define NS(n) ((double)(n) / 1e9)
#define POWER(b)                                                                                   \
	NS(UINT64_C(4) << (b)), NS(UINT64_C(5) << (b)), NS(UINT64_C(6) << (b)),                    \
		NS(UINT64_C(7) << (b))
#define POWERS(b) POWER(b), POWER((b) + 1), POWER((b) + 2)

const double rt_hist_bounds[RT_HIST_BUCKETS + 1] = {
	-__builtin_inf(),
	NS(0),
	NS(64),
	NS(128),
	NS(192),
	POWERS(6),
	POWERS(9),
	POWERS(12),
	POWERS(15),
	POWERS(18),
	POWERS(21),
	POWERS(24),
	POWERS(27),
	POWERS(30),
	POWERS(33),
	POWERS(36),
	POWERS(39),
	POWERS(42),
	NS(UINT64_C(1) << 47),
	__builtin_inf(),
};
