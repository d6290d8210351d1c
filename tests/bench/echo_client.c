/* echo_client.c PORT CONNECTIONS SECONDS: asks an echo server of this machine, without any runtime: one thread, epoll.
 *
 * Each connection sends 64 bytes and waits until they are back (a closed loop). The first tenth of the time is not
 * counted. Prints requests per second and the latencies in microseconds: median, 99th percentile, longest. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, BUCKETS = 1 << 20 /* of 100 ns: up to 100 ms */ };

typedef struct connection {
	int fd, got;
	int64_t since;
} connection;

static uint32_t *counts;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ask(connection *c)
{
	static const char message[SIZE] = "hello";

	c->got = 0;
	c->since = now();
	if (send(c->fd, message, SIZE, MSG_NOSIGNAL) != SIZE)
		die("send");
}

static void connect_all(connection *c, int n, int port, int ep)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &c[i] };

		c[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c[i].fd < 0 || connect(c[i].fd, (struct sockaddr *)&to, sizeof to) != 0)
			die("connect");
		setsockopt(c[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev) != 0)
			die("epoll_ctl");
	}
}

/* True: the answer is complete. */
static int receive(connection *c)
{
	char buf[SIZE];
	ssize_t n = recv(c->fd, buf, (size_t)(SIZE - c->got), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		die("recv");
	c->got += (int)n;
	return c->got == SIZE;
}

static double percentile(uint64_t n, double share)
{
	uint64_t left = (uint64_t)(share * (double)n);

	for (int i = 0; i < BUCKETS; i++) {
		if (left < counts[i])
			return (i + 1) / 10.0;
		left -= counts[i];
	}
	return BUCKETS / 10.0;
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[2]) : 0, ep = epoll_create1(EPOLL_CLOEXEC);
	double seconds = argc == 4 ? atof(argv[3]) : 0;
	struct rlimit files;
	struct epoll_event ev[256];
	connection *c;
	int64_t begin, end, longest = 0;
	uint64_t done = 0;

	if (n < 1 || seconds <= 0) {
		fprintf(stderr, "usage: echo_client PORT CONNECTIONS SECONDS\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	c = calloc((size_t)n, sizeof *c);
	counts = calloc(BUCKETS, sizeof *counts);
	if (ep < 0 || c == NULL || counts == NULL)
		die("echo_client");
	connect_all(c, n, atoi(argv[1]), ep);
	begin = now() + (int64_t)(seconds * 1e8);
	end = begin + (int64_t)(seconds * 1e9);
	for (int i = 0; i < n; i++)
		ask(&c[i]);
	for (int64_t t = 0; t < end;) {
		int k = epoll_wait(ep, ev, 256, 1000);

		if (k <= 0 && errno != EINTR)
			die("no answer for a second");
		for (int i = 0; i < k; i++) {
			connection *one = ev[i].data.ptr;
			int64_t took;

			if (!receive(one))
				continue;
			t = now();
			took = t - one->since;
			if (t >= begin) {
				done++;
				counts[took / 100 < BUCKETS ? took / 100 : BUCKETS - 1]++;
				longest = took > longest ? took : longest;
			}
			ask(one);
		}
	}
	printf("requests %.1f 1/s\nmedian %.1f us\np99 %.1f us\nlongest %.1f us\n", (double)done / seconds,
	       percentile(done, 0.5), percentile(done, 0.99), (double)longest / 1e3);
	return 0;
}
