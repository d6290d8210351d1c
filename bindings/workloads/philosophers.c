/* Dining philosophers: as many forks, each a mutex, and each needs the two beside him. Who all take the left one first
 * may wait for each other in a circle; that takes a schedule in which all have one before anyone has two. */
#include "bindings/workloads/common.h"

typedef struct fork {
	gort_mutex taken;
} fork;
GORT_DEFINE_TYPE(fork, GORT_NO_FIELDS);

typedef struct table {
	gort_waitgroup eating; /* first: its address is the table's */
	workload_call *call;
	fork *forks;
	int64_t n, rounds, meals;
	bool left_first;
} table;
GORT_DEFINE_TYPE(table, GORT_PTR(table, forks));

typedef struct seat {
	table *at;
	int64_t i;
} seat;
GORT_DEFINE_TYPE(seat, GORT_PTR(seat, at));

static void philosopher(void *arg)
{
	seat *s = arg;
	table *t = s->at;
	gort_mutex *left = &t->forks[s->i].taken, *right = &t->forks[(s->i + 1) % t->n].taken;
	bool turned = !t->left_first && s->i == t->n - 1;

	for (int64_t k = 0; k < t->rounds; k++) {
		gort_mutex_lock(turned ? right : left);
		gort_mutex_lock(turned ? left : right);
		__atomic_fetch_add(&t->meals, 1, __ATOMIC_RELAXED);
		workload_step(t->call, 1);
		gort_mutex_unlock(right);
		gort_mutex_unlock(left);
	}
	gort_waitgroup_done(&t->eating);
}

static void philosophers(void *arg)
{
	workload_call *call = arg;
	table *t = gort_new(GORT_TYPE(table));

	t->call = call;
	t->n = call->params[0];
	t->rounds = call->params[1];
	t->left_first = call->params[2] != 0;
	workload_set_total(call, (uint64_t)(t->n * t->rounds));
	gort_store(&t->forks, gort_new_array(GORT_TYPE(fork), (size_t)t->n));
	gort_waitgroup_add(&t->eating, (int)t->n);
	for (int64_t i = 0; i < t->n; i++) {
		seat *s = gort_new(GORT_TYPE(seat));

		s->i = i;
		gort_store(&s->at, t);
		workload_go(philosopher, s);
	}
	gort_waitgroup_wait(&t->eating);
	call->value = t->meals;
}

static const workload_param params[] = {
	{ "n", 3, 2, 10000, "philosophers, and forks" },
	{ "rounds", 1, 1, 1000000, "how often each eats" },
	{ "left_first", 0, 0, 1, "1: all take the left fork first, and may wait for ever; 0: not the last one" },
};
const workload workload_philosophers = {
	.name = "philosophers", .summary = "n philosophers share n forks: mutexes, and a deadlock with left_first=1",
	.value = "meals", .params = params, .nparams = NPARAMS(params), .main = philosophers,
};
