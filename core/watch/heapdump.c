/* heapdump.c: gort_heap_dump: a snapshot of the heap (core/gc/snapshot.h) as text, one JSON object a line.
 *
 * All is in the snapshot before the first byte is written: the writer is the program's, and is called with the world
 * running and nothing held, as any of its functions. It may panic or end its goroutine; then the snapshot goes with
 * the runtime.
 *
 * Lines, in this order; "kind" says which. Numbers are decimal; addresses are below 2^48, so that a reader that keeps
 * numbers as doubles has them exactly.
 *
 *   dump     version, word (bytes of one), page, time_ns (since 1970), stopped_ns (for how long the world stood),
 *            collector, collections, heap_live, heap_goal (bytes, as the collector counts them), heaptypes
 *   type     id (counts from 1), name, size, fields: a list of [name, offset, name of its type]
 *   span     address, pages, class, noscan, size (of an object), objects (that it can hold), used, live, free
 *   root     root ("goroutine", "data", "added", "alarms", "pools", "finalizer", "cleanup", "weak", "due"); of a
 *            goroutine goid, name, status, reason; of data and added address and size; of specials object; pointers, at
 *   object   address, size, type (an id, or null), pointers (addresses of objects), at
 *   end      objects, bytes, pointers, roots, spans, types: how many of each; without this line the dump is cut
 *
 * at[i] is the offset in bytes of the word that holds pointers[i]; of roots only data and added have it. A pointer into
 * an object is told as its address; pointers of an object into itself are left out. */
#include "core/watch/watch.h"

#include "core/alloc/heapbits.h"
#include "core/gc/snapshot.h"
#include "core/sched/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, LINE = 512 };
#define ROOM ((size_t)64 << 10)

typedef struct dump {
	rt_snapshot *sn;
	gort_writer fn;
	void *data;
	int err;               /* the first one; nothing is written after it */
	size_t n, bytes;
	char *room;            /* of `bytes` bytes */
} dump;

static void flush(dump *d)
{
	if (d->n > 0 && d->err == 0)
		d->err = d->fn(d->data, d->room, d->n);
	d->n = 0;
}

static void make_room(dump *d)
{
	if (d->bytes - d->n < LINE)
		flush(d);
}

/* printf takes most of the time of a large dump: what stands in each line goes by these two. */
static void put_text(dump *d, const char *s)
{
	size_t n = strlen(s);

	make_room(d);
	RT_ASSERT(n < LINE);
	memcpy(d->room + d->n, s, n);
	d->n += n;
}

static void put_number(dump *d, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	make_room(d);
	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		d->room[d->n++] = digits[--n];
}

static RT_PRINTF(2, 3) void put(dump *d, const char *format, ...)
{
	va_list ap;
	int n;

	make_room(d);
	va_start(ap, format);
	n = vsnprintf(d->room + d->n, LINE, format, ap);
	va_end(ap);
	RT_ASSERT(n >= 0 && n < LINE);
	d->n += (size_t)n;
}

static void put_string(dump *d, const char *s)
{
	char one[RT_JSON_CHAR];

	put_text(d, "\"");
	while (*s != '\0') {
		s += rt_json_char(one, s);
		put_text(d, one);
	}
	put_text(d, "\"");
}

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

/* ---- Lines ----------------------------------------------------------------------------------------- */

static void put_head(dump *d)
{
	const rt_snapshot *sn = d->sn;

	put(d, "{\"kind\":\"dump\",\"version\":%d,\"word\":%zu,\"page\":%d", VERSION, sizeof(void *), RT_PAGE);
	put(d, ",\"time_ns\":%" PRId64 ",\"stopped_ns\":%" PRId64, sn->time, sn->stopped);
	put(d, ",\"collector\":\"%s\",\"collections\":%" PRIu32, sn->collector, sn->collections);
	put(d, ",\"heap_live\":%" PRIu64 ",\"heap_goal\":", sn->heaplive);
	put(d, sn->goal == UINT64_MAX ? "null" : "%" PRIu64, sn->goal);
	put(d, ",\"heaptypes\":%s}\n", yes(sn->types));
}

static void put_type(dump *d, uint64_t i)
{
	const gort_type *t = *(const gort_type **)rt_segs_at(&d->sn->typelist, i);

	put(d, "{\"kind\":\"type\",\"id\":%" PRIu64 ",\"name\":", i + 1);
	put_string(d, t->name);
	put(d, ",\"size\":%zu,\"fields\":[", t->size);
	for (size_t f = 0; f < t->nfields; f++) {
		const rt_field *field = &t->fields[f];

		put_text(d, f > 0 ? ",[" : "[");
		put_string(d, field->name);
		put(d, ",%zu,", field->offset);
		put_string(d, field->type->name);
		put_text(d, "]");
	}
	put_text(d, "]}\n");
}

static void put_span(dump *d, const rt_snapspan *s)
{
	put(d, "{\"kind\":\"span\",\"address\":%" PRIuPTR ",\"pages\":%zu", s->base, s->npages);
	put(d, ",\"class\":%d", s->spanclass >> 1);
	put(d, ",\"noscan\":%s,\"size\":%zu", yes(rt_spc_noscan(s->spanclass)), s->elemsize);
	put(d, ",\"objects\":%d,\"used\":%" PRIu32 ",\"live\":%" PRIu32 ",\"free\":%" PRIu32 "}\n", s->nelems, s->used,
	    s->live, s->nelems - s->used);
}

