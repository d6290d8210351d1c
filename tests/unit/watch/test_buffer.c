/* The buffer of events: what it keeps, what it forgets, and what it writes. It needs no runtime:
 * the test feeds its listener as the reader of a trace would. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "backends/thread/thread.h"
#include "core/include/gort.h"
#include "core/sched/sched.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gort_trace_buffer *make(size_t max)
{
	gort_trace_buffer *b;

	assert_int_equal(gort_trace_buffer_new(&b, max), GORT_OK);
	assert_non_null(b);
	return b;
}

static void feed(gort_trace_buffer *b, const gort_event *events, size_t n)
{
	const gort_trace_listener *l = gort_trace_buffer_listener(b);

	assert_int_equal(l->size, sizeof *l);
	assert_int_equal(l->groups, GORT_TRACE_ALL);
	l->event(l->data, events, n);
}

static void feed_one(gort_trace_buffer *b, gort_event e)
{
	feed(b, &e, 1);
}

/* Events `from` to `to`, told apart by time. */
static void feed_range(gort_trace_buffer *b, int64_t from, int64_t to)
{
	gort_event batch[100];

	while (from < to) {
		size_t n = 0;

		while (n < 100 && from < to)
			batch[n++] = (gort_event){ .time = from++, .id = GORT_EV_USER };
		feed(b, batch, n);
	}
}

/* ---- Keeping ---- */

static void assert_keeps(gort_trace_buffer *b, int64_t from, int64_t to)
{
	size_t len = (size_t)(to - from);
	gort_event *out = calloc(len + 1, sizeof *out);

	assert_non_null(out);
	assert_int_equal(gort_trace_buffer_len(b), len);
	assert_int_equal(gort_trace_buffer_read(b, 0, out, len + 1), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(out[i].time, from + (int64_t)i);
	assert_int_equal(gort_trace_buffer_read(b, len, out, 1), 0);
	assert_int_equal(gort_trace_buffer_read(b, SIZE_MAX, out, 1), 0);
	if (len > 3) { /* a piece out of the middle */
		assert_int_equal(gort_trace_buffer_read(b, len / 2, out, 2), 2);
		assert_int_equal(out[0].time, from + (int64_t)(len / 2));
		assert_int_equal(out[1].time, from + (int64_t)(len / 2) + 1);
	}
	free(out);
}

static void test_keeps_all(void **state)
{
	gort_trace_buffer *b = make(0);

	(void)state;
	assert_keeps(b, 0, 0);
	feed_range(b, 0, 1);
	assert_keeps(b, 0, 1);
	feed_range(b, 1, 50000); /* the table of chunks grows several times */
	assert_keeps(b, 0, 50000);
	gort_trace_buffer_free(b);
}

static void test_keeps_the_last(void **state)
{
	static const int64_t limits[] = { 1, 2, 99, 1023, 1024, 1025, 5000, 40000 };

	(void)state;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		gort_trace_buffer *b = make((size_t)limits[i]);
		int64_t end = 0;

		while (end < 60000) {
			int64_t more = 1 + (end * 7 + 13) % 3001;

			feed_range(b, end, end + more);
			end += more;
			assert_keeps(b, end > limits[i] ? end - limits[i] : 0, end);
		}
		gort_trace_buffer_free(b);
	}
}

static void test_arguments(void **state)
{
	(void)state;
	assert_int_equal(gort_trace_buffer_new(NULL, 0), GORT_EINVAL);
	gort_trace_buffer_free(NULL);
}

/* ---- Several fill it ---- */

static void fill_by_ones(void *arg)
{
	for (int64_t i = 0; i < 20000; i++)
		feed_range(arg, i, i + 1 + i % 3);
}

/* Two runtimes report to it. */
static void test_two_fill_it(void **state)
{
	(void)state;
	for (size_t max = 0; max < 6000; max += 2500) {
		gort_trace_buffer *b = make(max);
		be_thread t[2];

		for (int i = 0; i < 2; i++)
			assert_int_equal(be_thread_start(&t[i], fill_by_ones, b, 0), 0);
		for (int i = 0; i < 2; i++)
			be_thread_join(&t[i]);
		assert_int_equal(gort_trace_buffer_len(b), max > 0 ? max : 2 * 39999);
		gort_trace_buffer_free(b);
	}
}

/* ---- Reading while it fills ---- */

enum { TOTAL = 300000, LIMIT = 3000 };

