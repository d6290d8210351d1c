/* What a stop does to a thread that blocks in the system, by signals on Linux: gort.h names the calls that end with
 * EINTR although the handler asks for a restart. Each is stopped in the middle; those that are not named must go on. */
#include "backends/preempt/preempt.h"

#include "backends/thread/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int two[2], id; /* a pipe, a pair of sockets, ...; of a queue or semaphore */
static sem_t sem;
static pid_t child;
static const struct timespec hour = { .tv_sec = 3600 };

static void make_pipe(void)
{
	assert_int_equal(pipe(two), 0);
}

static void make_pair(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
}

static void with_time(int what)
{
	struct timeval tv = { .tv_sec = 3600 };

	assert_int_equal(setsockopt(two[0], SOL_SOCKET, what, &tv, sizeof tv), 0);
}

static void make_timed_pair(void)
{
	make_pair();
	with_time(SO_RCVTIMEO);
}

static void make_full_pair(void)
{
	char block[4096] = { 0 };

	make_pair();
	while (send(two[0], block, sizeof block, MSG_DONTWAIT) > 0)
		;
	with_time(SO_SNDTIMEO);
}

static void make_listener(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	two[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	two[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	/* A name that the system chooses. */
	assert_int_equal(bind(two[0], (struct sockaddr *)&any, sizeof any.sun_family), 0);
	assert_int_equal(listen(two[0], 1), 0);
}

static void make_timed_listener(void)
{
	make_listener();
	with_time(SO_RCVTIMEO);
}

static void make_epoll(void)
{
	two[0] = epoll_create1(0);
	two[1] = -1;
	assert_true(two[0] >= 0);
}

static void make_sem(void)
{
	assert_int_equal(sem_init(&sem, 0, 0), 0);
}

static void make_msg(void)
{
	id = msgget(IPC_PRIVATE, 0600);
	assert_true(id >= 0);
}

static void make_semop(void)
{
	id = semget(IPC_PRIVATE, 1, 0600);
	assert_true(id >= 0);
}

static void make_lock(void)
{
	two[0] = open("/proc/self/exe", O_RDONLY);
	two[1] = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(flock(two[0], LOCK_EX), 0);
}

static void make_child(void)
{
	make_pipe();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char c;

		close(two[1]);
		while (read(two[0], &c, 1) < 0)
			;
		_exit(0);
	}
}

static void nothing(void)
{
}

static void drop_msg(void)
{
	msgctl(id, IPC_RMID, NULL);
}

static void drop_semop(void)
{
	semctl(id, 0, IPC_RMID);
}

static void drop_two(void)
{
	close(two[0]);
	if (two[1] >= 0)
		close(two[1]);
}

static char byte;

static int call_read(void) { return (int)read(two[0], &byte, 1); }
static int call_recv(void) { return (int)recv(two[0], &byte, 1, 0); }
static int call_accept(void) { return accept(two[0], NULL, NULL); }
static int call_wait(void) { return waitpid(child, NULL, 0); }
static int call_flock(void) { return flock(two[1], LOCK_EX); }
static int call_sem(void) { return sem_wait(&sem); }
static int call_nanosleep(void) { return nanosleep(&hour, NULL); }
static int call_clock(void) { errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, NULL); return -(errno != 0); }
static int call_usleep(void) { return usleep(3600000000u); }
static int call_sleep(void) { errno = EINTR; return -(sleep(3600) != 0); }
static int call_poll(void) { return poll(NULL, 0, -1); }
static int call_ppoll(void) { return ppoll(NULL, 0, &hour, NULL); }
static int call_select(void) { return select(0, NULL, NULL, NULL, NULL); }
static int call_pselect(void) { return pselect(0, NULL, NULL, NULL, &hour, NULL); }
static int call_epoll(void) { struct epoll_event e; return epoll_wait(two[0], &e, 1, -1); }
static int call_pause(void) { return pause(); }
static int call_send(void) { return (int)send(two[0], &byte, 1, 0); }

static int call_sigsuspend(void)
{
	sigset_t none;

	pthread_sigmask(SIG_SETMASK, NULL, &none);
	return sigsuspend(&none);
}

static sigset_t user2; /* blocked in all threads */

static int call_sigtimedwait(void)
{
	return sigtimedwait(&user2, NULL, &hour);
}

static int call_msgrcv(void)
{
	struct { long type; char text[1]; } m;

	return (int)msgrcv(id, &m, sizeof m.text, 0, 0);
}

static int call_semop(void)
{
	struct sembuf op = { .sem_op = -1 };

	return semop(id, &op, 1);
}

static int call_sem_timed(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += 3600;
	return sem_timedwait(&sem, &at);
}

static void let_byte(void) { assert_int_equal(write(two[1], "x", 1), 1); }
static void let_unlock(void) { assert_int_equal(flock(two[0], LOCK_UN), 0); }
static void let_post(void) { assert_int_equal(sem_post(&sem), 0); }

