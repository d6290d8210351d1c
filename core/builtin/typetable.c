/* typetable.c: descriptors are made here, and one serves all that say the same, because equal types have equal
 * pointers.
 *
 * The table is of the process: a tree in which every descriptor is a node. The hash chooses the root, then, two
 * bits for each step, one of four children; a place that is NULL is where a new type goes, by compare-and-swap
 * (release; who goes down reads with acquire). A place that is not NULL never changes again. So nobody waits
 * for anybody: a goroutine may be stopped anywhere in here, a fork leaves nothing half done, and no rule about locks is
 * needed. Whoever loses the race for a place finds there what he has to compare with. The tree has no size: a step
 * more for four times as many types. (Rejected: lists in a table of fixed size, which a program that makes
 * types in a loop fills; a table that grows, for which somebody has to wait.)
 *
 * What is looked up is `like`, a descriptor that its asker has filled in, in his frame; its lists are the
 * asker's. If it is new it is copied with all it holds: the module whose names these are may be unloaded.
 * Components are compared by their pointers. Two named types are the same if name, size, alignment,
 * fields and methods agree; code addresses do not count, for a static function has one in each file.
 *
 * Memory lasts as long as the library. It lies in the library's own image, so that unloading it gives it
 * back; a program with more types than fit there takes the rest from malloc, for good. Rejected: a destructor
 * that frees them. It cannot tell unloading from exit(), and at exit other threads may still run. malloc is
 * called outside of the runtime's locks: a goroutine that was stopped in it may hold its lock.
 */
#include "core/builtin/type_impl.h"

#include "core/base/atomic.h"
#include "core/sched/sched_inline.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory --------------------------------------------------------------------------------- */

enum { ROOM = 256 << 10, LARGE = 8 << 10, ALIGN = 16 };

static _Alignas(ALIGN) char room[ROOM]; /* untouched pages of it cost nothing */
static rt_atomic64 room_used;

/* GODEBUG=oomfail=N of the caller's runtime counts this, too. */
static bool refused(void)
{
	rt_m *mp = rt_hold();
	bool no = mp != NULL && rt_oom_now(&mp->rt->debug);

	rt_unhold(mp);
	return no;
}

/* Zeroed, or NULL. */
static void *take(size_t n)
{
	if (refused())
		return NULL;
	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (n <= LARGE && rt_load64_rlx(&room_used) < ROOM) {
		uint64_t at = rt_add64_full(&room_used, n);

		if (at + n <= ROOM)
			return room + at;
	}
	return calloc(1, n);
}

void rt_type_drop(gort_type *t)
{
	if (t != NULL && ((char *)t < room || (char *)t >= room + ROOM))
		free(t);
}

/* ---- What makes a type ---------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio */
	return h ^ h >> 32;
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = mix(h, (unsigned char)*s);
	return mix(h, 256);
}

/* By its hash, and not by its address: seeded runs of a program hash alike. */
static inline uint64_t mix_type(uint64_t h, const gort_type *t)
{
	return mix(h, t != NULL ? t->hash : 0);
}

/* All there is to know of an array, chan, map, pointer or slice. */
static inline uint64_t mix_simple(int kind, int dir, const gort_type *elem, const gort_type *key, size_t len)
{
	uint64_t parts = (elem != NULL ? elem->hash : 0) | (uint64_t)(key != NULL ? key->hash : 0) << 32;

	return mix(mix((uint64_t)kind << 8 | (uint64_t)dir, parts), len);
}

static uint32_t hash_of(const gort_type *t)
{
	uint64_t h = mix_simple(t->kind, t->dir, t->elem, t->key, t->len);

	if (t->named)
		h = mix_text(mix(h, t->size), t->name);
	for (size_t i = 0; i < t->nfields; i++)
		h = mix_type(mix(mix_text(h, t->fields[i].name), t->fields[i].offset), t->fields[i].type);
	for (size_t i = 0; i < t->nmethods; i++)
		h = mix_type(mix_text(h, t->methods[i].name), t->methods[i].type);
	if (t->kind == GORT_KIND_FUNC)
		h = mix(h, t->nin << 1 | t->variadic);
	for (size_t i = 0; i < t->nin; i++)
		h = mix_type(h, t->in[i]);
	for (size_t i = 0; i < t->nout; i++)
		h = mix_type(h, t->out[i]);
	return (uint32_t)h;
}

static bool same_fields(const gort_type *t, const gort_type *like)
{
	for (size_t i = 0; i < like->nfields; i++)
		if (t->fields[i].type != like->fields[i].type || t->fields[i].offset != like->fields[i].offset ||
		    strcmp(t->fields[i].name, like->fields[i].name) != 0)
			return false;
	return true;
}

static bool same_methods(const gort_type *t, const gort_type *like)
{
	for (size_t i = 0; i < like->nmethods; i++)
		if (t->methods[i].type != like->methods[i].type ||
		    t->methods[i].on_pointer != like->methods[i].on_pointer ||
		    strcmp(t->methods[i].name, like->methods[i].name) != 0)
			return false;
	return true;
}

static bool same_list(const gort_type *const *a, const gort_type *const *b, size_t n)
{
	return n == 0 || memcmp(a, b, n * sizeof *a) == 0;
}

