/* gcbits.h: bitmaps with a bit for each object of a span: which were allocated, which are
 * marked.
 *
 * They lie close together in chunks of 64 KiB and not in their spans, so that marking does not
 * touch a line for each span at the same place of its page. A bitmap lives from the sweep that
 * made it to the second sweep after: it collects marks in one cycle and says in the next which
 * slots are taken. So chunks go through four states together: next (new bitmaps come from it),
 * current (allocBits and gcmarkBits of this cycle), previous, and free. */
#ifndef CORE_ALLOC_GCBITS_H
#define CORE_ALLOC_GCBITS_H

#include "core/alloc/sysmem.h"
#include "core/base/lock.h"

enum { RT_GCBITS_CHUNK = 64 << 10 };

typedef struct rt_gcbits_chunk rt_gcbits_chunk;

/* Joined to another in one step, however long: the world is stopped meanwhile. */
typedef struct rt_gcbits_list {
	rt_gcbits_chunk *first, *last; /* last: unless first is NULL */
} rt_gcbits_list;

typedef struct rt_gcbits {
	rt_sysmem *mem;
	rt_atomicptr next;     /* the chunk that is bumped; release by who puts it there */
	rt_mutex lock;         /* rank gcbits */
	/* guarded by lock */
	rt_gcbits_list full;   /* other chunks of the state next */
	rt_gcbits_list current, previous, free;
	unsigned hold;         /* turns for which `previous` is kept */
} rt_gcbits;

void rt_gcbits_init(rt_gcbits *b, rt_sysmem *mem);
void rt_gcbits_fini(rt_gcbits *b);
/* A zeroed bitmap for n objects, in whole words. NULL: no memory. */
rt_atomic64 *rt_gcbits_new(rt_gcbits *b, unsigned n);
/* There was no memory for new mark bits: old allocation bits are used as such. */
void rt_gcbits_hold(rt_gcbits *b);
/* With the world stopped and everything swept: what was `previous` is free. */
void rt_gcbits_rotate(rt_gcbits *b);

static inline bool rt_bit_get(const rt_atomic64 *bits, unsigned i)
{
	return rt_load64_rlx(&bits[i / 64]) >> (i % 64) & 1;
}

/* Sets bit i; false: it was set already. Two may both see true only if they race: then both do
 * the work. */
static inline bool rt_bit_set(rt_atomic64 *bits, unsigned i)
{
	uint64_t bit = (uint64_t)1 << (i % 64);

	if (rt_load64_rlx(&bits[i / 64]) & bit)
		return false;
	rt_or64_full(&bits[i / 64], bit);
	return true;
}

/* How many bits are set. The word of a span with few slots, or without survivors, has none or one mostly, and without
 * an instruction for it, which not every x86-64 has, counting is a call. */
static inline unsigned rt_bits_in(uint64_t word)
{
	return (word & (word - 1)) == 0 ? word != 0 : (unsigned)__builtin_popcountll(word);
}

static inline unsigned rt_bits_count(const rt_atomic64 *bits, unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < (n + 63) / 64; i++)
		sum += rt_bits_in(rt_load64_rlx(&bits[i]));
	return sum;
}

#endif
