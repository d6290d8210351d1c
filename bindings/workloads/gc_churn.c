/* A cache that is always full: workers, each with an ordered map of entries from key to data, put in a new entry and
 * throw out their oldest, again and again. What lives stays the same, and all that is allocated becomes garbage
 * later, from everywhere in the map: the usual diet of a collector. What a run shows is the price of collections:
 * the smaller the heap that GOGC allows, the more of them.
 *
 * The map is a treap: a search tree in order of keys, and a heap by numbers drawn at random, which keeps it shallow. An
 * entry and its data are two objects, 256 bytes together; the data has no pointers. Keys are scattered numbers of a
 * sequence, so that the oldest is known without being remembered. */
#include "bindings/workloads/common.h"

enum { DATA = 208 / sizeof(uint64_t), PER_MIB = (1 << 20) / 256, BATCH = 256 };

typedef struct entry {
	uint64_t key, priority;
	struct entry *left, *right;
	uint64_t *data;
} entry;
GORT_DEFINE_TYPE(entry, GORT_FIELD(entry, key, uint64_t), GORT_FIELD(entry, priority, uint64_t), GORT_PTR(entry, left),
                 GORT_PTR(entry, right), GORT_PTR(entry, data));

typedef struct cache {
	entry *root;
	workload_call *call;      /* the caller's memory, not the heap's */
	gort_waitgroup *running;  /* on the stack of main */
	uint64_t number;          /* which worker */
	uint64_t size, steps;     /* entries that are kept; that are put in when it is full */
	uint64_t intact;          /* out: entries that were found as they were left */
} cache;
GORT_DEFINE_TYPE(cache, GORT_PTR(cache, root));

/* Bijective, so that no two keys of a worker are equal. */
static uint64_t scatter(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t key_of(const cache *c, uint64_t i)
{
	return scatter(i ^ c->number << 48);
}

/* Cuts t into what is before the key and what is behind it. */
static void split(entry *t, uint64_t key, entry **before, entry **behind)
{
	while (t) {
		if (t->key < key) {
			gort_store(before, t);
			before = &t->right;
			t = t->right;
		} else {
			gort_store(behind, t);
			behind = &t->left;
			t = t->left;
		}
	}
	gort_store(before, NULL);
	gort_store(behind, NULL);
}

/* All of a is before all of b. */
static void join(entry **at, entry *a, entry *b)
{
	while (a && b) {
		if (a->priority > b->priority) {
			gort_store(at, a);
			at = &a->right;
			a = a->right;
		} else {
			gort_store(at, b);
			at = &b->left;
			b = b->left;
		}
	}
	gort_store(at, a ? a : b);
}

static void insert(cache *c, uint64_t key)
{
	entry *e = gort_new(GORT_TYPE(entry));
	e->key = key;
	e->priority = scatter(~key);
	gort_store(&e->data, gort_alloc(DATA * sizeof *e->data, GORT_NOSCAN));
	for (int i = 0; i < DATA; i++)
		e->data[i] = key + (uint64_t)i;
	entry **at = &c->root;
	while (*at && (*at)->priority > e->priority)
		at = key < (*at)->key ? &(*at)->left : &(*at)->right;
	split(*at, key, &e->left, &e->right);
	gort_store(at, e);
}

/* Whether it was there, as it was put in. */
static bool take_out(cache *c, uint64_t key)
{
	entry **at = &c->root;
	while (*at && (*at)->key != key)
		at = key < (*at)->key ? &(*at)->left : &(*at)->right;
	entry *e = *at;
	if (!e)
		return false;
	join(at, e->left, e->right);
	for (int i = 0; i < DATA; i++)
		if (e->data[i] != key + (uint64_t)i)
			return false;
	return true;
}

static void work(void *arg)
{
	cache *c = arg;
	for (uint64_t i = 0; i < c->size + c->steps; i++) {
		insert(c, key_of(c, i));
		if (i >= c->size && take_out(c, key_of(c, i - c->size)))
			c->intact++;
		if (i % BATCH == BATCH - 1)
			workload_step(c->call, BATCH);
	}
	gort_waitgroup_done(c->running);
}

static void gc_churn(void *arg)
{
	workload_call *call = arg;
	const uint64_t live = (uint64_t)call->params[0] * PER_MIB, churn = (uint64_t)call->params[1] * PER_MIB;
	const uint64_t n = (uint64_t)call->params[2];
	gort_waitgroup running = GORT_INIT;
	workload_set_total(call, live + churn);
	cache *c = gort_new_array(GORT_TYPE(cache), n);
	gort_waitgroup_add(&running, (int)n);
	for (uint64_t i = 0; i < n; i++) {
		c[i].call = call;
		c[i].running = &running;
		c[i].number = i;
		c[i].size = live * (i + 1) / n - live * i / n;
		c[i].steps = churn * (i + 1) / n - churn * i / n;
		workload_go(work, &c[i]);
	}
	gort_waitgroup_wait(&running);
	for (uint64_t i = 0; i < n; i++)
		call->value += (int64_t)c[i].intact;
}

static const workload_param params[] = {
	{ "live", 16, 1, 65536, "MiB of entries that are kept" },
	{ "churn", 128, 0, 1048576, "MiB of entries that are put in, and as many thrown out, when it is full" },
	{ "workers", 4, 1, 1024, "goroutines, each with a part of it" },
};
const workload workload_gc_churn = {
	.name = "gc_churn", .summary = "a full cache: what lives stays the same while entries come and go",
	.value = "entries that were thrown out intact: 4096 * churn", .params = params, .nparams = NPARAMS(params),
	.main = gc_churn,
};
