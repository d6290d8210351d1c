/* traceback.c: what a program that fails prints: every goroutine's state and frames, as Go does.
 *
 *	goroutine 7 [chan receive, 3 minutes, locked to thread]:
 *	worker(...)
 *		/src/worker.c:31 +0x1f
 *	created by main_ in goroutine 1
 *		/src/main.c:12 +0x40
 *
 * A failing goroutine ends at once, and its stack with it; so its frames are noted as numbers then
 * (rt_failure), and named later, by the host's thread, with the world stopped: names cost files and
 * stack, of which a goroutine may have little left. The others are walked where they stand.
 *
 * Frames of the runtime are left out, except its public functions, which tell what a goroutine
 * called. Arguments are not known in C: `(...)`. What is printed depends on GOTRACEBACK:
 *
 *	none    no goroutines
 *	single  the one that failed; all, if the error is fatal or no goroutine's
 *	all     all
 *	system  all, also the frames of the runtime, with addresses
 *	crash   as system; then the process aborts instead of exiting
 *
 * If it is not set a program that ends its process (GORT_EXIT_ON_FATAL) behaves as a Go program:
 * single. gort_runtime_error has all.
 *
 * Nothing here takes a lock of the host's, which a stopped goroutine may hold.
 */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_FIRST = 50, SHOWN_LAST = 50 }; /* of a long stack */
#define MINUTE (60 * GORT_SECOND)

/* ---- Text that grows -------------------------------------------------------------------------- */

void *rt_pages_new(size_t *bytes)
{
	size_t unit = be_arena_query()->granularity;

	*bytes = (*bytes + unit - 1) / unit * unit;
	return rt_region_new(*bytes);
}

void rt_pages_free(void *p, size_t bytes)
{
	if (p != NULL)
		rt_region_free(p, bytes);
}

