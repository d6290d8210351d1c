/* finder.h: a walk over all that can be reached at one moment, with the world stopped: the part of snapshot.c that
 * leak.c uses, too. What was found has a number in sn->ids. */
#ifndef CORE_GC_FINDER_H
#define CORE_GC_FINDER_H

#include "core/gc/gc_impl.h"
#include "core/gc/snapshot.h"

typedef struct rt_finder {   /* what is being looked into, and where its edges go */
	rt_marker k;         /* first; found gives numbers (rt_finder_number) */
	rt_snapshot *sn;
	void (*work)(struct rt_finder *f); /* what is done while the world stands; it calls rt_finder_all */
	/* Before the first root, when there are ids; false: no memory. May be NULL, as the next. */
	bool (*ready)(struct rt_finder *f);
	bool (*skip)(struct rt_finder *f, const rt_g *gp); /* what it holds does not count as a root */
	rt_segs *to;
	uint32_t *count;     /* of them; NULL: it is counted as soon as there is one */
	uint32_t at;
	rt_snaproot root;    /* what is counted then */
} rt_finder;

/* Any thread, on a goroutine outside of the runtime or on none. Stops the world, does f->work, starts it. f->sn is to
 * be given back. GORT_ENOMEM, and nothing is left. */
int rt_finder_run(gort_runtime *rt, rt_finder *f, size_t room);

/* World stopped, from `work`. */
void rt_finder_all(rt_finder *f);  /* from all roots; once */
void rt_finder_walk(rt_finder *f); /* to what the objects found since then lead to */

/* It is an object, and not one that will be swept. */
bool rt_finder_alive(const rt_gc *gc, const rt_span *s, uint32_t index);
/* Where its number stands: 0: not found. */
static inline uint32_t *rt_finder_id(const rt_finder *f, const rt_span *s, uint32_t index)
{
	const rt_snapspan *span = rt_segs_at(&f->sn->spans, s->number);

	return &f->sn->ids[span->first + index];
}
uint32_t rt_finder_number(rt_finder *f, const rt_span *s, uint32_t index); /* 0: it is dead, or there is no memory */

#endif
