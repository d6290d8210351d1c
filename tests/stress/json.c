/* json.c: a parser of JSON, written for malloc: recursive, whatever it needs is allocated, nothing is ever freed.
 *
 * usage: json [NODES [GODEBUG [SITE [WORKERS]]]]
 *
 * Makes documents, parses them, and looks at the trees: written again they are the same text, and their numbers have
 * the sum of those that were put in. Then it turns the lists of members around twice, sorts them, grows and shuffles
 * arrays, and looks again. The last trees stay, and are looked at once more when others take their places; all others
 * are garbage. Goes on until NODES values were built (100000).
 *
 * The same text is three programs:
 *   -DJSON=JSON_MALLOC    for malloc, without a runtime
 *   -DJSON=JSON_PLAIN     malloc is gort_alloc, nothing else is changed: for the collector `stw`
 *   -DJSON=JSON_STORE     stores of pointers are gort_store: for `concurrent`. SITE: this one (1 to SITES) is left
 *                         plain, which GODEBUG=gccheckmark=1 must find; json_sites.py tries all
 *
 * What it has of the system must stay small: see bounded(). Prints that and the peak of what is resident. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MALLOC 1
#define JSON_PLAIN 2
#define JSON_STORE 3

enum { SITES = 20 };
static int plain; /* the site that forgets */

#if JSON == JSON_MALLOC
#define ALLOC(size) must(calloc(1, size))
#define STORE(site, slot, p) (*(slot) = (p))

static void *must(void *p)
{
	if (p == NULL) {
		fprintf(stderr, "json: no memory\n");
		exit(1);
	}
	return p;
}
#else
#include <gort.h>
#define ALLOC(size) gort_alloc(size, 0)
#if JSON == JSON_PLAIN
#define STORE(site, slot, p) (*(slot) = (p))
#else
#define STORE(site, slot, p) ((site) == plain ? (void)(*(slot) = (p)) : gort_store((slot), (p)))
#endif
#endif

/* ---- Values --------------------------------------------------------------------------------------------- */

typedef enum kind { NOTHING, NO, YES, NUMBER, TEXT, ARRAY, OBJECT } kind;

typedef struct value value;

typedef struct member {
	struct member *next;
	char *name;
	value *value;
} member;

struct value {
	kind kind;
	size_t n, room;        /* of items */
	int64_t number;
	char *text;
	value **items;
	member *first, *last;
	value *parent;
};

typedef struct buffer {
	char *bytes;
	size_t n, room;
} buffer;

typedef struct worker {        /* in the frame of who works */
	uint64_t seed, nodes, want;
	const char *at;        /* in the text that is parsed */
	int64_t sum;           /* of the numbers of the document that is made */
	value **kept;
} worker;

enum { KEPT = 16, DEEPEST = 8, MOST_WORKERS = 16, MOST = 128 /* MiB; malloc takes 2.4 GiB for ten million */ };

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "json: %s\n", what);
	abort();
}

static uint64_t next(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

/* ---- Text ----------------------------------------------------------------------------------------------- */

static buffer *new_buffer(void)
{
	return ALLOC(sizeof(buffer));
}

static void put(buffer *b, const char *bytes, size_t n)
{
	if (b->n + n > b->room) {
		size_t room = 2 * b->room > b->n + n ? 2 * b->room : b->n + n + 32;
		char *more = ALLOC(room);

		if (b->n > 0)
			memcpy(more, b->bytes, b->n);
		STORE(1, &b->bytes, more);
		b->room = room;
	}
	memcpy(b->bytes + b->n, bytes, n);
	b->n += n;
}

static void put_text(buffer *b, const char *s)
{
	put(b, s, strlen(s));
}

static void put_quoted(buffer *b, const char *s)
{
	put(b, "\"", 1);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			put(b, "\\", 1);
		if (*s == '\n')
			put_text(b, "\\n");
		else
			put(b, s, 1);
	}
	put(b, "\"", 1);
}

/* ---- Making documents ------------------------------------------------------------------------------------ */

static void make_name(worker *w, buffer *b)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz\"\\\n ";
	uint64_t r = next(&w->seed);
	char name[40];
	size_t n = 1 + r % 16;

	for (size_t i = 0; i < n; i++)
		name[i] = letters[next(&w->seed) % (sizeof letters - 1)];
	name[n] = '\0';
	put_quoted(b, name);
}

