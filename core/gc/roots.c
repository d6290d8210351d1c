/* roots.c: where marking begins: stacks, roots of the program, alarms, pools.
 *
 * Jobs: the alarms of each P, parts of the heap with specials (special.c), blocks of 16 KiB of registered
 * roots, parts of the queue of cleanups, batches of goroutines. Whoever marks takes the next (rt_roots_job).
 * Pools are few words and are looked at while the world stands.
 *
 * Stacks. A goroutine stands still from the moment when the world stopped for the beginning of
 * marking until its stack has been scanned: a marker scans it, or else whoever is about to let it
 * run (rt_gc_before_run: rt_g0_next, rt_stand_resume, the end of a system call). Both claim it by the
 * same word:
 *
 *   rt_g.gcscan   anything else   not scanned in this collection
 *                 mark | 1        somebody scans it; nobody lets it run
 *                 mark            scanned: from now on it is black
 *
 * `mark` is the number of the collection, modulo 100 and even, so that nothing needs to be cleared. A claim
 * that succeeds while marking says that the goroutine has not run since the world stopped. Or that it
 * is DEAD: such records are passed by, but one may have run and died between our look and the claim.
 * Whose record it becomes waits until it is given back (rt_gcscan_set), or its stack would be scanned,
 * and trimmed, while it runs. Where a stack is depends on why its goroutine does not run:
 *   parked, or made runnable    its context is Saved: [be_context_sp, hi) holds its registers
 *   stands on its thread        registers in the signal's record, which lies on that stack; or in
 *          the thread's, and stack from
 *                               the stopped sp, less a red zone
 *   in a system call, or inside the runtime without a P    rt_m.kept and rt_m.keptsp
 * For the last two gp->m is looked at with sched.lock: what leaves them for the first takes that
 * lock, and does not disturb what was kept before it has. A dropped goroutine that is still in
 * foreign code is not part of the program.
 *
 * So in effect all stacks are scanned at the moment when the world stopped, and the deletion half
 * of the barrier is what keeps that snapshot; but the pause does not grow with their number or
 * depth. (Go lets goroutines run before they are scanned, each when its turn comes; the insertion
 * half covers that. We have it too, since it costs little: stores through another goroutine's
 * stack.)
 *
 * Goroutines born while marking are black: their argument is shaded. Threads without a P cannot do
 * that; what they have made is looked for at the end (rt_roots_late).
 *
 * Who is parked holds pages that it once needed: what lies below its registers goes back to the system, when it has
 * not run from one collection that looks for that to the next, or if gort_free_os_memory asks. Go halves such stacks
 * and copies them; here an address stays where it is, and pages go. Only who holds the claim may do that. Who runs,
 * stands on its thread or is in a system call keeps all: it will be back soon, or its thread is on that stack.
 *
 * Registered roots are blocks under rootlock, which is held while one is scanned: a root that is
 * removed has been scanned before, and one that is added is scanned at once, whoever calls.
 */
#include "core/gc/gc_impl.h"

#include "backends/arena/arena.h"
#include "core/sched/internal.h"

enum { RED_ZONE = 128, BATCH = 16 };
/* A stack that is given back costs a call of the system, and its pages a fault each when they are used again: not more
 * often than this. */
#define TRIM_EVERY (5 * GORT_SECOND)
enum { RT_TRIM_NONE = 0, RT_TRIM_SAME /* who has not run since the last time */, RT_TRIM_ALL };

static void visit(void *data, void **slot)
{
	rt_gc_grey(data, *(uintptr_t *)slot);
}

/* ---- Stacks ---------------------------------------------------------------------------------------- */

static void scan_stack(rt_marker *k, const void *from, const void *to)
{
	if (from == NULL || to == NULL || from >= to)
		return;
	rt_gc_scan_words(k, from, to);
	k->stack += (uint64_t)((const char *)to - (const char *)from);
}

static uint64_t page_bytes(const void *from, const void *to)
{
	uintptr_t page = be_arena_query()->page;

	return ((uintptr_t)to + page - 1) / page * page - (uintptr_t)from / page * page;
}

