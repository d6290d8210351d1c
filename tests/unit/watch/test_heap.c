/* What a trace tells of collections, sweeping, spans, pages and stacks: against what the heap itself counts. */
#include "backends/context/context.h"
#include "core/gc/gc_impl.h"
#include "tests/support/traces.h"

enum { KINDS = 4, LITTER = 2000, ROUNDS_OF_IT = 3, BIG = 64 << 10 };

typedef struct cell {
	struct cell *next;
	uint64_t fill[15];
} cell;
GORT_DEFINE_TYPE(cell, GORT_PTR(cell, next));

static const char *const collectors[] = { "stw", "concurrent" };

static void boot(int procs, const char *collector, const char *debug)
{
	gort_config cfg;

	gort_config_init(&cfg);
	cfg.procs = procs;
	cfg.collector = collector;
	cfg.debug = debug;
	start_result = stop_result = 1;
	free(got.events);
	memset(&got, 0, sizeof got);
	assert_int_equal(gort_runtime_new(&rt, &cfg), 0);
}

static void end(void)
{
	free(gs);
	gs = NULL;
	assert_int_equal(gort_runtime_free(rt), 0);
}

static bool is(const gort_event *e, unsigned id)
{
	return e->id == id;
}

static size_t how_many(unsigned id)
{
	size_t n = 0;

	for (size_t i = 0; i < got.n; i++)
		n += is(&got.events[i], id);
	return n;
}

/* The last event of the kind before the i-th; NULL: none. */
static const gort_event *last_before(size_t i, unsigned id)
{
	while (i-- > 0)
		if (is(&got.events[i], id))
			return &got.events[i];
	return NULL;
}

/* ---- A program with garbage ------------------------------------------------------------------------ */

static void litters(void *arg)
{
	cell *live = NULL;

	(void)arg;
	for (int i = 0; i < LITTER; i++) {
		cell *c = gort_new(GORT_TYPE(cell));

		if (i % 4 == 0) {
			gort_store(&c->next, live);
			live = c;
		}
		(void)gort_alloc((size_t)(16 << i % 8), GORT_NOSCAN);
		if (i % 50 == 0)
			(void)gort_alloc(BIG, i % 100 == 0 ? GORT_NOSCAN : 0);
	}
	gort_keep_alive(live);
}

static void garbage(void *arg)
{
	gort_waitgroup wg = GORT_INIT;

	(void)arg;
	for (int round = 0; round < ROUNDS_OF_IT; round++) {
		for (int i = 0; i < KINDS; i++)
			gort_waitgroup_go(&wg, litters, NULL);
		gort_waitgroup_wait(&wg);
		gort_gc();
	}
}

/* ---- Collections ----------------------------------------------------------------------------------- */

/* Of whole ones: begin, marked, end, each with the world stopped; one after the other, and numbered so. */
static void check_collections(uint64_t before)
{
	uint64_t now = 0, number = before;
	bool marked = false, stopped = false;

	for (size_t i = 0; i < got.n; i++) {
		const gort_event *e = &got.events[i];

		switch (e->id) {
		case GORT_EV_STW_BEGIN:
			stopped = true;
			break;
		case GORT_EV_STW_END:
			stopped = false;
			break;
		case GORT_EV_GC_BEGIN:
			assert_true(stopped && now == 0 && e->args[1] <= 2);
			now = e->args[0];
			assert_int_equal(now, ++number);
			marked = false;
			break;
		case GORT_EV_MARK_TERM:
			assert_true(stopped && now != 0 && !marked);
			assert_int_equal(e->args[0], now);
			marked = true;
			break;
		case GORT_EV_GC_END:
			assert_true(stopped && marked);
			assert_int_equal(e->args[0], now);
			assert_int_equal(e->args[1], last_before(i, GORT_EV_HEAP_LIVE)->args[0]);
			now = 0;
			break;
		default:
			break;
		}
	}
	assert_int_equal(now, 0);
}