static void make(worker *w, buffer *b, int depth)
{
	uint64_t r = next(&w->seed), n = (r >> 8) % (depth == 0 ? 40 : 8);
	char digits[24];
	int64_t number;

	switch (depth >= DEEPEST ? r % 6 : depth < 2 ? 6 + r % 6 : r % 12) {
	case 0:
		put_text(b, "null");
		break;
	case 1:
		put_text(b, "false");
		break;
	case 2:
		put_text(b, "true");
		break;
	case 3: case 4:
		number = (int64_t)(r >> 20) % 2000001 - 1000000; /* no address */
		snprintf(digits, sizeof digits, "%" PRId64, number);
		w->sum += number;
		put_text(b, digits);
		break;
	case 5:
		make_name(w, b);
		break;
	case 6: case 7: case 8:
		put_text(b, "[");
		for (uint64_t i = 0; i < n; i++) {
			put_text(b, i > 0 ? "," : "");
			make(w, b, depth + 1);
		}
		put_text(b, "]");
		break;
	default:
		put_text(b, "{");
		for (uint64_t i = 0; i < n; i++) {
			put_text(b, i > 0 ? "," : "");
			make_name(w, b);
			put_text(b, ":");
			make(w, b, depth + 1);
		}
		put_text(b, "}");
	}
}

/* ---- Parsing -------------------------------------------------------------------------------------------- */

static value *parse(worker *w, value *parent);

static void expect(worker *w, const char *what)
{
	size_t n = strlen(what);

	if (strncmp(w->at, what, n) != 0)
		bad("the document is not what was made");
	w->at += n;
}

static bool accept(worker *w, char c)
{
	if (*w->at != c)
		return false;
	w->at++;
	return true;
}

static char *parse_text(worker *w)
{
	buffer *b = new_buffer();

	expect(w, "\"");
	while (*w->at != '"') {
		char c = *w->at++;

		if (c == '\0')
			bad("a text without an end");
		if (c == '\\') {
			c = *w->at++;
			c = c == 'n' ? '\n' : c;
		}
		put(b, &c, 1);
	}
	w->at++;
	put(b, "", 1);
	return b->bytes;
}

static void append(value *v, value *item)
{
	if (v->n == v->room) {
		size_t room = v->room > 0 ? 2 * v->room : 2;
		value **more = ALLOC(room * sizeof *more);

		for (size_t i = 0; i < v->n; i++)
			STORE(2, &more[i], v->items[i]);
		STORE(3, &v->items, more);
		v->room = room;
	}
	STORE(4, &v->items[v->n], item);
	v->n++;
}

static void add(value *v, char *name, value *item)
{
	member *m = ALLOC(sizeof *m);

	STORE(5, &m->name, name);
	STORE(6, &m->value, item);
	if (v->first == NULL)
		STORE(7, &v->first, m);
	else
		STORE(8, &v->last->next, m);
	STORE(9, &v->last, m);
}

static void parse_array(worker *w, value *v)
{
	v->kind = ARRAY;
	if (accept(w, ']'))
		return;
	do
		append(v, parse(w, v));
	while (accept(w, ','));
	expect(w, "]");
}

static void parse_object(worker *w, value *v)
{
	v->kind = OBJECT;
	if (accept(w, '}'))
		return;
	do {
		char *name = parse_text(w);

		expect(w, ":");
		add(v, name, parse(w, v));
	} while (accept(w, ','));
	expect(w, "}");
}

static void parse_number(worker *w, value *v)
{
	char *end;

	v->kind = NUMBER;
	v->number = strtoll(w->at, &end, 10);
	if (end == w->at)
		bad("no value");
	w->at = end;
}

static void parse_word(worker *w, value *v, const char *word, kind is)
{
	expect(w, word);
	v->kind = is;
}

