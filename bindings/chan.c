/* See chan.h. */
#include "bindings/chan.h"

#include "bindings/guard.h"
#include "bindings/inside.h"

#include <stdlib.h>

/* ---- Cells ------------------------------------------------------------------------------------ */

enum { CELLS = 256 }; /* a block */

typedef struct block {
	struct block *next;
	binding_chan cells[CELLS]; /* a root of the runtime */
} block;

struct binding_chans {
	gort_runtime *rt;
	block *blocks;
	binding_chan *free;
};

int binding_chans_new(binding_chans **out, gort_runtime *rt)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return GORT_ENOMEM;
	(*out)->rt = rt;
	return 0;
}

static void free_cells(binding_chans *t)
{
	if (!t)
		return;
	for (block *b = t->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(t);
}

int binding_runtime_free(gort_runtime **rt, binding_chans **cells)
{
	int err = gort_runtime_free(*rt);

	if (err != 0)
		return err;
	*rt = NULL;
	free_cells(*cells);
	*cells = NULL;
	return 0;
}

static int add_block(binding_chans *t)
{
	block *b = calloc(1, sizeof *b);
	int err;

	if (!b)
		return GORT_ENOMEM;
	err = gort_root_add(t->rt, b->cells, sizeof b->cells);
	if (err != 0) {
		free(b);
		return err;
	}
	b->next = t->blocks;
	t->blocks = b;
	for (int i = CELLS - 1; i >= 0; i--) {
		b->cells[i].rt = t->rt;
		b->cells[i].next = t->free;
		t->free = &b->cells[i];
	}
	return 0;
}

int binding_chans_get(binding_chans *t, binding_chan **out)
{
	int err = t->free ? 0 : add_block(t);

	if (err != 0)
		return err;
	*out = t->free;
	t->free = (*out)->next;
	return 0;
}

/* Without a barrier: nobody has taken the pointer out of the cell, so nobody misses the channel. */
void binding_chans_put(binding_chans *t, binding_chan *cell)
{
	__atomic_store_n(&cell->c, NULL, __ATOMIC_RELAXED);
	cell->next = t->free;
	t->free = cell;
}

/* ---- Operations -------------------------------------------------------------------------------- */

typedef struct call {
	binding_chan *cell;
	binding_word *value;
	int64_t timeout;
	size_t cap;
	int kind, code;
} call;

static int inside(binding_chan *cell, gort_func fn, call *k, char *text)
{
	int err;

	k->cell = cell;
	err = binding_inside(cell->rt, fn, k, text);
	return err != 0 ? err : k->code;
}

static void make(void *arg)
{
	const call *k = arg;
	const gort_type *type = k->kind == BINDING_INT     ? GORT_TYPE(int64_t)
	                        : k->kind == BINDING_FLOAT ? GORT_TYPE(double)
	                                                   : GORT_TYPE(uintptr_t);

	gort_store(&k->cell->c, gort_chan_make(type, k->cap));
}

/* When memory ends in the library it ends the run, and the process if it is an attached thread that asked. So a buffer
 * that is large is asked for before, of malloc, which may say no. */
static bool too_large(size_t cap)
{
	enum { SMALL = 1 << 16 };
	const size_t largest = ((size_t)1 << 47) / sizeof(binding_word); /* beyond it gort_chan_make panics */
	void *p;

	if (cap <= SMALL || cap > largest)
		return false;
	p = malloc(cap * sizeof(binding_word));
	free(p);
	return p == NULL;
}

int binding_chan_make(binding_chan *cell, int kind, size_t cap, char *text)
{
	call k = { .kind = kind, .cap = cap };

	return too_large(cap) ? GORT_ENOMEM : inside(cell, make, &k, text);
}

static void send(void *arg)
{
	call *k = arg;

	k->code = gort_chan_send_until(k->cell->c, k->value, binding_deadline(k->timeout));
}

int binding_chan_send(binding_chan *cell, const binding_word *value, int64_t timeout, char *text)
{
	binding_word copy = *value;
	call k = { .value = &copy, .timeout = timeout };

	return inside(cell, send, &k, text);
}

static void recv(void *arg)
{
	call *k = arg;

	k->code = gort_chan_recv_until(k->cell->c, k->value, binding_deadline(k->timeout));
}

int binding_chan_recv(binding_chan *cell, binding_word *value, int64_t timeout, char *text)
{
	call k = { .value = value, .timeout = timeout };

	return inside(cell, recv, &k, text);
}

static void close_(void *arg)
{
	gort_chan_close(((call *)arg)->cell->c);
}

int binding_chan_close(binding_chan *cell, char *text)
{
	call k = { .code = 0 };

	return inside(cell, close_, &k, text);
}

int binding_chan_len(binding_chan *cell, size_t *n)
{
	bool attached = gort_self() == NULL;
	int err = attached ? binding_attach(cell->rt, NULL) : 0;

	if (err != 0)
		return err;
	if (gort_self() != cell->rt)
		return GORT_EBUSY;
	gort_exitsyscall();
	*n = gort_chan_len(cell->c);
	gort_entersyscall();
	return attached ? binding_detach() : 0;
}

/* ---- Select ------------------------------------------------------------------------------------ */

typedef struct choice {
	gort_select_case *cases;
	size_t n;
	int64_t timeout;
	int chosen;
} choice;

/* Without a deadline an attached thread whose run has ended is told that its first receive came of a closed channel. To
 * know that from the truth, the last case is a receive that is never ready. */
static void choose(void *arg)
{
	choice *k = arg;
	int64_t deadline = k->timeout == 0 ? 0 : binding_deadline(k->timeout);
	const gort_select_case *c;

	k->cases[k->n] = (gort_select_case){ .dir = GORT_RECV };
	k->chosen = gort_select(k->cases, k->n + 1, deadline);
	if (k->chosen < 0)
		return;
	c = &k->cases[k->chosen];
	if (c->dir == GORT_RECV && !c->ok && binding_released())
		k->chosen = GORT_ECANCELED;
}

int binding_select(gort_runtime *rt, binding_case *cases, size_t n, int64_t timeout, char *text)
{
	enum { NEAR = 16 };
	gort_select_case near[NEAR + 1];
	choice k = { .cases = near, .n = n, .timeout = timeout };
	int err;

	if (n > NEAR && !(k.cases = malloc((n + 1) * sizeof *k.cases)))
		return GORT_ENOMEM;
	for (size_t i = 0; i < n; i++)
		k.cases[i] = (gort_select_case){
			.chan = cases[i].cell ? cases[i].cell->c : NULL,
			.elem = &cases[i].value,
			.dir = cases[i].dir,
		};
	err = binding_inside(rt, choose, &k, text);
	if (err == 0 && k.chosen >= 0)
		cases[k.chosen].ok = k.cases[k.chosen].ok;
	if (k.cases != near)
		free(k.cases);
	if (err != 0)
		return err;
	return k.chosen == GORT_EAGAIN ? GORT_ETIMEDOUT : k.chosen;
}
