/* seeded.c: see seeded.h. */
#include "tests/support/seeded.h"

#include <string.h>

/* ---- Channels and select --------------------------------------------------------------------- */

enum { FEEDERS = 3, EACH = 6 };

typedef struct pipe {
	gort_chan *numbers, *squares, *quit;
	gort_waitgroup feeding, squaring;
} pipe;

static void feed(void *arg)
{
	pipe *p = arg;

	for (int64_t i = 1; i <= EACH; i++)
		gort_chan_send(p->numbers, &i);
	gort_waitgroup_done(&p->feeding);
}

static void square(void *arg)
{
	pipe *p = arg;

	for (;;) {
		int64_t n = 0;
		gort_select_case cases[] = {
			{ .chan = p->numbers, .dir = GORT_RECV, .elem = &n },
			{ .chan = p->quit, .dir = GORT_RECV },
		};

		if (gort_select(cases, 2, GORT_FOREVER) == 1)
			break;
		n *= n;
		gort_chan_send(p->squares, &n);
	}
	gort_waitgroup_done(&p->squaring);
}

static void close_when_fed(void *arg)
{
	pipe *p = arg;

	gort_waitgroup_wait(&p->feeding);
	gort_chan_close(p->quit);
	gort_waitgroup_wait(&p->squaring);
	gort_chan_close(p->squares);
}

static void pipeline(void *arg)
{
	pipe p = { 0 };
	int64_t sum = 0, n;

	(void)arg;
	p.numbers = gort_chan_make(GORT_TYPE(int64_t), 0);
	p.squares = gort_chan_make(GORT_TYPE(int64_t), 2);
	p.quit = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_waitgroup_add(&p.feeding, FEEDERS);
	gort_waitgroup_add(&p.squaring, 2);
	for (int i = 0; i < FEEDERS; i++)
		gort_go(feed, &p);
	gort_go(square, &p);
	gort_go(square, &p);
	gort_go(close_when_fed, &p);
	while (gort_chan_recv(p.squares, &n))
		sum += n;
	gort_trace_mark("sum", (uint64_t)sum);
	if (sum != FEEDERS * EACH * (EACH + 1) * (2 * EACH + 1) / 6)
		gort_panics("wrong sum");
}

/* ---- Locks ----------------------------------------------------------------------------------- */

enum { WORKERS = 4, TURNS = 5 };

typedef struct bank {
	gort_mutex lock;
	gort_rwmutex table;
	gort_cond changed;
	gort_sema places;
	gort_waitgroup done;
	int64_t balance, read;
} bank;

static void work(void *arg)
{
	bank *b = arg;

	for (int i = 0; i < TURNS; i++) {
		gort_sema_acquire(&b->places);
		gort_mutex_lock(&b->lock);
		b->balance++;
		gort_cond_broadcast(&b->changed);
		gort_mutex_unlock(&b->lock);
		gort_sema_release(&b->places);
		gort_rwmutex_rlock(&b->table);
		b->read++;
		gort_rwmutex_runlock(&b->table);
		if (i == 2)
			gort_gosched();
	}
	gort_waitgroup_done(&b->done);
}

static void audit(void *arg)
{
	bank *b = arg;

	gort_mutex_lock(&b->lock);
	while (b->balance < WORKERS * TURNS / 2)
		gort_cond_wait(&b->changed, &b->lock);
	gort_trace_mark("half", (uint64_t)b->balance);
	gort_mutex_unlock(&b->lock);
	gort_rwmutex_lock(&b->table);
	gort_trace_mark("read", (uint64_t)b->read);
	gort_rwmutex_unlock(&b->table);
	gort_waitgroup_done(&b->done);
}

