/* poolchain.h: a stack for its owner, a queue for thieves, without locks. See poolchain.c. */
#ifndef CORE_SYNC_POOLCHAIN_H
#define CORE_SYNC_POOLCHAIN_H

#include "core/base/atomic.h"

#include <stddef.h>

typedef struct rt_poolring rt_poolring;

typedef struct rt_poolchain { /* all zero: empty */
	rt_atomicptr head; /* newest ring; owner only */
	rt_atomicptr tail; /* oldest ring; any thread */
} rt_poolchain;

/* Owner. False: there is no room; call again with a fresh ring, which stays the caller's if *spare is
 * not NULL afterwards. obj is not NULL. */
bool rt_poolchain_push(rt_poolchain *c, void *obj, rt_poolring **spare);
/* Owner: how many objects the next ring should hold. */
uint32_t rt_poolchain_want(const rt_poolchain *c);
/* Owner: the newest; NULL: empty. */
void *rt_poolchain_pop(rt_poolchain *c);
/* Any thread: the oldest; NULL: empty. */
void *rt_poolchain_steal(rt_poolchain *c);

/* A ring is made of zeroed memory that may hold heap pointers; n is a power of two. */
size_t rt_poolring_bytes(uint32_t n);
void rt_poolring_init(rt_poolring *r, uint32_t n);

#endif
