/* leak.c: goroutines that nobody can wake any more.
 *
 * A suspect waits without a deadline, for objects (a channel or several, a mutex, semaphore, condition, wait
 * group, the members of a group) or for nothing at all (a nil channel, a select without cases). Whoever wakes it
 * must come to one of them. So all is looked for that can be reached from every root but what suspects hold: their
 * stacks, arguments, deferred calls, panics. If one of its objects is found, or is not in the heap (static data,
 * memory of malloc, a stack: anybody may know it), a suspect lives, and what it holds is looked into as well, which
 * may find objects of others. Those that are left when nothing is found any more are leaked: each is waited for by
 * none but the others.
 * If a group may cancel the wait, its place in the group counts as one of its objects.
 *
 * It is never wrong about one that it names (pointers to heap objects are where the collector looks: gort.h), but it
 * may miss some, as it is conservative: a stale word on a living stack, an object on a stack, what an object with a
 * finalizer points to (the finalizer may find it there). Rejected: to look for words that lead to an object on the
 * stack of a suspect. It is not the collector's, so a program may well remember it in memory of malloc only.
 *
 * This is a walk as snapshot.c does it, with the world stopped all through, tables of its own and nothing marked: it
 * does not matter what the collector is in the middle of, it works under every collector, and nothing is freed or
 * finalized that would not be. Rejected: to do it as a part of a collection, as Go does. All of marking would have to
 * know of suspects (whoever lets a goroutine run scans it first), and a collection that frees nothing is not one.
 *
 * What suspects wait for gets the number WANTED before the walk begins; who finds one looks into a table for those that
 * wait for it. So each goroutine and each object is looked at once, however they hang together.
 */
#include "core/gc/leak.h"

#include "core/gc/finder.h"
#include "core/sched/internal.h"

#define WANTED (RT_SNAP_MOST + 1)

typedef struct suspect {
	rt_g *gp;
	struct suspect *next;  /* of those whose stacks are to be looked into */
	bool lives;
} suspect;

typedef struct want {          /* somebody waits for an object */
	uint64_t slot;         /* which of all slots of all spans */
	suspect *who;
	struct want *next;     /* of the same place in the table */
} want;

typedef struct leaks {
	rt_finder f;           /* first */
	rt_segs suspects;      /* by goid */
	rt_segs wants;
	want **table;
	size_t places, bytes;  /* places: a power of two */
	suspect *living;       /* that were not looked into */
	suspect *at;           /* whose objects are being told */
	rt_leakfn tell;
	void *arg;
} leaks;

/* ---- Who may be leaked ----------------------------------------------------------------------------- */

static bool is_suspect(rt_finder *f, const rt_g *gp)
{
	const rt_waiter *w = gp->waiting;

	(void)f;
	if (rt_load32_acq(&gp->status) != RT_G_WAITING || gp->dropped || (gp->system && !gp->finalizes))
		return false;
	if (w == NULL)
		return gp->waitreason == RT_WAIT_CHAN_RECV_NIL || gp->waitreason == RT_WAIT_CHAN_SEND_NIL ||
		       gp->waitreason == RT_WAIT_SELECT_NO_CASES;
	return w->timer.when == RT_UNTIMED || w->timer.when == GORT_FOREVER;
}

static void lives(leaks *l, suspect *s)
{
	if (s->lives)
		return;
	s->lives = true;
	s->next = l->living;
	l->living = s;
}

/* ---- What they wait for ---------------------------------------------------------------------------- */

static uint64_t slot_of(const rt_finder *f, const rt_span *s, uint32_t index)
{
	return ((rt_snapspan *)rt_segs_at(&f->sn->spans, s->number))->first + index;
}

