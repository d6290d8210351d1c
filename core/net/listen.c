/* listen.c: listeners, and connections to them. */
#include "core/net/conn.h"

#include "backends/io/io.h"
#include "core/gc/gc.h"

#include <errno.h>

enum { ADDRESSES = 16 /* of one name that are tried */ };

struct gort_listener {
	rt_fd *fd;
	gort_conn *spare; /* empty: of an accept that failed, for the next; or NULL */
	be_ioaddr at;
};

/* The number of addresses, or a code. Names are asked for on a thread, and outside the runtime. */
static int resolve(const char *network, const char *address, bool passive, be_ioaddr *out, int n, const char *function)
{
	int r = rt_io_start(rt_self()->rt);

	if (r != 0)
		return r;
	r = be_io_resolve(network, address, passive, false, out, n);
	if (r == -EAGAIN) {
		rt_unpinned(rt_self(), function);
		rt_leave();
		gort_entersyscall();
		r = be_io_resolve(network, address, passive, true, out, n);
		gort_exitsyscall();
		(void)RT_ENTER();
	}
	return r >= 0 ? r : r == -EINVAL ? GORT_EINVAL : rt_io_code(r);
}

/* ---- Listening ------------------------------------------------------------------------------------- */

static int listen_at(gort_listener *l, const be_ioaddr *a)
{
	intptr_t fd = be_io_listen(a);
	int r;

	if (fd < 0)
		return rt_io_code(fd);
	r = be_io_local(fd, &l->at);
	r = r == 0 ? rt_fd_take(l->fd, fd, false, true) : rt_io_code(r);
	if (r != 0) {
		be_io_close(fd, BE_IO_SOCKET);
		be_io_unlink(a);
	}
	return r;
}

static int listen_any(gort_listener **out, const be_ioaddr *list, int n)
{
	gort_listener *l = rt_new_bytes(sizeof *l, false);
	int r = GORT_ENOMEM;

	l->fd = rt_fd_make(l);
	for (int i = 0; i < n && l->fd != NULL; i++) {
		r = listen_at(l, &list[i]);
		if (r == 0) {
			*out = l;
			break;
		}
	}
	return r;
}

GORT_API int gort_listen(gort_listener **out, const char *network, const char *address)
{
	be_ioaddr list[ADDRESSES];
	int n, r;

	*out = NULL;
	(void)RT_ENTER();
	n = resolve(network, address, true, list, ADDRESSES, __func__);
	r = n < 0 ? n : listen_any(out, list, n);
	rt_leave();
	return r;
}

GORT_API int gort_listener_address(gort_listener *l, char *buf, size_t size)
{
	return be_io_format(&l->at, buf, size) == 0 ? 0 : GORT_EINVAL;
}

GORT_API int gort_listener_close(gort_listener *l)
{
	int r;

	(void)RT_ENTER();
	r = rt_fd_close(l->fd);
	if (r == 0)
		be_io_unlink(&l->at);
	RT_KEEP(l);
	rt_leave();
	return r;
}

/* ---- Accepting ------------------------------------------------------------------------------------- */

typedef struct accepted {
	rt_fd *f;
	int r;
} accepted;

/* It is the record's at once: what only this goroutine knows would stay open if it were dropped, as it can be where it
 * gives the listener's turn away. */
static intptr_t do_accept(intptr_t listener, int kind, void *arg)
{
	accepted *a = arg;
	intptr_t fd = be_io_accept(listener);

	(void)kind;
	if (fd < 0)
		return fd;
	a->r = rt_fd_take(a->f, fd, false, true);
	if (a->r != 0)
		be_io_close(fd, BE_IO_SOCKET);
	return 0;
}

static int accept_one(gort_conn **out, gort_listener *l, int64_t deadline, const char *function)
{
	accepted a = {0};
	gort_conn *c;
	int r;

	*out = NULL;
	(void)rt_enter(function);
	c = gort_swap(&l->spare, NULL);
	if (c == NULL)
		c = rt_conn_make();
	if (c == NULL) {
		rt_leave();
		return GORT_ENOMEM;
	}
	a.f = c->fd;
	r = (int)rt_fd_do(l->fd, RT_FD_READ, do_accept, &a, 0, deadline);
	if (r == 0)
		r = a.r;
	if (r == 0)
		*out = c;
	else
		(void)gort_swap(&l->spare, c); /* who asks again and again makes no garbage */
	RT_KEEP(l);
	rt_leave();
	return r;
}

GORT_API int gort_accept(gort_conn **out, gort_listener *l)
{
	return accept_one(out, l, RT_UNTIMED, __func__);
}

GORT_API int gort_accept_until(gort_conn **out, gort_listener *l, int64_t deadline)
{
	return accept_one(out, l, rt_deadline(deadline), __func__);
}

/* ---- Connecting ------------------------------------------------------------------------------------ */

static intptr_t do_connected(intptr_t fd, int kind, void *arg)
{
	(void)kind, (void)arg;
	return be_io_connected(fd);
}

static int dial(gort_conn *c, const be_ioaddr *a, int64_t deadline)
{
	bool pending;
	intptr_t fd = be_io_dial(a, &pending);
	int r;

	if (fd < 0)
		return rt_io_code(fd);
	r = rt_fd_take(c->fd, fd, false, true);
	if (r != 0) {
		be_io_close(fd, BE_IO_SOCKET);
		return r;
	}
	r = pending ? (int)rt_fd_do(c->fd, RT_FD_WRITE, do_connected, NULL, 0, deadline) : 0;
	if (r != 0)
		(void)rt_fd_close(c->fd);
	RT_KEEP(c);
	return r;
}

static int dial_any(gort_conn **out, const char *network, const char *address, int64_t deadline, const char *function)
{
	be_ioaddr list[ADDRESSES];
	gort_conn *c = NULL;
	int n, r;

	*out = NULL;
	(void)rt_enter(function);
	n = resolve(network, address, false, list, ADDRESSES, function);
	r = n < 0 ? n : 0;
	for (int i = 0; i < n; i++) {
		if (c == NULL || !rt_fd_empty(c->fd))
			c = rt_conn_make();
		r = c != NULL ? dial(c, &list[i], deadline) : GORT_ENOMEM;
		if (r == 0)
			*out = c;
		if (r == 0 || r == GORT_ETIMEDOUT || r == GORT_ECANCELED)
			break;
	}
	rt_leave();
	return r;
}

GORT_API int gort_dial(gort_conn **out, const char *network, const char *address)
{
	return dial_any(out, network, address, RT_UNTIMED, __func__);
}

GORT_API int gort_dial_until(gort_conn **out, const char *network, const char *address, int64_t deadline)
{
	return dial_any(out, network, address, rt_deadline(deadline), __func__);
}
