/* A graph is found in its dump as it was made, and what leads to it; and nothing else is. */
#include "core/gc/gc_impl.h"
#include "tests/support/dump.h"
#include "tests/support/garbage.h"

#include "backends/data/data.h"
#include "backends/thread/thread.h"

enum { N = 200, FEW = 10 };

typedef struct node {
	uint64_t value;
	struct node *left, *right;
} node;
GORT_DEFINE_TYPE(node, GORT_FIELD(node, value, uint64_t), GORT_PTR(node, left), GORT_PTR(node, right));

typedef struct big {
	uint64_t fill[100];
	node *one;
	uint64_t more;
	node *two;
} big;
GORT_DEFINE_TYPE(big, GORT_PTR(big, one), GORT_PTR(big, two));

typedef struct point {
	double x, y;
} point;
GORT_DEFINE_TYPE(point, GORT_FIELD(point, x, double), GORT_FIELD(point, y, double));

static const char *const collectors[] = { "concurrent", "stw", "none" };

/* With each collector, on one P and on two. */
static void everywhere(unsigned flags, const char *settings, gort_func fn)
{
	for (int c = 0; c < 3; c++)
		for (int procs = 1; procs <= 2; procs++) {
			gort_runtime *rt;
			gort_config cfg;
			int r;

			gort_config_init(&cfg);
			cfg.procs = procs;
			cfg.collector = collectors[c];
			cfg.debug = settings;
			cfg.flags |= flags;
			rt_store32_rlx(&failures, 0);
			assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
			r = gort_runtime_run(rt, fn, (void *)(uintptr_t)settings);
			if (r != 0 || rt_load32_acq(&failures) != 0)
				fail_msg("%s, %d Ps: %d: %s %s", collectors[c], procs, r, gort_runtime_error(rt),
				         first_failure);
			assert_int_equal(gort_runtime_free(rt), 0);
		}
}

/* ---- A dump agrees with itself --------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* All pointers lead to objects, and the last line counts what there is. */
static void check_whole(const dump *d)
{
	const char *end = d->nlines > 0 ? d->lines[d->nlines - 1] : NULL;
	size_t objects = count_kind(d, "object"), k = 0, pointers = 0, live = 0;
	uint64_t *addresses = malloc((objects + 1) * sizeof *addresses), bytes = 0;

	CHECK(d->nlines > 0 && is_kind(d->lines[0], "dump") && number(d->lines[0], "version") == 1);
	CHECK(end != NULL && is_kind(end, "end"));
	for (size_t i = 0; i < d->nlines; i++) {
		if (is_kind(d->lines[i], "span")) {
			live += number(d->lines[i], "live");
			CHECK(number(d->lines[i], "live") <= number(d->lines[i], "used"));
			CHECK(number(d->lines[i], "used") + number(d->lines[i], "free") ==
			      number(d->lines[i], "objects"));
		}
		if (!is_kind(d->lines[i], "object"))
			continue;
		addresses[k++] = number(d->lines[i], "address");
		bytes += number(d->lines[i], "size");
	}
	qsort(addresses, objects, sizeof *addresses, by_value);
	for (size_t i = 1; i < objects; i++)
		CHECK(addresses[i - 1] < addresses[i]);
	for (size_t i = 0; i < d->nlines; i++)
		for (size_t e = 0, n = items(d->lines[i], "pointers"); e < n; e++, pointers++) {
			uint64_t to = item(d->lines[i], "pointers", e);

			CHECK(bsearch(&to, addresses, objects, sizeof to, by_value) != NULL);
		}
	CHECK(number(end, "objects") == objects && live == objects && number(end, "bytes") == bytes);
	CHECK(number(end, "pointers") == pointers && number(end, "roots") == count_kind(d, "root"));
	CHECK(number(end, "spans") == count_kind(d, "span") && number(end, "types") == count_kind(d, "type"));
	free(addresses);
}

/* ---- A graph --------------------------------------------------------------------------------------- */

static node *slots[2]; /* a root of the program */
static void *blocks[4];

