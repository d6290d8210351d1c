/* chanmodel.c: random commands on channels, compared with a sequential model. chanmodel [SECONDS
 * [SEED]] prints its seed.
 *
 * On one P, main orders one of several actors to do one thing: a send, a receive, a select of up
 * to six cases, blocking, with a far deadline or with default, or a close. Then it yields until
 * everybody is parked or idle again, and asks the model what must have happened: who is served
 * (the first in the channel's queue), with which value and in which case, who panics, who still
 * waits. Only the case that a select draws is free; the model checks that it was ready and
 * follows. */
#include "core/base/rand.h"

#include <gort.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANS = 4, ACTORS = 7, CASES = 6, BUFFER = 3, ROUND = 400 };
enum { PANICKED = -100, BUSY = -101 }; /* results besides gort_select's */

typedef struct actor {
	gort_chan *order;
	gort_select_case k[CASES];
	int where[CASES]; /* index of the channel; -1 = NULL */
	int64_t v[CASES]; /* sent or received */
	int n, form;      /* form: how a single case is done */
	int64_t deadline;
	int result;       /* BUSY while it is at it */
	/* the model's */
	int expected;     /* BUSY: it must still wait */
	int64_t value;    /* to be received in that case */
	bool ok;
} actor;

typedef struct place { /* in a queue of the model */
	int actor, kase;
} place;

typedef struct chan {
	gort_chan *c;
	int cap, len, nq[3];
	int64_t buf[BUFFER];
	bool closed;
	place q[3][ACTORS * CASES]; /* [GORT_SEND], [GORT_RECV] */
} chan;

static actor actors[ACTORS];
static chan chans[CHANS];
static rt_rand dice;
static int64_t next_value, stop_at, steps;
static gort_runtime *runtime;

static int roll(int n)
{
	return (int)rt_rand_below(&dice, (uint32_t)n);
}

_Noreturn static void wrong(const actor *a, const char *what)
{
	fprintf(stderr, "chanmodel: step %lld, actor %d: %s: %d cases, result %d, expected %d\n",
	        (long long)steps, (int)(a - actors), what, a->n, a->result, a->expected);
	exit(1);
}

/* ---- Actors ---------------------------------------------------------------------------------- */

static int plain(actor *a)
{
	gort_select_case *k = &a->k[0];
	int r;

	if (k->dir == GORT_SEND) {
		if (a->deadline == 0)
			return gort_chan_try_send(k->chan, k->elem) ? 0 : GORT_EAGAIN;
		if (a->deadline != GORT_FOREVER)
			return gort_chan_send_until(k->chan, k->elem, a->deadline);
		gort_chan_send(k->chan, k->elem);
		return 0;
	}
	if (a->deadline == GORT_FOREVER) {
		k->ok = gort_chan_recv(k->chan, k->elem);
		return 0;
	}
	r = a->deadline == 0 ? gort_chan_try_recv(k->chan, k->elem)
	                     : gort_chan_recv_until(k->chan, k->elem, a->deadline);
	k->ok = r == 0;
	return r == GORT_ECLOSED ? 0 : r;
}

static void perform(void *arg)
{
	actor *a = arg;

	a->result = a->n == 1 && a->form ? plain(a) : gort_select(a->k, (size_t)a->n, a->deadline);
}

static void act(void *arg)
{
	actor *a = arg;

	while (gort_chan_recv(a->order, NULL))
		if (gort_try(perform, a, NULL) != 0)
			a->result = PANICKED;
}

/* ---- The model ------------------------------------------------------------------------------- */

static bool ready(const actor *a, int i)
{
	const chan *c;

	if (a->where[i] < 0)
		return false;
	c = &chans[a->where[i]];
	if (a->k[i].dir == GORT_SEND)
		return c->closed || c->len < c->cap || c->nq[GORT_RECV] > 0;
	return c->closed || c->len > 0 || c->nq[GORT_SEND] > 0;
}

static void leave_queues(int who)
{
	for (int i = 0; i < CHANS; i++)
		for (int dir = GORT_SEND; dir <= GORT_RECV; dir++) {
			int kept = 0;

			for (int j = 0; j < chans[i].nq[dir]; j++)
				if (chans[i].q[dir][j].actor != who)
					chans[i].q[dir][kept++] = chans[i].q[dir][j];
			chans[i].nq[dir] = kept;
		}
}

static void serve(place at, int64_t value, bool ok, bool panics)
{
	actor *a = &actors[at.actor];

	a->expected = panics ? PANICKED : at.kase;
	a->value = value;
	a->ok = ok;
	leave_queues(at.actor);
}

static int64_t take(chan *c)
{
	int64_t v = c->buf[0];

	memmove(c->buf, c->buf + 1, sizeof c->buf - sizeof *c->buf);
	c->len--;
	return v;
}

static void model_send(actor *a, int i)
{
	chan *c = &chans[a->where[i]];
	place me = { (int)(a - actors), i };

	if (!c->closed) {
		if (c->nq[GORT_RECV] > 0)
			serve(c->q[GORT_RECV][0], a->v[i], true, false);
		else
			c->buf[c->len++] = a->v[i];
	}
	serve(me, a->v[i], false, c->closed);
}