static void check_figures(const gort_mem_stats *a, const gort_mem_stats *b)
{
	size_t forced = 0;

	for (size_t i = 0; i < got.n; i++)
		forced += is(&got.events[i], GORT_EV_GC_BEGIN) && got.events[i].args[1] == 2;
	assert_int_equal(how_many(GORT_EV_GC_BEGIN), b->num_gc - a->num_gc);
	assert_int_equal(how_many(GORT_EV_MARK_TERM), b->num_gc - a->num_gc);
	assert_int_equal(forced, b->num_forced_gc - a->num_forced_gc);
	assert_true(forced >= ROUNDS_OF_IT);
	assert_int_equal(last_before(got.n, GORT_EV_GC_END)->args[1], rt->gc->pacer.heap_marked);
	assert_int_equal(last_before(got.n, GORT_EV_HEAP_GOAL)->args[0], b->next_gc);
}

/* ---- Sweeping -------------------------------------------------------------------------------------- */

typedef struct sweeper {
	uint64_t goid;
	uint32_t thread;
} sweeper;

/* Who sweeps does nothing else in between: it is the next event of its goroutine, or thread, among these two. */
static void check_sweeping(uint64_t freed)
{
	sweeper now[64];
	size_t n = 0, at;
	uint64_t sum = 0;

	for (size_t i = 0; i < got.n; i++) {
		const gort_event *e = &got.events[i];

		if (!is(e, GORT_EV_SWEEP_BEGIN) && !is(e, GORT_EV_SWEEP_END))
			continue;
		for (at = 0; at < n && (now[at].goid != e->goid || now[at].thread != e->thread); at++)
			;
		if (is(e, GORT_EV_SWEEP_BEGIN)) {
			assert_true(at == n && n < RT_NELEM(now));
			now[n++] = (sweeper){ e->goid, e->thread };
			continue;
		}
		assert_true(at < n);
		now[at] = now[--n];
		assert_true(e->args[0] > 0 && e->args[0] % RT_PAGE == 0 && e->args[1] <= e->args[0]);
		sum += e->args[1];
	}
	assert_int_equal(n, 0);
	assert_int_equal(sum, freed);
}

/* ---- Spans and stacks ------------------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const gort_event *x = a, *y = b;

	return x->args[0] < y->args[0] ? -1 : x->args[0] > y->args[0];
}

/* Each address is taken once more than it is given, or as often, and always as much of it. What is taken in the end. */
static uint64_t balance(unsigned takes, unsigned gives, size_t *times)
{
	gort_event *all = calloc(got.n, sizeof *all);
	uint64_t sum = 0;
	size_t n = 0;

	assert_non_null(all);
	*times = 0;
	for (size_t i = 0; i < got.n; i++)
		if (is(&got.events[i], takes) || is(&got.events[i], gives))
			all[n++] = got.events[i];
	qsort(all, n, sizeof *all, by_address);
	for (size_t i = 0, next; i < n; i = next) {
		uint64_t is_taken = 0;

		for (next = i; next < n && all[next].args[0] == all[i].args[0]; next++) {
			*times += is(&all[next], takes);
			is_taken += is(&all[next], takes) ? all[next].args[1] : -all[next].args[1];
		}
		assert_true(all[i].args[0] != 0 && all[i].args[1] > 0);
		assert_true(is_taken <= INT64_MAX);
		sum += is_taken;
	}
	free(all);
	return sum;
}

/* Of one P the order is known: nothing is taken twice. */
static void check_order(unsigned takes, unsigned gives)
{
	for (size_t i = 0; i < got.n; i++) {
		const gort_event *e = &got.events[i];

		if (!is(e, takes) && !is(e, gives))
			continue;
		for (size_t j = i; j-- > 0;) {
			const gort_event *was = &got.events[j];

			if ((!is(was, takes) && !is(was, gives)) || was->args[0] != e->args[0])
				continue;
			assert_int_not_equal(was->id, e->id);
			break;
		}
	}
}

static uint64_t pages_inuse(void)
{
	return rt_load64_rlx(&rt->gc->heap.pages_inuse);
}

static uint64_t freed(const gort_mem_stats *s)
{
	return s->total_alloc - s->heap_alloc;
}

/* Who has taken a span says at once how large the heap is now. */
static void check_grown(size_t i)
{
	const gort_event *e = &got.events[i];

	for (i++; i < got.n && got.events[i].goid != e->goid; i++)
		;
	assert_true(e->goid != 0 && i < got.n);
	assert_int_equal(got.events[i].id, GORT_EV_HEAP_LIVE);
}