static RT_NOINLINE node *make(uint64_t value)
{
	node *p = gort_new(GORT_TYPE(node));

	p->value = value;
	return p;
}

/* slots[1] -> root -> (left, right), left -> root; a large one to both; a block of words; one without pointers. */
static RT_NOINLINE void make_graph(void)
{
	node *root = make(1);
	big *b;
	void **words;

	gort_store(&root->left, make(2));
	gort_store(&root->right, make(3));
	gort_store(&root->left->right, root);
	gort_store(&slots[1], root);
	b = gort_new(GORT_TYPE(big));
	gort_store(&b->one, root->left);
	gort_store(&b->two, (char *)root->right + 8); /* into an object */
	gort_store(&blocks[0], b);
	words = gort_alloc(4000, 0);
	gort_store(&words[7], b);
	words[8] = (void *)(uintptr_t)12345;
	gort_store(&words[499], root);
	gort_store(&words[3], &words[10]); /* into itself */
	gort_store(&blocks[1], words);
	gort_store(&blocks[2], gort_new(GORT_TYPE(point)));
	gort_store(&blocks[3], gort_alloc(100000, GORT_NOSCAN));
}

/* to: where, and what. */
typedef const uintptr_t place[2];

static void check_object(const dump *d, const void *p, const char *type, size_t size, size_t n, place *to)
{
	const char *line = object_line(d, (uintptr_t)p);
	char name[64];

	CHECK(line != NULL);
	if (line == NULL)
		return;
	type_name(d, line, name, sizeof name);
	CHECK(strcmp(name, type) == 0);
	CHECK(number(line, "size") == size);
	CHECK(items(line, "pointers") == n && items(line, "at") == n);
	for (size_t i = 0; i < n; i++)
		CHECK(item(line, "at", i) == to[i][0] && item(line, "pointers", i) == to[i][1]);
}

static void check_root(const dump *d, void *start, size_t n, place *to)
{
	const char *line;
	size_t i = 0;

	while ((line = next_root(d, "added", &i)) != NULL)
		if (number(line, "address") == (uintptr_t)start)
			break;
	CHECK(line != NULL && items(line, "pointers") == n);
	for (size_t k = 0; k < n; k++)
		CHECK(item(line, "at", k) == to[k][0] && item(line, "pointers", k) == to[k][1]);
}

static void check_type(const dump *d, const char *name, size_t size, const char *fields)
{
	for (size_t i = 0; i < d->nlines; i++)
		if (is_kind(d->lines[i], "type") && is_text(d->lines[i], "name", name)) {
			CHECK(number(d->lines[i], "size") == size);
			CHECK(strncmp(field(d->lines[i], "fields"), fields, strlen(fields)) == 0);
			return;
		}
	CHECK(!"no such type");
}

#define ADDRESS(p) ((uintptr_t)(p))

/* A collection may be on, or spans not swept. */
static void graph(void *arg)
{
	bool types = arg != NULL && strstr(arg, "heaptypes=1") != NULL;
	node *root, *left, *right;
	big *b;
	void **words;
	dump d;

	gort_root_add(gort_self(), slots, sizeof slots);
	gort_root_add(gort_self(), blocks, sizeof blocks);
	make_graph();
	root = slots[1];
	left = root->left;
	right = root->right;
	b = blocks[0];
	words = blocks[1];
	for (int i = 0; i < 3; i++) {
		const char *type = types ? "node" : "";
		size_t size = types ? 576 : 24;

		CHECK(dump_take(gort_self(), &d) == 0);
		check_whole(&d);
		check_object(&d, root, type, size, 2, (place[]){ { 8, ADDRESS(left) }, { 16, ADDRESS(right) } });
		check_object(&d, left, type, size, 1, (place[]){ { 16, ADDRESS(root) } });
		check_object(&d, right, type, size, 0, NULL);
		check_object(&d, b, "big", 896, 2, (place[]){ { 800, ADDRESS(left) }, { 816, ADDRESS(right) } });
		check_object(&d, words, "", 4096, 2, (place[]){ { 56, ADDRESS(b) }, { 3992, ADDRESS(root) } });
		check_object(&d, blocks[2], types ? "point" : "", types ? 576 : 16, 0, NULL);
		check_object(&d, blocks[3], "", 106496, 0, NULL);
		check_root(&d, slots, 1, (place[]){ { 8, ADDRESS(root) } });
		check_root(&d, blocks, 4, (place[]){ { 0, ADDRESS(b) }, { 8, ADDRESS(words) },
		                                     { 16, ADDRESS(blocks[2]) }, { 24, ADDRESS(blocks[3]) } });
		check_type(&d, "big", sizeof(big),
		           "[[\"one\",800,\"unsafe.Pointer\"],[\"two\",816,\"unsafe.Pointer\"]]");
		if (types)
			check_type(&d, "node", 24, "[[\"value\",0,\"uint64\"],");
		dump_free(&d);
		if (i == 0)
			gort_gc();
	}
	gort_root_remove(gort_self(), slots);
	gort_root_remove(gort_self(), blocks);
}

