/* lockrank.h: the order of locks, checked at every acquisition in a debug build (no NDEBUG).
 *
 * Each thread keeps the ranks it holds. Taking a lock whose rank is below one that is held throws
 * "lock order: A taken under B". Same rank is allowed for classes marked so in lockrank.def, and
 * then only by rising address. With NDEBUG all of this is nothing. */
#ifndef CORE_BASE_LOCKRANK_H
#define CORE_BASE_LOCKRANK_H

#include <stdbool.h>

typedef enum rt_lockrank {
#define LOCK_RANK(name, self, what) RT_RANK_##name,
#include "core/base/lockrank.def"
#undef LOCK_RANK
	RT_NRANK
} rt_lockrank;

const char *rt_lockrank_name(rt_lockrank r);

#ifdef NDEBUG
#define rt_lockrank_acquire(r, lock) ((void)(r), (void)(lock))
#define rt_lockrank_release(r, lock) ((void)(r), (void)(lock))
#define rt_lockrank_assert_held(r, lock) ((void)(r), (void)(lock))
#define rt_lockrank_assert_none() ((void)0)
#else
void rt_lockrank_acquire(rt_lockrank r, const void *lock);
void rt_lockrank_release(rt_lockrank r, const void *lock);
void rt_lockrank_assert_held(rt_lockrank r, const void *lock); /* throws if not */
void rt_lockrank_assert_none(void); /* this thread holds none: before it blocks or switches */
#endif

#endif
