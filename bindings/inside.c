/* See inside.h. */
#include "bindings/inside.h"

#include <string.h>

static void copy_text(char *text, gort_eface v)
{
	gort_string s = gort_panic_text(v);
	size_t n = (size_t)s.len < BINDING_TEXT - 1 ? (size_t)s.len : BINDING_TEXT - 1;

	memcpy(text, s.ptr, n);
	text[n] = '\0';
}

int binding_inside(gort_runtime *rt, gort_func fn, void *arg, char *text)
{
	gort_runtime *mine = gort_self();
	gort_eface v;
	int code = 0;

	if (mine != rt)
		return mine == NULL ? GORT_EINVAL : GORT_EBUSY;
	gort_exitsyscall();
	if (gort_try(fn, arg, &v)) {
		copy_text(text, v);
		code = GORT_EPANIC;
	}
	gort_entersyscall();
	return code;
}

/* A semaphore that nobody releases, tried once: the end of a run is told before the deadline. */
bool binding_released(void)
{
	gort_sema none = GORT_INIT;

	return gort_sema_acquire_until(&none, 0) == GORT_ECANCELED;
}

int64_t binding_deadline(int64_t timeout)
{
	int64_t now = gort_nanotime();

	if (timeout < 0)
		return GORT_FOREVER;
	return timeout < GORT_FOREVER - now ? now + timeout : GORT_FOREVER - 1;
}
