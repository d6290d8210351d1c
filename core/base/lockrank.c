/* lockrank.c: which locks this thread holds, and whether it may take one more. See lockrank.h.
 *
 * Each thread has a small stack of (rank, lock). Order is checked before the lock is taken, so that
 * a wrong order throws where it would otherwise have slept for ever. Classes marked `self` are taken in any
 * number by rising address (a select locks all its channels): beyond MAXSELF they are only
 * counted, because an element of the class that lies in the table already carries the order and the
 * rising addresses were checked for as many as fit. The rest of the table has room for one of every other
 * class, and the order admits no more.
 *
 * Thread-locals are allowed here, for nobody switches goroutines while holding such a lock, and the functions are
 * not inlined, so that no caller can keep the address of the table.
 */
#include "core/base/lockrank.h"

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

static const struct {
	const char *name;
	bool self;
} classes[] = {
#define LOCK_RANK(name, self, what) {#name, self},
#include "core/base/lockrank.def"
#undef LOCK_RANK
};

_Static_assert(sizeof classes / sizeof classes[0] == RT_NRANK, "one row for each rank");

const char *rt_lockrank_name(rt_lockrank r)
{
	return (unsigned)r < RT_NRANK ? classes[r].name : "?";
}

#ifndef NDEBUG

enum { MAXSELF = 32, MAXHELD = RT_NRANK + MAXSELF };

static _Thread_local struct {
	int n, untracked; /* in the table; locks of a self class beyond it */
	struct {
		rt_lockrank rank;
		const void *lock;
	} held[MAXHELD];
	char message[96];
} mine;

static char *append(char *at, const char *end, const char *s)
{
	while (*s != '\0' && at < end)
		*at++ = *s++;
	*at = '\0';
	return at;
}

_Noreturn static void bad_order(rt_lockrank r, const char *how, const char *top)
{
	const char *end = mine.message + sizeof mine.message - 1;
	char *at = append(mine.message, end, "lock order: ");

	at = append(at, end, rt_lockrank_name(r));
	at = append(at, end, how);
	append(at, end, top);
	rt_throw(mine.message);
}

static bool may_follow(rt_lockrank r, const void *lock, int i)
{
	if (mine.held[i].rank != r)
		return mine.held[i].rank < r;
	return classes[r].self && (uintptr_t)mine.held[i].lock < (uintptr_t)lock;
}

RT_NOINLINE void rt_lockrank_acquire(rt_lockrank r, const void *lock)
{
	if ((unsigned)r >= RT_NRANK)
		rt_throw("lock rank out of range");
	for (int i = 0; i < mine.n; i++)
		if (!may_follow(r, lock, i))
			bad_order(r, " taken under ", rt_lockrank_name(mine.held[i].rank));
	if (classes[r].self && mine.n >= MAXSELF) {
		mine.untracked++;
		return;
	}
	RT_ASSERT(mine.n < MAXHELD);
	mine.held[mine.n].rank = r;
	mine.held[mine.n].lock = lock;
	mine.n++;
}

static int find(rt_lockrank r, const void *lock)
{
	int i = mine.n;

	while (--i >= 0)
		if (mine.held[i].rank == r && mine.held[i].lock == lock)
			break;
	return i;
}

RT_NOINLINE void rt_lockrank_release(rt_lockrank r, const void *lock)
{
	int i = find(r, lock);

	if (i < 0) {
		if (mine.untracked == 0 || !classes[r].self)
			rt_throw("lock released that this thread does not hold");
		mine.untracked--;
		return;
	}
	mine.n--;
	for (; i < mine.n; i++)
		mine.held[i] = mine.held[i + 1];
}

RT_NOINLINE void rt_lockrank_assert_held(rt_lockrank r, const void *lock)
{
	if (find(r, lock) < 0 && (mine.untracked == 0 || !classes[r].self))
		rt_throw("lock is not held");
}

RT_NOINLINE void rt_lockrank_assert_none(void)
{
	if (mine.n > 0)
		bad_order(mine.held[mine.n - 1].rank, " held while ", "blocking");
	if (mine.untracked > 0)
		rt_throw("lock order: locks of one class held while blocking");
}

#endif
