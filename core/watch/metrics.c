/* metrics.c: figures by the names of Go's runtime/metrics. A metric is a row of the table; those of rooms that are not
 * there are not listed. Figures of Ps are counted by their owners and added up here, so a sum may miss
 * what happens meanwhile, but never goes back.
 */
#include "core/sched/internal.h"

#include <string.h>

/* ---- Figures ---------------------------------------------------------------------------------- */

static uint64_t gomaxprocs(gort_runtime *rt)
{
	return (uint64_t)rt_gomaxprocs(rt);
}

static uint64_t goroutines(gort_runtime *rt)
{
	int64_t n = rt_g_count(rt);

	return n > 0 ? (uint64_t)n : 0; /* ends may be seen before their beginnings */
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

static void stopping(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.stopping);
}

static void stopped(gort_runtime *rt, uint64_t *counts)
{
	add(counts, &rt->sched.pauses);
}

/* ---- The table -------------------------------------------------------------------------------- */

#define NUMBER(name, text) { (name), (text), GORT_METRIC_UINT64, false, 0, NULL }
#define TIMES(name, text)                                                                          \
	{ (name), (text), GORT_METRIC_HISTOGRAM, true, RT_HIST_BUCKETS, rt_hist_bounds }

static const gort_metric_desc table[] = {
	NUMBER("/sched/gomaxprocs:threads", "GOMAXPROCS: how many threads run goroutines at once."),
	NUMBER("/sched/goroutines:goroutines", "Goroutines that live now."),
	TIMES("/sched/latencies:seconds",
	      "How long goroutines were runnable before they ran; one start in eight is measured."),
	TIMES("/sched/pauses/stopping/other:seconds",
	      "Stops of the world, not the collector's: from the decision until all Ps stood."),
	TIMES("/sched/pauses/total/other:seconds",
	      "Stops of the world, not the collector's: from the decision until the world went on."),
};
static const struct {
	uint64_t (*number)(gort_runtime *rt);
	void (*times)(gort_runtime *rt, uint64_t *counts);
} figure[] = {
	{ .number = gomaxprocs }, { .number = goroutines }, { .times = latencies },
	{ .times = stopping },    { .times = stopped },
};
_Static_assert(RT_NELEM(table) == RT_NELEM(figure), "a figure for each row");

GORT_API const gort_metric_desc *gort_metric_at(size_t i)
{
	return i < RT_NELEM(table) ? &table[i] : NULL;
}

static size_t find(const char *name)
{
	for (size_t i = 0; i < RT_NELEM(table); i++)
		if (name != NULL && strcmp(table[i].name, name) == 0)
			return i;
	return RT_NELEM(table);
}

static void read_one(gort_runtime *rt, gort_metric *m, size_t i)
{
	if (figure[i].number != NULL) {
		m->kind = GORT_METRIC_UINT64;
		m->value.u64 = figure[i].number(rt);
		return;
	}
	m->kind = GORT_METRIC_HISTOGRAM;
	if (m->value.counts == NULL)
		return;
	memset(m->value.counts, 0, RT_HIST_BUCKETS * sizeof m->value.counts[0]);
	figure[i].times(rt, m->value.counts);
}

GORT_API size_t gort_metrics_read(gort_runtime *rt, gort_metric *metrics, size_t n)
{
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		size_t row = find(metrics[i].name);

		metrics[i].kind = 0;
		if (row == RT_NELEM(table))
			continue;
		read_one(rt, &metrics[i], row);
		known++;
	}
	return known;
}
