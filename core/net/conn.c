/* conn.c: connections and files; and descriptors that are only watched. */
#include "core/net/conn.h"

#include "backends/io/io.h"
#include "core/gc/gc.h"

#include <errno.h>

struct gort_poll { /* as gort_conn */
	rt_fd *fd;
	void *unused;
};

gort_conn *rt_conn_make(void)
{
	gort_conn *c = rt_new_bytes(sizeof *c, true);

	c->fd = rt_fd_make(c);
	return c->fd != NULL ? c : NULL;
}

GORT_API int gort_conn_from(gort_conn **out, intptr_t fd)
{
	gort_conn *c;
	int r;

	*out = NULL;
	(void)RT_ENTER();
	c = rt_conn_make();
	r = c != NULL ? rt_fd_take(c->fd, fd, false, false) : GORT_ENOMEM;
	if (r == 0)
		*out = c;
	rt_leave();
	return r;
}

typedef struct name {
	const char *path, *mode;
} name;

static intptr_t do_open(intptr_t none, int kind, void *arg)
{
	const name *n = arg;

	(void)none, (void)kind;
	return be_io_open(n->path, n->mode);
}

GORT_API int gort_open(gort_conn **out, const char *path, const char *mode)
{
	name n = { path, mode };
	gort_conn *c;
	int r;

	*out = NULL;
	rt_unpinned(RT_ENTER(), __func__);
	r = rt_io_start(rt_self()->rt);
	c = r == 0 ? rt_conn_make() : NULL;
	if (c != NULL)
		r = rt_fd_open(c->fd, do_open, &n);
	else if (r == 0)
		r = GORT_ENOMEM;
	if (r == 0)
		*out = c;
	RT_KEEP(c);
	rt_leave();
	return r == GORT_EOS - EINVAL ? GORT_EINVAL : r; /* no such mode */
}

/* ---- Reading and writing --------------------------------------------------------------------------- */

typedef struct piece {
	char *buf;
	size_t n, done;
} piece;

static intptr_t do_read(intptr_t fd, int kind, void *arg)
{
	const piece *p = arg;

	if (p->n == 0) /* some systems would wait */
		return 0;
	return be_io_read(fd, kind, p->buf, p->n);
}

/* All of it; what was written is not written again after a wait. */
static intptr_t do_write(intptr_t fd, int kind, void *arg)
{
	piece *p = arg;

	while (p->done < p->n) {
		intptr_t r = be_io_write(fd, kind, p->buf + p->done, p->n - p->done);

		if (r <= 0)
			return r < 0 ? r : -EIO; /* nothing, and no reason: never of what can be waited for */
		p->done += (size_t)r;
	}
	return (intptr_t)p->n;
}

static intptr_t transfer(gort_conn *c, int d, void *buf, size_t n, int64_t deadline, const char *function)
{
	piece p = { .buf = buf, .n = n < INTPTR_MAX ? n : INTPTR_MAX };
	intptr_t r;

	(void)rt_enter(function);
	r = rt_fd_do(c->fd, d, d == RT_FD_READ ? do_read : do_write, &p, d == RT_FD_READ ? p.n : 0, deadline);
	RT_KEEP(c);
	rt_leave();
	return r;
}

GORT_API intptr_t gort_conn_read(gort_conn *c, void *buf, size_t n)
{
	return transfer(c, RT_FD_READ, buf, n, RT_UNTIMED, __func__);
}

GORT_API intptr_t gort_conn_read_until(gort_conn *c, void *buf, size_t n, int64_t deadline)
{
	return transfer(c, RT_FD_READ, buf, n, rt_deadline(deadline), __func__);
}

GORT_API intptr_t gort_conn_write(gort_conn *c, const void *buf, size_t n)
{
	return transfer(c, RT_FD_WRITE, (void *)(uintptr_t)buf, n, RT_UNTIMED, __func__);
}

GORT_API intptr_t gort_conn_write_until(gort_conn *c, const void *buf, size_t n, int64_t deadline)
{
	return transfer(c, RT_FD_WRITE, (void *)(uintptr_t)buf, n, rt_deadline(deadline), __func__);
}

static intptr_t do_shutdown(intptr_t fd, int kind, void *arg)
{
	(void)kind, (void)arg;
	return be_io_shutdown(fd);
}

GORT_API int gort_conn_shutdown(gort_conn *c)
{
	int r;

	(void)RT_ENTER();
	r = (int)rt_fd_call(c->fd, do_shutdown, NULL);
	RT_KEEP(c);
	rt_leave();
	return r;
}

GORT_API int gort_conn_close(gort_conn *c)
{
	int r;

	(void)RT_ENTER();
	r = rt_fd_close(c->fd);
	RT_KEEP(c);
	rt_leave();
	return r;
}

/* ---- Watching -------------------------------------------------------------------------------------- */

GORT_API int gort_poll_open(gort_poll **out, intptr_t fd)
{
	gort_poll *p;
	int r;

	*out = NULL;
	(void)RT_ENTER();
	p = rt_new_bytes(sizeof *p, true);
	p->fd = rt_fd_make(p);
	r = p->fd != NULL ? rt_fd_take(p->fd, fd, true, true) : GORT_ENOMEM;
	if (r == 0)
		*out = p;
	rt_leave();
	return r;
}

GORT_API int gort_poll_wait(gort_poll *p, int events, int64_t deadline)
{
	int r = GORT_EINVAL;

	(void)RT_ENTER();
	if ((events & ~(GORT_READABLE | GORT_WRITABLE)) == 0 && events != 0)
		r = rt_fd_wait(p->fd, (unsigned)events, rt_deadline(deadline));
	RT_KEEP(p);
	rt_leave();
	return r;
}

GORT_API int gort_poll_close(gort_poll *p)
{
	int r;

	(void)RT_ENTER();
	r = rt_fd_close(p->fd);
	RT_KEEP(p);
	rt_leave();
	return r;
}
