/* echo_floor.c: the echo server without any runtime: one thread, epoll, a read and a write for each message. What is
 * left is the system's work, so no server that reads and writes sockets one by one can need less. Prints what
 * echo_server.c prints. */
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
#include <unistd.h>

enum { EVENTS = 128 };

static uint64_t sent;

static void die(const char *what)
{
	fprintf(stderr, "echo_floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll_ctl");
}

static int listening(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		die("listen");
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void accept_all(int ep, int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		watch(ep, fd, EPOLLIN | EPOLLET | EPOLLRDHUP);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static void serve(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof buf);

	if (n > 0 && write(fd, buf, (size_t)n) == n)
		sent += (uint64_t)n;
	else if (n >= 0 || errno != EAGAIN)
		close(fd);
}

static void finish(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("%.6f %.6f %llu\n", (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6,
	       (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6, (unsigned long long)sent);
	exit(0);
}

int main(void)
{
	struct epoll_event ev[EVENTS];
	int ep = epoll_create1(0), listener = listening();

	if (ep < 0)
		die("epoll_create1");
	watch(ep, listener, EPOLLIN);
	watch(ep, STDIN_FILENO, EPOLLIN);
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == listener)
				accept_all(ep, listener);
			else if (ev[i].data.fd == STDIN_FILENO)
				finish();
			else
				serve(ev[i].data.fd);
		}
	}
}
