/* snapshot.c: which objects there are, and what leads to them. See snapshot.h.
 *
 * With the world stopped, from the roots on, as a collection: what can be reached at that moment, and nothing else,
 * under every collector. It neither marks nor sweeps, so it does not matter what the collector is in the middle of.
 * Rejected: to collect first and to tell what is left. That needs a goroutine, and so a run, and the collector `none`
 * cannot; and what was allocated or died between the end of marking and the stop would be wrong.
 *
 * Objects are queued by being told: they are numbered when they are found and looked into in that order (Cheney). A
 * table has a number for each slot of each span, which says at once whether an object was found.
 *
 * Memory is the system's own pages, since the world stands and somebody may stand in malloc: 4 bytes for each slot,
 * 16 for each object, 8 for each pointer; arrays grow by segments, so that nothing is copied. It does not count towards
 * the memory limit: it is gone in a moment, and collections would not help. If the system has no more, the snapshot is
 * given up and the world goes on (GORT_ENOMEM). Rejected: to call the writer while the world stands (it may want a lock
 * that a stopped goroutine has); a copy of the process by fork (one system has it, and its locks come along).
 *
 * What an object points to is found as mark.c finds it, with the place of each word, which marking has no use for. An
 * object that was not marked lies in its span until that is swept; nothing but a stale word leads there, and it is
 * passed by.
 *
 * Finalizers: marking looks into each object that has one, as into a root. Here that is done only for those that
 * nothing else has led to, when all else is found: what a living object points to is kept by that object.
 */
#include "core/gc/finder.h"
#include "core/sched/internal.h"

/* ---- Spans ----------------------------------------------------------------------------------------- */

/* Nothing in it was freed since marking: what is not marked is dead. */
static bool unswept(const rt_gc *gc, const rt_span *s)
{
	uint32_t h = rt_load32_acq(&gc->heap.sweepgen), g = rt_load32_acq(&s->sweepgen);

	return g == h - 2 || g == h - 1 || g == h + 1;
}

bool rt_finder_alive(const rt_gc *gc, const rt_span *s, uint32_t index)
{
	return unswept(gc, s) ? rt_bit_get(rt_span_markbits(s), index) : rt_span_allocated(s, index);
}

static void note_span(rt_gc *gc, rt_span *s, void *arg)
{
	rt_snapshot *sn = arg;
	rt_snapspan *to = rt_segs_at(&sn->spans, s->number);

	*to = (rt_snapspan){ .base = (uintptr_t)s->base, .elemsize = s->elemsize, .npages = s->npages,
		             .first = sn->nids, .nelems = s->nelems, .spanclass = s->spanclass };
	for (uint32_t i = 0; i < s->nelems; i++)
		to->used += rt_finder_alive(gc, s, i);
	sn->nids += s->nelems;
}

/* False: no memory. */
static bool note_spans(rt_gc *gc, rt_snapshot *sn)
{
	uint32_t used;

	rt_lock(&gc->heap.spans.lock, RT_RANK_spantable);
	used = gc->heap.spans.used;
	rt_unlock(&gc->heap.spans.lock, RT_RANK_spantable);
	for (uint32_t i = 0; i <= used; i++)
		if (rt_snap_push(sn, &sn->spans) == NULL)
			return false;
	rt_gc_each_span(gc, note_span, sn);
	sn->idbytes = (sn->nids + 1) * sizeof *sn->ids;
	sn->ids = rt_snap_pages(sn, &sn->idbytes);
	return sn->ids != NULL;
}

/* ---- Objects --------------------------------------------------------------------------------------- */

uint32_t rt_finder_number(rt_finder *f, const rt_span *s, uint32_t index)
{
	rt_snapshot *sn = f->sn;
	rt_snapspan *span = rt_segs_at(&sn->spans, s->number);
	uint32_t *id = &sn->ids[span->first + index];
	rt_snapobject *o;

	if (*id != 0 || !rt_finder_alive(f->k.gc, s, index))
		return *id;
	if (sn->objects.n == RT_SNAP_MOST) /* numbers are 32 bits: of a heap of 64 GiB or more */
		sn->full = true;
	o = rt_snap_push(sn, &sn->objects);
	if (o == NULL)
		return 0;
	o->span = s->number;
	o->slot = index;
	span->live++;
	*id = (uint32_t)sn->objects.n;
	return *id;
}

