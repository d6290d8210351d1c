/* echo_server.c: a goroutine for each connection sends back what it reads. Prints its port; when its input ends, the
 * CPU time that it used, in seconds of user and of system, and how many bytes it has sent. */
#include <gort.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static _Atomic uint64_t sent;

static void serve(void *arg)
{
	gort_conn *c = arg;
	char buf[4096];
	intptr_t n;

	while ((n = gort_conn_read(c, buf, sizeof buf)) > 0 && gort_conn_write(c, buf, (size_t)n) == n)
		sent += (uint64_t)n;
	(void)gort_conn_close(c);
}

static void accept_all(void *arg)
{
	gort_listener *l = arg;
	gort_conn *c;
	int r;

	while ((r = gort_accept(&c, l)) == 0)
		if (gort_go(serve, c) != 0)
			gort_conn_close(c);
	if (r != GORT_ECLOSED)
		fprintf(stderr, "echo_server: accept: %s\n", gort_strerror(r));
}

static void run(void *arg)
{
	gort_conn *input;
	gort_listener *l;
	char address[64], byte;
	struct rusage u;
	int r = gort_listen(&l, "tcp", "127.0.0.1:0");

	(void)arg;
	if (r != 0 || (r = gort_listener_address(l, address, sizeof address)) != 0 ||
	    (r = gort_conn_from(&input, 0)) != 0) {
		fprintf(stderr, "echo_server: %s\n", gort_strerror(r));
		exit(1);
	}
	printf("%s\n", strrchr(address, ':') + 1);
	fflush(stdout);
	gort_go(accept_all, l);
	while (gort_conn_read(input, &byte, 1) > 0)
		;
	getrusage(RUSAGE_SELF, &u);
	printf("%.6f %.6f %llu\n", (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6,
	       (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6, (unsigned long long)sent);
	fflush(stdout);
	gort_listener_close(l);
}

int main(void)
{
	return gort_main(run, NULL);
}
