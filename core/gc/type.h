/* type.h: what the library knows of a type. core/builtin/type.c makes them; the collector, below it, reads
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

#include "core/base/attrs.h"
#include "core/include/gort.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rt_field {
	const char *name;
	size_t offset;
	const gort_type *type;
} rt_field;

typedef struct rt_method {
	const char *name;
	bool pointer_only; /* in the method set of *T, not of T */
	gort_code code;    /* NULL in an interface */
} rt_method;

struct gort_type {
	size_t size;
	uint32_t align;
	uint8_t kind;           /* GORT_KIND_* */
	bool comparable;
	uint32_t hash;          /* of name and layout: seeds hashes of interfaces */
	const char *name;       /* as %T prints it */
	size_t period;          /* what ptrs says repeats with this step; divides size, and is not 0 if nptrs is not */
	size_t nptrs;           /* offsets of the words that may hold a heap pointer, rising. A list and */
	const size_t *ptrs;     /* no bitmap: a buffer of 1 MiB with one pointer behind it stays short */
	uint64_t mask;          /* bit i: word i may hold one; of the first 64 words */
	size_t nfields;         /* of a struct: those that were named, by offset */
	const rt_field *fields;
	size_t nmethods;        /* in the order in which they were given */
	const rt_method *methods;
	const gort_type *next;  /* type.c: in its bucket */
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
