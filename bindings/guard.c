/* See guard.h. Only threads that binding_attach attached get past the first line of each function:
 * no other goroutine runs Python code. */
#include "bindings/guard.h"

#include <stdlib.h>
#include <string.h>

int binding_attach(gort_runtime *rt)
{
	int err = gort_attach(rt);
	if (err == 0)
		gort_entersyscall();
	return err;
}

int binding_detach(void)
{
	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	return gort_detach();
}

int binding_gosched(void)
{
	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	gort_gosched();
	gort_entersyscall();
	return 0;
}

int binding_sleep(int64_t ns)
{
	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	gort_sleep(ns);
	gort_entersyscall();
	return 0;
}

int binding_num_goroutine(int *n)
{
	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	*n = gort_num_goroutine();
	gort_entersyscall();
	return 0;
}

int binding_gomaxprocs(int n, int *before)
{
	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	*before = gort_gomaxprocs(n);
	gort_entersyscall();
	return 0;
}

struct text {
	char *p;
	size_t n;
};

static int append(void *data, const void *bytes, size_t n)
{
	struct text *t = data;
	char *p = realloc(t->p, t->n + n);
	if (!p)
		return GORT_ENOMEM;
	memcpy(p + t->n, bytes, n);
	t->p = p;
	t->n += n;
	return 0;
}

int binding_stack_dump(gort_runtime *rt, char **text, size_t *n)
{
	struct text t = { NULL, 0 };
	int err = gort_stack_dump(rt, append, &t);
	if (err != 0) {
		free(t.p);
		t = (struct text){ NULL, 0 };
	}
	*text = t.p;
	*n = t.n;
	return err;
}

void binding_free(void *p)
{
	free(p);
}
