/* data.c: static data of the program and its libraries as roots (GORT_SCAN_DATA).
 *
 * It is looked up anew in each collection: libraries come and go. Whoever looks waits for a lock of the loader, and a
 * goroutine may have been stopped in place while it holds that, inside dlopen. So neither who has the world stopped
 * may wait for it, nor anybody with a P: one thread without either does, the reader. It marks what it finds, or does
 * with it what else who asks wants: a snapshot of the heap (snapshot.c) asks as the collector `stw` does.
 *
 *   IDLE --ask--> ASKED --lock was had--> IN --go: all is marked--> DONE
 *                   |                      | go: stop
 *                   +------> CANCELED -----+--> IDLE
 *
 * concurrent  The controller asks when the world runs again and marking is on, and lets others run until it is
 *             done; marking cannot end before. When a word is read does not matter: what was overwritten since
 *             the world was stopped, the deletion half of the barrier has seen (gort.h wants gort_store for roots,
 *             too). A library that comes now is empty, and stores into it are seen by the other half.
 * stw         The program needs no barrier, so all must be read while the world is stopped. The controller stops
 *             it, asks, and waits a moment for the reader to have had the lock. If it does not come to that,
 *             somebody who stands has it: the world is started, the reader gets the lock, finds itself canceled
 *             and leaves, and it is tried anew with more patience. A library that a foreign thread loads while the
 *             world is stopped is empty.
 *
 * Rejected: to look before the world stops (a library may come and be filled in between); handles that keep libraries
 * from being unmapped (to give the last one back runs destructors of the program inside the runtime); the list of
 * /proc/self/maps (what the system has named .bss is anybody's); holding the lock while the world is being stopped
 * (musl's fork waits for it with all signals blocked: the stop would never end).
 */
#include "core/gc/gc_impl.h"

#include "backends/data/data.h"
#include "backends/thread/thread.h"

#include <errno.h>

#define PATIENCE (200 * GORT_MICROSECOND) /* doubled by each second try */
enum { DOUBLED_MOST = 9 };

enum { IDLE, ASKED, IN, DONE, CANCELED, ENDING };
enum { WAIT, GO, STOP }; /* rt_datascan.go */

static void set(rt_atomic32 *word, uint32_t v)
{
	rt_xchg32_full(word, v);
	be_thread_wake(word, INT32_MAX);
}

static bool move(rt_atomic32 *word, uint32_t from, uint32_t to)
{
	if (!rt_cas32_full(word, from, to))
		return false;
	be_thread_wake(word, INT32_MAX);
	return true;
}

/* While it is `was`. */
static uint32_t wait_while(rt_atomic32 *word, uint32_t was)
{
	uint32_t now;

	while ((now = rt_load32_acq(word)) == was)
		(void)be_thread_park(word, was, -1);
	return now;
}

/* ---- The reader ------------------------------------------------------------------------------------ */

void rt_data_mark(rt_gc *gc, void *arg, uintptr_t place, const void *from, const void *to)
{
	rt_gcw w = { 0 };
	rt_marker k = { .gc = gc, .w = &w };

	(void)arg, (void)place;
	rt_gc_scan_words(&k, from, to);
	k.globals += (uint64_t)((const char *)to - (const char *)from);
	rt_gc_tell(&k);
	rt_gcw_dispose(&gc->pool, &w); /* for others to go on with */
}

static bool visit(void *arg, uintptr_t place, const void *words, size_t n)
{
	rt_gc *gc = arg;
	rt_datascan *d = &gc->data;
	const char *p = words, *end = p + n;

	(void)move(&d->state, ASKED, IN);
	if (rt_load32_acq(&d->state) != IN)
		return false;
	(void)wait_while(&d->go, WAIT);
	while (p < end && rt_load32_acq(&d->go) == GO) {
		size_t piece = (size_t)(end - p) < RT_ROOT_BLOCK ? (size_t)(end - p) : RT_ROOT_BLOCK;

		d->look(gc, d->arg, place, p, p + piece);
		place += piece;
		p += piece;
	}
	return p == end;
}

static void leave(rt_datascan *d)
{
	bool all = rt_load32_acq(&d->go) != STOP;

	if (all && d->look == rt_data_mark)
		rt_store32_rel(&d->marked, 1);
	/* ASKED: there was nothing to be visited. ENDING stays. */
	if (!move(&d->state, IN, all ? DONE : IDLE) && !move(&d->state, ASKED, DONE))
		(void)move(&d->state, CANCELED, IDLE);
}

static void reader(void *arg)
{
	rt_gc *gc = arg;
	rt_datascan *d = &gc->data;
	uint32_t state;

	while ((state = rt_load32_acq(&d->state)) != ENDING) {
		if (state == ASKED)
			be_data_each(visit, gc);
		if (state == ASKED || state == CANCELED) /* perhaps before it was here */
			leave(d);
		else
			(void)wait_while(&d->state, state);
	}
}

int rt_data_start(gort_runtime *rt)
{
	rt_datascan *d = &rt->gc->data;
	int r;

	if (!(rt->cfg.flags & GORT_SCAN_DATA))
		return 0;
	r = rt_fail_now(&rt->debug, "datareader") ? -EAGAIN : be_thread_start(&d->thread, reader, rt->gc, 0);
	d->on = r == 0;
	return r == 0 ? 0 : r == -ENOMEM ? GORT_ENOMEM : GORT_EOS + r;
}

void rt_data_end(gort_runtime *rt)
{
	rt_datascan *d = &rt->gc->data;

	if (!d->on)
		return;
	set(&d->state, ENDING);
	be_thread_join(&d->thread);
}

/* ---- Who asks: the controller, or who takes a snapshot, with the world stopped all through ---------- */

/* The reader may still wait for the lock in which nobody is interested any more. */
bool rt_data_settled(rt_gc *gc)
{
	uint32_t state = rt_load32_acq(&gc->data.state);

	return state == IDLE || state == DONE;
}

/* It is settled. */
void rt_data_ask(rt_gc *gc, bool go, rt_wordsfn look, void *arg)
{
	RT_ASSERT(rt_data_settled(gc));
	gc->data.look = look;
	gc->data.arg = arg;
	if (go)
		rt_store32_rlx(&gc->data.marked, 0);
	rt_store32_rel(&gc->data.go, go ? GO : WAIT);
	set(&gc->data.state, ASKED);
}

bool rt_data_done(rt_gc *gc)
{
	return rt_load32_acq(&gc->data.marked) != 0;
}

/* World stopped. */
bool rt_data_hold(rt_gc *gc, int try, rt_wordsfn look, void *arg)
{
	rt_datascan *d = &gc->data;
	int64_t patience = PATIENCE << (try / 2 < DOUBLED_MOST ? try / 2 : DOUBLED_MOST);
	int64_t until = be_nanotime() + patience, left;

	if (!rt_data_settled(gc))
		return false;
	rt_data_ask(gc, false, look, arg);
	while (rt_load32_acq(&d->state) == ASKED) {
		left = until - be_nanotime();
		if (left > 0)
			(void)be_thread_park(&d->state, ASKED, left);
		else if (move(&d->state, ASKED, CANCELED))
			return false;
	}
	return true;
}

void rt_data_go(rt_gc *gc)
{
	set(&gc->data.go, GO);
	(void)wait_while(&gc->data.state, IN);
}

/* World stopped. The reader waits for nobody but the loader. */
void rt_data_drop(rt_gc *gc)
{
	rt_datascan *d = &gc->data;

	if (!d->on || move(&d->state, ASKED, CANCELED))
		return;
	set(&d->go, STOP);
	(void)wait_while(&d->state, IN);
}
