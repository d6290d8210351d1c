/* mark.c: from grey objects to black ones.
 *
 * An object is white while its mark bit is 0, grey when the bit is set and a work buffer holds it,
 * black when it has been scanned. The bit is set by whoever finds it first, so it is queued once.
 * Objects without pointers are black at once.
 *
 * Any word may be asked about: rt_object_find answers only for initialised objects of spans in use.
 * Typed words are asked about in the same way, since a C program may leave in them what it likes.
 *
 * Memory that a word leads to is cold: its entry in the arena's table, the span, the bits, and then the object, each
 * found by the one before. So while the heap is marked, a word waits in a short queue (rt_ways) and goes one step at a
 * time: each step prefetches what the next one reads, STEP words later. Waiting for the four misses one by one was most
 * of marking a large heap. The objects taken from the buffer go through a ring in the same way: their first line and
 * their pointers' bits are prefetched on entry. With nothing else to do the words on their way are finished at once, so
 * that a list of single objects is not slower. A large object is scanned in pieces of 8 KiB, which others may take.
 *
 * Scanning follows the list of offsets of a type for objects above 512 bytes, the bitmap of the
 * span below. What runs concurrently with the program reads words that are being written: each is
 * read once, whole, and whichever value it has is right, since the barrier has queued the other.
 *
 * If there is no memory for a work buffer, the object stays marked and `overflow` is set: the end
 * of marking then looks through the heap for marked objects and scans all of them. Objects with a finalizer, which
 * are scanned without being marked (special.c), are looked at once more for that.
 */
#include "core/gc/gc_impl.h"

enum { RING = 8, STEP = 8, WAYS = 32 /* a power of two above 3 * STEP */ };

/* Word n has taken its first step when word n + STEP was asked about, its second with n + 2 * STEP, its third and last
 * with n + 3 * STEP. */
struct rt_ways {
	struct {
		uintptr_t word;
		union {
			const rt_atomicptr *entry; /* until it was seen */
			rt_span *s;                /* from then on. NULL: it leads to no object */
		};
		uint32_t index;                    /* once it was placed */
		uintptr_t unused;                  /* found by a shift */
	} at[WAYS];
	uint64_t asked; /* 0: no word is on its way */
};

static inline void queue(rt_marker *k, uintptr_t obj)
{
	if (RT_UNLIKELY(!rt_gcw_put(&k->gc->pool, k->w, obj)))
		rt_store32_rel(&k->gc->overflow, 1);
}

static RT_NOINLINE void mark_page(rt_gc *gc, rt_span *s)
{
	rt_page_marked(&gc->heap, s);
}

/* False: it was marked already. Whoever sets the first bit of a word tells of the page: seldom enough. */
static inline bool mark(rt_gc *gc, rt_span *s, uint32_t index)
{
	rt_atomic64 *word = &rt_span_markbits(s)[index / 64];
	uint64_t bit = (uint64_t)1 << (index % 64), old = rt_load64_rlx(word);

	if (old & bit)
		return false;
	rt_or64_full(word, bit);
	if (old == 0)
		mark_page(gc, s);
	return true;
}

static inline RT_ALWAYS_INLINE void grey_object(rt_marker *k, rt_span *s, uint32_t index, uintptr_t obj)
{
	if (RT_UNLIKELY(k->found != NULL)) {
		k->found(k, s, index, obj);
		return;
	}
	if (!mark(k->gc, s, index))
		return;
	k->marked += s->elemsize;
	if (!rt_span_noscan(s)) {
		RT_PREFETCH_R((const void *)obj);
		queue(k, obj);
	}
}

static inline RT_ALWAYS_INLINE void grey(rt_marker *k, uintptr_t word)
{
	rt_span *s;
	uint32_t index;
	uintptr_t obj = rt_object_find(&k->gc->heap, word, &s, &index);

	if (obj != 0)
		grey_object(k, s, index, obj);
}

/* ---- Words on their way ------------------------------------------------------------------------------ */

static inline RT_ALWAYS_INLINE void see(struct rt_ways *y, uint64_t n)
{
	unsigned i = n % WAYS;
	rt_span *s = rt_loadptr_acq(y->at[i].entry);

	y->at[i].s = s;
	RT_PREFETCH_R(s); /* of NULL, too: that does nothing */
}