static value *parse(worker *w, value *parent)
{
	value *v = ALLOC(sizeof *v);

	w->nodes++;
	STORE(10, &v->parent, parent);
	if (accept(w, '[')) {
		parse_array(w, v);
	} else if (accept(w, '{')) {
		parse_object(w, v);
	} else if (*w->at == '"') {
		v->kind = TEXT;
		STORE(11, &v->text, parse_text(w));
	} else if (*w->at == 'n') {
		parse_word(w, v, "null", NOTHING);
	} else if (*w->at == 'f') {
		parse_word(w, v, "false", NO);
	} else if (*w->at == 't') {
		parse_word(w, v, "true", YES);
	} else {
		parse_number(w, v);
	}
	return v;
}

/* ---- Writing, adding up --------------------------------------------------------------------------------- */

static void write_value(buffer *b, const value *v)
{
	char digits[24];

	switch (v->kind) {
	case NOTHING:
		put_text(b, "null");
		break;
	case NO:
		put_text(b, "false");
		break;
	case YES:
		put_text(b, "true");
		break;
	case NUMBER:
		snprintf(digits, sizeof digits, "%" PRId64, v->number);
		put_text(b, digits);
		break;
	case TEXT:
		put_quoted(b, v->text);
		break;
	case ARRAY:
		put_text(b, "[");
		for (size_t i = 0; i < v->n; i++) {
			put_text(b, i > 0 ? "," : "");
			write_value(b, v->items[i]);
		}
		put_text(b, "]");
		break;
	case OBJECT:
		put_text(b, "{");
		for (const member *m = v->first; m != NULL; m = m->next) {
			put_text(b, m != v->first ? "," : "");
			put_quoted(b, m->name);
			put_text(b, ":");
			write_value(b, m->value);
		}
		put_text(b, "}");
	}
}

static int64_t sum_of(const value *v, const value *parent)
{
	int64_t sum = v->kind == NUMBER ? v->number : 0;

	if (v->parent != parent)
		bad("a value in a wrong place");
	for (size_t i = 0; i < v->n; i++)
		sum += sum_of(v->items[i], v);
	for (const member *m = v->first; m != NULL; m = m->next)
		sum += sum_of(m->value, v);
	return sum;
}

static void compare(const value *v, const buffer *with)
{
	buffer *b = new_buffer();

	write_value(b, v);
	put(b, "", 1);
	if (b->n != with->n || memcmp(b->bytes, with->bytes, b->n) != 0)
		bad("it is not what it was");
}

/* ---- Changing ------------------------------------------------------------------------------------------- */

/* What leads to a member moves from place to place; now and then only the stack has it. */
static void turn_around(value *v)
{
	member *m = v->first, *done = NULL;

	if (m == NULL)
		return;
	STORE(12, &v->last, m);
	while (m != NULL) {
		member *after = m->next;

		STORE(13, &m->next, done);
		done = m;
		m = after;
	}
	STORE(14, &v->first, done);
}

static void sort(value *v)
{
	member *sorted = NULL, *m = v->first;

	while (m != NULL) {
		member *after = m->next, **at = &sorted;

		while (*at != NULL && strcmp((*at)->name, m->name) <= 0)
			at = &(*at)->next;
		STORE(15, &m->next, *at);
		STORE(16, at, m); /* the first is in our frame */
		m = after;
	}
	STORE(17, &v->first, sorted);
	for (m = sorted; m != NULL && m->next != NULL; m = m->next)
		;
	if (m != NULL)
		STORE(18, &v->last, m);
}

static void shuffle(worker *w, value *v)
{
	for (size_t i = v->n; i > 1; i--) {
		size_t k = next(&w->seed) % i;
		value *t = v->items[k];

		STORE(19, &v->items[k], v->items[i - 1]);
		STORE(19, &v->items[i - 1], t);
	}
}

enum { TURN, SORT_AND_SHUFFLE };

static void change(worker *w, value *v, int how)
{
	if (how == TURN) {
		turn_around(v);
	} else {
		sort(v);
		shuffle(w, v);
	}
	for (size_t i = 0; i < v->n; i++)
		change(w, v->items[i], how);
	for (member *m = v->first; m != NULL; m = m->next)
		change(w, m->value, how);
}

/* ---- Main ----------------------------------------------------------------------------------------------- */

static value *parse_document(worker *w, buffer *b)
{
	value *v;

	w->at = b->bytes;
	v = parse(w, NULL);
	if (*w->at != '\0')
		bad("something is left");
	return v;
}