static void check_spans(uint64_t pages)
{
	size_t times, classes = 0;

	assert_int_equal(balance(GORT_EV_SPAN_ALLOC, GORT_EV_SPAN_FREE, &times), pages);
	assert_true(times > 100 && how_many(GORT_EV_SPAN_FREE) > 10);
	for (size_t i = 0; i < got.n; i++)
		if (is(&got.events[i], GORT_EV_SPAN_ALLOC)) {
			assert_true(got.events[i].args[2] < RT_NSPANCLASS);
			classes |= got.events[i].args[2] < 2;
		}
	assert_true(classes); /* large ones, too */
	for (size_t i = 0; i < got.n; i++)
		if (is(&got.events[i], GORT_EV_SPAN_ALLOC))
			check_grown(i);
}

static void check_stacks(void)
{
	size_t times;

	assert_int_equal(balance(GORT_EV_STACK_ALLOC, GORT_EV_STACK_FREE, &times), 0);
	assert_int_equal(times, how_many(GORT_EV_STACK_FREE));
	/* Main, the collector, and those that have run. */
	assert_int_equal(times, be_context_owns_stack ? 0 : 2 + ROUNDS_OF_IT * KINDS);
}

static void test_a_run(void **state)
{
	(void)state;
	for (size_t i = 0; i < RT_NELEM(collectors); i++)
		for (int procs = 1; procs <= 4; procs += 3) {
			gort_mem_stats a, b;
			uint64_t pages;

			boot(procs, collectors[i], NULL);
			gort_mem_stats_read(rt, &a);
			pages = pages_inuse();
			start_trace();
			assert_int_equal(start_result, 0);
			assert_int_equal(gort_runtime_run(rt, garbage, NULL), 0);
			gort_mem_stats_read(rt, &b);
			stop_trace();
			check();
			check_collections(a.num_gc);
			check_figures(&a, &b);
			check_sweeping(freed(&b) - freed(&a));
			check_spans(pages_inuse() - pages);
			check_stacks();
			if (procs == 1) {
				check_order(GORT_EV_SPAN_ALLOC, GORT_EV_SPAN_FREE);
				check_order(GORT_EV_STACK_ALLOC, GORT_EV_STACK_FREE);
			}
			end();
		}
}

/* Without collections there is still a heap. */
static void test_none(void **state)
{
	size_t times;

	(void)state;
	boot(2, "none", NULL);
	start_trace();
	assert_int_equal(gort_runtime_run(rt, garbage, NULL), 0);
	stop_trace();
	check();
	assert_int_equal(how_many(GORT_EV_GC_BEGIN) + how_many(GORT_EV_SWEEP_BEGIN), 0);
	assert_int_equal(balance(GORT_EV_SPAN_ALLOC, GORT_EV_SPAN_FREE, &times), pages_inuse());
	end();
}

/* ---- What is not whole ----------------------------------------------------------------------------- */

static void collects(void *arg)
{
	(void)arg;
	gort_gc();
}

static void marks(uint32_t other)
{
	rt_add32_full(&rt->gc->active, other);
}

/* A collection begins, and cannot end until marks(-1): somebody seems to mark. */
static void hold_one(void)
{
	(void)RT_ENTER();
	marks(1);
	rt_leave();
	gort_go(collects, NULL);
	while (rt_load32_acq(&rt->gcmark) == 0)
		gort_gosched();
}

static void let_it_end(void)
{
	(void)RT_ENTER();
	(void)rt_marker_leave(rt->gc);
	rt_leave();
}

static void starts_meanwhile(void *arg)
{
	gort_trace_listener l = listener(*(unsigned *)arg);

	gort_gc();
	hold_one();
	start_result = gort_trace_start(rt, &l);
	let_it_end();
	while (rt_load32_acq(&rt->gc->ended) < 2)
		gort_gosched();
	stop_trace();
}

