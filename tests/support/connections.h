/* connections.h: for tests whose goroutines talk to each other over the loopback. */
#ifndef TESTS_SUPPORT_CONNECTIONS_H
#define TESTS_SUPPORT_CONNECTIONS_H

#include "tests/support/goroutines.h"

typedef struct pair {
	gort_listener *l;
	gort_conn *here, *there;
} pair;

/* Two ends of one connection. */
static inline pair connect_pair(void)
{
	char at[64];
	pair p;

	CHECK(gort_listen(&p.l, "tcp", "127.0.0.1:0") == 0);
	CHECK(gort_listener_address(p.l, at, sizeof at) == 0);
	CHECK(gort_dial(&p.here, "tcp", at) == 0);
	CHECK(gort_accept(&p.there, p.l) == 0);
	return p;
}

static inline void close_pair(const pair *p)
{
	(void)gort_conn_close(p->here);
	(void)gort_conn_close(p->there);
	CHECK(gort_listener_close(p->l) == 0);
}

#endif
