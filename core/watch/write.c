/* write.c: events as text: a line each, or JSON for Chrome's tracer and Perfetto, or a schedule: a line for each event
 * of goroutines, without what differs from run to run though the schedule does not.
 *
 * JSON. A track for each P (process 1), for each thread while it has no P (process 2), and for what
 * stops them all (process 3). A goroutine is a slice on the track of the P that runs it, from
 * GO_START to whatever takes it off; the slice is written when it ends, as one "complete" event, so
 * that a trace that begins in the middle has no half pairs. Who made a goroutine runnable is tied
 * to its next start by a flow arrow. Collections are such slices, too: one that runs when the trace ends lasts until
 * then, one that it has not seen begin from where it begins itself. What the heap holds, and may, are counters. All
 * else is an instant event. Times count from the first event.
 *
 * The numbers of the format: microseconds with a fraction; addresses as strings, since a JSON
 * reader may keep numbers as doubles.
 *
 * State, all on the C heap because the caller may be a goroutine on a small stack: a slot for each
 * P, and an open-addressing table of the goroutines that were made runnable and have not started, or of the addresses
 * that have a number.
 */
#include "core/watch/watch.h"

#include "core/base/attrs.h"
#include "core/base/check.h"
#include "core/base/trace.h"
#include "core/sched/sched.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROCESSORS = 1, THREADS = 2, WORLD = 3 }; /* pids */
enum { WORLD_STOPPED = 1, WORLD_GC = 2 };        /* tids of WORLD */
enum { ROOM = 8192, LINE = 512 };                /* no printf of ours makes more than LINE bytes */

typedef struct track { /* of one P */
	bool named;      /* its name was written */
	bool open;       /* a goroutine runs on it */
	uint64_t goid;
	uint64_t run;    /* how often that one has started */
	uint64_t flow;   /* the arrow that ends at its start; 0 = none */
	int64_t since;
} track;

typedef struct flow { /* goid 0: free */
	uint64_t goid, id; /* in a schedule: an address and its number */
} flow;

struct rt_tracewriter {
	gort_writer fn;
	void *data;
	int (*add)(rt_tracewriter *w, const gort_event *e);
	bool json, schedule;
	uint64_t lost;
	int err; /* the first one; nothing is written after it */
	/* JSON */
	bool begun, comma;
	int64_t origin, last;
	track *tracks;
	size_t ntracks;
	flow *flows;
	size_t nflows, flowcap; /* a power of two, at most half full; or 0 */
	uint64_t naddresses;
	uint64_t flowid;
	bool collects, collected; /* a collection is in progress; one has been seen */
	gort_event collection;    /* its beginning */
	/* output */
	size_t n;
	char room[ROOM];
};

/* ---- Output ---- */

static void flush(rt_tracewriter *w)
{
	if (w->n > 0 && w->err == 0)
		w->err = w->fn(w->data, w->room, w->n);
	w->n = 0;
}

static RT_PRINTF(2, 3) void put(rt_tracewriter *w, const char *format, ...)
{
	va_list ap;
	int n;

	if (ROOM - w->n < LINE)
		flush(w);
	va_start(ap, format);
	n = vsnprintf(w->room + w->n, LINE, format, ap);
	va_end(ap);
	RT_ASSERT(n >= 0 && n < LINE);
	w->n += (size_t)n;
}

/* In quotes; also good for the text format, where a line must stay a line. */
static void put_string(rt_tracewriter *w, const char *text)
{
	char one[RT_JSON_CHAR];

	put(w, "\"");
	while (*text != '\0') {
		text += rt_json_char(one, text);
		put(w, "%s", one);
	}
	put(w, "\"");
}

/* ---- Arguments ---- */

static const char *const labels[][3] = {
	{ NULL },
#define TRACE_EVENT(id, group, name, a, b, c) [GORT_EV_##id] = { a, b, c },
#include "core/base/trace.def"
#undef TRACE_EVENT
};

static const char *label(const gort_event *e, int i)
{
	return e->id < RT_NELEM(labels) ? labels[e->id][i] : NULL;
}

static void put_address_number(rt_tracewriter *w, uint64_t v);

static void put_value(rt_tracewriter *w, char kind, uint64_t v)
{
	const char *reason = NULL;

	if (kind == 'r' && v <= UINT32_MAX)
		reason = rt_waitreason_text((unsigned)v);
	if (reason != NULL)
		put_string(w, reason);
	else if (kind == 'x' && w->schedule)
		put_address_number(w, v);
	else if (kind == 'x')
		put(w, w->json ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, v);
	else
		put(w, "%" PRIu64, v);
}