static void begin_root(rt_finder *f, uint8_t kind, uint64_t id, uint64_t size)
{
	f->root = (rt_snaproot){ .kind = kind, .id = id, .size = size };
	f->to = &f->sn->rootedges;
	f->count = NULL;
	f->at = 0;
}

/* Roots of some kinds are told also if they lead nowhere. */
static rt_snaproot *tell_root(rt_finder *f)
{
	rt_snaproot *r = rt_snap_push(f->sn, &f->sn->roots);

	if (r != NULL) {
		*r = f->root;
		f->count = &r->nedges;
	}
	return r;
}

static void found(rt_marker *k, rt_span *s, uint32_t index, uintptr_t obj)
{
	rt_finder *f = (rt_finder *)k;
	uint32_t to = f->sn->full ? 0 : rt_finder_number(f, s, index);
	rt_snapedge *e;

	(void)obj;
	if (to == 0 || (f->count == NULL && tell_root(f) == NULL))
		return;
	if (*f->count == UINT32_MAX)
		f->sn->full = true;
	e = rt_snap_push(f->sn, f->to);
	if (e == NULL)
		return;
	*e = (rt_snapedge){ to, f->at };
	++*f->count;
}

/* The word at `at` of what begins at base and has size bytes. */
static inline void look(rt_finder *f, uintptr_t base, size_t size, size_t at)
{
	uintptr_t w = rt_gc_word(f->k.gc, base + at);

	if (w < RT_PAGE || w - base < size)
		return;
	f->at = at / sizeof(void *) < UINT32_MAX ? (uint32_t)(at / sizeof(void *)) : UINT32_MAX;
	rt_gc_grey(&f->k, w);
}

static void look_at_words(rt_finder *f, uintptr_t base, size_t size)
{
	for (size_t at = 0; at + sizeof(void *) <= size; at += sizeof(void *))
		look(f, base, size, at);
}

static void look_at_bits(rt_finder *f, const rt_span *s, uintptr_t obj)
{
	uint64_t bits = rt_heapbits_get(s, obj, (unsigned)(s->elemsize / sizeof(void *)));

	for (; bits != 0; bits &= bits - 1)
		look(f, obj, s->elemsize, (size_t)__builtin_ctzll(bits) * sizeof(void *));
}

static void look_at_typed(rt_finder *f, const gort_type *t, uintptr_t obj, size_t size)
{
	for (size_t at = 0; t->nptrs > 0 && at < size; at += t->period)
		for (size_t i = 0; i < t->nptrs && at + t->ptrs[i] < size; i++)
			look(f, obj, size, at + t->ptrs[i]);
}

/* All that an object points to; its type. */
static const gort_type *look_inside(rt_finder *f, const rt_span *s, uintptr_t obj)
{
	const gort_type *t;

	if (rt_span_noscan(s))
		return NULL;
	if (s->elemsize <= RT_BITMAP_MAX) {
		look_at_bits(f, s, obj);
		return NULL;
	}
	t = rt_object_type(&f->k.gc->heap, obj);
	if (rt_type_untyped(t))
		look_at_words(f, obj, s->elemsize);
	else if (t != NULL)
		look_at_typed(f, t, obj, s->elemsize);
	return t;
}

void rt_finder_walk(rt_finder *f)
{
	rt_snapshot *sn = f->sn;

	f->to = &sn->edges;
	while (sn->scanned < sn->objects.n && !sn->full) {
		rt_snapobject *o = rt_segs_at(&sn->objects, sn->scanned++);
		const rt_span *s = rt_spantable_at(&f->k.gc->heap.spans, o->span);

		f->count = &o->nedges;
		o->type = rt_snap_type(sn, look_inside(f, s, (uintptr_t)rt_span_object(s, o->slot)));
	}
}

