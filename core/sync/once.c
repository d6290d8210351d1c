/* once.c: sync.Once. The function is a scope whose deferred call says that it is done: also after a panic
 * and after gort_goexit, as in Go. A call from inside the function waits for itself. */
#include "core/builtin/panic.h"
#include "core/sched/sched_inline.h"
#include "core/sync/mutex.h"

typedef struct once {
	rt_atomic32 done;
	uint32_t unused;
	gort_mutex lock; /* held while the function runs */
} once;

_Static_assert(sizeof(once) == sizeof(gort_once), "the public size is for ever");

typedef struct call {
	once *o;
	gort_func fn;
	void *arg;
} call;

static void finish(void *arg)
{
	once *o = arg;

	rt_store32_rel(&o->done, 1); /* pairs with the acquire in gort_once_do */
	gort_mutex_unlock(&o->lock);
}

static void run(void *arg)
{
	call *c = arg;

	gort_defer(finish, c->o);
	if (c->fn == NULL) {
		(void)RT_ENTER();
		rt_panic_error("invalid memory address or nil pointer dereference");
	}
	c->fn(c->arg);
}

static RT_NOINLINE void do_long(once *o, gort_func fn, void *arg)
{
	call c = {o, fn, arg};
	int r;

	(void)rt_enter("gort_once_do");
	rt_leave();
	(void)RT_ENTER();
	r = rt_gomutex_lock(&o->lock, RT_UNTIMED);
	if (r == 0)
		rt_note_lock(&o->lock, 0);
	rt_leave();
	if (r != 0) /* a thread whose run has ended waits for nobody; the function is another's */
		return;
	if (rt_load32_rlx(&o->done) == 0)
		gort_scope(run, &c);
	else
		gort_mutex_unlock(&o->lock);
}

GORT_API void gort_once_do(gort_once *pub, gort_func fn, void *arg)
{
	once *o = (once *)pub;
	if (RT_UNLIKELY(!rt_in_passing(rt_self()) || rt_load32_acq(&o->done) == 0))
		do_long(o, fn, arg);
}
