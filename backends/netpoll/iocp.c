/* iocp.c: Windows. Readiness of sockets by a poll of the socket driver (AFD) that completes on a port.
 *
 * The driver behind all sockets has a request "tell me when one of these events is there": it is what select and
 * WSAPoll send. Sent to a handle of the driver that is associated with a completion port it need not be waited for: its
 * result comes to the port. So a port does here what epoll does: any number of sockets, each request one-shot, sent by
 * be_netpoll_arm. The request and its flags are not documented by the system's maker, but have been the same since
 * Windows XP, and the event loops of several languages live on them; wine has them, too.
 *
 * A socket has two requests, one for each direction, which never change while they are under way: arming what is armed
 * already is one failed compare-and-swap. Rejected: one request for both, which has to be cancelled and sent again when
 * the second direction is armed (three calls instead of one, and a state in between that the waiter has to know).
 *
 * Memory. The system writes into a request until it completes, so its record outlives be_netpoll_close: it is counted
 * (one for being open, one for each request under way), cancelled, and goes back to the free list when the last
 * completion was taken from the port. Arm and close of one record exclude each other by its lock, and the record counts
 * its lives: an arm that comes too late does nothing. So no request is ever sent for a number that the system has given
 * to somebody else (and wine's server, which dies of a request that meets the close of its socket, lives). Records live
 * in blocks of pages that are given back by fini. Each block has a driver handle of its own: the system finds a request
 * to cancel by walking all those of a handle, and so that is never a walk over thousands.
 *
 * Breaks are packets without a request. A look that takes one from the port while the break is still pending puts it
 * back for the waiter.
 *
 * Times are rounded up to milliseconds, the grain of the port and of the clock behind it.
 *
 * Rejected: operations that complete (the contract would be one of buffers, which must not move or go while the kernel
 * has them; read and write would have to be emulated over epoll); zero-byte WSARecv (no such thing for writing,
 * accepting and connecting; and it ties the caller's socket to this port for ever); WSAEventSelect (64 objects a
 * thread, and it changes the mode of the socket); WSAPoll (each wait names all sockets, and a break needs a socket of
 * its own; under wine it failed under load).
 */
#include "backends/netpoll/netpoll.h"

#include "backends/netpoll/park.h"
#include "core/base/check.h"
#include "core/base/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <winsock2.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>

enum { ENTRIES = 64, RECORDS = 48, DRAIN_MS = 1000 };
#define MS INT64_C(1000000)

const char be_netpoll_name[] = "iocp";

/* ---- The driver ------------------------------------------------------------------------------------ */

#define AFD_POLL 0x00012024 /* its request */

enum { /* its events */
	AFD_RECEIVE = 0x1,
	AFD_SEND = 0x4,
	AFD_DISCONNECT = 0x8, /* the peer has ended its output */
	AFD_ABORT = 0x10,
	AFD_LOCAL_CLOSE = 0x20,
	AFD_ACCEPT = 0x80,
	AFD_CONNECT_FAIL = 0x100,
	AFD_BOTH = AFD_ABORT | AFD_LOCAL_CLOSE | AFD_CONNECT_FAIL,
	AFD_READ = AFD_RECEIVE | AFD_DISCONNECT | AFD_ACCEPT | AFD_BOTH,
	AFD_WRITE = AFD_SEND | AFD_BOTH,
};

typedef struct afd_poll { /* as it goes in and comes out */
	LARGE_INTEGER timeout;
	ULONG n;
	ULONG exclusive; /* ends other requests for the same socket */
	HANDLE socket;
	ULONG events;
	NTSTATUS status;
} afd_poll;

/* What the system says of its own calls. */
static int code_of(NTSTATUS status)
{
	switch ((ULONG)status) {
	case 0xc0000008: /* STATUS_INVALID_HANDLE */
	case 0xc0000024: /* STATUS_OBJECT_TYPE_MISMATCH: the number is something else's by now */
		return -EBADF;
	case 0xc0000017: /* STATUS_NO_MEMORY */
	case 0xc000009a: /* STATUS_INSUFFICIENT_RESOURCES */
	case 0xc0000044: /* STATUS_QUOTA_EXCEEDED */
		return -ENOMEM;
	case 0xc000011f: /* STATUS_TOO_MANY_OPENED_FILES */
		return -EMFILE;
	default:
		return -EIO;
	}
}