static inline RT_ALWAYS_INLINE void place(struct rt_ways *y, uint64_t n)
{
	unsigned i = n % WAYS;
	rt_span *s = y->at[i].s;
	uint32_t index;

	if (s == NULL)
		return;
	if (!rt_span_holds(s, y->at[i].word)) {
		y->at[i].s = NULL;
		return;
	}
	y->at[i].index = index = rt_span_index(s, y->at[i].word);
	RT_PREFETCH_W(&rt_span_markbits(s)[index / 64]);
	if (index >= rt_load32_rlx(&s->freeindex))
		RT_PREFETCH_R(&rt_span_allocbits(s)[index / 64]);
}

static inline RT_ALWAYS_INLINE void grey_placed(rt_marker *k, struct rt_ways *y, uint64_t n)
{
	unsigned i = n % WAYS;
	rt_span *s = y->at[i].s;
	uint32_t index = y->at[i].index;

	if (s != NULL && rt_span_allocated(s, index))
		grey_object(k, s, index, (uintptr_t)rt_span_object(s, index));
}

static void finish_ways(rt_marker *k)
{
	struct rt_ways *y = k->ways;
	uint64_t n = y->asked;

	for (uint64_t i = n > STEP ? n - STEP : 0; i < n; i++)
		see(y, i);
	for (uint64_t i = n > 2 * STEP ? n - 2 * STEP : 0; i < n; i++)
		place(y, i);
	for (uint64_t i = n > 3 * STEP ? n - 3 * STEP : 0; i < n; i++)
		grey_placed(k, y, i);
	y->asked = 0;
}

/* As grey, in its own time. */
static inline RT_ALWAYS_INLINE void ask(rt_marker *k, uintptr_t word)
{
	struct rt_ways *y = k->ways;
	const rt_arena *a;
	uint64_t n;

	if (y == NULL) {
		grey(k, word);
		return;
	}
	a = rt_arena_of(&k->gc->heap.map, word);
	if (a == NULL)
		return;
	n = y->asked++;
	y->at[n % WAYS].word = word;
	y->at[n % WAYS].entry = rt_arena_entry(a, word);
	RT_PREFETCH_R(rt_arena_entry(a, word));
	if (RT_LIKELY(n >= 3 * STEP)) {
		see(y, n - STEP);
		place(y, n - 2 * STEP);
		grey_placed(k, y, n - 3 * STEP);
	} else if (n >= 2 * STEP) {
		see(y, n - STEP);
		place(y, n - 2 * STEP);
	} else if (n >= STEP) {
		see(y, n - STEP);
	}
}

void rt_gc_grey(rt_marker *k, uintptr_t word)
{
	grey(k, word);
}

void rt_gc_ask(rt_marker *k, uintptr_t word)
{
	ask(k, word);
}

void rt_gc_many(rt_marker *k, void (*fn)(rt_marker *k, void *arg), void *arg)
{
	struct rt_ways ways;

	ways.asked = 0;
	k->ways = &ways;
	fn(k, arg);
	finish_ways(k);
	k->ways = NULL;
}

void rt_gc_grey_old(rt_marker *k, uintptr_t word, const rt_mcache *mc)
{
	rt_span *s;
	uint32_t index;
	uintptr_t obj = rt_object_find(&k->gc->heap, word, &s, &index);

	if (obj != 0 && !rt_mcache_gave(mc, s, index))
		grey_object(k, s, index, obj);
}

void rt_gc_mark_large(rt_gc *gc, rt_gcp *p, rt_span *s)
{
	(void)mark(gc, s, 0);
	p->mc.blackbytes += s->elemsize;
}

/* ---- Scanning -------------------------------------------------------------------------------------- */

RT_LOOKS_ANYWHERE void rt_gc_scan_words(rt_marker *k, const void *from, const void *to)
{
	uintptr_t at = ((uintptr_t)from + sizeof(void *) - 1) & ~(sizeof(void *) - 1);

	for (; at + sizeof(void *) <= (uintptr_t)to; at += sizeof(void *)) {
		uintptr_t w = rt_gc_word(k->gc, at);

		if (w >= RT_PAGE)
			rt_gc_grey(k, w);
	}
}

/* Pointers of an object lead out of it mostly; those into it need no look. */
static inline bool leads_out(uintptr_t w, uintptr_t obj, size_t size)
{
	return w >= RT_PAGE && w - obj >= size;
}

static inline RT_LOOKS_ANYWHERE void look(rt_marker *k, uintptr_t at, uintptr_t obj, size_t size)
{
	uintptr_t w = rt_gc_word(k->gc, at);

	if (leads_out(w, obj, size))
		ask(k, w);
}

static RT_NOINLINE void scan_small_watched(rt_marker *k, uint64_t bits, uintptr_t obj, size_t size)
{
	for (; bits != 0; bits &= bits - 1)
		look(k, obj + (unsigned)__builtin_ctzll(bits) * sizeof(void *), obj, size);
}