static void fill(void *arg)
{
	feed_range(arg, 0, TOTAL);
}

static void test_reads_while_it_fills(void **state)
{
	gort_trace_buffer *b = make(LIMIT);
	gort_event out[512];
	int64_t last = -1;
	be_thread t;

	(void)state;
	assert_int_equal(be_thread_start(&t, fill, b, 0), 0);
	while (last < TOTAL - 1) {
		size_t n = gort_trace_buffer_read(b, LIMIT - 512, out, 512);

		assert_true(gort_trace_buffer_len(b) <= LIMIT);
		for (size_t i = 1; i < n; i++)
			assert_int_equal(out[i].time, out[0].time + (int64_t)i);
		if (n > 0) {
			assert_true(out[n - 1].time >= last);
			last = out[n - 1].time;
		}
		be_thread_yield();
	}
	be_thread_join(&t);
	gort_trace_buffer_free(b);
}

/* ---- Writing ---- */

typedef struct text {
	char *s;
	size_t n;
	size_t stop_at; /* fail at the call that passes it; 0 = never */
	unsigned calls;
} text;

static int collect(void *data, const void *bytes, size_t n)
{
	text *t = data;

	t->calls++;
	if (t->stop_at > 0 && t->n + n > t->stop_at)
		return 4711;
	t->s = realloc(t->s, t->n + n + 1);
	if (t->s == NULL)
		abort();
	memcpy(t->s + t->n, bytes, n);
	t->n += n;
	t->s[t->n] = '\0';
	return 0;
}

static void test_text(void **state)
{
	gort_trace_buffer *b = make(0);
	const gort_trace_listener *l = gort_trace_buffer_listener(b);
	text t = { 0 };

	(void)state;
	feed_one(b, (gort_event){ .time = 1000000005, .p = -1,
	                          .id = GORT_EV_PROCS, .args = { 4 } });
	feed_one(b, (gort_event){ .time = 1000000006, .goid = 1, .thread = 3, .p = 2,
	                          .id = GORT_EV_GO_CREATE, .args = { 18, 0xabc } });
	/* Reason 3 is Go's "chan receive". */
	feed_one(b, (gort_event){ .time = 1000000007, .goid = 18, .thread = 3, .p = 2,
	                          .id = GORT_EV_GO_BLOCK, .args = { 3, 0x7f0 } });
	feed_one(b, (gort_event){ .time = 1000000008, .goid = 18, .thread = UINT32_MAX, .p = -1,
	                          .id = GORT_EV_GO_BLOCK, .args = { 999, 0 } });
	feed_one(b, (gort_event){ .time = 12000000009, .goid = 1, .thread = 0, .p = 0,
	                          .id = GORT_EV_USER, .args = { 7 },
	                          .text = "a\"b\\c\nd\xc3\xa9\xff" });
	feed_one(b, (gort_event){ .time = 12000000010, .id = 4000, .p = 0 });
	assert_int_equal(gort_trace_buffer_write(b, GORT_TRACE_TEXT, collect, &t), 0);
	assert_string_equal(t.s,
	                    "1.000000005 p- m0 g- procs procs=4\n"
	                    "1.000000006 p2 m3 g1 go_create new=18 fn=0xabc\n"
	                    "1.000000007 p2 m3 g18 go_block reason=\"chan receive\" on=0x7f0\n"
	                    "1.000000008 p- m- g18 go_block reason=999 on=0x0\n"
	                    "12.000000009 p0 m0 g1 user value=7 "
	                    "text=\"a\\\"b\\\\c\\u000ad\xc3\xa9\\ufffd\"\n"
	                    "12.000000010 p0 m0 g- ?\n");
	t.n = 0;
	feed_one(b, (gort_event){ .time = 12000000011, .goid = 1, .p = 0, .id = GORT_EV_PROC_STOP });
	feed_one(b, (gort_event){ .time = 12000000012, .goid = 1, .p = 0, .id = GORT_EV_STW_BEGIN });
	feed_one(b, (gort_event){ .time = 12000000013, .goid = RT_SYSTEM_GOID, .p = 0, .id = GORT_EV_GO_YIELD });
	feed_one(b, (gort_event){ .time = 12000000013, .goid = 1, .p = 0, .id = GORT_EV_GO_UNBLOCK,
	                          .args = { RT_SYSTEM_GOID } });
	feed_one(b, (gort_event){ .time = 12000000014, .goid = 1, .p = 0, .id = GORT_EV_CHAN_SEND,
	                          .args = { 0x7f0, 3 } });
	assert_int_equal(gort_trace_buffer_write(b, GORT_TRACE_SCHEDULE, collect, &t), 0);
	assert_string_equal(t.s,
	                    "g0 procs procs=4\n"
	                    "g1 go_create new=18 fn=@1\n"
	                    "g18 go_block reason=\"chan receive\" on=@2\n"
	                    "g18 go_block reason=999 on=0\n"
	                    "g1 user value=7 text=\"a\\\"b\\\\c\\u000ad\xc3\xa9\\ufffd\"\n"
	                    "g1 chan_send chan=@2 len=3\n");
	t.n = 0;
	l->lost(l->data, 12);
	assert_int_equal(gort_trace_buffer_write(b, GORT_TRACE_TEXT, collect, &t), 0);
	assert_non_null(strstr(t.s, "\n# 12 events lost\n"));
	free(t.s);
	gort_trace_buffer_free(b);
}

