/* panic.c: scopes, deferred calls, panics, and leaving.
 *
 * A scope is a function that may defer: those of a goroutine, of gort_scope, of gort_try, and each
 * deferred call. Its record lies in the frame that calls it; the records of a goroutine form a list
 * from gp->scope outwards. The first deferred calls of a scope lie in its record, others in blocks
 * that hang on gp->defers: scopes nest, so these blocks are a stack as well, and each knows its scope.
 * Thus a goroutine that is dropped gives its blocks back without a look at its stack, which may be
 * destroyed.
 *
 * A panic is a record in the frame that panics. It runs the deferred calls of the innermost scope,
 * then leaves that scope behind and goes on with the next, all on top of the frames of the panic, so that
 * a backtrace still shows where it began. No scope left: the run fails. After a recovery the frames
 * down to the scope are left (rt_frames_leave); the scope runs what it has left, and returns.
 * gort_goexit is the same walk with a record that nothing stops.
 *
 *   gp->panics: P2 -> P1     P1 ran a deferred call, which panicked with P2. When P2 leaves the
 *                            scope of that call, P1 is aborted: whoever recovers P2 drops both. If
 *                            one of those dropped is a Goexit, that goes on instead.
 *
 * A goroutine's function has no mark to leave to: a switch has cost enough already when a goroutine
 * starts, and there is nothing to return to. After a recovery there the panicking frame runs what is
 * left of its deferred calls, with a mark of its own, and the goroutine is done.
 *
 * Inside the runtime `locks` is 1 here; functions of the user are called with 0, where they may
 * park and go on on another thread. So an rt_m is never kept; the rt_g stays the same.
 *
 * Rejected: to leave first and run deferred calls from the scope's frame (nothing to grow, but the
 * backtrace of the panic is lost); deferred calls in heap objects (garbage for each defer in a loop).
 */
#include "core/builtin/panic_impl.h"

#include "core/builtin/type.h"
#include "core/gc/gc.h"
#include "core/sched/leave.h"

typedef struct deferred {
	gort_func fn;
	void *arg;
} deferred;

enum { OWN_CALLS = 4 };
enum { CALLING = 1 << 7 }; /* in scope.n: the call behind those in use is running, and has no scope of its own yet */

typedef struct scope {
	struct scope *outer;
	panic *panics;       /* newest(gp) when it began */
	rt_g *g;
	struct scope *callee; /* room for a deferred call of gort_scope that has to be a scope; or NULL */
	void *arg;           /* its function's: kept for rt_panic_roots */
	/* eight bytes, cleared as one */
	uint8_t n;           /* calls[] in use: the newest, unless a block is. Or CALLING | n */
	bool running_panic;  /* it is a deferred call that *panics runs */
	bool shares;         /* it is its outer one's callee: the mark is that one's */
	bool stops;          /* gort_try */
	bool goexit;         /* a Goexit goes on from here as soon as the frames above are left */
	bool marked;         /* there is a mark to leave to: always but in a goroutine's function */
	bool unused[1];
	bool panicked;       /* gort_try has stopped one; its value: */
	gort_eface value;
	deferred calls[OWN_CALLS];
	rt_frames_mark mark;
} scope;

typedef struct block {
	struct block *older; /* first: fixalloc links free records through it */
	scope *owner;
	uint32_t n;
	deferred calls[(RT_DEFERBLOCK_SIZE - 3 * sizeof(void *)) / sizeof(deferred)];
} block;

_Static_assert(sizeof(block) <= RT_DEFERBLOCK_SIZE, "a block is one record of rt->defers");

static panic *newest(const rt_g *gp)
{
	return rt_g_has_more(gp) ? (panic *)gp->panics : NULL;
}

static void set_newest(rt_g *gp, panic *p)
{
	rt_g_more(gp);
	gp->panics = p != NULL ? &p->head : NULL;
}

/* ---- Deferred calls ------------------------------------------------------------------------- */

