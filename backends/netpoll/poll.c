/* poll.c: POSIX, where there is nothing better. What is armed is put together anew for each wait.
 *
 * The table has a slot for each open descriptor, under one lock. A wait copies the armed ones into an array of its own,
 * lets go of the lock and polls; what is armed meanwhile wakes it by a pipe, and it begins again. A look does the same
 * under the lock, without waiting. What is ready is disarmed, if its slot still has the tag that was copied: else it
 * was closed in between, and the number may be another file's by now.
 *
 * Memory comes in `open` alone, which can say that there is none: for each growth of the table also the next array of
 * whoever waits (`spare`), which that one takes when it is its turn.
 *
 * Each wait costs as much as there are armed descriptors: some hundred are well served. Rejected: to leave what is not
 * armed in the array with a negative number (as many steps, and the array changes under who waits).
 */
#include "backends/netpoll/netpoll.h"

#include "backends/netpoll/park.h"
#include "core/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST = 64, NONE = -1 };
#define MS INT64_C(1000000)

const char be_netpoll_name[] = "poll";

typedef struct slot {
	uint64_t tag;
	int fd;
	uint32_t armed; /* BE_POLL_* */
	int32_t next;   /* of those that are free */
	uint32_t unused;
} slot;

typedef struct array { /* for one poll: the pipe, then what is armed */
	uint32_t cap, n;
	struct pollfd *fds;
	uint64_t *tags;
	uint32_t *slots;
} array;

typedef struct table {
	rt_mutex lock; /* rank netpoll */
	/* guarded by lock */
	slot *slots;
	uint32_t cap, used; /* used: slots that ever were */
	int32_t free;
	array spare, looks;
	bool polls;         /* somebody waits, and has not been woken for what was armed since */
	/* set once */
	int wake[2];
	array mine;         /* who waits */
} table;

static table *table_of(const be_netpoll *np)
{
	return (table *)np->opaque[0]; /* NOLINT: an address is what it holds */
}

static void *pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

static size_t array_bytes(uint32_t cap)
{
	return (size_t)cap * (sizeof(struct pollfd) + sizeof(uint64_t) + sizeof(uint32_t));
}

static bool array_make(array *a, uint32_t cap)
{
	char *p = pages(array_bytes(cap));

	if (p == NULL)
		return false;
	*a = (array){ .cap = cap, .tags = (uint64_t *)(void *)p };
	a->fds = (struct pollfd *)(void *)(p + cap * sizeof(uint64_t));
	a->slots = (uint32_t *)(void *)(p + cap * (sizeof(uint64_t) + sizeof(struct pollfd)));
	return true;
}

static void array_free(array *a)
{
	if (a->cap > 0)
		munmap(a->tags, array_bytes(a->cap));
	*a = (array){0};
}

/* Room for cap slots, and for polls of as many. */
static bool grow(table *t, uint32_t cap)
{
	slot *slots = pages(cap * sizeof *slots);
	array spare = {0}, looks = {0};

	if (slots == NULL || !array_make(&spare, cap + 1) || !array_make(&looks, cap + 1)) {
		array_free(&spare);
		if (slots != NULL)
			munmap(slots, cap * sizeof *slots);
		return false;
	}
	if (t->used > 0)
		memcpy(slots, t->slots, t->used * sizeof *slots);
	if (t->cap > 0)
		munmap(t->slots, t->cap * sizeof *slots);
	array_free(&t->spare);
	array_free(&t->looks);
	t->slots = slots;
	t->cap = cap;
	t->spare = spare;
	t->looks = looks;
	return true;
}

/* ---- Life ------------------------------------------------------------------------------------------ */

int be_netpoll_init(be_netpoll *np)
{
	*np = (be_netpoll){0};
	return 0;
}

static void table_free(table *t)
{
	if (t->cap > 0)
		munmap(t->slots, t->cap * sizeof(slot));
	array_free(&t->spare);
	array_free(&t->looks);
	array_free(&t->mine);
	munmap(t, sizeof *t);
}

void be_netpoll_fini(be_netpoll *np)
{
	table *t = table_of(np);

	if (rt_load32_acq(&np->started) == 0)
		return;
	close(t->wake[0]);
	close(t->wake[1]);
	table_free(t);
	rt_store32_rel(&np->started, 0);
}