static uint64_t address(const rt_snapshot *sn, uint32_t number)
{
	const rt_snapobject *o = rt_segs_at(&sn->objects, number - 1);
	const rt_snapspan *s = rt_segs_at(&sn->spans, o->span);

	return s->base + (uint64_t)o->slot * s->elemsize;
}

/* The n of them from *next on, which goes on behind them. */
static void put_edges(dump *d, const rt_segs *edges, uint64_t *next, uint32_t n, bool places)
{
	put_text(d, ",\"pointers\":[");
	for (uint32_t i = 0; i < n && d->err == 0; i++) {
		put_text(d, i > 0 ? "," : "");
		put_number(d, address(d->sn, ((rt_snapedge *)rt_segs_at(edges, *next + i))->to));
	}
	put_text(d, places ? "],\"at\":[" : "");
	for (uint32_t i = 0; i < n && places && d->err == 0; i++) {
		put_text(d, i > 0 ? "," : "");
		put_number(d, (uint64_t)((rt_snapedge *)rt_segs_at(edges, *next + i))->at * sizeof(void *));
	}
	put_text(d, "]}\n");
	*next += n;
}

static void put_goroutine(dump *d, const rt_snaproot *r)
{
	static const char *const status[] = { [RT_G_RUNNABLE] = "runnable", [RT_G_RUNNING] = "running",
		                              [RT_G_SYSCALL] = "syscall", [RT_G_WAITING] = "waiting" };

	put(d, ",\"goid\":%" PRIu64 ",\"name\":", r->id);
	put_string(d, r->name != 0 ? rt_segs_at(&d->sn->names, r->name - 1) : "");
	put(d, ",\"status\":\"%s\",\"reason\":\"%s\"", r->status < RT_NELEM(status) ? status[r->status] : "",
	    r->status == RT_G_WAITING ? rt_waitreason_text(r->reason) : "");
}

static void put_root(dump *d, const rt_snaproot *r, uint64_t *next)
{
	static const char *const kinds[] = {
		[RT_ROOT_GOROUTINE] = "goroutine", [RT_ROOT_DATA] = "data", [RT_ROOT_ADDED] = "added",
		[RT_ROOT_ALARMS] = "alarms", [RT_ROOT_POOLS] = "pools", [RT_ROOT_FINALIZER] = "finalizer",
		[RT_ROOT_CLEANUP] = "cleanup", [RT_ROOT_WEAK] = "weak", [RT_ROOT_DUE] = "due",
	};
	bool words = r->kind == RT_ROOT_DATA || r->kind == RT_ROOT_ADDED;

	put(d, "{\"kind\":\"root\",\"root\":\"%s\"", kinds[r->kind]);
	if (r->kind == RT_ROOT_GOROUTINE)
		put_goroutine(d, r);
	else if (words)
		put(d, ",\"address\":%" PRIu64 ",\"size\":%" PRIu64, r->id, r->size);
	else if (r->kind == RT_ROOT_FINALIZER || r->kind == RT_ROOT_CLEANUP || r->kind == RT_ROOT_WEAK)
		put(d, ",\"object\":%" PRIu64, r->id);
	put_edges(d, &d->sn->rootedges, next, r->nedges, words);
}

/* Its bytes. */
static size_t put_object(dump *d, uint32_t number, uint64_t *next)
{
	const rt_snapobject *o = rt_segs_at(&d->sn->objects, number - 1);
	size_t size = ((rt_snapspan *)rt_segs_at(&d->sn->spans, o->span))->elemsize;

	put_text(d, "{\"kind\":\"object\",\"address\":");
	put_number(d, address(d->sn, number));
	put_text(d, ",\"size\":");
	put_number(d, size);
	put_text(d, ",\"type\":");
	if (o->type != RT_SNAP_UNTYPED)
		put_number(d, o->type);
	else
		put_text(d, "null");
	put_edges(d, &d->sn->edges, next, o->nedges, true);
	return size;
}

static void put_all(dump *d)
{
	const rt_snapshot *sn = d->sn;
	uint64_t next = 0, bytes = 0, spans = 0;

	put_head(d);
	for (uint64_t i = 0; i < sn->typelist.n && d->err == 0; i++)
		put_type(d, i);
	for (uint64_t i = 0; i < sn->spans.n && d->err == 0; i++) {
		const rt_snapspan *s = rt_segs_at(&sn->spans, i);

		if (s->base != 0) {
			put_span(d, s);
			spans++;
		}
	}
	for (uint64_t i = 0; i < sn->roots.n && d->err == 0; i++)
		put_root(d, rt_segs_at(&sn->roots, i), &next);
	next = 0;
	for (uint64_t i = 0; i < sn->objects.n && d->err == 0; i++)
		bytes += put_object(d, (uint32_t)i + 1, &next);
	put(d, "{\"kind\":\"end\",\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64, sn->objects.n, bytes);
	put(d, ",\"pointers\":%" PRIu64 ",\"roots\":%" PRIu64, sn->edges.n + sn->rootedges.n, sn->roots.n);
	put(d, ",\"spans\":%" PRIu64 ",\"types\":%" PRIu64 "}\n", spans, sn->typelist.n);
	flush(d);
}

GORT_API int gort_heap_dump(gort_runtime *rt, gort_writer write, void *data)
{
	dump d = { .fn = write, .data = data };
	int r = rt_runtime_alive(rt);

	if (r == 0)
		r = rt_snapshot_take(rt, &d.sn, ROOM);
	if (r != 0)
		return r;
	d.room = d.sn->room;
	d.bytes = d.sn->roombytes;
	put_all(&d);
	rt_snapshot_free(d.sn);
	return d.err;
}