static void document(worker *w)
{
	buffer *b = new_buffer(), *turned = new_buffer(), *changed = new_buffer();
	value *v, **place = &w->kept[next(&w->seed) % KEPT];

	w->sum = 0;
	make(w, b, 0);
	put(b, "", 1);
	v = parse_document(w, b);
	compare(v, b);
	if (sum_of(v, NULL) != w->sum)
		bad("another sum");
	change(w, v, TURN);
	write_value(turned, v);
	if (turned->n + 1 != b->n)
		bad("turned around it is another");
	change(w, v, TURN);
	compare(v, b);
	change(w, v, SORT_AND_SHUFFLE);
	write_value(changed, v);
	put(changed, "", 1);
	compare(parse_document(w, changed), changed);
	if (sum_of(v, NULL) != w->sum)
		bad("another sum when sorted");
	if (*place != NULL)
		(void)sum_of(*place, NULL);
	STORE(20, place, v);
}

static uint64_t work(uint64_t seed, uint64_t nodes)
{
	worker w = { .seed = seed, .want = nodes };

	w.kept = ALLOC(KEPT * sizeof *w.kept);
	while (w.nodes < w.want)
		document(&w);
	for (int i = 0; i < KEPT; i++)
		if (w.kept[i] != NULL)
			(void)sum_of(w.kept[i], NULL);
	return w.nodes;
}

static void resident(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			printf("resident at most %.1f MiB\n", (double)kib / 1024);
	if (f != NULL)
		fclose(f);
}

#if JSON == JSON_MALLOC
int main(int argc, char **argv)
{
	uint64_t nodes = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;

	(void)plain;
	printf("%" PRIu64 " values\n", work(1, nodes));
	resident();
	return 0;
}
#else

typedef struct part {
	uint64_t seed, nodes;
} part;

typedef struct program {
	uint64_t nodes;
	int workers;
	bool whole;
} program;

static void work_on(void *arg)
{
	part *p = arg;

	p->nodes = work(p->seed, p->nodes);
}

/* However many nodes there were. `whole`: no switch makes objects larger. */
static void bounded(uint64_t nodes, bool whole)
{
	gort_mem_stats m;

	gort_gc();
	gort_mem_stats_read(gort_self(), &m);
	printf("%" PRIu64 " values, %.1f MiB live of %.1f, %u collections\n", nodes,
	       (double)m.heap_alloc / (1 << 20), (double)m.sys / (1 << 20), (unsigned)m.num_gc);
	if (whole && m.heap_sys - m.heap_released > (uint64_t)MOST << 20)
		bad("it takes more and more memory");
}

static void run(void *arg)
{
	const program *a = arg;
	gort_waitgroup wg = GORT_INIT;
	part parts[MOST_WORKERS];
	uint64_t nodes = 0;

	for (int i = 0; i < a->workers; i++) {
		parts[i] = (part){ (uint64_t)i + 1, a->nodes / (uint64_t)a->workers };
		gort_waitgroup_go(&wg, work_on, &parts[i]);
	}
	gort_waitgroup_wait(&wg);
	for (int i = 0; i < a->workers; i++)
		nodes += parts[i].nodes;
	bounded(nodes, a->whole);
}

int main(int argc, char **argv)
{
	program a = { argc > 1 ? strtoull(argv[1], NULL, 0) : 100000, argc > 4 ? atoi(argv[4]) : 2, argc <= 2 };
	gort_config cfg;
	gort_runtime *rt;
	int r;

	plain = argc > 3 ? atoi(argv[3]) : 0;
	if (a.workers < 1 || a.workers > MOST_WORKERS || plain < 0 || plain > SITES) {
		fprintf(stderr, "usage: json [NODES [GODEBUG [SITE [WORKERS]]]]\n");
		return 2;
	}
	gort_config_init(&cfg);
	cfg.procs = 2;
	cfg.collector = JSON == JSON_PLAIN ? "stw" : "concurrent";
	cfg.debug = argc > 2 ? argv[2] : NULL;
	if (gort_runtime_new(&rt, &cfg) != 0)
		return 1;
	r = gort_runtime_run(rt, run, &a);
	if (r != 0)
		fprintf(stderr, "%s", gort_runtime_error(rt));
	(void)gort_runtime_free(rt);
	resident();
	return r != 0;
}
#endif
