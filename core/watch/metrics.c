/* metrics.c: figures by the names of Go's runtime/metrics. A metric is a row of metric.def; those of rooms that are
 * not there are not listed.
 *
 * Figures of Ps are counted by their owners and added up here, so a sum may miss what happens meanwhile, but never
 * goes back; histograms of times are read one after the other. Those of the heap and the collector are taken with the
 * world stopped, all of one call at the same moment, so that they are exact and agree with each other and with
 * gort_mem_stats. Go does without stopping, and without the objects that caches have given out since they were last
 * filled; whoever asks for none of them stops nobody here, either.
 */
#include "core/gc/figures.h"
#include "core/gc/gc.h"
#include "core/sched/internal.h"

#include <string.h>

typedef struct sample { /* what rows of the heap are read from, as flat as they are */
	rt_memtotals objects;
	uint64_t cycles, forced, automatic;
	uint64_t percent, limit, limited, goal, live, peak;
	uint64_t allocs_bytes, allocs, frees_bytes, frees, n_objects, tiny;
	uint64_t scan_globals, scan_heap, scan_stack, scan_total;
	uint64_t heap_objects, heap_unused, heap_free, heap_released, heap_stacks;
	uint64_t mcache_inuse, mcache_free, mspan_inuse, mspan_free, meta_other, other, total;
	double assist, dedicated, idle, pause, gc_total;
	double scav_assist, scav_background, scav_total;
} sample;

typedef struct row {
	gort_metric_desc desc;
	/* one of these; or, of a sample, where in it */
	uint64_t (*number)(gort_runtime *rt);
	void (*times)(gort_runtime *rt, uint64_t *counts);
	void (*sizes)(const sample *s, uint64_t *counts);
	size_t at;
} row;

/* ---- At any time ------------------------------------------------------------------------------- */

static uint64_t gomaxprocs(gort_runtime *rt)
{
	return (uint64_t)rt_gomaxprocs(rt);
}

static uint64_t goroutines(gort_runtime *rt)
{
	int64_t n = rt_g_count(rt);

	return n > 0 ? (uint64_t)n : 0; /* ends may be seen before their beginnings */
}

static uint64_t stack_size(gort_runtime *rt)
{
	return rt->cfg.stack_size;
}

static void add(uint64_t *counts, const rt_hist *h)
{
	for (size_t i = 0; i < RT_HIST_BUCKETS; i++)
		counts[i] += rt_load64_rlx(&h->counts[i]);
}

static void latencies(gort_runtime *rt, uint64_t *counts)
{
	for (int i = 0; i < rt->sched.nallp; i++) /* the dead ones, too */
		add(counts, &rt->sched.allp[i]->latencies);
}

static void stopping_other(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.stopping[0]);
}

static void stopping_gc(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.stopping[1]);
}

static void stopped_other(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.stopped_for[0]);
}

static void stopped_gc(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.stopped_for[1]);
}

static void pauses_other(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.pauses[0]);
}

static void pauses_gc(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.pauses[1]);
}

/* ---- Of a sample ------------------------------------------------------------------------------- */

static void by_size(const uint64_t *objects, uint64_t *counts)
{
	for (size_t i = 1; i < RT_NCLASS; i++)
		counts[i - 1] = objects[i];
	counts[RT_NCLASS - 1] = objects[0];
}

static void allocs_by_size(const sample *s, uint64_t *counts)
{
	by_size(s->objects.allocs, counts);
}

static void frees_by_size(const sample *s, uint64_t *counts)
{
	by_size(s->objects.frees, counts);
}

static void memory(sample *s, const gort_mem_stats *m)
{
	s->goal = m->next_gc;
	s->cycles = m->num_gc;
	s->forced = m->num_forced_gc;
	s->automatic = s->cycles - s->forced;
	s->heap_objects = m->heap_alloc;
	s->heap_unused = m->heap_inuse - m->heap_alloc;
	s->heap_free = m->heap_idle - m->heap_released;
	s->heap_released = m->heap_released;
	s->heap_stacks = m->stack_sys;
	s->mcache_inuse = m->mcache_inuse;
	s->mcache_free = m->mcache_sys - m->mcache_inuse;
	s->mspan_inuse = m->mspan_inuse;
	s->mspan_free = m->mspan_sys - m->mspan_inuse;
	s->meta_other = m->gc_sys;
	s->other = m->other_sys;
	s->total = m->sys;
}

static double seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

static void collector(sample *s, const rt_gc_figures *g)
{
	s->percent = (uint64_t)(int64_t)g->percent; /* off: Go's, the largest */
	s->limit = g->limit;
	s->limited = g->limited;
	s->peak = g->peak;
	s->live = g->live;
	s->scan_globals = g->scan_globals;
	s->scan_heap = g->scan_heap;
	s->scan_stack = g->scan_stack;
	s->scan_total = g->scan_globals + g->scan_heap + g->scan_stack;
	s->assist = seconds(g->assists);
	s->dedicated = seconds(g->workers);
	s->idle = seconds(g->idle);
	s->pause = seconds(g->pauses);
	s->gc_total = s->assist + s->dedicated + s->idle + s->pause;
	s->scav_assist = seconds(g->giving_now);
	s->scav_background = seconds(g->giving);
	s->scav_total = s->scav_assist + s->scav_background;
}