/* A handle of the driver, whose completions come to port. */
static int driver_open(HANDLE port, HANDLE *out)
{
	static WCHAR path[] = L"\\Device\\Afd\\gort"; /* what follows the device is ours to choose */
	UNICODE_STRING name = { sizeof path - sizeof *path, sizeof path, path };
	OBJECT_ATTRIBUTES what;
	IO_STATUS_BLOCK io;
	NTSTATUS status;

	InitializeObjectAttributes(&what, &name, 0, NULL, NULL);
	status = NtCreateFile(out, SYNCHRONIZE, &what, &io, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0,
	                      NULL, 0);
	if (status != 0)
		return code_of(status);
	if (CreateIoCompletionPort(*out, port, 0, 0) == NULL) {
		CloseHandle(*out);
		return -ENOMEM;
	}
	/* Nobody waits for the handle itself. If it fails that costs a little. */
	(void)SetFileCompletionNotificationModes(*out, FILE_SKIP_SET_EVENT_ON_HANDLE);
	return 0;
}

/* ---- Records --------------------------------------------------------------------------------------- */

typedef struct record record;

typedef struct request {
	IO_STATUS_BLOCK io;
	afd_poll poll;
	record *of;
	rt_atomic32 pending; /* 0 -> 1 by arm, 1 -> 0 by who takes its completion */
	uint32_t what;       /* BE_POLL_READ or BE_POLL_WRITE */
} request;

struct record {
	rt_mutex lock; /* rank netpoll */
	/* guarded by lock; tag and socket do not change while a request is under way */
	uint32_t life; /* the number of it */
	uint64_t tag;
	HANDLE socket;
	/* any thread */
	rt_atomic32 closed; /* written under the lock */
	rt_atomic32 refs;
	/* set once */
	HANDLE driver;
	request read, write;
	/* guarded by state.lock while it is free */
	record *next;
};

typedef struct block {
	struct block *next;
	HANDLE driver;
	record records[RECORDS];
} block;

typedef struct state {
	rt_mutex lock; /* rank netpoll */
	/* guarded by lock */
	record *free;
	block *blocks;
	/* set once */
	HANDLE port;
} state;

_Static_assert(sizeof(state) <= sizeof ((be_netpoll *)0)->opaque, "no memory but what the caller has");

static state *state_of(be_netpoll *np)
{
	return (state *)np->opaque;
}

/* The lock is held. Not from the heap: see netpoll.h. */
static int grow(state *st)
{
	block *b = VirtualAlloc(NULL, sizeof *b, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	int err;

	if (b == NULL)
		return -ENOMEM;
	err = driver_open(st->port, &b->driver);
	if (err != 0) {
		VirtualFree(b, 0, MEM_RELEASE);
		return err;
	}
	for (int i = 0; i < RECORDS; i++) {
		record *r = &b->records[i];

		r->driver = b->driver;
		rt_store32_rlx(&r->closed, 1);
		r->read = (request){ .of = r, .what = BE_POLL_READ };
		r->write = (request){ .of = r, .what = BE_POLL_WRITE };
		r->next = st->free;
		st->free = r;
	}
	b->next = st->blocks;
	st->blocks = b;
	return 0;
}

static int record_take(state *st, record **out)
{
	int err;

	rt_lock(&st->lock, RT_RANK_netpoll);
	err = st->free != NULL ? 0 : grow(st);
	if (err == 0) {
		*out = st->free;
		st->free = (*out)->next;
	}
	rt_unlock(&st->lock, RT_RANK_netpoll);
	return err;
}

static void record_release(state *st, record *r)
{
	uint32_t was = rt_add32_full(&r->refs, (uint32_t)-1);

	RT_ASSERT(was > 0);
	if (was != 1)
		return;
	rt_lock(&st->lock, RT_RANK_netpoll);
	r->next = st->free;
	st->free = r;
	rt_unlock(&st->lock, RT_RANK_netpoll);
}

/* ---- Life ------------------------------------------------------------------------------------------ */

int be_netpoll_init(be_netpoll *np)
{
	*np = (be_netpoll){0};
	return 0;
}

int be_netpoll_start(be_netpoll *np)
{
	state *st = state_of(np);
	int err;

	if (rt_load32_acq(&np->started) != 0)
		return 0;
	/* Any number of threads may work on what comes from it: else the system would hold back the waiter while as
	 * many as there are CPUs run that once looked here, whatever they do now. */
	st->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, MAXDWORD);
	if (st->port == NULL)
		return -ENOMEM;
	err = grow(st); /* whether there is such a driver is known now */
	if (err != 0) {
		CloseHandle(st->port);
		return err == -EIO ? -ENOTSUP : err;
	}
	rt_store32_rel(&np->started, 1); /* pairs with the acquire in be_netpoll_wait */
	be_netpoll_break(np);
	return 0;
}