/* Inside the runtime or not: a goroutine that is stopped in place in between is seen with the old scope or the new. */
static inline RT_ALWAYS_INLINE void scope_push_in(rt_g *gp, scope *s, scope *outer, panic *panics, scope *callee,
                                                 void *arg)
{
	s->outer = outer;
	s->panics = panics;
	s->g = gp;
	s->callee = callee;
	s->arg = arg;
	s->n = 0;
	s->running_panic = s->shares = s->stops = s->goexit = s->panicked = s->unused[0] = false;
	s->marked = true;
	rt_fence_compiler();
	gp->scope = s;
}

static inline RT_ALWAYS_INLINE void scope_push(rt_g *gp, scope *s, scope *callee, void *arg)
{
	scope_push_in(gp, s, gp->scope, newest(gp), callee, arg);
}

static block *add_block(rt_g *gp, scope *s)
{
	block *b = rt_fixalloc_get(&gp->rt->defers);

	if (b == NULL)
		rt_run_fail(GORT_ENOMEM, "fatal error: runtime: out of memory\n");
	rt_g_more(gp);
	b->older = gp->defers;
	b->owner = s;
	b->n = 0;
	gp->defers = b;
	return b;
}

static void push_call(rt_g *gp, scope *s, deferred d)
{
	block *b = gp->defers;

	if (s->n < OWN_CALLS) {
		s->calls[s->n++] = d;
		return;
	}
	if (b == NULL || b->owner != s || b->n == RT_NELEM(b->calls))
		b = add_block(gp, s);
	b->calls[b->n++] = d;
}

static bool pop_call(rt_g *gp, scope *s, deferred *d)
{
	block *b = gp->defers;

	if (b != NULL && b->owner == s) {
		*d = b->calls[--b->n];
		if (b->n == 0) {
			gp->defers = b->older;
			rt_fixalloc_put(&gp->rt->defers, b);
		}
		return true;
	}
	if (s->n == 0)
		return false;
	*d = s->calls[--s->n];
	return true;
}

/* Inside the runtime. Returns when the call has come to its end, perhaps by a recovery. */
static void run_call(rt_g *gp, deferred d, bool for_panic);

/* Inside the runtime: what s has deferred and nobody panicked about. */
static void run_calls(rt_g *gp, scope *s)
{
	deferred d;

	while (pop_call(gp, s, &d))
		run_call(gp, d, false);
}

/* ---- Panics --------------------------------------------------------------------------------- */

_Noreturn static void panic_run(rt_g *gp, panic *p);

_Noreturn static void goexit_run(rt_g *gp)
{
	panic p = { .goexit = true };

	panic_run(gp, &p);
}

static bool has_block(const rt_g *gp, const scope *s)
{
	const block *b = gp->defers;

	return b != NULL && b->owner == s;
}

static _Noreturn RT_COLD void no_function(void)
{
	(void)rt_enter("gort");
	rt_panic_error("invalid memory address or nil pointer dereference");
}

/* A function has come back, and its scope is not the innermost: the run ended while it was in foreign code. Nothing of
 * the goroutine goes on. */
static _Noreturn RT_COLD void was_dropped(void)
{
	(void)rt_enter("gort");
	RT_UNREACHABLE("a scope ended that is not the innermost");
}

static RT_NOINLINE void rest_of(scope *s)
{
	(void)rt_enter("gort");
	run_calls(s->g, s);
	rt_leave();
}

/* The deferred call of s that is running defers a call itself, and becomes a scope: in the record that gort_scope has
 * made room for, below the mark, so it needs no mark of its own. Who recovers in it leaves to the mark of s, and
 * body_rest finishes the one and goes on with the other. */
static scope *callee_begin(rt_g *gp, scope *s)
{
	const deferred *d = &s->calls[s->n & ~CALLING];
	scope *c = s->callee;

	scope_push(gp, c, NULL, d->arg);
	c->shares = true;
	return c;
}

/* Another scope is the innermost after a deferred call of s has come back. */
static RT_NOINLINE void callee_end(scope *s)
{
	scope *c = s->callee;

	if (s->g->scope != c)
		was_dropped();
	RT_ASSERT(newest(s->g) == c->panics);
	rest_of(c);
	s->g->scope = s;
}