/* ---- Roots ----------------------------------------------------------------------------------------- */

static void visit(void *data, void **slot)
{
	rt_finder *f = data;

	rt_gc_grey(&f->k, *(uintptr_t *)slot);
}

static uint32_t name_id(rt_snapshot *sn, const rt_g *gp)
{
	char *to = gp->name != NULL ? rt_snap_push(sn, &sn->names) : NULL;

	if (to == NULL)
		return 0;
	memcpy(to, gp->name, sn->names.elem);
	return (uint32_t)sn->names.n;
}

static void goroutines(rt_finder *f)
{
	gort_runtime *rt = f->k.gc->rt;
	rt_glist l;

	if (!rt_glist_make(rt, &l)) {
		f->sn->full = true;
		return;
	}
	for (size_t i = 0; i < l.n; i++) {
		rt_g *gp = l.g[i];

		if (f->skip != NULL && f->skip(f, gp))
			continue;
		begin_root(f, RT_ROOT_GOROUTINE, gp->goid, 0);
		f->root.status = (uint8_t)rt_load32_acq(&gp->status);
		f->root.reason = gp->waitreason;
		f->root.name = name_id(f->sn, gp);
		if (tell_root(f) != NULL)
			rt_roots_goroutine(&f->k, gp);
	}
	rt_glist_free(&l);
}

static void added_roots(rt_finder *f)
{
	rt_gc *gc = f->k.gc;

	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	for (const rt_root *r = gc->roots; r != NULL; r = r->next) {
		uintptr_t from = ((uintptr_t)r->start + sizeof(void *) - 1) & ~(sizeof(void *) - 1);

		begin_root(f, RT_ROOT_ADDED, from, r->size);
		if (tell_root(f) != NULL && from < (uintptr_t)r->start + r->size)
			look_at_words(f, from, (uintptr_t)r->start + r->size - from);
	}
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
}

/* On the reader's thread, while who takes the snapshot waits for it. */
static void static_data(rt_gc *gc, void *arg, uintptr_t place, const void *from, const void *to)
{
	rt_finder *f = arg;

	(void)gc;
	begin_root(f, RT_ROOT_DATA, place, (uintptr_t)to - (uintptr_t)from);
	look_at_words(f, (uintptr_t)from, (uintptr_t)to - (uintptr_t)from);
}

static void special(void *arg, rt_span *s, rt_special *sp)
{
	static const uint8_t kinds[] = { [RT_SP_FINALIZER] = RT_ROOT_FINALIZER, [RT_SP_WEAK] = RT_ROOT_WEAK,
		                         [RT_SP_CLEANUP] = RT_ROOT_CLEANUP };
	rt_finder *f = arg;

	begin_root(f, kinds[sp->kind], (uintptr_t)s->base + sp->offset, 0);
	if (tell_root(f) != NULL)
		rt_gc_grey(&f->k, sp->kind == RT_SP_WEAK ? (uintptr_t)((rt_weak *)sp)->handle
		                                         : (uintptr_t)((rt_due *)sp)->arg);
}

/* When all else is found. */
static void finalizer(void *arg, rt_span *s, rt_special *sp)
{
	rt_finder *f = arg;
	const rt_snapspan *span = rt_segs_at(&f->sn->spans, s->number);
	uint32_t index = rt_span_index(s, (uintptr_t)s->base + sp->offset);

	if (sp->kind != RT_SP_FINALIZER || f->sn->ids[span->first + index] != 0)
		return;
	begin_root(f, RT_ROOT_FINALIZER, (uintptr_t)s->base + sp->offset, 0);
	(void)look_inside(f, s, (uintptr_t)rt_span_object(s, index));
}

static void specials(rt_finder *f, void (*fn)(void *arg, rt_span *s, rt_special *sp))
{
	uint32_t n = rt_special_parts(&f->k.gc->heap);

	for (uint32_t i = 0; i < n; i++)
		rt_special_each(&f->k.gc->heap, i, fn, f);
}

