/* fixalloc.c: records of one size. What is promised stands in fixalloc.h.
 *
 * Chunks come from the arena slot: 64 KiB first, then as much as there is already, up to 2 MiB, so
 * that a runtime with ten goroutines stays small and one with a million asks the system seldom.
 * Chunks of 2 MiB are aligned and may be huge pages: a million records in queues are a miss of the
 * address translation each. The head of a chunk links it to the others and keeps its size; records
 * follow, bumped off until the chunk is used up. Freed records form a list, last in first out,
 * through their first words.
 *
 * Rejected: giving empty chunks back (each record would need its chunk's counter, and holders of
 * stale pointers, as in lock-free lists, rely on memory that keeps its type).
 */
#include "core/alloc/fixalloc.h"

#include "backends/arena/arena.h"
#include "core/base/region.h"
#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { FIRST_CHUNK = 64 << 10, MAX_CHUNK = 2 << 20 /* a huge page on most machines */, ALIGN = 16 };
enum { SHARE = 4096 }; /* of the largest reservation: 256 MiB of a terabyte */

struct chunk {
	struct chunk *next;
	size_t size;
	char pad[RT_CACHELINE -
	         2 * sizeof(size_t)]; /* records of 64 bytes lie on lines of their own */
};

_Static_assert(sizeof(struct chunk) == RT_CACHELINE, "the pad counts two words");

void rt_fixalloc_init(rt_fixalloc *f, size_t size, rt_debugvars *debug)
{
	RT_ASSERT(size > 0 && size <= FIRST_CHUNK);
	memset(f, 0, sizeof *f);
	f->size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	f->debug = debug;
}

/* A system may place one chunk terabytes away from the next, when stacks or the heap have reserved what is between. */
void rt_fixalloc_together(rt_fixalloc *f)
{
	size_t size = be_arena_query()->max_reserve / SHARE;
	rt_region_done done = { .layout = RT_LAYOUT_NO_GUARDS };

	if (size < 2 * (size_t)MAX_CHUNK)
		return;
	size -= size % MAX_CHUNK;
	f->room = rt_region_reserve_done(size, MAX_CHUNK, &done); /* refused: then they lie where they lie */
	f->roomsize = f->room != NULL ? size : 0;
	f->roomready = done.committed;
}

static bool in_room(const rt_fixalloc *f, const void *p)
{
	return (uintptr_t)p - (uintptr_t)f->room < f->roomsize;
}

/* written: bytes; above was nothing. */
static void chunk_release(struct chunk *c, size_t size, size_t written)
{
	if (size < MAX_CHUNK)
		rt_region_free_used(c, size, written);
	else
		rt_region_release(c, size);
}

/* Only the newest is not used up. */
static size_t written_of(const rt_fixalloc *f, const struct chunk *c)
{
	return c == f->chunks ? (size_t)(f->bump - (const char *)c) : c->size;
}

void rt_fixalloc_fini(rt_fixalloc *f)
{
	struct chunk *c = f->chunks;
	rt_region_done done = { RT_LAYOUT_NO_GUARDS, f->roomready, 0, f->roomused };

	if (c != NULL && in_room(f, c))
		done.written = (size_t)(f->bump - f->room);
	while (c != NULL) {
		struct chunk *next = c->next;

		if (!in_room(f, c))
			chunk_release(c, c->size, written_of(f, c));
		c = next;
	}
	if (f->room != NULL)
		rt_region_release_done(f->room, f->roomsize, &done);
	memset(f, 0, sizeof *f);
}

static bool refused(const rt_fixalloc *f, const char *what)
{
	return f->debug != NULL && (rt_oom_now(f->debug) || rt_fail_now(f->debug, what));
}

static struct chunk *from_room(rt_fixalloc *f, size_t size)
{
	size_t at = f->roomused;

	if (size == MAX_CHUNK)
		at = (at + MAX_CHUNK - 1) / MAX_CHUNK * MAX_CHUNK;
	if (at + size > f->roomsize)
		return NULL;
	f->roomused = at + size;
	return (struct chunk *)(void *)(f->room + at);
}

/* What lies in the room is committed from its start on, without a gap. */
static bool commit(rt_fixalloc *f, struct chunk *c, size_t size)
{
	size_t at = (size_t)((char *)c - f->room);

	if (!in_room(f, c))
		return be_arena_commit(c, size) == 0;
	if (at + size <= f->roomready)
		return true;
	if (be_arena_commit(c, size) != 0)
		return false;
	if (at <= f->roomready)
		f->roomready = at + size;
	return true;
}

static struct chunk *chunk_small(rt_fixalloc *f, size_t size)
{
	struct chunk *c = refused(f, "commit") ? NULL : rt_region_new(size);

	if (c != NULL)
		c->size = size;
	return c;
}

static struct chunk *chunk_new(rt_fixalloc *f, size_t size)
{
	struct chunk *c;

	if (refused(f, "reserve"))
		return NULL;
	c = from_room(f, size);
	if (c == NULL && size < MAX_CHUNK)
		return chunk_small(f, size);
	if (c == NULL)
		c = rt_region_reserve(NULL, size, size);
	if (c == NULL)
		return NULL;
	if (size == MAX_CHUNK)
		be_arena_huge(c, size);
	if (refused(f, "commit") || !commit(f, c, size)) {
		if (in_room(f, c))
			f->roomused = (size_t)((char *)c - f->room);
		else
			chunk_release(c, size, 0);
		return NULL;
	}
	c->size = size;
	return c;
}

static bool grow_locked(rt_fixalloc *f)
{
	size_t unit = be_arena_query()->granularity, size = f->total;
	struct chunk *c;

	if (size < FIRST_CHUNK)
		size = FIRST_CHUNK;
	if (size > MAX_CHUNK)
		size = MAX_CHUNK;
	if (size < f->size + sizeof *c)
		size = f->size + sizeof *c;
	size = (size + unit - 1) / unit * unit;
	c = chunk_new(f, size);
	if (c == NULL)
		return false;
	c->next = f->chunks;
	f->chunks = c;
	f->bump = (char *)(c + 1);
	f->end = (char *)c + size;
	f->total += size;
	return true;
}

static void *get_locked(rt_fixalloc *f)
{
	void *p = f->free;

	if (p != NULL) {
		f->free = *(void **)p;
	} else {
		if ((size_t)(f->end - f->bump) < f->size && !grow_locked(f))
			return NULL;
		p = f->bump;
		f->bump += f->size;
	}
	f->inuse++;
	return p;
}

void *rt_fixalloc_get(rt_fixalloc *f)
{
	void *p;

	RT_ASSERT(f->size > 0);
	rt_lock(&f->lock, RT_RANK_fixalloc);
	p = get_locked(f);
	rt_unlock(&f->lock, RT_RANK_fixalloc);
	return p;
}

void rt_fixalloc_put(rt_fixalloc *f, void *p)
{
	RT_ASSERT(p != NULL && ((uintptr_t)p & (ALIGN - 1)) == 0);
	rt_lock(&f->lock, RT_RANK_fixalloc);
	RT_ASSERT(f->inuse > 0);
	f->inuse--;
	*(void **)p = f->free;
	f->free = p;
	rt_unlock(&f->lock, RT_RANK_fixalloc);
}
