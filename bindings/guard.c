/* See guard.h. Only threads that binding_attach attached get past the first line of each function:
 * no other goroutine runs Python code. */
#include "bindings/guard.h"

#include "bindings/inside.h"

#include <stdlib.h>
#include <string.h>

int binding_attach(gort_runtime *rt, int *done)
{
	int err = gort_attach(rt);
	if (err == 0)
		gort_entersyscall();
	if (done)
		*done = err == 0;
	return err;
}

/* Begins and ends what only a goroutine of rt does outside of a system call; others are in none of this runtime. */
static bool awake(gort_runtime *rt)
{
	bool mine = gort_self() == rt;

	if (mine)
		gort_exitsyscall();
	return mine;
}

static int asleep(bool mine, int err)
{
	if (mine)
		gort_entersyscall();
	return err;
}

int binding_seat_new(gort_runtime *rt, gort_seat **out, uint64_t *goid)
{
	bool mine = awake(rt);

	return asleep(mine, gort_seat_new(rt, out, goid));
}

int binding_seat_ready(gort_runtime *rt, gort_seat *seat)
{
	bool mine = awake(rt);

	return asleep(mine, gort_seat_ready(seat));
}

int binding_seat_free(gort_runtime *rt, gort_seat *seat)
{
	bool mine = awake(rt);

	gort_seat_free(seat);
	return asleep(mine, 0);
}

int binding_seat_attach(gort_seat *seat)
{
	int err = gort_seat_attach(seat);

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
	bool released;

	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	gort_gosched();
	released = binding_released();
	gort_entersyscall();
	return released ? GORT_ECANCELED : 0;
}

int binding_sleep(int64_t ns)
{
	int err = 0;

	if (!gort_self())
		return GORT_EINVAL;
	gort_exitsyscall();
	if (ns > 0)
		err = gort_sleep_until(binding_deadline(ns));
	else if (binding_released())
		err = GORT_ECANCELED;
	gort_entersyscall();
	return err;
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

/* *attached: the goroutine is made for the call. */
static int enter(gort_runtime *rt, bool *attached)
{
	gort_runtime *mine = gort_self();

	*attached = mine == NULL;
	if (*attached)
		return gort_attach(rt);
	if (mine != rt)
		return GORT_EBUSY;
	gort_exitsyscall();
	return 0;
}

static void leave(bool attached)
{
	if (attached)
		gort_detach();
	else
		gort_entersyscall();
}

#define AS_GOROUTINE(rt, call)                                                                     \
	do {                                                                                       \
		bool attached_;                                                                    \
		int err_ = enter(rt, &attached_);                                                  \
		if (err_ != 0)                                                                     \
			return err_;                                                               \
		call;                                                                              \
		leave(attached_);                                                                  \
		return 0;                                                                          \
	} while (0)

int binding_gc(gort_runtime *rt)
{
	AS_GOROUTINE(rt, gort_gc());
}

int binding_free_os_memory(gort_runtime *rt)
{
	AS_GOROUTINE(rt, gort_free_os_memory());
}

int binding_set_gc_percent(gort_runtime *rt, int percent)
{
	AS_GOROUTINE(rt, gort_set_gc_percent(percent));
}

int binding_set_memory_limit(gort_runtime *rt, int64_t bytes)
{
	AS_GOROUTINE(rt, gort_set_memory_limit(bytes));
}

int binding_append(void *data, const void *bytes, size_t n)
{
	binding_memory *t = data;

	if (t->n + n > t->cap) {
		const size_t cap = t->cap + t->cap / 2 + n;
		char *p = realloc(t->p, cap);
		if (!p)
			return GORT_ENOMEM;
		t->p = p;
		t->cap = cap;
	}
	memcpy(t->p + t->n, bytes, n);
	t->n += n;
	return 0;
}

int binding_hand_over(binding_memory *t, int err, char **text, size_t *n)
{
	if (err != 0) {
		free(t->p);
		*t = (binding_memory){ NULL, 0, 0 };
	}
	*text = t->p;
	*n = t->n;
	return err;
}

static int in_memory(int (*dump)(gort_runtime *rt, gort_writer write, void *data), gort_runtime *rt,
                     char **text, size_t *n)
{
	binding_memory t = { NULL, 0, 0 };

	return binding_hand_over(&t, dump(rt, binding_append, &t), text, n);
}

int binding_stack_dump(gort_runtime *rt, char **text, size_t *n)
{
	return in_memory(gort_stack_dump, rt, text, n);
}

int binding_heap_dump(gort_runtime *rt, char **text, size_t *n)
{
	return in_memory(gort_heap_dump, rt, text, n);
}

int binding_leak_dump(gort_runtime *rt, char **text, size_t *n)
{
	return in_memory(gort_leak_dump, rt, text, n);
}

void binding_free(void *p)
{
	free(p);
}
