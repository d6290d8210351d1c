/* typename.c: the names of types that have none of their own, as %T prints them. A name is made once, when the
 * type is new; those of its components are there. Written twice, first to nowhere, to know how long it is. */
#include "core/builtin/type_impl.h"

#include "core/base/check.h"

#include <string.h>

typedef struct text {
	char *at; /* NULL: only counts */
	size_t n;
} text;

static void put(text *o, const char *s)
{
	size_t n = strlen(s);

	if (o->at != NULL)
		memcpy(o->at + o->n, s, n);
	o->n += n;
}

static void put_types(text *o, const gort_type *const *list, size_t n, bool variadic)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			put(o, ", ");
		if (variadic && i == n - 1) {
			put(o, "...");
			put(o, list[i]->elem->name);
		} else {
			put(o, list[i]->name);
		}
	}
}

/* Without the word func: as it stands behind the name of a method. */
static void put_signature(text *o, const gort_type *t)
{
	put(o, "(");
	put_types(o, t->in, t->nin, t->variadic);
	put(o, ")");
	if (t->nout == 0)
		return;
	put(o, t->nout > 1 ? " (" : " ");
	put_types(o, t->out, t->nout, false);
	if (t->nout > 1)
		put(o, ")");
}

static void put_chan(text *o, const gort_type *t)
{
	bool close = t->dir == (GORT_SEND | GORT_RECV) && t->elem->name[0] == '<'; /* not (chan<-) T */

	put(o, t->dir == GORT_RECV ? "<-chan " : t->dir == GORT_SEND ? "chan<- " : close ? "chan (" : "chan ");
	put(o, t->elem->name);
	if (close)
		put(o, ")");
}

static void put_struct(text *o, const gort_type *t)
{
	put(o, "struct {");
	for (size_t i = 0; i < t->nfields; i++) {
		put(o, i > 0 ? "; " : " ");
		put(o, t->fields[i].name);
		put(o, " ");
		put(o, t->fields[i].type->name);
	}
	put(o, t->nfields > 0 ? " }" : "}");
}

/* A method whose parameters are not known is M(...), as a frame in a backtrace. */
static void put_interface(text *o, const gort_type *t)
{
	put(o, "interface {");
	for (size_t i = 0; i < t->nmethods; i++) {
		put(o, i > 0 ? "; " : " ");
		put(o, t->methods[i].name);
		if (t->methods[i].type != NULL)
			put_signature(o, t->methods[i].type);
		else
			put(o, "(...)");
	}
	put(o, t->nmethods > 0 ? " }" : "}");
}

static void put_array(text *o, const gort_type *t)
{
	char head[32];

	rt_format(head, sizeof head, "[%zu]", t->len);
	put(o, head);
	put(o, t->elem->name);
}

size_t rt_type_text(const gort_type *t, char *out)
{
	text o = { out, 0 };

	switch (t->kind) {
	case GORT_KIND_POINTER:
		put(&o, "*");
		put(&o, t->elem->name);
		break;
	case GORT_KIND_SLICE:
		put(&o, "[]");
		put(&o, t->elem->name);
		break;
	case GORT_KIND_MAP:
		put(&o, "map[");
		put(&o, t->key->name);
		put(&o, "]");
		put(&o, t->elem->name);
		break;
	case GORT_KIND_FUNC:
		put(&o, "func");
		put_signature(&o, t);
		break;
	case GORT_KIND_ARRAY:
		put_array(&o, t);
		break;
	case GORT_KIND_CHAN:
		put_chan(&o, t);
		break;
	case GORT_KIND_STRUCT:
		put_struct(&o, t);
		break;
	default:
		put_interface(&o, t);
		break;
	}
	return o.n;
}