static int wake_make(int fds[2])
{
	if (pipe(fds) != 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		(void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

int be_netpoll_start(be_netpoll *np)
{
	table *t;
	int r;

	if (rt_load32_acq(&np->started) != 0)
		return 0;
	t = pages(sizeof *t);
	if (t == NULL)
		return -ENOMEM;
	t->free = NONE;
	if (!grow(t, FIRST)) {
		table_free(t);
		return -ENOMEM;
	}
	r = wake_make(t->wake);
	if (r != 0) {
		table_free(t);
		return r;
	}
	np->opaque[0] = (uintptr_t)t;
	rt_store32_rel(&np->started, 1); /* pairs with the acquire in be_netpoll_wait */
	be_netpoll_break(np);
	return 0;
}

/* ---- Descriptors ----------------------------------------------------------------------------------- */

/* As epoll: what is always ready is not watched. */
static int pollable(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	off_t at;

	if (flags < 0)
		return -errno;
	at = lseek(fd, 0, SEEK_CUR);
	return at < 0 && errno == ESPIPE ? 0 : -EPERM;
}

static void wake(const table *t)
{
	while (write(t->wake[1], "", 1) < 0 && errno == EINTR)
		; /* EAGAIN: it is full of wake-ups */
}

int be_netpoll_open(be_netpoll *np, be_pollfd *d)
{
	table *t = table_of(np);
	int r = pollable((int)d->fd);
	int32_t i;

	if (r != 0)
		return r;
	rt_lock(&t->lock, RT_RANK_netpoll);
	if (t->free == NONE && t->used == t->cap && !grow(t, 2 * t->cap)) {
		rt_unlock(&t->lock, RT_RANK_netpoll);
		return -ENOMEM;
	}
	i = t->free;
	if (i != NONE)
		t->free = t->slots[i].next;
	else
		i = (int32_t)t->used++;
	t->slots[i] = (slot){ .tag = d->tag, .fd = (int)d->fd };
	d->opaque[0] = (uintptr_t)i;
	rt_unlock(&t->lock, RT_RANK_netpoll);
	return 0;
}

void be_netpoll_close(be_netpoll *np, be_pollfd *d)
{
	table *t = table_of(np);
	int32_t i = (int32_t)d->opaque[0];
	bool polls;

	rt_lock(&t->lock, RT_RANK_netpoll);
	polls = t->polls && t->slots[i].armed != 0; /* the system keeps what is polled open until the poll is over */
	if (polls)
		t->polls = false;
	t->slots[i] = (slot){ .fd = NONE, .next = t->free };
	t->free = i;
	rt_unlock(&t->lock, RT_RANK_netpoll);
	if (polls)
		wake(t);
}

int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what)
{
	table *t = table_of(np);
	bool polls;

	rt_lock(&t->lock, RT_RANK_netpoll);
	t->slots[d->opaque[0]].armed |= what;
	polls = t->polls;
	t->polls = false;
	rt_unlock(&t->lock, RT_RANK_netpoll);
	if (polls)
		wake(t);
	return 0;
}

/* ---- Waiting --------------------------------------------------------------------------------------- */

/* The lock is held. */
static void collect(const table *t, array *a)
{
	a->n = 1;
	a->fds[0] = (struct pollfd){ .fd = t->wake[0], .events = POLLIN };
	for (uint32_t i = 0; i < t->used; i++) {
		const slot *s = &t->slots[i];

		if (s->armed == 0)
			continue;
		a->fds[a->n] = (struct pollfd){ .fd = s->fd,
			                        .events = (short)((s->armed & BE_POLL_READ ? POLLIN : 0) |
			                                          (s->armed & BE_POLL_WRITE ? POLLOUT : 0)) };
		a->tags[a->n] = s->tag;
		a->slots[a->n++] = i;
	}
}

/* The lock is held. What does not fit stays armed. */
static int report(table *t, const array *a, be_pollevent *events, int max)
{
	int found = 0;

	for (uint32_t i = 1; i < a->n && found < max; i++) {
		slot *s = &t->slots[a->slots[i]];
		short got = a->fds[i].revents;
		uint32_t what = 0;

		if (got == 0 || s->fd == NONE || s->tag != a->tags[i])
			continue;
		if (got & (POLLIN | POLLHUP | POLLERR | POLLNVAL))
			what |= BE_POLL_READ;
		if (got & (POLLOUT | POLLHUP | POLLERR | POLLNVAL))
			what |= BE_POLL_WRITE;
		what &= s->armed;
		s->armed &= ~what;
		if (what != 0)
			events[found++] = (be_pollevent){ s->tag, what };
	}
	return found;
}

static int look(table *t, be_pollevent *events, int max)
{
	int found = 0;

	rt_lock(&t->lock, RT_RANK_netpoll);
	collect(t, &t->looks);
	t->looks.fds[0].fd = NONE; /* the pipe is the waiter's */
	if (poll(t->looks.fds, t->looks.n, 0) > 0)
		found = report(t, &t->looks, events, max);
	rt_unlock(&t->lock, RT_RANK_netpoll);
	return found;
}

static int milliseconds(int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : ns / MS + (ns % MS != 0);

	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void drain(const table *t)
{
	char buf[64];
	ssize_t n;

	do
		n = read(t->wake[0], buf, sizeof buf);
	while (n == (ssize_t)sizeof buf || (n < 0 && errno == EINTR));
}

int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns)
{
	table *t;
	int n, found = 0;

	if (rt_load32_acq(&np->started) == 0) {
		if (ns != 0)
			park_wait(np, ns);
		return 0;
	}
	t = table_of(np);
	if (ns == 0 || !park_enter(np, PARK_POLLS))
		return look(t, events, max);
	rt_lock(&t->lock, RT_RANK_netpoll);
	if (t->spare.cap > 0) {
		array_free(&t->mine);
		t->mine = t->spare;
		t->spare = (array){0};
	}
	collect(t, &t->mine);
	t->polls = true;
	rt_unlock(&t->lock, RT_RANK_netpoll);
	n = poll(t->mine.fds, t->mine.n, milliseconds(ns));
	park_leave(np);
	rt_lock(&t->lock, RT_RANK_netpoll);
	t->polls = false;
	if (n > 0)
		found = report(t, &t->mine, events, max);
	rt_unlock(&t->lock, RT_RANK_netpoll);
	if (n > 0 && t->mine.fds[0].revents != 0)
		drain(t);
	return found;
}

void be_netpoll_break(be_netpoll *np)
{
	if (park_break(np))
		wake(table_of(np));
}