/* The first `args` of those that the event has, each after `before`. */
static void put_args(rt_tracewriter *w, const gort_event *e, const char *before, int args)
{
	for (int i = 0; i < args; i++) {
		const char *l = label(e, i);

		if (l == NULL)
			break;
		put(w, w->json ? "%s\"%s\":" : "%s%s=", before, l + 2);
		put_value(w, l[0], e->args[i]);
		before = w->json ? "," : " ";
	}
}

static const char *name_of(const gort_event *e)
{
	const char *name = gort_event_name(e->id);

	return name != NULL ? name : "?";
}

/* ---- A line each ---- */

static void put_number(rt_tracewriter *w, char letter, bool known, uint64_t v)
{
	if (known)
		put(w, " %c%" PRIu64, letter, v);
	else
		put(w, " %c-", letter);
}

/* The rest of a line: what happened. */
static int put_what(rt_tracewriter *w, const gort_event *e, int args)
{
	put(w, " %s", name_of(e));
	put_args(w, e, " ", args);
	if (e->text != NULL) {
		put(w, " text=");
		put_string(w, e->text);
	}
	put(w, "\n");
	return 0;
}

static int add_line(rt_tracewriter *w, const gort_event *e)
{
	put(w, "%" PRId64 ".%09" PRId64, e->time / 1000000000, e->time % 1000000000);
	put_number(w, 'p', e->p >= 0, (uint64_t)e->p);
	put_number(w, 'm', e->thread != UINT32_MAX, e->thread);
	put_number(w, 'g', e->goid != 0, e->goid);
	return put_what(w, e, 3);
}

/* ---- JSON ---- */

static void begin_record(rt_tracewriter *w)
{
	put(w, "%s\n{", w->comma ? "," : "");
	w->comma = true;
}

static void put_time(rt_tracewriter *w, const char *key, int64_t ns)
{
	if (ns < 0)
		ns = 0; /* another runtime's clock, behind the first one's */
	put(w, ",\"%s\":%" PRId64 ".%03" PRId64, key, ns / 1000, ns % 1000);
}

/* "name":name,"ph":kind,"pid":...,"tid":...,"ts":... */
static void put_head(rt_tracewriter *w, const char *name, const char *kind, int pid, uint64_t tid,
                     int64_t time)
{
	begin_record(w);
	put(w, "\"name\":");
	put_string(w, name);
	put(w, ",\"ph\":\"%s\",\"pid\":%d,\"tid\":%" PRIu64, kind, pid, tid);
	/* The state of a goroutine in the first snapshot may be a tick older than the origin. */
	put_time(w, "ts", time - w->origin);
}

static void put_process_name(rt_tracewriter *w, int pid, const char *name)
{
	begin_record(w);
	put(w, "\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"args\":{\"name\":\"%s\"}}", pid,
	    name);
}

static void put_track_name(rt_tracewriter *w, int pid, uint64_t tid, const char *name)
{
	begin_record(w);
	put(w, "\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu64
	       ",\"args\":{\"name\":\"%s\"}}", pid, tid, name);
}

static void begin_json(rt_tracewriter *w, int64_t origin)
{
	w->begun = true;
	w->origin = w->last = origin;
	put(w, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":\"%" PRIu64
	       "\",\"origin_ns\":\"%" PRId64 "\"},\"traceEvents\":[", w->lost, origin);
	put_process_name(w, PROCESSORS, "processors");
	put_process_name(w, THREADS, "threads without a processor");
	put_process_name(w, WORLD, "world");
	put_track_name(w, WORLD, WORLD_STOPPED, "stopped");
	put_track_name(w, WORLD, WORLD_GC, "collector");
}

/* The track of P number p; NULL: no memory. */
static track *track_of(rt_tracewriter *w, size_t p)
{
	track *t;

	if (p >= w->ntracks) {
		size_t n = 2 * p + 8;

		t = realloc(w->tracks, n * sizeof *t);
		if (t == NULL)
			return NULL;
		memset(t + w->ntracks, 0, (n - w->ntracks) * sizeof *t);
		w->tracks = t;
		w->ntracks = n;
	}
	t = &w->tracks[p];
	if (!t->named) {
		char name[32];

		t->named = true;
		snprintf(name, sizeof name, "P %zu", p);
		put_track_name(w, PROCESSORS, p, name);
	}
	return t;
}

