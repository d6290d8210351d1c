/* type.h: type descriptors for the rooms from here upwards. They are read by the collector, too, and so are
 * defined below. */
#ifndef CORE_BUILTIN_TYPE_H
#define CORE_BUILTIN_TYPE_H

#include "core/gc/type.h" /* IWYU pragma: export */

/* A type's code for the methods of an interface; one for each pair. */
struct gort_itab {
	const gort_type *inter, *type;
	gort_code code[]; /* in the order of inter->methods */
};

/* Any goroutine, inside the runtime or outside; they take no lock, and stack for each value that is held by an
 * interface in any field but the last. What has no == is left in *bad, which is NULL before; then the answer means
 * nothing. */
bool rt_type_equal(const gort_type *t, const void *a, const void *b, const gort_type **bad);
uint64_t rt_type_hash(const gort_type *t, const void *p, uint64_t seed, const gort_type **bad);

extern const size_t rt_pointer_at_0[1], rt_pointer_at_1[1]; /* lists of offsets: word 0, word 1 */

#endif
