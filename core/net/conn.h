/* conn.h: what the files of net/ know of each other's handles. */
#ifndef CORE_NET_CONN_H
#define CORE_NET_CONN_H

#include "core/net/fd.h"

/* Handles hold a record that is closed when they are collected: until where a call needs it. */
#define RT_KEEP(handle) __asm__ volatile("" : : "r"(handle))

/* A connection that f is behind. Without memory the run ends. */
gort_conn *rt_conn_make(rt_fd *f);

#endif
