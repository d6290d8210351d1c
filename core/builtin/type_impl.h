/* type_impl.h: between the files that make types. */
#ifndef CORE_BUILTIN_TYPE_IMPL_H
#define CORE_BUILTIN_TYPE_IMPL_H

#include "core/builtin/type.h"

/* Go's field _: neither compared nor hashed. */
static inline bool rt_field_blank(const rt_field *f)
{
	return f->name[0] == '_' && f->name[1] == '\0';
}

/* A descriptor that somebody is filling in is called `like`. Its lists and names are the caller's, and are
 * copied. It is zeroed but for what the kind needs; name is set if it is `named`. hash, mask, child are found out; ptrs
 * too where it is NULL and nptrs is not 0: then the words are those of the fields. */

/* An array, chan, map, pointer or slice that was made before; NULL: it was not. Its parts, which may be NULL here,
 * are all that tells it from others. */
const gort_type *rt_type_find(int kind, int dir, const gort_type *elem, const gort_type *key, size_t len);
/* The one type that is so; NULL: no memory. */
const gort_type *rt_type_intern(gort_type *like);
/* A new one in any case, which is in no table; NULL: no memory. */
gort_type *rt_type_make(const gort_type *like);
/* Such a one is complete. */
void rt_type_keep(gort_type *t);
/* What rt_type_make made and nobody has seen. NULL is allowed. */
void rt_type_drop(gort_type *t);

/* comparable, plain and the pointers of a struct whose size and fields are there. */
void rt_type_sum_fields(gort_type *like);
/* The words of any interface. */
void rt_type_set_interface(gort_type *like);

/* How %T prints a type without a name of its own. Returns the bytes; writes them, without a NUL, unless
 * out is NULL. */
size_t rt_type_text(const gort_type *like, char *out);

/* m sorted by name, bytewise. False: a name twice. */
bool rt_methods_sort(rt_method *m, size_t n);

#endif
