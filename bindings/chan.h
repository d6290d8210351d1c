/* chan.h: channels of Python goroutines.
 *
 * A channel carries words: integers, floating-point numbers, or keys. Which object of Python a key stands for is known
 * to Python alone (_chan.py), so no pointer of the interpreter lies where its collector does not look.
 *
 * A channel is a heap object of gort, and lives as long as gort's collector finds a pointer to it. Python's memory is
 * not searched, so each Chan of Python has a binding_chan: a cell in a block that is registered as a root. Blocks go
 * with the runtime only.
 *
 * All that send, receive, close and select do is done as the goroutine that the calling thread is. GORT_EINVAL: it is
 * none; GORT_EBUSY: it is one of another runtime; GORT_EPANIC, and the panic's text in text[BINDING_TEXT];
 * GORT_ECANCELED: its run has ended. A timeout is in nanoseconds; 0 tries once, a negative one means no limit.
 */
#ifndef BINDINGS_CHAN_H
#define BINDINGS_CHAN_H

#include <gort.h>

enum { BINDING_INT = 1, BINDING_FLOAT = 2, BINDING_KEY = 3 }; /* what the words of a channel are */
enum { BINDING_TEXT = 256 };

typedef union binding_word { int64_t i; double f; uintptr_t key; } binding_word;

typedef struct binding_chan {
	gort_chan *c;              /* NULL: not made yet, or a cell without a Chan */
	gort_runtime *rt;
	struct binding_chan *next; /* free cells */
} binding_chan;

typedef struct binding_chans binding_chans; /* the cells of one runtime */

int binding_chans_new(binding_chans **out, gort_runtime *rt);
/* gort_runtime_free, and the cells go, too. If it returns 0 both are NULL then: what Python is told it may miss, when
 * Ctrl-C comes. */
int binding_runtime_free(gort_runtime **rt, binding_chans **cells);
/* Of these two one at a time: the caller has a lock. Get: GORT_ENOMEM. Nobody may use a cell that is put back. */
int binding_chans_get(binding_chans *t, binding_chan **out);
void binding_chans_put(binding_chans *t, binding_chan *cell);

/* Makes the cell's channel. GORT_ENOMEM: the system has no room for so many elements. */
int binding_chan_make(binding_chan *cell, int kind, size_t cap, char *text);
/* Also GORT_ETIMEDOUT. */
int binding_chan_send(binding_chan *cell, const binding_word *value, int64_t timeout, char *text);
/* Also GORT_ETIMEDOUT, GORT_ECLOSED. */
int binding_chan_recv(binding_chan *cell, binding_word *value, int64_t timeout, char *text);
int binding_chan_close(binding_chan *cell, char *text);
/* From any thread, as a goroutine that is made for the call if there is none. */
int binding_chan_len(binding_chan *cell, size_t *n);

typedef struct binding_case {
	binding_chan *cell; /* NULL: never ready */
	int dir;            /* GORT_SEND, GORT_RECV */
	int ok;             /* out: 0 if what was received came of a closed channel */
	binding_word value; /* in or out */
} binding_case;
/* The index of the case that was done; also GORT_ETIMEDOUT. */
int binding_select(gort_runtime *rt, binding_case *cases, size_t n, int64_t timeout, char *text);

#endif