static void test_started_meanwhile(void **state)
{
	static unsigned groups[] = { GORT_TRACE_ALL, GORT_TRACE_GC, GORT_TRACE_SCHED };

	(void)state;
	for (int procs = 1; procs <= 4; procs += 3)
		for (size_t i = 0; i < RT_NELEM(groups); i++) {
			size_t at = 0;

			boot(procs, "concurrent", NULL);
			assert_int_equal(gort_runtime_run(rt, starts_meanwhile, &groups[i]), 0);
			assert_int_equal(start_result, 0);
			assert_int_equal(stop_result, 0);
			if (groups[i] == GORT_TRACE_SCHED) {
				assert_int_equal(how_many(GORT_EV_GC_BEGIN), 0);
				end();
				continue;
			}
			if (groups[i] == GORT_TRACE_ALL)
				check();
			while (at < got.n && !is(&got.events[at], GORT_EV_GC_BEGIN))
				at++;
			/* Of what there is, not of what happens. */
			assert_true(at < got.n && got.events[at].time <= got.events[0].time + 1);
			assert_int_equal(got.events[at].p, -1);
			assert_int_equal(got.events[at].args[0], 2);
			assert_int_equal(got.events[at].args[1], 2);
			assert_int_equal(how_many(GORT_EV_GC_BEGIN), 1);
			assert_int_equal(how_many(GORT_EV_GC_END), 1);
			assert_int_equal(last_before(got.n, GORT_EV_GC_END)->args[0], 2);
			end();
		}
}

static void ends_meanwhile(void *arg)
{
	(void)arg;
	gort_gc();
	hold_one();
}

/* The run ends while it marks: it ends, too, without the end of marking, and the next one has its number. */
static void test_broken_off(void **state)
{
	static const uint64_t numbers[] = { 1, 2, 2, 3, 4 };

	(void)state;
	for (int procs = 1; procs <= 4; procs += 3) {
		uint64_t begun = 0, ended = 0, marked = 0;

		boot(procs, "concurrent", NULL);
		start_trace();
		assert_int_equal(gort_runtime_run(rt, ends_meanwhile, NULL), 0);
		marks(-1u);
		assert_int_equal(gort_runtime_run(rt, garbage, NULL), 0);
		stop_trace();
		check();
		for (size_t i = 0; i < got.n; i++) {
			const gort_event *e = &got.events[i];

			if (is(e, GORT_EV_GC_BEGIN)) {
				assert_int_equal(begun, ended);
				if (begun < RT_NELEM(numbers))
					assert_int_equal(e->args[0], numbers[begun]);
				begun++;
			} else if (is(e, GORT_EV_GC_END)) {
				assert_int_equal(++ended, begun);
				assert_int_equal(e->args[0], last_before(i, GORT_EV_GC_BEGIN)->args[0]);
			}
			marked += is(e, GORT_EV_MARK_TERM);
		}
		assert_int_equal(begun, ended);
		assert_int_equal(marked, ended - 1);
		assert_int_equal(marked, rt_load32_rlx(&rt->gc->ended));
		end();
	}
}

static void waits_for_the_clock(void *arg)
{
	(void)arg;
	gort_gc();
	while (rt_load32_acq(&rt->gc->ended) < 2)
		gort_sleep(GORT_MILLISECOND);
	(void)gort_set_gc_percent(400);
}

static void test_triggers(void **state)
{
	size_t why[3] = { 0 };

	(void)state;
	boot(2, "concurrent", "forcegcperiod=1");
	start_trace();
	assert_int_equal(gort_runtime_run(rt, waits_for_the_clock, NULL), 0);
	stop_trace();
	for (size_t i = 0; i < got.n; i++)
		if (is(&got.events[i], GORT_EV_GC_BEGIN))
			why[got.events[i].args[1]]++;
	assert_int_equal(why[2], 1);
	assert_true(why[1] >= 1);
	assert_int_equal(last_before(got.n, GORT_EV_HEAP_GOAL)->args[0], rt_load64_rlx(&rt->gc->goal));
	end();
	boot(2, "stw", "gcstress=100");
	start_trace();
	assert_int_equal(gort_runtime_run(rt, litters, NULL), 0);
	stop_trace();
	assert_true(how_many(GORT_EV_GC_BEGIN) > 1);
	assert_int_equal(last_before(got.n, GORT_EV_GC_BEGIN)->args[1], 0);
	end();
}

