/* pthread.c: parking on POSIX mutexes and condition variables: the plain implementation, for systems without a
 * futex. See thread.h for what is promised, posix.c for the rest.
 *
 * A static table of buckets, chosen by the address of the word. A sleeper compares the word under
 * the bucket's mutex, queues a record that lies on its own stack and sleeps on the record's
 * condition variable. A waker takes the mutex, so whoever changed the word before it finds every
 * sleeper that saw the old value in the queue: no wake is lost. It never reads the word, whose memory may be gone.
 *
 * fork(). The child gets a new table: the holders of its mutexes and the sleepers of its queues do not exist there.
 *
 * Rejected: one condition variable for each bucket (every wake would wake strangers); POSIX
 * semaphores (no clock other than the wall's); to take all buckets before a fork and give them back afterwards (the
 * forking thread then waits for malloc's locks with them, whose holder may be a goroutine that was stopped in place
 * and needs a bucket to be woken).
 */
#include "backends/thread/thread.h"

#include "core/base/check.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 256 };

struct sleeper {
	struct sleeper *next;
	rt_atomic32 *word;
	pthread_cond_t cond;
	bool woken;
};

static struct bucket {
	pthread_mutex_t lock;
	struct sleeper *head, **tail; /* FIFO; tail NULL = empty and never used */
} table[BUCKETS] = {
#define B {PTHREAD_MUTEX_INITIALIZER, NULL, NULL}
#define B8 B, B, B, B, B, B, B, B
#define B64 B8, B8, B8, B8, B8, B8, B8, B8
	B64, B64, B64, B64,
};

const char be_thread_name[] = "pthread";

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void must(int err, const char *what)
{
	if (RT_UNLIKELY(err != 0))
		rt_throw(what);
}

static void after_fork_child(void)
{
	static const struct bucket fresh = {PTHREAD_MUTEX_INITIALIZER, NULL, NULL};

	/* Not pthread_mutex_init, which must not be given a mutex in use. */
	for (int i = 0; i < BUCKETS; i++)
		memcpy(&table[i], &fresh, sizeof fresh);
}

static void hook_fork(void)
{
	/* Without memory for it the table works; only a fork at a bad moment would find it locked. */
	(void)pthread_atfork(NULL, NULL, after_fork_child);
}

static struct bucket *bucket_lock(const rt_atomic32 *word)
{
	uint64_t h = (uint64_t)(uintptr_t)word * UINT64_C(0x9e3779b97f4a7c15);
	struct bucket *b = &table[h >> 56];

	_Static_assert(BUCKETS == 1 << (64 - 56), "the upper bits choose");
	must(pthread_once(&once, hook_fork), "park table: once failed");
	must(pthread_mutex_lock(&b->lock), "park table: lock failed");
	if (b->tail == NULL)
		b->tail = &b->head;
	return b;
}

static void bucket_unlock(struct bucket *b)
{
	must(pthread_mutex_unlock(&b->lock), "park table: unlock failed");
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr), "park: no condition attribute");
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "park: no monotonic clock");
	must(pthread_cond_init(cond, &attr), "park: no condition variable");
	pthread_condattr_destroy(&attr);
}

static void remove_locked(struct bucket *b, struct sleeper *s)
{
	struct sleeper **at = &b->head;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (b->tail == &s->next)
		b->tail = at;
}

static struct timespec deadline(int64_t ns)
{
	int64_t now = be_nanotime(), until = ns > INT64_MAX - now ? INT64_MAX : now + ns;

	return (struct timespec){.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
}

static int sleep_locked(struct bucket *b, struct sleeper *s, int64_t ns)
{
	struct timespec until = deadline(ns < 0 ? 0 : ns);

	while (!s->woken) {
		int err = ns < 0 ? pthread_cond_wait(&s->cond, &b->lock)
		                 : pthread_cond_timedwait(&s->cond, &b->lock, &until);

		if (err == ETIMEDOUT && !s->woken) {
			remove_locked(b, s);
			return -ETIMEDOUT;
		}
		if (err != ETIMEDOUT)
			must(err, "park: wait failed");
	}
	return 0;
}

int be_thread_park(rt_atomic32 *word, uint32_t expect, int64_t ns)
{
	struct bucket *b = bucket_lock(word);
	struct sleeper s = {.word = word};
	int saved = errno, r = 0;

	if (rt_load32_acq(word) == expect) {
		cond_init(&s.cond);
		*b->tail = &s;
		b->tail = &s.next;
		r = sleep_locked(b, &s, ns);
		bucket_unlock(b);
		/* The waker signalled under the mutex and is done with the variable. */
		pthread_cond_destroy(&s.cond);
	} else {
		bucket_unlock(b);
	}
	errno = saved;
	return r;
}

void be_thread_wake(rt_atomic32 *word, int n)
{
	struct bucket *b = bucket_lock(word);
	struct sleeper *s, *next;

	for (s = b->head; s != NULL && n > 0; s = next) {
		next = s->next;
		if (s->word != word)
			continue;
		remove_locked(b, s);
		s->woken = true;
		must(pthread_cond_signal(&s->cond), "wake: signal failed");
		n--;
	}
	bucket_unlock(b);
}
