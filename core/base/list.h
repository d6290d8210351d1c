/* list.h: an intrusive doubly linked list with a sentinel. A node that is on no list points to
 * itself, so removing twice is harmless and membership is one comparison. */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H

#include "core/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct rt_list {
	struct rt_list *next, *prev;
} rt_list;

static inline void rt_list_init(rt_list *l)
{
	l->next = l->prev = l;
}
static inline bool rt_list_empty(const rt_list *l)
{
	return l->next == l;
}
static inline void rt_list_push_back(rt_list *l, rt_list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}
static inline void rt_list_push_front(rt_list *l, rt_list *n)
{
	rt_list_push_back(l->next, n);
}
static inline void rt_list_remove(rt_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	rt_list_init(n);
}
static inline rt_list *rt_list_pop_front(rt_list *l)
{
	rt_list *n = l->next;

	if (n == l)
		return NULL;
	rt_list_remove(n);
	return n;
}
#define RT_LIST_ENTRY(n, type, member) RT_CONTAINER_OF(n, type, member)

#endif