static bool make_room(rt_text *t, size_t more)
{
	size_t cap = t->cap != 0 ? t->cap : 64 << 10;
	char *p;

	while (cap < t->n + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	p = rt_pages_new(&cap);
	if (p == NULL)
		return false;
	if (t->p != NULL)
		memcpy(p, t->p, t->n + 1);
	rt_pages_free(t->p, t->cap);
	t->p = p;
	t->cap = cap;
	return true;
}

bool rt_array_fit(rt_array *a, size_t need)
{
	size_t bytes = a->bytes != 0 ? a->bytes : 1;
	void *p;

	if (need <= a->bytes)
		return true;
	while (bytes < need)
		bytes *= 2;
	p = rt_pages_new(&bytes);
	if (p == NULL)
		return false;
	if (a->p != NULL) {
		memcpy(p, a->p, a->bytes);
		rt_pages_free(a->p, a->bytes);
	}
	*a = (rt_array){ p, bytes };
	return true;
}

void rt_array_free(rt_array *a)
{
	if (a->p != NULL)
		rt_pages_free(a->p, a->bytes);
	*a = (rt_array){ NULL, 0 };
}

/* Without memory the text is cut: a failure is being reported, and the code says the rest. */
void rt_text_add(rt_text *t, const char *s)
{
	size_t n = strlen(s);

	if (!make_room(t, n))
		return;
	memcpy(t->p + t->n, s, n + 1);
	t->n += n;
}

void rt_text_clear(rt_text *t)
{
	t->n = 0;
	if (t->p != NULL)
		t->p[0] = '\0';
}

void rt_text_free(rt_text *t)
{
	rt_pages_free(t->p, t->cap);
	*t = (rt_text){ NULL, 0, 0 };
}

/* rt_format into t; what it makes is short but for names, which are cut by their records. */
#define ADD(t, ...)                                                                                \
	do {                                                                                       \
		char line_[640];                                                                   \
                                                                                                   \
		(void)rt_format(line_, sizeof line_, __VA_ARGS__);                                 \
		rt_text_add((t), line_);                                                           \
	} while (0)

/* ---- Levels ----------------------------------------------------------------------------------- */

void rt_traceback_init(gort_runtime *rt, const char *level)
{
	rt_traceback *t = &rt->traceback;

	*t = (rt_traceback){ .level = 1, .all = !(rt->cfg.flags & GORT_EXIT_ON_FATAL) };
	if (level == NULL || level[0] == '\0')
		return;
	t->all = true;
	if (strcmp(level, "single") == 0)
		t->all = false;
	else if (strcmp(level, "none") == 0)
		t->level = 0;
	else if (strcmp(level, "system") == 0 || strcmp(level, "crash") == 0)
		t->level = 2;
	else if (level[0] >= '0' && level[0] <= '9' && level[1] == '\0')
		t->level = level[0] - '0';
	t->crash = strcmp(level, "crash") == 0;
}

/* ---- Names of frames -------------------------------------------------------------------------- */

/* Goroutines stand at few places: names are kept by address. A thousand of them below an interpreter stand at some
 * hundred; a name that is looked up again is half a millisecond. Memory is touched as it is needed. */
enum { NAMES_LOG = 9, NAMES = 1 << NAMES_LOG };
typedef struct named {
	uintptr_t pc;
	bool exact;
	be_fault_symbol name;
} named;

struct rt_report {
	size_t bytes;
	int level;
	rt_text *to;
	const char *note; /* rt_report_note */
	be_fault_trace trace;
	named names[NAMES];
	be_fault_files *files; /* behind the record */
};

rt_report *rt_report_new(rt_text *to, int level)
{
	size_t bytes = sizeof(rt_report) + be_fault_files_size;
	rt_report *r = rt_pages_new(&bytes); /* zeroed */

	if (r == NULL)
		return NULL;
	r->bytes = bytes;
	r->level = level;
	r->to = to;
	r->note = "";
	r->files = (be_fault_files *)(r + 1);
	return r;
}

void rt_report_free(rt_report *r)
{
	if (r == NULL)
		return;
	be_fault_files_close(r->files);
	rt_pages_free(r, r->bytes);
}

static const be_fault_symbol *name_of(rt_report *r, uintptr_t pc, bool exact)
{
	uint64_t mixed = ((uint64_t)pc ^ exact) * UINT64_C(0x9e3779b97f4a7c15); /* Knuth's multiplicative hashing */
	named *n = &r->names[mixed >> (64 - NAMES_LOG)];

	if (n->pc != pc || n->exact != exact) {
		(void)be_fault_lookup(r->files, pc, exact, &n->name);
		n->pc = pc;
		n->exact = exact;
	}
	return &n->name;
}

static void add_place(rt_report *r, const be_fault_symbol *n)
{
	ADD(r->to, "\t%s", n->file[0] != '\0' ? n->file : "?");
	if (n->line != 0)
		ADD(r->to, ":%u", n->line);
	if (n->offset != 0)
		ADD(r->to, " +0x%llx", (unsigned long long)n->offset);
}

static const char *function_text(const be_fault_symbol *n)
{
	return n->function[0] != '\0' ? n->function : "?";
}

static void add_frame(rt_report *r, const be_fault_frame *f, const be_fault_frame *caller)
{
	const be_fault_symbol *n = name_of(r, f->pc, f->exact);

	ADD(r->to, "%s(...)\n", function_text(n));
	add_place(r, n);
	if (r->level >= 2)
		ADD(r->to, " fp=0x%llx sp=0x%llx pc=0x%llx",
		    (unsigned long long)(caller != NULL ? caller->sp : 0), (unsigned long long)f->sp,
		    (unsigned long long)f->pc);
	rt_text_add(r->to, "\n");
}

/* ---- Frames ----------------------------------------------------------------------------------- */

static const be_fault_frame *frame_at(const be_fault_trace *t, size_t i)
{
	return i < BE_FAULT_KEEP ? &t->inner[i] : &t->outer[i % BE_FAULT_KEEP];
}

static bool is_panic(const be_fault_symbol *n)
{
	return n->exported &&
	       (strcmp(n->function, "gort_panic") == 0 || strcmp(n->function, "gort_panics") == 0 ||
	        strcmp(n->function, "gort_faulted") == 0); /* fault.c */
}

/* `first`: nothing was shown yet. What raised the panic that failed is not shown, as in Go; what
 * raised those before it is. */
static bool is_shown(rt_report *r, const be_fault_frame *f, bool first)
{
	const be_fault_symbol *n = name_of(r, f->pc, f->exact);

	if (r->level >= 2)
		return true;
	if (n->file[0] == '\0') /* outside all modules: the fault's own line tells */
		return false;
	return (!n->internal || n->exported) && !(first && is_panic(n));
}

static void add_frames(rt_report *r, const be_fault_trace *t)
{
	size_t shown[2 * BE_FAULT_KEEP], nshown = 0, skipped = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (i == BE_FAULT_KEEP && t->n > 2 * BE_FAULT_KEEP) {
			skipped = t->n - 2 * BE_FAULT_KEEP;
			i += skipped;
		}
		if (is_shown(r, frame_at(t, i), nshown == 0))
			shown[nshown++] = i;
	}
	for (size_t k = 0; k < nshown; k++) {
		size_t i = shown[k], left = nshown + skipped - k;

		if (k == SHOWN_FIRST && left > SHOWN_LAST) {
			ADD(r->to, "...%zu frames elided...\n", left - SHOWN_LAST);
			k = nshown > SHOWN_LAST && nshown - SHOWN_LAST > k ? nshown - SHOWN_LAST : k;
			i = shown[k];
		}
		add_frame(r, frame_at(t, i), i + 1 < t->n ? frame_at(t, i + 1) : NULL);
	}
}

