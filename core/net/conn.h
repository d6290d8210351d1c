/* conn.h: what the files of net/ know of each other's handles. */
#ifndef CORE_NET_CONN_H
#define CORE_NET_CONN_H

#include "core/net/fd.h"

/* Handles hold a record that is closed when they are collected: until where a call needs it. */
#define RT_KEEP(handle) __asm__ volatile("" : : "r"(handle))

/* Less than 16 bytes would share a block with others, and live as long as they do. */
struct gort_conn {
	rt_fd *fd;
	void *unused;
};

/* One whose record is empty. NULL: no memory; or the run ends. */
gort_conn *rt_conn_make(void);

#endif