static void test_graph(void **state)
{
	(void)state;
	everywhere(0, NULL, graph);
	everywhere(0, "heaptypes=1", graph);
	everywhere(0, "gcstress=1,heaptypes=1,clobberfree=1", graph);
}

/* ---- What is not there ------------------------------------------------------------------------------ */

enum { GARBAGE = 2000 }; /* several spans, of which one is cached, and so is swept at once */

static uintptr_t hidden[N], lost[GARBAGE];

static RT_NOINLINE void make_garbage(void)
{
	node *p = NULL;

	for (int i = 0; i < GARBAGE; i++) {
		node *q = make((uint64_t)i);

		if (i % 10 != 0)
			gort_store(&q->left, p);
		lost[i] = hide(q);
		p = q;
	}
}

/* Also before it is swept, while its bits say that it is there, and stale words lead to it. */
static void garbage(void *arg)
{
	volatile uintptr_t stale[GARBAGE] = { 0 };
	dump d;

	(void)arg;
	make_garbage();
	for (int i = 0; i < 2; i++) {
		int there = 0;
		uint64_t used = 0, live = 0;

		wash();
		CHECK(dump_take(gort_self(), &d) == 0);
		check_whole(&d);
		for (int k = 0; k < GARBAGE; k++)
			there += object_line(&d, ~lost[k]) != NULL;
		CHECK(there <= FEW);
		for (size_t k = 0; k < d.nlines && i == 0; k++)
			if (is_kind(d.lines[k], "span")) {
				used += number(d.lines[k], "used");
				live += number(d.lines[k], "live");
			}
		CHECK(i > 0 || used >= live + GARBAGE - FEW); /* but their span knows */
		dump_free(&d);
		CHECK(stale[0] == 0 || i > 0);
		(void)RT_ENTER();
		rt_gc_wait(gort_self()->gc, false); /* marked, and not swept */
		rt_leave();
		for (int k = 0; k < GARBAGE; k++)
			stale[k] = ~lost[k];
	}
}

static void test_garbage(void **state)
{
	(void)state;
	for (int c = 0; c < 2; c++)
		assert_int_equal(collected(1, collectors[c], garbage, NULL), 0);
}

/* ---- What the runtime made for itself --------------------------------------------------------------- */

enum { CASES = 40 };           /* more than lie in a frame: one object without a type */

static void select_many(void *arg)
{
	gort_select_case k[CASES];

	for (int i = 0; i < CASES; i++)
		k[i] = (gort_select_case){ .dir = GORT_RECV, .chan = arg };
	gort_select(k, CASES, GORT_FOREVER);
}

static bool selecting(void)
{
	gort_goroutine g[8];
	size_t n = gort_goroutines(gort_self(), g, 8);

	for (size_t i = 0; i < n && i < 8; i++)
		if (strcmp(g[i].wait_reason, "select") == 0)
			return true;
	return false;
}

static void of_the_runtime(void *arg)
{
	gort_chan *c = gort_chan_make(gort_type_of_void_ptr(), 0);
	dump d;

	(void)arg;
	gort_go(select_many, c);
	YIELD_UNTIL(selecting());
	CHECK(dump_take(gort_self(), &d) == 0);
	check_whole(&d);
	dump_free(&d);
	gort_chan_close(c);
}

