/* reader.h: numbers of DWARF out of a range of bytes, never from behind its end. */
#ifndef BACKENDS_FAULT_READER_H
#define BACKENDS_FAULT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct reader {
	const uint8_t *p, *end;
	bool bad; /* past the end, or a form that is not known */
} reader;

static inline uint64_t fixed(reader *r, size_t n)
{
	uint64_t v = 0;

	if ((size_t)(r->end - r->p) < n) {
		r->bad = true;
		r->p = r->end;
		return 0;
	}
	memcpy(&v, r->p, n); /* all our CPUs are little-endian */
	r->p += n;
	return v;
}

static inline uint64_t uleb(reader *r)
{
	uint64_t v = 0, byte;
	unsigned shift = 0;

	do {
		byte = fixed(r, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return v;
}

static inline int64_t sleb(reader *r)
{
	uint64_t v = 0, byte;
	unsigned shift = 0;

	do {
		byte = fixed(r, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && (byte & 0x40))
		v |= ~UINT64_C(0) << shift;
	return (int64_t)v;
}

#endif