/* It stands on mp: copies what is there, under the lock. Returns where its stack begins. */
static const void *standing(rt_marker *k, rt_m *mp, const void *lo)
{
	const uintptr_t *regs;
	size_t n;

	if (mp->standing == RT_STANDS_STOPPED) {
		if (be_preempt_regs(&mp->pre, &regs, &n) != 0)
			rt_throw("gc: a goroutine stands without its registers");
		rt_gc_scan_words(k, regs, regs + n);
		/* Their record may lie on that stack, below all of it, with vector registers above. */
		if ((const void *)regs >= lo && (uintptr_t)regs < mp->stopat.sp)
			return regs;
		return (const void *)(mp->stopat.sp - RED_ZONE);
	}
	rt_gc_scan_words(k, mp->kept, mp->kept + mp->nkept);
	return (const void *)mp->keptsp;
}

/* The caller has claimed gp, or stopped the world. */
void rt_roots_goroutine(rt_marker *k, rt_g *gp)
{
	gort_runtime *rt = k->gc->rt;
	uint32_t status = rt_load32_acq(&gp->status);
	const void *from = NULL;
	void *lo, *hi;

	if (status == RT_G_DEAD || (gp->dropped && !gp->attached))
		return;
	rt_gc_grey(k, (uintptr_t)gp->arg);
	if (rt_g_has_more(gp))
		rt_gc_grey(k, (uintptr_t)gp->member);
	rt->up.panic_roots(gp, visit, k);
	if (gp == k->gc->controller || rt_fin_idle(gp, status))
		return; /* the collector's own: nothing of the program is there */
	rt_g_bounds(gp, &lo, &hi);
	if (status != RT_G_WAITING) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		if (gp->m != NULL)
			from = standing(k, gp->m, lo);
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
	}
	if (from == NULL && gp->ctx != NULL)
		from = be_context_sp(gp->ctx);
	scan_stack(k, from, hi);
	if (from != NULL && !gp->attached) /* the host's stack is his; a fiber's is not from our pool, but ours */
		k->held += page_bytes(from, hi);
}

/* The caller has claimed gp. Runs are counted when one begins, by who had to claim it before. */
static void trim(const rt_gc *gc, rt_g *gp)
{
	rt_stack *s = gp->stack;

	if (s != NULL && gp->ctx != NULL && !gp->dropped && rt_load32_acq(&gp->status) == RT_G_WAITING)
		(void)rt_stack_trim(gc->rt->stacks, s, be_context_sp(gp->ctx), rt_g_runs(gp),
		                    gc->trims == RT_TRIM_ALL);
}

/* It is scanned now, by us or by somebody else. idle: nobody waits for that. */
static void scan_once(rt_marker *k, rt_g *gp, bool idle)
{
	uint8_t mark = k->gc->mark;

	for (;;) {
		uint8_t was = rt_load8_acq(&gp->gcscan);

		if (was == mark)
			return;
		if (was == (mark | 1)) {
			be_thread_nap(GORT_MICROSECOND); /* a stack takes microseconds; the scanner waits for nobody */
			continue;
		}
		if (rt_load32_acq(&gp->status) == RT_G_DEAD)
			return;
		if (!rt_cas8_full(&gp->gcscan, was, mark | 1))
			continue;
		if (RT_UNLIKELY(rt_load32_acq(&gp->status) == RT_G_DEAD)) {
			/* Who is born with it outside, without a P, is still to be scanned. */
			rt_store8_rel(&gp->gcscan, 0);
			return;
		}
		rt_roots_goroutine(k, gp);
		if (RT_UNLIKELY(idle && k->gc->trims != RT_TRIM_NONE))
			trim(k->gc, gp);
		rt_store8_rel(&gp->gcscan, mark);
		return;
	}
}