/* ---- Goroutines ------------------------------------------------------------------------------- */

/* What of a goroutine outlives it until the report is written. */
static rt_gstate state_of(const rt_g *gp)
{
	return (rt_gstate){ .goid = gp->goid,
		            .parent = gp->parent,
		            .creator = gp->creator,
		            .locked = gp->lockedm != NULL,
		            .g = gp,
		            .m = gp->m,
		            .mid = gp->m != NULL ? gp->m->id : 0 };
}

static const char *status_text(uint32_t status, unsigned waitreason)
{
	switch (status) {
	case RT_G_RUNNABLE:
		return "runnable";
	case RT_G_RUNNING:
		return "running";
	case RT_G_SYSCALL:
		return "syscall";
	default:
		return rt_waitreason_text(waitreason);
	}
}

static void add_header(rt_report *r, const rt_gstate *s, const char *status, int64_t waited)
{
	if (r->to->n > 0)
		rt_text_add(r->to, "\n");
	ADD(r->to, "goroutine %llu", (unsigned long long)s->goid);
	if (r->level >= 2 && s->m != NULL)
		ADD(r->to, " gp=%p m=%u mp=%p", (void *)(uintptr_t)s->g, s->mid,
		    (void *)(uintptr_t)s->m);
	else if (r->level >= 2)
		ADD(r->to, " gp=%p m=nil", (void *)(uintptr_t)s->g);
	ADD(r->to, " [%s%s", status, r->note);
	if (waited >= MINUTE)
		ADD(r->to, ", %llu minutes", (unsigned long long)(waited / MINUTE));
	ADD(r->to, "%s]:\n", s->locked ? ", locked to thread" : "");
}

static void add_creator(rt_report *r, const rt_gstate *s)
{
	const be_fault_symbol *n;

	if (s->creator == NULL)
		return;
	n = name_of(r, (uintptr_t)s->creator, false);
	ADD(r->to, "created by %s in goroutine %llu\n", function_text(n), (unsigned long long)s->parent);
	add_place(r, n);
	rt_text_add(r->to, "\n");
}