static bool under_way(const record *r)
{
	return rt_load32_acq(&r->read.pending) != 0 || rt_load32_acq(&r->write.pending) != 0;
}

static bool any_under_way(const state *st)
{
	for (const block *b = st->blocks; b != NULL; b = b->next)
		for (int i = 0; i < RECORDS; i++)
			if (under_way(&b->records[i]))
				return true;
	return false;
}

/* Takes what was cancelled from the port. False: something does not come, and the system may yet write to it. */
static bool drain(const state *st)
{
	OVERLAPPED_ENTRY entries[ENTRIES];
	ULONG n;

	while (any_under_way(st)) {
		if (!GetQueuedCompletionStatusEx(st->port, entries, ENTRIES, &n, DRAIN_MS, FALSE))
			return false;
		for (ULONG i = 0; i < n; i++)
			if (entries[i].lpOverlapped != NULL)
				rt_store32_rel(&((request *)(void *)entries[i].lpOverlapped)->pending, 0);
	}
	return true;
}

void be_netpoll_fini(be_netpoll *np)
{
	state *st = state_of(np);
	block *next;

	if (rt_load32_acq(&np->started) == 0)
		return;
	for (block *b = st->blocks; b != NULL; b = b->next)
		CancelIoEx(b->driver, NULL); /* fails if there is nothing */
	if (drain(st)) {
		for (block *b = st->blocks; b != NULL; b = next) {
			next = b->next;
			CloseHandle(b->driver);
			VirtualFree(b, 0, MEM_RELEASE);
		}
		CloseHandle(st->port);
	} /* else all of it stays: better lost than written to when it is somebody else's */
	*np = (be_netpoll){0};
}

/* ---- Descriptors ----------------------------------------------------------------------------------- */

/* 0, -EPERM, -EBADF. */
static int check(SOCKET s)
{
	int type, len = sizeof type;

	if (getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0 || WSAGetLastError() != WSAENOTSOCK)
		return 0; /* whatever it says else, it is a socket */
	SetLastError(0);
	return GetFileType((HANDLE)s) == FILE_TYPE_UNKNOWN && GetLastError() != 0 ? -EBADF : -EPERM;
}

/* The driver knows the socket at the bottom, which layers of other vendors may hide. One that does not answer: the
 * driver will say whether it knows this one. (Wine answers for anything, a socket or not.) */
static HANDLE base_of(SOCKET s)
{
	SOCKET base = s;
	DWORD n;

	if (WSAIoctl(s, SIO_BASE_HANDLE, NULL, 0, &base, sizeof base, &n, NULL, NULL) != 0)
		base = s;
	return (HANDLE)base;
}

int be_netpoll_open(be_netpoll *np, be_pollfd *d)
{
	DWORD error = GetLastError();
	record *r = NULL;
	int err = check((SOCKET)d->fd);

	if (err == 0)
		err = record_take(state_of(np), &r);
	if (err == 0) {
		rt_lock(&r->lock, RT_RANK_netpoll); /* somebody may be about to find that he came too late */
		r->life++;
		r->tag = d->tag;
		r->socket = base_of((SOCKET)d->fd);
		rt_store32_rlx(&r->refs, 1);
		rt_store32_rel(&r->closed, 0);
		d->opaque[0] = (uintptr_t)r;
		d->opaque[1] = r->life;
		rt_unlock(&r->lock, RT_RANK_netpoll);
	}
	SetLastError(error);
	return err;
}

/* One that is not found has just completed; who takes its completion sees `closed`, or reports it once more. */
static void cancel(request *q)
{
	if (rt_load32_acq(&q->pending) != 0)
		CancelIoEx(q->of->driver, (OVERLAPPED *)(void *)&q->io);
}

void be_netpoll_close(be_netpoll *np, be_pollfd *d)
{
	DWORD error = GetLastError();
	record *r = (record *)d->opaque[0];

	rt_lock(&r->lock, RT_RANK_netpoll);
	RT_ASSERT(r->life == d->opaque[1] && rt_load32_rlx(&r->closed) == 0);
	rt_store32_rel(&r->closed, 1);
	cancel(&r->read);
	cancel(&r->write);
	rt_unlock(&r->lock, RT_RANK_netpoll);
	record_release(state_of(np), r);
	SetLastError(error);
}

