/* graph: goroutines change random graphs under a collector; every node has a checksum.
 *
 * usage: graph SECONDS [PROCS [COLLECTOR [SEED [GODEBUG]]]]
 *
 * Each goroutine has a table of nodes (a heap object); a node has four edges and a payload without
 * pointers of random size, both summed up in the node. It makes nodes, links them, moves subgraphs
 * between slots, drops them, sends nodes to others over a channel, and walks at random, checking
 * each node. Edges are changed by gort_store, gort_swap, gort_cas, gort_move and gort_clear. A
 * freed node that is reached has a wrong sum (clobberfree makes that certain), or a payload of
 * another.
 *
 * A new node keeps what was there before it, so what can be reached grows. Every half second an epoch ends: each
 * goroutine forgets its table, and takes no node of another epoch into it.
 *
 * Some nodes have a weak handle, which must lead to them as long as anybody can ask. Each goroutine also has a
 * table of handles, from which it takes nodes back. Some nodes have a cleanup, and some a finalizer: these lead to
 * nodes of their own only, which get no further edges, so that no cycle keeps them. A finalizer finds all of that
 * intact, its handle cleared, and that it comes before those of the nodes that its own leads to; some of them
 * bring the node back. */
#include "core/include/gort.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { EDGES = 4, SLOTS = 64, WORKERS = 8, WALK = 30, EPOCH = 500 * 1000 * 1000 /* ns */ };
enum { FIXED = 1, FINAL = 2 }; /* node.kind: its edges stay; it has or had a finalizer */

typedef struct node {
	uint64_t magic, key;
	struct node *edge[EDGES];
	uint32_t *payload; /* [0]: its length, then words made of key */
	uint64_t sum;
	gort_weak *weak;   /* its own, or NULL */
	uint64_t kind, epoch;
} node;

GORT_DEFINE_TYPE(node, GORT_FIELD(node, magic, uint64_t), GORT_FIELD(node, key, uint64_t),
                 { "e0", offsetof(node, edge[0]), gort_type_of_void_ptr, NULL },
                 { "e1", offsetof(node, edge[1]), gort_type_of_void_ptr, NULL },
                 { "e2", offsetof(node, edge[2]), gort_type_of_void_ptr, NULL },
                 { "e3", offsetof(node, edge[3]), gort_type_of_void_ptr, NULL },
                 GORT_PTR(node, payload), GORT_FIELD(node, sum, uint64_t), GORT_PTR(node, weak),
                 GORT_FIELD(node, kind, uint64_t), GORT_FIELD(node, epoch, uint64_t));

typedef struct note { /* what a cleanup or finalizer is called with; no pointers */
	uint64_t key, sum;
	uint64_t before;   /* 1: the finalizer that comes before has run */
} note;

typedef struct worker {
	int number;
	uint64_t seed, steps, nodes, epoch;
	gort_chan *in, *out;
	gort_weak **weak;
} worker;

static int64_t until;
static worker workers[WORKERS]; /* a root: holds channels */
static uint64_t seed0;
static unsigned long cleaned, finalized, again; /* atomic */

