/* hist.h: histograms of times, with the buckets of Go's runtime/metrics.
 *
 * Up to 256 ns in steps of 64; then four buckets for each power of two, up to 39 hours; one for what is
 * negative, one for what is longer. The owner counts without locked instructions, anybody reads. */
#ifndef CORE_BASE_HIST_H
#define CORE_BASE_HIST_H

#include "core/base/atomic.h"

#include <stdint.h>

enum {
	RT_HIST_MIN_BITS = 9, RT_HIST_MAX_BITS = 48, RT_HIST_SUB = 4,
	RT_HIST_BUCKETS = (RT_HIST_MAX_BITS - RT_HIST_MIN_BITS + 1) * RT_HIST_SUB + 2
};

typedef struct rt_hist {
	rt_atomic64 counts[RT_HIST_BUCKETS];
} rt_hist;

/* The bucket that ns belongs to. */
unsigned rt_hist_bucket(int64_t ns);
/* Where each bucket begins, in seconds, and where the last one ends. */
extern const double rt_hist_bounds[RT_HIST_BUCKETS + 1];

static inline void rt_hist_add_owner(rt_hist *h, int64_t ns)
{
	rt_atomic64 *at = &h->counts[rt_hist_bucket(ns)];

	rt_store64_rlx(at, rt_load64_rlx(at) + 1);
}

#endif