/* Most of marking: all in one function, which keeps what it needs in registers from object to object. A sanitizer
 * leaves alone functions and not parts of them. */
#if RT_ASAN || RT_TSAN
#define INTO_DRAIN
#else
#define INTO_DRAIN inline RT_ALWAYS_INLINE
#endif

static INTO_DRAIN RT_LOOKS_ANYWHERE size_t scan_small(rt_marker *k, const rt_span *s, uintptr_t obj)
{
	const size_t size = s->elemsize;
	uint64_t bits = rt_heapbits_get(s, obj, (unsigned)(size / sizeof(void *)));
	size_t end = bits != 0 ? (64 - (unsigned)__builtin_clzll(bits)) * sizeof(void *) : 0;

	if (RT_UNLIKELY(k->gc->valgrind)) {
		scan_small_watched(k, bits, obj, size);
		return end;
	}
	for (; bits != 0; bits &= bits - 1) {
		uintptr_t w = ((const volatile uintptr_t *)obj)[__builtin_ctzll(bits)];

		if (leads_out(w, obj, size))
			ask(k, w);
	}
	return end;
}

/* The words of [from, to) of an object whose slot holds elements of type t: periods, all alike, to its end. */
static void scan_typed(rt_marker *k, const gort_type *t, uintptr_t obj, size_t size, size_t from, size_t to)
{
	size_t part = from / t->period * t->period;

	for (; part < to; part += t->period) {
		for (size_t i = 0; i < t->nptrs; i++) {
			size_t at = part + t->ptrs[i];

			if (at >= to)
				return;
			if (at >= from)
				look(k, obj + at, obj, size);
		}
	}
}

/* [from, to) of an object above RT_BITMAP_MAX. */
static size_t scan_part(rt_marker *k, uintptr_t obj, size_t size, size_t from, size_t to)
{
	const gort_type *t = rt_object_type(&k->gc->heap, obj);

	if (t == NULL)
		return 0;
	if (to > size)
		to = size;
	if (rt_type_untyped(t))
		for (size_t at = from; at < to; at += sizeof(void *))
			look(k, obj + at, obj, size);
	else if (rt_type_pointers(t)) /* heaptypes=1: there are others */
		scan_typed(k, t, obj, size, from, to);
	return to - from;
}

static RT_NOINLINE size_t scan_whole(rt_marker *k, const rt_span *s, uintptr_t obj)
{
	return s->elemsize <= RT_BITMAP_MAX ? scan_small(k, s, obj) : scan_part(k, obj, s->elemsize, 0, s->elemsize);
}

/* `at` is an object of s, or a piece of one that is larger than a piece. */
static inline RT_ALWAYS_INLINE size_t scan_object(rt_marker *k, const rt_span *s, uintptr_t at)
{
	size_t size = s->elemsize;
	uintptr_t obj;

	if (size <= RT_BITMAP_MAX)
		return scan_small(k, s, at);
	if (size <= RT_OBLET)
		return scan_part(k, at, size, 0, size);
	obj = (uintptr_t)s->base + rt_span_index(s, at) * size;
	if (at == obj)
		for (size_t piece = RT_OBLET; piece < size; piece += RT_OBLET)
			queue(k, obj + piece);
	return scan_part(k, obj, size, at - obj, at - obj + RT_OBLET);
}

void rt_gc_scan_inside(rt_marker *k, rt_span *s, uintptr_t obj)
{
	if (!rt_span_noscan(s))
		k->heap += k->whole ? scan_whole(k, s, obj) : scan_object(k, s, obj);
}

void rt_gc_tell(rt_marker *k)
{
	rt_gc *gc = k->gc;

	if (k->marked != 0)
		rt_add64_full(&gc->marked, k->marked);
	if (k->heap != 0)
		rt_add64_full(&gc->heap_scan, k->heap);
	if (k->stack != 0)
		rt_add64_full(&gc->stack_scan, k->stack);
	if (k->globals != 0)
		rt_add64_full(&gc->globals_scan, k->globals);
	if (k->held != 0)
		rt_add64_full(&gc->stack_held, k->held);
	k->marked = k->heap = k->stack = k->globals = k->held = 0;
}

static uint64_t work_of(const rt_marker *k)
{
	return k->heap + k->stack + k->globals;
}

/* While others have nothing to do they get something from us. */
static void share(rt_marker *k)
{
	rt_gc *gc = k->gc;

	if (rt_workpool_any(&gc->pool))
		return;
	if (rt_load32_rlx(&gc->rt->sched.npidle) > 0 || rt_load32_rlx(&gc->active) > 1 || rt_load32_rlx(&gc->hungry) ||
	    rt_load32_rlx(&gc->together)) {
		rt_store32_rlx(&gc->hungry, 0);
		rt_gcw_balance(&gc->pool, k->w);
	}
}