/* ---- Pages that go back ---------------------------------------------------------------------------- */

static uint64_t released[2];

static void gives_back(void *arg)
{
	gort_mem_stats s;

	garbage(arg);
	start_trace();
	gort_mem_stats_read(rt, &s);
	released[0] = s.heap_released;
	gort_free_os_memory();
	gort_mem_stats_read(rt, &s);
	released[1] = s.heap_released;
	stop_trace();
}

static void test_pages_go_back(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs += 3) {
		uint64_t sum = 0;

		boot(procs, "concurrent", "clobberfree=1"); /* then the worker does nothing, and all is ours */
		assert_int_equal(gort_runtime_run(rt, gives_back, NULL), 0);
		assert_int_equal(start_result, 0);
		check();
		for (size_t i = 0; i < got.n; i++)
			sum += is(&got.events[i], GORT_EV_SCAVENGE) ? got.events[i].args[0] : 0;
		assert_int_equal(how_many(GORT_EV_SPAN_ALLOC), 0); /* which might have taken some of them */
		assert_int_equal(sum, released[1] - released[0]);
		assert_true(sum > 0 || rt_load32_rlx(&rt->gc->heap.mem.cannot_return));
		end();
	}
}

/* The worker gives back from a thread that is nobody's, and under a lock of its own. */
static void until_given_back(void *arg)
{
	void *all[64];

	(void)arg;
	gort_gc();
	for (size_t i = 0; i < RT_NELEM(all); i++) {
		all[i] = gort_alloc(1 << 20, GORT_NOSCAN);
		memset(all[i], 1, 1 << 20);
	}
	gort_keep_alive(all);
	memset(all, 0, sizeof all);
	gort_gc();
	gort_gc();
	while (rt_load64_rlx(&rt->gc->heap.scav.background) == 0)
		gort_sleep(GORT_MILLISECOND);
}

static void test_worker(void **state)
{
	uint64_t sum = 0;

	(void)state;
	boot(2, "concurrent", NULL);
	start_trace();
	if (!rt_load32_rlx(&rt->gc->heap.mem.cannot_return))
		assert_int_equal(gort_runtime_run(rt, until_given_back, NULL), 0);
	rt_scavworker_wait(&rt->gc->scavworker);
	stop_trace();
	for (size_t i = 0; i < got.n; i++)
		if (is(&got.events[i], GORT_EV_SCAVENGE) && got.events[i].thread == UINT32_MAX)
			sum += got.events[i].args[0];
	assert_true(sum > 0 || rt_load32_rlx(&rt->gc->heap.mem.cannot_return));
	assert_true(sum <= rt_load64_rlx(&rt->gc->heap.scav.background));
	end();
}

/* ---- Threads that come and go ---------------------------------------------------------------------- */

static void comes_and_goes(void *arg)
{
	int *failed = arg;

	*failed = gort_attach(rt);
	if (*failed == 0) {
		garbage(NULL);
		*failed = gort_detach();
	}
	next_stage(1);
}

static void awaits_it(void *arg)
{
	(void)arg;
	while (rt_load32_acq(&stage) < 1)
		gort_sleep(GORT_MILLISECOND);
}

static void test_attached(void **state)
{
	size_t times;
	int failed = 1;
	be_thread t;

	(void)state;
	boot(2, "concurrent", NULL);
	rt_store32_rlx(&stage, 0);
	start_trace();
	assert_int_equal(be_thread_start(&t, comes_and_goes, &failed, 0), 0);
	assert_int_equal(gort_runtime_run(rt, awaits_it, NULL), 0);
	be_thread_join(&t);
	stop_trace();
	assert_int_equal(failed, 0);
	check();
	assert_int_equal(balance(GORT_EV_STACK_ALLOC, GORT_EV_STACK_FREE, &times), 0);
	/* As above, and that on which its scheduler runs. */
	assert_int_equal(times, be_context_owns_stack ? 0 : 3 + ROUNDS_OF_IT * KINDS);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_run),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_started_meanwhile),
		cmocka_unit_test(test_broken_off),
		cmocka_unit_test(test_triggers),
		cmocka_unit_test(test_pages_go_back),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