static void locks(void *arg)
{
	bank b = { 0 };

	(void)arg;
	gort_sema_release(&b.places);
	gort_sema_release(&b.places);
	gort_waitgroup_add(&b.done, WORKERS + 1);
	gort_go(audit, &b);
	for (int i = 0; i < WORKERS; i++)
		gort_go(work, &b);
	gort_waitgroup_wait(&b.done);
	if (b.balance != WORKERS * TURNS || b.read != WORKERS * TURNS)
		gort_panics("wrong balance");
}

/* ---- Time, groups, panics -------------------------------------------------------------------- */

enum { SLEEPERS = 4 };

typedef struct clockwork {
	gort_chan *ticks;
	gort_mutex lock;
	int64_t late, fired, panics;
	gort_waitgroup done;
} clockwork;

static void boom(void *arg)
{
	(void)arg;
	gort_panics("boom");
}

static void sleeper(void *arg)
{
	clockwork *c = arg;

	for (int i = 0; i < 4; i++) {
		int64_t until = gort_nanotime() + GORT_MILLISECOND;

		gort_sleep_until(until);
		gort_mutex_lock(&c->lock);
		c->late += gort_nanotime() - until;
		gort_mutex_unlock(&c->lock);
		if (gort_try(boom, NULL, NULL)) {
			gort_mutex_lock(&c->lock);
			c->panics++;
			gort_mutex_unlock(&c->lock);
		}
	}
	gort_waitgroup_done(&c->done);
}

static void fire(void *arg)
{
	clockwork *c = arg;

	gort_mutex_lock(&c->lock);
	c->fired++;
	gort_mutex_unlock(&c->lock);
	gort_waitgroup_done(&c->done);
}

static void patient(void *arg)
{
	clockwork *c = arg;
	int64_t tick;
	int r, timeouts = 0;

	/* Nobody sends: each time it is the deadline, and at 2 and 4 ms other timers are due as well. */
	for (int i = 0; i < 5; i++) {
		r = gort_chan_recv_until(c->ticks, &tick, gort_nanotime() + GORT_MILLISECOND);
		timeouts += r == GORT_ETIMEDOUT;
	}
	gort_trace_mark("timeouts", (uint64_t)timeouts);
	gort_waitgroup_done(&c->done);
}

static void timers(void *arg)
{
	clockwork c = { 0 };

	(void)arg;
	c.ticks = gort_chan_make(GORT_TYPE(int64_t), 0);
	gort_waitgroup_add(&c.done, SLEEPERS + 3);
	(void)gort_after_func(2 * GORT_MILLISECOND, fire, &c);
	(void)gort_after_func(2 * GORT_MILLISECOND, fire, &c);
	gort_go(patient, &c);
	for (int i = 0; i < SLEEPERS; i++)
		gort_go(sleeper, &c);
	gort_waitgroup_wait(&c.done);
	if (c.late != 0 || c.fired != 2 || c.panics != 4 * SLEEPERS)
		gort_panics("wrong time");
}

const program programs[] = {
	{ "pipeline", pipeline, 0 },
	{ "locks", locks, 0 },
	{ "timers", timers, 0 },
	{ NULL, NULL, 0 },
};

/* ---- What is planted ------------------------------------------------------------------------- */

/* The flag is looked at, and the wait begins only later: a wake-up in between is lost. */
typedef struct mailbox {
	gort_mutex lock;
	gort_cond filled;
	bool full;
} mailbox;

static void deliver(void *arg)
{
	mailbox *m = arg;

	gort_gosched();
	gort_mutex_lock(&m->lock);
	m->full = true;
	gort_mutex_unlock(&m->lock);
	gort_cond_signal(&m->filled);
}

static void lost_wakeup(void *arg)
{
	mailbox m = { 0 };
	bool full;

	(void)arg;
	gort_go(deliver, &m);
	gort_mutex_lock(&m.lock);
	full = m.full;
	gort_mutex_unlock(&m.lock);
	if (!full) {
		gort_mutex_lock(&m.lock);
		gort_cond_wait(&m.filled, &m.lock);
		gort_mutex_unlock(&m.lock);
	}
}