static void test_of_the_runtime(void **state)
{
	(void)state;
	everywhere(0, NULL, of_the_runtime);
	everywhere(0, "heaptypes=1", of_the_runtime);
}

/* ---- Roots ------------------------------------------------------------------------------------------ */

static gort_chan *gate;
static uintptr_t held; /* handed over by `ready` */
static rt_atomic32 ready;

static RT_NOINLINE void hold(void *arg)
{
	node *p = make(7);

	held = hide(p);
	rt_store32_rel(&ready, 1);
	gort_chan_recv(gate, arg);
	gort_keep_alive(p);
}

static RT_NOINLINE void take_with_mine(dump *d)
{
	node *mine = make(6);

	CHECK(dump_take(gort_self(), d) == 0);
	CHECK(object_line(d, (uintptr_t)mine) != NULL);
	gort_keep_alive(mine);
	hidden[0] = hide(mine);
}

/* Deeper than where its goroutine was when it last let others run. */
static RT_NOINLINE void take_deep(dump *d)
{
	volatile char room[5000];

	memset((char *)(uintptr_t)room, 1, sizeof room);
	take_with_mine(d);
	CHECK(room[100] == 1);
}

static bool waits(const char *name)
{
	gort_goroutine g[16];
	size_t n = gort_goroutines(gort_self(), g, 16);

	for (size_t i = 0; i < n && i < 16; i++)
		if (strcmp(g[i].name, name) == 0)
			return g[i].status == GORT_G_WAITING;
	return false;
}

static void stacks(void *arg)
{
	gort_go_attr attr = { sizeof attr, 0, "hold\"er" };
	const char *line = NULL;
	size_t i = 0, others = 0;
	dump d;

	(void)arg;
	gate = gort_chan_make(gort_type_of_void_ptr(), 0);
	rt_store32_rlx(&ready, 0);
	gort_go_with(&attr, hold, NULL);
	while (!rt_load32_acq(&ready))
		gort_gosched();
	YIELD_UNTIL(waits("hold\"er"));
	take_deep(&d);
	check_whole(&d);
	while ((line = next_root(&d, "goroutine", &i)) != NULL)
		if (is_text(line, "name", "hold\\\"er")) {
			CHECK(is_text(line, "status", "waiting") && is_text(line, "reason", "chan receive"));
			CHECK(has_item(line, "pointers", ~held) && number(line, "goid") > 1);
		} else {
			others += number(line, "goid") == 1 && is_text(line, "status", "running") &&
			          has_item(line, "pointers", ~hidden[0]);
		}
	CHECK(others == 1);
	CHECK(object_line(&d, ~held) != NULL);
	dump_free(&d);
	gort_chan_close(gate);
}

static void test_stacks(void **state)
{
	(void)state;
	everywhere(0, NULL, stacks);
}

/* In registers alone, and stopped in place. */
static rt_atomic32 go_on;

static void spin(void *arg)
{
	node *p = make(8);
	uintptr_t key = (uintptr_t)p;

	(void)arg;
	held = hide(p);
	rt_store32_rel(&ready, 1);
	while (rt_load32_rlx(&go_on) == 0)
		__asm__ volatile("" : "+r"(key));
}

static void in_place(void *arg)
{
	dump d;

	(void)arg;
	rt_store32_rlx(&go_on, 0);
	rt_store32_rlx(&ready, 0);
	gort_go(spin, NULL);
	YIELD_UNTIL(rt_load32_acq(&ready));
	CHECK(dump_take(gort_self(), &d) == 0);
	check_whole(&d);
	CHECK(object_line(&d, ~held) != NULL);
	rt_store32_rel(&go_on, 1);
	dump_free(&d);
}

static void test_in_place(void **state)
{
	(void)state;
	if (strcmp(be_preempt_name, "cooperative") != 0)
		everywhere(0, "slice=1000", in_place);
}