/* Where goid is, or the free place where it would be. */
static size_t flow_at(const flow *flows, size_t cap, uint64_t goid)
{
	size_t i = (size_t)(goid * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (cap - 1);

	while (flows[i].goid != 0 && flows[i].goid != goid)
		i = (i + 1) & (cap - 1);
	return i;
}

static bool grow_flows(rt_tracewriter *w)
{
	size_t cap = w->flowcap == 0 ? 64 : 2 * w->flowcap;
	flow *flows;

	if (2 * (w->nflows + 1) <= w->flowcap)
		return true;
	flows = calloc(cap, sizeof *flows);
	if (flows == NULL)
		return false;
	for (size_t i = 0; i < w->flowcap; i++)
		if (w->flows[i].goid != 0)
			flows[flow_at(flows, cap, w->flows[i].goid)] = w->flows[i];
	free(w->flows);
	w->flows = flows;
	w->flowcap = cap;
	return true;
}

/* Addresses are numbered as they come up. */
static void put_address_number(rt_tracewriter *w, uint64_t v)
{
	flow *f;

	if (v == 0) {
		put(w, "0");
		return;
	}
	if (!grow_flows(w)) {
		w->err = GORT_ENOMEM;
		return;
	}
	f = &w->flows[flow_at(w->flows, w->flowcap, v)];
	if (f->goid == 0) {
		*f = (flow){ v, ++w->naddresses };
		w->nflows++;
	}
	put(w, "@%" PRIu64, f->id);
}

/* goid was made runnable by the goroutine that runs on track p: an arrow begins here. */
static int flow_begin(rt_tracewriter *w, const gort_event *e, uint64_t goid)
{
	flow *f;

	if (!grow_flows(w))
		return GORT_ENOMEM;
	f = &w->flows[flow_at(w->flows, w->flowcap, goid)];
	if (f->goid == 0)
		w->nflows++;
	*f = (flow){ goid, ++w->flowid };
	put_head(w, "wakes", "s", PROCESSORS, (uint64_t)e->p, e->time);
	put(w, ",\"cat\":\"flow\",\"id\":%" PRIu64 "}", f->id);
	return 0;
}

/* Frees place i; what was pushed past it moves back, so that no search stops too early. */
static void flow_remove(rt_tracewriter *w, size_t i)
{
	size_t mask = w->flowcap - 1;

	w->flows[i].goid = 0;
	w->nflows--;
	for (size_t j = (i + 1) & mask; w->flows[j].goid != 0; j = (j + 1) & mask) {
		flow f = w->flows[j];

		w->flows[j].goid = 0;
		w->flows[flow_at(w->flows, w->flowcap, f.goid)] = f;
	}
}

/* The arrow to goid, which is forgotten; 0: none. */
static uint64_t flow_take(rt_tracewriter *w, uint64_t goid)
{
	uint64_t id;
	size_t i;

	if (w->flowcap == 0)
		return 0;
	i = flow_at(w->flows, w->flowcap, goid);
	if (w->flows[i].goid == 0)
		return 0;
	id = w->flows[i].id;
	flow_remove(w, i);
	return id;
}

static void slice_begin(track *t, const gort_event *e)
{
	t->open = true;
	t->goid = e->goid;
	t->run = e->id == GORT_EV_GO_START ? e->args[0] : t->run;
	t->since = e->time;
	t->flow = 0;
}

/* why: the event that ends it; NULL: the trace ends. */
static void slice_end(rt_tracewriter *w, track *t, int64_t time, const gort_event *why)
{
	char name[32];

	if (!t->open)
		return;
	t->open = false;
	snprintf(name, sizeof name, "G %" PRIu64, t->goid);
	put_head(w, name, "X", PROCESSORS, (uint64_t)(t - w->tracks), t->since);
	put_time(w, "dur", time - t->since);
	put(w, ",\"cat\":\"goroutine\",\"args\":{\"goid\":%" PRIu64 ",\"run\":%" PRIu64
	       ",\"end\":\"%s\"", t->goid, t->run, why != NULL ? name_of(why) : "still running");
	if (why != NULL && why->goid == t->goid)
		put_args(w, why, ",", 3);
	put(w, "}}");
	if (t->flow == 0)
		return;
	/* After the slice in which it ends: readers sort by time and keep the order of equals. */
	put_head(w, "wakes", "f", PROCESSORS, (uint64_t)(t - w->tracks), t->since);
	put(w, ",\"cat\":\"flow\",\"bp\":\"e\",\"id\":%" PRIu64 "}", t->flow);
}

static void instant(rt_tracewriter *w, const gort_event *e)
{
	bool on_p = e->p >= 0;

	put_head(w, e->text != NULL ? e->text : name_of(e), "i", on_p ? PROCESSORS : THREADS,
	         on_p ? (uint64_t)e->p : e->thread, e->time);
	put(w, ",\"s\":\"t\",\"cat\":\"%s\",\"args\":{\"goid\":%" PRIu64 ",\"thread\":%" PRIu32,
	    name_of(e), e->goid, e->thread);
	put_args(w, e, ",", 3);
	put(w, "}}");
}

/* On the collector's track. */
static void world_instant(rt_tracewriter *w, const gort_event *e)
{
	put_head(w, name_of(e), "i", WORLD, WORLD_GC, e->time);
	put(w, ",\"s\":\"t\",\"cat\":\"%s\",\"args\":{", name_of(e));
	put_args(w, e, "", 3);
	put(w, "}}");
}

/* An event of a P. */
static int add_on_track(rt_tracewriter *w, const gort_event *e)
{
	track *t = track_of(w, (size_t)e->p);
	int err = 0;

	if (t == NULL)
		return GORT_ENOMEM;
	switch (e->id) {
	case GORT_EV_GO_START:
		slice_end(w, t, e->time, e); /* only if events are missing */
		slice_begin(t, e);
		t->flow = flow_take(w, e->goid);
		return 0;
	case GORT_EV_GO_END:
	case GORT_EV_GO_YIELD:
	case GORT_EV_GO_BLOCK:
	case GORT_EV_SYSCALL_BEGIN:
		if (t->open && t->goid == e->goid)
			slice_end(w, t, e->time, e);
		else
			instant(w, e);
		return 0;
	case GORT_EV_SYSCALL_END:
		slice_end(w, t, e->time, e);
		slice_begin(t, e);
		return 0;
	case GORT_EV_PROC_STOP:
		slice_end(w, t, e->time, e);
		break;
	case GORT_EV_GO_CREATE:
	case GORT_EV_GO_UNBLOCK:
		if (t->open && e->args[0] != 0)
			err = flow_begin(w, e, e->args[0]);
		break;
	default:
		break;
	}
	if (err == 0)
		instant(w, e);
	return err;
}

/* by: its GC_END; or why it has none. */
static void collection_ends(rt_tracewriter *w, int64_t time, const gort_event *by, const char *why)
{
	int64_t since = w->collects ? w->collection.time : w->origin;

	put_head(w, "collection", "X", WORLD, WORLD_GC, since);
	put_time(w, "dur", time - since);
	put(w, ",\"args\":{\"end\":\"%s\"", why);
	put_args(w, by != NULL ? by : &w->collection, ",", 3);
	if (by != NULL && w->collects)
		put(w, ",\"trigger\":%" PRIu64, w->collection.args[1]);
	put(w, "}}");
	w->collects = false;
}

static void add_gc(rt_tracewriter *w, const gort_event *e)
{
	if (e->id == GORT_EV_GC_BEGIN) {
		if (w->collects) /* events are missing, or another runtime reports, too */
			collection_ends(w, e->time, NULL, "unknown");
		w->collects = true;
		w->collection = *e;
	} else if (w->collects || !w->collected) {
		collection_ends(w, e->time, e, name_of(e));
	} else { /* nobody knows when it has begun */
		world_instant(w, e);
	}
	w->collected = true;
}

static void add_heap(rt_tracewriter *w, const gort_event *e)
{
	put_head(w, name_of(e), "C", WORLD, 0, e->time);
	put(w, ",\"args\":{");
	put_args(w, e, "", 3);
	put(w, "}}");
}

/* The stop is known when it is over: STW_END says how long it took. */
static void add_stopped(rt_tracewriter *w, const gort_event *e)
{
	int64_t lasted = (int64_t)(e->args[0] + e->args[1]);

	if (lasted < 0 || lasted > e->time - w->origin)
		lasted = e->time > w->origin ? e->time - w->origin : 0; /* it began before the trace */
	put_head(w, "stop the world", "X", WORLD, WORLD_STOPPED, e->time - lasted);
	put_time(w, "dur", lasted);
	put(w, ",\"args\":{");
	put_args(w, e, "", 3);
	put(w, "}}");
}

static int add_json(rt_tracewriter *w, const gort_event *e)
{
	if (!w->begun)
		begin_json(w, e->time);
	w->last = e->time;
	if (e->id == GORT_EV_GC_BEGIN || e->id == GORT_EV_GC_END)
		add_gc(w, e);
	else if (e->id == GORT_EV_MARK_TERM)
		world_instant(w, e);
	else if (e->id == GORT_EV_HEAP_LIVE || e->id == GORT_EV_HEAP_GOAL)
		add_heap(w, e);
	else if (e->id == GORT_EV_STW_END)
		add_stopped(w, e);
	else if (e->p >= 0)
		return add_on_track(w, e);
	else
		instant(w, e);
	return 0;
}

static void end_json(rt_tracewriter *w)
{
	if (!w->begun)
		begin_json(w, 0);
	for (size_t p = 0; p < w->ntracks; p++)
		slice_end(w, &w->tracks[p], w->last, NULL);
	if (w->collects)
		collection_ends(w, w->last, NULL, "still running");
	put(w, "\n]}\n");
}

/* ---- A schedule ---- */

/* Threads and Ps come and go as the system likes, and the collector as the heap does. */
static bool of_schedule(const gort_event *e)
{
	const unsigned groups = GORT_TRACE_SCHED | GORT_TRACE_SYNC | GORT_TRACE_TIMER | GORT_TRACE_USER;
	bool acts = e->id == GORT_EV_GO_CREATE || e->id == GORT_EV_GO_UNBLOCK;

	return (rt_trace_group(e->id) & groups) != 0 && e->id != GORT_EV_PROC_START &&
	       e->id != GORT_EV_PROC_STOP && e->id != GORT_EV_STEAL && e->goid < RT_SYSTEM_GOID &&
	       (!acts || e->args[0] < RT_SYSTEM_GOID);
}

/* The runtime interrupts a goroutine; that it goes on is no part of the schedule either. */
#define SILENT (UINT64_C(1) << 63) /* | goid, among the addresses: its next start is not told */

static bool interrupted(const gort_event *e)
{
	return (e->id == GORT_EV_GO_YIELD && e->args[0] == 2) ||
	       (e->id == GORT_EV_GO_BLOCK &&
	        (e->args[0] == RT_WAIT_GC_CYCLE || e->args[0] == RT_WAIT_GC_ASSIST_WAIT));
}

static int silence(rt_tracewriter *w, uint64_t goid)
{
	flow *f;

	if (!grow_flows(w))
		return GORT_ENOMEM;
	f = &w->flows[flow_at(w->flows, w->flowcap, SILENT | goid)];
	w->nflows += f->goid == 0;
	*f = (flow){ SILENT | goid, 1 };
	return 0;
}

static int add_to_schedule(rt_tracewriter *w, const gort_event *e)
{
	if (!of_schedule(e))
		return 0;
	if (interrupted(e))
		return silence(w, e->goid);
	if (e->id == GORT_EV_GO_START && flow_take(w, SILENT | e->goid) != 0)
		return 0;
	put(w, "g%" PRIu64, e->goid);
	/* How often it has started counts interruptions; a timer on a stack has an address that others had. */
	return put_what(w, e, e->id == GORT_EV_GO_START ? 0 : e->id == GORT_EV_TIMER ? 1 : 3);
}

/* ---- The writer ---- */

rt_tracewriter *rt_tracewriter_new(int format, gort_writer fn, void *data, uint64_t lost)
{
	rt_tracewriter *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->data = data;
	w->lost = lost;
	w->json = format == GORT_TRACE_CHROME;
	w->schedule = format == GORT_TRACE_SCHEDULE;
	w->add = w->json ? add_json : w->schedule ? add_to_schedule : add_line;
	return w;
}

int rt_tracewriter_add(rt_tracewriter *w, const gort_event *events, size_t n)
{
	for (size_t i = 0; i < n && w->err == 0; i++) {
		int err = w->add(w, &events[i]);

		if (w->err == 0)
			w->err = err;
	}
	return w->err;
}

int rt_tracewriter_end(rt_tracewriter *w)
{
	if (w->json)
		end_json(w);
	else if (w->lost > 0) /* also in a schedule, which is none then */
		put(w, "# %" PRIu64 " events lost\n", w->lost);
	flush(w);
	return w->err;
}

void rt_tracewriter_free(rt_tracewriter *w)
{
	free(w->tracks);
	free(w->flows);
	free(w);
}