/* Runs the last of n deferred calls of s outside the runtime, and without a scope of its own. A panic in it finds s,
 * and clears CALLING: the call has nothing to run. */
static inline RT_ALWAYS_INLINE void run_last(scope *s, unsigned n)
{
	deferred d = s->calls[n - 1];

	s->n = (uint8_t)(CALLING | (n - 1));
	if (RT_UNLIKELY(d.fn == NULL))
		no_function();
	d.fn(d.arg);
	if (RT_UNLIKELY(s->g->scope != s))
		callee_end(s);
	s->n = (uint8_t)(n - 1);
}

/* What a function deferred, when it has returned, if that is more than one call. */
static RT_NOINLINE void run_own(scope *s)
{
	unsigned n = s->n;

	if (s->callee == NULL || (n == OWN_CALLS && has_block(s->g, s))) {
		rest_of(s);
		return;
	}
	for (; n > 0; n--)
		run_last(s, n);
}

/* What a scope starts with. A record because rt_frames_try hands over one pointer; where its function is inlined, these
 * are values in registers. */
typedef struct body {
	scope *s;
	bool has_callee;
	gort_func fn;
	void *arg;
} body;

/* What rt_frames_try runs. Outside the runtime when they start and when they return. */
static inline RT_ALWAYS_INLINE void body_call(void *arg)
{
	const body *b = arg;
	scope *s = b->s;

	if (RT_UNLIKELY(b->fn == NULL))
		no_function();
	b->fn(b->arg);
	if (RT_UNLIKELY(s->g->scope != s))
		was_dropped();
	if (RT_LIKELY(s->n == 1 && b->has_callee)) /* most: few instructions */
		run_last(s, 1);
	else if (s->n != 0)
		run_own(s);
}

static void body_rest(void *arg)
{
	scope *s = arg;
	scope *c = s->g->scope; /* or its callee */

	(void)rt_enter("gort");
	if (c->goexit)
		goexit_run(s->g);
	run_calls(s->g, c);
	if (c != s) {
		s->g->scope = s;
		s->n &= ~CALLING;
		run_calls(s->g, s);
	}
	rt_leave();
}

/* Runs what is left of s: each recovery leaves that half way, and the next round takes it up. */
static RT_NOINLINE void scope_go_on(scope *s)
{
	s->marked = true;
	while (s->n > 0 || s->g->scope != s || s->goexit || has_block(s->g, s))
		if (rt_frames_try(&s->mark, body_rest, s) == 0)
			break;
}

/* g from the record, and not from a register that would have to be kept over the call. */
static inline void scope_pop(scope *s)
{
	RT_ASSERT(s->g->scope == s && newest(s->g) == s->panics);
	s->g->scope = s->outer;
}

static void run_call(rt_g *gp, deferred d, bool for_panic)
{
	scope s;
	body b = { &s, false, d.fn, d.arg };

	scope_push(gp, &s, NULL, d.arg);
	s.running_panic = for_panic;
	rt_leave();
	if (rt_frames_try(&s.mark, body_call, &b) != 0)
		scope_go_on(&s);
	(void)rt_enter("gort");
	scope_pop(&s);
}

/* A recovery in s, which is the innermost scope: drops the panics that began above it. */
static void drop_panics(rt_g *gp, scope *s)
{
	for (panic *p = newest(gp); p != s->panics; p = older_than(p))
		if (p->goexit)
			s->goexit = true;
	set_newest(gp, s->panics);
}

/* Leaves all frames above s and goes on there. */
_Noreturn static void resume(rt_g *gp, scope *s)
{
	RT_ASSERT(gp->scope == s);
	drop_panics(gp, s);
	rt_leave();
	if (s->shares)
		rt_frames_leave(&s->outer->mark);
	if (!s->marked) { /* a goroutine's function */
		scope_go_on(s);
		(void)rt_enter("gort");
		gp->scope = NULL;
		rt_goroutine_done(gp);
	}
	rt_frames_leave(&s->mark);
}