static node *volatile in_data;

static RT_NOINLINE void keep_in_data(void)
{
	node *p = make(9);

	gort_store((void *)(uintptr_t)&in_data, p);
	held = hide(p);
}

static void data(void *arg)
{
	const char *line;
	bool told = false;
	size_t i = 0;
	dump d;

	(void)arg;
	keep_in_data();
	wash();
	CHECK(dump_take(gort_self(), &d) == 0);
	check_whole(&d);
	CHECK(object_line(&d, ~held) != NULL);
	while ((line = next_root(&d, "data", &i)) != NULL)
		for (size_t k = 0, n = items(line, "pointers"); k < n; k++)
			told |= item(line, "pointers", k) == ~held &&
			        number(line, "address") + item(line, "at", k) == (uintptr_t)&in_data;
	CHECK(told);
	dump_free(&d);
	in_data = NULL;
}

static void test_data(void **state)
{
	(void)state;
	if (strcmp(be_data_name, "none") != 0)
		everywhere(GORT_SCAN_DATA, NULL, data);
}

/* ---- What hangs on objects -------------------------------------------------------------------------- */

static rt_atomic32 called;

static void at_end(void *obj, void *arg)
{
	(void)obj, (void)arg;
	rt_add32_full(&called, 1);
}

static void clean(void *arg)
{
	(void)arg;
}

static uintptr_t inside[N], unkept[N];

static RT_NOINLINE void hang(gort_weak **handles)
{
	for (int i = 0; i < N; i++) {
		node *p = make(1), *q = make(2);

		gort_store(&p->left, make(3));
		hidden[i] = hide(p);
		inside[i] = hide(p->left);
		CHECK(gort_set_finalizer(p, at_end, gort_new(GORT_TYPE(point))) == 0);
		unkept[i] = hide(q);
		gort_store(&handles[i], gort_weak_make(q));
	}
	gort_store(&slots[0], make(4));
	gort_store(&slots[0]->left, make(5));
	CHECK(gort_set_finalizer(slots[0], at_end, NULL) == 0);
	CHECK(gort_add_cleanup(slots[0], clean, slots[0]->left) == 0);
}

static size_t specials(const dump *d, const char *kind, uintptr_t object, size_t *pointers)
{
	const char *line;
	size_t i = 0, n = 0;

	*pointers = 0;
	while ((line = next_root(d, kind, &i)) != NULL)
		if (number(line, "object") == object) {
			n++;
			*pointers += items(line, "pointers");
		}
	return n;
}

static void hanging(void *arg)
{
	gort_weak **handles = gort_new_array(gort_type_of_void_ptr(), N);
	size_t pointers, dead = 0, unreachable = 0;
	dump d;

	(void)arg;
	gort_root_add(gort_self(), slots, sizeof slots);
	hang(handles);
	wash();
	CHECK(dump_take(gort_self(), &d) == 0);
	check_whole(&d);
	for (int i = 0; i < N; i++) {
		/* What a finalizer waits for is there, as it keeps it; itself it is not. */
		CHECK(object_line(&d, ~inside[i]) != NULL);
		if (object_line(&d, ~hidden[i]) == NULL) {
			dead++;
			CHECK(specials(&d, "finalizer", ~hidden[i], &pointers) == 2 && pointers == 2);
		}
		unreachable += object_line(&d, ~unkept[i]) == NULL;
		CHECK(object_line(&d, (uintptr_t)handles[i]) != NULL);
		CHECK(specials(&d, "weak", ~unkept[i], &pointers) == 1 && pointers == 1);
	}
	CHECK(dead >= N - FEW && unreachable >= N - FEW);
	/* Of an object that lives: the object keeps it. */
	CHECK(specials(&d, "finalizer", (uintptr_t)slots[0], &pointers) == 1 && pointers == 0);
	CHECK(specials(&d, "cleanup", (uintptr_t)slots[0], &pointers) == 1 && pointers == 1);
	dump_free(&d);
	gort_root_remove(gort_self(), slots);
	gort_keep_alive(handles);
}