void rt_g_bounds(const rt_g *gp, void **lo, void **hi)
{
	*lo = *hi = NULL;
	if (gp->ctx != NULL && !gp->attached) {
		be_context_bounds(gp->ctx, lo, hi);
	} else if (gp->attached && gp->lockedm != NULL) {
		*lo = (void *)(uintptr_t)gp->lockedm->thread_lo;
		*hi = (char *)*lo + gp->lockedm->thread_size;
	}
}

/* The frames above which the goroutine faulted, each on top of the one before. */
static void walk_faults(const rt_g *gp, void *lo, void *hi, be_fault_trace *t)
{
	for (const rt_panicking *p = gp->panics; p != NULL; p = p->link)
		if (p->fault != NULL)
			be_fault_walk(&p->fault->place, lo, hi, t);
}

void rt_g_walk(const rt_g *gp, be_fault_trace *t)
{
	be_fault_place at = { .exact = true };
	void *lo, *hi, *pc, *sp, *fp;

	be_context_place(gp->ctx, &pc, &sp, &fp);
	at.pc = (uintptr_t)pc;
	at.sp = (uintptr_t)sp;
	at.fp = (uintptr_t)fp;
	rt_g_bounds(gp, &lo, &hi);
	be_fault_walk(&at, lo, hi, t);
	walk_faults(gp, lo, hi, t);
}

/* Stopped in place, by its M's backend. Not one in a system call: it comes back when it likes, and leaves its M. */
static bool stands(const rt_g *gp, uint32_t status)
{
	return status == RT_G_RUNNING && gp->m != NULL && gp->m->curg == gp && gp->m->standing == RT_STANDS_STOPPED;
}

static void walk_standing(const rt_g *gp, be_fault_trace *t)
{
	const be_preempt_at *stop = &gp->m->stopat;
	be_fault_place at = {
		.pc = stop->pc, .sp = stop->sp, .fp = stop->fp, .link = stop->link, .exact = true
	};
	void *lo, *hi;

	rt_g_bounds(gp, &lo, &hi);
	be_fault_walk(&at, lo, hi, t);
	walk_faults(gp, lo, hi, t);
}

static void walk_self(const rt_g *gp, be_fault_trace *t)
{
	void *lo, *hi;

	rt_g_bounds(gp, &lo, &hi);
	be_fault_walk_here(lo, hi, t);
	walk_faults(gp, lo, hi, t);
}

static void add_start(rt_report *r, const rt_g *gp)
{
	be_fault_frame f = { .pc = (uintptr_t)gp->fn, .exact = true };

	add_frame(r, &f, NULL);
}

void rt_report_note(rt_report *r, const char *note)
{
	r->note = note;
}

void rt_report_g(rt_report *r, rt_g *gp, int64_t now)
{
	uint32_t status;
	rt_gstate s;
	bool parked, self = gp == rt_curg();
	int64_t since;

	/* As one that comes out of a system call has no P that would be stopped, and leaves its M. */
	rt_lock(&gp->rt->sched.lock, RT_RANK_sched);
	status = rt_load32_acq(&gp->status);
	s = state_of(gp);
	rt_unlock(&gp->rt->sched.lock, RT_RANK_sched);
	parked = (status == RT_G_WAITING || status == RT_G_RUNNABLE) && s.m == NULL;
	since = status == RT_G_WAITING ? gp->since : 0;
	if (status == RT_G_DEAD)
		return;
	add_header(r, &s, status_text(status, gp->waitreason), since > 0 ? now - since : 0);
	r->trace.n = 0;
	if (self)
		walk_self(gp, &r->trace);
	else if (stands(gp, status))
		walk_standing(gp, &r->trace);
	else if (parked && gp->ctx != NULL)
		rt_g_walk(gp, &r->trace);
	if (r->trace.n > 0)
		add_frames(r, &r->trace);
	else if (parked && gp->ctx == NULL && gp->fn != NULL)
		add_start(r, gp);
	else
		rt_text_add(r->to, "\tgoroutine running on other thread; stack unavailable\n");
	add_creator(r, &s);
}

/* ---- All of them ------------------------------------------------------------------------------ */