static void test_writer_errors(void **state)
{
	gort_trace_buffer *b = make(0);
	text t = { .stop_at = 20000 };

	(void)state;
	assert_int_equal(gort_trace_buffer_write(b, 0, collect, &t), GORT_EINVAL);
	assert_int_equal(gort_trace_buffer_write(b, 4, collect, &t), GORT_EINVAL);
	assert_int_equal(gort_trace_buffer_write(b, GORT_TRACE_TEXT, NULL, &t), GORT_EINVAL);
	assert_int_equal(t.calls, 0);
	feed_range(b, 0, 5000);
	for (int format = GORT_TRACE_TEXT; format <= GORT_TRACE_SCHEDULE; format++) {
		unsigned before = t.calls;

		t.n = 0;
		assert_int_equal(gort_trace_buffer_write(b, format, collect, &t), 4711);
		/* After the refusal nothing more was asked. */
		assert_true(t.n > 0 && t.n <= 20000);
		assert_true(t.calls - before <= 2 + t.n / 7000);
	}
	free(t.s);
	gort_trace_buffer_free(b);
}

/* ---- JSON: is it any, and what does it say? ---- */

static const char *skip_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static const char *json_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	while (*s != '"') {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s == '\\' && strchr("\"\\u", s[1]) == NULL)
			return NULL;
		s += *s == '\\' ? 2 : 1;
	}
	return s + 1;
}

/* The end of the value at s, or NULL. */
static const char *json_value(const char *s)
{
	char close = *s == '{' ? '}' : ']';
	char *end;

	if (*s == '"')
		return json_string(s);
	if (*s != '{' && *s != '[') {
		(void)strtod(s, &end);
		return end > s && (isdigit((unsigned char)*s) || *s == '-') ? end : NULL;
	}
	s = skip_space(s + 1);
	if (*s == close)
		return s + 1;
	for (;;) {
		if (close == '}') {
			s = json_string(s);
			if (s == NULL || *s != ':')
				return NULL;
			s++;
		}
		s = json_value(s);
		if (s == NULL)
			return NULL;
		s = skip_space(s);
		if (*s == close)
			return s + 1;
		if (*s != ',')
			return NULL;
		s = skip_space(s + 1);
	}
}

static char *chrome(gort_trace_buffer *b)
{
	text t = { 0 };
	const char *end;

	assert_int_equal(gort_trace_buffer_write(b, GORT_TRACE_CHROME, collect, &t), 0);
	assert_non_null(t.s);
	end = json_value(t.s);
	assert_non_null(end);
	assert_string_equal(end, "\n");
	return t.s;
}

static unsigned occurrences(const char *s, const char *what)
{
	unsigned n = 0;

	for (; (s = strstr(s, what)) != NULL; s++)
		n++;
	return n;
}