static void test_hanging(void **state)
{
	(void)state;
	everywhere(0, NULL, hanging);
}

/* ---- The writer ------------------------------------------------------------------------------------- */

static void many(void)
{
	gort_store(&slots[0], NULL);
	for (uint64_t i = 0; i < 20000; i++) {
		node *p = make(i);

		gort_store(&p->left, slots[0]);
		gort_store(&slots[0], p);
	}
}

static int use_the_runtime(void *data, const void *bytes, size_t n)
{
	(void)bytes, (void)n;
	*(int *)data += 1;
	gort_gc();
	gort_chan_send(gate, &n); /* somebody must run to take it */
	(void)gort_alloc(10000, 0);
	return 0;
}

static void take(void *arg)
{
	size_t n;

	(void)arg;
	while (gort_chan_recv(gate, &n))
		;
}

static int panics(void *data, const void *bytes, size_t n)
{
	(void)data, (void)bytes, (void)n;
	gort_panics("no more");
}

static void dump_and_panic(void *arg)
{
	gort_heap_dump(gort_self(), panics, arg);
}

static int third(void *data, const void *bytes, size_t n)
{
	(void)bytes, (void)n;
	return ++*(int *)data == 3 ? -77 : 0;
}

static void writers(void *arg)
{
	dump d = { .fail = 7 };
	gort_eface v;
	int n = 0;

	(void)arg;
	gort_root_add(gort_self(), slots, sizeof slots);
	many();
	CHECK(gort_heap_dump(gort_self(), dump_write, &d) == 7 && d.calls == 1);
	dump_free(&d);
	CHECK(gort_heap_dump(gort_self(), third, &n) == -77 && n == 3);
	gort_root_add(gort_self(), &gate, sizeof gate); /* nobody else has it until the taker waits */
	gate = gort_chan_make(gort_type_of_uint64_t(), 0);
	gort_go(take, NULL);
	n = 0;
	CHECK(gort_heap_dump(gort_self(), use_the_runtime, &n) == 0 && n > 3);
	gort_chan_close(gate);
	gort_root_remove(gort_self(), &gate);
	for (int i = 0; i < 3; i++)
		CHECK(gort_try(dump_and_panic, NULL, &v));
	gort_root_remove(gort_self(), slots);
}

static void test_writers(void **state)
{
	(void)state;
	everywhere(0, NULL, writers);
}

/* ---- Without memory --------------------------------------------------------------------------------- */

static void refused(void *arg)
{
	gort_runtime *rt = gort_self();
	uint32_t failed = 0, left = 0;
	dump d;

	(void)arg;
	gort_root_add(rt, slots, sizeof slots);
	many();
	gort_set_gc_percent(-1);
	gort_gc(); /* from here on nobody but a dump wants memory */
	for (uint32_t i = 1; left == 0 && i < 100; i++) {
		int r;

		rt_store32_rlx(&rt->debug.oomleft, i);
		r = dump_take(rt, &d);
		left = rt_xchg32_full(&rt->debug.oomleft, 0);
		CHECK(left > 0 ? r == 0 : r == GORT_ENOMEM && d.calls == 0);
		if (left > 0)
			check_whole(&d);
		failed += r == GORT_ENOMEM;
		dump_free(&d);
	}
	CHECK(failed > 10 && left > 0);
	gort_root_remove(rt, slots);
}

static void test_refused(void **state)
{
	(void)state;
	everywhere(GORT_SCAN_DATA, "heaptypes=1", refused);
}

/* ---- While the program runs ------------------------------------------------------------------------- */

enum { LISTS = 16, NODES = 1000, MUTATORS = 3, DUMPS = 5 };

static node *lists[LISTS];
static gort_mutex locks[LISTS];
static rt_atomic32 stop, dumped;
static gort_waitgroup mutators;