static uint64_t next(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

static _Noreturn void bad(const node *n, const char *what)
{
	fprintf(stderr, "graph: seed %llu: node %p: %s\n", (unsigned long long)seed0, (const void *)n, what);
	abort();
}

static uint64_t sum_of(const node *n)
{
	return n->magic * 31 + n->key;
}

static void check(const node *n)
{
	uint32_t *p = n->payload;

	if (n->magic != UINT64_C(0x676f7274) || n->sum != sum_of(n))
		bad(n, "its sum is wrong");
	for (uint32_t i = 1; i < p[0]; i++)
		if (p[i] != (uint32_t)n->key + i)
			bad(n, "its payload is another's");
	if (p[0] == 0 || p[0] > 20000)
		bad(n, "its payload is gone");
	if (n->weak != NULL) {
		const node *own = gort_weak_value(n->weak);

		if (own != n && (own != NULL || !(n->kind & FINAL)))
			bad(n, "its handle leads elsewhere");
	}
}

static note *make_note(uint64_t key)
{
	note *t = gort_alloc(sizeof *t, GORT_NOSCAN);

	t->key = key;
	t->sum = key * 31;
	return t;
}

static void check_note(const note *t)
{
	if (t->sum != t->key * 31)
		bad((const void *)t, "what a cleanup is called with was freed");
}

static void cleanup(void *arg)
{
	check_note(arg);
	__atomic_fetch_add(&cleaned, 1, __ATOMIC_RELAXED);
}

static node *make(worker *w)
{
	uint64_t r = next(&w->seed);
	uint32_t words = (uint32_t)(r % 1000 == 0 ? 1 + (r >> 20) % 20000 : 1 + (r >> 20) % 40);
	node *n = gort_new(GORT_TYPE(node));
	uint32_t *p = gort_alloc(words * sizeof *p, GORT_NOSCAN);

	n->magic = UINT64_C(0x676f7274);
	n->key = r;
	n->sum = sum_of(n);
	n->epoch = w->epoch;
	p[0] = words;
	for (uint32_t i = 1; i < words; i++)
		p[i] = (uint32_t)r + i;
	gort_store(&n->payload, p);
	if (r >> 40 & 1)
		gort_store(&n->weak, gort_weak_make(n));
	if ((r >> 41) % 8 == 0 && gort_add_cleanup(n, cleanup, make_note(r)) != 0)
		bad(n, "no cleanup");
	w->nodes++;
	return n;
}

static void finalize(void *obj, void *arg)
{
	node *n = obj;
	note *t = arg;

	check_note(t);
	for (const node *i = n; i != NULL; i = i->edge[0])
		check(i);
	if (n->key != t->key || gort_weak_value(n->weak) != NULL)
		bad(n, "a finalizer sees its object through its handle");
	t->before = 1;
	__atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
	if (t->key % 4 == 0 && gort_chan_try_send(workers[t->key / 4 % WORKERS].in, &n))
		__atomic_fetch_add(&again, 1, __ATOMIC_RELAXED);
}

static void finalize_later(void *obj, void *arg)
{
	note *t = arg;

	check_note(t);
	check(obj);
	if (t->before != 1)
		bad(obj, "its finalizer comes before that of a node that leads to it");
}

/* Leads to two more, of which one may have a finalizer. */
static node *make_final(worker *w)
{
	node *n = make(w), *last = n;
	note *t = make_note(n->key);

	for (int i = 0; i < 3; i++) {
		node *more = i < 2 ? make(w) : NULL;

		last->kind = FIXED | (last == n ? FINAL : 0);
		gort_store(&last->edge[0], more);
		last = more;
	}
	gort_store(&n->weak, gort_weak_make(n));
	last = n->edge[0]->edge[0];
	if (n->key & 16) {
		last->kind |= FINAL;
		if (gort_set_finalizer(last, finalize_later, t) != 0)
			bad(n, "no second finalizer");
	}
	if (gort_set_finalizer(n, finalize, t) != 0 || gort_set_finalizer(n, finalize, t) != GORT_EINVAL)
		bad(n, "not one finalizer");
	return n;
}

/* Nodes are shared: others store there meanwhile. */
static node *edge_of(node *n, uint64_t i)
{
	return __atomic_load_n(&n->edge[i], __ATOMIC_ACQUIRE);
}

static node *walk(worker *w, node *n)
{
	for (int i = 0; i < WALK && n != NULL; i++) {
		node *to;

		check(n);
		to = edge_of(n, next(&w->seed) % EDGES);
		if (to == NULL)
			break;
		n = to;
	}
	return n;
}

/* What came by a channel or a handle. */
static node *of_now(const worker *w, node *n)
{
	return n != NULL && n->epoch == w->epoch ? n : NULL;
}

static void step(worker *w, node **table)
{
	uint64_t r = next(&w->seed);
	node **a = &table[r % SLOTS], **b = &table[(r >> 8) % SLOTS], *n, *m, *scratch[EDGES];

	switch ((r >> 16) % 16) {
	case 0: case 1: case 2: /* a new node before what is there */
		n = make(w);
		gort_store(&n->edge[(r >> 24) % EDGES], *a);
		gort_store(&n->edge[(r >> 26) % EDGES], *b);
		gort_store(a, n);
		break;
	case 3: /* an edge inside */
		n = walk(w, *a);
		m = walk(w, *b);
		if (n != NULL && !(n->kind & FIXED))
			gort_store(&n->edge[(r >> 24) % EDGES], m);
		break;
	case 4: /* hide: the last reference goes to the stack, and comes back elsewhere */
		n = gort_swap(a, NULL);
		m = walk(w, *b);
		if (m != NULL && !(m->kind & FIXED))
			gort_store(&m->edge[(r >> 24) % EDGES], n);
		else
			gort_store(b, n);
		break;
	case 5:
		gort_store(a, NULL);
		break;
	case 6: /* to another goroutine */
		n = gort_swap(a, NULL);
		if (n != NULL && !gort_chan_try_send(w->out, &n))
			gort_store(a, n);
		break;
	case 7:
		if (gort_chan_try_recv(w->in, &n) == 0) {
			(void)walk(w, n);
			gort_store(b, of_now(w, n));
		}
		break;
	case 8: /* all edges at once, over the stack, into a part of the table, and on in it */
		n = walk(w, *a);
		if (n != NULL) {
			for (int i = 0; i < EDGES; i++)
				scratch[i] = edge_of(n, (uint64_t)i);
			gort_move(gort_type_of_void_ptr(), &table[r % (SLOTS - EDGES)], scratch, EDGES);
			gort_move(gort_type_of_void_ptr(), &table[(r >> 8) % (SLOTS - 9)],
			          &table[(r >> 32) % (SLOTS - 9)], 9);
		}
		break;
	case 9:
		gort_clear(gort_type_of_void_ptr(), &table[(r >> 8) % (SLOTS - EDGES)], EDGES);
		break;
	case 10:
		n = *a;
		if (!gort_cas(a, n, *b) && *a == n)
			bad(n, "cas");
		break;
	case 11: /* not too many: they outlive collections; if they were half of all, the heap would grow with each */
		gort_store(a, (r >> 40) % 8 == 0 ? make_final(w) : make(w));
		break;
	case 12: case 13:
		gort_store(&w->weak[(r >> 32) % SLOTS], gort_weak_make(walk(w, *a)));
		break;
	case 14: /* from a handle to the table, where it is strong */
		n = gort_weak_value(w->weak[(r >> 32) % SLOTS]);
		(void)walk(w, n);
		gort_store(b, of_now(w, n));
		break;
	default:
		(void)walk(w, *a);
	}
	w->steps++;
}

static void work(void *arg)
{
	worker *w = arg;
	node **table = gort_new_array(gort_type_of_void_ptr(), SLOTS);

	for (int64_t now; (now = gort_nanotime()) < until;) {
		uint64_t epoch = (uint64_t)(until - now) / EPOCH;

		if (epoch != w->epoch) {
			w->epoch = epoch;
			gort_clear(gort_type_of_void_ptr(), table, SLOTS);
		}
		for (int i = 0; i < 1000; i++)
			step(w, table);
	}
	for (int i = 0; i < SLOTS; i++)
		(void)walk(w, table[i]);
}

typedef struct mains {
	int n;
	uint64_t seed;
} mains;

static void run(void *arg)
{
	mains *m = arg;
	gort_waitgroup wg = GORT_INIT;
	uint64_t steps = 0, nodes = 0;

	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (worker){ .number = i, .seed = m->seed * 977 + (uint64_t)i + 1 };
		workers[i].in = gort_chan_make(gort_type_of_void_ptr(), 16);
		workers[i].weak = gort_new_array(gort_type_of_void_ptr(), SLOTS);
	}
	for (int i = 0; i < WORKERS; i++) {
		workers[i].out = workers[(i + 1) % WORKERS].in;
		gort_waitgroup_go(&wg, work, &workers[i]);
	}
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < WORKERS; i++) {
		steps += workers[i].steps;
		nodes += workers[i].nodes;
	}
	gort_gc();
	printf("%llu steps, %llu nodes, %lu cleanups, %lu finalizers, %lu came back\n", (unsigned long long)steps,
	       (unsigned long long)nodes, __atomic_load_n(&cleaned, __ATOMIC_RELAXED),
	       __atomic_load_n(&finalized, __ATOMIC_RELAXED), __atomic_load_n(&again, __ATOMIC_RELAXED));
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	mains m = { 0, argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)gort_nanotime() };
	gort_config cfg;
	gort_runtime *rt;
	int r;

	seed0 = m.seed;
	printf("seed %llu\n", (unsigned long long)m.seed);
	fflush(stdout);
	gort_config_init(&cfg);
	cfg.procs = argc > 2 ? atoi(argv[2]) : 2;
	cfg.collector = argc > 3 ? argv[3] : "concurrent";
	cfg.debug = argc > 5 ? argv[5] : NULL;
	until = gort_nanotime() + (int64_t)(seconds * 1e9);
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	if (gort_root_add(rt, workers, sizeof workers) != 0)
		return 1;
	r = gort_runtime_run(rt, run, &m);
	if (r != 0)
		fprintf(stderr, "%s", gort_runtime_error(rt));
	(void)gort_runtime_free(rt);
	return r != 0;
}