void rt_roots_scan(rt_g *gp)
{
	rt_gc *gc = gp->rt->gc;
	rt_gcw w = { 0 };
	rt_marker k = { .gc = gc, .w = &w };

	scan_once(&k, gp, false);
	rt_gc_tell(&k);
	rt_gcw_dispose(&gc->pool, &w);
}

void rt_roots_born(rt_g *gp)
{
	rt_gc_shade(gp->arg);
	rt_gcscan_set(gp, rt_self()->rt->gc->mark);
}

/* A batch of goroutines; false: all have been given out. */
static bool goroutines(rt_marker *k)
{
	rt_gc *gc = k->gc;
	rt_g *from, *to;

	do {
		from = to = rt_loadptr_acq(&gc->gcursor);
		if (from == NULL)
			return false;
		for (int i = 0; i < BATCH && to != NULL; i++)
			to = to->alllink;
	} while (!rt_casptr_full(&gc->gcursor, from, to));
	for (; from != to; from = from->alllink)
		scan_once(k, from, true);
	return true;
}

void rt_roots_late(rt_marker *k)
{
	rt_gc *gc = k->gc;
	rt_sched *sc = &gc->rt->sched;
	rt_g *gp;
	bool any;

	rt_lock(&sc->lock, RT_RANK_sched);
	any = sc->nbornoutside != gc->bornoutside;
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (!any)
		return;
	rt_lock(&sc->allglock, RT_RANK_allg);
	gp = sc->allg;
	rt_unlock(&sc->allglock, RT_RANK_allg);
	for (; gp != NULL; gp = gp->alllink)
		scan_once(k, gp, false);
}

/* A million objects, perhaps, while the heap of timers is held. */
static void visit_alarm(void *data, void **slot)
{
	rt_gc_ask(data, *(uintptr_t *)slot);
}

static void visit_alarms(rt_marker *k, void *arg)
{
	rt_timers_roots(arg, visit_alarm, k);
}

void rt_roots_alarms(rt_gc *gc, rt_gcw *w, rt_p *pp)
{
	rt_marker k = { .gc = gc, .w = w };

	rt_gc_many(&k, visit_alarms, pp);
	rt_gc_tell(&k);
}

/* ---- Registered roots ------------------------------------------------------------------------------ */

/* One block; false: none is left. It ends between two words, wherever the root begins. */
static bool root_block(rt_marker *k)
{
	rt_gc *gc = k->gc;
	rt_root *r;
	size_t n;

	if (!rt_load32_acq(&gc->rootsleft))
		return false;
	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	r = gc->rootnext;
	if (r != NULL) {
		const char *from = r->start + gc->rootat;

		n = r->size - gc->rootat;
		if (n > RT_ROOT_BLOCK)
			n = RT_ROOT_BLOCK - (uintptr_t)from % sizeof(void *);
		rt_gc_scan_words(k, from, from + n);
		k->globals += n;
		gc->rootat += n;
		if (gc->rootat == r->size) {
			gc->rootnext = r->next;
			gc->rootat = 0;
		}
	}
	if (gc->rootnext == NULL)
		rt_store32_rel(&gc->rootsleft, 0);
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	return r != NULL;
}

/* With rootlock, while marking: all of it at once. */
static void scan_root_locked(rt_gc *gc, const rt_root *r)
{
	rt_gcw w = { 0 };
	rt_marker k = { .gc = gc, .w = &w };

	rt_gc_scan_words(&k, r->start, r->start + r->size);
	rt_gc_tell(&k);
	rt_gcw_dispose(&gc->pool, &w);
}

static bool overlaps(const rt_root *r, const char *start, size_t size)
{
	return start < r->start + r->size && r->start < start + size;
}

int rt_root_add(rt_gc *gc, void *start, size_t size)
{
	rt_root *fresh = rt_fixalloc_get(&gc->rootrecords), *r;

	if (fresh == NULL)
		return GORT_ENOMEM;
	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	for (r = gc->roots; r != NULL && !overlaps(r, start, size); r = r->next)
		;
	if (r == NULL) {
		*fresh = (rt_root){ gc->roots, start, size };
		gc->roots = fresh; /* before the blocks that root jobs have come to */
		if (gc->rootmark)
			scan_root_locked(gc, fresh);
	}
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	if (r != NULL)
		rt_fixalloc_put(&gc->rootrecords, fresh);
	return r == NULL ? 0 : GORT_EINVAL;
}