static void model_recv(actor *a, int i)
{
	chan *c = &chans[a->where[i]];
	place me = { (int)(a - actors), i };
	bool sender = c->nq[GORT_SEND] > 0;
	place at = c->q[GORT_SEND][0];
	int64_t theirs = sender ? actors[at.actor].v[at.kase] : 0;

	if (c->len > 0) {
		serve(me, take(c), true, false);
		if (sender)
			c->buf[c->len++] = theirs;
	} else {
		serve(me, theirs, sender, false);
	}
	if (sender)
		serve(at, theirs, false, false);
}

static void model_close(chan *c)
{
	c->closed = true;
	for (int dir = GORT_RECV; dir >= GORT_SEND; dir--)
		while (c->nq[dir] > 0)
			serve(c->q[dir][0], 0, false, dir == GORT_SEND);
}

static void model_wait(actor *a)
{
	for (int i = 0; i < a->n; i++) {
		int w = a->where[i], dir = a->k[i].dir;

		if (w >= 0)
			chans[w].q[dir][chans[w].nq[dir]++] = (place){ (int)(a - actors), i };
	}
	a->expected = BUSY;
}

/* After the actor did, or did not do, its command. */
static void model_command(actor *a)
{
	bool any = false, closed = false;

	for (int i = 0; i < a->n; i++)
		if (ready(a, i)) {
			any = true;
			closed |= a->k[i].dir == GORT_SEND && chans[a->where[i]].closed;
		}
	if (!any && a->deadline == 0) {
		a->expected = GORT_EAGAIN;
	} else if (!any) {
		model_wait(a);
	} else if (a->result == PANICKED) {
		if (!closed)
			wrong(a, "panic without a reason");
		a->expected = PANICKED;
	} else {
		if (a->result < 0 || a->result >= a->n || !ready(a, a->result))
			wrong(a, "a case that is not ready");
		if (a->k[a->result].dir == GORT_SEND)
			model_send(a, a->result);
		else
			model_recv(a, a->result);
	}
}

static void compare(const actor *a)
{
	int r = a->result;

	if (r != a->expected)
		wrong(a, "result");
	if (r < 0 || a->k[r].dir != GORT_RECV)
		return;
	if (a->k[r].ok != a->ok)
		wrong(a, "ok");
	if (a->k[r].elem != NULL && a->v[r] != a->value)
		wrong(a, "value");
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void settle(void)
{
	for (int i = 0; i < 5; i++)
		gort_gosched();
}

static void command(actor *a)
{
	a->n = roll(3) == 0 ? 1 : 1 + roll(CASES);
	a->form = roll(2);
	a->deadline = roll(3) == 0   ? 0
	              : roll(2) == 0 ? GORT_FOREVER
	                             : gort_nanotime() + 10000 * GORT_SECOND;
	for (int i = 0; i < a->n; i++) {
		int w = roll(CHANS + 1) - 1;

		a->where[i] = w;
		a->v[i] = ++next_value;
		a->k[i] = (gort_select_case){ w < 0 ? NULL : chans[w].c, &a->v[i],
			                      roll(2) ? GORT_SEND : GORT_RECV, false };
		if (a->k[i].dir == GORT_RECV && roll(8) == 0)
			a->k[i].elem = NULL;
	}
	a->result = BUSY;
	gort_chan_send(a->order, &next_value);
	settle();
	model_command(a);
}

static void step(void)
{
	actor *a = &actors[roll(ACTORS)];
	chan *c = &chans[roll(CHANS)];

	steps++;
	if (roll(60) == 0 && !c->closed) {
		gort_chan_close(c->c);
		settle();
		model_close(c);
	} else if (a->result != BUSY) {
		command(a);
	}
	for (int i = 0; i < ACTORS; i++)
		compare(&actors[i]);
	for (int i = 0; i < CHANS; i++)
		if (gort_chan_len(chans[i].c) != (size_t)chans[i].len)
			wrong(a, "length of a channel");
}

/* The run ends with some of them waiting. */
static void rounds(void *arg)
{
	(void)arg;
	memset(actors, 0, sizeof actors);
	memset(chans, 0, sizeof chans);
	for (int i = 0; i < CHANS; i++) {
		chans[i].cap = roll(BUFFER + 1);
		chans[i].c = gort_chan_make(GORT_TYPE(int64_t), (size_t)chans[i].cap);
	}
	for (int i = 0; i < ACTORS; i++) {
		actors[i].order = gort_chan_make(GORT_TYPE(int64_t), 0);
		if (gort_go(act, &actors[i]) != 0)
			exit(1);
	}
	settle();
	for (int i = 0; i < ROUND; i++)
		step();
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)gort_nanotime();
	gort_config cfg;
	int r = 0;

	printf("chanmodel: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rt_rand_seed(&dice, seed);
	gort_config_init(&cfg);
	cfg.debug = "asyncpreemptoff=1,slice=1000000000"; /* a yield is the only change of turns */
	cfg.procs = 1;
	cfg.flags |= GORT_SCAN_DATA;
	if (gort_runtime_new(&runtime, &cfg) != 0)
		return 1;
	stop_at = gort_nanotime() + (int64_t)(seconds * (double)GORT_SECOND);
	while (r == 0 && gort_nanotime() < stop_at)
		r = gort_runtime_run(runtime, rounds, NULL);
	if (r != 0)
		fprintf(stderr, "chanmodel: %s: %s\n", gort_strerror(r), gort_runtime_error(runtime));
	printf("chanmodel: %lld steps\n", (long long)steps);
	return gort_runtime_free(runtime) != 0 || r != 0;
}