_Noreturn static void panic_run(rt_g *gp, panic *p)
{
	scope *s;
	deferred d;

	if (rt_self()->locks != 1)
		rt_throw("panic while the runtime is busy");
	p->head.link = gp->panics;
	set_newest(gp, p);
	while ((s = gp->scope) != NULL) {
		s->n &= ~CALLING;
		if (pop_call(gp, s, &d)) {
			run_call(gp, d, true);
		} else if (s->stops && !p->goexit) {
			s->panicked = true;
			s->value = p->value;
			p->recovered = true;
		} else {
			gp->scope = s->outer; /* nothing of it is left */
		}
		if (p->recovered)
			resume(gp, s);
	}
	if (p->goexit)
		rt_goexit();
	rt_panic_give_up(p);
}

/* ---- Public --------------------------------------------------------------------------------- */

_Noreturn static void panic_with(gort_eface v)
{
	panic p = { .value = v };

	panic_run(rt_curg(), &p);
}

_Noreturn RT_COLD void rt_panic_text(const char *text)
{
	panic_with(rt_panic_value_plain(text));
}

_Noreturn RT_COLD void rt_panic_error(const char *text)
{
	panic_with(rt_panic_value_error(text));
}

_Noreturn RT_COLD void rt_panic_uncomparable(const gort_type *t)
{
	panic_with(rt_panic_value_error_about("comparing uncomparable type ", gort_type_name(t)));
}

_Noreturn RT_COLD void rt_panic_unhashable(const gort_type *t)
{
	panic_with(rt_panic_value_error_about("hash of unhashable type ", gort_type_name(t)));
}

GORT_API _Noreturn void gort_panic(gort_eface v)
{
	(void)RT_ENTER();
	if (v.type == NULL)
		v = rt_panic_value_nil();
	panic_with(v);
}

GORT_API _Noreturn void gort_panics(const char *text)
{
	(void)RT_ENTER();
	panic_with(rt_panic_value_copied(text));
}

GORT_API _Noreturn void gort_goexit(void)
{
	rt_m *mp = RT_ENTER();

	if (mp->curg->attached)
		rt_misuse(__func__, "an attached thread ends by gort_detach");
	goexit_run(mp->curg);
}

static RT_NOINLINE void defer_long(gort_func fn, void *arg)
{
	rt_m *mp = rt_enter("gort_defer");
	scope *s = mp->curg->scope;

	if (RT_UNLIKELY(s == NULL))
		rt_misuse("gort_defer", "an attached thread has no scope outside gort_scope and gort_try");
	if (s->n & CALLING)
		s = callee_begin(mp->curg, s);
	push_call(mp->curg, s, (deferred){ fn, arg });
	rt_leave();
}

/* This and gort_scope touch only the goroutine's record and frames, and need not be inside the runtime: who is stopped
 * in place goes on on the same M. */
GORT_API void gort_defer(gort_func fn, void *arg)
{
	const rt_m *mp = rt_self();
	scope *s;

	if (RT_UNLIKELY(mp == NULL || mp->p == NULL || (s = mp->curg->scope) == NULL || s->n >= OWN_CALLS)) {
		defer_long(fn, arg);
		return;
	}
	s->calls[s->n] = (deferred){ fn, arg };
	rt_fence_compiler(); /* a collector that looks in between sees n calls */
	s->n++;
}

/* Inside the runtime. True: the deferred call that asks has stopped gp's newest panic. */
static inline bool recover(rt_g *gp, gort_eface *v)
{
	scope *s = gp->scope;
	panic *p = newest(gp);

	if (s == NULL || !s->running_panic || p != s->panics || p->goexit || p->recovered)
		return false;
	p->recovered = true;
	if (v != NULL)
		rt_typed_move(GORT_TYPE(gort_eface), sizeof *v, v, &p->value);
	return true;
}

static RT_NOINLINE bool recover_long(gort_eface *v)
{
	bool ok = recover(rt_enter("gort_recover")->curg, v);

	rt_leave();
	return ok;
}

GORT_API bool gort_recover(gort_eface *v)
{
	rt_visit visit = rt_visit_begin();
	bool ok;

	if (RT_UNLIKELY(visit.p == NULL))
		return recover_long(v);
	ok = recover(visit.m->curg, v);
	rt_visit_end(visit);
	return ok;
}