int rt_root_remove(rt_gc *gc, void *start)
{
	rt_root **at, *r;

	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	for (at = &gc->roots; *at != NULL && (*at)->start != start; at = &(*at)->next)
		;
	r = *at;
	if (r != NULL) {
		if (gc->rootmark) /* what somebody has read out of it must not be lost */
			scan_root_locked(gc, r);
		if (gc->rootnext == r) {
			gc->rootnext = r->next;
			gc->rootat = 0;
		}
		*at = r->next;
	}
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
	if (r == NULL)
		return GORT_EINVAL;
	rt_fixalloc_put(&gc->rootrecords, r);
	return 0;
}

void rt_roots_init(rt_gc *gc)
{
	rt_fixalloc_init(&gc->rootrecords, sizeof(rt_root), &gc->rt->debug);
}

void rt_roots_fini(rt_gc *gc)
{
	rt_fixalloc_fini(&gc->rootrecords);
}

/* ---- Jobs ------------------------------------------------------------------------------------------ */

static void choose_trims(rt_gc *gc)
{
	gc->trims = RT_TRIM_NONE;
	if (rt_xchg32_full(&gc->trimall, 0))
		gc->trims = RT_TRIM_ALL;
	else if (gc->began - gc->trimmed >= TRIM_EVERY)
		gc->trims = RT_TRIM_SAME;
	if (gc->trims != RT_TRIM_NONE)
		gc->trimmed = gc->began;
}

void rt_roots_prepare(rt_marker *k)
{
	rt_gc *gc = k->gc;
	rt_sched *sc = &gc->rt->sched;

	choose_trims(gc);
	rt_store64_rlx(&gc->stack_held, 0);
	gc->alarmjobs = (uint32_t)rt_gomaxprocs(gc->rt);
	rt_store32_rlx(&gc->njobs, gc->alarmjobs + rt_special_parts(&gc->heap));
	rt_store32_rlx(&gc->jobs, 0);
	rt_lock(&sc->lock, RT_RANK_sched);
	gc->bornoutside = sc->nbornoutside;
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_lock(&sc->allglock, RT_RANK_allg);
	rt_storeptr_rel(&gc->gcursor, sc->allg);
	rt_unlock(&sc->allglock, RT_RANK_allg);
	gc->rt->up.pool_roots(gc->rt, visit, k);
	rt_fin_prepare(gc);
	rt_lock(&gc->rootlock, RT_RANK_gcroots);
	gc->rootnext = gc->roots;
	gc->rootat = 0;
	gc->rootmark = true;
	rt_store32_rel(&gc->rootsleft, gc->roots != NULL);
	rt_unlock(&gc->rootlock, RT_RANK_gcroots);
}

bool rt_roots_job(rt_marker *k)
{
	rt_gc *gc = k->gc;
	uint32_t i;

	if (rt_load32_rlx(&gc->jobs) < rt_load32_rlx(&gc->njobs)) {
		i = rt_add32_full(&gc->jobs, 1);
		if (i < rt_load32_rlx(&gc->njobs)) {
			if (i < gc->alarmjobs)
				rt_gc_many(k, visit_alarms, gc->rt->sched.allp[i]);
			else
				rt_specials_job(k, i - gc->alarmjobs);
			return true;
		}
	}
	return root_block(k) || rt_fin_job(k) || goroutines(k);
}

bool rt_roots_left(rt_gc *gc)
{
	return rt_load32_rlx(&gc->jobs) < rt_load32_rlx(&gc->njobs) || rt_load32_rlx(&gc->rootsleft) ||
	       rt_load32_rlx(&gc->fin.left) || rt_loadptr_rlx(&gc->gcursor) != NULL;
}
