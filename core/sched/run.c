/* run.c: one run of a program: begin, end, and what is left behind.
 *
 * A run ends once: by main's return, gort_runtime_stop, an unrecovered panic, a fatal error, a
 * deadlock, or the end of memory. Whoever wins the claim writes the code and the text and calls the
 * host's M (the thread inside gort_runtime_run) out of its loop. That M, without a P, stops the
 * world, so that every other worker has come to a cooperative point; drops all goroutines where
 * they stand; and starts the world again for what comes from outside (gort_runtime_go) later.
 *
 * A goroutine in a system call cannot be dropped: it is marked and ends when it comes back. An
 * attached thread is not ours to end: it is woken, and never blocks again until it detaches.
 */
#include "core/sched/internal.h"

#include "backends/arena/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rt_run_claim(gort_runtime *rt, int code)
{
	if (!rt_cas32_full(&rt->runstate, RT_RUN_ACTIVE, RT_RUN_CLAIMED))
		return false;
	rt->runcode = code;
	return true;
}

void rt_run_wake_locked(gort_runtime *rt)
{
	rt_store32_rel(&rt->runstate, RT_RUN_ENDING);
	if (rt->host != NULL)
		rt_m_unidle_locked(rt->host);
	rt_host_free_locked(rt);
	rt_preemptall(rt);
	be_netpoll_break(&rt->sched.poll); /* the host may be the one that waits there */
}

void rt_run_wake(gort_runtime *rt)
{
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt_run_wake_locked(rt);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_kick_all(rt);
}

/* An M is about to sleep: can anything still happen? Threads in system calls and attached threads
 * that run count as awake. */
void rt_checkdead_locked(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;

	rt_lockrank_assert_held(RT_RANK_sched, &sc->lock);
	RT_ASSERT(sc->mcount >= sc->nmidle + sc->nmidlelocked);
	if (sc->mcount > sc->nmidle + sc->nmidlelocked || sc->nmake + sc->nmaking > 0 || rt_load32_rlx(&sc->gcwaiting) ||
	    (rt->cfg.flags & GORT_LIBRARY) || rt_load32_rlx(&rt->runstate) != RT_RUN_ACTIVE)
		return;
	if (rt_load32_rlx(&sc->runqsize) > 0 || rt_timers_next(rt) != INT64_MAX)
		return;
	if (rt_run_claim(rt, GORT_EDEADLOCK)) {
		rt->deadlock = 1;
		rt_run_wake_locked(rt);
	}
}

/* ---- The text of a failure ------------------------------------------------------------------ */

static bool error_room(gort_runtime *rt, size_t more)
{
	size_t cap = rt->errorcap != 0 ? rt->errorcap : 64 << 10;
	char *p;

	while (cap < rt->errorlen + more + 1)
		cap *= 2;
	if (cap == rt->errorcap)
		return true;
	p = be_arena_reserve(NULL, cap, be_arena_query()->page);
	if (p == NULL)
		return false;
	if (be_arena_commit(p, cap) != 0) {
		be_arena_release(p, cap);
		return false;
	}
	if (rt->error != NULL) {
		memcpy(p, rt->error, rt->errorlen + 1);
		be_arena_release(rt->error, rt->errorcap);
	}
	rt->error = p;
	rt->errorcap = cap;
	return true;
}

/* Without memory the text is cut: a failure is being reported, and the code says the rest. */
static void error_append(gort_runtime *rt, const char *s, size_t n)
{
	if (!error_room(rt, n))
		return;
	memcpy(rt->error + rt->errorlen, s, n);
	rt->errorlen += n;
	rt->error[rt->errorlen] = '\0';
}

void rt_error_set(gort_runtime *rt, const char *text)
{
	rt->errorlen = 0;
	if (rt->error != NULL)
		rt->error[0] = '\0';
	error_append(rt, text, strlen(text));
}