static RT_NOINLINE void scope_long(gort_func fn, void *arg)
{
	rt_g *gp = rt_enter("gort_scope")->curg;
	scope s, callee;
	body b = { &s, true, fn, arg };

	scope_push(gp, &s, &callee, arg);
	rt_leave();
	if (rt_frames_try(&s.mark, body_call, &b) != 0)
		scope_go_on(&s);
	scope_pop(&s);
}

GORT_API void gort_scope(gort_func fn, void *arg)
{
	const rt_m *mp = rt_self();
	scope s, callee;
	body b = { &s, true, fn, arg };
	rt_p *pp;

	/* Under cooperative preemption a loop of these is to be stopped here. The P may be another's by now. */
	if (RT_UNLIKELY(mp == NULL || (pp = mp->p) == NULL || rt_load32_rlx(&pp->preempt) != 0)) {
		scope_long(fn, arg);
		return;
	}
	scope_push(mp->curg, &s, &callee, arg);
	if (RT_UNLIKELY(rt_frames_try(&s.mark, body_call, &b) != 0))
		scope_go_on(&s);
	scope_pop(&s);
}

GORT_API int gort_try(gort_func fn, void *arg, gort_eface *panicked)
{
	rt_g *gp = RT_ENTER()->curg;
	scope s;
	body b = { &s, false, fn, arg };

	scope_push(gp, &s, NULL, arg);
	s.stops = true;
	rt_leave();
	if (rt_frames_try(&s.mark, body_call, &b) != 0)
		scope_go_on(&s);
	(void)RT_ENTER();
	scope_pop(&s);
	if (s.panicked && panicked != NULL)
		rt_typed_move(GORT_TYPE(gort_eface), sizeof *panicked, panicked, &s.value);
	rt_leave();
	return s.panicked;
}

/* ---- Up-calls ------------------------------------------------------------------------------- */

void rt_goroutine_main(rt_g *gp, gort_func fn, void *arg)
{
	scope s;

	scope_push_in(gp, &s, NULL, NULL, NULL, arg); /* the first */
	s.marked = false;
	fn(arg);
	(void)rt_enter("gort"); /* one that was dropped comes no further: its deferred calls are gone */
	if (s.n > 0) {
		rt_leave();
		scope_go_on(&s);
		(void)rt_enter("gort");
	}
	RT_ASSERT(gp->scope == &s && gp->defers == NULL);
	gp->scope = NULL;
}

void rt_scope_call(rt_g *gp, gort_func fn, void *arg)
{
	run_call(gp, (deferred){ fn, arg }, false);
}

void rt_panic_fault(rt_g *gp, const char *error, const rt_faulted *fault)
{
	panic p = { .head.fault = fault, .value = rt_panic_value_error(error) };

	panic_run(gp, &p);
}

void rt_panic_drop(rt_g *gp)
{
	block *b;

	while ((b = gp->defers) != NULL) {
		gp->defers = b->older;
		rt_fixalloc_put(&gp->rt->defers, b);
	}
	gp->scope = NULL;
	if (rt_g_has_more(gp))
		gp->panics = NULL;
}

static void visit_calls(deferred *calls, uint32_t n, void (*visit)(void *, void **), void *data)
{
	for (uint32_t i = 0; i < n; i++)
		visit(data, &calls[i].arg);
}

void rt_panic_roots(rt_g *gp, void (*visit)(void *data, void **slot), void *data)
{
	for (block *b = rt_g_has_more(gp) ? gp->defers : NULL; b != NULL; b = b->older)
		visit_calls(b->calls, b->n, visit, data);
	for (scope *s = gp->scope; s != NULL; s = s->outer) {
		visit(data, &s->arg);
		if (s->panicked)
			visit(data, &s->value.data);
		visit_calls(s->calls, (uint32_t)(s->n & ~CALLING) + (s->n >= CALLING), visit, data);
	}
	for (panic *p = newest(gp); p != NULL; p = older_than(p))
		visit(data, &p->value.data);
}