/* The record is locked, and open. */
static int submit(request *q, ULONG events)
{
	record *r = q->of;
	NTSTATUS status;

	if (!rt_cas32_full(&q->pending, 0, 1))
		return 0; /* under way, or its completion has not been looked at: an event will come */
	rt_add32_full(&r->refs, 1);
	q->poll = (afd_poll){ { .QuadPart = INT64_MAX }, 1, FALSE, r->socket, events, 0 };
	q->io.Status = 0x103; /* STATUS_PENDING */
	status = NtDeviceIoControlFile(r->driver, NULL, NULL, q, &q->io, AFD_POLL, &q->poll, sizeof q->poll, &q->poll,
	                               sizeof q->poll);
	if (!NT_ERROR(status))
		return 0; /* also if it is done already: its packet comes */
	rt_store32_rel(&q->pending, 0);
	rt_add32_full(&r->refs, (uint32_t)-1); /* not the last: it is open */
	return code_of(status);
}

int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what)
{
	DWORD error = GetLastError();
	record *r = (record *)d->opaque[0];
	int err = 0;

	(void)np;
	rt_lock(&r->lock, RT_RANK_netpoll);
	if (r->life == d->opaque[1] && rt_load32_rlx(&r->closed) == 0) {
		if (what & BE_POLL_READ)
			err = submit(&r->read, AFD_READ);
		if (err == 0 && what & BE_POLL_WRITE)
			err = submit(&r->write, AFD_WRITE);
	} /* else it was closed: who did so tells who waits */
	rt_unlock(&r->lock, RT_RANK_netpoll);
	SetLastError(error);
	return err;
}

/* ---- Waiting --------------------------------------------------------------------------------------- */

static DWORD milliseconds(int64_t ns)
{
	int64_t ms = ns / MS + (ns % MS != 0);

	return ns < 0 ? INFINITE : ms < INFINITE ? (DWORD)ms : INFINITE - 1;
}

/* A packet that is lost is a break that is lost: memory of the kernel may be short for a moment. */
static void post_break(const state *st)
{
	while (!PostQueuedCompletionStatus(st->port, 0, 0, NULL)) {
		if (GetLastError() == ERROR_INVALID_HANDLE)
			rt_throw("a break of a netpoll that is gone");
		be_thread_nap(MS);
	}
}

/* What is ready; 0: closed meanwhile. */
static uint32_t complete(state *st, request *q, uint64_t *tag)
{
	record *r = q->of;
	uint32_t what = q->what;

	*tag = r->tag;
	/* One that failed or was cancelled is an event without a reason: the operation itself tells more. */
	if (q->io.Status == 0 && q->poll.n > 0 && (q->poll.events & AFD_BOTH) != 0)
		what = BE_POLL_READ | BE_POLL_WRITE;
	if (rt_load32_acq(&r->closed) != 0)
		what = 0;
	rt_store32_rel(&q->pending, 0); /* from here on it may be armed again */
	record_release(st, r);
	return what;
}

static int take(state *st, be_pollevent *events, int max, DWORD ms, bool *broken)
{
	OVERLAPPED_ENTRY entries[ENTRIES];
	ULONG n = 0;
	int found = 0;

	RT_ASSERT(max > 0);
	if (!GetQueuedCompletionStatusEx(st->port, entries, (ULONG)(max < ENTRIES ? max : ENTRIES), &n, ms, FALSE)) {
		if (GetLastError() != WAIT_TIMEOUT)
			rt_throw("waiting for a completion port failed");
		return 0;
	}
	for (ULONG i = 0; i < n; i++) {
		be_pollevent ev;

		if (entries[i].lpOverlapped == NULL) {
			*broken = true;
			continue;
		}
		ev.what = complete(st, (request *)(void *)entries[i].lpOverlapped, &ev.tag);
		if (ev.what != 0)
			events[found++] = ev;
	}
	return found;
}

int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns)
{
	DWORD error = GetLastError();
	bool broken = false, waits;
	int found;

	if (rt_load32_acq(&np->started) == 0) {
		if (ns != 0)
			park_wait(np, ns);
		return 0;
	}
	waits = ns != 0 && park_enter(np, PARK_POLLS); /* else a break; what there is is reported all the same */
	found = take(state_of(np), events, max, waits ? milliseconds(ns) : 0, &broken);
	if (waits)
		park_leave(np); /* a packet that comes later ends the next wait early */
	else if (ns == 0 && broken && rt_load32_acq(&np->word) == PARK_BREAK)
		post_break(state_of(np)); /* the waiter's, which has not left: it would have consumed the break */
	SetLastError(error);
	return found;
}

void be_netpoll_break(be_netpoll *np)
{
	DWORD error = GetLastError();

	if (park_break(np))
		post_break(state_of(np));
	SetLastError(error);
}