static void sift(rt_g **a, size_t root, size_t n)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		rt_g *gp = a[root];

		if (child + 1 < n && a[child + 1]->goid > a[child]->goid)
			child++;
		if (a[child]->goid <= gp->goid)
			return;
		a[root] = a[child];
		a[child] = gp;
	}
}

/* A heap sort: it needs neither memory nor depth. */
static void sort(rt_g **a, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(a, i, n);
	while (n-- > 1) {
		rt_g *gp = a[0];

		a[0] = a[n];
		a[n] = gp;
		sift(a, 0, n);
	}
}

bool rt_glist_make(gort_runtime *rt, rt_glist *l)
{
	rt_g *first;
	size_t n = 0;

	*l = (rt_glist){ NULL, 0, 0 };
	rt_lock(&rt->sched.allglock, RT_RANK_allg);
	first = rt->sched.allg;
	rt_unlock(&rt->sched.allglock, RT_RANK_allg);
	for (rt_g *gp = first; gp != NULL; gp = gp->alllink)
		n += rt_load32_acq(&gp->status) != RT_G_DEAD;
	l->bytes = (n + 1) * sizeof *l->g;
	l->g = rt_oom_now(&rt->debug) ? NULL : rt_pages_new(&l->bytes);
	if (l->g == NULL)
		return false;
	for (rt_g *gp = first; gp != NULL && l->n < n; gp = gp->alllink)
		if (rt_load32_acq(&gp->status) != RT_G_DEAD)
			l->g[l->n++] = gp;
	sort(l->g, l->n);
	return true;
}

void rt_glist_free(rt_glist *l)
{
	rt_pages_free(l->g, l->bytes);
}

void rt_report_all(gort_runtime *rt, rt_report *r, const rt_g *but)
{
	int64_t now = rt_now(rt);
	rt_glist l;

	if (!rt_glist_make(rt, &l)) {
		rt_text_add(r->to, "\n(no memory for the goroutines)\n");
		return;
	}
	for (size_t i = 0; i < l.n; i++)
		if (l.g[i] != but && (!l.g[i]->system || l.g[i]->finalizes || r->level >= 2))
			rt_report_g(r, l.g[i], now);
	rt_glist_free(&l);
}

/* ---- Failures --------------------------------------------------------------------------------- */

void rt_failure_begin(gort_runtime *rt, const rt_g *gp, bool fatal)
{
	rt->failure.there = true;
	rt->failure.fatal = fatal;
	rt->failure.g = state_of(gp);
	rt->failure.trace.n = 0;
}

/* World stopped, or gp has nobody else to look at it: r->to holds the message. */
static void report(gort_runtime *rt, rt_report *r, const rt_failure *f, bool all)
{
	if (f->there) {
		add_header(r, &f->g, "running", 0);
		add_frames(r, &f->trace);
		add_creator(r, &f->g);
	}
	if (all)
		rt_report_all(rt, r, NULL);
}

void rt_failure_report(gort_runtime *rt)
{
	const rt_traceback *t = &rt->traceback;
	rt_report *r = t->level > 0 ? rt_report_new(&rt->error, t->level) : NULL;

	if (r == NULL)
		return;
	report(rt, r, &rt->failure, t->all || rt->failure.fatal || !rt->failure.there);
	rt_report_free(r);
}

void rt_failure_print(gort_runtime *rt, const rt_g *gp, const char *message)
{
	rt_text text = { NULL, 0, 0 };
	int level = rt->traceback.level;
	rt_report *r = level > 0 ? rt_report_new(&text, level) : NULL;
	rt_gstate s = state_of(gp);

	rt_text_add(&text, message);
	if (r != NULL) {
		add_header(r, &s, "running", 0);
		r->trace.n = 0;
		rt_g_walk(gp, &r->trace);
		add_frames(r, &r->trace);
		add_creator(r, &s);
		rt_report_free(r);
	}
	if (text.p != NULL)
		rt_print_bytes(text.p, text.n);
	else
		rt_print("%s", message);
	rt_text_free(&text);
}
