/* snapstore.c: the memory of snapshots: pages of the system, in arrays that grow by segments. See snapshot.c for why.
 *
 * All snapshots of a runtime are on a list until they are given back: a goroutine may be dropped, or end by a panic,
 * while it reads one.
 */
#include "backends/arena/arena.h"
#include "core/gc/gc_impl.h"
#include "core/gc/snapshot.h"
#include "core/sched/internal.h"

/* ---- Arrays ---------------------------------------------------------------------------------------- */

void *rt_snap_pages(rt_snapshot *sn, size_t *bytes)
{
	void *p = rt_oom_now(&sn->rt->debug) ? NULL : rt_pages_new(bytes);

	if (p == NULL)
		sn->full = true;
	return p;
}

static size_t rounded(size_t bytes) /* as rt_pages_new does */
{
	size_t unit = be_arena_query()->granularity;

	return (bytes + unit - 1) / unit * unit;
}

static size_t seg_bytes(const rt_segs *v, unsigned k)
{
	return rounded(((size_t)1 << (RT_SEGS_FIRST + k)) * v->elem);
}

/* NULL: no memory, now or before. Zeroed. */
void *rt_snap_push(rt_snapshot *sn, rt_segs *v)
{
	uint64_t m = v->n + ((uint64_t)1 << RT_SEGS_FIRST);
	unsigned k = 63u - (unsigned)__builtin_clzll(m) - RT_SEGS_FIRST;
	size_t bytes;

	if (RT_UNLIKELY(sn->full))
		return NULL;
	if (RT_UNLIKELY(v->seg[k] == NULL)) {
		bytes = seg_bytes(v, k);
		v->seg[k] = rt_snap_pages(sn, &bytes);
		if (v->seg[k] == NULL)
			return NULL;
	}
	v->n++;
	return rt_segs_at(v, v->n - 1);
}

void rt_segs_free(rt_segs *v)
{
	for (unsigned k = 0; k < RT_NSEGS && v->seg[k] != NULL; k++)
		rt_pages_free(v->seg[k], seg_bytes(v, k));
}

static rt_segs *array_of(rt_snapshot *sn, unsigned i)
{
	rt_segs *all[] = { &sn->objects, &sn->edges, &sn->roots, &sn->rootedges,
		           &sn->spans, &sn->names, &sn->typelist };

	return i < RT_NELEM(all) ? all[i] : NULL;
}

/* ---- Types ----------------------------------------------------------------------------------------- */

static size_t place(const rt_snapshot *sn, const gort_type *t)
{
	size_t mask = sn->ntypeids - 1, i = (size_t)((uintptr_t)t * UINT64_C(0x9e3779b97f4a7c15) >> 40) & mask;

	while (sn->typeids[i] != 0 && *(const gort_type **)rt_segs_at(&sn->typelist, sn->typeids[i] - 1) != t)
		i = (i + 1) & mask;
	return i;
}

static bool grow_types(rt_snapshot *sn)
{
	size_t n = sn->ntypeids == 0 ? 512 : 2 * sn->ntypeids, bytes = n * sizeof *sn->typeids;
	uint32_t *to;

	if (2 * (sn->typelist.n + 1) <= sn->ntypeids)
		return true;
	to = rt_snap_pages(sn, &bytes);
	if (to == NULL)
		return false;
	rt_pages_free(sn->typeids, sn->typebytes);
	sn->typeids = to;
	sn->ntypeids = n;
	sn->typebytes = bytes;
	for (uint64_t i = 0; i < sn->typelist.n; i++)
		to[place(sn, *(const gort_type **)rt_segs_at(&sn->typelist, i))] = (uint32_t)i + 1;
	return true;
}

uint32_t rt_snap_type(rt_snapshot *sn, const gort_type *t)
{
	const gort_type **to;
	size_t i;

	if (t == NULL || rt_type_untyped(t) || !grow_types(sn))
		return RT_SNAP_UNTYPED;
	i = place(sn, t);
	if (sn->typeids[i] == 0) {
		to = rt_snap_push(sn, &sn->typelist);
		if (to == NULL)
			return RT_SNAP_UNTYPED;
		*to = t;
		sn->typeids[i] = (uint32_t)sn->typelist.n;
	}
	return sn->typeids[i];
}

/* ---- Life ------------------------------------------------------------------------------------------ */

rt_snapshot *rt_snap_new(gort_runtime *rt, size_t room)
{
	static const size_t elems[] = { sizeof(rt_snapobject), sizeof(rt_snapedge), sizeof(rt_snaproot),
		                        sizeof(rt_snapedge), sizeof(rt_snapspan), 32, sizeof(gort_type *) };
	size_t bytes = sizeof(rt_snapshot);
	rt_snapshot *sn = rt_oom_now(&rt->debug) ? NULL : rt_pages_new(&bytes);

	if (sn == NULL)
		return NULL;
	sn->rt = rt;
	sn->roombytes = room;
	sn->room = room > 0 ? rt_snap_pages(sn, &sn->roombytes) : NULL;
	for (unsigned i = 0; i < RT_NELEM(elems); i++)
		array_of(sn, i)->elem = elems[i];
	rt_lock(&rt->gc->rootlock, RT_RANK_gcroots);
	sn->next = rt->gc->snapshots;
	if (sn->next != NULL)
		sn->next->prev = sn;
	rt->gc->snapshots = sn;
	rt_unlock(&rt->gc->rootlock, RT_RANK_gcroots);
	return sn;
}

static void release(rt_snapshot *sn)
{
	for (unsigned i = 0; array_of(sn, i) != NULL; i++)
		rt_segs_free(array_of(sn, i));
	rt_pages_free(sn->ids, sn->idbytes);
	rt_pages_free(sn->typeids, sn->typebytes);
	rt_pages_free(sn->room, sn->roombytes);
	rt_pages_free(sn, rounded(sizeof *sn));
}

void rt_snapshot_free(rt_snapshot *sn)
{
	rt_gc *gc = sn->rt->gc;
	rt_m *mp = rt_hold();

	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	if (sn->next != NULL)
		sn->next->prev = sn->prev;
	if (sn->prev != NULL)
		sn->prev->next = sn->next;
	else
		gc->snapshots = sn->next;
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	release(sn);
	rt_unhold(mp);
}

void rt_snapshots_fini(rt_gc *gc)
{
	for (rt_snapshot *sn = gc->snapshots, *next; sn != NULL; sn = next) {
		next = sn->next;
		release(sn);
	}
	gc->snapshots = NULL;
}