typedef struct forks {
	gort_mutex a, b;
	gort_waitgroup done;
} forks;

static void a_then_b(void *arg)
{
	forks *f = arg;

	gort_mutex_lock(&f->a);
	gort_mutex_lock(&f->b);
	gort_mutex_unlock(&f->b);
	gort_mutex_unlock(&f->a);
	gort_waitgroup_done(&f->done);
}

static void b_then_a(void *arg)
{
	forks *f = arg;

	gort_mutex_lock(&f->b);
	gort_mutex_lock(&f->a);
	gort_mutex_unlock(&f->a);
	gort_mutex_unlock(&f->b);
	gort_waitgroup_done(&f->done);
}

static void abba(void *arg)
{
	forks f = { 0 };

	(void)arg;
	gort_waitgroup_add(&f.done, 2);
	gort_go(a_then_b, &f);
	gort_go(b_then_a, &f);
	gort_waitgroup_wait(&f.done);
}

typedef struct account {
	gort_mutex lock;
	int64_t balance;
	gort_waitgroup done;
} account;

/* Locked both times, but not in between. */
static void withdraw(void *arg)
{
	account *a = arg;
	bool enough;

	gort_mutex_lock(&a->lock);
	enough = a->balance >= 60;
	gort_mutex_unlock(&a->lock);
	if (enough) {
		gort_mutex_lock(&a->lock);
		a->balance -= 60;
		gort_mutex_unlock(&a->lock);
	}
	gort_waitgroup_done(&a->done);
}

static void check_then_act(void *arg)
{
	account a = { .balance = 100 };

	(void)arg;
	gort_waitgroup_add(&a.done, 2);
	gort_go(withdraw, &a);
	gort_go(withdraw, &a);
	gort_waitgroup_wait(&a.done);
	if (a.balance < 0)
		gort_panics("overdrawn");
}

const program planted[] = {
	[LOST_WAKEUP] = { "lost wake-up", lost_wakeup, GORT_EDEADLOCK },
	[ABBA] = { "ABBA", abba, GORT_EDEADLOCK },
	[CHECK_THEN_ACT] = { "check then act", check_then_act, GORT_EPANIC },
	{ NULL, NULL, 0 },
};

/* ---- Runs ------------------------------------------------------------------------------------ */

int hash_writer(void *data, const void *text, size_t n)
{
	const unsigned char *c = text;
	uint64_t *h = data;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ c[i]) * UINT64_C(0x100000001b3);
	return 0;
}

int start_schedule_trace(gort_runtime *rt, gort_trace_buffer *buffer)
{
	gort_trace_listener l = *gort_trace_buffer_listener(buffer);

	l.groups = GORT_TRACE_SCHED | GORT_TRACE_SYNC | GORT_TRACE_TIMER | GORT_TRACE_USER;
	return gort_trace_start(rt, &l);
}

int run_written(gort_func main, uint64_t seed, const char *options, gort_writer write, void *data)
{
	gort_trace_buffer *buffer;
	gort_config cfg;
	gort_runtime *rt;
	int r, err;

	gort_config_init(&cfg);
	err = options != NULL ? gort_config_parse(&cfg, options) : 0;
	if (err != 0)
		return err;
	cfg.seed = seed;
	err = gort_runtime_new(&rt, &cfg);
	if (err != 0)
		return err;
	err = gort_trace_buffer_new(&buffer, 0);
	if (err != 0)
		return err;
	err = start_schedule_trace(rt, buffer);
	r = gort_runtime_run(rt, main, NULL);
	if (err == 0)
		err = gort_trace_stop(rt);
	if (err == 0)
		err = gort_trace_buffer_write(buffer, GORT_TRACE_SCHEDULE, write, data);
	gort_trace_buffer_free(buffer);
	if (err == 0)
		err = gort_runtime_free(rt);
	return err != 0 ? err : r;
}