static void due(rt_finder *f)
{
	rt_finq *q = &f->k.gc->fin;

	rt_lock(&q->lock, RT_RANK_gcfin);
	for (const rt_due *d = q->head; d != NULL; d = (const rt_due *)d->head.next) {
		begin_root(f, RT_ROOT_DUE, 0, 0);
		if (tell_root(f) == NULL)
			break;
		rt_gc_grey(&f->k, (uintptr_t)d->obj);
		rt_gc_grey(&f->k, (uintptr_t)d->arg);
	}
	rt_unlock(&q->lock, RT_RANK_gcfin);
}

static void roots(rt_finder *f)
{
	gort_runtime *rt = f->k.gc->rt;

	goroutines(f);
	added_roots(f);
	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		begin_root(f, RT_ROOT_ALARMS, (uint64_t)i, 0);
		rt_timers_roots(rt->sched.allp[i], visit, f);
	}
	begin_root(f, RT_ROOT_POOLS, 0, 0);
	rt->up.pool_roots(rt, visit, f);
	due(f);
	specials(f, special);
}

/* ---- All of it ------------------------------------------------------------------------------------- */

/* For others to go on. */
static void pause(gort_runtime *rt)
{
	rt_m *mp = rt_self();

	if (mp != NULL && mp->rt == rt && mp->p != NULL)
		rt_gosched();
	else
		be_thread_nap(20 * GORT_MICROSECOND);
}

/* Until it is stopped and nobody who stands has the loader's lock, if that is wanted. */
static void stop(gort_runtime *rt, rt_finder *f)
{
	for (int try = 0;; try++) {
		rt_stop_world(rt, RT_STW_WATCH);
		if (!rt->gc->data.on || rt_data_hold(rt->gc, try, static_data, f))
			return;
		rt_start_world(rt);
		pause(rt);
	}
}

void rt_finder_all(rt_finder *f)
{
	rt_gc *gc = f->k.gc;

	/* The reader is let go all the same, and finds that it has nothing to do. */
	if (!note_spans(gc, f->sn) || (f->ready != NULL && !f->ready(f)))
		f->sn->full = true;
	else
		roots(f);
	if (gc->data.on)
		rt_data_go(gc);
	rt_finder_walk(f);
	if (!f->sn->full)
		specials(f, finalizer);
	rt_finder_walk(f);
}

RT_NOINLINE int rt_finder_run(gort_runtime *rt, rt_finder *f, size_t room)
{
	bool aside = rt_look_enter(rt, "gort");
	int64_t began;
	rt_m *mp;

	f->k.gc = rt->gc;
	f->sn = rt_snap_new(rt, room);
	if (f->sn != NULL && !f->sn->full) {
		stop(rt, f);
		began = be_nanotime();
		mp = rt_self();
		if (mp != NULL && mp->rt == rt && mp->p != NULL) /* as one who is away: his stack begins here */
			rt_regs_keep(mp, __builtin_frame_address(0));
		f->work(f);
		f->sn->stopped = be_nanotime() - began;
		rt_start_world(rt);
	}
	rt_look_leave(aside);
	if (f->sn != NULL && f->sn->full) {
		rt_snapshot_free(f->sn);
		f->sn = NULL;
	}
	return f->sn != NULL ? 0 : GORT_ENOMEM;
}

static void fill(rt_finder *f)
{
	rt_snapshot *sn = f->sn;
	rt_gc *gc = f->k.gc;

	sn->time = be_walltime();
	sn->heaplive = rt_load64_rlx(&gc->heap.live);
	sn->goal = rt_load64_rlx(&gc->goal);
	sn->collections = rt_load32_rlx(&gc->ended);
	sn->collector = gc->kind->name;
	sn->types = gc->rt->debug.heaptypes != 0;
	rt_finder_all(f);
}

int rt_snapshot_take(gort_runtime *rt, rt_snapshot **out, size_t room)
{
	rt_finder f = { .k = { .found = found }, .work = fill };
	int r = rt_finder_run(rt, &f, room);

	*out = f.sn;
	return r;
}