/* Nodes move from list to list; no node is ever made or let go. */
static void mutate(void *arg)
{
	uint64_t x = (uintptr_t)arg + 1;
	bool allocates = gort_self()->gc->kind->collects; /* else memory would grow */

	while (!rt_load32_rlx(&stop)) {
		node *p;
		unsigned from, to;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		from = (unsigned)(x >> 60) % LISTS;
		to = (unsigned)(x >> 50) % LISTS;
		gort_mutex_lock(&locks[from]);
		p = lists[from];
		if (p != NULL)
			gort_store(&lists[from], p->left);
		gort_mutex_unlock(&locks[from]);
		if (p == NULL)
			continue;
		if (x >> 44 & 1 && allocates)
			(void)gort_alloc(200, 0);
		gort_mutex_lock(&locks[to]);
		gort_store(&p->left, lists[to]);
		gort_store(&lists[to], p);
		gort_mutex_unlock(&locks[to]);
	}
}

static void check_moving(gort_runtime *rt)
{
	size_t nodes = 0;
	uint64_t id = 0;
	dump d;

	CHECK(dump_take(rt, &d) == 0);
	check_whole(&d);
	for (size_t i = 0; i < d.nlines; i++) {
		if (is_kind(d.lines[i], "type") && is_text(d.lines[i], "name", "node"))
			id = number(d.lines[i], "id");
		nodes += is_kind(d.lines[i], "object") && number(d.lines[i], "type") == id;
	}
	CHECK(nodes == NODES);
	dump_free(&d);
}

/* A thread that is none of the runtime's. */
static void outside(void *arg)
{
	for (int i = 0; i < DUMPS; i++)
		check_moving(arg);
	rt_store32_rel(&dumped, 1);
}

static void moving(void *arg)
{
	gort_runtime *rt = gort_self();
	be_thread t;

	(void)arg;
	gort_root_add(rt, lists, sizeof lists);
	for (int i = 0; i < NODES; i++) {
		node *p = make((uint64_t)i);

		gort_store(&p->left, lists[i % LISTS]);
		gort_store(&lists[i % LISTS], p);
	}
	rt_store32_rlx(&stop, 0);
	rt_store32_rlx(&dumped, 0);
	for (uintptr_t i = 0; i < MUTATORS; i++)
		gort_waitgroup_go(&mutators, mutate, (void *)i);
	CHECK(be_thread_start(&t, outside, rt, 0) == 0);
	for (int i = 0; i < DUMPS; i++)
		check_moving(rt);
	while (!rt_load32_acq(&dumped))
		gort_gosched();
	be_thread_join(&t);
	rt_store32_rel(&stop, 1);
	gort_waitgroup_wait(&mutators);
	memset(lists, 0, sizeof lists);
	gort_root_remove(rt, lists);
}

static void test_moving(void **state)
{
	(void)state;
	everywhere(GORT_SCAN_DATA, "heaptypes=1,slice=1000", moving);
	everywhere(GORT_SCAN_DATA, "heaptypes=1,gcstress=20", moving);
}

/* ---- Between runs ------------------------------------------------------------------------------------ */

static void nothing_at_all(void *arg)
{
	(void)arg;
	gort_store(&slots[0], make(1));
}

static void test_between_runs(void **state)
{
	gort_runtime *rt;
	gort_config cfg;
	dump d;

	(void)state;
	gort_config_init(&cfg);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
	rt_store32_rlx(&failures, 0);
	assert_int_equal(dump_take(rt, &d), 0);
	check_whole(&d);
	assert_int_equal(count_kind(&d, "object"), 0);
	dump_free(&d);
	assert_int_equal(gort_root_add(rt, slots, sizeof slots), 0);
	assert_int_equal(gort_runtime_run(rt, nothing_at_all, NULL), 0);
	assert_int_equal(dump_take(rt, &d), 0);
	check_whole(&d);
	assert_non_null(object_line(&d, (uintptr_t)slots[0]));
	dump_free(&d);
	assert_int_equal(rt_load32_acq(&failures), 0);
	assert_int_equal(gort_runtime_free(rt), 0);
	slots[0] = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph),   cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_of_the_runtime),
		cmocka_unit_test(test_stacks),  cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_data),    cmocka_unit_test(test_hanging),
		cmocka_unit_test(test_writers), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_moving),  cmocka_unit_test(test_between_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