void rt_error_add(gort_runtime *rt, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (n > 0)
		error_append(rt, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static const char *state_text(const rt_g *gp)
{
	switch (rt_load32_rlx(&gp->status)) {
	case RT_G_RUNNABLE:
		return "runnable";
	case RT_G_RUNNING:
		return "running";
	case RT_G_SYSCALL:
		return "syscall";
	default:
		return rt_waitreason_text(gp->waitreason);
	}
}

void rt_error_header(gort_runtime *rt, const rt_g *gp)
{
	rt_error_add(rt, "\ngoroutine %llu [%s%s]:\n", (unsigned long long)gp->goid, state_text(gp),
	             gp->lockedm != NULL ? ", locked to thread" : "");
}

void rt_error_frames(gort_runtime *rt, void *const *pcs, size_t n)
{
	char name[256];

	for (size_t i = 0; i < n; i++) {
		be_fault_symbol(pcs[i], name, sizeof name);
		rt_error_add(rt, "%s\n", name);
	}
}

static void created_by(gort_runtime *rt, const rt_g *gp)
{
	char name[256];

	if (gp->creator == NULL)
		return;
	be_fault_symbol(gp->creator, name, sizeof name);
	rt_error_add(rt, "created by %s in goroutine %llu\n", name, (unsigned long long)gp->parent);
}

/* Every goroutine that is there, in the order of its number but for the first failing one; world
 * stopped. */
static void error_goroutines(gort_runtime *rt)
{
	for (rt_g *gp = rt->sched.allg; gp != NULL; gp = gp->alllink) {
		if (rt_load32_rlx(&gp->status) == RT_G_DEAD)
			continue;
		rt_error_header(rt, gp);
		created_by(rt, gp);
	}
}

bool rt_run_out_of_memory(gort_runtime *rt, const char *text)
{
	if (!rt_run_claim(rt, GORT_ENOMEM))
		return rt_load32_rlx(&rt->runstate) != RT_RUN_NONE; /* it ends already */
	rt_error_set(rt, text);
	rt_run_wake(rt);
	return true;
}

_Noreturn void rt_run_fail(int code, const char *text, bool trace)
{
	rt_m *mp = rt_self();
	gort_runtime *rt = mp->rt;
	bool ours = rt_run_claim(rt, code);

	if (ours || rt_load32_rlx(&rt->runstate) == RT_RUN_NONE) {
		/* Outside a run only this goroutine ends: a library does not kill its host. */
		rt_error_set(rt, text);
		if (trace) {
			void *pcs[64];

			rt_error_header(rt, mp->curg);
			rt_error_frames(rt, pcs, be_fault_backtrace_here(pcs, RT_NELEM(pcs)));
			created_by(rt, mp->curg);
		}
		if (!ours)
			rt_print("%s", rt->error != NULL ? rt->error : text);
	}
	if (ours)
		rt_run_wake(rt);
	if (mp->curg->attached) {
		if (ours)
			rt_print("%s", rt->error != NULL ? rt->error : text);
		rt_misuse("gort", "a program failed on an attached thread");
	}
	rt->up.goroutine_drop(mp->curg);
	rt_mcall_dying(mp, rt_goexit0);
}

_Noreturn void rt_fatal(const char *text)
{
	char line[512];

	snprintf(line, sizeof line, "fatal error: %s\n", text);
	rt_run_fail(GORT_EFATAL, line, true);
}

/* ---- Begin and end -------------------------------------------------------------------------- */

static rt_g *make_main(gort_runtime *rt, rt_m *mp, gort_func fn, void *arg)
{
	rt_g *gp = rt_g_new(rt, NULL);

	if (gp == NULL)
		return NULL;
	gp->fn = fn;
	gp->arg = arg;
	gp->ismain = 1;
	gp->goid = 1;
	gp->parent = 0;
	gp->creator = NULL;
	gp->stack_size = 0;
	gp->trace_last = 0;
	gp->lockedm = mp; /* until it has started: see rt_goroutine_entry */
	mp->lockedg = gp;
	rt_add64_full(&rt->sched.created, 1);
	return gp;
}

static void begin(gort_runtime *rt, rt_m *mp, rt_g *gp)
{
	rt_sched *sc = &rt->sched;
	rt_p *pp;

	rt_store32_rlx(&rt->mainexited, 0);
	rt->deadlock = 0;
	rt_error_set(rt, "");
	rt_lock(&sc->lock, RT_RANK_sched);
	rt->host = mp;
	rt_gstatus_set(gp, RT_G_DEAD, RT_G_RUNNABLE);
	rt_store32_rel(&rt->runstate, RT_RUN_ACTIVE);
	RT_TRACE(mp, SCHED, GO_CREATE, gp, 1, (uintptr_t)gp->fn, 0);
	pp = rt_load32_rlx(&sc->gcwaiting) ? NULL : rt_pidle_get_locked(rt);
	if (pp == NULL)
		rt_globq_put_locked(rt, gp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (pp != NULL) {
		rt_acquirep(mp, pp);
		mp->nextg = gp;
	} else {
		rt_wakep(rt);
	}
}

/* Takes gp out of whatever it waits on. */
static void unwait(rt_g *gp)
{
	rt_waiter *w = gp->waiting;

	if (w == NULL)
		return;
	if (w->armed)
		rt_timer_disarm(&w->timer);
	if (w->unlink != NULL)
		w->unlink(w);
	rt_claim_reset(gp);
	gp->waiting = NULL;
}

/* The thread that waits for gp, to which it is wired, ends: its state may be altered. */
static void unwire(gort_runtime *rt, rt_g *gp)
{
	rt_m *mp = gp->lockedm;

	if (mp == NULL)
		return;
	gp->lockedm = NULL;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	mp->lockedg = NULL;
	if (!mp->host) {
		rt_store32_rel(&mp->exiting, 1);
		rt_m_unidle_locked(mp);
	}
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
}

static void release_attached(gort_runtime *rt, rt_g *gp)
{
	gp->dropped = 1;
	unwait(gp);
	if (rt_load32_rlx(&gp->status) == RT_G_WAITING)
		rt_gstatus_set(gp, RT_G_WAITING, RT_G_RUNNABLE);
	if (rt_load32_rlx(&gp->status) == RT_G_RUNNABLE) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		rt_globq_put_locked(rt, gp);
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
	}
}

static void drop(gort_runtime *rt, rt_g *gp)
{
	uint32_t status = rt_load32_rlx(&gp->status);

	if (status == RT_G_DEAD)
		return;
	if (gp->attached) {
		release_attached(rt, gp);
		return;
	}
	if (gp->dropped) /* of an earlier run, still in its system call */
		return;
	rt_add64_full(&rt->sched.ended, 1);
	rt->up.goroutine_drop(gp);
	if (status == RT_G_SYSCALL) {
		rt_lock(&rt->sched.lock, RT_RANK_sched);
		gp->dropped = 1;
		rt->sched.nsyscall++;
		rt_unlock(&rt->sched.lock, RT_RANK_sched);
		return;
	}
	if (gp->m != NULL) {
		rt_stand_drop(rt, gp);
		return;
	}
	RT_ASSERT(status == RT_G_RUNNABLE || status == RT_G_WAITING);
	unwait(gp);
	unwire(rt, gp);
	RT_TRACE_OUTSIDE(rt, SCHED, GO_END, gp, 0, 0, 0);
	rt_gstatus_set(gp, status, RT_G_DEAD);
	rt_switch_unmake(NULL, NULL, gp);
	rt_g_free(rt, NULL, gp);
}

static void empty_queues(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	bool inherit;

	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		while (rt_runq_get(sc->allp[i], &inherit) != NULL)
			;
		(void)rt_yielded_take(sc->allp[i]);
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	sc->runq.head = sc->runq.tail = NULL;
	sc->stopped.head = sc->stopped.tail = NULL;
	rt_store32_rlx(&sc->nstopped, 0);
	rt_store32_rlx(&sc->runqsize, 0);
	rt_unlock(&sc->lock, RT_RANK_sched);
}

/* World stopped. Queues hold only goroutines that are dropped or put back. */
void rt_drop_all(gort_runtime *rt)
{
	rt_g *gp, *next;

	empty_queues(rt);
	rt_lock(&rt->sched.allglock, RT_RANK_allg);
	gp = rt->sched.allg;
	rt_unlock(&rt->sched.allglock, RT_RANK_allg);
	for (; gp != NULL; gp = next) {
		next = gp->alllink;
		drop(rt, gp);
	}
	rt_landed_wait(rt);
	rt_timers_drop(rt);
}

static void deadlock_text(gort_runtime *rt)
{
	rt_error_set(rt, rt_load32_rlx(&rt->mainexited) && rt_g_count(rt) == 0
	                         ? "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n"
	                         : "fatal error: all goroutines are asleep - deadlock!\n");
}

static void finish(gort_runtime *rt, rt_m *mp)
{
	rt_sched *sc = &rt->sched;
	rt_p *given;

	mp->nextg = NULL; /* it is in allg */
	/* Main may be wired to this M, and may have been handed to it with a P after it left its loop. */
	rt_lock(&sc->lock, RT_RANK_sched);
	given = mp->nextp;
	mp->nextp = NULL;
	mp->lockedg = NULL;
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (given != NULL)
		rt_handoffp(rt, given);
	if (mp->spinning) {
		mp->spinning = false;
		rt_add32_full(&rt->sched.nmspinning, (uint32_t)-1);
	}
	if (mp->p != NULL)
		rt_handoffp(mp->rt, rt_releasep(mp));
	rt_stop_world(rt, RT_STW_END_OF_RUN);
	if (rt->deadlock)
		deadlock_text(rt);
	if (rt->errorlen > 0)
		error_goroutines(rt);
	rt_drop_all(rt);
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt->host = NULL;
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	rt_start_world(rt);
	rt_store32_rel(&rt->runstate, RT_RUN_NONE);
}

/* The caller holds the right to run (rt->running). */
int rt_run_main(gort_runtime *rt, gort_func fn, void *arg)
{
	rt_m *mp = rt_m_new(rt);
	rt_g *gp;

	if (mp == NULL)
		return GORT_ENOMEM;
	mp->host = true;
	mp->tid = be_thread_id();
	gp = make_main(rt, mp, fn, arg);
	if (gp == NULL || rt_switch_init(mp) != 0) {
		if (gp != NULL) {
			rt_g_free(rt, NULL, gp);
			rt_add64_full(&rt->sched.ended, 1);
		}
		rt_m_gone(mp);
		return GORT_ENOMEM;
	}
	rt_self_set(mp);
	(void)be_fault_attach();
	rt_preempt_attach(mp);
	rt_fault_module(rt, fn);
	begin(rt, mp, gp);
	rt_switch_loop(mp);
	finish(rt, mp);
	rt_preempt_detach(mp);
	be_fault_detach();
	rt_switch_fini(mp);
	rt_self_set(NULL);
	rt_m_gone(mp);
	return rt->runcode;
}