/* Blocks that tiny objects share are objects here; the tiny ones are counted apart. */
static void counts_of(sample *s, const rt_memtotals *t)
{
	s->objects = *t;
	s->tiny = t->tiny;
	s->allocs_bytes = rt_memtotals_allocated(t);
	s->frees_bytes = rt_memtotals_freed(t);
	s->allocs = rt_memtotals_mallocs(t) - t->tiny;
	s->frees = rt_memtotals_frees(t) - t->tiny;
	s->n_objects = s->allocs - s->frees;
}

/* Apart: the records are large for a goroutine's stack. */
static RT_NOINLINE void take(gort_runtime *rt, sample *s)
{
	gort_mem_stats m;
	rt_gc_figures g;
	bool aside = rt_look_enter(rt, "gort_metrics_read");

	rt_stop_world(rt, RT_STW_WATCH);
	rt_gc_stats(rt, &m);
	rt_gc_figures_read(rt, &g);
	rt_start_world(rt);
	rt_look_leave(aside);
	memory(s, &m);
	collector(s, &g);
	counts_of(s, &g.objects);
}

/* ---- The table -------------------------------------------------------------------------------- */

static const row table[] = {
#define ROW(name, kind, cumulative, text, ...) { { (name), (text), GORT_METRIC_##kind, (cumulative), __VA_ARGS__ },
#define NUMBER(name, text, fn) ROW(name, UINT64, false, text, 0, NULL) .number = (fn) },
#define TIMES(name, text, fn) ROW(name, HISTOGRAM, true, text, RT_HIST_BUCKETS, rt_hist_bounds) .times = (fn) },
#define SIZES(name, text, fn) ROW(name, HISTOGRAM, true, text, RT_NCLASS, rt_class_bounds) .sizes = (fn) },
#define NOW(name, text, field) ROW(name, UINT64, false, text, 0, NULL) .at = offsetof(sample, field) },
#define SUM(name, text, field) ROW(name, UINT64, true, text, 0, NULL) .at = offsetof(sample, field) },
#define CPU(name, text, field) ROW(name, FLOAT64, true, text, 0, NULL) .at = offsetof(sample, field) },
#include "core/watch/metric.def"
#undef CPU
#undef SUM
#undef NOW
#undef SIZES
#undef TIMES
#undef NUMBER
#undef ROW
};
_Static_assert(offsetof(sample, objects) == 0, "a row whose `at` is 0 has a function");

GORT_API const gort_metric_desc *gort_metric_at(size_t i)
{
	return i < RT_NELEM(table) ? &table[i].desc : NULL;
}

static const row *find(const char *name)
{
	for (size_t i = 0; i < RT_NELEM(table); i++)
		if (name != NULL && strcmp(table[i].desc.name, name) == 0)
			return &table[i];
	return NULL;
}

static bool sampled(const row *r)
{
	return r->number == NULL && r->times == NULL;
}

static void read_one(gort_runtime *rt, gort_metric *m, const row *r, const sample *s)
{
	const char *at = (const char *)s + r->at;

	m->kind = r->desc.kind;
	if (r->number != NULL) {
		m->value.u64 = r->number(rt);
	} else if (r->desc.kind == GORT_METRIC_UINT64) {
		memcpy(&m->value.u64, at, sizeof m->value.u64);
	} else if (r->desc.kind == GORT_METRIC_FLOAT64) {
		memcpy(&m->value.f64, at, sizeof m->value.f64);
	} else if (m->value.counts != NULL) {
		memset(m->value.counts, 0, r->desc.nbuckets * sizeof m->value.counts[0]);
		if (r->times != NULL)
			r->times(rt, m->value.counts);
		else
			r->sizes(s, m->value.counts);
	}
}

/* Apart, too. */
static RT_NOINLINE void read_sampled(gort_runtime *rt, gort_metric *metrics, size_t n)
{
	sample s;

	take(rt, &s);
	for (size_t i = 0; i < n; i++) {
		const row *r = find(metrics[i].name);

		if (r != NULL && sampled(r))
			read_one(rt, &metrics[i], r, &s);
	}
}

GORT_API size_t gort_metrics_read(gort_runtime *rt, gort_metric *metrics, size_t n)
{
	bool alive = rt_runtime_alive(rt) == 0, stop = false;
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		const row *r = alive ? find(metrics[i].name) : NULL;

		metrics[i].kind = 0;
		known += r != NULL;
		if (r != NULL && sampled(r))
			stop = true;
		else if (r != NULL)
			read_one(rt, &metrics[i], r, NULL);
	}
	if (stop)
		read_sampled(rt, metrics, n);
	return known;
}
