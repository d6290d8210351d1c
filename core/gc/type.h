/* type.h: what the library knows of a type. core/builtin makes them; the collector, below it, reads
 * where their pointers are.
 *
 * Descriptors are written once, before anybody else sees them, and then only read: no lock, any
 * thread. They belong to the process, not to a runtime.
 *
 * Pointers stand in two forms. Small objects carry a bitmap in their span, so the mask of the first 64 words
 * is kept ready to be copied there; larger ones are scanned by the list of offsets, which tells of one period
 * and is repeated up to the end: [1000000]T has the list of T.
 */
#ifndef CORE_GC_TYPE_H
#define CORE_GC_TYPE_H

#include "core/base/atomic.h"
#include "core/include/gort.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef gort_struct_field rt_field;
typedef gort_method rt_method;

struct gort_type {
	size_t size;
	uint32_t align;
	uint8_t kind;           /* GORT_KIND_* */
	bool comparable;
	bool plain;             /* equal if all bytes are: no padding, float, string, interface, field _ */
	bool direct;            /* one pointer: an interface holds it, and not the address of a copy */
	uint32_t hash;          /* of name and layout: seeds hashes of interfaces */
	uint8_t dir;            /* of a chan: GORT_SEND | GORT_RECV */
	bool variadic;          /* of a func */
	bool named;             /* by the program; else it is a scalar, or the name tells the parts */
	const char *name;       /* as %T prints it */
	size_t period;          /* what ptrs says repeats with this step; divides size, and is not 0 if nptrs is not */
	size_t nptrs;           /* offsets of the words that may hold a heap pointer, rising. A list and */
	const size_t *ptrs;     /* no bitmap: a buffer of 1 MiB with one pointer behind it stays short */
	uint64_t mask;          /* bit i: word i may hold one; of the first 64 words */
	const gort_type *elem;  /* of an array, chan, map, pointer or slice */
	const gort_type *key;   /* of a map */
	size_t len;             /* of an array */
	size_t nfields;         /* of a struct: those that were named, by offset */
	const rt_field *fields;
	size_t nmethods;        /* an interface needs them, others were given them; by name, bytewise */
	const rt_method *methods;
	size_t nin, nout;       /* of a func */
	const gort_type *const *in, *const *out;
	rt_atomicptr child[4];  /* typetable.c */
};

/* A collector need not look into values of t. */
static inline bool rt_type_pointers(const gort_type *t)
{
	return t->nptrs > 0;
}

/* Bytes up to the end of the last word that may hold a pointer. */
static inline size_t rt_type_ptrdata(const gort_type *t)
{
	return t->nptrs > 0 ? t->size - t->period + t->ptrs[t->nptrs - 1] + sizeof(void *) : 0;
}

/* How many words may hold one. */
static inline size_t rt_type_words(const gort_type *t)
{
	return t->nptrs > 0 ? t->size / t->period * t->nptrs : 0;
}

/* t->mask, from the list. */
static inline uint64_t rt_type_mask(const gort_type *t)
{
	const size_t end = t->size < 64 * sizeof(void *) ? t->size : 64 * sizeof(void *);
	uint64_t mask = 0;

	for (size_t at = 0; t->nptrs > 0 && at < end; at += t->period)
		for (size_t i = 0; i < t->nptrs && at + t->ptrs[i] < end; i++)
			mask |= (uint64_t)1 << ((at + t->ptrs[i]) / sizeof(void *));
	return mask;
}

/* The words of *value that may hold a heap pointer. */
static inline void rt_type_visit(const gort_type *t, void *value,
                                 void (*visit)(void *data, void **slot), void *data)
{
	for (size_t at = 0; t->nptrs > 0 && at < t->size; at += t->period)
		for (size_t i = 0; i < t->nptrs; i++)
			visit(data, (void **)((char *)value + at + t->ptrs[i]));
}

#endif