static void let_signal(void) { assert_int_equal(kill(getpid(), SIGUSR2), 0); }

static void let_connect(void)
{
	struct sockaddr_un name;
	socklen_t n = sizeof name;

	assert_int_equal(getsockname(two[0], (struct sockaddr *)&name, &n), 0);
	assert_int_equal(connect(two[1], (struct sockaddr *)&name, n), 0);
}

/* release NULL: it ends with EINTR. */
static const struct kind {
	const char *name;
	void (*make)(void);
	int (*call)(void);
	void (*release)(void);
	void (*drop)(void);
	bool either; /* musl calls the system again: it may end with EINTR */
} kinds[] = {
	{ "read", make_pipe, call_read, let_byte, drop_two },
	{ "recv", make_pair, call_recv, let_byte, drop_two },
	{ "accept", make_listener, call_accept, let_connect, drop_two },
	{ "waitpid", make_child, call_wait, let_byte, drop_two },
	{ "flock", make_lock, call_flock, let_unlock, drop_two },
	{ "sem_wait", make_sem, call_sem, let_post, nothing },
	{ "nanosleep", nothing, call_nanosleep, NULL, nothing },
	{ "clock_nanosleep", nothing, call_clock, NULL, nothing },
	{ "usleep", nothing, call_usleep, NULL, nothing },
	{ "sleep", nothing, call_sleep, NULL, nothing },
	{ "poll", nothing, call_poll, NULL, nothing },
	{ "ppoll", nothing, call_ppoll, NULL, nothing },
	{ "select", nothing, call_select, NULL, nothing },
	{ "pselect", nothing, call_pselect, NULL, nothing },
	{ "epoll_wait", make_epoll, call_epoll, NULL, drop_two },
	{ "pause", nothing, call_pause, NULL, nothing },
	{ "sigsuspend", nothing, call_sigsuspend, NULL, nothing },
	{ "sigtimedwait", nothing, call_sigtimedwait, let_signal, nothing, true },
	{ "msgrcv", make_msg, call_msgrcv, NULL, drop_msg },
	{ "semop", make_semop, call_semop, NULL, drop_semop },
	{ "sem_timedwait", make_sem, call_sem_timed, let_post, nothing, true },
	{ "recv with SO_RCVTIMEO", make_timed_pair, call_recv, NULL, drop_two },
	{ "accept with SO_RCVTIMEO", make_timed_listener, call_accept, NULL, drop_two },
	{ "send with SO_SNDTIMEO", make_full_pair, call_send, NULL, drop_two },
};

static be_preempt pre;
static rt_atomic32 attached, over, stops;
static int result, error;

static int decide(be_preempt *t, const be_preempt_at *at)
{
	(void)t;
	(void)at;
	rt_add32_full(&stops, 1);
	return BE_PREEMPT_GO;
}

static void caller(void *arg)
{
	const struct kind *k = arg;

	if (be_preempt_attach(&pre) != 0)
		abort();
	rt_store32_rel(&attached, 1);
	errno = 0;
	result = k->call();
	error = errno;
	be_preempt_detach(&pre);
	rt_store32_rel(&over, 1);
}

static void stop_it(void)
{
	uint32_t n = rt_load32_acq(&stops);

	while (rt_load32_acq(&over) == 0 && !be_preempt_sleeps(&pre))
		be_thread_yield();
	if (rt_load32_acq(&over) == 0 && be_preempt_stop(&pre) == 0)
		while (rt_load32_acq(&stops) == n && rt_load32_acq(&over) == 0)
			be_thread_yield();
}

static void check(const struct kind *k)
{
	be_thread t;

	k->make();
	rt_store32_rel(&attached, 0);
	rt_store32_rel(&over, 0);
	assert_int_equal(be_thread_start(&t, caller, (void *)k, 0), 0);
	while (rt_load32_acq(&attached) == 0)
		be_thread_yield();
	for (int i = 0; i < 5 && rt_load32_acq(&over) == 0; i++)
		stop_it();
	if (k->release != NULL && rt_load32_acq(&over) == 0)
		k->release();
	/* One that slept elsewhere, before the call, is stopped again. */
	while (k->release == NULL && rt_load32_acq(&over) == 0)
		stop_it();
	be_thread_join(&t);
	if (k->release != NULL && result < 0 && !(k->either && error == EINTR))
		fail_msg("%s: errno %d", k->name, error);
	if (k->release == NULL && (result >= 0 || error != EINTR))
		fail_msg("%s: returned %d, errno %d", k->name, result, error);
	k->drop();
}

static void test_calls(void **state)
{
	(void)state;
	if (strcmp(be_preempt_name, "signal") != 0)
		skip();
	assert_int_equal(be_preempt_init(decide), 0);
	sigemptyset(&user2);
	sigaddset(&user2, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &user2, NULL), 0);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		check(&kinds[i]);
	be_preempt_fini();
}
#else
static void test_calls(void **state)
{
	(void)state;
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_calls) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
