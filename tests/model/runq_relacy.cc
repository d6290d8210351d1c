/* runq_relacy.cc: the run queue of runq.c under the memory model of C++11, as Relacy explores it.
 *
 * The ring, runnext, put, get and steal with the orders of the C, statement by statement; ring of 2,
 * three threads, indices that wrap. What a goroutine carries is a plain
 * variable, written before it is queued and read by who takes it, so that a missing
 * happens-before edge is a data race. Slots are atomics, relaxed, as in the C.
 *
 * Two searches: random, and all executions with at most one preemption (fair). -DMUTANT=n weakens one place:
 *
 *   1 tail is stored relaxed       2 a thief loads tail relaxed
 *   3 runnext is filled relaxed    4 runnext is taken relaxed by a thief
 *
 * Not found here: a thief's read of a slot that sinks below its move of head. Relacy executes loads in
 * program order, so it cannot see what the release of that move prevents; COPY_LATE in runq.pml
 * swaps the two by hand.
 *
 * Exit status 0: no execution failed.
 */
#include <relacy/relacy.hpp>

#include <cstdio>
#include <cstdlib>

#ifndef MUTANT
#define MUTANT 0
#endif
#define ORDER(n, order) (MUTANT == (n) ? rl::mo_relaxed : rl::order)

namespace {

const unsigned SIZE = 2, NG = 5, FIRST = 0xfffffffeu;

struct goroutine {
	rl::var<int> payload;
	rl::var<int> runs;
};

struct processor {
	rl::atomic<unsigned> head, tail;
	rl::atomic<unsigned> next; /* a goroutine's number, 0 = none */
	rl::atomic<unsigned> slot[SIZE];
};

struct queue_test : rl::test_suite<queue_test, 3> {
	goroutine g[NG + 1];
	processor p[3];
	rl::atomic<unsigned> taken;

	void before()
	{
		for (unsigned i = 0; i <= NG; i++)
			g[i].runs($) = 0;
		for (unsigned i = 0; i < 3; i++) {
			p[i].head($) = FIRST;
			p[i].tail($) = FIRST;
			p[i].next($) = 0;
			for (unsigned k = 0; k < SIZE; k++)
				p[i].slot[k]($) = 0;
		}
		taken($) = 0;
	}

	void run(unsigned n)
	{
		RL_ASSERT(n >= 1 && n <= NG);
		RL_ASSERT(g[n].payload($) == (int)n * 10);
		RL_ASSERT(g[n].runs($) == 0);
		g[n].runs($) = 1;
		taken($).fetch_add(1, rl::mo_relaxed);
	}

	/* False: a thief made room meanwhile. The global queue is under a lock: run at once. */
	bool put_slow(processor &pp, unsigned gp, unsigned h)
	{
		unsigned batch[SIZE / 2];

		for (unsigned i = 0; i < SIZE / 2; i++)
			batch[i] = pp.slot[(h + i) % SIZE]($).load(rl::mo_relaxed);
		if (!pp.head($).compare_exchange_strong(h, h + SIZE / 2, rl::mo_release,
		                                        rl::mo_relaxed))
			return false;
		for (unsigned i = 0; i < SIZE / 2; i++)
			run(batch[i]);
		run(gp);
		return true;
	}

	void put(processor &pp, unsigned gp, bool next)
	{
		if (next) {
			gp = pp.next($).exchange(gp, ORDER(3, mo_seq_cst));
			if (gp == 0)
				return;
		}
		for (;;) {
			unsigned h = pp.head($).load(rl::mo_acquire);
			unsigned t = pp.tail($).load(rl::mo_relaxed);

			if (t - h < SIZE) {
				pp.slot[t % SIZE]($).store(gp, rl::mo_relaxed);
				pp.tail($).store(t + 1, ORDER(1, mo_release));
				return;
			}
			if (put_slow(pp, gp, h))
				return;
			rl::yield(1, $);
		}
	}

	unsigned get(processor &pp)
	{
		unsigned gp = pp.next($).load(rl::mo_relaxed);

		if (gp != 0) {
			unsigned old = gp;

			if (pp.next($).compare_exchange_strong(old, 0, rl::mo_acquire, rl::mo_relaxed))
				return gp;
		}
		for (;;) {
			unsigned h = pp.head($).load(rl::mo_acquire);
			unsigned t = pp.tail($).load(rl::mo_relaxed);

			if (h == t)
				return 0;
			gp = pp.slot[h % SIZE]($).load(rl::mo_relaxed);
			if (pp.head($).compare_exchange_strong(h, h + 1, rl::mo_release,
			                                       rl::mo_relaxed))
				return gp;
			rl::yield(1, $);
		}
	}

	unsigned steal(processor &pp, processor &victim)
	{
		unsigned tail = pp.tail($).load(rl::mo_relaxed);

		RL_ASSERT(tail == pp.head($).load(rl::mo_acquire));
		for (;;) {
			unsigned h = victim.head($).load(rl::mo_acquire);
			unsigned t = victim.tail($).load(ORDER(2, mo_acquire));
			unsigned k = t - h;

			k -= k / 2;
			if (k == 0) {
				unsigned gp = victim.next($).load(ORDER(4, mo_acquire)), old = gp;

				return gp != 0 && victim.next($).compare_exchange_strong(
				                          old, 0, ORDER(4, mo_acquire), rl::mo_relaxed)
				               ? gp
				               : 0;
			}
			if (k > SIZE / 2) {
				rl::yield(1, $);
				continue;
			}
			for (unsigned i = 0; i < k; i++) {
				unsigned gp = victim.slot[(h + i) % SIZE]($).load(rl::mo_relaxed);

				pp.slot[(tail + i) % SIZE]($).store(gp, rl::mo_relaxed);
			}
			if (!victim.head($).compare_exchange_strong(h, h + k, rl::mo_seq_cst,
			                                            rl::mo_relaxed)) {
				rl::yield(1, $);
				continue;
			}
			unsigned gp = pp.slot[(tail + k - 1) % SIZE]($).load(rl::mo_relaxed);

			if (k > 1)
				pp.tail($).store(tail + k - 1, ORDER(1, mo_release));
			return gp;
		}
	}

	void drain(processor &pp)
	{
		for (unsigned gp; (gp = get(pp)) != 0;)
			run(gp);
	}

	void thread(unsigned me)
	{
		if (me == 0) {
			for (unsigned n = 1; n <= NG; n++) {
				g[n].payload($) = (int)n * 10;
				put(p[0], n, n % 2 == 0);
				if (n == 3) {
					unsigned gp = get(p[0]);

					if (gp != 0)
						run(gp);
				}
			}
			drain(p[0]);
			return;
		}
		for (int i = 0; i < 3; i++) {
			unsigned gp = steal(p[me], p[0]);

			if (gp != 0)
				run(gp);
			drain(p[me]);
		}
	}

	void after()
	{
		RL_ASSERT(taken($).load(rl::mo_relaxed) == NG);
	}
};

bool search(rl::scheduler_type_e kind, rl::iteration_t n)
{
	rl::test_params params;

	params.search_type = kind;
	params.iteration_count = n;
	params.context_bound = 1;
	params.execution_depth_limit = 3000;
	return rl::simulate<queue_test>(params);
}

} // namespace

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? std::strtoul(argv[1], NULL, 10) : 100000;
	bool ok = search(rl::random_scheduler_type, n);

	ok = ok && search(rl::fair_context_bound_scheduler_type, 0);
	std::printf("relacy: %s\n", ok ? "no execution failed" : "failed");
	return ok ? 0 : 1;
}