static void test_chrome_slices(void **state)
{
	gort_trace_buffer *b = make(0);
	char *s;

	(void)state;
	free(chrome(b)); /* an empty one is valid, too */
	feed_one(b, (gort_event){ .time = 1000, .id = GORT_EV_PROCS, .p = -1, .args = { 2 } });
	feed_one(b, (gort_event){ .time = 2000, .goid = 1, .id = GORT_EV_GO_START, .args = { 1 } });
	feed_one(b, (gort_event){ .time = 3000, .goid = 1, .id = GORT_EV_GO_CREATE,
	                          .args = { 18, 0xabc } });
	feed_one(b, (gort_event){ .time = 4005, .goid = 18, .p = 1, .id = GORT_EV_GO_START,
	                          .args = { 1 } });
	feed_one(b, (gort_event){ .time = 5000, .goid = 1, .id = GORT_EV_GO_BLOCK,
	                          .args = { 3, 0x7f0 } });
	feed_one(b, (gort_event){ .time = 5500, .goid = 18, .p = 1, .id = GORT_EV_GO_UNBLOCK,
	                          .args = { 1 } });
	feed_one(b, (gort_event){ .time = 6000, .goid = 1, .id = GORT_EV_GO_START, .args = { 2 } });
	feed_one(b, (gort_event){ .time = 6500, .goid = 1, .id = GORT_EV_USER, .args = { 3 },
	                          .text = "q\"\t\xe2\x82\xac\x80" });
	feed_one(b, (gort_event){ .time = 7000, .goid = 18, .p = 1, .id = GORT_EV_GO_END });
	feed_one(b, (gort_event){ .time = 9000, .p = 1, .id = GORT_EV_STW_END,
	                          .args = { 500, 1000 } });
	s = chrome(b);
	/* Goroutine 1 ran from 1 to 4 us, 18 from 3.005 to 6, and 1 still runs at the end. */
	assert_non_null(strstr(s, "{\"name\":\"G 1\",\"ph\":\"X\",\"pid\":1,\"tid\":0,\"ts\":1.000,"
	                          "\"dur\":3.000,\"cat\":\"goroutine\",\"args\":{\"goid\":1,\"run\":1,"
	                          "\"end\":\"go_block\",\"reason\":\"chan receive\","
	                          "\"on\":\"0x7f0\"}}"));
	assert_non_null(strstr(s, "{\"name\":\"G 18\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":3.005,"
	                          "\"dur\":2.995,"));
	assert_non_null(strstr(s, "\"ts\":5.000,\"dur\":3.000,\"cat\":\"goroutine\",\"args\":{"
	                          "\"goid\":1,\"run\":2,\"end\":\"still running\"}}"));
	assert_non_null(strstr(s, "{\"name\":\"stop the world\",\"ph\":\"X\",\"pid\":3,\"tid\":1,"
	                          "\"ts\":6.500,\"dur\":1.500,"));
	assert_non_null(strstr(s, "\"q\\\"\\u0009\xe2\x82\xac\\ufffd\",\"ph\":\"i\""));
	/* Both arrows: the creation of 18 and the waking of 1. */
	assert_int_equal(occurrences(s, "\"ph\":\"s\""), 2);
	assert_int_equal(occurrences(s, "\"ph\":\"f\""), 2);
	assert_int_equal(occurrences(s, "{\"name\":\"P 0\"}"), 1);
	assert_int_equal(occurrences(s, "{\"name\":\"P 1\"}"), 1);
	free(s);
	gort_trace_buffer_free(b);
}