static bool same(const gort_type *t, const gort_type *like)
{
	return t->hash == like->hash && t->kind == like->kind && t->named == like->named &&
	       t->dir == like->dir && t->variadic == like->variadic && t->elem == like->elem &&
	       t->key == like->key && t->size == like->size && t->align == like->align && t->len == like->len &&
	       t->nfields == like->nfields && t->nmethods == like->nmethods && t->nin == like->nin &&
	       t->nout == like->nout && (!like->named || strcmp(t->name, like->name) == 0) &&
	       same_fields(t, like) && same_methods(t, like) && same_list(t->in, like->in, like->nin) &&
	       same_list(t->out, like->out, like->nout);
}

/* ---- Making one ----------------------------------------------------------------------------- */

static size_t text_of(const gort_type *t)
{
	size_t n = (t->named ? strlen(t->name) : rt_type_text(t, NULL)) + 1;

	for (size_t i = 0; i < t->nfields; i++)
		n += strlen(t->fields[i].name) + 1;
	for (size_t i = 0; i < t->nmethods; i++)
		n += strlen(t->methods[i].name) + 1;
	return n;
}

static const char *copy_text(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = memcpy(*at, s, n);

	*at += n;
	return p;
}

static void *copy_list(char **at, const void *list, size_t n)
{
	void *p = *at;

	if (n > 0)
		memcpy(p, list, n);
	*at += n;
	return p;
}

static void copy_name(gort_type *t, char **text)
{
	if (t->named) {
		t->name = copy_text(text, t->name);
	} else {
		size_t n = rt_type_text(t, *text);

		t->name = *text; /* memory was zeroed: the text is ended */
		*text += n + 1;
	}
}

static void list_pointers(const gort_type *t, size_t *ptrs)
{
	for (size_t i = 0; i < t->nfields; i++) {
		const rt_field *f = &t->fields[i];
		const gort_type *ft = f->type;

		for (size_t at = 0, end = rt_type_ptrdata(ft); at < end; at += ft->period)
			for (size_t k = 0; k < ft->nptrs; k++)
				*ptrs++ = f->offset + at + ft->ptrs[k];
	}
}

/* One block: descriptor, lists, text. */
gort_type *rt_type_make(const gort_type *like)
{
	size_t fields = like->nfields * sizeof *like->fields, methods = like->nmethods * sizeof *like->methods,
	       in = like->nin * sizeof *like->in, out = like->nout * sizeof *like->out,
	       ptrs = like->ptrs == NULL ? like->nptrs * sizeof *like->ptrs : 0;
	gort_type *t = take(sizeof *t + fields + methods + in + out + ptrs + text_of(like));
	rt_field *f;
	rt_method *m;
	char *at;

	if (t == NULL)
		return NULL;
	*t = *like;
	at = (char *)(t + 1);
	t->fields = f = copy_list(&at, like->fields, fields);
	t->methods = m = copy_list(&at, like->methods, methods);
	t->in = copy_list(&at, like->in, in);
	t->out = copy_list(&at, like->out, out);
	if (ptrs > 0) {
		t->ptrs = (size_t *)at;
		list_pointers(t, (size_t *)at);
		at += ptrs;
	}
	for (size_t i = 0; i < t->nfields; i++)
		f[i].name = copy_text(&at, f[i].name);
	for (size_t i = 0; i < t->nmethods; i++)
		m[i].name = copy_text(&at, m[i].name);
	copy_name(t, &at);
	t->mask = rt_type_mask(t);
	t->hash = hash_of(t);
	return t;
}

/* ---- The table ------------------------------------------------------------------------------ */

enum { ROOTS = 512 };

static rt_atomicptr roots[ROOTS];
static rt_atomicptr alone; /* a list by child[0]: so that who looks for lost memory finds them */

void rt_type_keep(gort_type *t)
{
	void *head;

	do {
		head = rt_loadptr_rlx(&alone);
		rt_storeptr_rlx(&t->child[0], head);
	} while (!rt_casptr_rel(&alone, head, t));
}

/* The usual call of a constructor, without a descriptor to compare with. */
const gort_type *rt_type_find(int kind, int dir, const gort_type *elem, const gort_type *key, size_t len)
{
	uint32_t h = (uint32_t)mix_simple(kind, dir, elem, key, len), way = h / ROOTS;
	const rt_atomicptr *at = &roots[h % ROOTS];
	const gort_type *t;

	while ((t = rt_loadptr_acq(at)) != NULL) {
		if (t->hash == h && t->kind == kind && t->elem == elem && t->key == key && t->len == len &&
		    t->dir == dir && !t->named)
			return t;
		at = &t->child[way % RT_NELEM(t->child)];
		way /= RT_NELEM(t->child);
	}
	return NULL;
}

const gort_type *rt_type_intern(gort_type *like)
{
	gort_type *t, *mine = NULL;
	uint32_t way;
	rt_atomicptr *at;

	like->hash = hash_of(like);
	at = &roots[like->hash % ROOTS];
	way = like->hash / ROOTS;
	for (;;) {
		t = rt_loadptr_acq(at);
		if (t == NULL) {
			if (mine == NULL)
				mine = rt_type_make(like);
			if (mine == NULL || rt_casptr_rel(at, NULL, mine))
				return mine;
		} else if (same(t, like)) {
			rt_type_drop(mine);
			return t;
		} else { /* bits that have run out are 0: a list */
			at = &t->child[way % RT_NELEM(t->child)];
			way /= RT_NELEM(t->child);
		}
	}
}