static want **place_of(const leaks *l, uint64_t slot)
{
	return &l->table[(slot * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (l->places - 1)];
}

/* The suspect l->at waits for it. */
static void wants(void *data, const void *object)
{
	leaks *l = data;
	rt_finder *f = &l->f;
	rt_gc *gc = f->k.gc;
	uint32_t index;
	rt_span *s;
	want *w;

	if (rt_object_find(&gc->heap, (uintptr_t)object, &s, &index) == 0 || !rt_finder_alive(gc, s, index)) {
		lives(l, l->at);
		return;
	}
	w = rt_snap_push(f->sn, &l->wants);
	if (w == NULL)
		return;
	w->slot = slot_of(f, s, index);
	w->who = l->at;
	*rt_finder_id(f, s, index) = WANTED;
}

static void tell_objects(leaks *l, suspect *s)
{
	const rt_waiter *w = s->gp->waiting;

	l->at = s;
	if (w == NULL)
		return;
	if (w->cancelable && s->gp->member != NULL)
		wants(l, s->gp->member);
	if (s->gp->waitreason == RT_WAIT_SELECT)
		s->gp->rt->up.select_objects(w, wants, l);
	else if (w->on != NULL)
		wants(l, w->on);
}

static bool make_table(leaks *l)
{
	for (l->places = 64; l->places < l->wants.n;)
		l->places *= 2;
	l->bytes = l->places * sizeof(want *);
	l->table = rt_snap_pages(l->f.sn, &l->bytes);
	for (uint64_t i = 0; l->table != NULL && i < l->wants.n; i++) {
		want *w = rt_segs_at(&l->wants, i), **at = place_of(l, w->slot);

		w->next = *at;
		*at = w;
	}
	return l->table != NULL;
}

/* Nothing was found yet. */
static bool suspects(rt_finder *f)
{
	leaks *l = (leaks *)f;
	rt_glist all;

	if (!rt_glist_make(f->k.gc->rt, &all))
		return false;
	for (size_t i = 0; i < all.n && !f->sn->full; i++) {
		suspect *s = is_suspect(f, all.g[i]) ? rt_snap_push(f->sn, &l->suspects) : NULL;

		if (s == NULL)
			continue;
		s->gp = all.g[i];
		tell_objects(l, s);
	}
	rt_glist_free(&all);
	return !f->sn->full && make_table(l);
}

/* ---- Looking --------------------------------------------------------------------------------------- */

static void found(rt_marker *k, rt_span *s, uint32_t index, uintptr_t obj)
{
	leaks *l = (leaks *)k;
	uint32_t *id = l->f.sn->full ? NULL : rt_finder_id(&l->f, s, index);
	uint64_t slot;

	(void)obj;
	if (id == NULL || (*id != 0 && *id != WANTED))
		return;
	if (*id == WANTED) {
		slot = slot_of(&l->f, s, index);
		for (want *w = *place_of(l, slot); w != NULL; w = w->next)
			if (w->slot == slot)
				lives(l, w->who);
		*id = 0;
	}
	(void)rt_finder_number(&l->f, s, index);
}

static void work(rt_finder *f)
{
	leaks *l = (leaks *)f;
	suspect *s;

	rt_finder_all(f);
	while (!f->sn->full && (s = l->living) != NULL) {
		l->living = s->next;
		rt_roots_goroutine(&f->k, s->gp);
		rt_finder_walk(f);
	}
	for (uint64_t i = 0; !f->sn->full && i < l->suspects.n; i++) {
		s = rt_segs_at(&l->suspects, i);
		if (!s->lives)
			l->tell(l->arg, s->gp);
	}
	rt_segs_free(&l->suspects);
	rt_segs_free(&l->wants);
	rt_pages_free(l->table, l->bytes);
}

int rt_leaks_find(gort_runtime *rt, rt_leakfn tell, void *arg)
{
	leaks l = { .f = { .k = { .found = found }, .work = work, .ready = suspects, .skip = is_suspect },
		    .suspects.elem = sizeof(suspect), .wants.elem = sizeof(want), .tell = tell, .arg = arg };
	int r = rt_finder_run(rt, &l.f, 0);

	if (r == 0)
		rt_snapshot_free(l.f.sn);
	return r;
}