/* The ring holds objects that were taken from the buffer and are not scanned. */
typedef struct ring {
	struct {
		uintptr_t at;
		rt_span *s;
	} obj[RING];
	unsigned at, n;
} ring;

static uintptr_t next_object(rt_marker *k, ring *r, rt_span **s)
{
	unsigned at;

	while (r->n < RING) {
		uintptr_t obj = rt_gcw_get(&k->gc->pool, k->w);

		if (obj == 0) {
			if (r->n > 0 || k->ways->asked == 0)
				break;
			finish_ways(k);
			continue;
		}
		at = (r->at + r->n++) % RING;
		r->obj[at].at = obj;
		r->obj[at].s = rt_arena_span(rt_arena_of(&k->gc->heap.map, obj), obj);
		RT_PREFETCH_R((const void *)obj);
		if (RT_UNLIKELY(rt_load64_rlx(&r->obj[at].s->mask) == 0) && r->obj[at].s->elemsize <= RT_BITMAP_MAX)
			RT_PREFETCH_R(rt_heapbits_at(r->obj[at].s, obj));
	}
	if (r->n == 0)
		return 0;
	r->n--;
	at = r->at++ % RING;
	*s = r->obj[at].s;
	return r->obj[at].at;
}

uint64_t rt_gc_drain(rt_marker *k, uint64_t budget, bool (*stop)(void *arg), void *arg)
{
	uint64_t done = 0, looked = 0;
	struct rt_ways ways;
	ring r = { .n = 0 };
	rt_span *s;
	uintptr_t obj;

	while (rt_roots_job(k)) {
		done += work_of(k) + 8;
		rt_gc_tell(k);
		if (done >= budget || (stop != NULL && stop(arg)))
			return done;
	}
	RT_ASSERT(k->found == NULL); /* it wants to know where the word was */
	ways.asked = 0;
	k->ways = &ways;
	while ((obj = next_object(k, &r, &s)) != 0) {
		size_t n = scan_object(k, s, obj);

		k->heap += n;
		done += n + 8;
		if (done - looked < RT_GC_CREDIT_SLACK)
			continue;
		looked = done;
		rt_gc_tell(k);
		share(k);
		if (done >= budget || (stop != NULL && stop(arg)))
			break;
	}
	finish_ways(k);
	k->ways = NULL;
	while (r.n > 0) {
		r.n--;
		queue(k, r.obj[r.at++ % RING].at);
	}
	rt_gc_tell(k);
	return done;
}

/* ---- Through the whole heap, world stopped --------------------------------------------------------- */

void rt_gc_each_span(rt_gc *gc, void (*fn)(rt_gc *gc, rt_span *s, void *arg), void *arg)
{
	uint32_t used;

	rt_lock(&gc->heap.spans.lock, RT_RANK_spantable);
	used = gc->heap.spans.used;
	rt_unlock(&gc->heap.spans.lock, RT_RANK_spantable);
	for (uint32_t i = 1; i <= used; i++) {
		rt_span *s = rt_spantable_at(&gc->heap.spans, i);

		if (rt_load32_acq(&s->state) == RT_SPAN_INUSE)
			fn(gc, s, arg);
	}
}

static void scan_marked(rt_gc *gc, rt_span *s, void *arg)
{
	rt_marker *k = arg;
	rt_atomic64 *bits = rt_span_markbits(s);

	if (rt_span_noscan(s))
		return;
	for (unsigned i = 0; i < s->nelems; i++) {
		uintptr_t obj = (uintptr_t)rt_span_object(s, i);

		if (!rt_bit_get(bits, i))
			continue;
		k->from = obj;
		k->fromsize = s->elemsize;
		k->heap += scan_whole(k, s, obj);
		/* At once, or the buffers would be short again. */
		if (k->found == NULL)
			(void)rt_gc_drain(k, UINT64_MAX, NULL, NULL);
	}
}

void rt_gc_each_marked(rt_marker *k)
{
	rt_gc_each_span(k->gc, scan_marked, k);
}

void rt_gc_rescan(rt_marker *k)
{
	rt_gc *gc = k->gc;

	while (rt_load32_acq(&gc->overflow)) {
		rt_store32_rlx(&gc->overflow, 0);
		k->whole = true;
		rt_specials_look(k); /* pieces of an object that is not marked */
		k->whole = false;
		rt_gc_each_marked(k);
	}
}
