/* fatal.c: the C half of fatal.go: the same functions under the same names. */
#include "tests/golden/golden.h"

static gort_chan *ch;
static gort_mutex mu;
static gort_waitgroup wg;

static gort_chan *chan(void)
{
	return gort_chan_make(GORT_TYPE(int), 0);
}

F(recovers)
{
	gort_eface v;

	if (gort_recover(&v)) {
		gort_string s = gort_panic_text(v);

		printf("recovered %.*s\n", (int)s.len, s.ptr);
	} else {
		puts("recovered <nil>");
	}
}

F(say_deferred) { puts("deferred"); }

static const int one = 1;

F(receive) { gort_chan_recv(ch, NULL); }
F(send) { gort_chan_send(ch, &one); }
F(lock) { gort_mutex_lock(&mu); }
F(wait) { gort_waitgroup_wait(&wg); }
F(receive_nil) { gort_chan_recv(NULL, NULL); }
F(send_nil) { gort_chan_send(NULL, &one); }

F(receive_deferred)
{
	gort_defer(say_deferred, NULL);
	gort_chan_recv(chan(), NULL);
}

F(in_main) { gort_chan_recv(ch, NULL); }
F(in_frames) { in_main(NULL); }

F(twice)
{
	gort_mutex_lock(&mu);
	gort_mutex_lock(&mu);
}

F(wait_main)
{
	gort_waitgroup_add(&wg, 1);
	gort_waitgroup_wait(&wg);
}

F(wired)
{
	gort_lock_os_thread();
	gort_chan_recv(ch, NULL);
}

F(unwired)
{
	gort_lock_os_thread();
	gort_unlock_os_thread();
	gort_chan_recv(ch, NULL);
}

F(all_kinds)
{
	gort_waitgroup_add(&wg, 1);
	gort_mutex_lock(&mu);
	gort_go(receive, NULL);
	gort_go(send_nil, NULL);
	gort_go(receive_nil, NULL);
	gort_go(lock, NULL);
	gort_go(wait, NULL);
	gort_go(wired, NULL);
	gort_sleep(20 * GORT_MILLISECOND);
	gort_chan_send(chan(), &one);
}

F(main_left)
{
	gort_go(wait, NULL);
	gort_waitgroup_add(&wg, 1);
	gort_goexit();
}

F(main_left_last)
{
	gort_go(receive_deferred, NULL);
	gort_goexit();
}

F(unlock)
{
	gort_defer(say_deferred, NULL);
	gort_defer(recovers, NULL);
	gort_mutex_unlock(&mu);
}

F(unlock_in_goroutine)
{
	gort_go(unlock, NULL);
	gort_chan_recv(ch, NULL);
}

F(negative_wait_group)
{
	gort_defer(say_deferred, NULL);
	gort_waitgroup_add(&wg, 1);
	gort_waitgroup_done(&wg);
	gort_waitgroup_done(&wg);
}

F(recovered_wait_group)
{
	gort_defer(recovers, NULL);
	gort_waitgroup_add(&wg, -1);
}

F(go_nil)
{
	gort_defer(recovers, NULL);
	gort_go(NULL, NULL);
}

F(slept)
{
	gort_sleep(GORT_MILLISECOND);
	gort_chan_recv(ch, NULL);
}

static const golden_case cases[] = {
	{ "receive", receive },
	{ "send", send },
	{ "receive_nil", receive_nil },
	{ "send_nil", send_nil },
	{ "receive_deferred", receive_deferred },
	{ "in_frames", in_frames },
	{ "twice", twice },
	{ "wait_main", wait_main },
	{ "wired", wired },
	{ "unwired", unwired },
	{ "all_kinds", all_kinds },
	{ "main_left", main_left },
	{ "main_left_last", main_left_last },
	{ "unlock", unlock },
	{ "unlock_in_goroutine", unlock_in_goroutine },
	{ "negative_wait_group", negative_wait_group },
	{ "recovered_wait_group", recovered_wait_group },
	{ "go_nil", go_nil },
	{ "slept", slept },
};

static void prepare(void)
{
	ch = chan();
	gort_gomaxprocs(1);
}

GOLDEN_MAIN(cases, prepare)