/* One was under way when the trace began, one lasts longer than it; of two neither end nor beginning is there. */
static void test_chrome_collections(void **state)
{
	gort_trace_buffer *b = make(0);
	char *s;

	(void)state;
	feed_one(b, (gort_event){ .time = 1000, .id = GORT_EV_PROCS, .p = -1, .args = { 2 } });
	feed_one(b, (gort_event){ .time = 2000, .goid = 2, .id = GORT_EV_MARK_TERM, .args = { 7 } });
	feed_one(b, (gort_event){ .time = 3000, .goid = 2, .id = GORT_EV_GC_END, .args = { 7, 4096 } });
	feed_one(b, (gort_event){ .time = 3500, .goid = 1, .id = GORT_EV_HEAP_LIVE, .args = { 8192 } });
	feed_one(b, (gort_event){ .time = 4000, .goid = 2, .id = GORT_EV_GC_BEGIN, .args = { 8, 2 } });
	feed_one(b, (gort_event){ .time = 5000, .goid = 2, .id = GORT_EV_GC_END, .args = { 8, 5000 } });
	feed_one(b, (gort_event){ .time = 6000, .goid = 2, .id = GORT_EV_GC_BEGIN, .args = { 9, 0 } });
	feed_one(b, (gort_event){ .time = 7000, .goid = 2, .id = GORT_EV_GC_BEGIN, .args = { 10, 1 } });
	feed_one(b, (gort_event){ .time = 8000, .goid = 2, .id = GORT_EV_GC_END, .args = { 10, 5001 } });
	feed_one(b, (gort_event){ .time = 8500, .goid = 2, .id = GORT_EV_GC_END, .args = { 11, 5002 } });
	feed_one(b, (gort_event){ .time = 9000, .goid = 2, .id = GORT_EV_GC_BEGIN, .args = { 12, 0 } });
	feed_one(b, (gort_event){ .time = 9700, .goid = 2, .id = GORT_EV_HEAP_GOAL, .args = { 9999 } });
	s = chrome(b);
#define GC "{\"name\":\"collection\",\"ph\":\"X\",\"pid\":3,\"tid\":2,"
	assert_non_null(strstr(s, GC "\"ts\":0.000,\"dur\":2.000,\"args\":{\"end\":\"gc_end\",\"cycle\":7,"
	                             "\"marked\":4096}}"));
	assert_non_null(strstr(s, GC "\"ts\":3.000,\"dur\":1.000,\"args\":{\"end\":\"gc_end\",\"cycle\":8,"
	                             "\"marked\":5000,\"trigger\":2}}"));
	assert_non_null(strstr(s, GC "\"ts\":5.000,\"dur\":1.000,\"args\":{\"end\":\"unknown\",\"cycle\":9,"
	                             "\"trigger\":0}}"));
	assert_non_null(strstr(s, GC "\"ts\":6.000,\"dur\":1.000,"));
	assert_non_null(strstr(s, GC "\"ts\":8.000,\"dur\":0.700,\"args\":{\"end\":\"still running\",\"cycle\":12,"
	                             "\"trigger\":0}}"));
#undef GC
	assert_int_equal(occurrences(s, "\"collection\""), 5);
	assert_non_null(strstr(s, "{\"name\":\"gc_end\",\"ph\":\"i\",\"pid\":3,\"tid\":2,\"ts\":7.500,"));
	assert_non_null(strstr(s, "{\"name\":\"mark_term\",\"ph\":\"i\",\"pid\":3,\"tid\":2,\"ts\":1.000,"));
	assert_non_null(strstr(s, "{\"name\":\"heap_live\",\"ph\":\"C\",\"pid\":3,\"tid\":0,\"ts\":2.500,"
	                          "\"args\":{\"bytes\":8192}}"));
	assert_non_null(strstr(s, "{\"name\":\"heap_goal\",\"ph\":\"C\""));
	free(s);
	gort_trace_buffer_free(b);
}

/* What a limit or a full ring tears apart must still be JSON, and no slice may end before it began.
 *  */
static void test_chrome_of_torn_traces(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 50; round++) {
		gort_trace_buffer *b = make((size_t)(1 + rand() % 600));
		int64_t time = 0;
		char *s;

		for (int i = 0; i < 1000; i++)
			feed_one(b, (gort_event){ .time = time += rand() % 3,
			                          .goid = (uint64_t)(rand() % 400),
			                          .thread = (uint32_t)(rand() % 5 - 1),
			                          .p = rand() % 20 - 1,
			                          .id = (uint32_t)(rand() % (GORT_EV_UNLOCK + 3)),
			                          .args = { (uint64_t)(rand() % 400), 5, 6 } });
		s = chrome(b);
		assert_null(strstr(s, "\"dur\":-"));
		assert_null(strstr(s, "\"ts\":-"));
		free(s);
		gort_trace_buffer_free(b);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_null(gort_event_name(0));
	assert_string_equal(gort_event_name(GORT_EV_PROCS), "procs");
	assert_string_equal(gort_event_name(GORT_EV_GO_BLOCK), "go_block");
	assert_string_equal(gort_event_name(GORT_EV_USER), "user");
	for (unsigned id = 1; id <= GORT_EV_UNLOCK; id++)
		assert_non_null(gort_event_name(id));
	assert_null(gort_event_name(GORT_EV_UNLOCK + 1));
	assert_null(gort_event_name(UINT32_MAX));
	assert_string_equal(gort_wait_reason(3), "chan receive");
	assert_null(gort_wait_reason(UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_all),
		cmocka_unit_test(test_keeps_the_last),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_two_fill_it),
		cmocka_unit_test(test_reads_while_it_fills),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_writer_errors),
		cmocka_unit_test(test_chrome_slices),
		cmocka_unit_test(test_chrome_collections),
		cmocka_unit_test(test_chrome_of_torn_traces),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
